/*
 * policyd(8): decides about recipients.  Owns the settings; everything else
 * stands in its own file.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "log.h"
#include "policyd.h"

static struct settings	*settings;

const struct settings *
policyd_settings(void)
{
	return settings;
}

/* Started without root: all there is is the invoking user. */
static char *
own_name(void)
{
	struct account account;
	char *name = NULL;

	if (account_by_uid(getuid(), &account) == ACCOUNT_YES) {
		name = strdup(account.name);
		account_free(&account);
	}
	if (name == NULL)
		fatalx("the account of uid %u cannot be looked up",
		    (unsigned int)getuid());
	return name;
}

/* Read what the jail will hide, and load what look-ups need. */
static void
before_jail(struct child *child)
{
	const char *why;
	char *name = NULL;

	if (account_prepare(&why) == -1)
		log_note(LOG_ERR, "account", "%s: unknown users are told to "
		    "try again", why);
	if (child->rootless) {
		name = own_name();
		cache_only(getuid());
	}
	settings = settings_new(child->conf, name);
	settings->rootless = child->rootless;
	settings->uid = getuid();
	free(name);
	tables_load(settings);
	tables_allow(settings);
}

static const struct child_peer peers[] = {
	{ &role_smtpd, NULL, NULL },
	{ &role_spoold, NULL, NULL },
	{ NULL, NULL, NULL }
};

static const struct child_ops ops = {
	.self = PROC_POLICYD,
	.jail = JAIL_POLICYD,
	.peers = peers,
	.check = check,
	.before_jail = before_jail
};

int
main(int argc, char **argv)
{
	return child_main(argc, argv, &ops);
}
