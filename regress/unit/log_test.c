/* links: common/log.c common/log_sink.c common/clock.c common/queueid.c */
/*
 * The log on a disk that takes no more, here a limit on the file's size: a
 * line that was cut is ended and written again whole, what finds no room in
 * the ring is counted, values from outside stay on their line.
 */
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

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
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "log.h"

static char path[] = "/tmp/log_test.XXXXXX";
static int log_fd;

static void
limit_to(rlim_t size)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = size;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void
lift(void)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit_to(limit.rlim_max);
}

static off_t
size_now(void)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

/* The file's text, until the next call. */
static const char *
text(void)
{
	static char octets[1 << 20];
	FILE *file = fopen(path, "r");
	size_t n;

	assert_non_null(file);
	n = fread(octets, 1, sizeof(octets) - 1, file);
	octets[n] = '\0';
	fclose(file);
	return octets;
}

static int
setup(void **state)
{
	(void)state;
	strcpy(path + strlen(path) - 6, "XXXXXX");
	signal(SIGXFSZ, SIG_IGN);
	log_start("test", false);
	if ((log_fd = mkstemp(path)) == -1)
		return -1;
	close(log_fd);
	if ((log_fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC)) == -1)
		return -1;
	log_to(log_fd, LOG_TO_FILE, "test", LOG_MAIL, "h.test", false);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	lift();
	return unlink(path);
}

/* Cut the second of three lines at each octet in turn. */
static void
test_cut(void **state)
{
	const char *p;
	off_t before;
	int cut, lines;

	(void)state;
	for (cut = 1; cut < 40; cut++) {
		before = size_now();
		log_note(LOG_INFO, "one", "first");
		log_flush();
		limit_to(size_now() + cut);
		log_note(LOG_INFO, "two", "second");
		log_note(LOG_INFO, "three", "third");
		log_flush();
		assert_true(log_waiting());
		lift();
		log_flush();
		assert_false(log_waiting());
		lines = 0;
		for (p = text() + before; *p != '\0'; p = strchr(p, '\n') + 1)
			lines++;
		assert_int_equal(lines, 4);
		p = strstr(text() + before, " one ");
		assert_non_null(p);
		p = strchr(p, '\n') + 1;
		assert_int_equal(strcspn(p, "\n"), cut);
		p += cut + 1;
		assert_memory_equal(p, "20", 2);
		assert_non_null(strstr(p, " two text=second\n"));
		assert_non_null(strstr(p, " three text=third\n"));
	}
}

static void
test_count(void **state)
{
	char many[1000];
	int i;

	(void)state;
	memset(many, 'x', sizeof(many) - 1);
	many[sizeof(many) - 1] = '\0';
	limit_to((rlim_t)size_now());
	for (i = 0; i < 200; i++) {
		log_note(LOG_INFO, "many", "%s", many);
		log_flush();
	}
	lift();
	log_flush();
	assert_non_null(strstr(text(), " log-lines-lost count="));
	assert_false(log_waiting());
}

static void
test_values(void **state)
{
	const char *p;

	(void)state;
	log_begin(LOG_INFO, "values");
	log_string("a", "x\ny\r\x1b[0m\xff");
	log_string("b", "two words");
	log_string("c", NULL);
	log_string("d", "say \"a\\b\"\x7f end");
	log_end();
	log_flush();
	p = strstr(text(), " values ");
	assert_non_null(p);
	assert_ptr_equal(strchr(p, '\n'), strrchr(p, '\n'));
	assert_null(strpbrk(p, "\r\x1b\xff"));
	assert_non_null(strstr(p, " a=\"x\\x0ay\\x0d\\x1b[0m\\xff\" "));
	assert_non_null(strstr(p, " b=\"two words\" c=- "));
	assert_non_null(strstr(p, " d=\"say \\\"a\\\\b\\\"\\x7f end\"\n"));
}

/* What is too long is cut, whatever it is made of. */
static void
test_cut_value(void **state)
{
	char many[3000], *p;

	(void)state;
	memset(many, '\n', sizeof(many) - 1);
	many[sizeof(many) - 1] = '\0';
	log_begin(LOG_INFO, "escapes");
	log_string("a", many);
	log_string("b", "behind");
	log_end();
	memset(many, ' ', sizeof(many) - 1);
	log_begin(LOG_INFO, "blanks");
	log_string("a", many);
	log_string("b", "behind");
	log_end();
	log_flush();
	p = strstr(text(), " escapes a=\"\\x0a");
	assert_non_null(p);
	assert_int_equal(strspn(p + 12, "\\x0a"), 1000);
	assert_memory_equal(p + 12 + 1000, "...\" b=behind\n", 14);
	p = strstr(p, " blanks a=\" ");
	assert_non_null(p);
	assert_int_equal(strspn(p + 11, " "), 999);
	assert_memory_equal(p + 11 + 999, "...\" b=behind\n", 14);
}

/* Only who wants them gets the notes that explain. */
static void
test_debug(void **state)
{
	(void)state;
	log_note(LOG_DEBUG, "whispered", "unheard");
	log_set_verbose(true);
	log_note(LOG_DEBUG, "said", "heard");
	log_set_verbose(false);
	log_flush();
	assert_null(strstr(text(), "unheard"));
	assert_non_null(strstr(text(), " said text=heard\n"));
}

static void
test_numbers(void **state)
{
	(void)state;
	log_begin(LOG_INFO, "numbers");
	log_number("a", 0);
	log_number("b", -7);
	log_number("c", LLONG_MAX);
	log_number("d", LLONG_MIN);
	log_seconds("e", 0);
	log_seconds("f", 61234567);
	log_seconds("g", -500000);
	log_seconds("h", 9000);
	log_end();
	log_flush();
	assert_non_null(strstr(text(), " numbers a=0 b=-7"
	    " c=9223372036854775807 d=-9223372036854775808 e=0.000 f=61.234"
	    " g=-0.500 h=0.009\n"));
}

/* Does a line begin with the time, to the second, and who wrote it? */
static void
assert_origin(const char *line, pid_t pid, const char *host)
{
	char wanted[128], zone[8];
	struct tm tm = { 0 };
	time_t then;
	const char *rest;

	rest = strptime(line, "%Y-%m-%dT%H:%M:%S", &tm);
	assert_non_null(rest);
	tm.tm_isdst = -1;
	then = mktime(&tm);
	assert_true(then <= time(NULL) && then + 60 > time(NULL));
	assert_int_equal(*rest, '.');
	assert_int_equal(strspn(rest + 1, "0123456789"), 6);
	strftime(zone, sizeof(zone), "%z", &tm);
	snprintf(wanted, sizeof(wanted), "%.3s:%.2s %s test[%d]: ", zone,
	    zone + 3, host, (int)pid);
	assert_memory_equal(rest + 7, wanted, strlen(wanted));
}

/* The origin of a line is remembered: not by a child, nor for another host. */
static void
test_origin(void **state)
{
	const char *p;
	int status;
	pid_t pid;

	(void)state;
	log_note(LOG_INFO, "parent", "one");
	log_flush();
	assert_origin(text(), getpid(), "h.test");
	if ((pid = fork()) == 0) {
		log_note(LOG_INFO, "child", "two");
		log_flush();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	p = strchr(text(), '\n') + 1;
	assert_origin(p, pid, "h.test");
	log_set_hostname("other.test");
	log_note(LOG_INFO, "parent", "three");
	log_flush();
	p = strchr(strchr(text(), '\n') + 1, '\n') + 1;
	assert_origin(p, getpid(), "other.test");
}

/* Nor is the time, once it has passed. */
static void
test_time_passes(void **state)
{
	const char *p;
	time_t start;

	(void)state;
	log_note(LOG_INFO, "one", "early");
	log_flush();
	for (start = time(NULL); time(NULL) < start + 2; )
		usleep(100000);
	log_note(LOG_INFO, "two", "late");
	log_flush();
	p = strchr(text(), '\n') + 1;
	assert_true(strncmp(text(), p, 19) != 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_count, setup, teardown),
		cmocka_unit_test_setup_teardown(test_values, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut_value, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_debug, setup, teardown),
		cmocka_unit_test_setup_teardown(test_numbers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_origin, setup, teardown),
		cmocka_unit_test_setup_teardown(test_time_passes, setup,
		    teardown)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
