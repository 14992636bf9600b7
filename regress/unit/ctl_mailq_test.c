/* links: ctl/mailq.c ctl/record.c ctl/json.c common/queueid.c common/clock.c */
/*
 * A page of the queue, shown only if it is whole: a queue manager that goes
 * wrong has nobody read beyond what it sent; and that a slow reader of ours
 * is no reason to lose it.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl/ctl.h"

static struct {
	struct w_ctl_list_ans	 answer;
	struct {
		struct w_ctl_message	 message;
		struct w_ctl_recipient	 recipients[2];
	} tail;
	size_t			 length;
} page;

static struct {
	time_t	 now;
	int	 reading;	/* seconds that our reader takes for a page */
	int	 pages;		/* still to come */
	int	 opened, closed;
} play;

/* ---- what mailq uses, played ---- */

int
control_open(const struct place *place, struct control *control)
{
	(void)place;
	(void)control;
	play.opened++;
	return EX_OK;
}

void
control_close(struct control *control)
{
	(void)control;
	play.closed++;
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	(void)clock;
	*now = (struct timespec){ .tv_sec = play.now };
	return 0;
}

int
ask_ctl_list(struct control *control, const struct w_ctl_list_req *question,
    struct frame *answer)
{
	(void)control;
	(void)question;
	page.answer.next = play.pages > 0 ? (uint64_t)play.pages-- : 0;
	answer->payload = &page.answer;
	answer->tail = &page.tail;
	answer->tail_length = page.length;
	return EX_OK;
}

int
options_take(int argc, char **argv, struct options *options)
{
	(void)argc;
	(void)argv;
	(void)options;
	return 0;
}

void
place_find(const char *path, struct place *place)
{
	(void)path;
	(void)place;
}

int
runq_run(const struct place *place, const struct options *options,
    char **words)
{
	(void)place;
	(void)options;
	(void)words;
	return EX_OK;
}

/* ---- the tests ---- */

static unsigned int	shown;

static void
count(const struct w_ctl_message *message,
    const struct w_ctl_recipient *recipients, bool first, void *unused)
{
	(void)message;
	(void)recipients;
	(void)first;
	(void)unused;
	shown++;
	play.now += play.reading;
}

static int
list(void)
{
	static const struct place	place;
	struct w_ctl_list_ans		last;

	shown = 0;
	return list_each(&place, NULL, count, NULL, &last);
}

static void
set_page(void)
{
	memset(&page, 0, sizeof(page));
	page.answer.count = 1;
	page.tail.message.recipients = 2;
	page.length = sizeof(page.tail);
}

static void
a_whole_page_is_shown(void **state)
{
	(void)state;
	set_page();
	assert_int_equal(list(), EX_OK);
	assert_int_equal(shown, 1);
}

static void
a_short_one_is_not(void **state)
{
	(void)state;
	set_page();
	page.length--;
	assert_int_equal(list(), EX_PROTOCOL);
	page.length = sizeof(page.tail.message) - 1;
	assert_int_equal(list(), EX_PROTOCOL);
	assert_int_equal(shown, 0);
}

/* Each text in turn goes on to the end of its array. */
static void
texts_without_an_end_are_not(void **state)
{
	struct w_ctl_recipient	*last = &page.tail.recipients[1];

	(void)state;
	set_page();
	memset(page.tail.message.sender, 'x',
	    sizeof(page.tail.message.sender));
	assert_int_equal(list(), EX_PROTOCOL);
	set_page();
	memset(last->address, 'x', sizeof(last->address));
	assert_int_equal(list(), EX_PROTOCOL);
	set_page();
	memset(last->reason, 'x', sizeof(last->reason));
	assert_int_equal(list(), EX_PROTOCOL);
	assert_int_equal(shown, 0);
}

/* What a listing prints; to be freed. */
static char *
printed(enum list_style style)
{
	static const struct place	 place;
	FILE				*file = tmpfile();
	char				*text = calloc(1, 4096);
	int				 saved;

	assert_true(file != NULL && text != NULL);
	fflush(stdout);
	saved = dup(STDOUT_FILENO);
	assert_int_not_equal(dup2(fileno(file), STDOUT_FILENO), -1);
	assert_int_equal(mailq_list(&place, NULL, style), EX_OK);
	fflush(stdout);
	assert_int_not_equal(dup2(saved, STDOUT_FILENO), -1);
	close(saved);
	rewind(file);
	text[fread(text, 1, 4095, file)] = '\0';
	fclose(file);
	return text;
}

static void
expect(enum list_style style, const char *wanted)
{
	char	*text = printed(style);

	assert_string_equal(text, wanted);
	free(text);
}

static void
set_queue(void)
{
	set_page();
	page.answer.messages = 1;
	page.answer.octets = 1025;
	page.tail.message.id = 1;
	page.tail.message.arrival = INT64_C(1700000000) * 1000000;
	page.tail.message.size = 1025;
	page.tail.message.visible = true;
	page.tail.message.held = true;
	strcpy(page.tail.recipients[0].address, "one@x");
	strcpy(page.tail.recipients[0].reason, "go away");
	strcpy(page.tail.recipients[1].address, "two@x");
	strcpy(page.tail.recipients[1].reason, "go away");
	page.tail.recipients[0].state = page.tail.recipients[1].state =
	    CTL_HELD;
}

#define HEAD	"----Queue ID----- --Size-- ---Arrival Time---- " \
	"--Sender/Recipient------\n"
#define LINE	"0000000000001!        1025 Tue Nov 14 22:13:20 "
#define BLANKS	"                                               "

/* Column by column, as programs that read it know it from elsewhere. */
static void
columns_are_where_they_always_were(void **state)
{
	(void)state;
	set_queue();
	expect(LIST_MAILQ, HEAD LINE "MAILER-DAEMON\n"
	    BLANKS "                      (go away)\n"
	    BLANKS "one@x\n" BLANKS "two@x\n\n"
	    "-- 2 Kbytes in 1 Request.\n");
	strcpy(page.tail.message.sender, "a@b");
	page.answer.messages = 2;
	page.answer.octets = 2048;
	strcpy(page.tail.recipients[0].reason, "");
	strcpy(page.tail.recipients[1].reason, "");
	expect(LIST_MAILQ, HEAD LINE "a@b\n"
	    BLANKS "one@x\n" BLANKS "two@x\n\n"
	    "-- 2 Kbytes in 2 Requests.\n");
}

/* Others' addresses are not shown, in whichever form. */
static void
addresses_are_not_for_everybody(void **state)
{
	(void)state;
	set_queue();
	strcpy(page.tail.message.sender, "a@b");
	page.tail.message.visible = false;
	expect(LIST_MAILQ, HEAD LINE "-\n\n-- 2 Kbytes in 1 Request.\n");
	expect(LIST_JSON, "{\"queue_name\": \"hold\", \"queue_id\": "
	    "\"0000000000001\", \"arrival_time\": 1700000000, "
	    "\"message_size\": 1025}\n");
}

static void
a_slow_reader_has_a_new_connection(void **state)
{
	(void)state;
	set_page();
	play.now = 1000;
	play.reading = 14;
	play.pages = 2;
	play.opened = play.closed = 0;
	assert_int_equal(list(), EX_OK);
	assert_int_equal(shown, 3);
	assert_int_equal(play.opened, 1);
	play.reading = 16;
	play.pages = 2;
	assert_int_equal(list(), EX_OK);
	assert_int_equal(shown, 3);
	assert_int_equal(play.opened, 4);
	assert_int_equal(play.closed, 4);
	play.reading = 0;
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_slow_reader_has_a_new_connection),
		cmocka_unit_test(a_whole_page_is_shown),
		cmocka_unit_test(a_short_one_is_not),
		cmocka_unit_test(texts_without_an_end_are_not),
		cmocka_unit_test(columns_are_where_they_always_were),
		cmocka_unit_test(addresses_are_not_for_everybody),
	};

	setenv("TZ", "UTC", 1);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
