/*
 * Reading files that decide about mail: tables, aliases and what they
 * include.  Such a file must be regular, belong to root or to the reader and
 * be writable by nobody else.
 */
#ifndef SAFEFILE_H
#define SAFEFILE_H

#include <stddef.h>
#include <sys/stat.h>

/*
 * Read the file whole into *text (malloc, with a NUL behind its *length
 * octets) and its state into *st.  Returns 0; or -1 with errno and *why, a
 * static string: errno ENOENT if there is none, EPERM if it is unsafe, EFBIG
 * if it has more octets than the limit.  Nothing in it blocks on a fifo or a
 * device.
 */
int	safefile_read(const char *, size_t, char **, size_t *, struct stat *,
	    const char **);

#endif
