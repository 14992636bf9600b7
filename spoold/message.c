/*
 * Messages in memory.  A message lives while a recipient of it is in the
 * window or a work names it; its small body may go sooner.
 */
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "spoold.h"

#define BODIES_MAX	(64 * 1024 * 1024)	/* octets of bodies in memory */

static size_t	body_octets;

struct message *
message_new(uint64_t id)
{
	struct message	*message;

	if ((message = calloc(1, sizeof(*message))) == NULL)
		fatal("message");
	message->id = id;
	TAILQ_INIT(&message->recipients);
	TAILQ_INIT(&message->gathering);
	return message;
}

static void
message_drop_body(struct message *message)
{
	if (message->body == NULL)
		return;
	body_octets -= message->size;
	free(message->body);
	message->body = NULL;
}

void
message_free(struct message *message)
{
	struct recipient	*recipient;
	size_t			 i;

	if (message == NULL)
		return;
	while ((recipient = TAILQ_FIRST(&message->recipients)) != NULL) {
		TAILQ_REMOVE(&message->recipients, recipient, of_message);
		recipient_free(recipient);
	}
	message_drop_body(message);
	for (i = 0; i < message->final_count; i++)
		free(message->finals[i].text);
	free(message->finals);
	free(message->sender);
	free(message->envid);
	free(message);
}

/* Free it if nobody needs it any more. */
void
message_release(struct message *message)
{
	if (message->pins > 0 || !TAILQ_EMPTY(&message->recipients))
		return;
	queue_forget(message);
	message_free(message);
}

/* Take a small body; its octets count from here on. */
void
message_take_body(struct message *message, char *body)
{
	message->body = body;
	body_octets += message->size;
}

/*
 * A small body, from the database if it is not in memory; NULL if it cannot
 * be read.
 */
const char *
message_body(struct message *message)
{
	if (message->body == NULL && store_load_body(message) == -1)
		return NULL;
	return message->body;
}

/* Let go of a body that is on disk as well, if there are too many. */
void
message_spare_body(struct message *message)
{
	if (body_octets >= BODIES_MAX && message->committed)
		message_drop_body(message);
}

int
message_open_body(const struct message *message)
{
	return body_open(message->id);
}

static void
add_final(struct message *message, uint32_t row, const char *text)
{
	struct final	*finals;

	finals = reallocarray(message->finals, message->final_count + 1,
	    sizeof(*finals));
	if (finals == NULL)
		fatal("finals");
	message->finals = finals;
	finals[message->final_count].row = row;
	finals[message->final_count].text = strdup(text);
	if (finals[message->final_count++].text == NULL)
		fatal("finals");
}

/* Learn where the rows that have ended went. */
static void
load_finals(struct message *message)
{
	int	 result;

	message->finals_loaded = true;
	for (result = db_ask(SQL_RECIPIENT_FINALS, "i",
	    (int64_t)message->id); result == 1;
	    result = db_next(SQL_RECIPIENT_FINALS))
		add_final(message,
		    (uint32_t)db_integer(SQL_RECIPIENT_FINALS, 0),
		    db_text(SQL_RECIPIENT_FINALS, 1));
	db_end(SQL_RECIPIENT_FINALS);
}

/*
 * Note that this row is delivered to text.  Returns false if another row of
 * the message already is.
 */
bool
message_claim_final(struct message *message, uint32_t row, const char *text)
{
	size_t	 i;

	if (message->rows <= 1)
		return true;
	if (!message->finals_loaded)
		load_finals(message);
	for (i = 0; i < message->final_count; i++)
		if (strcmp(message->finals[i].text, text) == 0)
			return message->finals[i].row == row;
	message_forget_final(message, row);
	add_final(message, row, text);
	return true;
}

/* This row is not delivered there after all. */
void
message_forget_final(struct message *message, uint32_t row)
{
	size_t	 i;

	for (i = 0; i < message->final_count; i++) {
		if (message->finals[i].row != row)
			continue;
		free(message->finals[i].text);
		message->finals[i] = message->finals[--message->final_count];
		return;
	}
}
