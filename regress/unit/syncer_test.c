/* links: spoold/syncer.c common/frame.c common/log.c
 * common/queueid.c common/clock.c */
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "spoold/spoold.h"

/* ---- what stands in for the rest of spoold */

static struct {
	struct event_base	*base;
	int			 sockets[SYNCERS];	/* spoold's ends */
	unsigned int		 count;
	unsigned int		 answers;
	bool			 level;	/* whoever answers, wait for the other */
} s;

int
socketpair(int domain, int type, int protocol, int pair[2])
{
	long	 result = syscall(SYS_socketpair, domain, type, protocol,
	    pair);

	if (result == 0 && s.count < SYNCERS)
		s.sockets[s.count++] = pair[0];
	return (int)result;
}

/* Every other call is cut short. */
static bool
is_cut(void)
{
	static unsigned int	 calls;

	if (++calls % 2 == 0)
		return false;
	errno = EINTR;
	return true;
}

ssize_t
read(int fd, void *octets, size_t size)
{
	return is_cut() ? -1 : syscall(SYS_read, fd, octets, size);
}

ssize_t
write(int fd, const void *octets, size_t length)
{
	return is_cut() ? -1 : syscall(SYS_write, fd, octets, length);
}

struct event_base *
spoold_base(void)
{
	return s.base;
}

void
jail_enter(enum jail jail, uid_t uid, gid_t gid, const char *root,
    bool rootless)
{
	(void)jail;
	(void)uid;
	(void)gid;
	(void)root;
	(void)rootless;
}

void
batch_die(const char *what)
{
	fail_msg("%s", what);
	abort();
}

static void
on_synced(unsigned int n)
{
	s.answers++;
	if (s.level) {
		s.level = false;
		syncer_wait(1 - n);
	}
}

/* ---- the tests */

static int
begin(void **state)
{
	static const struct child	 child;
	static char			 place[] = "/tmp/syncer.XXXXXX";

	(void)state;
	if ((s.base = event_base_new()) == NULL || mkdtemp(place) == NULL ||
	    chdir(place) == -1 ||
	    close(open(WAL_NAME, O_CREAT | O_WRONLY, 0600)) == -1)
		return -1;
	syncer_fork(&child);
	syncer_start(on_synced);
	(void)unlink(WAL_NAME);
	return rmdir(place);
}

static int
end(void **state)
{
	int	 i;

	(void)state;
	for (i = 0; i < SYNCERS; i++)
		close(s.sockets[i]);
	while (wait(NULL) != -1)
		;
	return 0;
}

/* Two have answered: the loop sees both, and who hears of one takes both. */
static void
an_answer_that_was_waited_for_does_not_come_again(void **state)
{
	struct pollfd	 answer = { .events = POLLIN };
	unsigned int	 i;

	(void)state;
	s.level = true;
	for (i = 0; i < 2; i++) {
		syncer_begin(i);
		answer.fd = s.sockets[i];
		assert_int_equal(poll(&answer, 1, -1), 1);
	}
	alarm(60);
	assert_int_equal(event_base_loop(s.base, EVLOOP_NONBLOCK), 0);
	alarm(0);
	assert_int_equal(s.answers, 2);
	syncer_begin(0);
	syncer_wait(0);
	assert_int_equal(s.answers, 3);
}

int
main(void)
{
	static const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(
		    an_answer_that_was_waited_for_does_not_come_again)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, begin, end);
}
