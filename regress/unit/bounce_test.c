/* links: spoold/bounce.c spoold/sentence.c common/clock.c common/header.c common/queueid.c
 * common/log.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "clock.h"
#include "spoold/spoold.h"

static const char original[] =
    "From: a@b.test\r\nSubject: caf\303\251\r\n\r\nthe body\r\n";

static const struct bounce_item item = {
	.address = "joe@there.test", .orcpt = "rfc822;jo+2Be@there.test",
	.action = "failed", .facts = {
		.relayed = true, .replied = true, .stage = STAGE_RCPT,
		.status = "5.1.1", .text = "550 5.1.1 no\r\nInjected: yes",
		.host = "mx.there.test[192.0.2.1]:25",
		.address = "joe@there.test"
	}
};

static struct bounce_report
make(void)
{
	struct bounce_report	 report = {
		.id = UINT64_C(1) << 60, .hostname = "here.test",
		.to = "a@b.test", .about = 5, .envid = "abc+3Ddef",
		.arrival = INT64_C(1795232350) * SECOND,
		.now = INT64_C(1795232351) * SECOND, .items = &item,
		.count = 1, .original = original,
		.original_length = sizeof(original) - 1,
		.original_size = sizeof(original) - 1, .from_mta = ""
	};

	return report;
}

static char *
compose(const struct bounce_report *report)
{
	size_t	 length, i;
	char	*text = bounce_compose(report, &length);

	assert_int_equal(strlen(text), length);
	for (i = 0; i < length; i++)
		if (text[i] == '\n')
			assert_true(i > 0 && text[i - 1] == '\r');
	return text;
}

static void
assert_holds(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("%s is not in %s", part, text);
}

static void
reports_a_failure(void **state)
{
	struct bounce_report	 report = make();
	char			*text = compose(&report);

	(void)state;
	assert_holds(text, "\r\nTo: a@b.test\r\n");
	assert_holds(text, "Auto-Submitted: auto-replied\r\n");
	assert_holds(text, "report-type=delivery-status");
	assert_holds(text, "Original-Envelope-Id: abc=def\r\n");
	assert_holds(text, "Reporting-MTA: dns; here.test\r\n");
	assert_holds(text,
	    "Original-Recipient: rfc822;jo+e@there.test\r\n");
	assert_holds(text, "Final-Recipient: rfc822; joe@there.test\r\n");
	assert_holds(text, "Action: failed\r\nStatus: 5.1.1\r\n");
	assert_holds(text, "Remote-MTA: dns; mx.there.test\r\n");
	assert_holds(text,
	    "Diagnostic-Code: smtp; 550 5.1.1 no??Injected: yes\r\n");
	assert_holds(text, "Content-Type: text/rfc822-headers\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n\r\nFrom: a@b.test\r\n");
	assert_null(strstr(text, "the body"));
	assert_null(strstr(text, "\r\nInjected"));
	assert_holds(text, "\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
	    "This is a MIME");
	free(text);
}

/* What no server has said is not said to be a server's. */
static void
names_no_server_that_said_nothing(void **state)
{
	struct bounce_report	 report = make();
	struct bounce_item	 silent = item;
	char			*text;

	(void)state;
	silent.facts.replied = false;
	silent.facts.text = "Connection refused";
	silent.orcpt = "rfc822;jo+0Ae@there.test";
	report.items = &silent;
	text = compose(&report);
	assert_null(strstr(text, "Remote-MTA"));
	assert_holds(text,
	    "Diagnostic-Code: x-postmaster; Connection refused\r\n");
	/* Nor does what was encoded begin a line. */
	assert_holds(text,
	    "Original-Recipient: rfc822;jo?e@there.test\r\n");
	free(text);
}

static void
returns_all_if_asked(void **state)
{
	struct bounce_report	 report = make();
	char			*text;

	(void)state;
	report.whole = true;
	text = compose(&report);
	assert_holds(text, "Content-Type: message/rfc822\r\n");
	assert_holds(text, "\r\n\r\nthe body\r\n");
	free(text);
}

/* A header that is cut between CR and LF, and lines that are too long. */
static void
returns_sound_lines(void **state)
{
	struct bounce_report	 report = make();
	char			 header[20000], *text, *line, *end;
	size_t			 first;

	(void)state;
	for (first = 60; first < 64; first++) {
		memset(header, 'x', sizeof(header));
		memcpy(header, "X: ", 3);
		for (size_t at = first; at + 5 < sizeof(header); at += 64)
			memcpy(header + at, "\r\nX: ", 5);
		report.original = header;
		report.original_length = report.original_size =
		    sizeof(header);
		text = compose(&report);
		for (line = text; *line != '\0'; line = end + 2) {
			assert_non_null(end = strchr(line, '\r'));
			assert_true(end[1] == '\n');
		}
		free(text);
	}
	memset(header, 'x', sizeof(header));
	memcpy(header, "X: ", 3);
	memcpy(header + 3000, "\r\n\r\n", 4);
	memcpy(header + 6000, "\r\n", 2);
	report.whole = true;
	report.original_length = report.original_size = 6002;
	text = compose(&report);
	for (line = text; *line != '\0'; line = end + 2) {
		assert_non_null(end = strstr(line, "\r\n"));
		assert_true(end - line <= 998);
	}
	assert_holds(text, "\r\n\r\nX: xxx");
	assert_holds(text, "x\r\n xx");
	assert_holds(text, "x\r\nxx");
	free(text);
}

/* Who guesses the boundary does not end a part with it. */
static void
has_a_boundary_of_its_own(void **state)
{
	static const char	 hostile[] =
	    "Subject: x\r\n\r\n--=_report/1000000000000--\r\n"
	    "--=_report/1000000000000.1\r\n";
	struct bounce_report	 report = make();
	char			*text;

	(void)state;
	report.original = hostile;
	report.original_length = report.original_size = sizeof(hostile) - 1;
	report.whole = true;
	text = compose(&report);
	assert_holds(text, "boundary=\"=_report/1000000000000.2\"\r\n");
	assert_holds(text, "\r\n--=_report/1000000000000.2--\r\n");
	assert_holds(text, "\r\n--=_report/1000000000000--\r\n");
	free(text);
}

static void
tells_of_a_delay(void **state)
{
	struct bounce_report	 report = make();
	struct bounce_item	 late = item;
	char			*text;

	(void)state;
	late.action = "delayed";
	late.until = report.now + DAY;
	report.items = &late;
	report.kind = REPORT_DELAYED;
	text = compose(&report);
	assert_holds(text, "Subject: Delayed mail");
	assert_holds(text, "Action: delayed\r\n");
	assert_holds(text,
	    "Will-Retry-Until: Sun, 22 Nov 2026 03:39:11 +0000\r\n");
	free(text);
}

static void
stays_small(void **state)
{
	struct bounce_report	 report = make();
	struct bounce_item	*items;
	char			*text, *large;
	size_t			 i;

	(void)state;
	items = calloc(2000, sizeof(*items));
	assert_non_null(items);
	for (i = 0; i < 2000; i++)
		items[i] = item;
	report.items = items;
	report.count = 2000;
	report.whole = true;
	text = compose(&report);
	assert_true(strlen(text) <= WIRE_INLINE);
	assert_holds(text, " others.\r\n");
	free(text);
	/* An original that finds no room beside them is not returned whole. */
	large = calloc(1, 40001);
	assert_non_null(large);
	memset(large, 'x', 40000);
	memcpy(large, "Subject: x\r\n\r\n", 14);
	report.original = large;
	report.original_length = report.original_size = 40000;
	text = compose(&report);
	assert_true(strlen(text) <= WIRE_INLINE);
	assert_holds(text, "Content-Type: text/rfc822-headers\r\n");
	assert_holds(text, "too large to be returned");
	free(text);
	free(large);
	free(items);
}

static bool
automatic(const char *header)
{
	return bounce_is_automatic(header, strlen(header));
}

static void
knows_programs(void **state)
{
	(void)state;
	assert_false(automatic("From: a@b\r\n\r\n"));
	assert_false(automatic(original));
	assert_true(automatic("Precedence: bulk\r\n\r\n"));
	assert_true(automatic("Precedence: junk\r\n\r\n"));
	assert_false(automatic("Precedence: first-class\r\n\r\n"));
	assert_true(automatic("X: y\r\nPRECEDENCE:  List \r\n\r\n"));
	assert_true(automatic("Auto-Submitted: auto-generated\r\n\r\n"));
	assert_false(automatic("Auto-Submitted: no\r\n\r\n"));
	assert_false(automatic("A: b\r\n\r\nPrecedence: bulk\r\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reports_a_failure),
		cmocka_unit_test(names_no_server_that_said_nothing),
		cmocka_unit_test(returns_all_if_asked),
		cmocka_unit_test(returns_sound_lines),
		cmocka_unit_test(has_a_boundary_of_its_own),
		cmocka_unit_test(tells_of_a_delay),
		cmocka_unit_test(stays_small),
		cmocka_unit_test(knows_programs)
	};

	setenv("TZ", "UTC0", 1);
	tzset();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
