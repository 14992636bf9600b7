/*
 * What surrounds spoold: neighbours at the far ends of real links, commands
 * at its control socket, a directory for the spool, time.  What each was
 * asked and has not answered is kept; what goes out twice is a finding.
 */
#ifndef SPOOL_WORLD_H
#define SPOOL_WORLD_H

#include "clock.h"
#include "played.h"
#include "spoold/spoold.h"

#define NEIGHBOURS	8
#define WORKERS		6
#define TARGETS_MAX	8192		/* octets of a list's tail */
#define ROWS_OUT	64		/* of a transaction */

/* A question, until it is answered. */
struct asked {
	uint32_t	 type;
	uint32_t	 id;			/* of its frame */
	uint64_t	 about;			/* queue id, or what it names */
	uint32_t	 row;
	uint64_t	 number;		/* of a transaction */
	uint32_t	 rows[ROWS_OUT];	/* of it, without a result */
	size_t		 row_count;
	char		 text[WIRE_ADDRESS];
};

struct neighbour {
	char		 letter;
	enum process	 self;
	uint32_t	 instance;
	const struct child_peer *peer;
	struct far	 far;
	struct link	*link;		/* its near end; the far one, if we
					   do not know that */
	struct asked	*asked;
	size_t		 count;
	uint32_t	 last_ask;	/* frame's id of its own question */
	uint64_t	 next_id;	/* smtpd: of its lease */
	uint64_t	 message;	/* smtpd: that it tells of */
	uint64_t	 octets;	/* smtpd: of its body, so far */
	uint32_t	 told;		/* smtpd: its recipients, so far */
	uint32_t	 sound;		/* smtpd: those not refused, a bit each */
	uint64_t	 number;	/* relay: of the rows that came */
	uint32_t	 rows[ROWS_OUT];
	size_t		 row_count;
};

/* The neighbours by name, and as a row. */
#define world_neighbours world.all

extern struct world {
	union {
		struct neighbour all[NEIGHBOURS];
		struct {
			struct neighbour smtpd, local, policyd, relay,
			    sockets, deliver, command, other;
		};
	};
	struct neighbour workers[WORKERS];
} world;

#define world_workers	world.workers

/* An input begins, and ends, with all down and an empty queue. */
void	world_begin(void);
void	world_end(void);
void	world_up(void);
void	world_down(void);
void	world_pass(int64_t);
void	world_jump(int64_t);
bool	world_is_empty(void);

/* Take what spoold says to anybody. */
void	world_hear(void);

struct neighbour	*neighbour_of_letter(char);
/* The letter tells a command's user: 0 is root. */
void	neighbour_up(struct neighbour *, char);
void	neighbour_down(struct neighbour *);
/* A worker's link: the end to be handed over. */
int	open_worker(void);

/* Frames as they must be; ask_to() begins a question. */
void	say_to(struct neighbour *, uint32_t, uint32_t, const void *, size_t);
void	ask_to(struct neighbour *, uint32_t, uint64_t, const void *, size_t);
/* Answer that question: payload, tail and a descriptor or -1. */
void	answer_to(struct neighbour *, size_t, uint32_t, const void *, size_t,
	    const void *, size_t, int);
/* One that may be no answer to anything. */
void	say_unasked(struct neighbour *, uint32_t, uint32_t, const void *,
	    size_t);
/* The rule of one of the frames that it may send. */
const struct wire_row	*row_for(const struct neighbour *, uint8_t,
			    uint32_t *);

/* Targets between commas as a tail; a + is that there are more. */
size_t	make_targets(const char *, char *, uint32_t *, uint32_t *);

/* ---- spool_syncers.c ---- */

void	syncers_begin(void);

/* ---- spool_track.c ---- */

void	track_begin(void);

/* A recipient is asked for, out, no longer out, or done for good. */
void	note_asked(uint64_t, uint32_t);
void	note_out(uint64_t, uint32_t);
void	note_back(uint64_t, uint32_t);
void	note_done(uint64_t, uint32_t);

/*
 * A message is being committed: all its sound recipients are asked for, if
 * that is answered well and no command interferes.
 */
void	note_commit(const struct neighbour *);
void	note_stored(uint64_t);
void	note_command(void);
void	check_stored(void);

/* One of these, or none. */
uint64_t	some_id(uint8_t);

/* ---- spool_machine.c ---- */

/* Into the spool's directory, and back; the disk has room. */
void	machine_enter(void);
void	machine_leave(void);

/* So many more writes, then the disk is full; -1: it is not. */
void	machine_fill(int);

/* Who is at the other end of the next connection. */
void	machine_connect_as(uint32_t);

#endif
