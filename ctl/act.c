/*
 * The verbs of postctl that change something.
 */

#include <inttypes.h>
#include <string.h>
#include <sysexits.h>

#include "ctl.h"

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

/* Was anything chosen but by ids? */
static bool
has_filter(const struct request *request)
{
	return request->sender != NULL || request->recipient != NULL ||
	    request->domain != NULL || request->older != NULL ||
	    request->reason != NULL;
}

/* Do it to what the words choose: ids, or all that the filter wants. */
static int
act_on_choice(const struct verb *verb, struct request *request,
    struct w_ctl_action_req *action)
{
	struct control	control;
	bool		selected = has_filter(request);
	int		code, worst = EX_OK;

	if (choice_filter(request, &action->filter) == -1)
		return EX_USAGE;
	while (request->count_words > 0) {
		if (strcmp(request->words[0], "all") != 0 && choice_state(
		    request->words[0], &action->filter.states) == -1)
			break;
		selected = true;
		request->words++;
		request->count_words--;
	}
	if (request->count_words == 0 && verb->action == CTL_RUN)
		selected = true;
	if (selected == (request->count_words > 0))
		return verb_usage(verb);
	if ((code = control_open(&request->place, &control)) != EX_OK)
		return code;
	if (selected)
		worst = act(&control, verb, action);
	for (int i = 0; i < request->count_words; i++) {
		code = choice_id(request->words[i], &action->id) == -1 ?
		    EX_USAGE : act(&control, verb, action);
		if (code != EX_OK)
			worst = code;
	}
	control_close(&control);
	return worst;
}

/* Verbs on messages: by id, by state and filter, or on all. */
int
act_on_messages(const struct verb *verb, struct request *request)
{
	struct w_ctl_action_req	action;

	memset(&action, 0, sizeof(action));
	return act_on_choice(verb, request, &action);
}

/* The last word is how much older they become. */
int
act_age(const struct verb *verb, struct request *request)
{
	struct w_ctl_action_req	action;

	memset(&action, 0, sizeof(action));
	if (request->count_words < 1)
		return verb_usage(verb);
	request->count_words--;
	if (choice_duration(request->words[request->count_words],
	    &action.amount) == -1)
		return EX_USAGE;
	return act_on_choice(verb, request, &action);
}

/* Verbs on the queue as a whole. */
int
act_on_queue(const struct verb *verb, struct request *request)
{
	struct w_ctl_action_req	action;
	struct control		control;
	uint64_t		count;
	int			code;

	if (request->count_words != 0)
		return verb_usage(verb);
	memset(&action, 0, sizeof(action));
	action.action = verb->action;
	if ((code = control_open(&request->place, &control)) != EX_OK)
		return code;
	if ((code = ask_ctl_action(&control, &action, &count)) == EX_OK)
		printf("%s\n", verb->done);
	control_close(&control);
	return code;
}

/* The copy is made by spoold, below its own spool directory. */
int
act_backup(const struct verb *verb, struct request *request)
{
	struct w_ctl_action_req	action;
	struct control		control;
	uint64_t		count;
	int			code;

	memset(&action, 0, sizeof(action));
	action.action = verb->action;
	if (request->count_words != 1 ||
	    strchr(request->words[0], '/') != NULL ||
	    request->words[0][0] == '.')
		return verb_usage(verb);
	if (choice_copy(action.filter.recipient,
	    sizeof(action.filter.recipient), request->words[0]) == -1)
		return EX_USAGE;
	if ((code = control_open(&request->place, &control)) != EX_OK)
		return code;
	if ((code = ask_ctl_action(&control, &action, &count)) == EX_OK)
		printf("%" PRIu64 " message%s copied to %s in the spool's "
		    "backup directory\n", count, count == 1 ? "" : "s",
		    request->words[0]);
	control_close(&control);
	return code;
}
