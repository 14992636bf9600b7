/*
 * The resolver, over c-ares.  Owns its channels, their sockets' events, and
 * the questions that are not answered yet: each is asked once, however many
 * wait for it.
 */
#include <sys/queue.h>
#include <sys/tree.h>

#include <ares.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "dns.h"
#include "dns_ask.h"
#include "dns_cache.h"
#include "dns_hosts.h"
#include "log.h"
#include "loop.h"

#define TIMEOUT_MS	3000	/* of the first try; later ones wait longer */
#define TRIES		3
#define UDP_SIZE	1232	/* of an answer, told by EDNS */
#define BURST_MAX	100	/* fresh questions, as a socket holds them;
					   others wait */
#define FRESH		SECOND	/* a server has read it by then */
#define SERVERS_MAX	16
#define CLASS_IN	1
#define AD_BIT		0x20	/* in a header's fourth octet */

/* What the macros of <sys/tree.h> expect. */
#define __unused	__attribute__((__unused__))

/* A socket of the library's that is being watched. */
struct dns_socket {
	LIST_ENTRY(dns_socket) entry;
	struct event	*event;
	int		 fd;
};

/* What is asked, or will be. */
struct question {
	RB_ENTRY(question) node;
	TAILQ_ENTRY(question) entry;	/* of those waiting, or fresh */
	LIST_HEAD(, dns_asker) askers;
	enum dns_type	 type;
	int64_t		 asked;		/* when */
	bool		 fresh;
	bool		 plain;		/* without EDNS */
	bool		 verbatim;	/* whatever a server says */
	char		 name[DNS_NAME];
};

static int
compare(struct question *a, struct question *b)
{
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	return strcmp(a->name, b->name);
}

RB_HEAD(questions, question);
RB_GENERATE_STATIC(questions, question, node, compare)

static struct {
	struct event_base *base;
	/*
	 * The first passes by a server that answers SERVFAIL or the like, and
	 * in the end cannot tell that from one that is not there; the second
	 * tells.
	 */
	ares_channel	 channels[2];
	struct event	*timer;
	LIST_HEAD(, dns_socket) sockets;
	struct questions questions;
	TAILQ_HEAD(, question) waiting;	/* for their turn to be asked */
	TAILQ_HEAD(, question) fresh;	/* just asked; the oldest first */
	size_t		 fresh_count;
	struct event	*turn;		/* there may be room to ask */
	struct event	*rewatch;	/* sockets that could not be watched */
	bool		 trusted;
} dns = {
	.questions = RB_INITIALIZER(&dns.questions),
	.waiting = TAILQ_HEAD_INITIALIZER(dns.waiting),
	.fresh = TAILQ_HEAD_INITIALIZER(dns.fresh)
};

/* ---- the library's sockets and its clock, in our loop ---- */

/* Wake up when the library has something to give up. */
static void
set_timer(void)
{
	struct timeval first, second, *wait;

	wait = ares_timeout(dns.channels[0], NULL, &first);
	wait = ares_timeout(dns.channels[1], wait, &second);
	if (wait == NULL)
		evtimer_del(dns.timer);
	else
		loop_after(dns.timer, wait->tv_sec * SECOND + wait->tv_usec);
}

/* To the channel that does not have the socket it means nothing. */
static void
process(int readable, int writable)
{
	ares_process_fd(dns.channels[0], readable, writable);
	ares_process_fd(dns.channels[1], readable, writable);
	set_timer();
}

static void
on_timer(int fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	(void)arg;
	process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void
on_socket(int fd, short events, void *arg)
{
	(void)arg;
	process((events & EV_READ) != 0 ? fd : ARES_SOCKET_BAD,
	    (events & EV_WRITE) != 0 ? fd : ARES_SOCKET_BAD);
}

/*
 * If the kernel lacks memory to watch it, that is tried again; questions that
 * are answered over it meanwhile come to the end of their time.
 */
static void
watch(struct dns_socket *s)
{
	if (event_add(s->event, NULL) == -1)
		loop_after(dns.rewatch, SECOND);
}

static void
on_rewatch(int fd, short events, void *arg)
{
	struct dns_socket *s;

	(void)fd;
	(void)events;
	(void)arg;
	LIST_FOREACH(s, &dns.sockets, entry)
		watch(s);
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
	if (s->event == NULL)
		fatalx("dns: no event for a socket");
	watch(s);
	LIST_INSERT_HEAD(&dns.sockets, s, entry);
}

/* ---- questions ---- */

static const char *
status_reason(int status)
{
	switch (status) {
	case ARES_ETIMEOUT:
		return "the resolver does not answer in time";
	case ARES_ECONNREFUSED:
		return "the resolver cannot be reached";
	default:
		return ares_strerror(status);
	}
}

/* Takes what was found; the question is over. */
static void
question_end(struct question *question, struct dns_found *found)
{
	struct dns_asker *asker;

	dns_cache_put(question->name, question->type, found,
	    clock_monotonic());
	RB_REMOVE(questions, &dns.questions, question);
	while ((asker = LIST_FIRST(&question->askers)) != NULL) {
		LIST_REMOVE(asker, entry);
		asker->found = dns_found_hold(found);
		asker->fn(asker->arg);
	}
	dns_found_free(found);
	free(question);
}

static void
no_longer_fresh(struct question *question)
{
	if (!question->fresh)
		return;
	question->fresh = false;
	TAILQ_REMOVE(&dns.fresh, question, entry);
	dns.fresh_count--;
}

/* Should it be asked in another way? */
static bool
change_question(struct question *question, int status,
    const struct dns_found *found)
{
	if (found->broken_query && !question->plain)
		return question->plain = true;
	if (status == ARES_ECONNREFUSED && !question->verbatim)
		return question->verbatim = true;
	return false;
}

static void
on_answer(void *arg, int status, int timeouts, unsigned char *answer,
    int length)
{
	struct question *question = arg;
	struct dns_found *found;

	(void)timeouts;
	no_longer_fresh(question);
	if (status == ARES_SUCCESS)
		found = dns_parse(answer, (size_t)length, question->name,
		    question->type);
	else
		found = dns_found_failed(status_reason(status));
	if (change_question(question, status, found)) {
		dns_found_free(found);
		TAILQ_INSERT_HEAD(&dns.waiting, question, entry);
	} else
		question_end(question, found);
	event_active(dns.turn, EV_TIMEOUT, 0);
}

/*
 * The id is ours: the library draws it without chance where there is no
 * /dev/urandom.  RFC 6840 5.7: AD asks for AD.
 */
static void
question_send(struct question *question)
{
	unsigned char *query;
	int length, status;

	status = ares_create_query(question->name, CLASS_IN, question->type,
	    (unsigned short)arc4random_uniform(65536), 1, &query, &length,
	    question->plain ? 0 : UDP_SIZE);
	if (status != ARES_SUCCESS) {
		on_answer(question, status, 0, NULL, 0);
		return;
	}
	if (dns.trusted)
		query[3] |= AD_BIT;
	ares_send(dns.channels[question->verbatim], query, length, on_answer,
	    question);
	ares_free_string(query);
}

/* Ask as many as there is room for; an answer may come from within. */
static void
ask_waiting(void)
{
	int64_t now = clock_monotonic();
	struct question *question;

	while ((question = TAILQ_FIRST(&dns.fresh)) != NULL &&
	    question->asked + FRESH <= now)
		no_longer_fresh(question);
	while (dns.fresh_count < BURST_MAX &&
	    (question = TAILQ_FIRST(&dns.waiting)) != NULL) {
		TAILQ_REMOVE(&dns.waiting, question, entry);
		TAILQ_INSERT_TAIL(&dns.fresh, question, entry);
		dns.fresh_count++;
		question->fresh = true;
		question->asked = now;
		question_send(question);
	}
	if (!TAILQ_EMPTY(&dns.waiting))
		loop_after(dns.turn, SECOND / 10);
	set_timer();
}

static void
on_turn(int fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	(void)arg;
	ask_waiting();
}

static struct question *
question_get(const char *name, enum dns_type type)
{
	struct question key, *question;

	key.type = type;
	strlcpy(key.name, name, sizeof(key.name));
	if ((question = RB_FIND(questions, &dns.questions, &key)) != NULL)
		return question;
	if ((question = calloc(1, sizeof(*question))) == NULL)
		fatal("calloc");
	question->type = type;
	strlcpy(question->name, name, sizeof(question->name));
	RB_INSERT(questions, &dns.questions, question);
	TAILQ_INSERT_TAIL(&dns.waiting, question, entry);
	return question;
}

void
dns_ask(const char *name, enum dns_type type, struct dns_asker *asker)
{
	struct dns_found *found;

	found = dns_cache_get(name, type, clock_monotonic());
	if (found != NULL) {
		asker->found = dns_found_hold(found);
		asker->fn(asker->arg);
		return;
	}
	LIST_INSERT_HEAD(&question_get(name, type)->askers, asker, entry);
	ask_waiting();
}

/* ---- the servers ---- */

/* One of "address[:port],...". */
static int
read_server(const char *text, struct ares_addr_port_node *server)
{
	char host[NETADDR_TEXT], port[8];
	struct netaddr address;
	long number = 0;

	if (netaddr_parse(text, &address) == -1) {
		if (netaddr_split(text, host, sizeof(host), port,
		    sizeof(port)) == -1 || netaddr_parse(host, &address) == -1)
			return -1;
		number = strtol(port, NULL, 10);
		if (*port != '\0' && (number < 1 || number > 65535))
			return -1;
	}
	server->family = address.family == 4 ? AF_INET : AF_INET6;
	memcpy(&server->addr, address.octets, address.family == 4 ? 4 : 16);
	server->udp_port = server->tcp_port = (int)number;
	return 0;
}

/* Dies if they are none. */
static void
set_servers(ares_channel channel, const char *text)
{
	struct ares_addr_port_node servers[SERVERS_MAX];
	char *copy, *rest, *word;
	size_t n = 0;

	if ((copy = rest = strdup(text)) == NULL)
		fatal("strdup");
	memset(servers, 0, sizeof(servers));
	while ((word = strsep(&rest, ", ")) != NULL && n < SERVERS_MAX) {
		if (*word == '\0')
			continue;
		if (read_server(word, &servers[n]) == -1)
			fatalx("dns: %s is no address of a resolver", word);
		if (n > 0)
			servers[n - 1].next = &servers[n];
		n++;
	}
	free(copy);
	if (n == 0 || ares_set_servers_ports(channel, servers) != ARES_SUCCESS)
		fatalx("dns: no resolver");
}

static bool
is_loopback(const struct ares_addr_port_node *server)
{
	const uint8_t *octets = (const uint8_t *)&server->addr;

	if (server->family == AF_INET)
		return octets[0] == 127;
	return memcmp(octets, &in6addr_loopback, sizeof(in6addr_loopback)) == 0;
}

static bool
all_on_loopback(void)
{
	struct ares_addr_port_node *servers = NULL, *s;
	bool all;

	if (ares_get_servers_ports(dns.channels[0], &servers) != ARES_SUCCESS)
		return false;
	all = servers != NULL;
	for (s = servers; s != NULL; s = s->next)
		all = all && is_loopback(s);
	ares_free_data(servers);
	return all;
}

static ares_channel
open_channel(int flags, const char *servers)
{
	static char lookups[] = "b";
	struct ares_options options;
	ares_channel channel;
	int status;

	memset(&options, 0, sizeof(options));
	options.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES |
	    ARES_FLAG_EDNS | flags;
	options.timeout = TIMEOUT_MS;
	options.tries = TRIES;
	options.lookups = lookups;
	options.ednspsz = UDP_SIZE;
	options.sock_state_cb = watch_socket;
	status = ares_init_options(&channel, &options, ARES_OPT_FLAGS |
	    ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
	    ARES_OPT_EDNSPSZ | ARES_OPT_SOCK_STATE_CB);
	if (status != ARES_SUCCESS)
		fatalx("dns: %s", ares_strerror(status));
	if (servers != NULL)
		set_servers(channel, servers);
	return channel;
}

void
dns_open(struct event_base *base, const struct dns_settings *settings)
{
	int status;

	dns.base = base;
	dns_hosts_read();
	dns.timer = evtimer_new(base, on_timer, NULL);
	dns.turn = event_new(base, -1, 0, on_turn, NULL);
	dns.rewatch = event_new(base, -1, 0, on_rewatch, NULL);
	if (dns.timer == NULL || dns.turn == NULL || dns.rewatch == NULL)
		fatalx("dns: no events");
	if ((status = ares_library_init(ARES_LIB_INIT_ALL)) != ARES_SUCCESS)
		fatalx("dns: %s", ares_strerror(status));
	dns.channels[0] = open_channel(0, settings->servers);
	dns.channels[1] = open_channel(ARES_FLAG_NOCHECKRESP,
	    settings->servers);
	dns.trusted = settings->trust_given ? settings->trusted :
	    all_on_loopback();
}

bool
dns_is_trusted(void)
{
	return dns.trusted;
}

struct event_base *
dns_base(void)
{
	return dns.base;
}
