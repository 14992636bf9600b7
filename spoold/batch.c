/*
 * Group commit: the work of a turn is run in one transaction at its end.
 *
 * Results of deliveries come first, then requests; but a batch has room for
 * requests however many results there are.  done() is called when all of the
 * batch is on disk, and nothing in memory changes before.  If any part of
 * a batch fails, it is rolled back and each work is run in a transaction of
 * its own, so that only those fail that fail alone; a result that does is
 * kept and tried again, and until it is stored no attempt begins.
 *
 * On a disk whose syncs are long, a batch that was committed is left to a
 * syncer, and further ones are run meanwhile; done() is called in the order
 * of the commits, of each batch when its sync has returned and those of all
 * before it.  So the rows are ahead of memory by up to SYNCERS batches, and
 * only works that say so may wait: what they wrote nobody else looks at
 * before they are done, or he takes it for what it is.  With all others
 * the memory is brought level before, and their batch is synced in place.
 */
#include <stdlib.h>

#include "clock.h"
#include "log.h"
#include "loop.h"
#include "spoold.h"

#define BATCH_WORKS	256
#define BATCH_OCTETS	(4 * 1024 * 1024)
#define STALL_PAUSE	(1 * SECOND)

TAILQ_HEAD(works, work);

static struct {
	struct works	 results;	/* must succeed */
	struct works	 requests;
	size_t		 count;		/* of both */
	size_t		 pressing;	/* of these, that may not wait */
	/* Committed, with a syncer each: a ring in the order of commits. */
	struct works	 flights[SYNCERS];
	bool		 synced[SYNCERS];
	unsigned int	 first;
	unsigned int	 out;		/* how many there are */
	int64_t		 last_start;	/* monotonic: of a flight */
	bool		 landed;	/* answers have yet to leave */
	bool		 ending;
	bool		 stalled;	/* a result cannot be stored */
	int64_t		 retry_at;	/* monotonic, while stalled */
} batch = {
	TAILQ_HEAD_INITIALIZER(batch.results),
	TAILQ_HEAD_INITIALIZER(batch.requests),
	.count = 0
};

void
batch_add(struct work *work)
{
	batch.count++;
	batch.pressing += !work->may_wait;
	if (work->must)
		TAILQ_INSERT_TAIL(&batch.results, work, entry);
	else
		TAILQ_INSERT_TAIL(&batch.requests, work, entry);
}

bool
batch_stalled(void)
{
	return batch.stalled;
}

bool
batch_idle(void)
{
	return batch.count == 0 && batch.out == 0;
}

/* Does more wait than the next batch takes? */
bool
batch_is_long(void)
{
	return batch.count >= BATCH_WORKS / 2;
}

/* Move works from one list to the end of another, which has up to so many. */
static void
take(struct works *from, struct works *to, size_t most, size_t *count,
    size_t *octets)
{
	struct work	*work;

	while ((work = TAILQ_FIRST(from)) != NULL && *count < most &&
	    *octets < BATCH_OCTETS) {
		TAILQ_REMOVE(from, work, entry);
		TAILQ_INSERT_TAIL(to, work, entry);
		batch.count--;
		batch.pressing -= !work->may_wait;
		*octets += work->weight;
		++*count;
	}
}

/* A sync that failed: what the disk holds is unknown until it is read. */
void
batch_die(const char *what)
{
	fatalx("the disk failed at %s: nothing more is answered, the next"
	    " start recovers what is on it", what);
}

static void
abandon(void)
{
	if (db_in_transaction() && db_run(SQL_ROLLBACK, "") == -1)
		batch_die("a rollback");
	ledger_end_batch(false);
}

/* Run works in one transaction.  Returns 0 if it was committed. */
static int
run_together(struct works *works, bool later)
{
	struct work	*work;

	if (db_run(SQL_BEGIN, "") == -1)
		return -1;
	TAILQ_FOREACH(work, works, entry)
		if (work->run(work) == -1)
			goto out;
	if (ledger_finish_batch() == -1 || db_commit(later) == -1)
		goto out;
	ledger_end_batch(true);
	return 0;
out:
	if (db_trouble() == DB_IO)
		batch_die(db_why());
	abandon();
	return -1;
}

/*
 * Large bodies are durable, with their names, before a row names them; where
 * that cannot be tried, their works fail.
 */
static void
prepare(struct works *works, struct works *failed)
{
	struct work	*work, *next;
	bool		 files = false;
	int		 result;

	TAILQ_FOREACH_SAFE(work, works, entry, next) {
		if (work->prepare == NULL)
			continue;
		files = true;
		if (work->prepare(work) == 0)
			continue;
		TAILQ_REMOVE(works, work, entry);
		TAILQ_INSERT_TAIL(failed, work, entry);
	}
	if (!files || (result = body_sync_directories()) == 0)
		return;
	if (result == -1)
		batch_die("a directory of bodies");
	reserve_trouble("a directory of bodies cannot be opened");
	TAILQ_FOREACH_SAFE(work, works, entry, next)
		if (work->prepare != NULL) {
			TAILQ_REMOVE(works, work, entry);
			TAILQ_INSERT_TAIL(failed, work, entry);
		}
}

static void
finish(struct works *works, int result)
{
	struct work	*work;

	while ((work = TAILQ_FIRST(works)) != NULL) {
		TAILQ_REMOVE(works, work, entry);
		work->done(work, result);
	}
}

/* Results that failed alone wait where they were. */
static void
stall(struct works *kept)
{
	struct work	*work;

	if (!batch.stalled)
		log_note(LOG_ERR, "spool", "results cannot be stored, no"
		    " attempt begins: %s", db_why());
	batch.stalled = true;
	batch.retry_at = clock_monotonic() + STALL_PAUSE;
	while ((work = TAILQ_LAST(kept, works)) != NULL) {
		TAILQ_REMOVE(kept, work, entry);
		TAILQ_INSERT_HEAD(&batch.results, work, entry);
		batch.count++;
		batch.pressing += !work->may_wait;
	}
}

/* One transaction each; tells which failed even so. */
static void
run_apart(struct works *works)
{
	struct works	 one = TAILQ_HEAD_INITIALIZER(one);
	struct works	 kept = TAILQ_HEAD_INITIALIZER(kept);
	struct work	*work;

	reserve_trouble(db_why());
	while ((work = TAILQ_FIRST(works)) != NULL) {
		TAILQ_REMOVE(works, work, entry);
		TAILQ_INSERT_TAIL(&one, work, entry);
		if (run_together(&one, false) == 0) {
			finish(&one, 0);
			continue;
		}
		TAILQ_REMOVE(&one, work, entry);
		if (work->must)
			TAILQ_INSERT_TAIL(&kept, work, entry);
		else {
			reserve_trouble(db_why());
			work->done(work, -1);
		}
	}
	if (!TAILQ_EMPTY(&kept))
		stall(&kept);
}

/* ---- batches that are synced while others are run */

static void
on_synced(unsigned int n)
{
	batch.synced[n] = true;
	while (batch.out > 0 && batch.synced[n = batch.first]) {
		batch.synced[n] = false;
		batch.first = (n + 1) % SYNCERS;
		batch.out--;
		batch.landed = true;
		finish(&batch.flights[n], 0);
		/* What has left made room in its lane, where others wait. */
		queue_wake();
	}
}

/* Bring the memory level with the rows. */
static void
settle(void)
{
	while (batch.out > 0)
		syncer_wait(batch.first);
}

/* Leave works that were committed to a syncer. */
static void
take_off(struct works *works)
{
	unsigned int	 n = (batch.first + batch.out++) % SYNCERS;

	TAILQ_CONCAT(&batch.flights[n], works, entry);
	batch.last_start = clock_monotonic();
	syncer_begin(n);
}

/*
 * May another one start?  They start at even distances over the time that a
 * sync takes: close together they would have to wait for each other's
 * clients.  Results alone, for which no client waits, go with the next.
 */
static bool
may_take_off(void)
{
	return batch.out == 0 || (batch.out < SYNCERS &&
	    !TAILQ_EMPTY(&batch.requests) &&
	    clock_monotonic() - batch.last_start >= syncer_mean() / SYNCERS);
}

/* The hook at the end of a turn: one batch, then more turns if needed. */
static void
run_batch(void *unused)
{
	struct works	 works = TAILQ_HEAD_INITIALIZER(works);
	struct works	 failed = TAILQ_HEAD_INITIALIZER(failed);
	size_t		 count = 0, octets = 0;
	bool		 may_try, later, landed = batch.landed;

	(void)unused;
	batch.landed = false;
	if (batch.count == 0 && !ledger_needs_batch())
		return;
	later = syncer_is_worth_it() && batch.pressing == 0 && !batch.ending;
	if (!later)
		settle();
	else if (landed) {
		/* The answers first: others go on by them meanwhile. */
		loop_again();
		return;
	} else if (!may_take_off())
		return;
	may_try = !batch.stalled || clock_monotonic() >= batch.retry_at;
	if (may_try)
		take(&batch.results, &works, BATCH_WORKS / 2, &count, &octets);
	take(&batch.requests, &works, BATCH_WORKS, &count, &octets);
	if (may_try)
		take(&batch.results, &works, BATCH_WORKS, &count, &octets);
	if (count == 0 && !ledger_needs_batch())
		return;
	prepare(&works, &failed);
	finish(&failed, -1);
	if (run_together(&works, later) == 0) {
		if (batch.stalled && TAILQ_EMPTY(&batch.results)) {
			batch.stalled = false;
			log_note(LOG_NOTICE, "spool", "results can be stored"
			    " again");
			queue_wake();
		}
		if (later)
			take_off(&works);
		else
			finish(&works, 0);
	} else {
		settle();
		run_apart(&works);
	}
	idle_busy();
	if ((!TAILQ_EMPTY(&batch.results) && !batch.stalled) ||
	    !TAILQ_EMPTY(&batch.requests))
		loop_again();
}

void
batch_start(void)
{
	int	 i;

	for (i = 0; i < SYNCERS; i++)
		TAILQ_INIT(&batch.flights[i]);
	syncer_start(on_synced);
	loop_add_hook(LOOP_WORK, run_batch, NULL);
}

/* Run all that waits, at the end of the process. */
void
batch_finish(void)
{
	int	 i;

	batch.ending = true;
	settle();
	for (i = 0; i < BATCH_WORKS && !batch_idle() && !batch.stalled; i++)
		run_batch(NULL);
}
