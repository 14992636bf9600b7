/* links: relay/exchange.c relay/reply.c common/dns_parse.c common/netaddr.c
 *	common/loop.c common/log.c common/queueid.c common/clock.c */
/*
 * From a domain to its hosts, with a DNS that says what each test wants.
 */
#include <event2/event.h>
#include <ifaddrs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clock.h"
#include "loop.h"
#include "relay/relay.h"

static struct {
	struct event_base *base;
	struct dns_exchange exchanges[DNS_RECORDS];
	struct dns_answer answer;
	char		 asked[DNS_NAME];
	dns_fn		 fn;
	void		*arg;
	int		 cancelled;
	struct policy	 policy;
	struct hosts	 hosts;		/* what came of it */
	int		 answers;
} test;

/* ---- what the module asks ---- */

struct dns_lookup *
dns_exchanges(const char *name, dns_fn fn, void *arg)
{
	strlcpy(test.asked, name, sizeof(test.asked));
	test.fn = fn;
	test.arg = arg;
	return (struct dns_lookup *)&test;
}

void
dns_cancel(struct dns_lookup *lookup)
{
	if (lookup != NULL)
		test.cancelled++;
}

struct event_base *
relay_base(void)
{
	return test.base;
}

const char *
relay_hostname(void)
{
	return "Us.example";
}

/* ---- the world ---- */

static void
nothing(enum dns_result result)
{
	memset(&test.answer, 0, sizeof(test.answer));
	test.answer.result = result;
	test.answer.reason = "the moon is full";
	test.answer.secure = result != DNS_FAILED;
	test.answer.lifetime = result == DNS_FAILED ? 0 : MINUTE;
	test.answer.exchanges = test.exchanges;
}

/* In the order in which the resolver gives them: by preference. */
static void
exchanger(uint16_t preference, const char *name)
{
	struct dns_exchange *e = &test.exchanges[test.answer.count++];

	test.answer.result = DNS_OK;
	e->preference = preference;
	strlcpy(e->name, name, sizeof(e->name));
}

static void
on_hosts(const struct hosts *hosts, void *arg)
{
	assert_ptr_equal(arg, &test);
	free(test.hosts.list);
	test.hosts = *hosts;
	test.hosts.list = calloc(hosts->count + 1, sizeof(struct host));
	if (hosts->count > 0)
		memcpy(test.hosts.list, hosts->list, hosts->count *
		    sizeof(struct host));
	test.answers++;
}

static void
find(const char *domain, bool recipient)
{
	test.answers = 0;
	test.asked[0] = '\0';
	assert_non_null(exchange_find(domain, &test.policy, recipient,
	    on_hosts, &test));
	assert_int_equal(test.answers, 0);
	if (test.asked[0] != '\0')
		test.fn(&test.answer, test.arg);
	else
		event_base_loop(test.base, EVLOOP_NONBLOCK);
	assert_int_equal(test.answers, 1);
}

static void
is_host(size_t i, const char *name, unsigned int preference)
{
	assert_true(i < test.hosts.count);
	assert_string_equal(test.hosts.list[i].name, name);
	assert_int_equal(test.hosts.list[i].preference, preference);
}

static void
is_fault(int code, const char *status, const char *text)
{
	assert_int_equal(test.hosts.count, 0);
	assert_int_equal(test.hosts.fault.code, code);
	assert_string_equal(test.hosts.fault.status, status);
	assert_string_equal(test.hosts.fault.text, text);
	assert_int_equal(test.hosts.fault.stage, STAGE_LOOKUP);
	assert_false(test.hosts.fault.replied);
}

/* ---- tests ---- */

static void
orders_by_preference(void **state)
{
	(void)state;
	nothing(DNS_OK);
	exchanger(5, "a.example");
	exchanger(10, "b.example");
	exchanger(20, "a.example");
	find("Example.ORG.", true);
	assert_string_equal(test.asked, "example.org");
	assert_int_equal(test.hosts.count, 2);
	assert_int_equal(test.hosts.fault.code, 0);
	is_host(0, "a.example", 5);
	is_host(1, "b.example", 10);
	assert_string_equal(test.hosts.list[1].domain, "example.org");
	assert_int_equal(test.hosts.list[1].port, 2525);
	assert_true(test.hosts.list[1].foreign);
	assert_false(test.hosts.list[1].implicit);
	assert_true(test.hosts.list[1].secure);
	assert_true(test.hosts.expires > clock_monotonic() + 50 * SECOND);
	test.answer.secure = false;
	find("example.org", false);
	assert_false(test.hosts.list[1].foreign);
	assert_false(test.hosts.list[1].secure);
}

/* Each of three equals comes first at times, and the last stays the last. */
static void
shuffles_equals(void **state)
{
	int first[3] = { 0, 0, 0 }, i;

	(void)state;
	nothing(DNS_OK);
	exchanger(1, "a.example");
	exchanger(1, "b.example");
	exchanger(1, "c.example");
	exchanger(2, "d.example");
	for (i = 0; i < 300; i++) {
		find("example.org", true);
		assert_int_equal(test.hosts.count, 4);
		is_host(3, "d.example", 2);
		first[test.hosts.list[0].name[0] - 'a']++;
	}
	for (i = 0; i < 3; i++)
		assert_true(first[i] > 50);
}

static void
takes_the_domain_without_any(void **state)
{
	(void)state;
	nothing(DNS_NONE);
	find("example.org", true);
	assert_int_equal(test.hosts.count, 1);
	is_host(0, "example.org", 0);
	assert_true(test.hosts.list[0].implicit);
	assert_true(test.hosts.list[0].secure);
	assert_true(test.hosts.list[0].foreign);
	test.answer.secure = false;
	find("example.org", true);
	assert_false(test.hosts.list[0].secure);
}

static void
tells_what_does_not_exist(void **state)
{
	(void)state;
	nothing(DNS_NO_NAME);
	find("example.org", true);
	is_fault(550, "5.1.2", "example.org does not exist in the DNS");
	find("relay.example", false);
	is_fault(451, "4.4.4", "relay.example does not exist in the DNS");
}

static void
tells_what_cannot_be_known(void **state)
{
	(void)state;
	nothing(DNS_FAILED);
	find("example.org", true);
	is_fault(451, "4.4.3", "the mail exchangers of example.org cannot be "
	    "looked up: the moon is full");
	assert_true(test.hosts.expires <= clock_monotonic());
	find("example.org", false);
	assert_int_equal(test.hosts.fault.code, 451);
}

/* RFC 7505. */
static void
respects_null(void **state)
{
	(void)state;
	nothing(DNS_OK);
	exchanger(0, "");
	find("example.org", true);
	is_fault(556, "5.1.10", "example.org takes no mail (null MX)");
	find("example.org", false);
	is_fault(451, "4.4.4", "example.org takes no mail (null MX)");
	exchanger(10, "mx.example");
	find("example.org", true);
	assert_int_equal(test.hosts.count, 1);
	is_host(0, "mx.example", 10);
}

static void
ignores_what_is_no_host(void **state)
{
	static const char *const bad[] = {
		"192.0.2.1", "::1", "[192.0.2.1]", "localhost", "x.localhost",
		"mx.7", "a*b.example", ""
	};
	size_t i;

	(void)state;
	nothing(DNS_OK);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		exchanger(1, bad[i]);
	find("example.org", true);
	is_fault(451, "4.4.4",
	    "example.org has no mail exchanger that is a host's name");
	exchanger(2, "mx_1.example");
	find("example.org", true);
	assert_int_equal(test.hosts.count, 1);
	is_host(0, "mx_1.example", 2);
	nothing(DNS_OK);		/* none that could be read */
	find("example.org", true);
	assert_int_equal(test.hosts.fault.code, 451);
	nothing(DNS_NONE);
	find("localhost", true);
	assert_int_equal(test.hosts.fault.code, 451);
}

static void
drops_ourselves(void **state)
{
	(void)state;
	nothing(DNS_OK);
	exchanger(5, "a.example");
	exchanger(10, "b.example");
	exchanger(10, "us.example");
	exchanger(10, "c.example");
	exchanger(20, "d.example");
	find("example.org", true);
	assert_int_equal(test.hosts.count, 1);
	is_host(0, "a.example", 5);

	nothing(DNS_OK);
	exchanger(10, "a.example");
	exchanger(10, "us.example");
	exchanger(20, "d.example");
	find("example.org", true);
	assert_int_equal(test.hosts.count, 0);
	assert_int_equal(test.hosts.fault.code, 554);
	assert_string_equal(test.hosts.fault.status, "5.4.6");
	find("example.org", false);
	assert_int_equal(test.hosts.fault.code, 451);
	assert_string_equal(test.hosts.fault.status, "4.4.6");

	nothing(DNS_NONE);
	find("us.example", true);
	assert_int_equal(test.hosts.fault.code, 554);
}

static void
takes_literals(void **state)
{
	(void)state;
	find("[192.0.2.1]", true);
	assert_string_equal(test.asked, "");
	assert_int_equal(test.hosts.count, 1);
	is_host(0, "192.0.2.1", 0);
	assert_true(test.hosts.list[0].foreign);
	assert_string_equal(test.hosts.list[0].domain, "");
	assert_int_equal(test.hosts.list[0].port, 2525);
	find("[IPv6:2001:DB8::1]", true);
	is_host(0, "2001:db8::1", 0);
	find("[IPv6:x]", true);
	is_fault(550, "5.1.2", "[ipv6:x] is no address literal");
	find("[", true);
	assert_int_equal(test.hosts.count, 0);
	find("[]", true);
	assert_int_equal(test.hosts.count, 0);
}

static void
forgets_the_cancelled(void **state)
{
	struct exchange *exchange;

	(void)state;
	test.answers = test.cancelled = 0;
	exchange_cancel(NULL);
	exchange_cancel(exchange_find("example.org", &test.policy, true,
	    on_hosts, &test));
	assert_int_equal(test.cancelled, 1);
	exchange = exchange_find("[192.0.2.1]", &test.policy, true, on_hosts,
	    &test);
	exchange_cancel(exchange);
	event_base_loop(test.base, EVLOOP_NONBLOCK);
	assert_int_equal(test.answers, 0);
}

static bool
private(const char *text)
{
	struct netaddr address;

	assert_int_equal(netaddr_parse(text, &address), 0);
	return exchange_is_private(&address);
}

static bool
us(const char *text)
{
	struct netaddr address;

	assert_int_equal(netaddr_parse(text, &address), 0);
	return exchange_is_us(&address);
}

static void
knows_private_addresses(void **state)
{
	static const char *const inside[] = {
		"0.0.0.0", "0.1.2.3", "10.255.0.1", "100.64.0.1",
		"100.127.255.255", "127.0.0.1", "127.9.9.9", "169.254.1.1",
		"172.16.0.1", "172.31.255.255", "192.168.0.1", "224.0.0.1",
		"255.255.255.255", "::", "::1", "::127.0.0.1", "fc00::1",
		"fd12::1", "fe80::1", "febf::1", "fec0::1", "ff02::1",
		"::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::192.168.0.1"
	};
	static const char *const outside[] = {
		"1.0.0.1", "11.0.0.1", "100.63.255.255", "100.128.0.1",
		"128.0.0.1", "172.15.0.1", "172.32.0.1", "192.0.2.1",
		"192.169.0.1", "198.51.100.1", "203.0.113.9", "223.255.0.1",
		"2001:db8::1", "2606:4700::1", "::ffff:192.0.2.1",
		"64:ff9b::192.0.2.1"
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(inside) / sizeof(inside[0]); i++)
		assert_true(private(inside[i]));
	for (i = 0; i < sizeof(outside) / sizeof(outside[0]); i++)
		assert_false(private(outside[i]));
}

/* Those of the interfaces, too. */
static void
knows_our_addresses(void **state)
{
	struct ifaddrs *list, *i;
	struct netaddr address;
	uint16_t port;

	(void)state;
	assert_int_equal(getifaddrs(&list), 0);
	exchange_configure(NULL);
	for (i = list; i != NULL; i = i->ifa_next)
		if (i->ifa_addr != NULL && netaddr_from_sockaddr(i->ifa_addr,
		    &address, &port) == 0)
			assert_true(exchange_is_us(&address));
	freeifaddrs(list);
	assert_true(us("127.0.0.1"));
	assert_true(us("127.0.0.53"));
	assert_true(us("0.0.0.0"));
	assert_true(us("::1"));
	assert_true(us("::ffff:127.0.0.1"));
	assert_false(us("192.0.2.1"));
	assert_false(us("2001:db8::1"));
}

static int
setup(void **state)
{
	(void)state;
	test.base = loop_new();
	test.policy.port = 2525;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	free(test.hosts.list);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(orders_by_preference),
		cmocka_unit_test(shuffles_equals),
		cmocka_unit_test(takes_the_domain_without_any),
		cmocka_unit_test(tells_what_does_not_exist),
		cmocka_unit_test(tells_what_cannot_be_known),
		cmocka_unit_test(respects_null),
		cmocka_unit_test(ignores_what_is_no_host),
		cmocka_unit_test(drops_ourselves),
		cmocka_unit_test(takes_literals),
		cmocka_unit_test(forgets_the_cancelled),
		cmocka_unit_test(knows_private_addresses),
		cmocka_unit_test(knows_our_addresses)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
