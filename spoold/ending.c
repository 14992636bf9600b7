/*
 * How an attempt at one recipient ended: whether and when there will be
 * another, and its line in the log.
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

/* ---- what it means ---- */

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
	if (ending->not_before <= ending->next) {
		(void)snprintf(ending->why, sizeof(ending->why),
		    "back-off after attempt %u", facts->attempts);
		return;
	}
	ending->next = ending->not_before + (int64_t)
	    arc4random_uniform(SPREAD);
	if (ending->why[0] == '\0')
		(void)strlcpy(ending->why,
		    "the next hop is closed until then", sizeof(ending->why));
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

	if (recipient->epoch != ledger_epoch()) {
		recipient->epoch = ledger_epoch();
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

/* What an end is to lead to. */
void
ending_decide(struct ending *ending, int64_t now)
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

/* Is it the last of its recipient? */
bool
ending_is_over(const struct ending *ending)
{
	return (ending->stored == STORED_DONE ||
	    ending->stored == STORED_EXPANDED) &&
	    (ending->expansion == NULL || (!ending->expansion->goes_on &&
	    !ending->expansion->is_loop));
}

/* ---- its line ---- */

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
void
ending_log(const struct ending *ending)
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

void
ending_free(struct ending *ending)
{
	expansion_free(ending->expansion);
	free(ending->text);
	free(ending->where);
	free(ending->tls);
	free(ending);
}
