/*
 * The one row that is the spool's own: the ids that were given, how much
 * there is, how often the clock jumped.  Every batch that changes any of it
 * ends with that row; counts that a failed batch made are taken back.
 */
#include <string.h>

#include "clock.h"
#include "log.h"
#include "spoold.h"

#define ID_SHIFT	20		/* an id is milliseconds and a count */

static struct {
	struct totals	 committed;
	struct totals	 pending;	/* of the batch that runs */
	uint64_t	 high;		/* no id above it was ever given */
	uint64_t	 low;		/* no row below it is stored as new */
	uint64_t	 low_asked;	/* what the next batch will store */
	uint32_t	 epoch;		/* counts jumps of the clock */
	bool		 changed;	/* the row must be written */
} ledger;

void
ledger_start(void)
{
	if (db_ask(SQL_SPOOL_GET, "") != 1)
		fatalx("spool: its row of totals cannot be read: %s",
		    db_why());
	ledger.high = (uint64_t)db_integer(SQL_SPOOL_GET, 0);
	ledger.low = (uint64_t)db_integer(SQL_SPOOL_GET, 1);
	ledger.committed.messages = db_integer(SQL_SPOOL_GET, 2);
	ledger.committed.octets = db_integer(SQL_SPOOL_GET, 3);
	ledger.committed.deferred = db_integer(SQL_SPOOL_GET, 4);
	ledger.committed.held = db_integer(SQL_SPOOL_GET, 5);
	ledger.epoch = (uint32_t)db_integer(SQL_SPOOL_GET, 6);
	db_end(SQL_SPOOL_GET);
	ledger.low_asked = ledger.low;
	if (clock_now() / 1000 + HOUR / 1000 <
	    (int64_t)(ledger.high >> ID_SHIFT)) {
		log_note(LOG_WARNING, "clock", "it went back since the spool"
		    " was last used: nothing expires by it at first");
		ledger_clock_jumped();
	}
}

const struct totals *
ledger_totals(void)
{
	return &ledger.committed;
}

uint32_t
ledger_epoch(void)
{
	return ledger.epoch;
}

/* From now on five more attempts are due before anything expires. */
void
ledger_clock_jumped(void)
{
	ledger.epoch++;
	ledger.changed = true;
}

/*
 * Take that many ids in a row, the first of which is returned.  They may be
 * used once the next batch has been committed.
 */
uint64_t
ledger_take_ids(uint32_t count)
{
	uint64_t	 first = (uint64_t)(clock_now() / 1000) << ID_SHIFT;

	if (first <= ledger.high)
		first = ledger.high + 1;
	ledger.high = first + count - 1;
	ledger.changed = true;
	return first;
}

/* No row of a message below this is stored as new. */
void
ledger_set_low(uint64_t low)
{
	ledger.low_asked = low;
}

uint64_t
ledger_low(void)
{
	return ledger.low;
}

uint64_t
ledger_high(void)
{
	return ledger.high;
}

/* Count what the running batch changes. */
void
ledger_count(int64_t messages, int64_t octets, int64_t deferred, int64_t held)
{
	ledger.pending.messages += messages;
	ledger.pending.octets += octets;
	ledger.pending.deferred += deferred;
	ledger.pending.held += held;
	ledger.changed = true;
}

/* Count all rows anew, where it is not known what they were before. */
int
ledger_recount(void)
{
	int	 result = db_ask(SQL_RECIPIENT_TOTALS, "");

	if (result == 1) {
		ledger.pending.deferred = db_integer(SQL_RECIPIENT_TOTALS, 0) -
		    ledger.committed.deferred;
		ledger.pending.held = db_integer(SQL_RECIPIENT_TOTALS, 1) -
		    ledger.committed.held;
		ledger.changed = true;
	}
	db_end(SQL_RECIPIENT_TOTALS);
	return result == -1 ? -1 : 0;
}

/* The last statement of a batch. */
int
ledger_finish_batch(void)
{
	if (!ledger.changed)
		return 0;
	return db_run(SQL_SPOOL_SET, "iiiiiiu", (int64_t)ledger.high,
	    (int64_t)ledger.low_asked,
	    ledger.committed.messages + ledger.pending.messages,
	    ledger.committed.octets + ledger.pending.octets,
	    ledger.committed.deferred + ledger.pending.deferred,
	    ledger.committed.held + ledger.pending.held, ledger.epoch) == -1 ?
	    -1 : 0;
}

bool
ledger_needs_batch(void)
{
	return ledger.changed;
}

/* The batch was committed, or was not. */
void
ledger_end_batch(bool committed)
{
	if (committed) {
		ledger.committed.messages += ledger.pending.messages;
		ledger.committed.octets += ledger.pending.octets;
		ledger.committed.deferred += ledger.pending.deferred;
		ledger.committed.held += ledger.pending.held;
		ledger.low = ledger.low_asked;
		ledger.changed = false;
	}
	memset(&ledger.pending, 0, sizeof(ledger.pending));
}
