/* links: regress/unit/tls_served.c common/tls.c common/tls_proof.c
 * common/tls_session.c common/log.c common/queueid.c common/clock.c */
/*
 * TLS as a way for octets: how it begins and ends, in order and not, and that
 * what is sent arrives.  What is proved is tls_proof_test.c's, what is
 * resumed tls_session_test.c's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "regress/unit/tls_served.h"

/* ---- handshakes that go wrong ---- */

static void
test_version(void **unused)
{
	const struct tls_want want = { .proof = TLS_ANYBODY };

	(void)unused;
	check_version(&mx, &want, TLS1_1_VERSION, "the other end knows no "
	    "version of TLS that we accept (1.2 and 1.3)");
}

static void
test_alert(void **unused)
{
	const struct tls_want want = { .proof = TLS_ANYBODY };
	SSL_CTX *context = server_context(&mx, TLS1_2_VERSION);
	const char *fault;

	(void)unused;
	SSL_CTX_set_cipher_list(context, "ECDHE-RSA-AES128-GCM-SHA256");
	fault = result_of(context, &want, NULL);
	assert_non_null(fault);
	assert_string_equal(fault, "the other end refused TLS with the alert "
	    "\"handshake failure\"");
	SSL_CTX_free(context);
}

static void
test_no_tls(void **unused)
{
	static const char *const texts[] = { "220 mx.example.org ESMTP\r\n",
	    "\x16\x03\x03\xff\xffzzzzzzzzzzzzzzzzzzzzzzzz",
	    "454 4.7.0 TLS not available\r\n" };
	const struct tls_want want = { .proof = TLS_ANYBODY };
	SSL_CTX *context = server_context(&mx, TLS1_3_VERSION);
	struct connection connection;
	size_t i;

	(void)unused;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		connect_to(&connection, context, &want);
		connection.server.speaks = texts[i];
		assert_int_equal(shake(&connection), TLS_FAILED);
		assert_string_equal(tls_fault(connection.tls), "what the "
		    "other end says is not TLS");
		assert_int_equal(tls_handshake(connection.tls), TLS_FAILED);
		disconnect(&connection);
	}
	SSL_CTX_free(context);
}

/* The connection ends after each octet of the server's. */
static void
test_cut(void **unused)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct tls_want want = by_name(mx_names, 1);
	struct connection connection;
	enum tls_step step;
	size_t i, cut, total;
	SSL_CTX *context;

	(void)unused;
	want.peer = "cut";
	for (i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		context = server_context(&mx, versions[i]);
		for (cut = 0, total = 1; cut < total; cut++) {
			connect_to(&connection, context, &want);
			connection.server.left = cut;
			step = shake(&connection);
			if (step == TLS_DONE) {
				disconnect(&connection);
				break;
			}
			assert_int_equal(step, TLS_FAILED);
			assert_string_equal(tls_fault(connection.tls),
			    "the other end closed the connection during the "
			    "TLS handshake");
			total = connection.server.sent + 2;
			disconnect(&connection);
		}
		assert_true(cut > 500);
		SSL_CTX_free(context);
	}
}

/* ---- octets ---- */

/* A server that sends tickets without end keeps nobody else waiting. */
static void
test_tickets(void **unused)
{
	const struct tls_want want = { .proof = TLS_ANYBODY, .peer = "x" };
	SSL_CTX *context = server_context(&mx, TLS1_3_VERSION);
	struct connection connection;
	int i;

	(void)unused;
	connect_to(&connection, context, &want);
	assert_int_equal(shake(&connection), TLS_DONE);
	server_turn(&connection.server);
	for (i = 0; i < 100; i++)
		assert_int_equal(SSL_new_session_ticket(
		    connection.server.ssl), 1);
	assert_true(hear(&connection) > 5);
	disconnect(&connection);
	SSL_CTX_free(context);
}

static void
test_octets(void **unused)
{
	const struct tls_want want = { .proof = TLS_ANYBODY };
	SSL_CTX *context = server_context(&mx, TLS1_3_VERSION);
	const size_t size = 1000000;
	char *sent = malloc(size), *got = malloc(size), *moved;
	size_t at = 0, done, received = 0, waits = 0;
	struct connection connection;
	enum tls_step step;
	int n, i;

	(void)unused;
	for (done = 0; done < size; done++)
		sent[done] = (char)(done * 7 + done / 251);
	connect_to(&connection, context, &want);
	assert_int_equal(shake(&connection), TLS_DONE);
	assert_int_equal(tls_read(connection.tls, got, 10, &done),
	    TLS_WANT_READ);
	for (i = 0; i < ROUNDS && received < size; i++) {
		step = TLS_DONE;
		while (at < size && step == TLS_DONE) {
			/* It moves, as buffers do. */
			moved = malloc(size - at);
			memcpy(moved, sent + at, size - at);
			step = tls_write(connection.tls, moved, size - at,
			    &done);
			free(moved);
			assert_true((step == TLS_DONE) == (done > 0));
			at += done;
		}
		if (at < size) {
			assert_int_equal(step, TLS_WANT_WRITE);
			waits++;
		}
		server_turn(&connection.server);
		while ((n = SSL_read(connection.server.ssl, got + received,
		    (int)(size - received))) > 0)
			received += (size_t)n;
	}
	assert_int_equal(received, size);
	assert_memory_equal(sent, got, size);
	assert_true(waits > 0);
	/* An end in order, and ours after it. */
	SSL_shutdown(connection.server.ssl);
	server_send(&connection.server);
	assert_int_equal(tls_read(connection.tls, got, 10, &done),
	    TLS_CLOSED);
	disconnect(&connection);
	SSL_CTX_free(context);
	free(sent);
	free(got);
}

/* Last words, which are heard though nobody listens to us. */
static void
test_last_words(void **unused)
{
	const struct tls_want want = { .proof = TLS_ANYBODY };
	SSL_CTX *context = server_context(&mx, TLS1_3_VERSION);
	struct connection connection;
	char got[10];
	size_t done;

	(void)unused;
	connect_to(&connection, context, &want);
	assert_int_equal(shake(&connection), TLS_DONE);
	server_turn(&connection.server);
	assert_int_equal(SSL_write(connection.server.ssl, "421", 3), 3);
	server_send(&connection.server);
	server_close(&connection.server);
	assert_int_equal(tls_write(connection.tls, "QUIT", 4, &done),
	    TLS_FAILED);
	assert_string_equal(tls_fault(connection.tls), "the other end closed "
	    "the connection");
	assert_int_equal(tls_read(connection.tls, got, sizeof(got), &done), TLS_DONE);
	assert_int_equal(done, 3);
	assert_int_equal(tls_read(connection.tls, got, sizeof(got), &done),
	    TLS_FAILED);
	assert_int_equal(tls_write(connection.tls, "QUIT", 4, &done),
	    TLS_FAILED);
	disconnect(&connection);
	SSL_CTX_free(context);
}

static void
test_end_without_order(void **unused)
{
	const struct tls_want want = { .proof = TLS_ANYBODY };
	SSL_CTX *context = server_context(&mx, TLS1_3_VERSION);
	struct connection connection;
	char got[10];
	size_t done;

	(void)unused;
	connect_to(&connection, context, &want);
	assert_int_equal(shake(&connection), TLS_DONE);
	server_turn(&connection.server);
	server_close(&connection.server);
	assert_int_equal(tls_read(connection.tls, got, sizeof(got), &done),
	    TLS_FAILED);
	assert_string_equal(tls_fault(connection.tls), "the other end cut the "
	    "connection without ending TLS");
	assert_int_equal(tls_write(connection.tls, "QUIT", 4, &done),
	    TLS_FAILED);
	disconnect(&connection);
	SSL_CTX_free(context);
}

/* ---- SNI ---- */

static void
check_sni(const char *host, const char *expected)
{
	const struct tls_want want = { .proof = TLS_ANYBODY, .host = host };
	SSL_CTX *context = server_context(&mx, TLS1_3_VERSION);
	struct connection connection;
	const char *name;

	connect_to(&connection, context, &want);
	assert_int_equal(shake(&connection), TLS_DONE);
	name = SSL_get_servername(connection.server.ssl,
	    TLSEXT_NAMETYPE_host_name);
	if (expected == NULL)
		assert_null(name);
	else
		assert_string_equal(name, expected);
	disconnect(&connection);
	SSL_CTX_free(context);
}

static void
test_sni(void **unused)
{
	(void)unused;
	check_sni("mx.example.org", "mx.example.org");
	check_sni("mx.example.org.", "mx.example.org");
	check_sni("192.0.2.1", NULL);
	check_sni("2001:db8::1", NULL);
	check_sni("[192.0.2.1]", NULL);
	check_sni("/run/socket", NULL);
	check_sni("", NULL);
	check_sni(NULL, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_alert),
		cmocka_unit_test(test_no_tls),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_octets),
		cmocka_unit_test(test_last_words),
		cmocka_unit_test(test_end_without_order),
		cmocka_unit_test(test_tickets),
		cmocka_unit_test(test_sni)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, tls_served_setup,
	    tls_served_teardown);
}
