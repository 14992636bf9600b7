/* links: common/conf.c common/conf_keyword.c common/conf_lex.c
 * common/conf_parse.c common/conf_print.c common/conf_value.c
 * common/target.c postmaster/part.c */
/*
 * Who gets which part of the configuration, and that its lines stay where
 * they were.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "postmaster/postmaster.h"

static const char text[] =
    "a@x joe\n"					/* 1 */
    "b@x pipe(/bin/b), joe\n"			/* 2 */
    "[core]\n"					/* 3 */
    "  hostname = h\n"				/* 4 */
    "[pipe \"p\"]\n"				/* 5 */
    "  exec = /bin/p   -x\n"			/* 6 */
    "[relay \"r\"]\n"				/* 7 */
    "  address = 10.0.0.1\n"			/* 8 */
    "[smtpd \"s\"]\n"				/* 9 */
    "  listen-port = 25\n"			/* 10 */
    "[route \"t\"]\n"				/* 11 */
    "  c@x maildir(/m)\n"			/* 12 */
    "[core]\n"					/* 13 */
    "  window = 7\n"				/* 14 */
    "[route]\n"					/* 15 */
    "  d@x mbox(/b)\n"				/* 16 */
    "  file \"/etc/rt\"\n";			/* 17 */

/* The part of that process, parsed again. */
static struct conf *
part_of(enum process process)
{
	struct conf *conf = conf_parse("cf", text, strlen(text), NULL), *part;
	char *printed = NULL;
	size_t length;
	FILE *out = open_memstream(&printed, &length);

	assert_int_equal(conf->wrong, 0);
	assert_int_equal(part_print(conf, process, out), 0);
	fclose(out);
	part = conf_parse("part", printed, length, NULL);
	assert_int_equal(part->wrong, 0);
	free(printed);
	conf_free(conf);
	return part;
}

static void
check_sections(enum process process, const char *wanted)
{
	static const char *const types[] = { "core", "pipe", "relay",
	    "smtpd", "route" };
	struct conf *part = part_of(process);
	char got[64] = "";
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (conf_section(part, types[i], NULL) != NULL) {
			strlcat(got, types[i], sizeof(got));
			strlcat(got, " ", sizeof(got));
		}
	assert_string_equal(got, wanted);
	conf_free(part);
}

static void
test_sections(void **state)
{
	(void)state;
	check_sections(PROC_SMTPD, "core smtpd ");
	check_sections(PROC_POLICYD, "core pipe relay smtpd route ");
	check_sections(PROC_SPOOLD, "core relay ");
	check_sections(PROC_RELAY, "core relay ");
	check_sections(PROC_DELIVER, "core pipe route ");
}

/* deliver has the routes that it must know itself, and no other. */
static void
test_deliver(void **state)
{
	struct conf *part = part_of(PROC_DELIVER);
	const struct conf_section *table = conf_section(part, "route", "");
	const struct conf_route *route = TAILQ_FIRST(&table->routes);

	(void)state;
	assert_string_equal(route->left, "b@x");
	route = TAILQ_NEXT(route, entry);
	assert_string_equal(route->left, "d@x");
	assert_null(TAILQ_NEXT(route, entry));
	table = conf_section(part, "route", "t");
	assert_string_equal(TAILQ_FIRST(&table->routes)->left, "c@x");
	conf_free(part);
}

static void
test_places(void **state)
{
	struct conf *part = part_of(PROC_POLICYD);
	const struct conf_section *core = conf_section(part, "core", NULL);
	const struct conf_setting *exec;
	const struct conf_route *route;

	(void)state;
	assert_int_equal(conf_setting(core, "hostname")->place.line, 4);
	assert_int_equal(conf_setting(core, "window")->place.line, 14);
	exec = conf_setting(conf_section(part, "pipe", "p"), "exec");
	assert_int_equal(exec->words[1].place.line, 6);
	assert_int_equal(exec->words[1].place.column, 19);
	route = TAILQ_LAST(&conf_section(part, "route", "")->routes,
	    conf_routes);
	assert_null(route->left);
	assert_int_equal(route->place.line, 17);
	conf_free(part);
}

/* What a process is handed cannot be changed under it. */
static void
test_sealed(void **state)
{
	struct conf *conf = conf_parse("cf", text, strlen(text), NULL);
	int fd = part_open(conf, PROC_SPOOLD);
	char octet;

	(void)state;
	assert_true(fd != -1);
	assert_int_equal(pread(fd, &octet, 1, 0), 1);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	close(fd);
	conf_free(conf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sections),
		cmocka_unit_test(test_deliver),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_sealed)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
