/* links: regress/unit/scratch.c common/conf.c common/conf_keyword.c
 * common/conf_lex.c common/conf_parse.c common/conf_print.c
 * common/conf_value.c common/target.c common/log.c common/queueid.c
 * common/clock.c common/wire.c common/signals.c postmaster/part.c
 * postmaster/program.c */
/*
 * What a program is started with, and what its -n comes to.  The programs are
 * scripts below a folder of our own.
 */
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "jail.h"
#include "postmaster/postmaster.h"
#include "regress/unit/scratch.h"

static char scratch[] = "/tmp/program_test.XXXXXX";
static struct settings settings;
static struct options options;

/* ---- what stands around it ---- */

/* Where this program is, as far as it can see. */
ssize_t
readlink(const char *path, char *text, size_t size)
{
	assert_string_equal(path, "/proc/self/exe");
	return snprintf(text, size, "%s/sbin/postmaster", scratch);
}

/* Only this one may be become. */
int
jail_become(uid_t uid, gid_t gid, const gid_t *groups, size_t count)
{
	return uid == 7 && gid == 8 && groups == NULL && count == 0 ? 0 : -1;
}

/* ---- what the tests do ---- */

/* The program of relay is this script, in the scratch folder. */
static void
set_script(const char *text)
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/libexec/postmaster/relay", scratch);
	(void)unlink(path);
	assert_non_null(file = fopen(path, "w"));
	fprintf(file, "#!/bin/sh\ncd %s\n%s\n", scratch, text);
	assert_int_equal(fchmod(fileno(file), 0755), 0);
	assert_int_equal(fclose(file), 0);
}

static const char *
report(void)
{
	static char text[4096];
	char path[PATH_MAX];
	size_t length;
	FILE *file;

	snprintf(path, sizeof(path), "%s/report", scratch);
	assert_non_null(file = fopen(path, "r"));
	length = fread(text, 1, sizeof(text) - 1, file);
	text[length] = '\0';
	fclose(file);
	return text;
}

/* What -n says of relay's part, and its result. */
static int
check(const char *script, char **said)
{
	size_t length;
	FILE *out = open_memstream(said, &length);
	int result;

	set_script(script);
	alarm(20);
	result = program_check(PROC_RELAY, &settings, &options, out);
	alarm(0);
	fclose(out);
	return result;
}

static int
setup(void **state)
{
	static const char text[] = "[core]\nhostname = h\n[smtpd \"s\"]\n";
	char path[PATH_MAX];

	(void)state;
	if (mkdtemp(scratch) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/libexec", scratch);
	if (mkdir(path, 0700) == -1)
		return -1;
	strlcat(path, "/postmaster", sizeof(path));
	if (mkdir(path, 0700) == -1)
		return -1;
	settings.conf = conf_parse("the.cf", text, strlen(text), NULL);
	settings.identities[PROC_RELAY] = (struct identity){ 7, 8 };
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	conf_free(settings.conf);
	return scratch_remove(scratch);
}

/* ---- tests ---- */

static void
test_started(void **state)
{
	const char *why, *said;
	char wanted[64];
	int status, stray, link;
	sigset_t some;
	pid_t pid;

	(void)state;
	assert_int_equal(program_find(&why), 0);
	set_script("{ echo \"$# $*\"; env | sort; echo fd /proc/$$/fd/*\n"
	    "grep -E '^Sig(Blk|Ign)' /proc/self/status; echo here >&3\n"
	    "echo session $(ps -o sid= -p $$) is $$; } >report 2>&1\n");
	assert_int_not_equal(stray = open("/dev/null", O_RDONLY), -1);
	assert_int_not_equal(link = open(scratch, O_TMPFILE | O_RDWR, 0600),
	    -1);
	assert_int_equal(dup2(stray, 100), 100);
	setenv("LD_LIBRARY_PATH", "/stray", 1);
	signal(SIGUSR1, SIG_IGN);
	sigemptyset(&some);
	sigaddset(&some, SIGUSR2);
	sigprocmask(SIG_BLOCK, &some, NULL);
	pid = program_start(PROC_RELAY, 7, "-l", link, stray, false);
	sigprocmask(SIG_UNBLOCK, &some, NULL);
	signal(SIGUSR1, SIG_DFL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	said = report();
	assert_int_equal(strncmp(said, "2 -l 7\n", 7), 0);
	assert_non_null(strstr(said, "\nTZ=:/etc/localtime\n"));
	assert_null(strstr(said, "stray"));
	assert_null(strstr(said, "HOME"));
	assert_non_null(strstr(said, "SigBlk:\t0000000000000000\n"));
	assert_non_null(strstr(said, "SigIgn:\t0000000000000000\n"));
	assert_non_null(strstr(said, "/fd/4"));
	assert_null(strstr(said, "/fd/100"));
	assert_int_equal(lseek(link, 0, SEEK_END), 5);
	snprintf(wanted, sizeof(wanted), "session %d is %d\n", pid, pid);
	assert_non_null(strstr(said, wanted));
	close(100);
	close(stray);
	close(link);
}

static void
test_checked(void **state)
{
	char *said = NULL;

	(void)state;
	assert_int_equal(check("cat >report\nprintf '%s\\n' \"$*\" >>report",
	    &said), 0);
	assert_string_equal(said, "");
	free(said);
	assert_non_null(strstr(report(), "hostname"));
	assert_non_null(strstr(report(), "-n\n"));
	assert_null(strstr(report(), "smtpd"));
	assert_int_equal(check("echo postmaster.cf:3:1: ah; echo >&2 oh\n"
	    "exit 1", &said), 1);
	assert_string_equal(said, "the.cf:3:1: ah\noh\n");
	free(said);
	assert_int_equal(check("exit 2", &said), 2);
	free(said);
}

/* One that cannot be believed has checked nothing. */
static void
test_not_checked(void **state)
{
	static const char *const scripts[] = { "exit 3", "kill -9 $$",
	    "exec yes" };
	char *said = NULL;
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		assert_int_equal(check(scripts[i], &said), -1);
		assert_non_null(strstr(said, "relay -n did not end"));
		free(said);
	}
	/* The rights of root are given up first, or nothing is done. */
	settings.identities[PROC_RELAY].uid = 6;
	assert_int_equal(check("exit 0", &said), -1);
	free(said);
	options.rootless = true;
	assert_int_equal(check("exit 0", &said), 0);
	free(said);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_started),
		cmocka_unit_test(test_checked),
		cmocka_unit_test(test_not_checked)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
