/*
 * One item of a route's right-hand side, and what kind of thing it is.
 * Pure: nothing is looked up.
 */
#ifndef TARGET_H
#define TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum target_kind {
	TARGET_ADDRESS,		/* user@domain */
	TARGET_DOMAIN,		/* @domain: same user there */
	TARGET_WORD,		/* a bare word: section, host or account */
	TARGET_CALL,		/* name(argument) */
	TARGET_PROGRAM,		/* |command, of an alias or .forward */
	TARGET_FILE,		/* /path, of an alias or .forward */
	TARGET_INCLUDE,		/* :include:/path */
	TARGET_MAILBOX		/* \user: that mailbox, no forwarding */
};

enum target_call {
	CALL_NONE,
	CALL_LOCAL,		/* local() or local(name) */
	CALL_MAILDIR,
	CALL_MBOX,
	CALL_PIPE,
	CALL_RELAY,
	CALL_LMTP,
	CALL_REJECT,
	CALL_DISCARD
};

struct target {
	enum target_kind kind;
	enum target_call call;
	char		*text;		/* canonical: what is printed, stored */
	char		*argument;	/* of a call: within its parentheses;
					   of |, /, :include:, \: behind it */
};

/*
 * Parse one item as it stands in a [route] line.  Returns 0, or -1 with *why
 * a static string.  target_free() releases what the struct holds.
 */
int	target_parse(const char *, struct target *, const char **);

/*
 * The same for a member of an aliases(5) or forward(5) list, where |, / and
 * :include: have their meaning.
 */
int	target_parse_member(const char *, struct target *, const char **);

void	target_free(struct target *);

/*
 * The number by which policyd names to deliver what stands in postmaster.cf:
 * of a call by its canonical text, of a [pipe] by "[pipe] NAME".  The same in
 * every process and never 0.
 */
uint32_t	target_number(const char *);

/*
 * Walk the hosts of relay(host[:port], host ...) or lmtp(host:port): *argument
 * advances.  host loses its brackets, and whether it had some is told: they
 * keep the colons of an IPv6 address apart from a port, and ask for this very
 * host rather than its mail exchangers.  port is 0 if none is given.  Returns
 * 1 with a host, 0 at the end, -1 if malformed.
 */
int	target_next_host(const char **, char *, size_t, uint16_t *, bool *);

#endif
