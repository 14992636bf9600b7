/* links: common/dns_parse.c common/netaddr.c common/log.c
 * common/queueid.c common/clock.c */
/*
 * Answers of the DNS: whatever they hold, what is taken of them are names and
 * addresses, few enough and in order.
 */
#include <ctype.h>

#include "dns_parse.h"
#include "fuzz.h"

static void
check_name(const char *name)
{
	require(strlen(name) < DNS_NAME);
	for (; *name != '\0'; name++)
		require(*name > ' ' && *name <= '~' && *name != '\\' &&
		    !isupper((unsigned char)*name));
}

static void
check_records(const struct dns_found *found, enum dns_type type)
{
	char *copy;
	size_t i;

	for (i = 0; i < found->count; i++) {
		if (type == DNS_MX) {
			check_name(found->exchanges[i].name);
			require(i == 0 || found->exchanges[i - 1].preference <=
			    found->exchanges[i].preference);
		} else if (type == DNS_TLSA) {
			require(found->tlsa[i].octets != NULL);
			copy = fuzz_need(malloc(found->tlsa[i].length + 1U));
			memcpy(copy, found->tlsa[i].octets,
			    found->tlsa[i].length);
			free(copy);
		} else
			require(found->addresses[i].family ==
			    (type == DNS_A ? 4 : 6));
	}
}

static void
parse(const uint8_t *octets, size_t size, const char *name,
    enum dns_type type)
{
	struct dns_found *found = dns_parse(octets, size, name, type);

	require(found != NULL && found->holders == 0);
	require(found->count <= DNS_RECORDS);
	require((found->result == DNS_FAILED) == (found->reason != NULL));
	require(found->result == DNS_OK || found->count == 0);
	check_name(found->name);
	check_records(found, type);
	require(dns_found_hold(found) == found);
	dns_found_free(found);
	dns_found_free(found);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum dns_type types[] = { DNS_A, DNS_AAAA, DNS_MX,
	    DNS_TLSA };
	char name[DNS_NAME], again[DNS_NAME], *text;
	struct fuzz_input in = { data, size };
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		parse(data, size, "example.org", types[i]);
	text = fuzz_line(&in);
	if (dns_name(text, name) == 0) {
		check_name(name);
		require(dns_name(name, again) == 0 &&
		    strcmp(name, again) == 0);
	}
	free(text);
	return 0;
}
