/*
 * Where the rows of a message ended, or now go: two that would go to the same
 * mailbox, or to the same address at the same next hop, are one delivery.
 */
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "spoold.h"

struct final {
	RB_ENTRY(final)	 by_text;
	RB_ENTRY(final)	 by_row;
	uint32_t	 row;
	bool		 ended;		/* it is not only on its way */
	char		*text;
};

RB_HEAD(texts, final);
RB_HEAD(rows, final);

/* Trees: a list may have many thousand members. */
struct finals {
	struct texts	 texts;
	struct rows	 rows;
};

static int
compare_texts(const struct final *a, const struct final *b)
{
	return strcmp(a->text, b->text);
}

static int
compare_rows(const struct final *a, const struct final *b)
{
	return a->row < b->row ? -1 : a->row > b->row;
}

RB_GENERATE_STATIC(texts, final, by_text, compare_texts)
RB_GENERATE_STATIC(rows, final, by_row, compare_rows)

static struct final *
find_text(struct finals *finals, const char *text)
{
	struct final	 wanted = { .text = (char *)(uintptr_t)text };

	return RB_FIND(texts, &finals->texts, &wanted);
}

static struct final *
find_row(struct finals *finals, uint32_t row)
{
	struct final	 wanted = { .row = row };

	return RB_FIND(rows, &finals->rows, &wanted);
}

static void
remove_final(struct finals *finals, struct final *final)
{
	RB_REMOVE(texts, &finals->texts, final);
	RB_REMOVE(rows, &finals->rows, final);
	free(final->text);
	free(final);
}

/* Neither the row nor the text is there yet. */
static void
add_final(struct finals *finals, uint32_t row, const char *text, bool ended)
{
	struct final	*final;

	if ((final = calloc(1, sizeof(*final))) == NULL ||
	    (final->text = strdup(text)) == NULL)
		fatal("finals");
	final->row = row;
	final->ended = ended;
	RB_INSERT(texts, &finals->texts, final);
	RB_INSERT(rows, &finals->rows, final);
}

/* Learn where the rows that have ended went. */
static void
load_finals(struct message *message)
{
	enum sql	 sql = SQL_RECIPIENT_FINALS;
	struct finals	*finals;
	int		 result;

	if ((finals = calloc(1, sizeof(*finals))) == NULL)
		fatal("finals");
	message->finals = finals;
	RB_INIT(&finals->texts);
	RB_INIT(&finals->rows);
	for (result = db_ask(sql, "i", (int64_t)message->id); result == 1;
	    result = db_next(sql))
		if (find_text(finals, db_text(sql, 1)) == NULL)
			add_final(finals, (uint32_t)db_integer(sql, 0),
			    db_text(sql, 1), true);
	db_end(sql);
}

/* Note that this row goes to text, if no other row of the message does. */
enum claim
message_claim_final(struct message *message, uint32_t row, const char *text)
{
	const struct final	*final;

	if (message->rows <= 1)
		return CLAIM_OURS;
	if (message->finals == NULL)
		load_finals(message);
	if ((final = find_text(message->finals, text)) != NULL) {
		if (final->row == row)
			return CLAIM_OURS;
		return final->ended ? CLAIM_ENDED : CLAIM_AWAITED;
	}
	message_forget_final(message, row);
	add_final(message->finals, row, text, false);
	return CLAIM_OURS;
}

/* This row has come to where it went. */
void
message_keep_final(struct message *message, uint32_t row)
{
	struct final	*final;

	if (message->finals != NULL &&
	    (final = find_row(message->finals, row)) != NULL)
		final->ended = true;
}

/* This row is not delivered there after all. */
void
message_forget_final(struct message *message, uint32_t row)
{
	struct final	*final;

	if (message->finals != NULL &&
	    (final = find_row(message->finals, row)) != NULL)
		remove_final(message->finals, final);
}

/* Where this row goes; NULL if nowhere, or to where no other could. */
const char *
message_final(const struct message *message, uint32_t row)
{
	const struct final	*final = NULL;

	if (message->finals != NULL)
		final = find_row(message->finals, row);
	return final != NULL ? final->text : NULL;
}

void
message_free_finals(struct message *message)
{
	struct final	*final, *next;

	if (message->finals == NULL)
		return;
	RB_FOREACH_SAFE(final, rows, &message->finals->rows, next)
		remove_final(message->finals, final);
	free(message->finals);
	message->finals = NULL;
}
