/*
 * Clients come and go: who they are, whether there is room for them, and all
 * sessions together.
 */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "loop.h"
#include "smtpd.h"

#define FINISH_LIMIT	(1 * HOUR)	/* of sessions after a reload */

static struct {
	struct event_base *base;
	struct event	*last_call;
	uint64_t	 last_id;
	uint32_t	 instance;
	bool		 finishing;
	TAILQ_HEAD(, session) all;
} sessions = { .all = TAILQ_HEAD_INITIALIZER(sessions.all) };

/* ---- one client ---- */

void
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

/* Say the banner, unless the client has not waited for it. */
void
session_greet(struct session *session)
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
	if (session->settings->local)
		(void)strlcpy(session->name, "local", sizeof(session->name));
	else
		(void)netaddr_print(address, session->name,
		    sizeof(session->name));
	session_listen(session, sessions.base);
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
		session_greet(session);
}

/* ---- all of them ---- */

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
	sessions.finishing = true;
	if (TAILQ_EMPTY(&sessions.all))
		loop_stop(0);
	else
		loop_after(sessions.last_call, FINISH_LIMIT);
}

/* The suite ends: a word of farewell where a client waits for one. */
void
sessions_end(void)
{
	hang_up_all();
}
