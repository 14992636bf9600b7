/*
 * What the files of TLS share among themselves.  For tls.c, tls_proof.c and
 * tls_session.c only.
 */
#ifndef TLS_INNER_H
#define TLS_INNER_H

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <stdbool.h>
#include <stdint.h>

#include "tls.h"

struct tls_trust {
	X509_STORE	*store;
	unsigned int	 number;	/* no other ever has it */
};

struct tls {
	SSL		*ssl;
	struct tls_want	 want;		/* borrowed, until it is done */
	char		*key;		/* of its sessions; NULL: none */
	bool		 offered;	/* a session, to be resumed */
	int64_t		 since;		/* when that one was proved */
	bool		 named;		/* the certificate bears a name */
	bool		 done;		/* the handshake */
	bool		 broken;	/* nothing more can be said */
	bool		 mute;		/* by us, but the other end's last
					   words may still be there */
	char		 fault[320];
	char		 description[128];
};

/* ---- tls_proof.c: who the other end is ---- */

/*
 * Have the handshake demand what is wanted.  Returns 0, or -1 with the fault
 * set: it can never be proved.
 */
int	tls_demand(struct tls *);

/*
 * After the handshake, also of a resumed session: was it proved?
 */
bool	tls_is_proved(const struct tls *);

/* ---- tls_session.c: what was agreed upon before ---- */

/*
 * Have the sessions of this context kept.
 */
void	tls_sessions_open(SSL_CTX *);

/*
 * The key of all that must be the same for a session to be resumed, to be
 * freed; NULL if nothing may be.
 */
char	*tls_session_key(const struct tls_want *);

/*
 * Offer a session, if there is one.
 */
void	tls_session_offer(struct tls *);

/*
 * Forget all sessions with this key: one of them did no good.
 */
void	tls_session_forget(const char *);

/* ---- tls.c ---- */

/*
 * Note the first fault; what is not printable in it is replaced.
 */
void	tls_set_fault(struct tls *, const char *, ...)
	    __attribute__((format(printf, 2, 3)));

/*
 * A new connection's SSL, never NULL.
 */
SSL	*tls_new_ssl(void);

/*
 * What an SSL or the check of its certificate belongs to.
 */
struct tls	*tls_of(const SSL *);

#endif
