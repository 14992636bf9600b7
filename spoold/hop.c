/*
 * Transactions with relay: the recipients of a message that go to the same
 * next hop under the same sender go together.  A next hop has as many of them
 * at a time as it has shown to bear; those with work take turns.  What relay
 * says of a hop's being closed is kept with its lane.
 */
#include <event2/event.h>

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "loop.h"
#include "spoold.h"

#define CLOSED_MAX	DAY	/* whatever relay says */
#define CREDIT_PART	4	/* of a relay's credit: one, see may_have() */
#define CREDIT_LAST	256	/* of its 1,024 */

struct transaction {
	TAILQ_ENTRY(transaction) entry;	/* of its lane, while it waits */
	RB_ENTRY(transaction) by_number;	/* while it is out */
	uint64_t	 number;
	struct lane	*lane;
	struct message	*message;
	struct link	*link;		/* that has it, or NULL */
	struct recipients recipients;
	struct outcome	*outcome;	/* of results that came */
	uint32_t	 count;
	bool		 reached;	/* a server took some of it */
};
TAILQ_HEAD(lane_list, lane);

static int
compare(struct transaction *a, struct transaction *b)
{
	return a->number < b->number ? -1 : a->number > b->number;
}

RB_HEAD(by_number, transaction);
RB_GENERATE_STATIC(by_number, transaction, by_number, compare)

static struct {
	struct lane_list ready;		/* lanes with waiting transactions */
	struct lane_list limited;	/* the same, until their rate lets */
	struct event	*timer;		/* when it lets the first of them */
	struct by_number out;		/* at any relay */
	uint64_t	 last_number;
} hops = {
	.ready = TAILQ_HEAD_INITIALIZER(hops.ready),
	.limited = TAILQ_HEAD_INITIALIZER(hops.limited),
	.out = RB_INITIALIZER(&hops.out)
};

static void
make_ready(struct lane *lane)
{
	if (lane->is_ready || TAILQ_EMPTY(&lane->waiting))
		return;
	lane->is_ready = true;
	TAILQ_INSERT_TAIL(&hops.ready, lane, ready);
	queue_wake();
}

/* Its place is empty: it is out, ends, or has gone. */
static void
transaction_leave_lane(struct transaction *transaction)
{
	TAILQ_REMOVE(&transaction->lane->waiting, transaction, entry);
	transaction->lane->waiting_count--;
}

/* ---- gathering ---- */

/* May the first go with the other, which leads a transaction? */
static bool
is_alike(const struct recipient *one, const struct recipient *other)
{
	return other->suspect == NULL && strcmp(recipient_sender(one),
	    recipient_sender(other)) == 0;
}

/* A waiting transaction that this recipient can join. */
static struct transaction *
find_transaction(struct recipient *recipient)
{
	struct transaction	*transaction;

	TAILQ_FOREACH_REVERSE(transaction, &recipient->lane->waiting,
	    transactions, entry) {
		if (transaction->message != recipient->message)
			return NULL;
		if (transaction->count < recipient->lane->limits.recipients &&
		    recipient->suspect == NULL && is_alike(recipient,
		    TAILQ_FIRST(&transaction->recipients)))
			return transaction;
	}
	return NULL;
}

static void
join(struct recipient *recipient)
{
	struct transaction	*transaction = find_transaction(recipient);

	if (transaction == NULL) {
		if ((transaction = calloc(1, sizeof(*transaction))) == NULL)
			fatal("transaction");
		transaction->number = ++hops.last_number;
		transaction->lane = recipient->lane;
		transaction->message = recipient->message;
		TAILQ_INIT(&transaction->recipients);
		TAILQ_INSERT_TAIL(&recipient->lane->waiting, transaction,
		    entry);
		recipient->lane->waiting_count++;
	}
	TAILQ_INSERT_TAIL(&transaction->recipients, recipient, waiting);
	transaction->count++;
	recipient->holder = transaction;
	make_ready(recipient->lane);
}

/* ROUTED to a next hop: it waits until all of its message are routed. */
void
hop_give(struct recipient *recipient)
{
	recipient->gathering = true;
	TAILQ_INSERT_TAIL(&recipient->message->gathering, recipient, waiting);
}

static void
stop_gathering(struct recipient *recipient)
{
	recipient->gathering = false;
	TAILQ_REMOVE(&recipient->message->gathering, recipient, waiting);
}

/* Every recipient of the message is routed: group those for next hops. */
void
hop_gather(struct message *message)
{
	struct recipient	*recipient;

	while ((recipient = TAILQ_FIRST(&message->gathering)) != NULL) {
		stop_gathering(recipient);
		join(recipient);
	}
}

/* It no longer waits; it must not be out. */
void
hop_withdraw(struct recipient *recipient)
{
	struct transaction	*transaction = recipient->holder;

	if (recipient->gathering)
		stop_gathering(recipient);
	if (transaction == NULL)
		return;
	TAILQ_REMOVE(&transaction->recipients, recipient, waiting);
	recipient->holder = NULL;
	if (--transaction->count > 0)
		return;
	transaction_leave_lane(transaction);
	free(transaction);
}

/* Does any recipient at this domain wait in the lane? */
bool
hop_has_domain(const struct lane *lane, const char *domain)
{
	const struct transaction	*transaction;
	const struct recipient		*recipient;

	TAILQ_FOREACH(transaction, &lane->waiting, entry)
		TAILQ_FOREACH(recipient, &transaction->recipients, waiting)
			if (strcasecmp(recipient->route->domain, domain) == 0)
				return true;
	return false;
}

/* ---- asking ---- */

static void
tell_relay_rcpt(struct link *link, const struct transaction *transaction,
    const struct recipient *recipient)
{
	struct w_relay_rcpt_ntf	 rcpt = {
		.transaction = transaction->number,
		.recipient = recipient->row, .notify = recipient->notify
	};

	(void)strlcpy(rcpt.address, recipient->route->address,
	    sizeof(rcpt.address));
	(void)strlcpy(rcpt.orcpt, recipient->orcpt, sizeof(rcpt.orcpt));
	link_tell(link, IMSG_RELAY_RCPT_NTF, &rcpt, NULL, 0, -1);
}

/* The transaction cannot be asked for: its body is not there. */
static void
defer_transaction(struct transaction *transaction)
{
	struct recipient	*recipient;
	struct outcome		*outcome;

	outcome = outcome_new(transaction->message);
	while ((recipient = TAILQ_FIRST(&transaction->recipients)) != NULL) {
		TAILQ_REMOVE(&transaction->recipients, recipient, waiting);
		recipient->holder = NULL;
		outcome_add(outcome, recipient, ENDING_DEFERRED, "4.3.0",
		    "its body cannot be read", "");
	}
	outcome_store(outcome);
	free(transaction);
}

/* Give it to relay; it has left its lane's list. */
static void
ask_relay_deliver(struct link *link, struct transaction *transaction)
{
	struct message			*message = transaction->message;
	struct lane			*lane = transaction->lane;
	struct w_relay_deliver_req	 request = {
		.transaction = transaction->number, .id = message->id,
		.size = message->size, .recipients = transaction->count,
		.body = message->body_type, .ret = message->ret,
		.body_in_file = message->in_file
	};
	struct recipient		*recipient;
	const char			*body = NULL;
	int				 fd = -1;

	if (message->in_file)
		fd = message_open_body(message);
	else
		body = message_body(message);
	if (fd == -1 && body == NULL) {
		defer_transaction(transaction);
		return;
	}
	TAILQ_FOREACH(recipient, &transaction->recipients, waiting) {
		recipient_set(recipient, RECIPIENT_OUT);
		gate_sent(relays_gate(link));
		tell_relay_rcpt(link, transaction, recipient);
	}
	recipient = TAILQ_FIRST(&transaction->recipients);
	(void)strlcpy(request.sender, recipient_sender(recipient),
	    sizeof(request.sender));
	/* What the sender asked of reports is not what a list's owner does. */
	if (recipient->sender != NULL)
		request.ret = 0;
	else
		(void)strlcpy(request.envid, message->envid,
		    sizeof(request.envid));
	(void)strlcpy(request.hop, lane->hop, sizeof(request.hop));
	(void)strlcpy(request.exchange, lane->exchange,
	    sizeof(request.exchange));
	transaction->link = link;
	lane->out++;
	lane->rate_until = rate_take(&lane->limits.rate, lane->rate_until,
	    clock_monotonic());
	RB_INSERT(by_number, &hops.out, transaction);
	(void)link_ask(link, IMSG_RELAY_DELIVER_REQ, &request, body,
	    body != NULL ? (size_t)message->size : 0, fd, transaction);
	message_spare_body(message);
}

/*
 * May this lane have one more of what a relay takes?  As little is left, it
 * goes to those that have little, and the last of it to hops that are known
 * to answer, so that slow ones never have it all.
 */
static bool
may_have(const struct lane *lane, uint32_t credit)
{
	uint32_t	 part = credit / CREDIT_PART;

	if (credit == 0 || (lane->out > 0 && lane->out >= part))
		return false;
	return lane->pace.proven || credit > CREDIT_LAST;
}

/*
 * Its hop is closed: all that waits goes back until it opens.  Returns how
 * many recipients did.
 */
static uint32_t
wait_all(struct lane *lane)
{
	struct transaction	*transaction;
	struct recipient	*recipient;
	struct outcome		*outcome;
	uint32_t		 count = 0;

	while ((transaction = TAILQ_FIRST(&lane->waiting)) != NULL) {
		transaction_leave_lane(transaction);
		outcome = outcome_new(transaction->message);
		while ((recipient = TAILQ_FIRST(
		    &transaction->recipients)) != NULL) {
			TAILQ_REMOVE(&transaction->recipients, recipient,
			    waiting);
			recipient->holder = NULL;
			(void)attempt_wait(outcome, recipient);
			count++;
		}
		outcome_store(outcome);
		free(transaction);
	}
	return count;
}

enum turn {
	TURN_SENT,			/* a transaction of it went */
	TURN_BLOCKED,			/* relay takes none of it now */
	TURN_LIMITED,			/* its rate forbids */
	TURN_OVER			/* nothing to send, or enough is out */
};

/* The lane's turn: send one of its transactions, if it may. */
static enum turn
take_turn(struct lane *lane, int64_t now, int64_t monotonic)
{
	struct transaction	*transaction;
	struct link		*link = relays_link(lane);

	if (lane->closed_until > now)
		(void)wait_all(lane);
	transaction = TAILQ_FIRST(&lane->waiting);
	if (transaction == NULL || lane->out >= lane_concurrency(lane))
		return TURN_OVER;
	if (rate_opens(&lane->limits.rate, lane->rate_until) > monotonic)
		return TURN_LIMITED;
	if (link == NULL || !gate_open(relays_gate(link)) ||
	    !may_have(lane, link_credit(link, IMSG_RELAY_DELIVER_REQ)))
		return TURN_BLOCKED;
	transaction_leave_lane(transaction);
	ask_relay_deliver(link, transaction);
	return TURN_SENT;
}

/* The rate of some may let one more go. */
static void
on_timer(int fd, short events, void *unused)
{
	struct lane	*lane;

	(void)fd;
	(void)events;
	(void)unused;
	while ((lane = TAILQ_FIRST(&hops.limited)) != NULL) {
		TAILQ_REMOVE(&hops.limited, lane, ready);
		TAILQ_INSERT_TAIL(&hops.ready, lane, ready);
	}
	queue_wake();
}

/* Look at all that are limited when the first of them may go on. */
static void
set_timer(int64_t monotonic)
{
	struct lane	*lane;
	int64_t		 opens, first = INT64_MAX;

	if (TAILQ_EMPTY(&hops.limited))
		return;
	TAILQ_FOREACH(lane, &hops.limited, ready) {
		opens = rate_opens(&lane->limits.rate, lane->rate_until);
		if (opens < first)
			first = opens;
	}
	if (hops.timer == NULL)
		hops.timer = event_new(spoold_base(), -1, 0, on_timer, NULL);
	if (hops.timer == NULL)
		fatalx("no timer");
	loop_after(hops.timer, first > monotonic ? first - monotonic : 0);
}

/* The configuration has changed: what was limited may be no longer. */
void
hop_configure(void)
{
	lane_configure();
	on_timer(-1, 0, NULL);
}

/* A transaction of each lane in turn, while relay takes them. */
void
hop_pump(void)
{
	struct lane	*lane, *last;
	int64_t		 now = clock_now(), monotonic = clock_monotonic();
	enum turn	 turn;
	bool		 sent = true;

	while (sent && queue_may_try()) {
		sent = false;
		last = TAILQ_LAST(&hops.ready, lane_list);
		while ((lane = TAILQ_FIRST(&hops.ready)) != NULL) {
			TAILQ_REMOVE(&hops.ready, lane, ready);
			turn = take_turn(lane, now, monotonic);
			sent = sent || turn == TURN_SENT;
			lane->is_ready = turn != TURN_OVER;
			if (turn == TURN_LIMITED)
				TAILQ_INSERT_TAIL(&hops.limited, lane, ready);
			else if (turn != TURN_OVER)
				TAILQ_INSERT_TAIL(&hops.ready, lane, ready);
			if (lane == last)
				break;
		}
	}
	set_timer(monotonic);
}

/* ---- results ---- */

static struct transaction *
find_out(uint64_t number, const struct link *link)
{
	struct transaction	 key = { .number = number }, *transaction;

	transaction = RB_FIND(by_number, &hops.out, &key);
	return transaction != NULL && transaction->link == link ?
	    transaction : NULL;
}

static struct ending *
add_result(struct transaction *transaction, struct recipient *recipient,
    uint32_t verdict, const char *status, const char *text)
{
	static const enum ending_kind kinds[] = {
		[RELAY_DONE] = ENDING_RELAYED,
		[RELAY_DEFERRED] = ENDING_DEFERRED,
		[RELAY_FAILED] = ENDING_FAILED
	};
	static const char *const statuses[] = {
		[RELAY_DONE] = "2.0.0", [RELAY_DEFERRED] = "4.0.0",
		[RELAY_FAILED] = "5.0.0"
	};
	struct ending	*ending;

	TAILQ_REMOVE(&transaction->recipients, recipient, waiting);
	gate_answered(relays_gate(transaction->link), recipient);
	recipient->holder = NULL;
	if (transaction->outcome == NULL)
		transaction->outcome = outcome_new(transaction->message);
	ending = outcome_add(transaction->outcome, recipient, kinds[verdict],
	    status[0] == statuses[verdict][0] ? status : statuses[verdict],
	    text, "");
	ending->attempted = true;
	if (verdict == RELAY_DONE)
		transaction->reached = true;
	return ending;
}

static void
on_relay_result(struct link *link, struct frame *frame, void *arg)
{
	const struct w_relay_result_ntf	*result = frame->payload;
	struct transaction		*transaction;
	struct recipient		*recipient;
	struct ending			*ending;

	(void)arg;
	transaction = find_out(result->transaction, link);
	if (transaction == NULL || result->verdict < RELAY_DONE ||
	    result->verdict > RELAY_FAILED ||
	    result->stage > STAGE_MESSAGE) {
		link_violation(link, "a result of no transaction");
		return;
	}
	TAILQ_FOREACH(recipient, &transaction->recipients, waiting)
		if (recipient->row == result->recipient)
			break;
	if (recipient == NULL) {
		link_violation(link, "a result of no recipient");
		return;
	}
	ending = add_result(transaction, recipient, result->verdict,
	    result->status, result->text);
	ending->stage = (enum relay_stage)result->stage;
	ending->replied = result->replied != 0;
	ending->dsn = result->dsn != 0;
	ending->brief = result->brief != 0;
}

/* What goes back without a try is told of together. */
static void
log_closed(const struct lane *lane, uint32_t waiting)
{
	log_begin(LOG_INFO, "closed");
	log_string("hop", lane->text);
	log_seconds("for", lane->closed_until - clock_now());
	log_number("waiting", waiting);
	log_string("reason", lane->reason != NULL ? lane->reason : "");
	log_end();
}

/*
 * What the transaction has taught of its hop: how much it bears, and whether
 * it is closed.  Then nothing else is tried until it opens, and at first but
 * one.
 */
static void
learn(struct transaction *transaction, bool reached, int64_t closed_until,
    const struct ending *ending)
{
	struct lane	*lane = transaction->lane;
	bool		 closes = closed_until > clock_now();

	if (reached && !closes)
		lane_open(lane);
	if (reached)
		pace_reached(&lane->pace, lane->limits.connections);
	else
		pace_failed(&lane->pace);
	if (!closes)
		return;
	lane_close(lane, closed_until, ending);
	log_closed(lane, wait_all(lane));
}

static void
transaction_end(struct transaction *transaction)
{
	RB_REMOVE(by_number, &hops.out, transaction);
	transaction->lane->out--;
	make_ready(transaction->lane);
	free(transaction);
	queue_wake();
}

/* relay died: what had no result goes again, and that at once. */
static void
transaction_lost(struct transaction *transaction)
{
	struct gate		*gate;
	struct recipient	*recipient;
	bool			 died;

	gate = relays_gate(transaction->link);
	died = link_died(transaction->link);
	while ((recipient = TAILQ_FIRST(&transaction->recipients)) != NULL) {
		TAILQ_REMOVE(&transaction->recipients, recipient, waiting);
		recipient->holder = NULL;
		if (gate_lost(gate, recipient, died))
			attempt_poisoned(recipient);
		else {
			recipient_set(recipient, RECIPIENT_ROUTED);
			join(recipient);
		}
	}
	if (transaction->outcome != NULL)
		outcome_store(transaction->outcome);
	transaction_end(transaction);
}

static void
on_relay_deliver_ans(struct link *link, struct frame *frame, void *arg)
{
	const struct w_relay_deliver_ans	*answer = frame->payload;
	struct transaction			*transaction = arg;
	struct recipient			*recipient;
	struct ending				*ending = NULL;
	int64_t					 closed_until;

	(void)link;
	if (answer == NULL) {
		transaction_lost(transaction);
		return;
	}
	closed_until = clock_now() + CLOSED_MAX;
	if (answer->closed_until < closed_until)
		closed_until = answer->closed_until;
	while ((recipient = TAILQ_FIRST(&transaction->recipients)) != NULL)
		add_result(transaction, recipient, RELAY_DEFERRED, "4.5.0",
		    "no reply for this recipient");
	if (transaction->outcome != NULL) {
		ending = outcome_finish_relay(transaction->outcome,
		    answer->host, answer->tls, closed_until);
		learn(transaction, answer->reached != 0 ||
		    transaction->reached, closed_until, ending);
		outcome_store(transaction->outcome);
	}
	transaction_end(transaction);
}

static const struct link_handler handlers[] = {
	{ IMSG_RELAY_RESULT_NTF,	on_relay_result },
	{ IMSG_RELAY_DELIVER_ANS,	on_relay_deliver_ans },
	{ IMSG_RELAY_EXPLAIN_ANS,	on_relay_explain_ans },
	{ IMSG_NONE,			NULL }
};

const struct link_role relay_role = {
	.self = PROC_SPOOLD, .peer = PROC_RELAY, .handlers = handlers,
	.closed = child_link_closed
};
