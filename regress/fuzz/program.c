/* links: deliver/command.c deliver/job.c common/log.c common/clock.c
 * common/queueid.c */
/*
 * What programs are called with: a [pipe] has the words that its line has,
 * whatever the values; none of them is an option that the line did not give;
 * a raw command reaches the shell as it was written, or not at all.
 */
#include "deliver/deliver.h"
#include "fuzz.h"

#define WORDS	6

static char	joe[] = "joe", home[] = "/home/joe", shell[] = "/bin/sh";
static char	name[] = "p";

static size_t
count(char **all)
{
	size_t n = 0;

	while (all != NULL && all[n] != NULL)
		n++;
	return n;
}

static void
check_environment(char **all)
{
	static const char *const names[] = { "PATH=", "USER=", "LOGNAME=",
	    "HOME=", "SHELL=", "SENDER=", "RECIPIENT=",
	    "ORIGINAL_RECIPIENT=", "EXTENSION=", "DOMAIN=" };
	size_t i;

	require(count(all) == sizeof(names) / sizeof(names[0]));
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		require(strncmp(all[i], names[i], strlen(names[i])) == 0);
}

static void
call_pipe(const struct worker *worker, struct job *job, char **words,
    size_t word_count, bool named)
{
	struct mailer mailer = { .kind = MAILER_PIPE, .name = name,
	    .words = words, .word_count = word_count };
	struct command command;
	size_t i, wanted = 0;

	for (i = 0; i < word_count; i++)
		wanted += strcmp(words[i], "${RCPT_TO}") == 0 && !named ?
		    job->address_count : 1;
	if (command_make(&command, worker, &mailer, job, named) == -1) {
		require(command.argv == NULL && command.environment == NULL);
		return;
	}
	require(count(command.argv) == wanted);
	check_environment(command.environment);
	/* Words of one value stand in a row where they began. */
	for (i = 0; i < word_count && strcmp(words[i], "${RCPT_TO}") != 0;
	    i++) {
		require(command.argv[i][0] != '-' || words[i][0] == '-');
		if (strstr(words[i], "${") == NULL)
			require(strcmp(command.argv[i], words[i]) == 0);
	}
	for (; i < word_count && words[i][0] != '-'; i++)
		require(command.argv[i][0] != '-');
	command_free(&command);
}

static void
call_raw(const struct worker *worker, struct job *job, char *text)
{
	struct mailer mailer = { .kind = MAILER_COMMAND, .name = name,
	    .text = text };
	struct command command;
	size_t i;

	if (command_make(&command, worker, &mailer, job, false) == -1)
		return;
	if (!command_is_plain(text)) {
		require(count(command.argv) == 3);
		require(strcmp(command.argv[0], "/bin/sh") == 0 &&
		    strcmp(command.argv[1], "-c") == 0 &&
		    strcmp(command.argv[2], text) == 0);
	} else
		for (i = 0; command.argv[i] != NULL; i++)
			require(strstr(text, command.argv[i]) != NULL &&
			    strpbrk(command.argv[i], " ;&|<>()$`\"'") ==
			    NULL);
	check_environment(command.environment);
	command_free(&command);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct worker worker = { .account = { .name = joe, .home = home,
	    .shell = shell } };
	struct fuzz_input in = { data, size };
	struct job *job = fuzz_need(calloc(1, sizeof(*job)));
	uint8_t bits = fuzz_byte(&in);
	char *words[WORDS], *raw, *other, text[128];
	const char *enhanced;
	size_t word_count = 0, i;

	fuzz_fill(&in, job->request.sender, sizeof(job->request.sender));
	fuzz_fill(&in, job->request.address, sizeof(job->request.address));
	fuzz_fill(&in, job->request.extension,
	    sizeof(job->request.extension));
	fuzz_fill(&in, job->request.domain, sizeof(job->request.domain));
	other = fuzz_line(&in);
	raw = fuzz_line(&in);
	job->body.fd = -1;
	job->addresses[job->address_count++] = job->request.address;
	if (bits & 1)
		job->addresses[job->address_count++] = other;
	while (word_count < WORDS && in.left > 0) {
		words[word_count] = fuzz_line(&in);
		if (words[word_count][0] != '\0' &&
		    command_word_ok(words[word_count]))
			word_count++;
		else
			free(words[word_count]);
	}
	call_pipe(&worker, job, words, word_count, bits & 2);
	call_raw(&worker, job, raw);
	require(command_verdict(bits << 8, &enhanced, text, sizeof(text)) <=
	    JOB_FAILED);
	require((enhanced[0] >= '2' && enhanced[0] <= '5') &&
	    text[0] != '\0');
	for (i = 0; i < word_count; i++)
		free(words[i]);
	free(raw);
	free(other);
	job_free(job);
	return 0;
}
