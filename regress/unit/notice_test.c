/* links: spoold/notice.c common/log.c common/queueid.c common/clock.c */
/*
 * Who is told of what: which ends call for a report, to whom it goes, what it
 * says of whom, and what it is itself.  Its text is not made here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clock.h"
#include "spoold/spoold.h"

#define ENDS	4

static struct {
	struct settings	 settings;
	struct message	 about;
	struct recipient recipients[ENDS];
	struct ending	 endings[ENDS];
	size_t		 count;
	struct endings	 list;
	/* What was made of them. */
	struct bounce_report report;
	struct bounce_item items[ENDS];
	struct message	 message;
	struct recipient recipient;
	char		 to[64];
} test;

/* ---- what is around ---- */

const struct settings *
settings(void)
{
	return &test.settings;
}

char *
bounce_compose(const struct bounce_report *report, size_t *length)
{
	test.report = *report;
	assert_true(report->count <= ENDS);
	memcpy(test.items, report->items,
	    report->count * sizeof(*report->items));
	*length = 4;
	return strdup("text");
}

/* The original says so by its first octet. */
bool
bounce_is_automatic(const char *header, size_t length)
{
	return length > 0 && *header == 'A';
}

const char *
expansion_action(const struct expansion *expansion,
    const struct recipient *recipient)
{
	(void)expansion;
	(void)recipient;
	return "expanded";
}

uint64_t
lease_own(void)
{
	return 77;
}

bool
limits_is_lmtp(const char *hop)
{
	return strncmp(hop, "lmtp(", 5) == 0;
}

const char *
message_body(struct message *message)
{
	return message->body;
}

struct message *
message_new(uint64_t id)
{
	memset(&test.message, 0, sizeof(test.message));
	test.message.id = id;
	return &test.message;
}

int
message_open_body(const struct message *message)
{
	(void)message;
	return -1;
}

void
message_take_body(struct message *message, char *body)
{
	assert_string_equal(body, "text");
	assert_int_equal(message->size, 4);
	free(body);
}

struct recipient *
recipient_new(struct message *message, uint32_t row, const char *address)
{
	assert_ptr_equal(message, &test.message);
	assert_int_equal(row, 1);
	memset(&test.recipient, 0, sizeof(test.recipient));
	(void)strlcpy(test.to, address, sizeof(test.to));
	return &test.recipient;
}

const char *
recipient_sender(const struct recipient *recipient)
{
	return recipient->sender != NULL ? recipient->sender :
	    recipient->message->sender;
}

/* ---- the ends ---- */

static char	empty[] = "", body[] = "body", hop[] = "relay(x)";
static char	joe[] = "joe@a.test", owner[] = "owner@b.test";
static char	envid[] = "envid";
static struct route relayed = { .kind = ROUTE_RELAY, .text = hop };

static int
begin(void **state)
{
	(void)state;
	memset(&test, 0, sizeof(test));
	TAILQ_INIT(&test.list);
	test.settings.expire = 5 * DAY;
	test.about.id = 5;
	test.about.sender = joe;
	test.about.envid = envid;
	test.about.body = body;
	test.about.size = 4;
	test.about.arrival = clock_now() - HOUR;
	test.about.client.standing = STANDING_STRANGER;
	strcpy(test.about.client.helo, "client.test");
	return 0;
}

static struct ending *
add(enum ending_kind kind, uint32_t notify)
{
	struct recipient *recipient = &test.recipients[test.count];
	struct ending	*ending = &test.endings[test.count++];

	recipient->message = &test.about;
	recipient->notify = notify;
	recipient->address = recipient->target = recipient->original =
	    recipient->orcpt = empty;
	if (kind == ENDING_RELAYED)
		recipient->route = &relayed;
	ending->recipient = recipient;
	ending->kind = kind;
	ending->text = ending->where = ending->tls = empty;
	strcpy(ending->status, kind == ENDING_FAILED ? "5.0.0" : "2.0.0");
	TAILQ_INSERT_TAIL(&test.list, ending, entry);
	return ending;
}

/* To whom the report of that kind goes; NULL if there is none. */
static const char *
told(enum report_kind kind)
{
	struct message	*message = notice_make(&test.about, &test.list, kind);

	if (message == NULL)
		return NULL;
	assert_ptr_equal(message, &test.message);
	assert_int_equal(message->id, 77);
	assert_int_equal(test.report.kind, kind);
	assert_int_equal(test.report.about, 5);
	/* No report is about a report, whatever befalls it. */
	assert_string_equal(message->sender, "");
	assert_int_equal(test.recipient.notify, NOTIFY_NEVER);
	free(message->sender);
	free(message->envid);
	return test.to;
}

/* ---- tests ---- */

static void
a_failure_is_told_unless_unwanted(void **state)
{
	(void)state;
	add(ENDING_FAILED, 0);
	add(ENDING_FAILED, NOTIFY_NEVER);
	add(ENDING_FAILED, NOTIFY_SUCCESS | NOTIFY_DELAY);
	add(ENDING_DELIVERED, NOTIFY_FAILURE);
	assert_string_equal(told(REPORT_FAILED), joe);
	assert_int_equal(test.report.count, 1);
	assert_string_equal(test.items[0].action, "failed");
	assert_int_equal(test.message.kind, MESSAGE_BOUNCE);
	assert_string_equal(test.report.envid, envid);
	assert_string_equal(test.report.from_mta, "client.test");
	assert_false(test.report.whole);
	test.about.ret = RET_FULL;
	assert_string_equal(told(REPORT_FAILED), joe);
	assert_true(test.report.whole);
}

static void
nobody_is_told_who_wants_nothing(void **state)
{
	(void)state;
	add(ENDING_FAILED, NOTIFY_NEVER);
	assert_null(told(REPORT_FAILED));
	assert_null(told(REPORT_SUCCESS));
	assert_null(told(REPORT_DELAYED));
}

/* Of several in one transaction some have asked, and some have not. */
static void
success_is_told_if_asked_for(void **state)
{
	(void)state;
	add(ENDING_RELAYED, 0);
	add(ENDING_RELAYED, NOTIFY_SUCCESS);
	add(ENDING_RELAYED, NOTIFY_FAILURE);
	add(ENDING_RELAYED, NOTIFY_SUCCESS)->dsn = true;
	assert_string_equal(told(REPORT_SUCCESS), joe);
	assert_int_equal(test.report.count, 1);
	assert_string_equal(test.items[0].action, "relayed");
	assert_int_equal(test.message.kind, MESSAGE_NOTICE);
	test.about.ret = RET_FULL;
	assert_string_equal(told(REPORT_SUCCESS), joe);
	assert_false(test.report.whole);
}

static void
a_delay_is_not_told_to_machines(void **state)
{
	static char	 automatic[] = "Auto";

	(void)state;
	add(ENDING_DEFERRED, 0)->warn = true;
	add(ENDING_DEFERRED, NOTIFY_FAILURE)->warn = true;
	add(ENDING_DEFERRED, 0);
	assert_string_equal(told(REPORT_DELAYED), joe);
	assert_int_equal(test.report.count, 1);
	assert_string_equal(test.items[0].action, "delayed");
	assert_int_equal(test.items[0].until, test.about.arrival + 5 * DAY);
	test.about.body = automatic;
	assert_null(told(REPORT_DELAYED));
	add(ENDING_FAILED, 0);
	assert_string_equal(told(REPORT_FAILED), joe);
}

/* Failures of what nobody has sent go where the configuration says, once. */
static void
a_double_bounce_goes_no_further(void **state)
{
	(void)state;
	test.about.sender = empty;
	test.about.kind = MESSAGE_BOUNCE;
	add(ENDING_FAILED, 0);
	assert_null(told(REPORT_FAILED));
	strcpy(test.settings.bounce_to, "keeper@a.test");
	assert_string_equal(told(REPORT_FAILED), "keeper@a.test");
	assert_int_equal(test.message.kind, MESSAGE_NOTICE);
	test.about.kind = MESSAGE_NOTICE;
	assert_null(told(REPORT_FAILED));
	test.about.kind = MESSAGE_MAIL;
	assert_null(told(REPORT_SUCCESS));
	assert_null(told(REPORT_DELAYED));
}

/* The owner of a list has not sent what he is told of. */
static void
an_owner_is_told_without_the_senders_words(void **state)
{
	(void)state;
	add(ENDING_FAILED, NOTIFY_FAILURE)->recipient->sender = owner;
	assert_string_equal(told(REPORT_FAILED), owner);
	assert_string_equal(test.report.envid, "");
}

static void
no_server_sent_what_is_of_this_machine(void **state)
{
	(void)state;
	add(ENDING_FAILED, 0);
	test.about.client.standing = STANDING_LOCAL;
	assert_string_equal(told(REPORT_FAILED), joe);
	assert_string_equal(test.report.from_mta, "");
}

#define TEST(name)	cmocka_unit_test_setup(name, begin)

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		TEST(a_failure_is_told_unless_unwanted),
		TEST(nobody_is_told_who_wants_nothing),
		TEST(success_is_told_if_asked_for),
		TEST(a_delay_is_not_told_to_machines),
		TEST(a_double_bounce_goes_no_further),
		TEST(an_owner_is_told_without_the_senders_words),
		TEST(no_server_sent_what_is_of_this_machine)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
