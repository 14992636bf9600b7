/*
 * The parent: root, and therefore as ignorant as can be.  It reads a name and
 * a kind from spoold, forks or has the nursery do it, hands spoold the child's
 * link, and reaps.  It never sees mail, an address or a command, and looks
 * nobody up.
 */
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <event2/event.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "deliver.h"
#include "log.h"
#include "loop.h"

#define GRACE_SECONDS	10	/* from SIGTERM to SIGKILL */
#define STUCK_SECONDS	10	/* from SIGKILL until it no longer counts */
#define STUCK_PAUSE	HOUR	/* then, until its user gets another */

enum worker_end { LIVING, ENDING, KILLED, STUCK };

struct child_worker {
	TAILQ_ENTRY(child_worker) entry;
	uint64_t	 id;		/* spoold's */
	pid_t		 pid;
	enum worker_kind kind;
	enum worker_end	 end;
	bool		 orphan;	/* its spoold is gone */
	int64_t		 stuck_at;	/* monotonic */
	struct event	*timer;
	char		 name[WIRE_LOGIN];
};
TAILQ_HEAD(child_workers, child_worker);

static struct {
	struct child	*child;
	struct mailers	*mailers;
	struct child_workers workers;
	struct link	*spoold;
	struct event	*on_child;
} parent = { .workers = TAILQ_HEAD_INITIALIZER(parent.workers) };

/* ---- ending a worker ---- */

static void
tell_stuck(struct link *spoold, uint64_t id)
{
	struct w_user_stuck_ntf ntf = { .id = id };

	link_tell(spoold, IMSG_USER_STUCK_NTF, &ntf, NULL, 0, -1);
}

/* Even SIGKILL does not end it: what it sleeps on must come first. */
static void
give_up(struct child_worker *worker)
{
	worker->end = STUCK;
	worker->stuck_at = clock_monotonic();
	if (!worker->orphan && parent.spoold != NULL)
		tell_stuck(parent.spoold, worker->id);
	log_begin(LOG_WARNING, "worker-stuck");
	log_string("user", worker->name);
	log_number("pid", worker->pid);
	log_end();
}

static void
kill_worker(struct child_worker *worker)
{
	struct timeval	 patience = { .tv_sec = STUCK_SECONDS };

	worker->end = KILLED;
	kill(worker->pid, SIGKILL);
	/* Without a timer nobody would ever stop waiting for it. */
	if (event_add(worker->timer, &patience) == -1)
		give_up(worker);
}

/* It had its time: kill it; or give it up. */
static void
on_timer(int fd, short events, void *arg)
{
	struct child_worker *worker = arg;

	(void)fd;
	(void)events;
	if (worker->end == KILLED)
		give_up(worker);
	else
		kill_worker(worker);
}

static void
end_worker(struct child_worker *worker)
{
	struct timeval	 patience = { .tv_sec = GRACE_SECONDS };

	if (worker->end != LIVING)
		return;
	worker->end = ENDING;
	kill(worker->pid, SIGTERM);
	if (event_add(worker->timer, &patience) == -1)
		kill_worker(worker);
}

/* Its spoold is gone: nothing of it is wanted any more. */
static void
disown_worker(struct child_worker *worker)
{
	worker->orphan = true;
	end_worker(worker);
}

static void
worker_free(struct child_worker *worker)
{
	TAILQ_REMOVE(&parent.workers, worker, entry);
	event_free(worker->timer);
	free(worker);
}

static struct child_worker *
worker_by_pid(pid_t pid)
{
	struct child_worker *worker;

	TAILQ_FOREACH(worker, &parent.workers, entry)
		if (worker->pid == pid)
			return worker;
	return NULL;
}

/* ---- reaping ---- */

/* What a dead worker's programs left is ours now, and shall not run on. */
static void
kill_strays(void)
{
	char	 path[64];
	long	 pid;
	FILE	*file;

	snprintf(path, sizeof(path), "/proc/self/task/%ld/children",
	    (long)getpid());
	if ((file = fopen(path, "re")) == NULL)
		return;
	while (fscanf(file, "%ld", &pid) == 1 && pid > 1)
		if (worker_by_pid((pid_t)pid) == NULL &&
		    !nursery_is_child((pid_t)pid) &&
		    !drop_is_child((pid_t)pid))
			kill((pid_t)pid, SIGKILL);
	fclose(file);
}

static void
worker_ended(struct child_worker *worker, int status)
{
	struct w_user_ended_ntf ntf = { .id = worker->id };

	ntf.status = (uint32_t)status;
	if (!worker->orphan && parent.spoold != NULL)
		link_tell(parent.spoold, IMSG_USER_ENDED_NTF, &ntf, NULL, 0,
		    -1);
	if (status != 0) {
		log_begin(LOG_WARNING, "worker-ended");
		log_string("user", worker->name);
		log_number(WIFSIGNALED(status) ? "signal" : "exit",
		    WIFSIGNALED(status) ? WTERMSIG(status) :
		    WEXITSTATUS(status));
		log_end();
	}
	worker_free(worker);
}

static void
on_sigchld(int number, short events, void *arg)
{
	struct child_worker *worker;
	bool	 strays = false;
	pid_t	 pid;
	int	 status;

	(void)number;
	(void)events;
	(void)arg;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		worker = worker_by_pid(pid);
		/* The other kinds start nothing. */
		if (worker == NULL || worker->kind == WORKER_PROGRAM)
			strays = true;
		if (worker != NULL)
			worker_ended(worker, status);
		else {
			nursery_reaped(pid);
			drop_reaped(pid, status);
		}
	}
	if (strays)
		kill_strays();
}

/* ---- what spoold asks ---- */

/*
 * May there be a new worker of this name and kind?  Not beside one of an older
 * spoold that may still work; nor for a while after one was stuck, which runs
 * nothing any more, but a new one would sleep beside it.
 */
static enum user_verdict
judge(const struct w_user_worker_req *req)
{
	struct child_worker *worker;
	enum user_verdict verdict = USER_OK;
	int64_t	 now = clock_monotonic();

	TAILQ_FOREACH(worker, &parent.workers, entry)
		if (worker->end != STUCK) {
			if (worker->orphan)
				return USER_BUSY;
		} else if (now - worker->stuck_at < STUCK_PAUSE &&
		    worker->kind == (enum worker_kind)req->kind &&
		    strcmp(worker->name, req->name) == 0)
			verdict = USER_STUCK;
	return verdict;
}

/*
 * Fork a worker, by the nursery where that can; its pid, or -1.  The end of
 * its link that is spoold's is left in *link, or -1.
 */
static pid_t
fork_worker(const struct w_user_worker_req *req, bool nursery, int *link)
{
	int	 ends[2];
	pid_t	 pid;

	*link = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == -1)
		return -1;
	log_flush();		/* or the child would have lines to write */
	if (nursery) {
		pid = nursery_fork(req, ends[1], parent.child, parent.mailers);
		if (pid == 0) {
			close(ends[0]);
			return fork_worker(req, false, link);
		}
	} else {
		if ((pid = fork()) == 0)
			worker_run(req, ends[1], parent.child,
			    parent.mailers);
		close(ends[1]);
	}
	*link = ends[0];
	return pid;
}

/* Begin a worker; returns the end of its link that is spoold's, or -1. */
static int
begin_worker(const struct w_user_worker_req *req)
{
	struct child_worker *worker;
	int	 link = -1;

	if ((worker = calloc(1, sizeof(*worker))) == NULL ||
	    (worker->timer = evtimer_new(parent.child->base, on_timer,
	    worker)) == NULL)
		goto fail;
	worker->id = req->id;
	worker->kind = (enum worker_kind)req->kind;
	strlcpy(worker->name, req->name, sizeof(worker->name));
	worker->pid = fork_worker(req, worker->kind != WORKER_PROGRAM, &link);
	if (worker->pid == -1)
		goto fail;
	TAILQ_INSERT_TAIL(&parent.workers, worker, entry);
	return link;
fail:
	log_errno(LOG_WARNING, "worker", "for %s", req->name);
	if (link != -1)
		close(link);
	if (worker != NULL && worker->timer != NULL)
		event_free(worker->timer);
	free(worker);
	return -1;
}

static void
on_user_worker(struct link *link, struct frame *frame, void *arg)
{
	const struct w_user_worker_req *req = frame->payload;
	struct w_user_worker_ans ans = { .id = req->id };
	int	 fd = -1;

	(void)arg;
	ans.verdict = judge(req);
	if (ans.verdict == USER_OK && (req->kind < WORKER_MAILBOX ||
	    req->kind > WORKER_PROGRAM || (fd = begin_worker(req)) == -1))
		ans.verdict = USER_NO_FORK;
	link_answer(link, IMSG_USER_WORKER_ANS, frame->id, &ans, NULL, 0, fd);
}

static void
on_user_kill(struct link *link, struct frame *frame, void *arg)
{
	const struct w_user_kill_ntf *ntf = frame->payload;
	struct child_worker *worker;

	(void)arg;
	TAILQ_FOREACH(worker, &parent.workers, entry)
		if (worker->id == ntf->id && !worker->orphan) {
			end_worker(worker);
			return;
		}
	/* Forked by a deliver that is dead; it ends with its link at most. */
	tell_stuck(link, ntf->id);
}

static const struct link_handler handlers[] = {
	{ IMSG_USER_WORKER_REQ, on_user_worker },
	{ IMSG_USER_KILL_NTF, on_user_kill },
	{ IMSG_NONE, NULL }
};

const struct link_role parent_role = {
	.self = PROC_DELIVER, .peer = PROC_SPOOLD, .handlers = handlers,
	.closed = child_link_closed
};

/* ---- beginning and end ---- */

void
parent_begin(struct child *child)
{
	parent.child = child;
	parent.mailers = mailers_load(child->conf);
	if (!child->rootless)
		cleanse_capabilities(1U << CAP_SETUID | 1U << CAP_SETGID |
		    1U << CAP_KILL | 1U << CAP_DAC_READ_SEARCH);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == -1)
		fatal("subreaper");
	parent.on_child = evsignal_new(child->base, SIGCHLD, on_sigchld, NULL);
	if (parent.on_child == NULL || event_add(parent.on_child, NULL) == -1)
		fatalx("no event");
	/* What no worker shall have to do for itself: most of its start. */
	account_load_services();
	nursery_begin(child, parent.mailers);
	drop_begin(child);
}

void
parent_up(struct child *child, struct link *link,
    const struct w_start_peer_ntf *ntf)
{
	(void)child;
	(void)ntf;
	parent.spoold = link;
}

void
parent_lost(struct child *child, struct link *link)
{
	struct child_worker *worker;

	(void)child;
	if (parent.spoold == link)
		parent.spoold = NULL;
	TAILQ_FOREACH(worker, &parent.workers, entry)
		if (!worker->orphan)
			disown_worker(worker);
}

/* Workers have a copy of the old mailers: they end with what they have. */
void
parent_reconfigured(struct child *child)
{
	struct child_worker *worker;

	mailers_free(parent.mailers);
	parent.mailers = mailers_load(child->conf);
	nursery_end();
	TAILQ_FOREACH(worker, &parent.workers, entry)
		if (worker->end == LIVING)
			kill(worker->pid, SIGHUP);
	drop_begin(child);
}

void
parent_end(struct child *child)
{
	struct child_worker *worker;

	(void)child;
	TAILQ_FOREACH(worker, &parent.workers, entry) {
		kill(worker->pid, SIGTERM);
	}
	nursery_end();
	drop_end();
}
