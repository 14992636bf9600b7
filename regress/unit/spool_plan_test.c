/* links: spoold/db_sql.c */
/*
 * How SQLite goes about each statement: none looks through a whole table or
 * index of the queue, and none sorts, save those that are meant to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "spoold/spoold.h"

/* Statements that may, and why. */
static const struct {
	enum sql	 sql;
	const char	*step;
} meant[] = {
	/* Once a message had killed the process. */
	{ SQL_RECIPIENT_TOTALS, "SCAN recipient" },
	/* The index has no others than these. */
	{ SQL_MARKED, "SCAN recipient USING INDEX recipient_marked" },
	/* The rows of a select within it, which has a limit. */
	{ SQL_LANE_WAITING, "SCAN r" },
	/* What is damaged is little. */
	{ SQL_DAMAGED_COUNT, "SCAN damaged USING COVERING INDEX"
	    " damaged_message" },
	/* The table of one row. */
	{ SQL_SPOOL_GET, "SCAN spool" },
	{ SQL_SPOOL_SET, "SCAN spool" }
};

static sqlite3	*db;

static int
open_database(void **state)
{
	int	 i;

	(void)state;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	for (i = 0; i < db_version; i++)
		assert_int_equal(sqlite3_exec(db, db_migrations[i], NULL,
		    NULL, NULL), SQLITE_OK);
	return 0;
}

static int
close_database(void **state)
{
	(void)state;
	return sqlite3_close(db) == SQLITE_OK ? 0 : -1;
}

static bool
is_meant(enum sql sql, const char *step)
{
	size_t	 i;

	for (i = 0; i < sizeof(meant) / sizeof(meant[0]); i++)
		if (meant[i].sql == sql && strcmp(meant[i].step, step) == 0)
			return true;
	return false;
}

/* Does this step's time grow with the queue? */
static bool
is_long(const char *step)
{
	return strncmp(step, "SCAN ", 5) == 0 ||
	    strstr(step, "TEMP B-TREE") != NULL ||
	    strstr(step, "AUTOMATIC") != NULL;
}

static unsigned int
count_long(enum sql sql)
{
	sqlite3_stmt	*plan;
	const char	*step;
	char		 text[4096];
	unsigned int	 count = 0;
	bool		 known;

	(void)snprintf(text, sizeof(text), "EXPLAIN QUERY PLAN %s",
	    db_statements[sql]);
	assert_int_equal(sqlite3_prepare_v2(db, text, -1, &plan, NULL),
	    SQLITE_OK);
	while (sqlite3_step(plan) == SQLITE_ROW) {
		step = (const char *)sqlite3_column_text(plan, 3);
		known = is_meant(sql, step);
		if (!is_long(step) || known)
			continue;
		print_message("# %s: %s\n", step, db_statements[sql]);
		count++;
	}
	sqlite3_finalize(plan);
	return count;
}

static void
none_looks_through_the_queue(void **state)
{
	enum sql	 sql;
	unsigned int	 count = 0;

	(void)state;
	for (sql = 0; sql < SQL_MAX; sql++)
		count += count_long(sql);
	assert_int_equal(count, 0);
}

int
main(void)
{
	static const struct CMUnitTest	 tests[] = {
		cmocka_unit_test_setup_teardown(none_looks_through_the_queue,
		    open_database, close_database)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
