/*
 * Endpoints: what is remembered of each address of a host.  How many
 * connections it has, which of them rest until somebody needs one, who waits
 * for room, and until when it is left alone because it failed.
 *
 * Two hops share an endpoint, and with it connections, if they would say the
 * same to the same server: host, address, port, policy, login and security
 * are equal.
 */
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "relay.h"

#define ENDPOINTS_KEPT	4096		/* that nobody uses, remembered */
#define CLOSED_MIN	(1 * MINUTE)	/* at first, then doubled */
#define CLOSED_MAX	(10 * MINUTE)

static int
compare(struct endpoint *a, struct endpoint *b)
{
	return strcmp(a->key, b->key);
}

RB_HEAD(endpoint_tree, endpoint);
RB_GENERATE_STATIC(endpoint_tree, endpoint, entry, compare)
TAILQ_HEAD(endpoint_list, endpoint);

static struct {
	struct endpoint_tree all;
	struct endpoint_list unused;	/* the longest unused first */
	size_t		 unused_count;
	unsigned int	 connections;	/* of all endpoints */
	struct event	*sweep;		/* end what rests */
	bool		 ending;
} endpoints = {
	.all = RB_INITIALIZER(&endpoints.all),
	.unused = TAILQ_HEAD_INITIALIZER(endpoints.unused)
};

/* ---- the table ---- */

static void
endpoint_free(struct endpoint *e)
{
	RB_REMOVE(endpoint_tree, &endpoints.all, e);
	security_free(e->security);
	free(e->key);
	free(e->path);
	free(e->resting);
	free(e->waiting);
	free(e);
}

/* Is it in use or not: keep the list of those that are not. */
static void
settle(struct endpoint *e)
{
	bool unused = e->holders == 0 && e->connections == 0;

	if (unused == e->is_unused)
		return;
	e->is_unused = unused;
	if (!unused) {
		TAILQ_REMOVE(&endpoints.unused, e, unused);
		endpoints.unused_count--;
		return;
	}
	TAILQ_INSERT_TAIL(&endpoints.unused, e, unused);
	if (endpoints.unused_count++ < ENDPOINTS_KEPT)
		return;
	e = TAILQ_FIRST(&endpoints.unused);
	TAILQ_REMOVE(&endpoints.unused, e, unused);
	endpoints.unused_count--;
	endpoint_free(e);
}

/* The records and names by which a server is known, as part of the key. */
static void
print_security(const struct security *security, FILE *out)
{
	const struct dns_tlsa *tlsa;
	size_t i, j;

	fprintf(out, " %d", (int)security->level);
	for (i = 0; i < security->name_count; i++)
		fprintf(out, " %s", security->names[i]);
	for (i = 0; i < security->record_count; i++) {
		tlsa = &security->records[i];
		fprintf(out, " %u-%u-%u-", tlsa->usage, tlsa->selector,
		    tlsa->matching);
		for (j = 0; j < tlsa->length; j++)
			fprintf(out, "%02x", tlsa->octets[j]);
	}
}

/* What makes two endpoints the same, as text. */
static char *
make_key(const struct host *host, const char *address,
    const struct policy *policy, const struct secret *secret,
    const struct security *security)
{
	char *key = NULL;
	size_t length;
	FILE *out;

	if ((out = open_memstream(&key, &length)) == NULL)
		fatal("open_memstream");
	fprintf(out, "%s %s %u %p %p", host->name, address,
	    (unsigned int)host->port, (const void *)policy,
	    (const void *)secret);
	print_security(security, out);
	if (fclose(out) == EOF || key == NULL)
		fatal("open_memstream");
	return key;
}

static struct endpoint *
endpoint_new(char *key, const struct host *host,
    const struct netaddr *address, const char *printed)
{
	struct endpoint *e;

	if ((e = calloc(1, sizeof(*e))) == NULL)
		fatal("calloc");
	e->key = key;
	e->port = host->port;
	strlcpy(e->name, host->name, sizeof(e->name));
	if (address == NULL) {
		if ((e->path = strdup(host->name)) == NULL)
			fatal("strdup");
		strlcpy(e->text, host->name, sizeof(e->text));
	} else {
		e->address = *address;
		snprintf(e->text, sizeof(e->text), "%.64s[%s]:%u", host->name,
		    printed, (unsigned int)host->port);
	}
	RB_INSERT(endpoint_tree, &endpoints.all, e);
	return e;
}

/*
 * The endpoint of an address, or of a path if that is NULL.  To be released.
 */
struct endpoint *
endpoint_get(const struct host *host, const struct netaddr *address,
    const struct policy *policy, const struct secret *secret,
    struct security *security)
{
	char printed[NETADDR_TEXT] = "";
	struct endpoint key, *e;

	if (address != NULL)
		netaddr_print(address, printed, sizeof(printed));
	key.key = make_key(host, printed, policy, secret, security);
	if ((e = RB_FIND(endpoint_tree, &endpoints.all, &key)) != NULL)
		free(key.key);
	else {
		e = endpoint_new(key.key, host, address, printed);
		e->policy = policy;
		e->secret = secret;
		e->security = security;
		security->holders++;
	}
	e->holders++;
	settle(e);
	return e;
}

void
endpoint_hold(struct endpoint *e)
{
	e->holders++;
	settle(e);
}

void
endpoint_release(struct endpoint *e)
{
	if (e == NULL)
		return;
	e->holders--;
	settle(e);
}

/* ---- room ---- */

bool
endpoint_is_closed(const struct endpoint *e)
{
	return e->closed_until > clock_now();
}

static bool
has_room(const struct endpoint *e)
{
	return e->resting_count > 0 ||
	    e->connections < e->policy->max_connections;
}

/*
 * Is there room for this search, or with NULL for whoever comes now?  Those
 * who wait come first.
 */
bool
endpoint_has_room(const struct endpoint *e, const struct search *search)
{
	return has_room(e) &&
	    (e->waiting_count == 0 || e->waiting[0] == search);
}

/*
 * Does another hop than this wait for room?
 */
bool
endpoint_is_wanted(const struct endpoint *e, const struct hop *hop)
{
	size_t i;

	for (i = 0; i < e->waiting_count; i++)
		if (search_hop(e->waiting[i]) != hop)
			return true;
	return false;
}

/* Who has waited longest may look. */
static void
wake(struct endpoint *e)
{
	if (e->waiting_count > 0 && (has_room(e) || endpoint_is_closed(e)))
		search_go_on(e->waiting[0]);
}

/*
 * This search wants to know when there is room.
 */
void
endpoint_wait(struct endpoint *e, struct search *search)
{
	e->waiting = reallocarray(e->waiting, e->waiting_count + 1,
	    sizeof(struct search *));
	if (e->waiting == NULL)
		fatal("reallocarray");
	e->waiting[e->waiting_count++] = search;
}

/*
 * It does not wait any more; the next one may look.
 */
void
endpoint_wait_no_more(struct endpoint *e, struct search *search)
{
	size_t i;

	for (i = 0; i < e->waiting_count && e->waiting[i] != search; i++)
		continue;
	if (i == e->waiting_count)
		return;
	memmove(&e->waiting[i], &e->waiting[i + 1],
	    (--e->waiting_count - i) * sizeof(struct search *));
	wake(e);
}

/*
 * A new connection is about to be made.
 */
void
endpoint_joined(struct endpoint *e)
{
	e->connections++;
	endpoints.connections++;
	settle(e);
}

/* ---- resting conversations ---- */

/*
 * The one that has rested least: the others may reach their end.
 */
struct conversation *
endpoint_take(struct endpoint *e)
{
	return e->resting_count > 0 ? e->resting[--e->resting_count] : NULL;
}

void
endpoint_rest(struct endpoint *e, struct conversation *c)
{
	e->resting = reallocarray(e->resting, e->resting_count + 1,
	    sizeof(struct conversation *));
	if (e->resting == NULL)
		fatal("reallocarray");
	e->resting[e->resting_count++] = c;
	if (endpoints.ending)
		event_active(endpoints.sweep, EV_TIMEOUT, 0);
	else
		wake(e);
}

void
endpoint_withdraw(struct endpoint *e, struct conversation *c)
{
	size_t i;

	for (i = 0; i < e->resting_count && e->resting[i] != c; i++)
		continue;
	if (i < e->resting_count)
		memmove(&e->resting[i], &e->resting[i + 1],
		    (--e->resting_count - i) * sizeof(struct conversation *));
}

/*
 * A connection is closed, or was never made: then c is NULL.
 */
void
endpoint_left(struct endpoint *e, struct conversation *c)
{
	endpoint_withdraw(e, c);
	e->connections--;
	endpoints.connections--;
	wake(e);
	settle(e);
	relay_idle();
}

/* ---- what is remembered of it ---- */

void
endpoint_worked(struct endpoint *e, const char *protection)
{
	e->failures = 0;
	e->closed_until = 0;
	strlcpy(e->tls, protection, sizeof(e->tls));
}

/*
 * How long to leave alone what has failed so many times before.
 */
int64_t
endpoint_pause(unsigned int failures)
{
	int64_t pause = CLOSED_MIN;

	for (; failures > 0 && pause < CLOSED_MAX; failures--)
		pause *= 2;
	return pause < CLOSED_MAX ? pause : CLOSED_MAX;
}

/*
 * It did not come to a conversation.  While others go on, that closes
 * nothing: there may just be too many.
 */
void
endpoint_failed(struct endpoint *e, const struct reply *fault)
{
	if (e->connections > 0)
		return;
	e->fault = *fault;
	e->closed_until = clock_now() + endpoint_pause(e->failures++);
	wake(e);
}

/*
 * For people: what it is and how it is.
 */
void
endpoint_print(const struct endpoint *e, FILE *out)
{
	char text[NETADDR_TEXT], line[WIRE_NAME], date[32];

	if (e->path != NULL)
		fprintf(out, "  socket");
	else
		fprintf(out, "  address %s port %u", netaddr_print(&e->address,
		    text, sizeof(text)), (unsigned int)e->port);
	security_print(e->security, line, sizeof(line));
	fprintf(out, ", tls: %s%s\n", line,
	    e->secret != NULL ? ", with login" : "");
	if (endpoint_is_closed(e)) {
		clock_date(e->closed_until, date, sizeof(date));
		fprintf(out, "    closed until %s: %s\n", date,
		    e->fault.text);
	} else
		fprintf(out, "    open, connections: %u, at rest: %zu\n",
		    e->connections, e->resting_count);
	if (e->tls[0] != '\0')
		fprintf(out, "    last connection: tls %s\n", e->tls);
}

/* ---- the end ---- */

static void
on_sweep(int fd, short events, void *arg)
{
	struct endpoint *e, *next;
	size_t i;

	(void)fd;
	(void)events;
	(void)arg;
	RB_FOREACH_SAFE(e, endpoint_tree, &endpoints.all, next)
		for (i = e->resting_count; i-- > 0;)
			conversation_end(e->resting[i]);
}

void
endpoint_configure(struct event_base *base)
{
	endpoints.sweep = event_new(base, -1, 0, on_sweep, NULL);
	if (endpoints.sweep == NULL)
		fatalx("endpoint: no event");
}

/*
 * End what rests, and what comes to rest from now on.
 */
void
endpoint_end_all(void)
{
	endpoints.ending = true;
	event_active(endpoints.sweep, EV_TIMEOUT, 0);
}

bool
endpoint_all_idle(void)
{
	return endpoints.connections == 0;
}
