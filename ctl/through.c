/*
 * sendmail -bs: the caller speaks SMTP itself, and speaks it with the
 * submission socket.  Octets are handed on both ways, none is looked at.
 */

#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <sysexits.h>
#include <unistd.h>

#include "ctl.h"

#define CONNECT_MILLISECONDS	5000

/* Write all of it, waiting where the descriptor does not. */
static int
write_all(int fd, const char *text, size_t length)
{
	struct pollfd	pollfd = { .fd = fd, .events = POLLOUT };
	ssize_t		n;

	while (length > 0) {
		n = write(fd, text, length);
		if (n >= 0) {
			text += n;
			length -= n;
		} else if (errno == EAGAIN)
			poll(&pollfd, 1, -1);
		else if (errno != EINTR)
			return -1;
	}
	return 0;
}

/* Hand on what can be read.  Returns 0 at the end, -1 on errors. */
static int
hand_on(int from, int to)
{
	char	buffer[32768];
	ssize_t	n;

	n = read(from, buffer, sizeof(buffer));
	if (n == -1)
		return errno == EAGAIN || errno == EINTR ? 1 : -1;
	if (n > 0 && write_all(to, buffer, n) == -1)
		return -1;
	return n > 0;
}

int
sendmail_through(const struct place *place)
{
	struct pollfd	pollfds[2];
	int		fd, code = EX_OK;

	if ((fd = connect_to(place->submit, CONNECT_MILLISECONDS)) == -1) {
		printf("421 4.3.0 Mail system not available\r\n");
		return EX_TEMPFAIL;
	}
	pollfds[0] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
	pollfds[1] = (struct pollfd){ .fd = fd, .events = POLLIN };
	for (;;) {
		if (poll(pollfds, 2, -1) == -1) {
			if (errno == EINTR)
				continue;
			code = EX_OSERR;
			break;
		}
		if (pollfds[1].revents != 0 &&
		    hand_on(fd, STDOUT_FILENO) <= 0)
			break;
		if (pollfds[0].revents != 0 &&
		    hand_on(STDIN_FILENO, fd) <= 0) {
			/* What the server still says is waited for. */
			shutdown(fd, SHUT_WR);
			pollfds[0].fd = -1;
		}
	}
	close(fd);
	return code;
}
