/*
 * Sessions with clients: their octets, their clocks, their end.  Owns the
 * connection; what commands mean is decided elsewhere.
 *
 *   BANNER -> CONNECTED                [greet]
 *   CONNECTED, any -> GREETED          [HELO, EHLO, RSET; data_committed]
 *   GREETED -> MAIL                    [command_mail]
 *   MAIL, RCPT -> ASKING               [command_rcpt]
 *   ASKING -> MAIL, RCPT               [policy_answered]
 *   RCPT -> DATA                       [command_data]
 *   DATA -> COMMITTING                 [finish, of data.c]
 *   any -> CLOSING                     [session_hang_up]
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
#include "queueid.h"
#include "smtpd.h"

#define READ_AT_ONCE	32768		/* of a body */
#define READ_LITTLE	4096		/* of commands; while memory is short */
#define OUTPUT_FULL	16384		/* read no more commands before */
#define LINGER		(2 * SECOND)	/* for the last reply to arrive */
#define LAST_WORDS	(10 * SECOND)	/* for it to leave */
#define FINISH_LIMIT	(1 * HOUR)	/* of sessions after a reload */

static struct {
	struct event_base *base;
	struct event	*last_call;
	uint64_t	 last_id;
	uint32_t	 instance;
	bool		 finishing;
	TAILQ_HEAD(, session) all;
} sessions = { .all = TAILQ_HEAD_INITIALIZER(sessions.all) };

#define BIT(state)	(1U << (state))

/* Where each state may lead; CLOSING always, and nowhere from there. */
static const unsigned int edges[SESSION_STATES] = {
[SESSION_BANNER] = BIT(SESSION_CONNECTED),
[SESSION_CONNECTED] = BIT(SESSION_GREETED),
[SESSION_GREETED] = BIT(SESSION_GREETED) | BIT(SESSION_MAIL),
[SESSION_MAIL] = BIT(SESSION_GREETED) | BIT(SESSION_ASKING),
[SESSION_RCPT] = BIT(SESSION_GREETED) | BIT(SESSION_ASKING) |
    BIT(SESSION_DATA),
[SESSION_ASKING] = BIT(SESSION_MAIL) | BIT(SESSION_RCPT),
[SESSION_DATA] = BIT(SESSION_GREETED) | BIT(SESSION_COMMITTING),
[SESSION_COMMITTING] = BIT(SESSION_GREETED),
[SESSION_CLOSING] = 0
};

static const char *const state_names[SESSION_STATES] = {
[SESSION_BANNER] = "banner",
[SESSION_CONNECTED] = "connected",
[SESSION_GREETED] = "greeted",
[SESSION_MAIL] = "mail",
[SESSION_RCPT] = "rcpt",
[SESSION_ASKING] = "asking",
[SESSION_DATA] = "data",
[SESSION_COMMITTING] = "committing",
[SESSION_CLOSING] = "closing"
};

/* ---- state and log ---- */

void
session_log(const struct session *session, int priority, const char *word)
{
	char text[NETADDR_TEXT], id[QUEUEID_LENGTH + 1];

	log_begin_to(session->settings->logger, priority, word);
	log_string("session", queueid_print(session->id, id));
	if (session->settings->local) {
		log_string("client", "local");
		log_number("uid", session->client.uid);
	} else
		log_string("client", netaddr_print(&session->address, text,
		    sizeof(text)));
}

/* What must be true in each state. */
static void
session_check(const struct session *session)
{
	bool mail = session->state >= SESSION_MAIL &&
	    session->state <= SESSION_COMMITTING;

	if ((session->transaction != NULL) < mail ||
	    (session->data != NULL) < (session->state == SESSION_DATA) ||
	    (session->question != NULL) < (session->state == SESSION_ASKING))
		fatalx("session: %s without what it needs",
		    state_names[session->state]);
}

void
session_set_state(struct session *session, enum session_state state)
{
	if (session->state == SESSION_CLOSING)
		return;
	if (state != SESSION_CLOSING &&
	    (edges[session->state] & BIT(state)) == 0)
		fatalx("session: from %s to %s", state_names[session->state],
		    state_names[state]);
	session_log(session, LOG_DEBUG, "state");
	log_string("from", state_names[session->state]);
	log_string("to", state_names[state]);
	log_end();
	session->state = state;
	session_check(session);
}

void
session_reset(struct session *session)
{
	if (session->question != NULL)
		policy_forget(session);
	free(session->question);
	session->question = NULL;
	data_free(session);
	if (session->state != SESSION_CONNECTED &&
	    session->state != SESSION_ASKING)
		session_set_state(session, SESSION_GREETED);
	transaction_free(session->transaction);
	session->transaction = NULL;
}

/* ---- time ---- */

static void
set_timer(struct session *session, int64_t delay)
{
	const struct timeval tv = { .tv_sec = delay / SECOND,
	    .tv_usec = delay % SECOND };

	(void)event_add(session->timer, &tv);
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

/* ---- talking ---- */

void
session_say(struct session *session, const char *text, size_t length)
{
	if (session->state == SESSION_CLOSING)
		return;
	buffer_append(&session->output, text, length);
	session_expect(session, session->settings->command_timeout);
}

/* Why somebody was refused: one line, with all that finds it again. */
static void
log_refusal(const struct session *session, const char *text, size_t length)
{
	char reply[REPLY_MAX];

	memcpy(reply, text, length);
	reply[length - 2] = '\0';
	session_log(session, LOG_INFO, "refused");
	if (session->client.helo[0] != '\0')
		log_string("helo", session->client.helo);
	if (session->verb != NULL)
		log_string("command", session->verb);
	if (session->transaction != NULL) {
		if (session->transaction->id != 0)
			log_id("id", session->transaction->id);
		log_string("from", session->transaction->sender);
	}
	if (session->question != NULL)
		log_string("to", session->question->recipient);
	else if (session->argument != NULL)
		log_string("argument", session->argument);
	log_string("reply", reply);
	log_end();
}

/* A refusal is the client's error unless it may not know better. */
static void
count_error(struct session *session)
{
	if (session->trusted && session->question != NULL)
		return;
	session->errors++;
	if (session->settings->max_errors > 0 &&
	    session->errors >= session->settings->max_errors)
		session_hang_up(session, REPLY_TOO_MANY_ERRORS,
		    session->settings->host);
}

void
session_reply(struct session *session, enum reply reply,
    const char *argument)
{
	char text[REPLY_MAX];
	size_t length;

	length = reply_print(reply, argument, text, sizeof(text));
	if (session->state == SESSION_CLOSING)
		return;
	if (reply_class(reply) >= 4)
		log_refusal(session, text, length);
	session_say(session, text, length);
	if (reply_class(reply) == 5)
		count_error(session);
}

void
session_refuse(struct session *session, uint32_t code, const char *reason)
{
	char text[REPLY_MAX];
	size_t length;

	length = reply_print_refusal(code, reason, text, sizeof(text));
	log_refusal(session, text, length);
	session_say(session, text, length);
	if (text[0] == '5')
		count_error(session);
}

void
session_hang_up(struct session *session, enum reply reply,
    const char *argument)
{
	if (session->state == SESSION_CLOSING)
		return;
	/* Without errors counted: these are the last words. */
	session->errors = INT64_MIN / 2;
	session_reply(session, reply, argument);
	session_set_state(session, SESSION_CLOSING);
	session_expect(session, LAST_WORDS);
}

/* ---- the end ---- */

static void
session_free(struct session *session)
{
	session_log(session, LOG_INFO, "disconnect");
	log_number("messages", session->messages);
	log_end();
	if (session->question != NULL)
		policy_forget(session);
	free(session->question);
	data_free(session);
	transaction_free(session->transaction);
	if (session->counted)
		limits_leave(&session->address,
		    session->address.family == 4 ?
		    session->settings->ipv4_prefix :
		    session->settings->ipv6_prefix);
	session->listener->sessions--;
	event_free(session->readable);
	event_free(session->writable);
	event_free(session->timer);
	buffer_free(&session->input);
	buffer_free(&session->output);
	(void)close(session->fd);
	TAILQ_REMOVE(&sessions.all, session, entry);
	free(session);
	if (sessions.finishing && TAILQ_EMPTY(&sessions.all))
		loop_stop(0);
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
	(void)event_add(session->readable, NULL);
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
		(void)event_add(session->writable, NULL);
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

/* Write what can be written; end what has ended.  True if it is gone. */
static bool
settle(struct session *session)
{
	bool waiting = session->state == SESSION_ASKING &&
	    session->output.length < OUTPUT_FULL;

	if (!waiting)
		flush(session);
	if (session->broken) {
		session_free(session);
		return true;
	}
	if (session->state == SESSION_CLOSING) {
		if (session->output.length > 0 || session->lingering)
			return false;
		if (!session->ended) {
			linger(session);
			return false;
		}
		session_free(session);
		return true;
	}
	if (session->ended && accepting(session)) {
		session_free(session);
		return true;
	}
	if (session->state == SESSION_ASKING ||
	    session->state == SESSION_COMMITTING)
		session->deadline = 0;	/* it is our turn */
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
		(void)event_add(session->readable, NULL);
}

/* Octets came: most are handled where they were read to. */
static void
received(struct session *session, const char *data, size_t length)
{
	size_t used = 0;

	if (session->state == SESSION_DATA)
		session_expect(session, session->settings->data_timeout);
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

/* ---- the beginning ---- */

/* Say the banner, unless the client has not waited for it. */
static void
greet(struct session *session)
{
	char data[COMMAND_LINE_MAX];
	ssize_t n;

	if (!session->trusted) {
		n = read(session->fd, data, sizeof(data));
		if (n > 0) {
			session_hang_up(session, REPLY_OUT_OF_STEP, NULL);
			session_run(session);
			return;
		}
		session->ended = n == 0;
	}
	session_reply(session, REPLY_BANNER, session->settings->host);
	session_set_state(session, SESSION_CONNECTED);
	session_run(session);
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
		greet(session);
		return;
	}
	if (session->state == SESSION_DATA &&
	    transaction_blocked(session->transaction)) {
		session_expect(session, session->settings->data_timeout);
		return;
	}
	/* Who does not read our words hears no more of them. */
	session->broken = session->state == SESSION_CLOSING ||
	    session->output.length > 0;
	session->verb = session->state == SESSION_DATA ? "DATA" : NULL;
	session_hang_up(session, REPLY_TIMEOUT, session->settings->host);
	session_run(session);
}

/* One reply and the end, for a client there is no room for. */
static void
turn_away(struct session *session, enum reply reply)
{
	session_hang_up(session, reply, session->settings->host);
	session_run(session);
}

/* Microseconds with room for 256 workers: unique, and in order of time. */
static uint64_t
next_id(void)
{
	uint64_t id = (uint64_t)clock_now() << 8;

	if (id <= sessions.last_id)
		id = sessions.last_id + (1 << 8);
	sessions.last_id = id;
	return id | (sessions.instance & 255);
}

/* Who the client is, as far as the connection says. */
static int
identify(struct session *session, uint16_t port)
{
	struct w_client *client = &session->client;
	uid_t uid;

	memcpy(client->listener, session->settings->name,
	    sizeof(client->listener));
	session->trusted = settings_trust(session->settings,
	    &session->address);
	if (session->settings->local) {
		client->standing = STANDING_LOCAL;
		if (local_peer(session->fd, &uid) == -1)
			return -1;
		client->uid = uid;
		return 0;
	}
	client->standing = session->trusted ? STANDING_TRUSTED :
	    STANDING_STRANGER;
	client->family = session->address.family;
	client->port = port;
	memcpy(client->address, session->address.octets,
	    sizeof(client->address));
	return 0;
}

static enum reply
find_room(struct session *session)
{
	const struct settings *settings = session->settings;

	if (settings->max_sessions > 0 &&
	    session->listener->sessions > settings->max_sessions)
		return REPLY_TOO_MANY_SESSIONS;
	if (session->trusted)
		return REPLY_NONE;
	if (limits_enter(&session->address, session->address.family == 4 ?
	    settings->ipv4_prefix : settings->ipv6_prefix,
	    settings->max_sessions_per_network) == -1)
		return REPLY_TOO_MANY_OF_NETWORK;
	session->counted = true;
	return REPLY_NONE;
}

/* Takes the descriptor. */
void
session_new(struct listener *listener, int fd, const struct netaddr *address,
    uint16_t port)
{
	struct session *session;
	enum reply reply;

	if ((session = calloc(1, sizeof(*session))) == NULL)
		fatal("session");
	session->id = next_id();
	session->fd = fd;
	session->listener = listener;
	session->settings = listener->settings;
	session->address = *address;
	session->readable = event_new(sessions.base, fd,
	    EV_READ | EV_PERSIST, on_readable, session);
	session->writable = event_new(sessions.base, fd, EV_WRITE,
	    on_writable, session);
	session->timer = event_new(sessions.base, -1, 0, on_timer, session);
	if (session->readable == NULL || session->writable == NULL ||
	    session->timer == NULL)
		fatalx("session: no event");
	TAILQ_INSERT_TAIL(&sessions.all, session, entry);
	listener->sessions++;
	session->broken = identify(session, port) == -1;
	session_log(session, LOG_INFO, "connect");
	log_string("listener", session->settings->name);
	log_end();
	if ((reply = find_room(session)) != REPLY_NONE)
		turn_away(session, reply);
	else if (session->settings->banner_delay > 0)
		session_expect(session, session->settings->banner_delay);
	else
		greet(session);
}

static void
hang_up_all(void)
{
	struct session *session, *next;

	for (session = TAILQ_FIRST(&sessions.all); session != NULL;
	    session = next) {
		next = TAILQ_NEXT(session, entry);
		session->verb = NULL;
		session_hang_up(session, REPLY_SHUTDOWN,
		    session->settings->host);
		session_run(session);
	}
}

static void
on_last_call(int fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	(void)arg;
	hang_up_all();
}

void
sessions_begin(struct child *child)
{
	sessions.base = child->base;
	sessions.instance = child->instance;
	sessions.last_call = event_new(child->base, -1, 0, on_last_call,
	    NULL);
	if (sessions.last_call == NULL)
		fatalx("sessions: no event");
}

/* Others accept now: end with the last session, an hour from now at most. */
void
sessions_finish(void)
{
	const struct timeval limit = { .tv_sec = FINISH_LIMIT / SECOND };

	sessions.finishing = true;
	if (TAILQ_EMPTY(&sessions.all))
		loop_stop(0);
	else
		(void)event_add(sessions.last_call, &limit);
}

/* The suite ends: a word of farewell where a client waits for one. */
void
sessions_end(void)
{
	hang_up_all();
}
