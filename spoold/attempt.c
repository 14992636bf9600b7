/*
 * An attempt begins with a question to policyd: how is this recipient done
 * now?  The answer sends it to a worker, to a next hop, or ends it.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "loop.h"
#include "spoold.h"

#define TWIN_PAUSE	(2 * SECOND)	/* until it is seen what came of it */

static struct {
	struct recipients waiting;	/* READY, in the order to be asked */
	struct gate	 gate;
} attempt = { .waiting = TAILQ_HEAD_INITIALIZER(attempt.waiting) };

static char *
copy(const char *text)
{
	char	*result = strdup(text);

	if (result == NULL)
		fatal("route");
	return result;
}

/* The last of a message's recipients was routed: its hops can be grouped. */
static void
settle(struct message *message)
{
	if (message->routing == 0)
		hop_gather(message);
}

/* ---- what follows from a route ---- */

/* What it is within its message: two rows of the same are one delivery. */
static void
print_final(const struct recipient *recipient, char *text, size_t size)
{
	const struct route	*route = recipient->route;

	switch (route->method) {
	case JOB_LOCAL:
		(void)snprintf(text, size, "local %s%s%s", route->account,
		    route->worker == WORKER_PROGRAM ? " +" : "",
		    route->worker == WORKER_PROGRAM ? route->extension : "");
		break;
	case JOB_MAILER:
		/* A file is one whoever it is for, a program is not. */
		(void)snprintf(text, size, "mailer %u %s %s", route->mailer,
		    route->account, route->worker == WORKER_PROGRAM ?
		    route->address : "");
		break;
	default:
		/* The address says by whose mail exchangers. */
		(void)snprintf(text, size, "%s %s %s", route->text,
		    route->account, route->kind == ROUTE_RELAY ?
		    route->address : "");
	}
}

/*
 * The next hop is closed: it waits with all that has this hop until it opens,
 * and nobody connects for its sake.  This is no attempt, so that it has no
 * part in the back-off; but it does count among the tries without which
 * nothing expires (decisions 49), as what was tried of the hop's mail was
 * tried for all of it.  Else mail for a dead host would not end.
 */
struct ending *
attempt_wait(struct outcome *outcome, struct recipient *recipient)
{
	const struct lane	*lane = recipient->lane;
	struct ending		*ending;

	ending = outcome_add(outcome, recipient, ENDING_DEFERRED,
	    lane->status[0] != '\0' ? lane->status : "4.4.1",
	    lane->reason != NULL ? lane->reason : "the next hop is closed",
	    lane->host != NULL ? lane->host : "");
	ending->waited = true;
	ending->stage = lane->stage;
	ending->replied = lane->replied;
	ending->brief = lane->brief;
	ending->not_before = lane->closed_until;
	(void)strlcpy(ending->why, "its next hop is closed",
	    sizeof(ending->why));
	return ending;
}

static bool
is_closed(struct recipient *recipient)
{
	struct outcome	*outcome;

	if (recipient->route->kind != ROUTE_RELAY ||
	    recipient->lane->closed_until <= clock_now())
		return false;
	outcome = outcome_new(recipient->message);
	(void)attempt_wait(outcome, recipient);
	outcome_store(outcome);
	return true;
}

/* Its lane has its share of the window: it goes back to the database. */
static void
put_back(struct recipient *recipient)
{
	const struct lane	*lane = recipient->lane;
	struct outcome		*outcome = outcome_new(recipient->message);
	struct ending		*ending;
	int64_t			 now = clock_now();

	lane_set_backlog(recipient->lane, true);
	ending = outcome_add(outcome, recipient, ENDING_PUT_BACK, "", "", "");
	ending->not_before = lane_turn(lane, now);
	if (ending->not_before > now)
		(void)snprintf(ending->why, sizeof(ending->why),
		    "the rate of [relay %.40s]", lane->limits.section);
	else
		(void)strlcpy(ending->why, "behind other mail for its hop",
		    sizeof(ending->why));
	outcome_store(outcome);
}

/*
 * One that is on its way to the same place decides: if it comes there this one
 * has as well, and else this one is to be tried.
 */
static void
await_twin(struct recipient *recipient)
{
	struct outcome	*outcome = outcome_new(recipient->message);
	struct ending	*ending;

	ending = outcome_add(outcome, recipient, ENDING_PUT_BACK, "", "", "");
	ending->not_before = clock_now() + TWIN_PAUSE;
	(void)strlcpy(ending->why, "behind a recipient that goes there too",
	    sizeof(ending->why));
	outcome_store(outcome);
}

/* Is it the first of its message that goes where it goes? */
static bool
is_first(struct recipient *recipient)
{
	char	 final[WIRE_TARGET + 2 * WIRE_ADDRESS];

	print_final(recipient, final, sizeof(final));
	switch (message_claim_final(recipient->message, recipient->row,
	    final)) {
	case CLAIM_AWAITED:
		await_twin(recipient);
		return false;
	case CLAIM_ENDED:
		outcome_one(recipient, ENDING_DUPLICATE, "2.1.5",
		    "the same as another recipient", "");
		return false;
	case CLAIM_OURS:
		break;
	}
	return true;
}

/* ROUTED, with a message that is on disk: hand it on. */
void
attempt_dispatch(struct recipient *recipient)
{
	bool	 has_room;

	if (!is_first(recipient))
		return;
	has_room = lane_join(recipient, lane_of_route(recipient->route));
	if (is_closed(recipient))
		return;
	if (!has_room)
		put_back(recipient);
	else if (recipient->route->kind == ROUTE_RELAY)
		hop_give(recipient);
	else
		user_give(recipient);
}

/* A line of a .forward is that user's worker's business alone. */
static void
route_forward(struct recipient *recipient)
{
	struct route	*route;

	if ((route = calloc(1, sizeof(*route))) == NULL)
		fatal("route");
	route->kind = ROUTE_LOCAL;
	route->method = JOB_FORWARD;
	route->worker = recipient->target[0] == '|' ? WORKER_PROGRAM :
	    WORKER_MAILBOX;
	route->account = copy(recipient->account);
	route->extension = copy("");
	route->domain = copy("");
	route->address = copy(recipient->address);
	route->text = copy(recipient->target);
	route->exchange = copy("");
	route->where = copy("");
	recipient->route = route;
	recipient_set(recipient, RECIPIENT_ROUTED);
	attempt_dispatch(recipient);
}

/* Enter a recipient into the queue of questions. */
void
attempt_begin(struct recipient *recipient)
{
	recipient_set(recipient, RECIPIENT_READY);
	if (recipient->place == TARGET_FORWARD) {
		route_forward(recipient);
		settle(recipient->message);
	} else
		TAILQ_INSERT_TAIL(&attempt.waiting, recipient, waiting);
}

/* Take it out again; it must not be OUT or ENDING. */
void
attempt_withdraw(struct recipient *recipient)
{
	struct link	*link = child_link(PROC_POLICYD, 0);

	/* First, since a worker that nothing waits for goes with its gate. */
	gate_clear(recipient);
	switch (recipient->state) {
	case RECIPIENT_READY:
		TAILQ_REMOVE(&attempt.waiting, recipient, waiting);
		break;
	case RECIPIENT_ROUTING:
		if (link != NULL)
			link_forget(link, recipient->ask);
		gate_answered(&attempt.gate, recipient);
		break;
	case RECIPIENT_ROUTED:
		if (recipient->route->kind == ROUTE_RELAY)
			hop_withdraw(recipient);
		else if (recipient->holder != NULL)
			user_withdraw(recipient);
		break;
	default:
		fatalx("recipient: state %d cannot be withdrawn",
		    (int)recipient->state);
	}
	message_forget_final(recipient->message, recipient->row);
	recipient_set(recipient, RECIPIENT_OUTSIDE);
	settle(recipient->message);
}

/* It killed what it was given to, more than once. */
void
attempt_poisoned(struct recipient *recipient)
{
	log_begin(LOG_ERR, "poison");
	log_id("id", recipient->message->id);
	log_number("row", recipient->row);
	log_number("times", recipient->poison + 1);
	log_string("to", recipient->address);
	log_end();
	outcome_one(recipient, ENDING_POISON, "4.3.0",
	    "a process died of it each time", "");
}

/* ---- answers ---- */

/* The status at the start of a text, else this one. */
static const char *
status_of(const char *text, const char *otherwise, char *status)
{
	int	 end = 0;

	if (text[0] == otherwise[0] && sscanf(text,
	    "%*1[245].%*3[0-9].%*3[0-9]%n", &end) == 0 && end > 0 &&
	    (text[end] == ' ' || text[end] == '\0')) {
		(void)strlcpy(status, text, (size_t)end + 1);
		return status;
	}
	return otherwise;
}

/* local(), a mailer, a text of a table, or a next hop. */
static void
on_goes(struct recipient *recipient, const struct frame *frame)
{
	static const enum job_method methods[] = {
		[ROUTE_LOCAL] = JOB_LOCAL, [ROUTE_MAILER] = JOB_MAILER,
		[ROUTE_TEXT] = JOB_TEXT, [ROUTE_RELAY] = JOB_TEXT
	};
	const struct w_route_resolve_ans	*answer = frame->payload;
	struct route				*route;

	if ((route = calloc(1, sizeof(*route))) == NULL)
		fatal("route");
	route->kind = (enum route_kind)answer->kind;
	route->method = methods[answer->kind];
	route->worker = (enum worker_kind)answer->worker;
	route->mailer = answer->mailer;
	route->max_recipients = answer->max_recipients;
	route->account = copy(answer->account);
	route->extension = copy(answer->extension);
	route->domain = copy(answer->domain);
	route->address = copy(answer->address);
	route->text = copy(answer->kind == ROUTE_RELAY ? answer->hop :
	    answer->text);
	route->exchange = copy(answer->kind == ROUTE_RELAY ?
	    answer->exchange : "");
	route->where = copy(answer->where);
	recipient->route = route;
	recipient->had_route = true;
	recipient_set(recipient, RECIPIENT_ROUTED);
	attempt_dispatch(recipient);
}

static void
on_expands(struct recipient *recipient, const struct frame *frame)
{
	const struct w_route_resolve_ans	*answer = frame->payload;
	struct expansion			*expansion;

	recipient->had_route = true;
	expansion = expansion_of(recipient, frame, answer->count,
	    answer->more != 0, answer->kind == ROUTE_LIST ?
	    "the list has no members" : NULL, answer->where);
	if (expansion == NULL)
		return;
	expansion->found_under = copy(answer->address[0] != '\0' ?
	    answer->address : recipient->address);
	if (answer->owner[0] != '\0')
		expansion->owner = copy(answer->owner);
	expansion->replaces = answer->kind == ROUTE_SUPERSEDED;
	expansion_end(recipient, expansion, expansion->replaces ?
	    SUPERSEDED : "expanded", answer->where);
}

static void
on_refuse(struct recipient *recipient, const struct frame *frame)
{
	const struct w_route_resolve_ans	*answer = frame->payload;
	char					 status[12];
	bool					 later = answer->code < 500;

	recipient->had_route = true;
	outcome_one(recipient, later ? ENDING_DEFERRED : ENDING_FAILED,
	    status_of(answer->text, later ? "4.7.1" : "5.7.1", status),
	    answer->text, "");
}

static void
on_discard(struct recipient *recipient, const struct frame *frame)
{
	const struct w_route_resolve_ans	*answer = frame->payload;

	outcome_one(recipient, ENDING_DELIVERED, "2.0.0", answer->text,
	    "discard");
}

/* A route that vanished defers; an address that never had one fails. */
static void
on_unknown(struct recipient *recipient, const struct frame *frame)
{
	const struct w_route_resolve_ans	*answer = frame->payload;
	const char				*text = answer->text;
	char					 status[12];

	if (text[0] == '\0')
		text = "unknown address";
	if (!recipient->had_route ||
	    recipient->message->kind != MESSAGE_MAIL) {
		outcome_one(recipient, ENDING_FAILED, status_of(text, "5.1.1",
		    status), text, "");
		return;
	}
	log_begin(LOG_ERR, "route");
	log_id("id", recipient->message->id);
	log_string("to", recipient->address);
	log_string("reason", text);
	log_string("where", answer->where);
	log_end();
	outcome_one(recipient, ENDING_DEFERRED, "4.3.5",
	    "its route has gone from the configuration", "");
}

static void
on_defer(struct recipient *recipient, const struct frame *frame)
{
	const struct w_route_resolve_ans	*answer = frame->payload;
	char					 status[12];

	outcome_one(recipient, ENDING_DEFERRED, status_of(answer->text,
	    "4.3.0", status), answer->text, "");
}

static void	(*const on_kind[])(struct recipient *, const struct frame *) = {
	[ROUTE_LOCAL] = on_goes,
	[ROUTE_MAILER] = on_goes,
	[ROUTE_TEXT] = on_goes,
	[ROUTE_RELAY] = on_goes,
	[ROUTE_LIST] = on_expands,
	[ROUTE_SUPERSEDED] = on_expands,
	[ROUTE_REFUSE] = on_refuse,
	[ROUTE_DISCARD] = on_discard,
	[ROUTE_UNKNOWN] = on_unknown,
	[ROUTE_DEFER] = on_defer
};

/*
 * policyd died: ask the next one.  What is not on disk yet is asked for when
 * it is: it has no row to be put off.
 */
static void
route_lost(struct recipient *recipient, bool died)
{
	bool	 is_poison = gate_lost(&attempt.gate, recipient, died);

	if (!recipient->message->committed) {
		recipient_set(recipient, RECIPIENT_OUTSIDE);
		return;
	}
	if (is_poison) {
		attempt_poisoned(recipient);
		settle(recipient->message);
		return;
	}
	recipient_set(recipient, RECIPIENT_READY);
	TAILQ_INSERT_HEAD(&attempt.waiting, recipient, waiting);
}

/* Does it have all that its kind must have? */
static bool
is_sound(const struct w_route_resolve_ans *answer)
{
	switch (answer->kind) {
	case ROUTE_LOCAL:
	case ROUTE_MAILER:
	case ROUTE_TEXT:
		return answer->worker >= WORKER_MAILBOX &&
		    answer->worker <= WORKER_PROGRAM &&
		    answer->account[0] != '\0';
	case ROUTE_RELAY:
		return answer->hop[0] != '\0' && answer->address[0] != '\0';
	default:
		return answer->kind >= ROUTE_LOCAL &&
		    answer->kind <= ROUTE_DEFER;
	}
}

static void
on_route_resolve_ans(struct link *link, struct frame *frame, void *arg)
{
	const struct w_route_resolve_ans	*answer = frame->payload;
	struct recipient			*recipient = arg;
	struct message				*message = recipient->message;

	recipient->ask = 0;
	if (answer == NULL) {
		route_lost(recipient, link_died(link));
		return;
	}
	gate_answered(&attempt.gate, recipient);
	queue_wake();
	if (answer->id != message->id ||
	    answer->recipient != recipient->row) {
		recipient_set(recipient, RECIPIENT_READY);
		TAILQ_INSERT_TAIL(&attempt.waiting, recipient, waiting);
		link_violation(link, "an answer to another question");
		return;
	}
	if (!is_sound(answer))
		link_violation(link, "an answer that is none");
	if (!message->committed) {
		recipient_set(recipient, RECIPIENT_OUTSIDE);
		return;
	}
	message->pins++;
	/* Asked again at once, it might be answered so for ever. */
	if (!is_sound(answer))
		outcome_one(recipient, ENDING_DEFERRED, "4.3.0",
		    "policyd gave no answer that makes sense", "");
	else
		on_kind[answer->kind](recipient, frame);
	settle(message);
	message->pins--;
}

/* ---- questions ---- */

static void
ask_route_resolve(struct link *link, struct recipient *recipient)
{
	struct w_route_resolve_req	 question = {
		.id = recipient->message->id, .recipient = recipient->row,
		.skip = recipient->skip
	};

	question.client = recipient->message->client;
	(void)strlcpy(question.sender, recipient_sender(recipient),
	    sizeof(question.sender));
	(void)strlcpy(question.address, recipient->address,
	    sizeof(question.address));
	if (recipient->place == TARGET_MEMBER)
		(void)strlcpy(question.target, recipient->target,
		    sizeof(question.target));
	recipient_set(recipient, RECIPIENT_ROUTING);
	gate_sent(&attempt.gate);
	recipient->ask = link_ask(link, IMSG_ROUTE_RESOLVE_REQ, &question,
	    NULL, 0, -1, recipient);
}

/* Ask as much as there is credit for. */
void
attempt_pump(void)
{
	struct link		*link = child_link(PROC_POLICYD, 0);
	struct recipient	*recipient;

	if (link == NULL || TAILQ_EMPTY(&attempt.waiting) || !queue_may_try())
		return;
	while ((recipient = TAILQ_FIRST(&attempt.waiting)) != NULL &&
	    link_credit(link, IMSG_ROUTE_RESOLVE_REQ) > 0 &&
	    gate_open(&attempt.gate)) {
		TAILQ_REMOVE(&attempt.waiting, recipient, waiting);
		ask_route_resolve(link, recipient);
	}
}

/* Before the commit, so that policyd works while the disk does. */
static void
ask_early(void *unused)
{
	struct link	*link = child_link(PROC_POLICYD, 0);

	(void)unused;
	attempt_pump();
	if (link != NULL)
		link_flush(link);
}

void
attempt_start(void)
{
	loop_add_hook(LOOP_WORK, ask_early, NULL);
}

/* For the operator: how would this address be done?  Returns 0 if it cannot
 * be asked now. */
uint32_t
ask_route_explain(const struct w_route_explain_req *question, void *arg)
{
	struct link	*link = child_link(PROC_POLICYD, 0);

	if (link == NULL || link_credit(link, IMSG_ROUTE_EXPLAIN_REQ) == 0)
		return 0;
	return link_ask(link, IMSG_ROUTE_EXPLAIN_REQ, question, NULL, 0, -1,
	    arg);
}

static const struct link_handler handlers[] = {
	{ IMSG_ROUTE_RESOLVE_ANS,	on_route_resolve_ans },
	{ IMSG_ROUTE_EXPLAIN_ANS,	on_route_explain_ans },
	{ IMSG_NONE,			NULL }
};

const struct link_role policyd_role = {
	.self = PROC_SPOOLD, .peer = PROC_POLICYD, .handlers = handlers,
	.closed = child_link_closed
};

/*
 * It may have other lists than the one before: what is half expanded is asked
 * for from its start, so that nobody is passed over.
 */
void
policyd_up(struct child *child, struct link *link,
    const struct w_start_peer_ntf *start)
{
	struct recipient	*recipient;

	(void)child;
	(void)link;
	(void)start;
	TAILQ_FOREACH(recipient, &attempt.waiting, waiting)
		recipient->skip = 0;
	queue_wake();
}
