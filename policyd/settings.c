/*
 * What the configuration says apart from its routes, with policyd's
 * defaults.  Read once, before the jail; const from then on.
 */
#include <sys/socket.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "log.h"
#include "netaddr.h"
#include "policyd.h"

#define MAILNAME	"/etc/mailname"
#define ROOT_MAIL	"mail"
#define PROGRAM_USER	"_maild"
#define MIN_UID		1000

static void *
need(void *memory)
{
	if (memory == NULL)
		fatal("reading the settings");
	return memory;
}

/* The host's own name, from the configuration or the kernel. */
static char *
find_hostname(const struct conf_section *core)
{
	const char *set = conf_string(core, "hostname", NULL);
	char name[WIRE_DOMAIN];

	if (set != NULL)
		return need(strdup(set));
	if (gethostname(name, sizeof(name)) == -1)
		fatal("the host's name");
	name[sizeof(name) - 1] = '\0';
	return need(strdup(name));
}

/* The name in /etc/mailname, else the host's. */
static char *
find_mail_name(const struct conf_section *core, const char *hostname)
{
	const char *set = conf_string(core, "mail-name", NULL);
	char *line = NULL;
	size_t size = 0;
	FILE *file;

	if (set != NULL)
		return need(strdup(set));
	if ((file = fopen(MAILNAME, "re")) != NULL) {
		if (getline(&line, &size, file) != -1)
			line[strcspn(line, " \t\r\n")] = '\0';
		(void)fclose(file);
	}
	if (line != NULL && address_is_domain(line))
		return line;
	free(line);
	return need(strdup(hostname));
}

static void
add_domain(struct settings *settings, const char *domain)
{
	settings->domains = need(reallocarray(settings->domains,
	    settings->domain_count + 1, sizeof(*settings->domains)));
	settings->domains[settings->domain_count++] = need(strdup(domain));
}

/* [192.0.2.1] or [IPv6:2001:db8::1] for each address of this machine. */
static void
add_literals(struct settings *settings)
{
	struct ifaddrs *all, *one;
	char address[INET6_ADDRSTRLEN], literal[INET6_ADDRSTRLEN + 8];
	const void *octets;
	int family;

	if (getifaddrs(&all) == -1) {
		log_errno(LOG_WARNING, "settings", "the interfaces' addresses");
		return;
	}
	for (one = all; one != NULL; one = one->ifa_next) {
		if (one->ifa_addr == NULL)
			continue;
		family = one->ifa_addr->sa_family;
		if (family == AF_INET)
			octets = &((const struct sockaddr_in *)(const void *)
			    one->ifa_addr)->sin_addr;
		else if (family == AF_INET6)
			octets = &((const struct sockaddr_in6 *)(const void *)
			    one->ifa_addr)->sin6_addr;
		else
			continue;
		if (inet_ntop(family, octets, address, sizeof(address)) ==
		    NULL)
			continue;
		(void)snprintf(literal, sizeof(literal), "[%s%s]",
		    family == AF_INET6 ? "IPv6:" : "", address);
		add_domain(settings, literal);
	}
	freeifaddrs(all);
}

static void
read_domains(struct settings *settings, const struct conf_section *core)
{
	const struct conf_setting *setting;
	size_t i;

	setting = conf_setting(core, "local-domains");
	if (setting == NULL) {
		add_domain(settings, settings->hostname);
		add_domain(settings, settings->mail_name);
		add_domain(settings, "localhost");
		add_literals(settings);
		return;
	}
	for (; setting != NULL; setting = conf_again(setting))
		for (i = 0; i < setting->count; i++)
			add_domain(settings, setting->words[i].text);
}

/* Read [smtpd NAME], or the local socket if section is NULL. */
static void
read_listener(struct listener *listener, const struct conf_section *section)
{
	const struct conf_setting *setting;
	size_t i;

	memset(listener, 0, sizeof(*listener));
	listener->name = section == NULL ? "" : section->name;
	listener->bare_names = section == NULL ||
	    conf_bool(section, "local-rcpt-to", false);
	for (setting = conf_setting(section, "routing-table");
	    setting != NULL; setting = conf_again(setting))
		for (i = 0; i < setting->count; i++) {
			listener->tables = need(reallocarray(listener->tables,
			    listener->table_count + 1,
			    sizeof(*listener->tables)));
			listener->tables[listener->table_count++] =
			    setting->words[i].text;
		}
}

static void
read_listeners(struct settings *settings)
{
	const struct conf_section *section;
	size_t count = 1;

	for (section = conf_section(settings->conf, "smtpd", NULL);
	    section != NULL; section = conf_next(section))
		count++;
	settings->listeners = need(calloc(count, sizeof(struct listener)));
	read_listener(&settings->listeners[settings->listener_count++], NULL);
	for (section = conf_section(settings->conf, "smtpd", NULL);
	    section != NULL; section = conf_next(section))
		read_listener(&settings->listeners[settings->listener_count++],
		    section);
}

static void
read_local_mailer(struct settings *settings, const struct conf_section *core)
{
	const char *mailer = conf_string(core, "local-mailer", "mbox");

	if (conf_section(settings->conf, "pipe", mailer) != NULL) {
		settings->local_mailer = LOCAL_PIPE;
		settings->local_pipe = mailer;
	} else if (strcmp(mailer, "maildir") == 0)
		settings->local_mailer = LOCAL_MAILDIR;
	else if (strcmp(mailer, "mbox") == 0)
		settings->local_mailer = LOCAL_MBOX;
	else {
		/* Found missing when mail comes for it, and by -n. */
		settings->local_mailer = LOCAL_PIPE;
		settings->local_pipe = mailer;
	}
}

struct settings *
settings_new(struct conf *conf, const char *program_user)
{
	struct settings *settings = need(calloc(1, sizeof(*settings)));
	const struct conf_section *core = conf_section(conf, "core", "");

	settings->conf = conf;
	settings->hostname = find_hostname(core);
	settings->mail_name = find_mail_name(core, settings->hostname);
	settings->separators = conf_string(core, "extension-separator", "+");
	settings->root_mail = conf_string(core, "root-mail", ROOT_MAIL);
	settings->min_uid = (uid_t)conf_number(core, "min-uid", MIN_UID);
	settings->program_user = need(strdup(program_user != NULL ?
	    program_user : conf_string(core, "program-user", PROGRAM_USER)));
	settings->alias_file = conf_string(core, "alias-file", NULL);
	read_domains(settings, core);
	read_local_mailer(settings, core);
	read_listeners(settings);
	return settings;
}

void
settings_free(struct settings *settings)
{
	size_t i;

	if (settings == NULL)
		return;
	for (i = 0; i < settings->listener_count; i++)
		free(settings->listeners[i].tables);
	free(settings->listeners);
	for (i = 0; i < settings->domain_count; i++)
		free(settings->domains[i]);
	free(settings->domains);
	free(settings->hostname);
	free(settings->mail_name);
	free(settings->program_user);
	free(settings);
}

/* The address within a literal, 0 or -1. */
static int
literal_address(const char *domain, struct netaddr *address)
{
	static const char tag[] = "[IPv6:";
	char inner[NETADDR_TEXT];
	bool tagged = strncasecmp(domain, tag, strlen(tag)) == 0;
	const char *start = domain + (tagged ? strlen(tag) : 1);

	if (*domain != '[' ||
	    strlcpy(inner, start, sizeof(inner)) >= sizeof(inner))
		return -1;
	inner[strcspn(inner, "]")] = '\0';
	return netaddr_parse(inner, address);
}

/* One address can be written as many literals. */
static bool
same_domain(const char *a, const char *b)
{
	struct netaddr one, other;

	if (strcasecmp(a, b) == 0)
		return true;
	return literal_address(a, &one) == 0 &&
	    literal_address(b, &other) == 0 &&
	    one.family == other.family &&
	    memcmp(one.octets, other.octets, sizeof(one.octets)) == 0;
}

bool
settings_is_local(const struct settings *settings, const char *domain)
{
	size_t i;

	for (i = 0; i < settings->domain_count; i++)
		if (same_domain(settings->domains[i], domain))
			return true;
	return false;
}

const struct listener *
settings_listener(const struct settings *settings, const char *name)
{
	size_t i;

	for (i = 0; i < settings->listener_count; i++)
		if (strcmp(settings->listeners[i].name, name) == 0)
			return &settings->listeners[i];
	return NULL;
}

struct conf_section *
settings_hop(const struct settings *settings, const char *name)
{
	return strcmp(name, "*") == 0 ? NULL :
	    conf_section(settings->conf, "relay", name);
}
