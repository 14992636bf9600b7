/* links: policyd/walk.c policyd/walk_address.c policyd/walk_name.c
 * policyd/members.c policyd/decide.c policyd/route.c policyd/judge.c
 * policyd/explain.c policyd/lines.c policyd/settings.c common/conf.c
 * common/conf_keyword.c common/conf_lex.c common/conf_parse.c
 * common/conf_value.c common/conf_print.c common/target.c common/address.c
 * common/aliases.c common/log.c common/netaddr.c common/queueid.c
 * common/clock.c common/wire.c */
/*
 * Routes, aliases and lists as users may write them, and any address: each
 * walk comes to a decision that fits the wire, and without a route strangers
 * reach nobody but this machine's users.  The input is four parts between
 * NULs: route lines, aliases, an included list, questions.
 */
#include "fuzz.h"
#include "policyd/policyd.h"

#define PARTS	4

static const char head[] =
    "[core]\n"
    "hostname = mx.home.test\n"
    "local-domains = home.test\n"
    "local-mailer = maildir\n"
    "[pipe \"procmail\"]\nexec = /bin/cat\n"
    "[relay \"hub\"]\nname = hub.test\n"
    "[route]\n";

static struct {
	struct lines	*lines;
	struct aliases	*aliases;
	struct alias_list list;
	bool		 is_empty;	/* no routes */
} fake;

/* ---- the world ---- */

static enum find
find_line(void *context, const char *table, const char *left,
    const struct line **line)
{
	(void)context;
	if (*table != '\0')
		return FIND_FAILED;
	*line = lines_find(fake.lines, left);
	return *line != NULL ? FIND_HIT : FIND_NONE;
}

static enum find
find_domain(void *context, const char *table, const char *domain)
{
	(void)context;
	return *table == '\0' && lines_name_domain(fake.lines, domain) ?
	    FIND_HIT : FIND_NONE;
}

static enum find
find_alias(void *context, const char *name, const struct alias **alias)
{
	(void)context;
	*alias = aliases_find(fake.aliases, name);
	return *alias != NULL ? FIND_HIT : FIND_NONE;
}

static enum find
find_include(void *context, const char *path, const struct alias_list **list)
{
	(void)context;
	*list = &fake.list;
	return strcmp(path, "/gone") == 0 ? FIND_NONE : FIND_HIT;
}

static enum account_result
find_account(void *context, const char *name, struct who *who)
{
	static const char *const names[] = { "root", "joe", "jane", "a+b" };
	size_t i;

	(void)context;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0) {
			memset(who, 0, sizeof(*who));
			strlcpy(who->name, name, sizeof(who->name));
			who->uid = i == 0 ? 0 : (uid_t)(1000 + i);
			return ACCOUNT_YES;
		}
	return strcmp(name, "unsure") == 0 ? ACCOUNT_FAILED : ACCOUNT_NO;
}

static const char *
tell_failure(void *context)
{
	(void)context;
	return "it does not answer";
}

static const struct world world = {
	.line = find_line, .domain = find_domain, .alias = find_alias,
	.include = find_include, .account = find_account,
	.failure = tell_failure
};

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
	    find_account(NULL, d->account, &who) == ACCOUNT_YES);
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
	route_resolve(&world, settings, &question, &decision, &targets);
	check_decision(&decision);
	check_targets(&targets);
	free(targets.octets);

	judge_rcpt(&world, settings, &client, text, &ans, &decision);
	require(ans.verdict >= RCPT_ACCEPT &&
	    ans.verdict <= RCPT_MISCONFIGURED);
	require(ans.verdict != RCPT_REFUSED ||
	    (ans.code >= 400 && ans.code < 600));
	if (fake.is_empty && ans.verdict == RCPT_ACCEPT)
		require(address_parse(text, &address) <= ADDRESS_BARE &&
		    (address.domain[0] == '\0' ||
		    settings_is_local(settings, address.domain)));
	free(sender);
	free(text);
	free(target);
}

static struct conf *
read_routes(const char *routes, size_t length)
{
	char *text = fuzz_need(malloc(sizeof(head) + length));
	struct conf *conf;

	memcpy(text, head, sizeof(head) - 1);
	memcpy(text + sizeof(head) - 1, routes, length);
	conf = conf_parse("fuzz", text, sizeof(head) - 1 + length, NULL);
	free(text);
	return conf;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *part[PARTS], *at = (const char *)data, *nul;
	const char *end = at + size;
	size_t length[PARTS], i;
	struct settings *settings;
	struct fuzz_input in;
	struct conf *conf;

	for (i = 0; i < PARTS; i++) {
		nul = at < end ? memchr(at, '\0', (size_t)(end - at)) : NULL;
		part[i] = at;
		length[i] = (size_t)((nul != NULL ? nul : end) - at);
		at = nul != NULL ? nul + 1 : end;
	}
	conf = read_routes(part[0], length[0]);
	fake.is_empty = length[0] == 0;
	settings = settings_new(conf, NULL);
	fake.lines = lines_compile(conf, conf_section(conf, "route", NULL),
	    true);
	fake.aliases = aliases_parse(part[1], length[1], NULL, NULL);
	(void)alias_list_parse(part[2], length[2], NULL, NULL, &fake.list);
	in.at = (const uint8_t *)part[3];
	in.left = length[3];
	for (i = 0; in.left > 0 && i < 8; i++)
		ask(settings, &in);
	alias_list_free(&fake.list);
	aliases_free(fake.aliases);
	lines_free(fake.lines);
	settings_free(settings);
	conf_free(conf);
	return 0;
}
