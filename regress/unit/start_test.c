/* links: regress/unit/descriptors.c common/log.c common/queueid.c
 * common/clock.c common/frame.c common/wire.c common/loop.c
 * postmaster/start.c */
/*
 * A start link: postmaster waits for nobody, reads from nobody, and keeps no
 * descriptor of what nobody took; who missed something sees the link's end.
 */
#include <sys/socket.h>
#include <sys/syscall.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "frame.h"
#include "loop.h"
#include "postmaster/postmaster.h"
#include "regress/unit/descriptors.h"

#define MANY	700

static struct event_base *base;
static int failing;		/* what sendmsg(2) says, if it fails */

ssize_t
sendmsg(int fd, const struct msghdr *msg, int flags)
{
	if (failing != 0) {
		errno = failing;
		return -1;
	}
	return syscall(SYS_sendmsg, fd, msg, flags);
}

static void
tell(struct start *start, int count)
{
	struct w_start_finish_ntf ntf = { 0 };

	for (ntf.generation = 0; (int)ntf.generation < count;
	    ntf.generation++)
		start_tell(start, IMSG_START_FINISH_NTF, &ntf,
		    open("/dev/null", O_RDONLY | O_CLOEXEC));
}

/* Read the next frame and its descriptor; returns 0 at the end. */
static ssize_t
read_frame(int far, uint64_t *generation)
{
	struct {
		struct frame_header		 header;
		struct w_start_finish_ntf	 ntf;
	} frame;
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &frame, sizeof(frame) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = control, .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(far, &msg, MSG_DONTWAIT);
	int fd;

	if (n <= 0)
		return n;
	assert_int_equal(n, sizeof(frame));
	assert_int_equal(frame.header.type, IMSG_START_FINISH_NTF);
	assert_int_equal(frame.header.flags, FRAME_FD);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	assert_int_equal(close(fd), 0);
	*generation = frame.ntf.generation;
	return n;
}

/* Who does not read holds up nobody, and finds all of it in order. */
static void
test_slow(void **state)
{
	int before = descriptors(), far, count = 0;
	uint64_t generation;
	struct start *start;

	(void)state;
	start = start_new(base, &far);
	assert_non_null(start);
	alarm(20);
	tell(start, MANY);
	while (count < MANY) {
		while (read_frame(far, &generation) > 0)
			assert_int_equal(generation, count++);
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	alarm(0);
	start_free(start);
	assert_int_equal(read_frame(far, &generation), 0);
	close(far);
	assert_int_equal(descriptors(), before);
}

static void
test_never(void **state)
{
	int before = descriptors(), far;
	struct start *start;

	(void)state;
	start = start_new(base, &far);
	tell(start, MANY);
	start_free(start);
	close(far);
	assert_int_equal(descriptors(), before);
}

static void
test_dead(void **state)
{
	int before = descriptors(), far;
	struct start *start;

	(void)state;
	start = start_new(base, &far);
	close(far);
	tell(start, 10);
	start_free(start);
	assert_int_equal(descriptors(), before);
}

static void
test_missed(void **state)
{
	struct pollfd pollfd = { .events = POLLIN };
	uint64_t generation = 9;
	struct start *start;
	int far;

	(void)state;
	start = start_new(base, &far);
	tell(start, 1);
	failing = ETOOMANYREFS;
	tell(start, 1);
	failing = 0;
	tell(start, 1);
	pollfd.fd = far;
	assert_int_equal(poll(&pollfd, 1, 0), 1);
	assert_true(read_frame(far, &generation) > 0);
	assert_int_equal(generation, 0);
	assert_int_equal(read_frame(far, &generation), 0);
	start_free(start);
	close(far);
}

/* What a process says is not even kept. */
static void
test_one_way(void **state)
{
	struct start *start;
	int far;

	(void)state;
	start = start_new(base, &far);
	assert_int_equal(send(far, "x", 1, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	start_free(start);
	close(far);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slow),
		cmocka_unit_test(test_never),
		cmocka_unit_test(test_dead),
		cmocka_unit_test(test_missed),
		cmocka_unit_test(test_one_way)
	};

	base = loop_new();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
