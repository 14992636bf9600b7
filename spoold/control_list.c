/*
 * The queue as the operator sees it: pages by key, and the figures.  Reads
 * only; no statement is open when it returns.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "spoold.h"

#define PAGE_MESSAGES	200
#define SCAN_MAX	1000		/* messages looked at for a page */
#define RECIPIENTS_MAX	100		/* shown of one message in a list */
#define TAIL_MAX	(192 * 1024)	/* a page ends beyond this */

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

	shown->next = state == CTL_DEFERRED ? queue_next_of_row(sql) : 0;
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
	struct w_ctl_message	*shown;
	size_t			 start = tail->length;
	uint32_t		 state, count = 0, states = 0;
	int			 result;

	(void)tail_add(tail, sizeof(*shown));
	for (result = db_ask(SQL_RECIPIENT_OF, "iui", (int64_t)message->id,
	    0U, INT64_MAX); result == 1; result = db_next(SQL_RECIPIENT_OF)) {
		state = filter_state_of_row(message->id);
		if (!filter_wants_row(filter, state))
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

/* One page behind an id.  Who may not see a message finds it by no address. */
void
list_page(struct client *client, const struct w_ctl_list_req *question)
{
	const struct w_ctl_filter *filter = &question->filter;
	struct w_ctl_list_ans	 answer = { .next = 0 };
	struct tail		 tail = { NULL, 0, 0 };
	struct message		*message;
	uint64_t		 last = question->after;
	uint32_t		 looked = 0;
	int64_t			 now = clock_now();
	bool			 private = filter_is_private(filter), visible;
	int			 result;

	for (result = db_ask(SQL_MESSAGE_PAGE, "ii", (int64_t)last,
	    (int64_t)SCAN_MAX); result == 1 &&
	    answer.count < PAGE_MESSAGES && tail.length < TAIL_MAX / 2;
	    result = db_next(SQL_MESSAGE_PAGE)) {
		looked++;
		last = (uint64_t)db_integer(SQL_MESSAGE_PAGE, 0);
		if ((message = store_message(SQL_MESSAGE_PAGE)) == NULL)
			continue;
		visible = client_owns(client, message);
		if ((visible || !private) &&
		    filter_wants_message(filter, message, now) &&
		    add_message(&tail, message, filter, visible))
			answer.count++;
		message_free(message);
	}
	db_end(SQL_MESSAGE_PAGE);
	if (result == 1 || looked == SCAN_MAX)
		answer.next = last;
	answer.messages = (uint64_t)ledger_totals()->messages;
	answer.octets = (uint64_t)ledger_totals()->octets;
	client_answer(client, IMSG_CTL_LIST_ANS, &answer, tail.octets,
	    tail.length);
	free(tail.octets);
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
	const struct totals	*totals = ledger_totals();
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
