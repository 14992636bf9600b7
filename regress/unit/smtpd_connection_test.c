/* links: smtpd/connection.c smtpd/listener.c smtpd/buffer.c common/loop.c
 * common/netaddr.c common/log.c common/clock.c common/queueid.c */
/*
 * A client's connection and a listener while the kernel lacks memory to watch
 * them: the one ends, the other waits a moment.  The session above is played.
 */
#include <sys/socket.h>

#include <arpa/inet.h>
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "log.h"
#include "loop.h"
#include "smtpd/smtpd.h"
#include "unwatched.h"

static struct {
	struct child	 child;
	struct settings	 settings;
	struct session	 session;
	int		 client;	/* its end of the connection */
	int		 freed;
	int		 accepted;
} test;

/* ---- what is above and beside ---- */

void
session_free(struct session *session)
{
	assert_ptr_equal(session, &test.session);
	test.freed++;
	event_free(session->readable);
	event_free(session->writable);
	event_free(session->timer);
	buffer_free(&session->input);
	buffer_free(&session->output);
	close(session->fd);
}

void
session_reply(struct session *session, enum reply reply, const char *text)
{
	(void)session;
	(void)reply;
	(void)text;
}

void
session_hang_up(struct session *session, enum reply reply, const char *text)
{
	(void)reply;
	(void)text;
	session->state = SESSION_CLOSING;
}

void
session_greet(struct session *session)
{
	(void)session;
}

void
session_new(struct listener *listener, int fd, const struct netaddr *address,
    uint16_t port)
{
	(void)listener;
	(void)address;
	(void)port;
	close(fd);
	test.accepted++;
	loop_stop(0);
}

const struct settings *
settings_of(const char *name)
{
	assert_string_equal(name, "x");
	return &test.settings;
}

void
command_line(struct session *session, char *line, size_t length)
{
	(void)line;
	(void)length;
	buffer_append(&session->output, "250 Ok\r\n", 8);
	loop_stop(0);
}

size_t
data_input(struct session *session, const char *in, size_t length)
{
	(void)session;
	(void)in;
	return length;
}

bool
transaction_roomy(void)
{
	return true;
}

bool
transaction_blocked(const struct transaction *txn)
{
	(void)txn;
	return false;
}

void
transaction_give_up(struct transaction *txn)
{
	(void)txn;
}

/* ---- a session ---- */

static void
begin(enum session_state state)
{
	struct session *session = &test.session;
	int ends[2];

	memset(session, 0, sizeof(*session));
	test.freed = 0;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    ends), 0);
	test.client = ends[1];
	session->fd = ends[0];
	session->state = state;
	session->settings = &test.settings;
	session_listen(session, test.child.base);
}

static void
expect_end(void)
{
	char c;

	assert_int_equal(unwatched, 0);
	assert_int_equal(test.freed, 1);
	assert_int_equal(read(test.client, &c, 1), 0);
	close(test.client);
}

/* For its commands, for its last words, and for room to answer. */
static void
ends_what_cannot_be_watched(void **state)
{
	static char much[1 << 20];

	(void)state;
	begin(SESSION_CONNECTED);
	unwatched = 1;
	session_run(&test.session);
	expect_end();

	begin(SESSION_CLOSING);
	unwatched = 1;
	session_run(&test.session);
	expect_end();

	begin(SESSION_CONNECTED);
	buffer_append(&test.session.output, much, sizeof(much));
	unwatched = 1;
	session_run(&test.session);
	assert_int_equal(unwatched, 0);
	assert_int_equal(test.freed, 1);
	close(test.client);
}

static void
goes_on_where_it_can(void **state)
{
	char reply[16];

	(void)state;
	begin(SESSION_CONNECTED);
	session_run(&test.session);
	assert_int_equal(write(test.client, "NOOP\r\n", 6), 6);
	(void)loop_run(test.child.base);
	assert_int_equal(test.freed, 0);
	assert_int_equal(read(test.client, reply, sizeof(reply)), 8);
	session_free(&test.session);
	close(test.client);
}

/* A listener that had to pause begins again when there is memory. */
static void
listens_again(void **state)
{
	struct w_start_listener_ntf ntf;
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t length = sizeof(sin);
	int fd, client;

	(void)state;
	memset(&ntf, 0, sizeof(ntf));
	(void)strlcpy(ntf.name, "x", sizeof(ntf.name));
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &length),
	    0);
	unwatched = 2;
	listener_add(&test.child, fd, &ntf);
	assert_int_equal(unwatched, 1);
	client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&sin,
	    sizeof(sin)), 0);
	(void)loop_run(test.child.base);
	assert_int_equal(unwatched, 0);
	assert_int_equal(test.accepted, 1);
	close(client);
	listeners_close();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends_what_cannot_be_watched),
		cmocka_unit_test(goes_on_where_it_can),
		cmocka_unit_test(listens_again)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	log_start("smtpd_connection_test", false);
	test.child.base = loop_new();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
