/* links: common/netaddr.c */
/*
 * Network addresses: parsed, printed, held against networks, split.
 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "netaddr.h"

static void
test_print_parse(void **state)
{
	static const char *const good[] = { "127.0.0.1", "::1", "2001:db8::5",
	    "0.0.0.0", "255.255.255.255" };
	static const char *const bad[] = { "", "1.2.3", "1.2.3.4.5", "::g",
	    "localhost", "1.2.3.4/8" };
	struct netaddr address;
	char text[NETADDR_TEXT];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(netaddr_parse(good[i], &address), 0);
		assert_string_equal(netaddr_print(&address, text,
		    sizeof(text)), good[i]);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(netaddr_parse(bad[i], &address), -1);
	memset(&address, 0, sizeof(address));
	assert_string_equal(netaddr_print(&address, text, sizeof(text)), "");
}

static void
test_blocks(void **state)
{
	static const struct {
		const char	*block, *address;
		bool		 in;
	} table[] = {
		{ "127.0.0.0/8", "127.9.9.9", true },
		{ "127.0.0.0/8", "128.0.0.1", false },
		{ "10.0.0.0/9", "10.127.0.1", true },
		{ "10.0.0.0/9", "10.128.0.1", false },
		{ "192.0.2.7", "192.0.2.7", true },
		{ "192.0.2.7", "192.0.2.6", false },
		{ "0.0.0.0/0", "1.2.3.4", true },
		{ "0.0.0.0/0", "::1", false },
		{ "::1", "::1", true },
		{ "2001:db8::/33", "2001:db8:7fff::1", true },
		{ "2001:db8::/33", "2001:db8:8000::1", false },
		{ "::/0", "fe80::1", true },
	};
	static const char *const bad[] = { "10.0.0.0/33", "::/129",
	    "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "x/8", "" };
	struct netblock block;
	struct netaddr address;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_int_equal(netblock_parse(table[i].block, &block), 0);
		assert_int_equal(netaddr_parse(table[i].address, &address),
		    0);
		assert_int_equal(netblock_contains(&block, &address),
		    table[i].in);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(netblock_parse(bad[i], &block), -1);
}

static void
test_split(void **state)
{
	static const struct {
		const char	*text, *host, *port;	/* host NULL: bad */
	} table[] = {
		{ "25", "", "25" },
		{ ":25", "", "25" },
		{ "mx.test", "mx.test", "" },
		{ "mx.test:25", "mx.test", "25" },
		{ "localhost:submission", "localhost", "submission" },
		{ "127.0.0.1:2525", "127.0.0.1", "2525" },
		{ "[::1]:25", "::1", "25" },
		{ "[::1]", "::1", "" },
		{ "::1", "::1", "" },
		{ "", NULL, NULL },
		{ "mx.test:", NULL, NULL },
		{ "[::1", NULL, NULL },
		{ "[::1]25", NULL, NULL },
		{ "[]:25", NULL, NULL },
		{ "a-host-name-too-long-for-it:25", NULL, NULL },
	};
	char host[16], port[16];
	size_t i;
	int result;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		result = netaddr_split(table[i].text, host, sizeof(host),
		    port, sizeof(port));
		assert_int_equal(result, table[i].host == NULL ? -1 : 0);
		if (result == -1)
			continue;
		assert_string_equal(host, table[i].host);
		assert_string_equal(port, table[i].port);
	}
}

static void
test_sockaddr(void **state)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr none = { .sa_family = AF_UNIX };
	struct netaddr address;
	char text[NETADDR_TEXT];
	uint16_t port;

	(void)state;
	in.sin_port = htons(25);
	in.sin_addr.s_addr = htonl(0x7f000001);
	assert_int_equal(netaddr_from_sockaddr((struct sockaddr *)&in,
	    &address, &port), 0);
	assert_int_equal(port, 25);
	assert_string_equal(netaddr_print(&address, text, sizeof(text)),
	    "127.0.0.1");
	in6.sin6_addr.s6_addr[15] = 1;
	assert_int_equal(netaddr_from_sockaddr((struct sockaddr *)&in6,
	    &address, &port), 0);
	assert_string_equal(netaddr_print(&address, text, sizeof(text)),
	    "::1");
	assert_int_equal(netaddr_from_sockaddr(&none, &address, &port), -1);
	assert_int_equal(address.family, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_print_parse),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_sockaddr),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
