/*
 * Groups, found by their bytes in group(5) if that alone decides, and by libc
 * otherwise.  Whatever is out of the ordinary is left to libc: an unusual
 * line, a service that might know more.
 */
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "group.h"
#include "nsswitch.h"

#define GROUP		"/etc/group"
#define CHUNK		16384	/* octets; longer lines are not for us */
#define FIRST_ROOM	16		/* groups */
#define ROOM_MAX	65536		/* as the kernel's */
#define MEMBERS_SIZE	65536		/* octets of a group's members */

/* ---- the list ---- */

static int
add(struct groups *groups, size_t *room, gid_t gid)
{
	gid_t *larger;
	size_t i;

	for (i = 0; i < groups->count; i++)
		if (groups->all[i] == gid)
			return 0;
	if (groups->count == *room) {
		*room = *room == 0 ? FIRST_ROOM : *room * 2;
		larger = reallocarray(groups->all, *room, sizeof(*larger));
		if (larger == NULL)
			return -1;
		groups->all = larger;
	}
	groups->all[groups->count++] = gid;
	return 0;
}

void
groups_free(struct groups *groups)
{
	free(groups->all);
	memset(groups, 0, sizeof(*groups));
}

/* ---- the file ---- */

struct search {
	const char	*name;
	gid_t		 gid;
	struct groups	*groups;
	size_t		 room;
	bool		 gid_seen;	/* the first line with it counts */
};

/* The number between two colons, as all programs print it. */
static int
take_number(const char *text, const char *end, gid_t *number)
{
	uint64_t value = 0;

	if (text == end || end - text > 10)
		return -1;
	for (; text < end; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		value = value * 10 + (uint64_t)(*text - '0');
	}
	*number = (gid_t)value;
	return value < UINT_MAX ? 0 : -1;
}

/* Is the name among the members, and is there any other? */
static void
look_for_member(const char *name, const char *text, const char *end,
    bool *among, bool *others)
{
	size_t length = strlen(name), step;
	const char *comma;

	*among = *others = false;
	for (; text < end; text += step + 1) {
		comma = memchr(text, ',', (size_t)(end - text));
		step = (size_t)((comma != NULL ? comma : end) - text);
		if (step == length && memcmp(text, name, length) == 0)
			*among = true;
		else if (step > 0)
			*others = true;
	}
}

/* Octets that libc passes over, or at which it ends, in some place. */
static bool
is_odd(const char *line, const char *end)
{
	if (line == end || strchr("+-#", *line) != NULL)
		return true;
	for (; line < end; line++)
		if ((unsigned char)*line <= ' ' || *line == 0x7f)
			return true;
	return false;
}

/* One line, of the form name:password:gid:members; 1, 0 if odd, or -1. */
static int
take_line(struct search *search, const char *line, const char *end)
{
	const char *colons[3], *at = line;
	bool among, others;
	gid_t gid;
	size_t i;

	if (is_odd(line, end))
		return 0;
	for (i = 0; i < 3; i++, at++) {
		at = memchr(at, ':', (size_t)(end - at));
		if (at == NULL)
			return 0;
		colons[i] = at;
	}
	if (memchr(at, ':', (size_t)(end - at)) != NULL ||
	    take_number(colons[1] + 1, colons[2], &gid) == -1)
		return 0;
	look_for_member(search->name, at, end, &among, &others);
	if (gid == search->gid) {
		if (!search->gid_seen)
			search->groups->own = !others &&
			    strlen(search->name) ==
			    (size_t)(colons[0] - line) &&
			    memcmp(search->name, line,
			    (size_t)(colons[0] - line)) == 0;
		search->gid_seen = true;
	} else if (among && add(search->groups, &search->room, gid) == -1)
		return -1;
	return 1;
}

/* All lines; 1, 0 if any is odd, or -1. */
static int
take_file(struct search *search, int fd)
{
	char piece[CHUNK], *line, *end;
	size_t used = 0;
	ssize_t n;
	int result;

	for (;;) {
		n = read(fd, piece + used, sizeof(piece) - used);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		if (n == 0)	/* and what is left has no end */
			return used == 0 && search->gid_seen;
		used += (size_t)n;
		for (line = piece; (end = memchr(line, '\n',
		    used - (size_t)(line - piece))) != NULL; line = end + 1)
			if ((result = take_line(search, line, end)) != 1)
				return result;
		used -= (size_t)(line - piece);
		if (used == sizeof(piece))
			return 0;
		memmove(piece, line, used);
	}
}

int
groups_in_file(const char *path, const char *name, gid_t gid,
    struct groups *groups)
{
	struct search search = { name, gid, groups, 0, false };
	int fd, result, saved;

	memset(groups, 0, sizeof(*groups));
	if (add(groups, &search.room, gid) == -1 ||
	    (fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		result = -1;
	else {
		result = take_file(&search, fd);
		saved = errno;
		close(fd);
		errno = saved;
	}
	if (result != 1)
		groups_free(groups);
	return result;
}

/* ---- is the file all there is? ---- */

/* Is it "files" alone, or "files systemd"? */
static bool
words_are_files(char *words, bool *systemd)
{
	char *word, *rest;

	word = strtok_r(words, " \t", &rest);
	if (word == NULL || strcmp(word, "files") != 0)
		return false;
	if ((word = strtok_r(NULL, " \t", &rest)) == NULL)
		return true;
	*systemd = true;
	return strcmp(word, "systemd") == 0 &&
	    strtok_r(NULL, " \t", &rest) == NULL;
}

/* What the configuration says: files alone, with systemd, or more. */
static bool
only_files(const char *path, bool *systemd)
{
	FILE *file;
	char *line = NULL, *words;
	size_t size = 0;
	bool result = false;

	*systemd = false;
	if ((file = fopen(path, "re")) == NULL)
		return false;
	while (getline(&line, &size, file) != -1) {
		/* With a line of their own the rules are others. */
		if (nsswitch_services(line, "initgroups") != NULL) {
			result = false;
			break;
		}
		words = nsswitch_services(line, "group");
		if (words != NULL &&
		    !(result = words_are_files(words, systemd)))
			break;
	}
	free(line);
	(void)fclose(file);
	return result;
}

/*
 * Has systemd no members to add?  They come from files of some directories,
 * and from the services that have a socket here.  That of the init itself
 * knows dynamic users, which it answers to have no groups but their own.
 */
static bool
systemd_is_silent(const char *root)
{
	static const char *const directories[] = {
		"/etc/userdb", "/run/userdb", "/run/host/userdb",
		"/usr/local/lib/userdb", "/usr/lib/userdb", "/lib/userdb"
	};
	char path[PATH_MAX];
	struct dirent *entry;
	bool silent = true;
	DIR *sockets;
	size_t i;

	for (i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", root, directories[i]);
		if (access(path, F_OK) == 0 || errno != ENOENT)
			return false;
	}
	snprintf(path, sizeof(path), "%s/run/systemd/userdb", root);
	if ((sockets = opendir(path)) == NULL)
		return errno == ENOENT;
	errno = 0;
	while (silent && (entry = readdir(sockets)) != NULL)
		silent = strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0 ||
		    strcmp(entry->d_name, "io.systemd.DynamicUser") == 0;
	silent = silent && errno == 0;
	(void)closedir(sockets);
	return silent;
}

bool
groups_are_files(const char *path, const char *root)
{
	static struct stat	 known;
	static bool		 files, systemd;

	switch (nsswitch_is_new(path, &known)) {
	case -1:
		return false;
	case 1:
		files = only_files(path, &systemd);
	}
	return files && (!systemd || systemd_is_silent(root));
}

bool
groups_are_here(void)
{
	return groups_are_files(NSSWITCH, "");
}

/* ---- libc ---- */

/* Is the group named after the user, with no other member? */
static bool
is_own(const char *name, gid_t gid)
{
	struct group group, *found = NULL;
	char *strings;
	bool own = false;
	size_t i;

	if ((strings = malloc(MEMBERS_SIZE)) == NULL)
		return false;
	if (getgrgid_r(gid, &group, strings, MEMBERS_SIZE, &found) == 0 &&
	    found != NULL) {
		own = strcmp(group.gr_name, name) == 0;
		for (i = 0; group.gr_mem[i] != NULL; i++)
			if (strcmp(group.gr_mem[i], name) != 0)
				own = false;
	}
	free(strings);
	return own;
}

static int
ask_libc(const char *name, gid_t gid, struct groups *groups)
{
	gid_t *larger;
	int room, count;

	for (room = FIRST_ROOM; room <= ROOM_MAX; room *= 2) {
		larger = reallocarray(groups->all, (size_t)room,
		    sizeof(*larger));
		if (larger == NULL)
			return -1;
		groups->all = larger;
		count = room;
		if (getgrouplist(name, gid, groups->all, &count) != -1) {
			groups->count = (size_t)count;
			groups->own = is_own(name, gid);
			return 0;
		}
	}
	errno = E2BIG;
	return -1;
}

bool
groups_find_here(const char *name, gid_t gid, struct groups *groups)
{
	return groups_are_here() &&
	    groups_in_file(GROUP, name, gid, groups) == 1;
}

int
groups_find(const char *name, gid_t gid, struct groups *groups)
{
	if (groups_find_here(name, gid, groups))
		return 0;
	memset(groups, 0, sizeof(*groups));
	if (ask_libc(name, gid, groups) == 0)
		return 0;
	groups_free(groups);
	return -1;
}
