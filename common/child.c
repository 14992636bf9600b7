/*
 * The skeleton of a process: it takes what postmaster hands over the start
 * link, goes into its jail, says that it is ready and runs its loop.
 *
 * The start link is one-way: this side only ever reads it.  Its end is the
 * end of the process.  A link to a neighbour that ends without postmaster
 * having reaped that neighbour means that this process was thrown out: it
 * says so and exits, to be started afresh.
 */
#include <sys/mman.h>

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "clock.h"
#include "log.h"
#include "loop.h"
#include "secretfile.h"

#define START_FD	3
#define READY_FD	4
#define CONF_MAX	(64 * 1024 * 1024)	/* octets of configuration */
#define THROWN_OUT	(5 * SECOND)	/* until we believe it */

/* A link to a neighbour, and whether postmaster has said that it is down. */
struct neighbour {
	const struct child_peer *peer;
	struct link	*link;
	struct event	*thrown_out;
	uint32_t	 instance;
	bool		 down;
};

static struct {
	const struct child_ops *ops;
	struct child	 child;
	struct link	*start;
	struct event	*log_again;
	struct neighbour *neighbours;
	size_t		 count;
	char		 root[PATH_MAX];
	char		 hostname[WIRE_DOMAIN];
	bool		 go;
	bool		 ending;
} state;

/* ---- neighbours ---- */

static struct neighbour *
neighbour_find(uint64_t process, uint32_t instance)
{
	size_t i;

	for (i = 0; i < state.count; i++)
		if (state.neighbours[i].peer->role->peer == process &&
		    state.neighbours[i].instance == instance)
			return &state.neighbours[i];
	return NULL;
}

struct link *
child_link(enum process process, uint32_t n)
{
	size_t i;

	for (i = 0; i < state.count; i++)
		if (state.neighbours[i].peer->role->peer == process &&
		    state.neighbours[i].link != NULL && n-- == 0)
			return state.neighbours[i].link;
	return NULL;
}

static const struct child_peer *
peer_find(uint64_t process)
{
	const struct child_peer *peer;

	for (peer = state.ops->peers; peer->role != NULL; peer++)
		if (peer->role->peer == process)
			return peer;
	fatalx("postmaster links us to a stranger");
}

static struct neighbour *
neighbour_of(const struct link *link)
{
	size_t i;

	for (i = 0; i < state.count; i++)
		if (state.neighbours[i].link == link)
			return &state.neighbours[i];
	return NULL;
}

/* Each role's closed() comes here, with the child as its argument. */
void
child_link_closed(struct link *link, const char *why, void *arg)
{
	struct neighbour *n = neighbour_of(link);

	if (n == NULL)
		return;
	if (n->peer->lost != NULL)
		n->peer->lost(arg, link);
	n->link = NULL;
	/* Whom we have thrown out has to go, not we. */
	if (why == NULL && !n->down && !state.ending)
		loop_after(n->thrown_out, THROWN_OUT);
}

static void
on_thrown_out(int fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	fatalx("our link was closed by %s, which lives", (const char *)arg);
}

static struct neighbour *
neighbour_new(const struct child_peer *peer, uint32_t instance)
{
	struct neighbour *n;
	const char *name = wire_process(peer->role->peer);

	n = reallocarray(state.neighbours, state.count + 1, sizeof(*n));
	if (n == NULL)
		fatal("neighbours");
	state.neighbours = n;
	n = &state.neighbours[state.count++];
	memset(n, 0, sizeof(*n));
	n->peer = peer;
	n->instance = instance;
	n->thrown_out = event_new(state.child.base, -1, 0, on_thrown_out,
	    (void *)(uintptr_t)name);
	if (n->thrown_out == NULL)
		fatalx("no event");
	return n;
}

/* ---- what postmaster says ---- */

static void
on_start_config(struct link *link, struct frame *frame, void *arg)
{
	const struct w_start_config_ntf *ntf = frame->payload;
	const char *name;
	struct conf *conf;
	off_t size;
	char *text;

	(void)link;
	(void)arg;
	/* It may have kept pointers into the old one. */
	if (state.go && state.ops->reconfigured == NULL)
		fatalx("a new configuration for a process that takes none");
	size = lseek(frame->fd, 0, SEEK_END);
	if (size < 0 || size > CONF_MAX)
		fatal("the configuration's size");
	text = malloc((size_t)size + 1);
	if (text == NULL || pread(frame->fd, text, (size_t)size, 0) != size)
		fatal("reading the configuration");
	text[size] = '\0';
	conf = conf_parse("postmaster.cf", text, (size_t)size, NULL);
	free(text);
	if (conf->wrong != 0)
		fatalx("our part of the configuration cannot be parsed");
	conf_free(state.child.conf);
	state.child.conf = conf;
	state.child.generation = ntf->generation;
	if (!state.go)
		return;
	name = conf_string(conf_section(conf, "core", NULL), "hostname", NULL);
	if (name != NULL)
		strlcpy(state.hostname, name, sizeof(state.hostname));
	log_set_hostname(state.hostname);
	state.ops->reconfigured(&state.child);
}

static void
on_start_secrets(struct link *link, struct frame *frame, void *arg)
{
	const struct w_start_secrets_ntf *ntf = frame->payload;
	off_t size;
	char *text;

	(void)link;
	(void)arg;
	if (state.ops->secrets == NULL || state.go)
		fatalx("secrets for a process that wants none");
	size = lseek(frame->fd, 0, SEEK_END);
	if (size < 0 || size > SECRETFILE_MAX)
		fatal("the secrets' size");
	if ((text = malloc((size_t)size + 1)) == NULL ||
	    pread(frame->fd, text, (size_t)size, 0) != size)
		fatal("reading the secrets");
	state.ops->secrets(&state.child, ntf->refused ? NULL : text,
	    (size_t)size);
	explicit_bzero(text, (size_t)size);
	free(text);
}

static void
on_start_log(struct link *link, struct frame *frame, void *arg)
{
	const struct w_start_log_ntf *ntf = frame->payload;
	enum log_kind kind = ntf->kind == WIRE_LOG_SYSLOG ? LOG_TO_SYSLOG :
	    LOG_TO_FILE;

	(void)link;
	(void)arg;
	if (ntf->additional)
		log_to_named(ntf->name, frame->fd, kind, ntf->ident,
		    (int)ntf->facility);
	else
		log_to(frame->fd, kind, ntf->ident, (int)ntf->facility,
		    state.hostname, ntf->copy_to_stderr != 0);
	frame->fd = -1;
	log_set_verbose(ntf->verbose != 0);
}

static void
on_start_listener(struct link *link, struct frame *frame, void *arg)
{
	(void)link;
	(void)arg;
	if (state.ops->listener == NULL)
		fatalx("a listener for a process that accepts nothing");
	state.ops->listener(&state.child, frame->fd, frame->payload);
	frame->fd = -1;
}

static void
on_start_peer(struct link *link, struct frame *frame, void *arg)
{
	const struct w_start_peer_ntf *ntf = frame->payload;
	const struct child_peer *peer = peer_find(ntf->process);
	struct neighbour *n;

	(void)link;
	(void)arg;
	n = neighbour_find(peer->role->peer, ntf->instance);
	if (n == NULL)
		n = neighbour_new(peer, ntf->instance);
	if (n->link != NULL)
		link_close(n->link);
	event_del(n->thrown_out);
	n->down = false;
	n->link = link_new(state.child.base, frame->fd, peer->role,
	    &state.child);
	frame->fd = -1;
	link_set_instance(n->link, ntf->instance);
	if (peer->up != NULL)
		peer->up(&state.child, n->link, ntf);
}

static void
on_start_peer_down(struct link *link, struct frame *frame, void *arg)
{
	const struct w_start_peer_down_ntf *ntf = frame->payload;
	struct neighbour *n;

	(void)link;
	(void)arg;
	n = neighbour_find(ntf->process, ntf->instance);
	if (n == NULL)
		return;
	n->down = true;
	event_del(n->thrown_out);
}

static void
on_start_go(struct link *link, struct frame *frame, void *arg)
{
	const struct w_start_go_ntf *ntf = frame->payload;

	(void)link;
	(void)arg;
	if (state.child.conf == NULL)
		fatalx("told to go without a configuration");
	state.child.workers = (uint32_t)ntf->workers;
	state.child.uid = ntf->uid;
	state.child.gid = ntf->gid;
	state.child.rootless = ntf->rootless != 0;
	memcpy(state.root, ntf->root, sizeof(ntf->root));
	memcpy(state.hostname, ntf->hostname, sizeof(ntf->hostname));
	log_set_hostname(state.hostname);
	state.go = true;
}

static void
on_start_finish(struct link *link, struct frame *frame, void *arg)
{
	(void)link;
	(void)frame;
	(void)arg;
	if (!state.go)
		fatalx("told to finish before the start");
	if (state.ops->finish != NULL)
		state.ops->finish(&state.child);
	else
		loop_stop(0);
}

/* postmaster has closed the start link: the suite ends. */
static void
on_start_closed(struct link *link, const char *why, void *arg)
{
	(void)link;
	(void)why;
	(void)arg;
	state.ending = true;
	if (state.ops->end != NULL)
		state.ops->end(&state.child);
	loop_stop(0);
}

static const struct link_handler start_handlers[] = {
	{ IMSG_START_CONFIG_NTF, on_start_config },
	{ IMSG_START_SECRETS_NTF, on_start_secrets },
	{ IMSG_START_LOG_NTF, on_start_log },
	{ IMSG_START_LISTENER_NTF, on_start_listener },
	{ IMSG_START_PEER_NTF, on_start_peer },
	{ IMSG_START_PEER_DOWN_NTF, on_start_peer_down },
	{ IMSG_START_GO_NTF, on_start_go },
	{ IMSG_START_FINISH_NTF, on_start_finish },
	{ IMSG_NONE, NULL }
};

/* ---- the start ---- */

/* A frame that arrived before GO and needs the process to be ready first. */
struct early {
	struct frame	 frame;
	char		 payload[2048];
};

static bool
needs_go(uint32_t type)
{
	return type == IMSG_START_LISTENER_NTF ||
	    type == IMSG_START_PEER_NTF || type == IMSG_START_PEER_DOWN_NTF;
}

static void
handle(struct frame *frame)
{
	const struct link_handler *h;

	for (h = start_handlers; h->type != IMSG_NONE; h++)
		if (h->type == frame->type)
			break;
	if (h->type == IMSG_NONE)
		fatalx("%s at the start", wire_name(frame->type));
	h->fn(NULL, frame, NULL);
	if (frame->fd != -1)
		close(frame->fd);
}

/* Read until GO; what needs it is kept in *kept and counted. */
static size_t
read_start(struct early **kept)
{
	struct early *early = NULL;
	struct frame frame;
	const char *why;
	size_t count = 0;

	while (!state.go) {
		if (link_read_blocking(START_FD, state.ops->self,
		    PROC_POSTMASTER, &frame, -1, &why) == -1) {
			fprintf(stderr, "%s: the start link: %s\n",
			    wire_process(state.ops->self), why);
			exit(1);
		}
		if (!needs_go(frame.type)) {
			handle(&frame);
			continue;
		}
		early = reallocarray(early, count + 1, sizeof(*early));
		if (early == NULL)
			fatal("the start");
		early[count].frame = frame;
		memcpy(early[count].payload, frame.payload,
		    wire_row(frame.type)->size);
		count++;
	}
	*kept = early;
	return count;
}

static void
handle_early(struct early *early, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		early[i].frame.payload = early[i].payload;
		handle(&early[i].frame);
	}
	free(early);
}

/* What a full disk does not take now is tried again, busy or not. */
static void
write_log(void *unused)
{
	(void)unused;
	log_flush();
	if (log_waiting() && !event_pending(state.log_again, EV_TIMEOUT, NULL))
		loop_after(state.log_again, SECOND);
}

static void
on_log_again(int fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	(void)arg;		/* the end of this turn writes */
}

static int
run(void)
{
	static const struct link_role role = {
		.peer = PROC_POSTMASTER, .handlers = start_handlers,
		.closed = on_start_closed
	};
	static struct link_role start_role;
	struct early *early;
	uint64_t one = 1;
	size_t count;

	count = read_start(&early);
	state.child.root = state.root;
	state.child.hostname = state.hostname;
	state.child.base = loop_new();
	state.log_again = event_new(state.child.base, -1, 0, on_log_again,
	    NULL);
	if (state.log_again == NULL)
		fatalx("no event");
	loop_add_hook(LOOP_LOGS, write_log, NULL);
	start_role = role;
	start_role.self = state.ops->self;
	state.start = link_new(state.child.base, START_FD, &start_role, NULL);
	if (state.ops->before_jail != NULL)
		state.ops->before_jail(&state.child);
	if (state.ops->jail != JAIL_MAX)
		jail_enter(state.ops->jail, state.child.uid, state.child.gid,
		    state.root, state.child.rootless);
	if (state.ops->begin != NULL)
		state.ops->begin(&state.child);
	handle_early(early, count);
	if (write(READY_FD, &one, sizeof(one)) == -1)
		log_errno(LOG_WARNING, "start", "telling that we are ready");
	close(READY_FD);
	return loop_run(state.child.base);
}

/* -n: complain of what is wrong in the part that comes on standard input. */
static int
check(void)
{
	struct conf *conf;
	size_t length = 0, size = 0;
	char *text = NULL;
	ssize_t n;
	int status;

	do {
		if (length == size) {
			size = size > 0 ? size * 2 : 65536;
			if (size > CONF_MAX ||
			    (text = realloc(text, size)) == NULL)
				fatalx("too much configuration");
		}
		n = read(STDIN_FILENO, text + length, size - length);
		if (n == -1 && errno != EINTR)
			fatal("reading the configuration");
		if (n > 0)
			length += (size_t)n;
	} while (n != 0);
	conf = conf_parse("postmaster.cf", text, length, stdout);
	free(text);
	if (conf->wrong == 0 && state.ops->check != NULL)
		state.ops->check(conf);
	fflush(stdout);
	status = conf->wrong > 0 ? 1 : conf->lacking > 0 ? 2 : 0;
	conf_free(conf);
	return status;
}

int
child_main(int argc, char **argv, const struct child_ops *ops)
{
	const char *error;

	state.ops = ops;
	tzset();
	log_start(argv[0], false);
	if (argc == 2 && strcmp(argv[1], "-n") == 0) {
		log_start(argv[0], true);
		return check();
	}
	if (argc != 2) {
		fprintf(stderr, "%s is started by postmaster(8)\n",
		    wire_process(ops->self));
		return 64;
	}
	state.child.instance = (uint32_t)strtonum(argv[1], 0, 65535, &error);
	if (error != NULL) {
		fprintf(stderr, "%s: instance %s is %s\n",
		    wire_process(ops->self), argv[1], error);
		return 64;
	}
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	return run();
}
