/* links: common/dropfile.c */
/*
 * The envelope of a file in the drop directory, written and read again, and
 * what is no such file.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "dropfile.h"

/* A file system without nameless files, while this is set. */
static bool	no_tmpfile;

int
open(const char *path, int flags, ...)
{
	va_list	 arguments;
	mode_t	 mode;

	va_start(arguments, flags);
	mode = va_arg(arguments, mode_t);
	va_end(arguments);
	if (no_tmpfile && (flags & O_TMPFILE) == O_TMPFILE) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return openat(AT_FDCWD, path, flags, mode);
}

static char	scratch[] = "/tmp/postmaster-dropfile-XXXXXX";

/* What is synced, in its order, and which of them fails. */
static char	synced[8];
static char	failing;

static int	count_files(void);

/* f is the file while it has no name yet, F behind that; s all there is. */
static int
note_sync(char what)
{
	size_t	 length = strlen(synced);

	if (count_files() > 0 && what == 'f')
		what = 'F';
	if (length + 1 < sizeof(synced)) {
		synced[length] = what;
		synced[length + 1] = '\0';
	}
	if (what != failing)
		return 0;
	errno = EIO;
	return -1;
}

int
fsync(int fd)
{
	return fd == -1 ? -1 : note_sync('f');
}

int
syncfs(int fd)
{
	return fd == -1 || count_files() != 1 ? -1 : note_sync('s');
}

static int
setup(void **unused)
{
	(void)unused;
	return mkdtemp(scratch) == NULL ? -1 : 0;
}

static int
teardown(void **unused)
{
	(void)unused;
	return rmdir(scratch);
}

static int
count_files(void)
{
	struct dirent	*entry;
	DIR	*directory;
	int	 count = 0;

	assert_non_null(directory = opendir(scratch));
	while ((entry = readdir(directory)) != NULL)
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count;
}

/* The one file in the directory, opened and unlinked. */
static FILE *
only_file(void)
{
	struct dirent	*entry;
	char	 path[512] = "";
	struct stat	 st;
	FILE	*file;
	DIR	*directory;

	assert_non_null(directory = opendir(scratch));
	while ((entry = readdir(directory)) != NULL)
		if (entry->d_name[0] != '.') {
			assert_string_equal(path, "");
			snprintf(path, sizeof(path), "%s/%s", scratch,
			    entry->d_name);
		}
	closedir(directory);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_nlink, 1);
	assert_non_null(file = fopen(path, "r"));
	unlink(path);
	return file;
}

static void
test_round_trip(void **unused)
{
	char	 one[] = "a@b", two[] = "\"c d\"@e";
	char	*recipients[] = { one, two };
	struct dropfile	 drop = {
		.sender = "", .notify = "NEVER", .ret = "HDRS",
		.envid = "x+20y", .eight_bit = true,
		.recipients = recipients, .count = 2
	}, again;
	const char	*why;
	char	 text[64];
	FILE	*file;

	(void)unused;
	assert_non_null(file = dropfile_create(scratch, &drop));
	fputs("A: b\r\n\r\nx\r\n", file);
	synced[0] = '\0';
	assert_int_equal(dropfile_commit(file, scratch), 0);
	assert_string_equal(synced, "fs");
	file = only_file();
	assert_int_equal(dropfile_read(file, &again, &why), 0);
	assert_string_equal(again.sender, "");
	assert_string_equal(again.notify, "NEVER");
	assert_string_equal(again.ret, "HDRS");
	assert_string_equal(again.envid, "x+20y");
	assert_true(again.eight_bit);
	assert_int_equal(again.count, 2);
	assert_string_equal(again.recipients[1], two);
	assert_non_null(fgets(text, sizeof(text), file));
	assert_string_equal(text, "A: b\r\n");
	dropfile_free(&again);
	fclose(file);
}

static void
test_refused(void **unused)
{
	static const char *const wrong[] = {
		"", "\n", "T a@b\n\n", "S a@b\n\n", "S a@b\nT c@d\n",
		"S a@b\nS a@b\nT c@d\n\n", "S a\rb\nT c@d\n\n",
		"X a\nS a@b\nT c@d\n\n", "Sa@b\nT c@d\n\n", "S a@b\nT c@d",
		"S a@b\nR TOOLONGVALUE\nT c@d\n\n",
	};
	struct dropfile	 drop;
	const char	*why;
	FILE	*file;
	size_t	 i;

	(void)unused;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_non_null(file = tmpfile());
		fputs(wrong[i], file);
		rewind(file);
		assert_int_equal(dropfile_read(file, &drop, &why), -1);
		assert_non_null(why);
		fclose(file);
	}
}

static void
test_cannot_be_written(void **unused)
{
	char	 bad[] = "a@b\nT root";
	char	*recipients[] = { bad };
	struct dropfile	 drop = { .recipients = recipients, .count = 1 };

	(void)unused;
	assert_null(dropfile_create(scratch, &drop));
	assert_null(dropfile_create("/nonexistent", &drop));
}

/* What is not surely on disk is not kept, and no half of it is left. */
static void
test_cannot_be_synced(void **unused)
{
	char	 one[] = "a@b";
	char	*recipients[] = { one };
	struct dropfile	 drop = { .recipients = recipients, .count = 1 };
	const char	*p;
	FILE	*file;

	(void)unused;
	for (p = "fs"; *p != '\0'; p++) {
		failing = *p;
		assert_non_null(file = dropfile_create(scratch, &drop));
		assert_int_equal(dropfile_commit(file, scratch), -1);
		assert_int_equal(errno, EIO);
		assert_int_equal(count_files(), 0);
	}
	failing = '\0';
}

static void
test_without_nameless_files(void **unused)
{
	char	 one[] = "a@b";
	char	*recipients[] = { one };
	struct dropfile	 drop = { .recipients = recipients, .count = 1 };
	FILE	*file;

	no_tmpfile = true;
	test_round_trip(unused);
	test_cannot_be_synced(unused);
	/* What is given up leaves nothing: teardown removes the directory. */
	assert_non_null(file = dropfile_create(scratch, &drop));
	dropfile_abandon(file);
	no_tmpfile = false;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_cannot_be_synced),
		cmocka_unit_test(test_without_nameless_files),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_cannot_be_written),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
