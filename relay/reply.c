/*
 * What a server says, as values: replies gathered line by line, bounded and
 * cleaned, and the extensions it offers.  Opens and sends nothing.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "relay.h"

#define LINES_MAX	256	/* of one reply; more is no reply */

void
reply_start(struct reply *reply)
{
	memset(reply, 0, sizeof(*reply));
}

/* Append to the text what is printable of a line, other octets as ?. */
static void
add_text(struct reply *reply, const char *line)
{
	size_t n = strlen(reply->text);

	if (n > 0 && n < sizeof(reply->text) - 1)
		reply->text[n++] = ' ';
	for (; *line != '\0' && n < sizeof(reply->text) - 1; line++)
		reply->text[n++] = *line >= ' ' && *line <= '~' ? *line : '?';
	reply->text[n] = '\0';
}

/* One to three digits followed by end; returns what follows, or NULL. */
static const char *
skip_number(const char *p, char end)
{
	size_t n = strspn(p, "0123456789");

	if (n < 1 || n > 3)
		return NULL;
	if (end == ' ')
		return p[n] == ' ' || p[n] == '\0' ? p + n : NULL;
	return p[n] == end ? p + n + 1 : NULL;
}

/* RFC 3463: the status at the start of a text, if it fits the code. */
static void
find_status(struct reply *reply, const char *text)
{
	const char *p;
	char class = (char)('0' + reply->code / 100);

	if (text[0] == class && text[1] == '.' &&
	    (p = skip_number(text + 2, '.')) != NULL &&
	    (p = skip_number(p, ' ')) != NULL)
		snprintf(reply->status, sizeof(reply->status), "%.*s",
		    (int)(p - text), text);
	else
		snprintf(reply->status, sizeof(reply->status), "%s",
		    class == '2' ? "2.0.0" : class == '5' ? "5.0.0" :
		    class == '4' ? "4.0.0" : "4.5.0");
}

/*
 * Take in a line without its CRLF.  Returns 1 when the reply is whole, 0 when
 * more lines follow, -1 if this is no reply of SMTP.
 */
int
reply_add(struct reply *reply, const char *line)
{
	int code;

	if (!isdigit((unsigned char)line[0]) ||
	    !isdigit((unsigned char)line[1]) ||
	    !isdigit((unsigned char)line[2]) || line[0] < '2' ||
	    line[0] > '5')
		return -1;
	if (line[3] != '\0' && line[3] != ' ' && line[3] != '-')
		return -1;
	code = atoi(line);
	if (code > 599 || ++reply->lines > LINES_MAX)
		return -1;
	if (reply->code == 0) {
		reply->code = code;
		reply->replied = true;
		find_status(reply, line[3] != '\0' ? line + 4 : "");
		add_text(reply, line);
	} else if (code != reply->code)
		return -1;
	else
		add_text(reply, line[3] != '\0' ? line + 4 : "");
	return line[3] != '-';
}

/*
 * What went wrong without a reply: as if the server had answered code.
 */
void
reply_fault(struct reply *reply, enum relay_stage stage, int code,
    const char *status, const char *format, ...)
{
	char text[WIRE_TEXT];
	va_list ap;

	reply_start(reply);
	reply->stage = stage;
	reply->code = code;
	strlcpy(reply->status, status, sizeof(reply->status));
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	add_text(reply, text);
}

/*
 * Whatever the server says, it is no permanent matter, and no success.
 */
void
reply_soften(struct reply *reply)
{
	if (reply->code >= 400 && reply->code < 500)
		return;
	reply->code = 451;
	strlcpy(reply->status, "4.3.0", sizeof(reply->status));
}

/*
 * What a reply means for a recipient.
 */
enum relay_verdict
reply_verdict(const struct reply *reply)
{
	if (reply->code >= 200 && reply->code < 300)
		return RELAY_DONE;
	return reply->code >= 500 ? RELAY_FAILED : RELAY_DEFERRED;
}

/* Is this the extension's keyword?  Returns its parameters, or NULL. */
static const char *
keyword(const char *line, const char *name)
{
	size_t n = strlen(name);

	if (strncasecmp(line, name, n) != 0)
		return NULL;
	if (line[n] == '\0')
		return line + n;
	return line[n] == ' ' || line[n] == '=' ? line + n + 1 : NULL;
}

/* Mechanisms, which may stand in several lines; whole ones or none. */
static void
add_mechanisms(struct offer *offer, const char *names)
{
	size_t n = strlen(offer->auth);

	if (n + 1 + strlen(names) >= sizeof(offer->auth))
		return;
	if (n > 0)
		offer->auth[n++] = ' ';
	strlcpy(offer->auth + n, names, sizeof(offer->auth) - n);
}

/*
 * Take in one line of the answer to EHLO, without code and separator.
 */
void
offer_add(struct offer *offer, const char *line)
{
	const char *parameter;

	if (keyword(line, "PIPELINING") != NULL)
		offer->pipelining = true;
	else if (keyword(line, "8BITMIME") != NULL)
		offer->eightbit = true;
	else if (keyword(line, "DSN") != NULL)
		offer->dsn = true;
	else if (keyword(line, "SMTPUTF8") != NULL)
		offer->smtputf8 = true;
	else if (keyword(line, "STARTTLS") != NULL)
		offer->starttls = true;
	else if ((parameter = keyword(line, "AUTH")) != NULL)
		add_mechanisms(offer, parameter);
	else if ((parameter = keyword(line, "SIZE")) != NULL) {
		offer->size = true;
		if (isdigit((unsigned char)*parameter))
			offer->size_limit = strtoull(parameter, NULL, 10);
	}
}
