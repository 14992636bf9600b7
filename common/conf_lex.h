/*
 * Words and targets on one line of a configuration.  For conf_parse.c,
 * conf_print.c and secretfile.c only.
 */
#ifndef CONF_LEX_H
#define CONF_LEX_H

#include <stdbool.h>
#include <stddef.h>

struct conf_cursor {
	const char	*start;		/* of the line */
	const char	*at;
	const char	*end;		/* behind its last octet */
	const char	*why;		/* what was wrong, after -1 */
};

struct conf_token {
	char		*text;		/* to be freed */
	int		 column;
	bool		 quoted;	/* it began with a quote */
};

/*
 * What ends a bare word besides a blank.
 */
enum conf_stop {
	STOP_BLANK,
	STOP_EQUALS,		/* the name of a setting */
	STOP_COMMA,		/* in a list; commas before it are skipped */
	STOP_BRACKET		/* in a section header */
};

/*
 * The next word, without its quotes.  Returns 1, or 0 at the end of the line
 * or a comment, or -1.
 */
int	conf_lex_word(struct conf_cursor *, enum conf_stop,
	    struct conf_token *);

/*
 * The next target of a route, and the comma behind it.  Returns as
 * conf_lex_word() does.
 */
int	conf_lex_target(struct conf_cursor *, struct conf_token *);

/*
 * Go over blanks; is the line or what matters of it at its end?
 */
bool	conf_lex_at_end(struct conf_cursor *);

/*
 * Go over a lone =.
 */
void	conf_lex_equals(struct conf_cursor *, bool);

/*
 * Is the line a section header: does ] end what [ began?
 */
bool	conf_lex_is_header(const struct conf_cursor *);

/*
 * Would this text, bare, be read as it is?  Else it wants quotes.
 */
bool	conf_lex_is_bare(const char *, enum conf_stop);
bool	conf_lex_is_bare_target(const char *);

/*
 * What was allocated; dies if it is NULL.
 */
void	*conf_lex_need(void *);

#endif
