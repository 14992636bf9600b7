/*
 * Questions to policyd: is this recipient accepted from this client?  A
 * question carries all it takes, so when policyd is lost it is asked again
 * as soon as there is a new one.  What has no answer after a while is 451.
 */
#include <event2/event.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "loop.h"
#include "smtpd.h"

#define PATIENCE	(10 * SECOND)	/* without policyd */
#define PATIENCE_ASKED	(30 * SECOND)	/* with one that does not answer */

static struct {
	struct link	*link;		/* NULL: it is away */
	struct event	*timer;
	TAILQ_HEAD(, question) open;	/* without an answer */
} policy = { .open = TAILQ_HEAD_INITIALIZER(policy.open) };

static void
ask_rcpt_check(struct question *question)
{
	const struct session *session = question->session;
	struct w_rcpt_check_req req;

	question->waiting = false;
	memset(&req, 0, sizeof(req));
	req.session = session->id;
	req.client = session->client;
	(void)strlcpy(req.sender, session->transaction->sender,
	    sizeof(req.sender));
	(void)strlcpy(req.recipient, question->recipient,
	    sizeof(req.recipient));
	question->link = policy.link;
	question->id = link_ask(question->link, IMSG_RCPT_CHECK_REQ, &req, NULL,
	    0, -1, question);
}

void
policy_ask(struct session *session, const char *recipient)
{
	struct question *question = session->question;

	question->session = session;
	question->since = clock_monotonic();
	(void)strlcpy(question->recipient, recipient,
	    sizeof(question->recipient));
	question->waiting = true;
	if (TAILQ_EMPTY(&policy.open))
		loop_after(policy.timer, SECOND);
	TAILQ_INSERT_TAIL(&policy.open, question, entry);
	if (policy.link != NULL)
		ask_rcpt_check(question);
}

void
policy_forget(struct session *session)
{
	struct question *question = session->question;

	if (question->id != 0)
		link_forget(question->link, question->id);
	if (question->waiting || question->id != 0)
		TAILQ_REMOVE(&policy.open, question, entry);
	question->waiting = false;
	question->id = 0;
}

static void
on_rcpt_check_ans(struct link *link, struct frame *frame, void *arg)
{
	struct question *question = arg;

	question->id = 0;
	if (frame->payload == NULL) {
		question->waiting = true;
		if (policy.link == link)
			policy.link = NULL;
		if (policy.link != NULL)
			ask_rcpt_check(question);
		return;
	}
	TAILQ_REMOVE(&policy.open, question, entry);
	policy_answered(question->session, frame->payload);
}

/* Those who have waited too long hear so. */
static void
on_timer(int fd, short events, void *arg)
{
	int64_t now = clock_monotonic(), patience;
	struct question *question, *next;

	(void)fd;
	(void)events;
	(void)arg;
	for (question = TAILQ_FIRST(&policy.open); question != NULL;
	    question = next) {
		next = TAILQ_NEXT(question, entry);
		patience = question->waiting ? PATIENCE : PATIENCE_ASKED;
		if (now - question->since < patience)
			continue;
		policy_forget(question->session);
		policy_answered(question->session, NULL);
	}
	if (!TAILQ_EMPTY(&policy.open))
		loop_after(policy.timer, SECOND);
}

static void
on_up(struct child *child, struct link *link,
    const struct w_start_peer_ntf *ntf)
{
	struct question *question;

	(void)child;
	(void)ntf;
	policy.link = link;
	TAILQ_FOREACH(question, &policy.open, entry)
		if (question->waiting)
			ask_rcpt_check(question);
}

static void
on_lost(struct child *child, struct link *link)
{
	(void)child;
	if (policy.link == link)
		policy.link = NULL;
}

void
policy_begin(struct child *child)
{
	policy.timer = event_new(child->base, -1, 0, on_timer, NULL);
	if (policy.timer == NULL)
		fatalx("policy: no event");
}

static const struct link_handler handlers[] = {
	{ IMSG_RCPT_CHECK_ANS, on_rcpt_check_ans },
	{ IMSG_NONE, NULL }
};

static const struct link_role role = {
	.self = PROC_SMTPD, .peer = PROC_POLICYD, .handlers = handlers,
	.closed = child_link_closed
};

const struct child_peer policy_peer = { &role, on_up, on_lost };
