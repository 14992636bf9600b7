/*
 * What smtpd makes of the octets behind DATA, for harnesses of relay.
 */
#ifndef READ_BACK_H
#define READ_BACK_H

#include <stdbool.h>
#include <stddef.h>

struct read_back {
	size_t	taken;
	size_t	made;
	bool	ended;
	bool	bare;		/* a CR, LF or NUL by itself */
	bool	long_line;	/* than RFC 5321 allows */
};

/* Into an array with room for as many octets and 2 more. */
struct read_back	read_back(const char *, size_t, char *);

#endif
