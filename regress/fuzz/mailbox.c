/* links: deliver/body.c common/header.c common/log.c common/queueid.c
 * common/clock.c */
/*
 * A message on its way into a mailbox: the same from memory and from a file,
 * and for buffers of any size; ended by LF; no From_ line within an mbox, no
 * Return-Path but ours.
 */
#include <sys/mman.h>

#include <unistd.h>

#include "deliver/deliver.h"
#include "fuzz.h"
#include "header.h"

static const char prefix[] = "Return-Path: <>\nDelivered-To: joe\n";

static char *
read_all(const struct body *body, bool quote, size_t part, size_t *length)
{
	struct body_stream *stream = body_stream_new();
	char *text = fuzz_need(malloc(sizeof(prefix) + 2 * body->size + 2));
	char *piece;
	ssize_t n;

	*length = 0;
	body_open(stream, body, prefix, quote);
	do {
		piece = fuzz_need(malloc(part));
		n = body_read(stream, piece, part);
		require(n >= 0 && (size_t)n <= part);
		require(*length + (size_t)n <=
		    sizeof(prefix) + 2 * body->size + 2);
		memcpy(text + *length, piece, (size_t)n);
		*length += (size_t)n;
		free(piece);
	} while (n > 0);
	body_stream_free(stream);
	return text;
}

static void
check(const char *text, size_t length, bool quote)
{
	struct header_field field;
	const char *end = text + length, *lf;
	size_t left = length;
	int paths = 0;

	require(length >= sizeof(prefix) - 1 &&
	    memcmp(text, prefix, sizeof(prefix) - 1) == 0);
	require(text[length - 1] == '\n');
	for (lf = text; quote && lf < end;
	    lf = (const char *)memchr(lf, '\n', (size_t)(end - lf)) + 1)
		require(end - lf < 5 || memcmp(lf, "From ", 5) != 0);
	while (header_next(&text, &left, &field) == 1)
		paths += header_is(&field, "Return-Path");
	require(paths == 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	bool quote = fuzz_byte(&in) & 1;
	size_t part = 64 + fuzz_byte(&in), length, again, filed;
	struct body memory = { 0 }, file = { 0 };
	char *whole, *parts, *text;

	memory.memory = (const char *)in.at;
	memory.size = file.size = in.left;
	memory.fd = -1;
	file.fd = memfd_create("fuzz", MFD_CLOEXEC);
	require(write(file.fd, in.at, in.left) == (ssize_t)in.left);
	whole = read_all(&memory, quote, 65536, &length);
	parts = read_all(&memory, quote, part, &again);
	text = read_all(&file, quote, part, &filed);
	require(length == again && memcmp(whole, parts, length) == 0);
	require(length == filed && memcmp(whole, text, length) == 0);
	check(whole, length, quote);
	require(body_was_delivered_to(&memory, "joe@d.test") ==
	    (in.left > 0 ? body_was_delivered_to(&file, "joe@d.test") : 0));
	require(close(file.fd) == 0);
	free(whole);
	free(parts);
	free(text);
	return 0;
}
