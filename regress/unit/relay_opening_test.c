/* links: relay/conversation.c relay/opening.c relay/envelope.c
 *	relay/login.c relay/transcript.c relay/reply.c relay/body.c
 *	relay/command.c relay/transaction.c common/log.c common/clock.c
 *	common/queueid.c */
/*
 * How conversations begin: greetings, TLS as it is wanted, logins.
 */
#include "relay_played.h"

/* ---- greetings and TLS ---- */

static void
softens_a_greeting(void **state)
{
	static const char *const script[] = { ">554 5.7.1 go away", ".",
	    NULL };

	(void)state;
	begin();
	connect_with(false);
	play(script);
	expect_refused(STAGE_GREETING, "4.3.0", "554 5.7.1 go away");
	assert_true(test.fault.replied);
	finish();
	/* Whoever says that is no server of mail. */
	begin();
	connect_with(false);
	play((const char *const []){ ">250 hi", ".", NULL });
	expect_refused(STAGE_GREETING, "4.3.0", "250 hi");
	finish();
}

static void
goes_on_under_tls(void **state)
{
	static const char *const script[] = { OFFERED, ">220 Go", "S",
	    "<EHLO me.test", ">250 srv", SENT(0), ">250 Ok", NULL };
	char name[] = "mx.test", *names[] = { name };

	(void)state;
	begin();
	test.security.level = TLS_VERIFIED;
	test.security.names = names;
	test.security.name_count = 1;
	submit(0, 1, "x");
	connect_with(false);
	play(script);	/* what was offered before is forgotten */
	assert_int_equal(test.stream->want.proof, TLS_NAMED);
	assert_string_equal(test.stream->want.host, "mx.test");
	assert_string_equal(test.stream->want.peer, "key");
	assert_int_equal(test.stream->want.name_count, 1);
	assert_string_equal(test.answer.tls, "TLSv1.9 TEST verified");
	finish();
}

static void
wants_the_proof_of_its_level(void **state)
{
	static const char *const script[] = { OFFERED, ">220 Go", NULL };
	static const struct {
		enum tls_level	 level;
		enum tls_proof	 proof;
	} cases[] = {
		{ TLS_OPPORTUNISTIC, TLS_ANYBODY },
		{ TLS_REQUIRED, TLS_ANYBODY },
		{ TLS_VERIFIED, TLS_NAMED },
		{ TLS_DANE, TLS_DANE_RECORDS }
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin();
		test.security.level = cases[i].level;
		connect_with(false);
		play(script);
		assert_int_equal(test.stream->want.proof, cases[i].proof);
		test.stream->ops->lost("the certificate is of x.test", true,
		    test.stream->arg);
		expect_refused(STAGE_TLS, "4.7.5", HOST ": TLS handshake: "
		    "the certificate is of x.test");
		finish();
	}
}

static void
begins_with_tls(void **state)
{
	static const char *const script[] = { "S", ">220 hi",
	    "<EHLO me.test", ">250-srv", ">250 STARTTLS", NULL };

	(void)state;
	begin();
	test.implicit = true;
	connect_with(false);
	play(script);
	assert_int_equal(test.ready, 1);
	finish();
}

static void
demands_starttls(void **state)
{
	static const char *const none[] = { PLAIN, ".", NULL };
	static const char *const refused[] = { OFFERED,
	    ">454 4.7.0 Not now", ".", NULL };
	static const struct {
		enum tls_level	 level, set;
		const char	*who;
	} cases[] = {
		{ TLS_REQUIRED, TLS_REQUIRED, "tls = required demands" },
		{ TLS_VERIFIED, TLS_VERIFIED, "tls = verified demands" },
		{ TLS_VERIFIED, TLS_UNSET, "a login demands" },
		{ TLS_DANE, TLS_DANE, "tls = dane demands" },
		{ TLS_DANE, TLS_UNSET, "TLSA records of its DNS demands" }
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin();
		test.security.level = cases[i].level;
		test.policy.tls = cases[i].set;
		submit(0, 1, "x");
		connect_with(false);
		play(none);
		expect_refused(STAGE_TLS, "4.7.4",
		    "host does not offer STARTTLS, which ");
		assert_non_null(strstr(test.fault.text, cases[i].who));
		connect_with(false);
		test.refused = 0;
		play(refused);
		expect_refused(STAGE_TLS, "4.7.4", "454 4.7.0 Not now");
		connect_with(true);
		test.refused = 0;
		play(none);
		expect_refused(STAGE_TLS, "4.7.4", cases[i].who);
		assert_int_equal(test.answered, 0);
		finish();
	}
}

static void
goes_in_clear_where_it_may(void **state)
{
	static const char *const none[] = { PLAIN, NULL };
	static const char *const refused[] = { OFFERED,
	    ">454 4.7.0 Not now", NULL };
	static const char *const never[] = { GREETED, ">250-srv",
	    ">250 STARTTLS", NULL };

	(void)state;
	begin();
	connect_with(false);
	play(none);
	assert_int_equal(test.ready, 1);
	finish();
	begin();
	connect_with(false);
	play(refused);
	assert_int_equal(test.ready, 1);
	finish();
	begin();
	test.security.level = TLS_NONE;
	connect_with(false);
	play(never);
	assert_int_equal(test.ready, 1);
	finish();
	begin();
	connect_with(true);
	play(never);
	assert_int_equal(test.ready, 1);
	finish();
}

static void
hears_nothing_injected_before_tls(void **state)
{
	static const char *const script[] = { OFFERED,
	    ">220 Go\r\n250 injected", ".", NULL };
	static const char *const part[] = { OFFERED, ">220 Go\r\n2", ".",
	    NULL };

	(void)state;
	begin();
	connect_with(false);
	play(script);
	expect_refused(STAGE_TLS, "4.5.0", "said more than it was asked");
	finish();
	begin();
	connect_with(false);
	play(part);
	expect_refused(STAGE_TLS, "4.5.0", "said more than it was asked");
	finish();
}

/* ---- logins ---- */

static void
logs_in(void **state)
{
	static const char *const script[] = { ASKED, ">334 bW9yZQ==",
	    "<c2VjcmV0LW1vcmU=", ">235 2.7.0 Hello", SENT(0), ">250 Ok",
	    NULL };

	(void)state;
	connect_with_login(true);
	play(script);
	expect(0, RELAY_DONE, STAGE_MESSAGE, "2.0.0", "250 Ok");
	fflush(test.script_file);
	assert_non_null(strstr(test.script, "\n>>> AUTH TEST ***\n"));
	assert_non_null(strstr(test.script, "\n<<< 334 ***\n>>> ***\n"));
	assert_non_null(strstr(test.script, "=== TLS: TLSv1.9 TEST"));
	assert_null(strstr(test.script, "c2Vj"));
	finish();
}

static void
sends_no_mail_without_its_login(void **state)
{
	static const char *const refused[] = { ASKED,
	    ">535 5.7.8 No: c2VjcmV0LWZpcnN0, secret-word?", ".", NULL };
	static const char *const none[] = { SECURED, ">250 srv", ".", NULL };
	static const char *const broken[] = { ASKED, ">334 eHh4", ".",
	    NULL };
	static const char *const liar[] = { ASKED, ">235 2.7.0 Fine", ".",
	    NULL };
	static const char *const clear[] = { GREETED, ">250-srv",
	    ">250 AUTH TEST", ".", NULL };

	(void)state;
	connect_with_login(true);
	play(refused);
	expect_refused(STAGE_LOGIN, "4.7.8", HOST ": login failed: "
	    "535 5.7.8 No: ");
	assert_null(strstr(test.fault.text, "c2Vj"));
	assert_null(strstr(test.fault.text, "cret-word"));
	fflush(test.script_file);
	assert_null(strstr(test.script, "c2Vj"));
	assert_null(strstr(test.script, "cret-word"));
	finish();
	connect_with_login(false);
	play(none);
	expect_refused(STAGE_LOGIN, "4.7.8", "it offers no login");
	finish();
	connect_with_login(false);
	play(broken);
	expect_refused(STAGE_LOGIN, "4.7.8", "it is an impostor");
	finish();
	connect_with_login(false);
	test.proved = false;
	play(liar);
	expect_refused(STAGE_LOGIN, "4.7.8", "it is an impostor");
	finish();
	connect_with_login(false);
	play(clear);
	expect_refused(STAGE_LOGIN, "4.7.8", "login needs TLS");
	finish();
}

static void
logs_in_clear_if_told_to(void **state)
{
	static const char *const clear[] = { GREETED, ">250-srv",
	    ">250 AUTH TEST", "<AUTH TEST c2VjcmV0LWZpcnN0", NULL };

	(void)state;
	connect_with_login(false);
	test.policy.auth_clear = true;
	play(clear);
	finish();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(softens_a_greeting),
		cmocka_unit_test(goes_on_under_tls),
		cmocka_unit_test(wants_the_proof_of_its_level),
		cmocka_unit_test(begins_with_tls),
		cmocka_unit_test(demands_starttls),
		cmocka_unit_test(goes_in_clear_where_it_may),
		cmocka_unit_test(hears_nothing_injected_before_tls),
		cmocka_unit_test(logs_in),
		cmocka_unit_test(sends_no_mail_without_its_login),
		cmocka_unit_test(logs_in_clear_if_told_to)
	};

	alarm(60);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
