/*
 * The log's lines: composed, escaped, gathered, written whole.
 *
 * Each sink keeps finished lines as records (time, priority, text) until the
 * end of the turn; before postmaster has handed a descriptor the same buffer
 * is the ring they wait in.  What finds no room is counted, and the count is
 * told in the next line that is written.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "queueid.h"

#define LINE_MAX_LOG	2048		/* octets of one line, with its end */
#define VALUE_MAX	1000		/* octets of one value */
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
	struct sink	 sinks[SINKS];
	size_t		 sink_count;
	bool		 to_stderr;
	bool		 verbose;
	/* the line being composed */
	struct sink	*sink;
	int		 priority;
	bool		 wanted;
	char		 line[LINE_MAX_LOG];
	size_t		 length;
	/* what stands in every line of a second, made once in it */
	bool		 stamped;
	time_t		 second;
	char		 stamp[32];	/* of a file */
	char		 origin[512];	/* of a file, behind the fraction */
	char		 stamp_syslog[32];
	pid_t		 pid;
} state = { .process = "?", .sink_count = 1, .sinks[0].fd = -1 };

/* What a new name, or a child's number, makes wrong. */
static void
forget_stamp(void)
{
	state.stamped = false;
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
	state.process = slash != NULL ? slash + 1 : process;
	state.to_stderr = to_stderr;
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
	sink_set(&state.sinks[0], fd, kind, ident, facility);
	log_set_hostname(hostname);
	state.to_stderr = copy;
}

static struct sink *
sink_find(const char *name)
{
	size_t i;

	for (i = 1; i < state.sink_count; i++)
		if (strcmp(state.sinks[i].name, name) == 0)
			return &state.sinks[i];
	return NULL;
}

void
log_to_named(const char *name, int fd, enum log_kind kind, const char *ident,
    int facility)
{
	struct sink *sink;

	log_flush();
	if ((sink = sink_find(name)) == NULL) {
		if (state.sink_count == SINKS) {
			close(fd);
			return;
		}
		sink = &state.sinks[state.sink_count++];
		snprintf(sink->name, sizeof(sink->name), "%s", name);
		sink->fd = -1;
	}
	sink_set(sink, fd, kind, ident, facility);
}

void
log_set_hostname(const char *hostname)
{
	snprintf(state.hostname, sizeof(state.hostname), "%s", hostname);
	forget_stamp();
}

void
log_set_verbose(bool verbose)
{
	state.verbose = verbose;
}

/* ---- composing ---- */

static void
append(const char *text, size_t length)
{
	size_t room = sizeof(state.line) - 1 - state.length;

	if (!state.wanted)
		return;
	if (length > room)
		length = room;
	memcpy(state.line + state.length, text, length);
	state.length += length;
}

bool
log_wants(int priority)
{
	return priority != LOG_DEBUG || state.verbose;
}

void
log_begin_to(const char *name, int priority, const char *word)
{
	struct sink *sink = NULL;

	if (name != NULL && name[0] != '\0')
		sink = sink_find(name);
	state.sink = sink != NULL ? sink : &state.sinks[0];
	state.priority = priority;
	state.wanted = log_wants(priority);
	state.length = 0;
	append(word, strlen(word));
}

void
log_begin(int priority, const char *word)
{
	log_begin_to(NULL, priority, word);
}

static void
append_key(const char *key)
{
	append(" ", 1);
	append(key, strlen(key));
	append("=", 1);
}

/* The length of a value that needs no quotes; 0 for any other. */
static size_t
plain_length(const char *value)
{
	const char *p;

	for (p = value; *p != '\0'; p++)
		if (*p <= ' ' || *p >= 0x7f || *p == '"' || *p == '\\')
			return 0;
	return (size_t)(p - value);
}

/* Octets that stand for themselves between quotes. */
static size_t
span_of_plain(const char *value, size_t most)
{
	size_t n;

	for (n = 0; n < most && value[n] >= ' ' && value[n] < 0x7f &&
	    value[n] != '"' && value[n] != '\\'; n++)
		continue;
	return n;
}

static void
append_quoted(const char *value)
{
	size_t start = state.length, n;
	char escaped[5];

	append("\"", 1);
	while (*value != '\0' && state.length - start < VALUE_MAX) {
		n = span_of_plain(value, VALUE_MAX - (state.length - start));
		append(value, n);
		value += n;
		if (n > 0 || *value == '\0')
			continue;
		if (*value == '"' || *value == '\\')
			snprintf(escaped, sizeof(escaped), "\\%c", *value);
		else
			snprintf(escaped, sizeof(escaped), "\\x%02x",
			    (unsigned char)*value);
		append(escaped, strlen(escaped));
		value++;
	}
	append(*value != '\0' ? "...\"" : "\"", *value != '\0' ? 4 : 1);
}

/* A value that is too long is cut, so that those behind it have room. */
void
log_string(const char *key, const char *value)
{
	size_t length;

	if (!state.wanted)
		return;
	append_key(key);
	if (value == NULL)
		append("-", 1);
	else if ((length = plain_length(value)) > 0 && length <= VALUE_MAX)
		append(value, length);
	else
		append_quoted(value);
}

static void
append_number(unsigned long long value)
{
	char digits[24], *p = digits + sizeof(digits);

	do {
		*--p = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	append(p, (size_t)(digits + sizeof(digits) - p));
}

void
log_number(const char *key, long long value)
{
	append_key(key);
	if (value < 0)
		append("-", 1);
	append_number(value < 0 ? 0 - (unsigned long long)value :
	    (unsigned long long)value);
}

void
log_id(const char *key, uint64_t id)
{
	char text[QUEUEID_LENGTH + 1];

	append_key(key);
	append(queueid_print(id, text), QUEUEID_LENGTH);
}

void
log_seconds(const char *key, int64_t microseconds)
{
	char fraction[8];

	append_key(key);
	if (microseconds < 0)
		append("-", 1);
	microseconds = llabs(microseconds);
	append_number((unsigned long long)(microseconds / SECOND));
	/* By hand: printf(3) of a double costs more than the whole line. */
	fraction[0] = '.';
	fraction[1] = (char)('0' + microseconds % SECOND / 100000);
	fraction[2] = (char)('0' + microseconds / 10000 % 10);
	fraction[3] = (char)('0' + microseconds / 1000 % 10);
	append(fraction, 4);
}

/* ---- keeping and writing ---- */

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
	state.stamped = true;
	state.second = second;
	state.pid = getpid();
	strftime(state.stamp, sizeof(state.stamp), "%Y-%m-%dT%H:%M:%S.", &tm);
	strftime(state.stamp_syslog, sizeof(state.stamp_syslog),
	    "%b %e %H:%M:%S", &tm);
	strftime(zone, sizeof(zone), "%z", &tm);
	snprintf(state.origin, sizeof(state.origin), "%.3s:%.2s %s %s[%d]: ",
	    zone, zone + 3,
	    state.hostname[0] != '\0' ? state.hostname : "localhost",
	    state.process, (int)state.pid);
}

static void
stamp(const struct record *record)
{
	time_t second = (time_t)(record->time / SECOND);

	if (!state.stamped || state.second != second)
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
	n = strlen(state.stamp);
	memcpy(out, state.stamp, n);
	for (place = SECOND / 10; place > 0; place /= 10)
		out[n++] = (char)('0' + fraction / place % 10);
	origin = strlen(state.origin);
	memcpy(out + n, state.origin, origin);
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
	    sink->facility | (int)record->priority, state.stamp_syslog,
	    sink->ident, state.process, (int)state.pid, (int)record->length,
	    text);
	return (size_t)n < size ? (size_t)n : size - 1;
}

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
	char out[WRITE_MAX + LINE_MAX_LOG];
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
			    out + filled, LINE_MAX_LOG);
		else
			filled += format_file(&record,
			    sink->waiting + taken + sizeof(record),
			    out + filled, LINE_MAX_LOG);
		taken += sizeof(record) + record.length;
		if (sink->kind == LOG_TO_SYSLOG ||
		    filled + LINE_MAX_LOG > WRITE_MAX)
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

void
log_end(void)
{
	struct record record = { .time = clock_now() };
	char out[LINE_MAX_LOG];
	size_t n;

	if (!state.wanted)
		return;
	record.priority = (uint32_t)state.priority;
	record.length = (uint32_t)state.length;
	if (state.to_stderr) {
		n = format_file(&record, state.line, out, sizeof(out));
		if (write(STDERR_FILENO, out, n) == -1)
			state.sink->dropped++;
	}
	keep(state.sink, &record, state.line);
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

	for (i = 0; i < state.sink_count; i++) {
		sink = &state.sinks[i];
		if (sink->fd == -1) {
			/* A command's lines went to stderr already. */
			if (state.to_stderr && i == 0)
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

	for (i = 0; i < state.sink_count; i++)
		if (state.sinks[i].fd != -1 && (state.sinks[i].used > 0 ||
		    state.sinks[i].dropped > 0))
			return true;
	return false;
}

/* ---- whole lines ---- */

__attribute__((format(printf, 3, 0))) static void
note(int priority, const char *word, const char *format, va_list ap,
    int error)
{
	char text[1024];
	size_t length;

	/* Most notes are for nobody: compose only what is wanted. */
	if (!log_wants(priority))
		return;
	vsnprintf(text, sizeof(text), format, ap);
	length = strlen(text);
	if (error != 0)
		snprintf(text + length, sizeof(text) - length, ": %s",
		    strerror(error));
	log_begin(priority, word);
	log_string("text", text);
	log_end();
}

void
log_note(int priority, const char *word, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	note(priority, word, format, ap, 0);
	va_end(ap);
}

void
log_errno(int priority, const char *word, const char *format, ...)
{
	int error = errno;
	va_list ap;

	va_start(ap, format);
	note(priority, word, format, ap, error);
	va_end(ap);
	errno = error;
}

/* A process that dies before it has a log still says why. */
static void
last_words(void)
{
	if (state.sinks[0].fd == -1)
		state.to_stderr = true;
}

void
fatal(const char *format, ...)
{
	int error = errno;
	va_list ap;

	last_words();
	va_start(ap, format);
	note(LOG_CRIT, "fatal", format, ap, error);
	va_end(ap);
	log_flush();
	exit(1);
}

void
fatalx(const char *format, ...)
{
	va_list ap;

	last_words();
	va_start(ap, format);
	note(LOG_CRIT, "fatal", format, ap, 0);
	va_end(ap);
	log_flush();
	exit(1);
}
