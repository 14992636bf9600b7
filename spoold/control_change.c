/*
 * What an action does to one message: to its rows, within the transaction,
 * and to what of it is in memory when that is on disk.
 */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "spoold.h"

#define ROWS	SQL_RECIPIENT_OF

static struct change *
note_change(struct sweep *sweep, uint64_t id, uint32_t row,
    enum stored stored)
{
	struct change	*changes;

	if (sweep->change_count == sweep->change_size) {
		sweep->change_size = sweep->change_size == 0 ? 64 :
		    sweep->change_size * 2;
		changes = reallocarray(sweep->changes, sweep->change_size,
		    sizeof(*changes));
		if (changes == NULL)
			fatal("action");
		sweep->changes = changes;
	}
	changes = &sweep->changes[sweep->change_count++];
	changes->id = id;
	changes->row = row;
	changes->stored = stored;
	changes->lane = NULL;
	return changes;
}

/* ---- in the database ---- */

/* What a row becomes; -1 if this action does not concern it. */
static int
new_state(uint64_t action, int64_t stored)
{
	switch (action) {
	case CTL_RUN:
		return stored == STORED_DEFERRED ? STORED_DEFERRED : -1;
	case CTL_HOLD:
		return stored == STORED_NEW || stored == STORED_DEFERRED ?
		    STORED_HELD : -1;
	case CTL_RELEASE:
		return stored == STORED_HELD ? STORED_DEFERRED : -1;
	case CTL_REMOVE:
		return stored <= STORED_HELD ? STORED_MARKED : -1;
	case CTL_BOUNCE:
		return stored <= STORED_HELD ? STORED_DEFERRED : -1;
	default:
		return -1;
	}
}

static void
count_change(int64_t from, int to)
{
	ledger_count(0, 0, (to == STORED_DEFERRED) - (from == STORED_DEFERRED),
	    (to == STORED_HELD) - (from == STORED_HELD));
}

static int
change_row(const struct sweep *sweep, const struct change *change)
{
	if (sweep->request.action == CTL_BOUNCE)
		return db_run(SQL_RECIPIENT_GIVE_UP, "iui",
		    (int64_t)change->id, change->row, clock_now());
	/* What is to be tried now has to find its next hop open. */
	if (change->lane != NULL)
		lane_open(change->lane);
	return db_run(SQL_RECIPIENT_STATE, "iudi", (int64_t)change->id,
	    change->row, (int)change->stored, clock_now());
}

/* Collect the rows of a message that change, then change them. */
static int
change_rows(struct sweep *sweep, uint64_t id)
{
	struct change	*change;
	size_t		 i, first = sweep->change_count;
	int64_t		 stored;
	int		 result, to;

	for (result = db_ask(ROWS, "iui", (int64_t)id, 0U, INT64_MAX);
	    result == 1; result = db_next(ROWS)) {
		stored = db_integer(ROWS, 2);
		to = new_state(sweep->request.action, stored);
		if (to == -1 || !filter_wants_row(&sweep->request.filter,
		    filter_state_of_row(id)))
			continue;
		count_change(stored, to);
		change = note_change(sweep, id, (uint32_t)db_integer(ROWS, 1),
		    (enum stored)to);
		if (sweep->request.action == CTL_RUN && !db_is_null(ROWS, 18))
			change->lane = lane_find(db_text(ROWS, 18));
	}
	db_end(ROWS);
	if (result == -1)
		return -1;
	for (i = first; i < sweep->change_count; i++)
		if (change_row(sweep, &sweep->changes[i]) == -1)
			return -1;
	if (sweep->change_count > first)
		sweep->slice_count++;
	return 0;
}

/* Is anything of it with a worker or a next hop? */
static bool
is_out(const struct message *message)
{
	const struct recipient	*recipient;

	if (message == NULL)
		return false;
	TAILQ_FOREACH(recipient, &message->recipients, of_message)
		if (recipient->state == RECIPIENT_OUT ||
		    recipient->state == RECIPIENT_ENDING)
			return true;
	return false;
}

/*
 * Forget how its lists were expanded, as far as nothing came of it.  A list
 * that failed, or was removed, before all of it was known is not expanded
 * again: there the members that are known stay, since nothing else stands for
 * them.
 */
static int
unexpand(int64_t id)
{
	int	 orphan = db_ask(SQL_RECIPIENT_ORPHAN, "i", id);

	db_end(SQL_RECIPIENT_ORPHAN);
	if (orphan != 0)
		return orphan == -1 ? -1 : 0;
	if (db_run(SQL_RECIPIENT_CHILDREN, "i", id) == -1)
		return -1;
	return db_run(SQL_RECIPIENT_UNEXPAND, "ii", id, clock_now());
}

/*
 * Rows that were never tried become due as well: they leave the memory that
 * had them.
 */
static int
reroute(struct sweep *sweep, const struct message *message)
{
	int64_t	 id = (int64_t)message->id;
	int	 result;

	if (store_count_rows(message->id, -1) == -1 ||
	    unexpand(id) == -1 ||
	    db_run(SQL_RECIPIENT_REAGE, "ii", id, clock_now()) == -1 ||
	    store_count_rows(message->id, 1) == -1)
		return -1;
	for (result = db_ask(SQL_RECIPIENT_WAITING, "i", id); result == 1;
	    result = db_next(SQL_RECIPIENT_WAITING))
		;
	db_end(SQL_RECIPIENT_WAITING);
	note_change(sweep, message->id, 0, STORED_DEFERRED);
	sweep->slice_count++;
	return result;
}

static int
age(struct sweep *sweep, struct message *message)
{
	int64_t	 id = (int64_t)message->id;

	if (store_age_message(message, sweep->request.amount) == -1 ||
	    store_count_rows(message->id, -1) == -1 ||
	    db_run(SQL_RECIPIENT_REAGE, "ii", id, clock_now()) == -1 ||
	    store_count_rows(message->id, 1) == -1)
		return -1;
	note_change(sweep, message->id, 0, STORED_DEFERRED);
	sweep->slice_count++;
	return 0;
}

/* Does the filter want any of its rows?  -1 if the database refused. */
static int
wants_any(const struct w_ctl_filter *filter, uint64_t id)
{
	bool	 found = false;
	int	 result;

	for (result = db_ask(ROWS, "iui", (int64_t)id, 0U, INT64_MAX);
	    result == 1 && !found; result = db_next(ROWS))
		found = filter_wants_row(filter, filter_state_of_row(id));
	db_end(ROWS);
	return result == -1 ? -1 : found;
}

/* What is done to a message as a whole, if a row of it is wanted. */
static int
change_whole(struct sweep *sweep, struct message *message)
{
	int	 wanted = wants_any(&sweep->request.filter, message->id);

	if (wanted != 1)
		return wanted;
	if (is_out(queue_find(message->id))) {
		sweep->is_busy = true;
		return 0;
	}
	return sweep->request.action == CTL_AGE ? age(sweep, message) :
	    reroute(sweep, message);
}

/* Do it to one message, if the filter wants it and the client may. */
int
change_message(struct sweep *sweep, uint64_t id)
{
	struct client	 who = {
		.uid = sweep->uid, .is_operator = sweep->is_operator
	};
	struct message	*message = store_load_message(id);
	int		 result = 0;

	if (message == NULL || !client_owns(&who, message) ||
	    !filter_wants_message(&sweep->request.filter, message,
	    clock_now()))
		goto out;
	if (sweep->request.action == CTL_REROUTE ||
	    sweep->request.action == CTL_AGE)
		result = change_whole(sweep, message);
	else
		result = change_rows(sweep, id);
out:
	message_free(message);
	return result;
}

/* ---- in memory ---- */

/* A recipient in memory whose row was changed. */
static void
follow(struct recipient *recipient, enum stored stored, bool give_up)
{
	if (recipient->state == RECIPIENT_OUT ||
	    recipient->state == RECIPIENT_ENDING) {
		recipient->stored = stored;
		recipient->give_up = recipient->give_up || give_up;
		return;
	}
	attempt_withdraw(recipient);
	queue_leave(recipient);
}

/* The whole message was changed: its recipients are read anew. */
static void
follow_all(uint64_t id)
{
	struct message		*message = queue_find(id);
	struct recipient	*recipient, *next;

	if (message == NULL)
		return;
	message->pins++;
	expansion_forget_known(message);
	TAILQ_FOREACH_SAFE(recipient, &message->recipients, of_message, next)
		follow(recipient, STORED_DEFERRED, false);
	message->pins--;
	message_release(message);
}

static void
log_action(const struct sweep *sweep, uint64_t id)
{
	static const char *const words[] = {
		[CTL_RUN] = "run", [CTL_HOLD] = "held",
		[CTL_RELEASE] = "released", [CTL_REMOVE] = "removed",
		[CTL_REROUTE] = "rerouted", [CTL_AGE] = "aged",
		[CTL_BOUNCE] = "given-up"
	};

	log_begin(LOG_INFO, words[sweep->request.action]);
	log_id("id", id);
	log_number("uid", sweep->uid);
	log_end();
}

/* What was changed is on disk. */
void
change_follow(struct sweep *sweep)
{
	struct recipient	*recipient;
	struct change		*change;
	uint64_t		 last = 0;
	size_t			 i;

	for (i = 0; i < sweep->change_count; i++) {
		change = &sweep->changes[i];
		if (change->id != last)
			log_action(sweep, change->id);
		last = change->id;
		if (change->row == 0)
			follow_all(change->id);
		else if (sweep->request.action != CTL_RUN &&
		    (recipient = queue_find_recipient(change->id,
		    change->row)) != NULL)
			follow(recipient, change->stored,
			    sweep->request.action == CTL_BOUNCE);
	}
}
