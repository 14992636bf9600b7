/*
 * The links to relay's workers: a next hop always has the same one.  The
 * first has all Unix sockets and no network (decisions 43); the others share
 * the hops by a hash of what they are called.
 */
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "spoold.h"

#define RELAYS_MAX	WIRE_WORKERS

/* What relay was asked for the operator. */
struct asking {
	TAILQ_ENTRY(asking) entry;
	void		*arg;		/* NULL: nobody waits any more */
};

static struct {
	struct link	*links[RELAYS_MAX];
	struct gate	 gates[RELAYS_MAX];
	uint32_t	 count;		/* of places seen so far */
	uint32_t	 newest;	/* first instance of the newest */
	TAILQ_HEAD(, asking) askings;
} relays = { .askings = TAILQ_HEAD_INITIALIZER(relays.askings) };

/* A worker's place in the tables; an older one shares it until it ends. */
static uint32_t
place_of(const struct link *link)
{
	return link_instance(link) % RELAYS_MAX;
}

struct gate *
relays_gate(const struct link *link)
{
	return &relays.gates[place_of(link)];
}

/* The worker that has this hop; NULL if it is not there now. */
struct link *
relays_link(const struct lane *lane)
{
	if (lane->limits.is_unix)
		return relays.links[0];
	if (relays.count <= 1)
		return NULL;
	return relays.links[1 + checksum(0, lane->text, strlen(lane->text)) %
	    (relays.count - 1)];
}

/* A newer relay's workers take all new work; the older end what they have. */
void
relay_up(struct child *child, struct link *link,
    const struct w_start_peer_ntf *start)
{
	uint32_t	 place = place_of(link);

	(void)child;
	if (start->finishing)
		return;
	if (start->instance - place != relays.newest) {
		relays.newest = start->instance - place;
		relays.count = 0;
		memset(relays.links, 0, sizeof(relays.links));
	}
	relays.links[place] = link;
	if (place >= relays.count)
		relays.count = place + 1;
	queue_wake();
}

/* The link may be freed already: it is only compared. */
void
relay_lost(struct child *child, struct link *link)
{
	uint32_t	 place;

	(void)child;
	for (place = 0; place < relays.count; place++)
		if (relays.links[place] == link)
			relays.links[place] = NULL;
}

/* ---- for the operator ---- */

int
ask_relay_explain(const struct w_relay_explain_req *question, void *arg)
{
	const struct route	 route = {
		.kind = ROUTE_RELAY, .text = __DECONST(char *, question->hop),
		.exchange = __DECONST(char *, question->exchange)
	};
	struct asking		*asking;
	struct link		*link;

	link = relays_link(lane_of_route(&route));
	if (link == NULL || link_credit(link, IMSG_RELAY_EXPLAIN_REQ) == 0)
		return -1;
	if ((asking = calloc(1, sizeof(*asking))) == NULL)
		fatal("asking");
	asking->arg = arg;
	TAILQ_INSERT_TAIL(&relays.askings, asking, entry);
	(void)link_ask(link, IMSG_RELAY_EXPLAIN_REQ, question, NULL, 0, -1,
	    asking);
	return 0;
}

void
relay_explain_forget(const void *arg)
{
	struct asking	*asking;

	TAILQ_FOREACH(asking, &relays.askings, entry)
		if (asking->arg == arg)
			asking->arg = NULL;
}

void
on_relay_explain_ans(struct link *link, struct frame *frame, void *arg)
{
	const struct w_relay_explain_ans	*answer = frame->payload;
	struct asking				*asking = arg;
	void					*asker = asking->arg;

	(void)link;
	TAILQ_REMOVE(&relays.askings, asking, entry);
	free(asking);
	if (asker == NULL)
		return;
	if (answer == NULL)
		control_relay_answer(asker, false, NULL, 0);
	else
		control_relay_answer(asker, answer->good != 0,
		    frame->tail_length > 0 ? frame->tail : "",
		    frame->tail_length);
}
