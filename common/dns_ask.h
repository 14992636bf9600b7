/*
 * Single questions to the DNS, between dns_lookup.c and dns.c.
 */
#ifndef DNS_ASK_H
#define DNS_ASK_H

#include <sys/queue.h>

#include "dns_parse.h"

/* One who waits for an answer. */
struct dns_asker {
	LIST_ENTRY(dns_asker) entry;
	struct dns_found *found;	/* the answer, held for the asker */
	void		(*fn)(void *);	/* told when it is there */
	void		*arg;
};

/*
 * Ask, unless the answer is known.  The asker must stay where it is until fn
 * is called, once, perhaps from within.
 */
void	dns_ask(const char *, enum dns_type, struct dns_asker *);

struct event_base	*dns_base(void);

#endif
