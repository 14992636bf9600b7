/*
 * Links: frames between two processes, checked on arrival, with credit for
 * requests and a place to come back to for every answer.
 *
 * An ask is WAITING while its row's window is full, then SENT; it ends when
 * its answer is handled, or with the link.  An ask whose asker has gone is
 * FORGOTTEN: its answer is read and dropped.
 */
#include <sys/queue.h>
#include <sys/socket.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "asks.h"
#include "clock.h"
#include "frame.h"
#include "link.h"
#include "log.h"
#include "loop.h"
#include "waiting.h"

#define READ_PER_TURN	(512 * 1024)	/* octets, then others have a turn */
#define READ_AT_ONCE	(64 * 1024)
#define FAIL_ROUNDS	16
#define PAUSE		(SECOND / 10)	/* while the kernel lacks memory */

struct link {
	LIST_ENTRY(link) entry;
	int		 fd;
	const struct link_role *role;
	void		*arg;
	struct event	*readable;
	struct event	*writable;
	struct event	*pause;		/* then it is tried again */
	struct frame_in	 in;
	struct frame_out out;
	struct waitings	 waiting;	/* for credit */
	struct asks	 asks;		/* ours, not yet answered */
	uint32_t	 sent[IMSG_MAX];	/* ours, unanswered */
	uint32_t	 received[IMSG_MAX];	/* theirs, unanswered */
	uint32_t	 instance;
	unsigned int	 busy;		/* handlers running */
	bool		 dead;		/* free it when no handler runs */
	bool		 failed;	/* dead, and every ask was told */
	bool		 with_fds;
	bool		 heard;		/* it has said something */
	bool		 unread;	/* it left what we sent */
	bool		 died;		/* see link_died() */
};

static struct {
	LIST_HEAD(, link) all;
	bool hooked;
} links = { LIST_HEAD_INITIALIZER(links.all), false };

/* ---- asks ---- */

static const struct link_handler *
find_handler(const struct link *link, uint32_t type)
{
	const struct link_handler *h;

	for (h = link->role->handlers; h->type != IMSG_NONE; h++)
		if (h->type == type)
			return h;
	return NULL;
}

/* One ask ends without an answer. */
static void
fail_ask(struct link *link, struct ask *slot)
{
	struct ask ask = *slot;
	struct frame frame = { .fd = -1 };
	const struct link_handler *h;

	frame.type = wire_row(ask.type)->answer;
	frame.id = asks_id(&link->asks, slot);
	asks_remove(&link->asks, slot);
	if (ask.state == ASK_FORGOTTEN)
		return;
	if ((h = find_handler(link, frame.type)) != NULL)
		h->fn(link, &frame, ask.context);
}

/* All do; what a handler asks of this link meanwhile fails in its turn. */
static void
fail_asks(struct link *link)
{
	uint32_t slot, failed;
	int rounds = 0;

	do {
		for (slot = failed = 0; slot < link->asks.count; slot++) {
			if (link->asks.slots[slot].state == ASK_FREE)
				continue;
			fail_ask(link, &link->asks.slots[slot]);
			failed++;
		}
	} while (failed > 0 && ++rounds < FAIL_ROUNDS);
	if (failed > 0)
		fatalx("a link that is gone is asked again and again");
	link->failed = true;
}

/* ---- the end of a link ---- */

static void
release(struct link *link)
{
	waiting_clear(&link->waiting);
	frame_in_clear(&link->in);
	frame_out_clear(&link->out);
	asks_clear(&link->asks);
	free(link);
}

/*
 * Has the peer gone, and had it begun to work?  The error of its end
 * (ECONNRESET) says that it left octets unread.
 */
static bool
peer_died(struct link *link)
{
	struct pollfd end = { .fd = link->fd };

	if (poll(&end, 1, 0) != 1 || (end.revents & POLLHUP) == 0)
		return false;
	if ((end.revents & POLLERR) != 0)
		link->unread = true;
	return link->heard || !link->unread;
}

/* Take it out of the loop; the memory goes when no handler runs. */
static void
unplug(struct link *link, bool violated)
{
	link->died = violated || peer_died(link);
	link->dead = true;
	LIST_REMOVE(link, entry);
	event_free(link->readable);
	event_free(link->writable);
	event_free(link->pause);
	close(link->fd);
	link->fd = -1;
	link->busy++;
	fail_asks(link);
	link->busy--;
}

static void
lost(struct link *link, const char *why)
{
	if (link->dead)
		return;
	if (why != NULL) {
		log_begin(LOG_ERR, "violation");
		log_string("peer", wire_process(link->role->peer));
		log_number("instance", link->instance);
		log_string("reason", why);
		log_end();
	}
	unplug(link, why != NULL);
	link->busy++;
	if (link->role->closed != NULL)
		link->role->closed(link, why, link->arg);
	if (--link->busy == 0)
		release(link);
}

void
link_close(struct link *link)
{
	lost(link, NULL);
}

void
link_free(struct link *link)
{
	if (link == NULL || link->dead)
		return;
	unplug(link, false);
	if (link->busy == 0)
		release(link);
}

/* ---- want of memory in the kernel ---- */

static bool
is_want_of_memory(int error)
{
	return error == ENOMEM || error == ENOBUFS;
}

/* A socket that is ready and yet fails would be tried without end. */
static void
pause_link(struct link *link)
{
	if (!event_pending(link->pause, EV_TIMEOUT, NULL))
		loop_after(link->pause, PAUSE);
}

/* ---- sending ---- */

static void
flush(struct link *link)
{
	if (link->dead || link->out.start == link->out.end)
		return;
	switch (frame_out_write(&link->out, link->fd)) {
	case 0:
		if (is_want_of_memory(errno) ||
		    event_add(link->writable, NULL) == -1)
			pause_link(link);
		break;
	case -1:
		/* What the peer still said is read first; its end follows. */
		link->unread = true;
		frame_out_clear(&link->out);
		shutdown(link->fd, SHUT_WR);
		break;
	}
}

bool
link_died(const struct link *link)
{
	return link->died;
}

size_t
link_output(const struct link *link)
{
	return link->out.end - link->out.start;
}

void
link_flush(struct link *link)
{
	if (!link->dead && !event_pending(link->writable, EV_WRITE, NULL))
		flush(link);
}

static void
flush_all(void *unused)
{
	struct link *link, *next;

	(void)unused;
	for (link = LIST_FIRST(&links.all); link != NULL; link = next) {
		next = LIST_NEXT(link, entry);
		if (!event_pending(link->writable, EV_WRITE, NULL))
			flush(link);
	}
}

static void
on_writable(int fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	flush(arg);
}

static void
put(struct link *link, uint32_t type, uint32_t id, const void *payload,
    const void *tail, size_t tail_length, int fd)
{
	const struct wire_row *row = wire_row(type);
	struct frame_header header = {
		.type = type, .id = id, .flags = fd != -1 ? FRAME_FD : 0
	};
	const char *why;

	if (row == NULL || tail_length > row->tail)
		fatalx("%s: tail of %zu octets", wire_name(type), tail_length);
	why = wire_check(link->role->self, link->role->peer, type, id,
	    payload, row->size + tail_length, fd != -1);
	if (why != NULL)
		fatalx("sending %s: %s", row->name, why);
	header.length = row->size + (uint32_t)tail_length;
	frame_out_add(&link->out, &header, payload, row->size, tail,
	    tail_length, fd);
}

/* An answer to this type came: the next one that waits may go. */
static void
send_waiting(struct link *link, uint32_t type)
{
	size_t size = wire_row(type)->size;
	struct waiting *w;
	struct ask *ask;

	if ((w = waiting_take(&link->waiting, type)) == NULL)
		return;
	ask = asks_find(&link->asks, w->id);
	ask->state = ASK_SENT;
	link->sent[type]++;
	put(link, type, w->id, w->contents, w->contents + size,
	    w->length - size, w->fd);
	free(w);
}

uint32_t
link_ask(struct link *link, enum imsg_type type, const void *payload,
    const void *tail, size_t tail_length, int fd, void *context)
{
	const struct wire_row *row = wire_row(type);
	uint32_t id;

	if (row == NULL || row->answer == IMSG_NONE)
		fatalx("%s is no request", wire_name(type));
	if (link->failed)
		fatalx("%s asked of a link that is gone", row->name);
	id = asks_add(&link->asks, type, context);
	if (link->dead) {
		if (fd != -1)
			close(fd);
	} else if (link->sent[type] < row->window) {
		link->sent[type]++;
		put(link, type, id, payload, tail, tail_length, fd);
	} else {
		asks_find(&link->asks, id)->state = ASK_WAITING;
		waiting_add(&link->waiting, type, id, payload, tail,
		    tail_length, fd);
	}
	return id;
}

uint32_t
link_credit(const struct link *link, enum imsg_type type)
{
	uint32_t window = wire_row(type)->window;

	return link->sent[type] < window && !waiting_has(&link->waiting,
	    type) ? window - link->sent[type] : 0;
}

void
link_forget(struct link *link, uint32_t id)
{
	struct ask *ask;

	if ((ask = asks_find(&link->asks, id)) == NULL)
		return;
	if (ask->state == ASK_SENT) {
		ask->state = ASK_FORGOTTEN;
		ask->context = NULL;
		return;
	}
	if (ask->state != ASK_WAITING)
		return;
	waiting_drop(&link->waiting, id);
	asks_remove(&link->asks, ask);
}

void
link_answer(struct link *link, enum imsg_type type, uint32_t id,
    const void *payload, const void *tail, size_t tail_length, int fd)
{
	uint32_t request = wire_request(type);

	if (link->dead) {
		if (fd != -1)
			close(fd);
		return;
	}
	if (request == IMSG_NONE || link->received[request] == 0)
		fatalx("%s answers nothing", wire_name(type));
	link->received[request]--;
	put(link, type, id, payload, tail, tail_length, fd);
}

void
link_tell(struct link *link, enum imsg_type type, const void *payload,
    const void *tail, size_t tail_length, int fd)
{
	if (link->dead) {
		if (fd != -1)
			close(fd);
		return;
	}
	put(link, type, 0, payload, tail, tail_length, fd);
}

/* ---- receiving ---- */

/* The context for a frame's handler; -1 if the frame may not come now. */
static int
admit(struct link *link, const struct frame_header *header, void **context,
    bool *drop, const char **why)
{
	const struct wire_row *row = wire_row(header->type);
	uint32_t request = wire_request(header->type);
	struct ask *ask;

	*context = link->arg;
	*drop = false;
	if (row->answer != IMSG_NONE) {
		if (++link->received[header->type] > row->window) {
			*why = "more requests than its credit";
			return -1;
		}
		return 0;
	}
	if (request == IMSG_NONE)
		return 0;	/* a notice */
	ask = asks_find(&link->asks, header->id);
	if (ask == NULL || ask->type != request || ask->state == ASK_WAITING) {
		*why = "answer to nothing";
		return -1;
	}
	*context = ask->context;
	*drop = ask->state == ASK_FORGOTTEN;
	asks_remove(&link->asks, ask);
	link->sent[request]--;
	send_waiting(link, request);
	return 0;
}

/* Give one checked frame to its handler; -1 with *why closes the link. */
static int
dispatch(struct link *link, const struct frame_header *header,
    const char *contents, const char **why)
{
	static uint64_t aligned[1024];
	struct frame frame = { .type = header->type, .id = header->id };
	const struct link_handler *h = NULL;
	const struct wire_row *row;
	void *context;
	bool drop;

	frame.fd = header->flags & FRAME_FD ? frame_in_take_fd(&link->in) : -1;
	*why = wire_check(link->role->peer, link->role->self, header->type,
	    header->id, contents, header->length, frame.fd != -1);
	if (*why == NULL && (h = find_handler(link, header->type)) == NULL)
		*why = "no handler";
	if (*why != NULL ||
	    admit(link, header, &context, &drop, why) == -1) {
		if (frame.fd != -1)
			close(frame.fd);
		return -1;
	}
	row = wire_row(header->type);
	if (row->size > sizeof(aligned))
		fatalx("%s is too large to be handled", row->name);
	frame.payload = contents;
	if ((uintptr_t)contents % sizeof(uint64_t) != 0) {
		memcpy(aligned, contents, row->size);
		frame.payload = aligned;
	}
	frame.tail = contents + row->size;
	frame.tail_length = header->length - row->size;
	if (!drop)
		h->fn(link, &frame, context);
	if (frame.fd != -1)
		close(frame.fd);
	return 0;
}

/* How much the next frame still lacks; -1 if no frame can be that large. */
static long
lacking(const struct link *link)
{
	const struct frame_in *in = &link->in;
	struct frame_header header;
	const struct wire_row *row;
	size_t have = in->end - in->start;

	if (have < sizeof(header))
		return (long)(sizeof(header) - have);
	memcpy(&header, in->data + in->start, sizeof(header));
	row = wire_row(header.type);
	if (row == NULL || header.length < row->size ||
	    header.length - row->size > row->tail)
		return -1;
	return (long)(sizeof(header) + header.length - have);
}

/* Handle every whole frame; returns -1 if the link is gone or must go. */
static int
handle_frames(struct link *link, const char **why)
{
	struct frame_header header;
	const char *contents;

	while (frame_in_next(&link->in, &header, &contents) == 1) {
		if (dispatch(link, &header, contents, why) == -1 ||
		    link->dead)
			return -1;
	}
	return 0;
}

static void
on_readable(int fd, short events, void *arg)
{
	struct link *link = arg;
	const char *why = NULL;
	size_t total = 0, room, fds;
	bool all = false;
	long n = 0, need;

	(void)fd;
	(void)events;
	link->busy++;
	for (;;) {
		if ((need = lacking(link)) == -1) {
			why = "unknown type or wrong length";
			break;
		}
		if (total >= READ_PER_TURN || all)
			break;
		frame_in_reserve(&link->in, (size_t)need > READ_AT_ONCE ?
		    (size_t)need : READ_AT_ONCE);
		room = link->in.size - link->in.end;
		fds = link->in.fd_count;
		n = frame_in_read(&link->in, link->fd, link->with_fds);
		if (n <= 0)
			break;
		total += (size_t)n;
		/* It left room: that was all, or a descriptor ended it. */
		all = (size_t)n < room && link->in.fd_count == fds;
		link->heard = true;
		if (link->role->arrived != NULL)
			link->role->arrived();
		if (handle_frames(link, &why) == -1)
			break;
	}
	link->unread = link->unread || (n == -1 && errno == ECONNRESET);
	if (n == -1 && errno == EMSGSIZE)
		why = "descriptors that do not fit";
	link->busy--;
	if (link->dead) {
		if (link->busy == 0)
			release(link);
	} else if (n == -1 && is_want_of_memory(errno)) {
		(void)event_del(link->readable);
		pause_link(link);
	} else if (why != NULL || n == 0 || (n == -1 && errno != EAGAIN &&
	    errno != EINTR))
		lost(link, why);
}

static void
on_pause_over(int fd, short events, void *arg)
{
	struct link *link = arg;

	(void)fd;
	(void)events;
	/* What waits to be sent is tried as this turn ends: flush_all(). */
	if (event_add(link->readable, NULL) == -1)
		pause_link(link);
}

void
link_violation(struct link *link, const char *why)
{
	lost(link, why);
}

/* ---- making one ---- */

static bool
expects_fds(const struct link_role *role)
{
	const struct wire_row *row;
	uint32_t type;

	for (type = IMSG_NONE + 1; type < IMSG_MAX; type++) {
		row = wire_row(type);
		if (row->fd != FD_NEVER &&
		    (row->senders & (1U << role->peer)) != 0 &&
		    (row->receivers & (1U << role->self)) != 0)
			return true;
	}
	return false;
}

struct link *
link_new(struct event_base *base, int fd, const struct link_role *role,
    void *arg)
{
	struct link *link;

	if ((link = calloc(1, sizeof(*link))) == NULL)
		fatal("link");
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == -1)
		fatal("link: O_NONBLOCK");
	link->fd = fd;
	link->role = role;
	link->arg = arg;
	link->with_fds = expects_fds(role);
	TAILQ_INIT(&link->waiting);
	link->readable = event_new(base, fd, EV_READ | EV_PERSIST,
	    on_readable, link);
	link->writable = event_new(base, fd, EV_WRITE, on_writable, link);
	link->pause = event_new(base, -1, 0, on_pause_over, link);
	if (link->readable == NULL || link->writable == NULL ||
	    link->pause == NULL)
		fatalx("link: no event");
	if (event_add(link->readable, NULL) == -1)
		pause_link(link);
	LIST_INSERT_HEAD(&links.all, link, entry);
	if (!links.hooked) {
		links.hooked = true;
		loop_add_hook(LOOP_LINKS, flush_all, NULL);
	}
	return link;
}

void
link_set_instance(struct link *link, uint32_t instance)
{
	link->instance = instance;
}

uint32_t
link_instance(const struct link *link)
{
	return link->instance;
}

void
link_drain(struct link *link)
{
	if (!link->dead)
		(void)frame_out_drain(&link->out, link->fd);
}
