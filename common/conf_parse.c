/*
 * The parser of the configuration: lines become sections, settings and
 * routes, each with its place.  A line that is wrong is complained of and
 * skipped; the rest is still read.
 */
#include <sys/types.h>
#include <sys/stat.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "conf.h"
#include "conf_keyword.h"
#include "conf_lex.h"
#include "target.h"

struct parser {
	struct conf		*conf;
	struct conf_section	*section;	/* the open one */
	struct conf_cursor	 cursor;
	const char		*file;
	int			 line;
	bool			 table;		/* routes only, no sections */
	bool			 skipping;	/* in an unknown section */
};

static struct conf_place
place_at(const struct parser *parser, int column)
{
	return (struct conf_place){ parser->file, parser->line, column };
}

static struct conf_place
place_here(const struct parser *parser)
{
	return place_at(parser, parser->cursor.at - parser->cursor.start + 1);
}

/* Say what the lexer found wrong, where it stands. */
static void
complain_of_lexer(struct parser *parser)
{
	struct conf_place place = place_here(parser);

	conf_wrong(parser->conf, &place, "%s", parser->cursor.why);
}

/* Open the section of that type and name, or go on with it. */
static struct conf_section *
open_section(struct parser *parser, const char *type, const char *name,
    int column)
{
	struct conf_section *section;

	if ((section = conf_section(parser->conf, type, name)) != NULL)
		return section;
	section = conf_lex_need(calloc(1, sizeof(*section)));
	section->type = conf_lex_need(strdup(type));
	section->name = conf_lex_need(strdup(name));
	section->place = place_at(parser, column);
	TAILQ_INIT(&section->settings);
	TAILQ_INIT(&section->routes);
	TAILQ_INSERT_TAIL(&parser->conf->sections, section, entry);
	return section;
}

/* Lower case, and - for _. */
static void
normalize(char *name)
{
	for (; *name != '\0'; name++)
		*name = *name == '_' ? '-' : tolower((unsigned char)*name);
}

static void
complain_of_kind(struct parser *parser, const struct conf_place *place,
    const char *type)
{
	const char *nearest = conf_nearest_kind(type);

	conf_wrong(parser->conf, place, "no such section [%s]%s%s%s", type,
	    nearest == NULL ? "" : "; did you mean [",
	    nearest == NULL ? "" : nearest, nearest == NULL ? "" : "]?");
}

/* Does this type of section want a name, and is there one? */
static int
check_naming(struct parser *parser, const struct conf_kind *kind,
    const struct conf_place *place, const char *name)
{
	if (kind->naming == CONF_UNNAMED && name != NULL) {
		conf_wrong(parser->conf, place, "[%s] takes no name; leave "
		    "out \"%s\"", kind->type, name);
		return -1;
	}
	if (kind->naming == CONF_NAMED && (name == NULL || *name == '\0')) {
		conf_wrong(parser->conf, place, "[%s] needs a name; write "
		    "[%s \"name\"]", kind->type, kind->type);
		return -1;
	}
	return 0;
}

/* [type] or [type name] */
static void
parse_header(struct parser *parser)
{
	struct conf_cursor *cursor = &parser->cursor;
	struct conf_place place = place_here(parser);
	struct conf_token type = { 0 }, name = { 0 };
	const struct conf_kind *kind;

	parser->skipping = true;
	cursor->at++;
	if (conf_lex_word(cursor, STOP_BRACKET, &type) == -1 ||
	    (type.text != NULL &&
	    conf_lex_word(cursor, STOP_BRACKET, &name) == -1)) {
		complain_of_lexer(parser);
		goto out;
	}
	if (type.text == NULL) {
		conf_wrong(parser->conf, &place, "a section without a type; "
		    "write [core], [route] or the like");
		goto out;
	}
	if (!conf_lex_at_end(cursor) && *cursor->at == ']')
		cursor->at++;
	if (!conf_lex_at_end(cursor)) {
		place = place_here(parser);
		conf_wrong(parser->conf, &place, "a section header is [type] "
		    "or [type \"name\"]");
		goto out;
	}
	normalize(type.text);
	if ((kind = conf_kind(type.text)) == NULL) {
		complain_of_kind(parser, &place, type.text);
		goto out;
	}
	if (check_naming(parser, kind, &place, name.text) == -1)
		goto out;
	parser->section = open_section(parser, type.text,
	    name.text == NULL ? "" : name.text, place.column);
	parser->skipping = false;
out:
	free(type.text);
	free(name.text);
}

static void
add_word(struct conf_word **words, size_t *count, struct conf_token *token,
    struct conf_place place)
{
	*words = conf_lex_need(reallocarray(*words, *count + 1,
	    sizeof(**words)));
	(*words)[*count].text = token->text;
	(*words)[*count].place = place;
	token->text = NULL;
	(*count)++;
}

/* Is the word of the type? */
static const char *
check_word(enum conf_type type, const char *text)
{
	int64_t value;
	bool truth;

	switch (type) {
	case CONF_PATH:
		return *text == '/' ? NULL : "a path that starts with /";
	case CONF_NUMBER:
		return conf_parse_number(text, &value) == 0 ? NULL :
		    "a number";
	case CONF_SIZE:
		return conf_parse_size(text, &value) == 0 ? NULL :
		    "a size such as 65536, 64k, 10M or 1G";
	case CONF_DURATION:
		return conf_parse_duration(text, &value) == 0 ? NULL :
		    "a time such as 30, 30s, 5m, 1h or 5d";
	case CONF_BOOL:
		return conf_parse_bool(text, &truth) == 0 ? NULL :
		    "yes or no";
	case CONF_STRING:
	case CONF_WORDS:
	case CONF_LIST:
		break;
	}
	return NULL;
}

/* Does the value fit the keyword, and is it the first? */
static int
check_value(struct parser *parser, const struct conf_keyword *keyword,
    const struct conf_setting *setting)
{
	struct conf *conf = parser->conf;
	const struct conf_setting *first;
	const char *wanted;

	if (setting->count == 0) {
		conf_wrong(conf, &setting->place, "%s has no value; write "
		    "%s = ...", setting->name, setting->name);
		return -1;
	}
	if (keyword->type == CONF_LIST)
		return 0;
	first = conf_setting(parser->section, setting->name);
	if (first != NULL) {
		conf_wrong(conf, &setting->place, "%s stands here a second "
		    "time, first at %s:%d; keep one", setting->name,
		    first->place.file, first->place.line);
		return -1;
	}
	if (keyword->type == CONF_WORDS)
		return 0;
	if (setting->count > 1) {
		conf_wrong(conf, &setting->words[1].place, "%s takes one "
		    "word; quote a value that has blanks", setting->name);
		return -1;
	}
	wanted = check_word(keyword->type, setting->words[0].text);
	if (wanted != NULL) {
		conf_wrong(conf, &setting->words[0].place, "\"%s\" is no "
		    "value for %s; write %s", setting->words[0].text,
		    setting->name, wanted);
		return -1;
	}
	return 0;
}

static void
complain_of_name(struct parser *parser, const struct conf_place *place,
    const char *name)
{
	const char *type = parser->section->type;
	const char *nearest = conf_nearest_keyword(type, name);
	const struct conf_keyword *elsewhere = conf_keyword(NULL, name);

	if (elsewhere != NULL)
		conf_wrong(parser->conf, place, "[%s] has no setting %s; it "
		    "belongs into [%s]", type, name, elsewhere->section);
	else if (nearest != NULL)
		conf_wrong(parser->conf, place, "[%s] has no setting %s; did "
		    "you mean %s?", type, name, nearest);
	else
		conf_wrong(parser->conf, place, "[%s] has no setting %s; "
		    "postmaster.cf(5) lists them", type, name);
}

/* name [=] word ... */
static void
parse_setting(struct parser *parser)
{
	struct conf_cursor *cursor = &parser->cursor;
	const struct conf_keyword *keyword;
	struct conf_setting *setting;
	struct conf_token token;
	enum conf_stop stop;
	int got;

	setting = conf_lex_need(calloc(1, sizeof(*setting)));
	setting->place = place_here(parser);
	if (conf_lex_word(cursor, STOP_EQUALS, &token) == -1) {
		complain_of_lexer(parser);
		goto fail;
	}
	setting->name = token.text;
	normalize(setting->name);
	keyword = conf_keyword(parser->section->type, setting->name);
	if (keyword == NULL) {
		complain_of_name(parser, &setting->place, setting->name);
		goto fail;
	}
	conf_lex_equals(cursor, false);
	stop = keyword->type == CONF_LIST ? STOP_COMMA : STOP_BLANK;
	while ((got = conf_lex_word(cursor, stop, &token)) == 1)
		add_word(&setting->words, &setting->count, &token,
		    place_at(parser, token.column));
	if (got == -1) {
		complain_of_lexer(parser);
		goto fail;
	}
	if (check_value(parser, keyword, setting) == -1)
		goto fail;
	TAILQ_INSERT_TAIL(&parser->section->settings, setting, entry);
	return;
fail:
	while (setting->count > 0)
		free(setting->words[--setting->count].text);
	free(setting->words);
	free(setting->name);
	free(setting);
}

/* Is what was read a route, or an include of one absolute path? */
static int
check_route(struct parser *parser, struct conf_route *route)
{
	if (route->count == 0) {
		conf_wrong(parser->conf, &route->place, "no target behind "
		    "\"%s\"; put a blank, or a = between blanks, before it",
		    route->left == NULL ? "file" : route->left);
		return -1;
	}
	if (route->left != NULL) {
		if (*route->left != '\0')
			return 0;
		conf_wrong(parser->conf, &route->place, "an empty left side; "
		    "write @ for all other addresses");
		return -1;
	}
	if (route->count == 1 && route->targets[0].text[0] == '/')
		return 0;
	conf_wrong(parser->conf, &route->place, "file includes one path that "
	    "starts with /; for an account of that name write \"file\"");
	return -1;
}

/* Say which targets are none; their line stays, so that it decides still. */
static void
check_targets(struct parser *parser, const struct conf_route *route)
{
	struct target target;
	const char *why;
	size_t i;

	for (i = 0; route->left != NULL && i < route->count; i++) {
		if (target_parse(route->targets[i].text, &target, &why) == -1)
			conf_wrong(parser->conf, &route->targets[i].place,
			    "%s: %s", route->targets[i].text, why);
		else
			target_free(&target);
	}
}

/* left [=] target, target ...  or  file "path" */
static void
parse_route(struct parser *parser)
{
	struct conf_cursor *cursor = &parser->cursor;
	struct conf_route *route;
	struct conf_token token;
	const char *before;
	int got;

	route = conf_lex_need(calloc(1, sizeof(*route)));
	route->place = place_here(parser);
	if (conf_lex_word(cursor, STOP_BLANK, &token) == -1) {
		complain_of_lexer(parser);
		goto fail;
	}
	route->left = token.text;
	before = cursor->at;
	conf_lex_equals(cursor, true);
	if (!token.quoted && strcasecmp(route->left, "file") == 0 &&
	    (cursor->at == before || cursor->at[-1] != '=')) {
		free(route->left);
		route->left = NULL;
	}
	while ((got = conf_lex_target(cursor, &token)) == 1)
		add_word(&route->targets, &route->count, &token,
		    place_at(parser, token.column));
	if (got == -1) {
		complain_of_lexer(parser);
		goto fail;
	}
	if (check_route(parser, route) == -1)
		goto fail;
	check_targets(parser, route);
	TAILQ_INSERT_TAIL(&parser->section->routes, route, entry);
	return;
fail:
	while (route->count > 0)
		free(route->targets[--route->count].text);
	free(route->targets);
	free(route->left);
	free(route);
}

/* The first control character of the line but tabs, NULL if none. */
static const char *
find_control(const struct conf_cursor *cursor)
{
	const char *at;

	for (at = cursor->start; at < cursor->end; at++)
		if (iscntrl((unsigned char)*at) && *at != '\t')
			return at;
	return NULL;
}

static void
parse_line(struct parser *parser)
{
	struct conf_cursor *cursor = &parser->cursor;
	const char *control;
	struct conf_place place;

	if (conf_lex_at_end(cursor))
		return;
	if ((control = find_control(cursor)) != NULL) {
		cursor->at = control;
		place = place_here(parser);
		conf_wrong(parser->conf, &place, "a control character; take "
		    "it out");
		return;
	}
	if (conf_lex_is_header(cursor)) {
		place = place_here(parser);
		if (!parser->table)
			parse_header(parser);
		else
			conf_wrong(parser->conf, &place, "a table holds "
			    "routes only; sections belong into the main file");
		return;
	}
	if (parser->skipping)
		return;
	if (parser->section == NULL)
		parser->section = open_section(parser, "route", "", 1);
	if (strcmp(parser->section->type, "route") == 0)
		parse_route(parser);
	else
		parse_setting(parser);
}

static int
compare_routes(const void *a, const void *b)
{
	const struct conf_route *const *left = a, *const *right = b;
	int order = strcasecmp((*left)->left, (*right)->left);

	return order != 0 ? order :
	    ((*left)->place.line > (*right)->place.line) -
	    ((*left)->place.line < (*right)->place.line);
}

/* A left side stands once in a table. */
static void
check_unique(struct conf *conf, const struct conf_section *section)
{
	struct conf_route *route, **sorted;
	size_t count = 0, i;

	TAILQ_FOREACH(route, &section->routes, entry)
		count += route->left != NULL;
	if (count < 2)
		return;
	sorted = conf_lex_need(calloc(count, sizeof(*sorted)));
	i = 0;
	TAILQ_FOREACH(route, &section->routes, entry)
		if (route->left != NULL)
			sorted[i++] = route;
	qsort(sorted, count, sizeof(*sorted), compare_routes);
	for (i = 1; i < count; i++)
		if (strcasecmp(sorted[i - 1]->left, sorted[i]->left) == 0)
			conf_wrong(conf, &sorted[i]->place, "%s stands here a "
			    "second time, first at %s:%d; put all targets on "
			    "one line", sorted[i]->left,
			    sorted[i - 1]->place.file,
			    sorted[i - 1]->place.line);
	free(sorted);
}

static struct conf *
conf_new(const char *file, FILE *errors)
{
	struct conf *conf = conf_lex_need(calloc(1, sizeof(*conf)));

	TAILQ_INIT(&conf->sections);
	conf->errors = errors;
	conf->files = conf_lex_need(calloc(1, sizeof(*conf->files)));
	conf->files[conf->file_count++] = conf_lex_need(strdup(file));
	return conf;
}

static void
parse_text(struct conf *conf, const char *text, size_t length, bool table)
{
	struct parser parser = { .conf = conf, .file = conf->files[0],
	    .table = table };
	const char *end = text + length, *newline, *stop;
	struct conf_section *section;

	for (; text < end; text = newline + 1) {
		parser.line++;
		if ((newline = memchr(text, '\n', end - text)) == NULL)
			newline = end;
		stop = newline;
		if (stop > text && stop[-1] == '\r')
			stop--;
		parser.cursor = (struct conf_cursor){ text, text, stop, NULL };
		parse_line(&parser);
	}
	TAILQ_FOREACH(section, &conf->sections, entry)
		check_unique(conf, section);
}

struct conf *
conf_parse(const char *file, const char *text, size_t length, FILE *errors)
{
	struct conf *conf = conf_new(file, errors);

	parse_text(conf, text, length, false);
	return conf;
}

struct conf *
conf_parse_table(const char *file, const char *text, size_t length,
    FILE *errors)
{
	struct conf *conf = conf_new(file, errors);

	parse_text(conf, text, length, true);
	return conf;
}

/* All of a file in memory, to be freed; NULL with errno. */
static char *
read_whole(int fd, size_t *length)
{
	size_t size = 0;
	char *text = NULL;
	ssize_t got;

	*length = 0;
	do {
		if (*length == size) {
			size = size == 0 ? 16384 : 2 * size;
			text = conf_lex_need(realloc(text, size));
		}
		got = read(fd, text + *length, size - *length);
		if (got > 0)
			*length += got;
	} while (got > 0 || (got == -1 && errno == EINTR));
	if (got == 0)
		return text;
	free(text);
	return NULL;
}

struct conf *
conf_read(const char *file, FILE *errors)
{
	struct conf *conf = conf_new(file, errors);
	struct conf_place place = { conf->files[0], 1, 1 };
	char *text = NULL;
	size_t length;
	int fd;

	if ((fd = open(file, O_RDONLY | O_CLOEXEC)) == -1 ||
	    (text = read_whole(fd, &length)) == NULL)
		conf_lacking(conf, &place, "cannot read it: %s",
		    strerror(errno));
	else
		parse_text(conf, text, length, false);
	if (fd != -1)
		close(fd);
	free(text);
	return conf;
}
