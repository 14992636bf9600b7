/*
 * When a recipient is tried again, and when that ends.  Pure: all it knows
 * comes in, and nothing else.
 */
#include "clock.h"
#include "spoold.h"

#define TRIES_BEFORE_EXPIRY	5	/* since the clock last jumped */
#define BRIEF			DAY	/* lifetime of what is in vain */

/*
 * The delay doubles with each attempt from the least to the greatest, less
 * up to a quarter, so that what failed together does not come back together.
 */
int64_t
retry_next(const struct settings *limits, const struct retry_facts *facts)
{
	int64_t		 delay = limits->retry_min;
	uint32_t	 i;

	for (i = 1; i < facts->attempts && delay < limits->retry_max; i++)
		delay *= 2;
	if (delay > limits->retry_max)
		delay = limits->retry_max;
	delay -= delay / 4 * (facts->random % 1024) / 1024;
	return facts->now + delay;
}

static int64_t
lifetime(const struct settings *limits, const struct retry_facts *facts)
{
	int64_t	 least = limits->expire;

	if (facts->is_bounce && limits->bounce_expire < least)
		least = limits->bounce_expire;
	if (facts->is_brief && BRIEF < least)
		least = BRIEF;
	return least;
}

/*
 * When one that waits for its next hop to open is looked at, should that stay
 * closed: seldom, since each look is a write and the hop's opening brings them
 * all, so not before it is due to open; but in time for its notice of delay
 * and for its end, with enough tries by then.  Chance has no part: rows that
 * are written together stay together in the indexes, where each page apart
 * would be read and written by itself.
 */
int64_t
retry_look(const struct settings *limits, const struct retry_facts *facts)
{
	int64_t	 end = facts->arrival + lifetime(limits, facts);
	int64_t	 notice = facts->arrival + limits->delay_notice;
	int64_t	 delay = (end - facts->now) / TRIES_BEFORE_EXPIRY, next;

	if (delay > limits->retry_max)
		delay = limits->retry_max;
	if (delay < limits->retry_min)
		delay = limits->retry_min;
	next = facts->now + delay;
	if (facts->now < end && next < facts->opens)
		next = facts->opens;
	if (facts->now < end && next > end)
		next = end;
	if (limits->delay_notice > 0 && !facts->is_bounce &&
	    next > notice && facts->now < notice)
		next = notice;
	return next;
}

bool
retry_expired(const struct settings *limits, const struct retry_facts *facts)
{
	return facts->now - facts->arrival >= lifetime(limits, facts) &&
	    facts->tries >= TRIES_BEFORE_EXPIRY;
}

bool
retry_warn_due(const struct settings *limits, const struct retry_facts *facts)
{
	return !facts->is_bounce && limits->delay_notice > 0 &&
	    facts->now - facts->arrival >= limits->delay_notice;
}
