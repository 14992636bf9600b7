/* links: common/dns.c common/netaddr.c common/loop.c common/log.c
 *	common/queueid.c common/clock.c */
/*
 * The resolver where it needs no server: addresses, /etc/hosts, giving up.
 */
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dns.h"
#include "loop.h"

static struct {
	struct event_base *base;
	enum dns_result	 result;
	struct netaddr	 first;
	size_t		 count;
	int		 answers;
} test;

static void
on_addresses(enum dns_result result, const struct netaddr *addresses,
    size_t count, const char *reason, void *arg)
{
	(void)reason;
	assert_ptr_equal(arg, &test);
	test.result = result;
	test.count = count;
	if (count > 0)
		test.first = addresses[0];
	test.answers++;
}

static void
look_up(const char *name)
{
	test.answers = 0;
	assert_non_null(dns_addresses(name, on_addresses, &test));
	assert_int_equal(test.answers, 0);
	while (test.answers == 0)
		event_base_loop(test.base, EVLOOP_ONCE);
}

static void
answers_addresses(void **state)
{
	char text[NETADDR_TEXT];

	(void)state;
	look_up("127.0.0.9");
	assert_int_equal(test.result, DNS_OK);
	assert_int_equal(test.count, 1);
	assert_string_equal(netaddr_print(&test.first, text, sizeof(text)),
	    "127.0.0.9");
	look_up("2001:db8::1");
	assert_int_equal(test.result, DNS_OK);
	assert_int_equal(test.first.family, 6);
}

static void
reads_hosts(void **state)
{
	(void)state;
	look_up("LocalHost");
	assert_int_equal(test.result, DNS_OK);
	assert_true(test.count >= 1);
}

static void
knows_no_empty_name(void **state)
{
	(void)state;
	look_up("");
	assert_int_equal(test.result, DNS_NONE);
	assert_int_equal(test.count, 0);
}

static void
forgets_the_cancelled(void **state)
{
	struct dns_lookup *lookup;

	(void)state;
	test.answers = 0;
	lookup = dns_addresses("127.0.0.1", on_addresses, &test);
	dns_cancel(lookup);
	dns_cancel(NULL);
	event_base_loop(test.base, EVLOOP_NONBLOCK);
	assert_int_equal(test.answers, 0);
}

static int
setup(void **state)
{
	(void)state;
	test.base = loop_new();
	dns_open(test.base);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_addresses),
		cmocka_unit_test(reads_hosts),
		cmocka_unit_test(knows_no_empty_name),
		cmocka_unit_test(forgets_the_cancelled)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, NULL);
}
