/*
 * Where the suite lives: its directories and whom they belong to, the lock
 * that only one may live on a spool, and the pid-file.
 */
#include <sys/file.h>
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "postmaster.h"

static int spool = -1;		/* the directory; bears the lock */

int
house_make_parents(const char *path)
{
	char part[PATH_MAX], *slash;

	if (strlcpy(part, path, sizeof(part)) >= sizeof(part)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	for (slash = strchr(part + 1, '/'); slash != NULL;
	    slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0755) == -1 && errno != EEXIST)
			return -1;
		*slash = '/';
	}
	return 0;
}

/* Is nothing in it? */
static bool
is_empty(int fd)
{
	struct dirent *entry;
	bool empty = true;
	DIR *directory;
	int copy;

	if ((copy = openat(fd, ".", O_RDONLY | O_DIRECTORY |
	    O_CLOEXEC)) == -1)
		return false;
	if ((directory = fdopendir(copy)) == NULL) {
		close(copy);
		return false;
	}
	while (empty && (entry = readdir(directory)) != NULL)
		empty = strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0;
	closedir(directory);
	return empty;
}

/*
 * See that an open directory has that owner and no more permissions than
 * those.  Only an empty one is changed: a mistyped path must not give away
 * what others keep there.
 */
static int
settle(int fd, const char *path, uid_t uid, gid_t gid, mode_t mode)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return -1;
	if (is_empty(fd)) {
		if ((st.st_uid != uid || st.st_gid != gid) &&
		    fchown(fd, uid, gid) == -1)
			return -1;
		return fchmod(fd, mode);
	}
	if (st.st_uid == uid && (st.st_mode & 07777 & ~mode) == 0)
		return 0;
	log_note(LOG_ERR, "start", "%s is not empty and belongs to uid %u, "
	    "mode %04o; it must belong to uid %u, mode %04o", path, st.st_uid,
	    st.st_mode & 07777, uid, mode);
	errno = 0;
	return -1;
}

/* Make a directory, or take what is there.  A descriptor, or -1, logged. */
static int
take_directory(const char *path, uid_t uid, gid_t gid, mode_t mode)
{
	int fd = -1;

	errno = 0;
	if (house_make_parents(path) == 0 &&
	    (mkdir(path, 0700) == 0 || errno == EEXIST) &&
	    (fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
	    O_CLOEXEC)) != -1 && settle(fd, path, uid, gid, mode) == 0)
		return fd;
	if (errno != 0)
		log_errno(LOG_ERR, "start", "the directory %s", path);
	if (fd != -1)
		close(fd);
	return -1;
}

static int
make_directory(const char *path, mode_t mode)
{
	int fd = take_directory(path, geteuid(), getegid(), mode);

	if (fd == -1)
		return -1;
	close(fd);
	return 0;
}

/* Write our pid, whole or not at all. */
static int
write_pid(const char *path)
{
	char temporary[PATH_MAX];
	FILE *out = NULL;
	int fd;

	snprintf(temporary, sizeof(temporary), "%s.new", path);
	unlink(temporary);
	if (house_make_parents(path) == -1 || (fd = open(temporary, O_WRONLY |
	    O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644)) == -1)
		goto fail;
	if ((out = fdopen(fd, "w")) == NULL) {
		close(fd);
		goto fail;
	}
	fprintf(out, "%d\n", getpid());
	if (fclose(out) == EOF || rename(temporary, path) == -1)
		goto fail;
	return 0;
fail:
	log_errno(LOG_ERR, "start", "the pid-file %s", path);
	return -1;
}

int
house_enter(const struct settings *settings, const struct options *options)
{
	const struct identity *owner = &settings->identities[PROC_SPOOLD];
	gid_t group = options->rootless ? getegid() : owner->gid;

	spool = take_directory(settings->spool_directory, owner->uid, group,
	    0700);
	if (spool == -1)
		return -1;
	if (flock(spool, LOCK_EX | LOCK_NB) == -1) {
		if (errno == EWOULDBLOCK)
			log_note(LOG_ERR, "start", "another postmaster lives "
			    "on the spool %s", settings->spool_directory);
		else
			log_errno(LOG_ERR, "start", "locking %s",
			    settings->spool_directory);
		close(spool);
		spool = -1;
		return -1;
	}
	if (make_directory(settings->drop_directory, 01733) == -1 ||
	    make_directory(settings->run_directory, 0755) == -1 ||
	    make_directory(settings->empty_directory, 0555) == -1)
		return -1;
	return write_pid(settings->pid_file);
}

void
house_leave(const struct settings *settings)
{
	if (spool == -1)
		return;
	unlink(settings->pid_file);
	close(spool);
	spool = -1;
}
