/*
 * The links to smtpd: a message comes in as an envelope, the pieces of a
 * large body, and a commit.  Owns what is not yet committed; never touches
 * a row itself.
 *
 *   (none) --open--> OPEN --commit--> STORING --> (none)
 *                     |
 *                     '--abort, lost--> (none), and its file is removed
 */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "printable.h"
#include "spoold.h"

#define LEASES		64	/* blocks of ids a link holds at most */
#define LEASE_RENEW	(WIRE_LEASE / 2)	/* left: there is another */
#define RECIPIENTS_MAX	65536	/* of one message, against runaways */

struct smtpd_peer;

struct incoming {
	RB_ENTRY(incoming) entry;
	struct work	 work;
	struct smtpd_peer *peer;	/* NULL when its link is gone */
	struct message	*message;
	struct body_file file;
	enum txn_verdict trouble;	/* why it cannot be stored, or 0 */
	uint32_t	 question;	/* of the commit */
	uint32_t	 reserved;	/* of the window */
	bool		 storing;
};

RB_HEAD(incomings, incoming);

struct smtpd_peer {
	LIST_ENTRY(smtpd_peer) entry;
	struct link	*link;		/* NULL when it is gone */
	bool		 may_claim_local;
	struct lease	 leases[LEASES];
	uint32_t	 ids_left;	/* of all leases */
	bool		 leasing;
	uint32_t	 pins;		/* incoming and leases that name it */
	struct incomings open;
};

static LIST_HEAD(, smtpd_peer) peers = LIST_HEAD_INITIALIZER(peers);

static int
compare(struct incoming *a, struct incoming *b)
{
	return a->message->id < b->message->id ? -1 :
	    a->message->id > b->message->id;
}

RB_GENERATE_STATIC(incomings, incoming, entry, compare)

static struct smtpd_peer *
find_peer(const struct link *link)
{
	struct smtpd_peer	*peer;

	LIST_FOREACH(peer, &peers, entry)
		if (peer->link == link)
			return peer;
	return NULL;
}

static struct incoming *
find_incoming(struct smtpd_peer *peer, uint64_t id)
{
	struct message	 message = { .id = id };
	struct incoming	 key = { .message = &message };

	return RB_FIND(incomings, &peer->open, &key);
}

static void
unpin(struct smtpd_peer *peer)
{
	if (--peer->pins == 0 && peer->link == NULL) {
		LIST_REMOVE(peer, entry);
		free(peer);
	}
}

/* Free it with its message, unless that was entered into the queue. */
static void
incoming_free(struct incoming *incoming)
{
	if (!incoming->storing)
		RB_REMOVE(incomings, &incoming->peer->open, incoming);
	if (incoming->message != NULL && incoming->message->in_file) {
		body_close(&incoming->file);
		body_remove(incoming->message->id);
	}
	body_close(&incoming->file);
	unpin(incoming->peer);
	message_free(incoming->message);
	free(incoming);
}

/* ---- leases ---- */

/* The slot for a new lease: one that is used up, or else the oldest. */
static struct lease *
find_slot(struct smtpd_peer *peer)
{
	struct lease	*lease, *oldest = &peer->leases[0];

	for (lease = peer->leases; lease < peer->leases + LEASES; lease++) {
		if (lease->first == 0 || lease->left == 0)
			return lease;
		if (lease->first < oldest->first)
			oldest = lease;
	}
	peer->ids_left -= oldest->left;
	return oldest;
}

static void
on_lease_given(void *arg, uint64_t first)
{
	struct smtpd_peer	*peer = arg;
	struct lease		*lease;
	struct w_txn_lease_ntf	 ntf = {
		.first = first, .count = WIRE_LEASE
	};

	peer->leasing = false;
	if (peer->link != NULL) {
		lease = find_slot(peer);
		memset(lease, 0, sizeof(*lease));
		lease->first = first;
		lease->left = WIRE_LEASE;
		peer->ids_left += WIRE_LEASE;
		link_tell(peer->link, IMSG_TXN_LEASE_NTF, &ntf, NULL, 0, -1);
	}
	unpin(peer);
}

static void
renew_lease(struct smtpd_peer *peer)
{
	if (peer->leasing)
		return;
	peer->leasing = true;
	peer->pins++;
	lease_new(on_lease_given, peer);
}

/* ---- handlers ---- */

static bool
claims_too_much(const struct smtpd_peer *peer, const struct w_client *client)
{
	if (client->standing < STANDING_STRANGER ||
	    client->standing > STANDING_LOCAL ||
	    client->standing == STANDING_LOGIN)
		return true;	/* nobody can log in */
	return (client->standing == STANDING_LOCAL) != peer->may_claim_local;
}

static void
on_txn_open(struct link *link, struct frame *frame, void *arg)
{
	const struct w_txn_open_ntf	*open = frame->payload;
	struct smtpd_peer		*peer = find_peer(link);
	struct incoming			*incoming;
	struct message			*message;
	int64_t				 now = clock_now();

	(void)arg;
	if (claims_too_much(peer, &open->client)) {
		link_violation(link, "a standing its listeners cannot give");
		return;
	}
	/* smtpd takes nothing else; a mailbox's or a header's line ends. */
	if (!is_printable(open->sender) || !is_printable(open->envid) ||
	    !is_printable(open->client.helo)) {
		link_violation(link, "an envelope that is not printable");
		return;
	}
	if (lease_use(peer->leases, LEASES, open->id) == -1) {
		link_violation(link, "an id that is not of its lease");
		return;
	}
	if (--peer->ids_left < LEASE_RENEW)
		renew_lease(peer);
	if ((incoming = calloc(1, sizeof(*incoming))) == NULL)
		fatal("incoming");
	message = message_new(open->id);
	message->arrival = open->arrival > 0 && open->arrival < now ?
	    open->arrival : now;
	message->client = open->client;
	message->body_type = open->body;
	message->ret = open->ret;
	message->sender = strdup(open->sender);
	message->envid = strdup(open->envid);
	if (message->sender == NULL || message->envid == NULL)
		fatal("incoming");
	incoming->message = message;
	incoming->file.fd = -1;
	incoming->peer = peer;
	peer->pins++;
	RB_INSERT(incomings, &peer->open, incoming);
}

static void
on_txn_rcpt(struct link *link, struct frame *frame, void *arg)
{
	const struct w_txn_rcpt_ntf	*rcpt = frame->payload;
	struct incoming			*incoming;
	struct recipient		*recipient;

	(void)arg;
	incoming = find_incoming(find_peer(link), rcpt->id);
	if (incoming == NULL || incoming->message->rows >= RECIPIENTS_MAX) {
		link_violation(link, "a recipient of no message");
		return;
	}
	if (!is_printable(rcpt->address) || !is_printable(rcpt->orcpt)) {
		link_violation(link, "a recipient that is not printable");
		return;
	}
	recipient = recipient_new(incoming->message,
	    ++incoming->message->rows, rcpt->address);
	recipient->notify = rcpt->notify;
	recipient->refused = rcpt->refused != 0;
	recipient->had_route = !recipient->refused;
	recipient->first_try = true;
	free(recipient->orcpt);
	if ((recipient->orcpt = strdup(rcpt->orcpt)) == NULL)
		fatal("incoming");
}

static void
on_txn_body(struct link *link, struct frame *frame, void *arg)
{
	const struct w_txn_body_req	*piece = frame->payload;
	struct w_txn_body_ans		 answer = { .id = piece->id };
	struct incoming			*incoming;
	const char			*why;

	(void)arg;
	incoming = find_incoming(find_peer(link), piece->id);
	if (incoming == NULL) {
		link_violation(link, "a body of no message");
		return;
	}
	if (incoming->trouble == 0 && piece->offset != incoming->file.size) {
		link_violation(link, "a piece of a body out of its place");
		return;
	}
	if (incoming->trouble == 0 && !reserve_takes_mail(&why))
		incoming->trouble = TXN_NO_SPACE;
	if (incoming->trouble == 0 && !incoming->message->in_file) {
		if (body_create(&incoming->file, piece->id) == -1)
			incoming->trouble = TXN_FAILED;
		else
			incoming->message->in_file = true;
	}
	if (incoming->trouble == 0 && body_write(&incoming->file,
	    frame->tail, frame->tail_length) == -1) {
		log_errno(LOG_ERR, "body", "write");
		reserve_trouble("a body cannot be written");
		incoming->trouble = TXN_NO_SPACE;
	}
	answer.verdict = incoming->trouble == 0 ? TXN_OK : incoming->trouble;
	link_answer(link, IMSG_TXN_BODY_ANS, frame->id, &answer, NULL, 0, -1);
}

static void
answer_txn_commit(struct incoming *incoming, enum txn_verdict verdict)
{
	struct w_txn_commit_ans	 answer = {
		.id = incoming->message->id, .verdict = verdict
	};

	if (incoming->peer->link != NULL)
		link_answer(incoming->peer->link, IMSG_TXN_COMMIT_ANS,
		    incoming->question, &answer, NULL, 0, -1);
}

static int
prepare_incoming(struct work *work)
{
	struct incoming	*incoming;

	incoming = (struct incoming *)((char *)work -
	    offsetof(struct incoming, work));
	if (body_sync(&incoming->file) == -1) {
		log_errno(LOG_ERR, "body", "sync");
		fatalx("the disk failed at a body");
	}
	return 0;
}

static int
run_incoming(struct work *work)
{
	struct incoming	*incoming;

	incoming = (struct incoming *)((char *)work -
	    offsetof(struct incoming, work));
	return store_add_message(incoming->message);
}

/* It is on disk: say so, and begin with it. */
static void
incoming_done(struct work *work, int result)
{
	struct incoming	*incoming;
	struct message	*message;
	const char	*why;

	incoming = (struct incoming *)((char *)work -
	    offsetof(struct incoming, work));
	queue_unreserve(incoming->reserved);
	if (result == -1) {
		answer_txn_commit(incoming, reserve_takes_mail(&why) ?
		    TXN_FAILED : TXN_NO_SPACE);
		queue_forget(incoming->message);
		incoming_free(incoming);
		return;
	}
	answer_txn_commit(incoming, TXN_OK);
	message = incoming->message;
	incoming->message = NULL;
	incoming_free(incoming);
	queue_enter(message);
}

/* Take the body of a commit; 0 or why it cannot be stored. */
static enum txn_verdict
complete(struct incoming *incoming, const struct frame *frame)
{
	const struct w_txn_commit_req	*commit = frame->payload;
	struct message			*message = incoming->message;
	const char			*why;
	char				*body;

	if (incoming->trouble != 0)
		return incoming->trouble;
	if (!reserve_takes_mail(&why))
		return TXN_NO_SPACE;
	message->size = commit->size;
	if (message->in_file)
		return incoming->file.size == commit->size ? 0 : TXN_FAILED;
	if ((body = malloc(frame->tail_length + 1)) == NULL)
		return TXN_FAILED;
	memcpy(body, frame->tail, frame->tail_length);
	body[frame->tail_length] = '\0';
	message_take_body(message, body);
	return 0;
}

static void
on_txn_commit(struct link *link, struct frame *frame, void *arg)
{
	const struct w_txn_commit_req	*commit = frame->payload;
	struct smtpd_peer		*peer = find_peer(link);
	struct incoming			*incoming;
	struct message			*message;
	enum txn_verdict		 trouble;

	(void)arg;
	incoming = find_incoming(peer, commit->id);
	if (incoming == NULL || incoming->message->rows == 0 ||
	    (!incoming->message->in_file && incoming->trouble == 0 &&
	    frame->tail_length != commit->size)) {
		link_violation(link, "a commit of no whole message");
		return;
	}
	message = incoming->message;
	incoming->question = frame->id;
	if ((trouble = complete(incoming, frame)) != 0) {
		answer_txn_commit(incoming, trouble);
		incoming_free(incoming);
		return;
	}
	RB_REMOVE(incomings, &peer->open, incoming);
	incoming->storing = true;
	if (queue_reserve(message->rows)) {
		message->fresh = true;
		incoming->reserved = message->rows;
	}
	queue_expect(message);
	incoming->work.prepare = message->in_file ? prepare_incoming : NULL;
	incoming->work.run = run_incoming;
	incoming->work.done = incoming_done;
	incoming->work.may_wait = true;
	incoming->work.weight = message->in_file ? 0 : message->size;
	batch_add(&incoming->work);
}

static void
on_txn_abort(struct link *link, struct frame *frame, void *arg)
{
	const struct w_txn_abort_ntf	*abort_ntf = frame->payload;
	struct incoming			*incoming;

	(void)arg;
	incoming = find_incoming(find_peer(link), abort_ntf->id);
	if (incoming != NULL)
		incoming_free(incoming);
}

static const struct link_handler handlers[] = {
	{ IMSG_TXN_OPEN_NTF,	on_txn_open },
	{ IMSG_TXN_RCPT_NTF,	on_txn_rcpt },
	{ IMSG_TXN_BODY_REQ,	on_txn_body },
	{ IMSG_TXN_COMMIT_REQ,	on_txn_commit },
	{ IMSG_TXN_ABORT_NTF,	on_txn_abort },
	{ IMSG_NONE,		NULL }
};

const struct link_role smtpd_role = {
	.self = PROC_SPOOLD, .peer = PROC_SMTPD, .handlers = handlers,
	.closed = child_link_closed
};

/* ---- the link ---- */

static void
tell_txn_state(struct smtpd_peer *peer, bool takes_mail, const char *why)
{
	struct w_txn_state_ntf	 state = { .takes_mail = takes_mail };

	(void)strlcpy(state.reason, why, sizeof(state.reason));
	link_tell(peer->link, IMSG_TXN_STATE_NTF, &state, NULL, 0, -1);
}

void
txn_tell_state(bool takes_mail, const char *why)
{
	struct smtpd_peer	*peer;

	LIST_FOREACH(peer, &peers, entry)
		if (peer->link != NULL)
			tell_txn_state(peer, takes_mail, why);
}

void
smtpd_up(struct child *child, struct link *link,
    const struct w_start_peer_ntf *start)
{
	struct smtpd_peer	*peer;
	const char		*why = "";
	bool			 takes_mail;

	(void)child;
	if ((peer = calloc(1, sizeof(*peer))) == NULL)
		fatal("smtpd");
	peer->link = link;
	peer->may_claim_local = start->may_claim_local != 0;
	RB_INIT(&peer->open);
	LIST_INSERT_HEAD(&peers, peer, entry);
	renew_lease(peer);
	takes_mail = reserve_takes_mail(&why);
	tell_txn_state(peer, takes_mail, why);
}

/* What it had not committed is as if it had never come. */
void
smtpd_lost(struct child *child, struct link *link)
{
	struct smtpd_peer	*peer = find_peer(link);
	struct incoming		*incoming;

	(void)child;
	if (peer == NULL)
		return;
	peer->pins++;
	peer->link = NULL;
	while ((incoming = RB_MIN(incomings, &peer->open)) != NULL)
		incoming_free(incoming);
	unpin(peer);
}

/* Is a client still sending into the file of this id? */
bool
txn_has_file(uint64_t id)
{
	struct smtpd_peer	*peer;

	LIST_FOREACH(peer, &peers, entry)
		if (find_incoming(peer, id) != NULL)
			return true;
	return false;
}
