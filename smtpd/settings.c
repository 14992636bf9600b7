/*
 * What the configuration says of each listener, with the defaults where it
 * says nothing.  Owns the settings, which live as long as the process.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clock.h"
#include "conf.h"
#include "log.h"
#include "smtpd.h"

#define MAILNAME	"/etc/mailname"

/* Defaults: at or above what RFC 5321 4.5.3 asks for. */
#define BANNER_DELAY	INT64_C(0)
#define COMMAND_TIMEOUT	(5 * MINUTE)
#define DATA_TIMEOUT	(5 * MINUTE)
#define SPOOL_TIMEOUT	(8 * MINUTE)
#define MAX_RECIPIENTS	1000
#define MAX_HOPS	100
#define MAX_ERRORS	20
#define MAX_UNKNOWN	5
#define MAX_SESSIONS	1000
#define MAX_PER_NETWORK	100
#define IPV4_PREFIX	24
#define IPV6_PREFIX	56

/* What the RFC asks for at least; less is legal and worth a note. */
#define RFC_RECIPIENTS	100
#define RFC_MESSAGE_SIZE 65536
#define RFC_LINE_LENGTH	998
#define RFC_HOPS	100

/* Wider trust than this is a mistake. */
#define TRUST_IPV4	8
#define TRUST_IPV6	7

static TAILQ_HEAD(, settings) all = TAILQ_HEAD_INITIALIZER(all);

static const char *const loopback[] = { "127.0.0.0/8", "::1" };

/* ---- what is checked by -n ---- */

static void
check_trusted(struct conf *conf, const struct conf_word *word)
{
	struct netblock block;

	if (strcasecmp(word->text, "none") == 0)
		return;
	if (netblock_parse(word->text, &block) == -1)
		conf_wrong(conf, &word->place, "\"%s\" is no network; write "
		    "address or address/bits, or none", word->text);
	else if (block.bits < (block.address.family == 4 ? TRUST_IPV4 :
	    TRUST_IPV6))
		conf_wrong(conf, &word->place, "trusting %s would open this "
		    "server to strangers; /%d is the widest", word->text,
		    block.address.family == 4 ? TRUST_IPV4 : TRUST_IPV6);
}

/* Complain of a number out of its range, warn of one below the RFC's. */
static void
check_number(struct conf *conf, const struct conf_section *section,
    const char *name, int64_t value, int64_t least, int64_t most, int64_t rfc)
{
	const struct conf_setting *setting = conf_setting(section, name);

	if (setting == NULL)
		return;
	if (value < least || value > most)
		conf_wrong(conf, &setting->words[0].place,
		    "%s must be from %lld to %lld", name, (long long)least,
		    (long long)most);
	else if (value != 0 && value < rfc)
		conf_warning(conf, &setting->words[0].place,
		    "%s is less than RFC 5321 asks for (%lld)", name,
		    (long long)rfc);
}

static void
check_duration(struct conf *conf, const struct conf_section *section,
    const char *name, int64_t least, int64_t most, int64_t rfc)
{
	const struct conf_setting *setting = conf_setting(section, name);
	int64_t value = conf_duration(section, name, least);

	if (setting == NULL)
		return;
	if (value < least || value > most)
		conf_wrong(conf, &setting->words[0].place,
		    "%s must be from %llds to %llds", name,
		    (long long)(least / SECOND), (long long)(most / SECOND));
	else if (value < rfc)
		conf_warning(conf, &setting->words[0].place,
		    "%s is less than RFC 5321 asks for (%llds)", name,
		    (long long)(rfc / SECOND));
}

struct number_check {
	const char	*name;
	int64_t		 least, most, rfc;
};

static const struct number_check numbers[] = {
	{ "max-recipients", 1, 100000, RFC_RECIPIENTS },
	{ "max-hops", 1, 10000, RFC_HOPS },
	{ "line-length", 0, INT32_MAX, RFC_LINE_LENGTH },
	{ "max-errors", 0, INT32_MAX, 0 },
	{ "max-unknown-commands", 0, INT32_MAX, 0 },
	{ "max-sessions", 0, INT32_MAX, 0 },
	{ "max-sessions-per-network", 0, INT32_MAX, 0 },
	{ "ipv4-prefix", 1, 32, 0 },
	{ "ipv6-prefix", 1, 128, 0 },
	{ NULL, 0, 0, 0 }
};

static void
check_section(struct conf *conf, const struct conf_section *section)
{
	const struct conf_setting *setting;
	const struct number_check *check;
	size_t i;

	for (check = numbers; check->name != NULL; check++)
		check_number(conf, section, check->name,
		    conf_number(section, check->name, check->least),
		    check->least, check->most, check->rfc);
	check_number(conf, section, "message-size",
	    conf_size(section, "message-size", 0), 0, INT64_MAX,
	    RFC_MESSAGE_SIZE);
	check_duration(conf, section, "banner-delay", 0, MINUTE, 0);
	check_duration(conf, section, "command-timeout", SECOND, DAY,
	    COMMAND_TIMEOUT);
	check_duration(conf, section, "data-timeout", SECOND, DAY,
	    3 * MINUTE);
	check_duration(conf, section, "spool-timeout", SECOND, DAY, 0);
	for (setting = conf_setting(section, "trusted"); setting != NULL;
	    setting = conf_again(setting))
		for (i = 0; i < setting->count; i++)
			check_trusted(conf, &setting->words[i]);
}

void
settings_check(struct conf *conf)
{
	const struct conf_section *section;

	if ((section = conf_section(conf, "core", NULL)) != NULL)
		check_section(conf, section);
	for (section = conf_section(conf, "smtpd", NULL); section != NULL;
	    section = conf_next(section))
		check_section(conf, section);
}

/* ---- what is used ---- */

static void
trust(struct settings *settings, const char *text)
{
	struct netblock block;

	if (netblock_parse(text, &block) == -1)
		return;
	settings->trusted = reallocarray(settings->trusted,
	    settings->trusted_count + 1, sizeof(*settings->trusted));
	if (settings->trusted == NULL)
		fatal("trusted networks");
	settings->trusted[settings->trusted_count++] = block;
}

static void
load_trusted(struct settings *settings, const struct conf_section *section)
{
	const struct conf_setting *setting = conf_setting(section, "trusted");
	size_t i;

	if (setting == NULL)
		for (i = 0; i < sizeof(loopback) / sizeof(loopback[0]); i++)
			trust(settings, loopback[i]);
	for (; setting != NULL; setting = conf_again(setting))
		for (i = 0; i < setting->count; i++)
			trust(settings, setting->words[i].text);
}

/* This worker's part of a limit that all of them share. */
static int64_t
share(int64_t limit, uint32_t workers)
{
	return workers > 1 ? (limit + workers - 1) / workers : limit;
}

/* What a [smtpd] has and, for the local socket, [core]. */
static void
load_limits(struct settings *settings, const struct conf_section *section,
    uint32_t workers)
{
	settings->strict_syntax = conf_bool(section, "strict-syntax", false);
	settings->banner_delay = conf_duration(section, "banner-delay",
	    BANNER_DELAY);
	settings->command_timeout = conf_duration(section, "command-timeout",
	    COMMAND_TIMEOUT);
	settings->data_timeout = conf_duration(section, "data-timeout",
	    DATA_TIMEOUT);
	settings->spool_timeout = conf_duration(section, "spool-timeout",
	    SPOOL_TIMEOUT);
	settings->message_size = conf_size(section, "message-size", 0);
	settings->line_length = conf_number(section, "line-length", 0);
	settings->max_recipients = conf_number(section, "max-recipients",
	    MAX_RECIPIENTS);
	settings->max_hops = conf_number(section, "max-hops", MAX_HOPS);
	settings->max_errors = conf_number(section, "max-errors", MAX_ERRORS);
	settings->max_unknown_commands = conf_number(section,
	    "max-unknown-commands", MAX_UNKNOWN);
	settings->shared = workers > 1;
	settings->max_sessions = share(conf_number(section, "max-sessions",
	    MAX_SESSIONS), workers);
	settings->max_sessions_per_network = share(conf_number(section,
	    "max-sessions-per-network", MAX_PER_NETWORK), workers);
	settings->ipv4_prefix = (uint8_t)conf_number(section, "ipv4-prefix",
	    IPV4_PREFIX);
	settings->ipv6_prefix = (uint8_t)conf_number(section, "ipv6-prefix",
	    IPV6_PREFIX);
}

static struct settings *
settings_new(const struct child *child, const char *name, const char *host,
    const char *mail_name)
{
	struct settings *settings;

	if ((settings = calloc(1, sizeof(*settings))) == NULL)
		fatal("settings");
	(void)snprintf(settings->name, sizeof(settings->name), "%s", name);
	(void)snprintf(settings->host, sizeof(settings->host), "%s",
	    host != NULL ? host : child->hostname);
	(void)snprintf(settings->mail_name, sizeof(settings->mail_name), "%s",
	    mail_name);
	TAILQ_INSERT_TAIL(&all, settings, entry);
	return settings;
}

/* Who a [smtpd] is: its name, its section's if that is a host, or ours. */
static const char *
host_of(const struct conf_section *section)
{
	if (conf_setting(section, "name") != NULL)
		return conf_string(section, "name", NULL);
	return strchr(section->name, '.') != NULL &&
	    address_is_domain(section->name) ? section->name : NULL;
}

/* The domain of bare addresses: as configured, as Debian has it, or ours. */
static void
find_mail_name(const struct child *child, char *name, size_t size)
{
	const struct conf_section *core = conf_section(child->conf, "core",
	    NULL);
	char line[WIRE_DOMAIN + 2] = "";
	FILE *file;

	(void)snprintf(name, size, "%s", conf_string(core, "mail-name",
	    child->hostname));
	if (conf_setting(core, "mail-name") != NULL ||
	    (file = fopen(MAILNAME, "re")) == NULL)
		return;
	if (fgets(line, sizeof(line), file) != NULL) {
		line[strcspn(line, " \t\r\n")] = '\0';
		if (address_is_domain(line))
			(void)strlcpy(name, line, size);
	}
	(void)fclose(file);
}

void
settings_load(const struct child *child)
{
	const struct conf_section *section;
	struct settings *settings;
	char mail_name[WIRE_DOMAIN];

	find_mail_name(child, mail_name, sizeof(mail_name));
	settings = settings_new(child, "", NULL, mail_name);
	settings->local = true;
	load_limits(settings, conf_section(child->conf, "core", NULL), 1);
	settings->max_errors = settings->max_unknown_commands = 0;
	for (section = conf_section(child->conf, "smtpd", NULL);
	    section != NULL; section = conf_next(section)) {
		settings = settings_new(child, section->name,
		    host_of(section), mail_name);
		(void)snprintf(settings->logger, sizeof(settings->logger),
		    "%s", conf_string(section, "logger", ""));
		settings->local_rcpt_to = conf_bool(section, "local-rcpt-to",
		    false);
		load_limits(settings, section, child->workers);
		load_trusted(settings, section);
	}
}

const struct settings *
settings_of(const char *name)
{
	const struct settings *settings;

	TAILQ_FOREACH(settings, &all, entry)
		if (strcmp(settings->name, name) == 0)
			return settings;
	return NULL;
}

bool
settings_trust(const struct settings *settings, const struct netaddr *address)
{
	size_t i;

	for (i = 0; i < settings->trusted_count; i++)
		if (netblock_contains(&settings->trusted[i], address))
			return true;
	return settings->local;
}
