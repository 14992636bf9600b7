/* links: relay/conversation.c relay/opening.c relay/envelope.c
 *	relay/login.c relay/transcript.c relay/reply.c relay/body.c
 *	relay/command.c relay/transaction.c common/log.c common/clock.c
 *	common/queueid.c */
/*
 * Transactions over a conversation: what is sent, and what each reply means
 * for each recipient.
 */
#include <sys/syscall.h>
#include <time.h>

#include "relay_played.h"
#include "clock.h"

static void
reports_each_recipient(void **state)
{
	static const char *const script[] = { PIPED, "<MAIL FROM:<a@b>",
	    "<RCPT TO:<r0@y>", "<RCPT TO:<r1@y>", "<RCPT TO:<r2@y>", "<DATA",
	    ">250 2.1.0 Ok", ">250 2.1.5 Ok", ">550 5.1.1 Unknown",
	    ">451 4.2.2 Full", ">354 Go", "<x", "<..y", "<.",
	    ">250 2.0.0 Queued", "T", "<QUIT", ">221 Bye", ".", NULL };

	(void)state;
	begin();
	submit(0, 3, "x\r\n.y\r\n");
	connect_with(false);
	play(script);
	expect(0, RELAY_DONE, STAGE_MESSAGE, "2.0.0", "250 2.0.0 Queued");
	expect(1, RELAY_FAILED, STAGE_RCPT, "5.1.1", "550 5.1.1 Unknown");
	expect(2, RELAY_DEFERRED, STAGE_RCPT, "4.2.2", "451 4.2.2 Full");
	assert_true(test.results[0].replied);
	assert_string_equal(test.answer.host, HOST);
	assert_string_equal(test.answer.tls, "none");
	assert_true(test.answer.reached);
	assert_int_equal(test.rested, 1);
	finish();
}

static void
goes_step_by_step_without_pipelining(void **state)
{
	static const char *const script[] = { GREETED, ">502 what",
	    "<HELO me.test", ">250 srv", "<MAIL FROM:<a@b>", ">250 Ok",
	    "<RCPT TO:<r0@y>", ">550 No", "<RCPT TO:<r1@y>", ">250 Ok",
	    "<DATA", ">354 Go", "<x", "<.", ">554 5.7.1 Spam", "E",
	    "<QUIT", "!", ".", NULL };

	(void)state;
	begin();
	submit(0, 2, "x");
	connect_with(false);
	play(script);
	expect(0, RELAY_FAILED, STAGE_RCPT, "5.0.0", "550 No");
	expect(1, RELAY_FAILED, STAGE_MESSAGE, "5.7.1", "554 5.7.1 Spam");
	finish();
}

static void
gives_up_when_nobody_is_left(void **state)
{
	static const char *const script[] = { PLAIN, "<MAIL FROM:<a@b>",
	    ">250 Ok", "<RCPT TO:<r0@y>", ">450 4.7.1 Greylisted", "<RSET",
	    ">250 Ok", "<MAIL FROM:<a@b>", ">553 5.1.8 Not you", "<RSET",
	    ">500 What", ".", NULL };

	(void)state;
	begin();
	submit(0, 1, "x");
	submit(1, 1, "x");
	connect_with(false);
	play(script);
	expect(0, RELAY_DEFERRED, STAGE_RCPT, "4.7.1", "450 4.7.1 Grey");
	expect(1, RELAY_FAILED, STAGE_MAIL, "5.1.8", "553 5.1.8 Not you");
	assert_int_equal(test.answered, 2);
	finish();
}

static void
sends_only_the_dot_for_nobody(void **state)
{
	static const char *const smtp[] = { PIPED, "<MAIL FROM:<a@b>",
	    "<RCPT TO:<r0@y>", "<DATA", ">250 Ok", ">550 No", ">354 Go",
	    "<.", ">554 No recipients", "E", "<QUIT", NULL };
	static const char *const lmtp[] = { ">220 hi", "<LHLO me.test",
	    ">250-srv", ">250 PIPELINING", "<MAIL FROM:<a@b>",
	    "<RCPT TO:<r0@y>", "<DATA", ">250 Ok", ">550 No", ">354 Go",
	    "<.", "<QUIT", ">221 Bye", ".", NULL };

	(void)state;
	begin();
	submit(0, 1, "x");
	connect_with(false);
	play(smtp);
	expect(0, RELAY_FAILED, STAGE_RCPT, "5.0.0", "550 No");
	assert_int_equal(test.answered, 1);
	finish();
	begin();
	test.policy.lmtp = true;
	submit(0, 1, "x");
	connect_with(false);
	play(lmtp);
	expect(0, RELAY_FAILED, STAGE_RCPT, "5.0.0", "550 No");
	assert_int_equal(test.left, 1);
	finish();
}

static void
never_takes_an_odd_reply_for_success(void **state)
{
	static const char *const data[] = { PLAIN, "<MAIL FROM:<a@b>",
	    ">250 Ok", "<RCPT TO:<r0@y>", ">250 Ok", "<DATA", ">250 Ok",
	    ".", NULL };
	static const char *const dot[] = { PLAIN, SENT(0), ">354 More",
	    NULL };
	static const char *const mail[] = { PLAIN, "<MAIL FROM:<a@b>",
	    ">354 Go", "<RSET", NULL };

	(void)state;
	begin();
	submit(0, 1, "x");
	connect_with(false);
	play(data);
	expect(0, RELAY_DEFERRED, STAGE_DATA, "4.3.0", "250 Ok");
	finish();
	begin();
	submit(0, 1, "x");
	connect_with(false);
	play(dot);
	expect(0, RELAY_DEFERRED, STAGE_MESSAGE, "4.3.0", "354 More");
	finish();
	begin();
	submit(0, 1, "x");
	connect_with(false);
	play(mail);
	expect(0, RELAY_DEFERRED, STAGE_MAIL, "4.5.0", "354 Go");
	finish();
}

/* Said while the message is on its way, a success is none. */
static void
believes_only_refusals_before_the_dot(void **state)
{
	static const char *const script[] = { PLAIN, "<MAIL FROM:<a@b>",
	    ">250 Ok", "<RCPT TO:<r0@y>", ">250 Ok", "<DATA", NULL };
	static const struct {
		const char	*reply;
		enum relay_verdict verdict;
		const char	*status;
	} cases[] = {
		{ "250 2.0.0 Queued", RELAY_DEFERRED, "4.3.0" },
		{ "552 5.3.4 Too big", RELAY_FAILED, "5.3.4" },
		{ "421 4.3.2 Down", RELAY_DEFERRED, "4.3.2" }
	};
	char *body = malloc(200000);
	size_t i, n;

	(void)state;
	memset(body, 'x', 199999);
	body[199999] = '\0';
	/* Neither a body half sent nor a dot still here has been heard. */
	for (i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		n = i / 2;
		begin();
		submit(0, 1, i % 2 == 0 ? body : "x");
		connect_with(false);
		play(script);
		say_line("354 Go");
		say_line(cases[n].reply);
		assert_null(test.stream);
		expect(0, cases[n].verdict, STAGE_DATA, cases[n].status,
		    cases[n].reply);
		finish();
	}
	free(body);
}

static void
streams_a_long_body(void **state)
{
	static const char *const script[] = { PLAIN, "<MAIL FROM:<a@b>",
	    ">250 Ok", "<RCPT TO:<r0@y>", ">250 Ok", "<DATA", NULL };
	size_t size = 8000000, got = 0, n, most = 0;
	char *body = malloc(size + 1);

	(void)state;
	memset(body, 'x', size);
	body[size] = '\0';
	for (n = 99; n < size; n += 100)
		body[n] = '\n';
	begin();
	submit(0, 1, body);
	connect_with(false);
	play(script);
	say_line("354 Go");
	while ((n = evbuffer_get_length(test.stream->out)) > 0) {
		if (n > most)
			most = n;
		got += n;
		evbuffer_drain(test.stream->out, n);
		test.stream->ops->output(test.stream->arg);
	}
	assert_int_equal(got, size + size / 100 + 3);
	assert_true(most < 150000);
	say_line("250 2.0.0 Queued");
	expect(0, RELAY_DONE, STAGE_MESSAGE, "2.0.0", "Queued");
	finish();
	free(body);
}

static void
tells_what_it_lost(void **state)
{
	static const char *const dot[] = { PLAIN, SENT(0), "!", ".", NULL };
	static const char *const late[] = { PLAIN, SENT(0), "T", ".", NULL };

	(void)state;
	begin();
	submit(0, 1, "x");
	connect_with(false);
	play(dot);
	expect(0, RELAY_DEFERRED, STAGE_MESSAGE, "4.4.2", HOST ": closed the "
	    "connection while we waited for the answer to the message");
	assert_false(test.results[0].replied);
	finish();
	begin();
	submit(0, 1, "x");
	connect_with(false);
	play(late);
	expect(0, RELAY_DEFERRED, STAGE_MESSAGE, "4.4.2", "took too long");
	finish();
}

static void
returns_mail_of_a_dead_connection_once(void **state)
{
	static const char *const script[] = { PIPED, "<MAIL FROM:<a@b>",
	    "<RCPT TO:<r0@y>", "<DATA", ">250 Ok", ">250 Ok", ">354 Go",
	    "<x", "<.", ">250 2.0.0 One", "<MAIL FROM:<a@b>",
	    "<RCPT TO:<r1@y>", "<DATA", ">421 4.4.2 Too slow", ".", NULL };
	static const char *const again[] = { PLAIN, "<MAIL FROM:<a@b>", "!",
	    ".", NULL };

	(void)state;
	begin();
	submit(0, 1, "x");
	submit(1, 1, "x");
	connect_with(false);
	play(script);
	expect(0, RELAY_DONE, STAGE_MESSAGE, "2.0.0", "One");
	assert_int_equal(test.taken_back, 1);
	assert_int_equal(test.failed, 0);
	assert_int_equal(test.answered, 1);
	connect_with(false);
	play(again);
	assert_int_equal(test.failed, 1);
	assert_int_equal(test.answered, 2);
	expect(1, RELAY_DEFERRED, STAGE_MAIL, "4.4.2", "closed");
	finish();
}

static void
leaves_a_host_that_takes_no_mail(void **state)
{
	static const char *const script[] = { PLAIN, "<MAIL FROM:<a@b>",
	    ">421 4.7.0 Too busy", ".", NULL };

	(void)state;
	begin();
	submit(0, 1, "x");
	connect_with(false);
	play(script);
	assert_int_equal(test.taken_back, 1);
	assert_int_equal(test.failed, 1);
	assert_string_equal(test.host_fault.text, "421 4.7.0 Too busy");
	assert_int_equal(test.results[0].verdict, 0);
	finish();
}

static void
keeps_to_the_size_limit(void **state)
{
	static const char *const script[] = { GREETED, ">250-srv",
	    ">250 SIZE 5", "<MAIL FROM:<a@b> SIZE=5", NULL };

	(void)state;
	begin();
	submit(0, 1, "123456");
	submit(1, 1, "12345");
	connect_with(false);
	play(script);
	expect(0, RELAY_FAILED, STAGE_MAIL, "5.3.4", "larger than");
	assert_int_equal(test.results[1].verdict, 0);
	finish();
}

static void
says_who_needs_smtputf8(void **state)
{
	static const char *const without[] = { PLAIN, "<MAIL FROM:<a@b>",
	    ">250 Ok", "<RCPT TO:<r0@y>", ">250 Ok", "<DATA", NULL };
	static const char *const with[] = { GREETED, ">250-srv",
	    ">250 SMTPUTF8", "<MAIL FROM:<a@b> SMTPUTF8", ">250 Ok",
	    "<RCPT TO:<r0@y>", ">250 Ok", "<RCPT TO:<\xc3\xa4@y>", NULL };
	struct transaction *t;

	(void)state;
	begin();
	t = submit(0, 2, "x");
	strlcpy(t->recipients[1].address, "\xc3\xa4@y", 5);
	connect_with(false);
	play(without);
	expect(1, RELAY_FAILED, STAGE_MAIL, "5.6.7", HOST ": address <");
	assert_non_null(strstr(test.results[1].text, "needs SMTPUTF8"));
	finish();
	begin();
	t = submit(0, 2, "x");
	strlcpy(t->recipients[1].address, "\xc3\xa4@y", 5);
	connect_with(false);
	play(with);
	finish();
	begin();
	t = submit(0, 1, "x");
	strlcpy(t->sender, "\xc3\xa4", 4);
	connect_with(false);
	play((const char *const []){ PLAIN, NULL });
	expect(0, RELAY_FAILED, STAGE_MAIL, "5.6.7", "needs SMTPUTF8");
	assert_int_equal(test.answered, 1);
	finish();
}

static void
tells_whether_the_server_reports(void **state)
{
	static const char *const script[] = { GREETED, ">250-srv",
	    ">250 DSN", "<MAIL FROM:<a@b>", ">250 Ok",
	    "<RCPT TO:<r0@y> NOTIFY=SUCCESS", ">250 Ok", "<DATA", ">354 Go",
	    "<x", "<.", ">250 Ok", NULL };
	struct transaction *t;

	(void)state;
	begin();
	t = submit(0, 1, "x");
	t->recipients[0].notify = NOTIFY_SUCCESS;
	connect_with(false);
	play(script);
	expect(0, RELAY_DONE, STAGE_MESSAGE, "2.0.0", "250 Ok");
	assert_true(test.results[0].dsn);
	finish();
}

/* A server that refuses the sender and takes all the rest. */
static void
sends_nothing_of_a_refused_sender(void **state)
{
	static const char *const script[] = { PIPED, "<MAIL FROM:<a@b>",
	    "<RCPT TO:<r0@y>", "<DATA", ">550 5.7.1 Not you", ">250 Ok",
	    ">354 Go", "<.", ">250 Ok", "E", "<QUIT", NULL };

	(void)state;
	begin();
	submit(0, 1, "x");
	connect_with(false);
	play(script);
	expect(0, RELAY_FAILED, STAGE_MAIL, "5.7.1", "550 5.7.1 Not you");
	assert_int_equal(test.answered, 1);
	finish();
}

static void
defers_recipients_that_are_too_many(void **state)
{
	static const char *const script[] = { PLAIN, "<MAIL FROM:<a@b>",
	    ">250 Ok", "<RCPT TO:<r0@y>", ">250 Ok", "<RCPT TO:<r1@y>",
	    ">452 4.5.3 Too many", "<RCPT TO:<r2@y>",
	    ">552 5.5.3 Too many, really", "<DATA", ">354 Go", "<x", "<.",
	    ">250 Ok", NULL };

	(void)state;
	begin();
	submit(0, 3, "x");
	connect_with(false);
	play(script);
	expect(0, RELAY_DONE, STAGE_MESSAGE, "2.0.0", "250 Ok");
	expect(1, RELAY_DEFERRED, STAGE_RCPT, "4.5.3", "452 4.5.3 Too many");
	expect(2, RELAY_DEFERRED, STAGE_RCPT, "4.5.3", "552 5.5.3 Too many");
	finish();
}

/* Older servers say 552 without a status (RFC 5321 4.5.3.1.10). */
static void
knows_too_many_from_full(void **state)
{
	static const char *const script[] = { PLAIN, "<MAIL FROM:<a@b>",
	    ">250 Ok", "<RCPT TO:<r0@y>", ">552 No room", "<RCPT TO:<r1@y>",
	    ">250 Ok", "<RCPT TO:<r2@y>", ">552 Too many recipients",
	    "<RCPT TO:<r3@y>", ">552 5.2.2 Full", "<DATA", NULL };

	(void)state;
	begin();
	submit(0, 4, "x");
	connect_with(false);
	play(script);
	expect(0, RELAY_FAILED, STAGE_RCPT, "5.0.0", "552 No room");
	expect(2, RELAY_DEFERRED, STAGE_RCPT, "4.5.3", "552 Too many");
	expect(3, RELAY_FAILED, STAGE_RCPT, "5.2.2", "552 5.2.2 Full");
	finish();
}

/* Whoever has bounced at one server is not sent to at the next. */
static void
leaves_out_who_has_a_result(void **state)
{
	static const char *const first[] = { PIPED, "<MAIL FROM:<a@b>",
	    "<RCPT TO:<r0@y>", "<DATA", "!", ".", NULL };
	static const char *const second[] = { GREETED, ">250-srv",
	    ">250 SMTPUTF8", "<MAIL FROM:<a@b> SMTPUTF8", ">250 Ok",
	    "<RCPT TO:<r0@y>", ">250 Ok", "<DATA", NULL };
	struct transaction *t;

	(void)state;
	begin();
	t = submit(0, 2, "x");
	strlcpy(t->recipients[1].address, "\xc3\xa4@y", 5);
	connect_with(false);
	play(first);
	expect(1, RELAY_FAILED, STAGE_MAIL, "5.6.7", "needs SMTPUTF8");
	assert_int_equal(test.taken_back, 1);
	connect_with(false);
	play(second);
	finish();
}

static void
speaks_lmtp(void **state)
{
	static const char *const script[] = { ">220 hi", "<LHLO me.test",
	    ">250-srv", ">250 PIPELINING", "<MAIL FROM:<a@b>",
	    "<RCPT TO:<r0@y>", "<RCPT TO:<r1@y>", "<RCPT TO:<r2@y>",
	    "<RCPT TO:<r3@y>", "<DATA", ">250 Ok", ">250 Ok", ">550 No",
	    ">250 Ok", ">250 Ok", ">354 Go", "<x", "<.", ">250 2.0.0 In",
	    ">552 5.2.2 Full", "!", ".", NULL };
	static const char *const no_helo[] = { ">220 hi", "<LHLO me.test",
	    ">500 What", ".", NULL };

	(void)state;
	begin();
	test.policy.lmtp = true;
	submit(0, 4, "x");
	connect_with(false);
	play(script);
	expect(0, RELAY_DONE, STAGE_MESSAGE, "2.0.0", "In");
	expect(1, RELAY_FAILED, STAGE_RCPT, "5.0.0", "550 No");
	expect(2, RELAY_FAILED, STAGE_MESSAGE, "5.2.2", "Full");
	expect(3, RELAY_DEFERRED, STAGE_MESSAGE, "4.5.0", "closed the conn");
	finish();
	begin();
	test.policy.lmtp = true;
	connect_with(false);
	play(no_helo);
	expect_refused(STAGE_GREETING, "4.3.0", "500 What");
	finish();
}

/* Time goes on by leaps, where a test says so. */
static time_t	 leap;

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	long	 result = syscall(SYS_clock_gettime, clock, now);

	now->tv_sec += leap;
	return (int)result;
}

static void
ends_after_some_minutes(void **state)
{
	static const char *const first[] = { PLAIN, SENT(0), NULL };
	static const char *const second[] = { ">250 One", SENT(1), NULL };
	static const char *const last[] = { ">250 Two", "<QUIT", "T", ".",
	    NULL };

	(void)state;
	begin();
	submit(0, 1, "x");
	submit(1, 1, "x");
	submit(2, 1, "x");
	connect_with(false);
	play(first);
	leap = 4 * 60;
	play(second);
	leap += 4 * 60;
	play(last);
	leap = 0;
	assert_int_equal(test.answered, 2);
	assert_int_equal(test.left, 1);
	finish();
}

static void
ends_after_so_many_messages(void **state)
{
	static const char *const script[] = { PLAIN, SENT(0), ">250 One",
	    SENT(1), ">250 Two", "<QUIT", "T", ".", NULL };

	(void)state;
	begin();
	test.policy.max_messages = 2;
	submit(0, 1, "x");
	submit(1, 1, "x");
	submit(2, 1, "x");
	connect_with(false);
	play(script);
	assert_int_equal(test.answered, 2);
	assert_int_equal(test.left, 1);
	assert_int_equal(test.rested, 0);
	finish();
}

/* Another hop waits for the host: after some messages it is its turn. */
static void
lets_others_have_their_turn(void **state)
{
	static const char *const opening[] = { PLAIN, NULL };
	static const char *const sent[] = { SENT(0), ">250 Ok", NULL };
	const char *const *step;
	int i, wanted;

	(void)state;
	for (wanted = 0; wanted < 2; wanted++) {
		begin();
		test.wanted = wanted == 1;
		for (i = 0; i < 12; i++)
			submit(0, 1, "x");
		connect_with(false);
		for (step = opening; *step != NULL; step++)
			take_step(*step);
		for (i = wanted == 1 ? 10 : 12; i > 0; i--) {
			test.results[0].verdict = 0;
			for (step = sent; *step != NULL; step++)
				take_step(*step);
		}
		expect_quiet();
		assert_int_equal(test.answered, wanted == 1 ? 10 : 12);
		assert_int_equal(test.rested, 1);
		take_step("E");
		finish();
	}
}

static void
goes_when_nobody_wants_the_answer(void **state)
{
	static const char *const script[] = { PLAIN, "<MAIL FROM:<a@b>",
	    ">250 Ok", "<RCPT TO:<r0@y>", NULL };

	(void)state;
	begin();
	submit(0, 1, "x");
	connect_with(false);
	play(script);
	conversation_drop(test.conversation, NULL);
	assert_non_null(test.stream);
	conversation_drop(test.conversation, (struct link *)&test);
	assert_null(test.stream);
	assert_int_equal(test.answered, 0);
	assert_int_equal(test.left, 1);
	finish();
}

/* RFC 5321 4.5.3.2: who hangs up sooner sends the same message for ever. */
static void
waits_as_long_as_it_should(void **state)
{
	static const struct {
		const char	*reply;
		int		 seconds;	/* for the next one */
	} steps[] = {
		{ "220 hi", 300 }, { "250 srv", 300 }, { "250 Ok", 300 },
		{ "250 Ok", 300 }, { "354 Go", 600 }, { "250 Ok", 45 }
	};
	char *body = malloc(200000);
	size_t i;

	(void)state;
	begin();
	test.policy.idle_time = 45 * SECOND;
	submit(0, 1, "x");
	connect_with(false);
	assert_int_equal(test.stream->patience, 300 * SECOND);
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		evbuffer_drain(test.stream->out,
		    evbuffer_get_length(test.stream->out));
		say_line(steps[i].reply);
		assert_int_equal(test.stream->patience,
		    steps[i].seconds * SECOND);
	}
	finish();
	memset(body, 'x', 199999);
	body[199999] = '\0';
	begin();
	submit(0, 1, body);
	connect_with(false);
	for (i = 0; i < 5; i++) {
		evbuffer_drain(test.stream->out,
		    evbuffer_get_length(test.stream->out));
		say_line(steps[i].reply);
	}
	assert_int_equal(test.stream->patience, 180 * SECOND);
	finish();
	free(body);
}

/* ---- what spoold hands over */

/* A transaction of this file, for so many recipients of which one came. */
static int
complete(FILE *file, uint64_t size, uint32_t recipients, bool keep)
{
	struct w_relay_rcpt_ntf rcpt = { .recipient = 0, .address = "r0@y",
	    .orcpt = "rfc822;a b" };
	struct w_relay_deliver_req req = { .id = 7, .size = size,
	    .recipients = recipients, .sender = "a@b", .envid = "a b",
	    .body_in_file = 1 };
	struct frame frame = { .fd = dup(fileno(file)) };
	struct transaction *t = transaction_new((struct link *)&test, 1);
	int result;

	transaction_add(t, &rcpt);
	result = transaction_complete(t, &req, &frame);
	/* They could not stand in a command. */
	assert_string_equal(t->envid, "");
	assert_string_equal(t->recipients[0].orcpt, "");
	if (frame.fd != -1)
		close(frame.fd);
	if (keep)
		TAILQ_INSERT_TAIL(&test.waiting, t, entry);
	else
		transaction_free(t);
	return result;
}

static void
takes_only_what_fits_together(void **state)
{
	FILE *file = tmpfile();

	(void)state;
	assert_non_null(file);
	assert_true(fputs("Subject: x\n", file) != EOF && fflush(file) == 0);
	assert_int_equal(complete(file, 11, 1, false), 0);
	assert_int_equal(complete(file, 12, 1, false), -1);
	assert_int_equal(complete(file, 10, 1, false), -1);
	assert_int_equal(complete(file, 11, 2, false), -1);
	assert_int_equal(complete(file, 11, 0, false), -1);
	fclose(file);
}

/* A message that has lost its end is no message: it is not sent without. */
static void
sends_no_part_of_a_message(void **state)
{
	static const char *const script[] = { PLAIN, "<MAIL FROM:<a@b>",
	    ">250 Ok", "<RCPT TO:<r0@y>", ">250 Ok", "<DATA", ">354 Go",
	    ".", NULL };
	FILE *file = tmpfile();

	(void)state;
	assert_non_null(file);
	assert_true(fputs("Subject: x\n", file) != EOF && fflush(file) == 0);
	begin();
	assert_int_equal(complete(file, 11, 1, true), 0);
	assert_int_equal(ftruncate(fileno(file), 5), 0);
	connect_with(false);
	play(script);
	expect(0, RELAY_DEFERRED, STAGE_NONE, "4.3.0", "reading the message");
	finish();
	fclose(file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reports_each_recipient),
		cmocka_unit_test(goes_step_by_step_without_pipelining),
		cmocka_unit_test(gives_up_when_nobody_is_left),
		cmocka_unit_test(sends_only_the_dot_for_nobody),
		cmocka_unit_test(never_takes_an_odd_reply_for_success),
		cmocka_unit_test(believes_only_refusals_before_the_dot),
		cmocka_unit_test(streams_a_long_body),
		cmocka_unit_test(tells_what_it_lost),
		cmocka_unit_test(returns_mail_of_a_dead_connection_once),
		cmocka_unit_test(leaves_a_host_that_takes_no_mail),
		cmocka_unit_test(keeps_to_the_size_limit),
		cmocka_unit_test(says_who_needs_smtputf8),
		cmocka_unit_test(tells_whether_the_server_reports),
		cmocka_unit_test(sends_nothing_of_a_refused_sender),
		cmocka_unit_test(defers_recipients_that_are_too_many),
		cmocka_unit_test(knows_too_many_from_full),
		cmocka_unit_test(leaves_out_who_has_a_result),
		cmocka_unit_test(speaks_lmtp),
		cmocka_unit_test(ends_after_some_minutes),
		cmocka_unit_test(ends_after_so_many_messages),
		cmocka_unit_test(lets_others_have_their_turn),
		cmocka_unit_test(goes_when_nobody_wants_the_answer),
		cmocka_unit_test(waits_as_long_as_it_should),
		cmocka_unit_test(takes_only_what_fits_together),
		cmocka_unit_test(sends_no_part_of_a_message)
	};

	alarm(60);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
