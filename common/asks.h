/*
 * The questions of a link that have no answer yet, each under an id that its
 * answer brings back.
 */
#ifndef ASKS_H
#define ASKS_H

#include <stdint.h>

enum ask_state { ASK_FREE, ASK_WAITING, ASK_SENT, ASK_FORGOTTEN };

struct ask {
	void		*context;	/* of the asker */
	uint32_t	 type;		/* of the request */
	uint32_t	 next_free;	/* slot, when free */
	uint16_t	 generation;	/* tells an id from earlier ones */
	uint8_t		 state;		/* enum ask_state */
};

struct asks {
	struct ask	*slots;
	uint32_t	 count;		/* slots that exist */
	uint32_t	 free;		/* the first free one; count if none */
};

/*
 * Enter a question, SENT.  Returns its id, never 0; dies without memory.
 */
uint32_t	 asks_add(struct asks *, uint32_t, void *);

/*
 * The question of that id, NULL if there is none; its id.
 */
struct ask	*asks_find(struct asks *, uint32_t);
uint32_t	 asks_id(const struct asks *, const struct ask *);

void		 asks_remove(struct asks *, struct ask *);
void		 asks_clear(struct asks *);

#endif
