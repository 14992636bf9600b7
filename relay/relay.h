/*
 * relay: the SMTP and LMTP client.  spoold hands it transactions, each for
 * one next hop; it tells what became of each recipient.
 */
#ifndef RELAY_H
#define RELAY_H

#include <sys/queue.h>

#include <event2/buffer.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "child.h"
#include "link.h"
#include "netaddr.h"
#include "wire.h"

struct conversation;
struct hop;

/* ---- reply.c: what a server says; pure ---- */

struct reply {
	int	 code;			/* 0 before the first line */
	int	 lines;
	char	 status[12];		/* enhanced, made up if there is none */
	char	 text[WIRE_TEXT];	/* verbatim, cleaned, lines joined */
};

/* What a server offers in its answer to EHLO or LHLO. */
struct offer {
	bool	 pipelining;
	bool	 size;
	bool	 eightbit;
	bool	 dsn;
	uint64_t size_limit;		/* 0 none */
};

void	 reply_start(struct reply *);
int	 reply_add(struct reply *, const char *);	/* 1 whole, 0, -1 */
void	 reply_fault(struct reply *, int, const char *, const char *, ...)
	    __attribute__((format(printf, 4, 5)));
enum relay_verdict	 reply_verdict(const struct reply *);
void	 offer_add(struct offer *, const char *);

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
struct transaction;

void	 command_mail(struct evbuffer *, const struct transaction *,
	    const struct offer *);
void	 command_rcpt(struct evbuffer *, const struct recipient *,
	    const struct offer *);
const char	*command_address_fault(const char *);

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
	struct link	*link;
	uint32_t	 request;	/* the REQ's frame id */
	uint64_t	 number;
	uint64_t	 id;		/* queue id */
	uint64_t	 size;
	uint8_t		 body;		/* enum body_type */
	uint8_t		 ret;		/* enum dsn_ret */
	bool		 returned;	/* a reused connection had died */
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
void	 transaction_done(struct transaction *, int64_t, const char *);
ssize_t	 transaction_read(const struct transaction *, uint64_t, char *,
	    size_t);

/* ---- hop.c: next hops, their hosts, who waits for them ---- */

struct host {
	char	 name[WIRE_DOMAIN];	/* what it is called in the log */
	char	 address[WIRE_DOMAIN];	/* what is looked up: often the same */
	uint16_t port;
};

void	 hop_configure(struct child *);
void	 hop_check(struct conf *);
void	 hop_submit(const char *, struct transaction *);
void	 hop_take_back(struct hop *, struct transaction *);
struct transaction	*hop_next(struct hop *);
const struct host	*hop_host(const struct hop *, size_t);
const char	*hop_name(const struct hop *);
bool	 hop_is_lmtp(const struct hop *);
void	 hop_reached(struct hop *);
void	 hop_closed(struct hop *, struct conversation *, const struct reply *,
	    const char *);
void	 hop_drop(const struct link *);
bool	 hop_all_idle(void);
void	 hop_end(void);

/* ---- conversation.c: one connection to one host of a hop ---- */

struct conversation	*conversation_new(struct hop *,
			    const struct child *);
bool	 conversation_take(struct conversation *);	/* idle: work */
void	 conversation_drop(struct conversation *, const struct link *);
void	 conversation_end(struct conversation *);	/* idle: QUIT */

/* ---- connect.c: from a hop's list of hosts to a connected socket ---- */

struct connector;
typedef void	(*connect_fn)(int, const char *, const struct reply *, void *);

struct connector	*connector_new(struct event_base *,
			    const struct hop *, connect_fn, void *);
void	 connector_next(struct connector *, const struct reply *);
void	 connector_free(struct connector *);

/* ---- peer_spoold.c ---- */

extern const struct link_role role_spoold;

void	 tell_relay_result(struct link *, const struct w_relay_result_ntf *);
void	 answer_relay_deliver(struct link *, uint32_t,
	    const struct w_relay_deliver_ans *);
void	 forget_gathering(const struct link *);

/* ---- main.c ---- */

void	 relay_idle(void);	/* a conversation or transaction has ended */

#endif
