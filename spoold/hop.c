/*
 * Transactions with relay: the recipients of a message that go to the same
 * next hop under the same sender go together.  A next hop always has the
 * same relay worker, and at most a handful of transactions at a time; those
 * with work take turns.  What relay says of a hop's being closed is kept
 * with its lane.
 */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "spoold.h"

#define RECIPIENTS_MAX	100	/* of a transaction: RFC 5321 4.5.3.1.8 */
#define OUT_MAX		20	/* transactions of one hop at a time */
#define CLOSED_MAX	DAY	/* whatever relay says */
#define RELAYS_MAX	WIRE_WORKERS

struct transaction {
	TAILQ_ENTRY(transaction) entry;	/* of its lane, while it waits */
	uint64_t	 number;
	struct lane	*lane;
	struct message	*message;
	struct link	*link;		/* that has it, or NULL */
	struct recipients recipients;
	struct outcome	*outcome;	/* of results that came */
	uint32_t	 count;
	TAILQ_ENTRY(transaction) of_link;
};
TAILQ_HEAD(lane_list, lane);

static struct {
	struct lane_list ready;		/* lanes with waiting transactions */
	struct transactions out;	/* at any relay */
	struct link	*links[RELAYS_MAX];
	struct gate	 gates[RELAYS_MAX];
	uint32_t	 relays;	/* workers seen so far */
	uint32_t	 newest;	/* first instance of the newest */
	uint64_t	 last_number;
} hops = {
	.ready = TAILQ_HEAD_INITIALIZER(hops.ready),
	.out = TAILQ_HEAD_INITIALIZER(hops.out)
};

/* Which relay worker has this hop. */
static uint32_t
relay_of(const struct lane *lane)
{
	return hops.relays == 0 ? 0 : (uint32_t)(checksum(0, lane->text,
	    strlen(lane->text)) % hops.relays);
}

/* A worker's place in the tables; an older one shares it until it ends. */
static uint32_t
place_of(const struct link *link)
{
	return link_instance(link) % RELAYS_MAX;
}

static void
make_ready(struct lane *lane)
{
	if (lane->is_ready || TAILQ_EMPTY(&lane->waiting))
		return;
	lane->is_ready = true;
	TAILQ_INSERT_TAIL(&hops.ready, lane, ready);
	queue_wake();
}

/* ---- gathering ---- */

/* A waiting transaction that this recipient can join. */
static struct transaction *
find_transaction(struct recipient *recipient)
{
	struct transaction	*transaction;

	TAILQ_FOREACH_REVERSE(transaction, &recipient->lane->waiting,
	    transactions, entry) {
		if (transaction->message != recipient->message)
			return NULL;
		if (transaction->count < RECIPIENTS_MAX &&
		    recipient->suspect == NULL && strcmp(recipient_sender(
		    TAILQ_FIRST(&transaction->recipients)),
		    recipient_sender(recipient)) == 0)
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
	}
	TAILQ_INSERT_TAIL(&transaction->recipients, recipient, waiting);
	transaction->count++;
	recipient->holder = transaction;
	make_ready(recipient->lane);
}

/* Every recipient of the message is routed: group those for next hops. */
void
hop_gather(struct message *message)
{
	struct recipient	*recipient;

	if (!message->committed)
		return;
	TAILQ_FOREACH(recipient, &message->recipients, of_message)
		if (recipient->state == RECIPIENT_ROUTED &&
		    recipient->holder == NULL && recipient->lane != NULL &&
		    recipient->route->kind == ROUTE_RELAY)
			join(recipient);
}

/* It no longer waits; it must not be out. */
void
hop_withdraw(struct recipient *recipient)
{
	struct transaction	*transaction = recipient->holder;

	TAILQ_REMOVE(&transaction->recipients, recipient, waiting);
	recipient->holder = NULL;
	if (--transaction->count > 0)
		return;
	TAILQ_REMOVE(&transaction->lane->waiting, transaction, entry);
	free(transaction);
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
		gate_sent(&hops.gates[place_of(link)]);
		tell_relay_rcpt(link, transaction, recipient);
	}
	(void)strlcpy(request.sender, recipient_sender(
	    TAILQ_FIRST(&transaction->recipients)), sizeof(request.sender));
	(void)strlcpy(request.envid, message->envid, sizeof(request.envid));
	(void)strlcpy(request.hop, transaction->lane->text,
	    sizeof(request.hop));
	transaction->link = link;
	transaction->lane->out++;
	TAILQ_INSERT_TAIL(&hops.out, transaction, of_link);
	(void)link_ask(link, IMSG_RELAY_DELIVER_REQ, &request, body,
	    body != NULL ? (size_t)message->size : 0, fd, transaction);
	message_spare_body(message);
}

/* One transaction of each lane in turn, while relay takes them. */
void
hop_pump(void)
{
	struct transaction	*transaction;
	struct lane		*lane, *last;
	struct link		*link;
	uint32_t		 relay;
	bool			 sent = true;

	while (sent && queue_may_try()) {
		sent = false;
		last = TAILQ_LAST(&hops.ready, lane_list);
		while ((lane = TAILQ_FIRST(&hops.ready)) != NULL) {
			TAILQ_REMOVE(&hops.ready, lane, ready);
			lane->is_ready = false;
			relay = relay_of(lane);
			link = hops.links[relay];
			transaction = TAILQ_FIRST(&lane->waiting);
			if (transaction != NULL && link != NULL &&
			    lane->out < OUT_MAX &&
			    link_credit(link, IMSG_RELAY_DELIVER_REQ) > 0 &&
			    gate_open(&hops.gates[relay])) {
				TAILQ_REMOVE(&lane->waiting, transaction,
				    entry);
				ask_relay_deliver(link, transaction);
				sent = true;
			}
			if (transaction != NULL && lane->out < OUT_MAX) {
				lane->is_ready = true;
				TAILQ_INSERT_TAIL(&hops.ready, lane, ready);
			}
			if (lane == last)
				break;
		}
	}
}

/* ---- results ---- */

static struct transaction *
find_out(uint64_t number, const struct link *link)
{
	struct transaction	*transaction;

	TAILQ_FOREACH(transaction, &hops.out, of_link)
		if (transaction->number == number &&
		    transaction->link == link)
			return transaction;
	return NULL;
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
	gate_answered(&hops.gates[place_of(transaction->link)],
	    recipient);
	recipient->holder = NULL;
	if (transaction->outcome == NULL)
		transaction->outcome = outcome_new(transaction->message);
	ending = outcome_add(transaction->outcome, recipient, kinds[verdict],
	    status[0] == statuses[verdict][0] ? status : statuses[verdict],
	    text, "");
	ending->attempted = true;
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
}

/* Remember of the lane what relay found. */
static void
note_closed(struct lane *lane, int64_t closed_until,
    const struct ending *ending)
{
	lane->closed_until = closed_until;
	free(lane->reason);
	lane->reason = NULL;
	if (closed_until > 0 && ending != NULL)
		lane->reason = strdup(ending->text);
}

static void
transaction_end(struct transaction *transaction)
{
	TAILQ_REMOVE(&hops.out, transaction, of_link);
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

	gate = &hops.gates[place_of(transaction->link)];
	while ((recipient = TAILQ_FIRST(&transaction->recipients)) != NULL) {
		TAILQ_REMOVE(&transaction->recipients, recipient, waiting);
		recipient->holder = NULL;
		if (gate_lost(gate, recipient))
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
		note_closed(transaction->lane, closed_until, ending);
		outcome_store(transaction->outcome);
	}
	transaction_end(transaction);
}

static const struct link_handler handlers[] = {
	{ IMSG_RELAY_RESULT_NTF,	on_relay_result },
	{ IMSG_RELAY_DELIVER_ANS,	on_relay_deliver_ans },
	{ IMSG_NONE,			NULL }
};

const struct link_role relay_role = {
	.self = PROC_SPOOLD, .peer = PROC_RELAY, .handlers = handlers,
	.closed = child_link_closed
};

/* A newer relay's workers take all new work; the older end what they have. */
void
relay_up(struct child *child, struct link *link,
    const struct w_start_peer_ntf *start)
{
	uint32_t	 place = place_of(link);

	(void)child;
	if (start->finishing)
		return;
	if (start->instance - place != hops.newest) {
		hops.newest = start->instance - place;
		hops.relays = 0;
		memset(hops.links, 0, sizeof(hops.links));
	}
	hops.links[place] = link;
	if (place >= hops.relays)
		hops.relays = place + 1;
	queue_wake();
}

/* The link may be freed already: it is only compared. */
void
relay_lost(struct child *child, struct link *link)
{
	uint32_t	 place;

	(void)child;
	for (place = 0; place < hops.relays; place++)
		if (hops.links[place] == link)
			hops.links[place] = NULL;
}
