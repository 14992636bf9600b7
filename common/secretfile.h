/*
 * The file of logins: lines of "key login password" or "key sender login
 * password", words quoted as in the configuration.  Complaints never hold
 * what stands in a line.
 */
#ifndef SECRETFILE_H
#define SECRETFILE_H

#include <stddef.h>
#include <stdio.h>

#define SECRETFILE_MAX	(1024 * 1024)	/* octets of the file */
#define SECRETFILE_WORD	1000		/* octets of a login or a password */

/* Valid within the call. */
struct secretfile_entry {
	const char	*key;		/* a [relay]'s name, or a host's */
	const char	*sender;	/* "" any, user@domain or @domain */
	const char	*login;
	const char	*password;
	int		 line;
};

typedef void	(*secretfile_fn)(const struct secretfile_entry *, void *);

/*
 * Call the function for each entry in length octets of text called name.  A
 * wrong line is left out and complained of, as name:line:column, to the
 * stream, which may be NULL, as may the function.  Returns how many lines
 * are wrong.  No two entries have the same key and sender.
 */
int	secretfile_read(const char *, const char *, size_t, secretfile_fn,
	    void *, FILE *);

#endif
