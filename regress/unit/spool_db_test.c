/* links: regress/unit/scratch.c spoold/db.c spoold/db_file.c
 * spoold/db_salvage.c spoold/db_sql.c spoold/repair.c common/log.c
 * common/queueid.c common/clock.c */
#include <sys/wait.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "log.h"
#include "spoold/spoold.h"
#include "regress/unit/scratch.h"

static char	 directory[] = "/tmp/postmaster-db-XXXXXX";
static int	 syncs;		/* of the log, made in place */

void
syncer_took(int64_t took)
{
	assert_true(took >= 0);
	syncs++;
}

/* One integer of a database that nobody has open. */
static int64_t
number(const char *text)
{
	sqlite3_stmt	*statement;
	sqlite3		*handle;
	int64_t		 value = -1;

	assert_int_equal(sqlite3_open("spool.db", &handle), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(handle, text, -1, &statement,
	    NULL), SQLITE_OK);
	if (sqlite3_step(statement) == SQLITE_ROW)
		value = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(handle);
	return value;
}

static void
add_body(int64_t id)
{
	assert_int_equal(db_run(SQL_BODY_ADD, "ib", id, "octets", (size_t)6),
	    1);
}

static bool
has_body(int64_t id)
{
	bool	 has = db_ask(SQL_BODY_GET, "i", id) == 1;

	db_end(SQL_BODY_GET);
	return has;
}

static void
is_made_as_it_must_be(void **state)
{
	(void)state;
	db_open();
	db_close();
	assert_true(number("PRAGMA user_version") == db_version);
	assert_true(number("PRAGMA auto_vacuum") == 2);
	assert_true(number("PRAGMA page_size") == 4096);
	assert_true(number("SELECT high FROM spool") == 0);
}

/*
 * A commit is synced in place, or somebody else does it; but the head of a
 * log that begins anew is on disk before anything is written behind it.
 */
static void
puts_syncs_off(void **state)
{
	int	 i;

	(void)state;
	db_open();
	assert_int_not_equal(db_run(SQL_BEGIN, ""), -1);
	add_body(900000);
	assert_int_equal(db_commit(false), 0);
	for (i = 0; i < 6; i++) {
		/* Carried over, the log begins anew at the next commit. */
		if (i == 4)
			assert_int_equal(db_checkpoint(), 0);
		syncs = 0;
		assert_int_not_equal(db_run(SQL_BEGIN, ""), -1);
		add_body(900001 + i);
		assert_int_equal(syncs, 0);
		assert_int_equal(db_commit(i % 3 != 0), 0);
		assert_int_equal(syncs, i % 3 == 0 || i == 4);
	}
	db_close();
	assert_true(number("SELECT count(*) FROM body WHERE id >= 900000") == 7);
}

/* A process of our own that is killed; what had been committed stays. */
static void
survives_a_kill(void **state)
{
	pid_t	 pid;
	int	 status;

	(void)state;
	if ((pid = fork()) == 0) {
		db_open();
		if (db_run(SQL_BEGIN, "") == -1)
			_exit(1);
		add_body(7);
		if (db_run(SQL_COMMIT, "") == -1 ||
		    db_run(SQL_BEGIN, "") == -1)
			_exit(1);
		add_body(8);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	db_open();
	assert_true(has_body(7));
	assert_false(has_body(8));
	db_close();
}

/* ---- what is written to the log is gathered ---- */

#define LARGE	9000		/* octets: some pages */

static struct {
	int	 calls;
	int	 error;		/* each ends with this, unless 0 */
} writes;

static ssize_t
counted_pwrite(int fd, const void *data, size_t length, off_t offset)
{
	writes.calls++;
	if (writes.error != 0) {
		errno = writes.error;
		return -1;
	}
	return pwrite(fd, data, length, offset);
}

/* SQLite lets its system calls be replaced; false where it cannot be. */
static bool
count_writes(void)
{
	sqlite3_vfs	*vfs = sqlite3_vfs_find(NULL);

	memset(&writes, 0, sizeof(writes));
	return vfs->iVersion >= 3 && vfs->xSetSystemCall(vfs, "pwrite64",
	    (sqlite3_syscall_ptr)counted_pwrite) == SQLITE_OK &&
	    vfs->xSetSystemCall(vfs, "pwrite",
	    (sqlite3_syscall_ptr)counted_pwrite) == SQLITE_OK;
}

static void
count_no_more(void)
{
	sqlite3_vfs	*vfs = sqlite3_vfs_find(NULL);

	(void)vfs->xSetSystemCall(vfs, "pwrite64", NULL);
	(void)vfs->xSetSystemCall(vfs, "pwrite", NULL);
}

static void
add_large(int64_t from, int64_t to)
{
	char	 octets[LARGE];

	for (; from < to; from++) {
		memset(octets, (int)(from & 0xff), sizeof(octets));
		assert_int_equal(db_run(SQL_BODY_ADD, "ib", from, octets,
		    sizeof(octets)), 1);
	}
}

static bool
has_large(int64_t id)
{
	char		 wanted[LARGE];
	const void	*octets;
	size_t		 length;
	bool		 has = false;

	memset(wanted, (int)(id & 0xff), sizeof(wanted));
	if (db_ask(SQL_BODY_GET, "i", id) == 1) {
		octets = db_blob(SQL_BODY_GET, 0, &length);
		has = length == LARGE && memcmp(octets, wanted, LARGE) == 0;
	}
	db_end(SQL_BODY_GET);
	return has;
}

static void
gathers_a_commit(void **state)
{
	pid_t	 pid;
	int	 status;
	int64_t	 id;

	(void)state;
	if ((pid = fork()) == 0) {
		db_open();
		if (!count_writes() || db_run(SQL_BEGIN, "") == -1)
			_exit(1);
		add_large(1000, 1100);
		if (writes.calls != 0 || db_run(SQL_COMMIT, "") == -1)
			_exit(2);
		/* Some 300 pages: as many as 120 KiB make are one call. */
		if (writes.calls == 0 || writes.calls > 15)
			_exit(3);
		writes.calls = 0;
		if (db_checkpoint() == -1 || writes.calls == 0 ||
		    writes.calls > 15)
			_exit(4);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	/* What was carried over does not need the log. */
	assert_int_equal(unlink("spool.db-wal"), 0);
	db_open();
	for (id = 1000; id < 1100; id++)
		assert_true(has_large(id));
	db_close();
}

/* What was gathered and is wanted again is written first. */
static void
reads_what_it_gathered(void **state)
{
	int64_t	 id;

	(void)state;
	db_open();
	assert_int_equal(db_execute("PRAGMA cache_size = 10"), 0);
	assert_true(db_run(SQL_BEGIN, "") >= 0);
	for (id = 2000; id < 2100; id++) {
		add_large(id, id + 1);
		assert_true(has_large(2000 + (id * 7) % (id - 1999)));
	}
	assert_true(db_run(SQL_COMMIT, "") >= 0);
	for (id = 2000; id < 2100; id++)
		assert_true(has_large(id));
	db_close();
}

/* A commit that cannot be written fails as a whole; the next one does not. */
static void
fails_with_its_writes(void **state)
{
	(void)state;
	db_open();
	/* There is something in the log to be carried over. */
	assert_true(db_run(SQL_BEGIN, "") >= 0);
	add_large(2998, 3000);
	assert_true(db_run(SQL_COMMIT, "") >= 0);
	assert_true(count_writes());
	assert_true(db_run(SQL_BEGIN, "") >= 0);
	add_large(3000, 3002);
	writes.error = ENOSPC;
	assert_int_equal(db_run(SQL_COMMIT, ""), -1);
	assert_int_equal(db_trouble(), DB_FULL);
	if (db_in_transaction())
		assert_true(db_run(SQL_ROLLBACK, "") >= 0);
	assert_false(has_large(3000));
	assert_int_equal(db_checkpoint(), -1);
	assert_int_equal(db_trouble(), DB_FULL);
	writes.error = 0;
	assert_true(db_run(SQL_BEGIN, "") >= 0);
	add_large(3001, 3003);
	assert_true(db_run(SQL_COMMIT, "") >= 0);
	count_no_more();
	db_close();
	db_open();
	assert_false(has_large(3000));
	assert_true(has_large(3001));
	assert_true(has_large(3002));
	db_close();
}

static void
refuses_the_same_id(void **state)
{
	(void)state;
	db_open();
	assert_int_equal(db_run(SQL_BEGIN, ""), 0);
	add_body(9);
	assert_int_equal(db_run(SQL_BODY_ADD, "ib", (int64_t)9, "x",
	    (size_t)1), -1);
	assert_int_equal(db_trouble(), DB_OTHER);
	assert_true(db_in_transaction());
	assert_int_equal(db_run(SQL_ROLLBACK, ""), 0);
	assert_false(has_body(9));
	db_close();
}

static void
refuses_a_newer_version(void **state)
{
	char	 text[64];
	pid_t	 pid;
	int	 status;

	(void)state;
	(void)number("PRAGMA user_version = 1000");
	if ((pid = fork()) == 0) {
		close(STDERR_FILENO);
		db_open();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	(void)snprintf(text, sizeof(text), "PRAGMA user_version = %d",
	    db_version);
	(void)number(text);
	db_open();
	assert_true(has_body(7));
	db_close();
}

static void
sets_aside_what_is_none(void **state)
{
	FILE	*file = fopen("spool.db", "r+");
	int	 i;

	(void)state;
	assert_non_null(file);
	for (i = 0; i < 1000; i++)
		fputs("this is no database", file);
	fclose(file);
	(void)unlink("spool.db-wal");
	db_open();
	assert_false(has_body(7));
	add_body(7);
	db_close();
	assert_int_equal(system("ls spool.db.bad-* >/dev/null"), 0);
}

/* The end of a repair did not come: the old file is what counts. */
static void
repairs_again_what_was_broken_off(void **state)
{
	FILE	*file;

	(void)state;
	assert_int_equal(rename("spool.db", "spool.db.bad-1"), 0);
	assert_int_equal(rename("spool.db-wal", "spool.db.bad-1-wal"), 0);
	db_open();
	assert_false(has_body(7));
	db_close();
	file = fopen("spool.db.damaged", "w");
	assert_non_null(file);
	fputs("spool.db.bad-1", file);
	fclose(file);
	db_open();
	assert_int_equal(access("spool.db.bad-1", F_OK), -1);
	assert_int_equal(access("spool.db.damaged", F_OK), -1);
	assert_true(has_body(7));
	db_close();
	assert_int_equal(system("test $(ls spool.db.bad-*[0-9] | wc -l) = 2"),
	    0);
}

static int
clean_up(void **state)
{
	(void)state;
	return scratch_remove(directory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_made_as_it_must_be),
		cmocka_unit_test(puts_syncs_off),
		cmocka_unit_test(survives_a_kill),
		cmocka_unit_test(gathers_a_commit),
		cmocka_unit_test(reads_what_it_gathered),
		cmocka_unit_test(fails_with_its_writes),
		cmocka_unit_test(refuses_the_same_id),
		cmocka_unit_test(refuses_a_newer_version),
		cmocka_unit_test(sets_aside_what_is_none),
		cmocka_unit_test(repairs_again_what_was_broken_off)
	};

	if (mkdtemp(directory) == NULL || chdir(directory) == -1)
		return 1;
	log_start("spool_db_test", true);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, clean_up);
}
