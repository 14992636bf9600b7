/*
 * A line of nsswitch.conf(5).  The last of several counts; what it means is
 * for the callers to say.
 */
#include <sys/stat.h>

#include <stddef.h>
#include <string.h>

#include "nsswitch.h"

#define BLANKS	" \t\n\v\f\r"

/* libc passes over blanks in front, and does without the colon. */
char *
nsswitch_services(char *line, const char *database)
{
	size_t length;

	line[strcspn(line, "#\n")] = '\0';
	line += strspn(line, BLANKS);
	length = strcspn(line, BLANKS ":");
	if (length != strlen(database) || line[length] == '\0' ||
	    strncmp(line, database, length) != 0)
		return NULL;
	return line + length + 1;
}

int
nsswitch_is_new(const char *path, struct stat *known)
{
	struct stat st;

	if (stat(path, &st) == -1)
		return -1;
	if (st.st_ino == known->st_ino && st.st_dev == known->st_dev &&
	    st.st_size == known->st_size &&
	    st.st_mtim.tv_sec == known->st_mtim.tv_sec &&
	    st.st_mtim.tv_nsec == known->st_mtim.tv_nsec)
		return 0;
	*known = st;
	return 1;
}
