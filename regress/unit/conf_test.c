/* links: common/conf.c common/conf_keyword.c common/conf_lex.c
 * common/conf_parse.c common/conf_print.c common/conf_value.c
 * common/target.c */
/*
 * The configuration's values, places, names and complaints.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf.h"
#include "conf_keyword.h"

static struct conf *
parse(const char *text)
{
	return conf_parse("cf", text, strlen(text), NULL);
}

/* All complaints about a text, to be freed. */
static char *
complaints(const char *text, int *wrong)
{
	char *said = NULL;
	size_t length;
	FILE *out = open_memstream(&said, &length);
	struct conf *conf;

	assert_non_null(out);
	conf = conf_parse("cf", text, strlen(text), out);
	*wrong = conf->wrong;
	conf_free(conf);
	fclose(out);
	return said;
}

static void
test_values(void **state)
{
	struct conf *conf = parse("[core]\nhostname = a.b\nwindow 12\n"
	    "disk_reserve = 10M\nretry-min = 90\nexpire = 5d\n"
	    "[smtpd \"x\"]\nlocal-rcpt-to = Yes\nbanner-delay = 200ms\n");
	struct conf_section *core = conf_section(conf, "core", NULL);
	struct conf_section *smtpd = conf_section(conf, "smtpd", "x");

	(void)state;
	assert_int_equal(conf->wrong, 0);
	assert_string_equal(conf_string(core, "hostname", "z"), "a.b");
	assert_string_equal(conf_string(core, "root-mail", "z"), "z");
	assert_string_equal(conf_string(NULL, "root-mail", "z"), "z");
	assert_int_equal(conf_number(core, "window", 1), 12);
	assert_int_equal(conf_number(core, "min-uid", 1000), 1000);
	assert_int_equal(conf_size(core, "disk-reserve", 0), 10 << 20);
	assert_int_equal(conf_duration(core, "retry-min", 0), 90000000);
	assert_int_equal(conf_duration(core, "expire", 0), 432000000000);
	assert_int_equal(conf_duration(core, "retry-max", 7), 7);
	assert_true(conf_bool(smtpd, "local-rcpt-to", false));
	assert_true(conf_bool(smtpd, "strict-syntax", true));
	assert_int_equal(conf_duration(smtpd, "banner-delay", 0), 200000);
	assert_null(conf_section(conf, "smtpd", "y"));
	conf_free(conf);
}

static void
test_holder(void **state)
{
	struct conf *conf = parse("[relay \"a\"]\nport = 1\n"
	    "[relay \"*\"]\nport = 2\ntls = none\n");
	struct conf_section *own = conf_section(conf, "relay", "a");
	struct conf_section *all = conf_section(conf, "relay", "*");

	(void)state;
	assert_ptr_equal(conf_holder(conf, "relay", own, "port"), own);
	assert_ptr_equal(conf_holder(conf, "relay", own, "tls"), all);
	assert_ptr_equal(conf_holder(conf, "relay", NULL, "port"), all);
	assert_null(conf_holder(conf, "relay", own, "rate"));
	conf_free(conf);
}

static void
test_units(void **state)
{
	static const char *const bad[] = { "", "x", "1x", "-1", "1.5", "1 k",
	    "99999999999999999999", "9999999999999999G" };
	int64_t value;
	bool truth;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(conf_parse_size(bad[i], &value), -1);
		assert_int_equal(conf_parse_duration(bad[i], &value), -1);
		assert_int_equal(conf_parse_number(bad[i], &value), -1);
		assert_int_equal(conf_parse_bool(bad[i], &truth), -1);
	}
	assert_int_equal(conf_parse_size("1g", &value), 0);
	assert_int_equal(value, 1 << 30);
	assert_int_equal(conf_parse_number("1k", &value), -1);
	assert_int_equal(conf_parse_duration("2H", &value), 0);
	assert_int_equal(value, 7200000000);
	assert_int_equal(conf_parse_bool("OFF", &truth), 0);
	assert_false(truth);
}

/* Lists accumulate and part at commas; sections go on when they come again. */
static void
test_rates(void **state)
{
	static const char *const bad[] = { "", "100", "/1m", "100/", "0/1m",
	    "100/0", "-1/1m", "1k/1m", "100/1x", "100/m1", "1 / 1m",
	    "100/1m/2", "2000000000/1s", "1/400d",
	    "11111111111111111111111111111111111111/1s" };
	int64_t count, time;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(conf_parse_rate(bad[i], &count, &time), -1);
	assert_int_equal(conf_parse_rate("100/1m", &count, &time), 0);
	assert_int_equal(count, 100);
	assert_int_equal(time, 60000000);
	assert_int_equal(conf_parse_rate("3/H", &count, &time), 0);
	assert_int_equal(count, 3);
	assert_int_equal(time, 3600000000);
	assert_int_equal(conf_parse_rate("1/30", &count, &time), 0);
	assert_int_equal(time, 30000000);
}

static void
test_lists(void **state)
{
	struct conf *conf = parse("[smtpd \"a\"]\ntrusted = 10/8, 11/8\n"
	    "[smtpd b]\nname = x\n[smtpd \"a\"]\ntrusted 12/8\n");
	struct conf_section *a = conf_section(conf, "smtpd", NULL);
	struct conf_setting *trusted = conf_setting(a, "trusted");

	(void)state;
	assert_int_equal(conf->wrong, 0);
	assert_string_equal(a->name, "a");
	assert_string_equal(conf_next(a)->name, "b");
	assert_null(conf_next(conf_next(a)));
	assert_int_equal(trusted->count, 2);
	assert_string_equal(trusted->words[1].text, "11/8");
	trusted = conf_again(trusted);
	assert_string_equal(trusted->words[0].text, "12/8");
	assert_null(conf_again(trusted));
	conf_free(conf);
}

static void
test_routes(void **state)
{
	struct conf *conf = parse("a = b, c@d\n# x\nfile \"/etc/rt\" # y\n"
	    "@x relay(h, [::1]:25)#z\n@y\tpipe(/bin/cat \"#,)\" | x)  # z\n");
	struct conf_section *routes = conf_section(conf, "route", "");
	struct conf_route *route = TAILQ_FIRST(&routes->routes);

	(void)state;
	assert_int_equal(conf->wrong, 1);	/* text behind relay(...) */
	assert_string_equal(route->left, "a");
	assert_int_equal(route->count, 2);
	assert_string_equal(route->targets[1].text, "c@d");
	assert_int_equal(route->targets[1].place.column, 8);
	route = TAILQ_NEXT(route, entry);
	assert_null(route->left);
	assert_string_equal(route->targets[0].text, "/etc/rt");
	assert_int_equal(route->place.line, 3);
	route = TAILQ_NEXT(TAILQ_NEXT(route, entry), entry);
	assert_string_equal(route->targets[0].text,
	    "pipe(/bin/cat \"#,)\" | x)");
	conf_free(conf);
}

static void
test_table(void **state)
{
	struct conf *conf;

	(void)state;
	conf = conf_parse_table("t", "a b\n[core]\nc d\n", 15, NULL);
	assert_int_equal(conf->wrong, 1);
	assert_non_null(conf_section(conf, "route", ""));
	assert_null(conf_section(conf, "core", NULL));
	conf_free(conf);
	conf = conf_parse_table("t", "", 0, NULL);
	assert_int_equal(conf->wrong, 0);
	assert_null(conf_section(conf, "route", ""));
	conf_free(conf);
}

static void
test_complaints(void **state)
{
	int wrong;
	char *said;

	(void)state;
	said = complaints("[core]\n  hostnme = x\n", &wrong);
	assert_string_equal(said, "cf:2:3: [core] has no setting hostnme; "
	    "did you mean hostname?\n");
	assert_int_equal(wrong, 1);
	free(said);
	said = complaints("[cor]\n", &wrong);
	assert_string_equal(said, "cf:1:1: no such section [cor]; did you "
	    "mean [core]?\n");
	free(said);
	said = complaints("a b\nA c\n", &wrong);
	assert_string_equal(said, "cf:2:1: A stands here a second time, first "
	    "at cf:1; put all targets on one line\n");
	free(said);
	said = complaints("[core]\nwindow = 1\nwindow = 2\n", &wrong);
	assert_string_equal(said, "cf:3:1: window stands here a second time, "
	    "first at cf:2; keep one\n");
	free(said);
	said = complaints("a b\0c", &wrong);
	assert_string_equal(said, "");
	free(said);
}

static void
test_missing_file(void **state)
{
	struct conf *conf = conf_read("/nonexistent/postmaster.cf", NULL);

	(void)state;
	assert_int_equal(conf->wrong, 0);
	assert_int_equal(conf->lacking, 1);
	conf_free(conf);
}

/* Each row of the table is found, and nearest to itself. */
static void
test_keywords(void **state)
{
	const struct conf_keyword *row;
	unsigned int i;

	(void)state;
	for (i = 0; (row = conf_keyword_row(i)) != NULL; i++) {
		assert_non_null(conf_kind(row->section));
		assert_ptr_equal(conf_keyword(row->section, row->name), row);
		assert_string_equal(conf_nearest_keyword(row->section,
		    row->name), row->name);
		assert_null(strpbrk(row->name,
		    "_ABCDEFGHIJKLMNOPQRSTUVWXYZ"));
	}
	assert_true(i > 40);
	assert_null(conf_nearest_keyword("core", "entirely-else"));
	assert_string_equal(conf_nearest_keyword("smtpd", "listenport"),
	    "listen-port");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_holder),
		cmocka_unit_test(test_units),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_complaints),
		cmocka_unit_test(test_missing_file),
		cmocka_unit_test(test_keywords)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
