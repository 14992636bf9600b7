/*
 * The requests of a link that wait for credit, in the order they were made,
 * each whole: what it says, and its descriptor.
 */
#ifndef WAITING_H
#define WAITING_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct waiting {
	TAILQ_ENTRY(waiting) entry;
	uint32_t	 type;
	uint32_t	 id;
	int		 fd;		/* or -1 */
	size_t		 length;
	char		 contents[];	/* the payload, then the tail */
};

TAILQ_HEAD(waitings, waiting);

/*
 * Copy a request and take its descriptor; dies without memory.
 */
void		 waiting_add(struct waitings *, uint32_t, uint32_t,
		    const void *, const void *, size_t, int);

/*
 * The first of a type, taken out, to be freed with free(3); NULL if there is
 * none.
 */
struct waiting	*waiting_take(struct waitings *, uint32_t);
bool		 waiting_has(const struct waitings *, uint32_t);

/*
 * Drop the one of that id, which is there; all of them.
 */
void		 waiting_drop(struct waitings *, uint32_t);
void		 waiting_clear(struct waitings *);

#endif
