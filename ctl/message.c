/*
 * A message in hand: its header in memory, its body in memory too until it
 * grows large, then in a file that has no name.
 */

#include <sys/mman.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"

#define BODY_IN_MEMORY	(4 * 1024 * 1024)

void
message_free(struct message *message)
{
	if (message->body != NULL)
		fclose(message->body);
	free(message->header);
	free(message->from_line);
	memset(message, 0, sizeof(*message));
}

uint64_t
message_size(const struct message *message)
{
	return message->header_length + 2 + message->body_length;
}

void
message_header(struct message *message, const char *text, size_t length)
{
	size_t	 size = message->header_size;
	char	*bigger;

	while (size < message->header_length + length + 1)
		size = size == 0 ? 4096 : size * 2;
	if (size != message->header_size) {
		if ((bigger = realloc(message->header, size)) == NULL) {
			message->failed = true;
			return;
		}
		message->header = bigger;
		message->header_size = size;
	}
	memcpy(message->header + message->header_length, text, length);
	message->header_length += length;
	message->header[message->header_length] = '\0';
}

int
message_begin(struct message *message)
{
	int	fd;

	memset(message, 0, sizeof(*message));
	fd = memfd_create("body", MFD_CLOEXEC);
	if (fd != -1 && (message->body = fdopen(fd, "w+")) == NULL)
		close(fd);
	message_header(message, "", 0);
	return message->body != NULL && !message->failed ? 0 : -1;
}

/* Copy what is there to a file on disk and go on with that. */
static void
move_to_disk(struct message *message)
{
	char	 buffer[32768];
	FILE	*disk = tmpfile();
	size_t	 n;

	if (disk == NULL)
		return;
	rewind(message->body);
	while ((n = fread(buffer, 1, sizeof(buffer), message->body)) > 0)
		fwrite(buffer, 1, n, disk);
	if (ferror(message->body) || ferror(disk)) {
		fclose(disk);
		fseek(message->body, 0, SEEK_END);
		return;
	}
	fclose(message->body);
	message->body = disk;
}

void
message_body(struct message *message, const char *text, size_t length)
{
	uint64_t	before = message->body_length;

	if (length > 0 && fwrite(text, 1, length, message->body) != length)
		message->failed = true;
	message->body_length += length;
	if (before <= BODY_IN_MEMORY && message->body_length > BODY_IN_MEMORY)
		move_to_disk(message);
}

/* A piece of the body on its way, line by line. */
struct copy {
	enum form	 form;
	bool		 line_starts;
	int		(*write)(void *, const char *, size_t);
	void		*argument;
};

static int
copy_line(struct copy *copy, const char *line, size_t length, bool ends)
{
	if (copy->line_starts && length > 0) {
		if (copy->form == FORM_SMTP && line[0] == '.' &&
		    copy->write(copy->argument, ".", 1) == -1)
			return -1;
		if (copy->form == FORM_UNIX && length >= 5 &&
		    memcmp(line, "From ", 5) == 0 &&
		    copy->write(copy->argument, ">", 1) == -1)
			return -1;
	}
	copy->line_starts = ends;
	if (ends && copy->form == FORM_UNIX)
		return copy->write(copy->argument, line, length - 2) == -1 ?
		    -1 : copy->write(copy->argument, "\n", 1);
	return copy->write(copy->argument, line, length);
}

/* Copy the header: all of it is in memory, every line is ended. */
static int
copy_text(struct copy *copy, const char *text, size_t length)
{
	const char	*end;

	while (length > 0) {
		end = memchr(text, '\n', length);
		end = end != NULL ? end + 1 : text + length;
		if (copy_line(copy, text, end - text, true) == -1)
			return -1;
		length -= end - text;
		text = end;
	}
	return 0;
}

int
message_copy(const struct message *message, enum form form,
    int (*write)(void *, const char *, size_t), void *argument)
{
	struct copy	 copy = { form, true, write, argument };
	char		*line = NULL;
	size_t		 size = 0;
	ssize_t		 length;
	int		 result = -1;

	if (copy_text(&copy, message->header, message->header_length) == -1 ||
	    copy_text(&copy, "\r\n", 2) == -1)
		return -1;
	rewind(message->body);
	while ((length = getline(&line, &size, message->body)) > 0)
		if (copy_line(&copy, line, length, true) == -1)
			goto out;
	if (!ferror(message->body))
		result = 0;
out:
	free(line);
	return result;
}
