/*
 * Logging in: the client's side of SASL (RFC 4422) within SMTP (RFC 4954),
 * over libgsasl.  Everything a server says goes through auth_step(); what it
 * must prove, auth_finish() asks for.
 *
 *   START -> STEPS  begin()   the AUTH line is made
 *   START -> HELD   begin()   the same without our response, too long for it
 *   HELD  -> STEPS  go_on()   which then goes alone
 *   STEPS -> STEPS  go_on()   until the mechanism has said all
 */
#include <sys/types.h>

#include <gsasl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "log.h"
#include "relay.h"

#define LINE		512	/* of a command, with CRLF (RFC 4954 4) */
#define CHALLENGE	12288	/* octets of base64 (RFC 4954 4) */
#define ITERATIONS_MIN	4096	/* RFC 7677 4 */
#define ITERATIONS_MAX	200000	/* we do nothing else meanwhile */

struct mechanism {
	const char	*name;
	bool		 first;		/* the client speaks first */
	bool		 scram;		/* the server proves itself, too */
	bool		 chosen;	/* without being named in policy */
};

/* The best first. */
static const struct mechanism mechanisms[] = {
	{ "SCRAM-SHA-256",	true,	true,	true },
	{ "SCRAM-SHA-1",	true,	true,	false },
	{ "CRAM-MD5",		false,	false,	true },
	{ "PLAIN",		true,	false,	true },
	{ "LOGIN",		false,	false,	true }
};

#define MECHANISMS	(sizeof(mechanisms) / sizeof(mechanisms[0]))

enum auth_state { START, HELD, STEPS };

struct auth {
	Gsasl_session	*session;
	const struct mechanism *mechanism;
	enum auth_state	 state;
	bool		 complete;	/* all is said and, if it must be,
					   proved */
	char		*held;		/* the first response */
	const char	*fault;
};

static struct {
	Gsasl		*context;
	char		 why[WIRE_TEXT];
} library;

void
auth_open(void)
{
	size_t i;
	int result;

	if ((result = gsasl_init(&library.context)) != GSASL_OK)
		fatalx("SASL: %s", gsasl_strerror(result));
	for (i = 0; i < MECHANISMS; i++)
		if (!gsasl_client_support_p(library.context,
		    mechanisms[i].name))
			fatalx("SASL: the library has no %s",
			    mechanisms[i].name);
}

/* ---- choosing ---- */

/* Does the server offer it?  Names are parted by blanks. */
static bool
is_offered(const char *offered, const char *name)
{
	size_t length = strlen(name), word;

	for (; *offered != '\0'; offered += word) {
		offered += strspn(offered, " \t");
		word = strcspn(offered, " \t");
		if (word == length && strncasecmp(offered, name, word) == 0)
			return true;
	}
	return false;
}

static bool
is_allowed(const struct policy *policy, const struct mechanism *mechanism)
{
	size_t i;

	for (i = 0; i < policy->auth_count; i++)
		if (strcasecmp(policy->auth[i], mechanism->name) == 0)
			return true;
	return policy->auth_count == 0 && mechanism->chosen;
}

/* Say that no mechanism is known to both. */
static const char *
say_none(const struct policy *policy, const char *offered)
{
	size_t i, length;

	if (*(offered + strspn(offered, " \t")) == '\0')
		return "offers no login";
	snprintf(library.why, sizeof(library.why), "offers only %.*s to log "
	    "in; we may use", WIRE_TEXT / 2, offered);
	for (i = 0; i < MECHANISMS; i++) {
		length = strlen(library.why);
		if (is_allowed(policy, &mechanisms[i]))
			snprintf(library.why + length, sizeof(library.why) -
			    length, " %s", mechanisms[i].name);
	}
	return library.why;
}

struct auth *
auth_new(const struct secret *secret, const struct policy *policy,
    const char *offered, const char *host, const char **why)
{
	const struct mechanism *mechanism = NULL;
	struct auth *auth;
	size_t i;

	for (i = 0; i < MECHANISMS && mechanism == NULL; i++)
		if (is_allowed(policy, &mechanisms[i]) &&
		    is_offered(offered, mechanisms[i].name))
			mechanism = &mechanisms[i];
	if (mechanism == NULL) {
		*why = say_none(policy, offered);
		return NULL;
	}
	*why = NULL;
	if ((auth = calloc(1, sizeof(*auth))) == NULL)
		fatal("SASL");
	auth->mechanism = mechanism;
	if (gsasl_client_start(library.context, mechanism->name,
	    &auth->session) != GSASL_OK ||
	    gsasl_property_set(auth->session, GSASL_AUTHID,
	    secret->login) != GSASL_OK ||
	    gsasl_property_set(auth->session, GSASL_PASSWORD,
	    secret->password) != GSASL_OK ||
	    gsasl_property_set(auth->session, GSASL_SERVICE,
	    "smtp") != GSASL_OK ||
	    gsasl_property_set(auth->session, GSASL_HOSTNAME,
	    host) != GSASL_OK)
		fatalx("SASL: no session");
	return auth;
}

/* ---- speaking ---- */

/* Free what may hold a password. */
static void
wipe(char *text)
{
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
}

/*
 * A server that asks for more rounds of hashing than anybody needs would
 * have us hash for it; one that asks for few wants to guess the password.
 */
static const char *
iterations_fault(const char *message, size_t length)
{
	char text[1024], *at;
	const char *error;

	if (length >= sizeof(text) || memchr(message, '\0', length) != NULL)
		return "its challenge is none of SCRAM";
	memcpy(text, message, length);
	text[length] = '\0';
	if ((at = strstr(text, ",i=")) == NULL)
		return NULL;	/* the last message; the library looks */
	at[3 + strcspn(at + 3, ",")] = '\0';
	(void)strtonum(at + 3, ITERATIONS_MIN, ITERATIONS_MAX, &error);
	return error == NULL ? NULL : "its number of SCRAM iterations is out "
	    "of all proportion";
}

static const char *
say_result(int result)
{
	switch (result) {
	case GSASL_AUTHENTICATION_ERROR:
		return "its answer does not prove that it knows the password, "
		    "too";
	case GSASL_MECHANISM_PARSE_ERROR:
		return "its challenge is none of this mechanism";
	case GSASL_SASLPREP_ERROR:
		return "our login or password has characters that cannot be "
		    "used";
	default:
		return gsasl_strerror(result);
	}
}

/* Take a challenge and make the response, base64, to be freed. */
static char *
respond(struct auth *auth, const char *challenge)
{
	char *input = NULL, *output = NULL, *response = NULL;
	size_t length = 0, size = 0;
	int result;

	if (*challenge != '\0' && gsasl_base64_from(challenge,
	    strlen(challenge), &input, &length) != GSASL_OK) {
		auth->fault = "its challenge is no base64";
		goto out;
	}
	if (auth->mechanism->scram && input != NULL && (auth->fault =
	    iterations_fault(input, length)) != NULL)
		goto out;
	result = gsasl_step(auth->session, input, length, &output, &size);
	if (result != GSASL_OK && result != GSASL_NEEDS_MORE) {
		auth->fault = say_result(result);
		goto out;
	}
	auth->complete = result == GSASL_OK;
	if (gsasl_base64_to(output, size, &response, NULL) != GSASL_OK)
		fatalx("SASL: base64");
out:
	gsasl_free(input);
	if (output != NULL)
		explicit_bzero(output, size);
	gsasl_free(output);
	return response;
}

/* The AUTH line, with our first response if there is one that fits. */
static char *
begin(struct auth *auth)
{
	const char *name = auth->mechanism->name;
	char *line = NULL, *response = NULL;

	auth->state = STEPS;
	if (auth->mechanism->first &&
	    (response = respond(auth, "")) == NULL)
		return NULL;
	if (response != NULL && strlen(name) + strlen(response) + 8 > LINE) {
		auth->held = response;
		auth->state = HELD;
		response = NULL;
	}
	/* A response without octets is written so (RFC 4954 4). */
	if ((response == NULL ? asprintf(&line, "AUTH %s", name) :
	    asprintf(&line, "AUTH %s %s", name, *response != '\0' ?
	    response : "=")) == -1)
		fatal("SASL");
	wipe(response);
	return line;
}

/* The answer to a challenge. */
static char *
go_on(struct auth *auth, const char *challenge)
{
	char *response = auth->held;

	if (auth->state == HELD && *challenge != '\0') {
		auth->fault = "its challenge came before our name";
		return NULL;
	}
	if (auth->state == HELD) {
		auth->held = NULL;
		auth->state = STEPS;
		return response;
	}
	if (auth->complete) {
		auth->fault = "it asks on where all is said";
		return NULL;
	}
	return respond(auth, challenge);
}

int
auth_step(struct auth *auth, const char *challenge, char *out, size_t size)
{
	char *line;
	int result = 0;

	if (auth->fault != NULL)
		return -1;
	if (auth->state == START)
		line = begin(auth);
	else if (challenge != NULL && strlen(challenge) > CHALLENGE) {
		auth->fault = "its challenge is too long";
		line = NULL;
	} else
		line = go_on(auth, challenge != NULL ? challenge : "");
	if (line == NULL)
		return -1;
	if (strlcpy(out, line, size) >= size) {
		explicit_bzero(out, size);
		auth->fault = "our response is too long";
		result = -1;
	}
	wipe(line);
	return result;
}

int
auth_finish(struct auth *auth, const char *text)
{
	char word[WIRE_TEXT];
	size_t length;

	if (!auth->mechanism->scram || auth->complete)
		return 0;
	/* A proof belongs into a challenge, but some send it with the 235. */
	for (; *text != '\0' && auth->fault == NULL; text += length) {
		text += strspn(text, " \t");
		length = strcspn(text, " \t");
		if (strncmp(text, "dj", 2) != 0 || length >= sizeof(word))
			continue;
		memcpy(word, text, length);
		word[length] = '\0';
		wipe(respond(auth, word));
		if (auth->complete)
			return 0;
	}
	if (auth->fault == NULL)
		auth->fault = "it did not prove that it knows the password, "
		    "too, as SCRAM demands";
	return -1;
}

const char *
auth_mechanism(const struct auth *auth)
{
	return auth->mechanism->name;
}

const char *
auth_fault(const struct auth *auth)
{
	return auth->fault != NULL ? auth->fault : "";
}

void
auth_free(struct auth *auth)
{
	if (auth == NULL)
		return;
	gsasl_finish(auth->session);
	wipe(auth->held);
	free(auth);
}
