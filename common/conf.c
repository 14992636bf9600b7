/*
 * A configuration as it stands in memory: made, looked into, complained
 * about, freed.  Reads no text and prints none.
 */
#include <sys/types.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf.h"

/* One complaint: file:line:column: kind: what. */
static void __attribute__((format(printf, 4, 0)))
complain(struct conf *conf, const struct conf_place *place, const char *kind,
    const char *format, va_list arguments)
{
	if (conf->errors == NULL)
		return;
	if (place != NULL)
		fprintf(conf->errors, "%s:%d:%d: ", place->file, place->line,
		    place->column);
	fputs(kind, conf->errors);
	vfprintf(conf->errors, format, arguments);
	fputc('\n', conf->errors);
}

void
conf_wrong(struct conf *conf, const struct conf_place *place,
    const char *format, ...)
{
	va_list arguments;

	conf->wrong++;
	va_start(arguments, format);
	complain(conf, place, "", format, arguments);
	va_end(arguments);
}

void
conf_lacking(struct conf *conf, const struct conf_place *place,
    const char *format, ...)
{
	va_list arguments;

	conf->lacking++;
	va_start(arguments, format);
	complain(conf, place, "", format, arguments);
	va_end(arguments);
}

void
conf_warning(struct conf *conf, const struct conf_place *place,
    const char *format, ...)
{
	va_list arguments;

	conf->warnings++;
	va_start(arguments, format);
	complain(conf, place, "warning: ", format, arguments);
	va_end(arguments);
}

struct conf_section *
conf_section(const struct conf *conf, const char *type, const char *name)
{
	struct conf_section *section;

	TAILQ_FOREACH(section, &conf->sections, entry)
		if (strcmp(section->type, type) == 0 &&
		    (name == NULL || strcmp(section->name, name) == 0))
			return section;
	return NULL;
}

struct conf_section *
conf_next(const struct conf_section *section)
{
	struct conf_section *next = TAILQ_NEXT(section, entry);

	while (next != NULL && strcmp(next->type, section->type) != 0)
		next = TAILQ_NEXT(next, entry);
	return next;
}

struct conf_setting *
conf_setting(const struct conf_section *section, const char *name)
{
	struct conf_setting *setting;

	if (section == NULL)
		return NULL;
	TAILQ_FOREACH(setting, &section->settings, entry)
		if (strcmp(setting->name, name) == 0)
			return setting;
	return NULL;
}

struct conf_setting *
conf_again(const struct conf_setting *setting)
{
	struct conf_setting *next = TAILQ_NEXT(setting, entry);

	while (next != NULL && strcmp(next->name, setting->name) != 0)
		next = TAILQ_NEXT(next, entry);
	return next;
}

struct conf_section *
conf_holder(const struct conf *conf, const char *type,
    struct conf_section *own, const char *name)
{
	struct conf_section *all;

	if (own != NULL && conf_setting(own, name) != NULL)
		return own;
	all = conf_section(conf, type, "*");
	return conf_setting(all, name) != NULL ? all : NULL;
}

static void
free_words(struct conf_word *words, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		free(words[i].text);
	free(words);
}

static void
free_section(struct conf_section *section)
{
	struct conf_setting *setting;
	struct conf_route *route;

	while ((setting = TAILQ_FIRST(&section->settings)) != NULL) {
		TAILQ_REMOVE(&section->settings, setting, entry);
		free_words(setting->words, setting->count);
		free(setting->name);
		free(setting);
	}
	while ((route = TAILQ_FIRST(&section->routes)) != NULL) {
		TAILQ_REMOVE(&section->routes, route, entry);
		free_words(route->targets, route->count);
		free(route->left);
		free(route);
	}
	free(section->type);
	free(section->name);
	free(section);
}

void
conf_free(struct conf *conf)
{
	struct conf_section *section;
	size_t i;

	if (conf == NULL)
		return;
	while ((section = TAILQ_FIRST(&conf->sections)) != NULL) {
		TAILQ_REMOVE(&conf->sections, section, entry);
		free_section(section);
	}
	for (i = 0; i < conf->file_count; i++)
		free(conf->files[i]);
	free(conf->files);
	free(conf);
}
