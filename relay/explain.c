/*
 * What spoold asks for the operator: how a next hop is, what its hosts are,
 * and what a server says when it is tried.  The answers are lines for people.
 */
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "relay.h"

#define TEXT_MAX	60000		/* octets; the wire takes 65536 */
#define SIGHTINGS_MAX	100

/* A question whose answer is being found. */
struct question {
	TAILQ_ENTRY(question) entry;
	struct link	*link;
	uint32_t	 request;
	uint64_t	 id;
	struct hop	*hop;		/* held, or NULL */
	struct scout	*scout;
	struct probe	*probe;
	unsigned int	 sightings;
	char		 host[WIRE_DOMAIN];	/* that lines are about */
	FILE		*out;
	char		*text;
	size_t		 length;
};

static TAILQ_HEAD(, question) questions = TAILQ_HEAD_INITIALIZER(questions);

static struct question *
question_new(struct link *link, uint32_t request, uint64_t id)
{
	struct question *q;

	if ((q = calloc(1, sizeof(*q))) == NULL)
		fatal("calloc");
	q->link = link;
	q->request = request;
	q->id = id;
	if ((q->out = open_memstream(&q->text, &q->length)) == NULL)
		fatal("open_memstream");
	TAILQ_INSERT_TAIL(&questions, q, entry);
	return q;
}

static void
question_free(struct question *q)
{
	TAILQ_REMOVE(&questions, q, entry);
	scout_free(q->scout);
	probe_free(q->probe);
	if (q->hop != NULL)
		hop_release(q->hop);
	if (q->out != NULL)
		fclose(q->out);
	free(q->text);
	free(q);
}

/* Send what was written, cut at a line's end if it is too much. */
static void
answer(struct question *q, bool good)
{
	struct w_relay_explain_ans ans = { .id = q->id, .good = good };

	if (fclose(q->out) == EOF || q->text == NULL)
		fatal("open_memstream");
	q->out = NULL;
	if (q->length > TEXT_MAX) {
		q->length = TEXT_MAX;
		while (q->length > 0 && q->text[q->length - 1] != '\n')
			q->length--;
	}
	answer_relay_explain(q->link, q->request, &ans, q->text, q->length);
	question_free(q);
	relay_idle();
}

/* ---- its hosts ---- */

static void
print_address(struct question *q, const struct sighting *sighting)
{
	char text[NETADDR_TEXT], line[WIRE_NAME];

	security_print(sighting->security, line, sizeof(line));
	if (sighting->address == NULL)
		fprintf(q->out, "  socket");
	else
		fprintf(q->out, "  address %s port %u",
		    netaddr_print(sighting->address, text, sizeof(text)),
		    (unsigned int)sighting->host->port);
	fprintf(q->out, ", tls: %s", line);
	if (sighting->secret != NULL)
		fprintf(q->out, ", login as %s", sighting->secret->login);
	fprintf(q->out, "\n");
}

static void
on_sighting(const struct sighting *sighting, void *arg)
{
	struct question *q = arg;

	if (sighting->host == NULL || ++q->sightings > SIGHTINGS_MAX) {
		answer(q, true);
		return;
	}
	if (strcmp(q->host, sighting->host->name) != 0) {
		strlcpy(q->host, sighting->host->name, sizeof(q->host));
		host_print(q->host, sighting->host->preference, q->out);
	}
	if (sighting->fault != NULL)
		fprintf(q->out, "  not usable: %s\n", sighting->fault->text);
	else
		print_address(q, sighting);
	scout_next(q->scout);
}

/* ---- a probe ---- */

static void
on_probed(bool good, void *arg)
{
	answer(arg, good);
}

/* ---- the questions ---- */

/* Find the hop; if it is none, say why. */
static int
find(struct question *q, const struct w_relay_explain_req *req)
{
	const char *why;
	struct hop *hop;

	hop = hop_find(req->hop, req->exchange, secret_class(req->sender),
	    &why);
	if (why != NULL) {
		fprintf(q->out, "next hop %s: %s\n", req->hop, why);
		return -1;
	}
	q->hop = hop;
	hop_hold(hop);
	return 0;
}

void
explain(struct link *link, uint32_t request,
    const struct w_relay_explain_req *req)
{
	struct question *q = question_new(link, request, req->id);

	if (req->question == RELAY_STATE) {
		hop_print(req->hop, req->exchange, q->out);
		answer(q, true);
	} else if (find(q, req) == -1)
		answer(q, false);
	else if (req->question == RELAY_HOSTS) {
		q->scout = scout_new(q->hop, on_sighting, q);
		scout_next(q->scout);
	} else if (req->question == RELAY_PROBE)
		q->probe = probe_new(q->hop, req->sender, req->address,
		    q->out, on_probed, q);
	else {
		fprintf(q->out, "relay does not know this question\n");
		answer(q, false);
	}
}

/*
 * The link is gone: nobody waits for the answers.
 */
void
explain_forget(const struct link *link)
{
	struct question *q, *next;

	TAILQ_FOREACH_SAFE(q, &questions, entry, next)
		if (q->link == link)
			question_free(q);
}

bool
explain_all_idle(void)
{
	return TAILQ_EMPTY(&questions);
}
