/*
 * The service manager: sockets it hands us (the sd_listen_fds convention)
 * and notices we give it (sd_notify), both spoken by ourselves.
 */
#include <netinet/in.h>
#include <sys/un.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "postmaster.h"

#define FIRST		3	/* descriptor handed over */
#define ABOVE		10	/* where they are kept */
#define SOCKETS_MAX	64

static struct {
	int	 sockets[SOCKETS_MAX];
	size_t	 count;
} handed;

/* A small number out of the environment, 0 if there is none. */
static long
number_of(const char *name)
{
	const char *text = getenv(name), *error;
	long number;

	if (text == NULL)
		return 0;
	number = strtonum(text, 0, INT32_MAX, &error);
	return error == NULL ? number : 0;
}

/* Move it away from where children have their descriptors. */
static void
keep(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, ABOVE);

	close(fd);
	if (copy == -1)
		return;
	fcntl(copy, F_SETFL, O_NONBLOCK);
	handed.sockets[handed.count++] = copy;
}

void
systemd_take_sockets(void)
{
	long count = number_of("LISTEN_FDS"), i;

	if (number_of("LISTEN_PID") == getpid())
		for (i = 0; i < count && i < SOCKETS_MAX; i++)
			keep(FIRST + i);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}

/* Are these the same place to listen on? */
static bool
is_same(const struct sockaddr_storage *has, const struct sockaddr *wanted)
{
	const struct sockaddr_un *un, *wanted_un;
	const struct sockaddr_in *in, *wanted_in;
	const struct sockaddr_in6 *in6, *wanted_in6;

	if (has->ss_family != wanted->sa_family)
		return false;
	switch (has->ss_family) {
	case AF_UNIX:
		un = (const struct sockaddr_un *)has;
		wanted_un = (const struct sockaddr_un *)wanted;
		return strcmp(un->sun_path, wanted_un->sun_path) == 0;
	case AF_INET:
		in = (const struct sockaddr_in *)has;
		wanted_in = (const struct sockaddr_in *)wanted;
		return in->sin_port == wanted_in->sin_port &&
		    in->sin_addr.s_addr == wanted_in->sin_addr.s_addr;
	case AF_INET6:
		in6 = (const struct sockaddr_in6 *)has;
		wanted_in6 = (const struct sockaddr_in6 *)wanted;
		return in6->sin6_port == wanted_in6->sin6_port &&
		    memcmp(&in6->sin6_addr, &wanted_in6->sin6_addr,
		    sizeof(in6->sin6_addr)) == 0;
	default:
		return false;
	}
}

int
systemd_socket(const struct sockaddr *wanted, socklen_t length)
{
	struct sockaddr_storage has;
	socklen_t size;
	size_t i;
	int fd;

	(void)length;
	for (i = 0; i < handed.count; i++) {
		memset(&has, 0, sizeof(has));
		size = sizeof(has) - 1;
		fd = handed.sockets[i];
		if (getsockname(fd, (struct sockaddr *)&has, &size) == -1 ||
		    !is_same(&has, wanted))
			continue;
		handed.sockets[i] = handed.sockets[--handed.count];
		return fd;
	}
	return -1;
}

void
systemd_notify(const char *state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length;
	int fd;

	if (path == NULL || (*path != '/' && *path != '@'))
		return;
	length = strlcpy(un.sun_path, path, sizeof(un.sun_path));
	if (length >= sizeof(un.sun_path))
		return;
	if (*path == '@')
		un.sun_path[0] = '\0';
	if ((fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) == -1)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL,
	    (struct sockaddr *)&un, offsetof(struct sockaddr_un, sun_path) +
	    length) == -1)
		log_errno(LOG_WARNING, "notify", "%s", path);
	close(fd);
}
