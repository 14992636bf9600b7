/*
 * A list, or a .forward: one row becomes several.  The new rows are made in
 * the very transaction that ends the old one.  What the message already has
 * is not added again, which is also how loops end.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "spoold.h"

#define BUCKETS	4096	/* of rows, for lists of many thousands */

/* A row the message has. */
struct known {
	size_t		 next;		/* in its bucket: index and 1, or 0 */
	uint32_t	 row;
	uint32_t	 parent;
	bool		 superseded;
	char		*address;
	char		*target;
};

struct known_rows {
	struct known	*rows;
	size_t		 count;
	size_t		 size;
	size_t		 buckets[BUCKETS];	/* the first of each, as next */
};

static char *
copy(const char *text)
{
	char	*result = strdup(text);

	if (result == NULL)
		fatal("expansion");
	return result;
}

/*
 * Take the targets of a frame's tail, which must be count.  NULL if it is
 * malformed.
 */
static struct expansion *
expansion_new(const void *tail, size_t length, uint32_t count)
{
	struct expansion	*expansion;
	enum target_place	 place;
	const char		*text;
	int			 result;

	if (count > WIRE_TARGETS)
		return NULL;
	if ((expansion = calloc(1, sizeof(*expansion))) == NULL ||
	    (expansion->rows = calloc(count + 1,
	    sizeof(*expansion->rows))) == NULL)
		fatal("expansion");
	TAILQ_INIT(&expansion->added);
	while ((result = wire_next_target(&tail, &length, &place,
	    &text)) == 1 && expansion->count < count) {
		expansion->rows[expansion->count].place = place;
		expansion->rows[expansion->count++].text = copy(text);
	}
	if (result != 0 || expansion->count != count) {
		expansion_free(expansion);
		return NULL;
	}
	return expansion;
}

/* Take back what a transaction made that was not committed. */
static void
forget_added(struct expansion *expansion)
{
	struct recipient	*recipient;

	while ((recipient = TAILQ_FIRST(&expansion->added)) != NULL) {
		TAILQ_REMOVE(&expansion->added, recipient, waiting);
		recipient_free(recipient);
	}
	expansion->added_count = 0;
}

void
expansion_free(struct expansion *expansion)
{
	size_t	 i;

	if (expansion == NULL)
		return;
	forget_added(expansion);
	for (i = 0; i < expansion->count; i++)
		free(expansion->rows[i].text);
	free(expansion->rows);
	free(expansion->found_under);
	free(expansion->account);
	free(expansion->owner);
	free(expansion);
}

/*
 * What an answer says a recipient stands for.  NULL if that is nothing to
 * store: the recipient is then deferred, because the list is malformed, or
 * empty where it must not be, for which nobody is the reason.
 */
struct expansion *
expansion_of(struct recipient *recipient, const struct frame *frame,
    uint32_t count, bool more, const char *nobody, const char *where)
{
	struct expansion	*expansion;

	expansion = expansion_new(frame->tail, frame->tail_length, count);
	if (expansion == NULL) {
		outcome_one(recipient, ENDING_DEFERRED, "4.3.0",
		    "its list came malformed", where);
		return NULL;
	}
	if (count == 0 && nobody != NULL && recipient->skip == 0) {
		expansion_free(expansion);
		outcome_one(recipient, ENDING_DEFERRED, "4.3.5", nobody,
		    where);
		return NULL;
	}
	expansion->goes_on = more && count > 0;
	return expansion;
}

/* Store it; takes the expansion. */
void
expansion_end(struct recipient *recipient, struct expansion *expansion,
    const char *text, const char *where)
{
	struct outcome	*outcome = outcome_new(recipient->message);

	outcome_add(outcome, recipient, ENDING_EXPANDED, "2.0.0", text,
	    where)->expansion = expansion;
	outcome_store(outcome);
}

/* ---- what the message already has ---- */

/* The bucket of an address, whatever its case, and what it stands for. */
static size_t
bucket_of(const char *address, const char *target)
{
	char	 lower[WIRE_ADDRESS];
	size_t	 i;

	for (i = 0; i < sizeof(lower) && address[i] != '\0'; i++)
		lower[i] = (char)tolower((unsigned char)address[i]);
	return checksum(checksum(0, lower, i), target, strlen(target)) %
	    BUCKETS;
}

static void
add_known(struct known_rows *known, uint32_t row, uint32_t parent,
    const char *address, const char *target, bool superseded)
{
	struct known	*rows;
	size_t		*at = &known->buckets[bucket_of(address, target)];

	if (known->count == known->size) {
		known->size = known->size == 0 ? 64 : known->size * 2;
		rows = reallocarray(known->rows, known->size, sizeof(*rows));
		if (rows == NULL)
			fatal("expansion");
		known->rows = rows;
	}
	while (*at != 0)
		at = &known->rows[*at - 1].next;
	rows = &known->rows[known->count++];
	*at = known->count;
	rows->next = 0;
	rows->row = row;
	rows->parent = parent;
	rows->superseded = superseded;
	rows->address = copy(address);
	rows->target = copy(target);
}

static void
free_known(struct known_rows *known)
{
	size_t	 i;

	if (known == NULL)
		return;
	for (i = 0; i < known->count; i++) {
		free(known->rows[i].address);
		free(known->rows[i].target);
	}
	free(known->rows);
	free(known);
}

/* Read what the message has; NULL if the database refuses. */
static struct known_rows *
load_known(const struct message *message)
{
	struct known_rows	*known;
	int			 result;

	if ((known = calloc(1, sizeof(*known))) == NULL)
		fatal("expansion");
	for (result = db_ask(SQL_RECIPIENT_TEXTS, "i", (int64_t)message->id);
	    result == 1; result = db_next(SQL_RECIPIENT_TEXTS))
		add_known(known,
		    (uint32_t)db_integer(SQL_RECIPIENT_TEXTS, 0),
		    (uint32_t)db_integer(SQL_RECIPIENT_TEXTS, 1),
		    db_text(SQL_RECIPIENT_TEXTS, 3),
		    db_text(SQL_RECIPIENT_TEXTS, 4),
		    db_integer(SQL_RECIPIENT_TEXTS, 5) != 0);
	db_end(SQL_RECIPIENT_TEXTS);
	if (result == 0)
		return known;
	free_known(known);
	return NULL;
}

/* Forget what is known of a message's rows; the next list reads them anew. */
void
expansion_forget_known(struct message *message)
{
	free_known(message->known_rows);
	message->known_rows = NULL;
}

/*
 * What the message has.  A long list comes in parts, and reading some ten
 * thousand rows for each took most of its time: the rows are kept from one
 * part to the next.  A transaction that is run again did not store what it
 * had added, and a new list looks at what others have become.
 */
static struct known_rows *
known_rows_of(struct message *message, const struct expansion *expansion)
{
	if (expansion->was_run || expansion->replaces)
		expansion_forget_known(message);
	if (message->known_rows == NULL)
		message->known_rows = load_known(message);
	return message->known_rows;
}

/* Is row the recipient itself, or one it was expanded from? */
static bool
is_ancestor(const struct known_rows *known, const struct recipient *recipient,
    uint32_t row)
{
	uint32_t	 at = recipient->row;
	size_t		 i, steps;

	for (steps = 0; at != 0 && steps <= known->count; steps++) {
		if (at == row)
			return true;
		for (i = 0; i < known->count; i++)
			if (known->rows[i].row == at)
				break;
		at = i < known->count ? known->rows[i].parent : 0;
	}
	return false;
}

/*
 * Another row that stands for this target.  What a new list has in place of
 * an old one may be the very address that the old one was found under: then
 * the rows that led to the old list stand for nothing.  Nor do those that
 * another list had replaced before, and were not delivered.
 */
static const struct known *
find_known(const struct known_rows *known, const struct recipient *recipient,
    bool replaces, const char *address, const char *target)
{
	const struct known	*row;
	size_t			 at;

	for (at = known->buckets[bucket_of(address, target)]; at != 0;
	    at = row->next) {
		row = &known->rows[at - 1];
		if (strcasecmp(row->address, address) == 0 &&
		    strcmp(row->target, target) == 0 && !(replaces &&
		    (row->superseded ||
		    is_ancestor(known, recipient, row->row))))
			return row;
	}
	return NULL;
}

/* ---- the new rows ---- */

/* Where a child is found and what it is there. */
static const char *
address_of(const struct expansion *expansion, const struct child_row *row)
{
	return row->place == TARGET_ROUTED ? row->text :
	    expansion->found_under;
}

static const char *
target_of(const struct child_row *row)
{
	return row->place == TARGET_ROUTED ? "" : row->text;
}

/* Does it lead to more than one place, this part of it or another? */
static bool
is_several(const struct expansion *expansion,
    const struct recipient *recipient)
{
	return expansion->count > 1 || expansion->goes_on ||
	    recipient->skip > 0;
}

/*
 * What is reported of the parent, as RFC 3461 5.2.7 has it; NULL if nothing:
 * it goes on under another address, and is reported of there.  A list with an
 * owner is where the message was sent to; an alias of several is passed.
 */
const char *
expansion_action(const struct expansion *expansion,
    const struct recipient *recipient)
{
	if (expansion->replaces || expansion->goes_on)
		return NULL;
	if (expansion->owner != NULL)
		return "delivered";
	return is_several(expansion, recipient) ? "expanded" : NULL;
}

/*
 * Of what the children's reports are.  A list's owner is told of failures,
 * whatever its sender wanted; success was told of the parent and is not told
 * again of each of several.
 */
static uint32_t
child_notify(const struct expansion *expansion,
    const struct recipient *parent)
{
	uint32_t	 notify = parent->notify;

	if (expansion->owner != NULL)
		return NOTIFY_FAILURE;
	if ((notify & NOTIFY_SUCCESS) == 0 || expansion->replaces ||
	    !is_several(expansion, parent))
		return notify;
	notify &= ~(uint32_t)NOTIFY_SUCCESS;
	return notify == 0 ? NOTIFY_NEVER : notify;
}

static struct recipient *
make_child(struct expansion *expansion, const struct child_row *row,
    const struct recipient *parent, uint32_t number)
{
	struct recipient	*child;

	child = recipient_new(parent->message, number,
	    address_of(expansion, row));
	TAILQ_REMOVE(&parent->message->recipients, child, of_message);
	free(child->target);
	free(child->original);
	free(child->account);
	free(child->orcpt);
	child->target = copy(target_of(row));
	child->original = copy(parent->original);
	child->account = copy(row->place == TARGET_FORWARD &&
	    expansion->account != NULL ? expansion->account : "");
	child->orcpt = copy(expansion->owner != NULL ? "" : parent->orcpt);
	if (expansion->owner != NULL)
		child->sender = copy(expansion->owner);
	else if (parent->sender != NULL)
		child->sender = copy(parent->sender);
	child->place = row->place;
	child->parent = parent->row;
	child->notify = child_notify(expansion, parent);
	child->had_route = row->place != TARGET_ROUTED;
	child->first_try = true;
	TAILQ_INSERT_TAIL(&expansion->added, child, waiting);
	expansion->added_count++;
	return child;
}

/* Returns 0 or -1. */
static int
store_children(struct expansion *expansion, const struct recipient *recipient,
    struct known_rows *known, uint32_t first, enum stored stored)
{
	const struct child_row	*row;
	const struct known	*twin;
	struct recipient	*child;
	size_t			 i, loops = 0;

	for (i = 0; i < expansion->count; i++) {
		row = &expansion->rows[i];
		twin = find_known(known, recipient, expansion->replaces,
		    address_of(expansion, row), target_of(row));
		if (twin != NULL) {
			if (is_ancestor(known, recipient, twin->row))
				loops++;
			continue;
		}
		child = make_child(expansion, row, recipient, first++);
		if (store_add_recipient(child, stored) == -1)
			return -1;
		add_known(known, child->row, child->parent, child->address,
		    child->target, false);
	}
	expansion->is_loop = expansion->count > 0 && recipient->skip == 0 &&
	    loops == expansion->count && !expansion->goes_on;
	return 0;
}

/*
 * Within the transaction: store the children of a recipient, numbered from
 * first on.  Returns 0 or -1.
 */
int
expansion_store(struct expansion *expansion, const struct recipient *recipient,
    uint32_t first, enum stored stored)
{
	struct message		*message = recipient->message;
	struct known_rows	*known = known_rows_of(message, expansion);
	int			 result = -1;

	forget_added(expansion);
	expansion->was_run = true;
	if (known != NULL)
		result = store_children(expansion, recipient, known, first,
		    stored);
	if (result == -1 || !expansion->goes_on)
		expansion_forget_known(message);
	return result;
}
