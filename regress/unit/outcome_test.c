/* links: spoold/outcome.c spoold/ending.c spoold/retry.c common/log.c
 * common/queueid.c common/clock.c */
/*
 * How attempts end: whether and when there is another, what is stored with
 * the result, and what follows when that is on disk.  The database, the queue
 * and the reports are played.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clock.h"
#include "spoold/spoold.h"

#define NOW	(INT64_C(1700000000) * SECOND)

static struct {
	struct settings	 settings;
	uint32_t	 epoch;
	struct message	 message;
	struct recipient recipient;
	struct work	*work;		/* added last */
	struct message	 report;
	enum report_kind kind;		/* the last that was wanted */
	char		 status[12];	/* of its first ending */
	bool		 is_loop;	/* what the list turns out to be */
	int		 stored;	/* reports: in the transaction, */
	int		 entered;	/* behind it, */
	int		 freed;		/* or forgotten */
	int		 forgotten;	/* finals */
} test;

/* ---- what is around ---- */

const struct settings *
settings(void)
{
	return &test.settings;
}

uint32_t
ledger_epoch(void)
{
	return test.epoch;
}

void
batch_add(struct work *work)
{
	test.work = work;
}

struct message *
notice_make(struct message *about, const struct endings *endings,
    enum report_kind kind)
{
	assert_ptr_equal(about, &test.message);
	test.kind = kind;
	(void)strlcpy(test.status, TAILQ_FIRST(endings)->status,
	    sizeof(test.status));
	return &test.report;
}

int
store_add_message(struct message *message)
{
	assert_ptr_equal(message, &test.report);
	test.stored++;
	return 0;
}

void
queue_enter(struct message *message)
{
	assert_ptr_equal(message, &test.report);
	test.entered++;
}

void
message_free(struct message *message)
{
	assert_ptr_equal(message, &test.report);
	test.freed++;
}

int
expansion_store(struct expansion *expansion, const struct recipient *recipient,
    uint32_t first, enum stored stored)
{
	(void)recipient;
	(void)first;
	(void)stored;
	expansion->is_loop = test.is_loop;
	return 0;
}

void
message_forget_final(struct message *message, uint32_t row)
{
	assert_ptr_equal(message, &test.message);
	assert_int_equal(row, test.recipient.row);
	test.forgotten++;
}

void
message_keep_final(struct message *message, uint32_t row)
{
	(void)message;
	(void)row;
}

/* Two rows, of which one has yet to be tried. */
int
store_left(const struct message *message, uint32_t added, uint32_t ended,
    uint32_t *rows, uint32_t *waiting)
{
	(void)message;
	*rows = 2 + added;
	*waiting = 2 - ended;
	return 0;
}

int
store_remove_message(const struct message *message, bool attempts)
{
	(void)message;
	(void)attempts;
	return 1;
}

const char *
recipient_sender(const struct recipient *recipient)
{
	return recipient->message->sender;
}

void
recipient_set(struct recipient *recipient, enum recipient_state state)
{
	recipient->state = state;
}

bool
queue_has_room(void)
{
	return true;
}

bool
queue_reserve(uint32_t count)
{
	return count > 0;
}

int
store_attempt(const struct ending *ending)
{
	(void)ending;
	return 0;
}

int
store_defer(const struct ending *ending)
{
	(void)ending;
	return 0;
}

int
store_end(const struct ending *ending)
{
	(void)ending;
	return 0;
}

#define NOTHING(name, argument)	\
	void name(argument unused) { (void)unused; }
#define NOTHING_SET(name, argument)	\
	void name(argument unused, bool set) { (void)unused; (void)set; }

NOTHING(attempt_begin, struct recipient *)
NOTHING(body_remove, uint64_t)
NOTHING(expansion_free, struct expansion *)
NOTHING(gate_clear, struct recipient *)
NOTHING_SET(lane_set_asleep, struct lane *)
NOTHING_SET(lane_set_backlog, struct lane *)
NOTHING(message_release, struct message *)
NOTHING(queue_due_at, int64_t)
NOTHING(queue_expect, struct message *)
NOTHING(queue_forget, struct message *)
NOTHING(queue_leave, struct recipient *)
NOTHING(queue_take, struct recipient *)
NOTHING(queue_unreserve, uint32_t)
NOTHING(recipient_free, struct recipient *)
NOTHING(route_free, struct route *)
NOTHING(store_uncount, const struct recipient *)

void
purge_wake(void)
{
}

void
queue_rescan(void)
{
}

/* ---- the recipient ---- */

static int
begin(void **state)
{
	static char empty[] = "", sender[] = "a@b.test";

	(void)state;
	memset(&test, 0, sizeof(test));
	test.settings.retry_min = 5 * MINUTE;
	test.settings.retry_max = 4 * HOUR;
	test.settings.expire = 5 * DAY;
	test.settings.bounce_expire = DAY;
	test.settings.delay_notice = 4 * HOUR;
	test.message.rows = 2;
	test.message.sender = sender;
	test.message.arrival = NOW;
	test.recipient.message = &test.message;
	test.recipient.row = 7;
	test.recipient.address = test.recipient.target =
	    test.recipient.original = empty;
	return 0;
}

/* An end of the recipient, on its way to the batch. */
static struct ending *
end_with(enum ending_kind kind, struct expansion *expansion)
{
	struct outcome	*outcome = outcome_new(&test.message);
	struct ending	*ending;

	ending = outcome_add(outcome, &test.recipient, kind,
	    kind == ENDING_FAILED ? "5.0.0" : kind == ENDING_DEFERRED ?
	    "4.0.0" : "2.0.0", "so it is", "");
	ending->expansion = expansion;
	test.work = NULL;
	outcome_store(outcome);
	assert_non_null(test.work);
	assert_true(test.work->must);
	return ending;
}

/* The batch is run, and is on disk. */
static void
commit(void)
{
	struct work	*work = test.work;

	assert_int_equal(work->run(work), 0);
	work->done(work, 0);
}

static void
new_list(struct expansion *list)
{
	memset(list, 0, sizeof(*list));
	TAILQ_INIT(&list->added);
	list->count = 1;
}

/* ---- what is stored, and what follows ---- */

/* Rows of a list that are on disk before memory has them are nobody's. */
static void
lists_are_synced_in_place(void **state)
{
	struct expansion	 list;

	(void)state;
	end_with(ENDING_DELIVERED, NULL);
	assert_true(test.work->may_wait);
	commit();
	end_with(ENDING_DEFERRED, NULL);
	assert_true(test.work->may_wait);
	commit();
	new_list(&list);
	end_with(ENDING_EXPANDED, &list);
	assert_false(test.work->may_wait);
	commit();
}

/* What led back to itself reached nobody: nobody is told that it had. */
static void
a_loop_is_no_success(void **state)
{
	struct expansion	 list;

	(void)state;
	test.recipient.notify = NOTIFY_SUCCESS;
	new_list(&list);
	end_with(ENDING_EXPANDED, &list);
	assert_int_equal(test.kind, REPORT_SUCCESS);
	commit();
	assert_int_equal(test.stored, 1);
	assert_int_equal(test.entered, 1);
	begin(NULL);
	test.recipient.notify = NOTIFY_SUCCESS | NOTIFY_FAILURE;
	test.is_loop = true;
	new_list(&list);
	end_with(ENDING_EXPANDED, &list);
	commit();
	assert_int_equal(test.stored, 0);
	assert_int_equal(test.entered, 0);
	assert_int_equal(test.freed, 1);
	/* But that it failed. */
	assert_string_equal(test.status, "5.4.6");
	commit();
	assert_true(test.stored >= 1);
}

/* Where it was not delivered another row of the message may be. */
static void
who_failed_leaves_his_place(void **state)
{
	(void)state;
	end_with(ENDING_DELIVERED, NULL);
	commit();
	assert_int_equal(test.forgotten, 0);
	end_with(ENDING_DEFERRED, NULL);
	commit();
	assert_int_equal(test.forgotten, 1);
	end_with(ENDING_FAILED, NULL);
	commit();
	assert_int_equal(test.forgotten, 2);
}

/* ---- what it means ---- */

static struct ending
decide(enum ending_kind kind, int64_t now)
{
	struct ending	 ending = {
		.recipient = &test.recipient, .kind = kind,
		.status = "4.4.4"
	};

	ending_decide(&ending, now);
	return ending;
}

static void
poison_waits_longer_and_is_held(void **state)
{
	struct ending	 ending;

	(void)state;
	ending = decide(ENDING_POISON, NOW);
	assert_int_equal(ending.next, NOW + MINUTE);
	assert_int_equal(ending.stored, STORED_DEFERRED);
	ending = decide(ENDING_POISON, NOW);
	assert_int_equal(ending.next, NOW + HOUR);
	assert_int_equal(ending.stored, STORED_DEFERRED);
	ending = decide(ENDING_POISON, NOW);
	assert_int_equal(ending.stored, STORED_HELD);
	/* Nothing was tried. */
	assert_int_equal(test.recipient.attempts, 0);
}

/* What was a mistake that might pass is none after a day. */
static void
what_is_in_vain_fails_for_good(void **state)
{
	struct ending	 ending = {
		.recipient = &test.recipient, .kind = ENDING_DEFERRED,
		.status = "4.4.4", .brief = true
	};

	(void)state;
	test.recipient.tries = 4;
	ending_decide(&ending, NOW + 25 * HOUR);
	assert_int_equal(ending.kind, ENDING_FAILED);
	assert_true(ending.expired);
	assert_string_equal(ending.status, "5.4.4");
	test.recipient.tries = 4;
	ending = decide(ENDING_DEFERRED, NOW + 25 * HOUR);
	assert_int_equal(ending.kind, ENDING_DEFERRED);
	test.recipient.tries = 4;
	ending = decide(ENDING_DEFERRED, NOW + 6 * DAY);
	assert_int_equal(ending.kind, ENDING_FAILED);
	assert_true(ending.expired);
	assert_string_equal(ending.status, "4.4.4");
}

/* A clock that jumped makes nothing old: five more tries are due. */
static void
a_jump_of_the_clock_ends_nothing(void **state)
{
	struct ending	 ending;
	int		 i;

	(void)state;
	test.recipient.tries = 9;
	test.epoch++;
	for (i = 0; i < 4; i++) {
		ending = decide(ENDING_DEFERRED, NOW + 6 * DAY);
		assert_int_equal(ending.kind, ENDING_DEFERRED);
	}
	ending = decide(ENDING_DEFERRED, NOW + 6 * DAY);
	assert_int_equal(ending.kind, ENDING_FAILED);
}

static void
a_delay_is_told_once(void **state)
{
	struct ending	 ending;

	(void)state;
	ending = decide(ENDING_DEFERRED, NOW + 3 * HOUR);
	assert_false(ending.warn);
	ending = decide(ENDING_DEFERRED, NOW + 5 * HOUR);
	assert_true(ending.warn);
	ending = decide(ENDING_DEFERRED, NOW + 6 * HOUR);
	assert_false(ending.warn);
}

/* All that waited for a hop must not come back at one moment. */
static void
a_hop_reopens_by_and_by(void **state)
{
	const int64_t	 opens = NOW + 6 * HOUR;
	int64_t		 least = INT64_MAX, most = 0;
	int		 i;

	(void)state;
	for (i = 0; i < 100; i++) {
		struct ending	 ending = {
			.recipient = &test.recipient,
			.kind = ENDING_DEFERRED, .not_before = opens
		};

		test.recipient.attempts = 0;
		ending_decide(&ending, NOW);
		assert_in_range(ending.next, opens, opens + 10 * SECOND);
		least = ending.next < least ? ending.next : least;
		most = ending.next > most ? ending.next : most;
	}
	assert_true(most - least > SECOND);
}

static void
only_attempts_are_counted(void **state)
{
	struct ending	 ending = {
		.recipient = &test.recipient, .kind = ENDING_DEFERRED,
		.waited = true, .not_before = NOW + HOUR
	};

	(void)state;
	decide(ENDING_PUT_BACK, NOW);
	assert_int_equal(test.recipient.attempts, 0);
	assert_int_equal(test.recipient.tries, 0);
	/* Waiting for a hop is a try, though: a dead one must have an end. */
	ending_decide(&ending, NOW);
	assert_int_equal(test.recipient.attempts, 0);
	assert_int_equal(test.recipient.tries, 1);
	decide(ENDING_DEFERRED, NOW);
	assert_int_equal(test.recipient.attempts, 1);
	assert_int_equal(test.recipient.tries, 2);
}

static void
what_was_given_up_is_not_tried_again(void **state)
{
	struct ending	 ending;

	(void)state;
	test.recipient.give_up = true;
	ending = decide(ENDING_DEFERRED, NOW);
	assert_int_equal(ending.kind, ENDING_FAILED);
	assert_false(ending.expired);
	assert_int_equal(ending.stored, STORED_DONE);
	assert_int_equal(ending.next, 0);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test_setup(lists_are_synced_in_place, begin),
		cmocka_unit_test_setup(a_loop_is_no_success, begin),
		cmocka_unit_test_setup(who_failed_leaves_his_place, begin),
		cmocka_unit_test_setup(poison_waits_longer_and_is_held, begin),
		cmocka_unit_test_setup(what_is_in_vain_fails_for_good, begin),
		cmocka_unit_test_setup(a_jump_of_the_clock_ends_nothing,
		    begin),
		cmocka_unit_test_setup(a_delay_is_told_once, begin),
		cmocka_unit_test_setup(a_hop_reopens_by_and_by, begin),
		cmocka_unit_test_setup(only_attempts_are_counted, begin),
		cmocka_unit_test_setup(what_was_given_up_is_not_tried_again,
		    begin)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
