/* links: relay/reply.c relay/body.c relay/command.c relay/transaction.c
 *	relay/hop.c relay/connect.c relay/conversation.c common/dns.c
 *	common/loop.c common/log.c common/clock.c common/netaddr.c
 *	common/target.c common/queueid.c common/conf.c common/conf_keyword.c
 *	common/conf_lex.c common/conf_parse.c common/conf_value.c */
/*
 * relay against scripted servers.  A script is a list of lines: "<text" is
 * what relay must send, ">text" what the server says, "!" closes the
 * connection, "+" accepts the next one, "~" says a digit a second until
 * relay has enough of it.
 */
#include <sys/socket.h>
#include <sys/wait.h>

#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dns.h"
#include "loop.h"
#include "relay/relay.h"

#define ROWS	8

static struct {
	struct child	 child;
	struct w_relay_result_ntf results[ROWS];	/* by row */
	struct w_relay_deliver_ans answer;
	int		 awaited;	/* transactions without answer */
	int		 port;
	int		 listener;
	pid_t		 server;
} test;

/* ---- what relay calls of its other files ---- */

void
tell_relay_result(struct link *link, const struct w_relay_result_ntf *ntf)
{
	(void)link;
	assert_true(ntf->recipient < ROWS);
	assert_int_equal(test.results[ntf->recipient].verdict, 0);
	test.results[ntf->recipient] = *ntf;
}

void
answer_relay_deliver(struct link *link, uint32_t request,
    const struct w_relay_deliver_ans *ans)
{
	(void)link;
	(void)request;
	test.answer = *ans;
	if (--test.awaited == 0)
		loop_stop(0);
}

void
relay_idle(void)
{
}

/* ---- the server ---- */

static void
expect_line(FILE *in, const char *wanted)
{
	char line[4096];

	if (fgets(line, sizeof(line), in) == NULL)
		strlcpy(line, "(end)", sizeof(line));
	line[strcspn(line, "\r\n")] = '\0';
	if (strcmp(line, wanted) != 0) {
		fprintf(stderr, "# server got: %s\n# wanted: %s\n", line,
		    wanted);
		_exit(1);
	}
}

/* Answer without end; -1 if relay bears it. */
static int
trickle(int fd)
{
	int i;

	for (i = 0; i < 16; i++, sleep(1))
		if (send(fd, "2", 1, MSG_NOSIGNAL) == -1)
			return 0;
	return -1;
}

static void
serve(const char *const *script)
{
	FILE *in = NULL;
	int fd = -1;

	alarm(20);
	for (; *script != NULL; script++)
		switch (**script) {
		case '+':
			fd = accept(test.listener, NULL, NULL);
			in = fdopen(dup(fd), "r");
			break;
		case '<':
			expect_line(in, *script + 1);
			break;
		case '>':
			dprintf(fd, "%s\r\n", *script + 1);
			break;
		case '~':
			if (trickle(fd) == -1)
				_exit(1);
			break;
		default:
			fclose(in);
			close(fd);
		}
	_exit(0);
}

static void
start_server(const char *const *script)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t length = sizeof(in);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	test.listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(test.listener, (struct sockaddr *)&in, length),
	    0);
	assert_int_equal(listen(test.listener, 8), 0);
	getsockname(test.listener, (struct sockaddr *)&in, &length);
	test.port = ntohs(in.sin_port);
	fflush(stdout);
	test.server = fork();
	assert_true(test.server != -1);
	if (test.server == 0)
		serve(script);
	close(test.listener);
	test.listener = -1;
	memset(test.results, 0, sizeof(test.results));
	test.awaited = 0;
}

/* What relay still has to say is said. */
static void
end_server(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(test.server, &status, WNOHANG)) == 0) {
		event_base_loop(test.child.base, EVLOOP_NONBLOCK);
		usleep(1000);
	}
	assert_int_equal(pid, test.server);
	assert_int_equal(status, 0);
}

/* ---- transactions ---- */

/* Submit one for rows [first, first + n) to the hop, %d being our port. */
static void
submit(const char *format, uint32_t first, uint32_t n, const char *body)
{
	static char payload[70000];
	struct w_relay_rcpt_ntf rcpt;
	struct w_relay_deliver_req req;
	struct frame frame = { .fd = -1 };
	struct transaction *t = transaction_new(NULL, 1);
	char hop[64];
	uint32_t i;

	for (i = first; i < first + n; i++) {
		memset(&rcpt, 0, sizeof(rcpt));
		rcpt.recipient = i;
		snprintf(rcpt.address, sizeof(rcpt.address), "r%u@y", i);
		transaction_add(t, &rcpt);
	}
	memset(&req, 0, sizeof(req));
	req.id = 7;
	req.size = strlen(body);
	req.recipients = n;
	strlcpy(req.sender, "a@b", sizeof(req.sender));
	strlcpy(payload, body, sizeof(payload));
	frame.tail = payload;
	frame.tail_length = req.size;
	assert_int_equal(transaction_complete(t, &req, &frame), 0);
	snprintf(hop, sizeof(hop), "%.40s%d)", format, test.port);
	test.awaited++;
	hop_submit(format[strlen(format) - 1] == ':' ? hop : format, t);
}

static void
run(void)
{
	loop_run(test.child.base);
}

static void
expect(uint32_t row, enum relay_verdict verdict, const char *status,
    const char *text)
{
	assert_int_equal(test.results[row].verdict, verdict);
	assert_string_equal(test.results[row].status, status);
	assert_non_null(strstr(test.results[row].text, text));
}

/* ---- tests ---- */

static void
reports_each_recipient(void **state)
{
	static const char *const script[] = { "+", ">220 hi", "<EHLO me.test",
	    ">250-srv", ">250 PIPELINING", "<MAIL FROM:<a@b>",
	    "<RCPT TO:<r0@y>", "<RCPT TO:<r1@y>", "<RCPT TO:<r2@y>", "<DATA",
	    ">250 2.1.0 Ok", ">250 2.1.5 Ok", ">550 5.1.1 Unknown",
	    ">451 4.2.2 Full", ">354 Go", "<x", "<..y", "<.",
	    ">250 2.0.0 Queued", NULL };

	(void)state;
	start_server(script);
	submit("relay(127.0.0.1:", 0, 3, "x\r\n.y\r\n");
	run();
	end_server();
	expect(0, RELAY_DONE, "2.0.0", "250 2.0.0 Queued");
	expect(1, RELAY_FAILED, "5.1.1", "550 5.1.1 Unknown");
	expect(2, RELAY_DEFERRED, "4.2.2", "451 4.2.2 Full");
	assert_non_null(strstr(test.answer.host, "127.0.0.1[127.0.0.1]:"));
}

static void
goes_step_by_step_without_pipelining(void **state)
{
	static const char *const script[] = { "+", ">220 hi", "<EHLO me.test",
	    ">502 what", "<HELO me.test", ">250 srv", "<MAIL FROM:<a@b>",
	    ">250 Ok", "<RCPT TO:<r0@y>", ">550 No", "<RCPT TO:<r1@y>",
	    ">250 Ok", "<DATA", ">354 Go", "<x", "<.", ">554 5.7.1 Spam",
	    NULL };

	(void)state;
	start_server(script);
	submit("relay(127.0.0.1:", 0, 2, "x");
	run();
	end_server();
	expect(0, RELAY_FAILED, "5.0.0", "550 No");
	expect(1, RELAY_FAILED, "5.7.1", "554 5.7.1 Spam");
}

static void
gives_up_when_nobody_is_left(void **state)
{
	static const char *const script[] = { "+", ">220 hi", "<EHLO me.test",
	    ">250 srv", "<MAIL FROM:<a@b>", ">250 Ok", "<RCPT TO:<r0@y>",
	    ">450 4.7.1 Greylisted", "<RSET", ">250 Ok",
	    "<MAIL FROM:<a@b>", ">553 5.1.8 Not you", "<RSET", NULL };

	(void)state;
	start_server(script);
	submit("relay(127.0.0.1:", 0, 1, "x");
	submit("relay(127.0.0.1:", 1, 1, "x");
	run();
	end_server();
	expect(0, RELAY_DEFERRED, "4.7.1", "450 4.7.1 Greylisted");
	expect(1, RELAY_FAILED, "5.1.8", "553 5.1.8 Not you");
}

static void
sends_only_the_dot_for_nobody(void **state)
{
	static const char *const script[] = { "+", ">220 hi", "<EHLO me.test",
	    ">250-srv", ">250 PIPELINING", "<MAIL FROM:<a@b>",
	    "<RCPT TO:<r0@y>", "<DATA", ">250 Ok", ">550 No", ">354 Go",
	    "<.", ">554 No recipients", NULL };

	(void)state;
	start_server(script);
	submit("relay(127.0.0.1:", 0, 1, "x");
	run();
	end_server();
	expect(0, RELAY_FAILED, "5.0.0", "550 No");
}

static void
never_takes_an_odd_reply_to_data_for_success(void **state)
{
	static const char *const script[] = { "+", ">220 hi", "<EHLO me.test",
	    ">250 srv", "<MAIL FROM:<a@b>", ">250 Ok", "<RCPT TO:<r0@y>",
	    ">250 Ok", "<DATA", ">250 Ok", "<RSET", NULL };

	(void)state;
	start_server(script);
	submit("relay(127.0.0.1:", 0, 1, "x");
	run();
	end_server();
	expect(0, RELAY_DEFERRED, "4.3.0", "250 Ok");
}

static void
defers_when_the_connection_is_lost(void **state)
{
	static const char *const script[] = { "+", ">220 hi", "<EHLO me.test",
	    ">250 srv", "<MAIL FROM:<a@b>", ">250 Ok", "<RCPT TO:<r0@y>",
	    ">250 Ok", "<DATA", ">354 Go", "<x", "<.", "!", NULL };

	(void)state;
	start_server(script);
	submit("relay(127.0.0.1:", 0, 1, "x");
	run();
	end_server();
	expect(0, RELAY_DEFERRED, "4.4.2", "closed the connection");
}

static void
reuses_a_connection_and_replaces_a_dead_one(void **state)
{
	static const char *const script[] = { "+", ">220 hi", "<EHLO me.test",
	    ">250-srv", ">250 PIPELINING", "<MAIL FROM:<a@b>",
	    "<RCPT TO:<r0@y>", "<DATA", ">250 Ok", ">250 Ok", ">354 Go",
	    "<x", "<.", ">250 2.0.0 One", "<MAIL FROM:<a@b>",
	    "<RCPT TO:<r1@y>", "<DATA", ">421 4.4.2 Too slow", "!", "+",
	    ">220 hi", "<EHLO me.test", ">250 srv", "<MAIL FROM:<a@b>",
	    ">250 Ok", "<RCPT TO:<r1@y>", ">250 Ok", "<DATA", ">354 Go",
	    "<x", "<.", ">250 2.0.0 Two", NULL };

	(void)state;
	start_server(script);
	submit("relay(127.0.0.1:", 0, 1, "x");
	run();
	expect(0, RELAY_DONE, "2.0.0", "One");
	submit("relay(127.0.0.1:", 1, 1, "x");
	run();
	end_server();
	expect(1, RELAY_DONE, "2.0.0", "Two");
}

static void
tries_the_next_host(void **state)
{
	static const char *const script[] = { "+", ">554 go away", "!", "+",
	    ">220 hi", "<EHLO me.test", ">250 srv", "<MAIL FROM:<a@b>",
	    ">250 Ok", "<RCPT TO:<r0@y>", ">250 Ok", "<DATA", ">354 Go",
	    "<x", "<.", ">250 2.0.0 Two", NULL };
	char hop[128];

	(void)state;
	start_server(script);
	snprintf(hop, sizeof(hop),
	    "relay(127.0.0.1:1, 127.0.0.1:%d, 127.0.0.1:%d)", test.port,
	    test.port);
	submit(hop, 0, 1, "x");
	run();
	end_server();
	expect(0, RELAY_DONE, "2.0.0", "250 2.0.0 Two");
}

static void
says_why_it_cannot_reach(void **state)
{
	static const char *const none[] = { NULL };

	(void)state;
	start_server(none);
	submit("relay(127.0.0.1:1)", 0, 1, "x");
	submit("relay(127.0.0.1:1)", 1, 1, "x");
	run();
	expect(0, RELAY_DEFERRED, "4.4.1", "connect to "
	    "127.0.0.1[127.0.0.1]:1: Connection refused");
	expect(1, RELAY_DEFERRED, "4.4.1", "Connection refused");
	assert_true(test.answer.closed_until > 0);
	submit("relay()", 2, 1, "x");
	submit("nowhere", 3, 1, "x");
	expect(2, RELAY_DEFERRED, "4.3.5", "it names no host");
	expect(3, RELAY_DEFERRED, "4.3.5", "no such [relay]");
	end_server();
}

static void
softens_a_greeting(void **state)
{
	static const char *const script[] = { "+", ">554 5.7.1 go away",
	    NULL };

	(void)state;
	start_server(script);
	submit("relay(127.0.0.1:", 0, 1, "x");
	run();
	end_server();
	expect(0, RELAY_DEFERRED, "4.3.0", "554 5.7.1 go away");
}

static void
keeps_to_the_size_limit(void **state)
{
	static const char *const script[] = { "+", ">220 hi", "<EHLO me.test",
	    ">250-srv", ">250 SIZE 5", NULL };

	(void)state;
	start_server(script);
	submit("relay(127.0.0.1:", 0, 1, "123456");
	run();
	end_server();
	expect(0, RELAY_FAILED, "5.3.4", "larger than");
}

static void
speaks_lmtp(void **state)
{
	static const char *const script[] = { "+", ">220 hi", "<LHLO me.test",
	    ">250-srv", ">250 PIPELINING", "<MAIL FROM:<a@b>",
	    "<RCPT TO:<r0@y>", "<RCPT TO:<r1@y>", "<RCPT TO:<r2@y>",
	    "<RCPT TO:<r3@y>", "<DATA", ">250 Ok", ">250 Ok", ">550 No",
	    ">250 Ok", ">250 Ok", ">354 Go", "<x", "<.", ">250 2.0.0 In",
	    ">552 5.2.2 Full", "!", NULL };

	(void)state;
	start_server(script);
	submit("lmtp(127.0.0.1:", 0, 4, "x");
	run();
	end_server();
	expect(0, RELAY_DONE, "2.0.0", "In");
	expect(1, RELAY_FAILED, "5.0.0", "550 No");
	expect(2, RELAY_FAILED, "5.2.2", "Full");
	expect(3, RELAY_DEFERRED, "4.5.0", "closed the connection");
}

static void
survives_what_is_no_smtp(void **state)
{
	static const char *const script[] = { "+", "> hello there", NULL };

	(void)state;
	start_server(script);
	submit("relay(127.0.0.1:", 0, 1, "x");
	run();
	end_server();
	expect(0, RELAY_DEFERRED, "4.4.2", "sent what is no reply");
}

static void
hears_no_answer_before_it_asks(void **state)
{
	static const char *const greeting[] = { "+", ">220 hi",
	    "<EHLO me.test", ">250 srv\r\n250 Ok", NULL };
	static const char *const dot[] = { "+", ">220 hi", "<EHLO me.test",
	    ">250 srv", "<MAIL FROM:<a@b>", ">250 Ok", "<RCPT TO:<r0@y>",
	    ">250 Ok", "<DATA", ">354 Go", "<x", "<.",
	    ">250 2.0.0 One\r\n250 Ok", "+", ">220 hi", "<EHLO me.test",
	    ">250 srv", "<MAIL FROM:<a@b>", ">250 Ok", "<RCPT TO:<r1@y>",
	    ">250 Ok", "<DATA", ">354 Go", "<x", "<.", ">250 2.0.0 Two",
	    NULL };

	(void)state;
	start_server(greeting);
	submit("relay(127.0.0.1:", 0, 1, "x");
	run();
	end_server();
	expect(0, RELAY_DEFERRED, "4.4.2", "said more than it was asked");
	start_server(dot);
	submit("relay(127.0.0.1:", 0, 1, "x");
	run();
	expect(0, RELAY_DONE, "2.0.0", "One");
	submit("relay(127.0.0.1:", 1, 1, "x");
	run();
	end_server();
	expect(1, RELAY_DONE, "2.0.0", "Two");
}

static void
waits_for_a_whole_reply_only_so_long(void **state)
{
	static const char *const script[] = { "+", ">220 hi", "<EHLO me.test",
	    ">250 srv", "<MAIL FROM:<a@b>", ">250 Ok", "<RCPT TO:<r0@y>",
	    ">250 Ok", "<DATA", ">354 Go", "<x", "<.", ">250 2.0.0 One",
	    "<QUIT", "~", NULL };

	(void)state;
	start_server(script);
	submit("relay(127.0.0.1:", 0, 1, "x");
	run();
	expect(0, RELAY_DONE, "2.0.0", "One");
	hop_end();
	end_server();
}

static int
setup(void **state)
{
	static const char text[] = "[core]\n";

	(void)state;
	test.child.base = loop_new();
	test.child.hostname = "me.test";
	test.child.conf = conf_parse("test", text, sizeof(text) - 1, NULL);
	dns_open(test.child.base);
	hop_configure(&test.child);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reports_each_recipient),
		cmocka_unit_test(goes_step_by_step_without_pipelining),
		cmocka_unit_test(gives_up_when_nobody_is_left),
		cmocka_unit_test(sends_only_the_dot_for_nobody),
		cmocka_unit_test(never_takes_an_odd_reply_to_data_for_success),
		cmocka_unit_test(defers_when_the_connection_is_lost),
		cmocka_unit_test(reuses_a_connection_and_replaces_a_dead_one),
		cmocka_unit_test(tries_the_next_host),
		cmocka_unit_test(says_why_it_cannot_reach),
		cmocka_unit_test(softens_a_greeting),
		cmocka_unit_test(keeps_to_the_size_limit),
		cmocka_unit_test(speaks_lmtp),
		cmocka_unit_test(survives_what_is_no_smtp),
		cmocka_unit_test(hears_no_answer_before_it_asks),
		cmocka_unit_test(waits_for_a_whole_reply_only_so_long)
	};

	alarm(60);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, NULL);
}
