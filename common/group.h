/*
 * The groups of a user, straight from group(5) where nothing else that
 * nsswitch.conf(5) names has a say: the answer is that of getgrouplist(3) and
 * getgrgid_r(3), which read that file twice and then ask each service behind
 * it, at twenty times the cost.
 */
#ifndef GROUP_H
#define GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct groups {
	gid_t	*all;		/* the user's own first, none twice */
	size_t	 count;
	bool	 own;		/* the first is named after the user, and has
				   no other member */
};

/*
 * Look up the groups of a name whose own group is this one.  Returns 0, or
 * -1 with errno; groups_free() releases.
 */
int	groups_find(const char *, gid_t, struct groups *);
void	groups_free(struct groups *);

/*
 * The same without libc: false where it would have to be asked.
 */
bool	groups_find_here(const char *, gid_t, struct groups *);

/*
 * The same from a file of this form: returns 1, 0 if any of it is unusual
 * enough that libc may take it otherwise, or -1 with errno.
 */
int	groups_in_file(const char *, const char *, gid_t, struct groups *);

/*
 * Is the file all there is?  Of the configuration at the first path (as
 * nsswitch.conf(5)): it names files alone, or systemd behind, which below the
 * directory of the second path has nothing that could add a member.
 */
bool	groups_are_files(const char *, const char *);

/* That of this system, now. */
bool	groups_are_here(void);

#endif
