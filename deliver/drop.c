/*
 * The drop directory: mail that sendmail(8) kept while nobody answered.  At
 * the start, soon after it and then once a minute a child for each file, one
 * after the other, becomes the file's owner and submits it over the socket.
 * The parent looks at names and states only; what the files hold is for the
 * child that has left root.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "clock.h"
#include "deliver.h"
#include "log.h"
#include "loop.h"
#include "signals.h"

#define SPOOL_DIRECTORY	"/var/spool/postmaster"
#define RUN_DIRECTORY	"/run/postmaster"
#define NOBODY		65534
#define INTERVAL	60	/* seconds between looks, at the most */
#define TIME_LIMIT	3600	/* seconds for one file */

static struct {
	struct child	*child;
	struct event	*timer;
	int		 interval;	/* seconds to the next look */
	DIR		*scan;		/* while there are more files to try */
	pid_t		 pid;		/* who submits, 0 nobody */
	char		 name[NAME_MAX + 1];
	struct stat	 st;		/* of the file that is submitted */
	char		 directory[WIRE_PATH];
	char		 socket[WIRE_PATH];
} drop;

/* ---- the child ---- */

static int
connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int	 fd;

	if (strlcpy(address.sun_path, path, sizeof(address.sun_path)) >=
	    sizeof(address.sun_path))
		_exit(EX_CONFIG);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1 || connect(fd, (struct sockaddr *)&address,
	    sizeof(address)) == -1)
		_exit(EX_NOHOST);
	return fd;
}

/* Become the owner for good; exits if that is not possible. */
static void
become_owner(uid_t uid)
{
	struct account	 account;
	struct groups	 groups;
	int		 result = -1;

	if (drop.child->rootless) {
		if (uid != getuid())
			_exit(EX_NOPERM);
		return;
	}
	switch (account_by_uid(uid, &account)) {
	case ACCOUNT_YES:
		if (groups_find(account.name, account.gid, &groups) == 0)
			result = jail_become(uid, account.gid, groups.all,
			    groups.count);
		break;
	case ACCOUNT_NO:
		result = jail_become(uid, NOBODY, NULL, 0);
		break;
	case ACCOUNT_FAILED:
		break;
	}
	if (result == -1)
		_exit(EX_TEMPFAIL);
}

/*
 * Open the socket as the owner, and be the owner; root's mail is root's
 * because it is connected as root, and is read by nobody.
 */
static int
connect_as_owner(uid_t uid)
{
	int	 fd;

	if (uid != 0 || drop.child->rootless) {
		become_owner(uid);
		return connect_to(drop.socket);
	}
	fd = connect_to(drop.socket);
	become_owner(NOBODY);
	return fd;
}

/* Submit the file of this name; the exit status says what came of it. */
static void __attribute__((noreturn))
submit_file(const char *name)
{
	struct dropfile	 envelope;
	struct stat	 st;
	const char	*why;
	FILE		*file;
	int		 fd, socket;

	fd = openat(dirfd(drop.scan), name, O_RDONLY | O_NOFOLLOW |
	    O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd == -1 || fstat(fd, &st) == -1)
		_exit(EX_TEMPFAIL);
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		_exit(EX_DATAERR);
	fd = cleanse_descriptors(fd);
	signals_reset();
	signal(SIGPIPE, SIG_IGN);
	alarm(TIME_LIMIT);
	socket = connect_as_owner(st.st_uid);
	if ((file = fdopen(fd, "r")) == NULL)
		_exit(EX_TEMPFAIL);
	if (dropfile_read(file, &envelope, &why) == -1)
		_exit(ferror(file) ? EX_TEMPFAIL : EX_DATAERR);
	switch (submit_message(socket, file, &envelope, drop.directory)) {
	case SUBMIT_TAKEN:
		_exit(0);
	case SUBMIT_REFUSED:
		_exit(EX_UNAVAILABLE);
	case SUBMIT_LATER:
		break;
	}
	_exit(EX_TEMPFAIL);
}

/* ---- the parent ---- */

/*
 * Nothing more to do now: look again in a while.  At first soon, since the
 * others may not be ready yet.
 */
static void
rest(void)
{
	if (drop.scan != NULL)
		closedir(drop.scan);
	drop.scan = NULL;
	loop_after(drop.timer, drop.interval * SECOND);
	drop.interval = drop.interval < INTERVAL / 2 ? 2 * drop.interval :
	    INTERVAL;
}

/* The next file that could be a message, with its state; false at the end. */
static bool
next_file(void)
{
	struct dirent	*entry;

	while ((entry = readdir(drop.scan)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		if (fstatat(dirfd(drop.scan), entry->d_name, &drop.st,
		    AT_SYMLINK_NOFOLLOW) == -1 || !S_ISREG(drop.st.st_mode))
			continue;
		strlcpy(drop.name, entry->d_name, sizeof(drop.name));
		return true;
	}
	return false;
}

static void
start_next(void)
{
	if (!next_file()) {
		rest();
		return;
	}
	log_flush();		/* or the child would have lines to write */
	drop.pid = fork();
	if (drop.pid == 0)
		submit_file(drop.name);
	if (drop.pid == -1) {
		drop.pid = 0;
		log_errno(LOG_WARNING, "drop", "no child for %s", drop.name);
		rest();
	}
}

static void
on_timer(int fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	(void)arg;
	if (drop.pid != 0 || drop.scan != NULL)
		return;
	if ((drop.scan = opendir(drop.directory)) == NULL) {
		if (errno != ENOENT)
			log_errno(LOG_WARNING, "drop", "%s", drop.directory);
		rest();
		return;
	}
	start_next();
}

/* Is the name still that file's, and not another one's by now? */
static bool
is_same_file(void)
{
	struct stat	 st;

	return fstatat(dirfd(drop.scan), drop.name, &st,
	    AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == drop.st.st_dev &&
	    st.st_ino == drop.st.st_ino;
}

/* Out of the way, under a name that is not tried again. */
static void
set_aside(void)
{
	char	 name[NAME_MAX + 16];

	snprintf(name, sizeof(name), ".refused-%s", drop.name);
	if (renameat(dirfd(drop.scan), drop.name, dirfd(drop.scan),
	    name) == -1)
		log_errno(LOG_WARNING, "drop", "renaming %s", drop.name);
}

void
drop_reaped(pid_t pid, int status)
{
	const char	*result = "later";
	int		 code;

	if (pid != drop.pid)
		return;
	drop.pid = 0;
	code = WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE;
	if (code == 0)
		result = "taken";
	else if (code == EX_UNAVAILABLE)
		result = "refused";
	else if (code == EX_DATAERR)
		result = "malformed";
	log_begin(code == 0 ? LOG_INFO : LOG_WARNING, "drop");
	log_string("file", drop.name);
	log_number("uid", (long long)drop.st.st_uid);
	log_string("status", result);
	log_end();
	if (is_same_file()) {
		if (code == 0)
			(void)unlinkat(dirfd(drop.scan), drop.name, 0);
		else if (code == EX_UNAVAILABLE || code == EX_DATAERR)
			set_aside();
	}
	if (code == EX_NOHOST)		/* nobody is there to take them */
		rest();
	else
		start_next();
}

bool
drop_is_child(pid_t pid)
{
	return pid == drop.pid;
}

void
drop_begin(struct child *child)
{
	const struct conf_section *core;

	drop.child = child;
	core = conf_section(child->conf, "core", NULL);
	snprintf(drop.directory, sizeof(drop.directory), "%s.drop",
	    conf_string(core, "spool-directory", SPOOL_DIRECTORY));
	snprintf(drop.socket, sizeof(drop.socket), "%s/submit",
	    conf_string(core, "run-directory", RUN_DIRECTORY));
	if (drop.timer == NULL &&
	    (drop.timer = evtimer_new(child->base, on_timer, NULL)) == NULL)
		fatalx("no event");
	drop.interval = 1;
	loop_after(drop.timer, 0);
}

void
drop_end(void)
{
	if (drop.pid > 0)
		kill(drop.pid, SIGTERM);
}
