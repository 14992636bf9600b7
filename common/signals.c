/*
 * All signals as a process begins with them.  The kernel is asked itself, since
 * libc keeps two signals from everybody, and those may be ignored as well.
 */
#include <sys/syscall.h>

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include "signals.h"

void
signals_reset(void)
{
	static const struct {		/* as the kernel has it; all default */
		void		(*handler)(int);
		unsigned long	 flags;
		void		(*restorer)(void);
		uint64_t	 mask;
	} action;
	sigset_t	 none;
	int		 number;

	for (number = 1; number < NSIG; number++)
		(void)syscall(SYS_rt_sigaction, number, &action, NULL,
		    sizeof(action.mask));
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}
