/*
 * From a domain to the hosts that take its mail (RFC 5321 5.1): order, chance
 * among equals, and what must not be tried.  Looks up no addresses; who does
 * asks here which of them are ours, or private.
 */
#include <arpa/inet.h>
#include <ifaddrs.h>

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "relay.h"

struct exchange {
	struct event	*known;		/* of a literal: it needs no DNS */
	struct dns_lookup *lookup;
	const struct policy *policy;
	exchange_fn	 fn;
	void		*arg;
	bool		 recipient;	/* the domain is one's */
	char		 domain[WIRE_DOMAIN];
};

static struct {
	struct netaddr	*ours;
	size_t		 count;
} exchanges;

/* ---- addresses ---- */

/* IPv4 in an IPv6 dress as what it is: ::ffff:a.b.c.d, 64:ff9b::a.b.c.d. */
static struct netaddr
undress(const struct netaddr *address)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const uint8_t nat64[12] = { 0, 0x64, 0xff, 0x9b };
	struct netaddr plain = { .family = 4 };

	if (address->family != 6 ||
	    (memcmp(address->octets, mapped, sizeof(mapped)) != 0 &&
	    memcmp(address->octets, nat64, sizeof(nat64)) != 0))
		return *address;
	memcpy(plain.octets, address->octets + 12, 4);
	return plain;
}

static bool
is_in(const struct netaddr *address, const char *const *blocks)
{
	struct netaddr plain = undress(address);
	struct netblock block;

	for (; *blocks != NULL; blocks++)
		if (netblock_parse(*blocks, &block) == 0 &&
		    netblock_contains(&block, &plain))
			return true;
	return false;
}

/* Ranges for documentation are nobody's, which is not private. */
bool
exchange_is_private(const struct netaddr *address)
{
	static const char *const blocks[] = {
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8",
		"169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
		"224.0.0.0/4", "240.0.0.0/4",
		"::/96", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
		NULL
	};

	return is_in(address, blocks);
}

bool
exchange_is_us(const struct netaddr *address)
{
	static const char *const blocks[] = {
		"0.0.0.0/8", "127.0.0.0/8", "::/127", NULL
	};
	struct netaddr plain = undress(address);
	size_t i;

	for (i = 0; i < exchanges.count; i++)
		if (memcmp(&exchanges.ours[i], &plain, sizeof(plain)) == 0)
			return true;
	return is_in(address, blocks);
}

/* Learn the addresses of this machine, while that can be asked. */
void
exchange_configure(struct child *child)
{
	struct ifaddrs *list, *i;
	struct netaddr address;
	uint16_t port;

	(void)child;
	if (getifaddrs(&list) == -1) {
		log_errno(LOG_WARNING, "exchange", "getifaddrs");
		return;
	}
	for (i = list; i != NULL; i = i->ifa_next) {
		if (i->ifa_addr == NULL || netaddr_from_sockaddr(i->ifa_addr,
		    &address, &port) == -1)
			continue;
		exchanges.ours = reallocarray(exchanges.ours,
		    exchanges.count + 1, sizeof(address));
		if (exchanges.ours == NULL)
			fatal("reallocarray");
		exchanges.ours[exchanges.count++] = address;
	}
	freeifaddrs(list);
}

/* ---- hosts ---- */

/* A host's name, not an address that was written for one. */
static bool
is_usable(const char *name)
{
	const char *last = strrchr(name, '.');

	last = last != NULL ? last + 1 : name;
	return name[0] != '\0' && name[strspn(name, "abcdefghijklmnopqrstuvwxyz"
	    "0123456789.-_")] == '\0' && strcmp(last, "localhost") != 0 &&
	    last[strspn(last, "0123456789")] != '\0';
}

static bool
is_listed(const struct hosts *hosts, const char *name)
{
	size_t i;

	for (i = 0; i < hosts->count; i++)
		if (strcmp(hosts->list[i].name, name) == 0)
			return true;
	return false;
}

static struct host *
add_host(struct hosts *hosts, const struct exchange *exchange,
    const char *name)
{
	struct host *host;

	hosts->list = reallocarray(hosts->list, hosts->count + 1,
	    sizeof(*host));
	if (hosts->list == NULL)
		fatal("reallocarray");
	host = &hosts->list[hosts->count++];
	memset(host, 0, sizeof(*host));
	strlcpy(host->name, name, sizeof(host->name));
	strlcpy(host->domain, exchange->domain, sizeof(host->domain));
	host->port = exchange->policy->port;
	host->foreign = exchange->recipient;
	return host;
}

/* Those of an answer, by preference; without any, the domain is its host. */
static void
add_hosts(struct hosts *hosts, const struct exchange *exchange,
    const struct dns_answer *answer)
{
	const struct dns_exchange *e;
	struct host *host;

	if (answer->result == DNS_NONE && is_usable(exchange->domain)) {
		host = add_host(hosts, exchange, exchange->domain);
		host->implicit = true;
		host->secure = answer->secure;
	}
	if (answer->result != DNS_OK)
		return;
	for (e = answer->exchanges; e < answer->exchanges + answer->count;
	    e++) {
		if (!is_usable(e->name) || is_listed(hosts, e->name))
			continue;
		host = add_host(hosts, exchange, e->name);
		host->preference = e->preference;
		host->secure = answer->secure;
	}
}

/*
 * RFC 5321 5.1: where we stand in the list, mail goes only to those before
 * us.
 */
static bool
drop_ourselves(struct hosts *hosts)
{
	size_t i, before;

	for (i = 0; i < hosts->count; i++)
		if (strcasecmp(hosts->list[i].name, relay_hostname()) == 0)
			break;
	if (i == hosts->count)
		return false;
	for (before = i; before > 0 && hosts->list[before - 1].preference ==
	    hosts->list[i].preference; before--)
		;
	hosts->count = before;
	return true;
}

/* Put those of one preference in any order. */
static void
shuffle(struct host *list, size_t count)
{
	struct host host;
	size_t i, k;

	for (i = count; i > 1; i--) {
		k = arc4random_uniform((uint32_t)i);
		host = list[k];
		list[k] = list[i - 1];
		list[i - 1] = host;
	}
}

static void
shuffle_equals(struct hosts *hosts)
{
	size_t i, n;

	for (i = 0; i < hosts->count; i += n) {
		for (n = 1; i + n < hosts->count && hosts->list[i +
		    n].preference == hosts->list[i].preference; n++)
			;
		shuffle(&hosts->list[i], n);
	}
}

/* ---- what hinders ---- */

/*
 * What is wrong with a recipient's domain is permanent; a name of the
 * configuration waits for the operator, with another status.
 */
static void
set_fault(struct hosts *hosts, const struct exchange *exchange, int code,
    const char *status, const char *waiting, const char *text)
{
	reply_fault(&hosts->fault, STAGE_LOOKUP,
	    exchange->recipient ? code : 451,
	    exchange->recipient ? status : waiting, "%s %s",
	    exchange->domain, text);
}

static bool
is_null(const struct dns_answer *answer)
{
	return answer->result == DNS_OK && answer->count == 1 &&
	    answer->exchanges[0].name[0] == '\0';
}

/* An answer that no host can come of. */
static bool
hinders(struct hosts *hosts, const struct exchange *exchange,
    const struct dns_answer *answer)
{
	if (answer->result == DNS_FAILED)
		reply_fault(&hosts->fault, STAGE_LOOKUP, 451, "4.4.3",
		    "the mail exchangers of %s cannot be looked up: %s",
		    exchange->domain, answer->reason);
	else if (answer->result == DNS_NO_NAME)
		set_fault(hosts, exchange, 550, "5.1.2", "4.4.4",
		    "does not exist in the DNS");
	else if (is_null(answer))
		set_fault(hosts, exchange, 556, "5.1.10", "4.4.4",
		    "takes no mail (null MX)");
	else
		return false;
	return true;
}

static void
choose(struct hosts *hosts, const struct exchange *exchange,
    const struct dns_answer *answer)
{
	bool ourselves;

	hosts->expires = clock_monotonic() + answer->lifetime;
	if (hinders(hosts, exchange, answer))
		return;
	add_hosts(hosts, exchange, answer);
	ourselves = drop_ourselves(hosts);
	if (hosts->count == 0 && ourselves)
		set_fault(hosts, exchange, 554, "5.4.6", "4.4.6",
		    "has this host as its mail exchanger, which does not "
		    "take its mail: it would go in circles");
	else if (hosts->count == 0)
		set_fault(hosts, exchange, 451, "4.4.4", "4.4.4",
		    "has no mail exchanger that is a host's name");
	shuffle_equals(hosts);
}

/* ---- from a question to its answer ---- */

static void
finish(struct exchange *exchange, struct hosts *hosts)
{
	exchange_fn fn = exchange->fn;
	void *arg = exchange->arg;

	exchange->lookup = NULL;
	exchange_cancel(exchange);
	fn(hosts, arg);
	free(hosts->list);
}

static void
on_exchanges(const struct dns_answer *answer, void *arg)
{
	struct exchange *exchange = arg;
	struct hosts hosts;

	memset(&hosts, 0, sizeof(hosts));
	choose(&hosts, exchange, answer);
	finish(exchange, &hosts);
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]" (RFC 5321 4.1.3): -1 if malformed. */
static int
read_literal(const char *domain, char text[WIRE_DOMAIN])
{
	struct netaddr address;
	size_t length;

	if (strncasecmp(domain, "[IPv6:", 6) == 0)
		domain += 5;
	strlcpy(text, domain + 1, WIRE_DOMAIN);
	length = strlen(text);
	if (length == 0 || text[length - 1] != ']')
		return -1;
	text[length - 1] = '\0';
	return netaddr_parse(text, &address);
}

static void
on_literal(int fd, short events, void *arg)
{
	struct exchange *exchange = arg;
	struct hosts hosts;
	struct host *host;
	char text[WIRE_DOMAIN];

	(void)fd;
	(void)events;
	memset(&hosts, 0, sizeof(hosts));
	hosts.expires = clock_monotonic() + HOUR;
	if (read_literal(exchange->domain, text) == 0) {
		host = add_host(&hosts, exchange, text);
		host->domain[0] = '\0';
		host->secure = true;
	} else
		set_fault(&hosts, exchange, 550, "5.1.2", "4.4.4",
		    "is no address literal");
	finish(exchange, &hosts);
}

struct exchange *
exchange_find(const char *domain, const struct policy *policy, bool recipient,
    exchange_fn fn, void *arg)
{
	struct exchange *exchange;
	char name[DNS_NAME];

	if ((exchange = calloc(1, sizeof(*exchange))) == NULL)
		fatal("calloc");
	exchange->policy = policy;
	exchange->recipient = recipient;
	exchange->fn = fn;
	exchange->arg = arg;
	if (dns_name(domain, name) == 0)
		domain = name;
	strlcpy(exchange->domain, domain, sizeof(exchange->domain));
	if (domain[0] != '[') {
		exchange->lookup = dns_exchanges(domain, on_exchanges,
		    exchange);
		return exchange;
	}
	exchange->known = event_new(relay_base(), -1, 0, on_literal, exchange);
	if (exchange->known == NULL)
		fatalx("exchange: no event");
	event_active(exchange->known, EV_TIMEOUT, 0);
	return exchange;
}

void
exchange_cancel(struct exchange *exchange)
{
	if (exchange == NULL)
		return;
	dns_cancel(exchange->lookup);
	if (exchange->known != NULL)
		event_free(exchange->known);
	free(exchange);
}
