/*
 * Accounts of this machine.  Only what getpwnam_r(3) returns decides: a
 * record is yes, none without an error is no, anything else is "not now".
 */
#ifndef ACCOUNT_H
#define ACCOUNT_H

#include <stddef.h>
#include <sys/types.h>

enum account_result {
	ACCOUNT_YES,
	ACCOUNT_NO,
	ACCOUNT_FAILED		/* 4.3.0; errno says why */
};

/* Strings are the struct's own; account_free() releases them. */
struct account {
	char	*name;		/* as the database has it */
	char	*gecos;
	char	*home;
	char	*shell;
	uid_t	 uid;
	gid_t	 gid;
	char	*strings;	/* what the others point into */
};

/*
 * Look up by name or uid.  A name that no account can have ("", with / or :
 * or control characters, too long) is ACCOUNT_NO without a question.  The
 * struct may be NULL.
 */
enum account_result	account_by_name(const char *, struct account *);
enum account_result	account_by_uid(uid_t, struct account *);
void			account_free(struct account *);

/*
 * By name from the file of accounts alone: 1, 0 where that does not decide,
 * or -1 with errno.
 */
int			account_in_file(const char *, struct account *);

/*
 * Before a jail: look up one known and one unknown name, which loads what
 * the system's look-ups need.  If that cannot answer "no", or a service that
 * nsswitch.conf(5) names cannot be loaded, returns -1 with *why (static), and
 * every later "no" is ACCOUNT_FAILED.
 */
int	account_prepare(const char **);

/*
 * Load what look-ups of accounts and groups need, and look nobody up: for a
 * process whose children will, and would each load it anew.  systemd's is
 * left out where it has nothing to add to the files: it and its libraries
 * are a fourth of what a fork has to copy.
 */
void	account_load_services(void);

#endif
