/*
 * What the operator changes: one message, or all that a filter matches.  A
 * filter is worked off in slices, a work of the batch each, between those of
 * the mail; the answer leaves when all is marked and committed.  What is
 * marked for removal is neither listed nor tried, and goes behind (purge.c).
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "spoold.h"

#define SLICE		250		/* messages looked at a turn, at most */
#define CHANGES_MAX	4096		/* rows changed a turn, about */
#define RUN_PAUSE	(10 * SECOND)	/* between two runs of one uid */
#define RUNNERS		64		/* uids remembered for that */
#define ONLY_OPERATORS	"only root and the operators may do that"

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

static void
deny(struct client *client, const char *text)
{
	answer_ctl_action(client, CTL_DENIED, 0, text);
}

/* Without root, the suite's own user has its rights. */
static bool
is_root(const struct client *client)
{
	return client->uid == 0 || client->uid == getuid();
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
	int64_t		 until = clock_monotonic() + SLICE_TIME;
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
		if (i + 1 < count && (sweep->change_count >= CHANGES_MAX ||
		    clock_monotonic() > until)) {
			sweep->at_end = false;
			break;
		}
	}
	return 0;
}

/* ---- after it ---- */

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
		change_follow(sweep);
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
	    (uint64_t)ledger_totals()->messages, "");
}

static void
check_all(struct client *client)
{
	char	 text[WIRE_TEXT];

	idle_check(text, sizeof(text));
	log_note(LOG_NOTICE, "check", "%s", text);
	answer_ctl_action(client, strcmp(text, "ok") == 0 ? CTL_OK :
	    CTL_ERROR, (uint64_t)ledger_totals()->messages, text);
}

/* Copy the spool, for root. */
static void
back_up(struct client *client, const char *name)
{
	char	 why[WIRE_TEXT];

	if (!is_root(client)) {
		deny(client, "only root may do that");
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
	    (uint64_t)ledger_totals()->messages, "");
}

/* What concerns the queue as a whole. */
static void
act_on_queue(struct client *client, uint64_t action)
{
	if (!client->is_operator) {
		deny(client, ONLY_OPERATORS);
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

	if (request->action < CTL_RUN || request->action > CTL_BOUNCE) {
		answer_ctl_action(client, CTL_ERROR, 0, "no such action");
		return;
	}
	if (request->action == CTL_BACKUP) {
		back_up(client, request->filter.recipient);
		return;
	}
	if (request->action >= CTL_PAUSE && request->action <= CTL_CHECK) {
		act_on_queue(client, request->action);
		return;
	}
	if (request->action == CTL_RUN && request->id == 0 &&
	    filter_is_empty(&request->filter)) {
		run_all(client);
		return;
	}
	if (request->action == CTL_AGE && !is_root(client)) {
		deny(client, "only root may do that");
		return;
	}
	if (request->action == CTL_BOUNCE && !client->is_operator) {
		deny(client, ONLY_OPERATORS);
		return;
	}
	if (request->action == CTL_RUN && request->id == 0 &&
	    request->filter.domain[0] != '\0' && client->is_operator)
		(void)lane_open_matching(request->filter.domain);
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
