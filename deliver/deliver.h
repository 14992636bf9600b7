/*
 * deliver: a root parent that only forks, and its workers, each of which has
 * become a user for good before it reads its first JOB.
 */
#ifndef DELIVER_H
#define DELIVER_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "account.h"
#include "aliases.h"
#include "child.h"
#include "dropfile.h"
#include "frame.h"
#include "group.h"
#include "link.h"
#include "wire.h"

#define MAIL_SPOOL	"/var/mail"
#define JOBS_AT_ONCE	32		/* as the wire's window */
#define PREFIX_SIZE	2048		/* what we write before a message */

/* ---- mailer.c: how mail is done, from the configuration ---- */

enum mailer_kind {
	MAILER_NONE,
	MAILER_PIPE,		/* a [pipe]: words with ${...} */
	MAILER_COMMAND,		/* pipe(command) or |command: raw text */
	MAILER_MAILDIR,
	MAILER_MBOX,		/* a file */
	MAILER_SPOOL		/* /var/mail/user */
};

struct mailer {
	uint32_t	 number;	/* target_number(); 0 has none */
	enum mailer_kind kind;
	char		*name;		/* for the log */
	char		*text;		/* a path, which may begin with ~/, or
					   a command */
	char		**words;	/* MAILER_PIPE */
	size_t		 word_count;
	char		*user;		/* who alone may do it; NULL anybody */
	bool		 from_line;
	int64_t		 time_limit;
};

struct mailers {
	struct mailer	*all;
	size_t		 count;
	struct mailer	 local;		/* for local(); borrows from all */
	char		*program_user;	/* whose the calls and texts are */
};

struct mailers	*mailers_load(const struct conf *);
void		 mailers_free(struct mailers *);
const struct mailer *mailers_find(const struct mailers *, uint32_t);
void		 mailers_check(struct conf *);

/*
 * The mailer that a text of a table, alias file or .forward names: a call,
 * |command, /file, /directory/.  Returns 0 or -1; mailer_clear() releases.
 */
int	mailer_of_text(const char *, struct mailer *);
void	mailer_clear(struct mailer *);

/* ---- parent.c ---- */

void	parent_begin(struct child *);
void	parent_reconfigured(struct child *);
void	parent_up(struct child *, struct link *,
	    const struct w_start_peer_ntf *);
void	parent_lost(struct child *, struct link *);
void	parent_end(struct child *);
extern const struct link_role parent_role;

/* ---- worker.c: one user, one kind, one link ---- */

struct worker {
	struct account	 account;
	enum worker_kind kind;
	struct groups	 groups;
	int		 home_errno;	/* 0: the home is where we are */
	int		 link;
	struct frame_in	 in;
	struct frame_out out;
	const char	*hostname;
	const struct mailers *mailers;
	const char	*refusal;	/* why it does nothing, or NULL */
	const char	*refusal_status;
};

/*
 * Become the user and serve the link until it closes.  For a child that was
 * just forked; never returns.
 */
void	worker_run(const struct w_user_worker_req *, int, const struct child *,
	    const struct mailers *) __attribute__((noreturn));

/*
 * The same for a child of the nursery: it is in the jail already, and its
 * account and groups, kind, link, hostname and mailers stand in the struct.
 */
void	worker_run_born(struct worker *, const struct child *)
	    __attribute__((noreturn));

/*
 * What signals mean to a worker.  With hold, those that tell it to end wait
 * until worker_run_born().
 */
void	worker_set_signals(bool hold);

/*
 * Has spoold gone, or were we told to end?  What was not answered is void.
 */
bool	worker_abandoned(const struct worker *);

/* ---- cleanse.c: for a child that was just forked ---- */

/*
 * Close all but this descriptor, whose new number is returned; 0 to 2 and
 * the log become /dev/null.
 */
int	cleanse_descriptors(int);

/* Of our capabilities, those of this mask and no others. */
void	cleanse_capabilities(uint32_t);

/* ---- nursery.c: what forks the workers of mailboxes ---- */

/* Make what children need, and start it. */
void	nursery_begin(const struct child *, const struct mailers *);

/*
 * Have a worker forked; the descriptor, its link, is taken.  Returns its pid;
 * or 0 if the parent has to fork one itself, with another link.
 */
pid_t	nursery_fork(const struct w_user_worker_req *, int,
	    const struct child *, const struct mailers *);

/*
 * End it; the next worker finds a new one, which knows what is known then.
 */
void	nursery_end(void);

bool	nursery_is_child(pid_t);
/* A child was reaped that is no worker. */
void	nursery_reaped(pid_t);

/* ---- body.c: a message, and its local form ---- */

struct body {
	const char	*memory;	/* all of it, or NULL: */
	int		 fd;		/* a regular file */
	uint64_t	 size;
};

struct body_stream;

/*
 * Read a body in the form of mailboxes and programs: prefix, then the lines
 * ended by LF, without any Return-Path; with quote, a > before From lines.
 * The prefix is copied.  body_stream_new() dies without memory.
 */
struct body_stream *body_stream_new(void);
void	body_stream_free(struct body_stream *);
void	body_open(struct body_stream *, const struct body *, const char *,
	    bool);

/* Returns the number of octets, 0 at the end, -1 with errno. */
ssize_t	body_read(struct body_stream *, char *, size_t);

/* Write all of it to a file; 0, or -1 with errno. */
int	body_write(struct body_stream *, int);

/* Does the header name this address in a Delivered-To?  -1 with errno. */
int	body_was_delivered_to(const struct body *, const char *);

/* ---- job.c: one delivery and its verdict ---- */

struct job {
	uint32_t	 frame;		/* to answer by */
	struct w_job_deliver_req request;
	struct body	 body;
	char		*room;		/* holds the addresses and a body */
	const char	*addresses[256];	/* the final recipients */
	size_t		 address_count;
	struct w_job_deliver_ans answer;
	char		*targets;	/* JOB_EXPANDED: the tail */
	size_t		 targets_length;
};

/*
 * Take a frame, its descriptor with it.  Returns NULL if it is malformed.
 */
struct job	*job_take(struct frame *);
void		 job_free(struct job *);

/* Verdicts; the last one given counts. */
void	job_done(struct job *, const char *);
void	job_defer(struct job *, const char *, const char *, ...)
	    __attribute__((format(printf, 3, 4)));
void	job_fail(struct job *, const char *, const char *, ...)
	    __attribute__((format(printf, 3, 4)));
/* Deferred for what errno says about the thing named. */
void	job_defer_errno(struct job *, const char *);
void	job_verdict(struct job *, enum job_verdict);
int	job_add_target(struct job *, enum target_place, const char *);

/*
 * What goes before the message: a From_ line if wanted, Return-Path and
 * Delivered-To.  The array has PREFIX_SIZE octets.
 */
void	job_prefix(const struct job *, bool, char *);

/* The From_ line alone, for a sender and a time; "" is MAILER-DAEMON. */
void	job_from_line(const char *, int64_t, char *, size_t);

/* ---- method.c: what a JOB asks ---- */

struct maildir_batch;

/*
 * Do the job; or put it into the batch; or, if it may take long and later is
 * not set, say so by 1 and do nothing.  Returns 0 otherwise.
 */
int	method_run(struct worker *, struct job *, struct maildir_batch *,
	    bool);

/* ---- sync.c: 0, or -1 with errno ---- */

int	sync_directory(const char *);
/* The directory that this is in; one that we may not read is well. */
int	sync_parent(const char *);

/* ---- maildir.c ---- */

struct maildir_item {
	struct job	*job;
	char		 folder[WIRE_PATH];
	char		 name[512];
	char		 tmp[WIRE_PATH + 600];
	int		 fd;
	bool		 open;		/* no verdict yet */
};

struct maildir_batch {
	struct maildir_item items[JOBS_AT_ONCE];
	size_t		 count;
};

void	maildir_add(struct maildir_batch *, const struct worker *,
	    struct job *, const char *);
/* Deliver all; -1 if abandoned, when no file was linked. */
int	maildir_commit(struct maildir_batch *, const struct worker *);
/* SECONDS.ID.RECIPIENT.HOST, with PID before HOST if that is not 0. */
void	maildir_name(const struct job *, const char *, pid_t, char *, size_t);

/* ---- mbox.c, lock.c ---- */

/*
 * Append to a file: the mail spool's, with its stricter rules, or any.
 * Returns -1 if abandoned, when the file is as it was.
 */
int	mbox_deliver(const struct worker *, struct job *, const char *, bool);

struct mailbox_lock {
	int	fd;
	char	path[WIRE_PATH + 8];	/* of the dot lock; "" none is held */
	dev_t	device;
	ino_t	inode;
};

enum lock_result { LOCK_TAKEN, LOCK_BUSY, LOCK_FAILED };

/*
 * Lock an open file by fcntl(2) and beside its path by path.lock; with
 * insist, failing to make the latter is a failure.  Waits up to so many
 * seconds.
 */
enum lock_result lock_take(struct mailbox_lock *, int, const char *, bool,
	    int, const struct worker *);
void	lock_release(struct mailbox_lock *);

/* ---- command.c: arguments, environment, exit codes; pure ---- */

struct command {
	char	**argv;		/* ends with NULL */
	char	**environment;	/* ends with NULL */
};

/*
 * Compose what a mailer executes for a job; the recipient is the account's
 * name if named.  Returns 0, or -1 with the job's verdict given.
 */
int	command_make(struct command *, const struct worker *,
	    const struct mailer *, struct job *, bool);
void	command_free(struct command *);

/* Is this command run directly, not by the shell? */
bool	command_is_plain(const char *);

/*
 * What a wait(2) status means: a verdict, an enhanced status, words.
 */
enum job_verdict command_verdict(int, const char **, char *, size_t);

/* Are the placeholders of a word known ones? */
bool	command_word_ok(const char *);

/* ---- program.c ---- */

/* Run it; -1 if abandoned, when nothing of it runs any more. */
int	program_deliver(const struct worker *, struct job *,
	    const struct mailer *, bool);

/* ---- forward.c ---- */

struct forward {
	struct forward_entry {
		enum target_place place;
		char	*text;
	}	*entries;
	size_t	 count;
	bool	 exists;	/* there is a .forward with entries */
	bool	 only_self;	/* it names the account alone */
	char	 why[WIRE_PATH + 128];	/* it cannot be used: the reason */
};

/*
 * Read ~/.forward and what it includes.  Returns 0, or -1 with why set.
 */
int	forward_read(const struct worker *, struct forward *);
void	forward_free(struct forward *);
bool	forward_has(const struct forward *, const char *);

/*
 * May a file of this state decide about the user's mail?  NULL, or why not.
 */
struct stat;
const char *forward_unsafe(const struct stat *, const struct worker *);

/* ---- drop.c, submit.c: mail that waited while the suite was down ---- */

void	drop_begin(struct child *);
void	drop_end(void);
/* A child was reaped that is no worker. */
void	drop_reaped(pid_t, int);
bool	drop_is_child(pid_t);

enum submit_result { SUBMIT_TAKEN, SUBMIT_LATER, SUBMIT_REFUSED };

/*
 * Submit what stands in the stream behind its envelope, over a connected
 * socket, which is taken.  Refusals are reported to the sender.  If some of
 * it is taken and the rest must wait, the rest becomes a new file of the
 * directory.
 */
enum submit_result submit_message(int, FILE *, const struct dropfile *,
	    const char *);

#endif
