/*
 * The window: the messages and recipients that are in work.
 *
 * A fresh message enters straight from its commit; all else is fetched from
 * the database when it is due, see fetch.c.
 */
#include <stdlib.h>

#include "clock.h"
#include "loop.h"
#include "spoold.h"

static int
compare(struct message *a, struct message *b)
{
	return a->id < b->id ? -1 : a->id > b->id;
}

RB_HEAD(by_id, message);
RB_HEAD(by_fresh, message);
RB_GENERATE_STATIC(by_id, message, by_id, compare)
RB_GENERATE_STATIC(by_fresh, message, by_fresh, compare)

static struct {
	struct by_id	 messages;
	struct by_fresh	 fresh;
	size_t		 count;		/* recipients in the window */
	size_t		 reserved;	/* for messages being committed */
	bool		 paused;
	bool		 awake;		/* look for work at the turn's end */
} queue = {
	.messages = RB_INITIALIZER(&queue.messages),
	.fresh = RB_INITIALIZER(&queue.fresh)
};

size_t
queue_size(void)
{
	return queue.count;
}

/* Look for work at the end of this turn. */
void
queue_wake(void)
{
	queue.awake = true;
}

bool
queue_is_paused(void)
{
	return queue.paused;
}

void
queue_pause(bool paused)
{
	queue.paused = paused;
	queue_wake();
}

/* May an attempt begin now? */
bool
queue_may_try(void)
{
	return !queue.paused && !batch_stalled();
}

static size_t
room(void)
{
	size_t	 window = (size_t)settings()->window;
	size_t	 used = queue.count + queue.reserved;

	return used < window ? window - used : 0;
}

bool
queue_has_room(void)
{
	return room() > 0;
}

/*
 * Keep room for a message that is being committed.  Returns false if there
 * is none: it is then stored as due, and fetched like any other.
 */
bool
queue_reserve(uint32_t count)
{
	if (count > room() && count > 0)
		return false;
	queue.reserved += count;
	return true;
}

void
queue_unreserve(uint32_t count)
{
	queue.reserved -= count;
}

/* The mark below which no row is stored as new. */
void
queue_update_low(void)
{
	struct message	*first = RB_MIN(by_fresh, &queue.fresh);
	uint64_t	 low = first != NULL ? first->id : ledger_high() + 1;

	if (fetch_low() < low)
		low = fetch_low();
	ledger_set_low(low);
}

void
queue_add(struct message *message)
{
	if (message->known)
		return;
	message->known = true;
	RB_INSERT(by_id, &queue.messages, message);
	if (message->fresh) {
		RB_INSERT(by_fresh, &queue.fresh, message);
		queue_update_low();
	}
}

/* Its message has rows that are stored as new. */
void
queue_add_fresh(struct message *message)
{
	if (message->fresh)
		return;
	message->fresh = true;
	RB_INSERT(by_fresh, &queue.fresh, message);
}

/*
 * It is about to be committed.  If as new, the mark must not pass it, and its
 * routes are asked for; if as due, its rows are not taken before it is on disk.
 */
void
queue_expect(struct message *message)
{
	struct recipient	*recipient;

	queue_add(message);
	if (!message->fresh || batch_is_long())
		return;
	TAILQ_FOREACH(recipient, &message->recipients, of_message)
		if (!recipient->refused)
			attempt_begin(recipient);
}

/* Out of the trees: it ends, or was not committed. */
void
queue_forget(struct message *message)
{
	struct recipient	*recipient;

	if (!message->known)
		return;
	TAILQ_FOREACH(recipient, &message->recipients, of_message)
		if (recipient->state != RECIPIENT_OUTSIDE)
			attempt_withdraw(recipient);
	message->known = false;
	RB_REMOVE(by_id, &queue.messages, message);
	if (message->fresh) {
		RB_REMOVE(by_fresh, &queue.fresh, message);
		queue_update_low();
	}
}

struct message *
queue_find(uint64_t id)
{
	struct message	 key = { .id = id };

	return RB_FIND(by_id, &queue.messages, &key);
}

struct recipient *
queue_find_recipient(uint64_t id, uint32_t row)
{
	struct message		*message = queue_find(id);
	struct recipient	*recipient;

	if (message == NULL)
		return NULL;
	TAILQ_FOREACH(recipient, &message->recipients, of_message)
		if (recipient->row == row)
			return recipient;
	return NULL;
}

/* Begin with a recipient that is in its message's list. */
void
queue_take(struct recipient *recipient)
{
	queue.count++;
	careful_touch(recipient->message->id);
	if (recipient->refused)
		outcome_one(recipient, ENDING_FAILED, "5.1.1",
		    "the address was refused when it was submitted", "");
	else if (recipient->give_up)
		outcome_one(recipient, ENDING_FAILED, "5.0.0",
		    "given up by the operator", "");
	else if (recipient->state == RECIPIENT_OUTSIDE)
		attempt_begin(recipient);
	else if (recipient->state == RECIPIENT_ROUTED)
		attempt_dispatch(recipient);
}

/* It was committed as due: it is fetched like any other. */
static void
leave_to_fetch(struct message *message)
{
	queue_due_at(TAILQ_FIRST(&message->recipients)->next);
	queue_wake();
	queue_forget(message);
	message_free(message);
}

/* A message that was committed, with all its recipients. */
void
queue_enter(struct message *message)
{
	struct recipient	*recipient, *next;

	message->committed = true;
	if (!message->fresh) {
		leave_to_fetch(message);
		return;
	}
	queue_add(message);
	message->pins++;
	TAILQ_FOREACH_SAFE(recipient, &message->recipients, of_message, next)
		queue_take(recipient);
	message->pins--;
	message_spare_body(message);
	queue_wake();
}

/* Its result is on disk, or it was withdrawn: out of the window with it. */
void
queue_leave(struct recipient *recipient)
{
	struct message	*message = recipient->message;

	queue.count--;
	TAILQ_REMOVE(&message->recipients, recipient, of_message);
	recipient_free(recipient);
	if (fetch_wants_room() ||
	    queue.count <= (size_t)settings()->window / 2)
		queue.awake = true;
	message_release(message);
}

/* The hook at a turn's end, behind the batch. */
static void
look_for_work(void *unused)
{
	(void)unused;
	if (!queue.awake)
		return;
	queue.awake = false;
	if (queue_may_try() && fetch_some(clock_now()))
		queue_wake();
	attempt_pump();
	user_pump();
	hop_pump();
	if (queue.awake)
		loop_again();
}

void
queue_start(void)
{
	fetch_start();
	loop_add_hook(LOOP_WORK, look_for_work, NULL);
	queue_wake();
}
