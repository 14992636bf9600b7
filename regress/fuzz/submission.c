/* links: ctl/input.c ctl/message.c ctl/envelope.c common/header.c
 * common/address.c common/log.c common/clock.c common/queueid.c */
/*
 * Standard input of sendmail as a message: legal in every form it leaves in,
 * to those whom the header names, without what must not travel.
 */
#include "ctl/ctl.h"
#include "fuzz.h"

/* What identity.c makes of the account, played. */
void
identity_from(const char *name, const char *address, char *text, size_t size)
{
	(void)name;
	(void)snprintf(text, size, "From: %s\r\n", address);
}

static int
collect(void *argument, const char *text, size_t length)
{
	return fwrite(text, 1, length, argument) == length ? 0 : -1;
}

static char *
form_of(const struct message *message, enum form form, size_t *length)
{
	char *text = NULL;
	FILE *out = fuzz_need(open_memstream(&text, length));

	require(message_copy(message, form, collect, out) == 0);
	require(fclose(out) == 0);
	return text;
}

/* As SMTP it has no lone CR or LF, no NUL, and no line that ends it. */
static void
check_smtp(const struct message *message)
{
	size_t length, i;
	char *text = form_of(message, FORM_SMTP, &length);

	require(length >= 2 && text[length - 1] == '\n');
	for (i = 0; i < length; i++) {
		require(text[i] != '\0');
		if (text[i] == '\n')
			require(i > 0 && text[i - 1] == '\r');
		if (text[i] == '\r')
			require(i + 1 < length && text[i + 1] == '\n');
	}
	require(length < 3 || memcmp(text, ".\r\n", 3) != 0);
	require(memmem(text, length, "\r\n.\r\n", 5) == NULL);
	free(text);
}

static void
check_unix(const struct message *message)
{
	size_t length;
	char *text = form_of(message, FORM_UNIX, &length);

	require(memmem(text, length, "\nFrom ", 6) == NULL);
	require(memchr(text, '\r', length) == NULL);
	require(length > 0 && text[length - 1] == '\n');
	free(text);
}

static void
check_header(struct message *message)
{
	struct envelope envelope = { .count = 0 };
	struct header_field field;
	const char *address;
	size_t i;

	envelope_from_header(&envelope, message);
	for (i = 0; i < envelope.count; i++) {
		address = envelope.recipients[i].address;
		require(strlen(address) < HEADER_ADDRESS);
		require(strpbrk(address, "\r\n") == NULL);
		require(envelope.recipients[i].code == 0 ||
		    envelope.recipients[i].reply != NULL);
	}
	envelope_free(&envelope);
	header_clean(message);
	header_complete(message, "joe", "joe@d.test");
	require(header_find(message->header, message->header_length, "Bcc",
	    &field) == -1);
	require(header_find(message->header, message->header_length, "From",
	    &field) == 0);
	require(header_length(message->header, message->header_length, &i) ==
	    message->header_length);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	bool dot_ends = fuzz_byte(&input) & 1;
	struct message message;
	char sender[64], *copied;
	size_t length;
	FILE *in;

	if (input.left == 0)
		return 0;
	copied = fuzz_need(malloc(input.left));
	memcpy(copied, input.at, input.left);
	in = fuzz_need(fmemopen(copied, input.left, "r"));
	memset(&message, 0, sizeof(message));
	require(message_read(in, dot_ends, &message) == 0);
	check_header(&message);
	free(form_of(&message, FORM_PLAIN, &length));
	require(length == message_size(&message));
	check_smtp(&message);
	check_unix(&message);
	if (message.from_line != NULL && envelope_from_line(message.from_line,
	    sender, sizeof(sender)) == 0)
		require(strlen(sender) < sizeof(sender) &&
		    strchr(sender, ' ') == NULL);
	message_free(&message);
	require(fclose(in) == 0);
	free(copied);
	return 0;
}
