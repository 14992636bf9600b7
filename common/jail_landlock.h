/*
 * Landlock: the directories below which a process may still work.
 */
#ifndef JAIL_LANDLOCK_H
#define JAIL_LANDLOCK_H

#include <stdbool.h>

/*
 * Name a directory (see jail_allow()); it need not exist.
 */
void	landlock_allow(const char *, bool);

/*
 * From now on files are reached below the named directories only.  Returns
 * -1 with errno where the kernel has no Landlock.
 */
int	landlock_enforce(void);

#endif
