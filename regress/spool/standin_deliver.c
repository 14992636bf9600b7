/*
 * deliver, which gives workers, and those: the account says what becomes of a
 * delivery.
 */
#include <sys/socket.h>
#include <sys/stat.h>

#include <err.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "queueid.h"
#include "standin.h"

/* Keep a body that was delivered. */
static void
keep_body(const struct w_job_deliver_req *job, const void *body, size_t size)
{
	char	 path[512], id[QUEUEID_LENGTH + 1];
	FILE	*out;

	if (s.quiet || job->body_in_file)
		return;
	(void)snprintf(path, sizeof(path), "%s/../%s.%u", s.directory,
	    queueid_print(job->id, id), job->recipient);
	if ((out = fopen(path, "w")) == NULL)
		err(1, "%s", path);
	fprintf(out, "sender=%s\n", job->sender);
	(void)fwrite(body, 1, size, out);
	fclose(out);
}

static void
on_job(struct link *link, struct frame *frame, void *arg)
{
	const struct w_job_deliver_req	*job = frame->payload;
	const char			*account = arg;
	struct w_job_deliver_ans	 answer;
	char				 tail[16384], one[64];
	size_t				 length = 0;
	const char			*body = frame->tail;
	size_t				 size = frame->tail_length;
	struct stat			 st;
	int				 i, total;

	for (i = 0; i < job->more_addresses; i++) {
		size -= strlen(body) + 1;
		body += strlen(body) + 1;
	}
	memset(&answer, 0, sizeof(answer));
	answer.id = job->id;
	answer.recipient = job->recipient;
	answer.verdict = JOB_DONE;
	(void)snprintf(answer.place, sizeof(answer.place), "/home/%s",
	    account);
	if (job->body_in_file ? fstat(frame->fd, &st) == -1 ||
	    (uint64_t)st.st_size != job->size : size != job->size)
		errx(1, "a body that is not as long as it says");
	if (strcmp(account, "fail") == 0) {
		answer.verdict = JOB_FAILED;
		(void)strcpy(answer.status, "5.2.2");
		(void)strcpy(answer.text, "the mailbox is full for ever");
	} else if (strcmp(account, "later") == 0) {
		answer.verdict = JOB_DEFERRED;
		(void)strcpy(answer.status, "4.2.2");
		(void)strcpy(answer.text, "over quota");
	} else if (strcmp(account, "hangs") == 0 && !s.is_cured) {
		event_line("hangs", job->id, job->recipient, "");
		s.hanging = link;
		return;
	} else if (strcmp(account, "dies") == 0) {
		event_line("died", job->id, job->recipient, "");
		link_free(link);
		return;
	} else if (strcmp(account, "forward") == 0 &&
	    job->method == JOB_LOCAL) {
		answer.verdict = JOB_EXPANDED;
		put_target(tail, &length, TARGET_ROUTED, "local-ok@here");
		put_target(tail, &length, TARGET_FORWARD, "|program");
		answer.count = 2;
	} else if (strcmp(account, "many") == 0 ||
	    strcmp(account, "nobody") == 0) {
		answer.verdict = JOB_EXPANDED;
		total = strcmp(account, "many") == 0 ? 600 : 0;
		for (i = (int)job->skip; i < total && answer.count <
		    WIRE_TARGETS; i++) {
			(void)snprintf(one, sizeof(one), "discard-%d@here", i);
			put_target(tail, &length, TARGET_ROUTED, one);
			answer.count++;
		}
		answer.more = i < total;
	}
	s.delivered += answer.verdict == JOB_DONE;
	if (answer.verdict == JOB_DONE)
		keep_body(job, body, size);
	if (job->more_addresses > 0)
		event_line("together", job->id, job->more_addresses + 1, "");
	event_line(answer.verdict == JOB_DONE ? "delivered" : "tried",
	    job->id, job->recipient, job->text[0] != '\0' ? job->text :
	    account);
	link_answer(link, IMSG_JOB_DELIVER_ANS, frame->id, &answer, tail,
	    length, -1);
	link_flush(link);
}

static const struct link_handler worker_handlers[] = {
	{ IMSG_JOB_DELIVER_REQ,	on_job },
	{ IMSG_NONE,		NULL }
};

static void
on_worker_end(struct link *link, const char *why, void *arg)
{
	(void)why;
	if (s.hanging == link)
		s.hanging = NULL;
	free(arg);
}

static const struct link_role worker_role = {
	.self = PROC_WORKER, .peer = PROC_SPOOLD,
	.handlers = worker_handlers, .closed = on_worker_end
};

static void
on_user_worker(struct link *link, struct frame *frame, void *arg)
{
	const struct w_user_worker_req	*question = frame->payload;
	struct w_user_worker_ans	 answer = {
		.id = question->id, .verdict = USER_OK
	};
	int				 pair[2];

	(void)arg;
	if (strcmp(question->name, "hangs") == 0) {
		if (s.is_stuck) {
			event_line("stuck", question->id, 0, question->name);
			answer.verdict = USER_STUCK;
			link_answer(link, IMSG_USER_WORKER_ANS, frame->id,
			    &answer, NULL, 0, -1);
			return;
		}
		s.hanging_id = question->id;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1)
		err(1, "socketpair");
	(void)link_new(s.base, pair[0], &worker_role, strdup(question->name));
	link_answer(link, IMSG_USER_WORKER_ANS, frame->id, &answer, NULL, 0,
	    pair[1]);
}

static void
on_user_kill(struct link *link, struct frame *frame, void *arg)
{
	(void)link;
	(void)frame;
	(void)arg;
}

static const struct link_handler deliver_handlers[] = {
	{ IMSG_USER_WORKER_REQ,	on_user_worker },
	{ IMSG_USER_KILL_NTF,	on_user_kill },
	{ IMSG_NONE,		NULL }
};

const struct link_role deliver_role = {
	.self = PROC_DELIVER, .peer = PROC_SPOOLD,
	.handlers = deliver_handlers, .closed = on_end
};

/* Nothing ends the worker that hangs. */
void
command_stuck(void)
{
	struct w_user_stuck_ntf	 ntf = { .id = s.hanging_id };

	s.is_stuck = s.hanging != NULL;
	if (s.is_stuck)
		link_tell(s.deliver, IMSG_USER_STUCK_NTF, &ntf, NULL, 0, -1);
	puts(s.is_stuck ? "ok" : "no");
}

/* It has ended after all. */
void
command_ended(void)
{
	struct w_user_ended_ntf	 ntf = { .id = s.hanging_id, .status = 9 };

	link_tell(s.deliver, IMSG_USER_ENDED_NTF, &ntf, NULL, 0, -1);
	s.is_stuck = false;
	s.is_cured = true;
	puts("ok");
}
