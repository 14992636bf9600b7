/*
 * Where the log's finished lines go: kept until the end of the turn, then
 * written whole, many at once.
 *
 * Each sink keeps its lines as records (time, priority, text); before
 * postmaster has handed a descriptor the same buffer is the ring they wait
 * in.  What finds no room is counted, and the count is told in the next line
 * that is written.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "log_sink.h"

#define WAITING_MAX	65536		/* octets of lines not yet written */
#define WRITE_MAX	4096		/* octets in one write */
#define SINKS		32

struct record {
	int64_t		time;
	uint32_t	priority;
	uint32_t	length;		/* of the text behind it */
};

struct sink {
	char		name[128];	/* "" is the process's own */
	int		fd;
	enum log_kind	kind;
	char		ident[128];
	int		facility;
	char	       *waiting;
	size_t		used;
	unsigned long	dropped;
	bool		torn;		/* its last line has no end */
};

static struct {
	const char	*process;
	char		 hostname[256];
	struct sink	 all[SINKS];	/* the first is the process's own */
	size_t		 count;
	bool		 to_stderr;
	/* what stands in every line of a second, made once in it */
	bool		 stamped;
	time_t		 second;
	char		 stamp[32];	/* of a file */
	char		 origin[512];	/* of a file, behind the fraction */
	char		 stamp_syslog[32];
	pid_t		 pid;
} sinks = { .process = "?", .count = 1, .all[0].fd = -1 };

/* What a new name, or a child's number, makes wrong. */
static void
forget_stamp(void)
{
	sinks.stamped = false;
}

void
log_start(const char *process, bool to_stderr)
{
	static bool watching;
	const char *slash = strrchr(process, '/');

	if (!watching && pthread_atfork(NULL, NULL, forget_stamp) != 0)
		abort();
	watching = true;
	forget_stamp();
	sinks.process = slash != NULL ? slash + 1 : process;
	sinks.to_stderr = to_stderr;
}

static void
sink_set(struct sink *sink, int fd, enum log_kind kind, const char *ident,
    int facility)
{
	if (sink->fd != -1)
		close(sink->fd);
	sink->fd = fd;
	sink->kind = kind;
	sink->facility = facility;
	sink->torn = false;
	snprintf(sink->ident, sizeof(sink->ident), "%s", ident);
}

void
log_to(int fd, enum log_kind kind, const char *ident, int facility,
    const char *hostname, bool copy)
{
	log_flush();
	sink_set(&sinks.all[0], fd, kind, ident, facility);
	log_set_hostname(hostname);
	sinks.to_stderr = copy;
}

/* NULL if there is none of that name. */
static struct sink *
find(const char *name)
{
	size_t i;

	for (i = 1; i < sinks.count; i++)
		if (strcmp(sinks.all[i].name, name) == 0)
			return &sinks.all[i];
	return NULL;
}

void
log_to_named(const char *name, int fd, enum log_kind kind, const char *ident,
    int facility)
{
	struct sink *sink;

	log_flush();
	if ((sink = find(name)) == NULL) {
		if (sinks.count == SINKS) {
			close(fd);
			return;
		}
		sink = &sinks.all[sinks.count++];
		snprintf(sink->name, sizeof(sink->name), "%s", name);
		sink->fd = -1;
	}
	sink_set(sink, fd, kind, ident, facility);
}

void
log_set_hostname(const char *hostname)
{
	snprintf(sinks.hostname, sizeof(sinks.hostname), "%s", hostname);
	forget_stamp();
}

/* ---- a line as it is written ---- */

/*
 * The time in words, and who we are.  The lines of a second differ in the
 * fraction only, and each would pay for the calendar, printf and getpid(2).
 */
static void
make_stamp(time_t second)
{
	struct tm tm;
	char zone[8];

	if (localtime_r(&second, &tm) == NULL)
		memset(&tm, 0, sizeof(tm));
	sinks.stamped = true;
	sinks.second = second;
	sinks.pid = getpid();
	strftime(sinks.stamp, sizeof(sinks.stamp), "%Y-%m-%dT%H:%M:%S.", &tm);
	strftime(sinks.stamp_syslog, sizeof(sinks.stamp_syslog),
	    "%b %e %H:%M:%S", &tm);
	strftime(zone, sizeof(zone), "%z", &tm);
	snprintf(sinks.origin, sizeof(sinks.origin), "%.3s:%.2s %s %s[%d]: ",
	    zone, zone + 3,
	    sinks.hostname[0] != '\0' ? sinks.hostname : "localhost",
	    sinks.process, (int)sinks.pid);
}

static void
stamp(const struct record *record)
{
	time_t second = (time_t)(record->time / SECOND);

	if (!sinks.stamped || sinks.second != second)
		make_stamp(second);
}

/* The line as it stands in a file, with its end; returns its length. */
static size_t
format_file(const struct record *record, const char *text, char *out,
    size_t size)
{
	int64_t fraction = record->time % SECOND, place;
	size_t n, length = record->length, origin;

	stamp(record);
	n = strlen(sinks.stamp);
	memcpy(out, sinks.stamp, n);
	for (place = SECOND / 10; place > 0; place /= 10)
		out[n++] = (char)('0' + fraction / place % 10);
	origin = strlen(sinks.origin);
	memcpy(out + n, sinks.origin, origin);
	n += origin;
	if (length > size - 1 - n)
		length = size - 1 - n;
	memcpy(out + n, text, length);
	out[n + length] = '\n';
	return n + length + 1;
}

static size_t
format_syslog(const struct sink *sink, const struct record *record,
    const char *text, char *out, size_t size)
{
	int n;

	stamp(record);
	n = snprintf(out, size, "<%d>%s %s/%s[%d]: %.*s",
	    sink->facility | (int)record->priority, sinks.stamp_syslog,
	    sink->ident, sinks.process, (int)sinks.pid, (int)record->length,
	    text);
	return (size_t)n < size ? (size_t)n : size - 1;
}

/* ---- keeping and writing ---- */

/* Take count octets of finished records out of the sink. */
static void
forget(struct sink *sink, size_t count)
{
	sink->used -= count;
	memmove(sink->waiting, sink->waiting + count, sink->used);
}

/* Only n octets were written: forget the lines that are whole. */
static void
keep_rest(struct sink *sink, const char *out, size_t n)
{
	struct record record;
	size_t i, taken = 0;

	for (i = sink->torn ? 1 : 0; i < n; i++)
		if (out[i] == '\n') {
			memcpy(&record, sink->waiting + taken, sizeof(record));
			taken += sizeof(record) + record.length;
		}
	sink->torn = out[n - 1] != '\n';
	forget(sink, taken);
}

/* Write one batch of whole lines; -1 if the log does not take it now. */
static int
write_batch(struct sink *sink)
{
	char out[WRITE_MAX + LOG_LINE_MAX];
	size_t filled = 0, taken = 0;
	struct record record;
	ssize_t n;

	if (sink->torn)
		out[filled++] = '\n';
	while (taken < sink->used && filled < WRITE_MAX) {
		memcpy(&record, sink->waiting + taken, sizeof(record));
		if (sink->kind == LOG_TO_SYSLOG)
			filled += format_syslog(sink, &record,
			    sink->waiting + taken + sizeof(record),
			    out + filled, LOG_LINE_MAX);
		else
			filled += format_file(&record,
			    sink->waiting + taken + sizeof(record),
			    out + filled, LOG_LINE_MAX);
		taken += sizeof(record) + record.length;
		if (sink->kind == LOG_TO_SYSLOG ||
		    filled + LOG_LINE_MAX > WRITE_MAX)
			break;
	}
	do {
		n = write(sink->fd, out, filled);
	} while (n == -1 && errno == EINTR);
	if (n <= 0)
		return -1;
	if ((size_t)n < filled) {
		keep_rest(sink, out, (size_t)n);
		return -1;
	}
	sink->torn = false;
	forget(sink, taken);
	return 0;
}

static void
keep(struct sink *sink, const struct record *record, const char *text)
{
	size_t needed = sizeof(*record) + record->length;

	if (sink->waiting == NULL &&
	    (sink->waiting = malloc(WAITING_MAX)) == NULL) {
		sink->dropped++;
		return;
	}
	if (sink->used + needed > WAITING_MAX) {
		sink->dropped++;
		return;
	}
	memcpy(sink->waiting + sink->used, record, sizeof(*record));
	memcpy(sink->waiting + sink->used + sizeof(*record), text,
	    record->length);
	sink->used += needed;
}

struct sink *
sink_named(const char *name)
{
	struct sink *sink = NULL;

	if (name != NULL && name[0] != '\0')
		sink = find(name);
	return sink != NULL ? sink : &sinks.all[0];
}

void
sink_take(struct sink *sink, int priority, const char *text, size_t length)
{
	struct record record = {
		.time = clock_now(), .priority = (uint32_t)priority,
		.length = (uint32_t)length
	};
	char out[LOG_LINE_MAX];
	size_t n;

	if (sinks.to_stderr) {
		n = format_file(&record, text, out, sizeof(out));
		if (write(STDERR_FILENO, out, n) == -1)
			sink->dropped++;
	}
	keep(sink, &record, text);
}

void
sink_last_words(void)
{
	if (sinks.all[0].fd == -1)
		sinks.to_stderr = true;
}

/* Tell of the lines that were lost, now that writing works again. */
static void
tell_dropped(struct sink *sink)
{
	struct record record = { .time = clock_now(),
	    .priority = LOG_WARNING };
	char text[64];

	record.length = (uint32_t)snprintf(text, sizeof(text),
	    "log-lines-lost count=%lu", sink->dropped);
	sink->dropped = 0;
	keep(sink, &record, text);
}

void
log_flush(void)
{
	struct sink *sink;
	size_t i;

	for (i = 0; i < sinks.count; i++) {
		sink = &sinks.all[i];
		if (sink->fd == -1) {
			/* A command's lines went to stderr already. */
			if (sinks.to_stderr && i == 0)
				sink->used = 0;
			continue;
		}
		while (sink->used > 0)
			if (write_batch(sink) == -1)
				break;
		if (sink->dropped > 0 && sink->used == 0) {
			tell_dropped(sink);
			(void)write_batch(sink);
		}
	}
}

bool
log_waiting(void)
{
	size_t i;

	for (i = 0; i < sinks.count; i++)
		if (sinks.all[i].fd != -1 && (sinks.all[i].used > 0 ||
		    sinks.all[i].dropped > 0))
			return true;
	return false;
}
