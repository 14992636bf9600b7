/*
 * Who gets which part of the configuration: no process reads what it need
 * not know.  Parts keep the lines of the file they come from.
 */
#include <sys/mman.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "postmaster.h"

#define PARTS_MAX	5

static const char *const parts[PROC_MAX][PARTS_MAX] = {
	[PROC_SMTPD]	= { "core", "smtpd" },
	[PROC_POLICYD]	= { "core", "smtpd", "pipe", "relay", "route" },
	[PROC_SPOOLD]	= { "core", "relay" },
	[PROC_RELAY]	= { "core", "relay" },
	[PROC_DELIVER]	= { "core", "pipe" }
};

/* Does this route hold what deliver must have of its own? */
static bool
is_delivery(const struct conf_route *route)
{
	static const char *const calls[] = { "pipe(", "maildir(", "mbox(" };
	size_t i, j;

	for (i = 0; route->left != NULL && i < route->count; i++)
		for (j = 0; j < sizeof(calls) / sizeof(calls[0]); j++)
			if (strncasecmp(route->targets[i].text, calls[j],
			    strlen(calls[j])) == 0)
				return true;
	return false;
}

static bool
is_wanted(const struct conf_section *section, const struct conf_route *route,
    void *arg)
{
	enum process process = *(enum process *)arg;
	int i;

	for (i = 0; i < PARTS_MAX && parts[process][i] != NULL; i++)
		if (strcmp(parts[process][i], section->type) == 0)
			return true;
	return process == PROC_DELIVER && route != NULL && is_delivery(route);
}

int
part_print(const struct conf *conf, enum process process, FILE *out)
{
	return conf_print_placed(conf, is_wanted, &process, out);
}

int
part_open(const struct conf *conf, enum process process)
{
	FILE *out = NULL;
	int fd, copy = -1, saved;

	fd = memfd_create("postmaster.cf", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd == -1 || (copy = fcntl(fd, F_DUPFD_CLOEXEC, 0)) == -1 ||
	    (out = fdopen(copy, "w")) == NULL)
		goto fail;
	copy = -1;
	if (part_print(conf, process, out) == -1 || fflush(out) == EOF ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK |
	    F_SEAL_GROW | F_SEAL_SEAL) == -1)
		goto fail;
	fclose(out);
	return fd;
fail:
	saved = errno;
	if (out != NULL)
		fclose(out);
	if (copy != -1)
		close(copy);
	if (fd != -1)
		close(fd);
	errno = saved;
	return -1;
}
