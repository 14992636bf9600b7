/* links: smtpd/reply.c smtpd/received.c smtpd/parameter.c smtpd/limits.c
 * smtpd/buffer.c common/address.c common/netaddr.c common/clock.c
 * common/queueid.c common/log.c */
/*
 * What is said to clients, the trace field, parameters of commands, counts
 * per network.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "smtpd/smtpd.h"

/* Every reply: one line, three digits, a fitting enhanced code. */
static void
test_replies(void **state)
{
	static const enum reply plain[] = { REPLY_BANNER, REPLY_HELO,
	    REPLY_DATA };
	char text[REPLY_MAX];
	enum reply reply;
	size_t length, i;
	bool enhanced;

	(void)state;
	for (reply = REPLY_BANNER; reply < REPLY_NONE; reply++) {
		length = reply_print(reply, "argument", text, sizeof(text));
		assert_int_equal(length, strlen(text));
		assert_string_equal(text + length - 2, "\r\n");
		assert_ptr_equal(strchr(text, '\n'), text + length - 1);
		assert_int_equal(strspn(text, "0123456789"), 3);
		assert_int_equal(text[0] - '0', reply_class(reply));
		enhanced = true;
		for (i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
			enhanced &= reply != plain[i];
		if (enhanced) {
			assert_int_equal(text[4], text[0]);
			assert_int_equal(text[5], '.');
		}
		assert_null(strchr(text, '*'));
	}
}

static void
test_long_argument(void **state)
{
	char argument[4096], text[REPLY_MAX];
	size_t length;

	(void)state;
	memset(argument, 'x', sizeof(argument));
	argument[sizeof(argument) - 1] = '\0';
	length = reply_print(REPLY_QUIT, argument, text, sizeof(text));
	assert_true(length < sizeof(text));
	assert_string_equal(text + length - 2, "\r\n");
}

static void
test_ehlo(void **state)
{
	char text[REPLY_MAX];

	(void)state;
	(void)reply_print_ehlo("mx.test", "a.test", 0, text, sizeof(text));
	assert_non_null(strstr(text, "250-SIZE\r\n"));
	(void)reply_print_ehlo("mx.test", "a.test", 1000, text, sizeof(text));
	assert_non_null(strstr(text, "250-SIZE 1000\r\n"));
	assert_non_null(strstr(text, "\r\n250 "));
}

static void
test_refusals(void **state)
{
	static const struct {
		uint32_t	 code;
		const char	*text, *reply;
	} table[] = {
		{ 550, "5.7.1 no", "550 5.7.1 no\r\n" },
		{ 550, "no", "550 5.7.1 no\r\n" },
		{ 450, "5.7.1 no", "450 4.7.1 5.7.1 no\r\n" },
		{ 450, "4.2.0", "450 4.2.0\r\n" },
		{ 550, "", "550 5.7.1 Refused\r\n" },
		{ 250, "what", "550 5.7.1 what\r\n" },
		{ 550, "5.7.1000 x", "550 5.7.1 5.7.1000 x\r\n" },
		{ 550, "no\r\n250 Ok\x7f\xe4", "550 5.7.1 no??250 Ok??\r\n" },
	};
	struct w_rcpt_check_ans answer;
	char text[REPLY_MAX];
	size_t i, length;

	(void)state;
	/* All that policyd can say is said. */
	memset(answer.text, 'x', sizeof(answer.text));
	answer.text[sizeof(answer.text) - 1] = '\0';
	length = reply_print_refusal(550, answer.text, text, sizeof(text));
	assert_int_equal(length, 10 + sizeof(answer.text) - 1 + 2);
	assert_int_equal(length, strlen(text));
	assert_string_equal(text + length - 2, "\r\n");
	memcpy(answer.text, "5.7.1 ", 6);
	length = reply_print_refusal(550, answer.text, text, sizeof(text));
	assert_int_equal(length, 4 + sizeof(answer.text) - 1 + 2);
	assert_string_equal(text + length - 2, "\r\n");
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		(void)reply_print_refusal(table[i].code, table[i].text, text,
		    sizeof(text));
		assert_string_equal(text, table[i].reply);
	}
}

static void
test_received(void **state)
{
	struct w_client client = { .standing = STANDING_STRANGER,
	    .family = 4, .address = { 192, 0, 2, 1 }, .esmtp = 1,
	    .helo = "client.test" };
	struct trace trace = { &client, "mx.test", "joe@a.test", 32, 0 };
	char text[2048];

	(void)state;
	(void)received_print(&trace, text, sizeof(text));
	assert_string_equal(text, "Received: from client.test ([192.0.2.1])"
	    "\r\n\tby mx.test (Postmaster) with ESMTP id 0000000000010"
	    "\r\n\tfor <joe@a.test>;\r\n\tThu, 1 Jan 1970 00:00:00 +0000"
	    "\r\n");
	client.family = 6;
	client.esmtp = 0;
	trace.recipient = NULL;
	snprintf(client.helo, sizeof(client.helo), "a)(b\\");
	(void)received_print(&trace, text, sizeof(text));
	assert_string_equal(text, "Received: from [IPv6:c000:201::] "
	    "(a??b?)\r\n\tby mx.test (Postmaster) with SMTP "
	    "id 0000000000010;\r\n\tThu, 1 Jan 1970 00:00:00 +0000\r\n");
	client.standing = STANDING_LOCAL;
	client.uid = 1000;
	(void)received_print(&trace, text, sizeof(text));
	assert_string_equal(text, "Received: by mx.test (Postmaster, from "
	    "userid 1000)\r\n\tid 0000000000010;\r\n\t"
	    "Thu, 1 Jan 1970 00:00:00 +0000\r\n");
}

/* The longest of everything fits. */
static void
test_received_longest(void **state)
{
	struct w_client client = { .family = 6 };
	struct trace trace = { &client, NULL, NULL, UINT64_MAX >> 1, 0 };
	char host[WIRE_DOMAIN], recipient[WIRE_ADDRESS], text[2048];
	size_t length;

	(void)state;
	memset(client.helo, 'x', sizeof(client.helo) - 1);
	memset(client.address, 0xff, sizeof(client.address));
	memset(host, 'y', sizeof(host) - 1);
	host[sizeof(host) - 1] = '\0';
	memset(recipient, 'z', sizeof(recipient) - 1);
	recipient[sizeof(recipient) - 1] = '\0';
	trace.host = host;
	trace.recipient = recipient;
	length = received_print(&trace, text, sizeof(text));
	assert_true(length < sizeof(text));
	assert_string_equal(text + length - 2, "\r\n");
}

static void
test_mail_parameters(void **state)
{
	static const struct {
		const char		*text;
		enum parameter_result	 result;
	} table[] = {
		{ "", PARAMETER_OK },
		{ " SIZE=1 BODY=7BIT RET=FULL ENVID=a", PARAMETER_OK },
		{ "  size=99999999999999999999  ", PARAMETER_OK },
		{ " SIZE=100000000000000000000", PARAMETER_BAD },
		{ " SIZE", PARAMETER_BAD },
		{ " SIZE=", PARAMETER_BAD },
		{ " SIZE=-1", PARAMETER_BAD },
		{ " SIZE=1 size=1", PARAMETER_BAD },
		{ " BODY=BINARYMIME", PARAMETER_BAD },
		{ " RET=ALL", PARAMETER_BAD },
		{ " ENVID=a+2B", PARAMETER_OK },
		{ " ENVID=a+2b", PARAMETER_BAD },
		{ " ENVID=a+2", PARAMETER_BAD },
		{ " ENVID=a=b", PARAMETER_BAD },
		{ " AUTH=<>", PARAMETER_UNKNOWN },
		{ " SMTPUTF8", PARAMETER_UNKNOWN },
		{ " NOTIFY=NEVER", PARAMETER_UNKNOWN },
		{ " =1", PARAMETER_BAD },
		{ " SIZE=1\t", PARAMETER_BAD },
	};
	struct mail_parameters mail;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (parameters_of_mail(table[i].text, &mail) !=
		    table[i].result)
			fail_msg("%s", table[i].text);
	assert_int_equal(parameters_of_mail(" SIZE=12 BODY=8bitmime "
	    "RET=hdrs ENVID=x", &mail), PARAMETER_OK);
	assert_int_equal(mail.size, 12);
	assert_int_equal(mail.body, BODY_8BITMIME);
	assert_int_equal(mail.ret, RET_HDRS);
	assert_string_equal(mail.envid, "x");
	assert_int_equal(parameters_of_mail(" SIZE=99999999999999999999",
	    &mail), PARAMETER_OK);
	assert_true(mail.size == UINT64_MAX);
}

static void
test_rcpt_parameters(void **state)
{
	static const struct {
		const char		*text;
		enum parameter_result	 result;
	} table[] = {
		{ " NOTIFY=NEVER", PARAMETER_OK },
		{ " NOTIFY=SUCCESS,FAILURE,DELAY", PARAMETER_OK },
		{ " NOTIFY=NEVER,DELAY", PARAMETER_BAD },
		{ " NOTIFY=DELAY,DELAY", PARAMETER_BAD },
		{ " NOTIFY=DELAY,", PARAMETER_BAD },
		{ " NOTIFY=", PARAMETER_BAD },
		{ " ORCPT=rfc822;a@b", PARAMETER_OK },
		{ " ORCPT=rfc822;a+2Bb@c", PARAMETER_OK },
		{ " ORCPT=rfc822;a+2b@c", PARAMETER_BAD },
		{ " ORCPT=rfc822;a=b@c", PARAMETER_BAD },
		{ " ORCPT=;a@b", PARAMETER_BAD },
		{ " ORCPT=rfc822;", PARAMETER_BAD },
		{ " ORCPT=rfc822", PARAMETER_BAD },
		{ " SIZE=1", PARAMETER_UNKNOWN },
	};
	struct rcpt_parameters rcpt;
	char text[1024];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (parameters_of_rcpt(table[i].text, &rcpt) !=
		    table[i].result)
			fail_msg("%s", table[i].text);
	assert_int_equal(parameters_of_rcpt(" NOTIFY=delay,FAILURE", &rcpt),
	    PARAMETER_OK);
	assert_int_equal(rcpt.notify, NOTIFY_DELAY | NOTIFY_FAILURE);
	memset(text, 'x', sizeof(text));
	memcpy(text, " ORCPT=a;", 9);
	text[7 + 500] = '\0';
	assert_int_equal(parameters_of_rcpt(text, &rcpt), PARAMETER_OK);
	text[7 + 500] = 'x';
	text[7 + 501] = '\0';
	assert_int_equal(parameters_of_rcpt(text, &rcpt), PARAMETER_BAD);
}

static void
test_limits(void **state)
{
	struct netaddr one, near, far, six;

	(void)state;
	assert_int_equal(netaddr_parse("192.0.2.1", &one), 0);
	assert_int_equal(netaddr_parse("192.0.2.200", &near), 0);
	assert_int_equal(netaddr_parse("192.0.3.1", &far), 0);
	assert_int_equal(netaddr_parse("c000:201::", &six), 0);
	assert_int_equal(limits_enter(&one, 24, 2), 0);
	assert_int_equal(limits_enter(&near, 24, 2), 0);
	assert_int_equal(limits_enter(&one, 24, 2), -1);
	assert_int_equal(limits_enter(&far, 24, 2), 0);
	assert_int_equal(limits_enter(&six, 56, 2), 0);
	limits_leave(&near, 24);
	assert_int_equal(limits_enter(&one, 24, 2), 0);
	limits_leave(&one, 24);
	limits_leave(&one, 24);
	limits_leave(&far, 24);
	limits_leave(&six, 56);
	assert_int_equal(limits_enter(&one, 25, 0), 0);
	limits_leave(&one, 25);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_long_argument),
		cmocka_unit_test(test_ehlo),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_received),
		cmocka_unit_test(test_received_longest),
		cmocka_unit_test(test_mail_parameters),
		cmocka_unit_test(test_rcpt_parameters),
		cmocka_unit_test(test_limits),
	};

	setenv("TZ", "UTC", 1);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
