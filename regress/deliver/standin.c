/*
 * Stands in for postmaster and spoold around one real deliver.
 *
 *   standin DELIVER CONFIGURATION HOSTNAME
 *
 * Lines on standard input are obeyed, their words separated by tabs:
 *
 *   worker ID KIND NAME	ask for a worker; its link is kept under ID
 *   job ID KEY=VALUE ...	give the worker a JOB: row method mailer
 *				fresh sender address original extension
 *				domain text more arrival; body=PATH is the
 *				message, file=PATH the same by descriptor
 *   raw ID			write something that is no frame
 *   close ID			close the worker's link
 *   kill ID			USER_KILL
 *   relink			spoold is gone; here is a new one
 *   conf PATH			a new configuration
 *   number TEXT		print target_number()
 *
 * What comes back is printed as lines: "worker ID VERDICT", "stuck ID",
 * "ended ID STATUS", "answer ID ROW VERDICT STATUS TWIN PLACE TEXT
 * KIND:TARGET ...", "closed ID", "lost" when deliver is.  The end of standard
 * input ends everything.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "link.h"
#include "regress/standin/start.h"
#include "target.h"
#include "wire.h"

#define WORKERS	128

static struct {
	struct started	 deliver;
	int		 link;
	int		 workers[WORKERS];
	uint32_t	 last;		/* id of a frame */
} standin;

static void __attribute__((noreturn))
die(const char *what)
{
	perror(what);
	exit(1);
}

static void
tell(int fd, enum imsg_type type, const void *payload, int passed)
{
	if (link_write_blocking(fd, type, 0, payload, NULL, 0, passed) == -1)
		die(wire_name(type));
}

/* ---- postmaster ---- */

static void
give_link(void)
{
	struct w_start_peer_ntf peer = { .process = PROC_SPOOLD };

	standin.link = start_link(&standin.deliver, &peer);
}

static void
start(const char *program, const char *conf, const char *hostname)
{
	struct w_start_log_ntf log = { .kind = WIRE_LOG_FILE };
	struct w_start_go_ntf go = { .workers = 1 };

	start_program(&standin.deliver, program, "0");
	go.uid = getuid();
	go.gid = getgid();
	go.rootless = getuid() != 0;
	snprintf(go.hostname, sizeof(go.hostname), "%s", hostname);
	strcpy(log.name, "log");
	start_configure(&standin.deliver, conf);
	start_tell(&standin.deliver, IMSG_START_LOG_NTF, &log,
	    fcntl(2, F_DUPFD_CLOEXEC, 3));
	give_link();
	start_tell(&standin.deliver, IMSG_START_GO_NTF, &go, -1);
	start_await(&standin.deliver);
	printf("ready\t%ld\n", (long)standin.deliver.pid);
}

/* ---- spoold ---- */

static int *
worker_link(const char *id)
{
	unsigned long n = strtoul(id, NULL, 10);

	if (n >= WORKERS)
		die("worker id");
	return &standin.workers[n];
}

static void
ask_worker(char **words)
{
	struct w_user_worker_req req = { 0 };

	req.id = strtoul(words[1], NULL, 10);
	req.kind = strtoul(words[2], NULL, 10);
	snprintf(req.name, sizeof(req.name), "%s", words[3]);
	if (link_write_blocking(standin.link, IMSG_USER_WORKER_REQ,
	    ++standin.last, &req, NULL, 0, -1) == -1)
		die("USER_WORKER_REQ");
}

struct key {
	const char	*name;
	size_t		 offset;
	size_t		 size;
};

#define KEY(name, member) { name, offsetof(struct w_job_deliver_req, member), \
	sizeof(((struct w_job_deliver_req *)NULL)->member) }

static const struct key keys[] = {
	KEY("id", id), KEY("row", recipient), KEY("method", method),
	KEY("arrival", arrival), KEY("mailer", mailer), KEY("fresh", fresh),
	KEY("size", size), KEY("sender", sender), KEY("address", address),
	KEY("original", original), KEY("extension", extension),
	KEY("domain", domain), KEY("text", text), KEY("skip", skip),
};

/* Set a member, a number if it is short, a string otherwise. */
static void
set_key(struct w_job_deliver_req *req, const char *name, const char *value)
{
	size_t	 i;
	uint64_t number = strtoull(value, NULL, 10);
	char	*member;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strcmp(keys[i].name, name) != 0)
			continue;
		member = (char *)req + keys[i].offset;
		if (keys[i].size <= sizeof(number))
			memcpy(member, &number, keys[i].size);
		else
			snprintf(member, keys[i].size, "%s", value);
		return;
	}
	die(name);
}

/* A body's octets are appended to the tail. */
static size_t
read_body(const char *path, char *tail, size_t size)
{
	ssize_t	 n;
	int	 fd;

	if ((fd = open(path, O_RDONLY)) == -1 ||
	    (n = read(fd, tail, size)) == -1)
		die(path);
	close(fd);
	return (size_t)n;
}

static void
give_job(char **words)
{
	static char tail[WIRE_INLINE + 64 * WIRE_ADDRESS];
	struct w_job_deliver_req req = { .id = 1, .recipient = 1, .fresh = 1 };
	struct stat	 st;
	const char	*body = NULL;
	char		*value;
	size_t		 used = 0;
	int		 fd = -1, i;

	for (i = 2; words[i] != NULL; i++) {
		if ((value = strchr(words[i], '=')) == NULL)
			die(words[i]);
		*value++ = '\0';
		if (strcmp(words[i], "more") == 0) {
			strcpy(tail + used, value);
			used += strlen(value) + 1;
			req.more_addresses++;
		} else if (strcmp(words[i], "body") == 0) {
			body = value;
		} else if (strcmp(words[i], "file") == 0) {
			if ((fd = open(value, O_RDONLY)) == -1 ||
			    fstat(fd, &st) == -1)
				die(value);
			req.body_in_file = 1;
			req.size = (uint64_t)st.st_size;
		} else
			set_key(&req, words[i], value);
	}
	if (body != NULL) {
		req.size = read_body(body, tail + used, sizeof(tail) - used);
		used += req.size;
	}
	if (link_write_blocking(*worker_link(words[1]), IMSG_JOB_DELIVER_REQ,
	    ++standin.last, &req, tail, used, fd) == -1)
		printf("unwritten\t%s\n", words[1]);
}

/* ---- what comes back ---- */

static void
print_worker(struct frame *frame)
{
	const struct w_user_worker_ans *ans = frame->payload;

	printf("worker\t%lu\t%lu\n", (unsigned long)ans->id,
	    (unsigned long)ans->verdict);
	if (frame->fd != -1) {
		standin.workers[ans->id] = frame->fd;
		frame->fd = -1;
	}
}

static void
on_deliver(void)
{
	const struct w_user_stuck_ntf *stuck;
	const struct w_user_ended_ntf *ended;
	struct frame	 frame;
	const char	*why;

	if (link_read_blocking(standin.link, PROC_SPOOLD, PROC_DELIVER,
	    &frame, -1, &why) == -1) {
		printf("lost\t%s\n", why);
		close(standin.link);
		standin.link = -1;
		return;
	}
	if (frame.type == IMSG_USER_WORKER_ANS)
		print_worker(&frame);
	else if (frame.type == IMSG_USER_STUCK_NTF) {
		stuck = frame.payload;
		printf("stuck\t%lu\n", (unsigned long)stuck->id);
	} else {
		ended = frame.payload;
		printf("ended\t%lu\t%u\n", (unsigned long)ended->id,
		    ended->status);
	}
}

static void
on_worker(int id)
{
	const struct w_job_deliver_ans *ans;
	enum target_place place;
	struct frame	 frame;
	const char	*why, *text;

	if (link_read_blocking(standin.workers[id], PROC_SPOOLD, PROC_WORKER,
	    &frame, -1, &why) == -1) {
		printf("closed\t%d\t%s\n", id, why);
		close(standin.workers[id]);
		standin.workers[id] = -1;
		return;
	}
	ans = frame.payload;
	printf("answer\t%d\t%u\t%u\t%s\t%u\t%s\t%s", id, ans->recipient,
	    ans->verdict, ans->status, ans->twin, ans->place, ans->text);
	while (wire_next_target(&frame.tail, &frame.tail_length, &place,
	    &text) == 1)
		printf("\t%u:%s", place, text);
	putchar('\n');
}

static void
obey(char *line)
{
	struct w_user_kill_ntf kill_ntf;
	struct w_start_peer_down_ntf down = { .process = PROC_SPOOLD };
	char	*words[64] = { NULL };
	size_t	 i;

	line[strcspn(line, "\n")] = '\0';
	for (i = 0; i < 63 && line != NULL; i++)
		words[i] = strsep(&line, "\t");
	if (strcmp(words[0], "worker") == 0)
		ask_worker(words);
	else if (strcmp(words[0], "job") == 0)
		give_job(words);
	else if (strcmp(words[0], "raw") == 0)
		(void)!write(*worker_link(words[1]), "GET / HTTP/1.0\r\n\r\n",
		    18);
	else if (strcmp(words[0], "close") == 0) {
		close(*worker_link(words[1]));
		*worker_link(words[1]) = -1;
	} else if (strcmp(words[0], "kill") == 0) {
		kill_ntf.id = strtoul(words[1], NULL, 10);
		tell(standin.link, IMSG_USER_KILL_NTF, &kill_ntf, -1);
	} else if (strcmp(words[0], "relink") == 0) {
		start_tell(&standin.deliver, IMSG_START_PEER_DOWN_NTF, &down,
		    -1);
		close(standin.link);
		give_link();
	} else if (strcmp(words[0], "conf") == 0)
		start_configure(&standin.deliver, words[1]);
	else if (strcmp(words[0], "number") == 0)
		printf("number\t%u\n", target_number(words[1]));
	else
		die(words[0]);
}

int
main(int argc, char **argv)
{
	struct pollfd	 fds[WORKERS + 2];
	char		 line[8192];
	int		 i;

	if (argc != 4)
		return 64;
	setvbuf(stdout, NULL, _IOLBF, 0);
	setvbuf(stdin, NULL, _IONBF, 0);
	for (i = 0; i < WORKERS; i++)
		standin.workers[i] = -1;
	start(argv[1], argv[2], argv[3]);
	for (;;) {
		fds[0] = (struct pollfd){ .fd = 0, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = standin.link,
		    .events = POLLIN };
		for (i = 0; i < WORKERS; i++)
			fds[i + 2] = (struct pollfd){
			    .fd = standin.workers[i], .events = POLLIN };
		if (poll(fds, WORKERS + 2, -1) == -1 && errno != EINTR)
			die("poll");
		for (i = 0; i < WORKERS; i++)
			if (fds[i + 2].revents != 0)
				on_worker(i);
		if (fds[1].revents != 0)
			on_deliver();
		if (fds[0].revents == 0)
			continue;
		if (fgets(line, sizeof(line), stdin) == NULL)
			break;
		obey(line);
	}
	close(standin.deliver.link);
	waitpid(standin.deliver.pid, &i, 0);
	return 0;
}
