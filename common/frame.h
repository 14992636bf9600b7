/*
 * Frames as bytes: the header on the wire, a buffer of frames that come and
 * one of frames that go.  Descriptors travel beside the first octet of the
 * frame they belong to.  What a frame means is link.c's and wire.c's matter.
 */
#ifndef FRAME_H
#define FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length counts payload and tail, not this header. */
struct frame_header {
	uint32_t	type;
	uint32_t	length;
	uint32_t	id;
	uint32_t	flags;
};

#define FRAME_FD	(1U << 0)	/* a descriptor comes with it */
#define FRAME_FDS	64		/* received and not yet taken */

struct frame_out {
	char		*data;
	size_t		 start;		/* first octet not yet written */
	size_t		 end;
	size_t		 size;
	struct frame_out_fd {
		size_t	 at;		/* offset of its frame */
		int	 fd;
	}		*fds;
	size_t		 fd_count;
};

struct frame_in {
	char		*data;
	size_t		 start;		/* first octet not yet taken */
	size_t		 end;
	size_t		 size;
	int		 fds[FRAME_FDS];
	size_t		 fd_count;
};

/*
 * Append a frame: payload, then tail.  The descriptor, if not -1, is taken.
 * Dies without memory.
 */
void	frame_out_add(struct frame_out *, const struct frame_header *,
	    const void *, size_t, const void *, size_t, int);

/*
 * Write what there is.  Returns 1 if all is gone, 0 if the socket is full or,
 * with another errno than EAGAIN, the kernel lacks memory, or -1 with errno.
 */
int	frame_out_write(struct frame_out *, int);

/*
 * Write all there is, however long that takes: 0, or -1 with errno.
 */
int	frame_out_drain(struct frame_out *, int);
void	frame_out_clear(struct frame_out *);

/*
 * Make room for at least wanted octets more.
 */
void	frame_in_reserve(struct frame_in *, size_t);

/*
 * Read once; descriptors are looked for only if asked.  Returns what
 * recvmsg(2) does; descriptors that did not fit, or were not looked for, give
 * -1 with EMSGSIZE.
 */
long	frame_in_read(struct frame_in *, int, bool);

/*
 * The frame at the start, if it is whole: 1 with its header and contents
 * (which stay in the buffer until it is read or reserved again), 0 if more
 * must be read first.
 */
int	frame_in_next(struct frame_in *, struct frame_header *,
	    const char **);

/*
 * The descriptor that came first and was not yet taken, -1 if none.
 */
int	frame_in_take_fd(struct frame_in *);
void	frame_in_clear(struct frame_in *);

#endif
