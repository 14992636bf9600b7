/*
 * The play of relay_around.h.
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
#include "regress/unit/relay_around.h"

struct around test;

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
	{ "dying3.test", "127.0.0.1" },
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

void
finish(struct conversation *c, struct transaction *t)
{
	struct reply reply;

	reply_start(&reply);
	reply_add(&reply, "250 2.0.0 Ok");
	transaction_rest(t, &reply, false);
	transaction_done(t, 0, c->endpoint->text, "none");
}

void
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

void
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

/* ---- messages ---- */

void
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

void
submit(const char *hop, const char *exchange)
{
	submit_from("a@us.test", hop, exchange);
}

void
deliver(const char *hop, const char *exchange)
{
	submit(hop, exchange);
	if (test.awaited > 0)
		loop_run(test.child.base);
	assert_int_equal(test.awaited, 0);
}

void
turn(void)
{
	int i;

	for (i = 0; i < 20; i++)
		event_base_loop(test.child.base, EVLOOP_NONBLOCK);
}

void
forget(void)
{
	test.trail[0] = '\0';
	test.done = 0;
	memset(&test.result, 0, sizeof(test.result));
	memset(&test.answer, 0, sizeof(test.answer));
}

/* ---- what became of them ---- */

size_t
used(void)
{
	size_t i, count = 0;

	for (i = 0; i < test.made; i++)
		count += test.talks[i].used;
	return count;
}

struct conversation *
busy_at(const char *host)
{
	size_t i;

	for (i = 0; i < test.made; i++)
		if (test.talks[i].t != NULL &&
		    strstr(test.talks[i].endpoint->name, host) != NULL)
			return &test.talks[i];
	return NULL;
}

struct conversation *
busy(void)
{
	return busy_at("");
}

void
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

int
around_setup(void **state)
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
	    test.port, test.port, test.port, test.port, test.port,
	    test.port, test.port);
	test.child.conf = conf_parse("t.cf", text, strlen(text), stderr);
	test.child.base = loop_new();
	policy_configure(&test.child);
	hop_configure(&test.child);
	endpoint_configure(test.child.base);
	return test.child.conf->wrong;
}

void
around_ends(void **state)
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
