/* links: common/dropfile.c */
/*
 * Envelopes of the drop directory: one that is read is written and read again
 * as the same, with the stream at the same message behind it.
 */
#include <sys/mman.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>

#include "dropfile.h"
#include "fuzz.h"

/* The file without a name that is written. */
int
open(const char *path, int flags, ...)
{
	if (strcmp(path, "/drop") == 0 && (flags & O_TMPFILE) == O_TMPFILE)
		return memfd_create("fuzz", MFD_CLOEXEC);
	errno = EACCES;
	return -1;
}

static void
same(const struct dropfile *a, const struct dropfile *b)
{
	size_t i;

	require(strcmp(a->sender, b->sender) == 0 &&
	    strcmp(a->notify, b->notify) == 0 &&
	    strcmp(a->ret, b->ret) == 0 && strcmp(a->envid, b->envid) == 0);
	require(a->eight_bit == b->eight_bit && a->count == b->count);
	for (i = 0; i < a->count; i++)
		require(strcmp(a->recipients[i], b->recipients[i]) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dropfile drop, again;
	const char *why = NULL;
	FILE *file, *copy;
	char *copied;

	if (size == 0)
		return 0;
	copied = fuzz_need(malloc(size));
	memcpy(copied, data, size);
	file = fuzz_need(fmemopen(copied, size, "r"));
	if (dropfile_read(file, &drop, &why) == -1) {
		require(why != NULL && *why != '\0');
		require(drop.recipients == NULL && drop.count == 0);
		require(fclose(file) == 0);
		free(copied);
		return 0;
	}
	require(why == NULL && drop.count > 0);
	copy = fuzz_need(dropfile_create("/drop", &drop));
	require(fflush(copy) == 0 && fseek(copy, 0, SEEK_SET) == 0);
	require(dropfile_read(copy, &again, &why) == 0);
	same(&drop, &again);
	require(getc(copy) == EOF);
	dropfile_free(&again);
	dropfile_free(&drop);
	dropfile_abandon(copy);
	require(fclose(file) == 0);
	free(copied);
	return 0;
}
