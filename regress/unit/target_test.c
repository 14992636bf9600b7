/* links: common/target.c */
/*
 * Targets: told by their form, printed canonically, numbered, hosts walked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "target.h"

struct expected {
	const char		*in;
	enum target_kind	 kind;
	enum target_call	 call;
	const char		*text;		/* NULL: refused */
	const char		*argument;
};

static void
check(const struct expected *expected, size_t count,
    int (*parse)(const char *, struct target *, const char **))
{
	struct target target;
	const char *why = NULL;
	size_t i;

	for (i = 0; i < count; i++) {
		if (expected[i].text == NULL) {
			assert_int_equal(parse(expected[i].in, &target, &why),
			    -1);
			assert_non_null(why);
			continue;
		}
		if (parse(expected[i].in, &target, &why) == -1)
			fail_msg("%s: %s", expected[i].in, why);
		assert_int_equal(target.kind, expected[i].kind);
		assert_int_equal(target.call, expected[i].call);
		assert_string_equal(target.text, expected[i].text);
		if (expected[i].argument != NULL)
			assert_string_equal(target.argument,
			    expected[i].argument);
		target_free(&target);
	}
}

static void
test_routes(void **state)
{
	static const struct expected expected[] = {
		{ "joe", TARGET_WORD, CALL_NONE, "joe", NULL },
		{ "mx.example.net", TARGET_WORD, CALL_NONE, "mx.example.net",
		    NULL },
		{ "joe@x", TARGET_ADDRESS, CALL_NONE, "joe@x", NULL },
		{ "\"a @b\"@x", TARGET_ADDRESS, CALL_NONE, "\"a @b\"@x",
		    NULL },
		{ "@x", TARGET_DOMAIN, CALL_NONE, "@x", NULL },
		{ "local()", TARGET_CALL, CALL_LOCAL, "local()", "" },
		{ "LOCAL( joe.doe )", TARGET_CALL, CALL_LOCAL,
		    "local(joe.doe)", "joe.doe" },
		{ "maildir(/a b/c)", TARGET_CALL, CALL_MAILDIR,
		    "maildir(/a b/c)", "/a b/c" },
		{ "maildir(\"/a b\")", TARGET_CALL, CALL_MAILDIR,
		    "maildir(/a b)", "/a b" },
		{ "mbox(~/mail)", TARGET_CALL, CALL_MBOX, "mbox(~/mail)",
		    "~/mail" },
		{ "pipe( /bin/cat \"x y\" > /dev/null )", TARGET_CALL,
		    CALL_PIPE, "pipe(/bin/cat \"x y\" > /dev/null)", NULL },
		{ "pipe(\"/bin/a b\")", TARGET_CALL, CALL_PIPE,
		    "pipe(\"/bin/a b\")", "\"/bin/a b\"" },
		{ "relay()", TARGET_CALL, CALL_RELAY, "relay()", "" },
		{ "relay(a:25,b ,  [::1]:26,::1)", TARGET_CALL, CALL_RELAY,
		    "relay(a:25, b, [::1]:26, ::1)", NULL },
		{ "lmtp(h:24)", TARGET_CALL, CALL_LMTP, "lmtp(h:24)", NULL },
		{ "lmtp(/run/l)", TARGET_CALL, CALL_LMTP, "lmtp(/run/l)",
		    NULL },
		{ "reject(550 5.1.1 no (really))", TARGET_CALL, CALL_REJECT,
		    "reject(550 5.1.1 no (really))", NULL },
		{ "reject()", TARGET_CALL, CALL_REJECT, "reject()", "" },
		{ "discard()", TARGET_CALL, CALL_DISCARD, "discard()", "" },
		{ "", 0, 0, NULL, NULL },
		{ "joe@", 0, 0, NULL, NULL },
		{ "rely(x)", 0, 0, NULL, NULL },
		{ "|/bin/cat", 0, 0, NULL, NULL },
		{ "/var/mail/joe", 0, 0, NULL, NULL },
		{ "maildir()", 0, 0, NULL, NULL },
		{ "maildir(mail)", 0, 0, NULL, NULL },
		{ "pipe()", 0, 0, NULL, NULL },
		{ "lmtp()", 0, 0, NULL, NULL },
		{ "lmtp(h:25)", 0, 0, NULL, NULL },
		{ "discard(x)", 0, 0, NULL, NULL },
		{ "reject(250 fine)", 0, 0, NULL, NULL },
		{ "reject(5505 x)", 0, 0, NULL, NULL },
		{ "relay(a,)", 0, 0, NULL, NULL },
		{ "relay(,a)", 0, 0, NULL, NULL },
		{ "relay(a:0)", 0, 0, NULL, NULL },
		{ "relay(a:65536)", 0, 0, NULL, NULL },
		{ "relay(a:smtp)", 0, 0, NULL, NULL },
		{ "relay([::1)", 0, 0, NULL, NULL },
		{ "relay([::1]25)", 0, 0, NULL, NULL },
		{ "relay(a b)", 0, 0, NULL, NULL },
		{ "relay(a)x", 0, 0, NULL, NULL }
	};

	(void)state;
	check(expected, sizeof(expected) / sizeof(expected[0]), target_parse);
}

static void
test_members(void **state)
{
	static const struct expected expected[] = {
		{ "joe", TARGET_WORD, CALL_NONE, "joe", NULL },
		{ " joe@x ", TARGET_ADDRESS, CALL_NONE, "joe@x", NULL },
		{ "|/bin/cat -n", TARGET_PROGRAM, CALL_NONE, "|/bin/cat -n",
		    "/bin/cat -n" },
		{ "\"|cat \\\"a\\\" \\$x\"", TARGET_PROGRAM, CALL_NONE,
		    "|cat \"a\" \\$x", "cat \"a\" \\$x" },
		{ "|\"cat x\"", TARGET_PROGRAM, CALL_NONE, "|cat x",
		    "cat x" },
		{ "/var/mail/x", TARGET_FILE, CALL_NONE, "/var/mail/x",
		    "/var/mail/x" },
		{ "\"/a b\"", TARGET_FILE, CALL_NONE, "/a b", "/a b" },
		{ ":include:/etc/l", TARGET_INCLUDE, CALL_NONE,
		    ":include:/etc/l", "/etc/l" },
		{ ":Include: /etc/l", TARGET_INCLUDE, CALL_NONE,
		    ":include:/etc/l", "/etc/l" },
		{ "\\joe", TARGET_MAILBOX, CALL_NONE, "\\joe", "joe" },
		{ "\"\\joe\"", TARGET_MAILBOX, CALL_NONE, "\\joe", "joe" },
		{ "\"joe doe\"@x", TARGET_ADDRESS, CALL_NONE, "\"joe doe\"@x",
		    NULL },
		{ "", 0, 0, NULL, NULL },
		{ "|", 0, 0, NULL, NULL },
		{ "\\", 0, 0, NULL, NULL },
		{ ":include:list", 0, 0, NULL, NULL },
		{ ":include:", 0, 0, NULL, NULL }
	};

	(void)state;
	check(expected, sizeof(expected) / sizeof(expected[0]),
	    target_parse_member);
}

static void
test_hosts(void **state)
{
	static const struct {
		const char	*host;
		uint16_t	 port;
		bool		 bracketed;
	} expected[] = {
		{ "a.b", 587, false }, { "::1", 26, true },
		{ "2001:db8::1", 0, false }, { "10.0.0.1", 0, false },
		{ "mail.c.d", 0, true }, { "e.f", 25, true }
	};
	const char *rest = "a.b:587 , [::1]:26, 2001:db8::1,10.0.0.1, "
	    "[mail.c.d],[e.f]:25", *small_rest = "10.0.0.1";
	char host[64], small[3];
	uint16_t port;
	bool bracketed;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		assert_int_equal(target_next_host(&rest, host, sizeof(host),
		    &port, &bracketed), 1);
		assert_string_equal(host, expected[i].host);
		assert_int_equal(port, expected[i].port);
		assert_int_equal(bracketed, expected[i].bracketed);
	}
	assert_int_equal(target_next_host(&rest, host, sizeof(host), &port,
	    &bracketed), 0);
	assert_int_equal(target_next_host(&small_rest, small, sizeof(small),
	    &port, &bracketed), -1);
}

static void
test_numbers(void **state)
{
	(void)state;
	assert_int_equal(target_number(""), 2166136261U);
	assert_int_equal(target_number("a"), 0xe40c292cU);
	assert_int_not_equal(target_number("[pipe] a"),
	    target_number("[pipe] b"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_numbers)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
