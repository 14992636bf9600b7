/*
 * Text that others said, for a place that takes one line: printable ASCII,
 * blanks included.
 */
#ifndef PRINTABLE_H
#define PRINTABLE_H

#include <stdbool.h>

static inline bool
is_printable(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

/* Each other octet becomes a question mark. */
static inline void
make_printable(char *text)
{
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

#endif
