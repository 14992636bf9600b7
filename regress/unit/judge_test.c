/* links: regress/unit/route_world.c policyd/walk.c policyd/walk_address.c
 * policyd/walk_name.c policyd/members.c policyd/decide.c policyd/route.c
 * policyd/judge.c policyd/explain.c policyd/lines.c policyd/settings.c
 * common/conf.c common/conf_keyword.c common/conf_lex.c common/conf_parse.c
 * common/conf_value.c common/conf_print.c common/target.c common/address.c
 * common/aliases.c common/log.c common/netaddr.c common/queueid.c
 * common/clock.c */
/*
 * Who may send to whom: what RCPT is answered, and that strangers relay
 * nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "regress/unit/route_world.h"

static uint32_t
verdict(enum standing standing, const char *listener, const char *recipient,
    struct w_rcpt_check_ans *answer)
{
	struct w_client client = { .standing = (uint8_t)standing };
	struct decision decision;

	strcpy(client.listener, listener);
	memset(answer, 0, sizeof(*answer));
	judge_rcpt(&world, fake.settings, &client, recipient, answer,
	    &decision);
	return answer->verdict;
}

static void
test_rcpt(void **state)
{
	static const struct {
		const char	*recipient;
		enum rcpt_verdict stranger;
		enum rcpt_verdict trusted;
	} cases[] = {
		{ "joe@home.test", RCPT_ACCEPT, RCPT_ACCEPT },
		{ "nobody-here@home.test", RCPT_UNKNOWN_USER,
		    RCPT_UNKNOWN_USER },
		{ "postmaster@home.test", RCPT_ACCEPT, RCPT_ACCEPT },
		{ "postmaster", RCPT_ACCEPT, RCPT_ACCEPT },
		{ "joe", RCPT_BAD_ADDRESS, RCPT_BAD_ADDRESS },
		{ "x@hub.test", RCPT_ACCEPT, RCPT_ACCEPT },
		{ "x@by-mx.test", RCPT_ACCEPT, RCPT_ACCEPT },
		{ "x@away.test", RCPT_RELAYING_DENIED, RCPT_ACCEPT },
		{ "other@listed.test", RCPT_UNKNOWN_USER, RCPT_ACCEPT },
		{ "only@listed.test", RCPT_ACCEPT, RCPT_ACCEPT },
		/* What a line leads to is the administrator's wish. */
		{ "many@listed.test", RCPT_ACCEPT, RCPT_ACCEPT },
		{ "half@listed.test", RCPT_UNKNOWN_USER, RCPT_UNKNOWN_USER },
		{ "no@listed.test", RCPT_REFUSED, RCPT_REFUSED },
		{ "worse@listed.test", RCPT_REFUSED, RCPT_REFUSED },
		{ "sink@listed.test", RCPT_ACCEPT, RCPT_ACCEPT },
		{ "a@loop.test", RCPT_MISCONFIGURED, RCPT_MISCONFIGURED },
		{ "c@loop.test", RCPT_MISCONFIGURED, RCPT_MISCONFIGURED },
		{ "unsure@home.test", RCPT_LOOKUP_FAILED,
		    RCPT_LOOKUP_FAILED },
		/* Aliases are judged from the queue. */
		{ "staff@home.test", RCPT_ACCEPT, RCPT_ACCEPT },
		{ "nobody-solo@home.test", RCPT_ACCEPT, RCPT_ACCEPT },
		/* System accounts are closed to strangers. */
		{ "root@home.test", RCPT_ACCEPT, RCPT_ACCEPT },
		{ "daemon@home.test", RCPT_UNKNOWN_USER, RCPT_ACCEPT },
		{ "mail@home.test", RCPT_UNKNOWN_USER, RCPT_ACCEPT },
		{ "nobody@home.test", RCPT_UNKNOWN_USER, RCPT_ACCEPT },
		{ "hostmaster@home.test", RCPT_ACCEPT, RCPT_ACCEPT },
		/* A line for all of a domain does not open them. */
		{ "daemon@virtual.test", RCPT_UNKNOWN_USER, RCPT_ACCEPT },
		{ "daemon@shop.test", RCPT_UNKNOWN_USER, RCPT_ACCEPT },
		{ "root@virtual.test", RCPT_ACCEPT, RCPT_ACCEPT },
		{ "postmaster@shop.test", RCPT_ACCEPT, RCPT_ACCEPT },
		{ "mail@virtual.test", RCPT_ACCEPT, RCPT_ACCEPT },
		/* Crooked local parts, unless a line names them. */
		{ "joe%home.test@home.test", RCPT_BAD_ADDRESS,
		    RCPT_UNKNOWN_USER },
		{ "joe%away.test@listed.test", RCPT_ACCEPT, RCPT_ACCEPT },
		{ "joe%away.test+x@listed.test", RCPT_ACCEPT, RCPT_ACCEPT },
		{ "only+x@listed.test", RCPT_ACCEPT, RCPT_ACCEPT },
		{ "only+joe%away.test@listed.test", RCPT_BAD_ADDRESS,
		    RCPT_ACCEPT },
		{ "\"joe:x\"@home.test", RCPT_BAD_ADDRESS,
		    RCPT_UNKNOWN_USER },
		{ "\"-joe\"@home.test", RCPT_BAD_ADDRESS, RCPT_UNKNOWN_USER },
		{ "|joe@home.test", RCPT_BAD_ADDRESS, RCPT_UNKNOWN_USER },
		{ "/etc/x@home.test", RCPT_BAD_ADDRESS, RCPT_UNKNOWN_USER },
		/* No user is no reason to take @ or @domain for theirs. */
		{ "\"\"@home.test", RCPT_BAD_ADDRESS, RCPT_UNKNOWN_USER },
		{ "\"\"@hub.test", RCPT_BAD_ADDRESS, RCPT_ACCEPT }
	};
	struct w_rcpt_check_ans answer;
	size_t i;
	uint32_t got;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		got = verdict(STANDING_STRANGER, "outside",
		    cases[i].recipient, &answer);
		if (got != cases[i].stranger)
			fail_msg("%s from a stranger: %u", cases[i].recipient,
			    (unsigned int)got);
		got = verdict(STANDING_TRUSTED, "outside",
		    cases[i].recipient, &answer);
		if (got != cases[i].trusted)
			fail_msg("%s from a trusted client: %u",
			    cases[i].recipient, (unsigned int)got);
	}
}

static void
test_refusal_text(void **state)
{
	struct w_rcpt_check_ans answer;

	(void)state;
	assert_int_equal(verdict(STANDING_STRANGER, "", "later@listed.test",
	    &answer), RCPT_REFUSED);
	assert_int_equal(answer.code, 451);
	assert_string_equal(answer.text, "4.7.1 come back");
	/* It stands in a reply: nothing but what may stand there. */
	assert_int_equal(verdict(STANDING_STRANGER, "", "eight@listed.test",
	    &answer), RCPT_REFUSED);
	assert_string_equal(answer.text, "5.7.1 na??ve");
}

/* Who is known by more than his address may go out. */
static void
test_standings(void **state)
{
	struct w_rcpt_check_ans answer;

	(void)state;
	assert_int_equal(verdict(STANDING_LOGIN, "outside", "x@away.test",
	    &answer), RCPT_ACCEPT);
	assert_int_equal(verdict(STANDING_LOCAL, "", "x@away.test",
	    &answer), RCPT_ACCEPT);
	assert_int_equal(verdict(0, "outside", "x@away.test", &answer),
	    RCPT_RELAYING_DENIED);
}

/* Without any alias, root and postmaster take strangers' mail even so. */
static void
test_no_aliases(void **state)
{
	struct w_rcpt_check_ans answer;

	(void)state;
	fake.no_aliases = true;
	assert_int_equal(verdict(STANDING_STRANGER, "outside",
	    "root@home.test", &answer), RCPT_ACCEPT);
	assert_int_equal(verdict(STANDING_STRANGER, "outside",
	    "postmaster@home.test", &answer), RCPT_ACCEPT);
	assert_int_equal(verdict(STANDING_STRANGER, "outside",
	    "daemon@home.test", &answer), RCPT_UNKNOWN_USER);
	fake.no_aliases = false;
}

static void
test_bare_names(void **state)
{
	struct w_rcpt_check_ans answer;

	(void)state;
	assert_int_equal(verdict(STANDING_TRUSTED, "inside", "joe", &answer),
	    RCPT_ACCEPT);
	assert_int_equal(verdict(STANDING_STRANGER, "inside", "joe", &answer),
	    RCPT_BAD_ADDRESS);
	assert_int_equal(verdict(STANDING_LOCAL, "", "joe", &answer),
	    RCPT_ACCEPT);
	/* A table that is missing is no answer, for strangers neither. */
	assert_int_equal(verdict(STANDING_STRANGER, "broken",
	    "joe@home.test", &answer), RCPT_LOOKUP_FAILED);
}

/* The addresses that relay tests have tried for decades. */
static void
test_no_relay(void **state)
{
	static const char *const recipients[] = {
		"victim@away.test",
		"victim",
		"\"victim@away.test\"",
		"\"victim%away.test\"",
		"victim%away.test",
		"victim%away.test@home.test",
		"victim%away.test@mx.home.test",
		"victim%away.test@[127.0.0.1]",
		"victim%away.test@localhost",
		"\"victim@away.test\"@home.test",
		"\"victim@away.test\"@mx.home.test",
		"\"victim@away.test\"@[127.0.0.1]",
		"\"victim%away.test\"@home.test",
		"\"victim%away.test\"@[127.0.0.1]",
		"victim@away.test@home.test",
		"victim@away.test@[127.0.0.1]",
		"@home.test:victim@away.test",
		"@[127.0.0.1]:victim@away.test",
		"away.test!victim",
		"away.test!victim@home.test",
		"away.test!victim@[127.0.0.1]",
		"\"away.test!victim\"@home.test",
		"home.test!victim%away.test@home.test",
		"victim@[10.9.8.7]"
	};
	struct w_rcpt_check_ans answer;
	size_t i;

	(void)state;
	assert_int_equal(sizeof(recipients) / sizeof(recipients[0]), 24);
	for (i = 0; i < sizeof(recipients) / sizeof(recipients[0]); i++)
		if (verdict(STANDING_STRANGER, "outside", recipients[i],
		    &answer) == RCPT_ACCEPT)
			fail_msg("%s was accepted", recipients[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rcpt),
		cmocka_unit_test(test_refusal_text),
		cmocka_unit_test(test_standings),
		cmocka_unit_test(test_no_aliases),
		cmocka_unit_test(test_bare_names),
		cmocka_unit_test(test_no_relay)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_world, drop_world);
}
