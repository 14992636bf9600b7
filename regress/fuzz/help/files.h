/*
 * Descriptors beside octets, more or fewer than a frame may have.
 */
#ifndef FUZZ_FILES_H
#define FUZZ_FILES_H

#include <sys/mman.h>
#include <sys/socket.h>

#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "../fuzz.h"

#define FILES_MAX	5

/* Send octets with so many files beside the first; what is not taken is cut. */
static inline void
send_with_files(int socket, const void *octets, size_t length,
    unsigned int count)
{
	union {
		struct cmsghdr	header;
		char		room[CMSG_SPACE(sizeof(int) * FILES_MAX)];
	} control;
	struct iovec iov = { (void *)(uintptr_t)octets, length };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;
	int fds[FILES_MAX];
	unsigned int i;

	require(count <= FILES_MAX);
	for (i = 0; i < count; i++)
		require((fds[i] = memfd_create("fuzz", MFD_CLOEXEC)) != -1);
	if (count > 0) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * count);
	}
	(void)sendmsg(socket, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	for (i = 0; i < count; i++)
		require(close(fds[i]) == 0);
}

#endif
