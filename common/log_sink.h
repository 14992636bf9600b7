/*
 * Where log.c leaves a line that it has composed.  For log.c and log_sink.c
 * only.
 */
#ifndef LOG_SINK_H
#define LOG_SINK_H

#include <stddef.h>

#define LOG_LINE_MAX	2048		/* octets of one line, with its end */

struct sink;

/*
 * The log of that name, or the process's own.
 */
struct sink	*sink_named(const char *);

/*
 * Take a line of this priority, which need not end with NUL.
 */
void		 sink_take(struct sink *, int, const char *, size_t);

/*
 * A process that dies before it has a log still says why.
 */
void		 sink_last_words(void);

#endif
