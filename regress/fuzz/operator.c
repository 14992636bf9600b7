/* links: ctl/control.c ctl/mailq.c ctl/look.c ctl/stats.c ctl/why.c
 * ctl/record.c ctl/json.c ctl/choice.c ctl/export.c common/wire.c
 * common/queueid.c common/clock.c */
/*
 * What mailq and postctl show of a queue manager's answers, whatever these
 * hold: lines of text that move no cursor, or JSON of one line each; and they
 * come to an end.  The input is a command, then answers, each behind its
 * length.
 */
#include <err.h>
#include <stdarg.h>
#include <sysexits.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "frame.h"
#include "fuzz.h"

#define ANSWERS		8
#define COMMANDS	11
#define EXPORT		9	/* of them */

static struct {
	struct fuzz_input in;
	uint32_t	 type;		/* that was asked */
	uint32_t	 id;
	void		*contents;	/* of the last answer */
	unsigned int	 answers;
} play;

/* Nothing that a terminal takes for a command, save those that are allowed. */
static void
check(const char *text, size_t length, const char *allowed)
{
	for (; length > 0; length--, text++)
		require(((unsigned char)*text >= ' ' && *text != 127) ||
		    (*text != '\0' && strchr(allowed, *text) != NULL));
}

/* ---- what the commands use ---- */

void
warn(const char *format, ...)
{
	(void)format;
}

void
warnx(const char *format, ...)
{
	va_list arguments;
	char text[4096];
	int length;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	require(length >= 0 && (size_t)length < sizeof(text));
	check(text, (size_t)length, "");
}

int
connect_to(const char *path, int milliseconds)
{
	(void)path;
	(void)milliseconds;
	return dup(STDERR_FILENO);
}

int
verb_usage(const struct verb *verb)
{
	(void)verb;
	return EX_USAGE;
}

int
link_write_blocking(int fd, enum imsg_type type, uint32_t id,
    const void *payload, const void *tail, size_t length, int other)
{
	(void)fd;
	(void)tail;
	require(other == -1 && wire_check(PROC_CTL, PROC_SPOOLD, type, id,
	    payload, wire_row(type)->size + length, false) == NULL);
	play.type = type;
	play.id = id;
	return 0;
}

/* An answer as the wire lets it pass, in memory of its own. */
int
link_read_blocking(int fd, enum process self, enum process peer,
    struct frame *frame, int milliseconds, const char **why)
{
	const struct wire_row *row = wire_row(wire_row(play.type)->answer);
	size_t length = (size_t)fuzz_byte(&play.in) << 8;

	(void)fd;
	(void)milliseconds;
	free(play.contents);
	play.contents = NULL;
	*why = "no more";
	length = row->size + (length | fuzz_byte(&play.in));
	if (play.in.left < length || ++play.answers > ANSWERS)
		return -1;
	play.contents = fuzz_need(malloc(length));
	memcpy(play.contents, play.in.at, length);
	play.in.at += length;
	play.in.left -= length;
	*why = wire_check(peer, self, wire_row(play.type)->answer, play.id,
	    play.contents, length, false);
	if (*why != NULL)
		return -1;
	*frame = (struct frame){ .type = wire_row(play.type)->answer,
	    .id = play.id, .payload = play.contents, .fd = -1,
	    .tail = (char *)play.contents + row->size,
	    .tail_length = length - row->size };
	return 0;
}

/* The command lines are none of this. */

int
options_take(int argc, char **argv, struct options *options)
{
	(void)argc;
	(void)argv;
	(void)options;
	return 0;
}

void
place_find(const char *path, struct place *place)
{
	(void)path;
	(void)place;
}

int
runq_run(const struct place *place, const struct options *options,
    char **words)
{
	(void)place;
	(void)options;
	(void)words;
	return EX_OK;
}

/* ---- commands ---- */

static void
run(unsigned int command, bool json)
{
	static char domain[] = "a.test", id[] = "0000000000001";
	static const struct verb verb = { .name = "fuzz" };
	char *words[2] = { domain, NULL };
	struct request request = { .json = json, .words = words,
	    .count_words = 1 };
	struct w_ctl_action_req action = { .action = CTL_CHECK };
	struct control control = { .fd = -1 };
	uint64_t count;

	switch (command % COMMANDS) {
	case 0:
		(void)mailq_list(&request.place, NULL, json ? LIST_JSON :
		    LIST_MAILQ);
		break;
	case 1:
		(void)mailq_list(&request.place, NULL, LIST_LONG);
		break;
	case 2:
		(void)mailq_count(&request.place);
		break;
	case 3:
		words[0] = id;
		(void)look_show(&verb, &request);
		break;
	case 4:
		(void)look_explain(&verb, &request);
		break;
	case 5:
		(void)look_probe(&verb, &request);
		break;
	case 6:
		(void)look_why(&verb, &request);
		break;
	case 7:
		request.count_words = 0;
		(void)look_stats(&verb, &request);
		break;
	case 10:
		request.count_words = 0;
		(void)look_status(&verb, &request);
		break;
	case EXPORT:
		words[0] = id;
		(void)export_messages(&request.place, words);
		break;
	default:
		(void)ask_ctl_action(&control, &action, &count);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FILE *out = stdout;
	char *text = NULL;
	size_t length;
	uint8_t command;

	memset(&play, 0, sizeof(play));
	play.in = (struct fuzz_input){ data, size };
	command = fuzz_byte(&play.in);
	stdout = fuzz_need(open_memstream(&text, &length));
	run(command & 127, command & 128);
	require(fclose(stdout) == 0);
	stdout = out;
	/* What is exported is the message as it is. */
	if ((command & 127) % COMMANDS != EXPORT) {
		check(text, length, "\n");
		require(length == 0 || text[length - 1] == '\n');
	}
	free(text);
	free(play.contents);
	return 0;
}
