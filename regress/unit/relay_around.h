/*
 * What is around relay's searches and hops, played: DNS, exchangers, DANE and
 * conversations.  The connections are real ones to this machine.
 */
#ifndef RELAY_AROUND_H
#define RELAY_AROUND_H

#include <stdbool.h>
#include <stddef.h>

#include "relay/relay.h"

#define TALKS	64

struct conversation {
	struct endpoint	*endpoint;
	struct search	*search;
	struct hop	*hop;
	struct transaction *t;		/* being held */
	bool		 clear;
	bool		 used;
	int		 turn;		/* transactions for this hop */
};

struct around {
	struct child	 child;
	int		 port;
	int		 listener;
	struct conversation talks[TALKS];
	size_t		 made;		/* conversations in all */
	size_t		 lookups;
	char		 trail[1024];	/* of what was connected to */
	bool		 hold;		/* transactions are not answered */
	bool		 yields;	/* after one, to other hops */
	bool		 halts;		/* the loop, after each look-up */
	bool		 dead;		/* dying.test greets nobody any more */
	int		 awaited;
	int		 done;		/* recipients */
	struct w_relay_result_ntf result;
	struct w_relay_deliver_ans answer;
	int64_t		 lifetime;	/* of what it saw */
};

extern struct around test;

/*
 * For cmocka_run_group_tests(): a configuration of hops.
 */
int	around_setup(void **);

/*
 * The last test: at the end, nothing rests any more.
 */
void	around_ends(void **);

/* ---- messages ---- */

void	submit_from(const char *, const char *, const char *);
void	submit(const char *, const char *);

/*
 * One message to a hop, by somebody's exchangers, to its end.
 */
void	deliver(const char *, const char *);

/*
 * Let everything that can happen happen; forget what has.
 */
void	turn(void);
void	forget(void);

/* ---- conversations ---- */

/*
 * How many there are; one that holds a transaction, at a host or anywhere.
 */
size_t	used(void);
struct conversation *busy_at(const char *);
struct conversation *busy(void);

/*
 * A transaction is answered; then the next is taken.
 */
void	finish(struct conversation *, struct transaction *);
void	go_on(struct conversation *);

/*
 * Have held transactions answered, one after the other.
 */
void	let_go(void);
void	close_conversation(struct conversation *);

#endif
