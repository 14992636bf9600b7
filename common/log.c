/*
 * The log's lines: composed and escaped, pair by pair.  log_sink.c takes
 * each that is done.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "log_sink.h"
#include "queueid.h"

#define VALUE_MAX	1000		/* octets of one value */

static struct {
	bool		 verbose;
	/* the line being composed */
	struct sink	*sink;
	int		 priority;
	bool		 wanted;
	char		 line[LOG_LINE_MAX];
	size_t		 length;
} state;

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
	state.sink = sink_named(name);
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

void
log_end(void)
{
	if (state.wanted)
		sink_take(state.sink, state.priority, state.line,
		    state.length);
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

void
fatal(const char *format, ...)
{
	int error = errno;
	va_list ap;

	sink_last_words();
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

	sink_last_words();
	va_start(ap, format);
	note(LOG_CRIT, "fatal", format, ap, 0);
	va_end(ap);
	log_flush();
	exit(1);
}
