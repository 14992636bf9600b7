/* links: common/dns.c common/dns_lookup.c common/dns_parse.c
 *	common/dns_cache.c common/dns_hosts.c common/netaddr.c common/loop.c
 *	common/log.c common/queueid.c common/clock.c */
/*
 * The resolver where it needs no server: addresses, /etc/hosts, giving up;
 * and with a server of our own, which counts.
 */
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
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "dns.h"
#include "loop.h"
#include "unwatched.h"

#define MANY	4000

static struct {
	struct event_base *base;
	enum dns_result	 result;
	struct netaddr	 first;
	char		 name[DNS_NAME];
	char		 reason[64];
	size_t		 count;
	int64_t		 lifetime;
	bool		 secure;
	int		 answers;
	int		 server;	/* its socket */
	struct event	*event;
	int		 queries;
	int		 plain;		/* of them, without EDNS */
	int		 faults;	/* FORMERR for so many */
	int		 rcode;		/* then this */
	uint8_t		 flags;		/* the fourth octet of the last */
} test;

/* ---- the server: answers MX with "5 mx.<name>", else nothing ---- */

static void
on_query(int fd, short events, void *arg)
{
	static const uint8_t record[] = {
		0xc0, 12, 0, 15, 0, 1, 0, 0, 0, 120, 0, 7, 0, 5, 2, 'M', 'x',
		0xc0, 12
	};
	uint8_t packet[512 + sizeof(record)];
	struct sockaddr_in from;
	socklen_t length = sizeof(from);
	ssize_t n;
	size_t end;

	(void)events;
	(void)arg;
	n = recvfrom(fd, packet, 512, 0, (struct sockaddr *)&from, &length);
	assert_true(n > 12);
	for (end = 12; packet[end] != 0; end += packet[end] + 1u)
		assert_true(end < (size_t)n);
	end += 5;
	test.queries++;
	test.flags = packet[3];
	if (packet[11] == 0)
		test.plain++;
	packet[2] = 0x81;
	packet[3] = (uint8_t)(0x80 | (packet[3] & 0x20) |
	    (test.faults > 0 ? 1 : test.rcode));
	memset(packet + 6, 0, 6);
	if (test.faults > 0)
		test.faults--;
	else if (test.rcode == 0 && packet[end - 3] == 15) {
		packet[7] = 1;
		memcpy(packet + end, record, sizeof(record));
		end += sizeof(record);
	}
	sendto(fd, packet, end, 0, (struct sockaddr *)&from, length);
}

static void
start_server(char *text, size_t size)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t length = sizeof(in);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	test.server = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(test.server, (struct sockaddr *)&in,
	    sizeof(in)), 0);
	assert_int_equal(getsockname(test.server, (struct sockaddr *)&in,
	    &length), 0);
	test.event = event_new(test.base, test.server, EV_READ | EV_PERSIST,
	    on_query, NULL);
	event_add(test.event, NULL);
	snprintf(text, size, "127.0.0.1:%d", ntohs(in.sin_port));
}

/* ---- asking ---- */

static void
on_answer(const struct dns_answer *answer, void *arg)
{
	assert_ptr_equal(arg, &test);
	test.result = answer->result;
	test.count = answer->count;
	test.lifetime = answer->lifetime;
	test.secure = answer->secure;
	test.reason[0] = test.name[0] = '\0';
	if (answer->reason != NULL)
		strlcpy(test.reason, answer->reason, sizeof(test.reason));
	if (answer->addresses != NULL)
		test.first = answer->addresses[0];
	if (answer->exchanges != NULL)
		strlcpy(test.name, answer->exchanges[0].name,
		    sizeof(test.name));
	test.answers++;
}

static void
wait_answers(int count)
{
	assert_int_equal(test.answers, 0);
	while (test.answers < count)
		event_base_loop(test.base, EVLOOP_ONCE);
	event_base_loop(test.base, EVLOOP_NONBLOCK);
	assert_int_equal(test.answers, count);
}

static void
look_up(const char *name)
{
	test.answers = 0;
	assert_non_null(dns_addresses(name, on_answer, &test));
	wait_answers(1);
}

static void
ask_mx(const char *name)
{
	test.answers = test.queries = test.plain = 0;
	assert_non_null(dns_exchanges(name, on_answer, &test));
	wait_answers(1);
}

static void
answers_addresses(void **state)
{
	char text[NETADDR_TEXT];

	(void)state;
	look_up("127.0.0.9");
	assert_int_equal(test.result, DNS_OK);
	assert_int_equal(test.count, 1);
	assert_false(test.secure);
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
	assert_false(test.secure);
}

static void
knows_what_is_no_name(void **state)
{
	static const char *const names[] = {
		"", ".", "a..b", "a b", ".a", "a\\b", "\303\274.example",
		"1234567890123456789012345678901234567890123456789012345678901234"
	};
	size_t i;

	(void)state;
	test.queries = 0;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		look_up(names[i]);
		assert_int_equal(test.result, DNS_NO_NAME);
		assert_int_equal(test.count, 0);
	}
	assert_int_equal(test.queries, 0);
}

static void
forgets_the_cancelled(void **state)
{
	struct dns_lookup *lookup;

	(void)state;
	test.answers = 0;
	lookup = dns_addresses("127.0.0.1", on_answer, &test);
	dns_cancel(lookup);
	dns_cancel(NULL);
	event_base_loop(test.base, EVLOOP_NONBLOCK);
	assert_int_equal(test.answers, 0);
}

/* Twice, so that the second time nothing is asked. */
static void
keeps_answers(void **state)
{
	(void)state;
	ask_mx("Kept.Example.");
	assert_int_equal(test.queries, 1);
	assert_int_equal(test.result, DNS_OK);
	assert_string_equal(test.name, "mx.kept.example");
	assert_true(test.secure);
	assert_int_equal(test.flags & 0x20, 0x20);
	assert_true(test.lifetime > 119 * SECOND);
	assert_true(test.lifetime <= 120 * SECOND);
	ask_mx("kept.example");
	assert_int_equal(test.queries, 0);
	assert_string_equal(test.name, "mx.kept.example");
}

static void
asks_once_for_many(void **state)
{
	struct dns_lookup *some = NULL;
	int i;

	(void)state;
	test.answers = test.queries = 0;
	for (i = 0; i < MANY; i++)
		some = dns_exchanges(i % 2 ? "many.example" : "MANY.example",
		    on_answer, &test);
	dns_cancel(some);
	wait_answers(MANY - 1);
	assert_int_equal(test.queries, 1);
}

/* More than are asked at one time: each gets its turn. */
static void
asks_much(void **state)
{
	char name[32];
	int i;

	(void)state;
	test.answers = test.queries = 0;
	for (i = 0; i < 2500; i++) {
		snprintf(name, sizeof(name), "%d.much.example", i);
		dns_exchanges(name, on_answer, &test);
	}
	wait_answers(2500);
	assert_int_equal(test.queries, 2500);
}

static void
does_without_edns(void **state)
{
	(void)state;
	test.faults = 1;
	ask_mx("old.example");
	assert_int_equal(test.result, DNS_OK);
	assert_true(test.plain >= 1);
	test.faults = 0;
}

static void
tells_failures(void **state)
{
	(void)state;
	test.rcode = 2;
	ask_mx("broken.example");
	assert_int_equal(test.result, DNS_FAILED);
	assert_string_equal(test.reason, "the resolver answers SERVFAIL");
	assert_false(test.secure);
	assert_int_equal(test.lifetime, 0);
	test.rcode = 5;
	ask_mx("broken.example");
	assert_string_equal(test.reason, "the resolver refuses to answer");
	test.rcode = 3;
	ask_mx("broken.example");
	assert_int_equal(test.result, DNS_NO_NAME);
	assert_true(test.secure);
	test.rcode = 0;
	look_up("nothing.example");
	assert_int_equal(test.result, DNS_NONE);
	assert_true(test.lifetime > 50 * SECOND);
	assert_true(test.lifetime <= MINUTE);
}

/* The last: there is no server any more. */
static void
tells_silence(void **state)
{
	(void)state;
	event_free(test.event);
	close(test.server);
	ask_mx("gone.example");
	assert_int_equal(test.result, DNS_FAILED);
	assert_string_equal(test.reason, "the resolver cannot be reached");
	ask_mx("kept.example");
	assert_int_equal(test.result, DNS_OK);
}

/* A socket that cannot be watched yet is watched later. */
static void
waits_for_memory(void **state)
{
	(void)state;
	unwatched = 1;
	ask_mx("patience.example");
	assert_int_equal(test.result, DNS_OK);
	assert_int_equal(test.queries, 1);
	assert_int_equal(unwatched, 0);
}

static int
setup(void **state)
{
	struct dns_settings settings = { NULL, false, false };
	char server[32];

	(void)state;
	test.base = loop_new();
	start_server(server, sizeof(server));
	settings.servers = server;
	dns_open(test.base, &settings);
	assert_true(dns_is_trusted());
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_addresses),
		cmocka_unit_test(reads_hosts),
		cmocka_unit_test(knows_what_is_no_name),
		cmocka_unit_test(forgets_the_cancelled),
		cmocka_unit_test(keeps_answers),
		cmocka_unit_test(asks_once_for_many),
		cmocka_unit_test(asks_much),
		cmocka_unit_test(waits_for_memory),
		cmocka_unit_test(does_without_edns),
		cmocka_unit_test(tells_failures),
		cmocka_unit_test(tells_silence)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, NULL);
}
