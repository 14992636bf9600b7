/* links: relay/auth.c relay/body.c relay/command.c relay/conversation.c
 * relay/dane.c relay/endpoint.c relay/envelope.c relay/exchange.c
 * relay/explain.c relay/hop.c relay/login.c relay/opening.c
 * relay/peer_spoold.c relay/policy.c relay/probe.c relay/reply.c
 * relay/scout.c relay/search.c relay/secret.c relay/seen.c relay/source.c
 * relay/stream.c relay/transaction.c relay/transcript.c common/address.c
 * common/asks.c common/conf.c common/conf_keyword.c common/conf_lex.c
 * common/conf_parse.c common/conf_print.c common/conf_value.c
 * common/dns_parse.c common/frame.c common/link.c common/log.c common/loop.c
 * common/netaddr.c common/queueid.c common/secretfile.c common/target.c
 * common/tls.c common/tls_proof.c common/tls_session.c common/wire.c
 * regress/fuzz/help/played.c */
/*
 * relay whole, over a real link to a spoold that asks what it likes, with
 * servers that say what they like or hang up, a DNS that answers anything,
 * and connections that fail.  Each recipient has one result, before the
 * transaction's answer; none is delivered unless a server took its message's
 * dot; and in the end every question is answered.  The input is a step a
 * line.
 */
#include <sys/socket.h>

#include <ctype.h>
#include <errno.h>
#include <event2/event.h>
#include <unistd.h>

#include "clock.h"
#include "dns_parse.h"
#include "fuzz.h"
#include "help/played.h"
#include "loop.h"
#include "relay/relay.h"

#define SERVERS		8		/* connections at a time */
#define LOOKUPS		64
#define TRANSACTIONS	24
#define RECIPIENTS	4
#define STEPS		150
#define ROUNDS		200
#define PIECE		512

/* What spoold waits for. */
struct wanted {
	uint32_t	 request;	/* its frame's id */
	uint32_t	 type;
	size_t		 rows;
	bool		 told[RECIPIENTS];
	bool		 answered;
	bool		 dotted;	/* its body was heard to the dot */
	bool		 sound;		/* it was asked for as it must be */
};

struct dns_lookup {
	char		*name;
	enum dns_type	 type;		/* A is both families */
	dns_fn		 fn;
	void		*arg;
};

struct server {
	struct far	 far;
	char		*heard;
	size_t		 length;
};

static struct {
	bool		 begun;
	struct child	 child;
	struct link	*link;
	struct far	 spoold;
	struct server	 servers[SERVERS];
	struct dns_lookup *lookups[LOOKUPS];
	size_t		 lookup_count;
	struct wanted	 wanted[TRANSACTIONS];
	size_t		 wanted_count;
	char		 network;	/* how connections are made */
	bool		 trusted;	/* the resolver */
} play;

static const char configuration[] =
    "[relay \"hub\"]\nname hub.test\n"
    "[relay \"few\"]\nname a.test\nmax-connections 1\n"
    "max-messages 2\n"
    "[relay \"login\"]\nname l.test\nauth-clear yes\ntls none\n"
    "[relay \"sure\"]\nname s.test\ntls verified\n"
    "[relay \"mx\"]\nname m.test\nmx name\n"
    "[relay \"box\"]\nname box.test\nprotocol lmtp\n";

static const char logins[] = "login joe secret\nlogin @b.test jim other\n";

/* ---- main.c ---- */

struct event_base *
relay_base(void)
{
	return played_base();
}

const char *
relay_hostname(void)
{
	return "me.test";
}

bool
relay_is_local(void)
{
	return false;
}

void
relay_idle(void)
{
}

void
child_link_closed(struct link *link, const char *why, void *arg)
{
	(void)why;
	(void)arg;
	require(link == play.link);
	forget_gathering(link);
	explain_forget(link);
	hop_drop(link);
	play.link = NULL;
}

/* ---- the DNS ---- */

bool
dns_is_trusted(void)
{
	return play.trusted;
}

static struct dns_lookup *
look_up(const char *name, enum dns_type type, dns_fn fn, void *arg)
{
	struct dns_lookup *lookup = fuzz_need(calloc(1, sizeof(*lookup)));

	require(play.lookup_count < LOOKUPS);
	lookup->name = fuzz_need(strdup(name));
	lookup->type = type;
	lookup->fn = fn;
	lookup->arg = arg;
	return play.lookups[play.lookup_count++] = lookup;
}

struct dns_lookup *
dns_addresses(const char *name, dns_fn fn, void *arg)
{
	return look_up(name, DNS_A, fn, arg);
}

struct dns_lookup *
dns_exchanges(const char *name, dns_fn fn, void *arg)
{
	return look_up(name, DNS_MX, fn, arg);
}

struct dns_lookup *
dns_tlsa(const char *name, dns_fn fn, void *arg)
{
	return look_up(name, DNS_TLSA, fn, arg);
}

void
dns_cancel(struct dns_lookup *lookup)
{
	size_t i;

	if (lookup == NULL)
		return;
	for (i = 0; i < play.lookup_count; i++)
		if (play.lookups[i] == lookup)
			break;
	require(i < play.lookup_count);
	memmove(play.lookups + i, play.lookups + i + 1,
	    (--play.lookup_count - i) * sizeof(lookup));
	free(lookup->name);
	free(lookup);
}

/* Words between commas as records of the type, as far as they are any. */
static size_t
make_records(enum dns_type type, char *text, struct netaddr *addresses,
    struct dns_exchange *exchanges, struct dns_tlsa *tlsa)
{
	size_t count = 0;
	char *word;

	while ((word = strsep(&text, ",")) != NULL && count < 4) {
		if (type == DNS_A && netaddr_parse(word,
		    &addresses[count]) == -1)
			continue;
		if (type == DNS_MX) {
			exchanges[count].preference = (uint16_t)
			    (*word != '\0' ? *word++ / 16 * 10 : 0);
			if (dns_name(word, exchanges[count].name) == -1)
				exchanges[count].name[0] = '\0';
		}
		if (type == DNS_TLSA)
			tlsa[count] = (struct dns_tlsa){ .octets =
			    (uint8_t *)word, .length = (uint16_t)strlen(word),
			    .usage = 3, .selector = word[0] & 1,
			    .matching = word[0] >> 1 & 1 };
		count++;
	}
	return count;
}

/* s secure, i not; n x f: none, no name, failed; then records. */
static void
answer_dns(size_t which, char *text)
{
	struct dns_lookup *lookup = play.lookups[which];
	struct netaddr addresses[4];
	struct dns_exchange exchanges[4];
	struct dns_tlsa tlsa[4];
	struct dns_answer answer = { .result = DNS_OK, .lifetime = MINUTE,
	    .secure = *text == 's' && play.trusted, .reason = NULL };

	if (*text == 'n' || *text == 'x')
		answer.result = *text == 'n' ? DNS_NONE : DNS_NO_NAME;
	else if (*text == 'f' || *text == '\0') {
		answer.result = DNS_FAILED;
		answer.reason = "it did not answer";
		answer.lifetime = 0;
	} else
		answer.count = make_records(lookup->type, text + 1, addresses,
		    exchanges, tlsa);
	if (answer.count == 0 && answer.result == DNS_OK &&
	    lookup->type == DNS_A)
		answer.result = DNS_NONE;
	if (lookup->type == DNS_A) {
		answer.addresses = addresses;
		answer.name = lookup->name;
	} else if (lookup->type == DNS_MX)
		answer.exchanges = exchanges;
	else
		answer.tlsa = tlsa;
	memmove(play.lookups + which, play.lookups + which + 1,
	    (play.lookup_count - which - 1) * sizeof(*play.lookups));
	play.lookup_count--;
	/* Freed behind its call, as an answer's memory is. */
	lookup->fn(&answer, lookup->arg);
	free(lookup->name);
	free(lookup);
}

/* ---- the network ---- */

int
socket(int family, int type, int protocol)
{
	size_t i;

	(void)type;
	(void)protocol;
	require(family == AF_INET || family == AF_INET6 ||
	    family == AF_UNIX);
	for (i = 0; i < SERVERS; i++)
		if (play.servers[i].far.fd == -1)
			break;
	if (i == SERVERS || play.network == 'f') {
		errno = EMFILE;
		return -1;
	}
	return far_open(&play.servers[i].far);
}

int
connect(int fd, const struct sockaddr *address, socklen_t length)
{
	(void)fd;
	(void)address;
	(void)length;
	errno = play.network == 'r' ? ENETUNREACH : EINPROGRESS;
	return -1;
}

int
getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
	int error = play.network == 'c' ? ECONNREFUSED : 0;

	(void)fd;
	require(level == SOL_SOCKET && name == SO_ERROR &&
	    *length == sizeof(error));
	memcpy(value, &error, sizeof(error));
	return 0;
}

/* Is the dot of a message heard?  Each has its number in its subject. */
static void
look_for_dots(struct server *s)
{
	char *at = s->heard, *dot, *mark;
	unsigned long number;

	while ((dot = memmem(at, s->length - (size_t)(at - s->heard),
	    "\r\n.\r\n", 5)) != NULL) {
		mark = memmem(at, (size_t)(dot - at), "Subject: ", 9);
		number = mark != NULL ? strtoul(mark + 9, NULL, 10) :
		    TRANSACTIONS;
		if (number < TRANSACTIONS)
			play.wanted[number].dotted = true;
		at = dot + 5;
	}
}

static void
server_close(struct server *s)
{
	far_close(&s->far);
	free(s->heard);
	s->heard = NULL;
	s->length = 0;
}

static void
server_hear(struct server *s)
{
	char text[4096];
	ssize_t n;

	if (s->far.fd == -1)
		return;
	while ((n = recv(s->far.fd, text, sizeof(text), MSG_DONTWAIT)) > 0) {
		s->heard = fuzz_need(realloc(s->heard, s->length +
		    (size_t)n + 1));
		memcpy(s->heard + s->length, text, (size_t)n);
		s->length += (size_t)n;
		s->heard[s->length] = '\0';
	}
	if (s->length > 0)
		look_for_dots(s);
	if (n == 0)
		server_close(s);
}

/* Lines, $ is the end of one; the last need not have one. */
static void
server_say(struct server *s, const char *from)
{
	char *text = fuzz_need(malloc(2 * strlen(from) + 1)), *to = text;

	for (; *from != '\0'; from++) {
		if (*from == '$')
			*to++ = '\r';
		*to++ = *from == '$' ? '\n' : *from;
	}
	if (s->far.fd != -1)
		(void)send(s->far.fd, text, (size_t)(to - text),
		    MSG_NOSIGNAL | MSG_DONTWAIT);
	free(text);
}

/* ---- spoold ---- */

static void
spoold_up(void)
{
	static const struct child_peer peer = { &role_spoold, NULL, NULL };

	if (play.link == NULL)
		play.link = link_new(played_base(), far_open(&play.spoold),
		    peer.role, &play.child);
}

static void
spoold_down(void)
{
	far_close(&play.spoold);
	played_turn(3);
	require(play.link == NULL);
	/* Nobody is told of these any more. */
	while (play.wanted_count > 0)
		memset(&play.wanted[--play.wanted_count], 0,
		    sizeof(play.wanted[0]));
}

static struct wanted *
want(uint32_t type, size_t rows, bool sound)
{
	struct wanted *w;

	if (play.wanted_count == TRANSACTIONS || play.link == NULL)
		return NULL;
	w = &play.wanted[play.wanted_count++];
	*w = (struct wanted){ .type = type, .rows = rows, .sound = sound,
	    .request = (uint32_t)play.wanted_count };
	return w;
}

/* hop, exchange, sender, then recipients; an empty one is missing. */
static void
submit(char *text)
{
	struct w_relay_deliver_req req = { .id = 7 };
	struct w_relay_rcpt_ntf rcpt = { .notify = 0 };
	char frame[sizeof(req) + PIECE], *word;
	struct wanted *w = want(IMSG_RELAY_DELIVER_REQ, 0, true);
	size_t number;

	if (w == NULL)
		return;
	number = (size_t)(w - play.wanted);
	rcpt.transaction = req.transaction = number + 1;
	if ((word = strsep(&text, ",")) != NULL)
		(void)strlcpy(req.hop, *word != '\0' ? word : "hub",
		    sizeof(req.hop));
	if ((word = strsep(&text, ",")) != NULL)
		(void)strlcpy(req.exchange, word, sizeof(req.exchange));
	if ((word = strsep(&text, ",")) != NULL)
		(void)strlcpy(req.sender, word, sizeof(req.sender));
	while ((word = strsep(&text, ",")) != NULL && w->rows < RECIPIENTS) {
		rcpt.recipient = (uint32_t)w->rows++;
		(void)strlcpy(rcpt.address, word, sizeof(rcpt.address));
		far_say(&play.spoold, IMSG_RELAY_RCPT_NTF, 0, &rcpt,
		    sizeof(rcpt), -1);
	}
	req.recipients = (uint32_t)w->rows;
	memcpy(frame, &req, sizeof(req));
	req.size = (uint64_t)snprintf(frame + sizeof(req), PIECE,
	    "Subject: %zu\r\n\r\n..\r\nx\r\n", number);
	memcpy(frame, &req, sizeof(req));
	far_say(&play.spoold, IMSG_RELAY_DELIVER_REQ, w->request, frame,
	    sizeof(req) + req.size, -1);
}

/* As many questions as there is credit for are out. */
static bool
has_asked_enough(void)
{
	uint32_t count = 0;
	size_t i;

	for (i = 0; i < play.wanted_count; i++)
		count += !play.wanted[i].answered &&
		    play.wanted[i].type == IMSG_RELAY_EXPLAIN_REQ;
	return count >= wire_row(IMSG_RELAY_EXPLAIN_REQ)->window;
}

/* A question's kind, then hop, exchange, sender, address. */
static void
question(char *text)
{
	struct w_relay_explain_req req = { .id = 9 };
	char *fields[] = { req.hop, req.exchange, req.sender, req.address };
	const size_t sizes[] = { sizeof(req.hop), sizeof(req.exchange),
	    sizeof(req.sender), sizeof(req.address) };
	struct wanted *w;
	char *word;
	size_t i;

	if (has_asked_enough() ||
	    (w = want(IMSG_RELAY_EXPLAIN_REQ, 0, true)) == NULL)
		return;
	req.question = *text != '\0' ? (uint64_t)(*text++ - '0') : 1;
	for (i = 0; i < 4 && (word = strsep(&text, ",")) != NULL; i++)
		(void)strlcpy(fields[i], word, sizes[i]);
	far_say(&play.spoold, IMSG_RELAY_EXPLAIN_REQ, w->request, &req,
	    sizeof(req), -1);
}

/*
 * A frame of any octets, but for its strings' ends: whatever relay thinks of
 * it, this spoold is soon gone.
 */
static void
say_any(const char *text)
{
	static const enum imsg_type types[] = { IMSG_RELAY_RCPT_NTF,
	    IMSG_RELAY_DELIVER_REQ, IMSG_RELAY_EXPLAIN_REQ };
	size_t length = strlen(text), size, i;
	const struct wire_string *s;
	const struct wire_row *row;
	char *contents;

	if (length < 3 || play.link == NULL)
		return;
	row = wire_row(types[(unsigned char)text[0] % 3]);
	size = row->size + (size_t)(text[1] & 7) * (row->tail > 0) * length;
	contents = fuzz_need(malloc(size));
	for (i = 0; i < size; i++)
		contents[i] = text[1 + i % (length - 1)];
	for (s = row->strings; s->size != 0; s++)
		contents[s->offset + s->size - 1] = '\0';
	far_say(&play.spoold, types[(unsigned char)text[0] % 3],
	    (uint32_t)(text[2] & 15), contents, size, -1);
	free(contents);
	played_turn(6);
	spoold_down();
}

static void
take_result(const struct w_relay_result_ntf *ntf)
{
	struct wanted *w = &play.wanted[ntf->transaction - 1];

	require(ntf->transaction >= 1 &&
	    ntf->transaction <= play.wanted_count);
	require(!w->answered && ntf->recipient < w->rows &&
	    !w->told[ntf->recipient]);
	require(ntf->verdict >= RELAY_DONE && ntf->verdict <= RELAY_FAILED);
	require(ntf->stage <= STAGE_MESSAGE);
	require(ntf->verdict != RELAY_DONE || w->dotted);
	require(ntf->status[0] == (ntf->verdict == RELAY_DONE ? '2' :
	    ntf->verdict == RELAY_DEFERRED ? '4' : '5'));
	require(fuzz_is_printable(ntf->text));
	w->told[ntf->recipient] = true;
}

static void
take_answer(uint32_t id, uint32_t type, const char *tail, size_t length)
{
	struct wanted *w;
	size_t i;

	require(id >= 1 && id <= play.wanted_count);
	w = &play.wanted[id - 1];
	require(!w->answered && wire_row(w->type)->answer == type);
	w->answered = true;
	for (i = 0; i < w->rows; i++)
		require(w->told[i]);
	for (i = 0; i < length; i++)
		require((tail[i] >= ' ' && tail[i] <= '~') ||
		    tail[i] == '\n' || tail[i] == '\0');
}

static void
hear_spoold(void)
{
	struct frame_header header;
	struct w_relay_result_ntf ntf;
	const struct wire_row *row;
	const char *contents;
	int fd;

	while (play.spoold.fd != -1 && far_next(&play.spoold, &header,
	    &contents, &fd)) {
		row = wire_row(header.type);
		require(fd == -1 && wire_check(PROC_RELAY, PROC_SPOOLD,
		    header.type, header.id, contents, header.length,
		    false) == NULL);
		if (header.type != IMSG_RELAY_RESULT_NTF) {
			take_answer(header.id, header.type,
			    contents + row->size, header.length - row->size);
			continue;
		}
		memcpy(&ntf, contents, sizeof(ntf));
		take_result(&ntf);
	}
}

/* ---- steps ---- */

static void
hear(void)
{
	size_t i;

	played_turn(6);
	for (i = 0; i < SERVERS; i++)
		server_hear(&play.servers[i]);
	hear_spoold();
}

/* What spoold asks with has been printable since it came. */
static char *
clean(char *text)
{
	char *at;

	for (at = text; *at != '\0'; at++)
		if (*at < ' ' || *at > '~')
			*at = '?';
	return text;
}

static void
take(char *line)
{
	struct server *s;

	if (line[0] >= '0' && line[0] < '0' + SERVERS) {
		s = &play.servers[line[0] - '0'];
		if (line[1] == '!') {
			server_hear(s);
			server_close(s);
		} else
			server_say(s, line + 1);
	} else if (line[0] == 't')
		submit(clean(line + 1));
	else if (line[0] == 'q')
		question(clean(line + 1));
	else if (line[0] == 'd' && play.lookup_count > 0)
		answer_dns(0, line + 1);
	else if (line[0] == 'D' && play.lookup_count > 0)
		answer_dns(play.lookup_count - 1, line + 1);
	else if (line[0] == 'n')
		play.network = line[1];
	else if (line[0] == 'w')
		played_pass((SECOND / 2) << (line[1] & 15));
	else if (line[0] == '?')
		say_any(line + 1);
	else if (line[0] == 'k')
		spoold_down();
	else if (line[0] == 'u')
		spoold_up();
	hear();
}

/* ---- the beginning and the end ---- */

static void
begin(void)
{
	size_t i;

	for (i = 0; i < SERVERS; i++)
		play.servers[i].far.fd = -1;
	play.spoold.fd = -1;
	if (!play.begun) {
		play.child.base = played_base();
		play.child.conf = conf_parse("fuzz", configuration,
		    strlen(configuration), NULL);
		require(play.child.conf->wrong == 0);
		tls_open();
		auth_open();
		secrets_take(&play.child, logins, strlen(logins));
		policy_configure(&play.child);
		hop_configure(&play.child);
		endpoint_configure(play.child.base);
	}
	play.begun = true;
	play.network = 'o';
	memset(play.wanted, 0, sizeof(play.wanted));
	play.wanted_count = 0;
}

static bool
all_is_over(void)
{
	size_t i;

	for (i = 0; i < play.wanted_count; i++)
		if (!play.wanted[i].answered)
			return false;
	return hop_all_idle() && endpoint_all_idle() && explain_all_idle();
}

/* Nobody is there any more: all must be answered in time. */
static void
end(void)
{
	char failed[] = "f";
	size_t i;
	int round;

	for (round = 0; round < ROUNDS && !all_is_over(); round++) {
		play.network = 'c';
		while (play.lookup_count > 0)
			answer_dns(0, failed);
		for (i = 0; i < SERVERS; i++) {
			server_hear(&play.servers[i]);
			server_close(&play.servers[i]);
		}
		hear();
		if (round % 16 == 15)
			played_pass(20 * MINUTE);
	}
	require(all_is_over());
	for (i = 0; i < SERVERS; i++)
		server_close(&play.servers[i]);
	spoold_down();
	require(all_is_over() && play.lookup_count == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t bits = fuzz_byte(&in);
	uint64_t fds;

	begin();
	fds = fuzz_descriptors();
	play.trusted = bits & 1;
	spoold_up();
	fuzz_lines(&in, STEPS, take);
	end();
	require(fuzz_descriptors() == fds);
	return 0;
}
