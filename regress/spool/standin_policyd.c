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

/* What is answered to one question. */
struct said {
	const struct w_route_resolve_req *question;
	struct w_route_resolve_ans answer;
	char	*rest;			/* of the local part, behind the "-" */
	char	 tail[16384];
	size_t	 length;		/* of the tail */
};

static void
say_local(struct said *said)
{
	said->answer.kind = ROUTE_LOCAL;
	said->answer.worker = WORKER_MAILBOX;
	(void)snprintf(said->answer.account, sizeof(said->answer.account),
	    "%s", said->rest);
}

static void
say_mailer(struct said *said)
{
	said->answer.kind = ROUTE_MAILER;
	said->answer.worker = WORKER_PROGRAM;
	said->answer.mailer = 1;
	said->answer.max_recipients = 10;
	(void)strcpy(said->answer.account, "ok");
}

static void
say_odd(struct said *said)
{
	said->answer.kind = ROUTE_LOCAL;
	said->answer.worker = 4711;
	(void)strcpy(said->answer.account, "ok");
}

static void
say_hop(struct said *said)
{
	said->answer.kind = ROUTE_RELAY;
	(void)snprintf(said->answer.hop, sizeof(said->answer.hop), "%s",
	    said->rest);
}

static void
say_relay(struct said *said)
{
	said->answer.kind = ROUTE_RELAY;
	(void)snprintf(said->answer.hop, sizeof(said->answer.hop),
	    "relay(%s)", said->rest);
}

static void
say_mx(struct said *said)
{
	said->answer.kind = ROUTE_RELAY;
	(void)strcpy(said->answer.hop, "relay()");
	(void)strcpy(said->answer.exchange, said->answer.domain);
}

static void
say_list(struct said *said)
{
	char	*one;

	said->answer.kind = ROUTE_LIST;
	while ((one = strsep(&said->rest, "_")) != NULL) {
		put_target(said->tail, &said->length, TARGET_ROUTED, one);
		said->answer.count++;
	}
}

static void
say_empty(struct said *said)
{
	said->answer.kind = ROUTE_LIST;
}

/* The next members of a list of so many, of which the last is itself. */
static void
say_long(struct said *said)
{
	uint32_t	 from = said->question->skip;
	uint32_t	 total = (uint32_t)atoi(said->rest);
	char		 member[WIRE_ADDRESS];

	said->answer.kind = ROUTE_LIST;
	for (; from < total && said->answer.count < WIRE_TARGETS; from++) {
		(void)snprintf(member, sizeof(member), "discard-%u@here",
		    from);
		put_target(said->tail, &said->length, TARGET_ROUTED,
		    from + 1 == total ? said->answer.address : member);
		said->answer.count++;
	}
	said->answer.more = from < total;
}

/* The same, which the next policyd has without its first member. */
static void
say_edited(struct said *said)
{
	struct w_route_resolve_req	 question = *said->question;

	question.skip += s.is_edited ? 1 : 0;
	said->question = &question;
	say_long(said);
	said->question = NULL;
}

static void
say_refuse(struct said *said)
{
	said->answer.kind = ROUTE_REFUSE;
	if (isdigit((unsigned char)*said->rest))
		said->answer.code = (uint32_t)atoi(said->rest);
	(void)snprintf(said->answer.text, sizeof(said->answer.text),
	    "%s.7.26 go away", said->answer.code < 500 ? "4" : "5");
}

/* A list of which the rest is refused. */
static void
say_part(struct said *said)
{
	if (said->question->skip > 0) {
		say_refuse(said);
		return;
	}
	say_list(said);
	said->answer.more = true;
}

static void
say_defer(struct said *said)
{
	said->answer.kind = ROUTE_DEFER;
	said->answer.code = 451;
	(void)strcpy(said->answer.text, "no table");
}

static void
say_discard(struct said *said)
{
	said->answer.kind = ROUTE_DISCARD;
}

static void
say(const char *word, struct said *said)
{
	static const struct {
		const char	*word;
		void		(*fn)(struct said *);
	} all[] = {
		{ "local",	say_local },
		{ "mailer",	say_mailer },
		{ "odd",	say_odd },
		{ "hop",	say_hop },
		{ "relay",	say_relay },
		{ "mx",		say_mx },
		{ "list",	say_list },
		{ "empty",	say_empty },
		{ "long",	say_long },
		{ "edited",	say_edited },
		{ "part",	say_part },
		{ "refuse",	say_refuse },
		{ "defer",	say_defer },
		{ "discard",	say_discard }
	};
	size_t	 i;

	said->answer.kind = ROUTE_UNKNOWN;
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(word, all[i].word) == 0)
			all[i].fn(said);
}

/* Does it die of this question? */
static bool
dies_of(const char *word, const struct w_route_resolve_req *question)
{
	if (strcmp(word, "edited") == 0)
		return question->skip > 0 && !s.is_edited;
	return strcmp(word, "dies") == 0 || strcmp(word, "kills") == 0;
}

static void
die(struct link *link, const char *word,
    const struct w_route_resolve_req *question)
{
	event_line("died", question->id, question->recipient, "");
	s.is_edited = strcmp(word, "edited") == 0;
	link_free(link);
	s.policyd = strcmp(word, "kills") != 0 ? NULL :
	    link_peer(PROC_POLICYD, 0, &policyd_role);
}

static void
on_resolve(struct link *link, struct frame *frame, void *arg)
{
	const struct w_route_resolve_req *question = frame->payload;
	struct said	 said = { .question = question };
	char		 word[WIRE_ADDRESS];
	const char	*at = strchr(question->address, '@');

	(void)arg;
	said.answer.id = question->id;
	said.answer.recipient = question->recipient;
	said.answer.code = 550;
	(void)snprintf(said.answer.address, sizeof(said.answer.address), "%s",
	    question->address);
	(void)strcpy(said.answer.where, "postmaster.cf:7");
	(void)snprintf(said.answer.domain, sizeof(said.answer.domain), "%s",
	    at != NULL ? at + 1 : "");
	(void)snprintf(word, sizeof(word), "%s", question->address);
	word[strcspn(word, "@")] = '\0';
	said.rest = word + strcspn(word, "-");
	if (*said.rest != '\0')
		*said.rest++ = '\0';
	if (dies_of(word, question)) {
		die(link, word, question);
		return;
	}
	say(word, &said);
	link_answer(link, IMSG_ROUTE_RESOLVE_ANS, frame->id, &said.answer,
	    said.tail, said.length, -1);
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
