/*
 * Running a user's program: in a session of its own, with the message on its
 * standard input and its output kept for the log.  When it ends, or is ended,
 * nothing that it started goes on running.
 */
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "deliver.h"
#include "log.h"
#include "signals.h"

#define OUTPUT_KEPT	384		/* octets, the last ones */
#define DRAIN_TURNS	256		/* reads that empty a full pipe */
#define GRACE		(5 * SECOND)	/* between SIGTERM and SIGKILL */
#define LINGER		(2 * SECOND)	/* for what was killed to be gone */

struct program {
	const struct worker *worker;
	struct body_stream *stream;
	pid_t	 pid;
	int	 pidfd;			/* -1: none could be had */
	int	 input;			/* we write; -1 closed */
	int	 output;		/* we read */
	char	 buffer[65536];		/* on its way to the input */
	size_t	 start;
	size_t	 end;
	char	 kept[OUTPUT_KEPT * 2];
	size_t	 kept_length;
	int	 status;
	int	 body_errno;		/* the message could not be handed
					   over */
	bool	 timed_out;
	bool	 abandoned;
};

/* ---- the child ---- */

/* Become the program; what goes wrong is said on its output. */
static void __attribute__((noreturn))
execute(const struct command *command, int input, int output)
{
	/* Above 2 first, so that none is overwritten before it is moved. */
	input = fcntl(input, F_DUPFD, 3);
	output = fcntl(output, F_DUPFD, 3);
	if (input == -1 || output == -1 || dup2(input, 0) == -1 ||
	    dup2(output, 1) == -1 || dup2(output, 2) == -1)
		_exit(71);
	close_range(3, ~0U, 0);
	setsid();
	umask(077);
	signals_reset();
	execve(command->argv[0], command->argv, command->environment);
	dprintf(2, "%s: %s\n", command->argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/* Start it; -1 with errno. */
static int
start(struct program *program, const struct command *command)
{
	int	 in[2] = { -1, -1 }, out[2] = { -1, -1 }, saved;

	if (pipe2(in, O_CLOEXEC) == -1 || pipe2(out, O_CLOEXEC) == -1 ||
	    (program->pid = fork()) == -1)
		goto fail;
	if (program->pid == 0)
		execute(command, in[0], out[1]);
	close(in[0]);
	close(out[1]);
	program->input = in[1];
	program->output = out[0];
	fcntl(program->input, F_SETFL, O_NONBLOCK);
	fcntl(program->output, F_SETFL, O_NONBLOCK);
	program->pidfd = (int)syscall(SYS_pidfd_open, program->pid, 0);
	return 0;
fail:
	saved = errno;
	if (in[0] != -1) {
		close(in[0]);
		close(in[1]);
	}
	if (out[0] != -1) {
		close(out[0]);
		close(out[1]);
	}
	errno = saved;
	return -1;
}

/* ---- its input and output ---- */

static void
close_input(struct program *program)
{
	if (program->input != -1)
		close(program->input);
	program->input = -1;
}

/* Give it more of the message. */
static void
feed(struct program *program)
{
	ssize_t	 n;

	if (program->start == program->end) {
		n = body_read(program->stream, program->buffer,
		    sizeof(program->buffer));
		if (n == -1) {
			program->body_errno = errno;
			return;
		}
		if (n == 0) {
			close_input(program);
			return;
		}
		program->start = 0;
		program->end = (size_t)n;
	}
	n = write(program->input, program->buffer + program->start,
	    program->end - program->start);
	if (n > 0)
		program->start += (size_t)n;
	else if (n == -1 && errno == EPIPE)
		close_input(program);	/* it need not read all of it */
	else if (n == -1 && errno != EAGAIN && errno != EINTR)
		program->body_errno = errno;
}

/* Keep the end of what it says; false at the end of that. */
static bool
listen_to(struct program *program)
{
	size_t	 room = sizeof(program->kept) - program->kept_length;
	ssize_t	 n;

	if (room < OUTPUT_KEPT) {
		memmove(program->kept, program->kept + program->kept_length -
		    OUTPUT_KEPT, OUTPUT_KEPT);
		program->kept_length = OUTPUT_KEPT;
		room = sizeof(program->kept) - OUTPUT_KEPT;
	}
	n = read(program->output, program->kept + program->kept_length, room);
	if (n > 0)
		program->kept_length += (size_t)n;
	return n > 0 || (n == -1 && (errno == EAGAIN || errno == EINTR));
}

/* Read what is left of its output without waiting. */
static void
drain(struct program *program)
{
	struct pollfd	 poller = { .fd = program->output, .events = POLLIN };
	int		 turn;

	for (turn = 0; turn < DRAIN_TURNS &&
	    poll(&poller, 1, 0) == 1; turn++)
		if (!listen_to(program))
			break;
}

/* ---- its end ---- */

/* For want of a descriptor that tells; it is not reaped. */
static bool
has_ended(const struct program *program)
{
	siginfo_t	 info = { .si_pid = 0 };

	return waitid(P_PID, (id_t)program->pid, &info,
	    WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0;
}

/*
 * Wait for the program and serve it meanwhile, until it ends or the deadline
 * passes or, if that counts, the worker is abandoned.  Returns whether it
 * has ended.
 */
static bool
serve(struct program *program, int64_t deadline, bool watch)
{
	enum { ENDED, OUTPUT, INPUT, LINK };
	struct pollfd	 fds[4] = { 0 };
	int64_t		 left;
	bool		 output = true;

	for (;;) {
		left = deadline - clock_monotonic();
		if (left <= 0)
			return false;
		if (watch && worker_abandoned(program->worker)) {
			program->abandoned = true;
			return false;
		}
		fds[ENDED].fd = program->pidfd;
		fds[OUTPUT].fd = output ? program->output : -1;
		/* Told to end, it sees no end of a message cut short. */
		fds[INPUT].fd = watch ? program->input : -1;
		fds[LINK].fd = watch ? program->worker->link : -1;
		fds[ENDED].events = fds[OUTPUT].events = POLLIN;
		fds[INPUT].events = POLLOUT;
		fds[LINK].events = POLLRDHUP;
		/* In slices: a signal may come just before the call. */
		if (poll(fds, 4, left > SECOND ? 1000 :
		    (int)(left / 1000) + 1) == -1) {
			if (errno != EINTR && errno != ENOMEM)
				fatal("poll");
			continue;
		}
		if (fds[OUTPUT].fd != -1 && fds[OUTPUT].revents != 0)
			output = listen_to(program);
		if (fds[INPUT].fd != -1 && fds[INPUT].revents != 0)
			feed(program);
		if (fds[ENDED].revents != 0 ||
		    (program->pidfd == -1 && has_ended(program)))
			return true;
		if (watch && program->body_errno != 0)
			return false;
	}
}

/* Kill every child we have, which orphans become; how many there are. */
static int
kill_children(void)
{
	char	 path[64];
	long	 pid;
	int	 count = 0;
	FILE	*file;

	snprintf(path, sizeof(path), "/proc/self/task/%ld/children",
	    (long)getpid());
	if ((file = fopen(path, "re")) == NULL)
		return 0;
	while (fscanf(file, "%ld", &pid) == 1 && pid > 1) {
		kill((pid_t)pid, SIGKILL);
		count++;
	}
	fclose(file);
	return count;
}

/* Leave nothing running of what it started and put into other sessions. */
static void
sweep(void)
{
	struct timespec	 pause = { .tv_nsec = 10 * 1000 * 1000 };
	int64_t		 deadline = clock_monotonic() + LINGER;

	for (;;) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			continue;
		if (kill_children() == 0 || clock_monotonic() >= deadline)
			break;
		nanosleep(&pause, NULL);
	}
}

/* See it to its end, its own or ours. */
static void
finish(struct program *program, int64_t limit)
{
	if (!serve(program, clock_monotonic() + limit, true)) {
		program->timed_out = !program->abandoned &&
		    program->body_errno == 0;
		kill(-program->pid, SIGTERM);
		(void)serve(program, clock_monotonic() + GRACE, false);
	}
	/* Before it is reaped, while its group's number is surely its own. */
	kill(-program->pid, SIGKILL);
	while (waitpid(program->pid, &program->status, 0) == -1 &&
	    errno == EINTR)
		continue;
	drain(program);
	close_input(program);
	close(program->output);
	if (program->pidfd != -1)
		close(program->pidfd);
	sweep();
}

/* The end of its output as one line. */
static void
output_line(const struct program *program, char *line, size_t size)
{
	size_t	 first = 0, used = 0, i;
	char	 c;

	if (program->kept_length > OUTPUT_KEPT)
		first = program->kept_length - OUTPUT_KEPT;
	for (i = first; i < program->kept_length && used + 1 < size; i++) {
		c = program->kept[i];
		if ((unsigned char)c < ' ' || c == 127)
			c = ' ';
		if (c != ' ' || (used > 0 && line[used - 1] != ' '))
			line[used++] = c;
	}
	while (used > 0 && line[used - 1] == ' ')
		used--;
	line[used] = '\0';
}

/* Give the job its verdict. */
static void
judge(const struct program *program, struct job *job,
    const struct mailer *mailer)
{
	const char	*status;
	char		 words[64], output[OUTPUT_KEPT + 1];
	enum job_verdict verdict;

	verdict = command_verdict(program->status, &status, words,
	    sizeof(words));
	output_line(program, output, sizeof(output));
	if (program->timed_out) {
		verdict = JOB_DEFERRED;
		status = "4.3.0";
		strlcpy(words, "time limit exceeded", sizeof(words));
	}
	job_done(job, mailer->name);
	if (program->body_errno != 0)
		job_defer(job, "4.3.0", "handing over the message: %s",
		    strerror(program->body_errno));
	else if (verdict == JOB_DEFERRED)
		job_defer(job, status, "%s%s%s", words,
		    output[0] != '\0' ? ": " : "", output);
	else if (verdict == JOB_FAILED)
		job_fail(job, status, "%s%s%s", words,
		    output[0] != '\0' ? ": " : "", output);
	else
		strlcpy(job->answer.text, output, sizeof(job->answer.text));
}

int
program_deliver(const struct worker *worker, struct job *job,
    const struct mailer *mailer, bool named)
{
	struct program	*program;
	struct command	 command;
	char		 prefix[PREFIX_SIZE];
	int		 result = 0;

	if (worker->home_errno != 0) {
		errno = worker->home_errno;
		job_defer(job, "4.3.0", "%s: %s", worker->account.home,
		    strerror(errno));
		return 0;
	}
	if (command_make(&command, worker, mailer, job, named) == -1)
		return 0;
	if ((program = calloc(1, sizeof(*program))) == NULL)
		fatal("program");
	program->worker = worker;
	program->input = -1;
	program->stream = body_stream_new();
	job_prefix(job, mailer->from_line, prefix);
	body_open(program->stream, &job->body, prefix, false);
	if (start(program, &command) == -1)
		job_defer_errno(job, mailer->name);
	else {
		finish(program, mailer->time_limit);
		judge(program, job, mailer);
		result = program->abandoned ? -1 : 0;
	}
	body_stream_free(program->stream);
	free(program);
	command_free(&command);
	return result;
}
