/*
 * Who the other end of TLS is: certificates that are believed, names, TLSA
 * records, and in words for people what was wrong with a certificate.
 *
 * Names are checked here, not by the library, which would want a name and an
 * address both to match where one of several is enough.
 */
#include <sys/types.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns.h"
#include "log.h"
#include "tls.h"
#include "tls_inner.h"

#define CA_FILE		"/etc/ssl/certs/ca-certificates.crt"
#define USAGE_TA	2	/* RFC 7218: DANE-TA, DANE-EE */
#define USAGE_EE	3
#define DEPTH		16	/* certificates in a chain */
#define NAMES_SHOWN	3
#define NAME_SHOWN	64	/* octets of it */

/* ---- certificates that are believed ---- */

static char	trust_why[256];

/* Add all certificates of a file.  Returns how many, -1 if one is broken. */
static int
read_certificates(FILE *in, X509_STORE *store)
{
	unsigned long error;
	int count = 0;
	X509 *certificate;

	ERR_clear_error();
	while ((certificate = PEM_read_X509_AUX(in, NULL, NULL,
	    NULL)) != NULL) {
		if (X509_STORE_add_cert(store, certificate) != 1)
			fatalx("TLS: a certificate cannot be kept");
		X509_free(certificate);
		count++;
	}
	error = ERR_peek_last_error();
	ERR_clear_error();
	return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) ==
	    PEM_R_NO_START_LINE ? count : -1;
}

struct tls_trust *
tls_trust_new(const char *file, const char **why)
{
	static unsigned int number;
	struct tls_trust *trust = NULL;
	bool given = file != NULL;
	FILE *in = NULL;
	int count;

	if (!given && (in = fopen(file = CA_FILE, "re")) == NULL)
		file = X509_get_default_cert_file();
	if (in == NULL && (in = fopen(file, "re")) == NULL) {
		snprintf(trust_why, sizeof(trust_why), "%s: %s", file,
		    strerror(errno));
		goto out;
	}
	if ((trust = calloc(1, sizeof(*trust))) == NULL ||
	    (trust->store = X509_STORE_new()) == NULL)
		fatal("TLS trust");
	trust->number = ++number;
	/* Whoever stands in a file of one's own is believed, root or not. */
	if (given)
		X509_STORE_set_flags(trust->store, X509_V_FLAG_PARTIAL_CHAIN);
	count = read_certificates(in, trust->store);
	if (count > 0)
		goto out;
	snprintf(trust_why, sizeof(trust_why), count == 0 ?
	    "%s: there is no certificate in it" :
	    "%s: a certificate in it cannot be read", file);
	tls_trust_free(trust);
	trust = NULL;
out:
	if (in != NULL)
		fclose(in);
	*why = trust == NULL ? trust_why : NULL;
	return trust;
}

void
tls_trust_free(struct tls_trust *trust)
{
	if (trust == NULL)
		return;
	X509_STORE_free(trust->store);
	free(trust);
}

/* ---- names ---- */

static bool
is_address(const char *name)
{
	unsigned char address[16];

	return inet_pton(AF_INET, name, address) == 1 ||
	    inet_pton(AF_INET6, name, address) == 1;
}

static bool
bears(X509 *certificate, const char *name)
{
	size_t length = strlen(name);

	if (is_address(name))
		return X509_check_ip_asc(certificate, name, 0) == 1;
	if (length > 0 && name[length - 1] == '.')
		length--;
	return length > 0 && X509_check_host(certificate, name, length,
	    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

static bool
bears_any(X509 *certificate, const struct tls_want *want)
{
	size_t i;

	for (i = 0; i < want->name_count; i++)
		if (bears(certificate, want->names[i]))
			return true;
	return false;
}

/* Write the first names, and that there are more. */
static void
print_wanted(const struct tls_want *want, FILE *out)
{
	size_t i;

	for (i = 0; i < want->name_count && i < NAMES_SHOWN; i++)
		fprintf(out, "%s%.*s", i > 0 ? " or " : "", NAME_SHOWN,
		    want->names[i]);
	if (i == 0)
		fputs("any name we want", out);
}

/* The common name of a subject or issuer; "?" if it has none. */
static void
print_common(const X509_NAME *name, FILE *out)
{
	char text[NAME_SHOWN + 1];

	if (X509_NAME_get_text_by_NID(name, NID_commonName, text,
	    sizeof(text)) <= 0)
		strlcpy(text, "?", sizeof(text));
	fputs(text, out);
}

/* Write the names a certificate is for. */
static void
print_borne(const X509 *certificate, FILE *out)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate,
	    NID_subject_alt_name, NULL, NULL);
	const GENERAL_NAME *name;
	int i, shown = 0, left = 0;

	for (i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		name = sk_GENERAL_NAME_value(names, i);
		if (name->type != GEN_DNS)
			continue;
		if (shown == NAMES_SHOWN) {
			left++;
			continue;
		}
		fprintf(out, "%s%.*s", shown++ > 0 ? ", " : "",
		    name->d.dNSName->length < NAME_SHOWN ?
		    name->d.dNSName->length : NAME_SHOWN,
		    (const char *)name->d.dNSName->data);
	}
	if (left > 0)
		fprintf(out, " and %d others", left);
	if (shown == 0)
		print_common(X509_get_subject_name(certificate), out);
	GENERAL_NAMES_free(names);
}

/* ---- what is wrong with a certificate ---- */

static void
print_day(const ASN1_TIME *when, FILE *out)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(when, &tm) == 1)
		fprintf(out, "%04d-%02d-%02d", tm.tm_year + 1900,
		    tm.tm_mon + 1, tm.tm_mday);
	else
		fputs("an unreadable date", out);
}

/* Whose certificate it is: the other end's, or one above it. */
static void
print_whose(const struct tls *tls, const X509_STORE_CTX *context, FILE *out)
{
	const struct tls_want *want = &tls->want;
	X509 *certificate = X509_STORE_CTX_get_current_cert(context);

	fputs("the certificate of ", out);
	if (X509_STORE_CTX_get_error_depth(context) > 0 &&
	    X509_STORE_CTX_get_error(context) != X509_V_ERR_DANE_NO_MATCH &&
	    certificate != NULL) {
		fputs("the issuer ", out);
		print_common(X509_get_subject_name(certificate), out);
	} else if (want->host != NULL && *want->host != '\0')
		fputs(want->host, out);
	else if (want->name_count > 0 && *want->names[0] != '\0')
		fputs(want->names[0], out);
	else
		fputs("the other end", out);
}

static void
print_fault(const struct tls *tls, const X509_STORE_CTX *context, FILE *out)
{
	X509 *certificate = X509_STORE_CTX_get_current_cert(context);
	int error = X509_STORE_CTX_get_error(context);

	if (error == X509_V_ERR_DANE_NO_MATCH)
		fputs("no TLSA record matches ", out);
	print_whose(tls, context, out);
	switch (certificate != NULL ? error : X509_V_ERR_UNSPECIFIED) {
	case X509_V_ERR_DANE_NO_MATCH:
		break;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		fputs(" is for ", out);
		print_borne(certificate, out);
		fputs(", not for ", out);
		print_wanted(&tls->want, out);
		break;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		fputs(" expired on ", out);
		print_day(X509_get0_notAfter(certificate), out);
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		fputs(" is not valid before ", out);
		print_day(X509_get0_notBefore(certificate), out);
		break;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		fputs(" is signed by nobody we trust (self-signed)", out);
		break;
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_CERT_UNTRUSTED:
		fputs(" is signed by nobody we trust (", out);
		print_common(X509_get_issuer_name(certificate), out);
		fputc(')', out);
		break;
	case X509_V_ERR_INVALID_PURPOSE:
		fputs(" is not meant for servers", out);
		break;
	default:
		fprintf(out, ": %s", X509_verify_cert_error_string(error));
		break;
	}
}

static void
explain(struct tls *tls, const X509_STORE_CTX *context)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (out == NULL)
		fatal("TLS fault");
	print_fault(tls, context, out);
	if (fclose(out) == EOF)
		fatal("TLS fault");
	tls_set_fault(tls, "%s", text);
	free(text);
}

/* Asked by the library at each fault, and at each certificate without one. */
static int
on_verify(int ok, X509_STORE_CTX *context)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(context,
	    SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls *tls = tls_of(ssl);

	if (ok && tls->want.proof == TLS_NAMED &&
	    X509_STORE_CTX_get_error_depth(context) == 0) {
		tls->named = bears_any(X509_STORE_CTX_get0_cert(context),
		    &tls->want);
		if (!tls->named) {
			X509_STORE_CTX_set_error(context,
			    X509_V_ERR_HOSTNAME_MISMATCH);
			ok = 0;
		}
	}
	if (!ok)
		explain(tls, context);
	return ok;
}

/* ---- TLSA records ---- */

/*
 * Add a record if mail may use it (RFC 7672 3.1) and the library knows what
 * it says.
 */
static bool
add_record(SSL *ssl, const struct dns_tlsa *record, bool named)
{
	bool added;

	if (record->usage != USAGE_EE && (record->usage != USAGE_TA || !named))
		return false;
	added = SSL_dane_tlsa_add(ssl, record->usage, record->selector,
	    record->matching, record->octets, record->length) == 1;
	ERR_clear_error();
	return added;
}

bool
tls_records_usable(const struct dns_tlsa *records, size_t count)
{
	bool usable = false;
	SSL *ssl = tls_new_ssl();
	size_t i;

	if (SSL_dane_enable(ssl, "localhost") != 1)
		fatalx("TLS: DANE cannot be enabled");
	for (i = 0; i < count && !usable; i++)
		usable = add_record(ssl, &records[i], true);
	SSL_free(ssl);
	ERR_clear_error();
	return usable;
}

/* Give the library the records and the names that usage 2 needs. */
static int
demand_records(struct tls *tls)
{
	const struct tls_want *want = &tls->want;
	size_t i, added = 0;

	if (SSL_dane_enable(tls->ssl, want->name_count > 0 ? want->names[0] :
	    NULL) != 1)
		fatalx("TLS: DANE cannot be enabled");
	SSL_dane_set_flags(tls->ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	SSL_set_hostflags(tls->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	for (i = 1; i < want->name_count; i++)
		if (SSL_add1_host(tls->ssl, want->names[i]) != 1)
			fatalx("TLS: a name cannot be demanded");
	for (i = 0; i < want->record_count; i++)
		added += add_record(tls->ssl, &want->records[i],
		    want->name_count > 0);
	if (added > 0)
		return 0;
	tls_set_fault(tls, "no TLSA record can be used");
	return -1;
}

/* ---- what is demanded, and whether it was given ---- */

int
tls_demand(struct tls *tls)
{
	const struct tls_want *want = &tls->want;

	if (want->proof == TLS_ANYBODY) {
		/* Weak keys are better than none, and nobody is believed. */
		SSL_set_security_level(tls->ssl, 0);
		SSL_set_options(tls->ssl, SSL_OP_LEGACY_SERVER_CONNECT);
		SSL_set_verify(tls->ssl, SSL_VERIFY_NONE, NULL);
		return 0;
	}
	SSL_set_verify(tls->ssl, SSL_VERIFY_PEER, on_verify);
	SSL_set_verify_depth(tls->ssl, DEPTH);
	if (want->proof == TLS_DANE_RECORDS)
		return demand_records(tls);
	if (want->trust == NULL || want->name_count == 0) {
		tls_set_fault(tls, want->trust == NULL ? "no certificates are "
		    "trusted here" : "there is no name that the certificate "
		    "could be for");
		return -1;
	}
	if (SSL_set1_verify_cert_store(tls->ssl, want->trust->store) != 1)
		fatalx("TLS: trust cannot be given");
	return 0;
}

bool
tls_is_proved(const struct tls *tls)
{
	if (tls->want.proof == TLS_ANYBODY)
		return true;
	if (SSL_get_verify_result(tls->ssl) != X509_V_OK)
		return false;
	/* Its key says that the same was proved before. */
	if (SSL_session_reused(tls->ssl))
		return true;
	if (tls->want.proof == TLS_NAMED)
		return tls->named;
	return SSL_get0_dane_authority(tls->ssl, NULL, NULL) >= 0;
}
