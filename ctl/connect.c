/*
 * Connections to the sockets of the suite.
 */

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "ctl.h"

/*
 * Connect to a Unix socket; while its queue is full, for as long as that.
 * Returns the descriptor, or -1 with errno.
 */
int
connect_to(const char *path, int milliseconds)
{
	struct sockaddr_un	sun = { .sun_family = AF_UNIX };
	int64_t			deadline;
	int			fd, saved;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sun.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -1;
	deadline = clock_monotonic() + milliseconds * INT64_C(1000);
	while (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		if ((errno != EAGAIN && errno != EINTR) ||
		    clock_monotonic() > deadline) {
			saved = errno;
			close(fd);
			errno = saved;
			return -1;
		}
		poll(NULL, 0, 50);
	}
	return fd;
}
