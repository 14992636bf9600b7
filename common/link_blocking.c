/*
 * Frames without a loop: a process that waits for its start, a command that
 * waits for its answer.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "frame.h"
#include "link.h"

#define READ_AT_ONCE	(128 * 1024)

/* Wait until fd is readable; -1 when the deadline has passed. */
static int
wait_readable(int fd, int64_t deadline)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	int64_t left;
	int n, milliseconds = -1;

	for (;;) {
		if (deadline >= 0) {
			left = deadline - clock_monotonic();
			milliseconds = left > 0 ? (int)(left / 1000) + 1 : 0;
		}
		n = poll(&pollfd, 1, milliseconds);
		if (n > 0)
			return 0;
		if (n == 0) {
			errno = ETIMEDOUT;
			return -1;
		}
		if (errno != EINTR)
			return -1;
	}
}

/* Read exactly length more octets into in. */
static int
read_exactly(struct frame_in *in, int fd, size_t length, int64_t deadline,
    const char **why)
{
	size_t stop = in->end + length;
	long n;

	while (in->end < stop) {
		in->size = stop;	/* never into the next frame */
		n = frame_in_read(in, fd, true);
		if (n > 0 || (n == -1 && errno == EINTR))
			continue;
		if (n == 0) {
			*why = "the other side has closed";
			return -1;
		}
		if (errno != EAGAIN || wait_readable(fd, deadline) == -1) {
			*why = errno == ETIMEDOUT ? "no answer in time" :
			    "reading failed";
			return -1;
		}
	}
	return 0;
}

int
link_read_blocking(int fd, enum process self, enum process peer,
    struct frame *frame, int milliseconds, const char **why)
{
	static struct {
		struct frame_header	header;
		char			contents[512 * 1024];
	} __attribute__((aligned(8))) room;
	struct frame_in in = { .data = (char *)&room };
	const struct wire_row *row;
	int64_t deadline = -1;

	memset(frame, 0, sizeof(*frame));
	frame->fd = -1;
	*why = NULL;
	if (milliseconds >= 0) {
		deadline = clock_monotonic() + milliseconds * INT64_C(1000);
		if (wait_readable(fd, deadline) == -1) {
			*why = "no answer in time";
			return -1;
		}
	}
	if (read_exactly(&in, fd, sizeof(room.header), deadline, why) == -1)
		goto fail;
	row = wire_row(room.header.type);
	if (row == NULL || room.header.length < row->size ||
	    room.header.length - row->size > row->tail ||
	    room.header.length > sizeof(room.contents)) {
		*why = "unknown type or wrong length";
		goto fail;
	}
	if (read_exactly(&in, fd, room.header.length, deadline, why) == -1)
		goto fail;
	frame->type = room.header.type;
	frame->id = room.header.id;
	frame->payload = room.contents;
	frame->tail = room.contents + row->size;
	frame->tail_length = room.header.length - row->size;
	frame->fd = frame_in_take_fd(&in);
	*why = wire_check(peer, self, frame->type, frame->id, frame->payload,
	    room.header.length, frame->fd != -1);
	if (*why != NULL && frame->fd != -1) {
		close(frame->fd);
		frame->fd = -1;
	}
 fail:
	/* The room is ours; descriptors too many are nobody's. */
	in.data = NULL;
	frame_in_clear(&in);
	return *why == NULL ? 0 : -1;
}

/*
 * Take the frame at the start of the buffer, if it is whole; 1, or 0 if more
 * must be read, or -1 with *why.
 */
static int
take_frame(struct frame_in *in, enum process self, enum process peer,
    struct frame *frame, const char **why)
{
	static uint64_t aligned[1024];
	const struct wire_row *row;
	struct frame_header header;
	const char *contents;

	if (in->end - in->start < sizeof(header))
		return 0;
	memcpy(&header, in->data + in->start, sizeof(header));
	row = wire_row(header.type);
	if (row == NULL || header.length < row->size ||
	    header.length - row->size > row->tail ||
	    row->size > sizeof(aligned)) {
		*why = "unknown type or wrong length";
		return -1;
	}
	if (frame_in_next(in, &header, &contents) == 0)
		return 0;
	memcpy(aligned, contents, row->size);
	frame->type = header.type;
	frame->id = header.id;
	frame->payload = aligned;
	frame->tail = contents + row->size;
	frame->tail_length = header.length - row->size;
	frame->fd = header.flags & FRAME_FD ? frame_in_take_fd(in) : -1;
	*why = wire_check(peer, self, frame->type, frame->id, aligned,
	    header.length, frame->fd != -1);
	if (*why == NULL)
		return 1;
	if (frame->fd != -1)
		close(frame->fd);
	frame->fd = -1;
	return -1;
}

int
link_read_buffered(struct frame_in *in, int fd, enum process self,
    enum process peer, struct frame *frame, const char **why)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	int result;
	long n;

	memset(frame, 0, sizeof(*frame));
	frame->fd = -1;
	*why = NULL;
	while ((result = take_frame(in, self, peer, frame, why)) == 0) {
		/* What has begun is read to its end. */
		if (in->start == in->end && poll(&pollfd, 1, 0) != 1)
			return 0;
		frame_in_reserve(in, READ_AT_ONCE);
		n = frame_in_read(in, fd, true);
		if (n == 0 || (n == -1 && errno != EINTR)) {
			*why = n == 0 ? "the other side has closed" :
			    "reading failed";
			return -1;
		}
	}
	return result;
}

int
link_write_buffered(struct frame_out *out, int fd)
{
	return frame_out_drain(out, fd);
}

void
link_add(struct frame_out *out, enum imsg_type type, uint32_t id,
    const void *payload, const void *tail, size_t tail_length, int passed)
{
	const struct wire_row *row = wire_row(type);
	struct frame_header header = {
		.type = type, .id = id,
		.length = row->size + (uint32_t)tail_length,
		.flags = passed != -1 ? FRAME_FD : 0
	};

	frame_out_add(out, &header, payload, row->size, tail, tail_length,
	    passed);
}

int
link_write_blocking(int fd, enum imsg_type type, uint32_t id,
    const void *payload, const void *tail, size_t tail_length, int passed)
{
	struct frame_out out = { 0 };
	int result, saved;

	link_add(&out, type, id, payload, tail, tail_length, passed);
	result = link_write_buffered(&out, fd);
	saved = errno;
	frame_out_clear(&out);
	errno = saved;
	return result;
}
