/*
 * Bounces, notices of delay and reports of success as messages of our own: to
 * whom they go, and whether at all (RFC 3461 5 and 6).  A null sender gets
 * none; what would have been one goes to the log and, if the configuration
 * names it, to bounce-to.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "spoold.h"

#define ORIGINAL_READ	(32 * 1024)	/* of a body that is in a file */

/*
 * What befell it in the words of RFC 3464, or NULL if that is none of this
 * kind of report.  A next hop that took the DSN parameters reports itself; a
 * hop of LMTP is the mailbox.  A duplicate is in the hands of another
 * recipient of the message, which may yet fail.
 */
static const char *
action_of(const struct ending *ending, enum report_kind kind)
{
	if (kind == REPORT_FAILED)
		return ending->kind == ENDING_FAILED ? "failed" : NULL;
	if (kind == REPORT_DELAYED)
		return ending->warn ? "delayed" : NULL;
	switch (ending->kind) {
	case ENDING_DELIVERED:
		return "delivered";
	case ENDING_RELAYED:
		if (ending->dsn)
			return NULL;
		return limits_is_lmtp(ending->recipient->route->text) ?
		    "delivered" : "relayed";
	case ENDING_DUPLICATE:
		return "relayed";
	case ENDING_EXPANDED:
		return expansion_action(ending->expansion,
		    ending->recipient);
	default:
		return NULL;
	}
}

/* Does the sender want to be told?  Success is told only if asked for. */
static bool
is_wanted(const struct recipient *recipient, enum report_kind kind)
{
	static const uint32_t	 bits[] = {
		[REPORT_FAILED] = NOTIFY_FAILURE,
		[REPORT_DELAYED] = NOTIFY_DELAY,
		[REPORT_SUCCESS] = NOTIFY_SUCCESS
	};

	if (recipient->notify == 0)
		return kind != REPORT_SUCCESS;
	return (recipient->notify & NOTIFY_NEVER) == 0 &&
	    (recipient->notify & bits[kind]) != 0;
}

static bool
is_told(const struct ending *ending, enum report_kind kind)
{
	return is_wanted(ending->recipient, kind) &&
	    action_of(ending, kind) != NULL;
}

/* The original, or the start of it: its text, malloc(3)ed. */
static char *
read_original(struct message *message, size_t *length)
{
	const char	*body;
	char		*text;
	ssize_t		 n;
	int		 fd;

	if ((text = malloc(message->in_file ? ORIGINAL_READ :
	    message->size + 1)) == NULL)
		fatal("report");
	*length = 0;
	if (message->in_file) {
		if ((fd = message_open_body(message)) == -1)
			return text;
		if ((n = pread(fd, text, ORIGINAL_READ, 0)) > 0)
			*length = (size_t)n;
		close(fd);
	} else if ((body = message_body(message)) != NULL) {
		memcpy(text, body, message->size);
		*length = message->size;
	}
	return text;
}

/* A failure of which nobody is to be told by mail. */
static void
log_double(const struct message *message, const struct endings *endings)
{
	const struct ending	*ending;

	TAILQ_FOREACH(ending, endings, entry) {
		if (ending->kind != ENDING_FAILED)
			continue;
		log_begin(LOG_WARNING, "double-bounce");
		log_id("id", message->id);
		log_string("to", ending->recipient->address);
		log_string("status", ending->status);
		log_string("reply", ending->text);
		log_end();
	}
}

/* The message around a report; takes its text. */
static struct message *
wrap(enum message_kind kind, uint64_t id, const char *to, char *text,
    size_t length)
{
	struct message		*message = message_new(id);
	struct recipient	*recipient;

	message->arrival = clock_now();
	message->kind = kind;
	message->client.standing = STANDING_LOCAL;
	message->client.uid = getuid();
	message->body_type = BODY_8BITMIME;
	message->sender = strdup("");
	message->envid = strdup("");
	if (message->sender == NULL || message->envid == NULL)
		fatal("report");
	message->size = length;
	message_take_body(message, text);
	message->rows = 1;
	recipient = recipient_new(message, 1, to);
	recipient->notify = NOTIFY_NEVER;
	recipient->first_try = true;
	return message;
}

/* What the report says of one recipient. */
static void
fill_item(struct bounce_item *item, const struct ending *ending,
    enum report_kind kind)
{
	const struct recipient	*recipient = ending->recipient;
	const struct message	*message = recipient->message;

	item->address = recipient->target[0] != '\0' &&
	    recipient->place != TARGET_MEMBER ? recipient->original :
	    recipient->address;
	item->orcpt = recipient->orcpt;
	item->action = action_of(ending, kind);
	item->facts = (struct sentence_facts){
		.relayed = recipient->route != NULL &&
		    recipient->route->kind == ROUTE_RELAY,
		.replied = ending->replied, .expired = ending->expired,
		.given_up = recipient->give_up, .stage = ending->stage,
		.status = ending->status,
		.text = recipient->give_up && !ending->attempted ? "" :
		    ending->text,
		.host = ending->where, .address = recipient->address,
		.waited = clock_now() - message->arrival
	};
	if (!item->facts.relayed)
		item->facts.host = "";
	if (kind == REPORT_DELAYED)
		item->until = message->arrival + settings()->expire;
}

/* The server that sent a message, as it named itself. */
static const char *
sent_by(const struct message *message)
{
	return message->kind == MESSAGE_MAIL &&
	    message->client.standing != STANDING_LOCAL ?
	    message->client.helo : "";
}

static void
fill_report(struct bounce_report *report, struct bounce_item *items,
    const struct message *about, const struct endings *endings)
{
	const struct ending	*ending;

	TAILQ_FOREACH(ending, endings, entry)
		if (is_told(ending, report->kind))
			fill_item(&items[report->count++], ending,
			    report->kind);
	report->items = items;
	report->hostname = settings()->hostname;
	report->about = about->id;
	/* The owner of a list has not sent what he is told of. */
	report->envid = TAILQ_FIRST(endings)->recipient->sender == NULL ?
	    about->envid : "";
	report->from_mta = sent_by(about);
	report->arrival = about->arrival;
	report->now = clock_now();
	report->original_size = about->size;
	report->whole = about->ret == RET_FULL &&
	    report->kind == REPORT_FAILED;
}

static struct message *
compose(struct message *about, const struct endings *endings,
    enum report_kind report_kind, enum message_kind kind, const char *to)
{
	static const char *const words[] = {
		[REPORT_FAILED] = "bounce", [REPORT_DELAYED] = "delay-notice",
		[REPORT_SUCCESS] = "report"
	};
	struct bounce_report	 report = { .kind = report_kind, .to = to };
	const struct ending	*ending;
	struct bounce_item	*items;
	struct message		*message = NULL;
	char			*original, *text;
	size_t			 count = 0, length;

	TAILQ_FOREACH(ending, endings, entry)
		count += is_told(ending, report_kind);
	if (count == 0)
		return NULL;
	if ((items = calloc(count, sizeof(*items))) == NULL)
		fatal("report");
	original = read_original(about, &report.original_length);
	if (report_kind == REPORT_DELAYED &&
	    bounce_is_automatic(original, report.original_length))
		goto out;
	report.id = lease_own();
	report.original = original;
	fill_report(&report, items, about, endings);
	text = bounce_compose(&report, &length);
	message = wrap(kind, report.id, to, text, length);
	log_begin(LOG_INFO, words[report_kind]);
	log_id("id", report.id);
	log_id("about", about->id);
	log_string("to", to);
	log_end();
out:
	free(original);
	free(items);
	return message;
}

/*
 * The report of that kind that these endings call for, all of which have one
 * sender; NULL if there is none.
 */
struct message *
notice_make(struct message *about, const struct endings *endings,
    enum report_kind kind)
{
	const char	*sender;

	sender = recipient_sender(TAILQ_FIRST(endings)->recipient);
	if (sender[0] != '\0')
		return compose(about, endings, kind, kind == REPORT_FAILED ?
		    MESSAGE_BOUNCE : MESSAGE_NOTICE, sender);
	if (kind != REPORT_FAILED)
		return NULL;
	log_double(about, endings);
	if (about->kind == MESSAGE_NOTICE || settings()->bounce_to[0] == '\0')
		return NULL;
	return compose(about, endings, REPORT_FAILED, MESSAGE_NOTICE,
	    settings()->bounce_to);
}
