/*
 * Lanes: a next hop or a user's worker, with what waits for it.  A lane may
 * fill a part of what is free of the window; the rest of its mail stays in
 * the database until there is room, so that slow or dead neighbours leave the
 * others theirs, however many they are.  What is closed until a time is
 * remembered here, and only here.
 */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "spoold.h"

#define SHARE_LEAST	32	/* recipients, however full the window */
#define SHARE_CLOSED	16	/* of a closed hop: they cannot go, and only
				   see to their notices and ends */
#define PART		4	/* of what is free: one */
#define BY		" by "
#define USER		"user "
#define TEXT_MAX	(WIRE_TARGET + WIRE_DOMAIN + 8)

/* The text and the hop tell one from the other; the first alone might not. */
static int
compare(struct lane *a, struct lane *b)
{
	int	 result = strcmp(a->text, b->text);

	return result != 0 ? result : strcmp(a->hop, b->hop);
}

RB_HEAD(lanes, lane);
RB_GENERATE_STATIC(lanes, lane, entry, compare)
TAILQ_HEAD(lane_list, lane);

static struct lanes	 lanes = RB_INITIALIZER(&lanes);
static struct lane_list	 behind = TAILQ_HEAD_INITIALIZER(behind);
static struct lane_list	 sleeping = TAILQ_HEAD_INITIALIZER(sleeping);

static bool
is_hop(const struct lane *lane)
{
	return lane->hop[0] != '\0';
}

bool
lane_is_closed(const struct lane *lane)
{
	return lane->closed_until > clock_now();
}

/* ---- finding ---- */

/* A lane of that text, NULL if nothing is known of it. */
struct lane *
lane_find(const char *text)
{
	struct lane	 key, *lane;

	key.text = __DECONST(char *, text);
	key.hop = __DECONST(char *, "");
	lane = RB_NFIND(lanes, &lanes, &key);
	return lane != NULL && strcmp(lane->text, text) == 0 ? lane : NULL;
}

static char *
copy(const char *text)
{
	char	*result = strdup(text);

	if (result == NULL)
		fatal("lane");
	return result;
}

static struct lane *
lane_get(const char *text, const char *hop, const char *exchange)
{
	struct lane	 key, *lane;

	key.text = __DECONST(char *, text);
	key.hop = __DECONST(char *, hop);
	if ((lane = RB_FIND(lanes, &lanes, &key)) != NULL)
		return lane;
	if ((lane = calloc(1, sizeof(*lane))) == NULL)
		fatal("lane");
	lane->text = copy(text);
	lane->hop = copy(hop);
	lane->exchange = copy(exchange);
	TAILQ_INIT(&lane->waiting);
	if (is_hop(lane)) {
		limits_of(hop, &lane->limits);
		pace_start(&lane->pace, lane->limits.connections);
		/* Rows of it may have slept since before we began. */
		lane_set_asleep(lane, true);
	}
	RB_INSERT(lanes, &lanes, lane);
	return lane;
}

struct lane *
lane_of_route(const struct route *route)
{
	char	 text[TEXT_MAX];

	if (route->kind != ROUTE_RELAY) {
		(void)snprintf(text, sizeof(text), USER "%s", route->account);
		return lane_get(text, "", "");
	}
	if (route->exchange[0] == '\0')
		return lane_get(route->text, route->text, "");
	(void)snprintf(text, sizeof(text), "%s" BY "%s", route->exchange,
	    route->text);
	return lane_get(text, route->text, route->exchange);
}

/*
 * The lane that had a row when it was stored.  Where the text could be read
 * in two ways it does no harm to guess: the row's route is asked for anew.
 */
struct lane *
lane_of_text(const char *text)
{
	struct lane	*lane = lane_find(text);
	const char	*by = strstr(text, BY);
	char		 exchange[TEXT_MAX];

	if (lane != NULL)
		return lane;
	if (strncmp(text, USER, strlen(USER)) == 0)
		return lane_get(text, "", "");
	if (by == NULL || (size_t)(by - text) >= sizeof(exchange) ||
	    strcspn(text, " (") != (size_t)(by - text) ||
	    by[strlen(BY)] == '\0')
		return lane_get(text, text, "");
	memcpy(exchange, text, (size_t)(by - text));
	exchange[by - text] = '\0';
	return lane_get(text, by + strlen(BY), exchange);
}

/* ---- the window ---- */

/* Was it closed, and is now seen whether it still is? */
static bool
is_probed(const struct lane *lane)
{
	return is_hop(lane) && !lane->pace.proven &&
	    lane->pace.allowed == 1 && lane->limits.connections > 1 &&
	    lane->closed_until <= clock_now();
}

/* How many of its recipients may be in the window now. */
static uint32_t
share(const struct lane *lane)
{
	const struct rate	*rate = &lane->limits.rate;
	int64_t			 most, soon;

	if (lane_is_closed(lane))
		return SHARE_CLOSED;
	most = (settings()->window - (int64_t)queue_size()) / PART;
	if (most < SHARE_LEAST || is_probed(lane))
		most = SHARE_LEAST;
	if (rate->count == 0)
		return (uint32_t)most;
	/* What cannot go within minutes would only sit there. */
	soon = 1 + rate->count * (10 * SECOND) / (rate->time / 60 + 1);
	return (uint32_t)(soon < most ? soon : most);
}

/* How many recipients more it may have in the window. */
uint32_t
lane_room(const struct lane *lane)
{
	uint32_t	 most = share(lane);

	return lane->count < most ? most - lane->count : 0;
}

/*
 * Put the recipient into the lane.  Returns false if the lane has more than
 * its share and others may need the room.
 */
bool
lane_join(struct recipient *recipient, struct lane *lane)
{
	bool	 has_room;

	if (recipient->lane == lane)
		return true;
	lane_leave(recipient);
	recipient->lane = lane;
	has_room = lane_room(lane) > 0 || (lane->limits.rate.count == 0 &&
	    (int64_t)queue_size() < settings()->window / 2);
	lane->count++;
	return has_room;
}

void
lane_leave(struct recipient *recipient)
{
	if (recipient->lane != NULL)
		recipient->lane->count--;
	recipient->lane = NULL;
}

void
lane_set_backlog(struct lane *lane, bool backlog)
{
	if (lane->backlog == backlog)
		return;
	lane->backlog = backlog;
	if (backlog)
		TAILQ_INSERT_TAIL(&behind, lane, behind);
	else
		TAILQ_REMOVE(&behind, lane, behind);
}

/*
 * A lane with rows in the database and room in the window, or NULL; closed or
 * not, as is asked for.  The next call finds another, if there is one.
 */
struct lane *
lane_next_backlog(bool closed)
{
	struct lane	*lane;

	TAILQ_FOREACH(lane, &behind, behind)
		if (lane_is_closed(lane) == closed &&
		    lane_room(lane) > lane->count) {
			TAILQ_REMOVE(&behind, lane, behind);
			TAILQ_INSERT_TAIL(&behind, lane, behind);
			return lane;
		}
	return NULL;
}

/*
 * When one that came now would have its turn, by the hop's rate; now is wall
 * clock.
 */
int64_t
lane_turn(const struct lane *lane, int64_t now)
{
	const struct rate	*rate = &lane->limits.rate;
	int64_t			 monotonic = clock_monotonic(), opens;

	if (rate->count == 0)
		return now;
	opens = rate_opens(rate, lane->rate_until) - monotonic;
	if (opens < 0)
		opens = 0;
	return now + opens + rate->time / rate->count *
	    (int64_t)lane->waiting_count;
}

/* ---- closed and open ---- */

void
lane_set_asleep(struct lane *lane, bool asleep)
{
	if (lane->asleep == asleep)
		return;
	lane->asleep = asleep;
	if (asleep)
		TAILQ_INSERT_TAIL(&sleeping, lane, sleeping);
	else
		TAILQ_REMOVE(&sleeping, lane, sleeping);
}

/* The first of those that are asleep, or the one behind last. */
struct lane *
lane_next_asleep(const struct lane *last)
{
	return last == NULL ? TAILQ_FIRST(&sleeping) :
	    TAILQ_NEXT(last, sleeping);
}

/*
 * Can one that is asleep be tried again?  Its time has passed; or, if it was
 * never closed as far as we know, mail of it has reached a server.
 */
bool
lane_may_wake(const struct lane *lane, int64_t now)
{
	return lane->closed_until <= now &&
	    (lane->closed_until != 0 || lane->pace.proven);
}

static void
forget_reason(struct lane *lane)
{
	free(lane->reason);
	free(lane->host);
	lane->reason = lane->host = NULL;
	lane->status[0] = '\0';
	lane->stage = STAGE_NONE;
	lane->replied = lane->brief = false;
}

/* It is not tried before that time, because of this end, or NULL. */
void
lane_close(struct lane *lane, int64_t until, const struct ending *ending)
{
	pace_probe(&lane->pace);
	lane->closed_until = until;
	forget_reason(lane);
	if (ending == NULL)
		return;
	lane->reason = copy(ending->text);
	lane->host = copy(ending->where);
	(void)strlcpy(lane->status, ending->status, sizeof(lane->status));
	lane->stage = ending->stage;
	lane->replied = ending->replied;
	lane->brief = ending->brief;
}

/* Nothing keeps it from being tried now; a closed one carefully. */
void
lane_open(struct lane *lane)
{
	if (lane_is_closed(lane)) {
		pace_probe(&lane->pace);
		lane->closed_until = clock_now();
	}
	forget_reason(lane);
}

/* The operator says: try them all. */
void
lane_open_all(void)
{
	struct lane	*lane;

	RB_FOREACH(lane, lanes, &lanes)
		lane_open(lane);
}

size_t
lane_count_closed(int64_t now)
{
	struct lane	*lane;
	size_t		 count = 0;

	RB_FOREACH(lane, lanes, &lanes)
		if (lane->closed_until > now)
			count++;
	return count;
}

/* ---- care ---- */

/* The configuration has changed: no rate is used up by another one's time. */
void
lane_configure(void)
{
	struct lane	*lane;
	int64_t		 full_at;

	RB_FOREACH(lane, lanes, &lanes) {
		if (!is_hop(lane))
			continue;
		limits_of(lane->hop, &lane->limits);
		full_at = clock_monotonic() + lane->limits.rate.time;
		if (lane->limits.rate.count > 0 && lane->rate_until > full_at)
			lane->rate_until = full_at;
	}
}

static void
lane_free(struct lane *lane)
{
	RB_REMOVE(lanes, &lanes, lane);
	lane_set_asleep(lane, false);
	free(lane->flush);
	free(lane->text);
	free(lane->hop);
	free(lane->exchange);
	forget_reason(lane);
	free(lane);
}

/* Forget lanes of which there is nothing to remember. */
void
lane_prune(int64_t now)
{
	struct lane	*lane, *next;

	RB_FOREACH_SAFE(lane, lanes, &lanes, next)
		if (lane->count == 0 && !lane->backlog && !lane->is_ready &&
		    lane->out == 0 && lane->closed_until <= now &&
		    lane->rate_until <= clock_monotonic() &&
		    TAILQ_EMPTY(&lane->waiting))
			lane_free(lane);
}

/* ---- for the operator ---- */

/* Is this name among the hosts of a hop's text, or the end of one? */
static bool
names_host(const char *hop, const char *name)
{
	static const char	 letters[] = "abcdefghijklmnopqrstuvwxyz"
				     "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	const char		*at = hop;

	for (; (at = strcasestr(at, name)) != NULL; at++)
		if ((at == hop || strchr(letters, at[-1]) == NULL) &&
		    at[strlen(name)] != '.' && (at[strlen(name)] == '\0' ||
		    strchr(letters, at[strlen(name)]) == NULL))
			return true;
	return false;
}

static bool
is_of(const struct lane *lane, const char *domain)
{
	if (domain[0] == '\0')
		return true;
	if (!is_hop(lane))
		return false;
	return strcasecmp(lane->exchange, domain) == 0 ||
	    names_host(lane->hop, domain) || hop_has_domain(lane, domain);
}

struct lane *
lane_next_of(const struct lane *last, const char *domain)
{
	struct lane	*lane;

	lane = last == NULL ? RB_MIN(lanes, &lanes) :
	    RB_NEXT(lanes, &lanes, __DECONST(struct lane *, last));
	while (lane != NULL && !is_of(lane, domain))
		lane = RB_NEXT(lanes, &lanes, lane);
	return lane;
}

/* Open those of a domain.  Returns how many were closed. */
size_t
lane_open_matching(const char *domain)
{
	struct lane	*lane = NULL;
	size_t		 count = 0;
	int64_t		 now = clock_now();

	while ((lane = lane_next_of(lane, domain)) != NULL) {
		if (lane->closed_until > now)
			count++;
		lane_open(lane);
	}
	queue_wake();
	return count;
}

/* What it may ever have: one under way by each connection, one behind it. */
static uint32_t
most(const struct lane *lane)
{
	return 2 * lane->limits.connections;
}

/*
 * How many transactions it may have out now.  Once it has borne all its
 * connections, relay has the next for each in time to send it along with the
 * one before, and what it does comes in larger batches.
 */
uint32_t
lane_concurrency(const struct lane *lane)
{
	uint32_t	 allowed = lane->pace.allowed;

	if (allowed < lane->limits.connections)
		return allowed;
	return lane->pace.proven ? most(lane) : lane->limits.connections;
}

/* When its rate lets the next one go; seconds from now, 0 at once. */
static int64_t
rate_wait(const struct lane *lane)
{
	int64_t	 wait;

	if (lane->limits.rate.count == 0)
		return 0;
	wait = rate_opens(&lane->limits.rate, lane->rate_until) -
	    clock_monotonic();
	return wait > 0 ? (wait + SECOND - 1) / SECOND : 0;
}

/* What keeps those that wait in memory for their turn; "" nothing known. */
void
lane_why(const struct lane *lane, char *text, size_t size)
{
	const struct hop_limits	*limits = &lane->limits;

	text[0] = '\0';
	if (!is_hop(lane))
		return;
	if (lane_is_closed(lane))
		(void)snprintf(text, size, "the next hop is closed for %lld"
		    " s: %s", (long long)((lane->closed_until - clock_now()) /
		    SECOND), lane->reason != NULL ? lane->reason :
		    "no reason known");
	else if (rate_wait(lane) > 0)
		(void)snprintf(text, size, "the rate of [relay \"%s\"], %lld"
		    " in %lld s; the next may go in %lld s, and %u wait",
		    limits->section, (long long)limits->rate.count,
		    (long long)(limits->rate.time / SECOND),
		    (long long)rate_wait(lane), lane->waiting_count);
	else if (lane->out > 0)
		(void)snprintf(text, size, "its next hop has %u under way, of"
		    " %u at a time; %u wait", lane->out,
		    lane_concurrency(lane), lane->waiting_count);
	else if (relays_link(lane) == NULL)
		(void)strlcpy(text, "relay is being started", size);
}

void
lane_describe(const struct lane *lane, FILE *out)
{
	const struct hop_limits	*limits = &lane->limits;
	int64_t			 now = clock_now(), turn;

	if (is_hop(lane))
		(void)fprintf(out, "  concurrency: %u under way, %u at a time"
		    " now, %u at most\n", lane->out, lane_concurrency(lane),
		    most(lane));
	(void)fprintf(out, "  recipients in memory: %u%s\n", lane->count,
	    lane->backlog ? ", more wait in the database for room" : "");
	if (lane->closed_until > now)
		(void)fprintf(out, "  closed for %lld s: %s\n",
		    (long long)((lane->closed_until - now) / SECOND),
		    lane->reason != NULL ? lane->reason : "no reason known");
	if (limits->rate.count == 0)
		return;
	turn = lane_turn(lane, now) - now;
	(void)fprintf(out, "  rate %lld in %lld s, by [relay \"%s\"]; ",
	    (long long)limits->rate.count,
	    (long long)(limits->rate.time / SECOND), limits->section);
	if (turn <= 0)
		(void)fprintf(out, "the next may go now\n");
	else
		(void)fprintf(out, "a new one has its turn in %lld s\n",
		    (long long)(turn / SECOND));
}
