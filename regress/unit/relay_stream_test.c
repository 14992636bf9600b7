/* links: relay/stream.c common/tls.c common/tls_proof.c common/tls_session.c
 *	common/loop.c common/log.c common/clock.c common/queueid.c */
/*
 * relay's stream over real sockets, in clear and by TLS: what comes in is
 * told and bounded, what goes out goes out, and time limits hold.  The server
 * is the other end, in this process.
 */
#include <sys/mman.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "loop.h"
#include "relay/relay.h"

static struct {
	struct event_base *base;
	SSL_CTX		*context;	/* of the server */
	struct stream	*stream;
	int		 fd;		/* the server's */
	int		 near;		/* the stream's */
	SSL		*ssl;
	bool		 inside;	/* a stream_...() function */
	int		 inputs;
	int		 outputs;
	int		 secured;
	int		 timeouts;
	char		 lost[256];
	bool		 by_tls;
	bool		 drains;	/* input is taken */
	char		 heard[65536];
	size_t		 length;
	size_t		 fill;		/* octets still to be written */
	size_t		 most;		/* that ever waited */
} test;

/* ---- what the stream tells ---- */

static void
on_input(void *arg)
{
	struct evbuffer *in = stream_in(test.stream);

	assert_ptr_equal(arg, &test);
	assert_false(test.inside);
	test.inputs++;
	if (test.drains)
		test.length += (size_t)evbuffer_remove(in, test.heard +
		    test.length, sizeof(test.heard) - test.length);
}

/* As a body is sent: a piece when little waits. */
static void
fill(void)
{
	static char piece[32768];
	struct evbuffer *out = stream_out(test.stream);
	size_t n;

	while (test.fill > 0 && evbuffer_get_length(out) < STREAM_LOW) {
		n = test.fill < sizeof(piece) ? test.fill : sizeof(piece);
		evbuffer_add(out, piece, n);
		test.fill -= n;
	}
	if (evbuffer_get_length(out) > test.most)
		test.most = evbuffer_get_length(out);
	test.inside = true;
	stream_wait(test.stream, 10 * SECOND);
	test.inside = false;
}

static void
on_output(void *arg)
{
	(void)arg;
	assert_false(test.inside);
	test.outputs++;
	fill();
}

static void
on_secured(void *arg)
{
	(void)arg;
	assert_false(test.inside);
	test.secured++;
}

static void
on_lost(const char *why, bool by_tls, void *arg)
{
	(void)arg;
	assert_false(test.inside);
	assert_string_equal(test.lost, "");
	strlcpy(test.lost, why, sizeof(test.lost));
	test.by_tls = by_tls;
}

static void
on_timeout(void *arg)
{
	(void)arg;
	assert_false(test.inside);
	test.timeouts++;
}

static const struct stream_ops ops = {
	.input = on_input,
	.output = on_output,
	.secured = on_secured,
	.lost = on_lost,
	.timeout = on_timeout
};

/* ---- both ends ---- */

/* Between two sockets of TCP, so that one can reset. */
static void
make_pair(int fds[2])
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t length = sizeof(in);
	int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *)&in, length), 0);
	assert_int_equal(listen(listener, 1), 0);
	getsockname(listener, (struct sockaddr *)&in, &length);
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fds[0], (struct sockaddr *)&in, length), 0);
	fds[1] = accept(listener, NULL, NULL);
	assert_true(fds[1] != -1);
	setsockopt(fds[1], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	close(listener);
}

static void
begin(bool tcp)
{
	struct event_base *base = test.base;
	SSL_CTX *context = test.context;
	int fds[2];

	memset(&test, 0, sizeof(test));
	test.base = base;
	test.context = context;
	test.drains = true;
	if (tcp)
		make_pair(fds);
	else
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	test.fd = fds[1];
	test.near = fds[0];
	test.stream = stream_new(base, fds[0], &ops, &test);
}

static void
finish(void)
{
	stream_free(test.stream);
	SSL_free(test.ssl);
	if (test.fd != -1)
		close(test.fd);
	/* Nothing of it is left in the loop. */
	event_base_loop(test.base, EVLOOP_NONBLOCK);
	assert_int_equal(event_base_get_num_events(test.base,
	    EVENT_BASE_COUNT_ADDED), 0);
}

static void
wait_for(int64_t patience)
{
	test.inside = true;
	stream_wait(test.stream, patience);
	test.inside = false;
}

static void
turn(void)
{
	event_base_loop(test.base, EVLOOP_NONBLOCK);
}

static void
say(const char *text)
{
	assert_int_equal(write(test.fd, text, strlen(text)), strlen(text));
}

static void
send_text(const char *text)
{
	evbuffer_add(stream_out(test.stream), text, strlen(text));
}

/* Turn until all has been said that there is to say. */
static void
settle(void)
{
	int i;

	for (i = 0; i < 20; i++) {
		turn();
		usleep(500);
	}
}

/* ---- in clear ---- */

static void
carries_octets(void **state)
{
	char buffer[64];
	int tcp;

	(void)state;
	for (tcp = 0; tcp < 2; tcp++) {
		begin(tcp == 1);
		say("220 early\r\n");
		settle();
		assert_int_equal(test.inputs, 0);	/* nobody waits yet */
		wait_for(SECOND);
		settle();
		assert_string_equal(test.heard, "220 early\r\n");
		send_text("EHLO x\r\n");
		wait_for(SECOND);
		settle();
		assert_int_equal(read(test.fd, buffer, sizeof(buffer)), 8);
		assert_memory_equal(buffer, "EHLO x\r\n", 8);
		assert_int_equal(test.outputs, 0);	/* little ever was */
		assert_string_equal(stream_protection(test.stream), "none");
		assert_false(stream_is_secured(test.stream));
		finish();
	}
}

static void
hears_what_came_before_the_end(void **state)
{
	struct linger linger = { 1, 0 };

	(void)state;
	begin(true);
	wait_for(SECOND);
	say("421 bye\r\n");
	close(test.fd);
	test.fd = -1;
	settle();
	assert_string_equal(test.heard, "421 bye\r\n");
	assert_string_equal(test.lost, "closed the connection");
	assert_false(test.by_tls);
	finish();

	/* A reset while much is to be sent; the reply comes first. */
	begin(true);
	test.fill = 10000000;
	fill();
	settle();
	say("552 too much\r\n");
	setsockopt(test.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(test.fd);
	test.fd = -1;
	settle();
	assert_string_equal(test.heard, "552 too much\r\n");
	assert_string_not_equal(test.lost, "");
	assert_true(test.fill > 0);
	finish();
}

static void
takes_in_only_so_much(void **state)
{
	static char much[100000];
	int inputs;

	(void)state;
	memset(much, 'x', sizeof(much));
	begin(false);
	test.drains = false;
	wait_for(10 * SECOND);
	assert_true(write(test.fd, much, sizeof(much)) > 20000);
	settle();
	assert_true(evbuffer_get_length(stream_in(test.stream)) <= 8192);
	inputs = test.inputs;
	settle();
	assert_int_equal(test.inputs, inputs);	/* nor does it turn idly */
	finish();

	/* Once that is taken, there is room for more. */
	begin(false);
	wait_for(10 * SECOND);
	assert_int_equal(write(test.fd, much, 50000), 50000);
	settle();
	assert_int_equal(test.length, 50000);
	finish();
}

static void
streams_in_little_memory(void **state)
{
	static char buffer[50000];
	size_t got = 0;
	ssize_t n;
	int tcp;

	(void)state;
	for (tcp = 0; tcp < 2; tcp++) {
		begin(tcp == 1);
		test.fill = 30000000;
		fill();
		for (got = 0; got < 30000000;) {
			turn();
			n = read(test.fd, buffer, sizeof(buffer));
			assert_true(n > 0 || errno == EAGAIN);
			if (n > 0)
				got += (size_t)n;
		}
		assert_int_equal(test.fill, 0);
		assert_true(test.most < 100000);
		assert_string_equal(test.lost, "");
		finish();
	}
}

/* Octets that drip in do not lengthen the time. */
static void
waits_only_so_long(void **state)
{
	int64_t start = clock_monotonic();

	(void)state;
	begin(false);
	wait_for(200000);
	while (test.timeouts == 0) {
		assert_true(clock_monotonic() - start < 2 * SECOND);
		say("2");
		usleep(10000);
		turn();
	}
	assert_true(clock_monotonic() - start >= 190000);
	assert_true(test.inputs > 3);
	finish();
}

/* What the kernel will not watch is given up, not waited for in vain. */
static void
gives_up_what_cannot_be_watched(void **state)
{
	struct tls_want want = { .proof = TLS_ANYBODY, .host = "mx.test" };
	int secure, file;

	(void)state;
	for (secure = 0; secure < 2; secure++) {
		begin(false);
		if (secure)
			stream_secure(test.stream, &want);
		file = memfd_create("none", 0);
		assert_int_equal(dup2(file, test.near), test.near);
		close(file);
		wait_for(10 * SECOND);
		settle();
		assert_string_equal(test.lost,
		    "this system cannot wait for it now");
		assert_false(test.by_tls);
		finish();
	}
}

/* Who stops reading in the midst of a message is not waited for either. */
static void
waits_for_room_only_so_long(void **state)
{
	int64_t start = clock_monotonic();

	(void)state;
	begin(true);
	test.fill = 100000000;
	fill();
	settle();
	wait_for(200000);
	while (test.timeouts == 0) {
		assert_true(clock_monotonic() - start < 9 * SECOND);
		turn();
	}
	assert_true(test.fill > 0);
	assert_true(test.most < 100000);
	finish();
}

/* ---- by TLS ---- */

static void
secure(void)
{
	struct tls_want want = { .proof = TLS_ANYBODY, .host = "mx.test" };

	test.ssl = SSL_new(test.context);
	SSL_set_fd(test.ssl, test.fd);
	test.inside = true;
	stream_secure(test.stream, &want);
	test.inside = false;
	wait_for(10 * SECOND);
	while (SSL_accept(test.ssl) != 1)
		turn();
	settle();
	assert_int_equal(test.secured, 1);
	assert_true(stream_is_secured(test.stream));
	assert_non_null(strstr(stream_protection(test.stream),
	    "unverified"));
}

static void
carries_octets_by_tls(void **state)
{
	char buffer[64];

	(void)state;
	begin(true);
	secure();
	assert_int_equal(test.inputs, 0);
	assert_int_equal(SSL_write(test.ssl, "220 hi\r\n", 8), 8);
	wait_for(SECOND);
	settle();
	assert_string_equal(test.heard, "220 hi\r\n");
	send_text("QUIT\r\n");
	wait_for(SECOND);
	settle();
	assert_int_equal(SSL_read(test.ssl, buffer, sizeof(buffer)), 6);
	assert_int_equal(SSL_write(test.ssl, "221 bye\r\n", 9), 9);
	SSL_shutdown(test.ssl);
	settle();
	assert_string_equal(test.heard, "220 hi\r\n221 bye\r\n");
	assert_string_equal(test.lost, "closed the connection");
	finish();
}

/* More is deciphered at once than the input holds. */
static void
leaves_nothing_inside_tls(void **state)
{
	static char much[16000];

	(void)state;
	memset(much, 'x', sizeof(much));
	begin(true);
	secure();
	assert_int_equal(SSL_write(test.ssl, much, sizeof(much)),
	    sizeof(much));
	wait_for(SECOND);
	settle();
	assert_int_equal(test.length, sizeof(much));
	finish();
}

static void
streams_by_tls(void **state)
{
	static char buffer[50000];
	size_t got = 0;
	int n;

	(void)state;
	begin(true);
	secure();
	test.fill = 20000000;
	fill();
	while (got < 20000000) {
		turn();
		n = SSL_read(test.ssl, buffer, sizeof(buffer));
		assert_true(n > 0 || SSL_get_error(test.ssl, n) ==
		    SSL_ERROR_WANT_READ);
		if (n > 0)
			got += (size_t)n;
	}
	assert_true(test.most < 100000);
	assert_string_equal(test.lost, "");
	finish();
}

static void
tells_why_tls_fails(void **state)
{
	struct tls_want want = { .proof = TLS_ANYBODY };
	static const char *const texts[] = { "250 this is no TLS\r\n", "" };
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		begin(true);
		test.inside = true;
		stream_secure(test.stream, &want);
		test.inside = false;
		wait_for(SECOND);
		say(texts[i]);
		shutdown(test.fd, SHUT_WR);
		settle();
		assert_string_not_equal(test.lost, "");
		assert_true(test.by_tls);
		assert_int_equal(test.secured, 0);
		assert_int_equal(test.inputs, 0);
		finish();
	}
	begin(true);
	stream_secure(test.stream, &want);
	wait_for(50000);
	usleep(60000);
	settle();
	assert_int_equal(test.timeouts, 1);
	finish();
}

/* ---- */

static void
make_server(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	X509_NAME *name = X509_get_subject_name(certificate);

	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
	    (const unsigned char *)"mx.test", -1, -1, 0);
	X509_set_issuer_name(certificate, name);
	X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_set_pubkey(certificate, key);
	assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
	test.context = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate(test.context, certificate),
	    1);
	assert_int_equal(SSL_CTX_use_PrivateKey(test.context, key), 1);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

static int
setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	test.base = loop_new();
	tls_open();
	make_server();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	SSL_CTX_free(test.context);
	event_base_free(test.base);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(carries_octets),
		cmocka_unit_test(hears_what_came_before_the_end),
		cmocka_unit_test(takes_in_only_so_much),
		cmocka_unit_test(streams_in_little_memory),
		cmocka_unit_test(waits_only_so_long),
		cmocka_unit_test(gives_up_what_cannot_be_watched),
		cmocka_unit_test(waits_for_room_only_so_long),
		cmocka_unit_test(carries_octets_by_tls),
		cmocka_unit_test(leaves_nothing_inside_tls),
		cmocka_unit_test(streams_by_tls),
		cmocka_unit_test(tells_why_tls_fails)
	};

	alarm(60);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
