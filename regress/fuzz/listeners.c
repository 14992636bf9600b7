/* links: common/conf.c common/conf_keyword.c common/conf_lex.c
 * common/conf_parse.c common/conf_value.c common/target.c common/address.c
 * common/netaddr.c common/log.c common/queueid.c common/clock.c */
/*
 * What a configuration says to smtpd: of one that nobody complains of each
 * listener has limits that can be kept to, and its networks are no wider than
 * may be trusted.  The input is how many workers there are, then the file.
 */
#include "fuzz.h"

#include "smtpd/settings.c"

static void
check_times(const struct settings *s)
{
	require(s->banner_delay >= 0 && s->banner_delay <= MINUTE);
	require(s->command_timeout >= SECOND && s->command_timeout <= DAY);
	require(s->data_timeout >= SECOND && s->data_timeout <= DAY);
	require(s->spool_timeout >= SECOND && s->spool_timeout <= DAY);
}

static void
check_limits(const struct settings *s)
{
	require(s->message_size >= 0 && s->line_length >= 0);
	require(s->max_recipients >= 1 && s->max_hops >= 1);
	require(s->max_errors >= 0 && s->max_unknown_commands >= 0);
	require(s->max_sessions >= 0 && s->max_sessions_per_network >= 0);
	require(s->ipv4_prefix >= 1 && s->ipv4_prefix <= 32);
	require(s->ipv6_prefix >= 1 && s->ipv6_prefix <= 128);
}

static void
check_one(const struct settings *s)
{
	static const char *const strangers[] = { "192.0.2.1", "2001:db8::1" };
	struct netaddr address;
	size_t i;

	require(strlen(s->host) < sizeof(s->host) && s->host[0] != '\0');
	require(strlen(s->mail_name) < sizeof(s->mail_name));
	require(strlen(s->logger) < sizeof(s->logger));
	check_times(s);
	check_limits(s);
	for (i = 0; i < s->trusted_count; i++)
		require(s->trusted[i].bits >=
		    (s->trusted[i].address.family == 4 ? TRUST_IPV4 :
		    TRUST_IPV6));
	for (i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
		require(netaddr_parse(strangers[i], &address) == 0);
		require(!settings_trust(s, &address) || s->local ||
		    s->trusted_count > 0);
	}
}

static void
load(struct conf *conf, uint32_t workers)
{
	struct child child = { .conf = conf, .hostname = "mx.test",
	    .workers = workers };
	struct settings *s;

	settings_load(&child);
	require(settings_of("") != NULL && settings_of("")->local);
	TAILQ_FOREACH(s, &all, entry)
		check_one(s);
	while ((s = TAILQ_FIRST(&all)) != NULL) {
		TAILQ_REMOVE(&all, s, entry);
		free(s->trusted);
		free(s);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint32_t workers = fuzz_byte(&in);
	char *text = fuzz_rest(&in);
	struct conf *conf = conf_parse("fuzz", text, strlen(text), NULL);

	if (conf->wrong == 0)
		settings_check(conf);
	if (conf->wrong == 0)
		load(conf, workers);
	conf_free(conf);
	free(text);
	return 0;
}
