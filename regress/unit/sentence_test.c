/* links: spoold/sentence.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clock.h"
#include "spoold/spoold.h"

#define HOST	"mx.example.org[192.0.2.1]:25"

static char	 sentence[640];

static struct sentence_facts
relayed(enum relay_stage stage, const char *status, const char *text)
{
	struct sentence_facts	 facts = {
		.relayed = true, .stage = stage, .status = status,
		.text = text, .host = HOST, .address = "joe@example.org"
	};

	return facts;
}

static void
says(const struct sentence_facts *facts, const char *wanted)
{
	sentence_of(facts, sentence, sizeof(sentence));
	assert_string_equal(sentence, wanted);
	assert_true(strlen(sentence_advice(facts)) > 0);
}

static void
replied(enum relay_stage stage, const char *status, const char *text,
    const char *wanted)
{
	struct sentence_facts	 facts = relayed(stage, status, text);

	facts.replied = true;
	says(&facts, wanted);
}

static void
ours(enum relay_stage stage, const char *status, const char *text,
    const char *wanted)
{
	struct sentence_facts	 facts = relayed(stage, status, text);

	says(&facts, wanted);
}

static void
here(const char *status, const char *wanted)
{
	struct sentence_facts	 facts = relayed(STAGE_NONE, status, "why");

	facts.relayed = false;
	facts.host = "";
	says(&facts, wanted);
}

static void
knows_what_servers_say(void **state)
{
	(void)state;
	replied(STAGE_RCPT, "5.1.1", "550 5.1.1 <joe@example.org> unknown",
	    "mx.example.org refused the address: it says that there is no such"
	    " mailbox.");
	replied(STAGE_RCPT, "5.0.0", "550 No such user here",
	    "mx.example.org refused the address: it says that there is no such"
	    " mailbox.");
	replied(STAGE_RCPT, "5.0.0", "550 no", "mx.example.org refused the"
	    " address.");
	replied(STAGE_RCPT, "4.2.2", "452 4.2.2 over quota",
	    "mx.example.org did not accept the message: it says that the"
	    " mailbox is full.");
	replied(STAGE_RCPT, "5.0.0", "552 mailbox full", "mx.example.org"
	    " refused the message: it says that the mailbox is full.");
	replied(STAGE_MESSAGE, "5.3.4", "552 5.3.4 too big",
	    "mx.example.org refused the message: it is too large.");
	replied(STAGE_MESSAGE, "5.7.1", "554 5.7.1 looks like SPAM",
	    "mx.example.org refused the message: it takes it, or where it"
	    " comes from, for unwanted mail.");
	replied(STAGE_RCPT, "5.7.1", "554 5.7.1 Relay access denied",
	    "mx.example.org refused the address: it does not pass mail on to"
	    " it for this system.");
	replied(STAGE_MAIL, "5.7.0", "530 5.7.0 log in", "mx.example.org"
	    " demands a login before it takes mail from this system.");
	replied(STAGE_RCPT, "4.7.1", "450 4.7.1 Greylisted",
	    "mx.example.org puts off mail from senders it does not know yet"
	    " (greylisting).");
	replied(STAGE_MESSAGE, "5.7.26", "550 5.7.26 DMARC",
	    "mx.example.org refused the message: its policy does not permit"
	    " it.");
	replied(STAGE_RCPT, "4.3.2", "421 4.3.2 closing", "mx.example.org is"
	    " not ready for mail at the moment.");
	replied(STAGE_GREETING, "5.7.1", "554 5.7.1 go away",
	    "mx.example.org refuses to talk to this system.");
	replied(STAGE_LOGIN, "5.7.8", "535 5.7.8 no",
	    "mx.example.org did not accept this system's login.");
	replied(STAGE_MAIL, "5.1.8", "550 5.1.8 bad", "mx.example.org refused"
	    " your own address as the sender's: it says that its domain takes"
	    " no replies.");
	replied(STAGE_MESSAGE, "5.4.6", "554 5.4.6 hops", "mx.example.org"
	    " refused the message: it says that it goes in a circle.");
	replied(STAGE_MESSAGE, "5.0.0", "554 no", "mx.example.org refused the"
	    " message.");
}

static void
knows_what_befell_us(void **state)
{
	struct sentence_facts	 facts;

	(void)state;
	ours(STAGE_LOOKUP, "5.1.2", "NXDOMAIN", "No mail server could be found"
	    " for the domain example.org: it does not exist (check the"
	    " spelling).");
	ours(STAGE_LOOKUP, "5.1.10", "null MX",
	    "The domain example.org says that it accepts no mail.");
	ours(STAGE_LOOKUP, "5.4.6", "us", "The domain example.org names this"
	    " very system as its mail server, which does not take it for its"
	    " own: the mail would go in a circle.");
	ours(STAGE_CONNECT, "4.4.1", "refused",
	    "mx.example.org could not be reached.");
	ours(STAGE_TLS, "4.7.5", "no TLSA record matches", "mx.example.org does"
	    " not prove its name as its domain demands (DANE); the message was"
	    " not shown to it, for safety's sake.");
	ours(STAGE_TLS, "4.7.4", "STARTTLS is not offered", "The way to"
	    " mx.example.org could not be protected (TLS) as this system"
	    " demands; the message was not sent over it, for safety's sake.");
	ours(STAGE_DATA, "4.4.2", "closed", "The talk with mx.example.org broke"
	    " off before it had accepted the message.");
	ours(STAGE_MAIL, "5.6.7", "no SMTPUTF8", "mx.example.org does not know"
	    " addresses that are not all in ASCII.");
	facts = relayed(STAGE_CONNECT, "4.4.1", "refused");
	facts.host = "";
	says(&facts, "The mail server for this address could not be"
	    " reached.");
	facts.host = "[192.0.2.1]:25";
	says(&facts, "[192.0.2.1] could not be reached.");
}

static void
knows_this_machine(void **state)
{
	(void)state;
	here("5.1.1", "There is no such mailbox here.");
	here("5.1.2", "This system knows no way to the domain example.org.");
	here("4.2.2", "The mailbox is full.");
	here("4.3.5", "This system is not configured as it should be for this"
	    " address.");
	here("5.4.6", "The message goes in a circle: it was here before.");
	here("5.6.0", "The program that takes the mail for this address"
	    " refused the message.");
	here("5.0.0", "The message could not be delivered here.");
}

static void
tells_how_long_it_tried(void **state)
{
	struct sentence_facts	 facts = relayed(STAGE_CONNECT, "4.4.1",
				     "refused");

	(void)state;
	facts.expired = true;
	facts.waited = 5 * DAY + HOUR;
	says(&facts, "It could not be delivered for 5 days. The last attempt"
	    " ended so: mx.example.org could not be reached.");
	facts.waited = DAY;
	says(&facts, "It could not be delivered for 1 day. The last attempt"
	    " ended so: mx.example.org could not be reached.");
	facts.waited = 36 * HOUR;
	facts.host = "";
	says(&facts, "It could not be delivered for 36 hours. The last attempt"
	    " ended so: The mail server for this address could not be"
	    " reached.");
	facts.expired = false;
	facts.given_up = true;
	facts.text = "";
	says(&facts, "The operator of this system decided not to try any"
	    " longer.");
}

/* Whatever the facts are, there is a sentence that ends. */
static void
never_lacks_words(void **state)
{
	static const char *const statuses[] = {
		"", "5", "5.", "5.9.9", "4.0.0", "x", "5.1.1.1", "5.10.1"
	};
	struct sentence_facts	 facts;
	enum relay_stage	 stage;
	unsigned int		 bits;
	size_t			 i;

	(void)state;
	for (stage = STAGE_NONE; stage <= STAGE_MESSAGE; stage++)
		for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
			for (bits = 0; bits < 16; bits++) {
				facts = relayed(stage, statuses[i], "%h%n");
				facts.relayed = (bits & 1) != 0;
				facts.replied = (bits & 2) != 0;
				facts.expired = (bits & 4) != 0;
				facts.given_up = (bits & 8) != 0;
				facts.address = "bare";
				sentence_of(&facts, sentence,
				    sizeof(sentence));
				assert_true(sentence[0] != '\0');
				assert_true(sentence[strlen(sentence) - 1] ==
				    '.');
				assert_true(sentence_advice(&facts)[0] !=
				    '\0');
			}
	sentence_of(&facts, sentence, 10);
	assert_int_equal(strlen(sentence), 9);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_what_servers_say),
		cmocka_unit_test(knows_what_befell_us),
		cmocka_unit_test(knows_this_machine),
		cmocka_unit_test(tells_how_long_it_tried),
		cmocka_unit_test(never_lacks_words)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
