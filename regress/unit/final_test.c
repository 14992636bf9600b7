/* links: spoold/final.c common/log.c common/queueid.c common/clock.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "spoold/spoold.h"

/* ---- the database says that row 1 went to one, and row 2 to two */

static int	at;

int
db_ask(enum sql sql, const char *types, ...)
{
	(void)types;
	assert_int_equal(sql, SQL_RECIPIENT_FINALS);
	at = 1;
	return 1;
}

int
db_next(enum sql sql)
{
	(void)sql;
	return ++at <= 2;
}

void
db_end(enum sql sql)
{
	(void)sql;
}

int64_t
db_integer(enum sql sql, int column)
{
	(void)sql;
	(void)column;
	return at;
}

const char *
db_text(enum sql sql, int column)
{
	(void)sql;
	(void)column;
	return at == 1 ? "one" : "two";
}

/* ---- the tests */

static void
two_to_one_place_are_one(void **state)
{
	struct message	 message = { .id = 1, .rows = 9 };

	(void)state;
	assert_int_equal(message_claim_final(&message, 3, "one"),
	    CLAIM_ENDED);
	assert_null(message_final(&message, 3));
	assert_int_equal(message_claim_final(&message, 3, "three"),
	    CLAIM_OURS);
	assert_int_equal(message_claim_final(&message, 3, "three"),
	    CLAIM_OURS);
	assert_int_equal(message_claim_final(&message, 4, "three"),
	    CLAIM_AWAITED);
	message_keep_final(&message, 4);
	message_keep_final(&message, 3);
	assert_int_equal(message_claim_final(&message, 4, "three"),
	    CLAIM_ENDED);
	assert_string_equal(message_final(&message, 2), "two");
	assert_string_equal(message_final(&message, 3), "three");
	message_free_finals(&message);
	message_free_finals(&message);
}

static void
what_goes_elsewhere_leaves_its_place(void **state)
{
	struct message	 message = { .id = 1, .rows = 9 };

	(void)state;
	assert_int_equal(message_claim_final(&message, 3, "three"),
	    CLAIM_OURS);
	assert_int_equal(message_claim_final(&message, 3, "another"),
	    CLAIM_OURS);
	assert_int_equal(message_claim_final(&message, 4, "three"),
	    CLAIM_OURS);
	message_forget_final(&message, 4);
	message_forget_final(&message, 4);
	assert_null(message_final(&message, 4));
	assert_int_equal(message_claim_final(&message, 5, "three"),
	    CLAIM_OURS);
	message_free_finals(&message);
}

static void
one_row_has_no_twin(void **state)
{
	struct message	 message = { .id = 1, .rows = 1 };

	(void)state;
	assert_int_equal(message_claim_final(&message, 1, "one"),
	    CLAIM_OURS);
	assert_null(message.finals);
	message_forget_final(&message, 1);
	assert_null(message_final(&message, 1));
}

int
main(void)
{
	static const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(two_to_one_place_are_one),
		cmocka_unit_test(what_goes_elsewhere_leaves_its_place),
		cmocka_unit_test(one_row_has_no_twin)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
