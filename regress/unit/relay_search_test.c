/* links: regress/unit/relay_around.c relay/hop.c relay/seen.c
 * relay/search.c relay/scout.c relay/transcript.c relay/endpoint.c
 * relay/source.c relay/policy.c relay/transaction.c relay/reply.c
 * relay/command.c common/loop.c common/conf.c common/conf_keyword.c
 * common/conf_lex.c common/conf_parse.c common/conf_value.c common/target.c
 * common/netaddr.c common/log.c common/queueid.c common/clock.c */
/*
 * From a next hop to a conversation: which hosts and addresses are tried in
 * which order, and what is remembered of those that fail.
 */
#include <sys/resource.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clock.h"
#include "loop.h"
#include "regress/unit/relay_around.h"
#include "unwatched.h"

static struct {
	char		 text[2048];
	struct scout	*scout;
} seen;

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
	if (seen.text[0] != '\0')
		strlcat(seen.text, " ", sizeof(seen.text));
	strlcat(seen.text, line, sizeof(seen.text));
	scout_next(seen.scout);
}

static const char *
sightings(const char *text, const char *exchange)
{
	const char *why;
	struct hop *hop = hop_find(text, exchange, "", &why);

	assert_null(why);
	seen.text[0] = '\0';
	seen.scout = scout_new(hop, on_sighting, NULL);
	scout_next(seen.scout);
	loop_run(test.child.base);
	test.lifetime = scout_lifetime(seen.scout);
	scout_free(seen.scout);
	return seen.text;
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

/* We have no descriptor left: that is our trouble, and closes no host. */
static void
blames_nobody_for_its_own_trouble(void **state)
{
	struct rlimit limit, before;

	(void)state;
	forget();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	limit.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	deliver("required", "1-spare.test");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(test.result.verdict, RELAY_DEFERRED);
	assert_string_equal(test.result.status, "4.3.0");
	assert_string_equal(test.trail, "");
	deliver("required", "1-spare.test+2-a.test");
	assert_int_equal(test.result.verdict, RELAY_DONE);
	assert_string_equal(test.trail, "spare.test");
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
		cmocka_unit_test(blames_nobody_for_its_own_trouble),
		cmocka_unit_test(prints_its_state),
		cmocka_unit_test(around_ends)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, around_setup, NULL);
}
