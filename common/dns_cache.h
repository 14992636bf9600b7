/*
 * Answers of the DNS that are kept.  For the dns_*.c only.
 */
#ifndef DNS_CACHE_H
#define DNS_CACHE_H

#include "dns_parse.h"

#define DNS_LIFETIME_LEAST	MINUTE
#define DNS_LIFETIME_MOST	HOUR

/*
 * Keep an answer from now on, for as long as its TTL says within bounds:
 * expires is set.  One that failed is not kept.  The cache holds what it
 * keeps.
 */
void	dns_cache_put(const char *, enum dns_type, struct dns_found *, int64_t);

/*
 * The answer if it is still good, else NULL; borrowed.
 */
struct dns_found	*dns_cache_get(const char *, enum dns_type, int64_t);

/*
 * How many are kept, and the octets they take.
 */
size_t	dns_cache_count(size_t *);

#endif
