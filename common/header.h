/*
 * The header of a message, RFC 5322: its fields, and the addresses in them.
 * Pure functions over text that is all there; lines may end in CRLF or LF,
 * fields may be folded.  Nothing is repaired that was not asked for.
 */
#ifndef HEADER_H
#define HEADER_H

#include <stdbool.h>
#include <stddef.h>

#define HEADER_ADDRESS	1024	/* the longest address taken, with its NUL */

/* A field where it stands; all of it points into the text. */
struct header_field {
	const char	*start;		/* its first octet */
	size_t		 length;	/* with the end of its last line */
	size_t		 name_length;	/* the name begins at start */
	const char	*value;		/* behind the colon, folds and all */
	size_t		 value_length;	/* without the end of the last line */
};

/*
 * Take the field at *text, which advances with *length.  Returns 1 with a
 * field, 0 at the end (of the text, or at the empty line that ends the
 * header, where *text then stands), -1 if the line at *text is no field.
 */
int	header_next(const char **, size_t *, struct header_field *);

/*
 * Is this the field's name?  Without case.
 */
bool	header_is(const struct header_field *, const char *);

/*
 * The first field of this name.  Returns 0, or -1 if there is none before
 * the header ends.
 */
int	header_find(const char *, size_t, const char *, struct header_field *);

/*
 * How long the header is: up to the empty line or the first line that is no
 * field.  *rest, if not NULL, is how far the empty line reaches as well, or
 * the same where there is none.
 */
size_t	header_length(const char *, size_t, size_t *);

/*
 * Copy a field's value without folds and without blanks at either end, cut to
 * the size given.  Returns what would have been copied, as strlcpy(3) does.
 */
size_t	header_unfold(const struct header_field *, char *, size_t);

/*
 * A walk over the addresses of a list, group members included.
 */
struct header_list {
	const char	*at;
	const char	*end;
};

struct header_mailbox {
	/* local@domain, or a bare name: as written, without comments, blanks
	 * and source route; "" is the null path <> */
	char		 address[HEADER_ADDRESS];
	bool		 bare;		/* a name without domain */
	const char	*behind;	/* where its domain would be written */
};

void	header_list_begin(struct header_list *, const char *, size_t);

/*
 * Returns 1 with the next address, 0 at the end, -1 for an item that is none
 * (address then holds as much of it as fits); the walk goes on behind it.
 */
int	header_list_next(struct header_list *, struct header_mailbox *);

/*
 * The value of an address list with every bare address completed by @domain
 * and everything else as it was.  Returns malloc(3)ed text of *length octets
 * and a NUL, or NULL without memory.
 */
char	*header_qualify(const char *, size_t, const char *, size_t *);

#endif
