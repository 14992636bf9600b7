/* links: relay/reply.c relay/body.c relay/command.c */
/*
 * What relay reads and writes, as values: replies, the body of DATA, the
 * commands of a transaction.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/relay.h"

/* ---- replies ---- */

static void
gathers_replies(void **state)
{
	struct reply r;

	(void)state;
	reply_start(&r);
	assert_int_equal(reply_add(&r, "250 2.1.5 Ok"), 1);
	assert_int_equal(r.code, 250);
	assert_string_equal(r.status, "2.1.5");
	assert_string_equal(r.text, "250 2.1.5 Ok");
	assert_true(r.replied);
	assert_int_equal(reply_verdict(&r), RELAY_DONE);

	reply_start(&r);
	assert_int_equal(reply_add(&r, "550-5.1.1 no such"), 0);
	assert_int_equal(reply_add(&r, "550 5.1.1 user"), 1);
	assert_string_equal(r.status, "5.1.1");
	assert_string_equal(r.text, "550-5.1.1 no such 5.1.1 user");
	assert_int_equal(reply_verdict(&r), RELAY_FAILED);

	reply_start(&r);
	assert_int_equal(reply_add(&r, "451"), 1);
	assert_string_equal(r.status, "4.0.0");
	assert_int_equal(reply_verdict(&r), RELAY_DEFERRED);

	reply_start(&r);
	assert_int_equal(reply_add(&r, "354 Go"), 1);
	assert_string_equal(r.status, "4.5.0");
	assert_int_equal(reply_verdict(&r), RELAY_DEFERRED);

	reply_fault(&r, STAGE_TLS, 451, "4.7.5", "no \n %s", "way");
	assert_string_equal(r.text, "no ? way");
	assert_string_equal(r.status, "4.7.5");
	assert_int_equal(r.stage, STAGE_TLS);
	assert_false(r.replied);
}

static void
makes_up_a_status(void **state)
{
	static const char *const texts[] = { "550 No", "550 2.1.5 No",
	    "550 5.1 No", "550 5.1.1234 No", "550 5.1.1x", "550 5..1 No" };
	struct reply r;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		reply_start(&r);
		assert_int_equal(reply_add(&r, texts[i]), 1);
		assert_string_equal(r.status, "5.0.0");
	}
}

static void
refuses_what_is_no_reply(void **state)
{
	static const char *const lines[] = { "", "25", "2x0 Ok", "250_Ok",
	    "150 Ok", "650 Ok", "250Ok", "HTTP/1.1 200 OK" };
	struct reply r;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		reply_start(&r);
		assert_int_equal(reply_add(&r, lines[i]), -1);
	}
	reply_start(&r);
	assert_int_equal(reply_add(&r, "250-a"), 0);
	assert_int_equal(reply_add(&r, "251 b"), -1);
}

static void
bounds_and_cleans_replies(void **state)
{
	struct reply r;
	char line[4000];
	int i, more = 0;

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line, "550-", 4);
	line[sizeof(line) - 1] = '\0';
	reply_start(&r);
	assert_int_equal(reply_add(&r, line), 0);
	assert_int_equal(strlen(r.text), WIRE_TEXT - 1);
	reply_start(&r);
	assert_int_equal(reply_add(&r, "550 a\tb\x1b[1m\xff\r"), 1);
	assert_string_equal(r.text, "550 a?b?[1m??");
	reply_start(&r);
	for (i = 0; i < 1000 && more == 0; i++)
		more = reply_add(&r, "250-more");
	assert_int_equal(more, -1);
}

static void
reads_offers(void **state)
{
	struct offer offer;

	(void)state;
	memset(&offer, 0, sizeof(offer));
	offer_add(&offer, "PIPELINING");
	offer_add(&offer, "size 10240000");
	offer_add(&offer, "8BITMIMEX");
	offer_add(&offer, "DSNS");
	assert_true(offer.pipelining);
	assert_true(offer.size);
	assert_int_equal(offer.size_limit, 10240000);
	assert_false(offer.eightbit);
	assert_false(offer.dsn);
	memset(&offer, 0, sizeof(offer));
	offer_add(&offer, "SIZE");
	offer_add(&offer, "8bitmime");
	offer_add(&offer, "DSN");
	assert_true(offer.size && offer.eightbit && offer.dsn);
	assert_int_equal(offer.size_limit, 0);
	assert_false(offer.starttls || offer.smtputf8);
	offer_add(&offer, "STARTTLS");
	offer_add(&offer, "SMTPUTF8");
	assert_true(offer.starttls && offer.smtputf8);
}

static void
reads_mechanisms(void **state)
{
	struct offer offer;
	char line[WIRE_TEXT + 8];

	(void)state;
	memset(&offer, 0, sizeof(offer));
	offer_add(&offer, "AUTHX PLAIN");
	assert_string_equal(offer.auth, "");
	offer_add(&offer, "AUTH PLAIN LOGIN");
	offer_add(&offer, "auth=CRAM-MD5");
	assert_string_equal(offer.auth, "PLAIN LOGIN CRAM-MD5");
	/* Too much is left out: half a name may be another's. */
	memset(line, 'X', sizeof(line));
	memcpy(line, "AUTH ", 5);
	line[WIRE_TEXT] = '\0';
	offer_add(&offer, line);
	assert_string_equal(offer.auth, "PLAIN LOGIN CRAM-MD5");
}

/* ---- the body ---- */

/* Send text in pieces of n octets; it must come out as wanted. */
static void
expect_body(const char *text, const char *wanted, size_t n)
{
	struct evbuffer *out = evbuffer_new();
	struct body body;
	size_t length = strlen(text), i;
	char *got;

	body_start(&body);
	for (i = 0; i < length; i += n)
		body_add(&body, out, text + i,
		    n < length - i ? n : length - i);
	body_end(&body, out);
	evbuffer_add(out, "", 1);
	got = (char *)evbuffer_pullup(out, -1);
	assert_string_equal(got, wanted);
	evbuffer_free(out);
}

static void
sends_strict_lines(void **state)
{
	static const char *const cases[][2] = {
		{ "", ".\r\n" },
		{ "a", "a\r\n.\r\n" },
		{ "a\r\n", "a\r\n.\r\n" },
		{ "a\nb\n", "a\r\nb\r\n.\r\n" },
		{ "a\rb\r", "a\r\nb\r\n.\r\n" },
		{ "a\r\r\nb", "a\r\n\r\nb\r\n.\r\n" },
		{ ".\r\n", "..\r\n.\r\n" },
		{ "..a\r\n.b\r\n", "...a\r\n..b\r\n.\r\n" },
		{ "a\r\n.\r\nMAIL", "a\r\n..\r\nMAIL\r\n.\r\n" },
		{ "a\n.\r\nb", "a\r\n..\r\nb\r\n.\r\n" },
		{ "a\r\n.\nb", "a\r\n..\r\nb\r\n.\r\n" },
		{ "a\r.\rb", "a\r\n..\r\nb\r\n.\r\n" },
		{ "S: x\r\n\r\na.b\r\n", "S: x\r\n\r\na.b\r\n.\r\n" }
	};
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (n = 1; n < 16; n++)
			expect_body(cases[i][0], cases[i][1], n);
}

static void
breaks_long_lines(void **state)
{
	struct evbuffer *out = evbuffer_new();
	struct body body;
	char line[2000];
	char *got, *p, *end;
	int lines = 0;

	(void)state;
	memset(line, '.', sizeof(line));
	body_start(&body);
	body_add(&body, out, "A: ", 3);
	body_add(&body, out, line, sizeof(line));
	body_add(&body, out, "\r\n\r\n", 4);
	body_add(&body, out, line, sizeof(line));
	body_end(&body, out);
	evbuffer_add(out, "", 1);
	assert_int_equal(body.broken, 4);
	got = (char *)evbuffer_pullup(out, -1);
	for (p = got; (end = strstr(p, "\r\n")) != NULL; p = end + 2) {
		assert_true(end - p <= 999);	/* a doubled dot on top */
		if (lines == 1 || lines == 2)
			assert_int_equal(*p, ' ');
		if (lines > 3 && strncmp(p, ".\r\n", 3) != 0)
			assert_memory_equal(p, "..", 2);
		lines++;
	}
	assert_int_equal(lines, 8);
	evbuffer_free(out);
}

/* ---- commands ---- */

static char empty[] = "", sender[] = "a@b", envid[] = "id+2B", to[] = "x@y",
    orcpt[] = "rfc822;x@y", international[] = "\xc3\xa4@y";

static void
expect_command(struct evbuffer *out, const char *wanted)
{
	evbuffer_add(out, "", 1);
	assert_string_equal((char *)evbuffer_pullup(out, -1), wanted);
	evbuffer_drain(out, evbuffer_get_length(out));
}

static void
composes_commands(void **state)
{
	struct evbuffer *out = evbuffer_new();
	struct transaction t = { .sender = sender, .envid = envid,
	    .size = 99, .body = BODY_8BITMIME, .ret = RET_HDRS };
	struct recipient r = { .address = to, .orcpt = orcpt,
	    .notify = NOTIFY_SUCCESS | NOTIFY_DELAY };
	struct recipient both[] = { r, { .address = international,
	    .orcpt = empty } };
	struct offer none, all = { .pipelining = true, .size = true,
	    .eightbit = true, .dsn = true };

	(void)state;
	memset(&none, 0, sizeof(none));
	command_mail(out, &t, &none);
	expect_command(out, "MAIL FROM:<a@b>\r\n");
	command_mail(out, &t, &all);
	expect_command(out, "MAIL FROM:<a@b> SIZE=99 BODY=8BITMIME RET=HDRS "
	    "ENVID=id+2B\r\n");
	t.sender = t.envid = empty;
	t.body = BODY_7BIT;
	t.ret = RET_NONE;
	command_mail(out, &t, &all);
	expect_command(out, "MAIL FROM:<> SIZE=99\r\n");
	command_rcpt(out, &r, &none);
	expect_command(out, "RCPT TO:<x@y>\r\n");
	command_rcpt(out, &r, &all);
	expect_command(out, "RCPT TO:<x@y> NOTIFY=SUCCESS,DELAY "
	    "ORCPT=rfc822;x@y\r\n");
	r.notify = NOTIFY_NEVER;
	r.orcpt = empty;
	command_rcpt(out, &r, &all);
	expect_command(out, "RCPT TO:<x@y> NOTIFY=NEVER\r\n");

	/* SMTPUTF8 only for those who need it. */
	all.smtputf8 = true;
	t.recipients = both;
	t.count = 1;
	command_mail(out, &t, &all);
	expect_command(out, "MAIL FROM:<> SIZE=99\r\n");
	t.count = 2;
	t.size = 0;
	command_mail(out, &t, &all);
	expect_command(out, "MAIL FROM:<> SMTPUTF8\r\n");
	command_rcpt(out, &both[1], &all);
	expect_command(out, "RCPT TO:<\xc3\xa4@y>\r\n");
	evbuffer_free(out);
}

static void
finds_bad_addresses(void **state)
{
	static const char *const never[] = { "a@b>\r\nDATA", "a\nb@c",
	    "a\x7f@c", "a@b> SIZE=1 <c", "a b@c", "\"a b@c", "\"a\" b@c",
	    "\"a\\\"@c", "\"a\\\n\"@c", "\xe4@c", "\xc3@c", "\xc0\xaf@c",
	    "\xe0\x80\xaf@c", "\xed\xa0\x80@c", "\xf4\x90\x80\x80@c",
	    "\xf0\x80\x80\x80@c", "\xc2\x9b@c", "\xf8\x88\x80\x80\x80@c",
	    "\xf0\x90\x80", "\x80@c" };
	static const char *const always[] = { "", "\"a b\"@c", "a@b",
	    "\"a\\\"> b\"@c", "\"<>\"@c", "a@[192.0.2.1]" };
	static const char *const international_only[] = { "\xc3\xa4@c",
	    "a@\xe2\x82\xac", "\"\xf0\x9f\x93\xa7 x\"@c" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		assert_non_null(command_address_fault(never[i], false));
		assert_non_null(command_address_fault(never[i], true));
	}
	for (i = 0; i < sizeof(always) / sizeof(always[0]); i++) {
		assert_null(command_address_fault(always[i], false));
		assert_null(command_address_fault(always[i], true));
		assert_false(command_is_international(always[i]));
	}
	for (i = 0; i < sizeof(international_only) /
	    sizeof(international_only[0]); i++) {
		assert_non_null(command_address_fault(international_only[i],
		    false));
		assert_null(command_address_fault(international_only[i],
		    true));
		assert_true(command_is_international(international_only[i]));
	}
}

static void
finds_bad_parameters(void **state)
{
	(void)state;
	assert_true(command_parameter_fits("rfc822;\"a+20b\"@c"));
	assert_true(command_parameter_fits("<id@x>"));
	assert_false(command_parameter_fits("a b"));
	assert_false(command_parameter_fits("a\r\nDATA"));
	assert_false(command_parameter_fits("\xc3\xa4"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gathers_replies),
		cmocka_unit_test(makes_up_a_status),
		cmocka_unit_test(refuses_what_is_no_reply),
		cmocka_unit_test(bounds_and_cleans_replies),
		cmocka_unit_test(reads_offers),
		cmocka_unit_test(reads_mechanisms),
		cmocka_unit_test(sends_strict_lines),
		cmocka_unit_test(breaks_long_lines),
		cmocka_unit_test(composes_commands),
		cmocka_unit_test(finds_bad_addresses),
		cmocka_unit_test(finds_bad_parameters)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
