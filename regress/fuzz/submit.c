/* links: ctl/submit.c ctl/smtp.c ctl/message.c common/header.c
 * common/address.c common/log.c common/clock.c common/queueid.c */
/*
 * A submission to a server that says anything, ahead of time or too little,
 * and closes: it comes to an end, sends whole lines only, and believes that a
 * recipient was taken only if the message had gone to its dot.  The input is
 * how many recipients, then what the server says.
 */
#include <sys/socket.h>

#include <unistd.h>

#include "ctl/ctl.h"
#include "fuzz.h"

#define RECIPIENTS	60		/* more than leave together */
#define OCTETS		30000

static struct {
	struct fuzz_input in;
	int	 far;
} play;

/* Whatever it will say is there, and then its end. */
int
connect_to(const char *path, int milliseconds)
{
	int pair[2];

	(void)path;
	(void)milliseconds;
	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0, pair) == 0);
	play.far = pair[1];
	require(send(play.far, play.in.at, play.in.left, MSG_NOSIGNAL) ==
	    (ssize_t)play.in.left);
	require(shutdown(play.far, SHUT_WR) == 0);
	return pair[0];
}

/* All that was sent to the server; *dotted if a message went whole. */
static void
check_sent(bool *dotted)
{
	static char text[65536];
	size_t length = 0, i;
	ssize_t n;

	while (length < sizeof(text) && (n = recv(play.far, text + length,
	    sizeof(text) - length, 0)) > 0)
		length += (size_t)n;
	*dotted = memmem(text, length, "\r\n.\r\n", 5) != NULL;
	require(length == 0 || text[length - 1] == '\n');
	for (i = 0; i < length; i++)
		require(text[i] == '\n' ? i > 0 && text[i - 1] == '\r' :
		    text[i] != '\r' || (i + 1 < length &&
		    text[i + 1] == '\n'));
}

static void
add_recipients(struct envelope *envelope, size_t count, uint8_t bits)
{
	struct recipient *recipient;
	char address[32];

	envelope->recipients = fuzz_need(calloc(count,
	    sizeof(*envelope->recipients)));
	for (; envelope->count < count; envelope->count++) {
		recipient = &envelope->recipients[envelope->count];
		(void)snprintf(address, sizeof(address), "r%zu@b",
		    envelope->count);
		recipient->address = fuzz_need(strdup(address));
		/* Some were refused before. */
		if (envelope->count % 7 == 3 && (bits & 1))
			recipient->code = 550;
		if (bits & 2)
			recipient->orcpt = fuzz_need(strdup("rfc822;x"));
	}
	(void)strlcpy(envelope->sender, "a@b", sizeof(envelope->sender));
	envelope->eight_bit = bits & 4;
	envelope->notify = bits & 8 ? "NEVER" : NULL;
	envelope->ret = bits & 16 ? "HDRS" : NULL;
	envelope->envid = bits & 16 ? "x" : NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char head[] = "Subject: x\r\n";
	static const char body[] = "text\r\n.\r\n..\r\n";
	static const struct place place;
	struct envelope envelope = { .count = 0 };
	struct message message;
	uint8_t bits;
	bool dotted;
	size_t i;

	play.in = (struct fuzz_input){ data, size };
	add_recipients(&envelope, 1 + fuzz_byte(&play.in) % RECIPIENTS,
	    bits = fuzz_byte(&play.in));
	play.in.left = play.in.left < OCTETS ? play.in.left : OCTETS;
	memset(&message, 0, sizeof(message));
	require(message_begin(&message) == 0);
	message_header(&message, head, sizeof(head) - 1);
	message_body(&message, body, sizeof(body) - 1);
	play.far = -1;
	submit(&place, &message, &envelope, false);
	if (play.far != -1) {
		check_sent(&dotted);
		require(close(play.far) == 0);
		for (i = 0; i < envelope.count; i++)
			require(envelope.recipients[i].code / 100 != 2 ||
			    dotted);
	}
	for (i = 0; i < envelope.count; i++)
		require(envelope.recipients[i].code == 0 || (bits & 1) ||
		    envelope.recipients[i].reply != NULL);
	message_free(&message);
	for (i = 0; i < envelope.count; i++) {
		free(envelope.recipients[i].address);
		free(envelope.recipients[i].reply);
		free(envelope.recipients[i].orcpt);
	}
	free(envelope.recipients);
	return 0;
}
