/*
 * Everything the processes may say to each other.
 *
 * Each message type has one payload struct here and one row in wire.c that
 * says who may send it to whom, how large it is, whether a descriptor comes
 * with it and what answers it.  wire_check() holds every received frame
 * against its row before a handler sees it.
 *
 * Payloads are fixed structs without pointers; strings are NUL-terminated in
 * bounded arrays.  Rows that say so allow a tail of bytes behind the struct.
 * Times are microseconds since 1970, sizes are octets.
 */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum process {
	PROC_NONE,
	PROC_POSTMASTER,	/* starts, binds, links, restarts */
	PROC_SMTPD,		/* speaks SMTP with clients */
	PROC_POLICYD,		/* decides */
	PROC_SPOOLD,		/* owns the queue */
	PROC_RELAY,		/* speaks SMTP with next hops */
	PROC_DELIVER,		/* forks workers that become users */
	PROC_WORKER,		/* a user, delivering */
	PROC_CTL,		/* a command, run by anybody */
	PROC_MAX
};

/* Greatest lengths of strings on the wire, with their NUL. */
#define WIRE_ADDRESS	512	/* local part 255, @, domain 255 */
#define WIRE_DOMAIN	256
#define WIRE_NAME	128	/* of a listener, a section */
#define WIRE_LOGIN	256	/* of an account */
#define WIRE_ENVID	128	/* RFC 3461 4.4: 100 characters */
#define WIRE_ORCPT	512	/* RFC 3461 4.2: 500 characters */
#define WIRE_TEXT	512	/* a reply or reason, for people */
#define WIRE_VERDICT	201	/* a text that policyd gives for a reply */
#define WIRE_TARGET	1024	/* a target as printed */
#define WIRE_PATH	1024

#define WIRE_INLINE	65536	/* a body up to this travels in a frame */
#define WIRE_PIECE	32768	/* a larger one in pieces of this */
#define WIRE_TARGETS	250	/* targets in one answer at the most */
#define WIRE_LEASE	4096	/* queue ids in one lease */

/*
 * Workers of a kind are fewer than this.  smtpd and relay of a newer
 * configuration run beside the older ones: their instances are a multiple of
 * this, greater with each reload, plus their number from 0.  smtpd's number 0
 * serves the local socket, relay's number 0 has Unix sockets and no network.
 */
#define WIRE_WORKERS	256

enum imsg_type {
	IMSG_NONE,

	/* START: postmaster to each process, one way. */
	IMSG_START_CONFIG_NTF,
	IMSG_START_SECRETS_NTF,
	IMSG_START_LOG_NTF,
	IMSG_START_LISTENER_NTF,
	IMSG_START_PEER_NTF,
	IMSG_START_PEER_DOWN_NTF,
	IMSG_START_GO_NTF,
	IMSG_START_FINISH_NTF,

	/* RCPT: smtpd asks policyd. */
	IMSG_RCPT_CHECK_REQ,
	IMSG_RCPT_CHECK_ANS,

	/* TXN: smtpd hands a message to spoold. */
	IMSG_TXN_STATE_NTF,
	IMSG_TXN_LEASE_NTF,
	IMSG_TXN_OPEN_NTF,
	IMSG_TXN_RCPT_NTF,
	IMSG_TXN_BODY_REQ,
	IMSG_TXN_BODY_ANS,
	IMSG_TXN_COMMIT_REQ,
	IMSG_TXN_COMMIT_ANS,
	IMSG_TXN_ABORT_NTF,

	/* ROUTE: spoold asks policyd. */
	IMSG_ROUTE_RESOLVE_REQ,
	IMSG_ROUTE_RESOLVE_ANS,
	IMSG_ROUTE_EXPLAIN_REQ,
	IMSG_ROUTE_EXPLAIN_ANS,

	/* USER: spoold asks deliver for a worker. */
	IMSG_USER_WORKER_REQ,
	IMSG_USER_WORKER_ANS,
	IMSG_USER_KILL_NTF,
	IMSG_USER_STUCK_NTF,
	IMSG_USER_ENDED_NTF,

	/* JOB: spoold gives a worker one delivery. */
	IMSG_JOB_DELIVER_REQ,
	IMSG_JOB_DELIVER_ANS,

	/* RELAY: spoold gives relay one transaction for one next hop. */
	IMSG_RELAY_RCPT_NTF,
	IMSG_RELAY_DELIVER_REQ,
	IMSG_RELAY_RESULT_NTF,
	IMSG_RELAY_DELIVER_ANS,
	IMSG_RELAY_EXPLAIN_REQ,
	IMSG_RELAY_EXPLAIN_ANS,

	/* CTL: a command asks spoold. */
	IMSG_CTL_LIST_REQ,
	IMSG_CTL_LIST_ANS,
	IMSG_CTL_SHOW_REQ,
	IMSG_CTL_SHOW_ANS,
	IMSG_CTL_ACTION_REQ,
	IMSG_CTL_ACTION_ANS,
	IMSG_CTL_EXPLAIN_REQ,
	IMSG_CTL_EXPLAIN_ANS,
	IMSG_CTL_STATUS_REQ,
	IMSG_CTL_STATUS_ANS,
	IMSG_CTL_READ_REQ,
	IMSG_CTL_READ_ANS,
	IMSG_CTL_WHY_REQ,
	IMSG_CTL_WHY_ANS,
	IMSG_CTL_STATS_REQ,
	IMSG_CTL_STATS_ANS,
	IMSG_CTL_PROBE_REQ,
	IMSG_CTL_PROBE_ANS,

	IMSG_MAX
};

/* ---- START ---- */

/* The process's part of the configuration, a sealed memfd in our grammar. */
struct w_start_config_ntf {
	uint64_t generation;		/* counts from 1 with each reload */
};

/* The secrets file, as a sealed memfd; only for who logs in elsewhere. */
struct w_start_secrets_ntf {
	uint64_t generation;		/* of the configuration it goes with */
	uint8_t  refused;		/* it cannot be used: there may be a
					   login for anybody */
};

enum wire_log { WIRE_LOG_FILE = 1, WIRE_LOG_SYSLOG };

/* A log to write to: a file opened O_APPEND, or a connected /dev/log. */
struct w_start_log_ntf {
	uint64_t kind;			/* enum wire_log */
	uint32_t facility;		/* as syslog(3) has it */
	uint8_t  copy_to_stderr;
	uint8_t  verbose;
	uint8_t  additional;		/* not the process's own: only for what
					   a listener logs under this name */
	uint8_t  pad;
	char	 name[WIRE_NAME];	/* the [logfile], or "syslog" */
	char	 ident[WIRE_NAME];	/* first word of a syslog line */
};

/* A listening socket to accept on. */
struct w_start_listener_ntf {
	uint64_t number;
	uint8_t  local;			/* the submission or control socket */
	char	 name[WIRE_NAME];	/* of the [smtpd]; "" is local */
	char	 address[WIRE_NAME];	/* as printed, for the log */
};

/* One end of a link to a neighbour; it replaces an older one. */
struct w_start_peer_ntf {
	uint64_t process;		/* enum process */
	uint32_t instance;		/* which of its workers, from 0 */
	uint8_t  may_claim_local;	/* this smtpd serves the local socket */
	uint8_t  finishing;		/* belongs to an older configuration */
};

/* That neighbour was reaped; its link's end is no violation. */
struct w_start_peer_down_ntf {
	uint64_t process;
	uint32_t instance;
	uint32_t pad;
};

/* All of the start has been handed over: enter the jail and work. */
struct w_start_go_ntf {
	uint64_t workers;		/* how many processes of this kind */
	uint32_t uid;			/* become this */
	uint32_t gid;
	uint32_t rootless;		/* started without root: stay us */
	char	 root[WIRE_PATH];	/* chroot here; "" keeps / */
	char	 hostname[WIRE_DOMAIN];
};

/* A newer process has taken over: take nothing new, end when idle. */
struct w_start_finish_ntf {
	uint64_t generation;		/* the one that ends */
};

/* ---- who handed us a message ---- */

enum standing {
	STANDING_STRANGER = 1,
	STANDING_TRUSTED,		/* the client's network is trusted */
	STANDING_LOGIN,			/* the client logged in */
	STANDING_LOCAL			/* a local uid, by SO_PEERCRED */
};

/* The facts of a message's arrival; stored with it. */
struct w_client {
	uint32_t uid;			/* STANDING_LOCAL: who */
	uint16_t port;
	uint8_t  standing;		/* enum standing */
	uint8_t  family;		/* 0 none, 4 or 6 */
	uint8_t  address[16];		/* network order; IPv4 in the first 4 */
	uint8_t  tls;
	uint8_t  esmtp;			/* greeted with EHLO */
	uint8_t  pad[2];
	char	 listener[WIRE_NAME];	/* "" is the local socket */
	char	 helo[WIRE_DOMAIN];
	char	 login[WIRE_LOGIN];	/* STANDING_LOGIN: who */
};

/* ---- RCPT ---- */

struct w_rcpt_check_req {
	uint64_t session;
	struct w_client client;
	char	 sender[WIRE_ADDRESS];	/* "" is the null path */
	char	 recipient[WIRE_ADDRESS];
};

enum rcpt_verdict {
	RCPT_ACCEPT = 1,
	RCPT_UNKNOWN_USER,		/* 550 5.1.1 */
	RCPT_UNKNOWN_DOMAIN,		/* 550 5.1.2: trusted, but no @ route */
	RCPT_RELAYING_DENIED,		/* 550 5.7.1 */
	RCPT_BAD_ADDRESS,		/* 553 5.1.3 */
	RCPT_REFUSED,			/* reject(): code and text follow */
	RCPT_LOOKUP_FAILED,		/* 451 4.3.0 */
	RCPT_MISCONFIGURED		/* 451 4.3.5: loop, missing section */
};

struct w_rcpt_check_ans {
	uint64_t session;
	uint32_t verdict;		/* enum rcpt_verdict */
	uint32_t code;			/* RCPT_REFUSED: 400 to 599 */
	char	 text[WIRE_VERDICT];	/* RCPT_REFUSED: behind the code */
};

/* ---- TXN ---- */

/* Whether spoold takes mail now. */
struct w_txn_state_ntf {
	uint64_t takes_mail;
	char	 reason[WIRE_TEXT];	/* why not */
};

/* Queue ids that this smtpd alone may use, each once. */
struct w_txn_lease_ntf {
	uint64_t first;
	uint64_t count;
};

enum body_type { BODY_7BIT, BODY_8BITMIME };
enum dsn_ret { RET_NONE, RET_FULL, RET_HDRS };

/* A message begins; id is of the lease. */
struct w_txn_open_ntf {
	uint64_t id;
	int64_t  arrival;
	struct w_client client;
	uint8_t  body;			/* enum body_type */
	uint8_t  ret;			/* enum dsn_ret */
	uint8_t  pad[6];
	char	 sender[WIRE_ADDRESS];
	char	 envid[WIRE_ENVID];	/* as given, xtext; "" none */
};

enum dsn_notify {			/* a set; 0 is "not given" */
	NOTIFY_NEVER	= 1 << 0,
	NOTIFY_SUCCESS	= 1 << 1,
	NOTIFY_FAILURE	= 1 << 2,
	NOTIFY_DELAY	= 1 << 3
};

struct w_txn_rcpt_ntf {
	uint64_t id;
	uint32_t notify;		/* set of enum dsn_notify */
	uint32_t refused;		/* known to be undeliverable: bounce */
	char	 address[WIRE_ADDRESS];
	char	 orcpt[WIRE_ORCPT];	/* as given, type;xtext; "" none */
};

/* A piece of a body too large for its commit frame; the tail is the piece. */
struct w_txn_body_req {
	uint64_t id;
	uint64_t offset;
};

struct w_txn_body_ans {
	uint64_t id;
	uint64_t verdict;		/* enum txn_verdict */
};

/* All is there: store it.  The tail is a small body, whole. */
struct w_txn_commit_req {
	uint64_t id;
	uint64_t size;			/* of the whole body */
};

enum txn_verdict {
	TXN_OK = 1,
	TXN_NO_SPACE,			/* 452 4.3.1 */
	TXN_FAILED			/* 451 4.3.0 */
};

struct w_txn_commit_ans {
	uint64_t id;
	uint64_t verdict;		/* enum txn_verdict */
};

struct w_txn_abort_ntf {
	uint64_t id;
};

/* ---- ROUTE ---- */

/*
 * How is this recipient done now?  With a target, that member of the list
 * found under the address is meant; without one, the address itself.
 */
struct w_route_resolve_req {
	uint64_t id;			/* queue id */
	uint32_t recipient;		/* its row */
	uint32_t skip;			/* targets of its list that earlier
					   answers gave: go on behind them */
	struct w_client client;
	char	 sender[WIRE_ADDRESS];
	char	 address[WIRE_ADDRESS];
	char	 target[WIRE_TARGET];
};

enum route_kind {
	ROUTE_LOCAL = 1,	/* local(): account, extension, domain */
	ROUTE_MAILER,		/* a [pipe] or call of the file, by number */
	ROUTE_TEXT,		/* a call, |program or /file from a table */
	ROUTE_RELAY,		/* hop says where */
	ROUTE_LIST,		/* more targets, in the tail */
	ROUTE_SUPERSEDED,	/* target is gone; the new list, in the tail */
	ROUTE_REFUSE,		/* reject() */
	ROUTE_DISCARD,
	ROUTE_UNKNOWN,		/* no route, or no such user */
	ROUTE_DEFER		/* a look-up failed, or the tables are wrong */
};

/* What kind of worker a delivery needs. */
enum worker_kind {
	WORKER_MAILBOX = 1,	/* full jail: Maildir, files */
	WORKER_MBOX,		/* full jail, group mail: the mail spool */
	WORKER_PROGRAM		/* no jail but the user's own rights */
};

struct w_route_resolve_ans {
	uint64_t id;
	uint32_t recipient;
	uint32_t kind;			/* enum route_kind */
	uint32_t worker;		/* enum worker_kind */
	uint32_t mailer;		/* ROUTE_MAILER: target_number() */
	uint32_t code;			/* ROUTE_REFUSE, _DEFER, _UNKNOWN */
	uint32_t count;			/* targets in the tail */
	uint32_t more;			/* there are more than these */
	uint32_t max_recipients;	/* addresses one run takes; 0, 1: one */
	char	 account[WIRE_LOGIN];	/* who the worker is */
	char	 extension[WIRE_DOMAIN];
	char	 domain[WIRE_DOMAIN];
	char	 address[WIRE_ADDRESS];	/* where the walk ended: the final
					   recipient; a list's place */
	char	 owner[WIRE_ADDRESS];	/* list: new envelope sender, or "" */
	char	 hop[WIRE_TARGET];	/* ROUTE_RELAY: relay(...), lmtp(...) or
					   the name of a [relay] */
	char	 exchange[WIRE_DOMAIN];	/* ROUTE_RELAY: the domain whose mail
					   exchangers are the hosts, or "" */
	char	 text[WIRE_TEXT];	/* ROUTE_TEXT: it; else a reason */
	char	 where[WIRE_PATH];	/* file:line of the line that decided */
};

/*
 * One target of a list, in the tail of a ROUTE or JOB answer: this struct,
 * then length octets of text with its NUL; wire_next_target() walks them.
 */
struct w_target {
	uint32_t length;
	uint32_t kind;			/* enum target_place */
};

enum target_place {
	TARGET_ROUTED = 1,		/* an address or name: route it anew */
	TARGET_MEMBER,			/* a member to be asked for under the
					   list's address with this target */
	TARGET_FORWARD			/* \user, |program, /file of a .forward:
					   a job of that account's worker */
};

struct w_route_explain_req {
	uint64_t id;			/* echoed */
	struct w_client client;
	char	 sender[WIRE_ADDRESS];
	char	 address[WIRE_ADDRESS];
};

/* The tail is text, a step a line.  The rest is where the walk ended. */
struct w_route_explain_ans {
	uint64_t id;
	uint64_t kind;			/* enum route_kind; if ROUTE_RELAY: */
	char	 hop[WIRE_TARGET];
	char	 exchange[WIRE_DOMAIN];
	char	 address[WIRE_ADDRESS];
};

/* ---- USER ---- */

struct w_user_worker_req {
	uint64_t id;			/* spoold's name for the worker */
	uint64_t kind;			/* enum worker_kind */
	char	 name[WIRE_LOGIN];
};

enum user_verdict {
	USER_OK = 1,			/* its link comes with the answer */
	USER_NO_FORK,			/* 4.3.0: no process, no memory */
	USER_BUSY,			/* an older spoold's workers end */
	USER_STUCK			/* one of this name cannot be ended */
};

struct w_user_worker_ans {
	uint64_t id;
	uint64_t verdict;		/* enum user_verdict */
};

struct w_user_kill_ntf {
	uint64_t id;
};

/*
 * Not even SIGKILL ends it: its name and kind get no other for an hour.  Or
 * it is to be killed and was forked by a deliver that died: it gets another.
 */
struct w_user_stuck_ntf {
	uint64_t id;
};

/* A worker was reaped. */
struct w_user_ended_ntf {
	uint64_t id;
	uint32_t status;		/* as wait(2) has it */
	uint32_t pad;
};

/* ---- JOB ---- */

enum job_method {
	JOB_LOCAL = 1,		/* the local mailer, after ~/.forward */
	JOB_MBOX,		/* append to the mail spool; WORKER_MBOX */
	JOB_MAILER,		/* a [pipe] or call, by number */
	JOB_TEXT,		/* a call, |program or /file from a table */
	JOB_FORWARD		/* a line of this user's ~/.forward */
};

/* The body is the tail, or a descriptor of a regular file of size octets. */
struct w_job_deliver_req {
	uint64_t id;			/* queue id */
	uint32_t recipient;		/* its row */
	uint32_t method;		/* enum job_method */
	uint64_t size;
	int64_t  arrival;
	uint32_t mailer;		/* JOB_MAILER */
	uint8_t  fresh;			/* first attempt, no twin can exist */
	uint8_t  body_in_file;
	uint8_t  more_addresses;	/* of the tail, before the body: NUL-
					   terminated further addresses */
	uint8_t  pad;
	uint64_t skip;			/* JOB_LOCAL, JOB_FORWARD: so many
					   targets of ~/.forward are known */
	char	 sender[WIRE_ADDRESS];
	char	 address[WIRE_ADDRESS];	/* final recipient */
	char	 original[WIRE_ADDRESS];	/* as it came in */
	char	 extension[WIRE_DOMAIN];
	char	 domain[WIRE_DOMAIN];
	char	 text[WIRE_TARGET];	/* JOB_TEXT, JOB_FORWARD */
};

enum job_verdict {
	JOB_DONE = 1,
	JOB_DEFERRED,
	JOB_FAILED,
	JOB_EXPANDED,			/* ~/.forward: targets in the tail */
	JOB_NEEDS_PROGRAM,		/* ask a WORKER_PROGRAM */
	JOB_NEEDS_MBOX			/* ask a WORKER_MBOX with JOB_MBOX */
};

struct w_job_deliver_ans {
	uint64_t id;
	uint32_t recipient;
	uint32_t verdict;		/* enum job_verdict */
	uint32_t count;			/* targets in the tail */
	uint16_t twin;			/* was already there */
	uint16_t more;			/* targets follow: ask with skip */
	char	 status[12];		/* enhanced status code, RFC 3463 */
	char	 place[WIRE_PATH];	/* mailbox or program, for the log */
	char	 text[WIRE_TEXT];	/* reason, last output of a program */
};

/* ---- RELAY ---- */

/* One recipient of the transaction that a RELAY_DELIVER_REQ completes. */
struct w_relay_rcpt_ntf {
	uint64_t transaction;
	uint32_t recipient;		/* its row */
	uint32_t notify;
	char	 address[WIRE_ADDRESS];
	char	 orcpt[WIRE_ORCPT];
};

/* The body is the tail, or a descriptor of a regular file of size octets. */
struct w_relay_deliver_req {
	uint64_t transaction;
	uint64_t id;			/* queue id, for the log */
	uint64_t size;
	uint32_t recipients;		/* told before */
	uint8_t  body;			/* enum body_type */
	uint8_t  ret;			/* enum dsn_ret */
	uint8_t  body_in_file;
	uint8_t  pad;
	char	 sender[WIRE_ADDRESS];
	char	 envid[WIRE_ENVID];
	char	 hop[WIRE_TARGET];	/* as w_route_resolve_ans has it */
	char	 exchange[WIRE_DOMAIN];	/* likewise */
};

enum relay_verdict {
	RELAY_DONE = 1,
	RELAY_DEFERRED,
	RELAY_FAILED
};

/* How far an attempt had come when it got its result. */
enum relay_stage {
	STAGE_NONE,			/* not begun: relay's own trouble */
	STAGE_LOOKUP,			/* of the hosts, in DNS */
	STAGE_CONNECT,
	STAGE_GREETING,			/* with EHLO or HELO */
	STAGE_TLS,
	STAGE_LOGIN,
	STAGE_MAIL,
	STAGE_RCPT,
	STAGE_DATA,
	STAGE_MESSAGE			/* the reply to the dot */
};

struct w_relay_result_ntf {
	uint64_t transaction;
	uint32_t recipient;
	uint32_t verdict;		/* enum relay_verdict */
	uint32_t stage;			/* enum relay_stage */
	uint8_t  replied;		/* text is what the server said, else
					   ours */
	uint8_t  dsn;			/* the server took the DSN parameters:
					   it reports what we would */
	uint8_t  brief;			/* not worth more than a day's tries */
	uint8_t  pad[1];
	char	 status[12];
	char	 text[WIRE_TEXT];	/* verbatim reply, or what went wrong */
};

struct w_relay_deliver_ans {
	uint64_t transaction;
	int64_t  closed_until;		/* do not try this hop before; 0 open */
	uint64_t reached;		/* a server answered MAIL: the hop bears
					   this much concurrency */
	char	 host[WIRE_NAME];	/* tried last, as name[address]:port */
	char	 tls[WIRE_NAME];	/* "none", or version, cipher and how
					   the server was known */
};

enum relay_question {
	RELAY_STATE = 1,		/* of the hop: hosts, connections, how
					   long closed and why */
	RELAY_HOSTS,			/* look up: hosts in order, addresses,
					   what TLS would be used */
	RELAY_PROBE			/* connect and go up to RCPT, or QUIT if
					   address is ""; the dialogue */
};

struct w_relay_explain_req {
	uint64_t id;			/* echoed */
	uint64_t question;		/* enum relay_question */
	char	 hop[WIRE_TARGET];
	char	 exchange[WIRE_DOMAIN];
	char	 sender[WIRE_ADDRESS];
	char	 address[WIRE_ADDRESS];
};

/* The tail is text, lines for people. */
struct w_relay_explain_ans {
	uint64_t id;
	uint64_t good;			/* RELAY_PROBE: all was accepted */
};

/* ---- CTL ---- */

enum ctl_filter_state {			/* a set; 0 is all */
	CTL_DEFERRED	= 1 << 0,
	CTL_ACTIVE	= 1 << 1,
	CTL_HELD	= 1 << 2
};

/* Which messages and recipients are meant; "" and 0 are any. */
struct w_ctl_filter {
	uint32_t states;		/* set of enum ctl_filter_state */
	uint32_t pad;
	int64_t  older;			/* microseconds since arrival */
	char	 sender[WIRE_NAME];	/* equal, or @domain */
	char	 recipient[WIRE_NAME];	/* the same */
	char	 domain[WIRE_NAME];	/* of the recipient, or whose mail
					   exchangers it waits for */
	char	 reason[WIRE_NAME];	/* part of the last reason */
};

/* One page of the queue, in the order of ids, behind one. */
struct w_ctl_list_req {
	uint64_t after;
	struct w_ctl_filter filter;
};

struct w_ctl_list_ans {
	uint64_t next;			/* ask behind this; 0: that was all */
	uint64_t messages;		/* in the whole queue */
	uint64_t octets;
	uint32_t count;			/* struct w_ctl_message in the tail, */
	uint32_t pad;			/* each with its w_ctl_recipients */
};

/* In the tail of a list: a message, then its recipients. */
struct w_ctl_message {
	uint64_t id;
	int64_t  arrival;
	uint64_t size;
	uint32_t recipients;		/* struct w_ctl_recipient that follow */
	uint8_t  visible;		/* the asker may see addresses */
	uint8_t  held;
	uint8_t  active;
	uint8_t  pad;
	char	 sender[WIRE_ADDRESS];
};

struct w_ctl_recipient {
	int64_t  next;			/* when it is tried again; 0 is now */
	uint32_t row;
	uint32_t attempts;
	uint32_t state;			/* of enum ctl_filter_state */
	uint32_t pad;
	char	 address[WIRE_ADDRESS];
	char	 reason[WIRE_TEXT];
};

/* One message with all that is known of it; the tail is text. */
struct w_ctl_show_req {
	uint64_t id;
};

struct w_ctl_show_ans {
	uint64_t id;
	uint64_t found;
};

enum ctl_action {
	CTL_RUN = 1,			/* try now; id 0 and no filter: all */
	CTL_HOLD,
	CTL_RELEASE,
	CTL_REMOVE,
	CTL_REROUTE,			/* expand afresh what is not done */
	CTL_AGE,			/* root: make it older by amount */
	CTL_PAUSE,			/* start no attempts */
	CTL_RESUME,
	CTL_CHECK,			/* quick_check and orphan scan */
	CTL_BACKUP,			/* root: a copy of the spool below its
					   backup/, in a new directory that
					   filter.recipient names (one
					   component) */
	CTL_BOUNCE			/* give up now: back to the sender */
};

struct w_ctl_action_req {
	uint64_t id;			/* 0: by filter */
	uint64_t action;		/* enum ctl_action */
	int64_t  amount;		/* CTL_AGE: microseconds */
	struct w_ctl_filter filter;
};

enum ctl_verdict {
	CTL_OK = 1,
	CTL_NO_SUCH,
	CTL_DENIED,
	CTL_TOO_SOON,			/* runq: once in 10 s each */
	CTL_ERROR
};

struct w_ctl_action_ans {
	uint64_t count;			/* messages it was done to */
	uint32_t verdict;		/* enum ctl_verdict */
	uint32_t pad;
	char	 text[WIRE_TEXT];
};

struct w_ctl_explain_req {
	uint64_t pad;
	char	 sender[320];
	char	 address[320];
};

struct w_ctl_explain_ans {
	uint64_t verdict;		/* enum ctl_verdict; the tail is text */
};

struct w_ctl_status_req {
	uint64_t pad;
};

/* The tail is text: key=value, a line each. */
struct w_ctl_status_ans {
	uint64_t verdict;
};

/*
 * A stored message from an offset, as one file: the envelope as header lines,
 * with those recipients that are not done, an empty line, then the message.
 */
struct w_ctl_read_req {
	uint64_t id;
	uint64_t offset;
};

struct w_ctl_read_ans {
	uint64_t verdict;		/* enum ctl_verdict; tail: a piece */
	uint64_t size;			/* of the whole export */
};

/* Why does mail for this domain wait?  The tail is text. */
struct w_ctl_why_req {
	uint64_t pad;
	char	 domain[320];
};

struct w_ctl_why_ans {
	uint64_t verdict;		/* enum ctl_verdict */
};

#define WIRE_AGES	10		/* columns of the table of ages */

/* Waiting recipients by destination and age, a slice of the queue a time. */
struct w_ctl_stats_req {
	uint64_t after;			/* queue id; go on behind it */
};

struct w_ctl_stats_ans {
	uint64_t verdict;		/* enum ctl_verdict */
	uint64_t next;			/* ask behind this; 0: that was all */
	uint64_t count;			/* struct w_ctl_age in the tail */
};

/*
 * Recipients of one domain by the age of their message: younger than 5, 10,
 * 20, 40, 80, 160, 320, 640, 1280 minutes, and older.
 */
struct w_ctl_age {
	uint32_t counts[WIRE_AGES];
	char	 domain[WIRE_DOMAIN];
};

/* Try the hosts of an address up to RCPT, or of a domain up to QUIT. */
struct w_ctl_probe_req {
	uint64_t pad;
	char	 sender[320];
	char	 address[320];		/* user@domain, or a domain */
};

/* The tail is the dialogue. */
struct w_ctl_probe_ans {
	uint64_t verdict;		/* enum ctl_verdict */
	uint64_t good;			/* all was accepted */
};

/* ---- the table ---- */

enum wire_fd { FD_NEVER, FD_ALWAYS, FD_MAYBE };

struct wire_row {
	const char	*name;
	unsigned int	 senders;	/* bit of each enum process */
	unsigned int	 receivers;
	uint32_t	 size;		/* of the struct */
	uint32_t	 tail;		/* octets behind it at the most */
	enum wire_fd	 fd;
	enum imsg_type	 answer;	/* REQ: what answers it */
	uint32_t	 window;	/* REQ: unanswered at the most */
	bool		 id;		/* the first 64 bits may not be 0 */
	const struct wire_string *strings;	/* ends with size 0 */
};

/* A string within a payload. */
struct wire_string {
	uint32_t	 offset;
	uint32_t	 size;
};

/*
 * The row of a type; NULL if there is none.
 */
const struct wire_row	*wire_row(uint32_t);

/*
 * The request that is answered by this type; IMSG_NONE if it answers none.
 */
uint32_t	wire_request(uint32_t);

/*
 * Hold a frame against its row: may sender say this to receiver, is it as
 * long as it must be, does a descriptor come with it exactly if it should,
 * is every string terminated, is the id there if the row wants one.
 * Returns NULL if all is well, else what is wrong, a static string.
 */
const char	*wire_check(enum process, enum process, uint32_t, uint32_t,
		    const void *, size_t, bool);

/*
 * The name of a process or of a message, for the log; never NULL.
 */
const char	*wire_process(enum process);
const char	*wire_name(uint32_t);

/*
 * Walk the targets in a tail.  *tail and *length advance; *text points into
 * the tail.  Returns 1 with the next target, 0 at the end, -1 if malformed.
 */
int	wire_next_target(const void **, size_t *, enum target_place *,
	    const char **);

#endif
