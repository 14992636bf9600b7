/*
 * Requests that wait for credit: a list, looked through from its start.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "waiting.h"
#include "wire.h"

void
waiting_add(struct waitings *waitings, uint32_t type, uint32_t id,
    const void *payload, const void *tail, size_t tail_length, int fd)
{
	size_t size = wire_row(type)->size;
	struct waiting *w;

	if ((w = malloc(sizeof(*w) + size + tail_length)) == NULL)
		fatal("a waiting request");
	w->type = type;
	w->id = id;
	w->fd = fd;
	w->length = size + tail_length;
	memcpy(w->contents, payload, size);
	if (tail_length > 0)
		memcpy(w->contents + size, tail, tail_length);
	TAILQ_INSERT_TAIL(waitings, w, entry);
}

static struct waiting *
find(const struct waitings *waitings, uint32_t type)
{
	struct waiting *w;

	TAILQ_FOREACH(w, waitings, entry)
		if (w->type == type)
			return w;
	return NULL;
}

struct waiting *
waiting_take(struct waitings *waitings, uint32_t type)
{
	struct waiting *w = find(waitings, type);

	if (w != NULL)
		TAILQ_REMOVE(waitings, w, entry);
	return w;
}

bool
waiting_has(const struct waitings *waitings, uint32_t type)
{
	return find(waitings, type) != NULL;
}

static void
drop(struct waitings *waitings, struct waiting *w)
{
	TAILQ_REMOVE(waitings, w, entry);
	if (w->fd != -1)
		close(w->fd);
	free(w);
}

void
waiting_drop(struct waitings *waitings, uint32_t id)
{
	struct waiting *w;

	TAILQ_FOREACH(w, waitings, entry)
		if (w->id == id)
			break;
	drop(waitings, w);
}

void
waiting_clear(struct waitings *waitings)
{
	struct waiting *w;

	while ((w = TAILQ_FIRST(waitings)) != NULL)
		drop(waitings, w);
}
