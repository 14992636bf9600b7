/*
 * How much a next hop bears: how many transactions at a time, and how many
 * in a time.  Pure: all it knows comes in, and nothing else.
 */
#include "spoold.h"

#define FIRST_ALLOWED	5	/* of a hop that nothing is known of */
#define BURST_PART	10	/* of a rate: so much may go at once */

/* Nothing is known of it yet; limit is what the configuration allows. */
void
pace_start(struct pace *pace, uint32_t limit)
{
	pace->allowed = limit < FIRST_ALLOWED ? limit : FIRST_ALLOWED;
	if (pace->allowed == 0)
		pace->allowed = 1;
	pace->proven = false;
}

/* A transaction reached a server: one more at a time. */
void
pace_reached(struct pace *pace, uint32_t limit)
{
	pace->proven = true;
	if (pace->allowed < limit)
		pace->allowed++;
	else if (limit > 0)
		pace->allowed = limit;
}

/* One did not: half as many. */
void
pace_failed(struct pace *pace)
{
	pace->proven = false;
	if (pace->allowed > 1)
		pace->allowed /= 2;
}

/* It was closed: one, to see. */
void
pace_probe(struct pace *pace)
{
	pace->proven = false;
	pace->allowed = 1;
}

/*
 * A rate's bucket holds a tenth of its count, and is refilled so slowly that
 * with a full one at its beginning no time sees more than the count.  What is
 * kept of it is when it will be full again.
 */
static int64_t
burst(const struct rate *rate)
{
	return rate->count < BURST_PART ? 1 : rate->count / BURST_PART;
}

/* The time that one takes to be refilled. */
static int64_t
interval(const struct rate *rate)
{
	int64_t	 refills = rate->count - burst(rate) + 1;

	return (rate->time + refills - 1) / refills;
}

/* When the next one may go. */
int64_t
rate_opens(const struct rate *rate, int64_t full_at)
{
	if (rate->count == 0)
		return INT64_MIN;
	return full_at - (burst(rate) - 1) * interval(rate);
}

/* One goes now.  Returns when the bucket will be full again. */
int64_t
rate_take(const struct rate *rate, int64_t full_at, int64_t now)
{
	if (rate->count == 0)
		return now;
	return (full_at > now ? full_at : now) + interval(rate);
}
