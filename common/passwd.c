/*
 * One line of passwd(5), found by its bytes.  Whatever is out of the ordinary
 * is left to the system's own look-up.
 *
 * A line that is found here is what getpwnam_r(3) answers where all of this
 * holds: nsswitch.conf(5) asks the files first and has no reaction in [ ]
 * behind them (passwd_files_first()); no nscd(8) answers in their place with
 * what the file said some time ago; and no line before it says the same name
 * after leading blanks, which only libc would pass over.  The line has seven
 * fields, both numbers in plain digits, and fewer octets than CHUNK.  That
 * nothing is found says nothing: libc is asked then.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "account.h"
#include "nsswitch.h"
#include "passwd.h"

#define CHUNK	16384		/* octets; longer lines are not for us */

/* A piece of the file; begins with the LF before a line. */
struct piece {
	char	 octets[CHUNK + 1];
	size_t	 used;
	bool	 at_end;
};

/* Read more behind what is there. */
static int
fill(struct piece *piece, int fd)
{
	ssize_t n;

	do
		n = read(fd, piece->octets + piece->used, CHUNK - piece->used);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return -1;
	piece->at_end = n == 0;
	piece->used += (size_t)n;
	return 0;
}

/* Forget all before this octet. */
static void
shift(struct piece *piece, const char *start)
{
	piece->used -= (size_t)(start - piece->octets);
	memmove(piece->octets, start, piece->used);
}

/* Have the line that begins with LF and these words; NULL if there is none. */
static char *
find(struct piece *piece, int fd, const char *words, size_t length,
    int *result)
{
	char *start, *end;

	*result = 0;
	piece->octets[0] = '\n';
	piece->used = 1;
	for (;;) {
		if ((*result = fill(piece, fd)) == -1)
			return NULL;
		start = memmem(piece->octets, piece->used, words, length);
		if (start != NULL)
			break;
		if (piece->at_end)
			return NULL;
		if (piece->used >= length)
			shift(piece, piece->octets + piece->used - length + 1);
	}
	shift(piece, start);
	while ((end = memchr(piece->octets + 1, '\n', piece->used - 1)) ==
	    NULL && !piece->at_end) {
		if (piece->used == CHUNK)
			return NULL;
		if ((*result = fill(piece, fd)) == -1)
			return NULL;
	}
	*(end != NULL ? end : piece->octets + piece->used) = '\0';
	return piece->octets + 1;
}

/* A number as all programs print it. */
static int
take_number(const char *text, uid_t *number)
{
	unsigned long value;
	char *end;

	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (*end != '\0' || errno != 0 || value >= UINT_MAX)
		return -1;
	*number = (uid_t)value;
	return 0;
}

/* Take a line apart; 1, 0 if that is not for us, or -1 with errno. */
static int
take_apart(const char *line, struct account *account)
{
	enum { NAME, PASSWORD, UID, GID, GECOS, HOME, SHELL, FIELDS };
	struct account taken = { 0 };
	char *fields[FIELDS], *rest;
	size_t i;

	if ((rest = taken.strings = strdup(line)) == NULL)
		return -1;
	for (i = 0; i < FIELDS; i++)
		if ((fields[i] = strsep(&rest, ":")) == NULL)
			goto fail;
	if (rest != NULL || take_number(fields[UID], &taken.uid) == -1 ||
	    take_number(fields[GID], &taken.gid) == -1)
		goto fail;
	taken.name = fields[NAME];
	taken.gecos = fields[GECOS];
	taken.home = fields[HOME];
	taken.shell = fields[SHELL];
	if (account != NULL)
		*account = taken;
	else
		free(taken.strings);
	return 1;
fail:
	free(taken.strings);
	return 0;
}

int
passwd_find(const char *path, const char *name, struct account *account)
{
	struct piece piece;
	char words[NAME_MAX + 3], *line;
	int fd, length, result, saved;

	length = snprintf(words, sizeof(words), "\n%s:", name);
	/* Names with a sign mean more than an account. */
	if ((size_t)length >= sizeof(words) || strchr("+-", *name) != NULL)
		return 0;
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return -1;
	line = find(&piece, fd, words, (size_t)length, &result);
	saved = errno;
	close(fd);
	errno = saved;
	return line == NULL ? result : take_apart(line, account);
}

bool
passwd_files_first(const char *path)
{
	FILE *file;
	char *line = NULL, *words, *word, *rest;
	size_t size = 0;
	bool first = false;

	if ((file = fopen(path, "re")) == NULL)
		return false;
	while (getline(&line, &size, file) != -1) {
		if ((words = nsswitch_services(line, "passwd")) == NULL)
			continue;
		word = strtok_r(words, " \t", &rest);
		first = word != NULL && strcmp(word, "files") == 0;
		/* [SUCCESS=continue] and the like change what is taken. */
		word = strtok_r(NULL, " \t", &rest);
		if (word != NULL && *word == '[')
			first = false;
	}
	free(line);
	(void)fclose(file);
	return first;
}
