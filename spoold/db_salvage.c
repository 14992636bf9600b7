/*
 * What can be read of a damaged database goes into a fresh one, row by row.
 * How the two are set beside each other is repair.c's business.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "spoold.h"

#define NAME_LENGTH	64
#define COLUMNS_MAX	32
#define TEXT_MAX	1024

/*
 * The statement that takes as many columns of a row as the damaged table has:
 * an older one lacks the last of them.  NULL if it does not fit.
 */
static sqlite3_stmt *
prepare_carrying(const char *table, int columns)
{
	sqlite3_stmt	*all = NULL, *to = NULL;
	char		 text[TEXT_MAX], marks[COLUMNS_MAX * 2 + 1];
	size_t		 at;
	int		 i;

	(void)snprintf(text, sizeof(text), "SELECT * FROM main.%s", table);
	if (columns < 1 || columns > COLUMNS_MAX ||
	    sqlite3_prepare_v2(db_handle(), text, -1, &all, NULL) !=
	    SQLITE_OK || columns > sqlite3_column_count(all))
		goto out;
	at = (size_t)snprintf(text, sizeof(text),
	    "INSERT OR IGNORE INTO main.%s (", table);
	for (i = 0; i < columns; i++) {
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s",
		    i > 0 ? "," : "", sqlite3_column_name(all, i));
		if (at >= sizeof(text))
			goto out;
		memcpy(marks + 2 * i, ",?", 3);
	}
	if (strlcat(text, ") VALUES (", sizeof(text)) >= sizeof(text) ||
	    strlcat(text, marks + 1, sizeof(text)) >= sizeof(text) ||
	    strlcat(text, ")", sizeof(text)) >= sizeof(text))
		goto out;
	(void)sqlite3_prepare_v2(db_handle(), text, -1, &to, NULL);
out:
	(void)sqlite3_finalize(all);
	return to;
}

/*
 * Carry over the rows of a table in the order of its key, up to one that
 * cannot be read.  Returns how many.
 */
static int64_t
salvage(sqlite3 *bad, const char *table, const char *key, const char *order)
{
	sqlite3_stmt	*from = NULL, *to = NULL;
	int64_t		 carried = 0;
	char		 text[NAME_LENGTH * 2];
	int		 i, columns;

	(void)snprintf(text, sizeof(text), "SELECT * FROM %s ORDER BY %s",
	    table, order);
	if (sqlite3_prepare_v2(bad, text, -1, &from, NULL) != SQLITE_OK)
		goto out;
	columns = sqlite3_column_count(from);
	if ((to = prepare_carrying(table, columns)) == NULL)
		goto out;
	while (sqlite3_step(from) == SQLITE_ROW) {
		for (i = 0; i < columns; i++)
			(void)sqlite3_bind_value(to, i + 1,
			    sqlite3_column_value(from, i));
		if (sqlite3_step(to) == SQLITE_DONE)
			carried += sqlite3_changes(db_handle());
		(void)sqlite3_reset(to);
	}
out:
	(void)sqlite3_finalize(from);
	(void)sqlite3_finalize(to);
	if (carried > 0)
		log_note(LOG_NOTICE, "repair", "%lld rows of %s by %s",
		    (long long)carried, table, key);
	return carried;
}

/*
 * The damaged database, through a handle of its own: what it meets there must
 * not end a transaction here.  It is not written to.
 */
static sqlite3 *
open_damaged(const char *name)
{
	sqlite3	*bad = NULL;

	if (sqlite3_open_v2(name, &bad, SQLITE_OPEN_READWRITE |
	    SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		log_note(LOG_ERR, "repair", "%s: nothing of it can be read",
		    name);
	(void)sqlite3_db_config(bad, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
	    NULL);
	(void)sqlite3_exec(bad, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL,
	    NULL);
	return bad;
}

/* The highest id that it ever gave, -1 if that cannot be read. */
static int64_t
highest_id(sqlite3 *bad)
{
	sqlite3_stmt	*statement = NULL;
	int64_t		 id = -1;

	if (sqlite3_prepare_v2(bad, "SELECT max(high) FROM spool", -1,
	    &statement, NULL) == SQLITE_OK &&
	    sqlite3_step(statement) == SQLITE_ROW)
		id = sqlite3_column_int64(statement, 0);
	(void)sqlite3_finalize(statement);
	return id;
}

/*
 * Carry over what can be read of the damaged database of that name, both ways
 * from its ends; what lies between two bad pages is lost.
 */
void
db_salvage(const char *name)
{
	sqlite3	*bad = open_damaged(name);
	char	 text[NAME_LENGTH * 2];

	(void)salvage(bad, "message", "id", "id");
	(void)salvage(bad, "message", "id backwards", "id DESC");
	(void)salvage(bad, "body", "id", "id");
	(void)salvage(bad, "body", "id backwards", "id DESC");
	(void)salvage(bad, "recipient", "key", "message, row");
	(void)salvage(bad, "recipient", "key backwards",
	    "message DESC, row DESC");
	(void)salvage(bad, "attempt", "key", "message, row, number");
	(void)salvage(bad, "attempt", "key backwards",
	    "message DESC, row DESC, number DESC");
	(void)salvage(bad, "damaged", "rowid", "rowid");
	/* The ids of messages that are long gone are not given again. */
	(void)snprintf(text, sizeof(text), "UPDATE spool SET high ="
	    " max(high, %lld)", (long long)highest_id(bad));
	(void)sqlite3_close_v2(bad);
	if (db_execute(text) == -1)
		fatalx("%s: %s", DB_NAME, db_why());
}
