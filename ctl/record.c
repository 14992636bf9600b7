/*
 * Records, as spoold sends what it knows: lines "key: value" in groups that
 * an empty line parts.  A group that begins with certain keys is an element
 * of a list, a line that begins with two blanks belongs to an attempt, one
 * that begins with > is text.  Shown to people with the keys in a column, or
 * as one JSON object.  Nothing in a value breaks either.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "ctl.h"

#define KEY_WIDTH	13		/* of people's column of keys */
#define KEY_MAX		32
#define VALUE_MAX	4096
#define TIME_DIGITS	12		/* of seconds; more are no time */

enum value_kind { VALUE_TEXT, VALUE_NUMBER, VALUE_TIME };

static const struct {
	const char	*key;
	enum value_kind	 kind;
} kinds[] = {
	{ "active", VALUE_NUMBER }, { "arrival", VALUE_TIME },
	{ "attempt", VALUE_NUMBER }, { "attempts", VALUE_NUMBER },
	{ "deaths", VALUE_NUMBER }, { "expanded-from", VALUE_NUMBER },
	{ "expires", VALUE_TIME }, { "messages", VALUE_NUMBER },
	{ "next", VALUE_TIME }, { "not-shown", VALUE_NUMBER },
	{ "notice-due", VALUE_TIME }, { "oldest", VALUE_TIME },
	{ "port", VALUE_NUMBER }, { "recipient", VALUE_NUMBER },
	{ "recipients", VALUE_NUMBER }, { "size", VALUE_NUMBER },
	{ "time", VALUE_TIME }, { "tried", VALUE_TIME },
	{ "uid", VALUE_NUMBER }, { "waiting", VALUE_NUMBER },
};

/* Keys whose groups are elements; the list has their name and an s. */
static const char *const lists[] = { "recipient", "lane", "reason" };

struct line {
	bool	 is_empty;
	bool	 is_text;		/* value only */
	bool	 is_nested;
	char	 key[KEY_MAX];
	char	 value[VALUE_MAX];
};

/* Take the next line; false at the end. */
static bool
next_line(const char **at, const char *end, struct line *line)
{
	const char	*text = *at, *stop, *colon;
	size_t		 length;

	if (text >= end)
		return false;
	if ((stop = memchr(text, '\n', (size_t)(end - text))) == NULL)
		stop = end;
	*at = stop + 1;
	memset(line, 0, sizeof(*line));
	line->is_empty = text == stop;
	line->is_text = text < stop && *text == '>';
	line->is_nested = stop - text > 2 && memcmp(text, "  ", 2) == 0;
	if (line->is_text)
		text += stop - text > 1 && text[1] == ' ' ? 2 : 1;
	else if (line->is_nested)
		text += 2;
	colon = line->is_text ? NULL : memchr(text, ':',
	    (size_t)(stop - text));
	if (colon != NULL && (size_t)(colon - text) < sizeof(line->key)) {
		memcpy(line->key, text, (size_t)(colon - text));
		text = colon + 1;
		if (text < stop && *text == ' ')
			text++;
	} else
		line->is_text = line->is_text || text < stop;
	length = (size_t)(stop - text);
	if (length >= sizeof(line->value))
		length = sizeof(line->value) - 1;
	memcpy(line->value, text, length);
	return true;
}

/* What a value is; one that is not what its key promises is text. */
static enum value_kind
kind_of(const struct line *line)
{
	size_t	digits = strspn(line->value, "0123456789");

	if (digits == 0 || digits > 18 || line->value[digits] != '\0' ||
	    (line->value[0] == '0' && digits > 1))
		return VALUE_TEXT;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].key, line->key) == 0)
			return kinds[i].kind == VALUE_TIME &&
			    digits > TIME_DIGITS ? VALUE_TEXT : kinds[i].kind;
	return VALUE_TEXT;
}

static const char *
list_of(const struct line *line)
{
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (strcmp(lists[i], line->key) == 0)
			return lists[i];
	return NULL;
}

/* ---- for people ---- */

static void
print_duration(uint64_t length, char *text, size_t size)
{
	static const struct {
		uint64_t	 unit;
		const char	*name;
	} units[] = {
		{ DAY, "d" }, { HOUR, "h" }, { MINUTE, "min" }, { SECOND, "s" }
	};
	size_t	 i = 0, last = sizeof(units) / sizeof(units[0]) - 1, used;
	uint64_t rest;

	while (i < last && length < 2 * units[i].unit)
		i++;
	used = (size_t)snprintf(text, size, "%" PRIu64 " %s", length /
	    units[i].unit, units[i].name);
	if (i == last || used >= size)
		return;
	rest = length % units[i].unit / units[i + 1].unit;
	if (rest > 0)
		snprintf(text + used, size - used, " %" PRIu64 " %s", rest,
		    units[i + 1].name);
}

void
record_time(FILE *out, int64_t when, int64_t now)
{
	/* Any two times are less than 2^64 us apart, but not 2^63. */
	uint64_t	apart = (uint64_t)when - (uint64_t)now;
	char		date[32], length[32];

	clock_date(when, date, sizeof(date));
	print_duration(when > now ? apart : -apart, length, sizeof(length));
	fprintf(out, when > now ? "%s (in %s)" : "%s (%s ago)", date, length);
}

/* An octet that a terminal shows, and does not take for a command. */
static char
shown(char octet)
{
	return (unsigned char)octet < ' ' || octet == 127 ? '?' : octet;
}

void
record_text(FILE *out, const char *text)
{
	for (; *text != '\0'; text++)
		putc(shown(*text), out);
}

void
record_clean(char *text)
{
	for (; *text != '\0'; text++)
		*text = shown(*text);
}

void
record_lines(FILE *out, const char *text, size_t length)
{
	for (; length > 0; length--, text++)
		putc(*text == '\n' ? '\n' : shown(*text), out);
}

/* The key, at the right of its column. */
static void
print_key(FILE *out, const struct line *line)
{
	size_t	width = line->is_nested ? 2 * KEY_WIDTH : KEY_WIDTH;
	size_t	length = strlen(line->key);

	for (; length < width; length++)
		putc(' ', out);
	record_text(out, line->key);
	fputs(": ", out);
}

void
record_print(FILE *out, const char *text, size_t length, int64_t now)
{
	const char	*end = text + length;
	struct line	 line;

	while (next_line(&text, end, &line)) {
		if (line.is_text)
			fprintf(out, "%*s", KEY_WIDTH + 2, "");
		else if (!line.is_empty)
			print_key(out, &line);
		if (!line.is_text && kind_of(&line) == VALUE_TIME)
			record_time(out, strtoll(line.value, NULL, 10) *
			    SECOND, now);
		else
			record_text(out, line.value);
		putc('\n', out);
	}
}

/* ---- as JSON ---- */

/* What is open, from the outside in. */
struct json {
	FILE		*out;
	const char	*list;		/* of groups, or NULL */
	bool		 in_element;
	bool		 in_text;	/* the array "text" */
	bool		 in_history;	/* the array "history" */
	bool		 in_attempt;
	bool		 has_member;	/* of the innermost object or array */
};

static void
separate(struct json *json)
{
	if (json->has_member)
		fputs(", ", json->out);
	json->has_member = true;
}

static void
open_array(struct json *json, const char *name, const char *plural)
{
	separate(json);
	fprintf(json->out, "\"%s%s\": [", name, plural);
	json->has_member = false;
}

static void
end_attempts(struct json *json)
{
	if (json->in_attempt)
		putc('}', json->out);
	if (json->in_history)
		putc(']', json->out);
	json->has_member = json->has_member || json->in_history;
	json->in_attempt = json->in_history = false;
}

static void
end_text(struct json *json)
{
	if (json->in_text) {
		putc(']', json->out);
		json->has_member = true;
	}
	json->in_text = false;
}

/* A group ends; its list goes on if the next is of the same kind. */
static void
end_group(struct json *json, const char *next_list)
{
	end_text(json);
	end_attempts(json);
	if (json->in_element) {
		putc('}', json->out);
		json->has_member = true;
	}
	json->in_element = false;
	if (json->list != NULL && json->list != next_list) {
		putc(']', json->out);
		json->has_member = true;
		json->list = NULL;
	}
}

static void
begin_element(struct json *json, const char *list)
{
	if (json->list == NULL)
		open_array(json, list, "s");
	json->list = list;
	separate(json);
	putc('{', json->out);
	json->in_element = true;
	json->has_member = false;
}

static void
begin_attempt(struct json *json)
{
	if (json->in_attempt) {
		putc('}', json->out);
		json->has_member = true;
	}
	if (!json->in_history)
		open_array(json, "history", "");
	json->in_history = true;
	separate(json);
	putc('{', json->out);
	json->in_attempt = true;
	json->has_member = false;
}

static void
put_text(struct json *json, const char *value)
{
	if (!json->in_text) {
		end_attempts(json);
		open_array(json, "text", "");
	}
	json->in_text = true;
	separate(json);
	json_string(json->out, value);
}

static void
put_member(struct json *json, const struct line *line)
{
	char	key[KEY_MAX];
	size_t	i;

	end_text(json);
	if (line->is_nested && (!json->in_attempt ||
	    strcmp(line->key, "attempt") == 0))
		begin_attempt(json);
	else if (!line->is_nested)
		end_attempts(json);
	for (i = 0; line->key[i] != '\0'; i++)
		key[i] = line->key[i] == '-' ? '_' : line->key[i];
	key[i] = '\0';
	separate(json);
	json_string(json->out, key);
	fputs(": ", json->out);
	if (kind_of(line) == VALUE_TEXT)
		json_string(json->out, line->value);
	else
		fputs(line->value, json->out);
}

void
record_json(FILE *out, const char *text, size_t length)
{
	struct json	 json = { .out = out };
	const char	*end = text + length, *list;
	struct line	 line;
	bool		 starts = false;	/* a group */

	putc('{', out);
	while (next_line(&text, end, &line)) {
		if (line.is_empty) {
			starts = true;
			continue;
		}
		if (starts) {
			list = line.is_text || line.is_nested ? NULL :
			    list_of(&line);
			end_group(&json, list);
			if (list != NULL)
				begin_element(&json, list);
			starts = false;
		}
		if (line.is_text)
			put_text(&json, line.value);
		else
			put_member(&json, &line);
	}
	end_group(&json, NULL);
	fputs("}\n", out);
}
