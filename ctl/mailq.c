/*
 * mailq: the queue as administrators know it, a page at a time, so that a
 * long one begins to show at once and is never held in memory.
 */

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "clock.h"
#include "ctl.h"
#include "queueid.h"

#define FORMAT_HEAD	"%-17s %8s %-19s %s\n"
#define FORMAT_MESSAGE	"%-17s %8" PRIu64 " %19.19s "
#define REASON_COLUMN	76
#define RECIPIENT_COLUMN 47
#define PATIENCE	(15 * SECOND)	/* of spoold with a connection */

/* Print the reason as far to the right as it fits. */
static void
print_reason(const char *reason)
{
	int	padding = REASON_COLUMN - (int)strlen(reason);

	printf("%*s(", padding > 0 ? padding : 0, "");
	record_text(stdout, reason);
	fputs(")\n", stdout);
}

/* When a recipient is tried again, for people. */
static void
print_next(const struct w_ctl_recipient *recipient)
{
	printf("%*s", RECIPIENT_COLUMN + 2, "");
	if (recipient->state == CTL_HELD)
		fputs("held", stdout);
	else if (recipient->state == CTL_ACTIVE)
		fputs("in work now", stdout);
	else {
		fputs("next ", stdout);
		record_time(stdout, recipient->next, clock_now());
	}
	printf(", %" PRIu32 " attempt%s\n", recipient->attempts,
	    recipient->attempts == 1 ? "" : "s");
}

/* As mailq has it everywhere, and if that is wanted, with more. */
static void
show_plain(const struct w_ctl_message *message,
    const struct w_ctl_recipient *recipients, bool first, void *style)
{
	char		 id[QUEUEID_LENGTH + 2], date[32];
	const char	*reason = "";
	time_t		 arrival = message->arrival / SECOND;

	if (first)
		printf(FORMAT_HEAD, "----Queue ID-----", "--Size--",
		    "---Arrival Time----", "--Sender/Recipient------");
	queueid_print(message->id, id);
	id[QUEUEID_LENGTH] = message->held ? '!' : message->active ? '*' :
	    '\0';
	id[QUEUEID_LENGTH + 1] = '\0';
	printf(FORMAT_MESSAGE, id, message->size,
	    ctime_r(&arrival, date) != NULL ? date : "-");
	/* Addresses of others' mail are not for everybody. */
	if (!message->visible) {
		fputs("-\n\n", stdout);
		return;
	}
	record_text(stdout, message->sender[0] != '\0' ? message->sender :
	    "MAILER-DAEMON");
	putchar('\n');
	for (uint32_t i = 0; i < message->recipients; i++) {
		if (strcmp(recipients[i].reason, reason) != 0 &&
		    recipients[i].reason[0] != '\0')
			print_reason(recipients[i].reason);
		reason = recipients[i].reason;
		printf("%*s", RECIPIENT_COLUMN, "");
		record_text(stdout, recipients[i].address);
		putchar('\n');
		if (*(enum list_style *)style == LIST_LONG)
			print_next(&recipients[i]);
	}
	putchar('\n');
}

/* Seconds since 1970 of a time on the wire; 0 stays 0. */
static void
json_time(const char *name, int64_t microseconds)
{
	printf(", \"%s\": %" PRId64, name, microseconds / SECOND);
}

static void
show_json(const struct w_ctl_message *message,
    const struct w_ctl_recipient *recipients, bool first, void *style)
{
	static const char *const states[] = {
		[CTL_DEFERRED] = "deferred", [CTL_ACTIVE] = "active",
		[CTL_HELD] = "held"
	};
	char			 id[QUEUEID_LENGTH + 1];
	uint32_t		 state;

	(void)first;
	(void)style;
	printf("{\"queue_name\": \"%s\", \"queue_id\": \"%s\"",
	    message->held ? "hold" : message->active ? "active" : "deferred",
	    queueid_print(message->id, id));
	json_time("arrival_time", message->arrival);
	printf(", \"message_size\": %" PRIu64, message->size);
	if (message->visible) {
		fputs(", \"sender\": ", stdout);
		json_string(stdout, message->sender);
		fputs(", \"recipients\": [", stdout);
		for (uint32_t i = 0; i < message->recipients; i++) {
			printf("%s{\"address\": ", i > 0 ? ", " : "");
			json_string(stdout, recipients[i].address);
			if (recipients[i].reason[0] != '\0') {
				fputs(", \"delay_reason\": ", stdout);
				json_string(stdout, recipients[i].reason);
			}
			state = recipients[i].state;
			printf(", \"state\": \"%s\"", state <= CTL_HELD &&
			    states[state] != NULL ? states[state] : "?");
			printf(", \"attempts\": %" PRIu32,
			    recipients[i].attempts);
			json_time("next_attempt", recipients[i].next);
			putchar('}');
		}
		putchar(']');
	}
	fputs("}\n", stdout);
}

#define ENDS(array)	(memchr(array, '\0', sizeof(array)) != NULL)

/* Does every text of a message, and of its recipients, come to its end? */
static bool
is_readable(const struct w_ctl_message *message)
{
	const struct w_ctl_recipient	*recipients;

	recipients = (const void *)(message + 1);
	for (uint32_t i = 0; i < message->recipients; i++)
		if (!ENDS(recipients[i].address) ||
		    !ENDS(recipients[i].reason))
			return false;
	return ENDS(message->sender);
}

/* Show the messages in a page.  Returns -1 if it is malformed. */
static int
show_page(const struct frame *frame, uint32_t count, list_fn show, bool first,
    void *arg)
{
	const struct w_ctl_message	*message;
	const char			*at = frame->tail;
	size_t				 left = frame->tail_length, need;

	for (; count > 0; count--, first = false) {
		message = (const void *)at;
		if (left < sizeof(*message))
			return -1;
		need = sizeof(struct w_ctl_recipient);
		if (message->recipients > (left - sizeof(*message)) / need)
			return -1;
		need = sizeof(*message) + need * message->recipients;
		if (!is_readable(message))
			return -1;
		show(message, (const void *)(at + sizeof(*message)), first,
		    arg);
		at += need;
		left -= need;
	}
	return 0;
}

/* The last line: the whole queue, whatever was listed. */
static void
print_total(uint64_t messages, uint64_t octets)
{
	uint64_t	kbytes = octets / 1024 + (octets % 1024 != 0);

	if (messages == 0)
		printf("Mail queue is empty\n");
	else
		printf("-- %" PRIu64 " Kbytes in %" PRIu64 " Request%s.\n",
		    kbytes, messages, messages == 1 ? "" : "s");
}

/*
 * Ask for a page.  spoold ends connections that lie idle; where our reader
 * took its time over the last page, there is a new one.
 */
static int
ask_page(const struct place *place, struct control *control, int64_t *asked,
    const struct w_ctl_list_req *ask, struct frame *frame)
{
	int	code;

	if (clock_monotonic() - *asked > PATIENCE) {
		control_close(control);
		if ((code = control_open(place, control)) != EX_OK)
			return code;
	}
	*asked = clock_monotonic();
	return ask_ctl_list(control, ask, frame);
}

/* Page by page; *last is the last of them. */
int
list_each(const struct place *place, const struct w_ctl_filter *filter,
    list_fn show, void *arg, struct w_ctl_list_ans *last)
{
	struct w_ctl_list_req	 ask;
	struct control		 control;
	struct frame		 frame;
	int64_t			 asked = clock_monotonic();
	bool			 first = true;
	int			 code;

	memset(last, 0, sizeof(*last));
	memset(&ask, 0, sizeof(ask));
	if (filter != NULL)
		ask.filter = *filter;
	if ((code = control_open(place, &control)) != EX_OK)
		return code;
	do {
		code = ask_page(place, &control, &asked, &ask, &frame);
		if (code != EX_OK)
			break;
		*last = *(const struct w_ctl_list_ans *)frame.payload;
		if (show_page(&frame, last->count, show, first, arg) == -1) {
			warnx("malformed answer");
			code = EX_PROTOCOL;
			break;
		}
		first = first && last->count == 0;
		/* A reader that has gone wants no more: that is no error. */
		if (fflush(stdout) == EOF)
			break;
	} while ((ask.after = last->next) != 0);
	control_close(&control);
	return code;
}

int
mailq_list(const struct place *place, const struct w_ctl_filter *filter,
    enum list_style style)
{
	struct w_ctl_list_ans	last;
	int			code;

	code = list_each(place, filter, style == LIST_JSON ? show_json :
	    show_plain, &style, &last);
	if (code == EX_OK && style != LIST_JSON && !ferror(stdout))
		print_total(last.messages, last.octets);
	return code;
}

int
mailq_count(const struct place *place)
{
	struct w_ctl_list_req		 ask;
	const struct w_ctl_list_ans	*page;
	struct control			 control;
	struct frame			 frame;
	int				 code;

	memset(&ask, 0, sizeof(ask));
	if ((code = control_open(place, &control)) != EX_OK)
		return code;
	code = ask_ctl_list(&control, &ask, &frame);
	if (code == EX_OK) {
		page = frame.payload;
		printf("%" PRIu64 "\n", page->messages);
	}
	control_close(&control);
	return code;
}

int
mailq_main(int argc, char **argv)
{
	struct options	options;
	struct place	place;

	options_take(argc, argv, &options);
	place_find(options.configuration, &place);
	if (options.mode == MODE_QUEUE_RUN)
		return runq_run(&place, &options, argv + argc);
	return mailq_list(&place, NULL, options.json ? LIST_JSON : LIST_MAILQ);
}
