/* links: relay/probe.c relay/transcript.c relay/command.c relay/reply.c
 *	common/log.c common/clock.c common/queueid.c */
/*
 * A probe: what it asks, what it makes of the answers, and that it ends what
 * it began.  The search and the conversation are played here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/relay.h"

static struct {
	search_fn	 found;
	void		*found_arg;
	bool		 searching;
	bool		 talking;
	struct offer	 offer;
	char		 asked[2048];
	reply_fn	 reply;
	void		*reply_arg;
	int		 ended;
	bool		 good;
	struct probe	*probe;
	FILE		*script;
	char		*text;
	size_t		 length;
} test;

/* ---- what it calls ---- */

struct search *
search_new(struct hop *hop, bool insist, FILE *script, search_fn fn,
    void *arg)
{
	assert_ptr_equal(hop, &test);
	assert_true(insist);
	assert_ptr_equal(script, test.script);
	test.found = fn;
	test.found_arg = arg;
	test.searching = true;
	return (struct search *)&test.searching;
}

void
search_free(struct search *search)
{
	if (search != NULL) {
		assert_true(test.searching);
		test.searching = false;
	}
}

void
conversation_ask(struct conversation *c, enum relay_stage stage,
    const char *line, reply_fn fn, void *arg)
{
	(void)stage;
	assert_non_null(c);
	assert_true(test.talking);
	assert_string_equal(test.asked, "");
	strlcpy(test.asked, line, sizeof(test.asked));
	test.reply = fn;
	test.reply_arg = arg;
}

const struct offer *
conversation_offer(const struct conversation *c)
{
	assert_non_null(c);
	return &test.offer;
}

void
conversation_free(struct conversation *c)
{
	if (c != NULL) {
		assert_true(test.talking);
		test.talking = false;
	}
}

/* ---- playing ---- */

static void
on_end(bool good, void *arg)
{
	assert_ptr_equal(arg, &test);
	assert_false(test.talking || test.searching);
	test.ended++;
	test.good = good;
	probe_free(test.probe);
}

static void
begin(const char *sender, const char *address)
{
	memset(&test, 0, sizeof(test));
	test.script = open_memstream(&test.text, &test.length);
	test.probe = probe_new((struct hop *)&test, sender, address,
	    test.script, on_end, &test);
	assert_true(test.searching);
}

static void
find(void)
{
	struct found found = {
		.conversation = (struct conversation *)&test.talking
	};

	test.talking = true;
	test.found(&found, test.found_arg);
}

/* It asks this and hears that. */
static void
answer(const char *asked, const char *line)
{
	struct reply reply;

	assert_string_equal(test.asked, asked);
	test.asked[0] = '\0';
	reply_start(&reply);
	assert_int_equal(reply_add(&reply, line), 1);
	test.reply(&reply, test.reply_arg);
}

/* The connection was lost instead. */
static void
lose(const char *asked)
{
	struct reply fault;

	assert_string_equal(test.asked, asked);
	reply_fault(&fault, STAGE_MAIL, 451, "4.4.2", "closed");
	test.talking = false;
	test.reply(&fault, test.reply_arg);
}

static void
finish(bool good)
{
	assert_int_equal(test.ended, 1);
	assert_int_equal(test.good, good);
	assert_false(test.talking || test.searching);
	fclose(test.script);
	free(test.text);
}

/* ---- tests ---- */

static void
goes_up_to_rcpt(void **state)
{
	(void)state;
	begin("a@b", "x@y");
	find();
	answer("MAIL FROM:<a@b>", "250 Ok");
	answer("RCPT TO:<x@y>", "250 Ok");
	answer("RSET", "250 Ok");
	assert_int_equal(test.ended, 0);
	answer("QUIT", "221 Bye");
	finish(true);
	begin("", "");
	find();
	answer("QUIT", "221 Bye");
	finish(true);
}

static void
tells_of_refusals(void **state)
{
	(void)state;
	begin("a@b", "x@y");
	find();
	answer("MAIL FROM:<a@b>", "550 No");
	answer("RSET", "250 Ok");
	answer("QUIT", "221 Bye");
	finish(false);
	begin("a@b", "x@y");
	find();
	answer("MAIL FROM:<a@b>", "250 Ok");
	answer("RCPT TO:<x@y>", "450 Later");
	answer("RSET", "500 What");
	answer("QUIT", "221 Bye");
	finish(false);
	begin("a@b", "x@y");
	find();
	answer("MAIL FROM:<a@b>", "421 Bye");
	finish(false);
}

static void
tells_of_losses(void **state)
{
	struct reply fault;
	struct found found = { .fault = &fault };

	(void)state;
	begin("a@b", "x@y");
	reply_fault(&fault, STAGE_CONNECT, 451, "4.4.1", "connect to m: no");
	test.found(&found, test.found_arg);
	fflush(test.script);
	assert_string_equal(test.text, "=== no host is left\n");
	finish(false);
	begin("a@b", "x@y");
	find();
	lose("MAIL FROM:<a@b>");
	finish(false);
	begin("a@b", "x@y");
	find();
	answer("MAIL FROM:<a@b>", "250 Ok");
	answer("RCPT TO:<x@y>", "250 Ok");
	lose("RSET");
	finish(true);
}

static void
sends_no_bad_address(void **state)
{
	(void)state;
	begin("a@b", "\xc3\xa4@y");
	find();
	answer("QUIT", "221 Bye");
	fflush(test.script);
	assert_string_equal(test.text, "=== address <??@y> needs SMTPUTF8, "
	    "which is not offered\n");
	finish(false);
	begin("a@b", "x@y>\r\nDATA");
	find();
	answer("QUIT", "221 Bye");
	finish(false);
	begin("a@b", "\xc3\xa4@y");
	test.offer.smtputf8 = true;
	find();
	answer("MAIL FROM:<a@b> SMTPUTF8", "250 Ok");
	answer("RCPT TO:<\xc3\xa4@y>", "250 Ok");
	answer("RSET", "250 Ok");
	answer("QUIT", "221 Ok");
	finish(true);
}

static void
ends_when_nobody_wants_it(void **state)
{
	(void)state;
	begin("a@b", "x@y");
	probe_free(test.probe);
	assert_false(test.searching);
	fclose(test.script);
	free(test.text);
	begin("a@b", "x@y");
	find();
	probe_free(test.probe);
	assert_false(test.talking);
	assert_int_equal(test.ended, 0);
	fclose(test.script);
	free(test.text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goes_up_to_rcpt),
		cmocka_unit_test(tells_of_refusals),
		cmocka_unit_test(tells_of_losses),
		cmocka_unit_test(sends_no_bad_address),
		cmocka_unit_test(ends_when_nobody_wants_it)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
