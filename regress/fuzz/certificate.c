/* links: common/tls.c common/tls_proof.c common/tls_session.c common/log.c
 * common/queueid.c common/clock.c */
/*
 * Handshakes with servers whose certificates say anything, and TLSA records
 * of anything: who is believed bears a name that is wanted, or is what a
 * record tells, and what is said of the others is one printable line.  The
 * input is settings, wanted names, the subject, then a letter and text a
 * line: names of the certificate, or records.
 */
#include <sys/mman.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <signal.h>
#include <unistd.h>

#include "dns.h"
#include "fuzz.h"
#include "tls.h"

#define DAY		(24 * 3600L)
#define NAMES		4
#define RECORDS		4
#define ROUNDS		40

enum { SELF = 1, EXPIRED = 2, EARLY = 4, DANE = 8, WIDE = 16, ANYBODY = 32,
    OLD = 64, CA_NAMES = 128 };

static struct {
	EVP_PKEY	*key, *ca_key;
	X509		*ca;
	struct tls_trust *trust;
	SSL_CTX		*context;
} all;

static struct play {
	uint8_t		 bits;
	char		*words;		/* of the names */
	const char	*names[NAMES];
	size_t		 name_count;
	X509		*certificate;
	GENERAL_NAMES	*borne;
	struct dns_tlsa	 records[RECORDS];
	uint8_t		*octets[RECORDS];
	char		 sources[RECORDS];
	size_t		 record_count;
} *play;

/* ---- certificates ---- */

static X509 *
blank(long from, long to, EVP_PKEY *key)
{
	X509 *certificate = fuzz_need(X509_new());

	require(X509_set_version(certificate, 2) == 1);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 7);
	X509_gmtime_adj(X509_getm_notBefore(certificate), from * DAY);
	X509_gmtime_adj(X509_getm_notAfter(certificate), to * DAY);
	require(X509_set_pubkey(certificate, key) == 1);
	return certificate;
}

static void
make_ca(void)
{
	X509_EXTENSION *extension;
	X509_NAME *name;
	const char *why;
	char path[32];
	int fd = memfd_create("ca", MFD_CLOEXEC);
	FILE *out;

	all.ca_key = fuzz_need(EVP_EC_gen("P-256"));
	all.key = fuzz_need(EVP_EC_gen("P-256"));
	all.ca = blank(-1, 1000, all.ca_key);
	name = X509_get_subject_name(all.ca);
	require(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
	    (const unsigned char *)"CA", -1, -1, 0) == 1);
	require(X509_set_issuer_name(all.ca, name) == 1);
	extension = fuzz_need(X509V3_EXT_conf_nid(NULL, NULL,
	    NID_basic_constraints, "critical,CA:TRUE"));
	require(X509_add_ext(all.ca, extension, -1) == 1);
	X509_EXTENSION_free(extension);
	require(X509_sign(all.ca, all.ca_key, EVP_sha256()) > 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	out = fuzz_need(fopen(path, "w"));
	require(PEM_write_X509(out, all.ca) == 1 && fclose(out) == 0);
	all.trust = fuzz_need(tls_trust_new(path, &why));
	require(close(fd) == 0);
}

static void
prepare(void)
{
	(void)signal(SIGPIPE, SIG_IGN);
	tls_open();
	make_ca();
	all.context = fuzz_need(SSL_CTX_new(TLS_server_method()));
	require(SSL_CTX_use_PrivateKey(all.context, all.key) == 1);
}

static void
set_subject(const char *text)
{
	X509_NAME *name = X509_get_subject_name(play->certificate);

	/* What is no string of this type is no name. */
	(void)X509_NAME_add_entry_by_NID(name, NID_commonName,
	    play->bits & WIDE ? V_ASN1_T61STRING : MBSTRING_UTF8,
	    (const unsigned char *)text, -1, -1, 0);
	if (play->bits & CA_NAMES)
		(void)X509_NAME_add_entry_by_NID(name, NID_commonName,
		    MBSTRING_ASC, (const unsigned char *)"mx.test", -1, -1,
		    0);
	ERR_clear_error();
}

/* One name: d for DNS, i an address, other letters other kinds. */
static void
add_name(char letter, const char *text, size_t length)
{
	GENERAL_NAME *name = fuzz_need(GENERAL_NAME_new());
	ASN1_STRING *string = fuzz_need(ASN1_IA5STRING_new());

	require(ASN1_STRING_set(string, text, (int)length) == 1);
	if (letter == 'i') {
		ASN1_STRING_free(string);
		string = fuzz_need(ASN1_OCTET_STRING_new());
		require(ASN1_STRING_set(string, text, (int)length) == 1);
	}
	GENERAL_NAME_set0_value(name, letter == 'd' ? GEN_DNS :
	    letter == 'i' ? GEN_IPADD : letter == 'u' ? GEN_URI : GEN_EMAIL,
	    string);
	require(sk_GENERAL_NAME_push(play->borne, name) > 0);
}

static void
sign(void)
{
	bool is_self = play->bits & SELF;

	if (sk_GENERAL_NAME_num(play->borne) > 0)
		require(X509_add1_ext_i2d(play->certificate,
		    NID_subject_alt_name, play->borne, 0, 0) == 1);
	require(X509_set_issuer_name(play->certificate,
	    X509_get_subject_name(is_self ? play->certificate : all.ca)) ==
	    1);
	require(X509_sign(play->certificate, is_self ? all.key : all.ca_key,
	    EVP_sha256()) > 0);
}

/* ---- records ---- */

/* What a record of this kind tells of a certificate, from OpenSSL. */
static unsigned char *
told_of(X509 *certificate, uint8_t selector, uint8_t matching, int *length)
{
	unsigned char *der = NULL, *digest;
	unsigned int size;

	*length = selector == 0 ? i2d_X509(certificate, &der) :
	    i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
	require(*length > 0);
	if (matching == 0)
		return der;
	digest = fuzz_need(OPENSSL_malloc(EVP_MAX_MD_SIZE));
	require(EVP_Digest(der, (size_t)*length, digest, &size,
	    matching == 1 ? EVP_sha256() : EVP_sha512(), NULL) == 1);
	OPENSSL_free(der);
	*length = (int)size;
	return digest;
}

/* Usage, selector, matching; then = the certificate's, ^ the CA's, or any. */
static void
add_record(const char *text)
{
	struct dns_tlsa *record = &play->records[play->record_count];

	if (strlen(text) < 4 || play->record_count == RECORDS)
		return;
	record->usage = (uint8_t)(text[0] - '0');
	record->selector = (uint8_t)(text[1] - '0');
	record->matching = (uint8_t)(text[2] - '0');
	play->sources[play->record_count] = text[3];
	play->octets[play->record_count] = (uint8_t *)strdup(text + 3);
	record->octets = fuzz_need(play->octets[play->record_count]);
	record->length = (uint16_t)strlen(text + 3);
	play->record_count++;
}

/* After the certificate was signed: what records tell of it. */
static void
fill_records(void)
{
	struct dns_tlsa *record;
	unsigned char *told;
	int length;
	size_t i;

	for (i = 0; i < play->record_count; i++) {
		record = &play->records[i];
		if (play->sources[i] != '=' && play->sources[i] != '^')
			continue;
		told = told_of(play->sources[i] == '=' ? play->certificate :
		    all.ca, record->selector & 1, record->matching % 3,
		    &length);
		free(play->octets[i]);
		play->octets[i] = fuzz_need(malloc((size_t)length));
		memcpy(play->octets[i], told, (size_t)length);
		OPENSSL_free(told);
		record->octets = play->octets[i];
		record->length = (uint16_t)length;
	}
}

/* Does one of the records really tell of what the server showed? */
static bool
is_told(void)
{
	X509 *shown[] = { play->certificate, all.ca };
	const struct dns_tlsa *record;
	unsigned char *told;
	bool same = false;
	size_t i, j;
	int length;

	for (i = 0; i < play->record_count && !same; i++)
		for (j = 0; j < 2 && !same; j++) {
			record = &play->records[i];
			if (record->usage != (j == 0 ? 3 : 2) ||
			    record->selector > 1 || record->matching > 2)
				continue;
			told = told_of(shown[j], record->selector,
			    record->matching, &length);
			same = record->length == length &&
			    memcmp(record->octets, told,
			    (size_t)length) == 0;
			OPENSSL_free(told);
		}
	return same;
}

/* ---- who is believed ---- */

/* A name as a certificate has it, perhaps with * as its first label. */
static bool
is_for(const char *borne, size_t length, const char *name)
{
	char *text = fuzz_need(strndup(borne, length));
	char *wanted = fuzz_need(strdup(name));
	const char *dot = strchr(wanted, '.');
	bool same;

	if (wanted[0] != '\0' && wanted[strlen(wanted) - 1] == '.')
		wanted[strlen(wanted) - 1] = '\0';
	same = strlen(text) == length && (strcasecmp(text, wanted) == 0 ||
	    (strncmp(text, "*.", 2) == 0 && dot != NULL && dot > wanted &&
	    strcasecmp(text + 1, dot) == 0));
	free(text);
	free(wanted);
	return same;
}

static bool
bears(const char *wanted)
{
	X509_NAME *subject = X509_get_subject_name(play->certificate);
	const ASN1_STRING *string;
	const GENERAL_NAME *name;
	unsigned char address[16];
	unsigned char *text;
	bool has_dns = false, same = false;
	int i, at, length = inet_pton(AF_INET, wanted, address) == 1 ? 4 :
	    inet_pton(AF_INET6, wanted, address) == 1 ? 16 : 0;

	for (i = 0; i < sk_GENERAL_NAME_num(play->borne); i++) {
		name = sk_GENERAL_NAME_value(play->borne, i);
		string = name->d.ia5;
		has_dns = has_dns || name->type == GEN_DNS;
		if (length == 0 && name->type == GEN_DNS && is_for(
		    (const char *)string->data, (size_t)string->length,
		    wanted))
			return true;
		if (length > 0 && name->type == GEN_IPADD &&
		    string->length == length &&
		    memcmp(string->data, address, (size_t)length) == 0)
			return true;
	}
	if (length > 0 || has_dns)
		return false;
	for (at = -1; !same && (at = X509_NAME_get_index_by_NID(subject,
	    NID_commonName, at)) >= 0;) {
		length = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(
		    X509_NAME_get_entry(subject, at)));
		if (length < 0)
			continue;
		same = is_for((const char *)text, (size_t)length, wanted);
		OPENSSL_free(text);
	}
	return same;
}

static void
check_believed(const struct tls *tls, enum tls_proof proof)
{
	bool borne = false;
	size_t i;

	require(fuzz_is_printable(tls_describe(tls)));
	require(tls_describe(tls)[0] != '\0');
	for (i = 0; i < play->name_count; i++)
		borne = borne || bears(play->names[i]);
	if (proof == TLS_NAMED)
		require(borne && (play->bits & (SELF | EXPIRED | EARLY)) ==
		    0);
	if (proof == TLS_DANE_RECORDS)
		require(is_told());
}

/* ---- the handshake ---- */

static void
shake(const struct tls_want *want)
{
	SSL *server = fuzz_need(SSL_new(all.context));
	enum tls_step step = TLS_WANT_READ;
	struct tls *tls;
	int pair[2], i;

	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, pair) == 0);
	require(SSL_use_certificate(server, play->certificate) == 1);
	require((play->bits & SELF) || SSL_add1_chain_cert(server,
	    all.ca) == 1);
	require(SSL_use_PrivateKey(server, all.key) == 1);
	if (play->bits & OLD)
		require(SSL_set_max_proto_version(server, TLS1_2_VERSION) ==
		    1);
	require(SSL_set_fd(server, pair[1]) == 1);
	SSL_set_accept_state(server);
	tls = tls_client(want, pair[0]);
	for (i = 0; i < ROUNDS && (step == TLS_WANT_READ ||
	    step == TLS_WANT_WRITE); i++) {
		step = tls_handshake(tls);
		(void)SSL_do_handshake(server);
		ERR_clear_error();
	}
	require(step == TLS_DONE || step == TLS_FAILED);
	if (step == TLS_DONE)
		check_believed(tls, want->proof);
	else
		require(tls_fault(tls)[0] != '\0' &&
		    fuzz_is_printable(tls_fault(tls)));
	tls_free(tls);
	SSL_free(server);
	require(close(pair[0]) == 0 && close(pair[1]) == 0);
	ERR_clear_error();
}

/* ---- the input ---- */

static void
split_names(char *words)
{
	char *word;

	play->words = words;
	while (play->name_count < NAMES &&
	    (word = strsep(&words, ",")) != NULL)
		/* To OpenSSL such a one means all below it. */
		if (*word != '\0' && *word != '.')
			play->names[play->name_count++] = word;
}

static void
take_lines(struct fuzz_input *in)
{
	char *line;

	set_subject(line = fuzz_line(in));
	free(line);
	while (in->left > 0) {
		line = fuzz_line(in);
		if (line[0] == 't')
			add_record(line + 1);
		else if (line[0] != '\0')
			add_name(line[0], line + 1, strlen(line + 1));
		free(line);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct play now = { .bits = fuzz_byte(&in) };
	struct tls_want want = { .host = "mx.test" };
	size_t i;

	if (all.ca == NULL)
		prepare();
	play = &now;
	now.certificate = blank(now.bits & EXPIRED ? -9 : now.bits & EARLY ?
	    5 : -1, now.bits & EXPIRED ? -2 : 90, all.key);
	now.borne = fuzz_need(sk_GENERAL_NAME_new_null());
	split_names(fuzz_line(&in));
	take_lines(&in);
	sign();
	fill_records();
	(void)tls_records_usable(now.records, now.record_count);
	want.trust = all.trust;
	want.names = now.names;
	want.name_count = now.name_count;
	want.records = now.records;
	want.record_count = now.record_count;
	want.proof = now.bits & ANYBODY ? TLS_ANYBODY : now.bits & DANE ?
	    TLS_DANE_RECORDS : TLS_NAMED;
	shake(&want);
	sk_GENERAL_NAME_pop_free(now.borne, GENERAL_NAME_free);
	X509_free(now.certificate);
	for (i = 0; i < now.record_count; i++)
		free(now.octets[i]);
	free(now.words);
	return 0;
}
