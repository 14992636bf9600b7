/*
 * The header of a message, RFC 5322.  Fields are found where they stand and
 * address lists are walked, obsolete forms (section 4) included; whether an
 * address is any good is left to who must use it.
 */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "header.h"

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool
is_space(char c)
{
	return is_blank(c) || c == '\r' || c == '\n';
}

/* Does a line end here?  CRLF or LF; how long its end is. */
static size_t
line_end(const char *at, const char *end)
{
	if (at < end && *at == '\n')
		return 1;
	if (end - at >= 2 && at[0] == '\r' && at[1] == '\n')
		return 2;
	return 0;
}

/* Behind the last line of the field that begins at at. */
static const char *
field_end(const char *at, const char *end)
{
	for (;;) {
		if ((at = memchr(at, '\n', end - at)) == NULL)
			return end;
		at++;
		if (at == end || !is_blank(*at))
			return at;
	}
}

int
header_next(const char **text, size_t *length, struct header_field *field)
{
	const char	*at = *text, *end = *text + *length, *colon;

	if (at == end || line_end(at, end) != 0)
		return 0;
	while (at < end && *at > ' ' && *at < 127 && *at != ':')
		at++;
	for (colon = at; colon < end && is_blank(*colon); colon++)
		continue;
	if (at == *text || colon == end || *colon != ':')
		return -1;
	field->start = *text;
	field->name_length = at - *text;
	field->value = colon + 1;

	*text = field_end(colon, end);
	*length = end - *text;
	field->length = *text - field->start;

	end = *text;
	if (end > field->value && end[-1] == '\n')
		end--;
	if (end > field->value && end[-1] == '\r')
		end--;
	field->value_length = end - field->value;
	return 1;
}

bool
header_is(const struct header_field *field, const char *name)
{
	return strlen(name) == field->name_length &&
	    strncasecmp(field->start, name, field->name_length) == 0;
}

int
header_find(const char *text, size_t length, const char *name,
    struct header_field *field)
{
	while (header_next(&text, &length, field) == 1)
		if (header_is(field, name))
			return 0;
	return -1;
}

size_t
header_length(const char *text, size_t length, size_t *rest)
{
	struct header_field	 field;
	const char		*at = text, *end = text + length;

	while (header_next(&at, &length, &field) == 1)
		continue;
	if (rest != NULL)
		*rest = at - text + line_end(at, end);
	return at - text;
}

size_t
header_unfold(const struct header_field *field, char *copy, size_t size)
{
	const char	*at = field->value;
	const char	*end = field->value + field->value_length;
	size_t		 used = 0;

	while (at < end && is_space(*at))
		at++;
	while (end > at && is_space(end[-1]))
		end--;
	for (; at < end; at++) {
		if (*at == '\r' || *at == '\n')
			continue;
		if (used + 1 < size)
			copy[used] = *at;
		used++;
	}
	if (size > 0)
		copy[used < size ? used : size - 1] = '\0';
	return used;
}

void
header_list_begin(struct header_list *list, const char *value, size_t length)
{
	list->at = value;
	list->end = value + length;
}

/* Behind the comment that begins at at; the end if it is never closed. */
static const char *
skip_comment(const char *at, const char *end)
{
	int	depth = 0;

	for (; at < end; at++) {
		if (*at == '\\' && at + 1 < end)
			at++;
		else if (*at == '(')
			depth++;
		else if (*at == ')' && --depth == 0)
			return at + 1;
	}
	return end;
}

/* Behind blanks, folds and comments. */
static const char *
skip_cfws(const char *at, const char *end)
{
	while (at < end) {
		if (is_space(*at))
			at++;
		else if (*at == '(')
			at = skip_comment(at, end);
		else
			break;
	}
	return at;
}

/* Behind a quoted string or literal, which ends with close; NULL if open. */
static const char *
skip_quoted(const char *at, const char *end, char close)
{
	for (at++; at < end; at++) {
		if (*at == '\\' && at + 1 < end)
			at++;
		else if (*at == close)
			return at + 1;
	}
	return NULL;
}

/* Is this octet one of the characters of set?  NUL is in none. */
static bool
is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

static bool
is_special(char c)
{
	return is_space(c) || is_one_of(c, "()<>,;:@.\"[]");
}

/* Behind the word at at; NULL if it is quoted and never ends. */
static const char *
skip_word(const char *at, const char *end)
{
	if (*at == '"')
		return skip_quoted(at, end, '"');
	if (*at == '[')
		return skip_quoted(at, end, ']');
	while (at < end && !is_special(*at))
		at++;
	return at;
}

/* An address while it is put together. */
struct spec {
	struct header_mailbox	*mailbox;
	size_t	 used;
	bool	 has_at;
	bool	 after_word;	/* a second word cannot follow */
	bool	 bad;
};

static void
spec_begin(struct spec *spec, struct header_mailbox *mailbox, const char *at)
{
	memset(spec, 0, sizeof(*spec));
	spec->mailbox = mailbox;
	mailbox->address[0] = '\0';
	mailbox->behind = at;
}

/* Append text, without the line ends of folds. */
static void
spec_add(struct spec *spec, const char *at, const char *end)
{
	struct header_mailbox	*mailbox = spec->mailbox;

	for (; at < end; at++) {
		if (*at == '\r' || *at == '\n')
			continue;
		if (spec->used + 1 == sizeof(mailbox->address) ||
		    *at == '\0') {
			spec->bad = true;
			return;
		}
		mailbox->address[spec->used++] = *at;
		mailbox->address[spec->used] = '\0';
	}
}

/* Gather words, dots and the @ from at; returns where they end. */
static const char *
spec_gather(struct spec *spec, const char *at, const char *end)
{
	const char	*word;

	for (;;) {
		at = skip_cfws(at, end);
		if (at == end || is_one_of(*at, "<>,;:"))
			return at;
		word = at;
		if (*at == '@' || *at == '.') {
			if (*at == '@' && (spec->has_at || spec->used == 0))
				spec->bad = true;
			spec->has_at |= *at == '@';
			spec->after_word = false;
			at++;
		} else {
			if (spec->after_word)
				spec->bad = true;
			spec->after_word = true;
			if (*at == ')' || *at == ']') {
				spec->bad = true;
				at++;
			} else if ((at = skip_word(at, end)) == NULL) {
				spec->bad = true;
				at = end;
			}
		}
		if (!spec->bad)
			spec_add(spec, word, at);
		if (!spec->has_at)
			spec->mailbox->behind = at;
	}
}

/*
 * Behind a source route "@host,@host:", or where none begins.  It cannot hold
 * a <: each is looked behind once, however many there are.
 */
static const char *
skip_route(const char *at, const char *end)
{
	const char	*from = at;

	at = skip_cfws(at, end);
	if (at == end || *at != '@')
		return from;
	for (; at < end && !is_one_of(*at, "<>"); at++)
		if (*at == ':')
			return at + 1;
	return from;
}

/* Behind what stands after a closed <...>: up to the next item. */
static const char *
skip_trailing(const char *at, const char *end)
{
	const char	*word;

	while ((at = skip_cfws(at, end)) < end) {
		if (is_one_of(*at, ",;<"))
			break;
		if (is_special(*at) && *at != '"' && *at != '[')
			at++;
		else if ((word = skip_word(at, end)) == NULL)
			return end;
		else
			at = word;
	}
	return at;
}

int
header_list_next(struct header_list *list, struct header_mailbox *mailbox)
{
	struct spec	 spec;
	const char	*at = list->at, *end = list->end;
	bool		 angle = false;

	/* What stands before : names a group, what stands before < a person. */
	for (;;) {
		at = skip_cfws(at, end);
		if (at < end && (*at == ',' || *at == ';' || *at == '>')) {
			at++;
			continue;
		}
		if (at == end) {
			list->at = at;
			return 0;
		}
		spec_begin(&spec, mailbox, at);
		at = spec_gather(&spec, at, end);
		if (at == end || *at != ':')
			break;
		at++;
	}
	if (at < end && *at == '<') {
		angle = true;
		at = skip_route(at + 1, end);
		spec_begin(&spec, mailbox, at);
		at = spec_gather(&spec, at, end);
		if (at == end || *at != '>')
			spec.bad = true;
		else
			at = skip_trailing(at + 1, end);
	}
	list->at = at;
	mailbox->bare = spec.used > 0 && !spec.has_at;
	if (spec.used == 0)
		return spec.bad || !angle ? -1 : 1;
	if (mailbox->address[spec.used - 1] == '@')
		spec.bad = true;
	return spec.bad ? -1 : 1;
}

char *
header_qualify(const char *value, size_t length, const char *domain,
    size_t *new_length)
{
	struct header_list	 list;
	struct header_mailbox	 mailbox;
	const char		*from = value;
	char			*text, *to;
	size_t			 bare = 0;
	int			 more;

	header_list_begin(&list, value, length);
	while ((more = header_list_next(&list, &mailbox)) != 0)
		bare += more == 1 && mailbox.bare;
	if ((text = malloc(length + bare * (strlen(domain) + 1) + 1)) == NULL)
		return NULL;

	to = text;
	header_list_begin(&list, value, length);
	while ((more = header_list_next(&list, &mailbox)) != 0) {
		if (more != 1 || !mailbox.bare)
			continue;
		to = mempcpy(to, from, mailbox.behind - from);
		*to++ = '@';
		to = mempcpy(to, domain, strlen(domain));
		from = mailbox.behind;
	}
	to = mempcpy(to, from, value + length - from);
	*to = '\0';
	*new_length = to - text;
	return text;
}
