/* links: regress/unit/scratch.c common/jail.c common/jail_landlock.c
 * common/log.c common/queueid.c common/clock.c */
/*
 * Each probe runs in a child of its own that has entered one jail, and finds
 * what the table of jails says: granted, refused, or the end of the process.
 * Without root the identity and the root directory stay as they are; the
 * filters are the same.
 */
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "jail.h"
#include "log.h"
#include "regress/unit/scratch.h"

#define KILLED	1000

#ifdef JAIL_TOOL
#define WIDER	" # SKIP the jails of a " JAIL_TOOL " build are wider"
#else
#define WIDER	""
#endif

static char	 directory[] = "/tmp/jail_test.XXXXXX";
static uid_t	 uid;
static gid_t	 gid;
static pid_t	 sibling;
static int	 unix_listener = -1;

/* ---- probes: 0 or an errno ---- */

static int
result(long n)
{
	return n < 0 ? errno : 0;
}

static int
probe_open_passwd(void)
{
	return result(open("/etc/passwd", O_RDONLY));
}

static int
probe_create(void)
{
	return result(open("made", O_WRONLY | O_CREAT, 0600));
}

static int
probe_socket_inet(void)
{
	return result(socket(AF_INET, SOCK_STREAM, 0));
}

static int
probe_socket_unix(void)
{
	return result(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int
probe_socket_raw(void)
{
	return result(socket(AF_PACKET, SOCK_RAW, 0));
}

static int
probe_connect(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };

	/* Descriptor 0 is no socket: a granted call says so. */
	return result(connect(0, (struct sockaddr *)&sin, sizeof(sin)));
}

static int
probe_bind(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };

	return result(bind(0, (struct sockaddr *)&sin, sizeof(sin)));
}

static int
probe_accept(void)
{
	return result(accept4(unix_listener, NULL, NULL, SOCK_NONBLOCK));
}

static int
probe_exec(void)
{
	char *argv[] = { (char *)(uintptr_t)"/bin/true", NULL };

	return result(execv(argv[0], argv));
}

static int
probe_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return result(pid);
}

/* As the nursery does it. */
static int
probe_clone(void)
{
	long pid = syscall(SYS_clone, JAIL_CLONE, NULL, NULL, NULL, 0);

	if (pid == 0)
		_exit(0);
	return result(pid);
}

static int
probe_setresuid(void)
{
	return result(setresuid(0, 0, 0));
}

static int
probe_setgroups(void)
{
	gid_t root = 0;

	return result(setgroups(1, &root));
}

static int
probe_setuid(void)
{
	return result(setuid(0));
}

static int
probe_ptrace(void)
{
	return result(ptrace(PTRACE_ATTACH, sibling, NULL, NULL));
}

static int
probe_kill(void)
{
	return result(kill(sibling, SIGTERM));
}

static int
probe_abort(void)
{
	abort();
}

/* What abort(3) sends, yet to another; if that is let, to this program. */
static int
probe_signal(void)
{
	return result(tgkill(getppid(), getppid(), SIGABRT));
}

static int
probe_chroot(void)
{
	return result(chroot("."));
}

static int
probe_exec_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno : 0;
}

static int
probe_raise_limit(void)
{
	struct rlimit limit = { 10, 10 };

	return result(setrlimit(RLIMIT_NOFILE, &limit));
}

static int
probe_raise_processes(void)
{
	struct rlimit limit = { 10, 10 };

	return result(setrlimit(RLIMIT_NPROC, &limit));
}

/* Of one's parent, who is the same user without root. */
static int
probe_others_processes(void)
{
	struct rlimit limit = { 10, 10 };

	return result(prlimit(getppid(), RLIMIT_NPROC, &limit, NULL));
}

static int
probe_dumpable(void)
{
	return result(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static int
probe_keep_capabilities(void)
{
	return result(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
}

struct probe {
	const char	*name;
	int		(*fn)(void);
	int		 expected[JAIL_MAX];
};

#define ROW(smtpd, policyd, spoold, relay, local, mailbox, mbox, born) { \
	[JAIL_SMTPD] = smtpd, [JAIL_POLICYD] = policyd, \
	[JAIL_SPOOLD] = spoold, [JAIL_RELAY] = relay, \
	[JAIL_RELAY_LOCAL] = local, [JAIL_MAILBOX] = mailbox, \
	[JAIL_MBOX] = mbox, [JAIL_NURSERY] = born }
#define YES	0
#define ANY	-1	/* granted by the filter; what follows is the file
			   system's business */

static const struct probe probes[] = {
	{ "open /etc/passwd", probe_open_passwd,
	    ROW(EACCES, ANY, ANY, EACCES, EACCES, YES, YES, YES) },
	{ "create a file", probe_create,
	    ROW(EACCES, EACCES, ANY, EACCES, EACCES, ANY, ANY, ANY) },
	{ "socket(AF_INET)", probe_socket_inet,
	    ROW(KILLED, ENOSYS, KILLED, YES, ENOSYS, KILLED, KILLED,
	    KILLED) },
	{ "socket(AF_UNIX)", probe_socket_unix,
	    ROW(KILLED, YES, KILLED, ENOSYS, YES, KILLED, KILLED, KILLED) },
	{ "socket(AF_PACKET)", probe_socket_raw,
	    ROW(KILLED, ENOSYS, KILLED, ENOSYS, ENOSYS, KILLED, KILLED,
	    KILLED) },
	{ "connect", probe_connect,
	    ROW(KILLED, ENOTSOCK, KILLED, ENOTSOCK, ENOTSOCK, KILLED,
	    KILLED, KILLED) },
	{ "bind", probe_bind,
	    ROW(KILLED, KILLED, KILLED, KILLED, KILLED, KILLED, KILLED,
	    KILLED) },
	{ "accept", probe_accept,
	    ROW(EAGAIN, ENOSYS, EAGAIN, ENOSYS, ENOSYS, ENOSYS, ENOSYS,
	    ENOSYS) },
	{ "execve", probe_exec,
	    ROW(KILLED, KILLED, KILLED, KILLED, KILLED, KILLED, KILLED,
	    KILLED) },
	{ "fork", probe_fork,
	    ROW(KILLED, KILLED, KILLED, KILLED, KILLED, KILLED, KILLED,
	    ENOSYS) },
	{ "clone", probe_clone,
	    ROW(KILLED, KILLED, KILLED, KILLED, KILLED, KILLED, KILLED,
	    EAGAIN) },
	{ "setuid", probe_setuid,
	    ROW(KILLED, KILLED, KILLED, KILLED, KILLED, KILLED, KILLED,
	    EPERM) },
	{ "setresuid", probe_setresuid,
	    ROW(KILLED, KILLED, KILLED, KILLED, KILLED, KILLED, KILLED,
	    EPERM) },
	{ "setgroups", probe_setgroups,
	    ROW(KILLED, KILLED, KILLED, KILLED, KILLED, KILLED, KILLED,
	    EPERM) },
	{ "ptrace of a sibling", probe_ptrace,
	    ROW(KILLED, KILLED, KILLED, KILLED, KILLED, KILLED, KILLED,
	    KILLED) },
	{ "kill of a sibling", probe_kill,
	    ROW(ENOSYS, ENOSYS, ENOSYS, ENOSYS, ENOSYS, ENOSYS, ENOSYS,
	    ENOSYS) },
	{ "SIGABRT to another", probe_signal,
	    ROW(ENOSYS, ENOSYS, ENOSYS, ENOSYS, ENOSYS, ENOSYS, ENOSYS,
	    ENOSYS) },
	{ "chroot", probe_chroot,
	    ROW(KILLED, KILLED, KILLED, KILLED, KILLED, KILLED, KILLED,
	    KILLED) },
	{ "executable memory", probe_exec_memory,
	    ROW(ENOSYS, ENOSYS, ENOSYS, ENOSYS, ENOSYS, ENOSYS, ENOSYS,
	    ENOSYS) },
	{ "setting a limit", probe_raise_limit,
	    ROW(ENOSYS, ENOSYS, ENOSYS, ENOSYS, ENOSYS, ENOSYS, ENOSYS,
	    ENOSYS) },
	{ "more processes", probe_raise_processes,
	    ROW(ENOSYS, ENOSYS, ENOSYS, ENOSYS, ENOSYS, ENOSYS, ENOSYS,
	    EPERM) },
	{ "another's limit", probe_others_processes,
	    ROW(ENOSYS, ENOSYS, ENOSYS, ENOSYS, ENOSYS, ENOSYS, ENOSYS,
	    ENOSYS) },
	{ "becoming dumpable", probe_dumpable,
	    ROW(ENOSYS, ENOSYS, ENOSYS, ENOSYS, ENOSYS, ENOSYS, ENOSYS,
	    ENOSYS) },
	{ "keeping capabilities", probe_keep_capabilities,
	    ROW(ENOSYS, ENOSYS, ENOSYS, ENOSYS, ENOSYS, ENOSYS, ENOSYS,
	    ENOSYS) },
};

/* ---- running one ---- */

/* What the nursery has borne and who has become a user; it ends itself. */
static void
be_born(bool root)
{
	long pid;

	if (chdir(directory) == -1)
		_exit(101);
	jail_filter(JAIL_NURSERY);
	pid = syscall(SYS_clone, JAIL_CLONE, NULL, NULL, NULL, 0);
	if (pid != 0)
		_exit(pid == -1 ? 102 : 0);
	if (root && jail_become(uid, gid, &gid, 1) == -1)
		_exit(101);
	jail_close();
}

static void
go_to_jail(enum jail jail)
{
	bool root = geteuid() == 0;

	if (jail == JAIL_NURSERY) {
		be_born(root);
		return;
	}

	if (jail == JAIL_MAILBOX || jail == JAIL_MBOX) {
		if (chdir(directory) == -1 ||
		    (root && jail_become(uid, gid, &gid, 1) == -1))
			_exit(101);
		jail_filter(jail);
		return;
	}
	if (jail == JAIL_POLICYD)
		jail_allow("/etc", false);
	jail_enter(jail, uid, gid, jail == JAIL_POLICYD ||
	    jail == JAIL_RELAY_LOCAL ? "" : directory, !root);
}

static int
run_probe(enum jail jail, int (*fn)(void))
{
	int status;
	pid_t pid;

	fflush(NULL);
	if ((pid = fork()) == 0) {
		go_to_jail(jail);
		_exit(fn());
	}
	assert_int_not_equal(pid, -1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (jail == JAIL_NURSERY) {
		assert_int_equal(status, 0);
		assert_int_not_equal(waitpid(-1, &status, 0), -1);
	}
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGSYS);
		return KILLED;
	}
	return WEXITSTATUS(status);
}

static void
test_probes(void **state)
{
	enum jail jail = *(enum jail *)*state;
	const struct probe *probe;
	size_t i;
	int got;

	if (*WIDER != '\0')
		return;
	for (i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
		probe = &probes[i];
		got = run_probe(jail, probe->fn);
		if (probe->expected[jail] == ANY) {
			if (got == KILLED || got == ENOSYS)
				fail_msg("%s: %d", probe->name, got);
		} else if (got != probe->expected[jail])
			fail_msg("%s: %d instead of %d", probe->name, got,
			    probe->expected[jail]);
	}
}

/* Identity and no_new_privs cannot be read by prctl() in there: by /proc. */
static void
test_status(void **state)
{
	enum jail jail = *(enum jail *)*state;
	char path[64], line[256];
	unsigned int id;
	int fds[2], seccomp = -1, privileges = -1, uid_seen = -1;
	pid_t pid, jailed;
	FILE *f;
	char c;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	fflush(NULL);
	if ((pid = fork()) == 0) {
		close(fds[0]);
		go_to_jail(jail);
		/* Ready; then wait to be killed. */
		jailed = getpid();
		if (write(fds[1], &jailed, sizeof(jailed)) == sizeof(jailed))
			(void)!read(fds[1], &c, 1);
		_exit(0);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &jailed, sizeof(jailed)),
	    sizeof(jailed));
	if (jailed != pid)
		waitpid(pid, NULL, 0);
	pid = jailed;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	assert_non_null(f = fopen(path, "r"));
	while (fgets(line, sizeof(line), f) != NULL) {
		sscanf(line, "Seccomp: %d", &seccomp);
		sscanf(line, "NoNewPrivs: %d", &privileges);
		if (sscanf(line, "Uid: %u", &id) == 1)
			uid_seen = (int)id;
	}
	fclose(f);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(fds[0]);
	assert_int_equal(seccomp, 2);
	assert_int_equal(privileges, 1);
	assert_int_equal(uid_seen, (int)uid);
}

/* A filter that was made before the fork is no weaker, and lets abort. */
static void
test_prepared(void **unused)
{
	static const struct {
		enum jail jail;
		int	 (*probe)(void);
		int	 exit;		/* or 0: it ends by this signal */
		int	 signal;
	} cases[] = {
		{ JAIL_MAILBOX, probe_abort,		0,	SIGABRT },
		{ JAIL_MAILBOX, probe_signal,		ENOSYS,	0 },
		{ JAIL_MAILBOX, probe_exec,		0,	SIGSYS },
		{ JAIL_MAILBOX, probe_socket_unix,	0,	SIGSYS },
		/* By the trap that abort(3) keeps for such a case. */
		{ JAIL_NURSERY, probe_abort,		0,	SIGSEGV },
		{ JAIL_NURSERY, probe_signal,		ENOSYS,	0 },
		{ JAIL_NURSERY, probe_fork,		ENOSYS,	0 },
		{ JAIL_NURSERY, probe_exec,		0,	SIGSYS },
		{ JAIL_NURSERY, probe_socket_unix,	0,	SIGSYS },
	};
	size_t i;
	pid_t pid;
	int status, fd;

	(void)unused;
#ifdef JAIL_TOOL
	skip();
#endif
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true((fd = memfd_create("filter", 0)) != -1);
		jail_export(cases[i].jail, fd);
		jail_import(cases[i].jail, fd);
		close(fd);
		if ((pid = fork()) == 0) {
			signal(SIGSEGV, SIG_DFL);
			jail_filter(cases[i].jail);
			_exit(cases[i].probe());
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (cases[i].signal != 0) {
			assert_true(WIFSIGNALED(status));
			assert_int_equal(WTERMSIG(status), cases[i].signal);
		} else {
			assert_true(WIFEXITED(status));
			assert_int_equal(WEXITSTATUS(status), cases[i].exit);
		}
	}
}

/* The nursery itself can clone, and its child is the parent's. */
static void
test_nursery(void **unused)
{
	int status;
	pid_t pid;

	(void)unused;
	fflush(NULL);
	if ((pid = fork()) == 0) {
		jail_filter(JAIL_NURSERY);
		_exit(probe_clone());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_not_equal(waitpid(-1, &status, 0), -1);
	assert_int_equal(status, 0);
}

/* Nothing makes root out of a worker, and root is never becoming root. */
static void
test_become_refuses_root(void **unused)
{
	(void)unused;
	assert_int_equal(jail_become(0, 0, NULL, 0), -1);
	assert_int_equal(errno, EPERM);
}

static int
probe_landlock_outside(void)
{
	return result(open("/usr/bin/env", O_RDONLY));
}

/* policyd reads below the named directories and nowhere else. */
static void
test_landlock(void **unused)
{
	(void)unused;
	assert_int_equal(run_probe(JAIL_POLICYD, probe_open_passwd), 0);
	assert_int_equal(run_probe(JAIL_POLICYD, probe_landlock_outside),
	    EACCES);
}

static int
probe_connect_unix(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/socket", directory);
	return result(connect(fd, (struct sockaddr *)&sun, sizeof(sun)));
}

/* relay -l keeps / for the sake of sockets, and reads nothing there. */
static void
test_relay_local(void **unused)
{
	(void)unused;
	assert_int_equal(run_probe(JAIL_RELAY_LOCAL, probe_connect_unix), 0);
	assert_int_equal(run_probe(JAIL_RELAY_LOCAL, probe_open_passwd),
	    EACCES);
}

static int
setup(void **unused)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct passwd *pw = getpwnam("nobody");

	(void)unused;
	uid = geteuid() == 0 ? pw->pw_uid : geteuid();
	gid = geteuid() == 0 ? pw->pw_gid : getegid();
	if (mkdtemp(directory) == NULL || chmod(directory, 0755) == -1)
		return -1;
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/socket", directory);
	unix_listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (bind(unix_listener, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    chmod(sun.sun_path, 0666) == -1 || listen(unix_listener, 5) == -1)
		return -1;
	if ((sibling = fork()) == 0) {
		pause();
		_exit(0);
	}
	return 0;
}

static int
teardown(void **unused)
{
	(void)unused;
	kill(sibling, SIGKILL);
	waitpid(sibling, NULL, 0);
	return scratch_remove(directory);
}

int
main(void)
{
	static enum jail jails[JAIL_MAX] = { JAIL_SMTPD, JAIL_POLICYD,
	    JAIL_SPOOLD, JAIL_RELAY, JAIL_RELAY_LOCAL, JAIL_MAILBOX,
	    JAIL_MBOX, JAIL_NURSERY };
#define PROBE(name, n) \
	{ "what " name " may call" WIDER, test_probes, NULL, NULL, &jails[n] }, \
	{ "who " name " is", test_status, NULL, NULL, &jails[n] }
	const struct CMUnitTest tests[] = {
		PROBE("smtpd", 0), PROBE("policyd", 1), PROBE("spoold", 2),
		PROBE("relay", 3), PROBE("relay -l", 4),
		PROBE("a mailbox worker", 5), PROBE("an mbox worker", 6),
		PROBE("who was born in the nursery", 7),
		cmocka_unit_test(test_prepared),
		cmocka_unit_test(test_nursery),
		cmocka_unit_test(test_become_refuses_root),
		cmocka_unit_test(test_landlock),
		cmocka_unit_test(test_relay_local),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	log_start("jail_test", false);
	return cmocka_run_group_tests(tests, setup, teardown);
}
