/* links: common/dns_parse.c common/dns_cache.c common/netaddr.c
 *	common/log.c common/queueid.c common/clock.c */
/*
 * Answers as octets: good ones, odd ones, hostile ones, and all of them bent
 * at random; what is read is copied to the end of a page of its own, so that
 * one octet too many is seen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clock.h"
#include "dns_cache.h"
#include "dns_parse.h"

#define ROUNDS	20000

/* ---- an answer, put together ---- */

static struct {
	uint8_t	 octets[65536];
	size_t	 length;
} message;

static void
put(const void *octets, size_t length)
{
	assert_true(message.length + length <= sizeof(message.octets));
	memcpy(message.octets + message.length, octets, length);
	message.length += length;
}

static void
put_u16(unsigned int value)
{
	uint8_t octets[2] = { (uint8_t)(value >> 8), (uint8_t)value };

	put(octets, 2);
}

/* "a.b" as labels; "@12" is a pointer to there, as the whole or the end. */
static void
put_name(const char *name)
{
	size_t n;

	while (*name != '\0' && *name != '@') {
		n = strcspn(name, ".");
		put(&(uint8_t){ (uint8_t)n }, 1);
		put(name, n);
		name += n + (name[n] == '.');
	}
	if (*name == '@')
		put_u16(0xc000u | (unsigned int)atoi(name + 1));
	else
		put("", 1);
}

static void
begin(unsigned int flags, const char *name, unsigned int type)
{
	message.length = 0;
	put_u16(0x1234);
	put_u16(0x8180 | flags);
	put_u16(1);
	put("\0\0\0\0\0\0", 6);
	put_name(name);
	put_u16(type);
	put_u16(1);
}

/* One more record in a section: 1 answers, 2 authority. */
static void
put_record(int section, const char *owner, unsigned int type,
    unsigned int ttl)
{
	message.octets[5 + 2 * section]++;
	put_name(owner);
	put_u16(type);
	put_u16(1);
	put_u16(ttl >> 16);
	put_u16(ttl);
}

static void
put_data(const void *octets, size_t length)
{
	put_u16((unsigned int)length);
	put(octets, length);
}

static void
put_mx(const char *owner, unsigned int preference, const char *name)
{
	size_t at;

	put_record(1, owner, DNS_MX, 600);
	at = message.length;
	put_u16(0);
	put_u16(preference);
	put_name(name);
	message.octets[at + 1] = (uint8_t)(message.length - at - 2);
}

static void
put_cname(const char *owner, const char *name, unsigned int ttl)
{
	size_t at;

	put_record(1, owner, DNS_CNAME, ttl);
	at = message.length;
	put_u16(0);
	put_name(name);
	message.octets[at + 1] = (uint8_t)(message.length - at - 2);
}

/* An SOA whose own TTL is 400, and whose minimum is least. */
static void
put_soa(unsigned int least)
{
	uint8_t data[22] = { [20] = (uint8_t)(least >> 8),
	    [21] = (uint8_t)least };

	put_record(2, "@12", DNS_SOA, 400);
	put_data(data, sizeof(data));
}

/* Parse a copy that ends where its memory does. */
static struct dns_found *
parse(const uint8_t *octets, size_t length, const char *name,
    enum dns_type type)
{
	struct dns_found *found;
	uint8_t *copy;

	copy = malloc(length > 0 ? length : 1);
	assert_non_null(copy);
	memcpy(copy, octets, length);
	found = dns_parse(copy, length, name, type);
	free(copy);
	return found;
}

static struct dns_found *
parsed(const char *name, enum dns_type type)
{
	return parse(message.octets, message.length, name, type);
}

static void
fails(const char *name, enum dns_type type, const char *reason)
{
	struct dns_found *found = parsed(name, type);

	assert_int_equal(found->result, DNS_FAILED);
	assert_string_equal(found->reason, reason);
	assert_int_equal(found->count, 0);
	dns_found_free(found);
}

/* ---- good ones ---- */

static void
reads_addresses(void **state)
{
	struct dns_found *found;

	(void)state;
	begin(0, "Host.Example", DNS_A);
	put_record(1, "@12", DNS_A, 300);
	put_data("\x7f\0\0\1", 4);
	put_record(1, "@12", DNS_A, 200);
	put_data("\x7f\0\0\2", 4);
	put_record(1, "other.example", DNS_A, 1);
	put_data("\x7f\0\0\3", 4);
	found = parsed("host.example", DNS_A);
	assert_int_equal(found->result, DNS_OK);
	assert_int_equal(found->count, 2);
	assert_int_equal(found->ttl, 200);
	assert_int_equal(found->addresses[1].octets[3], 2);
	assert_int_equal(found->addresses[1].family, 4);
	assert_string_equal(found->name, "host.example");
	assert_false(found->secure);
	dns_found_free(found);
}

/* RFC 4035 3.2.3: AD, beside CD which means nothing to us. */
static void
reads_the_ad_bit(void **state)
{
	struct dns_found *found;

	(void)state;
	begin(0x20, "a.example", DNS_AAAA);
	found = parsed("a.example", DNS_AAAA);
	assert_true(found->secure);
	dns_found_free(found);
	begin(0x10, "a.example", DNS_AAAA);
	found = parsed("a.example", DNS_AAAA);
	assert_false(found->secure);
	dns_found_free(found);
}

static void
orders_exchanges(void **state)
{
	struct dns_found *found;
	char name[32];
	int i;

	(void)state;
	begin(0, "example.org", DNS_MX);
	put_mx("@12", 20, "B.@12");
	put_mx("@12", 10, "a.@12");
	put_mx("@12", 10, "c.example");
	found = parsed("example.org", DNS_MX);
	assert_int_equal(found->count, 3);
	assert_string_equal(found->exchanges[0].name, "a.example.org");
	assert_string_equal(found->exchanges[1].name, "c.example");
	assert_string_equal(found->exchanges[2].name, "b.example.org");
	assert_int_equal(found->exchanges[2].preference, 20);
	dns_found_free(found);

	begin(0, "example.org", DNS_MX);
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "mx%d.@12", i);
		put_mx("@12", 100u - (unsigned int)i, name);
	}
	found = parsed("example.org", DNS_MX);
	assert_int_equal(found->count, DNS_RECORDS);
	assert_string_equal(found->exchanges[0].name, "mx99.example.org");
	assert_int_equal(found->exchanges[DNS_RECORDS - 1].preference, 32);
	dns_found_free(found);
}

/* The root is told, odd names are not; that there were any is. */
static void
drops_odd_names(void **state)
{
	static const char *const odd[] = {
		"a b", "tab\there", "\303\274", "back\\slash", "del\177", "\001"
	};
	struct dns_found *found;
	size_t i;

	(void)state;
	begin(0, "example.org", DNS_MX);
	put_mx("@12", 0, "");
	found = parsed("example.org", DNS_MX);
	assert_int_equal(found->count, 1);
	assert_string_equal(found->exchanges[0].name, "");
	dns_found_free(found);

	begin(0, "example.org", DNS_MX);
	for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		put_mx("@12", 1, odd[i]);
	put_record(1, "@12", DNS_MX, 600);
	put_data("\0\1\3a.b\0", 7);	/* a dot within a label */
	found = parsed("example.org", DNS_MX);
	assert_int_equal(found->result, DNS_OK);
	assert_int_equal(found->count, 0);
	dns_found_free(found);
}

static void
reads_tlsa(void **state)
{
	struct dns_found *found;

	(void)state;
	begin(0x20, "_25._tcp.mx.example", DNS_TLSA);
	put_record(1, "@12", DNS_TLSA, 3600);
	put_data("\3\1\1\xaa\xbb", 5);
	put_record(1, "@12", DNS_TLSA, 3600);
	put_data("\2\0\2", 3);
	found = parsed("_25._tcp.mx.example", DNS_TLSA);
	assert_int_equal(found->count, 2);
	assert_int_equal(found->tlsa[0].usage, 3);
	assert_int_equal(found->tlsa[0].selector, 1);
	assert_int_equal(found->tlsa[0].matching, 1);
	assert_int_equal(found->tlsa[0].length, 2);
	assert_memory_equal(found->tlsa[0].octets, "\xaa\xbb", 2);
	assert_int_equal(found->tlsa[1].length, 0);
	dns_found_free(found);

	begin(0, "_25._tcp.mx.example", DNS_TLSA);
	put_record(1, "@12", DNS_TLSA, 3600);
	put_data("\3\1", 2);
	fails("_25._tcp.mx.example", DNS_TLSA, "the answer is malformed");
}

static void
follows_aliases(void **state)
{
	struct dns_found *found;
	char from[32], to[32];
	int i;

	(void)state;
	begin(0, "a.example", DNS_A);
	put_cname("b.example", "C.example", 100);
	put_cname("@12", "b.example", 50);
	put_record(1, "c.example", DNS_A, 300);
	put_data("\x7f\0\0\1", 4);
	found = parsed("a.example", DNS_A);
	assert_int_equal(found->result, DNS_OK);
	assert_string_equal(found->name, "c.example");
	assert_int_equal(found->ttl, 50);
	dns_found_free(found);

	begin(3, "a.example", DNS_A);
	put_cname("@12", "gone.example", 100);
	found = parsed("a.example", DNS_A);
	assert_int_equal(found->result, DNS_NO_NAME);
	assert_string_equal(found->name, "gone.example");
	dns_found_free(found);

	begin(0, "a.example", DNS_A);
	put_cname("@12", "b.example", 100);
	put_cname("b.example", "a.example", 100);
	fails("a.example", DNS_A, "its aliases (CNAME) do not end");

	begin(0, "0.example", DNS_A);
	for (i = 0; i < 100; i++) {
		snprintf(from, sizeof(from), "%d.example", i);
		snprintf(to, sizeof(to), "%d.example", i + 1);
		put_cname(from, to, 100);
	}
	fails("0.example", DNS_A, "its aliases (CNAME) do not end");
}

/* RFC 2308 5. */
static void
reads_how_long_nothing_lasts(void **state)
{
	struct dns_found *found;

	(void)state;
	begin(0, "a.example", DNS_MX);
	put_soa(120);
	found = parsed("a.example", DNS_MX);
	assert_int_equal(found->result, DNS_NONE);
	assert_int_equal(found->ttl, 120);
	dns_found_free(found);

	begin(3, "a.example", DNS_MX);
	put_soa(500);
	found = parsed("a.example", DNS_MX);
	assert_int_equal(found->result, DNS_NO_NAME);
	assert_int_equal(found->ttl, 400);
	dns_found_free(found);

	begin(0, "a.example", DNS_MX);
	found = parsed("a.example", DNS_MX);
	assert_int_equal(found->result, DNS_NONE);
	assert_int_equal(found->ttl, 0);
	dns_found_free(found);
}

/* ---- bad ones ---- */

static void
refuses_other_answers(void **state)
{
	struct dns_found *found;

	(void)state;
	begin(0, "a.example", DNS_MX);
	fails("b.example", DNS_MX, "the answer is to another question");
	fails("a.example", DNS_A, "the answer is to another question");
	begin(0x0200, "a.example", DNS_MX);
	fails("a.example", DNS_MX, "the answer is truncated");
	begin(2, "a.example", DNS_MX);
	fails("a.example", DNS_MX, "the resolver answers SERVFAIL");
	begin(5, "a.example", DNS_MX);
	fails("a.example", DNS_MX, "the resolver refuses to answer");
	begin(0, "a.example", DNS_MX);
	message.octets[2] = 0x01;	/* a question, no answer */
	fails("a.example", DNS_MX, "the answer is malformed");
	begin(1, "a.example", DNS_MX);
	found = parsed("a.example", DNS_MX);
	assert_true(found->broken_query);
	assert_int_equal(found->result, DNS_FAILED);
	dns_found_free(found);
}

static void
refuses_malformed_names(void **state)
{
	char pointer[8];
	int i;

	(void)state;
	begin(0, "a.example", DNS_MX);
	snprintf(pointer, sizeof(pointer), "@%zu", message.length + 14);
	put_mx("@12", 1, pointer);		/* to itself */
	fails("a.example", DNS_MX, "the answer is malformed");

	begin(0, "a.example", DNS_MX);
	put_mx("@12", 1, "@16000");		/* out of the message */
	fails("a.example", DNS_MX, "the answer is malformed");

	begin(0, "a.example", DNS_MX);
	put_record(1, "@12", DNS_MX, 1);
	put_data("\0\1\x80yz", 5);		/* a label of no kind */
	fails("a.example", DNS_MX, "the answer is malformed");

	begin(0, "a.example", DNS_MX);
	put_record(1, "@12", DNS_MX, 1);
	put_data("\0\1\5ab", 5);		/* beyond its data */
	put("cde", 4);
	fails("a.example", DNS_MX, "the answer is malformed");

	begin(0, "a.example", DNS_MX);
	put_record(1, "@12", DNS_MX, 1);
	put_u16(300);
	put_u16(1);
	for (i = 0; i < 148; i++)		/* more than 255 octets */
		put("\1x", 2);
	put("\0\0", 2);
	fails("a.example", DNS_MX, "the answer is malformed");

	begin(0, "a.example", DNS_A);
	put_record(1, "@12", DNS_A, 1);
	put_data("\x7f\0\0\1\0", 5);		/* five octets for four */
	fails("a.example", DNS_A, "the answer is malformed");
}

/* A pointer to a pointer to a pointer ...: refused, and soon. */
static void
refuses_long_ways(void **state)
{
	char name[16];
	size_t at;
	int i;

	(void)state;
	begin(0, "a.example", DNS_MX);
	put_record(1, "@12", 99, 1);
	put_u16(2 * 5000);
	at = message.length;
	put_u16(0xc000 | 12);
	for (i = 1; i < 5000; i++)
		put_u16(0xc000u | (unsigned int)(at + 2 * (size_t)i - 2));
	snprintf(name, sizeof(name), "@%zu", message.length - 2);
	put_mx("@12", 1, name);
	fails("a.example", DNS_MX, "the answer is malformed");
}

/* ---- bent ones ---- */

static volatile size_t seen;

static void
read_all(const struct dns_found *found)
{
	size_t i, k;

	assert_true(found->count <= DNS_RECORDS);
	assert_true(strlen(found->name) < DNS_NAME);
	assert_true(found->result != DNS_FAILED || found->reason != NULL);
	for (i = 0; i < found->count; i++) {
		if (found->addresses != NULL)
			seen += found->addresses[i].octets[15];
		if (found->exchanges != NULL)
			seen += strlen(found->exchanges[i].name);
		for (k = 0; found->tlsa != NULL && k < found->tlsa[i].length;
		    k++)
			seen += found->tlsa[i].octets[k];
	}
}

static void
make_sample(enum dns_type type)
{
	begin(0x20, "a.example", type);
	put_cname("@12", "b.@14", 50);
	put_mx("b.@14", 10, "mx.@14");
	put_mx("b.example", 20, "mx2.@14");
	put_record(1, "b.@14", DNS_A, 300);
	put_data("\x7f\0\0\1", 4);
	put_record(1, "b.@14", DNS_AAAA, 300);
	put_data("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	put_record(1, "b.@14", DNS_TLSA, 300);
	put_data("\3\1\1abcdefgh", 11);
	put_soa(60);
}

static void
survives(enum dns_type type)
{
	uint8_t sample[512];
	struct dns_found *found;
	size_t length, i;
	int round, changes;

	make_sample(type);
	for (i = 0; i <= message.length; i++) {
		found = parse(message.octets, i, "a.example", type);
		read_all(found);
		assert_true(i == message.length ||
		    found->result == DNS_FAILED || found->ttl == 0 ||
		    found->count > 0);
		dns_found_free(found);
	}
	for (round = 0; round < ROUNDS; round++) {
		memcpy(sample, message.octets, message.length);
		length = message.length;
		for (changes = rand() % 6; changes >= 0; changes--)
			sample[12 + (size_t)rand() % (length - 12)] =
			    rand() % 3 ? (uint8_t)rand() :
			    (uint8_t)(0xc0 | rand() % 2);
		if (rand() % 4 == 0)
			length = (size_t)rand() % length;
		found = parse(sample, length, "a.example", type);
		read_all(found);
		dns_found_free(found);
	}
}

static void
survives_bent_answers(void **state)
{
	(void)state;
	srand(1);
	survives(DNS_MX);
	survives(DNS_A);
	survives(DNS_AAAA);
	survives(DNS_TLSA);
}

/* ---- names, and what is kept ---- */

static void
makes_names(void **state)
{
	char name[DNS_NAME], longest[300];

	(void)state;
	assert_int_equal(dns_name("MX.Example.ORG.", name), 0);
	assert_string_equal(name, "mx.example.org");
	assert_int_equal(dns_name("_25._tcp.a-b.example", name), 0);
	assert_int_equal(dns_name("", name), -1);
	assert_int_equal(dns_name(".", name), -1);
	assert_int_equal(dns_name("a..", name), -1);
	assert_int_equal(dns_name("a b", name), -1);
	memset(longest, 'a', sizeof(longest));
	longest[63] = longest[127] = longest[191] = '.';
	longest[253] = '\0';
	assert_int_equal(dns_name(longest, name), 0);
	assert_int_equal(strlen(name), 253);
	longest[253] = 'a';
	longest[254] = '\0';
	assert_int_equal(dns_name(longest, name), -1);
	longest[64] = '\0';
	longest[63] = 'a';
	assert_int_equal(dns_name(longest, name), -1);
}

static void
keep(const char *name, uint32_t ttl)
{
	struct dns_found *found = dns_found_new();

	found->ttl = ttl;
	dns_cache_put(name, DNS_MX, found, 1000 * SECOND);
	dns_found_free(found);
}

static void
keeps_for_a_while(void **state)
{
	(void)state;
	keep("short", 1);
	keep("middle", 600);
	keep("long", 86400);
	assert_non_null(dns_cache_get("short", DNS_MX, 1059 * SECOND));
	assert_null(dns_cache_get("short", DNS_A, 1059 * SECOND));
	assert_null(dns_cache_get("short", DNS_MX, 1060 * SECOND));
	assert_non_null(dns_cache_get("middle", DNS_MX, 1599 * SECOND));
	assert_null(dns_cache_get("middle", DNS_MX, 1600 * SECOND));
	assert_non_null(dns_cache_get("long", DNS_MX, 4599 * SECOND));
	assert_null(dns_cache_get("long", DNS_MX, 4600 * SECOND));
}

static void
keeps_no_failure(void **state)
{
	struct dns_found *found = dns_found_failed("why");

	(void)state;
	dns_cache_put("failed", DNS_MX, found, 1000 * SECOND);
	assert_null(dns_cache_get("failed", DNS_MX, 1000 * SECOND));
	dns_found_free(found);
}

static void
keeps_only_so_much(void **state)
{
	struct dns_found *found;
	char name[32];
	size_t size;
	int i;

	(void)state;
	for (i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "%d.example", i);
		keep(name, 600);
	}
	assert_int_equal(dns_cache_count(&size), 4096);
	assert_null(dns_cache_get("903.example", DNS_MX, 1001 * SECOND));
	assert_non_null(dns_cache_get("904.example", DNS_MX, 1001 * SECOND));
	for (i = 0; i < 1000; i++) {
		begin(0, "big.example", DNS_TLSA);
		put_record(1, "@12", DNS_TLSA, 600);
		put_u16(60000);
		message.length += 60000;
		found = parsed("big.example", DNS_TLSA);
		assert_int_equal(found->count, 1);
		snprintf(name, sizeof(name), "%d.big.example", i);
		dns_cache_put(name, DNS_TLSA, found, 1000 * SECOND);
		dns_found_free(found);
	}
	assert_true(dns_cache_count(&size) < 300);
	assert_true(size <= 16 * 1024 * 1024);
	assert_non_null(dns_cache_get("999.big.example", DNS_TLSA,
	    1001 * SECOND));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_addresses),
		cmocka_unit_test(reads_the_ad_bit),
		cmocka_unit_test(orders_exchanges),
		cmocka_unit_test(drops_odd_names),
		cmocka_unit_test(reads_tlsa),
		cmocka_unit_test(follows_aliases),
		cmocka_unit_test(reads_how_long_nothing_lasts),
		cmocka_unit_test(refuses_other_answers),
		cmocka_unit_test(refuses_malformed_names),
		cmocka_unit_test(refuses_long_ways),
		cmocka_unit_test(survives_bent_answers),
		cmocka_unit_test(makes_names),
		cmocka_unit_test(keeps_for_a_while),
		cmocka_unit_test(keeps_no_failure),
		cmocka_unit_test(keeps_only_so_much)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
