/*
 * The resolver, over c-ares: addresses of names.  Owns the one channel, its
 * sockets' events and the copy of /etc/hosts.  Sends no query that is not
 * answered to its asker, and caches nothing.
 */
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <ares.h>
#include <arpa/nameser.h>
#include <event2/event.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "dns.h"
#include "log.h"

#define TIMEOUT_MS	3000	/* of the first try; later ones wait longer */
#define TRIES		3
#define TEST_IDS	8	/* query ids compared by the self-test */

/* A line's name in /etc/hosts, with its address. */
struct dns_host {
	SLIST_ENTRY(dns_host) entry;
	struct netaddr	 address;
	char		 name[256];
};

/* A socket of the library's that is being watched. */
struct dns_socket {
	LIST_ENTRY(dns_socket) entry;
	struct event	*event;
	int		 fd;
};

struct dns_lookup {
	struct event	*ready;
	dns_fn		 fn;		/* NULL when cancelled */
	void		*arg;
	const char	*reason;
	struct netaddr	 addresses[DNS_ADDRESSES];
	size_t		 count;
	int		 pending;	/* queries not yet answered */
	bool		 failed;
};

static struct {
	struct event_base *base;
	ares_channel	 channel;
	struct event	*timer;
	LIST_HEAD(, dns_socket) sockets;
	SLIST_HEAD(, dns_host) hosts;
} dns;

/* ---- /etc/hosts ---- */

/* Take in one line: an address, then names. */
static void
read_host_line(char *line)
{
	struct netaddr address;
	struct dns_host *host;
	char *word;

	line[strcspn(line, "#\n")] = '\0';
	if ((word = strsep(&line, " \t")) == NULL ||
	    netaddr_parse(word, &address) == -1)
		return;
	while ((word = strsep(&line, " \t")) != NULL) {
		if (*word == '\0' || strlen(word) >= sizeof(host->name))
			continue;
		if ((host = calloc(1, sizeof(*host))) == NULL)
			fatal("calloc");
		host->address = address;
		strlcpy(host->name, word, sizeof(host->name));
		SLIST_INSERT_HEAD(&dns.hosts, host, entry);
	}
}

static void
read_hosts(void)
{
	FILE *file;
	char *line = NULL;
	size_t size = 0;

	if ((file = fopen("/etc/hosts", "re")) == NULL)
		return;
	while (getline(&line, &size, file) != -1)
		read_host_line(line);
	free(line);
	fclose(file);
}

/* ---- the library's sockets and its clock, in our loop ---- */

/* Wake up when the library has something to give up. */
static void
set_timer(void)
{
	struct timeval wait;

	if (ares_timeout(dns.channel, NULL, &wait) == NULL)
		evtimer_del(dns.timer);
	else
		evtimer_add(dns.timer, &wait);
}

static void
on_timer(int fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	(void)arg;
	ares_process_fd(dns.channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	set_timer();
}

static void
on_socket(int fd, short events, void *arg)
{
	(void)arg;
	ares_process_fd(dns.channel,
	    (events & EV_READ) != 0 ? fd : ARES_SOCKET_BAD,
	    (events & EV_WRITE) != 0 ? fd : ARES_SOCKET_BAD);
	set_timer();
}

/* The library opened a socket, wants other events of it, or closes it. */
static void
watch_socket(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct dns_socket *s;
	short events = EV_PERSIST;

	(void)arg;
	LIST_FOREACH(s, &dns.sockets, entry)
		if (s->fd == fd)
			break;
	if (s != NULL) {
		LIST_REMOVE(s, entry);
		event_free(s->event);
		free(s);
	}
	if (!readable && !writable)
		return;
	if (readable)
		events |= EV_READ;
	if (writable)
		events |= EV_WRITE;
	if ((s = calloc(1, sizeof(*s))) == NULL)
		fatal("calloc");
	s->fd = fd;
	s->event = event_new(dns.base, fd, events, on_socket, NULL);
	if (s->event == NULL || event_add(s->event, NULL) == -1)
		fatalx("dns: no event for a socket");
	LIST_INSERT_HEAD(&dns.sockets, s, entry);
}

/* ---- the self-test: are query ids drawn by chance? ---- */

struct drawn {
	unsigned char	id[TEST_IDS][2];
	size_t		count;
};

static ares_socket_t
test_socket(int domain, int type, int protocol, void *arg)
{
	(void)domain;
	(void)type;
	(void)protocol;
	(void)arg;
	return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static int
test_connect(ares_socket_t fd, const struct sockaddr *to, ares_socklen_t length,
    void *arg)
{
	(void)fd;
	(void)to;
	(void)length;
	(void)arg;
	return 0;
}

static int
test_close(ares_socket_t fd, void *arg)
{
	(void)arg;
	return close(fd);
}

/* Nothing leaves: the id that would have been sent is kept. */
static ares_ssize_t
test_send(ares_socket_t fd, const struct iovec *io, int count, void *arg)
{
	struct drawn *drawn = arg;

	(void)fd;
	if (count < 1 || io[0].iov_len < 2)
		return -1;
	if (drawn->count < TEST_IDS)
		memcpy(drawn->id[drawn->count++], io[0].iov_base, 2);
	return (ares_ssize_t)io[0].iov_len;
}

static void
test_answer(void *arg, int status, int timeouts, unsigned char *answer,
    int length)
{
	(void)arg;
	(void)status;
	(void)timeouts;
	(void)answer;
	(void)length;
}

static void
set_options(struct ares_options *options, int *mask)
{
	static char lookups[] = "b";

	memset(options, 0, sizeof(*options));
	options->flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES;
	options->timeout = TIMEOUT_MS;
	options->tries = TRIES;
	options->lookups = lookups;
	*mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
	    ARES_OPT_LOOKUPS;
}

static void
draw_ids(struct drawn *drawn)
{
	static const struct ares_socket_functions functions = {
		test_socket, test_close, test_connect, NULL, test_send
	};
	struct ares_options options;
	ares_channel channel;
	int mask, i;

	memset(drawn, 0, sizeof(*drawn));
	set_options(&options, &mask);
	if (ares_init_options(&channel, &options, mask) != ARES_SUCCESS)
		fatalx("dns: no channel");
	ares_set_socket_functions(channel, &functions, drawn);
	for (i = 0; i < TEST_IDS; i++)
		ares_query(channel, "invalid", ns_c_in, ns_t_a, test_answer,
		    NULL);
	ares_destroy(channel);
}

static void
check_ids(void)
{
	struct drawn one, other;

	draw_ids(&one);
	draw_ids(&other);
	if (one.count != TEST_IDS || other.count != TEST_IDS ||
	    memcmp(one.id, other.id, sizeof(one.id)) == 0)
		fatalx("dns: the ids of queries are not drawn by chance; "
		    "answers could be forged");
}

void
dns_open(struct event_base *base)
{
	struct ares_options options;
	int mask, status;

	dns.base = base;
	read_hosts();
	if ((status = ares_library_init(ARES_LIB_INIT_ALL)) != ARES_SUCCESS)
		fatalx("dns: %s", ares_strerror(status));
	check_ids();
	if ((dns.timer = evtimer_new(base, on_timer, NULL)) == NULL)
		fatalx("dns: no timer");
	set_options(&options, &mask);
	options.sock_state_cb = watch_socket;
	mask |= ARES_OPT_SOCK_STATE_CB;
	status = ares_init_options(&dns.channel, &options, mask);
	if (status != ARES_SUCCESS)
		fatalx("dns: %s", ares_strerror(status));
}

/* ---- look-ups ---- */

static void
lookup_free(struct dns_lookup *lookup)
{
	event_free(lookup->ready);
	free(lookup);
}

static void
lookup_add(struct dns_lookup *lookup, const struct netaddr *address)
{
	if (lookup->count < DNS_ADDRESSES)
		lookup->addresses[lookup->count++] = *address;
}

/* IPv6 before IPv4, otherwise in the order they came. */
static void
lookup_order(struct dns_lookup *lookup)
{
	struct netaddr sorted[DNS_ADDRESSES] = { 0 };
	size_t i, n = 0;
	int family;

	for (family = 6; family >= 4; family -= 2)
		for (i = 0; i < lookup->count; i++)
			if (lookup->addresses[i].family == family)
				sorted[n++] = lookup->addresses[i];
	memcpy(lookup->addresses, sorted, n * sizeof(sorted[0]));
}

/* All is there: tell the asker. */
static void
on_ready(int fd, short events, void *arg)
{
	struct dns_lookup *lookup = arg;
	enum dns_result result = DNS_OK;

	(void)fd;
	(void)events;
	if (lookup->pending > 0)
		return;
	if (lookup->fn != NULL) {
		if (lookup->count == 0)
			result = lookup->failed ? DNS_FAILED : DNS_NONE;
		lookup_order(lookup);
		lookup->fn(result, lookup->addresses, lookup->count,
		    lookup->reason, lookup->arg);
	}
	lookup_free(lookup);
}

static void
lookup_done(struct dns_lookup *lookup)
{
	if (--lookup->pending == 0)
		event_active(lookup->ready, EV_TIMEOUT, 0);
}

static void
add_addresses(struct dns_lookup *lookup, const struct hostent *host)
{
	struct netaddr address;
	char **a;

	for (a = host->h_addr_list; *a != NULL; a++) {
		memset(&address, 0, sizeof(address));
		address.family = host->h_addrtype == AF_INET6 ? 6 : 4;
		memcpy(address.octets, *a, (size_t)host->h_length);
		lookup_add(lookup, &address);
	}
}

/* What an answer's status means; returns 0 if it may hold addresses. */
static int
judge(struct dns_lookup *lookup, int status)
{
	switch (status) {
	case ARES_SUCCESS:
		return 0;
	case ARES_ENODATA:
	case ARES_ENOTFOUND:
		break;
	case ARES_ECANCELLED:
	case ARES_EDESTRUCTION:
		lookup->failed = true;
		break;
	default:
		lookup->failed = true;
		lookup->reason = ares_strerror(status);
		break;
	}
	return -1;
}

static void
on_a(void *arg, int status, int timeouts, unsigned char *answer, int length)
{
	struct dns_lookup *lookup = arg;
	struct hostent *host = NULL;

	(void)timeouts;
	if (judge(lookup, status) == 0 && judge(lookup,
	    ares_parse_a_reply(answer, length, &host, NULL, NULL)) == 0) {
		add_addresses(lookup, host);
		ares_free_hostent(host);
	}
	lookup_done(lookup);
}

static void
on_aaaa(void *arg, int status, int timeouts, unsigned char *answer, int length)
{
	struct dns_lookup *lookup = arg;
	struct hostent *host = NULL;

	(void)timeouts;
	if (judge(lookup, status) == 0 && judge(lookup,
	    ares_parse_aaaa_reply(answer, length, &host, NULL, NULL)) == 0) {
		add_addresses(lookup, host);
		ares_free_hostent(host);
	}
	lookup_done(lookup);
}

/* An address, or a name of /etc/hosts. */
static void
lookup_here(struct dns_lookup *lookup, const char *name)
{
	struct netaddr address;
	struct dns_host *host;

	if (netaddr_parse(name, &address) == 0) {
		lookup_add(lookup, &address);
		return;
	}
	SLIST_FOREACH(host, &dns.hosts, entry)
		if (strcasecmp(host->name, name) == 0)
			lookup_add(lookup, &host->address);
}

struct dns_lookup *
dns_addresses(const char *name, dns_fn fn, void *arg)
{
	struct dns_lookup *lookup;

	if ((lookup = calloc(1, sizeof(*lookup))) == NULL)
		fatal("calloc");
	lookup->fn = fn;
	lookup->arg = arg;
	lookup->reason = "no address";
	lookup->ready = event_new(dns.base, -1, 0, on_ready, lookup);
	if (lookup->ready == NULL)
		fatalx("dns: no event");
	lookup->pending = 1;
	lookup_here(lookup, name);
	if (lookup->count == 0 && *name != '\0') {
		lookup->pending += 2;
		ares_query(dns.channel, name, ns_c_in, ns_t_aaaa, on_aaaa,
		    lookup);
		ares_query(dns.channel, name, ns_c_in, ns_t_a, on_a, lookup);
		set_timer();
	}
	lookup_done(lookup);
	return lookup;
}

void
dns_cancel(struct dns_lookup *lookup)
{
	if (lookup != NULL)
		lookup->fn = NULL;
}
