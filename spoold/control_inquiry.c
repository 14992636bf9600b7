/*
 * Questions of the operator that others must answer: how an address is
 * routed and to which hosts, why mail for a domain waits, whether its hosts
 * take mail.  policyd is asked first, relay then; what they say is put
 * together here.  Whoever goes away, or does not answer in time, leaves
 * nothing behind.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "link.h"
#include "log.h"
#include "spoold.h"

#define PATIENCE	(2 * MINUTE)	/* for explain and why */
#define PROBE_PATIENCE	(10 * MINUTE)	/* as long as a server may take */
#define PROBES_MAX	4
#define LANES_MAX	8		/* of a domain that are described */
#define COUNT_MAX	5000		/* rows of a lane that are counted */
#define TEXT_MAX	65536		/* of an answer: wire.c */
#define ONLY_OPERATORS	"only root and the operators may do that"

enum kind { EXPLAIN, WHY, PROBE };

/* A next hop to be described. */
struct hop_name {
	char	 text[WIRE_TARGET + WIRE_DOMAIN + 8];
	char	 hop[WIRE_TARGET];
	char	 exchange[WIRE_DOMAIN];
};

struct inquiry {
	TAILQ_ENTRY(inquiry) entry;
	struct client	*client;
	enum kind	 kind;
	int64_t		 deadline;	/* monotonic */
	struct link	*policyd;	/* that was asked, or NULL */
	uint32_t	 question;	/* its id */
	bool		 relay_asked;
	char		 sender[WIRE_ADDRESS];
	char		 address[WIRE_ADDRESS];	/* or domain */
	struct hop_name	*lanes;		/* WHY: all, and how many are done */
	size_t		 lane_count;
	size_t		 lane_done;
	size_t		 lanes_left;	/* that are not described */
	FILE		*out;
	char		*text;
	size_t		 length;
};

static TAILQ_HEAD(, inquiry) inquiries = TAILQ_HEAD_INITIALIZER(inquiries);

static struct inquiry *
inquiry_new(struct client *client, enum kind kind)
{
	struct inquiry	*inquiry;

	if ((inquiry = calloc(1, sizeof(*inquiry))) == NULL ||
	    (inquiry->out = open_memstream(&inquiry->text,
	    &inquiry->length)) == NULL)
		fatal("inquiry");
	inquiry->client = client;
	inquiry->kind = kind;
	inquiry->deadline = clock_monotonic() + (kind == PROBE ?
	    PROBE_PATIENCE : PATIENCE);
	client->inquiry = inquiry;
	TAILQ_INSERT_TAIL(&inquiries, inquiry, entry);
	return inquiry;
}

static void
inquiry_free(struct inquiry *inquiry)
{
	if (inquiry->policyd != NULL)
		link_forget(inquiry->policyd, inquiry->question);
	if (inquiry->relay_asked)
		relay_explain_forget(inquiry);
	inquiry->client->inquiry = NULL;
	TAILQ_REMOVE(&inquiries, inquiry, entry);
	(void)fclose(inquiry->out);
	free(inquiry->text);
	free(inquiry->lanes);
	free(inquiry);
}

/* ---- answers ---- */

static void
answer_ctl_explain(struct client *client, enum ctl_verdict verdict,
    const char *text, size_t length)
{
	struct w_ctl_explain_ans	 answer = { .verdict = verdict };

	client_answer(client, IMSG_CTL_EXPLAIN_ANS, &answer, text, length);
}

static void
answer_ctl_why(struct client *client, enum ctl_verdict verdict,
    const char *text, size_t length)
{
	struct w_ctl_why_ans	 answer = { .verdict = verdict };

	client_answer(client, IMSG_CTL_WHY_ANS, &answer, text, length);
}

static void
answer_ctl_probe(struct client *client, enum ctl_verdict verdict, bool good,
    const char *text, size_t length)
{
	struct w_ctl_probe_ans	 answer = {
		.verdict = verdict, .good = good
	};

	client_answer(client, IMSG_CTL_PROBE_ANS, &answer, text, length);
}

/* Answer with what was gathered; frees the inquiry. */
static void
finish(struct inquiry *inquiry, enum ctl_verdict verdict, bool good)
{
	struct client	*client = inquiry->client;
	size_t		 length;

	if (fflush(inquiry->out) == EOF)
		fatal("inquiry");
	length = inquiry->length < TEXT_MAX ? inquiry->length : TEXT_MAX;
	switch (inquiry->kind) {
	case EXPLAIN:
		answer_ctl_explain(client, verdict, inquiry->text, length);
		break;
	case WHY:
		answer_ctl_why(client, verdict, inquiry->text, length);
		break;
	case PROBE:
		answer_ctl_probe(client, verdict, good, inquiry->text, length);
	}
	inquiry_free(inquiry);
}

/* Answer that it cannot be said, and why. */
static void
finish_without(struct inquiry *inquiry, enum ctl_verdict verdict,
    const char *why)
{
	fprintf(inquiry->out, "%s\n", why);
	finish(inquiry, verdict, false);
}

/* Add lines of another's words, each behind a prefix in place of its blanks. */
static void
put_lines(FILE *out, const char *prefix, const char *text, size_t length)
{
	bool	 at_start = true;
	size_t	 i;

	for (i = 0; i < length; i++) {
		if (at_start && (text[i] == '\n' || (text[i] == ' ' &&
		    prefix[0] != '\0')))
			continue;
		if (at_start)
			fputs(prefix, out);
		at_start = text[i] == '\n';
		putc(at_start || ((unsigned char)text[i] >= ' ' &&
		    text[i] != 0x7f) ? text[i] : '?', out);
	}
	if (!at_start)
		putc('\n', out);
}

/* ---- asking ---- */

/* Ask policyd how an address is routed.  Returns 0, or -1. */
static int
ask_route(struct inquiry *inquiry, const char *address)
{
	struct w_route_explain_req	 question = { .id = 1 };

	question.client.standing = STANDING_LOCAL;
	question.client.uid = inquiry->client->uid;
	(void)strlcpy(question.sender, inquiry->sender,
	    sizeof(question.sender));
	(void)strlcpy(question.address, address, sizeof(question.address));
	inquiry->policyd = child_link(PROC_POLICYD, 0);
	inquiry->question = ask_route_explain(&question, inquiry);
	if (inquiry->question != 0)
		return 0;
	inquiry->policyd = NULL;
	return -1;
}

/* Ask relay about a next hop.  Returns 0, or -1. */
static int
ask_relay(struct inquiry *inquiry, enum relay_question what, const char *hop,
    const char *exchange, const char *address)
{
	struct w_relay_explain_req	 question = {
		.id = 1, .question = what
	};

	(void)strlcpy(question.hop, hop, sizeof(question.hop));
	(void)strlcpy(question.exchange, exchange, sizeof(question.exchange));
	(void)strlcpy(question.sender, inquiry->sender,
	    sizeof(question.sender));
	(void)strlcpy(question.address, address, sizeof(question.address));
	inquiry->relay_asked = ask_relay_explain(&question, inquiry) == 0;
	return inquiry->relay_asked ? 0 : -1;
}

static void
print_hop(const char *hop, const char *exchange, char *text, size_t size)
{
	(void)snprintf(text, size, "%s%s%s", exchange,
	    exchange[0] != '\0' ? " by " : "", hop);
}

/* ---- why ---- */

static void
add_lane(struct inquiry *inquiry, const char *text, const char *hop,
    const char *exchange)
{
	struct hop_name	*name;
	size_t		 i;

	for (i = 0; i < inquiry->lane_count; i++)
		if (strcmp(inquiry->lanes[i].text, text) == 0)
			return;
	if (inquiry->lane_count == LANES_MAX) {
		inquiry->lanes_left++;
		return;
	}
	name = &inquiry->lanes[inquiry->lane_count++];
	(void)strlcpy(name->text, text, sizeof(name->text));
	(void)strlcpy(name->hop, hop, sizeof(name->hop));
	(void)strlcpy(name->exchange, exchange, sizeof(name->exchange));
}

/* What of a lane's mail is in the database; of the lane itself, if known. */
static void
put_waiting(FILE *out, const char *name, const struct lane *lane)
{
	enum sql	 sql = SQL_LANE_WAITING;
	int64_t		 count, next;

	if (db_ask(sql, "tu", name, COUNT_MAX + 1U) == 1 &&
	    (count = db_integer(sql, 0)) > 0) {
		next = db_integer(sql, 2);
		if (lane != NULL && lane->asleep && lane_is_closed(lane) &&
		    lane->closed_until < next)
			next = lane->closed_until;
		fprintf(out, "waiting: %lld\n", (long long)(count >
		    COUNT_MAX ? COUNT_MAX : count));
		if (count > COUNT_MAX)
			fputs("and-more: yes\n", out);
		fprintf(out, "oldest: %lld\nnext: %lld\n",
		    (long long)(db_integer(sql, 1) / SECOND),
		    (long long)(next / SECOND));
	} else
		fputs("waiting: 0\n", out);
	db_end(sql);
}

static void
put_lane(struct inquiry *inquiry, const struct hop_name *name)
{
	const struct lane	*lane = lane_find(name->text);
	char			*text = NULL;
	size_t			 length = 0;
	FILE			*out;

	fputs("\nlane: ", inquiry->out);
	put_lines(inquiry->out, "", name->text, strlen(name->text));
	put_waiting(inquiry->out, name->text, lane);
	fprintf(inquiry->out, "active: %u\n", lane != NULL ? lane->count : 0);
	if (lane == NULL)
		return;
	if ((out = open_memstream(&text, &length)) == NULL)
		fatal("inquiry");
	lane_describe(lane, out);
	if (fclose(out) == EOF)
		fatal("inquiry");
	put_lines(inquiry->out, "> ", text, length);
	free(text);
}

/* Describe lanes up to one that relay is asked of, or the end. */
static void
describe_lanes(struct inquiry *inquiry)
{
	const struct hop_name	*name;

	while (inquiry->lane_done < inquiry->lane_count) {
		name = &inquiry->lanes[inquiry->lane_done++];
		put_lane(inquiry, name);
		if (name->hop[0] == '\0')
			continue;
		if (ask_relay(inquiry, RELAY_STATE, name->hop, name->exchange,
		    "") == 0)
			return;
		fputs("> relay cannot be asked now\n", inquiry->out);
	}
	if (inquiry->lanes_left > 0)
		fprintf(inquiry->out, "\nnot-shown: %zu\n",
		    inquiry->lanes_left);
	finish(inquiry, CTL_OK, true);
}

/* policyd has said where its mail goes, or NULL: describe that and all else. */
static void
begin_lanes(struct inquiry *inquiry, const struct w_route_explain_ans *answer)
{
	char		 text[sizeof(inquiry->lanes->text)];
	struct lane	*lane = NULL;

	inquiry->lanes = calloc(LANES_MAX, sizeof(*inquiry->lanes));
	if (inquiry->lanes == NULL)
		fatal("inquiry");
	fputs("domain: ", inquiry->out);
	put_lines(inquiry->out, "", inquiry->address,
	    strlen(inquiry->address));
	if (answer == NULL)
		fputs("route: policyd does not answer\n", inquiry->out);
	else if (answer->kind == ROUTE_RELAY) {
		print_hop(answer->hop, answer->exchange, text, sizeof(text));
		fputs("route: ", inquiry->out);
		put_lines(inquiry->out, "", text, strlen(text));
		add_lane(inquiry, text, answer->hop, answer->exchange);
	} else
		fputs("route: to no other host: see postctl explain\n",
		    inquiry->out);
	while ((lane = lane_next_of(lane, inquiry->address)) != NULL)
		add_lane(inquiry, lane->text, lane->hop, lane->exchange);
	describe_lanes(inquiry);
}

/* ---- probe ---- */

static void
begin_probe(struct inquiry *inquiry, const struct w_route_explain_ans *answer)
{
	char	 text[WIRE_TARGET + WIRE_DOMAIN + 8];

	if (answer == NULL) {
		finish_without(inquiry, CTL_ERROR, "policyd does not answer");
		return;
	}
	if (answer->kind != ROUTE_RELAY) {
		finish_without(inquiry, CTL_NO_SUCH,
		    "it goes to no other host: see postctl explain");
		return;
	}
	print_hop(answer->hop, answer->exchange, text, sizeof(text));
	put_lines(inquiry->out, "next hop: ", text, strlen(text));
	if (ask_relay(inquiry, RELAY_PROBE, answer->hop, answer->exchange,
	    strchr(inquiry->address, '@') != NULL ? answer->address : "") ==
	    -1)
		finish_without(inquiry, CTL_ERROR,
		    "relay cannot be asked now");
}

/* Is there another of this uid, or are there too many? */
static const char *
why_no_probe(const struct client *client)
{
	const struct inquiry	*inquiry;
	int			 count = 0;

	TAILQ_FOREACH(inquiry, &inquiries, entry) {
		if (inquiry->kind != PROBE)
			continue;
		if (inquiry->client->uid == client->uid)
			return "a probe of yours is under way";
		count++;
	}
	return count < PROBES_MAX ? NULL : "too many probes are under way";
}

/* ---- what came ---- */

static void
end_explain(struct inquiry *inquiry, const struct w_route_explain_ans *answer,
    const char *text, size_t length)
{
	if (answer == NULL) {
		finish_without(inquiry, CTL_ERROR, "policyd does not answer");
		return;
	}
	put_lines(inquiry->out, "", text, length);
	if (answer->kind != ROUTE_RELAY) {
		finish(inquiry, CTL_OK, true);
		return;
	}
	fputs("its hosts, as they would be tried:\n", inquiry->out);
	if (ask_relay(inquiry, RELAY_HOSTS, answer->hop, answer->exchange,
	    answer->address) == 0)
		return;
	fputs("  relay cannot be asked now for the hosts\n", inquiry->out);
	finish(inquiry, CTL_OK, true);
}

/* policyd says how an address is done. */
void
on_route_explain_ans(struct link *link, struct frame *frame, void *arg)
{
	struct inquiry	*inquiry = arg;

	(void)link;
	inquiry->policyd = NULL;
	switch (inquiry->kind) {
	case EXPLAIN:
		end_explain(inquiry, frame->payload, frame->tail,
		    frame->tail_length);
		break;
	case WHY:
		begin_lanes(inquiry, frame->payload);
		break;
	case PROBE:
		begin_probe(inquiry, frame->payload);
	}
}

/* relay has answered, or with NULL has died. */
void
control_relay_answer(void *arg, bool good, const char *text, size_t length)
{
	static const char	 no_answer[] = "relay does not answer";
	struct inquiry		*inquiry = arg;

	inquiry->relay_asked = false;
	if (text == NULL && inquiry->kind == PROBE) {
		finish_without(inquiry, CTL_ERROR, no_answer);
		return;
	}
	if (text == NULL) {
		text = no_answer;
		length = sizeof(no_answer) - 1;
	}
	put_lines(inquiry->out, inquiry->kind == WHY ? "> " : "", text,
	    length);
	if (inquiry->kind == WHY)
		describe_lanes(inquiry);
	else
		finish(inquiry, CTL_OK, good);
}

/* ---- questions ---- */

void
inquiry_explain(struct client *client, const struct w_ctl_explain_req *asked)
{
	struct inquiry	*inquiry = inquiry_new(client, EXPLAIN);

	(void)strlcpy(inquiry->sender, asked->sender,
	    sizeof(inquiry->sender));
	if (ask_route(inquiry, asked->address) == -1)
		finish_without(inquiry, CTL_ERROR,
		    "policyd cannot be asked now");
}

/* Why does a domain's mail wait?  Others' mail shows in that. */
void
inquiry_why(struct client *client, const struct w_ctl_why_req *asked)
{
	struct inquiry	*inquiry = inquiry_new(client, WHY);
	char		 address[WIRE_ADDRESS];

	(void)strlcpy(inquiry->address, asked->domain,
	    sizeof(inquiry->address));
	if (!client->is_operator) {
		finish_without(inquiry, CTL_DENIED, ONLY_OPERATORS);
		return;
	}
	(void)snprintf(address, sizeof(address), "postmaster@%s",
	    asked->domain);
	if (ask_route(inquiry, address) == -1)
		begin_lanes(inquiry, NULL);
}

void
inquiry_probe(struct client *client, const struct w_ctl_probe_req *asked)
{
	const char	*why = why_no_probe(client);
	struct inquiry	*inquiry = inquiry_new(client, PROBE);
	char		 address[WIRE_ADDRESS];

	(void)strlcpy(inquiry->sender, asked->sender,
	    sizeof(inquiry->sender));
	(void)strlcpy(inquiry->address, asked->address,
	    sizeof(inquiry->address));
	if (!client->is_operator) {
		finish_without(inquiry, CTL_DENIED, ONLY_OPERATORS);
		return;
	}
	if (why != NULL) {
		finish_without(inquiry, CTL_TOO_SOON, why);
		return;
	}
	(void)snprintf(address, sizeof(address), "%s%s",
	    strchr(asked->address, '@') == NULL ? "postmaster@" : "",
	    asked->address);
	log_begin(LOG_INFO, "probe");
	log_string("to", asked->address);
	log_number("uid", client->uid);
	log_end();
	if (ask_route(inquiry, address) == -1)
		finish_without(inquiry, CTL_ERROR,
		    "policyd cannot be asked now");
}

/* The client has gone. */
void
inquiry_forget(struct client *client)
{
	if (client->inquiry != NULL)
		inquiry_free(client->inquiry);
}

/* Nobody answers for ever. */
void
inquiry_tick(struct client *client, int64_t monotonic)
{
	if (client->inquiry->deadline < monotonic)
		finish_without(client->inquiry, CTL_ERROR,
		    "no answer came in time");
}
