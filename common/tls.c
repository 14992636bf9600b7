/*
 * TLS as a client: the context, a connection's handshake, its octets, and
 * what is said when any of it fails.  Sockets never block; nothing here
 * waits.  Each call begins with an empty queue of the library's errors, so
 * that none is taken for another connection's.
 */
#include <sys/types.h>

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "printable.h"
#include "tls.h"
#include "tls_inner.h"

#define MESSAGES	16	/* of TLS itself, passed by in one read */

static struct {
	SSL_CTX		*context;
	int		 index;		/* of our struct in an SSL */
} library;

/* ---- what went wrong ---- */

void
tls_set_fault(struct tls *tls, const char *format, ...)
{
	va_list arguments;

	if (tls->fault[0] != '\0')
		return;
	va_start(arguments, format);
	vsnprintf(tls->fault, sizeof(tls->fault), format, arguments);
	va_end(arguments);
	make_printable(tls->fault);
}

/* The other end said with an alert why it will not go on. */
static void
explain_alert(struct tls *tls, int alert)
{
	const char *text = SSL_alert_desc_string_long(alert);

	if (alert == SSL_AD_PROTOCOL_VERSION)
		tls_set_fault(tls, "the other end knows no version of TLS "
		    "that we accept (1.2 and 1.3)");
	else if (strcmp(text, "unknown") == 0)
		tls_set_fault(tls, "the other end refused TLS with alert %d",
		    alert);
	else
		tls_set_fault(tls, "the other end refused TLS with the alert "
		    "\"%s\"", text);
}

/* The library's first error; the later ones only tell where it was seen. */
static void
explain_error(struct tls *tls)
{
	unsigned long error = ERR_peek_error();
	int reason = ERR_GET_REASON(error);
	const char *text = ERR_reason_error_string(error);

	if (ERR_GET_LIB(error) != ERR_LIB_SSL)
		reason = 0;
	if (reason > SSL_AD_REASON_OFFSET &&
	    reason <= SSL_AD_REASON_OFFSET + 255) {
		explain_alert(tls, reason - SSL_AD_REASON_OFFSET);
		return;
	}
	switch (reason) {
	case SSL_R_UNEXPECTED_EOF_WHILE_READING:
		tls_set_fault(tls, tls->done ? "the other end cut the "
		    "connection without ending TLS" : "the other end closed "
		    "the connection during the TLS handshake");
		break;
	case SSL_R_UNSUPPORTED_PROTOCOL:
		tls_set_fault(tls, "the other end offers only a version of "
		    "TLS older than 1.2");
		break;
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_HTTP_REQUEST:
	case SSL_R_PACKET_LENGTH_TOO_LONG:
		tls_set_fault(tls, "what the other end says is not TLS");
		break;
	case SSL_R_DH_KEY_TOO_SMALL:
	case SSL_R_EE_KEY_TOO_SMALL:
	case SSL_R_CA_KEY_TOO_SMALL:
		tls_set_fault(tls, "the other end's keys are too weak (%s)",
		    text);
		break;
	default:
		tls_set_fault(tls, "TLS failed: %s", text != NULL ? text :
		    "the library does not say why");
		break;
	}
}

/* A call did not succeed: what to do next, or what was wrong. */
static enum tls_step
after(struct tls *tls, int result)
{
	int saved = errno;

	switch (SSL_get_error(tls->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return TLS_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		if (tls->done)
			return TLS_CLOSED;
		tls_set_fault(tls, "the other end closed the connection "
		    "during the TLS handshake");
		break;
	case SSL_ERROR_SYSCALL:
		tls->mute = true;
		tls_set_fault(tls, "%s%s", saved == 0 || saved == EPIPE ?
		    "the other end closed the connection" : strerror(saved),
		    tls->done ? "" : " during the TLS handshake");
		break;
	default:
		explain_error(tls);
		break;
	}
	tls->broken = true;
	ERR_clear_error();
	return TLS_FAILED;
}

/* ---- the library ---- */

struct tls *
tls_of(const SSL *ssl)
{
	return SSL_get_ex_data(ssl, library.index);
}

SSL *
tls_new_ssl(void)
{
	SSL *ssl = SSL_new(library.context);

	if (ssl == NULL)
		fatalx("TLS: %s", ERR_reason_error_string(ERR_peek_error()));
	return ssl;
}

void
tls_open(void)
{
	unsigned char octet;
	SSL_CTX *context;

	if (library.context != NULL)
		return;
	/* Reads its file of settings and the texts of its errors. */
	if (OPENSSL_init_ssl(OPENSSL_INIT_LOAD_CONFIG |
	    OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
	    NULL) != 1 || RAND_bytes(&octet, 1) != 1 ||
	    (context = SSL_CTX_new(TLS_client_method())) == NULL ||
	    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(context, 0) != 1 ||
	    SSL_CTX_dane_enable(context) != 1)
		fatalx("TLS: the library cannot be made ready: %s",
		    ERR_reason_error_string(ERR_peek_error()));
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION |
	    SSL_OP_NO_COMPRESSION);
	/* Buffers that grow move; thousands of connections rest. */
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	/* Tickets without end would never let a read return: tls_read(). */
	SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
	library.index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	if (library.index == -1)
		fatalx("TLS: no index");
	tls_sessions_open(context);
	library.context = context;
	/* All it reads when the first connection is made, it reads now. */
	SSL_free(tls_new_ssl());
	ERR_clear_error();
}

/* ---- a connection ---- */

/* A host's name as it may stand in SNI: no address, no dot at the end. */
static void
set_server_name(SSL *ssl, const char *host)
{
	unsigned char address[16];
	char name[256];
	size_t length;

	if (host == NULL || inet_pton(AF_INET, host, address) == 1 ||
	    strpbrk(host, ":[/") != NULL)
		return;
	length = strlcpy(name, host, sizeof(name));
	if (length >= sizeof(name))
		return;
	if (length > 0 && name[length - 1] == '.')
		name[length - 1] = '\0';
	if (name[0] != '\0' && SSL_set_tlsext_host_name(ssl, name) != 1)
		fatalx("TLS: a server's name cannot be set");
}

struct tls *
tls_client(const struct tls_want *want, int fd)
{
	struct tls *tls = calloc(1, sizeof(*tls));

	if (tls == NULL)
		fatal("TLS");
	ERR_clear_error();
	tls->want = *want;
	tls->key = tls_session_key(want);
	tls->ssl = tls_new_ssl();
	if (SSL_set_ex_data(tls->ssl, library.index, tls) != 1 ||
	    SSL_set_fd(tls->ssl, fd) != 1)
		fatalx("TLS: a connection cannot be made");
	SSL_set_connect_state(tls->ssl);
	set_server_name(tls->ssl, want->host);
	if (tls_demand(tls) == -1)
		tls->broken = true;
	else if (tls->key != NULL)
		tls_session_offer(tls);
	ERR_clear_error();
	return tls;
}

static void
describe(struct tls *tls)
{
	static const char *const proofs[] = {
		[TLS_ANYBODY] = "unverified",
		[TLS_NAMED] = "verified",
		[TLS_DANE_RECORDS] = "dane"
	};

	snprintf(tls->description, sizeof(tls->description), "%s %s %s%s",
	    SSL_get_version(tls->ssl), SSL_get_cipher_name(tls->ssl),
	    proofs[tls->want.proof],
	    SSL_session_reused(tls->ssl) ? " resumed" : "");
}

enum tls_step
tls_handshake(struct tls *tls)
{
	enum tls_step step;
	int result;

	if (tls->broken)
		return TLS_FAILED;
	if (tls->done)
		return TLS_DONE;
	ERR_clear_error();
	errno = 0;
	result = SSL_do_handshake(tls->ssl);
	if (result == 1 && tls_is_proved(tls)) {
		tls->done = true;
		describe(tls);
		return TLS_DONE;
	}
	if (result == 1) {
		tls_set_fault(tls, "the other end did not prove who it is");
		tls->broken = true;
		step = TLS_FAILED;
	} else
		step = after(tls, result);
	if (step == TLS_FAILED && tls->offered)
		tls_session_forget(tls->key);
	return step;
}

enum tls_step
tls_read(struct tls *tls, void *octets, size_t size, size_t *done)
{
	BIO *bio = SSL_get_rbio(tls->ssl);
	enum tls_step step;
	uint64_t before;
	int result, messages = 0;

	*done = 0;
	if (tls->broken || !tls->done)
		return TLS_FAILED;
	do {
		ERR_clear_error();
		errno = 0;
		before = BIO_number_read(bio);
		result = SSL_read_ex(tls->ssl, octets, size, done);
		step = result == 1 ? TLS_DONE : after(tls, result);
	} while (step == TLS_WANT_READ && BIO_number_read(bio) != before &&
	    ++messages < MESSAGES);
	return step;
}

enum tls_step
tls_write(struct tls *tls, const void *octets, size_t size, size_t *done)
{
	enum tls_step step;
	int result;

	*done = 0;
	if (tls->broken || tls->mute || !tls->done)
		return TLS_FAILED;
	ERR_clear_error();
	errno = 0;
	result = SSL_write_ex(tls->ssl, octets, size, done);
	step = result == 1 ? TLS_DONE : after(tls, result);
	/* What the socket does not take says nothing of what it has. */
	if (step == TLS_FAILED && tls->mute)
		tls->broken = false;
	return step;
}

const char *
tls_fault(const struct tls *tls)
{
	return tls->fault;
}

const char *
tls_describe(const struct tls *tls)
{
	return tls->description;
}

void
tls_free(struct tls *tls)
{
	if (tls == NULL)
		return;
	ERR_clear_error();
	if (tls->done && !tls->broken && !tls->mute)
		(void)SSL_shutdown(tls->ssl);
	ERR_clear_error();
	SSL_free(tls->ssl);
	free(tls->key);
	free(tls);
}
