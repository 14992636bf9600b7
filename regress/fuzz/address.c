/* links: common/address.c relay/command.c */
/*
 * Addresses and paths: what is taken is printed so that it is taken again as
 * the same, and fits into a command.
 */
#include <event2/buffer.h>

#include "address.h"
#include "fuzz.h"
#include "relay/relay.h"

static void
check(const struct address *address, bool bare)
{
	char text[1024], again_text[1024], user[256], extension[256];
	struct address again;
	enum address_result result;
	int length;

	require(bare == (address->domain[0] == '\0'));
	require(fuzz_is_printable(address->local) &&
	    fuzz_is_printable(address->domain));
	require(bare || address_is_domain(address->domain) ||
	    address_is_literal(address->domain));
	length = address_print(address, text, sizeof(text));
	require(length > 0 && (size_t)length < sizeof(text));
	require(command_address_fault(text, false) == NULL);
	result = address_parse(text, &again);
	/* Quotes may make it longer than what is taken. */
	if (result == ADDRESS_TOO_LONG)
		return;
	require(result == (bare ? ADDRESS_BARE : ADDRESS_OK));
	require(strcmp(again.local, address->local) == 0 &&
	    strcmp(again.domain, address->domain) == 0);
	(void)address_print(&again, again_text, sizeof(again_text));
	require(strcmp(text, again_text) == 0);
	address_split(address->local, "+-", user, extension);
	require(strlen(user) + strlen(extension) <= strlen(address->local) &&
	    strncmp(user, address->local, strlen(user)) == 0);
}

static void
as_path(const char *text, bool lenient)
{
	struct address address;
	enum address_result result;
	const char *end = NULL;

	result = address_parse_path(text, lenient, &address, &end);
	if (result > ADDRESS_BARE)
		return;
	require(end > text && end <= text + strlen(text) && end - text <=
	    ADDRESS_PATH_MAX && (*end == '\0' || *end == ' '));
	require(lenient || (*text == '<' && end[-1] == '>'));
	if (result == ADDRESS_NULL)
		require(address.local[0] == '\0' && address.domain[0] == '\0');
	else
		check(&address, result == ADDRESS_BARE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	char *text = fuzz_rest(&in);
	struct address address;
	enum address_result result;

	as_path(text, false);
	as_path(text, true);
	result = address_parse(text, &address);
	require(result != ADDRESS_NULL);
	if (result <= ADDRESS_BARE)
		check(&address, result == ADDRESS_BARE);
	free(text);
	return 0;
}
