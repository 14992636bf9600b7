/*
 * A scout goes ahead of a search: it looks up the hosts of a hop, their
 * addresses and what is to be done about TLS with each, and tells them one at
 * a time in the order in which they are to be tried.  It connects to nobody.
 *
 *	next source: a host, or a name whose exchangers are asked for
 *	next group of hosts of one preference: addresses of all of them
 *	next host: its security
 *	next address
 *
 * The addresses of a whole group are looked up before any is told, since one
 * that is this machine's own rules out its group and those behind it
 * (RFC 5321 5.1).
 */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "relay.h"

#define HOSTS_MAX	32		/* of one source */
#define PORT_SMTP	25

enum look_state { LOOK_NOT_YET, LOOK_ASKED, LOOK_DONE };

/* A host and what was found of it. */
struct look {
	struct scout	*scout;
	struct host	 host;
	enum look_state	 state;
	struct dns_lookup *lookup;
	struct dns_answer answer;	/* its name and addresses are here: */
	char		 name[DNS_NAME];
	struct netaddr	 addresses[DNS_RECORDS];
	size_t		 next;		/* address to be told next */
	bool		 is_us;
	struct reply	 fault;		/* code 0, or why it has no address */
};

struct scout {
	struct hop	*hop;
	scout_fn	 fn;
	void		*arg;
	struct event	*step;
	bool		 wanted;	/* scout_next() waits for its call */
	size_t		 source;	/* number of the one behind */
	const struct source *from;	/* that the hosts are of */
	struct exchange	*exchange;	/* being asked for */
	struct dane	*dane;
	struct look	*looks;
	size_t		 count;
	size_t		 at;		/* the host being told */
	struct security	*security;	/* of that host */
	bool		 told;		/* anything of this source */
	struct reply	 fault;		/* that takes the place of hosts */
	struct host	 none;		/* whom a fault is about */
	int64_t		 expires;	/* monotonic */
};

/* Have the next step done by the loop, never by our caller. */
static void
go_on(struct scout *scout)
{
	event_active(scout->step, EV_TIMEOUT, 0);
}

static void
keep_until(struct scout *scout, int64_t expires)
{
	if (expires < scout->expires)
		scout->expires = expires;
}

static void
drop_security(struct scout *scout)
{
	security_free(scout->security);
	scout->security = NULL;
}

static void
drop_looks(struct scout *scout)
{
	size_t i;

	drop_security(scout);
	for (i = 0; i < scout->count; i++)
		dns_cancel(scout->looks[i].lookup);
	free(scout->looks);
	scout->looks = NULL;
	scout->count = scout->at = 0;
}

/* ---- what is told; the last act of who calls these ---- */

static void
tell(struct scout *scout, const struct host *host,
    const struct netaddr *address, const struct reply *fault)
{
	struct sighting sighting = { .host = host, .address = address,
	    .fault = fault };

	if (host != NULL)
		sighting.rank = (unsigned int)scout->source << 16 |
		    (host->preference & 0xffff);
	if (host != NULL && fault == NULL) {
		sighting.secret = hop_secret(scout->hop, scout->from);
		sighting.security = scout->security;
	}
	scout->wanted = false;
	scout->told = true;
	scout->fn(&sighting, scout->arg);
}

/* ---- addresses ---- */

/* Is this family's address told in this pass? */
static bool
belongs(enum family family, uint8_t number, int pass)
{
	bool four = number == 4;

	switch (family) {
	case FAMILY_4:
		return four && pass == 0;
	case FAMILY_6:
		return !four && pass == 0;
	case FAMILY_4_FIRST:
		return four == (pass == 0);
	default:
		return four == (pass == 1);
	}
}

/* Keep the addresses that may be tried, in the order of the policy. */
static void
choose(struct look *look, const struct policy *policy,
    const struct dns_answer *answer)
{
	const struct netaddr *address;
	size_t i, count = 0, hidden = 0;
	int pass;

	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < answer->count; i++) {
			address = &answer->addresses[i];
			if (!belongs(policy->family, address->family, pass) ||
			    count == DNS_RECORDS)
				continue;
			if (look->host.foreign && !policy->private_hosts &&
			    exchange_is_private(address))
				hidden++;
			else
				look->addresses[count++] = *address;
		}
	look->answer.addresses = look->addresses;
	look->answer.count = count;
	if (count == 0 && hidden > 0) {
		reply_fault(&look->fault, STAGE_LOOKUP, 451, "4.4.4",
		    "host %s has private addresses only, which are not used "
		    "for mail to other domains (see private-hosts)",
		    look->host.name);
		look->fault.brief = true;
	} else if (count == 0)
		reply_fault(&look->fault, STAGE_LOOKUP, 451, "4.4.4",
		    "host %s has no address that address-family allows",
		    look->host.name);
}

static bool
has_own_address(const struct scout *scout, const struct look *look,
    const struct dns_answer *answer)
{
	size_t i;

	if ((!scout->from->exchange && !scout->from->foreign) ||
	    look->host.port != PORT_SMTP)
		return false;
	for (i = 0; i < answer->count; i++)
		if (exchange_is_us(&answer->addresses[i]))
			return true;
	return false;
}

static void
on_addresses(const struct dns_answer *answer, void *arg)
{
	struct look *look = arg;
	struct scout *scout = look->scout;
	const char *name = look->host.address[0] != '\0' ?
	    look->host.address : look->host.name;

	look->lookup = NULL;
	look->state = LOOK_DONE;
	keep_until(scout, clock_monotonic() + answer->lifetime);
	look->answer = *answer;
	if (answer->name != NULL) {
		strlcpy(look->name, answer->name, sizeof(look->name));
		look->answer.name = look->name;
	}
	look->answer.exchanges = NULL;
	look->answer.tlsa = NULL;
	if (answer->result == DNS_OK) {
		look->is_us = has_own_address(scout, look, answer);
		choose(look, hop_policy(scout->hop), answer);
	} else if (answer->result == DNS_FAILED)
		reply_fault(&look->fault, STAGE_LOOKUP, 451, "4.4.3",
		    "look-up of host %s: %s", name, answer->reason);
	else if (answer->result == DNS_NONE && look->host.implicit &&
	    look->host.foreign)
		reply_fault(&look->fault, STAGE_LOOKUP, 550, "5.4.4",
		    "%s takes no mail: it has neither a mail exchanger nor an "
		    "address", name);
	else
		/* Its absence may be a mistake: nothing that is final. */
		reply_fault(&look->fault, STAGE_LOOKUP, 451, "4.4.4",
		    "host %s has no address%s", name,
		    answer->result == DNS_NO_NAME ? ": there is no such name" :
		    "");
	go_on(scout);
}

/* The end of the group that begins at the host being told. */
static size_t
group_end(const struct scout *scout)
{
	size_t end = scout->at;

	while (end < scout->count && (end == scout->at ||
	    (scout->from->exchange && scout->looks[end].host.preference ==
	    scout->looks[scout->at].host.preference)))
		end++;
	return end;
}

/* Ask for what is not known of the group.  Returns whether all is. */
static bool
look_up_group(struct scout *scout)
{
	size_t i, end = group_end(scout);
	struct look *look;
	bool done = true;

	for (i = scout->at; i < end; i++) {
		look = &scout->looks[i];
		if (look->state == LOOK_NOT_YET) {
			look->state = LOOK_ASKED;
			look->lookup = dns_addresses(look->host.address[0] !=
			    '\0' ? look->host.address : look->host.name,
			    on_addresses, look);
		}
		done = done && look->state == LOOK_DONE;
	}
	return done;
}

/* One of the group is this machine: it and all behind it would be a loop. */
static void
cut_own(struct scout *scout)
{
	size_t i, end = group_end(scout);

	for (i = scout->at; i < end; i++)
		if (scout->looks[i].is_us)
			break;
	if (i == end)
		return;
	if (!scout->told)
		reply_fault(&scout->fault, STAGE_LOOKUP, 554, "5.4.6",
		    "mail for %s loops back to this machine: %s is its best "
		    "mail exchanger", scout->from->host.name,
		    scout->looks[i].host.name);
	while (scout->count > scout->at)
		dns_cancel(scout->looks[--scout->count].lookup);
}

/* ---- hosts ---- */

static void
add_look(struct scout *scout, const struct host *host)
{
	struct look *look = &scout->looks[scout->count++];

	look->scout = scout;
	look->host = *host;
	look->host.port = scout->from->host.port;
	/* A socket's path has nothing to look up. */
	if (host->name[0] == '/')
		look->state = LOOK_DONE;
}

static void
on_hosts(const struct hosts *hosts, void *arg)
{
	struct scout *scout = arg;
	size_t i, count = hosts->count < HOSTS_MAX ? hosts->count : HOSTS_MAX;

	scout->exchange = NULL;
	keep_until(scout, hosts->expires);
	if (count == 0)
		scout->fault = hosts->fault;
	else if ((scout->looks = calloc(count, sizeof(*scout->looks))) == NULL)
		fatal("calloc");
	for (i = 0; i < count; i++)
		add_look(scout, &hosts->list[i]);
	go_on(scout);
}

/* Begin with the next source.  Returns whether there is one. */
static bool
next_source(struct scout *scout)
{
	drop_looks(scout);
	scout->from = hop_source(scout->hop, scout->source++);
	if (scout->from == NULL)
		return false;
	scout->told = false;
	scout->none = scout->from->host;
	if (scout->from->exchange) {
		scout->exchange = exchange_find(scout->from->host.name,
		    hop_policy(scout->hop), scout->from->foreign, on_hosts,
		    scout);
		return true;
	}
	if ((scout->looks = calloc(1, sizeof(*scout->looks))) == NULL)
		fatal("calloc");
	add_look(scout, &scout->from->host);
	go_on(scout);
	return true;
}

/* ---- security ---- */

static void
on_security(struct security *security, void *arg)
{
	struct scout *scout = arg;

	scout->dane = NULL;
	scout->security = security;
	go_on(scout);
}

/* A socket of this machine: nobody listens in between. */
static struct security *
security_of_path(void)
{
	struct security *security = calloc(1, sizeof(*security));

	if (security == NULL)
		fatal("calloc");
	security->level = TLS_NONE;
	return security;
}

static void
find_security(struct scout *scout, struct look *look)
{
	if (look->host.name[0] == '/') {
		scout->security = security_of_path();
		go_on(scout);
		return;
	}
	scout->dane = dane_find(&look->host, hop_policy(scout->hop),
	    &look->answer, hop_secret(scout->hop, scout->from) != NULL,
	    on_security, scout);
}

/* ---- one step ---- */

static void
next_host(struct scout *scout)
{
	drop_security(scout);
	scout->at++;
	go_on(scout);
}

/* Tell the next address of a host whose security is known, or leave it. */
static void
step_address(struct scout *scout, struct look *look)
{
	size_t n = look->next++;

	if (look->host.name[0] == '/' ? n == 0 : n < look->answer.count)
		tell(scout, &look->host, look->host.name[0] == '/' ? NULL :
		    &look->addresses[n], NULL);
	else
		next_host(scout);
}

static void
step_host(struct scout *scout, struct look *look)
{
	struct reply fault;

	if (look->fault.code == 0 && scout->security == NULL) {
		if (scout->dane == NULL)
			find_security(scout, look);
		return;
	}
	if (look->fault.code != 0 || scout->security->fault.code != 0) {
		fault = look->fault.code != 0 ? look->fault :
		    scout->security->fault;
		drop_security(scout);
		scout->at++;
		tell(scout, &look->host, NULL, &fault);
		return;
	}
	step_address(scout, look);
}

static void
on_step(int fd, short events, void *arg)
{
	struct scout *scout = arg;
	struct reply fault;

	(void)fd;
	(void)events;
	if (!scout->wanted || scout->exchange != NULL)
		return;
	if (scout->at < scout->count) {
		if (!look_up_group(scout))
			return;
		cut_own(scout);
	}
	if (scout->fault.code != 0) {
		fault = scout->fault;
		reply_start(&scout->fault);
		tell(scout, &scout->none, NULL, &fault);
	} else if (scout->at < scout->count)
		step_host(scout, &scout->looks[scout->at]);
	else if (!next_source(scout))
		tell(scout, NULL, NULL, NULL);
}

/* ---- for the others ---- */

struct scout *
scout_new(struct hop *hop, scout_fn fn, void *arg)
{
	struct scout *scout;

	if ((scout = calloc(1, sizeof(*scout))) == NULL)
		fatal("calloc");
	scout->hop = hop;
	scout->fn = fn;
	scout->arg = arg;
	scout->expires = INT64_MAX;
	if ((scout->step = event_new(relay_base(), -1, 0, on_step,
	    scout)) == NULL)
		fatalx("scout: no event");
	return scout;
}

void
scout_next(struct scout *scout)
{
	scout->wanted = true;
	go_on(scout);
}

int64_t
scout_lifetime(const struct scout *scout)
{
	int64_t left = scout->expires - clock_monotonic();

	return left > 0 ? left : 0;
}

void
scout_free(struct scout *scout)
{
	if (scout == NULL)
		return;
	exchange_cancel(scout->exchange);
	dane_cancel(scout->dane);
	drop_looks(scout);
	event_free(scout->step);
	free(scout);
}
