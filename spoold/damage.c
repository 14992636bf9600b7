/*
 * A row that cannot be believed is moved out of the way of the others: into
 * the table damaged, with what can be told of it.  The body of a damaged
 * message stays where it is.
 */
#include <stdlib.h>

#include "clock.h"
#include "log.h"
#include "spoold.h"

struct damage {
	struct work	 work;
	uint64_t	 id;
	uint32_t	 row;		/* 0: the message and all its rows */
	const char	*why;		/* static */
};

/* Octets of a message as the totals have them. */
static int64_t
size_of(int64_t id)
{
	int64_t	 size = 0;

	if (db_ask(SQL_MESSAGE_GET, "i", id) == 1)
		size = db_integer(SQL_MESSAGE_GET, 2);
	db_end(SQL_MESSAGE_GET);
	return size;
}

static int
move_message(struct damage *damage)
{
	int64_t	 id = (int64_t)damage->id, size = size_of(id);

	if (store_count_rows(damage->id, -1) == -1 ||
	    db_run(SQL_MESSAGE_DAMAGED, "iti", id, damage->why,
	    clock_now()) == -1 ||
	    db_run(SQL_RECIPIENT_DAMAGED, "iuti", id, 0U, damage->why,
	    clock_now()) == -1 ||
	    db_run(SQL_ATTEMPT_REMOVE, "i", id) == -1 ||
	    db_run(SQL_RECIPIENT_REMOVE, "i", id) == -1)
		return -1;
	switch (db_run(SQL_MESSAGE_REMOVE, "i", id)) {
	case -1:
		return -1;
	case 0:
		return 0;
	default:
		ledger_count(-1, -size, 0, 0);
		return 0;
	}
}

static int
move_recipient(struct damage *damage)
{
	int64_t	 id = (int64_t)damage->id;
	int	 result;

	if (store_count_rows(damage->id, -1) == -1 ||
	    db_run(SQL_RECIPIENT_DAMAGED, "iuti", id, damage->row,
	    damage->why, clock_now()) == -1 ||
	    db_run(SQL_RECIPIENT_DROP, "iu", id, damage->row) == -1 ||
	    store_count_rows(damage->id, 1) == -1)
		return -1;
	result = db_ask(SQL_RECIPIENT_WAITING, "i", id);
	while (result == 1)
		result = db_next(SQL_RECIPIENT_WAITING);
	db_end(SQL_RECIPIENT_WAITING);
	return result;
}

static int
run_damage(struct work *work)
{
	struct damage	*damage = (struct damage *)work;

	return damage->row == 0 ? move_message(damage) :
	    move_recipient(damage);
}

static void
damage_done(struct work *work, int result)
{
	(void)result;
	free(work);
}

/* Move it with the next batch; why is static. */
void
damage_note(uint64_t id, uint32_t row, const char *why)
{
	struct damage	*damage;

	if ((damage = calloc(1, sizeof(*damage))) == NULL)
		fatal("damage");
	damage->work.run = run_damage;
	damage->work.done = damage_done;
	damage->work.must = true;
	damage->id = id;
	damage->row = row;
	damage->why = why;
	log_begin(LOG_ERR, "damaged");
	log_id("id", id);
	log_number("row", row);
	log_string("reason", why);
	log_end();
	batch_add(&damage->work);
}
