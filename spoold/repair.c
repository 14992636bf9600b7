/*
 * A damaged database is set aside, and what can still be read of it is
 * carried into a fresh one.  Each step is on disk before the next, so that a
 * repair that is broken off begins again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "spoold.h"

#define SHM_NAME	DB_NAME "-shm"
#define DAMAGE_NAME	DB_NAME ".damaged"	/* repair at the next start */
#define NAME_LENGTH	64

/* Let the next start repair. */
void
repair_ask(void)
{
	int	 fd = open(DAMAGE_NAME, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd != -1)
		close(fd);
}

bool
repair_is_due(void)
{
	return access(DAMAGE_NAME, F_OK) == 0;
}

/*
 * What was carried over need not fit together: a message without body or
 * recipients is noted as damaged, a recipient without message is dropped,
 * and the totals are counted anew.
 */
static const char repair_text[] =
    "INSERT INTO main.damaged SELECT id, 0, 'lost its body', 0,"
    " quote(sender) FROM main.message WHERE in_file = 0"
    " AND id NOT IN (SELECT id FROM main.body);"
    "DELETE FROM main.message WHERE in_file = 0"
    " AND id NOT IN (SELECT id FROM main.body);"
    "INSERT INTO main.damaged SELECT id, 0, 'lost its recipients', 0,"
    " quote(sender) FROM main.message"
    " WHERE id NOT IN (SELECT message FROM main.recipient);"
    "DELETE FROM main.message"
    " WHERE id NOT IN (SELECT message FROM main.recipient);"
    "INSERT INTO main.damaged SELECT message, row, 'lost its message', 0,"
    " quote(address) FROM main.recipient"
    " WHERE message NOT IN (SELECT id FROM main.message);"
    "DELETE FROM main.recipient"
    " WHERE message NOT IN (SELECT id FROM main.message);"
    "DELETE FROM main.attempt"
    " WHERE message NOT IN (SELECT id FROM main.message);"
    "UPDATE main.recipient SET state = 1, next = 0 WHERE state = 0;"
    "UPDATE main.message SET waiting = (SELECT count(*) FROM"
    " main.recipient r WHERE r.message = id AND state IN (0, 1, 2, 5)),"
    " rows = (SELECT max(row) FROM main.recipient r WHERE r.message = id);"
    "UPDATE main.spool SET"
    " messages = (SELECT count(*) FROM main.message),"
    " octets = (SELECT ifnull(sum(size), 0) FROM main.message),"
    " deferred = (SELECT count(*) FROM main.recipient WHERE state = 1),"
    " held = (SELECT count(*) FROM main.recipient WHERE state = 2),"
    " high = max(high, (SELECT ifnull(max(id), 0) FROM main.message)),"
    " epoch = epoch + 1;";

/* What was renamed or removed here stays so. */
static void
sync_directory(void)
{
	int	 fd;

	if ((fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1 ||
	    fsync(fd) == -1)
		fatal("the spool's directory");
	close(fd);
}

/* From now on a repair that is broken off begins again with that file. */
static void
note_repair(const char *name)
{
	ssize_t	 length = (ssize_t)strlen(name);
	int	 fd;

	fd = open(DAMAGE_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
	    0600);
	if (fd == -1 || write(fd, name, (size_t)length) != length ||
	    fsync(fd) == -1)
		fatal("%s", DAMAGE_NAME);
	close(fd);
	sync_directory();
}

/* Put back what a repair that did not come to its end had set aside. */
void
repair_take_back(void)
{
	char	 name[NAME_LENGTH], wal[NAME_LENGTH * 2];
	ssize_t	 n = 0;
	int	 fd;

	if ((fd = open(DAMAGE_NAME, O_RDONLY | O_CLOEXEC)) != -1) {
		n = read(fd, name, sizeof(name) - 1);
		close(fd);
	}
	if (n <= 0)
		return;
	name[n] = '\0';
	if (access(name, F_OK) == -1)
		return;
	(void)snprintf(wal, sizeof(wal), "%s-wal", name);
	if (rename(wal, WAL_NAME) == -1 && errno != ENOENT)
		fatal("%s", wal);
	if (rename(name, DB_NAME) == -1)
		fatal("%s", name);
	sync_directory();
	log_note(LOG_ERR, "repair", "broken off before its end, begins again");
}

/*
 * Set the damaged files aside under a name of now.  A log is set aside in any
 * case: none of another database may come back.
 */
static void
set_aside(char *name, size_t size)
{
	char	 wal[NAME_LENGTH * 2];
	int64_t	 now = clock_now() / SECOND;
	int	 fd;

	db_drop();
	do {
		(void)snprintf(name, size, "%s.bad-%lld", DB_NAME,
		    (long long)now++);
	} while (access(name, F_OK) == 0);
	(void)snprintf(wal, sizeof(wal), "%s-wal", name);
	fd = open(WAL_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd != -1)
		close(fd);
	note_repair(name);
	if (rename(DB_NAME, name) == -1 || rename(WAL_NAME, wal) == -1)
		fatal("%s: cannot be set aside", DB_NAME);
	(void)unlink(SHM_NAME);
}

/* Replace a damaged database by what can still be read of it. */
void
repair(void)
{
	char	 name[NAME_LENGTH], text[NAME_LENGTH * 4];

	log_note(LOG_ERR, "repair", "%s is damaged: %s", DB_NAME, db_why());
	set_aside(name, sizeof(name));
	db_create();
	if (db_execute("BEGIN IMMEDIATE") == -1)
		fatalx("%s: %s", DB_NAME, db_why());
	db_salvage(name);
	if (db_execute(repair_text) == -1)
		fatalx("%s: repair: %s", DB_NAME, db_why());
	(void)snprintf(text, sizeof(text), "UPDATE main.spool SET history ="
	    " 'repaired; what was damaged is kept in %s'", name);
	if (db_execute(text) == -1 || db_execute("COMMIT") == -1)
		fatalx("%s: repair: %s", DB_NAME, db_why());
	(void)unlink(DAMAGE_NAME);
	sync_directory();
	log_note(LOG_ERR, "repair", "%lld messages and %lld recipients were"
	    " carried over, %lld rows did not fit; the damaged file is %s",
	    (long long)db_number("SELECT messages FROM spool"),
	    (long long)db_number("SELECT count(*) FROM recipient"),
	    (long long)db_number("SELECT count(*) FROM damaged"), name);
}
