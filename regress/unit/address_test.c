/* links: common/address.c */
/*
 * Addresses: the grammar of RFC 5321, canonical printing, and the isemail
 * collection where it is present.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "address.h"
#include "regress/unit/isemail.h"

struct sample {
	const char *path;
	enum address_result result;
	const char *printed;	/* NULL: not looked at */
	const char *rest;
};

static const struct sample strict[] = {
	{ "<joe@example.net>", ADDRESS_OK, "joe@example.net", "" },
	{ "<joe@example.net> SIZE=1", ADDRESS_OK, "joe@example.net",
	    " SIZE=1" },
	{ "<>", ADDRESS_NULL, NULL, "" },
	{ "<#@[]>", ADDRESS_NULL, NULL, "" },
	{ "<postmaster>", ADDRESS_BARE, "postmaster", "" },
	{ "<\"joe doe\"@example.net>", ADDRESS_OK, "\"joe doe\"@example.net",
	    "" },
	{ "<\"joe\"@example.net>", ADDRESS_OK, "joe@example.net", "" },
	{ "<\"a\\\"b\\\\c\"@d>", ADDRESS_OK, "\"a\\\"b\\\\c\"@d", "" },
	{ "<\"a@b\"@c>", ADDRESS_OK, "\"a@b\"@c", "" },
	{ "<\">\"@c> X", ADDRESS_OK, "\">\"@c", " X" },
	{ "<\"\"@c>", ADDRESS_OK, "\"\"@c", "" },
	{ "<\"a..b\"@c>", ADDRESS_OK, "\"a..b\"@c", "" },
	{ "<@a.test,@b.test:joe@c.test>", ADDRESS_OK, "joe@c.test", "" },
	{ "<@a.test:postmaster>", ADDRESS_BARE, "postmaster", "" },
	{ "<joe@[127.0.0.1]>", ADDRESS_OK, "joe@[127.0.0.1]", "" },
	{ "<joe@[IPv6:::1]>", ADDRESS_OK, "joe@[IPv6:::1]", "" },
	{ "<joe@[127.0.0.256]>", ADDRESS_BAD_DOMAIN, NULL, NULL },
	{ "<joe@[IPv6:1::2::3]>", ADDRESS_BAD_DOMAIN, NULL, NULL },
	{ "<joe@[127.0.0.1>", ADDRESS_BAD_DOMAIN, NULL, NULL },
	{ "<joe%other@example.net>", ADDRESS_OK, "joe%other@example.net",
	    "" },
	{ "joe@example.net", ADDRESS_BAD_SYNTAX, NULL, NULL },
	{ "<joe@example.net", ADDRESS_BAD_SYNTAX, NULL, NULL },
	{ "<joe@example.net>x", ADDRESS_BAD_SYNTAX, NULL, NULL },
	{ "<joe@example.net>>", ADDRESS_BAD_SYNTAX, NULL, NULL },
	{ "<<joe@example.net>>", ADDRESS_BAD_LOCAL, NULL, NULL },
	{ "<joe@>", ADDRESS_BAD_DOMAIN, NULL, NULL },
	{ "<@example.net>", ADDRESS_BAD_SYNTAX, NULL, NULL },
	{ "<@a.test@b.test:joe@c>", ADDRESS_BAD_SYNTAX, NULL, NULL },
	{ "<joe doe@example.net>", ADDRESS_BAD_SYNTAX, NULL, NULL },
	{ "<joe.@example.net>", ADDRESS_BAD_LOCAL, NULL, NULL },
	{ "<.joe@example.net>", ADDRESS_BAD_LOCAL, NULL, NULL },
	{ "<joe@a@b>", ADDRESS_BAD_DOMAIN, NULL, NULL },
	{ "<joe@exa_mple.net>", ADDRESS_BAD_DOMAIN, NULL, NULL },
	{ "<joe@-example.net>", ADDRESS_BAD_DOMAIN, NULL, NULL },
	{ "<joe@example.net.>", ADDRESS_BAD_DOMAIN, NULL, NULL },
	{ "<j\303\266e@example.net>", ADDRESS_NOT_ASCII, NULL, NULL },
	{ "<joe@ex\303\244mple.net>", ADDRESS_NOT_ASCII, NULL, NULL },
	{ "<\"j\303\266e\"@example.net>", ADDRESS_NOT_ASCII, NULL, NULL },
	{ "<\"joe@example.net>", ADDRESS_BAD_SYNTAX, NULL, NULL },
	{ "<\"joe\\", ADDRESS_BAD_SYNTAX, NULL, NULL },
	{ "", ADDRESS_BAD_SYNTAX, NULL, NULL },
	{ "<", ADDRESS_BAD_SYNTAX, NULL, NULL },
};

static const struct sample lenient[] = {
	{ "joe@example.net", ADDRESS_OK, "joe@example.net", "" },
	{ "joe@example.net SIZE=1", ADDRESS_OK, "joe@example.net",
	    " SIZE=1" },
	{ "postmaster", ADDRESS_BARE, "postmaster", "" },
	{ "joe@example.net>", ADDRESS_BAD_DOMAIN, NULL, NULL },
	{ "", ADDRESS_BAD_SYNTAX, NULL, NULL },
};

/* What kind of bad it is matters only to the code; bad it must be. */
static void
check_sample(const struct sample *sample, bool be_lenient)
{
	enum address_result result;
	struct address address;
	const char *end = NULL;
	char printed[600];

	result = address_parse_path(sample->path, be_lenient, &address, &end);
	if (sample->result >= ADDRESS_BAD_LOCAL &&
	    sample->result != ADDRESS_NOT_ASCII) {
		if (result <= ADDRESS_BARE)
			fail_msg("accepted: %s", sample->path);
		return;
	}
	if (result != sample->result)
		fail_msg("%s: %d, not %d", sample->path, result,
		    sample->result);
	if (sample->printed != NULL) {
		(void)address_print(&address, printed, sizeof(printed));
		assert_string_equal(printed, sample->printed);
	}
	if (sample->rest != NULL)
		assert_string_equal(end, sample->rest);
}

static void
test_paths(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(strict) / sizeof(strict[0]); i++)
		check_sample(&strict[i], false);
	for (i = 0; i < sizeof(lenient) / sizeof(lenient[0]); i++)
		check_sample(&lenient[i], true);
}

/* A local part of so many octets at a domain of so many. */
static enum address_result
of_length(size_t local, size_t domain, bool quoted)
{
	struct address address;
	char text[2048];
	size_t i, n = 0;

	for (i = 0; i < local; i++)
		text[n++] = quoted && (i == 0 || i == local - 1) ? '"' : 'a';
	text[n++] = '@';
	for (i = 0; i < domain; i++)
		text[n++] = i % 50 == 49 ? '.' : 'b';
	text[n] = '\0';
	return address_parse(text, &address);
}

static void
test_lengths(void **state)
{
	char domain[80];

	(void)state;
	assert_int_equal(of_length(255, 10, false), ADDRESS_OK);
	assert_int_equal(of_length(256, 10, false), ADDRESS_TOO_LONG);
	assert_int_equal(of_length(255, 10, true), ADDRESS_OK);
	assert_int_equal(of_length(256, 10, true), ADDRESS_TOO_LONG);
	assert_int_equal(of_length(1, 255, false), ADDRESS_OK);
	assert_int_equal(of_length(1, 256, false), ADDRESS_TOO_LONG);
	assert_int_equal(of_length(255, 255, false), ADDRESS_OK);
	/* A label may have 63 (RFC 1035 2.3.4). */
	memset(domain, 'x', 64);
	strcpy(domain + 63, ".test");
	assert_true(address_is_domain(domain));
	domain[63] = 'x';
	strcpy(domain + 64, ".test");
	assert_false(address_is_domain(domain));
}

static void
test_path_length(void **state)
{
	struct address address;
	const char *end;
	char text[2048] = "<";

	(void)state;
	while (strlen(text) < 1000)
		strcat(text, strlen(text) == 1 ? "@a.test" : ",@a.test");
	strcat(text, ":joe@b.test>");
	assert_int_equal(address_parse_path(text, false, &address, &end),
	    ADDRESS_OK);
	memmove(text + 9, text + 1, strlen(text));
	memcpy(text + 1, "@a.test,", 8);
	memmove(text + 9, text + 1, strlen(text));
	memcpy(text + 1, "@a.test,", 8);
	assert_int_equal(address_parse_path(text, false, &address, &end),
	    ADDRESS_TOO_LONG);
}

/* What is printed parses to the same again. */
static void
test_print_parse(void **state)
{
	struct address one, two;
	char text[600];
	int c;

	(void)state;
	for (c = ' '; c <= '~'; c++) {
		memset(&one, 0, sizeof(one));
		(void)snprintf(one.local, sizeof(one.local), "%cx%c", c, c);
		(void)snprintf(one.domain, sizeof(one.domain), "a.test");
		(void)address_print(&one, text, sizeof(text));
		assert_int_equal(address_parse(text, &two), ADDRESS_OK);
		assert_string_equal(two.local, one.local);
		assert_string_equal(two.domain, one.domain);
	}
}

static void
test_split(void **state)
{
	static const char *const table[][4] = {
		{ "joe+list", "+", "joe", "list" },
		{ "joe+a+b", "+", "joe", "a+b" },
		{ "joe-list", "+-", "joe", "list" },
		{ "+joe", "+", "+joe", "" },
		{ "joe+", "+", "joe", "" },
		{ "joe+list", "", "joe+list", "" },
		{ "j", "+", "j", "" },
		{ "", "+", "", "" },
	};
	char user[ADDRESS_LOCAL_MAX + 1], extension[ADDRESS_LOCAL_MAX + 1];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		address_split(table[i][0], table[i][1], user, extension);
		assert_string_equal(user, table[i][2]);
		assert_string_equal(extension, table[i][3]);
	}
}

/*
 * Of the categories an envelope refuses, those that are taken all the same:
 * a local part over 64 octets, and a mailbox that is only too long in all,
 * since a local part and a domain of 255 octets each are within our limits.
 */
static bool
wanted(const char *category, const char *diagnosis)
{
	static const char *const categories[] = { "ISEMAIL_VALID_CATEGORY",
	    "ISEMAIL_DNSWARN", "ISEMAIL_RFC5321" };
	size_t i;

	for (i = 0; i < sizeof(categories) / sizeof(categories[0]); i++)
		if (strcmp(category, categories[i]) == 0)
			return true;
	return strcmp(diagnosis, "ISEMAIL_RFC5322_LOCAL_TOOLONG") == 0 ||
	    strcmp(diagnosis, "ISEMAIL_RFC5322_TOOLONG") == 0;
}

static int
check_isemail(const char *test)
{
	struct address address;
	char text[1024], category[64], diagnosis[64];
	size_t length;
	bool taken;

	length = isemail_element(test, "address", text, sizeof(text));
	(void)isemail_element(test, "category", category, sizeof(category));
	(void)isemail_element(test, "diagnosis", diagnosis, sizeof(diagnosis));
	/* An octet NUL never gets as far as here: the line is refused. */
	taken = strlen(text) == length &&
	    address_parse(text, &address) == ADDRESS_OK;
	if (taken == wanted(category, diagnosis))
		return 0;
	print_error("%s: %s is %s\n", diagnosis, text,
	    taken ? "taken" : "refused");
	return 1;
}

static void
test_isemail(void **state)
{
	char *text = isemail_file(), *test, *end;
	int count = 0, wrong = 0;

	(void)state;
	if (text == NULL)
		return;
	for (test = text; (test = strstr(test, "<test id=")) != NULL;
	    test = end + 1) {
		if ((end = strstr(test, "</test>")) == NULL)
			break;
		*end = '\0';
		wrong += check_isemail(test);
		count++;
	}
	free(text);
	assert_true(count > 100);
	assert_int_equal(wrong, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_path_length),
		cmocka_unit_test(test_print_parse),
		cmocka_unit_test(test_split),
		{ isemail_name(), test_isemail, NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
