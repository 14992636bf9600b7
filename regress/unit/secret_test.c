/* links: relay/secret.c common/secretfile.c common/conf_lex.c common/log.c common/queueid.c common/clock.c */
/*
 * Logins: which lines are good, what is said of the others, and whose login
 * is found for whom.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/relay.h"
#include "secretfile.h"

static const char file[] =
    "# key login password\n"
    "\n"
    "isp  me  \"pass word # no comment\"   # a comment\r\n"
    "isp alice@example.org alice wonder\n"
    "isp @example.org all \"a\\\"b\\\\c\"\n"
    "smtp.example.net bob@example.org bob builder\n"
    "smtp.example.net other p#ss\n"
    "Only @Example.COM com s3cret\n"
    "last @example.net \xc3\xa4 p\xc3\xa4ss";

static int
setup(void **unused)
{
	(void)unused;
	return secrets_read(file, sizeof(file) - 1, stderr);
}

static void
check(const char *key, const char *class, const char *login,
    const char *password)
{
	const struct secret *secret = secret_find(key, class);

	if (login == NULL) {
		assert_null(secret);
		return;
	}
	assert_non_null(secret);
	assert_string_equal(secret->login, login);
	assert_string_equal(secret->password, password);
}

static void
test_class(void **unused)
{
	(void)unused;
	assert_string_equal(secret_class("alice@example.org"),
	    "alice@example.org");
	assert_string_equal(secret_class("Alice@EXAMPLE.org"),
	    "alice@example.org");
	assert_string_equal(secret_class("carol@example.org"),
	    "@example.org");
	assert_string_equal(secret_class("x@example.com"), "@Example.COM");
	assert_string_equal(secret_class("x@sub.example.org"), "");
	assert_string_equal(secret_class("\"a@b\"@example.org"),
	    "@example.org");
	assert_string_equal(secret_class("root"), "");
	assert_string_equal(secret_class(""), "");
}

static void
test_find(void **unused)
{
	(void)unused;
	check("isp", "", "me", "pass word # no comment");
	check("ISP", "alice@example.org", "alice", "wonder");
	check("isp", "@example.org", "all", "a\"b\\c");
	/* A class of another hop's: the domain's login, then anybody's. */
	check("isp", "bob@example.org", "all", "a\"b\\c");
	check("smtp.example.net", "bob@example.org", "bob", "builder");
	check("smtp.example.net", "@example.org", "other", "p#ss");
	check("only", "@Example.COM", "com", "s3cret");
	check("only", "", NULL, NULL);
	check("nobody", "@example.org", NULL, NULL);
	check("last", "", NULL, NULL);
}

/* A text with one wrong line, which is named without a word of it. */
static void
check_wrong(const char *text, const char *place, const char *says)
{
	char *complaint = NULL;
	size_t length;
	FILE *out = open_memstream(&complaint, &length);
	int wrong = secretfile_read("f", text, strlen(text), NULL, NULL, out);

	fclose(out);
	if (wrong != 1 || strncmp(complaint, place, strlen(place)) != 0 ||
	    strstr(complaint, says) == NULL ||
	    strstr(complaint, "PaSs") != NULL)
		fail_msg("%s: %d wrong, said %s", text, wrong, complaint);
	free(complaint);
}

static void
test_wrong(void **unused)
{
	char *text;

	(void)unused;
	check_wrong("a b PaSs\nkey PaSs\n", "f:2:1: ", "a line is");
	check_wrong("a\n", "f:1:1: ", "a line is");
	check_wrong("\n a s@x b c PaSs", "f:2:12: ", "more words");
	check_wrong("key \"PaSs x\nb c d", "f:1:5: ", "quote");
	check_wrong("key nosender me PaSs", "f:1:1: ", "neither");
	check_wrong("key at@ me PaSs", "f:1:1: ", "neither");
	check_wrong("key \"\" PaSs", "f:1:1: ", "empty");
	check_wrong("\"\" a PaSs", "f:1:1: ", "key");
	check_wrong("key me \"\"", "f:1:1: ", "empty");
	check_wrong("key me Pa\x01Ss", "f:1:1: ", "control");
	check_wrong("key me PaSs\nKEY other PaSs", "f:2:1: ", "earlier");
	check_wrong("key @X me PaSs\nkey @x other PaSs", "f:2:1: ",
	    "earlier");
	assert_int_not_equal(asprintf(&text, "key %01001d PaSs", 0), -1);
	check_wrong(text, "f:1:1: ", "too long");
	free(text);
	assert_int_not_equal(asprintf(&text, "key me %01001d", 0), -1);
	check_wrong(text, "f:1:1: ", "too long");
	free(text);
	assert_int_not_equal(asprintf(&text, "%0256d me PaSs", 0), -1);
	check_wrong(text, "f:1:1: ", "key");
	free(text);
	assert_int_equal(secretfile_read("f", "a\0b c d", 7, NULL, NULL,
	    NULL), 1);
	assert_int_equal(secretfile_read("f", "", 0, NULL, NULL, NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_class),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_wrong)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, NULL);
}
