/*
 * Stands in for postmaster, smtpd and spoold around one real policyd.
 *
 *   standin POLICYD CONFIGURATION [UID GID]
 *
 * Lines on standard input are obeyed, their words separated by tabs:
 *
 *   rcpt STANDING LISTENER RECIPIENT	s stranger, t trusted, l local
 *   route ADDRESS [TARGET]
 *   explain ADDRESS
 *
 * Each is answered: "verdict CODE-OF-ENUM NUMBER TEXT", "route KIND WORKER
 * MAILER ACCOUNT EXTENSION ADDRESS HOP TEXT PLACE:TARGET ...", or the text of
 * the explanation and a line "end".  The end of standard input ends all.
 */
#include <sys/socket.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "link.h"
#include "regress/standin/start.h"
#include "wire.h"

static struct {
	struct started	 policyd;
	int		 smtpd;
	int		 spoold;
	uint32_t	 last;		/* id of a frame */
} standin;

static void __attribute__((noreturn))
die(const char *what)
{
	perror(what);
	exit(1);
}

static void
start(const char *program, const char *conf, uid_t uid, gid_t gid)
{
	struct w_start_log_ntf log = { .kind = WIRE_LOG_FILE };
	struct w_start_go_ntf go = { .workers = 1, .uid = uid, .gid = gid };
	struct w_start_peer_ntf smtpd = { .process = PROC_SMTPD,
	    .instance = 1 };
	struct w_start_peer_ntf spoold = { .process = PROC_SPOOLD,
	    .instance = 1 };

	start_program(&standin.policyd, program, "0");
	go.rootless = getuid() != 0;
	strcpy(go.hostname, "mx.policy.test");
	strcpy(log.name, "log");
	start_configure(&standin.policyd, conf);
	start_tell(&standin.policyd, IMSG_START_LOG_NTF, &log,
	    fcntl(2, F_DUPFD_CLOEXEC, 3));
	standin.smtpd = start_link(&standin.policyd, &smtpd);
	standin.spoold = start_link(&standin.policyd, &spoold);
	start_tell(&standin.policyd, IMSG_START_GO_NTF, &go, -1);
	start_await(&standin.policyd);
	printf("ready\t%ld\n", (long)standin.policyd.pid);
}

/* Ask and wait for the answer. */
static void
ask(int fd, enum process self, enum imsg_type type, const void *payload,
    struct frame *frame)
{
	const char *why;

	if (link_write_blocking(fd, type, ++standin.last, payload, NULL, 0,
	    -1) == -1)
		die(wire_name(type));
	if (link_read_blocking(fd, self, PROC_POLICYD, frame, 10000, &why) ==
	    -1) {
		printf("lost\t%s\n", why);
		exit(1);
	}
}

static void
ask_rcpt_check(char **words)
{
	struct w_rcpt_check_req req = { .session = 1 };
	const struct w_rcpt_check_ans *answer;
	struct frame frame;

	req.client.standing = *words[1] == 't' ? STANDING_TRUSTED :
	    *words[1] == 'l' ? STANDING_LOCAL : STANDING_STRANGER;
	snprintf(req.client.listener, sizeof(req.client.listener), "%s",
	    words[2]);
	snprintf(req.recipient, sizeof(req.recipient), "%s", words[3]);
	ask(standin.smtpd, PROC_SMTPD, IMSG_RCPT_CHECK_REQ, &req, &frame);
	answer = frame.payload;
	printf("verdict\t%u\t%u\t%s\n", (unsigned int)answer->verdict,
	    (unsigned int)answer->code, answer->text);
}

static void
ask_route_resolve(char **words)
{
	struct w_route_resolve_req req = { .id = 1, .recipient = 1 };
	const struct w_route_resolve_ans *answer;
	struct frame frame;
	enum target_place place;
	const char *text;
	const void *tail;
	size_t length;

	req.client.standing = STANDING_STRANGER;
	strcpy(req.sender, "sender@away.test");
	snprintf(req.address, sizeof(req.address), "%s", words[1]);
	if (words[2] != NULL)
		snprintf(req.target, sizeof(req.target), "%s", words[2]);
	ask(standin.spoold, PROC_SPOOLD, IMSG_ROUTE_RESOLVE_REQ, &req, &frame);
	answer = frame.payload;
	printf("route\t%u\t%u\t%u\t%s\t%s\t%s\t%s%s%s\t%s",
	    (unsigned int)answer->kind, (unsigned int)answer->worker,
	    (unsigned int)answer->mailer, answer->account, answer->extension,
	    answer->address, answer->exchange, answer->exchange[0] != '\0' ?
	    " by " : "", answer->hop, answer->text);
	tail = frame.tail;
	length = frame.tail_length;
	while (wire_next_target(&tail, &length, &place, &text) == 1)
		printf("\t%d:%s", (int)place, text);
	printf("\n");
}

static void
ask_route_explain(char **words)
{
	struct w_route_explain_req req = { .id = 1 };
	const struct w_route_explain_ans *answer;
	struct frame frame;

	req.client.standing = STANDING_STRANGER;
	snprintf(req.address, sizeof(req.address), "%s", words[1]);
	ask(standin.spoold, PROC_SPOOLD, IMSG_ROUTE_EXPLAIN_REQ, &req, &frame);
	answer = frame.payload;
	fwrite(frame.tail, 1, frame.tail_length, stdout);
	printf("hop %u [%s] [%s] [%s]\n", (unsigned int)answer->kind,
	    answer->hop, answer->exchange, answer->address);
	printf("end\n");
}

static const struct {
	const char	*name;
	int		 words;
	void		(*obey)(char **);
} orders[] = {
	{ "rcpt",	4, ask_rcpt_check },
	{ "route",	2, ask_route_resolve },
	{ "explain",	2, ask_route_explain }
};

static void
obey(char *line)
{
	char *words[8] = { NULL };
	size_t i;
	int count = 0;

	line[strcspn(line, "\n")] = '\0';
	while (count < 7 && line != NULL)
		words[count++] = strsep(&line, "\t");
	for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
		if (strcmp(words[0], orders[i].name) == 0 &&
		    count >= orders[i].words) {
			orders[i].obey(words);
			return;
		}
	die(words[0]);
}

int
main(int argc, char **argv)
{
	char *line = NULL;
	size_t size = 0;
	int status;

	if (argc != 3 && argc != 5) {
		fprintf(stderr, "usage: standin POLICYD CONFIGURATION "
		    "[UID GID]\n");
		return 64;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	start(argv[1], argv[2],
	    argc == 5 ? (uid_t)strtoul(argv[3], NULL, 10) : getuid(),
	    argc == 5 ? (gid_t)strtoul(argv[4], NULL, 10) : getgid());
	while (getline(&line, &size, stdin) != -1)
		obey(line);
	free(line);
	close(standin.policyd.link);
	if (waitpid(standin.policyd.pid, &status, 0) == -1)
		die("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}
