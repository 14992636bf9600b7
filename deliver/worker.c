/*
 * A worker: a child of the root parent that becomes one user for good, then
 * reads JOBs from spoold and answers them, up to a batch at once.  Whom the
 * nursery has not found in files it looks up itself, so that a slow directory
 * delays that user only.  Where it may not become the user it becomes nobody
 * and answers so.
 */
#include <sys/prctl.h>
#include <sys/stat.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deliver.h"
#include "signals.h"

#define NOBODY		65534

static volatile sig_atomic_t	told_to_end;	/* now */
static volatile sig_atomic_t	told_to_retire;	/* when nothing is in hand */

static void
on_signal(int number)
{
	if (number == SIGHUP)
		told_to_retire = 1;
	else
		told_to_end = 1;
}

bool
worker_abandoned(const struct worker *worker)
{
	struct pollfd	 poller = { .fd = worker->link, .events = POLLRDHUP };

	if (told_to_end)
		return true;
	return poll(&poller, 1, 0) == 1 &&
	    (poller.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

/* What was there before, if anybody wants to know. */
static void
hold_signals(sigset_t *before)
{
	sigset_t	 ours;

	sigemptyset(&ours);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, SIGHUP);
	sigprocmask(SIG_BLOCK, &ours, before);
}

void
worker_set_signals(bool hold)
{
	struct sigaction action = { .sa_handler = on_signal };

	signals_reset();
	if (hold)
		hold_signals(NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);	/* a limit is met where we write */
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

/* ---- becoming the user ---- */

static void
refuse(struct worker *worker, const char *status, const char *why)
{
	worker->refusal_status = status;
	worker->refusal = why;
}

/* Who is this user?  Sets a refusal where that cannot be said. */
static void
look_up(struct worker *worker, const char *name)
{
	switch (account_by_name(name, &worker->account)) {
	case ACCOUNT_YES:
		break;
	case ACCOUNT_NO:
		refuse(worker, "4.3.5", "the account is gone");
		return;
	case ACCOUNT_FAILED:
		refuse(worker, "4.3.0", "the account cannot be looked up");
		return;
	}
	if (worker->account.uid == 0)
		refuse(worker, "4.3.5", "nothing is delivered as root");
	else if (groups_find(worker->account.name, worker->account.gid,
	    &worker->groups) == -1)
		refuse(worker, "4.3.0", "the groups cannot be looked up");
}

/* The group that may write into the mail spool; the user's own otherwise. */
static gid_t
spool_group(const struct account *account)
{
	struct stat	 st;

	if (stat(MAIL_SPOOL, &st) == -1 || st.st_gid == 0)
		return account->gid;
	return st.st_gid;
}

/* Without root: who started us is the only one there is. */
static void
become_rootless(struct worker *worker)
{
	if (worker->refusal == NULL && worker->account.uid != getuid())
		refuse(worker, "4.3.0",
		    "only the account that started the suite is served");
}

/* Become the user, or nobody if there is a refusal, for good. */
static void
become(struct worker *worker, const struct child *child)
{
	const struct account *account = &worker->account;
	bool	 spool = worker->kind == WORKER_MBOX;

	if (child->rootless) {
		become_rootless(worker);
		return;
	}
	if (worker->refusal == NULL && jail_become(account->uid,
	    spool ? spool_group(account) : account->gid, worker->groups.all,
	    spool ? 0 : worker->groups.count) == -1)
		refuse(worker, "4.3.0", "the account cannot be entered");
	if (worker->refusal != NULL && getuid() == 0 &&
	    jail_become(NOBODY, NOBODY, NULL, 0) == -1)
		_exit(71);
}

static void
go_home(struct worker *worker)
{
	if (worker->refusal != NULL)
		return;
	if (chdir(worker->account.home) == -1)
		worker->home_errno = errno;
	if (worker->home_errno != 0 && chdir("/") == -1)
		_exit(71);
}

/* Into the jail of this kind. */
static void
settle(const struct worker *worker)
{
	if (worker->kind != WORKER_PROGRAM || worker->refusal != NULL)
		jail_filter(worker->kind == WORKER_MBOX ? JAIL_MBOX :
		    JAIL_MAILBOX);
	/* Programs of this user are not to trace us. */
	else if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == -1 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		_exit(71);
}

/* ---- serving the link ---- */

/*
 * Wait until there is a frame; false if none will come or we shall end.  Who
 * shall retire does so only when no frame is there.
 */
static bool
wait_for_job(const struct worker *worker)
{
	struct pollfd	 poller = { .fd = worker->link, .events = POLLIN };
	struct timespec	 at_once = { 0 };
	sigset_t	 before;
	int		 ready = -1;

	hold_signals(&before);
	while (!told_to_end && ready == -1) {
		ready = ppoll(&poller, 1, told_to_retire ? &at_once : NULL,
		    &before);
		if (ready == -1 && errno != EINTR)
			break;
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return ready == 1 && !told_to_end;
}

/* Read what JOBs there are, waiting for the first; 0 is the end. */
static size_t
gather(struct worker *worker, struct job **jobs)
{
	struct frame	 frame;
	const char	*why;
	size_t		 count = 0;
	int		 result;

	while (count < JOBS_AT_ONCE && !told_to_end) {
		result = link_read_buffered(&worker->in, worker->link,
		    PROC_WORKER, PROC_SPOOLD, &frame, &why);
		if (result == 0 && count == 0 && wait_for_job(worker))
			continue;
		if (result != 1)
			break;
		jobs[count] = frame.type == IMSG_JOB_DELIVER_REQ ?
		    job_take(&frame) : NULL;
		if (frame.fd != -1)
			close(frame.fd);
		if (jobs[count] == NULL)
			break;
		count++;
	}
	return count;
}

/* Its answer leaves with the next ones; be done with the job. */
static void
answer(struct worker *worker, struct job **job)
{
	link_add(&worker->out, IMSG_JOB_DELIVER_ANS, (*job)->frame,
	    &(*job)->answer, (*job)->targets, (*job)->targets_length, -1);
	job_free(*job);
	*job = NULL;
}

static int
send_answers(struct worker *worker)
{
	return link_write_buffered(&worker->out, worker->link);
}

/*
 * Do a batch: first what is quick, its Maildir files together, then what may
 * take long, one by one.  -1 if abandoned.
 */
static int
run_batch(struct worker *worker, struct job **jobs, size_t count)
{
	static struct maildir_batch batch;
	bool	 later[JOBS_AT_ONCE];
	size_t	 i;
	int	 result;

	for (i = 0; i < count; i++) {
		result = method_run(worker, jobs[i], &batch, false);
		if (result == -1)
			return -1;
		later[i] = result == 1;
	}
	if (maildir_commit(&batch, worker) == -1)
		return -1;
	/* In one write, so that spoold stores them together as well. */
	for (i = 0; i < count; i++)
		if (!later[i])
			answer(worker, &jobs[i]);
	if (send_answers(worker) == -1)
		return -1;
	for (i = 0; i < count; i++) {
		if (!later[i])
			continue;
		if (method_run(worker, jobs[i], &batch, true) == -1 ||
		    maildir_commit(&batch, worker) == -1)
			return -1;
		answer(worker, &jobs[i]);
		if (send_answers(worker) == -1)
			return -1;
	}
	return 0;
}

static void __attribute__((noreturn))
serve(struct worker *worker)
{
	struct job	*jobs[JOBS_AT_ONCE];
	size_t		 count;

	while ((count = gather(worker, jobs)) > 0 &&
	    run_batch(worker, jobs, count) == 0)
		/* The next one may find the account, or its home. */
		if (worker->refusal != NULL || worker->home_errno != 0)
			told_to_retire = 1;
	_exit(0);
}

void
worker_run(const struct w_user_worker_req *req, int fd,
    const struct child *child, const struct mailers *mailers)
{
	struct worker	 worker = { .link = -1 };

	worker.kind = (enum worker_kind)req->kind;
	worker.hostname = child->hostname;
	worker.mailers = mailers;
	worker.link = cleanse_descriptors(fd);
	worker_set_signals(false);
	umask(077);
	look_up(&worker, req->name);
	become(&worker, child);
	go_home(&worker);
	settle(&worker);
	serve(&worker);
}

void
worker_run_born(struct worker *worker, const struct child *child)
{
	sigset_t	 none;

	become(worker, child);
	jail_close();
	go_home(worker);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	serve(worker);
}
