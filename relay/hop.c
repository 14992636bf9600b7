/*
 * Next hops: what a hop's text means, the transactions that wait for it and
 * the connections to it.  Knows whether a hop can be reached, and how long to
 * leave one alone that cannot.
 */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "relay.h"
#include "target.h"

#define CONNECTIONS	20		/* to one hop at a time */
#define HOPS_KEPT	256		/* idle ones too, up to this */
#define CLOSED_MIN	(1 * MINUTE)	/* at first, then doubled */
#define CLOSED_MAX	(10 * MINUTE)
#define PORT_SMTP	25
#define PORT_LMTP	24

struct hop {
	LIST_ENTRY(hop)	 entry;
	char		*text;
	char		*fault;		/* why it is none; NULL if it is one */
	bool		 lmtp;
	struct host	*hosts;
	size_t		 count;
	struct transactions waiting;
	struct conversation *open[CONNECTIONS];
	size_t		 open_count;
	bool		 reachable;	/* a host has greeted us lately */
	unsigned int	 failures;	/* in a row */
};

static LIST_HEAD(, hop) hops = LIST_HEAD_INITIALIZER(hops);
static size_t hop_count;
static const struct child *child;

/*
 * Hops are looked up in this process's part of the configuration.
 */
void
hop_configure(struct child *c)
{
	child = c;
}

/* ---- what a hop's text means ---- */

static void
add_host(struct hop *hop, const char *name, const char *address, uint16_t port)
{
	struct host *host;

	hop->hosts = reallocarray(hop->hosts, hop->count + 1, sizeof(*host));
	if (hop->hosts == NULL)
		fatal("reallocarray");
	host = &hop->hosts[hop->count++];
	strlcpy(host->name, name, sizeof(host->name));
	strlcpy(host->address, address, sizeof(host->address));
	host->port = port;
	if (port == 0)
		host->port = hop->lmtp ? PORT_LMTP : PORT_SMTP;
}

/* relay(host:port, ...) or lmtp(...); returns what is wrong with it. */
static const char *
read_call(struct hop *hop)
{
	struct target target;
	const char *why = NULL, *argument;
	char name[WIRE_DOMAIN];
	uint16_t port;
	int more;

	if (target_parse(hop->text, &target, &why) == -1)
		return why;
	if (target.kind != TARGET_CALL || (target.call != CALL_RELAY &&
	    target.call != CALL_LMTP)) {
		target_free(&target);
		return "it is neither relay(...) nor lmtp(...)";
	}
	hop->lmtp = target.call == CALL_LMTP;
	argument = target.argument;
	if (hop->lmtp && argument[0] == '/') {
		target_free(&target);
		return "LMTP is spoken by TCP only";
	}
	while ((more = target_next_host(&argument, name, sizeof(name),
	    &port)) == 1)
		add_host(hop, name, name, port);
	target_free(&target);
	if (more == -1)
		return "its list of hosts is malformed";
	return hop->count == 0 ? "it names no host" : NULL;
}

/* One word that names a host, of a [relay] section. */
static int
read_word(struct hop *hop, const char *name, const char *word, uint16_t port)
{
	char host[WIRE_DOMAIN];
	uint16_t own;

	if (target_next_host(&word, host, sizeof(host), &own) != 1)
		return -1;
	add_host(hop, name != NULL ? name : host, host, own != 0 ? own : port);
	return 0;
}

/* [relay NAME]: its addresses in order, else its name. */
static const char *
read_section(struct hop *hop, const struct conf_section *section)
{
	const char *name = conf_string(section, "name", section->name);
	uint16_t port = (uint16_t)conf_number(section, "port", 0);
	struct conf_setting *s;
	size_t i;

	for (s = conf_setting(section, "address"); s != NULL;
	    s = conf_again(s))
		for (i = 0; i < s->count; i++)
			if (read_word(hop, name, s->words[i].text,
			    port) == -1)
				return "an address of it is malformed";
	if (hop->count == 0 && read_word(hop, NULL, name, port) == -1)
		return "its name is malformed";
	return NULL;
}

static void
read_text(struct hop *hop)
{
	const struct conf_section *section;
	const char *why;

	if (strchr(hop->text, '(') != NULL)
		why = read_call(hop);
	else if ((section = conf_section(child->conf, "relay",
	    hop->text)) != NULL)
		why = read_section(hop, section);
	else
		why = "the configuration has no such [relay]";
	if (why != NULL && (hop->fault = strdup(why)) == NULL)
		fatal("strdup");
}

/*
 * -n: complain of [relay] sections that cannot be used.
 */
void
hop_check(struct conf *conf)
{
	struct conf_section *section;
	struct conf_setting *port;
	struct hop scratch;
	const char *why;
	int64_t number;

	for (section = conf_section(conf, "relay", NULL); section != NULL;
	    section = conf_next(section)) {
		number = conf_number(section, "port", PORT_SMTP);
		port = conf_setting(section, "port");
		if (port != NULL && (number < 1 || number > 65535))
			conf_wrong(conf, &port->place,
			    "a port is a number from 1 to 65535");
		memset(&scratch, 0, sizeof(scratch));
		if ((why = read_section(&scratch, section)) != NULL)
			conf_wrong(conf, &section->place,
			    "[relay %s] cannot be used: %s; write host or "
			    "host:port", section->name, why);
		free(scratch.hosts);
	}
}

/* ---- hops ---- */

static bool
is_idle(const struct hop *hop)
{
	return hop->open_count == 0 && TAILQ_EMPTY(&hop->waiting);
}

static void
hop_free(struct hop *hop)
{
	LIST_REMOVE(hop, entry);
	hop_count--;
	free(hop->text);
	free(hop->fault);
	free(hop->hosts);
	free(hop);
}

/* Forget hops that nobody needs now, if there are many. */
static void
trim(void)
{
	struct hop *hop, *next;

	if (hop_count < HOPS_KEPT)
		return;
	LIST_FOREACH_SAFE(hop, &hops, entry, next)
		if (is_idle(hop))
			hop_free(hop);
}

static struct hop *
find(const char *text)
{
	struct hop *hop;

	LIST_FOREACH(hop, &hops, entry)
		if (strcmp(hop->text, text) == 0)
			return hop;
	trim();
	if ((hop = calloc(1, sizeof(*hop))) == NULL ||
	    (hop->text = strdup(text)) == NULL)
		fatal("calloc");
	TAILQ_INIT(&hop->waiting);
	LIST_INSERT_HEAD(&hops, hop, entry);
	hop_count++;
	read_text(hop);
	return hop;
}

const char *
hop_name(const struct hop *hop)
{
	return hop->text;
}

bool
hop_is_lmtp(const struct hop *hop)
{
	return hop->lmtp;
}

/*
 * The nth host in order of preference; NULL behind the last.
 */
const struct host *
hop_host(const struct hop *hop, size_t n)
{
	return n < hop->count ? &hop->hosts[n] : NULL;
}

static void
open_one(struct hop *hop)
{
	if (hop->open_count == CONNECTIONS)
		return;
	hop->open[hop->open_count++] = conversation_new(hop, child);
}

/* Somebody waits: let an idle connection take it, or make one. */
static void
find_connection(struct hop *hop)
{
	size_t i;

	for (i = 0; i < hop->open_count; i++)
		if (conversation_take(hop->open[i]))
			return;
	/* One connection finds out whether more make sense. */
	if (hop->reachable || hop->open_count == 0)
		open_one(hop);
}

/*
 * A transaction for the hop of this text, which is taken.
 */
void
hop_submit(const char *text, struct transaction *t)
{
	struct hop *hop = find(text);
	struct reply fault;

	if (hop->fault != NULL) {
		reply_fault(&fault, 451, "4.3.5", "next hop %s: %s",
		    text, hop->fault);
		transaction_rest(t, &fault, false);
		transaction_done(t, 0, "");
		return;
	}
	TAILQ_INSERT_TAIL(&hop->waiting, t, entry);
	find_connection(hop);
}

/*
 * A reused connection was dead: this transaction comes first again.
 */
void
hop_take_back(struct hop *hop, struct transaction *t)
{
	t->returned = true;
	transaction_again(t);
	TAILQ_INSERT_HEAD(&hop->waiting, t, entry);
}

/*
 * The transaction that waited longest, taken from the queue; NULL if none.
 */
struct transaction *
hop_next(struct hop *hop)
{
	struct transaction *t = TAILQ_FIRST(&hop->waiting);

	if (t != NULL)
		TAILQ_REMOVE(&hop->waiting, t, entry);
	return t;
}

/*
 * A host of it has greeted us: the other connections are worth their while,
 * one for each transaction that waits behind the first.
 */
void
hop_reached(struct hop *hop)
{
	struct transaction *t;

	hop->failures = 0;
	if (hop->reachable)
		return;
	hop->reachable = true;
	TAILQ_FOREACH(t, &hop->waiting, entry)
		if (TAILQ_NEXT(t, entry) != NULL)
			open_one(hop);
}

/* None of its hosts can be reached: so be it for all that wait. */
static void
fail_waiting(struct hop *hop, const struct reply *fault, const char *host)
{
	struct transaction *t;
	int64_t closed = CLOSED_MIN, until;
	unsigned int i;

	for (i = 0; i < hop->failures && closed < CLOSED_MAX; i++)
		closed *= 2;
	if (closed > CLOSED_MAX)
		closed = CLOSED_MAX;
	hop->failures++;
	until = clock_now() + closed;
	while ((t = hop_next(hop)) != NULL) {
		transaction_rest(t, fault, false);
		transaction_done(t, until, host);
	}
}

/*
 * A connection has ended; with a fault if no host could be reached at all.
 */
void
hop_closed(struct hop *hop, struct conversation *c, const struct reply *fault,
    const char *host)
{
	size_t i;

	if (fault != NULL)
		hop->reachable = false;
	for (i = 0; i < hop->open_count; i++)
		if (hop->open[i] == c) {
			hop->open[i] = hop->open[--hop->open_count];
			break;
		}
	if (fault != NULL && hop->open_count == 0)
		fail_waiting(hop, fault, host);
	else if (fault == NULL && !TAILQ_EMPTY(&hop->waiting))
		find_connection(hop);
	relay_idle();
}

/*
 * This link to spoold is gone, and with it everything it asked for.
 */
void
hop_drop(const struct link *link)
{
	struct transaction *t, *next;
	struct hop *hop;
	size_t i;

	LIST_FOREACH(hop, &hops, entry) {
		TAILQ_FOREACH_SAFE(t, &hop->waiting, entry, next)
			if (t->link == link) {
				TAILQ_REMOVE(&hop->waiting, t, entry);
				transaction_free(t);
			}
		for (i = hop->open_count; i-- > 0;)
			conversation_drop(hop->open[i], link);
	}
}

bool
hop_all_idle(void)
{
	struct hop *hop;

	LIST_FOREACH(hop, &hops, entry)
		if (!is_idle(hop))
			return false;
	return true;
}

/*
 * Take nothing new: end the connections that are kept for reuse.
 */
void
hop_end(void)
{
	struct hop *hop;
	size_t i;

	LIST_FOREACH(hop, &hops, entry)
		for (i = hop->open_count; i-- > 0;)
			conversation_end(hop->open[i]);
}
