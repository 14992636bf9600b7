/*
 * A message on its way to spoold.
 *
 * A small one is gathered in memory and travels in its commit frame.  One
 * that outgrows that, or that comes while the small ones fill their budget,
 * is streamed in pieces under credit; who has none waits in line.  An id of
 * the lease is used for one message; if nothing was said under it, it is
 * used again.
 *
 *   ENVELOPE -> GATHERING [transaction_begin]
 *   GATHERING -> STREAMING [transaction_write]
 *   GATHERING, STREAMING -> COMMITTING [ask_commit]
 *   any -> ENDED [fail, transaction_withdraw, on_txn_commit_ans]
 */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "loop.h"
#include "smtpd.h"

#define BUDGET		((size_t)16 << 20)	/* of bodies in memory */
#define LEASES		16
#define UNWRITTEN	((size_t)4 << 20)	/* in the link: enough */

struct lease {
	uint64_t	next;
	uint64_t	end;		/* behind the last */
};

static struct {
	struct link	*link;		/* NULL: it is away */
	bool		 told;		/* it has said its state */
	bool		 takes_mail;
	struct lease	 leases[LEASES];
	size_t		 lease_count;
	uint64_t	*returned;	/* ids nothing was said under */
	size_t		 returned_count;
	size_t		 returned_size;
	size_t		 memory;	/* in bodies */
	TAILQ_HEAD(, transaction) all;	/* that have an id */
	TAILQ_HEAD(, transaction) line;	/* that wait for credit */
} spool = {
	.all = TAILQ_HEAD_INITIALIZER(spool.all),
	.line = TAILQ_HEAD_INITIALIZER(spool.line)
};

/* ---- ids ---- */

static uint64_t
lease_take(void)
{
	uint64_t id;

	if (spool.returned_count > 0)
		return spool.returned[--spool.returned_count];
	if (spool.lease_count == 0)
		return 0;
	id = spool.leases[0].next++;
	if (spool.leases[0].next == spool.leases[0].end) {
		spool.lease_count--;
		memmove(&spool.leases[0], &spool.leases[1],
		    spool.lease_count * sizeof(spool.leases[0]));
	}
	return id;
}

/* If there is no memory for it, the id is not used again. */
static void
lease_return(uint64_t id)
{
	size_t size = spool.returned_size > 0 ? 2 * spool.returned_size : 64;
	uint64_t *grown;

	if (spool.returned_count == spool.returned_size) {
		grown = reallocarray(spool.returned, size, sizeof(*grown));
		if (grown == NULL)
			return;
		spool.returned = grown;
		spool.returned_size = size;
	}
	spool.returned[spool.returned_count++] = id;
}

/* ---- the envelope ---- */

static char *
copy(const char *text)
{
	char *copied;

	if ((copied = strdup(text)) == NULL)
		fatal("envelope");
	return copied;
}

struct transaction *
transaction_new(struct session *session, const char *sender,
    const struct mail_parameters *parameters)
{
	struct transaction *txn;

	if ((txn = calloc(1, sizeof(*txn))) == NULL)
		fatal("transaction");
	txn->session = session;
	txn->sender = copy(sender);
	txn->parameters = *parameters;
	return txn;
}

void
transaction_add(struct transaction *txn, const char *address,
    const struct rcpt_parameters *parameters)
{
	struct recipient *grown;

	/* Grows at each power of two. */
	if ((txn->count & (txn->count - 1)) == 0) {
		grown = reallocarray(txn->recipients,
		    txn->count > 0 ? 2 * txn->count : 1, sizeof(*grown));
		if (grown == NULL)
			fatal("recipients");
		txn->recipients = grown;
	}
	grown = &txn->recipients[txn->count++];
	grown->address = copy(address);
	grown->notify = parameters->notify;
	grown->orcpt = parameters->orcpt[0] != '\0' ?
	    copy(parameters->orcpt) : NULL;
}

static void
tell_envelope(struct transaction *txn)
{
	struct w_txn_open_ntf open;
	struct w_txn_rcpt_ntf rcpt;
	size_t i;

	memset(&open, 0, sizeof(open));
	open.id = txn->id;
	open.arrival = txn->arrival;
	open.client = txn->session->client;
	open.body = (uint8_t)txn->parameters.body;
	open.ret = (uint8_t)txn->parameters.ret;
	(void)strlcpy(open.sender, txn->sender, sizeof(open.sender));
	memcpy(open.envid, txn->parameters.envid, sizeof(open.envid));
	link_tell(spool.link, IMSG_TXN_OPEN_NTF, &open, NULL, 0, -1);
	for (i = 0; i < txn->count; i++) {
		memset(&rcpt, 0, sizeof(rcpt));
		rcpt.id = txn->id;
		rcpt.notify = txn->recipients[i].notify;
		(void)strlcpy(rcpt.address, txn->recipients[i].address,
		    sizeof(rcpt.address));
		if (txn->recipients[i].orcpt != NULL)
			(void)strlcpy(rcpt.orcpt, txn->recipients[i].orcpt,
			    sizeof(rcpt.orcpt));
		link_tell(spool.link, IMSG_TXN_RCPT_NTF, &rcpt, NULL, 0, -1);
	}
	txn->opened = true;
}

static void
tell_abort(const struct transaction *txn)
{
	struct w_txn_abort_ntf abort = { .id = txn->id };

	if (spool.link != NULL)
		link_tell(spool.link, IMSG_TXN_ABORT_NTF, &abort, NULL, 0,
		    -1);
}

/* ---- the body ---- */

static void
body_append(struct transaction *txn, const char *data, size_t length)
{
	size_t before = txn->body.size;

	buffer_append(&txn->body, data, length);
	txn->size += length;
	spool.memory += txn->body.size - before;
}

static void
body_drop(struct transaction *txn, size_t length)
{
	size_t before = txn->body.size;

	buffer_drop(&txn->body, length);
	spool.memory -= before - txn->body.size;
}

static void
leave_line(struct transaction *txn)
{
	if (txn->wants_credit)
		TAILQ_REMOVE(&spool.line, txn, credit_entry);
	txn->wants_credit = false;
}

/* Nothing more is said of it; an id that was never used goes back. */
static void
end(struct transaction *txn)
{
	if (txn->state == TRANSACTION_ENVELOPE ||
	    txn->state == TRANSACTION_ENDED)
		return;
	if (!txn->opened && spool.link != NULL)
		lease_return(txn->id);
	leave_line(txn);
	body_drop(txn, txn->body.length);
	spool.memory -= txn->held;
	txn->held = 0;
	TAILQ_REMOVE(&spool.all, txn, entry);
	txn->state = TRANSACTION_ENDED;
}

/* spoold has failed it, or is gone: who waits for it hears so. */
static void
fail(struct transaction *txn, enum txn_verdict verdict)
{
	bool blocked = txn->wants_credit, complete = txn->complete;
	struct session *session = txn->session;

	end(txn);
	txn->failure = verdict;
	if (complete)
		data_committed(session, verdict);
	else if (blocked)
		data_resume(session);
}

static void
ask_body(struct transaction *txn, size_t length)
{
	struct w_txn_body_req req = { .id = txn->id, .offset = txn->sent };

	(void)link_ask(spool.link, IMSG_TXN_BODY_REQ, &req, txn->body.data,
	    length, -1, NULL);
	txn->sent += length;
	body_drop(txn, length);
}

static void
ask_commit(struct transaction *txn)
{
	struct w_txn_commit_req req = { .id = txn->id, .size = txn->size };

	txn->state = TRANSACTION_COMMITTING;
	txn->commit = link_ask(spool.link, IMSG_TXN_COMMIT_REQ, &req,
	    txn->body.data, txn->body.length, -1, txn);
	/* The link has it now; it counts until spoold has taken it. */
	txn->held = txn->body.length;
	body_drop(txn, txn->body.length);
	spool.memory += txn->held;
}

/* Is there a piece to send now?  Short ones only if they must go. */
static size_t
next_piece(const struct transaction *txn)
{
	if (txn->state != TRANSACTION_STREAMING)
		return 0;
	if (txn->body.length >= WIRE_PIECE)
		return WIRE_PIECE;
	return txn->complete || spool.memory > BUDGET ? txn->body.length : 0;
}

/*
 * May its next request leave?  An envelope leaves before the first of them,
 * and has no credit of its own: what a spoold that does not read is sent is
 * bounded by the requests it has not answered and by what is not yet written.
 */
static bool
may_ask(const struct transaction *txn)
{
	if (link_output(spool.link) >= UNWRITTEN)
		return false;
	if (next_piece(txn) > 0)
		return link_credit(spool.link, IMSG_TXN_BODY_REQ) > 0;
	return link_credit(spool.link, IMSG_TXN_COMMIT_REQ) > 0;
}

/* Send pieces while there is credit, then the commit if all is there. */
static void
send_on(struct transaction *txn)
{
	size_t length;

	while ((length = next_piece(txn)) > 0 || txn->complete) {
		if (txn->wants_credit)
			return;
		if (!may_ask(txn)) {
			txn->wants_credit = true;
			TAILQ_INSERT_TAIL(&spool.line, txn, credit_entry);
			return;
		}
		if (!txn->opened)
			tell_envelope(txn);
		if (length == 0) {
			ask_commit(txn);
			return;
		}
		ask_body(txn, length);
	}
}

/*
 * A turn is over, and credit may be back, whether by answers or by those
 * that nobody waits for any more: the first in line goes on.
 */
static void
serve_line(void *unused)
{
	struct transaction *txn;

	(void)unused;
	while (spool.link != NULL &&
	    (txn = TAILQ_FIRST(&spool.line)) != NULL && may_ask(txn)) {
		leave_line(txn);
		send_on(txn);
		if (!txn->wants_credit && !txn->complete)
			data_resume(txn->session);
	}
}

enum reply
transaction_possible(void)
{
	if (spool.link == NULL || !spool.told)
		return REPLY_SPOOL_AWAY;
	if (!spool.takes_mail)
		return REPLY_NO_SPACE;
	if (spool.lease_count == 0 && spool.returned_count == 0)
		return REPLY_SPOOL_AWAY;
	return REPLY_NONE;
}

enum reply
transaction_begin(struct transaction *txn)
{
	enum reply reply = transaction_possible();

	if (reply != REPLY_NONE)
		return reply;
	txn->id = lease_take();
	txn->arrival = clock_now();
	txn->state = TRANSACTION_GATHERING;
	TAILQ_INSERT_TAIL(&spool.all, txn, entry);
	return REPLY_NONE;
}

/* Half the budget is left for bodies. */
bool
transaction_roomy(void)
{
	return spool.memory < BUDGET / 2;
}

void
transaction_write(struct transaction *txn, const char *data, size_t length)
{
	if (txn->state == TRANSACTION_ENDED || length == 0)
		return;
	if (txn->state == TRANSACTION_GATHERING &&
	    (txn->body.length + length > WIRE_INLINE ||
	    spool.memory + length > BUDGET))
		txn->state = TRANSACTION_STREAMING;
	body_append(txn, data, length);
	send_on(txn);
}

bool
transaction_blocked(const struct transaction *txn)
{
	return txn->wants_credit;
}

void
transaction_withdraw(struct transaction *txn)
{
	/* A commit that was sent stands. */
	if (txn->opened && txn->state == TRANSACTION_STREAMING)
		tell_abort(txn);
	end(txn);
}

void
transaction_commit(struct transaction *txn)
{
	txn->complete = true;
	send_on(txn);
}

/* spoold is there, but has not done its part in time. */
void
transaction_give_up(struct transaction *txn)
{
	if (txn->state == TRANSACTION_COMMITTING && spool.link != NULL)
		link_forget(spool.link, txn->commit);
	else if (txn->opened)
		tell_abort(txn);
	fail(txn, TXN_FAILED);
}

void
transaction_free(struct transaction *txn)
{
	size_t i;

	if (txn == NULL)
		return;
	if (txn->state == TRANSACTION_COMMITTING && spool.link != NULL)
		link_forget(spool.link, txn->commit);
	transaction_withdraw(txn);
	for (i = 0; i < txn->count; i++) {
		free(txn->recipients[i].address);
		free(txn->recipients[i].orcpt);
	}
	free(txn->recipients);
	free(txn->sender);
	free(txn);
}

/* ---- what spoold says ---- */

/* It is gone, and with it its lease. */
static void
away(void)
{
	spool.link = NULL;
	spool.told = false;
	spool.lease_count = spool.returned_count = 0;
}

static void
on_txn_state(struct link *link, struct frame *frame, void *arg)
{
	const struct w_txn_state_ntf *ntf = frame->payload;
	bool takes_mail = ntf->takes_mail != 0;

	(void)link;
	(void)arg;
	if (!takes_mail || (spool.told && !spool.takes_mail)) {
		log_begin(takes_mail ? LOG_NOTICE : LOG_ERR, "spool");
		log_string("takes-mail", takes_mail ? "yes" : "no");
		log_string("reason", ntf->reason);
		log_end();
	}
	spool.told = true;
	spool.takes_mail = takes_mail;
}

static void
on_txn_lease(struct link *link, struct frame *frame, void *arg)
{
	const struct w_txn_lease_ntf *ntf = frame->payload;
	struct lease *lease;

	(void)link;
	(void)arg;
	if (ntf->count == 0 || ntf->first == 0 || spool.lease_count == LEASES)
		return;
	lease = &spool.leases[spool.lease_count++];
	lease->next = ntf->first;
	lease->end = ntf->first + ntf->count;
}

/* What is none is a failure: 0 would look like none so far. */
static enum txn_verdict
verdict_of(uint64_t verdict)
{
	return verdict == TXN_OK || verdict == TXN_NO_SPACE ?
	    (enum txn_verdict)verdict : TXN_FAILED;
}

static void
on_txn_body_ans(struct link *link, struct frame *frame, void *arg)
{
	const struct w_txn_body_ans *ans = frame->payload;
	struct transaction *txn;

	(void)link;
	(void)arg;
	if (ans == NULL) {
		away();
		return;
	}
	TAILQ_FOREACH(txn, &spool.all, entry)
		if (txn->id == ans->id)
			break;
	if (ans->verdict != TXN_OK && txn != NULL &&
	    txn->state == TRANSACTION_STREAMING) {
		tell_abort(txn);
		fail(txn, verdict_of(ans->verdict));
	}
}

static void
on_txn_commit_ans(struct link *link, struct frame *frame, void *arg)
{
	const struct w_txn_commit_ans *ans = frame->payload;
	struct transaction *txn = arg;
	struct session *session = txn->session;

	(void)link;
	if (ans == NULL)
		away();
	end(txn);
	data_committed(session, ans != NULL ? verdict_of(ans->verdict) :
	    TXN_FAILED);
}

static void
on_up(struct child *child, struct link *link,
    const struct w_start_peer_ntf *ntf)
{
	(void)child;
	(void)ntf;
	away();
	spool.link = link;
}

/* What was committing was failed before by its own handler. */
static void
on_lost(struct child *child, struct link *link)
{
	struct transaction *txn, *next;

	(void)child;
	(void)link;
	away();
	for (txn = TAILQ_FIRST(&spool.all); txn != NULL; txn = next) {
		next = TAILQ_NEXT(txn, entry);
		fail(txn, TXN_FAILED);
	}
}

void
transactions_begin(void)
{
	loop_add_hook(LOOP_WORK, serve_line, NULL);
}

static const struct link_handler handlers[] = {
	{ IMSG_TXN_STATE_NTF, on_txn_state },
	{ IMSG_TXN_LEASE_NTF, on_txn_lease },
	{ IMSG_TXN_BODY_ANS, on_txn_body_ans },
	{ IMSG_TXN_COMMIT_ANS, on_txn_commit_ans },
	{ IMSG_NONE, NULL }
};

static const struct link_role role = {
	.self = PROC_SMTPD, .peer = PROC_SPOOLD, .handlers = handlers,
	.closed = child_link_closed
};

const struct child_peer transaction_peer = { &role, on_up, on_lost };
