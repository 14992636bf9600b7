/*
 * Appending to mailbox files: the user's own in the mail spool, where
 * anything unusual about the file defers the mail, and files that a route or
 * a .forward names.  A message is in the file whole and synced, or the file
 * is as long as it was.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "deliver.h"

#define LOCK_SECONDS	60
#define REPLACED_TRIES	5	/* the file became another one meanwhile */

/* Open the file, creating it where it is missing. */
static int
open_mailbox(const char *path, bool spool)
{
	int	 flags = O_RDWR | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	int	 fd, try;

	if (spool)
		flags |= O_NOFOLLOW;
	for (try = 0; try < REPLACED_TRIES; try++) {
		fd = open(path, flags);
		if (fd != -1 || errno != ENOENT)
			return fd;
		fd = open(path, flags | O_CREAT | O_EXCL, 0600);
		if (fd == -1 && errno == EEXIST)
			continue;
		if (fd == -1)
			return -1;
		if ((spool && fchmod(fd, 0660) == -1) ||
		    sync_parent(path) == -1) {
			close(fd);
			return -1;
		}
		return fd;
	}
	return -1;
}

/* What keeps us from writing there, or NULL. */
static const char *
wrong_with(const struct stat *st, const struct worker *worker, bool spool)
{
	if (!S_ISREG(st->st_mode))
		return "is no regular file";
	if (spool && st->st_nlink != 1)
		return "has more than one link";
	if (spool && st->st_uid != worker->account.uid)
		return "does not belong to the user";
	return NULL;
}

/* Is what is open still what the path names? */
static bool
same_file(int fd, const char *path)
{
	struct stat	 opened, named;

	return fstat(fd, &opened) == 0 && stat(path, &named) == 0 &&
	    opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

/* The empty line that must stand before the next From_ line, if missing. */
static const char *
missing_newlines(int fd, off_t size)
{
	char	 last[2] = { '\n', '\n' };

	if (size == 0)
		return "";
	if (size == 1)
		return "\n\n";
	if (pread(fd, last, 2, size - 2) != 2)
		return "\n\n";
	if (last[1] != '\n')
		return "\n\n";
	return last[0] == '\n' ? "" : "\n";
}

static int
write_text(int fd, const char *text)
{
	size_t	 length = strlen(text);
	ssize_t	 n;

	while ((n = write(fd, text, length)) == -1 && errno == EINTR)
		continue;
	if (n != -1 && (size_t)n != length)
		errno = ENOSPC;
	return n == (ssize_t)length ? 0 : -1;
}

/*
 * Append to the locked file.  Returns 0, or -1 with the file as it was and a
 * verdict; or with none, if abandoned.
 */
static int
append(const struct worker *worker, struct job *job, const char *path, int fd)
{
	struct body_stream *stream;
	struct stat	 st;
	char		 prefix[PREFIX_SIZE];
	int		 result = -1;

	if (fstat(fd, &st) == -1) {
		job_defer_errno(job, path);
		return -1;
	}
	stream = body_stream_new();
	job_prefix(job, true, prefix);
	body_open(stream, &job->body, prefix, true);
	if (write_text(fd, missing_newlines(fd, st.st_size)) == -1 ||
	    body_write(stream, fd) == -1 || write_text(fd, "\n") == -1 ||
	    fsync(fd) == -1)
		job_defer_errno(job, path);
	else if (!worker_abandoned(worker))
		result = 0;
	body_stream_free(stream);
	if (result == 0)
		return 0;
	if (ftruncate(fd, st.st_size) == -1 || fsync(fd) == -1)
		job_defer(job, "4.3.0", "%s: %s; what was written of the "
		    "message could not be taken back", path, strerror(errno));
	return -1;
}

/* Lock what is open and append; 1 if the file was replaced meanwhile. */
static int
lock_and_append(const struct worker *worker, struct job *job,
    const char *path, int fd, bool spool)
{
	struct mailbox_lock lock;
	int		 result;

	switch (lock_take(&lock, fd, path, spool, LOCK_SECONDS, worker)) {
	case LOCK_BUSY:
		job_defer(job, "4.2.0", "%s is locked by another program",
		    path);
		return -1;
	case LOCK_FAILED:
		job_defer_errno(job, path);
		return -1;
	case LOCK_TAKEN:
		break;
	}
	if (!same_file(fd, path))
		result = 1;
	else
		result = append(worker, job, path, fd);
	lock_release(&lock);
	return result;
}

int
mbox_deliver(const struct worker *worker, struct job *job, const char *path,
    bool spool)
{
	struct stat	 st;
	const char	*wrong;
	int		 fd, try, result = 1;

	for (try = 0; result == 1 && try < REPLACED_TRIES; try++) {
		if ((fd = open_mailbox(path, spool)) == -1 ||
		    fstat(fd, &st) == -1) {
			job_defer_errno(job, path);
			if (fd != -1)
				close(fd);
			return 0;
		}
		if ((wrong = wrong_with(&st, worker, spool)) != NULL) {
			job_defer(job, "4.3.5", "%s %s", path, wrong);
			close(fd);
			return 0;
		}
		result = lock_and_append(worker, job, path, fd, spool);
		close(fd);
	}
	if (worker_abandoned(worker) && result != 0)
		return -1;
	if (result == 1)
		job_defer(job, "4.2.0", "%s is replaced all the time", path);
	else if (result == 0)
		job_done(job, path);
	return 0;
}
