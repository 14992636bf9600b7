/*
 * relay's conversations with everything around them played: the stream, TLS,
 * logins, hops, endpoints and searches; time is told.  What a server says is
 * a script, a list of lines: "<text" is what relay must send, ">text" what
 * the server says; "!" closes the connection, "S" ends the handshake, "T" is
 * the end of patience, "E" that of the conversation, "." that relay has left.
 */
#ifndef RELAY_PLAYED_H
#define RELAY_PLAYED_H

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

#define ROWS	16
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
	bool		 crowded;	/* what waits may ride */
	bool		 wanted;	/* the endpoint, by another hop */
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

struct transaction *
hop_next_to_ride(struct hop *hop)
{
	return test.crowded ? hop_next(hop) : NULL;
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

bool
endpoint_is_wanted(const struct endpoint *e, const struct hop *hop)
{
	assert_ptr_equal(e, &test.endpoint);
	assert_non_null(hop);
	return test.wanted;
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

static inline void
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

static inline void
connect_with(bool clear)
{
	assert_null(test.stream);
	assert_int_equal(test.endpoint.connections, 0);
	test.endpoint.connections = 1;
	test.conversation = conversation_new(&test.endpoint, -1, clear,
	    (struct search *)&test, test.script_file);
}

/* The server says octets. */
static inline void
say(const char *octets, size_t n)
{
	evbuffer_add(test.stream->in, octets, n);
	test.stream->ops->input(test.stream->arg);
}

static inline void
say_line(const char *line)
{
	char text[8192];
	int n = snprintf(text, sizeof(text), "%s\r\n", line);

	assert_true(n > 0 && (size_t)n < sizeof(text));
	assert_non_null(test.stream);
	say(text, (size_t)n);
}

/* The connection takes all there is, and the body is filled up again. */
static inline void
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

static inline void
expect_quiet(void)
{
	if (test.stream != NULL)
		assert_int_equal(evbuffer_get_length(test.stream->out), 0);
}

/* A step of a script. */
static inline void
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

static inline void
play(const char *const *script)
{
	for (; *script != NULL; script++)
		take_step(*script);
	expect_quiet();
}

/* Nothing is left of it, and nothing was forgotten. */
static inline void
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
	assert_true(test.ready <= test.rested + test.left);
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
static inline struct transaction *
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

static inline void
expect(uint32_t row, enum relay_verdict verdict, enum relay_stage stage,
    const char *status, const char *text)
{
	const struct w_relay_result_ntf *r = &test.results[row];

	if (r->verdict != (uint32_t)verdict || r->stage != (uint32_t)stage ||
	    strcmp(r->status, status) != 0 || strstr(r->text, text) == NULL)
		fail_msg("row %u: verdict %u stage %u %s %s", row,
		    r->verdict, r->stage, r->status, r->text);
}

static inline void
expect_refused(enum relay_stage stage, const char *status, const char *text)
{
	assert_int_equal(test.refused, 1);
	assert_int_equal(test.ready, 0);
	if (test.fault.stage != stage ||
	    strcmp(test.fault.status, status) != 0 ||
	    strstr(test.fault.text, text) == NULL)
		fail_msg("refused: stage %d %s %s", (int)test.fault.stage,
		    test.fault.status, test.fault.text);
	/* Our login is nobody's business. */
	assert_null(strstr(test.fault.text, "joe"));
}

/* ---- dialogues, as far as they are common ---- */

#define GREETED	">220 hi", "<EHLO me.test"
#define PLAIN	GREETED, ">250 srv"
#define PIPED	GREETED, ">250-srv", ">250 PIPELINING"
#define SENT(n)	"<MAIL FROM:<a@b>", ">250 Ok", "<RCPT TO:<r" #n "@y>", \
	">250 Ok", "<DATA", ">354 Go", "<x", "<."
#define OFFERED	GREETED, ">250-srv", ">250-PIPELINING", ">250 STARTTLS", \
	"<STARTTLS"
#define SECURED	OFFERED, ">220 Go", "S", "<EHLO me.test"
#define ASKED	SECURED, ">250-srv", ">250 AUTH TEST", \
	"<AUTH TEST c2VjcmV0LWZpcnN0"

static inline void
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

#endif
