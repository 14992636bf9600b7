/* links: relay/policy.c relay/source.c common/conf.c common/conf_keyword.c
 *	common/conf_lex.c common/conf_parse.c common/conf_value.c
 *	common/target.c common/netaddr.c common/log.c common/queueid.c
 *	common/clock.c */
/*
 * What [relay] sections say: how connections are made, where hosts are, and
 * what -n has against it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clock.h"
#include "relay/relay.h"

#define CONFS	8

static struct {
	struct child	 child;
	struct conf	*confs[CONFS];
	size_t		 conf_count;
	bool		 local;
	const char	*refused;	/* the file of secrets */
	int		 stores;	/* trust stores that were read */
	struct sources	 sources;
} test;

/* ---- what policy.c calls of others ---- */

struct tls_trust *
tls_trust_new(const char *file, const char **why)
{
	if (file != NULL && strcmp(file, "/missing") == 0) {
		*why = "No such file or directory";
		return NULL;
	}
	return (struct tls_trust *)(uintptr_t)++test.stores;
}

void
tls_trust_free(struct tls_trust *trust)
{
	(void)trust;
}

bool
relay_is_local(void)
{
	return test.local;
}

const char *
relay_hostname(void)
{
	return "us.test";
}

const char *
secrets_fault(void)
{
	return test.refused;
}

/* ---- helpers ---- */

/* The lists of calls are read anew; a section's stay. */
static void
forget(const struct policy *policy)
{
	free(policy->tls_names);
	free(policy->auth);
}

static void
configure(const char *text)
{
	forget(policy_of_calls(false));
	forget(policy_of_calls(true));
	/* Policies point into it: the earlier ones stay, too. */
	assert_true(test.conf_count < CONFS);
	test.stores = 0;
	test.child.conf = conf_parse("t.cf", text, strlen(text), stderr);
	test.confs[test.conf_count++] = test.child.conf;
	assert_int_equal(test.child.conf->wrong, 0);
	policy_configure(&test.child);
}

/* The sources of a hop as text: host/address:port[*], exchanges with @. */
static const char *
sources(const char *hop, const char *exchange)
{
	static char text[1024];
	const struct source *source;
	const char *why;
	size_t i, n = 0;

	text[0] = '\0';
	why = sources_read(test.child.conf, hop, exchange, &test.sources);
	for (i = 0; i < test.sources.count && why == NULL; i++) {
		source = &test.sources.list[i];
		n += (size_t)snprintf(text + n, sizeof(text) - n,
		    "%s%s%s%s%s:%u key=%s", i > 0 ? " " : "",
		    source->exchange ? "@" : "", source->host.name,
		    source->host.address[0] != '\0' ? "/" : "",
		    source->host.address, (unsigned)source->host.port,
		    source->key != NULL ? source->key : "-");
	}
	free(test.sources.list);
	return why != NULL ? why : text;
}

static int
wrongs(const char *text, int *lacking)
{
	struct conf *conf = conf_parse("t.cf", text, strlen(text), NULL);
	int wrong;

	assert_int_equal(conf->wrong, 0);
	policy_check(conf);
	wrong = conf->wrong;
	*lacking = conf->lacking;
	conf_free(conf);
	return wrong;
}

/* ---- tests ---- */

static void
knows_defaults(void **state)
{
	const struct policy *p;

	(void)state;
	configure("[relay \"a\"]\n");
	p = policy_find("a");
	assert_non_null(p);
	assert_null(policy_find("b"));
	assert_string_equal(p->section, "a");
	assert_false(p->lmtp);
	assert_int_equal(p->tls, TLS_UNSET);
	assert_int_equal(p->mx, MX_NONE);
	assert_int_equal(p->port, 25);
	assert_false(policy_is_implicit(p, 587));
	assert_true(policy_is_implicit(p, 465));
	assert_int_equal(p->max_connections, 20);
	assert_int_equal(p->max_messages, 100);
	assert_int_equal(p->idle_time, 30 * SECOND);
	assert_string_equal(p->helo_name, "us.test");
	assert_int_equal(p->auth_count, 0);
	assert_false(p->auth_none);
	assert_false(p->private_hosts);
	assert_true(policy_of_calls(true)->lmtp);
	assert_int_equal(policy_of_calls(true)->port, 24);
	assert_false(policy_of_calls(false)->lmtp);
	assert_null(policy_of_calls(false)->section);
	/* The system's certificates are read once for all. */
	assert_int_equal(test.stores, 1);
	assert_ptr_equal(p->trust, policy_of_calls(false)->trust);
}

static void
takes_from_star(void **state)
{
	const struct policy *p;

	(void)state;
	configure("[relay \"*\"]\n tls = required\n auth = plain\n"
	    " tls-names = x y\n max-connections = 3\n mx = name\n"
	    " tls-ca-file = /some\n"
	    "[relay \"own\"]\n tls = verified\n protocol = lmtp\n"
	    " auth = none\n tls-implicit = yes\n address-family = 4-first\n"
	    " port = 2424\n mx = none\n idle-time = 5s\n");
	p = policy_of_calls(false);
	assert_int_equal(p->tls, TLS_REQUIRED);
	assert_int_equal(p->mx, MX_NAME);
	assert_int_equal(p->max_connections, 3);
	assert_int_equal(p->auth_count, 1);
	assert_string_equal(p->auth[0], "PLAIN");
	assert_int_equal(p->tls_name_count, 2);
	assert_string_equal(p->tls_names[1], "y");
	assert_int_equal(p->port, 25);
	p = policy_find("own");
	assert_int_equal(p->tls, TLS_VERIFIED);
	assert_true(p->lmtp);
	assert_true(p->auth_none);
	assert_true(policy_is_implicit(p, 25));
	assert_int_equal(p->family, FAMILY_4_FIRST);
	assert_int_equal(p->port, 2424);
	assert_int_equal(p->mx, MX_NONE);
	assert_int_equal(p->idle_time, 5 * SECOND);
	assert_int_equal(p->tls_name_count, 2);
	assert_null(policy_find("*"));
}

static void
reads_hosts(void **state)
{
	(void)state;
	configure("[relay \"two\"]\n address = 192.0.2.1 b.test:26\n port = 27\n"
	    "[relay \"b\"]\n name = mail.test\n address = 192.0.2.1\n"
	    "[relay \"c.test:2525\"]\n"
	    "[relay \"d\"]\n name = isp.test\n mx = name\n"
	    "[relay \"e\"]\n mx = recipient\n port = 2500\n");
	assert_string_equal(sources("relay(h.test:26, [::1]:27, [k.test])",
	    ""), "h.test:26 key=h.test ::1:27 key=::1 k.test:25 key=k.test");
	assert_string_equal(sources("lmtp(h.test)", ""),
	    "h.test:24 key=h.test");
	assert_string_equal(sources("two", ""),
	    "192.0.2.1:27 key=two b.test:26 key=two");
	assert_string_equal(sources("b", ""),
	    "mail.test/192.0.2.1:25 key=b");
	assert_string_equal(sources("c.test:2525", ""),
	    "c.test:2525 key=c.test:2525");
	assert_string_equal(sources("d", ""), "@isp.test:25 key=d");
	assert_string_equal(sources("e", "x.test"), "@x.test:2500 key=-");
	assert_string_equal(sources("relay()", "x.test"),
	    "@x.test:25 key=-");
	assert_string_equal(sources("relay()", "[192.0.2.7]"),
	    "192.0.2.7:25 key=-");
	assert_string_equal(sources("relay()", "[IPv6:2001:db8::7]"),
	    "2001:db8::7:25 key=-");
	assert_string_equal(sources("relay()", "[bad]"),
	    "the recipient's address literal is malformed");
	assert_string_equal(sources("relay()", ""), "it names no host");
	assert_string_equal(sources("f", ""),
	    "the configuration has no such [relay]");
	assert_string_equal(sources("*", ""),
	    "the configuration has no such [relay]");
	assert_string_equal(sources("local(x)", ""),
	    "it is neither relay(...) nor lmtp(...)");
	assert_string_equal(sources("lmtp(/run/x)", ""),
	    "this relay has no Unix sockets");
}

/* In "*", mx = name makes exchangers of hosts that have no brackets. */
static void
reads_exchangers(void **state)
{
	(void)state;
	configure("[relay \"*\"]\n mx = name\n"
	    "[relay \"x\"]\n address = b.test\n"
	    "[relay \"g.test\"]\n");
	assert_string_equal(sources("relay(h.test, [k.test], 192.0.2.1)", ""),
	    "@h.test:25 key=h.test k.test:25 key=k.test "
	    "192.0.2.1:25 key=192.0.2.1");
	assert_string_equal(sources("lmtp(h.test)", ""),
	    "h.test:24 key=h.test");
	assert_string_equal(sources("x", ""), "b.test:25 key=x");
	assert_string_equal(sources("g.test", ""), "@g.test:25 key=g.test");
}

static void
has_sockets_or_network(void **state)
{
	(void)state;
	test.local = true;
	configure("[relay \"y\"]\n address = b.test\n");
	assert_int_equal(test.stores, 0);
	assert_string_equal(sources("lmtp(/run/x)", ""),
	    "/run/x:24 key=/run/x");
	assert_string_equal(sources("y", ""),
	    "this relay has Unix sockets only");
	test.local = false;
}

/* Where there might be a login, nothing goes without knowing it. */
static void
waits_for_secrets(void **state)
{
	(void)state;
	configure("[relay \"in\"]\n address = b.test\n"
	    "[relay \"out\"]\n address = b.test\n auth = none\n");
	test.refused = "no secrets";
	assert_string_equal(sources("in", ""), "no secrets");
	assert_string_equal(sources("relay(b.test)", ""), "no secrets");
	assert_string_equal(sources("in", "x.test"), "@x.test:25 key=-");
	assert_string_equal(sources("out", ""), "b.test:25 key=out");
	assert_string_equal(sources("relay()", "x.test"),
	    "@x.test:25 key=-");
	test.refused = NULL;
}

static void
checks(void **state)
{
	static const struct {
		const char	*text;
		int		 wrong;
		int		 lacking;
	} cases[] = {
		{ "[relay \"a\"]\n tls = dane\n auth = PLAIN login\n"
		    " rate = 100/1m\n port = 587\n mx = recipient\n", 0, 0 },
		{ "[relay \"a\"]\n tls = maybe\n", 1, 0 },
		{ "[relay \"a\"]\n port = 65536\n", 1, 0 },
		{ "[relay \"a\"]\n port = 0\n", 1, 0 },
		{ "[relay \"a\"]\n auth = GSSAPI\n", 1, 0 },
		{ "[relay \"a\"]\n auth = none PLAIN\n", 1, 0 },
		{ "[relay \"a\"]\n rate = 100\n", 1, 0 },
		{ "[relay \"a\"]\n rate = 0/1m\n", 1, 0 },
		{ "[relay \"a\"]\n rate = 5/x\n", 1, 0 },
		{ "[relay \"a\"]\n address-family = 5\n", 1, 0 },
		{ "[relay \"a\"]\n mx = yes\n", 1, 0 },
		{ "[relay \"a\"]\n protocol = uucp\n", 1, 0 },
		{ "[relay \"a\"]\n max-connections = 0\n", 1, 0 },
		{ "[relay \"a\"]\n max-messages = 0\n", 1, 0 },
		{ "[relay \"a\"]\n max-rcpt-to = 0\n", 1, 0 },
		{ "[relay \"a\"]\n helo-name = \"a b\"\n", 1, 0 },
		{ "[relay \"a\"]\n address = \"b c\"\n", 1, 0 },
		{ "[relay \"a\"]\n address = /run/x\n", 1, 0 },
		{ "[relay \"a\"]\n address = \"b,c\"\n", 1, 0 },
		{ "[relay \"a\"]\n mx = name\n address = b\n", 1, 0 },
		{ "[relay \"a\"]\n mx = name\n protocol = lmtp\n", 1, 0 },
		{ "[relay \"a\"]\n port = 25\n protocol = lmtp\n", 1, 0 },
		{ "[relay \"a\"]\n address = b:25\n protocol = lmtp\n", 1, 0 },
		{ "[relay \"a\"]\n address = b:25\n", 0, 0 },
		{ "[relay \"a b\"]\n", 1, 0 },
		{ "[relay \"*\"]\n name = b\n", 1, 0 },
		{ "[relay \"*\"]\n address = b\n", 1, 0 },
		{ "[relay \"*\"]\n port = 26\n", 1, 0 },
		{ "[relay \"*\"]\n mx = recipient\n", 1, 0 },
		{ "[relay \"*\"]\n mx = name\n tls = required\n", 0, 0 },
		{ "[relay \"a\"]\n tls-ca-file = /missing\n", 0, 1 }
	};
	size_t i;
	int wrong, lacking;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		wrong = wrongs(cases[i].text, &lacking);
		if (wrong != cases[i].wrong || lacking != cases[i].lacking)
			fail_msg("%s: %d wrong, %d lacking", cases[i].text,
			    wrong, lacking);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_defaults),
		cmocka_unit_test(takes_from_star),
		cmocka_unit_test(reads_hosts),
		cmocka_unit_test(reads_exchangers),
		cmocka_unit_test(has_sockets_or_network),
		cmocka_unit_test(waits_for_secrets),
		cmocka_unit_test(checks)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
