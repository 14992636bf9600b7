/* links: common/conf.c common/conf_keyword.c common/conf_lex.c
 * common/conf_parse.c common/conf_print.c common/conf_value.c
 * common/target.c */
/*
 * Whole configurations: each regress/config/NN.in gives the complaints and
 * the print of NN.ok, and what is printed is a fixed point, in both forms.
 */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf.h"

static bool
all(const struct conf_section *section, const struct conf_route *route,
    void *arg)
{
	(void)section;
	(void)route;
	(void)arg;
	return true;
}

/* What a file holds, to be freed. */
static char *
contents(const char *path)
{
	FILE *in = fopen(path, "r");
	char *text = calloc(1, 65536);

	assert_non_null(in);
	assert_non_null(text);
	assert_true(fread(text, 1, 65535, in) > 0);
	fclose(in);
	return text;
}

/* The complaints about a text, if asked for, and its print. */
static char *
parse_and_print(const char *text, bool placed, bool complain)
{
	char *printed = NULL;
	size_t length;
	FILE *out = open_memstream(&printed, &length);
	struct conf *conf;

	assert_non_null(out);
	conf = conf_parse("in", text, strlen(text), complain ? out : NULL);
	if (placed)
		assert_int_equal(conf_print_placed(conf, all, NULL, out), 0);
	else
		assert_int_equal(conf_print(conf, out), 0);
	fclose(out);
	conf_free(conf);
	return printed;
}

static void
check_fixed_point(const char *text, bool placed)
{
	char *once = parse_and_print(text, placed, false);
	char *twice = parse_and_print(once, placed, false);

	assert_string_equal(once, twice);
	free(once);
	free(twice);
}

/* The placed print means the same as what it was made from. */
static void
check_same(const char *text)
{
	char *placed = parse_and_print(text, true, false);
	char *plain = parse_and_print(text, false, false);
	char *through = parse_and_print(placed, false, false);

	assert_string_equal(plain, through);
	free(placed);
	free(plain);
	free(through);
}

static void
test_files(void **state)
{
	char path[256], *in, *ok, *got;
	glob_t found;
	size_t i;

	(void)state;
	assert_int_equal(glob("regress/config/*.in", 0, NULL, &found), 0);
	assert_true(found.gl_pathc > 8);
	for (i = 0; i < found.gl_pathc; i++) {
		in = contents(found.gl_pathv[i]);
		snprintf(path, sizeof(path), "%.*s.ok",
		    (int)strlen(found.gl_pathv[i]) - 3, found.gl_pathv[i]);
		ok = contents(path);
		got = parse_and_print(in, false, true);
		if (strcmp(got, ok) != 0)
			print_error("%s differs\n", path);
		assert_string_equal(got, ok);
		check_fixed_point(in, false);
		check_fixed_point(in, true);
		check_same(in);
		free(in);
		free(ok);
		free(got);
	}
	globfree(&found);
}

/* What is installed is right and prints as it means. */
static void
test_installed(void **state)
{
	struct conf *conf = conf_read("etc/postmaster.cf", stderr);
	char *text = contents("etc/postmaster.cf");

	(void)state;
	assert_int_equal(conf->wrong, 0);
	assert_int_equal(conf->lacking, 0);
	conf_free(conf);
	check_fixed_point(text, false);
	check_same(text);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_installed)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
