/*
 * Accounts straight from passwd(5), where nsswitch.conf(5) has that file
 * asked first: the answer is that of getpwnam_r(3), which takes apart every
 * line before the right one, at ten times the cost in a file of thousands.
 */
#ifndef PASSWD_H
#define PASSWD_H

#include <stdbool.h>

struct account;

/*
 * Look a name up in a file of this form.  Returns 1, 0 if there is no such
 * line or none that is surely sound, or -1 with errno if the file cannot be
 * read.  The struct may be NULL.
 */
int	passwd_find(const char *, const char *, struct account *);

/*
 * Does the configuration at this path, of the form of nsswitch.conf(5), take
 * what the file of accounts says before all else?
 */
bool	passwd_files_first(const char *);

#endif
