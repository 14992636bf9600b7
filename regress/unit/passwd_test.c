/* links: common/passwd.c common/account.c common/group.c
 *	common/nsswitch.c */
/*
 * A line of passwd(5) is found wherever it stands, is taken as getpwnam_r(3)
 * would, and is left to that if it is odd.
 */
#include <errno.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>

#include "account.h"
#include "passwd.h"

static char	 path[] = "/tmp/passwd_test.XXXXXX";

static void
fill(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void
test_fields(void **state)
{
	struct account account;

	(void)state;
	fill("root:x:0:0:root:/root:/bin/sh\n"
	    "joe:x:1001:1002:Joe, Room 1:/home/joe:\n"
	    "last:x:4294967294:7::/l:/bin/false");
	assert_int_equal(passwd_find(path, "joe", &account), 1);
	assert_string_equal(account.name, "joe");
	assert_int_equal(account.uid, 1001);
	assert_int_equal(account.gid, 1002);
	assert_string_equal(account.gecos, "Joe, Room 1");
	assert_string_equal(account.home, "/home/joe");
	assert_string_equal(account.shell, "");
	account_free(&account);
	assert_int_equal(passwd_find(path, "root", NULL), 1);
	assert_int_equal(passwd_find(path, "last", &account), 1);
	assert_int_equal(account.uid, 4294967294U);
	assert_string_equal(account.shell, "/bin/false");
	account_free(&account);
}

static void
test_nobody(void **state)
{
	static const char *const names[] = {
		"jo", "oe", "joes", "x", "", "Joe", "/home/joe", "+joe"
	};
	size_t i;

	(void)state;
	fill("joe:x:1:1::/home/joe:/bin/sh\n+joe:x:2:2::/:/bin/sh\n");
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(passwd_find(path, names[i], NULL), 0);
	fill("");
	assert_int_equal(passwd_find(path, "joe", NULL), 0);
	assert_int_equal(passwd_find("/no/such/file", "joe", NULL), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(passwd_find("/tmp", "joe", NULL), -1);
}

/* What getpwnam_r would read in its own way, or pass over. */
static void
test_odd(void **state)
{
	static const char *const lines[] = {
		"joe", "joe:x", "joe:x:1:1::/home/joe", "joe:x::1::/:/bin/sh",
		"joe:x:1:::/:/bin/sh", "joe:x:-1:1::/:/bin/sh",
		"joe:x: 1:1::/:/bin/sh", "joe:x:1a:1::/:/bin/sh",
		"joe:x:4294967295:1::/:/bin/sh",
		"joe:x:99999999999999999999:1::/:/bin/sh",
		"joe:x:1:1::/:/bin/sh:more"
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		fill(lines[i]);
		assert_int_equal(passwd_find(path, "joe", NULL), 0);
	}
}

/* Whatever piece of the file it begins or ends in. */
static void
test_pieces(void **state)
{
	struct account account;
	FILE *file;
	size_t before, i;

	(void)state;
	for (before = 16300; before < 16400; before++) {
		file = fopen(path, "w");
		assert_non_null(file);
		for (i = 1; i < before; i++)
			putc(i % 64 == 0 ? '\n' : 'x', file);
		fprintf(file, "\njoe:x:1001:1002:Joe:/home/joe:/bin/sh\n");
		for (i = 0; i < 20000; i++)
			putc('\n', file);
		assert_int_equal(fclose(file), 0);
		assert_int_equal(passwd_find(path, "joe", &account), 1);
		assert_int_equal(account.uid, 1001);
		assert_string_equal(account.shell, "/bin/sh");
		account_free(&account);
		assert_int_equal(passwd_find(path, "jo", NULL), 0);
	}
}

static void
test_long_line(void **state)
{
	FILE *file = fopen(path, "w");
	size_t i;

	(void)state;
	assert_non_null(file);
	fputs("joe:x:1:1:", file);
	for (i = 0; i < 100000; i++)
		putc('x', file);
	fputs(":/:/bin/sh\njane:x:2:2::/:/bin/sh\n", file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(passwd_find(path, "joe", NULL), 0);
	assert_int_equal(passwd_find(path, "jane", NULL), 1);
}

/* Every account of this machine's file, as libc has it. */
static void
test_as_libc(void **state)
{
	struct account account;
	struct passwd *pw;
	FILE *file = fopen("/etc/passwd", "r");

	(void)state;
	if (file == NULL)
		skip();
	while ((pw = fgetpwent(file)) != NULL) {
		assert_int_equal(passwd_find("/etc/passwd", pw->pw_name,
		    &account), 1);
		assert_int_equal(account.uid, pw->pw_uid);
		assert_int_equal(account.gid, pw->pw_gid);
		assert_string_equal(account.home, pw->pw_dir);
		assert_string_equal(account.shell, pw->pw_shell);
		assert_string_equal(account.gecos, pw->pw_gecos);
		account_free(&account);
	}
	fclose(file);
}

static void
test_files_first(void **state)
{
	static const struct {
		const char	*text;
		bool		 first;
	} cases[] = {
		{ "passwd: files systemd\n", true },
		{ "# passwd: sss\npasswd:\tfiles\n", true },
		{ "passwd:files # sss\n", true },
		{ "passwd: files", true },
		{ "  passwd: files\n", true },
		{ "passwd files\n", true },
		{ "passwd: files\n passwd: sss\n", false },
		{ "passwd: files\npasswd\tsss files\n", false },
		{ "passwd: files\npasswd\nxpasswd: sss\n", true },
		{ "passwd: sss files\n", false },
		{ "passwd: compat\n", false },
		{ "passwd: files [SUCCESS=continue] sss\n", false },
		{ "passwd:\n", false },
		{ "group: files\n", false },
		{ "", false }
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fill(cases[i].text);
		assert_int_equal(passwd_files_first(path),
		    cases[i].first);
	}
	assert_false(passwd_files_first("/no/such/file"));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_odd),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_as_libc),
		cmocka_unit_test(test_files_first),
	};
	int fd, failed;

	if ((fd = mkstemp(path)) == -1)
		return 1;
	close(fd);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
