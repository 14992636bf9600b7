/*
 * A process for one test of a group; its lines are no TAP, so they go to
 * standard error.
 */
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "regress/unit/apart.h"

void
run_apart(const struct CMUnitTest *test)
{
	int	 status;
	pid_t	 pid;

	fflush(NULL);
	if ((pid = fork()) == 0) {
		const struct CMUnitTest tests[] = { *test };

		dup2(STDERR_FILENO, STDOUT_FILENO);
		cmocka_set_message_output(CM_OUTPUT_SUBUNIT);
		_exit(cmocka_run_group_tests(tests, NULL, NULL));
	}
	assert_int_not_equal(pid, -1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}
