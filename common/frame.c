/*
 * Buffers of frames, and how their octets and descriptors cross a socket.
 */
#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frame.h"
#include "log.h"

#define BUFFER_FIRST	4096
#define PAUSE_MS	100
#define BUFFER_KEPT	(256 * 1024)	/* a larger empty one is given back */

/* Let data hold wanted octets behind *end, moving what is left to the front. */
static void
buffer_reserve(char **data, size_t *start, size_t *end, size_t *size,
    size_t wanted)
{
	size_t larger;

	if (*size - *end >= wanted)
		return;
	if (*start > 0) {
		memmove(*data, *data + *start, *end - *start);
		*end -= *start;
		*start = 0;
	}
	if (*size - *end >= wanted)
		return;
	larger = *size > 0 ? *size : BUFFER_FIRST;
	while (larger - *end < wanted)
		larger *= 2;
	if ((*data = realloc(*data, larger)) == NULL)
		fatal("frame buffer of %zu octets", larger);
	*size = larger;
}

static void
buffer_emptied(char **data, size_t *start, size_t *end, size_t *size)
{
	*start = *end = 0;
	if (*size > BUFFER_KEPT) {
		free(*data);
		*data = NULL;
		*size = 0;
	}
}

void
frame_out_add(struct frame_out *out, const struct frame_header *header,
    const void *payload, size_t length, const void *tail, size_t tail_length,
    int fd)
{
	struct frame_out_fd *fds;
	size_t shift = out->start, i;

	buffer_reserve(&out->data, &out->start, &out->end, &out->size,
	    sizeof(*header) + length + tail_length);
	shift -= out->start;
	for (i = 0; i < out->fd_count; i++)
		out->fds[i].at -= shift;
	if (fd != -1) {
		fds = reallocarray(out->fds, out->fd_count + 1, sizeof(*fds));
		if (fds == NULL)
			fatal("frame descriptors");
		out->fds = fds;
		out->fds[out->fd_count].at = out->end;
		out->fds[out->fd_count++].fd = fd;
	}
	memcpy(out->data + out->end, header, sizeof(*header));
	out->end += sizeof(*header);
	if (length > 0)
		memcpy(out->data + out->end, payload, length);
	out->end += length;
	if (tail_length > 0)
		memcpy(out->data + out->end, tail, tail_length);
	out->end += tail_length;
}

/* Send from start to stop, with a descriptor beside the first octet. */
static ssize_t
send_run(struct frame_out *out, int socket, size_t stop, int fd)
{
	union {
		struct cmsghdr	header;
		char		room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { out->data + out->start, stop - out->start };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;

	if (fd != -1) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control.room);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	}
	return sendmsg(socket, &msg, MSG_NOSIGNAL);
}

static void
drop_first_fd(struct frame_out *out)
{
	close(out->fds[0].fd);
	out->fd_count--;
	memmove(out->fds, out->fds + 1, out->fd_count * sizeof(*out->fds));
}

int
frame_out_write(struct frame_out *out, int socket)
{
	size_t stop;
	ssize_t n;
	bool with_fd;

	while (out->start < out->end) {
		with_fd = out->fd_count > 0 && out->fds[0].at == out->start;
		stop = out->end;
		if (out->fd_count > (with_fd ? 1 : 0))
			stop = out->fds[with_fd ? 1 : 0].at;
		n = send_run(out, socket, stop,
		    with_fd ? out->fds[0].fd : -1);
		if (n == -1) {
			if (errno == EINTR)
				continue;
			if (errno == EAGAIN || errno == ENOBUFS ||
			    errno == ENOMEM)
				return 0;
			return -1;
		}
		if (with_fd && n > 0)
			drop_first_fd(out);
		out->start += (size_t)n;
	}
	buffer_emptied(&out->data, &out->start, &out->end, &out->size);
	return 1;
}

int
frame_out_drain(struct frame_out *out, int socket)
{
	struct pollfd pollfd = { .fd = socket, .events = POLLOUT };
	int result;
	bool full;

	while ((result = frame_out_write(out, socket)) == 0) {
		/* Without memory it is ready all the same. */
		full = errno == EAGAIN;
		if (poll(&pollfd, full, full ? -1 : PAUSE_MS) == -1 &&
		    errno != EINTR)
			return -1;
	}
	return result == 1 ? 0 : -1;
}

void
frame_out_clear(struct frame_out *out)
{
	while (out->fd_count > 0)
		drop_first_fd(out);
	free(out->fds);
	free(out->data);
	memset(out, 0, sizeof(*out));
}

void
frame_in_reserve(struct frame_in *in, size_t wanted)
{
	buffer_reserve(&in->data, &in->start, &in->end, &in->size, wanted);
}

/* Keep the descriptors that came with a message; -1 if there is no room. */
static int
keep_fds(struct frame_in *in, struct msghdr *msg)
{
	struct cmsghdr *cmsg;
	size_t i, count;
	int fd, result = 0;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg != NULL;
	    cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET ||
		    cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < count; i++) {
			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(fd),
			    sizeof(fd));
			if (in->fd_count < FRAME_FDS) {
				in->fds[in->fd_count++] = fd;
			} else {
				close(fd);
				result = -1;
			}
		}
	}
	if (msg->msg_flags & MSG_CTRUNC)
		result = -1;
	return result;
}

long
frame_in_read(struct frame_in *in, int socket, bool with_fds)
{
	union {
		struct cmsghdr	header;
		char		room[CMSG_SPACE(sizeof(int) * FRAME_FDS)];
	} control;
	struct iovec iov = { in->data + in->end, in->size - in->end };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (with_fds) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control.room);
	}
	if ((n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC)) == -1)
		return -1;
	in->end += (size_t)n;
	if (with_fds ? keep_fds(in, &msg) == -1 :
	    (msg.msg_flags & MSG_CTRUNC) != 0) {
		errno = EMSGSIZE;
		return -1;
	}
	return n;
}

int
frame_in_next(struct frame_in *in, struct frame_header *header,
    const char **contents)
{
	if (in->end - in->start < sizeof(*header)) {
		if (in->start == in->end)
			buffer_emptied(&in->data, &in->start, &in->end,
			    &in->size);
		return 0;
	}
	memcpy(header, in->data + in->start, sizeof(*header));
	if (in->end - in->start - sizeof(*header) < header->length)
		return 0;
	*contents = in->data + in->start + sizeof(*header);
	in->start += sizeof(*header) + header->length;
	return 1;
}

int
frame_in_take_fd(struct frame_in *in)
{
	int fd;

	if (in->fd_count == 0)
		return -1;
	fd = in->fds[0];
	in->fd_count--;
	memmove(in->fds, in->fds + 1, in->fd_count * sizeof(*in->fds));
	return fd;
}

void
frame_in_clear(struct frame_in *in)
{
	int fd;

	while ((fd = frame_in_take_fd(in)) != -1)
		close(fd);
	free(in->data);
	memset(in, 0, sizeof(*in));
}
