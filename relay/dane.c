/*
 * What is to be done about TLS with a host (RFC 7672).  A level that the
 * configuration sets is final; else TLSA records that DNSSEC vouches for say
 * it, and whether there are any is never left to chance: a look-up that fails
 * rules the host out for now.
 *
 *	level set -> that                       addresses insecure -> no DANE
 *	TLSA of the name that CNAMEs lead to, then of the host's own:
 *		fails -> fault        usable -> dane
 *		only unusable ones -> required        neither has any -> no DANE
 */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "relay.h"

struct dane {
	struct event	*known;		/* nothing needs to be looked up */
	struct dns_lookup *lookup;
	const struct policy *policy;
	bool		 login;
	struct host	 host;
	char		 bases[2][DNS_NAME];	/* TLSA base domains */
	size_t		 base_count;
	size_t		 base;		/* being asked for */
	struct security	*security;	/* as it comes into being */
	dane_fn		 fn;
	void		*arg;
};

/* ---- security ---- */

static void
add_name(struct security *security, const char *name)
{
	size_t i;

	for (i = 0; i < security->name_count; i++)
		if (strcasecmp(security->names[i], name) == 0)
			return;
	security->names = reallocarray(security->names,
	    security->name_count + 1, sizeof(*security->names));
	if (security->names == NULL ||
	    (security->names[security->name_count++] = strdup(name)) == NULL)
		fatal("security");
}

/* Names a certificate may bear besides the first, and that one. */
static void
add_names(const struct dane *dane, const char *first)
{
	size_t i;

	if (first != NULL)
		add_name(dane->security, first);
	if (dane->host.domain[0] != '\0')
		add_name(dane->security, dane->host.domain);
	for (i = 0; i < dane->policy->tls_name_count; i++)
		add_name(dane->security, dane->policy->tls_names[i]);
}

static void
add_records(struct security *security, const struct dns_answer *answer)
{
	struct dns_tlsa *tlsa;
	uint8_t *octets;
	size_t i;

	security->records = calloc(answer->count, sizeof(*security->records));
	if (security->records == NULL)
		fatal("calloc");
	for (i = 0; i < answer->count; i++) {
		tlsa = &security->records[i];
		*tlsa = answer->tlsa[i];
		if ((octets = malloc(tlsa->length + 1)) == NULL)
			fatal("malloc");
		memcpy(octets, answer->tlsa[i].octets, tlsa->length);
		tlsa->octets = octets;
	}
	security->record_count = answer->count;
}

void
security_free(struct security *security)
{
	size_t i;

	if (security == NULL || security->holders-- > 0)
		return;
	for (i = 0; i < security->record_count; i++)
		free(__DECONST(uint8_t *, security->records[i].octets));
	for (i = 0; i < security->name_count; i++)
		free(security->names[i]);
	free(security->records);
	free(security->names);
	free(security);
}

/* For people: "dane, 2 records", "verified: mx.example.org". */
void
security_print(const struct security *security, char *text, size_t size)
{
	static const char *const levels[] = {
		[TLS_UNSET] = "unknown", [TLS_NONE] = "none",
		[TLS_OPPORTUNISTIC] = "opportunistic",
		[TLS_REQUIRED] = "required", [TLS_VERIFIED] = "verified:",
		[TLS_DANE] = "dane,"
	};
	size_t i;

	if (security->fault.code != 0) {
		strlcpy(text, security->fault.text, size);
		return;
	}
	strlcpy(text, levels[security->level], size);
	if (security->level == TLS_DANE)
		snprintf(text, size, "dane, %zu record%s",
		    security->record_count,
		    security->record_count == 1 ? "" : "s");
	for (i = 0; security->level == TLS_VERIFIED &&
	    i < security->name_count; i++) {
		strlcat(text, " ", size);
		strlcat(text, security->names[i], size);
	}
}

/* ---- what it comes to ---- */

/* A level without records. */
static void
set_level(struct dane *dane, enum tls_level level)
{
	const struct host *host = &dane->host;
	bool own_name = host->domain[0] == '\0' || host->secure;

	dane->security->level = level;
	if (level == TLS_VERIFIED)
		add_names(dane, own_name ? host->name : NULL);
}

static void
set_fault(struct dane *dane, const char *before, const char *name,
    const char *after)
{
	dane->security->level = TLS_REQUIRED;
	reply_fault(&dane->security->fault, STAGE_LOOKUP, 451, "4.7.5",
	    "DANE: %s%s%s", before, name, after);
}

/* There are no records that could be believed. */
static void
set_without(struct dane *dane, const char *before, const char *name,
    const char *after)
{
	if (dane->policy->tls == TLS_DANE)
		set_fault(dane, before, name, after);
	else
		set_level(dane, dane->login ? TLS_VERIFIED :
		    TLS_OPPORTUNISTIC);
}

static void
set_records(struct dane *dane, const struct dns_answer *answer,
    const char *name)
{
	if (tls_records_usable(answer->tlsa, answer->count)) {
		dane->security->level = TLS_DANE;
		add_records(dane->security, answer);
		add_names(dane, dane->bases[dane->base]);
	} else if (dane->policy->tls == TLS_DANE)
		set_fault(dane, "none of the TLSA records at ", name,
		    " can be used");
	else
		set_level(dane, dane->login ? TLS_VERIFIED : TLS_REQUIRED);
}

/* ---- the look-ups ---- */

static void
finish(struct dane *dane)
{
	struct security *security = dane->security;
	dane_fn fn = dane->fn;
	void *arg = dane->arg;

	dane->security = NULL;
	dane_cancel(dane);
	fn(security, arg);
}

static void
print_owner(const struct dane *dane, char text[DNS_NAME])
{
	snprintf(text, DNS_NAME, "_%u._tcp.%s", dane->host.port,
	    dane->bases[dane->base]);
}

static void
on_tlsa(const struct dns_answer *answer, void *arg)
{
	struct dane *dane = arg;
	char owner[DNS_NAME], why[128];

	dane->lookup = NULL;
	print_owner(dane, owner);
	if (answer->result == DNS_FAILED) {
		snprintf(why, sizeof(why), " failed: %s", answer->reason);
		set_fault(dane, "the TLSA look-up of ", owner, why);
	} else if (answer->result == DNS_OK && answer->secure &&
	    answer->count > 0)
		set_records(dane, answer, owner);
	else if (++dane->base < dane->base_count) {
		print_owner(dane, owner);
		dane->lookup = dns_tlsa(owner, on_tlsa, dane);
		return;
	} else
		set_without(dane, "there are no TLSA records secured by "
		    "DNSSEC at ", owner, "");
	finish(dane);
}

static void
on_known(int fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	finish(arg);
}

/* Can TLSA records mean anything (RFC 7672 2.2)?  If not, that is set. */
static bool
is_possible(struct dane *dane, const struct dns_answer *answer)
{
	const struct host *host = &dane->host;

	if (!dns_is_trusted())
		set_without(dane, "the resolver is not trusted to validate "
		    "what it answers about ", host->name,
		    " (see resolver-trusted)");
	else if (!host->secure)
		set_without(dane, "the mail exchangers of ", host->domain,
		    " are not secured by DNSSEC");
	else if (host->address[0] != '\0')
		set_without(dane, "the address of ", host->name,
		    " is not from the DNS but configured");
	else if (answer == NULL || answer->result != DNS_OK ||
	    !answer->secure)
		set_without(dane, "the addresses of ", host->name,
		    " are not secured by DNSSEC");
	else
		return true;
	return false;
}

static void
add_base(struct dane *dane, const char *text)
{
	char name[DNS_NAME];

	if (text == NULL || dns_name(text, name) == -1 ||
	    (dane->base_count > 0 && strcmp(dane->bases[0], name) == 0))
		return;
	strlcpy(dane->bases[dane->base_count++], name, DNS_NAME);
}

/* Set what is known already; false if the TLSA records must be asked for. */
static bool
begin(struct dane *dane, const struct dns_answer *answer)
{
	enum tls_level level = dane->policy->tls;

	if (level != TLS_UNSET && level != TLS_DANE) {
		set_level(dane, level);
		return true;
	}
	if (!is_possible(dane, answer))
		return true;
	add_base(dane, answer->name);
	add_base(dane, dane->host.name);
	return false;
}

struct dane *
dane_find(const struct host *host, const struct policy *policy,
    const struct dns_answer *answer, bool login, dane_fn fn, void *arg)
{
	struct dane *dane;
	char owner[DNS_NAME];

	if ((dane = calloc(1, sizeof(*dane))) == NULL ||
	    (dane->security = calloc(1, sizeof(*dane->security))) == NULL)
		fatal("calloc");
	dane->host = *host;
	dane->policy = policy;
	dane->login = login;
	dane->fn = fn;
	dane->arg = arg;
	if (!begin(dane, answer)) {
		print_owner(dane, owner);
		dane->lookup = dns_tlsa(owner, on_tlsa, dane);
		return dane;
	}
	dane->known = event_new(relay_base(), -1, 0, on_known, dane);
	if (dane->known == NULL)
		fatalx("dane: no event");
	event_active(dane->known, EV_TIMEOUT, 0);
	return dane;
}

void
dane_cancel(struct dane *dane)
{
	if (dane == NULL)
		return;
	dns_cancel(dane->lookup);
	if (dane->known != NULL)
		event_free(dane->known);
	security_free(dane->security);
	free(dane);
}
