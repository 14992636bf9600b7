/* links: deliver/command.c deliver/mailer.c deliver/job.c common/target.c
 *	common/conf.c common/conf_keyword.c common/conf_lex.c
 *	common/conf_parse.c common/conf_value.c common/account.c common/group.c
 *	common/passwd.c common/nsswitch.c
 *	common/log.c common/clock.c common/queueid.c */
/*
 * Arguments, environment and exit codes of programs; the table of mailers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "conf.h"
#include "deliver/deliver.h"
#include "target.h"

static char	joe[] = "joe", home[] = "/home/joe", shell[] = "";

static struct worker	worker = {
	.account = { .name = joe, .home = home, .shell = shell }
};

static const char text[] =
    "[core]\n local-mailer = words\n program-user = prog\n"
    "[pipe \"words\"]\n exec = /bin/x \"-f${MAIL_FROM}\" \"${RCPT_TO}\" "
    "\"a ${USER} b\" \"$x\" \"${EXTENSION}\"\n"
    "[pipe \"other\"]\n exec = /bin/y\n user = ann\n from-line = no\n"
    " time-limit = 5m\n"
    "[route]\n a@b  pipe(/bin/cat -v), maildir(~/M)\n c@d  x@y\n";

static struct conf	*conf;
static struct mailers	*mailers;

static int
setup(void **unused)
{
	(void)unused;
	conf = conf_parse("conf", text, strlen(text), stderr);
	assert_int_equal(conf->wrong, 0);
	mailers = mailers_load(conf);
	return 0;
}

static int
teardown(void **unused)
{
	(void)unused;
	mailers_free(mailers);
	conf_free(conf);
	return 0;
}

static const struct mailer *
find(const char *name)
{
	return mailers_find(mailers, target_number(name));
}

static void
test_mailers(void **unused)
{
	const struct mailer *mailer;

	(void)unused;
	assert_int_equal(mailers->count, 4);
	assert_string_equal(mailers->local.name, "[pipe] words");
	assert_non_null(mailer = find("[pipe] other"));
	assert_string_equal(mailer->user, "ann");
	assert_false(mailer->from_line);
	assert_int_equal(mailer->time_limit, 5 * MINUTE);
	assert_non_null(mailer = find("pipe(/bin/cat -v)"));
	assert_int_equal(mailer->kind, MAILER_COMMAND);
	assert_string_equal(mailer->user, "prog");
	assert_non_null(mailer = find("maildir(~/M)"));
	assert_int_equal(mailer->kind, MAILER_MAILDIR);
	assert_string_equal(mailer->text, "~/M");
	assert_null(find("pipe(/bin/other)"));
	assert_null(mailers_find(mailers, 0));
}

static void
test_texts(void **unused)
{
	static const struct {
		const char	*text;
		enum mailer_kind kind;
		const char	*rest;
	} samples[] = {
		{ "|/bin/cat -v", MAILER_COMMAND, "/bin/cat -v" },
		{ "/var/x", MAILER_MBOX, "/var/x" },
		{ "/var/x/", MAILER_MAILDIR, "/var/x/" },
		{ "mbox(/a b)", MAILER_MBOX, "/a b" },
		{ "joe@x", MAILER_NONE, NULL },
		{ "\\joe", MAILER_NONE, NULL },
		{ "relay(x)", MAILER_NONE, NULL },
		{ "|", MAILER_NONE, NULL },
		{ "", MAILER_NONE, NULL },
	};
	struct mailer	 mailer;
	size_t	 i;

	(void)unused;
	for (i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		if (samples[i].kind == MAILER_NONE) {
			assert_int_equal(mailer_of_text(samples[i].text,
			    &mailer), -1);
			continue;
		}
		assert_int_equal(mailer_of_text(samples[i].text, &mailer), 0);
		assert_int_equal(mailer.kind, samples[i].kind);
		assert_string_equal(mailer.text, samples[i].rest);
		mailer_clear(&mailer);
	}
}

static struct job *
new_job(const char *sender)
{
	struct job	*job = calloc(1, sizeof(*job));

	assert_non_null(job);
	job->body.fd = -1;
	strcpy(job->request.sender, sender);
	strcpy(job->request.address, "list@x");
	strcpy(job->request.original, "orig@x");
	strcpy(job->request.extension, "ext");
	strcpy(job->request.domain, "x");
	job->addresses[job->address_count++] = job->request.address;
	job->addresses[job->address_count++] = "second@x";
	return job;
}

/* Compare with words that NULL ends. */
static void
check_words(char **got, ...)
{
	va_list	 wanted;
	const char *word;
	size_t	 i = 0;

	va_start(wanted, got);
	while ((word = va_arg(wanted, const char *)) != NULL) {
		assert_non_null(got[i]);
		assert_string_equal(got[i], word);
		i++;
	}
	va_end(wanted);
	assert_null(got[i]);
}

static void
test_arguments(void **unused)
{
	struct command	 command;
	struct mailer	 mailer;
	struct job	*job = new_job("s@y");

	(void)unused;
	assert_int_equal(command_make(&command, &worker, find("[pipe] words"),
	    job, false), 0);
	check_words(command.argv, "/bin/x", "-fs@y", "list@x", "second@x",
	    "a joe b", "$x", "ext", NULL);
	command_free(&command);
	job->request.sender[0] = '\0';
	assert_int_equal(command_make(&command, &worker, find("[pipe] words"),
	    job, true), 0);
	check_words(command.argv, "/bin/x", "-fMAILER-DAEMON", "joe",
	    "a joe b", "$x", "ext", NULL);
	command_free(&command);
	assert_int_equal(command_make(&command, &worker,
	    find("pipe(/bin/cat -v)"), job, false), 0);
	check_words(command.argv, "/bin/cat", "-v", NULL);
	command_free(&command);
	assert_int_equal(mailer_of_text("|vacation joe", &mailer), 0);
	assert_int_equal(command_make(&command, &worker, &mailer, job, false),
	    0);
	check_words(command.argv, "/bin/sh", "-c", "vacation joe", NULL);
	command_free(&command);
	mailer_clear(&mailer);
	job_free(job);
}

static void
test_options(void **unused)
{
	struct command	 command;
	struct job	*job = new_job("-oQ/tmp@x");

	(void)unused;
	assert_int_equal(command_make(&command, &worker, find("[pipe] words"),
	    job, false), -1);
	assert_int_equal(job->answer.verdict, JOB_FAILED);
	assert_string_equal(job->answer.status, "5.1.3");
	assert_null(command.argv);
	job_free(job);
}

/* A value that is empty does not make an option of what follows it. */
static void
test_empty_values(void **unused)
{
	static char	 program[] = "/bin/x";
	static char	 dashed[] = "${EXTENSION}-${DOMAIN}";
	char		*words[] = { program, dashed };
	struct mailer	 mailer = { .kind = MAILER_PIPE, .name = program,
	    .words = words, .word_count = 2 };
	struct command	 command;
	struct job	*job = new_job("a@b");

	(void)unused;
	strcpy(job->request.extension, "ext");
	strcpy(job->request.domain, "d");
	assert_int_equal(command_make(&command, &worker, &mailer, job,
	    false), 0);
	assert_string_equal(command.argv[1], "ext-d");
	command_free(&command);
	job->request.extension[0] = '\0';
	assert_int_equal(command_make(&command, &worker, &mailer, job,
	    false), -1);
	assert_string_equal(job->answer.status, "5.1.3");
	job_free(job);
}

static void
test_environment(void **unused)
{
	struct command	 command;
	struct job	*job = new_job("");

	(void)unused;
	assert_int_equal(command_make(&command, &worker,
	    find("pipe(/bin/cat -v)"), job, false), 0);
	check_words(command.environment, "PATH=/usr/local/bin:/usr/bin:/bin",
	    "USER=joe", "LOGNAME=joe", "HOME=/home/joe", "SHELL=/bin/sh",
	    "SENDER=MAILER-DAEMON", "RECIPIENT=list@x",
	    "ORIGINAL_RECIPIENT=orig@x", "EXTENSION=ext", "DOMAIN=x", NULL);
	command_free(&command);
	job_free(job);
}

static void
test_plain(void **unused)
{
	(void)unused;
	assert_true(command_is_plain("/bin/cat -v x=y"));
	assert_false(command_is_plain("cat"));
	assert_false(command_is_plain("/bin/cat >x"));
	assert_false(command_is_plain("/bin/cat 'x'"));
	assert_false(command_is_plain("/bin/cat; ls"));
	assert_false(command_is_plain("/bin/echo *"));
	assert_true(command_word_ok("x${USER}${HOME}$y"));
	assert_false(command_word_ok("${user}"));
	assert_false(command_word_ok("${USER"));
}

static void
test_exit_codes(void **unused)
{
	static const int fatal_codes[] = { 65, 67, 68, 69, 76, 77, 100 };
	enum job_verdict verdict;
	const char	*status;
	char	 words[64];
	size_t	 i;
	int	 code;

	(void)unused;
	for (code = 0; code < 256; code++) {
		verdict = code == 0 ? JOB_DONE : JOB_DEFERRED;
		for (i = 0; i < 7; i++)
			if (fatal_codes[i] == code)
				verdict = JOB_FAILED;
		assert_int_equal(command_verdict(code << 8, &status, words,
		    sizeof(words)), verdict);
		assert_int_equal(status[0], verdict == JOB_DONE ? '2' :
		    verdict == JOB_FAILED ? '5' : '4');
	}
	assert_int_equal(command_verdict(9, &status, words, sizeof(words)),
	    JOB_DEFERRED);
	assert_string_equal(words, "killed by signal 9");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mailers),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_empty_values),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_exit_codes),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
