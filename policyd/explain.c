/*
 * The walk of an address told to people: every left side asked, every line
 * taken with its place, every target of a list, and what a client would hear.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policyd.h"

#define MEMBERS_MAX	40	/* of one list that are shown */
#define LISTS_MAX	4	/* lists within lists */
#define TARGETS_MAX	500	/* of all lists together */

struct teller {
	FILE	*out;
	int	 indent;
	int	 targets;	/* shown so far */
};

static void
tell(void *arg, const char *text)
{
	const struct teller *teller = arg;
	const char *p;

	(void)fprintf(teller->out, "%*s", 2 * teller->indent, "");
	for (p = text; *p != '\0'; p++)
		(void)fputc((unsigned char)*p < ' ' || *p == 0x7f ? '?' : *p,
		    teller->out);
	(void)fputc('\n', teller->out);
}

/* Show each target of the list the walk has come to. */
static void
tell_list(struct walk *walk, const struct decision *list,
    struct teller *teller)
{
	struct walk_mark mark;
	struct member *members;
	struct decision decision;
	size_t count, i;

	if (*list->owner != '\0')
		walk_trace(walk, "failures go to <%s>", list->owner);
	walk_mark(walk, &mark);
	members = walk_take_members(walk, &count);
	for (i = 0; i < count && i < MEMBERS_MAX &&
	    teller->targets < TARGETS_MAX; i++) {
		teller->targets++;
		walk_return(walk, &mark);
		walk_trace(walk, "target %zu: %s", i + 1,
		    members[i].target->text);
		teller->indent++;
		if (teller->indent > LISTS_MAX)
			walk_trace(walk, "and so on");
		else {
			walk_member(walk, &members[i], &decision);
			if (decision.kind == ROUTE_LIST)
				tell_list(walk, &decision, teller);
		}
		teller->indent--;
	}
	if (i < count)
		walk_trace(walk, "and %zu more", count - i);
	free(members);
}

/* What this kind of client hears at RCPT. */
static void
tell_verdict(const struct world *world, const struct settings *settings,
    const struct w_client *client, enum standing standing, const char *who,
    const char *address, FILE *out)
{
	static const char *const verdicts[] = {
		[RCPT_ACCEPT] = "accepted",
		[RCPT_UNKNOWN_USER] = "550 5.1.1, unknown user",
		[RCPT_UNKNOWN_DOMAIN] = "550 5.1.2, no route",
		[RCPT_RELAYING_DENIED] = "550 5.7.1, relaying denied",
		[RCPT_BAD_ADDRESS] = "553 5.1.3, bad address",
		[RCPT_REFUSED] = "refused",
		[RCPT_LOOKUP_FAILED] = "451 4.3.0, look-up failed",
		[RCPT_MISCONFIGURED] = "451 4.3.5, misconfigured"
	};
	struct w_client as = *client;
	struct w_rcpt_check_ans answer;
	struct decision decision;

	memset(&answer, 0, sizeof(answer));
	as.standing = (uint8_t)standing;
	judge_rcpt(world, settings, &as, address, &answer, &decision);
	if (answer.verdict == RCPT_REFUSED)
		(void)fprintf(out, "RCPT from %s: %u %s\n", who,
		    (unsigned int)answer.code, answer.text);
	else
		(void)fprintf(out, "RCPT from %s: %s\n", who,
		    verdicts[answer.verdict]);
}

void
explain(const struct world *world, const struct settings *settings,
    const struct w_client *client, const char *text, FILE *out,
    struct decision *decision)
{
	struct teller teller = { .out = out };
	struct address address;
	struct walk walk;
	enum address_result parsed = address_parse(text, &address);

	memset(decision, 0, sizeof(*decision));
	if (parsed != ADDRESS_OK && parsed != ADDRESS_BARE) {
		(void)fprintf(out, "not an address\n");
		return;
	}
	walk_start(&walk, world, settings, client->listener);
	walk.trace = tell;
	walk.trace_context = &teller;
	walk_address(&walk, &address, decision);
	if (decision->kind == ROUTE_LIST)
		tell_list(&walk, decision, &teller);
	walk_end(&walk);
	tell_verdict(world, settings, client, STANDING_STRANGER, "a stranger",
	    text, out);
	tell_verdict(world, settings, client, STANDING_TRUSTED,
	    "a trusted client", text, out);
}
