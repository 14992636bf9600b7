/*
 * What the configuration says to postmaster itself: names, directories,
 * accounts, numbers of workers.  Complains, changes nothing.
 */
#include <sys/un.h>

#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "account.h"
#include "log.h"
#include "postmaster.h"

#define SPOOL_DIRECTORY	"/var/spool/postmaster"
#define RUN_DIRECTORY	"/run/postmaster"
#define OPERATOR_GROUP	"adm"
#define RELAYS_MAX	4		/* unless the configuration says so */

/* The unprivileged processes, the setting of their account, its default. */
static const struct role {
	enum process	 process;
	const char	*setting;
	const char	*account;
} roles[] = {
	{ PROC_SMTPD,	"smtpd-user",	"_smtpd" },
	{ PROC_POLICYD,	"policyd-user",	"_policyd" },
	{ PROC_SPOOLD,	"spoold-user",	"_spoold" },
	{ PROC_RELAY,	"relay-user",	"_relay" }
};

struct conf_place
settings_place(const struct conf *conf, const char *type, const char *name)
{
	const struct conf_section *section = conf_section(conf, type, NULL);
	const struct conf_setting *setting = conf_setting(section, name);

	if (setting != NULL)
		return setting->words[0].place;
	if (section != NULL)
		return section->place;
	return (struct conf_place){ conf->files[0], 1, 1 };
}

/* How many processors this process may use. */
static unsigned int
processors(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) == -1)
		return 1;
	return CPU_COUNT(&set);
}

/* A number of workers within what the wire can count. */
static unsigned int
workers(struct conf *conf, const char *name, unsigned int otherwise)
{
	struct conf_section *core = conf_section(conf, "core", NULL);
	int64_t count = conf_number(core, name, otherwise);
	struct conf_place place;

	if (count >= 1 && count < WIRE_WORKERS)
		return count;
	place = settings_place(conf, "core", name);
	conf_wrong(conf, &place, "%s must be from 1 to %d", name,
	    WIRE_WORKERS - 1);
	return 1;
}

/* The account of that name; a missing one is this machine's lack. */
static void
find_account(struct settings *settings, const char *setting, const char *name,
    struct identity *identity)
{
	struct conf *conf = settings->conf;
	struct conf_place place = settings_place(conf, "core", setting);
	struct account account;

	switch (account_by_name(name, &account)) {
	case ACCOUNT_YES:
		identity->uid = account.uid;
		identity->gid = account.gid;
		account_free(&account);
		if (identity->uid == 0)
			conf_wrong(conf, &place, "%s: the account %s is "
			    "root's; name one without rights", setting, name);
		break;
	case ACCOUNT_NO:
		settings->unusable = true;
		conf_lacking(conf, &place, "%s: there is no account %s; make "
		    "it (make install does) or name another", setting, name);
		break;
	case ACCOUNT_FAILED:
		settings->unusable = true;
		conf_lacking(conf, &place, "%s: the account %s cannot be "
		    "looked up: %s", setting, name, strerror(errno));
		break;
	}
}

static void
find_group(struct conf *conf, const char *setting, const char *name,
    gid_t *gid)
{
	struct conf_place place = settings_place(conf, "core", setting);
	struct group *group;

	errno = 0;
	if ((group = getgrnam(name)) != NULL)
		*gid = group->gr_gid;
	else
		conf_lacking(conf, &place, "%s: there is no group %s", setting,
		    name);
}

/* Who everybody is. */
static void
find_identities(struct settings *settings)
{
	struct conf *conf = settings->conf;
	struct conf_section *core = conf_section(conf, "core", NULL);
	const char *shared = conf_string(core, "user-id", NULL);
	const char *group = conf_string(core, "group-id", NULL);
	const char *own;
	struct conf_place place;
	const struct role *role;
	struct identity *identity;
	size_t i;

	if (shared != NULL) {
		place = settings_place(conf, "core", "user-id");
		conf_warning(conf, &place, "one account for smtpd, policyd, "
		    "spoold and relay: each can signal the others; better "
		    "leave out user-id");
	}
	for (i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		role = &roles[i];
		identity = &settings->identities[role->process];
		own = conf_string(core, role->setting, NULL);
		if (own != NULL)
			find_account(settings, role->setting, own, identity);
		else if (shared == NULL)
			find_account(settings, role->setting, role->account,
			    identity);
		else if (i == 0)
			find_account(settings, "user-id", shared, identity);
		else
			*identity = settings->identities[roles[0].process];
	}
	if (group == NULL)
		return;
	for (i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		role = &roles[i];
		if (conf_setting(core, role->setting) == NULL)
			find_group(conf, "group-id", group,
			    &settings->identities[role->process].gid);
	}
}

/* Without root everybody is who we are; -n still looks for who is named. */
static void
find_invoker(struct settings *settings, bool check)
{
	struct conf_section *core = conf_section(settings->conf, "core", NULL);
	struct identity unused;
	enum process process;
	const char *name;
	size_t i;

	name = conf_string(core, "user-id", NULL);
	if (check && name != NULL)
		find_account(settings, "user-id", name, &unused);
	for (i = 0; check && i < sizeof(roles) / sizeof(roles[0]); i++) {
		name = conf_string(core, roles[i].setting, NULL);
		if (name != NULL)
			find_account(settings, roles[i].setting, name,
			    &unused);
	}

	for (process = 0; process < PROC_MAX; process++)
		settings->identities[process] = (struct identity){
		    getuid(), getgid() };
}

/* Put a path together; one that is too long is wrong. */
static void
join(struct settings *settings, const char *setting, char *path, size_t size,
    const char *directory, const char *rest)
{
	struct conf_place place;

	if (snprintf(path, WIRE_PATH, "%s%s", directory, rest) < (int)size)
		return;
	place = settings_place(settings->conf, "core", setting);
	conf_wrong(settings->conf, &place, "%s is too long; %zu octets are "
	    "possible", setting, size - strlen(rest) - 1);
}

static void
find_directories(struct settings *settings)
{
	struct conf_section *core = conf_section(settings->conf, "core", NULL);
	const struct sockaddr_un *un = NULL;
	const char *run, *spool;

	run = conf_string(core, "run-directory", RUN_DIRECTORY);
	spool = conf_string(core, "spool-directory", SPOOL_DIRECTORY);
	settings->run_directory = run;
	settings->spool_directory = spool;
	join(settings, "spool-directory", settings->drop_directory, WIRE_PATH,
	    spool, ".drop");
	join(settings, "run-directory", settings->empty_directory, WIRE_PATH,
	    run, "/empty");
	join(settings, "run-directory", settings->submit_socket,
	    sizeof(un->sun_path), run, "/submit");
	join(settings, "run-directory", settings->control_socket,
	    sizeof(un->sun_path), run, "/control");
	if (conf_setting(core, "pid-file") != NULL)
		join(settings, "pid-file", settings->pid_file, WIRE_PATH,
		    conf_string(core, "pid-file", ""), "");
	else
		join(settings, "run-directory", settings->pid_file, WIRE_PATH,
		    run, "/pid");
}

static void
find_hostname(struct settings *settings)
{
	struct conf *conf = settings->conf;
	struct conf_section *core = conf_section(conf, "core", NULL);
	const char *name = conf_string(core, "hostname", NULL);
	struct conf_place place = settings_place(conf, "core", "hostname");
	char own[WIRE_DOMAIN] = "";

	if (name == NULL && gethostname(own, sizeof(own) - 1) == 0)
		name = own;
	if (name == NULL || *name == '\0')
		name = "localhost";
	if (strlcpy(settings->hostname, name, sizeof(settings->hostname)) >=
	    sizeof(settings->hostname))
		conf_wrong(conf, &place, "hostname is too long");
	if (strpbrk(name, " \t<>()@,;\\\"") != NULL)
		conf_wrong(conf, &place, "\"%s\" is no name of a host", name);
	else if (strchr(name, '.') == NULL)
		conf_warning(conf, &place, "the hostname %s has no domain; "
		    "set hostname = %s.your.domain", name, name);
}

struct settings *
settings_new(struct conf *conf, const struct options *options)
{
	struct conf_section *core = conf_section(conf, "core", NULL);
	struct settings *settings;
	const char *group;
	unsigned int cores = processors();

	if ((settings = calloc(1, sizeof(*settings))) == NULL)
		fatal("settings");
	settings->conf = conf;
	settings->secrets = -1;
	settings->unusable = conf->lacking > 0;
	find_hostname(settings);
	find_directories(settings);
	settings->smtpd_workers = workers(conf, "smtpd-workers", cores);
	settings->relay_workers = workers(conf, "relay-workers",
	    cores < RELAYS_MAX ? cores : RELAYS_MAX);
	secrets_open(settings, options);
	settings->log_group = getgid();
	if (options->rootless) {
		find_invoker(settings, options->check);
		return settings;
	}
	find_identities(settings);
	group = conf_string(core, "operator-group", OPERATOR_GROUP);
	find_group(conf, "operator-group", group, &settings->log_group);
	return settings;
}

void
settings_free(struct settings *settings)
{
	if (settings == NULL)
		return;
	if (settings->secrets != -1)
		close(settings->secrets);
	conf_free(settings->conf);
	free(settings);
}

const char *
settings_need_restart(const struct settings *wanted,
    const struct settings *running)
{
	if (strcmp(wanted->spool_directory, running->spool_directory) != 0)
		return "spool-directory";
	if (strcmp(wanted->run_directory, running->run_directory) != 0)
		return "run-directory";
	if (strcmp(wanted->pid_file, running->pid_file) != 0)
		return "pid-file";
	if (memcmp(wanted->identities, running->identities,
	    sizeof(running->identities)) != 0)
		return "an account";
	if (wanted->log_group != running->log_group)
		return "operator-group";
	return NULL;
}
