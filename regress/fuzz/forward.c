/* links: deliver/forward.c common/aliases.c common/address.c
 * common/target.c common/log.c common/clock.c common/queueid.c */
/*
 * ~/.forward and what it includes, each a part of the input: what comes of
 * them fits the wire, and there is a reason where nothing does.
 */
#include <sys/mman.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>

#include "deliver/deliver.h"
#include "fuzz.h"

#define FILES	4

/* The files there are: the .forward, then /1 /2 /3. */
static struct {
	const char	*text;
	size_t		 length;
} files[FILES];

static char	name[] = "joe", home[] = "/home/joe";

/* Nothing but these can be opened. */
int
open(const char *path, int flags, ...)
{
	size_t which = FILES;
	int fd;

	(void)flags;
	if (strcmp(path, "/home/joe/.forward") == 0)
		which = 0;
	else if (path[0] == '/' && path[1] >= '1' && path[1] < '0' + FILES &&
	    path[2] == '\0')
		which = (size_t)(path[1] - '0');
	if (which == FILES || files[which].text == NULL) {
		errno = ENOENT;
		return -1;
	}
	if ((fd = memfd_create("fuzz", MFD_CLOEXEC)) == -1)
		return -1;
	require(fchmod(fd, 0600) == 0);
	require(write(fd, files[which].text, files[which].length) ==
	    (ssize_t)files[which].length && lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

/* Cut the input at NULs into the files. */
static void
set_files(const char *text, size_t length)
{
	const char *nul;
	size_t i;

	memset(files, 0, sizeof(files));
	for (i = 0; i < FILES; i++) {
		nul = length > 0 ? memchr(text, '\0', length) : NULL;
		files[i].text = text;
		files[i].length = nul != NULL ? (size_t)(nul - text) : length;
		if (nul == NULL)
			break;
		text += files[i].length + 1;
		length -= files[i].length + 1;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct worker worker = { .groups.own = true };
	struct forward forward;
	size_t i;
	int result;

	worker.account.name = name;
	worker.account.home = home;
	worker.account.uid = geteuid();
	worker.account.gid = getegid();
	set_files((const char *)data, size);
	result = forward_read(&worker, &forward);
	require((result == 0) == (forward.why[0] == '\0'));
	for (i = 0; i < forward.count; i++) {
		require(forward.entries[i].place == TARGET_ROUTED ||
		    forward.entries[i].place == TARGET_FORWARD);
		require(forward.entries[i].text[0] != '\0' &&
		    strlen(forward.entries[i].text) < WIRE_TARGET);
		require(strpbrk(forward.entries[i].text, "\n") == NULL);
	}
	if (result == 0) {
		require(forward.exists == (forward.count > 0));
		require(!forward.only_self ||
		    (forward.count == 1 && forward_has(&forward, "\\joe")));
	}
	forward_free(&forward);
	return 0;
}
