/* links: common/conf.c common/conf_keyword.c common/conf_lex.c
 * common/conf_parse.c common/conf_print.c common/conf_value.c
 * common/target.c common/log.c common/queueid.c common/clock.c
 * postmaster/settings.c */
/*
 * What the configuration says to postmaster itself: who is whom, how many,
 * where; and what must not change while it runs.
 */
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "account.h"
#include "postmaster/postmaster.h"

static struct options options;
static char *said;		/* complaints of the newest settings */

/* ---- what stands around it ---- */

void
secrets_open(struct settings *settings, const struct options *unused)
{
	(void)settings;
	(void)unused;
}

/* _NAME is 100 and more, by its first letter; root is; no other is. */
enum account_result
account_by_name(const char *name, struct account *account)
{
	memset(account, 0, sizeof(*account));
	if (strcmp(name, "root") == 0)
		return ACCOUNT_YES;
	if (name[0] != '_')
		return ACCOUNT_NO;
	account->uid = account->gid = (uid_t)name[1];
	return ACCOUNT_YES;
}

void
account_free(struct account *account)
{
	(void)account;
}

struct group *
getgrnam(const char *name)
{
	static struct group group;

	group.gr_gid = (gid_t)name[0] + 1000;
	return &group;
}

static struct settings *
make(const char *core)
{
	char text[1024];
	struct settings *settings;
	size_t length;
	FILE *errors;

	free(said);
	errors = open_memstream(&said, &length);
	snprintf(text, sizeof(text), "[core]\n%s\n", core);
	settings = settings_new(conf_parse("cf", text, strlen(text), errors),
	    &options);
	fclose(errors);
	settings->conf->errors = NULL;
	return settings;
}

/* Complaints, and whether it is wrong. */
static void
check_said(const char *core, bool wrong, const char *what)
{
	struct settings *settings = make(core);

	assert_int_equal(settings->conf->wrong > 0, wrong);
	if (what != NULL)
		assert_non_null(strstr(said, what));
	settings_free(settings);
}

/* ---- tests ---- */

static void
test_workers(void **state)
{
	struct settings *settings = make("smtpd-workers=255\nrelay-workers=1");

	(void)state;
	assert_int_equal(settings->smtpd_workers, 255);
	assert_int_equal(settings->relay_workers, 1);
	settings_free(settings);
	check_said("smtpd-workers = 0", true, "must be from 1 to 255");
	check_said("smtpd-workers = 256", true, "must be from 1 to 255");
	check_said("relay-workers = 256", true, "cf:2:");
}

static void
test_accounts(void **state)
{
	struct settings *settings = make("");

	(void)state;
	assert_int_equal(settings->identities[PROC_SMTPD].uid, 's');
	assert_int_equal(settings->identities[PROC_POLICYD].gid, 'p');
	assert_int_equal(settings->identities[PROC_RELAY].uid, 'r');
	assert_int_equal(settings->identities[PROC_DELIVER].uid, 0);
	assert_int_equal(settings->log_group, 'a' + 1000);
	assert_false(settings->unusable);
	settings_free(settings);

	settings = make("user-id = _x\nrelay-user = _y\ngroup-id = grp");
	assert_int_equal(settings->identities[PROC_SMTPD].uid, 'x');
	assert_int_equal(settings->identities[PROC_SPOOLD].uid, 'x');
	assert_int_equal(settings->identities[PROC_SPOOLD].gid, 'g' + 1000);
	assert_int_equal(settings->identities[PROC_RELAY].uid, 'y');
	assert_int_equal(settings->identities[PROC_RELAY].gid, 'y');
	assert_non_null(strstr(said, "one account for"));
	settings_free(settings);

	check_said("smtpd-user = root", true, "is root's");
	check_said("user-id = root", true, "is root's");
	settings = make("spoold-user = nobody");
	assert_true(settings->unusable);
	assert_int_equal(settings->conf->wrong, 0);
	assert_non_null(strstr(said, "there is no account nobody"));
	settings_free(settings);
}

/* What a file is missing is not guessed. */
static void
test_lacking(void **state)
{
	struct conf *conf = conf_parse("cf", "", 0, NULL);
	struct settings *settings;

	(void)state;
	conf_lacking(conf, NULL, "a file");
	settings = settings_new(conf, &options);
	assert_true(settings->unusable);
	settings_free(settings);
}

/* sun_path has 108 octets, with the NUL. */
static void
test_long(void **state)
{
	char core[256];

	(void)state;
	snprintf(core, sizeof(core), "run-directory = /%0*d", 98, 0);
	check_said(core, false, NULL);
	snprintf(core, sizeof(core), "run-directory = /%0*d", 99, 0);
	check_said(core, true, "run-directory is too long; 99 octets");
	check_said("hostname = a,b", true, "is no name of a host");
	check_said("hostname = a", false, "has no domain");
}

static const char *
difference(const char *core)
{
	struct settings *running = make(""), *wanted = make(core);
	const char *what = settings_need_restart(wanted, running);

	settings_free(running);
	settings_free(wanted);
	return what == NULL ? "" : what;
}

static void
test_restart(void **state)
{
	(void)state;
	assert_string_equal(difference("smtpd-workers = 7\nhostname = a.b"),
	    "");
	assert_string_equal(difference("spool-directory = /s"),
	    "spool-directory");
	assert_string_equal(difference("run-directory = /r"),
	    "run-directory");
	assert_string_equal(difference("pid-file = /p"), "pid-file");
	assert_string_equal(difference("relay-user = _z"), "an account");
	assert_string_equal(difference("group-id = g"), "an account");
	assert_string_equal(difference("operator-group = g"),
	    "operator-group");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_workers),
		cmocka_unit_test(test_accounts),
		cmocka_unit_test(test_lacking),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_restart)
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	int result = cmocka_run_group_tests(tests, NULL, NULL);

	free(said);
	return result;
}
