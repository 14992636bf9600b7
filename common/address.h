/*
 * Addresses of RFC 5321: paths, mailboxes, domains.  Pure.
 */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#define ADDRESS_LOCAL_MAX	255	/* octets, as written */
#define ADDRESS_DOMAIN_MAX	255
#define ADDRESS_PATH_MAX	1024	/* with brackets and source route */

/* A mailbox that was parsed; nothing else makes one. */
struct address {
	char	local[ADDRESS_LOCAL_MAX + 1];	/* unquoted; may hold anything
						   printable or blank */
	char	domain[ADDRESS_DOMAIN_MAX + 1];	/* "" if bare; [..] literal;
						   no dot at the end */
};

enum address_result {
	ADDRESS_OK,
	ADDRESS_NULL,		/* <> or <#@[]> */
	ADDRESS_BARE,		/* a local part alone, e.g. <postmaster> */
	ADDRESS_BAD_LOCAL,	/* 5.1.3 or 5.1.7 */
	ADDRESS_BAD_DOMAIN,
	ADDRESS_BAD_SYNTAX,
	ADDRESS_TOO_LONG,
	ADDRESS_NOT_ASCII	/* 8-bit, without SMTPUTF8: 5.6.7 */
};

/*
 * Parse the path at the start of text: <...> with a source route dropped, or
 * without brackets if lenient.  *end is set behind it, at a blank or the end.
 */
enum address_result	address_parse_path(const char *, bool,
			    struct address *, const char **);

/*
 * Parse a whole string as local-part@domain, or as a bare local part.
 */
enum address_result	address_parse(const char *, struct address *);

/*
 * Print as local@domain, quoted where RFC 5321 wants it; bare without domain.
 * Returns the length, as snprintf does.
 */
int	address_print(const struct address *, char *, size_t);

/*
 * Is this a domain of RFC 5321 4.1.2, or an address literal?
 */
bool	address_is_domain(const char *);
bool	address_is_literal(const char *);

/*
 * Split the local part at the first of the separators behind its first
 * octet: user and extension ("" if none).  Both arrays hold a local part.
 */
void	address_split(const char *, const char *, char *, char *);

#endif
