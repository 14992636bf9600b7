/*
 * What a program is called with, and what its end means: arguments,
 * environment, exit codes.  Runs nothing.
 */
#include <sys/wait.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "deliver.h"

#define COMMAND_PATH	"/usr/local/bin:/usr/bin:/bin"

/* A list of words that ends with NULL. */
struct words {
	char	**all;
	size_t	 count;
	bool	 failed;
};

/* Takes a word; NULL is a failure to make one. */
static void
words_take(struct words *words, char *word)
{
	char	**bigger;

	bigger = reallocarray(words->all, words->count + 2, sizeof(*bigger));
	if (bigger == NULL || word == NULL) {
		words->failed = true;
		free(word);
		if (bigger != NULL)
			words->all = bigger;
		return;
	}
	words->all = bigger;
	words->all[words->count++] = word;
	words->all[words->count] = NULL;
}

static void
words_free(char **all)
{
	size_t	 i;

	for (i = 0; all != NULL && all[i] != NULL; i++)
		free(all[i]);
	free(all);
}

/* ---- arguments ---- */

/* What the placeholders stand for. */
struct values {
	const char	*mail_from;
	const char	*rcpt_to;
	const char	*user;
	const char	*home;
	const char	*extension;
	const char	*domain;
};

struct placeholder {
	const char	*name;		/* with ${ } */
	size_t		 offset;	/* in struct values */
	bool		 outside;	/* its value comes from outside */
};

#define RCPT_TO	"${RCPT_TO}"

static const struct placeholder placeholders[] = {
	{ "${MAIL_FROM}",	offsetof(struct values, mail_from),	true },
	{ RCPT_TO,		offsetof(struct values, rcpt_to),	true },
	{ "${USER}",		offsetof(struct values, user),		false },
	{ "${HOME}",		offsetof(struct values, home),		false },
	{ "${EXTENSION}",	offsetof(struct values, extension),	true },
	{ "${DOMAIN}",		offsetof(struct values, domain),	true },
};

#define PLACEHOLDERS	(sizeof(placeholders) / sizeof(placeholders[0]))

/* The placeholder at text, NULL if none begins there. */
static const struct placeholder *
placeholder_at(const char *text)
{
	size_t	 i;

	for (i = 0; i < PLACEHOLDERS; i++)
		if (strncmp(text, placeholders[i].name,
		    strlen(placeholders[i].name)) == 0)
			return &placeholders[i];
	return NULL;
}

bool
command_word_ok(const char *word)
{
	const char	*p;

	for (p = word; (p = strstr(p, "${")) != NULL; p++)
		if (placeholder_at(p) == NULL)
			return false;
	return true;
}

static const char *
value_of(const struct placeholder *placeholder, const struct values *values)
{
	return *(const char *const *)((const char *)values +
	    placeholder->offset);
}

/*
 * A word with its placeholders replaced; NULL without memory.  *bad is set
 * if a value from outside could be taken for an option, or the word could
 * because a value at its start is empty.
 */
static char *
replace(const char *word, const struct values *values, bool *bad)
{
	const struct placeholder *placeholder;
	bool	 option = word[0] == '-';
	char	*result = NULL;
	size_t	 size;
	FILE	*out;

	if ((out = open_memstream(&result, &size)) == NULL)
		return NULL;
	while (*word != '\0') {
		if ((placeholder = placeholder_at(word)) == NULL) {
			putc(*word++, out);
			continue;
		}
		if (placeholder->outside &&
		    value_of(placeholder, values)[0] == '-')
			*bad = true;
		fputs(value_of(placeholder, values), out);
		word += strlen(placeholder->name);
	}
	if (fclose(out) == EOF) {
		free(result);
		return NULL;
	}
	if (result[0] == '-' && !option)
		*bad = true;
	return result;
}

/* The words of a [pipe]; -1 if a value must not be passed. */
static int
pipe_words(struct words *argv, const struct mailer *mailer,
    const struct job *job, struct values *values, bool named)
{
	size_t	 i, n, recipients = named ? 1 : job->address_count;
	bool	 bad = false;

	for (i = 0; i < mailer->word_count; i++) {
		n = strcmp(mailer->words[i], RCPT_TO) == 0 ? recipients : 1;
		for (; n > 0; n--) {
			values->rcpt_to = named ? values->user :
			    job->addresses[strcmp(mailer->words[i],
			    RCPT_TO) == 0 ? recipients - n : 0];
			words_take(argv, replace(mailer->words[i], values,
			    &bad));
		}
	}
	return bad ? -1 : 0;
}

bool
command_is_plain(const char *text)
{
	return text[0] == '/' && text[strcspn(text, ";&|<>()$`\"'*?\\")] ==
	    '\0';
}

/* The words of a raw command: its own, or the shell's. */
static void
raw_words(struct words *argv, const char *text)
{
	size_t	 length;

	if (!command_is_plain(text)) {
		words_take(argv, strdup("/bin/sh"));
		words_take(argv, strdup("-c"));
		words_take(argv, strdup(text));
		return;
	}
	while (*(text += strspn(text, " \t")) != '\0') {
		length = strcspn(text, " \t");
		words_take(argv, strndup(text, length));
		text += length;
	}
}

/* ---- environment ---- */

static void
set_variable(struct words *environment, const char *name, const char *value)
{
	char	*text;

	if (asprintf(&text, "%s=%s", name, value) == -1)
		text = NULL;
	words_take(environment, text);
}

static void
make_environment(struct words *environment, const struct worker *worker,
    const struct job *job, const struct values *values)
{
	const char	*shell = worker->account.shell;

	set_variable(environment, "PATH", COMMAND_PATH);
	set_variable(environment, "USER", worker->account.name);
	set_variable(environment, "LOGNAME", worker->account.name);
	set_variable(environment, "HOME", worker->account.home);
	set_variable(environment, "SHELL", shell[0] != '\0' ? shell :
	    "/bin/sh");
	set_variable(environment, "SENDER", values->mail_from);
	set_variable(environment, "RECIPIENT", job->request.address);
	set_variable(environment, "ORIGINAL_RECIPIENT",
	    job->request.original);
	set_variable(environment, "EXTENSION", values->extension);
	set_variable(environment, "DOMAIN", values->domain);
}

int
command_make(struct command *command, const struct worker *worker,
    const struct mailer *mailer, struct job *job, bool named)
{
	struct words	 argv = { 0 }, environment = { 0 };
	struct values	 values = {
		.mail_from = job->request.sender[0] != '\0' ?
		    job->request.sender : "MAILER-DAEMON",
		.rcpt_to = job->request.address,
		.user = worker->account.name,
		.home = worker->account.home,
		.extension = job->request.extension,
		.domain = job->request.domain
	};
	int		 result = 0;

	if (mailer->kind == MAILER_PIPE)
		result = pipe_words(&argv, mailer, job, &values, named);
	else
		raw_words(&argv, mailer->text);
	make_environment(&environment, worker, job, &values);
	command->argv = argv.all;
	command->environment = environment.all;
	if (argv.failed || environment.failed || argv.count == 0) {
		job_defer(job, "4.3.0", "%s: no memory for its arguments",
		    mailer->name);
		result = -1;
	} else if (result == -1)
		job_fail(job, "5.1.3", "%s: an argument would begin with -",
		    mailer->name);
	if (result == -1)
		command_free(command);
	return result;
}

void
command_free(struct command *command)
{
	words_free(command->argv);
	words_free(command->environment);
	command->argv = command->environment = NULL;
}

/* ---- the end of a program ---- */

static const struct exit_row {
	int		 code;
	enum job_verdict verdict;
	const char	*status;
	const char	*words;
} exits[] = {
	{ 0,		JOB_DONE,	"2.0.0", "done" },
	{ EX_USAGE,	JOB_DEFERRED,	"4.3.5", "wrong usage" },
	{ EX_DATAERR,	JOB_FAILED,	"5.6.0", "the message is at fault" },
	{ EX_NOINPUT,	JOB_DEFERRED,	"4.3.0", "no input" },
	{ EX_NOUSER,	JOB_FAILED,	"5.1.1", "no such user" },
	{ EX_NOHOST,	JOB_FAILED,	"5.1.2", "no such host" },
	{ EX_UNAVAILABLE, JOB_FAILED,	"5.3.0", "unavailable" },
	{ EX_SOFTWARE,	JOB_DEFERRED,	"4.3.0", "software error" },
	{ EX_OSERR,	JOB_DEFERRED,	"4.3.0", "system error" },
	{ EX_OSFILE,	JOB_DEFERRED,	"4.3.5", "a system file is missing" },
	{ EX_CANTCREAT,	JOB_DEFERRED,	"4.2.0", "cannot create its output" },
	{ EX_IOERR,	JOB_DEFERRED,	"4.3.0", "input or output failed" },
	{ EX_TEMPFAIL,	JOB_DEFERRED,	"4.2.0", "try later" },
	{ EX_PROTOCOL,	JOB_FAILED,	"5.5.0", "protocol error" },
	{ EX_NOPERM,	JOB_FAILED,	"5.7.0", "permission denied" },
	{ EX_CONFIG,	JOB_DEFERRED,	"4.3.5", "wrongly configured" },
	{ 100,		JOB_FAILED,	"5.3.0", "refused" },
	{ 111,		JOB_DEFERRED,	"4.3.0", "try later" },
	{ 126,		JOB_DEFERRED,	"4.3.5", "cannot be executed" },
	{ 127,		JOB_DEFERRED,	"4.3.5", "not found" },
};

enum job_verdict
command_verdict(int status, const char **enhanced, char *words, size_t size)
{
	size_t	 i;
	int	 code;

	*enhanced = "4.3.0";
	if (!WIFEXITED(status)) {
		snprintf(words, size, "killed by signal %d",
		    WTERMSIG(status));
		return JOB_DEFERRED;
	}
	code = WEXITSTATUS(status);
	for (i = 0; i < sizeof(exits) / sizeof(exits[0]); i++)
		if (exits[i].code == code) {
			*enhanced = exits[i].status;
			snprintf(words, size, "exit %d (%s)", code,
			    exits[i].words);
			return exits[i].verdict;
		}
	snprintf(words, size, "exit %d", code);
	return JOB_DEFERRED;
}
