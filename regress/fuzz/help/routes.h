/*
 * What policyd decides by, made of text: route lines, aliases, one list that
 * is included by any name, and four accounts.
 */
#ifndef ROUTES_H
#define ROUTES_H

#include <stdbool.h>

#include "policyd/policyd.h"

struct fuzz_input;

/* Look-ups in what was read last. */
extern const struct world routes_world;

/*
 * Take three parts of the input, each up to its NUL: the lines, the aliases,
 * the list.  What is returned is good until routes_free().
 */
const struct settings	*routes_read(struct fuzz_input *);
void	routes_free(void);

/* There were no lines. */
bool	routes_are_none(void);

/* How many look-ups there have been since they were read. */
unsigned long	routes_looks(void);

#endif
