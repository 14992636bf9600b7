/*
 * One connection to one host of a hop, and the transactions that pass over
 * it one after the other.
 *
 *	CONNECTING -> BANNER		on_connected
 *	BANNER -> HELLO			on_banner
 *	HELLO -> HELLO_PLAIN		on_hello (EHLO is unknown there)
 *	HELLO, HELLO_PLAIN -> IDLE	on_hello
 *	BANNER, HELLO* -> CONNECTING	try_elsewhere
 *	IDLE -> ENVELOPE		begin
 *	ENVELOPE -> BODY		on_envelope (354)
 *	ENVELOPE -> RESET		abandon
 *	BODY -> DOT			fill
 *	DOT -> IDLE			on_dot
 *	RESET -> IDLE			on_reset
 *	IDLE -> QUIT			leave
 *	any -> freed			over
 *
 * When a function has returned -1 the conversation may be gone, or has
 * nothing to do with this socket any more: it is not touched again.
 */
#include <sys/socket.h>

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "relay.h"

#define LINE_MAX_OCTETS	4096	/* of a reply, without its end */
#define OUTPUT_LOW	65536	/* the body is read on when less waits */
#define REUSE_MESSAGES	100	/* over one connection */
#define REUSE_TIME	(5 * MINUTE)

enum state {
	CONNECTING, BANNER, HELLO, HELLO_PLAIN, IDLE, ENVELOPE, BODY, DOT,
	RESET, QUIT, STATES
};

struct conversation {
	struct hop	*hop;
	const struct child *child;
	struct connector *connector;	/* until a host has greeted us */
	struct event	*readable;
	struct event	*writable;
	struct evbuffer	*in;
	struct evbuffer	*out;
	int		 fd;
	enum state	 state;
	char		 host[WIRE_NAME];
	int64_t		 opened;
	int64_t		 deadline;	/* of what is waited for */
	unsigned int	 messages;	/* transactions begun */
	struct reply	 reply;		/* being gathered */
	struct offer	 offer;
	struct transaction *t;
	size_t		 sent;		/* commands of t: MAIL, RCPTs, DATA */
	size_t		 answered;
	bool		 answering;	/* a reply to t has come */
	size_t		 dots;		/* LMTP: replies since the dot */
	struct body	 body;
	uint64_t	 offset;	/* of the body, read so far */
};

/* RFC 5321 4.5.3.2 wants at least these; IDLE and QUIT are ours. */
static const struct {
	const char	*name;
	int		 seconds;
} states[STATES] = {
	[CONNECTING]	= { "connecting", 0 },
	[BANNER]	= { "the greeting", 300 },
	[HELLO]		= { "the answer to EHLO", 300 },
	[HELLO_PLAIN]	= { "the answer to HELO", 300 },
	[IDLE]		= { "nothing", 30 },
	[ENVELOPE]	= { "the answer to MAIL, RCPT or DATA", 300 },
	[BODY]		= { "room for the message", 180 },
	[DOT]		= { "the answer to the message", 600 },
	[RESET]		= { "the answer to RSET", 60 },
	[QUIT]		= { "the answer to QUIT", 10 },
};

/* ---- the socket ---- */

static void
close_socket(struct conversation *c)
{
	if (c->readable != NULL)
		event_free(c->readable);
	if (c->writable != NULL)
		event_free(c->writable);
	c->readable = c->writable = NULL;
	if (c->fd != -1)
		close(c->fd);
	c->fd = -1;
	evbuffer_drain(c->in, evbuffer_get_length(c->in));
	evbuffer_drain(c->out, evbuffer_get_length(c->out));
}

/* Wait for what the state needs, as long as it may take. */
static void
wait_for(struct conversation *c)
{
	struct timeval patience = { .tv_sec = states[c->state].seconds };

	c->deadline = clock_monotonic() + patience.tv_sec * SECOND;
	event_add(c->readable, &patience);
	if (c->state == BODY)
		event_remove_timer(c->readable);
	if (evbuffer_get_length(c->out) > 0)
		event_add(c->writable, &patience);
	else
		event_del(c->writable);
}

static void
set_state(struct conversation *c, enum state state)
{
	log_note(LOG_DEBUG, "conversation", "%s: waits for %s",
	    c->host, states[state].name);
	c->state = state;
	reply_start(&c->reply);
}

/* ---- the end ---- */

/* Free it; the fault says that no host could be reached at all. */
static int
over(struct conversation *c, const struct reply *fault)
{
	close_socket(c);
	connector_free(c->connector);
	evbuffer_free(c->in);
	evbuffer_free(c->out);
	hop_closed(c->hop, c, fault, c->host);
	free(c);
	return -1;
}

/* Before MAIL: perhaps another host is better. */
static int
try_elsewhere(struct conversation *c, const struct reply *fault)
{
	log_begin(LOG_INFO, "unreachable");
	log_string("relay", c->host);
	log_string("reason", fault->text);
	log_end();
	close_socket(c);
	set_state(c, CONNECTING);
	connector_next(c->connector, fault);
	return -1;
}

/* A line in the log for what has been done, not yet who got it. */
static void
log_transaction(const struct conversation *c, const struct reply *reply)
{
	log_begin(LOG_INFO, "transaction");
	log_id("id", c->t->id);
	log_string("relay", c->host);
	log_string("hop", hop_name(c->hop));
	log_string("tls", "none");
	log_number("recipients", (long long)c->t->count);
	log_number("accepted", (long long)c->t->accepted);
	if (c->body.broken > 0)
		log_number("broken-lines", (long long)c->body.broken);
	log_string("reply", reply->text);
	log_end();
}

/* All that had no result gets this one; the transaction is done. */
static void
finish(struct conversation *c, const struct reply *reply)
{
	struct transaction *t = c->t;

	log_transaction(c, reply);
	c->t = NULL;
	transaction_rest(t, reply, false);
	transaction_done(t, 0, c->host);
}

/* The connection is of no use any more. */
static int
lost(struct conversation *c, const struct reply *fault)
{
	if (c->connector != NULL)
		return try_elsewhere(c, fault);
	if (c->t != NULL) {
		if (c->messages > 1 && !c->answering && !c->t->returned)
			hop_take_back(c->hop, c->t);
		else
			finish(c, fault);
	}
	return over(c, NULL);
}

static int
lost_because(struct conversation *c, const char *why)
{
	struct reply fault;

	reply_fault(&fault, 451, c->state == DOT && c->dots > 0 ? "4.5.0" :
	    "4.4.2", "%s %s while we waited for %s", c->host, why,
	    states[c->state].name);
	return lost(c, &fault);
}

/* No more over this connection. */
static int
leave(struct conversation *c)
{
	evbuffer_add_printf(c->out, "QUIT\r\n");
	set_state(c, QUIT);
	wait_for(c);
	return 0;
}

/* ---- the body ---- */

/* Keep the output filled, until the dot has been added. */
static int
fill(struct conversation *c)
{
	static char piece[WIRE_PIECE];
	struct reply fault;
	ssize_t n;

	while (c->state == BODY && evbuffer_get_length(c->out) < OUTPUT_LOW) {
		n = transaction_read(c->t, c->offset, piece, sizeof(piece));
		if (n == -1) {
			reply_fault(&fault, 451, "4.3.0",
			    "reading the message: %s", strerror(errno));
			return lost(c, &fault);
		}
		if (n > 0) {
			body_add(&c->body, c->out, piece, (size_t)n);
			c->offset += (uint64_t)n;
			continue;
		}
		body_end(&c->body, c->out);
		c->dots = 0;
		set_state(c, DOT);
	}
	return 0;
}

/* ---- the envelope ---- */

static size_t
recipient_after(const struct transaction *t, size_t n)
{
	while (n <= t->count && t->recipients[n - 1].unsent)
		n++;
	return n;
}

/* Send what may be sent now: all at once, or one command at a time. */
static void
send_commands(struct conversation *c)
{
	const struct transaction *t = c->t;

	while (c->sent <= t->count + 1 &&
	    (c->offer.pipelining || c->sent == c->answered)) {
		if (c->sent == 0)
			command_mail(c->out, t, &c->offer);
		else if (c->sent <= t->count)
			command_rcpt(c->out, &t->recipients[c->sent - 1],
			    &c->offer);
		else
			evbuffer_add_printf(c->out, "DATA\r\n");
		c->sent = recipient_after(t, c->sent + 1);
	}
}

/* Nothing of this transaction can go on: put the server back in order. */
static int
abandon(struct conversation *c, const struct reply *reply)
{
	finish(c, reply);
	evbuffer_add_printf(c->out, "RSET\r\n");
	set_state(c, RESET);
	wait_for(c);
	return 0;
}

/* The server wants the message; if nobody is left, just the dot. */
static int
begin_body(struct conversation *c)
{
	body_start(&c->body);
	c->offset = c->t->accepted > 0 ? 0 : c->t->size;
	set_state(c, BODY);
	if (fill(c) == -1)
		return -1;
	wait_for(c);
	return 0;
}

/* What is no permanent matter for the mail, whatever the server says. */
static struct reply
softened(const struct reply *reply)
{
	struct reply soft = *reply;

	if (soft.code >= 500 || soft.code < 400) {
		soft.code = 451;
		strlcpy(soft.status, "4.3.0", sizeof(soft.status));
	}
	return soft;
}

/* A reply to MAIL, to a RCPT or to DATA. */
static int
on_envelope(struct conversation *c)
{
	struct transaction *t = c->t;
	struct recipient *r;
	struct reply reply = c->reply;
	bool good = reply.code >= 200 && reply.code < 300;
	size_t step = c->answered;

	if (reply.code == 421)
		return lost(c, &reply);
	c->answering = true;
	c->answered = recipient_after(t, step + 1);
	reply_start(&c->reply);
	if (step == t->count + 1 && reply.code == 354)
		return begin_body(c);
	if (step == t->count + 1) {
		if (reply.code < 400)
			reply = softened(&reply);
		return abandon(c, &reply);
	}
	if (step == 0 && !good) {
		transaction_rest(t, &reply, false);
		if (!c->offer.pipelining)
			return abandon(c, &reply);
	} else if (step > 0) {
		r = &t->recipients[step - 1];
		r->accepted = good && !r->told;
		t->accepted += r->accepted;
		if (!good)
			transaction_result(t, r, &reply);
	}
	if (!c->offer.pipelining && c->answered == t->count + 1 &&
	    t->accepted == 0)
		return abandon(c, &reply);
	send_commands(c);
	wait_for(c);
	return 0;
}

/* Recipients that no server can be told of get their result at once. */
static void
refuse_addresses(struct transaction *t)
{
	struct reply fault;
	const char *why;
	size_t i;

	for (i = 0; i < t->count; i++) {
		why = command_address_fault(t->recipients[i].address);
		if (why == NULL)
			why = command_address_fault(t->sender);
		if (why == NULL)
			continue;
		t->recipients[i].unsent = true;
		reply_fault(&fault, 553, "5.6.7", "%s", why);
		transaction_result(t, &t->recipients[i], &fault);
	}
}

/* Take up a transaction; one that cannot be sent is done at once. */
static void
begin(struct conversation *c, struct transaction *t)
{
	struct reply fault;

	c->t = t;
	c->messages++;
	c->answering = false;
	c->sent = c->answered = 0;
	body_start(&c->body);
	refuse_addresses(t);
	if (c->offer.size_limit != 0 && t->size > c->offer.size_limit) {
		reply_fault(&fault, 552, "5.3.4",
		    "the message of %llu octets is larger than %s takes "
		    "(%llu)", (unsigned long long)t->size, c->host,
		    (unsigned long long)c->offer.size_limit);
		finish(c, &fault);
	} else if (recipient_after(t, 1) > t->count) {
		reply_fault(&fault, 553, "5.6.7", "no recipient is left");
		finish(c, &fault);
	} else {
		set_state(c, ENVELOPE);
		send_commands(c);
		wait_for(c);
	}
}

/* Go on with what waits for this hop, or rest, or leave. */
static int
next_transaction(struct conversation *c)
{
	struct transaction *t;

	set_state(c, IDLE);
	/* What is there already answers nothing that we are about to send. */
	if (evbuffer_get_length(c->in) > 0)
		return lost_because(c, "said more than it was asked");
	if (c->messages >= REUSE_MESSAGES ||
	    clock_monotonic() - c->opened > REUSE_TIME)
		return leave(c);
	while (c->state == IDLE && (t = hop_next(c->hop)) != NULL)
		begin(c, t);
	if (c->state == IDLE)
		wait_for(c);
	return 0;
}

/* ---- replies, by state ---- */

static int
on_banner(struct conversation *c)
{
	struct reply soft = softened(&c->reply);

	if (c->reply.code != 220)
		return lost(c, &soft);
	evbuffer_add_printf(c->out, "%s %s\r\n",
	    hop_is_lmtp(c->hop) ? "LHLO" : "EHLO", c->child->hostname);
	memset(&c->offer, 0, sizeof(c->offer));
	set_state(c, HELLO);
	wait_for(c);
	return 0;
}

static int
on_hello(struct conversation *c)
{
	struct reply soft = softened(&c->reply);

	if (c->reply.code / 100 == 5 && c->state == HELLO &&
	    !hop_is_lmtp(c->hop)) {
		evbuffer_add_printf(c->out, "HELO %s\r\n",
		    c->child->hostname);
		set_state(c, HELLO_PLAIN);
		wait_for(c);
		return 0;
	}
	if (c->reply.code / 100 != 2)
		return lost(c, &soft);
	if (evbuffer_get_length(c->in) > 0)
		return lost_because(c, "said more than it was asked");
	connector_free(c->connector);
	c->connector = NULL;
	hop_reached(c->hop);
	return next_transaction(c);
}

/* LMTP answers the dot for each recipient it accepted, in their order. */
static int
on_lmtp_dot(struct conversation *c)
{
	struct transaction *t = c->t;
	struct reply reply = c->reply;
	size_t i;

	for (i = 0; i < t->count; i++)
		if (t->recipients[i].accepted && !t->recipients[i].told)
			break;
	if (i < t->count)
		transaction_result(t, &t->recipients[i], &reply);
	reply_start(&c->reply);
	if (++c->dots < t->accepted) {
		wait_for(c);
		return 0;
	}
	finish(c, &reply);
	return next_transaction(c);
}

static int
on_dot(struct conversation *c)
{
	struct reply reply = c->reply;

	if (reply.code == 421)
		return lost(c, &reply);
	if (hop_is_lmtp(c->hop) && c->t->accepted > 0)
		return on_lmtp_dot(c);
	finish(c, &reply);
	return next_transaction(c);
}

static int
on_reset(struct conversation *c)
{
	if (c->reply.code / 100 != 2)
		return over(c, NULL);
	return next_transaction(c);
}

/* A reply nobody asked for: while idle, or in the midst of the message. */
static int
on_unasked(struct conversation *c)
{
	struct reply soft = softened(&c->reply);

	return lost(c, c->state == BODY && c->reply.code >= 500 ? &c->reply :
	    &soft);
}

static int
on_quit(struct conversation *c)
{
	return over(c, NULL);
}

static int (*const on_reply[STATES])(struct conversation *) = {
	[CONNECTING] = on_unasked,
	[BANNER] = on_banner,
	[HELLO] = on_hello,
	[HELLO_PLAIN] = on_hello,
	[IDLE] = on_unasked,
	[ENVELOPE] = on_envelope,
	[BODY] = on_unasked,
	[DOT] = on_dot,
	[RESET] = on_reset,
	[QUIT] = on_quit
};

/* ---- events ---- */

/* Handle the lines that are there. */
static int
read_lines(struct conversation *c)
{
	char *line;
	size_t length;
	int more;

	while ((line = evbuffer_readln(c->in, &length, EVBUFFER_EOL_LF)) !=
	    NULL) {
		if (length > 0 && line[length - 1] == '\r')
			line[length - 1] = '\0';
		more = reply_add(&c->reply, line);
		if (more != -1 && c->state == HELLO && c->reply.lines > 1 &&
		    strlen(line) > 4)
			offer_add(&c->offer, line + 4);
		free(line);
		if (more == -1)
			return lost_because(c, "sent what is no reply");
		if (more == 1 && on_reply[c->state](c) == -1)
			return -1;
	}
	if (evbuffer_get_length(c->in) > LINE_MAX_OCTETS)
		return lost_because(c, "sent a line without end");
	return 0;
}

static void
on_readable(int fd, short events, void *arg)
{
	struct conversation *c = arg;
	int n;

	if ((events & EV_TIMEOUT) != 0) {
		if (c->state == IDLE)
			leave(c);
		else
			lost_because(c, "did not answer in time");
		return;
	}
	n = evbuffer_read(c->in, fd, LINE_MAX_OCTETS);
	if (n == 0)
		lost_because(c, "closed the connection");
	else if (n == -1 && errno != EAGAIN && errno != EINTR)
		lost_because(c, strerror(errno));
	else if (n > 0 && read_lines(c) == 0 && c->state != BODY &&
	    clock_monotonic() >= c->deadline)
		lost_because(c, "did not answer in time");
}

static void
on_writable(int fd, short events, void *arg)
{
	struct conversation *c = arg;

	if ((events & EV_TIMEOUT) != 0) {
		lost_because(c, "took nothing more");
		return;
	}
	if (evbuffer_write(c->out, fd) == -1 && errno != EAGAIN &&
	    errno != EINTR) {
		lost_because(c, strerror(errno));
		return;
	}
	if (c->state == BODY && fill(c) == -1)
		return;
	wait_for(c);
}

/* A host of the hop has taken our connection, or none of them did. */
static void
on_connected(int fd, const char *host, const struct reply *fault, void *arg)
{
	struct conversation *c = arg;

	strlcpy(c->host, host, sizeof(c->host));
	if (fd == -1) {
		struct reply why = *fault;

		over(c, &why);
		return;
	}
	c->fd = fd;
	c->opened = clock_monotonic();
	c->readable = event_new(c->child->base, fd, EV_READ | EV_PERSIST,
	    on_readable, c);
	c->writable = event_new(c->child->base, fd, EV_WRITE | EV_PERSIST,
	    on_writable, c);
	if (c->readable == NULL || c->writable == NULL)
		fatalx("conversation: no event");
	set_state(c, BANNER);
	wait_for(c);
}

/*
 * Connect to the hop's first host that can be reached, then take what waits
 * for it.
 */
struct conversation *
conversation_new(struct hop *hop, const struct child *child)
{
	struct conversation *c;

	if ((c = calloc(1, sizeof(*c))) == NULL ||
	    (c->in = evbuffer_new()) == NULL ||
	    (c->out = evbuffer_new()) == NULL)
		fatal("calloc");
	c->hop = hop;
	c->child = child;
	c->fd = -1;
	c->connector = connector_new(child->base, hop, on_connected, c);
	return c;
}

/*
 * If it is idle, have it take what waits for its hop.  Returns whether it
 * did.
 */
bool
conversation_take(struct conversation *c)
{
	if (c->state != IDLE)
		return false;
	next_transaction(c);
	return true;
}

/*
 * The link that asked is gone: so is its transaction, wherever it stood.
 */
void
conversation_drop(struct conversation *c, const struct link *link)
{
	if (c->t == NULL || c->t->link != link)
		return;
	transaction_free(c->t);
	c->t = NULL;
	over(c, NULL);
}

/*
 * End it if it only waits for more.
 */
void
conversation_end(struct conversation *c)
{
	if (c->state == IDLE)
		leave(c);
}
