/*
 * The configuration's grammar: sections of settings and of routes, kept with
 * the place each word came from, and printed back in the same grammar.
 * What a setting means and defaults to is its reader's business; which
 * settings exist and of what type stands in conf_keyword.c.
 */
#ifndef CONF_H
#define CONF_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct conf_place {
	const char	*file;		/* owned by the conf */
	int		 line;		/* both from 1 */
	int		 column;
};

struct conf_word {
	char		*text;
	struct conf_place place;
};

/* name = word word ... */
struct conf_setting {
	TAILQ_ENTRY(conf_setting) entry;
	char		*name;		/* with - for _, lower case */
	struct conf_word *words;
	size_t		 count;		/* of words, at least 1 */
	struct conf_place place;
};
TAILQ_HEAD(conf_settings, conf_setting);

/* left  target, target ...; or an include: left NULL, targets[0] the path */
struct conf_route {
	TAILQ_ENTRY(conf_route) entry;
	char		*left;
	struct conf_word *targets;	/* each one text, see target.h */
	size_t		 count;
	struct conf_place place;
};
TAILQ_HEAD(conf_routes, conf_route);

struct conf_section {
	TAILQ_ENTRY(conf_section) entry;
	char		*type;		/* core, smtpd, route ... */
	char		*name;		/* "" if it has none */
	struct conf_settings settings;
	struct conf_routes routes;	/* [route] only */
	struct conf_place place;
};
TAILQ_HEAD(conf_sections, conf_section);

struct conf {
	struct conf_sections sections;
	char		**files;	/* every name a place may point to */
	size_t		 file_count;
	/* where complaints go: "file:line:column: what, and what to do" */
	FILE		*errors;	/* borrowed; NULL: only counted */
	int		 wrong;		/* complaints of syntax and names: 1 */
	int		 lacking;	/* of what this machine lacks: 2 */
	int		 warnings;
};

/*
 * Parse length octets of text called file.  Never NULL; look at ->wrong.
 * Unknown sections and settings, wrong types and second values are
 * complained of to errors with the nearest known name.
 */
struct conf	*conf_parse(const char *, const char *, size_t, FILE *);

/*
 * The same for a file; one that cannot be read counts as lacking.
 */
struct conf	*conf_read(const char *, FILE *);

/*
 * Parse lines of routes alone, as a table file holds them, as one unnamed
 * [route] section.
 */
struct conf	*conf_parse_table(const char *, const char *, size_t, FILE *);

void		 conf_free(struct conf *);

/*
 * Print in the grammar; parsing that prints the same again.
 */
int		 conf_print(const struct conf *, FILE *);

/*
 * The same with each word at its own line and, if it can, column, so that
 * places in what is parsed from it are those of the original.  Only what
 * wanted(section, route, arg) says yes to is printed; route is NULL when the
 * section's settings are meant.
 */
typedef bool	(*conf_wanted)(const struct conf_section *,
		    const struct conf_route *, void *);
int		 conf_print_placed(const struct conf *, conf_wanted, void *,
		    FILE *);

/*
 * Complain at a place.  The warning form changes no exit code.
 */
void	conf_wrong(struct conf *, const struct conf_place *, const char *, ...)
	    __attribute__((format(printf, 3, 4)));
void	conf_lacking(struct conf *, const struct conf_place *, const char *,
	    ...) __attribute__((format(printf, 3, 4)));
void	conf_warning(struct conf *, const struct conf_place *, const char *,
	    ...) __attribute__((format(printf, 3, 4)));

/*
 * The first section of this type and name, NULL if there is none; name NULL
 * is the first of the type.  conf_next() goes on to the next of that type.
 */
struct conf_section	*conf_section(const struct conf *, const char *,
			    const char *);
struct conf_section	*conf_next(const struct conf_section *);

/*
 * Where a setting of this type of section is to be read: in own, which may
 * be NULL, if it has the setting; else in the section named "*", which holds
 * what the others leave out.  NULL if neither has it.
 */
struct conf_section	*conf_holder(const struct conf *, const char *,
			    struct conf_section *, const char *);

/*
 * Settings of a section, which may be NULL.  conf_setting() is the first of
 * that name, conf_again() the next with the same one.
 */
struct conf_setting	*conf_setting(const struct conf_section *,
			    const char *);
struct conf_setting	*conf_again(const struct conf_setting *);

/*
 * A setting's value in its type, or the default.  Types were checked when it
 * was parsed.  Sizes take k M G (1024), durations s m h d, default seconds;
 * durations come back in microseconds.
 */
const char	*conf_string(const struct conf_section *, const char *,
		    const char *);
int64_t		 conf_number(const struct conf_section *, const char *,
		    int64_t);
int64_t		 conf_size(const struct conf_section *, const char *, int64_t);
int64_t		 conf_duration(const struct conf_section *, const char *,
		    int64_t);
bool		 conf_bool(const struct conf_section *, const char *, bool);

/*
 * A text as a size, a duration in microseconds, a number or a truth.
 * Returns 0, or -1 if it is none.
 */
int	conf_parse_size(const char *, int64_t *);
int	conf_parse_duration(const char *, int64_t *);
int	conf_parse_number(const char *, int64_t *);
int	conf_parse_bool(const char *, bool *);

/*
 * A rate, NUMBER/DURATION: so many in each so long, where "100/m" is
 * "100/1m".  Both are at least 1 and the duration at most a year.
 */
int	conf_parse_rate(const char *, int64_t *, int64_t *);

#endif
