/*
 * Guards a neighbour against the message that kills it.  What was out when a
 * neighbour died is suspect and goes to the next one alone; a suspect that
 * was out alone when that one died as well is poison.
 *
 * What is out alone for long, since its next hop is slow, say, does not stop
 * all else: the next may go as well.  How long is doubled at each death that
 * is nobody's fault, so that what kills slowly is found in time.
 */
#include "clock.h"
#include "spoold.h"

#define PATIENCE	(1 * SECOND)
#define DOUBLED_MAX	12

static struct {
	uint32_t	 suspects;	/* of all */
} gates;

/* While a suspect waits or is out, there is one thing out at a time. */
bool
gate_open(const struct gate *gate)
{
	return gate->suspects == 0 || gate->out == 0 ||
	    clock_monotonic() - gate->sent > PATIENCE << gate->doubled;
}

void
gate_sent(struct gate *gate)
{
	gate->out++;
	if (gate->suspects > 0)
		gate->sent = clock_monotonic();
}

/* Does one wait that may go when another takes its time? */
bool
gate_any_suspect(void)
{
	return gates.suspects > 0;
}

/* It is suspect no longer: it was answered, or has left. */
void
gate_clear(struct recipient *recipient)
{
	struct gate	*gate = recipient->suspect;

	recipient->suspect = NULL;
	if (gate == NULL)
		return;
	gates.suspects--;
	if (--gate->suspects == 0)
		gate->doubled = 0;
}

void
gate_answered(struct gate *gate, struct recipient *recipient)
{
	gate->out--;
	gate_clear(recipient);
}

/*
 * The link went with this out; called for each that was.  Returns true if it
 * is poison: it was out alone, and the neighbour may have died of it.
 */
bool
gate_lost(struct gate *gate, struct recipient *recipient, bool died)
{
	bool	 alone = gate->out == 1 && !gate->dying;

	if (!gate->dying && !alone && gate->suspects > 0 &&
	    gate->doubled < DOUBLED_MAX)
		gate->doubled++;
	gate->dying = --gate->out > 0;
	recipient->first_try = false;
	if (recipient->suspect == gate && alone && died) {
		gate_clear(recipient);
		return true;
	}
	if (recipient->suspect == NULL) {
		recipient->suspect = gate;
		gate->suspects++;
		gates.suspects++;
	}
	return false;
}
