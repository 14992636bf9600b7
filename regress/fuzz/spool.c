/* links: spoold/attempt.c spoold/backup.c spoold/batch.c spoold/body.c
 * spoold/bounce.c spoold/careful.c spoold/checksum.c spoold/control.c
 * spoold/control_action.c spoold/control_change.c spoold/control_export.c
 * spoold/control_filter.c spoold/control_inquiry.c spoold/control_list.c
 * spoold/control_show.c spoold/control_stats.c spoold/damage.c spoold/db.c
 * spoold/db_file.c spoold/db_salvage.c spoold/db_sql.c spoold/expand.c
 * spoold/fetch.c
 * spoold/gate.c spoold/hop.c spoold/idle.c spoold/job.c spoold/lane.c
 * spoold/ending.c spoold/final.c spoold/lease.c spoold/ledger.c
 * spoold/limits.c spoold/message.c spoold/notice.c spoold/outcome.c
 * spoold/pace.c spoold/purge.c spoold/queue.c spoold/recipient.c spoold/relays.c
 * spoold/repair.c spoold/reserve.c spoold/retry.c spoold/sentence.c
 * spoold/store.c spoold/txn.c spoold/user.c common/address.c common/conf.c
 * common/conf_keyword.c common/conf_lex.c common/conf_parse.c
 * common/conf_print.c common/conf_value.c common/target.c common/header.c
 * common/netaddr.c common/queueid.c common/log.c common/link.c common/asks.c
 * common/frame.c common/wire.c common/loop.c regress/fuzz/help/played.c
 * regress/fuzz/help/spool_machine.c regress/fuzz/help/spool_syncers.c
 * regress/fuzz/help/spool_track.c regress/fuzz/help/spool_world.c */
/*
 * The queue manager whole, with its database, over real links to neighbours
 * who hand it mail, answer what they like, when they like, or die, and to
 * commands of any user.  Nothing is given to two at once, nothing again that
 * was done; and when at last all answer well the queue comes to be empty.
 * The input is a step a line.
 */
#include <sys/stat.h>

#include <ctype.h>
#include <unistd.h>

#include "fuzz.h"
#include "help/spool_world.h"

#define STEPS		120
#define ROUNDS		400
#define WIDE		200000		/* octets of a body at the most */

/* ---- mail ---- */

static struct w_client
client_of(const struct neighbour *smtpd)
{
	struct w_client client = { .standing = smtpd == &world.local ?
	    STANDING_LOCAL : STANDING_STRANGER, .family = 4, .port = 25,
	    .uid = 1000 };

	return client;
}

/* smtpd has taken it: it is printable. */
static void
copy_taken(char *to, const char *from, size_t size)
{
	(void)strlcpy(to, from, size);
	for (; *to != '\0'; to++)
		if (*to < ' ' || *to > '~')
			*to = '?';
}

/* Its HELO name may be what smtpd would not take. */
static void
open_message(struct neighbour *smtpd, const char *sender, const char *helo)
{
	struct w_txn_open_ntf open = { .client = client_of(smtpd) };

	smtpd->message = open.id = smtpd->next_id++;
	smtpd->octets = 0;
	smtpd->told = smtpd->sound = 0;
	copy_taken(open.sender, sender, sizeof(open.sender));
	(void)strlcpy(open.client.helo, helo, sizeof(open.client.helo));
	say_to(smtpd, IMSG_TXN_OPEN_NTF, 0, &open, sizeof(open));
}

/* The first letter may say what is to be reported of it. */
static void
add_recipient(struct neighbour *smtpd, const char *text)
{
	struct w_txn_rcpt_ntf rcpt = { .id = smtpd->message };

	if (isdigit((unsigned char)*text))
		rcpt.notify = (uint32_t)(*text++ - '0') % 8 << 1;
	rcpt.refused = *text == '!';
	if (smtpd->told < 32 && !rcpt.refused)
		smtpd->sound |= 1U << smtpd->told;
	smtpd->told++;
	copy_taken(rcpt.address, text, sizeof(rcpt.address));
	say_to(smtpd, IMSG_TXN_RCPT_NTF, 0, &rcpt, sizeof(rcpt));
}

static void
add_body(struct neighbour *smtpd, size_t octets)
{
	static char frame[sizeof(struct w_txn_body_req) + WIRE_PIECE];
	struct w_txn_body_req req = { .id = smtpd->message,
	    .offset = smtpd->octets };

	if (smtpd->octets > WIDE)
		return;
	memcpy(frame, &req, sizeof(req));
	memset(frame + sizeof(req), 'x', WIRE_PIECE);
	smtpd->octets += octets;
	ask_to(smtpd, IMSG_TXN_BODY_REQ, smtpd->message, frame,
	    sizeof(req) + octets);
}

static void
commit(struct neighbour *smtpd)
{
	static const char text[] = "Subject: x\r\n\r\nhello\r\n";
	char frame[sizeof(struct w_txn_commit_req) + sizeof(text)];
	struct w_txn_commit_req req = { .id = smtpd->message,
	    .size = smtpd->octets > 0 ? smtpd->octets : sizeof(text) - 1 };

	note_commit(smtpd);
	memcpy(frame, &req, sizeof(req));
	memcpy(frame + sizeof(req), text, sizeof(text) - 1);
	ask_to(smtpd, IMSG_TXN_COMMIT_REQ, smtpd->message, frame,
	    sizeof(req) + (smtpd->octets > 0 ? 0 : sizeof(text) - 1));
}

/* A message whole: its sender, then recipients, between commas. */
static void
hand_over(struct neighbour *smtpd, char *rest)
{
	char *word = strsep(&rest, ",");

	open_message(smtpd, word, "client.test");
	while ((word = strsep(&rest, ",")) != NULL)
		add_recipient(smtpd, word);
	commit(smtpd);
}

/* ---- and what it never says: it is thrown out ---- */

/* An id that it was not given. */
static void
open_stranger(struct neighbour *smtpd)
{
	uint64_t next = smtpd->next_id;

	smtpd->next_id += UINT32_MAX;
	open_message(smtpd, "a@b", "client.test");
	smtpd->next_id = next;
	require(smtpd->link == NULL);
}

static void
add_odd_recipient(struct neighbour *smtpd, const char *text)
{
	struct w_txn_rcpt_ntf rcpt = { .id = smtpd->message };

	(void)strlcpy(rcpt.address, "a@b", sizeof(rcpt.address));
	(void)snprintf(rcpt.orcpt, sizeof(rcpt.orcpt), "%s\n", text);
	say_to(smtpd, IMSG_TXN_RCPT_NTF, 0, &rcpt, sizeof(rcpt));
	require(smtpd->link == NULL);
}

static void
add_piece_elsewhere(struct neighbour *smtpd)
{
	struct w_txn_body_req req = { .id = smtpd->message,
	    .offset = smtpd->octets + 1 };

	ask_to(smtpd, IMSG_TXN_BODY_REQ, smtpd->message, &req, sizeof(req));
}

static void
take_smtpd(struct neighbour *smtpd, char event, char *rest)
{
	struct w_txn_abort_ntf ntf = { .id = smtpd->message };

	switch (event) {
	case 'm':
		hand_over(smtpd, rest);
		break;
	case 'o':
		open_message(smtpd, rest, "client.test");
		break;
	case 'O':
		open_message(smtpd, "", rest);
		break;
	case 'r':
		add_recipient(smtpd, rest);
		break;
	case 'b':
		add_body(smtpd, WIRE_PIECE - (*rest & 1));
		break;
	case 'c':
		commit(smtpd);
		break;
	case 'I':
		open_stranger(smtpd);
		break;
	case 'R':
		add_odd_recipient(smtpd, rest);
		break;
	case 'B':
		add_piece_elsewhere(smtpd);
		break;
	case 'a':
		say_to(smtpd, IMSG_TXN_ABORT_NTF, 0, &ntf, sizeof(ntf));
		break;
	}
}

/* ---- answers ---- */

static enum route_kind
kind_of(char letter)
{
	static const char letters[] = "?lmtrisxdufy";
	const char *at = letter != '\0' ? strchr(letters, letter) : NULL;

	return at != NULL ? (enum route_kind)(at - letters) : ROUTE_DEFER;
}

/* What policyd says of a route: a kind, then names between commas. */
static void
route(size_t which, const char *text)
{
	const struct asked *asked = &world.policyd.asked[which];
	struct w_route_resolve_ans ans = { .id = asked->about,
	    .recipient = asked->row, .kind = kind_of(*text), .code = 550 };
	char tail[TARGETS_MAX];
	size_t length = 0;

	if (*text != '\0')
		text++;
	if (ans.kind > ROUTE_DEFER) {		/* y: later */
		ans.kind = ROUTE_REFUSE;
		ans.code = 450;
	}
	if (ans.kind == ROUTE_LIST || ans.kind == ROUTE_SUPERSEDED)
		length = make_targets(text, tail, &ans.count, &ans.more);
	ans.worker = *text >= '1' && *text <= '3' ?
	    (uint32_t)(*text - '0') : WORKER_MAILBOX;
	ans.mailer = ans.max_recipients = 1 + (*text & 3);
	(void)strlcpy(ans.account, *text != '\0' ? text : "joe",
	    sizeof(ans.account));
	(void)strlcpy(ans.hop, *text != '\0' ? text : "hub",
	    sizeof(ans.hop));
	(void)strlcpy(ans.exchange, text[0] == '@' ? text + 1 : "",
	    sizeof(ans.exchange));
	(void)strlcpy(ans.address, asked->text, sizeof(ans.address));
	(void)strlcpy(ans.text, text, sizeof(ans.text));
	(void)strlcpy(ans.owner, text[0] == 'o' ? "owner@list" : "",
	    sizeof(ans.owner));
	answer_to(&world.policyd, which, IMSG_ROUTE_RESOLVE_ANS, &ans,
	    sizeof(ans), tail, length, -1);
}

/* To a command's question. */
static void
explain(struct neighbour *n, size_t which, uint32_t type, const char *text)
{
	struct w_route_explain_ans ans = { .id = n->asked[which].about,
	    .kind = kind_of(*text) };
	struct w_relay_explain_ans other = { .id = n->asked[which].about,
	    .good = *text & 1 };

	(void)strlcpy(ans.hop, "hub", sizeof(ans.hop));
	(void)strlcpy(ans.address, "a@b", sizeof(ans.address));
	if (type == IMSG_ROUTE_EXPLAIN_REQ)
		answer_to(n, which, IMSG_ROUTE_EXPLAIN_ANS, &ans, sizeof(ans),
		    text, strlen(text), -1);
	else
		answer_to(n, which, IMSG_RELAY_EXPLAIN_ANS, &other,
		    sizeof(other), text, strlen(text), -1);
}

static void
answer_policyd(size_t which, const char *text)
{
	if (world.policyd.asked[which].type == IMSG_ROUTE_EXPLAIN_REQ)
		explain(&world.policyd, which, IMSG_ROUTE_EXPLAIN_REQ, text);
	else
		route(which, text);
}

static void
answer_worker(struct neighbour *worker, size_t which, const char *text)
{
	const struct asked *asked = &worker->asked[which];
	struct w_job_deliver_ans ans = { .id = asked->about,
	    .recipient = asked->row, .verdict = (uint32_t)(*text - '0') };
	char tail[TARGETS_MAX];
	size_t length = 0;
	uint32_t more = 0;

	if (*text != '\0')
		text++;
	if (ans.verdict == JOB_EXPANDED)
		length = make_targets(text, tail, &ans.count, &more);
	ans.more = more != 0;
	(void)strlcpy(ans.text, text, sizeof(ans.text));
	(void)strlcpy(ans.status, text, sizeof(ans.status));
	(void)strlcpy(ans.place, "/home/joe/Maildir", sizeof(ans.place));
	if (ans.verdict == JOB_DONE)
		note_done(asked->about, asked->row);
	answer_to(worker, which, IMSG_JOB_DELIVER_ANS, &ans, sizeof(ans),
	    tail, length, -1);
}

static void
answer_deliver(size_t which, char verdict)
{
	struct w_user_worker_ans ans = { .verdict =
	    (uint64_t)(unsigned char)verdict - '0',
	    .id = world.deliver.asked[which].about };
	int fd = ans.verdict == USER_OK ? open_worker() : -1;

	answer_to(&world.deliver, which, IMSG_USER_WORKER_ANS, &ans,
	    sizeof(ans), NULL, 0, fd);
	if (fd != -1)
		require(close(fd) == 0);
}

/* A result for the next recipient of a transaction. */
static void
tell_result(struct neighbour *relay, size_t which, const char *text)
{
	struct asked *asked = &relay->asked[which];
	struct w_relay_result_ntf ntf = { .transaction = asked->number,
	    .verdict = (uint32_t)(*text - '0') };

	if (asked->row_count == 0 || relay->link == NULL)
		return;
	if (*text != '\0')
		text++;
	ntf.recipient = asked->rows[--asked->row_count];
	ntf.stage = *text & 7;
	ntf.replied = *text & 1;
	ntf.brief = (*text & 16) != 0;
	ntf.dsn = (*text & 32) != 0;
	(void)strlcpy(ntf.status, text, sizeof(ntf.status));
	(void)strlcpy(ntf.text, text, sizeof(ntf.text));
	if (ntf.verdict == RELAY_DONE)
		note_done(asked->about, ntf.recipient);
	note_back(asked->about, ntf.recipient);
	say_to(relay, IMSG_RELAY_RESULT_NTF, 0, &ntf, sizeof(ntf));
}

/* A result for somebody who is not of the transaction. */
static void
tell_result_of_nobody(struct neighbour *relay, size_t which)
{
	struct w_relay_result_ntf ntf = { .verdict = RELAY_DONE,
	    .transaction = relay->asked[which].number,
	    .recipient = UINT32_MAX };

	say_to(relay, IMSG_RELAY_RESULT_NTF, 0, &ntf, sizeof(ntf));
	require(relay->link == NULL);
}

/* The end of a transaction; a digit: closed for so many of 10 minutes. */
static void
answer_relay(struct neighbour *relay, size_t which, const char *text)
{
	struct w_relay_deliver_ans ans = { .host = "mx[192.0.2.1]:25",
	    .transaction = relay->asked[which].number };

	if (relay->asked[which].type == IMSG_RELAY_EXPLAIN_REQ) {
		explain(relay, which, IMSG_RELAY_EXPLAIN_REQ, text);
		return;
	}
	if (isdigit((unsigned char)*text))
		ans.closed_until = clock_now() + (*text - '0') * 10 * MINUTE;
	ans.reached = *text & 1;
	answer_to(relay, which, IMSG_RELAY_DELIVER_ANS, &ans, sizeof(ans),
	    NULL, 0, -1);
}

/* ---- commands ---- */

/* A letter for the field, and its text, between commas. */
static void
fill_filter(struct w_ctl_filter *filter, char *text)
{
	char *word;

	while ((word = strsep(&text, ",")) != NULL)
		switch (*word) {
		case 's':
			(void)strlcpy(filter->sender, word + 1, WIRE_NAME);
			break;
		case 'r':
			(void)strlcpy(filter->recipient, word + 1, WIRE_NAME);
			break;
		case 'd':
			(void)strlcpy(filter->domain, word + 1, WIRE_NAME);
			break;
		case 't':
			(void)strlcpy(filter->reason, word + 1, WIRE_NAME);
			break;
		case 'o':
			filter->older = (int64_t)strlen(word) * MINUTE;
			break;
		case 'x':
			filter->states = (uint8_t)word[1];
			break;
		}
}

static void
act(struct neighbour *ctl, char letter, char *rest)
{
	struct w_ctl_action_req req = { .action =
	    (uint64_t)(unsigned char)letter - '@', .amount = DAY };

	/* A copy of the spool is not what is looked at here. */
	if (req.action == CTL_BACKUP)
		return;
	note_command();
	if (*rest == '#')
		req.id = some_id((unsigned char)*++rest);
	fill_filter(&req.filter, rest);
	ask_to(ctl, IMSG_CTL_ACTION_REQ, 0, &req, sizeof(req));
}

static void
take_command(struct neighbour *ctl, char event, char *rest)
{
	struct w_ctl_list_req list = { .after = 0 };
	struct w_ctl_show_req show = { .id = some_id((unsigned char)*rest) };
	struct w_ctl_read_req read = { .id = show.id };
	struct w_ctl_explain_req question = { .pad = 0 };
	struct w_ctl_why_req why = { .pad = 0 };
	struct w_ctl_stats_req stats = { .after = 0 };
	struct w_ctl_probe_req probe = { .pad = 0 };
	struct w_ctl_status_req status = { .pad = 0 };

	switch (event) {
	case 'l':
		fill_filter(&list.filter, rest);
		ask_to(ctl, IMSG_CTL_LIST_REQ, 0, &list, sizeof(list));
		break;
	case 's':
		ask_to(ctl, IMSG_CTL_SHOW_REQ, 0, &show, sizeof(show));
		break;
	case 'r':
		read.offset = rest[0] != '\0' ? (unsigned char)rest[1] : 0;
		ask_to(ctl, IMSG_CTL_READ_REQ, 0, &read, sizeof(read));
		break;
	case 'e':
		(void)strlcpy(question.address, rest,
		    sizeof(question.address));
		ask_to(ctl, IMSG_CTL_EXPLAIN_REQ, 0, &question,
		    sizeof(question));
		break;
	case 'w':
		(void)strlcpy(why.domain, rest, sizeof(why.domain));
		ask_to(ctl, IMSG_CTL_WHY_REQ, 0, &why, sizeof(why));
		break;
	case 't':
		ask_to(ctl, IMSG_CTL_STATS_REQ, 0, &stats, sizeof(stats));
		break;
	case 'p':
		(void)strlcpy(probe.address, rest, sizeof(probe.address));
		ask_to(ctl, IMSG_CTL_PROBE_REQ, 0, &probe, sizeof(probe));
		break;
	case 'i':
		ask_to(ctl, IMSG_CTL_STATUS_REQ, 0, &status, sizeof(status));
		break;
	case 'a':
		if (*rest != '\0')
			act(ctl, rest[0], rest + 1);
		break;
	}
}

/* ---- any frame that its sender may send, filled from the text ---- */

static void
say_any(struct neighbour *n, const char *text)
{
	static char contents[70000];
	const struct wire_string *s;
	const struct wire_row *row;
	size_t length = strlen(text), i;
	uint32_t type, id = 0;
	uint64_t one = 1, about;

	if (length < 4 || (row = row_for(n, (unsigned char)text[0],
	    &type)) == NULL || type == IMSG_CTL_ACTION_REQ)
		return;
	for (i = 0; i < row->size; i++)
		contents[i] = text[4 + i % (length - 3)];
	for (s = row->strings; s != NULL && s->size != 0; s++)
		contents[s->offset + s->size - 1] = '\0';
	about = text[1] & 1 ? some_id((unsigned char)text[2]) : one;
	if (row->id && about != 0)
		memcpy(contents, &about, sizeof(about));
	for (i = 0; i < row->tail && i < (text[3] & 7) * length; i++)
		contents[row->size + i] = text[i % length];
	if (row->answer != IMSG_NONE)
		id = (unsigned char)text[2] + 1U;
	else if (wire_request(type) != IMSG_NONE && n->count > 0)
		id = n->asked[0].id;
	say_unasked(n, type, id, contents, row->size + i);
}

/* ---- steps ---- */

static void
answer_next(struct neighbour *n, size_t which, const char *text)
{
	if (n == &world.policyd)
		answer_policyd(which, text);
	else if (n == &world.deliver)
		answer_deliver(which, *text);
	else if (n == &world.relay || n == &world.sockets)
		answer_relay(n, which, text);
	else if (n->self == PROC_WORKER)
		answer_worker(n, which, text);
}

static void
take_event(struct neighbour *n, char event, char *rest)
{
	if (event == 'u')
		neighbour_up(n, *rest);
	else if (event == 'k')
		neighbour_down(n);
	else if (event == '?')
		say_any(n, rest);
	else if (event == 'A' && n->count > 0)
		answer_next(n, 0, rest);
	else if (event == 'Z' && n->count > 0)
		answer_next(n, n->count - 1, rest);
	else if (event == 'r' && n->self == PROC_RELAY && n->count > 0)
		tell_result(n, 0, rest);
	else if (event == 'R' && n->self == PROC_RELAY && n->count > 0)
		tell_result_of_nobody(n, 0);
	else if (n->self == PROC_SMTPD)
		take_smtpd(n, event, rest);
	else if (n->self == PROC_CTL)
		take_command(n, event, rest);
}

static void
take(char *line)
{
	struct neighbour *n;

	if (line[0] == '\0' || line[1] == '\0')
		return;
	if (line[0] == 'w')
		world_pass((SECOND / 2) << (line[1] & 31) % 24);
	else if (line[0] == 'e')
		machine_fill(line[1] == '!' ? -1 : line[1] & 15);
	else if (line[0] == 'j')
		world_jump((line[1] & 1 ? 3 : -3) * HOUR);
	else if ((n = neighbour_of_letter(line[0])) != NULL &&
	    (n->link != NULL || line[1] == 'u'))
		take_event(n, line[1], line + 2);
	world_hear();
}

/* ---- the end: all goes well ---- */

static void
answer_well(struct neighbour *n)
{
	size_t budget = 100;

	while (n->count > 0 && budget-- > 0) {
		if (n == &world.policyd)
			answer_policyd(0, "ljoe");
		else if (n == &world.deliver)
			answer_deliver(0, '1');
		else if (n->self == PROC_WORKER)
			answer_worker(n, 0, "1");
		else if (n->self == PROC_RELAY) {
			while (n->count > 0 && n->asked[0].row_count > 0 &&
			    n->link != NULL)
				tell_result(n, 0, "1");
			if (n->count > 0)
				answer_relay(n, 0, "");
		} else
			break;
		world_hear();
	}
}

/* Root lets everything go that was stopped, and runs the queue. */
static void
order(enum ctl_action action)
{
	struct w_ctl_action_req req = { .id = 0 };

	neighbour_down(&world.command);
	neighbour_up(&world.command, '0');
	req.action = (uint64_t)action;
	ask_to(&world.command, IMSG_CTL_ACTION_REQ, 0, &req, sizeof(req));
	world_hear();
	played_turn(4);
	world_hear();
}

static void
end(void)
{
	size_t i;
	int round;

	machine_fill(-1);
	order(CTL_RESUME);
	for (round = 0; round < ROUNDS && !world_is_empty(); round++) {
		world_up();
		for (i = 0; i < NEIGHBOURS; i++)
			answer_well(&world_neighbours[i]);
		for (i = 0; i < WORKERS; i++)
			answer_well(&world_workers[i]);
		if (round % 8 == 1)
			order(CTL_RELEASE);
		if (round % 8 == 5)
			order(CTL_RUN);
		if (round % 4 == 3)
			world_pass(30 * MINUTE);
	}
	require(world_is_empty());
	check_stored();
	world_down();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint64_t fds;

	world_begin();
	fds = fuzz_descriptors();
	world_up();
	fuzz_lines(&in, STEPS, take);
	end();
	require(fuzz_descriptors() == fds);
	world_end();
	return 0;
}
