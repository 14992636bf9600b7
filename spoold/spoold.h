/*
 * The queue manager: what its files know of each other.
 *
 * A message and its recipients are rows of the spool's database; those in
 * work, at most a window of them, are objects in memory as well.  What the
 * disk says comes first: nothing here changes before its transaction is on
 * disk, save what can be made again from the rows.
 */
#ifndef SPOOLD_H
#define SPOOLD_H

#include <sys/queue.h>
#include <sys/tree.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "child.h"
#include "link.h"
#include "wire.h"

/* What the macros of <sys/tree.h> expect. */
#define __unused	__attribute__((__unused__))

/* main.c */

/* The settings of [core] that are ours; times in microseconds. */
struct settings {
	int64_t		 retry_min;
	int64_t		 retry_max;
	int64_t		 expire;
	int64_t		 delay_notice;
	int64_t		 bounce_expire;
	int64_t		 disk_reserve;
	int64_t		 window;	/* recipients in work at once */
	char		 bounce_to[WIRE_ADDRESS];	/* "" nobody */
	char		 hostname[WIRE_DOMAIN];
	gid_t		 operators;	/* (gid_t)-1 if there is no group */
};

const struct settings	*settings(void);
const struct conf	*spoold_conf(void);
struct event_base	*spoold_base(void);

/* message.c, recipient.c: the objects */

enum message_kind { MESSAGE_MAIL, MESSAGE_BOUNCE, MESSAGE_NOTICE };

struct finals;
struct known_rows;
struct recipient;
TAILQ_HEAD(recipients, recipient);

struct message {
	RB_ENTRY(message) by_id;
	RB_ENTRY(message) by_fresh;
	uint64_t	 id;
	int64_t		 arrival;
	uint64_t	 size;
	uint64_t	 body_sum;	/* of a body in the database */
	struct w_client	 client;
	enum message_kind kind;
	uint8_t		 body_type;	/* enum body_type */
	uint8_t		 ret;		/* enum dsn_ret */
	bool		 in_file;	/* body/xx/ID, else in the database */
	bool		 known;		/* in the tree of messages in work */
	bool		 fresh;		/* has rows that are stored as new */
	bool		 committed;	/* it is in the database */
	char		*sender;	/* "" is the null path */
	char		*envid;
	char		*body;		/* a small one, if it is in memory */
	uint32_t	 rows;		/* recipients it ever had */
	uint32_t	 routing;	/* of them in memory and not routed */
	uint32_t	 pins;		/* works that still name it */
	struct recipients recipients;	/* those in memory */
	struct recipients gathering;	/* of them: routed to a next hop,
					   not in a transaction yet */
	struct finals	*finals;	/* where its rows ended, or now go;
					   NULL: not looked at yet */
	struct known_rows *known_rows;	/* while a list is expanded, or NULL */
};

/* As in the column state. */
enum stored {
	STORED_NEW,			/* in memory, never tried before */
	STORED_DEFERRED,		/* due at its next time */
	STORED_HELD,
	STORED_DONE,			/* delivered, bounced, superseded */
	STORED_EXPANDED,		/* its children stand for it */
	STORED_MARKED			/* will be removed */
};

enum recipient_state {
	RECIPIENT_OUTSIDE,		/* not in the window */
	RECIPIENT_READY,		/* waits for policyd */
	RECIPIENT_ROUTING,		/* policyd was asked */
	RECIPIENT_ROUTED,		/* waits for its worker or next hop */
	RECIPIENT_OUT,			/* a worker or relay has it */
	RECIPIENT_ENDING		/* its result is being stored */
};

struct route;
struct gate;
struct lane;
struct ending;
struct outcome;

struct recipient {
	TAILQ_ENTRY(recipient) of_message;
	TAILQ_ENTRY(recipient) waiting;	/* with whoever state says */
	struct message	*message;
	enum recipient_state state;
	enum stored	 stored;
	uint32_t	 row;		/* from 1 */
	uint32_t	 parent;	/* row it was expanded from, or 0 */
	uint32_t	 notify;	/* set of enum dsn_notify */
	uint32_t	 attempts;
	uint32_t	 tries;		/* attempts since the clock jumped */
	uint32_t	 epoch;		/* after which jump tries counts */
	uint32_t	 poison;	/* neighbours it died with */
	uint32_t	 place;		/* enum target_place; 0: as it came */
	int64_t		 next;
	bool		 had_route;
	bool		 refused;	/* undeliverable from the start */
	bool		 warned;	/* a delay notice was sent */
	bool		 waits;		/* for its next hop to open */
	/*
	 * The operator has given it up: it fails without another attempt when
	 * it is next taken, or when the one that is out comes back.  Set by
	 * SQL_RECIPIENT_GIVE_UP, which makes the row due now, and by hand in
	 * an object that is OUT or ENDING.
	 */
	bool		 give_up;
	bool		 first_try;	/* no attempt, not even a lost one */
	bool		 gathering;	/* in its message's list of these */
	char		*address;
	char		*target;	/* "" or the list's member */
	char		*original;	/* as it came in */
	char		*account;	/* TARGET_FORWARD: whose list */
	char		*sender;	/* owner of the list, NULL: message's */
	char		*orcpt;
	struct route	*route;
	struct lane	*lane;
	struct gate	*suspect;	/* died with it before */
	uint32_t	 ask;		/* id of the question that is out */
	uint32_t	 skip;		/* targets of its list already stored */
	void		*holder;	/* worker or transaction that has it */
	struct recipients also;		/* that go in the same job */
};

/* Where a recipient goes, as policyd or its .forward said. */
struct route {
	enum route_kind	 kind;
	enum worker_kind worker;
	enum job_method	 method;
	uint32_t	 mailer;
	uint32_t	 max_recipients;
	char		*account;
	char		*extension;
	char		*domain;
	char		*address;	/* final recipient */
	char		*text;		/* JOB_TEXT, JOB_FORWARD; RELAY: hop */
	char		*exchange;	/* RELAY: by whose exchangers, or "" */
	char		*where;		/* file:line that decided, or "" */
};

struct message	*message_new(uint64_t);
void		 message_free(struct message *);
void		 message_release(struct message *);
const char	*message_body(struct message *);
void		 message_take_body(struct message *, char *);
void		 message_spare_body(struct message *);
int		 message_open_body(const struct message *);

struct recipient *recipient_new(struct message *, uint32_t, const char *);
void		 recipient_free(struct recipient *);
void		 recipient_set(struct recipient *, enum recipient_state);
const char	*recipient_sender(const struct recipient *);
void		 route_free(struct route *);

/* final.c: two rows with one of these are the same delivery */

enum claim {
	CLAIM_OURS,
	CLAIM_AWAITED,		/* another row is on its way there */
	CLAIM_ENDED		/* another row has come there */
};

enum claim	 message_claim_final(struct message *, uint32_t, const char *);
void		 message_keep_final(struct message *, uint32_t);
void		 message_forget_final(struct message *, uint32_t);
const char	*message_final(const struct message *, uint32_t);
void		 message_free_finals(struct message *);

/* checksum.c */

uint64_t	 checksum(uint64_t, const void *, size_t);

/* db.c, db_file.c and db_salvage.c: nobody else knows SQLite */

enum sql {
	SQL_BEGIN, SQL_COMMIT, SQL_ROLLBACK,
	SQL_MESSAGE_ADD, SQL_MESSAGE_GET, SQL_MESSAGE_COUNT, SQL_MESSAGE_AGE,
	SQL_MESSAGE_REMOVE, SQL_MESSAGE_PAGE, SQL_MESSAGE_OWNED,
	SQL_MESSAGE_DAMAGED,
	SQL_BODY_ADD, SQL_BODY_GET, SQL_BODY_REMOVE,
	SQL_RECIPIENT_ADD, SQL_RECIPIENT_OF,
	SQL_RECIPIENT_TEXTS, SQL_RECIPIENT_FINALS, SQL_RECIPIENT_DEFER,
	SQL_RECIPIENT_END, SQL_RECIPIENT_STATE, SQL_RECIPIENT_REMOVE,
	SQL_RECIPIENT_UNEXPAND, SQL_RECIPIENT_ORPHAN, SQL_RECIPIENT_WAITING,
	SQL_RECIPIENT_DAMAGED, SQL_RECIPIENT_DROP, SQL_RECIPIENT_CHILDREN,
	SQL_RECIPIENT_REAGE, SQL_RECIPIENT_PUT_OFF, SQL_RECIPIENT_TOTALS,
	SQL_RECIPIENT_GIVE_UP,
	SQL_ATTEMPT_ADD, SQL_ATTEMPT_TRIM, SQL_ATTEMPT_OF, SQL_ATTEMPT_REMOVE,
	SQL_DUE, SQL_DUE_LANE, SQL_DUE_FIRST, SQL_NEW, SQL_LANE_WAITING,
	SQL_MARKED, SQL_DAMAGED_GET, SQL_DAMAGED_COUNT, SQL_BACKUP,
	SQL_SPOOL_GET, SQL_SPOOL_SET, SQL_VACUUM, SQL_CHECK,
	SQL_MAX
};

/* db_file.c: what SQLite writes is gathered */

const char	*db_file_layer(void);
void		 db_file_put_off(bool);

/* db_sql.c: their texts, and the schema as a list of changes */
extern const char *const db_statements[];
extern const char *const db_migrations[];
extern const int	 db_version;

enum db_trouble { DB_FULL, DB_IO, DB_DAMAGED, DB_OTHER };

void		 db_open(void);
void		 db_close(void);
int		 db_run(enum sql, const char *, ...);
int		 db_commit(bool);
int		 db_ask(enum sql, const char *, ...);
int		 db_next(enum sql);
void		 db_end(enum sql);
int64_t		 db_integer(enum sql, int);
bool		 db_is_null(enum sql, int);
const char	*db_text(enum sql, int);
const void	*db_blob(enum sql, int, size_t *);
bool		 db_in_transaction(void);
enum db_trouble	 db_trouble(void);
const char	*db_why(void);
int64_t		 db_wal_size(void);
int		 db_checkpoint(void);
int		 db_execute(const char *);
int64_t		 db_number(const char *);
void		 db_drop(void);
void		 db_create(void);
struct sqlite3	*db_handle(void);

/* db_salvage.c: what can be read of a damaged database */

void		 db_salvage(const char *);

/* repair.c: the damaged one is set aside, a fresh one takes its place */

#define DB_NAME		"spool.db"
#define WAL_NAME	DB_NAME "-wal"

void		 repair_ask(void);
bool		 repair_is_due(void);
void		 repair_take_back(void);
void		 repair(void);

/* ledger.c: the row that is the spool's own */

struct totals {
	int64_t		 messages;
	int64_t		 octets;
	int64_t		 deferred;	/* recipients */
	int64_t		 held;
};

void		 ledger_start(void);
const struct totals *ledger_totals(void);
uint32_t	 ledger_epoch(void);
void		 ledger_clock_jumped(void);
uint64_t	 ledger_take_ids(uint32_t);
void		 ledger_set_low(uint64_t);
uint64_t	 ledger_low(void);
uint64_t	 ledger_high(void);
bool		 ledger_needs_batch(void);
int		 ledger_finish_batch(void);
void		 ledger_end_batch(bool);
void		 ledger_count(int64_t, int64_t, int64_t, int64_t);
int		 ledger_recount(void);

/* store.c: messages and recipients as rows */

int		 store_add_message(struct message *);
int		 store_add_recipient(struct recipient *, enum stored);
int		 store_remove_message(const struct message *, bool);
struct message	*store_message(enum sql);
struct message	*store_load_message(uint64_t);
int		 store_age_message(const struct message *, int64_t);
void		 store_uncount(const struct recipient *);
int		 store_count_rows(uint64_t, int);
int		 store_load_body(struct message *);
struct recipient *store_recipient(enum sql, struct message *);
bool		 store_row_waits(enum sql);
struct ending;
int		 store_defer(const struct ending *);
int		 store_end(const struct ending *);
int		 store_attempt(const struct ending *);
int		 store_left(const struct message *, uint32_t, uint32_t,
		    uint32_t *, uint32_t *);

/* damage.c: rows that cannot be believed */

void		 damage_note(uint64_t, uint32_t, const char *);

/* batch.c */

struct work {
	TAILQ_ENTRY(work) entry;
	/* Before the transaction: make files durable.  NULL: nothing. */
	int		(*prepare)(struct work *);
	/* Within it: rows only; 0, or -1 if the database refused. */
	int		(*run)(struct work *);
	/* When it is on disk, 0, or is not, -1. */
	void		(*done)(struct work *, int);
	size_t		 weight;	/* octets it brings */
	bool		 must;		/* tried again until it succeeds */
	bool		 may_wait;	/* others may be run before done() */
};

/* So long does a slice of what can wait hold up the mail of its batch. */
#define SLICE_TIME	(SECOND / 200)

void		 batch_start(void);
void		 batch_add(struct work *);
bool		 batch_stalled(void);
bool		 batch_idle(void);
bool		 batch_is_long(void);
void		 batch_finish(void);
void		 batch_die(const char *) __attribute__((noreturn));

/* syncer.c: the processes that sync the log */

#define SYNCERS	3

void		 syncer_fork(const struct child *);
void		 syncer_start(void (*)(unsigned int));
void		 syncer_took(int64_t);
bool		 syncer_is_worth_it(void);
int64_t		 syncer_mean(void);
void		 syncer_begin(unsigned int);
void		 syncer_wait(unsigned int);

/* body.c: large bodies as files */

struct body_file {
	int		 fd;
	uint64_t	 id;
	uint64_t	 size;
	uint64_t	 flushing;	/* write-back was begun up to here */
};

void		 body_make_directories(void);
int		 body_create(struct body_file *, uint64_t);
int		 body_write(struct body_file *, const void *, size_t);
int		 body_sync(struct body_file *);
int		 body_sync_directories(void);
void		 body_close(struct body_file *);
void		 body_remove(uint64_t);
int		 body_open(uint64_t);
bool		 body_scan_slice(bool *);
void		 body_scan_start(void);

/* lease.c: queue ids, never used twice */

struct lease {
	uint64_t	 first;
	uint64_t	 used[WIRE_LEASE / 64];	/* a bit an id */
	uint32_t	 left;		/* not yet used */
};

void		 lease_start(void);
uint64_t	 lease_own(void);
void		 lease_new(void (*)(void *, uint64_t), void *);
int		 lease_use(struct lease *, size_t, uint64_t);

/* txn.c: the links to smtpd */

extern const struct link_role smtpd_role;
void		 smtpd_up(struct child *, struct link *,
		    const struct w_start_peer_ntf *);
void		 smtpd_lost(struct child *, struct link *);
void		 txn_tell_state(bool, const char *);
bool		 txn_has_file(uint64_t);

/* queue.c: the window */

void		 queue_start(void);
void		 queue_add(struct message *);
void		 queue_add_fresh(struct message *);
void		 queue_update_low(void);
bool		 queue_reserve(uint32_t);
void		 queue_unreserve(uint32_t);
bool		 queue_has_room(void);
void		 queue_expect(struct message *);
void		 queue_enter(struct message *);
void		 queue_take(struct recipient *);
void		 queue_forget(struct message *);
void		 queue_leave(struct recipient *);
struct message	*queue_find(uint64_t);
struct recipient *queue_find_recipient(uint64_t, uint32_t);
void		 queue_pause(bool);
bool		 queue_may_try(void);
void		 queue_wake(void);
size_t		 queue_size(void);
bool		 queue_is_paused(void);

/* fetch.c: what enters it from the database */

void		 fetch_start(void);
bool		 fetch_some(int64_t);
bool		 fetch_wants_room(void);
uint64_t	 fetch_low(void);
void		 queue_due_at(int64_t);
void		 queue_rescan(void);
void		 queue_flush(void);
void		 queue_tick(int64_t);
int64_t		 queue_next_of_row(enum sql);

/* pace.c: pure; how much a next hop bears */

/* At most count in any time; count 0 is no limit. */
struct rate {
	int64_t		 count;
	int64_t		 time;
};

struct pace {
	uint32_t	 allowed;	/* transactions at a time */
	bool		 proven;	/* the last one reached a server */
};

void		 pace_start(struct pace *, uint32_t);
void		 pace_reached(struct pace *, uint32_t);
void		 pace_failed(struct pace *);
void		 pace_probe(struct pace *);
int64_t		 rate_opens(const struct rate *, int64_t);
int64_t		 rate_take(const struct rate *, int64_t, int64_t);

/* limits.c: what the configuration says of next hops, by their text */

struct hop_limits {
	uint32_t	 connections;	/* transactions at a time */
	uint32_t	 recipients;	/* of a transaction */
	struct rate	 rate;		/* of transactions */
	char		 section[WIRE_NAME];	/* that has the rate */
	bool		 is_unix;	/* its hosts are Unix sockets */
};

void		 limits_of(const char *, struct hop_limits *);
bool		 limits_is_lmtp(const char *);

/* lane.c: a next hop or a user that mail waits for */

struct cursor;
struct transaction;
TAILQ_HEAD(transactions, transaction);

struct lane {
	RB_ENTRY(lane)	 entry;
	TAILQ_ENTRY(lane) ready;	/* has transactions that may go */
	TAILQ_ENTRY(lane) behind;	/* more wait in the database */
	/*
	 * What people and the column lane are shown: the hop, or "EXCHANGE by
	 * HOP", or "user NAME".
	 */
	char		*text;
	char		*hop;		/* as in struct route; "" a user */
	char		*exchange;	/* likewise; "" none */
	uint32_t	 count;		/* recipients in the window */
	bool		 backlog;	/* more wait in the database */
	bool		 is_ready;
	/*
	 * Rows of it in the database may wait for it to open, whatever their
	 * own time: when it does, it goes through them.
	 */
	bool		 asleep;
	TAILQ_ENTRY(lane) sleeping;
	struct cursor	*flush;		/* it goes through its rows, or NULL */
	bool		 flush_all;	/* in a run of the queue; else through
					   those that wait for it to open */
	int64_t		 closed_until;
	/* Why it is closed: what its last try ended with. */
	char		*reason;
	char		*host;
	char		 status[12];
	enum relay_stage stage;
	bool		 replied;
	bool		 brief;
	struct transactions waiting;
	uint32_t	 waiting_count;	/* transactions */
	uint32_t	 out;		/* transactions at relay */
	struct pace	 pace;
	struct hop_limits limits;
	int64_t		 rate_until;	/* see rate_take(); monotonic */
};

struct lane	*lane_find(const char *);
struct lane	*lane_of_route(const struct route *);
bool		 lane_join(struct recipient *, struct lane *);
struct lane	*lane_of_text(const char *);
uint32_t	 lane_concurrency(const struct lane *);
bool		 lane_is_closed(const struct lane *);
void		 lane_close(struct lane *, int64_t, const struct ending *);
void		 lane_set_backlog(struct lane *, bool);
void		 lane_set_asleep(struct lane *, bool);
struct lane	*lane_next_asleep(const struct lane *);
bool		 lane_may_wake(const struct lane *, int64_t);
void		 lane_leave(struct recipient *);
void		 lane_open(struct lane *);
void		 lane_open_all(void);
struct lane	*lane_next_backlog(bool);
uint32_t	 lane_room(const struct lane *);
void		 lane_why(const struct lane *, char *, size_t);
int64_t		 lane_turn(const struct lane *, int64_t);
void		 lane_configure(void);
void		 lane_prune(int64_t);
size_t		 lane_count_closed(int64_t);

/*
 * For the operator.  A lane is of a domain if its hosts are that domain's
 * mail exchangers, if its hop's text names it, or if a recipient in memory
 * that waits in it has that domain; "" is all.  lane_next_of() begins with
 * NULL.  lane_describe() prints lines of two blanks, a word and what it is.
 */
struct lane	*lane_next_of(const struct lane *, const char *);
size_t		 lane_open_matching(const char *);
void		 lane_describe(const struct lane *, FILE *);

/* gate.c: what kills a neighbour goes through alone */

struct gate {
	uint32_t	 out;
	uint32_t	 suspects;
	bool		 dying;
	int64_t		 sent;		/* monotonic: the last, of suspects */
	unsigned int	 doubled;	/* how often the patience was */
};

bool		 gate_open(const struct gate *);
bool		 gate_any_suspect(void);
void		 gate_sent(struct gate *);
void		 gate_answered(struct gate *, struct recipient *);
bool		 gate_lost(struct gate *, struct recipient *, bool);
void		 gate_clear(struct recipient *);

/* attempt.c: where it goes now */

extern const struct link_role policyd_role;
void		 policyd_up(struct child *, struct link *,
		    const struct w_start_peer_ntf *);
void		 attempt_start(void);
void		 attempt_begin(struct recipient *);
void		 attempt_dispatch(struct recipient *);
void		 attempt_withdraw(struct recipient *);
void		 attempt_pump(void);
void		 attempt_poisoned(struct recipient *);
struct ending	*attempt_wait(struct outcome *, struct recipient *);
uint32_t	 ask_route_explain(const struct w_route_explain_req *, void *);

/* expand.c: one row becomes several */

/* The reason of a row that its list no longer leads to. */
#define SUPERSEDED	"superseded by a new list"

struct child_row {
	enum target_place place;
	char		*text;
};

struct expansion {
	struct child_row *rows;
	size_t		 count;
	char		*found_under;	/* the address of members */
	char		*account;	/* of .forward lines */
	char		*owner;		/* new sender, or NULL */
	bool		 replaces;	/* the old list's rows are gone */
	struct recipients added;	/* made within the transaction */
	uint32_t	 added_count;
	bool		 is_loop;	/* led back to itself, not elsewhere */
	bool		 goes_on;	/* the list has more: the row stays */
	bool		 was_run;	/* in a transaction, whatever came */
};

struct expansion *expansion_of(struct recipient *, const struct frame *,
		    uint32_t, bool, const char *, const char *);
void		 expansion_end(struct recipient *, struct expansion *,
		    const char *, const char *);
void		 expansion_free(struct expansion *);
void		 expansion_forget_known(struct message *);
const char	*expansion_action(const struct expansion *,
		    const struct recipient *);
int		 expansion_store(struct expansion *, const struct recipient *,
		    uint32_t, enum stored);

/* ending.c: how it ended, of one recipient */

enum ending_kind {
	ENDING_DELIVERED, ENDING_RELAYED, ENDING_EXPANDED, ENDING_DUPLICATE,
	ENDING_FAILED, ENDING_DEFERRED, ENDING_POISON, ENDING_PUT_BACK
};

struct ending {
	TAILQ_ENTRY(ending) entry;
	struct recipient *recipient;
	enum ending_kind kind;
	char		 status[12];
	char		*text;
	char		*where;		/* mailbox, or host of the relay */
	int64_t		 not_before;	/* DEFERRED, PUT_BACK: or later */
	int64_t		 next;
	bool		 waited;	/* DEFERRED: it was not tried, its
					   next hop was; no attempt of its */
	bool		 again;		/* waited, and had waited before */
	char		 why[64];	/* why it waits till next */
	bool		 expired;
	bool		 warn;		/* send a delay notice */
	bool		 attempted;	/* a worker or a next hop had it */
	bool		 replied;	/* text is what a server said */
	bool		 brief;		/* not worth more than a day's tries */
	bool		 dsn;		/* the next hop reports on it */
	enum relay_stage stage;		/* how far relay came */
	char		*tls;		/* what protected it, "" not relayed */
	struct expansion *expansion;
	enum stored	 stored;	/* what its row becomes */
};
TAILQ_HEAD(endings, ending);

void		 ending_decide(struct ending *, int64_t);
bool		 ending_is_over(const struct ending *);
void		 ending_log(const struct ending *);
void		 ending_free(struct ending *);

/* outcome.c: what ended at once of one message, and what follows */

struct outcome;
struct outcome	*outcome_new(struct message *);
struct ending	*outcome_add(struct outcome *, struct recipient *,
		    enum ending_kind, const char *, const char *, const char *);
struct ending	*outcome_finish_relay(struct outcome *, const char *,
		    const char *, int64_t);
void		 outcome_store(struct outcome *);
void		 outcome_one(struct recipient *, enum ending_kind,
		    const char *, const char *, const char *);

/* retry.c: pure */

struct retry_facts {
	int64_t		 now;
	int64_t		 arrival;
	uint32_t	 attempts;	/* with the one that just failed */
	uint32_t	 tries;		/* the same since the clock jumped */
	bool		 is_bounce;
	bool		 is_brief;	/* it will hardly change */
	int64_t		 opens;		/* retry_look(): its next hop */
	uint32_t	 random;	/* retry_next() */
};

int64_t		 retry_next(const struct settings *,
		    const struct retry_facts *);
int64_t		 retry_look(const struct settings *,
		    const struct retry_facts *);
bool		 retry_expired(const struct settings *,
		    const struct retry_facts *);
bool		 retry_warn_due(const struct settings *,
		    const struct retry_facts *);

/* sentence.c: pure; what befell a recipient, for people */

struct sentence_facts {
	bool		 relayed;	/* a next hop's, else a worker's */
	bool		 replied;	/* text is a server's reply */
	bool		 expired;
	bool		 given_up;	/* by the operator; text "": untried */
	enum relay_stage stage;
	const char	*status;
	const char	*text;
	const char	*host;		/* name[address]:port, or "" */
	const char	*address;
	int64_t		 waited;	/* expired: for so long */
};

void		 sentence_of(const struct sentence_facts *, char *, size_t);
const char	*sentence_advice(const struct sentence_facts *);

/* bounce.c: the text of a report */

enum report_kind {
	REPORT_FAILED, REPORT_DELAYED, REPORT_SUCCESS, REPORT_KINDS
};

struct bounce_item {
	const char	*address;	/* final recipient; may be bare */
	const char	*orcpt;		/* "" none */
	const char	*action;	/* failed, delayed, delivered, ... */
	struct sentence_facts facts;
	int64_t		 until;		/* delayed: given up then */
};

struct bounce_report {
	enum report_kind kind;
	uint64_t	 id;		/* of the report */
	const char	*hostname;
	const char	*to;
	uint64_t	 about;		/* queue id of the message */
	const char	*envid;
	const char	*from_mta;	/* that sent it by SMTP, or "" */
	int64_t		 arrival;
	int64_t		 now;
	const struct bounce_item *items;
	size_t		 count;
	const char	*original;	/* as much of it as there is */
	size_t		 original_length;
	uint64_t	 original_size;	/* of all of it */
	bool		 whole;		/* return all of it, if it fits */
};

char		*bounce_compose(const struct bounce_report *, size_t *);
bool		 bounce_is_automatic(const char *, size_t);

/* notice.c: reports as messages of our own */

struct message	*notice_make(struct message *, const struct endings *,
		    enum report_kind);

/* user.c: workers that are users */

struct worker;
extern const struct link_role deliver_role;
extern const struct link_role worker_role;
void		 deliver_up(struct child *, struct link *,
		    const struct w_start_peer_ntf *);
void		 user_give(struct recipient *);
void		 user_withdraw(struct recipient *);
void		 user_take_back(struct recipient *);
void		 worker_answered(struct worker *, struct recipient *);
void		 worker_lost(struct worker *, struct recipient *, bool);
void		 user_tick(int64_t);
void		 user_pump(void);
size_t		 user_count(void);

/* job.c: one delivery */

int		 ask_job_deliver(struct link *, struct recipient *);
void		 on_job_deliver_ans(struct link *, struct frame *, void *);

/* hop.c: transactions with relay */

extern const struct link_role relay_role;
void		 hop_give(struct recipient *);
void		 hop_gather(struct message *);
void		 hop_withdraw(struct recipient *);
void		 hop_pump(void);
void		 hop_configure(void);
bool		 hop_has_domain(const struct lane *, const char *);

/* relays.c: which of relay's workers has a hop */

struct gate	*relays_gate(const struct link *);
struct link	*relays_link(const struct lane *);
void		 relay_up(struct child *, struct link *,
		    const struct w_start_peer_ntf *);
void		 relay_lost(struct child *, struct link *);
void		 on_relay_explain_ans(struct link *, struct frame *, void *);

/*
 * Ask the relay that has this next hop; arg comes back with the answer, by
 * control_relay_answer().  Returns -1 if it cannot be asked now.  Who gives
 * up waiting says so with relay_explain_forget().
 */
int		 ask_relay_explain(const struct w_relay_explain_req *, void *);
void		 relay_explain_forget(const void *);

/* reserve.c: whether there is room for mail */

void		 reserve_start(void);
void		 reserve_tick(int64_t);
void		 reserve_trouble(const char *);
bool		 reserve_takes_mail(const char **);

/* careful.c: the message that kills spoold itself */

void		 careful_start(void);
void		 careful_touch(uint64_t);
bool		 careful_tick(int64_t);
bool		 careful_is_on(void);
void		 careful_end(void);

/* idle.c: what can wait */

void		 idle_start(void);
void		 idle_tick(int64_t);
void		 idle_busy(void);
void		 idle_check(char *, size_t);

/* control.c: the operator's socket */

struct inquiry;
struct sweep;

struct client {
	TAILQ_ENTRY(client) entry;
	struct link	*link;
	uint32_t	 uid;
	bool		 is_operator;	/* root, or of the operators' group */
	int64_t		 deadline;	/* monotonic */
	uint32_t	 question;	/* id of what is being answered, or 0 */
	struct inquiry	*inquiry;	/* what others are asked for it */
	struct sweep	*sweep;		/* an action that takes some turns */
};

void		 control_listener(struct child *, int,
		    const struct w_start_listener_ntf *);
void		 control_tick(int64_t);
void		 control_stop(void);
bool		 client_owns(const struct client *, const struct message *);
void		 client_answer(struct client *, enum imsg_type, const void *,
		    const void *, size_t);

/* control_inquiry.c: what others must answer */

void		 inquiry_explain(struct client *,
		    const struct w_ctl_explain_req *);
void		 inquiry_why(struct client *, const struct w_ctl_why_req *);
void		 inquiry_probe(struct client *,
		    const struct w_ctl_probe_req *);
void		 inquiry_forget(struct client *);
void		 inquiry_tick(struct client *, int64_t);
void		 on_route_explain_ans(struct link *, struct frame *, void *);

/*
 * relay has answered what was asked with arg: good is as in struct
 * w_relay_explain_ans, text of that length is lines for people.  text is
 * NULL if relay died of it or before it.
 */
void		 control_relay_answer(void *, bool, const char *, size_t);

/* control_list.c: what is in the queue */

void		 list_page(struct client *, const struct w_ctl_list_req *);
void		 list_status(struct client *);

/* control_show.c: one message in full */

void		 show_message(struct client *, uint64_t);

/* control_stats.c: what waits, by destination and age */

void		 stats_page(struct client *, uint64_t);

/* control_export.c: a message as one file */

void		 export_read(struct client *, const struct w_ctl_read_req *);

/* control_filter.c: which messages and rows a filter means */

bool		 filter_is_empty(const struct w_ctl_filter *);
bool		 filter_is_private(const struct w_ctl_filter *);
bool		 filter_wants_message(const struct w_ctl_filter *,
		    const struct message *, int64_t);
bool		 filter_wants_row(const struct w_ctl_filter *, uint32_t);
uint32_t	 filter_state_of_row(uint64_t);

/* control_action.c: what the operator changes */

void		 action_begin(struct client *,
		    const struct w_ctl_action_req *);
void		 action_forget(struct client *);

/* control_change.c: what that does to one message */

/* A row that was changed, to be followed in memory; row 0 is all of them. */
struct change {
	uint64_t	 id;
	uint32_t	 row;
	enum stored	 stored;
	struct lane	*lane;		/* to be opened, or NULL */
};

struct sweep {
	struct work	 work;
	struct client	*client;	/* NULL when it has gone */
	struct w_ctl_action_req request;
	uint32_t	 uid;
	bool		 is_operator;
	uint64_t	 cursor;	/* looked at up to here */
	uint64_t	 next_cursor;
	uint64_t	 count;		/* messages it was done to */
	uint64_t	 slice_count;
	bool		 at_end;
	bool		 is_busy;	/* one could not be changed just now */
	struct change	*changes;
	size_t		 change_count;
	size_t		 change_size;
};

int		 change_message(struct sweep *, uint64_t);
void		 change_follow(struct sweep *);

/* backup.c: a copy of the spool; -1 with why, of that size */

int		 backup_make(const char *, char *, size_t);

/* purge.c: what was marked for removal goes, behind */

void		 purge_start(void);
void		 purge_wake(void);

#endif
