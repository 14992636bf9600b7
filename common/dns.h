/*
 * Questions to the DNS, without blocking: addresses, mail exchangers, TLSA.
 *
 * Everything that needs a file or a random key is done in dns_open(), before
 * the jail: an empty root directory has neither.
 */
#ifndef DNS_H
#define DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netaddr.h"

struct event_base;
struct dns_lookup;

#define DNS_NAME	256	/* of a name as text, with its NUL */
#define DNS_RECORDS	32	/* of one answer at the most */

enum dns_result {
	DNS_OK,
	DNS_NONE,		/* the name is there, such records are not */
	DNS_NO_NAME,		/* NXDOMAIN */
	DNS_FAILED		/* could not be found out now */
};

/* A mail exchanger; name is "" for the root (RFC 7505), else in lower case. */
struct dns_exchange {
	uint16_t preference;
	char	 name[DNS_NAME];
};

/* RFC 6698 2.1; the octets are of the answer. */
struct dns_tlsa {
	uint8_t	 usage;
	uint8_t	 selector;
	uint8_t	 matching;
	uint16_t length;
	const uint8_t *octets;
};

/*
 * What was asked for is there, the rest is NULL; valid within the call.
 * Names that cannot be a host's are left out: DNS_OK may come with no record.
 */
struct dns_answer {
	enum dns_result result;
	const char	*reason;	/* DNS_FAILED: a static string */
	bool		 secure;	/* validated by a resolver we trust,
					   CNAMEs included */
	int64_t		 lifetime;	/* microseconds it may be kept, an
					   hour at the most; 0 if it failed */
	const char	*name;		/* where CNAMEs led; for A and AAAA */
	size_t		 count;
	const struct netaddr *addresses;
	const struct dns_exchange *exchanges;	/* least preference first */
	const struct dns_tlsa *tlsa;
};

/*
 * Never called from within the question.  Whoever asks what is being asked
 * already, or was answered a while ago, causes no other question.
 */
typedef void	(*dns_fn)(const struct dns_answer *, void *);

/*
 * Make a name what it is in this suite: lower case, no dot at the end.  -1 if
 * it is no name: too long, an empty label, blanks, octets that are not
 * printable ASCII.
 */
int	dns_name(const char *, char [DNS_NAME]);

struct dns_settings {
	const char	*servers;	/* "address[:port],..."; NULL: those
					   of /etc/resolv.conf */
	bool		 trust_given;	/* believe AD as trusted says; else
					   if all servers are on loopback */
	bool		 trusted;
};

/*
 * Read the resolver's configuration and /etc/hosts.  Dies if the servers
 * given are none.
 */
void	dns_open(struct event_base *, const struct dns_settings *);

/*
 * Is the AD bit believed?  If not, no answer is secure, and DANE is out of
 * the question.
 */
bool	dns_is_trusted(void);

/*
 * Look up the addresses of a name, IPv6 first; an address, or a name of
 * /etc/hosts, is its own answer (not secure).  If one family's question
 * fails and the other has addresses, those are the answer.  Returns what
 * dns_cancel() takes, valid until fn is called.
 */
struct dns_lookup	*dns_addresses(const char *, dns_fn, void *);

/*
 * The mail exchangers of a domain, as they are: no rules of mail.
 */
struct dns_lookup	*dns_exchanges(const char *, dns_fn, void *);

/*
 * The TLSA records at a name (with its _port._tcp).  RFC 7672 2.1: an answer
 * that fails or is bogus is DNS_FAILED.
 */
struct dns_lookup	*dns_tlsa(const char *, dns_fn, void *);

/*
 * Nobody waits for this any more; fn is not called.
 */
void	dns_cancel(struct dns_lookup *);

#endif
