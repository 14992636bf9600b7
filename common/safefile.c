/*
 * Reading files that decide about mail, only if nobody else could have
 * written them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "safefile.h"

/* Why this file must not be believed, or NULL. */
static const char *
doubt(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "is not a regular file";
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return "belongs neither to root nor to its reader";
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return "can be written by others than its owner";
	return NULL;
}

/* Read up to limit octets until the end.  Returns 0 or -1 with errno. */
static int
read_all(int fd, size_t limit, char **text, size_t *length)
{
	char *larger;
	size_t size = 8192;
	ssize_t n;

	*length = 0;
	if ((*text = malloc(size)) == NULL)
		return -1;
	for (;;) {
		if (*length > limit) {
			errno = EFBIG;
			return -1;
		}
		if (*length + 1 == size) {
			size *= 2;
			if ((larger = realloc(*text, size)) == NULL)
				return -1;
			*text = larger;
		}
		n = read(fd, *text + *length, size - *length - 1);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		if (n == 0)
			break;
		*length += (size_t)n;
	}
	(*text)[*length] = '\0';
	return 0;
}

int
safefile_read(const char *path, size_t limit, char **text, size_t *length,
    struct stat *st, const char **why)
{
	int fd, saved, result = -1;

	*text = NULL;
	*why = "cannot be opened";
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd == -1) {
		if (errno == ENOENT)
			*why = "does not exist";
		return -1;
	}
	*why = "cannot be read";
	if (fstat(fd, st) == -1)
		goto out;
	if ((*why = doubt(st)) != NULL) {
		errno = EPERM;
		goto out;
	}
	*why = "cannot be read";
	if (read_all(fd, limit, text, length) == -1) {
		if (errno == EFBIG)
			*why = "is too large";
		goto out;
	}
	result = 0;
out:
	saved = errno;
	(void)close(fd);
	if (result == -1) {
		free(*text);
		*text = NULL;
	}
	errno = saved;
	return result;
}
