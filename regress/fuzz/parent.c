/* links: deliver/parent.c common/log.c common/queueid.c common/link.c
 * common/asks.c common/frame.c common/wire.c common/loop.c
 * regress/fuzz/help/played.c */
/*
 * deliver's parent, which is root, over a real link to a spoold that asks for
 * workers of any name and kind, tells of any, or dies, while workers die and
 * do not.  It forks for what it says it has forked, signals nobody but its
 * own children that are not yet reaped, tells each end once to the spoold
 * that asked for it, and before that once of each that nothing ends, beside
 * which it forks no other for a while, and of any it is to end and never
 * forked; none of an older spoold's runs on.  The input is a step a line.
 */
#include <sys/wait.h>

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <unistd.h>

#include "clock.h"
#include "deliver/deliver.h"
#include "fuzz.h"
#include "help/played.h"
#include "loop.h"

#define CHILDREN	40
#define STEPS		200
#define PID		100000	/* the first */
#define STEP_LONGEST	(SECOND << 7)

/* Whom it has forked. */
struct forked {
	uint64_t	 id;		/* spoold's name */
	int		 status;
	bool		 dead;		/* not yet reaped */
	bool		 reaped;
	bool		 old;		/* its spoold is gone */
	bool		 termed;
	bool		 killed;
	int64_t		 stuck_at;	/* as it was told; 0: it was not */
	struct w_user_worker_req req;
};

static struct {
	struct child	 child;
	struct link	*link;
	struct far	 spoold;
	struct forked	 all[CHILDREN];
	size_t		 count;
	struct w_user_worker_req asking;
	uint64_t	 names;		/* that spoold has given */
	uint32_t	 frame;
	size_t		 told;		/* ends, to this spoold */
	size_t		 due;
	bool		 cannot;	/* fork */
} play;

/* ---- the rest of deliver ---- */

struct mailers *
mailers_load(const struct conf *conf)
{
	(void)conf;
	return NULL;
}

void
mailers_free(struct mailers *mailers)
{
	require(mailers == NULL);
}

void
account_load_services(void)
{
}

void
cleanse_capabilities(uint32_t kept)
{
	(void)kept;
}

void
nursery_begin(const struct child *child, const struct mailers *mailers)
{
	(void)child;
	(void)mailers;
}

void
nursery_end(void)
{
}

bool
nursery_is_child(pid_t pid)
{
	(void)pid;
	return false;
}

void
nursery_reaped(pid_t pid)
{
	(void)pid;
	require(!"one that it has not forked");
}

/* Every other one is not for the nursery. */
pid_t
nursery_fork(const struct w_user_worker_req *req, int link,
    const struct child *child, const struct mailers *mailers)
{
	pid_t pid;

	(void)mailers;
	require(req->kind == WORKER_MAILBOX || req->kind == WORKER_MBOX);
	require(child == &play.child && close(link) == 0);
	if (play.count % 2 != 0)
		return 0;
	pid = fork();
	return pid == -1 ? 0 : pid;
}

void
drop_begin(struct child *child)
{
	(void)child;
}

void
drop_end(void)
{
}

void
drop_reaped(pid_t pid, int status)
{
	(void)pid;
	(void)status;
	require(!"one that it has not forked");
}

bool
drop_is_child(pid_t pid)
{
	(void)pid;
	return false;
}

void
worker_run(const struct w_user_worker_req *req, int fd,
    const struct child *child, const struct mailers *mailers)
{
	(void)req;
	(void)fd;
	(void)child;
	(void)mailers;
	require(!"a worker in the parent");
	abort();
}

void
child_link_closed(struct link *link, const char *why, void *arg)
{
	(void)why;
	require(link == play.link);
	parent_lost(arg, link);
	play.link = NULL;
}

/* ---- the system ---- */

pid_t
fork(void)
{
	if (play.cannot || play.count == CHILDREN) {
		errno = EAGAIN;
		return -1;
	}
	play.all[play.count] = (struct forked){ .id = play.asking.id,
	    .req = play.asking };
	return PID + (pid_t)play.count++;
}

int
kill(pid_t pid, int number)
{
	struct forked *f = &play.all[pid - PID];

	require(pid >= PID && pid < PID + (pid_t)play.count && !f->reaped);
	require(number == SIGTERM || number == SIGKILL || number == SIGHUP);
	f->termed = f->termed || number != SIGHUP;
	f->killed = f->killed || number == SIGKILL;
	return 0;
}

pid_t
waitpid(pid_t pid, int *status, int options)
{
	size_t i;

	require(pid == -1 && options == WNOHANG);
	for (i = 0; i < play.count; i++) {
		if (!play.all[i].dead || play.all[i].reaped)
			continue;
		play.all[i].reaped = true;
		play.due += !play.all[i].old;
		*status = play.all[i].status;
		return PID + (pid_t)i;
	}
	return 0;
}

/* ---- spoold ---- */

static void
spoold_up(void)
{
	static const struct w_start_peer_ntf ntf;

	if (play.link != NULL)
		return;
	far_close(&play.spoold);
	play.told = play.due = 0;
	play.link = link_new(played_base(), far_open(&play.spoold),
	    &parent_role, &play.child);
	parent_up(&play.child, play.link, &ntf);
}

static void
spoold_lost(void)
{
	size_t i;

	require(play.link == NULL);
	for (i = 0; i < play.count; i++) {
		play.all[i].old = true;
		require(play.all[i].termed || play.all[i].reaped);
	}
}

static void
spoold_down(void)
{
	far_close(&play.spoold);
	played_turn(3);
	spoold_lost();
}

/* A worker of this spoold's is stuck: the first with that name that may be. */
static void
hear_stuck(const struct w_user_stuck_ntf *ntf)
{
	size_t i;

	for (i = 0; i < play.count; i++)
		if (play.all[i].id == ntf->id && play.all[i].killed &&
		    !play.all[i].old && !play.all[i].reaped &&
		    play.all[i].stuck_at == 0)
			break;
	if (i < play.count) {
		play.all[i].stuck_at = clock_monotonic();
		return;
	}
	/* Or it was asked to end one that it has not forked. */
	for (i = 0; i < play.count; i++)
		require(play.all[i].id != ntf->id || play.all[i].old ||
		    play.all[i].reaped);
}

/* Is there one that was told to be stuck of what is asked for? */
static bool
is_stuck(void)
{
	const struct forked *f;

	for (f = play.all; f < play.all + play.count; f++)
		if (f->stuck_at != 0 && !f->reaped && f->req.kind ==
		    play.asking.kind && clock_monotonic() - f->stuck_at <
		    HOUR - STEP_LONGEST && strcmp(f->req.name, play.asking.name) == 0)
			return true;
	return false;
}

/* What it hears: an answer if it waits for one, and ends. */
static void
hear(bool waits)
{
	struct frame_header header;
	struct w_user_worker_ans ans;
	struct w_user_stuck_ntf stuck;
	const char *contents;
	size_t before = play.count;
	int fd;

	played_turn(3);
	while (far_next(&play.spoold, &header, &contents, &fd)) {
		require(wire_check(PROC_DELIVER, PROC_SPOOLD, header.type,
		    header.id, contents, header.length, fd != -1) == NULL);
		if (header.type == IMSG_USER_ENDED_NTF) {
			play.told++;
			continue;
		}
		if (header.type == IMSG_USER_STUCK_NTF) {
			memcpy(&stuck, contents, sizeof(stuck));
			hear_stuck(&stuck);
			continue;
		}
		memcpy(&ans, contents, sizeof(ans));
		require(waits && header.id == play.frame &&
		    ans.id == play.asking.id);
		require(ans.verdict != USER_OK || !is_stuck());
		require((ans.verdict == USER_OK) == (fd != -1));
		waits = false;
		if (fd != -1)
			require(close(fd) == 0);
	}
	require(!waits && play.count == before && play.told == play.due);
}

/* A kind, then a name; one that is forked is forked for it. */
static void
ask(const char *text)
{
	struct w_user_worker_req req = { .id = ++play.names };
	size_t before = play.count;

	if (*text != '\0')
		req.kind = (uint64_t)(*text++ - '0');
	(void)strlcpy(req.name, text, sizeof(req.name));
	play.asking = req;
	far_say(&play.spoold, IMSG_USER_WORKER_REQ, ++play.frame, &req,
	    sizeof(req), -1);
	played_turn(3);
	require(play.count == before || (play.count == before + 1 &&
	    req.kind >= WORKER_MAILBOX && req.kind <= WORKER_PROGRAM));
	hear(true);
}

/* Any octets as a frame, mostly of a type that there is. */
static void
say_any(const char *text)
{
	struct w_user_worker_req req = { .id = 0 };
	size_t length = strlen(text), i;
	uint32_t type;

	if (length == 0)
		return;
	type = (uint32_t)*text & 63;
	for (i = 0; i < sizeof(req); i++)
		((char *)&req)[i] = text[i % length];
	if (*text & 64)
		req.name[sizeof(req.name) - 1] = '\0';
	play.asking = req;
	far_say(&play.spoold, type, ++play.frame, &req, wire_row(type) !=
	    NULL && wire_row(type)->size <= sizeof(req) && length % 4 != 0 ?
	    wire_row(type)->size : length % sizeof(req), -1);
	played_turn(3);
	if (play.link == NULL)
		spoold_lost();
	else
		hear(type == IMSG_USER_WORKER_REQ);
}

/* ---- steps ---- */

/* One dies; the next letter says of what. */
static void
die(size_t which, int status)
{
	if (play.count == 0 || play.all[which % play.count].dead)
		return;
	play.all[which % play.count].dead = true;
	play.all[which % play.count].status = status;
	require(raise(SIGCHLD) == 0);
}

static void
take(char *line)
{
	struct w_user_kill_ntf ntf = { .id = (unsigned char)line[0] != 0 ?
	    (unsigned char)line[1] : 0 };

	switch (line[0]) {
	case 'q':
		if (play.link != NULL)
			ask(line + 1);
		return;
	case 'k':
		if (ntf.id != 0 && play.link != NULL)
			far_say(&play.spoold, IMSG_USER_KILL_NTF, 0, &ntf,
			    sizeof(ntf), -1);
		break;
	case '?':
		if (play.link != NULL)
			say_any(line + 1);
		return;
	case 'd':
		die((unsigned char)line[1], line[1] != '\0' ?
		    (unsigned char)line[2] : 0);
		break;
	case 'w':
		played_pass(SECOND << (line[1] & 7));
		break;
	case 'f':
		play.cannot = !play.cannot;
		break;
	case 'c':
		parent_reconfigured(&play.child);
		break;
	case 'x':
		spoold_down();
		return;
	case 'u':
		spoold_up();
		return;
	}
	hear(false);
}

/* ---- the beginning and the end ---- */

static void
begin(void)
{
	if (play.child.base == NULL) {
		play.child.base = played_base();
		play.child.rootless = true;
		parent_begin(&play.child);
	}
	memset(play.all, 0, sizeof(play.all));
	play.count = play.told = play.due = 0;
	memset(&play.asking, 0, sizeof(play.asking));
	play.names = play.frame = 0;
	play.cannot = false;
	play.spoold.fd = -1;
	spoold_up();
}

/* All come to their end. */
static void
end(void)
{
	size_t i;

	spoold_down();
	parent_end(&play.child);
	for (i = 0; i < play.count; i++)
		die(i, SIGTERM);
	played_turn(3);
	for (i = 0; i < play.count; i++)
		require(play.all[i].reaped);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint64_t fds;

	(void)played_base();
	if (play.child.base == NULL) {
		begin();
		end();
	}
	fds = fuzz_descriptors();
	begin();
	fuzz_lines(&in, STEPS, take);
	end();
	require(fuzz_descriptors() == fds);
	return 0;
}
