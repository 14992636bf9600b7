/*
 * Stands in for postmaster, smtpd, policyd, deliver with its workers, relay
 * and ctl around one real process of spoold.
 *
 *   standin SPOOLD DIRECTORY [KEY=VALUE ...]
 *
 * The spool is DIRECTORY; the settings are those of [core], and of sections
 * whose heads are given like settings.  A line on
 * standard input is obeyed and answered by lines of which the last begins
 * with "ok" or "no".  What is delivered, and what else befalls a recipient,
 * is a line of the file DIRECTORY/../events each.
 *
 * An address's local part says what becomes of it: a word, and what follows
 * a dash.  policyd: local-ACCOUNT relay-HOST hop-HOP mx-ANY (by the mail
 * exchangers of the address's domain) list-A_B long-COUNT empty mailer-ANY odd
 * unknown refuse-CODE defer discard, and dies closes its link.  A worker: the account ok takes, fail refuses,
 * later defers, dies closes its link, hangs never answers until it ends, forward expands to
 * local-ok and to |program, many to 600 addresses, nobody to none.  relay: the
 * host (or the first label of the domain) ok takes, fail refuses, dead defers and is closed for 300 seconds,
 * shut as long as can be, hold waits until it is told what to answer, mood
 * defers until it is told to be ok, dsn takes and reports itself.  What a
 * worker takes is the file DIRECTORY/../ID.ROW.  A ! before an address that is
 * sent to asks for a report of success.
 *
 * To be explained are relay-HOST, mx and postmaster at a domain that begins
 * with mx or dead; all else is local.  relay tells what it was asked and that ok takes
 * it, all others not; about hangs it says nothing, about dies it dies.
 */
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <err.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "link.h"
#include "log.h"
#include "loop.h"
#include "queueid.h"

#define RECIPIENTS_MAX	256
#define RELAYS		2	/* the first is the one for Unix sockets */
#define HELD_MAX	64

/* A transaction that relay has. */
struct transaction {
	struct link	*link;
	uint32_t	 frame;
	struct w_relay_deliver_req request;
	uint32_t	 rows[RECIPIENTS_MAX];
	uint32_t	 count;
};

static struct {
	struct event_base *base;
	const char	*program;
	const char	*directory;
	char		 conf[4096];
	FILE		*events;
	pid_t		 pid;
	int		 start;			/* postmaster's link */
	struct link	*smtpd;
	struct link	*policyd;
	int		 silent;		/* a policyd that reads nothing */
	struct link	*deliver;
	struct link	*relays[RELAYS];
	struct link	*hanging;		/* the worker that hangs */
	uint64_t	 hanging_id;
	bool		 is_stuck;		/* nothing ends it */
	bool		 is_cured;		/* the next does not hang */
	struct { uint64_t first, end; } leases[16];
	int		 lease_count;
	int		 takes_mail;
	uint64_t	 verdict;		/* of the commit asked last */
	bool		 answered;
	struct transaction coming[RELAYS];	/* its recipients */
	long		 transactions[RELAYS];
	struct transaction held[HELD_MAX];	/* the oldest first */
	uint32_t	 held_count;
	bool		 is_good;		/* what the host mood says */
	long		 delivered;
	long		 committed;
	bool		 quiet;			/* no line per delivery */
} s;

static void
event_line(const char *what, uint64_t id, uint32_t row, const char *text)
{
	char	 printed[QUEUEID_LENGTH + 1];

	if (s.quiet)
		return;
	fprintf(s.events, "%s %s %u %s\n", what, queueid_print(id, printed),
	    row, text);
	fflush(s.events);
}

/* Those that begin with spoold; each is NULL when it has ended. */
static struct link **const links[] = {
	&s.smtpd, &s.policyd, &s.deliver, &s.relays[0], &s.relays[1]
};

static void
drain_all(void)
{
	size_t	 i;

	for (i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (*links[i] != NULL)
			link_drain(*links[i]);
}

/* spoold has ended, or has thrown this one out. */
static void
on_end(struct link *link, const char *why, void *arg)
{
	size_t	 i;

	(void)why;
	(void)arg;
	for (i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (*links[i] == link)
			*links[i] = NULL;
	for (i = 0; i < s.held_count;)
		if (s.held[i].link == link)
			memmove(&s.held[i], &s.held[i + 1], (--s.held_count -
			    i) * sizeof(s.held[0]));
		else
			i++;
}

/* Run the loop until a condition holds; false after some seconds. */
static bool
run_until(bool (*holds)(void), int seconds)
{
	int64_t	 end = clock_monotonic() + seconds * SECOND;
	struct timeval	 wait = { .tv_usec = 100000 };

	while (!holds()) {
		if (clock_monotonic() > end)
			return false;
		event_base_loopexit(s.base, &wait);
		event_base_loop(s.base, EVLOOP_ONCE);
		drain_all();
	}
	return true;
}

static bool
never(void)
{
	return false;
}

/* ---- smtpd ---- */

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

static const struct link_role smtpd_role = {
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

/* ---- policyd ---- */

static void
put_target(char *tail, size_t *length, enum target_place place,
    const char *text)
{
	struct w_target	 target = {
		.length = (uint32_t)strlen(text) + 1, .kind = place
	};

	memcpy(tail + *length, &target, sizeof(target));
	memcpy(tail + *length + sizeof(target), text, target.length);
	*length += sizeof(target) + target.length;
}

/* The next members of a list of so many, of which the last is itself. */
static void
put_long(struct w_route_resolve_ans *answer, uint32_t from, uint32_t total,
    char *tail, size_t *length)
{
	char	 member[WIRE_ADDRESS];

	answer->kind = ROUTE_LIST;
	for (; from < total && answer->count < WIRE_TARGETS; from++) {
		(void)snprintf(member, sizeof(member), "discard-%u@here",
		    from);
		put_target(tail, length, TARGET_ROUTED, from + 1 == total ?
		    answer->address : member);
		answer->count++;
	}
	answer->more = from < total;
}

static void
on_resolve(struct link *link, struct frame *frame, void *arg)
{
	const struct w_route_resolve_req	*question = frame->payload;
	struct w_route_resolve_ans		 answer;
	char					 word[WIRE_ADDRESS], *rest;
	char					 tail[16384], *one;
	size_t					 length = 0;

	(void)arg;
	memset(&answer, 0, sizeof(answer));
	answer.id = question->id;
	answer.recipient = question->recipient;
	(void)snprintf(answer.address, sizeof(answer.address), "%s",
	    question->address);
	(void)strcpy(answer.where, "postmaster.cf:7");
	(void)snprintf(answer.domain, sizeof(answer.domain), "%s",
	    strchr(question->address, '@') != NULL ?
	    strchr(question->address, '@') + 1 : "");
	(void)snprintf(word, sizeof(word), "%s", question->address);
	word[strcspn(word, "@")] = '\0';
	rest = word + strcspn(word, "-");
	if (*rest != '\0')
		*rest++ = '\0';
	answer.kind = ROUTE_UNKNOWN;
	answer.code = 550;
	if (strcmp(word, "dies") == 0) {
		event_line("died", question->id, question->recipient, "");
		link_free(link);
		s.policyd = NULL;
		return;
	}
	if (strcmp(word, "local") == 0) {
		answer.kind = ROUTE_LOCAL;
		answer.worker = WORKER_MAILBOX;
		(void)snprintf(answer.account, sizeof(answer.account), "%s",
		    rest);
	} else if (strcmp(word, "mailer") == 0) {
		answer.kind = ROUTE_MAILER;
		answer.worker = WORKER_PROGRAM;
		answer.mailer = 1;
		answer.max_recipients = 10;
		(void)strcpy(answer.account, "ok");
	} else if (strcmp(word, "relay") == 0) {
		answer.kind = ROUTE_RELAY;
		(void)snprintf(answer.hop, sizeof(answer.hop), "relay(%s)",
		    rest);
	} else if (strcmp(word, "hop") == 0) {
		answer.kind = ROUTE_RELAY;
		(void)snprintf(answer.hop, sizeof(answer.hop), "%s", rest);
	} else if (strcmp(word, "mx") == 0) {
		answer.kind = ROUTE_RELAY;
		(void)strcpy(answer.hop, "relay()");
		(void)strcpy(answer.exchange, answer.domain);
	} else if (strcmp(word, "odd") == 0) {
		answer.kind = ROUTE_LOCAL;
		answer.worker = 4711;
		(void)strcpy(answer.account, "ok");
	} else if (strcmp(word, "list") == 0) {
		answer.kind = ROUTE_LIST;
		while ((one = strsep(&rest, "_")) != NULL) {
			put_target(tail, &length, TARGET_ROUTED, one);
			answer.count++;
		}
	} else if (strcmp(word, "empty") == 0)
		answer.kind = ROUTE_LIST;
	else if (strcmp(word, "long") == 0)
		put_long(&answer, question->skip, (uint32_t)atoi(rest), tail,
		    &length);
	else if (strcmp(word, "refuse") == 0) {
		answer.kind = ROUTE_REFUSE;
		if (*rest != '\0')
			answer.code = (uint32_t)atoi(rest);
		(void)snprintf(answer.text, sizeof(answer.text),
		    "%s.7.26 go away", answer.code < 500 ? "4" : "5");
	} else if (strcmp(word, "defer") == 0) {
		answer.kind = ROUTE_DEFER;
		answer.code = 451;
		(void)strcpy(answer.text, "no table");
	} else if (strcmp(word, "discard") == 0)
		answer.kind = ROUTE_DISCARD;
	link_answer(link, IMSG_ROUTE_RESOLVE_ANS, frame->id, &answer, tail,
	    length, -1);
}

static void
on_route_explain(struct link *link, struct frame *frame, void *arg)
{
	const struct w_route_explain_req	*question = frame->payload;
	struct w_route_explain_ans		 answer;
	const char				*at, *text = "the steps\n";

	(void)arg;
	memset(&answer, 0, sizeof(answer));
	answer.id = question->id;
	answer.kind = ROUTE_LOCAL;
	(void)snprintf(answer.address, sizeof(answer.address), "%s",
	    question->address);
	at = strrchr(question->address, '@');
	if (strncmp(question->address, "relay-", 6) == 0 && at != NULL) {
		answer.kind = ROUTE_RELAY;
		(void)snprintf(answer.hop, sizeof(answer.hop), "relay(%.*s)",
		    (int)(at - question->address - 6), question->address + 6);
	} else if (at != NULL && (strncmp(at, "@mx", 3) == 0 ||
	    strncmp(at, "@dead", 5) == 0 ||
	    strncmp(question->address, "mx@", 3) == 0)) {
		answer.kind = ROUTE_RELAY;
		(void)strcpy(answer.hop, "relay()");
		(void)snprintf(answer.exchange, sizeof(answer.exchange), "%s",
		    at + 1);
	}
	link_answer(link, IMSG_ROUTE_EXPLAIN_ANS, frame->id, &answer, text,
	    strlen(text), -1);
}

static const struct link_handler policyd_handlers[] = {
	{ IMSG_ROUTE_RESOLVE_REQ,	on_resolve },
	{ IMSG_ROUTE_EXPLAIN_REQ,	on_route_explain },
	{ IMSG_NONE,			NULL }
};

static const struct link_role policyd_role = {
	.self = PROC_POLICYD, .peer = PROC_SPOOLD,
	.handlers = policyd_handlers, .closed = on_end
};

/* ---- deliver and its workers ---- */

/* Keep a body that was delivered. */
static void
keep_body(const struct w_job_deliver_req *job, const void *body, size_t size)
{
	char	 path[512], id[QUEUEID_LENGTH + 1];
	FILE	*out;

	if (s.quiet || job->body_in_file)
		return;
	(void)snprintf(path, sizeof(path), "%s/../%s.%u", s.directory,
	    queueid_print(job->id, id), job->recipient);
	if ((out = fopen(path, "w")) == NULL)
		err(1, "%s", path);
	fprintf(out, "sender=%s\n", job->sender);
	(void)fwrite(body, 1, size, out);
	fclose(out);
}

static void
on_job(struct link *link, struct frame *frame, void *arg)
{
	const struct w_job_deliver_req	*job = frame->payload;
	const char			*account = arg;
	struct w_job_deliver_ans	 answer;
	char				 tail[16384], one[64];
	size_t				 length = 0;
	const char			*body = frame->tail;
	size_t				 size = frame->tail_length;
	struct stat			 st;
	int				 i, total;

	for (i = 0; i < job->more_addresses; i++) {
		size -= strlen(body) + 1;
		body += strlen(body) + 1;
	}
	memset(&answer, 0, sizeof(answer));
	answer.id = job->id;
	answer.recipient = job->recipient;
	answer.verdict = JOB_DONE;
	(void)snprintf(answer.place, sizeof(answer.place), "/home/%s",
	    account);
	if (job->body_in_file ? fstat(frame->fd, &st) == -1 ||
	    (uint64_t)st.st_size != job->size : size != job->size)
		errx(1, "a body that is not as long as it says");
	if (strcmp(account, "fail") == 0) {
		answer.verdict = JOB_FAILED;
		(void)strcpy(answer.status, "5.2.2");
		(void)strcpy(answer.text, "the mailbox is full for ever");
	} else if (strcmp(account, "later") == 0) {
		answer.verdict = JOB_DEFERRED;
		(void)strcpy(answer.status, "4.2.2");
		(void)strcpy(answer.text, "over quota");
	} else if (strcmp(account, "hangs") == 0 && !s.is_cured) {
		event_line("hangs", job->id, job->recipient, "");
		s.hanging = link;
		return;
	} else if (strcmp(account, "dies") == 0) {
		event_line("died", job->id, job->recipient, "");
		link_free(link);
		return;
	} else if (strcmp(account, "forward") == 0 &&
	    job->method == JOB_LOCAL) {
		answer.verdict = JOB_EXPANDED;
		put_target(tail, &length, TARGET_ROUTED, "local-ok@here");
		put_target(tail, &length, TARGET_FORWARD, "|program");
		answer.count = 2;
	} else if (strcmp(account, "many") == 0 ||
	    strcmp(account, "nobody") == 0) {
		answer.verdict = JOB_EXPANDED;
		total = strcmp(account, "many") == 0 ? 600 : 0;
		for (i = (int)job->skip; i < total && answer.count <
		    WIRE_TARGETS; i++) {
			(void)snprintf(one, sizeof(one), "discard-%d@here", i);
			put_target(tail, &length, TARGET_ROUTED, one);
			answer.count++;
		}
		answer.more = i < total;
	}
	s.delivered += answer.verdict == JOB_DONE;
	if (answer.verdict == JOB_DONE)
		keep_body(job, body, size);
	if (job->more_addresses > 0)
		event_line("together", job->id, job->more_addresses + 1, "");
	event_line(answer.verdict == JOB_DONE ? "delivered" : "tried",
	    job->id, job->recipient, job->text[0] != '\0' ? job->text :
	    account);
	link_answer(link, IMSG_JOB_DELIVER_ANS, frame->id, &answer, tail,
	    length, -1);
	link_flush(link);
}

static const struct link_handler worker_handlers[] = {
	{ IMSG_JOB_DELIVER_REQ,	on_job },
	{ IMSG_NONE,		NULL }
};

static void
on_worker_end(struct link *link, const char *why, void *arg)
{
	(void)why;
	if (s.hanging == link)
		s.hanging = NULL;
	free(arg);
}

static const struct link_role worker_role = {
	.self = PROC_WORKER, .peer = PROC_SPOOLD,
	.handlers = worker_handlers, .closed = on_worker_end
};

static void
on_user_worker(struct link *link, struct frame *frame, void *arg)
{
	const struct w_user_worker_req	*question = frame->payload;
	struct w_user_worker_ans	 answer = {
		.id = question->id, .verdict = USER_OK
	};
	int				 pair[2];

	(void)arg;
	if (strcmp(question->name, "hangs") == 0) {
		if (s.is_stuck) {
			event_line("stuck", question->id, 0, question->name);
			answer.verdict = USER_STUCK;
			link_answer(link, IMSG_USER_WORKER_ANS, frame->id,
			    &answer, NULL, 0, -1);
			return;
		}
		s.hanging_id = question->id;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1)
		err(1, "socketpair");
	(void)link_new(s.base, pair[0], &worker_role, strdup(question->name));
	link_answer(link, IMSG_USER_WORKER_ANS, frame->id, &answer, NULL, 0,
	    pair[1]);
}

static void
on_user_kill(struct link *link, struct frame *frame, void *arg)
{
	(void)link;
	(void)frame;
	(void)arg;
}

static const struct link_handler deliver_handlers[] = {
	{ IMSG_USER_WORKER_REQ,	on_user_worker },
	{ IMSG_USER_KILL_NTF,	on_user_kill },
	{ IMSG_NONE,		NULL }
};

static const struct link_role deliver_role = {
	.self = PROC_DELIVER, .peer = PROC_SPOOLD,
	.handlers = deliver_handlers, .closed = on_end
};

/* Nothing ends the worker that hangs. */
static void
command_stuck(void)
{
	struct w_user_stuck_ntf	 ntf = { .id = s.hanging_id };

	s.is_stuck = s.hanging != NULL;
	if (s.is_stuck)
		link_tell(s.deliver, IMSG_USER_STUCK_NTF, &ntf, NULL, 0, -1);
	puts(s.is_stuck ? "ok" : "no");
}

/* It has ended after all. */
static void
command_ended(void)
{
	struct w_user_ended_ntf	 ntf = { .id = s.hanging_id, .status = 9 };

	link_tell(s.deliver, IMSG_USER_ENDED_NTF, &ntf, NULL, 0, -1);
	s.is_stuck = false;
	s.is_cured = true;
	puts("ok");
}

/* ---- links ---- */

static void
tell_start(enum imsg_type type, const void *payload, int fd)
{
	if (link_write_blocking(s.start, type, 0, payload, NULL, 0, fd) == -1)
		err(1, "the start link");
}

static int
make_peer(enum process process, uint32_t instance)
{
	struct w_start_peer_ntf	 peer;
	int			 pair[2];

	memset(&peer, 0, sizeof(peer));
	peer.process = process;
	peer.instance = instance;
	peer.may_claim_local = 1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		err(1, "socketpair");
	tell_start(IMSG_START_PEER_NTF, &peer, pair[1]);
	close(pair[1]);
	return pair[0];
}

static struct link *
link_peer(enum process process, uint32_t instance,
    const struct link_role *role)
{
	return link_new(s.base, make_peer(process, instance), role,
	    (void *)(uintptr_t)instance);
}

/* ---- relay ---- */

static const struct link_role relay_role;

static void
on_relay_rcpt(struct link *link, struct frame *frame, void *arg)
{
	const struct w_relay_rcpt_ntf	*rcpt = frame->payload;
	struct transaction		*coming = &s.coming[(uintptr_t)arg];

	(void)link;
	if (coming->count == RECIPIENTS_MAX)
		errx(1, "too many recipients in a transaction");
	coming->rows[coming->count++] = rcpt->recipient;
}

/* What the host of a hop is called. */
static void
print_host(const struct w_relay_deliver_req *request, char *host, size_t size)
{
	if (request->exchange[0] != '\0')
		(void)snprintf(host, size, "%.*s",
		    (int)strcspn(request->exchange, "."), request->exchange);
	else if (strncmp(request->hop, "relay(", 6) == 0)
		(void)snprintf(host, size, "%.*s",
		    (int)strcspn(request->hop + 6, ")"), request->hop + 6);
	else
		(void)snprintf(host, size, "%s", request->hop);
}

/* Answer a transaction as that host does; closed for so many seconds. */
static void
answer_relay(const struct transaction *transaction, const char *host,
    int64_t closed)
{
	const struct w_relay_deliver_req	*request =
						    &transaction->request;
	struct w_relay_deliver_ans		 answer = {
		.transaction = request->transaction
	};
	struct w_relay_result_ntf		 result;
	char					 text[WIRE_TARGET + WIRE_DOMAIN + 8];
	uint32_t				 i;

	(void)snprintf(text, sizeof(text), "%s%s%s", request->exchange,
	    request->exchange[0] != '\0' ? " by " : "", request->hop);
	(void)strcpy(answer.host, "mx.there[192.0.2.1]:25");
	(void)strcpy(answer.tls, "TLSv1.3 verified");
	if (closed > 0)
		answer.closed_until = closed == INT64_MAX ? closed :
		    clock_now() + closed * SECOND;
	memset(&result, 0, sizeof(result));
	result.transaction = request->transaction;
	if (strcmp(host, "fail") == 0) {
		result.verdict = RELAY_FAILED;
		(void)strcpy(result.status, "5.1.1");
		(void)strcpy(result.text, "550 5.1.1 nobody");
		result.stage = STAGE_RCPT;
		result.replied = 1;
		answer.reached = 1;
	} else if (strcmp(host, "broken") == 0) {
		result.verdict = RELAY_DEFERRED;
		(void)strcpy(result.status, "4.4.1");
		(void)strcpy(result.text, "connection refused");
		result.stage = STAGE_CONNECT;
	} else {
		result.verdict = RELAY_DONE;
		(void)strcpy(result.status, "2.0.0");
		(void)strcpy(result.text, "250 2.0.0 taken");
		result.stage = STAGE_MESSAGE;
		result.replied = 1;
		result.dsn = strcmp(host, "dsn") == 0;
		answer.reached = 1;
	}
	for (i = 0; i < transaction->count; i++) {
		result.recipient = transaction->rows[i];
		event_line(result.verdict == RELAY_DONE ? "relayed" :
		    "tried", request->id, result.recipient, text);
		link_tell(transaction->link, IMSG_RELAY_RESULT_NTF, &result,
		    NULL, 0, -1);
	}
	link_answer(transaction->link, IMSG_RELAY_DELIVER_ANS,
	    transaction->frame, &answer, NULL, 0, -1);
}

/* Answer the oldest of those that are held. */
static void
command_let(int count, const char *how, int closed)
{
	int	 i;

	for (i = 0; i < count && s.held_count > 0; i++) {
		answer_relay(&s.held[0], how, closed);
		memmove(&s.held[0], &s.held[1], --s.held_count *
		    sizeof(s.held[0]));
	}
	(void)run_until(never, 1);
	printf("ok %u\n", s.held_count);
}

static void
on_relay_deliver(struct link *link, struct frame *frame, void *arg)
{
	struct transaction	*coming = &s.coming[(uintptr_t)arg];
	char			 host[WIRE_TARGET];

	coming->request = *(const struct w_relay_deliver_req *)frame->payload;
	coming->link = link;
	coming->frame = frame->id;
	if (coming->count != coming->request.recipients)
		errx(1, "recipients of a transaction are missing");
	s.transactions[(uintptr_t)arg]++;
	print_host(&coming->request, host, sizeof(host));
	if (strcmp(host, "hold") == 0) {
		if (s.held_count == HELD_MAX)
			errx(1, "too many transactions are held");
		s.held[s.held_count++] = *coming;
	} else if (strcmp(host, "dead") == 0)
		answer_relay(coming, "broken", 300);
	else if (strcmp(host, "shut") == 0)
		answer_relay(coming, "broken", INT64_MAX);
	else
		answer_relay(coming, strcmp(host, "mood") != 0 ? host :
		    s.is_good ? "ok" : "broken", 0);
	coming->count = 0;
}

static void
on_relay_explain(struct link *link, struct frame *frame, void *arg)
{
	static const char *const		 questions[] = {
		[RELAY_STATE] = "state", [RELAY_HOSTS] = "hosts",
		[RELAY_PROBE] = "probe"
	};
	const struct w_relay_explain_req	*question = frame->payload;
	struct w_relay_explain_ans		 answer = {
		.id = question->id
	};
	char					 text[4096];

	if (strcmp(question->hop, "relay(hangs)") == 0)
		return;
	if (strcmp(question->hop, "relay(dies)") == 0) {
		link_free(link);
		s.relays[(uintptr_t)arg] = link_peer(PROC_RELAY,
		    (uint32_t)(uintptr_t)arg, &relay_role);
		return;
	}
	answer.good = strcmp(question->hop, "relay(ok)") == 0;
	(void)snprintf(text, sizeof(text), "%s of %s for %s\nfrom <%s> to"
	    " <%s>\n%s\n", questions[question->question], question->hop,
	    question->exchange, question->sender, question->address,
	    answer.good ? "250 well\001" : "550 5.1.1 nobody");
	link_answer(link, IMSG_RELAY_EXPLAIN_ANS, frame->id, &answer, text,
	    strlen(text), -1);
}

static const struct link_handler relay_handlers[] = {
	{ IMSG_RELAY_EXPLAIN_REQ,	on_relay_explain },
	{ IMSG_RELAY_RCPT_NTF,		on_relay_rcpt },
	{ IMSG_RELAY_DELIVER_REQ,	on_relay_deliver },
	{ IMSG_NONE,			NULL }
};

static const struct link_role relay_role = {
	.self = PROC_RELAY, .peer = PROC_SPOOLD, .handlers = relay_handlers,
	.closed = on_end
};

/* ---- postmaster ---- */

static int
make_control(void)
{
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };
	int			 fd;

	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/../control",
	    s.directory);
	(void)unlink(sun.sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1 || bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    listen(fd, 8) == -1)
		err(1, "%s", sun.sun_path);
	return fd;
}

static void
tell_config(void)
{
	struct w_start_config_ntf	 config = { .generation = 1 };
	int				 fd;

	fd = memfd_create("conf", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd == -1 || write(fd, s.conf, strlen(s.conf)) == -1 ||
	    lseek(fd, 0, SEEK_SET) == -1)
		err(1, "memfd");
	tell_start(IMSG_START_CONFIG_NTF, &config, fd);
	close(fd);
}

static void
tell_log(void)
{
	struct w_start_log_ntf	 log;
	char			 path[512];
	int			 fd;

	memset(&log, 0, sizeof(log));
	log.kind = WIRE_LOG_FILE;
	(void)strcpy(log.name, "log");
	(void)strcpy(log.ident, "spoold");
	(void)snprintf(path, sizeof(path), "%s/../log", s.directory);
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd == -1)
		err(1, "%s", path);
	tell_start(IMSG_START_LOG_NTF, &log, fd);
	close(fd);
}

static void
start_spoold(void)
{
	struct w_start_listener_ntf	 listener;
	struct w_start_go_ntf		 go;
	struct pollfd			 up[2] = { { .events = POLLIN } };
	int				 pair[2], event, control;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1 ||
	    (event = eventfd(0, EFD_CLOEXEC)) == -1)
		err(1, "start");
	if ((s.pid = fork()) == -1)
		err(1, "fork");
	if (s.pid == 0) {
		dup2(pair[1], 100);
		dup2(event, 101);
		dup2(100, 3);
		dup2(101, 4);
		close_range(5, ~0U, 0);
		execl(s.program, s.program, "0", (char *)NULL);
		err(1, "%s", s.program);
	}
	close(pair[1]);
	s.start = pair[0];
	tell_config();
	tell_log();
	memset(&listener, 0, sizeof(listener));
	listener.local = 1;
	control = make_control();
	tell_start(IMSG_START_LISTENER_NTF, &listener, control);
	close(control);
	s.lease_count = 0;
	s.held_count = 0;
	memset(s.coming, 0, sizeof(s.coming));
	s.smtpd = link_peer(PROC_SMTPD, 0, &smtpd_role);
	s.policyd = link_peer(PROC_POLICYD, 0, &policyd_role);
	s.silent = -1;
	s.deliver = link_peer(PROC_DELIVER, 0, &deliver_role);
	s.relays[0] = link_peer(PROC_RELAY, 0, &relay_role);
	s.relays[1] = link_peer(PROC_RELAY, 1, &relay_role);
	memset(&go, 0, sizeof(go));
	go.workers = 1;
	go.uid = getuid();
	go.gid = getgid();
	go.rootless = 1;
	(void)snprintf(go.root, sizeof(go.root), "%s", s.directory);
	(void)strcpy(go.hostname, "here.test");
	tell_start(IMSG_START_GO_NTF, &go, -1);
	up[0].fd = event;
	up[1].fd = s.start;
	if (poll(up, 2, -1) == -1 || up[0].revents == 0)
		errx(1, "spoold ended before it was ready");
	close(event);
}

/* End it: by a signal, or as postmaster does if that is 0. */
static void
stop_spoold(int number)
{
	int	 status;
	size_t	 i;

	if (number != 0)
		kill(s.pid, number);
	close(s.start);
	if (waitpid(s.pid, &status, 0) == -1)
		err(1, "waitpid");
	s.pid = 0;
	printf("status %d\n", status);
	for (i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		link_free(*links[i]);
		*links[i] = NULL;
	}
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

static void
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
static void
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
static void
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

/* policyd dies, or lives but has its place taken; the new one is silent. */
static void
command_silent(bool dies)
{
	struct pollfd	 question = { .fd = s.silent, .events = POLLIN };
	int		 old = s.silent;
	bool		 asked = true;

	link_free(s.policyd);
	s.policyd = NULL;
	if (old != -1)
		asked = poll(&question, 1, 10000) == 1;
	if (dies && old != -1)
		close(old);
	s.silent = make_peer(PROC_POLICYD, 0);
	printf(asked ? "ok\n" : "no\n");
}

/* A policyd that answers. */
static void
command_relink(void)
{
	link_free(s.policyd);
	if (s.silent != -1)
		close(s.silent);
	s.silent = -1;
	s.policyd = link_peer(PROC_POLICYD, 0, &policyd_role);
	puts("ok");
}

/* The relay for the network dies, and the next one comes. */
static void
command_relay_dies(void)
{
	link_free(s.relays[1]);
	s.held_count = 0;
	s.coming[1].count = 0;
	s.relays[1] = link_peer(PROC_RELAY, 1, &relay_role);
	puts("ok");
}

static void
obey(char *line)
{
	char		*words[6] = { NULL };
	int		 count = 0;
	char		*word;

	line[strcspn(line, "\n")] = '\0';
	while (count < 5 && (word = strsep(&line, " ")) != NULL)
		words[count++] = word;
	if (strcmp(words[0], "send") == 0 && count == 4)
		command_send(words[1], words[2], (size_t)atol(words[3]));
	else if (strcmp(words[0], "bench") == 0 && count == 5)
		command_bench(atol(words[1]), atol(words[2]),
		    (size_t)atol(words[3]), words[4]);
	else if (strcmp(words[0], "run") == 0 && count == 2) {
		(void)run_until(never, atoi(words[1]));
		puts("ok");
	} else if (strcmp(words[0], "flood") == 0 && count == 3)
		command_flood(atol(words[1]), words[2]);
	else if (strcmp(words[0], "held") == 0)
		printf("ok %u\n", s.held_count);
	else if (strcmp(words[0], "transactions") == 0)
		printf("ok %ld %ld\n", s.transactions[0], s.transactions[1]);
	else if (strcmp(words[0], "mood") == 0 && count == 2) {
		s.is_good = strcmp(words[1], "ok") == 0;
		puts("ok");
	} else if (strcmp(words[0], "let") == 0 && count == 2)
		command_let(atoi(words[1]), "ok", 0);
	else if (strcmp(words[0], "break") == 0 && count == 2)
		command_let(atoi(words[1]), "broken", 0);
	else if (strcmp(words[0], "close") == 0 && count == 3)
		command_let(atoi(words[1]), "broken", atoi(words[2]));
	else if (strcmp(words[0], "kill") == 0) {
		stop_spoold(SIGKILL);
		puts("ok");
	} else if (strcmp(words[0], "stop") == 0) {
		stop_spoold(0);
		puts("ok");
	} else if (strcmp(words[0], "start") == 0) {
		start_spoold();
		puts("ok");
	} else if (strcmp(words[0], "pid") == 0)
		printf("ok %d\n", (int)s.pid);
	else if (strcmp(words[0], "state") == 0)
		printf("%s\n", s.takes_mail ? "ok" : "no");
	else if (strcmp(words[0], "configure") == 0 && count > 1) {
		(void)snprintf(s.conf, sizeof(s.conf), "[relay \"*\"]\n"
		    "%s = %s\n", words[1], words[2]);
		tell_config();
		puts("ok");
	}
	else if (strcmp(words[0], "hangup") == 0) {
		puts(s.hanging != NULL ? "ok" : "no");
		link_free(s.hanging);
		s.hanging = NULL;
	} else if (strcmp(words[0], "stuck") == 0)
		command_stuck();
	else if (strcmp(words[0], "ended") == 0)
		command_ended();
	else if (strcmp(words[0], "relink") == 0)
		command_relink();
	else if (strcmp(words[0], "silent") == 0 && count == 2)
		command_silent(strcmp(words[1], "dies") == 0);
	else if (strcmp(words[0], "relay-dies") == 0)
		command_relay_dies();
	else
		puts("no such command");
	fflush(stdout);
}

static void
on_line(int fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	*(bool *)arg = true;
}

int
main(int argc, char **argv)
{
	struct event	*input;
	char		 line[4096], path[512];
	bool		 has_line;
	int		 i;

	if (argc < 3)
		errx(1, "usage: standin SPOOLD DIRECTORY [KEY=VALUE ...]");
	signal(SIGPIPE, SIG_IGN);
	s.program = argv[1];
	s.directory = argv[2];
	(void)strcpy(s.conf, "[core]\n");
	for (i = 3; i < argc; i++)
		(void)snprintf(s.conf + strlen(s.conf), sizeof(s.conf) -
		    strlen(s.conf), "%s\n", argv[i]);
	log_start("standin", true);
	s.base = loop_new();
	(void)snprintf(path, sizeof(path), "%s/../events", s.directory);
	if ((s.events = fopen(path, "a")) == NULL)
		err(1, "%s", path);
	setvbuf(stdin, NULL, _IONBF, 0);
	input = event_new(s.base, STDIN_FILENO, EV_READ, on_line, &has_line);
	start_spoold();
	puts("ok");
	fflush(stdout);
	for (;;) {
		has_line = false;
		event_add(input, NULL);
		while (!has_line) {
			event_base_loop(s.base, EVLOOP_ONCE);
			drain_all();
		}
		if (fgets(line, sizeof(line), stdin) == NULL)
			break;
		obey(line);
	}
	if (s.pid != 0)
		stop_spoold(0);
	return 0;
}
