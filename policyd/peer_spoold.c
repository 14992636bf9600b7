/*
 * What spoold asks: ROUTE.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "log.h"
#include "policyd.h"

#define EXPLAIN_MAX	65536	/* octets of text */

static void
log_failure(const struct w_route_resolve_req *req,
    const struct decision *decision)
{
	log_begin(LOG_ERR, "route");
	log_id("id", req->id);
	log_string("to", req->address);
	log_string("where", decision->where);
	log_string("reason", decision->text);
	log_end();
}

static void
fill_answer(struct w_route_resolve_ans *answer,
    const struct decision *decision, const struct route_targets *targets)
{
	answer->kind = decision->kind;
	answer->worker = decision->worker;
	answer->mailer = decision->mailer;
	answer->code = decision->code;
	answer->count = targets->count;
	answer->more = targets->more;
	answer->max_recipients = decision->max_recipients;
	memcpy(answer->account, decision->account, sizeof(answer->account));
	memcpy(answer->extension, decision->extension,
	    sizeof(answer->extension));
	memcpy(answer->domain, decision->domain, sizeof(answer->domain));
	memcpy(answer->address, decision->address, sizeof(answer->address));
	memcpy(answer->owner, decision->owner, sizeof(answer->owner));
	memcpy(answer->hop, decision->hop, sizeof(answer->hop));
	memcpy(answer->exchange, decision->exchange,
	    sizeof(answer->exchange));
	memcpy(answer->text, decision->text, sizeof(answer->text));
	memcpy(answer->where, decision->where, sizeof(answer->where));
}

static void
on_route_resolve(struct link *link, struct frame *frame, void *arg)
{
	const struct w_route_resolve_req *req = frame->payload;
	const struct question question = {
		.client = &req->client,
		.sender = req->sender,
		.address = req->address,
		.target = req->target,
		.skip = req->skip
	};
	struct w_route_resolve_ans answer;
	struct route_targets targets;
	struct decision decision;

	(void)arg;
	memset(&answer, 0, sizeof(answer));
	answer.id = req->id;
	answer.recipient = req->recipient;
	route_resolve(tables_world(), policyd_settings(), &question,
	    &decision, &targets);
	if (decision.kind == ROUTE_DEFER)
		log_failure(req, &decision);
	fill_answer(&answer, &decision, &targets);
	link_answer(link, IMSG_ROUTE_RESOLVE_ANS, frame->id, &answer,
	    targets.octets, targets.length, -1);
	free(targets.octets);
}

static void
on_route_explain(struct link *link, struct frame *frame, void *arg)
{
	const struct w_route_explain_req *req = frame->payload;
	struct w_route_explain_ans answer = { .id = req->id };
	struct decision decision;
	char *text = NULL;
	size_t length = 0;
	FILE *out;

	(void)arg;
	if ((out = open_memstream(&text, &length)) == NULL)
		fatal("explaining");
	explain(tables_world(), policyd_settings(), &req->client,
	    req->address, out, &decision);
	(void)fclose(out);
	answer.kind = decision.kind;
	if (decision.kind == ROUTE_RELAY) {
		memcpy(answer.hop, decision.hop, sizeof(answer.hop));
		memcpy(answer.exchange, decision.exchange,
		    sizeof(answer.exchange));
		memcpy(answer.address, decision.address,
		    sizeof(answer.address));
	}
	if (length > EXPLAIN_MAX)
		length = EXPLAIN_MAX;
	link_answer(link, IMSG_ROUTE_EXPLAIN_ANS, frame->id, &answer, text,
	    length, -1);
	free(text);
}

static const struct link_handler handlers[] = {
	{ IMSG_ROUTE_RESOLVE_REQ,	on_route_resolve },
	{ IMSG_ROUTE_EXPLAIN_REQ,	on_route_explain },
	{ IMSG_NONE,			NULL }
};

const struct link_role role_spoold = {
	.self = PROC_POLICYD, .peer = PROC_SPOOLD, .handlers = handlers,
	.closed = child_link_closed, .arrived = tables_tick
};
