/* links: regress/unit/descriptors.c common/conf.c common/conf_keyword.c
 * common/conf_lex.c common/conf_parse.c common/conf_print.c
 * common/conf_value.c common/target.c common/log.c common/queueid.c
 * common/clock.c common/wire.c postmaster/children.c postmaster/part.c
 * postmaster/provide.c */
/*
 * One life of the table of processes, in order: the start, deaths, a reload,
 * the end.  No process runs: what is started, told, signalled and waited for
 * is written down here.
 */
#include <sys/wait.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "loop.h"
#include "postmaster/postmaster.h"
#include "regress/unit/descriptors.h"

#define STARTS_MAX	200
#define FIRST_PID	1000

/* One process: pid FIRST_PID + its place in the table. */
struct start {
	char	 name[32];
	char	 told[512];
	bool	 closed;
	bool	 dead;
	int	 far;
	int	 killed;	/* the signal */
};

static struct {
	struct start	 starts[STARTS_MAX];
	int		 count;
	char		 started[512];	/* since it was asked last */
	pid_t		 dead[STARTS_MAX];
	int		 dead_count;
	int64_t		 now;
	int64_t		 delay;		/* of the newest timer */
	struct event	*timer;
	bool		 no_fork;
	bool		 no_log;
	bool		 ended;
} world;

static struct event_base *base;
static struct settings settings = { .smtpd_workers = 2, .relay_workers = 2,
	.secrets_refused = true, .hostname = "mx", .spool_directory = "/spool",
	.empty_directory = "/empty", .identities[PROC_SMTPD] = { 11, 12 } };
static struct options options;

/* ---- what stands around the table ---- */

void
loop_after(struct event *event, int64_t delay)
{
	struct timeval tv = { .tv_sec = HOUR / SECOND };

	world.delay = delay;
	world.timer = event;
	event_add(event, &tv);
}

struct start *
start_new(struct event_base *unused, int *far)
{
	struct start *start = &world.starts[world.count++];

	(void)unused;
	assert_true(world.count < STARTS_MAX);
	*far = start->far = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return start;
}

void
start_free(struct start *start)
{
	if (start != NULL)
		start->closed = true;
}

pid_t
program_start(enum process process, unsigned int instance,
    const char *option, int far, int ready, bool keep_stderr)
{
	struct start *start = &world.starts[world.count - 1];

	(void)ready;
	(void)keep_stderr;
	if (world.no_fork) {
		errno = EAGAIN;
		return -1;
	}
	assert_int_equal(start->far, far);
	snprintf(start->name, sizeof(start->name), "%s%s.%u",
	    wire_process(process), option == NULL ? "" : option, instance);
	strlcat(world.started, start->name, sizeof(world.started));
	strlcat(world.started, " ", sizeof(world.started));
	return FIRST_PID + world.count - 1;
}

static void __attribute__((format(printf, 2, 3)))
note(struct start *start, const char *format, ...)
{
	size_t length = strlen(start->told);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(start->told + length, sizeof(start->told) - length, format,
	    arguments);
	va_end(arguments);
}

void
start_tell(struct start *start, enum imsg_type type, const void *payload,
    int fd)
{
	const struct w_start_peer_down_ntf *down = payload;
	const struct w_start_finish_ntf *finish = payload;
	const struct w_start_listener_ntf *listener = payload;
	const struct w_start_secrets_ntf *secrets = payload;
	const struct w_start_config_ntf *config = payload;
	const struct w_start_peer_ntf *peer = payload;
	const struct w_start_go_ntf *go = payload;

	if (fd != -1)
		close(fd);
	if (type == IMSG_START_CONFIG_NTF)
		note(start, "config%d ", (int)config->generation);
	if (type == IMSG_START_SECRETS_NTF)
		note(start, "secrets%d%s ", (int)secrets->generation,
		    secrets->refused ? ":refused" : "");
	if (type == IMSG_START_LISTENER_NTF)
		note(start, "listen%d ", (int)listener->number);
	if (type == IMSG_START_PEER_NTF)
		note(start, "%s.%u%s%s ", wire_process(peer->process),
		    peer->instance, peer->may_claim_local ? ":local" : "",
		    peer->finishing ? ":old" : "");
	if (type == IMSG_START_PEER_DOWN_NTF)
		note(start, "-%s.%u ", wire_process(down->process),
		    down->instance);
	if (type == IMSG_START_GO_NTF)
		note(start, "go:%d:%u:%u:%s:%s ", (int)go->workers, go->uid,
		    go->gid, go->root, go->hostname);
	if (type == IMSG_START_FINISH_NTF)
		note(start, "finish%d ", (int)finish->generation);
}

const struct listeners *
listen_all(void)
{
	static struct listeners all = TAILQ_HEAD_INITIALIZER(all);
	static struct listener submit = { .process = PROC_SMTPD, .number = 1,
	    .local = true }, smtp = { .process = PROC_SMTPD, .number = 2 },
	    control = { .process = PROC_SPOOLD, .number = 3, .local = true };

	if (TAILQ_EMPTY(&all)) {
		TAILQ_INSERT_TAIL(&all, &submit, entry);
		TAILQ_INSERT_TAIL(&all, &smtp, entry);
		TAILQ_INSERT_TAIL(&all, &control, entry);
	}
	return &all;
}

int
logs_hand_over(enum process process, logs_tell tell, void *arg)
{
	(void)process;
	(void)tell;
	(void)arg;
	errno = EMFILE;
	return world.no_log ? -1 : 0;
}

pid_t
waitpid(pid_t pid, int *status, int flags)
{
	assert_int_equal(pid, -1);
	assert_int_equal(flags, WNOHANG);
	*status = 0;
	return world.dead_count > 0 ? world.dead[--world.dead_count] : 0;
}

int
kill(pid_t pid, int number)
{
	assert_in_range(pid, FIRST_PID, FIRST_PID + world.count - 1);
	world.starts[pid - FIRST_PID].killed = number;
	return 0;
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	(void)clock;
	now->tv_sec = world.now / SECOND;
	now->tv_nsec = world.now % SECOND * 1000;
	return 0;
}

/* ---- what the tests do ---- */

/* The newest process of that name. */
static struct start *
newest(const char *name)
{
	int i;

	for (i = world.count - 1; i >= 0; i--)
		if (strcmp(world.starts[i].name, name) == 0)
			return &world.starts[i];
	fail_msg("no %s", name);
	return NULL;
}

static void
die(struct start *start)
{
	start->dead = true;
	world.dead[world.dead_count++] = FIRST_PID +
	    (pid_t)(start - world.starts);
	children_reap();
}

/* All of that program. */
static void
die_all(const char *program)
{
	int i;

	for (i = 0; i < world.count; i++)
		if (!world.starts[i].dead && strncmp(world.starts[i].name,
		    program, strlen(program)) == 0)
			die(&world.starts[i]);
}

/* What it has been told since this was asked. */
static const char *
told(const char *name)
{
	static char text[sizeof(((struct start *)NULL)->told)];
	struct start *start = newest(name);

	strlcpy(text, start->told, sizeof(text));
	start->told[0] = '\0';
	return text;
}

static const char *
started(void)
{
	static char text[sizeof(world.started)];

	strlcpy(text, world.started, sizeof(text));
	world.started[0] = '\0';
	return text;
}

/* The time of that timer has come. */
static void
fire(struct event *timer)
{
	event_active(timer, EV_TIMEOUT, 1);
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static void
start_all(const char *text)
{
	settings.conf = conf_parse("cf", text, strlen(text), NULL);
	children_start(base, &settings, &options, -1);
}

/* ---- the life ---- */

static void
test_start(void **state)
{
	int before;

	(void)state;
	base = event_base_new();
	world.now = HOUR;
	before = descriptors();
	start_all("[smtpd \"a\"]\n");
	assert_string_equal(started(), "spoold.0 deliver.0 policyd.0 "
	    "relay-l.0 relay.1 relay.2 smtpd.0 smtpd.1 smtpd.2 ");
	assert_int_equal(children_count(), 9);
	assert_string_equal(told("spoold.0"), "config1 listen3 "
	    "go:1:0:0:/spool:mx deliver.0 policyd.0 relay.0 relay.1 relay.2 "
	    "smtpd.0:local smtpd.1 smtpd.2 ");
	assert_string_equal(told("deliver.0"), "config1 spoold.0 go:1:0:0::mx ");
	assert_string_equal(told("policyd.0"), "config1 spoold.0 go:1:0:0::mx "
	    "smtpd.0:local smtpd.1 smtpd.2 ");
	assert_string_equal(told("relay-l.0"), "config1 "
	    "secrets1:refused spoold.0 go:1:0:0::mx ");
	assert_string_equal(told("relay.1"), "config1 "
	    "secrets1:refused spoold.0 go:2:0:0:/empty:mx ");
	assert_string_equal(told("smtpd.0"), "config1 listen1 "
	    "spoold.0 policyd.0 go:1:11:12:/empty:mx ");
	assert_string_equal(told("smtpd.2"), "config1 listen2 "
	    "spoold.0 policyd.0 go:2:11:12:/empty:mx ");
	assert_int_equal(descriptors(), before);
}

/* Who dies is started at once, then later each time; who lived is forgiven. */
static void
test_deaths(void **state)
{
	static const int pauses[] = { 0, 1, 2, 4, 8, 16, 32, 60, 60 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
		die(newest("smtpd.1"));
		assert_string_equal(started(), "");
		assert_int_equal(world.delay, pauses[i] * SECOND);
		assert_true(newest("smtpd.1")->closed);
		assert_string_equal(told("spoold.0"), "-smtpd.1 ");
		assert_string_equal(told("policyd.0"), "-smtpd.1 ");
		assert_string_equal(told("relay.1"), "");
		fire(world.timer);
		assert_string_equal(started(), "smtpd.1 ");
		assert_string_equal(told("spoold.0"), "smtpd.1 ");
		assert_string_equal(told("policyd.0"), "smtpd.1 ");
	}
	world.now += 11 * SECOND;
	die(newest("smtpd.1"));
	assert_int_equal(world.delay, 0);
	fire(world.timer);
	die(newest("smtpd.1"));
	assert_int_equal(world.delay, SECOND);
	fire(world.timer);
	(void)started();
	(void)told("spoold.0");
	(void)told("policyd.0");
}

/* Two that die at a time bring one signal. */
static void
test_two(void **state)
{
	(void)state;
	world.now += 11 * SECOND;
	world.dead[world.dead_count++] = FIRST_PID +
	    (pid_t)(newest("smtpd.1") - world.starts);
	die(newest("smtpd.2"));
	assert_string_equal(told("spoold.0"), "-smtpd.2 -smtpd.1 ");
	fire(world.timer);
	assert_string_equal(started(), "smtpd.1 ");
	(void)told("spoold.0");
	(void)told("policyd.0");
}

static void
test_no_process(void **state)
{
	int before;

	(void)state;
	die(newest("deliver.0"));
	world.no_fork = true;
	before = descriptors();
	fire(world.timer);
	assert_int_equal(world.delay, SECOND);
	fire(world.timer);
	assert_int_equal(world.delay, 2 * SECOND);
	assert_string_equal(told("spoold.0"), "-deliver.0 ");
	world.no_fork = false;
	fire(world.timer);
	assert_string_equal(started(), "deliver.0 ");
	assert_string_equal(told("spoold.0"), "deliver.0 ");
	assert_string_equal(told("deliver.0"), "config1 spoold.0 go:1:0:0::mx ");
	assert_int_equal(descriptors(), before);
}

/* One that lacks what it needs is ended, and has it the next time. */
static void
test_no_descriptor(void **state)
{
	(void)state;
	die(newest("relay.1"));
	world.no_log = true;
	fire(world.timer);
	assert_int_equal(newest("relay.1")->killed, SIGKILL);
	world.no_log = false;
	die(newest("relay.1"));
	assert_int_equal(world.delay, SECOND);
	fire(world.timer);
	assert_int_equal(newest("relay.1")->killed, 0);
	assert_string_equal(started(), "relay.1 relay.1 ");
	(void)told("spoold.0");
	(void)told("relay.1");
}

/* Old ones finish, at most an hour; who stays is told; smtpd.2 never ran. */
static void
test_reload(void **state)
{
	struct start *policyd = newest("policyd.0");
	struct event *hour;

	(void)state;
	conf_free(settings.conf);
	start_all("[smtpd \"a\"]\n");
	assert_string_equal(started(), "policyd.0 relay-l.256 relay.257 "
	    "relay.258 smtpd.256 smtpd.257 smtpd.258 ");
	assert_int_equal(children_count(), 9);
	assert_true(policyd->closed);
	assert_string_equal(told("spoold.0"), "config2 policyd.0 relay.256 "
	    "relay.257 relay.258 smtpd.256:local smtpd.257 smtpd.258 ");
	assert_string_equal(told("deliver.0"), "config2 ");
	assert_string_equal(told("relay.1"), "finish1 ");
	assert_string_equal(told("smtpd.1"), "config1 listen2 "
	    "spoold.0 policyd.0 go:2:11:12:/empty:mx policyd.0 finish1 ");
	assert_string_equal(told("smtpd.257"), "config2 listen2 "
	    "spoold.0 policyd.0 go:2:11:12:/empty:mx ");
	assert_string_equal(told("policyd.0"), "config2 spoold.0 "
	    "smtpd.0:local:old smtpd.1:old go:1:0:0::mx smtpd.256:local "
	    "smtpd.257 smtpd.258 ");
	assert_int_equal(world.delay, HOUR);
	hour = world.timer;

	/* It has a successor of its name: nobody lost anything. */
	world.timer = NULL;
	die(policyd);
	assert_string_equal(told("smtpd.257"), "");
	assert_string_equal(told("spoold.0"), "");
	assert_null(world.timer);

	/* Another gives nobody another hour; there is no [smtpd] any more. */
	conf_free(settings.conf);
	start_all("[core]\n");
	assert_string_equal(started(), "policyd.0 relay-l.512 relay.513 "
	    "relay.514 smtpd.512 ");
	assert_string_equal(told("relay.1"), "");
	assert_string_equal(told("smtpd.1"), "policyd.0 ");
	assert_string_equal(told("smtpd.257"), "policyd.0 finish2 ");
	assert_false(newest("smtpd.1")->closed);
	fire(hour);
	assert_true(newest("smtpd.1")->closed);
	assert_false(newest("smtpd.0")->closed);
	(void)told("spoold.0");
	world.timer = NULL;
	die(newest("smtpd.1"));
	assert_string_equal(told("spoold.0"), "-smtpd.1 ");
	assert_null(world.timer);
}

/* Who is started afresh is linked with the old ones, too, but no policyd. */
static void
test_after_reload(void **state)
{
	(void)state;
	die(newest("spoold.0"));
	assert_string_equal(told("smtpd.0"), "policyd.0 finish1 policyd.0 "
	    "-spoold.0 ");
	fire(world.timer);
	assert_string_equal(told("smtpd.0"), "spoold.0 ");
	assert_string_equal(told("spoold.0"), "config3 listen3 deliver.0 "
	    "relay.0:old relay.1:old relay.2:old smtpd.0:local:old "
	    "relay.256:old relay.257:old relay.258:old smtpd.256:local:old "
	    "smtpd.257:old smtpd.258:old policyd.0 relay.512 relay.513 "
	    "relay.514 smtpd.512:local go:1:0:0:/spool:mx ");
	assert_string_equal(started(), "spoold.0 ");
}

static void
on_ended(void)
{
	world.ended = true;
}

/* What gives work goes first; who does not end in time is killed. */
static void
test_end(void **state)
{
	(void)state;
	die(newest("smtpd.512"));
	children_end(on_ended);
	assert_true(newest("smtpd.0")->closed);
	assert_true(newest("smtpd.256")->closed);
	assert_false(newest("relay.513")->closed);
	assert_false(newest("policyd.0")->closed);
	assert_int_equal(world.delay, 10 * SECOND);
	die_all("smtpd");
	assert_true(newest("relay.1")->closed);
	assert_true(newest("relay.513")->closed);
	assert_true(newest("deliver.0")->closed);
	assert_false(newest("spoold.0")->closed);
	fire(world.timer);
	assert_int_equal(newest("relay.513")->killed, SIGKILL);
	assert_int_equal(newest("deliver.0")->killed, SIGKILL);
	assert_int_equal(newest("spoold.0")->killed, 0);
	die_all("relay");
	die_all("deliver");
	assert_true(newest("spoold.0")->closed);
	assert_true(newest("policyd.0")->closed);
	die_all("policyd");
	assert_false(world.ended);
	die_all("spoold");
	assert_true(world.ended);
	assert_string_equal(started(), "");
	conf_free(settings.conf);
	event_base_free(base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start),
		cmocka_unit_test(test_deaths),
		cmocka_unit_test(test_two),
		cmocka_unit_test(test_no_process),
		cmocka_unit_test(test_no_descriptor),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_after_reload),
		cmocka_unit_test(test_end)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
