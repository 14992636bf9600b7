/*
 * Look-ups: what their askers want to know, put together from single answers.
 */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "dns.h"
#include "dns_ask.h"
#include "dns_cache.h"
#include "dns_hosts.h"
#include "log.h"

struct dns_lookup {
	struct event	*ready;
	dns_fn		 fn;		/* NULL when cancelled */
	void		*arg;
	struct dns_asker halves[2];	/* of addresses: AAAA, A */
	size_t		 count;
	int		 pending;	/* halves not yet answered */
};

static bool
is_there(const struct dns_found *found)
{
	return found != NULL && found->result == DNS_OK;
}

/* Which of two halves tells how the whole ended. */
static const struct dns_found *
weightier(const struct dns_found *one, const struct dns_found *other)
{
	static const int weight[] = {
		[DNS_OK] = 3, [DNS_FAILED] = 2, [DNS_NONE] = 1,
		[DNS_NO_NAME] = 0
	};

	if (other == NULL)
		return one;
	return weight[other->result] > weight[one->result] ? other : one;
}

/* IPv6 first, but not so many that IPv4 has no room. */
static size_t
gather(const struct dns_lookup *lookup, struct netaddr list[DNS_RECORDS])
{
	const struct dns_found *six = lookup->halves[0].found;
	const struct dns_found *four = lookup->halves[1].found;
	size_t n, kept, i, count = 0;

	kept = !is_there(four) ? 0 : four->count < DNS_RECORDS / 2 ?
	    four->count : DNS_RECORDS / 2;
	n = is_there(six) ? six->count : 0;
	for (i = 0; i < n && count < DNS_RECORDS - kept; i++)
		list[count++] = six->addresses[i];
	n = is_there(four) ? four->count : 0;
	for (i = 0; i < n && count < DNS_RECORDS; i++)
		list[count++] = four->addresses[i];
	return count;
}

/* Until when the whole may be kept: one half's failure soon is no more. */
static int64_t
expiry(const struct dns_lookup *lookup, int64_t now)
{
	const struct dns_found *found;
	int64_t expires = now + DNS_LIFETIME_MOST, one;
	size_t i;

	for (i = 0; i < lookup->count; i++) {
		found = lookup->halves[i].found;
		one = found->result == DNS_FAILED ? now + DNS_LIFETIME_LEAST :
		    found->expires;
		if (one < expires)
			expires = one;
	}
	return expires > now ? expires : now;
}

static void
set_answer(const struct dns_lookup *lookup, struct dns_answer *answer,
    struct netaddr list[DNS_RECORDS])
{
	const struct dns_found *found = weightier(lookup->halves[0].found,
	    lookup->halves[1].found);
	int64_t now = clock_monotonic();
	size_t i;

	memset(answer, 0, sizeof(*answer));
	answer->result = found->result;
	answer->reason = found->reason;
	answer->name = found->name;
	answer->secure = dns_is_trusted() && found->result != DNS_FAILED;
	for (i = 0; i < lookup->count; i++)
		if (lookup->halves[i].found->result == found->result)
			answer->secure = answer->secure &&
			    lookup->halves[i].found->secure;
	if (found->result != DNS_FAILED)
		answer->lifetime = expiry(lookup, now) - now;
	answer->count = found->count;
	answer->exchanges = found->exchanges;
	answer->tlsa = found->tlsa;
	if (found->addresses != NULL) {
		answer->count = gather(lookup, list);
		answer->addresses = list;
	}
}

/* All is there: tell the asker. */
static void
on_ready(int fd, short events, void *arg)
{
	struct dns_lookup *lookup = arg;
	struct netaddr list[DNS_RECORDS];
	struct dns_answer answer;

	(void)fd;
	(void)events;
	if (lookup->fn != NULL) {
		set_answer(lookup, &answer, list);
		lookup->fn(&answer, lookup->arg);
	}
	dns_found_free(lookup->halves[0].found);
	dns_found_free(lookup->halves[1].found);
	event_free(lookup->ready);
	free(lookup);
}

static struct dns_lookup *
lookup_new(dns_fn fn, void *arg)
{
	struct dns_lookup *lookup;

	if ((lookup = calloc(1, sizeof(*lookup))) == NULL)
		fatal("calloc");
	lookup->fn = fn;
	lookup->arg = arg;
	lookup->ready = event_new(dns_base(), -1, 0, on_ready, lookup);
	if (lookup->ready == NULL)
		fatalx("dns: no event");
	lookup->pending = 1;
	return lookup;
}

/* Half of it is known without asking; takes it. */
static void
lookup_know(struct dns_lookup *lookup, struct dns_found *found,
    enum dns_result result)
{
	found->result = result;
	found->expires = clock_monotonic() + DNS_LIFETIME_MOST;
	lookup->halves[lookup->count++].found = found;
}

/* One thing less to wait for. */
static void
lookup_done(void *arg)
{
	struct dns_lookup *lookup = arg;

	if (--lookup->pending == 0)
		event_active(lookup->ready, EV_TIMEOUT, 0);
}

/* What cannot be a name is none. */
static void
lookup_ask(struct dns_lookup *lookup, const char *text, enum dns_type type)
{
	struct dns_asker *half = &lookup->halves[lookup->count];
	char name[DNS_NAME];

	if (dns_name(text, name) == -1) {
		lookup_know(lookup, dns_found_new(), DNS_NO_NAME);
		return;
	}
	lookup->count++;
	lookup->pending++;
	half->fn = lookup_done;
	half->arg = lookup;
	dns_ask(name, type, half);
}

static struct dns_lookup *
lookup_begin(struct dns_lookup *lookup)
{
	lookup_done(lookup);
	return lookup;
}

struct dns_lookup *
dns_addresses(const char *text, dns_fn fn, void *arg)
{
	struct dns_lookup *lookup = lookup_new(fn, arg);
	struct dns_found *found;
	char name[DNS_NAME];

	if (dns_name(text, name) == -1)
		strlcpy(name, text, sizeof(name));
	if ((found = dns_hosts_find(name)) != NULL)
		lookup_know(lookup, found, DNS_OK);
	else {
		lookup_ask(lookup, text, DNS_AAAA);
		lookup_ask(lookup, text, DNS_A);
	}
	return lookup_begin(lookup);
}

struct dns_lookup *
dns_exchanges(const char *text, dns_fn fn, void *arg)
{
	struct dns_lookup *lookup = lookup_new(fn, arg);

	lookup_ask(lookup, text, DNS_MX);
	return lookup_begin(lookup);
}

struct dns_lookup *
dns_tlsa(const char *text, dns_fn fn, void *arg)
{
	struct dns_lookup *lookup = lookup_new(fn, arg);

	lookup_ask(lookup, text, DNS_TLSA);
	return lookup_begin(lookup);
}

void
dns_cancel(struct dns_lookup *lookup)
{
	if (lookup != NULL)
		lookup->fn = NULL;
}
