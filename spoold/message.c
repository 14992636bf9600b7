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

	if (message == NULL)
		return;
	while ((recipient = TAILQ_FIRST(&message->recipients)) != NULL) {
		TAILQ_REMOVE(&message->recipients, recipient, of_message);
		recipient_free(recipient);
	}
	message_drop_body(message);
	message_free_finals(message);
	expansion_forget_known(message);
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
