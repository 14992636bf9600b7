/*
 * Bounces and notices of delay as messages of our own: to whom they go, and
 * whether at all.  A null sender gets none; what would have been one goes to
 * the log and, if the configuration names it, to bounce-to.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "spoold.h"

#define ORIGINAL_READ	(32 * 1024)	/* of a body that is in a file */

/* Has the sender asked not to be told of this? */
static bool
is_wanted(const struct recipient *recipient, bool delay)
{
	if (recipient->notify == 0)
		return true;
	return (recipient->notify & (delay ? NOTIFY_DELAY : NOTIFY_FAILURE)) !=
	    0;
}

static bool
is_told(const struct ending *ending, bool delay)
{
	return (delay ? ending->warn : ending->kind == ENDING_FAILED) &&
	    is_wanted(ending->recipient, delay);
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
fill_item(struct bounce_item *item, const struct ending *ending, bool delay)
{
	const struct recipient	*recipient = ending->recipient;

	item->address = recipient->target[0] != '\0' &&
	    recipient->place != TARGET_MEMBER ? recipient->original :
	    recipient->address;
	item->orcpt = recipient->orcpt;
	item->status = ending->status;
	item->text = ending->text;
	item->smtp = recipient->route != NULL &&
	    recipient->route->kind == ROUTE_RELAY && !ending->expired;
	item->host = item->smtp ? ending->where : "";
	item->action = delay ? "delayed" : "failed";
	if (delay)
		item->until = recipient->message->arrival +
		    settings()->expire;
}

static struct message *
compose(struct message *about, const struct endings *endings, bool delay,
    enum message_kind kind, const char *to)
{
	struct bounce_report	 report = { .delay = delay };
	struct bounce_item	*items;
	const struct ending	*ending;
	struct message		*message = NULL;
	char			*original, *text;
	size_t			 count = 0, length;

	TAILQ_FOREACH(ending, endings, entry)
		count++;
	if ((items = calloc(count, sizeof(*items))) == NULL)
		fatal("report");
	TAILQ_FOREACH(ending, endings, entry)
		if (is_told(ending, delay))
			fill_item(&items[report.count++], ending, delay);
	original = read_original(about, &report.original_length);
	if (report.count == 0 || (delay &&
	    bounce_is_automatic(original, report.original_length)))
		goto out;
	report.id = lease_own();
	report.hostname = settings()->hostname;
	report.to = to;
	report.about = about->id;
	report.envid = about->envid;
	report.arrival = about->arrival;
	report.now = clock_now();
	report.items = items;
	report.original = original;
	report.whole = about->ret == RET_FULL && !delay && !about->in_file;
	text = bounce_compose(&report, &length);
	message = wrap(kind, report.id, to, text, length);
	log_begin(LOG_INFO, delay ? "delay-notice" : "bounce");
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
 * The report that the failed (or delayed) of these endings call for, all of
 * which have one sender; NULL if there is none.
 */
struct message *
notice_make(struct message *about, const struct endings *endings, bool delay)
{
	const char	*sender;

	sender = recipient_sender(TAILQ_FIRST(endings)->recipient);
	if (sender[0] != '\0')
		return compose(about, endings, delay, delay ? MESSAGE_NOTICE :
		    MESSAGE_BOUNCE, sender);
	if (delay)
		return NULL;
	log_double(about, endings);
	if (about->kind == MESSAGE_NOTICE || settings()->bounce_to[0] == '\0')
		return NULL;
	return compose(about, endings, false, MESSAGE_NOTICE,
	    settings()->bounce_to);
}
