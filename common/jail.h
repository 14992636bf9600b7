/*
 * The jails: what each process may still do after it has started.  One row
 * a jail in jail.c, all on one page.
 */
#ifndef JAIL_H
#define JAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum jail {
	JAIL_SMTPD,
	JAIL_POLICYD,
	JAIL_SPOOLD,
	JAIL_SYNCER,		/* syncs what spoold has written */
	JAIL_RELAY,
	JAIL_RELAY_LOCAL,	/* relay -l: Unix sockets, no network */
	JAIL_MAILBOX,		/* a worker that writes a user's mailbox */
	JAIL_MBOX,		/* a worker that writes into the mail spool */
	JAIL_MAX
};

/*
 * Name a directory below which this process may still read; for the jails
 * that keep / (Landlock).  Before jail_enter(); a missing one is no error.
 * With write, also create, write and remove.
 */
void	jail_allow(const char *, bool);

/*
 * Become uid and gid for good, with root for / ("" keeps it), and install
 * the filter, Landlock, rlimits; not dumpable.  rootless: identity and root
 * directory stay, Landlock stands for the chroot.  Dies if any of it fails.
 */
void	jail_enter(enum jail, uid_t, gid_t, const char *, bool);

/*
 * Become a user for good, verified, with these supplementary groups and no
 * others.  Refuses uid 0.  Returns 0 or -1 with errno.  For deliver's
 * children, which call jail_filter() afterwards or run programs unjailed.
 */
int	jail_become(uid_t, gid_t, const gid_t *, size_t);

/*
 * Make a jail's filter now: a child that is forked later and enters that jail
 * has only to load it, which is a tenth of the work.
 */
void	jail_prepare(enum jail);

/*
 * The filter, no_new_privs, Landlock and rlimits alone.  Dies if it fails.
 */
void	jail_filter(enum jail);

#endif
