/*
 * From a hop's hosts, in order, to a connected socket: looks up names, tries
 * each address in turn, and remembers why the last one failed.
 */
#include <sys/socket.h>

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dns.h"
#include "log.h"
#include "relay.h"

#define CONNECT_SECONDS	30	/* for each address */

struct connector {
	const struct hop *hop;
	connect_fn	 fn;
	void		*arg;
	struct event_base *base;
	struct event	*step;		/* go on, from the loop */
	struct event	*connected;	/* the socket, while it connects */
	struct dns_lookup *lookup;
	size_t		 host;		/* the one being tried */
	struct netaddr	 addresses[DNS_ADDRESSES];
	size_t		 count;
	size_t		 next;		/* address to try next */
	int		 fd;
	char		 name[WIRE_NAME];	/* host[address]:port */
	struct reply	 fault;		/* of the last that failed */
};

/* Have the next step done by the loop, never by our caller. */
static void
go_on(struct connector *c)
{
	event_active(c->step, EV_TIMEOUT, 0);
}

static void
set_name(struct connector *c, const struct host *host,
    const struct netaddr *address)
{
	char text[NETADDR_TEXT];

	netaddr_print(address, text, sizeof(text));
	snprintf(c->name, sizeof(c->name), "%.64s[%s]:%u", host->name, text,
	    (unsigned int)host->port);
}

/* This address does not do; take note and try the next. */
static void
address_failed(struct connector *c, int error)
{
	if (c->fd != -1)
		close(c->fd);
	c->fd = -1;
	if (error == EMFILE || error == ENFILE || error == ENOMEM ||
	    error == ENOBUFS)
		reply_fault(&c->fault, 451, "4.3.0", "socket: %s",
		    strerror(error));
	else
		reply_fault(&c->fault, 451, "4.4.1", "connect to %s: %s",
		    c->name, strerror(error));
	log_begin(LOG_INFO, "unreachable");
	log_string("relay", c->name);
	log_string("reason", c->fault.text);
	log_end();
	go_on(c);
}

/* Connected: the caller's from now on. */
static void
hand_over(struct connector *c)
{
	int fd = c->fd;

	c->fd = -1;
	c->fn(fd, c->name, NULL, c->arg);
}

static void
on_connected(int fd, short events, void *arg)
{
	struct connector *c = arg;
	int error = 0;
	socklen_t length = sizeof(error);

	event_free(c->connected);
	c->connected = NULL;
	if ((events & EV_TIMEOUT) != 0)
		error = ETIMEDOUT;
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == -1)
		error = errno;
	if (error != 0)
		address_failed(c, error);
	else
		hand_over(c);
}

static socklen_t
make_sockaddr(struct sockaddr_storage *ss, const struct netaddr *address,
    uint16_t port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	if (address->family == 6) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		memcpy(&in6->sin6_addr, address->octets, 16);
		return sizeof(*in6);
	}
	in->sin_family = AF_INET;
	in->sin_port = htons(port);
	memcpy(&in->sin_addr, address->octets, 4);
	return sizeof(*in);
}

static void
try_address(struct connector *c, const struct host *host,
    const struct netaddr *address)
{
	struct timeval patience = { .tv_sec = CONNECT_SECONDS };
	struct sockaddr_storage ss;
	socklen_t length = make_sockaddr(&ss, address, host->port);

	set_name(c, host, address);
	c->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	if (c->fd == -1) {
		address_failed(c, errno);
		return;
	}
	if (connect(c->fd, (struct sockaddr *)&ss, length) == -1 &&
	    errno != EINPROGRESS) {
		address_failed(c, errno);
		return;
	}
	c->connected = event_new(c->base, c->fd, EV_WRITE, on_connected, c);
	if (c->connected == NULL || event_add(c->connected, &patience) == -1)
		fatalx("connect: no event");
}

static void
on_addresses(enum dns_result result, const struct netaddr *addresses,
    size_t count, const char *reason, void *arg)
{
	struct connector *c = arg;
	const struct host *host = hop_host(c->hop, c->host);

	c->lookup = NULL;
	c->count = c->next = 0;
	if (result == DNS_OK) {
		c->count = count;
		memcpy(c->addresses, addresses, count * sizeof(*addresses));
		go_on(c);
		return;
	}
	snprintf(c->name, sizeof(c->name), "%.100s:%u", host->name,
	    (unsigned int)host->port);
	/* A name of the configuration: its absence may be a mistake. */
	if (result == DNS_NONE)
		reply_fault(&c->fault, 451, "4.4.4",
		    "host %s has no address", host->address);
	else
		reply_fault(&c->fault, 451, "4.4.3",
		    "look-up of host %s: %s", host->address, reason);
	go_on(c);
}

/* The next address of this host, else the next host, else nothing is left. */
static void
on_step(int fd, short events, void *arg)
{
	struct connector *c = arg;
	const struct host *host;

	(void)fd;
	(void)events;
	if (c->next < c->count) {
		try_address(c, hop_host(c->hop, c->host),
		    &c->addresses[c->next++]);
		return;
	}
	c->count = c->next = 0;
	c->host++;
	if ((host = hop_host(c->hop, c->host)) != NULL)
		c->lookup = dns_addresses(host->address, on_addresses, c);
	else
		c->fn(-1, c->name, &c->fault, c->arg);
}

/*
 * Try the hosts of a hop in turn; fn gets a connected socket, which it takes,
 * or in the end -1 and the last fault.  It may free the connector.
 */
struct connector *
connector_new(struct event_base *base, const struct hop *hop, connect_fn fn,
    void *arg)
{
	struct connector *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		fatal("calloc");
	c->hop = hop;
	c->fn = fn;
	c->arg = arg;
	c->base = base;
	c->fd = -1;
	c->host = SIZE_MAX;		/* the step makes it the first */
	if ((c->step = event_new(base, -1, 0, on_step, c)) == NULL)
		fatalx("connect: no event");
	go_on(c);
	return c;
}

/*
 * The host that was handed over does not do, as the reply says: go on behind
 * it.
 */
void
connector_next(struct connector *c, const struct reply *reply)
{
	c->fault = *reply;
	go_on(c);
}

void
connector_free(struct connector *c)
{
	if (c == NULL)
		return;
	dns_cancel(c->lookup);
	if (c->connected != NULL)
		event_free(c->connected);
	event_free(c->step);
	if (c->fd != -1)
		close(c->fd);
	free(c);
}
