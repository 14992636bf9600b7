/* links: relay/source.c common/conf.c common/conf_keyword.c
 * common/conf_lex.c common/conf_parse.c common/conf_value.c common/target.c
 * common/netaddr.c common/log.c common/queueid.c common/clock.c */
/*
 * What a configuration says to relay, and what a hop's text means under it: of
 * one that nobody complains of each [relay] has limits that can be kept to,
 * mechanisms that there are, and hosts with a port.  The input is the file,
 * then behind a NUL a hop, or a recipient's domain, a line.
 */
#include "fuzz.h"

#include "relay/policy.c"

#define HOPS	8

/* ---- the rest of relay ---- */

struct tls_trust *
tls_trust_new(const char *file, const char **why)
{
	static char trust;

	*why = file != NULL && strcmp(file, "/missing") == 0 ? "missing" :
	    NULL;
	return *why == NULL ? (struct tls_trust *)(void *)&trust : NULL;
}

void
tls_trust_free(struct tls_trust *trust)
{
	(void)trust;
}

bool
relay_is_local(void)
{
	return false;
}

const char *
relay_hostname(void)
{
	return "mx.test";
}

const char *
secrets_fault(void)
{
	return NULL;
}

/* ---- what must hold ---- */

static void
check_policy(const struct policy *p)
{
	size_t i;

	require(p->port != 0 && p->max_connections >= 1 &&
	    p->max_messages >= 1 && p->idle_time >= 0);
	require(p->mx >= MX_NONE && p->mx <= MX_RECIPIENT);
	require(p->family >= FAMILY_ANY && p->family <= FAMILY_6_FIRST);
	require(!p->auth_none || p->auth_count == 0);
	for (i = 0; i < p->auth_count; i++)
		require(mechanism(p->auth[i]) == p->auth[i]);
	for (i = 0; i < p->tls_name_count; i++)
		require(p->tls_names[i] != NULL);
	require(p->helo_name != NULL && fuzz_is_printable(p->helo_name));
	require(policy_is_implicit(p, 465) || p->implicit == 0);
}

static void
check_hop(const struct conf *conf, const char *hop, const char *exchange)
{
	struct sources sources;
	const char *why = sources_read(conf, hop, exchange, &sources);
	size_t i;

	require(why != NULL || (sources.count > 0 && sources.policy != NULL));
	for (i = 0; why == NULL && i < sources.count; i++) {
		require(sources.list[i].host.port != 0);
		require(sources.list[i].host.name[0] != '\0' &&
		    strlen(sources.list[i].host.name) < WIRE_DOMAIN);
	}
	free(sources.list);
}

static void
forget(const struct policy *p)
{
	free(p->auth);
	free(p->tls_names);
}

static void
configure(struct conf *conf, struct fuzz_input *in)
{
	struct child child = { .conf = conf };
	unsigned int hops = 0;
	char *line;
	size_t i;

	memset(&policies, 0, sizeof(policies));
	policy_configure(&child);
	check_policy(policy_of_calls(false));
	check_policy(policy_of_calls(true));
	for (i = 0; i < policies.count; i++) {
		check_policy(&policies.sections[i]);
		check_hop(conf, policies.sections[i].section, "");
		check_hop(conf, policies.sections[i].section, "away.test");
	}
	while (in->left > 0 && hops++ < HOPS) {
		line = fuzz_line(in);
		check_hop(conf, line, "");
		check_hop(conf, line, "away.test");
		check_hop(conf, "away.test", line);
		free(line);
	}
	for (i = 0; i < policies.count; i++)
		forget(&policies.sections[i]);
	forget(&policies.relay_calls);
	forget(&policies.lmtp_calls);
	free(policies.sections);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = size > 0 ? memchr(data, '\0', size) : NULL;
	size_t length = nul != NULL ? (size_t)(nul - data) : size;
	struct fuzz_input file = { data, length };
	struct fuzz_input hops = { data + length + (nul != NULL),
	    size - length - (nul != NULL) };
	char *text = fuzz_rest(&file);
	struct conf *conf = conf_parse("fuzz", text, strlen(text), NULL);

	if (conf->wrong == 0)
		policy_check(conf);
	if (conf->wrong == 0)
		configure(conf, &hops);
	conf_free(conf);
	free(text);
	return 0;
}
