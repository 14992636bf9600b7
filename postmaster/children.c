/*
 * The table of processes: started, linked, reaped, started afresh.
 *
 * postmaster knows of them only what waitpid(2) and one count of readiness
 * tell; it never reads from them.
 *
 *   running  -> died      reap()           neighbours get PEER_DOWN
 *   died     -> running   start_child()    at once, or after a pause
 *   running  -> finishing mark_old()       a newer configuration took over
 *   finishing-> gone      reap()
 */
#include <sys/wait.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "loop.h"
#include "postmaster.h"

#define LINK_BUFFER	(1024 * 1024)
#define SHORT_LIFE	(10 * SECOND)	/* dying younger is a bad sign */
#define PAUSE_MAX	(60 * SECOND)	/* between attempts */
#define FINISH_LIMIT	HOUR		/* an old session may take */
#define END_LIMIT	(10 * SECOND)	/* a stage may take */
#define OWED_PAUSE	(1 * SECOND)	/* before it is tried to tell it */

/* Who is linked with whom. */
static const enum process pairs[][2] = {
	{ PROC_SMTPD,	PROC_POLICYD },
	{ PROC_SMTPD,	PROC_SPOOLD },
	{ PROC_POLICYD,	PROC_SPOOLD },
	{ PROC_SPOOLD,	PROC_RELAY },
	{ PROC_SPOOLD,	PROC_DELIVER }
};

/* The order of the end: what gives work goes before what does it. */
static const enum process stages[][2] = {
	{ PROC_SMTPD,	PROC_NONE },
	{ PROC_RELAY,	PROC_DELIVER },
	{ PROC_POLICYD,	PROC_SPOOLD }
};

static struct {
	TAILQ_HEAD(, child_process) all;
	struct event_base	*base;
	const struct settings	*settings;
	const struct options	*options;
	uint64_t		 generation;
	int			 ready;
	unsigned int		 stage;		/* of the end */
	struct event		*stage_timer;
	void			(*done)(void);
} state = { .all = TAILQ_HEAD_INITIALIZER(state.all) };

static bool
are_pair(enum process one, enum process other)
{
	size_t i;

	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if ((pairs[i][0] == one && pairs[i][1] == other) ||
		    (pairs[i][0] == other && pairs[i][1] == one))
			return true;
	return false;
}

/*
 * Is it there to be linked?  A policyd of an older configuration is not: the
 * new one answers all.
 */
static bool
is_linkable(const struct child_process *child)
{
	return child->start != NULL &&
	    !(child->process == PROC_POLICYD && child->finishing);
}

/* ---- what is handed over ---- */

/*
 * What a process that runs already is to know cannot be told, as we have no
 * descriptor for it, say: it goes on with what it has, and is told in a while.
 */
static void
tell_later(struct child_process *child)
{
	if (child->finishing)
		return;
	if (!child->owed)
		log_errno(LOG_ERR, "reload", "%s is told later",
		    wire_process(child->process));
	child->owed = true;
	loop_after(child->timer, OWED_PAUSE);
}

/* Its configuration or its logs have changed. */
static void
tell_change(struct child_process *child, bool configuration)
{
	if (child->start == NULL)
		return;
	if ((configuration && provide_config(child) == -1) ||
	    provide_logs(child) == -1) {
		tell_later(child);
		return;
	}
	if (configuration && child->owed) {
		child->owed = false;
		evtimer_del(child->timer);
	}
}

/* A new link between one that starts and another; -1 if there is none. */
static int
link_pair(struct child_process *one, struct child_process *other)
{
	int size = LINK_BUFFER, ends[2], i;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
	    ends) == -1)
		return -1;
	for (i = 0; i < 2; i++)
		if (setsockopt(ends[i], SOL_SOCKET, SO_SNDBUFFORCE, &size,
		    sizeof(size)) == -1)
			(void)setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &size,
			    sizeof(size));
	provide_peer(one, other, ends[0]);
	provide_peer(other, one, ends[1]);
	return 0;
}

/* ---- starting ---- */

/* Wait before the next start, longer each time that it lived but shortly. */
static void
schedule(struct child_process *child)
{
	int64_t pause = 0;

	if (child->deaths > 0)
		pause = child->deaths > 6 ? PAUSE_MAX :
		    SECOND << (child->deaths - 1);
	child->deaths++;
	loop_after(child->timer, pause);
}

/*
 * It lacks what it cannot do without, as we had no descriptor for it, say: it
 * is ended, to be started afresh after a pause.
 */
static void
start_again(const struct child_process *child, const char *what)
{
	log_errno(LOG_ERR, "start", "%s lacks %s, ending it",
	    wire_process(child->process), what);
	kill(child->pid, SIGKILL);
}

/* All it needs. */
static void
hand_over(struct child_process *child)
{
	const struct listener *listener;
	struct child_process *peer;

	if (provide_config(child) == -1)
		start_again(child, "its configuration");
	if (child->process == PROC_RELAY && provide_secrets(child) == -1)
		start_again(child, "the secrets");
	if (provide_logs(child) == -1)
		start_again(child, "its log");
	TAILQ_FOREACH(listener, listen_all(), entry)
		if (provide_accepts(child, listener) &&
		    provide_listener(child, listener) == -1)
			start_again(child, "a listener");
	TAILQ_FOREACH(peer, &state.all, entry)
		if (is_linkable(peer) &&
		    are_pair(child->process, peer->process) &&
		    link_pair(child, peer) == -1)
			start_again(child, "a link");
	provide_go(child);
}

/* Fork it and hand over all it needs. */
static void
start_child(struct child_process *child)
{
	int far = -1;

	child->started = clock_monotonic();
	child->owed = false;
	child->start = start_new(state.base, &far);
	if (child->start != NULL)
		child->pid = program_start(child->process, child->instance,
		    is_local_relay(child) ? "-l" : NULL, far, state.ready,
		    state.options->debug);
	if (far != -1)
		close(far);
	if (child->start == NULL || child->pid == -1) {
		log_errno(LOG_ERR, "start", "starting %s",
		    wire_process(child->process));
		start_free(child->start);
		child->start = NULL;
		schedule(child);
		return;
	}
	hand_over(child);
	log_begin(LOG_INFO, "started");
	log_string("process", wire_process(child->process));
	log_number("instance", child->instance);
	log_number("pid", child->pid);
	log_end();
}

/* What it waited for, as the state of the process has it. */
static void
on_timer(int fd, short events, void *arg)
{
	struct child_process *child = arg;

	(void)fd;
	(void)events;
	if (child->finishing) {
		start_free(child->start);
		child->start = NULL;
	} else if (child->owed)
		tell_change(child, true);
	else
		start_child(child);
}

static void
add_child(enum process process, uint32_t instance)
{
	struct child_process *child;

	if ((child = calloc(1, sizeof(*child))) == NULL)
		fatal("child");
	child->process = process;
	child->instance = instance;
	child->pid = -1;
	child->timer = evtimer_new(state.base, on_timer, child);
	if (child->timer == NULL)
		fatalx("no timer");
	TAILQ_INSERT_TAIL(&state.all, child, entry);
	start_child(child);
}

static void
remove_child(struct child_process *child)
{
	TAILQ_REMOVE(&state.all, child, entry);
	event_free(child->timer);
	start_free(child->start);
	free(child);
}

/* ---- a reload ---- */

/* Who makes room for a process of the newer configuration. */
static void
mark_old(void)
{
	struct child_process *child;

	TAILQ_FOREACH(child, &state.all, entry) {
		if (child->process == PROC_SPOOLD ||
		    child->process == PROC_DELIVER)
			continue;
		child->finishing = true;
		if (child->owed)
			evtimer_del(child->timer);
		child->owed = false;
	}
}

/* A newer one has its place: let it finish, at most an hour. */
static void
finish(struct child_process *child)
{
	struct w_start_finish_ntf ntf = { .generation = state.generation - 1 };

	if (child->pid == -1) {
		remove_child(child);
		return;
	}
	if (child->start == NULL || evtimer_pending(child->timer, NULL))
		return;
	if (child->process == PROC_POLICYD) {
		start_free(child->start);
		child->start = NULL;
		return;
	}
	start_tell(child->start, IMSG_START_FINISH_NTF, &ntf, -1);
	loop_after(child->timer, FINISH_LIMIT);
}

/* Let the old ones finish. */
static void
finish_old(void)
{
	struct child_process *child, *next;

	for (child = TAILQ_FIRST(&state.all); child != NULL; child = next) {
		next = TAILQ_NEXT(child, entry);
		if (child->finishing)
			finish(child);
	}
}

/* Those who stay get the new configuration. */
static void
tell_stayers(void)
{
	struct child_process *child;

	TAILQ_FOREACH(child, &state.all, entry)
		if (!child->finishing && child->start != NULL)
			tell_change(child, true);
}

void
children_start(struct event_base *base, const struct settings *settings,
    const struct options *options, int ready)
{
	uint32_t first, i;

	state.base = base;
	state.settings = settings;
	state.options = options;
	state.ready = ready;
	provide_use(settings, options, ++state.generation);
	first = (state.generation - 1) % WIRE_WORKERS * WIRE_WORKERS;
	if (state.generation == 1) {
		add_child(PROC_SPOOLD, 0);
		add_child(PROC_DELIVER, 0);
	} else {
		mark_old();
		tell_stayers();
	}
	add_child(PROC_POLICYD, 0);
	for (i = 0; i <= settings->relay_workers; i++)
		add_child(PROC_RELAY, first + i);
	add_child(PROC_SMTPD, first);
	if (conf_section(settings->conf, "smtpd", NULL) != NULL)
		for (i = 1; i <= settings->smtpd_workers; i++)
			add_child(PROC_SMTPD, first + i);
	finish_old();
}

unsigned int
children_count(void)
{
	const struct child_process *child;
	unsigned int count = 0;

	TAILQ_FOREACH(child, &state.all, entry)
		count += !child->finishing;
	return count;
}

void
children_tell_logs(void)
{
	struct child_process *child;

	TAILQ_FOREACH(child, &state.all, entry)
		if (child->start != NULL)
			tell_change(child, false);
}

void
children_tell_listener(const struct listener *listener)
{
	struct child_process *child;

	TAILQ_FOREACH(child, &state.all, entry)
		if (child->start != NULL && !child->finishing &&
		    provide_accepts(child, listener) &&
		    provide_listener(child, listener) == -1)
			start_again(child, "a listener");
}

/* ---- the end of one ---- */

static void
log_death(const struct child_process *child, int status)
{
	bool wanted = child->finishing || child->start == NULL;

	log_begin(wanted && status == 0 ? LOG_INFO : LOG_ERR, "ended");
	log_string("process", wire_process(child->process));
	log_number("instance", child->instance);
	log_number("pid", child->pid);
	if (WIFSIGNALED(status))
		log_number("signal", WTERMSIG(status));
	else
		log_number("status", WEXITSTATUS(status));
	log_end();
}

/* Its links' ends are no violation, unless another took its place. */
static void
tell_down(const struct child_process *child)
{
	struct w_start_peer_down_ntf ntf = { .process = child->process,
	    .instance = child->instance };
	struct child_process *peer;

	TAILQ_FOREACH(peer, &state.all, entry)
		if (peer != child && peer->process == child->process &&
		    peer->instance == child->instance)
			return;
	TAILQ_FOREACH(peer, &state.all, entry)
		if (peer->start != NULL &&
		    are_pair(child->process, peer->process))
			start_tell(peer->start, IMSG_START_PEER_DOWN_NTF, &ntf,
			    -1);
}

static void
on_death(struct child_process *child, int status)
{
	log_death(child, status);
	child->pid = -1;
	child->owed = false;
	start_free(child->start);
	child->start = NULL;
	tell_down(child);
	if (child->finishing || state.done != NULL) {
		remove_child(child);
		return;
	}
	if (clock_monotonic() - child->started > SHORT_LIFE)
		child->deaths = 0;
	schedule(child);
}

static struct child_process *
find(pid_t pid)
{
	struct child_process *child;

	TAILQ_FOREACH(child, &state.all, entry)
		if (child->pid == pid)
			return child;
	return NULL;
}

/* ---- the end of all ---- */

static bool
is_of_stage(const struct child_process *child)
{
	return child->process == stages[state.stage][0] ||
	    child->process == stages[state.stage][1];
}

/* End the stage's processes; go on when none is left. */
static void
run_stage(void)
{
	struct child_process *child, *next;
	unsigned int left = 0;

	for (; state.stage < sizeof(stages) / sizeof(stages[0]);
	    state.stage++) {
		for (child = TAILQ_FIRST(&state.all); child != NULL;
		    child = next) {
			next = TAILQ_NEXT(child, entry);
			if (!is_of_stage(child))
				continue;
			start_free(child->start);
			child->start = NULL;
			if (child->pid == -1)
				remove_child(child);
			else
				left++;
		}
		if (left > 0) {
			if (!evtimer_pending(state.stage_timer, NULL))
				loop_after(state.stage_timer, END_LIMIT);
			return;
		}
		evtimer_del(state.stage_timer);
	}
	state.done();
}

/* Who has not ended in time is killed. */
static void
on_stage_timer(int fd, short events, void *arg)
{
	struct child_process *child;

	(void)fd;
	(void)events;
	(void)arg;
	TAILQ_FOREACH(child, &state.all, entry) {
		if (!is_of_stage(child) || child->pid == -1)
			continue;
		log_note(LOG_WARNING, "end", "%s does not end, killing it",
		    wire_process(child->process));
		kill(child->pid, SIGKILL);
	}
}

void
children_end(void (*done)(void))
{
	if (state.done != NULL)
		return;
	state.done = done;
	state.stage = 0;
	state.stage_timer = evtimer_new(state.base, on_stage_timer, NULL);
	if (state.stage_timer == NULL)
		fatalx("no timer");
	run_stage();
}

void
children_reap(void)
{
	struct child_process *child;
	int status;
	pid_t pid;

	/* No other signal comes for who is missed here. */
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0 ||
	    (pid == -1 && errno == EINTR))
		if (pid > 0 && (child = find(pid)) != NULL)
			on_death(child, status);
	if (state.done != NULL)
		run_stage();
}
