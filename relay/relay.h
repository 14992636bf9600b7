/*
 * relay: the SMTP and LMTP client.  spoold hands it transactions, each for
 * one next hop; it tells what became of each recipient.
 *
 *	hop ---- search ----> endpoint ---- conversation
 *		   |
 *		 scout
 *
 * A hop is where mail waits: a route of the configuration, by MX together
 * with a domain.  A scout looks up the hop's hosts and their addresses.  A
 * search goes through what the scout finds, for a conversation that is ready.
 * An endpoint is one address of one host as
 * one policy and one login see it: its connections, and how long it is to be
 * left alone.  A conversation is one connection; it serves one hop at a time
 * and rests with its endpoint, where another hop's search may find it.
 */
#ifndef RELAY_H
#define RELAY_H

#include <sys/queue.h>
#include <sys/tree.h>

#include <event2/buffer.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "child.h"
#include "dns.h"
#include "link.h"
#include "netaddr.h"
#include "tls.h"
#include "wire.h"

/* What the macros of <sys/tree.h> expect. */
#define __unused	__attribute__((__unused__))

struct conversation;
struct endpoint;
struct hop;
struct search;
struct transaction;

/* ---- reply.c: what a server says; pure ---- */

struct reply {
	int	 code;			/* 0 before the first line */
	int	 lines;
	bool	 replied;		/* a server said it; else it is ours */
	bool	 brief;			/* hardly worth waiting for: a day */
	enum relay_stage stage;
	char	 status[12];		/* enhanced, made up if there is none */
	char	 text[WIRE_TEXT];	/* verbatim, cleaned, lines joined */
};

/* What a server offers in its answer to EHLO or LHLO. */
struct offer {
	bool	 pipelining;
	bool	 size;
	bool	 eightbit;
	bool	 dsn;
	bool	 smtputf8;
	bool	 starttls;
	uint64_t size_limit;		/* 0 none */
	char	 auth[WIRE_TEXT];	/* mechanisms, parted by blanks */
};

void	 reply_start(struct reply *);
int	 reply_add(struct reply *, const char *);	/* 1 whole, 0, -1 */
void	 reply_fault(struct reply *, enum relay_stage, int, const char *,
	    const char *, ...) __attribute__((format(printf, 5, 6)));
void	 reply_soften(struct reply *);	/* no permanent matter */
enum relay_verdict	 reply_verdict(const struct reply *);
void	 offer_add(struct offer *, const char *);

/* ---- policy.c: what the configuration says of connections ---- */

enum tls_level {
	TLS_UNSET,		/* DANE if there is any, else opportunistic;
				   with a login, verified */
	TLS_NONE,
	TLS_OPPORTUNISTIC,	/* in clear rather than not at all */
	TLS_REQUIRED,		/* encrypted, with whomever */
	TLS_VERIFIED,		/* the host's name is checked */
	TLS_DANE		/* secure TLSA records or nothing */
};

enum family {
	FAMILY_ANY, FAMILY_4, FAMILY_6, FAMILY_4_FIRST, FAMILY_6_FIRST
};

/* Whose mail exchangers are the hosts. */
enum mx { MX_NONE, MX_NAME, MX_RECIPIENT };

/* One for each [relay], and two for calls; they stay as long as we run. */
struct policy {
	const char	*section;	/* its name; NULL for calls */
	enum mx		 mx;
	bool		 lmtp;
	enum tls_level	 tls;
	int		 implicit;	/* TLS from the first octet: 1 yes, 0
					   no, -1 on port 465 only */
	const char	**tls_names;	/* accepted besides the host's */
	size_t		 tls_name_count;
	const struct tls_trust *trust;	/* NULL: nobody is believed */
	const char	**auth;		/* mechanisms; none: any we know */
	size_t		 auth_count;
	bool		 auth_none;	/* never log in */
	bool		 auth_clear;	/* log in without TLS, too */
	enum family	 family;
	bool		 private_hosts;	/* from DNS, for a recipient's domain */
	const char	*helo_name;
	uint16_t	 port;		/* of hosts without one; never 0 */
	unsigned int	 max_connections;	/* of an endpoint */
	unsigned int	 max_messages;		/* of a connection */
	int64_t		 idle_time;
};

void	 policy_configure(struct child *);	/* before the jail */
void	 policy_check(struct conf *);		/* -n */
/* Of a [relay], NULL if there is none; of lmtp(...) or of relay(...). */
const struct policy	*policy_find(const char *);
const struct policy	*policy_of_calls(bool);
bool	 policy_is_implicit(const struct policy *, uint16_t);

/* ---- secret.c: logins for next hops ---- */

struct secret {
	char	*key;		/* a [relay]'s name, or a host's */
	char	*sender;	/* "" any, user@domain or @domain */
	char	*login;
	char	*password;
};

void	 secrets_take(struct child *, const char *, size_t);
int	 secrets_read(const char *, size_t, FILE *);
const char	*secrets_fault(void);	/* NULL: they are all known */
const char	*secret_class(const char *);
const struct secret	*secret_find(const char *, const char *);

/* ---- auth.c: SASL, over libgsasl ---- */

struct auth;

void	 auth_open(void);			/* before the jail */

/*
 * A login by the best mechanism that the server offers (names parted by
 * blanks) and the policy allows; the last name is the host's.  NULL if there
 * is none, with why: "offers only GSSAPI to log in; ...", to stand behind
 * "the server".  All is borrowed; why is valid until the next call.
 */
struct auth	*auth_new(const struct secret *, const struct policy *,
		    const char *, const char *, const char **);

/*
 * Make the next line to send, without its end: first, without a challenge,
 * the AUTH command; then the answer to what stood behind each 334 (NULL and
 * "" are an empty challenge).  AUTH_LINE octets are enough.  What is written
 * holds the password, as a line for no log.  Returns 0, or -1 if the
 * challenge is broken or proves the server an impostor: send "*", and after
 * its reply give up; auth_fault() says why.
 */
#define AUTH_LINE	8192
int	 auth_step(struct auth *, const char *, char *, size_t);

/*
 * The server has said 235: with that text behind the code.  Returns 0, or -1
 * if we must not believe it: by SCRAM it has to prove that it knows the
 * password, too.  Hang up then; auth_fault() says why.
 */
int	 auth_finish(struct auth *, const char *);
const char	*auth_fault(const struct auth *);
const char	*auth_mechanism(const struct auth *);
void	 auth_free(struct auth *);

/* ---- exchange.c: from a domain to its hosts ---- */

struct host {
	char	 name[WIRE_DOMAIN];	/* host, literal address without
					   brackets, or a path */
	char	 address[WIRE_DOMAIN];	/* connect to this instead, as [relay]
					   says; "" to the name */
	char	 domain[WIRE_DOMAIN];	/* whose mail exchanger it is, or "" */
	uint16_t port;
	unsigned int preference;
	bool	 foreign;	/* DNS named it for a recipient's domain */
	bool	 implicit;	/* it is the domain, which has no MX */
	bool	 secure;	/* named by the configuration or by secure
				   answers */
};

/* The hosts in the order to be tried; or what hinders, count 0. */
struct hosts {
	struct host	*list;
	size_t		 count;
	int64_t		 expires;	/* monotonic; ask again then */
	struct reply	 fault;
};

/* The hosts are valid within the call; with it the exchange is over. */
typedef void	(*exchange_fn)(const struct hosts *, void *);
struct exchange;

void	 exchange_configure(struct child *);	/* before the jail */
/* The bool: it is a recipient's domain, so that its hosts are foreign. */
struct exchange	*exchange_find(const char *, const struct policy *, bool,
		    exchange_fn, void *);
void	 exchange_cancel(struct exchange *);
bool	 exchange_is_us(const struct netaddr *);
bool	 exchange_is_private(const struct netaddr *);

/* ---- dane.c: the TLSA records of a host ---- */

/* What is to be done about TLS with one host, DANE considered. */
struct security {
	unsigned int	 holders;	/* besides the first: each calls
					   security_free() */
	enum tls_level	 level;		/* never UNSET; DANE has records */
	struct dns_tlsa	*records;
	size_t		 record_count;
	char		**names;	/* any of which a certificate may bear;
					   of DANE the first is also for SNI */
	size_t		 name_count;
	struct reply	 fault;		/* code 0, or why not to connect */
};

typedef void	(*dane_fn)(struct security *, void *);	/* takes it */
struct dane;

/* The answer is that for its addresses; the bool: we shall log in. */
struct dane	*dane_find(const struct host *, const struct policy *,
		    const struct dns_answer *, bool, dane_fn, void *);
void	 dane_cancel(struct dane *);
void	 security_free(struct security *);
void	 security_print(const struct security *, char *, size_t);

/* ---- body.c: a message as DATA wants it; pure ---- */

struct body {
	size_t	 column;		/* octets of the line so far */
	bool	 in_header;
	bool	 cr;			/* the last octet was a CR, held back */
	uint64_t broken;		/* lines broken for their length */
};

void	 body_start(struct body *);
void	 body_add(struct body *, struct evbuffer *, const char *, size_t);
void	 body_end(struct body *, struct evbuffer *);	/* with its dot */

/* ---- command.c: the lines we send; pure ---- */

struct recipient;

void	 command_mail(struct evbuffer *, const struct transaction *,
	    const struct offer *);
void	 command_rcpt(struct evbuffer *, const struct recipient *,
	    const struct offer *);
const char	*command_address_fault(const char *, bool);	/* SMTPUTF8? */
bool	 command_parameter_fits(const char *);
bool	 command_is_international(const char *);

/* ---- transaction.c: what spoold wants done ---- */

struct recipient {
	uint32_t	 row;
	uint32_t	 notify;
	bool		 unsent;	/* its address fits into no command */
	bool		 accepted;	/* by the server, this time */
	bool		 told;		/* its result has gone to spoold */
	char		*address;
	char		*orcpt;
};

struct transaction {
	TAILQ_ENTRY(transaction) entry;		/* of its hop's queue, or of
						   those being gathered */
	struct link	*link;		/* NULL: a probe's */
	uint32_t	 request;	/* the REQ's frame id */
	uint64_t	 number;
	uint64_t	 id;		/* queue id */
	uint64_t	 size;
	uint8_t		 body;		/* enum body_type */
	uint8_t		 ret;		/* enum dsn_ret */
	bool		 returned;	/* a reused connection had died */
	bool		 reached;	/* a server answered MAIL */
	bool		 dsn;		/* the server offers DSN */
	char		*sender;
	char		*envid;
	struct recipient *recipients;
	size_t		 count;
	size_t		 accepted;
	char		*octets;	/* a small body */
	int		 fd;		/* of a large one, else -1 */
};
TAILQ_HEAD(transactions, transaction);

struct transaction	*transaction_new(struct link *, uint64_t);
void	 transaction_free(struct transaction *);
void	 transaction_add(struct transaction *, const struct w_relay_rcpt_ntf *);
int	 transaction_complete(struct transaction *,
	    const struct w_relay_deliver_req *, struct frame *);
void	 transaction_again(struct transaction *);
void	 transaction_result(struct transaction *, struct recipient *,
	    const struct reply *);
void	 transaction_rest(struct transaction *, const struct reply *, bool);
void	 transaction_done(struct transaction *, int64_t, const char *,
	    const char *);
ssize_t	 transaction_read(const struct transaction *, uint64_t, char *,
	    size_t);

/* ---- source.c: what a hop's text means ---- */

/* Where hosts are to be had from. */
struct source {
	struct host	 host;		/* as configured; or the domain */
	bool		 exchange;	/* the hosts are its mail exchangers */
	bool		 foreign;	/* it is a recipient's domain */
	const char	*key;		/* of its secret: a section, a host, or
					   NULL, if it has none */
};

struct sources {
	struct source	*list;
	size_t		 count;
	const struct policy *policy;
};

/* What is wrong with it, or NULL; the list is to be freed either way. */
const char	*sources_read(const struct conf *, const char *, const char *,
		    struct sources *);
const char	*sources_check(const struct conf_section *);

/* ---- seen.c: what the last search for a hop has come by ---- */

#define SEEN_MAX	20

struct seen {
	struct {
		char		*host;
		unsigned int	 preference;
		struct endpoint	*endpoint;	/* held; NULL: */
		char		*fault;		/* why there is none */
	}		 list[SEEN_MAX];
	size_t		 count;
	int64_t		 until;	/* monotonic: what rests there is for us */
};

void	 seen_forget(struct seen *);
void	 seen_add(struct seen *, const struct host *, struct endpoint *,
	    const struct reply *);
void	 seen_believe(struct seen *, int64_t);	/* so long at the most */
struct conversation	*seen_take(struct seen *);	/* resting, or NULL */
void	 seen_print(const struct seen *, FILE *);
void	 host_print(const char *, unsigned int, FILE *);

/* ---- hop.c: next hops and who waits for them ---- */

void	 hop_configure(struct child *);
void	 hop_submit(const char *, const char *, struct transaction *);
/* By text, exchange and sender's class; with its fault if it is none. */
struct hop	*hop_find(const char *, const char *, const char *,
		    const char **);
const char	*hop_text(const struct hop *);
const struct policy	*hop_policy(const struct hop *);
const struct source	*hop_source(const struct hop *, size_t);
const struct secret	*hop_secret(const struct hop *, const struct source *);
void	 hop_hold(struct hop *);	/* keep it until hop_release() */
void	 hop_release(struct hop *);
void	 hop_saw(struct hop *, const struct host *, struct endpoint *,
	    const struct reply *);
bool	 hop_all_idle(void);
void	 hop_print(const char *, const char *, FILE *);	/* RELAY_STATE */
void	 hop_drop(const struct link *);

/*
 * From conversation.c, which serves a hop from conversation_serve() until it
 * calls one of the last two; none of these calls back for it.
 */
struct transaction	*hop_next(struct hop *);	/* NULL: none waits */
/* The same, for one that would still have to wait for its turn. */
struct transaction	*hop_next_to_ride(struct hop *);
void	 hop_take_back(struct hop *, struct transaction *);
/* None waits, or it is others' turn. */
void	 hop_rests(struct hop *, struct conversation *);
void	 hop_left(struct hop *, struct conversation *);	/* it takes no more */

/* ---- scout.c: the addresses of a hop's hosts, one after the other ---- */

/* What it has found next; all of it is borrowed. */
struct sighting {
	const struct host *host;	/* NULL: that was all */
	const struct netaddr *address;	/* NULL: a path, or a fault */
	const struct secret *secret;	/* NULL: no login */
	struct security	*security;
	const struct reply *fault;	/* why this host cannot be tried */
	unsigned int	 rank;		/* the same for those as good */
};

typedef void	(*scout_fn)(const struct sighting *, void *);
struct scout;

struct scout	*scout_new(struct hop *, scout_fn, void *);
void	 scout_next(struct scout *);	/* one call, not from within this */
int64_t	 scout_lifetime(const struct scout *);	/* of all it has found */
void	 scout_free(struct scout *);

/* ---- search.c: from a hop to a conversation that is ready ---- */

/* How a search ended; then it is over and its owner frees it. */
struct found {
	struct search	*search;
	struct conversation *conversation;	/* to be served or ended */
	const struct reply *fault;		/* if there is none */
	const char	*host;			/* tried at the last */
	int64_t		 closed_until;		/* all of them, wall clock */
	int64_t		 lifetime;		/* of what was looked up */
};

typedef void	(*search_fn)(const struct found *, void *);

/*
 * The bool: closed endpoints are tried as well.  With a script, what is said
 * is written there and the connection is a new one.
 */
struct search	*search_new(struct hop *, bool, FILE *, search_fn, void *);
const struct hop	*search_hop(const struct search *);
bool	 search_waits(const struct search *);	/* for an endpoint's room */
void	 search_go_on(struct search *);		/* there may be room */
void	 search_free(struct search *);
/*
 * From conversation.c, as the last thing it does in that call: it is ready
 * for conversation_serve(), which may come from within; or it has freed
 * itself because of this.
 */
void	 search_ready(struct search *, struct conversation *);
void	 search_refused(struct search *, const struct reply *);

/* ---- endpoint.c: an address of a host ---- */

struct endpoint {
	RB_ENTRY(endpoint) entry;
	TAILQ_ENTRY(endpoint) unused;	/* if is_unused */
	bool		 is_unused;
	char		*key;		/* what makes two the same */
	char		 text[WIRE_NAME];	/* name[address]:port or path */
	char		 name[WIRE_DOMAIN];	/* of the host, for SNI */
	struct netaddr	 address;
	uint16_t	 port;
	char		*path;		/* of a Unix socket, else NULL */
	const struct policy *policy;
	const struct secret *secret;	/* NULL: no login */
	struct security	*security;
	struct conversation **resting;	/* the last has rested least */
	size_t		 resting_count;
	unsigned int	 connections;	/* all that are open or being made */
	unsigned int	 holders;	/* hops and searches that know it */
	struct search	**waiting;	/* for room, the first comes first */
	size_t		 waiting_count;
	unsigned int	 failures;	/* in a row */
	int64_t		 closed_until;	/* wall clock; 0 open */
	struct reply	 fault;		/* why it is closed */
	int64_t		 wary_until;	/* no riders; monotonic */
	char		 tls[WIRE_NAME];	/* of the last connection */
};

void	 endpoint_configure(struct event_base *);
struct endpoint	*endpoint_get(const struct host *, const struct netaddr *,
		    const struct policy *, const struct secret *,
		    struct security *);
void	 endpoint_hold(struct endpoint *);
void	 endpoint_release(struct endpoint *);
bool	 endpoint_is_closed(const struct endpoint *);
bool	 endpoint_has_room(const struct endpoint *, const struct search *);
bool	 endpoint_is_wanted(const struct endpoint *, const struct hop *);
void	 endpoint_joined(struct endpoint *);	/* a new connection */
struct conversation	*endpoint_take(struct endpoint *);	/* resting */
void	 endpoint_rest(struct endpoint *, struct conversation *);
void	 endpoint_wait(struct endpoint *, struct search *);
void	 endpoint_wait_no_more(struct endpoint *, struct search *);
void	 endpoint_worked(struct endpoint *, const char *);
int64_t	 endpoint_pause(unsigned int);
void	 endpoint_failed(struct endpoint *, const struct reply *);
void	 endpoint_print(const struct endpoint *, FILE *);
void	 endpoint_end_all(void);
bool	 endpoint_all_idle(void);

/*
 * From conversation.c: it was resting and takes no more, as it says QUIT; its
 * connection is closed, of whatever it was doing.  The latter comes before
 * hop_left() if both do, and before search_refused().
 */
void	 endpoint_withdraw(struct endpoint *, struct conversation *);
void	 endpoint_left(struct endpoint *, struct conversation *);

/* ---- stream.c: octets to and from a server, in clear or by TLS ---- */

#define STREAM_LOW	65536	/* more may be added when less waits */

struct stream;

/* None is called from within a stream_...() function. */
struct stream_ops {
	void	(*input)(void *);	/* there is more in stream_in() */
	void	(*output)(void *);	/* no longer much in stream_out() */
	void	(*secured)(void *);	/* the handshake is over */
	void	(*lost)(const char *, bool, void *);	/* why; by TLS */
	void	(*timeout)(void *);
};

struct stream	*stream_new(struct event_base *, int,
		    const struct stream_ops *, void *);
struct evbuffer	*stream_in(struct stream *);
struct evbuffer	*stream_out(struct stream *);
void	 stream_wait(struct stream *, int64_t);	/* write, then at most this */
void	 stream_secure(struct stream *, const struct tls_want *);
bool	 stream_is_secured(const struct stream *);
const char	*stream_protection(const struct stream *);	/* "none" */
void	 stream_free(struct stream *);

/* ---- conversation.c: one connection, from its socket to its QUIT ---- */

/*
 * Takes the socket, connected; it counts at the endpoint already.  The bool:
 * stay in clear, TLS has failed before.  Until search_ready() it belongs to
 * the search, which may free it; then it serves hops, or rests.
 */
struct conversation	*conversation_new(struct endpoint *, int, bool,
			    struct search *, FILE *);
void	 conversation_serve(struct conversation *, struct hop *);
/* Its transaction is of that link, which is gone. */
void	 conversation_drop(struct conversation *, const struct link *);
void	 conversation_end(struct conversation *);	/* resting: QUIT */
void	 conversation_free(struct conversation *);	/* being made */
const char	*conversation_protection(const struct conversation *);
struct endpoint	*conversation_endpoint(const struct conversation *);

/*
 * For a probe, instead of serving: send a line without its CRLF and hear the
 * reply; or ours, not replied, if none came and the conversation has freed
 * itself because of this.  The function asks on or frees it.
 */
typedef void	(*reply_fn)(const struct reply *, void *);

void	 conversation_ask(struct conversation *, enum relay_stage,
	    const char *, reply_fn, void *);
const struct offer	*conversation_offer(const struct conversation *);

/* ---- opening.c: how a conversation begins ---- */

struct opening;

enum opening_next {
	OPENING_WAIT,		/* for the server */
	OPENING_READY,		/* it may carry mail */
	OPENING_LOST		/* it is of no use: opening_fault() */
};

struct opening	*opening_new(struct stream *, const struct endpoint *,
		    struct offer *, bool, FILE *);
void	 opening_begin(struct opening *);
void	 opening_line(struct opening *, const struct reply *, char *);
enum opening_next	 opening_reply(struct opening *, const struct reply *,
			    const char *);
enum opening_next	 opening_secured(struct opening *);
const struct reply	*opening_fault(const struct opening *);
int64_t	 opening_patience(const struct opening *);
const char	*opening_awaits(const struct opening *);	/* for people */
enum relay_stage	 opening_stage(const struct opening *);
void	 opening_free(struct opening *);

/* ---- envelope.c: a transaction within a conversation ---- */

struct envelope;

/* What is to be done with the conversation. */
enum envelope_next {
	ENVELOPE_WAIT,		/* for the server */
	ENVELOPE_OVER,		/* it takes the next transaction */
	ENVELOPE_LEAVE,		/* it takes no more: QUIT */
	ENVELOPE_LOST		/* it is of no use */
};

struct envelope	*envelope_new(struct stream *, struct endpoint *,
		    const struct offer *);
/* The transaction is taken.  The bool: it is the connection's first. */
enum envelope_next	 envelope_begin(struct envelope *, struct hop *,
			    struct transaction *, bool);
/* One that begins behind another's dot, if that takes it. */
enum envelope_next	 envelope_ride(struct envelope *, struct envelope *,
			    struct transaction *);
bool	 envelope_takes_rider(const struct envelope *);
bool	 envelope_is_begun(const struct envelope *);
void	 envelope_give_back(struct envelope *);
enum envelope_next	 envelope_reply(struct envelope *,
			    const struct reply *);
enum envelope_next	 envelope_fill(struct envelope *);
void	 envelope_lost(struct envelope *, const struct reply *);
/* If no other mail should be brought to this host now: why. */
const struct reply	*envelope_host_fault(const struct envelope *);
bool	 envelope_drop(struct envelope *, const struct link *);
int64_t	 envelope_patience(const struct envelope *);
const char	*envelope_awaits(const struct envelope *);	/* for people */
enum relay_stage	 envelope_stage(const struct envelope *);
void	 envelope_free(struct envelope *);

/* ---- login.c: AUTH within a conversation ---- */

struct login;

/* Secured or not.  NULL: the fault says why it cannot be. */
struct login	*login_new(const struct endpoint *, const struct offer *,
		    bool, struct reply *);
int	 login_begin(struct login *, struct evbuffer *, FILE *,
	    struct reply *);
/* With the reply's last line.  1 logged in, 0 go on, -1 with the fault. */
int	 login_reply(struct login *, const struct reply *, const char *,
	    struct evbuffer *, FILE *, struct reply *);
void	 login_redact(const struct login *, char *);
void	 login_free(struct login *);

/* ---- transcript.c: a dialogue for the operator ---- */

#define TRANSCRIPT_MAX	49152	/* octets; what comes then is left out */

void	 transcript(FILE *, const char *, const char *, ...)
	    __attribute__((format(printf, 3, 4)));

/* ---- explain.c: what spoold asks for the operator ---- */

void	 explain(struct link *, uint32_t, const struct w_relay_explain_req *);
void	 explain_forget(const struct link *);
bool	 explain_all_idle(void);

/* ---- probe.c: a try up to RCPT, written down ---- */

typedef void	(*probe_fn)(bool, void *);	/* was all accepted */
struct probe;

struct probe	*probe_new(struct hop *, const char *, const char *, FILE *,
		    probe_fn, void *);
void	 probe_free(struct probe *);

/* ---- peer_spoold.c ---- */

extern const struct link_role role_spoold;

void	 tell_relay_result(struct link *, const struct w_relay_result_ntf *);
void	 answer_relay_deliver(struct link *, uint32_t,
	    const struct w_relay_deliver_ans *);
void	 answer_relay_explain(struct link *, uint32_t,
	    const struct w_relay_explain_ans *, const char *, size_t);
void	 forget_gathering(const struct link *);

/* ---- main.c ---- */

struct event_base	*relay_base(void);
const char	*relay_hostname(void);
bool	 relay_is_local(void);	/* -l: Unix sockets only */
void	 relay_idle(void);	/* a conversation or transaction has ended */

#endif
