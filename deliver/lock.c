/*
 * The two locks of a mailbox file: fcntl(2) on the file, and path.lock
 * beside it.  Both or none are held: whoever has one and waits for the other
 * lets go in between, so that programs that take them in another order are
 * not met head-on.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "deliver.h"

#define STALE_AFTER	300		/* seconds */
#define PAUSE		(SECOND / 4)

#define LEFT_MAX	64		/* the latest are remembered */

/* Our own dot locks of earlier jobs that could not be removed. */
static struct {
	struct {
		dev_t	 device;
		ino_t	 inode;
	}	all[LEFT_MAX];
	size_t	count;			/* that there ever were */
} left;

/* Take the dot lock once; -1 with EEXIST if somebody has it. */
static int
dot_lock(struct mailbox_lock *lock)
{
	char		 text[16];
	struct stat	 st;
	int		 fd, length, saved;

	fd = open(lock->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
	    O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	if (write(fd, text, (size_t)length) != length ||
	    fstat(fd, &st) == -1 || fchmod(fd, 0644) == -1) {
		saved = errno;
		close(fd);
		unlink(lock->path);
		errno = saved;
		return -1;
	}
	close(fd);
	lock->device = st.st_dev;
	lock->inode = st.st_ino;
	return 0;
}

/* The pid that a lock file names; 0 if it names none, -1 if unreadable. */
static pid_t
lock_owner(const char *path)
{
	char	 text[32];
	ssize_t	 n;
	int	 fd;

	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n == -1)
		return -1;
	text[n] = '\0';
	n = strtol(text, NULL, 10);
	return n > 0 && n < INT_MAX ? (pid_t)n : 0;
}

static void
remember_left(const struct mailbox_lock *lock)
{
	size_t	 i = left.count++ % LEFT_MAX;

	left.all[i].device = lock->device;
	left.all[i].inode = lock->inode;
}

static bool
is_left(const struct stat *st, const char *path)
{
	size_t	 i;

	for (i = 0; i < left.count && i < LEFT_MAX; i++)
		if (st->st_dev == left.all[i].device &&
		    st->st_ino == left.all[i].inode)
			return lock_owner(path) == getpid();
	return false;
}

/* Remove a lock that is old and whose owner is gone, or that we have left. */
static void
break_stale(const char *path)
{
	struct stat	 before, now;
	pid_t		 owner;

	if (lstat(path, &before) == -1)
		return;
	if (is_left(&before, path)) {
		unlink(path);
		return;
	}
	if (time(NULL) - before.st_mtime < STALE_AFTER)
		return;
	owner = lock_owner(path);
	if (owner == -1 ||
	    (owner > 0 && (kill(owner, 0) == 0 || errno != ESRCH)))
		return;
	if (lstat(path, &now) == 0 && now.st_dev == before.st_dev &&
	    now.st_ino == before.st_ino)
		unlink(path);
}

/* Try both locks once. */
static enum lock_result
lock_try(struct mailbox_lock *lock, bool insist)
{
	struct flock	 whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(lock->fd, F_SETLK, &whole) == -1)
		return errno == EAGAIN || errno == EACCES || errno == EINTR ?
		    LOCK_BUSY : LOCK_FAILED;
	if (dot_lock(lock) == 0)
		return LOCK_TAKEN;
	if (errno == EEXIST) {
		break_stale(lock->path);
	} else if (!insist && (errno == EACCES || errno == EPERM ||
	    errno == EROFS || errno == ENAMETOOLONG)) {
		lock->path[0] = '\0';
		return LOCK_TAKEN;
	} else
		return LOCK_FAILED;
	whole.l_type = F_UNLCK;
	(void)fcntl(lock->fd, F_SETLK, &whole);
	return LOCK_BUSY;
}

enum lock_result
lock_take(struct mailbox_lock *lock, int fd, const char *path, bool insist,
    int seconds, const struct worker *worker)
{
	struct timespec	 pause = { .tv_nsec = PAUSE * 1000 };
	enum lock_result result;
	int64_t		 deadline = clock_monotonic() + seconds * SECOND;

	memset(lock, 0, sizeof(*lock));
	lock->fd = fd;
	if ((size_t)snprintf(lock->path, sizeof(lock->path), "%s.lock",
	    path) >= sizeof(lock->path)) {
		errno = ENAMETOOLONG;
		return LOCK_FAILED;
	}
	while ((result = lock_try(lock, insist)) == LOCK_BUSY) {
		if (clock_monotonic() >= deadline || worker_abandoned(worker))
			break;
		nanosleep(&pause, NULL);
	}
	return result;
}

void
lock_release(struct mailbox_lock *lock)
{
	struct flock	 whole = { .l_type = F_UNLCK, .l_whence = SEEK_SET };
	struct stat	 st;

	if (lock->path[0] != '\0' && (lstat(lock->path, &st) == -1 ||
	    (st.st_dev == lock->device && st.st_ino == lock->inode &&
	    unlink(lock->path) == -1)))
		remember_left(lock);
	(void)fcntl(lock->fd, F_SETLK, &whole);
}
