/*
 * The parser of alias lists: text becomes members with their places.  What
 * is wrong is complained of and left out; the rest is still read.  Opens
 * nothing and looks nothing up.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "address.h"
#include "aliases.h"
#include "log.h"

#define COMPLAINT_MAX	512

/* Where we are: in one line at a time. */
struct reader {
	const char	*next;		/* the line after this one */
	const char	*limit;		/* end of all text */
	const char	*start;		/* of this line */
	const char	*at;
	const char	*end;		/* of this line, without its blank */
	int		 line;
	alias_complain_fn complain;
	void		*context;
	int		 wrong;
};

static void *
need(void *memory)
{
	if (memory == NULL)
		fatal("reading a list of addresses");
	return memory;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

__attribute__((format(printf, 4, 5)))
static void
complain(struct reader *reader, int line, int column, const char *format, ...)
{
	char text[COMPLAINT_MAX];
	va_list arguments;

	reader->wrong++;
	if (reader->complain == NULL)
		return;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	reader->complain(reader->context, line, column, text);
}

static int
column_of(const struct reader *reader, const char *at)
{
	return (int)(at - reader->start) + 1;
}

/* Complain of what stands at a place in this line. */
static void
complain_at(struct reader *reader, const char *at, const char *what)
{
	complain(reader, reader->line, column_of(reader, at), "%s", what);
}

static void
reader_start(struct reader *reader, const char *text, size_t length,
    alias_complain_fn fn, void *context)
{
	memset(reader, 0, sizeof(*reader));
	reader->next = text;
	reader->limit = text + length;
	reader->complain = fn;
	reader->context = context;
}

/* Does the line hold an octet that no list needs? */
static bool
has_control(struct reader *reader)
{
	const char *at;

	for (at = reader->start; at < reader->end; at++) {
		if (((unsigned char)*at >= ' ' && *at != 0x7f) ||
		    is_blank(*at))
			continue;
		complain_at(reader, at, "a control character; take it out");
		return true;
	}
	return false;
}

/*
 * Go on to the next line that says anything; at stands on its first octet
 * that is not blank.
 */
static bool
next_line(struct reader *reader)
{
	const char *end;

	while (reader->next < reader->limit) {
		reader->start = reader->at = reader->next;
		reader->line++;
		end = memchr(reader->start, '\n',
		    (size_t)(reader->limit - reader->start));
		if (end == NULL)
			end = reader->limit;
		reader->next = end + 1;
		while (end > reader->start && is_blank(end[-1]))
			end--;
		reader->end = end;
		while (reader->at < end && is_blank(*reader->at))
			reader->at++;
		if (reader->at < end && *reader->at != '#' &&
		    !has_control(reader))
			return true;
	}
	return false;
}

/* Skip a comment in parentheses, which may nest.  Returns 0 or -1. */
static int
skip_comment(struct reader *reader)
{
	const char *open = reader->at;
	int depth = 0;

	for (; reader->at < reader->end; reader->at++) {
		if (*reader->at == '\\' && reader->at + 1 < reader->end)
			reader->at++;
		else if (*reader->at == '(')
			depth++;
		else if (*reader->at == ')' && --depth == 0) {
			reader->at++;
			return 0;
		}
	}
	complain_at(reader, open, "a comment that is not closed; add a )");
	return -1;
}

/* Copy a quoted string with its quotes.  Returns 0 or -1. */
static int
copy_quoted(struct reader *reader, char **to)
{
	const char *open = reader->at;

	*(*to)++ = *reader->at++;
	while (reader->at < reader->end) {
		if (*reader->at == '\\' && reader->at + 1 < reader->end)
			*(*to)++ = *reader->at++;
		else if (*reader->at == '"') {
			*(*to)++ = *reader->at++;
			return 0;
		}
		*(*to)++ = *reader->at++;
	}
	complain_at(reader, open, "a quote that is not closed; add a \"");
	return -1;
}

/*
 * Copy one member as it stands, without its comments, up to a comma or the
 * end of the line.  Parentheses that follow a word are a call's.
 */
static int
copy_member(struct reader *reader, char *to)
{
	const char *start = to;
	bool program;
	int depth = 0;

	while (reader->at < reader->end) {
		program = to > start && *start == '|';
		if (*reader->at == '"') {
			if (copy_quoted(reader, &to) == -1)
				return -1;
			continue;
		}
		if (*reader->at == ',' && depth == 0)
			break;
		if (*reader->at == '(' && depth == 0 && !program &&
		    (to == start || is_blank(to[-1]) || to[-1] == '>')) {
			if (skip_comment(reader) == -1)
				return -1;
			continue;
		}
		if (to == start && is_blank(*reader->at)) {
			reader->at++;
			continue;
		}
		if (*reader->at == '\\' && reader->at + 1 < reader->end)
			*to++ = *reader->at++;
		else if (*reader->at == '(' && !program)
			depth++;
		else if (*reader->at == ')' && depth > 0)
			depth--;
		*to++ = *reader->at++;
	}
	while (to > start && is_blank(to[-1]))
		to--;
	*to = '\0';
	return 0;
}

/* The first of these octets outside of quotes and parentheses, or NULL. */
static const char *
find_bare(const char *text, const char *octets)
{
	bool quoted = false;
	int depth = 0;

	for (; *text != '\0'; text++) {
		if (*text == '\\' && text[1] != '\0')
			text++;
		else if (*text == '"')
			quoted = !quoted;
		else if (quoted)
			continue;
		else if (*text == '(')
			depth++;
		else if (*text == ')')
			depth--;
		else if (depth == 0 && strchr(octets, *text) != NULL)
			return text;
	}
	return NULL;
}

/*
 * What is meant by "Phrase <address>": the address.  Returns NULL if the
 * member makes no sense, with *why.
 */
static char *
strip_phrase(char *text, const char **why)
{
	const char *found;
	char *open;
	size_t length;

	if (*text == '|')
		return text;
	if ((found = find_bare(text, "<")) != NULL) {
		open = text + (found - text);
		length = strlen(open);
		if (open[length - 1] != '>' || length < 3) {
			*why = "an address that opens with < ends with >";
			return NULL;
		}
		open[length - 1] = '\0';
		text = open + 1;
	}
	if (strncasecmp(text, ":include:", 9) != 0 &&
	    find_bare(text, " \t") != NULL) {
		*why = "two words without a comma between them";
		return NULL;
	}
	return text;
}

/* Is this target's address, if it has one, an address? */
static bool
target_is_sound(const struct target *target)
{
	struct address address;

	if (target->kind == TARGET_ADDRESS)
		return address_parse(target->text, &address) == ADDRESS_OK;
	if (target->kind == TARGET_DOMAIN)
		return address_is_domain(target->text + 1) ||
		    address_is_literal(target->text + 1);
	return true;
}

/* Read the member at hand into the list.  Returns 0 or -1, complained of. */
static int
read_member(struct reader *reader, struct alias_list *list)
{
	const char *start = reader->at, *why;
	struct alias_member *member;
	struct target target;
	char *buffer, *text;
	int result = -1;

	buffer = need(malloc((size_t)(reader->end - reader->at) + 1));
	if (copy_member(reader, buffer) == -1)
		goto out;
	if (*buffer == '\0') {
		result = 0;
		goto out;
	}
	if ((text = strip_phrase(buffer, &why)) == NULL ||
	    target_parse_member(text, &target, &why) == -1) {
		complain_at(reader, start, why);
		goto out;
	}
	if (!target_is_sound(&target)) {
		complain(reader, reader->line, column_of(reader, start),
		    "%s is no address", target.text);
		target_free(&target);
		goto out;
	}
	list->members = need(reallocarray(list->members, list->count + 1,
	    sizeof(*list->members)));
	member = &list->members[list->count++];
	member->target = target;
	member->line = reader->line;
	member->column = column_of(reader, start);
	result = 0;
out:
	free(buffer);
	return result;
}

/*
 * Read the members on the rest of this line.  What stands behind one that
 * makes no sense is left out.  Returns 0 or -1, complained of.
 */
static int
read_members(struct reader *reader, struct alias_list *list)
{
	for (;;) {
		while (reader->at < reader->end &&
		    (is_blank(*reader->at) || *reader->at == ','))
			reader->at++;
		if (reader->at >= reader->end)
			return 0;
		if (read_member(reader, list) == -1)
			return -1;
	}
}

int
alias_list_parse(const char *text, size_t length, alias_complain_fn fn,
    void *context, struct alias_list *list)
{
	struct reader reader;

	memset(list, 0, sizeof(*list));
	reader_start(&reader, text, length, fn, context);
	while (next_line(&reader))
		(void)read_members(&reader, list);
	return reader.wrong;
}

void
alias_list_free(struct alias_list *list)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		target_free(&list->members[i].target);
	free(list->members);
	memset(list, 0, sizeof(*list));
}

/* Read the name and its colon.  NULL if there is none, complained of. */
static char *
read_name(struct reader *reader)
{
	const char *start = reader->at, *end;
	char *name;

	if (*start == '"') {
		start++;
		end = memchr(start, '"', (size_t)(reader->end - start));
		reader->at = end == NULL ? reader->end : end + 1;
	} else {
		end = start;
		while (end < reader->end && *end != ':' && !is_blank(*end))
			end++;
		reader->at = end;
	}
	while (reader->at < reader->end && is_blank(*reader->at))
		reader->at++;
	if (end == NULL || end == start || reader->at == reader->end ||
	    *reader->at != ':') {
		complain_at(reader, reader->start,
		    "no alias; write name: member, member");
		return NULL;
	}
	reader->at++;
	name = need(strndup(start, (size_t)(end - start)));
	if (strchr(name, '@') != NULL) {
		complain_at(reader, reader->start, "an alias is a name without "
		    "a domain; a [route] line takes user@domain");
		free(name);
		return NULL;
	}
	return name;
}

/* Begin the entry of this name. */
static struct alias *
add_entry(struct aliases *aliases, struct reader *reader, char *name)
{
	struct alias *entry;

	/* Doubled at powers of two. */
	if ((aliases->count & (aliases->count - 1)) == 0)
		aliases->entries = need(reallocarray(aliases->entries,
		    aliases->count == 0 ? 1 : 2 * aliases->count,
		    sizeof(*aliases->entries)));
	entry = &aliases->entries[aliases->count++];
	memset(entry, 0, sizeof(*entry));
	entry->name = name;
	entry->line = reader->line;
	entry->column = 1;
	return entry;
}

static void
entry_free(struct alias *entry)
{
	free(entry->name);
	alias_list_free(&entry->list);
}

/* An entry is over: has it members? */
static void
end_entry(struct reader *reader, struct alias *entry)
{
	if (entry == NULL || entry->list.count > 0 || entry->broken)
		return;
	entry->broken = true;
	complain(reader, entry->line, entry->column, "\"%s\" has no members",
	    entry->name);
}

static int
compare_entries(const void *a, const void *b)
{
	const struct alias *left = a, *right = b;
	int order = strcasecmp(left->name, right->name);

	return order != 0 ? order : left->line - right->line;
}

/* Sort by name; of those that stand twice the first holds. */
static void
sort_entries(struct aliases *aliases, struct reader *reader)
{
	struct alias *last, *entry;
	size_t i, kept;

	if (aliases->count == 0)
		return;
	qsort(aliases->entries, aliases->count, sizeof(*aliases->entries),
	    compare_entries);
	for (i = kept = 1; i < aliases->count; i++) {
		entry = &aliases->entries[i];
		last = &aliases->entries[kept - 1];
		if (strcasecmp(entry->name, last->name) != 0) {
			aliases->entries[kept++] = *entry;
			continue;
		}
		complain(reader, entry->line, entry->column, "\"%s\" stands "
		    "here a second time, first in line %d; keep one",
		    entry->name, last->line);
		entry_free(entry);
	}
	aliases->count = kept;
}

struct aliases *
aliases_parse(const char *text, size_t length, alias_complain_fn fn,
    void *context)
{
	struct aliases *aliases = need(calloc(1, sizeof(*aliases)));
	struct alias *entry = NULL;
	struct reader reader;
	bool orphan = true;	/* no entry to continue: complain */
	char *name;

	reader_start(&reader, text, length, fn, context);
	while (next_line(&reader)) {
		if (reader.at == reader.start) {
			end_entry(&reader, entry);
			entry = NULL;
			orphan = false;
			if ((name = read_name(&reader)) == NULL)
				continue;
			entry = add_entry(aliases, &reader, name);
		} else if (entry == NULL) {
			if (orphan)
				complain_at(&reader, reader.at, "a line that "
				    "starts with blank continues none");
			continue;
		}
		if (read_members(&reader, &entry->list) == -1)
			entry->broken = true;
	}
	end_entry(&reader, entry);
	sort_entries(aliases, &reader);
	aliases->wrong = reader.wrong;
	return aliases;
}

void
aliases_free(struct aliases *aliases)
{
	size_t i;

	if (aliases == NULL)
		return;
	for (i = 0; i < aliases->count; i++)
		entry_free(&aliases->entries[i]);
	free(aliases->entries);
	free(aliases);
}

static int
compare_name(const void *name, const void *entry)
{
	return strcasecmp(name, ((const struct alias *)entry)->name);
}

const struct alias *
aliases_find(const struct aliases *aliases, const char *name)
{
	if (aliases->count == 0)
		return NULL;
	return bsearch(name, aliases->entries, aliases->count,
	    sizeof(*aliases->entries), compare_name);
}
