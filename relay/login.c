/*
 * Logging in to a server: the dialogue of AUTH (RFC 4954).  What proves the
 * password goes to the server and nowhere else: neither into the log nor into
 * a transcript, not even as a server's echo.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "relay.h"

struct login {
	const struct endpoint *endpoint;
	struct auth	*auth;
	char		 last[AUTH_LINE];	/* sent, without the command */
};

/*
 * It cannot be, or has failed.  As whom is told to the log only: the reason
 * stands in reports, which go to anybody.
 */
__attribute__((format(printf, 3, 4)))
static void
set_fault(const struct endpoint *endpoint, struct reply *fault,
    const char *format, ...)
{
	char why[WIRE_TEXT];
	va_list ap;

	va_start(ap, format);
	vsnprintf(why, sizeof(why), format, ap);
	va_end(ap);
	reply_fault(fault, STAGE_LOGIN, 451, "4.7.8", "%s: login %s",
	    endpoint->text, why);
	log_begin(LOG_NOTICE, "login");
	log_string("relay", endpoint->text);
	log_string("login", endpoint->secret->login);
	log_string("reason", why);
	log_end();
}

static void
say(struct login *l, struct reply *fault, const char *why)
{
	set_fault(l->endpoint, fault, "failed: %s", why);
}

/*
 * Prepare to log in; in clear only where that is allowed.
 */
struct login *
login_new(const struct endpoint *endpoint, const struct offer *offer,
    bool secured, struct reply *fault)
{
	const char *why = NULL;
	struct login *l;

	if (!secured && endpoint->path == NULL &&
	    !endpoint->policy->auth_clear) {
		set_fault(endpoint, fault, "needs TLS, which this connection "
		    "has not; auth-clear would allow it");
		return NULL;
	}
	if ((l = calloc(1, sizeof(*l))) == NULL)
		fatal("calloc");
	l->endpoint = endpoint;
	l->auth = auth_new(endpoint->secret, endpoint->policy, offer->auth,
	    endpoint->name, &why);
	if (l->auth != NULL)
		return l;
	set_fault(endpoint, fault, "is not possible: it %s", why);
	login_free(l);
	return NULL;
}

/* Send what the mechanism says next. */
static int
step(struct login *l, const char *challenge, struct evbuffer *out,
    struct reply *fault)
{
	char line[AUTH_LINE];
	const char *payload = line;

	if (auth_step(l->auth, challenge, line, sizeof(line)) == -1) {
		say(l, fault, auth_fault(l->auth));
		return -1;
	}
	evbuffer_add_printf(out, "%s\r\n", line);
	if (challenge == NULL) {
		payload = line + strcspn(line, " ");
		payload += strspn(payload, " ");
		payload += strcspn(payload, " ");
		payload += strspn(payload, " ");
	}
	strlcpy(l->last, payload, sizeof(l->last));
	explicit_bzero(line, sizeof(line));
	return 0;
}

/*
 * Send AUTH.
 */
int
login_begin(struct login *l, struct evbuffer *out, FILE *script,
    struct reply *fault)
{
	if (step(l, NULL, out, fault) == -1)
		return -1;
	transcript(script, ">>>", "AUTH %s%s", auth_mechanism(l->auth),
	    l->last[0] != '\0' ? " ***" : "");
	return 0;
}

/*
 * The server has answered; a whole challenge stands in line.
 */
int
login_reply(struct login *l, const struct reply *reply, const char *line,
    struct evbuffer *out, FILE *script, struct reply *fault)
{
	if (reply->code == 334 && reply->lines == 1) {
		if (step(l, line[3] == ' ' ? line + 4 : "", out,
		    fault) == -1)
			return -1;
		transcript(script, ">>>", "***");
		return 0;
	}
	if (reply->code == 235) {
		if (auth_finish(l->auth, reply->text + 3) == 0)
			return 1;
		say(l, fault, auth_fault(l->auth));
		return -1;
	}
	say(l, fault, reply->text);
	return -1;
}

/* Overwrite what is secret in a text, even if only its beginning is. */
static void
overwrite(char *text, const char *secret)
{
	char start[9];
	size_t n;

	if (strlcpy(start, secret, sizeof(start)) < 4)
		return;
	while ((text = strstr(text, start)) != NULL)
		for (n = 0; *text != '\0' && *text == secret[n]; n++)
			*text++ = '*';
}

/*
 * Make what the server said fit for others to read.
 */
void
login_redact(const struct login *l, char *text)
{
	if (l == NULL)
		return;
	overwrite(text, l->last);
	overwrite(text, l->endpoint->secret->password);
}

void
login_free(struct login *l)
{
	if (l == NULL)
		return;
	auth_free(l->auth);
	explicit_bzero(l->last, sizeof(l->last));
	free(l);
}
