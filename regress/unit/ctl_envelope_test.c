/* links: ctl/envelope.c ctl/identity.c ctl/message.c common/header.c
 * common/account.c common/group.c common/passwd.c common/nsswitch.c
 * common/address.c common/log.c common/clock.c
 * common/queueid.c */
/*
 * Recipients of the command line and of the header, the sender and how the
 * From field is composed.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/ctl.h"

/* Hold the recipients against a list; ! marks one known to be wrong. */
static void
check_recipients(struct envelope *envelope, const char *wanted)
{
	char	text[1024] = "";

	for (size_t i = 0; i < envelope->count; i++) {
		if (i > 0)
			strcat(text, " ");
		if (envelope->recipients[i].code != 0)
			strcat(text, "!");
		strcat(text, envelope->recipients[i].address);
	}
	assert_string_equal(text, wanted);
	envelope_free(envelope);
}

static void
words_are_lists(void **state)
{
	static const char	*words[] = { "joe", "a@b,c@d", "JOE",
		"Jane <jane@x>", "\\root", "not one", "g: h@i;" };
	struct envelope		 envelope;

	(void)state;
	memset(&envelope, 0, sizeof(envelope));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		envelope_add(&envelope, words[i], strlen(words[i]));
	check_recipients(&envelope,
	    "joe a@b c@d jane@x root !not h@i");
}

static void
check_header(const char *header, const char *wanted)
{
	struct envelope	envelope;
	struct message	message;

	memset(&envelope, 0, sizeof(envelope));
	assert_int_equal(message_begin(&message), 0);
	message_header(&message, header, strlen(header));
	envelope_from_header(&envelope, &message);
	message_free(&message);
	check_recipients(&envelope, wanted);
}

static void
recipients_of_the_header(void **state)
{
	(void)state;
	check_header("To: a@b, (c) D <d@e>,\r\n f\r\nSubject: x\r\n"
	    "Cc: g\r\nBcc: h\r\nTo: i\r\n", "a@b d@e f g h i");
	check_header("Subject: x\r\n", "");
	check_header("To: undisclosed-recipients:;\r\nBcc: a\r\n", "a");
	check_header("To: a a, b\r\n", "!a b");
}

static void
recipients_of_the_newest_resent_block(void **state)
{
	(void)state;
	check_header("Resent-To: a\r\nResent-Cc: b\r\nResent-Bcc: c\r\n"
	    "To: d\r\nCc: e\r\n", "a b c");
	/* A block above an older one. */
	check_header("Resent-From: x\r\nResent-To: a\r\nResent-From: y\r\n"
	    "Resent-To: b\r\nTo: d\r\n", "a");
	check_header("Resent-To: a\r\nReceived: x\r\nResent-Cc: b\r\n"
	    "To: d\r\n", "a");
	check_header("Received: x\r\nSubject: y\r\nResent-To: a\r\n"
	    "To: d\r\n", "a");
	/* Resent to nobody: then To is not meant either. */
	check_header("Resent-From: x\r\nTo: d\r\n", "");
}

static void
headers_are_cleaned(void **state)
{
	struct message	message;
	static const char header[] = "Return-Path: <x>\r\nTo: a\r\n"
	    "Bcc: b,\r\n c\r\nSubject: d\r\nResent-bcc: e\r\n"
	    "Content-Length: 5\r\nX-Bcc: f\r\n";

	(void)state;
	assert_int_equal(message_begin(&message), 0);
	message_header(&message, header, strlen(header));
	header_clean(&message);
	assert_string_equal(message.header,
	    "To: a\r\nSubject: d\r\nX-Bcc: f\r\n");
	header_complete(&message, "Joe", "joe");
	assert_string_equal(message.header, "To: a\r\nSubject: d\r\n"
	    "X-Bcc: f\r\nFrom: Joe <joe>\r\n");
	header_complete(&message, "Jane", "jane");
	assert_null(strstr(message.header, "jane"));
	message_free(&message);
}

static void
full_names(void **state)
{
	static const struct {
		const char	*gecos;
		const char	*login;
		const char	*name;
	} cases[] = {
		{ "Joe Doe,Room 5,123", "joe", "Joe Doe" },
		{ "& Doe", "joe", "Joe Doe" },
		{ "", "joe", "" },
		{ ",x", "joe", "" },
		{ "The & of &", "x", "The X of X" },
	};
	char	name[64], small[4];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		identity_full_name(cases[i].gecos, cases[i].login, name,
		    sizeof(name));
		assert_string_equal(name, cases[i].name);
	}
	identity_full_name("&&&&", "abc", small, sizeof(small));
	assert_string_equal(small, "Abc");
}

static void
from_fields(void **state)
{
	static const struct {
		const char	*name;
		const char	*field;
	} cases[] = {
		{ "", "From: joe@x\r\n" },
		{ " ", "From: joe@x\r\n" },
		{ "Joe Doe", "From: Joe Doe <joe@x>\r\n" },
		{ "J. \"Q\" Doe", "From: \"J. \\\"Q\\\" Doe\" <joe@x>\r\n" },
		{ "a\r\nBcc: b", "From: \"aBcc: b\" <joe@x>\r\n" },
		{ "J\303\274rgen D.",
		    "From: =?UTF-8?Q?J=C3=BCrgen_D=2E?= <joe@x>\r\n" },
		{ "J\374rgen",
		    "From: =?unknown-8bit?Q?J=FCrgen?= <joe@x>\r\n" },
	};
	char		 field[1024], name[200];
	const char	*at;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		identity_from(cases[i].name, "joe@x", field, sizeof(field));
		assert_string_equal(field, cases[i].field);
	}
	/* Encoded words are at most 75 octets and break no character. */
	memset(name, 0, sizeof(name));
	for (int i = 0; i < 60; i++)
		strcat(name, "\342\202\254");
	identity_from(name, "joe@x", field, sizeof(field));
	for (at = strchr(field, '='); at != NULL && *at == '='; at++) {
		assert_true(strcspn(at, " ") <= 75);
		assert_memory_equal(at + 10, "=E2=82=AC", 9);
		at += strcspn(at, " ");
	}
	identity_find(&(struct identity){ 0 });
}

static void
uucp_senders(void **state)
{
	static const struct {
		const char	*line;
		const char	*sender;
	} cases[] = {
		{ "From joe Thu Jan  1 remote from host", "joe@host" },
		{ "From a!b!joe Thu remote from host", "joe@b" },
		{ "From b!joe Thu remote from host", "joe@b" },
		{ "From joe@x Thu remote from host", "joe@x" },
		{ ">From joe Thu", "joe" },
	};
	char	sender[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(envelope_from_line(cases[i].line, sender,
		    sizeof(sender)), 0);
		assert_string_equal(sender, cases[i].sender);
	}
	assert_int_equal(envelope_from_line("From ", sender, sizeof(sender)),
	    -1);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(words_are_lists),
		cmocka_unit_test(recipients_of_the_header),
		cmocka_unit_test(recipients_of_the_newest_resent_block),
		cmocka_unit_test(headers_are_cleaned),
		cmocka_unit_test(full_names),
		cmocka_unit_test(from_fields),
		cmocka_unit_test(uucp_senders),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
