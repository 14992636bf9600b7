/*
 * postctl: the operator's tool.  A word says what to do, the rest to what.
 */

#include <err.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "clock.h"
#include "ctl.h"
#include "queueid.h"

/* What the command line holds besides the verb's own words. */
struct request {
	struct place	 place;
	bool		 json;
	const char	*sender;	/* -s, --from; NULL not given */
	const char	*recipient;	/* -r */
	char		**words;
	int		 count;
};

struct verb {
	const char	 *name;
	const char	 *arguments;	/* as the usage shows them */
	int		(*run)(const struct verb *, struct request *);
	enum ctl_action	  action;
	const char	 *done;		/* "3 messages held" */
};

static int
usage(const struct verb *verb)
{
	fprintf(stderr, "usage: postctl [-C file] [-j] %s %s\n", verb->name,
	    verb->arguments);
	return EX_USAGE;
}

/* Copy a filter; one that does not fit matches nothing it should. */
static int
copy_filter(char *to, size_t size, const char *value)
{
	if (value == NULL)
		return 0;
	if (strlen(value) >= size)
		return -1;
	memcpy(to, value, strlen(value) + 1);
	return 0;
}

/* Add the state a word names. */
static int
take_state(const char *word, uint32_t *states)
{
	static const struct {
		const char	*name;
		uint32_t	 state;
	} names[] = {
		{ "deferred", CTL_DEFERRED },
		{ "active", CTL_ACTIVE },
		{ "held", CTL_HELD },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i].name, word) == 0) {
			*states |= names[i].state;
			return 0;
		}
	return -1;
}

static int
run_list(const struct verb *verb, struct request *request)
{
	struct w_ctl_list_req	ask;

	memset(&ask, 0, sizeof(ask));
	for (int i = 0; i < request->count; i++)
		if (take_state(request->words[i], &ask.filter.states) == -1)
			return usage(verb);
	if (copy_filter(ask.filter.sender, sizeof(ask.filter.sender),
	    request->sender) == -1 || copy_filter(ask.filter.recipient,
	    sizeof(ask.filter.recipient),
	    request->recipient) == -1)
		return usage(verb);
	return mailq_list(&request->place, &ask, request->json);
}

static int
parse_id(const char *word, uint64_t *id)
{
	if (queueid_parse(word, id) == 0 && *id != 0)
		return 0;
	warnx("%s is no queue id", word);
	return -1;
}

static int
run_show(const struct verb *verb, struct request *request)
{
	struct w_ctl_show_req		 ask;
	const struct w_ctl_show_ans	*answer;
	struct control			 control;
	struct frame			 frame;
	int				 code, worst = EX_OK;

	if (request->count == 0)
		return usage(verb);
	if ((code = control_open(&request->place, &control)) != EX_OK)
		return code;
	for (int i = 0; i < request->count; i++) {
		if (parse_id(request->words[i], &ask.id) == -1) {
			worst = EX_USAGE;
			continue;
		}
		code = ask_ctl_show(&control, &ask, &frame);
		if (code != EX_OK) {
			worst = code;
			break;
		}
		answer = frame.payload;
		if (answer->found)
			control_print(&frame);
		else {
			warnx("%s: there is no such "
			    "message, or you may not see it",
			    request->words[i]);
			worst = EX_NOINPUT;
		}
	}
	control_close(&control);
	return worst;
}

/* Do the verb's action and say to how many. */
static int
act(struct control *control, const struct verb *verb,
    struct w_ctl_action_req *action)
{
	uint64_t	count;
	int		code;

	action->action = verb->action;
	code = ask_ctl_action(control, action, &count);
	if (code == EX_OK)
		printf("%" PRIu64 " message%s %s\n", count,
		    count == 1 ? "" : "s", verb->done);
	return code;
}

/* Verbs on messages: by id, by state and filter, or on all. */
static int
run_action(const struct verb *verb, struct request *request)
{
	struct w_ctl_action_req	action;
	struct control		control;
	bool			selected;
	int			code, worst = EX_OK;

	memset(&action, 0, sizeof(action));
	if (copy_filter(action.filter.sender, sizeof(action.filter.sender),
	    request->sender) == -1 || copy_filter(action.filter.recipient,
	    sizeof(action.filter.recipient), request->recipient) == -1)
		return usage(verb);
	selected = request->sender != NULL || request->recipient != NULL ||
	    (request->count == 0 && verb->action == CTL_RUN);
	while (request->count > 0) {
		if (strcmp(request->words[0], "all") != 0 &&
		    take_state(request->words[0], &action.filter.states) == -1)
			break;
		selected = true;
		request->words++;
		request->count--;
	}
	if (selected ? request->count > 0 : request->count == 0)
		return usage(verb);

	if ((code = control_open(&request->place, &control)) != EX_OK)
		return code;
	if (selected)
		worst = act(&control, verb, &action);
	for (int i = 0; i < request->count; i++) {
		code = parse_id(request->words[i], &action.id) == -1 ?
		    EX_USAGE : act(&control, verb, &action);
		if (code != EX_OK)
			worst = code;
	}
	control_close(&control);
	return worst;
}

/* Verbs on the queue as a whole. */
static int
run_switch(const struct verb *verb, struct request *request)
{
	struct w_ctl_action_req	action;
	struct control		control;
	uint64_t		count;
	int			code;

	if (request->count != 0)
		return usage(verb);
	memset(&action, 0, sizeof(action));
	action.action = verb->action;
	if ((code = control_open(&request->place, &control)) != EX_OK)
		return code;
	if ((code = ask_ctl_action(&control, &action, &count)) == EX_OK)
		printf("%s\n", verb->done);
	control_close(&control);
	return code;
}

/* A duration as the configuration writes it: seconds, or with s m h d. */
static int
parse_duration(const char *text, int64_t *amount)
{
	static const struct {
		char	unit;
		int64_t	length;
	} units[] = { { '\0', SECOND }, { 's', SECOND }, { 'm', MINUTE },
	    { 'h', HOUR }, { 'd', DAY } };
	char	*end;
	long	 value = strtol(text, &end, 10);

	if (end == text || value < 1 || value > 100000000)
		return -1;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (*end == units[i].unit && (*end == '\0' || end[1] == '\0')) {
			*amount = value * units[i].length;
			return 0;
		}
	return -1;
}

static int
run_age(const struct verb *verb, struct request *request)
{
	struct w_ctl_action_req	action;
	struct control		control;
	int			code;

	memset(&action, 0, sizeof(action));
	if (request->count != 2 ||
	    parse_id(request->words[0], &action.id) == -1 ||
	    parse_duration(request->words[1], &action.amount) == -1)
		return usage(verb);
	if ((code = control_open(&request->place, &control)) != EX_OK)
		return code;
	code = act(&control, verb, &action);
	control_close(&control);
	return code;
}

/* Show lines key=value as one JSON object; figures stay figures. */
static void
print_status_json(const char *text, size_t length)
{
	char		*copy = strndup(text, length), *rest = copy, *line;
	char		*value;
	bool		 first = true;

	putchar('{');
	while (copy != NULL && (line = strsep(&rest, "\n")) != NULL) {
		if ((value = strchr(line, '=')) == NULL)
			continue;
		*value++ = '\0';
		fputs(first ? "" : ", ", stdout);
		first = false;
		json_string(stdout, line);
		fputs(": ", stdout);
		if (*value != '\0' && strlen(value) < 19 &&
		    value[strspn(value, "0123456789")] == '\0' &&
		    (value[0] != '0' || value[1] == '\0'))
			fputs(value, stdout);
		else
			json_string(stdout, value);
	}
	fputs("}\n", stdout);
	free(copy);
}

static int
run_status(const struct verb *verb, struct request *request)
{
	struct w_ctl_status_req	ask = { 0 };
	struct control		control;
	struct frame		frame;
	int			code;

	if (request->count != 0)
		return usage(verb);
	if ((code = control_open(&request->place, &control)) != EX_OK)
		return code;
	code = ask_ctl_status(&control, &ask, &frame);
	if (code == EX_OK && request->json)
		print_status_json(frame.tail, frame.tail_length);
	else if (code == EX_OK)
		control_print(&frame);
	control_close(&control);
	return code;
}

static int
run_explain(const struct verb *verb, struct request *request)
{
	struct w_ctl_explain_req	 ask;
	const struct w_ctl_explain_ans	*answer;
	struct control			 control;
	struct frame			 frame;
	int				 code;

	memset(&ask, 0, sizeof(ask));
	if (request->count != 1 || copy_filter(ask.address,
	    sizeof(ask.address), request->words[0]) == -1 ||
	    copy_filter(ask.sender, sizeof(ask.sender), request->sender) == -1)
		return usage(verb);
	if ((code = control_open(&request->place, &control)) != EX_OK)
		return code;
	code = ask_ctl_explain(&control, &ask, &frame);
	if (code == EX_OK) {
		answer = frame.payload;
		control_print(&frame);
		if (answer->verdict == CTL_DENIED)
			code = EX_NOPERM;
		else if (answer->verdict != CTL_OK)
			code = EX_TEMPFAIL;
	}
	control_close(&control);
	return code;
}

/* The copy is made by spoold, below its own spool directory. */
static int
run_backup(const struct verb *verb, struct request *request)
{
	struct w_ctl_action_req	action;
	struct control		control;
	uint64_t		count;
	int			code;

	memset(&action, 0, sizeof(action));
	action.action = verb->action;
	if (request->count != 1 || strchr(request->words[0], '/') != NULL ||
	    request->words[0][0] == '.' || copy_filter(action.filter.recipient,
	    sizeof(action.filter.recipient), request->words[0]) == -1)
		return usage(verb);
	if ((code = control_open(&request->place, &control)) != EX_OK)
		return code;
	if ((code = ask_ctl_action(&control, &action, &count)) == EX_OK)
		printf("%" PRIu64 " message%s copied to %s in the spool's "
		    "backup directory\n", count, count == 1 ? "" : "s",
		    request->words[0]);
	control_close(&control);
	return code;
}

static int
run_export(const struct verb *verb, struct request *request)
{
	if (request->count < 1)
		return usage(verb);
	return export_messages(&request->place, request->words);
}

static int
run_import(const struct verb *verb, struct request *request)
{
	if (request->count < 1)
		return usage(verb);
	return import_messages(&request->place, request->words);
}

#define MESSAGES	"ID ... | all | deferred | held | -s SENDER | " \
			"-r RECIPIENT"

static const struct verb verbs[] = {
	{ "list", "[-s SENDER] [-r RECIPIENT] [deferred | active | held]",
	    run_list, 0, NULL },
	{ "show", "ID ...", run_show, 0, NULL },
	{ "run", "[" MESSAGES "]", run_action, CTL_RUN, "to be tried now" },
	{ "hold", MESSAGES, run_action, CTL_HOLD, "held" },
	{ "release", MESSAGES, run_action, CTL_RELEASE, "released" },
	{ "remove", MESSAGES, run_action, CTL_REMOVE, "removed" },
	{ "reroute", MESSAGES, run_action, CTL_REROUTE, "to be routed anew" },
	{ "pause", "", run_switch, CTL_PAUSE, "deliveries pause" },
	{ "resume", "", run_switch, CTL_RESUME, "deliveries go on" },
	{ "age", "ID DURATION", run_age, CTL_AGE, "made older" },
	{ "check", "", run_switch, CTL_CHECK, "the spool was checked" },
	{ "backup", "NAME", run_backup, CTL_BACKUP, NULL },
	{ "status", "", run_status, 0, NULL },
	{ "stats", "", run_status, 0, NULL },
	{ "explain", "[--from SENDER] ADDRESS", run_explain, 0, NULL },
	{ "export", "ID ... | all [DIRECTORY]", run_export, 0, NULL },
	{ "import", "FILE ...", run_import, 0, NULL },
};

#define VERBS	(sizeof(verbs) / sizeof(verbs[0]))

static int
usage_all(void)
{
	for (size_t i = 0; i < VERBS; i++)
		fprintf(stderr, "%s postctl [-C file] [-j] %s %s\n", i == 0 ?
		    "usage:" : "      ", verbs[i].name, verbs[i].arguments);
	return EX_USAGE;
}

/* Is this word an option?  *value is what follows it. */
static bool
is_option(char **words, const char *name, const char *long_name,
    const char **value)
{
	if (strcmp(words[0], name) != 0 && strcmp(words[0], long_name) != 0)
		return false;
	if (words[1] == NULL)
		return false;
	*value = words[1];
	return true;
}

int
postctl_main(int argc, char **argv)
{
	struct request	 request;
	const char	*configuration = NULL, *name;
	int		 kept = 0;

	memset(&request, 0, sizeof(request));
	request.words = argv + 1;
	for (int i = 1; i < argc; i++) {
		if (is_option(argv + i, "-C", "--config", &configuration) ||
		    is_option(argv + i, "-s", "--from", &request.sender) ||
		    is_option(argv + i, "-r", "--to", &request.recipient))
			i++;
		else if (strcmp(argv[i], "-j") == 0)
			request.json = true;
		else if (argv[i][0] == '-')
			return usage_all();
		else
			request.words[kept++] = argv[i];
	}
	request.words[kept] = NULL;
	if (kept == 0)
		return usage_all();
	name = request.words[0];
	request.words++;
	request.count = kept - 1;
	place_find(configuration, &request.place);
	for (size_t i = 0; i < VERBS; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return verbs[i].run(&verbs[i], &request);
	return usage_all();
}
