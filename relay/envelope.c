/*
 * A transaction within a conversation, from MAIL to the reply to the dot, and
 * what it means for each recipient.  Owns the transaction meanwhile.
 *
 *	NONE -> COMMANDS		envelope_begin
 *	COMMANDS -> BODY		begin_body (354)
 *	COMMANDS -> NOBODY		begin_body (354, but nobody is left)
 *	COMMANDS -> RESET		abandon
 *	BODY -> DOT			envelope_fill
 *	DOT, NOBODY, RESET -> NONE	envelope_reply
 *	any -> NONE			envelope_lost, envelope_drop,
 *					envelope_give_back
 *
 * The transaction is gone in NONE, NOBODY and RESET.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "relay.h"

#define WARY_TIME	(60 * MINUTE)	/* no riders */

enum state { NONE, COMMANDS, BODY, DOT, NOBODY, RESET, STATES };

struct envelope {
	struct stream	*stream;
	struct endpoint	*endpoint;
	const struct offer *offer;
	struct hop	*hop;
	struct transaction *t;
	enum state	 state;
	bool		 first;		/* over this connection */
	bool		 rides;		/* begun before the one ahead ended */
	size_t		 sent;		/* commands: MAIL, RCPTs, DATA */
	size_t		 answered;
	bool		 answering;	/* a reply to t has come, believed */
	size_t		 dots;		/* LMTP: replies since the dot */
	size_t		 others;	/* octets behind the dot: the next's */
	struct body	 body;
	uint64_t	 offset;	/* of the body, read so far */
	struct reply	 refusal;	/* the last of a recipient */
	struct reply	 host_fault;	/* why it takes no mail; code 0 */
};

/* RFC 5321 4.5.3.2 wants at least these; NOBODY and RESET are ours. */
static const struct {
	const char	*awaited;
	int		 seconds;
} states[STATES] = {
	[NONE]		= { "nothing", 30 },
	[COMMANDS]	= { "the answer to MAIL, RCPT or DATA", 300 },
	[BODY]		= { "room for the message", 180 },
	[DOT]		= { "the answer to the message", 600 },
	[NOBODY]	= { "the answer to no message", 30 },
	[RESET]		= { "the answer to RSET", 60 }
};

static void
set_state(struct envelope *e, enum state state)
{
	log_note(LOG_DEBUG, "envelope", "%s: waits for %s", e->endpoint->text,
	    states[state].awaited);
	e->state = state;
}

/* ---- the end ---- */

/* A line in the log for what has been done, not yet who got it. */
static void
log_transaction(const struct envelope *e, const struct reply *reply)
{
	log_begin(LOG_INFO, "transaction");
	log_id("id", e->t->id);
	log_string("relay", e->endpoint->text);
	log_string("hop", hop_text(e->hop));
	log_string("tls", stream_protection(e->stream));
	log_number("recipients", (long long)e->t->count);
	log_number("accepted", (long long)e->t->accepted);
	if (e->body.broken > 0)
		log_number("broken-lines", (long long)e->body.broken);
	log_string("reply", reply->text);
	log_end();
}

/* All that had no result gets this one; the transaction is done. */
static void
finish(struct envelope *e, const struct reply *reply)
{
	struct transaction *t = e->t;

	log_transaction(e, reply);
	e->t = NULL;
	transaction_rest(t, reply, false);
	transaction_done(t, 0, e->endpoint->text,
	    stream_protection(e->stream));
}

/*
 * The connection is of no use any more: by a last reply, 421, or by a fault.
 * If the server has said nothing about the transaction, another connection
 * may do better, once: this one was old and had died meanwhile, or its host
 * takes no mail now.
 */
void
envelope_lost(struct envelope *e, const struct reply *reply)
{
	struct reply fault = *reply;

	if (e->t == NULL)
		return;
	if (e->state == DOT && e->dots > 0 && !fault.replied)
		strlcpy(fault.status, "4.5.0", sizeof(fault.status));
	if (!e->answering && e->first)
		e->host_fault = fault;
	/* Broken servers and proxies lose who rides, or the one ahead. */
	if (!fault.replied && (e->others > 0 ||
	    (!e->answering && e->rides)))
		e->endpoint->wary_until = clock_monotonic() + WARY_TIME;
	if (!e->answering && !e->t->returned) {
		hop_take_back(e->hop, e->t);
		e->t = NULL;
	} else
		finish(e, &fault);
	set_state(e, NONE);
}

static enum envelope_next
lose(struct envelope *e, const struct reply *reply)
{
	envelope_lost(e, reply);
	return ENVELOPE_LOST;
}

/* What is there already answers nothing that we are about to send. */
static bool
is_in_step(const struct envelope *e)
{
	return evbuffer_get_length(stream_in(e->stream)) == 0;
}

/* Has the dot left? */
static bool
is_sent(const struct envelope *e)
{
	return evbuffer_get_length(stream_out(e->stream)) <= e->others;
}

static enum envelope_next
out_of_step(struct envelope *e)
{
	struct reply fault;

	reply_fault(&fault, envelope_stage(e), 451, "4.5.0",
	    "%s: said more than it was asked", e->endpoint->text);
	return lose(e, &fault);
}

/* ---- the body ---- */

/*
 * Keep the output filled, until the dot has been added.
 */
enum envelope_next
envelope_fill(struct envelope *e)
{
	static char piece[WIRE_PIECE];
	struct evbuffer *out = stream_out(e->stream);
	struct reply fault;
	ssize_t n;

	while (e->state == BODY && evbuffer_get_length(out) < STREAM_LOW) {
		n = transaction_read(e->t, e->offset, piece, sizeof(piece));
		if (n == -1) {
			reply_fault(&fault, STAGE_NONE, 451, "4.3.0",
			    "reading the message: %s", strerror(errno));
			return lose(e, &fault);
		}
		if (n > 0) {
			body_add(&e->body, out, piece, (size_t)n);
			e->offset += (uint64_t)n;
			continue;
		}
		body_end(&e->body, out);
		e->dots = 0;
		set_state(e, DOT);
	}
	return ENVELOPE_WAIT;
}

/*
 * The server wants the message.  If nobody is left to get it, it gets just
 * the dot; LMTP may have no answer to that, so it is the end.
 */
static enum envelope_next
begin_body(struct envelope *e)
{
	if (!is_in_step(e))
		return out_of_step(e);
	if (e->t->accepted == 0) {
		finish(e, &e->refusal);
		evbuffer_add(stream_out(e->stream), ".\r\n", 3);
		set_state(e, NOBODY);
		return e->endpoint->policy->lmtp ? ENVELOPE_LEAVE :
		    ENVELOPE_WAIT;
	}
	body_start(&e->body);
	e->offset = 0;
	set_state(e, BODY);
	return envelope_fill(e);
}

/* ---- the commands ---- */

static size_t
recipient_after(const struct transaction *t, size_t n)
{
	while (n <= t->count && t->recipients[n - 1].unsent)
		n++;
	return n;
}

/* Send what may be sent now: all at once, or one command at a time. */
static enum envelope_next
send_commands(struct envelope *e)
{
	const struct transaction *t = e->t;
	struct evbuffer *out = stream_out(e->stream);

	while (e->sent <= t->count + 1 &&
	    (e->offer->pipelining || e->sent == e->answered)) {
		if (!is_in_step(e))
			return out_of_step(e);
		if (e->sent == 0)
			command_mail(out, t, e->offer);
		else if (e->sent <= t->count)
			command_rcpt(out, &t->recipients[e->sent - 1],
			    e->offer);
		else
			evbuffer_add_printf(out, "DATA\r\n");
		e->sent = recipient_after(t, e->sent + 1);
	}
	return ENVELOPE_WAIT;
}

/* Nothing of this transaction can go on: put the server back in order. */
static enum envelope_next
abandon(struct envelope *e, const struct reply *reply)
{
	if (!is_in_step(e))
		return out_of_step(e);
	finish(e, reply);
	evbuffer_add_printf(stream_out(e->stream), "RSET\r\n");
	set_state(e, RESET);
	return ENVELOPE_WAIT;
}

/*
 * RFC 5321 4.5.3.1.10: some say 552 for too many recipients.  Without a
 * status it may be a mailbox that is full, which shows when it comes first.
 */
static bool
is_too_many(const struct envelope *e, const struct reply *reply)
{
	return reply->code == 552 && e->t->accepted > 0 &&
	    (strcmp(reply->status, "5.5.3") == 0 ||
	    strcmp(reply->status, "5.0.0") == 0);
}

static void
on_recipient(struct envelope *e, struct recipient *r,
    const struct reply *reply)
{
	if (r->told)
		return;		/* MAIL was refused already */
	if (reply->code / 100 == 2) {
		r->accepted = true;
		e->t->accepted++;
		return;
	}
	e->refusal = *reply;
	if (is_too_many(e, reply)) {
		e->refusal.code = 452;
		strlcpy(e->refusal.status, "4.5.3",
		    sizeof(e->refusal.status));
	}
	transaction_result(e->t, r, &e->refusal);
}

/* The reply to DATA. */
static enum envelope_next
on_data(struct envelope *e, const struct reply *reply)
{
	struct reply soft = *reply;

	if (reply->code == 354)
		return begin_body(e);
	if (reply->code < 400) {
		/* It is out of step: an answer to something else. */
		reply_soften(&soft);
		return lose(e, &soft);
	}
	if (e->t->accepted == 0)
		return abandon(e, &e->refusal);
	return abandon(e, reply);
}

/* The reply to MAIL. */
static void
on_mail(struct envelope *e, const struct reply *reply)
{
	e->t->reached = true;
	if (reply->code / 100 == 2)
		return;
	e->refusal = *reply;
	transaction_rest(e->t, reply, false);
}

/*
 * Who rides has its replies behind the one to the dot ahead.  A server that
 * gave that twice would shift them: a refusal might be meant for somebody
 * else, and a message seem to be taken that was not.  354 behind nothing but
 * 2xx shows that each stands in its place.  Before that none is believed: at
 * the first that is another the connection ends, and the transaction goes
 * over the next one by itself.
 */
static bool
is_as_hoped(const struct envelope *e, size_t step, const struct reply *reply)
{
	return step == e->t->count + 1 ? reply->code == 354 :
	    reply->code / 100 == 2;
}

/* A reply to MAIL, to a RCPT or to DATA. */
static enum envelope_next
on_command(struct envelope *e, const struct reply *reply)
{
	struct transaction *t = e->t;
	size_t step = e->answered;

	if (e->rides && !is_as_hoped(e, step, reply))
		return reply->code < 400 ? out_of_step(e) : lose(e, reply);
	e->answering = !e->rides || step == t->count + 1;
	e->answered = recipient_after(t, step + 1);
	if (step == t->count + 1)
		return on_data(e, reply);
	if (step == 0)
		on_mail(e, reply);
	else
		on_recipient(e, &t->recipients[step - 1], reply);
	if (!e->offer->pipelining &&
	    ((step == 0 && reply->code / 100 != 2) ||
	    (e->answered == t->count + 1 && t->accepted == 0)))
		return abandon(e, &e->refusal);
	return send_commands(e);
}

/* ---- the beginning ---- */

/* Recipients that no server, or not this one, can be told of. */
static void
refuse_addresses(struct envelope *e)
{
	bool international = e->offer->smtputf8;
	struct transaction *t = e->t;
	const char *address, *why;
	size_t i;

	for (i = 0; i < t->count; i++) {
		/* Refused before another server, it is not sent to this. */
		t->recipients[i].unsent = t->recipients[i].told;
		if (t->recipients[i].told)
			continue;
		address = t->recipients[i].address;
		why = command_address_fault(address, international);
		if (why == NULL) {
			address = t->sender;
			why = command_address_fault(address, international);
		}
		t->recipients[i].unsent = why != NULL;
		if (why == NULL)
			continue;
		reply_fault(&e->refusal, STAGE_MAIL, 553, "5.6.7",
		    "%s: address <%s> %s", e->endpoint->text, address, why);
		transaction_result(t, &t->recipients[i], &e->refusal);
	}
}

/*
 * Take up a transaction; one that cannot be sent is done at once.
 */
enum envelope_next
envelope_begin(struct envelope *e, struct hop *hop, struct transaction *t,
    bool first)
{
	struct reply fault;

	e->hop = hop;
	e->t = t;
	e->first = first;
	e->rides = e->answering = false;
	e->sent = e->answered = 0;
	e->others = 0;
	t->dsn = e->offer->dsn;
	body_start(&e->body);
	refuse_addresses(e);
	if (recipient_after(t, 1) > t->count) {
		finish(e, &e->refusal);
		return ENVELOPE_OVER;
	}
	if (e->offer->size_limit != 0 && t->size > e->offer->size_limit) {
		reply_fault(&fault, STAGE_MAIL, 552, "5.3.4",
		    "%s: the message of %llu octets is larger than it takes "
		    "(%llu)", e->endpoint->text, (unsigned long long)t->size,
		    (unsigned long long)e->offer->size_limit);
		finish(e, &fault);
		return ENVELOPE_OVER;
	}
	set_state(e, COMMANDS);
	return send_commands(e);
}

/*
 * RFC 2920 3.1: a message may be the first command of a group.  So the
 * commands of the next transaction ride behind its dot, which halves the
 * round trips, the writes and the reads of a message.  It is told of that
 * one's reply only when this one is over.
 */
enum envelope_next
envelope_ride(struct envelope *e, struct envelope *ahead,
    struct transaction *t)
{
	struct evbuffer *out = stream_out(e->stream);
	size_t before = evbuffer_get_length(out);
	enum envelope_next next;

	next = envelope_begin(e, ahead->hop, t, false);
	e->rides = true;
	ahead->others = evbuffer_get_length(out) - before;
	return next;
}

/*
 * May another ride behind this one?  Not if anything is known of the server
 * that speaks against it; nor if LMTP answers for each of several recipients,
 * since the rider's answers would be taken for those that it leaves out.
 */
bool
envelope_takes_rider(const struct envelope *e)
{
	return e->state == DOT && e->others == 0 &&
	    (!e->endpoint->policy->lmtp || e->t->count == 1) &&
	    e->offer->pipelining &&
	    e->endpoint->wary_until <= clock_monotonic() && is_in_step(e);
}

bool
envelope_is_begun(const struct envelope *e)
{
	return e != NULL && e->state != NONE;
}

/*
 * The connection is gone while this one was riding: nothing of it was taken.
 */
void
envelope_give_back(struct envelope *e)
{
	if (e == NULL || e->t == NULL)
		return;
	hop_take_back(e->hop, e->t);
	e->t = NULL;
	set_state(e, NONE);
}

/* ---- replies ---- */

static enum envelope_next
over(struct envelope *e)
{
	set_state(e, NONE);
	return ENVELOPE_OVER;
}

/* LMTP answers the dot for each recipient it accepted, in their order. */
static enum envelope_next
on_lmtp_dot(struct envelope *e, const struct reply *reply)
{
	struct transaction *t = e->t;
	size_t i;

	for (i = 0; i < t->count; i++)
		if (t->recipients[i].accepted && !t->recipients[i].told)
			break;
	if (i < t->count)
		transaction_result(t, &t->recipients[i], reply);
	if (++e->dots < t->accepted)
		return ENVELOPE_WAIT;
	finish(e, reply);
	return over(e);
}

/* A reply before it was due; only a refusal can be believed. */
static enum envelope_next
on_unasked(struct envelope *e, const struct reply *reply)
{
	struct reply soft = *reply;

	if (reply->code < 500)
		reply_soften(&soft);
	return lose(e, &soft);
}

static enum envelope_next
on_dot(struct envelope *e, const struct reply *reply)
{
	struct reply soft = *reply;

	if (!is_sent(e))
		return on_unasked(e, reply);
	if (e->endpoint->policy->lmtp)
		return on_lmtp_dot(e, reply);
	if (reply->code / 100 == 3)
		reply_soften(&soft);
	finish(e, &soft);
	return over(e);
}

/*
 * The server said something.
 */
enum envelope_next
envelope_reply(struct envelope *e, const struct reply *reply)
{
	if (reply->code == 421)
		return lose(e, reply);
	switch (e->state) {
	case COMMANDS:
		return on_command(e, reply);
	case DOT:
		return on_dot(e, reply);
	case NOBODY:
		return over(e);
	case RESET:
		return reply->code / 100 == 2 ? over(e) : ENVELOPE_LOST;
	default:
		return on_unasked(e, reply);
	}
}

/* ---- for conversation.c ---- */

struct envelope *
envelope_new(struct stream *stream, struct endpoint *endpoint,
    const struct offer *offer)
{
	struct envelope *e;

	if ((e = calloc(1, sizeof(*e))) == NULL)
		fatal("calloc");
	e->stream = stream;
	e->endpoint = endpoint;
	e->offer = offer;
	return e;
}

/*
 * If the transaction is of this link, which is gone, so is it.
 */
bool
envelope_drop(struct envelope *e, const struct link *link)
{
	if (e == NULL || e->t == NULL || e->t->link != link)
		return false;
	transaction_free(e->t);
	e->t = NULL;
	return true;
}

/*
 * How long to wait, and for what.
 */
int64_t
envelope_patience(const struct envelope *e)
{
	return states[e->state].seconds * SECOND;
}

const char *
envelope_awaits(const struct envelope *e)
{
	return states[e->state].awaited;
}

/*
 * How far it has come.
 */
enum relay_stage
envelope_stage(const struct envelope *e)
{
	if (e->state == DOT && is_sent(e))
		return STAGE_MESSAGE;
	if (e->state != COMMANDS || e->answered > e->t->count)
		return STAGE_DATA;
	return e->answered == 0 ? STAGE_MAIL : STAGE_RCPT;
}

const struct reply *
envelope_host_fault(const struct envelope *e)
{
	return e != NULL && e->host_fault.code != 0 ? &e->host_fault : NULL;
}

void
envelope_free(struct envelope *e)
{
	if (e == NULL)
		return;
	transaction_free(e->t);
	free(e);
}
