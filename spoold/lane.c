/*
 * Lanes: a next hop or a user's worker, with what waits for it.  A lane may
 * fill a quarter of the window; the rest of its mail stays in the database
 * until there is room, so that a slow or dead neighbour leaves the others
 * theirs.  What is closed until a time is remembered here, and only here.
 */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "spoold.h"

#define SHARE_LEAST	64	/* recipients, however small the window */

static int
compare(struct lane *a, struct lane *b)
{
	return strcmp(a->text, b->text);
}

RB_HEAD(lanes, lane);
RB_GENERATE_STATIC(lanes, lane, entry, compare)

static struct lanes	 lanes = RB_INITIALIZER(&lanes);
static size_t		 backlogs;

static uint32_t
share(void)
{
	int64_t	 quarter = settings()->window / 4;

	return quarter > SHARE_LEAST ? (uint32_t)quarter : SHARE_LEAST;
}

/* The lane of that name, NULL if nothing is known of it. */
struct lane *
lane_find(const char *text)
{
	struct lane	 key;

	key.text = __DECONST(char *, text);
	return RB_FIND(lanes, &lanes, &key);
}

struct lane *
lane_get(const char *text)
{
	struct lane	*lane = lane_find(text);

	if (lane != NULL)
		return lane;
	if ((lane = calloc(1, sizeof(*lane))) == NULL ||
	    (lane->text = strdup(text)) == NULL)
		fatal("lane");
	TAILQ_INIT(&lane->waiting);
	RB_INSERT(lanes, &lanes, lane);
	return lane;
}

/* How many recipients more it may have in the window. */
uint32_t
lane_room(const struct lane *lane)
{
	return lane->count < share() ? share() - lane->count : 0;
}

/*
 * Put the recipient into the lane of that name.  Returns false if the lane
 * has more than its share and others may need the room.
 */
bool
lane_join(struct recipient *recipient, const char *text)
{
	struct lane	*lane = lane_get(text);

	if (recipient->lane == lane)
		return true;
	lane_leave(recipient);
	recipient->lane = lane;
	return lane->count++ < share() ||
	    (int64_t)queue_size() < settings()->window / 2;
}

void
lane_leave(struct recipient *recipient)
{
	if (recipient->lane != NULL)
		recipient->lane->count--;
	recipient->lane = NULL;
}

void
lane_set_backlog(struct lane *lane, bool backlog)
{
	if (lane->backlog == backlog)
		return;
	lane->backlog = backlog;
	backlogs += backlog ? 1 : -(size_t)1;
}

/* A lane with rows in the database and room in the window, or NULL. */
struct lane *
lane_next_backlog(void)
{
	struct lane	*lane;

	if (backlogs == 0)
		return NULL;
	RB_FOREACH(lane, lanes, &lanes)
		if (lane->backlog && lane_room(lane) > share() / 2)
			return lane;
	return NULL;
}

/* The operator says: try them all. */
void
lane_open_all(void)
{
	struct lane	*lane;

	RB_FOREACH(lane, lanes, &lanes)
		lane->closed_until = 0;
}

size_t
lane_count_closed(int64_t now)
{
	struct lane	*lane;
	size_t		 count = 0;

	RB_FOREACH(lane, lanes, &lanes)
		if (lane->closed_until > now)
			count++;
	return count;
}

/* Forget lanes of which there is nothing to remember. */
void
lane_prune(int64_t now)
{
	struct lane	*lane, *next;

	RB_FOREACH_SAFE(lane, lanes, &lanes, next) {
		if (lane->count > 0 || lane->backlog || lane->is_ready ||
		    lane->out > 0 || lane->closed_until > now ||
		    !TAILQ_EMPTY(&lane->waiting))
			continue;
		RB_REMOVE(lanes, &lanes, lane);
		free(lane->text);
		free(lane->reason);
		free(lane);
	}
}
