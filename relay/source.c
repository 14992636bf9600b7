/*
 * What a hop's text means: hosts that are named, or names whose mail
 * exchangers are the hosts.  Looks nothing up.
 */
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "relay.h"
#include "target.h"

#define PORT_SMTP	25

/* A host of relay(...), lmtp(...) or of an address setting. */
struct named {
	char		 name[WIRE_DOMAIN];
	uint16_t	 port;
	bool		 bracketed;
};

static struct source *
add(struct sources *sources, const char *name, uint16_t port)
{
	struct source *source;

	sources->list = reallocarray(sources->list, sources->count + 1,
	    sizeof(*source));
	if (sources->list == NULL)
		fatal("reallocarray");
	source = &sources->list[sources->count++];
	memset(source, 0, sizeof(*source));
	strlcpy(source->host.name, name, sizeof(source->host.name));
	source->host.port = port != 0 ? port : sources->policy->port;
	source->host.secure = true;
	return source;
}

/* A name, not an address, whose exchangers can be asked for. */
static bool
has_exchangers(const struct named *named)
{
	struct netaddr address;

	return !named->bracketed && netaddr_parse(named->name, &address) == -1;
}

static int
next_named(const char **argument, struct named *named)
{
	return target_next_host(argument, named->name, sizeof(named->name),
	    &named->port, &named->bracketed);
}

/* One word that must name one host. */
static int
read_word(const char *word, struct named *named)
{
	return next_named(&word, named) == 1 && *word == '\0' ? 0 : -1;
}

/* ---- the recipient's domain ---- */

/* user@[192.0.2.1] or user@[IPv6:2001:db8::1] (RFC 5321 4.1.3). */
static const char *
read_literal(const char *text, struct sources *sources)
{
	char copy[WIRE_DOMAIN];
	struct netaddr address;
	size_t length = strlen(text);

	strlcpy(copy, text + 1, sizeof(copy));
	if (length < 3 || length > sizeof(copy) || copy[length - 2] != ']')
		return "the recipient's address literal is malformed";
	copy[length - 2] = '\0';
	text = strncasecmp(copy, "IPv6:", 5) == 0 ? copy + 5 : copy;
	if (netaddr_parse(text, &address) == -1)
		return "the recipient's address literal is malformed";
	add(sources, text, 0)->foreign = true;
	return NULL;
}

static const char *
read_exchange(const char *domain, struct sources *sources)
{
	struct source *source;

	if (domain[0] == '[')
		return read_literal(domain, sources);
	source = add(sources, domain, 0);
	source->exchange = source->foreign = true;
	source->host.secure = false;
	return NULL;
}

/* ---- a call ---- */

/* The socket of lmtp(/path). */
static const char *
read_path(const char *path, struct sources *sources)
{
	if (!relay_is_local())
		return "this relay has no Unix sockets";
	if (strlen(path) >= WIRE_DOMAIN || strlen(path) >= 108)
		return "the path of its socket is too long";
	add(sources, path, 0);
	return NULL;
}

static const char *
read_hosts(const char *argument, struct sources *sources)
{
	struct source *source;
	struct named named;
	int more;

	while ((more = next_named(&argument, &named)) == 1) {
		source = add(sources, named.name, named.port);
		source->exchange = !sources->policy->lmtp &&
		    sources->policy->mx == MX_NAME && has_exchangers(&named);
	}
	return more == -1 ? "its list of hosts is malformed" : NULL;
}

static const char *
read_call(const char *text, const char *exchange, struct sources *sources)
{
	struct target target;
	const char *why = NULL;

	if (target_parse(text, &target, &why) == -1)
		return why;
	sources->policy = policy_of_calls(target.call == CALL_LMTP);
	if (target.kind != TARGET_CALL || (target.call != CALL_RELAY &&
	    target.call != CALL_LMTP))
		why = "it is neither relay(...) nor lmtp(...)";
	else if (exchange[0] != '\0')
		why = read_exchange(exchange, sources);
	else if (target.argument[0] == '/')
		why = read_path(target.argument, sources);
	else
		why = read_hosts(target.argument, sources);
	target_free(&target);
	return why;
}

/* ---- a [relay] ---- */

/* Its addresses in order, each as the host that name says. */
static const char *
read_addresses(const struct conf_section *section, struct sources *sources)
{
	const char *name = conf_string(section, "name", NULL);
	struct conf_setting *s;
	struct source *source;
	struct named named;
	size_t i;

	for (s = conf_setting(section, "address"); s != NULL;
	    s = conf_again(s))
		for (i = 0; i < s->count; i++) {
			if (read_word(s->words[i].text, &named) == -1)
				return "an address of it is malformed";
			source = add(sources, name != NULL ? name :
			    named.name, named.port);
			if (name != NULL)
				strlcpy(source->host.address, named.name,
				    sizeof(source->host.address));
		}
	return NULL;
}

static const char *
read_section(const struct conf_section *section, struct sources *sources)
{
	struct source *source;
	struct named named;

	if (conf_setting(section, "address") != NULL)
		return read_addresses(section, sources);
	if (read_word(conf_string(section, "name", section->name),
	    &named) == -1)
		return "its name is malformed";
	source = add(sources, named.name, named.port);
	source->exchange = sources->policy->mx == MX_NAME &&
	    has_exchangers(&named);
	return NULL;
}

/* RFC 2033 5: who listens there speaks SMTP. */
static const char *
port_fault(const struct sources *sources)
{
	size_t i;

	for (i = 0; i < sources->count; i++)
		if (sources->policy->lmtp &&
		    sources->list[i].host.port == PORT_SMTP)
			return "LMTP is not spoken to port 25";
	return NULL;
}

const char *
sources_check(const struct conf_section *section)
{
	const struct policy policy = {
		.mx = MX_NONE, .lmtp = strcasecmp(conf_string(section,
		    "protocol", "smtp"), "lmtp") == 0
	};
	struct sources sources = { .policy = &policy };
	const char *why;

	why = read_section(section, &sources);
	if (why == NULL)
		why = port_fault(&sources);
	free(sources.list);
	return why;
}

/* ---- both ---- */

/* Could there be a login?  Not for sockets of this machine. */
static bool
may_want_login(const struct sources *sources)
{
	return !sources->policy->auth_none &&
	    sources->list[0].key != NULL &&
	    sources->list[0].host.name[0] != '/';
}

/*
 * Which secret belongs to each: its section's, or its own; none to hosts that
 * only a recipient names, since anybody could have them named.
 */
static void
set_keys(struct sources *sources, bool recipient)
{
	const char *section = sources->policy->section;
	size_t i;

	for (i = 0; i < sources->count; i++)
		sources->list[i].key = recipient ? NULL : section != NULL ?
		    section : sources->list[i].host.name;
}

const char *
sources_read(const struct conf *conf, const char *text, const char *exchange,
    struct sources *sources)
{
	const struct conf_section *section = NULL;
	const char *why;

	memset(sources, 0, sizeof(*sources));
	sources->policy = policy_of_calls(false);
	if (strchr(text, '(') != NULL)
		why = read_call(text, exchange, sources);
	else if (strcmp(text, "*") == 0 ||
	    (section = conf_section(conf, "relay", text)) == NULL ||
	    (sources->policy = policy_find(text)) == NULL)
		why = "the configuration has no such [relay]";
	else if (exchange[0] != '\0')
		why = read_exchange(exchange, sources);
	else
		why = read_section(section, sources);
	if (why == NULL && sources->count == 0)
		why = "it names no host";
	if (why == NULL)
		why = port_fault(sources);
	if (why == NULL && relay_is_local() !=
	    (sources->list[0].host.name[0] == '/'))
		why = "this relay has Unix sockets only";
	set_keys(sources, exchange[0] != '\0');
	if (why == NULL && may_want_login(sources))
		why = secrets_fault();
	return why;
}
