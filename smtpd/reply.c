/*
 * Everything that is said to clients: a row a reply.  Pure; knows nothing of
 * sessions.  A * in a text is where an argument goes.
 */
#include <stdio.h>
#include <string.h>

#include "printable.h"
#include "smtpd.h"

struct row {
	const char	*code;
	const char	*status;	/* RFC 3463; NULL: none belongs there */
	const char	*text;
};

static const struct row replies[REPLY_NONE] = {
[REPLY_BANNER] = { "220", NULL, "* ESMTP Postmaster" },
[REPLY_HELO] = { "250", NULL, "*" },
[REPLY_HELP] = { "214", "2.0.0",
	"HELO EHLO MAIL RCPT DATA RSET NOOP QUIT VRFY HELP" },
[REPLY_QUIT] = { "221", "2.0.0", "* closing connection" },
[REPLY_NOOP] = { "250", "2.0.0", "Ok" },
[REPLY_RESET] = { "250", "2.0.0", "Ok" },
[REPLY_VRFY] = { "252", "2.5.2",
	"Cannot verify, but send it and it will be tried" },
[REPLY_MAIL] = { "250", "2.1.0", "Sender ok" },
[REPLY_RCPT] = { "250", "2.1.5", "Recipient ok" },
[REPLY_DATA] = { "354", NULL, "End data with <CR><LF>.<CR><LF>" },
[REPLY_QUEUED] = { "250", "2.0.0", "*" },
[REPLY_TOO_MANY_SESSIONS] = { "421", "4.3.2",
	"* too many connections, try again later" },
[REPLY_TOO_MANY_OF_NETWORK] = { "421", "4.7.0",
	"* too many connections from your network" },
[REPLY_SHUTDOWN] = { "421", "4.3.2", "* shutting down" },
[REPLY_TIMEOUT] = { "421", "4.4.2", "* timeout, closing connection" },
[REPLY_TOO_MANY_ERRORS] = { "421", "4.7.0",
	"* too many errors, closing connection" },
[REPLY_OUT_OF_STEP] = { "554", "5.5.0",
	"You spoke before it was your turn" },
[REPLY_UNKNOWN_COMMAND] = { "500", "5.5.2", "Unknown command" },
[REPLY_LINE_TOO_LONG] = { "500", "5.5.2", "Line too long" },
[REPLY_BAD_OCTETS] = { "500", "5.5.2",
	"A command holds a lone CR or LF, or a NUL" },
[REPLY_NOT_IMPLEMENTED] = { "502", "5.5.1", "Command not implemented" },
[REPLY_HELO_FIRST] = { "503", "5.5.1", "Say EHLO or HELO first" },
[REPLY_MAIL_FIRST] = { "503", "5.5.1", "Say MAIL first" },
[REPLY_NESTED_MAIL] = { "503", "5.5.1", "A sender was given already" },
[REPLY_NO_RECIPIENTS] = { "554", "5.5.1", "No valid recipients" },
[REPLY_SYNTAX] = { "501", "5.5.4", "Syntax: *" },
[REPLY_BAD_SENDER] = { "501", "5.1.7", "Bad sender address" },
[REPLY_BAD_RECIPIENT] = { "501", "5.1.3", "Bad recipient address" },
[REPLY_NOT_ASCII] = { "553", "5.6.7",
	"An address of 8-bit characters needs SMTPUTF8" },
[REPLY_BAD_PARAMETER] = { "501", "5.5.4", "Bad parameter" },
[REPLY_UNKNOWN_PARAMETER] = { "555", "5.5.4", "Unknown parameter" },
[REPLY_TOO_BIG] = { "552", "5.3.4", "Message is larger than we take" },
[REPLY_NO_SPACE] = { "452", "4.3.1", "Not enough storage, try later" },
[REPLY_SPOOL_AWAY] = { "451", "4.3.0", "Queue not available, try later" },
[REPLY_LOOKUP_FAILED] = { "451", "4.3.0", "Lookup failed, try later" },
[REPLY_MISCONFIGURED] = { "451", "4.3.5",
	"Our configuration is in error, try later" },
[REPLY_UNKNOWN_USER] = { "550", "5.1.1", "No such user here" },
[REPLY_UNKNOWN_DOMAIN] = { "550", "5.1.2", "No route to that domain" },
[REPLY_RELAYING_DENIED] = { "550", "5.7.1", "Relaying denied" },
[REPLY_BAD_MAILBOX] = { "553", "5.1.3", "Mailbox name not allowed" },
[REPLY_TOO_MANY_RECIPIENTS] = { "452", "4.5.3", "Too many recipients" },
[REPLY_BARE_OCTETS] = { "550", "5.5.2",
	"The message holds a lone CR or LF, or a NUL" },
[REPLY_TEXT_LINE_TOO_LONG] = { "554", "5.6.0",
	"The message holds a line longer than we take" },
[REPLY_TOO_MANY_HOPS] = { "554", "5.4.6", "Too many hops, mail loop?" },
};

static const struct row *
row_of(enum reply reply)
{
	return &replies[reply];
}

int
reply_class(enum reply reply)
{
	return row_of(reply)->code[0] - '0';
}

/* Put text behind n octets of out; what finds no room is cut off. */
static size_t
put(char *out, size_t size, size_t n, const char *text, size_t length)
{
	if (length > size - n)
		length = size - n;
	memcpy(out + n, text, length);
	return n + length;
}

size_t
reply_print(enum reply reply, const char *argument, char *out, size_t size)
{
	const struct row *row = row_of(reply);
	size_t n = 0, room = size - 3;	/* CR LF NUL */
	size_t star = strcspn(row->text, "*");

	n = put(out, room, n, row->code, strlen(row->code));
	n = put(out, room, n, " ", 1);
	if (row->status != NULL) {
		n = put(out, room, n, row->status, strlen(row->status));
		n = put(out, room, n, " ", 1);
	}
	n = put(out, room, n, row->text, star);
	if (row->text[star] == '*') {
		if (argument != NULL)
			n = put(out, room, n, argument, strlen(argument));
		n = put(out, room, n, row->text + star + 1,
		    strlen(row->text + star + 1));
	}
	memcpy(out + n, "\r\n", 3);
	return n + 2;
}

size_t
reply_print_ehlo(const char *host, const char *client, int64_t limit,
    char *out, size_t size)
{
	char number[32] = "";
	int n;

	if (limit > 0)
		(void)snprintf(number, sizeof(number), " %lld",
		    (long long)limit);
	n = snprintf(out, size, "250-%s greets %s\r\n250-PIPELINING\r\n"
	    "250-8BITMIME\r\n250-SIZE%s\r\n250-DSN\r\n"
	    "250 ENHANCEDSTATUSCODES\r\n", host, client, number);
	return (size_t)n < size ? (size_t)n : size - 1;
}

/* Does the text begin with an enhanced code of this class? */
static bool
has_status(const char *text, char class)
{
	size_t subject, detail;

	if (text[0] != class || text[1] != '.')
		return false;
	subject = strspn(text + 2, "0123456789");
	if (subject == 0 || subject > 3 || text[2 + subject] != '.')
		return false;
	text += 3 + subject;
	detail = strspn(text, "0123456789");
	return detail > 0 && detail <= 3 &&
	    (text[detail] == ' ' || text[detail] == '\0');
}

size_t
reply_print_refusal(uint32_t code, const char *text, char *out, size_t size)
{
	char number[16];

	if (code < 400 || code > 599)
		code = 550;
	if (text[0] == '\0')
		text = "Refused";
	(void)snprintf(number, sizeof(number), "%u", code);
	if (has_status(text, number[0]))
		(void)snprintf(out, size - 2, "%s %s", number, text);
	else
		(void)snprintf(out, size - 2, "%s %c.7.1 %s", number,
		    number[0], text);
	/* Whatever policyd says, it is one line. */
	make_printable(out);
	return strlcat(out, "\r\n", size);
}
