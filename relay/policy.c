/*
 * What the configuration says of connections: each [relay] with what
 * [relay "*"] adds to it, and what holds for relay(...) and lmtp(...), which
 * have no section.  Reads the certificates that are believed, before the
 * jail.  Also what -n says of all that.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "relay.h"

#define PORT_SMTP	25
#define PORT_LMTP	24
#define PORT_TLS	465	/* RFC 8314 7.3 */
#define CONNECTIONS	20
#define MESSAGES	100
#define IDLE_TIME	(30 * SECOND)

static struct {
	struct policy	*sections;
	size_t		 count;
	struct policy	 relay_calls;
	struct policy	 lmtp_calls;
	const struct tls_trust *system;	/* read when first needed */
	bool		 system_read;
} policies;

/* ---- words and what they mean ---- */

struct word {
	const char	*name;
	int		 value;
};

static const struct word levels[] = {
	{ "none", TLS_NONE }, { "opportunistic", TLS_OPPORTUNISTIC },
	{ "required", TLS_REQUIRED }, { "verified", TLS_VERIFIED },
	{ "dane", TLS_DANE }, { NULL, TLS_UNSET }
};

static const struct word families[] = {
	{ "any", FAMILY_ANY }, { "4", FAMILY_4 }, { "6", FAMILY_6 },
	{ "4-first", FAMILY_4_FIRST }, { "6-first", FAMILY_6_FIRST },
	{ NULL, FAMILY_ANY }
};

static const struct word exchanges[] = {
	{ "none", MX_NONE }, { "name", MX_NAME },
	{ "recipient", MX_RECIPIENT }, { NULL, MX_NONE }
};

static const struct word protocols[] = {
	{ "smtp", false }, { "lmtp", true }, { NULL, false }
};

/* What can be looked for in auth; NULL ends it. */
static const char *const mechanisms[] = {
	"SCRAM-SHA-256", "CRAM-MD5", "PLAIN", "LOGIN", NULL
};

/* The value of a word; of an unknown one that of the end. */
static int
value_of(const struct word *words, const char *name)
{
	for (; words->name != NULL; words++)
		if (name != NULL && strcasecmp(words->name, name) == 0)
			break;
	return words->value;
}

/* The mechanism as it is written in RFCs; NULL if unknown. */
static const char *
mechanism(const char *name)
{
	size_t i;

	for (i = 0; mechanisms[i] != NULL; i++)
		if (strcasecmp(mechanisms[i], name) == 0)
			break;
	return mechanisms[i];
}

/* ---- reading ---- */

struct reading {
	const struct conf *conf;
	struct conf_section *section;	/* NULL: of calls */
};

static struct conf_section *
holder(const struct reading *r, const char *name)
{
	return conf_holder(r->conf, "relay", r->section, name);
}

static const char *
text(const struct reading *r, const char *name, const char *otherwise)
{
	return conf_string(holder(r, name), name, otherwise);
}

static bool
truth(const struct reading *r, const char *name, bool otherwise)
{
	return conf_bool(holder(r, name), name, otherwise);
}

/* A number that is at least 1. */
static unsigned int
number(const struct reading *r, const char *name, unsigned int otherwise)
{
	int64_t n = conf_number(holder(r, name), name, otherwise);

	return n < 1 || n > INT32_MAX ? otherwise : (unsigned int)n;
}

/* All words of a list, which stay where they are. */
static const char **
list(const struct reading *r, const char *name, size_t *count)
{
	struct conf_setting *s = conf_setting(holder(r, name), name);
	const char **words = NULL;
	size_t i;

	for (*count = 0; s != NULL; s = conf_again(s))
		for (i = 0; i < s->count; i++) {
			words = reallocarray(words, *count + 1,
			    sizeof(*words));
			if (words == NULL)
				fatal("reallocarray");
			words[(*count)++] = s->words[i].text;
		}
	return words;
}

/* The mechanisms that are allowed. */
static void
read_auth(const struct reading *r, struct policy *policy)
{
	size_t i, kept = 0;

	policy->auth = list(r, "auth", &policy->auth_count);
	for (i = 0; i < policy->auth_count; i++) {
		if (strcasecmp(policy->auth[i], "none") == 0)
			policy->auth_none = true;
		else if (mechanism(policy->auth[i]) != NULL)
			policy->auth[kept++] = mechanism(policy->auth[i]);
	}
	policy->auth_count = kept;
}

/* The certificates believed; those of the system are shared by all. */
static const struct tls_trust *
read_trust(const char *file)
{
	const struct tls_trust *trust;
	const char *why;

	if (relay_is_local())
		return NULL;
	if (file == NULL && policies.system_read)
		return policies.system;
	trust = tls_trust_new(file, &why);
	if (trust == NULL)
		log_note(LOG_WARNING, "tls", "no certificates are trusted: "
		    "%s", why);
	if (file == NULL) {
		policies.system = trust;
		policies.system_read = true;
	}
	return trust;
}

static void
read_policy(const struct conf *conf, struct conf_section *section, bool lmtp,
    struct policy *policy)
{
	const struct reading r = { .conf = conf, .section = section };

	memset(policy, 0, sizeof(*policy));
	policy->section = section != NULL ? section->name : NULL;
	policy->lmtp = lmtp;
	if (section != NULL)
		policy->lmtp = value_of(protocols, text(&r, "protocol", NULL));
	policy->mx = (enum mx)value_of(exchanges, text(&r, "mx", NULL));
	policy->tls = (enum tls_level)value_of(levels, text(&r, "tls", NULL));
	policy->implicit = -1;
	if (holder(&r, "tls-implicit") != NULL)
		policy->implicit = truth(&r, "tls-implicit", false);
	policy->tls_names = list(&r, "tls-names", &policy->tls_name_count);
	policy->trust = read_trust(text(&r, "tls-ca-file", NULL));
	read_auth(&r, policy);
	policy->auth_clear = truth(&r, "auth-clear", false);
	policy->family = (enum family)value_of(families,
	    text(&r, "address-family", NULL));
	policy->private_hosts = truth(&r, "private-hosts", false);
	policy->helo_name = text(&r, "helo-name", relay_hostname());
	policy->port = (uint16_t)conf_number(section, "port",
	    policy->lmtp ? PORT_LMTP : PORT_SMTP);
	policy->max_connections = number(&r, "max-connections", CONNECTIONS);
	policy->max_messages = number(&r, "max-messages", MESSAGES);
	policy->idle_time = conf_duration(holder(&r, "idle-time"),
	    "idle-time", IDLE_TIME);
}

/*
 * Read it all; what is borrowed from the configuration stays there.
 */
void
policy_configure(struct child *child)
{
	struct conf_section *section;
	struct policy *policy;

	read_policy(child->conf, NULL, false, &policies.relay_calls);
	read_policy(child->conf, NULL, true, &policies.lmtp_calls);
	for (section = conf_section(child->conf, "relay", NULL);
	    section != NULL; section = conf_next(section)) {
		if (strcmp(section->name, "*") == 0)
			continue;
		policies.sections = reallocarray(policies.sections,
		    policies.count + 1, sizeof(*policy));
		if (policies.sections == NULL)
			fatal("reallocarray");
		policy = &policies.sections[policies.count++];
		read_policy(child->conf, section, false, policy);
	}
}

const struct policy *
policy_find(const char *section)
{
	size_t i;

	for (i = 0; i < policies.count; i++)
		if (strcmp(policies.sections[i].section, section) == 0)
			return &policies.sections[i];
	return NULL;
}

const struct policy *
policy_of_calls(bool lmtp)
{
	return lmtp ? &policies.lmtp_calls : &policies.relay_calls;
}

/*
 * Does TLS begin with the first octet at this port?
 */
bool
policy_is_implicit(const struct policy *policy, uint16_t port)
{
	return policy->implicit == -1 ? port == PORT_TLS :
	    policy->implicit != 0;
}

/* ---- -n ---- */

/* A word out of a few. */
static void
check_word(struct conf *conf, const struct conf_section *section,
    const char *name, const struct word *words)
{
	struct conf_setting *s = conf_setting(section, name);
	char known[128] = "";

	if (s == NULL)
		return;
	for (; words->name != NULL; words++) {
		if (strcasecmp(words->name, s->words[0].text) == 0)
			return;
		if (known[0] != '\0')
			strlcat(known, ", ", sizeof(known));
		strlcat(known, words->name, sizeof(known));
	}
	conf_wrong(conf, &s->words[0].place, "%s is one of: %s", name, known);
}

static void
check_range(struct conf *conf, const struct conf_section *section,
    const char *name, int64_t least, int64_t most)
{
	struct conf_setting *s = conf_setting(section, name);
	int64_t n = conf_number(section, name, least);

	if (s != NULL && (n < least || n > most))
		conf_wrong(conf, &s->words[0].place, "%s is a number from "
		    "%lld to %lld", name, (long long)least, (long long)most);
}

/* How much in what time: 100/1m. */
static void
check_rate(struct conf *conf, const struct conf_section *section)
{
	struct conf_setting *s = conf_setting(section, "rate");
	int64_t count, time;
	char copy[64], *slash;

	if (s == NULL)
		return;
	if (strlcpy(copy, s->words[0].text, sizeof(copy)) < sizeof(copy) &&
	    (slash = strchr(copy, '/')) != NULL) {
		*slash = '\0';
		if (conf_parse_number(copy, &count) == 0 && count > 0 &&
		    conf_parse_duration(slash + 1, &time) == 0 && time > 0)
			return;
	}
	conf_wrong(conf, &s->words[0].place, "a rate is written as 100/1m: "
	    "that many messages in that time");
}

static void
check_auth(struct conf *conf, const struct conf_section *section)
{
	struct conf_setting *s;
	size_t i, words = 0, none = 0;

	for (s = conf_setting(section, "auth"); s != NULL; s = conf_again(s))
		for (i = 0; i < s->count; i++, words++) {
			if (strcasecmp(s->words[i].text, "none") == 0)
				none++;
			else if (mechanism(s->words[i].text) == NULL)
				conf_wrong(conf, &s->words[i].place,
				    "auth %s is unknown; there are PLAIN, "
				    "LOGIN, CRAM-MD5, SCRAM-SHA-256 and none",
				    s->words[i].text);
		}
	if (none > 0 && words > none)
		conf_wrong(conf, &conf_setting(section, "auth")->place,
		    "auth is none, or names mechanisms");
}

/* What a server is told of us is a name without blanks. */
static void
check_helo(struct conf *conf, const struct conf_section *section)
{
	struct conf_setting *s = conf_setting(section, "helo-name");
	const char *at;

	if (s == NULL)
		return;
	for (at = s->words[0].text; isgraph((unsigned char)*at); at++)
		continue;
	if (*at != '\0' || at == s->words[0].text)
		conf_wrong(conf, &s->words[0].place, "helo-name is a host's "
		    "name");
}

static void
check_ca_file(struct conf *conf, const struct conf_section *section)
{
	struct conf_setting *s = conf_setting(section, "tls-ca-file");
	struct tls_trust *trust;
	const char *why;

	if (s == NULL)
		return;
	if ((trust = tls_trust_new(s->words[0].text, &why)) == NULL)
		conf_lacking(conf, &s->words[0].place, "tls-ca-file: %s",
		    why);
	tls_trust_free(trust);
}

/* [relay "*"] says how, not where. */
static void
check_star(struct conf *conf, const struct conf_section *section)
{
	static const char *const where[] = { "name", "address", "port" };
	struct conf_setting *s;
	size_t i;

	for (i = 0; i < sizeof(where) / sizeof(where[0]); i++)
		if ((s = conf_setting(section, where[i])) != NULL)
			conf_wrong(conf, &s->place, "[relay \"*\"] holds for "
			    "all next hops and has no %s of its own",
			    where[i]);
	s = conf_setting(section, "mx");
	if (s != NULL && strcasecmp(s->words[0].text, "recipient") == 0)
		conf_wrong(conf, &s->place, "mx = recipient belongs into a "
		    "[relay] of its own; relay() does the same");
}

/* A [relay] that mail can be sent to. */
static void
check_hosts(struct conf *conf, const struct conf_section *section)
{
	struct conf_setting *s = conf_setting(section, "mx");
	const char *why;

	if (s != NULL && strcasecmp(s->words[0].text, "none") != 0 &&
	    conf_setting(section, "address") != NULL)
		conf_wrong(conf, &s->place, "mx = %s asks for hosts, and "
		    "address names them; write one of them",
		    s->words[0].text);
	if ((why = sources_check(section)) != NULL)
		conf_wrong(conf, &section->place, "[relay %s] cannot be "
		    "used: %s; write host or host:port", section->name, why);
}

/* LMTP is for a host that is named (RFC 2033 5: never to port 25). */
static void
check_lmtp(struct conf *conf, struct conf_section *section)
{
	const struct reading r = { .conf = conf, .section = section };
	struct conf_setting *s = conf_setting(section, "port");

	if (!value_of(protocols, text(&r, "protocol", NULL)))
		return;
	if (value_of(exchanges, text(&r, "mx", NULL)) != MX_NONE)
		conf_wrong(conf, &section->place, "mail exchangers do not "
		    "speak LMTP; set mx = none");
	if (s != NULL && conf_number(section, "port", 0) == PORT_SMTP)
		conf_wrong(conf, &s->place, "LMTP is not spoken to port 25");
}

void
policy_check(struct conf *conf)
{
	struct conf_section *section;

	for (section = conf_section(conf, "relay", NULL); section != NULL;
	    section = conf_next(section)) {
		check_word(conf, section, "mx", exchanges);
		check_word(conf, section, "protocol", protocols);
		check_word(conf, section, "tls", levels);
		check_word(conf, section, "address-family", families);
		check_range(conf, section, "port", 1, 65535);
		check_range(conf, section, "max-connections", 1, 1000);
		check_range(conf, section, "max-messages", 1, INT32_MAX);
		check_range(conf, section, "max-rcpt-to", 1, 10000);
		check_rate(conf, section);
		check_auth(conf, section);
		check_helo(conf, section);
		check_ca_file(conf, section);
		if (strcmp(section->name, "*") == 0) {
			check_star(conf, section);
			continue;
		}
		check_hosts(conf, section);
		check_lmtp(conf, section);
	}
}
