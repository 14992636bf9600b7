/*
 * One delivery, as a worker is asked for it and as it answers.
 */
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "spoold.h"

/* The addresses that go along, then the body, in one tail. */
static char *
make_tail(const struct recipient *recipient, const char *body, size_t length,
    size_t *tail_length, uint8_t *count)
{
	const struct recipient	*other;
	char			*tail, *at;
	size_t			 size = length;

	TAILQ_FOREACH(other, &recipient->also, waiting)
		size += strlen(other->route->address) + 1;
	if ((tail = malloc(size + 1)) == NULL)
		fatal("job");
	at = tail;
	*count = 0;
	TAILQ_FOREACH(other, &recipient->also, waiting) {
		at = stpcpy(at, other->route->address) + 1;
		++*count;
	}
	if (length > 0)
		memcpy(at, body, length);
	*tail_length = size;
	return tail;
}

/* The tail may be made for the purpose; the usual one is the body. */
static void
send_job(struct link *link, struct recipient *recipient,
    struct w_job_deliver_req *job, const char *body, int fd)
{
	struct recipient	*other;
	char			*tail;
	size_t			 length = body != NULL ? job->size : 0;

	recipient_set(recipient, RECIPIENT_OUT);
	if (TAILQ_EMPTY(&recipient->also)) {
		recipient->ask = link_ask(link, IMSG_JOB_DELIVER_REQ, job,
		    body, length, fd, recipient);
		return;
	}
	TAILQ_FOREACH(other, &recipient->also, waiting)
		recipient_set(other, RECIPIENT_OUT);
	tail = make_tail(recipient, body, length, &length,
	    &job->more_addresses);
	recipient->ask = link_ask(link, IMSG_JOB_DELIVER_REQ, job, tail,
	    length, fd, recipient);
	free(tail);
}

/*
 * Give the worker this recipient and those that go along.  Returns 0, or -1
 * if the body cannot be read.
 */
int
ask_job_deliver(struct link *link, struct recipient *recipient)
{
	struct message			*message = recipient->message;
	const struct route		*route = recipient->route;
	struct w_job_deliver_req	 job = {
		.id = message->id, .recipient = recipient->row,
		.method = route->method, .size = message->size,
		.arrival = message->arrival, .mailer = route->mailer,
		.fresh = recipient->first_try, .skip = recipient->skip,
		.body_in_file = message->in_file
	};
	const char			*body = NULL;
	int				 fd = -1;

	if (message->in_file)
		fd = message_open_body(message);
	else
		body = message_body(message);
	if (fd == -1 && body == NULL)
		return -1;
	(void)strlcpy(job.sender, recipient_sender(recipient),
	    sizeof(job.sender));
	(void)strlcpy(job.address, route->address, sizeof(job.address));
	(void)strlcpy(job.original, recipient->original,
	    sizeof(job.original));
	(void)strlcpy(job.extension, route->extension,
	    sizeof(job.extension));
	(void)strlcpy(job.domain, route->domain, sizeof(job.domain));
	(void)strlcpy(job.text, route->text, sizeof(job.text));
	send_job(link, recipient, &job, body, fd);
	message_spare_body(message);
	return 0;
}

/* It is done, in one way or another; so are those that went along. */
static void
end_job(struct recipient *recipient, enum ending_kind kind,
    const char *status, const char *text, const char *place)
{
	struct outcome		*outcome = outcome_new(recipient->message);
	struct recipient	*other;

	outcome_add(outcome, recipient, kind, status, text,
	    place)->attempted = true;
	while ((other = TAILQ_FIRST(&recipient->also)) != NULL) {
		TAILQ_REMOVE(&recipient->also, other, waiting);
		other->holder = NULL;
		outcome_add(outcome, other, kind, status, text,
		    place)->attempted = true;
	}
	outcome_store(outcome);
}

static void
on_expanded(struct recipient *recipient, const struct frame *frame)
{
	const struct w_job_deliver_ans	*answer = frame->payload;
	struct expansion		*expansion;

	expansion = expansion_of(recipient, frame, answer->count,
	    answer->more != 0, "the user's .forward names nobody",
	    answer->place);
	if (expansion == NULL)
		return;
	expansion->found_under = strdup(recipient->address);
	expansion->account = strdup(recipient->route->account);
	if (expansion->found_under == NULL || expansion->account == NULL)
		fatal("expansion");
	expansion_end(recipient, expansion, "forwarded by the user",
	    answer->place);
}

/* It takes a worker of another kind. */
static void
give_on(struct recipient *recipient, enum worker_kind kind,
    enum job_method method)
{
	recipient->route->worker = kind;
	recipient->route->method = method;
	recipient_set(recipient, RECIPIENT_ROUTED);
	user_give(recipient);
}

void
on_job_deliver_ans(struct link *link, struct frame *frame, void *arg)
{
	const struct w_job_deliver_ans	*answer = frame->payload;
	struct recipient		*recipient = arg;

	recipient->ask = 0;
	if (answer == NULL) {
		worker_lost(recipient->holder, recipient,
		    link_died(link));
		return;
	}
	worker_answered(recipient->holder, recipient);
	if (answer->verdict >= JOB_EXPANDED)
		user_take_back(recipient);
	switch (answer->verdict) {
	case JOB_DONE:
		end_job(recipient, ENDING_DELIVERED,
		    answer->status[0] != '\0' ? answer->status : "2.0.0",
		    answer->twin ? "was there already" : answer->text,
		    answer->place);
		break;
	case JOB_FAILED:
		end_job(recipient, ENDING_FAILED,
		    answer->status[0] == '5' ? answer->status : "5.0.0",
		    answer->text, answer->place);
		break;
	case JOB_EXPANDED:
		on_expanded(recipient, frame);
		break;
	case JOB_NEEDS_PROGRAM:
		give_on(recipient, WORKER_PROGRAM, recipient->route->method);
		break;
	case JOB_NEEDS_MBOX:
		give_on(recipient, WORKER_MBOX, JOB_MBOX);
		break;
	default:
		end_job(recipient, ENDING_DEFERRED,
		    answer->status[0] == '4' ? answer->status : "4.0.0",
		    answer->text, answer->place);
		if (answer->verdict != JOB_DEFERRED)
			link_violation(link, "a verdict that is none");
	}
}
