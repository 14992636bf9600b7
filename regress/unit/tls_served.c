/*
 * The certificates, the server and the connections of tls_served.h.
 */
#include <sys/socket.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "regress/unit/tls_served.h"

#define SPARE	32

/* ---- certificates ---- */

struct identity	 ca, other_ca, mx, mailout, expired, early, alone;
struct identity	 address, nameless, hostile, weak, client_only;
struct identity	 expired_ca, of_expired_ca, rsa;
static char	 directory[] = "/tmp/tls_test.XXXXXX";
struct tls_trust	*trust;

static void
add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX context;

	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

/* Make a certificate for a key; issuer NULL signs itself. */
static void
certify(struct identity *identity, EVP_PKEY *key, const char *common,
    const char *names, const struct identity *issuer, long from, long to)
{
	X509 *certificate = X509_new();
	X509_NAME *name = X509_get_subject_name(certificate);
	static long serial;
	bool is_ca = names == NULL;

	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(certificate), from * DAYS);
	X509_gmtime_adj(X509_getm_notAfter(certificate), to * DAYS);
	if (common != NULL)
		X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
		    (const unsigned char *)common, -1, -1, 0);
	X509_set_issuer_name(certificate, issuer == NULL ? name :
	    X509_get_subject_name(issuer->certificate));
	X509_set_pubkey(certificate, key);
	add_extension(certificate, certificate, NID_basic_constraints,
	    is_ca ? "critical,CA:TRUE" : "CA:FALSE");
	if (!is_ca && *names != '\0')
		add_extension(certificate, certificate, NID_subject_alt_name,
		    names);
	if (identity == &client_only)
		add_extension(certificate, certificate, NID_ext_key_usage,
		    "clientAuth");
	assert_true(X509_sign(certificate, issuer == NULL ? key : issuer->key,
	    EVP_sha256()) > 0);
	identity->certificate = certificate;
	identity->key = key;
	identity->issuer = issuer == NULL ? NULL : issuer->certificate;
}

static void
make(struct identity *identity, const char *common, const char *names,
    const struct identity *issuer, long from, long to)
{
	certify(identity, EVP_EC_gen("P-256"), common, names, issuer, from,
	    to);
}

char *
path_of(const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

void
write_file(const char *name, const char *text, X509 *certificate)
{
	FILE *out = fopen(path_of(name), "w");

	assert_non_null(out);
	fputs(text, out);
	if (certificate != NULL)
		PEM_write_X509(out, certificate);
	fclose(out);
}

int
tls_served_setup(void **unused)
{
	const char *why;

	(void)unused;
	signal(SIGPIPE, SIG_IGN);
	tls_open();
	make(&ca, "Test CA", NULL, NULL, -1, 365);
	make(&other_ca, "Other CA", NULL, NULL, -1, 365);
	make(&expired_ca, "Old CA", NULL, NULL, -100, -1);
	make(&mx, "mx", "DNS:mx.example.org,DNS:*.wild.example", &ca, -1, 90);
	make(&mailout, NULL, "DNS:mailout.example.net", &other_ca, -1, 90);
	make(&expired, "mx", "DNS:mx.example.org", &ca, -30, -2);
	make(&early, "mx", "DNS:mx.example.org", &ca, 5, 90);
	make(&alone, "mx.example.org", "DNS:mx.example.org", NULL, -1, 90);
	make(&address, "x", "IP:192.0.2.1,IP:2001:db8::1", &ca, -1, 90);
	make(&nameless, "mx.example.org", "", &ca, -1, 90);
	make(&hostile, "x", "DNS:evil\x1b[2J\xff.example,DNS:b,DNS:c,DNS:d,"
	    "DNS:e", &ca, -1, 90);
	make(&client_only, "x", "DNS:mx.example.org", &ca, -1, 90);
	make(&of_expired_ca, "x", "DNS:mx.example.org", &expired_ca, -1, 90);
	certify(&weak, EVP_RSA_gen(1024), "mx.example.org",
	    "DNS:mx.example.org", NULL, -1, 90);
	certify(&rsa, EVP_RSA_gen(2048), "x", "DNS:mx.example.org", &ca, -1,
	    90);
	assert_non_null(mkdtemp(directory));
	write_file("ca.pem", "# ours\n", ca.certificate);
	trust = tls_trust_new(path_of("ca.pem"), &why);
	return trust == NULL ? -1 : 0;
}

int
tls_served_teardown(void **unused)
{
	struct identity *all[] = { &ca, &other_ca, &mx, &mailout, &expired,
	    &early, &alone, &address, &nameless, &hostile, &weak,
	    &client_only, &expired_ca, &of_expired_ca, &rsa };
	size_t i;

	(void)unused;
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		X509_free(all[i]->certificate);
		EVP_PKEY_free(all[i]->key);
	}
	tls_trust_free(trust);
	unlink(path_of("ca.pem"));
	unlink(path_of("bad.pem"));
	return rmdir(directory);
}

/* ---- the server ---- */

SSL_CTX *
server_context(const struct identity *identity, int version)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	assert_non_null(context);
	SSL_CTX_set_security_level(context, 0);
	assert_int_equal(SSL_CTX_set_min_proto_version(context,
	    TLS1_VERSION), 1);
	SSL_CTX_set_max_proto_version(context, version);
	assert_int_equal(SSL_CTX_use_certificate(context,
	    identity->certificate), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(context, identity->key), 1);
	if (identity->issuer != NULL)
		SSL_CTX_add1_chain_cert(context, identity->issuer);
	return context;
}

void
server_close(struct server *server)
{
	if (server->fd != -1)
		close(server->fd);
	server->fd = -1;
}

/* Write to the client what the server's TLS has made, until the cut. */
void
server_send(struct server *server)
{
	char octets[4096];
	size_t size;
	int n;

	while (server->fd != -1) {
		size = server->left < sizeof(octets) ? server->left :
		    sizeof(octets);
		if (size == 0) {
			server_close(server);
			return;
		}
		n = BIO_read(SSL_get_wbio(server->ssl), octets, (int)size);
		if (n <= 0)
			return;
		assert_int_equal(write(server->fd, octets, (size_t)n), n);
		server->sent += (size_t)n;
		if (server->left != NO_CUT)
			server->left -= (size_t)n;
	}
}

/* One turn of the server. */
void
server_turn(struct server *server)
{
	char octets[4096];
	ssize_t n;

	if (server->fd == -1)
		return;
	if (server->speaks != NULL) {
		n = write(server->fd, server->speaks, strlen(server->speaks));
		server->speaks = "";
		return;
	}
	while ((n = read(server->fd, octets, sizeof(octets))) > 0)
		BIO_write(SSL_get_rbio(server->ssl), octets, (int)n);
	if (!server->shaken)
		server->shaken = SSL_do_handshake(server->ssl) == 1;
	server_send(server);
}

static void
server_start(struct server *server, SSL_CTX *context, int fd)
{
	memset(server, 0, sizeof(*server));
	server->context = context;
	server->fd = fd;
	server->left = NO_CUT;
	server->ssl = SSL_new(context);
	SSL_set_bio(server->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_accept_state(server->ssl);
}

static void
server_end(struct server *server)
{
	server_close(server);
	SSL_free(server->ssl);
	ERR_clear_error();
}

/* ---- one connection ---- */

/* Pairs of sockets made before the jail, which makes none. */
static int	 spare[SPARE][2];
static size_t	 spare_count;

void
make_spare_pairs(void)
{
	while (spare_count < SPARE) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
		    spare[spare_count]) == -1)
			fail_msg("socketpair");
		spare_count++;
	}
}

static void
make_pair(int *pair)
{
	if (spare_count > 0)
		memcpy(pair, spare[--spare_count], sizeof(spare[0]));
	else
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM |
		    SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
}

void
connect_to(struct connection *connection, SSL_CTX *context,
    const struct tls_want *want)
{
	int pair[2];

	make_pair(pair);
	server_start(&connection->server, context, pair[1]);
	connection->fd = pair[0];
	connection->tls = tls_client(want, pair[0]);
}

enum tls_step
shake(struct connection *connection)
{
	enum tls_step step;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		step = tls_handshake(connection->tls);
		if (step != TLS_WANT_READ && step != TLS_WANT_WRITE)
			break;
		server_turn(&connection->server);
	}
	assert_int_not_equal(i, ROUNDS);
	return step;
}

/*
 * Have the server say something, and read it: tickets come before it.
 * Returns how often we had to go back to the loop.
 */
int
hear(struct connection *connection)
{
	enum tls_step step;
	char text[16];
	size_t done;
	int turns = -1;

	server_turn(&connection->server);
	assert_true(connection->server.shaken);
	assert_int_equal(SSL_write(connection->server.ssl, "hello", 5), 5);
	server_send(&connection->server);
	do {
		step = tls_read(connection->tls, text, sizeof(text), &done);
	} while (step == TLS_WANT_READ && ++turns < ROUNDS);
	assert_int_equal(step, TLS_DONE);
	assert_int_equal(done, 5);
	assert_memory_equal(text, "hello", 5);
	return turns + 1;
}

void
disconnect(struct connection *connection)
{
	tls_free(connection->tls);
	close(connection->fd);
	server_end(&connection->server);
}

const char *const mx_names[1] = { "mx.example.org" };

struct tls_want
by_name(const char *const *names, size_t count)
{
	return (struct tls_want){ .proof = TLS_NAMED, .trust = trust,
	    .host = names[0], .names = names, .name_count = count };
}

/* A handshake's fault, or NULL with its description; valid until the next. */
const char *
result_of(SSL_CTX *context, const struct tls_want *want, const char **about)
{
	static char fault[512], description[512];
	struct connection connection;
	bool failed;

	connect_to(&connection, context, want);
	failed = shake(&connection) == TLS_FAILED;
	strlcpy(fault, tls_fault(connection.tls), sizeof(fault));
	strlcpy(description, tls_describe(connection.tls),
	    sizeof(description));
	if (!failed)
		hear(&connection);
	disconnect(&connection);
	assert_true(failed == (fault[0] != '\0'));
	assert_true(failed == (description[0] == '\0'));
	if (about != NULL)
		*about = description;
	return failed ? fault : NULL;
}

void
check_version(const struct identity *identity, const struct tls_want *want,
    int version, const char *fault)
{
	SSL_CTX *context = server_context(identity, version);
	const char *about, *said = result_of(context, want, &about);

	if (fault == NULL && said != NULL)
		fail_msg("failed: %s", said);
	if (fault != NULL && (said == NULL || strcmp(said, fault) != 0))
		fail_msg("said \"%s\", not \"%s\"", said != NULL ? said :
		    about, fault);
	SSL_CTX_free(context);
}

void
check(const struct identity *identity, const struct tls_want *want,
    const char *fault)
{
	check_version(identity, want, TLS1_2_VERSION, fault);
	check_version(identity, want, TLS1_3_VERSION, fault);
}

void
check_words(const struct identity *identity, const struct tls_want *want,
    const char *words)
{
	SSL_CTX *context = server_context(identity, TLS1_3_VERSION);
	const char *about;

	assert_null(result_of(context, want, &about));
	assert_string_equal(about, words);
	SSL_CTX_free(context);
}

/* ---- DANE ---- */

/* The record of a certificate. */
struct dns_tlsa
tlsa_of(X509 *certificate, int usage, int selector, int matching)
{
	static unsigned char pool[16][2048];
	static int next;
	unsigned char *octets = pool[next++ % 16], *full = NULL;
	unsigned int size = 0;
	int length;

	length = selector == 0 ? i2d_X509(certificate, &full) :
	    i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &full);
	assert_in_range(length, 1, 2048);
	if (matching == 0) {
		memcpy(octets, full, (size_t)length);
		size = (unsigned int)length;
	} else
		EVP_Digest(full, (size_t)length, octets, &size, matching == 1 ?
		    EVP_sha256() : EVP_sha512(), NULL);
	OPENSSL_free(full);
	return (struct dns_tlsa){ .usage = usage, .selector = selector,
	    .matching = matching, .length = size, .octets = octets };
}

struct tls_want
by_records(const struct dns_tlsa *records, size_t count)
{
	return (struct tls_want){ .proof = TLS_DANE_RECORDS,
	    .host = "mx.example.org", .names = mx_names, .name_count = 1,
	    .records = records, .record_count = count };
}

/* ---- sessions ---- */

void
check_resumed(SSL_CTX *context, const struct tls_want *want, bool expected)
{
	const char *about, *fault = result_of(context, want, &about);
	size_t length;

	if (fault != NULL)
		fail_msg("failed: %s", fault);
	length = strlen(about);
	if ((length > 8 && strcmp(about + length - 8, " resumed") == 0) !=
	    expected)
		fail_msg("%s: it should %sbe resumed", about, expected ? "" :
		    "not ");
}
