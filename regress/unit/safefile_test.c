/* links: common/safefile.c common/account.c common/passwd.c common/group.c
 *	common/nsswitch.c */
/*
 * Files that decide about mail are read only if nobody else could have
 * written them; accounts are yes, no or "not now".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "account.h"
#include "safefile.h"

static char folder[] = "/tmp/postmaster-safefile-XXXXXX";
static char path[128];

static int
make_file(void **state)
{
	FILE *file;

	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/file", folder);
	if ((file = fopen(path, "w")) == NULL)
		return -1;
	fputs("twelve bytes", file);
	return fclose(file);
}

static int
drop_file(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

/* Read it; returns 0 or errno. */
static int
try(const char *name, size_t limit)
{
	struct stat st;
	const char *why;
	char *text;
	size_t length;

	if (safefile_read(name, limit, &text, &length, &st, &why) == -1) {
		assert_null(text);
		assert_true(*why != '\0');
		return errno;
	}
	assert_int_equal(length, 12);
	assert_string_equal(text, "twelve bytes");
	free(text);
	return 0;
}

static void
test_modes(void **state)
{
	(void)state;
	chmod(path, 0644);
	assert_int_equal(try(path, 100), 0);
	assert_int_equal(try(path, 12), 0);
	assert_int_equal(try(path, 11), EFBIG);
	chmod(path, 0664);
	assert_int_equal(try(path, 100), EPERM);
	chmod(path, 0646);
	assert_int_equal(try(path, 100), EPERM);
	chmod(path, 0400);
	assert_int_equal(try(path, 100), 0);
	assert_int_equal(try(folder, 100), EPERM);
	assert_int_equal(try("/dev/null", 100), EPERM);
	assert_int_equal(try("/no/such/file", 100), ENOENT);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 65534, 65534), 0);
		assert_int_equal(try(path, 100), EPERM);
		assert_int_equal(chown(path, 0, 0), 0);
	}
}

static void
test_fifo(void **state)
{
	char fifo[160];

	(void)state;
	snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(try(fifo, 100), EPERM);
	unlink(fifo);
}

static void
test_accounts(void **state)
{
	static const char *const nobodies[] = {
		"", "no-such-account-here", "a/b", "a:b", "a\nb", "Root"
	};
	struct account account;
	char *longest;
	size_t i;

	(void)state;
	assert_int_equal(account_by_name("root", &account), ACCOUNT_YES);
	assert_string_equal(account.name, "root");
	assert_int_equal(account.uid, 0);
	assert_string_equal(account.home, "/root");
	account_free(&account);
	assert_int_equal(account_by_uid(0, &account), ACCOUNT_YES);
	assert_string_equal(account.name, "root");
	account_free(&account);
	assert_int_equal(account_by_name("root", NULL), ACCOUNT_YES);
	for (i = 0; i < sizeof(nobodies) / sizeof(nobodies[0]); i++)
		assert_int_equal(account_by_name(nobodies[i], &account),
		    ACCOUNT_NO);
	longest = malloc(100001);
	memset(longest, 'a', 100000);
	longest[100000] = '\0';
	assert_int_equal(account_by_name(longest, NULL), ACCOUNT_NO);
	free(longest);
}

static void
test_prepare(void **state)
{
	const char *why = "";

	(void)state;
	assert_int_equal(account_prepare(&why), 0);
	assert_int_equal(account_by_name("no-such-account-here", NULL),
	    ACCOUNT_NO);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_fifo),
		cmocka_unit_test(test_accounts),
		cmocka_unit_test(test_prepare)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_file, drop_file);
}
