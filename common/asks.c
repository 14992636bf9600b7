/*
 * Slots for questions: an id is a slot's number and how often it was used.
 */
#include <stdlib.h>
#include <string.h>

#include "asks.h"
#include "log.h"

#define FIRST	16
#define MOST	65535		/* a slot is the low half of an id */

static void
grow(struct asks *asks)
{
	uint32_t i, count = asks->count > 0 ? asks->count * 2 : FIRST;
	struct ask *slots;

	if (count > MOST)
		count = MOST;
	if (count == asks->count)
		fatalx("more than %d unanswered requests", MOST);
	slots = reallocarray(asks->slots, count, sizeof(*slots));
	if (slots == NULL)
		fatal("requests");
	for (i = asks->count; i < count; i++) {
		memset(&slots[i], 0, sizeof(slots[i]));
		slots[i].next_free = i + 1;
	}
	asks->slots = slots;
	asks->count = count;
}

uint32_t
asks_id(const struct asks *asks, const struct ask *ask)
{
	return (uint32_t)ask->generation << 16 |
	    ((uint32_t)(ask - asks->slots) + 1);
}

uint32_t
asks_add(struct asks *asks, uint32_t type, void *context)
{
	struct ask *ask;

	if (asks->free == asks->count)
		grow(asks);
	ask = &asks->slots[asks->free];
	asks->free = ask->next_free;
	ask->type = type;
	ask->context = context;
	ask->generation++;
	ask->state = ASK_SENT;
	return asks_id(asks, ask);
}

struct ask *
asks_find(struct asks *asks, uint32_t id)
{
	uint32_t slot = (id & 0xffff) - 1;

	if (slot >= asks->count || asks->slots[slot].state == ASK_FREE ||
	    asks->slots[slot].generation != id >> 16)
		return NULL;
	return &asks->slots[slot];
}

void
asks_remove(struct asks *asks, struct ask *ask)
{
	ask->state = ASK_FREE;
	ask->context = NULL;
	ask->next_free = asks->free;
	asks->free = (uint32_t)(ask - asks->slots);
}

void
asks_clear(struct asks *asks)
{
	free(asks->slots);
	memset(asks, 0, sizeof(*asks));
}
