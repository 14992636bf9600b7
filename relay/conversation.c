/*
 * One connection to an endpoint: its opening, then transactions one after the
 * other, for one hop at a time, until it ends.
 *
 *	new -> OPENING			conversation_new
 *	OPENING -> READY		ready
 *	READY -> ENVELOPE -> READY	next_transaction
 *	ENVELOPE -> ENVELOPE		on_envelope, with a rider
 *	READY -> ASKING -> READY	conversation_ask, on_asked
 *	READY, ENVELOPE -> QUIT		leave
 *	any -> freed			over
 *
 * When a function has returned -1 the conversation may be gone or busy with
 * something else: it is not touched again.
 */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "relay.h"

#define LINE_MAX_OCTETS	4096	/* of a reply, without its end */
#define REUSE_TIME	(5 * MINUTE)
#define ASKING_TIME	(5 * MINUTE)	/* RFC 5321 4.5.3.2 */
#define QUIT_TIME	(10 * SECOND)
#define TURN		10	/* messages of a hop, if others wait */
#define BRISK		(1 * SECOND)	/* an answer to a message */

enum state { OPENING, READY, ENVELOPE, ASKING, QUIT };

struct conversation {
	struct endpoint	*endpoint;	/* held */
	struct stream	*stream;
	struct search	*search;	/* until we are ready */
	struct hop	*hop;		/* being served, else NULL */
	FILE		*script;	/* a probe's, else NULL */
	enum state	 state;
	int64_t		 opened;
	unsigned int	 messages;	/* transactions begun */
	unsigned int	 turn;		/* those for this hop */
	struct reply	 reply;		/* being gathered */
	struct offer	 offer;
	struct opening	*opening;	/* while OPENING */
	struct envelope	*envelope;	/* from then on */
	struct envelope	*rider;		/* begun behind its dot, or idle */
	int64_t		 dotted;	/* when the last message was sent */
	bool		 brisk;		/* that was answered soon */
	enum relay_stage asked;		/* while ASKING */
	reply_fn	 fn;
	void		*arg;
};

static enum relay_stage
stage(const struct conversation *c)
{
	switch (c->state) {
	case OPENING:
		return opening_stage(c->opening);
	case ENVELOPE:
		return envelope_stage(c->envelope);
	case ASKING:
		return c->asked;
	default:
		return STAGE_NONE;
	}
}

/* What is waited for, for people. */
static const char *
awaited(const struct conversation *c)
{
	switch (c->state) {
	case OPENING:
		return opening_awaits(c->opening);
	case ENVELOPE:
		return envelope_awaits(c->envelope);
	case ASKING:
		return "the answer to a command";
	case QUIT:
		return "the answer to QUIT";
	default:
		return "nothing";
	}
}

static void
set_state(struct conversation *c, enum state state)
{
	c->state = state;
	reply_start(&c->reply);
	if (state != OPENING && state != ENVELOPE)
		log_note(LOG_DEBUG, "conversation", "%s: waits for %s",
		    c->endpoint->text, awaited(c));
}

/* Wait for what the state needs, as long as it may take. */
static int
wait_for(struct conversation *c)
{
	int64_t patience;

	switch (c->state) {
	case OPENING:
		patience = opening_patience(c->opening);
		break;
	case ENVELOPE:
		patience = envelope_patience(c->envelope);
		break;
	case READY:
		patience = c->endpoint->policy->idle_time;
		break;
	default:
		patience = c->state == ASKING ? ASKING_TIME : QUIT_TIME;
		break;
	}
	stream_wait(c->stream, patience);
	return 0;
}

/* ---- the end ---- */

/* Close the connection and free it; who must know is told. */
static int
over(struct conversation *c)
{
	struct endpoint *endpoint = c->endpoint;
	const struct reply *fault = envelope_host_fault(c->envelope);

	stream_free(c->stream);
	opening_free(c->opening);
	envelope_give_back(c->rider);
	endpoint_left(endpoint, c);
	if (fault != NULL) {
		log_begin(LOG_INFO, "unreachable");
		log_string("relay", endpoint->text);
		log_string("reason", fault->text);
		log_end();
		endpoint_failed(endpoint, fault);
	}
	if (c->hop != NULL)
		hop_left(c->hop, c);
	envelope_free(c->envelope);
	envelope_free(c->rider);
	free(c);
	endpoint_release(endpoint);
	relay_idle();
	return -1;
}

/* Before it was ready: perhaps another address is better. */
static int
refused(struct conversation *c, const struct reply *reply)
{
	struct search *search = c->search;
	struct reply fault = *reply;

	c->search = NULL;
	over(c);
	search_refused(search, &fault);
	return -1;
}

/* The probe hears why; it is rid of us. */
static int
unanswered(struct conversation *c, const struct reply *reply)
{
	struct reply fault = *reply;
	reply_fn fn = c->fn;
	void *arg = c->arg;

	fault.replied = false;
	over(c);
	fn(&fault, arg);
	return -1;
}

/* The connection is of no use any more. */
static int
lost(struct conversation *c, const struct reply *fault)
{
	if (!fault->replied)
		transcript(c->script, "===", "%s", fault->text);
	if (c->search != NULL)
		return refused(c, fault);
	if (c->state == ASKING)
		return unanswered(c, fault);
	if (c->state == ENVELOPE)
		envelope_lost(c->envelope, fault);
	return over(c);
}

static int
lost_because(struct conversation *c, const char *status, const char *why)
{
	struct reply fault;

	reply_fault(&fault, stage(c), 451, status,
	    "%s: %s while we waited for %s", c->endpoint->text, why,
	    awaited(c));
	return lost(c, &fault);
}

/* What is there already answers nothing that we are about to send. */
static bool
is_in_step(const struct conversation *c)
{
	return evbuffer_get_length(stream_in(c->stream)) == 0;
}

static int
out_of_step(struct conversation *c)
{
	return lost_because(c, "4.5.0", "said more than it was asked");
}

/* Send a command and wait for its answer in the state. */
static int
say(struct conversation *c, enum state state, const char *command)
{
	transcript(c->script, ">>>", "%s", command);
	evbuffer_add_printf(stream_out(c->stream), "%s\r\n", command);
	set_state(c, state);
	return wait_for(c);
}

/* No more over this connection. */
static int
leave(struct conversation *c)
{
	struct hop *hop = c->hop;

	endpoint_withdraw(c->endpoint, c);
	c->hop = NULL;
	if (hop != NULL)
		hop_left(hop, c);
	return say(c, QUIT, "QUIT");
}

/* ---- serving a hop ---- */

/* May it take one more transaction? */
static bool
may_go_on(const struct conversation *c)
{
	return c->messages < c->endpoint->policy->max_messages &&
	    clock_monotonic() - c->opened <= REUSE_TIME;
}

/* Other hops wait for this host, and this one has had its turn. */
static bool
is_others_turn(const struct conversation *c)
{
	return c->turn >= TURN && endpoint_is_wanted(c->endpoint, c->hop);
}

/*
 * The message is about to leave: send the next one's commands along.  Where
 * answers take their time, it had better wait for whoever is free first.
 */
static void
send_along(struct conversation *c)
{
	struct transaction *t;

	if (!envelope_takes_rider(c->envelope))
		return;
	c->dotted = clock_monotonic();
	while (c->brisk && !envelope_is_begun(c->rider) && may_go_on(c) &&
	    !is_others_turn(c) && (t = hop_next_to_ride(c->hop)) != NULL) {
		c->messages++;
		c->turn++;
		(void)envelope_ride(c->rider, c->envelope, t);
	}
}

/* Do what the envelope says; 1 if it takes another transaction. */
static int
follow(struct conversation *c, enum envelope_next next)
{
	switch (next) {
	case ENVELOPE_OVER:
		return 1;
	case ENVELOPE_WAIT:
		send_along(c);
		return wait_for(c);
	case ENVELOPE_LEAVE:
		return leave(c);
	default:
		return over(c);
	}
}

/* Go on with what waits for this hop, or rest for others, or leave. */
static int
next_transaction(struct conversation *c)
{
	struct hop *hop = c->hop;
	struct transaction *t;
	int result;

	do {
		set_state(c, READY);
		if (!is_in_step(c))
			return out_of_step(c);
		if (!may_go_on(c))
			return leave(c);
		if (is_others_turn(c) || (t = hop_next(hop)) == NULL) {
			c->hop = NULL;
			wait_for(c);
			hop_rests(hop, c);
			return -1;
		}
		c->messages++;
		c->turn++;
		set_state(c, ENVELOPE);
		result = follow(c, envelope_begin(c->envelope, hop, t,
		    c->messages == 1));
	} while (result == 1);
	return result;
}

/* It is over: who rode behind it has its answers coming, or the next. */
static int
go_on(struct conversation *c)
{
	struct envelope *done = c->envelope;

	c->brisk = clock_monotonic() - c->dotted < BRISK;
	if (!envelope_is_begun(c->rider))
		return next_transaction(c);
	c->envelope = c->rider;
	c->rider = done;
	return wait_for(c);
}

static int
on_envelope(struct conversation *c)
{
	struct reply reply = c->reply;
	int result;

	reply_start(&c->reply);
	result = follow(c, envelope_reply(c->envelope, &reply));
	return result == 1 ? go_on(c) : result;
}

/* ---- the opening ---- */

static int
ready(struct conversation *c)
{
	struct search *search = c->search;

	c->envelope = envelope_new(c->stream, c->endpoint, &c->offer);
	c->rider = envelope_new(c->stream, c->endpoint, &c->offer);
	c->search = NULL;
	set_state(c, READY);
	opening_free(c->opening);
	c->opening = NULL;
	wait_for(c);
	search_ready(search, c);
	return -1;
}

/* Do what the opening says. */
static int
open_further(struct conversation *c, enum opening_next next)
{
	reply_start(&c->reply);
	switch (next) {
	case OPENING_WAIT:
		return wait_for(c);
	case OPENING_READY:
		return ready(c);
	default:
		return lost(c, opening_fault(c->opening));
	}
}

/* ---- replies ---- */

/* A probe's: it may ask on, or free us. */
static int
on_asked(struct conversation *c)
{
	struct reply reply = c->reply;

	if (!is_in_step(c))
		return out_of_step(c);
	set_state(c, READY);
	wait_for(c);
	c->fn(&reply, c->arg);
	return -1;
}

/* Nobody has asked for it: the server is about to go. */
static int
on_unasked(struct conversation *c)
{
	struct reply soft = c->reply;

	reply_soften(&soft);
	return lost(c, &soft);
}

/*
 * A whole reply, of which this is the last line.  A command that has not left
 * yet cannot have been answered; a group of them is the envelope's.
 */
static int
on_reply(struct conversation *c, const char *line)
{
	if (c->state != ENVELOPE &&
	    evbuffer_get_length(stream_out(c->stream)) > 0)
		return out_of_step(c);
	c->reply.stage = stage(c);
	switch (c->state) {
	case OPENING:
		return open_further(c, opening_reply(c->opening, &c->reply,
		    line));
	case ENVELOPE:
		return on_envelope(c);
	case ASKING:
		return on_asked(c);
	case READY:
		return on_unasked(c);
	default:
		return over(c);
	}
}

/* A line, without its end. */
static int
on_line(struct conversation *c, char *line)
{
	char why[128];
	int more;

	if (c->state == OPENING)
		opening_line(c->opening, &c->reply, line);
	else
		transcript(c->script, "<<<", "%s", line);
	more = reply_add(&c->reply, line);
	if (more == 1)
		return on_reply(c, line);
	if (more == 0)
		return 0;
	snprintf(why, sizeof(why), "sent what is no reply (%.80s)", line);
	return lost_because(c, "4.5.0", why);
}

static void
on_input(void *arg)
{
	struct conversation *c = arg;
	struct evbuffer *in = stream_in(c->stream);
	size_t length, i;
	char *line;
	int result = 0;

	while (result == 0 && (line = evbuffer_readln(in, &length,
	    EVBUFFER_EOL_LF)) != NULL) {
		if (length > 0 && line[length - 1] == '\r')
			line[--length] = '\0';
		for (i = 0; i < length; i++)
			if (line[i] == '\0')
				line[i] = '?';
		result = length > LINE_MAX_OCTETS ?
		    lost_because(c, "4.5.0", "sent too long a line") :
		    on_line(c, line);
		free(line);
	}
	if (result == 0 && evbuffer_get_length(in) > LINE_MAX_OCTETS)
		lost_because(c, "4.5.0", "sent a line without end");
}

/* ---- other events ---- */

static void
on_output(void *arg)
{
	struct conversation *c = arg;

	if (c->state == ENVELOPE)
		follow(c, envelope_fill(c->envelope));
}

static void
on_secured(void *arg)
{
	struct conversation *c = arg;

	open_further(c, opening_secured(c->opening));
}

static void
on_lost(const char *why, bool by_tls, void *arg)
{
	struct conversation *c = arg;
	struct reply fault;

	if (!by_tls || stream_is_secured(c->stream)) {
		lost_because(c, "4.4.2", why);
		return;
	}
	reply_fault(&fault, STAGE_TLS, 451, "4.7.5", "%s: TLS handshake: %s",
	    c->endpoint->text, why);
	lost(c, &fault);
}

static void
on_timeout(void *arg)
{
	struct conversation *c = arg;

	if (c->state == READY)
		leave(c);
	else
		lost_because(c, "4.4.2", "took too long");
}

static const struct stream_ops ops = {
	.input = on_input,
	.output = on_output,
	.secured = on_secured,
	.lost = on_lost,
	.timeout = on_timeout
};

/* ---- for others ---- */

/*
 * Over a connected socket, which is taken.
 */
struct conversation *
conversation_new(struct endpoint *endpoint, int fd, bool clear,
    struct search *search, FILE *script)
{
	struct conversation *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		fatal("calloc");
	endpoint_hold(endpoint);
	c->endpoint = endpoint;
	c->stream = stream_new(relay_base(), fd, &ops, c);
	c->search = search;
	c->script = script;
	c->opened = clock_monotonic();
	transcript(script, "===", "connected to %s", endpoint->text);
	c->opening = opening_new(c->stream, endpoint, &c->offer, clear,
	    script);
	set_state(c, OPENING);
	opening_begin(c->opening);
	wait_for(c);
	return c;
}

/*
 * Have it take what waits for this hop, until nothing does or others wait.
 */
void
conversation_serve(struct conversation *c, struct hop *hop)
{
	c->hop = hop;
	c->turn = 0;
	next_transaction(c);
}

/*
 * The link that asked is gone: so is its transaction, wherever it stood.  One
 * of another link, before or behind it, cannot go on here.
 */
void
conversation_drop(struct conversation *c, const struct link *link)
{
	bool first = envelope_drop(c->envelope, link);
	bool second = envelope_drop(c->rider, link);
	struct reply fault;

	if (!first && !second)
		return;
	reply_fault(&fault, STAGE_NONE, 451, "4.3.2",
	    "%s: given up, since spoold was started again",
	    c->endpoint->text);
	envelope_lost(c->envelope, &fault);
	over(c);
}

/*
 * End it if it only waits for more.
 */
void
conversation_end(struct conversation *c)
{
	if (c->state == READY)
		leave(c);
}

/*
 * End it at once; nobody but its endpoint is told.
 */
void
conversation_free(struct conversation *c)
{
	if (c == NULL)
		return;
	c->search = NULL;
	c->hop = NULL;
	over(c);
}

void
conversation_ask(struct conversation *c, enum relay_stage asked,
    const char *line, reply_fn fn, void *arg)
{
	c->asked = asked;
	c->fn = fn;
	c->arg = arg;
	say(c, ASKING, line);
}

const struct offer *
conversation_offer(const struct conversation *c)
{
	return &c->offer;
}

const char *
conversation_protection(const struct conversation *c)
{
	return stream_protection(c->stream);
}

struct endpoint *
conversation_endpoint(const struct conversation *c)
{
	return c->endpoint;
}
