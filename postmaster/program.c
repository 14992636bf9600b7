/*
 * The programs of the processes: where they are, how they are executed, and
 * their own check of their part of the configuration.
 */
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "jail.h"
#include "log.h"
#include "postmaster.h"
#include "signals.h"

#define START_FD	3
#define READY_FD	4
#define ABOVE		10		/* descriptors that are not those */
#define CHECK_LIMIT	(60 * SECOND)
#define COMPLAINTS_MAX	(1024 * 1024)
#define PART_NAME	"postmaster.cf:"	/* what they call it */

static char libexec[PATH_MAX];

int
program_find(const char **why)
{
	char own[PATH_MAX], *slash;
	struct stat st;
	ssize_t length;
	int i;

	if ((length = readlink("/proc/self/exe", own, sizeof(own) - 1)) == -1) {
		*why = "cannot tell where this program is";
		return -1;
	}
	own[length] = '\0';
	for (i = 0; i < 2; i++) {
		if ((slash = strrchr(own, '/')) == NULL)
			break;
		*slash = '\0';
	}
	if (snprintf(libexec, sizeof(libexec), "%s/libexec/postmaster", own) >=
	    (int)sizeof(libexec) || stat(libexec, &st) == -1) {
		*why = "the programs are not in ../libexec/postmaster beside "
		    "this one; install the suite whole";
		return -1;
	}
	return 0;
}

/* An environment made from nothing, but for what testers started us with. */
static char **
environment(void)
{
	static const char *const passed[] = { "LD_PRELOAD", "ASAN_OPTIONS",
	    "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS" };
	static char *variables[8];
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	static char zone[] = "TZ=:/etc/localtime";
	size_t i, count = 0;
	const char *value;

	variables[count++] = path;
	variables[count++] = zone;
	for (i = 0; i < sizeof(passed) / sizeof(passed[0]); i++)
		if ((value = getenv(passed[i])) != NULL &&
		    asprintf(&variables[count], "%s=%s", passed[i],
		    value) != -1)
			count++;
	variables[count] = NULL;
	return variables;
}

/* In the child: standard descriptors lead nowhere, or to our stderr. */
static void
set_standard(bool keep_stderr)
{
	int null = open("/dev/null", O_RDWR);

	dup2(null, STDIN_FILENO);
	if (!keep_stderr)
		dup2(null, STDERR_FILENO);
	dup2(STDERR_FILENO, STDOUT_FILENO);
}

/* In the child: execute the program; option may be NULL. */
static void
execute(enum process process, const char *option, const char *argument)
{
	char path[PATH_MAX + 16], words[2][16];
	char *argv[] = { path, words[0], words[1], NULL };

	snprintf(path, sizeof(path), "%s/%s", libexec, wire_process(process));
	snprintf(words[0], sizeof(words[0]), "%s",
	    option != NULL ? option : argument);
	snprintf(words[1], sizeof(words[1]), "%s", argument);
	if (option == NULL)
		argv[2] = NULL;
	execve(path, argv, environment());
}

pid_t
program_start(enum process process, unsigned int instance,
    const char *option, int start, int ready, bool keep_stderr)
{
	char number[16];
	pid_t pid;

	if ((pid = fork()) != 0)
		return pid;
	signals_reset();
	setsid();
	set_standard(keep_stderr);
	start = fcntl(start, F_DUPFD, ABOVE);
	ready = fcntl(ready, F_DUPFD, ABOVE);
	if (dup2(start, START_FD) == -1 || dup2(ready, READY_FD) == -1)
		_exit(127);
	closefrom(READY_FD + 1);
	snprintf(number, sizeof(number), "%u", instance);
	execute(process, option, number);
	_exit(127);
}

/* In the child: become who the process will be, and let it check. */
static void
check_in_child(enum process process, const struct settings *settings,
    const struct options *options, int in, int out)
{
	const struct identity *identity = &settings->identities[process];

	signals_reset();
	if (dup2(in, STDIN_FILENO) == -1 || dup2(out, STDOUT_FILENO) == -1 ||
	    dup2(out, STDERR_FILENO) == -1)
		_exit(127);
	closefrom(STDERR_FILENO + 1);
	if (!options->rootless && identity->uid != 0 &&
	    jail_become(identity->uid, identity->gid, NULL, 0) == -1)
		_exit(126);
	execute(process, NULL, "-n");
	_exit(127);
}

/* Read until the end; one that says too much or takes too long is killed. */
static char *
read_complaints(int fd, pid_t pid)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	int64_t end = clock_monotonic() + CHECK_LIMIT, left;
	char *text = malloc(COMPLAINTS_MAX);
	size_t length = 0;
	ssize_t got;

	if (text == NULL)
		fatal("complaints");
	while (length < COMPLAINTS_MAX - 1 &&
	    (left = end - clock_monotonic()) > 0) {
		if (poll(&pollfd, 1, left / 1000 + 1) <= 0)
			continue;
		got = read(fd, text + length, COMPLAINTS_MAX - 1 - length);
		if (got > 0)
			length += got;
		if (got == 0)
			goto out;
	}
	kill(pid, SIGKILL);
out:
	text[length] = '\0';
	return text;
}

/* Copy complaints, each with the name of the file it is about. */
static void
copy_complaints(char *text, const struct settings *settings, FILE *out)
{
	size_t length = strlen(PART_NAME);
	char *line;

	while ((line = strsep(&text, "\n")) != NULL) {
		if (*line == '\0')
			continue;
		if (strncmp(line, PART_NAME, length) == 0)
			fprintf(out, "%s:%s\n", settings->conf->files[0],
			    line + length);
		else
			fprintf(out, "%s\n", line);
	}
}

int
program_check(enum process process, const struct settings *settings,
    const struct options *options, FILE *out)
{
	int part, pair[2] = { -1, -1 }, status = -1, result = -1;
	char *text = NULL;
	pid_t pid;

	if ((part = part_open(settings->conf, process)) == -1 ||
	    lseek(part, 0, SEEK_SET) == -1 || pipe2(pair, O_CLOEXEC) == -1 ||
	    (pid = fork()) == -1) {
		fprintf(out, "%s -n: %s\n", wire_process(process),
		    strerror(errno));
		goto out;
	}
	if (pid == 0)
		check_in_child(process, settings, options, part, pair[1]);
	close(pair[1]);
	pair[1] = -1;
	text = read_complaints(pair[0], pid);
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		continue;
	copy_complaints(text, settings, out);
	if (WIFEXITED(status) && WEXITSTATUS(status) <= 2)
		result = WEXITSTATUS(status);
	else
		fprintf(out, "%s -n did not end as it should (status %d)\n",
		    wire_process(process), status);
out:
	free(text);
	if (part != -1)
		close(part);
	if (pair[0] != -1)
		close(pair[0]);
	if (pair[1] != -1)
		close(pair[1]);
	return result;
}
