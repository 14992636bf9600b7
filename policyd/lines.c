/*
 * The lines of one file of a table, compiled: targets parsed, left sides in
 * order.  Complains of what makes no sense; looks nothing up.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "log.h"
#include "policyd.h"

static void *
need(void *memory)
{
	if (memory == NULL)
		fatal("reading a table");
	return memory;
}

static bool
is_domain(const char *text)
{
	return address_is_domain(text) || address_is_literal(text);
}

/* Is the left side one of the five kinds?  Its domain or NULL. */
static int
check_left(struct conf *conf, const struct conf_route *route,
    const char **domain)
{
	const char *at = strrchr(route->left, '@');

	*domain = NULL;
	if (at == NULL || at[1] == '\0')
		return 0;
	*domain = at + 1;
	if (is_domain(*domain))
		return 0;
	conf_wrong(conf, &route->place, "\"%s\" is no domain; a left side is "
	    "user@domain, @domain, user, user@ or @", *domain);
	return -1;
}

/*
 * Parse one target, whose form the parser of the configuration has checked,
 * and hold its address to the grammar.
 */
static int
compile_target(struct conf *conf, const struct conf_word *word,
    struct target *target)
{
	struct address address;
	const char *why;

	if (target_parse(word->text, target, &why) == -1)
		return -1;
	if ((target->kind == TARGET_ADDRESS &&
	    address_parse(target->text, &address) != ADDRESS_OK) ||
	    (target->kind == TARGET_DOMAIN && !is_domain(target->text + 1))) {
		conf_wrong(conf, &word->place, "%s is no address",
		    target->text);
		target_free(target);
		return -1;
	}
	return 0;
}

static void
line_free(struct line *line)
{
	while (line->count > 0)
		target_free(&line->targets[--line->count]);
	free(line->targets);
}

/*
 * Compile one line at the end of the array.  A target that makes no sense
 * leaves the line with none: known, and not to be used.
 */
static void
compile_line(struct lines *lines, struct conf *conf,
    const struct conf_route *route, bool main)
{
	struct line *line = &lines->entries[lines->count];
	const char *domain;
	size_t i;

	memset(line, 0, sizeof(*line));
	if (check_left(conf, route, &domain) == -1)
		return;
	line->left = route->left;
	line->place = route->place;
	line->main = main;
	line->targets = need(calloc(route->count, sizeof(*line->targets)));
	for (i = 0; i < route->count; i++) {
		if (compile_target(conf, &route->targets[i],
		    &line->targets[i]) == -1) {
			line_free(line);
			line->targets = NULL;
			break;
		}
		line->count++;
	}
	if (domain != NULL)
		lines->domains[lines->domain_count++] = domain;
	lines->count++;
}

static int
compare_lines(const void *a, const void *b)
{
	const struct line *left = a, *right = b;
	int order = strcasecmp(left->left, right->left);

	return order != 0 ? order : left->place.line - right->place.line;
}

static int
compare_texts(const void *a, const void *b)
{
	return strcasecmp(*(const char *const *)a, *(const char *const *)b);
}

struct lines *
lines_compile(struct conf *conf, const struct conf_section *section,
    bool main)
{
	struct lines *lines = need(calloc(1, sizeof(*lines)));
	const struct conf_route *route;
	size_t count = 0;

	if (section == NULL)
		return lines;
	TAILQ_FOREACH(route, &section->routes, entry)
		count++;
	lines->entries = need(calloc(count + 1, sizeof(*lines->entries)));
	lines->domains = need(calloc(count + 1, sizeof(*lines->domains)));
	TAILQ_FOREACH(route, &section->routes, entry)
		if (route->left != NULL)
			compile_line(lines, conf, route, main);
	qsort(lines->entries, lines->count, sizeof(*lines->entries),
	    compare_lines);
	qsort(lines->domains, lines->domain_count, sizeof(*lines->domains),
	    compare_texts);
	return lines;
}

void
lines_free(struct lines *lines)
{
	size_t i;

	if (lines == NULL)
		return;
	for (i = 0; i < lines->count; i++)
		line_free(&lines->entries[i]);
	free(lines->entries);
	free(lines->domains);
	free(lines);
}

static int
compare_left(const void *left, const void *line)
{
	return strcasecmp(left, ((const struct line *)line)->left);
}

const struct line *
lines_find(const struct lines *lines, const char *left)
{
	if (lines->count == 0)
		return NULL;
	return bsearch(left, lines->entries, lines->count,
	    sizeof(*lines->entries), compare_left);
}

bool
lines_name_domain(const struct lines *lines, const char *domain)
{
	return lines->domain_count > 0 && bsearch(&domain, lines->domains,
	    lines->domain_count, sizeof(*lines->domains), compare_texts) !=
	    NULL;
}
