/*
 * Network addresses as values.  Resolves nothing and opens nothing.
 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netaddr.h"

int
netaddr_parse(const char *text, struct netaddr *address)
{
	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, text, address->octets) == 1)
		address->family = 4;
	else if (inet_pton(AF_INET6, text, address->octets) == 1)
		address->family = 6;
	else
		return -1;
	return 0;
}

char *
netaddr_print(const struct netaddr *address, char *text, size_t size)
{
	int family = address->family == 4 ? AF_INET : AF_INET6;

	if (size == 0)
		return text;
	text[0] = '\0';
	if (address->family != 0)
		(void)inet_ntop(family, address->octets, text,
		    (socklen_t)size);
	return text;
}

int
netaddr_from_sockaddr(const struct sockaddr *sa, struct netaddr *address,
    uint16_t *port)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	memset(address, 0, sizeof(*address));
	switch (sa->sa_family) {
	case AF_INET:
		memcpy(&in, sa, sizeof(in));
		address->family = 4;
		memcpy(address->octets, &in.sin_addr, 4);
		*port = ntohs(in.sin_port);
		return 0;
	case AF_INET6:
		memcpy(&in6, sa, sizeof(in6));
		address->family = 6;
		memcpy(address->octets, &in6.sin6_addr, 16);
		*port = ntohs(in6.sin6_port);
		return 0;
	default:
		*port = 0;
		return -1;
	}
}

int
netblock_parse(const char *text, struct netblock *block)
{
	char address[NETADDR_TEXT];
	const char *slash = strchr(text, '/');
	char *end;
	size_t length;
	unsigned long bits;
	unsigned int most;

	length = slash != NULL ? (size_t)(slash - text) : strlen(text);
	if (length >= sizeof(address))
		return -1;
	memcpy(address, text, length);
	address[length] = '\0';
	if (netaddr_parse(address, &block->address) == -1)
		return -1;
	most = block->address.family == 4 ? 32 : 128;
	block->bits = (uint8_t)most;
	if (slash == NULL)
		return 0;
	if (slash[1] < '0' || slash[1] > '9')
		return -1;
	errno = 0;
	bits = strtoul(slash + 1, &end, 10);
	if (errno != 0 || *end != '\0' || bits > most)
		return -1;
	block->bits = (uint8_t)bits;
	return 0;
}

bool
netblock_contains(const struct netblock *block, const struct netaddr *address)
{
	size_t whole = block->bits / 8;
	uint8_t mask = (uint8_t)(0xff00 >> (block->bits % 8));

	if (block->address.family != address->family || address->family == 0 ||
	    memcmp(block->address.octets, address->octets, whole) != 0)
		return false;
	return mask == 0 || ((block->address.octets[whole] ^
	    address->octets[whole]) & mask) == 0;
}

static int
copy_part(const char *from, size_t length, char *to, size_t size)
{
	if (length >= size)
		return -1;
	memcpy(to, from, length);
	to[length] = '\0';
	return 0;
}

/* "[host]" or "[host]:port". */
static int
split_bracketed(const char *text, char *host, size_t host_size, char *port,
    size_t port_size)
{
	const char *close = strchr(text, ']');

	if (close == NULL || close == text + 1 ||
	    copy_part(text + 1, (size_t)(close - text - 1), host,
	    host_size) == -1)
		return -1;
	if (close[1] == '\0')
		return 0;
	if (close[1] != ':' || close[2] == '\0')
		return -1;
	return copy_part(close + 2, strlen(close + 2), port, port_size);
}

int
netaddr_split(const char *text, char *host, size_t host_size, char *port,
    size_t port_size)
{
	const char *colon = strchr(text, ':');

	host[0] = port[0] = '\0';
	if (*text == '\0')
		return -1;
	if (*text == '[')
		return split_bracketed(text, host, host_size, port,
		    port_size);
	if (text[strspn(text, "0123456789")] == '\0')
		return copy_part(text, strlen(text), port, port_size);
	if (colon == NULL || strchr(colon + 1, ':') != NULL)
		return copy_part(text, strlen(text), host, host_size);
	if (colon[1] == '\0')
		return -1;
	if (copy_part(text, (size_t)(colon - text), host, host_size) == -1)
		return -1;
	return copy_part(colon + 1, strlen(colon + 1), port, port_size);
}
