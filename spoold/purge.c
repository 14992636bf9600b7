/*
 * Removes what was marked, in slices between the batches of the mail: rows,
 * then the message when none of its rows waits, then the file of its body.
 */
#include <stdlib.h>

#include "clock.h"
#include "log.h"
#include "loop.h"
#include "spoold.h"

#define SLICE	500	/* rows */
#define PAUSE	(5 * SECOND)	/* behind one that failed */

struct marked {
	uint64_t	 id;
	uint32_t	 row;
};

static struct {
	struct work	 work;
	struct marked	 rows[SLICE];
	size_t		 count;
	uint64_t	 files[SLICE];	/* bodies to remove when committed */
	size_t		 file_count;
	bool		 more;		/* is to be removed than there was
					   time for */
	bool		 running;
	bool		 wanted;
	int64_t		 not_before;	/* monotonic: behind one that failed */
} purge;

/* Which rows go now; those with a worker or relay go later. */
static int
collect(void)
{
	int		 result;

	purge.count = 0;
	for (result = db_ask(SQL_MARKED, "i", (int64_t)SLICE);
	    result == 1 && purge.count < SLICE;
	    result = db_next(SQL_MARKED)) {
		purge.rows[purge.count].id =
		    (uint64_t)db_integer(SQL_MARKED, 0);
		purge.rows[purge.count].row =
		    (uint32_t)db_integer(SQL_MARKED, 1);
		if (queue_find_recipient(purge.rows[purge.count].id,
		    purge.rows[purge.count].row) == NULL)
			purge.count++;
	}
	db_end(SQL_MARKED);
	return result == -1 ? -1 : 0;
}

/* Rows of it went: does anything of the message still wait? */
static int
remove_if_done(uint64_t id)
{
	struct message	*message;
	int64_t		 waiting = -1;
	int		 result;

	for (result = db_ask(SQL_RECIPIENT_WAITING, "i", (int64_t)id);
	    result == 1; result = db_next(SQL_RECIPIENT_WAITING))
		waiting = db_integer(SQL_RECIPIENT_WAITING, 0);
	db_end(SQL_RECIPIENT_WAITING);
	if (result == -1)
		return -1;
	if (waiting != 0 || (message = store_load_message(id)) == NULL)
		return 0;
	if (message->in_file)
		purge.files[purge.file_count++] = id;
	result = store_remove_message(message, true);
	message_free(message);
	return result;
}

static int
run_purge(struct work *work)
{
	int64_t	 until = clock_monotonic() + SLICE_TIME;
	size_t	 i;

	(void)work;
	purge.file_count = 0;
	if (collect() == -1)
		return -1;
	purge.more = purge.count == SLICE;
	for (i = 0; i < purge.count; i++) {
		if (clock_monotonic() > until && i > 0 &&
		    purge.rows[i].id != purge.rows[i - 1].id) {
			purge.more = true;
			break;
		}
		if (db_run(SQL_RECIPIENT_DROP, "iu",
		    (int64_t)purge.rows[i].id, purge.rows[i].row) == -1)
			return -1;
		if ((i + 1 == purge.count ||
		    purge.rows[i + 1].id != purge.rows[i].id) &&
		    remove_if_done(purge.rows[i].id) == -1)
			return -1;
	}
	return 0;
}

static void
purge_done(struct work *work, int result)
{
	size_t	 i;

	(void)work;
	purge.running = false;
	/* A full disk: what is marked is what makes room, so once more. */
	if (result == -1) {
		purge.not_before = clock_monotonic() + PAUSE;
		purge_wake();
		return;
	}
	for (i = 0; i < purge.file_count; i++)
		body_remove(purge.files[i]);
	if (purge.more)
		purge_wake();
}

/* The hook at a turn's end: at most one slice is in the next batch. */
static void
start_slice(void *unused)
{
	(void)unused;
	if (!purge.wanted || purge.running ||
	    (purge.not_before > 0 && clock_monotonic() < purge.not_before))
		return;
	purge.not_before = 0;
	purge.wanted = false;
	purge.running = true;
	purge.work.prepare = NULL;
	purge.work.run = run_purge;
	purge.work.done = purge_done;
	batch_add(&purge.work);
	loop_again();
}

/* Something was marked. */
void
purge_wake(void)
{
	purge.wanted = true;
}

/* What an earlier process marked goes as well. */
void
purge_start(void)
{
	loop_add_hook(LOOP_WORK, start_slice, NULL);
	purge_wake();
}
