/*
 * Octets to and from a server, in clear or by TLS, without blocking.  Owns
 * the socket.  What comes in is bounded; what goes out is the caller's to
 * bound, who is told when little of it is left.  There is one time limit, for
 * what the caller waits for, and octets that arrive do not extend it.
 *
 *	clear -> handshake		stream_secure
 *	handshake -> secured		shake
 *	any -> lost			lose
 *
 * A callback is the last thing an event does, since it may free the stream;
 * what is left to do then is done by another event.
 */
#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "loop.h"
#include "relay.h"

#define INPUT_MAX	8192	/* octets that wait to be taken */
#define OUTPUT_PIECE	16384	/* one record of TLS */
#define OUTPUT_TURN	(16 * OUTPUT_PIECE)	/* then others' turn */
#define OUTPUT_PARTS	16	/* of the buffer, in one call */

struct stream {
	const struct stream_ops *ops;
	void		*arg;
	int		 fd;
	struct event	*readable;
	struct event	*writable;
	struct event	*step;		/* go on, in the next turn */
	struct event	*limit;		/* of what is waited for */
	struct evbuffer	*in;
	struct evbuffer	*out;
	struct tls	*tls;
	bool		 secured;	/* the handshake is over */
	bool		 read_writes;	/* to read, TLS has to write */
	bool		 write_reads;	/* to write, TLS has to read */
	bool		 wrote;		/* since output was told */
	const char	*lost;		/* why; told when all input is taken */
	bool		 by_tls;
	char		 why[256];
};

/* Have the rest done by the loop. */
static void
go_on(struct stream *s)
{
	loop_after(s->step, 0);
}

static void
lose(struct stream *s, const char *why, bool by_tls)
{
	if (s->lost != NULL)
		return;
	strlcpy(s->why, why, sizeof(s->why));
	s->lost = s->why;
	s->by_tls = by_tls;
}

static void
lose_by_step(struct stream *s, enum tls_step step)
{
	if (step == TLS_CLOSED)
		lose(s, "closed the connection", !s->secured);
	else
		lose(s, tls_fault(s->tls), true);
}

/* Have the loop watch the socket; its kernel may lack memory for that. */
static void
watch(struct stream *s, struct event *event, bool wanted)
{
	if (!wanted)
		event_del(event);
	else if (event_add(event, NULL) == -1) {
		lose(s, "this system cannot wait for it now", false);
		go_on(s);
	}
}

/* Wait for the socket, for whatever it is needed. */
static void
arm(struct stream *s)
{
	bool shakes = s->tls != NULL && !s->secured;
	bool reads = !shakes && (s->write_reads ||
	    evbuffer_get_length(s->in) < INPUT_MAX);
	bool writes = !shakes && evbuffer_get_length(s->out) > 0 &&
	    !s->write_reads;

	watch(s, s->readable, s->lost == NULL &&
	    (reads || (shakes && !s->read_writes)));
	watch(s, s->writable, s->lost == NULL && (writes || s->read_writes));
}

/* ---- writing ---- */

/*
 * What lies in the buffer, in one call, since each costs a segment; returns
 * its octets, 0 if it cannot be now, or has failed.
 */
static size_t
write_clear(struct stream *s)
{
	struct evbuffer_iovec parts[OUTPUT_PARTS];
	struct msghdr msg = { .msg_iov = parts };
	int count;
	ssize_t n;

	count = evbuffer_peek(s->out, OUTPUT_TURN, NULL, parts, OUTPUT_PARTS);
	if (count < 1)
		return 0;
	msg.msg_iovlen = count < OUTPUT_PARTS ? (size_t)count : OUTPUT_PARTS;
	n = sendmsg(s->fd, &msg, MSG_NOSIGNAL);
	if (n == -1 && errno != EAGAIN && errno != EINTR)
		lose(s, strerror(errno), false);
	return n == -1 ? 0 : (size_t)n;
}

static size_t
write_secured(struct stream *s)
{
	size_t size = evbuffer_get_length(s->out), done;
	enum tls_step step;

	if (size > OUTPUT_PIECE)
		size = OUTPUT_PIECE;
	step = tls_write(s->tls, evbuffer_pullup(s->out, (ssize_t)size), size,
	    &done);
	s->write_reads = step == TLS_WANT_READ;
	if (step == TLS_DONE)
		return done;
	if (step != TLS_WANT_READ && step != TLS_WANT_WRITE)
		lose_by_step(s, step);
	return 0;
}

/* Write what may be written now.  Was it anything? */
static bool
write_out(struct stream *s)
{
	size_t total = 0, n;

	while (s->lost == NULL && evbuffer_get_length(s->out) > 0) {
		if (total >= OUTPUT_TURN) {
			go_on(s);
			break;
		}
		n = s->tls != NULL ? write_secured(s) : write_clear(s);
		if (n == 0)
			break;
		evbuffer_drain(s->out, n);
		total += n;
	}
	return total > 0;
}

/* ---- reading ---- */

static size_t
read_clear(struct stream *s, char *buffer, size_t size)
{
	ssize_t n = recv(s->fd, buffer, size, 0);

	if (n == 0)
		lose(s, "closed the connection", false);
	else if (n == -1 && errno != EAGAIN && errno != EINTR)
		lose(s, strerror(errno), false);
	return n > 0 ? (size_t)n : 0;
}

static size_t
read_secured(struct stream *s, char *buffer, size_t size)
{
	enum tls_step step;
	size_t n;

	step = tls_read(s->tls, buffer, size, &n);
	s->read_writes = step == TLS_WANT_WRITE;
	if (step == TLS_DONE)
		return n;
	if (step != TLS_WANT_READ && step != TLS_WANT_WRITE)
		lose_by_step(s, step);
	return 0;
}

/*
 * Read until there is no more, or enough.  Was it anything?  What arrived
 * before a loss is still worth hearing.  A socket that gives less than it was
 * asked for has no more; TLS gives record by record.
 */
static bool
read_in(struct stream *s)
{
	static char buffer[INPUT_MAX];
	bool any = false;
	size_t room, n;

	while ((room = INPUT_MAX - evbuffer_get_length(s->in)) > 0) {
		n = s->tls != NULL ? read_secured(s, buffer, room) :
		    read_clear(s, buffer, room);
		if (n == 0)
			break;
		evbuffer_add(s->in, buffer, n);
		any = true;
		if (s->tls == NULL && n < room)
			break;
	}
	return any;
}

/* ---- events ---- */

/* The last that is told. */
static void
tell_lost(struct stream *s)
{
	event_del(s->readable);
	event_del(s->writable);
	event_del(s->step);
	event_del(s->limit);
	s->ops->lost(s->lost, s->by_tls, s->arg);
}

/* The next step of the handshake. */
static void
shake(struct stream *s)
{
	enum tls_step step;

	if (s->lost != NULL) {
		tell_lost(s);
		return;
	}
	step = tls_handshake(s->tls);
	s->read_writes = step == TLS_WANT_WRITE;
	if (step == TLS_WANT_READ || step == TLS_WANT_WRITE) {
		arm(s);
		return;
	}
	if (step == TLS_DONE) {
		s->secured = true;
		go_on(s);	/* it may have read beyond the handshake */
		arm(s);
		s->ops->secured(s->arg);
		return;
	}
	lose_by_step(s, step);
	tell_lost(s);
}

/*
 * Read or write what can be, or both, since TLS may need one for the other;
 * then tell the one thing that is news.
 */
static void
on_event(int fd, short events, void *arg)
{
	struct stream *s = arg;
	bool read = false;

	(void)fd;
	if (s->tls != NULL && !s->secured) {
		shake(s);
		return;
	}
	if (s->tls != NULL || s->lost != NULL || (events & EV_READ) != 0)
		read = read_in(s);
	if (s->lost == NULL && (s->tls != NULL || (events & EV_READ) == 0)) {
		s->wrote |= write_out(s);
		if (s->lost != NULL)
			read |= read_in(s);
	}
	arm(s);
	if (read) {
		if (s->tls != NULL || s->lost != NULL ||
		    evbuffer_get_length(s->in) >= INPUT_MAX)
			go_on(s);
		s->ops->input(s->arg);
	} else if (s->lost != NULL)
		tell_lost(s);
	else if (s->wrote && evbuffer_get_length(s->out) < STREAM_LOW) {
		s->wrote = false;
		s->ops->output(s->arg);
	}
}

static void
on_limit(int fd, short events, void *arg)
{
	struct stream *s = arg;

	(void)fd;
	(void)events;
	s->ops->timeout(s->arg);
}

/* ---- for others ---- */

static struct event *
event_made(struct event_base *base, int fd, short events, event_callback_fn fn,
    struct stream *s)
{
	struct event *event = event_new(base, fd, events, fn, s);

	if (event == NULL)
		fatalx("stream: no event");
	return event;
}

/*
 * Over a connected socket, which is taken.  Nothing is read before the first
 * stream_wait() or stream_secure().
 */
struct stream *
stream_new(struct event_base *base, int fd, const struct stream_ops *ops,
    void *arg)
{
	struct stream *s;
	int on = 1;

	if ((s = calloc(1, sizeof(*s))) == NULL ||
	    (s->in = evbuffer_new()) == NULL ||
	    (s->out = evbuffer_new()) == NULL)
		fatal("calloc");
	s->ops = ops;
	s->arg = arg;
	s->fd = fd;
	s->readable = event_made(base, fd, EV_READ | EV_PERSIST, on_event, s);
	s->writable = event_made(base, fd, EV_WRITE | EV_PERSIST, on_event,
	    s);
	s->step = event_made(base, -1, 0, on_event, s);
	s->limit = event_made(base, -1, 0, on_limit, s);
	/* We write whole groups; a Unix socket does not know this. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return s;
}

/*
 * What has come in; the caller drains what it takes.
 */
struct evbuffer *
stream_in(struct stream *s)
{
	return s->in;
}

/*
 * What is to go out; it leaves from stream_wait() on.
 */
struct evbuffer *
stream_out(struct stream *s)
{
	return s->out;
}

/*
 * Write what waits, and wait for an answer or for room, at most so many
 * microseconds.
 */
void
stream_wait(struct stream *s, int64_t patience)
{
	bool much = evbuffer_get_length(s->out) >= STREAM_LOW;

	loop_after(s->limit, patience);
	if (s->lost == NULL && (s->tls == NULL || s->secured))
		s->wrote |= write_out(s) && much;
	if (s->lost != NULL || (s->wrote &&
	    evbuffer_get_length(s->out) < STREAM_LOW))
		go_on(s);
	arm(s);
}

/*
 * Begin TLS.  What want points to must last until the handshake is over;
 * nothing may wait in either direction.
 */
void
stream_secure(struct stream *s, const struct tls_want *want)
{
	s->tls = tls_client(want, s->fd);
	go_on(s);
}

bool
stream_is_secured(const struct stream *s)
{
	return s->secured;
}

/*
 * What protects it, for the log.
 */
const char *
stream_protection(const struct stream *s)
{
	return s->secured ? tls_describe(s->tls) : "none";
}

void
stream_free(struct stream *s)
{
	if (s == NULL)
		return;
	event_free(s->readable);
	event_free(s->writable);
	event_free(s->step);
	event_free(s->limit);
	evbuffer_free(s->in);
	evbuffer_free(s->out);
	tls_free(s->tls);
	close(s->fd);
	free(s);
}
