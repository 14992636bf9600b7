/* links: common/log.c common/queueid.c common/clock.c
 * postmaster/systemd.c */
/*
 * The service manager: sockets that it hands us are found by their address,
 * each once, and only if they are for us; it hears of what we do.
 */
#include <netinet/in.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "postmaster/postmaster.h"

static char directory[] = "/tmp/systemd_test.XXXXXX";

/* Bind a socket, as descriptor number fd. */
static void
bind_as(int fd, const struct sockaddr *address, socklen_t length)
{
	int own = socket(address->sa_family, SOCK_STREAM, 0);

	assert_int_equal(bind(own, address, length), 0);
	if (own == fd)
		return;
	assert_int_equal(dup2(own, fd), fd);
	close(own);
}

static void
test_sockets(void **state)
{
	struct sockaddr_in in = { .sin_family = AF_INET }, other;
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	const struct sockaddr *inet = (const struct sockaddr *)&in;
	const struct sockaddr *local = (const struct sockaddr *)&un;
	socklen_t length = sizeof(in);
	char pid[16];
	int fd;

	(void)state;
	snprintf(un.sun_path, sizeof(un.sun_path), "%s/submit", directory);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	bind_as(3, local, sizeof(un));
	bind_as(4, inet, sizeof(in));
	assert_int_equal(getsockname(4, (struct sockaddr *)&in, &length), 0);

	/* Meant for another, who started us. */
	snprintf(pid, sizeof(pid), "%d", getppid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "2", 1);
	systemd_take_sockets();
	assert_null(getenv("LISTEN_FDS"));
	assert_int_equal(systemd_socket(local, sizeof(un)), -1);
	assert_int_not_equal(fcntl(3, F_GETFD), -1);

	snprintf(pid, sizeof(pid), "%d", getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "2", 1);
	systemd_take_sockets();
	assert_null(getenv("LISTEN_FDS"));
	assert_null(getenv("LISTEN_PID"));
	assert_int_equal(fcntl(3, F_GETFD), -1);
	assert_int_equal(fcntl(4, F_GETFD), -1);
	other = in;
	other.sin_port ^= htons(1);
	assert_int_equal(systemd_socket((struct sockaddr *)&other,
	    sizeof(other)), -1);
	other = in;
	other.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	assert_int_equal(systemd_socket((struct sockaddr *)&other,
	    sizeof(other)), -1);
	fd = systemd_socket(inet, sizeof(in));
	assert_true(fd >= 10);
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(systemd_socket(inet, sizeof(in)), -1);
	close(fd);
	fd = systemd_socket(local, sizeof(un));
	assert_int_not_equal(fd, -1);
	close(fd);
	unlink(un.sun_path);
}

/* Told to a socket of that name, and to an abstract one. */
static void
test_notices(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	char name[64], heard[16];
	size_t i;
	int fd;

	(void)state;
	for (i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), i == 0 ? "%s/notify" : "@%s",
		    directory);
		strlcpy(un.sun_path, name, sizeof(un.sun_path));
		if (name[0] == '@')
			un.sun_path[0] = '\0';
		fd = socket(AF_UNIX, SOCK_DGRAM, 0);
		assert_int_equal(bind(fd, (struct sockaddr *)&un,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
		    strlen(name))), 0);
		setenv("NOTIFY_SOCKET", name, 1);
		systemd_notify("READY=1");
		assert_int_equal(recv(fd, heard, sizeof(heard),
		    MSG_DONTWAIT), 7);
		assert_memory_equal(heard, "READY=1", 7);
		close(fd);
	}
	snprintf(name, sizeof(name), "%s/notify", directory);
	unlink(name);
	systemd_notify("READY=1");
	unsetenv("NOTIFY_SOCKET");
	systemd_notify("READY=1");
	assert_int_equal(rmdir(directory), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sockets),
		cmocka_unit_test(test_notices)
	};

	if (mkdtemp(directory) == NULL)
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
