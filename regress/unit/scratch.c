/*
 * The end of a scratch folder.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "regress/unit/scratch.h"

int
scratch_remove(const char *path)
{
	char command[PATH_MAX];

	(void)snprintf(command, sizeof(command), "rm -rf %s", path);
	return chdir("/") == -1 || system(command) != 0 ? -1 : 0;
}
