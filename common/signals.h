/*
 * Signals of a process that was just forked, or is to run another program.
 */
#ifndef SIGNALS_H
#define SIGNALS_H

/*
 * Default actions for all signals, none blocked; whoever started us may have
 * ignored or blocked some.
 */
void	signals_reset(void);

#endif
