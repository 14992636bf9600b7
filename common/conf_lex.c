/*
 * Words and targets on one line of a configuration: where they end, what
 * quotes mean, where a comment begins.
 */
#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf_lex.h"

void *
conf_lex_need(void *memory)
{
	if (memory == NULL)
		err(1, "configuration");
	return memory;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* A comment starts at the start of the line or after a blank. */
static bool
is_comment(const struct conf_cursor *cursor, const char *at)
{
	return *at == '#' && (at == cursor->start || is_blank(at[-1]));
}

bool
conf_lex_at_end(struct conf_cursor *cursor)
{
	while (cursor->at < cursor->end && is_blank(*cursor->at))
		cursor->at++;
	return cursor->at == cursor->end || is_comment(cursor, cursor->at);
}

void
conf_lex_equals(struct conf_cursor *cursor, bool lone)
{
	if (conf_lex_at_end(cursor) || *cursor->at != '=')
		return;
	if (lone && cursor->at + 1 < cursor->end && !is_blank(cursor->at[1]))
		return;
	cursor->at++;
}

/* Is this an escape of a quote or of a backslash? */
static bool
is_escape(const char *at, const char *end)
{
	return *at == '\\' && at + 1 < end && (at[1] == '"' || at[1] == '\\');
}

static bool
stops(char c, enum conf_stop stop)
{
	return is_blank(c) || (stop == STOP_EQUALS && c == '=') ||
	    (stop == STOP_COMMA && c == ',') ||
	    (stop == STOP_BRACKET && c == ']');
}

/* Copy a quoted part to *to; the cursor stands on its quote. */
static int
copy_quoted(struct conf_cursor *cursor, char **to)
{
	for (cursor->at++; cursor->at < cursor->end; cursor->at++) {
		if (*cursor->at == '"') {
			cursor->at++;
			return 0;
		}
		if (is_escape(cursor->at, cursor->end))
			cursor->at++;
		*(*to)++ = *cursor->at;
	}
	cursor->why = "a quote is not closed; put \" at the end of the string";
	return -1;
}

int
conf_lex_word(struct conf_cursor *cursor, enum conf_stop stop,
    struct conf_token *token)
{
	char *to;

	memset(token, 0, sizeof(*token));
	if (conf_lex_at_end(cursor))
		return 0;
	while (stop == STOP_COMMA && *cursor->at == ',') {
		cursor->at++;
		if (conf_lex_at_end(cursor))
			return 0;
	}
	if (stop == STOP_BRACKET && *cursor->at == ']')
		return 0;
	token->column = cursor->at - cursor->start + 1;
	token->quoted = *cursor->at == '"';
	token->text = to = conf_lex_need(malloc(cursor->end - cursor->at + 1));
	while (cursor->at < cursor->end && !stops(*cursor->at, stop)) {
		if (*cursor->at != '"')
			*to++ = *cursor->at++;
		else if (copy_quoted(cursor, &to) == -1) {
			free(token->text);
			token->text = NULL;
			return -1;
		}
	}
	*to = '\0';
	return 1;
}

/* Find the end of the quoted part that begins at the cursor; NULL if none. */
static const char *
skip_quoted(const struct conf_cursor *cursor, const char *at)
{
	char quote = *at;

	for (at++; at < cursor->end; at++) {
		if (*at == quote)
			return at + 1;
		if (quote == '"' && is_escape(at, cursor->end))
			at++;
	}
	return NULL;
}

/*
 * Find the end of a target that begins at the cursor; NULL if it has none.
 * Parentheses nest; in pipe( single quotes and backslashes quote, too.
 */
static const char *
skip_target(struct conf_cursor *cursor)
{
	const char *at = cursor->at;
	bool command = cursor->end - at > 5 && strncasecmp(at, "pipe(", 5) == 0;
	int depth = 0;

	while (at < cursor->end) {
		if (*at == '"' || (*at == '\'' && command)) {
			if ((at = skip_quoted(cursor, at)) == NULL) {
				cursor->why = "a quote is not closed on this "
				    "line";
				return NULL;
			}
			continue;
		}
		if (depth == 0 && (is_blank(*at) || *at == ','))
			break;
		if (*at == '\\' && command && at + 1 < cursor->end)
			at++;
		else if (*at == '(')
			depth++;
		else if (*at == ')' && --depth < 0) {
			cursor->why = "a ) without its (";
			return NULL;
		}
		at++;
	}
	if (depth > 0) {
		cursor->why = "a ( is not closed on this line; put ) at the "
		    "end of the call";
		return NULL;
	}
	return at;
}

/* A copy of a target; without quotes if it is one quoted string. */
static char *
copy_target(const struct conf_cursor *cursor, const char *end)
{
	struct conf_cursor inner = *cursor;
	char *copy, *to;

	copy = to = conf_lex_need(malloc(end - cursor->at + 1));
	if (*cursor->at == '"' && skip_quoted(cursor, cursor->at) == end) {
		copy_quoted(&inner, &to);
	} else {
		memcpy(copy, cursor->at, end - cursor->at);
		to += end - cursor->at;
	}
	*to = '\0';
	return copy;
}

int
conf_lex_target(struct conf_cursor *cursor, struct conf_token *token)
{
	const char *end;

	memset(token, 0, sizeof(*token));
	if (conf_lex_at_end(cursor))
		return 0;
	if (*cursor->at == ',') {
		cursor->why = "a comma without a target before it";
		return -1;
	}
	if ((end = skip_target(cursor)) == NULL)
		return -1;
	token->column = cursor->at - cursor->start + 1;
	token->quoted = *cursor->at == '"';
	token->text = copy_target(cursor, end);
	cursor->at = end;
	if (conf_lex_at_end(cursor))
		return 1;
	cursor->why = NULL;
	if (*cursor->at != ',')
		cursor->why = "targets of a list are parted by commas";
	else {
		cursor->at++;
		if (conf_lex_at_end(cursor))
			cursor->why = "no target behind the last comma";
	}
	if (cursor->why != NULL) {
		free(token->text);
		token->text = NULL;
		return -1;
	}
	return 1;
}

bool
conf_lex_is_header(const struct conf_cursor *cursor)
{
	const char *at, *next, *last = NULL;

	if (cursor->at == cursor->end || *cursor->at != '[')
		return false;
	for (at = cursor->at; at < cursor->end && !is_comment(cursor, at);
	    at = next) {
		next = at + 1;
		if (*at == '"' && (next = skip_quoted(cursor, at)) == NULL)
			return cursor->end[-1] == ']';
		if (!is_blank(*at))
			last = at;
	}
	return *last == ']';
}

bool
conf_lex_is_bare(const char *text, enum conf_stop stop)
{
	if (*text == '\0' || *text == '#' || *text == '=')
		return false;
	for (; *text != '\0'; text++)
		if (stops(*text, stop) || *text == '"')
			return false;
	return true;
}

bool
conf_lex_is_bare_target(const char *text)
{
	struct conf_cursor cursor = { text, text, text + strlen(text), NULL };
	struct conf_token token;
	bool same;

	if (*text == '=' || *text == '#' || conf_lex_target(&cursor,
	    &token) != 1)
		return false;
	same = cursor.at == cursor.end && strcmp(token.text, text) == 0;
	free(token.text);
	return same;
}
