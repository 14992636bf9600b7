/*
 * Files of the drop directory: their envelope, and how one comes to be there
 * whole or not at all.  Who submits them, and as whom, is not known here.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dropfile.h"

/* Values that occur once, and where they go. */
struct drop_field {
	char	 letter;
	size_t	 offset;
	size_t	 size;
};

#define FIELD(letter, member) \
	{ letter, offsetof(struct dropfile, member), \
	    sizeof(((struct dropfile *)NULL)->member) }

static const struct drop_field drop_fields[] = {
	FIELD('S', sender),
	FIELD('N', notify),
	FIELD('R', ret),
	FIELD('V', envid),
};

#define FIELDS	(sizeof(drop_fields) / sizeof(drop_fields[0]))

/* Can this stand in a line? */
static bool
drop_value_ok(const char *value)
{
	const char	*p;

	for (p = value; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 127)
			return false;
	return p - value < DROPFILE_VALUE - 2;
}

/* Take a recipient into the list. */
static int
drop_add_recipient(struct dropfile *drop, const char *value)
{
	char	**bigger, *copy;

	if (drop->count == DROPFILE_RECIPIENTS)
		return -1;
	bigger = reallocarray(drop->recipients, drop->count + 1,
	    sizeof(*bigger));
	if (bigger == NULL)
		return -1;
	drop->recipients = bigger;
	if ((copy = strdup(value)) == NULL)
		return -1;
	drop->recipients[drop->count++] = copy;
	return 0;
}

/* Take one line of the envelope; returns what is wrong with it, or NULL. */
static const char *
drop_take_line(struct dropfile *drop, const char *line, bool *seen)
{
	const char	*value = line + 2;
	char		*to;
	size_t		 i;

	if (line[0] == '\0' || line[1] != ' ')
		return "a line is no letter and a value";
	if (!drop_value_ok(value))
		return "a value holds control characters";
	if (line[0] == 'T')
		return drop_add_recipient(drop, value) == 0 ? NULL :
		    "too many recipients";
	if (line[0] == 'B') {
		drop->eight_bit = strcmp(value, "8BITMIME") == 0;
		return NULL;
	}
	for (i = 0; i < FIELDS; i++)
		if (drop_fields[i].letter == line[0])
			break;
	if (i == FIELDS)
		return "a letter is unknown";
	if (seen[i])
		return "a value is given twice";
	if (strlen(value) >= drop_fields[i].size)
		return "a value is too long";
	seen[i] = true;
	to = (char *)drop + drop_fields[i].offset;
	memcpy(to, value, strlen(value) + 1);
	return NULL;
}

int
dropfile_read(FILE *file, struct dropfile *drop, const char **why)
{
	char	 line[DROPFILE_VALUE + 2];
	bool	 seen[FIELDS] = { false };
	size_t	 length;

	memset(drop, 0, sizeof(*drop));
	*why = NULL;
	while (fgets(line, sizeof(line), file) != NULL) {
		length = strlen(line);
		if (length == 0 || line[length - 1] != '\n') {
			*why = "a line is too long or not ended";
			goto out;
		}
		line[length - 1] = '\0';
		if (line[0] == '\0') {
			if (!seen[0])
				*why = "no sender";
			else if (drop->count == 0)
				*why = "no recipient";
			goto out;
		}
		if ((*why = drop_take_line(drop, line, seen)) != NULL)
			goto out;
	}
	*why = "the envelope has no end";
out:
	if (*why == NULL)
		return 0;
	dropfile_free(drop);
	return -1;
}

void
dropfile_free(struct dropfile *drop)
{
	size_t	i;

	for (i = 0; i < drop->count; i++)
		free(drop->recipients[i]);
	free(drop->recipients);
	drop->recipients = NULL;
	drop->count = 0;
}

/* Write the envelope. */
static int
drop_write_envelope(FILE *file, const struct dropfile *drop)
{
	const char	*value;
	size_t		 i;

	for (i = 0; i < FIELDS; i++) {
		value = (const char *)drop + drop_fields[i].offset;
		if (!drop_value_ok(value)) {
			errno = EINVAL;
			return -1;
		}
		if (value[0] != '\0' || drop_fields[i].letter == 'S')
			fprintf(file, "%c %s\n", drop_fields[i].letter, value);
	}
	if (drop->eight_bit)
		fputs("B 8BITMIME\n", file);
	for (i = 0; i < drop->count; i++) {
		if (!drop_value_ok(drop->recipients[i])) {
			errno = EINVAL;
			return -1;
		}
		fprintf(file, "T %s\n", drop->recipients[i]);
	}
	putc('\n', file);
	return ferror(file) ? -1 : 0;
}

/* Compose a path; the clock and the pid make the name, a count helps. */
static int
drop_path(const char *directory, const char *prefix, int try, char *path,
    size_t size)
{
	struct timespec	 now;

	clock_gettime(CLOCK_REALTIME, &now);
	if ((size_t)snprintf(path, size, "%s/%s%lld.%09ld.%ld.%d", directory,
	    prefix, (long long)now.tv_sec, now.tv_nsec, (long)getpid(),
	    try) >= size) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

/*
 * Open a file without a name; where the file system has none, one whose name
 * begins with a dot, which is not taken for a message.
 */
static int
drop_open(const char *directory)
{
	char	 path[PATH_MAX];
	int	 fd, try;

	fd = open(directory, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (fd != -1 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd;
	for (try = 0; fd == -1 && try < 100; try++) {
		if (drop_path(directory, ".", try, path, sizeof(path)) == -1)
			return -1;
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW |
		    O_CLOEXEC, 0600);
		if (fd == -1 && errno != EEXIST)
			return -1;
	}
	return fd;
}

/* The name that the file already has, or "". */
static void
drop_hidden_path(int fd, char *path, size_t size)
{
	struct stat	 st;
	char		 proc[32];
	ssize_t		 length;

	path[0] = '\0';
	if (fstat(fd, &st) == -1 || st.st_nlink == 0)
		return;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	length = readlink(proc, path, size);
	path[length == -1 || (size_t)length == size ? 0 : length] = '\0';
}

FILE *
dropfile_create(const char *directory, const struct dropfile *drop)
{
	FILE	*file;
	int	 fd, saved;

	if ((fd = drop_open(directory)) == -1)
		return NULL;
	if (fchmod(fd, 0600) == -1 || (file = fdopen(fd, "r+")) == NULL) {
		saved = errno;
		close(fd);
		errno = saved;
		return NULL;
	}
	if (drop_write_envelope(file, drop) == -1) {
		saved = errno;
		dropfile_abandon(file);
		errno = saved;
		return NULL;
	}
	return file;
}

/* Give the file its name. */
static int
drop_link(int fd, const char *directory, char *path, size_t size)
{
	char	 proc[32], hidden[PATH_MAX], *dot;
	int	 try;

	drop_hidden_path(fd, hidden, sizeof(hidden));
	if (hidden[0] != '\0' && (dot = strrchr(hidden, '/')) != NULL) {
		/* The name without its dot is ours as the hidden one is. */
		if ((size_t)snprintf(path, size, "%s/%s", directory,
		    dot + 2) >= size) {
			errno = ENAMETOOLONG;
			return -1;
		}
		return rename(hidden, path);
	}
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	for (try = 0; try < 100; try++) {
		if (drop_path(directory, "", try, path, size) == -1)
			return -1;
		if (linkat(AT_FDCWD, proc, AT_FDCWD, path,
		    AT_SYMLINK_FOLLOW) == 0)
			return 0;
		if (errno != EEXIST)
			return -1;
	}
	return -1;
}

int
dropfile_commit(FILE *file, const char *directory)
{
	char	 path[PATH_MAX];
	int	 fd = fileno(file), saved;

	path[0] = '\0';
	if (fflush(file) == EOF || ferror(file) || fsync(fd) == -1 ||
	    drop_link(fd, directory, path, sizeof(path)) == -1) {
		path[0] = '\0';
		goto fail;
	}
	/*
	 * The directory cannot be opened by those who may only write into it,
	 * so the name is made durable through the file system it is on.
	 */
	if (syncfs(fd) == -1)
		goto fail;
	fclose(file);
	return 0;
fail:
	saved = errno;
	if (path[0] != '\0')
		unlink(path);
	dropfile_abandon(file);
	errno = saved;
	return -1;
}

void
dropfile_abandon(FILE *file)
{
	char	 path[PATH_MAX];

	drop_hidden_path(fileno(file), path, sizeof(path));
	if (path[0] != '\0')
		unlink(path);
	fclose(file);
}
