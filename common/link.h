/*
 * A link: one end of a Unix stream socket to a neighbour, speaking frames.
 * Every frame is checked against the wire table before its handler runs; one
 * that breaks the rules closes the link.  Frames sent in a turn leave in one
 * write at its end.
 */
#ifndef LINK_H
#define LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

struct event_base;
struct frame_in;
struct frame_out;
struct link;

/*
 * A received frame, valid inside its handler only.  A handler that keeps fd
 * sets it to -1; otherwise the link closes it.  payload is NULL in an
 * answer's handler when the link was lost before the answer came.
 */
struct frame {
	uint32_t	 type;
	uint32_t	 id;		/* of a REQ: hand it to link_answer() */
	const void	*payload;
	const void	*tail;
	size_t		 tail_length;
	int		 fd;
};

/*
 * context is the argument of link_new() for a REQ or NTF, and of link_ask()
 * for an ANS.
 */
typedef void	(*frame_fn)(struct link *, struct frame *, void *);

struct link_handler {
	enum imsg_type	 type;
	frame_fn	 fn;
};

/* What a process wants to know of its link to one kind of peer. */
struct link_role {
	enum process		 self;
	enum process		 peer;
	const struct link_handler *handlers;	/* ends with IMSG_NONE */
	/* The link is gone; reason is NULL at an orderly end.  Freed after. */
	void			(*closed)(struct link *, const char *, void *);
	/*
	 * Octets have come; the frames in them are handled next.  For what
	 * must be looked at once for all of them.  May be NULL.
	 */
	void			(*arrived)(void);
};

/*
 * Make a link of fd, which it owns from now on.  Dies without memory.
 */
struct link	*link_new(struct event_base *, int, const struct link_role *,
		    void *);

/*
 * Close and free.  Outstanding asks get their handlers called with payload
 * NULL; closed() is not called.  Legal inside a handler of that link.
 */
void		 link_free(struct link *);

/*
 * End it as its peer's end would: asks are answered with NULL, closed() is
 * called, then it is freed.
 */
void		 link_close(struct link *);

/*
 * Ask: a REQ whose ANS comes to its handler with context.  A request over
 * the credit of its row waits inside the link.  Returns the id to forget it
 * by, never 0.  The descriptor, if not -1, is the link's from now on.
 */
uint32_t	 link_ask(struct link *, enum imsg_type, const void *,
		    const void *, size_t, int, void *);

/*
 * How many more requests of this type would leave at once.
 */
uint32_t	 link_credit(const struct link *, enum imsg_type);

/*
 * The asker of this id is gone: its answer is read and dropped.
 */
void		 link_forget(struct link *, uint32_t);

/*
 * Answer the REQ that came with this id.
 */
void		 link_answer(struct link *, enum imsg_type, uint32_t,
		    const void *, const void *, size_t, int);

/*
 * Tell: a NTF.
 */
void		 link_tell(struct link *, enum imsg_type, const void *,
		    const void *, size_t, int);

/*
 * The number the owner gave this link (its peer's instance), 0 at first.
 */
void		 link_set_instance(struct link *, uint32_t);
uint32_t	 link_instance(const struct link *);

/*
 * For handlers of asks that end with the link: may the peer have died of what
 * it was asked?  Not if it lives, and another link took this one's place, nor
 * if it went before it had read all that was sent, without a word.
 */
bool		 link_died(const struct link *);

/*
 * The peer broke a rule that no table knows: log it and close the link as
 * for any other violation.  Legal inside a handler of that link.
 */
void		 link_violation(struct link *, const char *);

/*
 * How many octets wait to be written?
 */
size_t		 link_output(const struct link *);

/*
 * Write what waits now rather than at the end of the turn, as far as the
 * socket takes it.
 */
void		 link_flush(struct link *);

/*
 * Write what waits, now and until it is gone or the link dies; for the end
 * of a process and for programs without a loop.
 */
void		 link_drain(struct link *);

/*
 * For a process that waits for one frame before its loop runs (the start
 * link, a command): read one, blocking.  Payload and tail point into a buffer
 * that the next call reuses.  Returns 0, or -1 at the end or on a violation,
 * with *why set.  milliseconds < 0 waits for ever.
 */
int		 link_read_blocking(int, enum process, enum process,
		    struct frame *, int, const char **);

/*
 * Write one frame, blocking.  Returns 0 or -1 with errno.
 */
int		 link_write_blocking(int, enum imsg_type, uint32_t,
		    const void *, const void *, size_t, int);

/*
 * For a process that works on all that has come at once: read one frame, as
 * much as there is going into the buffer for the next calls.  Returns 1, 0 if
 * none has come, or -1 as link_read_blocking() does.  Payload and tail are
 * good until the next call.
 */
int		 link_read_buffered(struct frame_in *, int, enum process,
		    enum process, struct frame *, const char **);

/*
 * Add a frame to the buffer; and write all that were added, blocking: 0, or
 * -1 with errno.
 */
void		 link_add(struct frame_out *, enum imsg_type, uint32_t,
		    const void *, const void *, size_t, int);
int		 link_write_buffered(struct frame_out *, int);

#endif
