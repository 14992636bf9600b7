/*
 * A search goes through what a scout finds for a hop, until a conversation is
 * ready: one that rests, or a new one.  What has failed lately is passed by,
 * what is merely full is waited for, if no other that is as good has room.
 *
 *	LOOKING -> WAITING	wait_for_room
 *	WAITING -> LOOKING	search_go_on
 *	LOOKING -> CONNECTING	begin_connection
 *	CONNECTING -> GREETING	on_connected
 *	CONNECTING -> LOOKING	failed
 *	GREETING -> CONNECTING	search_refused (once more, in clear)
 *	GREETING -> LOOKING	search_refused
 *	any -> OVER		over
 */
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "relay.h"

#define CONNECT_SECONDS	30	/* for each address */
#define ADDRESSES_MAX	20	/* tried in one search */

enum state { LOOKING, WAITING, CONNECTING, GREETING, OVER };

struct search {
	struct hop	*hop;
	bool		 insist;	/* try what is closed */
	FILE		*script;
	search_fn	 fn;
	void		*arg;
	enum state	 state;
	struct scout	*scout;
	struct event	*step;		/* go on, from the loop */
	struct event	*connected;	/* the socket, while it connects */
	int		 fd;
	struct endpoint	*endpoint;	/* held */
	unsigned int	 rank;		/* of that, and of: */
	struct endpoint	*full;		/* the first without room; held */
	struct endpoint	*next;		/* after that has failed; held */
	unsigned int	 next_rank;
	const struct host *next_host;	/* the scout's */
	struct conversation *conversation;	/* while GREETING */
	bool		 clear;		/* TLS has failed here */
	unsigned int	 tried;		/* addresses */
	char		 host[WIRE_NAME];	/* the last */
	struct reply	 fault;		/* the most telling so far */
	int64_t		 closed_until;	/* the soonest; 0 none */
};

static void
go_on(struct search *search)
{
	event_active(search->step, EV_TIMEOUT, 0);
}

static void
take_up(struct search *search, struct endpoint *e)
{
	search->endpoint = e;
	strlcpy(search->host, e->text, sizeof(search->host));
}

static void
drop_endpoint(struct search *search)
{
	endpoint_release(search->endpoint);
	search->endpoint = NULL;
	search->clear = false;
}

/* ---- its end ---- */

/* Tell who asked; the search may be gone afterwards. */
static void
over(struct search *search, struct conversation *c)
{
	struct found found = {
		.search = search, .conversation = c, .host = search->host,
		.fault = c == NULL ? &search->fault : NULL,
		.closed_until = search->closed_until,
		.lifetime = scout_lifetime(search->scout)
	};

	if (c == NULL && search->fault.code == 0) {
		reply_fault(&search->fault, STAGE_LOOKUP, 451, "4.4.4",
		    "there is no host to be tried");
		transcript(search->script, "===", "%s", search->fault.text);
	}
	search->state = OVER;
	search->fn(&found, search->arg);
}

/* Of two faults: does the new one say more of why mail cannot go? */
static bool
says_more(const struct reply *new, const struct reply *old)
{
	if (old->code == 0)
		return true;
	if ((new->code >= 500) != (old->code >= 500))
		return new->code < 500;
	return new->stage >= old->stage;
}

static void
note(struct search *search, const struct reply *fault, int64_t closed_until)
{
	bool brief = fault->brief && (search->fault.code == 0 ||
	    search->fault.brief);

	if (says_more(fault, &search->fault))
		search->fault = *fault;
	search->fault.brief = brief;
	if (closed_until != 0 && (search->closed_until == 0 ||
	    closed_until < search->closed_until))
		search->closed_until = closed_until;
}

static void
look_further(struct search *search)
{
	drop_endpoint(search);
	search->state = LOOKING;
	if (search->next == NULL) {
		scout_next(search->scout);
		return;
	}
	hop_saw(search->hop, search->next_host, search->next, NULL);
	take_up(search, search->next);
	search->rank = search->next_rank;
	search->next = NULL;
	go_on(search);
}

static void
log_unreachable(const char *host, const struct reply *fault)
{
	log_begin(LOG_INFO, "unreachable");
	log_string("relay", host);
	log_string("reason", fault->text);
	log_end();
}

/* This endpoint does not do, as the fault says. */
static void
failed(struct search *search, const struct reply *fault)
{
	log_unreachable(search->endpoint->text, fault);
	endpoint_failed(search->endpoint, fault);
	note(search, fault, search->endpoint->closed_until);
	look_further(search);
}

/* ---- connecting ---- */

static bool
is_own_trouble(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM ||
	    error == ENOBUFS;
}

static void
not_connected(struct search *search, int error)
{
	struct reply fault;

	if (search->fd != -1)
		close(search->fd);
	search->fd = -1;
	endpoint_left(search->endpoint, NULL);
	if (is_own_trouble(error)) {
		reply_fault(&fault, STAGE_NONE, 451, "4.3.0", "socket: %s",
		    strerror(error));
		log_unreachable(search->endpoint->text, &fault);
		transcript(search->script, "===", "%s", fault.text);
		search->fault = fault;
		over(search, NULL);
		return;
	}
	reply_fault(&fault, STAGE_CONNECT, 451, "4.4.1", "connect to %s: %s",
	    search->endpoint->text, strerror(error));
	transcript(search->script, "===", "%s", fault.text);
	failed(search, &fault);
}

static void
on_connected(int fd, short events, void *arg)
{
	struct search *search = arg;
	socklen_t length = sizeof(int);
	int error = 0;

	event_free(search->connected);
	search->connected = NULL;
	if ((events & EV_TIMEOUT) != 0)
		error = ETIMEDOUT;
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == -1)
		error = errno;
	if (error != 0) {
		not_connected(search, error);
		return;
	}
	search->fd = -1;
	search->state = GREETING;
	search->conversation = conversation_new(search->endpoint, fd,
	    search->clear, search, search->script);
}

union address {
	struct sockaddr	 any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
};

static socklen_t
make_address(union address *to, const struct endpoint *e)
{
	memset(to, 0, sizeof(*to));
	if (e->path != NULL) {
		to->un.sun_family = AF_UNIX;
		strlcpy(to->un.sun_path, e->path, sizeof(to->un.sun_path));
		return sizeof(to->un);
	}
	if (e->address.family == 6) {
		to->in6.sin6_family = AF_INET6;
		to->in6.sin6_port = htons(e->port);
		memcpy(&to->in6.sin6_addr, e->address.octets, 16);
		return sizeof(to->in6);
	}
	to->in.sin_family = AF_INET;
	to->in.sin_port = htons(e->port);
	memcpy(&to->in.sin_addr, e->address.octets, 4);
	return sizeof(to->in);
}

static void
begin_connection(struct search *search)
{
	struct timeval patience = { .tv_sec = CONNECT_SECONDS };
	union address address;
	socklen_t length = make_address(&address, search->endpoint);

	search->state = CONNECTING;
	endpoint_joined(search->endpoint);
	search->fd = socket(address.any.sa_family, SOCK_STREAM |
	    SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (search->fd == -1 || (connect(search->fd, &address.any,
	    length) == -1 && errno != EINPROGRESS)) {
		not_connected(search, errno);
		return;
	}
	search->connected = event_new(relay_base(), search->fd, EV_WRITE,
	    on_connected, search);
	if (search->connected == NULL)
		fatalx("search: no event");
	if (event_add(search->connected, &patience) == -1) {
		event_free(search->connected);
		search->connected = NULL;
		not_connected(search, ENOMEM);
	}
}

/* ---- looking ---- */

static void
wait_no_more(struct search *search)
{
	if (search->state != WAITING)
		return;
	search->state = LOOKING;
	endpoint_wait_no_more(search->endpoint, search);
}

/* There is no room here: perhaps at one as good. */
static void
pass_by(struct search *search)
{
	if (search->full != NULL)
		drop_endpoint(search);
	else {
		search->full = search->endpoint;
		search->endpoint = NULL;
	}
	scout_next(search->scout);
}

/* None as good has room: wait for the first; by now there may be some. */
static void
wait_for_room(struct search *search)
{
	take_up(search, search->full);
	search->full = NULL;
	search->state = WAITING;
	endpoint_wait(search->endpoint, search);
	go_on(search);
}

/* Take a conversation that rests here, or make one, or wait, or go by. */
static void
consider(struct search *search)
{
	struct endpoint *e = search->endpoint;
	struct conversation *c;

	if (endpoint_is_closed(e) && !search->insist) {
		wait_no_more(search);
		note(search, &e->fault, e->closed_until);
		look_further(search);
	} else if (search->script == NULL && !endpoint_has_room(e, search)) {
		/* Who waits already keeps its place. */
		if (search->state != WAITING)
			pass_by(search);
	} else {
		wait_no_more(search);
		if (search->script == NULL && (c = endpoint_take(e)) != NULL)
			over(search, c);
		else
			begin_connection(search);
	}
}

static void
on_sighting(const struct sighting *sighting, void *arg)
{
	struct search *search = arg;
	struct endpoint *e;

	if (sighting->host == NULL || search->tried == ADDRESSES_MAX) {
		if (search->full != NULL)
			wait_for_room(search);
		else
			over(search, NULL);
		return;
	}
	if (sighting->fault != NULL) {
		strlcpy(search->host, sighting->host->name,
		    sizeof(search->host));
		hop_saw(search->hop, sighting->host, NULL, sighting->fault);
		log_unreachable(search->host, sighting->fault);
		transcript(search->script, "===", "%s",
		    sighting->fault->text);
		note(search, sighting->fault, 0);
		scout_next(search->scout);
		return;
	}
	search->tried++;
	e = endpoint_get(sighting->host, sighting->address,
	    hop_policy(search->hop), sighting->secret, sighting->security);
	if (search->full != NULL && sighting->rank != search->rank) {
		search->next = e;
		search->next_rank = sighting->rank;
		search->next_host = sighting->host;
		wait_for_room(search);
		return;
	}
	hop_saw(search->hop, sighting->host, e, NULL);
	take_up(search, e);
	search->rank = sighting->rank;
	consider(search);
}

/* There is room, or the next is to be considered, or this one in clear. */
static void
on_step(int fd, short events, void *arg)
{
	struct search *search = arg;

	(void)fd;
	(void)events;
	if (search->state == LOOKING && search->clear)
		begin_connection(search);
	else if (search->state == WAITING || (search->state == LOOKING &&
	    search->endpoint != NULL))
		consider(search);
}

/* ---- for the others ---- */

struct search *
search_new(struct hop *hop, bool insist, FILE *script, search_fn fn,
    void *arg)
{
	struct search *search;

	if ((search = calloc(1, sizeof(*search))) == NULL)
		fatal("calloc");
	search->hop = hop;
	search->insist = insist || script != NULL;
	search->script = script;
	search->fn = fn;
	search->arg = arg;
	search->fd = -1;
	search->step = event_new(relay_base(), -1, 0, on_step, search);
	if (search->step == NULL)
		fatalx("search: no event");
	search->scout = scout_new(hop, on_sighting, search);
	scout_next(search->scout);
	return search;
}

const struct hop *
search_hop(const struct search *search)
{
	return search->hop;
}

bool
search_waits(const struct search *search)
{
	return search->state == WAITING;
}

void
search_go_on(struct search *search)
{
	go_on(search);
}

void
search_free(struct search *search)
{
	struct endpoint *e;

	if (search == NULL)
		return;
	e = search->endpoint;
	if (search->connected != NULL) {
		event_free(search->connected);
		close(search->fd);
		endpoint_left(e, NULL);
	}
	if (search->state == GREETING)
		conversation_free(search->conversation);
	if (search->state == WAITING)
		endpoint_wait_no_more(e, search);
	endpoint_release(e);
	endpoint_release(search->full);
	endpoint_release(search->next);
	scout_free(search->scout);
	event_free(search->step);
	free(search);
}

void
search_ready(struct search *search, struct conversation *c)
{
	endpoint_worked(search->endpoint, conversation_protection(c));
	search->conversation = NULL;
	over(search, c);
}

void
search_refused(struct search *search, const struct reply *fault)
{
	struct endpoint *e = search->endpoint;

	search->conversation = NULL;
	if (fault->stage == STAGE_TLS && !search->clear &&
	    e->security->level == TLS_OPPORTUNISTIC &&
	    !policy_is_implicit(e->policy, e->port)) {
		log_unreachable(e->text, fault);
		search->state = LOOKING;
		search->clear = true;
		go_on(search);
		return;
	}
	failed(search, fault);
}
