/* links: common/wire.c common/frame.c common/log.c common/queueid.c
 * common/clock.c deliver/job.c */
/*
 * A stream of frames: each is held against its row, and what passes is read
 * as its receiver reads it: every string, every tail.
 */
#include <unistd.h>

#include "deliver/deliver.h"
#include "frame.h"
#include "fuzz.h"
#include "wire.h"

/* Every string ends in its array. */
static void
check_strings(const struct wire_row *row, const char *payload)
{
	const struct wire_string *s;

	for (s = row->strings; s != NULL && s->size != 0; s++)
		require(strlen(payload + s->offset) < s->size);
}

static void
walk_targets(const void *tail, size_t length)
{
	enum target_place place;
	const void *before;
	const char *text;
	int more;

	do {
		before = tail;
		more = wire_next_target(&tail, &length, &place, &text);
		if (more != 1)
			break;
		require((const char *)tail > (const char *)before);
		require(text[0] == '\0' || strlen(text) < WIRE_TARGET);
		require(place >= TARGET_ROUTED && place <= TARGET_FORWARD);
	} while (more == 1);
	require(more == -1 || length == 0);
}

/* A job's frame as the worker takes it. */
static void
take_job(uint32_t id, const char *payload, const char *tail,
    size_t length)
{
	struct frame frame = { .type = IMSG_JOB_DELIVER_REQ, .id = id,
	    .payload = payload, .tail = tail,
	    .tail_length = length, .fd = -1 };
	struct job *job = job_take(&frame);
	char prefix[PREFIX_SIZE];
	size_t i;

	if (job == NULL)
		return;
	for (i = 0; i < job->address_count; i++)
		require(strlen(job->addresses[i]) <= length + WIRE_ADDRESS);
	require(job->body.size <= length);
	job_prefix(job, true, prefix);
	require(strlen(prefix) < sizeof(prefix) &&
	    strncmp(prefix, "From ", 5) == 0);
	job_free(job);
}

static void
check_frame(const struct frame_header *header, const char *contents,
    uint8_t ends)
{
	enum process from = ends % (PROC_MAX + 1);
	enum process to = ends / 16 % (PROC_MAX + 1);
	const struct wire_row *row = wire_row(header->type);
	const char *why, *tail;
	char *copy = fuzz_need(malloc(header->length + 1U));
	size_t length;

	/* Of its own memory, aligned, so that an octet too many is seen. */
	memcpy(copy, contents, header->length);
	copy = fuzz_need(realloc(copy, header->length > 0 ? header->length :
	    1));
	if (row != NULL && ends == 0xff) {
		from = (enum process)__builtin_ctz(row->senders);
		to = (enum process)__builtin_ctz(row->receivers);
	}
	why = wire_check(from, to, header->type, header->id, copy,
	    header->length, (header->flags & FRAME_FD) != 0);
	require(wire_name(header->type) != NULL && wire_process(from) != NULL);
	if (why == NULL) {
		require(row != NULL && header->length >= row->size);
		check_strings(row, copy);
		tail = copy + row->size;
		length = header->length - row->size;
		require(length <= row->tail);
		walk_targets(tail, length);
		if (header->type == IMSG_JOB_DELIVER_REQ)
			take_job(header->id, copy, tail, length);
	}
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t ends = fuzz_byte(&in);
	struct frame_in frames = { 0 };
	struct frame_header header;
	const char *contents;
	uint32_t type;

	frame_in_reserve(&frames, in.left + 1);
	memcpy(frames.data, in.at, in.left);
	frames.end = in.left;
	while (frame_in_next(&frames, &header, &contents) == 1)
		check_frame(&header, contents, ends);
	frame_in_clear(&frames);
	walk_targets(in.at, in.left);

	/* The same octets as a frame of each type. */
	for (type = 0; type <= IMSG_MAX; type++) {
		header = (struct frame_header){ .type = type,
		    .length = (uint32_t)in.left, .id = 1 };
		check_frame(&header, (const char *)in.at, 0xff);
	}
	return 0;
}
