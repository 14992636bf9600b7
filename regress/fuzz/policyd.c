/* links: policyd/peer_smtpd.c policyd/peer_spoold.c policyd/walk.c
 * policyd/walk_address.c policyd/walk_name.c policyd/members.c
 * policyd/decide.c policyd/route.c policyd/judge.c policyd/explain.c
 * policyd/lines.c policyd/settings.c common/conf.c common/conf_keyword.c
 * common/conf_lex.c common/conf_parse.c common/conf_value.c
 * common/conf_print.c common/target.c common/address.c common/aliases.c
 * common/log.c common/netaddr.c common/queueid.c common/link.c
 * common/asks.c common/frame.c common/wire.c common/loop.c
 * regress/fuzz/help/played.c regress/fuzz/help/routes.c */
/*
 * policyd over real links: questions of any octets, which the wire lets
 * through, from either smtpd and from spoold.  Each is answered after so many
 * look-ups, by what the wire lets through and with no octet that cannot be
 * shown; only a claim that this smtpd's listeners cannot make closes its
 * link.  The input is a world,
 * then questions.
 */
#include "child.h"
#include "fuzz.h"
#include "help/played.h"
#include "help/routes.h"

#define QUESTIONS	8
#define LOOKS_MAX	100000UL	/* for one of them */

enum { INTERNET, LOCAL, SPOOLD, PEERS };

static struct {
	const struct settings *settings;
	struct far	 far[PEERS];
	struct link	*link[PEERS];
	uint32_t	 id;
} play;

static struct child child;

/* ---- the rest of policyd ---- */

const struct settings *
policyd_settings(void)
{
	return play.settings;
}

const struct world *
tables_world(void)
{
	return &routes_world;
}

void
tables_tick(void)
{
}

void
child_link_closed(struct link *link, const char *why, void *arg)
{
	size_t i;

	(void)why;
	require(arg == &child);
	for (i = 0; i < PEERS && play.link[i] != link; i++)
		;
	require(i < PEERS);
	play.link[i] = NULL;
}

static void
peer_up(size_t i)
{
	play.link[i] = link_new(played_base(), far_open(&play.far[i]),
	    i == SPOOLD ? &role_spoold : &role_smtpd, &child);
	link_set_instance(play.link[i], i == LOCAL ? 0 : 1);
}

/* ---- questions ---- */

/* May the listeners of this smtpd make that claim? */
static bool
claim_is_good(size_t peer, uint32_t type, const char *contents)
{
	struct w_rcpt_check_req req;

	if (type != IMSG_RCPT_CHECK_REQ)
		return true;
	memcpy(&req, contents, sizeof(req));
	if (peer == LOCAL)
		return req.client.standing == STANDING_LOCAL;
	return req.client.standing == STANDING_STRANGER ||
	    req.client.standing == STANDING_TRUSTED;
}

static void
check_explained(const char *text, size_t length)
{
	require(length > 0 && text[length - 1] == '\n');
	for (; length > 0; length--, text++)
		require(*text == '\n' || ((unsigned char)*text >= ' ' &&
		    *text != 127));
}

static void
check_answer(uint32_t type, const char *contents, size_t length)
{
	struct w_rcpt_check_ans rcpt;
	struct w_route_resolve_ans route;
	const void *tail = contents + wire_row(type)->size;
	enum target_place place;
	const char *text;
	uint32_t count = 0;

	length -= wire_row(type)->size;
	if (type == IMSG_RCPT_CHECK_ANS) {
		memcpy(&rcpt, contents, sizeof(rcpt));
		require(rcpt.verdict >= RCPT_ACCEPT &&
		    rcpt.verdict <= RCPT_MISCONFIGURED);
		require(rcpt.verdict != RCPT_REFUSED ||
		    (rcpt.code >= 400 && rcpt.code < 600));
		require(fuzz_is_printable(rcpt.text));
	} else if (type == IMSG_ROUTE_RESOLVE_ANS) {
		memcpy(&route, contents, sizeof(route));
		require(route.kind >= ROUTE_LOCAL &&
		    route.kind <= ROUTE_DEFER);
		while (wire_next_target(&tail, &length, &place, &text) == 1)
			count++;
		require(length == 0 && count == route.count);
	} else if (length < wire_row(type)->tail)
		check_explained(tail, length);
}

/* The question is answered once, or its link is closed for its claim. */
static void
hear(size_t peer, const struct frame_header *asked, const char *question)
{
	struct far *far = &play.far[peer];
	struct frame_header header;
	const char *contents;
	int fd;

	played_turn(3);
	if (!claim_is_good(peer, asked->type, question)) {
		require(play.link[peer] == NULL);
		require(!far_next(far, &header, &contents, &fd));
		far_close(far);
		peer_up(peer);
		return;
	}
	require(play.link[peer] != NULL);
	require(far_next(far, &header, &contents, &fd) && fd == -1);
	require(header.id == asked->id &&
	    header.type == wire_row(asked->type)->answer);
	require(wire_check(PROC_POLICYD, peer == SPOOLD ? PROC_SPOOLD :
	    PROC_SMTPD, header.type, header.id, contents, header.length,
	    false) == NULL);
	require(memcmp(contents, question, sizeof(uint64_t)) == 0);
	check_answer(header.type, contents, header.length);
	require(!far_next(far, &header, &contents, &fd));
}

/* Bits of the question, then a line for each of its strings. */
static void
ask(struct fuzz_input *in)
{
	static const enum imsg_type types[] = { IMSG_RCPT_CHECK_REQ,
	    IMSG_RCPT_CHECK_REQ, IMSG_ROUTE_RESOLVE_REQ,
	    IMSG_ROUTE_EXPLAIN_REQ };
	uint8_t bits = fuzz_byte(in), octet = fuzz_byte(in);
	struct frame_header asked = { .type = types[bits % 4],
	    .id = ++play.id };
	const struct wire_row *row = wire_row(asked.type);
	char *contents = fuzz_need(malloc(row->size));
	size_t peer = bits % 4 < SPOOLD ? bits % 4 : SPOOLD;
	const struct wire_string *s;
	uint8_t standing = bits / 4 % 8;
	unsigned long looks = routes_looks();

	/* No octet of it need be what it should. */
	memset(contents, octet, row->size);
	if (octet == 0)
		contents[0] = 1;
	for (s = row->strings; s->size != 0; s++)
		fuzz_fill(in, contents + s->offset, s->size);
	if (asked.type == IMSG_RCPT_CHECK_REQ && standing < 7)
		memcpy(contents + offsetof(struct w_rcpt_check_req,
		    client.standing), &standing, 1);
	far_say(&play.far[peer], asked.type, asked.id, contents, row->size,
	    -1);
	hear(peer, &asked, contents);
	require(routes_looks() - looks < LOOKS_MAX);
	free(contents);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	size_t i;
	uint64_t fds;

	(void)played_base();
	fds = fuzz_descriptors();
	play.settings = routes_read(&in);
	play.id = 0;
	for (i = 0; i < PEERS; i++)
		peer_up(i);
	for (i = 0; in.left > 0 && i < QUESTIONS; i++)
		ask(&in);
	for (i = 0; i < PEERS; i++) {
		far_close(&play.far[i]);
		/* One may be cut short by the fuzzer's alarm. */
		played_turn(3);
		require(play.link[i] == NULL);
	}
	require(fuzz_descriptors() == fds);
	routes_free();
	return 0;
}
