/* links: smtpd/client.c smtpd/command.c smtpd/connection.c smtpd/data.c
 * smtpd/mail.c smtpd/session.c smtpd/parameter.c smtpd/reply.c
 * smtpd/dotread.c smtpd/hops.c smtpd/received.c smtpd/local.c
 * smtpd/buffer.c smtpd/transaction.c smtpd/policy.c smtpd/limits.c
 * common/address.c common/header.c common/netaddr.c common/queueid.c
 * common/log.c common/link.c common/asks.c common/frame.c common/wire.c
 * common/loop.c regress/fuzz/help/played.c */
/*
 * smtpd with several clients at once, over real links to a policyd and a
 * spoold that answer what they like, when they like, or die.  What spoold
 * hears of a message comes in order and adds up; only what it has committed
 * is told to be queued; in the end no client is left waiting.  The input is
 * settings, then a step a line.
 */
#include <sys/socket.h>

#include <ctype.h>
#include <event2/event.h>
#include <unistd.h>

#include "clock.h"
#include "fuzz.h"
#include "help/played.h"
#include "loop.h"
#include "queueid.h"
#include "smtpd/smtpd.h"

#define CLIENTS		3
#define ASKED		600		/* two windows, and some */
#define MESSAGES	64
#define ROUNDS		80

enum stage { OPEN = 1, ASKED_FOR, ABORTED };

/* What spoold has heard of an id. */
struct message {
	uint64_t	 id;
	enum stage	 stage;
	uint32_t	 recipients;
	uint64_t	 octets;
	bool		 stored;	/* its commit was answered well */
	bool		 told;		/* a client knows that */
};

/* A question that was not yet answered. */
struct asked {
	uint32_t	 type;
	uint32_t	 id;
	uint64_t	 about;
};

struct neighbour {
	struct far	 far;
	struct link	*link;		/* the near end */
	struct asked	 asked[ASKED];
	size_t		 count;
};

static struct {
	bool		 begun;
	bool		 trusted;
	struct settings	 settings;
	struct listener	 listener;
	struct far	 clients[CLIENTS];
	struct buffer	 heard[CLIENTS];
	bool		 deaf[CLIENTS];
	bool		 ended[CLIENTS];	/* the server has said the last */
	struct neighbour policy, spool;
	uint64_t	 next_id;
	uint64_t	 lease_first, lease_end;	/* of this spoold */
	struct message	 messages[MESSAGES];
	size_t		 message_count;
} play;

static struct child child;

bool
settings_trust(const struct settings *settings, const struct netaddr *address)
{
	(void)settings;
	(void)address;
	return play.trusted;
}

/* ---- links ---- */

void
child_link_closed(struct link *link, const char *why, void *arg)
{
	struct neighbour *gone = link == play.policy.link ? &play.policy :
	    &play.spool;

	(void)why;
	require(link == gone->link);
	(gone == &play.policy ? &policy_peer : &transaction_peer)->lost(arg,
	    link);
	gone->link = NULL;
}

static void
neighbour_up(struct neighbour *n)
{
	static const struct w_start_peer_ntf ntf;
	const struct child_peer *peer = n == &play.policy ? &policy_peer :
	    &transaction_peer;

	if (n->link != NULL)
		return;
	n->count = 0;
	far_close(&n->far);		/* it may have been thrown out */
	n->link = link_new(played_base(), far_open(&n->far), peer->role,
	    &child);
	peer->up(&child, n->link, &ntf);
	if (n == &play.spool)
		play.lease_first = play.lease_end = 0;
}

static void
neighbour_down(struct neighbour *n)
{
	n->count = 0;
	far_close(&n->far);
	played_turn(2);
	require(n->link == NULL);
}

/* ---- spoold listens ---- */

static struct message *
find(uint64_t id)
{
	size_t i;

	for (i = 0; i < play.message_count; i++)
		if (play.messages[i].id == id)
			return &play.messages[i];
	return NULL;
}

static void
hear_open(uint64_t id)
{
	require(id >= play.lease_first && id < play.lease_end);
	require(find(id) == NULL);
	require(play.message_count < MESSAGES);
	play.messages[play.message_count++] = (struct message){ .id = id,
	    .stage = OPEN };
}

static void
hear_body(struct message *m, const struct w_txn_body_req *req, size_t tail)
{
	require(m != NULL && m->stage == OPEN && m->recipients > 0);
	require(req->offset == m->octets && tail > 0);
	m->octets += tail;
}

static void
hear_commit(struct message *m, const struct w_txn_commit_req *req,
    const char *tail, size_t length)
{
	require(m != NULL && m->stage == OPEN && m->recipients > 0);
	require(m->octets > 0 ? req->size == m->octets && length == 0 :
	    req->size == length);
	require(length == 0 || strncmp(tail, "Received: ", 10) == 0);
	require(length == 0 || tail[length - 1] == '\n');
	m->stage = ASKED_FOR;
}

static void
note(struct neighbour *n, const struct frame_header *header, uint64_t about)
{
	require(n->count < ASKED && header->id != 0);
	n->asked[n->count++] = (struct asked){ header->type, header->id,
	    about };
}

/* One frame, held against what came before. */
static void
hear_frame(struct neighbour *n, const struct frame_header *header,
    const char *contents)
{
	const struct wire_row *row = wire_row(header->type);
	struct w_txn_body_req body;
	struct w_txn_commit_req commit;
	struct message *m;
	uint64_t id;

	require(row != NULL && wire_check(PROC_SMTPD, n == &play.policy ?
	    PROC_POLICYD : PROC_SPOOLD, header->type, header->id, contents,
	    header->length, false) == NULL);
	memcpy(&id, contents, sizeof(id));
	m = find(id);
	switch (header->type) {
	case IMSG_RCPT_CHECK_REQ:
		note(n, header, id);
		break;
	case IMSG_TXN_OPEN_NTF:
		hear_open(id);
		break;
	case IMSG_TXN_RCPT_NTF:
		require(m != NULL && m->stage == OPEN && m->octets == 0);
		m->recipients++;
		break;
	case IMSG_TXN_BODY_REQ:
		memcpy(&body, contents, sizeof(body));
		hear_body(m, &body, header->length - row->size);
		note(n, header, id);
		break;
	case IMSG_TXN_COMMIT_REQ:
		memcpy(&commit, contents, sizeof(commit));
		hear_commit(m, &commit, contents + row->size,
		    header->length - row->size);
		note(n, header, id);
		break;
	default:
		require(header->type == IMSG_TXN_ABORT_NTF && m != NULL &&
		    m->stage != ABORTED);
		m->stage = ABORTED;
	}
}

static void
hear_neighbour(struct neighbour *n)
{
	struct frame_header header;
	const char *contents;
	int fd;

	while (n->link != NULL && far_next(&n->far, &header, &contents, &fd)) {
		require(fd == -1);
		hear_frame(n, &header, contents);
	}
}

/* ---- and answers ---- */

static void
answer(struct neighbour *n, size_t which, uint32_t verdict, bool wrong,
    const char *text)
{
	struct asked asked = n->asked[which];
	struct w_rcpt_check_ans rcpt = { .session = asked.about,
	    .verdict = verdict, .code = 400 + verdict * 11 };
	struct w_txn_commit_ans txn = { .id = asked.about,
	    .verdict = verdict };
	struct message *m = find(asked.about);

	memmove(n->asked + which, n->asked + which + 1,
	    (--n->count - which) * sizeof(*n->asked));
	asked.id += wrong;
	(void)strlcpy(rcpt.text, text, sizeof(rcpt.text));
	if (asked.type == IMSG_RCPT_CHECK_REQ)
		far_say(&n->far, IMSG_RCPT_CHECK_ANS, asked.id, &rcpt,
		    sizeof(rcpt), -1);
	else
		far_say(&n->far, asked.type == IMSG_TXN_BODY_REQ ?
		    IMSG_TXN_BODY_ANS : IMSG_TXN_COMMIT_ANS, asked.id, &txn,
		    sizeof(txn), -1);
	if (asked.type == IMSG_TXN_COMMIT_REQ && !wrong && verdict == TXN_OK)
		m->stored = true;
	played_turn(2);
}

static void
give_lease(uint64_t count)
{
	struct w_txn_lease_ntf lease = { .first = play.next_id,
	    .count = count };

	/* Told apart from what an earlier spoold gave. */
	if (play.lease_first == 0)
		play.lease_first = play.next_id;
	play.next_id += count;
	play.lease_end = play.next_id;
	far_say(&play.spool.far, IMSG_TXN_LEASE_NTF, 0, &lease,
	    sizeof(lease), -1);
}

static void
tell_state(bool takes_mail)
{
	struct w_txn_state_ntf state = { .takes_mail = takes_mail,
	    .reason = "so" };

	far_say(&play.spool.far, IMSG_TXN_STATE_NTF, 0, &state,
	    sizeof(state), -1);
}

/* ---- clients ---- */

static void
hear_client(size_t i)
{
	char text[4096];
	ssize_t n = -1;

	if (play.clients[i].fd == -1 || play.deaf[i])
		return;
	while ((n = recv(play.clients[i].fd, text, sizeof(text),
	    MSG_DONTWAIT)) > 0)
		buffer_append(&play.heard[i], text, (size_t)n);
	play.ended[i] = play.ended[i] || n == 0;
}

/* Whole lines, codes, printable; only what was stored is queued. */
static void
check_heard(const struct buffer *heard)
{
	const char *at = heard->data, *end = at + heard->length, *lf, *p;
	char id[QUEUEID_LENGTH + 1];
	struct message *m;
	uint64_t number;

	for (; at < end; at = lf + 1) {
		lf = memchr(at, '\n', (size_t)(end - at));
		if (lf == NULL)
			return;
		require(lf - at >= 4 && lf[-1] == '\r');
		require(isdigit((unsigned char)at[0]) && (at[3] == ' ' ||
		    at[3] == '-'));
		for (p = at; p < lf - 1; p++)
			require(*p >= ' ' && *p <= '~');
		if (strncmp(at, "250 2.0.0 ", 10) != 0 ||
		    lf - at != 11 + QUEUEID_LENGTH)
			continue;
		(void)strlcpy(id, at + 10, sizeof(id));
		if (queueid_parse(id, &number) == -1)
			continue;
		m = find(number);
		require(m != NULL && m->stored && !m->told);
		m->told = true;
	}
}

static void
client_close(size_t i)
{
	hear_client(i);
	if (play.heard[i].length > 0)
		check_heard(&play.heard[i]);
	buffer_free(&play.heard[i]);
	memset(&play.heard[i], 0, sizeof(play.heard[i]));
	far_close(&play.clients[i]);
}

static void
client_open(size_t i)
{
	struct netaddr address = { .family = 4, .octets = { 192, 0, 2 } };

	if (play.clients[i].fd != -1)
		return;
	address.octets[3] = (uint8_t)i;
	play.deaf[i] = play.ended[i] = false;
	session_new(&play.listener, far_open(&play.clients[i]), &address, 25);
}

static void
say(size_t i, const char *text, size_t length)
{
	if (play.clients[i].fd != -1)
		(void)send(play.clients[i].fd, text, length, MSG_NOSIGNAL |
		    MSG_DONTWAIT);
	played_turn(2);
}

/* Whole lines at once: $ is the end of one. */
static void
say_lines(size_t i, const char *from)
{
	char *text = fuzz_need(malloc(2 * strlen(from) + 1)), *to = text;

	for (; *from != '\0'; from++) {
		if (*from == '$')
			*to++ = '\r';
		*to++ = *from == '$' ? '\n' : *from;
	}
	say(i, text, (size_t)(to - text));
	free(text);
}

/* Much of a body at once, to be sent on in pieces. */
static void
say_much(size_t i, size_t octets)
{
	static char text[70000];
	size_t at;

	if (text[0] == '\0')
		for (at = 0; at < sizeof(text); at++)
			text[at] = "a line of some length\r\n"[at % 23];
	for (octets -= octets % 23; octets > 0; octets -= at) {
		at = octets < 23 * 2800 ? octets : 23 * 2800;
		say(i, text, at);
		hear_neighbour(&play.spool);
	}
}

/* ---- steps ---- */

static void
hear_all(void)
{
	size_t i;

	played_turn(2);
	hear_neighbour(&play.policy);
	hear_neighbour(&play.spool);
	for (i = 0; i < CLIENTS; i++)
		hear_client(i);
}

static void
take_client(size_t i, char event, char *rest)
{
	size_t length = strlen(rest);

	switch (event) {
	case 'c':
		client_open(i);
		break;
	case 'x':
		client_close(i);
		break;
	case 'h':
		if (play.clients[i].fd != -1)
			(void)shutdown(play.clients[i].fd, SHUT_WR);
		break;
	case 'd':
		play.deaf[i] = !play.deaf[i];
		break;
	case 'b':		/* without a line's end */
		say(i, rest, length);
		break;
	case 'm':
		say_much(i, 20000 * (1 + length % 16));
		break;
	case ':':
		say_lines(i, rest);
		break;
	}
}

static void
take_neighbour(struct neighbour *n, char event, const char *detail)
{
	uint32_t verdict = (uint32_t)(unsigned char)(*detail - '0');

	switch (event) {
	case 'u':
		neighbour_up(n);
		break;
	case 'k':
		neighbour_down(n);
		break;
	case 'a':		/* the oldest question */
	case 'z':		/* the newest */
	case 'w':		/* under a wrong id */
		if (n->count > 0)
			answer(n, event == 'z' ? n->count - 1 : 0, verdict,
			    event == 'w', *detail != '\0' ? detail + 1 : "");
		break;
	case 'l':
		if (n == &play.spool && n->link != NULL)
			give_lease(1 + verdict % 4);
		break;
	case 't':
		if (n == &play.spool && n->link != NULL)
			tell_state(verdict & 1);
		break;
	}
}

static void
take(char *line)
{
	size_t length = strlen(line);

	if (length >= 2 && line[0] >= '0' && line[0] < '0' + CLIENTS)
		take_client((size_t)(line[0] - '0'), line[1], line + 2);
	else if (length >= 2 && line[0] == 'p')
		take_neighbour(&play.policy, line[1], line + 2);
	else if (length >= 2 && line[0] == 's')
		take_neighbour(&play.spool, line[1], line + 2);
	else if (length >= 2 && line[0] == 'w')
		played_pass((SECOND / 4) << (line[1] & 15));
	else if (length == 1 && line[0] == 'e')
		sessions_end();
	hear_all();
}

/* ---- the beginning and the end ---- */

static void
begin(uint8_t bits, uint8_t more)
{
	struct settings *s = &play.settings;

	if (!play.begun) {
		child.base = played_base();
		policy_begin(&child);
		transactions_begin();
		sessions_begin(&child);
	}
	play.begun = true;
	play.next_id = 1;
	play.trusted = bits & 1;
	memset(s, 0, sizeof(*s));
	(void)strlcpy(s->host, "mx.test", sizeof(s->host));
	(void)strlcpy(s->mail_name, "d.test", sizeof(s->mail_name));
	s->local = bits & 2;
	s->banner_delay = bits & 4 ? SECOND : 0;
	s->message_size = bits & 8 ? 100000 : 0;
	s->max_sessions = bits & 16 ? 2 : 0;
	s->max_sessions_per_network = bits & 32 ? 1 : 0;
	s->max_errors = bits & 64 ? 3 : 12;
	s->line_length = bits & 128 ? 100 : 0;
	s->ipv4_prefix = more & 1 ? 24 : 32;
	s->max_recipients = 5;
	s->max_hops = 3;
	s->command_timeout = s->data_timeout = HOUR;
	play.listener.settings = s;
	memset(play.messages, 0, sizeof(play.messages));
	play.message_count = 0;
	neighbour_up(&play.policy);
	neighbour_up(&play.spool);
	if ((more & 2) == 0) {
		tell_state(true);
		give_lease(4);
	}
	hear_all();
}

static bool
all_have_ended(void)
{
	size_t i;

	for (i = 0; i < CLIENTS; i++)
		if (play.clients[i].fd != -1 && !play.ended[i])
			return false;
	return true;
}

/* All that is asked is answered well; sometimes time passes. */
static void
answer_well(int round)
{
	hear_all();
	while (play.policy.count > 0)
		answer(&play.policy, 0, RCPT_ACCEPT, false, "");
	while (play.spool.count > 0)
		answer(&play.spool, 0, TXN_OK, false, "");
	/* Of many recipients each may wait for a policyd that is away. */
	if (round % 2 == 1)
		played_pass(11 * SECOND);
}

/* All say goodbye: each must hear the end, and nothing is left of it. */
static void
end(void)
{
	static const char farewell[] = "\r\n.\r\nQUIT\r\n";
	int round;
	size_t i;

	memset(play.deaf, 0, sizeof(play.deaf));
	for (round = 0; round < ROUNDS && !all_have_ended(); round++) {
		answer_well(round);
		for (i = 0; round == ROUNDS / 3 && i < CLIENTS; i++)
			say(i, farewell, sizeof(farewell) - 1);
	}
	require(all_have_ended());
	for (i = 0; i < CLIENTS; i++) {
		if (play.clients[i].fd == -1)
			continue;
		require(play.heard[i].length == 0 ||
		    play.heard[i].data[play.heard[i].length - 1] == '\n');
		client_close(i);
	}
	for (round = 0; round < ROUNDS && play.listener.sessions > 0; round++)
		answer_well(round);
	neighbour_down(&play.policy);
	neighbour_down(&play.spool);
	played_turn(2);
	require(play.listener.sessions == 0);
	require(transaction_roomy() &&
	    transaction_possible() == REPLY_SPOOL_AWAY);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t bits = fuzz_byte(&in), more = fuzz_byte(&in);
	size_t i;
	uint64_t fds;

	for (i = 0; i < CLIENTS; i++)
		play.clients[i].fd = -1;
	play.policy.far.fd = play.spool.far.fd = -1;
	(void)played_base();
	fds = fuzz_descriptors();
	begin(bits, more);
	fuzz_lines(&in, 200, take);
	end();
	require(fuzz_descriptors() == fds);
	return 0;
}
