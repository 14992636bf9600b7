/*
 * The link to spoold: transactions and questions come in, results and
 * answers go out.  Keeps those whose recipients are still arriving.
 */
#include <string.h>

#include "log.h"
#include "relay.h"

static struct transactions gathering = TAILQ_HEAD_INITIALIZER(gathering);

static struct transaction *
find(const struct link *link, uint64_t number)
{
	struct transaction *t;

	TAILQ_FOREACH(t, &gathering, entry)
		if (t->link == link && t->number == number)
			return t;
	return NULL;
}

static void
on_relay_rcpt(struct link *link, struct frame *frame, void *arg)
{
	const struct w_relay_rcpt_ntf *ntf = frame->payload;
	struct transaction *t = find(link, ntf->transaction);

	(void)arg;
	if (t == NULL) {
		t = transaction_new(link, ntf->transaction);
		TAILQ_INSERT_HEAD(&gathering, t, entry);
	}
	transaction_add(t, ntf);
}

static void
on_relay_deliver(struct link *link, struct frame *frame, void *arg)
{
	const struct w_relay_deliver_req *req = frame->payload;
	struct transaction *t = find(link, req->transaction);
	struct reply fault;

	(void)arg;
	if (t == NULL)
		t = transaction_new(link, req->transaction);
	else
		TAILQ_REMOVE(&gathering, t, entry);
	if (transaction_complete(t, req, frame) == -1) {
		reply_fault(&fault, STAGE_NONE, 451, "4.3.0",
		    "relay was handed an incomplete transaction");
		transaction_rest(t, &fault, false);
		transaction_done(t, 0, "", "");
		return;
	}
	hop_submit(req->hop, req->exchange, t);
}

static void
on_relay_explain(struct link *link, struct frame *frame, void *arg)
{
	(void)arg;
	explain(link, frame->id, frame->payload);
}

void
tell_relay_result(struct link *link, const struct w_relay_result_ntf *ntf)
{
	link_tell(link, IMSG_RELAY_RESULT_NTF, ntf, NULL, 0, -1);
}

void
answer_relay_deliver(struct link *link, uint32_t request,
    const struct w_relay_deliver_ans *ans)
{
	link_answer(link, IMSG_RELAY_DELIVER_ANS, request, ans, NULL, 0, -1);
}

void
answer_relay_explain(struct link *link, uint32_t request,
    const struct w_relay_explain_ans *ans, const char *text, size_t length)
{
	link_answer(link, IMSG_RELAY_EXPLAIN_ANS, request, ans, text, length,
	    -1);
}

/*
 * The link is gone: nobody waits for what was arriving on it.
 */
void
forget_gathering(const struct link *link)
{
	struct transaction *t, *next;

	TAILQ_FOREACH_SAFE(t, &gathering, entry, next)
		if (t->link == link) {
			TAILQ_REMOVE(&gathering, t, entry);
			transaction_free(t);
		}
}

static const struct link_handler handlers[] = {
	{ IMSG_RELAY_RCPT_NTF, on_relay_rcpt },
	{ IMSG_RELAY_DELIVER_REQ, on_relay_deliver },
	{ IMSG_RELAY_EXPLAIN_REQ, on_relay_explain },
	{ IMSG_NONE, NULL }
};

const struct link_role role_spoold = {
	.self = PROC_RELAY,
	.peer = PROC_SPOOLD,
	.handlers = handlers,
	.closed = child_link_closed
};
