/* links: relay/conversation.c relay/opening.c relay/envelope.c
 *	relay/login.c relay/transcript.c relay/reply.c relay/body.c relay/command.c
 *	relay/transaction.c common/log.c common/clock.c common/queueid.c */
/*
 * relay's conversations against scripted servers, in every state.  The
 * stream, TLS, logins, hops and searches are played here; time is told.  A
 * script is a list of lines: "<text" is what relay must send, ">text" what
 * the server says; "!" closes the connection, "S" ends the handshake, "T" is
 * the end of patience, "E" that of the conversation, "." that relay has left.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "relay/relay.h"

#define ROWS	8
#define HOST	"mx.test[192.0.2.1]:25"

struct stream {
	const struct stream_ops *ops;
	void		*arg;
	struct evbuffer	*in;
	struct evbuffer	*out;
	int64_t		 patience;
	struct tls_want	 want;
	bool		 shaken;	/* a handshake was begun */
	bool		 secured;
};

static struct {
	struct policy	 policy;
	struct security	 security;
	struct secret	 secret;
	struct endpoint	 endpoint;
	struct stream	*stream;
	struct conversation *conversation;	/* as last told */
	struct transactions waiting;
	struct w_relay_result_ntf results[ROWS];	/* by row */
	struct w_relay_deliver_ans answer;
	int		 submitted;
	int		 answered;
	int		 taken_back;
	int		 ready;
	int		 refused;
	int		 rested;
	int		 left;
	int		 resting;
	int		 failed;	/* times the endpoint was told so */
	bool		 implicit;
	bool		 proved;	/* what auth_finish() says */
	struct reply	 fault;		/* of refused */
	struct reply	 host_fault;
	char		*script;	/* a probe's */
	size_t		 script_length;
	FILE		*script_file;
} test;

/* ---- the stream ---- */

struct stream *
stream_new(struct event_base *base, int fd, const struct stream_ops *ops,
    void *arg)
{
	struct stream *s = calloc(1, sizeof(*s));

	(void)base;
	(void)fd;
	assert_null(test.stream);
	s->ops = ops;
	s->arg = arg;
	s->in = evbuffer_new();
	s->out = evbuffer_new();
	return test.stream = s;
}

struct evbuffer *
stream_in(struct stream *s)
{
	return s->in;
}

struct evbuffer *
stream_out(struct stream *s)
{
	return s->out;
}

void
stream_wait(struct stream *s, int64_t patience)
{
	assert_true(patience > 0);
	s->patience = patience;
}

void
stream_secure(struct stream *s, const struct tls_want *want)
{
	assert_int_equal(evbuffer_get_length(s->in), 0);
	assert_int_equal(evbuffer_get_length(s->out), 0);
	assert_false(s->shaken);
	s->shaken = true;
	s->want = *want;
}

bool
stream_is_secured(const struct stream *s)
{
	return s->secured;
}

const char *
stream_protection(const struct stream *s)
{
	return s->secured ? "TLSv1.9 TEST verified" : "none";
}

void
stream_free(struct stream *s)
{
	assert_ptr_equal(s, test.stream);
	evbuffer_free(s->in);
	evbuffer_free(s->out);
	free(s);
	test.stream = NULL;
}

/* ---- the other neighbours ---- */

struct event_base *
relay_base(void)
{
	return NULL;
}

const char *
relay_hostname(void)
{
	return "me.test";
}

void
relay_idle(void)
{
}

bool
policy_is_implicit(const struct policy *policy, uint16_t port)
{
	(void)policy;
	(void)port;
	return test.implicit;
}

void
tell_relay_result(struct link *link, const struct w_relay_result_ntf *ntf)
{
	(void)link;
	assert_true(ntf->recipient < ROWS);
	assert_int_equal(test.results[ntf->recipient].verdict, 0);
	assert_true(ntf->status[0] == (ntf->verdict == RELAY_DONE ? '2' :
	    ntf->verdict == RELAY_FAILED ? '5' : '4'));
	test.results[ntf->recipient] = *ntf;
}

void
answer_relay_deliver(struct link *link, uint32_t request,
    const struct w_relay_deliver_ans *ans)
{
	(void)link;
	(void)request;
	test.answer = *ans;
	test.answered++;
}

const char *
hop_text(const struct hop *hop)
{
	(void)hop;
	return "relay(mx.test)";
}

struct transaction *
hop_next(struct hop *hop)
{
	struct transaction *t = TAILQ_FIRST(&test.waiting);

	(void)hop;
	if (t != NULL)
		TAILQ_REMOVE(&test.waiting, t, entry);
	return t;
}

void
hop_take_back(struct hop *hop, struct transaction *t)
{
	(void)hop;
	assert_false(t->returned);
	t->returned = true;
	transaction_again(t);
	TAILQ_INSERT_HEAD(&test.waiting, t, entry);
	test.taken_back++;
}

void
hop_rests(struct hop *hop, struct conversation *c)
{
	(void)hop;
	assert_ptr_equal(c, test.conversation);
	test.rested++;
	test.resting = 1;
}

void
hop_left(struct hop *hop, struct conversation *c)
{
	(void)hop;
	assert_ptr_equal(c, test.conversation);
	test.left++;
}

void
endpoint_hold(struct endpoint *e)
{
	e->holders++;
}

void
endpoint_release(struct endpoint *e)
{
	e->holders--;
}

void
endpoint_withdraw(struct endpoint *e, struct conversation *c)
{
	(void)e;
	(void)c;
	test.resting = 0;
}

void
endpoint_left(struct endpoint *e, struct conversation *c)
{
	assert_int_equal(e->connections, 1);
	(void)c;
	e->connections--;
	test.resting = 0;
}

void
endpoint_failed(struct endpoint *e, const struct reply *fault)
{
	assert_int_equal(e->connections, 0);
	test.failed++;
	test.host_fault = *fault;
}

void
search_ready(struct search *search, struct conversation *c)
{
	(void)search;
	test.ready++;
	test.conversation = c;
	conversation_serve(c, (struct hop *)&test);
}

void
search_refused(struct search *search, const struct reply *fault)
{
	(void)search;
	test.refused++;
	test.fault = *fault;
	assert_int_equal(fault->code / 100, 4);
	assert_null(test.stream);
}

/* ---- logins: one mechanism of two steps ---- */

struct auth {
	int	 step;
};

struct auth *
auth_new(const struct secret *secret, const struct policy *policy,
    const char *offered, const char *host, const char **why)
{
	(void)policy;
	assert_string_equal(secret->login, "joe");
	assert_string_equal(host, "mx.test");
	if (strstr(offered, "TEST") == NULL) {
		*why = "offers no login";
		return NULL;
	}
	return calloc(1, sizeof(struct auth));
}

int
auth_step(struct auth *auth, const char *challenge, char *out, size_t size)
{
	if (auth->step++ == 0) {
		assert_null(challenge);
		strlcpy(out, "AUTH TEST c2VjcmV0LWZpcnN0", size);
		return 0;
	}
	if (strcmp(challenge, "bW9yZQ==") != 0)
		return -1;
	strlcpy(out, "c2VjcmV0LW1vcmU=", size);
	return 0;
}

int
auth_finish(struct auth *auth, const char *text)
{
	(void)auth;
	(void)text;
	return test.proved ? 0 : -1;
}

const char *
auth_mechanism(const struct auth *auth)
{
	(void)auth;
	return "TEST";
}

const char *
auth_fault(const struct auth *auth)
{
	(void)auth;
	return "it is an impostor";
}

void
auth_free(struct auth *auth)
{
	free(auth);
}

/* ---- the server ---- */

static void
begin(void)
{
	memset(&test, 0, sizeof(test));
	TAILQ_INIT(&test.waiting);
	test.policy.max_messages = 100;
	test.policy.idle_time = 30000000;
	test.security.level = TLS_OPPORTUNISTIC;
	test.secret.login = strdup("joe");
	test.secret.password = strdup("secret-word");
	test.endpoint.policy = &test.policy;
	test.endpoint.security = &test.security;
	test.endpoint.key = strdup("key");
	strlcpy(test.endpoint.text, HOST, sizeof(test.endpoint.text));
	strlcpy(test.endpoint.name, "mx.test", sizeof(test.endpoint.name));
	test.proved = true;
}

static void
connect_with(bool clear)
{
	assert_null(test.stream);
	assert_int_equal(test.endpoint.connections, 0);
	test.endpoint.connections = 1;
	test.conversation = conversation_new(&test.endpoint, -1, clear,
	    (struct search *)&test, test.script_file);
}

/* The server says octets. */
static void
say(const char *octets, size_t n)
{
	evbuffer_add(test.stream->in, octets, n);
	test.stream->ops->input(test.stream->arg);
}

static void
say_line(const char *line)
{
	char text[8192];
	int n = snprintf(text, sizeof(text), "%s\r\n", line);

	assert_true(n > 0 && (size_t)n < sizeof(text));
	assert_non_null(test.stream);
	say(text, (size_t)n);
}

/* The connection takes all there is, and the body is filled up again. */
static void
expect_line(const char *wanted)
{
	char *line;

	assert_non_null(test.stream);
	if (strcmp(wanted, "QUIT") == 0)
		assert_int_equal(test.resting, 0);
	line = evbuffer_readln(test.stream->out, NULL,
	    EVBUFFER_EOL_CRLF_STRICT);
	if (line == NULL || strcmp(line, wanted) != 0)
		fail_msg("relay said: %s, not: %s", line != NULL ? line :
		    "(nothing)", wanted);
	free(line);
}

static void
expect_quiet(void)
{
	if (test.stream != NULL)
		assert_int_equal(evbuffer_get_length(test.stream->out), 0);
}

/* A step of a script. */
static void
take_step(const char *step)
{
	if (*step != '<')
		expect_quiet();
	switch (*step) {
	case '<':
		expect_line(step + 1);
		break;
	case '>':
		say_line(step + 1);
		break;
	case '!':
		test.stream->ops->lost("closed the connection", false,
		    test.stream->arg);
		break;
	case 'S':
		assert_true(test.stream->shaken);
		test.stream->secured = true;
		test.stream->ops->secured(test.stream->arg);
		break;
	case 'T':
		test.stream->ops->timeout(test.stream->arg);
		break;
	case 'E':
		conversation_end(test.conversation);
		break;
	default:
		assert_null(test.stream);
	}
}

static void
play(const char *const *script)
{
	for (; *script != NULL; script++)
		take_step(*script);
	expect_quiet();
}

/* Nothing is left of it, and nothing was forgotten. */
static void
finish(void)
{
	struct transaction *t;

	if (test.stream != NULL)
		test.stream->ops->lost("closed the connection", false,
		    test.stream->arg);
	assert_null(test.stream);
	assert_int_equal(test.endpoint.connections, 0);
	assert_int_equal(test.endpoint.holders, 0);
	assert_int_equal(test.resting, 0);
	assert_int_equal(test.ready, test.rested + test.left - (test.rested >
	    0 && test.left > 0 ? test.rested : 0));
	while ((t = hop_next(NULL)) != NULL)
		transaction_free(t);
	if (test.script_file != NULL)
		fclose(test.script_file);
	free(test.script);
	free(test.secret.login);
	free(test.secret.password);
	free(test.endpoint.key);
}

/* ---- transactions ---- */

/* One for rows [first, first + n) waits. */
static struct transaction *
submit(uint32_t first, uint32_t n, const char *body)
{
	struct w_relay_rcpt_ntf rcpt;
	struct w_relay_deliver_req req;
	struct frame frame = { .fd = -1 };
	struct transaction *t = transaction_new((struct link *)&test, 1);
	uint32_t i;
	char *tail = strdup(body);

	for (i = first; i < first + n; i++) {
		memset(&rcpt, 0, sizeof(rcpt));
		rcpt.recipient = i;
		snprintf(rcpt.address, sizeof(rcpt.address), "r%u@y", i);
		transaction_add(t, &rcpt);
	}
	memset(&req, 0, sizeof(req));
	req.id = 7;
	req.size = strlen(body);
	req.recipients = n;
	strlcpy(req.sender, "a@b", sizeof(req.sender));
	frame.tail = tail;
	frame.tail_length = (uint32_t)req.size;
	assert_int_equal(transaction_complete(t, &req, &frame), 0);
	free(tail);
	TAILQ_INSERT_TAIL(&test.waiting, t, entry);
	test.submitted++;
	return t;
}

static void
expect(uint32_t row, enum relay_verdict verdict, enum relay_stage stage,
    const char *status, const char *text)
{
	const struct w_relay_result_ntf *r = &test.results[row];

	if (r->verdict != (uint32_t)verdict || r->stage != (uint32_t)stage ||
	    strcmp(r->status, status) != 0 || strstr(r->text, text) == NULL)
		fail_msg("row %u: verdict %u stage %u %s %s", row,
		    r->verdict, r->stage, r->status, r->text);
}

static void
expect_refused(enum relay_stage stage, const char *status, const char *text)
{
	assert_int_equal(test.refused, 1);
	assert_int_equal(test.ready, 0);
	if (test.fault.stage != stage ||
	    strcmp(test.fault.status, status) != 0 ||
	    strstr(test.fault.text, text) == NULL)
		fail_msg("refused: stage %d %s %s", (int)test.fault.stage,
		    test.fault.status, test.fault.text);
}

/* ---- transactions ---- */

#define GREETED	">220 hi", "<EHLO me.test"
#define PLAIN	GREETED, ">250 srv"
#define PIPED	GREETED, ">250-srv", ">250 PIPELINING"
#define SENT(n)	"<MAIL FROM:<a@b>", ">250 Ok", "<RCPT TO:<r" #n "@y>", \
	">250 Ok", "<DATA", ">354 Go", "<x", "<."

static void
reports_each_recipient(void **state)
{
	static const char *const script[] = { PIPED, "<MAIL FROM:<a@b>",
	    "<RCPT TO:<r0@y>", "<RCPT TO:<r1@y>", "<RCPT TO:<r2@y>", "<DATA",
	    ">250 2.1.0 Ok", ">250 2.1.5 Ok", ">550 5.1.1 Unknown",
	    ">451 4.2.2 Full", ">354 Go", "<x", "<..y", "<.",
	    ">250 2.0.0 Queued", "T", "<QUIT", ">221 Bye", ".", NULL };

	(void)state;
	begin();
	submit(0, 3, "x\r\n.y\r\n");
	connect_with(false);
	play(script);
	expect(0, RELAY_DONE, STAGE_MESSAGE, "2.0.0", "250 2.0.0 Queued");
	expect(1, RELAY_FAILED, STAGE_RCPT, "5.1.1", "550 5.1.1 Unknown");
	expect(2, RELAY_DEFERRED, STAGE_RCPT, "4.2.2", "451 4.2.2 Full");
	assert_true(test.results[0].replied);
	assert_string_equal(test.answer.host, HOST);
	assert_string_equal(test.answer.tls, "none");
	assert_true(test.answer.reached);
	assert_int_equal(test.rested, 1);
	finish();
}

static void
goes_step_by_step_without_pipelining(void **state)
{
	static const char *const script[] = { GREETED, ">502 what",
	    "<HELO me.test", ">250 srv", "<MAIL FROM:<a@b>", ">250 Ok",
	    "<RCPT TO:<r0@y>", ">550 No", "<RCPT TO:<r1@y>", ">250 Ok",
	    "<DATA", ">354 Go", "<x", "<.", ">554 5.7.1 Spam", "E",
	    "<QUIT", "!", ".", NULL };

	(void)state;
	begin();
	submit(0, 2, "x");
	connect_with(false);
	play(script);
	expect(0, RELAY_FAILED, STAGE_RCPT, "5.0.0", "550 No");
	expect(1, RELAY_FAILED, STAGE_MESSAGE, "5.7.1", "554 5.7.1 Spam");
	finish();
}

static void
gives_up_when_nobody_is_left(void **state)
{
	static const char *const script[] = { PLAIN, "<MAIL FROM:<a@b>",
	    ">250 Ok", "<RCPT TO:<r0@y>", ">450 4.7.1 Greylisted", "<RSET",
	    ">250 Ok", "<MAIL FROM:<a@b>", ">553 5.1.8 Not you", "<RSET",
	    ">500 What", ".", NULL };

	(void)state;
	begin();
	submit(0, 1, "x");
	submit(1, 1, "x");
	connect_with(false);
	play(script);
	expect(0, RELAY_DEFERRED, STAGE_RCPT, "4.7.1", "450 4.7.1 Grey");
	expect(1, RELAY_FAILED, STAGE_MAIL, "5.1.8", "553 5.1.8 Not you");
	assert_int_equal(test.answered, 2);
	finish();
}

static void
sends_only_the_dot_for_nobody(void **state)
{
	static const char *const smtp[] = { PIPED, "<MAIL FROM:<a@b>",
	    "<RCPT TO:<r0@y>", "<DATA", ">250 Ok", ">550 No", ">354 Go",
	    "<.", ">554 No recipients", "E", "<QUIT", NULL };
	static const char *const lmtp[] = { ">220 hi", "<LHLO me.test",
	    ">250-srv", ">250 PIPELINING", "<MAIL FROM:<a@b>",
	    "<RCPT TO:<r0@y>", "<DATA", ">250 Ok", ">550 No", ">354 Go",
	    "<.", "<QUIT", ">221 Bye", ".", NULL };

	(void)state;
	begin();
	submit(0, 1, "x");
	connect_with(false);
	play(smtp);
	expect(0, RELAY_FAILED, STAGE_RCPT, "5.0.0", "550 No");
	assert_int_equal(test.answered, 1);
	finish();
	begin();
	test.policy.lmtp = true;
	submit(0, 1, "x");
	connect_with(false);
	play(lmtp);
	expect(0, RELAY_FAILED, STAGE_RCPT, "5.0.0", "550 No");
	assert_int_equal(test.left, 1);
	finish();
}

static void
never_takes_an_odd_reply_for_success(void **state)
{
	static const char *const data[] = { PLAIN, "<MAIL FROM:<a@b>",
	    ">250 Ok", "<RCPT TO:<r0@y>", ">250 Ok", "<DATA", ">250 Ok",
	    "<RSET", NULL };
	static const char *const dot[] = { PLAIN, SENT(0), ">354 More",
	    NULL };
	static const char *const mail[] = { PLAIN, "<MAIL FROM:<a@b>",
	    ">354 Go", "<RSET", NULL };

	(void)state;
	begin();
	submit(0, 1, "x");
	connect_with(false);
	play(data);
	expect(0, RELAY_DEFERRED, STAGE_DATA, "4.3.0", "250 Ok");
	finish();
	begin();
	submit(0, 1, "x");
	connect_with(false);
	play(dot);
	expect(0, RELAY_DEFERRED, STAGE_MESSAGE, "4.3.0", "354 More");
	finish();
	begin();
	submit(0, 1, "x");
	connect_with(false);
	play(mail);
	expect(0, RELAY_DEFERRED, STAGE_MAIL, "4.5.0", "354 Go");
	finish();
}

/* Said while the message is on its way, a success is none. */
static void
believes_only_refusals_before_the_dot(void **state)
{
	static const char *const script[] = { PLAIN, "<MAIL FROM:<a@b>",
	    ">250 Ok", "<RCPT TO:<r0@y>", ">250 Ok", "<DATA", NULL };
	static const struct {
		const char	*reply;
		enum relay_verdict verdict;
		const char	*status;
	} cases[] = {
		{ "250 2.0.0 Queued", RELAY_DEFERRED, "4.3.0" },
		{ "552 5.3.4 Too big", RELAY_FAILED, "5.3.4" },
		{ "421 4.3.2 Down", RELAY_DEFERRED, "4.3.2" }
	};
	char *body = malloc(200000);
	size_t i, n;

	(void)state;
	memset(body, 'x', 199999);
	body[199999] = '\0';
	/* Neither a body half sent nor a dot still here has been heard. */
	for (i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		n = i / 2;
		begin();
		submit(0, 1, i % 2 == 0 ? body : "x");
		connect_with(false);
		play(script);
		say_line("354 Go");
		say_line(cases[n].reply);
		assert_null(test.stream);
		expect(0, cases[n].verdict, STAGE_DATA, cases[n].status,
		    cases[n].reply);
		finish();
	}
	free(body);
}

static void
streams_a_long_body(void **state)
{
	static const char *const script[] = { PLAIN, "<MAIL FROM:<a@b>",
	    ">250 Ok", "<RCPT TO:<r0@y>", ">250 Ok", "<DATA", NULL };
	size_t size = 8000000, got = 0, n, most = 0;
	char *body = malloc(size + 1);

	(void)state;
	memset(body, 'x', size);
	body[size] = '\0';
	for (n = 99; n < size; n += 100)
		body[n] = '\n';
	begin();
	submit(0, 1, body);
	connect_with(false);
	play(script);
	say_line("354 Go");
	while ((n = evbuffer_get_length(test.stream->out)) > 0) {
		if (n > most)
			most = n;
		got += n;
		evbuffer_drain(test.stream->out, n);
		test.stream->ops->output(test.stream->arg);
	}
	assert_int_equal(got, size + size / 100 + 3);
	assert_true(most < 150000);
	say_line("250 2.0.0 Queued");
	expect(0, RELAY_DONE, STAGE_MESSAGE, "2.0.0", "Queued");
	finish();
	free(body);
}

static void
tells_what_it_lost(void **state)
{
	static const char *const dot[] = { PLAIN, SENT(0), "!", ".", NULL };
	static const char *const late[] = { PLAIN, SENT(0), "T", ".", NULL };

	(void)state;
	begin();
	submit(0, 1, "x");
	connect_with(false);
	play(dot);
	expect(0, RELAY_DEFERRED, STAGE_MESSAGE, "4.4.2", HOST ": closed the "
	    "connection while we waited for the answer to the message");
	assert_false(test.results[0].replied);
	finish();
	begin();
	submit(0, 1, "x");
	connect_with(false);
	play(late);
	expect(0, RELAY_DEFERRED, STAGE_MESSAGE, "4.4.2", "took too long");
	finish();
}

static void
returns_mail_of_a_dead_connection_once(void **state)
{
	static const char *const script[] = { PIPED, "<MAIL FROM:<a@b>",
	    "<RCPT TO:<r0@y>", "<DATA", ">250 Ok", ">250 Ok", ">354 Go",
	    "<x", "<.", ">250 2.0.0 One", "<MAIL FROM:<a@b>",
	    "<RCPT TO:<r1@y>", "<DATA", ">421 4.4.2 Too slow", ".", NULL };
	static const char *const again[] = { PLAIN, "<MAIL FROM:<a@b>", "!",
	    ".", NULL };

	(void)state;
	begin();
	submit(0, 1, "x");
	submit(1, 1, "x");
	connect_with(false);
	play(script);
	expect(0, RELAY_DONE, STAGE_MESSAGE, "2.0.0", "One");
	assert_int_equal(test.taken_back, 1);
	assert_int_equal(test.failed, 0);
	assert_int_equal(test.answered, 1);
	connect_with(false);
	play(again);
	assert_int_equal(test.failed, 1);
	assert_int_equal(test.answered, 2);
	expect(1, RELAY_DEFERRED, STAGE_MAIL, "4.4.2", "closed");
	finish();
}

static void
leaves_a_host_that_takes_no_mail(void **state)
{
	static const char *const script[] = { PLAIN, "<MAIL FROM:<a@b>",
	    ">421 4.7.0 Too busy", ".", NULL };

	(void)state;
	begin();
	submit(0, 1, "x");
	connect_with(false);
	play(script);
	assert_int_equal(test.taken_back, 1);
	assert_int_equal(test.failed, 1);
	assert_string_equal(test.host_fault.text, "421 4.7.0 Too busy");
	assert_int_equal(test.results[0].verdict, 0);
	finish();
}

static void
keeps_to_the_size_limit(void **state)
{
	static const char *const script[] = { GREETED, ">250-srv",
	    ">250 SIZE 5", "<MAIL FROM:<a@b> SIZE=5", NULL };

	(void)state;
	begin();
	submit(0, 1, "123456");
	submit(1, 1, "12345");
	connect_with(false);
	play(script);
	expect(0, RELAY_FAILED, STAGE_MAIL, "5.3.4", "larger than");
	assert_int_equal(test.results[1].verdict, 0);
	finish();
}

static void
says_who_needs_smtputf8(void **state)
{
	static const char *const without[] = { PLAIN, "<MAIL FROM:<a@b>",
	    ">250 Ok", "<RCPT TO:<r0@y>", ">250 Ok", "<DATA", NULL };
	static const char *const with[] = { GREETED, ">250-srv",
	    ">250 SMTPUTF8", "<MAIL FROM:<a@b> SMTPUTF8", ">250 Ok",
	    "<RCPT TO:<r0@y>", ">250 Ok", "<RCPT TO:<\xc3\xa4@y>", NULL };
	struct transaction *t;

	(void)state;
	begin();
	t = submit(0, 2, "x");
	strlcpy(t->recipients[1].address, "\xc3\xa4@y", 5);
	connect_with(false);
	play(without);
	expect(1, RELAY_FAILED, STAGE_MAIL, "5.6.7", HOST ": address <");
	assert_non_null(strstr(test.results[1].text, "needs SMTPUTF8"));
	finish();
	begin();
	t = submit(0, 2, "x");
	strlcpy(t->recipients[1].address, "\xc3\xa4@y", 5);
	connect_with(false);
	play(with);
	finish();
	begin();
	t = submit(0, 1, "x");
	strlcpy(t->sender, "\xc3\xa4", 4);
	connect_with(false);
	play((const char *const []){ PLAIN, NULL });
	expect(0, RELAY_FAILED, STAGE_MAIL, "5.6.7", "needs SMTPUTF8");
	assert_int_equal(test.answered, 1);
	finish();
}

static void
tells_whether_the_server_reports(void **state)
{
	static const char *const script[] = { GREETED, ">250-srv",
	    ">250 DSN", "<MAIL FROM:<a@b>", ">250 Ok",
	    "<RCPT TO:<r0@y> NOTIFY=SUCCESS", ">250 Ok", "<DATA", ">354 Go",
	    "<x", "<.", ">250 Ok", NULL };
	struct transaction *t;

	(void)state;
	begin();
	t = submit(0, 1, "x");
	t->recipients[0].notify = NOTIFY_SUCCESS;
	connect_with(false);
	play(script);
	expect(0, RELAY_DONE, STAGE_MESSAGE, "2.0.0", "250 Ok");
	assert_true(test.results[0].dsn);
	finish();
}

/* A server that refuses the sender and takes all the rest. */
static void
sends_nothing_of_a_refused_sender(void **state)
{
	static const char *const script[] = { PIPED, "<MAIL FROM:<a@b>",
	    "<RCPT TO:<r0@y>", "<DATA", ">550 5.7.1 Not you", ">250 Ok",
	    ">354 Go", "<.", ">250 Ok", "E", "<QUIT", NULL };

	(void)state;
	begin();
	submit(0, 1, "x");
	connect_with(false);
	play(script);
	expect(0, RELAY_FAILED, STAGE_MAIL, "5.7.1", "550 5.7.1 Not you");
	assert_int_equal(test.answered, 1);
	finish();
}

static void
defers_recipients_that_are_too_many(void **state)
{
	static const char *const script[] = { PLAIN, "<MAIL FROM:<a@b>",
	    ">250 Ok", "<RCPT TO:<r0@y>", ">250 Ok", "<RCPT TO:<r1@y>",
	    ">452 4.5.3 Too many", "<RCPT TO:<r2@y>",
	    ">552 5.5.3 Too many, really", "<DATA", ">354 Go", "<x", "<.",
	    ">250 Ok", NULL };

	(void)state;
	begin();
	submit(0, 3, "x");
	connect_with(false);
	play(script);
	expect(0, RELAY_DONE, STAGE_MESSAGE, "2.0.0", "250 Ok");
	expect(1, RELAY_DEFERRED, STAGE_RCPT, "4.5.3", "452 4.5.3 Too many");
	expect(2, RELAY_DEFERRED, STAGE_RCPT, "4.5.3", "552 5.5.3 Too many");
	finish();
}

static void
speaks_lmtp(void **state)
{
	static const char *const script[] = { ">220 hi", "<LHLO me.test",
	    ">250-srv", ">250 PIPELINING", "<MAIL FROM:<a@b>",
	    "<RCPT TO:<r0@y>", "<RCPT TO:<r1@y>", "<RCPT TO:<r2@y>",
	    "<RCPT TO:<r3@y>", "<DATA", ">250 Ok", ">250 Ok", ">550 No",
	    ">250 Ok", ">250 Ok", ">354 Go", "<x", "<.", ">250 2.0.0 In",
	    ">552 5.2.2 Full", "!", ".", NULL };
	static const char *const no_helo[] = { ">220 hi", "<LHLO me.test",
	    ">500 What", ".", NULL };

	(void)state;
	begin();
	test.policy.lmtp = true;
	submit(0, 4, "x");
	connect_with(false);
	play(script);
	expect(0, RELAY_DONE, STAGE_MESSAGE, "2.0.0", "In");
	expect(1, RELAY_FAILED, STAGE_RCPT, "5.0.0", "550 No");
	expect(2, RELAY_FAILED, STAGE_MESSAGE, "5.2.2", "Full");
	expect(3, RELAY_DEFERRED, STAGE_MESSAGE, "4.5.0", "closed the conn");
	finish();
	begin();
	test.policy.lmtp = true;
	connect_with(false);
	play(no_helo);
	expect_refused(STAGE_GREETING, "4.3.0", "500 What");
	finish();
}

static void
ends_after_so_many_messages(void **state)
{
	static const char *const script[] = { PLAIN, SENT(0), ">250 One",
	    SENT(1), ">250 Two", "<QUIT", "T", ".", NULL };

	(void)state;
	begin();
	test.policy.max_messages = 2;
	submit(0, 1, "x");
	submit(1, 1, "x");
	submit(2, 1, "x");
	connect_with(false);
	play(script);
	assert_int_equal(test.answered, 2);
	assert_int_equal(test.left, 1);
	assert_int_equal(test.rested, 0);
	finish();
}

static void
goes_when_nobody_wants_the_answer(void **state)
{
	static const char *const script[] = { PLAIN, "<MAIL FROM:<a@b>",
	    ">250 Ok", "<RCPT TO:<r0@y>", NULL };

	(void)state;
	begin();
	submit(0, 1, "x");
	connect_with(false);
	play(script);
	conversation_drop(test.conversation, NULL);
	assert_non_null(test.stream);
	conversation_drop(test.conversation, (struct link *)&test);
	assert_null(test.stream);
	assert_int_equal(test.answered, 0);
	assert_int_equal(test.left, 1);
	finish();
}

/* ---- before it is ready ---- */

static void
softens_a_greeting(void **state)
{
	static const char *const script[] = { ">554 5.7.1 go away", ".",
	    NULL };

	(void)state;
	begin();
	connect_with(false);
	play(script);
	expect_refused(STAGE_GREETING, "4.3.0", "554 5.7.1 go away");
	assert_true(test.fault.replied);
	finish();
}

#define OFFERED	GREETED, ">250-srv", ">250-PIPELINING", ">250 STARTTLS", \
	"<STARTTLS"

static void
goes_on_under_tls(void **state)
{
	static const char *const script[] = { OFFERED, ">220 Go", "S",
	    "<EHLO me.test", ">250 srv", SENT(0), ">250 Ok", NULL };
	char name[] = "mx.test", *names[] = { name };

	(void)state;
	begin();
	test.security.level = TLS_VERIFIED;
	test.security.names = names;
	test.security.name_count = 1;
	submit(0, 1, "x");
	connect_with(false);
	play(script);	/* what was offered before is forgotten */
	assert_int_equal(test.stream->want.proof, TLS_NAMED);
	assert_string_equal(test.stream->want.host, "mx.test");
	assert_string_equal(test.stream->want.peer, "key");
	assert_int_equal(test.stream->want.name_count, 1);
	assert_string_equal(test.answer.tls, "TLSv1.9 TEST verified");
	finish();
}

static void
wants_the_proof_of_its_level(void **state)
{
	static const char *const script[] = { OFFERED, ">220 Go", NULL };
	static const struct {
		enum tls_level	 level;
		enum tls_proof	 proof;
	} cases[] = {
		{ TLS_OPPORTUNISTIC, TLS_ANYBODY },
		{ TLS_REQUIRED, TLS_ANYBODY },
		{ TLS_VERIFIED, TLS_NAMED },
		{ TLS_DANE, TLS_DANE_RECORDS }
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin();
		test.security.level = cases[i].level;
		connect_with(false);
		play(script);
		assert_int_equal(test.stream->want.proof, cases[i].proof);
		test.stream->ops->lost("the certificate is of x.test", true,
		    test.stream->arg);
		expect_refused(STAGE_TLS, "4.7.5", HOST ": TLS handshake: "
		    "the certificate is of x.test");
		finish();
	}
}

static void
begins_with_tls(void **state)
{
	static const char *const script[] = { "S", ">220 hi",
	    "<EHLO me.test", ">250-srv", ">250 STARTTLS", NULL };

	(void)state;
	begin();
	test.implicit = true;
	connect_with(false);
	play(script);
	assert_int_equal(test.ready, 1);
	finish();
}

static void
demands_starttls(void **state)
{
	static const char *const none[] = { PLAIN, ".", NULL };
	static const char *const refused[] = { OFFERED,
	    ">454 4.7.0 Not now", ".", NULL };
	static const struct {
		enum tls_level	 level, set;
		const char	*who;
	} cases[] = {
		{ TLS_REQUIRED, TLS_REQUIRED, "tls = required demands" },
		{ TLS_VERIFIED, TLS_VERIFIED, "tls = verified demands" },
		{ TLS_VERIFIED, TLS_UNSET, "a login demands" },
		{ TLS_DANE, TLS_DANE, "tls = dane demands" },
		{ TLS_DANE, TLS_UNSET, "TLSA records of its DNS demands" }
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin();
		test.security.level = cases[i].level;
		test.policy.tls = cases[i].set;
		submit(0, 1, "x");
		connect_with(false);
		play(none);
		expect_refused(STAGE_TLS, "4.7.4",
		    "host does not offer STARTTLS, which ");
		assert_non_null(strstr(test.fault.text, cases[i].who));
		connect_with(false);
		test.refused = 0;
		play(refused);
		expect_refused(STAGE_TLS, "4.7.4", "454 4.7.0 Not now");
		connect_with(true);
		test.refused = 0;
		play(none);
		expect_refused(STAGE_TLS, "4.7.4", cases[i].who);
		assert_int_equal(test.answered, 0);
		finish();
	}
}

static void
goes_in_clear_where_it_may(void **state)
{
	static const char *const none[] = { PLAIN, NULL };
	static const char *const refused[] = { OFFERED,
	    ">454 4.7.0 Not now", NULL };
	static const char *const never[] = { GREETED, ">250-srv",
	    ">250 STARTTLS", NULL };

	(void)state;
	begin();
	connect_with(false);
	play(none);
	assert_int_equal(test.ready, 1);
	finish();
	begin();
	connect_with(false);
	play(refused);
	assert_int_equal(test.ready, 1);
	finish();
	begin();
	test.security.level = TLS_NONE;
	connect_with(false);
	play(never);
	assert_int_equal(test.ready, 1);
	finish();
	begin();
	connect_with(true);
	play(never);
	assert_int_equal(test.ready, 1);
	finish();
}

static void
hears_nothing_injected_before_tls(void **state)
{
	static const char *const script[] = { OFFERED,
	    ">220 Go\r\n250 injected", ".", NULL };
	static const char *const part[] = { OFFERED, ">220 Go\r\n2", ".",
	    NULL };

	(void)state;
	begin();
	connect_with(false);
	play(script);
	expect_refused(STAGE_TLS, "4.5.0", "said more than it was asked");
	finish();
	begin();
	connect_with(false);
	play(part);
	expect_refused(STAGE_TLS, "4.5.0", "said more than it was asked");
	finish();
}

/* ---- logins ---- */

#define SECURED	OFFERED, ">220 Go", "S", "<EHLO me.test"
#define ASKED	SECURED, ">250-srv", ">250 AUTH TEST", \
	"<AUTH TEST c2VjcmV0LWZpcnN0"

static void
connect_with_login(bool script)
{
	begin();
	test.endpoint.secret = &test.secret;
	if (script)
		test.script_file = open_memstream(&test.script,
		    &test.script_length);
	submit(0, 1, "x");
	connect_with(false);
}

static void
logs_in(void **state)
{
	static const char *const script[] = { ASKED, ">334 bW9yZQ==",
	    "<c2VjcmV0LW1vcmU=", ">235 2.7.0 Hello", SENT(0), ">250 Ok",
	    NULL };

	(void)state;
	connect_with_login(true);
	play(script);
	expect(0, RELAY_DONE, STAGE_MESSAGE, "2.0.0", "250 Ok");
	fflush(test.script_file);
	assert_non_null(strstr(test.script, "\n>>> AUTH TEST ***\n"));
	assert_non_null(strstr(test.script, "\n<<< 334 ***\n>>> ***\n"));
	assert_non_null(strstr(test.script, "=== TLS: TLSv1.9 TEST"));
	assert_null(strstr(test.script, "c2Vj"));
	finish();
}

static void
sends_no_mail_without_its_login(void **state)
{
	static const char *const refused[] = { ASKED,
	    ">535 5.7.8 No: c2VjcmV0LWZpcnN0, secret-word?", ".", NULL };
	static const char *const none[] = { SECURED, ">250 srv", ".", NULL };
	static const char *const broken[] = { ASKED, ">334 eHh4", ".",
	    NULL };
	static const char *const liar[] = { ASKED, ">235 2.7.0 Fine", ".",
	    NULL };
	static const char *const clear[] = { GREETED, ">250-srv",
	    ">250 AUTH TEST", ".", NULL };

	(void)state;
	connect_with_login(true);
	play(refused);
	expect_refused(STAGE_LOGIN, "4.7.8", HOST ": login as joe failed: "
	    "535 5.7.8 No: ");
	assert_null(strstr(test.fault.text, "c2Vj"));
	assert_null(strstr(test.fault.text, "cret-word"));
	fflush(test.script_file);
	assert_null(strstr(test.script, "c2Vj"));
	assert_null(strstr(test.script, "cret-word"));
	finish();
	connect_with_login(false);
	play(none);
	expect_refused(STAGE_LOGIN, "4.7.8", "it offers no login");
	finish();
	connect_with_login(false);
	play(broken);
	expect_refused(STAGE_LOGIN, "4.7.8", "it is an impostor");
	finish();
	connect_with_login(false);
	test.proved = false;
	play(liar);
	expect_refused(STAGE_LOGIN, "4.7.8", "it is an impostor");
	finish();
	connect_with_login(false);
	play(clear);
	expect_refused(STAGE_LOGIN, "4.7.8", "login as joe needs TLS");
	finish();
}

static void
logs_in_clear_if_told_to(void **state)
{
	static const char *const clear[] = { GREETED, ">250-srv",
	    ">250 AUTH TEST", "<AUTH TEST c2VjcmV0LWZpcnN0", NULL };

	(void)state;
	connect_with_login(false);
	test.policy.auth_clear = true;
	play(clear);
	finish();
}

/* ---- what is no SMTP, in every state ---- */

#define HEARD_MAX	64

static const char *const dialogue_plain[] = { PLAIN, SENT(0), ">250 2.0.0 Ok",
    "E", "<QUIT", ">221 Bye", ".", NULL };
static const char *const dialogue_piped[] = { PIPED, "<MAIL FROM:<a@b>",
    "<RCPT TO:<r0@y>", "<DATA", ">250 Ok", ">250 Ok", ">354 Go", "<x", "<.",
    ">250 2.0.0 Ok", "E", "<QUIT", ">221 Bye", ".", NULL };
static const char *const dialogue_login[] = { ASKED, ">334 bW9yZQ==",
    "<c2VjcmV0LW1vcmU=", ">235 2.7.0 Hello", SENT(0), ">250 2.0.0 Ok",
    "E", "<QUIT", ">221 Bye", ".", NULL };
static const char *const dialogue_reset[] = { PLAIN, "<MAIL FROM:<a@b>",
    ">250 Ok", "<RCPT TO:<r0@y>", ">450 4.7.1 Later", "<RSET", ">250 Ok",
    "E", "<QUIT", ">221 Bye", ".", NULL };
static const char *const dialogue_nobody[] = { PIPED, "<MAIL FROM:<a@b>",
    "<RCPT TO:<r0@y>", "<DATA", ">250 Ok", ">450 4.7.1 Later", ">354 Go",
    "<.", ">554 Nobody", "E", "<QUIT", ">221 Bye", ".", NULL };

static const struct {
	const char	*name;
	const char *const *script;
	bool		 login;
	bool		 done;		/* delivered in the end */
	bool		 piped;
} dialogues[] = {
	{ "plain", dialogue_plain, false, true, false },
	{ "piped", dialogue_piped, false, true, true },
	{ "login", dialogue_login, true, true, false },
	{ "reset", dialogue_reset, false, false, false },
	{ "nobody", dialogue_nobody, false, false, true }
};

#define DIALOGUES	(sizeof(dialogues) / sizeof(dialogues[0]))

enum evil {
	CUT, TIMEOUT, SAYS_421, GARBAGE, CONTROL, LATE, ENDLESS, LONG, LINES,
	SAYS_554, SAYS_451, SAYS_250, EVILS
};

/* Instead of the nth thing the server says; 1 if there is no such. */
static void
do_evil(enum evil evil, const char *line)
{
	static char longest[8000];
	static const char *const replies[EVILS] = {
	    [SAYS_421] = "421 4.3.2 Down", [GARBAGE] = "hello there",
	    [CONTROL] = "4\x01\xff\x1b[2J", [SAYS_554] = "554 5.7.1 No",
	    [SAYS_451] = "451 4.7.1 Later", [SAYS_250] = "250 Ok" };
	char text[1024];
	int i;

	switch (evil) {
	case CUT:
		take_step("!");
		break;
	case TIMEOUT:
		take_step("T");
		break;
	case LATE:
		snprintf(text, sizeof(text), "%s\r\n250 More", line);
		say_line(text);
		break;
	case ENDLESS:
		memset(longest, '2', sizeof(longest));
		say(longest, sizeof(longest));
		break;
	case LONG:
		memset(longest, 'x', sizeof(longest));
		memcpy(longest, "250 ", 4);
		memcpy(longest + sizeof(longest) - 2, "\r\n", 2);
		say(longest, sizeof(longest));
		break;
	case LINES:
		for (i = 0; i < 1000 && test.stream != NULL; i++)
			say_line("250-more");
		assert_null(test.stream);
		break;
	default:
		say_line(replies[evil]);
	}
}

/*
 * Whatever came, the transaction is accounted for, and what the server did
 * not say is no success and no failure.
 */
static void
expect_sound(size_t d, enum evil evil, bool was_done)
{
	const struct w_relay_result_ntf *r = &test.results[0];
	struct transaction *t;

	/* It is not heard any longer, nor is anything said to it. */
	if (evil < LATE || evil == LINES || evil == LONG || evil == ENDLESS ||
	    (evil == LATE && !dialogues[d].piped))
		assert_null(test.stream);
	if (test.stream != NULL)
		test.stream->ops->lost("closed the connection", false,
		    test.stream->arg);
	assert_null(test.stream);
	t = TAILQ_FIRST(&test.waiting);
	if (test.answered == 0) {
		assert_non_null(t);	/* still waits or waits again */
		assert_true(test.refused == 1 || test.taken_back == 1);
	} else {
		assert_null(t);
		assert_int_equal(test.answered, 1);
		assert_int_not_equal(r->verdict, 0);
	}
	if (was_done)
		assert_int_equal(r->verdict, RELAY_DONE);
	else if (r->verdict == RELAY_DONE)
		assert_true(dialogues[d].done && (evil == LATE ||
		    evil == SAYS_250));
	else if (r->verdict == RELAY_FAILED)
		assert_true(evil == SAYS_554);
	finish();
}

/* Play a dialogue with the nth reply replaced; false if it has none. */
static bool
play_evil(size_t d, enum evil evil, int n)
{
	const char *const *s = dialogues[d].script;
	bool was_done;

	if (dialogues[d].login)
		connect_with_login(false);
	else {
		begin();
		submit(0, 1, "x");
		connect_with(false);
	}
	for (; *s != NULL; s++) {
		if ((**s == '>' || **s == 'S') && n-- == 0)
			break;
		take_step(*s);
	}
	was_done = test.results[0].verdict == RELAY_DONE;
	if (*s == NULL)
		finish();
	else if (**s == 'S' && evil > TIMEOUT) {
		take_step("!");
		finish();
	} else {
		do_evil(evil, *s + 1);
		expect_sound(d, evil, was_done);
	}
	return *s != NULL;
}

static void
survives_what_is_no_smtp(void **state)
{
	int evil, n;
	size_t d;

	(void)state;
	for (d = 0; d < DIALOGUES; d++)
		for (evil = 0; evil < EVILS; evil++)
			for (n = 0; play_evil(d, (enum evil)evil, n); n++)
				continue;
}

/* However replies are cut into pieces, they are the same. */
static void
hears_every_octet_alone(void **state)
{
	const char *const *s;
	const char *p;
	size_t d;

	(void)state;
	for (d = 0; d < DIALOGUES; d++) {
		if (dialogues[d].login)
			connect_with_login(false);
		else {
			begin();
			submit(0, 1, "x");
			connect_with(false);
		}
		for (s = dialogues[d].script; *s != NULL; s++) {
			if (**s != '>') {
				take_step(*s);
				continue;
			}
			for (p = *s + 1; *p != '\0'; p++) {
				say(p, 1);
				expect_quiet();
			}
			say("\r", 1);
			expect_quiet();
			say("\n", 1);
		}
		assert_int_equal(test.results[0].verdict, dialogues[d].done ?
		    RELAY_DONE : RELAY_DEFERRED);
		finish();
	}
}

/* An answer to what is still here. */
static void
hears_nothing_before_it_has_asked(void **state)
{
	(void)state;
	begin();
	connect_with(false);
	say_line("220 hi");
	say_line("250 srv");
	expect_refused(STAGE_GREETING, "4.5.0", "more than it was asked");
	finish();
}

static void
names_what_it_heard(void **state)
{
	(void)state;
	begin();
	connect_with(false);
	say_line("HTTP/1.1 400 Bad\x07 Request");
	expect_refused(STAGE_GREETING, "4.5.0",
	    "sent what is no reply (HTTP/1.1 400 Bad? Request)");
	finish();
	begin();
	connect_with(false);
	say_line("220 hi\r\n220 there");
	expect_refused(STAGE_GREETING, "4.5.0", "more than it was asked");
	finish();
}

static void
keeps_a_transcript_short(void **state)
{
	char line[4000];
	int i;

	(void)state;
	begin();
	test.script_file = open_memstream(&test.script, &test.script_length);
	connect_with(false);
	memset(line, 'x', sizeof(line));
	memcpy(line, "220-", 4);
	line[sizeof(line) - 1] = '\0';
	for (i = 0; i < 200; i++)
		say_line(line);
	say_line("220 hi");
	fflush(test.script_file);
	assert_true(test.script_length < 51200);
	assert_non_null(strstr(test.script, "is left out"));
	finish();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reports_each_recipient),
		cmocka_unit_test(goes_step_by_step_without_pipelining),
		cmocka_unit_test(gives_up_when_nobody_is_left),
		cmocka_unit_test(sends_only_the_dot_for_nobody),
		cmocka_unit_test(never_takes_an_odd_reply_for_success),
		cmocka_unit_test(believes_only_refusals_before_the_dot),
		cmocka_unit_test(streams_a_long_body),
		cmocka_unit_test(tells_what_it_lost),
		cmocka_unit_test(returns_mail_of_a_dead_connection_once),
		cmocka_unit_test(leaves_a_host_that_takes_no_mail),
		cmocka_unit_test(keeps_to_the_size_limit),
		cmocka_unit_test(says_who_needs_smtputf8),
		cmocka_unit_test(tells_whether_the_server_reports),
		cmocka_unit_test(sends_nothing_of_a_refused_sender),
		cmocka_unit_test(defers_recipients_that_are_too_many),
		cmocka_unit_test(speaks_lmtp),
		cmocka_unit_test(ends_after_so_many_messages),
		cmocka_unit_test(goes_when_nobody_wants_the_answer),
		cmocka_unit_test(softens_a_greeting),
		cmocka_unit_test(goes_on_under_tls),
		cmocka_unit_test(wants_the_proof_of_its_level),
		cmocka_unit_test(begins_with_tls),
		cmocka_unit_test(demands_starttls),
		cmocka_unit_test(goes_in_clear_where_it_may),
		cmocka_unit_test(hears_nothing_injected_before_tls),
		cmocka_unit_test(logs_in),
		cmocka_unit_test(sends_no_mail_without_its_login),
		cmocka_unit_test(logs_in_clear_if_told_to),
		cmocka_unit_test(survives_what_is_no_smtp),
		cmocka_unit_test(hears_every_octet_alone),
		cmocka_unit_test(hears_nothing_before_it_has_asked),
		cmocka_unit_test(names_what_it_heard),
		cmocka_unit_test(keeps_a_transcript_short)
	};

	alarm(60);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
