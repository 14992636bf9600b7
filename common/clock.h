/*
 * Time: microseconds since 1970, or of the monotonic clock; the functions
 * that decide by time get it as an argument.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define SECOND	INT64_C(1000000)
#define MINUTE	(60 * SECOND)
#define HOUR	(60 * MINUTE)
#define DAY	(24 * HOUR)

int64_t	clock_now(void);
int64_t	clock_monotonic(void);

/*
 * As the Date field of RFC 5322 3.3 has it: "Sat, 21 Nov 2026 03:39:10 +0000";
 * needs 32 octets.
 */
void	clock_date(int64_t, char *, size_t);

#endif
