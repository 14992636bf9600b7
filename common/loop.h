/*
 * The event loop every process runs: libevent's core, one turn at a time.
 * What a turn gathered (answers, log lines, a batch for the disk) leaves in
 * the hooks at its end.
 */
#ifndef LOOP_H
#define LOOP_H

#include <stdint.h>

struct event;
struct event_base;

enum loop_stage {
	LOOP_WORK,	/* commit a batch, write replies; may ask for more */
	LOOP_LINKS,	/* frames leave */
	LOOP_LOGS,	/* log lines leave */
	LOOP_STAGES
};

/*
 * Make the loop; dies without memory.  libevent's own base is returned, for
 * event_new() and its like.
 */
struct event_base	*loop_new(void);

/*
 * Call fn(arg) at the end of every turn, stage by stage, in the order of
 * registration within one.
 */
void	loop_add_hook(enum loop_stage, void (*)(void *), void *);

/*
 * Have an event happen after so many microseconds, instead of when it was to
 * happen before.  Dies without memory.
 */
void	loop_after(struct event *, int64_t);

/*
 * Have one more turn at once, even if nothing is ready.
 */
void	loop_again(void);

/*
 * Turn until loop_stop(); returns its argument.
 */
int	loop_run(struct event_base *);
void	loop_stop(int);

#endif
