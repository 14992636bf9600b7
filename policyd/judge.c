/*
 * smtpd's question: is this recipient accepted from this client.  Permission
 * is judged by where the first look-up ends; whether the mail can go anywhere
 * by the whole walk, through every target of a list in a table.  Members of
 * aliases are judged from the queue.  Pure.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "policyd.h"
#include "printable.h"

#define LOOKS_MAX	500	/* targets looked at for one recipient */

/* Would a relay further on read more than a user into this? */
static bool
is_crooked(const char *local)
{
	return strpbrk(local, "%!@:") != NULL || strchr("-|/", *local) != NULL;
}

static bool
is_better(const struct decision *a, const struct decision *b)
{
	static const int badness[] = {
		[ROUTE_REFUSE] = 3, [ROUTE_UNKNOWN] = 2, [ROUTE_DEFER] = 1,
		[ROUTE_DISCARD] = 0
	};

	return badness[a->kind] < badness[b->kind];
}

/*
 * Look at every target of a list in a table and keep the worst.  The list is
 * the walk's; what it leads to may be lists again.
 */
static void
judge_list(struct walk *walk, struct decision *worst, int *looks)
{
	struct walk_mark mark;
	struct member *members;
	struct decision decision;
	size_t count, i;

	if (walk->alias != NULL)
		return;
	walk_mark(walk, &mark);
	members = walk_take_members(walk, &count);
	for (i = 0; i < count && *looks < LOOKS_MAX; i++, (*looks)++) {
		walk_return(walk, &mark);
		walk_member(walk, &members[i], &decision);
		if (decision.kind == ROUTE_LIST)
			judge_list(walk, &decision, looks);
		if (is_better(worst, &decision))
			*worst = decision;
	}
	free(members);
}

void
judge_walk(struct walk *walk, struct decision *decision)
{
	int looks = 0;

	if (decision->kind == ROUTE_LIST)
		judge_list(walk, decision, &looks);
}

/* Copy what a reply may hold. */
static void
copy_text(struct w_rcpt_check_ans *answer, const char *text)
{
	strlcpy(answer->text, text, sizeof(answer->text));
	make_printable(answer->text);
}

/* What the end of the walk means for the client. */
static void
judge_decision(const struct decision *decision,
    struct w_rcpt_check_ans *answer)
{
	switch (decision->kind) {
	case ROUTE_UNKNOWN:
		answer->verdict = decision->fault == FAULT_DOMAIN ?
		    RCPT_UNKNOWN_DOMAIN : RCPT_UNKNOWN_USER;
		break;
	case ROUTE_DEFER:
		answer->verdict = decision->fault == FAULT_LOOKUP ?
		    RCPT_LOOKUP_FAILED : RCPT_MISCONFIGURED;
		break;
	case ROUTE_REFUSE:
		answer->verdict = RCPT_REFUSED;
		answer->code = decision->code;
		copy_text(answer, decision->text);
		break;
	case ROUTE_LOCAL:
	case ROUTE_MAILER:
	case ROUTE_TEXT:
	case ROUTE_RELAY:
	case ROUTE_LIST:
	case ROUTE_SUPERSEDED:
	case ROUTE_DISCARD:
		answer->verdict = RCPT_ACCEPT;
		break;
	}
}

/* Does a line name this very address, whatever its extension leaves out? */
static bool
is_named(const struct walk *walk, const struct address *address)
{
	struct variants v;

	walk_split(walk, address->local, &v);
	return walk->first_step == STEP_EXACT ||
	    (walk->first_step == STEP_BASE && !is_crooked(v.extension));
}

/* May a stranger name this?  Returns false with the verdict set. */
static bool
stranger_may(const struct walk *walk, const struct address *address,
    const struct decision *decision, struct w_rcpt_check_ans *answer)
{
	if (decision->kind == ROUTE_DEFER && walk->first_step == STEP_NONE) {
		judge_decision(decision, answer);
		return false;
	}
	if (is_crooked(address->local) && !is_named(walk, address)) {
		answer->verdict = RCPT_BAD_ADDRESS;
		return false;
	}
	if (walk->first_step != STEP_NONE && walk->first_step != STEP_DEFAULT)
		return true;
	answer->verdict = walk->first_class == DOMAIN_LISTED ?
	    RCPT_UNKNOWN_USER : RCPT_RELAYING_DENIED;
	return false;
}

/* May this client name a recipient without a domain? */
static bool
bare_is_allowed(const struct walk *walk, const struct address *address)
{
	if (strcasecmp(address->local, "postmaster") == 0)
		return true;
	return !walk->strange && walk->listener != NULL &&
	    walk->listener->bare_names;
}

void
judge_rcpt(const struct world *world, const struct settings *settings,
    const struct w_client *client, const char *recipient,
    struct w_rcpt_check_ans *answer, struct decision *decision)
{
	struct address address;
	struct walk walk;
	enum address_result parsed;

	memset(decision, 0, sizeof(*decision));
	walk_start(&walk, world, settings, client->listener);
	walk.strange = client->standing != STANDING_TRUSTED &&
	    client->standing != STANDING_LOGIN &&
	    client->standing != STANDING_LOCAL;
	parsed = address_parse(recipient, &address);
	if ((parsed != ADDRESS_OK && parsed != ADDRESS_BARE) ||
	    (parsed == ADDRESS_BARE && !bare_is_allowed(&walk, &address))) {
		answer->verdict = RCPT_BAD_ADDRESS;
		return;
	}
	walk_address(&walk, &address, decision);
	if (!walk.strange ||
	    stranger_may(&walk, &address, decision, answer)) {
		judge_walk(&walk, decision);
		judge_decision(decision, answer);
	}
	walk_end(&walk);
}
