/* links: spoold/idle.c common/log.c common/queueid.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "clock.h"
#include "loop.h"
#include "spoold/spoold.h"

#define MIB	(1024 * 1024)

/* ---- what stands in for the clock, the database and the rest of spoold */

static struct {
	void		(*hook)(void *);
	int64_t		 now;
	int64_t		 size;		/* of the log */
	int64_t		 takes;		/* a checkpoint */
	bool		 full;		/* the disk */
	bool		 works;		/* wait to be on disk */
	unsigned int	 scans;
	unsigned int	 checkpoints;
	unsigned int	 troubles;
} s;

void
loop_add_hook(enum loop_stage stage, void (*fn)(void *), void *arg)
{
	(void)stage;
	(void)arg;
	s.hook = fn;
}

int64_t
clock_now(void)
{
	return s.now;
}

int64_t
clock_monotonic(void)
{
	return s.now;
}

bool
batch_idle(void)
{
	return !s.works;
}

int64_t
db_wal_size(void)
{
	return s.size;
}

int
db_checkpoint(void)
{
	s.checkpoints++;
	s.now += s.takes;
	if (s.full)
		return -1;
	s.size = 0;
	return 0;
}

int
db_run(enum sql sql, const char *types, ...)
{
	(void)sql;
	(void)types;
	return 0;
}

int
db_ask(enum sql sql, const char *types, ...)
{
	(void)sql;
	(void)types;
	return 0;
}

int
db_next(enum sql sql)
{
	(void)sql;
	return 0;
}

void
db_end(enum sql sql)
{
	(void)sql;
}

const char *
db_text(enum sql sql, int column)
{
	(void)sql;
	(void)column;
	return "";
}

const char *
db_why(void)
{
	return "the disk is full";
}

void
reserve_trouble(const char *why)
{
	(void)why;
	s.troubles++;
}

bool
body_scan_slice(bool *removed)
{
	(void)removed;
	s.scans++;
	return false;
}

void
body_scan_start(void)
{
}

/* ---- the tests */

/* The log grows until it is carried over: at which size? */
static int64_t
carried_at(void)
{
	unsigned int	 before = s.checkpoints;
	int64_t		 size;

	for (size = MIB; size <= 64 * MIB; size += MIB) {
		s.size = size;
		s.hook(NULL);
		if (s.checkpoints > before)
			break;
	}
	return size;
}

/* After that many that took so long. */
static int64_t
settles_at(int64_t takes)
{
	int64_t	 size = 0;
	int	 i;

	s.takes = takes;
	for (i = 0; i < 20; i++)
		size = carried_at();
	return size;
}

static void
carries_much_where_that_is_quick(void **state)
{
	(void)state;
	assert_int_equal(settles_at(SECOND / 1000), 32 * MIB);
	/* A clock that stands still divides nothing by zero. */
	assert_int_equal(settles_at(0), 32 * MIB);
}

static void
carries_little_where_that_takes_long(void **state)
{
	(void)state;
	(void)settles_at(SECOND / 1000);
	s.takes = 4 * SECOND / 40;
	assert_int_equal(carried_at(), 32 * MIB);
	assert_int_equal(carried_at(), 8 * MIB);
	assert_int_equal(carried_at(), 4 * MIB);
	assert_int_equal(settles_at(10 * SECOND), 4 * MIB);
}

static void
a_full_disk_is_told_of_and_left_alone(void **state)
{
	(void)state;
	(void)settles_at(10 * SECOND);
	s.takes = 0;
	s.full = true;
	assert_int_equal(carried_at(), 4 * MIB);
	assert_int_equal(s.troubles, 1);
	s.hook(NULL);
	assert_int_equal(s.troubles, 1);
	s.now += 5 * SECOND;
	s.hook(NULL);
	assert_int_equal(s.troubles, 2);
	/* The room is back: what failed says nothing of how long one takes. */
	s.full = false;
	s.now += 5 * SECOND;
	assert_int_equal(carried_at(), 4 * MIB);
}

/* A body that waits for its row is not in the database yet. */
static void
is_not_idle_while_anything_waits(void **state)
{
	(void)state;
	idle_busy();
	s.now += MINUTE;
	s.works = true;
	s.scans = 0;
	idle_tick(s.now);
	assert_int_equal(s.scans, 0);
	s.works = false;
	idle_tick(s.now);
	assert_int_equal(s.scans, 1);
}

int
main(void)
{
	static const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(carries_much_where_that_is_quick),
		cmocka_unit_test(carries_little_where_that_takes_long),
		cmocka_unit_test(a_full_disk_is_told_of_and_left_alone),
		cmocka_unit_test(is_not_idle_while_anything_waits)
	};

	idle_start();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
