/*
 * Getting names onto the disk: a file's own sync is not its folder's.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "deliver.h"

int
sync_directory(const char *path)
{
	int	 fd, result, saved;

	if ((fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return -1;
	result = fsync(fd);
	saved = errno;
	close(fd);
	errno = saved;
	return result;
}

int
sync_parent(const char *path)
{
	char	 parent[WIRE_PATH + 8], *slash;

	strlcpy(parent, path, sizeof(parent));
	if ((slash = strrchr(parent, '/')) == NULL)
		strlcpy(parent, ".", sizeof(parent));
	else
		slash[slash == parent] = '\0';
	/* One that we may write to or pass, yet not list: made for us. */
	return sync_directory(parent) == -1 && errno != EACCES ? -1 : 0;
}
