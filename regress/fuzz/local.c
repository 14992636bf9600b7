/* links: smtpd/local.c smtpd/buffer.c common/header.c common/clock.c
 * common/queueid.c common/log.c */
/*
 * The header of a local submission: the same however its lines are cut, with
 * what a message must have, without what must not travel.
 */
#include "fuzz.h"
#include "header.h"
#include "smtpd/smtpd.h"

static void
emit(void *context, const char *text, size_t length)
{
	buffer_append(context, text, length);
}

static void
complete(const char *text, size_t length, size_t part, struct buffer *out)
{
	struct local_header header = { .mail_name = "d.test",
	    .sender = "joe@d.test", .id = 1, .arrival = 1, .emit = emit,
	    .context = out };
	size_t at, n;

	for (at = 0; at < length; at += n) {
		n = length - at < part ? length - at : part;
		local_feed(&header, text + at, n);
	}
	local_end(&header);
	local_free(&header);
}

/* What there is once, and what there is not. */
static void
check(const char *text, size_t length)
{
	struct header_field field;

	require(header_find(text, length, "Date", &field) == 0);
	require(header_find(text, length, "From", &field) == 0);
	require(header_find(text, length, "Message-ID", &field) == 0);
	require(header_find(text, length, "Bcc", &field) == -1);
	require(header_find(text, length, "Resent-Bcc", &field) == -1);
	require(header_find(text, length, "Return-Path", &field) == -1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	size_t part = 1 + fuzz_byte(&in), i, n = 0;
	struct buffer whole = { 0 }, parts = { 0 };
	char *text = fuzz_need(malloc(2 * in.left + 3));

	/* As it comes from DATA: lines end in CRLF. */
	for (i = 0; i < in.left; i++) {
		if (in.at[i] == '\n')
			text[n++] = '\r';
		if (in.at[i] != '\r' && in.at[i] != '\0')
			text[n++] = (char)in.at[i];
	}
	if (n > 0 && text[n - 1] != '\n') {
		text[n++] = '\r';
		text[n++] = '\n';
	}
	complete(text, n, n + 1, &whole);
	complete(text, n, part, &parts);
	require(whole.length == parts.length &&
	    memcmp(whole.data, parts.data, whole.length) == 0);
	check(whole.data, whole.length);
	buffer_free(&whole);
	buffer_free(&parts);
	free(text);
	return 0;
}
