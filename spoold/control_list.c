/*
 * The queue as the operator sees it: pages by key, one message in full, and
 * the figures.  Reads only; no statement is open when it returns.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clock.h"
#include "log.h"
#include "queueid.h"
#include "spoold.h"

#define PAGE_MESSAGES	200
#define SCAN_MAX	1000		/* messages looked at for a page */
#define RECIPIENTS_MAX	100		/* shown of one message in a list */
#define TAIL_MAX	(192 * 1024)	/* a page ends beyond this */
#define SHOW_MAX	(250 * 1024)

/* A growing tail. */
struct tail {
	char	*octets;
	size_t	 length;
	size_t	 size;
};

static void *
tail_add(struct tail *tail, size_t length)
{
	char	*octets;

	if (tail->length + length > tail->size) {
		tail->size = (tail->length + length) * 2;
		if ((octets = realloc(tail->octets, tail->size)) == NULL)
			fatal("list");
		tail->octets = octets;
	}
	octets = tail->octets + tail->length;
	memset(octets, 0, length);
	tail->length += length;
	return octets;
}

/* An address equals the wanted one, or is in the wanted @domain. */
bool
list_matches(const char *wanted, const char *address)
{
	const char	*at;

	if (wanted[0] == '\0')
		return true;
	if (wanted[0] != '@')
		return strcasecmp(wanted, address) == 0;
	at = strrchr(address, '@');
	return at != NULL && strcasecmp(wanted, at) == 0;
}

/* The state to be shown of the row that a statement stands at, 0 for none. */
static uint32_t
shown_state(enum sql sql, const struct message *in_work)
{
	const struct recipient	*recipient;
	uint32_t		 row = (uint32_t)db_integer(sql, 1);
	int64_t			 stored = db_integer(sql, 2);

	if (stored == STORED_HELD)
		return CTL_HELD;
	if (stored != STORED_NEW && stored != STORED_DEFERRED)
		return 0;
	if (in_work != NULL)
		TAILQ_FOREACH(recipient, &in_work->recipients, of_message)
			if (recipient->row == row)
				return CTL_ACTIVE;
	return CTL_DEFERRED;
}

/* Copy as much of a text column as fits. */
static void
take(enum sql sql, int column, char *text, size_t size)
{
	(void)strlcpy(text, db_text(sql, column), size);
}

static void
add_recipient(struct tail *tail, enum sql sql, uint32_t state, bool visible)
{
	struct w_ctl_recipient	*shown = tail_add(tail, sizeof(*shown));

	shown->next = state == CTL_DEFERRED ? db_integer(sql, 3) : 0;
	shown->row = (uint32_t)db_integer(sql, 1);
	shown->attempts = (uint32_t)db_integer(sql, 4);
	shown->state = state;
	if (!visible)
		return;
	take(sql, db_text(sql, 13)[0] != '\0' ? 13 : 12, shown->address,
	    sizeof(shown->address));
	take(sql, 21, shown->reason, sizeof(shown->reason));
}

/*
 * Add a message with those of its recipients that match.  Returns false if
 * none does.
 */
static bool
add_message(struct tail *tail, const struct message *message,
    const struct w_ctl_filter *filter, bool visible)
{
	const struct message	*in_work = queue_find(message->id);
	struct w_ctl_message	*shown;
	size_t			 start = tail->length;
	uint32_t		 state, count = 0, states = 0;
	int			 result;

	(void)tail_add(tail, sizeof(*shown));
	for (result = db_ask(SQL_RECIPIENT_OF, "iui", (int64_t)message->id,
	    0U, INT64_MAX); result == 1; result = db_next(SQL_RECIPIENT_OF)) {
		state = shown_state(SQL_RECIPIENT_OF, in_work);
		if (state == 0 || (filter->states != 0 &&
		    (filter->states & state) == 0) ||
		    !list_matches(filter->recipient,
		    db_text(SQL_RECIPIENT_OF, 12)))
			continue;
		states |= state;
		if (count == RECIPIENTS_MAX)
			continue;
		add_recipient(tail, SQL_RECIPIENT_OF, state, visible);
		count++;
	}
	db_end(SQL_RECIPIENT_OF);
	if (count == 0) {
		tail->length = start;
		return false;
	}
	shown = (struct w_ctl_message *)(void *)(tail->octets + start);
	shown->id = message->id;
	shown->arrival = message->arrival;
	shown->size = message->size;
	shown->recipients = count;
	shown->visible = visible;
	shown->held = (states & CTL_HELD) != 0;
	shown->active = (states & CTL_ACTIVE) != 0;
	if (visible)
		(void)strlcpy(shown->sender, message->sender,
		    sizeof(shown->sender));
	return true;
}

/* One page behind an id. */
void
list_page(struct client *client, const struct w_ctl_list_req *question)
{
	struct w_ctl_list_ans	 answer = { .next = 0 };
	struct tail		 tail = { NULL, 0, 0 };
	struct message		*message;
	uint64_t		 last = question->after;
	uint32_t		 looked = 0;
	bool			 filtered, visible;
	int			 result;

	filtered = question->filter.sender[0] != '\0' ||
	    question->filter.recipient[0] != '\0';
	for (result = db_ask(SQL_MESSAGE_PAGE, "ii", (int64_t)last,
	    (int64_t)SCAN_MAX); result == 1 &&
	    answer.count < PAGE_MESSAGES && tail.length < TAIL_MAX / 2;
	    result = db_next(SQL_MESSAGE_PAGE)) {
		looked++;
		last = (uint64_t)db_integer(SQL_MESSAGE_PAGE, 0);
		if ((message = store_message(SQL_MESSAGE_PAGE)) == NULL)
			continue;
		visible = client_owns(client, message);
		if ((visible || !filtered) &&
		    list_matches(question->filter.sender, message->sender) &&
		    add_message(&tail, message, &question->filter, visible))
			answer.count++;
		message_free(message);
	}
	db_end(SQL_MESSAGE_PAGE);
	if (result == 1 || looked == SCAN_MAX)
		answer.next = last;
	answer.messages = (uint64_t)store_totals()->messages;
	answer.octets = (uint64_t)store_totals()->octets;
	client_answer(client, IMSG_CTL_LIST_ANS, &answer, tail.octets,
	    tail.length);
	free(tail.octets);
}

/* ---- one message ---- */

static const char *
state_name(int64_t stored, bool in_work)
{
	static const char *const names[] = {
		[STORED_NEW] = "new", [STORED_DEFERRED] = "deferred",
		[STORED_HELD] = "held", [STORED_DONE] = "done",
		[STORED_EXPANDED] = "expanded", [STORED_MARKED] = "removed"
	};

	if (in_work && stored <= STORED_DEFERRED)
		return "active";
	return stored >= 0 && stored <= STORED_MARKED ? names[stored] : "?";
}

static void
put_time(FILE *out, const char *name, int64_t when)
{
	char	 date[32];

	clock_date(when, date, sizeof(date));
	fprintf(out, "%s: %s\n", name, date);
}

static void
put_row(FILE *out, uint64_t id)
{
	enum sql	 sql = SQL_RECIPIENT_OF;
	uint32_t	 row = (uint32_t)db_integer(sql, 1);
	bool		 in_work = queue_find_recipient(id, row) != NULL;
	int64_t		 stored = db_integer(sql, 2);

	fprintf(out, "\nrecipient: %u\naddress: %s\n", row, db_text(sql, 12));
	if (db_text(sql, 13)[0] != '\0')
		fprintf(out, "target: %s\n", db_text(sql, 13));
	if (db_integer(sql, 10) != 0)
		fprintf(out, "expanded-from: %lld\n",
		    (long long)db_integer(sql, 10));
	if (strcmp(db_text(sql, 14), db_text(sql, 12)) != 0)
		fprintf(out, "original: %s\n", db_text(sql, 14));
	fprintf(out, "state: %s\nattempts: %lld\n",
	    state_name(stored, in_work), (long long)db_integer(sql, 4));
	if (!db_is_null(sql, 18))
		fprintf(out, "waits-for: %s\n", db_text(sql, 18));
	if (!db_is_null(sql, 22))
		put_time(out, "tried", db_integer(sql, 22));
	if (stored == STORED_DEFERRED && !in_work)
		put_time(out, "next", db_integer(sql, 3));
	if (!db_is_null(sql, 20))
		fprintf(out, "status: %s\nreply: %s\n", db_text(sql, 20),
		    db_text(sql, 21));
}

static void
put_message(FILE *out, const struct message *message)
{
	const struct w_client	*client = &message->client;
	char			 id[QUEUEID_LENGTH + 1];
	int			 result;

	fprintf(out, "id: %s\nsender: <%s>\nsize: %llu\n",
	    queueid_print(message->id, id), message->sender,
	    (unsigned long long)message->size);
	put_time(out, "arrival", message->arrival);
	if (client->standing == STANDING_LOCAL)
		fprintf(out, "submitted-by: uid %u\n", client->uid);
	else
		fprintf(out, "listener: %s\nhelo: %s\n", client->listener,
		    client->helo);
	if (message->envid[0] != '\0')
		fprintf(out, "envid: %s\n", message->envid);
	for (result = db_ask(SQL_RECIPIENT_OF, "iui", (int64_t)message->id,
	    0U, INT64_MAX); result == 1 && ftell(out) < SHOW_MAX;
	    result = db_next(SQL_RECIPIENT_OF))
		put_row(out, message->id);
	db_end(SQL_RECIPIENT_OF);
}

/* All that is known of one message. */
void
list_show(struct client *client, uint64_t id)
{
	struct w_ctl_show_ans	 answer = { .id = id };
	struct message		*message = store_load_message(id);
	char			*text = NULL;
	size_t			 length = 0;
	FILE			*out;

	if ((out = open_memstream(&text, &length)) == NULL)
		fatal("show");
	if (message != NULL && client_owns(client, message)) {
		answer.found = 1;
		put_message(out, message);
	}
	if (fclose(out) == EOF)
		fatal("show");
	client_answer(client, IMSG_CTL_SHOW_ANS, &answer, text,
	    length < SHOW_MAX ? length : SHOW_MAX);
	message_free(message);
	free(text);
}

/* ---- figures ---- */

static int64_t
count_damaged(void)
{
	int64_t	 count = 0;

	if (db_ask(SQL_DAMAGED_COUNT, "") == 1)
		count = db_integer(SQL_DAMAGED_COUNT, 0);
	db_end(SQL_DAMAGED_COUNT);
	return count;
}

static void
put_history(FILE *out)
{
	if (db_ask(SQL_SPOOL_GET, "") == 1 &&
	    db_text(SQL_SPOOL_GET, 7)[0] != '\0')
		fprintf(out, "history=%s\n", db_text(SQL_SPOOL_GET, 7));
	db_end(SQL_SPOOL_GET);
}

void
list_status(struct client *client)
{
	struct w_ctl_status_ans	 answer = { .verdict = CTL_OK };
	const struct totals	*totals = store_totals();
	const char		*why;
	char			*text = NULL;
	size_t			 length = 0;
	FILE			*out;

	if ((out = open_memstream(&text, &length)) == NULL)
		fatal("status");
	fprintf(out, "messages=%lld\noctets=%lld\ndeferred=%lld\nheld=%lld\n",
	    (long long)totals->messages, (long long)totals->octets,
	    (long long)totals->deferred, (long long)totals->held);
	fprintf(out, "active=%zu\nwindow=%lld\nworkers=%zu\nclosed-hops=%zu\n",
	    queue_size(), (long long)settings()->window, user_count(),
	    lane_count_closed(clock_now()));
	fprintf(out, "paused=%s\ntakes-mail=%s\n",
	    queue_is_paused() ? "yes" : "no",
	    reserve_takes_mail(&why) ? "yes" : "no");
	if (!reserve_takes_mail(&why))
		fprintf(out, "reason=%s\n", why);
	fprintf(out, "damaged=%lld\nlog-octets=%lld\n",
	    (long long)count_damaged(), (long long)db_wal_size());
	put_history(out);
	if (fclose(out) == EOF)
		fatal("status");
	client_answer(client, IMSG_CTL_STATUS_ANS, &answer, text, length);
	free(text);
}
