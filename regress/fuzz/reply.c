/* links: relay/reply.c */
/*
 * What servers say, line by line, and what they offer: bounded, printable,
 * and never another class of reply than its code.
 */
#include <ctype.h>

#include "fuzz.h"
#include "relay/relay.h"

static void
check_status(const struct reply *reply)
{
	unsigned int class, subject, detail;
	int used = 0;

	require(sscanf(reply->status, "%1u.%3u.%3u%n", &class, &subject,
	    &detail, &used) == 3 && reply->status[used] == '\0');
	require((int)class == reply->code / 100 ||
	    (reply->code / 100 == 3 && class == 4));
}

static void
check(struct reply *reply)
{
	enum relay_verdict verdict;

	require(reply->code >= 200 && reply->code <= 599 && reply->replied);
	require(strlen(reply->text) < sizeof(reply->text) &&
	    fuzz_is_printable(reply->text));
	check_status(reply);
	verdict = reply_verdict(reply);
	require((verdict == RELAY_DONE) == (reply->code / 100 == 2) &&
	    (verdict == RELAY_FAILED) == (reply->code / 100 == 5));
	reply_soften(reply);
	require(reply->code / 100 == 4 && reply->status[0] == '4');
	require(reply_verdict(reply) == RELAY_DEFERRED);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct offer offer = { 0 };
	struct reply reply, fault;
	char *line;
	int result = 0;

	reply_start(&reply);
	while (in.left > 0) {
		line = fuzz_line(&in);
		offer_add(&offer, strlen(line) > 4 ? line + 4 : line);
		require(strlen(offer.auth) < sizeof(offer.auth));
		result = reply_add(&reply, line);
		require(result >= -1 && result <= 1);
		reply_fault(&fault, STAGE_CONNECT, 451, "4.4.1", "%s", line);
		require(fuzz_is_printable(fault.text) && !fault.replied);
		free(line);
		if (result == 1)
			check(&reply);
		if (result != 0)
			reply_start(&reply);
	}
	return 0;
}
