/*
 * What the operator changes: one message, or all that a filter matches.  A
 * filter is worked off in slices, a work of the batch each, between those of
 * the mail; the answer leaves when all is marked and committed.  What is
 * marked for removal is neither listed nor tried, and goes behind (purge.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "spoold.h"

#define SLICE		1000		/* messages looked at a turn */
#define CHANGES_MAX	4096		/* rows changed a turn, about */
#define RUN_PAUSE	(10 * SECOND)	/* between two runs of one uid */
#define RUNNERS		64		/* uids remembered for that */

/* A row that was changed, to be followed in memory. */
struct change {
	uint64_t	 id;
	uint32_t	 row;
	enum stored	 stored;
};

struct sweep {
	struct work	 work;
	struct client	*client;	/* NULL when it has gone */
	struct w_ctl_action_req request;
	uint32_t	 uid;
	bool		 is_operator;
	uint64_t	 cursor;	/* looked at up to here */
	uint64_t	 next_cursor;
	uint64_t	 count;		/* messages it was done to */
	uint64_t	 slice_count;
	bool		 at_end;
	bool		 is_busy;	/* one could not be changed just now */
	struct change	*changes;
	size_t		 change_count;
	size_t		 change_size;
};

static struct {
	uint32_t	 uid;
	int64_t		 at;		/* monotonic, 0 never */
} runners[RUNNERS];

static void
answer_ctl_action(struct client *client, enum ctl_verdict verdict,
    uint64_t count, const char *text)
{
	struct w_ctl_action_ans	 answer = {
		.count = count, .verdict = verdict
	};

	(void)strlcpy(answer.text, text, sizeof(answer.text));
	client_answer(client, IMSG_CTL_ACTION_ANS, &answer, NULL, 0);
}

/* ---- one slice ---- */

static void
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
}

/* What a row becomes; -1 if this action does not concern it. */
static int
new_state(uint32_t action, int64_t stored)
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
	default:
		return -1;
	}
}

static void
count_change(int64_t from, int to)
{
	store_count(0, 0, (to == STORED_DEFERRED) - (from == STORED_DEFERRED),
	    (to == STORED_HELD) - (from == STORED_HELD));
}

/* As list.c shows it: does the filter want rows of this state? */
static bool
wants_state(const struct sweep *sweep, uint64_t id, uint32_t row,
    int64_t stored)
{
	uint32_t	 state = CTL_DEFERRED;

	if (sweep->request.filter.states == 0)
		return true;
	if (stored == STORED_HELD)
		state = CTL_HELD;
	else if (queue_find_recipient(id, row) != NULL)
		state = CTL_ACTIVE;
	return (sweep->request.filter.states & state) != 0;
}

/* Collect the rows of a message that change, then change them. */
static int
change_rows(struct sweep *sweep, uint64_t id)
{
	enum sql	 sql = SQL_RECIPIENT_OF;
	size_t		 i, first = sweep->change_count;
	int64_t		 stored;
	uint32_t	 row;
	int		 result, to;

	for (result = db_ask(sql, "iui", (int64_t)id, 0U, INT64_MAX);
	    result == 1; result = db_next(sql)) {
		row = (uint32_t)db_integer(sql, 1);
		stored = db_integer(sql, 2);
		to = new_state(sweep->request.action, stored);
		if (to == -1 || !wants_state(sweep, id, row, stored) ||
		    !list_matches(sweep->request.filter.recipient, db_text(sql, 12)))
			continue;
		count_change(stored, to);
		note_change(sweep, id, row, (enum stored)to);
	}
	db_end(sql);
	if (result == -1)
		return -1;
	for (i = first; i < sweep->change_count; i++)
		if (db_run(SQL_RECIPIENT_STATE, "iudi", (int64_t)id,
		    sweep->changes[i].row, (int)sweep->changes[i].stored,
		    clock_now()) == -1)
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
 * Forget how its lists were expanded, as far as nothing came of it.  Rows that
 * were never tried become due as well: they leave the memory that had them.
 */
static int
reroute(struct sweep *sweep, const struct message *message)
{
	int64_t	 id = (int64_t)message->id;
	int	 result;

	if (store_count_rows(message->id, -1) == -1 ||
	    db_run(SQL_RECIPIENT_CHILDREN, "i", id) == -1 ||
	    db_run(SQL_RECIPIENT_UNEXPAND, "ii", id, clock_now()) == -1 ||
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

/* Do it to one message, if its sender matches and the client may. */
static int
change_message(struct sweep *sweep, uint64_t id)
{
	struct client	 who = {
		.uid = sweep->uid, .is_operator = sweep->is_operator
	};
	struct message	*message = store_load_message(id);
	int		 result = 0;

	if (message == NULL || !client_owns(&who, message) ||
	    !list_matches(sweep->request.filter.sender, message->sender))
		goto out;
	switch (sweep->request.action) {
	case CTL_REROUTE:
	case CTL_AGE:
		if (is_out(queue_find(id)))
			sweep->is_busy = true;
		else
			result = sweep->request.action == CTL_AGE ?
			    age(sweep, message) : reroute(sweep, message);
		break;
	default:
		result = change_rows(sweep, id);
	}
out:
	message_free(message);
	return result;
}

/* The ids of a slice.  Returns how many, or -1. */
static int
collect(struct sweep *sweep, uint64_t *ids)
{
	enum sql	 sql = sweep->is_operator ? SQL_MESSAGE_PAGE :
			     SQL_MESSAGE_OWNED;
	int		 result, count = 0;

	if (sweep->request.id != 0) {
		ids[0] = sweep->request.id;
		sweep->at_end = true;
		return 1;
	}
	result = sweep->is_operator ? db_ask(sql, "ii",
	    (int64_t)sweep->cursor, (int64_t)SLICE) : db_ask(sql, "uii",
	    sweep->uid, (int64_t)sweep->cursor, (int64_t)SLICE);
	for (; result == 1 && count < SLICE; result = db_next(sql))
		ids[count++] = (uint64_t)db_integer(sql, 0);
	db_end(sql);
	sweep->at_end = count < SLICE;
	return result == -1 ? -1 : count;
}

static int
run_sweep(struct work *work)
{
	struct sweep	*sweep = (struct sweep *)work;
	uint64_t	 ids[SLICE];
	int		 i, count;

	sweep->change_count = 0;
	sweep->slice_count = 0;
	sweep->next_cursor = sweep->cursor;
	if ((count = collect(sweep, ids)) == -1)
		return -1;
	for (i = 0; i < count; i++) {
		if (change_message(sweep, ids[i]) == -1)
			return -1;
		sweep->next_cursor = ids[i];
		if (sweep->change_count >= CHANGES_MAX && i + 1 < count) {
			sweep->at_end = false;
			break;
		}
	}
	return 0;
}

/* ---- after it ---- */

/* A recipient in memory whose row was changed. */
static void
follow(struct recipient *recipient, enum stored stored)
{
	if (recipient->state == RECIPIENT_OUT ||
	    recipient->state == RECIPIENT_ENDING) {
		recipient->stored = stored;
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
	TAILQ_FOREACH_SAFE(recipient, &message->recipients, of_message, next)
		follow(recipient, STORED_DEFERRED);
	message->pins--;
	message_release(message);
}

static void
log_action(const struct sweep *sweep, uint64_t id)
{
	static const char *const words[] = {
		[CTL_RUN] = "run", [CTL_HOLD] = "held",
		[CTL_RELEASE] = "released", [CTL_REMOVE] = "removed",
		[CTL_REROUTE] = "rerouted", [CTL_AGE] = "aged"
	};

	log_begin(LOG_INFO, words[sweep->request.action]);
	log_id("id", id);
	log_number("uid", sweep->uid);
	log_end();
}

static void
follow_changes(struct sweep *sweep)
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
			follow(recipient, change->stored);
	}
}

static void
sweep_free(struct sweep *sweep)
{
	if (sweep->client != NULL)
		sweep->client->sweep = NULL;
	free(sweep->changes);
	free(sweep);
}

static void
sweep_end(struct sweep *sweep, int result)
{
	struct client	*client = sweep->client;

	if (sweep->request.action == CTL_REMOVE)
		purge_wake();
	else
		queue_rescan();
	if (client == NULL)
		return;
	if (result == -1)
		answer_ctl_action(client, CTL_ERROR, sweep->count, db_why());
	else if (sweep->count == 0 && sweep->request.id != 0)
		answer_ctl_action(client, sweep->is_busy ? CTL_TOO_SOON :
		    CTL_NO_SUCH, 0, sweep->is_busy ?
		    "it is being delivered at this moment" :
		    "no such message, or nothing of it to do that to");
	else
		answer_ctl_action(client, CTL_OK, sweep->count, "");
}

static void
sweep_done(struct work *work, int result)
{
	struct sweep	*sweep = (struct sweep *)work;

	if (result == 0) {
		sweep->count += sweep->slice_count;
		sweep->cursor = sweep->next_cursor;
		follow_changes(sweep);
		if (!sweep->at_end && sweep->client != NULL) {
			batch_add(&sweep->work);
			return;
		}
	}
	sweep_end(sweep, result);
	sweep_free(sweep);
}

/* ---- the request ---- */

/* Has this uid run the queue within the last ten seconds? */
static bool
ran_lately(uint32_t uid)
{
	int64_t	 now = clock_monotonic();
	size_t	 i, oldest = 0;

	for (i = 0; i < RUNNERS; i++) {
		if (runners[i].uid == uid && runners[i].at != 0 &&
		    now - runners[i].at < RUN_PAUSE)
			return true;
		if (runners[i].at < runners[oldest].at)
			oldest = i;
	}
	runners[oldest].uid = uid;
	runners[oldest].at = now;
	return false;
}

/* All of the queue, now: anybody may ask for that, not too often. */
static void
run_all(struct client *client)
{
	if (ran_lately(client->uid)) {
		answer_ctl_action(client, CTL_TOO_SOON, 0,
		    "the queue was run within the last ten seconds");
		return;
	}
	queue_flush();
	log_begin(LOG_INFO, "run");
	log_number("uid", client->uid);
	log_end();
	answer_ctl_action(client, CTL_OK,
	    (uint64_t)store_totals()->messages, "");
}

static void
check_all(struct client *client)
{
	char	 text[WIRE_TEXT];

	idle_check(text, sizeof(text));
	log_note(LOG_NOTICE, "check", "%s", text);
	answer_ctl_action(client, strcmp(text, "ok") == 0 ? CTL_OK :
	    CTL_ERROR, (uint64_t)store_totals()->messages, text);
}

/* Copy the spool, for root. */
static void
back_up(struct client *client, const char *name)
{
	char	 why[WIRE_TEXT];

	if (client->uid != 0 && client->uid != getuid()) {
		answer_ctl_action(client, CTL_DENIED, 0,
		    "only root may do that");
		return;
	}
	if (backup_make(name, why, sizeof(why)) == -1) {
		log_note(LOG_ERR, "backup", "%s", why);
		answer_ctl_action(client, CTL_ERROR, 0, why);
		return;
	}
	log_begin(LOG_NOTICE, "backup");
	log_string("name", name);
	log_number("uid", client->uid);
	log_end();
	answer_ctl_action(client, CTL_OK,
	    (uint64_t)store_totals()->messages, "");
}

/* What concerns the queue as a whole. */
static void
act_on_queue(struct client *client, uint32_t action)
{
	if (!client->is_operator) {
		answer_ctl_action(client, CTL_DENIED, 0,
		    "only root and the operators may do that");
		return;
	}
	if (action == CTL_CHECK) {
		check_all(client);
		return;
	}
	queue_pause(action == CTL_PAUSE);
	log_begin(LOG_NOTICE, action == CTL_PAUSE ? "paused" : "resumed");
	log_number("uid", client->uid);
	log_end();
	answer_ctl_action(client, CTL_OK, 0, "");
}

void
action_begin(struct client *client, const struct w_ctl_action_req *request)
{
	struct sweep	*sweep;

	if (request->action < CTL_RUN || request->action > CTL_BACKUP) {
		answer_ctl_action(client, CTL_ERROR, 0, "no such action");
		return;
	}
	if (request->action == CTL_BACKUP) {
		back_up(client, request->filter.recipient);
		return;
	}
	if (request->action >= CTL_PAUSE) {
		act_on_queue(client, request->action);
		return;
	}
	if (request->action == CTL_RUN && request->id == 0 &&
	    request->filter.states == 0 && request->filter.sender[0] == '\0' &&
	    request->filter.recipient[0] == '\0') {
		run_all(client);
		return;
	}
	if (request->action == CTL_AGE && client->uid != 0 &&
	    client->uid != getuid()) {
		answer_ctl_action(client, CTL_DENIED, 0,
		    "only root may do that");
		return;
	}
	if ((sweep = calloc(1, sizeof(*sweep))) == NULL)
		fatal("action");
	sweep->client = client;
	client->sweep = sweep;
	sweep->request = *request;
	sweep->uid = client->uid;
	sweep->is_operator = client->is_operator;
	sweep->work.run = run_sweep;
	sweep->work.done = sweep_done;
	batch_add(&sweep->work);
}

/* The client has gone: the slice that runs is the last. */
void
action_forget(struct client *client)
{
	if (client->sweep != NULL)
		client->sweep->client = NULL;
	client->sweep = NULL;
}
