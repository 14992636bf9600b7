/* links: common/link.c common/asks.c common/frame.c common/wire.c
 * common/loop.c common/log.c common/queueid.c
 * regress/fuzz/help/played.c */
/*
 * One end of a link, whose other end sends any octets and any descriptors,
 * cut as it likes, or closes; and whose own process asks, answers, forgets
 * and ends it within handlers or without.  What reaches a handler keeps its
 * rule; each question ends once; no more of them are out than may be; and no
 * descriptor is left.  The input is who the two are, then steps.
 */
#include <sys/mman.h>
#include <sys/socket.h>

#include <fcntl.h>
#include <unistd.h>

#include "fuzz.h"
#include "help/files.h"
#include "help/played.h"
#include "link.h"
#include "loop.h"

#define ASKS		600
#define FDS		5
#define STEPS		200
#define LATE		8	/* questions to a link that is gone */

static const enum process pairs[][2] = {
	{ PROC_WORKER, PROC_SPOOLD },		/* a descriptor, or none */
	{ PROC_SPOOLD, PROC_DELIVER },
	{ PROC_RELAY, PROC_POSTMASTER },	/* always one */
	{ PROC_SMTPD, PROC_POSTMASTER },
	{ PROC_SPOOLD, PROC_CTL },		/* never one */
	{ PROC_SMTPD, PROC_SPOOLD },
	{ PROC_SPOOLD, PROC_SMTPD },
	{ PROC_RELAY, PROC_SPOOLD },
	{ PROC_POLICYD, PROC_SPOOLD }
};

struct asked {
	uint32_t	 id;		/* as link_ask() said */
	bool		 over;
	bool		 forgotten;
};

struct request {
	uint32_t	 type;
	uint32_t	 id;
};

static struct {
	struct link_role role;
	struct link_handler handlers[IMSG_MAX + 1];
	struct link	*link;		/* NULL: it is gone */
	struct far	 far;
	bool		 freed;		/* by us: closed() is not called */
	unsigned int	 closed;
	struct asked	 asked[ASKS];
	size_t		 asked_count;
	struct request	 owed[ASKS];	/* requests we have not answered */
	size_t		 owed_count;
	uint32_t	 out[IMSG_MAX];	/* ours that the other end has */
	struct request	 heard[ASKS];
	size_t		 heard_count;
	struct fuzz_input *in;
	unsigned int	 steps;
	bool		 failing;	/* within a handler of its end */
	unsigned int	 late;
} play;

static void	act(uint8_t);

static bool
may_say(enum process from, enum process to, uint32_t type)
{
	const struct wire_row *row = wire_row(type);

	return row != NULL && (row->senders & (1U << from)) != 0 &&
	    (row->receivers & (1U << to)) != 0;
}

/* The nth type that one may say to the other, IMSG_NONE without any. */
static uint32_t
some_type(enum process from, enum process to, bool request, uint8_t nth)
{
	uint32_t type, count = 0, pass;

	for (pass = 0; pass < 2; pass++) {
		for (type = IMSG_NONE + 1; type < IMSG_MAX; type++) {
			if (!may_say(from, to, type) || (request &&
			    wire_row(type)->answer == IMSG_NONE))
				continue;
			if (pass == 0)
				count++;
			else if (nth-- == 0)
				return type;
		}
		if (count == 0)
			return IMSG_NONE;
		nth = (uint8_t)(nth % count);
	}
	return IMSG_NONE;
}

/* ---- our process ---- */

static void
on_closed(struct link *link, const char *why, void *arg)
{
	(void)why;
	require(link == play.link && arg == &play && !play.freed);
	require(++play.closed == 1);
	play.link = NULL;
}

/* An answer, or a link's end in its place. */
static void
end_ask(struct link *link, struct frame *frame, struct asked *asked)
{
	require(asked >= play.asked && asked < play.asked + play.asked_count);
	require(!asked->over && !asked->forgotten);
	asked->over = true;
	(void)link;
	(void)frame;
}

static void
on_frame(struct link *link, struct frame *frame, void *arg)
{
	const struct wire_row *row = wire_row(frame->type);
	char *copy;

	require(row != NULL && link == play.link);
	if (frame->payload != NULL) {
		/* As one, of its own memory: an octet too many is seen. */
		copy = fuzz_need(malloc(row->size + frame->tail_length));
		memcpy(copy, frame->payload, row->size);
		if (frame->tail_length > 0)
			memcpy(copy + row->size, frame->tail,
			    frame->tail_length);
		require(wire_check(play.role.peer, play.role.self,
		    frame->type, frame->id, copy, row->size +
		    frame->tail_length, frame->fd != -1) == NULL);
		free(copy);
		require((uintptr_t)frame->payload % 8 == 0);
		require(frame->fd == -1 || fcntl(frame->fd, F_GETFD) ==
		    FD_CLOEXEC);
	}
	if (wire_request(frame->type) != IMSG_NONE)
		end_ask(link, frame, arg);
	else
		require(arg == &play && frame->payload != NULL);
	if (row->answer != IMSG_NONE) {
		require(play.owed_count < ASKS);
		play.owed[play.owed_count++] = (struct request){ frame->type,
		    frame->id };
	}
	if (frame->fd != -1 && (fuzz_byte(play.in) & 1)) {
		require(close(frame->fd) == 0);
		frame->fd = -1;
	}
	play.failing = frame->payload == NULL;
	act(fuzz_byte(play.in));
	play.failing = false;
}

/* Zeros, but for the id that a row may want. */
static void
fill(char *payload, const struct wire_row *row)
{
	uint64_t one = 1;

	memset(payload, 0, row->size);
	memcpy(payload, &one, sizeof(one));
}

static int
some_file(void)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	require(fd != -1);
	return fd;
}

static void
ask(uint8_t which)
{
	uint32_t type = some_type(play.role.self, play.role.peer, true,
	    which);
	const struct wire_row *row = wire_row(type);
	struct asked *asked = &play.asked[play.asked_count];
	char payload[8192];

	if (type == IMSG_NONE || play.asked_count == ASKS ||
	    (play.failing && ++play.late > LATE))
		return;
	fill(payload, row);
	play.asked_count++;
	asked->id = link_ask(play.link, (enum imsg_type)type, payload, NULL,
	    0, row->fd == FD_MAYBE && (which & 128) ? some_file() : -1,
	    asked);
	require(asked->id != 0);
}

static void
forget(uint8_t which)
{
	struct asked *asked = &play.asked[play.asked_count > 0 ?
	    which % play.asked_count : 0];

	if (play.asked_count == 0 || asked->over || asked->forgotten)
		return;
	asked->forgotten = true;
	link_forget(play.link, asked->id);
}

static void
answer(uint8_t which)
{
	struct request owed;
	const struct wire_row *row;
	char payload[8192];

	if (play.owed_count == 0)
		return;
	which = (uint8_t)(which % play.owed_count);
	owed = play.owed[which];
	play.owed[which] = play.owed[--play.owed_count];
	row = wire_row(wire_row(owed.type)->answer);
	fill(payload, row);
	link_answer(play.link, wire_row(owed.type)->answer, owed.id, payload,
	    NULL, 0, row->fd == FD_MAYBE && (which & 1) ? some_file() : -1);
}

/* What our process does, in a handler or out of it. */
static void
act(uint8_t what)
{
	uint8_t which;

	if (play.link == NULL || ++play.steps > STEPS)
		return;
	which = fuzz_byte(play.in);
	if (play.failing && what % 16 >= 7)
		return;
	switch (what % 16) {
	case 0: case 1: case 2:
		ask(which);
		break;
	case 3: case 4:
		answer(which);
		break;
	case 5:
		forget(which);
		break;
	case 6:
		link_flush(play.link);
		break;
	case 7:
		if (which < 16)
			link_violation(play.link, "as the input says");
		break;
	case 8:
		if (which < 16)
			link_close(play.link);
		break;
	case 9:
		if (which < 16) {
			play.freed = true;
			link_free(play.link);
			play.link = NULL;
		}
		break;
	}
}

/* ---- the other end ---- */

static void
put(const void *octets, size_t length, unsigned int count)
{
	if (play.far.fd != -1 && length > 0)
		send_with_files(play.far.fd, octets, length, count);
}

/* A frame as it should be, or nearly. */
static void
put_frame(struct fuzz_input *in)
{
	uint8_t which = fuzz_byte(in), id = fuzz_byte(in);
	uint8_t bits = fuzz_byte(in);
	uint32_t type = some_type(play.role.peer, play.role.self, false,
	    which);
	const struct wire_row *row = wire_row(type);
	char frame[sizeof(struct frame_header) + 8192 + 256];
	struct frame_header header = { .type = type };
	size_t tail, cut, i;

	if (type == IMSG_NONE)
		return;
	tail = row->tail < (bits & 63) ? row->tail : (bits & 63);
	header.length = row->size + (uint32_t)tail;
	header.flags = row->fd == FD_ALWAYS || (row->fd == FD_MAYBE &&
	    (bits & 64)) ? FRAME_FD : 0;
	header.id = id;
	/* An answer to something that we have asked. */
	for (i = 0; wire_request(type) != IMSG_NONE && i < play.heard_count;
	    i++)
		if (play.heard[i].type == wire_request(type)) {
			header.id = play.heard[i].id;
			play.heard[i] = play.heard[--play.heard_count];
			play.out[wire_request(type)]--;
			break;
		}
	memcpy(frame, &header, sizeof(header));
	fill(frame + sizeof(header), row);
	memset(frame + sizeof(header) + row->size, 'x', tail);
	cut = (bits & 128) ? id % (sizeof(header) + header.length) : 0;
	put(frame, cut, header.flags & FRAME_FD ? 1 : 0);
	if (cut > 0)
		played_turn(1);
	put(frame + cut, sizeof(header) + header.length - cut,
	    cut == 0 && (header.flags & FRAME_FD) ? 1 : 0);
}

/* What our end has said: well-formed, and within its credit. */
static void
hear(void)
{
	struct frame_header header;
	const char *contents;
	const struct wire_row *row;
	int fd;

	while (play.far.fd != -1 && far_next(&play.far, &header, &contents,
	    &fd)) {
		row = wire_row(header.type);
		require(row != NULL && wire_check(play.role.self,
		    play.role.peer, header.type, header.id, contents,
		    header.length, fd != -1) == NULL);
		if (fd != -1)
			require(close(fd) == 0);
		if (row->answer == IMSG_NONE)
			continue;
		require(++play.out[header.type] <= row->window);
		require(play.heard_count < ASKS);
		play.heard[play.heard_count++] = (struct request){
		    header.type, header.id };
	}
	if (play.far.fd != -1 && play.far.ended)
		far_close(&play.far);
}

static void
take(struct fuzz_input *in)
{
	uint8_t what = fuzz_byte(in), count;

	switch (what % 8) {
	case 0: case 1: case 2:
		put_frame(in);
		break;
	case 3:
		count = fuzz_byte(in);
		if (count > in->left)
			count = (uint8_t)in->left;
		put(in->at, count, what / 8 % (FDS + 1));
		in->at += count;
		in->left -= count;
		break;
	case 4:
		if (what == 4)
			far_close(&play.far);
		break;
	case 5:
		played_turn(1);
		break;
	default:
		act(what / 8);
	}
	if (what & 128)
		played_turn(2);
	hear();
}

/* ---- the beginning and the end ---- */

static void
begin(uint8_t who)
{
	size_t count = 0;
	uint32_t type;

	memset(&play, 0, sizeof(play));
	who %= sizeof(pairs) / sizeof(pairs[0]);
	play.role = (struct link_role){ .self = pairs[who][0],
	    .peer = pairs[who][1], .handlers = play.handlers,
	    .closed = on_closed };
	for (type = IMSG_NONE + 1; type < IMSG_MAX; type++)
		if (may_say(play.role.peer, play.role.self, type))
			play.handlers[count++] = (struct link_handler){
			    (enum imsg_type)type, on_frame };
	play.handlers[count].type = IMSG_NONE;
	play.link = link_new(played_base(), far_open(&play.far), &play.role,
	    &play);
}

static void
end(void)
{
	size_t i;

	far_close(&play.far);
	/* From now on no handler does anything. */
	play.in->left = 0;
	play.steps = STEPS;
	/* What came with a descriptor each is a turn's. */
	for (i = 0; play.link != NULL && i < STEPS * FDS; i++)
		played_turn(1);
	require(play.link == NULL && play.closed == !play.freed);
	for (i = 0; i < play.asked_count; i++)
		require(play.asked[i].over != play.asked[i].forgotten);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint64_t fds;

	(void)played_base();
	fds = fuzz_descriptors();
	begin(fuzz_byte(&in));
	play.in = &in;
	while (in.left > 0)
		take(&in);
	end();
	require(fuzz_descriptors() == fds);
	return 0;
}
