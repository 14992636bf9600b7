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

#define POISON_FIRST	MINUTE	/* somebody else may have killed it */
#define POISON_PAUSE	HOUR
#define POISON_LIMIT	3
#define SPREAD		(10 * SECOND)	/* over which a lane reopens */

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

/* ---- what an end means ---- */

/* It is not tried any more. */
static void
expire(struct ending *ending)
{
	ending->kind = ENDING_FAILED;
	ending->expired = true;
	/* No longer taken for a mistake that passes (decisions 20). */
	if (ending->brief)
		ending->status[0] = '5';
}

/* When it is tried next, and why then. */
static void
set_next(struct ending *ending, const struct retry_facts *facts)
{
	if (ending->waited) {
		ending->next = retry_look(settings(), facts);
		return;
	}
	ending->next = retry_next(settings(), facts);
	(void)snprintf(ending->why, sizeof(ending->why),
	    "back-off after attempt %u", facts->attempts);
	if (ending->not_before <= ending->next)
		return;
	ending->next = ending->not_before + (int64_t)
	    arc4random_uniform(SPREAD);
	(void)strlcpy(ending->why, "the next hop is closed until then",
	    sizeof(ending->why));
}

/*
 * Count the attempt, if it was one, and the try; decide whether there will be
 * another, and when.
 */
static void
decide_retry(struct ending *ending, int64_t now)
{
	struct recipient	*recipient = ending->recipient;
	struct retry_facts	 facts;

	if (recipient->epoch != store_epoch()) {
		recipient->epoch = store_epoch();
		recipient->tries = 0;
	}
	if (!ending->waited)
		recipient->attempts++;
	facts = (struct retry_facts){
		.now = now, .arrival = recipient->message->arrival,
		.attempts = recipient->attempts,
		.tries = ++recipient->tries,
		.is_bounce = recipient->message->kind != MESSAGE_MAIL,
		.is_brief = ending->brief,
		.opens = ending->not_before,
		.random = ending->waited ? 0 : arc4random()
	};
	if (recipient->give_up) {
		ending->kind = ENDING_FAILED;
		return;
	}
	if (retry_expired(settings(), &facts)) {
		expire(ending);
		return;
	}
	set_next(ending, &facts);
	ending->warn = !recipient->warned &&
	    retry_warn_due(settings(), &facts);
	if (ending->warn)
		recipient->warned = true;
}

static void
decide(struct ending *ending, int64_t now)
{
	struct recipient	*recipient = ending->recipient;

	ending->again = ending->waited && recipient->waits;
	recipient->waits = ending->waited;
	switch (ending->kind) {
	case ENDING_DEFERRED:
		decide_retry(ending, now);
		break;
	case ENDING_POISON:
		ending->next = now + (recipient->poison == 0 ? POISON_FIRST :
		    POISON_PAUSE);
		(void)strlcpy(ending->why, "a process died of it",
		    sizeof(ending->why));
		recipient->poison++;
		break;
	case ENDING_PUT_BACK:
		ending->next = ending->not_before > now ?
		    ending->not_before : now;
		break;
	default:
		recipient->attempts++;
	}
	ending->stored = STORED_DONE;
	if (ending->kind == ENDING_POISON &&
	    recipient->poison >= POISON_LIMIT)
		ending->stored = STORED_HELD;
	else if (ending->kind == ENDING_DEFERRED ||
	    ending->kind == ENDING_POISON || ending->kind == ENDING_PUT_BACK)
		ending->stored = STORED_DEFERRED;
	else if (ending->kind == ENDING_EXPANDED)
		ending->stored = STORED_EXPANDED;
}

static bool
is_over(const struct ending *ending)
{
	return (ending->stored == STORED_DONE ||
	    ending->stored == STORED_EXPANDED) &&
	    (ending->expansion == NULL || (!ending->expansion->goes_on &&
	    !ending->expansion->is_loop));
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

	if (!waits && !is_over(ending))
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

	return outcome->message->rows == 1 && is_over(ending) &&
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
		if (is_over(ending) && ending->expansion == NULL)
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
		if (is_over(ending))
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

static const char *
word_of(const struct ending *ending)
{
	static const char *const words[] = {
		[ENDING_DELIVERED] = "delivered",
		[ENDING_RELAYED] = "relayed",
		[ENDING_EXPANDED] = "expanded",
		[ENDING_DUPLICATE] = "delivered",
		[ENDING_FAILED] = "bounced",
		[ENDING_DEFERRED] = "deferred",
		[ENDING_POISON] = "deferred"
	};

	return ending->stored == STORED_HELD ? "held" : words[ending->kind];
}

static void
log_reply(const struct ending *ending)
{
	char	*text = NULL;
	int	 result = 0;

	if (ending->expired)
		result = asprintf(&text, "gave up after %u attempts%s: %s",
		    ending->recipient->attempts, ending->waited ?
		    ", its next hop closed" : "", ending->text);
	else if (ending->waited)
		result = asprintf(&text, "not tried, its next hop is closed:"
		    " %s", ending->text);
	if (result == -1)
		fatal("outcome");
	log_string("reply", text != NULL ? text : ending->text);
	free(text);
}

/* The closing line of a recipient, or of an attempt. */
static void
log_ending(const struct ending *ending)
{
	const struct recipient	*recipient = ending->recipient;
	const struct route	*route = recipient->route;

	/* That it still waits for its hop is told of the hop alone. */
	if (ending->kind == ENDING_PUT_BACK ||
	    (ending->again && ending->kind == ENDING_DEFERRED))
		return;
	log_begin(LOG_INFO, word_of(ending));
	log_id("id", recipient->message->id);
	log_string("from", recipient_sender(recipient));
	log_string("to", recipient->target[0] != '\0' ? recipient->target :
	    recipient->address);
	log_string("orig", recipient->original);
	if (route != NULL && route->kind == ROUTE_RELAY)
		log_string("relay", ending->where[0] != '\0' ?
		    ending->where : route->text);
	else if (ending->where[0] != '\0')
		log_string("mailbox", ending->where);
	if (ending->tls[0] != '\0')
		log_string("tls", ending->tls);
	log_seconds("delay", clock_now() - recipient->message->arrival);
	log_number("attempts", recipient->attempts);
	log_string("status", ending->status);
	if (ending->next > 0)
		log_seconds("next", ending->next - clock_now());
	log_reply(ending);
	log_end();
}

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
	if (expansion != NULL && !is_over(ending)) {
		continue_expansion(ending);
		return;
	}
	log_ending(ending);
	if (ending->kind == ENDING_PUT_BACK && recipient->lane != NULL)
		lane_set_backlog(recipient->lane, true);
	if (ending->waited && recipient->lane != NULL)
		lane_set_asleep(recipient->lane, true);
	if (ending->next > 0)
		queue_due_at(ending->next);
	if (ending->kind == ENDING_FAILED || ending->next > 0)
		message_forget_final(message, recipient->row);
	if (recipient->stored == STORED_MARKED)
		purge_wake();
	if (recipient->give_up && ending->next > 0)
		queue_rescan();		/* its row was made due meanwhile */
	recipient_set(recipient, RECIPIENT_OUTSIDE);
	queue_leave(recipient);
}

static void
free_ending(struct ending *ending)
{
	expansion_free(ending->expansion);
	free(ending->text);
	free(ending->where);
	free(ending->tls);
	free(ending);
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
		free_ending(ending);
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
	if (message == NULL || !queue_reserve(1))
		return;
	outcome->reserved++;
	message->fresh = true;
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

	TAILQ_FOREACH(ending, &outcome->endings, entry) {
		decide(ending, now);
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
