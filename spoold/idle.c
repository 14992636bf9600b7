/*
 * What can wait until there is nothing better to do: carrying the log over
 * into the database, giving freed pages back, looking for orphaned bodies.
 * All of it in slices.
 */
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "loop.h"
#include "spoold.h"

/*
 * How much of the log is carried over at once when busy.  Mail waits so long,
 * and the time is not in proportion: pages far apart, as those of a deep
 * queue's indexes, take many times as long as those of new mail.  So the limit
 * follows what the last time took.  What the log has beyond the greatest is
 * for results when the disk is full.
 */
#define WAL_LEAST	(4 * 1024 * 1024)
#define WAL_MOST	(32 * 1024 * 1024)
#define WAL_TIME	(SECOND / 40)		/* that it should take */
#define PAUSE		(5 * SECOND)		/* behind one that failed */
#define IDLE_AFTER	(2 * SECOND)
#define SCAN_EVERY	DAY
#define SLICES		8			/* directories a second */

static struct {
	int64_t	 wal_limit;	/* octets */
	int64_t	 busy_at;	/* monotonic: of the last batch */
	int64_t	 scan_at;	/* monotonic: of the next orphan scan */
	int64_t	 not_before;	/* monotonic: of the next checkpoint */
	bool	 vacuumed;	/* nothing to give back since then */
} idle = { .wal_limit = WAL_LEAST };

/* A batch was committed. */
void
idle_busy(void)
{
	idle.busy_at = clock_monotonic();
	idle.vacuumed = false;
}

/* On a full disk mail must stop before the log's room for results does. */
static bool
checkpoint(int64_t monotonic)
{
	if (monotonic < idle.not_before)
		return false;
	if (db_checkpoint() == 0)
		return true;
	idle.not_before = monotonic + PAUSE;
	reserve_trouble(db_why());
	return false;
}

/* A checkpoint of about the limit took so long: which is the next one's? */
static int64_t
next_limit(int64_t limit, int64_t took)
{
	limit = took * 2 < WAL_TIME ? limit * 2 : limit * WAL_TIME / took;
	return limit < WAL_LEAST ? WAL_LEAST :
	    limit > WAL_MOST ? WAL_MOST : limit;
}

/* The hook behind the answers of a turn. */
static void
limit_wal(void *unused)
{
	int64_t	 began;

	(void)unused;
	if (db_wal_size() < idle.wal_limit)
		return;
	began = clock_monotonic();
	if (checkpoint(began))
		idle.wal_limit = next_limit(idle.wal_limit,
		    clock_monotonic() - began);
}

static void
scan_bodies(void)
{
	bool	 removed = false;
	int	 i;

	for (i = 0; i < SLICES && body_scan_slice(&removed); i++)
		;
}

/* Once a second. */
void
idle_tick(int64_t monotonic)
{
	if (monotonic >= idle.scan_at) {
		idle.scan_at = monotonic + SCAN_EVERY;
		body_scan_start();
	}
	if (monotonic - idle.busy_at < IDLE_AFTER || !batch_idle())
		return;
	scan_bodies();
	if (!idle.vacuumed) {
		idle.vacuumed = true;
		if (db_run(SQL_VACUUM, "") == -1)
			log_note(LOG_WARNING, "vacuum", "%s", db_why());
	}
	if (db_wal_size() > 0)
		(void)checkpoint(monotonic);
}

/* On demand: what the database says of itself, in one word or more. */
void
idle_check(char *text, size_t size)
{
	int	 result;

	text[0] = '\0';
	for (result = db_ask(SQL_CHECK, ""); result == 1;
	    result = db_next(SQL_CHECK)) {
		if (text[0] != '\0')
			(void)strlcat(text, "; ", size);
		(void)strlcat(text, db_text(SQL_CHECK, 0), size);
	}
	db_end(SQL_CHECK);
	if (result == -1)
		(void)strlcpy(text, db_why(), size);
	body_scan_start();
	idle.scan_at = clock_monotonic() + SCAN_EVERY;
}

/* The first scan waits until the queue has been got going. */
void
idle_start(void)
{
	idle.busy_at = clock_monotonic();
	idle.scan_at = idle.busy_at + MINUTE;
	loop_add_hook(LOOP_LOGS, limit_wal, NULL);
}
