/*
 * Answers of the DNS, taken apart.  For the dns_*.c only.  Pure.
 */
#ifndef DNS_PARSE_H
#define DNS_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns.h"

enum dns_type {
	DNS_A = 1, DNS_CNAME = 5, DNS_SOA = 6, DNS_MX = 15, DNS_AAAA = 28,
	DNS_TLSA = 52
};

/* The answer to one question; several may hold it. */
struct dns_found {
	unsigned int	 holders;	/* besides the first */
	enum dns_result	 result;
	const char	*reason;	/* DNS_FAILED */
	bool		 broken_query;	/* FORMERR: EDNS is not understood */
	bool		 secure;	/* the AD bit, for what it is worth */
	uint32_t	 ttl;		/* seconds, the least of all */
	int64_t		 expires;	/* monotonic; set when it is kept */
	char		 name[DNS_NAME];	/* where CNAMEs led */
	size_t		 count;
	struct netaddr	*addresses;
	struct dns_exchange *exchanges;
	struct dns_tlsa	*tlsa;
	size_t		 size;		/* octets of it all */
};

/*
 * What a message says about a question; never NULL.  A message that is
 * malformed, or answers something else, is DNS_FAILED.
 */
struct dns_found	*dns_parse(const uint8_t *, size_t, const char *,
			    enum dns_type);

/*
 * Without a message: why it failed, a static string.
 */
struct dns_found	*dns_found_failed(const char *);

/*
 * With nothing in it yet, for addresses that are known otherwise; and one
 * more of them.
 */
struct dns_found	*dns_found_new(void);
void			 dns_found_add(struct dns_found *,
			    const struct netaddr *);

struct dns_found	*dns_found_hold(struct dns_found *);
void			 dns_found_free(struct dns_found *);

#endif
