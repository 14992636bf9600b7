/*
 * The window: the messages and recipients that are in work.
 *
 * A fresh message enters straight from its commit; all else is fetched from
 * the database when it is due.  The due rows are read in the order of their
 * time behind a cursor that only moves on, so that each is looked at once:
 * rows of a lane that has its share stay, and the lane fetches them itself
 * when it has room.  Rows stored as new that no memory holds are those of a
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

#define SLICE		50	/* rows at a time */
#define SLICE_PAUSE	(SECOND / 100)	/* behind one of which nothing can go */
#define SCAN_SLICE	1000
#define RESCAN		(10 * MINUTE)

static int
compare(struct message *a, struct message *b)
{
	return a->id < b->id ? -1 : a->id > b->id;
}

RB_HEAD(by_id, message);
RB_HEAD(by_fresh, message);
RB_GENERATE_STATIC(by_id, message, by_id, compare)
RB_GENERATE_STATIC(by_fresh, message, by_fresh, compare)

struct cursor {
	int64_t		 next;
	uint64_t	 message;
	uint32_t	 row;
};

static struct {
	struct by_id	 messages;
	struct by_fresh	 fresh;
	size_t		 count;		/* recipients in the window */
	size_t		 reserved;	/* for messages being committed */
	struct cursor	 due;		/* behind it nothing was fetched */
	int64_t		 due_first;	/* when the next row is due */
	int64_t		 due_at;	/* monotonic: of the next slice */
	struct event	*timer;		/* for that */
	int64_t		 rescan_at;	/* monotonic */
	bool		 flushing;	/* the operator wants all tried now */
	struct cursor	 flush;
	int64_t		 flush_began;
	bool		 recovering;
	struct cursor	 recover;
	uint64_t	 recover_last;
	bool		 full;		/* rows were left for want of room */
	bool		 paused;
	bool		 awake;		/* look for work at the turn's end */
} queue = {
	.messages = RB_INITIALIZER(&queue.messages),
	.fresh = RB_INITIALIZER(&queue.fresh),
	.due_first = 0
};

size_t
queue_size(void)
{
	return queue.count;
}

/* Look for work at the end of this turn. */
void
queue_wake(void)
{
	queue.awake = true;
}

bool
queue_is_paused(void)
{
	return queue.paused;
}

void
queue_pause(bool paused)
{
	queue.paused = paused;
	queue_wake();
}

/* May an attempt begin now? */
bool
queue_may_try(void)
{
	return !queue.paused && !batch_stalled();
}

static size_t
room(void)
{
	size_t	 window = (size_t)settings()->window;
	size_t	 used = queue.count + queue.reserved;

	return used < window ? window - used : 0;
}

bool
queue_has_room(void)
{
	return room() > 0;
}

/*
 * Keep room for a message that is being committed.  Returns false if there
 * is none: it is then stored as due, and fetched like any other.
 */
bool
queue_reserve(uint32_t count)
{
	if (count > room() && count > 0)
		return false;
	queue.reserved += count;
	return true;
}

void
queue_unreserve(uint32_t count)
{
	queue.reserved -= count;
}

/* The mark below which no row is stored as new. */
static void
update_low(void)
{
	struct message	*first = RB_MIN(by_fresh, &queue.fresh);
	uint64_t	 low = first != NULL ? first->id : store_high() + 1;

	if (queue.recovering && queue.recover.message < low)
		low = queue.recover.message;
	store_set_low(low);
}

static void
add_message(struct message *message)
{
	if (message->known)
		return;
	message->known = true;
	RB_INSERT(by_id, &queue.messages, message);
	if (message->fresh) {
		RB_INSERT(by_fresh, &queue.fresh, message);
		update_low();
	}
}

/* It is about to be committed as new: the mark must not pass it. */
void
queue_expect(struct message *message)
{
	struct recipient	*recipient;

	add_message(message);
	if (batch_is_long())
		return;
	TAILQ_FOREACH(recipient, &message->recipients, of_message)
		if (!recipient->refused)
			attempt_begin(recipient);
}

/* Out of the trees: it ends, or was not committed. */
void
queue_forget(struct message *message)
{
	struct recipient	*recipient;

	if (!message->known)
		return;
	TAILQ_FOREACH(recipient, &message->recipients, of_message)
		if (recipient->state != RECIPIENT_OUTSIDE)
			attempt_withdraw(recipient);
	message->known = false;
	RB_REMOVE(by_id, &queue.messages, message);
	if (message->fresh) {
		RB_REMOVE(by_fresh, &queue.fresh, message);
		update_low();
	}
}

struct message *
queue_find(uint64_t id)
{
	struct message	 key = { .id = id };

	return RB_FIND(by_id, &queue.messages, &key);
}

struct recipient *
queue_find_recipient(uint64_t id, uint32_t row)
{
	struct message		*message = queue_find(id);
	struct recipient	*recipient;

	if (message == NULL)
		return NULL;
	TAILQ_FOREACH(recipient, &message->recipients, of_message)
		if (recipient->row == row)
			return recipient;
	return NULL;
}

/* Begin with a recipient that is in its message's list. */
void
queue_take(struct recipient *recipient)
{
	queue.count++;
	careful_touch(recipient->message->id);
	if (recipient->refused)
		outcome_one(recipient, ENDING_FAILED, "5.1.1",
		    "the address was refused when it was submitted", "");
	else if (recipient->give_up)
		outcome_one(recipient, ENDING_FAILED, "5.0.0",
		    "given up by the operator", "");
	else if (recipient->state == RECIPIENT_OUTSIDE)
		attempt_begin(recipient);
	else if (recipient->state == RECIPIENT_ROUTED)
		attempt_dispatch(recipient);
}

/* A message that was committed, with all its recipients. */
void
queue_enter(struct message *message)
{
	struct recipient	*recipient, *next;

	message->committed = true;
	if (!message->fresh) {
		queue_due_at(0);
		queue_wake();
		message_free(message);
		return;
	}
	add_message(message);
	message->pins++;
	TAILQ_FOREACH_SAFE(recipient, &message->recipients, of_message, next)
		queue_take(recipient);
	message->pins--;
	message_spare_body(message);
	queue_wake();
}

/* Its result is on disk, or it was withdrawn: out of the window with it. */
void
queue_leave(struct recipient *recipient)
{
	struct message	*message = recipient->message;

	queue.count--;
	TAILQ_REMOVE(&message->recipients, recipient, of_message);
	recipient_free(recipient);
	if (queue.full || queue.recovering ||
	    queue.count <= (size_t)settings()->window / 2)
		queue.awake = true;
	message_release(message);
}

/* A row was stored that is due then. */
void
queue_due_at(int64_t when)
{
	if (when < queue.due_first)
		queue.due_first = when;
}

/* Look at all due rows again: their times were changed. */
void
queue_rescan(void)
{
	memset(&queue.due, 0, sizeof(queue.due));
	queue.due_first = 0;
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
		fatal("queue");
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

	memset(&queue.flush, 0, sizeof(queue.flush));
	queue.flushing = true;
	queue.flush_began = clock_now();
	while ((lane = lane_next_of(lane, "")) != NULL)
		if (lane->flush != NULL)
			flush_lane(lane, true);
	lane_open_all();
	queue_wake();
}

/* ---- fetching ---- */

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
		add_message(message);
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

/* Its message has rows that are stored as new. */
static void
mark_fresh(struct message *message)
{
	if (message->fresh)
		return;
	message->fresh = true;
	RB_INSERT(by_fresh, &queue.fresh, message);
}

/* Take the row that a statement stands at into the window. */
static void
fetch(enum sql sql)
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
			mark_fresh(message);
		if (!db_is_null(sql, 18))
			(void)lane_join(recipient,
			    lane_of_text(db_text(sql, 18)));
		/* Came by itself: this lane may have slept before we began. */
		if (recipient->waits && recipient->lane != NULL &&
		    sql == SQL_DUE)
			lane_set_asleep(recipient->lane, true);
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
	    (int64_t)cursor->message, cursor->row, until, (int64_t)SLICE);
	    result == 1; result = db_next(SQL_DUE)) {
		if (room() == 0)
			break;
		rows++;
		cursor->message = (uint64_t)db_integer(SQL_DUE, 0);
		cursor->row = (uint32_t)db_integer(SQL_DUE, 1);
		cursor->next = db_integer(SQL_DUE, 3);
		lane = lane_of_row(SQL_DUE);
		if (db_integer(SQL_DUE, 22) >= since ||
		    is_crowded(lane, since != INT64_MAX))
			continue;
		fetch(SQL_DUE);
		*can_go = *can_go || lane == NULL || !lane_is_closed(lane);
	}
	db_end(SQL_DUE);
	queue.full = result == 1;
	return result == 1 ? -1 : rows == SLICE;
}

static void
on_timer(int fd, short events, void *unused)
{
	(void)fd;
	(void)events;
	(void)unused;
	queue_wake();
}

/*
 * One slice of what is due.  Returns true if there may be more; where nothing
 * could go, as behind a dead host, that has time, and other mail goes on.
 */
static bool
fetch_due(int64_t now)
{
	const struct timeval	 pause = { .tv_usec = SLICE_PAUSE };
	bool			 can_go;
	int			 result;

	if (now < queue.due_first || clock_monotonic() < queue.due_at)
		return false;
	result = fetch_slice(&queue.due, now, INT64_MAX, &can_go);
	if (result == 1 && !can_go) {
		queue.due_at = clock_monotonic() + SLICE_PAUSE;
		if (event_add(queue.timer, &pause) == -1)
			fatalx("no timer");
		return false;
	}
	if (result != 0)
		return result == 1;
	queue.due_first = INT64_MAX;
	if (db_ask(SQL_DUE_FIRST, "i", now) == 1 &&
	    !db_is_null(SQL_DUE_FIRST, 0))
		queue.due_first = db_integer(SQL_DUE_FIRST, 0);
	db_end(SQL_DUE_FIRST);
	return false;
}

/* One slice of what the operator wants tried. */
static bool
fetch_flush(void)
{
	bool	 can_go;
	int	 result;

	if (!queue.flushing)
		return false;
	result = fetch_slice(&queue.flush, INT64_MAX, queue.flush_began,
	    &can_go);
	if (result == 0)
		queue.flushing = false;
	return result == 1;
}

/* Is the row at which the lane stands one that it goes through them for? */
static bool
is_wanted(const struct lane *lane)
{
	return lane->flush_all ?
	    db_integer(SQL_DUE_LANE, 22) < queue.flush_began :
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
	    result == 1 && room() > 0 && lane_room(lane) > 0;
	    result = db_next(SQL_DUE_LANE)) {
		rows++;
		cursor->message = (uint64_t)db_integer(SQL_DUE_LANE, 0);
		cursor->row = (uint32_t)db_integer(SQL_DUE_LANE, 1);
		cursor->next = db_integer(SQL_DUE_LANE, 3);
		if (is_wanted(lane))
			fetch(SQL_DUE_LANE);
	}
	db_end(SQL_DUE_LANE);
	if (lane_is_closed(lane))
		lane_set_asleep(lane, true);
	else if (result != 0 || rows == SLICE)
		return;
	free(lane->flush);
	lane->flush = NULL;
}

/* A slice for a lane that has room again. */
static bool
fetch_backlog(int64_t now)
{
	struct lane	*lane;
	uint32_t	 wanted, rows = 0;
	size_t		 before = queue.count;
	int		 result;

	if (room() == 0 || (lane = lane_next_backlog()) == NULL)
		return false;
	if (lane->flush != NULL) {
		fetch_flush_lane(lane);
		return true;
	}
	wanted = lane_room(lane) < SLICE ? lane_room(lane) : SLICE;
	/* Rows in work are among the first; ask for as many more. */
	wanted += lane->count;
	for (result = db_ask(SQL_DUE_LANE, "tiiuiu", lane->text, INT64_MIN,
	    INT64_C(0), 0U, now, wanted);
	    result == 1 && room() > 0; result = db_next(SQL_DUE_LANE)) {
		rows++;
		fetch(SQL_DUE_LANE);
	}
	db_end(SQL_DUE_LANE);
	if (result == 0 && rows < wanted)
		lane_set_backlog(lane, false);
	/* Rows that are all in work, under another lane, give way in time. */
	return queue.count > before || !lane->backlog;
}

/* A slice of the search for rows that a dead process had in memory. */
static bool
fetch_lost(void)
{
	size_t	 rows = 0;
	int	 result;

	if (!queue.recovering || room() == 0)
		return false;
	for (result = db_ask(SQL_NEW, "iuii", (int64_t)queue.recover.message,
	    queue.recover.row, (int64_t)queue.recover_last,
	    (int64_t)SCAN_SLICE); result == 1 && room() > 0;
	    result = db_next(SQL_NEW)) {
		rows++;
		queue.recover.message = (uint64_t)db_integer(SQL_NEW, 0);
		queue.recover.row = (uint32_t)db_integer(SQL_NEW, 1);
		if (db_integer(SQL_NEW, 2) == STORED_NEW)
			fetch(SQL_NEW);
	}
	db_end(SQL_NEW);
	if (result == 0 && rows < SCAN_SLICE)
		queue.recovering = false;
	update_low();
	return queue.recovering;
}

/* The hook at a turn's end, behind the batch. */
static void
look_for_work(void *unused)
{
	int64_t	 now;

	(void)unused;
	if (!queue.awake)
		return;
	queue.awake = false;
	if (queue_may_try()) {
		now = clock_now();
		if (fetch_lost() || fetch_due(now) || fetch_flush() ||
		    fetch_backlog(now))
			queue_wake();
	}
	attempt_pump();
	user_pump();
	hop_pump();
	if (queue.awake)
		loop_again();
}

/* Hops that have opened go through what waited for that. */
static void
wake_lanes(int64_t now)
{
	struct lane	*lane;

	while ((lane = lane_next_awake(now)) != NULL) {
		flush_lane(lane, lane->flush != NULL && lane->flush_all);
		queue_wake();
	}
}

/* Once a second. */
void
queue_tick(int64_t now)
{
	wake_lanes(now);
	if (clock_monotonic() >= queue.rescan_at) {
		queue.rescan_at = clock_monotonic() + RESCAN;
		queue_rescan();
		lane_prune(now);
	}
	if (now >= queue.due_first || queue.recovering || queue.flushing)
		queue_wake();
}

void
queue_start(void)
{
	queue.timer = event_new(spoold_base(), -1, 0, on_timer, NULL);
	if (queue.timer == NULL)
		fatalx("no timer");
	queue.rescan_at = clock_monotonic() + RESCAN;
	queue.recovering = store_low() <= store_high();
	queue.recover.message = store_low();
	queue.recover_last = store_high();
	loop_add_hook(LOOP_WORK, look_for_work, NULL);
	queue_wake();
}
