/*
 * A test in a process of its own, for what cannot be undone: a jail.
 */
#ifndef APART_H
#define APART_H

struct CMUnitTest;

/*
 * Run it there; fails if it does.
 */
void	run_apart(const struct CMUnitTest *);

#endif
