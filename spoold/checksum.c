/*
 * A checksum that finds a damaged row; it withstands accidents, not enemies.
 */
#include <string.h>

#include "spoold.h"

#define PRIME	UINT64_C(0x9e3779b97f4a7c15)

/* Carry sum on over more octets, eight at a time. */
uint64_t
checksum(uint64_t sum, const void *octets, size_t length)
{
	const char	*at = octets;
	uint64_t	 word;

	sum ^= length * PRIME;
	for (; length >= sizeof(word); length -= sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		at += sizeof(word);
		sum = (sum ^ word) * PRIME;
		sum ^= sum >> 29;
	}
	word = 0;
	memcpy(&word, at, length);
	sum = (sum ^ word) * PRIME;
	return sum ^ sum >> 32;
}
