/*
 * Addresses that are known without asking.  For the dns_*.c only.
 */
#ifndef DNS_HOSTS_H
#define DNS_HOSTS_H

#include "dns_parse.h"

/*
 * Copy /etc/hosts, before the jail.
 */
void	dns_hosts_read(void);

/*
 * The addresses of an address or of a name that /etc/hosts has, or NULL.  The
 * name is as dns_name() makes it.
 */
struct dns_found	*dns_hosts_find(const char *);

#endif
