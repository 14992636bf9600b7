/* links: common/queueid.c common/netaddr.c */
/*
 * Queue ids, addresses and networks: text and value are each other's.
 */
#include "fuzz.h"
#include "netaddr.h"
#include "queueid.h"

static void
check_id(const char *text, uint64_t id)
{
	char printed[QUEUEID_LENGTH + 1];
	uint64_t again;

	if (queueid_parse(text, &again) == 0)
		require(strcmp(queueid_print(again, printed), text) == 0);
	require(queueid_parse(queueid_print(id, printed), &again) == 0 &&
	    again == id && strlen(printed) == QUEUEID_LENGTH);
}

static void
check_address(const char *text)
{
	struct netaddr address, again;
	struct netblock block;
	char printed[NETADDR_TEXT];

	if (netaddr_parse(text, &address) == 0) {
		require(address.family == 4 || address.family == 6);
		(void)netaddr_print(&address, printed, sizeof(printed));
		require(netaddr_parse(printed, &again) == 0 &&
		    memcmp(&address, &again, sizeof(address)) == 0);
		require(netblock_parse(text, &block) == 0);
	}
	if (netblock_parse(text, &block) == 0) {
		require(block.bits <= (block.address.family == 4 ? 32 : 128));
		require(netblock_contains(&block, &block.address));
		again = block.address;
		again.octets[0] ^= 0x80;
		require(netblock_contains(&block, &again) ==
		    (block.bits == 0));
	}
}

static void
check_split(const char *text)
{
	char host[32], port[8], whole[64], host2[32], port2[8];

	if (netaddr_split(text, host, sizeof(host), port, sizeof(port)) == -1)
		return;
	require(host[0] != '\0' || port[0] != '\0');
	require(strlen(host) < sizeof(host) && strlen(port) < sizeof(port));
	if (host[0] == '\0' || strchr(host, ']') != NULL)
		return;
	(void)snprintf(whole, sizeof(whole), "[%s]%s%s", host,
	    port[0] != '\0' ? ":" : "", port);
	require(netaddr_split(whole, host2, sizeof(host2), port2,
	    sizeof(port2)) == 0);
	require(strcmp(host, host2) == 0 && strcmp(port, port2) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint64_t id = (uint64_t)fuzz_number(&in) << 32;
	char *text;

	id |= fuzz_number(&in);
	text = fuzz_rest(&in);
	check_id(text, id);
	check_address(text);
	check_split(text);
	free(text);
	return 0;
}
