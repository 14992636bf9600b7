/*
 * A queue id: a 64-bit number that is never used twice, printed as 13
 * characters of base 32 (0-9 a-v), so that text sorts as numbers do.
 */
#ifndef QUEUEID_H
#define QUEUEID_H

#include <stdint.h>

#define QUEUEID_LENGTH	13

/* Print into an array of QUEUEID_LENGTH + 1; returns it. */
char	*queueid_print(uint64_t, char *);

/* Returns 0 with the id, or -1 if text is none. */
int	 queueid_parse(const char *, uint64_t *);

#endif
