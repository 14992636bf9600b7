/*
 * Stands in for every neighbour of one real process, and for its clients, and
 * says what a neighbour that was taken over might: frames the wire table
 * allows with contents nobody would send, answers of all kinds to whatever is
 * asked, and now and then frames that the table forbids.
 *
 *   standin PROGRAM PROCESS CONFIGURATION DIRECTORY SEED SECONDS
 *
 * The process, started without root, may close a link, which is then made
 * anew; it may not die.  Ends with 0 if it lived and ended well when told to.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <netinet/in.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "frame.h"
#include "regress/standin/start.h"
#include "wire.h"

#define ENDS_MAX	24
#define CLIENTS		4
#define KNOWN		64
#define FLOOD		300
#define MEMORY_MAX	(64 * 1024)	/* KiB that the process may take */
#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

/* Our end of a link, or a client's connection (peer PROC_NONE). */
struct end {
	int		 fd;
	enum process	 us;
	enum process	 it;
	bool		 control;	/* a connection to its listener */
	bool		 waits;		/* control: has asked */
	uint64_t	 first, last;	/* smtpd: what is left of its lease */
	uint64_t	 known[KNOWN];	/* numbers it has told us */
	size_t		 known_count;
	struct frame_in	 in;
};

static struct {
	enum process	 process;
	struct started	 program;
	struct sockaddr_storage address;
	socklen_t	 address_length;
	struct end	 ends[ENDS_MAX];
	size_t		 count;
	uint64_t	 random;
	unsigned long	 sent, answered, closed;
} s;

/* Who is linked to whom. */
static const enum process neighbours[PROC_MAX][4] = {
[PROC_SMTPD] = { PROC_POLICYD, PROC_SPOOLD },
[PROC_POLICYD] = { PROC_SMTPD, PROC_SPOOLD },
[PROC_SPOOLD] = { PROC_SMTPD, PROC_POLICYD, PROC_RELAY, PROC_DELIVER },
[PROC_RELAY] = { PROC_SPOOLD },
[PROC_DELIVER] = { PROC_SPOOLD },
};

static const char *const words[] = {
	"", "a", "a@b.test", "<>", "@", "\"a b\"@c.test", "a@[127.0.0.1]",
	"nobody", "root", "postmaster@here.test", "user@here.test",
	"user+ext@here.test", "list@here.test", "x@dead.test", "|true",
	"|exit 75", "../../../etc/passwd", "/", "\001\177\377\r\n", "%s%n%d",
	"relay(127.0.0.1:1)", "relay([::1]:1, 127.0.0.1:1)", "relay(", ")",
	"\\nobody", ":include:/dev/null", "local(", "maildir()", "rfc822;a+",
	"2.0.0", "4.4.1", "5.1.1", "9", "550 5.1.1 no\r\n250 ok", "@b.test"
};

static const char *const lines[] = {
	"HELO a\r\n", "EHLO [127.0.0.1]\r\n", "EHLO \001\r\n",
	"MAIL FROM:<a@b.test> SIZE=99999999999999999999 BODY=8BITMIME\r\n",
	"MAIL FROM:<> RET=HDRS ENVID=+2B\r\n", "MAIL FROM:<a@b.test>\r\n",
	"RCPT TO:<user@here.test>\r\n", "RCPT TO:<x@dead.test> "
	"NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+40y\r\n", "RCPT TO:<@a,@b:c@d",
	">\r\n", "DATA\r\n", "Subject: x\r\n", "\r\n", ".\r\n", "..\r\n", "\r",
	"\n", ".\n", "x", "Received: by a\r\n", "RSET\r\nNOOP\r\n",
	"VRFY \"\\\r\n", "HELP\r\n", "QUIT\r\n", "RCPT TO:<\"\\\"@\"@[IPv6:::]>"
	"\r\n", "TURN\r\n", "MAIL\r\n", "RCPT\r\n"
};

/* ---- chance ---- */

static uint64_t
chance(uint64_t below)
{
	s.random ^= s.random << 13;
	s.random ^= s.random >> 7;
	s.random ^= s.random << 17;
	return below == 0 ? s.random : s.random % below;
}

/* A number that might mean something. */
static uint64_t
number(void)
{
	switch (chance(8)) {
	case 0:
		return chance(0);
	case 1:
		return UINT64_MAX - chance(3);
	case 2:
		return (uint64_t)1 << chance(64);
	case 3:
		return 65530 + chance(16);
	default:
		return chance(12);
	}
}

static uint64_t
known_number(const struct end *end)
{
	size_t count = end->known_count < KNOWN ? end->known_count : KNOWN;

	if (count == 0 || chance(20) == 0)
		return number();
	return end->known[chance(count)];
}

static void
remember(struct end *end, uint64_t value)
{
	end->known[end->known_count++ % KNOWN] = value;
}

/* ---- what is said ---- */

/* Mostly, a client that the listener of that name may have. */
static void
fill_client(uint32_t type, char *payload)
{
	static const struct { uint32_t type, offset; } with[] = {
		{ IMSG_RCPT_CHECK_REQ, offsetof(struct w_rcpt_check_req,
		    client) },
		{ IMSG_TXN_OPEN_NTF, offsetof(struct w_txn_open_ntf, client) },
		{ IMSG_ROUTE_RESOLVE_REQ, offsetof(struct w_route_resolve_req,
		    client) },
		{ IMSG_ROUTE_EXPLAIN_REQ, offsetof(struct
		    w_route_explain_req, client) },
	};
	struct w_client client;
	size_t i;

	for (i = 0; i < COUNT(with); i++) {
		if (with[i].type != type || chance(50) == 0)
			continue;
		memcpy(&client, payload + with[i].offset, sizeof(client));
		client.standing = (uint8_t)(STANDING_STRANGER + chance(2));
		client.family = chance(2) == 0 ? 4 : 6;
		(void)snprintf(client.listener, sizeof(client.listener),
		    "test");
		memcpy(payload + with[i].offset, &client, sizeof(client));
	}
}

static void
fill_payload(const struct end *end, uint32_t type, char *payload)
{
	const struct wire_row *row = wire_row(type);
	const struct wire_string *string;
	uint64_t id = known_number(end);
	uint32_t at, value;
	size_t i;

	memset(payload, 0, row->size);
	for (at = 0; at + sizeof(value) <= row->size && at < 256;
	    at += sizeof(value)) {
		value = (uint32_t)number();
		memcpy(payload + at, &value, sizeof(value));
	}
	for (string = row->strings; string != NULL && string->size > 0;
	    string++) {
		memset(payload + string->offset, 0, string->size);
		if (chance(10) == 0)
			memset(payload + string->offset, 'x', chance(
			    string->size));
		else
			(void)snprintf(payload + string->offset, string->size,
			    "%s", words[chance(COUNT(words))]);
	}
	for (i = 0; i < row->size && chance(3) == 0; i++)
		payload[i] = 0;
	if (row->id && id == 0)
		id = 1;
	if (row->size >= sizeof(id) && (row->id || chance(4) != 0))
		memcpy(payload, &id, sizeof(id));
	fill_client(type, payload);
}

/* A tail of targets, of texts, or of anything. */
static size_t
fill_tail(const struct wire_row *row, char *tail)
{
	size_t limit = row->tail < 4096 || chance(20) == 0 ? row->tail : 4096;
	size_t length = 0, i, wanted = chance(limit + 1);
	struct w_target target;
	const char *word;

	if (chance(4) == 0)
		wanted = 0;
	switch (chance(3)) {
	case 0:
		while (length + 64 < wanted && chance(30) != 0) {
			word = words[chance(COUNT(words))];
			target.length = (uint32_t)strlen(word) + 1;
			target.kind = (uint32_t)chance(5);
			memcpy(tail + length, &target, sizeof(target));
			length += sizeof(target);
			memcpy(tail + length, word, target.length);
			length += target.length;
		}
		return length;
	case 1:
		while (length + 256 < wanted) {
			word = lines[chance(COUNT(lines))];
			memcpy(tail + length, word, strlen(word));
			length += strlen(word);
		}
		return length;
	default:
		for (i = 0; i < wanted; i++)
			tail[i] = (char)chance(256);
		return wanted;
	}
}

static int
make_file(void)
{
	static const char text[] = "Subject: file\r\n\r\nbody\r\n";
	int fd = memfd_create("file", MFD_CLOEXEC);

	if (fd == -1 || write(fd, text, chance(sizeof(text))) == -1)
		err(1, "memfd");
	return fd;
}

/* Send, dropping what the process is too slow to take. */
static void
send_frame(struct end *end, struct frame_header header, const void *payload,
    size_t payload_length, const void *tail, size_t tail_length, int fd)
{
	struct frame_out out = { .data = NULL };
	struct pollfd poller = { .fd = end->fd, .events = POLLOUT };
	int result;

	frame_out_add(&out, &header, payload, payload_length, tail,
	    tail_length, fd);
	while ((result = frame_out_write(&out, end->fd)) == 0)
		if (poll(&poller, 1, 200) != 1)
			break;
	if (result == 0)		/* half a frame: no use any more */
		(void)shutdown(end->fd, SHUT_RDWR);
	frame_out_clear(&out);
	s.sent++;
}

/* Hand over a new end, which the process may use as a link of ours. */
static struct end *
end_new(int fd, enum process us, enum process it)
{
	struct end *end;

	if (s.count == ENDS_MAX) {
		close(fd);
		return NULL;
	}
	if (fcntl(fd, F_SETFL, O_NONBLOCK) == -1)
		err(1, "fcntl");
	end = &s.ends[s.count++];
	memset(end, 0, sizeof(*end));
	end->fd = fd;
	end->us = us;
	end->it = it;
	return end;
}

static int
worker_link(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		err(1, "socketpair");
	if (end_new(pair[0], PROC_WORKER, PROC_SPOOLD) == NULL) {
		close(pair[1]);
		return make_file();
	}
	return pair[1];
}

/* Say a frame of this type, with the first octets of what it answers. */
static void
say(struct end *end, uint32_t type, uint32_t id, const void *asked,
    size_t asked_length)
{
	static char payload[16384], tail[1 << 20];
	const struct wire_row *row = wire_row(type);
	struct frame_header header = { .type = type, .id = id };
	size_t length;
	int fd = -1;

	fill_payload(end, type, payload);
	length = row->tail > 0 && row->tail <= sizeof(tail) ?
	    fill_tail(row, tail) : 0;
	if (asked_length > row->size)
		asked_length = row->size;
	if (asked_length > 0 && chance(20) != 0)
		memcpy(payload, asked, asked_length);
	if (type == IMSG_TXN_COMMIT_REQ && chance(20) != 0) {
		uint64_t size = length;

		memcpy(payload + 8, &size, sizeof(size));
	}
	if (type == IMSG_USER_WORKER_ANS) {
		uint64_t verdict = chance(10) == 0 ? number() : USER_OK;

		memcpy(payload + 8, &verdict, sizeof(verdict));
		fd = verdict == USER_OK ? worker_link() : -1;
	} else if (row->fd == FD_ALWAYS ||
	    (row->fd == FD_MAYBE && chance(2) == 0))
		fd = make_file();
	header.length = row->size + (uint32_t)length;
	if (fd != -1)
		header.flags = FRAME_FD;
	if (chance(300) == 0)
		header.type = (uint32_t)number();
	if (chance(300) == 0)
		header.length = (uint32_t)number();
	if (chance(300) == 0)
		payload[chance(row->size)] ^= (char)chance(256);
	send_frame(end, header, payload, row->size, tail, length, fd);
}

static bool
may_say(const struct end *end, uint32_t type)
{
	const struct wire_row *row = wire_row(type);

	return row != NULL && (row->senders & (1U << end->us)) &&
	    (row->receivers & (1U << end->it));
}

/* Anything that is no answer. */
static void
say_something(struct end *end)
{
	static uint32_t id;
	uint32_t type;
	int tries;

	for (tries = 0; tries < 100; tries++) {
		type = (uint32_t)chance(IMSG_MAX);
		if (!may_say(end, type))
			continue;
		if (wire_request(type) != IMSG_NONE && chance(5000) != 0)
			continue;
		say(end, type, wire_row(type)->answer != IMSG_NONE ? ++id : 0,
		    NULL, 0);
		end->waits = true;
		return;
	}
}

/* What no row of the table allows: octets, or a frame of any type. */
static void
say_nonsense(struct end *end)
{
	struct frame_header header = { .type = (uint32_t)chance(IMSG_MAX + 2),
	    .id = (uint32_t)number() };
	static char octets[4096];
	size_t i;
	int fd = chance(4) == 0 ? make_file() : -1;

	for (i = 0; i < sizeof(octets); i++)
		octets[i] = (char)chance(256);
	header.length = (uint32_t)chance(sizeof(octets) + 1);
	header.flags = fd != -1 ? FRAME_FD : (uint32_t)chance(3);
	if (chance(2) == 0)
		memcpy(&header, octets, sizeof(header));
	if (fd == -1)
		header.flags &= ~(uint32_t)FRAME_FD;
	send_frame(end, header, octets, chance(sizeof(octets) + 1), NULL, 0,
	    fd);
}

/* The same again and again, answered or not. */
static void
flood(struct end *end)
{
	uint32_t type = (uint32_t)chance(IMSG_MAX), id = 1U << 29;
	int i;

	for (i = 0; i < FLOOD && may_say(end, type); i++)
		say(end, type, wire_row(type)->answer != IMSG_NONE ||
		    wire_request(type) != IMSG_NONE ? ++id : 0, NULL, 0);
}

/* A message as smtpd hands it over, but for what it says. */
static void
say_message(struct end *end)
{
	uint64_t message = end->first++;
	uint64_t piece[2] = { message, 0 };
	static uint32_t id = 1U << 30;
	int i;

	say(end, IMSG_TXN_OPEN_NTF, 0, &message, sizeof(message));
	for (i = (int)chance(4); i >= 0; i--)
		say(end, IMSG_TXN_RCPT_NTF, 0, &message, sizeof(message));
	if (chance(5) == 0)
		say(end, IMSG_TXN_BODY_REQ, ++id, piece, sizeof(piece));
	if (chance(10) == 0)
		say(end, IMSG_TXN_ABORT_NTF, 0, &message, sizeof(message));
	else
		say(end, IMSG_TXN_COMMIT_REQ, ++id, &message,
		    sizeof(message));
}

static void
talk(struct end *end)
{
	const char *line = lines[chance(COUNT(lines))];

	if (end->it != PROC_NONE && chance(1500) == 0) {
		say_nonsense(end);
		return;
	}
	if (end->it != PROC_NONE && chance(1500) == 0) {
		flood(end);
		return;
	}
	if (end->control && end->waits && chance(200) != 0)
		return;
	if (end->first < end->last && chance(50) != 0)
		say_message(end);
	else if (end->us == PROC_RELAY && chance(200) != 0)
		return;
	else if (end->it != PROC_NONE)
		say_something(end);
	else if (send(end->fd, line, strlen(line), MSG_NOSIGNAL) == -1 &&
	    errno != EAGAIN)
		(void)shutdown(end->fd, SHUT_RDWR);
}

/* ---- what is heard ---- */

static void
hear(struct end *end, const struct frame_header *header, const char *octets)
{
	const struct wire_row *row = wire_row(header->type);
	uint64_t first = 0, count = 0;
	int fd = -1;

	if (row == NULL)
		errx(1, "it says type %u", header->type);
	if (header->flags & FRAME_FD)
		fd = frame_in_take_fd(&end->in);
	if (row->size >= sizeof(first))
		memcpy(&first, octets, sizeof(first));
	if (row->size >= 2 * sizeof(first))
		memcpy(&count, octets + sizeof(first), sizeof(count));
	if (header->type == IMSG_TXN_LEASE_NTF) {
		end->first = first;
		end->last = first + count;
	}
	end->waits = false;
	remember(end, first);
	if (fd != -1 && header->type == IMSG_USER_WORKER_ANS) {
		(void)end_new(fd, PROC_SPOOLD, PROC_WORKER);
		fd = -1;
	}
	if (fd != -1)
		close(fd);
	while (header->type == IMSG_RELAY_DELIVER_REQ && chance(2) == 0)
		say(end, IMSG_RELAY_RESULT_NTF, 0, octets, 8);
	if (row->answer != IMSG_NONE && chance(50) != 0) {
		s.answered++;
		say(end, row->answer, header->id, octets, row->size < 12 ?
		    row->size : 12);
	}
}

static void
end_lost(struct end *end)
{
	s.closed++;
	close(end->fd);
	frame_in_clear(&end->in);
	*end = s.ends[--s.count];
}

/* Read what there is; false when the end is gone. */
static bool
listen_to(struct end *end)
{
	struct frame_header header;
	struct end copy;
	char buffer[4096];
	const char *octets;
	size_t index = (size_t)(end - s.ends);
	long n;

	if (end->it == PROC_NONE) {
		n = recv(end->fd, buffer, sizeof(buffer), 0);
		return n > 0 || (n == -1 && errno == EAGAIN);
	}
	frame_in_reserve(&end->in, 65536);
	n = frame_in_read(&end->in, end->fd, true);
	if (n == 0 || (n == -1 && errno != EAGAIN))
		return false;
	while (frame_in_next(&end->in, &header, &octets) == 1) {
		copy = s.ends[index];
		hear(&s.ends[index], &header, octets);
		if (copy.fd != s.ends[index].fd)
			break;
	}
	return true;
}

/* ---- the process ---- */

static void
give_link(enum process process)
{
	struct w_start_peer_down_ntf down = { .process = process,
	    .instance = process == PROC_SMTPD || process == PROC_RELAY };
	struct w_start_peer_ntf peer = { .process = process,
	    .instance = process == PROC_SMTPD || process == PROC_RELAY };

	start_tell(&s.program, IMSG_START_PEER_DOWN_NTF, &down, -1);
	if (end_new(start_link(&s.program, &peer), process, s.process) == NULL)
		errx(1, "too many links");
}

static void
give_listener(void)
{
	struct w_start_listener_ntf listener = { .number = 0,
	    .local = s.process == PROC_SPOOLD, .name = "test" };
	struct sockaddr_in in = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (s.process == PROC_SPOOLD) {
		close(fd);
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)snprintf(local.sun_path + 1, sizeof(local.sun_path) - 1,
		    "hostile-%ld", (long)getpid());
		s.address_length = sizeof(local);
		memcpy(&s.address, &local, sizeof(local));
	} else {
		s.address_length = sizeof(in);
		memcpy(&s.address, &in, sizeof(in));
	}
	if (bind(fd, (struct sockaddr *)&s.address, s.address_length) == -1 ||
	    getsockname(fd, (struct sockaddr *)&s.address,
	    &s.address_length) == -1 || listen(fd, 32) == -1)
		err(1, "a listening socket");
	start_tell(&s.program, IMSG_START_LISTENER_NTF, &listener, fd);
}

static void
start(const char *program, const char *conf, const char *directory)
{
	struct w_start_log_ntf log = { .kind = WIRE_LOG_FILE, .name = "log" };
	struct w_start_go_ntf go = { .workers = 1, .uid = getuid(),
	    .gid = getgid(), .rootless = 1, .hostname = "here.test" };
	size_t i;

	start_program(&s.program, program, "1");
	start_configure(&s.program, conf);
	start_tell(&s.program, IMSG_START_LOG_NTF, &log, dup(STDOUT_FILENO));
	if (s.process == PROC_SMTPD || s.process == PROC_SPOOLD)
		give_listener();
	for (i = 0; i < 4 && neighbours[s.process][i] != PROC_NONE; i++)
		give_link(neighbours[s.process][i]);
	(void)snprintf(go.root, sizeof(go.root), "%s", directory);
	start_tell(&s.program, IMSG_START_GO_NTF, &go, -1);
}

/* New links for those it closed, new clients for those it sent away. */
static void
refill(void)
{
	enum process us;
	size_t i, j, clients = 0;
	int fd;

	for (i = 0; i < 4 && (us = neighbours[s.process][i]) != PROC_NONE;
	    i++) {
		for (j = 0; j < s.count; j++)
			if (s.ends[j].us == us && s.ends[j].it == s.process &&
			    !s.ends[j].control)
				break;
		if (j == s.count)
			give_link(us);
	}
	for (j = 0; j < s.count; j++)
		clients += s.ends[j].control || s.ends[j].it == PROC_NONE;
	if (s.address_length == 0 || clients >= CLIENTS)
		return;
	fd = socket(s.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&s.address, s.address_length) ==
	    -1 || s.count == ENDS_MAX)
		close(fd);
	else if (s.process == PROC_SPOOLD)
		end_new(fd, PROC_CTL, PROC_SPOOLD)->control = true;
	else
		(void)end_new(fd, PROC_NONE, PROC_NONE);
}

/* One round: hear all, say something. */
static void
round_of_all(void)
{
	struct pollfd pollers[ENDS_MAX];
	size_t i, count = s.count;

	for (i = 0; i < count; i++)
		pollers[i] = (struct pollfd){ .fd = s.ends[i].fd,
		    .events = POLLIN };
	(void)poll(pollers, count, 1);
	for (i = count; i-- > 0;)
		if (pollers[i].revents != 0 && !listen_to(&s.ends[i]))
			end_lost(&s.ends[i]);
	for (i = 0; i < 8 && s.count > 0; i++)
		talk(&s.ends[chance(s.count)]);
}

/* The most that it has held, in KiB. */
static unsigned long
memory(void)
{
	char path[64], line[256];
	unsigned long most = 0;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%ld/status",
	    (long)s.program.pid);
	if ((file = fopen(path, "re")) == NULL)
		return 0;
	while (fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "VmHWM: %lu", &most) == 1)
			break;
	(void)fclose(file);
	return most;
}

int
main(int argc, char **argv)
{
	unsigned long most = 0;
	int64_t end;
	int status = 0;

	if (argc != 7)
		errx(64, "PROGRAM PROCESS CONFIGURATION DIRECTORY SEED "
		    "SECONDS");
	signal(SIGPIPE, SIG_IGN);
	while (strcmp(wire_process(s.process), argv[2]) != 0)
		if (++s.process == PROC_MAX)
			errx(64, "%s is no process", argv[2]);
	s.random = strtoull(argv[5], NULL, 10) * 0x9e3779b97f4a7c15 + 1;
	start(argv[1], argv[3], argv[4]);
	end = clock_monotonic() + atoi(argv[6]) * SECOND;
	while (clock_monotonic() < end &&
	    waitpid(s.program.pid, &status, WNOHANG) == 0) {
		round_of_all();
		refill();
	}
	if (clock_monotonic() >= end) {
		most = memory();
		close(s.program.link);
		for (end += 20 * SECOND; waitpid(s.program.pid, &status,
		    WNOHANG) == 0; usleep(10000))
			if (clock_monotonic() > end)
				kill(s.program.pid, SIGKILL);
	}
	fprintf(stderr, "%lu frames said, %lu questions answered, %lu ends "
	    "lost, %lu KiB, status %d\n", s.sent, s.answered, s.closed, most,
	    status);
	if (getenv("ASAN_OPTIONS") == NULL && most > MEMORY_MAX)
		errx(1, "it takes more than %d KiB", MEMORY_MAX);
	return status != 0;
}
