/*
 * Queue ids: given out in blocks, each id good for one message.  A block is
 * given when the mark that keeps it from being given again is on disk.
 */
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "spoold.h"

struct leasing {
	struct work	 work;
	void		(*given)(void *, uint64_t);
	void		*arg;
	uint64_t	 first;
};

static struct {
	uint64_t	 next;		/* of our own block */
	uint64_t	 end;
	bool		 renewing;
	uint64_t	 spare;		/* a further block, 0 none */
} own;

/* The mark itself is written with the totals of the batch. */
static int
run_lease(struct work *work)
{
	struct leasing	*leasing = (struct leasing *)work;

	if (leasing->first == 0)
		leasing->first = ledger_take_ids(WIRE_LEASE);
	return 0;
}

static void
lease_done(struct work *work, int result)
{
	struct leasing	*leasing = (struct leasing *)work;

	(void)result;
	leasing->given(leasing->arg, leasing->first);
	free(leasing);
}

/* Take a block and call given(arg, its first id) when it is durable. */
void
lease_new(void (*given)(void *, uint64_t), void *arg)
{
	struct leasing	*leasing;

	if ((leasing = calloc(1, sizeof(*leasing))) == NULL)
		fatal("lease");
	leasing->work.run = run_lease;
	leasing->work.done = lease_done;
	leasing->work.must = true;
	leasing->work.may_wait = true;
	leasing->given = given;
	leasing->arg = arg;
	batch_add(&leasing->work);
}

static void
on_own_given(void *unused, uint64_t first)
{
	(void)unused;
	own.renewing = false;
	own.spare = first;
}

/* An id for a message of ours, which is stored in a later batch. */
uint64_t
lease_own(void)
{
	if (own.next == own.end && own.spare != 0) {
		own.next = own.spare;
		own.end = own.spare + WIRE_LEASE;
		own.spare = 0;
	}
	/* Without a block, the mark goes to disk with the message. */
	if (own.next == own.end)
		return ledger_take_ids(1);
	if (own.end - own.next < WIRE_LEASE / 2 && own.spare == 0 &&
	    !own.renewing)
		lease_start();
	return own.next++;
}

void
lease_start(void)
{
	own.renewing = true;
	lease_new(on_own_given, NULL);
}

/*
 * Use an id up, in one of several leases.  Returns 0, or -1 if it is in none
 * or was used before.
 */
int
lease_use(struct lease *leases, size_t count, uint64_t id)
{
	uint64_t	 bit, offset;
	size_t		 i;

	for (i = 0; i < count; i++) {
		if (leases[i].first == 0 || id < leases[i].first ||
		    id - leases[i].first >= WIRE_LEASE)
			continue;
		offset = id - leases[i].first;
		bit = UINT64_C(1) << offset % 64;
		if ((leases[i].used[offset / 64] & bit) != 0)
			return -1;
		leases[i].used[offset / 64] |= bit;
		leases[i].left--;
		return 0;
	}
	return -1;
}
