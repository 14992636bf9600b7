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
    orcpt[] = "rfc822;x@y";

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
	struct offer none, all = { true, true, true, true, 0 };

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
	evbuffer_free(out);
}

static void
finds_bad_addresses(void **state)
{
	(void)state;
	assert_null(command_address_fault("\"a b\"@c"));
	assert_null(command_address_fault(""));
	assert_non_null(command_address_fault("a@b>\r\nDATA"));
	assert_non_null(command_address_fault("a\nb@c"));
	assert_non_null(command_address_fault("\xc3\xa4@c"));
	assert_non_null(command_address_fault("a\x7f@c"));
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
		cmocka_unit_test(sends_strict_lines),
		cmocka_unit_test(breaks_long_lines),
		cmocka_unit_test(composes_commands),
		cmocka_unit_test(finds_bad_addresses)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
