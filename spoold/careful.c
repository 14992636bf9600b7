/*
 * Guards spoold against the message that kills it.  A file says that it runs;
 * one that is found at the start tells of a bad end.  After two of them
 * within a minute there is one recipient in work at a time, and its message
 * is named in a file before it is touched.  What is named there after two bad
 * ends in a row is put off by an hour, and after three held.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "spoold.h"

#define RUNNING		"running"	/* start and number of bad ends */
#define TOUCHING	"touching"	/* id and number of bad ends with it */
#define TOGETHER	MINUTE		/* between two bad ends */
#define ENDS_MIN	2
#define LINE_LENGTH	64

static struct {
	bool		 on;
	int64_t		 until;		/* monotonic: well since then */
	uint64_t	 suspect;	/* named at the last bad end */
	unsigned int	 times;		/* it was, in a row */
} careful;

struct putting_off {
	struct work	 work;
	uint64_t	 id;
	bool		 hold;
};

/* Two numbers, for the next process: no crash of the machine matters. */
static void
write_numbers(const char *name, int64_t one, unsigned int two)
{
	char	 line[LINE_LENGTH];
	int	 fd, length;

	length = snprintf(line, sizeof(line), "%020lld %09u\n",
	    (long long)one, two);
	fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1 || pwrite(fd, line, (size_t)length, 0) != length)
		log_errno(LOG_WARNING, "spool", "%s", name);
	if (fd != -1)
		close(fd);
}

/* Returns 0, or -1 if there is no such file. */
static int
read_numbers(const char *name, int64_t *one, unsigned int *two)
{
	char		 line[LINE_LENGTH];
	ssize_t		 n;
	long long	 first;
	int		 fd;

	fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1)
		return -1;
	n = read(fd, line, sizeof(line) - 1);
	close(fd);
	if (n <= 0)
		return -1;
	line[n] = '\0';
	if (sscanf(line, "%lld %u", &first, two) != 2)
		return -1;
	*one = first;
	return 0;
}

/* Its rows wait for an hour, or for the operator. */
static int
run_putting_off(struct work *work)
{
	struct putting_off	*off = (struct putting_off *)work;
	enum sql		 sql = SQL_RECIPIENT_PUT_OFF;
	int			 changed;

	changed = db_run(sql, "idi", (int64_t)off->id, off->hold ?
	    STORED_HELD : STORED_DEFERRED, clock_now() + HOUR);
	return changed == -1 ? -1 : ledger_recount();
}

static void
putting_off_done(struct work *work, int result)
{
	(void)result;
	free(work);
}

static void
put_off(uint64_t id, unsigned int times)
{
	struct putting_off	*off;

	if ((off = calloc(1, sizeof(*off))) == NULL)
		fatal("poison");
	off->work.run = run_putting_off;
	off->work.done = putting_off_done;
	off->work.must = true;
	off->id = id;
	off->hold = times > ENDS_MIN;
	log_begin(LOG_ERR, "poison");
	log_id("id", id);
	log_number("times", times);
	log_string("reason", "spoold died of it each time");
	log_end();
	batch_add(&off->work);
}

bool
careful_is_on(void)
{
	return careful.on;
}

/* Before the first row is read: how did the last one end? */
void
careful_start(void)
{
	int64_t		 started, suspect, now = clock_now();
	unsigned int	 ends = 0, times;

	if (read_numbers(RUNNING, &started, &ends) == 0)
		ends = now - started < TOGETHER ? ends + 1 : 1;
	write_numbers(RUNNING, now, ends);
	careful.until = clock_monotonic() + TOGETHER;
	careful.on = ends >= ENDS_MIN;
	if (!careful.on)
		return;
	log_note(LOG_ERR, "careful", "it ended badly %u times within a"
	    " minute each: one recipient at a time", ends);
	if (read_numbers(TOUCHING, &suspect, &times) == 0 && suspect != 0) {
		careful.suspect = (uint64_t)suspect;
		careful.times = times;
		if (times >= ENDS_MIN)
			put_off(careful.suspect, times);
	}
}

/* This message is about to be worked on. */
void
careful_touch(uint64_t id)
{
	if (!careful.on)
		return;
	write_numbers(TOUCHING, (int64_t)id, id == careful.suspect ?
	    careful.times + 1 : 1);
}

/* Once a second.  Returns true when there is no more need for care. */
bool
careful_tick(int64_t monotonic)
{
	if (careful.until == 0 || monotonic < careful.until)
		return false;
	careful.until = 0;
	write_numbers(RUNNING, 0, 0);
	(void)unlink(TOUCHING);
	if (careful.on)
		log_note(LOG_NOTICE, "careful", "it has lived for a minute:"
		    " as many at a time as ever");
	careful.on = false;
	return true;
}

/* An end that is none of the bad ones. */
void
careful_end(void)
{
	(void)unlink(RUNNING);
	(void)unlink(TOUCHING);
}
