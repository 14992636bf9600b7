/* links: spoold/batch.c common/log.c common/queueid.c common/clock.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

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
	if (sql == SQL_COMMIT && s.refused > 0) {
		s.refused--;
		return -1;
	}
	s.begun = sql == SQL_BEGIN;
	return 0;
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
store_needs_batch(void)
{
	return false;
}

int
store_finish_batch(void)
{
	return 0;
}

void
store_end_batch(bool committed)
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(results_come_first_and_leave_room),
		cmocka_unit_test(few_go_together),
		cmocka_unit_test(what_fails_alone_is_refused_or_kept)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	batch_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
