/* links: common/child.c common/link.c common/link_blocking.c common/asks.c
 * common/frame.c common/wire.c common/loop.c common/log.c common/log_sink.c
 * common/queueid.c common/clock.c common/conf.c common/jail.c */
/*
 * A process that postmaster tells what it can do nothing with gives up in
 * words, before anything has begun or at once: it does not go on with what it
 * lacks, nor with pointers into what is gone.
 */
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "child.h"
#include "loop.h"

#define START_FD	3
#define READY_FD	4
#define BEGUN		77	/* how it ends if it goes on */

/* ---- the process ---- */

static void
on_before_jail(struct child *child)
{
	if (child->conf == NULL)
		_exit(BEGUN);
}

static void
on_reconfigured(struct child *child)
{
	(void)child;
	loop_stop(BEGUN);
}

static const struct child_peer no_peers[] = { { NULL, NULL, NULL } };

static const struct child_ops takes_none = {
	.self = PROC_SMTPD, .jail = JAIL_MAX, .peers = no_peers,
	.before_jail = on_before_jail
};

static const struct child_ops takes_all = {
	.self = PROC_SPOOLD, .jail = JAIL_MAX, .peers = no_peers,
	.before_jail = on_before_jail, .reconfigured = on_reconfigured
};

/* ---- postmaster ---- */

static struct {
	pid_t	 pid;
	int	 link;
	FILE	*said;
} child;

static void
start(const struct child_ops *ops)
{
	static char name[] = "child", number[] = "0";
	char *argv[] = { name, number, NULL };
	int pair[2], ready;

	assert_non_null(child.said = tmpfile());
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    pair), 0);
	assert_true((ready = eventfd(0, EFD_CLOEXEC)) != -1);
	child.link = pair[0];
	assert_true((child.pid = fork()) != -1);
	if (child.pid == 0) {
		alarm(30);
		dup2(fileno(child.said), STDERR_FILENO);
		dup2(pair[1], 100);
		dup2(ready, 101);
		dup2(100, START_FD);
		dup2(101, READY_FD);
		close_range(READY_FD + 1, ~0U, 0);
		_exit(child_main(2, argv, ops));
	}
	close(pair[1]);
	close(ready);
}

static void
tell(enum imsg_type type, const void *payload, int fd)
{
	assert_int_equal(link_write_blocking(child.link, type, 0, payload,
	    NULL, 0, fd), 0);
}

static void
tell_config(uint64_t generation)
{
	struct w_start_config_ntf ntf = { .generation = generation };
	int fd = memfd_create("conf", MFD_CLOEXEC);

	assert_true(fd != -1);
	tell(IMSG_START_CONFIG_NTF, &ntf, fd);
}

static void
tell_go(void)
{
	struct w_start_go_ntf ntf = { .workers = 1, .rootless = 1,
	    .hostname = "mx.test" };

	tell(IMSG_START_GO_NTF, &ntf, -1);
}

/* It ends so, without postmaster having closed its link. */
static void
ends(int wanted, const char *words)
{
	char text[1024];
	size_t length;
	int status;

	assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), wanted);
	rewind(child.said);
	length = fread(text, 1, sizeof(text) - 1, child.said);
	text[length] = '\0';
	if (strstr(text, words) == NULL)
		fail_msg("said: %s", text);
	fclose(child.said);
	close(child.link);
}

/* ---- tests ---- */

static void
no_configuration(void **unused)
{
	(void)unused;
	start(&takes_none);
	tell_go();
	ends(1, "without a configuration");
}

static void
a_new_one_for_whom_it_is_nothing(void **unused)
{
	(void)unused;
	start(&takes_none);
	tell_config(1);
	tell_go();
	tell_config(2);
	ends(1, "takes none");
}

static void
a_new_one_for_whom_it_is_meant(void **unused)
{
	(void)unused;
	start(&takes_all);
	tell_config(1);
	tell_go();
	tell_config(2);
	ends(BEGUN, "");
}

static void
finish_before_the_start(void **unused)
{
	struct w_start_finish_ntf ntf = { .generation = 1 };

	(void)unused;
	start(&takes_none);
	tell_config(1);
	tell(IMSG_START_FINISH_NTF, &ntf, -1);
	ends(1, "before the start");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_configuration),
		cmocka_unit_test(a_new_one_for_whom_it_is_nothing),
		cmocka_unit_test(a_new_one_for_whom_it_is_meant),
		cmocka_unit_test(finish_before_the_start)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
