/*
 * smtpd: leases, messages handed over, one or many, and their verdicts.
 */
#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "queueid.h"
#include "standin.h"

static void
on_lease(struct link *link, struct frame *frame, void *arg)
{
	const struct w_txn_lease_ntf	*lease = frame->payload;

	(void)link;
	(void)arg;
	s.leases[s.lease_count].first = lease->first;
	s.leases[s.lease_count++].end = lease->first + lease->count;
}

static void
on_state(struct link *link, struct frame *frame, void *arg)
{
	const struct w_txn_state_ntf	*state = frame->payload;

	(void)link;
	(void)arg;
	s.takes_mail = state->takes_mail != 0;
}

static void
on_body_ans(struct link *link, struct frame *frame, void *arg)
{
	(void)link;
	(void)frame;
	(void)arg;
}

static void
on_commit_ans(struct link *link, struct frame *frame, void *arg)
{
	const struct w_txn_commit_ans	*answer = frame->payload;

	(void)link;
	(void)arg;
	s.verdict = answer != NULL ? answer->verdict : 0;
	s.answered = true;
	if (s.verdict == TXN_OK)
		s.committed++;
}

static const struct link_handler smtpd_handlers[] = {
	{ IMSG_TXN_LEASE_NTF,	on_lease },
	{ IMSG_TXN_STATE_NTF,	on_state },
	{ IMSG_TXN_BODY_ANS,	on_body_ans },
	{ IMSG_TXN_COMMIT_ANS,	on_commit_ans },
	{ IMSG_NONE,		NULL }
};

const struct link_role smtpd_role = {
	.self = PROC_SMTPD, .peer = PROC_SPOOLD, .handlers = smtpd_handlers,
	.closed = on_end
};

static uint64_t
take_id(void)
{
	uint64_t	 id = s.leases[0].first++;

	if (s.leases[0].first == s.leases[0].end) {
		memmove(&s.leases[0], &s.leases[1],
		    (size_t)--s.lease_count * sizeof(s.leases[0]));
	}
	return id;
}

/* Hand over a message; recipients are separated by commas. */
static uint64_t
send_message(const char *sender, const char *recipients, const char *body,
    size_t size)
{
	struct w_txn_open_ntf	 open = { .arrival = clock_now() };
	struct w_txn_rcpt_ntf	 rcpt = { .notify = 0 };
	struct w_txn_body_req	 piece = { .offset = 0 };
	struct w_txn_commit_req	 commit = { .size = size };
	char			*copy = strdup(recipients), *next, *one;
	size_t			 n;

	open.id = rcpt.id = piece.id = commit.id = take_id();
	open.client.standing = STANDING_LOCAL;
	open.client.uid = 1000;
	(void)snprintf(open.sender, sizeof(open.sender), "%s",
	    strcmp(sender, "<>") == 0 ? "" : sender);
	link_tell(s.smtpd, IMSG_TXN_OPEN_NTF, &open, NULL, 0, -1);
	for (next = copy; (one = strsep(&next, ",")) != NULL;) {
		rcpt.notify = *one == '!' ? NOTIFY_SUCCESS : 0;
		(void)snprintf(rcpt.address, sizeof(rcpt.address), "%s", one +
		    (*one == '!'));
		link_tell(s.smtpd, IMSG_TXN_RCPT_NTF, &rcpt, NULL, 0, -1);
	}
	free(copy);
	for (; size > WIRE_INLINE && piece.offset < size; piece.offset += n) {
		n = size - piece.offset < WIRE_PIECE ? size - piece.offset :
		    WIRE_PIECE;
		(void)link_ask(s.smtpd, IMSG_TXN_BODY_REQ, &piece, body +
		    piece.offset, n, -1, NULL);
	}
	s.answered = false;
	if (size <= WIRE_INLINE)
		(void)link_ask(s.smtpd, IMSG_TXN_COMMIT_REQ, &commit, body,
		    size, -1, NULL);
	return commit.id;
}

/* The commit of a large body, when its pieces were taken. */
static bool
pieces_are_taken(void)
{
	return s.smtpd == NULL ||
	    link_credit(s.smtpd, IMSG_TXN_BODY_REQ) == 8;
}

static bool
is_answered(void)
{
	return s.answered;
}

/* ---- commands ---- */

/* An id, and somebody to send it to. */
static bool
has_lease(void)
{
	return s.lease_count > 0 && s.smtpd != NULL;
}

static char *
make_body(size_t size)
{
	static const char	 header[] =
	    "Subject: test\r\nX-Mark: kept\r\n\r\n";
	char			*body = malloc(size + 1);
	size_t			 i;

	if (body == NULL)
		err(1, NULL);
	for (i = 0; i < size; i++)
		body[i] = i < sizeof(header) - 1 ? header[i] :
		    i % 64 == 62 ? '\r' : i % 64 == 63 ? '\n' : 'x';
	return body;
}

void
command_send(const char *sender, const char *recipients, size_t size)
{
	struct w_txn_commit_req	 commit = { .size = size };
	char			*body = make_body(size);
	char			 id[QUEUEID_LENGTH + 1];

	if (!run_until(has_lease, 10)) {
		puts("no lease");
		return;
	}
	commit.id = send_message(sender, recipients, body, size);
	if (size > WIRE_INLINE) {
		(void)run_until(pieces_are_taken, 10);
		if (s.smtpd == NULL) {
			free(body);
			puts("no link");
			return;
		}
		(void)link_ask(s.smtpd, IMSG_TXN_COMMIT_REQ, &commit, NULL, 0,
		    -1, NULL);
	}
	free(body);
	if (!run_until(is_answered, 10))
		puts("no answer");
	else
		printf("%s %s %llu\n", s.verdict == TXN_OK ? "ok" : "no",
		    queueid_print(commit.id, id),
		    (unsigned long long)s.verdict);
}

static long	 wanted;

static bool
all_committed(void)
{
	return s.committed >= wanted;
}

static bool
all_delivered(void)
{
	return s.delivered >= wanted;
}

/* Many messages, some of them unanswered at a time; how long it took. */
void
command_bench(long count, long at_once, size_t size, const char *recipient)
{
	char	*body = make_body(size);
	int64_t	 began = clock_monotonic(), middle, end;
	long	 i;

	s.quiet = true;
	s.committed = s.delivered = 0;
	(void)run_until(has_lease, 10);
	for (i = 0; i < count; i++) {
		wanted = i - at_once + 1;
		if (!run_until(all_committed, 60) || !run_until(has_lease, 10))
			break;
		(void)send_message("a@b.test", recipient, body, size);
	}
	wanted = count;
	(void)run_until(all_committed, 60);
	middle = clock_monotonic();
	(void)run_until(all_delivered, 120);
	end = clock_monotonic();
	s.quiet = false;
	printf("ok %ld %ld accept %.0f/s whole %.0f/s\n", s.committed,
	    s.delivered, (double)count * 1e6 / (double)(middle - began),
	    (double)count * 1e6 / (double)(end - began));
	free(body);
}

/*
 * Many messages, without waiting for what becomes of them; so far apart that
 * some are committed while others wait for the disk.
 */
void
command_flood(long count, const char *recipient)
{
	char	*body = make_body(100);
	long	 i;

	s.committed = 0;
	for (i = 0; i < count; i++) {
		wanted = i - 100 + 1;
		if (!run_until(all_committed, 60) || !run_until(has_lease, 10))
			break;
		(void)send_message("a@b.test", recipient, body, 100);
		if (i % 16 == 15) {
			drain_all();
			(void)usleep(2000);
		}
	}
	wanted = count;
	(void)run_until(all_committed, 60);
	printf("ok %ld\n", s.committed);
	free(body);
}
