/* links: ctl/input.c ctl/message.c common/header.c */
/*
 * Standard input as a message: line ends, the border between header and body,
 * the dot, and the forms it leaves in.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/ctl.h"

struct text {
	char	*octets;
	size_t	 length;
	size_t	 size;
};

static int
collect(void *argument, const char *octets, size_t length)
{
	struct text	*text = argument;

	if (text->length + length >= text->size) {
		text->size = 2 * (text->length + length + 1);
		text->octets = realloc(text->octets, text->size);
		assert_non_null(text->octets);
	}
	memcpy(text->octets + text->length, octets, length);
	text->length += length;
	text->octets[text->length] = '\0';
	return 0;
}

/* Read a message from octets. */
static void
read_message(const char *octets, size_t length, bool dot_ends,
    struct message *message)
{
	FILE	*in = tmpfile();

	assert_non_null(in);
	assert_int_equal(fwrite(octets, 1, length, in), length);
	rewind(in);
	assert_int_equal(message_read(in, dot_ends, message), 0);
	fclose(in);
}

static void
check(const char *octets, size_t length, bool dot_ends, enum form form,
    const char *wanted)
{
	struct message	message;
	struct text	text = { NULL, 0, 0 };

	read_message(octets, length, dot_ends, &message);
	assert_int_equal(message_copy(&message, form, collect, &text), 0);
	assert_string_equal(text.octets, wanted);
	if (form == FORM_PLAIN)
		assert_int_equal(message_size(&message), text.length);
	free(text.octets);
	message_free(&message);
}

static void
lines_end_in_crlf(void **state)
{
	(void)state;
	check("A: b\n\nx\n", 8, false, FORM_PLAIN, "A: b\r\n\r\nx\r\n");
	check("A: b\r\n\r\nx\r\n", 11, false, FORM_PLAIN,
	    "A: b\r\n\r\nx\r\n");
	check("A: b\r\rx\ry", 9, false, FORM_PLAIN,
	    "A: b\r\n\r\nx\r\ny\r\n");
	check("A: b\n\nx\r\r\ny", 11, false, FORM_PLAIN,
	    "A: b\r\n\r\nx\r\n\r\ny\r\n");
	check("A: b\n\nx\0y\n", 10, false, FORM_PLAIN,
	    "A: b\r\n\r\nxy\r\n");
	check("", 0, false, FORM_PLAIN, "\r\n");
	check("A: b", 4, false, FORM_PLAIN, "A: b\r\n\r\n");
}

static void
header_and_body_are_apart(void **state)
{
	(void)state;
	check("hello\nA: b\n", 11, false, FORM_PLAIN,
	    "\r\nhello\r\nA: b\r\n");
	check("A: b\nhello\n", 11, false, FORM_PLAIN,
	    "A: b\r\n\r\nhello\r\n");
	check("A: b\n c\n\tD: e\n\nf\n", 16, false, FORM_PLAIN,
	    "A: b\r\n c\r\n\tD: e\r\n\r\nf\r\n");
	check(" A: b\n", 6, false, FORM_PLAIN, "\r\n A: b\r\n");
	check("\n\nx\n", 4, false, FORM_PLAIN, "\r\n\r\nx\r\n");
}

static void
from_lines_go(void **state)
{
	struct message	message;

	(void)state;
	check("From joe Thu\n>From x\nA: b\n\nFrom y\n", 34, false, FORM_PLAIN,
	    "A: b\r\n\r\nFrom y\r\n");
	read_message("From joe Thu remote from h\r\nA: b\n", 33, false,
	    &message);
	assert_string_equal(message.from_line, "From joe Thu remote from h");
	message_free(&message);
	check("A: b\nFrom y\n", 12, false, FORM_PLAIN,
	    "A: b\r\n\r\nFrom y\r\n");
}

static void
a_dot_ends_unless_told(void **state)
{
	(void)state;
	check("A: b\n\nx\n.\ny\n", 12, true, FORM_PLAIN,
	    "A: b\r\n\r\nx\r\n");
	check("A: b\n\nx\n.\ny\n", 12, false, FORM_PLAIN,
	    "A: b\r\n\r\nx\r\n.\r\ny\r\n");
	check("A: b\n\n. \n..\n.", 13, true, FORM_PLAIN,
	    "A: b\r\n\r\n. \r\n..\r\n");
	check("A: b\n.\n\ny\n", 10, true, FORM_PLAIN, "A: b\r\n\r\n");
}

static void
forms(void **state)
{
	(void)state;
	check("A: b\n\n.x\n..\n.\nFrom a\n", 21, false, FORM_SMTP,
	    "A: b\r\n\r\n..x\r\n...\r\n..\r\nFrom a\r\n");
	check("A: b\n\n.x\nFrom a\n", 16, false, FORM_UNIX,
	    "A: b\n\n.x\n>From a\n");
}

static void
eight_bit_is_seen(void **state)
{
	struct message	message;

	(void)state;
	read_message("A: b\n\nabc\n", 10, false, &message);
	assert_false(message.eight_bit);
	message_free(&message);
	read_message("A: b\n\nab\374\n", 10, false, &message);
	assert_true(message.eight_bit);
	message_free(&message);
	read_message("A: \374\n\nabc\n", 10, false, &message);
	assert_true(message.eight_bit);
	message_free(&message);
}

/* A body that outgrows memory, with a line longer than any buffer. */
static void
large_bodies(void **state)
{
	size_t		 length = 6 * 1024 * 1024;
	char		*octets = malloc(length);
	struct message	 message;
	struct text	 text = { NULL, 0, 0 };

	(void)state;
	assert_non_null(octets);
	memset(octets, 'x', length);
	memcpy(octets, "A: b\n\n", 6);
	for (size_t i = length / 2; i < length; i += 100)
		octets[i] = '\n';
	read_message(octets, length, false, &message);
	assert_int_equal(message_copy(&message, FORM_UNIX, collect, &text), 0);
	assert_int_equal(text.length, length + 1);
	assert_memory_equal(text.octets, octets, length);
	free(text.octets);
	free(octets);
	message_free(&message);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(lines_end_in_crlf),
		cmocka_unit_test(header_and_body_are_apart),
		cmocka_unit_test(from_lines_go),
		cmocka_unit_test(a_dot_ends_unless_told),
		cmocka_unit_test(forms),
		cmocka_unit_test(eight_bit_is_seen),
		cmocka_unit_test(large_bodies),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
