/*
 * The control socket: clients of any uid, one question at a time each.  Who
 * they are is what the kernel says of the socket's other end.  Owns the
 * clients; what they ask is answered elsewhere.
 */
#include <sys/socket.h>

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "spoold.h"

#define CLIENTS_MAX	64
#define CLIENTS_FOR_ROOT 2	/* of these */
#define CLIENTS_OF_UID	8
#define CLIENT_TIME	(30 * SECOND)	/* without progress */
#define GROUPS_MAX	1024
#define LISTENERS_MAX	4

static struct {
	TAILQ_HEAD(, client) clients;
	unsigned int	 count;
	struct {
		int		 fd;
		struct event	*event;
	}		 listeners[LISTENERS_MAX];
	unsigned int	 listener_count;
} control = { .clients = TAILQ_HEAD_INITIALIZER(control.clients) };

/* May this client see whose message it is, and end it? */
bool
client_owns(const struct client *client, const struct message *message)
{
	return client->is_operator || (message->kind == MESSAGE_MAIL &&
	    message->client.standing == STANDING_LOCAL &&
	    message->client.uid == client->uid);
}

/* Answer the question that is open. */
void
client_answer(struct client *client, enum imsg_type type, const void *payload,
    const void *tail, size_t tail_length)
{
	uint32_t	 question = client->question;

	client->question = 0;
	client->deadline = clock_monotonic() + CLIENT_TIME;
	link_answer(client->link, type, question, payload, tail, tail_length,
	    -1);
}

static void
client_free(struct client *client)
{
	inquiry_forget(client);
	action_forget(client);
	TAILQ_REMOVE(&control.clients, client, entry);
	control.count--;
	link_free(client->link);
	free(client);
}

/* ---- handlers ---- */

/*
 * Note the question.  A second one before the last answer has been read is a
 * violation: what a client does not read must not pile up here.
 */
static bool
begin_question(struct client *client, const struct frame *frame)
{
	if (client->question != 0 || link_output(client->link) > 0) {
		link_violation(client->link, "two questions at once");
		return false;
	}
	client->question = frame->id;
	client->deadline = clock_monotonic() + CLIENT_TIME;
	return true;
}

static void
on_ctl_list(struct link *link, struct frame *frame, void *arg)
{
	(void)link;
	if (begin_question(arg, frame))
		list_page(arg, frame->payload);
}

static void
on_ctl_show(struct link *link, struct frame *frame, void *arg)
{
	const struct w_ctl_show_req	*question = frame->payload;

	(void)link;
	if (begin_question(arg, frame))
		show_message(arg, question->id);
}

static void
on_ctl_action(struct link *link, struct frame *frame, void *arg)
{
	(void)link;
	if (begin_question(arg, frame))
		action_begin(arg, frame->payload);
}

static void
on_ctl_status(struct link *link, struct frame *frame, void *arg)
{
	(void)link;
	if (begin_question(arg, frame))
		list_status(arg);
}

static void
on_ctl_read(struct link *link, struct frame *frame, void *arg)
{
	(void)link;
	if (begin_question(arg, frame))
		export_read(arg, frame->payload);
}

static void
on_ctl_explain(struct link *link, struct frame *frame, void *arg)
{
	(void)link;
	if (begin_question(arg, frame))
		inquiry_explain(arg, frame->payload);
}

static void
on_ctl_why(struct link *link, struct frame *frame, void *arg)
{
	(void)link;
	if (begin_question(arg, frame))
		inquiry_why(arg, frame->payload);
}

static void
on_ctl_stats(struct link *link, struct frame *frame, void *arg)
{
	const struct w_ctl_stats_req	*question = frame->payload;

	(void)link;
	if (begin_question(arg, frame))
		stats_page(arg, question->after);
}

static void
on_ctl_probe(struct link *link, struct frame *frame, void *arg)
{
	(void)link;
	if (begin_question(arg, frame))
		inquiry_probe(arg, frame->payload);
}

static const struct link_handler handlers[] = {
	{ IMSG_CTL_LIST_REQ,	on_ctl_list },
	{ IMSG_CTL_SHOW_REQ,	on_ctl_show },
	{ IMSG_CTL_ACTION_REQ,	on_ctl_action },
	{ IMSG_CTL_EXPLAIN_REQ,	on_ctl_explain },
	{ IMSG_CTL_STATUS_REQ,	on_ctl_status },
	{ IMSG_CTL_READ_REQ,	on_ctl_read },
	{ IMSG_CTL_WHY_REQ,	on_ctl_why },
	{ IMSG_CTL_STATS_REQ,	on_ctl_stats },
	{ IMSG_CTL_PROBE_REQ,	on_ctl_probe },
	{ IMSG_NONE,		NULL }
};

static void
on_client_closed(struct link *link, const char *why, void *arg)
{
	(void)link;
	(void)why;
	client_free(arg);
}

static const struct link_role ctl_role = {
	.self = PROC_SPOOLD, .peer = PROC_CTL, .handlers = handlers,
	.closed = on_client_closed
};

/* ---- accepting ---- */

/* Is the other end in the operators' group, as its groups were then? */
static bool
is_operator(int fd, const struct ucred *cred)
{
	gid_t		 groups[GROUPS_MAX];
	socklen_t	 length = sizeof(groups);
	gid_t		 operators = settings()->operators;
	size_t		 i;

	if (cred->uid == 0 || cred->uid == getuid())
		return true;
	if (operators == (gid_t)-1)
		return false;
	if (cred->gid == operators)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &length) == -1)
		return false;
	for (i = 0; i < length / sizeof(groups[0]); i++)
		if (groups[i] == operators)
			return true;
	return false;
}

/* Is there room for one more of this uid? */
static bool
has_room(uid_t uid)
{
	struct client	*client;
	unsigned int	 same = 0;

	TAILQ_FOREACH(client, &control.clients, entry)
		if (client->uid == uid)
			same++;
	if (uid == 0)
		return control.count < CLIENTS_MAX;
	return same < CLIENTS_OF_UID &&
	    control.count < CLIENTS_MAX - CLIENTS_FOR_ROOT;
}

static void
client_new(int fd)
{
	struct client	*client;
	struct ucred	 cred;
	socklen_t	 length = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &length) == -1 ||
	    !has_room(cred.uid)) {
		close(fd);
		return;
	}
	if ((client = calloc(1, sizeof(*client))) == NULL)
		fatal("client");
	client->uid = cred.uid;
	client->is_operator = is_operator(fd, &cred);
	client->deadline = clock_monotonic() + CLIENT_TIME;
	client->link = link_new(spoold_base(), fd, &ctl_role, client);
	TAILQ_INSERT_TAIL(&control.clients, client, entry);
	control.count++;
}

static void
on_connection(int listener, short events, void *unused)
{
	int	 fd, i;

	(void)events;
	(void)unused;
	for (i = 0; i < CLIENTS_OF_UID; i++) {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC |
		    SOCK_NONBLOCK);
		if (fd == -1)
			return;
		client_new(fd);
	}
}

/* postmaster hands us the socket, which is taken. */
void
control_listener(struct child *child, int fd,
    const struct w_start_listener_ntf *start)
{
	struct event	*event;

	(void)start;
	if (control.listener_count == LISTENERS_MAX) {
		close(fd);
		return;
	}
	event = event_new(child->base, fd, EV_READ | EV_PERSIST,
	    on_connection, NULL);
	if (event == NULL || event_add(event, NULL) == -1)
		fatalx("control: no event");
	control.listeners[control.listener_count].fd = fd;
	control.listeners[control.listener_count++].event = event;
}

/* Once a second: those that do not go on have to go. */
void
control_tick(int64_t monotonic)
{
	struct client	*client, *next;

	TAILQ_FOREACH_SAFE(client, &control.clients, entry, next) {
		if (client->inquiry != NULL)
			inquiry_tick(client, monotonic);
		else if (client->deadline < monotonic &&
		    client->sweep == NULL)
			client_free(client);
	}
}

void
control_stop(void)
{
	struct client	*client;

	while ((client = TAILQ_FIRST(&control.clients)) != NULL)
		client_free(client);
	while (control.listener_count > 0) {
		control.listener_count--;
		event_free(control.listeners[control.listener_count].event);
		close(control.listeners[control.listener_count].fd);
	}
}
