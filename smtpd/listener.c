/*
 * Listening sockets: accepts on them and hands the connections to sessions.
 * Makes none itself; they come bound from postmaster.
 */
#include <sys/socket.h>

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "loop.h"
#include "smtpd.h"

#define ACCEPT_PER_TURN	4	/* other workers want some, too */
#define PAUSE		SECOND	/* when descriptors or memory are short */
#define YIELD		(SECOND / 4)	/* to others with room */
#define REFUSED_PER_TURN 64	/* behind that */

static TAILQ_HEAD(, listener) listeners = TAILQ_HEAD_INITIALIZER(listeners);

static void
pause_for(struct listener *listener, int64_t delay)
{
	(void)event_del(listener->event);
	loop_after(listener->pause, delay);
}

static void
on_pause_over(int fd, short events, void *arg)
{
	struct listener *listener = arg;

	(void)fd;
	(void)events;
	if (listener->fd != -1 && event_add(listener->event, NULL) == -1)
		pause_for(listener, PAUSE);
}

/* accept(2) failed: is it our trouble, so that waiting would help? */
static void
accept_failed(struct listener *listener)
{
	if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS &&
	    errno != ENOMEM)
		return;
	log_errno(LOG_ERR, "accept", "listener %s waits",
	    listener->settings->name);
	pause_for(listener, PAUSE);
}

static bool
is_full(const struct listener *listener)
{
	return listener->settings->max_sessions > 0 &&
	    listener->sessions >= listener->settings->max_sessions;
}

/*
 * All of our share is taken: another worker may have room.  It accepts for a
 * while without us; who waits even so is told that there is none.
 */
static bool
yields(struct listener *listener)
{
	if (listener->yielded || !listener->settings->shared ||
	    !is_full(listener))
		return false;
	listener->yielded = true;
	pause_for(listener, YIELD);
	return true;
}

static void
on_acceptable(int fd, short events, void *arg)
{
	struct listener *listener = arg;
	struct sockaddr_storage storage;
	struct netaddr address;
	socklen_t length;
	uint16_t port;
	int client, i, most;

	(void)events;
	listener->yielded = listener->yielded && is_full(listener);
	most = listener->yielded ? REFUSED_PER_TURN : ACCEPT_PER_TURN;
	for (i = 0; i < most; i++) {
		if (yields(listener))
			return;
		length = sizeof(storage);
		client = accept4(fd, (struct sockaddr *)&storage, &length,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (client == -1) {
			accept_failed(listener);
			break;
		}
		(void)netaddr_from_sockaddr((struct sockaddr *)&storage,
		    &address, &port);
		session_new(listener, client, &address, port);
	}
	listener->yielded = false;
}

/* Takes the descriptor. */
void
listener_add(struct child *child, int fd,
    const struct w_start_listener_ntf *ntf)
{
	const struct settings *settings;
	struct listener *listener;

	settings = settings_of(ntf->local ? "" : ntf->name);
	if (settings == NULL || settings->local != (ntf->local != 0)) {
		log_note(LOG_ERR, "listener", "no [smtpd \"%s\"] for %s",
		    ntf->name, ntf->address);
		(void)close(fd);
		return;
	}
	if ((listener = calloc(1, sizeof(*listener))) == NULL)
		fatal("listener");
	listener->fd = fd;
	listener->settings = settings;
	listener->event = event_new(child->base, fd, EV_READ | EV_PERSIST,
	    on_acceptable, listener);
	listener->pause = event_new(child->base, -1, 0, on_pause_over,
	    listener);
	if (listener->event == NULL || listener->pause == NULL)
		fatalx("listener: no event");
	if (event_add(listener->event, NULL) == -1)
		pause_for(listener, PAUSE);
	TAILQ_INSERT_TAIL(&listeners, listener, entry);
}

/* Accept no more; sessions still point to their listener. */
void
listeners_close(void)
{
	struct listener *listener;

	TAILQ_FOREACH(listener, &listeners, entry) {
		if (listener->fd == -1)
			continue;
		(void)event_del(listener->event);
		(void)event_del(listener->pause);
		(void)close(listener->fd);
		listener->fd = -1;
	}
}
