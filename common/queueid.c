/*
 * Queue ids as text: thirteen digits of base 32, most significant first.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "queueid.h"

#define DIGIT_BITS	5
#define TOP_BITS	4	/* 12 digits hold 60 bits, the first the rest */

static const char digits[] = "0123456789abcdefghijklmnopqrstuv";

char *
queueid_print(uint64_t id, char *text)
{
	int	 i;

	for (i = QUEUEID_LENGTH - 1; i >= 0; i--) {
		text[i] = digits[id & ((1 << DIGIT_BITS) - 1)];
		id >>= DIGIT_BITS;
	}
	text[QUEUEID_LENGTH] = '\0';
	return text;
}

int
queueid_parse(const char *text, uint64_t *id)
{
	const char	*digit;
	uint64_t	 value = 0;
	int		 i;

	for (i = 0; i < QUEUEID_LENGTH; i++) {
		if (text[i] == '\0' ||
		    (digit = strchr(digits, text[i])) == NULL)
			return -1;
		if (i == 0 && digit - digits >= 1 << TOP_BITS)
			return -1;
		value = value << DIGIT_BITS | (uint64_t)(digit - digits);
	}
	if (text[QUEUEID_LENGTH] != '\0')
		return -1;
	*id = value;
	return 0;
}
