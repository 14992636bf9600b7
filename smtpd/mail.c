/*
 * MAIL and RCPT: paths and parameters, and what policyd thinks of them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "log.h"
#include "smtpd.h"

static const char mail_syntax[] = "MAIL FROM:<address> [parameters]";
static const char rcpt_syntax[] = "RCPT TO:<address> [parameters]";

/*
 * Find the path behind "FROM:" or "TO:" and parse it.  *parameters is what
 * follows.  REPLY_NONE, or what is wrong with the command's form.
 */
static enum reply
parse_path(const struct session *session, const char *argument,
    const char *prefix, struct address *address, enum address_result *result,
    const char **parameters)
{
	bool lenient = !session->settings->strict_syntax;
	const char *path = argument + strlen(prefix);

	if (strncasecmp(argument, prefix, strlen(prefix)) != 0)
		return REPLY_SYNTAX;
	if (lenient)
		path += strspn(path, " \t");
	if (*path == '\0' || *path == ' ')
		return REPLY_SYNTAX;
	*result = address_parse_path(path, lenient, address, parameters);
	if (*result > ADDRESS_BARE)
		return REPLY_NONE;
	/* Without brackets nothing else may stand there. */
	return *path != '<' && **parameters != '\0' ? REPLY_SYNTAX :
	    REPLY_NONE;
}

/* Complete a bare address. */
static void
qualify(const struct session *session, struct address *address)
{
	(void)snprintf(address->domain, sizeof(address->domain), "%s",
	    session->settings->mail_name);
}

/* The sender as text, or why it is none. */
static enum reply
check_sender(const struct session *session, enum address_result result,
    struct address *address, char *text, size_t size)
{
	switch (result) {
	case ADDRESS_NULL:
		text[0] = '\0';
		return REPLY_NONE;
	case ADDRESS_BARE:
		if (!session->trusted)
			return REPLY_BAD_SENDER;
		qualify(session, address);
		break;
	case ADDRESS_OK:
		break;
	case ADDRESS_NOT_ASCII:
		return REPLY_NOT_ASCII;
	default:
		return REPLY_BAD_SENDER;
	}
	(void)address_print(address, text, size);
	return REPLY_NONE;
}

/* A bare recipient: completed, or left to be a name, or not taken. */
static enum reply
check_bare(const struct session *session, struct address *address)
{
	if (session->settings->local) {
		qualify(session, address);
		return REPLY_NONE;
	}
	if (strcasecmp(address->local, "postmaster") == 0 ||
	    (session->trusted && session->settings->local_rcpt_to))
		return REPLY_NONE;
	return REPLY_BAD_RECIPIENT;
}

static enum reply
check_recipient(const struct session *session, enum address_result result,
    struct address *address, char *text, size_t size)
{
	enum reply reply = REPLY_NONE;

	switch (result) {
	case ADDRESS_BARE:
		reply = check_bare(session, address);
		break;
	case ADDRESS_OK:
		break;
	case ADDRESS_NOT_ASCII:
		return REPLY_NOT_ASCII;
	default:
		return REPLY_BAD_RECIPIENT;
	}
	if (reply == REPLY_NONE)
		(void)address_print(address, text, size);
	return reply;
}

static enum reply
of_parameters(enum parameter_result result)
{
	static const enum reply replies[] = {
		[PARAMETER_OK] = REPLY_NONE,
		[PARAMETER_UNKNOWN] = REPLY_UNKNOWN_PARAMETER,
		[PARAMETER_BAD] = REPLY_BAD_PARAMETER
	};

	return replies[result];
}

static bool
too_big(const struct session *session, uint64_t size)
{
	return session->settings->message_size > 0 &&
	    size > (uint64_t)session->settings->message_size;
}

void
command_mail(struct session *session, char *argument)
{
	struct mail_parameters parameters;
	enum address_result result;
	struct address address;
	const char *rest;
	char sender[WIRE_ADDRESS];
	enum reply reply;

	reply = parse_path(session, argument, "FROM:", &address, &result,
	    &rest);
	if (reply == REPLY_NONE)
		reply = check_sender(session, result, &address, sender,
		    sizeof(sender));
	if (reply == REPLY_NONE)
		reply = of_parameters(parameters_of_mail(rest, &parameters));
	if (reply == REPLY_NONE && too_big(session, parameters.size))
		reply = REPLY_TOO_BIG;
	if (reply == REPLY_NONE)
		reply = transaction_possible();
	if (reply != REPLY_NONE) {
		session_reply(session, reply, mail_syntax);
		return;
	}
	session->transaction = transaction_new(session, sender, &parameters);
	session_set_state(session, SESSION_MAIL);
	session_reply(session, REPLY_MAIL, NULL);
}

void
command_rcpt(struct session *session, char *argument)
{
	struct rcpt_parameters parameters;
	enum address_result result;
	struct address address;
	const char *rest;
	char recipient[WIRE_ADDRESS];
	enum reply reply;

	reply = parse_path(session, argument, "TO:", &address, &result,
	    &rest);
	if (reply == REPLY_NONE)
		reply = check_recipient(session, result, &address, recipient,
		    sizeof(recipient));
	if (reply == REPLY_NONE)
		reply = of_parameters(parameters_of_rcpt(rest, &parameters));
	if (reply == REPLY_NONE && session->transaction->count >=
	    (size_t)session->settings->max_recipients)
		reply = REPLY_TOO_MANY_RECIPIENTS;
	if (reply != REPLY_NONE) {
		session_reply(session, reply, rcpt_syntax);
		return;
	}
	session->question = calloc(1, sizeof(*session->question));
	if (session->question == NULL)
		fatal("question");
	session->question->parameters = parameters;
	session_set_state(session, SESSION_ASKING);
	policy_ask(session, recipient);
}

static enum reply
of_verdict(uint32_t verdict)
{
	static const enum reply replies[] = {
		[RCPT_ACCEPT] = REPLY_RCPT,
		[RCPT_UNKNOWN_USER] = REPLY_UNKNOWN_USER,
		[RCPT_UNKNOWN_DOMAIN] = REPLY_UNKNOWN_DOMAIN,
		[RCPT_RELAYING_DENIED] = REPLY_RELAYING_DENIED,
		[RCPT_BAD_ADDRESS] = REPLY_BAD_MAILBOX,
		[RCPT_REFUSED] = REPLY_NONE,
		[RCPT_LOOKUP_FAILED] = REPLY_LOOKUP_FAILED,
		[RCPT_MISCONFIGURED] = REPLY_MISCONFIGURED
	};

	return verdict >= RCPT_ACCEPT &&
	    verdict < sizeof(replies) / sizeof(replies[0]) ?
	    replies[verdict] : REPLY_LOOKUP_FAILED;
}

/* The answer is NULL if there was none in time. */
void
policy_answered(struct session *session, const struct w_rcpt_check_ans *ans)
{
	struct transaction *transaction = session->transaction;
	struct question *question = session->question;
	enum reply reply;

	session->verb = "RCPT";
	reply = ans != NULL ? of_verdict(ans->verdict) : REPLY_LOOKUP_FAILED;
	if (reply == REPLY_RCPT)
		transaction_add(transaction, question->recipient,
		    &question->parameters);
	session_set_state(session, transaction->count > 0 ? SESSION_RCPT :
	    SESSION_MAIL);
	if (reply == REPLY_NONE)
		session_refuse(session, ans->code, ans->text);
	else
		session_reply(session, reply, NULL);
	free(question);
	session->question = NULL;
	session_run(session);
}
