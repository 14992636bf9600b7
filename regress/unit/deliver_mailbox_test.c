/* links: regress/unit/scratch.c deliver/maildir.c deliver/mbox.c
 * deliver/lock.c deliver/sync.c deliver/body.c deliver/job.c
 * common/header.c common/log.c common/clock.c common/queueid.c */
/*
 * Maildirs, mbox files and their locks, in a folder of our own.
 */
#include <sys/stat.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "deliver/deliver.h"
#include "regress/unit/scratch.h"

static char	scratch[] = "/tmp/postmaster-mailbox-XXXXXX";
static bool	abandoned;
static const char *replaced;	/* by another, who has its lock */
static struct worker worker = { .hostname = "mx.test" };
static struct maildir_batch batch;

/* What is synced: f a file, d a folder; the one so named fails. */
static char	synced[64];
static char	unsynced;

int
fsync(int fd)
{
	struct stat	 st;
	size_t	 length = strlen(synced);

	assert_int_equal(fstat(fd, &st), 0);
	if (length + 1 < sizeof(synced)) {
		synced[length] = S_ISDIR(st.st_mode) ? 'd' : 'f';
		synced[length + 1] = '\0';
	}
	if (unsynced == (S_ISDIR(st.st_mode) ? 'd' : 'f')) {
		unsynced = '\0';
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}

/* Asked between two attempts at a lock, and at the end. */
bool
worker_abandoned(const struct worker *unused)
{
	char	 path[80];

	(void)unused;
	if (replaced != NULL) {
		snprintf(path, sizeof(path), "%s.old", replaced);
		assert_int_equal(rename(replaced, path), 0);
		assert_int_equal(close(creat(replaced, 0600)), 0);
		snprintf(path, sizeof(path), "%s.lock", replaced);
		assert_int_equal(unlink(path), 0);
		replaced = NULL;
	}
	return abandoned;
}

static int
setup(void **unused)
{
	(void)unused;
	worker.account.uid = getuid();
	return mkdtemp(scratch) == NULL ? -1 : chdir(scratch);
}

static int
teardown(void **unused)
{
	(void)unused;
	return scratch_remove(scratch);
}

static struct job *
new_job(const char *text, uint32_t row)
{
	struct job	*job = calloc(1, sizeof(*job));

	assert_non_null(job);
	job->body.fd = -1;
	job->body.memory = text;
	job->body.size = strlen(text);
	job->request.id = 1;
	job->request.recipient = row;
	job->request.arrival = INT64_C(1700000000) * SECOND;
	strcpy(job->request.address, "joe@x");
	strcpy(job->request.sender, "s@y");
	return job;
}

static char *
slurp(const char *path)
{
	static char text[8192];
	FILE	*file;

	assert_non_null(file = fopen(path, "r"));
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	return text;
}

static int
count_files(const char *path)
{
	struct dirent	*entry;
	DIR	*directory;
	int	 count = 0;

	assert_non_null(directory = opendir(path));
	while ((entry = readdir(directory)) != NULL)
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count;
}

/* ---- jobs ---- */

/* What an error means for the mail, and whose matter it is. */
static void
test_errors(void **unused)
{
	static const struct {
		int	 error;
		const char *status;
	} samples[] = {
		{ EDQUOT, "4.2.2" }, { EFBIG, "4.2.2" }, { ENOSPC, "4.3.1" },
		{ EACCES, "4.3.5" }, { ENOTDIR, "4.3.5" }, { ELOOP, "4.3.5" },
		{ EIO, "4.3.0" }
	};
	struct job	*job;
	size_t	 i;

	(void)unused;
	for (i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		job = new_job("", 1);
		errno = samples[i].error;
		job_defer_errno(job, "M");
		assert_int_equal(job->answer.verdict, JOB_DEFERRED);
		assert_string_equal(job->answer.status, samples[i].status);
		job_free(job);
	}
}

/* Is a job taken of a body of size octets, in the frame or in a file? */
static bool
takes(const char *tail, FILE *file, uint64_t size)
{
	struct w_job_deliver_req request = {
		.id = 1, .size = size, .body_in_file = file != NULL
	};
	struct frame	 frame = {
		.payload = &request, .tail = tail,
		.tail_length = strlen(tail),
		.fd = file != NULL ? dup(fileno(file)) : -1
	};
	struct job	*job = job_take(&frame);

	assert_int_equal(frame.fd, -1);
	job_free(job);
	return job != NULL;
}

/* A message that is not whole is none. */
static void
test_take(void **unused)
{
	FILE	*file = tmpfile();

	(void)unused;
	assert_non_null(file);
	assert_true(fputs("A: b\n", file) != EOF && fflush(file) == 0);
	assert_true(takes("A: b\n", NULL, 5));
	assert_false(takes("A: b\n", NULL, 4));
	assert_false(takes("A: b\n", NULL, 6));
	assert_true(takes("", file, 5));
	assert_false(takes("", file, 4));
	assert_false(takes("", file, 6));
	assert_false(takes("A: b\n", file, 5));
	fclose(file);
}

/* ---- Maildir ---- */

static void
test_name(void **unused)
{
	struct job	*job = new_job("", 7);
	char	 name[512];

	(void)unused;
	maildir_name(job, "mx.test", 0, name, sizeof(name));
	assert_string_equal(name, "1700000000.0000000000001.7.mx.test");
	maildir_name(job, "mx.test", 42, name, sizeof(name));
	assert_string_equal(name, "1700000000.0000000000001.7.42.mx.test");
	maildir_name(job, "a/b:c", 0, name, sizeof(name));
	assert_string_equal(name,
	    "1700000000.0000000000001.7.a\\057b\\072c");
	job_free(job);
}

/* Deliver one message; returns its answer's twin, or -1. */
static int
deliver_one(const char *folder, uint32_t row, bool fresh, int *result)
{
	struct job	*job = new_job("A: b\r\n\r\nx\r\n", row);
	int	 twin;

	job->request.fresh = fresh;
	maildir_add(&batch, &worker, job, folder);
	*result = maildir_commit(&batch, &worker);
	twin = job->answer.verdict == JOB_DONE ? (int)job->answer.twin : -1;
	job_free(job);
	return twin;
}

static void
test_maildir(void **unused)
{
	char	 path[128];
	FILE	*file;
	int	 result;

	(void)unused;
	assert_int_equal(deliver_one("M/", 1, true, &result), 0);
	assert_string_equal(
	    slurp("M/new/1700000000.0000000000001.1.mx.test"),
	    "Return-Path: <s@y>\nDelivered-To: joe@x\nA: b\n\nx\n");
	assert_int_equal(deliver_one("M", 1, false, &result), 1);
	assert_int_equal(deliver_one("M", 1, true, &result), 1);
	assert_int_equal(rename("M/new/1700000000.0000000000001.1.mx.test",
	    "M/cur/1700000000.0000000000001.1.mx.test,S=9:2,S"), 0);
	assert_int_equal(deliver_one("M", 1, false, &result), 1);
	/* One that only begins so is another. */
	assert_int_equal(rename("M/cur/1700000000.0000000000001.1.mx.test,S=9:"
	    "2,S", "M/cur/1700000000.0000000000001.11.mx.test2:2,S"), 0);
	assert_int_equal(deliver_one("M", 11, false, &result), 0);
	assert_int_equal(count_files("M/new"), 1);
	assert_int_equal(count_files("M/tmp"), 0);
	/* A file of a dead process with our pid is in the way. */
	snprintf(path, sizeof(path),
	    "M/tmp/1700000000.0000000000001.12.%ld.mx.test", (long)getpid());
	assert_non_null(file = fopen(path, "w"));
	fclose(file);
	assert_int_equal(deliver_one("M", 12, true, &result), 0);
	/* spoold is gone: nothing is left. */
	abandoned = true;
	assert_int_equal(deliver_one("M", 3, true, &result), -1);
	assert_int_equal(result, -1);
	abandoned = false;
	assert_int_equal(count_files("M/new"), 2);
	assert_int_equal(count_files("M/tmp"), 0);
	/* Where nothing can be made, it waits. */
	assert_int_equal(deliver_one("missing/M", 1, true, &result), -1);
	assert_int_equal(result, 0);
}

/*
 * Nothing is delivered before it is on disk with its name, nor what an
 * earlier attempt has linked; and all is for the user alone.
 */
static void
test_maildir_syncs(void **unused)
{
	struct job	*jobs[2];
	struct stat	 st;
	uint32_t i;
	int	 result;

	(void)unused;
	synced[0] = '\0';
	assert_int_equal(deliver_one("S", 1, true, &result), 0);
	assert_string_equal(synced, "ddfd");
	assert_int_equal(stat("S/new", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat("S/new/1700000000.0000000000001.1.mx.test",
	    &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	synced[0] = '\0';
	assert_int_equal(deliver_one("S", 2, true, &result), 0);
	assert_string_equal(synced, "fd");
	synced[0] = '\0';
	assert_int_equal(deliver_one("S", 2, false, &result), 1);
	assert_string_equal(synced, "dd");
	synced[0] = '\0';
	for (i = 0; i < 2; i++) {
		jobs[i] = new_job("A: b\r\n\r\nx\r\n", 3 + i);
		maildir_add(&batch, &worker, jobs[i], "S");
	}
	assert_int_equal(maildir_commit(&batch, &worker), 0);
	for (i = 0; i < 2; i++)
		job_free(jobs[i]);
	assert_string_equal(synced, "ffd");
	/* What cannot be synced has not been delivered. */
	unsynced = 'f';
	assert_int_equal(deliver_one("S", 5, true, &result), -1);
	assert_int_equal(count_files("S/new"), 4);
	unsynced = 'd';
	assert_int_equal(deliver_one("S", 6, true, &result), -1);
	unsynced = 'd';
	assert_int_equal(deliver_one("S", 2, false, &result), -1);
	unsynced = 'd';
	assert_int_equal(deliver_one("T", 1, true, &result), -1);
	assert_int_equal(unsynced, '\0');
	assert_int_equal(count_files("S/tmp"), 0);
}

/* A folder that was made for us, in one that we may pass, yet not list. */
static void
test_closed_parent(void **unused)
{
	int	 result;

	(void)unused;
	assert_int_equal(chmod(".", 0711), 0);
	assert_int_equal(mkdir("closed", 0711), 0);
	assert_int_equal(mkdir("closed/M", 0700), 0);
	if (getuid() == 0) {
		assert_int_equal(chown("closed/M", 65534, 65534), 0);
		assert_int_equal(seteuid(65534), 0);
	} else
		assert_int_equal(chmod("closed", 0311), 0);
	assert_int_equal(deliver_one("closed/M", 1, true, &result), 0);
	assert_int_equal(seteuid(getuid()), 0);
	assert_int_equal(chmod("closed", 0700), 0);
	assert_int_equal(count_files("closed/M/new"), 1);
}

static void
test_batch(void **unused)
{
	struct job	*jobs[JOBS_AT_ONCE];
	uint32_t i;

	(void)unused;
	for (i = 0; i < JOBS_AT_ONCE; i++) {
		jobs[i] = new_job("A: b\r\n\r\nx\r\n", i + 1);
		maildir_add(&batch, &worker, jobs[i],
		    i == 5 ? "missing/M" : i % 2 ? "B1" : "B2");
	}
	assert_int_equal(maildir_commit(&batch, &worker), 0);
	for (i = 0; i < JOBS_AT_ONCE; i++) {
		assert_int_equal(jobs[i]->answer.verdict, i == 5 ?
		    JOB_DEFERRED : JOB_DONE);
		job_free(jobs[i]);
	}
	assert_int_equal(count_files("B1/new"), JOBS_AT_ONCE / 2 - 1);
	assert_int_equal(count_files("B2/new"), JOBS_AT_ONCE / 2);
}

/* ---- mbox ---- */

/* Append a message; returns the verdict, with the status in *status. */
static uint32_t
append(const char *path, const char *text, bool spool, char *status)
{
	struct job	*job = new_job(text, 1);
	uint32_t verdict;

	assert_int_equal(mbox_deliver(&worker, job, path, spool), 0);
	verdict = job->answer.verdict;
	strcpy(status, job->answer.status);
	job_free(job);
	return verdict;
}

#define FIRST	"From s@y Tue Nov 14 22:13:20 2023\nReturn-Path: <s@y>\n" \
	"Delivered-To: joe@x\nA: b\n\n"

static void
test_mbox(void **unused)
{
	struct stat	 st;
	char	 status[12], path[64];
	FILE	*file;

	(void)unused;
	snprintf(path, sizeof(path), "%s/mbox", scratch);
	assert_int_equal(append(path, "A: b\r\n\r\nFrom x\r\n>From y\r\n",
	    true, status), JOB_DONE);
	assert_string_equal(slurp(path), FIRST ">From x\n>>From y\n\n");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	/* An end without its empty line is mended, not written into. */
	assert_non_null(file = fopen(path, "w"));
	fputs("From a\n\ncut", file);
	fclose(file);
	assert_int_equal(append(path, "A: b\r\n\r\n", false, status),
	    JOB_DONE);
	assert_string_equal(slurp(path), "From a\n\ncut\n\n" FIRST "\n");
	assert_non_null(file = fopen(path, "w"));
	fputs("From a\n\ncut\n", file);
	fclose(file);
	assert_int_equal(append(path, "A: b\r\n\r\n", false, status),
	    JOB_DONE);
	assert_string_equal(slurp(path), "From a\n\ncut\n\n" FIRST "\n");
	/* Another's file in the mail spool is not written to. */
	worker.account.uid++;
	assert_int_equal(append(path, "A: b\r\n\r\n", true, status),
	    JOB_DEFERRED);
	assert_string_equal(status, "4.3.5");
	worker.account.uid--;
	assert_int_equal(symlink("mbox", "symlink"), 0);
	snprintf(path, sizeof(path), "%s/symlink", scratch);
	assert_int_equal(append(path, "A: b\r\n\r\n", true, status),
	    JOB_DEFERRED);
	assert_string_equal(status, "4.3.5");
	assert_int_equal(append(path, "A: b\r\n\r\n", false, status),
	    JOB_DONE);
	assert_int_equal(append(scratch, "A: b\r\n\r\n", false, status),
	    JOB_DEFERRED);
	assert_int_equal(link("mbox", "second"), 0);
	snprintf(path, sizeof(path), "%s/second", scratch);
	assert_int_equal(append(path, "A: b\r\n\r\n", true, status),
	    JOB_DEFERRED);
	assert_string_equal(status, "4.3.5");
}

static void
test_truncate(void **unused)
{
	struct rlimit	 limit, before;
	struct job	*job;
	struct stat	 st;
	char	 status[12], path[64], text[6000];

	(void)unused;
	snprintf(path, sizeof(path), "%s/full", scratch);
	assert_int_equal(append(path, "A: b\r\n\r\n", false, status),
	    JOB_DONE);
	memset(text, 'x', sizeof(text) - 1);
	memcpy(text, "A: b\r\n\r\n", 8);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 4096;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(append(path, text, false, status), JOB_DEFERRED);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_string_equal(status, "4.2.2");
	assert_string_equal(slurp(path), FIRST "\n");
	/* And the same when nobody waits for the answer any more. */
	job = new_job("A: b\r\n\r\n", 1);
	abandoned = true;
	assert_int_equal(mbox_deliver(&worker, job, path, false), -1);
	abandoned = false;
	job_free(job);
	assert_string_equal(slurp(path), FIRST "\n");
	assert_int_equal(lstat("full.lock", &st), -1);
}

/* The file is on disk, and its name if it was made, or it is as it was. */
static void
test_mbox_syncs(void **unused)
{
	char	 status[12], path[64];

	(void)unused;
	snprintf(path, sizeof(path), "%s/synced", scratch);
	synced[0] = '\0';
	assert_int_equal(append(path, "A: b\r\n\r\n", true, status),
	    JOB_DONE);
	assert_string_equal(synced, "df");
	synced[0] = '\0';
	unsynced = 'f';
	assert_int_equal(append(path, "A: b\r\n\r\n", true, status),
	    JOB_DEFERRED);
	assert_string_equal(synced, "ff");
	assert_string_equal(slurp(path), FIRST "\n");
	unlink(path);
	unsynced = 'd';
	assert_int_equal(append(path, "A: b\r\n\r\n", true, status),
	    JOB_DEFERRED);
}

/* ---- locks ---- */

/* Try for a second to lock a file. */
static enum lock_result
try_lock(const char *path, struct mailbox_lock *lock)
{
	int	 fd = open(path, O_RDWR | O_CREAT, 0600);

	assert_int_not_equal(fd, -1);
	return lock_take(lock, fd, path, true, 1, &worker);
}

static void
write_lock(const char *path, long pid, int age)
{
	struct timespec	 times[2] = { 0 };
	FILE	*file;

	assert_non_null(file = fopen(path, "w"));
	if (pid >= 0)
		fprintf(file, "%ld\n", pid);
	fclose(file);
	times[0].tv_sec = times[1].tv_sec = time(NULL) - age;
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void
test_dot_lock(void **unused)
{
	static const struct {
		long	 pid;		/* -1: none inside */
		int	 age;
		enum lock_result result;
	} samples[] = {
		{ 4194000, 10, LOCK_BUSY },
		{ 4194000, 400, LOCK_TAKEN },
		{ 1, 400, LOCK_BUSY },
		{ -1, 10, LOCK_BUSY },
		{ -1, 400, LOCK_TAKEN },
		{ 0, 400, LOCK_TAKEN },
	};
	struct mailbox_lock lock;
	struct stat	 st;
	size_t	 i;

	(void)unused;
	for (i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		write_lock("l.lock", samples[i].pid, samples[i].age);
		assert_int_equal(try_lock("l", &lock), samples[i].result);
		if (samples[i].result == LOCK_TAKEN) {
			assert_int_equal(strtol(slurp("l.lock"), NULL, 10),
			    getpid());
			lock_release(&lock);
			assert_int_equal(lstat("l.lock", &st), -1);
		} else
			unlink("l.lock");
		close(lock.fd);
	}
}

/* Our own locks that we could not remove, which name us, are no others'. */
static void
test_left_locks(void **unused)
{
	static const char *const paths[] = { "shut/a", "shut/b", "shut/c" };
	struct mailbox_lock locks[3], other;
	struct stat	 st;
	size_t	 i;

	(void)unused;
	assert_int_equal(mkdir("shut", 0700), 0);
	for (i = 0; i < 3; i++)
		assert_int_equal(try_lock(paths[i], &locks[i]), LOCK_TAKEN);
	assert_int_equal(chmod("shut", 0500), 0);
	assert_true(getuid() != 0 || seteuid(65534) == 0);
	for (i = 0; i < 3; i++) {
		lock_release(&locks[i]);
		close(locks[i].fd);
	}
	assert_true(getuid() != 0 || seteuid(0) == 0);
	assert_int_equal(chmod("shut", 0700), 0);
	assert_int_equal(lstat("shut/a.lock", &st), 0);
	assert_int_equal(try_lock("other", &other), LOCK_TAKEN);
	lock_release(&other);
	close(other.fd);
	for (i = 0; i < 3; i++) {
		/* Its first try breaks it. */
		assert_int_equal(try_lock(paths[i], &locks[i]), LOCK_TAKEN);
		lock_release(&locks[i]);
		close(locks[i].fd);
		assert_int_equal(lstat(locks[i].path, &st), -1);
	}
}

/* Another process has the fcntl lock. */
static void
test_fcntl_lock(void **unused)
{
	struct flock	 whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct mailbox_lock lock;
	struct stat	 st;
	int	 ready[2], fd, status;
	pid_t	 pid;
	char	 c;

	(void)unused;
	assert_int_equal(pipe(ready), 0);
	if ((pid = fork()) == 0) {
		fd = open("f", O_RDWR | O_CREAT, 0600);
		if (fcntl(fd, F_SETLK, &whole) == -1 ||
		    write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	assert_int_equal(try_lock("f", &lock), LOCK_BUSY);
	assert_int_equal(lstat("f.lock", &st), -1);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	assert_int_equal(try_lock("f", &lock), LOCK_TAKEN);
	lock_release(&lock);
	close(lock.fd);
}

/* May another process lock the file now? */
static bool
is_free(const char *path)
{
	struct flock	 whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int	 status;
	pid_t	 pid;

	if ((pid = fork()) == 0)
		_exit(fcntl(open(path, O_RDWR), F_SETLK, &whole) == -1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status == 0;
}

/* Nobody waits for us while we wait for another, or are done. */
static void
test_let_go(void **unused)
{
	struct mailbox_lock lock;

	(void)unused;
	write_lock("g.lock", getppid(), 0);
	assert_int_equal(try_lock("g", &lock), LOCK_BUSY);
	assert_true(is_free("g"));
	close(lock.fd);
	unlink("g.lock");
	assert_int_equal(try_lock("g", &lock), LOCK_TAKEN);
	assert_false(is_free("g"));
	lock_release(&lock);
	assert_true(is_free("g"));
	close(lock.fd);
}

/* Who had the lock put another file in its place: that one is written to. */
static void
test_replaced(void **unused)
{
	char	 status[12], path[64], old[80];

	(void)unused;
	snprintf(path, sizeof(path), "%s/moved", scratch);
	snprintf(old, sizeof(old), "%s.old", path);
	assert_int_equal(append(path, "A: b\r\n\r\n", false, status),
	    JOB_DONE);
	write_lock("moved.lock", getppid(), 0);
	replaced = path;
	assert_int_equal(append(path, "A: b\r\n\r\n", false, status),
	    JOB_DONE);
	assert_null(replaced);
	assert_string_equal(slurp(old), FIRST "\n");
	assert_string_equal(slurp(path), FIRST "\n");
	assert_int_equal(access("moved.lock", F_OK), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_take),
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_maildir),
		cmocka_unit_test(test_maildir_syncs),
		cmocka_unit_test(test_closed_parent),
		cmocka_unit_test(test_batch),
		cmocka_unit_test(test_mbox),
		cmocka_unit_test(test_truncate),
		cmocka_unit_test(test_mbox_syncs),
		cmocka_unit_test(test_dot_lock),
		cmocka_unit_test(test_left_locks),
		cmocka_unit_test(test_fcntl_lock),
		cmocka_unit_test(test_let_go),
		cmocka_unit_test(test_replaced),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
