/*
 * Start links: from postmaster to one process, one-way by the kernel.  What
 * the socket cannot take now waits here; postmaster never waits.
 */
#include <sys/socket.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "frame.h"
#include "log.h"
#include "loop.h"
#include "postmaster.h"

struct start {
	int		 fd;
	struct frame_out out;
	struct event	*writable;
	struct event	*pause;		/* when that cannot be watched */
};

/*
 * Write what waits; what the dead do not read is dropped.  One that lives and
 * has missed something ends by the link's end, and is started afresh.
 */
static void
start_write(struct start *start)
{
	switch (frame_out_write(&start->out, start->fd)) {
	case 0:
		if (event_add(start->writable, NULL) == -1)
			loop_after(start->pause, SECOND);
		break;
	case -1:
		if (errno != EPIPE && errno != ECONNRESET)
			log_errno(LOG_ERR, "start", "start link");
		frame_out_clear(&start->out);
		shutdown(start->fd, SHUT_WR);
		break;
	default:
		break;
	}
}

static void
on_writable(int fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	start_write(arg);
}

struct start *
start_new(struct event_base *base, int *far)
{
	struct start *start = NULL;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		return NULL;
	if (shutdown(pair[0], SHUT_RD) == -1 ||
	    fcntl(pair[0], F_SETFL, O_NONBLOCK) == -1 ||
	    (start = calloc(1, sizeof(*start))) == NULL)
		goto fail;
	start->fd = pair[0];
	start->writable = event_new(base, start->fd, EV_WRITE, on_writable,
	    start);
	start->pause = event_new(base, -1, 0, on_writable, start);
	if (start->writable == NULL || start->pause == NULL)
		goto fail;
	*far = pair[1];
	return start;
fail:
	if (start != NULL && start->writable != NULL)
		event_free(start->writable);
	free(start);
	close(pair[0]);
	close(pair[1]);
	return NULL;
}

void
start_free(struct start *start)
{
	if (start == NULL)
		return;
	event_free(start->writable);
	event_free(start->pause);
	frame_out_clear(&start->out);
	close(start->fd);
	free(start);
}

void
start_tell(struct start *start, enum imsg_type type, const void *payload,
    int fd)
{
	const struct wire_row *row = wire_row(type);
	struct frame_header header = { .type = type, .length = row->size,
	    .flags = fd == -1 ? 0 : FRAME_FD };

	frame_out_add(&start->out, &header, payload, row->size, NULL, 0, fd);
	if (!event_pending(start->writable, EV_WRITE, NULL))
		start_write(start);
}
