/*
 * What a JOB asks for, and whether this worker may do it: the configuration
 * that deliver was given decides, never the JOB, which only names.
 */
#include <errno.h>
#include <string.h>

#include "deliver.h"

/* One attempt: who, what, and the Maildir deliveries that wait for others. */
struct attempt {
	struct worker	*worker;
	struct job	*job;
	struct maildir_batch *batch;
	bool		 later;		/* slow things may be done now */
};

#define DO_LATER	1

/* The path of a mailer, with the home for ~; -1 if that is too long. */
static int
expand_path(const struct worker *worker, const char *text, char *path,
    size_t size)
{
	const char	*home = "";

	if (strncmp(text, "~/", 2) == 0) {
		home = worker->account.home;
		text++;
	}
	if ((size_t)snprintf(path, size, "%s%s", home, text) >= size) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

static int
deliver_maildir(struct attempt *attempt, const struct mailer *mailer)
{
	char	 path[WIRE_PATH];

	if (expand_path(attempt->worker, mailer->text, path,
	    sizeof(path)) == -1)
		job_defer_errno(attempt->job, mailer->name);
	else if (mailer->text[0] == '~' && attempt->worker->home_errno != 0) {
		errno = attempt->worker->home_errno;
		job_defer_errno(attempt->job, attempt->worker->account.home);
	} else
		maildir_add(attempt->batch, attempt->worker, attempt->job,
		    path);
	return 0;
}

static int
deliver_file(struct attempt *attempt, const struct mailer *mailer)
{
	char	 path[WIRE_PATH];

	if (!attempt->later)
		return DO_LATER;
	if (expand_path(attempt->worker, mailer->text, path,
	    sizeof(path)) == -1) {
		job_defer_errno(attempt->job, mailer->name);
		return 0;
	}
	if (strcmp(path, "/dev/null") == 0) {
		job_done(attempt->job, path);
		return 0;
	}
	return mbox_deliver(attempt->worker, attempt->job, path, false);
}

/* Do it as the mailer says; named: the recipient is the account. */
static int
deliver_by(struct attempt *attempt, const struct mailer *mailer, bool named)
{
	switch (mailer->kind) {
	case MAILER_MAILDIR:
		return deliver_maildir(attempt, mailer);
	case MAILER_MBOX:
		return deliver_file(attempt, mailer);
	case MAILER_SPOOL:
		job_verdict(attempt->job, JOB_NEEDS_MBOX);
		return 0;
	case MAILER_PIPE:
	case MAILER_COMMAND:
		if (attempt->worker->kind != WORKER_PROGRAM) {
			job_verdict(attempt->job, JOB_NEEDS_PROGRAM);
			return 0;
		}
		if (!attempt->later)
			return DO_LATER;
		return program_deliver(attempt->worker, attempt->job, mailer,
		    named);
	case MAILER_NONE:
		break;
	}
	job_defer(attempt->job, "4.3.5", "local-mailer is not configured");
	return 0;
}

/* May this worker do it?  A mailer with a user belongs to that one. */
static bool
is_allowed(const struct worker *worker, const struct mailer *mailer)
{
	return mailer->user == NULL ||
	    strcmp(mailer->user, worker->account.name) == 0;
}

static int
deliver_to_mailbox(struct attempt *attempt)
{
	const struct mailer *mailer = &attempt->worker->mailers->local;

	if (!is_allowed(attempt->worker, mailer)) {
		job_defer(attempt->job, "4.3.5", "%s belongs to %s",
		    mailer->name, mailer->user);
		return 0;
	}
	return deliver_by(attempt, mailer, true);
}

/* Answer with what the .forward names, as much as an answer holds. */
static void
answer_expanded(struct job *job, const struct forward *forward)
{
	size_t	 i;

	for (i = job->request.skip; i < forward->count &&
	    job->answer.count < WIRE_TARGETS; i++)
		if (job_add_target(job, forward->entries[i].place,
		    forward->entries[i].text) == -1) {
			job->answer.count = 0;
			job->targets_length = 0;
			job_defer(job, "4.3.5", "~/.forward: %s",
			    strerror(errno));
			return;
		}
	job->answer.more = i < forward->count;
	job_verdict(job, JOB_EXPANDED);
}

/* ---- the methods ---- */

static int
do_local(struct attempt *attempt)
{
	struct forward	 forward;
	int		 result = 0;

	if (forward_read(attempt->worker, &forward) == -1)
		job_defer(attempt->job, "4.3.5", "%s", forward.why);
	else if (attempt->job->request.skip > 0 ||
	    (forward.exists && !forward.only_self))
		answer_expanded(attempt->job, &forward);
	else
		result = deliver_to_mailbox(attempt);
	forward_free(&forward);
	return result;
}

static int
do_mbox(struct attempt *attempt)
{
	const struct worker *worker = attempt->worker;
	char	 path[WIRE_PATH];

	if (!attempt->later)
		return DO_LATER;
	if (snprintf(path, sizeof(path), "%s/%s", MAIL_SPOOL,
	    worker->account.name) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		job_defer_errno(attempt->job, MAIL_SPOOL);
		return 0;
	}
	return mbox_deliver(worker, attempt->job, path, true);
}

static int
do_mailer(struct attempt *attempt)
{
	const struct worker *worker = attempt->worker;
	const struct mailer *mailer;

	mailer = mailers_find(worker->mailers, attempt->job->request.mailer);
	if (mailer == NULL)
		job_defer(attempt->job, "4.3.5",
		    "the configuration no longer has this mailer");
	else if (!is_allowed(worker, mailer))
		job_defer(attempt->job, "4.3.5", "%s is run by %s only",
		    mailer->name, mailer->user);
	else
		return deliver_by(attempt, mailer, false);
	return 0;
}

static int
do_text(struct attempt *attempt)
{
	const struct worker *worker = attempt->worker;
	const char	*text = attempt->job->request.text;
	struct mailer	 mailer;
	int		 result = 0;

	if (strcmp(worker->account.name, worker->mailers->program_user) != 0)
		job_defer(attempt->job, "4.3.5", "programs and files of "
		    "tables and aliases are %s's only",
		    worker->mailers->program_user);
	else if (mailer_of_text(text, &mailer) == -1)
		job_defer(attempt->job, "4.3.5", "%s cannot be done", text);
	else {
		result = deliver_by(attempt, &mailer, false);
		mailer_clear(&mailer);
	}
	return result;
}

/* A line of ~/.forward, if that still has it; else what it has now. */
static int
do_forward(struct attempt *attempt)
{
	const struct worker *worker = attempt->worker;
	const char	*text = attempt->job->request.text;
	char		 self[WIRE_LOGIN + 1];
	struct forward	 forward;
	struct mailer	 mailer;
	int		 result = 0;

	snprintf(self, sizeof(self), "\\%s", worker->account.name);
	if (strcmp(text, self) == 0)
		return deliver_to_mailbox(attempt);
	if (forward_read(worker, &forward) == -1)
		job_defer(attempt->job, "4.3.5", "%s", forward.why);
	else if (!forward_has(&forward, text)) {
		if (forward.count > 0)
			answer_expanded(attempt->job, &forward);
		else if (job_add_target(attempt->job, TARGET_FORWARD,
		    self) == 0)
			job_verdict(attempt->job, JOB_EXPANDED);
	} else if (mailer_of_text(text, &mailer) == -1)
		job_defer(attempt->job, "4.3.5", "%s cannot be done", text);
	else {
		result = deliver_by(attempt, &mailer, false);
		mailer_clear(&mailer);
	}
	forward_free(&forward);
	return result;
}

static const struct method {
	int	(*fn)(struct attempt *);
	bool	 in_spool;	/* needs the group of the mail spool */
} methods[] = {
	[JOB_LOCAL] =	{ do_local,	false },
	[JOB_MBOX] =	{ do_mbox,	true },
	[JOB_MAILER] =	{ do_mailer,	false },
	[JOB_TEXT] =	{ do_text,	false },
	[JOB_FORWARD] =	{ do_forward,	false },
};

int
method_run(struct worker *worker, struct job *job,
    struct maildir_batch *batch, bool later)
{
	struct attempt	 attempt = { worker, job, batch, later };
	uint32_t	 method = job->request.method;
	int		 looped;

	/* For this kind of worker the local mailer is the mail spool. */
	if (worker->kind == WORKER_MBOX && method == JOB_LOCAL)
		method = JOB_MBOX;
	job_defer(job, "4.3.0", "nothing was done");
	if (worker->refusal != NULL) {
		job_defer(job, worker->refusal_status, "%s", worker->refusal);
		return 0;
	}
	if (method >= sizeof(methods) / sizeof(methods[0]) ||
	    methods[method].fn == NULL ||
	    methods[method].in_spool != (worker->kind == WORKER_MBOX)) {
		job_defer(job, "4.3.5", "no job for this kind of worker");
		return 0;
	}
	looped = body_was_delivered_to(&job->body, job->request.address);
	if (looped == 1)
		job_fail(job, "5.4.6", "mail for %s loops: it has been "
		    "delivered there", job->request.address);
	else if (looped == -1)
		job_defer_errno(job, "reading the message");
	else
		return methods[method].fn(&attempt);
	return 0;
}
