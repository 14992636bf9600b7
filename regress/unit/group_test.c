/* links: regress/unit/scratch.c common/group.c common/nsswitch.c */
/*
 * The groups of a user are found in group(5) as libc finds them, are left to
 * it where a line is odd, and are the file's alone only where nothing else
 * is asked.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "group.h"
#include "regress/unit/scratch.h"

static char	 scratch[] = "/tmp/group_test.XXXXXX";
static char	 path[64], root[64];

static int
setup(void **state)
{
	(void)state;
	if (mkdtemp(scratch) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/file", scratch);
	snprintf(root, sizeof(root), "%s/root", scratch);
	return mkdir(root, 0700);
}

static int
teardown(void **state)
{
	(void)state;
	return scratch_remove(scratch);
}

/* As useradd does: a new file takes the place of the old one. */
static void
fill(const char *text)
{
	FILE *file;

	(void)unlink(path);
	assert_non_null(file = fopen(path, "w"));
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void
test_found(void **state)
{
	struct groups groups;

	(void)state;
	fill("root:x:0:\n"
	    "joe:x:1001:\n"
	    "jane:x:1002:jane\n"
	    "dial:x:20:jo,joe,jane\n"
	    "cd:*:24:joe\n"
	    "again:x:20:joe\n"
	    "us:x:4294967294:,joe,\n");
	assert_int_equal(groups_in_file(path, "joe", 1001, &groups), 1);
	assert_int_equal(groups.count, 4);
	assert_int_equal(groups.all[0], 1001);
	assert_int_equal(groups.all[1], 20);
	assert_int_equal(groups.all[2], 24);
	assert_int_equal(groups.all[3], 4294967294U);
	assert_true(groups.own);
	groups_free(&groups);
	assert_int_equal(groups_in_file(path, "jane", 1002, &groups), 1);
	assert_int_equal(groups.count, 2);
	assert_true(groups.own);
	groups_free(&groups);
	/* Somebody else's, and one that others are in. */
	assert_int_equal(groups_in_file(path, "oe", 1001, &groups), 1);
	assert_int_equal(groups.count, 1);
	assert_false(groups.own);
	groups_free(&groups);
	assert_int_equal(groups_in_file(path, "dial", 20, &groups), 1);
	assert_int_equal(groups.count, 1);
	assert_false(groups.own);
	groups_free(&groups);
}

/* Of two lines with one number the first counts. */
static void
test_first_counts(void **state)
{
	struct groups groups;

	(void)state;
	fill("all:x:01001:jane\njoe:x:1001:\n");
	assert_int_equal(groups_in_file(path, "joe", 1001, &groups), 1);
	assert_false(groups.own);
	groups_free(&groups);
	fill("joe:x:1001:\nall:x:1001:jane\n");
	assert_int_equal(groups_in_file(path, "joe", 1001, &groups), 1);
	assert_true(groups.own);
	groups_free(&groups);
}

/* What libc would read in its own way, pass over, or not find here. */
static void
test_odd(void **state)
{
	static const char *const lines[] = {
		"joe:x:1001", "joe:x:+1001:", "joe:x: 1001:", "joe:x::",
		"joe:x:-1:", "joe:x:4294967295:", "joe:x:99999999999:",
		"joe:x:1001:a:b", " joe:x:1001:", "joe:x:1001: jane",
		"joe:x:1001:jane\r", "# joe", "", "+", "+joe:::", "-joe:::",
		"joe:x:0x3e9:", "joe"
	};
	struct groups groups;
	char text[128];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(text, sizeof(text), "joe:x:1001:\n%s\nlast:x:9:\n",
		    lines[i]);
		fill(text);
		if (groups_in_file(path, "joe", 1001, &groups) != 0)
			fail_msg("taken: %s", lines[i]);
		assert_null(groups.all);
	}
	fill("joe:x:1001:\nlast:x:9:joe");	/* without an end */
	assert_int_equal(groups_in_file(path, "joe", 1001, &groups), 0);
	fill("jane:x:1002:\n");			/* without its own group */
	assert_int_equal(groups_in_file(path, "joe", 1001, &groups), 0);
	assert_int_equal(groups_in_file("/no/such/file", "joe", 1, &groups),
	    -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(groups_in_file("/tmp", "joe", 1, &groups), -1);
}

/* Lines stand wherever they may, and one may be longer than is read. */
static void
test_long(void **state)
{
	struct groups groups;
	FILE *file;
	int i, length;

	(void)state;
	for (length = 16300; length < 16420; length++) {
		assert_non_null(file = fopen(path, "w"));
		for (i = 0; i < 100; i++)
			fprintf(file, "g%d:x:%d:some,body\n", i, 2000 + i);
		fprintf(file, "long:x:1:%0*d,joe\n", length - 13, 0);
		fprintf(file, "joe:x:1001:\nlast:x:9:joe\n");
		assert_int_equal(fclose(file), 0);
		i = groups_in_file(path, "joe", 1001, &groups);
		assert_int_equal(i, length < 16384);
		if (i == 1)
			assert_int_equal(groups.count, 3);
		groups_free(&groups);
	}
}

/* Every account of this machine, as libc has it. */
static void
test_as_libc(void **state)
{
	struct groups groups;
	struct group *group;
	struct passwd *pw;
	gid_t all[256];
	int count;
	FILE *file = fopen("/etc/passwd", "r");

	(void)state;
	if (file == NULL)
		skip();
	while ((pw = fgetpwent(file)) != NULL) {
		assert_int_equal(groups_find(pw->pw_name, pw->pw_gid,
		    &groups), 0);
		count = 256;
		assert_int_not_equal(getgrouplist(pw->pw_name, pw->pw_gid,
		    all, &count), -1);
		assert_int_equal(groups.count, count);
		assert_memory_equal(groups.all, all,
		    (size_t)count * sizeof(all[0]));
		group = getgrgid(pw->pw_gid);
		assert_int_equal(groups.own, group != NULL &&
		    strcmp(group->gr_name, pw->pw_name) == 0 &&
		    (group->gr_mem[0] == NULL || (group->gr_mem[1] == NULL &&
		    strcmp(group->gr_mem[0], pw->pw_name) == 0)));
		groups_free(&groups);
	}
	fclose(file);
}

static void
test_configuration(void **state)
{
	static const struct {
		const char	*text;
		bool		 files;
	} cases[] = {
		{ "passwd: sss\ngroup: files\n", true },
		{ "group:\tfiles systemd # sss\n", true },
		{ "group: files systemd sss\n", false },
		{ "group: files sss\n", false },
		{ "group: sss files\n", false },
		{ "group: compat\n", false },
		{ "group: files [SUCCESS=merge] systemd\n", false },
		{ "group: files systemd\ninitgroups: files\n", false },
		{ "initgroups: files\ngroup: files\n", false },
		{ "group: files\ngroup: files sss\n", false },
		{ "group: files\n\tgroup: files sss\n", false },
		{ "group: files\ngroup files sss\n", false },
		{ "group: files\n initgroups sss\n", false },
		{ "group: files\nnetgroup: sss\ngroups: sss\n", true },
		{ "group:\n", false },
		{ "passwd: files\n", false },
		{ "", false }
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fill(cases[i].text);
		if (groups_are_files(path, root) != cases[i].files)
			fail_msg("case %zu", i);
	}
	assert_false(groups_are_files("/no/such/file", root));
}

static void
make(const char *name, bool directory)
{
	char whole[128];
	int fd;

	snprintf(whole, sizeof(whole), "%s%s", root, name);
	if (directory) {
		assert_int_equal(mkdir(whole, 0700), 0);
		return;
	}
	assert_int_not_equal(fd = open(whole, O_CREAT | O_WRONLY, 0600), -1);
	close(fd);
}

static void
unmake(const char *name)
{
	char whole[128];

	snprintf(whole, sizeof(whole), "%s%s", root, name);
	assert_int_equal(remove(whole), 0);
}

/* What systemd's service could find members in makes libc be asked. */
static void
test_systemd(void **state)
{
	static const char *const parents[] = {
		"/etc", "/run", "/run/host", "/run/systemd", "/lib", "/usr",
		"/usr/lib", "/usr/local", "/usr/local/lib"
	};
	static const char *const folders[] = {
		"/etc/userdb", "/run/userdb", "/run/host/userdb",
		"/lib/userdb", "/usr/lib/userdb", "/usr/local/lib/userdb"
	};
	size_t i;

	(void)state;
	fill("group: files systemd\n");
	for (i = 0; i < sizeof(parents) / sizeof(parents[0]); i++)
		make(parents[i], true);
	assert_true(groups_are_files(path, root));
	for (i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		make(folders[i], true);
		assert_false(groups_are_files(path, root));
		unmake(folders[i]);
	}
	make("/run/systemd/userdb", true);
	assert_true(groups_are_files(path, root));
	make("/run/systemd/userdb/io.systemd.DynamicUser", false);
	assert_true(groups_are_files(path, root));
	make("/run/systemd/userdb/io.systemd.Home", false);
	assert_false(groups_are_files(path, root));
	/* Where it is not asked it may say what it likes. */
	fill("group: files\n");
	assert_true(groups_are_files(path, root));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_first_counts),
		cmocka_unit_test(test_odd),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_as_libc),
		cmocka_unit_test(test_configuration),
		cmocka_unit_test(test_systemd),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
