/*
 * The machine beneath spoold: a directory that goes, a disk on which nothing
 * need survive and that may be full, and who connects.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <unistd.h>

#include "../fuzz.h"
#include "spool_world.h"

#define PREFIX		"postmaster-fuzz."

static struct {
	char		 path[64];
	int		 directory;	/* of the spool */
	int		 back;		/* where we were */
	uint32_t	 uid;		/* of who connects */
	int		 room;		/* writes that the disk takes, or -1 */
} machine = { .directory = -1, .room = -1 };

/* ---- what it would do ---- */

/* Nothing here must survive. */
int
fsync(int fd)
{
	(void)fd;
	return 0;
}

int
fdatasync(int fd)
{
	(void)fd;
	return 0;
}

int
fallocate(int fd, int mode, off_t offset, off_t length)
{
	(void)fd;
	(void)mode;
	(void)offset;
	(void)length;
	return 0;
}

static bool
is_full(void)
{
	if (machine.room > 0)
		machine.room--;
	errno = ENOSPC;
	return machine.room == 0;
}

ssize_t
pwrite64(int fd, const void *octets, size_t length, off_t offset)
{
	return is_full() ? -1 : syscall(SYS_pwrite64, fd, octets, length,
	    offset);
}

ssize_t
pwrite(int fd, const void *octets, size_t length, off_t offset)
{
	return pwrite64(fd, octets, length, offset);
}

void
machine_fill(int writes)
{
	machine.room = writes;
}

/* Who is at the other end of a command's connection. */
int
getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
	struct ucred cred = { .pid = 1, .uid = machine.uid, .gid = machine.uid };

	(void)fd;
	require(level == SOL_SOCKET);
	if (name != SO_PEERCRED) {
		*length = 0;
		return 0;
	}
	memcpy(value, &cred, sizeof(cred));
	return 0;
}

/* ---- the spool's directory ---- */

static int
remove_one(const char *path, const struct stat *st, int type,
    struct FTW *where)
{
	(void)st;
	(void)where;
	if ((type == FTW_DP ? rmdir(path) : unlink(path)) == -1)
		perror(path);
	return 0;
}

static void
remove_tree(const char *path)
{
	(void)nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void
remove_own(void)
{
	remove_tree(machine.path);
}

/* Those of processes that found something and died of it go as well. */
static void
make_directory(void)
{
	const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" :
	    "/tmp";
	char path[512];
	struct dirent *entry;
	DIR *dir = fuzz_need(opendir(parent));
	long pid;

	while ((entry = readdir(dir)) != NULL) {
		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0)
			continue;
		pid = strtol(entry->d_name + strlen(PREFIX), NULL, 10);
		(void)snprintf(path, sizeof(path), "%s/%s", parent,
		    entry->d_name);
		if (pid > 0 && kill((pid_t)pid, 0) == -1 && errno == ESRCH)
			remove_tree(path);
	}
	(void)closedir(dir);
	(void)snprintf(machine.path, sizeof(machine.path), "%s/" PREFIX
	    "%ld", parent, (long)getpid());
	require(mkdir(machine.path, 0700) == 0);
	require(atexit(remove_own) == 0);
	machine.directory = open(machine.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	machine.back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	require(machine.directory != -1 && machine.back != -1);
}

void
machine_enter(void)
{
	if (machine.directory == -1)
		make_directory();
	machine.room = -1;
	require(fchdir(machine.directory) == 0);
}

void
machine_leave(void)
{
	require(fchdir(machine.back) == 0);
}

void
machine_connect_as(uint32_t uid)
{
	machine.uid = uid;
}
