/*
 * runq: try what waits, now.
 */

#include <string.h>
#include <sysexits.h>

#include "ctl.h"
#include "queueid.h"

/* What a word names: a message, a recipient's domain or address. */
static void
take_word(struct w_ctl_action_req *action, const char *word)
{
	const char	*at = strchr(word, '@');

	if (queueid_parse(word, &action->id) == 0)
		return;
	action->id = 0;
	if (at == NULL || at == word)
		snprintf(action->filter.domain,
		    sizeof(action->filter.domain), "%s",
		    at == word ? word + 1 : word);
	else
		snprintf(action->filter.recipient,
		    sizeof(action->filter.recipient), "%s", word);
}

/* The flags -qI, -qR and -qS. */
static void
take_flags(struct w_ctl_action_req *action, const struct options *options)
{
	if (options->run_id != NULL)
		queueid_parse(options->run_id, &action->id);
	if (options->run_recipient != NULL)
		take_word(action, options->run_recipient);
	if (options->run_sender != NULL)
		snprintf(action->filter.sender,
		    sizeof(action->filter.sender), "%s%s",
		    strchr(options->run_sender, '@') == NULL ? "@" : "",
		    options->run_sender);
}

int
runq_run(const struct place *place, const struct options *options,
    char **words)
{
	struct w_ctl_action_req	action;
	struct control		control;
	uint64_t		count;
	int			code, worst = EX_OK;

	if ((code = control_open(place, &control)) != EX_OK)
		return code;
	do {
		memset(&action, 0, sizeof(action));
		action.action = CTL_RUN;
		take_flags(&action, options);
		if (*words != NULL)
			take_word(&action, *words++);
		code = ask_ctl_action(&control, &action, &count);
		if (code != EX_OK)
			worst = code;
		else if (options->verbose)
			printf("%llu to be tried\n",
			    (unsigned long long)count);
	} while (*words != NULL);
	control_close(&control);
	return worst;
}

int
runq_main(int argc, char **argv)
{
	struct options	options;
	struct place	place;

	argv += options_take(argc, argv, &options);
	place_find(options.configuration, &place);
	return runq_run(&place, &options, argv);
}
