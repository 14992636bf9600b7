/*
 * A world made of text, for the tests of what policyd decides: tables, names,
 * aliases, lists and accounts.
 */
#ifndef ROUTE_WORLD_H
#define ROUTE_WORLD_H

#include "policyd/policyd.h"

#define TABLES_MAX	8

struct fake {
	struct conf	*conf;
	struct settings	*settings;
	struct aliases	*aliases;
	struct alias_list news, wild, round, none;
	bool		 no_aliases;
	struct {
		const char	*name;
		struct lines	*lines;
	} tables[TABLES_MAX];
	size_t		 count;
};

extern struct fake fake;
extern const struct world world;

/*
 * For cmocka_run_group_tests().
 */
int	make_world(void **);
int	drop_world(void **);

#endif
