/*
 * The real world of the routes: the tables of the configuration with the
 * files they include, the alias file, the account database.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jail.h"
#include "log.h"
#include "policyd.h"

#define FOLDERS_MAX	48	/* that the jail may read */

struct table {
	const char	*name;		/* "" is the unnamed one */
	struct lines	*lines;		/* in postmaster.cf itself */
	const char	**files;
	size_t		 file_count;
};

static struct {
	const struct settings *settings;
	struct table	*all;
	size_t		 count;
	bool		 forgiving;	/* -n */
	char		 failure[512];
} tables;

static void
add_table(const struct conf_section *section)
{
	struct table *table;
	const struct conf_route *route;
	size_t count = 0;

	TAILQ_FOREACH(route, &section->routes, entry)
		count += route->left == NULL;
	tables.all = reallocarray(tables.all, tables.count + 1,
	    sizeof(*tables.all));
	if (tables.all == NULL)
		fatal("tables");
	table = &tables.all[tables.count++];
	memset(table, 0, sizeof(*table));
	table->name = section->name;
	table->lines = lines_compile(tables.settings->conf, section, true);
	table->files = calloc(count + 1, sizeof(*table->files));
	if (table->files == NULL)
		fatal("tables");
	TAILQ_FOREACH(route, &section->routes, entry)
		if (route->left == NULL)
			table->files[table->file_count++] =
			    route->targets[0].text;
}

void
tables_load(const struct settings *settings)
{
	const struct conf_section *section;

	tables.settings = settings;
	for (section = conf_section(settings->conf, "route", NULL);
	    section != NULL; section = conf_next(section))
		add_table(section);
}

void
tables_forgive(void)
{
	tables.forgiving = true;
}

void
tables_tick(void)
{
	files_tick();
	cache_tick();
}

/* The table of that name; a missing unnamed one is empty. */
static enum find
find_table(const char *name, const struct table **table)
{
	size_t i;

	for (i = 0; i < tables.count; i++)
		if (strcmp(tables.all[i].name, name) == 0) {
			*table = &tables.all[i];
			return FIND_HIT;
		}
	if (*name == '\0' || tables.forgiving)
		return FIND_NONE;
	(void)snprintf(tables.failure, sizeof(tables.failure),
	    "there is no [route \"%s\"]", name);
	return FIND_FAILED;
}

/* The lines of an included file; one that is missing is a failure. */
static const struct lines *
included_lines(const char *path)
{
	const struct file *file;

	switch (files_get(path, FILE_TABLE, &file)) {
	case FIND_HIT:
		return file_lines(file);
	case FIND_NONE:
		(void)snprintf(tables.failure, sizeof(tables.failure),
		    "the table %s does not exist", path);
		break;
	case FIND_FAILED:
		strlcpy(tables.failure, files_failure(),
		    sizeof(tables.failure));
		break;
	}
	return NULL;
}

static enum find
table_line(void *context, const char *name, const char *left,
    const struct line **line)
{
	const struct table *table;
	const struct lines *lines;
	enum find found;
	size_t i;

	(void)context;
	if ((found = find_table(name, &table)) != FIND_HIT)
		return found;
	if ((*line = lines_find(table->lines, left)) != NULL)
		return FIND_HIT;
	for (i = 0; i < table->file_count; i++) {
		lines = included_lines(table->files[i]);
		if (lines == NULL && tables.forgiving)
			continue;
		if (lines == NULL)
			return FIND_FAILED;
		if ((*line = lines_find(lines, left)) != NULL)
			return FIND_HIT;
	}
	return FIND_NONE;
}

static enum find
table_domain(void *context, const char *name, const char *domain)
{
	const struct table *table;
	const struct lines *lines;
	enum find found;
	size_t i;

	(void)context;
	if ((found = find_table(name, &table)) != FIND_HIT)
		return found;
	if (lines_name_domain(table->lines, domain))
		return FIND_HIT;
	for (i = 0; i < table->file_count; i++) {
		lines = included_lines(table->files[i]);
		if (lines == NULL && tables.forgiving)
			continue;
		if (lines == NULL)
			return FIND_FAILED;
		if (lines_name_domain(lines, domain))
			return FIND_HIT;
	}
	return FIND_NONE;
}

/* A missing alias file is an empty one. */
static enum find
find_alias(void *context, const char *name, const struct alias **alias)
{
	const char *path = tables.settings->alias_file;
	const struct file *file;
	enum find found;

	(void)context;
	if (path == NULL)
		return FIND_NONE;
	found = files_get(path, FILE_ALIASES, &file);
	if (found == FIND_FAILED && tables.forgiving)
		return FIND_NONE;
	if (found == FIND_FAILED)
		strlcpy(tables.failure, files_failure(),
		    sizeof(tables.failure));
	if (found != FIND_HIT)
		return found;
	*alias = aliases_find(file_aliases(file), name);
	return *alias != NULL ? FIND_HIT : FIND_NONE;
}

static enum find
find_include(void *context, const char *path, const struct alias_list **list)
{
	const struct file *file;
	enum find found;

	(void)context;
	found = files_get(path, FILE_LIST, &file);
	if (found == FIND_FAILED)
		strlcpy(tables.failure, files_failure(),
		    sizeof(tables.failure));
	else if (found == FIND_HIT)
		*list = file_list(file);
	return found;
}

static enum account_result
find_account(void *context, const char *name, struct who *who)
{
	enum account_result result = cache_account(name, who);

	(void)context;
	if (result == ACCOUNT_FAILED)
		strlcpy(tables.failure, cache_failure(),
		    sizeof(tables.failure));
	return result;
}

static const char *
last_failure(void *context)
{
	(void)context;
	return tables.failure;
}

const struct world *
tables_world(void)
{
	static const struct world world = {
		.line = table_line,
		.domain = table_domain,
		.alias = find_alias,
		.include = find_include,
		.account = find_account,
		.failure = last_failure
	};

	return &world;
}

/* ---- the jail ---- */

struct folders {
	char	*all[FOLDERS_MAX];
	size_t	 count;
};

/* Let the jail read the folder of this file, once. */
static void
allow_folder_of(struct folders *folders, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder;
	size_t i;

	if (slash == NULL)
		return;
	folder = slash == path ? strdup("/") :
	    strndup(path, (size_t)(slash - path));
	if (folder == NULL)
		fatal("folders");
	for (i = 0; i < folders->count; i++)
		if (strcmp(folders->all[i], folder) == 0)
			break;
	if (i < folders->count) {
		free(folder);
		return;
	}
	if (folders->count == FOLDERS_MAX) {
		log_note(LOG_WARNING, "table", "files stand in more than %d "
		    "folders: %s cannot be read", FOLDERS_MAX, folder);
		free(folder);
		return;
	}
	folders->all[folders->count++] = folder;
	jail_allow(folder, false);
}

/* Both where the file stands and, if it is a link, where it leads. */
static void
allow_file(struct folders *folders, const char *path)
{
	char *real;

	allow_folder_of(folders, path);
	if ((real = realpath(path, NULL)) != NULL)
		allow_folder_of(folders, real);
	free(real);
}

/* The folders of what the alias file includes now. */
static void
allow_includes(struct folders *folders, const char *path)
{
	const struct aliases *aliases;
	const struct alias_list *list;
	const struct file *file;
	size_t i, j;

	if (files_get(path, FILE_ALIASES, &file) != FIND_HIT)
		return;
	aliases = file_aliases(file);
	for (i = 0; i < aliases->count; i++) {
		list = &aliases->entries[i].list;
		for (j = 0; j < list->count; j++)
			if (list->members[j].target.kind == TARGET_INCLUDE)
				allow_file(folders,
				    list->members[j].target.argument);
	}
}

void
tables_allow(const struct settings *settings)
{
	static const char *const accounts[] = {
		"/etc/passwd", "/run/systemd/userdb/x", "/var/lib/sss/x",
		"/var/lib/sss/mc/x"
	};
	struct folders folders = { .count = 0 };
	size_t i, j;

	for (i = 0; i < sizeof(accounts) / sizeof(accounts[0]); i++)
		allow_folder_of(&folders, accounts[i]);
	for (i = 0; i < tables.count; i++)
		for (j = 0; j < tables.all[i].file_count; j++)
			allow_file(&folders, tables.all[i].files[j]);
	if (settings->alias_file != NULL) {
		allow_file(&folders, settings->alias_file);
		files_mute(true);
		allow_includes(&folders, settings->alias_file);
		files_mute(false);
	}
	for (i = 0; i < folders.count; i++)
		free(folders.all[i]);
	/* What only root could read must not look readable. */
	files_forget();
}
