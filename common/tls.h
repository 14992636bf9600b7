/*
 * TLS over a non-blocking socket, as a client.
 *
 * Files are read by tls_open() and tls_trust_new(), before the jail; nothing
 * after it needs one.  This is the only header's file that knows OpenSSL.
 */
#ifndef TLS_H
#define TLS_H

#include <stdbool.h>
#include <stddef.h>

struct dns_tlsa;
struct tls;
struct tls_trust;

/* How the other end must prove who it is. */
enum tls_proof {
	TLS_ANYBODY,		/* encryption only */
	TLS_NAMED,		/* a trusted chain and one of the names */
	TLS_DANE_RECORDS	/* as the TLSA records say (RFC 7672 3) */
};

/* All is borrowed until the handshake is over. */
struct tls_want {
	enum tls_proof	 proof;
	const struct tls_trust *trust;	/* TLS_NAMED */
	const char	*host;		/* for SNI; NULL sends none */
	const char *const *names;	/* any of which a certificate may
					   bear; of DANE: reference ids */
	size_t		 name_count;
	const struct dns_tlsa *records;
	size_t		 record_count;
	const char	*peer;		/* sessions with the same text here
					   may be resumed; NULL never */
};

enum tls_step {
	TLS_DONE,
	TLS_WANT_READ,		/* call again when the socket is readable */
	TLS_WANT_WRITE,
	TLS_CLOSED,		/* by the other end, in order */
	TLS_FAILED		/* tls_fault() says why */
};

/*
 * Make the library ready.  Dies if it cannot be.
 */
void	tls_open(void);

/*
 * Read the certificates that are believed: a PEM file, or with NULL the
 * system's.  Returns NULL with *why set, a string valid until the next call.
 */
struct tls_trust	*tls_trust_new(const char *, const char **);
void			 tls_trust_free(struct tls_trust *);

/*
 * Are any of these records usable for SMTP (RFC 7672 3.1)?  If none is, the
 * connection must be encrypted, but nobody can be authenticated.
 */
bool	tls_records_usable(const struct dns_tlsa *, size_t);

/*
 * Begin as a client over a connected socket, which stays the caller's and
 * must outlive this.  Never NULL.
 */
struct tls	*tls_client(const struct tls_want *, int);

/*
 * Go on with the handshake, until it is TLS_DONE.
 */
enum tls_step	tls_handshake(struct tls *);

/*
 * Read or write up to size octets; TLS_DONE sets *done, at least 1.  What is
 * not written at first must be what is written next.  After a write that has
 * failed there may still be something to read.
 */
enum tls_step	tls_read(struct tls *, void *, size_t, size_t *);
enum tls_step	tls_write(struct tls *, const void *, size_t, size_t *);

/*
 * Why it failed, for people: one line, printable.  Valid until the next
 * call with this tls.
 */
const char	*tls_fault(const struct tls *);

/*
 * After the handshake: "TLSv1.3 TLS_AES_256_GCM_SHA384 verified"; the last
 * word is verified, dane or unverified, and "resumed" follows if it was.
 */
const char	*tls_describe(const struct tls *);

/*
 * Tell the other end, if it can be told at once, and free; NULL is nothing.
 */
void		tls_free(struct tls *);

#endif
