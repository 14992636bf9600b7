/* links: ctl/record.c ctl/json.c common/clock.c */
/*
 * Records: the same lines for people, and as JSON that is valid whatever they
 * hold.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clock.h"
#include "ctl/ctl.h"

#define NOW	(1795247933 * SECOND)

static char	*shown;

/* Show a text in one of the forms; the result lives until the next. */
static const char *
show(const char *text, bool json)
{
	size_t	 length;
	FILE	*out;

	free(shown);
	shown = NULL;
	out = open_memstream(&shown, &length);
	assert_non_null(out);
	if (json)
		record_json(out, text, strlen(text));
	else
		record_print(out, text, strlen(text), NOW);
	fclose(out);
	return shown;
}

static const char	message[] =
	"id: 1234567890123\n"
	"size: 300\n"
	"sender: <a@b>\n"
	"\n"
	"recipient: 1\n"
	"address: x@y: \"z\"\n"
	"next: 1795248533\n"
	"  attempt: 1\n"
	"  host: mx\n"
	"  attempt: 2\n"
	"  host: mx\n"
	"\n"
	"recipient: 2\n"
	"expanded-from: 1\n"
	"\n"
	"not-shown: 7\n";

static void
people_see_columns(void **state)
{
	const char	*text = show(message, false);

	(void)state;
	assert_non_null(strstr(text, "           id: 1234567890123\n"));
	assert_non_null(strstr(text, "\n\n    recipient: 1\n"));
	assert_non_null(strstr(text, "      address: x@y: \"z\"\n"));
	assert_non_null(strstr(text, " (in 10 min)\n"));
	assert_non_null(strstr(text, "\n                   attempt: 2\n"));
}

/* A spool that was damaged, or another's, may say any time. */
static void
times_are_any(void **state)
{
	static const struct {
		int64_t		 when;
		const char	*seen;
	} all[] = {
		{ NOW + 3 * DAY + HOUR,	" (in 3 d 1 h)" },
		{ NOW - 90 * SECOND,	" (90 s ago)" },
		{ NOW,			" (0 s ago)" },
		{ INT64_MAX,		" (in 106731212 d 20 h)" },
		{ INT64_MIN,		" (106772769 d 11 h ago)" }
	};
	size_t	 i, length;
	char	*text;
	FILE	*out;

	(void)state;
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		out = open_memstream(&text, &length);
		assert_non_null(out);
		record_time(out, all[i].when, NOW);
		fclose(out);
		assert_string_equal(strstr(text, " ("), all[i].seen);
		free(text);
	}
}

static void
terminals_see_no_control(void **state)
{
	(void)state;
	assert_string_equal(show("k\033[2Jy: v\033[31m\n  a\177: b\n", false),
	    "       k?[2Jy: v?[31m\n"
	    "                        a?: b\n");
	assert_string_equal(show("time: 1700000000000\n", false),
	    "         time: 1700000000000\n");
}

static void
json_has_lists(void **state)
{
	(void)state;
	assert_string_equal(show(message, true), "{\"id\": \"1234567890123\", "
	    "\"size\": 300, \"sender\": \"<a@b>\", \"recipients\": ["
	    "{\"recipient\": 1, \"address\": \"x@y: \\\"z\\\"\", "
	    "\"next\": 1795248533, \"history\": ["
	    "{\"attempt\": 1, \"host\": \"mx\"}, "
	    "{\"attempt\": 2, \"host\": \"mx\"}]}, "
	    "{\"recipient\": 2, \"expanded_from\": 1}], "
	    "\"not_shown\": 7}\n");
}

static void
json_has_texts(void **state)
{
	(void)state;
	assert_string_equal(show("domain: x\n\nlane: a\n> one\n> two: 2\n"
	    "\nlane: b\n>\n\nmessages: 2\n\nreason: why: so\nrecipients: 3\n",
	    true), "{\"domain\": \"x\", \"lanes\": [{\"lane\": \"a\", "
	    "\"text\": [\"one\", \"two: 2\"]}, {\"lane\": \"b\", "
	    "\"text\": [\"\"]}], \"messages\": 2, \"reasons\": "
	    "[{\"reason\": \"why: so\", \"recipients\": 3}]}\n");
}

/* Figures that are none stay what they are. */
static void
values_are_believed_by_their_looks(void **state)
{
	(void)state;
	assert_string_equal(show("size: 007\nuid: -1\nport: 1e3\n"
	    "next: 1234567890123456789\nactive:\nwaiting: 0\n", true),
	    "{\"size\": \"007\", \"uid\": \"-1\", \"port\": \"1e3\", "
	    "\"next\": \"1234567890123456789\", \"active\": \"\", "
	    "\"waiting\": 0}\n");
}

static void
nothing_moves_the_cursor(void **state)
{
	(void)state;
	assert_null(strpbrk(show("reply: a\033[2Jb\177\rc\n> \033x\n", false),
	    "\033\177\r"));
	assert_string_equal(show("reply: a\033\377\n", true),
	    "{\"reply\": \"a\\u001b\\ufffd\"}\n");
}

/* Nor does it in lines that are shown as they come. */
static void
lines_stay_lines(void **state)
{
	static const char	 lines[] = "a\033[2J\n\177\rb\n";
	char			 word[] = "no\007\n\033c";
	char			*text;
	size_t			 length;
	FILE			*out = open_memstream(&text, &length);

	(void)state;
	record_lines(out, lines, sizeof(lines) - 1);
	fclose(out);
	assert_string_equal(text, "a?[2J\n??b\n");
	free(text);
	record_clean(word);
	assert_string_equal(word, "no???c");
}

/* Whatever comes, brackets are closed in the order they were opened. */
static void
brackets_match(void **state)
{
	static const char *const	 lines[] = {
		"key: 1\n", "\n", "recipient: 1\n", "lane: x\n", "> t\n",
		"  attempt: 1\n", "  key: 2\n", "no colon\n", "  \n", ":\n",
		"reason: \n", ">"
	};
	const char			*at;
	char				 text[256], open[64];
	size_t				 depth;
	bool				 quoted;

	(void)state;
	srandom(1);
	for (int round = 0; round < 20000; round++) {
		text[0] = '\0';
		for (int i = 0; i < 12; i++)
			strcat(text, lines[(size_t)random() %
			    (sizeof(lines) / sizeof(lines[0]))]);
		depth = 0;
		quoted = false;
		for (at = show(text, true); *at != '\0'; at++) {
			if (*at == '"')
				quoted = !quoted;
			if (quoted)
				continue;
			assert_false(strncmp(at, ", }", 3) == 0 ||
			    strncmp(at, ", ]", 3) == 0 ||
			    strncmp(at, "\"\"", 2) == 0);
			if (*at == '{' || *at == '[') {
				assert_true(depth < sizeof(open));
				open[depth++] = *at == '{' ? '}' : ']';
			} else if (*at == '}' || *at == ']') {
				assert_true(depth > 0);
				assert_int_equal(open[--depth], *at);
			}
		}
		assert_int_equal(depth, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(people_see_columns),
		cmocka_unit_test(times_are_any),
		cmocka_unit_test(terminals_see_no_control),
		cmocka_unit_test(json_has_lists),
		cmocka_unit_test(json_has_texts),
		cmocka_unit_test(values_are_believed_by_their_looks),
		cmocka_unit_test(nothing_moves_the_cursor),
		cmocka_unit_test(lines_stay_lines),
		cmocka_unit_test(brackets_match),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
