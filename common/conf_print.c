/*
 * The configuration printed in its own grammar: as a person would write it,
 * or with every word at its place.
 */
#include <sys/types.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf.h"
#include "conf_lex.h"

struct printer {
	FILE	*out;
	int	 line;
	int	 column;
	bool	 placed;
};

/* One line of a placed print: a header, a setting or a route. */
struct item {
	const struct conf_section *section;
	const struct conf_setting *setting;
	const struct conf_route	*route;
	int			 line;
};

static void
put(struct printer *printer, const char *text)
{
	fputs(text, printer->out);
	printer->column += strlen(text);
}

static void
put_newline(struct printer *printer)
{
	fputc('\n', printer->out);
	printer->line++;
	printer->column = 1;
}

/* Print in quotes. */
static void
put_quoted(struct printer *printer, const char *text)
{
	char one[3] = "\\";

	put(printer, "\"");
	for (; *text != '\0'; text++) {
		one[1] = *text;
		put(printer, *text == '"' || *text == '\\' ? one : one + 1);
	}
	put(printer, "\"");
}

static void
put_word(struct printer *printer, const char *text, bool bare)
{
	if (bare)
		put(printer, text);
	else
		put_quoted(printer, text);
}

/* Go to a place, if it lies ahead. */
static void
advance(struct printer *printer, int line, int column)
{
	if (!printer->placed)
		return;
	while (printer->line < line)
		put_newline(printer);
	while (printer->column < column)
		put(printer, " ");
}

static void
print_header(struct printer *printer, const struct conf_section *section)
{
	put(printer, "[");
	put(printer, section->type);
	if (*section->name != '\0') {
		put(printer, " ");
		put_quoted(printer, section->name);
	}
	put(printer, "]");
}

static void
print_setting(struct printer *printer, const struct conf_setting *setting)
{
	const struct conf_word *word = setting->words;

	advance(printer, setting->place.line, setting->place.column);
	put(printer, setting->name);
	if (!printer->placed || word->place.column >= printer->column + 3)
		put(printer, " =");
	for (; word < setting->words + setting->count; word++) {
		put(printer, " ");
		advance(printer, word->place.line, word->place.column);
		put_word(printer, word->text,
		    conf_lex_is_bare(word->text, STOP_COMMA));
	}
}

static void
print_route(struct printer *printer, const struct conf_route *route)
{
	const struct conf_word *target = route->targets;
	const char *left = route->left;

	advance(printer, route->place.line, route->place.column);
	if (left == NULL) {
		put(printer, "file ");
		advance(printer, target->place.line, target->place.column);
		put_quoted(printer, target->text);
		return;
	}
	put_word(printer, left, conf_lex_is_bare(left, STOP_BLANK) &&
	    *left != '[' && strcasecmp(left, "file") != 0);
	put(printer, printer->placed ? " " : "\t");
	for (; target < route->targets + route->count; target++) {
		if (target > route->targets)
			put(printer, ", ");
		advance(printer, target->place.line, target->place.column);
		put_word(printer, target->text,
		    conf_lex_is_bare_target(target->text));
	}
}

static void
print_section(struct printer *printer, const struct conf_section *section)
{
	const struct conf_setting *setting;
	const struct conf_route *route;

	print_header(printer, section);
	put_newline(printer);
	TAILQ_FOREACH(setting, &section->settings, entry) {
		put(printer, "\t");
		print_setting(printer, setting);
		put_newline(printer);
	}
	TAILQ_FOREACH(route, &section->routes, entry) {
		put(printer, "\t");
		print_route(printer, route);
		put_newline(printer);
	}
}

int
conf_print(const struct conf *conf, FILE *out)
{
	struct printer printer = { .out = out };
	const struct conf_section *section;

	TAILQ_FOREACH(section, &conf->sections, entry) {
		if (section != TAILQ_FIRST(&conf->sections))
			put_newline(&printer);
		print_section(&printer, section);
	}
	return ferror(out) ? -1 : 0;
}

/* Is there a header at the section's place, or was it implied? */
static bool
has_header(const struct conf_section *section)
{
	const struct conf_route *first = TAILQ_FIRST(&section->routes);

	return first == NULL || first->place.line != section->place.line;
}

/* Gather what is wanted of a section; items NULL only counts. */
static size_t
gather(const struct conf_section *section, conf_wanted wanted, void *arg,
    struct item *items)
{
	const struct conf_setting *setting;
	const struct conf_route *route;
	bool all = wanted(section, NULL, arg);
	size_t count = 0;

	if (all && has_header(section)) {
		if (items != NULL)
			items[count] = (struct item){ section, NULL, NULL,
			    section->place.line };
		count++;
	}
	TAILQ_FOREACH(setting, &section->settings, entry) {
		if (!all)
			continue;
		if (items != NULL)
			items[count] = (struct item){ section, setting, NULL,
			    setting->place.line };
		count++;
	}
	TAILQ_FOREACH(route, &section->routes, entry) {
		if (!wanted(section, route, arg))
			continue;
		if (items != NULL)
			items[count] = (struct item){ section, NULL, route,
			    route->place.line };
		count++;
	}
	return count;
}

static int
compare_items(const void *a, const void *b)
{
	const struct item *left = a, *right = b;

	return (left->line > right->line) - (left->line < right->line);
}

/* Between lines of different sections there always was a header. */
static void
print_items(struct printer *printer, const struct item *items, size_t count)
{
	const struct conf_section *open = NULL;
	const struct item *item;
	bool implied;

	for (item = items; item < items + count; item++) {
		implied = open == NULL && *item->section->name == '\0' &&
		    strcmp(item->section->type, "route") == 0 &&
		    item->route != NULL;
		if (item->section != open && !implied) {
			advance(printer, item->setting == NULL &&
			    item->route == NULL ? item->line : item->line - 1,
			    1);
			print_header(printer, item->section);
		}
		open = item->section;
		if (item->setting != NULL)
			print_setting(printer, item->setting);
		else if (item->route != NULL)
			print_route(printer, item->route);
	}
}

int
conf_print_placed(const struct conf *conf, conf_wanted wanted, void *arg,
    FILE *out)
{
	struct printer printer = { .out = out, .line = 1, .column = 1,
	    .placed = true };
	const struct conf_section *section;
	struct item *items = NULL;
	size_t count = 0;

	TAILQ_FOREACH(section, &conf->sections, entry)
		count += gather(section, wanted, arg, NULL);
	if (count == 0)
		return 0;
	items = conf_lex_need(calloc(count, sizeof(*items)));
	count = 0;
	TAILQ_FOREACH(section, &conf->sections, entry)
		count += gather(section, wanted, arg, items + count);
	qsort(items, count, sizeof(*items), compare_items);
	print_items(&printer, items, count);
	put_newline(&printer);
	free(items);
	return ferror(out) ? -1 : 0;
}
