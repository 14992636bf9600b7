/*
 * postctl stats: what waits, by destination and age.  spoold counts slices of
 * the queue; they are added up here.
 */

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "ctl.h"

#define SHOWN		20		/* destinations, if not told else */
#define DOMAIN_WIDTH	40		/* of the table at the most */

/* Minutes up to which a column reaches; the last has no end. */
static const char *const columns[WIRE_AGES] = {
	"5", "10", "20", "40", "80", "160", "320", "640", "1280", "1280+"
};

struct destination {
	uint64_t	 counts[WIRE_AGES];
	uint64_t	 total;
	char		*domain;
};

struct table {
	void		  *tree;	/* of struct destination */
	struct destination **sorted;
	size_t		   count;
	struct destination sum;
};

static int
compare_domains(const void *a, const void *b)
{
	const struct destination	*left = a, *right = b;

	return strcmp(left->domain, right->domain);
}

/* The most first, then by name. */
static int
compare_totals(const void *a, const void *b)
{
	const struct destination	*left, *right;

	left = *(const struct destination *const *)a;
	right = *(const struct destination *const *)b;
	if (left->total != right->total)
		return left->total < right->total ? 1 : -1;
	return strcmp(left->domain, right->domain);
}

static struct destination *
find_destination(struct table *table, const char *domain)
{
	struct destination	*made, **found;

	if ((made = calloc(1, sizeof(*made))) == NULL ||
	    (made->domain = strdup(domain)) == NULL ||
	    (found = tsearch(made, &table->tree, compare_domains)) == NULL)
		err(EX_OSERR, "statistics");
	if (*found != made) {
		free(made->domain);
		free(made);
		return *found;
	}
	table->sorted = reallocarray(table->sorted, table->count + 1,
	    sizeof(*table->sorted));
	if (table->sorted == NULL)
		err(EX_OSERR, "statistics");
	table->sorted[table->count++] = made;
	return made;
}

/* Add a slice.  Returns -1 if it is malformed. */
static int
add_slice(struct table *table, const struct frame *frame)
{
	const struct w_ctl_stats_ans	*answer = frame->payload;
	const struct w_ctl_age		*ages = frame->tail;
	struct destination		*destination;

	if (answer->count != frame->tail_length / sizeof(*ages))
		return -1;
	for (uint64_t i = 0; i < answer->count; i++) {
		if (memchr(ages[i].domain, '\0', sizeof(ages[i].domain)) ==
		    NULL)
			return -1;
		destination = find_destination(table, ages[i].domain);
		for (size_t j = 0; j < WIRE_AGES; j++) {
			destination->counts[j] += ages[i].counts[j];
			destination->total += ages[i].counts[j];
			table->sum.counts[j] += ages[i].counts[j];
			table->sum.total += ages[i].counts[j];
		}
	}
	return 0;
}

static int
ask_slices(struct control *control, struct table *table)
{
	struct w_ctl_stats_req		 ask = { .after = 0 };
	const struct w_ctl_stats_ans	*answer;
	struct frame			 frame;
	int				 code;

	do {
		code = ask_ctl_stats(control, &ask, &frame);
		if (code != EX_OK)
			return code;
		answer = frame.payload;
		if ((code = control_code(answer->verdict)) != EX_OK) {
			warnx("the queue could not be counted");
			return code;
		}
		if (add_slice(table, &frame) == -1 ||
		    (answer->next != 0 && answer->next <= ask.after)) {
			warnx("malformed answer");
			return EX_PROTOCOL;
		}
		ask.after = answer->next;
	} while (ask.after != 0);
	return EX_OK;
}

/* ---- showing ---- */

static void
print_row(const struct destination *row, const char *name, int width)
{
	int	padding = width - (int)strlen(name);

	printf("%*s", padding > 0 ? padding : 0, "");
	record_text(stdout, name);
	printf(" %7" PRIu64, row->total);
	for (size_t i = 0; i < WIRE_AGES; i++)
		printf(" %5" PRIu64, row->counts[i]);
	putchar('\n');
}

static void
print_table(const struct table *table, size_t shown)
{
	int	width = (int)strlen("minutes up to");

	for (size_t i = 0; i < shown; i++)
		if ((int)strlen(table->sorted[i]->domain) > width)
			width = (int)strlen(table->sorted[i]->domain);
	if (width > DOMAIN_WIDTH)
		width = DOMAIN_WIDTH;
	printf("%*s %7s", width, "minutes up to", "all");
	for (size_t i = 0; i < WIRE_AGES; i++)
		printf(" %5s", columns[i]);
	putchar('\n');
	print_row(&table->sum, "TOTAL", width);
	for (size_t i = 0; i < shown; i++)
		print_row(table->sorted[i], table->sorted[i]->domain[0] !=
		    '\0' ? table->sorted[i]->domain : "-", width);
	if (shown < table->count)
		printf("%*s %zu more\n", width, "and", table->count - shown);
}

static void
print_row_json(const struct destination *row, const char *domain)
{
	fputs("{\"domain\": ", stdout);
	if (domain == NULL)
		fputs("null", stdout);
	else
		json_string(stdout, domain);
	printf(", \"total\": %" PRIu64 ", \"minutes\": {", row->total);
	for (size_t i = 0; i < WIRE_AGES; i++)
		printf("%s\"%s\": %" PRIu64, i > 0 ? ", " : "", columns[i],
		    row->counts[i]);
	fputs("}}\n", stdout);
}

static void
show(struct table *table, size_t wanted, bool json)
{
	size_t	shown = table->count < wanted ? table->count : wanted;

	if (table->count > 0)
		qsort(table->sorted, table->count, sizeof(*table->sorted),
		    compare_totals);
	if (!json) {
		print_table(table, shown);
		return;
	}
	print_row_json(&table->sum, NULL);
	for (size_t i = 0; i < shown; i++)
		print_row_json(table->sorted[i], table->sorted[i]->domain);
}

/* The totals, of which everybody may know. */
static int
show_totals(struct control *control, bool json)
{
	struct w_ctl_status_req	ask = { 0 };
	struct frame		frame;
	int			code = ask_ctl_status(control, &ask, &frame);

	if (code != EX_OK)
		return code;
	if (json)
		look_status_json(stdout, frame.tail, frame.tail_length);
	else {
		control_print(&frame);
		putchar('\n');
	}
	return EX_OK;
}

/* How many destinations are wanted; 0 if that is no number. */
static size_t
take_count(const char *word)
{
	char		*end;
	unsigned long	 value;

	if (word == NULL)
		return SHOWN;
	if (strcmp(word, "all") == 0)
		return SIZE_MAX;
	value = strtoul(word, &end, 10);
	return *end != '\0' || *word == '-' || value > UINT32_MAX ? 0 : value;
}

int
look_stats(const struct verb *verb, struct request *request)
{
	struct table	table;
	struct control	control;
	size_t		wanted = take_count(request->count);
	int		code;

	if (request->count_words == 1 &&
	    strcmp(request->words[0], "all") == 0)
		wanted = SIZE_MAX;
	else if (request->count_words != 0)
		return verb_usage(verb);
	if (wanted == 0)
		return verb_usage(verb);
	memset(&table, 0, sizeof(table));
	if ((code = control_open(&request->place, &control)) != EX_OK)
		return code;
	code = show_totals(&control, request->json);
	if (code == EX_OK)
		code = ask_slices(&control, &table);
	if (code == EX_OK)
		show(&table, wanted, request->json);
	control_close(&control);
	for (size_t i = 0; i < table.count; i++) {
		tdelete(table.sorted[i], &table.tree, compare_domains);
		free(table.sorted[i]->domain);
		free(table.sorted[i]);
	}
	free(table.sorted);
	return code;
}
