/*
 * What the harnesses of whole processes share: time that is told, turns of
 * the loop that wait for nothing, and the far ends of links.
 */
#ifndef PLAYED_H
#define PLAYED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"

struct event_base;

/* The loop of all; made at the first call. */
struct event_base	*played_base(void);

/* So many turns, of what is ready. */
void	played_turn(unsigned int);

/* Time passes, both clocks' or only the one on the wall; every timer looks. */
void	played_pass(int64_t);
void	played_jump(int64_t);

/* The far end of a link, or of a client's connection; -1 when closed. */
struct far {
	int		 fd;
	bool		 ended;	/* the near end was closed */
	struct frame_in	 in;
};

/* Opens it; returns the near end. */
int	far_open(struct far *);
void	far_close(struct far *);

/* The next frame that has come, and its descriptor, which is taken. */
bool	far_next(struct far *, struct frame_header *, const char **, int *);

/* Say a frame: payload and tail as one; the descriptor stays the caller's. */
void	far_say(struct far *, uint32_t, uint32_t, const void *, size_t, int);

#endif
