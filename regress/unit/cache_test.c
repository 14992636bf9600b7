/* links: policyd/cache.c common/target.c common/conf_lex.c common/log.c
 * common/queueid.c */
/*
 * Accounts, remembered: for how long what is, and what never is.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "account.h"
#include "clock.h"
#include "policyd/policyd.h"

static struct {
	int64_t		 now;
	int		 asked;
	enum account_result result;
} test;

/* ---- what is around ---- */

int64_t
clock_now(void)
{
	return test.now;
}

int64_t
clock_monotonic(void)
{
	return test.now;
}

enum account_result
account_by_name(const char *name, struct account *account)
{
	static char joe[] = "joe";

	test.asked++;
	assert_string_equal(name, joe);
	memset(account, 0, sizeof(*account));
	account->name = joe;
	account->uid = 1000;
	errno = EIO;
	return test.result;
}

void
account_free(struct account *account)
{
	(void)account;
}

/* ---- tests ---- */

/* Ask for joe; tells how often the system was. */
static int
ask(enum account_result result, enum account_result expected)
{
	struct who who = { .uid = 1 };

	test.result = result;
	test.asked = 0;
	assert_int_equal(cache_account("joe", &who), expected);
	if (expected == ACCOUNT_YES) {
		assert_int_equal(who.uid, 1000);
		assert_string_equal(who.name, "joe");
	}
	return test.asked;
}

static void
remembers_a_yes_for_a_minute(void **state)
{
	(void)state;
	test.now = SECOND;
	assert_int_equal(ask(ACCOUNT_YES, ACCOUNT_YES), 1);
	test.now += 59 * SECOND;
	assert_int_equal(ask(ACCOUNT_NO, ACCOUNT_YES), 0);
	test.now += 2 * SECOND;
	assert_int_equal(ask(ACCOUNT_NO, ACCOUNT_NO), 1);
}

static void
remembers_a_no_for_some_seconds(void **state)
{
	(void)state;
	test.now += HOUR;
	assert_int_equal(ask(ACCOUNT_NO, ACCOUNT_NO), 1);
	test.now += 9 * SECOND;
	assert_int_equal(ask(ACCOUNT_YES, ACCOUNT_NO), 0);
	test.now += 2 * SECOND;
	assert_int_equal(ask(ACCOUNT_YES, ACCOUNT_YES), 1);
}

static void
never_remembers_a_failure(void **state)
{
	(void)state;
	test.now += HOUR;
	assert_int_equal(ask(ACCOUNT_FAILED, ACCOUNT_FAILED), 1);
	assert_non_null(strstr(cache_failure(), "joe"));
	assert_int_equal(ask(ACCOUNT_YES, ACCOUNT_YES), 1);
}

/* Without root there is mail for one account; "no" is said as ever. */
static void
knows_one_without_root(void **state)
{
	(void)state;
	test.now += HOUR;
	cache_only(1000);
	assert_int_equal(ask(ACCOUNT_YES, ACCOUNT_YES), 1);
	cache_only(1001);
	assert_int_equal(ask(ACCOUNT_YES, ACCOUNT_FAILED), 0);
	assert_non_null(strstr(cache_failure(), "without root"));
	test.now += HOUR;
	assert_int_equal(ask(ACCOUNT_NO, ACCOUNT_NO), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(remembers_a_yes_for_a_minute),
		cmocka_unit_test(remembers_a_no_for_some_seconds),
		cmocka_unit_test(never_remembers_a_failure),
		cmocka_unit_test(knows_one_without_root)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
