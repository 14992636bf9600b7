/*
 * Workers: processes that are a user, one a user and kind, forked by deliver
 * and given their jobs over a link of their own.
 *
 *   WANTED --ask--> ASKED --its link came--> READY --link closed--> WANTED
 *      ^              |                        |
 *      '-busy, lost---'                        '--idle too long--> (none)
 *
 * One that deliver cannot end is let go of with its jobs: nothing of it comes
 * any more, but it may have done them.  What waits is put off for long; deliver
 * knows how long there shall be no other.
 *
 * A worker that has nothing to do stays for a while, since a fork is dear;
 * beyond POOL of them the one that was idle longest ends first.  One that
 * dies is asked for again while mail waits for it.
 */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "spoold.h"

#define POOL		64		/* workers that may be idle */
#define POOL_MAX	256		/* workers in all */
#define IDLE_TIME	(60 * SECOND)
#define PAUSE		(1 * SECOND)	/* before a refused one is asked for */
#define PATIENCE	(3 * HOUR)	/* with a job, before it is killed */
#define STUCK_PAUSE	HOUR		/* when it cannot be killed */
#define SHARED_MAX	64		/* recipients of one run */
#define DEATHS_MAX	2		/* in a row, having answered nothing */

enum worker_state { STATE_WANTED, STATE_ASKED, STATE_READY };

struct worker {
	RB_ENTRY(worker) entry;
	TAILQ_ENTRY(worker) hungry;	/* has mail waiting */
	TAILQ_ENTRY(worker) idle;	/* READY and nothing to do */
	enum worker_state state;
	enum worker_kind kind;
	char		*account;
	uint64_t	 id;		/* what deliver calls it */
	struct link	*link;		/* READY */
	struct gate	 gate;
	struct recipients waiting;
	bool		 is_hungry;
	bool		 is_idle;
	bool		 was_killed;
	unsigned int	 deaths;
	int64_t		 since;		/* monotonic: idle, or last answer */
	int64_t		 not_before;	/* monotonic: asked for again */
};

static int
compare(struct worker *a, struct worker *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return strcmp(a->account, b->account);
}

RB_HEAD(workers, worker);
RB_GENERATE_STATIC(workers, worker, entry, compare)
TAILQ_HEAD(worker_list, worker);

static struct {
	struct workers	 all;
	struct worker_list hungry;
	struct worker_list idle;	/* longest idle first */
	size_t		 running;	/* ASKED and READY */
	size_t		 idle_count;
	uint64_t	 last_id;
} users = {
	RB_INITIALIZER(&users.all), TAILQ_HEAD_INITIALIZER(users.hungry),
	TAILQ_HEAD_INITIALIZER(users.idle), 0, 0, 0
};

size_t
user_count(void)
{
	return users.running;
}

static void
set_hungry(struct worker *worker, bool hungry)
{
	if (worker->is_hungry == hungry)
		return;
	worker->is_hungry = hungry;
	if (hungry)
		TAILQ_INSERT_TAIL(&users.hungry, worker, hungry);
	else
		TAILQ_REMOVE(&users.hungry, worker, hungry);
}

static void
set_idle(struct worker *worker, bool idle)
{
	if (worker->is_idle == idle)
		return;
	worker->is_idle = idle;
	if (idle) {
		worker->since = clock_monotonic();
		TAILQ_INSERT_TAIL(&users.idle, worker, idle);
		users.idle_count++;
	} else {
		TAILQ_REMOVE(&users.idle, worker, idle);
		users.idle_count--;
	}
}

/* The only assignment to state. */
static void
set_state(struct worker *worker, enum worker_state state)
{
	if (worker->state == STATE_WANTED && state != STATE_WANTED)
		users.running++;
	if (worker->state != STATE_WANTED && state == STATE_WANTED)
		users.running--;
	worker->state = state;
}

static struct worker *
worker_get(const char *account, enum worker_kind kind)
{
	struct worker	 key, *worker;

	key.kind = kind;
	key.account = __DECONST(char *, account);
	if ((worker = RB_FIND(workers, &users.all, &key)) != NULL)
		return worker;
	if ((worker = calloc(1, sizeof(*worker))) == NULL ||
	    (worker->account = strdup(account)) == NULL)
		fatal("worker");
	worker->kind = kind;
	TAILQ_INIT(&worker->waiting);
	RB_INSERT(workers, &users.all, worker);
	return worker;
}

/* Nothing waits for it and nothing is out. */
static void
worker_free(struct worker *worker)
{
	set_idle(worker, false);
	set_hungry(worker, false);
	set_state(worker, STATE_WANTED);
	link_free(worker->link);
	RB_REMOVE(workers, &users.all, worker);
	free(worker->account);
	free(worker);
}

/* After a change: is it idle, or of no use at all? */
static void
worker_settle(struct worker *worker)
{
	if (!TAILQ_EMPTY(&worker->waiting) || worker->gate.out > 0)
		return;
	set_hungry(worker, false);
	if (worker->state == STATE_READY)
		set_idle(worker, true);
	else if (worker->state == STATE_WANTED)
		worker_free(worker);
}

/* The first that waits, which waits no longer; NULL if there is none. */
static struct recipient *
take_waiting(struct worker *worker)
{
	struct recipient	*recipient;

	if ((recipient = TAILQ_FIRST(&worker->waiting)) != NULL) {
		TAILQ_REMOVE(&worker->waiting, recipient, waiting);
		recipient->holder = NULL;
	}
	return recipient;
}

/* Give up on what waits for a worker that cannot be had. */
static void
defer_all(struct worker *worker, const char *why)
{
	struct recipient	*recipient;

	while ((recipient = take_waiting(worker)) != NULL)
		outcome_one(recipient, ENDING_DEFERRED, "4.3.0", why, "");
}

/* One of this user cannot be ended: others might come to sleep beside it. */
static void
put_off_all(struct worker *worker)
{
	struct recipient	*recipient;
	struct outcome		*outcome;
	struct ending		*ending;
	bool			 was_out;

	while ((recipient = take_waiting(worker)) != NULL) {
		was_out = recipient->suspect == &worker->gate;
		outcome = outcome_new(recipient->message);
		ending = outcome_add(outcome, recipient, ENDING_DEFERRED,
		    "4.3.0", was_out ? "its process hangs and cannot be"
		    " killed; it may have delivered this" :
		    "its user's process hangs and cannot be killed", "");
		ending->attempted = was_out;
		ending->not_before = clock_now() + STUCK_PAUSE;
		(void)strlcpy(ending->why, "its user's process hangs",
		    sizeof(ending->why));
		outcome_store(outcome);
	}
}

/* ---- starting ---- */

/* Room in the pool, at the cost of an idle one. */
static bool
make_room(void)
{
	if (users.running < POOL)
		return true;
	if (!TAILQ_EMPTY(&users.idle)) {
		worker_free(TAILQ_FIRST(&users.idle));
		return true;
	}
	return users.running < POOL_MAX;
}

static void
ask_user_worker(struct link *link, struct worker *worker)
{
	struct w_user_worker_req	 question = { .kind = worker->kind };

	worker->id = question.id = ++users.last_id;
	(void)strlcpy(question.name, worker->account, sizeof(question.name));
	set_state(worker, STATE_ASKED);
	worker->was_killed = false;
	(void)link_ask(link, IMSG_USER_WORKER_REQ, &question, NULL, 0, -1,
	    worker);
}

static void
on_user_worker_ans(struct link *link, struct frame *frame, void *arg)
{
	const struct w_user_worker_ans	*answer = frame->payload;
	struct worker			*worker = arg;

	(void)link;
	queue_wake();
	if (answer != NULL && answer->verdict == USER_OK && frame->fd != -1) {
		set_state(worker, STATE_READY);
		worker->link = link_new(spoold_base(), frame->fd,
		    &worker_role, worker);
		frame->fd = -1;
		worker->since = clock_monotonic();
		worker_settle(worker);
		return;
	}
	set_state(worker, STATE_WANTED);
	worker->not_before = clock_monotonic() + PAUSE;
	if (answer != NULL && answer->verdict == USER_NO_FORK)
		defer_all(worker, "no process can be started");
	else if (answer != NULL && answer->verdict == USER_STUCK)
		put_off_all(worker);
	worker_settle(worker);
}

/* It keeps its end of the link, but will never answer. */
static void
on_user_stuck(struct link *link, struct frame *frame, void *arg)
{
	const struct w_user_stuck_ntf	*ntf = frame->payload;
	struct worker			*worker;

	(void)link;
	(void)arg;
	RB_FOREACH(worker, workers, &users.all)
		if (worker->state == STATE_READY && worker->id == ntf->id)
			break;
	if (worker == NULL)
		return;
	set_idle(worker, false);
	link_free(worker->link);	/* what was out waits again */
	worker->link = NULL;
	set_state(worker, STATE_WANTED);
	put_off_all(worker);
	worker_settle(worker);
	queue_wake();
}

/* Its end shows on its link as well; this says why. */
static void
on_user_ended(struct link *link, struct frame *frame, void *arg)
{
	(void)link;
	(void)frame;
	(void)arg;
}

static const struct link_handler handlers[] = {
	{ IMSG_USER_WORKER_ANS,	on_user_worker_ans },
	{ IMSG_USER_STUCK_NTF,	on_user_stuck },
	{ IMSG_USER_ENDED_NTF,	on_user_ended },
	{ IMSG_NONE,		NULL }
};

const struct link_role deliver_role = {
	.self = PROC_SPOOLD, .peer = PROC_DELIVER, .handlers = handlers,
	.closed = child_link_closed
};

void
deliver_up(struct child *child, struct link *link,
    const struct w_start_peer_ntf *start)
{
	(void)child;
	(void)link;
	(void)start;
	queue_wake();
}

/* ---- jobs ---- */

/* ROUTED: it waits for its user's worker. */
void
user_give(struct recipient *recipient)
{
	struct worker	*worker;

	worker = worker_get(recipient->route->account,
	    recipient->route->worker);
	set_idle(worker, false);
	recipient->holder = worker;
	TAILQ_INSERT_TAIL(&worker->waiting, recipient, waiting);
	set_hungry(worker, true);
	queue_wake();
}

/* It no longer waits; it must not be out. */
void
user_withdraw(struct recipient *recipient)
{
	struct worker	*worker = recipient->holder;

	TAILQ_REMOVE(&worker->waiting, recipient, waiting);
	recipient->holder = NULL;
	worker_settle(worker);
}

/* Those that went with this one wait again, each for itself. */
void
user_take_back(struct recipient *first)
{
	struct recipient	*other;

	while ((other = TAILQ_FIRST(&first->also)) != NULL) {
		TAILQ_REMOVE(&first->also, other, waiting);
		if (other->state == RECIPIENT_OUT)
			recipient_set(other, RECIPIENT_ROUTED);
		other->first_try = false;
		user_give(other);
	}
}

/* The worker has answered. */
void
worker_answered(struct worker *worker, struct recipient *recipient)
{
	gate_answered(&worker->gate, recipient);
	recipient->holder = NULL;
	worker->deaths = 0;
	worker->since = clock_monotonic();
	worker_settle(worker);
	queue_wake();
}

/* The worker died with this out: the next one gets it, alone. */
void
worker_lost(struct worker *worker, struct recipient *recipient, bool died)
{
	user_take_back(recipient);
	if (gate_lost(&worker->gate, recipient, died)) {
		recipient->holder = NULL;
		attempt_poisoned(recipient);
		return;
	}
	recipient_set(recipient, RECIPIENT_ROUTED);
	TAILQ_INSERT_HEAD(&worker->waiting, recipient, waiting);
	set_hungry(worker, true);
}

static void
on_worker_closed(struct link *link, const char *why, void *arg)
{
	struct worker	*worker = arg;

	(void)link;
	(void)why;
	worker->link = NULL;
	set_idle(worker, false);
	set_state(worker, STATE_WANTED);
	if (!TAILQ_EMPTY(&worker->waiting) &&
	    ++worker->deaths >= DEATHS_MAX) {
		worker->deaths = 0;
		defer_all(worker, worker->was_killed ?
		    "its process took too long and was killed" :
		    "its process dies at once");
	}
	worker_settle(worker);
	queue_wake();
}

static const struct link_handler worker_handlers[] = {
	{ IMSG_JOB_DELIVER_ANS,	on_job_deliver_ans },
	{ IMSG_NONE,		NULL }
};

const struct link_role worker_role = {
	.self = PROC_SPOOLD, .peer = PROC_WORKER,
	.handlers = worker_handlers, .closed = on_worker_closed
};

/* May these two go in one run of a program? */
static bool
can_share(const struct recipient *one, const struct recipient *other)
{
	return one->message == other->message &&
	    other->route->method == JOB_MAILER &&
	    one->route->mailer == other->route->mailer &&
	    other->suspect == NULL &&
	    strcmp(recipient_sender(one), recipient_sender(other)) == 0;
}

/* Move those that may go with the first behind it, as many as it takes. */
static void
gather(struct worker *worker, struct recipient *first)
{
	struct recipient	*other, *next;
	uint32_t		 count = 1;

	if (first->route->method != JOB_MAILER || first->suspect != NULL)
		return;
	for (other = TAILQ_FIRST(&worker->waiting); other != NULL &&
	    count < first->route->max_recipients && count < SHARED_MAX;
	    other = next) {
		next = TAILQ_NEXT(other, waiting);
		if (!can_share(first, other))
			continue;
		TAILQ_REMOVE(&worker->waiting, other, waiting);
		TAILQ_INSERT_TAIL(&first->also, other, waiting);
		count++;
	}
}

/* What can be gathered waits until all its siblings have been routed. */
static struct recipient *
next_waiting(struct worker *worker)
{
	struct recipient	*recipient;

	TAILQ_FOREACH(recipient, &worker->waiting, waiting)
		if (recipient->route->max_recipients <= 1 ||
		    recipient->message->routing == 0)
			return recipient;
	return NULL;
}

/* Give a worker as many jobs as it may have. */
static void
feed(struct worker *worker)
{
	struct recipient	*recipient;

	while ((recipient = next_waiting(worker)) != NULL &&
	    link_credit(worker->link, IMSG_JOB_DELIVER_REQ) > 0 &&
	    gate_open(&worker->gate)) {
		TAILQ_REMOVE(&worker->waiting, recipient, waiting);
		gather(worker, recipient);
		if (ask_job_deliver(worker->link, recipient) == -1) {
			user_take_back(recipient);
			recipient->holder = NULL;
			outcome_one(recipient, ENDING_DEFERRED, "4.3.0",
			    "its body cannot be read", "");
			continue;
		}
		gate_sent(&worker->gate);
	}
	if (TAILQ_EMPTY(&worker->waiting))
		worker_settle(worker);
}

/* Feed the workers there are, and ask for those there are not. */
void
user_pump(void)
{
	struct link	*deliver = child_link(PROC_DELIVER, 0);
	struct worker	*worker, *next;
	int64_t		 now;

	if (TAILQ_EMPTY(&users.hungry) || !queue_may_try())
		return;
	now = clock_monotonic();
	TAILQ_FOREACH_SAFE(worker, &users.hungry, hungry, next) {
		if (worker->state == STATE_READY)
			feed(worker);
		else if (worker->state == STATE_WANTED && deliver != NULL &&
		    worker->not_before <= now &&
		    link_credit(deliver, IMSG_USER_WORKER_REQ) > 0 &&
		    make_room())
			ask_user_worker(deliver, worker);
	}
}

/* Let go of the idle, and of those that hang. */
void
user_tick(int64_t monotonic)
{
	struct link		*deliver = child_link(PROC_DELIVER, 0);
	struct w_user_kill_ntf	 kill_ntf;
	struct worker		*worker;

	while ((worker = TAILQ_FIRST(&users.idle)) != NULL &&
	    (monotonic - worker->since > IDLE_TIME ||
	    users.idle_count > POOL))
		worker_free(worker);
	RB_FOREACH(worker, workers, &users.all) {
		if (worker->gate.out == 0 || worker->was_killed ||
		    monotonic - worker->since < PATIENCE || deliver == NULL)
			continue;
		worker->was_killed = true;
		kill_ntf.id = worker->id;
		link_tell(deliver, IMSG_USER_KILL_NTF, &kill_ntf, NULL, 0,
		    -1);
	}
	if (!TAILQ_EMPTY(&users.hungry))
		queue_wake();
}
