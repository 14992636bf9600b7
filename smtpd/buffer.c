/*
 * Octets that came and wait to be handled, or that wait to leave.  Owns its
 * memory, which an empty buffer has none of.
 */
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "smtpd.h"

#define BUFFER_FIRST	1024

void
buffer_append(struct buffer *buffer, const void *data, size_t length)
{
	size_t size = buffer->size > 0 ? buffer->size : BUFFER_FIRST;
	char *grown;

	if (length == 0)
		return;
	while (size < buffer->length + length)
		size *= 2;
	if (size != buffer->size) {
		if ((grown = realloc(buffer->data, size)) == NULL)
			fatal("buffer of %zu octets", size);
		buffer->data = grown;
		buffer->size = size;
	}
	memcpy(buffer->data + buffer->length, data, length);
	buffer->length += length;
}

void
buffer_drop(struct buffer *buffer, size_t length)
{
	if (length >= buffer->length) {
		buffer_free(buffer);
		return;
	}
	memmove(buffer->data, buffer->data + length, buffer->length - length);
	buffer->length -= length;
}

void
buffer_free(struct buffer *buffer)
{
	free(buffer->data);
	memset(buffer, 0, sizeof(*buffer));
}
