/*
 * Recipients in memory, and the one place where their state changes.
 *
 *   OUTSIDE --enter--> READY --ask--> ROUTING --answer--> ROUTED
 *      ^                 ^               |  |               |  |
 *      |                 '----lost-------'  |               | give
 *      |                                    v               v  v
 *      '------- queue_leave ---------- ENDING <--result-- OUT
 *                                                 |        |
 *                 ROUTED <--lost, needs another worker-----'
 *
 * enter   queue_enter()               ask     attempt_pump()
 * answer  on_route_resolve_ans()      give    ask_job(), ask_relay()
 * result  outcome_add()               lost    the NULL frame of a dead link
 * A row leaves ENDING only when the transaction that stores its result has
 * been committed; one that is withdrawn by the operator goes to OUTSIDE from
 * READY, ROUTING or ROUTED.
 */
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "spoold.h"

#define BIT(state)	(1U << (state))

/* For each state, those that may follow. */
static const unsigned int follows[] = {
	[RECIPIENT_OUTSIDE] = BIT(RECIPIENT_READY) | BIT(RECIPIENT_ENDING),
	[RECIPIENT_READY] = BIT(RECIPIENT_ROUTING) | BIT(RECIPIENT_ROUTED) |
	    BIT(RECIPIENT_ENDING) | BIT(RECIPIENT_OUTSIDE),
	[RECIPIENT_ROUTING] = BIT(RECIPIENT_ROUTED) | BIT(RECIPIENT_READY) |
	    BIT(RECIPIENT_ENDING) | BIT(RECIPIENT_OUTSIDE),
	[RECIPIENT_ROUTED] = BIT(RECIPIENT_OUT) | BIT(RECIPIENT_ENDING) |
	    BIT(RECIPIENT_OUTSIDE),
	[RECIPIENT_OUT] = BIT(RECIPIENT_ROUTED) | BIT(RECIPIENT_ENDING),
	[RECIPIENT_ENDING] = BIT(RECIPIENT_OUTSIDE)
};

static char *
copy(const char *text)
{
	char	*result = strdup(text);

	if (result == NULL)
		fatal("recipient");
	return result;
}

/* Make one at the end of its message; what is not given is empty. */
struct recipient *
recipient_new(struct message *message, uint32_t row, const char *address)
{
	struct recipient	*recipient;

	if ((recipient = calloc(1, sizeof(*recipient))) == NULL)
		fatal("recipient");
	TAILQ_INIT(&recipient->also);
	recipient->message = message;
	recipient->row = row;
	recipient->address = copy(address);
	recipient->target = copy("");
	recipient->original = copy(address);
	recipient->account = copy("");
	recipient->orcpt = copy("");
	TAILQ_INSERT_TAIL(&message->recipients, recipient, of_message);
	return recipient;
}

void
route_free(struct route *route)
{
	if (route == NULL)
		return;
	free(route->account);
	free(route->extension);
	free(route->domain);
	free(route->address);
	free(route->text);
	free(route->exchange);
	free(route->where);
	free(route);
}

void
recipient_free(struct recipient *recipient)
{
	if (recipient == NULL)
		return;
	gate_clear(recipient);
	lane_leave(recipient);
	route_free(recipient->route);
	free(recipient->address);
	free(recipient->target);
	free(recipient->original);
	free(recipient->account);
	free(recipient->sender);
	free(recipient->orcpt);
	free(recipient);
}

/* The only assignment to state. */
void
recipient_set(struct recipient *recipient, enum recipient_state state)
{
	bool	 was_routing, is_routing;

	if ((follows[recipient->state] & BIT(state)) == 0)
		fatalx("recipient: state %d cannot follow %d", (int)state,
		    (int)recipient->state);
	was_routing = recipient->state == RECIPIENT_READY ||
	    recipient->state == RECIPIENT_ROUTING;
	is_routing = state == RECIPIENT_READY || state == RECIPIENT_ROUTING;
	if (is_routing && !was_routing)
		recipient->message->routing++;
	if (was_routing && !is_routing)
		recipient->message->routing--;
	recipient->state = state;
}

/* The envelope sender it is sent under. */
const char *
recipient_sender(const struct recipient *recipient)
{
	return recipient->sender != NULL ? recipient->sender :
	    recipient->message->sender;
}
