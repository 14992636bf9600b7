/* links: common/log.c common/queueid.c common/clock.c
 * postmaster/resolve.c */
/*
 * host:service as addresses: each question has an answer, be it an error, and
 * be there no child to ask.  Asks for nothing but numbers.
 */
#include <netinet/in.h>
#include <sys/syscall.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "jail.h"
#include "postmaster/postmaster.h"

static const struct question questions[] = { { "127.0.0.1", "25" },
	{ "127.0.0.1", "no-such-service" }, { "127.0.0.2", "26" } };
static const struct identity nobody;
static bool no_pipe;

/* Only one may be become, uid 65534; then there are addresses. */
int
jail_become(uid_t uid, gid_t gid, const gid_t *groups, size_t count)
{
	return uid == 65534 && gid == 65534 && groups == NULL && count == 0 ?
	    0 : -1;
}

int
pipe2(int pair[2], int flags)
{
	if (no_pipe) {
		errno = EMFILE;
		return -1;
	}
	return (int)syscall(SYS_pipe2, pair, flags);
}

static void
check_address(const struct resolved *answer, const char *host, uint16_t port)
{
	const struct sockaddr_in *in;
	char printed[INET_ADDRSTRLEN];

	in = (const struct sockaddr_in *)&answer->address;
	assert_int_equal(answer->error, 0);
	assert_int_equal(in->sin_family, AF_INET);
	assert_int_equal(ntohs(in->sin_port), port);
	assert_string_equal(inet_ntop(AF_INET, &in->sin_addr, printed,
	    sizeof(printed)), host);
}

static void
test_answers(void **state)
{
	struct resolved *answers;

	(void)state;
	assert_int_equal(resolve(questions, 3, nobody, true, &answers), 3);
	check_address(&answers[0], "127.0.0.1", 25);
	assert_int_equal(answers[1].number, 1);
	assert_int_not_equal(answers[1].error, 0);
	check_address(&answers[2], "127.0.0.2", 26);
	free(answers);
}

static void
test_nobody_asks(void **state)
{
	struct resolved *answers;
	uint32_t i;

	(void)state;
	no_pipe = true;
	assert_int_equal(resolve(questions, 3, nobody, true, &answers), 3);
	no_pipe = false;
	for (i = 0; i < 3; i++) {
		assert_int_equal(answers[i].number, i);
		assert_int_equal(answers[i].error, EAI_AGAIN);
	}
	free(answers);
}

/* The rights of root are given up before anything is asked, be it to whom. */
static void
test_without_rights(void **state)
{
	const struct identity account = { 65533, 65533 };
	struct resolved *answers;

	(void)state;
	assert_int_equal(resolve(questions, 1, account, false, &answers), 1);
	assert_int_equal(answers[0].error, EAI_AGAIN);
	free(answers);
	assert_int_equal(resolve(questions, 1, nobody, false, &answers), 1);
	check_address(&answers[0], "127.0.0.1", 25);
	free(answers);
}

/* More addresses than there is room for: who is last is not forgotten. */
static void
test_many(void **state)
{
	static struct question many[300];
	struct resolved *answers;
	size_t i;

	(void)state;
	for (i = 0; i < 300; i++)
		many[i] = questions[0];
	assert_int_equal(resolve(many, 300, nobody, true, &answers), 300);
	check_address(&answers[255], "127.0.0.1", 25);
	assert_int_equal(answers[299].number, 299);
	assert_int_equal(answers[299].error, EAI_AGAIN);
	free(answers);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_nobody_asks),
		cmocka_unit_test(test_without_rights),
		cmocka_unit_test(test_many)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
