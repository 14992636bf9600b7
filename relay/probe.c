/*
 * A probe: a connection made for the operator, as one for mail would be, up
 * to RCPT and no further.  The dialogue is written down as it goes.
 *
 *	SEARCHING -> MAIL, QUIT		on_found
 *	MAIL -> RCPT -> RESET -> QUIT	on_reply (an address was given)
 *	any -> done			finish
 */
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "relay.h"

enum state { SEARCHING, MAIL, RCPT, RESET, QUIT };

struct probe {
	struct search	*search;
	struct conversation *conversation;
	enum state	 state;
	char		*sender;
	char		*address;	/* "" only what comes before MAIL */
	FILE		*script;
	probe_fn	 fn;
	void		*arg;
	bool		 good;
};

/* Tell who asked; the probe may be gone afterwards. */
static void
finish(struct probe *p)
{
	conversation_free(p->conversation);
	p->conversation = NULL;
	p->fn(p->good, p->arg);
}

static void	 on_reply(const struct reply *, void *);

static void
ask(struct probe *p, enum state state, enum relay_stage stage,
    const char *line)
{
	p->state = state;
	conversation_ask(p->conversation, stage, line, on_reply, p);
}

/* MAIL or RCPT as a transaction would have it. */
static void
ask_envelope(struct probe *p, enum state state)
{
	const struct offer *offer = conversation_offer(p->conversation);
	char empty[] = "";
	struct recipient recipient = { .address = p->address,
	    .orcpt = empty };
	struct transaction t = { .sender = p->sender, .envid = empty,
	    .recipients = &recipient, .count = 1, .fd = -1 };
	struct evbuffer *out = evbuffer_new();
	char *line;

	if (out == NULL)
		fatal("evbuffer_new");
	if (state == MAIL)
		command_mail(out, &t, offer);
	else
		command_rcpt(out, &recipient, offer);
	if ((line = evbuffer_readln(out, NULL, EVBUFFER_EOL_CRLF)) == NULL)
		fatal("evbuffer_readln");
	ask(p, state, state == MAIL ? STAGE_MAIL : STAGE_RCPT, line);
	free(line);
	evbuffer_free(out);
}

/* Can this server be told of the address? */
static bool
is_sendable(struct probe *p, const char *address)
{
	const char *why = command_address_fault(address,
	    conversation_offer(p->conversation)->smtputf8);

	if (why != NULL)
		transcript(p->script, "===", "address <%s> %s", address, why);
	return why == NULL;
}

static void
on_reply(const struct reply *reply, void *arg)
{
	struct probe *p = arg;

	if (!reply->replied)
		p->conversation = NULL;		/* it has freed itself */
	if (p->state == MAIL || p->state == RCPT)
		p->good = reply->replied && reply->code / 100 == 2;
	if (!reply->replied || reply->code == 421 || p->state == QUIT)
		finish(p);
	else if (p->state == MAIL && p->good)
		ask_envelope(p, RCPT);
	else if (p->state == RESET)
		ask(p, QUIT, STAGE_NONE, "QUIT");
	else
		ask(p, RESET, STAGE_NONE, "RSET");
}

static void
on_found(const struct found *found, void *arg)
{
	struct probe *p = arg;

	p->conversation = found->conversation;
	if (p->conversation == NULL) {
		transcript(p->script, "===", "no host is left");
		search_free(p->search);
		p->search = NULL;
		finish(p);
		return;
	}
	search_free(p->search);
	p->search = NULL;
	p->good = true;
	if (p->address[0] == '\0')
		ask(p, QUIT, STAGE_NONE, "QUIT");
	else if (is_sendable(p, p->sender) && is_sendable(p, p->address))
		ask_envelope(p, MAIL);
	else {
		p->good = false;
		ask(p, QUIT, STAGE_NONE, "QUIT");
	}
}

/*
 * Try the hop's hosts until one can be talked to; then say to that one that
 * there is mail from sender for address, if that is not "".  The dialogue
 * goes to script; fn learns whether all was accepted, and frees the probe.
 */
struct probe *
probe_new(struct hop *hop, const char *sender, const char *address,
    FILE *script, probe_fn fn, void *arg)
{
	struct probe *p;

	if ((p = calloc(1, sizeof(*p))) == NULL ||
	    (p->sender = strdup(sender)) == NULL ||
	    (p->address = strdup(address)) == NULL)
		fatal("calloc");
	p->script = script;
	p->fn = fn;
	p->arg = arg;
	p->search = search_new(hop, true, script, on_found, p);
	return p;
}

void
probe_free(struct probe *p)
{
	if (p == NULL)
		return;
	search_free(p->search);
	conversation_free(p->conversation);
	free(p->sender);
	free(p->address);
	free(p);
}
