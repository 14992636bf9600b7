/* links: common/tls.c common/tls_proof.c common/tls_session.c common/jail.c common/jail_landlock.c common/log.c common/queueid.c common/clock.c */
/*
 * TLS against a server in this process, with certificates made here: what is
 * proved and what is not, what is said of it, what is resumed; and the same
 * from inside the relay's jail.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <fcntl.h>
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

#include "dns.h"
#include "jail.h"
#include "tls.h"

#define DAYS	(24 * 3600L)
#define ROUNDS	100000
#define NO_CUT	SIZE_MAX

/* ---- certificates ---- */

struct identity {
	X509		*certificate;
	EVP_PKEY	*key;
	X509		*issuer;	/* sent along, if not NULL */
};

static struct identity	 ca, other_ca, mx, mailout, expired, early, alone;
static struct identity	 address, nameless, hostile, weak, client_only;
static struct identity	 expired_ca, of_expired_ca, rsa;
static char	 directory[] = "/tmp/tls_test.XXXXXX";
static struct tls_trust	*trust;

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

static char *
path_of(const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void
write_file(const char *name, const char *text, X509 *certificate)
{
	FILE *out = fopen(path_of(name), "w");

	assert_non_null(out);
	fputs(text, out);
	if (certificate != NULL)
		PEM_write_X509(out, certificate);
	fclose(out);
}

static int
setup(void **unused)
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

static int
teardown(void **unused)
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

struct server {
	SSL_CTX		*context;
	SSL		*ssl;
	int		 fd;
	size_t		 left;		/* octets until it cuts the line */
	size_t		 sent;
	bool		 shaken;
	const char	*speaks;	/* this, and no TLS */
};

static SSL_CTX *
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

static void
server_close(struct server *server)
{
	if (server->fd != -1)
		close(server->fd);
	server->fd = -1;
}

/* Write to the client what the server's TLS has made, until the cut. */
static void
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
static void
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

struct connection {
	struct server	 server;
	struct tls	*tls;
	int		 fd;
};

/* Pairs of sockets made before the jail, which makes none. */
static int	 spare[32][2];
static size_t	 spare_count;

static void
make_pair(int *pair)
{
	if (spare_count > 0)
		memcpy(pair, spare[--spare_count], sizeof(spare[0]));
	else
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM |
		    SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
}

static void
begin(struct connection *connection, SSL_CTX *context,
    const struct tls_want *want)
{
	int pair[2];

	make_pair(pair);
	server_start(&connection->server, context, pair[1]);
	connection->fd = pair[0];
	connection->tls = tls_client(want, pair[0]);
}

static enum tls_step
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
static int
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

static void
end(struct connection *connection)
{
	tls_free(connection->tls);
	close(connection->fd);
	server_end(&connection->server);
}

static const char *const mx_names[] = { "mx.example.org" };

static struct tls_want
named(const char *const *names, size_t count)
{
	return (struct tls_want){ .proof = TLS_NAMED, .trust = trust,
	    .host = names[0], .names = names, .name_count = count };
}

/* A handshake's fault, or NULL with its description; valid until the next. */
static const char *
result_of(SSL_CTX *context, const struct tls_want *want, const char **about)
{
	static char fault[512], description[512];
	struct connection connection;
	bool failed;

	begin(&connection, context, want);
	failed = shake(&connection) == TLS_FAILED;
	strlcpy(fault, tls_fault(connection.tls), sizeof(fault));
	strlcpy(description, tls_describe(connection.tls),
	    sizeof(description));
	if (!failed)
		hear(&connection);
	end(&connection);
	assert_true(failed == (fault[0] != '\0'));
	assert_true(failed == (description[0] == '\0'));
	if (about != NULL)
		*about = description;
	return failed ? fault : NULL;
}

static void
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

static void
check(const struct identity *identity, const struct tls_want *want,
    const char *fault)
{
	check_version(identity, want, TLS1_2_VERSION, fault);
	check_version(identity, want, TLS1_3_VERSION, fault);
}

static void
check_words(const struct identity *identity, const struct tls_want *want,
    const char *words)
{
	SSL_CTX *context = server_context(identity, TLS1_3_VERSION);
	const char *about;

	assert_null(result_of(context, want, &about));
	assert_string_equal(about, words);
	SSL_CTX_free(context);
}

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
	want = named(mx_names, 1);
	check(&mx, &want, NULL);
	check_words(&mx, &want, "TLSv1.3 TLS_AES_256_GCM_SHA384 verified");
	check(&nameless, &want, NULL);
	want = named(wild, 1);
	check(&mx, &want, NULL);
	want = named(dot, 1);
	check(&mx, &want, NULL);
	want = named(second, 3);
	check(&mx, &want, NULL);
	want = named(mixed, 2);
	check(&mx, &want, NULL);
	want = named(ip4, 1);
	check(&address, &want, NULL);
	want = named(ip6, 1);
	check(&address, &want, NULL);
	want = named(ip4_wrong, 1);
	check(&address, &want, "the certificate of 192.0.2.2 is for x, not "
	    "for 192.0.2.2");
	want = named(deep, 1);
	check(&mx, &want, "the certificate of a.b.wild.example is for "
	    "mx.example.org, *.wild.example, not for a.b.wild.example");
	want = named(second, 2);
	check(&mx, &want, "the certificate of a.example is for "
	    "mx.example.org, *.wild.example, not for a.example or b.example");
	want = named(mx_names, 1);
	check(&hostile, &want, "the certificate of mx.example.org is for "
	    "evil?[2J?.example, b, c and 2 others, not for mx.example.org");
	want.name_count = 0;
	check(&mx, &want, "there is no name that the certificate could be "
	    "for");
	want = named(empty, 2);
	check(&mx, &want, "the certificate of the other end is for "
	    "mx.example.org, *.wild.example, not for  or .");
}

static void
test_chains(void **unused)
{
	struct tls_want want = named(mx_names, 1);
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
	struct tls_want want = named(mx_names, 1);
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

/* The record of a certificate. */
static struct dns_tlsa
record(X509 *certificate, int usage, int selector, int matching)
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

static struct tls_want
dane(const struct dns_tlsa *records, size_t count)
{
	return (struct tls_want){ .proof = TLS_DANE_RECORDS,
	    .host = "mx.example.org", .names = mx_names, .name_count = 1,
	    .records = records, .record_count = count };
}

static void
test_dane(void **unused)
{
	static const char *const two[] = { "a.example", "mx.example.org" };
	static const char *const wrong[] = { "a.example" };
	static const char no_match[] = "no TLSA record matches the "
	    "certificate of mx.example.org";
	struct dns_tlsa records[4];
	struct tls_want want = dane(records, 1);
	int selector, matching;

	(void)unused;
	for (selector = 0; selector < 2; selector++)
		for (matching = 0; matching < 3; matching++) {
			records[0] = record(mx.certificate, 3, selector,
			    matching);
			check(&mx, &want, NULL);
			check(&mailout, &want, no_match);
			records[0] = record(ca.certificate, 2, selector,
			    matching);
			check(&mx, &want, NULL);
			check(&expired_ca, &want, no_match);
		}
	/* RFC 7672 3.1.1: with usage 3 neither names nor dates matter. */
	records[0] = record(expired.certificate, 3, 1, 1);
	check(&expired, &want, NULL);
	records[0] = record(address.certificate, 3, 1, 1);
	check(&address, &want, NULL);
	check_words(&address, &want, "TLSv1.3 TLS_AES_256_GCM_SHA384 dane");
	/* With usage 2 they do. */
	records[0] = record(ca.certificate, 2, 1, 1);
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
	want = dane(records, 4);
	records[0] = record(alone.certificate, 3, 1, 1);
	records[1] = record(mx.certificate, 1, 1, 1);
	records[2] = record(other_ca.certificate, 2, 0, 1);
	records[3] = record(mx.certificate, 3, 1, 1);
	check(&mx, &want, NULL);
	want.record_count = 3;
	check(&mx, &want, no_match);
}

static void
test_usable(void **unused)
{
	struct dns_tlsa one = record(mx.certificate, 3, 1, 1), records[2];
	struct tls_want want = dane(&one, 1);

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
	records[1] = record(mx.certificate, 3, 0, 2);
	assert_true(tls_records_usable(records, 2));
}

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
		begin(&connection, context, &want);
		connection.server.speaks = texts[i];
		assert_int_equal(shake(&connection), TLS_FAILED);
		assert_string_equal(tls_fault(connection.tls), "what the "
		    "other end says is not TLS");
		assert_int_equal(tls_handshake(connection.tls), TLS_FAILED);
		end(&connection);
	}
	SSL_CTX_free(context);
}

/* The connection ends after each octet of the server's. */
static void
test_cut(void **unused)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct tls_want want = named(mx_names, 1);
	struct connection connection;
	enum tls_step step;
	size_t i, cut, total;
	SSL_CTX *context;

	(void)unused;
	want.peer = "cut";
	for (i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		context = server_context(&mx, versions[i]);
		for (cut = 0, total = 1; cut < total; cut++) {
			begin(&connection, context, &want);
			connection.server.left = cut;
			step = shake(&connection);
			if (step == TLS_DONE) {
				end(&connection);
				break;
			}
			assert_int_equal(step, TLS_FAILED);
			assert_string_equal(tls_fault(connection.tls),
			    "the other end closed the connection during the "
			    "TLS handshake");
			total = connection.server.sent + 2;
			end(&connection);
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
	begin(&connection, context, &want);
	assert_int_equal(shake(&connection), TLS_DONE);
	server_turn(&connection.server);
	for (i = 0; i < 100; i++)
		assert_int_equal(SSL_new_session_ticket(
		    connection.server.ssl), 1);
	assert_true(hear(&connection) > 5);
	end(&connection);
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
	begin(&connection, context, &want);
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
	end(&connection);
	/* Last words, which are heard though nobody listens to us. */
	begin(&connection, context, &want);
	assert_int_equal(shake(&connection), TLS_DONE);
	server_turn(&connection.server);
	assert_int_equal(SSL_write(connection.server.ssl, "421", 3), 3);
	server_send(&connection.server);
	server_close(&connection.server);
	assert_int_equal(tls_write(connection.tls, "QUIT", 4, &done),
	    TLS_FAILED);
	assert_string_equal(tls_fault(connection.tls), "the other end closed "
	    "the connection");
	assert_int_equal(tls_read(connection.tls, got, 10, &done), TLS_DONE);
	assert_int_equal(done, 3);
	assert_int_equal(tls_read(connection.tls, got, 10, &done),
	    TLS_FAILED);
	assert_int_equal(tls_write(connection.tls, "QUIT", 4, &done),
	    TLS_FAILED);
	end(&connection);
	/* An end without order. */
	begin(&connection, context, &want);
	assert_int_equal(shake(&connection), TLS_DONE);
	server_turn(&connection.server);
	server_close(&connection.server);
	assert_int_equal(tls_read(connection.tls, got, 10, &done),
	    TLS_FAILED);
	assert_string_equal(tls_fault(connection.tls), "the other end cut the "
	    "connection without ending TLS");
	assert_int_equal(tls_write(connection.tls, sent, 10, &done),
	    TLS_FAILED);
	end(&connection);
	SSL_CTX_free(context);
	free(sent);
	free(got);
}

/* ---- SNI ---- */

static void
check_sni(const char *host, const char *expected)
{
	const struct tls_want want = { .proof = TLS_ANYBODY, .host = host };
	SSL_CTX *context = server_context(&mx, TLS1_3_VERSION);
	struct connection connection;
	const char *name;

	begin(&connection, context, &want);
	assert_int_equal(shake(&connection), TLS_DONE);
	name = SSL_get_servername(connection.server.ssl,
	    TLSEXT_NAMETYPE_host_name);
	if (expected == NULL)
		assert_null(name);
	else
		assert_string_equal(name, expected);
	end(&connection);
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

/* ---- sessions ---- */

static void
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

static void
check_sessions(int version, const char *peer)
{
	static const char *const two[] = { "mx.example.org", "b.example" };
	SSL_CTX *context = server_context(&mx, version);
	struct dns_tlsa one = record(mx.certificate, 3, 1, 1);
	struct dns_tlsa other = record(mx.certificate, 3, 0, 1);
	struct tls_want want = named(mx_names, 1), anybody, of_dane;
	struct tls_trust *again;
	const char *why;

	want.peer = peer;
	anybody = want;
	anybody.proof = TLS_ANYBODY;
	of_dane = dane(&one, 1);
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
	struct tls_want want = named(mx_names, 1);
	struct connection connection;

	(void)unused;
	want.peer = "a peer with one ticket";
	SSL_CTX_set_num_tickets(context, 1);
	check_resumed(context, &want, false);
	begin(&connection, context, &want);
	assert_int_equal(shake(&connection), TLS_DONE);
	assert_string_equal(tls_describe(connection.tls),
	    "TLSv1.3 TLS_AES_256_GCM_SHA384 verified resumed");
	end(&connection);
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
	struct tls_want want = named(mx_names, 1);
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
	begin(&connection, context, &want);
	connection.server.left = 20;
	assert_int_equal(shake(&connection), TLS_FAILED);
	end(&connection);
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
	struct tls_want want = named(mx_names, 1);
	struct dns_tlsa one = record(ca.certificate, 2, 1, 1);
	SSL_CTX *context = server_context(&mx, version);

	want.peer = "in the jail";
	check_resumed(context, &want, false);
	check_resumed(context, &want, true);
	want = dane(&one, 1);
	want.peer = "in the jail";
	check_resumed(context, &want, false);
	check_resumed(context, &want, true);
	check_version(&alone, &want, version, "no TLSA record matches the "
	    "certificate of mx.example.org");
	if (system != NULL) {
		want = named(mx_names, 1);
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
	while (spare_count < sizeof(spare) / sizeof(spare[0])) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
		    spare[spare_count]) == -1)
			fail_msg("socketpair");
		spare_count++;
	}
	jail_filter(JAIL_RELAY);
	for (version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++)
		shake_all(system, version);
}

static void
test_jail(void **unused)
{
	int status;
	pid_t pid;

	(void)unused;
	fflush(NULL);
	if ((pid = fork()) == 0) {
		const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_in_jail)
		};

		dup2(STDERR_FILENO, STDOUT_FILENO);
		cmocka_set_message_output(CM_OUTPUT_SUBUNIT);
		_exit(cmocka_run_group_tests(tests, NULL, NULL));
	}
	assert_int_not_equal(pid, -1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
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
		cmocka_unit_test(test_usable),
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_alert),
		cmocka_unit_test(test_no_tls),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_octets),
		cmocka_unit_test(test_tickets),
		cmocka_unit_test(test_sni),
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_once),
		cmocka_unit_test(test_no_session),
		cmocka_unit_test(test_many_sessions),
		cmocka_unit_test(test_jail)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
