/*
 * A message of ours that tells a sender who was refused, as RFC 3464 has it.
 * The message itself goes back with it: it is kept nowhere else.
 */

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"

static const char notice[] =
	"This is the mail system of this machine.\r\n"
	"\r\n"
	"Your message could not be sent to the recipients below.  It is\r\n"
	"returned with this report.\r\n"
	"\r\n";

/* Append formatted text to the body. */
static void
add(struct message *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
add(struct message *report, const char *format, ...)
{
	char	*text = NULL;
	va_list	 arguments;
	int	 length;

	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length == -1) {
		report->failed = true;
		return;
	}
	message_body(report, text, length);
	free(text);
}

/* Append the original; the form message_copy() wants. */
static int
add_original(void *argument, const char *text, size_t length)
{
	struct message	*report = argument;

	message_body(report, text, length);
	return report->failed ? -1 : 0;
}

/* What a delivery-status part says of one recipient. */
static void
add_status(struct message *report, const struct recipient *recipient)
{
	const char	*reply = recipient->reply != NULL ?
			    recipient->reply : "";
	int		 status = strspn(reply, "0123456789.");

	add(report, "\r\nFinal-Recipient: rfc822; %s\r\nAction: failed\r\n"
	    "Status: %.*s\r\nDiagnostic-Code: smtp; %d %s\r\n",
	    recipient->address, status >= 5 ? status : 5,
	    status >= 5 ? reply : "5.0.0", recipient->code, reply);
}

static void
add_header(struct message *report, const struct message *original,
    const struct envelope *envelope, const char *boundary)
{
	char	text[HEADER_ADDRESS + 512];
	int	length;

	length = snprintf(text, sizeof(text),
	    "From: Mail Delivery System <MAILER-DAEMON>\r\n"
	    "To: %s\r\n"
	    "Subject: Undelivered mail returned to sender\r\n"
	    "Auto-Submitted: auto-replied\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=delivery-status;\r\n"
	    "\tboundary=\"%s\"\r\n"
	    "Content-Transfer-Encoding: %s\r\n",
	    envelope->sender, boundary,
	    original->eight_bit ? "8bit" : "7bit");
	message_header(report, text, length);
	report->eight_bit = original->eight_bit;
}

int
bounce_make(struct message *report, const struct message *original,
    const struct envelope *envelope)
{
	const struct recipient	*recipient;
	char			 boundary[64], hostname[256] = "localhost";

	if (message_begin(report) == -1)
		return -1;
	gethostname(hostname, sizeof(hostname) - 1);
	snprintf(boundary, sizeof(boundary), "=_report.%lld.%ld",
	    (long long)time(NULL), (long)getpid());
	add_header(report, original, envelope, boundary);

	add(report, "--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n"
	    "\r\n%s", boundary, notice);
	for (size_t i = 0; i < envelope->count; i++) {
		recipient = &envelope->recipients[i];
		if (recipient->code / 100 == 5)
			add(report, "<%s>: %d %s\r\n", recipient->address,
			    recipient->code, recipient->reply != NULL ?
			    recipient->reply : "");
	}
	add(report, "\r\n--%s\r\nContent-Type: message/delivery-status\r\n"
	    "\r\nReporting-MTA: dns; %s\r\n", boundary, hostname);
	for (size_t i = 0; i < envelope->count; i++)
		if (envelope->recipients[i].code / 100 == 5)
			add_status(report, &envelope->recipients[i]);
	add(report, "\r\n--%s\r\nContent-Type: message/rfc822\r\n"
	    "Content-Transfer-Encoding: %s\r\n\r\n", boundary,
	    original->eight_bit ? "8bit" : "7bit");
	if (message_copy(original, FORM_PLAIN, add_original, report) == -1)
		return -1;
	add(report, "\r\n--%s--\r\n", boundary);
	return report->failed || fflush(report->body) == EOF ? -1 : 0;
}
