/* links: common/clock.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "clock.h"

static void
prints_dates(void **state)
{
	char	 text[32];

	(void)state;
	setenv("TZ", "UTC0", 1);
	tzset();
	clock_date(INT64_C(1795232350) * SECOND, text, sizeof(text));
	assert_string_equal(text, "Sat, 21 Nov 2026 03:39:10 +0000");
	setenv("TZ", "NST3:30", 1);
	tzset();
	clock_date(INT64_C(1795232350) * SECOND, text, sizeof(text));
	assert_string_equal(text, "Sat, 21 Nov 2026 00:09:10 -0330");
	clock_date(INT64_MAX, text, sizeof(text));
	assert_true(text[0] != '\0');
}

static void
goes_on(void **state)
{
	int64_t	 before = clock_monotonic();

	(void)state;
	assert_true(clock_monotonic() >= before);
	assert_true(clock_now() > INT64_C(1700000000) * SECOND);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prints_dates),
		cmocka_unit_test(goes_on)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
