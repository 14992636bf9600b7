/*
 * -n: what is wrong with the routes, as far as it can be known without mail.
 * Every file is read, every line is walked.
 *
 * Only what stands in postmaster.cf itself is wrong.  A mistake in a table or
 * alias file is something that is lacking: such files change while all runs,
 * and one of them must not keep the suite from starting.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf_keyword.h"
#include "log.h"
#include "policyd.h"

#define PROBE	"nobody-at-all"	/* a user that no line names */

struct checker {
	struct conf		*conf;
	const struct settings	*settings;
	const struct world	*world;
	const char		*table;		/* its lines are looked at */
	const char		*listener;	/* that asks this table */
	bool			 any_default;	/* some table has an @ */
	bool			 own_default;	/* the unnamed one has */
};

/* ---- names ---- */

/* Is there a left side, alias or account of this name, or is it a role? */
static bool
name_exists(struct checker *checker, const char *name, bool left_sides)
{
	const struct world *world = checker->world;
	const struct line *line;
	const struct alias *alias;
	char base[ADDRESS_LOCAL_MAX + 1], extension[ADDRESS_LOCAL_MAX + 1];
	struct who who;
	size_t i;

	if (strlen(name) > ADDRESS_LOCAL_MAX)
		return false;
	if (left_sides && (world->line(world->context, checker->table, name,
	    &line) != FIND_NONE || world->line(world->context, "", name,
	    &line) != FIND_NONE))
		return true;
	if (strcasecmp(name, "postmaster") == 0 ||
	    strcasecmp(name, "mailer-daemon") == 0 ||
	    world->alias(world->context, name, &alias) != FIND_NONE ||
	    world->account(world->context, name, &who) != ACCOUNT_NO)
		return true;
	address_split(name, checker->settings->separators, base, extension);
	for (i = 0; base[i] != '\0'; i++)
		if (base[i] >= 'A' && base[i] <= 'Z')
			base[i] = (char)(base[i] - 'A' + 'a');
	return strcmp(base, name) != 0 &&
	    name_exists(checker, base, left_sides);
}

/* A bare word on the right: say what it is taken for, if that may surprise. */
static void
check_word(struct checker *checker, const struct line *line,
    const struct target *target)
{
	const char *word = target->text;

	if (target->call == CALL_LOCAL) {
		word = target->argument;
		if (*word == '\0')
			return;
	} else if (conf_section(checker->conf, "pipe", word) != NULL ||
	    settings_hop(checker->settings, word) != NULL ||
	    strcmp(word, "*") == 0)
		return;
	else if (strchr(word, '.') != NULL) {
		conf_warning(checker->conf, &line->place, "%s is a host, as "
		    "relay(%s); for an account of that name write local(%s)",
		    word, word, word);
		return;
	}
	if (!name_exists(checker, word, true))
		conf_lacking(checker->conf, &line->place, "there is no "
		    "account, alias, [pipe] or [relay] %s; create it or "
		    "correct the name", word);
}

/* A bare word on the left. */
static void
check_left(struct checker *checker, const struct line *line)
{
	if (strchr(line->left, '@') != NULL)
		return;
	if (conf_keyword(NULL, line->left) != NULL)
		conf_warning(checker->conf, &line->place, "%s is a name here, "
		    "not the setting; settings stand in their section",
		    line->left);
	else if (!name_exists(checker, line->left, false))
		conf_warning(checker->conf, &line->place, "%s is neither an "
		    "alias nor an account; only other lines can lead here",
		    line->left);
}

/* ---- walks ---- */

/* An address that this line is for; false if there is none. */
static bool
address_for(const struct checker *checker, const struct line *line,
    struct address *address)
{
	const char *at = strrchr(line->left, '@');
	size_t length = at == NULL ? strlen(line->left) :
	    (size_t)(at - line->left);

	memset(address, 0, sizeof(*address));
	if (length > ADDRESS_LOCAL_MAX || strcmp(line->left, "@") == 0)
		return false;
	memcpy(address->local, line->left, length);
	if (at == NULL)
		return true;
	if (length == 0)
		strlcpy(address->local, PROBE, sizeof(address->local));
	strlcpy(address->domain, at[1] != '\0' ? at + 1 :
	    checker->settings->hostname, sizeof(address->domain));
	return true;
}

/* The walk ended badly: whose mistake is it? */
static void
complain_of_walk(struct checker *checker, const struct conf_place *place,
    const char *left, const struct decision *decision)
{
	const char *main = checker->conf->files[0];
	const char *kind = decision->fault == FAULT_LOOP ? "a loop: " : "";
	size_t length = strlen(main);

	if (strncmp(decision->where, main, length) == 0 &&
	    decision->where[length] == ':')
		conf_wrong(checker->conf, place, "%s: %s%s", left, kind,
		    decision->text + 6);
	else
		conf_lacking(checker->conf, place, "%s: %s%s", left, kind,
		    decision->text + 6);
}

/* Follow the line through all its targets. */
static void
check_walk(struct checker *checker, const struct line *line)
{
	struct address address;
	struct decision decision;
	struct walk walk;

	if (!address_for(checker, line, &address))
		return;
	walk_start(&walk, checker->world, checker->settings,
	    checker->listener);
	walk_address(&walk, &address, &decision);
	judge_walk(&walk, &decision);
	walk_end(&walk);
	if (decision.kind == ROUTE_UNKNOWN &&
	    decision.fault == FAULT_DOMAIN)
		conf_warning(checker->conf, &line->place, "%s leads nowhere: "
		    "%s", line->left, decision.text + 6);
	else if (decision.fault == FAULT_LOOP ||
	    decision.fault == FAULT_CONFIG)
		complain_of_walk(checker, &line->place, line->left,
		    &decision);
}

/* @a @b sends strangers' mail on if b is not ours. */
static void
check_open(struct checker *checker, const struct line *line,
    const struct target *target)
{
	struct walk walk;
	enum domain_class class;

	if (line->left[0] != '@' || line->left[1] == '\0' ||
	    target->kind != TARGET_DOMAIN)
		return;
	walk_start(&walk, checker->world, checker->settings,
	    checker->listener);
	class = walk_class(&walk, target->text + 1);
	if (class == DOMAIN_FOREIGN || class == DOMAIN_LISTED)
		conf_warning(checker->conf, &line->place, "sends strangers' "
		    "mail for %s to the Internet: %s is neither local nor "
		    "relayed here", line->left + 1, target->text + 1);
	walk_end(&walk);
}

static void
check_line(struct checker *checker, const struct line *line)
{
	const struct target *target;
	size_t i;

	if (strcmp(line->left, "@") == 0) {
		checker->any_default = true;
		if (*checker->table == '\0')
			checker->own_default = true;
	}
	check_left(checker, line);
	for (i = 0; i < line->count; i++) {
		target = &line->targets[i];
		if (target->kind == TARGET_WORD || target->call == CALL_LOCAL)
			check_word(checker, line, target);
		check_open(checker, line, target);
	}
	if (line->count > 0)
		check_walk(checker, line);
}

/* ---- tables ---- */

/* A listener that asks this table; "" if none does. */
static const char *
listener_of(const struct settings *settings, const char *table)
{
	size_t i, j;

	for (i = 0; i < settings->listener_count; i++)
		for (j = 0; j < settings->listeners[i].table_count; j++)
			if (strcmp(settings->listeners[i].tables[j],
			    table) == 0)
				return settings->listeners[i].name;
	return "";
}

static void
check_lines(struct checker *checker, const struct lines *lines)
{
	size_t i;

	for (i = 0; i < lines->count; i++)
		check_line(checker, &lines->entries[i]);
}

/* A left side stands once in a table, its files included. */
static void
check_again(struct checker *checker, const struct lines *first,
    const struct lines *second)
{
	const struct line *before, *line;
	size_t i;

	for (i = 0; i < second->count; i++) {
		line = &second->entries[i];
		if ((before = lines_find(first, line->left)) != NULL)
			conf_lacking(checker->conf, &line->place, "%s stands "
			    "here a second time, first at %s:%d; put all "
			    "targets on one line", line->left,
			    before->place.file, before->place.line);
	}
}

static const struct lines *
read_included(struct checker *checker, const struct conf_route *route)
{
	const char *path = route->targets[0].text;
	const struct file *file;

	switch (files_get(path, FILE_TABLE, &file)) {
	case FIND_HIT:
		return file_lines(file);
	case FIND_NONE:
		conf_lacking(checker->conf, &route->targets[0].place,
		    "the table %s does not exist; create it, empty if need "
		    "be", path);
		break;
	case FIND_FAILED:
		break;
	}
	return NULL;
}

/* The lines of this include, against all that stand before it. */
static void
check_included(struct checker *checker, const struct conf_section *section,
    const struct conf_route *include)
{
	const struct lines *lines = read_included(checker, include), *before;
	const struct conf_route *route;
	const struct file *file;

	if (lines == NULL)
		return;
	TAILQ_FOREACH(route, &section->routes, entry) {
		if (route == include)
			break;
		if (route->left != NULL || files_get(route->targets[0].text,
		    FILE_TABLE, &file) != FIND_HIT)
			continue;
		before = file_lines(file);
		if (before != lines)
			check_again(checker, before, lines);
	}
	check_lines(checker, lines);
}

static void
check_table(struct checker *checker, const struct conf_section *section)
{
	struct lines *own = lines_compile(checker->conf, section, true);
	const struct conf_route *route;
	const struct file *file;

	checker->table = section->name;
	checker->listener = listener_of(checker->settings, section->name);
	check_lines(checker, own);
	TAILQ_FOREACH(route, &section->routes, entry) {
		if (route->left != NULL)
			continue;
		if (files_get(route->targets[0].text, FILE_TABLE, &file) ==
		    FIND_HIT)
			check_again(checker, own, file_lines(file));
		check_included(checker, section, route);
	}
	lines_free(own);
}

/* Is every table that a listener asks there? */
static void
check_listeners(struct conf *conf)
{
	const struct conf_section *section;
	const struct conf_setting *setting;
	size_t i;

	for (section = conf_section(conf, "smtpd", NULL); section != NULL;
	    section = conf_next(section))
		for (setting = conf_setting(section, "routing-table");
		    setting != NULL; setting = conf_again(setting))
			for (i = 0; i < setting->count; i++)
				if (conf_section(conf, "route",
				    setting->words[i].text) == NULL)
					conf_wrong(conf,
					    &setting->words[i].place,
					    "there is no [route \"%s\"]; "
					    "write one or correct the name",
					    setting->words[i].text);
}

/* ---- aliases ---- */

static void
check_alias(struct checker *checker, const struct alias *alias)
{
	const struct alias_member *member;
	struct conf_place place = {
		checker->settings->alias_file, alias->line, alias->column
	};
	const struct file *file;
	struct address address;
	struct decision decision;
	struct walk walk;
	size_t i;

	for (i = 0; i < alias->list.count; i++) {
		member = &alias->list.members[i];
		place.line = member->line;
		place.column = member->column;
		if (member->target.kind == TARGET_INCLUDE &&
		    files_get(member->target.argument, FILE_LIST, &file) ==
		    FIND_NONE)
			conf_lacking(checker->conf, &place, "%s does not "
			    "exist", member->target.argument);
		else if (member->target.kind == TARGET_WORD &&
		    !name_exists(checker, member->target.text, true))
			conf_warning(checker->conf, &place, "there is no "
			    "account or alias %s", member->target.text);
	}
	memset(&address, 0, sizeof(address));
	if (alias->broken || strlcpy(address.local, alias->name,
	    sizeof(address.local)) >= sizeof(address.local))
		return;
	walk_start(&walk, checker->world, checker->settings, "");
	walk_address(&walk, &address, &decision);
	walk_end(&walk);
	if (decision.fault == FAULT_LOOP)
		complain_of_walk(checker, &place, alias->name, &decision);
}

static void
check_aliases(struct checker *checker)
{
	const struct conf_setting *setting;
	const char *path = checker->settings->alias_file;
	const struct aliases *aliases;
	const struct file *file;
	size_t i;

	if (path == NULL)
		return;
	checker->table = checker->listener = "";
	switch (files_get(path, FILE_ALIASES, &file)) {
	case FIND_NONE:
		setting = conf_setting(conf_section(checker->conf, "core",
		    ""), "alias-file");
		conf_warning(checker->conf, &setting->words[0].place,
		    "%s does not exist: there are no aliases", path);
		return;
	case FIND_FAILED:
		return;
	case FIND_HIT:
		break;
	}
	aliases = file_aliases(file);
	for (i = 0; i < aliases->count; i++)
		check_alias(checker, &aliases->entries[i]);
}

/* ---- the whole ---- */

/* Does anybody read root's mail? */
static void
check_root(struct checker *checker)
{
	const struct conf_section *core = conf_section(checker->conf, "core",
	    "");
	const struct conf_setting *setting = conf_setting(core, "root-mail");
	struct conf_place whole = { checker->conf->files[0], 1, 1 };
	const struct conf_place *place = &whole;
	struct address root = { .local = "root" };
	struct decision decision;
	struct walk walk;

	if (setting != NULL)
		place = &setting->words[0].place;
	else if (core != NULL)
		place = &core->place;
	walk_start(&walk, checker->world, checker->settings, "");
	walk_address(&walk, &root, &decision);
	walk_end(&walk);
	if (decision.kind == ROUTE_LOCAL && decision.worker == WORKER_MBOX)
		conf_warning(checker->conf, place, "root has no human: its "
		    "mail goes to the mbox of %s; set root-mail, or an alias "
		    "for root", decision.account);
	else if (decision.kind == ROUTE_DEFER)
		conf_lacking(checker->conf, place, "mail for root: %s",
		    decision.text + 6);
}

/* What leaves this machine, and what does not? */
static void
check_default(struct checker *checker)
{
	struct conf_place place = { checker->conf->files[0], 1, 1 };

	if (!checker->any_default)
		conf_warning(checker->conf, &place, "no route has @ on its "
		    "left: nothing leaves this machine, bounces included; "
		    "\"@ relay(HOST)\" sends by way of a host, \"@ relay()\" "
		    "by mail exchangers");
	else if (!checker->own_default)
		conf_warning(checker->conf, &place, "only tables of listeners "
		    "have @ on a left side: bounces and the mail of local "
		    "programs do not leave this machine; put @ into the "
		    "unnamed [route]");
}

void
check(struct conf *conf)
{
	struct settings *settings = settings_new(conf, NULL);
	struct checker checker = {
		.conf = conf,
		.settings = settings,
		.world = tables_world()
	};
	const struct conf_section *section;
	FILE *errors = conf->errors;
	int wrong = conf->wrong;

	files_complain_to(conf);
	tables_forgive();
	/* Lines are compiled again, with complaints, table by table. */
	conf->errors = NULL;
	tables_load(settings);
	conf->errors = errors;
	conf->wrong = wrong;
	check_listeners(conf);
	for (section = conf_section(conf, "route", NULL); section != NULL;
	    section = conf_next(section))
		check_table(&checker, section);
	check_aliases(&checker);
	check_root(&checker);
	check_default(&checker);
	settings_free(settings);
}
