/*
 * Reading the file of logins.  What was copied out of it is overwritten
 * before it is given back.
 */
#include <search.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf_lex.h"
#include "secretfile.h"
#include "wire.h"

#define WORDS	4

struct words {
	struct conf_token list[WORDS];
	size_t		 count;
};

/* Who has a login already; key and sender never hold a line's end. */
struct reader {
	secretfile_fn	 fn;
	void		*arg;
	void		*seen;		/* a tree of "key\nsender" */
};

static void
words_wipe(struct words *words)
{
	size_t i;

	for (i = 0; i < words->count; i++) {
		explicit_bzero(words->list[i].text,
		    strlen(words->list[i].text));
		free(words->list[i].text);
	}
	words->count = 0;
}

/* Is there an octet that no word may have? */
static const char *
octets_fault(const char *line, size_t length)
{
	unsigned char c;
	size_t i;

	for (i = 0; i < length; i++) {
		c = (unsigned char)line[i];
		if ((c < ' ' && c != '\t') || c == 0x7f)
			return "there is a control character in this line";
	}
	return NULL;
}

/* Take a line apart.  Returns NULL or what is wrong, and in which column. */
static const char *
split(const char *line, size_t length, struct words *words, int *column)
{
	struct conf_cursor cursor = { line, line, line + length, NULL };
	struct conf_token token;

	*column = 1;
	if (octets_fault(line, length) != NULL)
		return octets_fault(line, length);
	for (;;) {
		if (conf_lex_at_end(&cursor))
			return NULL;
		*column = (int)(cursor.at - line) + 1;
		if (words->count == WORDS)
			return "more words than key, sender, login and "
			    "password; quote a word with blanks or #";
		if (conf_lex_word(&cursor, STOP_BLANK, &token) != 1)
			return cursor.why;
		words->list[words->count++] = token;
	}
}

/* Is this user@domain or @domain? */
static bool
is_sender(const char *word)
{
	const char *at = strrchr(word, '@');

	return at != NULL && at[1] != '\0' && strlen(word) < WIRE_ADDRESS;
}

/* Make an entry of the words.  Returns NULL or what is wrong. */
static const char *
make_entry(const struct words *words, struct secretfile_entry *entry)
{
	const struct conf_token *list = words->list;
	size_t count = words->count;

	if (count < 3)
		return "a line is: key login password, or: key sender login "
		    "password";
	entry->key = list[0].text;
	entry->sender = count == WORDS ? list[1].text : "";
	entry->login = list[count - 2].text;
	entry->password = list[count - 1].text;
	if (*entry->key == '\0' || strlen(entry->key) >= WIRE_DOMAIN)
		return "the key is no name of a [relay] or a host";
	if (count == WORDS && !is_sender(entry->sender))
		return "the sender is neither user@domain nor @domain";
	if (*entry->login == '\0' || *entry->password == '\0')
		return "login and password must not be empty";
	if (strlen(entry->login) > SECRETFILE_WORD ||
	    strlen(entry->password) > SECRETFILE_WORD)
		return "login or password is too long";
	return NULL;
}

static int
compare(const void *a, const void *b)
{
	return strcasecmp(a, b);
}

/* Has an earlier line said this?  If not, remember it. */
static bool
is_again(struct reader *reader, const struct secretfile_entry *entry)
{
	char *text, **found;

	if (asprintf(&text, "%s\n%s", entry->key, entry->sender) == -1)
		text = NULL;
	conf_lex_need(text);
	found = conf_lex_need(tsearch(text, &reader->seen, compare));
	if (*found == text)
		return false;
	free(text);
	return true;
}

/* One line.  Returns NULL or what is wrong. */
static const char *
read_line(struct reader *reader, const char *line, size_t length, int number,
    int *column)
{
	struct words words = { .count = 0 };
	struct secretfile_entry entry = { .line = number };
	const char *why;

	if ((why = split(line, length, &words, column)) == NULL &&
	    words.count > 0) {
		*column = words.list[0].column;
		why = make_entry(&words, &entry);
		if (why == NULL && is_again(reader, &entry))
			why = "an earlier line has a login for the same, "
			    "which counts";
		if (why == NULL && reader->fn != NULL)
			reader->fn(&entry, reader->arg);
	}
	words_wipe(&words);
	return why;
}

int
secretfile_read(const char *name, const char *text, size_t length,
    secretfile_fn fn, void *arg, FILE *complaints)
{
	const char *end = text + length, *next, *why;
	struct reader reader = { .fn = fn, .arg = arg };
	int line = 0, wrong = 0, column;
	size_t size;

	for (; text < end; text = next) {
		line++;
		size = (size_t)(end - text);
		if ((next = memchr(text, '\n', size)) != NULL)
			size = (size_t)(next++ - text);
		else
			next = end;
		if (size > 0 && text[size - 1] == '\r')
			size--;
		why = read_line(&reader, text, size, line, &column);
		if (why == NULL)
			continue;
		wrong++;
		if (complaints != NULL)
			fprintf(complaints, "%s:%d:%d: %s\n", name, line,
			    column, why);
	}
	tdestroy(reader.seen, free);
	return wrong;
}
