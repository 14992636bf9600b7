/*
 * sendmail's flags, all that history knows: each is acted on or passed over,
 * and none ends the program.  Programs pass flags nobody remembers, and their
 * mail must not be lost for it.
 */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ctl.h"

/* How a flag's argument comes. */
enum argument {
	ARGUMENT_NONE,
	ARGUMENT_ATTACHED,	/* only in the same word, may be missing */
	ARGUMENT_NEEDED		/* in the same word or the next */
};

struct flag {
	char		 letter;
	enum argument	 argument;
	void		(*take)(struct options *, const char *);
};

static void
take_mode(struct options *options, const char *value)
{
	static const struct {
		char		letter;
		enum mode	mode;
	} modes[] = {
		{ 'm', MODE_DELIVER },
		{ 'a', MODE_SMTP },
		{ 's', MODE_SMTP },
		{ 'p', MODE_QUEUE_LIST },
		{ 'P', MODE_QUEUE_COUNT },
		{ 'i', MODE_ALIASES },
		{ 'v', MODE_VERIFY },
		{ 't', MODE_TEST },
		{ 'd', MODE_DAEMON },
		{ 'D', MODE_DAEMON },
		{ 'l', MODE_DAEMON },
		{ 'h', MODE_NOTHING },
		{ 'H', MODE_NOTHING },
	};

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (modes[i].letter == value[0])
			options->mode = modes[i].mode;
}

static void
take_error_mode(struct options *options, const char *value)
{
	if (value[0] == 'p')
		options->error_mode = ERROR_PRINT;
	else if (value[0] == 'q')
		options->error_mode = ERROR_QUIET;
	else if (value[0] != '\0' && strchr("mwbe", value[0]) != NULL)
		options->error_mode = ERROR_MAIL;
}

static void
take_configuration(struct options *options, const char *value)
{
	options->configuration = value;
}

static void
take_full_name(struct options *options, const char *value)
{
	options->full_name = value;
}

static void
take_sender(struct options *options, const char *value)
{
	options->sender = value;
}

static void
take_dots(struct options *options, const char *value)
{
	(void)value;
	options->dots_are_text = true;
}

static void
take_aliases(struct options *options, const char *value)
{
	(void)value;
	options->mode = MODE_ALIASES;
}

/* Is each word of a comma-separated list one of these? */
static bool
words_are(const char *value, const char *const words[])
{
	size_t	length, i;

	for (;;) {
		length = strcspn(value, ",");
		for (i = 0; words[i] != NULL; i++)
			if (strlen(words[i]) == length &&
			    strncasecmp(value, words[i], length) == 0)
				break;
		if (words[i] == NULL)
			return false;
		if (value[length] == '\0')
			return true;
		value += length + 1;
	}
}

static void
take_json(struct options *options, const char *value)
{
	(void)value;
	options->json = true;
}

static void
take_notify(struct options *options, const char *value)
{
	static const char *const	when[] = { "success", "failure",
		"delay", NULL };

	if (strcasecmp(value, "never") == 0 || words_are(value, when))
		options->notify = value;
}

static void
take_ret(struct options *options, const char *value)
{
	static const char *const	what[] = { "full", "hdrs", NULL };

	if (strchr(value, ',') == NULL && words_are(value, what))
		options->ret = value;
}

static void
take_envid(struct options *options, const char *value)
{
	options->envid = value;
}

static void
take_from_header(struct options *options, const char *value)
{
	(void)value;
	options->from_header = true;
}

static void
take_verbose(struct options *options, const char *value)
{
	(void)value;
	options->verbose = true;
}

/* -q, -q15m: run the queue; -qI, -qR, -qS: that part of it. */
static void
take_queue(struct options *options, const char *value)
{
	/* "-bd -q15m" starts a daemon; "-bp -q" lists. */
	if (options->mode == MODE_DELIVER)
		options->mode = MODE_QUEUE_RUN;
	if (value[0] == '!')
		return;
	if (value[0] == 'I')
		options->run_id = value + 1;
	else if (value[0] == 'R')
		options->run_recipient = value + 1;
	else if (value[0] == 'S')
		options->run_sender = value + 1;
}

/* -o: an option by its letter and value, as of sendmail 5. */
static void
take_option(struct options *options, const char *value)
{
	if (value[0] == 'i')
		options->dots_are_text = true;
	else if (value[0] == 'e')
		take_error_mode(options, value + 1);
}

/* -O: an option by its name. */
static void
take_named_option(struct options *options, const char *value)
{
	const char	*equals = strchr(value, '=');
	size_t		 length = equals != NULL ? (size_t)(equals - value) :
			    strlen(value);

	if (strncasecmp(value, "ErrorMode", length) == 0 && length == 9 &&
	    equals != NULL)
		take_error_mode(options, equals + 1);
	else if (strncasecmp(value, "IgnoreDots", length) == 0 &&
	    length == 10)
		options->dots_are_text = equals == NULL ||
		    strchr("TtYy1", equals[1]) != NULL;
}

static const struct flag flags[] = {
	{ 'A', ARGUMENT_NEEDED, NULL },		/* which .cf to use */
	{ 'B', ARGUMENT_NEEDED, NULL },		/* the body is looked at */
	{ 'b', ARGUMENT_NEEDED, take_mode },
	{ 'C', ARGUMENT_NEEDED, take_configuration },
	{ 'c', ARGUMENT_NONE, NULL },		/* expensive mailers wait */
	{ 'D', ARGUMENT_NEEDED, NULL },		/* where debugging goes */
	{ 'd', ARGUMENT_ATTACHED, NULL },	/* debugging */
	{ 'E', ARGUMENT_ATTACHED, NULL },
	{ 'e', ARGUMENT_NEEDED, take_error_mode },
	{ 'F', ARGUMENT_NEEDED, take_full_name },
	{ 'f', ARGUMENT_NEEDED, take_sender },
	{ 'G', ARGUMENT_NONE, NULL },		/* from outside: a gateway */
	{ 'h', ARGUMENT_NEEDED, NULL },		/* hops so far */
	{ 'I', ARGUMENT_NONE, take_aliases },
	{ 'i', ARGUMENT_NONE, take_dots },
	{ 'J', ARGUMENT_ATTACHED, NULL },
	{ 'j', ARGUMENT_NONE, take_json },	/* ours: JSON lines */
	{ 'L', ARGUMENT_NEEDED, NULL },		/* the tag in the log */
	{ 'M', ARGUMENT_NEEDED, NULL },		/* a macro */
	{ 'm', ARGUMENT_NONE, NULL },		/* me too: always so */
	{ 'N', ARGUMENT_NEEDED, take_notify },
	{ 'n', ARGUMENT_NONE, NULL },		/* no aliases */
	{ 'O', ARGUMENT_NEEDED, take_named_option },
	{ 'o', ARGUMENT_NEEDED, take_option },
	{ 'p', ARGUMENT_NEEDED, NULL },		/* protocol it came by */
	{ 'Q', ARGUMENT_ATTACHED, NULL },	/* quarantine */
	{ 'q', ARGUMENT_ATTACHED, take_queue },
	{ 'R', ARGUMENT_NEEDED, take_ret },
	{ 'r', ARGUMENT_NEEDED, take_sender },
	{ 's', ARGUMENT_NONE, NULL },		/* From_ lines are kept */
	{ 'T', ARGUMENT_ATTACHED, NULL },	/* time-out */
	{ 't', ARGUMENT_NONE, take_from_header },
	{ 'U', ARGUMENT_NONE, NULL },		/* first submission */
	{ 'V', ARGUMENT_NEEDED, take_envid },
	{ 'v', ARGUMENT_NONE, take_verbose },
	{ 'X', ARGUMENT_NEEDED, NULL },		/* where traffic is logged */
	{ 'x', ARGUMENT_ATTACHED, NULL },
};

static const struct flag *
flag_find(char letter)
{
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (flags[i].letter == letter)
			return &flags[i];
	return NULL;
}

int
options_take(int argc, char **argv, struct options *options)
{
	const struct flag	*flag;
	const char		*at, *value;
	int			 i;

	memset(options, 0, sizeof(*options));
	for (i = 1; i < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
		if (strcmp(argv[i], "--") == 0)
			return i + 1;
		for (at = argv[i] + 1; *at != '\0'; at++) {
			if ((flag = flag_find(*at)) == NULL)
				continue;
			value = at + 1;
			if (flag->argument == ARGUMENT_NEEDED &&
			    *value == '\0') {
				if (i + 1 == argc)
					break;
				value = argv[++i];
			}
			if (flag->take != NULL)
				flag->take(options, value);
			if (flag->argument != ARGUMENT_NONE)
				break;
		}
	}
	return i;
}
