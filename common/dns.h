/*
 * Host names to addresses, by DNS and by /etc/hosts, without blocking.
 *
 * Everything that needs a file or a random key is done in dns_open(), before
 * the jail: an empty root directory has neither.
 */
#ifndef DNS_H
#define DNS_H

#include <stddef.h>

#include "netaddr.h"

struct event_base;
struct dns_lookup;

#define DNS_ADDRESSES	32	/* of one name at the most */

enum dns_result {
	DNS_OK,
	DNS_NONE,		/* no such name, or it has no address */
	DNS_FAILED		/* could not be found out now */
};

/*
 * The answer, with the addresses (IPv6 first) or a static string that says
 * what went wrong.  Never called from within dns_addresses().
 */
typedef void	(*dns_fn)(enum dns_result, const struct netaddr *, size_t,
		    const char *, void *);

/*
 * Read the resolver's configuration and /etc/hosts.  Dies if the library
 * draws the ids of its queries without chance.
 */
void	dns_open(struct event_base *);

/*
 * Look up the addresses of a name; an address is its own answer.  Returns
 * what dns_cancel() takes, valid until fn is called.
 */
struct dns_lookup	*dns_addresses(const char *, dns_fn, void *);

/*
 * Nobody waits for this any more; fn is not called.
 */
void	dns_cancel(struct dns_lookup *);

#endif
