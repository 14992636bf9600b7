/*
 * The start of a program between stand-ins.
 */
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "link.h"
#include "regress/standin/start.h"

#define CONFIGURATION_MAX	65536

void
start_program(struct started *started, const char *program,
    const char *instance)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1 ||
	    (started->ready = eventfd(0, EFD_CLOEXEC)) == -1 ||
	    (started->pid = fork()) == -1)
		err(1, "start");
	if (started->pid == 0) {
		dup2(pair[1], 100);
		dup2(started->ready, 101);
		dup2(100, 3);
		dup2(101, 4);
		close_range(5, ~0U, 0);
		execl(program, program, instance, (char *)NULL);
		err(1, "%s", program);
	}
	close(pair[1]);
	started->link = pair[0];
}

void
start_tell(const struct started *started, enum imsg_type type,
    const void *payload, int fd)
{
	if (link_write_blocking(started->link, type, 0, payload, NULL, 0,
	    fd) == -1)
		err(1, "the start link: %s", wire_name(type));
}

void
start_configure_text(const struct started *started, const char *text,
    size_t length)
{
	struct w_start_config_ntf ntf = { .generation = 1 };
	int fd = memfd_create("conf", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd == -1 || write(fd, text, length) != (ssize_t)length ||
	    lseek(fd, 0, SEEK_SET) == -1)
		err(1, "memfd");
	start_tell(started, IMSG_START_CONFIG_NTF, &ntf, fd);
}

void
start_configure(const struct started *started, const char *path)
{
	static char text[CONFIGURATION_MAX];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd == -1 || (n = read(fd, text, sizeof(text))) == -1)
		err(1, "%s", path);
	if ((size_t)n == sizeof(text))
		errx(1, "%s is too long", path);
	close(fd);
	start_configure_text(started, text, (size_t)n);
}

int
start_link(const struct started *started, const struct w_start_peer_ntf *peer)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		err(1, "socketpair");
	start_tell(started, IMSG_START_PEER_NTF, peer, pair[1]);
	return pair[0];
}

void
start_await(const struct started *started)
{
	struct pollfd up[2] = {
		{ .fd = started->ready, .events = POLLIN },
		{ .fd = started->link, .events = 0 }	/* its end */
	};

	if (poll(up, 2, -1) == -1 || up[0].revents == 0)
		errx(1, "the program ended before it was ready");
}
