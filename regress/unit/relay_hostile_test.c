/* links: relay/conversation.c relay/opening.c relay/envelope.c
 *	relay/login.c relay/transcript.c relay/reply.c relay/body.c
 *	relay/command.c relay/transaction.c common/log.c common/clock.c
 *	common/queueid.c */
/*
 * Conversations with servers that speak no SMTP, or too much, or not to the
 * end, in every state.
 */
#include "relay_played.h"

static const char *const dialogue_plain[] = { PLAIN, SENT(0), ">250 2.0.0 Ok",
    "E", "<QUIT", ">221 Bye", ".", NULL };
static const char *const dialogue_piped[] = { PIPED, "<MAIL FROM:<a@b>",
    "<RCPT TO:<r0@y>", "<DATA", ">250 Ok", ">250 Ok", ">354 Go", "<x", "<.",
    ">250 2.0.0 Ok", "E", "<QUIT", ">221 Bye", ".", NULL };
static const char *const dialogue_login[] = { ASKED, ">334 bW9yZQ==",
    "<c2VjcmV0LW1vcmU=", ">235 2.7.0 Hello", SENT(0), ">250 2.0.0 Ok",
    "E", "<QUIT", ">221 Bye", ".", NULL };
static const char *const dialogue_reset[] = { PLAIN, "<MAIL FROM:<a@b>",
    ">250 Ok", "<RCPT TO:<r0@y>", ">450 4.7.1 Later", "<RSET", ">250 Ok",
    "E", "<QUIT", ">221 Bye", ".", NULL };
static const char *const dialogue_nobody[] = { PIPED, "<MAIL FROM:<a@b>",
    "<RCPT TO:<r0@y>", "<DATA", ">250 Ok", ">450 4.7.1 Later", ">354 Go",
    "<.", ">554 Nobody", "E", "<QUIT", ">221 Bye", ".", NULL };
static const char *const dialogue_lmtp[] = { ">220 hi", "<LHLO me.test",
    ">250 srv", SENT(0), ">250 2.0.0 Ok", "E", "<QUIT", ">221 Bye", ".",
    NULL };

static const struct {
	const char	*name;
	const char *const *script;
	bool		 login;
	bool		 done;		/* delivered in the end */
	bool		 piped;
	bool		 lmtp;
} dialogues[] = {
	{ "plain", dialogue_plain, .done = true },
	{ "piped", dialogue_piped, .done = true, .piped = true },
	{ "login", dialogue_login, .login = true, .done = true },
	{ "reset", dialogue_reset, .done = false },
	{ "nobody", dialogue_nobody, .piped = true },
	{ "lmtp", dialogue_lmtp, .done = true, .lmtp = true }
};

#define DIALOGUES	(sizeof(dialogues) / sizeof(dialogues[0]))

static void
begin_dialogue(size_t d)
{
	if (dialogues[d].login) {
		connect_with_login(false);
		return;
	}
	begin();
	test.policy.lmtp = dialogues[d].lmtp;
	submit(0, 1, "x");
	connect_with(false);
}

enum evil {
	CUT, TIMEOUT, SAYS_421, GARBAGE, CONTROL, LATE, ENDLESS, LONG, LINES,
	SAYS_554, SAYS_451, SAYS_250, EVILS
};

/* Instead of this line. */
static void
do_evil(enum evil evil, const char *line)
{
	static char longest[8000];
	static const char *const replies[EVILS] = {
	    [SAYS_421] = "421 4.3.2 Down", [GARBAGE] = "hello there",
	    [CONTROL] = "4\x01\xff\x1b[2J", [SAYS_554] = "554 5.7.1 No",
	    [SAYS_451] = "451 4.7.1 Later", [SAYS_250] = "250 Ok" };
	char text[1024];
	int i;

	switch (evil) {
	case CUT:
		take_step("!");
		break;
	case TIMEOUT:
		take_step("T");
		break;
	case LATE:
		snprintf(text, sizeof(text), "%s\r\n250 More", line);
		say_line(text);
		break;
	case ENDLESS:
		memset(longest, '2', sizeof(longest));
		say(longest, sizeof(longest));
		break;
	case LONG:
		memset(longest, 'x', sizeof(longest));
		memcpy(longest, "250 ", 4);
		memcpy(longest + sizeof(longest) - 2, "\r\n", 2);
		say(longest, sizeof(longest));
		break;
	case LINES:
		for (i = 0; i < 1000 && test.stream != NULL; i++)
			say_line("250-more");
		assert_null(test.stream);
		break;
	default:
		say_line(replies[evil]);
	}
}

/*
 * Whatever came, the transaction is accounted for, and what the server did
 * not say is no success and no failure.
 */
static void
expect_sound(size_t d, enum evil evil, bool was_done)
{
	const struct w_relay_result_ntf *r = &test.results[0];
	struct transaction *t;

	/* It is not heard any longer, nor is anything said to it. */
	if (evil < LATE || evil == LINES || evil == LONG || evil == ENDLESS ||
	    (evil == LATE && !dialogues[d].piped))
		assert_null(test.stream);
	if (test.stream != NULL)
		test.stream->ops->lost("closed the connection", false,
		    test.stream->arg);
	assert_null(test.stream);
	t = TAILQ_FIRST(&test.waiting);
	if (test.answered == 0) {
		assert_non_null(t);	/* still waits or waits again */
		assert_true(test.refused == 1 || test.taken_back == 1);
	} else {
		assert_null(t);
		assert_int_equal(test.answered, 1);
		assert_int_not_equal(r->verdict, 0);
	}
	if (was_done)
		assert_int_equal(r->verdict, RELAY_DONE);
	else if (r->verdict == RELAY_DONE)
		assert_true(dialogues[d].done && (evil == LATE ||
		    evil == SAYS_250));
	else if (r->verdict == RELAY_FAILED)
		assert_true(evil == SAYS_554);
	finish();
}

/* Play a dialogue with the nth reply replaced; false if it has none. */
static bool
play_evil(size_t d, enum evil evil, int n)
{
	const char *const *s = dialogues[d].script;
	bool was_done;

	begin_dialogue(d);
	for (; *s != NULL; s++) {
		if ((**s == '>' || **s == 'S') && n-- == 0)
			break;
		take_step(*s);
	}
	was_done = test.results[0].verdict == RELAY_DONE;
	if (*s == NULL)
		finish();
	else if (**s == 'S' && evil > TIMEOUT) {
		take_step("!");
		finish();
	} else {
		do_evil(evil, *s + 1);
		expect_sound(d, evil, was_done);
	}
	return *s != NULL;
}

static void
survives_what_is_no_smtp(void **state)
{
	int evil, n;
	size_t d;

	(void)state;
	for (d = 0; d < DIALOGUES; d++)
		for (evil = 0; evil < EVILS; evil++)
			for (n = 0; play_evil(d, (enum evil)evil, n); n++)
				continue;
}

/* However replies are cut into pieces, they are the same. */
static void
hears_every_octet_alone(void **state)
{
	const char *const *s;
	const char *p;
	size_t d;

	(void)state;
	for (d = 0; d < DIALOGUES; d++) {
		begin_dialogue(d);
		for (s = dialogues[d].script; *s != NULL; s++) {
			if (**s != '>') {
				take_step(*s);
				continue;
			}
			for (p = *s + 1; *p != '\0'; p++) {
				say(p, 1);
				expect_quiet();
			}
			say("\r", 1);
			expect_quiet();
			say("\n", 1);
		}
		assert_int_equal(test.results[0].verdict, dialogues[d].done ?
		    RELAY_DONE : RELAY_DEFERRED);
		finish();
	}
}

/* An answer to what is still here. */
static void
hears_nothing_before_it_has_asked(void **state)
{
	(void)state;
	begin();
	connect_with(false);
	say_line("220 hi");
	say_line("250 srv");
	expect_refused(STAGE_GREETING, "4.5.0", "more than it was asked");
	finish();
}

static void
names_what_it_heard(void **state)
{
	(void)state;
	begin();
	connect_with(false);
	say_line("HTTP/1.1 400 Bad\x07 Request");
	expect_refused(STAGE_GREETING, "4.5.0",
	    "sent what is no reply (HTTP/1.1 400 Bad? Request)");
	finish();
	begin();
	connect_with(false);
	say_line("220 hi\r\n220 there");
	expect_refused(STAGE_GREETING, "4.5.0", "more than it was asked");
	finish();
}

static void
keeps_a_transcript_short(void **state)
{
	char line[4000];
	int i;

	(void)state;
	begin();
	test.script_file = open_memstream(&test.script, &test.script_length);
	connect_with(false);
	memset(line, 'x', sizeof(line));
	memcpy(line, "220-", 4);
	line[sizeof(line) - 1] = '\0';
	for (i = 0; i < 200; i++)
		say_line(line);
	say_line("220 hi");
	fflush(test.script_file);
	assert_true(test.script_length < 51200);
	assert_non_null(strstr(test.script, "is left out"));
	finish();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(survives_what_is_no_smtp),
		cmocka_unit_test(hears_every_octet_alone),
		cmocka_unit_test(hears_nothing_before_it_has_asked),
		cmocka_unit_test(names_what_it_heard),
		cmocka_unit_test(keeps_a_transcript_short)
	};

	alarm(60);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
