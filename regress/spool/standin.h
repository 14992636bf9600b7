/*
 * What the stand-ins around one spoold share: what they know, and each
 * other.
 */
#ifndef STANDIN_H
#define STANDIN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "link.h"
#include "regress/standin/start.h"

#define RECIPIENTS_MAX	256
#define RELAYS		2	/* the first is the one for Unix sockets */
#define HELD_MAX	64

/* A transaction that relay has. */
struct transaction {
	struct link	*link;
	uint32_t	 frame;
	struct w_relay_deliver_req request;
	uint32_t	 rows[RECIPIENTS_MAX];
	uint32_t	 count;
};

struct standin {
	struct event_base *base;
	const char	*program;
	const char	*directory;
	char		 conf[4096];
	FILE		*events;
	struct started	 spoold;
	struct link	*smtpd;
	struct link	*policyd;
	int		 silent;	/* a policyd that reads nothing */
	bool		 is_edited;	/* a list of its */
	struct link	*deliver;
	struct link	*relays[RELAYS];
	struct link	*hanging;		/* the worker that hangs */
	uint64_t	 hanging_id;
	bool		 is_stuck;		/* nothing ends it */
	bool		 is_cured;		/* the next does not hang */
	struct { uint64_t first, end; } leases[16];
	int		 lease_count;
	int		 takes_mail;
	uint64_t	 verdict;		/* of the commit asked last */
	bool		 answered;
	struct transaction coming[RELAYS];	/* its recipients */
	long		 transactions[RELAYS];
	struct transaction held[HELD_MAX];	/* the oldest first */
	uint32_t	 held_count;
	bool		 is_good;		/* what the host mood says */
	long		 delivered;
	long		 committed;
	bool		 quiet;			/* no line per delivery */
};

extern struct standin s;

/* standin.c */

/*
 * What befalls a recipient, as a line of the file of events.
 */
void	event_line(const char *, uint64_t, uint32_t, const char *);

/*
 * The links that begin with spoold: have all leave what is to be sent, note
 * that one has ended, be rid of all.
 */
void	drain_all(void);
void	on_end(struct link *, const char *, void *);
void	free_all(void);

/*
 * Run the loop until a condition holds; false after so many seconds.
 */
bool	run_until(bool (*)(void), int);
bool	never(void);

/* standin_postmaster.c: spoold's start and its end */

void	tell_config(void);
int	make_peer(enum process, uint32_t);
struct link *link_peer(enum process, uint32_t, const struct link_role *);
void	start_spoold(void);
void	stop_spoold(int);

/* standin_smtpd.c: what is handed over */

extern const struct link_role smtpd_role;

void	command_send(const char *, const char *, size_t);
void	command_bench(long, long, size_t, const char *);
void	command_flood(long, const char *);

/* standin_policyd.c: what becomes of an address */

extern const struct link_role policyd_role;

void	put_target(char *, size_t *, enum target_place, const char *);
void	command_silent(bool);
void	command_relink(void);

/* standin_deliver.c: deliver and its workers */

extern const struct link_role deliver_role;

void	command_stuck(void);
void	command_ended(void);

/* standin_relay.c: both of them */

extern const struct link_role relay_role;

void	command_let(int, const char *, int);
void	command_relay_dies(void);

#endif
