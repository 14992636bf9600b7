/* links: common/aliases.c common/target.c common/address.c common/log.c
 * common/queueid.c common/clock.c */
/*
 * Alias files and lists of members: what is read, and where complaints point.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aliases.h"

/* Complaints, as "line:column" with a blank before each. */
struct places {
	char	text[256];
};

static void
complain(void *arg, int line, int column, const char *what)
{
	struct places *places = arg;
	size_t used = strlen(places->text);

	assert_true(*what != '\0');
	snprintf(places->text + used, sizeof(places->text) - used, " %d:%d",
	    line, column);
}

/* Print members with a bar between them. */
static void
print_members(const struct alias_list *list, char *text, size_t size)
{
	size_t i, used = 0;

	*text = '\0';
	for (i = 0; i < list->count; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s",
		    i > 0 ? " ; " : "", list->members[i].target.text);
}

static void
test_lists(void **state)
{
	static const struct {
		const char	*text;
		const char	*members;
		const char	*places;
	} cases[] = {
		{ "", "", "" },
		{ "joe", "joe", "" },
		{ "joe\n", "joe", "" },
		{ "joe, jane@x.test", "joe ; jane@x.test", "" },
		{ " joe ,, jane ,\n", "joe ; jane", "" },
		{ "joe\r\njane\r\n", "joe ; jane", "" },
		{ "# none\n  # none\njoe\n", "joe", "" },
		{ "joe (the first), (nobody) jane", "joe ; jane", "" },
		{ "Joe Doe <joe@x.test>", "joe@x.test", "" },
		{ "\"Doe, Joe\" <joe@x.test>, jane", "joe@x.test ; jane", "" },
		{ "\\joe", "\\joe", "" },
		{ "\"joe doe\"@x.test", "\"joe doe\"@x.test", "" },
		{ "\"|/usr/bin/vacation -a, joe\"",
		    "|/usr/bin/vacation -a, joe", "" },
		{ "|\"/usr/bin/vacation -a, joe\"",
		    "|/usr/bin/vacation -a, joe", "" },
		{ "|/usr/bin/vacation joe, jane",
		    "|/usr/bin/vacation joe ; jane", "" },
		{ "\"|/bin/echo \\\"a b\\\" c\\d\"",
		    "|/bin/echo \"a b\" c\\d", "" },
		{ "/var/archive, \"/var/my archive\"",
		    "/var/archive ; /var/my archive", "" },
		{ ":include:/etc/list", ":include:/etc/list", "" },
		{ ":include: /etc/list", ":include:/etc/list", "" },
		{ "maildir(/srv/a), pipe(/bin/sh -c 'a,b')",
		    "maildir(/srv/a) ; pipe(/bin/sh -c 'a,b')", "" },
		/* mistakes spoil the rest of their line */
		{ "joe jane", "", " 1:1" },
		{ "ok, joe jane, x\nann\n", "ok ; ann", " 1:5" },
		{ "\"joe", "", " 1:1" },
		{ "a\nb (open\n", "a", " 2:3" },
		{ "Joe <joe@x.test", "", " 1:1" },
		{ "joe@", "", " 1:1" },
		{ "joe@x..test", "", " 1:1" },
		{ ":include:list", "", " 1:1" },
		{ "joe\001", "", " 1:4" },
		{ "nosuch(x)", "", " 1:1" }
	};
	struct alias_list list;
	struct places places;
	char printed[256];
	size_t i;
	int wrong;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		places.text[0] = '\0';
		wrong = alias_list_parse(cases[i].text,
		    strlen(cases[i].text), complain, &places, &list);
		print_members(&list, printed, sizeof(printed));
		if (strcmp(printed, cases[i].members) != 0 ||
		    strcmp(places.text, cases[i].places) != 0 ||
		    (wrong > 0) != (cases[i].places[0] != '\0'))
			fail_msg("%s: [%s]%s", cases[i].text, printed,
			    places.text);
		alias_list_free(&list);
	}
}

static const char file[] =
    "# Names of the house\n"
    "postmaster: root\n"
    "ROOT:joe,\n"
    "\tjane\n"
    "# between\n"
    "\n"
    "  ann, bob\n"
    "\"odd name\" : joe\n"
    "empty:\n"
    "no colon here\n"
    "   its continuation\n"
    "Postmaster: jane\n"
    "list: :include:/etc/list,\n"
    "  \"|/bin/x, y\"\n"
    "bad: one two\n"
    "user@domain: joe\n"
    ": joe\n"
    "last: end";

static void
expect(const struct aliases *aliases, const char *name, const char *members)
{
	const struct alias *alias = aliases_find(aliases, name);
	char printed[256];

	assert_non_null(alias);
	print_members(&alias->list, printed, sizeof(printed));
	assert_string_equal(printed, members);
}

static void
test_file(void **state)
{
	struct places places = { "" };
	struct aliases *aliases;

	(void)state;
	aliases = aliases_parse(file, strlen(file), complain, &places);
	expect(aliases, "postmaster", "root");
	expect(aliases, "root", "joe ; jane ; ann ; bob");
	expect(aliases, "ODD NAME", "joe");
	expect(aliases, "list", ":include:/etc/list ; |/bin/x, y");
	expect(aliases, "last", "end");
	assert_true(aliases_find(aliases, "bad")->broken);
	assert_true(aliases_find(aliases, "empty")->broken);
	assert_false(aliases_find(aliases, "root")->broken);
	assert_int_equal(aliases_find(aliases, "root")->list.members[2].line,
	    7);
	assert_null(aliases_find(aliases, "no"));
	assert_null(aliases_find(aliases, "user@domain"));
	assert_string_equal(places.text,
	    " 9:1 10:1 15:6 16:1 17:1 12:1");
	assert_int_equal(aliases->wrong, 6);
	aliases_free(aliases);
}

static void
test_edges(void **state)
{
	static const char orphan[] = "  joe\nroot: x\n";
	struct places places = { "" };
	struct aliases *aliases;

	(void)state;
	aliases = aliases_parse(orphan, strlen(orphan), complain, &places);
	assert_string_equal(places.text, " 1:3");
	expect(aliases, "root", "x");
	aliases_free(aliases);
	aliases = aliases_parse("", 0, NULL, NULL);
	assert_int_equal(aliases->wrong, 0);
	assert_null(aliases_find(aliases, "root"));
	aliases_free(aliases);
	aliases_free(NULL);
}

/* Whatever comes in, it ends, and it stays within its bounds. */
static void
test_noise(void **state)
{
	static const char octets[] = "ab\"\\()<>,:@#|/ \t\n\r\001";
	struct aliases *aliases;
	struct alias_list list;
	unsigned int seed = 1;
	char *text;
	size_t length, i;
	int round;

	(void)state;
	for (round = 0; round < 5000; round++) {
		seed = seed * 1103515245 + 12345;
		length = (seed >> 16) % 60;
		text = malloc(length + 1);
		for (i = 0; i < length; i++) {
			seed = seed * 1103515245 + 12345;
			text[i] = octets[(seed >> 16) % (sizeof(octets) - 1)];
		}
		(void)alias_list_parse(text, length, NULL, NULL, &list);
		alias_list_free(&list);
		aliases = aliases_parse(text, length, NULL, NULL);
		aliases_free(aliases);
		free(text);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_noise)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
