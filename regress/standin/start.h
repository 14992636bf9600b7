/*
 * What every stand-in plays of postmaster: a program is started with its
 * start link and its readiness, and told what it needs.  What fails ends the
 * stand-in.
 */
#ifndef STANDIN_START_H
#define STANDIN_START_H

#include <sys/types.h>

#include "wire.h"

struct started {
	pid_t	 pid;
	int	 link;		/* our end of the start link */
	int	 ready;		/* an eventfd, written when it is */
};

/*
 * The program, as the instance of that number.
 */
void	 start_program(struct started *, const char *, const char *);

/*
 * A frame over the start link; a descriptor is taken.
 */
void	 start_tell(const struct started *, enum imsg_type, const void *, int);

/*
 * A configuration: that of a file, or a text.
 */
void	 start_configure(const struct started *, const char *);
void	 start_configure_text(const struct started *, const char *, size_t);

/*
 * A link to a neighbour; returns the neighbour's end.
 */
int	 start_link(const struct started *, const struct w_start_peer_ntf *);

/*
 * Wait until it is ready; if it ends before, so does the stand-in.
 */
void	 start_await(const struct started *);

#endif
