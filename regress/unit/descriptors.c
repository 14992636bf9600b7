/*
 * What is open, as /proc has it.
 */
#include <dirent.h>
#include <stddef.h>

#include "regress/unit/descriptors.h"

int
descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count;
}
