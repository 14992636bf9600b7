/* links: spoold/txn.c spoold/lease.c spoold/message.c spoold/recipient.c
 * common/log.c common/queueid.c common/clock.c */
/*
 * What an smtpd may say to spoold, and what becomes of it: nothing is
 * answered before it is on disk, and whoever says what it cannot know or may
 * not claim is thrown out.  The link, the files and the database are played.
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

static struct {
	uint64_t	 next_id;	/* of the next lease */
	uint64_t	 first;		/* of the last */
	int		 leases;
	struct work	*work;		/* added last */
	int		 violations;
	int		 answers;
	uint64_t	 verdict;	/* of the last answer */
	bool		 is_full;	/* the disk */
	int		 stored;
	struct message	 copy;		/* of what was stored last */
	int		 entered;
	int		 forgotten;
	int		 files;		/* made, */
	int		 syncs;		/* synced */
	int		 removed;	/* and removed */
} test;

static struct link *const smtpd = (struct link *)(uintptr_t)&test;

/* ---- what is around ---- */

void
batch_add(struct work *work)
{
	test.work = work;
}

uint64_t
ledger_take_ids(uint32_t count)
{
	test.first = test.next_id;
	test.next_id += count;
	test.leases++;
	return test.first;
}

void
link_tell(struct link *link, enum imsg_type type, const void *payload,
    const void *tail, size_t length, int fd)
{
	assert_ptr_equal(link, smtpd);
	(void)type;
	(void)payload;
	(void)tail;
	(void)length;
	(void)fd;
}

void
link_answer(struct link *link, enum imsg_type type, uint32_t id,
    const void *payload, const void *tail, size_t length, int fd)
{
	assert_ptr_equal(link, smtpd);
	(void)id;
	(void)tail;
	(void)length;
	(void)fd;
	test.answers++;
	test.verdict = type == IMSG_TXN_COMMIT_ANS ?
	    ((const struct w_txn_commit_ans *)payload)->verdict :
	    ((const struct w_txn_body_ans *)payload)->verdict;
}

void
link_violation(struct link *link, const char *why)
{
	assert_ptr_equal(link, smtpd);
	assert_non_null(why);
	test.violations++;
}

void
child_link_closed(struct link *link, const char *why, void *arg)
{
	(void)link;
	(void)why;
	(void)arg;
}

bool
reserve_takes_mail(const char **why)
{
	*why = "";
	return !test.is_full;
}

void
reserve_trouble(const char *why)
{
	(void)why;
}

int
store_add_message(struct message *message)
{
	test.stored++;
	test.copy = *message;
	return 0;
}

int
store_load_body(struct message *message)
{
	(void)message;
	return -1;
}

bool
queue_reserve(uint32_t count)
{
	return count > 0;
}

void
queue_unreserve(uint32_t count)
{
	(void)count;
}

void
queue_expect(struct message *message)
{
	(void)message;
}

void
queue_forget(struct message *message)
{
	(void)message;
	test.forgotten++;
}

void
queue_enter(struct message *message)
{
	test.entered++;
	message_free(message);
}

int
body_create(struct body_file *file, uint64_t id)
{
	file->fd = 99;
	file->id = id;
	file->size = 0;
	test.files++;
	return 0;
}

int
body_write(struct body_file *file, const void *octets, size_t length)
{
	(void)octets;
	file->size += length;
	return 0;
}

int
body_sync(struct body_file *file)
{
	assert_int_equal(file->fd, 99);
	test.syncs++;
	return 0;
}

void
body_close(struct body_file *file)
{
	file->fd = -1;
}

void
body_remove(uint64_t id)
{
	assert_true(id >= test.first && id < test.next_id);
	test.removed++;
}

int
body_open(uint64_t id)
{
	(void)id;
	return -1;
}

void
expansion_forget_known(struct message *message)
{
	(void)message;
}

void
message_free_finals(struct message *message)
{
	(void)message;
}

void
gate_clear(struct recipient *recipient)
{
	(void)recipient;
}

void
lane_leave(struct recipient *recipient)
{
	(void)recipient;
}

/* ---- an smtpd ---- */

/* Run what was added to the batch; it is on disk, or is not. */
static void
commit(int result)
{
	struct work	*work = test.work;

	assert_non_null(work);
	test.work = NULL;
	assert_int_equal(work->prepare != NULL ? work->prepare(work) : 0, 0);
	assert_int_equal(work->run(work), 0);
	work->done(work, result);
}

static void
come(bool local)
{
	const struct w_start_peer_ntf	 start = { .may_claim_local = local };

	memset(&test, 0, sizeof(test));
	test.next_id = 1 << 20;
	smtpd_up(NULL, smtpd, &start);
	commit(0);
	assert_int_equal(test.leases, 1);
}

static int
begin(void **state)
{
	(void)state;
	come(false);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	smtpd_lost(NULL, smtpd);
	return 0;
}

/* True unless that is a violation. */
static bool
say(enum imsg_type type, const void *payload, size_t tail_length)
{
	static char		 tail[WIRE_PIECE];
	const struct link_handler *handler = smtpd_role.handlers;
	struct frame		 frame = {
		.type = type, .payload = payload, .tail = tail,
		.tail_length = tail_length, .fd = -1
	};
	int			 before = test.violations;

	while (handler->type != type)
		handler++;
	handler->fn(smtpd, &frame, NULL);
	return test.violations == before;
}

/* The nth id of the lease is opened; true unless that is a violation. */
static bool
opens(uint64_t n, uint8_t standing, const char *sender, const char *helo)
{
	struct w_txn_open_ntf	 open = {
		.id = test.first + n, .arrival = 1000,
		.client = { .standing = standing }
	};

	(void)strlcpy(open.sender, sender, sizeof(open.sender));
	(void)strlcpy(open.client.helo, helo, sizeof(open.client.helo));
	return say(IMSG_TXN_OPEN_NTF, &open, 0);
}

static bool
open_plainly(uint64_t n)
{
	return opens(n, STANDING_STRANGER, "a@b.test", "c.test");
}

static bool
names(uint64_t n, const char *address)
{
	struct w_txn_rcpt_ntf	 rcpt = { .id = test.first + n };

	(void)strlcpy(rcpt.address, address, sizeof(rcpt.address));
	return say(IMSG_TXN_RCPT_NTF, &rcpt, 0);
}

static bool
gives(uint64_t n, uint64_t offset, size_t length)
{
	struct w_txn_body_req	 piece = {
		.id = test.first + n, .offset = offset
	};

	return say(IMSG_TXN_BODY_REQ, &piece, length);
}

static bool
commits(uint64_t n, uint64_t size, size_t tail_length)
{
	struct w_txn_commit_req	 commit_req = {
		.id = test.first + n, .size = size
	};

	test.work = NULL;
	return say(IMSG_TXN_COMMIT_REQ, &commit_req, tail_length);
}

/* ---- what may be claimed ---- */

static void
claims_only_what_it_may(void **state)
{
	(void)state;
	assert_true(opens(0, STANDING_STRANGER, "a@b", "c"));
	assert_true(opens(1, STANDING_TRUSTED, "", ""));
	assert_false(opens(2, STANDING_LOCAL, "a@b", "c"));
	assert_false(opens(2, STANDING_LOGIN, "a@b", "c"));
	assert_false(opens(2, 0, "a@b", "c"));
	assert_false(opens(2, STANDING_LOCAL + 1, "a@b", "c"));
	smtpd_lost(NULL, smtpd);
	come(true);
	assert_true(opens(0, STANDING_LOCAL, "a@b", "c"));
	assert_false(opens(1, STANDING_TRUSTED, "a@b", "c"));
	assert_false(opens(1, STANDING_STRANGER, "a@b", "c"));
}

static void
uses_each_id_once(void **state)
{
	struct w_txn_abort_ntf	 abort_ntf = { .id = test.first };

	(void)state;
	assert_true(open_plainly(0));
	assert_false(open_plainly(0));
	(void)say(IMSG_TXN_ABORT_NTF, &abort_ntf, 0);
	assert_false(open_plainly(0));
	assert_false(open_plainly(WIRE_LEASE));
	assert_false(open_plainly(UINT64_MAX));
	assert_true(open_plainly(WIRE_LEASE - 1));
}

static void
says_nothing_of_what_is_not(void **state)
{
	(void)state;
	assert_false(names(0, "x@y"));
	assert_false(gives(0, 0, 10));
	assert_false(commits(0, 10, 10));
	assert_true(open_plainly(0));
	/* Nobody to get it; more or less of it than is said. */
	assert_false(commits(0, 10, 10));
	assert_true(names(0, "x@y"));
	assert_false(commits(0, 10, 9));
	assert_false(commits(0, 9, 10));
	assert_int_equal(test.stored + test.answers, 0);
	assert_null(test.work);
}

static void
keeps_to_lines(void **state)
{
	(void)state;
	assert_false(opens(0, STANDING_STRANGER, "a\nb", "c"));
	assert_false(opens(0, STANDING_STRANGER, "a", "c\r"));
	assert_true(open_plainly(0));
	assert_false(names(0, "x\n@y"));
}

static void
has_an_end_to_its_recipients(void **state)
{
	int	 i;

	(void)state;
	assert_true(open_plainly(0));
	for (i = 0; i < 65536; i++)
		assert_true(names(0, "x@y"));
	assert_false(names(0, "x@y"));
}

/* ---- what becomes of it ---- */

static void
answers_what_is_on_disk(void **state)
{
	int64_t			 now = clock_now();
	struct w_txn_open_ntf	 open = {
		.id = test.first + 2, .arrival = now + DAY,
		.client = { .standing = STANDING_STRANGER }
	};

	(void)state;
	assert_true(open_plainly(0) && names(0, "x@y") && names(0, "z@y"));
	assert_true(commits(0, 100, 100));
	assert_int_equal(test.answers, 0);
	commit(0);
	assert_int_equal(test.answers, 1);
	assert_int_equal(test.verdict, TXN_OK);
	assert_int_equal(test.stored, 1);
	assert_int_equal(test.copy.rows, 2);
	assert_int_equal(test.copy.size, 100);
	assert_int_equal(test.copy.arrival, 1000);
	assert_int_equal(test.entered, 1);
	/* One that the database refuses is not taken. */
	assert_true(open_plainly(1) && names(1, "x@y") &&
	    commits(1, 100, 100));
	commit(-1);
	assert_int_equal(test.verdict, TXN_FAILED);
	assert_int_equal(test.entered, 1);
	assert_int_equal(test.forgotten, 1);
	/* Nothing has arrived in the future. */
	(void)say(IMSG_TXN_OPEN_NTF, &open, 0);
	assert_true(names(2, "x@y") && commits(2, 1, 1));
	commit(0);
	assert_in_range(test.copy.arrival, now, now + HOUR);
}

static void
keeps_large_ones_in_files(void **state)
{
	(void)state;
	assert_true(open_plainly(0) && names(0, "x@y"));
	assert_true(gives(0, 0, 1000) && gives(0, 1000, 1000));
	assert_int_equal(test.files, 1);
	assert_int_equal(test.verdict, TXN_OK);
	assert_true(commits(0, 2000, 0));
	assert_int_equal(test.syncs, 0);
	commit(0);
	assert_int_equal(test.syncs, 1);
	assert_int_equal(test.verdict, TXN_OK);
	assert_true(test.copy.in_file);
	assert_int_equal(test.removed, 0);
	/* Not all of it has come. */
	assert_true(open_plainly(1) && names(1, "x@y") && gives(1, 0, 1000));
	assert_true(commits(1, 1001, 0));
	assert_null(test.work);
	assert_int_equal(test.verdict, TXN_FAILED);
	assert_int_equal(test.removed, 1);
	/* A piece out of its place. */
	assert_true(open_plainly(2) && names(2, "x@y"));
	assert_false(gives(2, 7, 1000));
	assert_true(gives(2, 0, 1000));
	assert_false(gives(2, 999, 1000));
	assert_false(gives(2, 1001, 1000));
}

static void
takes_nothing_without_room(void **state)
{
	(void)state;
	assert_true(open_plainly(0) && names(0, "x@y"));
	assert_true(open_plainly(1) && names(1, "x@y"));
	test.is_full = true;
	assert_true(commits(0, 10, 10));
	assert_null(test.work);
	assert_int_equal(test.verdict, TXN_NO_SPACE);
	assert_true(gives(1, 0, 1000));
	assert_int_equal(test.verdict, TXN_NO_SPACE);
	assert_int_equal(test.files, 0);
}

static void
leaves_nothing_behind(void **state)
{
	(void)state;
	assert_true(open_plainly(0) && names(0, "x@y") && gives(0, 0, 1000));
	assert_true(txn_has_file(test.first));
	/* What is being stored goes on; nobody is answered. */
	assert_true(open_plainly(1) && names(1, "x@y") && commits(1, 5, 5));
	smtpd_lost(NULL, smtpd);
	assert_int_equal(test.removed, 1);
	assert_false(txn_has_file(test.first));
	test.answers = 0;
	commit(0);
	assert_int_equal(test.entered, 1);
	assert_int_equal(test.answers, 0);
}

static void
leases_in_time(void **state)
{
	struct w_txn_abort_ntf	 abort_ntf;
	uint64_t		 first = test.first, i;

	(void)state;
	test.work = NULL;
	for (i = 0; i < WIRE_LEASE && test.work == NULL; i++) {
		assert_true(open_plainly(i));
		abort_ntf.id = first + i;
		(void)say(IMSG_TXN_ABORT_NTF, &abort_ntf, 0);
	}
	/* While half of it is left. */
	assert_in_range(i, WIRE_LEASE / 2, WIRE_LEASE / 2 + 1);
	commit(0);
	assert_int_equal(test.leases, 2);
	assert_true(open_plainly(0));
	/* And the rest of the old one is as good. */
	test.first = first;
	assert_true(open_plainly(i));
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		TEST(claims_only_what_it_may),
		TEST(uses_each_id_once),
		TEST(says_nothing_of_what_is_not),
		TEST(keeps_to_lines),
		TEST(has_an_end_to_its_recipients),
		TEST(answers_what_is_on_disk),
		TEST(keeps_large_ones_in_files),
		TEST(takes_nothing_without_room),
		TEST(leaves_nothing_behind),
		TEST(leases_in_time)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
