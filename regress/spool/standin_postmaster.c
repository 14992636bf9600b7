/*
 * postmaster: gives spoold its configuration, log, socket and neighbours, and
 * ends it.
 */
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "standin.h"

static void
tell_start(enum imsg_type type, const void *payload, int fd)
{
	if (link_write_blocking(s.start, type, 0, payload, NULL, 0, fd) == -1)
		err(1, "the start link");
}

int
make_peer(enum process process, uint32_t instance)
{
	struct w_start_peer_ntf	 peer;
	int			 pair[2];

	memset(&peer, 0, sizeof(peer));
	peer.process = process;
	peer.instance = instance;
	peer.may_claim_local = 1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		err(1, "socketpair");
	tell_start(IMSG_START_PEER_NTF, &peer, pair[1]);
	close(pair[1]);
	return pair[0];
}

struct link *
link_peer(enum process process, uint32_t instance,
    const struct link_role *role)
{
	return link_new(s.base, make_peer(process, instance), role,
	    (void *)(uintptr_t)instance);
}

static int
make_control(void)
{
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };
	int			 fd;

	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/../control",
	    s.directory);
	(void)unlink(sun.sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1 || bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    listen(fd, 8) == -1)
		err(1, "%s", sun.sun_path);
	return fd;
}

void
tell_config(void)
{
	struct w_start_config_ntf	 config = { .generation = 1 };
	int				 fd;

	fd = memfd_create("conf", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd == -1 || write(fd, s.conf, strlen(s.conf)) == -1 ||
	    lseek(fd, 0, SEEK_SET) == -1)
		err(1, "memfd");
	tell_start(IMSG_START_CONFIG_NTF, &config, fd);
	close(fd);
}

static void
tell_log(void)
{
	struct w_start_log_ntf	 log;
	char			 path[512];
	int			 fd;

	memset(&log, 0, sizeof(log));
	log.kind = WIRE_LOG_FILE;
	(void)strcpy(log.name, "log");
	(void)strcpy(log.ident, "spoold");
	(void)snprintf(path, sizeof(path), "%s/../log", s.directory);
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd == -1)
		err(1, "%s", path);
	tell_start(IMSG_START_LOG_NTF, &log, fd);
	close(fd);
}

void
start_spoold(void)
{
	struct w_start_listener_ntf	 listener;
	struct w_start_go_ntf		 go;
	struct pollfd			 up[2] = { { .events = POLLIN } };
	int				 pair[2], event, control;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1 ||
	    (event = eventfd(0, EFD_CLOEXEC)) == -1)
		err(1, "start");
	if ((s.pid = fork()) == -1)
		err(1, "fork");
	if (s.pid == 0) {
		dup2(pair[1], 100);
		dup2(event, 101);
		dup2(100, 3);
		dup2(101, 4);
		close_range(5, ~0U, 0);
		execl(s.program, s.program, "0", (char *)NULL);
		err(1, "%s", s.program);
	}
	close(pair[1]);
	s.start = pair[0];
	tell_config();
	tell_log();
	memset(&listener, 0, sizeof(listener));
	listener.local = 1;
	control = make_control();
	tell_start(IMSG_START_LISTENER_NTF, &listener, control);
	close(control);
	s.lease_count = 0;
	s.held_count = 0;
	memset(s.coming, 0, sizeof(s.coming));
	s.smtpd = link_peer(PROC_SMTPD, 0, &smtpd_role);
	s.policyd = link_peer(PROC_POLICYD, 0, &policyd_role);
	s.silent = -1;
	s.deliver = link_peer(PROC_DELIVER, 0, &deliver_role);
	s.relays[0] = link_peer(PROC_RELAY, 0, &relay_role);
	s.relays[1] = link_peer(PROC_RELAY, 1, &relay_role);
	memset(&go, 0, sizeof(go));
	go.workers = 1;
	go.uid = getuid();
	go.gid = getgid();
	go.rootless = 1;
	(void)snprintf(go.root, sizeof(go.root), "%s", s.directory);
	(void)strcpy(go.hostname, "here.test");
	tell_start(IMSG_START_GO_NTF, &go, -1);
	up[0].fd = event;
	up[1].fd = s.start;
	if (poll(up, 2, -1) == -1 || up[0].revents == 0)
		errx(1, "spoold ended before it was ready");
	close(event);
}

/* End it: by a signal, or as postmaster does if that is 0. */
void
stop_spoold(int number)
{
	int	 status;

	if (number != 0)
		kill(s.pid, number);
	close(s.start);
	if (waitpid(s.pid, &status, 0) == -1)
		err(1, "waitpid");
	s.pid = 0;
	printf("status %d\n", status);
	free_all();
}
