/*
 * A consistent copy of the spool while it is in use, below its own backup/:
 * the database written anew by SQLite, the large bodies as further links to
 * the same files, which never change once they are there.  All of it happens
 * in one turn, so that nothing comes or goes in between; mail waits for it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "spoold.h"

#define BACKUPS		"backup"
#define DIRECTORIES	256
#define TARGET_LENGTH	160	/* backup/ and a name */
#define PATH_LENGTH	512

/* May this be the name of a directory below backup/? */
static bool
is_name(const char *name)
{
	const char	*p;

	for (p = name; *p != '\0'; p++)
		if ((unsigned char)*p <= ' ' || *p == '/' || *p == 127)
			return false;
	return name[0] != '\0' && name[0] != '.' && p - name < WIRE_NAME;
}

static int
sync_path(const char *path)
{
	int	 fd = open(path, O_RDONLY | O_CLOEXEC), result;

	if (fd == -1)
		return -1;
	result = fsync(fd);
	close(fd);
	return result;
}

/* Link the bodies of one directory, and make that durable. */
static int
link_bodies(const char *target, unsigned int number)
{
	struct dirent	*entry;
	char		 from[32], to[PATH_LENGTH];
	char		 old[sizeof(from) + 256], new[sizeof(to) + 256];
	DIR		*directory;
	int		 result = 0;

	(void)snprintf(from, sizeof(from), "body/%02x", number);
	(void)snprintf(to, sizeof(to), "%s/%s", target, from);
	if (mkdir(to, 0700) == -1 || (directory = opendir(from)) == NULL)
		return -1;
	while (result == 0 && (entry = readdir(directory)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(old, sizeof(old), "%s/%s", from, entry->d_name);
		(void)snprintf(new, sizeof(new), "%s/%s", to, entry->d_name);
		result = link(old, new);
	}
	closedir(directory);
	return result == 0 ? sync_path(to) : -1;
}

/* Write the database and link the bodies into a directory that is there. */
static int
fill(const char *target)
{
	char		 path[PATH_LENGTH];
	unsigned int	 i;

	(void)snprintf(path, sizeof(path), "%s/spool.db", target);
	if (db_run(SQL_BACKUP, "t", path) == -1) {
		log_note(LOG_ERR, "backup", "%s", db_why());
		errno = EIO;
		return -1;
	}
	if (sync_path(path) == -1)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/body", target);
	if (mkdir(path, 0700) == -1)
		return -1;
	for (i = 0; i < DIRECTORIES; i++)
		if (link_bodies(target, i) == -1)
			return -1;
	return sync_path(path) == -1 || sync_path(target) == -1 ||
	    sync_path(BACKUPS) == -1 ? -1 : 0;
}

int
backup_make(const char *name, char *why, size_t size)
{
	char	 target[TARGET_LENGTH];

	if (!is_name(name)) {
		(void)snprintf(why, size, "a backup's name is one word "
		    "without a slash or a dot at its start");
		return -1;
	}
	(void)snprintf(target, sizeof(target), BACKUPS "/%s", name);
	if ((mkdir(BACKUPS, 0700) == -1 && errno != EEXIST) ||
	    mkdir(target, 0700) == -1 || fill(target) == -1) {
		(void)snprintf(why, size, "%s: %s", target, strerror(errno));
		return -1;
	}
	return 0;
}
