/*
 * One delivery: the frame that asked for it, taken apart, and the answer it
 * will get.  Delivers nothing itself.
 */
#include <sys/stat.h>

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "deliver.h"

#define TARGETS_SIZE	(WIRE_TARGETS * (sizeof(struct w_target) + WIRE_TARGET))

/* Set up the body; -1 if it is not what it was told to be. */
static int
take_body(struct job *job, size_t used, size_t room)
{
	struct stat	 st;

	job->body.size = job->request.size;
	if (!job->request.body_in_file) {
		job->body.memory = job->room + used;
		return room - used == job->request.size ? 0 : -1;
	}
	if (job->body.fd == -1 || used != room ||
	    fstat(job->body.fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size != job->request.size)
		return -1;
	return 0;
}

struct job *
job_take(struct frame *frame)
{
	struct job	*job;
	const char	*end;
	size_t		 used = 0, i;

	if ((job = calloc(1, sizeof(*job))) == NULL)
		return NULL;
	job->body.fd = frame->fd;
	frame->fd = -1;
	job->frame = frame->id;
	memcpy(&job->request, frame->payload, sizeof(job->request));
	job->answer.id = job->request.id;
	job->answer.recipient = job->request.recipient;
	if ((job->room = malloc(frame->tail_length + 1)) == NULL)
		goto fail;
	memcpy(job->room, frame->tail, frame->tail_length);
	job->addresses[job->address_count++] = job->request.address;
	for (i = 0; i < job->request.more_addresses; i++) {
		end = memchr(job->room + used, '\0',
		    frame->tail_length - used);
		if (end == NULL || job->address_count == 256)
			goto fail;
		job->addresses[job->address_count++] = job->room + used;
		used = (size_t)(end + 1 - job->room);
	}
	if (take_body(job, used, frame->tail_length) == -1)
		goto fail;
	return job;
fail:
	job_free(job);
	return NULL;
}

void
job_free(struct job *job)
{
	if (job == NULL)
		return;
	if (job->body.fd != -1)
		close(job->body.fd);
	free(job->room);
	free(job->targets);
	free(job);
}

void
job_verdict(struct job *job, enum job_verdict verdict)
{
	job->answer.verdict = verdict;
	job->answer.status[0] = '\0';
	job->answer.text[0] = '\0';
}

void
job_done(struct job *job, const char *place)
{
	job_verdict(job, JOB_DONE);
	strlcpy(job->answer.status, "2.0.0", sizeof(job->answer.status));
	strlcpy(job->answer.place, place, sizeof(job->answer.place));
}

static void __attribute__((format(printf, 4, 0)))
job_reason(struct job *job, enum job_verdict verdict, const char *status,
    const char *format, va_list arguments)
{
	job->answer.verdict = verdict;
	strlcpy(job->answer.status, status, sizeof(job->answer.status));
	vsnprintf(job->answer.text, sizeof(job->answer.text), format,
	    arguments);
}

void
job_defer(struct job *job, const char *status, const char *format, ...)
{
	va_list	 arguments;

	va_start(arguments, format);
	job_reason(job, JOB_DEFERRED, status, format, arguments);
	va_end(arguments);
}

void
job_fail(struct job *job, const char *status, const char *format, ...)
{
	va_list	 arguments;

	va_start(arguments, format);
	job_reason(job, JOB_FAILED, status, format, arguments);
	va_end(arguments);
}

void
job_defer_errno(struct job *job, const char *what)
{
	static const struct {
		int		 error;
		const char	*status;
	} statuses[] = {
		{ EDQUOT,	"4.2.2" },
		{ EFBIG,	"4.2.2" },
		{ ENOSPC,	"4.3.1" },
		{ EACCES,	"4.3.5" },
		{ EPERM,	"4.3.5" },
		{ ENOTDIR,	"4.3.5" },
		{ EISDIR,	"4.3.5" },
		{ ELOOP,	"4.3.5" },
		{ ENAMETOOLONG,	"4.3.5" },
	};
	const char	*status = "4.3.0";
	int		 error = errno;
	size_t		 i;

	for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].error == error)
			status = statuses[i].status;
	job_defer(job, status, "%s: %s", what, strerror(error));
}

int
job_add_target(struct job *job, enum target_place place, const char *text)
{
	struct w_target	 target = { 0 };
	size_t		 length = strlen(text) + 1;

	if (job->targets == NULL &&
	    (job->targets = malloc(TARGETS_SIZE)) == NULL)
		return -1;
	if (length > WIRE_TARGET ||
	    job->targets_length + sizeof(target) + length > TARGETS_SIZE) {
		errno = E2BIG;
		return -1;
	}
	target.kind = place;
	target.length = (uint32_t)length;
	memcpy(job->targets + job->targets_length, &target, sizeof(target));
	job->targets_length += sizeof(target);
	memcpy(job->targets + job->targets_length, text, length);
	job->targets_length += length;
	job->answer.count++;
	return 0;
}

void
job_from_line(const char *sender, int64_t when, char *line, size_t size)
{
	struct tm	 tm;
	time_t		 seconds = (time_t)(when / SECOND);
	char		 date[32], *p;

	localtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &tm);
	snprintf(line, size, "From %s",
	    sender[0] != '\0' ? sender : "MAILER-DAEMON");
	/* Readers split the line at blanks. */
	for (p = line + 5; *p != '\0'; p++)
		if ((unsigned char)*p <= ' ' || *p == 127)
			*p = '-';
	snprintf(p, size - (size_t)(p - line), " %s\n", date);
}

void
job_prefix(const struct job *job, bool from_line, char *prefix)
{
	size_t	 used = 0;

	if (from_line) {
		job_from_line(job->request.sender, job->request.arrival,
		    prefix, PREFIX_SIZE);
		used = strlen(prefix);
	}
	snprintf(prefix + used, PREFIX_SIZE - used,
	    "Return-Path: <%s>\nDelivered-To: %s\n", job->request.sender,
	    job->request.address);
}
