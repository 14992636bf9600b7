/*
 * The text of a report: a multipart/report of RFC 3462 with a delivery
 * status of RFC 3464 and the header of the original, for failures, delays,
 * and deliveries.  Pure: everything comes in, a text goes out.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clock.h"
#include "header.h"
#include "log.h"
#include "queueid.h"
#include "spoold.h"

#define ITEMS_MAX	(22 * 1024)	/* octets of all items, in each part */
#define ORIGINAL_MAX	(12 * 1024)	/* octets of a header */
#define WHOLE_MAX	(48 * 1024)	/* octets of a message returned whole */
#define STORY_MAX	640
#define FOLD_AT		72

#define LINE_MAX_OCTETS	998	/* RFC 5322 2.1.1, without its CRLF */

/* What a boundary begins with; its mark is behind it. */
#define BOUNDARY	"=_report/"
#define MARK_SIZE	(QUEUEID_LENGTH + 12)

/* Text of an answer, safe in a header field: printable, one line. */
static void
put_clean(FILE *out, const char *text)
{
	for (; *text != '\0'; text++)
		putc(*text >= ' ' && *text < 0x7f ? *text : '?', out);
}

/* xtext of RFC 3461 4, decoded; what it may not decode to stays out. */
static void
put_xtext(FILE *out, const char *text)
{
	unsigned int	 octet;

	for (; *text != '\0'; text++) {
		if (*text != '+' || sscanf(text + 1, "%2X", &octet) != 1 ||
		    !isxdigit((unsigned char)text[1]) ||
		    !isxdigit((unsigned char)text[2])) {
			putc(*text >= ' ' && *text < 0x7f ? *text : '?', out);
			continue;
		}
		putc(octet >= ' ' && octet < 0x7f ? (int)octet : '?', out);
		text += 2;
	}
}

static bool
has_8bit(const char *text, size_t length)
{
	size_t	 i;

	for (i = 0; i < length; i++)
		if ((unsigned char)text[i] >= 0x80)
			return true;
	return false;
}

static void
put_header(FILE *out, const struct bounce_report *report, const char *mark,
    bool is_8bit)
{
	static const char *const subjects[] = {
		[REPORT_FAILED] = "Undelivered mail returned to sender",
		[REPORT_DELAYED] = "Delayed mail (still being tried)",
		[REPORT_SUCCESS] = "What became of your mail"
	};
	char	 date[32], id[QUEUEID_LENGTH + 1];

	clock_date(report->now, date, sizeof(date));
	queueid_print(report->id, id);
	fprintf(out, "Date: %s\r\n", date);
	fprintf(out, "From: Mail Delivery System <MAILER-DAEMON@%s>\r\n",
	    report->hostname);
	fprintf(out, "To: ");
	put_clean(out, report->to);
	fprintf(out, "\r\nSubject: %s\r\n", subjects[report->kind]);
	fprintf(out, "Message-ID: <%s@%s>\r\n", id, report->hostname);
	fprintf(out, "Auto-Submitted: auto-replied\r\n");
	fprintf(out, "MIME-Version: 1.0\r\n");
	fprintf(out, "Content-Type: multipart/report;"
	    " report-type=delivery-status;\r\n\tboundary=\"%s%s\"\r\n",
	    BOUNDARY, mark);
	if (is_8bit)
		fprintf(out, "Content-Transfer-Encoding: 8bit\r\n");
	fprintf(out, "\r\nThis is a MIME-encapsulated message.\r\n");
}

/* Words, folded between blanks, under an indent. */
static void
put_folded(FILE *out, const char *text)
{
	const char	*space;
	size_t		 column = 0, word;

	fputs("    ", out);
	while (*text != '\0') {
		space = strchr(text, ' ');
		word = space != NULL ? (size_t)(space - text) : strlen(text);
		if (column > 0 && column + word > FOLD_AT) {
			fputs("\r\n    ", out);
			column = 0;
		} else if (column > 0)
			putc(' ', out);
		for (column += word + 1; word > 0; word--, text++)
			putc(*text >= ' ' && *text < 0x7f ? *text : '?', out);
		if (*text == ' ')
			text++;
	}
	fputs("\r\n", out);
}

/* An address; a bare name is one of this machine. */
static void
put_address(FILE *out, const struct bounce_report *report,
    const char *address)
{
	put_clean(out, address);
	if (strchr(address, '@') == NULL)
		fprintf(out, "@%s", report->hostname);
}

static void
put_head(FILE *out, const struct bounce_report *report)
{
	char	 date[32];

	fprintf(out, "This is the mail system at %s.\r\n\r\n",
	    report->hostname);
	switch (report->kind) {
	case REPORT_DELAYED:
		clock_date(report->items[0].until, date, sizeof(date));
		fprintf(out, "Your message could not yet be delivered to the"
		    " following recipients.\r\nIt is still being tried, until"
		    " %s.\r\nYou need not send it again.\r\n", date);
		break;
	case REPORT_SUCCESS:
		fprintf(out, "You asked to be told what became of your"
		    " message.\r\n");
		break;
	default:
		fprintf(out, "Your message could not be delivered to the"
		    " following recipients.\r\nIt will not be tried"
		    " again.\r\n");
	}
}

/* What became of one recipient, what to do, and the words it rests on. */
static void
put_story(FILE *out, const struct bounce_report *report,
    const struct bounce_item *item)
{
	const char	*success = "It was delivered.";
	char		 text[STORY_MAX];

	fputs("\r\n<", out);
	put_address(out, report, item->address);
	fputs(">:\r\n", out);
	if (report->kind == REPORT_SUCCESS) {
		if (strcmp(item->action, "relayed") == 0)
			success = "It was passed on to where nobody reports"
			    " a delivery. You will be told no more, unless it"
			    " fails.";
		else if (strcmp(item->action, "expanded") == 0)
			success = "It was passed on to several addresses. You"
			    " will be told no more, unless it fails.";
		put_folded(out, success);
		return;
	}
	sentence_of(&item->facts, text, sizeof(text));
	put_folded(out, text);
	if (report->kind == REPORT_FAILED)
		put_folded(out, sentence_advice(&item->facts));
	if (item->facts.text[0] != '\0') {
		fprintf(out, "    %s\r\n", item->facts.replied ?
		    "The server said:" : "In detail:");
		put_folded(out, item->facts.text);
	}
}

static void
put_explanation(FILE *out, const struct bounce_report *report,
    const char *mark, bool whole)
{
	char	 id[QUEUEID_LENGTH + 1];
	size_t	 i;
	long	 start;

	fprintf(out, "\r\n--%s%s\r\nContent-Description: notification\r\n"
	    "Content-Type: text/plain; charset=us-ascii\r\n\r\n", BOUNDARY,
	    mark);
	put_head(out, report);
	start = ftell(out);
	for (i = 0; i < report->count; i++) {
		if (ftell(out) - start > ITEMS_MAX) {
			fprintf(out, "\r\nand %zu others.\r\n",
			    report->count - i);
			break;
		}
		put_story(out, report, &report->items[i]);
	}
	fprintf(out, "\r\nThe message is known here by the number %s; whoever"
	    " asks\r\n<postmaster@%s> about it should name that.\r\n",
	    queueid_print(report->about, id), report->hostname);
	if (report->whole && !whole)
		fprintf(out, "\r\nThe message is too large to be returned as a"
		    " whole (%llu octets);\r\nonly its header follows.\r\n",
		    (unsigned long long)report->original_size);
}

/* The server's name in name[address]:port, else the address. */
static void
put_remote(FILE *out, const char *host)
{
	size_t	 length = strcspn(host, "[");
	char	 name[WIRE_NAME];

	if (length == 0)
		length = strcspn(host, "]") + 1;
	(void)snprintf(name, sizeof(name), "%.*s", (int)length, host);
	fprintf(out, "Remote-MTA: dns; ");
	put_clean(out, name);
	fputs("\r\n", out);
}

/* The fields of RFC 3464 2.3 for one recipient. */
static void
put_recipient_fields(FILE *out, const struct bounce_report *report,
    const struct bounce_item *item)
{
	const struct sentence_facts	*facts = &item->facts;
	char				 date[32], id[QUEUEID_LENGTH + 1];

	fputs("\r\n", out);
	if (strchr(item->orcpt, ';') != NULL) {
		fprintf(out, "Original-Recipient: ");
		put_xtext(out, item->orcpt);
		fputs("\r\n", out);
	}
	fprintf(out, "Final-Recipient: rfc822; ");
	put_address(out, report, item->address);
	fprintf(out, "\r\nAction: %s\r\nStatus: ", item->action);
	put_clean(out, facts->status);
	fputs("\r\n", out);
	if (facts->replied && facts->host[0] != '\0')
		put_remote(out, facts->host);
	if (facts->text[0] != '\0' && (facts->replied ||
	    report->kind != REPORT_SUCCESS)) {
		fprintf(out, "Diagnostic-Code: %s; ", facts->replied ?
		    "smtp" : "x-postmaster");
		put_clean(out, facts->text);
		fputs("\r\n", out);
	}
	clock_date(report->now, date, sizeof(date));
	fprintf(out, "Last-Attempt-Date: %s\r\n", date);
	fprintf(out, "Final-Log-ID: %s\r\n",
	    queueid_print(report->about, id));
	if (item->until > 0) {
		clock_date(item->until, date, sizeof(date));
		fprintf(out, "Will-Retry-Until: %s\r\n", date);
	}
}

static void
put_status(FILE *out, const struct bounce_report *report, const char *mark)
{
	char	 date[32], id[QUEUEID_LENGTH + 1];
	size_t	 i;
	long	 start;

	fprintf(out, "\r\n--%s%s\r\nContent-Description: delivery report\r\n"
	    "Content-Type: message/delivery-status\r\n\r\n", BOUNDARY, mark);
	if (report->envid[0] != '\0') {
		fprintf(out, "Original-Envelope-Id: ");
		put_xtext(out, report->envid);
		fputs("\r\n", out);
	}
	clock_date(report->arrival, date, sizeof(date));
	fprintf(out, "Reporting-MTA: dns; %s\r\n", report->hostname);
	if (report->from_mta[0] != '\0') {
		fprintf(out, "Received-From-MTA: dns; ");
		put_clean(out, report->from_mta);
		fputs("\r\n", out);
	}
	fprintf(out, "X-Postmaster-Queue-ID: %s\r\n",
	    queueid_print(report->about, id));
	fprintf(out, "Arrival-Date: %s\r\n", date);
	start = ftell(out);
	for (i = 0; i < report->count && ftell(out) - start <= ITEMS_MAX; i++)
		put_recipient_fields(out, report, &report->items[i]);
}

/* How much of the original goes back. */
static size_t
returned_length(const struct bounce_report *report, bool whole)
{
	size_t	 length;

	if (whole)
		return report->original_length;
	length = header_length(report->original, report->original_length,
	    NULL);
	return length > ORIGINAL_MAX ? ORIGINAL_MAX : length;
}

/*
 * Make the boundary's mark of the report's id; a hostile original may have
 * guessed it, and gets another one.
 */
static void
choose_mark(const struct bounce_report *report, size_t length, char *mark)
{
	char		 boundary[sizeof(BOUNDARY) + MARK_SIZE];
	char		 id[QUEUEID_LENGTH + 1];
	unsigned int	 count = 0;

	strlcpy(mark, queueid_print(report->id, id), MARK_SIZE);
	for (;;) {
		(void)snprintf(boundary, sizeof(boundary), "%s%s", BOUNDARY,
		    mark);
		if (memmem(report->original, length, boundary,
		    strlen(boundary)) == NULL)
			return;
		(void)snprintf(mark, MARK_SIZE, "%s.%u", id, ++count);
	}
}

/* One line of the original, in several if it is longer than mail may have. */
static void
put_line(FILE *out, const char *text, size_t length, bool in_header)
{
	size_t	 column = 0, i;

	for (i = 0; i < length; i++) {
		if (column == LINE_MAX_OCTETS) {
			fputs(in_header ? "\r\n " : "\r\n", out);
			column = in_header;
		}
		putc(text[i] == '\r' || text[i] == '\0' ? '?' : text[i], out);
		column++;
	}
	fputs("\r\n", out);
}

/* The original as text of mail, wherever it was cut. */
static void
put_lines(FILE *out, const char *text, size_t length)
{
	const char	*end = text + length, *stop, *next;
	bool		 in_header = true;

	for (; text < end; text = next) {
		stop = memchr(text, '\n', (size_t)(end - text));
		next = stop != NULL ? stop + 1 : end;
		if (stop == NULL)
			stop = end;
		if (stop > text && stop[-1] == '\r')
			stop--;
		if (stop == text)
			in_header = false;
		put_line(out, text, (size_t)(stop - text), in_header);
	}
}

static void
put_original(FILE *out, const struct bounce_report *report, const char *mark,
    size_t length, bool whole)
{
	bool	 is_8bit = has_8bit(report->original, length);

	fprintf(out, "\r\n--%s%s\r\nContent-Description: %s\r\n"
	    "Content-Type: %s\r\n", BOUNDARY, mark,
	    whole ? "undelivered message" : "undelivered message header",
	    whole ? "message/rfc822" : "text/rfc822-headers");
	if (is_8bit)
		fprintf(out, "Content-Transfer-Encoding: 8bit\r\n");
	fputs("\r\n", out);
	put_lines(out, report->original, length);
	fprintf(out, "\r\n--%s%s--\r\n", BOUNDARY, mark);
}

static char *
compose(const struct bounce_report *report, bool whole, size_t *length)
{
	char	 mark[MARK_SIZE], *text = NULL;
	size_t	 returned = returned_length(report, whole);
	FILE	*out;

	if ((out = open_memstream(&text, length)) == NULL)
		fatal("report");
	choose_mark(report, returned, mark);
	put_header(out, report, mark, has_8bit(report->original, returned));
	put_explanation(out, report, mark, whole);
	put_status(out, report, mark);
	put_original(out, report, mark, returned, whole);
	if (fclose(out) == EOF)
		fatal("report");
	return text;
}

/*
 * Compose the report; malloc(3)ed, of *length octets.  It is a small message:
 * an original with which it would not be is not returned whole.
 */
char *
bounce_compose(const struct bounce_report *report, size_t *length)
{
	bool	 whole = report->whole &&
		     report->original_length == report->original_size &&
		     report->original_length <= WHOLE_MAX;
	char	*text = compose(report, whole, length);

	if (!whole || *length <= WIRE_INLINE)
		return text;
	free(text);
	return compose(report, false, length);
}

/*
 * Does the header say that no human waits for word of a delay?  A list, a
 * bulk sender, or an answer made by a program.
 */
bool
bounce_is_automatic(const char *header, size_t length)
{
	static const char *const precedences[] = { "bulk", "list", "junk" };
	struct header_field	 field;
	char			 value[32];
	size_t			 i;

	if (header_find(header, length, "Auto-Submitted", &field) == 0) {
		(void)header_unfold(&field, value, sizeof(value));
		if (strncasecmp(value, "no", 2) != 0)
			return true;
	}
	if (header_find(header, length, "Precedence", &field) == -1)
		return false;
	(void)header_unfold(&field, value, sizeof(value));
	for (i = 0; i < sizeof(precedences) / sizeof(precedences[0]); i++)
		if (strcasecmp(value, precedences[i]) == 0)
			return true;
	return false;
}
