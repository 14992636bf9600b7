/*
 * postctl: the operator's tool.  A word says what to do, the rest to what.
 */

#include <string.h>
#include <sysexits.h>

#include "ctl.h"

#define FILTER		"[-s SENDER] [-r RECIPIENT] [-d DOMAIN] " \
			"[--older TIME] [--reason TEXT]"
#define MESSAGES	"ID ... | all | deferred | held | FILTER"

int
verb_usage(const struct verb *verb)
{
	fprintf(stderr, "usage: postctl [-C file] [-j] %s %s\n", verb->name,
	    verb->arguments);
	if (strstr(verb->arguments, "FILTER") != NULL)
		fprintf(stderr, "FILTER: %s\n", FILTER);
	return EX_USAGE;
}

static int
run_export(const struct verb *verb, struct request *request)
{
	if (request->count_words < 1)
		return verb_usage(verb);
	return export_messages(&request->place, request->words);
}

static int
run_import(const struct verb *verb, struct request *request)
{
	if (request->count_words < 1)
		return verb_usage(verb);
	return import_messages(&request->place, request->words);
}

static const struct verb verbs[] = {
	{ "list", "[FILTER] [deferred | active | held]", look_list,
	    TAKES_FILTER, 0, NULL },
	{ "show", "ID ...", look_show, 0, 0, NULL },
	{ "why", "DOMAIN", look_why, 0, 0, NULL },
	{ "stats", "[-n NUMBER | all]", look_stats, TAKES_COUNT, 0, NULL },
	{ "status", "", look_status, 0, 0, NULL },
	{ "explain", "[--from SENDER] ADDRESS", look_explain, TAKES_SENDER,
	    0, NULL },
	{ "probe", "[--from SENDER] ADDRESS | DOMAIN", look_probe,
	    TAKES_SENDER, 0, NULL },
	{ "retry", "[" MESSAGES "]", act_on_messages, TAKES_FILTER, CTL_RUN,
	    "to be tried now" },
	{ "run", "[" MESSAGES "]", act_on_messages, TAKES_FILTER, CTL_RUN,
	    "to be tried now" },
	{ "hold", MESSAGES, act_on_messages, TAKES_FILTER, CTL_HOLD, "held" },
	{ "release", MESSAGES, act_on_messages, TAKES_FILTER, CTL_RELEASE,
	    "released" },
	{ "remove", MESSAGES, act_on_messages, TAKES_FILTER, CTL_REMOVE,
	    "removed" },
	{ "bounce", MESSAGES, act_on_messages, TAKES_FILTER, CTL_BOUNCE,
	    "sent back" },
	{ "reroute", MESSAGES, act_on_messages, TAKES_FILTER, CTL_REROUTE,
	    "to be routed anew" },
	{ "age", "ID ... DURATION | FILTER DURATION", act_age, TAKES_FILTER,
	    CTL_AGE, "made older" },
	{ "pause", "", act_on_queue, 0, CTL_PAUSE, "deliveries pause" },
	{ "resume", "", act_on_queue, 0, CTL_RESUME, "deliveries go on" },
	{ "check", "", act_on_queue, 0, CTL_CHECK, "the spool was checked" },
	{ "backup", "NAME", act_backup, 0, CTL_BACKUP, NULL },
	{ "export", "ID ... | all [DIRECTORY]", run_export, 0, 0, NULL },
	{ "import", "FILE ...", run_import, 0, 0, NULL },
};

#define VERBS	(sizeof(verbs) / sizeof(verbs[0]))

static void
print_usage(FILE *out)
{
	for (size_t i = 0; i < VERBS; i++)
		fprintf(out, "%s postctl [-C file] [-j] %s %s\n", i == 0 ?
		    "usage:" : "      ", verbs[i].name, verbs[i].arguments);
	fprintf(out, "FILTER: %s\n", FILTER);
}

static int
usage_all(void)
{
	print_usage(stderr);
	return EX_USAGE;
}

/*
 * Is this word the option of that name?  *value is what follows it, in the
 * next word or, if the name is long, behind an equals sign; returns how many
 * words that takes, 0 if it is another one or nothing follows.
 */
static int
take_option(char **words, const char *name, const char **value)
{
	size_t	length = strlen(name);

	if (strncmp(words[0], name, length) != 0)
		return 0;
	if (name[1] == '-' && words[0][length] == '=') {
		*value = words[0] + length + 1;
		return 1;
	}
	if (words[0][length] != '\0' || words[1] == NULL)
		return 0;
	*value = words[1];
	return 2;
}

/* The options at this word; returns how many words it takes, 0 if unknown. */
static int
take_any(char **words, struct request *request, const char **configuration)
{
	const struct {
		const char	 *name;
		const char	**value;
	} options[] = {
		{ "-C", configuration }, { "--config", configuration },
		{ "-s", &request->sender }, { "--from", &request->sender },
		{ "-r", &request->recipient }, { "--to", &request->recipient },
		{ "-d", &request->domain }, { "--domain", &request->domain },
		{ "--older", &request->older },
		{ "--reason", &request->reason },
		{ "-n", &request->count },
	};
	int	taken;

	if (strcmp(words[0], "-j") == 0 || strcmp(words[0], "--json") == 0) {
		request->json = true;
		return 1;
	}
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		taken = take_option(words, options[i].name,
		    options[i].value);
		if (taken > 0)
			return taken;
	}
	return 0;
}

/* Does the verb take what was given? */
static bool
fits(const struct verb *verb, const struct request *request)
{
	bool	filter = (verb->options & TAKES_FILTER) != 0;

	return (filter || (request->recipient == NULL &&
	    request->domain == NULL && request->older == NULL &&
	    request->reason == NULL)) &&
	    (filter || (verb->options & TAKES_SENDER) != 0 ||
	    request->sender == NULL) &&
	    ((verb->options & TAKES_COUNT) != 0 || request->count == NULL);
}

int
postctl_main(int argc, char **argv)
{
	struct request	 request;
	const char	*configuration = NULL, *name;
	int		 kept = 0, taken;

	memset(&request, 0, sizeof(request));
	request.words = argv + 1;
	for (int i = 1; i < argc; i += taken) {
		taken = 1;
		if (strcmp(argv[i], "-h") == 0 ||
		    strcmp(argv[i], "--help") == 0) {
			print_usage(stdout);
			return EX_OK;
		}
		if (argv[i][0] != '-')
			request.words[kept++] = argv[i];
		else if ((taken = take_any(argv + i, &request,
		    &configuration)) == 0)
			return usage_all();
	}
	request.words[kept] = NULL;
	if (kept == 0)
		return usage_all();
	name = request.words[0];
	request.words++;
	request.count_words = kept - 1;
	place_find(configuration, &request.place);
	for (size_t i = 0; i < VERBS; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return fits(&verbs[i], &request) ?
			    verbs[i].run(&verbs[i], &request) :
			    verb_usage(&verbs[i]);
	return usage_all();
}
