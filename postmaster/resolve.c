/*
 * host:service as addresses.  The look-up runs in a child that has given up
 * the rights of root, so that postmaster itself reads no answer of a
 * resolver: only structs of fixed size, which it checks.
 */
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "jail.h"
#include "log.h"
#include "postmaster.h"

#define TIME_LIMIT	(10 * SECOND)
#define ANSWERS_MAX	256
#define NOBODY		65534	/* while the account is missing */

/* In the child: write an answer, or what went wrong. */
static void
tell(int fd, size_t number, int error, const struct addrinfo *info)
{
	struct resolved resolved;

	memset(&resolved, 0, sizeof(resolved));
	resolved.number = number;
	resolved.error = error;
	if (info != NULL) {
		resolved.length = info->ai_addrlen;
		memcpy(&resolved.address, info->ai_addr, info->ai_addrlen);
	}
	if (write(fd, &resolved, sizeof(resolved)) != sizeof(resolved))
		_exit(1);
}

/* In the child: look up one question. */
static void
look_up(int fd, size_t number, const struct question *question)
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE,
	    .ai_socktype = SOCK_STREAM }, *all, *one;
	int error;

	error = getaddrinfo(*question->host == '\0' ? NULL : question->host,
	    question->service, &hints, &all);
	if (error != 0) {
		tell(fd, number, error, NULL);
		return;
	}
	for (one = all; one != NULL; one = one->ai_next)
		tell(fd, number, 0, one);
	freeaddrinfo(all);
}

/* Is this an answer that a resolver in its right mind could give? */
static bool
is_sound(const struct resolved *resolved, size_t questions)
{
	if (resolved->number >= questions)
		return false;
	if (resolved->error != 0)
		return true;
	switch (resolved->address.ss_family) {
	case AF_INET:
		return resolved->length == sizeof(struct sockaddr_in);
	case AF_INET6:
		return resolved->length == sizeof(struct sockaddr_in6);
	default:
		return false;
	}
}

/* Read whole answers until the end or the time is up. */
static int
read_answers(int fd, size_t questions, struct resolved *answers)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	int64_t end = clock_monotonic() + TIME_LIMIT, left;
	size_t size = ANSWERS_MAX * sizeof(*answers), length = 0, i;
	ssize_t got;

	while (length < size && (left = end - clock_monotonic()) > 0) {
		if (poll(&pollfd, 1, left / 1000 + 1) <= 0)
			continue;
		got = read(fd, (char *)answers + length, size - length);
		if (got == 0)
			break;
		if (got > 0)
			length += got;
	}
	for (i = 0; i < length / sizeof(*answers); i++)
		if (!is_sound(&answers[i], questions))
			break;
	return i;
}

/* Have a child ask; what it does not answer, or cannot, is missing. */
static int
ask(const struct question *questions, size_t count, struct identity identity,
    bool rootless, struct resolved *answers)
{
	int pair[2], found;
	pid_t pid;
	size_t i;

	if (pipe2(pair, O_CLOEXEC) == -1)
		return 0;
	if ((pid = fork()) == -1) {
		close(pair[0]);
		close(pair[1]);
		return 0;
	}
	if (pid == 0) {
		signal(SIGPIPE, SIG_DFL);
		if (identity.uid == 0)
			identity = (struct identity){ NOBODY, NOBODY };
		if (!rootless && jail_become(identity.uid, identity.gid,
		    NULL, 0) == -1)
			_exit(1);
		for (i = 0; i < count; i++)
			look_up(pair[1], i, &questions[i]);
		_exit(0);
	}
	close(pair[1]);
	found = read_answers(pair[0], count, answers);
	close(pair[0]);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
		continue;
	return found;
}

static bool
is_answered(size_t number, const struct resolved *answers, int found)
{
	int i;

	for (i = 0; i < found; i++)
		if (answers[i].number == number)
			return true;
	return false;
}

int
resolve(const struct question *questions, size_t count,
    struct identity identity, bool rootless, struct resolved **answers)
{
	int found;
	size_t i;

	*answers = calloc(ANSWERS_MAX + count, sizeof(**answers));
	if (*answers == NULL)
		fatal("answers");
	found = ask(questions, count, identity, rootless, *answers);
	for (i = 0; i < count; i++)
		if (!is_answered(i, *answers, found))
			(*answers)[found++] = (struct resolved){ .number = i,
			    .error = EAI_AGAIN };
	return found;
}
