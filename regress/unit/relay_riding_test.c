/* links: relay/conversation.c relay/opening.c relay/envelope.c
 *	relay/login.c relay/transcript.c relay/reply.c relay/body.c
 *	relay/command.c relay/transaction.c common/log.c common/clock.c
 *	common/queueid.c */
/*
 * The commands of a transaction that ride behind the dot of the one before:
 * when they do, and whose each reply is, whatever becomes of either.
 */
#include <sys/syscall.h>
#include <time.h>

#include "relay_played.h"

#define GROUP(n)	"<MAIL FROM:<a@b>", "<RCPT TO:<r" #n "@y>", "<DATA"
#define ANSWERED	">250 2.1.0 Ok", ">250 2.1.5 Ok", ">354 Go"
/* The first is answered, and the second has left with the third behind it. */
#define RIDING	PIPED, GROUP(0), ANSWERED, "<x", "<.", ">250 2.0.0 One", \
	GROUP(1), ANSWERED, "<x", "<.", GROUP(2)

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
begin_with(int count)
{
	int i;

	begin();
	test.crowded = true;
	for (i = 0; i < count; i++)
		submit((uint32_t)i, 1, "x");
	connect_with(false);
}

static void
halves_the_round_trips(void **state)
{
	static const char *const script[] = { RIDING, ">250 2.0.0 Two",
	    ANSWERED, "<x", "<.", GROUP(3), ">250 2.0.0 Three", ANSWERED,
	    "<x", "<.", ">250 2.0.0 Four", "T", "<QUIT", ">221 Bye", ".",
	    NULL };

	(void)state;
	begin_with(4);
	play(script);
	expect(0, RELAY_DONE, STAGE_MESSAGE, "2.0.0", "One");
	expect(1, RELAY_DONE, STAGE_MESSAGE, "2.0.0", "Two");
	expect(2, RELAY_DONE, STAGE_MESSAGE, "2.0.0", "Three");
	expect(3, RELAY_DONE, STAGE_MESSAGE, "2.0.0", "Four");
	assert_int_equal(test.answered, 4);
	assert_int_equal(test.rested, 1);
	assert_int_equal(test.endpoint.wary_until, 0);
	finish();
}

/* Refused or not, the one ahead says nothing of who rides behind it. */
static void
gives_each_its_own_replies(void **state)
{
	static const char *const script[] = { RIDING, ">554 5.7.1 Spam",
	    ANSWERED, "<x", "<.", GROUP(3), ">451 4.3.0 No", ANSWERED, "<x",
	    "<.", ">250 2.0.0 Four", "E", "<QUIT", NULL };

	(void)state;
	begin_with(4);
	play(script);
	expect(1, RELAY_FAILED, STAGE_MESSAGE, "5.7.1", "554 5.7.1 Spam");
	expect(2, RELAY_DEFERRED, STAGE_MESSAGE, "4.3.0", "451 4.3.0 No");
	expect(3, RELAY_DONE, STAGE_MESSAGE, "2.0.0", "Four");
	assert_int_equal(test.answered, 4);
	finish();
}

/*
 * A reply to the dot that comes twice, or not at all, shifts those to who
 * rides: none of them is believed, be it refused or not, and it goes over
 * another connection by itself.  Who shifts them has no riders for a while.
 */
static void
believes_none_out_of_place(void **state)
{
	static const char *const twice[] = { RIDING, ">250 2.0.0 Two",
	    ">250 2.0.0 Two", ">250 2.1.0 Ok", ">250 2.1.5 Ok", ".", NULL };
	static const char *const thrice[] = { RIDING, ">250 2.0.0 Two",
	    ">250 2.0.0 Two", ">250 2.0.0 Two", ">250 2.1.0 Ok", ".", NULL };
	static const char *const left_out[] = { RIDING, ">250 2.0.0 Two",
	    ">250 2.1.5 Ok", ">354 Go", ".", NULL };
	static const char *const mail_shifted[] = { RIDING, ">250 2.0.0 Two",
	    ">250 2.0.0 Two", ">550 5.7.1 No", ".", NULL };
	static const char *const rcpt_shifted[] = { RIDING, ">250 2.0.0 Two",
	    ">250 2.0.0 Two", ">250 2.1.0 Ok", ">550 5.1.1 Nobody", ".",
	    NULL };
	static const char *const dot_refused[] = { RIDING, ">250 2.0.0 Two",
	    ">554 5.7.1 Spam", ".", NULL };
	static const char *const full[] = { RIDING, ">250 2.0.0 Two",
	    ">250 2.1.0 Ok", ">452 4.5.3 Later", ".", NULL };
	static const char *const *const scripts[] = { twice, thrice, left_out,
	    mail_shifted, rcpt_shifted, dot_refused, full };
	static const char *const alone[] = { PIPED, GROUP(2),
	    ">250 2.1.0 Ok", ">550 5.1.1 Nobody", ">503 Nobody", "<RSET",
	    ">250 Ok", "T", "<QUIT", NULL };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		begin_with(3);
		play(scripts[i]);
		expect(1, RELAY_DONE, STAGE_MESSAGE, "2.0.0", "Two");
		assert_int_equal(test.results[2].verdict, 0);
		assert_int_equal(test.answered, 2);
		assert_int_equal(test.taken_back, 1);
		assert_int_equal(test.failed, 0);
		assert_true((test.endpoint.wary_until > 0) == (i < 3));
		connect_with(false);
		play(alone);
		expect(2, RELAY_FAILED, STAGE_RCPT, "5.1.1", "Nobody");
		finish();
	}
}

/* What stands behind 354 cannot be an answer to what comes: nothing leaves. */
static void
sends_nothing_out_of_step(void **state)
{
	static const char *const script[] = { RIDING, ">250 2.0.0 Two",
	    ">250 2.1.0 Ok", ">250 2.1.5 Ok", ">354 Go\r\n250 2.0.0 Two",
	    ".", NULL };

	(void)state;
	begin_with(3);
	play(script);
	expect(1, RELAY_DONE, STAGE_MESSAGE, "2.0.0", "Two");
	expect(2, RELAY_DEFERRED, STAGE_DATA, "4.5.0", "said more than");
	finish();
}

static void
takes_back_who_rode(void **state)
{
	static const char *const cut[] = { RIDING, "!", ".", NULL };
	static const char *const late[] = { RIDING, "T", ".", NULL };
	static const char *const closing[] = { RIDING, ">421 4.3.2 Down",
	    ".", NULL };
	static const char *const *const scripts[] = { cut, late, closing };
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		begin_with(3);
		play(scripts[i]);
		expect(1, RELAY_DEFERRED, STAGE_MESSAGE, i < 2 ? "4.4.2" :
		    "4.3.2", "");
		assert_int_equal(test.results[2].verdict, 0);
		assert_int_equal(test.answered, 2);
		assert_int_equal(test.taken_back, 1);
		assert_int_equal(test.failed, 0);
		assert_int_equal(test.left, 1);
		finish();
	}
}

/*
 * A server that loses what came early, or the message before it, gets all
 * step by step for a while.
 */
static void
learns_that_it_is_not_heard(void **state)
{
	static const char *const cut[] = { RIDING, "!", ".", NULL };
	static const char *const silent[] = { RIDING, "T", ".", NULL };
	static const char *const cut_later[] = { RIDING, ">250 2.0.0 Two",
	    "!", ".", NULL };
	static const char *const silent_later[] = { RIDING, ">250 2.0.0 Two",
	    "T", ".", NULL };
	static const char *const *const scripts[] = { cut, silent, cut_later,
	    silent_later };
	static const char *const wary[] = { PIPED, GROUP(2), ANSWERED, "<x",
	    "<.", ">250 2.0.0 Three", GROUP(3), ANSWERED, "<x", "<.",
	    ">250 2.0.0 Four", GROUP(4), NULL };
	static const char *const again[] = { PIPED, GROUP(2), ANSWERED, "<x",
	    "<.", ">250 2.0.0 Three", GROUP(3), ANSWERED, "<x", "<.",
	    GROUP(4), NULL };
	int i;

	(void)state;
	for (i = 0; i < 8; i++) {
		begin_with(5);
		play(scripts[i / 2]);
		expect(1, i < 4 ? RELAY_DEFERRED : RELAY_DONE, STAGE_MESSAGE,
		    i < 4 ? "4.4.2" : "2.0.0", "");
		assert_int_equal(test.taken_back, 1);
		assert_int_equal(test.answered, 2);
		leap = i % 2 == 0 ? 0 : 3601;
		connect_with(false);
		play(i % 2 == 0 ? wary : again);
		expect(2, RELAY_DONE, STAGE_MESSAGE, "2.0.0", "Three");
		leap = 0;
		finish();
	}
}

/* One that says it has had enough has heard us. */
static void
takes_a_reply_for_hearing(void **state)
{
	static const char *const script[] = { RIDING, ">250 2.0.0 Two",
	    ">421 4.4.2 Enough", ".", NULL };

	(void)state;
	begin_with(3);
	play(script);
	expect(1, RELAY_DONE, STAGE_MESSAGE, "2.0.0", "Two");
	assert_int_equal(test.taken_back, 1);
	assert_int_equal(test.failed, 0);
	assert_int_equal(test.endpoint.wary_until, 0);
	finish();
}

static void
rides_only_where_it_may(void **state)
{
	static const char *const apart[] = { PIPED, GROUP(0), ANSWERED, "<x",
	    "<.", ">250 One", GROUP(1), ANSWERED, "<x", "<.", ">250 Two",
	    GROUP(2), NULL };
	static const char *const plain[] = { PLAIN, SENT(0), ">250 One",
	    SENT(1), ">250 Two", SENT(2), NULL };
	static const char *const two[] = { PIPED, GROUP(0), ANSWERED, "<x",
	    "<.", ">250 One", GROUP(1), ANSWERED, "<x", "<.", ">250 Two",
	    "<QUIT", NULL };
	static const char *const first[] = { PIPED, GROUP(0), ANSWERED, "<x",
	    "<.", NULL };
	static const char *const second[] = { ">250 One", GROUP(1), ANSWERED,
	    "<x", "<.", NULL };

	(void)state;
	begin_with(3);
	test.crowded = false;
	play(apart);
	finish();
	begin_with(3);
	play(plain);
	finish();
	begin_with(3);
	test.policy.max_messages = 2;
	play(two);
	finish();
	/* The last answer took its time. */
	begin_with(3);
	play(first);
	leap = 2;
	play(second);
	leap = 0;
	finish();
}

/* What has been heard is told by what has left: the dot, not who rides. */
static void
knows_whether_the_dot_has_left(void **state)
{
	static const char *const script[] = { PIPED, GROUP(0), ANSWERED, "<x",
	    "<.", ">250 2.0.0 One", GROUP(1), ANSWERED, NULL };
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		begin_with(3);
		for (const char *const *step = script; *step != NULL; step++)
			take_step(*step);
		expect_line("x");
		if (i == 0)
			expect_line(".");
		say_line("250 2.0.0 Two");
		if (i == 0)
			expect(1, RELAY_DONE, STAGE_MESSAGE, "2.0.0", "Two");
		else
			expect(1, RELAY_DEFERRED, STAGE_DATA, "4.3.0", "Two");
		assert_int_equal(test.taken_back, (int)i);
		finish();
	}
}

/*
 * LMTP answers the dot for each recipient.  One that gave an answer too few
 * would have the next transaction's taken for it.
 */
static void
rides_behind_one_of_lmtp(void **state)
{
	static const char *const script[] = { ">220 hi", "<LHLO me.test",
	    ">250-srv", ">250 PIPELINING", GROUP(0), ANSWERED, "<x", "<.",
	    ">250 2.0.0 One", GROUP(1), ANSWERED, "<x", "<.",
	    "<MAIL FROM:<a@b>", "<RCPT TO:<r2@y>", "<RCPT TO:<r3@y>", "<DATA",
	    ">250 2.0.0 Two", ">250 Ok", ANSWERED, "<x", "<.",
	    ">250 2.0.0 Three", NULL };
	static const char *const all[] = { ">452 4.2.2 Full", GROUP(4),
	    NULL };
	static const char *const few[] = { "T", ".", NULL };
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		begin();
		test.crowded = true;
		test.policy.lmtp = true;
		submit(0, 1, "x");
		submit(1, 1, "x");
		submit(2, 2, "x");
		submit(4, 1, "x");
		connect_with(false);
		play(script);
		play(i == 0 ? all : few);
		expect(1, RELAY_DONE, STAGE_MESSAGE, "2.0.0", "Two");
		expect(2, RELAY_DONE, STAGE_MESSAGE, "2.0.0", "Three");
		expect(3, RELAY_DEFERRED, STAGE_MESSAGE, i == 0 ? "4.2.2" :
		    "4.5.0", i == 0 ? "Full" : "took too long");
		assert_int_equal(test.answered, 3);
		finish();
	}
}

/* What cannot be sent does not ride: another does. */
static void
passes_over_what_cannot_ride(void **state)
{
	static const char *const script[] = { PIPED, GROUP(0), ANSWERED, "<x",
	    "<.", ">250 One", GROUP(1), ANSWERED, "<x", "<.", GROUP(3),
	    ">250 Two", ANSWERED, "<x", "<.", ">250 Four", "E", "<QUIT",
	    NULL };
	struct transaction *t;

	(void)state;
	begin_with(2);
	t = submit(2, 1, "x");
	strlcpy(t->recipients[0].address, "\xc3\xa4@y", 5);
	submit(3, 1, "x");
	play(script);
	expect(2, RELAY_FAILED, STAGE_MAIL, "5.6.7", "needs SMTPUTF8");
	assert_int_equal(test.answered, 4);
	finish();
}

/* spoold was started again: what it had asked for before is dropped. */
static void
drops_what_nobody_asked_for(void **state)
{
	static const char *const script[] = { RIDING, NULL };
	struct transaction *t;
	int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		begin_with(2);
		t = submit(2, 1, "x");
		if (i == 1)
			t->link = (struct link *)&leap;
		play(script);
		if (i == 2) {
			conversation_drop(test.conversation, NULL);
			assert_non_null(test.stream);
			finish();
			continue;
		}
		conversation_drop(test.conversation, (struct link *)&test);
		assert_null(test.stream);
		assert_int_equal(test.answered, 1);
		assert_int_equal(test.taken_back, i);
		assert_int_equal(test.left, 1);
		finish();
	}
	begin_with(2);
	t = submit(2, 1, "x");
	t->link = (struct link *)&leap;
	play(script);
	conversation_drop(test.conversation, (struct link *)&leap);
	assert_null(test.stream);
	expect(1, RELAY_DEFERRED, STAGE_NONE, "4.3.2", "given up");
	assert_int_equal(test.taken_back, 0);
	finish();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(halves_the_round_trips),
		cmocka_unit_test(gives_each_its_own_replies),
		cmocka_unit_test(believes_none_out_of_place),
		cmocka_unit_test(sends_nothing_out_of_step),
		cmocka_unit_test(takes_back_who_rode),
		cmocka_unit_test(learns_that_it_is_not_heard),
		cmocka_unit_test(takes_a_reply_for_hearing),
		cmocka_unit_test(rides_only_where_it_may),
		cmocka_unit_test(knows_whether_the_dot_has_left),
		cmocka_unit_test(rides_behind_one_of_lmtp),
		cmocka_unit_test(passes_over_what_cannot_ride),
		cmocka_unit_test(drops_what_nobody_asked_for)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
