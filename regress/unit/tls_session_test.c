/* links: regress/unit/apart.c regress/unit/tls_served.c common/tls.c
 * common/tls_proof.c common/tls_session.c common/jail.c common/jail_landlock.c common/log.c
 * common/queueid.c common/clock.c */
/*
 * What TLS resumes, for whom and how often; and the same, and all that a
 * handshake needs, from inside the relay's jail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "jail.h"
#include "regress/unit/apart.h"
#include "regress/unit/tls_served.h"

/* ---- sessions ---- */

static void
check_sessions(int version, const char *peer)
{
	static const char *const two[] = { "mx.example.org", "b.example" };
	SSL_CTX *context = server_context(&mx, version);
	struct dns_tlsa one = tlsa_of(mx.certificate, 3, 1, 1);
	struct dns_tlsa other = tlsa_of(mx.certificate, 3, 0, 1);
	struct tls_want want = by_name(mx_names, 1), anybody, of_dane;
	struct tls_trust *again;
	const char *why;

	want.peer = peer;
	anybody = want;
	anybody.proof = TLS_ANYBODY;
	of_dane = by_records(&one, 1);
	of_dane.peer = peer;
	/* Nobody's session is resumed with a better proof, nor a worse. */
	check_resumed(context, &anybody, false);
	check_resumed(context, &anybody, true);
	check_resumed(context, &want, false);
	check_resumed(context, &want, true);
	check_resumed(context, &want, true);
	check_resumed(context, &of_dane, false);
	check_resumed(context, &of_dane, true);
	of_dane.records = &other;
	check_resumed(context, &of_dane, false);
	want.names = two;
	want.name_count = 2;
	check_resumed(context, &want, false);
	check_resumed(context, &want, true);
	want.names = mx_names;
	want.name_count = 1;
	check_resumed(context, &want, true);
	want.trust = again = tls_trust_new(path_of("ca.pem"), &why);
	check_resumed(context, &want, false);
	check_resumed(context, &want, true);
	tls_trust_free(again);
	want.trust = trust;
	want.peer = "another";
	check_resumed(context, &want, false);
	want.peer = NULL;
	check_resumed(context, &want, false);
	check_resumed(context, &want, false);
	SSL_CTX_free(context);
}

static void
test_sessions(void **unused)
{
	(void)unused;
	check_sessions(TLS1_2_VERSION, "a peer of 1.2");
	check_sessions(TLS1_3_VERSION, "a peer of 1.3");
}

/* RFC 8446 C.4: a ticket serves once, even if no other came. */
static void
test_once(void **unused)
{
	SSL_CTX *context = server_context(&mx, TLS1_3_VERSION);
	struct tls_want want = by_name(mx_names, 1);
	struct connection connection;

	(void)unused;
	want.peer = "a peer with one ticket";
	SSL_CTX_set_num_tickets(context, 1);
	check_resumed(context, &want, false);
	connect_to(&connection, context, &want);
	assert_int_equal(shake(&connection), TLS_DONE);
	assert_string_equal(tls_describe(connection.tls),
	    "TLSv1.3 TLS_AES_256_GCM_SHA384 verified resumed");
	disconnect(&connection);
	check_resumed(context, &want, false);
	check_resumed(context, &want, true);
	SSL_CTX_free(context);
}

/* What failed its proof is not resumed, nor is what broke with a session. */
static void
test_no_session(void **unused)
{
	SSL_CTX *context = server_context(&mx, TLS1_2_VERSION);
	SSL_CTX *strange = server_context(&mailout, TLS1_2_VERSION);
	struct tls_want want = by_name(mx_names, 1);
	struct connection connection;

	(void)unused;
	want.peer = "a peer who fails";
	assert_non_null(result_of(strange, &want, NULL));
	check_resumed(context, &want, false);
	check_resumed(context, &want, true);
	/* Another server has another certificate, which is looked at. */
	assert_non_null(result_of(strange, &want, NULL));
	check_resumed(context, &want, false);
	check_resumed(context, &want, true);
	connect_to(&connection, context, &want);
	connection.server.left = 20;
	assert_int_equal(shake(&connection), TLS_FAILED);
	disconnect(&connection);
	check_resumed(context, &want, false);
	SSL_CTX_free(context);
	SSL_CTX_free(strange);
}

/* There is room for the newest of many peers. */
static void
test_many_sessions(void **unused)
{
	SSL_CTX *context = server_context(&mx, TLS1_2_VERSION);
	struct tls_want want = { .proof = TLS_ANYBODY };
	char peer[32];
	int i;

	(void)unused;
	want.peer = peer;
	for (i = 0; i < 300; i++) {
		snprintf(peer, sizeof(peer), "many %d", i);
		check_resumed(context, &want, false);
	}
	check_resumed(context, &want, true);
	strlcpy(peer, "many 100", sizeof(peer));
	check_resumed(context, &want, true);
	strlcpy(peer, "many 10", sizeof(peer));
	check_resumed(context, &want, false);
	SSL_CTX_free(context);
}

/* ---- in the jail ---- */

/* All kinds of handshakes, with the system's certificates and our own. */
static void
shake_all(const struct tls_trust *system, int version)
{
	struct tls_want want = by_name(mx_names, 1);
	struct dns_tlsa one = tlsa_of(ca.certificate, 2, 1, 1);
	SSL_CTX *context = server_context(&mx, version);

	want.peer = "in the jail";
	check_resumed(context, &want, false);
	check_resumed(context, &want, true);
	want = by_records(&one, 1);
	want.peer = "in the jail";
	check_resumed(context, &want, false);
	check_resumed(context, &want, true);
	check_version(&alone, &want, version, "no TLSA record matches the "
	    "certificate of mx.example.org");
	if (system != NULL) {
		want = by_name(mx_names, 1);
		want.trust = system;
		check_version(&alone, &want, version, "the certificate of "
		    "mx.example.org is signed by nobody we trust "
		    "(self-signed)");
	}
	SSL_CTX_free(context);
}

/* In a child, which must not come back to the other tests. */
static void
test_in_jail(void **unused)
{
	struct tls_trust *system;
	const char *why;
	int version;

	(void)unused;
	system = tls_trust_new(NULL, &why);
	if (system == NULL && access("/etc/ssl/certs/ca-certificates.crt",
	    R_OK) == 0)
		fail_msg("%s", why);
	make_spare_pairs();
	jail_filter(JAIL_RELAY);
	for (version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++)
		shake_all(system, version);
}

static void
test_jail(void **unused)
{
	const struct CMUnitTest test = cmocka_unit_test(test_in_jail);

	(void)unused;
	run_apart(&test);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_once),
		cmocka_unit_test(test_no_session),
		cmocka_unit_test(test_many_sessions),
		cmocka_unit_test(test_jail)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, tls_served_setup,
	    tls_served_teardown);
}
