/*
 * Network addresses as values: printed, parsed, held against networks.
 */
#ifndef NETADDR_H
#define NETADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct netaddr {
	uint8_t		family;		/* 0 none, 4 or 6 */
	uint8_t		octets[16];	/* network order */
};

struct netblock {
	struct netaddr	address;
	uint8_t		bits;
};

#define NETADDR_TEXT	48

int	netaddr_parse(const char *, struct netaddr *);		/* 0, -1 */
char	*netaddr_print(const struct netaddr *, char *, size_t);
int	netaddr_from_sockaddr(const struct sockaddr *, struct netaddr *,
	    uint16_t *);
int	netblock_parse(const char *, struct netblock *);	/* a[/bits] */
bool	netblock_contains(const struct netblock *, const struct netaddr *);

/*
 * Split "port", "host", "host:port", "[v6]:port" into two arrays, the host
 * first; either may come out "".  Digits alone are a port.  Returns 0, or -1
 * if malformed.
 */
int	netaddr_split(const char *, char *, size_t, char *, size_t);

#endif
