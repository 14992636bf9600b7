/*
 * Stands in for postmaster, smtpd, policyd, deliver with its workers, relay
 * and ctl around one real process of spoold.
 *
 *   standin SPOOLD DIRECTORY [KEY=VALUE ...]
 *
 * The spool is DIRECTORY; the settings are those of [core], and of sections
 * whose heads are given like settings.  A line on
 * standard input is obeyed and answered by lines of which the last begins
 * with "ok" or "no".  What is delivered, and what else befalls a recipient,
 * is a line of the file DIRECTORY/../events each.
 *
 * An address's local part says what becomes of it: a word, and what follows
 * a dash.  policyd: local-ACCOUNT relay-HOST hop-HOP mx-ANY (by the mail
 * exchangers of the address's domain) list-A_B long-COUNT empty mailer-ANY odd
 * unknown refuse-CODE defer discard; dies closes its link, as does kills, but
 * then the next one is there at once, and edited-COUNT, a long list that lacks
 * its first member from then on, at its second part.  A worker: the
 * account ok takes, fail refuses, later defers, dies closes its link, hangs
 * never answers until it ends, forward expands to local-ok and to |program,
 * many to 600 addresses, nobody to none.  relay: the host (or the first label
 * of the domain) ok takes, fail refuses, dead defers and is closed for 300
 * seconds, shut as long as can be, hold waits until it is told what to answer,
 * mood defers until it is told to be ok, dsn takes and reports itself.  What a
 * worker takes is the file DIRECTORY/../ID.ROW.  A ! before an address that is
 * sent to asks for a report of success.
 *
 * To be explained are relay-HOST, mx and postmaster at a domain that begins
 * with mx or dead; all else is local.  relay tells what it was asked and that
 * ok takes it, all others not; about hangs it says nothing, about dies it
 * dies.
 */
#include <err.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "loop.h"
#include "queueid.h"
#include "standin.h"

struct standin s;

void
event_line(const char *what, uint64_t id, uint32_t row, const char *text)
{
	char	 printed[QUEUEID_LENGTH + 1];

	if (s.quiet)
		return;
	fprintf(s.events, "%s %s %u %s\n", what, queueid_print(id, printed),
	    row, text);
	fflush(s.events);
}

/* Those that begin with spoold; each is NULL when it has ended. */
static struct link **const links[] = {
	&s.smtpd, &s.policyd, &s.deliver, &s.relays[0], &s.relays[1]
};

void
drain_all(void)
{
	size_t	 i;

	for (i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (*links[i] != NULL)
			link_drain(*links[i]);
}

/* spoold has ended, or has thrown this one out. */
void
on_end(struct link *link, const char *why, void *arg)
{
	size_t	 i;

	(void)why;
	(void)arg;
	for (i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (*links[i] == link)
			*links[i] = NULL;
	for (i = 0; i < s.held_count;)
		if (s.held[i].link == link)
			memmove(&s.held[i], &s.held[i + 1], (--s.held_count -
			    i) * sizeof(s.held[0]));
		else
			i++;
}

/* Run the loop until a condition holds; false after some seconds. */
bool
run_until(bool (*holds)(void), int seconds)
{
	int64_t	 end = clock_monotonic() + seconds * SECOND;
	struct timeval	 wait = { .tv_usec = 100000 };

	while (!holds()) {
		if (clock_monotonic() > end)
			return false;
		event_base_loopexit(s.base, &wait);
		event_base_loop(s.base, EVLOOP_ONCE);
		drain_all();
	}
	return true;
}

bool
never(void)
{
	return false;
}

/* spoold is gone, and all of them with it. */
void
free_all(void)
{
	size_t	 i;

	for (i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		link_free(*links[i]);
		*links[i] = NULL;
	}
}

/* ---- commands ---- */

static void
obey(char *line)
{
	char		*words[6] = { NULL };
	int		 count = 0;
	char		*word;

	line[strcspn(line, "\n")] = '\0';
	while (count < 5 && (word = strsep(&line, " ")) != NULL)
		words[count++] = word;
	if (strcmp(words[0], "send") == 0 && count == 4)
		command_send(words[1], words[2], (size_t)atol(words[3]));
	else if (strcmp(words[0], "bench") == 0 && count == 5)
		command_bench(atol(words[1]), atol(words[2]),
		    (size_t)atol(words[3]), words[4]);
	else if (strcmp(words[0], "run") == 0 && count == 2) {
		(void)run_until(never, atoi(words[1]));
		puts("ok");
	} else if (strcmp(words[0], "flood") == 0 && count == 3)
		command_flood(atol(words[1]), words[2]);
	else if (strcmp(words[0], "held") == 0)
		printf("ok %u\n", s.held_count);
	else if (strcmp(words[0], "transactions") == 0)
		printf("ok %ld %ld\n", s.transactions[0], s.transactions[1]);
	else if (strcmp(words[0], "mood") == 0 && count == 2) {
		s.is_good = strcmp(words[1], "ok") == 0;
		puts("ok");
	} else if (strcmp(words[0], "let") == 0 && count == 2)
		command_let(atoi(words[1]), "ok", 0);
	else if (strcmp(words[0], "break") == 0 && count == 2)
		command_let(atoi(words[1]), "broken", 0);
	else if (strcmp(words[0], "close") == 0 && count == 3)
		command_let(atoi(words[1]), "broken", atoi(words[2]));
	else if (strcmp(words[0], "kill") == 0) {
		stop_spoold(SIGKILL);
		puts("ok");
	} else if (strcmp(words[0], "stop") == 0) {
		stop_spoold(0);
		puts("ok");
	} else if (strcmp(words[0], "start") == 0) {
		start_spoold();
		puts("ok");
	} else if (strcmp(words[0], "pid") == 0)
		printf("ok %d\n", (int)s.spoold.pid);
	else if (strcmp(words[0], "state") == 0)
		printf("%s\n", s.takes_mail ? "ok" : "no");
	else if (strcmp(words[0], "configure") == 0 && count > 1) {
		(void)snprintf(s.conf, sizeof(s.conf), "[relay \"*\"]\n"
		    "%s = %s\n", words[1], words[2]);
		tell_config();
		puts("ok");
	}
	else if (strcmp(words[0], "hangup") == 0) {
		puts(s.hanging != NULL ? "ok" : "no");
		link_free(s.hanging);
		s.hanging = NULL;
	} else if (strcmp(words[0], "stuck") == 0)
		command_stuck();
	else if (strcmp(words[0], "ended") == 0)
		command_ended();
	else if (strcmp(words[0], "relink") == 0)
		command_relink();
	else if (strcmp(words[0], "silent") == 0 && count == 2)
		command_silent(strcmp(words[1], "dies") == 0);
	else if (strcmp(words[0], "relay-dies") == 0)
		command_relay_dies();
	else
		puts("no such command");
	fflush(stdout);
}

static void
on_line(int fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	*(bool *)arg = true;
}

int
main(int argc, char **argv)
{
	struct event	*input;
	char		 line[4096], path[512];
	bool		 has_line;
	int		 i;

	if (argc < 3)
		errx(1, "usage: standin SPOOLD DIRECTORY [KEY=VALUE ...]");
	signal(SIGPIPE, SIG_IGN);
	s.program = argv[1];
	s.directory = argv[2];
	(void)strcpy(s.conf, "[core]\n");
	for (i = 3; i < argc; i++)
		(void)snprintf(s.conf + strlen(s.conf), sizeof(s.conf) -
		    strlen(s.conf), "%s\n", argv[i]);
	log_start("standin", true);
	s.base = loop_new();
	(void)snprintf(path, sizeof(path), "%s/../events", s.directory);
	if ((s.events = fopen(path, "a")) == NULL)
		err(1, "%s", path);
	setvbuf(stdin, NULL, _IONBF, 0);
	input = event_new(s.base, STDIN_FILENO, EV_READ, on_line, &has_line);
	start_spoold();
	puts("ok");
	fflush(stdout);
	for (;;) {
		has_line = false;
		event_add(input, NULL);
		while (!has_line) {
			event_base_loop(s.base, EVLOOP_ONCE);
			drain_all();
		}
		if (fgets(line, sizeof(line), stdin) == NULL)
			break;
		obey(line);
	}
	if (s.spoold.pid != 0)
		stop_spoold(0);
	return 0;
}
