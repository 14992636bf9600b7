/*
 * A message that waits in the drop directory for the suite to come up.
 *
 * The file is the envelope, a line a fact, then an empty line, then the
 * message as SMTP carries it, each line ended by CRLF, dots not stuffed:
 *
 *	S sender		once, first; nothing behind the blank is <>
 *	B 8BITMIME		if the body holds octets above 127
 *	N SUCCESS,FAILURE	NOTIFY= of every recipient
 *	R FULL			RET=
 *	V envid			ENVID=, as xtext
 *	T recipient		once each, the last lines
 *
 * Lines of the envelope end in LF; addresses are without angle brackets.
 */
#ifndef DROPFILE_H
#define DROPFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define DROPFILE_VALUE		1100	/* of a line at the most, with NUL */
#define DROPFILE_RECIPIENTS	100000

struct dropfile {
	char	  sender[DROPFILE_VALUE];	/* "" is the null path */
	char	  notify[64];			/* "" is not given */
	char	  ret[8];
	char	  envid[128];
	bool	  eight_bit;
	char	**recipients;			/* owned when read */
	size_t	  count;
};

/*
 * Read the envelope; the stream then stands at the message.  Returns 0, or -1
 * with *why a static string.  dropfile_free() releases the recipients.
 */
int	 dropfile_read(FILE *, struct dropfile *, const char **);
void	 dropfile_free(struct dropfile *);

/*
 * Begin a file in the directory, seen by nobody yet, with its envelope
 * written; the caller appends the message.  Returns NULL with errno; EINVAL
 * if a value cannot stand in a line.
 */
FILE	*dropfile_create(const char *, const struct dropfile *);

/*
 * Close it: synced, and under a name of its own in the directory, that synced
 * too.  Returns 0, or -1 with errno and nothing left behind.
 */
int	 dropfile_commit(FILE *, const char *);

/*
 * Close it and leave nothing behind.
 */
void	 dropfile_abandon(FILE *);

#endif
