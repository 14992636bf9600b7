/*
 * Guards a neighbour against the message that kills it.  What was out when a
 * neighbour died is suspect and goes to the next one alone; a suspect that
 * was out alone when that one died as well is poison.
 */
#include "spoold.h"

/* While a suspect waits or is out, there is one thing out at a time. */
bool
gate_open(const struct gate *gate)
{
	return gate->suspects == 0 || gate->out == 0;
}

void
gate_sent(struct gate *gate)
{
	gate->out++;
}

/* It is suspect no longer: it was answered, or has left. */
void
gate_clear(struct recipient *recipient)
{
	if (recipient->suspect != NULL)
		recipient->suspect->suspects--;
	recipient->suspect = NULL;
}

void
gate_answered(struct gate *gate, struct recipient *recipient)
{
	gate->out--;
	gate_clear(recipient);
}

/*
 * The neighbour died with this out; called for each that was.  Returns true
 * if it is poison.
 */
bool
gate_lost(struct gate *gate, struct recipient *recipient)
{
	bool	 alone = gate->out == 1 && !gate->dying;

	gate->dying = --gate->out > 0;
	recipient->first_try = false;
	if (recipient->suspect == gate && alone) {
		gate_clear(recipient);
		return true;
	}
	if (recipient->suspect == NULL) {
		recipient->suspect = gate;
		gate->suspects++;
	}
	return false;
}
