/*
 * smtpd: speaks SMTP with clients.  Everything its files share; nothing here
 * is for another process.
 */
#ifndef SMTPD_H
#define SMTPD_H

#include <sys/queue.h>
#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"
#include "child.h"
#include "netaddr.h"
#include "wire.h"

#define COMMAND_LINE_MAX	2048	/* with its CRLF */
#define FIELD_MAX		65536	/* of a local submission, edited */
#define REPLY_MAX		1024	/* any reply of one line */

struct session;
struct transaction;

/* What the configuration says of one [smtpd], or of the local socket. */
struct settings {
	TAILQ_ENTRY(settings) entry;
	char	 name[WIRE_NAME];	/* of the section; "" is local */
	char	 host[WIRE_DOMAIN];	/* who we are in the dialogue */
	char	 mail_name[WIRE_DOMAIN];	/* completes bare addresses */
	char	 logger[WIRE_NAME];	/* "" is the common one */
	bool	 local;
	bool	 local_rcpt_to;
	bool	 strict_syntax;
	int64_t	 banner_delay;		/* microseconds, as all times */
	int64_t	 command_timeout;
	int64_t	 data_timeout;
	int64_t	 spool_timeout;
	int64_t	 message_size;		/* 0 is no limit, here and below */
	int64_t	 line_length;
	int64_t	 max_recipients;
	int64_t	 max_hops;
	int64_t	 max_errors;
	int64_t	 max_unknown_commands;
	int64_t	 max_sessions;		/* this worker's share */
	bool	 shared;		/* with other workers */
	int64_t	 max_sessions_per_network;
	uint8_t	 ipv4_prefix;
	uint8_t	 ipv6_prefix;
	struct netblock *trusted;
	size_t	 trusted_count;
};

struct listener {
	TAILQ_ENTRY(listener) entry;
	const struct settings *settings;
	struct event	*event;
	struct event	*pause;		/* no descriptors left: wait */
	int		 fd;
	bool		 yielded;	/* full, and others have had the word */
	int64_t		 sessions;
};

/* settings.c */

void	settings_check(struct conf *);
void	settings_load(const struct child *);

/* The settings of a listener by name; NULL if the section is gone. */
const struct settings	*settings_of(const char *);
bool	settings_trust(const struct settings *, const struct netaddr *);

/* listener.c */

void	listener_add(struct child *, int, const struct w_start_listener_ntf *);
void	listeners_close(void);

/* limits.c */

/* Count a session of this network; -1 if it has limit of them already. */
int	limits_enter(const struct netaddr *, uint8_t, int64_t);
void	limits_leave(const struct netaddr *, uint8_t);

/* buffer.c: octets that came or that shall go */

struct buffer {
	char	*data;
	size_t	 length;
	size_t	 size;			/* allocated */
};

void	buffer_append(struct buffer *, const void *, size_t);
void	buffer_drop(struct buffer *, size_t);	/* from the front */
void	buffer_free(struct buffer *);

/* reply.c: all that is said to clients */

enum reply {
	REPLY_BANNER,
	REPLY_HELO,
	REPLY_HELP,
	REPLY_QUIT,
	REPLY_NOOP,
	REPLY_RESET,
	REPLY_VRFY,
	REPLY_MAIL,
	REPLY_RCPT,
	REPLY_DATA,
	REPLY_QUEUED,
	REPLY_TOO_MANY_SESSIONS,
	REPLY_TOO_MANY_OF_NETWORK,
	REPLY_SHUTDOWN,
	REPLY_TIMEOUT,
	REPLY_TOO_MANY_ERRORS,
	REPLY_OUT_OF_STEP,
	REPLY_UNKNOWN_COMMAND,
	REPLY_LINE_TOO_LONG,
	REPLY_BAD_OCTETS,
	REPLY_NOT_IMPLEMENTED,
	REPLY_HELO_FIRST,
	REPLY_MAIL_FIRST,
	REPLY_NESTED_MAIL,
	REPLY_NO_RECIPIENTS,
	REPLY_SYNTAX,
	REPLY_BAD_SENDER,
	REPLY_BAD_RECIPIENT,
	REPLY_NOT_ASCII,
	REPLY_BAD_PARAMETER,
	REPLY_UNKNOWN_PARAMETER,
	REPLY_TOO_BIG,
	REPLY_NO_SPACE,
	REPLY_SPOOL_AWAY,
	REPLY_LOOKUP_FAILED,
	REPLY_MISCONFIGURED,
	REPLY_UNKNOWN_USER,
	REPLY_UNKNOWN_DOMAIN,
	REPLY_RELAYING_DENIED,
	REPLY_BAD_MAILBOX,
	REPLY_TOO_MANY_RECIPIENTS,
	REPLY_BARE_OCTETS,
	REPLY_TEXT_LINE_TOO_LONG,
	REPLY_TOO_MANY_HOPS,
	REPLY_NONE		/* nothing is to be said */
};

/*
 * Print a reply with its CRLF; an argument takes the place of a * in its
 * text.  Returns the length, which is below the size.
 */
size_t	reply_print(enum reply, const char *, char *, size_t);

/*
 * The same for EHLO's many lines: our name, the client's, the limit of size.
 */
size_t	reply_print_ehlo(const char *, const char *, int64_t, char *, size_t);

/*
 * A reply with the code and text of a reject(); an enhanced code is added if
 * the text does not begin with a fitting one.
 */
size_t	reply_print_refusal(uint32_t, const char *, char *, size_t);

/* The first digit of its code. */
int	reply_class(enum reply);

/* parameter.c: what may follow the path of MAIL and RCPT */

struct mail_parameters {
	uint64_t	 size;		/* 0: not given */
	enum body_type	 body;
	enum dsn_ret	 ret;
	char		 envid[WIRE_ENVID];
};

struct rcpt_parameters {
	uint32_t	 notify;	/* set of enum dsn_notify */
	char		 orcpt[WIRE_ORCPT];
};

enum parameter_result {
	PARAMETER_OK,
	PARAMETER_UNKNOWN,
	PARAMETER_BAD		/* twice, or its value is malformed */
};

enum parameter_result	parameters_of_mail(const char *,
			    struct mail_parameters *);
enum parameter_result	parameters_of_rcpt(const char *,
			    struct rcpt_parameters *);

/* dotread.c: the end of a message, and only that, is CRLF . CRLF */

enum dotread_state {
	DOTREAD_START,		/* at the beginning of a line */
	DOTREAD_TEXT,
	DOTREAD_CR,
	DOTREAD_DOT,		/* one dot at the beginning of a line */
	DOTREAD_DOT_CR,
	DOTREAD_END
};

struct dotread {
	enum dotread_state state;
	bool		 bare;		/* a lone CR or LF, or NUL, was seen */
	bool		 long_line;
	uint64_t	 column;	/* of the octet to come */
	uint64_t	 line_length;	/* without CRLF at the most; 0 any */
};

/*
 * Decode up to in_length octets into out, which has room for as many and 2
 * more.  Stops behind the end of the message.  Returns how many were taken;
 * *out_length is what they came to.
 */
size_t	dotread_decode(struct dotread *, const char *, size_t, char *,
	    size_t *);

/* hops.c: counts the Received fields of a header that flows by */

struct hops {
	uint32_t	 count;
	uint32_t	 column;	/* in the line; beyond name: ignored */
	bool		 matching;	/* the line is "Received:" so far */
	bool		 ended;		/* the empty line is behind us */
};

void	hops_count(struct hops *, const char *, size_t);

/* received.c: the trace field */

struct trace {
	const struct w_client *client;
	const char	*host;		/* by whom */
	const char	*recipient;	/* the only one; NULL if several */
	uint64_t	 id;
	int64_t		 arrival;
};

size_t	received_print(const struct trace *, char *, size_t);

/* local.c: the header of a local submission is completed */

typedef void	(*local_emit)(void *, const char *, size_t);

struct local_header {
	const char	*mail_name;
	const char	*sender;	/* "" is null */
	uint64_t	 id;
	int64_t		 arrival;
	struct buffer	 field;		/* the one that is not complete */
	bool		 passing;	/* a field too long: as it is */
	bool		 dropping;	/* it is one that must not be passed */
	bool		 at_start;	/* of a line, while passing */
	bool		 ended;		/* the rest is body */
	bool		 date, message_id, from;	/* seen */
	local_emit	 emit;
	void		*context;
};

/*
 * Take octets of the message and emit what they become.  local_end() is
 * called when no more come; local_free() at any time.
 */
void	local_feed(struct local_header *, const char *, size_t);
void	local_end(struct local_header *);
void	local_free(struct local_header *);

/* Who is at the other end of a local socket: 0, or -1. */
int	local_peer(int, uid_t *);

/* transaction.c: a message on its way to spoold */

struct recipient {
	char		*address;
	char		*orcpt;		/* NULL: none */
	uint32_t	 notify;
};

enum transaction_state {
	TRANSACTION_ENVELOPE,	/* nothing but addresses yet */
	TRANSACTION_GATHERING,	/* the body is kept in memory */
	TRANSACTION_STREAMING,	/* spoold gets it in pieces */
	TRANSACTION_COMMITTING,
	TRANSACTION_ENDED	/* spoold has answered, failed or is gone */
};

struct transaction {
	TAILQ_ENTRY(transaction) entry;		/* of all that have an id */
	TAILQ_ENTRY(transaction) credit_entry;
	struct session	*session;
	enum transaction_state state;
	bool		 wants_credit;	/* is in the line for it */
	bool		 complete;	/* commit when the pieces are out */
	bool		 opened;	/* spoold was told of it */
	enum txn_verdict failure;	/* 0: none so far */
	uint64_t	 id;
	int64_t		 arrival;
	uint64_t	 size;		/* octets so far */
	uint64_t	 sent;		/* of them in pieces */
	uint32_t	 commit;	/* the question, to forget it by */
	size_t		 held;		/* octets the link keeps for it */
	struct buffer	 body;
	char		*sender;
	struct mail_parameters parameters;
	struct recipient *recipients;
	size_t		 count;
};

struct transaction	*transaction_new(struct session *, const char *,
			    const struct mail_parameters *);
/* An unfinished one is withdrawn. */
void	transaction_free(struct transaction *);
void	transaction_add(struct transaction *, const char *,
	    const struct rcpt_parameters *);

/* Can a message be taken now?  REPLY_NONE if so, else why not. */
enum reply	transaction_possible(void);
/* The body begins: take an id.  REPLY_NONE, or why it cannot be. */
enum reply	transaction_begin(struct transaction *);
void	transaction_write(struct transaction *, const char *, size_t);
/* Is there memory for much at once? */
bool	transaction_roomy(void);
/* True while no more should be written; data_resume() tells the end. */
bool	transaction_blocked(const struct transaction *);
/* Drop the body, it will not be committed. */
void	transaction_withdraw(struct transaction *);
/* spoold does not answer: as if it had failed. */
void	transaction_give_up(struct transaction *);
/* data_committed() tells the result. */
void	transaction_commit(struct transaction *);
void	transactions_begin(void);

extern const struct child_peer	transaction_peer;

/* policy.c: asks policyd about recipients */

/* policy_answered() tells; policy_forget() when nobody wants to know. */
void	policy_ask(struct session *, const char *);
void	policy_forget(struct session *);
void	policy_begin(struct child *);

extern const struct child_peer	policy_peer;

/* session.c */

enum session_state {
	SESSION_BANNER,		/* nothing said yet */
	SESSION_CONNECTED,	/* banner said, no greeting yet */
	SESSION_GREETED,	/* HELO or EHLO */
	SESSION_MAIL,		/* a sender, no recipient */
	SESSION_RCPT,		/* recipients */
	SESSION_ASKING,		/* a recipient is being asked for */
	SESSION_DATA,		/* the body comes */
	SESSION_COMMITTING,	/* spoold has it */
	SESSION_CLOSING,	/* last words are on their way */
	SESSION_STATES
};

/* A recipient that policyd is asked about. */
struct question {
	TAILQ_ENTRY(question) entry;	/* of those without an answer */
	struct session	*session;
	struct link	*link;		/* it was asked over */
	uint32_t	 id;		/* to forget it by; 0: not asked */
	bool		 waiting;	/* for a link */
	int64_t		 since;
	char		 recipient[WIRE_ADDRESS];
	struct rcpt_parameters parameters;
};

/* The DATA phase of a session; data.c. */
struct data {
	struct dotread	 dots;
	struct hops	 hops;
	struct local_header header;	/* local submissions */
	uint64_t	 size;		/* as the client sent it, no stuffing */
	size_t		 fresh;		/* octets since its time was renewed */
	enum reply	 refusal;	/* REPLY_NONE: so far */
};

struct session {
	TAILQ_ENTRY(session) entry;
	uint64_t	 id;
	enum session_state state;
	struct listener	*listener;
	const struct settings *settings;
	int		 fd;
	bool		 trusted;	/* may be out of step; not counted */
	bool		 counted;	/* in limits.c */
	bool		 skipping;	/* the rest of a line too long */
	bool		 ended;		/* the client sends no more */
	bool		 lingering;	/* all said, reads until EOF */
	bool		 broken;	/* it cannot be written to */
	int64_t		 deadline;	/* monotonic; 0 none */
	int64_t		 timer_at;	/* when it looks; 0 not set */
	size_t		 behind;	/* octets that came behind this line */
	struct event	*readable;
	struct event	*writable;
	struct event	*timer;
	struct buffer	 input;
	struct buffer	 output;
	struct w_client	 client;
	struct netaddr	 address;
	char		 name[NETADDR_TEXT];	/* the client's, in the log */
	int64_t		 errors;
	int64_t		 unknown;
	uint32_t	 messages;
	const char	*verb;		/* being handled, for the log */
	const char	*argument;	/* valid while it is handled */
	struct transaction *transaction;
	struct question	*question;
	struct data	*data;
};

void	session_set_state(struct session *, enum session_state);
/* Say it; a 4xx or 5xx is logged and counted. */
void	session_reply(struct session *, enum reply, const char *);
void	session_refuse(struct session *, uint32_t, const char *);
void	session_say(struct session *, const char *, size_t);
/* Say it and hang up. */
void	session_hang_up(struct session *, enum reply, const char *);
/* Begin a log line of this session. */
void	session_log(const struct session *, int, const char *);
/* Forget sender and recipients. */
void	session_reset(struct session *);

/* connection.c */

void	session_listen(struct session *, struct event_base *);
/*
 * Handle what has come in as far as the state allows, then write.  Ends the
 * session if there is no more to do: it must not be touched afterwards.
 */
void	session_run(struct session *);
/* The client is to send something within this time from now. */
void	session_expect(struct session *, int64_t);

/* client.c */

void	sessions_begin(struct child *);
void	sessions_finish(void);
void	sessions_end(void);
void	session_new(struct listener *, int, const struct netaddr *, uint16_t);
/* Say the banner, unless the client has not waited for it. */
void	session_greet(struct session *);
void	session_free(struct session *);

/* command.c */

/* Handle a line without its CRLF; it is changed. */
void	command_line(struct session *, char *, size_t);

/* mail.c: MAIL and RCPT */

void	command_mail(struct session *, char *);
void	command_rcpt(struct session *, char *);
void	policy_answered(struct session *, const struct w_rcpt_check_ans *);

/* data.c */

void	command_data(struct session *, char *);
/* Take octets of the body; returns how many. */
size_t	data_input(struct session *, const char *, size_t);
void	data_free(struct session *);
void	data_resume(struct session *);
void	data_committed(struct session *, enum txn_verdict);

#endif
