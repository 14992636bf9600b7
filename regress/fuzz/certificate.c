/* links: common/tls.c common/tls_proof.c common/tls_session.c common/log.c
 * common/queueid.c common/clock.c */
/*
 * Handshakes with servers whose certificates say anything, below chains of
 * anybody's, and TLSA records of anything: who is believed bears a name that
 * is wanted below someone who is trusted, or is what a record tells, and what
 * is said of the others is one printable line.  The input is settings, wanted
 * names, the subject, then a letter and text a line: names of the certificate,
 * records, who signed it and who signed that one, octets of it that are others.
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
#define ISSUERS		4
#define EDITS		4

enum { SELF = 1, EXPIRED = 2, EARLY = 4, DANE = 8, WIDE = 16, ANYBODY = 32,
    OLD = 64, CA_NAMES = 128 };

/* What may be wrong with who signed. */
enum { NO_CA = 1, GONE = 2, ABSENT = 4, ROOT = 8, SHORT = 16, CLIENTS = 32 };

struct issuer {
	uint8_t		 flaws;
	X509		*certificate;
};

struct edit {
	size_t		 offset;
	uint8_t		 bits;
};

static struct {
	EVP_PKEY	*key, *ca_key, *issuer_key;
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
	struct issuer	 issuers[ISSUERS];	/* the first signed it */
	size_t		 issuer_count;
	struct edit	 edits[EDITS];
	size_t		 edit_count;
	bool		 edited;
	bool		 for_clients;
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
extend(X509 *certificate, int nid, const char *value)
{
	X509_EXTENSION *extension = fuzz_need(X509V3_EXT_conf_nid(NULL, NULL,
	    nid, value));

	require(X509_add_ext(certificate, extension, -1) == 1);
	X509_EXTENSION_free(extension);
}

static void
make_ca(void)
{
	X509_NAME *name;
	const char *why;
	char path[32];
	int fd = memfd_create("ca", MFD_CLOEXEC);
	FILE *out;

	all.ca_key = fuzz_need(EVP_EC_gen("P-256"));
	all.key = fuzz_need(EVP_EC_gen("P-256"));
	all.issuer_key = fuzz_need(EVP_EC_gen("P-256"));
	all.ca = blank(-1, 1000, all.ca_key);
	name = X509_get_subject_name(all.ca);
	require(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
	    (const unsigned char *)"CA", -1, -1, 0) == 1);
	require(X509_set_issuer_name(all.ca, name) == 1);
	extend(all.ca, NID_basic_constraints, "critical,CA:TRUE");
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

/* One more above the others: what is wrong with it, then its name. */
static void
add_issuer(const char *text)
{
	struct issuer *issuer = &play->issuers[play->issuer_count];
	uint8_t flaws = (uint8_t)*text;

	if (*text == '\0' || play->issuer_count == ISSUERS)
		return;
	play->issuer_count++;
	issuer->flaws = flaws;
	issuer->certificate = blank(flaws & GONE ? -9 : -1,
	    flaws & GONE ? -2 : 90, all.issuer_key);
	(void)X509_NAME_add_entry_by_NID(X509_get_subject_name(
	    issuer->certificate), NID_commonName, MBSTRING_UTF8,
	    (const unsigned char *)text + 1, -1, -1, 0);
	ERR_clear_error();
	extend(issuer->certificate, NID_basic_constraints, flaws & NO_CA ?
	    "CA:FALSE" : flaws & SHORT ? "critical,CA:TRUE,pathlen:0" :
	    "critical,CA:TRUE");
	if (flaws & CLIENTS)
		extend(issuer->certificate, NID_ext_key_usage, "clientAuth");
}

/* Whose key signs what is signed in the name of nth; the last is the CA. */
static void
sign_as(X509 *certificate, size_t nth)
{
	bool is_ca = nth == play->issuer_count;

	require(X509_set_issuer_name(certificate, X509_get_subject_name(
	    is_ca ? all.ca : play->issuers[nth].certificate)) == 1);
	require(X509_sign(certificate, is_ca ? all.ca_key : all.issuer_key,
	    EVP_sha256()) > 0);
}

static void
sign_issuers(void)
{
	size_t i;

	for (i = 0; i < play->issuer_count; i++)
		sign_as(play->issuers[i].certificate,
		    play->issuers[i].flaws & ROOT ? i : i + 1);
}

/* An octet of the certificate, far in, and what to change of it. */
static void
add_edit(const char *text)
{
	if (strlen(text) < 3 || play->edit_count == EDITS)
		return;
	play->edits[play->edit_count].offset = (size_t)(text[0] & 127) << 7 |
	    (text[1] & 127);
	play->edits[play->edit_count++].bits = (uint8_t)text[2];
}

/* As edited, if it still is one; the names are what it bears then. */
static void
edit(void)
{
	unsigned char *der = NULL;
	const unsigned char *at;
	X509 *edited;
	int length;
	size_t i;

	if (play->edit_count == 0)
		return;
	length = i2d_X509(play->certificate, &der);
	require(length > 0);
	for (i = 0; i < play->edit_count; i++)
		der[play->edits[i].offset % (size_t)length] ^=
		    play->edits[i].bits;
	at = der;
	edited = d2i_X509(NULL, &at, length);
	OPENSSL_free(der);
	ERR_clear_error();
	if (edited == NULL)
		return;
	/* Its key must be its own, or no server could show it. */
	if (X509_check_private_key(edited, all.key) != 1) {
		X509_free(edited);
		ERR_clear_error();
		return;
	}
	X509_free(play->certificate);
	play->certificate = edited;
	play->edited = true;
	sk_GENERAL_NAME_pop_free(play->borne, GENERAL_NAME_free);
	play->borne = X509_get_ext_d2i(edited, NID_subject_alt_name, NULL,
	    NULL);
	ERR_clear_error();
}

/* Its first signature is but for something to edit. */
static void
sign(void)
{
	if (sk_GENERAL_NAME_num(play->borne) > 0)
		require(X509_add1_ext_i2d(play->certificate,
		    NID_subject_alt_name, play->borne, 0, 0) == 1);
	if (play->for_clients)
		extend(play->certificate, NID_ext_key_usage, "clientAuth");
	sign_issuers();
	sign_as(play->certificate, 0);
	edit();
	if ((play->bits & SELF) == 0)
		sign_as(play->certificate, 0);
	else {
		require(X509_set_issuer_name(play->certificate,
		    X509_get_subject_name(play->certificate)) == 1);
		require(X509_sign(play->certificate, all.key,
		    EVP_sha256()) > 0);
	}
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

/* The certificate that a letter of a record means, if it means one. */
static X509 *
meant(char source)
{
	return source == '=' ? play->certificate : source == '^' ? all.ca :
	    source == '%' && play->issuer_count > 0 ?
	    play->issuers[0].certificate : NULL;
}

/*
 * Usage, selector, matching; then = the certificate's, ^ the CA's, % who
 * signed it, or any octets.
 */
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
		if (meant(play->sources[i]) == NULL)
			continue;
		told = told_of(meant(play->sources[i]), record->selector & 1,
		    record->matching % 3, &length);
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
	X509 *shown[] = { play->certificate, all.ca, meant('%') };
	const struct dns_tlsa *record;
	unsigned char *told;
	bool same = false;
	size_t i, j;
	int length;

	for (i = 0; i < play->record_count && !same; i++)
		for (j = 0; j < 3 && !same; j++) {
			record = &play->records[i];
			if (shown[j] == NULL ||
			    record->usage != (j == 0 ? 3 : 2) ||
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

/* Is there nobody trusted above it, or is it not good for a server? */
static bool
is_flawed(void)
{
	uint8_t own = play->bits & (SELF | EXPIRED | EARLY);

	if (play->edited)
		return own & SELF;
	return own != 0 || play->for_clients || (play->issuer_count > 0 &&
	    (play->issuers[play->issuer_count - 1].flaws & (NO_CA | GONE |
	    ABSENT | ROOT | CLIENTS)) != 0);
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
		require(borne && !is_flawed());
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
	size_t n;

	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, pair) == 0);
	require(SSL_use_certificate(server, play->certificate) == 1);
	for (n = 0; n < play->issuer_count; n++)
		require((play->issuers[n].flaws & ABSENT) ||
		    SSL_add1_chain_cert(server,
		    play->issuers[n].certificate) == 1);
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
		else if (line[0] == 's')
			add_issuer(line + 1);
		else if (line[0] == 'x')
			add_edit(line + 1);
		else if (line[0] == 'k')
			play->for_clients = true;
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
	for (i = 0; i < now.issuer_count; i++)
		X509_free(now.issuers[i].certificate);
	for (i = 0; i < now.record_count; i++)
		free(now.octets[i]);
	free(now.words);
	return 0;
}
