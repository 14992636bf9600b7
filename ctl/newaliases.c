/*
 * newaliases: there is no database to make; the alias file is checked.
 */

#include <sys/stat.h>

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "aliases.h"
#include "ctl.h"
#include "safefile.h"

#define ALIAS_FILE_MAX	(64 * 1024 * 1024)

static void
complain(void *argument, int line, int column, const char *what)
{
	const struct place	*place = argument;

	fprintf(stderr, "%s:%d:%d: %s\n", place->alias_file, line, column,
	    what);
}

int
newaliases_check(const struct place *place)
{
	struct place	 named = *place;
	struct aliases	*aliases;
	struct stat	 st;
	const char	*why;
	char		*text;
	size_t		 length;
	int		 code;

	if (safefile_read(place->alias_file, ALIAS_FILE_MAX, &text, &length,
	    &st, &why) == -1) {
		code = errno == ENOENT ? EX_OK : EX_NOINPUT;
		warnx("%s: %s", place->alias_file, code == EX_OK ?
		    "there is none; no alias is known" : why);
		return code;
	}
	aliases = aliases_parse(text, length, complain, &named);
	printf("%s: %zu alias%s\n", place->alias_file, aliases->count,
	    aliases->count == 1 ? "" : "es");
	code = aliases->wrong > 0 ? EX_DATAERR : EX_OK;
	aliases_free(aliases);
	free(text);
	return code;
}

int
newaliases_main(int argc, char **argv)
{
	struct options	options;
	struct place	place;

	options_take(argc, argv, &options);
	place_find(options.configuration, &place);
	return newaliases_check(&place);
}
