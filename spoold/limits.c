/*
 * What [relay] sections say of how next hops are to be treated.  A hop is
 * known by its text: a section's name, or a call, for which only the section
 * "*" speaks.
 */
#include <string.h>

#include "conf.h"
#include "spoold.h"

#define CONNECTIONS	20
#define RECIPIENTS	100	/* RFC 5321 4.5.3.1.8 */
#define MOST		100000	/* of either */

static struct conf_section *
section_of(const char *hop)
{
	return strcmp(hop, "*") == 0 ? NULL :
	    conf_section(spoold_conf(), "relay", hop);
}

static uint32_t
number(struct conf_section *own, const char *name, uint32_t otherwise)
{
	const struct conf_section	*holder;
	int64_t				 value;

	holder = conf_holder(spoold_conf(), "relay", own, name);
	value = conf_number(holder, name, otherwise);
	return value >= 1 && value <= MOST ? (uint32_t)value : otherwise;
}

/* Is its host the path of a Unix socket? */
static bool
is_unix(const char *hop, const struct conf_section *own)
{
	if (own == NULL)
		return strncmp(hop, "lmtp(/", 6) == 0;
	return conf_string(own, "name", own->name)[0] == '/';
}

/* Is LMTP spoken there?  Then what it takes has been delivered. */
bool
limits_is_lmtp(const char *hop)
{
	struct conf_section	*own = section_of(hop);

	return strncmp(hop, "lmtp(", 5) == 0 || strcmp(conf_string(
	    conf_holder(spoold_conf(), "relay", own, "protocol"), "protocol",
	    ""), "lmtp") == 0;
}

void
limits_of(const char *hop, struct hop_limits *limits)
{
	struct conf_section	*own = section_of(hop), *holder;
	const char		*text;

	memset(limits, 0, sizeof(*limits));
	limits->is_unix = is_unix(hop, own);
	limits->connections = number(own, "max-connections", CONNECTIONS);
	limits->recipients = number(own, "max-rcpt-to", RECIPIENTS);
	holder = conf_holder(spoold_conf(), "relay", own, "rate");
	text = conf_string(holder, "rate", NULL);
	if (text == NULL || conf_parse_rate(text, &limits->rate.count,
	    &limits->rate.time) == -1) {
		limits->rate.count = 0;
		return;
	}
	(void)strlcpy(limits->section, holder->name, sizeof(limits->section));
}
