/* links: relay/command.c common/address.c */
/*
 * The commands that relay sends: one line each, with nothing in it that a
 * hostile address or parameter brought, if it was found to fit.
 */
#include "fuzz.h"
#include "relay/relay.h"

static void
check_line(struct evbuffer *out, const char *begins, bool is_8bit)
{
	size_t length = evbuffer_get_length(out), i;
	char *text = fuzz_need(malloc(length + 1));

	require(evbuffer_remove(out, text, length) == (int)length);
	text[length] = '\0';
	require(strncmp(text, begins, strlen(begins)) == 0);
	require(length > 2 && strcmp(text + length - 2, "\r\n") == 0);
	for (i = 0; i < length - 2; i++)
		require((unsigned char)text[i] >= ' ' && text[i] != 127 &&
		    (is_8bit || (text[i] & 0x80) == 0));
	/* The path ends where it seems to: at a > outside of quotes. */
	for (i = strlen(begins); text[i] != '>'; i++) {
		require(text[i] != '\0' && text[i] != ' ' && text[i] != '<');
		if (text[i] != '"')
			continue;
		for (i++; text[i] != '"'; i++) {
			require(text[i] != '\0');
			if (text[i] == '\\')
				i++;
		}
	}
	require(text[i + 1] == ' ' || text[i + 1] == '\r');
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t bits = fuzz_byte(&in), more = fuzz_byte(&in);
	struct offer offer = { .size = bits & 1, .eightbit = bits & 2,
	    .dsn = bits & 4, .smtputf8 = bits & 8 };
	struct recipient recipient = { .notify = bits >> 4 };
	struct transaction txn = { .size = more, .body = more & 1,
	    .ret = more % 3, .recipients = &recipient, .count = 1 };
	struct evbuffer *out = fuzz_need(evbuffer_new());

	txn.sender = fuzz_line(&in);
	recipient.address = fuzz_line(&in);
	txn.envid = fuzz_line(&in);
	recipient.orcpt = fuzz_line(&in);
	if (command_parameter_fits(txn.envid) &&
	    command_parameter_fits(recipient.orcpt) &&
	    command_address_fault(txn.sender, offer.smtputf8) == NULL &&
	    command_address_fault(recipient.address, offer.smtputf8) ==
	    NULL) {
		require(offer.smtputf8 ||
		    (!command_is_international(txn.sender) &&
		    !command_is_international(recipient.address)));
		command_mail(out, &txn, &offer);
		check_line(out, "MAIL FROM:<", offer.smtputf8);
		command_rcpt(out, &recipient, &offer);
		check_line(out, "RCPT TO:<", offer.smtputf8);
	}
	evbuffer_free(out);
	free(txn.sender);
	free(txn.envid);
	free(recipient.address);
	free(recipient.orcpt);
	return 0;
}
