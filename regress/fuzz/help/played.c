/*
 * Takes the place of common/clock.c as well: its time is told.
 */
#include <sys/socket.h>

#include <errno.h>
#include <event2/event.h>
#include <time.h>
#include <unistd.h>

#include "../fuzz.h"
#include "clock.h"
#include "loop.h"
#include "played.h"

#define BEGINNING	(INT64_C(1700000000) * SECOND)
#define TIMERS		256

static struct {
	struct event_base *base;
	unsigned int	 turns;		/* left before the loop is stopped */
	int64_t		 monotonic;
	int64_t		 jumped;
} played = { .monotonic = DAY };

/* ---- time ---- */

int64_t
clock_now(void)
{
	return BEGINNING + played.monotonic + played.jumped;
}

int64_t
clock_monotonic(void)
{
	return played.monotonic;
}

void
clock_date(int64_t when, char *text, size_t size)
{
	time_t seconds = (time_t)(when / SECOND);
	struct tm utc;

	if (gmtime_r(&seconds, &utc) == NULL ||
	    strftime(text, size, "%a, %d %b %Y %T +0000", &utc) == 0)
		(void)snprintf(text, size, "Thu, 01 Jan 1970 00:00:00 +0000");
}

struct timers {
	struct event	*all[TIMERS];
	size_t		 count;
};

static int
note_timer(const struct event_base *base, const struct event *event,
    void *arg)
{
	struct timers *timers = arg;

	(void)base;
	if (event_get_fd(event) == -1 && timers->count < TIMERS &&
	    event_pending(event, EV_TIMEOUT, NULL))
		timers->all[timers->count++] = (struct event *)(uintptr_t)event;
	return 0;
}

/* Every timer fires: those that are early must look and wait on. */
void
played_pass(int64_t time)
{
	struct timers timers = { .count = 0 };
	size_t i;

	played.monotonic += time;
	(void)event_base_foreach_event(played_base(), note_timer, &timers);
	for (i = 0; i < timers.count; i++) {
		(void)event_del(timers.all[i]);
		event_active(timers.all[i], EV_TIMEOUT, 0);
	}
	played_turn(2);
}

void
played_jump(int64_t time)
{
	played.jumped += time;
}

/* ---- turns ---- */

static void
count_turn(void *unused)
{
	(void)unused;
	if (played.turns == 0)
		loop_stop(0);
	else
		played.turns--;
	loop_again();
}

struct event_base *
played_base(void)
{
	if (played.base == NULL) {
		played.base = loop_new();
		loop_add_hook(LOOP_LOGS, count_turn, NULL);
	}
	return played.base;
}

void
played_turn(unsigned int turns)
{
	struct event_base *base = played_base();

	played.turns = turns;
	(void)loop_run(base);
}

/* ---- far ends ---- */

int
far_open(struct far *far)
{
	int pair[2];

	memset(far, 0, sizeof(*far));
	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, pair) == 0);
	far->fd = pair[1];
	return pair[0];
}

void
far_close(struct far *far)
{
	if (far->fd != -1)
		require(close(far->fd) == 0);
	far->fd = -1;
	frame_in_clear(&far->in);
}

bool
far_next(struct far *far, struct frame_header *header, const char **contents,
    int *fd)
{
	long n = 1;

	while (frame_in_next(&far->in, header, contents) == 0) {
		if (far->fd == -1 || n <= 0)
			return false;
		frame_in_reserve(&far->in, 65536);
		n = frame_in_read(&far->in, far->fd, true);
		far->ended = n == 0 || (n == -1 && errno == ECONNRESET);
	}
	*fd = header->flags & FRAME_FD ? frame_in_take_fd(&far->in) : -1;
	return true;
}

void
far_say(struct far *far, uint32_t type, uint32_t id, const void *contents,
    size_t length, int fd)
{
	struct frame_header header = { .type = type, .id = id,
	    .flags = fd != -1 ? FRAME_FD : 0, .length = (uint32_t)length };
	struct frame_out out = { 0 };
	int tries = 0, result;

	if (far->fd == -1)
		return;
	frame_out_add(&out, &header, contents, length, NULL, 0,
	    fd != -1 ? dup(fd) : -1);
	while ((result = frame_out_write(&out, far->fd)) == 0) {
		/* Links are always read. */
		require(++tries < 1000);
		played_turn(1);
	}
	frame_out_clear(&out);
}
