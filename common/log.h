/*
 * The log: one event a line, a fixed first word, then key=value.
 *
 * Lines are gathered and leave whole at the end of a turn (log_flush()).
 * Until postmaster has handed a descriptor they wait in a ring.  Values from
 * outside are escaped here, and nowhere else.
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

/*
 * Before the first line: this program's name, and whether lines go to stderr
 * until a descriptor comes (commands, postmaster itself).
 */
void	log_start(const char *, bool);

enum log_kind { LOG_TO_FILE = 1, LOG_TO_SYSLOG };

/*
 * Write to fd from now on, which is taken; the one before is closed.  ident
 * and facility are those of syslog(3); copy also writes to stderr; hostname
 * stands in lines of a file.
 */
void	log_to(int, enum log_kind, const char *, int, const char *, bool);

/*
 * An additional log under a name (a listener's logger); lines begun with
 * log_begin_to() go there.  fd is taken.
 */
void	log_to_named(const char *, int, enum log_kind, const char *, int);

/*
 * The host's name in lines of a file, as soon as it is known.
 */
void	log_set_hostname(const char *);

/*
 * Whether LOG_DEBUG lines are written.
 */
void	log_set_verbose(bool);

/*
 * Whether lines of this priority are written, for who has much to compose.
 */
bool	log_wants(int);

/*
 * Compose a line: begin with priority and word, add pairs, end it.  A NULL
 * string is written as -.
 */
void	log_begin(int, const char *);
void	log_begin_to(const char *, int, const char *);
void	log_string(const char *, const char *);
void	log_number(const char *, long long);
void	log_id(const char *, uint64_t);		/* a queue id */
void	log_seconds(const char *, int64_t);	/* given in microseconds */
void	log_end(void);

/*
 * A whole line of one word and a text made as by printf(3).
 */
void	log_note(int, const char *, const char *, ...)
	    __attribute__((format(printf, 3, 4)));

/*
 * The same with ": " and strerror(errno).
 */
void	log_errno(int, const char *, const char *, ...)
	    __attribute__((format(printf, 3, 4)));

/*
 * For start-up and broken invariants only: log it and exit 1.
 */
void	fatal(const char *, ...)
	    __attribute__((format(printf, 1, 2), noreturn));	/* + errno */
void	fatalx(const char *, ...)
	    __attribute__((format(printf, 1, 2), noreturn));

/*
 * Write what is gathered.  A failed write is counted and told in the next
 * line that succeeds.
 */
void	log_flush(void);

/*
 * Does anything wait that could not be written?
 */
bool	log_waiting(void);

#endif
