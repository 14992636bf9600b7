/* links: spoold/pace.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock.h"
#include "spoold/spoold.h"

static void
starts_with_few(void **state)
{
	struct pace	 pace;

	(void)state;
	pace_start(&pace, 20);
	assert_int_equal(pace.allowed, 5);
	assert_false(pace.proven);
	pace_start(&pace, 2);
	assert_int_equal(pace.allowed, 2);
	pace_start(&pace, 0);
	assert_int_equal(pace.allowed, 1);
}

static void
grows_by_one_to_the_limit(void **state)
{
	struct pace	 pace;
	uint32_t	 i;

	(void)state;
	pace_start(&pace, 20);
	for (i = 1; i <= 15; i++) {
		pace_reached(&pace, 20);
		assert_int_equal(pace.allowed, 5 + i);
	}
	assert_true(pace.proven);
	pace_reached(&pace, 20);
	assert_int_equal(pace.allowed, 20);
	/* the limit was lowered */
	pace_reached(&pace, 8);
	assert_int_equal(pace.allowed, 8);
}

static void
halves_down_to_one(void **state)
{
	static const uint32_t	 after[] = { 10, 5, 2, 1, 1 };
	struct pace		 pace = { .allowed = 20, .proven = true };
	size_t			 i;

	(void)state;
	for (i = 0; i < sizeof(after) / sizeof(after[0]); i++) {
		pace_failed(&pace);
		assert_int_equal(pace.allowed, after[i]);
		assert_false(pace.proven);
	}
}

static void
probes_with_one(void **state)
{
	struct pace	 pace = { .allowed = 20, .proven = true };

	(void)state;
	pace_probe(&pace);
	assert_int_equal(pace.allowed, 1);
	assert_false(pace.proven);
	pace_reached(&pace, 20);
	assert_int_equal(pace.allowed, 2);
}

/*
 * Send as fast as a rate allows for ten times of it.  Returns the most that
 * any one time saw, which is from one sending up to just before the same
 * time later, and sets all to how many went in the whole.
 */
static int64_t
most_in_a_time(const struct rate *rate, int64_t *all)
{
	static int64_t	 sent[20000];
	int64_t		 now = 1000 * DAY, end = now + 10 * rate->time;
	int64_t		 full_at = 0, opens, most = 0, first = 0, count = 0;

	for (;;) {
		opens = rate_opens(rate, full_at);
		if (opens > now)
			now = opens;
		if (now >= end)
			break;
		sent[count++] = now;
		while (sent[first] <= now - rate->time)
			first++;
		if (count - first > most)
			most = count - first;
		full_at = rate_take(rate, full_at, now);
	}
	*all = count;
	return most;
}

static void
no_time_sees_more_than_the_count(void **state)
{
	static const struct rate	 rates[] = {
		{ 1, MINUTE }, { 2, SECOND }, { 7, MINUTE }, { 19, HOUR },
		{ 100, MINUTE }, { 1000, SECOND }, { 1, 1 }, { 999, DAY }
	};
	int64_t				 all;
	size_t				 i;

	(void)state;
	for (i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		assert_true(most_in_a_time(&rates[i], &all) <=
		    rates[i].count);
		/* and all of them together nearly what it allows */
		assert_true(all >= 10 * rates[i].count * 9 / 10);
	}
}

static void
a_tenth_goes_at_once(void **state)
{
	static const struct rate	 rate = { 100, MINUTE };
	int64_t				 full_at = 0, now = DAY;
	int				 i;

	(void)state;
	for (i = 0; i < 10; i++) {
		assert_true(rate_opens(&rate, full_at) <= now);
		full_at = rate_take(&rate, full_at, now);
	}
	assert_true(rate_opens(&rate, full_at) > now);
	assert_true(rate_opens(&rate, full_at) < now + SECOND);
}

static void
without_a_rate_all_go(void **state)
{
	static const struct rate	 none = { 0, 0 };
	int64_t				 full_at = 0;

	(void)state;
	full_at = rate_take(&none, full_at, DAY);
	assert_true(rate_opens(&none, full_at) < DAY);
}

int
main(void)
{
	static const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(starts_with_few),
		cmocka_unit_test(grows_by_one_to_the_limit),
		cmocka_unit_test(halves_down_to_one),
		cmocka_unit_test(probes_with_one),
		cmocka_unit_test(no_time_sees_more_than_the_count),
		cmocka_unit_test(a_tenth_goes_at_once),
		cmocka_unit_test(without_a_rate_all_go)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
