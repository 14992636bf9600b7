/*
 * Table, alias and include files: read when first asked for and again when
 * they change, never used half.  A file that cannot be used says so once in
 * the log; what asks for it is answered "not now".
 */
#include <sys/stat.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "policyd.h"
#include "safefile.h"

#define OCTETS_MAX	(64 * 1024 * 1024)

struct file {
	struct file	*next;
	char		*path;
	enum file_type	 type;
	enum find	 state;
	char		*failure;	/* why FIND_FAILED, or NULL */
	uint64_t	 tick;		/* when it was looked at last */
	struct stat	 st;		/* of what was read */
	int64_t		 read_at;	/* 0: never */
	struct conf	*conf;		/* FILE_TABLE, with lines */
	struct lines	*lines;
	struct aliases	*aliases;
	struct alias_list list;
};

static struct {
	struct file	*first;
	const char	*failure;
	struct conf	*complaints;	/* -n */
	bool		 mute;
	uint64_t	 tick;
} files = { .tick = 1 };

void
files_tick(void)
{
	files.tick++;
}

void
files_forget(void)
{
	struct file *file;

	for (file = files.first; file != NULL; file = file->next)
		file->read_at = 0;
	files.tick++;
}

void
files_mute(bool mute)
{
	files.mute = mute;
}

void
files_complain_to(struct conf *conf)
{
	files.complaints = conf;
}

const char *
files_failure(void)
{
	return files.failure;
}

const struct lines *
file_lines(const struct file *file)
{
	return file->lines;
}

const struct aliases *
file_aliases(const struct file *file)
{
	return file->aliases;
}

const struct alias_list *
file_list(const struct file *file)
{
	return &file->list;
}

static struct file *
find(const char *path, enum file_type type)
{
	struct file *file;

	for (file = files.first; file != NULL; file = file->next)
		if (file->type == type && strcmp(file->path, path) == 0)
			return file;
	if ((file = calloc(1, sizeof(*file))) == NULL ||
	    (file->path = strdup(path)) == NULL)
		fatal("files");
	file->type = type;
	file->next = files.first;
	files.first = file;
	return file;
}

static void
forget(struct file *file)
{
	lines_free(file->lines);
	conf_free(file->conf);
	aliases_free(file->aliases);
	alias_list_free(&file->list);
	file->lines = NULL;
	file->conf = NULL;
	file->aliases = NULL;
}

/* The file cannot be used; say so when that is news. */
__attribute__((format(printf, 2, 3)))
static void
fail(struct file *file, const char *format, ...)
{
	struct conf_place place = { file->path, 1, 1 };
	char *reason;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&reason, format, arguments) == -1)
		fatal("files");
	va_end(arguments);
	if (file->failure == NULL || strcmp(file->failure, reason) != 0) {
		if (files.complaints != NULL)
			conf_lacking(files.complaints, &place, "%s", reason);
		else if (!files.mute)
			log_note(LOG_ERR, "table", "%s", reason);
	}
	free(file->failure);
	file->failure = reason;
	file->state = FIND_FAILED;
}

/* The file's mistakes have been told; it is not used. */
static void
spoil(struct file *file)
{
	if (files.complaints == NULL)
		fail(file, "%s has mistakes and is not used", file->path);
	file->state = FIND_FAILED;
}

/* A mistake in an alias file or list. */
static void
complain(void *arg, int line, int column, const char *what)
{
	const struct file *file = arg;
	struct conf_place place = { file->path, line, column };

	if (files.complaints != NULL)
		conf_lacking(files.complaints, &place, "%s", what);
	else if (!files.mute)
		log_note(LOG_ERR, "table", "%s:%d:%d: %s", file->path, line,
		    column, what);
}

/* Log what the parser of tables wrote, a line each. */
static void
log_lines(char *text)
{
	char *line, *rest = NULL;

	for (line = strtok_r(text, "\n", &rest); line != NULL;
	    line = strtok_r(NULL, "\n", &rest))
		log_note(LOG_ERR, "table", "%s", line);
}

/* A table that is included includes none. */
static void
refuse_includes(struct conf *conf)
{
	const struct conf_section *section = conf_section(conf, "route", "");
	const struct conf_route *route;

	if (section == NULL)
		return;
	TAILQ_FOREACH(route, &section->routes, entry)
		if (route->left == NULL)
			conf_wrong(conf, &route->place, "a table that is "
			    "included includes no other; name both in the "
			    "main file");
}

static void
parse_table(struct file *file, const char *text, size_t length)
{
	char *said = NULL;
	size_t size;
	FILE *out;

	out = files.complaints != NULL ? files.complaints->errors :
	    open_memstream(&said, &size);
	file->conf = conf_parse_table(file->path, text, length, out);
	file->lines = lines_compile(file->conf,
	    conf_section(file->conf, "route", ""), false);
	refuse_includes(file->conf);
	/* From now on nobody complains to that stream. */
	file->conf->errors = NULL;
	if (files.complaints != NULL)
		files.complaints->lacking += file->conf->wrong;
	else if (out != NULL) {
		(void)fclose(out);
		log_lines(said);
	}
	free(said);
	if (file->conf->wrong > 0)
		spoil(file);
}

static void
parse(struct file *file, const char *text, size_t length)
{
	file->state = FIND_HIT;
	switch (file->type) {
	case FILE_TABLE:
		parse_table(file, text, length);
		break;
	case FILE_ALIASES:
		/* A mistake spoils its own entry only. */
		file->aliases = aliases_parse(text, length, complain, file);
		break;
	case FILE_LIST:
		if (alias_list_parse(text, length, complain, file,
		    &file->list) > 0)
			spoil(file);
		break;
	}
	if (file->state == FIND_HIT) {
		free(file->failure);
		file->failure = NULL;
	}
}

static void
read_file(struct file *file)
{
	const char *why;
	char *text;
	size_t length;

	forget(file);
	file->read_at = clock_now();
	if (safefile_read(file->path, OCTETS_MAX, &text, &length, &file->st,
	    &why) == 0) {
		parse(file, text, length);
		free(text);
		return;
	}
	file->read_at = 0;
	if (errno == ENOENT) {
		file->state = FIND_NONE;
		return;
	}
	if (errno == EPERM)
		fail(file, "%s %s", file->path, why);
	else
		fail(file, "%s %s: %s", file->path, why, strerror(errno));
}

static int64_t
micro(const struct timespec *when)
{
	return (int64_t)when->tv_sec * SECOND + when->tv_nsec / 1000;
}

/*
 * Has the file changed?  One that was read within a second of its own time
 * may have changed again under the same time: it counts as changed once that
 * second is over.
 */
static bool
has_changed(const struct file *file)
{
	struct stat st;

	if (file->read_at == 0 || stat(file->path, &st) == -1)
		return true;
	if (st.st_dev != file->st.st_dev || st.st_ino != file->st.st_ino ||
	    st.st_size != file->st.st_size ||
	    st.st_uid != file->st.st_uid || st.st_mode != file->st.st_mode ||
	    micro(&st.st_mtim) != micro(&file->st.st_mtim) ||
	    micro(&st.st_ctim) != micro(&file->st.st_ctim))
		return true;
	return file->read_at - micro(&st.st_mtim) < SECOND &&
	    clock_now() - micro(&st.st_mtim) >= SECOND;
}

enum find
files_get(const char *path, enum file_type type, const struct file **result)
{
	struct file *file = find(path, type);

	if (file->tick != files.tick) {
		file->tick = files.tick;
		if (has_changed(file))
			read_file(file);
	}
	files.failure = file->failure != NULL ? file->failure :
	    "a file has mistakes";
	*result = file;
	return file->state;
}
