/* links: deliver/body.c deliver/job.c common/header.c common/log.c
 *	common/clock.c common/queueid.c */
/*
 * A message's local form, from memory and from a file, in reads of every
 * size; From_ lines; the search for Delivered-To.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "deliver/deliver.h"

static const struct sample {
	const char	*text;
	bool		 quote;
	const char	*wanted;
} samples[] = {
	{ "", false, "" },
	{ "A: b\r\n\r\nc\r\n", false, "A: b\n\nc\n" },
	{ "A: b\r\n\r\nc", false, "A: b\n\nc\n" },
	{ "A: b\r\n\r\na\rb\r\r\n", false, "A: b\n\na\rb\r\n" },
	{ "A: b\r\n\r\nlf\nonly\r\n", false, "A: b\n\nlf\nonly\n" },
	{ "Return-Path: <x>\r\nA: b\r\n\r\n", false, "A: b\n\n" },
	{ "A: b\r\nRETURN-path \t: <x>\r\n\tfolded\r\nC: d\r\n\r\nx\r\n",
	    false, "A: b\nC: d\n\nx\n" },
	{ "Return-Path: <x>\r\n\r\nReturn-Path: body\r\n", false,
	    "\nReturn-Path: body\n" },
	{ "Return-Pathology: x\r\n\r\n", false, "Return-Pathology: x\n\n" },
	{ "Return-Path: only\r\n", false, "" },
	{ "Return-Path: cut", false, "" },
	{ "A: b\r\n\r\nFrom x\r\n>From y\r\n>>From z\r\nFromage\r\n From\r\n",
	    true, "A: b\n\n>From x\n>>From y\n>>>From z\nFromage\n From\n" },
	{ "From x\r\n\r\nFrom ", true, ">From x\n\n>From \n" },
	{ "A: b\r\n\r\nFrom x\r\n", false, "A: b\n\nFrom x\n" },
};

/* Read all of it, so many octets at once. */
static void
check_read(const struct body *body, bool quote, size_t step,
    const char *wanted)
{
	struct body_stream *stream = body_stream_new();
	char	 got[4096];
	size_t	 used = 0;
	ssize_t	 n;

	body_open(stream, body, "P: x\n", quote);
	while ((n = body_read(stream, got + used, step)) > 0)
		used += (size_t)n;
	assert_int_equal(n, 0);
	got[used] = '\0';
	assert_int_equal(strncmp(got, "P: x\n", 5), 0);
	assert_string_equal(got + 5, wanted);
	body_stream_free(stream);
}

static void
test_samples(void **unused)
{
	size_t	 i, step;
	FILE	*file;

	(void)unused;
	for (i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		size_t length = strlen(samples[i].text);
		struct body memory = { samples[i].text, -1, length };
		struct body stored = { NULL, -1, length };

		assert_non_null(file = tmpfile());
		fputs(samples[i].text, file);
		fflush(file);
		stored.fd = fileno(file);
		for (step = 2; step < 60; step++) {
			check_read(&memory, samples[i].quote, step,
			    samples[i].wanted);
			check_read(&stored, samples[i].quote, step,
			    samples[i].wanted);
		}
		fclose(file);
	}
}

/* A file longer than the window, CRLF across every edge. */
static void
test_long(void **unused)
{
	struct body_stream *stream = body_stream_new();
	struct body	 body = { NULL, -1, 0 };
	FILE	*file, *out;
	int	 i, c, lines = 0, octets = 0;

	(void)unused;
	assert_non_null(file = tmpfile());
	assert_non_null(out = tmpfile());
	fputs("\r\n", file);
	for (i = 0; i < 20000; i++)
		fprintf(file, "%.*s\r\n", i % 37, "From here to the end of it "
		    "all, or more");
	fflush(file);
	body.fd = fileno(file);
	body.size = (uint64_t)ftell(file);
	body_open(stream, &body, "", false);
	assert_int_equal(body_write(stream, fileno(out)), 0);
	rewind(out);
	while ((c = getc(out)) != EOF) {
		assert_int_not_equal(c, '\r');
		lines += c == '\n';
		octets++;
	}
	assert_int_equal(lines, 20001);
	assert_int_equal(octets, (int)body.size - 20001);
	body_stream_free(stream);
	fclose(file);
	fclose(out);
}

/* A file that is shorter than it was told to be is an error. */
static void
test_short(void **unused)
{
	struct body_stream *stream = body_stream_new();
	struct body	 body = { NULL, -1, 100 };
	char	 got[64];
	FILE	*file;

	(void)unused;
	assert_non_null(file = tmpfile());
	body.fd = fileno(file);
	body_open(stream, &body, "", false);
	assert_int_equal(body_read(stream, got, sizeof(got)), -1);
	body_stream_free(stream);
	fclose(file);
}

static void
test_delivered_to(void **unused)
{
	static const char text[] = "A: b\r\nDelivered-To:  joe@x \r\n"
	    "delivered-to: Ann\r\n @y\r\n\r\nDelivered-To: body@x\r\n";
	struct body	 body = { text, -1, sizeof(text) - 1 };

	(void)unused;
	assert_int_equal(body_was_delivered_to(&body, "JOE@x"), 1);
	assert_int_equal(body_was_delivered_to(&body, "joe@"), 0);
	assert_int_equal(body_was_delivered_to(&body, "joe@xy"), 0);
	assert_int_equal(body_was_delivered_to(&body, "body@x"), 0);
}

static void
test_from_line(void **unused)
{
	char	 line[512];
	int64_t	 when = INT64_C(1700000000) * SECOND;

	(void)unused;
	job_from_line("joe@x", when, line, sizeof(line));
	assert_string_equal(line, "From joe@x Tue Nov 14 22:13:20 2023\n");
	job_from_line("", when, line, sizeof(line));
	assert_string_equal(line,
	    "From MAILER-DAEMON Tue Nov 14 22:13:20 2023\n");
	job_from_line("\"a b\"@x", when - 9 * DAY, line, sizeof(line));
	assert_string_equal(line, "From \"a-b\"@x Sun Nov  5 22:13:20 2023\n");
}

static void
test_prefix(void **unused)
{
	struct job	*job = calloc(1, sizeof(*job));
	char	 prefix[PREFIX_SIZE];

	(void)unused;
	assert_non_null(job);
	strcpy(job->request.address, "joe@x");
	job_prefix(job, false, prefix);
	assert_string_equal(prefix, "Return-Path: <>\nDelivered-To: joe@x\n");
	/* Nothing that the wire can carry is cut. */
	memset(job->request.address, 'a', sizeof(job->request.address) - 1);
	memset(job->request.sender, 's', sizeof(job->request.sender) - 1);
	job_prefix(job, true, prefix);
	assert_int_equal(prefix[strlen(prefix) - 1], '\n');
	free(job);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_short),
		cmocka_unit_test(test_delivered_to),
		cmocka_unit_test(test_from_line),
		cmocka_unit_test(test_prefix),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
