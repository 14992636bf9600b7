/*
 * A message as spoold holds it, lines ended by CRLF, and the form that
 * mailboxes and programs get: lines ended by LF, our header lines first, no
 * Return-Path but ours.  Reads its source by position only; keeps no file.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "deliver.h"
#include "header.h"
#include "log.h"

#define WINDOW		65536		/* octets of a file in memory */
#define LOOKAHEAD	512		/* a line's start is judged by these */
#define HEADER_MAX	(1024 * 1024)	/* searched for Delivered-To */

struct body_stream {
	const struct body *body;
	char		 prefix[PREFIX_SIZE];
	size_t		 prefix_used;
	const char	*at;		/* the window */
	size_t		 left;
	uint64_t	 offset;	/* of what follows the window */
	bool		 quote;
	bool		 in_header;
	bool		 line_start;
	bool		 skipping;	/* within a Return-Path */
	char		 buffer[WINDOW];
};

struct body_stream *
body_stream_new(void)
{
	struct body_stream *stream;

	if ((stream = malloc(sizeof(*stream))) == NULL)
		fatal("body stream");
	return stream;
}

void
body_stream_free(struct body_stream *stream)
{
	free(stream);
}

void
body_open(struct body_stream *stream, const struct body *body,
    const char *prefix, bool quote)
{
	stream->body = body;
	strlcpy(stream->prefix, prefix, sizeof(stream->prefix));
	stream->prefix_used = 0;
	stream->at = body->memory != NULL ? body->memory : stream->buffer;
	stream->left = body->memory != NULL ? body->size : 0;
	stream->offset = stream->left;
	stream->quote = quote;
	stream->in_header = true;
	stream->line_start = true;
	stream->skipping = false;
}

/* Have a line's start in the window, or all that is left. */
static int
body_fill(struct body_stream *stream)
{
	ssize_t	 n;

	if (stream->left >= LOOKAHEAD || stream->offset == stream->body->size)
		return 0;
	memmove(stream->buffer, stream->at, stream->left);
	stream->at = stream->buffer;
	while (stream->left < LOOKAHEAD &&
	    stream->offset < stream->body->size) {
		n = pread(stream->body->fd, stream->buffer + stream->left,
		    sizeof(stream->buffer) - stream->left,
		    (off_t)stream->offset);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EIO;	/* shorter than it was told to be */
		if (n <= 0)
			return -1;
		if ((uint64_t)n > stream->body->size - stream->offset)
			n = (ssize_t)(stream->body->size - stream->offset);
		stream->left += (size_t)n;
		stream->offset += (uint64_t)n;
	}
	return 0;
}

/* Does the line in the window begin a Return-Path field? */
static bool
is_return_path(const struct body_stream *stream)
{
	static const char name[] = "Return-Path";
	size_t	 i = sizeof(name) - 1;

	if (stream->left <= i || strncasecmp(stream->at, name, i) != 0)
		return false;
	while (i < stream->left &&
	    (stream->at[i] == ' ' || stream->at[i] == '\t'))
		i++;
	return i < stream->left && stream->at[i] == ':';
}

/* Would a reader of mboxes take this line for a From_ line, quotes apart? */
static bool
is_from_line(const struct body_stream *stream)
{
	size_t	 i = 0;

	while (i < stream->left && i < LOOKAHEAD - 5 && stream->at[i] == '>')
		i++;
	return stream->left - i >= 5 &&
	    memcmp(stream->at + i, "From ", 5) == 0;
}

/* A line starts: is it kept?  Returns whether it must be quoted. */
static bool
begin_line(struct body_stream *stream)
{
	char	 first = stream->at[0];

	stream->line_start = false;
	if (stream->in_header) {
		if (first == '\n' || (first == '\r' && stream->left > 1 &&
		    stream->at[1] == '\n'))
			stream->in_header = stream->skipping = false;
		else if (first != ' ' && first != '\t')
			stream->skipping = is_return_path(stream);
	}
	return stream->quote && !stream->skipping && is_from_line(stream);
}

/* Copy what fits of the line in the window; returns octets written. */
static size_t
copy_line(struct body_stream *stream, char *out, size_t room)
{
	const char	*newline;
	size_t		 text, step, written = 0;

	newline = memchr(stream->at, '\n', stream->left);
	text = step = stream->left;
	if (newline != NULL) {
		text = (size_t)(newline - stream->at);
		step = text + 1;
		if (text > 0 && newline[-1] == '\r')
			text--;
	} else if (stream->offset < stream->body->size &&
	    stream->at[step - 1] == '\r')
		text = --step;	/* its LF may be in the next window */
	if (!stream->skipping) {
		if (text + (newline != NULL) > room) {
			if (text > room)
				text = room;
			step = text;
			newline = NULL;
		}
		memcpy(out, stream->at, text);
		written = text;
		if (newline != NULL)
			out[written++] = '\n';
	}
	if (newline != NULL)
		stream->line_start = true;
	stream->at += step;
	stream->left -= step;
	return written;
}

ssize_t
body_read(struct body_stream *stream, char *out, size_t size)
{
	size_t	 used;

	used = strlcpy(out, stream->prefix + stream->prefix_used, size);
	if (used >= size) {
		stream->prefix_used += size - 1;
		return (ssize_t)size - 1;
	}
	stream->prefix_used += used;
	while (used < size) {
		if (body_fill(stream) == -1)
			return -1;
		if (stream->left == 0) {
			if (!stream->line_start && !stream->skipping) {
				stream->line_start = true;
				out[used++] = '\n';
			}
			break;
		}
		if (stream->line_start && begin_line(stream))
			out[used++] = '>';
		used += copy_line(stream, out + used, size - used);
	}
	return (ssize_t)used;
}

int
body_write(struct body_stream *stream, int fd)
{
	static char buffer[WINDOW];	/* of a stack each page is touched */
	ssize_t	 length, n;
	size_t	 done;

	while ((length = body_read(stream, buffer, sizeof(buffer))) > 0)
		for (done = 0; done < (size_t)length; done += (size_t)n) {
			n = write(fd, buffer + done, (size_t)length - done);
			if (n == -1 && errno == EINTR)
				n = 0;
			else if (n == -1)
				return -1;
		}
	return length == 0 ? 0 : -1;
}

/* Look for the field in text that begins with the header. */
static int
header_names(const char *text, size_t length, const char *address)
{
	struct header_field	 field;
	char			 value[WIRE_ADDRESS + 2];

	while (header_next(&text, &length, &field) == 1) {
		if (!header_is(&field, "Delivered-To"))
			continue;
		header_unfold(&field, value, sizeof(value));
		if (strcasecmp(value, address) == 0)
			return 1;
	}
	return 0;
}

int
body_was_delivered_to(const struct body *body, const char *address)
{
	char	*text;
	size_t	 size;
	ssize_t	 n;
	int	 found;

	if (body->memory != NULL)
		return header_names(body->memory, body->size, address);
	size = body->size < HEADER_MAX ? body->size : HEADER_MAX;
	if ((text = malloc(size)) == NULL)
		return -1;
	n = pread(body->fd, text, size, 0);
	found = n == -1 ? -1 : header_names(text, (size_t)n, address);
	free(text);
	return found;
}
