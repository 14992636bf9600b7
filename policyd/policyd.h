/*
 * policyd decides: is this recipient accepted from this client, and where
 * does it go now.  It reads tables, aliases and the account database, speaks
 * no SMTP and touches no mail.
 */
#ifndef POLICYD_H
#define POLICYD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "account.h"
#include "address.h"
#include "aliases.h"
#include "conf.h"
#include "link.h"
#include "target.h"
#include "wire.h"

struct child;
struct child_peer;

/* lines.c: one file's worth of a table, by left sides */

/* One line, its targets parsed. */
struct line {
	const char	*left;		/* the conf's */
	struct target	*targets;
	size_t		 count;		/* 0: the line has a mistake */
	struct conf_place place;
	bool		 main;		/* stands in postmaster.cf itself */
};

struct lines {
	struct line	*entries;	/* in the order of left, without case */
	size_t		 count;
	const char	**domains;	/* of left sides, in that order too */
	size_t		 domain_count;
};

/*
 * Compile the lines of a section, which must outlive the result.  A left side
 * or target that makes no sense is complained of to the conf; the first is
 * left out, the second leaves its line without targets.  Never NULL.
 */
struct lines	*lines_compile(struct conf *, const struct conf_section *,
		    bool);
void		 lines_free(struct lines *);
const struct line *lines_find(const struct lines *, const char *);
bool		 lines_name_domain(const struct lines *, const char *);

/* settings.c: what the configuration says, apart from its routes */

enum local_mailer { LOCAL_MBOX, LOCAL_MAILDIR, LOCAL_PIPE };

struct listener {
	const char	*name;		/* "" is the local socket */
	const char	**tables;	/* to ask before the unnamed one */
	size_t		 table_count;
	bool		 bare_names;	/* local-rcpt-to */
};

struct settings {
	struct conf	*conf;		/* borrowed */
	char		*hostname;
	char		*mail_name;	/* completes bare names */
	char		**domains;	/* local-domains */
	size_t		 domain_count;
	const char	*separators;	/* extension-separator; "" none */
	const char	*root_mail;
	uid_t		 min_uid;
	char		*program_user;
	const char	*alias_file;	/* NULL: none */
	enum local_mailer local_mailer;
	const char	*local_pipe;	/* LOCAL_PIPE: the section's name */
	struct listener	*listeners;
	size_t		 listener_count;
	bool		 rootless;	/* there is only this account: */
	uid_t		 uid;
};

/*
 * Read the settings.  Reads /etc/mailname and the interfaces' addresses if
 * local-domains is not set, so it belongs before the jail.
 */
struct settings	*settings_new(struct conf *, const char *);
void		 settings_free(struct settings *);
bool		 settings_is_local(const struct settings *, const char *);

/*
 * The [relay] of that name, which a route can lead to; NULL if there is none.
 * "*" is none.
 */
struct conf_section	*settings_hop(const struct settings *, const char *);

/*
 * The listener of that name, NULL if it is gone.
 */
const struct listener *settings_listener(const struct settings *,
		    const char *);

/* What the pure core asks of the outside; tables.c is the real one. */

enum find { FIND_NONE, FIND_HIT, FIND_FAILED };

struct who {
	char	name[WIRE_LOGIN];	/* as the database has it */
	uid_t	uid;
};

struct world {
	void	*context;
	/* The line of a left side in a table; "" is the unnamed one. */
	enum find	(*line)(void *, const char *, const char *,
			    const struct line **);
	/* Does any left side of the table name this domain? */
	enum find	(*domain)(void *, const char *, const char *);
	enum find	(*alias)(void *, const char *, const struct alias **);
	enum find	(*include)(void *, const char *,
			    const struct alias_list **);
	enum account_result (*account)(void *, const char *, struct who *);
	/* Why the last look-up failed: for the log, valid until the next. */
	const char	*(*failure)(void *);
};

/* walk.c: from an address or name, step by step, to what it leads to */

#define WALK_STEPS	64		/* of one path */

/* Where an address was found: the steps of the order of look-up. */
enum step {
	STEP_NONE,
	STEP_EXACT,		/* l+e@d */
	STEP_BASE,		/* l@d */
	STEP_USER,		/* l+e@, l@ */
	STEP_DOMAIN,		/* @d */
	STEP_NAME,		/* the name l+e, or postmaster */
	STEP_DEFAULT		/* @ */
};

enum domain_class { DOMAIN_FOREIGN, DOMAIN_LOCAL, DOMAIN_RELAYED,
	DOMAIN_LISTED, DOMAIN_UNSURE };

enum fault {
	FAULT_NONE,
	FAULT_USER,		/* no such user: 5.1.1 */
	FAULT_DOMAIN,		/* no route for this domain: 5.1.2 */
	FAULT_LOOKUP,		/* 4.3.0 */
	FAULT_LOOP,		/* 4.3.5 */
	FAULT_CONFIG		/* 4.3.5 */
};

/* One of several targets, borrowed from a line or alias. */
struct member {
	const struct target *target;
	const char	*file;
	int		 line;
	bool		 main;		/* of postmaster.cf itself */
	bool		 alias;		/* of the alias file or an include */
	bool		 included;	/* of an include: only addresses */
};

/* What was decided; ROUTE_LIST: members stand in the walk. */
struct decision {
	enum route_kind	 kind;
	enum fault	 fault;
	enum worker_kind worker;
	uint32_t	 mailer;
	uint32_t	 code;
	uint32_t	 max_recipients;
	char		 account[WIRE_LOGIN];
	char		 extension[WIRE_DOMAIN];
	char		 domain[WIRE_DOMAIN];
	char		 address[WIRE_ADDRESS];
	char		 owner[WIRE_ADDRESS];
	char		 hop[WIRE_TARGET];
	char		 exchange[WIRE_DOMAIN];
	char		 text[WIRE_TEXT];
	char		 where[WIRE_PATH];
};

typedef void	(*trace_fn)(void *, const char *);

struct walk {
	const struct world *world;
	const struct settings *settings;
	const struct listener *listener;	/* NULL: no table of its own */
	trace_fn	 trace;			/* may be NULL */
	void		*trace_context;
	bool		 strange;	/* system accounts are closed */

	/* where the first address was found */
	enum step	 first_step;
	enum domain_class first_class;

	/* where we are */
	struct address	 here;		/* the last address */
	char		 user[ADDRESS_LOCAL_MAX + 1];	/* in it, or a name */
	char		 where[WIRE_PATH];	/* file:line that led here */
	bool		 is_named;	/* by a line or alias, on its left or
					   right: not by the sender alone */
	bool		 used_root_mail;
	bool		 from_member;	/* no address since walk_member() */
	const struct target *last;	/* the target followed last */
	struct {
		bool	name;
		char	text[WIRE_ADDRESS];
	}		 path[WALK_STEPS];
	size_t		 depth;

	/* the targets we have come to */
	char		 under[WIRE_ADDRESS];	/* what leads to them */
	const struct alias *alias;	/* whose they are, or NULL */
	struct member	*members;
	size_t		 member_count;
	size_t		 member_room;

	/* where to go next */
	struct address	 next_address;
	char		 next_name[ADDRESS_LOCAL_MAX + 1];
};

/* What must be put back before another member of a list is followed. */
struct walk_mark {
	struct address	 here;
	char		 user[ADDRESS_LOCAL_MAX + 1];
	char		 under[WIRE_ADDRESS];
	char		 where[WIRE_PATH];
	const struct alias *alias;
	size_t		 depth;
	bool		 is_named;
	bool		 used_root_mail;
};

/*
 * Begin on behalf of a listener; "" is the local socket, one that is gone
 * means the unnamed table.
 */
void	walk_start(struct walk *, const struct world *,
	    const struct settings *, const char *);
void	walk_end(struct walk *);

/*
 * Follow an address, bare names included, to a decision.
 */
void	walk_address(struct walk *, const struct address *,
	    struct decision *);

/*
 * Follow one member.  The caller has taken the list with walk_take_members()
 * and puts the walk back to where the list stood before the next one.
 */
void	walk_member(struct walk *, const struct member *, struct decision *);
struct member *walk_take_members(struct walk *, size_t *);
void	walk_mark(const struct walk *, struct walk_mark *);
void	walk_return(struct walk *, const struct walk_mark *);

/*
 * Is this name on the path, so that it means the account itself?
 */
bool	walk_has_name(const struct walk *, const char *);

/*
 * The steps of a walk, for the files that make it up.  Each goes one step and
 * says where to go next; NEXT_DONE: the decision is made.
 */
enum next { NEXT_DONE, NEXT_ADDRESS, NEXT_NAME, NEXT_MEMBERS };

/* A user part with and without its extension. */
struct variants {
	char	full[ADDRESS_LOCAL_MAX + 1];
	char	base[ADDRESS_LOCAL_MAX + 1];
	char	extension[ADDRESS_LOCAL_MAX + 1];
	bool	two;			/* base differs from full */
};

void	walk_split(const struct walk *, const char *, struct variants *);

/*
 * The path: is an address (or a name) on it; put one there.  Returns 0, or
 * -1 with the decision filled if it has become too long.
 */
bool	walk_on_path(const struct walk *, const char *, bool);
int	walk_push(struct walk *, const char *, bool, struct decision *);

/* walk_address.c */

/*
 * Go where the line of this left side leads, if there is one.
 */
enum find	walk_try_left(struct walk *, const char *, struct decision *);
enum next	walk_at_address(struct walk *, struct decision *);

/*
 * The class of a domain, by the tables of this walk.
 */
enum domain_class walk_class(struct walk *, const char *);

/* walk_name.c */

enum next	walk_at_name(struct walk *, struct decision *);

/*
 * The account of a user part, by the default local mailer or by a [pipe].
 * again: the name was on the path, so that it must be an account.
 */
enum next	walk_at_account(struct walk *, const struct variants *, bool,
		    const struct conf_section *, struct decision *);

/* members.c: the targets of a line or alias, laid out flat */

/*
 * Make the walk's members those of a line, or of an alias with what it
 * includes.  Returns 0, or -1 with the decision filled.
 */
void	members_of_line(struct walk *, const struct line *);
int	members_of_alias(struct walk *, const struct alias *,
	    struct decision *);

/* decide.c: the ends of a walk */

/*
 * Print a line of the walk for people.
 */
void	walk_trace(const struct walk *, const char *, ...)
	    __attribute__((format(printf, 2, 3)));

/*
 * Fill a decision that ends the walk badly.
 */
void	decide_fault(struct walk *, struct decision *, enum fault,
	    const char *, ...) __attribute__((format(printf, 4, 5)));

/*
 * Decide for what needs no more look-ups of routes: a call, a section, a
 * host, a program, a file.
 */
void	decide_delivery(struct walk *, struct decision *,
	    const struct target *, bool);
void	decide_pipe(struct walk *, struct decision *,
	    const struct conf_section *, const struct who *, const char *);
void	decide_relay(struct walk *, struct decision *, const char *);
void	decide_reject(struct walk *, struct decision *, const char *);
void	decide_discard(struct walk *, struct decision *);
void	decide_local(struct walk *, struct decision *, const struct who *,
	    const char *);
void	decide_spool(struct walk *, struct decision *, const struct who *);

/* route.c: the questions of spoold, as values */

struct question {
	const struct w_client *client;
	const char	*sender;
	const char	*address;
	const char	*target;	/* "" the address itself */
	uint32_t	 skip;		/* targets of a list that are had */
};

/* Targets for the tail of an answer. */
struct route_targets {
	char		*octets;	/* struct w_target and text, each */
	size_t		 length;
	size_t		 room;
	uint32_t	 count;
	bool		 more;
};

/*
 * Decide how a recipient is done now.  Targets are filled for a list; free
 * ->octets.
 */
void	route_resolve(const struct world *, const struct settings *,
	    const struct question *, struct decision *,
	    struct route_targets *);

/* judge.c: may this client name this recipient */

/*
 * Set verdict, code and text of the answer; the decision says why and where.
 */
void	judge_rcpt(const struct world *, const struct settings *,
	    const struct w_client *, const char *, struct w_rcpt_check_ans *,
	    struct decision *);

/*
 * If the walk has come to a list in a table, follow all its targets and
 * replace the decision by the worst.
 */
void	judge_walk(struct walk *, struct decision *);

/* explain.c */

/*
 * Print the walk of an address to out, a step a line, and fill in where it
 * ended.
 */
void	explain(const struct world *, const struct settings *,
	    const struct w_client *, const char *, FILE *,
	    struct decision *);

/* files.c: files that are read again when they change */

enum file_type { FILE_TABLE, FILE_ALIASES, FILE_LIST };

struct file;

/*
 * The file of that path, read if it is new or has changed since the last
 * question.  FIND_NONE if it does not exist, FIND_FAILED with files_failure()
 * if it cannot be used.  What it holds is valid until files_tick().
 */
enum find	files_get(const char *, enum file_type, const struct file **);
const struct lines	*file_lines(const struct file *);
const struct aliases	*file_aliases(const struct file *);
const struct alias_list	*file_list(const struct file *);
const char	*files_failure(void);

/*
 * Other questions have come: what has changed is read again.
 */
void		files_tick(void);

/*
 * Read all anew when asked for.
 */
void		files_forget(void);

/*
 * Say nothing of mistakes for a while.
 */
void		files_mute(bool);

/*
 * For -n: complain to this conf and not to the log.
 */
void		files_complain_to(struct conf *);

/* cache.c: accounts, remembered for a while */

enum account_result	cache_account(const char *, struct who *);
const char		*cache_failure(void);
void			cache_tick(void);

/*
 * Started without root: others than this user are "not now".
 */
void			cache_only(uid_t);

/* tables.c: the real world */

/*
 * Take the routes of a configuration, complaining to it; the settings must
 * outlive them.
 */
void		tables_load(const struct settings *);

/*
 * For -n: a file that cannot be used has been complained of and is empty.
 */
void		tables_forgive(void);

/*
 * Other questions have come, after whatever was changed before they were
 * asked: the first that needs a file looks whether it is the same.
 */
void		tables_tick(void);
const struct world *tables_world(void);

/*
 * Let the jail read the folders that the configuration's files stand in.
 */
void		tables_allow(const struct settings *);

/* check.c */

void	check(struct conf *);

/* peer_smtpd.c, peer_spoold.c */

extern const struct link_role	role_smtpd;
extern const struct link_role	role_spoold;

/* policyd.c */

const struct settings	*policyd_settings(void);

#endif
