/* links: common/header.c */
/*
 * Fields and address lists of RFC 5322, obsolete forms included.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "header.h"
#include "regress/unit/isemail.h"

static const char message[] =
	"Received: from a\r\n"
	"\tby b (comment)\r\n"
	"Subject : old\n"
	" folded\n"
	"To: joe\r\n"
	"\r\n"
	"Not: a field\r\n";

static void
fields_are_walked(void **state)
{
	const char		*at = message;
	size_t			 left = strlen(message);
	struct header_field	 field;

	(void)state;
	assert_int_equal(header_next(&at, &left, &field), 1);
	assert_true(header_is(&field, "received"));
	assert_false(header_is(&field, "receive"));
	assert_int_equal(field.length, strlen("Received: from a\r\n"
	    "\tby b (comment)\r\n"));
	assert_int_equal(header_next(&at, &left, &field), 1);
	assert_true(header_is(&field, "Subject"));
	assert_memory_equal(field.value, " old\n folded",
	    field.value_length);
	assert_int_equal(header_next(&at, &left, &field), 1);
	assert_int_equal(header_next(&at, &left, &field), 0);
	assert_memory_equal(at, "\r\nNot", 5);
}

static void
header_ends(void **state)
{
	struct header_field	 field;
	size_t			 rest, length;

	(void)state;
	length = header_length(message, strlen(message), &rest);
	assert_memory_equal(message + length, "\r\nNot", 5);
	assert_int_equal(rest, length + 2);
	assert_int_equal(header_length("a b\nTo: x\n", 10, &rest), 0);
	assert_int_equal(rest, 0);
	assert_int_equal(header_length("To: x", 5, &rest), 5);
	assert_int_equal(rest, 5);
	assert_int_equal(header_length("", 0, NULL), 0);
	assert_int_equal(header_find(message, strlen(message), "TO", &field),
	    0);
	assert_int_equal(header_find(message, strlen(message), "Not", &field),
	    -1);
}

static void
lines_that_are_no_fields(void **state)
{
	static const char	*lines[] = { ": x", "a b: c", "From joe Thu",
		"nothing", " x: y", "a\001b: c" };
	struct header_field	 field;
	const char		*at;
	size_t			 left;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		at = lines[i];
		left = strlen(at);
		assert_int_equal(header_next(&at, &left, &field), -1);
		assert_ptr_equal(at, lines[i]);
	}
}

static void
values_are_unfolded(void **state)
{
	const char		*at = "Subject:  a\r\n  b \n\t\r\nTo: x\r\n";
	size_t			 left = strlen(at);
	struct header_field	 field;
	char			 copy[8], small[4];

	(void)state;
	assert_int_equal(header_next(&at, &left, &field), 1);
	assert_int_equal(header_unfold(&field, copy, sizeof(copy)), 4);
	assert_string_equal(copy, "a  b");
	assert_int_equal(header_unfold(&field, small, sizeof(small)), 4);
	assert_string_equal(small, "a  ");
}

/* Print the items of a list: addresses, ~ before bare, ! before wrong. */
static void
print_list(const char *value, char *text, size_t size)
{
	struct header_list	 list;
	struct header_mailbox	 mailbox;
	size_t			 used = 0;
	int			 more;

	text[0] = '\0';
	header_list_begin(&list, value, strlen(value));
	while ((more = header_list_next(&list, &mailbox)) != 0)
		used += snprintf(text + used, size - used, "%s%s%s",
		    used > 0 ? "|" : "", more == -1 ? "!" : mailbox.bare ?
		    "~" : "", more == -1 ? "" : mailbox.address);
}

static void
lists_are_walked(void **state)
{
	static const struct {
		const char	*value;
		const char	*items;
	} cases[] = {
		{ "", "" },
		{ " , ,,", "" },
		{ "joe", "~joe" },
		{ "joe@a.b", "joe@a.b" },
		{ "Joe <joe@a.b>, jane (Jane) @ b . c", "joe@a.b|jane@b.c" },
		{ "\"Doe, Joe\" <joe>, x@y", "~joe|x@y" },
		{ "J. Random <@a,@b:j@c>", "j@c" },
		{ "<>", "" "" },
		{ "list: a@b, c;, d@e", "a@b|~c|d@e" },
		{ "undisclosed-recipients:;", "" },
		{ "a@b; c@d", "a@b|c@d" },
		{ "a (one, (two) \\) three) @b", "a@b" },
		{ "\"a b\"@c", "\"a b\"@c" },
		{ "\"a\\\"b\"@c", "\"a\\\"b\"@c" },
		{ "joe@[127.0.0.1]", "joe@[127.0.0.1]" },
		{ "joe@x <joe@y>", "joe@y" },
		{ "<a@b> <c@d>", "a@b|c@d" },
		{ "<a@b> junk, c@d", "a@b|c@d" },
		{ "joe smith, a@b", "!|a@b" },
		{ "a@b@c", "!" },
		{ "@b", "!" },
		{ "a@", "!" },
		{ "<a@b", "!" },
		{ "\"open", "!" },
		{ "(open", "" },
		{ "a\r\n @b,\r\n\tc@d", "a@b|c@d" },
		{ "M\303\274ller <m\303\274@b>", "m\303\274@b" },
		{ "|prog, /file", "~|prog|~/file" },
		{ ")", "!" },
	};
	char	text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_list(cases[i].value, text, sizeof(text));
		assert_string_equal(text, cases[i].items);
	}
}

static void
long_addresses_are_refused(void **state)
{
	char			 value[HEADER_ADDRESS + 16];
	struct header_list	 list;
	struct header_mailbox	 mailbox;

	(void)state;
	memset(value, 'a', sizeof(value));
	header_list_begin(&list, value, sizeof(value));
	assert_int_equal(header_list_next(&list, &mailbox), -1);
	assert_int_equal(header_list_next(&list, &mailbox), 0);
	header_list_begin(&list, value, HEADER_ADDRESS - 1);
	assert_int_equal(header_list_next(&list, &mailbox), 1);
	assert_int_equal(strlen(mailbox.address), HEADER_ADDRESS - 1);
}

/* Whatever stands there, a walk ends and what it adds is no more than asked. */
static void
walks_end(void **state)
{
	static const char	 octets[] = "a@.,;:<>()[]\"\\ \r\n\0\377";
	unsigned int		 seed = 1;
	char			 value[24], *text;
	size_t			 length;

	(void)state;
	for (int round = 0; round < 200000; round++) {
		for (size_t i = 0; i < sizeof(value); i++)
			value[i] = octets[rand_r(&seed) %
			    (sizeof(octets) - 1)];
		text = header_qualify(value, sizeof(value), "d", &length);
		assert_non_null(text);
		assert_true(length >= sizeof(value));
		free(text);
	}
}

static void
bare_addresses_are_qualified(void **state)
{
	static const struct {
		const char	*value;
		const char	*qualified;
	} cases[] = {
		{ " joe\r\n", " joe@h.x\r\n" },
		{ " Joe <joe>, (a) b (c), x@y,\r\n\t\"q r\" ;",
		  " Joe <joe@h.x>, (a) b@h.x (c), x@y,\r\n\t\"q r\"@h.x ;" },
		{ "g: a, b@c;", "g: a@h.x, b@c;" },
		{ "joe smith", "joe smith" },
		{ "<>", "<>" },
		{ "", "" },
	};
	char	*text;
	size_t	 length;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		text = header_qualify(cases[i].value, strlen(cases[i].value),
		    "h.x", &length);
		assert_non_null(text);
		assert_string_equal(text, cases[i].qualified);
		assert_int_equal(length, strlen(cases[i].qualified));
		free(text);
	}
}

/*
 * The addresses of the isemail collection that a header may hold, with
 * comments, folds and what RFC 5322 calls obsolete, are each one address.
 * That an octet NUL is none is known.
 */
static void
isemail_addresses(void **state)
{
	static const char	*const categories[] = {
		"ISEMAIL_VALID_CATEGORY", "ISEMAIL_DNSWARN", "ISEMAIL_RFC5321",
		"ISEMAIL_RFC5322", "ISEMAIL_CFWS", "ISEMAIL_DEPREC" };
	struct header_list	 list;
	struct header_mailbox	 mailbox;
	char			 category[64], address[1024];
	char			*text = isemail_file(), *test, *end;
	size_t			 length, i;
	int			 taken = 0;

	(void)state;
	if (text == NULL)
		return;
	for (test = text; (test = strstr(test, "<test id=")) != NULL &&
	    (end = strstr(test, "</test>")) != NULL; test = end + 1) {
		*end = '\0';
		isemail_element(test, "category", category, sizeof(category));
		length = isemail_element(test, "address", address,
		    sizeof(address));
		for (i = 0; i < sizeof(categories) / sizeof(categories[0]);
		    i++)
			if (strcmp(category, categories[i]) == 0)
				break;
		if (i == sizeof(categories) / sizeof(categories[0]) ||
		    strlen(address) != length)
			continue;
		header_list_begin(&list, address, length);
		if (header_list_next(&list, &mailbox) != 1 || mailbox.bare)
			fail_msg("refused: %s", address);
		assert_int_equal(header_list_next(&list, &mailbox), 0);
		taken++;
	}
	free(text);
	assert_true(taken > 90);
}

/*
 * What looks like the beginning of something, again and again, is looked
 * behind once: if it were each time, this would outlast any patience.
 */
static void
beginnings_cost_little(void **state)
{
	static const char	*const beginnings[] = { "<@", "<", "@", "\"",
		"[", "(", "\\", "a:", "<a@b ", "<@:", "<(", "a<\"b\" " };
	const size_t		 size = 4 << 20;
	struct header_list	 list;
	struct header_mailbox	 mailbox;
	char			*text = malloc(size);
	size_t			 i, at, length;

	(void)state;
	assert_non_null(text);
	for (i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
		length = strlen(beginnings[i]);
		for (at = 0; at + length <= size; at += length)
			memcpy(text + at, beginnings[i], length);
		header_list_begin(&list, text, at);
		while (header_list_next(&list, &mailbox) != 0)
			continue;
		assert_ptr_equal(list.at, text + at);
	}
	free(text);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(fields_are_walked),
		cmocka_unit_test(header_ends),
		cmocka_unit_test(lines_that_are_no_fields),
		cmocka_unit_test(values_are_unfolded),
		cmocka_unit_test(lists_are_walked),
		cmocka_unit_test(long_addresses_are_refused),
		cmocka_unit_test(walks_end),
		{ isemail_name(), isemail_addresses, NULL, NULL, NULL },
		cmocka_unit_test(bare_addresses_are_qualified),
		cmocka_unit_test(beginnings_cost_little),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
