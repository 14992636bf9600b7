/* links: regress/unit/scratch.c regress/unit/descriptors.c common/conf.c
 * common/conf_keyword.c common/conf_lex.c common/conf_parse.c
 * common/conf_print.c common/conf_value.c common/target.c common/log.c
 * common/queueid.c common/clock.c postmaster/logs.c */
/*
 * Whose log is which, and that a log is opened anew when it was moved away,
 * replaced, or can be made at last.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "log.h"
#include "postmaster/postmaster.h"
#include "regress/unit/descriptors.h"
#include "regress/unit/scratch.h"

static char scratch[] = "/tmp/logs_test.XXXXXX";
static struct settings settings;
static struct options options = { .verbose = true };
static char told[256];
static int flags;		/* of the newest descriptor */

int
house_make_parents(const char *path)
{
	(void)path;
	return 0;
}

/* ---- what the tests do ---- */

static int
tell(void *arg, const struct w_start_log_ntf *ntf, int fd)
{
	size_t length = strlen(told);

	(void)arg;
	snprintf(told + length, sizeof(told) - length, "%s%s%s ", ntf->name,
	    ntf->additional ? "+" : "", ntf->verbose ? ":v" : "");
	flags = fcntl(fd, F_GETFL);
	close(fd);
	return 0;
}

static const char *
logs_of(enum process process)
{
	told[0] = '\0';
	assert_int_equal(logs_hand_over(process, tell, NULL), 0);
	return told;
}

static int
setup(void **state)
{
	char text[512];

	(void)state;
	if (mkdtemp(scratch) == NULL || chdir(scratch) == -1)
		return -1;
	snprintf(text, sizeof(text), "[core]\nlogger = a\n"
	    "[smtpd \"s\"]\nlogger = b\n[smtpd \"t\"]\n"
	    "[logfile \"a\"]\nfile = %s/a-%%Y\n"
	    "[logfile \"b\"]\nfile = %s/folder/b\n", scratch, scratch);
	settings.conf = conf_parse("cf", text, strlen(text), NULL);
	settings.log_group = getgid();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	conf_free(settings.conf);
	return scratch_remove(scratch);
}

static int
lines_about(const char *name, const char *what)
{
	FILE *file = fopen(name, "r");
	char line[512];
	int count = 0;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL)
		count += strstr(line, what) != NULL;
	fclose(file);
	return count;
}

/* ---- tests ---- */

static void
test_logs(void **state)
{
	char name[32];
	struct stat st;
	time_t now = time(NULL);

	(void)state;
	logs_open(&settings, &options);
	strftime(name, sizeof(name), "a-%Y", localtime(&now));
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_string_equal(logs_of(PROC_SMTPD), "a:v ");
	assert_int_equal(flags & O_APPEND, O_APPEND);
	assert_int_equal(flags & O_NONBLOCK, O_NONBLOCK);

	/* One that can be made at last is made; until then it is told once. */
	assert_false(logs_follow());
	assert_false(logs_follow());
	log_flush();
	assert_int_equal(lines_about(name, "folder/b: No such file"), 1);
	assert_int_equal(mkdir("folder", 0700), 0);
	assert_true(logs_follow());
	assert_false(logs_follow());
	assert_string_equal(logs_of(PROC_SMTPD), "a:v b+:v ");
	assert_string_equal(logs_of(PROC_SPOOLD), "a:v ");

	/* Moved away; and another put in its place. */
	assert_int_equal(rename(name, "old"), 0);
	assert_true(logs_follow());
	assert_int_equal(access(name, F_OK), 0);
	assert_int_equal(rename(name, "older"), 0);
	close(creat(name, 0600));
	assert_true(logs_follow());
	assert_false(logs_follow());
}

static void
test_descriptors(void **state)
{
	int before = descriptors(), i;

	(void)state;
	for (i = 0; i < 3; i++) {
		logs_open(&settings, &options);
		assert_int_equal(rename("folder/b", "old"), 0);
		assert_true(logs_follow());
	}
	assert_int_equal(descriptors(), before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_logs),
		cmocka_unit_test(test_descriptors)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
