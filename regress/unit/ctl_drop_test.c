/* links: ctl/drop.c common/dropfile.c */
/*
 * dead.letter: "saved" is said of what is on disk, in a file of the caller's
 * own that nobody else may read.
 */
#include <sys/stat.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl/ctl.h"

static struct identity identity = { .login = "joe",
	.home = "/tmp/ctl_drop_test.XXXXXX" };
static char path[sizeof(identity.home) + 16];
static const struct message *letter;
static int synced;
static bool no_sync, no_body;

/* ---- what stands around it ---- */

int
fsync(int fd)
{
	(void)fd;
	synced++;
	errno = EIO;
	return no_sync ? -1 : 0;
}

int
message_copy(const struct message *message, enum form form,
    int (*copy)(void *, const char *, size_t), void *argument)
{
	assert_ptr_equal(message, letter);
	assert_int_equal(form, FORM_UNIX);
	return no_body ? -1 : copy(argument, "A: b\n\nx\n", 8);
}

/* ---- tests ---- */

static int
setup(void **state)
{
	(void)state;
	if (mkdtemp(identity.home) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/dead.letter", identity.home);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(identity.home);
}

static void
test_saved(void **state)
{
	char text[256];
	struct stat st;
	size_t length;
	FILE *file;

	(void)state;
	assert_int_equal(drop_dead_letter(&identity, letter), 0);
	assert_int_equal(synced, 1);
	assert_int_equal(drop_dead_letter(&identity, letter), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_non_null(file = fopen(path, "r"));
	length = fread(text, 1, sizeof(text) - 1, file);
	text[length] = '\0';
	fclose(file);
	assert_memory_equal(text, "From joe ", 9);
	assert_non_null(strstr(text, "\nA: b\n\nx\n\nFrom joe "));
}

static void
test_not_saved(void **state)
{
	(void)state;
	no_sync = true;
	assert_int_equal(drop_dead_letter(&identity, letter), -1);
	no_sync = false;
	no_body = true;
	assert_int_equal(drop_dead_letter(&identity, letter), -1);
	no_body = false;
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(drop_dead_letter(&identity, letter), -1);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(drop_dead_letter(&identity, letter), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_saved),
		cmocka_unit_test(test_not_saved)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
