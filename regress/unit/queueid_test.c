/* links: common/queueid.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "queueid.h"

static void
goes_round(void **state)
{
	static const uint64_t ids[] = { 0, 1, 31, 32, UINT64_C(1) << 60,
	    UINT64_C(1779000000000) << 20, UINT64_MAX - 1, UINT64_MAX };
	char		 text[QUEUEID_LENGTH + 1], last[QUEUEID_LENGTH + 1];
	uint64_t	 id;
	size_t		 i;

	(void)state;
	last[0] = '\0';
	for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		queueid_print(ids[i], text);
		assert_int_equal(strlen(text), QUEUEID_LENGTH);
		assert_int_equal(queueid_parse(text, &id), 0);
		assert_true(id == ids[i]);
		assert_true(strcmp(last, text) < 0);
		memcpy(last, text, sizeof(last));
	}
}

static void
refuses_what_is_none(void **state)
{
	static const char *const texts[] = { "", "0", "000000000000",
	    "00000000000000", "g000000000000", "000000000000w",
	    "00000000000-0", "000000 000000" };
	uint64_t	 id = 7;
	size_t		 i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(queueid_parse(texts[i], &id), -1);
	assert_true(id == 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goes_round),
		cmocka_unit_test(refuses_what_is_none)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
