/*
 * DATA: the body is decoded, held against the limits, and handed on in small
 * parts, so that a message of any size takes the same memory.  What is
 * refused is read to its end all the same, to stay in step.
 */
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "queueid.h"
#include "smtpd.h"

#define PART		8192	/* octets handled at a time */
#define TRACE_MAX	2048

static void
emit(void *context, const char *data, size_t length)
{
	transaction_write(context, data, length);
}

/* Our trace field, and what the rest of the header needs. */
static void
begin_body(struct session *session)
{
	struct transaction *txn = session->transaction;
	struct local_header *header = &session->data->header;
	const struct trace trace = {
		.client = &session->client, .host = session->settings->host,
		.recipient = txn->count == 1 ? txn->recipients[0].address :
		    NULL,
		.id = txn->id, .arrival = txn->arrival
	};
	char text[TRACE_MAX];

	transaction_write(txn, text, received_print(&trace, text,
	    sizeof(text)));
	header->mail_name = session->settings->mail_name;
	header->sender = txn->sender;
	header->id = txn->id;
	header->arrival = txn->arrival;
	header->emit = emit;
	header->context = txn;
}

void
command_data(struct session *session, char *argument)
{
	enum reply reply = REPLY_NONE;

	if (session->behind > 0 && !session->trusted) {
		session_hang_up(session, REPLY_OUT_OF_STEP, NULL);
		return;
	}
	if (*argument != '\0')
		reply = REPLY_SYNTAX;
	else if (session->transaction->count == 0)
		reply = REPLY_NO_RECIPIENTS;
	else
		reply = transaction_begin(session->transaction);
	if (reply != REPLY_NONE) {
		session_reply(session, reply, "DATA");
		return;
	}
	if ((session->data = calloc(1, sizeof(*session->data))) == NULL)
		fatal("data");
	session->data->refusal = REPLY_NONE;
	session->data->dots.line_length =
	    (uint64_t)session->settings->line_length;
	begin_body(session);
	session_set_state(session, SESSION_DATA);
	session_reply(session, REPLY_DATA, NULL);
	session_expect(session, session->settings->data_timeout);
}

/* What of the message so far is against the rules? */
static enum reply
judge(const struct session *session)
{
	const struct settings *settings = session->settings;
	const struct data *data = session->data;

	if (data->dots.bare)
		return REPLY_BARE_OCTETS;
	if (data->dots.long_line)
		return REPLY_TEXT_LINE_TOO_LONG;
	if (settings->message_size > 0 &&
	    data->size > (uint64_t)settings->message_size)
		return REPLY_TOO_BIG;
	if (data->hops.count > settings->max_hops)
		return REPLY_TOO_MANY_HOPS;
	return REPLY_NONE;
}

static void
absorb(struct session *session, const char *text, size_t length)
{
	struct data *data = session->data;

	if (data->refusal != REPLY_NONE)
		return;
	data->size += length;
	hops_count(&data->hops, text, length);
	data->refusal = judge(session);
	if (data->refusal != REPLY_NONE)
		transaction_withdraw(session->transaction);
	else if (session->settings->local)
		local_feed(&data->header, text, length);
	else
		transaction_write(session->transaction, text, length);
}

static void
log_queued(const struct session *session)
{
	const struct transaction *txn = session->transaction;

	session_log(session, LOG_INFO, "queued");
	log_id("id", txn->id);
	log_string("helo", session->client.helo);
	log_string("from", txn->sender);
	log_number("size", (long long)txn->size);
	log_number("recipients", (long long)txn->count);
	log_end();
}

/* Tell the client how it ended; the session waits for its next command. */
static void
conclude(struct session *session, enum txn_verdict verdict)
{
	char id[QUEUEID_LENGTH + 1];

	session->verb = "DATA";
	if (verdict == TXN_OK) {
		session->messages++;
		log_queued(session);
		session_reply(session, REPLY_QUEUED,
		    queueid_print(session->transaction->id, id));
	} else
		session_reply(session, verdict == TXN_NO_SPACE ?
		    REPLY_NO_SPACE : REPLY_SPOOL_AWAY, NULL);
	session_reset(session);
}

/* It is spoold's turn, and the client does not wait for ever. */
static void
expect_spoold(struct session *session)
{
	session->deadline = 0;
	if (session->settings->spool_timeout > 0)
		session_expect(session, session->settings->spool_timeout);
}

/* The end of the message has come. */
static void
finish(struct session *session)
{
	struct transaction *txn = session->transaction;
	enum reply refusal = session->data->refusal;

	if (refusal == REPLY_NONE && session->settings->local)
		local_end(&session->data->header);
	session_set_state(session, SESSION_COMMITTING);
	data_free(session);
	session->verb = "DATA";
	if (refusal != REPLY_NONE) {
		session_reply(session, refusal, NULL);
		session_reset(session);
	} else if (txn->failure != 0)
		conclude(session, txn->failure);
	else {
		expect_spoold(session);
		transaction_commit(txn);
	}
}

size_t
data_input(struct session *session, const char *in, size_t length)
{
	char text[PART + 2];
	struct dotread *dots = &session->data->dots;
	size_t used = 0, part, made;

	while (used < length && session->state == SESSION_DATA &&
	    !transaction_blocked(session->transaction)) {
		part = length - used < PART ? length - used : PART;
		used += dotread_decode(dots, in + used, part, text, &made);
		absorb(session, text, made);
		if (dots->state == DOTREAD_END)
			finish(session);
		else if (transaction_blocked(session->transaction))
			expect_spoold(session);
	}
	return used;
}

void
data_free(struct session *session)
{
	if (session->data != NULL)
		local_free(&session->data->header);
	free(session->data);
	session->data = NULL;
}

/* There is credit again, or no more use for it. */
void
data_resume(struct session *session)
{
	if (session->state == SESSION_DATA)
		session_expect(session, session->settings->data_timeout);
	session_run(session);
}

void
data_committed(struct session *session, enum txn_verdict verdict)
{
	if (session->state == SESSION_COMMITTING)
		conclude(session, verdict);
	session_run(session);
}
