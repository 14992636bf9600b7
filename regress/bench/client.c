/*
 * What Postfix's smtp-source does not do: a client that pipelines, one that
 * stays idle, and one that sends at a steady pace and takes the time.
 *
 *	client pipeline PORT SESSIONS MESSAGES SIZE RECIPIENT
 *		MESSAGES of SIZE octets over SESSIONS kept connections; the
 *		end of a message and the commands of the next are one write;
 *		% in RECIPIENT is a number that counts from 1
 *	client idle PORT SESSIONS
 *		greet with EHLO on so many connections, say `ready', stay
 *		until standard input ends
 *	client pace PORT RATE SECONDS SIZE RECIPIENT [FOLDER]
 *		RATE messages a second over one connection; print for each
 *		how many microseconds after its time its 250 came, or, with
 *		FOLDER, a new file in it
 *
 * A reply that refuses something ends the program with 1.
 */
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <err.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define REPLY_MAX	4096	/* octets of replies that are not read yet */
#define EVENTS		64
#define LINE		64	/* octets of a line of a message */
#define MILLION		1000000

struct session {
	int	 fd;
	int	 expected;	/* replies to what was written last */
	bool	 quitting;
	size_t	 length;
	char	 input[REPLY_MAX];
};

static struct {
	uint16_t	 port;
	const char	*recipient;
	long		 number;	/* takes the place of % in it */
	char		 commands[1024];	/* of one message */
	char		*text;			/* headers, text, dot */
	size_t		 text_length;
	size_t		 group_length;	/* with the next's commands */
	long		 to_send;
	long		 taken;
	int		 poller;
} load;

static int
open_connection(void)
{
	struct sockaddr_in	 address = { .sin_family = AF_INET };
	int			 fd, one = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons(load.port);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd == -1 || connect(fd, (struct sockaddr *)&address,
	    sizeof(address)) == -1)
		err(1, "port %d", load.port);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

/* Blocking, as the peer reads always. */
static void
say(int fd, const char *octets, size_t length)
{
	ssize_t	 n;

	for (; length > 0; octets += n, length -= (size_t)n)
		if ((n = write(fd, octets, length)) == -1)
			err(1, "write");
}

static void
say_line(int fd, const char *line)
{
	say(fd, line, strlen(line));
}

/* The commands of the next message, also behind the text of the last. */
static void
next_commands(void)
{
	const char	*mark = strchr(load.recipient, '%');
	int		 length;

	load.number++;
	if (mark == NULL)
		length = snprintf(load.commands, sizeof(load.commands),
		    "MAIL FROM:<s@sender.test>\r\nRCPT TO:<%s>\r\nDATA\r\n",
		    load.recipient);
	else
		length = snprintf(load.commands, sizeof(load.commands),
		    "MAIL FROM:<s@sender.test>\r\nRCPT TO:<%.*s%ld%s>\r\n"
		    "DATA\r\n", (int)(mark - load.recipient), load.recipient,
		    load.number, mark + 1);
	memcpy(load.text + load.text_length, load.commands, (size_t)length);
	load.group_length = load.text_length + (size_t)length;
}

/* Make the messages' text, with room for commands behind it. */
static void
prepare(const char *recipient, size_t size)
{
	size_t	 i, head;

	load.recipient = recipient;
	if ((load.text = malloc(size + 2048)) == NULL)
		err(1, NULL);
	head = (size_t)snprintf(load.text, 512, "From: <s@sender.test>\r\n"
	    "Subject: load\r\n\r\n");
	for (i = 0; i < size; i++)
		load.text[head + i] = i % LINE == LINE - 2 ? '\r' :
		    i % LINE == LINE - 1 ? '\n' : 'X';
	memcpy(load.text + head + size, "\r\n.\r\n", 5);
	load.text_length = head + size + 5;
}

/*
 * Take one whole reply off what was read.  Returns its code, or 0 if it is
 * not complete.
 */
static int
take_reply(struct session *session)
{
	char	*end, *line = session->input;
	int	 code;

	for (;; line = end + 1) {
		end = memchr(line, '\n', session->length -
		    (size_t)(line - session->input));
		if (end == NULL)
			return 0;
		if (end - line >= 4 && line[3] != '-')
			break;
	}
	code = atoi(line);
	if (code >= 400 || code < 200)
		errx(1, "%.*s", (int)(end - line), line);
	session->length -= (size_t)(end + 1 - session->input);
	memmove(session->input, end + 1, session->length);
	return code;
}

static void
read_some(struct session *session)
{
	ssize_t	 n;

	n = read(session->fd, session->input + session->length,
	    sizeof(session->input) - session->length);
	if (n <= 0)
		errx(1, "the server closed a connection");
	session->length += (size_t)n;
}

/* Wait for one reply of a session that is alone. */
static int
await_reply(struct session *session)
{
	int	 code;

	while ((code = take_reply(session)) == 0)
		read_some(session);
	return code;
}

static void
greet(struct session *session)
{
	session->fd = open_connection();
	(void)await_reply(session);
	say_line(session->fd, "EHLO client.test\r\n");
	(void)await_reply(session);
}

/* ---- pipeline */

static void
begin(struct session *session)
{
	struct epoll_event	 event = { .events = EPOLLIN };

	greet(session);
	event.data.ptr = session;
	if (epoll_ctl(load.poller, EPOLL_CTL_ADD, session->fd, &event) == -1)
		err(1, "epoll");
	next_commands();
	say_line(session->fd, load.commands);
	session->expected = 3;
	load.to_send--;
}

/* All replies to what was said are there: say what comes next. */
static void
proceed(struct session *session)
{
	if (session->quitting) {
		close(session->fd);
		return;
	}
	if (load.to_send > 0) {
		load.to_send--;
		next_commands();
		say(session->fd, load.text, load.group_length);
		session->expected = 4;
	} else {
		say(session->fd, load.text, load.text_length);
		say_line(session->fd, "QUIT\r\n");
		session->expected = 2;
		session->quitting = true;
	}
}

static void
on_replies(struct session *session)
{
	read_some(session);
	while (session->expected > 0 && take_reply(session) != 0) {
		if (session->expected == 4 ||
		    (session->quitting && session->expected == 2))
			load.taken++;
		session->expected--;
	}
	if (session->expected == 0)
		proceed(session);
}

static void
pipeline(int sessions, long messages)
{
	struct epoll_event	 events[EVENTS];
	struct session		*session;
	int			 i, n;

	load.poller = epoll_create1(0);
	load.to_send = messages;
	for (i = 0; i < sessions && load.to_send > 0; i++) {
		if ((session = calloc(1, sizeof(*session))) == NULL)
			err(1, NULL);
		begin(session);
	}
	while (load.taken < messages) {
		n = epoll_wait(load.poller, events, EVENTS, -1);
		for (i = 0; i < n; i++)
			on_replies(events[i].data.ptr);
	}
}

/* ---- idle */

static void
idle(int sessions)
{
	struct rlimit	 limit = { (rlim_t)sessions + 64,
	    (rlim_t)sessions + 64 };
	struct session	 session;
	char		 octet;

	if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
		err(1, "descriptors");
	for (; sessions > 0; sessions--) {
		memset(&session, 0, sizeof(session));
		greet(&session);
	}
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &octet, 1) > 0)
		continue;
}

/* ---- pace */

static int64_t
clock_micro(void)
{
	struct timespec	 now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * MILLION + now.tv_nsec / 1000;
}

static void
sleep_until(int64_t when)
{
	struct timespec	 at = { when / MILLION, when % MILLION * 1000 };

	(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

/* Wait for one more file; there is never more than one on its way. */
static void
await_file(int watch)
{
	char	 event[sizeof(struct inotify_event) + NAME_MAX + 1];

	if (read(watch, event, sizeof(event)) <= 0)
		err(1, "inotify");
}

static void
pace(int rate, int seconds, const char *folder)
{
	struct session	 session = { 0 };
	int64_t		 start, due;
	long		 i, count = (long)rate * seconds;
	int		 replies, watch = inotify_init();

	if (folder != NULL && inotify_add_watch(watch, folder,
	    IN_CREATE | IN_MOVED_TO) == -1)
		err(1, "%s", folder);
	greet(&session);
	setlinebuf(stdout);
	start = clock_micro();
	for (i = 0; i < count; i++) {
		due = start + i * MILLION / rate;
		sleep_until(due);
		next_commands();
		say_line(session.fd, load.commands);
		for (replies = 0; replies < 3; replies++)
			(void)await_reply(&session);
		say(session.fd, load.text, load.text_length);
		(void)await_reply(&session);
		if (folder != NULL)
			await_file(watch);
		printf("%" PRId64 "\n", clock_micro() - due);
	}
}

int
main(int argc, char **argv)
{
	if (argc < 4)
		errx(64, "usage: client pipeline|idle|pace PORT ...");
	load.port = (uint16_t)atoi(argv[2]);
	if (strcmp(argv[1], "pipeline") == 0 && argc == 7) {
		prepare(argv[6], (size_t)atol(argv[5]));
		pipeline(atoi(argv[3]), atol(argv[4]));
	} else if (strcmp(argv[1], "idle") == 0 && argc == 4) {
		idle(atoi(argv[3]));
	} else if (strcmp(argv[1], "pace") == 0 && argc >= 7) {
		prepare(argv[6], (size_t)atol(argv[5]));
		pace(atoi(argv[3]), atoi(argv[4]), argv[7]);
	} else
		errx(64, "client.c says how it is used");
	return 0;
}
