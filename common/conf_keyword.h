/*
 * Which sections and settings exist, and of what type each setting is.
 * What a setting means and defaults to stands with the process that reads
 * it, and in postmaster.cf(5).
 */
#ifndef CONF_KEYWORD_H
#define CONF_KEYWORD_H

#include <stdbool.h>

enum conf_type {
	CONF_STRING,		/* one word */
	CONF_PATH,		/* one word that starts with / */
	CONF_NUMBER,
	CONF_SIZE,		/* 10, 10k, 10M, 10G */
	CONF_DURATION,		/* 200ms, 30, 30s, 5m, 1h, 5d */
	CONF_BOOL,		/* yes, no, true, false, on, off, 1, 0 */
	CONF_WORDS,		/* any number of words, once */
	CONF_LIST		/* words; commas part them too; accumulates */
};

/* Whether a section of this type bears a name. */
enum conf_naming {
	CONF_UNNAMED,
	CONF_NAMED,
	CONF_MAY_BE_NAMED
};

struct conf_kind {
	const char		*type;
	enum conf_naming	 naming;
};

struct conf_keyword {
	const char	*section;	/* its type */
	const char	*name;
	enum conf_type	 type;
};

/*
 * The section type or the setting of that name, NULL if there is none; for
 * a setting, section NULL means any.
 */
const struct conf_kind		*conf_kind(const char *);
const struct conf_keyword	*conf_keyword(const char *, const char *);

/*
 * The known section type, or setting of that section, which is most like a
 * word; NULL if none is near.
 */
const char	*conf_nearest_kind(const char *);
const char	*conf_nearest_keyword(const char *, const char *);

/*
 * The nth row of the table, NULL behind the last.
 */
const struct conf_keyword	*conf_keyword_row(unsigned int);

#endif
