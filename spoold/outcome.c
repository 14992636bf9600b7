/*
 * How attempts ended, and what follows: one work of the batch stores the
 * results of some recipients of one message together with what they cause,
 * a bounce, a notice of delay, the rows of a list.  When it is on disk, the
 * closing line of each recipient is logged and it leaves the window.
 */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "spoold.h"

struct outcome {
	struct work	 work;
	struct message	*message;
	struct endings	 endings;
	/* NULL, or to be stored as well. */
	struct message	*reports[REPORT_KINDS];
	uint32_t	 reserved;	/* of the window, for these */
	uint32_t	 rows;		/* the message now has ever had */
	bool		 gone;		/* it was the last that waited */
};

static char *
copy(const char *text)
{
	char	*result = strdup(text);

	if (result == NULL)
		fatal("outcome");
	return result;
}

struct outcome *
outcome_new(struct message *message)
{
	struct outcome	*outcome;

	if ((outcome = calloc(1, sizeof(*outcome))) == NULL)
		fatal("outcome");
	outcome->message = message;
	TAILQ_INIT(&outcome->endings);
	message->pins++;
	return outcome;
}

/*
 * Add a recipient's end.  status is an enhanced status code, text the reply
 * or reason, where the mailbox or the host; all are copied.
 */
struct ending *
outcome_add(struct outcome *outcome, struct recipient *recipient,
    enum ending_kind kind, const char *status, const char *text,
    const char *where)
{
	struct ending	*ending;

	if ((ending = calloc(1, sizeof(*ending))) == NULL)
		fatal("outcome");
	recipient_set(recipient, RECIPIENT_ENDING);
	gate_clear(recipient);
	ending->recipient = recipient;
	ending->kind = kind;
	(void)strlcpy(ending->status, status, sizeof(ending->status));
	ending->text = copy(text);
	ending->where = copy(where);
	ending->tls = copy("");
	TAILQ_INSERT_TAIL(&outcome->endings, ending, entry);
	return ending;
}

/*
 * A relay's transaction is over: note the host and its TLS for all, and for
 * those that wait that it is closed.  Returns the first of them, or NULL.
 */
struct ending *
outcome_finish_relay(struct outcome *outcome, const char *host,
    const char *tls, int64_t closed_until)
{
	struct ending	*ending, *first = NULL;

	TAILQ_FOREACH(ending, &outcome->endings, entry) {
		free(ending->where);
		free(ending->tls);
		ending->where = copy(host);
		ending->tls = copy(tls);
		if (ending->kind != ENDING_DEFERRED)
			continue;
		ending->not_before = closed_until;
		if (first == NULL)
			first = ending;
	}
	return first;
}

/* ---- the transaction ---- */

/* The children, and the row itself, of one that is expanded. */
static int
store_expansion(struct outcome *outcome, struct ending *ending,
    uint32_t *rows)
{
	struct expansion	*expansion = ending->expansion;
	enum stored		 stored = outcome->message->fresh &&
				     queue_has_room() ? STORED_NEW :
				     STORED_DEFERRED;

	if (expansion_store(expansion, ending->recipient, *rows + 1,
	    stored) == -1)
		return -1;
	*rows += expansion->added_count;
	return 0;
}

static int
store_ending(const struct ending *ending)
{
	bool	 waits = ending->stored == STORED_DEFERRED ||
		     ending->stored == STORED_HELD;

	if (!waits && !ending_is_over(ending))
		return 0;
	if (ending->attempted && store_attempt(ending) == -1)
		return -1;
	return waits ? store_defer(ending) : store_end(ending);
}

/* The message's only row has ended: nothing but its removal is written. */
static bool
is_whole(const struct outcome *outcome)
{
	const struct ending	*ending = TAILQ_FIRST(&outcome->endings);

	return outcome->message->rows == 1 && ending_is_over(ending) &&
	    ending->expansion == NULL;
}

/* Nothing of it waits any more; the file goes when this is on disk. */
static int
remove_message(struct outcome *outcome)
{
	const struct ending	*first = TAILQ_FIRST(&outcome->endings);
	const struct message	*message = outcome->message;
	int			 removed;

	/* The usual message had but one attempt, which was not stored. */
	removed = store_remove_message(message, message->rows > 1 ||
	    first->recipient->attempts > (first->attempted ? 1 : 0));
	outcome->gone = removed == 1;
	return removed == -1 ? -1 : 0;
}

/* How many of the endings are the last of their recipient. */
static uint32_t
count_over(const struct outcome *outcome)
{
	const struct ending	*ending;
	uint32_t		 count = 0;

	TAILQ_FOREACH(ending, &outcome->endings, entry)
		if (ending_is_over(ending) && ending->expansion == NULL)
			count++;
	return count;
}

/* All that waits of the message ends at once: it goes as a whole. */
static int
remove_whole(struct outcome *outcome)
{
	const struct ending	*ending;

	if (remove_message(outcome) == -1)
		return -1;
	if (outcome->gone)
		TAILQ_FOREACH(ending, &outcome->endings, entry)
			store_uncount(ending->recipient);
	return 0;
}

static int
store_rows(struct outcome *outcome)
{
	struct ending	*ending;
	uint32_t	 rows, waiting, before, ended = 0;

	if (store_left(outcome->message, 0, 0, &rows, &waiting) == -1)
		return -1;
	if (waiting > 0 && waiting == count_over(outcome))
		return remove_whole(outcome);
	before = rows;
	TAILQ_FOREACH(ending, &outcome->endings, entry) {
		if (ending->expansion != NULL &&
		    store_expansion(outcome, ending, &rows) == -1)
			return -1;
		if (store_ending(ending) == -1)
			return -1;
		if (ending_is_over(ending))
			ended++;
	}
	if ((ended > 0 || rows > before) && store_left(outcome->message,
	    rows - before, ended, &outcome->rows, &waiting) == -1)
		return -1;
	return ended > 0 && waiting == 0 ? remove_message(outcome) : 0;
}

/* A list that led back to itself was not expanded after all. */
static bool
is_untrue(const struct outcome *outcome, enum report_kind kind)
{
	const struct ending	*ending = TAILQ_FIRST(&outcome->endings);

	return kind == REPORT_SUCCESS && ending->expansion != NULL &&
	    ending->expansion->is_loop;
}

static int
store_reports(struct outcome *outcome)
{
	enum report_kind	 kind;

	for (kind = 0; kind < REPORT_KINDS; kind++)
		if (outcome->reports[kind] != NULL &&
		    !is_untrue(outcome, kind) &&
		    store_add_message(outcome->reports[kind]) == -1)
			return -1;
	return 0;
}

static int
run_outcome(struct work *work)
{
	struct outcome	*outcome = (struct outcome *)work;

	outcome->rows = outcome->message->rows;
	outcome->gone = false;
	if (is_whole(outcome)) {
		if (remove_whole(outcome) == -1)
			return -1;
	} else if (outcome->message->rows == 1 &&
	    TAILQ_FIRST(&outcome->endings)->expansion == NULL) {
		if (store_ending(TAILQ_FIRST(&outcome->endings)) == -1)
			return -1;
	} else if (store_rows(outcome) == -1)
		return -1;
	return store_reports(outcome);
}

/* ---- after it ---- */

/* The children are on disk: those that fit begin. */
static void
enter_children(struct message *message, struct expansion *expansion)
{
	struct recipient	*child;

	while ((child = TAILQ_FIRST(&expansion->added)) != NULL) {
		TAILQ_REMOVE(&expansion->added, child, waiting);
		if (child->stored == STORED_DEFERRED && !queue_has_room()) {
			recipient_free(child);
			queue_due_at(0);
			continue;
		}
		TAILQ_INSERT_TAIL(&message->recipients, child, of_message);
		queue_take(child);
	}
}

/* A list has more: ask for the rest.  One that only led back to where it
 * came from reaches nobody: its sender hears of it. */
static void
continue_expansion(struct ending *ending)
{
	struct recipient	*recipient = ending->recipient;

	recipient_set(recipient, RECIPIENT_OUTSIDE);
	if (ending->expansion->is_loop) {
		outcome_one(recipient, ENDING_FAILED, "5.4.6",
		    "its forwarding leads back to itself", "");
		return;
	}
	recipient->skip += (uint32_t)ending->expansion->count;
	route_free(recipient->route);
	recipient->route = NULL;
	attempt_begin(recipient);
}

static void
end_one(struct message *message, struct ending *ending)
{
	struct recipient	*recipient = ending->recipient;
	struct expansion	*expansion = ending->expansion;

	if (expansion != NULL)
		enter_children(message, expansion);
	if (expansion != NULL && !ending_is_over(ending)) {
		continue_expansion(ending);
		return;
	}
	ending_log(ending);
	if (ending->kind == ENDING_PUT_BACK && recipient->lane != NULL)
		lane_set_backlog(recipient->lane, true);
	if (ending->waited && recipient->lane != NULL)
		lane_set_asleep(recipient->lane, true);
	if (ending->next > 0)
		queue_due_at(ending->next);
	if (ending->kind == ENDING_FAILED || ending->next > 0)
		message_forget_final(message, recipient->row);
	else
		message_keep_final(message, recipient->row);
	if (recipient->stored == STORED_MARKED)
		purge_wake();
	if (recipient->give_up && ending->next > 0)
		queue_rescan();		/* its row was made due meanwhile */
	recipient_set(recipient, RECIPIENT_OUTSIDE);
	queue_leave(recipient);
}

/* A report that was not stored goes. */
static void
forget_untrue(struct outcome *outcome)
{
	struct message	*report = outcome->reports[REPORT_SUCCESS];

	if (report == NULL || !is_untrue(outcome, REPORT_SUCCESS))
		return;
	queue_forget(report);
	message_free(report);
	outcome->reports[REPORT_SUCCESS] = NULL;
}

static void
outcome_done(struct work *work, int result)
{
	struct outcome	*outcome = (struct outcome *)work;
	struct message		*message = outcome->message;
	struct ending		*ending;
	enum report_kind	 kind;

	(void)result;
	forget_untrue(outcome);
	message->rows = outcome->rows;
	queue_unreserve(outcome->reserved);
	while ((ending = TAILQ_FIRST(&outcome->endings)) != NULL) {
		TAILQ_REMOVE(&outcome->endings, ending, entry);
		end_one(message, ending);
		ending_free(ending);
	}
	for (kind = 0; kind < REPORT_KINDS; kind++)
		if (outcome->reports[kind] != NULL)
			queue_enter(outcome->reports[kind]);
	if (outcome->gone && message->in_file)
		body_remove(message->id);
	message->pins--;
	message_release(message);
	free(outcome);
}

/* Room in the window for a message of our own. */
static void
reserve_for(struct outcome *outcome, struct message *message)
{
	if (message == NULL)
		return;
	if (queue_reserve(1)) {
		outcome->reserved++;
		message->fresh = true;
	}
	queue_expect(message);
}

/* Store it with the next batch; takes the outcome. */
void
outcome_store(struct outcome *outcome)
{
	struct ending		*ending;
	enum report_kind	 kind;
	bool			 calls[REPORT_KINDS] = { false };
	int64_t			 now = clock_now();

	outcome->work.may_wait = true;
	TAILQ_FOREACH(ending, &outcome->endings, entry) {
		ending_decide(ending, now);
		/* Who looks at a list's rows takes them for those in memory. */
		if (ending->expansion != NULL)
			outcome->work.may_wait = false;
		if (ending->kind == ENDING_FAILED)
			calls[REPORT_FAILED] = true;
		if (ending->warn)
			calls[REPORT_DELAYED] = true;
		if ((ending->recipient->notify & NOTIFY_SUCCESS) != 0)
			calls[REPORT_SUCCESS] = true;
	}
	for (kind = 0; kind < REPORT_KINDS; kind++) {
		if (!calls[kind])
			continue;
		outcome->reports[kind] = notice_make(outcome->message,
		    &outcome->endings, kind);
		reserve_for(outcome, outcome->reports[kind]);
	}
	outcome->work.run = run_outcome;
	outcome->work.done = outcome_done;
	outcome->work.must = true;
	batch_add(&outcome->work);
}

/* The usual case: one recipient. */
void
outcome_one(struct recipient *recipient, enum ending_kind kind,
    const char *status, const char *text, const char *where)
{
	struct outcome	*outcome = outcome_new(recipient->message);

	outcome_add(outcome, recipient, kind, status, text, where);
	outcome_store(outcome);
}
