/*
 * Next hops: the transactions that wait for each, the searches that go for
 * conversations, and the conversations that serve it.  A hop that no host of
 * which can be reached is closed for a while: spoold is told until when.
 *
 * While none of its hosts has answered, one search at a time finds out
 * whether more make sense.
 */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "relay.h"

#define HOPS_KEPT	4096		/* that are idle */
#define BEARS_TIME	(1 * MINUTE)	/* fewer connections, when refused */

struct hop {
	RB_ENTRY(hop)	 entry;
	TAILQ_ENTRY(hop) idle;		/* if is_idle */
	bool		 is_idle;
	unsigned int	 holders;
	char		*text;
	char		*exchange;
	char		*class;		/* of the senders, for its secrets */
	const char	*fault;		/* why it is none; NULL if it is one */
	struct sources	 sources;
	struct transactions waiting;
	size_t		 waiting_count;
	struct search	**searches;
	size_t		 search_count;
	struct conversation **serving;
	size_t		 serving_count;
	struct seen	 seen;		/* by the last search */
	bool		 reachable;	/* a host has taken us lately */
	unsigned int	 failures;	/* in a row, of whole searches */
	int64_t		 closed_until;	/* as spoold was told; wall clock */
	size_t		 bears;		/* connections, while: */
	int64_t		 bears_until;	/* monotonic */
};

static int
compare(struct hop *a, struct hop *b)
{
	int order;

	if ((order = strcmp(a->text, b->text)) == 0 &&
	    (order = strcmp(a->exchange, b->exchange)) == 0)
		order = strcmp(a->class, b->class);
	return order;
}

RB_HEAD(hop_tree, hop);
RB_GENERATE_STATIC(hop_tree, hop, entry, compare)
TAILQ_HEAD(hop_list, hop);

static struct {
	const struct child *child;
	struct hop_tree	 all;
	struct hop_list	 idle;		/* the longest idle first */
	size_t		 count;
	size_t		 idle_count;
} hops = {
	.all = RB_INITIALIZER(&hops.all),
	.idle = TAILQ_HEAD_INITIALIZER(hops.idle)
};

/*
 * Hops are looked up in this process's part of the configuration.
 */
void
hop_configure(struct child *child)
{
	hops.child = child;
}

/* ---- the table ---- */

static void
hop_free(struct hop *hop)
{
	RB_REMOVE(hop_tree, &hops.all, hop);
	hops.count--;
	seen_forget(&hop->seen);
	free(hop->text);
	free(hop->exchange);
	free(hop->class);
	free(hop->sources.list);
	free(hop->searches);
	free(hop->serving);
	free(hop);
}

/* Is it idle or not: keep the list of those that are. */
static void
settle(struct hop *hop)
{
	bool idle = hop->holders == 0 && hop->waiting_count == 0 &&
	    hop->search_count == 0 && hop->serving_count == 0;

	if (idle == hop->is_idle)
		return;
	hop->is_idle = idle;
	if (idle) {
		hop->reachable = false;
		TAILQ_INSERT_TAIL(&hops.idle, hop, idle);
		hops.idle_count++;
	} else {
		TAILQ_REMOVE(&hops.idle, hop, idle);
		hops.idle_count--;
	}
}

/* Forget who has been idle longest, if there are many. */
static void
trim(void)
{
	struct hop *hop;

	while (hops.idle_count > HOPS_KEPT) {
		hop = TAILQ_FIRST(&hops.idle);
		TAILQ_REMOVE(&hops.idle, hop, idle);
		hops.idle_count--;
		hop_free(hop);
	}
}

/*
 * By text, exchange and class of the sender; with why it is none.
 */
struct hop *
hop_find(const char *text, const char *exchange, const char *class,
    const char **fault)
{
	struct hop key, *hop;

	key.text = __DECONST(char *, text);
	key.exchange = __DECONST(char *, exchange);
	key.class = __DECONST(char *, class);
	if ((hop = RB_FIND(hop_tree, &hops.all, &key)) == NULL) {
		trim();
		if ((hop = calloc(1, sizeof(*hop))) == NULL ||
		    (hop->text = strdup(text)) == NULL ||
		    (hop->exchange = strdup(exchange)) == NULL ||
		    (hop->class = strdup(class)) == NULL)
			fatal("calloc");
		TAILQ_INIT(&hop->waiting);
		hop->fault = sources_read(hops.child->conf, hop->text,
		    hop->exchange, &hop->sources);
		RB_INSERT(hop_tree, &hops.all, hop);
		hops.count++;
		settle(hop);
	}
	*fault = hop->fault;
	return hop;
}

const char *
hop_text(const struct hop *hop)
{
	return hop->text;
}

const struct policy *
hop_policy(const struct hop *hop)
{
	return hop->sources.policy;
}

/*
 * The nth place where hosts are to be had from; NULL behind the last.
 */
const struct source *
hop_source(const struct hop *hop, size_t n)
{
	return n < hop->sources.count ? &hop->sources.list[n] : NULL;
}

const struct secret *
hop_secret(const struct hop *hop, const struct source *source)
{
	if (hop->sources.policy->auth_none || source->key == NULL)
		return NULL;
	return secret_find(source->key, hop->class);
}

void
hop_hold(struct hop *hop)
{
	hop->holders++;
	settle(hop);
}

void
hop_release(struct hop *hop)
{
	hop->holders--;
	settle(hop);
}

bool
hop_all_idle(void)
{
	return hops.count == hops.idle_count;
}

/*
 * A search has come to this host: to an address of it, or to nothing, as the
 * fault says.
 */
void
hop_saw(struct hop *hop, const struct host *host, struct endpoint *endpoint,
    const struct reply *fault)
{
	seen_add(&hop->seen, host, endpoint, fault);
}

/* ---- conversations ---- */

/* How many it may have. */
static size_t
limit(const struct hop *hop)
{
	if (hop->bears_until > clock_monotonic())
		return hop->bears;
	return hop->sources.policy->max_connections;
}

static void
serve(struct hop *hop, struct conversation *c)
{
	hop->serving = reallocarray(hop->serving, hop->serving_count + 1,
	    sizeof(struct conversation *));
	if (hop->serving == NULL)
		fatal("reallocarray");
	hop->serving[hop->serving_count++] = c;
	conversation_serve(c, hop);
}

static void
remove_serving(struct hop *hop, const struct conversation *c)
{
	size_t i;

	for (i = 0; i < hop->serving_count; i++)
		if (hop->serving[i] == c) {
			hop->serving[i] = hop->serving[--hop->serving_count];
			return;
		}
}

/* ---- searches ---- */

static void
remove_search(struct hop *hop, struct search *search)
{
	size_t i;

	for (i = 0; i < hop->search_count; i++)
		if (hop->searches[i] == search) {
			hop->searches[i] = hop->searches[--hop->search_count];
			break;
		}
	search_free(search);
}

/* Nobody waits any more: neither should these. */
static void
drop_waiting_searches(struct hop *hop)
{
	size_t i;

	for (i = hop->search_count; i-- > 0;)
		if (search_waits(hop->searches[i]))
			remove_search(hop, hop->searches[i]);
}

/* Is one more worth its while? */
static bool
may_search(const struct hop *hop)
{
	size_t i;

	if (hop->search_count >= hop->waiting_count ||
	    hop->serving_count + hop->search_count >= limit(hop) ||
	    (hop->search_count > 0 && !hop->reachable))
		return false;
	for (i = 0; i < hop->search_count; i++)
		if (search_waits(hop->searches[i]))
			return false;
	return true;
}

/* Is it closed to these senders only, because their own login fails? */
static bool
is_about_class(const struct hop *hop, const struct reply *fault)
{
	const struct secret *secret;
	size_t i;

	if (fault->stage != STAGE_TLS && fault->stage != STAGE_LOGIN)
		return false;
	for (i = 0; i < hop->sources.count; i++) {
		secret = hop_secret(hop, &hop->sources.list[i]);
		if (secret != NULL && secret->sender[0] != '\0')
			return true;
	}
	return false;
}

/*
 * It is closed to all that wait: so be it.  spoold knows a next hop whoever
 * the sender is, so that what concerns some is not told to close it.
 */
static void
fail_waiting(struct hop *hop, const struct reply *fault, const char *host,
    int64_t closed_until)
{
	struct transaction *t;

	if (fault->code >= 500 || is_about_class(hop, fault))
		closed_until = 0;
	else if (closed_until == 0)
		closed_until = clock_now() + endpoint_pause(hop->failures);
	hop->failures++;
	hop->reachable = false;
	hop->closed_until = closed_until;
	while ((t = hop_next(hop)) != NULL) {
		transaction_rest(t, fault, false);
		transaction_done(t, closed_until, host, "");
	}
}

static void	on_found(const struct found *, void *);

/* Have what waits served: by who rests, by new searches. */
static void
find_conversations(struct hop *hop)
{
	struct conversation *c;
	struct search *search;
	bool insist;

	while (hop->waiting_count > 0 && hop->serving_count < limit(hop) &&
	    (c = seen_take(&hop->seen)) != NULL)
		serve(hop, c);
	while (may_search(hop)) {
		/* spoold sends nothing to what is closed: somebody asks. */
		insist = hop->closed_until > clock_now();
		if (hop->search_count == 0)
			seen_forget(&hop->seen);
		search = search_new(hop, insist, NULL, on_found, hop);
		hop->searches = reallocarray(hop->searches,
		    hop->search_count + 1, sizeof(struct search *));
		if (hop->searches == NULL)
			fatal("reallocarray");
		hop->searches[hop->search_count++] = search;
	}
	settle(hop);
}

static void
found_none(struct hop *hop, const struct found *found)
{
	struct reply fault = *found->fault;
	char host[WIRE_NAME];
	int64_t closed_until = found->closed_until;

	strlcpy(host, found->host, sizeof(host));
	remove_search(hop, found->search);
	if (hop->serving_count > 0) {
		hop->bears = hop->serving_count;
		hop->bears_until = clock_monotonic() + BEARS_TIME;
		return;
	}
	/* Searches that are under way may still succeed; there is no other
	   before they end, or they would take turns for ever. */
	hop->reachable = false;
	if (hop->search_count == 0)
		fail_waiting(hop, &fault, host, closed_until);
}

static void
on_found(const struct found *found, void *arg)
{
	struct hop *hop = arg;
	struct conversation *c = found->conversation;
	int64_t lifetime = found->lifetime;

	if (c == NULL)
		found_none(hop, found);
	else {
		seen_believe(&hop->seen, lifetime);
		hop->reachable = true;
		hop->failures = 0;
		hop->closed_until = 0;
		remove_search(hop, found->search);
		serve(hop, c);
	}
	find_conversations(hop);
	relay_idle();
}

/* ---- transactions ---- */

/*
 * A transaction for the hop of this text and exchange, which is taken.
 */
void
hop_submit(const char *text, const char *exchange, struct transaction *t)
{
	struct reply fault;
	const char *why;
	struct hop *hop;

	hop = hop_find(text, exchange, secret_class(t->sender), &why);
	if (why != NULL) {
		reply_fault(&fault, STAGE_NONE, 451, "4.3.5",
		    "next hop %s: %s", text, why);
		transaction_rest(t, &fault, false);
		transaction_done(t, 0, "", "");
		return;
	}
	TAILQ_INSERT_TAIL(&hop->waiting, t, entry);
	hop->waiting_count++;
	find_conversations(hop);
}

struct transaction *
hop_next(struct hop *hop)
{
	struct transaction *t = TAILQ_FIRST(&hop->waiting);

	if (t != NULL) {
		TAILQ_REMOVE(&hop->waiting, t, entry);
		hop->waiting_count--;
	}
	return t;
}

/*
 * What no connection, nor another one that could be had, would take sooner.
 */
struct transaction *
hop_next_to_ride(struct hop *hop)
{
	struct transaction *t = TAILQ_FIRST(&hop->waiting);

	if (t == NULL || t->returned || hop->serving_count < limit(hop))
		return NULL;
	return hop_next(hop);
}

/*
 * A reused connection was dead: this transaction comes first again.
 */
void
hop_take_back(struct hop *hop, struct transaction *t)
{
	t->returned = true;
	transaction_again(t);
	TAILQ_INSERT_HEAD(&hop->waiting, t, entry);
	hop->waiting_count++;
}

void
hop_rests(struct hop *hop, struct conversation *c)
{
	remove_serving(hop, c);
	if (hop->waiting_count == 0)
		drop_waiting_searches(hop);
	endpoint_rest(conversation_endpoint(c), c);
	find_conversations(hop);
	relay_idle();
}

void
hop_left(struct hop *hop, struct conversation *c)
{
	remove_serving(hop, c);
	find_conversations(hop);
	relay_idle();
}

/*
 * This link to spoold is gone, and with it everything it asked for.
 */
void
hop_drop(const struct link *link)
{
	struct transaction *t, *next;
	struct hop *hop;
	size_t i;

	RB_FOREACH(hop, hop_tree, &hops.all) {
		TAILQ_FOREACH_SAFE(t, &hop->waiting, entry, next)
			if (t->link == link) {
				TAILQ_REMOVE(&hop->waiting, t, entry);
				hop->waiting_count--;
				transaction_free(t);
			}
		for (i = hop->serving_count; i-- > 0;)
			if (i < hop->serving_count)
				conversation_drop(hop->serving[i], link);
		settle(hop);
	}
}

/* ---- for people ---- */

static void
print_hop(const struct hop *hop, FILE *out)
{
	char date[32];

	if (hop->class[0] != '\0')
		fprintf(out, "for mail from %s\n", hop->class);
	fprintf(out, "relay: %zu transactions wait, %zu connections in use, "
	    "%zu being looked for\n", hop->waiting_count,
	    hop->serving_count, hop->search_count);
	if (hop->closed_until > clock_now()) {
		clock_date(hop->closed_until, date, sizeof(date));
		fprintf(out, "closed until %s\n", date);
	}
	seen_print(&hop->seen, out);
}

/*
 * RELAY_STATE: what is known of a hop, whoever the sender is.
 */
void
hop_print(const char *text, const char *exchange, FILE *out)
{
	char none[] = "";
	struct hop key = { .class = none }, *hop;
	bool known = false;

	key.text = __DECONST(char *, text);
	key.exchange = __DECONST(char *, exchange);
	for (hop = RB_NFIND(hop_tree, &hops.all, &key); hop != NULL &&
	    strcmp(hop->text, text) == 0 &&
	    strcmp(hop->exchange, exchange) == 0;
	    hop = RB_NEXT(hop_tree, &hops.all, hop)) {
		known = true;
		if (hop->fault != NULL)
			fprintf(out, "it is no next hop: %s\n", hop->fault);
		else
			print_hop(hop, out);
	}
	if (!known)
		fprintf(out, "nothing is known of it: relay has sent nothing "
		    "there since it was started\n");
}
