/*
 * How many hosts a message has passed: the Received fields of its header,
 * counted as the octets flow by.  Pure; keeps nothing of the message.
 */
#include <ctype.h>
#include <string.h>

#include "smtpd.h"

static const char name[] = "received:";

/* One octet of the header that is not the LF of a line's end. */
static void
count_octet(struct hops *hops, char c)
{
	if (hops->column < sizeof(name) - 1) {
		hops->matching = (hops->column == 0 || hops->matching) &&
		    tolower((unsigned char)c) == name[hops->column];
		if (hops->matching && hops->column == sizeof(name) - 2)
			hops->count++;
	}
	if (hops->column < UINT32_MAX)
		hops->column++;
}

void
hops_count(struct hops *hops, const char *data, size_t length)
{
	const char *end = data + length, *lf;

	while (data < end && !hops->ended) {
		if (*data == '\n') {
			/* Of an empty line only the CR came before. */
			hops->ended = hops->column <= 1;
			hops->column = 0;
			data++;
		} else if (hops->column >= sizeof(name) - 1) {
			lf = memchr(data, '\n', (size_t)(end - data));
			data = lf != NULL ? lf : end;
		} else
			count_octet(hops, *data++);
	}
}
