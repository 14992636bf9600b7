/* links: relay/transaction.c relay/command.c relay/reply.c common/log.c
 * common/queueid.c common/clock.c */
/*
 * The frames by which spoold hands relay a message: taken only if they fit
 * together, read back as the same, and answered once for each recipient.
 */
#include <unistd.h>

#include "fuzz.h"
#include "relay/relay.h"

static size_t	told, answered;

void
tell_relay_result(struct link *link, const struct w_relay_result_ntf *ntf)
{
	(void)link;
	require(memchr(ntf->text, '\0', sizeof(ntf->text)) != NULL);
	require(memchr(ntf->status, '\0', sizeof(ntf->status)) != NULL);
	told++;
}

void
answer_relay_deliver(struct link *link, uint32_t id,
    const struct w_relay_deliver_ans *ans)
{
	(void)link;
	(void)id;
	(void)ans;
	answered++;
}

void
relay_idle(void)
{
}

static void
add_recipients(struct fuzz_input *in, struct transaction *t, size_t count)
{
	struct w_relay_rcpt_ntf ntf = { .transaction = 1 };
	size_t i;

	for (i = 0; i < count; i++) {
		ntf.recipient = (uint32_t)i;
		ntf.notify = fuzz_number(in);
		fuzz_fill(in, ntf.address, sizeof(ntf.address));
		fuzz_fill(in, ntf.orcpt, sizeof(ntf.orcpt));
		transaction_add(t, &ntf);
		require(t->recipients[i].notify < 16);
		require(command_parameter_fits(t->recipients[i].orcpt));
	}
}

static void
read_back(const struct transaction *t, const uint8_t *body, size_t length,
    size_t part)
{
	char *text = fuzz_need(malloc(part));
	uint64_t at = 0;
	ssize_t n;

	while ((n = transaction_read(t, at, text, part)) > 0) {
		require((size_t)n <= part && at + (size_t)n <= length);
		require(memcmp(text, body + at, (size_t)n) == 0);
		at += (uint64_t)n;
	}
	require(n == 0 && at == length);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct link *const link = (struct link *)&told;
	struct fuzz_input in = { data, size };
	struct w_relay_deliver_req req = { .transaction = 1, .id = 2 };
	struct frame frame = { .id = 7, .fd = -1 };
	struct transaction *t = transaction_new(link, 1);
	struct reply reply;
	size_t count = fuzz_byte(&in) % 8, part = 1 + fuzz_byte(&in), i;
	uint8_t bits = fuzz_byte(&in);
	char *line;

	add_recipients(&in, t, count);
	fuzz_fill(&in, req.sender, sizeof(req.sender));
	fuzz_fill(&in, req.envid, sizeof(req.envid));
	line = fuzz_line(&in);
	req.recipients = (uint32_t)count + (bits & 1);
	req.size = in.left + (bits & 2);
	req.body_in_file = bits & 4;
	frame.tail = in.at;
	frame.tail_length = in.left;
	told = answered = 0;
	if (transaction_complete(t, &req, &frame) == -1) {
		require(count == 0 || (bits & 7) != 0);
		transaction_free(t);
		free(line);
		return 0;
	}
	require(count > 0 && (bits & 7) == 0);
	require(command_parameter_fits(t->envid));
	read_back(t, in.at, in.left, part);
	reply_fault(&reply, STAGE_RCPT, 550, "5.1.1", "%s", line);
	for (i = 0; i < count; i++)
		t->recipients[i].accepted = i & 1;
	transaction_rest(t, &reply, true);
	require(told == count / 2);
	transaction_rest(t, &reply, false);
	transaction_rest(t, &reply, false);
	require(told == count);
	transaction_done(t, 0, line, "none");
	require(answered == 1);
	free(line);
	return 0;
}
