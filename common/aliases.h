/*
 * Lists of members as aliases(5), forward(5) and their :include: files hold
 * them.  Text in, members with their places out: nothing is opened, looked
 * up or executed here.
 *
 * A member is what stands between commas.  Blank around it is dropped;
 * (comments) outside of quotes are dropped; "Phrase <address>" is the
 * address.  One that starts with a quote which ends at its own end is
 * unquoted: "|/usr/bin/vacation -a, joe" is the member
 * |/usr/bin/vacation -a, joe, and so is |"/usr/bin/vacation -a, joe".  Inside
 * such quotes a backslash keeps the next octet as it is if that is a quote or
 * a backslash, and stands for itself otherwise.  "joe doe"@example.org keeps
 * its quotes.  A member that starts with | without a quote goes on to the
 * next comma or the end of the line.  # at the start of a line (after blank)
 * makes the line a comment.  What a member means is target_parse_member()'s
 * business; one that it refuses, or whose address is none, is complained of.
 */
#ifndef ALIASES_H
#define ALIASES_H

#include <stdbool.h>
#include <stddef.h>

#include "target.h"

struct alias_member {
	struct target target;	/* of target_parse_member() */
	int	 line;		/* both from 1 */
	int	 column;
};

struct alias_list {
	struct alias_member *members;
	size_t	 count;
};

/* name: member, member ... */
struct alias {
	char	*name;			/* as written, unquoted */
	struct alias_list list;
	int	 line;
	int	 column;
	bool	 broken;		/* complained of: not to be used */
};

/* A whole alias file, in the order of names without case. */
struct aliases {
	struct alias *entries;
	size_t	 count;
	int	 wrong;			/* complaints */
};

/*
 * Called for each complaint with the place and what is wrong there, which is
 * valid during the call only.
 */
typedef void	(*alias_complain_fn)(void *, int, int, const char *);

/*
 * Parse length octets of a .forward or :include: file: lists of members, as
 * many lines as there are.  The list holds what could be understood; returns
 * the number of complaints, so 0 is a sound file.  complain may be NULL.
 * Dies without memory.
 */
int		 alias_list_parse(const char *, size_t, alias_complain_fn,
		    void *, struct alias_list *);
void		 alias_list_free(struct alias_list *);

/*
 * Parse length octets of an alias file.  Lines that start with blank continue
 * the one before; there a line's end separates members as a comma does.  A
 * name that stands twice is complained of at the second, and the first holds.
 * Never NULL; look at ->wrong and at ->broken of an entry.
 */
struct aliases	*aliases_parse(const char *, size_t, alias_complain_fn,
		    void *);
void		 aliases_free(struct aliases *);

/*
 * The entry of this name, compared without case, or NULL.
 */
const struct alias	*aliases_find(const struct aliases *, const char *);

#endif
