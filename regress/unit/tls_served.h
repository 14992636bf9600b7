/*
 * A server of TLS in this process, with certificates made here, for the tests
 * of common/tls*.c: connections to it, what became of them, and what was said
 * of them.
 */
#ifndef TLS_SERVED_H
#define TLS_SERVED_H

#include <openssl/ssl.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns.h"
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

extern struct identity	 ca, other_ca, mx, mailout, expired, early, alone;
extern struct identity	 address, nameless, hostile, weak, client_only;
extern struct identity	 expired_ca, of_expired_ca, rsa;
extern struct tls_trust	*trust;		/* ca and nobody else */

/* For cmocka_run_group_tests(). */
int	 tls_served_setup(void **);
int	 tls_served_teardown(void **);

/*
 * A file of certificates, and its path, valid until the next.
 */
void	 write_file(const char *, const char *, X509 *);
char	*path_of(const char *);

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

SSL_CTX	*server_context(const struct identity *, int);
void	 server_turn(struct server *);
void	 server_send(struct server *);
void	 server_close(struct server *);

/* ---- one connection ---- */

struct connection {
	struct server	 server;
	struct tls	*tls;
	int		 fd;
};

/*
 * Make pairs of sockets before the jail, which makes none.
 */
void	 make_spare_pairs(void);

void	 connect_to(struct connection *, SSL_CTX *, const struct tls_want *);
enum tls_step shake(struct connection *);
void	 disconnect(struct connection *);

/*
 * Have the server say something, and read it: tickets come before it.
 * Returns how often we had to go back to the loop.
 */
int	 hear(struct connection *);

/* ---- what is wanted, and what comes of it ---- */

extern const char *const mx_names[1];

struct tls_want	 by_name(const char *const *, size_t);
struct tls_want	 by_records(const struct dns_tlsa *, size_t);

/*
 * The record of a certificate: usage, selector, matching.
 */
struct dns_tlsa	 tlsa_of(X509 *, int, int, int);

/*
 * A handshake's fault, or NULL with its description; valid until the next.
 */
const char	*result_of(SSL_CTX *, const struct tls_want *, const char **);

/*
 * With a server of that identity the fault is this one, or NULL for none;
 * with either version, or with one.  What is said of a good one.
 */
void	 check(const struct identity *, const struct tls_want *, const char *);
void	 check_version(const struct identity *, const struct tls_want *, int,
	    const char *);
void	 check_words(const struct identity *, const struct tls_want *,
	    const char *);
void	 check_resumed(SSL_CTX *, const struct tls_want *, bool);

#endif
