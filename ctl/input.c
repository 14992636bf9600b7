/*
 * Standard input becomes a message that SMTP can carry: every line ends in
 * CRLF, whatever ended it, NUL is gone, and between header and body there is
 * an empty line.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

/* A line as it was read, without its end. */
struct line {
	char	*text;
	size_t	 length;
	size_t	 size;
};

static int
line_add(struct line *line, int c)
{
	char	*bigger;
	size_t	 size;

	if (line->length == line->size) {
		size = line->size == 0 ? 1024 : line->size * 2;
		if ((bigger = realloc(line->text, size)) == NULL)
			return -1;
		line->text = bigger;
		line->size = size;
	}
	line->text[line->length++] = c;
	return 0;
}

/* Read a line, ended by LF, CRLF or CR.  Returns 1, 0 at the end, -1. */
static int
line_read(FILE *in, struct line *line)
{
	int	c;

	line->length = 0;
	while ((c = getc_unlocked(in)) != EOF) {
		if (c == '\0')
			continue;
		if (c == '\r') {
			if ((c = getc_unlocked(in)) != '\n' && c != EOF)
				ungetc(c, in);
			break;
		}
		if (c == '\n')
			break;
		if (line_add(line, c) == -1)
			return -1;
	}
	if (ferror(in))
		return -1;
	return c != EOF || line->length > 0;
}

static bool
line_begins(const struct line *line, const char *text)
{
	return line->length >= strlen(text) &&
	    memcmp(line->text, text, strlen(text)) == 0;
}

/* Is this line part of the header, when all lines before it were? */
static bool
line_is_header(const struct message *message, const struct line *line)
{
	const char		*at = line->text;
	size_t			 length = line->length;
	struct header_field	 field;

	if (line->length == 0)
		return false;
	if (line->text[0] == ' ' || line->text[0] == '\t')
		return message->header_length > 0;
	return header_next(&at, &length, &field) == 1;
}

static void
note_eight_bit(struct message *message, const struct line *line)
{
	for (size_t i = 0; i < line->length && !message->eight_bit; i++)
		message->eight_bit = (line->text[i] & 0x80) != 0;
}

/* Take a line where it belongs; in_header says where we are. */
static void
take_line(struct message *message, const struct line *line, bool *in_header)
{
	bool	ended = *in_header && line->length == 0;

	if (*in_header && !line_is_header(message, line))
		*in_header = false;
	if (ended)
		return;
	note_eight_bit(message, line);
	if (*in_header) {
		message_header(message, line->text, line->length);
		message_header(message, "\r\n", 2);
	} else {
		message_body(message, line->text, line->length);
		message_body(message, "\r\n", 2);
	}
}

int
message_read(FILE *in, bool dot_ends, struct message *message)
{
	struct line	line = { NULL, 0, 0 };
	bool		in_header = true, first = true;
	int		more, result = -1;

	if (message_begin(message) == -1)
		return -1;
	while ((more = line_read(in, &line)) == 1) {
		if (dot_ends && line.length == 1 && line.text[0] == '.')
			break;
		if (first && (line_begins(&line, "From ") ||
		    line_begins(&line, ">From "))) {
			if (message->from_line == NULL)
				message->from_line = strndup(line.text,
				    line.length);
			continue;
		}
		first = false;
		take_line(message, &line, &in_header);
	}
	if (more != -1 && !message->failed && fflush(message->body) == 0)
		result = 0;
	free(line.text);
	if (result == -1 && errno == 0)
		errno = EIO;
	return result;
}
