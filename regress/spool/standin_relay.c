/*
 * Both relays: the host says what becomes of a transaction, or the test does,
 * later.
 */
#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "standin.h"

static void
on_relay_rcpt(struct link *link, struct frame *frame, void *arg)
{
	const struct w_relay_rcpt_ntf	*rcpt = frame->payload;
	struct transaction		*coming = &s.coming[(uintptr_t)arg];

	(void)link;
	if (coming->count == RECIPIENTS_MAX)
		errx(1, "too many recipients in a transaction");
	coming->rows[coming->count++] = rcpt->recipient;
}

/* What the host of a hop is called. */
static void
print_host(const struct w_relay_deliver_req *request, char *host, size_t size)
{
	if (request->exchange[0] != '\0')
		(void)snprintf(host, size, "%.*s",
		    (int)strcspn(request->exchange, "."), request->exchange);
	else if (strncmp(request->hop, "relay(", 6) == 0)
		(void)snprintf(host, size, "%.*s",
		    (int)strcspn(request->hop + 6, ")"), request->hop + 6);
	else
		(void)snprintf(host, size, "%s", request->hop);
}

/* Answer a transaction as that host does; closed for so many seconds. */
static void
answer_relay(const struct transaction *transaction, const char *host,
    int64_t closed)
{
	const struct w_relay_deliver_req	*request =
						    &transaction->request;
	struct w_relay_deliver_ans		 answer = {
		.transaction = request->transaction
	};
	struct w_relay_result_ntf		 result;
	char					 text[WIRE_TARGET +
						    WIRE_DOMAIN + 8];
	uint32_t				 i;

	(void)snprintf(text, sizeof(text), "%s%s%s", request->exchange,
	    request->exchange[0] != '\0' ? " by " : "", request->hop);
	(void)strcpy(answer.host, "mx.there[192.0.2.1]:25");
	(void)strcpy(answer.tls, "TLSv1.3 verified");
	if (closed > 0)
		answer.closed_until = closed == INT64_MAX ? closed :
		    clock_now() + closed * SECOND;
	memset(&result, 0, sizeof(result));
	result.transaction = request->transaction;
	if (strcmp(host, "fail") == 0) {
		result.verdict = RELAY_FAILED;
		(void)strcpy(result.status, "5.1.1");
		(void)strcpy(result.text, "550 5.1.1 nobody");
		result.stage = STAGE_RCPT;
		result.replied = 1;
		answer.reached = 1;
	} else if (strcmp(host, "broken") == 0) {
		result.verdict = RELAY_DEFERRED;
		(void)strcpy(result.status, "4.4.1");
		(void)strcpy(result.text, "connection refused");
		result.stage = STAGE_CONNECT;
	} else {
		result.verdict = RELAY_DONE;
		(void)strcpy(result.status, "2.0.0");
		(void)strcpy(result.text, "250 2.0.0 taken");
		result.stage = STAGE_MESSAGE;
		result.replied = 1;
		result.dsn = strcmp(host, "dsn") == 0;
		answer.reached = 1;
	}
	for (i = 0; i < transaction->count; i++) {
		result.recipient = transaction->rows[i];
		event_line(result.verdict == RELAY_DONE ? "relayed" :
		    "tried", request->id, result.recipient, text);
		link_tell(transaction->link, IMSG_RELAY_RESULT_NTF, &result,
		    NULL, 0, -1);
	}
	link_answer(transaction->link, IMSG_RELAY_DELIVER_ANS,
	    transaction->frame, &answer, NULL, 0, -1);
}

/* Answer the oldest of those that are held. */
void
command_let(int count, const char *how, int closed)
{
	int	 i;

	for (i = 0; i < count && s.held_count > 0; i++) {
		answer_relay(&s.held[0], how, closed);
		memmove(&s.held[0], &s.held[1], --s.held_count *
		    sizeof(s.held[0]));
	}
	(void)run_until(never, 1);
	printf("ok %u\n", s.held_count);
}

static void
on_relay_deliver(struct link *link, struct frame *frame, void *arg)
{
	struct transaction	*coming = &s.coming[(uintptr_t)arg];
	char			 host[WIRE_TARGET];

	coming->request = *(const struct w_relay_deliver_req *)frame->payload;
	coming->link = link;
	coming->frame = frame->id;
	if (coming->count != coming->request.recipients)
		errx(1, "recipients of a transaction are missing");
	s.transactions[(uintptr_t)arg]++;
	print_host(&coming->request, host, sizeof(host));
	if (strcmp(host, "hold") == 0) {
		if (s.held_count == HELD_MAX)
			errx(1, "too many transactions are held");
		s.held[s.held_count++] = *coming;
	} else if (strcmp(host, "dead") == 0)
		answer_relay(coming, "broken", 300);
	else if (strcmp(host, "shut") == 0)
		answer_relay(coming, "broken", INT64_MAX);
	else
		answer_relay(coming, strcmp(host, "mood") != 0 ? host :
		    s.is_good ? "ok" : "broken", 0);
	coming->count = 0;
}

static void
on_relay_explain(struct link *link, struct frame *frame, void *arg)
{
	static const char *const		 questions[] = {
		[RELAY_STATE] = "state", [RELAY_HOSTS] = "hosts",
		[RELAY_PROBE] = "probe"
	};
	const struct w_relay_explain_req	*question = frame->payload;
	struct w_relay_explain_ans		 answer = {
		.id = question->id
	};
	char					 text[4096];

	if (strcmp(question->hop, "relay(hangs)") == 0)
		return;
	if (strcmp(question->hop, "relay(dies)") == 0) {
		link_free(link);
		s.relays[(uintptr_t)arg] = link_peer(PROC_RELAY,
		    (uint32_t)(uintptr_t)arg, &relay_role);
		return;
	}
	answer.good = strcmp(question->hop, "relay(ok)") == 0;
	(void)snprintf(text, sizeof(text), "%s of %s for %s\nfrom <%s> to"
	    " <%s>\n%s\n", questions[question->question], question->hop,
	    question->exchange, question->sender, question->address,
	    answer.good ? "250 well\001" : "550 5.1.1 nobody");
	link_answer(link, IMSG_RELAY_EXPLAIN_ANS, frame->id, &answer, text,
	    strlen(text), -1);
}

static const struct link_handler relay_handlers[] = {
	{ IMSG_RELAY_EXPLAIN_REQ,	on_relay_explain },
	{ IMSG_RELAY_RCPT_NTF,		on_relay_rcpt },
	{ IMSG_RELAY_DELIVER_REQ,	on_relay_deliver },
	{ IMSG_NONE,			NULL }
};

const struct link_role relay_role = {
	.self = PROC_RELAY, .peer = PROC_SPOOLD, .handlers = relay_handlers,
	.closed = on_end
};

/* The relay for the network dies, and the next one comes. */
void
command_relay_dies(void)
{
	link_free(s.relays[1]);
	s.held_count = 0;
	s.coming[1].count = 0;
	s.relays[1] = link_peer(PROC_RELAY, 1, &relay_role);
	puts("ok");
}
