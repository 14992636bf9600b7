/* links: relay/auth.c common/log.c common/queueid.c common/clock.c */
/*
 * Challenges of servers: whatever they say, a response is one line that fits,
 * or there is a fault that says why; SCRAM is over only if it was proved.
 */
#include <gsasl.h>

#include "fuzz.h"
#include "relay/relay.h"

static char	login[] = "user", password[] = "pencil", key[] = "isp",
		nobody[] = "";

/* The nonce within our first response, or "". */
static char *
nonce_of(const char *out)
{
	const char *response = strrchr(out, ' ') + 1, *at;
	char *message, *nonce;
	size_t length;

	if (gsasl_base64_from(response, strlen(response), &message,
	    &length) != GSASL_OK)
		return fuzz_need(strdup(""));
	at = memmem(message, length, ",r=", 3);
	nonce = at == NULL ? strdup("") : strndup(at + 3, length -
	    (size_t)(at + 3 - message));
	gsasl_free(message);
	return fuzz_need(nonce);
}

/* A line as the server means it, as base64: $ is our nonce. */
static char *
encode(const char *line, const char *nonce)
{
	char *text = NULL, *base64;
	size_t length;
	FILE *out = fuzz_need(open_memstream(&text, &length));

	for (; *line != '\0'; line++)
		if (*line == '$')
			fputs(nonce, out);
		else
			putc(*line, out);
	require(fclose(out) == 0);
	require(gsasl_base64_to(text, length, &base64, NULL) == GSASL_OK);
	free(text);
	return base64;
}

/* Go on with what the server said. */
static int
step(struct auth *auth, const char *challenge)
{
	char out[AUTH_LINE];
	int result;

	memset(out, 'x', sizeof(out));
	result = auth_step(auth, challenge, out, sizeof(out));
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
	char *offered, *line, *challenge, *nonce, out[AUTH_LINE];

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
		nonce = nonce_of(out);
		while (in.left > 0) {
			line = fuzz_line(&in);
			challenge = encode(line, nonce);
			if (step(auth, choice & 32 ? challenge : line) == -1)
				in.left = 0;
			gsasl_free(challenge);
			free(line);
		}
		free(nonce);
	}
	/* No input can have proved itself, since the nonce is a new one. */
	if (auth != NULL && strncmp(auth_mechanism(auth), "SCRAM", 5) == 0)
		require(auth_finish(auth, offered) == -1);
	auth_free(auth);
	free(offered);
	return 0;
}
