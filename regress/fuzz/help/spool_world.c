/*
 * Stands for main.c and child.c of spoold as well: its settings, its links,
 * its tick.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

#include "../fuzz.h"
#include "conf.h"
#include "log.h"
#include "loop.h"
#include "spool_world.h"

#define ASKED		2048

struct world world;

static struct {
	bool		 begun;
	struct child	 child;
	struct settings	 settings;
	struct conf	*conf;
	int		 listener;
	struct sockaddr_un address;
	socklen_t	 address_length;
	int64_t		 jumped;
} own;

static const struct child_peer
    smtpd_peer = { &smtpd_role, smtpd_up, smtpd_lost },
    policyd_peer = { &policyd_role, policyd_up, NULL },
    relay_peer = { &relay_role, relay_up, relay_lost },
    deliver_peer = { &deliver_role, deliver_up, NULL };

/* ---- main.c and child.c ---- */

const struct settings *
settings(void)
{
	return &own.settings;
}

const struct conf *
spoold_conf(void)
{
	return own.conf;
}

struct event_base *
spoold_base(void)
{
	return played_base();
}

struct link *
child_link(enum process process, uint32_t nth)
{
	size_t i;

	for (i = 0; i < NEIGHBOURS; i++)
		if (world.all[i].self == process && world.all[i].link != NULL
		    && nth-- == 0)
			return world.all[i].link;
	return NULL;
}

void
child_link_closed(struct link *link, const char *why, void *arg)
{
	size_t i;

	(void)why;
	for (i = 0; i < NEIGHBOURS; i++)
		if (world.all[i].peer != NULL && world.all[i].link == link)
			break;
	require(i < NEIGHBOURS);
	if (world.all[i].peer->lost != NULL)
		world.all[i].peer->lost(arg, link);
	world.all[i].link = NULL;
}

static void
tick(void)
{
	int64_t now = clock_now(), monotonic = clock_monotonic();

	reserve_tick(monotonic);
	queue_tick(now);
	user_tick(monotonic);
	control_tick(monotonic);
	idle_tick(monotonic);
	(void)careful_tick(monotonic);
}

/* ---- the beginning ---- */

static void
make_control(void)
{
	static const struct w_start_listener_ntf ntf;

	own.address.sun_family = AF_UNIX;
	(void)snprintf(own.address.sun_path + 1,
	    sizeof(own.address.sun_path) - 1, "postmaster-fuzz.%ld",
	    (long)getpid());
	own.address_length = (socklen_t)(offsetof(struct sockaddr_un,
	    sun_path) + 1 + strlen(own.address.sun_path + 1));
	own.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	require(own.listener != -1 && bind(own.listener,
	    (struct sockaddr *)&own.address, own.address_length) == 0 &&
	    listen(own.listener, 8) == 0);
	control_listener(&own.child, own.listener, &ntf);
}

static void
name(struct neighbour *n, char letter, enum process self, uint32_t instance,
    const struct child_peer *peer)
{
	n->letter = letter;
	n->self = self;
	n->instance = instance;
	n->peer = peer;
	n->far.fd = -1;
	n->asked = fuzz_need(calloc(ASKED, sizeof(*n->asked)));
}

static void
name_all(void)
{
	size_t i;

	name(&world.smtpd, 'S', PROC_SMTPD, 1, &smtpd_peer);
	name(&world.local, 'L', PROC_SMTPD, 0, &smtpd_peer);
	name(&world.policyd, 'P', PROC_POLICYD, 0, &policyd_peer);
	name(&world.relay, 'R', PROC_RELAY, 1, &relay_peer);
	name(&world.sockets, 'U', PROC_RELAY, 0, &relay_peer);
	name(&world.deliver, 'D', PROC_DELIVER, 0, &deliver_peer);
	name(&world.command, 'C', PROC_CTL, 0, NULL);
	name(&world.other, 'X', PROC_CTL, 0, NULL);
	for (i = 0; i < WORKERS; i++)
		name(&world.workers[i], (char)('a' + i), PROC_WORKER, 0,
		    NULL);
}

static void
start(void)
{
	static const char text[] = "[relay \"hub\"]\nname hub.test\n"
	    "[relay \"slow\"]\nname slow.test\nrate 2/1m\n"
	    "[relay \"sock\"]\nname /run/lmtp\nprotocol lmtp\n";

	log_set_verbose(false);
	own.conf = conf_parse("fuzz", text, strlen(text), NULL);
	require(own.conf->wrong == 0);
	own.settings = (struct settings){ .retry_min = MINUTE,
	    .retry_max = HOUR, .expire = 5 * DAY, .delay_notice = 4 * HOUR,
	    .bounce_expire = DAY, .window = 8, .operators = (gid_t)-1,
	    .hostname = "mx.test" };
	own.child.base = played_base();
	own.child.conf = own.conf;
	body_make_directories();
	db_open();
	ledger_start();
	careful_start();
	attempt_start();
	batch_start();
	purge_start();
	queue_start();
	idle_start();
	lease_start();
	make_control();
	played_turn(2);
}

void
world_begin(void)
{
	machine_enter();
	track_begin();
	syncers_begin();
	if (!own.begun) {
		name_all();
		start();
	}
	own.begun = true;
}

void
world_end(void)
{
	world_jump(-own.jumped);
	machine_leave();
}

bool
world_is_empty(void)
{
	return ledger_totals()->messages == 0 && queue_size() == 0 &&
	    batch_idle();
}

void
world_pass(int64_t time)
{
	played_pass(time);
	tick();
	played_turn(4);
}

void
world_jump(int64_t time)
{
	if (time == 0)
		return;
	own.jumped += time;
	played_jump(time);
	ledger_clock_jumped();
	queue_rescan();
	tick();
	played_turn(4);
}

/* It is answered, or there is nobody to answer it. */
static void
forget(struct neighbour *n, size_t which)
{
	struct asked *asked = &n->asked[which];
	size_t i;

	if (asked->type == IMSG_JOB_DELIVER_REQ)
		note_back(asked->about, asked->row);
	for (i = 0; i < asked->row_count; i++)
		note_back(asked->about, asked->rows[i]);
	memmove(asked, asked + 1, (--n->count - which) * sizeof(*asked));
}

/* ---- up and down ---- */

struct neighbour *
neighbour_of_letter(char letter)
{
	size_t i;

	for (i = 0; i < NEIGHBOURS; i++)
		if (world.all[i].letter == letter)
			return &world.all[i];
	for (i = 0; i < WORKERS; i++)
		if (world.workers[i].letter == letter)
			return &world.workers[i];
	return NULL;
}

/* A command has no end that we see; that it is there shows all the same. */
static struct link *
unseen(struct neighbour *n)
{
	return (struct link *)n;
}

static void
connect_command(struct neighbour *n, char user)
{
	static const uint32_t uids[] = { 0, 1000, 2000, 3000 };

	machine_connect_as(uids[(unsigned char)user % 4]);
	memset(&n->far, 0, sizeof(n->far));
	n->far.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	require(n->far.fd != -1 && connect(n->far.fd,
	    (struct sockaddr *)&own.address, own.address_length) == 0);
	n->link = unseen(n);
	played_turn(2);
}

void
neighbour_up(struct neighbour *n, char user)
{
	struct w_start_peer_ntf ntf = { .process = n->self,
	    .instance = n->instance, .may_claim_local = n == &world.local };

	if (n->link != NULL || n->far.fd != -1 || n->self == PROC_WORKER)
		return;
	n->count = n->row_count = 0;
	n->next_id = n->message = 0;
	if (n->self == PROC_CTL) {
		connect_command(n, user);
		return;
	}
	n->link = link_new(played_base(), far_open(&n->far), n->peer->role,
	    &own.child);
	link_set_instance(n->link, n->instance);
	n->peer->up(&own.child, n->link, &ntf);
	played_turn(2);
}

/* It is gone, or spoold has thrown it out. */
static void
bury(struct neighbour *n)
{
	while (n->count > 0)
		forget(n, 0);
	far_close(&n->far);
	if (n->peer == NULL)
		n->link = NULL;
}

void
neighbour_down(struct neighbour *n)
{
	bury(n);
	played_turn(3);
	require(n->link == NULL);
}

int
open_worker(void)
{
	size_t i;

	for (i = 0; i < WORKERS; i++)
		if (world.workers[i].far.fd == -1) {
			world.workers[i].link = unseen(&world.workers[i]);
			return far_open(&world.workers[i].far);
		}
	return -1;
}

void
world_up(void)
{
	size_t i;

	for (i = 0; i < NEIGHBOURS; i++)
		if (world.all[i].peer != NULL)
			neighbour_up(&world.all[i], '0');
	world_hear();
}

void
world_down(void)
{
	size_t i;

	for (i = 0; i < NEIGHBOURS; i++)
		neighbour_down(&world.all[i]);
	for (i = 0; i < WORKERS; i++)
		neighbour_down(&world.workers[i]);
	played_turn(4);
	require(user_count() == 0 && queue_size() == 0);
}

/* ---- what is heard ---- */

/* A body in a file is as large as it is said to be, and can be read only. */
static void
check_file(int fd, uint64_t size)
{
	struct stat st;

	require(fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    (uint64_t)st.st_size == size);
	require((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY);
}

static void
take_job(struct asked *asked, const char *contents, int fd)
{
	struct w_job_deliver_req job;

	memcpy(&job, contents, sizeof(job));
	asked->row = job.recipient;
	note_out(job.id, job.recipient);
	require((fd != -1) == (job.body_in_file != 0));
	if (fd != -1)
		check_file(fd, job.size);
}

static void
take_transaction(struct neighbour *n, struct asked *asked,
    const char *contents, int fd)
{
	struct w_relay_deliver_req req;
	size_t i;

	memcpy(&req, contents, sizeof(req));
	require(req.transaction == n->number && req.recipients > 0 &&
	    req.recipients == n->row_count);
	asked->number = req.transaction;
	asked->about = req.id;
	asked->row_count = n->row_count;
	memcpy(asked->rows, n->rows, sizeof(n->rows));
	n->row_count = 0;
	for (i = 0; i < asked->row_count; i++)
		note_out(req.id, asked->rows[i]);
	require((fd != -1) == (req.body_in_file != 0));
	if (fd != -1)
		check_file(fd, req.size);
}

static void
take_request(struct neighbour *n, const struct frame_header *header,
    const char *contents, int fd)
{
	struct w_route_resolve_req req;
	struct asked *asked = &n->asked[n->count];

	require(n->count < ASKED && header->id != 0);
	memset(asked, 0, sizeof(*asked));
	asked->type = header->type;
	asked->id = header->id;
	memcpy(&asked->about, contents, sizeof(asked->about));
	if (header->type == IMSG_JOB_DELIVER_REQ)
		take_job(asked, contents, fd);
	else if (header->type == IMSG_RELAY_DELIVER_REQ)
		take_transaction(n, asked, contents, fd);
	else if (header->type == IMSG_ROUTE_RESOLVE_REQ) {
		memcpy(&req, contents, sizeof(req));
		require(fuzz_is_printable(req.client.helo));
		asked->row = req.recipient;
		memcpy(asked->text, req.address, sizeof(asked->text));
		note_asked(req.id, req.recipient);
	}
	n->count++;
}

static void
take_rcpt(struct neighbour *n, const char *contents)
{
	struct w_relay_rcpt_ntf ntf;

	memcpy(&ntf, contents, sizeof(ntf));
	require(n->row_count == 0 || ntf.transaction == n->number);
	require(n->row_count < ROWS_OUT);
	n->number = ntf.transaction;
	n->rows[n->row_count++] = ntf.recipient;
}

static void
take_notice(struct neighbour *n, uint32_t type, const char *contents)
{
	struct w_txn_lease_ntf lease;
	struct w_txn_commit_ans ans;

	switch (type) {
	case IMSG_TXN_LEASE_NTF:
		memcpy(&lease, contents, sizeof(lease));
		require(lease.count > 0);
		if (n->next_id == 0)
			n->next_id = lease.first;
		break;
	case IMSG_TXN_COMMIT_ANS:
		memcpy(&ans, contents, sizeof(ans));
		if (ans.verdict == TXN_OK)
			note_stored(ans.id);
		break;
	case IMSG_RELAY_RCPT_NTF:
		take_rcpt(n, contents);
		break;
	}
}

static void
hear(struct neighbour *n)
{
	struct frame_header header;
	const struct wire_row *row;
	const char *contents;
	int fd;

	while (n->far.fd != -1 && far_next(&n->far, &header, &contents,
	    &fd)) {
		row = wire_row(header.type);
		require(row != NULL && wire_check(PROC_SPOOLD, n->self,
		    header.type, header.id, contents, header.length,
		    fd != -1) == NULL);
		if (row->answer != IMSG_NONE)
			take_request(n, &header, contents, fd);
		else
			take_notice(n, header.type, contents);
		if (fd != -1)
			require(close(fd) == 0);
	}
	if (n->far.fd != -1 && n->far.ended)
		bury(n);
}

void
world_hear(void)
{
	size_t i;

	played_turn(4);
	for (i = 0; i < NEIGHBOURS; i++)
		hear(&world.all[i]);
	for (i = 0; i < WORKERS; i++)
		hear(&world.workers[i]);
}

/* ---- what is said ---- */

void
say_to(struct neighbour *n, uint32_t type, uint32_t id, const void *contents,
    size_t length)
{
	far_say(&n->far, type, id, contents, length, -1);
	played_turn(2);
}

void
ask_to(struct neighbour *n, uint32_t type, uint64_t about,
    const void *contents, size_t length)
{
	(void)about;
	say_to(n, type, ++n->last_ask, contents, length);
}

void
answer_to(struct neighbour *n, size_t which, uint32_t type,
    const void *payload, size_t size, const void *tail, size_t length, int fd)
{
	char *contents = fuzz_need(malloc(size + length + 1));
	uint32_t id = n->asked[which].id;

	memcpy(contents, payload, size);
	if (length > 0)
		memcpy(contents + size, tail, length);
	forget(n, which);
	far_say(&n->far, type, id, contents, size + length, fd);
	free(contents);
	played_turn(2);
}

/* A result, if it happens to be one. */
static void
follow_result(struct neighbour *n, const void *contents)
{
	struct w_relay_result_ntf ntf;
	struct asked *asked;
	size_t i, j;

	memcpy(&ntf, contents, sizeof(ntf));
	for (i = 0; i < n->count; i++) {
		asked = &n->asked[i];
		if (asked->number != ntf.transaction)
			continue;
		for (j = 0; j < asked->row_count; j++)
			if (asked->rows[j] == ntf.recipient)
				break;
		if (j == asked->row_count)
			return;
		asked->rows[j] = asked->rows[--asked->row_count];
		note_back(asked->about, ntf.recipient);
		if (ntf.verdict == RELAY_DONE)
			note_done(asked->about, ntf.recipient);
	}
}

void
say_unasked(struct neighbour *n, uint32_t type, uint32_t id,
    const void *contents, size_t length)
{
	struct w_job_deliver_ans job;

	if (type == IMSG_RELAY_RESULT_NTF)
		follow_result(n, contents);
	if (n->count > 0 && wire_request(type) == n->asked[0].type) {
		if (type == IMSG_JOB_DELIVER_ANS) {
			memcpy(&job, contents, sizeof(job));
			if (job.verdict == JOB_DONE)
				note_done(n->asked[0].about, n->asked[0].row);
		}
		forget(n, 0);
	}
	say_to(n, type, id, contents, length);
}

/* May it say this to spoold, without a descriptor? */
static bool
may_say(const struct neighbour *n, uint32_t type)
{
	const struct wire_row *row = wire_row(type);

	return (row->senders & (1U << n->self)) != 0 &&
	    (row->receivers & (1U << PROC_SPOOLD)) != 0 &&
	    row->fd != FD_ALWAYS;
}

const struct wire_row *
row_for(const struct neighbour *n, uint8_t which, uint32_t *type)
{
	uint32_t count = 0, i;

	for (i = IMSG_NONE + 1; i < IMSG_MAX; i++)
		count += may_say(n, i);
	for (*type = IMSG_NONE + 1; *type < IMSG_MAX; ++*type)
		if (may_say(n, *type) && which-- % count == 0)
			return wire_row(*type);
	return NULL;
}

size_t
make_targets(const char *text, char *tail, uint32_t *count, uint32_t *more)
{
	struct w_target target;
	size_t length = 0, n;

	*count = *more = 0;
	for (; *text != '\0'; text += n + (text[n] == ',')) {
		n = strcspn(text, ",");
		if (n == 1 && *text == '+')
			*more = 1;
		if (n == 0 || (n == 1 && *text == '+') || n >= WIRE_TARGET ||
		    length + sizeof(target) + n + 1 > TARGETS_MAX)
			continue;
		target.length = (uint32_t)n + 1;
		target.kind = *text == '>' ? TARGET_MEMBER :
		    strchr("\\|/", *text) != NULL ? TARGET_FORWARD :
		    TARGET_ROUTED;
		memcpy(tail + length, &target, sizeof(target));
		memcpy(tail + length + sizeof(target), text, n);
		length += sizeof(target) + n;
		tail[length++] = '\0';
		++*count;
	}
	return length;
}
