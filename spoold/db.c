/*
 * The spool's database: opening it, and running the statements of one table.
 * What rows mean is store.c's business.
 *
 * spool.db is opened with an exclusive lock before it is switched to its
 * write-ahead log, so that no shared memory is needed; the log is allocated
 * at once and kept, so that results can be written on a full disk.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "spoold.h"

#define LOCK_WAIT	10000			/* milliseconds */
#define WAL_SIZE	(64 * 1024 * 1024)
#define NAME_LENGTH	64

static struct {
	sqlite3		*handle;
	sqlite3_stmt	*statements[SQL_MAX];
	int		 code;		/* of the last failure */
	char		 why[WIRE_TEXT];
	int		 wal_pages;
} db;

/* ---- statements ---- */

static void
note_failure(int code)
{
	db.code = code;
	(void)snprintf(db.why, sizeof(db.why), "%s",
	    sqlite3_errmsg(db.handle));
}

static int
bind(sqlite3_stmt *statement, const char *types, va_list values)
{
	const void	*octets;
	const char	*text;
	int64_t		 number;
	int		 n = 0, code = SQLITE_OK;

	for (; *types != '\0' && code == SQLITE_OK; types++) {
		n++;
		switch (*types) {
		case 'i':	/* int64_t */
			code = sqlite3_bind_int64(statement, n,
			    va_arg(values, int64_t));
			break;
		case 'n':	/* int64_t, -1 is null */
			number = va_arg(values, int64_t);
			code = number == -1 ? sqlite3_bind_null(statement, n) :
			    sqlite3_bind_int64(statement, n, number);
			break;
		case 'u':	/* uint32_t */
			code = sqlite3_bind_int64(statement, n,
			    va_arg(values, uint32_t));
			break;
		case 'd':	/* int and what is promoted to it */
			code = sqlite3_bind_int(statement, n,
			    va_arg(values, int));
			break;
		case 't':	/* text, NULL is null */
			text = va_arg(values, const char *);
			code = sqlite3_bind_text(statement, n, text, -1,
			    SQLITE_STATIC);
			break;
		case 'b':	/* octets and their number */
			octets = va_arg(values, const void *);
			code = sqlite3_bind_blob64(statement, n, octets,
			    va_arg(values, size_t), SQLITE_STATIC);
			break;
		default:
			fatalx("db: no type %c", *types);
		}
	}
	return code;
}

/* A first or a further step: 1 with a row, 0 at the end, -1. */
static int
step(enum sql sql)
{
	int	 code;

	code = sqlite3_step(db.statements[sql]);
	if (code == SQLITE_ROW)
		return 1;
	if (code != SQLITE_DONE) {
		note_failure(code);
		(void)sqlite3_reset(db.statements[sql]);
		return -1;
	}
	(void)sqlite3_reset(db.statements[sql]);
	return 0;
}

/* Note what is wrong with the database and leave; the next start repairs. */
static void
leave_damaged(void)
{
	repair_ask();
	fatalx("%s is damaged and will be repaired: %s", DB_NAME, db.why);
}

static int
begin_statement(enum sql sql, const char *types, va_list values)
{
	int	 code, result;

	code = bind(db.statements[sql], types, values);
	if (code != SQLITE_OK) {
		note_failure(code);
		return -1;
	}
	result = step(sql);
	if (result == -1 && db_trouble() == DB_DAMAGED)
		leave_damaged();
	return result;
}

/*
 * Run a statement to its end.  Returns the number of rows it changed, or -1.
 */
int
db_run(enum sql sql, const char *types, ...)
{
	va_list	 values;
	int	 result;

	va_start(values, types);
	result = begin_statement(sql, types, values);
	va_end(values);
	while (result == 1)
		result = step(sql);
	return result == -1 ? -1 : sqlite3_changes(db.handle);
}

/*
 * Commit.  If the sync is put off, the transaction is written but not yet on
 * disk.  Returns 0 or -1.
 */
int
db_commit(bool put_off)
{
	int	 result;

	db_file_put_off(put_off);
	result = db_run(SQL_COMMIT, "");
	db_file_put_off(false);
	return result == -1 ? -1 : 0;
}

/*
 * Begin a statement that gives rows: 1 with the first one, 0 without, -1.
 * db_end() must follow within the turn.
 */
int
db_ask(enum sql sql, const char *types, ...)
{
	va_list	 values;
	int	 result;

	va_start(values, types);
	result = begin_statement(sql, types, values);
	va_end(values);
	return result;
}

int
db_next(enum sql sql)
{
	int	 result = step(sql);

	if (result == -1 && db_trouble() == DB_DAMAGED)
		leave_damaged();
	return result;
}

void
db_end(enum sql sql)
{
	(void)sqlite3_reset(db.statements[sql]);
	(void)sqlite3_clear_bindings(db.statements[sql]);
}

int64_t
db_integer(enum sql sql, int column)
{
	return sqlite3_column_int64(db.statements[sql], column);
}

/* Never NULL; valid until the next step. */
const char *
db_text(enum sql sql, int column)
{
	const unsigned char	*text;

	text = sqlite3_column_text(db.statements[sql], column);
	return text != NULL ? (const char *)text : "";
}

bool
db_is_null(enum sql sql, int column)
{
	return sqlite3_column_type(db.statements[sql], column) == SQLITE_NULL;
}

const void *
db_blob(enum sql sql, int column, size_t *length)
{
	const void	*octets;

	octets = sqlite3_column_blob(db.statements[sql], column);
	*length = (size_t)sqlite3_column_bytes(db.statements[sql], column);
	return octets != NULL ? octets : "";
}

/*
 * A statement that met a full disk or an I/O error has rolled everything
 * back by itself.
 */
bool
db_in_transaction(void)
{
	return sqlite3_get_autocommit(db.handle) == 0;
}

enum db_trouble
db_trouble(void)
{
	switch (db.code & 0xff) {
	case SQLITE_FULL:
		return DB_FULL;
	case SQLITE_IOERR:
		return DB_IO;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return DB_DAMAGED;
	default:
		return DB_OTHER;
	}
}

const char *
db_why(void)
{
	return db.why;
}

/* ---- the write-ahead log ---- */

static int
on_commit(void *unused, sqlite3 *handle, const char *name, int pages)
{
	(void)unused;
	(void)handle;
	(void)name;
	db.wal_pages = pages;
	return SQLITE_OK;
}

/* Octets in the log that a checkpoint has not yet carried over. */
int64_t
db_wal_size(void)
{
	return (int64_t)db.wal_pages * 4096;
}

/*
 * Carry the log into the database, so that it is written from its start.
 * Returns 0, or -1 if the disk is full.
 */
int
db_checkpoint(void)
{
	int	 code;

	code = sqlite3_wal_checkpoint_v2(db.handle, NULL,
	    SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	if (code != SQLITE_OK) {
		note_failure(code);
		if (db_trouble() == DB_IO)
			fatalx("%s: %s", DB_NAME, db.why);
		return -1;
	}
	db.wal_pages = 0;
	return 0;
}

/*
 * Carry over what an earlier process left in the log.  If it ended at a sync
 * that failed, the kernel may hold that in memory alone and think it is on
 * disk; what is committed behind it would be lost with it.
 */
static void
carry_over(void)
{
	if (db_checkpoint() == -1)
		log_note(LOG_WARNING, "spool", WAL_NAME " cannot be carried"
		    " over at the start: %s", db.why);
}

/* Allocate the log, so that a full disk cannot keep results out of it. */
static void
allocate_wal(void)
{
	int	 fd, error;

	fd = open(WAL_NAME, O_RDWR | O_CLOEXEC);
	if (fd == -1) {
		log_errno(LOG_WARNING, "spool", "%s", WAL_NAME);
		return;
	}
	error = fallocate(fd, 0, 0, WAL_SIZE) == -1 ? errno : 0;
	close(fd);
	if (error != 0)
		log_note(LOG_WARNING, "spool", "cannot allocate %s: %s",
		    WAL_NAME, strerror(error));
}

/* ---- opening ---- */

/* Run statements that are not among ours; 0, or -1 with db_why(). */
int
db_execute(const char *text)
{
	int	 code = sqlite3_exec(db.handle, text, NULL, NULL, NULL);

	if (code != SQLITE_OK) {
		note_failure(code);
		return -1;
	}
	return 0;
}

/* The integer a statement gives, or -1. */
int64_t
db_number(const char *text)
{
	sqlite3_stmt	*statement = NULL;
	int64_t		 value = -1;
	int		 code;

	code = sqlite3_prepare_v2(db.handle, text, -1, &statement, NULL);
	if (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW)
		value = sqlite3_column_int64(statement, 0);
	else
		note_failure(code);
	(void)sqlite3_finalize(statement);
	return value;
}

/* Copy the database as it is beside itself, before it is migrated. */
static void
keep_copy(int version)
{
	char	 statement[NAME_LENGTH * 2], name[NAME_LENGTH];

	(void)snprintf(name, sizeof(name), "%s.v%d", DB_NAME, version);
	(void)unlink(name);
	(void)snprintf(statement, sizeof(statement), "VACUUM INTO '%s'", name);
	if (db_execute(statement) == -1)
		fatalx("%s: cannot be copied before it is migrated: %s",
		    DB_NAME, db.why);
	log_note(LOG_NOTICE, "spool", "version %d is kept as %s", version,
	    name);
}

/* Bring the schema to this program's version, or die. */
static void
migrate(void)
{
	char	 statement[NAME_LENGTH];
	int	 version;

	version = (int)db_number("PRAGMA user_version");
	if (version == db_version)
		return;
	if (version > db_version)
		fatalx("%s is of version %d, this program knows up to %d: "
		    "install a newer one", DB_NAME, version, db_version);
	if (version > 0)
		keep_copy(version);
	(void)snprintf(statement, sizeof(statement), "PRAGMA user_version = %d",
	    db_version);
	if (db_execute("BEGIN IMMEDIATE") == -1)
		fatalx("%s: %s", DB_NAME, db.why);
	for (; version < db_version; version++)
		if (db_execute(db_migrations[version]) == -1)
			fatalx("%s: version %d: %s", DB_NAME, version + 1,
			    db.why);
	if (db_execute(statement) == -1 || db_execute("COMMIT") == -1)
		fatalx("%s: %s", DB_NAME, db.why);
}

/* Open the file and set what must be set.  Returns 0, or -1 if damaged. */
static int
open_file(void)
{
	/*
	 * The cache holds a few batches.  At most commits SQLite looks
	 * through all of it for pages behind the database's end, so that a
	 * larger one costs more than the pages it keeps from being read.
	 */
	static const char settings[] =
	    "PRAGMA journal_mode = WAL;"
	    "PRAGMA synchronous = FULL;"
	    "PRAGMA wal_autocheckpoint = 0;"
	    "PRAGMA journal_size_limit = -1;"
	    "PRAGMA temp_store = MEMORY;"
	    "PRAGMA cache_size = -8192;"
	    "PRAGMA trusted_schema = OFF;";
	int	 one = 1;

	if (sqlite3_open_v2(DB_NAME, &db.handle, SQLITE_OPEN_READWRITE |
	    SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, db_file_layer()) !=
	    SQLITE_OK)
		fatalx("%s: %s", DB_NAME, db.handle == NULL ?
		    "no memory" : sqlite3_errmsg(db.handle));
	(void)sqlite3_extended_result_codes(db.handle, 1);
	(void)sqlite3_busy_timeout(db.handle, LOCK_WAIT);
	(void)sqlite3_file_control(db.handle, "main",
	    SQLITE_FCNTL_PERSIST_WAL, &one);
	/* First: a log that others might share needs shared memory. */
	if (db_execute("PRAGMA locking_mode = EXCLUSIVE;"
	    "PRAGMA page_size = 4096;"
	    "PRAGMA auto_vacuum = INCREMENTAL;") == -1 ||
	    db_execute(settings) == -1 ||
	    db_execute("BEGIN EXCLUSIVE; COMMIT") == -1 ||
	    db_number("PRAGMA user_version") == -1 ||
	    db_number("SELECT count(*) FROM sqlite_schema") == -1) {
		if (db_trouble() == DB_DAMAGED)
			return -1;
		fatalx("%s: %s", DB_NAME, db.why);
	}
	(void)sqlite3_busy_timeout(db.handle, 0);
	return 0;
}

static void
prepare_all(void)
{
	int	 i;

	for (i = 0; i < SQL_MAX; i++)
		if (sqlite3_prepare_v3(db.handle, db_statements[i], -1,
		    SQLITE_PREPARE_PERSISTENT, &db.statements[i], NULL) !=
		    SQLITE_OK)
			fatalx("db: %s: %s", db_statements[i],
			    sqlite3_errmsg(db.handle));
}

/* ---- for a repair ---- */

/* That of the fresh one, for db_salvage.c. */
sqlite3 *
db_handle(void)
{
	return db.handle;
}

/* Close the file without a word to it: it is damaged. */
void
db_drop(void)
{
	(void)sqlite3_close_v2(db.handle);
	db.handle = NULL;
}

/* Begin with a fresh file, or die. */
void
db_create(void)
{
	if (open_file() == -1)
		fatalx("%s: a fresh one is damaged as well: %s", DB_NAME,
		    db.why);
	migrate();
}

/* ---- for main.c ---- */

/* Open the database of the current directory, whatever its state; or die. */
void
db_open(void)
{
	int	 result;

	/* There is one thread, and nobody asks how much memory it takes. */
	(void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	repair_take_back();
	result = open_file();
	if (result == -1 || repair_is_due()) {
		if (result == 0)
			(void)snprintf(db.why, sizeof(db.why), "%s",
			    "it was found to be at run time");
		repair();
	} else
		migrate();
	prepare_all();
	(void)sqlite3_wal_hook(db.handle, on_commit, NULL);
	carry_over();
	allocate_wal();
}

/* The log is carried over, so that the next start has nothing to replay. */
void
db_close(void)
{
	int	 i;

	for (i = 0; i < SQL_MAX; i++) {
		(void)sqlite3_finalize(db.statements[i]);
		db.statements[i] = NULL;
	}
	(void)sqlite3_close(db.handle);
	db.handle = NULL;
}
