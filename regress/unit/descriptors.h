/*
 * For tests of leaks.
 */
#ifndef DESCRIPTORS_H
#define DESCRIPTORS_H

/*
 * How many are open, the one that it takes to look among them.
 */
int	descriptors(void);

#endif
