/*
 * Messages and recipients as rows.  Everything here that writes runs within
 * batch.c's transaction; how it changes the totals it says to ledger.c.
 */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "spoold.h"

#define ATTEMPTS_KEPT	20		/* the last of each recipient */

enum flag {
	FLAG_HAD_ROUTE	= 1 << 0,
	FLAG_REFUSED	= 1 << 1,
	FLAG_WARNED	= 1 << 2,
	FLAG_GIVE_UP	= 1 << 3,	/* db_sql.c knows it too */
	FLAG_WAITS	= 1 << 4
};

/* ---- messages ---- */

/* Of what never changes; the arrival may be moved. */
static uint64_t
sum_message(const struct message *message)
{
	uint64_t	 numbers[4] = {
		message->id, message->size, message->body_sum,
		(uint64_t)message->kind << 1 | (message->in_file ? 1 : 0)
	};

	return checksum(checksum(0, numbers, sizeof(numbers)),
	    message->sender, strlen(message->sender));
}

int
store_add_message(struct message *message)
{
	const struct w_client	*client = &message->client;
	struct recipient	*recipient;
	uint32_t		 rows = 0;

	message->body_sum = message->in_file ? 0 :
	    checksum(message->id, message->body, message->size);
	TAILQ_FOREACH(recipient, &message->recipients, of_message) {
		if (store_add_recipient(recipient, message->fresh ?
		    STORED_NEW : STORED_DEFERRED) == -1)
			return -1;
		rows++;
	}
	if (db_run(SQL_MESSAGE_ADD, "iiiidddduunudddbddttttti",
	    (int64_t)message->id, message->arrival, (int64_t)message->size,
	    (int64_t)message->body_sum, (int)message->kind,
	    (int)message->in_file, (int)message->body_type,
	    (int)message->ret, rows, rows,
	    message->kind == MESSAGE_MAIL &&
	    client->standing == STANDING_LOCAL ? (int64_t)client->uid : -1,
	    client->uid, (int)client->standing, (int)client->port,
	    (int)client->family, client->address, sizeof(client->address),
	    (int)client->tls, (int)client->esmtp, client->listener,
	    client->helo, client->login, message->sender, message->envid,
	    (int64_t)sum_message(message)) == -1)
		return -1;
	if (!message->in_file && db_run(SQL_BODY_ADD, "ib",
	    (int64_t)message->id, message->body, (size_t)message->size) == -1)
		return -1;
	message->rows = rows;
	ledger_count(1, (int64_t)message->size, 0, 0);
	return 0;
}

/*
 * Remove it with its rows; attempts says whether it may have a history.
 * Returns 1, or 0 if it was moved away as damaged before, or -1.
 */
int
store_remove_message(const struct message *message, bool attempts)
{
	int64_t	 id = (int64_t)message->id;
	int	 removed;

	if ((attempts && db_run(SQL_ATTEMPT_REMOVE, "i", id) == -1) ||
	    db_run(SQL_RECIPIENT_REMOVE, "i", id) == -1 ||
	    (removed = db_run(SQL_MESSAGE_REMOVE, "i", id)) == -1)
		return -1;
	if (removed == 0)
		return 0;
	if (!message->in_file && db_run(SQL_BODY_REMOVE, "i", id) == -1)
		return -1;
	ledger_count(-1, -(int64_t)message->size, 0, 0);
	return 1;
}

/* Copy a text column; false if it does not fit, which none of ours does. */
static bool
take_text(enum sql sql, int column, char *text, size_t size)
{
	return strlcpy(text, db_text(sql, column), size) < size;
}

/* The client of the message that a statement stands at. */
static bool
take_client(enum sql sql, struct w_client *client)
{
	const void	*address;
	size_t		 length;

	client->uid = (uint32_t)db_integer(sql, 11);
	client->standing = (uint8_t)db_integer(sql, 12);
	client->port = (uint16_t)db_integer(sql, 13);
	client->family = (uint8_t)db_integer(sql, 14);
	address = db_blob(sql, 15, &length);
	if (length != sizeof(client->address))
		return false;
	memcpy(client->address, address, length);
	client->tls = (uint8_t)db_integer(sql, 16);
	client->esmtp = (uint8_t)db_integer(sql, 17);
	return client->standing >= STANDING_STRANGER &&
	    client->standing <= STANDING_LOCAL &&
	    take_text(sql, 18, client->listener, sizeof(client->listener)) &&
	    take_text(sql, 19, client->helo, sizeof(client->helo)) &&
	    take_text(sql, 20, client->login, sizeof(client->login));
}

/*
 * The message that a statement stands at; NULL, and noted, if its row is
 * damaged.
 */
struct message *
store_message(enum sql sql)
{
	struct message	*message;
	const char	*why = NULL;

	message = message_new((uint64_t)db_integer(sql, 0));
	message->arrival = db_integer(sql, 1);
	message->size = (uint64_t)db_integer(sql, 2);
	message->body_sum = (uint64_t)db_integer(sql, 3);
	message->kind = (enum message_kind)db_integer(sql, 4);
	message->in_file = db_integer(sql, 5) != 0;
	message->body_type = (uint8_t)db_integer(sql, 6);
	message->ret = (uint8_t)db_integer(sql, 7);
	message->rows = (uint32_t)db_integer(sql, 8);
	message->sender = strdup(db_text(sql, 21));
	message->envid = strdup(db_text(sql, 22));
	message->committed = true;
	if (message->sender == NULL || message->envid == NULL)
		fatal("message");
	if (!take_client(sql, &message->client))
		why = "its client does not fit";
	else if (strlen(message->sender) >= WIRE_ADDRESS ||
	    strlen(message->envid) >= WIRE_ENVID)
		why = "its sender does not fit";
	else if (sum_message(message) !=
	    (uint64_t)db_integer(sql, 23))
		why = "its checksum is wrong";
	if (why != NULL) {
		damage_note(message->id, 0, why);
		message_free(message);
		return NULL;
	}
	return message;
}

/* Read one; NULL if it is not there or damaged. */
struct message *
store_load_message(uint64_t id)
{
	struct message	*message = NULL;

	if (db_ask(SQL_MESSAGE_GET, "i", (int64_t)id) == 1)
		message = store_message(SQL_MESSAGE_GET);
	db_end(SQL_MESSAGE_GET);
	return message;
}

/*
 * Read a small body into memory.  Returns 0 or -1; one that the disk does not
 * give just now is not damaged for that.
 */
int
store_load_body(struct message *message)
{
	const void	*octets;
	const char	*why = NULL;
	char		*body;
	size_t		 length;
	int		 found;

	if (message->in_file)
		return -1;
	found = db_ask(SQL_BODY_GET, "i", (int64_t)message->id);
	if (found == -1) {
		log_note(LOG_ERR, "body", "%s", db_why());
		db_end(SQL_BODY_GET);
		return -1;
	}
	if (found == 0)
		why = "it has no body";
	else {
		octets = db_blob(SQL_BODY_GET, 0, &length);
		if (length != message->size)
			why = "its body is cut";
		else if (checksum(message->id, octets, length) !=
		    message->body_sum)
			why = "its body's checksum is wrong";
		else {
			if ((body = malloc(length + 1)) == NULL)
				fatal("body");
			memcpy(body, octets, length);
			body[length] = '\0';
			message_take_body(message, body);
		}
	}
	db_end(SQL_BODY_GET);
	if (why == NULL)
		return 0;
	damage_note(message->id, 0, why);
	return -1;
}

int
store_age_message(const struct message *message, int64_t amount)
{
	return db_run(SQL_MESSAGE_AGE, "ii", amount, (int64_t)message->id);
}

/* ---- recipients ---- */

static uint64_t
sum_recipient(const struct recipient *recipient)
{
	uint64_t	 numbers[2] = {
		recipient->message->id, recipient->row
	};
	uint64_t	 sum;

	sum = checksum(0, numbers, sizeof(numbers));
	sum = checksum(sum, recipient->address, strlen(recipient->address));
	return checksum(sum, recipient->target, strlen(recipient->target));
}

static int
flags_of(const struct recipient *recipient)
{
	return (recipient->had_route ? FLAG_HAD_ROUTE : 0) |
	    (recipient->refused ? FLAG_REFUSED : 0) |
	    (recipient->warned ? FLAG_WARNED : 0) |
	    (recipient->give_up ? FLAG_GIVE_UP : 0) |
	    (recipient->waits ? FLAG_WAITS : 0);
}

int
store_add_recipient(struct recipient *recipient, enum stored stored)
{
	recipient->stored = stored;
	if (recipient->stored == STORED_DEFERRED)
		ledger_count(0, 0, 1, 0);
	if (recipient->next == 0)
		recipient->next = clock_now();
	return db_run(SQL_RECIPIENT_ADD, "iudiuduutttttti",
	    (int64_t)recipient->message->id, recipient->row,
	    (int)recipient->stored, recipient->next, recipient->notify,
	    flags_of(recipient), recipient->parent, recipient->place,
	    recipient->address, recipient->target, recipient->original,
	    recipient->account, recipient->sender, recipient->orcpt,
	    (int64_t)sum_recipient(recipient)) == -1 ? -1 : 0;
}

/* Replace what recipient_new() made by a text of the row. */
static void
replace_text(char **text, const char *by)
{
	free(*text);
	if ((*text = strdup(by)) == NULL)
		fatal("recipient");
}

/*
 * The recipient that a statement stands at, added to its message; NULL, and
 * noted, if its row is damaged.
 */
struct recipient *
store_recipient(enum sql sql, struct message *message)
{
	struct recipient	*recipient;
	int			 flags = (int)db_integer(sql, 9);

	recipient = recipient_new(message, (uint32_t)db_integer(sql, 1),
	    db_text(sql, 12));
	recipient->stored = (enum stored)db_integer(sql, 2);
	recipient->next = db_integer(sql, 3);
	recipient->attempts = (uint32_t)db_integer(sql, 4);
	recipient->tries = (uint32_t)db_integer(sql, 5);
	recipient->epoch = (uint32_t)db_integer(sql, 6);
	recipient->poison = (uint32_t)db_integer(sql, 7);
	recipient->notify = (uint32_t)db_integer(sql, 8);
	recipient->had_route = (flags & FLAG_HAD_ROUTE) != 0;
	recipient->refused = (flags & FLAG_REFUSED) != 0;
	recipient->warned = (flags & FLAG_WARNED) != 0;
	recipient->give_up = (flags & FLAG_GIVE_UP) != 0;
	recipient->waits = (flags & FLAG_WAITS) != 0;
	recipient->parent = (uint32_t)db_integer(sql, 10);
	recipient->place = (uint32_t)db_integer(sql, 11);
	replace_text(&recipient->target, db_text(sql, 13));
	replace_text(&recipient->original, db_text(sql, 14));
	replace_text(&recipient->account, db_text(sql, 15));
	if (!db_is_null(sql, 16))
		replace_text(&recipient->sender, db_text(sql, 16));
	replace_text(&recipient->orcpt, db_text(sql, 17));
	if (sum_recipient(recipient) == (uint64_t)db_integer(sql, 19) &&
	    strlen(recipient->address) < WIRE_ADDRESS &&
	    strlen(recipient->target) < WIRE_TARGET &&
	    strlen(recipient->original) < WIRE_ADDRESS &&
	    strlen(recipient->account) < WIRE_LOGIN &&
	    strlen(recipient->orcpt) < WIRE_ORCPT &&
	    strlen(recipient_sender(recipient)) < WIRE_ADDRESS &&
	    recipient->stored <= STORED_MARKED)
		return recipient;
	damage_note(message->id, recipient->row, "its checksum is wrong");
	TAILQ_REMOVE(&message->recipients, recipient, of_message);
	recipient_free(recipient);
	return NULL;
}

/* Does the row that a statement stands at wait for its next hop to open? */
bool
store_row_waits(enum sql sql)
{
	return db_integer(sql, 2) == STORED_DEFERRED &&
	    (db_integer(sql, 9) & FLAG_WAITS) != 0;
}

/* The line of the configuration that sent it where it went; NULL unknown. */
static const char *
decided_by(const struct recipient *recipient)
{
	const struct route	*route = recipient->route;

	return route != NULL && route->where != NULL &&
	    route->where[0] != '\0' ? route->where : NULL;
}

/*
 * It waits until next; held or marked rows stay what they are.  If it was not
 * tried, what is known of the last try stays as well.
 */
int
store_defer(const struct ending *ending)
{
	const struct recipient	*recipient = ending->recipient;
	enum stored		 stored = ending->stored;
	bool			 put_back = ending->kind == ENDING_PUT_BACK;
	int			 changed;

	changed = db_run(SQL_RECIPIENT_DEFER, "iudiuuuudtttitt",
	    (int64_t)recipient->message->id, recipient->row, (int)stored,
	    ending->next, recipient->attempts, recipient->tries,
	    recipient->epoch, recipient->poison, flags_of(recipient),
	    recipient->lane != NULL ? recipient->lane->text : NULL,
	    put_back ? NULL : ending->status, put_back ? NULL : ending->text,
	    put_back || ending->waited ? INT64_C(0) : clock_now(),
	    decided_by(recipient), ending->why[0] != '\0' ? ending->why :
	    NULL);
	if (changed <= 0)
		return changed;
	if (recipient->stored == STORED_NEW)
		ledger_count(0, 0, stored == STORED_DEFERRED ? 1 : 0,
		    stored == STORED_HELD ? 1 : 0);
	else if (recipient->stored == STORED_DEFERRED &&
	    stored == STORED_HELD)
		ledger_count(0, 0, -1, 1);
	return 0;
}

/* An end takes the row out of the count that its state had. */
void
store_uncount(const struct recipient *recipient)
{
	if (recipient->stored == STORED_DEFERRED)
		ledger_count(0, 0, -1, 0);
	else if (recipient->stored == STORED_HELD)
		ledger_count(0, 0, 0, -1);
}

/*
 * It is done, one way or another; the row stays for its siblings' sake.  Where
 * it failed, no sibling is delivered by it.
 */
int
store_end(const struct ending *ending)
{
	const struct recipient	*recipient = ending->recipient;
	const struct message	*message = recipient->message;
	const char		*final = NULL;
	int			 changed;

	if (ending->kind != ENDING_FAILED)
		final = message_final(message, recipient->row);
	changed = db_run(SQL_RECIPIENT_END, "iudtttiut",
	    (int64_t)message->id, recipient->row, (int)ending->stored,
	    final, ending->status, ending->text, clock_now(),
	    recipient->attempts, decided_by(recipient));
	if (changed > 0)
		store_uncount(recipient);
	return changed == -1 ? -1 : 0;
}

/* One more line of its history, of which the last are kept. */
int
store_attempt(const struct ending *ending)
{
	const struct recipient	*recipient = ending->recipient;
	int64_t			 id = (int64_t)recipient->message->id;

	if (db_run(SQL_ATTEMPT_ADD, "iuuiddtttt", id, recipient->row,
	    recipient->attempts, clock_now(), (int)ending->stage,
	    (int)ending->replied, ending->where, ending->tls, ending->status,
	    ending->text) == -1)
		return -1;
	return recipient->attempts > ATTEMPTS_KEPT &&
	    db_run(SQL_ATTEMPT_TRIM, "iud", id, recipient->row,
	    ATTEMPTS_KEPT) == -1 ? -1 : 0;
}

/* The counts of a message's rows, before and behind a change of many. */
int
store_count_rows(uint64_t id, int sign)
{
	int64_t	 state, deferred = 0, held = 0;
	int	 result;

	for (result = db_ask(SQL_RECIPIENT_TEXTS, "i", (int64_t)id);
	    result == 1; result = db_next(SQL_RECIPIENT_TEXTS)) {
		state = db_integer(SQL_RECIPIENT_TEXTS, 2);
		deferred += state == STORED_DEFERRED;
		held += state == STORED_HELD;
	}
	db_end(SQL_RECIPIENT_TEXTS);
	ledger_count(0, 0, sign * deferred, sign * held);
	return result;
}

/*
 * Rows were added to a message and others have ended: how many it ever had,
 * and how many of them still wait.
 */
int
store_left(const struct message *message, uint32_t added, uint32_t ended,
    uint32_t *rows, uint32_t *waiting)
{
	int	 result;

	result = db_ask(SQL_MESSAGE_COUNT, "uui", added, ended,
	    (int64_t)message->id);
	if (result == 1) {
		*rows = (uint32_t)db_integer(SQL_MESSAGE_COUNT, 0);
		*waiting = (uint32_t)db_integer(SQL_MESSAGE_COUNT, 1);
		while ((result = db_next(SQL_MESSAGE_COUNT)) == 1)
			;
	} else if (result == 0) {
		/* Its row has gone: there is nothing left to wait for. */
		*rows = message->rows;
		*waiting = 0;
	}
	db_end(SQL_MESSAGE_COUNT);
	return result == -1 ? -1 : 0;
}
