/*
 * Whether there is room for mail.  Below the reserve, or when the disk
 * refused something, every smtpd is told so and no message is taken; when
 * there is room again they are told that.  What is in the queue goes on.
 */
#include <sys/statvfs.h>

#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "spoold.h"

#define PAUSE		(6 * SECOND)	/* closed for so long at least */
#define HYSTERESIS	8		/* opens at an eighth more */

static struct {
	bool	 closed;
	int64_t	 until;			/* monotonic: not opened before */
	char	 reason[WIRE_TEXT];
} reserve;

/* Octets and inodes that are free to us. */
static void
measure(int64_t *octets, int64_t *files)
{
	struct statvfs	 fs;

	*octets = *files = INT64_MAX;
	if (statvfs(".", &fs) == -1)
		return;
	*octets = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
	if (fs.f_files > 0)
		*files = (int64_t)fs.f_favail;
}

static void
set_closed(bool closed, const char *why)
{
	if (closed)
		reserve.until = clock_monotonic() + PAUSE;
	if (reserve.closed == closed)
		return;
	reserve.closed = closed;
	(void)strlcpy(reserve.reason, why, sizeof(reserve.reason));
	log_begin(closed ? LOG_ERR : LOG_NOTICE, "spool");
	log_string("takes-mail", closed ? "no" : "yes");
	log_string("reason", why);
	log_end();
	txn_tell_state(!closed, why);
}

/* The disk or the database refused something. */
void
reserve_trouble(const char *why)
{
	set_closed(true, why);
}

bool
reserve_takes_mail(const char **why)
{
	*why = reserve.reason;
	return !reserve.closed;
}

/* Once a second. */
void
reserve_tick(int64_t monotonic)
{
	int64_t	 octets, files, wanted = settings()->disk_reserve;
	char	 why[WIRE_TEXT];

	measure(&octets, &files);
	if (octets < wanted || files < 64) {
		(void)snprintf(why, sizeof(why), "%lld MiB and %lld files are"
		    " free, %lld MiB are kept in reserve",
		    (long long)(octets >> 20), files == INT64_MAX ? -1LL :
		    (long long)files, (long long)(wanted >> 20));
		set_closed(true, why);
	} else if (reserve.closed && monotonic >= reserve.until &&
	    octets >= wanted + wanted / HYSTERESIS && !batch_stalled())
		set_closed(false, "there is room");
}
