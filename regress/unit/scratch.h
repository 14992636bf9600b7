/*
 * A folder for a test alone, made by mkdtemp(3).
 */
#ifndef SCRATCH_H
#define SCRATCH_H

/*
 * Remove it and all that is in it, from outside.  0, or what a teardown says of
 * a failure.
 */
int	scratch_remove(const char *);

#endif
