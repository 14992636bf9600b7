/*
 * Stands in for postmaster, policyd and spoold around one real process of
 * smtpd, and keeps what that hands over in files.
 *
 *   standin SMTPD CONFIGURATION DIRECTORY [UID GID ROOT]
 *
 * Every [smtpd] of the configuration gets a socket on a free port of
 * 127.0.0.1, and DIRECTORY/submit is the local socket; each is told in a line
 * "listener NAME PORT", then comes "ready PID".  A line on standard input is
 * obeyed and answered "ok"; the end of standard input ends everything.
 *
 * What policyd answers is in a recipient's local part (see verdicts[]), what
 * spoold answers in the sender's (see commit_verdict()).  The messages taken
 * are DIRECTORY/1, 2, ... with their envelopes in 1.envelope and so on.
 */
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "link.h"
#include "log.h"
#include "loop.h"
#include "regress/standin/start.h"

#define LEASE_FIRST	(UINT64_C(1) << 60)
#define HELD_MAX	512

struct message {
	TAILQ_ENTRY(message) entry;
	uint64_t	 id;
	char		*envelope;
	size_t		 length;
	FILE		*text;		/* of the envelope */
	FILE		*body;
	char		 sender[WIRE_ADDRESS];
	int		 pieces;
};

/* An answer that is held back. */
struct held {
	struct link	*link;
	enum imsg_type	 type;
	uint32_t	 id;
	struct w_txn_commit_ans ans;	/* a body's looks the same */
};

static struct {
	struct event_base *base;
	const char	*directory;
	struct started	 smtpd;
	struct link	*links[PROC_MAX];
	uint64_t	 lease;
	bool		 takes_mail;
	bool		 holding;
	struct held	 held[HELD_MAX];
	size_t		 held_count;
	int		 stored;
	uint32_t	 uid, gid;
	const char	*root;		/* NULL: without root */
	TAILQ_HEAD(, message) messages;
} state = { .takes_mail = true, .lease = LEASE_FIRST,
	.messages = TAILQ_HEAD_INITIALIZER(state.messages) };

static const struct { const char *name; enum rcpt_verdict verdict; }
verdicts[] = {
	{ "unknown", RCPT_UNKNOWN_USER },
	{ "domain", RCPT_UNKNOWN_DOMAIN },
	{ "relay", RCPT_RELAYING_DENIED },
	{ "bad", RCPT_BAD_ADDRESS },
	{ "reject", RCPT_REFUSED },
	{ "lookup", RCPT_LOOKUP_FAILED },
	{ "loop", RCPT_MISCONFIGURED },
};

/* ---- policyd ---- */

static void
on_rcpt_check(struct link *link, struct frame *frame, void *arg)
{
	const struct w_rcpt_check_req *req = frame->payload;
	struct w_rcpt_check_ans ans;
	size_t i;

	(void)arg;
	memset(&ans, 0, sizeof(ans));
	ans.session = req->session;
	ans.verdict = RCPT_ACCEPT;
	for (i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++)
		if (strncmp(req->recipient, verdicts[i].name,
		    strlen(verdicts[i].name)) == 0)
			ans.verdict = verdicts[i].verdict;
	if (ans.verdict == RCPT_REFUSED) {
		ans.code = 550;
		snprintf(ans.text, sizeof(ans.text), "5.7.99 not you");
	}
	link_answer(link, IMSG_RCPT_CHECK_ANS, frame->id, &ans, NULL, 0, -1);
}

/* ---- spoold ---- */

static struct message *
message_find(uint64_t id)
{
	struct message *message;

	TAILQ_FOREACH(message, &state.messages, entry)
		if (message->id == id)
			return message;
	fatalx("no transaction %llu", (unsigned long long)id);
}

static void
message_free(struct message *message)
{
	TAILQ_REMOVE(&state.messages, message, entry);
	fclose(message->text);
	fclose(message->body);
	free(message->envelope);
	free(message);
}

static void
on_txn_open(struct link *link, struct frame *frame, void *arg)
{
	const struct w_txn_open_ntf *ntf = frame->payload;
	struct message *message = calloc(1, sizeof(*message));

	(void)link;
	(void)arg;
	if (message == NULL || (message->body = tmpfile()) == NULL ||
	    (message->text = open_memstream(&message->envelope,
	    &message->length)) == NULL)
		fatal("message");
	message->id = ntf->id;
	memcpy(message->sender, ntf->sender, sizeof(message->sender));
	fprintf(message->text, "from=%s\nstanding=%d uid=%d listener=%s\n"
	    "helo=%s esmtp=%d body=%d ret=%d envid=%s\n", ntf->sender,
	    ntf->client.standing, (int)ntf->client.uid, ntf->client.listener,
	    ntf->client.helo, ntf->client.esmtp, ntf->body, ntf->ret,
	    ntf->envid);
	TAILQ_INSERT_TAIL(&state.messages, message, entry);
}

static void
on_txn_rcpt(struct link *link, struct frame *frame, void *arg)
{
	const struct w_txn_rcpt_ntf *ntf = frame->payload;

	(void)link;
	(void)arg;
	fprintf(message_find(ntf->id)->text, "to=%s notify=%u orcpt=%s\n",
	    ntf->address, ntf->notify, ntf->orcpt);
}

static void
answer(struct link *link, enum imsg_type type, uint32_t id,
    const struct w_txn_commit_ans *ans)
{
	struct held *held;

	if (!state.holding) {
		link_answer(link, type, id, ans, NULL, 0, -1);
		return;
	}
	if (state.held_count == HELD_MAX)
		fatalx("too many answers held");
	held = &state.held[state.held_count++];
	held->link = link;
	held->type = type;
	held->id = id;
	held->ans = *ans;
}

/* What a transaction comes to is in its sender's local part. */
static uint64_t
commit_verdict(const struct message *message)
{
	if (strncmp(message->sender, "nospace", 7) == 0)
		return TXN_NO_SPACE;
	return strncmp(message->sender, "fail", 4) == 0 ? TXN_FAILED : TXN_OK;
}

static void
on_txn_body(struct link *link, struct frame *frame, void *arg)
{
	const struct w_txn_body_req *req = frame->payload;
	struct message *message = message_find(req->id);
	struct w_txn_commit_ans ans = { .id = req->id, .verdict = TXN_OK };

	(void)arg;
	if (ftello(message->body) != (off_t)req->offset)
		fatalx("a piece is out of its place");
	fwrite(frame->tail, 1, frame->tail_length, message->body);
	message->pieces++;
	if (strncmp(message->sender, "nopiece", 7) == 0)
		ans.verdict = TXN_NO_SPACE;
	answer(link, IMSG_TXN_BODY_ANS, frame->id, &ans);
}

static void
save(const char *suffix, FILE *from, const char *text)
{
	char path[512], part[65536];
	size_t n;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%d%s", state.directory, state.stored,
	    suffix);
	if ((file = fopen(path, "w")) == NULL)
		fatal("%s", path);
	if (text != NULL)
		fputs(text, file);
	if (from != NULL) {
		rewind(from);
		while ((n = fread(part, 1, sizeof(part), from)) > 0)
			fwrite(part, 1, n, file);
	}
	fclose(file);
}

static void
on_txn_commit(struct link *link, struct frame *frame, void *arg)
{
	const struct w_txn_commit_req *req = frame->payload;
	struct message *message = message_find(req->id);
	struct w_txn_commit_ans ans = { .id = req->id };

	(void)arg;
	fwrite(frame->tail, 1, frame->tail_length, message->body);
	if (ftello(message->body) != (off_t)req->size)
		fatalx("the size is wrong");
	ans.verdict = commit_verdict(message);
	if (ans.verdict == TXN_OK) {
		state.stored++;
		fprintf(message->text, "size=%llu streamed=%s\n",
		    (unsigned long long)req->size,
		    message->pieces > 0 ? "yes" : "no");
		fflush(message->text);
		save("", message->body, NULL);
		save(".envelope", NULL, message->envelope);
	}
	message_free(message);
	answer(link, IMSG_TXN_COMMIT_ANS, frame->id, &ans);
}

static void
on_txn_abort(struct link *link, struct frame *frame, void *arg)
{
	const struct w_txn_abort_ntf *ntf = frame->payload;

	(void)link;
	(void)arg;
	message_free(message_find(ntf->id));
}

static void
tell_state(void)
{
	struct w_txn_state_ntf ntf = { .takes_mail = state.takes_mail };

	if (state.links[PROC_SPOOLD] != NULL)
		link_tell(state.links[PROC_SPOOLD], IMSG_TXN_STATE_NTF, &ntf,
		    NULL, 0, -1);
}

static void
tell_lease(void)
{
	struct w_txn_lease_ntf ntf = { .first = state.lease,
	    .count = WIRE_LEASE };

	state.lease += WIRE_LEASE;
	link_tell(state.links[PROC_SPOOLD], IMSG_TXN_LEASE_NTF, &ntf, NULL, 0,
	    -1);
}

/* ---- links ---- */

static void
closed(struct link *link, const char *why, void *arg)
{
	size_t i;

	(void)arg;
	for (i = 0; i < PROC_MAX; i++)
		if (state.links[i] == link)
			state.links[i] = NULL;
	if (why != NULL)
		fatalx("smtpd broke the rules: %s", why);
}

static const struct link_handler policyd_handlers[] = {
	{ IMSG_RCPT_CHECK_REQ, on_rcpt_check },
	{ IMSG_NONE, NULL }
};

static const struct link_handler spoold_handlers[] = {
	{ IMSG_TXN_OPEN_NTF, on_txn_open },
	{ IMSG_TXN_RCPT_NTF, on_txn_rcpt },
	{ IMSG_TXN_BODY_REQ, on_txn_body },
	{ IMSG_TXN_COMMIT_REQ, on_txn_commit },
	{ IMSG_TXN_ABORT_NTF, on_txn_abort },
	{ IMSG_NONE, NULL }
};

static const struct link_role roles[] = {
	{ .self = PROC_POLICYD, .peer = PROC_SMTPD,
	    .handlers = policyd_handlers, .closed = closed },
	{ .self = PROC_SPOOLD, .peer = PROC_SMTPD,
	    .handlers = spoold_handlers, .closed = closed },
};

static void
link_up(const struct link_role *role)
{
	struct w_start_peer_ntf ntf = { .process = role->self };

	state.links[role->self] = link_new(state.base,
	    start_link(&state.smtpd, &ntf), role, NULL);
	if (role->self == PROC_SPOOLD) {
		tell_lease();
		tell_state();
		/* Before clients come. */
		link_flush(state.links[role->self]);
	}
}

static void
link_down(const struct link_role *role)
{
	struct w_start_peer_down_ntf ntf = { .process = role->self };

	start_tell(&state.smtpd, IMSG_START_PEER_DOWN_NTF, &ntf, -1);
	if (state.links[role->self] != NULL)
		link_free(state.links[role->self]);
	state.links[role->self] = NULL;
	while (role->self == PROC_SPOOLD && !TAILQ_EMPTY(&state.messages))
		message_free(TAILQ_FIRST(&state.messages));
	if (role->self == PROC_SPOOLD)
		state.held_count = 0;
}

/* ---- the start ---- */

static void
tell_log(void)
{
	struct w_start_log_ntf ntf = { .kind = WIRE_LOG_FILE, .verbose = 1 };
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/log", state.directory);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd == -1)
		fatal("%s", path);
	snprintf(ntf.name, sizeof(ntf.name), "log");
	start_tell(&state.smtpd, IMSG_START_LOG_NTF, &ntf, fd);
}

static void
tell_listener(const char *name)
{
	struct w_start_listener_ntf ntf = { .number = 1 };
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t length = sizeof(in);
	int fd;

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1 || bind(fd, (struct sockaddr *)&in, length) == -1 ||
	    listen(fd, 128) == -1 ||
	    getsockname(fd, (struct sockaddr *)&in, &length) == -1)
		fatal("listener %s", name);
	snprintf(ntf.name, sizeof(ntf.name), "%s", name);
	printf("listener %s %d\n", name, ntohs(in.sin_port));
	start_tell(&state.smtpd, IMSG_START_LISTENER_NTF, &ntf, fd);
}

static void
tell_local_listener(void)
{
	struct w_start_listener_ntf ntf = { .number = 1, .local = 1 };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd;

	snprintf(un.sun_path, sizeof(un.sun_path), "%s/submit",
	    state.directory);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1 || bind(fd, (struct sockaddr *)&un, sizeof(un)) == -1 ||
	    listen(fd, 128) == -1)
		fatal("%s", un.sun_path);
	start_tell(&state.smtpd, IMSG_START_LISTENER_NTF, &ntf, fd);
}

static void
tell_go(void)
{
	struct w_start_go_ntf ntf = { .workers = 1 };

	ntf.rootless = state.root == NULL;
	ntf.uid = state.uid;
	ntf.gid = state.gid;
	snprintf(ntf.root, sizeof(ntf.root), "%s",
	    state.root != NULL ? state.root : "");
	snprintf(ntf.hostname, sizeof(ntf.hostname), "mx.example.test");
	start_tell(&state.smtpd, IMSG_START_GO_NTF, &ntf, -1);
}

/* ---- what the test wants ---- */

static void
release_held(void)
{
	size_t i, count = state.held_count;

	state.holding = false;
	state.held_count = 0;
	for (i = 0; i < count; i++)
		link_answer(state.held[i].link, state.held[i].type,
		    state.held[i].id, &state.held[i].ans, NULL, 0, -1);
}

static void
set_space(bool takes_mail)
{
	state.takes_mail = takes_mail;
	tell_state();
}

static void
obey(const char *line)
{
	struct w_start_finish_ntf finish = { .generation = 1 };

	if (strcmp(line, "space no") == 0)
		set_space(false);
	else if (strcmp(line, "space yes") == 0)
		set_space(true);
	else if (strcmp(line, "policyd down") == 0)
		link_down(&roles[0]);
	else if (strcmp(line, "policyd up") == 0)
		link_up(&roles[0]);
	else if (strcmp(line, "spoold down") == 0)
		link_down(&roles[1]);
	else if (strcmp(line, "spoold up") == 0)
		link_up(&roles[1]);
	else if (strcmp(line, "hold") == 0)
		state.holding = true;
	else if (strcmp(line, "release") == 0)
		release_held();
	else if (strcmp(line, "finish") == 0)
		start_tell(&state.smtpd, IMSG_START_FINISH_NTF, &finish, -1);
	else
		fatalx("no such command: %s", line);
	printf("ok\n");
	fflush(stdout);
}

static void
on_input(int fd, short events, void *arg)
{
	static char text[4096];
	static size_t length;
	ssize_t n = read(fd, text + length, sizeof(text) - 1 - length);
	char *lf;

	(void)events;
	(void)arg;
	if (n <= 0) {
		loop_stop(0);
		return;
	}
	length += (size_t)n;
	text[length] = '\0';
	while ((lf = strchr(text, '\n')) != NULL) {
		*lf = '\0';
		obey(text);
		length -= (size_t)(lf + 1 - text);
		memmove(text, lf + 1, length + 1);
	}
}

static void
write_log(void *arg)
{
	(void)arg;
	log_flush();
}

int
main(int argc, char **argv)
{
	const struct conf_section *section;
	struct event *input;
	struct conf *conf;
	int status = 0;

	log_start(argv[0], true);
	if (argc != 4 && argc != 7)
		fatalx("usage: standin SMTPD CONFIGURATION DIRECTORY "
		    "[UID GID ROOT]");
	state.directory = argv[3];
	state.uid = argc == 7 ? (uint32_t)strtoul(argv[4], NULL, 10) :
	    getuid();
	state.gid = argc == 7 ? (uint32_t)strtoul(argv[5], NULL, 10) :
	    getgid();
	state.root = argc == 7 ? argv[6] : NULL;
	state.base = loop_new();
	loop_add_hook(LOOP_LOGS, write_log, NULL);
	start_program(&state.smtpd, argv[1], "1");
	start_configure(&state.smtpd, argv[2]);
	tell_log();
	conf = conf_read(argv[2], stderr);
	for (section = conf_section(conf, "smtpd", NULL); section != NULL;
	    section = conf_next(section))
		tell_listener(section->name);
	tell_local_listener();
	link_up(&roles[0]);
	link_up(&roles[1]);
	tell_go();
	start_await(&state.smtpd);
	printf("ready %d\n", (int)state.smtpd.pid);
	fflush(stdout);
	input = event_new(state.base, STDIN_FILENO, EV_READ | EV_PERSIST,
	    on_input, NULL);
	event_add(input, NULL);
	loop_run(state.base);
	close(state.smtpd.link);
	waitpid(state.smtpd.pid, &status, 0);
	conf_free(conf);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
