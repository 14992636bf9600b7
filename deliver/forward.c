/*
 * ~/.forward, read by the worker as the user: which files are safe to
 * believe, what they name, and what that is to spoold.  Delivers nothing.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "deliver.h"
#include "target.h"

#define FORWARD_SIZE	65536		/* octets of a file */
#define FORWARD_ENTRIES	1000
#define FORWARD_DEPTH	5		/* of includes */

/* A complaint of the list's parser, kept with the file's name. */
struct complaint {
	struct forward	*forward;
	const char	*path;
};

const char *
forward_unsafe(const struct stat *st, const struct worker *worker)
{
	if (!S_ISREG(st->st_mode))
		return "is no regular file";
	if (st->st_uid != worker->account.uid && st->st_uid != 0)
		return "belongs to somebody else";
	if (st->st_mode & S_IWOTH)
		return "can be written by everybody";
	if ((st->st_mode & S_IWGRP) && !(worker->groups.own &&
	    st->st_gid == worker->account.gid))
		return "can be written by a group";
	return NULL;
}

static int
forward_wrong(struct forward *forward, const char *path, const char *what)
{
	snprintf(forward->why, sizeof(forward->why), "%s: %s", path, what);
	return -1;
}

/*
 * Read a file that must be safe.  Returns its octets with *length, or NULL
 * with why set; *missing tells that there is none.
 */
static char *
read_safely(struct forward *forward, const struct worker *worker,
    const char *path, size_t *length, bool *missing)
{
	struct stat	 st;
	const char	*unsafe;
	char		*text = NULL;
	ssize_t		 n;
	int		 fd;

	*missing = false;
	*length = 0;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd == -1 || fstat(fd, &st) == -1) {
		*missing = fd == -1 && errno == ENOENT;
		forward_wrong(forward, path, strerror(errno));
		goto out;
	}
	if ((unsafe = forward_unsafe(&st, worker)) == NULL &&
	    st.st_size > FORWARD_SIZE)
		unsafe = "is larger than 64 KiB";
	if (unsafe != NULL) {
		snprintf(forward->why, sizeof(forward->why), "%s %s", path,
		    unsafe);
		goto out;
	}
	if ((text = malloc(FORWARD_SIZE + 1)) == NULL) {
		forward_wrong(forward, path, strerror(errno));
		goto out;
	}
	while (*length < FORWARD_SIZE && (n = read(fd, text + *length,
	    FORWARD_SIZE - *length)) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			forward_wrong(forward, path, strerror(errno));
			free(text);
			text = NULL;
			goto out;
		}
		*length += (size_t)n;
	}
out:
	if (fd != -1)
		close(fd);
	return text;
}

bool
forward_has(const struct forward *forward, const char *text)
{
	size_t	 i;

	for (i = 0; i < forward->count; i++)
		if (forward->entries[i].place == TARGET_FORWARD &&
		    strcmp(forward->entries[i].text, text) == 0)
			return true;
	return false;
}

/* Add an entry once; -1 if there are too many. */
static int
add_entry(struct forward *forward, const char *path, enum target_place place,
    const char *text)
{
	struct forward_entry *entry;
	size_t	 i;

	for (i = 0; i < forward->count; i++)
		if (forward->entries[i].place == place &&
		    strcmp(forward->entries[i].text, text) == 0)
			return 0;
	if (forward->count == FORWARD_ENTRIES)
		return forward_wrong(forward, path,
		    "more than 1000 addresses");
	if (strlen(text) >= WIRE_TARGET)
		return forward_wrong(forward, path, "an entry is too long");
	if (forward->entries == NULL && (forward->entries = calloc(
	    FORWARD_ENTRIES, sizeof(*forward->entries))) == NULL)
		return forward_wrong(forward, path, strerror(errno));
	entry = &forward->entries[forward->count];
	if ((entry->text = strdup(text)) == NULL)
		return forward_wrong(forward, path, strerror(errno));
	entry->place = place;
	forward->count++;
	return 0;
}

/* The account itself, however it is named: its mailbox. */
static int
add_name(struct forward *forward, const struct worker *worker,
    const char *path, const char *name)
{
	char	 self[WIRE_LOGIN + 1];

	if (strcasecmp(name, worker->account.name) != 0)
		return add_entry(forward, path, TARGET_ROUTED, name);
	snprintf(self, sizeof(self), "\\%s", worker->account.name);
	return add_entry(forward, path, TARGET_FORWARD, self);
}

static int	read_list(struct forward *, const struct worker *,
		    const char *, int);

/* Add what one member of a list says. */
static int
add_member(struct forward *forward, const struct worker *worker,
    const char *path, const struct target *target, int depth)
{
	switch (target->kind) {
	case TARGET_ADDRESS:
		return add_entry(forward, path, TARGET_ROUTED, target->text);
	case TARGET_WORD:
		return add_name(forward, worker, path, target->text);
	case TARGET_MAILBOX:
		return add_name(forward, worker, path, target->argument);
	case TARGET_PROGRAM:
	case TARGET_FILE:
		return add_entry(forward, path, TARGET_FORWARD, target->text);
	case TARGET_INCLUDE:
		if (depth == FORWARD_DEPTH)
			return forward_wrong(forward, target->argument,
			    "included too deep");
		return read_list(forward, worker, target->argument,
		    depth + 1);
	default:
		return forward_wrong(forward, path, "only addresses, \\name, "
		    "|program, /file and :include:/file stand here");
	}
}

static void
complain(void *arg, int line, int column, const char *what)
{
	struct complaint *complaint = arg;

	if (complaint->forward->why[0] == '\0')
		snprintf(complaint->forward->why,
		    sizeof(complaint->forward->why), "%s:%d:%d: %s",
		    complaint->path, line, column, what);
}

/* Read one file's members into the list. */
static int
read_list(struct forward *forward, const struct worker *worker,
    const char *path, int depth)
{
	struct complaint complaint = { forward, path };
	struct alias_list list;
	size_t		 length, i;
	char		*text;
	bool		 missing;
	int		 result = 0;

	text = read_safely(forward, worker, path, &length, &missing);
	if (text == NULL) {
		if (!missing || depth > 0)
			return -1;
		forward->why[0] = '\0';
		return 0;
	}
	if (alias_list_parse(text, length, complain, &complaint, &list) != 0)
		result = -1;
	for (i = 0; result == 0 && i < list.count; i++)
		result = add_member(forward, worker, path,
		    &list.members[i].target, depth);
	alias_list_free(&list);
	free(text);
	return result;
}

int
forward_read(const struct worker *worker, struct forward *forward)
{
	char	 path[WIRE_PATH], self[WIRE_LOGIN + 1];

	memset(forward, 0, sizeof(*forward));
	if (worker->home_errno != 0)
		return forward_wrong(forward, worker->account.home,
		    strerror(worker->home_errno));
	if (snprintf(path, sizeof(path), "%s/.forward",
	    worker->account.home) >= (int)sizeof(path))
		return forward_wrong(forward, "home", "its name is too long");
	if (read_list(forward, worker, path, 0) == -1) {
		if (forward->why[0] == '\0')
			forward_wrong(forward, path, "cannot be understood");
		return -1;
	}
	snprintf(self, sizeof(self), "\\%s", worker->account.name);
	forward->exists = forward->count > 0;
	forward->only_self = forward->count == 1 && forward_has(forward, self);
	return 0;
}

void
forward_free(struct forward *forward)
{
	size_t	 i;

	for (i = 0; i < forward->count; i++)
		free(forward->entries[i].text);
	free(forward->entries);
	forward->entries = NULL;
	forward->count = 0;
}
