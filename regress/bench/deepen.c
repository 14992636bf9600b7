/*
 * Makes a queue deep: spoold takes many minutes to get so much mail by SMTP.
 *
 *	deepen SPOOL.DB ADDRESS COPIES
 *		the message that waits for ADDRESS so many times more, for u1,
 *		u2 ... of its domain; they become due in the course of an
 *		hour, in no order.  spoold must not run
 */
#include <sqlite3.h>

#include <err.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spoold.h"

#define HOUR	INT64_C(3600000000)

static sqlite3	*db;

static void
run(const char *text)
{
	if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
		errx(1, "%s: %s", text, sqlite3_errmsg(db));
}

static sqlite3_stmt *
prepare(const char *text)
{
	sqlite3_stmt	*statement;

	if (sqlite3_prepare_v2(db, text, -1, &statement, NULL) != SQLITE_OK)
		errx(1, "%s: %s", text, sqlite3_errmsg(db));
	return statement;
}

/* Bind what types say, i or t, and run it. */
static void
apply(sqlite3_stmt *statement, const char *types, ...)
{
	va_list	 values;
	int	 n;

	va_start(values, types);
	for (n = 1; types[n - 1] != '\0'; n++)
		if (types[n - 1] == 'i')
			sqlite3_bind_int64(statement, n,
			    va_arg(values, int64_t));
		else
			sqlite3_bind_text(statement, n,
			    va_arg(values, const char *), -1, SQLITE_STATIC);
	va_end(values);
	if (sqlite3_step(statement) != SQLITE_DONE)
		errx(1, "%s", sqlite3_errmsg(db));
	sqlite3_reset(statement);
}

/* The row that is copied, with its sums as store.c makes them. */
static struct {
	int64_t		 id;
	int64_t		 size;
	int64_t		 arrival;
	uint64_t	 kind;		/* with in_file */
	char		 sender[WIRE_ADDRESS];
	char		*octets;
} old;

static int64_t
sum_message(int64_t id, int64_t body)
{
	uint64_t	 numbers[4] = {
		(uint64_t)id, (uint64_t)old.size, (uint64_t)body, old.kind
	};

	return (int64_t)checksum(checksum(0, numbers, sizeof(numbers)),
	    old.sender, strlen(old.sender));
}

static int64_t
sum_recipient(int64_t id, const char *address)
{
	uint64_t	 numbers[2] = { (uint64_t)id, 1 };

	return (int64_t)checksum(checksum(checksum(0, numbers,
	    sizeof(numbers)), address, strlen(address)), "", 0);
}

static void
find(const char *address)
{
	sqlite3_stmt	*s;

	s = prepare("SELECT m.id, m.size, m.arrival, m.kind * 2, m.sender,"
	    " b.octets FROM recipient r JOIN message m ON m.id = r.message"
	    " JOIN body b ON b.id = m.id WHERE r.address = ? AND r.state = 1"
	    " AND m.rows = 1");
	sqlite3_bind_text(s, 1, address, -1, SQLITE_STATIC);
	if (sqlite3_step(s) != SQLITE_ROW)
		errx(1, "no message waits for %s alone", address);
	old.id = sqlite3_column_int64(s, 0);
	old.size = sqlite3_column_int64(s, 1);
	old.arrival = sqlite3_column_int64(s, 2);
	old.kind = (uint64_t)sqlite3_column_int64(s, 3);
	(void)strlcpy(old.sender, (const char *)sqlite3_column_text(s, 4),
	    sizeof(old.sender));
	if ((old.octets = malloc((size_t)old.size)) == NULL)
		err(1, NULL);
	memcpy(old.octets, sqlite3_column_blob(s, 5), (size_t)old.size);
	sqlite3_finalize(s);
}

/* The rows to be copied stand in tables of their own, and are changed there. */
static void
copy_all(const char *domain, int64_t first, int64_t copies)
{
	sqlite3_stmt	*message, *recipient, *body;
	sqlite3_stmt	*add_message, *add_recipient, *add_body;
	char		 address[WIRE_ADDRESS];
	int64_t		 n, id, sum;

	message = prepare("UPDATE old_message SET id = ?, body_sum = ?,"
	    " sum = ?");
	recipient = prepare("UPDATE old_recipient SET message = ?,"
	    " address = ?2, original = ?2, next = ?, sum = ?");
	body = prepare("UPDATE old_body SET id = ?");
	add_message = prepare("INSERT INTO message SELECT * FROM old_message");
	add_recipient = prepare("INSERT INTO recipient"
	    " SELECT * FROM old_recipient");
	add_body = prepare("INSERT INTO body SELECT * FROM old_body");
	for (n = 0; n < copies; n++) {
		id = first + n;
		sum = (int64_t)checksum((uint64_t)id, old.octets,
		    (size_t)old.size);
		(void)snprintf(address, sizeof(address), "u%lld%s",
		    (long long)n + 1, domain);
		apply(message, "iii", id, sum, sum_message(id, sum));
		apply(recipient, "itii", id, address, old.arrival +
		    (int64_t)arc4random_uniform(HOUR / 1000) * 1000,
		    sum_recipient(id, address));
		apply(body, "i", id);
		apply(add_body, "");
		apply(add_recipient, "");
		apply(add_message, "");
	}
	sqlite3_finalize(message);
	sqlite3_finalize(recipient);
	sqlite3_finalize(body);
	sqlite3_finalize(add_message);
	sqlite3_finalize(add_recipient);
	sqlite3_finalize(add_body);
}

static void
deepen(const char *address, int64_t copies)
{
	sqlite3_stmt	*s;
	int64_t		 high;
	char		 text[512];

	find(address);
	s = prepare("SELECT high FROM spool");
	if (sqlite3_step(s) != SQLITE_ROW)
		errx(1, "%s", sqlite3_errmsg(db));
	high = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	(void)snprintf(text, sizeof(text),
	    "CREATE TEMP TABLE old_message AS SELECT * FROM message"
	    " WHERE id = %lld; CREATE TEMP TABLE old_recipient AS"
	    " SELECT * FROM recipient WHERE message = %lld;"
	    " CREATE TEMP TABLE old_body AS SELECT * FROM body"
	    " WHERE id = %lld", (long long)old.id, (long long)old.id,
	    (long long)old.id);
	run(text);
	copy_all(strrchr(address, '@'), high + 1, copies);
	(void)snprintf(text, sizeof(text), "UPDATE spool SET high = high +"
	    " %lld, low = high + %lld + 1, messages = messages + %lld,"
	    " octets = octets + %lld, deferred = deferred + %lld",
	    (long long)copies, (long long)copies, (long long)copies,
	    (long long)(copies * old.size), (long long)copies);
	run(text);
}

int
main(int argc, char **argv)
{
	if (argc != 4 || strchr(argv[2], '@') == NULL)
		errx(64, "usage: deepen SPOOL.DB ADDRESS COPIES");
	if (sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READWRITE, NULL) !=
	    SQLITE_OK)
		errx(1, "%s: %s", argv[1], sqlite3_errmsg(db));
	run("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = OFF;"
	    " PRAGMA synchronous = OFF; PRAGMA cache_size = -400000;"
	    " PRAGMA temp_store = MEMORY; BEGIN");
	deepen(argv[2], atoll(argv[3]));
	run("COMMIT; PRAGMA journal_mode = WAL");
	sqlite3_close(db);
	return 0;
}
