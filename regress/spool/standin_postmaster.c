/*
 * postmaster: gives spoold its configuration, log, socket and neighbours, and
 * ends it.
 */
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "standin.h"

int
make_peer(enum process process, uint32_t instance)
{
	struct w_start_peer_ntf	 peer = {
		.process = process, .instance = instance, .may_claim_local = 1
	};

	return start_link(&s.spoold, &peer);
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
	start_configure_text(&s.spoold, s.conf, strlen(s.conf));
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
	start_tell(&s.spoold, IMSG_START_LOG_NTF, &log, fd);
}

void
start_spoold(void)
{
	struct w_start_listener_ntf	 listener;
	struct w_start_go_ntf		 go;

	start_program(&s.spoold, s.program, "0");
	tell_config();
	tell_log();
	memset(&listener, 0, sizeof(listener));
	listener.local = 1;
	start_tell(&s.spoold, IMSG_START_LISTENER_NTF, &listener,
	    make_control());
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
	start_tell(&s.spoold, IMSG_START_GO_NTF, &go, -1);
	start_await(&s.spoold);
	close(s.spoold.ready);
}

/* End it: by a signal, or as postmaster does if that is 0. */
void
stop_spoold(int number)
{
	int	 status;

	if (number != 0)
		kill(s.spoold.pid, number);
	close(s.spoold.link);
	if (waitpid(s.spoold.pid, &status, 0) == -1)
		err(1, "waitpid");
	s.spoold.pid = 0;
	printf("status %d\n", status);
	free_all();
}
