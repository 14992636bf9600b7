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

bool
retry_expired(const struct settings *limits, const struct retry_facts *facts)
{
	int64_t	 lifetime = limits->expire;

	if (facts->is_bounce && limits->bounce_expire < lifetime)
		lifetime = limits->bounce_expire;
	if (facts->is_brief && BRIEF < lifetime)
		lifetime = BRIEF;
	return facts->now - facts->arrival >= lifetime &&
	    facts->tries >= TRIES_BEFORE_EXPIRY;
}

bool
retry_warn_due(const struct settings *limits, const struct retry_facts *facts)
{
	return !facts->is_bounce && limits->delay_notice > 0 &&
	    facts->now - facts->arrival >= limits->delay_notice;
}
