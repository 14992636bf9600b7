/*
 * Reads the clocks and prints a time as mail does.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "clock.h"

static const char *const days[] = {
	"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"
};
static const char *const months[] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun",
	"Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
};

static int64_t
read_clock(clockid_t which)
{
	struct timespec	 now;

	if (clock_gettime(which, &now) == -1)
		abort();
	return (int64_t)now.tv_sec * SECOND + now.tv_nsec / 1000;
}

int64_t
clock_now(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t
clock_monotonic(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

void
clock_date(int64_t when, char *text, size_t size)
{
	time_t		 seconds = (time_t)(when / SECOND);
	struct tm	 local;
	long		 east;

	/* A year beyond what struct tm holds: the epoch, in form at least. */
	if (localtime_r(&seconds, &local) == NULL) {
		seconds = 0;
		(void)gmtime_r(&seconds, &local);
	}
	east = local.tm_gmtoff / 60;
	(void)snprintf(text, size, "%s, %d %s %d %02d:%02d:%02d %c%02ld%02ld",
	    days[local.tm_wday], local.tm_mday, months[local.tm_mon],
	    local.tm_year + 1900, local.tm_hour, local.tm_min, local.tm_sec,
	    east < 0 ? '-' : '+', labs(east) / 60, labs(east) % 60);
}
