/*
 * How mail is done: the [pipe] sections, the default local mailer and the
 * calls that stand in postmaster.cf.  A JOB names one of them by number.
 * Executes nothing; looks up accounts only for -n.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "deliver.h"
#include "log.h"
#include "target.h"

#define TIME_LIMIT	(1000 * SECOND)
#define PROGRAM_USER	"_maild"

void
mailer_clear(struct mailer *mailer)
{
	size_t	 i;

	for (i = 0; i < mailer->word_count; i++)
		free(mailer->words[i]);
	free(mailer->words);
	free(mailer->name);
	free(mailer->text);
	free(mailer->user);
	memset(mailer, 0, sizeof(*mailer));
}

static char *
copy(const char *text)
{
	char	*result;

	if ((result = strdup(text)) == NULL)
		fatal("mailers");
	return result;
}

/* What a parsed target is as a mailer; MAILER_NONE if none. */
static enum mailer_kind
kind_of_target(const struct target *target)
{
	size_t	 length;

	if (target->kind == TARGET_PROGRAM)
		return MAILER_COMMAND;
	if (target->kind == TARGET_FILE) {
		length = strlen(target->argument);
		return target->argument[length - 1] == '/' ? MAILER_MAILDIR :
		    MAILER_MBOX;
	}
	if (target->kind != TARGET_CALL)
		return MAILER_NONE;
	switch (target->call) {
	case CALL_PIPE:
		return MAILER_COMMAND;
	case CALL_MAILDIR:
		return MAILER_MAILDIR;
	case CALL_MBOX:
		return MAILER_MBOX;
	default:
		return MAILER_NONE;
	}
}

/* Make a mailer of a target; -1 if it is none. */
static int
mailer_of_target(const struct target *target, struct mailer *mailer)
{
	memset(mailer, 0, sizeof(*mailer));
	mailer->kind = kind_of_target(target);
	if (mailer->kind == MAILER_NONE)
		return -1;
	mailer->number = target_number(target->text);
	mailer->name = copy(target->text);
	mailer->text = copy(target->argument);
	mailer->from_line = true;
	mailer->time_limit = TIME_LIMIT;
	return 0;
}

int
mailer_of_text(const char *text, struct mailer *mailer)
{
	struct target	 target;
	const char	*why;
	int		 result;

	if (target_parse_member(text, &target, &why) == -1)
		return -1;
	result = mailer_of_target(&target, mailer);
	target_free(&target);
	return result;
}

/* Room for one more. */
static struct mailer *
mailers_grow(struct mailers *mailers)
{
	mailers->all = reallocarray(mailers->all, mailers->count + 1,
	    sizeof(*mailers->all));
	if (mailers->all == NULL)
		fatal("mailers");
	memset(&mailers->all[mailers->count], 0, sizeof(*mailers->all));
	return &mailers->all[mailers->count++];
}

static void
add_pipe(struct mailers *mailers, const struct conf_section *section)
{
	const struct conf_setting *exec = conf_setting(section, "exec");
	const char	*user = conf_string(section, "user", NULL);
	struct mailer	*mailer;
	size_t		 i;

	if (exec == NULL)
		return;
	mailer = mailers_grow(mailers);
	mailer->kind = MAILER_PIPE;
	if (asprintf(&mailer->name, "[pipe] %s", section->name) == -1)
		fatal("mailers");
	mailer->number = target_number(mailer->name);
	mailer->words = calloc(exec->count, sizeof(*mailer->words));
	if (mailer->words == NULL)
		fatal("mailers");
	for (i = 0; i < exec->count; i++)
		mailer->words[i] = copy(exec->words[i].text);
	mailer->word_count = exec->count;
	mailer->user = user != NULL ? copy(user) : NULL;
	mailer->from_line = conf_bool(section, "from-line", true);
	mailer->time_limit = conf_duration(section, "time-limit", TIME_LIMIT);
}

static void
add_calls(struct mailers *mailers, const struct conf_section *section)
{
	struct conf_route *route;
	struct target	 target;
	struct mailer	 mailer;
	const char	*why;
	size_t		 i;

	TAILQ_FOREACH(route, &section->routes, entry)
		for (i = 0; route->left != NULL && i < route->count; i++) {
			if (target_parse(route->targets[i].text, &target,
			    &why) == -1)
				continue;
			if (mailer_of_target(&target, &mailer) == 0) {
				mailer.user = copy(mailers->program_user);
				*mailers_grow(mailers) = mailer;
			}
			target_free(&target);
		}
}

/* The mailer that local() means; MAILER_NONE if its name is unknown. */
static void
set_local(struct mailers *mailers, const char *name)
{
	static char	 maildir[] = "maildir", folder[] = "~/Maildir/";
	static char	 mbox[] = "mbox";
	char		*full = NULL;
	size_t		 i;

	if (asprintf(&full, "[pipe] %s", name) == -1)
		fatal("mailers");
	for (i = 0; i < mailers->count; i++)
		if (mailers->all[i].kind == MAILER_PIPE &&
		    strcmp(mailers->all[i].name, full) == 0)
			mailers->local = mailers->all[i];
	free(full);
	if (mailers->local.kind != MAILER_NONE)
		return;
	if (strcmp(name, maildir) == 0) {
		mailers->local.kind = MAILER_MAILDIR;
		mailers->local.name = maildir;
		mailers->local.text = folder;
	} else if (strcmp(name, mbox) == 0) {
		mailers->local.kind = MAILER_SPOOL;
		mailers->local.name = mbox;
	}
}

struct mailers *
mailers_load(const struct conf *conf)
{
	const struct conf_section *core = conf_section(conf, "core", NULL);
	const struct conf_section *section;
	struct mailers	*mailers;

	if ((mailers = calloc(1, sizeof(*mailers))) == NULL)
		fatal("mailers");
	mailers->program_user = copy(conf_string(core, "program-user",
	    PROGRAM_USER));
	for (section = conf_section(conf, "pipe", NULL); section != NULL;
	    section = conf_next(section))
		add_pipe(mailers, section);
	for (section = conf_section(conf, "route", NULL); section != NULL;
	    section = conf_next(section))
		add_calls(mailers, section);
	set_local(mailers, conf_string(core, "local-mailer", "mbox"));
	return mailers;
}

void
mailers_free(struct mailers *mailers)
{
	size_t	 i;

	if (mailers == NULL)
		return;
	for (i = 0; i < mailers->count; i++)
		mailer_clear(&mailers->all[i]);
	free(mailers->all);
	free(mailers->program_user);
	free(mailers);
}

const struct mailer *
mailers_find(const struct mailers *mailers, uint32_t number)
{
	size_t	 i;

	for (i = 0; i < mailers->count; i++)
		if (mailers->all[i].number == number)
			return &mailers->all[i];
	return NULL;
}

/* ---- -n ---- */

static void
check_program(struct conf *conf, const struct conf_place *place,
    const char *path)
{
	if (access(path, X_OK) == -1)
		conf_lacking(conf, place, "%s cannot be executed; install it "
		    "or correct its name", path);
}

static void
check_user(struct conf *conf, const struct conf_place *place,
    const char *name)
{
	struct account	 account;

	switch (account_by_name(name, &account)) {
	case ACCOUNT_YES:
		if (account.uid == 0)
			conf_wrong(conf, place, "programs are never run as "
			    "%s; name another account", name);
		account_free(&account);
		break;
	case ACCOUNT_NO:
		conf_lacking(conf, place, "there is no account %s; create it "
		    "or name another", name);
		break;
	case ACCOUNT_FAILED:
		conf_lacking(conf, place, "account %s cannot be looked up "
		    "now", name);
		break;
	}
}

static void
check_pipe(struct conf *conf, const struct conf_section *section)
{
	const struct conf_setting *exec = conf_setting(section, "exec");
	const struct conf_setting *user = conf_setting(section, "user");
	size_t	 i;

	if (exec == NULL) {
		conf_wrong(conf, &section->place, "[pipe \"%s\"] has no exec; "
		    "say what it runs", section->name);
		return;
	}
	if (exec->words[0].text[0] != '/')
		conf_wrong(conf, &exec->words[0].place, "exec needs a path "
		    "that starts with /");
	else
		check_program(conf, &exec->words[0].place,
		    exec->words[0].text);
	for (i = 0; i < exec->count; i++)
		if (!command_word_ok(exec->words[i].text))
			conf_wrong(conf, &exec->words[i].place, "unknown "
			    "placeholder in %s; there are ${MAIL_FROM} "
			    "${RCPT_TO} ${USER} ${HOME} ${EXTENSION} "
			    "${DOMAIN}", exec->words[i].text);
	if (user != NULL)
		check_user(conf, &user->words[0].place, user->words[0].text);
}

/* Programs of pipe(...) that are run without a shell. */
static void
check_calls(struct conf *conf, const struct conf_section *section)
{
	struct conf_route *route;
	struct target	 target;
	const char	*why;
	char		*first;
	size_t		 i;

	TAILQ_FOREACH(route, &section->routes, entry)
		for (i = 0; route->left != NULL && i < route->count; i++) {
			if (target_parse(route->targets[i].text, &target,
			    &why) == -1)
				continue;
			if (target.call == CALL_PIPE &&
			    command_is_plain(target.argument)) {
				first = copy(target.argument);
				first[strcspn(first, " \t")] = '\0';
				check_program(conf, &route->targets[i].place,
				    first);
				free(first);
			}
			target_free(&target);
		}
}

void
mailers_check(struct conf *conf)
{
	const struct conf_section *core = conf_section(conf, "core", NULL);
	const struct conf_setting *setting;
	const struct conf_section *section;
	struct mailers	*mailers;

	for (section = conf_section(conf, "pipe", NULL); section != NULL;
	    section = conf_next(section))
		check_pipe(conf, section);
	for (section = conf_section(conf, "route", NULL); section != NULL;
	    section = conf_next(section))
		check_calls(conf, section);
	if ((setting = conf_setting(core, "program-user")) != NULL)
		check_user(conf, &setting->words[0].place,
		    setting->words[0].text);
	mailers = mailers_load(conf);
	setting = conf_setting(core, "local-mailer");
	if (setting != NULL && mailers->local.kind == MAILER_NONE)
		conf_lacking(conf, &setting->words[0].place, "there is no "
		    "[pipe \"%s\"]; add it, or use maildir or mbox",
		    setting->words[0].text);
	mailers_free(mailers);
}
