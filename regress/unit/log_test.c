/* links: common/log.c common/clock.c common/queueid.c */
/*
 * The log takes every line of a turn, however many there are, and counts
 * those that came before it had a descriptor and found no room.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include <cmocka.h>

#include "log.h"

#define LINES	4000	/* more than can wait */

static char path[] = "/tmp/postmaster-log-XXXXXX";

static int
make_file(void **state)
{
	static int fd;

	if ((fd = mkstemp(path)) == -1)
		return -1;
	*state = &fd;
	return 0;
}

static int
drop_file(void **state)
{
	(void)state;
	return unlink(path);
}

/* Log lines, each with its number. */
static void
log_many(const char *word, int count)
{
	int i;

	for (i = 0; i < count; i++) {
		log_begin(LOG_INFO, word);
		log_number("number", i);
		log_end();
	}
}

/* How many lines of the file hold this word, in the order of their numbers. */
static int
count_lines(const char *word)
{
	char line[4096];
	const char *found;
	int count = 0, number, last = -1;
	FILE *file;

	assert_non_null(file = fopen(path, "r"));
	while (fgets(line, sizeof(line), file) != NULL) {
		assert_int_equal(line[strlen(line) - 1], '\n');
		if ((found = strstr(line, word)) == NULL)
			continue;
		count++;
		if ((found = strstr(found, "number=")) == NULL)
			continue;
		number = atoi(found + strlen("number="));
		assert_true(number > last);
		last = number;
	}
	fclose(file);
	return count;
}

static void
test_before_a_descriptor(void **state)
{
	int *fd = *state;

	log_start("log_test", false);
	log_many("early", LINES);
	log_flush();
	log_to(*fd, LOG_TO_FILE, "test", 0, "host.test", false);
	log_flush();
	assert_int_not_equal(count_lines(" early "), 0);
	assert_int_not_equal(count_lines(" early "), LINES);
	assert_int_equal(count_lines(" log-lines-lost "), 1);
}

static void
test_many_in_one_turn(void **state)
{
	(void)state;
	log_many("busy", LINES);
	log_flush();
	assert_int_equal(count_lines(" busy "), LINES);
	assert_int_equal(count_lines(" log-lines-lost "), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_before_a_descriptor),
		cmocka_unit_test(test_many_in_one_turn)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_file, drop_file);
}
