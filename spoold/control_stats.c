/*
 * What waits, by the recipient's domain and the age of its message: a slice of
 * the queue a question, added up here; postctl adds up the slices.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "spoold.h"

#define ROWS		SQL_RECIPIENT_OF
#define MESSAGES_MAX	500		/* of a slice */
#define ROWS_MAX	5000		/* it ends beyond so many */
#define DOMAINS_MAX	800		/* of a slice; the rest is "*" */
#define SLOTS		2048		/* a power of two, and more */
#define FIRST_AGE	(5 * MINUTE)

struct slice {
	uint32_t	 count;
	uint32_t	 rows;
	uint16_t	 slots[SLOTS];	/* index of an age and 1, by domain */
	struct w_ctl_age ages[DOMAINS_MAX + 1];
};

/* The column of an age: they double from the first to the last. */
static size_t
column_of(int64_t age)
{
	int64_t	 limit = FIRST_AGE;
	size_t	 i;

	for (i = 0; i < WIRE_AGES - 1 && age >= limit; i++)
		limit *= 2;
	return i;
}

/* The row of the table for a domain, made if it is new. */
static struct w_ctl_age *
find_age(struct slice *slice, const char *address)
{
	const char		*at = strrchr(address, '@');
	char			 domain[WIRE_DOMAIN];
	struct w_ctl_age	*age;
	uint64_t		 slot;
	size_t			 i;

	(void)strlcpy(domain, at != NULL ? at + 1 : "", sizeof(domain));
	for (i = 0; domain[i] != '\0'; i++)
		domain[i] = (char)tolower((unsigned char)domain[i]);
	for (slot = checksum(0, domain, i); slice->slots[slot % SLOTS] != 0;
	    slot++) {
		age = &slice->ages[slice->slots[slot % SLOTS] - 1];
		if (strcmp(age->domain, domain) == 0)
			return age;
	}
	if (slice->count >= DOMAINS_MAX) {
		age = &slice->ages[DOMAINS_MAX];
		age->domain[0] = '*';
		slice->count = DOMAINS_MAX + 1;
		return age;
	}
	age = &slice->ages[slice->count++];
	memcpy(age->domain, domain, i + 1);
	slice->slots[slot % SLOTS] = (uint16_t)slice->count;
	return age;
}

/* Count the recipients of a message that wait. */
static void
add_message(struct slice *slice, const struct message *message, int64_t now)
{
	size_t	 column = column_of(now - message->arrival);
	int	 result;

	for (result = db_ask(ROWS, "iui", (int64_t)message->id, 0U,
	    INT64_MAX); result == 1; result = db_next(ROWS)) {
		slice->rows++;
		if (db_integer(ROWS, 2) <= STORED_HELD)
			find_age(slice, strchr(db_text(ROWS, 13), '@') !=
			    NULL ? db_text(ROWS, 13) : db_text(ROWS, 12))
			    ->counts[column]++;
	}
	db_end(ROWS);
}

/* One slice behind an id: of all messages, or of the client's own. */
void
stats_page(struct client *client, uint64_t after)
{
	static struct slice	 slice;
	struct w_ctl_stats_ans	 answer = { .verdict = CTL_OK };
	enum sql		 sql = client->is_operator ?
				     SQL_MESSAGE_PAGE : SQL_MESSAGE_OWNED;
	struct message		*message;
	int64_t			 now = clock_now();
	uint64_t		 last = after;
	uint32_t		 looked = 0;
	int			 result;

	memset(&slice, 0, sizeof(slice));
	result = client->is_operator ? db_ask(sql, "ii", (int64_t)after,
	    (int64_t)MESSAGES_MAX) : db_ask(sql, "uii", client->uid,
	    (int64_t)after, (int64_t)MESSAGES_MAX);
	for (; result == 1 && slice.rows < ROWS_MAX; result = db_next(sql)) {
		looked++;
		last = (uint64_t)db_integer(sql, 0);
		if ((message = store_message(sql)) == NULL)
			continue;
		/* A slice that is full enough ends before it. */
		if (slice.count > 0 &&
		    slice.count + message->rows > DOMAINS_MAX) {
			message_free(message);
			last--;
			break;
		}
		if (client_owns(client, message))
			add_message(&slice, message, now);
		message_free(message);
	}
	db_end(sql);
	if (result == -1)
		answer.verdict = CTL_ERROR;
	else if (result == 1 || looked == MESSAGES_MAX)
		answer.next = last;
	answer.count = slice.count;
	client_answer(client, IMSG_CTL_STATS_ANS, &answer, slice.ages,
	    slice.count * sizeof(slice.ages[0]));
}
