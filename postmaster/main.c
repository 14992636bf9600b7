/*
 * postmaster: options, the start, signals, the end.
 */
#include <sys/eventfd.h>
#include <sys/stat.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "loop.h"
#include "postmaster.h"

#define CONFIGURATION	"/etc/postmaster.cf"
#define READY_LIMIT	30	/* seconds until we say so all the same */
#define TICK		10		/* seconds; divides a minute */
#define EXIT_USAGE	64

static struct {
	struct options		 options;
	struct settings		*settings;
	struct event_base	*base;
	struct event		*tick;
	struct event		*ready_limit;
	int			 ready;		/* eventfd: who is ready */
	uint64_t		 ready_count;
	int			 parent;	/* pipe to whoever started us */
	bool			 listeners_missing;
	bool			 announced;
	bool			 ending;	/* told to, and on the way */
} state = { .ready = -1, .parent = -1 };

static void
usage(void)
{
	fprintf(stderr, "usage: postmaster [-Ddnv] [-f file]\n");
	exit(EXIT_USAGE);
}

static void
parse_options(int argc, char **argv)
{
	struct options *options = &state.options;
	int flag;

	options->file = CONFIGURATION;
	while ((flag = getopt(argc, argv, "C:Ddf:nv")) != -1) {
		switch (flag) {
		case 'D':
			options->foreground = true;
			break;
		case 'd':
			options->foreground = options->debug = true;
			break;
		case 'C':
		case 'f':
			options->file = optarg;
			break;
		case 'n':
			options->check = true;
			break;
		case 'v':
			options->verbose = true;
			break;
		default:
			usage();
		}
	}
	if (optind < argc)
		usage();
	options->rootless = geteuid() != 0;
	options->starting = true;
}

/* ---- in the background ---- */

/* Wait until the other says that all is ready, and end as it says. */
static void
wait_for_ready(int fd)
{
	char word;

	if (read(fd, &word, 1) == 1)
		exit(0);
	exit(1);
}

/* Go on as a child; the parent waits for it. */
static void
detach(void)
{
	int pair[2];

	if (pipe2(pair, O_CLOEXEC) == -1)
		fatal("pipe");
	switch (fork()) {
	case -1:
		fatal("fork");
	case 0:
		break;
	default:
		close(pair[1]);
		wait_for_ready(pair[0]);
	}
	close(pair[0]);
	state.parent = pair[1];
	setsid();
}

static void
leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null == -1)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	close(null);
}

/* All is ready: nobody waits for us any longer. */
static void
announce(void)
{
	if (state.announced)
		return;
	state.announced = true;
	systemd_notify("READY=1");
	log_note(LOG_INFO, "ready", "all processes work");
	if (state.parent == -1)
		return;
	leave_terminal();
	if (write(state.parent, "r", 1) == -1)
		log_errno(LOG_DEBUG, "ready", "nobody waits");
	close(state.parent);
	state.parent = -1;
}

static void
on_ready(int fd, short events, void *arg)
{
	uint64_t more;

	(void)events;
	(void)arg;
	if (read(fd, &more, sizeof(more)) == sizeof(more))
		state.ready_count += more;
	if (state.ready_count < children_count())
		return;
	evtimer_del(state.ready_limit);
	announce();
}

static void
on_ready_limit(int fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	(void)arg;
	log_note(LOG_WARNING, "ready", "not all processes are ready yet");
	announce();
}

/* ---- from time to time ---- */

/* With the wall clock's minute, when names of logs change. */
static void
schedule_tick(void)
{
	loop_after(state.tick, (TICK - time(NULL) % TICK) * SECOND);
}

static void
on_tick(int fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	(void)arg;
	schedule_tick();
	if (logs_follow())
		children_tell_logs();
	if (state.listeners_missing)
		state.listeners_missing = listen_open(state.settings,
		    &state.options, children_tell_listener) > 0;
}

/* ---- reload ---- */

/* Read and check the file; *complaints is to be freed. */
static struct settings *
examine(char **complaints, int *result)
{
	struct settings *settings;
	size_t length;
	FILE *out;

	if ((out = open_memstream(complaints, &length)) == NULL)
		fatal("complaints");
	settings = settings_new(conf_read(state.options.file, out),
	    &state.options);
	*result = check_all(settings, &state.options);
	settings->conf->errors = NULL;
	if (fclose(out) == EOF)
		fatal("complaints");
	return settings;
}

static void
say_to_log(const char *complaint, void *arg)
{
	(void)arg;
	log_begin(LOG_WARNING, "configuration");
	log_string("complaint", complaint);
	log_end();
}

/*
 * NULL if the file cannot be used; the log says what is wrong with it.  What
 * nobody could check does not take the place of what works.
 */
static struct settings *
read_settings(void)
{
	struct settings *settings;
	char *complaints;
	bool usable;
	int result;

	settings = examine(&complaints, &result);
	usable = result != 1 && !settings->unusable &&
	    (state.settings == NULL || !settings->unchecked);
	log_set_hostname(settings->hostname);
	if (usable && state.settings == NULL)
		logs_open(settings, &state.options);
	check_print(complaints, state.options.file, say_to_log, NULL);
	free(complaints);
	if (usable)
		return settings;
	log_note(LOG_ERR, "configuration", "%s cannot be used; postmaster -n "
	    "says why", state.options.file);
	settings_free(settings);
	return NULL;
}

static void
reload(void)
{
	struct settings *settings, *old = state.settings;
	const char *differs;

	systemd_notify("RELOADING=1");
	if ((settings = read_settings()) == NULL) {
		log_note(LOG_ERR, "reload", "the old configuration stays");
		logs_open(old, &state.options);
		children_tell_logs();
	} else if ((differs = settings_need_restart(settings, old)) != NULL) {
		log_note(LOG_ERR, "reload", "%s has changed, which needs a "
		    "restart; the old configuration stays", differs);
		settings_free(settings);
		logs_open(old, &state.options);
		children_tell_logs();
	} else {
		state.settings = settings;
		logs_open(settings, &state.options);
		state.listeners_missing = listen_open(settings,
		    &state.options, NULL) > 0;
		children_start(state.base, settings, &state.options,
		    state.ready);
		settings_free(old);
		log_note(LOG_INFO, "reload", "%s is in force",
		    state.options.file);
	}
	systemd_notify("READY=1");
}

/* ---- signals ---- */

static void
on_all_ended(void)
{
	loop_stop(0);
}

static void
on_signal(int number, short events, void *arg)
{
	(void)events;
	(void)arg;
	switch (number) {
	case SIGCHLD:
		children_reap();
		break;
	case SIGHUP:
		if (!state.ending)
			reload();
		break;
	default:
		if (state.ending)
			break;
		state.ending = true;
		log_note(LOG_INFO, "end", "by signal %d", number);
		systemd_notify("STOPPING=1");
		evtimer_del(state.tick);
		children_end(on_all_ended);
		break;
	}
}

static void
catch_signals(void)
{
	static const int numbers[] = { SIGCHLD, SIGHUP, SIGINT, SIGTERM };
	struct event *event;
	size_t i;

	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		event = evsignal_new(state.base, numbers[i], on_signal, NULL);
		if (event == NULL || event_add(event, NULL) == -1)
			fatalx("no signals");
	}
}

/* ---- the start ---- */

static void
write_log(void *arg)
{
	(void)arg;
	log_flush();
}

static void
make_events(void)
{
	struct event *ready;

	state.base = loop_new();
	loop_add_hook(LOOP_LOGS, write_log, NULL);
	catch_signals();
	state.ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ready = event_new(state.base, state.ready, EV_READ | EV_PERSIST,
	    on_ready, NULL);
	state.ready_limit = evtimer_new(state.base, on_ready_limit, NULL);
	state.tick = evtimer_new(state.base, on_tick, NULL);
	if (state.ready == -1 || ready == NULL || state.ready_limit == NULL ||
	    state.tick == NULL || event_add(ready, NULL) == -1)
		fatalx("no events");
	loop_after(state.ready_limit, READY_LIMIT * SECOND);
	schedule_tick();
}

/* Open all that needs our rights, start everybody, run. */
static int
run(void)
{
	int result;

	if ((state.settings = read_settings()) == NULL)
		return 1;
	if (house_enter(state.settings, &state.options) == -1)
		return 1;
	if (listen_open_local(state.settings) == -1) {
		house_leave(state.settings);
		return 1;
	}
	state.listeners_missing = listen_open(state.settings, &state.options,
	    NULL) > 0;
	state.options.starting = false;
	logs_use_own();
	make_events();
	children_start(state.base, state.settings, &state.options,
	    state.ready);
	result = loop_run(state.base);
	listen_unlink(state.settings);
	house_leave(state.settings);
	log_note(LOG_INFO, "ended", "all processes have ended");
	return result;
}

static void
say_to_stdout(const char *complaint, void *arg)
{
	(void)arg;
	puts(complaint);
}

/* -n: say what is wrong, and how bad it is by the exit status. */
static int
check(void)
{
	struct settings *settings;
	char *complaints;
	int result;

	settings = examine(&complaints, &result);
	check_print(complaints, state.options.file, say_to_stdout, NULL);
	free(complaints);
	settings_free(settings);
	return fflush(stdout) == EOF ? 1 : result;
}

int
main(int argc, char **argv)
{
	const char *why;
	int result;

	parse_options(argc, argv);
	log_start("postmaster", true);
	setenv("TZ", ":/etc/localtime", 1);
	tzset();
	umask(022);
	if (program_find(&why) == -1) {
		fprintf(stderr, "postmaster: %s\n", why);
		return 1;
	}
	if (state.options.check)
		return check();
	systemd_take_sockets();
	if (!state.options.foreground)
		detach();
	result = run();
	log_flush();
	return result;
}
