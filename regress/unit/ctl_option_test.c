/* links: ctl/option.c */
/*
 * sendmail's flags: what history passes is taken or passed over, never fatal.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/ctl.h"

#define MAX_WORDS	16

/* Split a line at blanks ('' is an empty word) and take its flags. */
static int
take(const char *line, struct options *options)
{
	static char	 copy[512];
	char		*words[MAX_WORDS + 1], *rest = copy, *word;
	int		 count = 0;

	snprintf(copy, sizeof(copy), "sendmail %s", line);
	while (count < MAX_WORDS && (word = strsep(&rest, " ")) != NULL)
		words[count++] = strcmp(word, "''") == 0 ? word + 2 : word;
	words[count] = NULL;
	return options_take(count, words, options);
}

static void
crons_line(void **state)
{
	struct options	options;

	(void)state;
	assert_int_equal(take("-FCronDaemon -i -B8BITMIME -oem root",
	    &options), 5);
	assert_int_equal(options.mode, MODE_DELIVER);
	assert_string_equal(options.full_name, "CronDaemon");
	assert_true(options.dots_are_text);
	assert_int_equal(options.error_mode, ERROR_MAIL);
}

static void
arguments_come_both_ways(void **state)
{
	struct options	options;

	(void)state;
	assert_int_equal(take("-fjoe@x -t", &options), 3);
	assert_string_equal(options.sender, "joe@x");
	assert_true(options.from_header);
	assert_int_equal(take("-f joe@x -t a", &options), 4);
	assert_string_equal(options.sender, "joe@x");
	assert_int_equal(take("-ti -r '' a", &options), 4);
	assert_string_equal(options.sender, "");
	assert_true(options.from_header && options.dots_are_text);
	assert_int_equal(take("-o i -o e -C x -oeq", &options), 8);
	assert_true(options.dots_are_text);
	assert_int_equal(options.error_mode, ERROR_QUIET);
	assert_string_equal(options.configuration, "x");
}

static void
words_end_the_flags(void **state)
{
	struct options	options;

	(void)state;
	assert_int_equal(take("-i -- -t", &options), 3);
	assert_false(options.from_header);
	assert_int_equal(take("-i - -t", &options), 2);
	assert_int_equal(take("a -t", &options), 1);
	assert_false(options.from_header);
}

static void
modes(void **state)
{
	static const struct {
		const char	*line;
		enum mode	 mode;
	} cases[] = {
		{ "a", MODE_DELIVER }, { "-bm a", MODE_DELIVER },
		{ "-bp", MODE_QUEUE_LIST }, { "-bP", MODE_QUEUE_COUNT },
		{ "-bs", MODE_SMTP }, { "-ba", MODE_SMTP },
		{ "-bi", MODE_ALIASES }, { "-I", MODE_ALIASES },
		{ "-bv a", MODE_VERIFY }, { "-bt", MODE_TEST },
		{ "-bd -q15m", MODE_DAEMON }, { "-bD", MODE_DAEMON },
		{ "-q", MODE_QUEUE_RUN }, { "-q15m", MODE_QUEUE_RUN },
		{ "-bp -q", MODE_QUEUE_LIST }, { "-bh", MODE_NOTHING },
		{ "-bz a", MODE_DELIVER },
	};
	struct options	options;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		take(cases[i].line, &options);
		assert_int_equal(options.mode, cases[i].mode);
	}
}

static void
queue_runs_are_narrowed(void **state)
{
	struct options	options;

	(void)state;
	take("-qRexample.org", &options);
	assert_string_equal(options.run_recipient, "example.org");
	take("-qSjoe@x", &options);
	assert_string_equal(options.run_sender, "joe@x");
	take("-qI0abc", &options);
	assert_string_equal(options.run_id, "0abc");
	take("-q!Rx", &options);
	assert_null(options.run_recipient);
}

static void
error_modes(void **state)
{
	struct options	options;

	(void)state;
	take("a", &options);
	assert_int_equal(options.error_mode, ERROR_PRINT);
	take("-em -ep a", &options);
	assert_int_equal(options.error_mode, ERROR_PRINT);
	take("-OErrorMode=q a", &options);
	assert_int_equal(options.error_mode, ERROR_QUIET);
	take("-oeb a", &options);
	assert_int_equal(options.error_mode, ERROR_MAIL);
	take("-oex a", &options);
	assert_int_equal(options.error_mode, ERROR_PRINT);
	take("-O IgnoreDots=true a", &options);
	assert_true(options.dots_are_text);
	take("-OIgnoreDots=false a", &options);
	assert_false(options.dots_are_text);
}

static void
dsn(void **state)
{
	struct options	options;

	(void)state;
	take("-N never -Rfull -V id a", &options);
	assert_string_equal(options.notify, "never");
	assert_string_equal(options.ret, "full");
	assert_string_equal(options.envid, "id");
	take("-Nsuccess,FAILURE a", &options);
	assert_string_equal(options.notify, "success,FAILURE");
	/* Nonsense is as if not said: it must not cost the message. */
	take("-N sometimes -R all a", &options);
	assert_null(options.notify);
	assert_null(options.ret);
	take("-N never,success a", &options);
	assert_null(options.notify);
}

static void
all_else_is_passed_over(void **state)
{
	static const char	*lines[] = {
		"-Am a", "-Ac a", "-B 7BIT a", "-d0.1 a", "-d a", "-c a",
		"-E a", "-G a", "-h 3 a", "-L tag a", "-M x a", "-m a",
		"-n a", "-odb a", "-oA/etc/aliases a", "-O Timeout=5 a",
		"-p ESMTP:host a", "-Q a", "-s a", "-T3d a", "-U a",
		"-v a", "-X /tmp/log a", "-x a", "-Z a", "-D /x a", "-J a",
		"-iUvm a", "-C x a",
	};
	struct options	options;
	char		line[128];
	int		first, words;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		first = take(lines[i], &options);
		snprintf(line, sizeof(line), "%s", lines[i]);
		words = 1;
		for (char *at = line; *at != '\0'; at++)
			words += *at == ' ';
		assert_int_equal(first, words);
		assert_int_equal(options.mode, MODE_DELIVER);
	}
	/* An argument that is missing. */
	assert_int_equal(take("-i -f", &options), 3);
	assert_null(options.sender);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(crons_line),
		cmocka_unit_test(arguments_come_both_ways),
		cmocka_unit_test(words_end_the_flags),
		cmocka_unit_test(modes),
		cmocka_unit_test(queue_runs_are_narrowed),
		cmocka_unit_test(error_modes),
		cmocka_unit_test(dsn),
		cmocka_unit_test(all_else_is_passed_over),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
