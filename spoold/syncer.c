/*
 * The syncers: processes that sync the database's log, so that spoold need
 * not wait for the disk.  While it does, the next batch is gathered and
 * committed, and its sync begins before the first has ended.  Where a sync
 * takes long for its way and not for what it carries, as on a network's
 * volume, that takes a third more messages from as many clients.
 *
 * Where a sync is short, to hand it over costs more than it saves: spoold
 * then syncs in place.  Which of the two it is, the last syncs tell.
 *
 * A syncer holds the log and its end of a socket pair, may do little but
 * sync, and ends when spoold does.  Each has opened the log for itself: an
 * error of the disk is told once to each opener, and the sync that comes
 * behind the one that failed must not pass for a good one.
 */
#include <sys/prctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "clock.h"
#include "frame.h"
#include "log.h"
#include "spoold.h"

#define WORTH_IT	(SECOND / 1000)	/* a sync that is handed over */
#define SMOOTH		8		/* syncs by which the mean goes */

/* The answer to an octet, whichever. */
struct synced {
	int64_t		 took;
	int64_t		 error;		/* errno, 0 if it is on disk */
};

static struct {
	int		 sockets[SYNCERS];
	struct event	*events[SYNCERS];
	void		(*done)(unsigned int);
	int64_t		 mean;		/* of the last syncs */
} syncer;

/* Write all to the other end, though the call be cut short; 0 or -1. */
static int
tell(int to, const void *octets, size_t length)
{
	ssize_t	 written;

	do
		written = write(to, octets, length);
	while (written == -1 && errno == EINTR);
	return written == (ssize_t)length ? 0 : -1;
}

/* ---- the process */

/* Is there another sync to be made? */
static bool
is_asked(int from)
{
	ssize_t	 length;
	char	 octet;

	do
		length = read(from, &octet, 1);
	while (length == -1 && errno == EINTR);
	return length == 1;
}

/* The descriptor that spoold sends, or -1. */
static int
take_descriptor(int from)
{
	char		 room[sizeof(struct frame_header)];
	struct frame_in	 in = { .data = room, .size = sizeof(room) };

	return frame_in_read(&in, from, true) > 0 ? frame_in_take_fd(&in) : -1;
}

static void __attribute__((noreturn))
serve(int from)
{
	struct synced	 answer;
	int64_t		 began;
	int		 fd = take_descriptor(from);

	while (fd != -1 && is_asked(from)) {
		began = clock_monotonic();
		answer.error = fdatasync(fd) == -1 ? errno : 0;
		answer.took = clock_monotonic() - began;
		if (tell(from, &answer, sizeof(answer)) == -1)
			break;
	}
	_exit(0);
}

static void __attribute__((noreturn))
begin(int from, const struct child *child)
{
	(void)prctl(PR_SET_NAME, "syncer");
	if (dup2(from, STDIN_FILENO) == -1)
		fatal("syncer");
	jail_enter(JAIL_SYNCER, child->uid, child->gid, child->root,
	    child->rootless);
	(void)close_range(STDIN_FILENO + 1, ~0U, 0);
	serve(STDIN_FILENO);
}

/* Before the jail, which lets nobody fork; each goes into its own. */
void
syncer_fork(const struct child *child)
{
	int	 i, pair[2];

	for (i = 0; i < SYNCERS; i++) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
		    pair) == -1)
			fatal("syncer");
		switch (fork()) {
		case -1:
			fatal("syncer");
		case 0:
			begin(pair[1], child);
		}
		close(pair[1]);
		syncer.sockets[i] = pair[0];
	}
}

/* ---- spoold's side */

/* Take the answer of n, if it is there. */
static bool
take_answer(unsigned int n)
{
	struct synced	 answer;
	ssize_t		 length;

	length = recv(syncer.sockets[n], &answer, sizeof(answer),
	    MSG_DONTWAIT);
	if (length == -1 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (length != sizeof(answer))
		batch_die("a sync of the log, whose process has ended");
	if (answer.error != 0) {
		errno = (int)answer.error;
		log_errno(LOG_ERR, "spool", "sync of " WAL_NAME);
		batch_die("a sync of the log");
	}
	syncer_took(answer.took);
	syncer.done(n);
	return true;
}

/* Take the answer of n, which is at work, when it comes. */
void
syncer_wait(unsigned int n)
{
	struct pollfd	 answer = { syncer.sockets[n], POLLIN, 0 };

	while (!take_answer(n))
		(void)poll(&answer, 1, -1);
}

/* The answer may have been waited for since the loop has seen it. */
static void
on_answer(int fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	(void)take_answer((unsigned int)((struct event **)arg -
	    syncer.events));
}

/* It is taken. */
static void
give_descriptor(int to, int fd)
{
	static const struct frame_header	 none;
	struct frame_out			 out = { 0 };

	frame_out_add(&out, &none, NULL, 0, NULL, 0, fd);
	if (frame_out_drain(&out, to) == -1)
		fatal("syncer");
	frame_out_clear(&out);
}

/* The log is there.  From now on done(n) tells that n has synced it. */
void
syncer_start(void (*done)(unsigned int))
{
	int	 i, fd;

	syncer.done = done;
	for (i = 0; i < SYNCERS; i++) {
		if ((fd = open(WAL_NAME, O_RDONLY | O_CLOEXEC)) == -1)
			fatal(WAL_NAME);
		give_descriptor(syncer.sockets[i], fd);
		syncer.events[i] = event_new(spoold_base(), syncer.sockets[i],
		    EV_READ | EV_PERSIST, on_answer, &syncer.events[i]);
		if (syncer.events[i] == NULL ||
		    event_add(syncer.events[i], NULL) == -1)
			fatalx("syncer: no event");
	}
}

/* A sync of the log took so long, whoever made it. */
void
syncer_took(int64_t took)
{
	syncer.mean += (took - syncer.mean) / SMOOTH;
}

int64_t
syncer_mean(void)
{
	return syncer.mean;
}

bool
syncer_is_worth_it(void)
{
	return syncer.mean >= WORTH_IT;
}

/* Let n, which is idle, sync all that has been written by now. */
void
syncer_begin(unsigned int n)
{
	const char	 octet = 0;

	if (tell(syncer.sockets[n], &octet, 1) == -1)
		batch_die("a sync of the log, whose process has ended");
}
