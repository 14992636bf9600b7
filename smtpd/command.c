/*
 * Commands: which there are, and in which states each is legal.  What they
 * do to mail is elsewhere.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "smtpd.h"

#define BIT(state)	(1U << (state))
#define ANY		(BIT(SESSION_CONNECTED) | GREETED)
#define GREETED		(BIT(SESSION_GREETED) | BIT(SESSION_MAIL) | \
			    BIT(SESSION_RCPT))

struct command {
	const char	*verb;
	void		(*fn)(struct session *, char *);
	unsigned int	 states;	/* where it is legal */
	enum reply	 otherwise;	/* behind a greeting; before it they
					   hear that one is lacking */
};

/* A new greeting ends what was begun (RFC 5321 4.1.4). */
static int
greeting(struct session *session, const char *argument, const char *syntax)
{
	const char *p;

	if (session->behind > 0 && !session->trusted) {
		session_hang_up(session, REPLY_OUT_OF_STEP, NULL);
		return -1;
	}
	for (p = argument; *p > ' ' && *p <= '~'; p++)
		continue;
	if (p == argument || *p != '\0' ||
	    strlen(argument) >= sizeof(session->client.helo)) {
		session_reply(session, REPLY_SYNTAX, syntax);
		return -1;
	}
	if (session->state == SESSION_CONNECTED)
		session_set_state(session, SESSION_GREETED);
	session_reset(session);
	memset(session->client.helo, 0, sizeof(session->client.helo));
	memcpy(session->client.helo, argument, strlen(argument));
	return 0;
}

static void
command_helo(struct session *session, char *argument)
{
	if (greeting(session, argument, "HELO hostname") == -1)
		return;
	session->client.esmtp = 0;
	session_reply(session, REPLY_HELO, session->settings->host);
}

static void
command_ehlo(struct session *session, char *argument)
{
	char text[REPLY_MAX];

	if (greeting(session, argument, "EHLO hostname") == -1)
		return;
	session->client.esmtp = 1;
	session_say(session, text, reply_print_ehlo(session->settings->host,
	    session->client.helo, session->settings->message_size, text,
	    sizeof(text)));
}

static void
command_rset(struct session *session, char *argument)
{
	if (*argument != '\0') {
		session_reply(session, REPLY_SYNTAX, "RSET");
		return;
	}
	session_reset(session);
	session_reply(session, REPLY_RESET, NULL);
}

static void
command_noop(struct session *session, char *argument)
{
	(void)argument;
	session_reply(session, REPLY_NOOP, NULL);
}

static void
command_help(struct session *session, char *argument)
{
	(void)argument;
	session_reply(session, REPLY_HELP, NULL);
}

static void
command_vrfy(struct session *session, char *argument)
{
	if (*argument == '\0')
		session_reply(session, REPLY_SYNTAX, "VRFY address");
	else
		session_reply(session, REPLY_VRFY, NULL);
}

static void
command_quit(struct session *session, char *argument)
{
	if (*argument != '\0')
		session_reply(session, REPLY_SYNTAX, "QUIT");
	else {
		session_hang_up(session, REPLY_QUIT, session->settings->host);
		/* Nothing is unread: no need to wait until it closes. */
		session->ended = session->behind == 0;
	}
}

static void
command_none(struct session *session, char *argument)
{
	(void)argument;
	session_reply(session, REPLY_NOT_IMPLEMENTED, NULL);
}

static const struct command commands[] = {
	{ "HELO", command_helo, ANY, REPLY_NONE },
	{ "EHLO", command_ehlo, ANY, REPLY_NONE },
	{ "MAIL", command_mail, BIT(SESSION_GREETED), REPLY_NESTED_MAIL },
	{ "RCPT", command_rcpt, BIT(SESSION_MAIL) | BIT(SESSION_RCPT),
	    REPLY_MAIL_FIRST },
	{ "DATA", command_data, BIT(SESSION_MAIL) | BIT(SESSION_RCPT),
	    REPLY_MAIL_FIRST },
	{ "RSET", command_rset, ANY, REPLY_NONE },
	{ "NOOP", command_noop, ANY, REPLY_NONE },
	{ "QUIT", command_quit, ANY, REPLY_NONE },
	{ "VRFY", command_vrfy, ANY, REPLY_NONE },
	{ "HELP", command_help, ANY, REPLY_NONE },
	{ "TURN", command_none, ANY, REPLY_NONE },
	{ "SEND", command_none, ANY, REPLY_NONE },
	{ "SOML", command_none, ANY, REPLY_NONE },
	{ "SAML", command_none, ANY, REPLY_NONE },
	{ "EXPN", command_none, ANY, REPLY_NONE },
	{ NULL, NULL, 0, REPLY_NONE }
};

static void
unknown(struct session *session)
{
	const struct settings *settings = session->settings;

	session_reply(session, REPLY_UNKNOWN_COMMAND, NULL);
	session->unknown++;
	if (settings->max_unknown_commands > 0 &&
	    session->unknown >= settings->max_unknown_commands)
		session_hang_up(session, REPLY_TOO_MANY_ERRORS,
		    settings->host);
}

/* Octets that no command may hold. */
static bool
holds_bad_octets(const char *line, size_t length)
{
	return memchr(line, '\r', length) != NULL ||
	    memchr(line, '\n', length) != NULL ||
	    memchr(line, '\0', length) != NULL;
}

static void
dispatch(struct session *session, char *line)
{
	const struct command *command;
	size_t length = strcspn(line, " ");
	char *argument = line + length;

	if (*argument != '\0')
		*argument++ = '\0';
	argument += strspn(argument, " ");
	for (command = commands; command->verb != NULL; command++)
		if (strcasecmp(command->verb, line) == 0)
			break;
	session->verb = command->verb != NULL ? command->verb : line;
	session->argument = argument;
	if (command->verb == NULL)
		unknown(session);
	else if ((command->states & BIT(session->state)) != 0)
		command->fn(session, argument);
	else
		session_reply(session, session->state == SESSION_CONNECTED ?
		    REPLY_HELO_FIRST : command->otherwise, NULL);
	session->argument = NULL;
	session->verb = command->verb;
}

void
command_line(struct session *session, char *line, size_t length)
{
	session->verb = NULL;
	if (holds_bad_octets(line, length)) {
		session_reply(session, REPLY_BAD_OCTETS, NULL);
		return;
	}
	while (length > 0 && (line[length - 1] == ' ' ||
	    line[length - 1] == '\t'))
		line[--length] = '\0';
	dispatch(session, line);
}
