/*
 * The nursery: a child of the parent that forks the workers of mailboxes.  It
 * has done, once, what is the same for each of them: closed what was
 * inherited, set signals and umask, and entered a jail.  A worker for one
 * message takes half the CPU that way, besides the disk's: loading a filter is
 * a sixth of it, and the rest is that a process is copied which has touched
 * little memory, and in which accounts were looked up already.
 *
 * Its jail is that of its children, in which it can besides clone itself in
 * one way and become a user.  They are the parent's children (CLONE_PARENT),
 * which ends and reaps them as all others.  What they inherit of the jail and
 * shall not have they lose by becoming their user and by jail_close().  Until
 * then, and in the nursery itself, the filter is no wall: what is root may
 * write root's files.  So the nursery reads only the files of accounts and
 * what the parent asks, and no child of it reads anything before.
 *
 * It knows who stands in the files of accounts, and nobody else: no socket to
 * any service can be opened in there.  The parent forks all others itself,
 * and all if there is no nursery.  It ends when the parent closes its socket.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "clock.h"
#include "deliver.h"
#include "log.h"

#define PATIENCE	(5 * SECOND)	/* until it answers */
#define PAUSE		MINUTE		/* after one that never did */

static struct {
	pid_t		 pid;		/* 0: there is none */
	int		 socket;
	bool		 answered;	/* ever */
	int64_t		 not_before;	/* another one is tried */
	struct frame_out out;
} nursery = { .socket = -1 };

/* ---- the process ---- */

/* What a child needs to know of its user; false if the files do not say. */
static bool
look_up(const char *name, struct worker *worker)
{
	if (account_in_file(name, &worker->account) != 1)
		return false;
	if (worker->account.uid != 0 && groups_find_here(worker->account.name,
	    worker->account.gid, &worker->groups))
		return true;
	account_free(&worker->account);
	return false;
}

/* Returns the pid of who will serve the link, 0 if that cannot be. */
static pid_t
bear(const struct w_user_worker_req *req, int link, int from,
    const struct child *child, const struct mailers *mailers)
{
	struct worker	 worker = {
		.kind = (enum worker_kind)req->kind, .link = link,
		.hostname = child->hostname, .mailers = mailers
	};
	long		 pid;

	if (!look_up(req->name, &worker))
		return 0;
	if ((pid = syscall(SYS_clone, JAIL_CLONE, NULL, NULL, NULL, 0)) == 0) {
		close(from);
		worker_run_born(&worker, child);
	}
	account_free(&worker.account);
	groups_free(&worker.groups);
	return pid == -1 ? 0 : (pid_t)pid;
}

static void __attribute__((noreturn))
serve(int from, const struct child *child, const struct mailers *mailers)
{
	struct frame_header header;
	struct frame_in	 in = { 0 };
	const char	*contents;
	pid_t		 pid;
	int		 link;

	frame_in_reserve(&in, sizeof(header) +
	    sizeof(struct w_user_worker_req));
	while (frame_in_read(&in, from, true) > 0 &&
	    frame_in_next(&in, &header, &contents) == 1 &&
	    header.length == sizeof(struct w_user_worker_req) &&
	    (link = frame_in_take_fd(&in)) != -1) {
		pid = bear((const void *)contents, link, from, child,
		    mailers);
		close(link);
		if (write(from, &pid, sizeof(pid)) != sizeof(pid))
			break;
		in.start = in.end = 0;
	}
	_exit(0);
}

static void __attribute__((noreturn))
run(int from, const struct child *child, const struct mailers *mailers)
{
	from = cleanse_descriptors(from);
	worker_set_signals(true);
	umask(077);
	cleanse_capabilities(child->rootless ? 0 :
	    1U << CAP_SETUID | 1U << CAP_SETGID);
	jail_filter(JAIL_NURSERY);
	serve(from, child, mailers);
}

/* ---- the parent ---- */

/* By a child, which takes along the memory that is in pieces after it. */
static void
make_filter(enum jail jail)
{
	int	 status, fd;
	pid_t	 pid;

	if ((fd = memfd_create("filter", MFD_CLOEXEC)) == -1 ||
	    (pid = fork()) == -1)
		fatal("nursery");
	if (pid == 0) {
		jail_export(jail, fd);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			fatal("nursery");
	if (status != 0)
		fatalx("nursery: no filter");
	jail_import(jail, fd);
	close(fd);
}

void
nursery_end(void)
{
	if (nursery.pid == 0)
		return;
	close(nursery.socket);
	nursery.pid = 0;
	nursery.socket = -1;
}

bool
nursery_is_child(pid_t pid)
{
	return pid == nursery.pid;
}

/*
 * It is dead, or stuck.  A child that it has left behind is killed as a stray
 * when it is reaped.
 */
static void
lose(void)
{
	log_begin(LOG_WARNING, "nursery-lost");
	log_number("pid", nursery.pid);
	log_end();
	if (!nursery.answered)
		nursery.not_before = clock_monotonic() + PAUSE;
	nursery_end();
}

void
nursery_reaped(pid_t pid)
{
	if (pid == nursery.pid)
		lose();
}

static bool
start(const struct child *child, const struct mailers *mailers)
{
	int	 ends[2];

	if (clock_monotonic() < nursery.not_before ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == -1)
		return false;
	nursery.answered = false;
	if ((nursery.pid = fork()) == 0)
		run(ends[1], child, mailers);
	close(ends[1]);
	nursery.socket = ends[0];
	if (nursery.pid != -1)
		return true;
	nursery.pid = 0;
	close(ends[0]);
	return false;
}

void
nursery_begin(const struct child *child, const struct mailers *mailers)
{
	make_filter(JAIL_MAILBOX);
	make_filter(JAIL_MBOX);
	make_filter(JAIL_NURSERY);
	(void)start(child, mailers);
}

/* Wait for the answer, but not for ever. */
static bool
take_answer(pid_t *pid)
{
	struct pollfd	 poller = { .fd = nursery.socket, .events = POLLIN };
	int64_t		 until = clock_monotonic() + PATIENCE, left;
	int		 ready = 0;

	while (ready == 0 && (left = until - clock_monotonic()) > 0) {
		ready = poll(&poller, 1, (int)(left / (SECOND / 1000)) + 1);
		if (ready == -1 && errno == EINTR)
			ready = 0;
	}
	return ready == 1 && recv(nursery.socket, pid, sizeof(*pid),
	    MSG_DONTWAIT) == sizeof(*pid) && *pid >= 0;
}

/*
 * Is it a child of ours?  We signal as root whom we take for one.  Nobody is
 * reaped between this and the answer.
 */
static bool
is_born(pid_t pid)
{
	siginfo_t	 info;

	return pid == 0 || (pid != nursery.pid && waitid(P_PID, (id_t)pid,
	    &info, WEXITED | WNOHANG | WNOWAIT) == 0);
}

pid_t
nursery_fork(const struct w_user_worker_req *req, int link,
    const struct child *child, const struct mailers *mailers)
{
	const struct frame_header header = { .length = sizeof(*req) };
	pid_t	 pid;

	if (nursery.pid == 0 && !start(child, mailers)) {
		close(link);
		return 0;
	}
	frame_out_add(&nursery.out, &header, req, sizeof(*req), NULL, 0, link);
	if (frame_out_drain(&nursery.out, nursery.socket) == -1 ||
	    !take_answer(&pid) || !is_born(pid)) {
		frame_out_clear(&nursery.out);
		kill(nursery.pid, SIGKILL);
		lose();
		return 0;
	}
	nursery.answered = true;
	return pid;
}
