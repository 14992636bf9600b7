/* links: relay/conversation.c relay/opening.c relay/envelope.c
 * relay/login.c relay/transcript.c relay/reply.c relay/body.c
 * relay/command.c relay/transaction.c common/log.c common/clock.c
 * common/queueid.c */
/*
 * A whole conversation with a server that says anything, at any time: every
 * recipient has one result or still waits, none is delivered before its dot,
 * nothing is said in clear that must not be.  The input is settings, then a
 * step a line: what the server says, or a letter for another event.
 */
#include "fuzz.h"
#include "regress/unit/relay_played.h"

static struct {
	struct evbuffer	*clear;		/* what left before TLS */
	struct evbuffer	*all;
	uint32_t	 rows;
	bool		 login;
} play_state;

/* What is to leave has left. */
static void
drain(void)
{
	size_t length;
	char *text;

	if (test.stream == NULL)
		return;
	length = evbuffer_get_length(test.stream->out);
	text = fuzz_need(malloc(length + 1));
	require(evbuffer_remove(test.stream->out, text, length) ==
	    (int)length);
	require(memchr(text, '\0', length) == NULL);
	evbuffer_add(play_state.all, text, length);
	if (!test.stream->secured)
		evbuffer_add(play_state.clear, text, length);
	free(text);
}

static bool
was_said(struct evbuffer *what, const char *text)
{
	return evbuffer_search(what, text, strlen(text), NULL).pos != -1;
}

static void
add_mail(void)
{
	if (play_state.rows + 2 > ROWS)
		return;
	submit(play_state.rows, 2, "Subject: x\r\n\r\n.\r\n");
	play_state.rows += 2;
	if (test.resting == 0 || test.stream == NULL)
		return;
	test.resting = 0;
	conversation_serve(test.conversation, (struct hop *)&test);
}

/* One event, if it can happen now. */
static void
take(const char *line)
{
	struct stream *s = test.stream;

	if (*line != 'P')
		drain();
	if (s == NULL) {
		if (*line == 'C' && test.endpoint.connections == 0 &&
		    !TAILQ_EMPTY(&test.waiting))
			connect_with(line[1] == 'C');
		return;
	}
	/* During a handshake nothing else is heard. */
	if (s->shaken && !s->secured && strchr("S!T", *line) == NULL)
		return;
	if (*line == 'S') {
		if (s->shaken && !s->secured)
			take_step("S");
	} else if (*line == '!')
		s->ops->lost("closed the connection", line[1] == 't' &&
		    s->shaken, s->arg);
	else if (*line == 'T')
		s->ops->timeout(s->arg);
	else if (*line == 'O')
		s->ops->output(s->arg);
	else if (*line == 'E') {
		if (test.ready > 0)
			conversation_end(test.conversation);
	} else if (*line == 'N')
		add_mail();
	else if (*line == 'B')
		say(line + 1, strlen(line + 1));
	else
		say_line(*line == 'P' || *line == '>' ? line + 1 : line);
}

/* Whatever was said: what must hold now. */
static void
check(void)
{
	struct transaction *t;
	bool done = false;
	uint32_t i, told = 0, waiting = 0;

	TAILQ_FOREACH(t, &test.waiting, entry)
		waiting += (uint32_t)t->count;
	for (i = 0; i < play_state.rows; i++) {
		told += test.results[i].verdict != 0;
		done = done || test.results[i].verdict == RELAY_DONE;
		require(fuzz_is_printable(test.results[i].text));
	}
	require(told <= play_state.rows);
	require(told + waiting >= play_state.rows);
	require(!done || was_said(play_state.all, "\r\n.\r\n"));
	require(test.security.level < TLS_REQUIRED ||
	    !was_said(play_state.clear, "MAIL FROM"));
	require(!play_state.login || test.policy.auth_clear ||
	    !was_said(play_state.clear, "AUTH TEST"));
	require(!play_state.login || !was_said(play_state.all, "MAIL FROM") ||
	    was_said(play_state.all, "AUTH TEST"));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum tls_level levels[] = { TLS_NONE, TLS_OPPORTUNISTIC,
	    TLS_REQUIRED, TLS_VERIFIED };
	struct fuzz_input in = { data, size };
	uint8_t bits = fuzz_byte(&in), more = fuzz_byte(&in);
	char *line;

	begin();
	memset(&play_state, 0, sizeof(play_state));
	play_state.clear = fuzz_need(evbuffer_new());
	play_state.all = fuzz_need(evbuffer_new());
	play_state.login = bits & 1;
	test.endpoint.secret = bits & 1 ? &test.secret : NULL;
	test.policy.lmtp = bits & 2;
	test.policy.auth_clear = bits & 4;
	test.implicit = bits & 8;
	test.security.level = levels[bits >> 4 & 3];
	test.proved = (bits & 64) == 0;
	if (bits & 128)
		test.script_file = open_memstream(&test.script,
		    &test.script_length);
	test.policy.max_messages = 1 + more % 4;
	add_mail();
	connect_with(false);
	while (in.left > 0) {
		line = fuzz_line(&in);
		take(line);
		free(line);
	}
	if (test.stream != NULL)
		take("!");
	check();
	finish();
	evbuffer_free(play_state.clear);
	evbuffer_free(play_state.all);
	return 0;
}
