/* links: common/link.c common/asks.c common/waiting.c common/link_blocking.c
 *   common/frame.c common/wire.c common/loop.c common/log.c
 *   common/queueid.c common/clock.c */
/*
 * Links: asks come back to their askers, credit holds, descriptors arrive,
 * and a frame that breaks a rule closes the link.
 */
#include <sys/socket.h>
#include <sys/syscall.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "frame.h"
#include "link.h"
#include "log.h"
#include "loop.h"
#include "unwatched.h"

static struct event_base *base;

/* ---- a kernel that lacks memory while a test says so ---- */

static struct {
	bool	 on;
	int	 tries;		/* meanwhile */
	int	 most;		/* then it is over; 0 none */
} lack;

static bool
is_lacking(void)
{
	if (!lack.on || (lack.most > 0 && lack.tries == lack.most))
		return false;
	errno = lack.tries++ % 2 == 0 ? ENOMEM : ENOBUFS;
	return true;
}

ssize_t
sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return is_lacking() ? -1 : syscall(SYS_sendmsg, fd, msg, flags);
}

ssize_t
recvmsg(int fd, struct msghdr *msg, int flags)
{
	return is_lacking() ? -1 : syscall(SYS_recvmsg, fd, msg, flags);
}

/* ---- a pair of links ---- */

static struct {
	int		 asked;		/* requests the owner has seen */
	uint32_t	 ids[1024];
	int		 answered;	/* answers the asker has seen */
	int		 failed;
	int		 died;		/* of those, by link_died() */
	void		*context;
	int		 closed;
	int		 arrivals;
	int		 asked_before;	/* seen at the last of them */
	const char	*why;
	int		 fd;
} seen;

static void
on_rcpt_check(struct link *link, struct frame *frame, void *arg)
{
	(void)link;
	(void)arg;
	seen.ids[seen.asked++] = frame->id;
}

static void
on_rcpt_check_ans(struct link *link, struct frame *frame, void *context)
{
	seen.context = context;
	if (frame->payload == NULL) {
		seen.failed++;
		seen.died += link_died(link);
	} else
		seen.answered++;
}

static void
on_user_worker(struct link *link, struct frame *frame, void *arg)
{
	(void)link;
	(void)arg;
	seen.ids[seen.asked++] = frame->id;
}

static void
on_user_worker_ans(struct link *link, struct frame *frame, void *context)
{
	(void)link;
	(void)context;
	seen.answered++;
	if (seen.fd != -1)
		close(seen.fd);
	seen.fd = frame->fd;
	frame->fd = -1;
}

static void
on_closed(struct link *link, const char *why, void *arg)
{
	(void)link;
	(void)arg;
	seen.closed++;
	seen.why = why;
}

static void
on_arrived(void)
{
	seen.arrivals++;
	seen.asked_before = seen.asked;
}

static const struct link_handler asker_handlers[] = {
	{ IMSG_RCPT_CHECK_ANS, on_rcpt_check_ans }, { IMSG_NONE, NULL }
};
static const struct link_handler owner_handlers[] = {
	{ IMSG_RCPT_CHECK_REQ, on_rcpt_check }, { IMSG_NONE, NULL }
};
static const struct link_handler spoold_handlers[] = {
	{ IMSG_USER_WORKER_ANS, on_user_worker_ans }, { IMSG_NONE, NULL }
};
static const struct link_handler deliver_handlers[] = {
	{ IMSG_USER_WORKER_REQ, on_user_worker }, { IMSG_NONE, NULL }
};
static const struct link_role asker = {
	.self = PROC_SMTPD, .peer = PROC_POLICYD, .handlers = asker_handlers,
	.closed = on_closed
};
static const struct link_role owner = {
	.self = PROC_POLICYD, .peer = PROC_SMTPD, .handlers = owner_handlers,
	.closed = on_closed, .arrived = on_arrived
};
static const struct link_role spoold = {
	.self = PROC_SPOOLD, .peer = PROC_DELIVER, .handlers = spoold_handlers,
	.closed = on_closed
};
static const struct link_role deliver = {
	.self = PROC_DELIVER, .peer = PROC_SPOOLD, .handlers = deliver_handlers,
	.closed = on_closed
};

static void
stop(int fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	(void)arg;
	loop_stop(0);
}

/* A few turns: all that was sent has arrived. */
static void
turns(void)
{
	struct timeval soon = { .tv_usec = 20000 };

	event_base_once(base, -1, EV_TIMEOUT, stop, NULL, &soon);
	loop_run(base);
}

static void
pair(const struct link_role *a, const struct link_role *b, struct link **la,
    struct link **lb)
{
	int fds[2];

	memset(&seen, 0, sizeof(seen));
	seen.fd = -1;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    fds), 0);
	*la = link_new(base, fds[0], a, NULL);
	*lb = link_new(base, fds[1], b, NULL);
}

static uint32_t
ask(struct link *link, void *context)
{
	struct w_rcpt_check_req req = { .session = 1 };

	return link_ask(link, IMSG_RCPT_CHECK_REQ, &req, NULL, 0, -1,
	    context);
}

static void
answer(struct link *link, uint32_t id)
{
	struct w_rcpt_check_ans ans = { .session = 1 };

	link_answer(link, IMSG_RCPT_CHECK_ANS, id, &ans, NULL, 0, -1);
}

static void
test_ask_and_answer(void **unused)
{
	struct link *a, *b;
	int here;

	(void)unused;
	pair(&asker, &owner, &a, &b);
	ask(a, &here);
	turns();
	assert_int_equal(seen.asked, 1);
	answer(b, seen.ids[0]);
	turns();
	assert_int_equal(seen.answered, 1);
	assert_ptr_equal(seen.context, &here);
	link_free(a);
	link_free(b);
}

/* Frames of one write are announced once, before the first is handled. */
static void
test_arrival(void **unused)
{
	struct link *a, *b;
	int i;

	(void)unused;
	pair(&asker, &owner, &a, &b);
	for (i = 0; i < 10; i++)
		ask(a, NULL);
	turns();
	assert_int_equal(seen.asked, 10);
	assert_int_equal(seen.arrivals, 1);
	assert_int_equal(seen.asked_before, 0);
	ask(a, NULL);
	turns();
	assert_int_equal(seen.arrivals, 2);
	assert_int_equal(seen.asked_before, 10);
	link_free(a);
	link_free(b);
}

/* What is over the window waits in the asker and goes as answers come. */
static void
test_credit(void **unused)
{
	uint32_t window = wire_row(IMSG_RCPT_CHECK_REQ)->window, i;
	struct link *a, *b;

	(void)unused;
	pair(&asker, &owner, &a, &b);
	for (i = 0; i < window + 10; i++)
		ask(a, NULL);
	assert_int_equal(link_credit(a, IMSG_RCPT_CHECK_REQ), 0);
	turns();
	assert_int_equal(seen.asked, window);
	for (i = 0; i < 10; i++)
		answer(b, seen.ids[i]);
	turns();
	assert_int_equal(seen.asked, window + 10);
	assert_int_equal(seen.answered, 10);
	assert_int_equal(seen.closed, 0);
	link_free(a);
	link_free(b);
	assert_int_equal(seen.failed, window);
}

static void
test_forgotten_answer_is_dropped(void **unused)
{
	struct link *a, *b;

	(void)unused;
	pair(&asker, &owner, &a, &b);
	link_forget(a, ask(a, NULL));
	turns();
	answer(b, seen.ids[0]);
	turns();
	assert_int_equal(seen.answered, 0);
	assert_int_equal(seen.closed, 0);
	link_free(a);
	link_free(b);
}

static void
test_loss_fails_asks(void **unused)
{
	struct link *a, *b;

	(void)unused;
	pair(&asker, &owner, &a, &b);
	ask(a, NULL);
	turns();
	link_free(b);
	turns();
	assert_int_equal(seen.failed, 1);
	assert_int_equal(seen.closed, 1);
	assert_null(seen.why);
}

/* Who can have died of a question: not who never read one, nor who lives. */
static void
test_who_died(void **unused)
{
	struct link *a, *b;

	(void)unused;
	pair(&asker, &owner, &a, &b);
	ask(a, NULL);
	link_flush(a);
	link_free(b);
	turns();
	assert_int_equal(seen.failed, 1);
	assert_int_equal(seen.died, 0);
	pair(&asker, &owner, &a, &b);
	link_free(b);
	ask(a, NULL);
	turns();
	assert_int_equal(seen.failed, 1);
	assert_int_equal(seen.died, 0);
	pair(&asker, &owner, &a, &b);
	ask(a, NULL);
	turns();
	link_close(a);
	assert_int_equal(seen.failed, 1);
	assert_int_equal(seen.died, 0);
	link_free(b);
	pair(&asker, &owner, &a, &b);
	ask(a, NULL);
	turns();
	link_free(b);
	link_close(a);
	assert_int_equal(seen.failed, 1);
	assert_int_equal(seen.died, 1);
	pair(&asker, &owner, &a, &b);
	ask(a, NULL);
	turns();
	answer(b, seen.ids[0]);
	turns();
	ask(a, NULL);
	link_flush(a);
	link_free(b);
	turns();
	assert_int_equal(seen.failed, 1);
	assert_int_equal(seen.died, 1);
}

static void
test_descriptor_travels(void **unused)
{
	struct w_user_worker_req req = { .id = 7, .kind = WORKER_MAILBOX };
	struct w_user_worker_ans ans = { .id = 7, .verdict = USER_OK };
	struct link *a, *b;
	int fds[2];
	char c = 'x', got = 0;

	(void)unused;
	pair(&spoold, &deliver, &a, &b);
	assert_int_equal(pipe(fds), 0);
	link_ask(a, IMSG_USER_WORKER_REQ, &req, NULL, 0, -1, NULL);
	turns();
	link_answer(b, IMSG_USER_WORKER_ANS, seen.ids[0], &ans, NULL, 0,
	    fds[0]);
	turns();
	assert_int_not_equal(seen.fd, -1);
	assert_int_equal(write(fds[1], &c, 1), 1);
	assert_int_equal(read(seen.fd, &got, 1), 1);
	assert_int_equal(got, 'x');
	close(seen.fd);
	close(fds[1]);
	link_free(a);
	link_free(b);
}

/* Each ends a read, and yet all that came at once is one turn's. */
static void
test_descriptors_come_together(void **unused)
{
	struct w_user_worker_req req = { .id = 7, .kind = WORKER_MAILBOX };
	struct w_user_worker_ans ans = { .id = 7, .verdict = USER_OK };
	struct link *a, *b;
	int i, fds[2];

	(void)unused;
	pair(&spoold, &deliver, &a, &b);
	for (i = 0; i < 8; i++)
		link_ask(a, IMSG_USER_WORKER_REQ, &req, NULL, 0, -1, NULL);
	turns();
	assert_int_equal(seen.asked, 8);
	for (i = 0; i < 8; i++) {
		assert_int_equal(pipe(fds), 0);
		close(fds[1]);
		link_answer(b, IMSG_USER_WORKER_ANS, seen.ids[i], &ans, NULL,
		    0, fds[0]);
	}
	link_flush(b);
	event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(seen.answered, 8);
	close(seen.fd);
	link_free(a);
	link_free(b);
}

/* Send raw octets to an owner and expect its link to be closed. */
static void
violate(const void *octets, size_t length, const char *why)
{
	struct link *b;
	int fds[2];

	memset(&seen, 0, sizeof(seen));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    fds), 0);
	b = link_new(base, fds[0], &owner, NULL);
	assert_int_equal(write(fds[1], octets, length), length);
	turns();
	assert_int_equal(seen.closed, 1);
	assert_non_null(seen.why);
	assert_string_equal(seen.why, why);
	assert_int_equal(seen.asked, 0);
	(void)b;
	close(fds[1]);
}

static void
test_violations(void **unused)
{
	struct {
		struct frame_header	header;
		struct w_rcpt_check_req	req;
	} frame;

	(void)unused;
#define RESET() do {							\
	memset(&frame, 0, sizeof(frame));				\
	frame.header.type = IMSG_RCPT_CHECK_REQ;			\
	frame.header.length = sizeof(frame.req);			\
	frame.header.id = 1;						\
	frame.req.session = 1;						\
} while (0)
	RESET();
	frame.header.type = IMSG_MAX + 5;
	violate(&frame, sizeof(frame), "unknown type");
	RESET();
	frame.header.length = sizeof(frame.req) + 1;
	violate(&frame, sizeof(frame), "unknown type or wrong length");
	RESET();
	frame.header.length = UINT32_MAX;
	violate(&frame, sizeof(frame.header), "unknown type or wrong length");
	RESET();
	frame.req.session = 0;
	violate(&frame, sizeof(frame), "id is zero");
	RESET();
	frame.header.id = 0;
	violate(&frame, sizeof(frame), "request without id");
	RESET();
	memset(frame.req.recipient, 'a', sizeof(frame.req.recipient));
	violate(&frame, sizeof(frame), "unterminated string");
	RESET();
	frame.header.type = IMSG_RCPT_CHECK_ANS;
	frame.header.length = sizeof(struct w_rcpt_check_ans);
	violate(&frame, sizeof(frame.header) +
	    sizeof(struct w_rcpt_check_ans), "wrong sender");
}

/* Random octets never do more than close the link. */
static void
test_noise(void **unused)
{
	unsigned char noise[512];
	struct link *b;
	int fds[2], round;
	size_t i;

	(void)unused;
	srandom(20261121);
	for (round = 0; round < 50; round++) {
		memset(&seen, 0, sizeof(seen));
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		b = link_new(base, fds[0], &owner, NULL);
		for (i = 0; i < sizeof(noise); i++)
			noise[i] = (unsigned char)random();
		noise[0] = (unsigned char)(random() % IMSG_MAX);
		noise[1] = noise[2] = noise[3] = 0;
		assert_int_equal(write(fds[1], noise, sizeof(noise)),
		    sizeof(noise));
		close(fds[1]);
		turns();
		assert_int_equal(seen.closed, 1);
		(void)b;
	}
}

static void
test_answer_to_nothing(void **unused)
{
	struct {
		struct frame_header	header;
		struct w_rcpt_check_ans	ans;
	} frame = { .header = { .type = IMSG_RCPT_CHECK_ANS,
	    .length = sizeof(struct w_rcpt_check_ans), .id = 0x10001 },
	    .ans = { .session = 1 } };
	int fds[2];

	(void)unused;
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	link_new(base, fds[0], &asker, NULL);
	assert_int_equal(write(fds[1], &frame, sizeof(frame)), sizeof(frame));
	turns();
	assert_int_equal(seen.closed, 1);
	assert_string_equal(seen.why, "answer to nothing");
	close(fds[1]);
}

/* ---- frames without a loop ---- */

/* A worker's JOB of so many octets. */
static void
add_job(struct frame_out *out, uint64_t id, const char *body, int fd)
{
	static struct w_job_deliver_req job;

	job.id = id;
	job.size = strlen(body);
	link_add(out, IMSG_JOB_DELIVER_REQ, (uint32_t)id, &job, body,
	    strlen(body), fd);
}

static int
read_job(struct frame_in *in, int fd, struct frame *frame)
{
	const char *why;
	int result;

	result = link_read_buffered(in, fd, PROC_WORKER, PROC_SPOOLD, frame,
	    &why);
	assert_true((result == -1) == (why != NULL));
	return result;
}

static void
test_buffered(void **state)
{
	const struct w_job_deliver_req *job;
	struct frame_in in = { 0 };
	struct frame_out out = { 0 };
	struct frame frame;
	uint64_t id;
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_int_equal(read_job(&in, ends[1], &frame), 0);
	for (id = 1; id <= 5; id++)
		add_job(&out, id, id == 2 ? "odd" : "body",
		    id == 4 ? open("/dev/null", O_RDONLY) : -1);
	assert_int_equal(link_write_buffered(&out, ends[0]), 0);
	for (id = 1; id <= 5; id++) {
		assert_int_equal(read_job(&in, ends[1], &frame), 1);
		job = frame.payload;
		assert_int_equal(frame.id, id);
		assert_int_equal(job->id, id);
		assert_int_equal(frame.tail_length, id == 2 ? 3 : 4);
		assert_memory_equal(frame.tail, id == 2 ? "odd" : "body",
		    frame.tail_length);
		assert_true((frame.fd != -1) == (id == 4));
		if (frame.fd != -1)
			close(frame.fd);
	}
	assert_int_equal(read_job(&in, ends[1], &frame), 0);
	/* Id zero: what the table forbids, after what it allows. */
	add_job(&out, 6, "body", -1);
	add_job(&out, 0, "body", -1);
	assert_int_equal(link_write_buffered(&out, ends[0]), 0);
	assert_int_equal(read_job(&in, ends[1], &frame), 1);
	assert_int_equal(read_job(&in, ends[1], &frame), -1);
	frame_in_clear(&in);
	frame_out_clear(&out);
	close(ends[0]);
	close(ends[1]);
}

/*
 * The kernel lacks memory to send or to receive: the link waits for a moment
 * before each try, and in the end what waited arrives.
 */
static void
test_want_of_memory(void **state)
{
	struct link *a, *b;
	int way;

	(void)state;
	for (way = 0; way < 2; way++) {
		pair(&asker, &owner, &a, &b);
		ask(a, NULL);
		if (way == 1)
			link_flush(a);
		lack.tries = 0;
		lack.on = true;
		turns();
		lack.on = false;
		assert_in_range(lack.tries, 1, 5);
		assert_int_equal(seen.asked, 0);
		while (seen.asked == 0)
			turns();
		assert_int_equal(seen.closed, 0);
		link_free(a);
		link_free(b);
	}
}

/* So does who waits for nothing else; and a link that cannot be watched. */
static void
test_want_of_memory_at_the_ends(void **state)
{
	struct link *a, *b;

	(void)state;
	unwatched = 2;
	pair(&asker, &owner, &a, &b);
	assert_int_equal(unwatched, 0);
	ask(a, NULL);
	lack.tries = 0;
	lack.most = 2;
	lack.on = true;
	alarm(10);
	link_drain(a);
	alarm(0);
	lack.on = false;
	lack.most = 0;
	assert_int_equal(link_output(a), 0);
	while (seen.asked == 0)
		turns();
	link_free(a);
	link_free(b);
}

/* A type, a length and an end that are wrong. */
static void
test_buffered_wrong(void **state)
{
	struct frame_header header = { .type = IMSG_MAX, .length = 8 };
	struct frame_in in = { 0 };
	struct frame frame;
	int ends[2], i;

	(void)state;
	for (i = 0; i < 4; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends),
		    0);
		header.type = i == 0 ? IMSG_MAX : IMSG_JOB_DELIVER_REQ;
		header.length = i == 1 ? UINT32_MAX : i == 2 ? 8 :
		    sizeof(struct w_job_deliver_req);
		assert_int_equal(write(ends[0], &header, sizeof(header)),
		    sizeof(header));
		close(ends[0]);
		assert_int_equal(read_job(&in, ends[1], &frame), -1);
		frame_in_clear(&in);
		close(ends[1]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ask_and_answer),
		cmocka_unit_test(test_arrival),
		cmocka_unit_test(test_credit),
		cmocka_unit_test(test_forgotten_answer_is_dropped),
		cmocka_unit_test(test_loss_fails_asks),
		cmocka_unit_test(test_who_died),
		cmocka_unit_test(test_descriptor_travels),
		cmocka_unit_test(test_descriptors_come_together),
		cmocka_unit_test(test_violations),
		cmocka_unit_test(test_answer_to_nothing),
		cmocka_unit_test(test_noise),
		cmocka_unit_test(test_buffered),
		cmocka_unit_test(test_buffered_wrong),
		cmocka_unit_test(test_want_of_memory),
		cmocka_unit_test(test_want_of_memory_at_the_ends),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	log_start("link_test", false);
	base = loop_new();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
