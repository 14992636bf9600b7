/*
 * What a process is handed over its start link: its part of the
 * configuration, secrets, logs, listeners, ends of links, and the word to go.
 * Whatever needs a descriptor that cannot be had is not told: -1 with errno.
 */
#include <fcntl.h>
#include <string.h>

#include "log.h"
#include "postmaster.h"

static struct {
	const struct settings	*settings;
	const struct options	*options;
	uint64_t		 generation;
} provide;

void
provide_use(const struct settings *settings, const struct options *options,
    uint64_t generation)
{
	provide.settings = settings;
	provide.options = options;
	provide.generation = generation;
}

/* The first smtpd has the local socket to itself. */
static bool
is_local_smtpd(const struct child_process *child)
{
	return child->process == PROC_SMTPD &&
	    child->instance % WIRE_WORKERS == 0;
}

bool
is_local_relay(const struct child_process *child)
{
	return child->process == PROC_RELAY &&
	    child->instance % WIRE_WORKERS == 0;
}

int
provide_config(const struct child_process *child)
{
	struct w_start_config_ntf ntf = { .generation = provide.generation };
	int fd;

	if ((fd = part_open(provide.settings->conf, child->process)) == -1)
		return -1;
	start_tell(child->start, IMSG_START_CONFIG_NTF, &ntf, fd);
	return 0;
}

int
provide_secrets(const struct child_process *child)
{
	struct w_start_secrets_ntf ntf;
	int fd;

	if (provide.settings->secrets == -1)
		return 0;
	fd = fcntl(provide.settings->secrets, F_DUPFD_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	memset(&ntf, 0, sizeof(ntf));
	ntf.generation = provide.generation;
	ntf.refused = provide.settings->secrets_refused;
	start_tell(child->start, IMSG_START_SECRETS_NTF, &ntf, fd);
	return 0;
}

static int
tell_log(void *arg, const struct w_start_log_ntf *ntf, int fd)
{
	const struct child_process *child = arg;

	if (fd == -1)
		return -1;
	start_tell(child->start, IMSG_START_LOG_NTF, ntf, fd);
	return 0;
}

int
provide_logs(struct child_process *child)
{
	return logs_hand_over(child->process, tell_log, child);
}

bool
provide_accepts(const struct child_process *child,
    const struct listener *listener)
{
	return listener->process == child->process &&
	    (child->process != PROC_SMTPD ||
	    listener->local == is_local_smtpd(child));
}

int
provide_listener(const struct child_process *child,
    const struct listener *listener)
{
	struct w_start_listener_ntf ntf;
	int fd;

	if ((fd = fcntl(listener->fd, F_DUPFD_CLOEXEC, 0)) == -1)
		return -1;
	memset(&ntf, 0, sizeof(ntf));
	ntf.number = listener->number;
	ntf.local = listener->local;
	strlcpy(ntf.name, listener->name, sizeof(ntf.name));
	strlcpy(ntf.address, listener->address, sizeof(ntf.address));
	start_tell(child->start, IMSG_START_LISTENER_NTF, &ntf, fd);
	return 0;
}

void
provide_peer(const struct child_process *child,
    const struct child_process *peer, int fd)
{
	struct w_start_peer_ntf ntf;

	memset(&ntf, 0, sizeof(ntf));
	ntf.process = peer->process;
	ntf.instance = peer->instance;
	ntf.may_claim_local = is_local_smtpd(peer);
	ntf.finishing = peer->finishing;
	start_tell(child->start, IMSG_START_PEER_NTF, &ntf, fd);
}

void
provide_go(const struct child_process *child)
{
	const struct settings *settings = provide.settings;
	struct w_start_go_ntf ntf;
	const char *root = "";

	memset(&ntf, 0, sizeof(ntf));
	ntf.workers = 1;
	if (child->process == PROC_SMTPD)
		ntf.workers = is_local_smtpd(child) ? 1 :
		    settings->smtpd_workers;
	else if (child->process == PROC_RELAY && !is_local_relay(child))
		ntf.workers = settings->relay_workers;
	ntf.uid = settings->identities[child->process].uid;
	ntf.gid = settings->identities[child->process].gid;
	ntf.rootless = provide.options->rootless;
	if (child->process == PROC_SMTPD || (child->process == PROC_RELAY &&
	    !is_local_relay(child)))
		root = settings->empty_directory;
	else if (child->process == PROC_SPOOLD)
		root = settings->spool_directory;
	strlcpy(ntf.root, root, sizeof(ntf.root));
	strlcpy(ntf.hostname, settings->hostname, sizeof(ntf.hostname));
	start_tell(child->start, IMSG_START_GO_NTF, &ntf, -1);
}
