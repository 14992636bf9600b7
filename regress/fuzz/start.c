/* links: common/link.c common/link_blocking.c common/asks.c common/frame.c
 * common/wire.c common/loop.c common/log.c common/queueid.c common/conf.c
 * common/conf_keyword.c common/conf_lex.c common/conf_parse.c
 * common/conf_value.c common/target.c regress/fuzz/help/played.c */
/*
 * The start link of each process, at its start and later: configurations,
 * secrets, logs, listeners, neighbours that come, go and come again, in any
 * order, and any octets.  Nothing begins before it was told to go, nor
 * without a configuration; each callback gets what was sent; whose link ended
 * is told so once, and only one that postmaster has not reaped is missed; each
 * descriptor is closed.  It may give up on what it is told before it runs,
 * never later, unless it is told what it cannot be told then.  The input is
 * who it is, then a step a line.
 */
#include <sys/eventfd.h>
#include <sys/mman.h>

#include <event2/event.h>
#include <setjmp.h>
#include <unistd.h>

#include "child.h"
#include "clock.h"
#include "fuzz.h"
#include "help/played.h"
#include "log.h"
#include "loop.h"
#include "secretfile.h"

#define STEPS		120
#define EARLY		40		/* what a socket holds */
#define FAR		12
#define HELD		64
#define FIRST_FREE	5		/* descriptors: 3 and 4 are its own */

/* A neighbour's end of a link. */
struct neighbour_end {
	struct far	 far;
	uint64_t	 process;
	uint32_t	 instance;
	struct link	*link;		/* NULL before it is up, and later */
	bool		 open;		/* ours */
	bool		 thrown;	/* it has said what it may not */
	bool		 gone;
	bool		 reaped;
};

static struct {
	jmp_buf		 death;
	struct far	 postmaster;
	struct fuzz_input *in;
	const struct child_ops *ops;
	struct neighbour_end ends[FAR];
	size_t		 count;
	size_t		 up;		/* so many of them have been */
	void		*held[HELD];	/* memory of the process */
	struct conf	*parsed;	/* likewise */
	uint64_t	 generation;
	char		*secrets;
	bool		 refused;
	bool		 configured;	/* was there a configuration at go? */
	bool		 told_conf;
	bool		 go;
	bool		 running;
	bool		 stopped;
	bool		 begun;
	size_t		 listeners;	/* told, less those it was handed */
	unsigned int	 reconfigured;	/* likewise */
	unsigned int	 ended;
} play;

/* ---- the process, which may die ---- */

__attribute__((noreturn, format(printf, 1, 2)))
static void
die(const char *why, ...)
{
	require(!play.running && *why != '\0');
	longjmp(play.death, 1);
}

static void
release(void *memory)
{
	size_t i;

	for (i = 0; memory != NULL && i < HELD; i++)
		if (play.held[i] == memory) {
			play.held[i] = NULL;
			break;
		}
	free(memory);
}

static void *
hold(void *memory)
{
	size_t i;

	for (i = 0; play.held[i] != NULL; i++)
		require(i + 1 < HELD);
	return play.held[i] = fuzz_need(memory);
}

static void *
hold_more(void *memory, size_t count, size_t size)
{
	size_t i;

	for (i = 0; memory != NULL && play.held[i] != memory; i++)
		require(i + 1 < HELD);
	if (memory == NULL)
		return hold(reallocarray(NULL, count, size));
	return play.held[i] = fuzz_need(reallocarray(memory, count, size));
}

static void
check_log(int fd, const char *name, const char *ident)
{
	require(strlen(name) < WIRE_DOMAIN && strlen(ident) < WIRE_NAME);
	require(close(fd) == 0);
}

static int	run_played(struct event_base *);

#undef fprintf
#define fatal			die
#define fatalx			die
#define exit(status)		die("exit %d", status)
#define fprintf(...)		((void)0)
#define malloc(size)		hold(malloc(size))
#define reallocarray(p, n, s)	hold_more(p, n, s)
#define free(memory)		release(memory)
#define log_to(fd, kind, ident, facility, host, copy) \
	((void)(kind), (void)(copy), check_log(fd, host, ident))
#define log_to_named(name, fd, kind, ident, facility) \
	((void)(kind), check_log(fd, name, ident))
#define conf_parse(file, text, length, errors) \
	(play.parsed = conf_parse(file, text, length, errors))
#define loop_new()		played_base()
#define loop_add_hook(stage, fn, arg) ((void)(fn))
#define loop_stop(result)	((void)(play.stopped = true))
#define loop_run(base)		run_played(base)

#include "common/child.c"

#undef conf_parse
#undef fprintf
#undef malloc
#undef reallocarray
#undef free
#undef exit

/* ---- what it does with what it is told ---- */

static struct neighbour_end *
end_of(const struct link *link)
{
	size_t i;

	for (i = 0; i < play.count; i++)
		if (link != NULL && play.ends[i].link == link)
			return &play.ends[i];
	return NULL;
}

static void
on_before_jail(struct child *child)
{
	require(play.go && !play.begun && child->conf != NULL);
}

static void
on_begin(struct child *child)
{
	require(play.go && !play.begun && child->base == played_base());
	require(strlen(child->root) < WIRE_PATH);
	require(strlen(child->hostname) < WIRE_DOMAIN);
	play.begun = true;
}

static void
on_secrets(struct child *child, const char *text, size_t length)
{
	(void)child;
	require(!play.begun && play.secrets != NULL);
	require((text == NULL) == play.refused);
	require(length == strlen(play.secrets) && (text == NULL ||
	    memcmp(text, play.secrets, length) == 0));
}

static void
on_listener(struct child *child, int fd,
    const struct w_start_listener_ntf *ntf)
{
	(void)child;
	require(play.begun && play.listeners-- > 0);
	require(strlen(ntf->name) < WIRE_NAME &&
	    strlen(ntf->address) < WIRE_NAME);
	require(close(fd) == 0);
}

static void
on_reconfigured(struct child *child)
{
	require(play.begun && child->conf != NULL &&
	    child->conf->wrong == 0);
	require(child->generation == play.generation);
	require(strlen(child->hostname) < WIRE_DOMAIN);
	play.reconfigured++;
}

static void
on_finish(struct child *child)
{
	(void)child;
	require(play.begun);
	play.stopped = true;
}

static void
on_end(struct child *child)
{
	(void)child;
	require(++play.ended == 1);
}

/* They come up in the order in which they were told. */
static void
on_up(struct child *child, struct link *link,
    const struct w_start_peer_ntf *ntf)
{
	struct neighbour_end *end = &play.ends[play.up++];

	require(play.begun && child == &state.child && play.up <= play.count);
	require(end->process == ntf->process &&
	    end->instance == ntf->instance &&
	    link_instance(link) == ntf->instance);
	end->link = link;
}

static void
on_lost(struct child *child, struct link *link)
{
	struct neighbour_end *end = end_of(link);

	require(child == &state.child && end != NULL);
	end->link = NULL;
}

#define ROLE(name, one, other) \
	static const struct link_handler name##_handlers[] = { \
		{ IMSG_NONE, NULL } \
	}; \
	static const struct link_role name = { .self = one, .peer = other, \
	    .handlers = name##_handlers, .closed = child_link_closed }

ROLE(smtpd_policyd, PROC_SMTPD, PROC_POLICYD);
ROLE(smtpd_spoold, PROC_SMTPD, PROC_SPOOLD);
ROLE(spoold_smtpd, PROC_SPOOLD, PROC_SMTPD);
ROLE(spoold_relay, PROC_SPOOLD, PROC_RELAY);
ROLE(relay_spoold, PROC_RELAY, PROC_SPOOLD);
ROLE(deliver_spoold, PROC_DELIVER, PROC_SPOOLD);

static const struct child_peer smtpd_peers[] = {
	{ &smtpd_policyd, on_up, on_lost },
	{ &smtpd_spoold, on_up, on_lost }, { NULL, NULL, NULL }
};
static const struct child_peer spoold_peers[] = {
	{ &spoold_smtpd, on_up, on_lost },
	{ &spoold_relay, on_up, on_lost }, { NULL, NULL, NULL }
};
static const struct child_peer relay_peers[] = {
	{ &relay_spoold, on_up, on_lost }, { NULL, NULL, NULL }
};
static const struct child_peer deliver_peers[] = {
	{ &deliver_spoold, on_up, on_lost }, { NULL, NULL, NULL }
};

/* With the callbacks that each of them has. */
static const struct child_ops kinds[] = {
	{ .self = PROC_SMTPD, .jail = JAIL_MAX, .peers = smtpd_peers,
	    .before_jail = on_before_jail, .begin = on_begin,
	    .listener = on_listener, .finish = on_finish, .end = on_end },
	{ .self = PROC_SPOOLD, .jail = JAIL_MAX, .peers = spoold_peers,
	    .before_jail = on_before_jail, .begin = on_begin,
	    .listener = on_listener, .reconfigured = on_reconfigured,
	    .end = on_end },
	{ .self = PROC_RELAY, .jail = JAIL_MAX, .peers = relay_peers,
	    .secrets = on_secrets, .before_jail = on_before_jail,
	    .begin = on_begin, .end = on_end },
	{ .self = PROC_DELIVER, .jail = JAIL_MAX, .peers = deliver_peers,
	    .before_jail = on_before_jail, .begin = on_begin,
	    .reconfigured = on_reconfigured, .end = on_end }
};

/* ---- postmaster ---- */

static int
file_of(const char *text)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	require(fd != -1 && write(fd, text, strlen(text)) ==
	    (ssize_t)strlen(text));
	return fd;
}

static void
say(uint32_t type, const void *ntf, size_t length, int fd)
{
	far_say(&play.postmaster, type, 0, ntf, length, fd);
	if (fd != -1)
		require(close(fd) == 0);
}

static bool
can_be_parsed(const char *text)
{
	struct conf *conf = conf_parse("postmaster.cf", text, strlen(text),
	    NULL);
	bool can = conf->wrong == 0;

	conf_free(conf);
	return can;
}

/* A ~ is the end of a line; what begins with ! is no regular file. */
static void
tell_config(char *text)
{
	struct w_start_config_ntf ntf = { .generation = ++play.generation };
	unsigned int before = play.reconfigured;
	int ends[2];
	bool good;
	char *c;

	for (c = text; *c != '\0'; c++)
		if (*c == '~')
			*c = '\n';
	good = can_be_parsed(text);
	if (*text == '!' && !play.running) {
		require(pipe(ends) == 0 && close(ends[1]) == 0);
		say(IMSG_START_CONFIG_NTF, &ntf, sizeof(ntf), ends[0]);
		return;
	}
	/* It must not be told what would end it. */
	if (play.running && (!good || play.ops->reconfigured == NULL)) {
		play.generation--;
		return;
	}
	play.told_conf = true;
	say(IMSG_START_CONFIG_NTF, &ntf, sizeof(ntf), file_of(text));
	if (!play.running)
		return;
	played_turn(2);
	require(play.stopped || play.reconfigured == before + 1);
}

static void
tell_secrets(const char *text)
{
	struct w_start_secrets_ntf ntf = { .generation = 1 };

	if (play.running || play.secrets != NULL)
		return;
	play.refused = *text == '-';
	ntf.refused = play.refused;
	play.secrets = fuzz_need(strdup(text));
	say(IMSG_START_SECRETS_NTF, &ntf, sizeof(ntf), file_of(text));
}

static void
tell_log(const char *text)
{
	struct w_start_log_ntf ntf = { .kind = *text & 3,
	    .additional = *text >> 2 & 1, .copy_to_stderr = *text >> 3 & 1,
	    .verbose = *text >> 4 & 1 };

	(void)strlcpy(ntf.name, text, sizeof(ntf.name));
	(void)strlcpy(ntf.ident, text, sizeof(ntf.ident));
	say(IMSG_START_LOG_NTF, &ntf, sizeof(ntf), file_of(""));
}

static void
tell_listener(const char *text)
{
	struct w_start_listener_ntf ntf = { .local = *text & 1 };

	if (play.running && play.ops->listener == NULL)
		return;
	(void)strlcpy(ntf.name, text, sizeof(ntf.name));
	(void)strlcpy(ntf.address, text, sizeof(ntf.address));
	play.listeners++;
	say(IMSG_START_LISTENER_NTF, &ntf, sizeof(ntf), file_of(""));
}

static bool
is_neighbour(uint64_t process)
{
	const struct child_peer *peer;

	for (peer = play.ops->peers; peer->role != NULL; peer++)
		if (peer->role->peer == process)
			return true;
	return false;
}

/* Which process, from the letter; which of its workers, from the next. */
static uint64_t
process_of(const char *text)
{
	return text[0] == '!' ? UINT64_C(1) << 32 | PROC_SPOOLD :
	    (uint64_t)(text[0] & 15);
}

static uint32_t
instance_of(const char *text)
{
	return text[0] == '\0' ? 0 : (uint32_t)(text[1] & 3) << 8;
}

static void
tell_peer(const char *text)
{
	struct w_start_peer_ntf ntf = { .process = process_of(text),
	    .instance = instance_of(text) };
	struct neighbour_end *end = &play.ends[play.count];
	int near;

	if (play.count == FAR || (play.running && !is_neighbour(ntf.process)))
		return;
	near = far_open(&end->far);
	end->process = ntf.process;
	end->instance = ntf.instance;
	end->open = true;
	play.count++;
	say(IMSG_START_PEER_NTF, &ntf, sizeof(ntf), near);
}

/* The newest of a process and instance that was told. */
static struct neighbour_end *
newest(uint64_t process, uint32_t instance)
{
	size_t i;

	for (i = play.count; i-- > 0;)
		if (play.ends[i].process == process &&
		    play.ends[i].instance == instance)
			return &play.ends[i];
	return NULL;
}

static void
tell_down(const char *text)
{
	struct w_start_peer_down_ntf ntf = { .process = process_of(text),
	    .instance = instance_of(text) };
	struct neighbour_end *end = newest(ntf.process, ntf.instance);

	if (end != NULL)
		end->reaped = true;
	say(IMSG_START_PEER_DOWN_NTF, &ntf, sizeof(ntf), -1);
}

/* One goes; or says what it may not, and is thrown out. */
static void
neighbour_ends(const char *text)
{
	struct neighbour_end *end = newest(process_of(text),
	    instance_of(text));

	if (end == NULL || !end->open)
		return;
	if (text[0] != '\0' && text[1] != '\0' && text[2] == '?') {
		far_say(&end->far, IMSG_MAX, 1, "", 0, -1);
		end->thrown = true;
		return;
	}
	far_close(&end->far);
	end->open = false;
	end->gone = !end->thrown;
}

static void
tell_go(const char *text)
{
	struct w_start_go_ntf ntf = { .workers = (uint64_t)*text,
	    .rootless = *text & 1 };

	(void)strlcpy(ntf.root, text, sizeof(ntf.root));
	(void)strlcpy(ntf.hostname, text, sizeof(ntf.hostname));
	if (!play.go)
		play.configured = play.told_conf;
	play.go = true;
	say(IMSG_START_GO_NTF, &ntf, sizeof(ntf), -1);
}

/* A frame of any type and octets, of the right length, perhaps. */
static void
say_any(const char *text)
{
	char payload[2048];
	size_t length = strlen(text), i;
	uint32_t type;

	if (length == 0)
		return;
	type = (uint32_t)*text & 63;
	for (i = 0; i < sizeof(payload); i++)
		payload[i] = text[i % length];
	if (length % 4 != 0 && wire_row(type) != NULL &&
	    wire_row(type)->size <= sizeof(payload))
		length = wire_row(type)->size;
	if (length > sizeof(payload))
		return;
	/* Of these it would think that they are there. */
	if (type >= IMSG_START_PEER_NTF && type <= IMSG_START_GO_NTF)
		length--;
	say(type, payload, length, type == IMSG_START_LOG_NTF ?
	    file_of("") : -1);
}

/* ---- steps ---- */

static void
take(char *line)
{
	switch (line[0]) {
	case 'C':
		tell_config(line + 1);
		break;
	case 'S':
		tell_secrets(line + 1);
		break;
	case 'L':
		tell_log(line + 1);
		break;
	case 'A':
		tell_listener(line + 1);
		break;
	case 'P':
		tell_peer(line + 1);
		break;
	case 'D':
		tell_down(line + 1);
		break;
	case 'x':
		neighbour_ends(line + 1);
		break;
	case 'G':
		tell_go(line + 1);
		break;
	case 'F':
		say(IMSG_START_FINISH_NTF, &(struct w_start_finish_ntf){ 1 },
		    sizeof(struct w_start_finish_ntf), -1);
		break;
	case '?':
		say_any(line + 1);
		break;
	case 'q':
		far_close(&play.postmaster);
		break;
	}
}

/* Whose link has ended without being reaped is missed; no other is. */
static void
check_missed(void)
{
	const struct neighbour *n;
	const struct neighbour_end *end;
	size_t i;

	for (i = 0; i < state.count; i++) {
		n = &state.neighbours[i];
		end = newest(n->peer->role->peer, n->instance);
		require(end != NULL && n->link == end->link);
		require(state.ending || event_pending(n->thrown_out,
		    EV_TIMEOUT, NULL) == (end->gone && !end->reaped &&
		    end->link == NULL));
	}
}

/* In place of the loop: what it is told while it runs. */
static int
run_played(struct event_base *base)
{
	unsigned int steps = 0;
	char *line;

	require(base == played_base() && play.begun && play.configured);
	require(play.go && play.up == play.count);
	require(play.listeners == 0);
	play.running = true;
	play.stopped = false;
	while (!play.stopped && play.in->left > 0 && steps++ < STEPS) {
		line = fuzz_line(play.in);
		take(line);
		free(line);
		played_turn(3);
		if (!play.stopped)
			check_missed();
	}
	far_close(&play.postmaster);
	played_turn(3);
	require(play.stopped && play.ended <= 1);
	return 0;
}

/* ---- the beginning and the end ---- */

/* Descriptors 3 and 4 are always taken, so that nothing else is there. */
static void
reserve(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	require(fd != -1 && dup2(fd, START_FD) == START_FD &&
	    dup2(fd, READY_FD) == READY_FD);
	if (fd > READY_FD)
		require(close(fd) == 0);
}

static void
begin(uint8_t who, struct fuzz_input *in)
{
	int near;

	memset(&play, 0, sizeof(play));
	memset(&state, 0, sizeof(state));
	play.in = in;
	play.ops = &kinds[who % (sizeof(kinds) / sizeof(kinds[0]))];
	near = far_open(&play.postmaster);
	/* It is read blocking at first. */
	require(fcntl(near, F_SETFL, 0) == 0);
	require(dup2(near, START_FD) == START_FD && close(near) == 0);
	near = eventfd(0, EFD_CLOEXEC);
	require(dup2(near, READY_FD) == READY_FD && close(near) == 0);
}

/* What postmaster hands over until it says go, or dies. */
static void
hand_over(void)
{
	unsigned int steps = 0;
	char *line;

	while (!play.go && play.in->left > 0 && steps++ < EARLY) {
		line = fuzz_line(play.in);
		take(line);
		free(line);
	}
	if (!play.go)
		far_close(&play.postmaster);
}

/* All that the process would leave to the system. */
static void
clear(void)
{
	size_t i;

	for (i = 0; i < state.count; i++) {
		if (state.neighbours[i].link != NULL)
			link_free(state.neighbours[i].link);
		event_free(state.neighbours[i].thrown_out);
	}
	if (state.log_again != NULL)
		event_free(state.log_again);
	if (state.start != NULL && !play.stopped)
		link_free(state.start);
	if (play.parsed != state.child.conf)
		conf_free(play.parsed);
	conf_free(state.child.conf);
	log_set_verbose(false);
	for (i = 0; i < play.count; i++)
		far_close(&play.ends[i].far);
	far_close(&play.postmaster);
	for (i = 0; i < HELD; i++)
		free(play.held[i]);
	free(play.secrets);
	reserve();
}

/* Its whole life; false if it has died. */
__attribute__((noinline))
static bool
live(void)
{
	static char name[] = "start", number[] = "0";
	char *argv[] = { name, number, NULL };

	if (setjmp(play.death) != 0)
		return false;
	require(child_main(2, argv, play.ops) == 0);
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t who = fuzz_byte(&in);
	uint64_t fds;
	bool died;
	int fd;

	reserve();
	(void)played_base();
	fds = fuzz_descriptors();
	begin(who, &in);
	hand_over();
	died = !live();
	clear();
	/* Frames that were kept have theirs. */
	for (fd = FIRST_FREE; died && fd < 64; fd++)
		if ((fds >> fd & 1) == 0)
			(void)close(fd);
	require(fuzz_descriptors() == fds);
	return 0;
}
