/* links: common/link_blocking.c common/frame.c common/wire.c common/log.c
 * common/queueid.c common/clock.c */
/*
 * Readers of frames without a loop, of a process that is started, a worker
 * and a command: the other end sends any octets and descriptors, cut as it
 * likes, then closes.  What is read is what was sent, keeps its rule, and no
 * descriptor is left but its own.  The input is who reads how, then pieces.
 */
#include <sys/socket.h>

#include <fcntl.h>
#include <unistd.h>

#include "frame.h"
#include "fuzz.h"
#include "help/files.h"
#include "link.h"

#define FDS		4
#define SENT_MAX	100000		/* what a socket holds */
#define READ_MAX	1000

static const enum process pairs[][2] = {
	{ PROC_WORKER, PROC_SPOOLD },
	{ PROC_CTL, PROC_SPOOLD },
	{ PROC_RELAY, PROC_POSTMASTER },
	{ PROC_SMTPD, PROC_POSTMASTER },
};

static struct {
	enum process	 self, peer;
	int		 ends[2];
	size_t		 sent;
} play;

/* ---- the other end ---- */

static void
put(const void *octets, size_t length, unsigned int count)
{
	if (length > 0 && (play.sent += length) <= SENT_MAX)
		send_with_files(play.ends[1], octets, length, count);
}

/* The nth type that the peer may say. */
static uint32_t
some_type(unsigned int nth)
{
	const struct wire_row *row;
	uint32_t type, found = IMSG_NONE, pass;

	for (pass = 0; pass < 64; pass++)
		for (type = IMSG_NONE + 1; type < IMSG_MAX; type++) {
			row = wire_row(type);
			if ((row->senders & (1U << play.peer)) == 0 ||
			    (row->receivers & (1U << play.self)) == 0)
				continue;
			found = type;
			if (nth-- == 0)
				return type;
		}
	return found;
}

/* A frame as it should be, or nearly; cut, or not. */
static void
put_frame(struct fuzz_input *in, uint8_t bits)
{
	uint8_t which = fuzz_byte(in), fill = fuzz_byte(in);
	struct frame_header header = { .type = some_type(which & 15),
	    .id = 1 };
	const struct wire_row *row = wire_row(header.type);
	size_t tail = (size_t)fuzz_byte(in) << (bits & 8 ? 8 : 0), cut;
	size_t length;
	char *frame;

	if (tail > row->tail + (bits & 1U))
		tail = row->tail + (bits & 1U);
	header.length = row->size + (uint32_t)tail;
	header.flags = row->fd == FD_ALWAYS || (row->fd == FD_MAYBE &&
	    (which & 16)) ? FRAME_FD : 0;
	length = sizeof(header) + header.length;
	frame = fuzz_need(malloc(length));
	memset(frame, fill, length);
	memcpy(frame, &header, sizeof(header));
	if (fill == 0)
		frame[sizeof(header)] = 1;
	cut = which & 128 ? sizeof(header) : 0;
	put(frame, cut, header.flags & FRAME_FD ? 1 : 0);
	put(frame + cut, length - cut, cut == 0 && (header.flags &
	    FRAME_FD) ? 1 + (which >> 5 & 1) : 0);
	free(frame);
}

static void
send_all(struct fuzz_input *in)
{
	uint8_t what;
	size_t count;

	while (in->left > 0 && play.sent < SENT_MAX) {
		what = fuzz_byte(in);
		if ((what & 3) != 0) {
			put_frame(in, what >> 2);
			continue;
		}
		count = fuzz_byte(in);
		if (count > in->left)
			count = in->left;
		put(in->at, count, (what >> 2) % (FDS + 1));
		in->at += count;
		in->left -= count;
	}
}

/* ---- our end ---- */

static void
check(struct frame *frame)
{
	const struct wire_row *row = wire_row(frame->type);
	char *copy;

	require(row != NULL && frame->payload != NULL);
	require((uintptr_t)frame->payload % 8 == 0);
	/* As one, of its own memory: an octet too many is seen. */
	copy = fuzz_need(malloc(row->size + frame->tail_length));
	memcpy(copy, frame->payload, row->size);
	if (frame->tail_length > 0)
		memcpy(copy + row->size, frame->tail, frame->tail_length);
	require(wire_check(play.peer, play.self, frame->type, frame->id,
	    copy, row->size + frame->tail_length, frame->fd != -1) == NULL);
	free(copy);
	if (frame->fd == -1)
		return;
	require(fcntl(frame->fd, F_GETFD) == FD_CLOEXEC);
	require(close(frame->fd) == 0);
}

static void
read_all(bool buffered)
{
	struct frame_in in = { 0 };
	struct frame frame;
	const char *why = NULL;
	int reads, result;

	for (reads = 0; reads < READ_MAX; reads++) {
		result = buffered ? link_read_buffered(&in, play.ends[0],
		    play.self, play.peer, &frame, &why) :
		    link_read_blocking(play.ends[0], play.self, play.peer,
		    &frame, -1, &why);
		if (result == -1)
			break;
		/* The end is there to be read. */
		require(result == (buffered ? 1 : 0) && why == NULL);
		check(&frame);
	}
	require(reads < READ_MAX && why != NULL && frame.fd == -1);
	frame_in_clear(&in);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t who = fuzz_byte(&in);
	uint64_t fds = fuzz_descriptors();

	play.self = pairs[who % 4][0];
	play.peer = pairs[who % 4][1];
	play.sent = 0;
	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    play.ends) == 0);
	send_all(&in);
	require(close(play.ends[1]) == 0);
	read_all(who & 4);
	require(close(play.ends[0]) == 0);
	require(fuzz_descriptors() == fds);
	return 0;
}
