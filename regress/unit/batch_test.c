/* links: spoold/batch.c common/log.c common/queueid.c common/clock.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "clock.h"
#include "log.h"
#include "loop.h"
#include "spoold/spoold.h"

/* ---- what stands in for the database and the rest of spoold */

static struct {
	void		(*hook)(void *);
	bool		 begun;
	bool		 again;		/* another turn was asked for */
	int		 refused;	/* commits that fail yet */
	enum db_trouble	 trouble;
	int		 commits;
	bool		 put_off;	/* was the last of them? */
	/* What stands in for the syncers. */
	bool		 slow;		/* they are worth it */
	int64_t		 mean;
	void		(*synced)(unsigned int);
	bool		 busy[SYNCERS];
	unsigned int	 order[8];	/* in which they were asked */
	int		 asked;
	int		 waits;		/* for one of them, at once */
} s;

void
loop_add_hook(enum loop_stage stage, void (*fn)(void *), void *arg)
{
	(void)stage;
	(void)arg;
	s.hook = fn;
}

void
loop_again(void)
{
	s.again = true;
}

int
db_run(enum sql sql, const char *types, ...)
{
	(void)types;
	s.begun = sql == SQL_BEGIN;
	return 0;
}

int
db_commit(bool put_off)
{
	s.commits++;
	s.put_off = put_off;
	if (s.refused > 0) {
		s.refused--;
		return -1;
	}
	s.begun = false;
	return 0;
}

void
syncer_start(void (*done)(unsigned int))
{
	s.synced = done;
}

bool
syncer_is_worth_it(void)
{
	return s.slow;
}

int64_t
syncer_mean(void)
{
	return s.mean;
}

void
syncer_begin(unsigned int n)
{
	assert_true(s.put_off);
	assert_false(s.busy[n]);
	s.busy[n] = true;
	s.order[s.asked++] = n;
}

static void
answer(unsigned int n)
{
	assert_true(s.busy[n]);
	s.busy[n] = false;
	s.synced(n);
}

/* The sync that was asked for then, of a test, has returned. */
static void
sync_returns(int which)
{
	answer(s.order[which]);
}

void
syncer_wait(unsigned int n)
{
	s.waits++;
	answer(n);
}

bool
db_in_transaction(void)
{
	return s.begun;
}

enum db_trouble
db_trouble(void)
{
	return s.trouble;
}

const char *
db_why(void)
{
	return "of a test";
}

bool
ledger_needs_batch(void)
{
	return false;
}

int
ledger_finish_batch(void)
{
	return 0;
}

void
ledger_end_batch(bool committed)
{
	(void)committed;
}

int
body_sync_directories(void)
{
	return 0;
}

void
reserve_trouble(const char *why)
{
	(void)why;
}

void
idle_busy(void)
{
}

void
queue_wake(void)
{
}

/* ---- works that note in which turn they were done */

#define WORKS	2000

struct noted {
	struct work	 work;
	int		 turn;		/* 0: not yet */
	int		 result;
};

static struct noted	 results[WORKS], requests[WORKS];
static int		 turn;
static bool		 may_wait = true;	/* of what is added */

static int
run(struct work *work)
{
	(void)work;
	return 0;
}

static void
done(struct work *work, int result)
{
	struct noted	*noted = (struct noted *)work;

	noted->turn = turn;
	noted->result = result;
}

static void
add(struct noted *noted, size_t count, bool must)
{
	size_t	 i;

	memset(noted, 0, count * sizeof(*noted));
	for (i = 0; i < count; i++) {
		noted[i].work.may_wait = may_wait;
		noted[i].work.run = run;
		noted[i].work.done = done;
		noted[i].work.must = must;
		batch_add(&noted[i].work);
	}
}

static void
take_turn(void)
{
	turn++;
	s.again = false;
	s.hook(NULL);
}

static size_t
count_of(const struct noted *noted, size_t count, int wanted)
{
	size_t	 i, n = 0;

	for (i = 0; i < count; i++)
		n += noted[i].turn == wanted;
	return n;
}

static void
results_come_first_and_leave_room(void **state)
{
	(void)state;
	turn = 0;
	add(requests, 300, false);
	add(results, 1000, true);
	take_turn();
	assert_true(s.again);
	assert_int_equal(count_of(results, 1000, 1), 128);
	assert_int_equal(count_of(requests, 300, 1), 128);
	assert_int_equal(requests[0].turn, 1);
	take_turn();
	take_turn();
	assert_int_equal(count_of(requests, 300, 0), 0);
	/* What no request takes is theirs. */
	assert_int_equal(count_of(results, 1000, 3), 256 - 44);
	while (s.again)
		take_turn();
	assert_int_equal(count_of(results, 1000, 0), 0);
	assert_true(batch_idle());
}

static void
few_go_together(void **state)
{
	(void)state;
	turn = 0;
	add(results, 100, true);
	add(requests, 100, false);
	take_turn();
	assert_false(s.again);
	assert_int_equal(count_of(results, 100, 1), 100);
	assert_int_equal(count_of(requests, 100, 1), 100);
}

static void
what_fails_alone_is_refused_or_kept(void **state)
{
	(void)state;
	turn = 0;
	add(results, 1, true);
	add(requests, 2, false);
	s.trouble = DB_FULL;
	s.refused = 3;		/* together, the result, one request */
	take_turn();
	assert_int_equal(results[0].turn, 0);
	assert_int_equal(requests[0].result, -1);
	assert_int_equal(requests[1].result, 0);
	assert_true(batch_stalled());
	/* Mail that needs no result goes on meanwhile. */
	add(requests, 1, false);
	take_turn();
	assert_int_equal(requests[0].result, 0);
	assert_int_equal(results[0].turn, 0);
	assert_true(batch_stalled());
}

/* ---- on a disk whose syncs are long */

static int
begin_slowly(void **state)
{
	(void)state;
	turn = 0;
	memset(&s.busy, 0, sizeof(s.busy));
	s.slow = true;
	s.mean = 0;
	s.waits = s.commits = s.asked = 0;
	s.refused = 0;
	s.trouble = DB_OTHER;
	may_wait = true;
	return 0;
}

static int
end_slowly(void **state)
{
	int	 i;

	(void)state;
	s.slow = false;
	may_wait = true;
	for (i = 0; i < s.asked; i++)
		if (s.busy[s.order[i]])
			sync_returns(i);
	take_turn();
	assert_true(batch_idle());
	return 0;
}

static void
nothing_is_done_before_its_sync(void **state)
{
	(void)state;
	add(requests, 3, false);
	take_turn();
	assert_int_equal(s.asked, 1);
	assert_int_equal(count_of(requests, 3, 0), 3);
	assert_false(batch_idle());
	take_turn();
	assert_int_equal(count_of(requests, 3, 0), 3);
	sync_returns(0);
	assert_int_equal(count_of(requests, 3, 0), 0);
	assert_int_equal(requests[2].result, 0);
	assert_true(batch_idle());
	assert_int_equal(s.waits, 0);
}

static void
nothing_is_done_before_what_was_committed_before_it(void **state)
{
	struct noted	*two = requests + 1, *three = requests + 2;

	(void)state;
	add(requests, 1, false);
	take_turn();
	add(two, 1, false);
	take_turn();
	add(three, 1, false);
	take_turn();
	assert_int_equal(s.commits, 3);
	sync_returns(2);
	sync_returns(1);
	assert_int_equal(count_of(requests, 3, 0), 3);
	sync_returns(0);
	assert_int_equal(count_of(requests, 3, 0), 0);
}

static void
no_more_are_out_than_there_are_syncers(void **state)
{
	int	 i;

	(void)state;
	for (i = 0; i < SYNCERS; i++) {
		add(&requests[i], 1, false);
		take_turn();
	}
	assert_int_equal(s.commits, SYNCERS);
	add(&requests[i], 1, false);
	take_turn();
	assert_int_equal(s.commits, SYNCERS);
	assert_false(s.again);
	sync_returns(0);
	/* First the answers leave, then there is another turn. */
	take_turn();
	assert_int_equal(s.commits, SYNCERS);
	assert_true(s.again);
	take_turn();
	assert_int_equal(s.commits, SYNCERS + 1);
	sync_returns(1);
	sync_returns(2);
	assert_int_equal(requests[i].turn, 0);
	sync_returns(3);
	assert_int_equal(requests[i].turn, turn);
}

static void
they_start_at_a_distance_and_not_for_results_alone(void **state)
{
	(void)state;
	s.mean = 1000 * SECOND;
	add(requests, 1, false);
	take_turn();
	add(requests + 1, 1, false);
	take_turn();
	assert_int_equal(s.commits, 1);
	s.mean = 0;
	take_turn();
	assert_int_equal(s.commits, 2);
	add(results, 1, true);
	take_turn();
	assert_int_equal(s.commits, 2);
	sync_returns(0);
	sync_returns(1);
	take_turn();
	take_turn();
	assert_int_equal(s.commits, 3);
	sync_returns(2);
	assert_int_not_equal(results[0].turn, 0);
}

/* Who may not wait finds all done that was committed before. */
static int
run_pressing(struct work *work)
{
	(void)work;
	assert_int_equal(count_of(requests, 2, 0), 0);
	return 0;
}

static void
what_may_not_wait_does_not(void **state)
{
	(void)state;
	add(requests, 1, false);
	take_turn();
	add(requests + 1, 1, false);
	take_turn();
	may_wait = false;
	add(results, 1, true);
	results[0].work.run = run_pressing;
	take_turn();
	assert_int_equal(s.waits, 2);
	assert_false(s.put_off);
	assert_int_equal(results[0].turn, turn);
	/* It was alone in that. */
	may_wait = true;
	add(requests, 1, false);
	take_turn();
	take_turn();
	assert_true(s.put_off);
	sync_returns(2);
}

static void
what_fails_is_tried_alone_behind_what_is_out(void **state)
{
	(void)state;
	add(requests, 2, false);
	take_turn();
	add(requests + 2, 1, false);
	s.trouble = DB_FULL;
	s.refused = 1;
	take_turn();
	assert_int_equal(s.waits, 1);
	assert_int_equal(count_of(requests, 3, 0), 0);
	assert_false(s.put_off);
	assert_int_equal(requests[2].result, 0);
}

static void
at_the_end_all_is_on_disk(void **state)
{
	(void)state;
	add(requests, 1, false);
	take_turn();
	add(requests + 1, 1, false);
	add(results, 1, true);
	batch_finish();
	assert_true(batch_idle());
	assert_int_equal(count_of(requests, 2, 0), 0);
	assert_int_equal(count_of(results, 1, 0), 0);
	assert_false(s.put_off);
}

#define SLOW(test) \
	cmocka_unit_test_setup_teardown(test, begin_slowly, end_slowly)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(results_come_first_and_leave_room),
		cmocka_unit_test(few_go_together),
		SLOW(nothing_is_done_before_its_sync),
		SLOW(nothing_is_done_before_what_was_committed_before_it),
		SLOW(no_more_are_out_than_there_are_syncers),
		SLOW(they_start_at_a_distance_and_not_for_results_alone),
		SLOW(what_may_not_wait_does_not),
		SLOW(what_fails_is_tried_alone_behind_what_is_out),
		/* From then on the process ends, and results are kept. */
		SLOW(at_the_end_all_is_on_disk),
		cmocka_unit_test(what_fails_alone_is_refused_or_kept)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	batch_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
