/*
 * nsswitch.conf(5), its lines taken apart as libc does.
 */
#ifndef NSSWITCH_H
#define NSSWITCH_H

struct stat;

#define NSSWITCH	"/etc/nsswitch.conf"

/*
 * What a line says of this database ("passwd"): its services and reactions,
 * separated by blanks; NULL if it is about something else.  Cuts off the
 * line's comment.
 */
char	*nsswitch_services(char *, const char *);

/*
 * Is the file at this path another than the one that is known?  Then it is
 * from now on.  Returns 1 if so, 0, or -1 with errno.
 */
int	 nsswitch_is_new(const char *, struct stat *);

#endif
