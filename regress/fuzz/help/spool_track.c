/*
 * Who has which recipient, and what became of those of stored messages.
 */
#include "../fuzz.h"
#include "spool_world.h"

#define ROWS		4096
#define STORED		256

/* A recipient that policyd was asked for, or that was given to somebody. */
struct row {
	uint64_t	 id;
	uint32_t	 row;
	bool		 out;
	bool		 done;
};

/* A message whose commit was asked for, and answered well. */
struct commit {
	uint64_t	 id;
	uint32_t	 sound;
	bool		 stored;
};

static struct {
	struct row	 rows[ROWS];
	size_t		 row_count;
	struct commit	 commits[STORED];
	size_t		 commit_count;
	bool		 meddled;	/* a command was given */
} track;

void
track_begin(void)
{
	memset(&track, 0, sizeof(track));
}

static struct row *
find_row(uint64_t id, uint32_t number)
{
	size_t i;

	for (i = 0; i < track.row_count; i++)
		if (track.rows[i].id == id && track.rows[i].row == number)
			return &track.rows[i];
	require(track.row_count < ROWS);
	track.rows[track.row_count].id = id;
	track.rows[track.row_count].row = number;
	return &track.rows[track.row_count++];
}

void
note_out(uint64_t id, uint32_t number)
{
	struct row *row = find_row(id, number);

	require(!row->out);
	require(!row->done);
	row->out = true;
}

void
note_back(uint64_t id, uint32_t number)
{
	find_row(id, number)->out = false;
}

void
note_done(uint64_t id, uint32_t number)
{
	find_row(id, number)->done = true;
}

uint64_t
some_id(uint8_t which)
{
	return track.commit_count > 0 ? track.commits[which %
	    track.commit_count].id : 1;
}

void
note_commit(const struct neighbour *smtpd)
{
	if (track.commit_count < STORED)
		track.commits[track.commit_count++] = (struct commit){
		    smtpd->message, smtpd->sound, false };
}

void
note_stored(uint64_t id)
{
	size_t i;

	for (i = 0; i < track.commit_count; i++)
		if (track.commits[i].id == id)
			track.commits[i].stored = true;
}

void
note_command(void)
{
	track.meddled = true;
}

static bool
was_seen(uint64_t id, uint32_t number)
{
	size_t i;

	for (i = 0; i < track.row_count; i++)
		if (track.rows[i].id == id && track.rows[i].row == number)
			return true;
	return false;
}

void
check_stored(void)
{
	const struct commit *commit;
	uint32_t number;

	for (commit = track.commits; !track.meddled && commit < track.commits +
	    track.commit_count; commit++)
		for (number = 0; commit->stored && number < 32; number++)
			require((commit->sound & (1U << number)) == 0 ||
			    was_seen(commit->id, number + 1));
}

void
note_asked(uint64_t id, uint32_t number)
{
	require(!find_row(id, number)->done);
}
