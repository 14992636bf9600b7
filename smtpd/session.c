/*
 * What a session is: its state, what it says, what the log says of it.  The
 * connection beneath it is connection.c's.
 *
 *   BANNER -> CONNECTED                [session_greet]
 *   CONNECTED, any -> GREETED          [HELO, EHLO, RSET; data_committed]
 *   GREETED -> MAIL                    [command_mail]
 *   MAIL, RCPT -> ASKING               [command_rcpt]
 *   ASKING -> MAIL, RCPT               [policy_answered]
 *   RCPT -> DATA                       [command_data]
 *   DATA -> COMMITTING                 [finish, of data.c]
 *   any -> CLOSING                     [session_hang_up]
 */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "queueid.h"
#include "smtpd.h"

#define LAST_WORDS	(10 * SECOND)	/* for them to leave */
#define VERB_LOGGED	64
#define ARGUMENT_LOGGED	256

#define BIT(state)	(1U << (state))

/* Where each state may lead; CLOSING always, and nowhere from there. */
static const unsigned int edges[SESSION_STATES] = {
[SESSION_BANNER] = BIT(SESSION_CONNECTED),
[SESSION_CONNECTED] = BIT(SESSION_GREETED),
[SESSION_GREETED] = BIT(SESSION_GREETED) | BIT(SESSION_MAIL),
[SESSION_MAIL] = BIT(SESSION_GREETED) | BIT(SESSION_ASKING),
[SESSION_RCPT] = BIT(SESSION_GREETED) | BIT(SESSION_ASKING) |
    BIT(SESSION_DATA),
[SESSION_ASKING] = BIT(SESSION_MAIL) | BIT(SESSION_RCPT),
[SESSION_DATA] = BIT(SESSION_GREETED) | BIT(SESSION_COMMITTING),
[SESSION_COMMITTING] = BIT(SESSION_GREETED),
[SESSION_CLOSING] = 0
};

static const char *const state_names[SESSION_STATES] = {
[SESSION_BANNER] = "banner",
[SESSION_CONNECTED] = "connected",
[SESSION_GREETED] = "greeted",
[SESSION_MAIL] = "mail",
[SESSION_RCPT] = "rcpt",
[SESSION_ASKING] = "asking",
[SESSION_DATA] = "data",
[SESSION_COMMITTING] = "committing",
[SESSION_CLOSING] = "closing"
};

void
session_log(const struct session *session, int priority, const char *word)
{
	log_begin_to(session->settings->logger, priority, word);
	log_id("session", session->id);
	log_string("client", session->name);
	if (session->settings->local)
		log_number("uid", session->client.uid);
}

/* What must be true in each state. */
static void
session_check(const struct session *session)
{
	bool mail = session->state >= SESSION_MAIL &&
	    session->state <= SESSION_COMMITTING;

	if ((session->transaction != NULL) < mail ||
	    (session->data != NULL) < (session->state == SESSION_DATA) ||
	    (session->question != NULL) < (session->state == SESSION_ASKING))
		fatalx("session: %s without what it needs",
		    state_names[session->state]);
}

void
session_set_state(struct session *session, enum session_state state)
{
	if (session->state == SESSION_CLOSING)
		return;
	if (state != SESSION_CLOSING &&
	    (edges[session->state] & BIT(state)) == 0)
		fatalx("session: from %s to %s", state_names[session->state],
		    state_names[state]);
	if (log_wants(LOG_DEBUG)) {
		session_log(session, LOG_DEBUG, "state");
		log_string("from", state_names[session->state]);
		log_string("to", state_names[state]);
		log_end();
	}
	session->state = state;
	session_check(session);
}

void
session_reset(struct session *session)
{
	if (session->question != NULL)
		policy_forget(session);
	free(session->question);
	session->question = NULL;
	data_free(session);
	if (session->state != SESSION_CONNECTED &&
	    session->state != SESSION_ASKING)
		session_set_state(session, SESSION_GREETED);
	transaction_free(session->transaction);
	session->transaction = NULL;
}

void
session_say(struct session *session, const char *text, size_t length)
{
	if (session->state == SESSION_CLOSING)
		return;
	buffer_append(&session->output, text, length);
	session_expect(session, session->settings->command_timeout);
}

/* Why somebody was refused: one line, with all that finds it again. */
static void
log_refusal(const struct session *session, const char *text, size_t length)
{
	char reply[REPLY_MAX], verb[VERB_LOGGED], argument[ARGUMENT_LOGGED];

	memcpy(reply, text, length);
	reply[length - 2] = '\0';
	session_log(session, LOG_INFO, "refused");
	if (session->client.helo[0] != '\0')
		log_string("helo", session->client.helo);
	if (session->verb != NULL) {
		(void)strlcpy(verb, session->verb, sizeof(verb));
		log_string("command", verb);
	}
	if (session->transaction != NULL) {
		if (session->transaction->id != 0)
			log_id("id", session->transaction->id);
		log_string("from", session->transaction->sender);
	}
	if (session->question != NULL)
		log_string("to", session->question->recipient);
	else if (session->argument != NULL) {
		(void)strlcpy(argument, session->argument, sizeof(argument));
		log_string("argument", argument);
	}
	log_string("reply", reply);
	log_end();
}

/* A refusal is the client's error unless it may not know better. */
static void
count_error(struct session *session)
{
	if (session->trusted && session->question != NULL)
		return;
	session->errors++;
	if (session->settings->max_errors > 0 &&
	    session->errors >= session->settings->max_errors)
		session_hang_up(session, REPLY_TOO_MANY_ERRORS,
		    session->settings->host);
}

void
session_reply(struct session *session, enum reply reply,
    const char *argument)
{
	char text[REPLY_MAX];
	size_t length;

	length = reply_print(reply, argument, text, sizeof(text));
	if (session->state == SESSION_CLOSING)
		return;
	if (reply_class(reply) >= 4)
		log_refusal(session, text, length);
	session_say(session, text, length);
	if (reply_class(reply) == 5)
		count_error(session);
}

void
session_refuse(struct session *session, uint32_t code, const char *reason)
{
	char text[REPLY_MAX];
	size_t length;

	length = reply_print_refusal(code, reason, text, sizeof(text));
	log_refusal(session, text, length);
	session_say(session, text, length);
	if (text[0] == '5')
		count_error(session);
}

void
session_hang_up(struct session *session, enum reply reply,
    const char *argument)
{
	if (session->state == SESSION_CLOSING)
		return;
	/* Without errors counted: these are the last words. */
	session->errors = INT64_MIN / 2;
	session_reply(session, reply, argument);
	session_set_state(session, SESSION_CLOSING);
	session_expect(session, LAST_WORDS);
}
