/* links: regress/unit/tls_served.c common/tls.c common/tls_proof.c
 * common/tls_session.c common/log.c common/queueid.c common/clock.c */
/*
 * What TLS proves and what it does not: by names, by chains, by TLSA records;
 * and what is said of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "regress/unit/tls_served.h"

/* ---- names ---- */

static void
test_names(void **unused)
{
	static const char *const wild[] = { "a.wild.example" };
	static const char *const deep[] = { "a.b.wild.example" };
	static const char *const dot[] = { "MX.example.ORG." };
	static const char *const second[] = { "a.example", "b.example",
	    "mx.example.org" };
	static const char *const ip4[] = { "192.0.2.1" };
	static const char *const ip6[] = { "2001:DB8:0::1" };
	static const char *const ip4_wrong[] = { "192.0.2.2" };
	static const char *const empty[] = { "", "." };
	static const char *const mixed[] = { "192.0.2.9", "mx.example.org" };
	struct tls_want want;

	(void)unused;
	want = by_name(mx_names, 1);
	check(&mx, &want, NULL);
	check_words(&mx, &want, "TLSv1.3 TLS_AES_256_GCM_SHA384 verified");
	check(&nameless, &want, NULL);
	want = by_name(wild, 1);
	check(&mx, &want, NULL);
	want = by_name(dot, 1);
	check(&mx, &want, NULL);
	want = by_name(second, 3);
	check(&mx, &want, NULL);
	want = by_name(mixed, 2);
	check(&mx, &want, NULL);
	want = by_name(ip4, 1);
	check(&address, &want, NULL);
	want = by_name(ip6, 1);
	check(&address, &want, NULL);
	want = by_name(ip4_wrong, 1);
	check(&address, &want, "the certificate of 192.0.2.2 is for x, not "
	    "for 192.0.2.2");
	want = by_name(deep, 1);
	check(&mx, &want, "the certificate of a.b.wild.example is for "
	    "mx.example.org, *.wild.example, not for a.b.wild.example");
	want = by_name(second, 2);
	check(&mx, &want, "the certificate of a.example is for "
	    "mx.example.org, *.wild.example, not for a.example or b.example");
	want = by_name(mx_names, 1);
	check(&hostile, &want, "the certificate of mx.example.org is for "
	    "evil?[2J?.example, b, c and 2 others, not for mx.example.org");
	want.name_count = 0;
	check(&mx, &want, "there is no name that the certificate could be "
	    "for");
	want = by_name(empty, 2);
	check(&mx, &want, "the certificate of the other end is for "
	    "mx.example.org, *.wild.example, not for  or .");
}

static void
test_chains(void **unused)
{
	struct tls_want want = by_name(mx_names, 1);
	char day[64], text[128];
	time_t then = time(NULL) - 2 * DAYS;
	struct tls_trust *own;
	const char *why;

	(void)unused;
	strftime(day, sizeof(day), "%Y-%m-%d", gmtime(&then));
	snprintf(text, sizeof(text), "the certificate of mx.example.org "
	    "expired on %s", day);
	check(&expired, &want, text);
	then = time(NULL) + 5 * DAYS;
	strftime(day, sizeof(day), "%Y-%m-%d", gmtime(&then));
	snprintf(text, sizeof(text), "the certificate of mx.example.org "
	    "is not valid before %s", day);
	check(&early, &want, text);
	check(&alone, &want, "the certificate of mx.example.org is signed by "
	    "nobody we trust (self-signed)");
	check(&mailout, &want, "the certificate of the issuer Other CA is "
	    "signed by nobody we trust (Other CA)");
	check(&client_only, &want, "the certificate of mx.example.org is not "
	    "meant for servers");
	check(&weak, &want, "the certificate of mx.example.org: EE "
	    "certificate key too weak");
	want.trust = NULL;
	check(&mx, &want, "no certificates are trusted here");
	/* A file of one's own may name the very certificate. */
	write_file("bad.pem", "", alone.certificate);
	want.trust = own = tls_trust_new(path_of("bad.pem"), &why);
	assert_non_null(own);
	check(&alone, &want, NULL);
	tls_trust_free(own);
	write_file("bad.pem", "", mx.certificate);
	want.trust = own = tls_trust_new(path_of("bad.pem"), &why);
	check(&mx, &want, NULL);
	tls_trust_free(own);
	write_file("bad.pem", "", expired_ca.certificate);
	want.trust = own = tls_trust_new(path_of("bad.pem"), &why);
	then = time(NULL) - 1 * DAYS;
	strftime(day, sizeof(day), "%Y-%m-%d", gmtime(&then));
	snprintf(text, sizeof(text), "the certificate of the issuer Old CA "
	    "expired on %s", day);
	check(&of_expired_ca, &want, text);
	tls_trust_free(own);
}

static void
test_trust(void **unused)
{
	const char *why;

	(void)unused;
	assert_null(tls_trust_new("/nonexistent.pem", &why));
	assert_string_equal(why, "/nonexistent.pem: No such file or "
	    "directory");
	write_file("bad.pem", "nothing\n", NULL);
	assert_null(tls_trust_new(path_of("bad.pem"), &why));
	assert_non_null(strstr(why, "there is no certificate in it"));
	write_file("bad.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n"
	    "-----END CERTIFICATE-----\n", NULL);
	assert_null(tls_trust_new(path_of("bad.pem"), &why));
	assert_non_null(strstr(why, "cannot be read"));
	write_file("bad.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n",
	    ca.certificate);
	assert_null(tls_trust_new(path_of("bad.pem"), &why));
}

static void
test_anybody(void **unused)
{
	const struct tls_want want = { .proof = TLS_ANYBODY,
	    .host = "mx.example.org" };

	(void)unused;
	check(&mx, &want, NULL);
	check(&alone, &want, NULL);
	check(&expired, &want, NULL);
	check(&weak, &want, NULL);
	check_words(&mx, &want, "TLSv1.3 TLS_AES_256_GCM_SHA384 unverified");
}

/* Keys too short to prove anything are still better than none. */
static void
test_weak(void **unused)
{
	struct tls_want want = by_name(mx_names, 1);
	SSL_CTX *context = server_context(&rsa, TLS1_2_VERSION);
	EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, "DH", NULL);
	EVP_PKEY *key = NULL;
	const char *fault;

	(void)unused;
	assert_int_equal(EVP_PKEY_keygen_init(maker), 1);
	assert_int_equal(EVP_PKEY_CTX_set_dh_nid(maker, NID_modp_1536), 1);
	assert_int_equal(EVP_PKEY_keygen(maker, &key), 1);
	EVP_PKEY_CTX_free(maker);
	assert_int_equal(SSL_CTX_set0_tmp_dh_pkey(context, key), 1);
	SSL_CTX_set_cipher_list(context, "DHE-RSA-AES128-GCM-SHA256");
	fault = result_of(context, &want, NULL);
	assert_non_null(fault);
	assert_string_equal(fault, "the other end's keys are too weak (dh key "
	    "too small)");
	want.proof = TLS_ANYBODY;
	assert_null(result_of(context, &want, NULL));
	SSL_CTX_free(context);
}

/* ---- DANE ---- */

static void
test_dane(void **unused)
{
	static const char *const two[] = { "a.example", "mx.example.org" };
	static const char *const wrong[] = { "a.example" };
	static const char no_match[] = "no TLSA record matches the "
	    "certificate of mx.example.org";
	struct dns_tlsa records[4] = { { .octets = NULL } };
	struct tls_want want = by_records(records, 1);
	int selector, matching;

	(void)unused;
	for (selector = 0; selector < 2; selector++)
		for (matching = 0; matching < 3; matching++) {
			records[0] = tlsa_of(mx.certificate, 3, selector,
			    matching);
			check(&mx, &want, NULL);
			check(&mailout, &want, no_match);
			records[0] = tlsa_of(ca.certificate, 2, selector,
			    matching);
			check(&mx, &want, NULL);
			check(&expired_ca, &want, no_match);
		}
	/* RFC 7672 3.1.1: with usage 3 neither names nor dates matter. */
	records[0] = tlsa_of(expired.certificate, 3, 1, 1);
	check(&expired, &want, NULL);
	records[0] = tlsa_of(address.certificate, 3, 1, 1);
	check(&address, &want, NULL);
	check_words(&address, &want, "TLSv1.3 TLS_AES_256_GCM_SHA384 dane");
	/* With usage 2 they do. */
	records[0] = tlsa_of(ca.certificate, 2, 1, 1);
	check(&address, &want, "the certificate of mx.example.org is for x, "
	    "not for mx.example.org");
	want.names = two;
	want.name_count = 2;
	check(&mx, &want, NULL);
	want.names = wrong;
	want.name_count = 1;
	check(&mx, &want, "the certificate of mx.example.org is for "
	    "mx.example.org, *.wild.example, not for a.example");
	want.name_count = 0;
	check(&mx, &want, "no TLSA record can be used");
	/* Any of several is enough. */
	want = by_records(records, 4);
	records[0] = tlsa_of(alone.certificate, 3, 1, 1);
	records[1] = tlsa_of(mx.certificate, 1, 1, 1);
	records[2] = tlsa_of(other_ca.certificate, 2, 0, 1);
	records[3] = tlsa_of(mx.certificate, 3, 1, 1);
	check(&mx, &want, NULL);
	want.record_count = 3;
	check(&mx, &want, no_match);
}

static void
test_usable(void **unused)
{
	struct dns_tlsa one = tlsa_of(mx.certificate, 3, 1, 1), records[2];
	struct tls_want want = by_records(&one, 1);

	(void)unused;
	assert_true(tls_records_usable(&one, 1));
	assert_false(tls_records_usable(&one, 0));
	one.usage = 0;
	assert_false(tls_records_usable(&one, 1));
	one.usage = 1;
	assert_false(tls_records_usable(&one, 1));
	check(&mx, &want, "no TLSA record can be used");
	one.usage = 4;
	assert_false(tls_records_usable(&one, 1));
	one.usage = 255;
	assert_false(tls_records_usable(&one, 1));
	one.usage = 2;
	assert_true(tls_records_usable(&one, 1));
	one.selector = 2;
	assert_false(tls_records_usable(&one, 1));
	one.selector = 1;
	one.matching = 3;
	assert_false(tls_records_usable(&one, 1));
	one.matching = 2;
	assert_false(tls_records_usable(&one, 1));
	one.matching = 1;
	one.length = 31;
	assert_false(tls_records_usable(&one, 1));
	one.length = 0;
	assert_false(tls_records_usable(&one, 1));
	one.length = 32;
	one.matching = 0;
	assert_false(tls_records_usable(&one, 1));
	records[0] = one;
	records[1] = tlsa_of(mx.certificate, 3, 0, 2);
	assert_true(tls_records_usable(records, 2));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_trust),
		cmocka_unit_test(test_anybody),
		cmocka_unit_test(test_weak),
		cmocka_unit_test(test_dane),
		cmocka_unit_test(test_usable)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, tls_served_setup,
	    tls_served_teardown);
}
