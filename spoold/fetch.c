/*
 * What enters the window from the database.
 *
 * The due rows are read in the order of their time behind a cursor that only
 * moves on, so that each is looked at once: rows of a lane that has its share
 * stay, and the lane fetches them itself when it has room.  A lane whose hop
 * has opened goes through those that waited for that, and in a run of the
 * queue through all.  Rows stored as new that no memory holds are those of a
 * process that died; they are looked for behind the mark that says where the
 * first can be.
 */
#include <event2/event.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "loop.h"
#include "spoold.h"

#define SLICE		250	/* rows at a time */
#define DUE_SLICE	50	/* of those that may be of any lane */
#define DUE_PAUSE	(SECOND / 100)	/* behind one of which nothing can go */
#define SCAN_SLICE	1000
#define RESCAN		(10 * MINUTE)

struct cursor {
	int64_t		 next;
	uint64_t	 message;
	uint32_t	 row;
};

static struct {
	struct cursor	 due;		/* behind it nothing was fetched */
	int64_t		 due_first;	/* when the next row is due */
	bool		 due_paused;	/* until the timer */
	bool		 closed_paused;	/* the same for lanes of closed hops */
	struct event	*timer;
	int64_t		 rescan_at;	/* monotonic */
	bool		 flushing;	/* the operator wants all tried now */
	struct cursor	 flush;
	int64_t		 flush_began;
	bool		 recovering;
	struct cursor	 recover;
	uint64_t	 recover_last;
	bool		 full;		/* rows were left for want of room */
} fetch;

/* Was anything left for want of room? */
bool
fetch_wants_room(void)
{
	return fetch.full || fetch.recovering;
}

/* The first message that may have rows as new which nobody has looked at. */
uint64_t
fetch_low(void)
{
	return fetch.recovering ? fetch.recover.message : UINT64_MAX;
}

/* A row was stored that is due then. */
void
queue_due_at(int64_t when)
{
	if (when < fetch.due_first)
		fetch.due_first = when;
	/* The cursor has passed it while its sync was waited for. */
	if (when > 0 && when <= fetch.due.next)
		fetch.due = (struct cursor){ .next = when };
}

/* Look at all due rows again: their times were changed. */
void
queue_rescan(void)
{
	memset(&fetch.due, 0, sizeof(fetch.due));
	fetch.due_first = 0;
	queue_wake();
}

/*
 * The lane goes through its rows from the first on: all, for a run of the
 * queue, or those that waited for it to open.
 */
static void
flush_lane(struct lane *lane, bool all)
{
	if (lane->flush == NULL &&
	    (lane->flush = calloc(1, sizeof(*lane->flush))) == NULL)
		fatal("fetch");
	memset(lane->flush, 0, sizeof(*lane->flush));
	lane->flush_all = all;
	lane_set_asleep(lane, false);
	lane_set_backlog(lane, true);
}

/* Try all that is deferred, once, whatever its time. */
void
queue_flush(void)
{
	struct lane	*lane = NULL;

	memset(&fetch.flush, 0, sizeof(fetch.flush));
	fetch.flushing = true;
	fetch.flush_began = clock_now();
	while ((lane = lane_next_of(lane, "")) != NULL)
		if (lane->flush != NULL)
			flush_lane(lane, true);
	lane_open_all();
	queue_wake();
}

/* The lane of the row that a statement stands at, if anything is known. */
static struct lane *
lane_of_row(enum sql sql)
{
	return db_is_null(sql, 18) ? NULL : lane_find(db_text(sql, 18));
}

/*
 * When the row that a statement stands at is tried: at its own time, or when
 * its hop opens.
 */
int64_t
queue_next_of_row(enum sql sql)
{
	const struct lane	*lane = lane_of_row(sql);
	int64_t			 next = db_integer(sql, 3);

	if (lane == NULL || !store_row_waits(sql) ||
	    lane->closed_until == 0 || lane->closed_until > next)
		return next;
	return lane->closed_until;
}

/* The message of a row, from memory or from its own row. */
static struct message *
message_of(uint64_t id)
{
	struct message	*message = queue_find(id);

	if (message == NULL && (message = store_load_message(id)) != NULL)
		queue_add(message);
	return message;
}

/*
 * Is there no place for a row of this lane now?  It would overfill it, and is
 * taken when there is room; or this is a run of the queue, and the hop was
 * tried in it and is closed again.
 */
static bool
is_crowded(struct lane *lane, bool flushing)
{
	if (lane == NULL)
		return false;
	if (flushing && lane_is_closed(lane))
		return true;
	if (lane_room(lane) > 0)
		return false;
	if (flushing && (lane->flush == NULL || !lane->flush_all))
		flush_lane(lane, true);
	lane_set_backlog(lane, true);
	return true;
}

/*
 * Was the row that a statement stands at tried since then?  What was tried
 * later than now was so before the clock was set back.
 */
static bool
was_tried(enum sql sql, int64_t since)
{
	int64_t	 tried = db_integer(sql, 22);

	return tried >= since && tried <= clock_now();
}

/* Take the row that a statement stands at into the window. */
static void
take_row(enum sql sql)
{
	uint64_t		 id = (uint64_t)db_integer(sql, 0);
	struct recipient	*recipient;
	struct message		*message;

	if (queue_find_recipient(id, (uint32_t)db_integer(sql, 1)) != NULL ||
	    (message = message_of(id)) == NULL)
		return;
	message->pins++;
	if ((recipient = store_recipient(sql, message)) != NULL) {
		if (recipient->stored == STORED_NEW)
			queue_add_fresh(message);
		if (!db_is_null(sql, 18))
			(void)lane_join(recipient,
			    lane_of_text(db_text(sql, 18)));
		queue_take(recipient);
	}
	message->pins--;
	message_release(message);
}

/*
 * Fetch a slice of the deferred rows behind a cursor, which moves on, with a
 * time up to until; those tried since are left.  Returns 1 if there may be
 * more, 0 at the end, -1 if there is no room; tells whether any can go.
 */
static int
fetch_slice(struct cursor *cursor, int64_t until, int64_t since,
    bool *can_go)
{
	struct lane	*lane;
	size_t		 rows = 0;
	int		 result;

	*can_go = false;
	for (result = db_ask(SQL_DUE, "iiuii", cursor->next,
	    (int64_t)cursor->message, cursor->row, until, (int64_t)DUE_SLICE);
	    result == 1; result = db_next(SQL_DUE)) {
		if (!queue_has_room())
			break;
		rows++;
		cursor->message = (uint64_t)db_integer(SQL_DUE, 0);
		cursor->row = (uint32_t)db_integer(SQL_DUE, 1);
		cursor->next = db_integer(SQL_DUE, 3);
		lane = lane_of_row(SQL_DUE);
		if (was_tried(SQL_DUE, since) ||
		    is_crowded(lane, since != INT64_MAX))
			continue;
		take_row(SQL_DUE);
		*can_go = *can_go || lane == NULL || !lane_is_closed(lane);
	}
	db_end(SQL_DUE);
	fetch.full = result == 1;
	return result == 1 ? -1 : rows == DUE_SLICE;
}

static void
on_timer(int fd, short events, void *unused)
{
	(void)fd;
	(void)events;
	(void)unused;
	fetch.due_paused = fetch.closed_paused = false;
	queue_wake();
}

/* What cannot go has time: other mail goes on. */
static void
pause_slices(bool *paused)
{
	loop_after(fetch.timer, DUE_PAUSE);
	*paused = true;
}

/*
 * One slice of what is due.  Returns true if there may be more and that has
 * no time.
 */
static bool
fetch_due(int64_t now)
{
	bool	 can_go;
	int	 result;

	if (now < fetch.due_first || fetch.due_paused)
		return false;
	result = fetch_slice(&fetch.due, now, INT64_MAX, &can_go);
	if (result == 1 && !can_go) {
		pause_slices(&fetch.due_paused);
		return false;
	}
	if (result != 0)
		return result == 1;
	fetch.due_first = INT64_MAX;
	if (db_ask(SQL_DUE_FIRST, "i", now) == 1 &&
	    !db_is_null(SQL_DUE_FIRST, 0))
		fetch.due_first = db_integer(SQL_DUE_FIRST, 0);
	db_end(SQL_DUE_FIRST);
	return false;
}

/* One slice of what the operator wants tried. */
static bool
fetch_flush(void)
{
	bool	 can_go;
	int	 result;

	if (!fetch.flushing)
		return false;
	result = fetch_slice(&fetch.flush, INT64_MAX, fetch.flush_began,
	    &can_go);
	if (result == 0)
		fetch.flushing = false;
	return result == 1;
}

/* Is the row at which the lane stands one that it goes through them for? */
static bool
is_wanted(const struct lane *lane)
{
	return lane->flush_all ?
	    !was_tried(SQL_DUE_LANE, fetch.flush_began) :
	    store_row_waits(SQL_DUE_LANE);
}

/* A slice of its rows for a lane that goes through them and has room. */
static void
fetch_flush_lane(struct lane *lane)
{
	struct cursor	*cursor = lane->flush;
	uint32_t	 rows = 0;
	int		 result;

	for (result = db_ask(SQL_DUE_LANE, "tiiuii", lane->text, cursor->next,
	    (int64_t)cursor->message, cursor->row, INT64_MAX, (int64_t)SLICE);
	    result == 1 && queue_has_room() && lane_room(lane) > 0;
	    result = db_next(SQL_DUE_LANE)) {
		rows++;
		cursor->message = (uint64_t)db_integer(SQL_DUE_LANE, 0);
		cursor->row = (uint32_t)db_integer(SQL_DUE_LANE, 1);
		cursor->next = db_integer(SQL_DUE_LANE, 3);
		if (is_wanted(lane))
			take_row(SQL_DUE_LANE);
	}
	db_end(SQL_DUE_LANE);
	if (lane_is_closed(lane))
		lane_set_asleep(lane, true);
	else if (result != 0 || rows == SLICE)
		return;
	free(lane->flush);
	lane->flush = NULL;
}

/* A slice of the due rows of a lane that has room again. */
static bool
fetch_lane(struct lane *lane, int64_t now)
{
	uint32_t	 wanted, rows = 0;
	size_t		 before = queue_size();
	int		 result;

	if (lane->flush != NULL) {
		fetch_flush_lane(lane);
		return true;
	}
	wanted = lane_room(lane) < SLICE ? lane_room(lane) : SLICE;
	/* Rows in work are among the first; ask for as many more. */
	wanted += lane->count;
	for (result = db_ask(SQL_DUE_LANE, "tiiuiu", lane->text, INT64_MIN,
	    INT64_C(0), 0U, now, wanted);
	    result == 1 && queue_has_room(); result = db_next(SQL_DUE_LANE)) {
		rows++;
		take_row(SQL_DUE_LANE);
	}
	db_end(SQL_DUE_LANE);
	if (result == 0 && rows < wanted)
		lane_set_backlog(lane, false);
	/* Rows that are all in work, under another lane, give way in time. */
	return queue_size() > before || !lane->backlog;
}

/* A slice for a lane; those of closed hops have time. */
static bool
fetch_backlog(int64_t now)
{
	struct lane	*lane;

	if (!queue_has_room())
		return false;
	if ((lane = lane_next_backlog(false)) != NULL)
		return fetch_lane(lane, now);
	if (!fetch.closed_paused &&
	    (lane = lane_next_backlog(true)) != NULL) {
		pause_slices(&fetch.closed_paused);
		(void)fetch_lane(lane, now);
	}
	return false;
}

/* A slice of the search for rows that a dead process had in memory. */
static bool
fetch_lost(void)
{
	size_t	 rows = 0;
	int	 result;

	if (!fetch.recovering || !queue_has_room())
		return false;
	for (result = db_ask(SQL_NEW, "iuii", (int64_t)fetch.recover.message,
	    fetch.recover.row, (int64_t)fetch.recover_last,
	    (int64_t)SCAN_SLICE); result == 1 && queue_has_room();
	    result = db_next(SQL_NEW)) {
		rows++;
		fetch.recover.message = (uint64_t)db_integer(SQL_NEW, 0);
		fetch.recover.row = (uint32_t)db_integer(SQL_NEW, 1);
		if (db_integer(SQL_NEW, 2) == STORED_NEW)
			take_row(SQL_NEW);
	}
	db_end(SQL_NEW);
	if (result == 0 && rows < SCAN_SLICE)
		fetch.recovering = false;
	queue_update_low();
	return fetch.recovering;
}

/* One slice of whatever there is.  Returns true if there may be more. */
bool
fetch_some(int64_t now)
{
	return fetch_lost() || fetch_due(now) || fetch_flush() ||
	    fetch_backlog(now);
}

/* Hops that have opened go through what waited for that. */
static void
wake_lanes(int64_t now)
{
	struct lane	*lane, *next;

	for (lane = lane_next_asleep(NULL); lane != NULL; lane = next) {
		next = lane_next_asleep(lane);
		if (!lane_may_wake(lane, now))
			continue;
		flush_lane(lane, lane->flush != NULL && lane->flush_all);
		queue_wake();
	}
}

/* Once a second. */
void
queue_tick(int64_t now)
{
	wake_lanes(now);
	if (clock_monotonic() >= fetch.rescan_at) {
		fetch.rescan_at = clock_monotonic() + RESCAN;
		queue_rescan();
		lane_prune(now);
	}
	if (now >= fetch.due_first || fetch.recovering || fetch.flushing ||
	    gate_any_suspect())
		queue_wake();
}

void
fetch_start(void)
{
	fetch.timer = event_new(spoold_base(), -1, 0, on_timer, NULL);
	if (fetch.timer == NULL)
		fatalx("no timer");
	fetch.rescan_at = clock_monotonic() + RESCAN;
	fetch.recovering = ledger_low() <= ledger_high();
	fetch.recover.message = ledger_low();
	fetch.recover_last = ledger_high();
}
