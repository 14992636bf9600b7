/*
 * What -n says: what postmaster itself can see, then what each program says
 * of its part.
 */
#include <sys/stat.h>

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "conf_keyword.h"
#include "log.h"
#include "postmaster.h"

static const enum process checkers[] = { PROC_SMTPD, PROC_POLICYD,
    PROC_SPOOLD, PROC_RELAY, PROC_DELIVER };

/* A logger is syslog or a [logfile]. */
static void
check_logger(struct conf *conf, struct conf_section *section)
{
	struct conf_setting *setting = conf_setting(section, "logger");
	const char *name;

	if (setting == NULL)
		return;
	name = setting->words[0].text;
	if (strcmp(name, "syslog") != 0 &&
	    conf_section(conf, "logfile", name) == NULL)
		conf_wrong(conf, &setting->words[0].place, "there is no "
		    "[logfile \"%s\"]; write syslog, or such a section", name);
}

static void
check_loggers(struct conf *conf)
{
	struct conf_section *section;
	struct conf_setting *setting;

	check_logger(conf, conf_section(conf, "core", NULL));
	for (section = conf_section(conf, "smtpd", NULL); section != NULL;
	    section = conf_next(section))
		check_logger(conf, section);
	setting = conf_setting(conf_section(conf, "syslog", NULL), "facility");
	if (setting != NULL && logs_facility(setting->words[0].text) == -1)
		conf_wrong(conf, &setting->words[0].place, "there is no "
		    "facility %s; syslog(3) lists them",
		    setting->words[0].text);
	for (section = conf_section(conf, "logfile", NULL); section != NULL;
	    section = conf_next(section))
		if (conf_setting(section, "file") == NULL)
			conf_wrong(conf, &section->place, "[logfile \"%s\"] "
			    "has no file; write file = /path", section->name);
}

/* Could the file be made: is the directory nearest to it ours to write? */
static int
check_can_make(const char *file)
{
	char path[WIRE_PATH], *slash;
	struct stat st;

	strlcpy(path, file, sizeof(path));
	do {
		if ((slash = strrchr(path, '/')) == NULL)
			return -1;
		slash[slash == path] = '\0';
		if (stat(path, &st) == 0) {
			errno = ENOTDIR;
			return S_ISDIR(st.st_mode) ?
			    access(path, W_OK | X_OK) : -1;
		}
	} while (errno == ENOENT && slash > path);
	return -1;
}

static void
check_log_files(struct conf *conf)
{
	struct conf_section *section;
	struct conf_setting *setting;

	for (section = conf_section(conf, "logfile", NULL); section != NULL;
	    section = conf_next(section)) {
		setting = conf_setting(section, "file");
		if (setting != NULL &&
		    check_can_make(setting->words[0].text) == -1)
			conf_lacking(conf, &setting->words[0].place,
			    "%s cannot be made: %s", setting->words[0].text,
			    strerror(errno));
	}
}

/* What the directories of the suite need, when we may not make all. */
static void
check_directories(const struct settings *settings)
{
	struct conf *conf = settings->conf;
	struct conf_place place;

	if (check_can_make(settings->spool_directory) == -1) {
		place = settings_place(conf, "core", "spool-directory");
		conf_lacking(conf, &place, "the spool-directory %s cannot be "
		    "made: %s", settings->spool_directory, strerror(errno));
	}
	if (check_can_make(settings->submit_socket) == -1) {
		place = settings_place(conf, "core", "run-directory");
		conf_lacking(conf, &place, "the run-directory %s: %s",
		    settings->run_directory, strerror(errno));
	}
}

/* An address of a wish: could it be bound now? */
static void
check_address(struct conf *conf, const struct wish *wish,
    const struct resolved *answer)
{
	const struct sockaddr *address;
	char printed[WIRE_NAME], holder[128];
	int fd;

	address = (const struct sockaddr *)&answer->address;
	if ((fd = listen_bind(address, answer->length)) != -1) {
		close(fd);
		return;
	}
	listen_print(address, answer->length, printed, sizeof(printed));
	if (errno != EADDRINUSE) {
		conf_lacking(conf, &wish->place, "cannot listen on %s: %s",
		    printed, strerror(errno));
		return;
	}
	holder_name(address, holder, sizeof(holder));
	if (strncmp(holder, "postmaster ", 11) != 0 &&
	    strncmp(holder, "smtpd ", 6) != 0)
		conf_lacking(conf, &wish->place, "cannot listen on %s: %s "
		    "does", printed, *holder == '\0' ? "somebody else" :
		    holder);
}

static void
check_listeners(const struct settings *settings,
    const struct options *options)
{
	struct conf *conf = settings->conf;
	struct resolved *answers;
	struct wish *wishes;
	int found, i;

	found = listen_wishes(settings, options, &wishes, &answers);
	for (i = 0; i < found; i++) {
		if (answers[i].error == 0)
			check_address(conf, &wishes[answers[i].number],
			    &answers[i]);
		else
			conf_lacking(conf, &wishes[answers[i].number].place,
			    "%s cannot be resolved: %s",
			    wishes[answers[i].number].text,
			    gai_strerror(answers[i].error));
	}
	free(wishes);
	free(answers);
}

/* A left side that looks as if a section header were missing above it. */
static void
check_left_sides(struct conf *conf)
{
	const struct conf_section *section;
	const struct conf_keyword *keyword;
	const struct conf_route *route;

	for (section = conf_section(conf, "route", NULL); section != NULL;
	    section = conf_next(section))
		TAILQ_FOREACH(route, &section->routes, entry) {
			if (route->left == NULL || (keyword = conf_keyword(
			    NULL, route->left)) == NULL)
				continue;
			conf_warning(conf, &route->place, "a route for the "
			    "account %s; if you mean the setting, put it "
			    "below [%s]", route->left, keyword->section);
		}
}

int
check_all(struct settings *settings, const struct options *options)
{
	struct conf *conf = settings->conf;
	bool wrong = false, lacking = false;
	size_t i;

	check_loggers(conf);
	listen_check(settings);
	if (options->check) {
		check_left_sides(conf);
		check_log_files(conf);
		check_directories(settings);
		check_listeners(settings, options);
	}
	if (conf->wrong > 0)
		return 1;
	for (i = 0; i < sizeof(checkers) / sizeof(checkers[0]); i++)
		switch (program_check(checkers[i], settings, options,
		    conf->errors)) {
		case 0:
			break;
		case 1:
			wrong = true;
			break;
		case -1:
			settings->unchecked = lacking = true;
			break;
		default:
			lacking = true;
			break;
		}
	if (wrong)
		return 1;
	return lacking || conf->lacking > 0 ? 2 : 0;
}

/* ---- the complaints in order ---- */

struct complaint {
	char	*text;
	int	 line;
	int	 column;
	size_t	 number;
};

/* Find the place in file:line:column: text. */
static void
find_place(struct complaint *complaint, const char *file)
{
	size_t length = strlen(file);

	complaint->line = complaint->column = 0;
	if (strncmp(complaint->text, file, length) != 0 ||
	    sscanf(complaint->text + length, ":%d:%d:", &complaint->line,
	    &complaint->column) != 2)
		complaint->line = INT_MAX;
}

static int
compare(const void *a, const void *b)
{
	const struct complaint *left = a, *right = b;

	if (left->line != right->line)
		return left->line < right->line ? -1 : 1;
	if (left->column != right->column)
		return left->column < right->column ? -1 : 1;
	return left->number < right->number ? -1 : 1;
}

void
check_print(char *text, const char *file, check_say say, void *arg)
{
	struct complaint *complaints = NULL;
	size_t count = 0, i;
	char *line;

	while ((line = strsep(&text, "\n")) != NULL) {
		if (*line == '\0')
			continue;
		complaints = reallocarray(complaints, count + 1,
		    sizeof(*complaints));
		if (complaints == NULL)
			fatal("complaints");
		complaints[count].text = line;
		complaints[count].number = count;
		find_place(&complaints[count++], file);
	}
	if (count > 0)
		qsort(complaints, count, sizeof(*complaints), compare);
	for (i = 0; i < count; i++)
		if (i == 0 ||
		    strcmp(complaints[i].text, complaints[i - 1].text) != 0)
			say(complaints[i].text, arg);
	free(complaints);
}
