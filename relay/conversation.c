/*
 * One connection to an endpoint: the greeting, TLS, the login, then
 * transactions one after the other, for one hop at a time, until it ends.
 *
 *	new -> SECURING			conversation_new (TLS at once)
 *	new -> GREETING			conversation_new
 *	SECURING -> GREETING, HELLO	on_secured
 *	GREETING -> HELLO		say_hello
 *	HELLO -> HELLO_PLAIN		on_hello (EHLO is unknown there)
 *	HELLO -> STARTTLS		after_hello
 *	STARTTLS -> SECURING		on_starttls
 *	HELLO, HELLO_PLAIN, STARTTLS -> LOGIN	log_in
 *	HELLO, HELLO_PLAIN, STARTTLS, LOGIN -> READY	ready
 *	READY -> ENVELOPE -> READY	next_transaction
 *	READY -> ASKING -> READY	conversation_ask, on_asked
 *	READY, ENVELOPE -> QUIT		leave
 *	any -> freed			over, refused
 *
 * Nothing may wait in the input whenever a command is sent: it could not be
 * the answer.  When a function has returned -1 the conversation may be gone
 * or busy with something else: it is not touched again.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "relay.h"

#define LINE_MAX_OCTETS	4096	/* of a reply, without its end */
#define REUSE_TIME	(5 * MINUTE)

enum state {
	GREETING, HELLO, HELLO_PLAIN, STARTTLS, SECURING, LOGIN, READY,
	ENVELOPE, ASKING, QUIT, STATES
};

struct conversation {
	struct endpoint	*endpoint;	/* held */
	struct stream	*stream;
	struct search	*search;	/* until we are ready */
	struct hop	*hop;		/* being served, else NULL */
	FILE		*script;	/* a probe's, else NULL */
	enum state	 state;
	bool		 clear;		/* TLS has failed before */
	int64_t		 opened;
	unsigned int	 messages;	/* transactions begun */
	struct reply	 reply;		/* being gathered */
	struct offer	 offer;
	struct tls_want	 want;
	struct login	*login;		/* while LOGIN */
	struct envelope	*envelope;
	enum relay_stage asked;		/* while ASKING */
	reply_fn	 fn;
	void		*arg;
};

/* RFC 5321 4.5.3.2 wants at least these; the rest is ours. */
static const struct {
	const char	*awaited;
	int		 seconds;
	enum relay_stage stage;
} states[STATES] = {
	[GREETING]	= { "the greeting", 300, STAGE_GREETING },
	[HELLO]		= { "the answer to EHLO", 300, STAGE_GREETING },
	[HELLO_PLAIN]	= { "the answer to HELO", 300, STAGE_GREETING },
	[STARTTLS]	= { "the answer to STARTTLS", 120, STAGE_TLS },
	[SECURING]	= { "the TLS handshake", 120, STAGE_TLS },
	[LOGIN]		= { "the answer to AUTH", 120, STAGE_LOGIN },
	[READY]		= { "nothing", 0, STAGE_MAIL },
	[ENVELOPE]	= { NULL, 0, STAGE_MAIL },
	[ASKING]	= { "the answer to a command", 300, STAGE_NONE },
	[QUIT]		= { "the answer to QUIT", 10, STAGE_NONE }
};

static enum tls_level
tls_level(const struct conversation *c)
{
	return c->endpoint->security->level;
}

static enum relay_stage
stage(const struct conversation *c)
{
	if (c->state == ENVELOPE)
		return envelope_stage(c->envelope);
	return c->state == ASKING ? c->asked : states[c->state].stage;
}

static void
set_state(struct conversation *c, enum state state)
{
	if (states[state].awaited != NULL)
		log_note(LOG_DEBUG, "conversation", "%s: waits for %s",
		    c->endpoint->text, states[state].awaited);
	c->state = state;
	reply_start(&c->reply);
}

/* Wait for what the state needs, as long as it may take. */
static int
wait_for(struct conversation *c)
{
	if (c->state == ENVELOPE)
		stream_wait(c->stream, envelope_patience(c->envelope));
	else if (c->state == READY)
		stream_wait(c->stream, c->endpoint->policy->idle_time);
	else
		stream_wait(c->stream, states[c->state].seconds * SECOND);
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
	login_free(c->login);
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
	    c->state == ENVELOPE ? envelope_awaits(c->envelope) :
	    states[c->state].awaited);
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
__attribute__((format(printf, 3, 4)))
static int
say(struct conversation *c, enum state state, const char *format, ...)
{
	char command[WIRE_TEXT];
	va_list ap;

	if (!is_in_step(c))
		return out_of_step(c);
	va_start(ap, format);
	vsnprintf(command, sizeof(command), format, ap);
	va_end(ap);
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

/* Do what the envelope says; 1 if it takes another transaction. */
static int
follow(struct conversation *c, enum envelope_next next)
{
	switch (next) {
	case ENVELOPE_OVER:
		return 1;
	case ENVELOPE_WAIT:
		return wait_for(c);
	case ENVELOPE_LEAVE:
		return leave(c);
	default:
		return over(c);
	}
}

/* Go on with what waits for this hop, or rest, or leave. */
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
		if (c->messages >= c->endpoint->policy->max_messages ||
		    clock_monotonic() - c->opened > REUSE_TIME)
			return leave(c);
		if ((t = hop_next(hop)) == NULL) {
			c->hop = NULL;
			wait_for(c);
			hop_rests(hop, c);
			return -1;
		}
		c->messages++;
		set_state(c, ENVELOPE);
		result = follow(c, envelope_begin(c->envelope, hop, t));
	} while (result == 1);
	return result;
}

static int
on_envelope(struct conversation *c)
{
	struct reply reply = c->reply;
	int result;

	reply_start(&c->reply);
	result = follow(c, envelope_reply(c->envelope, &reply));
	return result == 1 ? next_transaction(c) : result;
}

/* ---- becoming ready ---- */

/* What is no permanent matter for the mail, whatever the server says. */
static int
lost_softly(struct conversation *c)
{
	struct reply soft = c->reply;

	if (soft.code >= 500 || soft.code < 400) {
		soft.code = 451;
		strlcpy(soft.status, "4.3.0", sizeof(soft.status));
	}
	return lost(c, &soft);
}

static int
ready(struct conversation *c)
{
	struct search *search = c->search;

	if (!is_in_step(c))
		return out_of_step(c);
	c->envelope = envelope_new(c->stream, c->endpoint, &c->offer);
	c->search = NULL;
	set_state(c, READY);
	wait_for(c);
	search_ready(search, c);
	return -1;
}

/* If we have a login, there is no mail without it. */
static int
log_in(struct conversation *c)
{
	struct reply fault;

	if (c->endpoint->secret == NULL)
		return ready(c);
	if (!is_in_step(c))
		return out_of_step(c);
	set_state(c, LOGIN);
	c->login = login_new(c->endpoint, &c->offer,
	    stream_is_secured(c->stream), &fault);
	if (c->login == NULL || login_begin(c->login, stream_out(c->stream),
	    c->script, &fault) == -1)
		return lost(c, &fault);
	return wait_for(c);
}

static int
on_login(struct conversation *c, const char *line)
{
	struct reply reply = c->reply, fault;
	int result;

	if (!is_in_step(c))
		return out_of_step(c);
	reply_start(&c->reply);
	result = login_reply(c->login, &reply, line, stream_out(c->stream),
	    c->script, &fault);
	if (result == -1)
		return lost(c, &fault);
	if (result == 0)
		return wait_for(c);
	login_free(c->login);
	c->login = NULL;
	return ready(c);
}

/* Begin the handshake: who must the other end be? */
static int
secure(struct conversation *c)
{
	const struct security *security = c->endpoint->security;

	c->want.proof = TLS_ANYBODY;
	if (security->level == TLS_VERIFIED)
		c->want.proof = TLS_NAMED;
	else if (security->level == TLS_DANE)
		c->want.proof = TLS_DANE_RECORDS;
	c->want.trust = c->endpoint->policy->trust;
	c->want.host = c->endpoint->path == NULL ? c->endpoint->name : NULL;
	c->want.names = (const char *const *)security->names;
	c->want.name_count = security->name_count;
	c->want.records = security->records;
	c->want.record_count = security->record_count;
	c->want.peer = c->endpoint->key;
	set_state(c, SECURING);
	stream_secure(c->stream, &c->want);
	return wait_for(c);
}

/* What stands behind a demand for TLS. */
static const char *
demand(const struct conversation *c)
{
	switch (tls_level(c)) {
	case TLS_DANE:
		return c->endpoint->policy->tls == TLS_DANE ? "tls = dane" :
		    "the TLSA records of its DNS";
	case TLS_VERIFIED:
		return c->endpoint->policy->tls == TLS_VERIFIED ?
		    "tls = verified" : "a login";
	default:
		return "tls = required";
	}
}

static int
on_starttls(struct conversation *c)
{
	struct reply fault;

	if (c->reply.code / 100 != 2) {
		if (tls_level(c) == TLS_OPPORTUNISTIC)
			return log_in(c);
		reply_fault(&fault, STAGE_TLS, 451, "4.7.4",
		    "%s: refused STARTTLS, which %s demands: %s",
		    c->endpoint->text, demand(c), c->reply.text);
		return lost(c, &fault);
	}
	/* These would be taken for what was said under TLS. */
	if (!is_in_step(c))
		return out_of_step(c);
	return secure(c);
}

/* The server has said what it can do: TLS, then the login. */
static int
after_hello(struct conversation *c)
{
	struct reply fault;

	if (stream_is_secured(c->stream) || tls_level(c) == TLS_NONE)
		return log_in(c);
	if (c->offer.starttls && !c->clear)
		return say(c, STARTTLS, "STARTTLS");
	if (tls_level(c) == TLS_OPPORTUNISTIC)
		return log_in(c);
	reply_fault(&fault, STAGE_TLS, 451, "4.7.4",
	    "%s: host does not offer STARTTLS, which %s demands",
	    c->endpoint->text, demand(c));
	return lost(c, &fault);
}

static int
say_hello(struct conversation *c, enum state state)
{
	const struct policy *policy = c->endpoint->policy;
	const char *name = policy->helo_name;

	memset(&c->offer, 0, sizeof(c->offer));
	return say(c, state, "%s %s", state == HELLO_PLAIN ? "HELO" :
	    policy->lmtp ? "LHLO" : "EHLO",
	    name != NULL ? name : relay_hostname());
}

static int
on_hello(struct conversation *c)
{
	if (c->reply.code / 100 == 5 && c->state == HELLO &&
	    !c->endpoint->policy->lmtp)
		return say_hello(c, HELLO_PLAIN);
	if (c->reply.code / 100 != 2)
		return lost_softly(c);
	return after_hello(c);
}

static int
on_greeting(struct conversation *c)
{
	return c->reply.code == 220 ? say_hello(c, HELLO) : lost_softly(c);
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

/* A whole reply, of which this is the last line. */
static int
on_reply(struct conversation *c, const char *line)
{
	c->reply.stage = stage(c);
	switch (c->state) {
	case GREETING:
		return on_greeting(c);
	case HELLO:
	case HELLO_PLAIN:
		return on_hello(c);
	case STARTTLS:
		return on_starttls(c);
	case LOGIN:
		return on_login(c, line);
	case ENVELOPE:
		return on_envelope(c);
	case ASKING:
		return on_asked(c);
	case SECURING:
	case READY:
		return lost_softly(c);
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

	if (c->state == LOGIN && strncmp(line, "334", 3) != 0)
		login_redact(c->login, line);
	if (c->state == LOGIN && strncmp(line, "334 ", 4) == 0)
		transcript(c->script, "<<<", "334 ***");
	else
		transcript(c->script, "<<<", "%s", line);
	more = reply_add(&c->reply, line);
	if (more == -1) {
		snprintf(why, sizeof(why), "sent what is no reply (%.80s)",
		    line);
		return lost_because(c, "4.5.0", why);
	}
	if (c->state == HELLO && c->reply.lines > 1 && strlen(line) > 4)
		offer_add(&c->offer, line + 4);
	return more == 1 ? on_reply(c, line) : 0;
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

	transcript(c->script, "===", "TLS: %s",
	    stream_protection(c->stream));
	if (c->offer.starttls)
		say_hello(c, HELLO);	/* what was offered is forgotten */
	else {
		set_state(c, GREETING);
		wait_for(c);
	}
}

static void
on_lost(const char *why, bool by_tls, void *arg)
{
	struct conversation *c = arg;
	struct reply fault;

	if (c->state != SECURING) {
		lost_because(c, "4.4.2", why);
		return;
	}
	reply_fault(&fault, STAGE_TLS, 451, by_tls ? "4.7.5" : "4.4.2",
	    "%s: TLS handshake: %s", c->endpoint->text, why);
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
	const struct policy *policy = endpoint->policy;
	struct conversation *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		fatal("calloc");
	endpoint_hold(endpoint);
	c->endpoint = endpoint;
	c->stream = stream_new(relay_base(), fd, &ops, c);
	c->search = search;
	c->script = script;
	c->clear = clear;
	c->opened = clock_monotonic();
	transcript(script, "===", "connected to %s", endpoint->text);
	if (tls_level(c) != TLS_NONE && policy_is_implicit(policy,
	    endpoint->port))
		secure(c);
	else {
		set_state(c, GREETING);
		wait_for(c);
	}
	return c;
}

/*
 * Have it take what waits for this hop, until nothing does.
 */
void
conversation_serve(struct conversation *c, struct hop *hop)
{
	c->hop = hop;
	next_transaction(c);
}

/*
 * The link that asked is gone: so is its transaction, wherever it stood.
 */
void
conversation_drop(struct conversation *c, const struct link *link)
{
	if (envelope_drop(c->envelope, link))
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
	transcript(c->script, ">>>", "%s", line);
	evbuffer_add_printf(stream_out(c->stream), "%s\r\n", line);
	set_state(c, ASKING);
	wait_for(c);
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
