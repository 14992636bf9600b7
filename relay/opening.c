/*
 * The opening of a conversation, until it may carry mail: the greeting, what
 * the server offers, TLS as the endpoint's security wants it, the login.
 *
 *	new -> SECURING, GREETING	opening_begin
 *	SECURING -> GREETING, HELLO	opening_secured
 *	GREETING -> HELLO		say_hello
 *	HELLO -> HELLO_PLAIN		on_hello (EHLO is unknown there)
 *	HELLO -> STARTTLS		after_hello
 *	STARTTLS -> SECURING		secure
 *	HELLO, HELLO_PLAIN, STARTTLS -> LOGIN	log_in
 *
 * It is ready behind HELLO, HELLO_PLAIN, STARTTLS (which may be refused) or
 * LOGIN.  Nothing may wait in the input whenever something is sent: it could
 * not be the answer.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "relay.h"

enum state {
	GREETING, HELLO, HELLO_PLAIN, STARTTLS, SECURING, LOGIN, STATES
};

struct opening {
	struct stream	*stream;
	const struct endpoint *endpoint;
	struct offer	*offer;		/* the conversation's */
	FILE		*script;
	bool		 clear;		/* TLS has failed before */
	enum state	 state;
	struct tls_want	 want;
	struct login	*login;		/* while LOGIN */
	struct reply	 fault;		/* of OPENING_LOST */
};

/* RFC 5321 4.5.3.2 wants at least these; for TLS there is no rule. */
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
	[LOGIN]		= { "the answer to AUTH", 120, STAGE_LOGIN }
};

static enum tls_level
level(const struct opening *o)
{
	return o->endpoint->security->level;
}

static enum opening_next
set_state(struct opening *o, enum state state)
{
	log_note(LOG_DEBUG, "opening", "%s: waits for %s", o->endpoint->text,
	    states[state].awaited);
	o->state = state;
	return OPENING_WAIT;
}

/* ---- what is sent ---- */

/* It does not do, as the server says; no permanent matter for the mail. */
static enum opening_next
refused(struct opening *o, const struct reply *reply)
{
	o->fault = *reply;
	reply_soften(&o->fault);
	return OPENING_LOST;
}

static bool
is_in_step(const struct opening *o)
{
	return evbuffer_get_length(stream_in(o->stream)) == 0;
}

static enum opening_next
out_of_step(struct opening *o)
{
	reply_fault(&o->fault, states[o->state].stage, 451, "4.5.0",
	    "%s: said more than it was asked while we waited for %s",
	    o->endpoint->text, states[o->state].awaited);
	return OPENING_LOST;
}

/* Send a command and wait for its answer in the state. */
__attribute__((format(printf, 3, 4)))
static enum opening_next
say(struct opening *o, enum state state, const char *format, ...)
{
	char command[WIRE_TEXT];
	va_list ap;

	if (!is_in_step(o))
		return out_of_step(o);
	va_start(ap, format);
	vsnprintf(command, sizeof(command), format, ap);
	va_end(ap);
	transcript(o->script, ">>>", "%s", command);
	evbuffer_add_printf(stream_out(o->stream), "%s\r\n", command);
	return set_state(o, state);
}

/* ---- the login ---- */

/* If we have a login, there is no mail without it. */
static enum opening_next
log_in(struct opening *o)
{
	if (!is_in_step(o))
		return out_of_step(o);
	if (o->endpoint->secret == NULL)
		return OPENING_READY;
	set_state(o, LOGIN);
	o->login = login_new(o->endpoint, o->offer,
	    stream_is_secured(o->stream), &o->fault);
	if (o->login == NULL || login_begin(o->login, stream_out(o->stream),
	    o->script, &o->fault) == -1)
		return OPENING_LOST;
	return OPENING_WAIT;
}

static enum opening_next
on_login(struct opening *o, const struct reply *reply, const char *line)
{
	if (!is_in_step(o))
		return out_of_step(o);
	switch (login_reply(o->login, reply, line, stream_out(o->stream),
	    o->script, &o->fault)) {
	case 1:
		return OPENING_READY;
	case 0:
		return OPENING_WAIT;
	default:
		return OPENING_LOST;
	}
}

/* ---- TLS ---- */

/* Begin the handshake: who must the other end be? */
static enum opening_next
secure(struct opening *o)
{
	const struct security *security = o->endpoint->security;

	o->want.host = o->endpoint->path == NULL ? o->endpoint->name : NULL;
	o->want.proof = TLS_ANYBODY;
	if (level(o) == TLS_VERIFIED)
		o->want.proof = TLS_NAMED;
	else if (level(o) == TLS_DANE) {
		o->want.proof = TLS_DANE_RECORDS;
		if (security->name_count > 0)
			o->want.host = security->names[0];
	}
	o->want.trust = o->endpoint->policy->trust;
	o->want.names = (const char *const *)security->names;
	o->want.name_count = security->name_count;
	o->want.records = security->records;
	o->want.record_count = security->record_count;
	o->want.peer = o->endpoint->key;
	stream_secure(o->stream, &o->want);
	return set_state(o, SECURING);
}

/* What stands behind a demand for TLS. */
static const char *
demand(const struct opening *o)
{
	enum tls_level set = o->endpoint->policy->tls;

	switch (level(o)) {
	case TLS_DANE:
		return set == TLS_DANE ? "tls = dane" :
		    "the TLSA records of its DNS";
	case TLS_VERIFIED:
		return set == TLS_VERIFIED ? "tls = verified" : "a login";
	default:
		return set == TLS_REQUIRED ? "tls = required" :
		    "the TLSA records of its DNS";
	}
}

static enum opening_next
on_starttls(struct opening *o, const struct reply *reply)
{
	if (reply->code / 100 == 2)
		/* More would be taken for what was said under TLS. */
		return is_in_step(o) ? secure(o) : out_of_step(o);
	if (level(o) == TLS_OPPORTUNISTIC)
		return log_in(o);
	reply_fault(&o->fault, STAGE_TLS, 451, "4.7.4",
	    "%s: host refused STARTTLS, which %s demands: %s",
	    o->endpoint->text, demand(o), reply->text);
	return OPENING_LOST;
}

/* ---- the greeting ---- */

/* The server has said what it can do: TLS, then the login. */
static enum opening_next
after_hello(struct opening *o)
{
	if (stream_is_secured(o->stream) || level(o) == TLS_NONE)
		return log_in(o);
	if (o->offer->starttls && !o->clear)
		return say(o, STARTTLS, "STARTTLS");
	if (level(o) == TLS_OPPORTUNISTIC)
		return log_in(o);
	reply_fault(&o->fault, STAGE_TLS, 451, "4.7.4",
	    "%s: host does not offer STARTTLS, which %s demands",
	    o->endpoint->text, demand(o));
	return OPENING_LOST;
}

/* What was offered before is forgotten. */
static enum opening_next
say_hello(struct opening *o, enum state state)
{
	const struct policy *policy = o->endpoint->policy;
	const char *name = policy->helo_name;

	memset(o->offer, 0, sizeof(*o->offer));
	return say(o, state, "%s %s", state == HELLO_PLAIN ? "HELO" :
	    policy->lmtp ? "LHLO" : "EHLO",
	    name != NULL ? name : relay_hostname());
}

static enum opening_next
on_hello(struct opening *o, const struct reply *reply)
{
	if (reply->code / 100 == 5 && o->state == HELLO &&
	    !o->endpoint->policy->lmtp)
		return say_hello(o, HELLO_PLAIN);
	if (reply->code / 100 != 2)
		return refused(o, reply);
	return after_hello(o);
}

/* ---- for conversation.c ---- */

struct opening *
opening_new(struct stream *stream, const struct endpoint *endpoint,
    struct offer *offer, bool clear, FILE *script)
{
	struct opening *o;

	if ((o = calloc(1, sizeof(*o))) == NULL)
		fatal("calloc");
	o->stream = stream;
	o->endpoint = endpoint;
	o->offer = offer;
	o->clear = clear;
	o->script = script;
	return o;
}

/*
 * The connection is there: TLS at once, or the greeting.
 */
void
opening_begin(struct opening *o)
{
	if (level(o) != TLS_NONE && policy_is_implicit(o->endpoint->policy,
	    o->endpoint->port))
		secure(o);
	else
		set_state(o, GREETING);
}

/*
 * A line of a reply of which so much has been heard; write it down, and make
 * it fit for others.
 */
void
opening_line(struct opening *o, const struct reply *before, char *line)
{
	if (o->state == LOGIN && strncmp(line, "334", 3) == 0)
		transcript(o->script, "<<<", "334 ***");
	else {
		login_redact(o->login, line);
		transcript(o->script, "<<<", "%s", line);
	}
	if (o->state == HELLO && before->lines > 0 && strlen(line) > 4)
		offer_add(o->offer, line + 4);
}

/*
 * A whole reply, and its last line.
 */
enum opening_next
opening_reply(struct opening *o, const struct reply *reply, const char *line)
{
	if (reply->code == 421 && o->state != LOGIN)
		return refused(o, reply);
	switch (o->state) {
	case GREETING:
		return reply->code == 220 ? say_hello(o, HELLO) :
		    refused(o, reply);
	case HELLO:
	case HELLO_PLAIN:
		return on_hello(o, reply);
	case STARTTLS:
		return on_starttls(o, reply);
	case LOGIN:
		return on_login(o, reply, line);
	default:
		return refused(o, reply);
	}
}

/*
 * The handshake is over.
 */
enum opening_next
opening_secured(struct opening *o)
{
	transcript(o->script, "===", "TLS: %s",
	    stream_protection(o->stream));
	if (o->offer->starttls)
		return say_hello(o, HELLO);
	return set_state(o, GREETING);
}

/*
 * Why it is lost, after OPENING_LOST.
 */
const struct reply *
opening_fault(const struct opening *o)
{
	return &o->fault;
}

/*
 * How long to wait, and for what.
 */
int64_t
opening_patience(const struct opening *o)
{
	return states[o->state].seconds * SECOND;
}

const char *
opening_awaits(const struct opening *o)
{
	return states[o->state].awaited;
}

/*
 * How far it has come.
 */
enum relay_stage
opening_stage(const struct opening *o)
{
	return states[o->state].stage;
}

void
opening_free(struct opening *o)
{
	if (o == NULL)
		return;
	login_free(o->login);
	free(o);
}
