/* links: relay/body.c smtpd/dotread.c regress/fuzz/help/read_back.c */
/*
 * The writer of DATA: what it writes has lines of at most 998 octets, ended
 * by CRLF, no CR or LF elsewhere, and is read back by our own reader as the
 * same message; the same however it is cut.
 */
#include "fuzz.h"
#include "help/read_back.h"
#include "relay/relay.h"

#define LINE	998

/* As it was written, in parts of that length; to be freed. */
static char *
write_parts(const char *in, size_t length, size_t part, size_t *written,
    uint64_t *broken)
{
	struct evbuffer *out = fuzz_need(evbuffer_new());
	struct body body;
	size_t at, n;
	char *text;

	body_start(&body);
	for (at = 0; at < length; at += n) {
		n = length - at < part ? length - at : part;
		body_add(&body, out, in + at, n);
	}
	body_end(&body, out);
	*broken = body.broken;
	*written = evbuffer_get_length(out);
	text = fuzz_need(malloc(*written));
	require(evbuffer_remove(out, text, *written) == (int)*written);
	evbuffer_free(out);
	return text;
}

static void
check_lines(const char *text, size_t length)
{
	size_t column = 0, i;

	for (i = 0; i < length; i++) {
		if (text[i] == '\r') {
			require(i + 1 < length && text[i + 1] == '\n');
			/* A dot that was doubled does not count. */
			require(column <= LINE + 1);
			column = 0;
			i++;
		} else {
			require(text[i] != '\n');
			column++;
		}
	}
	require(column == 0);
}

/* The message with each CRLF, CR or LF as CRLF, the last line ended. */
static char *
normal(const char *in, size_t length, size_t *made)
{
	char *text = fuzz_need(malloc(2 * length + 2));
	size_t i, n = 0;

	for (i = 0; i < length; i++) {
		if (in[i] != '\r' && in[i] != '\n') {
			text[n++] = in[i];
			continue;
		}
		text[n++] = '\r';
		text[n++] = '\n';
		if (in[i] == '\r' && i + 1 < length && in[i + 1] == '\n')
			i++;
	}
	if (n > 0 && text[n - 1] != '\n') {
		text[n++] = '\r';
		text[n++] = '\n';
	}
	*made = n;
	return text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	size_t part = 1 + fuzz_byte(&in), length, cut_length, wanted;
	uint64_t broken, cut_broken;
	struct read_back result;
	char *text, *cut, *read, *meant;

	text = write_parts((const char *)in.at, in.left, in.left + 1, &length,
	    &broken);
	cut = write_parts((const char *)in.at, in.left, part, &cut_length,
	    &cut_broken);
	require(length == cut_length && broken == cut_broken &&
	    memcmp(text, cut, length) == 0);
	check_lines(text, length);

	read = fuzz_need(malloc(length + 2));
	result = read_back(text, length, read);
	require(result.taken == length && result.ended && !result.long_line);
	meant = normal((const char *)in.at, in.left, &wanted);
	if (memchr(in.at, '\0', in.left) == NULL)
		require(!result.bare);
	if (broken == 0)
		require(result.made == wanted &&
		    memcmp(read, meant, wanted) == 0);
	else
		require(result.made > wanted);
	free(text);
	free(cut);
	free(read);
	free(meant);
	return 0;
}
