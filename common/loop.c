/*
 * One turn at a time: what is ready is handled, then the hooks run.
 */
#include <event2/event.h>

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "clock.h"
#include "log.h"
#include "loop.h"

#define LOOP_HOOKS	64

struct hook {
	void	(*fn)(void *);
	void	 *arg;
};

static struct {
	struct hook	hooks[LOOP_STAGES][LOOP_HOOKS];
	size_t		count[LOOP_STAGES];
	bool		again;
	bool		stopped;
	int		result;
} loop;

/* What failed, where event_add() tells only that. */
static void
on_complaint(int severity, const char *text)
{
	if (severity >= EVENT_LOG_WARN)
		log_note(LOG_WARNING, "loop", "%s", text);
}

struct event_base *
loop_new(void)
{
	struct event_config *config;
	struct event_base *base;

	event_set_log_callback(on_complaint);
	if ((config = event_config_new()) == NULL)
		fatalx("event_config_new: no memory");
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
	/* No list of changes: event_add() is to tell what the kernel says. */
	if ((base = event_base_new_with_config(config)) == NULL)
		fatalx("event_base_new: cannot make an event loop");
	event_config_free(config);
	signal(SIGPIPE, SIG_IGN);
	return base;
}

void
loop_add_hook(enum loop_stage stage, void (*fn)(void *), void *arg)
{
	if (loop.count[stage] == LOOP_HOOKS)
		fatalx("loop: more than %d hooks", LOOP_HOOKS);
	loop.hooks[stage][loop.count[stage]].fn = fn;
	loop.hooks[stage][loop.count[stage]++].arg = arg;
}

void
loop_after(struct event *event, int64_t delay)
{
	const struct timeval tv = { .tv_sec = delay / SECOND,
	    .tv_usec = delay % SECOND };

	if (event_add(event, &tv) == -1)
		fatalx("loop: no memory for a timer");
}

void
loop_again(void)
{
	loop.again = true;
}

void
loop_stop(int result)
{
	loop.stopped = true;
	loop.result = result;
}

static void
run_hooks(void)
{
	size_t stage, i;

	for (stage = 0; stage < LOOP_STAGES; stage++)
		for (i = 0; i < loop.count[stage]; i++)
			loop.hooks[stage][i].fn(loop.hooks[stage][i].arg);
}

int
loop_run(struct event_base *base)
{
	int flags;

	loop.stopped = false;
	run_hooks();
	while (!loop.stopped) {
		flags = EVLOOP_ONCE | (loop.again ? EVLOOP_NONBLOCK : 0);
		loop.again = false;
		if (event_base_loop(base, flags) == -1)
			fatalx("event_base_loop failed");
		run_hooks();
	}
	return loop.result;
}
