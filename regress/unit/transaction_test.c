/* links: smtpd/transaction.c smtpd/buffer.c common/log.c common/clock.c
 * common/queueid.c */
/*
 * What spoold is told of a message whose session ends at each state, over a
 * link that keeps what it is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loop.h"
#include "smtpd/smtpd.h"

static void	(*end_of_turn)(void *);

static struct {
	uint32_t	 told[IMSG_MAX];
	uint32_t	 asked[IMSG_MAX];
	uint32_t	 forgotten;
	uint32_t	 credit;
	size_t		 output;
	uint32_t	 resumed;
	uint32_t	 committed;
	enum txn_verdict verdict;
} fake;

static struct link *const link_to_spoold = (struct link *)(uintptr_t)&fake;

uint32_t
link_ask(struct link *link, enum imsg_type type, const void *payload,
    const void *tail, size_t length, int fd, void *context)
{
	(void)link;
	(void)payload;
	(void)tail;
	(void)length;
	(void)fd;
	(void)context;
	return ++fake.asked[type];
}

void
link_tell(struct link *link, enum imsg_type type, const void *payload,
    const void *tail, size_t length, int fd)
{
	(void)link;
	(void)payload;
	(void)tail;
	(void)length;
	(void)fd;
	fake.told[type]++;
}

uint32_t
link_credit(const struct link *link, enum imsg_type type)
{
	(void)link;
	(void)type;
	return fake.credit;
}

size_t
link_output(const struct link *link)
{
	(void)link;
	return fake.output;
}

void
link_forget(struct link *link, uint32_t id)
{
	(void)link;
	(void)id;
	fake.forgotten++;
}

void
child_link_closed(struct link *link, const char *why, void *arg)
{
	(void)link;
	(void)why;
	(void)arg;
}

void
data_resume(struct session *session)
{
	(void)session;
	fake.resumed++;
}

void
data_committed(struct session *session, enum txn_verdict verdict)
{
	(void)session;
	fake.committed++;
	fake.verdict = verdict;
}

void
loop_add_hook(enum loop_stage stage, void (*fn)(void *), void *arg)
{
	assert_int_equal(stage, LOOP_WORK);
	assert_null(arg);
	end_of_turn = fn;
}

/* What spoold says. */
static void
hear(enum imsg_type type, const void *payload)
{
	const struct link_handler *h;
	struct frame frame = { .type = type, .payload = payload, .fd = -1 };

	for (h = transaction_peer.role->handlers; h->type != type; h++)
		assert_int_not_equal(h->type, IMSG_NONE);
	h->fn(link_to_spoold, &frame, NULL);
}

/* A message with a recipient and so many octets of body. */
static struct transaction *
begin(struct session *session, size_t size)
{
	static const struct w_txn_state_ntf open = { .takes_mail = 1 };
	static const struct w_txn_lease_ntf lease = { 1, 8 };
	static const struct mail_parameters mail;
	static const struct rcpt_parameters rcpt;
	struct transaction *txn;
	char *body;

	memset(&fake, 0, sizeof(fake));
	fake.credit = 8;
	transaction_peer.up(NULL, link_to_spoold, NULL);
	hear(IMSG_TXN_STATE_NTF, &open);
	hear(IMSG_TXN_LEASE_NTF, &lease);
	memset(session, 0, sizeof(*session));
	txn = transaction_new(session, "a@b.test", &mail);
	transaction_add(txn, "c@d.test", &rcpt);
	assert_int_equal(transaction_begin(txn), REPLY_NONE);
	assert_non_null(body = calloc(1, size));
	transaction_write(txn, body, size);
	free(body);
	return txn;
}

static void
test_gathering(void **state)
{
	struct session session;

	(void)state;
	transaction_free(begin(&session, 100));
	assert_int_equal(fake.told[IMSG_TXN_OPEN_NTF], 0);
	assert_int_equal(fake.told[IMSG_TXN_ABORT_NTF], 0);
}

static void
test_streaming(void **state)
{
	struct session session;

	(void)state;
	transaction_free(begin(&session, 100000));
	assert_int_equal(fake.told[IMSG_TXN_OPEN_NTF], 1);
	assert_int_equal(fake.asked[IMSG_TXN_BODY_REQ], 3);
	assert_int_equal(fake.told[IMSG_TXN_ABORT_NTF], 1);
}

static void
test_waiting_for_credit(void **state)
{
	struct session session;
	struct transaction *txn;

	(void)state;
	txn = begin(&session, 100);
	fake.credit = 0;
	transaction_write(txn, (char [100000]){ 0 }, 100000);
	assert_true(transaction_blocked(txn));
	transaction_free(txn);
	assert_int_equal(fake.told[IMSG_TXN_OPEN_NTF], 0);
	assert_int_equal(fake.told[IMSG_TXN_ABORT_NTF], 0);
}

/* Some request was answered. */
static void
answer_something(void)
{
	static const struct w_txn_body_ans ans = { 99, TXN_OK };

	hear(IMSG_TXN_BODY_ANS, &ans);
	end_of_turn(NULL);
}

/* Without credit for its commit nothing of a message leaves, however small. */
static void
test_commit_waits(void **state)
{
	struct session session;
	struct transaction *txn;

	(void)state;
	txn = begin(&session, 100);
	fake.credit = 0;
	transaction_commit(txn);
	answer_something();
	assert_int_equal(fake.told[IMSG_TXN_OPEN_NTF], 0);
	assert_int_equal(fake.told[IMSG_TXN_RCPT_NTF], 0);
	assert_int_equal(fake.asked[IMSG_TXN_COMMIT_REQ], 0);
	fake.credit = 1;
	answer_something();
	assert_int_equal(fake.told[IMSG_TXN_OPEN_NTF], 1);
	assert_int_equal(fake.told[IMSG_TXN_RCPT_NTF], 1);
	assert_int_equal(fake.asked[IMSG_TXN_COMMIT_REQ], 1);
	assert_int_equal(fake.resumed, 0);
	transaction_free(txn);
}

/* Answers that nobody waits for any more tell nobody of the credit. */
static void
test_credit_unheard(void **state)
{
	struct session session;
	struct transaction *txn;

	(void)state;
	txn = begin(&session, 100);
	fake.credit = 0;
	transaction_commit(txn);
	fake.credit = 1;
	end_of_turn(NULL);
	assert_int_equal(fake.asked[IMSG_TXN_COMMIT_REQ], 1);
	transaction_free(txn);
}

/* Nor while much waits to be written to a spoold that does not read. */
static void
test_output_waits(void **state)
{
	struct session session;
	struct transaction *txn;

	(void)state;
	txn = begin(&session, 100);
	fake.output = 8 << 20;
	transaction_write(txn, (char [100000]){ 0 }, 100000);
	assert_true(transaction_blocked(txn));
	assert_int_equal(fake.told[IMSG_TXN_OPEN_NTF], 0);
	fake.output = 0;
	answer_something();
	assert_false(transaction_blocked(txn));
	assert_int_equal(fake.told[IMSG_TXN_OPEN_NTF], 1);
	assert_int_equal(fake.asked[IMSG_TXN_BODY_REQ], 3);
	assert_int_equal(fake.resumed, 1);
	transaction_free(txn);
}

/* spoold hangs: who waits for it is told so, and nothing more is expected. */
static void
test_giving_up(void **state)
{
	struct session session;
	struct transaction *txn;

	(void)state;
	txn = begin(&session, 100);
	transaction_commit(txn);
	transaction_give_up(txn);
	assert_int_equal(fake.forgotten, 1);
	assert_int_equal(fake.told[IMSG_TXN_ABORT_NTF], 0);
	assert_int_equal(fake.committed, 1);
	assert_int_equal(fake.verdict, TXN_FAILED);
	transaction_free(txn);
	assert_int_equal(fake.forgotten, 1);

	txn = begin(&session, 100);
	fake.credit = 0;
	transaction_commit(txn);
	transaction_give_up(txn);
	assert_int_equal(fake.told[IMSG_TXN_ABORT_NTF], 0);
	assert_int_equal(fake.committed, 1);
	transaction_free(txn);

	txn = begin(&session, 100);
	fake.credit = 0;
	transaction_write(txn, (char [100000]){ 0 }, 100000);
	transaction_give_up(txn);
	assert_false(transaction_blocked(txn));
	assert_int_equal(txn->failure, TXN_FAILED);
	assert_int_equal(fake.resumed, 1);
	assert_int_equal(fake.committed, 0);
	fake.credit = 1;
	answer_something();
	assert_int_equal(fake.told[IMSG_TXN_OPEN_NTF], 0);
	transaction_free(txn);
}

/* What was asked is forgotten when its session goes. */
static void
test_committing(void **state)
{
	struct session session;
	struct transaction *txn;

	(void)state;
	txn = begin(&session, 100);
	transaction_commit(txn);
	assert_int_equal(fake.asked[IMSG_TXN_COMMIT_REQ], 1);
	transaction_free(txn);
	assert_int_equal(fake.forgotten, 1);
	assert_int_equal(fake.told[IMSG_TXN_ABORT_NTF], 0);
}

static void
test_lost(void **state)
{
	struct session session;
	struct transaction *txn;

	(void)state;
	txn = begin(&session, 100000);
	transaction_peer.lost(NULL, link_to_spoold);
	assert_int_equal(txn->failure, TXN_FAILED);
	transaction_free(txn);
	assert_int_equal(fake.told[IMSG_TXN_ABORT_NTF], 0);
	assert_int_equal(transaction_possible(), REPLY_SPOOL_AWAY);
}

/* An answer that is none of those there are is a failure, not none. */
static void
test_no_verdict(void **state)
{
	struct session session;
	struct transaction *txn = begin(&session, 100000);
	const struct w_txn_body_ans ans = { txn->id, 0 };

	(void)state;
	hear(IMSG_TXN_BODY_ANS, &ans);
	assert_int_equal(fake.told[IMSG_TXN_ABORT_NTF], 1);
	assert_int_equal(txn->state, TRANSACTION_ENDED);
	assert_int_equal(txn->failure, TXN_FAILED);
	transaction_free(txn);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gathering),
		cmocka_unit_test(test_streaming),
		cmocka_unit_test(test_waiting_for_credit),
		cmocka_unit_test(test_commit_waits),
		cmocka_unit_test(test_credit_unheard),
		cmocka_unit_test(test_output_waits),
		cmocka_unit_test(test_giving_up),
		cmocka_unit_test(test_committing),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_no_verdict)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	transactions_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
