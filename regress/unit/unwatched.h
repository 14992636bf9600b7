/*
 * A kernel that lacks memory to watch a socket, as often as a test says so.
 */
#ifndef UNWATCHED_H
#define UNWATCHED_H

#include <sys/epoll.h>
#include <sys/syscall.h>

#include <errno.h>
#include <unistd.h>

static int	 unwatched;	/* times still to come */

int
epoll_ctl(int epoll, int what, int fd, struct epoll_event *event)
{
	if (what != EPOLL_CTL_DEL && unwatched > 0) {
		unwatched--;
		errno = ENOMEM;
		return -1;
	}
	return (int)syscall(SYS_epoll_ctl, epoll, what, fd, event);
}

#endif
