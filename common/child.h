/*
 * How a process begins: the skeleton that smtpd, policyd, spoold, relay and
 * deliver hand their callbacks to.  It reads what postmaster hands over,
 * calls before_jail, enters the jail, tells that it is ready and runs the
 * loop.  With -n it reads its part of the configuration from standard input
 * and only checks it.
 */
#ifndef CHILD_H
#define CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf.h"
#include "jail.h"
#include "link.h"

struct child {
	struct event_base	*base;
	struct conf		*conf;		/* this process's part */
	uint64_t		 generation;
	uint32_t		 instance;	/* which worker of its kind */
	uint32_t		 workers;	/* of how many */
	uid_t			 uid;
	gid_t			 gid;
	bool			 rootless;
	const char		*root;		/* will be / in the jail */
	const char		*hostname;
};

/*
 * A kind of neighbour.  role->closed must be child_link_closed; its handlers
 * get the child as their argument.
 */
struct child_peer {
	const struct link_role	*role;
	/* A link is there (again). */
	void	(*up)(struct child *, struct link *, const struct
		    w_start_peer_ntf *);
	/* It is gone; asks were answered with NULL; it is freed after. */
	void	(*lost)(struct child *, struct link *);
};

struct child_ops {
	enum process	 self;
	enum jail	 jail;			/* JAIL_MAX: none (deliver) */
	const struct child_peer *peers;		/* ends with role NULL */
	/*
	 * -n: complain of what is wrong in the part with conf_error(), at
	 * the setting's place.
	 */
	void	(*check)(struct conf *);
	/*
	 * The file of secrets, before before_jail(); NULL if there is one
	 * that cannot be used.  Not called if there is none.  The text is
	 * wiped afterwards.
	 */
	void	(*secrets)(struct child *, const char *, size_t);
	/* Still with the rights of the start; conf is there, links not yet. */
	void	(*before_jail)(struct child *);
	/* In the jail, before the loop runs. */
	void	(*begin)(struct child *);
	/* A listening socket, taken.  Before begin() or later. */
	void	(*listener)(struct child *, int,
		    const struct w_start_listener_ntf *);
	/* A new configuration has replaced conf; NULL: it takes none. */
	void	(*reconfigured)(struct child *);
	/* Take nothing new and call loop_stop(0) when idle. */
	void	(*finish)(struct child *);
	/* The suite ends: this turn is the last.  May be NULL. */
	void	(*end)(struct child *);
};

int	child_main(int, char **, const struct child_ops *);

/*
 * The nth link to this kind of peer, NULL if there is none now.
 */
struct link	*child_link(enum process, uint32_t);

/*
 * What every role's closed is.
 */
void	child_link_closed(struct link *, const char *, void *);

#endif
