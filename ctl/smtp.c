/*
 * The client's side of SMTP on the submission socket.  No policy: commands
 * go out, replies come in.
 */

#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "ctl.h"

#define BANNER_MILLISECONDS	5000
#define REPLY_MILLISECONDS	300000
#define QUIT_MILLISECONDS	1000

/* Write length octets, or lose the connection. */
static void
write_all(struct smtp *smtp, const char *text, size_t length)
{
	struct pollfd	pollfd = { .fd = smtp->fd, .events = POLLOUT };
	ssize_t		n;

	while (length > 0 && !smtp->lost) {
		n = send(smtp->fd, text, length, MSG_NOSIGNAL);
		if (n >= 0) {
			text += n;
			length -= n;
		} else if (errno == EAGAIN) {
			if (poll(&pollfd, 1, REPLY_MILLISECONDS) == 0)
				smtp->lost = true;
		} else if (errno != EINTR)
			smtp->lost = true;
	}
}

static void
flush_out(struct smtp *smtp)
{
	write_all(smtp, smtp->out, smtp->out_length);
	smtp->out_length = 0;
}

/* Gather for the server; the form message_copy() wants. */
int
smtp_write(void *argument, const char *text, size_t length)
{
	struct smtp	*smtp = argument;

	if (smtp->out_length + length > sizeof(smtp->out))
		flush_out(smtp);
	if (length > sizeof(smtp->out))
		write_all(smtp, text, length);
	else {
		memcpy(smtp->out + smtp->out_length, text, length);
		smtp->out_length += length;
	}
	return smtp->lost ? -1 : 0;
}

/* Gather one command line; it leaves when a reply is waited for. */
void
smtp_send(struct smtp *smtp, const char *format, ...)
{
	char	line[HEADER_ADDRESS + 512];
	va_list	arguments;
	int	length;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof(line) - 2, format, arguments);
	va_end(arguments);
	if (length < 0 || length >= (int)sizeof(line) - 2)
		length = sizeof(line) - 3;
	/* One command is one line, whatever an argument held. */
	for (int i = 0; i < length; i++)
		if (line[i] == '\r' || line[i] == '\n')
			line[i] = ' ';
	if (smtp->verbose)
		printf(">>> %.*s\n", length, line);
	memcpy(line + length, "\r\n", 2);
	smtp_write(smtp, line, length + 2);
}

/* Read one line without its end.  Returns -1 when there is none. */
static int
read_line(struct smtp *smtp, char *line, size_t size, int milliseconds)
{
	struct pollfd	pollfd = { .fd = smtp->fd, .events = POLLIN };
	size_t		used = 0;
	ssize_t		n;
	char		c;

	for (;;) {
		if (smtp->in_start == smtp->in_end) {
			n = poll(&pollfd, 1, milliseconds);
			if (n == -1 && errno == EINTR)
				continue;
			if (n <= 0)
				return -1;
			n = recv(smtp->fd, smtp->in, sizeof(smtp->in), 0);
			if (n == -1 && (errno == EINTR || errno == EAGAIN))
				continue;
			if (n <= 0)
				return -1;
			smtp->in_start = 0;
			smtp->in_end = n;
		}
		c = smtp->in[smtp->in_start++];
		if (c == '\n')
			break;
		if (c != '\r' && used + 1 < size)
			line[used++] = c;
	}
	line[used] = '\0';
	return 0;
}

/* Note what a line of the answer to EHLO offers. */
static void
take_offer(struct smtp *smtp, const char *text)
{
	if (strncasecmp(text, "SIZE", 4) == 0 &&
	    (text[4] == '\0' || text[4] == ' '))
		smtp->size = true;
	else if (strcasecmp(text, "8BITMIME") == 0)
		smtp->eight_bit = true;
	else if (strcasecmp(text, "DSN") == 0)
		smtp->dsn = true;
}

/*
 * Read a reply.  Returns its code; 0 when the connection is lost.
 */
int
smtp_reply(struct smtp *smtp, struct reply *reply, int milliseconds)
{
	char	line[sizeof(reply->text) + 4];

	memset(reply, 0, sizeof(*reply));
	/* What a server said before it closed is still to be read. */
	flush_out(smtp);
	do {
		if (read_line(smtp, line, sizeof(line), milliseconds) == -1)
			goto lost;
		if (smtp->verbose)
			printf("%s\n", line);
		if (strspn(line, "0123456789") != 3 || (line[3] != ' ' &&
		    line[3] != '-' && line[3] != '\0'))
			goto lost;
		if (line[3] != '\0')
			take_offer(smtp, line + 4);
	} while (line[3] == '-');
	reply->code = atoi(line);
	snprintf(reply->text, sizeof(reply->text), "%s", line[3] == '\0' ?
	    "" : line + 4);
	return reply->code;
lost:
	smtp->lost = true;
	return 0;
}

/*
 * Connect and greet.  Returns 0, or -1 if nobody answers there in time.
 */
int
smtp_open(struct smtp *smtp, const char *path, bool verbose)
{
	struct reply	reply;

	memset(smtp, 0, sizeof(*smtp));
	smtp->verbose = verbose;
	if ((smtp->fd = connect_to(path, BANNER_MILLISECONDS)) == -1)
		return -1;
	if (smtp_reply(smtp, &reply, BANNER_MILLISECONDS) != 220)
		goto fail;
	smtp_send(smtp, "EHLO localhost");
	if (smtp_reply(smtp, &reply, REPLY_MILLISECONDS) == 250)
		return 0;
fail:
	close(smtp->fd);
	smtp->fd = -1;
	return -1;
}

/* Take leave. */
void
smtp_close(struct smtp *smtp)
{
	struct reply	reply;

	if (smtp->fd == -1)
		return;
	if (!smtp->lost) {
		smtp_send(smtp, "QUIT");
		smtp_reply(smtp, &reply, QUIT_MILLISECONDS);
	}
	close(smtp->fd);
	smtp->fd = -1;
}
