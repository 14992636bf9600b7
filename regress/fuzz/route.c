/* links: policyd/walk.c policyd/walk_address.c policyd/walk_name.c
 * policyd/members.c policyd/decide.c policyd/route.c policyd/judge.c
 * policyd/lines.c policyd/settings.c common/conf.c
 * common/conf_keyword.c common/conf_lex.c common/conf_parse.c
 * common/conf_value.c common/conf_print.c common/target.c common/address.c
 * common/aliases.c common/log.c common/netaddr.c common/queueid.c
 * common/clock.c common/wire.c regress/fuzz/help/routes.c */
/*
 * Routes, aliases and lists as users may write them, and any address: each
 * walk comes to a decision that fits the wire, and without a route strangers
 * reach nobody but this machine's users.  The input is four parts between
 * NULs: route lines, aliases, an included list, questions.
 */
#include "fuzz.h"
#include "help/routes.h"

/* ---- questions ---- */

static void
check_decision(const struct decision *d)
{
	struct who who;

	require(d->kind >= ROUTE_LOCAL && d->kind <= ROUTE_DEFER);
	require(memchr(d->hop, '\0', sizeof(d->hop)) != NULL &&
	    memchr(d->text, '\0', sizeof(d->text)) != NULL &&
	    memchr(d->address, '\0', sizeof(d->address)) != NULL &&
	    memchr(d->owner, '\0', sizeof(d->owner)) != NULL &&
	    memchr(d->where, '\0', sizeof(d->where)) != NULL);
	require(d->kind != ROUTE_LOCAL ||
	    routes_world.account(NULL, d->account, &who) == ACCOUNT_YES);
	require(d->kind != ROUTE_RELAY || d->hop[0] != '\0');
	require(d->kind != ROUTE_MAILER ||
	    d->mailer == target_number(d->text));
	require(d->kind != ROUTE_REFUSE || (d->code >= 400 && d->code < 600));
}

/* Each target of a list, of which there are as many as are told. */
static void
check_targets(const struct route_targets *targets)
{
	const void *tail = targets->octets;
	size_t length = targets->length;
	enum target_place place;
	const char *text;
	uint32_t count = 0;
	int more;

	while ((more = wire_next_target(&tail, &length, &place, &text)) == 1)
		count++;
	require(more == 0 && count == targets->count);
	require(count <= WIRE_TARGETS && (!targets->more || count > 0));
}

static void
ask(const struct settings *settings, struct fuzz_input *in)
{
	struct w_client client = { .standing = STANDING_STRANGER };
	char *sender = fuzz_line(in), *text = fuzz_line(in);
	char *target = fuzz_line(in);
	struct question question = { .client = &client, .sender = sender,
	    .target = target };
	struct w_rcpt_check_ans ans = { .session = 1 };
	struct route_targets targets;
	struct decision decision;
	struct address address;

	question.address = text;
	route_resolve(&routes_world, settings, &question, &decision, &targets);
	check_decision(&decision);
	check_targets(&targets);
	free(targets.octets);

	judge_rcpt(&routes_world, settings, &client, text, &ans, &decision);
	require(ans.verdict >= RCPT_ACCEPT &&
	    ans.verdict <= RCPT_MISCONFIGURED);
	require(ans.verdict != RCPT_REFUSED ||
	    (ans.code >= 400 && ans.code < 600));
	if (routes_are_none() && ans.verdict == RCPT_ACCEPT)
		require(address_parse(text, &address) <= ADDRESS_BARE &&
		    (address.domain[0] == '\0' ||
		    settings_is_local(settings, address.domain)));
	free(sender);
	free(text);
	free(target);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	const struct settings *settings = routes_read(&in);
	int i;

	for (i = 0; in.left > 0 && i < 8; i++)
		ask(settings, &in);
	routes_free();
	return 0;
}
