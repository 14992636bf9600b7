/*
 * postctl why: the next hops of a domain as spoold and relay know them, then
 * what waits for the domain, by the reason it was given last.
 */

#include <err.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "clock.h"
#include "ctl.h"

#define REASONS_MAX	20		/* told apart; the rest is one */

struct reason {
	uint64_t	count;
	char		text[WIRE_TEXT];
};

struct tally {
	uint64_t	messages;
	uint64_t	recipients;
	int64_t		oldest;
	int64_t		next;		/* that is tried again */
	struct reason	reasons[REASONS_MAX + 1];
	size_t		reason_count;
};

static void
count_reason(struct tally *tally, const char *text)
{
	struct reason	*reason;
	size_t		 i;

	if (*text == '\0')
		text = "not tried yet";
	for (i = 0; i < tally->reason_count && i < REASONS_MAX; i++)
		if (strcmp(tally->reasons[i].text, text) == 0)
			break;
	reason = &tally->reasons[i];
	if (i == tally->reason_count || i == REASONS_MAX)
		strlcpy(reason->text, i == REASONS_MAX ? "other reasons" :
		    text, sizeof(reason->text));
	if (i == tally->reason_count)
		tally->reason_count++;
	reason->count++;
}

static void
count_message(const struct w_ctl_message *message,
    const struct w_ctl_recipient *recipients, bool first, void *arg)
{
	struct tally	*tally = arg;

	(void)first;
	tally->messages++;
	if (tally->oldest == 0 || message->arrival < tally->oldest)
		tally->oldest = message->arrival;
	for (uint32_t i = 0; i < message->recipients; i++) {
		tally->recipients++;
		if (recipients[i].next > 0 && (tally->next == 0 ||
		    recipients[i].next < tally->next))
			tally->next = recipients[i].next;
		count_reason(tally, recipients[i].reason);
	}
}

static int
compare_counts(const void *a, const void *b)
{
	const struct reason	*left = a, *right = b;

	return left->count == right->count ? 0 :
	    left->count < right->count ? 1 : -1;
}

/* Write what was counted, behind spoold's records. */
static void
put_tally(FILE *out, struct tally *tally)
{
	fprintf(out, "\nmessages: %" PRIu64 "\nrecipients: %" PRIu64 "\n",
	    tally->messages, tally->recipients);
	if (tally->oldest > 0)
		fprintf(out, "oldest: %" PRId64 "\n",
		    tally->oldest / SECOND);
	if (tally->next > 0)
		fprintf(out, "next: %" PRId64 "\n", tally->next / SECOND);
	qsort(tally->reasons, tally->reason_count, sizeof(*tally->reasons),
	    compare_counts);
	for (size_t i = 0; i < tally->reason_count; i++) {
		fputs("\nreason: ", out);
		record_text(out, tally->reasons[i].text);
		fprintf(out, "\nrecipients: %" PRIu64 "\n",
		    tally->reasons[i].count);
	}
}

/* Ask spoold of the lanes; its records go to out. */
static int
ask_lanes(const struct place *place, const struct w_ctl_why_req *ask,
    FILE *out)
{
	const struct w_ctl_why_ans	*answer;
	struct control			 control;
	struct frame			 frame;
	int				 code;

	if ((code = control_open(place, &control)) != EX_OK)
		return code;
	if ((code = ask_ctl_why(&control, ask, &frame)) == EX_OK) {
		answer = frame.payload;
		code = control_code(answer->verdict);
		if (code == EX_OK)
			fwrite(frame.tail, 1, frame.tail_length, out);
		else
			record_lines(stderr, frame.tail, frame.tail_length);
	}
	control_close(&control);
	return code;
}

int
look_why(const struct verb *verb, struct request *request)
{
	struct w_ctl_why_req	 ask = { .pad = 0 };
	struct w_ctl_filter	 filter;
	struct w_ctl_list_ans	 last;
	struct tally		*tally;
	FILE			*out;
	char			*text = NULL;
	size_t			 length = 0;
	int			 code;

	memset(&filter, 0, sizeof(filter));
	if (request->count_words != 1)
		return verb_usage(verb);
	request->domain = request->words[0];
	if (choice_filter(request, &filter) == -1)
		return EX_USAGE;
	if (filter.domain[0] == '\0' || strchr(filter.domain, '@') != NULL) {
		warnx("%s is no domain", request->words[0]);
		return EX_USAGE;
	}
	if (choice_copy(ask.domain, sizeof(ask.domain), filter.domain) == -1)
		return EX_USAGE;
	if ((tally = calloc(1, sizeof(*tally))) == NULL ||
	    (out = open_memstream(&text, &length)) == NULL)
		err(EX_OSERR, "why");
	code = ask_lanes(&request->place, &ask, out);
	if (code == EX_OK)
		code = list_each(&request->place, &filter, count_message,
		    tally, &last);
	if (code == EX_OK)
		put_tally(out, tally);
	if (fclose(out) == EOF)
		err(EX_OSERR, "why");
	if (code == EX_OK && request->json)
		record_json(stdout, text, length);
	else if (code == EX_OK)
		record_print(stdout, text, length, clock_now());
	free(text);
	free(tally);
	return code;
}
