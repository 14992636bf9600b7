/*
 * Addresses of RFC 5321 4.1.2: parsed strictly, printed canonically.  Pure;
 * knows nothing of who is local or what an address leads to.
 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "address.h"

#define LABEL_MAX	63	/* RFC 1035 2.3.4 */
#define IPV6_GROUPS	6	/* beside a "::", RFC 5321 4.1.3 */

static const char atext_marks[] = "!#$%&'*+-/=?^_`{|}~";
static const char ldh[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";

static bool
is_atext(unsigned char c)
{
	return c < 0x80 && c != '\0' &&
	    (isalnum(c) || strchr(atext_marks, c) != NULL);
}

/* A domain's letters without their shape: labels, hyphens, lengths. */
bool
address_is_domain(const char *text)
{
	size_t length;

	if (*text == '\0' || strlen(text) > ADDRESS_DOMAIN_MAX ||
	    text[strspn(text, ldh)] != '\0')
		return false;
	for (;;) {
		length = strcspn(text, ".");
		if (length == 0 || length > LABEL_MAX || text[0] == '-' ||
		    text[length - 1] == '-')
			return false;
		if (text[length] == '\0')
			return true;
		text += length + 1;
	}
}

/* "::" stands for two groups at least: RFC 5321 is stricter than RFC 4291. */
static bool
is_ipv6_literal(const char *text)
{
	struct in6_addr ignored;
	const char *p;
	size_t groups = 0;

	if (inet_pton(AF_INET6, text, &ignored) != 1)
		return false;
	if (strstr(text, "::") == NULL)
		return true;
	for (p = text; *p != '\0'; p++)
		if (*p != ':' && (p == text || p[-1] == ':'))
			groups++;
	if (strchr(text, '.') != NULL)
		groups++;
	return groups <= IPV6_GROUPS;
}

bool
address_is_literal(const char *text)
{
	struct in_addr ignored;
	char inner[64];
	size_t length = strlen(text);

	if (length < 2 || length - 2 >= sizeof(inner) || text[0] != '[' ||
	    text[length - 1] != ']')
		return false;
	memcpy(inner, text + 1, length - 2);
	inner[length - 2] = '\0';
	if (strncasecmp(inner, "IPv6:", 5) == 0)
		return is_ipv6_literal(inner + 5);
	return inet_pton(AF_INET, inner, &ignored) == 1;
}

/* Quoted-string of RFC 5321; text is at its opening quote. */
static enum address_result
parse_quoted(const char **text, char *local)
{
	const char *p = *text + 1;
	size_t n = 0;

	for (; *p != '"'; p++) {
		if (*p == '\\')
			p++;
		if ((unsigned char)*p >= 0x80)
			return ADDRESS_NOT_ASCII;
		if (*p < ' ' || *p > '~')
			return ADDRESS_BAD_LOCAL;
		if (n >= ADDRESS_LOCAL_MAX)
			return ADDRESS_TOO_LONG;
		local[n++] = *p;
	}
	p++;
	local[n] = '\0';
	if ((size_t)(p - *text) > ADDRESS_LOCAL_MAX)
		return ADDRESS_TOO_LONG;
	*text = p;
	return ADDRESS_OK;
}

/* Dot-string or quoted-string. */
static enum address_result
parse_local(const char **text, char *local)
{
	const char *p = *text;
	size_t n = 0;

	if (*p == '"')
		return parse_quoted(text, local);
	for (; is_atext((unsigned char)*p) || *p == '.'; p++) {
		if (*p == '.' && (p == *text || p[-1] == '.'))
			return ADDRESS_BAD_LOCAL;
		if (n >= ADDRESS_LOCAL_MAX)
			return ADDRESS_TOO_LONG;
		local[n++] = *p;
	}
	local[n] = '\0';
	if ((unsigned char)*p >= 0x80)
		return ADDRESS_NOT_ASCII;
	if (n == 0 || p[-1] == '.')
		return ADDRESS_BAD_LOCAL;
	*text = p;
	return ADDRESS_OK;
}

/* A domain or an address literal. */
static enum address_result
parse_domain(const char **text, char *domain)
{
	const char *p = *text;
	size_t length;

	if (*p == '[') {
		length = strcspn(p, "]");
		if (p[length] == ']')
			length++;
	} else
		length = strspn(p, ldh);
	if ((unsigned char)p[length] >= 0x80)
		return ADDRESS_NOT_ASCII;
	if (length > ADDRESS_DOMAIN_MAX)
		return ADDRESS_TOO_LONG;
	memcpy(domain, p, length);
	domain[length] = '\0';
	if (!address_is_domain(domain) && !address_is_literal(domain))
		return ADDRESS_BAD_DOMAIN;
	*text = p + length;
	return ADDRESS_OK;
}

/* local-part [@domain], up to what neither can hold. */
static enum address_result
parse_mailbox(const char **text, struct address *address)
{
	enum address_result result;

	memset(address, 0, sizeof(*address));
	if ((result = parse_local(text, address->local)) != ADDRESS_OK)
		return result;
	if (**text != '@')
		return ADDRESS_BARE;
	(*text)++;
	return parse_domain(text, address->domain);
}

/* "@a,@b:" before a mailbox; it is checked and dropped. */
static enum address_result
skip_source_route(const char **text)
{
	enum address_result result;
	char domain[ADDRESS_DOMAIN_MAX + 1];

	while (**text == '@') {
		(*text)++;
		result = parse_domain(text, domain);
		if (result != ADDRESS_OK)
			return result;
		if (**text == ':') {
			(*text)++;
			return ADDRESS_OK;
		}
		if (**text != ',' || (*text)[1] != '@')
			return ADDRESS_BAD_SYNTAX;
		(*text)++;
	}
	return ADDRESS_OK;
}

/* What stands behind a mailbox that should have ended there. */
static enum address_result
trailing(const struct address *address, char next)
{
	if ((unsigned char)next >= 0x80)
		return ADDRESS_NOT_ASCII;
	if (next == '\0' || next == ' ')
		return ADDRESS_BAD_SYNTAX;
	return address->domain[0] == '\0' ? ADDRESS_BAD_LOCAL :
	    ADDRESS_BAD_DOMAIN;
}

/* The rest of a path behind its opening bracket. */
static enum address_result
parse_bracketed(const char **text, struct address *address)
{
	enum address_result result;

	if (strncmp(*text, "#@[]>", 5) == 0)
		*text += 4;
	if (**text == '>') {
		memset(address, 0, sizeof(*address));
		(*text)++;
		return ADDRESS_NULL;
	}
	if ((result = skip_source_route(text)) != ADDRESS_OK)
		return result;
	result = parse_mailbox(text, address);
	if (result != ADDRESS_OK && result != ADDRESS_BARE)
		return result;
	if (**text != '>')
		return trailing(address, **text);
	(*text)++;
	return result;
}

enum address_result
address_parse_path(const char *text, bool lenient, struct address *address,
    const char **end)
{
	enum address_result result;
	const char *p = text;

	if (*p == '<') {
		p++;
		result = parse_bracketed(&p, address);
	} else if (lenient && *p != '\0' && *p != ' ')
		result = parse_mailbox(&p, address);
	else
		result = ADDRESS_BAD_SYNTAX;
	if (result > ADDRESS_BARE)
		return result;
	if (*p != '\0' && *p != ' ')
		return *text == '<' ? ADDRESS_BAD_SYNTAX :
		    trailing(address, *p);
	if (p - text > ADDRESS_PATH_MAX)
		return ADDRESS_TOO_LONG;
	*end = p;
	return result;
}

enum address_result
address_parse(const char *text, struct address *address)
{
	enum address_result result;

	result = parse_mailbox(&text, address);
	if (result > ADDRESS_BARE)
		return result;
	if (*text != '\0')
		return trailing(address, *text);
	return result;
}

/* Must this local part stand in quotes? */
static bool
wants_quotes(const char *local)
{
	const char *p;

	if (*local == '\0')
		return true;
	for (p = local; *p != '\0'; p++) {
		if (*p == '.') {
			if (p == local || p[1] == '.' || p[1] == '\0')
				return true;
		} else if (!is_atext((unsigned char)*p))
			return true;
	}
	return false;
}

int
address_print(const struct address *address, char *text, size_t size)
{
	char quoted[2 * ADDRESS_LOCAL_MAX + 3];
	const char *local = address->local, *p;
	size_t n = 0;

	if (wants_quotes(local)) {
		quoted[n++] = '"';
		for (p = local; *p != '\0'; p++) {
			if (*p == '"' || *p == '\\')
				quoted[n++] = '\\';
			quoted[n++] = *p;
		}
		quoted[n++] = '"';
		quoted[n] = '\0';
		local = quoted;
	}
	if (address->domain[0] == '\0')
		return snprintf(text, size, "%s", local);
	return snprintf(text, size, "%s@%s", local, address->domain);
}

void
address_split(const char *local, const char *separators, char *user,
    char *extension)
{
	size_t length = strlen(local);

	if (length > 1)
		length = 1 + strcspn(local + 1, separators);
	memcpy(user, local, length);
	user[length] = '\0';
	if (local[length] != '\0')
		length++;
	local += length;
	memcpy(extension, local, strlen(local) + 1);
}
