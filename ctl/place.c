/*
 * Where the sockets and files are that the commands need.  The configuration
 * is asked, but nothing depends on it: the commands work while it is broken.
 */

#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "ctl.h"

#define RUN_DIRECTORY	"/run/postmaster"
#define SPOOL_DIRECTORY	"/var/spool/postmaster"
#define ALIAS_FILE	"/etc/aliases"

void
place_find(const char *file, struct place *place)
{
	struct conf		*conf;
	struct conf_section	*core;
	const char		*run, *spool;

	memset(place, 0, sizeof(*place));
	conf = conf_read(file != NULL ? file : PLACE_CONFIGURATION, NULL);
	core = conf_section(conf, "core", NULL);
	run = conf_string(core, "run-directory", RUN_DIRECTORY);
	spool = conf_string(core, "spool-directory", SPOOL_DIRECTORY);
	snprintf(place->submit, sizeof(place->submit), "%s/submit", run);
	snprintf(place->control, sizeof(place->control), "%s/control", run);
	snprintf(place->drop, sizeof(place->drop), "%s.drop", spool);
	snprintf(place->alias_file, sizeof(place->alias_file), "%s",
	    conf_string(core, "alias-file", ALIAS_FILE));
	conf_free(conf);
}
