/*
 * The syncers: now they are worth it and now they are not, and what they are
 * asked for returns some turns later, in no order.
 */
#include "../fuzz.h"
#include "loop.h"
#include "spool_world.h"

#define PHASE	8		/* questions, then it is otherwise */

static struct {
	void		(*done)(unsigned int);
	unsigned int	 turns[SYNCERS];	/* until it returns, 0 idle */
	unsigned int	 questions;
} syncers;

static void
answer(unsigned int n)
{
	syncers.turns[n] = 0;
	syncers.done(n);
}

/* The hook before the batch. */
static void
pass(void *unused)
{
	unsigned int n;

	(void)unused;
	for (n = SYNCERS; n-- > 0;)
		if (syncers.turns[n] > 0 && --syncers.turns[n] == 0)
			answer(n);
}

void
syncer_start(void (*done)(unsigned int))
{
	syncers.done = done;
	loop_add_hook(LOOP_WORK, pass, NULL);
}

void
syncer_took(int64_t took)
{
	(void)took;
}

int64_t
syncer_mean(void)
{
	return 0;
}

bool
syncer_is_worth_it(void)
{
	return ++syncers.questions / PHASE % 2 == 1;
}

void
syncer_begin(unsigned int n)
{
	require(n < SYNCERS && syncers.turns[n] == 0);
	syncers.turns[n] = 1 + syncers.questions % 2;
}

void
syncer_wait(unsigned int n)
{
	require(syncers.turns[n] > 0);
	answer(n);
}

/* Each input finds them the same. */
void
syncers_begin(void)
{
	syncers.questions = 0;
}
