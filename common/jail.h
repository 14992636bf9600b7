/*
 * The jails: what each process may still do after it has started.  One row
 * a jail in jail.c, all on one page.
 */
#ifndef JAIL_H
#define JAIL_H

#include <sched.h>
#include <signal.h>
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
	JAIL_NURSERY,		/* what clones workers for either */
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
 * Write a jail's filter, as the kernel takes it, to a file; take it from
 * there.  For who forks children into that jail: each has only to load it,
 * which is a tenth of the work, and making it can be left to a process that
 * ends, since that leaves half a megabyte of memory in pieces.
 */
void	jail_export(enum jail, int);
void	jail_import(enum jail, int);

/*
 * The filter, no_new_privs, Landlock and rlimits alone.  Dies if it fails.
 */
void	jail_filter(enum jail);

/*
 * How clone(2) may be called in JAIL_NURSERY: a fork whose child is the
 * caller's parent's.  It inherits the filter and costs a fourth less CPU for
 * not loading one.
 */
#define JAIL_CLONE	(CLONE_PARENT | SIGCHLD)

/*
 * For that child, once it has become a user: with this the filter it has
 * inherited grants it no more than JAIL_MAILBOX would.  No process more, not
 * dumpable; and no user can become another.  Dies if it fails.
 */
void	jail_close(void);

#endif
