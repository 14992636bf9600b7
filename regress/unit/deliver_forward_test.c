/* links: regress/unit/scratch.c deliver/forward.c common/aliases.c
 * common/address.c common/target.c common/log.c common/clock.c
 * common/queueid.c */
/*
 * What a .forward says, and which ones are not believed.
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

#include "deliver/deliver.h"
#include "regress/unit/scratch.h"

static char	scratch[] = "/tmp/postmaster-forward-XXXXXX";
static char	joe[] = "joe";
static struct worker worker = { .groups.own = true };

static int
setup(void **unused)
{
	(void)unused;
	worker.account.name = joe;
	worker.account.uid = getuid();
	worker.account.gid = getgid();
	worker.account.home = mkdtemp(scratch);
	return worker.account.home == NULL ? -1 : chdir(scratch);
}

static int
teardown(void **unused)
{
	(void)unused;
	return scratch_remove(scratch);
}

static void
write_file(const char *name, const char *text)
{
	FILE	*file;

	assert_non_null(file = fopen(name, "w"));
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(name, 0600), 0);
}

/* Read a .forward of this text and compare it with what is wanted. */
static void
check_forward(const char *text, const char *wanted)
{
	struct forward	 forward;
	char	 got[4096] = "";
	size_t	 i, used = 0;

	write_file(".forward", text);
	if (forward_read(&worker, &forward) == -1)
		snprintf(got, sizeof(got), "wrong");
	else
		for (i = 0; i < forward.count; i++)
			used += (size_t)snprintf(got + used,
			    sizeof(got) - used, "%s%s%s", i > 0 ? ", " : "",
			    forward.entries[i].place == TARGET_ROUTED ?
			    "" : "!", forward.entries[i].text);
	assert_string_equal(got, wanted);
	forward_free(&forward);
}

static void
test_lists(void **unused)
{
	(void)unused;
	check_forward("", "");
	check_forward("# nothing\n\n", "");
	check_forward("a@b, c\nd@e", "a@b, c, d@e");
	check_forward("joe", "!\\joe");
	check_forward("JOE, \\joe", "!\\joe");
	check_forward("\\joe, a@b, a@b", "!\\joe, a@b");
	check_forward("\\ann", "ann");
	check_forward("|/bin/x -a", "!|/bin/x -a");
	check_forward("\"|/bin/x 'a, b'\", /home/joe/f", "!|/bin/x 'a, b', "
	    "!/home/joe/f");
	check_forward("/home/joe/M/", "!/home/joe/M/");
	check_forward("@x", "wrong");
	check_forward("relay(x)", "wrong");
	check_forward("a@b, \"", "wrong");
	check_forward(":include:/nonexistent", "wrong");
}

static void
test_includes(void **unused)
{
	char	 text[128], name[16];
	int	 i;

	(void)unused;
	write_file("list", "a@b, |/bin/x\n");
	snprintf(text, sizeof(text), "c@d, :include:%s/list, a@b", scratch);
	check_forward(text, "c@d, a@b, !|/bin/x");
	snprintf(text, sizeof(text), ":include:%s/list", scratch);
	write_file("list", text);
	check_forward(text, "wrong");
	write_file("list", "a@b");
	assert_int_equal(chmod("list", 0666), 0);
	check_forward(text, "wrong");
	/* Five deep, and no deeper. */
	write_file("list6", "a@b");
	for (i = 5; i > 0; i--) {
		snprintf(text, sizeof(text), ":include:%s/list%d", scratch,
		    i + 1);
		snprintf(name, sizeof(name), "list%d", i);
		write_file(name, text);
	}
	snprintf(text, sizeof(text), ":include:%s/list2", scratch);
	check_forward(text, "a@b");
	snprintf(text, sizeof(text), ":include:%s/list1", scratch);
	check_forward(text, "wrong");
}

static void
test_self(void **unused)
{
	struct forward	 forward;

	(void)unused;
	write_file(".forward", "joe\n");
	assert_int_equal(forward_read(&worker, &forward), 0);
	assert_true(forward.exists && forward.only_self);
	assert_true(forward_has(&forward, "\\joe"));
	assert_false(forward_has(&forward, "joe"));
	forward_free(&forward);
	assert_int_equal(unlink(".forward"), 0);
	assert_int_equal(forward_read(&worker, &forward), 0);
	assert_false(forward.exists);
	forward_free(&forward);
	worker.home_errno = EACCES;
	assert_int_equal(forward_read(&worker, &forward), -1);
	forward_free(&forward);
	worker.home_errno = 0;
}

static void
test_limits(void **unused)
{
	struct forward	 forward;
	char	*text = calloc(1, 80000);
	int	 i;

	(void)unused;
	assert_non_null(text);
	for (i = 0; i < 1000; i++)
		snprintf(text + strlen(text), 80000 - strlen(text), "u%d@x\n",
		    i);
	write_file(".forward", text);
	assert_int_equal(forward_read(&worker, &forward), 0);
	assert_int_equal(forward.count, 1000);
	forward_free(&forward);
	strcat(text, "one@more\n");
	write_file(".forward", text);
	assert_int_equal(forward_read(&worker, &forward), -1);
	forward_free(&forward);
	memset(text, '#', 65537);
	text[65537] = '\0';
	write_file(".forward", text);
	assert_int_equal(forward_read(&worker, &forward), -1);
	forward_free(&forward);
	free(text);
}

static void
test_unsafe(void **unused)
{
	struct worker	 user = { .account = { .uid = 1000, .gid = 1000 } };
	struct stat	 st = { .st_uid = 1000, .st_gid = 1000 };

	(void)unused;
	st.st_mode = S_IFREG | 0644;
	assert_null(forward_unsafe(&st, &user));
	st.st_uid = 0;
	assert_null(forward_unsafe(&st, &user));
	st.st_uid = 1001;
	assert_non_null(forward_unsafe(&st, &user));
	st.st_uid = 1000;
	st.st_mode = S_IFREG | 0664;
	assert_non_null(forward_unsafe(&st, &user));
	user.groups.own = true;
	assert_null(forward_unsafe(&st, &user));
	st.st_gid = 100;
	assert_non_null(forward_unsafe(&st, &user));
	st.st_mode = S_IFREG | 0646;
	assert_non_null(forward_unsafe(&st, &user));
	st.st_mode = S_IFIFO | 0600;
	assert_non_null(forward_unsafe(&st, &user));
	st.st_mode = S_IFDIR | 0700;
	assert_non_null(forward_unsafe(&st, &user));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_includes),
		cmocka_unit_test(test_self),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_unsafe),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
