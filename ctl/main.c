/*
 * One program, many names.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "log.h"

static const struct personality {
	const char	 *name;
	int		(*main)(int, char **);
} personalities[] = {
	{ "sendmail", sendmail_main },
	{ "send-mail", sendmail_main },
	{ "mailq", mailq_main },
	{ "runq", runq_main },
	{ "newaliases", newaliases_main },
	{ "rmail", rmail_main },
	{ "postctl", postctl_main },
};

int
main(int argc, char **argv)
{
	const char	*name = argc > 0 ? strrchr(argv[0], '/') : NULL;
	int		 code;

	name = name != NULL ? name + 1 : argc > 0 ? argv[0] : "sendmail";
	log_start(name, true);
	/* A reader that went away is met where we write. */
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(personalities) /
	    sizeof(personalities[0]); i++)
		if (strcmp(personalities[i].name, name) == 0) {
			code = personalities[i].main(argc, argv);
			fflush(stdout);
			return code;
		}
	return sendmail_main(argc, argv);
}
