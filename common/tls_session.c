/*
 * Sessions of TLS that may be resumed, in memory: few, young, each under a
 * key that holds all which the proof of who the other end is rests on.  What
 * was agreed upon under one proof is never resumed under another.
 *
 * A ticket of TLS 1.3 serves once, so that nobody who listens can tell that
 * two connections belong together (RFC 8446 C.4).
 */
#include <sys/queue.h>

#include <openssl/evp.h>
#include <openssl/ssl.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "dns.h"
#include "log.h"
#include "tls.h"
#include "tls_inner.h"

#define SESSIONS	256		/* of all keys */
#define SESSIONS_KEY	4		/* of one: tickets come in pairs */
#define SESSION_LIFE	(3600 * SECOND)	/* then it is to be proved anew */

struct session {
	TAILQ_ENTRY(session) entry;
	char		*key;
	SSL_SESSION	*session;
	int64_t		 since;		/* monotonic: of its proof, not of
					   the last time it was resumed */
};
TAILQ_HEAD(sessions, session);

static struct {
	struct sessions	 all;		/* the newest first */
	size_t		 count;
} sessions = { .all = TAILQ_HEAD_INITIALIZER(sessions.all) };

static void
session_remove(struct session *session)
{
	TAILQ_REMOVE(&sessions.all, session, entry);
	sessions.count--;
	SSL_SESSION_free(session->session);
	free(session->key);
	free(session);
}

/* Make room for one more with this key. */
static void
make_room(const char *key)
{
	struct session *session, *next;
	size_t same = 0;

	for (session = TAILQ_FIRST(&sessions.all); session != NULL;
	    session = next) {
		next = TAILQ_NEXT(session, entry);
		if (strcmp(session->key, key) == 0 && ++same >= SESSIONS_KEY)
			session_remove(session);
	}
	while (sessions.count >= SESSIONS)
		session_remove(TAILQ_LAST(&sessions.all, sessions));
}

/* The library has a new session; returning 1 takes it. */
static int
on_new_session(SSL *ssl, SSL_SESSION *new)
{
	const struct tls *tls = tls_of(ssl);
	struct session *session;

	if (tls == NULL || tls->key == NULL || !SSL_SESSION_is_resumable(new))
		return 0;
	/* With TLS 1.2 this is within the handshake; its proof is over. */
	if (tls->want.proof != TLS_ANYBODY && !tls_is_proved(tls))
		return 0;
	make_room(tls->key);
	if ((session = calloc(1, sizeof(*session))) == NULL ||
	    (session->key = strdup(tls->key)) == NULL)
		fatal("TLS session");
	session->session = new;
	session->since = SSL_session_reused(ssl) ? tls->since :
	    clock_monotonic();
	TAILQ_INSERT_HEAD(&sessions.all, session, entry);
	sessions.count++;
	return 1;
}

void
tls_sessions_open(SSL_CTX *context)
{
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT |
	    SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context, on_new_session);
}

/* Write all that the proof rests on; lengths keep the parts apart. */
static void
write_key(const struct tls_want *want, FILE *out)
{
	const struct dns_tlsa *record;
	size_t i;

	fprintf(out, "%zu:%s %d %u ", strlen(want->peer), want->peer,
	    want->proof, want->trust != NULL ? want->trust->number : 0);
	if (want->host != NULL)
		fprintf(out, "%zu:%s ", strlen(want->host), want->host);
	for (i = 0; i < want->name_count; i++)
		fprintf(out, "%zu:%s ", strlen(want->names[i]),
		    want->names[i]);
	for (i = 0; i < want->record_count; i++) {
		record = &want->records[i];
		fprintf(out, "%u %u %u %u:", record->usage, record->selector,
		    record->matching, record->length);
		fwrite(record->octets, 1, record->length, out);
	}
}

char *
tls_session_key(const struct tls_want *want)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	char *text = NULL, *key;
	size_t length, size = 0, i;
	FILE *out;

	if (want->peer == NULL)
		return NULL;
	if ((out = open_memstream(&text, &length)) == NULL)
		fatal("TLS session");
	write_key(want, out);
	if (fclose(out) == EOF)
		fatal("TLS session");
	if (EVP_Q_digest(NULL, "SHA256", NULL, text, length, digest,
	    &size) != 1 || (key = malloc(2 * size + 1)) == NULL)
		fatalx("TLS session");
	for (i = 0; i < size; i++)
		snprintf(key + 2 * i, 3, "%02x", digest[i]);
	free(text);
	return key;
}

void
tls_session_offer(struct tls *tls)
{
	struct session *session, *next;
	int64_t now = clock_monotonic();

	for (session = TAILQ_FIRST(&sessions.all); session != NULL;
	    session = next) {
		next = TAILQ_NEXT(session, entry);
		if (strcmp(session->key, tls->key) != 0)
			continue;
		if (now - session->since > SESSION_LIFE ||
		    !SSL_SESSION_is_resumable(session->session)) {
			session_remove(session);
			continue;
		}
		tls->offered = SSL_set_session(tls->ssl,
		    session->session) == 1;
		tls->since = session->since;
		if (!tls->offered || SSL_SESSION_get_protocol_version(
		    session->session) >= TLS1_3_VERSION)
			session_remove(session);
		if (tls->offered)
			return;
	}
}

void
tls_session_forget(const char *key)
{
	struct session *session, *next;

	for (session = TAILQ_FIRST(&sessions.all); session != NULL;
	    session = next) {
		next = TAILQ_NEXT(session, entry);
		if (strcmp(session->key, key) == 0)
			session_remove(session);
	}
}
