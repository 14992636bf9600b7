/*
 * All jails on one page: what each process may still call, and how it
 * becomes who it is.  A call that is not listed is answered ENOSYS; one that
 * only an attacker makes ends the process; opening a file where that is not
 * granted is EACCES, since libraries try it.
 */
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jail.h"
#include "jail_landlock.h"
#include "log.h"

#define CALL(name)	SCMP_SYS(name)
#define WHOLE		(~(scmp_datum_t)0)	/* mask of an argument */
#define END		(-1000)		/* no call's number, real or pseudo */
#define NOBODYS_PID	0x7fffabcdU	/* in a filter: who will load it */

/* Each process is one thread; valgrind lets libseccomp end no more of it. */
#ifdef JAIL_TOOL
#define KILL		SCMP_ACT_KILL_THREAD
#else
#define KILL		SCMP_ACT_KILL_PROCESS
#endif

/* What every process needs to run its loop. */
static const int everyone[] = {
	CALL(read), CALL(write), CALL(readv), CALL(writev), CALL(recvfrom),
	CALL(recvmsg), CALL(sendto), CALL(sendmsg), CALL(shutdown),
	CALL(close), CALL(close_range), CALL(epoll_wait), CALL(epoll_pwait),
	CALL(epoll_pwait2), CALL(epoll_ctl), CALL(poll), CALL(ppoll),
	CALL(fcntl), CALL(getsockopt), CALL(setsockopt), CALL(getsockname),
	CALL(getpeername), CALL(fstat), CALL(newfstatat), CALL(lseek),
	CALL(munmap), CALL(mremap), CALL(brk), CALL(madvise), CALL(futex),
	CALL(clock_gettime), CALL(clock_getres), CALL(clock_nanosleep),
	CALL(nanosleep), CALL(gettimeofday), CALL(time), CALL(getpid),
	CALL(gettid), CALL(getuid), CALL(geteuid), CALL(getgid),
	CALL(getegid), CALL(getppid), CALL(getrandom), CALL(getrlimit),
	CALL(getrusage), CALL(sysinfo), CALL(uname), CALL(sched_yield),
	CALL(sched_getaffinity), CALL(rt_sigaction), CALL(rt_sigprocmask),
	CALL(rt_sigreturn), CALL(sigaltstack), CALL(restart_syscall),
	CALL(rseq), CALL(membarrier), CALL(set_robust_list), CALL(exit),
	CALL(exit_group), END
};

static const int accepting[] = { CALL(accept), CALL(accept4), END };

static const int connecting[] = { CALL(connect), END };

static const int reading_files[] = {
	CALL(open), CALL(openat), CALL(stat), CALL(lstat), CALL(statx),
	CALL(access), CALL(faccessat), CALL(faccessat2), CALL(readlink),
	CALL(readlinkat), CALL(getdents64), CALL(pread64), CALL(preadv),
	CALL(statfs), CALL(fstatfs), CALL(getcwd), CALL(dup), END
};

static const int writing_files[] = {
	CALL(pwrite64), CALL(pwritev), CALL(ftruncate), CALL(fallocate),
	CALL(fsync), CALL(fdatasync), CALL(sync_file_range), CALL(unlink),
	CALL(unlinkat), CALL(rename), CALL(renameat), CALL(renameat2),
	CALL(link), CALL(linkat), CALL(mkdir), CALL(mkdirat), CALL(rmdir),
	CALL(fchmod), CALL(fchmodat), CALL(chmod), CALL(umask),
	CALL(utimensat), CALL(flock), CALL(chdir), CALL(fchdir), END
};

/* Besides clone(2), which add_conditions() grants. */
static const int becoming[] = {
	CALL(setgroups), CALL(setresgid), CALL(setresuid), CALL(setuid),
	CALL(getresuid), CALL(getresgid), END
};

static const int syncing[] = { CALL(fdatasync), END };

static const int reading_at[] = { CALL(pread64), CALL(preadv), END };

/* Opening where it is not granted. */
static const int opening[] = {
	CALL(open), CALL(openat), CALL(openat2), CALL(creat), END
};

/* Nothing of ours makes these; where they are not granted they kill. */
static const int attacks[] = {
	CALL(execve), CALL(execveat), CALL(fork), CALL(vfork), CALL(clone),
	CALL(ptrace), CALL(process_vm_readv), CALL(process_vm_writev),
	CALL(pidfd_open), CALL(pidfd_getfd), CALL(kcmp), CALL(setuid),
	CALL(setgid), CALL(setreuid), CALL(setregid), CALL(setresuid),
	CALL(setresgid), CALL(setgroups), CALL(setfsuid), CALL(setfsgid),
	CALL(capset), CALL(personality), CALL(mount), CALL(umount2),
	CALL(pivot_root), CALL(chroot), CALL(unshare), CALL(setns),
	CALL(bpf), CALL(perf_event_open), CALL(userfaultfd),
	CALL(io_uring_setup), CALL(io_uring_enter), CALL(io_uring_register),
	CALL(keyctl), CALL(add_key), CALL(request_key), CALL(init_module),
	CALL(finit_module), CALL(delete_module), CALL(kexec_load),
	CALL(reboot), CALL(swapon), CALL(socket), CALL(connect), CALL(bind),
	CALL(listen), CALL(open_by_handle_at), CALL(memfd_create),
	CALL(mknod), CALL(mknodat), END
};

#ifdef JAIL_TOOL
/* What a sanitizer, coverage or valgrind build calls besides. */
static const int tool_calls[] = {
	CALL(open), CALL(openat), CALL(readlink), CALL(stat), CALL(mkdir),
	CALL(getcwd), CALL(pread64), CALL(prctl), CALL(mprotect), CALL(mmap),
	CALL(tgkill), CALL(access), CALL(dup), CALL(dup2), CALL(pipe),
	CALL(pipe2), CALL(ioctl), CALL(prlimit64), CALL(getpgrp), CALL(wait4),
	CALL(arch_prctl), CALL(ftruncate), CALL(unlink), END
};
#endif

struct jail_row {
	const char	*name;
	const int	*calls[5];	/* besides everyone's */
	int		 families[3];	/* socket(2) may make these, then 0 */
	bool		 locks;		/* tests whether a lock's owner lives */
	bool		 forked;	/* prepared by whoever forks into it */
	bool		 bears;		/* clones what inherits the filter */
	rlim_t		 files;		/* descriptors */
};

static const struct jail_row jails[JAIL_MAX] = {
[JAIL_SMTPD] = { "smtpd", { accepting }, .files = 65536 },
[JAIL_POLICYD] = { "policyd", { reading_files, connecting },
	.families = { AF_UNIX }, .files = 1024 },
[JAIL_SPOOLD] = { "spoold", { accepting, reading_files, writing_files },
	.files = 65536 },
[JAIL_SYNCER] = { "syncer", { syncing }, .files = 256 },
[JAIL_RELAY] = { "relay", { connecting, reading_at },
	.families = { AF_INET, AF_INET6 }, .files = 65536 },
[JAIL_RELAY_LOCAL] = { "relay-local", { connecting, reading_at },
	.families = { AF_UNIX }, .files = 65536 },
[JAIL_MAILBOX] = { "mailbox", { reading_files, writing_files },
	.locks = true, .forked = true, .files = 256 },
[JAIL_MBOX] = { "mbox", { reading_files, writing_files },
	.locks = true, .forked = true, .files = 256 },
[JAIL_NURSERY] = { "nursery", { reading_files, writing_files, becoming },
	.locks = true, .bears = true, .files = 256 },
};

/* Filters as the kernel takes them, of jails that were prepared. */
static struct sock_fprog filters[JAIL_MAX];

#ifdef JAIL_TOOL
static bool jailed;

/* Asked by the leak checker at the end: it cannot look from inside a jail. */
int	__lsan_is_turned_off(void);

int
__lsan_is_turned_off(void)
{
	return jailed;
}
#endif

/* ---- the filter ---- */

static bool
contains(const int *calls, int call)
{
	if (calls == NULL)
		return false;
	for (; *calls != END; calls++)
		if (*calls == call)
			return true;
	return false;
}

static bool
granted(const struct jail_row *row, int call)
{
	size_t i;

	if (contains(everyone, call))
		return true;
	for (i = 0; i < sizeof(row->calls) / sizeof(row->calls[0]); i++)
		if (contains(row->calls[i], call))
			return true;
#ifdef JAIL_TOOL
	if (contains(tool_calls, call))
		return true;
#endif
	return false;
}

static void
rule(scmp_filter_ctx filter, uint32_t action, int call)
{
	int error = seccomp_rule_add(filter, action, call, 0);

	/* A call this machine does not know cannot be made either. */
	if (error != 0 && error != -EDOM && error != -ENOSYS)
		fatalx("jail: a rule for call %d: %s", call,
		    strerror(-error));
}

/* A rule that holds where all these conditions do. */
static void
rule_if_all(scmp_filter_ctx filter, uint32_t action, int call,
    const struct scmp_arg_cmp *conditions, unsigned int count)
{
	int error;

	error = seccomp_rule_add_array(filter, action, call, count,
	    conditions);
	if (error != 0)
		fatalx("jail: a rule for call %d: %s", call,
		    strerror(-error));
}

/* A rule that holds where one argument, masked, is that datum. */
static void
rule_if(scmp_filter_ctx filter, uint32_t action, int call, unsigned int arg,
    scmp_datum_t mask, scmp_datum_t datum)
{
	struct scmp_arg_cmp condition = {
		.arg = arg, .op = SCMP_CMP_MASKED_EQ,
		.datum_a = mask, .datum_b = datum
	};

	rule_if_all(filter, action, call, &condition, 1);
}

static void
allow_all(scmp_filter_ctx filter, const int *calls)
{
	if (calls == NULL)
		return;
	for (; *calls != END; calls++)
		rule(filter, SCMP_ACT_ALLOW, *calls);
}

/* Calls that are harmless with one argument and not with another. */
static void
add_conditions(scmp_filter_ctx filter, const struct jail_row *row)
{
	const int *family;
#ifndef JAIL_TOOL
	static const struct scmp_arg_cmp not_dumpable[] = {
		{ 0, SCMP_CMP_EQ, PR_SET_DUMPABLE, 0 },
		{ 1, SCMP_CMP_EQ, 0, 0 }
	}, own_processes[] = {
		{ 0, SCMP_CMP_EQ, 0, 0 },
		{ 1, SCMP_CMP_EQ, RLIMIT_NPROC, 0 }
	};

	rule_if(filter, SCMP_ACT_ALLOW, CALL(mmap), 2, PROT_EXEC, 0);
	rule_if(filter, SCMP_ACT_ALLOW, CALL(mprotect), 2, PROT_EXEC, 0);
	/* abort(3), of this very process. */
	if (!row->bears)
		rule_if(filter, SCMP_ACT_ALLOW, CALL(tgkill), 0, WHOLE,
		    row->forked ? NOBODYS_PID : (scmp_datum_t)getpid());
	/* Asking for limits, not setting. */
	rule_if(filter, SCMP_ACT_ALLOW, CALL(prlimit64), 2, WHOLE, 0);
	rule_if(filter, SCMP_ACT_ALLOW, CALL(ioctl), 1, WHOLE, FIONREAD);
	/* What jail_close() calls, and neither undone nor done to others. */
	if (row->bears) {
		rule_if_all(filter, SCMP_ACT_ALLOW, CALL(prctl),
		    not_dumpable, 2);
		rule_if_all(filter, SCMP_ACT_ALLOW, CALL(prlimit64),
		    own_processes, 2);
	}
#endif
	if (row->bears)
		rule_if(filter, SCMP_ACT_ALLOW, CALL(clone), 0, WHOLE,
		    JAIL_CLONE);
	for (family = row->families; *family != 0; family++)
		rule_if(filter, SCMP_ACT_ALLOW, CALL(socket), 0, WHOLE,
		    (scmp_datum_t)*family);
	if (row->locks)
		rule_if(filter, SCMP_ACT_ALLOW, CALL(kill), 1, WHOLE, 0);
}

/* The rules of a row; to be released. */
static scmp_filter_ctx
make_rules(const struct jail_row *row)
{
	scmp_filter_ctx filter;
	const int *call;
	size_t i;

	if ((filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS))) == NULL)
		fatalx("jail %s: no filter", row->name);
	/* A tree: the kernel walks it once a call there is when it loads. */
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	allow_all(filter, everyone);
	for (i = 0; i < sizeof(row->calls) / sizeof(row->calls[0]); i++)
		allow_all(filter, row->calls[i]);
#ifdef JAIL_TOOL
	allow_all(filter, tool_calls);
#endif
	add_conditions(filter, row);
	for (call = opening; *call != END; call++)
		if (!granted(row, *call))
			rule(filter, SCMP_ACT_ERRNO(EACCES), *call);
	for (call = attacks; *call != END; call++) {
		if (granted(row, *call) ||
		    (*call == CALL(socket) && row->families[0] != 0) ||
		    (*call == CALL(clone) && row->bears))
			continue;
		rule(filter, KILL, *call);
	}
	return filter;
}

void
jail_export(enum jail jail, int fd)
{
	scmp_filter_ctx filter = make_rules(&jails[jail]);

	if (seccomp_export_bpf(filter, fd) != 0)
		fatalx("jail %s: its filter cannot be made", jails[jail].name);
	seccomp_release(filter);
}

void
jail_import(enum jail jail, int fd)
{
	struct sock_filter *code = NULL;
	struct stat st;

	if (fstat(fd, &st) == -1 || st.st_size == 0 ||
	    (code = malloc((size_t)st.st_size)) == NULL ||
	    pread(fd, code, (size_t)st.st_size, 0) != st.st_size)
		fatal("jail %s: its filter cannot be made", jails[jail].name);
	free(filters[jail].filter);
	filters[jail].filter = code;
	filters[jail].len = (unsigned short)((size_t)st.st_size /
	    sizeof(*code));
}

static void
prepare(enum jail jail)
{
	int fd;

	if (filters[jail].filter != NULL)
		return;
	if ((fd = memfd_create("filter", MFD_CLOEXEC)) == -1)
		fatal("jail %s: memory", jails[jail].name);
	jail_export(jail, fd);
	jail_import(jail, fd);
	close(fd);
}

/* A filter that was made before the fork has yet to know us. */
static void
put_pid(struct sock_fprog *filter)
{
	unsigned short i;

	for (i = 0; i < filter->len; i++)
		if (filter->filter[i].k == NOBODYS_PID)
			filter->filter[i].k = (uint32_t)getpid();
}

static void
install_filter(enum jail jail)
{
#ifdef JAIL_TOOL
	jailed = true;
	log_note(LOG_WARNING, "jail", "%s is wider for the %s build",
	    jails[jail].name, JAIL_TOOL);
#endif
	prepare(jail);
	put_pid(&filters[jail]);
#ifdef JAIL_TOOL
	/* Valgrind knows the older call only. */
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filters[jail]) == -1)
#else
	/* Refusals are told to the kernel's log where that is asked for. */
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
	    SECCOMP_FILTER_FLAG_LOG, &filters[jail]) == -1)
#endif
		fatal("jail %s: seccomp", jails[jail].name);
}

/* ---- limits ---- */

/* Set a limit for good; no higher than we are allowed to raise it. */
static void
set_limit(__rlimit_resource_t what, rlim_t value)
{
	struct rlimit old, limit = { value, value };

	if (setrlimit(what, &limit) == 0)
		return;
	if (errno != EPERM || getrlimit(what, &old) == -1)
		fatal("setrlimit");
	limit.rlim_cur = limit.rlim_max = old.rlim_max;
	if (setrlimit(what, &limit) == -1)
		fatal("setrlimit");
}

/* ---- identity ---- */

/* All three ids are what they should be, and root is out of reach. */
static int
verify_identity(uid_t uid, gid_t gid)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	if (getresuid(&r, &e, &s) == -1 || getresgid(&rg, &eg, &sg) == -1)
		return -1;
	if (r != uid || e != uid || s != uid || rg != gid || eg != gid ||
	    sg != gid || setuid(0) == 0 || seteuid(0) == 0) {
		errno = EPERM;
		return -1;
	}
	return 0;
}

int
jail_become(uid_t uid, gid_t gid, const gid_t *groups, size_t count)
{
	if (uid == 0) {
		errno = EPERM;
		return -1;
	}
	if (setgroups(count, groups) == -1 || setresgid(gid, gid, gid) == -1 ||
	    setresuid(uid, uid, uid) == -1)
		return -1;
	return verify_identity(uid, gid);
}

void
jail_close(void)
{
	static const struct rlimit none;

	if (setrlimit(RLIMIT_NPROC, &none) == -1)
		fatal("jail: no limit of processes");
#ifndef JAIL_TOOL
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		fatal("jail: not dumpable");
#endif
}

void
jail_allow(const char *directory, bool write)
{
	landlock_allow(directory, write);
}

/* The parts that need no privilege, in the order that keeps them possible. */
static void
close_the_door(enum jail jail, bool landlock)
{
	const struct jail_row *row = &jails[jail];

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		fatal("jail %s: no_new_privs", row->name);
	if (landlock && landlock_enforce() == -1)
		log_errno(LOG_WARNING, "jail", "%s has no Landlock",
		    row->name);
	set_limit(RLIMIT_CORE, 0);
#ifndef JAIL_TOOL
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		fatal("jail %s: not dumpable", row->name);
#endif
	install_filter(jail);
}

void
jail_filter(enum jail jail)
{
	close_the_door(jail, false);
}

void
jail_enter(enum jail jail, uid_t uid, gid_t gid, const char *root,
    bool rootless)
{
	const struct jail_row *row = &jails[jail];

	set_limit(RLIMIT_NOFILE, row->files);
	if (rootless) {
		if (root[0] != '\0' && chdir(root) == -1)
			fatal("jail %s: %s", row->name, root);
		close_the_door(jail, true);
		return;
	}
	if (root[0] != '\0' && (chdir(root) == -1 || chroot(".") == -1 ||
	    chdir("/") == -1))
		fatal("jail %s: chroot to %s", row->name, root);
	if (jail_become(uid, gid, NULL, 0) == -1)
		fatal("jail %s: becoming %u:%u", row->name, (unsigned)uid,
		    (unsigned)gid);
	close_the_door(jail, root[0] == '\0');
}
