/*
 * postmaster: the starter.  It reads the configuration, opens what needs the
 * rights of root, starts the processes, links them and starts afresh what
 * died.  It touches no mail and reads no octet from any process.
 */
#ifndef POSTMASTER_H
#define POSTMASTER_H

#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "conf.h"
#include "wire.h"

struct event_base;

struct options {
	const char	*file;
	bool		 check;		/* -n */
	bool		 foreground;	/* -d or -D */
	bool		 debug;		/* -d: the log to stderr, too */
	bool		 verbose;
	bool		 rootless;	/* started without root */
	bool		 starting;	/* trouble is told on stderr, too */
};

/* settings.c: what the configuration says to postmaster itself */

struct identity {
	uid_t	 uid;
	gid_t	 gid;
};

struct settings {
	struct conf	*conf;
	char		 hostname[WIRE_DOMAIN];
	const char	*spool_directory;
	const char	*run_directory;
	char		 drop_directory[WIRE_PATH];
	char		 empty_directory[WIRE_PATH];
	char		 submit_socket[WIRE_PATH];
	char		 control_socket[WIRE_PATH];
	char		 pid_file[WIRE_PATH];
	struct identity	 identities[PROC_MAX];
	gid_t		 log_group;
	unsigned int	 smtpd_workers;
	unsigned int	 relay_workers;
	bool		 unusable;	/* no file, or an account is missing */
	bool		 unchecked;	/* a program that should could not */
	int		 secrets;	/* a sealed memfd; -1: there are none */
	bool		 secrets_refused;	/* there may be any */
};

/*
 * Takes the conf and complains into it.
 */
struct settings	*settings_new(struct conf *, const struct options *);
void		 settings_free(struct settings *);

/*
 * The place of a setting, or of the section's start, or of the file's.
 */
struct conf_place settings_place(const struct conf *, const char *,
		    const char *);

/*
 * The name of what differs and needs a restart, NULL if nothing does.
 */
const char	*settings_need_restart(const struct settings *,
		    const struct settings *);

/* part.c: who gets which part of the configuration */

int	part_print(const struct conf *, enum process, FILE *);

/*
 * The part in a sealed memfd; -1 with errno.
 */
int	part_open(const struct conf *, enum process);

/* secrets.c: the logins for next hops */

/*
 * Read the file of secrets into the settings, and complain.
 */
void	secrets_open(struct settings *, const struct options *);

/* program.c: the programs of the processes, and how they are executed */

/*
 * Find the programs relative to this one.  Returns -1 with *why, static.
 */
int	 program_find(const char **);

/*
 * Start process, instance, with an option before its number if that is not
 * NULL; the descriptors become its start link and its readiness count.
 * Returns its pid, or -1 with errno.
 */
pid_t	 program_start(enum process, unsigned int, const char *, int, int,
	    bool);

/*
 * Run NAME -n as that identity on a part of the configuration, and copy what
 * it says to the stream, a line once, with the file's name in it.  Returns
 * its exit status, or -1 if it could not be run.
 */
int	 program_check(enum process, const struct settings *,
	    const struct options *, FILE *);

/* check.c: what -n says */

/*
 * Complain of what postmaster itself can see, then have the programs look at
 * their parts.  Returns 0, 1 or 2.
 */
int	check_all(struct settings *, const struct options *);

/*
 * Say complaints in the order of their places in the file, each once.  The
 * text is taken apart.
 */
typedef void (*check_say)(const char *, void *);
void	check_print(char *, const char *, check_say, void *);

/* resolve.c: host:service as addresses, by an unprivileged child */

struct resolved {
	uint32_t		 number;	/* of the question */
	int32_t			 error;		/* EAI_..., 0 if an address */
	struct sockaddr_storage	 address;
	uint32_t		 length;
	uint32_t		 pad;
};

struct question {
	char	 host[WIRE_DOMAIN];	/* "" is every address */
	char	 service[WIRE_NAME];
};

/*
 * Ask for all; the answers are to be freed.  Returns how many: each question
 * has one, if only an error.
 */
int	resolve(const struct question *, size_t, struct identity,
	    bool, struct resolved **);

/* listen.c: the sockets that are listened on */

struct listener {
	TAILQ_ENTRY(listener)	 entry;
	int			 fd;
	uint32_t		 number;
	enum process		 process;	/* who accepts */
	bool			 local;		/* a Unix socket */
	bool			 wanted;	/* by the newest settings */
	char			 wish[WIRE_NAME];	/* as they have it */
	char			 name[WIRE_NAME];
	char			 address[WIRE_NAME];
	struct sockaddr_storage	 sockaddr;
	socklen_t		 length;
};
TAILQ_HEAD(listeners, listener);

/*
 * What a [smtpd] listens on: complained of where it is written wrongly; asked
 * for and answered, to be freed.
 */
struct wish {
	struct conf_section	*section;
	struct conf_place	 place;
	char			 text[WIRE_NAME];
};

void	listen_check(const struct settings *);
int	listen_wishes(const struct settings *, const struct options *,
	    struct wish **, struct resolved **);

/*
 * Open what the settings want, keep what is open, close the rest.  What
 * cannot be opened is logged; the count of those is returned.  A function says
 * that this is a repetition; it is called for each that is new.
 */
int	listen_open(const struct settings *, const struct options *,
	    void (*)(const struct listener *));

/*
 * Open the Unix sockets.  Returns -1, logged, if one cannot be.
 */
int	listen_open_local(const struct settings *);
const struct listeners *listen_all(void);

/*
 * Bind a socket and listen.  Returns it, or -1 with errno.
 */
int	listen_bind(const struct sockaddr *, socklen_t);
void	listen_print(const struct sockaddr *, socklen_t, char *, size_t);

/*
 * Remove the Unix sockets' names, unless systemd made them.
 */
void	listen_unlink(const struct settings *);

/* holder.c: whose port it is */

/*
 * Name the process that listens on that address, as "exim4 (pid 12)"; "" if
 * it cannot be told.
 */
void	holder_name(const struct sockaddr *, char *, size_t);

/* house.c: directories, the lock, the pid-file */

/*
 * Make what is missing and take the lock of the spool.  Returns -1, said to
 * the log, if the suite cannot live here.
 */
int	house_enter(const struct settings *, const struct options *);
void	house_leave(const struct settings *);

/*
 * Make the directories above the last component of a path.
 */
int	house_make_parents(const char *);

/* logs.c: the descriptors of logs */

/*
 * Open the logs the settings name; postmaster's own lines go there, too.
 */
void	logs_open(const struct settings *, const struct options *);

/*
 * Have postmaster's own lines go to the first log.
 */
void	logs_use_own(void);

/*
 * Open again what has a new name or was moved away.  Returns whether any was.
 */
bool	logs_follow(void);

/*
 * Write the frames that hand a process its logs by calling the function; with
 * -1 for a descriptor that could not be had, until it returns -1: then this
 * does.
 */
typedef int (*logs_tell)(void *, const struct w_start_log_ntf *, int);
int	logs_hand_over(enum process, logs_tell, void *);

/*
 * A facility's number by its name, -1 if there is none.
 */
int	logs_facility(const char *);

/* children.c: the table of processes */

/*
 * Start all of the settings' processes; after a reload the old ones finish.
 * ready is the count that they add to, each once.
 */
void	children_start(struct event_base *, const struct settings *,
	    const struct options *, int);

/*
 * How many have been started.
 */
unsigned int	children_count(void);

/*
 * Give everybody the logs anew; hand a new listener to those who accept.
 */
void	children_tell_logs(void);
void	children_tell_listener(const struct listener *);

/*
 * Reap whoever died; start it afresh.
 */
void	children_reap(void);

/*
 * End: the start links are closed in an order that lets all work end.  done
 * is called when nobody is left.
 */
void	children_end(void (*)(void));

/* start.c: one start link, which is only ever written */

struct start;

/*
 * Make a link; *far is the other end, for the child.  NULL with errno.
 */
struct start	*start_new(struct event_base *, int *);
void		 start_free(struct start *);

/*
 * Send a frame; the descriptor is taken, or -1.
 */
void		 start_tell(struct start *, enum imsg_type, const void *, int);

/* provide.c: what a process is handed */

struct child_process {
	TAILQ_ENTRY(child_process) entry;
	enum process	 process;
	uint32_t	 instance;	/* see WIRE_WORKERS */
	pid_t		 pid;		/* -1: not running */
	struct start	*start;		/* NULL: not running, or told to end */
	bool		 finishing;	/* of an older configuration */
	bool		 owed;		/* it has not been told what changed */
	int64_t		 started;	/* monotonic */
	unsigned int	 deaths;	/* in quick succession */
	struct event	*timer;		/* start it; tell it what is owed; or
					   end it, if finishing */
};

/*
 * From now on it is of these settings, which come after others.
 */
void	provide_use(const struct settings *, const struct options *,
	    uint64_t);

/*
 * The first relay reaches Unix sockets, and no network.
 */
bool	is_local_relay(const struct child_process *);

/*
 * Does this process accept on that listener?
 */
bool	provide_accepts(const struct child_process *,
	    const struct listener *);

/*
 * Hand it over.  Returns -1 with errno if there is no descriptor for it.
 */
int	provide_config(const struct child_process *);
int	provide_secrets(const struct child_process *);
int	provide_logs(struct child_process *);
int	provide_listener(const struct child_process *,
	    const struct listener *);

/*
 * This end of a link to a peer, which is taken; and that it has all.
 */
void	provide_peer(const struct child_process *,
	    const struct child_process *, int);
void	provide_go(const struct child_process *);

/* systemd.c: sockets from, and notices to, the service manager */

/*
 * Take over the sockets we were handed.
 */
void	systemd_take_sockets(void);

/*
 * The socket of that address, -1 if none was handed; it is the caller's.
 */
int	systemd_socket(const struct sockaddr *, socklen_t);
void	systemd_notify(const char *);

#endif
