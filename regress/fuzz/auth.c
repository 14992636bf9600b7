/* links: relay/auth.c common/log.c common/queueid.c common/clock.c */
/*
 * Challenges of servers: whatever they say, a response is one line that fits,
 * or there is a fault that says why; SCRAM is over only if it was proved.
 */
#include "fuzz.h"
#include "relay/relay.h"

static char	login[] = "user", password[] = "pencil", key[] = "isp",
		nobody[] = "";

/* Go on with what a line says, as base64 or as it is. */
static int
step(struct auth *auth, char *line, bool is_plain)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *from = (const unsigned char *)line;
	char out[AUTH_LINE], *text, *to;
	size_t length = strlen(line);
	unsigned int group;
	int result;

	text = to = fuzz_need(malloc(length / 3 * 4 + 5));
	for (; is_plain && length > 0; length -= length < 3 ? length : 3) {
		group = from[0] << 16 | (length > 1 ? from[1] << 8 : 0) |
		    (length > 2 ? from[2] : 0);
		*to++ = digits[group >> 18];
		*to++ = digits[group >> 12 & 63];
		*to++ = length > 1 ? digits[group >> 6 & 63] : '=';
		*to++ = length > 2 ? digits[group & 63] : '=';
		from += 3;
	}
	*to = '\0';
	memset(out, 'x', sizeof(out));
	result = auth_step(auth, is_plain ? text : line, out, sizeof(out));
	free(text);
	if (result == 0)
		require(memchr(out, '\0', sizeof(out)) != NULL &&
		    fuzz_is_printable(out));
	require((result == 0) == (auth_fault(auth)[0] == '\0'));
	return result;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool is_open;
	static const char *const names[] = { "SCRAM-SHA-256", "SCRAM-SHA-1",
	    "CRAM-MD5", "PLAIN", "LOGIN" };
	struct secret secret = { key, nobody, login, password };
	struct policy policy = { 0 };
	struct fuzz_input in = { data, size };
	const char *wanted[1], *why;
	uint8_t choice = fuzz_byte(&in);
	struct auth *auth;
	char *offered, *line, out[AUTH_LINE];

	if (!is_open)
		auth_open();
	is_open = true;
	wanted[0] = names[choice % 5];
	policy.auth = wanted;
	policy.auth_count = choice & 8 ? 0 : 1;
	offered = fuzz_line(&in);
	auth = auth_new(&secret, &policy, choice & 16 ? offered : wanted[0],
	    "mx.test", &why);
	require((auth == NULL) == (why != NULL));
	if (auth != NULL && auth_step(auth, NULL, out, sizeof(out)) == 0) {
		require(strncmp(out, "AUTH ", 5) == 0 &&
		    fuzz_is_printable(out) && strlen(out) <= 510);
		while (in.left > 0) {
			line = fuzz_line(&in);
			if (step(auth, line, choice & 32) == -1)
				in.left = 0;
			free(line);
		}
	}
	/* The nonce is ours and new: nothing here can have proved itself. */
	if (auth != NULL && strncmp(auth_mechanism(auth), "SCRAM", 5) == 0)
		require(auth_finish(auth, offered) == -1);
	auth_free(auth);
	free(offered);
	return 0;
}
