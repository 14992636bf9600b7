/*
 * policyd: the local part says what becomes of an address.
 */
#include <ctype.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "standin.h"

void
put_target(char *tail, size_t *length, enum target_place place,
    const char *text)
{
	struct w_target	 target = {
		.length = (uint32_t)strlen(text) + 1, .kind = place
	};

	memcpy(tail + *length, &target, sizeof(target));
	memcpy(tail + *length + sizeof(target), text, target.length);
	*length += sizeof(target) + target.length;
}

/* The next members of a list of so many, of which the last is itself. */
static void
put_long(struct w_route_resolve_ans *answer, uint32_t from, uint32_t total,
    char *tail, size_t *length)
{
	char	 member[WIRE_ADDRESS];

	answer->kind = ROUTE_LIST;
	for (; from < total && answer->count < WIRE_TARGETS; from++) {
		(void)snprintf(member, sizeof(member), "discard-%u@here",
		    from);
		put_target(tail, length, TARGET_ROUTED, from + 1 == total ?
		    answer->address : member);
		answer->count++;
	}
	answer->more = from < total;
}

static void
on_resolve(struct link *link, struct frame *frame, void *arg)
{
	const struct w_route_resolve_req	*question = frame->payload;
	struct w_route_resolve_ans		 answer;
	char					 word[WIRE_ADDRESS], *rest;
	char					 tail[16384], *one;
	size_t					 length = 0;

	(void)arg;
	memset(&answer, 0, sizeof(answer));
	answer.id = question->id;
	answer.recipient = question->recipient;
	(void)snprintf(answer.address, sizeof(answer.address), "%s",
	    question->address);
	(void)strcpy(answer.where, "postmaster.cf:7");
	(void)snprintf(answer.domain, sizeof(answer.domain), "%s",
	    strchr(question->address, '@') != NULL ?
	    strchr(question->address, '@') + 1 : "");
	(void)snprintf(word, sizeof(word), "%s", question->address);
	word[strcspn(word, "@")] = '\0';
	rest = word + strcspn(word, "-");
	if (*rest != '\0')
		*rest++ = '\0';
	answer.kind = ROUTE_UNKNOWN;
	answer.code = 550;
	if (strcmp(word, "dies") == 0) {
		event_line("died", question->id, question->recipient, "");
		link_free(link);
		s.policyd = NULL;
		return;
	}
	if (strcmp(word, "local") == 0) {
		answer.kind = ROUTE_LOCAL;
		answer.worker = WORKER_MAILBOX;
		(void)snprintf(answer.account, sizeof(answer.account), "%s",
		    rest);
	} else if (strcmp(word, "mailer") == 0) {
		answer.kind = ROUTE_MAILER;
		answer.worker = WORKER_PROGRAM;
		answer.mailer = 1;
		answer.max_recipients = 10;
		(void)strcpy(answer.account, "ok");
	} else if (strcmp(word, "relay") == 0) {
		answer.kind = ROUTE_RELAY;
		(void)snprintf(answer.hop, sizeof(answer.hop), "relay(%s)",
		    rest);
	} else if (strcmp(word, "hop") == 0) {
		answer.kind = ROUTE_RELAY;
		(void)snprintf(answer.hop, sizeof(answer.hop), "%s", rest);
	} else if (strcmp(word, "mx") == 0) {
		answer.kind = ROUTE_RELAY;
		(void)strcpy(answer.hop, "relay()");
		(void)strcpy(answer.exchange, answer.domain);
	} else if (strcmp(word, "odd") == 0) {
		answer.kind = ROUTE_LOCAL;
		answer.worker = 4711;
		(void)strcpy(answer.account, "ok");
	} else if (strcmp(word, "list") == 0 ||
	    (strcmp(word, "part") == 0 && question->skip == 0)) {
		/* The rest of a part is refused. */
		answer.kind = ROUTE_LIST;
		answer.more = *word == 'p';
		while ((one = strsep(&rest, "_")) != NULL) {
			put_target(tail, &length, TARGET_ROUTED, one);
			answer.count++;
		}
	} else if (strcmp(word, "empty") == 0)
		answer.kind = ROUTE_LIST;
	else if (strcmp(word, "long") == 0)
		put_long(&answer, question->skip, (uint32_t)atoi(rest), tail,
		    &length);
	else if (strcmp(word, "refuse") == 0 ||
	    strcmp(word, "part") == 0) {
		answer.kind = ROUTE_REFUSE;
		if (isdigit((unsigned char)*rest))
			answer.code = (uint32_t)atoi(rest);
		(void)snprintf(answer.text, sizeof(answer.text),
		    "%s.7.26 go away", answer.code < 500 ? "4" : "5");
	} else if (strcmp(word, "defer") == 0) {
		answer.kind = ROUTE_DEFER;
		answer.code = 451;
		(void)strcpy(answer.text, "no table");
	} else if (strcmp(word, "discard") == 0)
		answer.kind = ROUTE_DISCARD;
	link_answer(link, IMSG_ROUTE_RESOLVE_ANS, frame->id, &answer, tail,
	    length, -1);
}

static void
on_route_explain(struct link *link, struct frame *frame, void *arg)
{
	const struct w_route_explain_req	*question = frame->payload;
	struct w_route_explain_ans		 answer;
	const char				*at, *text = "the steps\n";

	(void)arg;
	memset(&answer, 0, sizeof(answer));
	answer.id = question->id;
	answer.kind = ROUTE_LOCAL;
	(void)snprintf(answer.address, sizeof(answer.address), "%s",
	    question->address);
	at = strrchr(question->address, '@');
	if (strncmp(question->address, "relay-", 6) == 0 && at != NULL) {
		answer.kind = ROUTE_RELAY;
		(void)snprintf(answer.hop, sizeof(answer.hop), "relay(%.*s)",
		    (int)(at - question->address - 6), question->address + 6);
	} else if (at != NULL && (strncmp(at, "@mx", 3) == 0 ||
	    strncmp(at, "@dead", 5) == 0 ||
	    strncmp(question->address, "mx@", 3) == 0)) {
		answer.kind = ROUTE_RELAY;
		(void)strcpy(answer.hop, "relay()");
		(void)snprintf(answer.exchange, sizeof(answer.exchange), "%s",
		    at + 1);
	}
	link_answer(link, IMSG_ROUTE_EXPLAIN_ANS, frame->id, &answer, text,
	    strlen(text), -1);
}

static const struct link_handler policyd_handlers[] = {
	{ IMSG_ROUTE_RESOLVE_REQ,	on_resolve },
	{ IMSG_ROUTE_EXPLAIN_REQ,	on_route_explain },
	{ IMSG_NONE,			NULL }
};

const struct link_role policyd_role = {
	.self = PROC_POLICYD, .peer = PROC_SPOOLD,
	.handlers = policyd_handlers, .closed = on_end
};

/* policyd dies, or lives but has its place taken; the new one is silent. */
void
command_silent(bool dies)
{
	struct pollfd	 question = { .fd = s.silent, .events = POLLIN };
	int		 old = s.silent;
	bool		 asked = true;

	link_free(s.policyd);
	s.policyd = NULL;
	if (old != -1)
		asked = poll(&question, 1, 10000) == 1;
	if (dies && old != -1)
		close(old);
	s.silent = make_peer(PROC_POLICYD, 0);
	printf(asked ? "ok\n" : "no\n");
}

/* A policyd that answers. */
void
command_relink(void)
{
	link_free(s.policyd);
	if (s.silent != -1)
		close(s.silent);
	s.silent = -1;
	s.policyd = link_peer(PROC_POLICYD, 0, &policyd_role);
	puts("ok");
}
