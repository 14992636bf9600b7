/*
 * What befell a recipient, as a sentence for the person who wrote to it, and
 * what that person can do.  Pure.  The first row of the table that fits an
 * end says it; what the server said stands below it in the report, verbatim.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "spoold.h"

#define BIT(stage)	(1U << (stage))
#define ANY_STAGE	0U
#define TALKING		(BIT(STAGE_MAIL) | BIT(STAGE_RCPT) | \
	BIT(STAGE_DATA) | BIT(STAGE_MESSAGE))
#define HOST_LENGTH	128

/* Whose verdict it is: this machine's, relay's, or a server's reply. */
enum judge { HERE = 1, RELAY, SERVER };

enum advice { NOTHING, ADDRESS, LATER, SMALLER, THEIRS, OURS };

struct rule {
	enum judge	 judge;
	unsigned int	 stages;
	const char	*status;	/* without its class; "7." is all */
	const char	*code;		/* of the reply; "" any */
	const char	*words;		/* one of these in the text; "" any */
	enum advice	 advice;
	/*
	 * %h the server, %d the domain, %r "refused" or "did not accept (for
	 * now)".
	 */
	const char	*sentence;
};

static const struct rule rules[] = {
/* This machine. */
{ HERE, ANY_STAGE, "1.1", "", "", ADDRESS,
    "There is no such mailbox here." },
{ HERE, ANY_STAGE, "1.2", "", "", ADDRESS,
    "This system knows no way to the domain %d." },
{ HERE, ANY_STAGE, "1.", "", "", ADDRESS,
    "The address cannot be used." },
{ HERE, ANY_STAGE, "2.2", "", "", THEIRS,
    "The mailbox is full." },
{ HERE, ANY_STAGE, "2.", "", "", LATER,
    "The mailbox could not be written to." },
{ HERE, ANY_STAGE, "3.1", "", "", LATER,
    "The disk of this system is full." },
{ HERE, ANY_STAGE, "3.5", "", "", OURS,
    "This system is not configured as it should be for this address." },
{ HERE, ANY_STAGE, "4.6", "", "", OURS,
    "The message goes in a circle: it was here before." },
{ HERE, ANY_STAGE, "4.", "", "", LATER,
    "The mail server for this address could not be reached." },
{ HERE, ANY_STAGE, "7.1", "", "", OURS,
    "This system accepts no mail for this address." },
{ HERE, ANY_STAGE, "6.", "", "", OURS,
    "The program that takes the mail for this address refused the message." },
{ HERE, ANY_STAGE, "5.", "", "", OURS,
    "The program that takes the mail for this address failed." },
{ HERE, ANY_STAGE, "7.", "", "", OURS,
    "The program that takes the mail for this address was not permitted to." },
{ HERE, ANY_STAGE, "", "", "", OURS,
    "The message could not be delivered here." },

/* Before a server had a say. */
{ RELAY, BIT(STAGE_LOOKUP), "1.2", "", "", ADDRESS,
    "No mail server could be found for the domain %d: it does not exist"
    " (check the spelling)." },
{ RELAY, BIT(STAGE_LOOKUP), "1.10", "", "", ADDRESS,
    "The domain %d says that it accepts no mail." },
{ RELAY, BIT(STAGE_LOOKUP), "4.6", "", "", OURS,
    "The domain %d names this very system as its mail server, which does not"
    " take it for its own: the mail would go in a circle." },
{ RELAY, BIT(STAGE_LOOKUP), "4.3", "", "", LATER,
    "The name servers that know the mail server for this address did not"
    " answer as they should." },
{ RELAY, BIT(STAGE_LOOKUP), "", "", "", THEIRS,
    "No usable mail server could be found for this address." },
{ RELAY, ANY_STAGE, "4.6", "", "", OURS,
    "The message goes in a circle between mail servers." },
{ RELAY, BIT(STAGE_CONNECT), "", "", "", LATER,
    "%h could not be reached." },
{ RELAY, BIT(STAGE_TLS), "", "", "tlsa|dane", THEIRS,
    "%h does not prove its name as its domain demands (DANE); the message was"
    " not shown to it, for safety's sake." },
{ RELAY, BIT(STAGE_TLS), "", "", "", OURS,
    "The way to %h could not be protected (TLS) as this system demands; the"
    " message was not sent over it, for safety's sake." },
{ RELAY, BIT(STAGE_LOGIN), "", "", "", OURS,
    "This system could not log in at %h." },
{ RELAY, ANY_STAGE, "6.7", "", "", THEIRS,
    "%h does not know addresses that are not all in ASCII." },
{ RELAY, ANY_STAGE, "6.3", "", "", THEIRS,
    "%h does not take messages of this kind." },
{ RELAY, ANY_STAGE, "3.4", "", "", SMALLER,
    "The message is too large for %h." },
{ RELAY, ANY_STAGE, "3.5", "", "", OURS,
    "This system is not configured as it should be for this address." },
{ RELAY, BIT(STAGE_GREETING), "", "", "", LATER,
    "%h was reached, but did not greet as a mail server does." },
{ RELAY, TALKING, "", "", "", LATER,
    "The talk with %h broke off before it had accepted the message." },
{ RELAY, ANY_STAGE, "", "", "", OURS,
    "This system could not send the message on." },

/* A server's reply: what is surest first. */
{ SERVER, BIT(STAGE_LOGIN), "", "", "", OURS,
    "%h did not accept this system's login." },
{ SERVER, BIT(STAGE_TLS), "", "", "", OURS,
    "%h was asked to protect the talk (TLS), and would not." },
{ SERVER, BIT(STAGE_GREETING), "", "4", "", LATER,
    "%h is not ready for mail at the moment." },
{ SERVER, BIT(STAGE_GREETING), "", "", "", THEIRS,
    "%h refuses to talk to this system." },
{ SERVER, ANY_STAGE, "", "421", "", LATER,
    "%h is not ready for mail at the moment." },
{ SERVER, BIT(STAGE_MAIL) | BIT(STAGE_RCPT), "", "530", "", OURS,
    "%h demands a login before it takes mail from this system." },
{ SERVER, ANY_STAGE, "7.", "", "grey|gray", LATER,
    "%h puts off mail from senders it does not know yet (greylisting)." },
{ SERVER, ANY_STAGE, "2.0", "", "grey|gray", LATER,
    "%h puts off mail from senders it does not know yet (greylisting)." },
{ SERVER, BIT(STAGE_RCPT), "7.1", "", "relay", OURS,
    "%h %r the address: it does not pass mail on to it for this system." },
{ SERVER, BIT(STAGE_RCPT), "7.0", "", "relay", OURS,
    "%h %r the address: it does not pass mail on to it for this system." },
{ SERVER, ANY_STAGE, "7.8", "", "", OURS,
    "%h demands a login before it takes mail from this system." },
{ SERVER, ANY_STAGE, "7.10", "", "", OURS,
    "%h demands that the talk be protected (TLS)." },
{ SERVER, ANY_STAGE, "7.2", "", "", THEIRS,
    "%h %r the address: not everybody may write to this list." },
{ SERVER, ANY_STAGE, "7.", "", "spam|junk|unsolicited|virus|malware|"
    "blacklist|blocklist|block list|blocked|reputation|rbl|dnsbl", THEIRS,
    "%h %r the message: it takes it, or where it comes from, for unwanted"
    " mail." },
{ SERVER, ANY_STAGE, "7.", "", "", THEIRS,
    "%h %r the message: its policy does not permit it." },
{ SERVER, ANY_STAGE, "1.1", "", "", ADDRESS,
    "%h %r the address: it says that there is no such mailbox." },
{ SERVER, ANY_STAGE, "1.2", "", "", ADDRESS,
    "%h %r the address: it says that there is no such domain." },
{ SERVER, ANY_STAGE, "1.6", "", "", ADDRESS,
    "%h %r the address: it says that the mailbox has moved." },
{ SERVER, ANY_STAGE, "1.7", "", "", OURS,
    "%h %r your own address as the sender's." },
{ SERVER, ANY_STAGE, "1.8", "", "", OURS,
    "%h %r your own address as the sender's: it says that its domain takes"
    " no replies." },
{ SERVER, ANY_STAGE, "1.10", "", "", ADDRESS,
    "%h says that the domain %d accepts no mail." },
{ SERVER, ANY_STAGE, "1.", "", "", ADDRESS,
    "%h %r the address." },
{ SERVER, ANY_STAGE, "2.1", "", "", THEIRS,
    "%h %r the message: it says that the mailbox takes no mail." },
{ SERVER, ANY_STAGE, "2.2", "", "", THEIRS,
    "%h %r the message: it says that the mailbox is full." },
{ SERVER, ANY_STAGE, "2.3", "", "", SMALLER,
    "%h %r the message: it is too large for this mailbox." },
{ SERVER, ANY_STAGE, "3.4", "", "", SMALLER,
    "%h %r the message: it is too large." },
{ SERVER, ANY_STAGE, "3.1", "", "", LATER,
    "%h %r the message: its disk is full." },
{ SERVER, ANY_STAGE, "3.2", "", "", LATER,
    "%h takes no mail at the moment." },
{ SERVER, ANY_STAGE, "4.6", "", "", THEIRS,
    "%h %r the message: it says that it goes in a circle." },
{ SERVER, ANY_STAGE, "4.", "", "", LATER,
    "%h %r the message: it has trouble with sending it on." },
{ SERVER, ANY_STAGE, "6.7", "", "", THEIRS,
    "%h does not know addresses that are not all in ASCII." },
{ SERVER, ANY_STAGE, "6.", "", "", THEIRS,
    "%h %r the message: it does not take contents of this kind." },

/* Servers that tell no more than a code. */
{ SERVER, ANY_STAGE, "", "552", "quota|full", THEIRS,
    "%h %r the message: it says that the mailbox is full." },
{ SERVER, ANY_STAGE, "", "552", "", SMALLER,
    "%h %r the message: it, or what the mailbox holds, is too large." },
{ SERVER, ANY_STAGE, "", "", "quota|mailbox full|mailbox is full", THEIRS,
    "%h %r the message: it says that the mailbox is full." },
{ SERVER, BIT(STAGE_RCPT), "0.0", "55", "user unknown|unknown user|no such|"
    "not exist|unknown recipient|recipient unknown", ADDRESS,
    "%h %r the address: it says that there is no such mailbox." },
{ SERVER, BIT(STAGE_RCPT), "0.0", "5", "relay", OURS,
    "%h %r the address: it does not pass mail on to it for this system." },
{ SERVER, ANY_STAGE, "0.0", "5", "spam|junk|blacklist|blocklist|virus",
    THEIRS, "%h %r the message: it takes it, or where it comes from, for"
    " unwanted mail." },
{ SERVER, BIT(STAGE_MAIL), "", "", "", OURS,
    "%h %r your own address as the sender's." },
{ SERVER, BIT(STAGE_RCPT), "", "", "", ADDRESS,
    "%h %r the address." },
{ SERVER, ANY_STAGE, "", "", "", THEIRS,
    "%h %r the message." }
};

static const char *const advices[] = {
	[NOTHING] = "",
	[ADDRESS] = "Check the address, and ask the recipient for the right"
	    " one in another way.",
	[LATER] = "You can send the message again later.",
	[SMALLER] = "You can send a smaller message, or pass the contents on"
	    " in another way.",
	[THEIRS] = "Try to reach the recipient in another way; the operators"
	    " of that server can tell why.",
	[OURS] = "The postmaster of this system can help."
};

static enum judge
judge_of(const struct sentence_facts *facts)
{
	if (!facts->relayed)
		return HERE;
	return facts->replied ? SERVER : RELAY;
}

/* Is one of the words, between bars, in the text? */
static bool
has_word(const char *text, const char *words)
{
	char	 word[32];
	size_t	 length;

	while (*words != '\0') {
		length = strcspn(words, "|");
		if (length < sizeof(word)) {
			memcpy(word, words, length);
			word[length] = '\0';
			if (strcasestr(text, word) != NULL)
				return true;
		}
		words += length;
		words += *words == '|';
	}
	return false;
}

/* "7." is the whole subject, "7.1" one detail, "" all. */
static bool
has_status(const char *status, const char *wanted)
{
	size_t	 length = strlen(wanted);

	if (length == 0)
		return true;
	if (status[0] == '\0' || status[1] != '.' ||
	    strncmp(status + 2, wanted, length) != 0)
		return false;
	return wanted[length - 1] == '.' || status[2 + length] == '\0';
}

static const struct rule *
find_rule(const struct sentence_facts *facts)
{
	const struct rule	*rule;
	size_t			 i;

	for (i = 0; i < sizeof(rules) / sizeof(rules[0]) - 1; i++) {
		rule = &rules[i];
		if (rule->judge == judge_of(facts) && (rule->stages == 0 ||
		    (rule->stages & BIT(facts->stage)) != 0) &&
		    has_status(facts->status, rule->status) &&
		    strncmp(facts->text, rule->code,
		    strlen(rule->code)) == 0 && (rule->words[0] == '\0' ||
		    has_word(facts->text, rule->words)))
			return rule;
	}
	return &rules[i];
}

/* The name in name[address]:port, or the address if it has none. */
static void
print_host(const char *host, char *text, size_t size)
{
	size_t	 length = strcspn(host, "[");

	if (length == 0)
		length = strcspn(host, "]") + (host[0] == '[');
	if (length == 0)
		(void)strlcpy(text, "the mail server for this address", size);
	else
		(void)snprintf(text, size, "%.*s", (int)length, host);
}

static void
put(char *text, size_t size, const char *more)
{
	(void)strlcat(text, more, size);
}

static void
put_sentence(const struct sentence_facts *facts, char *text, size_t size)
{
	const char	*at = find_rule(facts)->sentence, *domain;
	char		 host[HOST_LENGTH], one[2] = "";
	size_t		 start = strlen(text);

	print_host(facts->host, host, sizeof(host));
	domain = strrchr(facts->address, '@');
	for (; *at != '\0'; at++) {
		if (*at != '%') {
			one[0] = *at;
			put(text, size, one);
			continue;
		}
		switch (*++at) {
		case 'h':
			put(text, size, host);
			break;
		case 'd':
			put(text, size, domain != NULL ? domain + 1 : "");
			break;
		default:
			put(text, size, facts->status[0] == '4' ?
			    "did not accept" : "refused");
		}
	}
	if (facts->host[0] == '\0' && start < size)
		text[start] = (char)toupper((unsigned char)text[start]);
}

static void
put_time(char *text, size_t size, int64_t time)
{
	static const struct { int64_t unit; const char *name; } units[] = {
		{ DAY, "day" }, { HOUR, "hour" }, { MINUTE, "minute" },
		{ SECOND, "second" }
	};
	char		 number[48];
	size_t		 i = 0;

	while (i < 3 && time < 2 * units[i].unit && time != units[i].unit)
		i++;
	(void)snprintf(number, sizeof(number), "%lld %s%s",
	    (long long)(time / units[i].unit), units[i].name,
	    time / units[i].unit == 1 ? "" : "s");
	put(text, size, number);
}

/* The sentence, in a text of that size. */
void
sentence_of(const struct sentence_facts *facts, char *text, size_t size)
{
	text[0] = '\0';
	if (facts->given_up) {
		put(text, size, "The operator of this system decided not to"
		    " try any longer.");
		if (facts->text[0] == '\0')
			return;
		put(text, size, " The last attempt ended so: ");
	} else if (facts->expired) {
		put(text, size, "It could not be delivered for ");
		put_time(text, size, facts->waited);
		put(text, size, ". The last attempt ended so: ");
	}
	put_sentence(facts, text, size);
}

/* What the sender can do about a failure. */
const char *
sentence_advice(const struct sentence_facts *facts)
{
	enum advice	 advice = find_rule(facts)->advice;

	if (facts->given_up)
		advice = OURS;
	else if (advice == NOTHING || (facts->expired && advice == LATER))
		advice = THEIRS;
	return advices[advice];
}
