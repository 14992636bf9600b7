/* links: spoold/retry.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock.h"
#include "spoold/spoold.h"

static const struct settings limits = {
	.retry_min = MINUTE, .retry_max = HOUR, .expire = 5 * DAY,
	.delay_notice = 4 * HOUR, .bounce_expire = DAY
};

/* The delay before the attempt behind that many, without jitter. */
static int64_t
delay(uint32_t attempts, uint32_t random)
{
	struct retry_facts	 facts = {
		.now = 7 * DAY, .arrival = 7 * DAY - MINUTE,
		.attempts = attempts, .random = random
	};

	return retry_next(&limits, &facts) - facts.now;
}

static void
grows_from_a_minute_to_an_hour(void **state)
{
	uint32_t	 i;

	(void)state;
	assert_true(delay(1, 0) == MINUTE);
	assert_true(delay(2, 0) == 2 * MINUTE);
	assert_true(delay(6, 0) == 32 * MINUTE);
	assert_true(delay(7, 0) == HOUR);
	assert_true(delay(4000000000U, 0) == HOUR);
	for (i = 0; i < 5000; i += 7) {
		assert_true(delay(7, i) <= HOUR);
		assert_true(delay(7, i) >= HOUR - HOUR / 4);
	}
	assert_true(delay(7, 1023) < delay(7, 1));
}

/* Of one that waits for its next hop; without jitter. */
static int64_t
look(int64_t age, int64_t expire)
{
	struct settings		 own = limits;
	struct retry_facts	 facts = {
		.now = 7 * DAY, .arrival = 7 * DAY - age
	};

	own.expire = expire;
	return retry_look(&own, &facts) - facts.now;
}

static void
looks_seldom_but_in_time(void **state)
{
	struct retry_facts	 facts = {
		.now = 7 * DAY, .arrival = 7 * DAY - MINUTE, .random = 1023
	};
	int64_t			 now = 0;
	int			 tries = 1;

	(void)state;
	assert_true(look(MINUTE, 5 * DAY) == HOUR);
	assert_true(retry_look(&limits, &facts) - facts.now == HOUR);
	/* For the notice of delay, and for the end. */
	assert_true(look(4 * HOUR - MINUTE, 5 * DAY) == MINUTE);
	assert_true(look(4 * HOUR, 5 * DAY) == HOUR);
	assert_true(look(5 * DAY - 1, 5 * DAY) == 1);
	assert_true(look(5 * DAY, 5 * DAY) == MINUTE);
	/* Whatever the lifetime, five tries are over little behind its end. */
	for (; now < 10 * MINUTE; tries++)
		now += look(now, 10 * MINUTE);
	assert_true(now + (5 - tries) * MINUTE < 12 * MINUTE);
	assert_true(look(0, SECOND) == SECOND);
	/* No notice is sent of a report. */
	facts.arrival = facts.now - 4 * HOUR + MINUTE;
	facts.random = 0;
	facts.is_bounce = true;
	assert_true(retry_look(&limits, &facts) - facts.now == HOUR);
}

/* The same, of one whose next hop is closed for that long. */
static int64_t
look_at_closed(int64_t age, int64_t closed)
{
	struct retry_facts	 facts = {
		.now = 7 * DAY, .arrival = 7 * DAY - age,
		.opens = 7 * DAY + closed
	};

	return retry_look(&limits, &facts) - facts.now;
}

static void
looks_not_before_the_hop_opens(void **state)
{
	(void)state;
	assert_true(look_at_closed(5 * HOUR, 10 * MINUTE) == HOUR);
	assert_true(look_at_closed(5 * HOUR, 2 * HOUR) == 2 * HOUR);
	/* But for the notice of delay, and for the end. */
	assert_true(look_at_closed(4 * HOUR - MINUTE, 2 * HOUR) == MINUTE);
	assert_true(look_at_closed(5 * DAY - MINUTE, 2 * HOUR) == MINUTE);
	/* What lacks tries has them soon. */
	assert_true(look_at_closed(5 * DAY, 2 * HOUR) == MINUTE);
}

static void
expires_by_age_and_tries(void **state)
{
	struct retry_facts	 facts = {
		.now = 10 * DAY, .arrival = 5 * DAY, .attempts = 90,
		.tries = 5
	};

	(void)state;
	assert_true(retry_expired(&limits, &facts));
	facts.tries = 4;
	assert_false(retry_expired(&limits, &facts));
	facts.tries = 5;
	facts.arrival++;
	assert_false(retry_expired(&limits, &facts));
	facts.is_bounce = true;
	assert_true(retry_expired(&limits, &facts));
	facts.arrival = 9 * DAY + 1;
	assert_false(retry_expired(&limits, &facts));
	facts.is_bounce = false;
	facts.arrival = 9 * DAY;	/* a day is enough for some */
	assert_false(retry_expired(&limits, &facts));
	facts.is_brief = true;
	assert_true(retry_expired(&limits, &facts));
	facts.arrival++;
	assert_false(retry_expired(&limits, &facts));
	facts.arrival = 30 * DAY;	/* from the future */
	assert_false(retry_expired(&limits, &facts));
}

static void
warns_after_four_hours(void **state)
{
	struct retry_facts	 facts = { .now = 4 * HOUR };
	struct settings		 silent = limits;

	(void)state;
	assert_true(retry_warn_due(&limits, &facts));
	facts.now--;
	assert_false(retry_warn_due(&limits, &facts));
	facts.now = DAY;
	facts.is_bounce = true;
	assert_false(retry_warn_due(&limits, &facts));
	facts.is_bounce = false;
	silent.delay_notice = 0;
	assert_false(retry_warn_due(&silent, &facts));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_from_a_minute_to_an_hour),
		cmocka_unit_test(looks_seldom_but_in_time),
		cmocka_unit_test(looks_not_before_the_hop_opens),
		cmocka_unit_test(expires_by_age_and_tries),
		cmocka_unit_test(warns_after_four_hours)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
