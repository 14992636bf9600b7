/*
 * The table of sections and settings, and the search for the one that
 * somebody meant.  Owns no values; knows no defaults.
 */
#include <stddef.h>
#include <string.h>

#include "conf_keyword.h"

#define NAME_MAX_COMPARED	63	/* longer words resemble nothing */

static const struct conf_kind kinds[] = {
	{ "core",	CONF_UNNAMED },
	{ "syslog",	CONF_UNNAMED },
	{ "logfile",	CONF_NAMED },
	{ "pipe",	CONF_NAMED },
	{ "relay",	CONF_NAMED },
	{ "smtpd",	CONF_NAMED },
	{ "route",	CONF_MAY_BE_NAMED },
	{ NULL,		CONF_UNNAMED }
};

static const struct conf_keyword keywords[] = {
	{ "core",	"hostname",		CONF_STRING },
	{ "core",	"mail-name",		CONF_STRING },
	{ "core",	"local-domains",	CONF_LIST },
	{ "core",	"spool-directory",	CONF_PATH },
	{ "core",	"run-directory",	CONF_PATH },
	{ "core",	"pid-file",		CONF_PATH },
	{ "core",	"logger",		CONF_STRING },
	{ "core",	"local-mailer",		CONF_STRING },
	{ "core",	"alias-file",		CONF_PATH },
	{ "core",	"root-mail",		CONF_STRING },
	{ "core",	"min-uid",		CONF_NUMBER },
	{ "core",	"extension-separator",	CONF_STRING },
	{ "core",	"program-user",		CONF_STRING },
	{ "core",	"operator-group",	CONF_STRING },
	{ "core",	"user-id",		CONF_STRING },
	{ "core",	"group-id",		CONF_STRING },
	{ "core",	"smtpd-user",		CONF_STRING },
	{ "core",	"policyd-user",		CONF_STRING },
	{ "core",	"spoold-user",		CONF_STRING },
	{ "core",	"relay-user",		CONF_STRING },
	{ "core",	"smtpd-workers",	CONF_NUMBER },
	{ "core",	"relay-workers",	CONF_NUMBER },
	{ "core",	"message-size",		CONF_SIZE },
	{ "core",	"max-recipients",	CONF_NUMBER },
	{ "core",	"max-hops",		CONF_NUMBER },
	{ "core",	"line-length",		CONF_NUMBER },
	{ "core",	"retry-min",		CONF_DURATION },
	{ "core",	"retry-max",		CONF_DURATION },
	{ "core",	"expire",		CONF_DURATION },
	{ "core",	"delay-notice",		CONF_DURATION },
	{ "core",	"bounce-expire",	CONF_DURATION },
	{ "core",	"bounce-to",		CONF_STRING },
	{ "core",	"disk-reserve",		CONF_SIZE },
	{ "core",	"window",		CONF_NUMBER },
	{ "core",	"secrets-file",		CONF_PATH },
	{ "core",	"resolver",		CONF_LIST },
	{ "core",	"resolver-trusted",	CONF_BOOL },

	{ "syslog",	"ident",		CONF_STRING },
	{ "syslog",	"facility",		CONF_STRING },

	{ "logfile",	"file",			CONF_PATH },

	{ "pipe",	"exec",			CONF_WORDS },
	{ "pipe",	"max-rcpt-to",		CONF_NUMBER },
	{ "pipe",	"user",			CONF_STRING },
	{ "pipe",	"from-line",		CONF_BOOL },
	{ "pipe",	"time-limit",		CONF_DURATION },

	{ "relay",	"name",			CONF_STRING },
	{ "relay",	"address",		CONF_LIST },
	{ "relay",	"port",			CONF_NUMBER },
	{ "relay",	"mx",			CONF_STRING },
	{ "relay",	"protocol",		CONF_STRING },
	{ "relay",	"tls",			CONF_STRING },
	{ "relay",	"tls-names",		CONF_LIST },
	{ "relay",	"tls-implicit",		CONF_BOOL },
	{ "relay",	"tls-ca-file",		CONF_PATH },
	{ "relay",	"auth",			CONF_LIST },
	{ "relay",	"auth-clear",		CONF_BOOL },
	{ "relay",	"address-family",	CONF_STRING },
	{ "relay",	"private-hosts",	CONF_BOOL },
	{ "relay",	"helo-name",		CONF_STRING },
	{ "relay",	"max-connections",	CONF_NUMBER },
	{ "relay",	"max-messages",		CONF_NUMBER },
	{ "relay",	"max-rcpt-to",		CONF_NUMBER },
	{ "relay",	"rate",			CONF_STRING },
	{ "relay",	"idle-time",		CONF_DURATION },

	{ "smtpd",	"name",			CONF_STRING },
	{ "smtpd",	"listen-port",		CONF_LIST },
	{ "smtpd",	"routing-table",	CONF_LIST },
	{ "smtpd",	"logger",		CONF_STRING },
	{ "smtpd",	"local-rcpt-to",	CONF_BOOL },
	{ "smtpd",	"trusted",		CONF_LIST },
	{ "smtpd",	"strict-syntax",	CONF_BOOL },
	{ "smtpd",	"banner-delay",		CONF_DURATION },
	{ "smtpd",	"command-timeout",	CONF_DURATION },
	{ "smtpd",	"data-timeout",		CONF_DURATION },
	{ "smtpd",	"spool-timeout",	CONF_DURATION },
	{ "smtpd",	"max-recipients",	CONF_NUMBER },
	{ "smtpd",	"message-size",		CONF_SIZE },
	{ "smtpd",	"max-hops",		CONF_NUMBER },
	{ "smtpd",	"line-length",		CONF_NUMBER },
	{ "smtpd",	"max-errors",		CONF_NUMBER },
	{ "smtpd",	"max-unknown-commands",	CONF_NUMBER },
	{ "smtpd",	"max-sessions",		CONF_NUMBER },
	{ "smtpd",	"max-sessions-per-network", CONF_NUMBER },
	{ "smtpd",	"ipv4-prefix",		CONF_NUMBER },
	{ "smtpd",	"ipv6-prefix",		CONF_NUMBER },

	{ NULL,		NULL,			CONF_STRING }
};

/* The section type of that name. */
const struct conf_kind *
conf_kind(const char *type)
{
	const struct conf_kind *kind;

	for (kind = kinds; kind->type != NULL; kind++)
		if (strcmp(kind->type, type) == 0)
			return kind;
	return NULL;
}

/* The setting of that name, in one section or in any. */
const struct conf_keyword *
conf_keyword(const char *section, const char *name)
{
	const struct conf_keyword *row;

	for (row = keywords; row->name != NULL; row++)
		if ((section == NULL || strcmp(row->section, section) == 0) &&
		    strcmp(row->name, name) == 0)
			return row;
	return NULL;
}

const struct conf_keyword *
conf_keyword_row(unsigned int n)
{
	if (n >= sizeof(keywords) / sizeof(keywords[0]) - 1)
		return NULL;
	return &keywords[n];
}

/* How many octets must be changed, put in or taken out (Levenshtein). */
static size_t
distance(const char *a, const char *b)
{
	size_t row[NAME_MAX_COMPARED + 1];
	size_t diagonal, above, best, i, j;
	size_t length = strlen(b);

	for (j = 0; j <= length; j++)
		row[j] = j;
	for (i = 1; a[i - 1] != '\0'; i++) {
		diagonal = row[0];
		row[0] = i;
		for (j = 1; j <= length; j++) {
			above = row[j];
			best = diagonal + (a[i - 1] != b[j - 1]);
			if (above + 1 < best)
				best = above + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
			diagonal = above;
		}
	}
	return row[length];
}

/* Keep the candidate if it is nearer to the word than the best so far. */
static void
consider(const char *word, const char *candidate, const char **nearest,
    size_t *least)
{
	size_t changes = distance(word, candidate);

	if (changes < *least) {
		*least = changes;
		*nearest = candidate;
	}
}

/* One more than the changes up to which a word may be meant. */
static size_t
tolerance(const char *word)
{
	size_t length = strlen(word);

	if (length > NAME_MAX_COMPARED)
		return 0;
	return length / 3 + 2 < 5 ? length / 3 + 2 : 5;
}

const char *
conf_nearest_kind(const char *word)
{
	const struct conf_kind *kind;
	const char *nearest = NULL;
	size_t least = tolerance(word);

	for (kind = kinds; kind->type != NULL; kind++)
		consider(word, kind->type, &nearest, &least);
	return nearest;
}

const char *
conf_nearest_keyword(const char *section, const char *word)
{
	const struct conf_keyword *row;
	const char *nearest = NULL;
	size_t least = tolerance(word);

	for (row = keywords; row->name != NULL; row++)
		if (strcmp(row->section, section) == 0)
			consider(word, row->name, &nearest, &least);
	return nearest;
}
