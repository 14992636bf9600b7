/*
 * The connection beneath a session: octets in, octets out, the clock, and
 * the end.  Knows lines and the flow of a body, no command.
 *
 * Replies of one group of commands gather and leave in one write, once
 * nothing whole is left to be handled (RFC 2920 3.2).
 */
#include <sys/socket.h>

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "loop.h"
#include "smtpd.h"

#define READ_AT_ONCE	32768		/* of a body */
#define READ_LITTLE	4096		/* of commands; while memory is short */
#define OUTPUT_FULL	16384		/* read no more commands before */
#define DATA_BLOCK	1024		/* of a body, that renew its time */
#define LINGER		(2 * SECOND)	/* for the last reply to arrive */

/* ---- time ---- */

static void
set_timer(struct session *session, int64_t delay)
{
	loop_after(session->timer, delay);
	session->timer_at = clock_monotonic() + delay;
}

/* The timer is left alone where it fires early: it looks again then. */
void
session_expect(struct session *session, int64_t delay)
{
	session->deadline = clock_monotonic() + delay;
	if (session->timer_at == 0 || session->deadline < session->timer_at)
		set_timer(session, delay);
}

/* ---- the end ---- */

/* Have the loop watch it; a connection that it cannot is of no use. */
static void
watch(struct session *session, struct event *event)
{
	if (event_add(event, NULL) == -1)
		session->broken = true;
}

/*
 * All is said.  To close while octets of the client are unread would reset
 * the connection and may destroy our last reply: read on until it closes.
 */
static void
linger(struct session *session)
{
	session->lingering = true;
	buffer_free(&session->input);
	(void)shutdown(session->fd, SHUT_WR);
	watch(session, session->readable);
	session_expect(session, LINGER);
}

static void
flush(struct session *session)
{
	ssize_t n;

	if (session->output.length == 0 || session->broken)
		return;
	n = send(session->fd, session->output.data, session->output.length,
	    MSG_NOSIGNAL);
	if (n == -1 && errno != EAGAIN && errno != EINTR) {
		session->broken = true;
		return;
	}
	if (n > 0)
		buffer_drop(&session->output, (size_t)n);
	if (session->output.length > 0)
		watch(session, session->writable);
}

/* Does this state take octets from the client now? */
static bool
accepting(const struct session *session)
{
	switch (session->state) {
	case SESSION_BANNER:
	case SESSION_ASKING:
	case SESSION_COMMITTING:
	case SESSION_CLOSING:
		return false;
	case SESSION_DATA:
		return !transaction_blocked(session->transaction);
	default:
		return session->output.length < OUTPUT_FULL;
	}
}

static bool
said_all(const struct session *session)
{
	return session->state == SESSION_CLOSING && session->output.length == 0;
}

/* Write what can be written; end what has ended.  True if it is gone. */
static bool
settle(struct session *session)
{
	bool waiting = session->state == SESSION_ASKING &&
	    session->output.length < OUTPUT_FULL;

	if (!waiting)
		flush(session);
	if (said_all(session) && !session->ended && !session->lingering)
		linger(session);
	if (session->broken || (session->ended && (accepting(session) ||
	    said_all(session)))) {
		session_free(session);
		return true;
	}
	if (session->state == SESSION_ASKING)
		session->deadline = 0;	/* policy.c has its own */
	return false;
}

/* ---- listening ---- */

/* One line of a command, if it is there; returns how much was taken. */
static size_t
take_line(struct session *session, const char *data, size_t length)
{
	char line[COMMAND_LINE_MAX + 1];
	const char *end = memmem(data, length, "\r\n", 2);
	size_t taken;

	if (end == NULL) {
		if (length < COMMAND_LINE_MAX)
			return 0;
		/* A CR at the very end may be the first half of the end. */
		session->skipping = true;
		return data[length - 1] == '\r' ? length - 1 : length;
	}
	taken = (size_t)(end - data) + 2;
	session->behind = length - taken;
	if (session->skipping || taken > COMMAND_LINE_MAX) {
		session->skipping = false;
		session_reply(session, REPLY_LINE_TOO_LONG, NULL);
		return taken;
	}
	memcpy(line, data, taken - 2);
	line[taken - 2] = '\0';
	command_line(session, line, taken - 2);
	return taken;
}

/* Handle as much as the states on the way allow; returns how much. */
static size_t
take(struct session *session, const char *data, size_t length)
{
	size_t used = 0, step;

	while (used < length && accepting(session)) {
		if (session->state == SESSION_DATA)
			step = data_input(session, data + used,
			    length - used);
		else
			step = take_line(session, data + used,
			    length - used);
		if (step == 0)
			break;
		used += step;
	}
	return used;
}

void
session_run(struct session *session)
{
	bool blocked;
	size_t used;

	do {
		blocked = !accepting(session);
		used = take(session, session->input.data,
		    session->input.length);
		buffer_drop(&session->input, used);
		if (settle(session))
			return;
	} while ((used > 0 || blocked) && session->input.length > 0 &&
	    accepting(session));
	if (accepting(session) && !session->ended)
		watch(session, session->readable);
	if (session->broken)
		session_free(session);
}

/* Its time in DATA is for each block: octets one by one do not renew it. */
static void
renew(struct session *session, size_t length)
{
	session->data->fresh += length;
	if (session->data->fresh < DATA_BLOCK)
		return;
	session->data->fresh = 0;
	session_expect(session, session->settings->data_timeout);
}

/* Octets came: most are handled where they were read to. */
static void
received(struct session *session, const char *data, size_t length)
{
	size_t used = 0;

	if (session->state == SESSION_DATA)
		renew(session, length);
	if (session->input.length == 0)
		used = take(session, data, length);
	buffer_append(&session->input, data + used, length - used);
	session_run(session);
}

static void
on_readable(int fd, short events, void *arg)
{
	static char data[READ_AT_ONCE];
	struct session *session = arg;
	bool much = session->state == SESSION_DATA && transaction_roomy();
	ssize_t n;

	(void)events;
	if (!session->lingering && !accepting(session)) {
		(void)event_del(session->readable);
		return;
	}
	n = read(fd, data, much ? READ_AT_ONCE : READ_LITTLE);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (session->lingering) {
		if (n <= 0)
			session_free(session);
		return;
	}
	if (n > 0) {
		received(session, data, (size_t)n);
		return;
	}
	session->ended = true;
	session->broken = n == -1;
	(void)event_del(session->readable);
	session_run(session);
}

static void
on_writable(int fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	session_run(arg);
}

static void
on_timer(int fd, short events, void *arg)
{
	struct session *session = arg;
	int64_t left = session->deadline - clock_monotonic();

	(void)fd;
	(void)events;
	session->timer_at = 0;
	if (session->deadline == 0)
		return;
	if (left > 0) {
		set_timer(session, left);
		return;
	}
	if (session->state == SESSION_BANNER) {
		session_greet(session);
		return;
	}
	/* It is our turn: the client is not late, spoold is. */
	if (session->state == SESSION_COMMITTING ||
	    (session->state == SESSION_DATA &&
	    transaction_blocked(session->transaction))) {
		transaction_give_up(session->transaction);
		return;
	}
	/* Who does not read our words hears no more of them. */
	session->broken = session->state == SESSION_CLOSING ||
	    session->output.length > 0;
	session->verb = session->state == SESSION_DATA ? "DATA" : NULL;
	session_hang_up(session, REPLY_TIMEOUT, session->settings->host);
	session_run(session);
}

/* Listen to the client from now on. */
void
session_listen(struct session *session, struct event_base *base)
{
	session->readable = event_new(base, session->fd,
	    EV_READ | EV_PERSIST, on_readable, session);
	session->writable = event_new(base, session->fd, EV_WRITE,
	    on_writable, session);
	session->timer = event_new(base, -1, 0, on_timer, session);
	if (session->readable == NULL || session->writable == NULL ||
	    session->timer == NULL)
		fatalx("session: no event");
}
