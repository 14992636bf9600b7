/* links: relay/hop.c relay/seen.c relay/search.c relay/scout.c
 *	relay/transcript.c relay/endpoint.c relay/source.c relay/policy.c relay/transaction.c
 *	relay/reply.c relay/command.c common/loop.c common/conf.c
 *	common/conf_keyword.c
 *	common/conf_lex.c common/conf_parse.c common/conf_value.c
 *	common/target.c common/netaddr.c common/log.c common/queueid.c
 *	common/clock.c */
/*
 * From a next hop to a conversation: which hosts and addresses are tried in
 * which order, what is remembered of those that fail, and how conversations
 * are shared.  DNS and conversations are played here; the connections are
 * real ones to this machine.
 */
#include <sys/socket.h>

#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "loop.h"
#include "relay/relay.h"
#include "unwatched.h"

#define TALKS	64

struct conversation {
	struct endpoint	*endpoint;
	struct search	*search;
	struct hop	*hop;
	struct transaction *t;		/* being held */
	bool		 clear;
	bool		 used;
	int		 turn;		/* transactions for this hop */
};

static struct {
	struct child	 child;
	int		 port;
	int		 listener;
	struct conversation talks[TALKS];
	size_t		 made;		/* conversations in all */
	size_t		 lookups;
	char		 trail[1024];	/* of what was connected to */
	bool		 hold;		/* transactions are not answered */
	bool		 yields;	/* after one, to other hops */
	bool		 halts;		/* the loop, after each look-up */
	bool		 dead;		/* dying.test greets nobody any more */
	int		 awaited;
	int		 done;		/* recipients */
	struct w_relay_result_ntf result;
	struct w_relay_deliver_ans answer;
	char		 sightings[2048];
	struct scout	*scout;
	int64_t		 lifetime;	/* of what it saw */
} test;

static void
trail(const char *word)
{
	if (test.trail[0] != '\0')
		strlcat(test.trail, " ", sizeof(test.trail));
	strlcat(test.trail, word, sizeof(test.trail));
}

static void
later(event_callback_fn fn, void *arg)
{
	static const struct timeval now;

	assert_int_equal(event_base_once(test.child.base, -1, EV_TIMEOUT, fn,
	    arg, &now), 0);
}

static void
halt(void)
{
	if (test.halts)
		event_base_loopbreak(test.child.base);
}

/* ---- DNS ---- */

struct zone {
	const char	*name;
	const char	*addresses;	/* "": none, NULL: SERVFAIL */
};

static const struct zone zone[] = {
	{ "dead.test", "127.0.0.9" },
	{ "live.test", "127.0.0.1" },
	{ "other.test", "127.0.0.1" },
	{ "busy.test", "127.0.0.1" },
	{ "badtls.test", "127.0.0.1" },
	{ "strict.test", "127.0.0.1" },
	{ "dying.test", "127.0.0.1" },
	{ "dying2.test", "127.0.0.1" },
	{ "full.test", "127.0.0.1" },
	{ "spare.test", "127.0.0.1" },
	{ "both.test", "2001:db8::1 2001:db8::2 192.0.2.1 192.0.2.2" },
	{ "private.test", "10.0.0.1" },
	{ "mixed.test", "10.0.0.1 192.0.2.3" },
	{ "us.test", "192.0.2.99" },
	{ "empty.test", "" },
	{ "broken.test", NULL },
	{ NULL, NULL }
};

struct dns_lookup {
	char	 name[256];
	dns_fn	 fn;
	void	*arg;
};

static void
answer_lookup(int fd, short events, void *arg)
{
	struct netaddr addresses[8];
	struct dns_lookup *l = arg;
	struct dns_answer answer = { .result = DNS_NO_NAME,
	    .lifetime = MINUTE, .addresses = addresses, .name = l->name };
	const struct zone *z;
	char copy[256], *rest = copy, *word;

	(void)fd;
	(void)events;
	for (z = zone; z->name != NULL; z++)
		if (strcmp(z->name, l->name) == 0)
			break;
	if (netaddr_parse(l->name, addresses) == 0) {
		answer.result = DNS_OK;
		answer.count = 1;
	} else if (z->name != NULL && z->addresses == NULL) {
		answer.result = DNS_FAILED;
		answer.reason = "SERVFAIL";
	} else if (z->name != NULL) {
		strlcpy(copy, z->addresses, sizeof(copy));
		while ((word = strsep(&rest, " ")) != NULL)
			if (*word != '\0')
				assert_int_equal(netaddr_parse(word,
				    &addresses[answer.count++]), 0);
		answer.result = answer.count > 0 ? DNS_OK : DNS_NONE;
	}
	halt();
	if (l->fn != NULL)
		l->fn(&answer, l->arg);
	free(l);
}

struct dns_lookup *
dns_addresses(const char *name, dns_fn fn, void *arg)
{
	struct dns_lookup *l = calloc(1, sizeof(*l));

	/* Nobody goes round and round. */
	assert_true(++test.lookups < 1000);
	strlcpy(l->name, name, sizeof(l->name));
	l->fn = fn;
	l->arg = arg;
	later(answer_lookup, l);
	return l;
}

void
dns_cancel(struct dns_lookup *l)
{
	if (l != NULL)
		l->fn = NULL;
}

/*
 * The domain lists its exchangers: "10-dead.test.20-live.test"; with 0 it has
 * none.
 */
struct exchange {
	char	 domain[256];
	bool	 foreign;
	exchange_fn fn;
	void	*arg;
};

static void
answer_exchange(int fd, short events, void *arg)
{
	struct exchange *x = arg;
	struct host list[32];
	struct hosts hosts = { .list = list,
	    .expires = clock_monotonic() + HOUR };
	char *rest = x->domain, *word;

	(void)fd;
	(void)events;
	memset(list, 0, sizeof(list));
	if (strcmp(x->domain, "none") == 0)
		reply_fault(&hosts.fault, STAGE_LOOKUP, 556, "5.1.10",
		    "none takes no mail");
	else
		while ((word = strsep(&rest, "+")) != NULL) {
			list[hosts.count].preference =
			    (unsigned)strtoul(word, &word, 10);
			list[hosts.count].foreign = x->foreign;
			list[hosts.count].implicit =
			    list[hosts.count].preference == 0;
			strlcpy(list[hosts.count++].name, word + 1,
			    WIRE_DOMAIN);
		}
	if (x->fn != NULL)
		x->fn(&hosts, x->arg);
	free(x);
}

struct exchange *
exchange_find(const char *domain, const struct policy *policy, bool foreign,
    exchange_fn fn, void *arg)
{
	struct exchange *x = calloc(1, sizeof(*x));

	(void)policy;
	x->foreign = foreign;
	strlcpy(x->domain, domain, sizeof(x->domain));
	x->fn = fn;
	x->arg = arg;
	later(answer_exchange, x);
	return x;
}

void
exchange_cancel(struct exchange *x)
{
	if (x != NULL)
		x->fn = NULL;
}

bool
exchange_is_us(const struct netaddr *address)
{
	return address->family == 4 && address->octets[3] == 99;
}

bool
exchange_is_private(const struct netaddr *address)
{
	return address->family == 4 && (address->octets[0] == 10 ||
	    address->octets[0] == 127);
}

struct dane {
	bool	 strict;
	dane_fn	 fn;
	void	*arg;
};

static void
answer_dane(int fd, short events, void *arg)
{
	struct security *security = calloc(1, sizeof(*security));
	struct dane *dane = arg;

	(void)fd;
	(void)events;
	security->level = dane->strict ? TLS_REQUIRED : TLS_OPPORTUNISTIC;
	halt();
	if (dane->fn != NULL)
		dane->fn(security, dane->arg);
	else
		free(security);
	free(dane);
}

struct dane *
dane_find(const struct host *host, const struct policy *policy,
    const struct dns_answer *answer, bool login, dane_fn fn, void *arg)
{
	struct dane *dane = calloc(1, sizeof(*dane));

	(void)policy;
	(void)login;
	assert_true(answer->count > 0);
	dane->strict = strcmp(host->name, "strict.test") == 0;
	dane->fn = fn;
	dane->arg = arg;
	later(answer_dane, dane);
	return dane;
}

void
dane_cancel(struct dane *dane)
{
	if (dane != NULL)
		dane->fn = NULL;
}

void
security_free(struct security *security)
{
	if (security != NULL && security->holders-- == 0)
		free(security);
}

void
security_print(const struct security *security, char *text, size_t size)
{
	snprintf(text, size, "level %d", (int)security->level);
}

/* ---- secrets, certificates, the process ---- */

/* One sender has a login of its own, at one host, which is refused. */
const char *
secret_class(const char *sender)
{
	return strcmp(sender, "own@us.test") == 0 ? "own@us.test" : "";
}

const struct secret *
secret_find(const char *key, const char *class)
{
	static char text[] = "own@us.test";
	static struct secret secret = { .key = text, .sender = text };

	return strcmp(key, "login") == 0 && *class != '\0' ? &secret : NULL;
}

const char *
secrets_fault(void)
{
	return NULL;
}

struct tls_trust *
tls_trust_new(const char *file, const char **why)
{
	(void)file;
	*why = "none";
	return NULL;
}

void
tls_trust_free(struct tls_trust *trust)
{
	(void)trust;
}

struct event_base *
relay_base(void)
{
	return test.child.base;
}

const char *
relay_hostname(void)
{
	return "us.test";
}

bool
relay_is_local(void)
{
	return false;
}

void
relay_idle(void)
{
}

void
tell_relay_result(struct link *link, const struct w_relay_result_ntf *ntf)
{
	(void)link;
	test.result = *ntf;
}

void
answer_relay_deliver(struct link *link, uint32_t request,
    const struct w_relay_deliver_ans *ans)
{
	(void)link;
	(void)request;
	test.answer = *ans;
	test.done++;
	if (--test.awaited == 0)
		loop_stop(0);
}

/* ---- conversations ---- */

static void
greet(int fd, short events, void *arg)
{
	struct conversation *c = arg;
	struct endpoint *e = c->endpoint;
	struct search *search = c->search;
	struct reply fault;

	(void)fd;
	(void)events;
	if (search == NULL)
		return;
	c->search = NULL;
	if (strcmp(e->name, "busy.test") == 0 ||
	    (test.dead && strncmp(e->name, "dying", 5) == 0))
		reply_fault(&fault, STAGE_GREETING, 451, "4.3.2", "busy");
	else if (strcmp(e->name, "strict.test") == 0 ||
	    (strcmp(e->name, "badtls.test") == 0 && !c->clear))
		reply_fault(&fault, STAGE_TLS, 451, "4.7.5", "bad tls");
	else if (e->secret != NULL)
		reply_fault(&fault, STAGE_LOGIN, 451, "4.7.8", "bad login");
	else {
		search_ready(search, c);
		return;
	}
	endpoint_left(e, c);
	c->used = false;
	search_refused(search, &fault);
}

struct conversation *
conversation_new(struct endpoint *e, int fd, bool clear,
    struct search *search, FILE *script)
{
	struct conversation *c = &test.talks[test.made++];

	(void)script;
	assert_true(test.made < TALKS);
	close(fd);
	trail(e->name);
	if (clear)
		trail("clear");
	memset(c, 0, sizeof(*c));
	c->endpoint = e;
	c->search = search;
	c->clear = clear;
	c->used = true;
	later(greet, c);
	return c;
}

static void
finish(struct conversation *c, struct transaction *t)
{
	struct reply reply;

	reply_start(&reply);
	reply_add(&reply, "250 2.0.0 Ok");
	transaction_rest(t, &reply, false);
	transaction_done(t, 0, c->endpoint->text, "none");
}

static void
go_on(struct conversation *c)
{
	struct hop *hop = c->hop;
	struct transaction *t;

	while (!(test.yields && c->turn > 0 && endpoint_is_wanted(c->endpoint,
	    hop)) && (t = hop_next(hop)) != NULL) {
		c->turn++;
		if (test.hold) {
			c->t = t;
			loop_stop(0);
			return;
		}
		finish(c, t);
	}
	c->hop = NULL;
	hop_rests(hop, c);
}

void
conversation_serve(struct conversation *c, struct hop *hop)
{
	assert_null(c->hop);
	c->hop = hop;
	c->turn = 0;
	go_on(c);
}

void
conversation_drop(struct conversation *c, const struct link *link)
{
	(void)c;
	(void)link;
}

static void
close_conversation(struct conversation *c)
{
	struct hop *hop = c->hop;

	c->used = false;
	c->hop = NULL;
	endpoint_left(c->endpoint, c);
	if (hop != NULL)
		hop_left(hop, c);
}

void
conversation_end(struct conversation *c)
{
	close_conversation(c);
}

void
conversation_free(struct conversation *c)
{
	c->search = NULL;
	close_conversation(c);
}

struct endpoint *
conversation_endpoint(const struct conversation *c)
{
	return c->endpoint;
}

const char *
conversation_protection(const struct conversation *c)
{
	(void)c;
	return "none";
}

/* ---- helpers ---- */

static void
submit_from(const char *sender, const char *hop, const char *exchange)
{
	static char link;
	struct transaction *t = transaction_new((struct link *)(void *)&link,
	    1);

	t->sender = strdup(sender);
	t->envid = strdup("");
	t->recipients = calloc(1, sizeof(*t->recipients));
	t->recipients[0].address = strdup("x@there.test");
	t->recipients[0].orcpt = strdup("");
	t->count = 1;
	test.awaited++;
	hop_submit(hop, exchange, t);
}

static void
submit(const char *hop, const char *exchange)
{
	submit_from("a@us.test", hop, exchange);
}

/* One message, to its end. */
static void
deliver(const char *hop, const char *exchange)
{
	submit(hop, exchange);
	if (test.awaited > 0)
		loop_run(test.child.base);
	assert_int_equal(test.awaited, 0);
}

/* Let everything that can happen happen. */
static void
turn(void)
{
	int i;

	for (i = 0; i < 20; i++)
		event_base_loop(test.child.base, EVLOOP_NONBLOCK);
}

static void
forget(void)
{
	test.trail[0] = '\0';
	test.done = 0;
	memset(&test.result, 0, sizeof(test.result));
	memset(&test.answer, 0, sizeof(test.answer));
}

static void
on_sighting(const struct sighting *s, void *arg)
{
	char text[NETADDR_TEXT], line[WIRE_TEXT + 64];

	(void)arg;
	if (s->host == NULL) {
		loop_stop(0);
		return;
	}
	if (s->fault != NULL)
		snprintf(line, sizeof(line), "%s!%s", s->host->name,
		    s->fault->status);
	else
		snprintf(line, sizeof(line), "%s",
		    netaddr_print(s->address, text, sizeof(text)));
	if (test.sightings[0] != '\0')
		strlcat(test.sightings, " ", sizeof(test.sightings));
	strlcat(test.sightings, line, sizeof(test.sightings));
	scout_next(test.scout);
}

static const char *
sightings(const char *text, const char *exchange)
{
	const char *why;
	struct hop *hop = hop_find(text, exchange, "", &why);

	assert_null(why);
	test.sightings[0] = '\0';
	test.scout = scout_new(hop, on_sighting, NULL);
	scout_next(test.scout);
	loop_run(test.child.base);
	test.lifetime = scout_lifetime(test.scout);
	scout_free(test.scout);
	return test.sightings;
}

/* ---- what a scout sees ---- */

static void
orders_addresses(void **state)
{
	(void)state;
	assert_string_equal(sightings("relay(both.test)", ""),
	    "2001:db8::1 2001:db8::2 192.0.2.1 192.0.2.2");
	assert_string_equal(sightings("four-first", ""),
	    "192.0.2.1 192.0.2.2 2001:db8::1 2001:db8::2");
	assert_string_equal(sightings("four", ""), "192.0.2.1 192.0.2.2");
	assert_string_equal(sightings("six", ""), "2001:db8::1 2001:db8::2");
	assert_string_equal(sightings("six4", ""), "live.test!4.4.4");
	/* What was found is believed as long as its records are. */
	assert_in_range(test.lifetime, MINUTE - 30 * SECOND, MINUTE);
	assert_string_equal(sightings("relay(empty.test, nowhere.test, "
	    "broken.test, live.test)", ""), "empty.test!4.4.4 "
	    "nowhere.test!4.4.4 broken.test!4.4.3 127.0.0.1");
}

static void
hides_private_addresses(void **state)
{
	(void)state;
	assert_string_equal(sightings("relay()", "10-private.test"),
	    "private.test!4.4.4");
	assert_string_equal(sightings("relay()", "10-mixed.test"),
	    "192.0.2.3");
	assert_string_equal(sightings("relay(private.test)", ""),
	    "10.0.0.1");
	assert_string_equal(sightings("private", "10-mixed.test"),
	    "10.0.0.1 192.0.2.3");
}

/* RFC 5321 5.1: a domain without exchangers is its own, or takes no mail. */
static void
refuses_domains_without_hosts(void **state)
{
	(void)state;
	assert_string_equal(sightings("relay()", "0-empty.test"),
	    "empty.test!5.4.4");
	assert_string_equal(sightings("relay()", "0-broken.test"),
	    "broken.test!4.4.3");
	assert_string_equal(sightings("relay()", "0-nowhere.test"),
	    "nowhere.test!4.4.4");
	assert_string_equal(sightings("relay()", "10-empty.test"),
	    "empty.test!4.4.4");
	assert_string_equal(sightings("name", ""), "empty.test!4.4.4");
}

/* RFC 5321 5.1: ourselves, our equals and all behind us are no way. */
static void
cuts_loops(void **state)
{
	(void)state;
	assert_string_equal(sightings("relay()", "10-us.test+20-mixed.test"),
	    "10-us.test+20-mixed.test!5.4.6");
	assert_string_equal(sightings("relay()",
	    "10-mixed.test+10-us.test+20-both.test"),
	    "10-mixed.test+10-us.test+20-both.test!5.4.6");
	assert_string_equal(sightings("relay()",
	    "5-mixed.test+10-both.test+10-us.test"), "192.0.2.3");
	assert_string_equal(sightings("private", "10-us.test"), "192.0.2.99");
	assert_string_equal(sightings("relay()", "none"), "none!5.1.10");
	/* However it is written; the configuration may name us. */
	assert_string_equal(sightings("relay()", "[192.0.2.99]"),
	    "192.0.2.99!5.4.6");
	assert_string_equal(sightings("relay()", "[192.0.2.98]"),
	    "192.0.2.98");
	assert_string_equal(sightings("private", "[192.0.2.99]"),
	    "192.0.2.99");
	assert_string_equal(sightings("relay(192.0.2.99)", ""), "192.0.2.99");
}

/* ---- what a search does ---- */

static void
takes_the_second(void **state)
{
	size_t lookups;

	(void)state;
	forget();
	deliver("private", "10-dead.test+20-live.test");
	assert_int_equal(test.result.verdict, RELAY_DONE);
	assert_string_equal(test.trail, "live.test");
	assert_int_equal(test.answer.closed_until, 0);
	assert_non_null(strstr(test.answer.host, "live.test[127.0.0.1]"));
	/* The conversation rests, and is taken again; nothing is asked. */
	lookups = test.lookups;
	deliver("private", "10-dead.test+20-live.test");
	assert_int_equal(test.lookups, lookups);
	assert_string_equal(test.trail, "live.test");
	assert_int_equal(test.done, 2);
}

/* What has failed is passed by, whoever asks. */
static void
remembers_failures(void **state)
{
	(void)state;
	forget();
	deliver("private", "10-busy.test+20-other.test");
	assert_string_equal(test.trail, "busy.test other.test");
	deliver("private", "5-busy.test+10-other.test");
	assert_string_equal(test.trail, "busy.test other.test");
	assert_int_equal(test.done, 2);
	/* Nothing but what is closed: not even tried. */
	deliver("private", "30-busy.test");
	assert_string_equal(test.trail, "busy.test other.test");
	assert_int_equal(test.result.verdict, RELAY_DEFERRED);
	assert_int_equal(test.result.stage, STAGE_GREETING);
	assert_string_equal(test.result.text, "busy");
	assert_in_range(test.answer.closed_until, clock_now() + 50 * SECOND,
	    clock_now() + 61 * SECOND);
	/* Told so, spoold sends more only if the operator wants it. */
	deliver("private", "30-busy.test");
	assert_string_equal(test.trail, "busy.test other.test busy.test");
	assert_in_range(test.answer.closed_until, clock_now() + 110 * SECOND,
	    clock_now() + 121 * SECOND);
}

/* A login of one sender that fails closes nothing to the others. */
static void
closes_nothing_for_one(void **state)
{
	(void)state;
	forget();
	submit_from("own@us.test", "login", "");
	loop_run(test.child.base);
	assert_int_equal(test.result.stage, STAGE_LOGIN);
	assert_int_equal(test.result.verdict, RELAY_DEFERRED);
	assert_int_equal(test.answer.closed_until, 0);
	assert_string_equal(test.trail, "127.0.0.1");
	/* It is not tried again and again, all the same. */
	submit_from("own@us.test", "login", "");
	loop_run(test.child.base);
	assert_int_equal(test.result.stage, STAGE_LOGIN);
	assert_string_equal(test.trail, "127.0.0.1");
	deliver("login", "");
	assert_int_equal(test.result.verdict, RELAY_DONE);
}

static void
tells_the_most(void **state)
{
	(void)state;
	forget();
	deliver("private", "1-badtls.test+2-dead.test+3-busy.test");
	assert_string_equal(test.trail, "badtls.test badtls.test clear");
	forget();
	deliver("required", "2-broken.test+3-dead.test+4-nowhere.test");
	assert_int_equal(test.result.verdict, RELAY_DEFERRED);
	assert_string_equal(test.result.status, "4.4.1");
	assert_non_null(strstr(test.result.text, "Connection refused"));
	forget();
	/* Where TLS is demanded nothing goes in clear. */
	deliver("private", "1-strict.test");
	assert_string_equal(test.trail, "strict.test");
	assert_int_equal(test.result.verdict, RELAY_DEFERRED);
	assert_string_equal(test.result.text, "bad tls");
	forget();
	deliver("private", "none");
	assert_int_equal(test.result.verdict, RELAY_FAILED);
	assert_string_equal(test.result.status, "5.1.10");
	assert_int_equal(test.answer.closed_until, 0);
	deliver("private", "1-broken.test");
	assert_string_equal(test.result.status, "4.4.3");
	assert_in_range(test.answer.closed_until, clock_now() + 50 * SECOND,
	    clock_now() + 61 * SECOND);
	deliver("gone", "");
	assert_string_equal(test.result.status, "4.3.5");
	assert_int_equal(test.answer.closed_until, 0);
}

/* What is in vain is told so: it does not wait for days. */
static void
tells_what_is_in_vain(void **state)
{
	(void)state;
	forget();
	deliver("relay()", "10-private.test");
	assert_int_equal(test.result.verdict, RELAY_DEFERRED);
	assert_string_equal(test.result.status, "4.4.4");
	assert_int_equal(test.result.brief, 1);
	/* Unless something else may yet come right. */
	deliver("relay()", "10-private.test+20-broken.test");
	assert_int_equal(test.result.verdict, RELAY_DEFERRED);
	assert_int_equal(test.result.brief, 0);
}

/* However many hosts a domain has, one search tries so many. */
static void
tries_only_so_many(void **state)
{
	char hosts[256] = "";
	int i;

	(void)state;
	for (i = 0; i < 20; i++)
		strlcat(hosts, "1-dead.test+", sizeof(hosts));
	strlcat(hosts, "9-live.test", sizeof(hosts));
	forget();
	deliver("private", hosts);
	assert_int_equal(test.result.verdict, RELAY_DEFERRED);
	assert_string_equal(test.trail, "");
}

/* The first failure closes for a minute, further ones for up to ten. */
static void
closes_for_minutes(void **state)
{
	static const int minutes[] = { 1, 2, 4, 8, 10, 10 };
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(minutes) / sizeof(minutes[0]); i++)
		assert_int_equal(endpoint_pause(i), minutes[i] * MINUTE);
	assert_int_equal(endpoint_pause(4000000000U), 10 * MINUTE);
}

/* The kernel lacks memory: nobody waits in vain, and no host is blamed. */
static void
defers_what_cannot_be_watched(void **state)
{
	(void)state;
	forget();
	unwatched = 1;
	deliver("watched", "");
	assert_int_equal(test.result.verdict, RELAY_DEFERRED);
	assert_string_equal(test.result.status, "4.3.0");
	assert_string_equal(test.trail, "");
	deliver("watched", "");
	assert_int_equal(test.result.verdict, RELAY_DONE);
	assert_string_equal(test.trail, "127.0.0.1");
}

static size_t
used(void)
{
	size_t i, count = 0;

	for (i = 0; i < test.made; i++)
		count += test.talks[i].used;
	return count;
}

static struct conversation *
busy_at(const char *host)
{
	size_t i;

	for (i = 0; i < test.made; i++)
		if (test.talks[i].t != NULL &&
		    strstr(test.talks[i].endpoint->name, host) != NULL)
			return &test.talks[i];
	return NULL;
}

static struct conversation *
busy(void)
{
	return busy_at("");
}

/* Have held transactions answered, one after the other. */
static void
let_go(void)
{
	struct conversation *c;
	struct transaction *t;

	while ((c = busy()) != NULL) {
		t = c->t;
		c->t = NULL;
		finish(c, t);
		go_on(c);
		turn();
	}
}

/* No more connections than allowed, however much waits. */
static void
keeps_the_limit(void **state)
{
	size_t before = used();
	int i;

	(void)state;
	forget();
	test.hold = true;
	for (i = 0; i < 6; i++)
		submit("two", "10-live.test");
	turn();
	assert_int_equal(used() - before, 2);
	/* Another hop of the same endpoint waits for room there. */
	submit("two", "10-live.test+20-other.test");
	turn();
	assert_int_equal(used() - before, 2);
	let_go();
	assert_int_equal(test.done, 7);
	assert_int_equal(used() - before, 2);
	assert_true(hop_all_idle());
	test.hold = false;
}

/* One as good that has room is not passed over to wait for a full one. */
static void
goes_where_there_is_room(void **state)
{
	struct conversation *c;
	int i, equals;

	(void)state;
	test.hold = true;
	for (equals = 0; equals < 2; equals++) {
		forget();
		for (i = 0; i < 2; i++) {
			submit("two", "10-full.test");
			turn();
		}
		assert_string_equal(test.trail, equals ? "" :
		    "full.test full.test");
		test.trail[0] = '\0';
		submit("two", equals ? "10-full.test+10-spare.test+20-a.test" :
		    "10-full.test+20-spare.test");
		turn();
		assert_string_equal(test.trail, equals ? "spare.test" : "");
		let_go();
		assert_int_equal(test.done, 3);
		assert_true(hop_all_idle());
	}
	/* The full one goes away: then the next is as good as any. */
	forget();
	for (i = 0; i < 2; i++) {
		submit("two", "10-dying2.test");
		turn();
	}
	for (i = 0; i < 2; i++) {
		submit("two", "10-full.test");
		turn();
	}
	submit("two", "10-dying2.test+20-full.test+20-spare.test");
	turn();
	test.dead = true;
	test.trail[0] = '\0';
	while ((c = busy_at("dying2.test")) != NULL) {
		finish(c, c->t);
		c->t = NULL;
		close_conversation(c);
	}
	turn();
	turn();
	assert_string_equal(test.trail, "dying2.test");
	assert_non_null(busy_at("spare.test"));
	let_go();
	assert_int_equal(test.done, 5);
	test.hold = test.dead = false;
}

/* What the configuration names second is not as good as what it names first. */
static void
waits_for_the_first_named(void **state)
{
	(void)state;
	forget();
	test.hold = true;
	submit("pair", "");
	turn();
	submit_from("own@us.test", "pair", "");
	turn();
	assert_string_equal(test.trail, "full.test");
	let_go();
	assert_int_equal(test.done, 2);
	assert_string_equal(test.trail, "full.test");
	test.hold = false;
}

/* A search that is over holds none that it has passed by, or not come to. */
static void
holds_no_endpoint_for_ever(void **state)
{
	const struct endpoint *full, *spare;
	unsigned int held[2] = { 0 };
	char hops[2][96];
	int round, i;

	(void)state;
	test.hold = true;
	for (round = 0; round < 3; round++) {
		forget();
		for (i = 0; i < 2; i++) {
			submit("two", "10-full.test");
			turn();
		}
		/* New ones, which remember what they have come to. */
		snprintf(hops[0], sizeof(hops[0]), "10-full.test+"
		    "10-full.test+10-spare.test+%d-a.test", 30 + round);
		snprintf(hops[1], sizeof(hops[1]), "10-full.test+"
		    "20-spare.test+%d-a.test", 30 + round);
		for (i = 0; i < 2; i++)
			submit("two", hops[i]);
		turn();
		full = busy_at("full.test")->endpoint;
		spare = busy_at("spare.test")->endpoint;
		let_go();
		assert_int_equal(test.done, 4);
		if (round > 0) {
			assert_int_equal(full->holders, held[0] + 2);
			assert_int_equal(spare->holders, held[1] + 1);
		}
		held[0] = full->holders;
		held[1] = spare->holders;
	}
	test.hold = false;
}

/* Who rests at one less good is not taken while a better one is full. */
static void
leaves_the_next_alone(void **state)
{
	struct conversation *spare, *full;
	int i;

	(void)state;
	forget();
	test.hold = true;
	submit("two", "10-spare.test");
	turn();
	spare = busy();
	for (i = 0; i < 2; i++) {
		submit("two", "10-full.test");
		turn();
	}
	finish(spare, spare->t);
	spare->t = NULL;
	go_on(spare);
	for (i = 0; i < 2; i++)
		submit("two", "10-full.test+20-spare.test");
	turn();
	full = busy();
	finish(full, full->t);
	full->t = NULL;
	go_on(full);
	turn();
	assert_null(spare->t);
	let_go();
	assert_int_equal(test.done, 5);
	assert_null(strstr(test.answer.host, "spare.test"));
	test.hold = false;
}

/* Room that comes about while it is looked for elsewhere is used. */
static void
finds_room_that_came_about(void **state)
{
	struct conversation *c;
	int i, when;

	(void)state;
	test.hold = true;
	for (when = 0; when < 12; when++) {
		forget();
		for (i = 0; i < 2; i++) {
			submit("two", "10-full.test");
			turn();
		}
		submit("two", "10-full.test+20-spare.test");
		test.halts = true;
		for (i = 0; i < when; i++)
			event_base_loop(test.child.base, EVLOOP_NONBLOCK);
		test.halts = false;
		while ((c = busy()) != NULL) {
			finish(c, c->t);
			c->t = NULL;
			go_on(c);
		}
		turn();
		assert_non_null(busy());
		let_go();
		assert_int_equal(test.done, 3);
		assert_true(hop_all_idle());
	}
	test.hold = false;
}

/* Is it being served, and no other of those? */
static bool
is_served(const char *exchange)
{
	const char *why;
	struct hop *hop = hop_find("two", exchange, "", &why);
	size_t i;

	for (i = 0; i < test.made; i++)
		if (test.talks[i].used && test.talks[i].hop == hop)
			return true;
	return false;
}

/* End a transaction of a hop; its conversation looks for more. */
static void
end_one(const char *exchange)
{
	const char *why;
	struct hop *hop = hop_find("two", exchange, "", &why);
	struct transaction *t;
	size_t i;

	for (i = 0; i < test.made; i++)
		if (test.talks[i].t != NULL && test.talks[i].hop == hop)
			break;
	assert_true(i < test.made);
	t = test.talks[i].t;
	test.talks[i].t = NULL;
	finish(&test.talks[i], t);
	go_on(&test.talks[i]);
}

/* Who waits for room at an endpoint gets it in turn. */
static void
serves_in_order(void **state)
{
	static const char *const hops[] = { "10-live.test",
	    "10-live.test+30-a.test", "10-live.test+30-b.test",
	    "10-live.test+30-c.test" };
	size_t i;

	(void)state;
	forget();
	test.hold = true;
	submit("two", hops[0]);
	submit("two", hops[0]);
	turn();
	for (i = 1; i < 4; i++) {
		submit("two", hops[i]);
		turn();
	}
	/* One that comes when there is room comes behind them. */
	end_one(hops[0]);
	submit("two", hops[0]);
	turn();
	assert_true(is_served(hops[1]));
	end_one(hops[0]);
	turn();
	assert_false(is_served(hops[2]));
	end_one(hops[0]);
	turn();
	assert_true(is_served(hops[2]));
	end_one(hops[1]);
	turn();
	assert_true(is_served(hops[3]));
	assert_false(is_served(hops[0]));
	let_go();
	assert_int_equal(test.done, 6);
	assert_true(hop_all_idle());
	test.hold = false;
}

/* A hop whose mail goes on and on leaves connections to others. */
static void
yields_to_others(void **state)
{
	static const char *const busy = "10-live.test";
	static const char *const others[] = { "10-live.test+30-a.test",
	    "10-live.test+30-b.test" };
	int i;

	(void)state;
	forget();
	test.hold = test.yields = true;
	for (i = 0; i < 6; i++) {
		submit("two", busy);
		turn();
	}
	for (i = 0; i < 2; i++) {
		submit("two", others[i]);
		turn();
		assert_false(is_served(others[i]));
		end_one(busy);
		turn();
		/* By now its own search stands before the second. */
		if (i == 1) {
			assert_false(is_served(others[i]));
			end_one(busy);
			turn();
		}
		assert_true(is_served(others[i]));
	}
	assert_false(is_served(busy));
	/* And back again, since more waits there. */
	end_one(others[0]);
	turn();
	assert_false(is_served(others[0]));
	assert_true(is_served(busy));
	let_go();
	assert_int_equal(test.done, 8);
	assert_true(hop_all_idle());
	test.hold = test.yields = false;
}

/* What another connection may still take sooner is not for riding. */
static void
lets_ride_what_must_wait(void **state)
{
	struct transaction *t;
	const char *why;
	struct hop *hop = hop_find("two", "10-live.test", "", &why);

	(void)state;
	forget();
	test.hold = true;
	submit("two", "10-live.test");
	assert_null(hop_next_to_ride(hop));
	turn();
	assert_null(hop_next_to_ride(hop));
	submit("two", "10-live.test");
	assert_null(hop_next_to_ride(hop));
	turn();
	submit("two", "10-live.test");
	turn();
	t = hop_next_to_ride(hop);
	assert_non_null(t);
	/* It was lost once: that is enough. */
	hop_take_back(hop, t);
	assert_null(hop_next_to_ride(hop));
	let_go();
	assert_int_equal(test.done, 3);
	assert_true(hop_all_idle());
	test.hold = false;
}

/* One probe first: the others wait for what it finds. */
static void
probes_first(void **state)
{
	size_t before = used();
	int i;

	(void)state;
	forget();
	test.hold = true;
	for (i = 0; i < 3; i++)
		submit("private", "30-busy.test+40-dead.test");
	turn();
	assert_string_equal(test.trail, "");
	assert_int_equal(test.done, 3);
	for (i = 0; i < 3; i++)
		submit("private", "30-busy.test+40-dead.test");
	turn();
	assert_string_equal(test.trail, "busy.test");
	assert_int_equal(test.done, 6);
	assert_int_equal(used(), before);
	test.hold = false;
}

/* A host goes away under load: all that wait for it are told, in time. */
static void
gives_up(void **state)
{
	struct conversation *c;
	struct transaction *t;
	int i;

	(void)state;
	forget();
	test.hold = true;
	for (i = 0; i < 6; i++)
		submit("two", "10-dying.test");
	turn();
	test.dead = true;
	for (c = test.talks; c < test.talks + test.made; c++) {
		if (!c->used || c->t == NULL)
			continue;
		t = c->t;
		c->t = NULL;
		finish(c, t);
		close_conversation(c);
	}
	assert_int_equal(test.done, 2);
	for (i = 0; i < 20; i++)
		turn();
	assert_int_equal(test.done, 6);
	assert_int_equal(test.result.verdict, RELAY_DEFERRED);
	assert_true(hop_all_idle());
	test.hold = test.dead = false;
}

static void
prints_its_state(void **state)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	(void)state;
	hop_print("private", "10-dead.test+20-live.test", out);
	hop_print("private", "never.test", out);
	fclose(out);
	assert_non_null(strstr(text, "host live.test preference 20\n"
	    "  address 127.0.0.1 port "));
	assert_non_null(strstr(text, ", tls: level 2\n    open, "));
	assert_non_null(strstr(text, "nothing is known"));
	free(text);
}

/* At the end, nothing rests any more. */
static void
ends(void **state)
{
	(void)state;
	assert_true(used() > 0);
	endpoint_end_all();
	turn();
	assert_int_equal(used(), 0);
	assert_true(endpoint_all_idle());
	assert_true(hop_all_idle());
	forget();
	deliver("private", "20-live.test");
	turn();
	assert_int_equal(test.done, 1);
	assert_int_equal(used(), 0);
}

static int
setup(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t length = sizeof(sin);
	char text[2048];

	(void)state;
	test.listener = socket(AF_INET, SOCK_STREAM, 0);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(test.listener, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(test.listener, 1024) == -1 || getsockname(test.listener,
	    (struct sockaddr *)&sin, &length) == -1)
		return -1;
	test.port = ntohs(sin.sin_port);
	snprintf(text, sizeof(text),
	    "[relay \"four\"]\n address-family = 4\n address = both.test\n"
	    "[relay \"six\"]\n address-family = 6\n address = both.test\n"
	    "[relay \"six4\"]\n address-family = 6\n address = live.test\n"
	    "[relay \"four-first\"]\n address-family = 4-first\n"
	    " address = both.test\n"
	    "[relay \"private\"]\n mx = recipient\n private-hosts = yes\n"
	    " port = %d\n"
	    "[relay \"name\"]\n mx = name\n name = 0-empty.test\n"
	    "[relay \"login\"]\n address = 127.0.0.1:%d\n"
	    "[relay \"watched\"]\n address = 127.0.0.1:%d\n"
	    "[relay \"required\"]\n mx = recipient\n private-hosts = yes\n"
	    " port = %d\n"
	    "[relay \"two\"]\n mx = recipient\n private-hosts = yes\n"
	    " port = %d\n max-connections = 2\n"
	    "[relay \"pair\"]\n max-connections = 1\n"
	    " address = full.test:%d\n address = spare.test:%d\n",
	    test.port, test.port, test.port, test.port, test.port, test.port, test.port);
	test.child.conf = conf_parse("t.cf", text, strlen(text), stderr);
	test.child.base = loop_new();
	policy_configure(&test.child);
	hop_configure(&test.child);
	endpoint_configure(test.child.base);
	return test.child.conf->wrong;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(orders_addresses),
		cmocka_unit_test(hides_private_addresses),
		cmocka_unit_test(refuses_domains_without_hosts),
		cmocka_unit_test(cuts_loops),
		cmocka_unit_test(takes_the_second),
		cmocka_unit_test(remembers_failures),
		cmocka_unit_test(closes_nothing_for_one),
		cmocka_unit_test(tells_the_most),
		cmocka_unit_test(tells_what_is_in_vain),
		cmocka_unit_test(tries_only_so_many),
		cmocka_unit_test(closes_for_minutes),
		cmocka_unit_test(defers_what_cannot_be_watched),
		cmocka_unit_test(keeps_the_limit),
		cmocka_unit_test(goes_where_there_is_room),
		cmocka_unit_test(waits_for_the_first_named),
		cmocka_unit_test(holds_no_endpoint_for_ever),
		cmocka_unit_test(leaves_the_next_alone),
		cmocka_unit_test(finds_room_that_came_about),
		cmocka_unit_test(serves_in_order),
		cmocka_unit_test(yields_to_others),
		cmocka_unit_test(lets_ride_what_must_wait),
		cmocka_unit_test(probes_first),
		cmocka_unit_test(gives_up),
		cmocka_unit_test(prints_its_state),
		cmocka_unit_test(ends)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, NULL);
}
