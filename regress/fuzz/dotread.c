/* links: smtpd/dotread.c smtpd/hops.c */
/*
 * The reader of DATA, beside a plain one that has all octets at once; and the
 * same however the octets are cut.
 */
#include "fuzz.h"
#include "smtpd/smtpd.h"

struct result {
	char	*out;
	size_t	 length;
	size_t	 taken;
	bool	 ended;
	bool	 bare;
	uint32_t hops;
};

/* The message ends at the first CRLF.CRLF, a CRLF thought before it. */
static void
plainly(const char *in, size_t length, struct result *result)
{
	size_t at = 0, n;
	const char *crlf;

	memset(result, 0, sizeof(*result));
	result->out = fuzz_need(malloc(length + 1));
	while (at < length) {
		if (length - at >= 3 && memcmp(in + at, ".\r\n", 3) == 0) {
			result->taken = at + 3;
			result->ended = true;
			return;
		}
		crlf = memmem(in + at, length - at, "\r\n", 2);
		n = crlf != NULL ? (size_t)(crlf - in) + 2 - at : length - at;
		if (memchr(in + at, '\0', n) != NULL ||
		    memchr(in + at, '\n', n - (crlf != NULL)) != NULL ||
		    memchr(in + at, '\r', n - (crlf != NULL ? 2 : 1)) != NULL)
			result->bare = true;
		if (in[at] == '.') {
			at++;
			n--;
		}
		memcpy(result->out + result->length, in + at, n);
		result->length += n;
		at += n;
	}
	result->taken = length;
}

/* With our reader, in parts of these lengths. */
static void
in_parts(const char *in, size_t length, size_t part, struct result *result)
{
	struct dotread dots = { .line_length = part * 3 };
	struct hops hops = { 0 };
	char *text;
	size_t made, n, taken;

	memset(result, 0, sizeof(*result));
	result->out = fuzz_need(malloc(length + 1));
	while (result->taken < length && dots.state != DOTREAD_END) {
		n = length - result->taken < part ? length - result->taken :
		    part;
		text = fuzz_need(malloc(n + 2));
		taken = dotread_decode(&dots, in + result->taken, n, text,
		    &made);
		require(taken <= n && made <= n + 2);
		require(taken == n || dots.state == DOTREAD_END);
		require(result->length + made <= length);
		hops_count(&hops, text, made);
		memcpy(result->out + result->length, text, made);
		result->length += made;
		result->taken += taken;
		free(text);
	}
	result->ended = dots.state == DOTREAD_END;
	result->bare = dots.bare;
	result->hops = hops.count;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	size_t part = 1 + fuzz_byte(&in);
	struct result plain, whole, parts;

	plainly((const char *)in.at, in.left, &plain);
	in_parts((const char *)in.at, in.left, in.left + 1, &whole);
	in_parts((const char *)in.at, in.left, part, &parts);
	require(whole.taken == parts.taken && whole.length == parts.length &&
	    whole.ended == parts.ended && whole.bare == parts.bare &&
	    whole.hops == parts.hops &&
	    memcmp(whole.out, parts.out, whole.length) == 0);
	if (plain.ended) {
		require(whole.ended && whole.taken == plain.taken);
		require(whole.bare == plain.bare);
		require(whole.length == plain.length &&
		    memcmp(whole.out, plain.out, plain.length) == 0);
	} else
		require(!whole.ended);
	free(plain.out);
	free(whole.out);
	free(parts.out);
	return 0;
}
