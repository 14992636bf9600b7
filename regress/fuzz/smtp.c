/* links: smtpd/command.c smtpd/connection.c smtpd/data.c smtpd/mail.c
 * smtpd/session.c smtpd/parameter.c smtpd/reply.c smtpd/dotread.c
 * smtpd/hops.c smtpd/received.c smtpd/local.c smtpd/buffer.c
 * common/address.c common/header.c common/netaddr.c common/clock.c
 * common/queueid.c common/log.c common/loop.c */
/*
 * A whole session: the octets of a client, over policyd and spoold that are
 * played here.  Replies are well-formed; nothing is committed but what was
 * announced, in order, and clean; and who is trusted to be out of step gets
 * the same however the octets are cut.
 */
#include <sys/socket.h>

#include <errno.h>
#include <event2/event.h>
#include <unistd.h>

#include "fuzz.h"
#include "log.h"
#include "smtpd/smtpd.h"

/* One session and what it has done. */
static struct play {
	struct session	*session;
	struct listener	 listener;
	int		 peer;
	bool		 freed;
	bool		 asked;		/* policyd owes an answer */
	bool		 committing;	/* spoold owes one */
	uint8_t		 choices;	/* how they answer */
	struct buffer	 heard;		/* by the client */
	struct buffer	 stored;	/* whole messages with envelopes */
	uint64_t	 last_id;
} *play;

/* ---- spoold, as transaction.c shows it ---- */

struct transaction *
transaction_new(struct session *session, const char *sender,
    const struct mail_parameters *parameters)
{
	struct transaction *txn = fuzz_need(calloc(1, sizeof(*txn)));

	require(session == play->session);
	require(fuzz_is_printable(sender) && strlen(sender) < WIRE_ADDRESS);
	txn->session = session;
	txn->sender = fuzz_need(strdup(sender));
	txn->parameters = *parameters;
	return txn;
}

void
transaction_free(struct transaction *txn)
{
	size_t i;

	if (txn == NULL)
		return;
	for (i = 0; i < txn->count; i++) {
		free(txn->recipients[i].address);
		free(txn->recipients[i].orcpt);
	}
	free(txn->recipients);
	free(txn->sender);
	buffer_free(&txn->body);
	free(txn);
}

void
transaction_add(struct transaction *txn, const char *address,
    const struct rcpt_parameters *parameters)
{
	require(fuzz_is_printable(address) && *address != '\0');
	txn->recipients = fuzz_need(reallocarray(txn->recipients,
	    txn->count + 1, sizeof(*txn->recipients)));
	txn->recipients[txn->count++] = (struct recipient){
		.address = fuzz_need(strdup(address)),
		.notify = parameters->notify
	};
}

enum reply
transaction_possible(void)
{
	return play->choices & 1 ? REPLY_NO_SPACE : REPLY_NONE;
}

enum reply
transaction_begin(struct transaction *txn)
{
	require(txn->count > 0 && txn->id == 0);
	if (play->choices & 2)
		return REPLY_SPOOL_AWAY;
	txn->id = ++play->last_id;
	txn->state = TRANSACTION_GATHERING;
	return REPLY_NONE;
}

void
transaction_write(struct transaction *txn, const char *text, size_t length)
{
	require(txn->state == TRANSACTION_GATHERING);
	buffer_append(&txn->body, text, length);
}

bool
transaction_roomy(void)
{
	return true;
}

bool
transaction_blocked(const struct transaction *txn)
{
	(void)txn;
	return false;
}

void
transaction_withdraw(struct transaction *txn)
{
	txn->state = TRANSACTION_ENDED;
}

void
transaction_give_up(struct transaction *txn)
{
	(void)txn;
	require(false);		/* nothing waits that long */
}

/* No CR or LF by itself, no NUL, and a line's end at the end. */
static void
check_body(const struct buffer *body)
{
	size_t i;

	require(body->length >= 2 && body->data[body->length - 1] == '\n');
	for (i = 0; i < body->length; i++) {
		require(body->data[i] != '\0');
		if (body->data[i] == '\n')
			require(i > 0 && body->data[i - 1] == '\r');
		if (body->data[i] == '\r')
			require(i + 1 < body->length &&
			    body->data[i + 1] == '\n');
	}
	require(strncmp(body->data, "Received: ", 10) == 0);
}

void
transaction_commit(struct transaction *txn)
{
	size_t i;

	require(txn->state == TRANSACTION_GATHERING && !play->committing);
	check_body(&txn->body);
	buffer_append(&play->stored, txn->sender, strlen(txn->sender) + 1);
	for (i = 0; i < txn->count; i++)
		buffer_append(&play->stored, txn->recipients[i].address,
		    strlen(txn->recipients[i].address) + 1);
	buffer_append(&play->stored, txn->body.data, txn->body.length);
	txn->state = TRANSACTION_COMMITTING;
	play->committing = true;
}

/* ---- policyd, as policy.c shows it ---- */

void
policy_ask(struct session *session, const char *recipient)
{
	require(session->question != NULL && !play->asked);
	require(strlcpy(session->question->recipient, recipient,
	    sizeof(session->question->recipient)) < WIRE_ADDRESS);
	play->asked = true;
}

void
policy_forget(struct session *session)
{
	(void)session;
	play->asked = false;
}

/* ---- client.c ---- */

void
session_free(struct session *session)
{
	require(!play->freed);
	play->freed = true;
	if (session->question != NULL)
		policy_forget(session);
	free(session->question);
	data_free(session);
	transaction_free(session->transaction);
	event_free(session->readable);
	event_free(session->writable);
	event_free(session->timer);
	buffer_free(&session->input);
	buffer_free(&session->output);
	(void)close(session->fd);
	free(session);
}

void
session_greet(struct session *session)
{
	session_reply(session, REPLY_BANNER, session->settings->host);
	session_set_state(session, SESSION_CONNECTED);
	session_run(session);
}

/* ---- the play ---- */

static void
hear(void)
{
	char text[4096];
	ssize_t n;

	while ((n = recv(play->peer, text, sizeof(text), MSG_DONTWAIT)) > 0)
		buffer_append(&play->heard, text, (size_t)n);
}

/* Policyd and spoold answer for as long as there is a question. */
static void
answer(void)
{
	struct w_rcpt_check_ans ans = { .session = 1 };

	while (!play->freed && (play->asked || play->committing)) {
		hear();
		if (play->asked) {
			play->asked = false;
			ans.verdict = play->choices & 4 ?
			    RCPT_REFUSED : RCPT_ACCEPT;
			ans.code = 550;
			(void)strlcpy(ans.text, "5.7.1 no", sizeof(ans.text));
			policy_answered(play->session,
			    play->choices & 8 ? NULL : &ans);
		} else {
			play->committing = false;
			data_committed(play->session,
			    play->choices & 16 ? TXN_NO_SPACE : TXN_OK);
		}
	}
	hear();
}

/* Every reply: code, - or blank, printable text, CRLF; the last complete. */
static void
check_heard(const struct buffer *heard)
{
	const char *at = heard->data, *end = at + heard->length, *lf;

	require(heard->length > 0);
	for (; at < end; at = lf + 1) {
		lf = memchr(at, '\n', (size_t)(end - at));
		require(lf != NULL && lf - at >= 4 && lf[-1] == '\r');
		require(at[0] >= '2' && at[0] <= '5' && at[1] >= '0' &&
		    at[1] <= '9' && at[2] >= '0' && at[2] <= '9' &&
		    (at[3] == ' ' || (at[3] == '-' && lf + 1 < end)));
		require(lf - at < REPLY_MAX);
		for (; at < lf - 1; at++)
			require(*at >= ' ' && *at <= '~');
	}
}

/*
 * As many replies of the same classes.  Which of several faults of one
 * message is named depends on the cut.
 */
static void
check_alike(const struct buffer *a, const struct buffer *b)
{
	const char *p = a->data, *p_end = p + a->length;
	const char *q = b->data, *q_end = q + b->length;

	while (p < p_end && q < q_end) {
		require(p[0] == q[0] && p[3] == q[3]);
		p = (char *)memchr(p, '\n', (size_t)(p_end - p)) + 1;
		q = (char *)memchr(q, '\n', (size_t)(q_end - q)) + 1;
	}
	require(p == p_end && q == q_end);
}

static struct event_base *
base_of_all(void)
{
	static struct event_base *base;

	if (base == NULL)
		base = fuzz_need(event_base_new());
	return base;
}

static struct session *
begin(const struct settings *settings, bool trusted)
{
	struct session *session = fuzz_need(calloc(1, sizeof(*session)));
	int pair[2];

	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    pair) == 0);
	play->peer = pair[1];
	session->id = 1;
	session->fd = pair[0];
	session->settings = settings;
	session->listener = &play->listener;
	session->trusted = trusted;
	session->client.standing = settings->local ? STANDING_LOCAL :
	    STANDING_STRANGER;
	session->client.family = session->address.family = 4;
	session_listen(session, base_of_all());
	return session;
}

static void
run(struct play *which, const struct settings *settings, bool trusted,
    const char *text, size_t length, size_t part)
{
	size_t at, n;

	play = which;
	play->session = begin(settings, trusted);
	session_greet(play->session);
	answer();
	for (at = 0; at < length && !play->freed; at += n) {
		n = length - at < part ? length - at : part;
		buffer_append(&play->session->input, text + at, n);
		session_run(play->session);
		answer();
	}
	if (!play->freed) {
		play->session->ended = true;
		session_run(play->session);
		answer();
	}
	if (!play->freed)
		session_free(play->session);
	hear();
	(void)close(play->peer);
	check_heard(&play->heard);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t bits = fuzz_byte(&in), choices = fuzz_byte(&in);
	size_t part = 1 + fuzz_byte(&in);
	struct settings settings = { .host = "mx.test", .mail_name = "d.test",
	    .local = bits & 1, .local_rcpt_to = bits & 2,
	    .strict_syntax = bits & 4, .command_timeout = 1000000,
	    .data_timeout = 1000000, .message_size = bits & 8 ? 300 : 0,
	    .line_length = bits & 16 ? 40 : 998, .max_recipients = 3,
	    .max_hops = 2, .max_errors = bits & 32 ? 4 : 0,
	    .max_unknown_commands = bits & 64 ? 2 : 0 };
	bool trusted = (bits & 128) == 0;
	struct play whole = { .choices = choices };
	struct play parts = { .choices = choices };

	log_set_verbose(false);
	run(&whole, &settings, trusted, (const char *)in.at, in.left,
	    in.left + 1);
	run(&parts, &settings, trusted, (const char *)in.at, in.left, part);
	if (trusted) {
		check_alike(&whole.heard, &parts.heard);
		require(whole.stored.length == parts.stored.length &&
		    (whole.stored.length == 0 || memcmp(whole.stored.data,
		    parts.stored.data, whole.stored.length) == 0));
	}
	buffer_free(&whole.heard);
	buffer_free(&parts.heard);
	buffer_free(&whole.stored);
	buffer_free(&parts.stored);
	return 0;
}
