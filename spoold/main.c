/*
 * spoold: owns the queue.  Its settings, its neighbours, and the tick.
 */
#include <event2/event.h>

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "conf.h"
#include "log.h"
#include "loop.h"
#include "spoold.h"

#define JUMP	HOUR		/* of the clock, between two ticks */

static struct {
	struct settings	 settings;
	struct event_base *base;
	const struct conf *conf;
	struct event	*tick;
	int64_t		 offset;	/* of the clock from the monotonic */
	bool		 started;
	bool		 ended;
} spoold;

const struct settings *
settings(void)
{
	return &spoold.settings;
}

const struct conf *
spoold_conf(void)
{
	return spoold.conf;
}

struct event_base *
spoold_base(void)
{
	return spoold.base;
}

/* ---- settings ---- */

static void
read_settings(const struct conf *conf, struct settings *s)
{
	const struct conf_section	*core = conf_section(conf, "core",
					    NULL);

	s->retry_min = conf_duration(core, "retry-min", MINUTE);
	s->retry_max = conf_duration(core, "retry-max", HOUR);
	s->expire = conf_duration(core, "expire", 5 * DAY);
	s->delay_notice = conf_duration(core, "delay-notice", 4 * HOUR);
	s->bounce_expire = conf_duration(core, "bounce-expire", DAY);
	s->disk_reserve = conf_size(core, "disk-reserve", 64 << 20);
	s->window = conf_number(core, "window", 10000);
	if (careful_is_on())
		s->window = 1;
	(void)strlcpy(s->bounce_to, conf_string(core, "bounce-to", ""),
	    sizeof(s->bounce_to));
}

static void
check_core(struct conf *conf)
{
	struct conf_section	*core = conf_section(conf, "core", NULL);
	struct conf_setting	*setting;
	struct settings		 s;

	read_settings(conf, &s);
	setting = conf_setting(core, "retry-min");
	if (setting != NULL && (s.retry_min < SECOND ||
	    s.retry_min > s.retry_max))
		conf_wrong(conf, &setting->place, "retry-min: give at least"
		    " 1s, and no more than retry-max");
	setting = conf_setting(core, "window");
	if (setting != NULL && (s.window < 1 || s.window > 1000000))
		conf_wrong(conf, &setting->place, "window: give a number of"
		    " recipients from 1 to 1000000");
	setting = conf_setting(core, "bounce-to");
	if (setting != NULL && strlen(setting->words[0].text) >=
	    sizeof(s.bounce_to))
		conf_wrong(conf, &setting->place, "bounce-to: give a shorter"
		    " address");
}

/* ---- the tick ---- */

/* The clock and the monotonic one go apart only when somebody sets it. */
static void
watch_clock(int64_t now, int64_t monotonic)
{
	int64_t	 offset = now - monotonic, jumped = offset - spoold.offset;

	spoold.offset = offset;
	if (jumped > -JUMP && jumped < JUMP)
		return;
	log_begin(LOG_WARNING, "clock");
	log_seconds("jumped", jumped);
	log_string("reason", "due times are kept, nothing expires at first");
	log_end();
	ledger_clock_jumped();
	queue_rescan();
}

static void
on_tick(int fd, short events, void *unused)
{
	int64_t	 now = clock_now(), monotonic = clock_monotonic();

	(void)fd;
	(void)events;
	(void)unused;
	watch_clock(now, monotonic);
	reserve_tick(monotonic);
	queue_tick(now);
	user_tick(monotonic);
	control_tick(monotonic);
	idle_tick(monotonic);
	if (careful_tick(monotonic))
		read_settings(spoold.conf, &spoold.settings);
}

/* ---- the process ---- */

static void
before_jail(struct child *child)
{
	const struct conf_section	*core = conf_section(child->conf,
					    "core", NULL);
	struct group			*group;

	read_settings(child->conf, &spoold.settings);
	(void)strlcpy(spoold.settings.hostname, child->hostname,
	    sizeof(spoold.settings.hostname));
	group = getgrnam(conf_string(core, "operator-group", "adm"));
	spoold.settings.operators = group != NULL ? group->gr_gid :
	    (gid_t)-1;
	umask(077);
	syncer_fork(child);
	if (child->rootless && chdir(child->root) == -1)
		fatal("%s", child->root);
	jail_allow(child->root, true);
}

static void
begin(struct child *child)
{
	struct timeval	 second = { .tv_sec = 1 };

	spoold.base = child->base;
	spoold.conf = child->conf;
	spoold.offset = clock_now() - clock_monotonic();
	body_make_directories();
	db_open();
	ledger_start();
	careful_start();
	read_settings(child->conf, &spoold.settings);
	attempt_start();
	batch_start();
	purge_start();
	queue_start();
	idle_start();
	lease_start();
	reserve_tick(clock_monotonic());
	spoold.tick = event_new(child->base, -1, EV_PERSIST, on_tick, NULL);
	if (spoold.tick == NULL || event_add(spoold.tick, &second) == -1)
		fatalx("no timer");
	spoold.started = true;
	log_begin(LOG_INFO, "spool");
	log_number("messages", ledger_totals()->messages);
	log_number("octets", ledger_totals()->octets);
	log_number("deferred", ledger_totals()->deferred);
	log_number("held", ledger_totals()->held);
	log_end();
}

static void
reconfigured(struct child *child)
{
	spoold.conf = child->conf;
	read_settings(child->conf, &spoold.settings);
	(void)strlcpy(spoold.settings.hostname, child->hostname,
	    sizeof(spoold.settings.hostname));
	hop_configure();
	queue_rescan();
}

/* The suite ends: what was asked to be stored is. */
static void
end(struct child *child)
{
	(void)child;
	if (!spoold.started || spoold.ended)
		return;
	control_stop();
	batch_finish();
	spoold.ended = true;
}

static void
finish(struct child *child)
{
	end(child);
	loop_stop(0);
}

static const struct child_peer peers[] = {
	{ &smtpd_role,		smtpd_up,	smtpd_lost },
	{ &policyd_role,	policyd_up,	NULL },
	{ &relay_role,		relay_up,	relay_lost },
	{ &deliver_role,	deliver_up,	NULL },
	{ NULL,			NULL,		NULL }
};

static const struct child_ops operations = {
	.self = PROC_SPOOLD,
	.jail = JAIL_SPOOLD,
	.peers = peers,
	.check = check_core,
	.before_jail = before_jail,
	.begin = begin,
	.listener = control_listener,
	.reconfigured = reconfigured,
	.finish = finish,
	.end = end
};

int
main(int argc, char **argv)
{
	int	 result;

	/* The turn that was told to end goes on to its end, with a database. */
	result = child_main(argc, argv, &operations);
	if (spoold.ended) {
		db_close();
		careful_end();
	}
	return result;
}
