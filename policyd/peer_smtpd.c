/*
 * What smtpd asks: RCPT.
 */
#include <string.h>

#include "child.h"
#include "log.h"
#include "policyd.h"

static void
log_failure(const struct w_rcpt_check_req *req,
    const struct decision *decision)
{
	log_begin(LOG_ERR, "route");
	log_string("to", req->recipient);
	log_string("where", decision->where);
	log_string("reason", decision->text);
	log_end();
}

/*
 * A standing that its listeners cannot give: only the first of them has the
 * local socket, and that alone; nobody can log in.
 */
static bool
claims_too_much(const struct link *link, const struct w_client *client)
{
	bool local = link_instance(link) % WIRE_WORKERS == 0;

	return client->standing < STANDING_STRANGER ||
	    client->standing > STANDING_LOCAL ||
	    client->standing == STANDING_LOGIN ||
	    (client->standing == STANDING_LOCAL) != local;
}

static void
on_rcpt_check(struct link *link, struct frame *frame, void *arg)
{
	const struct w_rcpt_check_req *req = frame->payload;
	struct w_rcpt_check_ans answer;
	struct decision decision;

	(void)arg;
	if (claims_too_much(link, &req->client)) {
		link_violation(link, "a standing its listeners cannot give");
		return;
	}
	memset(&answer, 0, sizeof(answer));
	answer.session = req->session;
	judge_rcpt(tables_world(), policyd_settings(), &req->client,
	    req->recipient, &answer, &decision);
	if (decision.kind == ROUTE_DEFER)
		log_failure(req, &decision);
	link_answer(link, IMSG_RCPT_CHECK_ANS, frame->id, &answer, NULL, 0,
	    -1);
}

static const struct link_handler handlers[] = {
	{ IMSG_RCPT_CHECK_REQ,	on_rcpt_check },
	{ IMSG_NONE,		NULL }
};

const struct link_role role_smtpd = {
	.self = PROC_POLICYD, .peer = PROC_SMTPD, .handlers = handlers,
	.closed = child_link_closed, .arrived = tables_tick
};
