/*
 * Targets: what an item of a route, of aliases(5) or of a .forward says,
 * told by its form alone.  Looks nothing up.
 */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "target.h"

#define PORT_SMTP	25

/* What a call wants between its parentheses. */
enum argument {
	ARGUMENT_NONE,
	ARGUMENT_ANY,
	ARGUMENT_NEEDED,
	ARGUMENT_PATH,
	ARGUMENT_HOSTS,
	ARGUMENT_LMTP,
	ARGUMENT_REPLY
};

static const struct call {
	const char		*name;
	enum target_call	 call;
	enum argument		 argument;
} calls[] = {
	{ "local",	CALL_LOCAL,	ARGUMENT_ANY },
	{ "maildir",	CALL_MAILDIR,	ARGUMENT_PATH },
	{ "mbox",	CALL_MBOX,	ARGUMENT_PATH },
	{ "pipe",	CALL_PIPE,	ARGUMENT_NEEDED },
	{ "relay",	CALL_RELAY,	ARGUMENT_HOSTS },
	{ "lmtp",	CALL_LMTP,	ARGUMENT_LMTP },
	{ "reject",	CALL_REJECT,	ARGUMENT_REPLY },
	{ "discard",	CALL_DISCARD,	ARGUMENT_NONE }
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Move start and end inwards over blanks. */
static void
trim(const char **start, const char **end)
{
	while (*start < *end && is_blank(**start))
		(*start)++;
	while (*end > *start && is_blank((*end)[-1]))
		(*end)--;
}

/*
 * A copy of what stands between start and end, without the quotes if it is
 * one quoted string.  NULL without memory.
 */
static char *
copy_unquoted(const char *start, const char *end)
{
	const char *at;
	char *copy, *to;

	if ((copy = malloc(end - start + 1)) == NULL)
		return NULL;
	if (end - start >= 2 && *start == '"') {
		for (at = start + 1, to = copy; at < end && *at != '"'; at++) {
			if (*at == '\\' && (at[1] == '"' || at[1] == '\\'))
				at++;
			*to++ = *at;
		}
		if (at == end - 1) {
			*to = '\0';
			return copy;
		}
	}
	memcpy(copy, start, end - start);
	copy[end - start] = '\0';
	return copy;
}

/* Split "host", "host:port", "v6", "[v6]:port" or "[host]:port". */
static int
split_host(const char *start, const char *end, char *host, size_t size,
    uint16_t *port, bool *bracketed)
{
	const char *stop = end, *colon, *at;
	unsigned long number = 0;

	if (start >= end)
		return -1;
	*bracketed = *start == '[';
	if (*bracketed) {
		start++;
		if ((stop = memchr(start, ']', end - start)) == NULL)
			return -1;
		colon = stop + 1;
		if (colon < end && *colon != ':')
			return -1;
	} else {
		colon = memchr(start, ':', end - start);
		if (colon == NULL ||
		    memchr(colon + 1, ':', end - colon - 1) != NULL)
			colon = end;
		stop = colon;
	}
	if (colon < end) {
		for (at = colon + 1; at < end; at++) {
			if (!isdigit((unsigned char)*at) || number > 65535)
				return -1;
			number = number * 10 + (*at - '0');
		}
		if (number == 0 || number > 65535)
			return -1;
	}
	if (stop == start || (size_t)(stop - start) >= size)
		return -1;
	for (at = start; at < stop; at++)
		if (!isgraph((unsigned char)*at) || strchr("\"()<>@/\\[]", *at))
			return -1;
	memcpy(host, start, stop - start);
	host[stop - start] = '\0';
	*port = number;
	return 0;
}

int
target_next_host(const char **argument, char *host, size_t size,
    uint16_t *port, bool *bracketed)
{
	const char *start = *argument, *end, *next;

	if (start[strspn(start, " \t")] == '\0')
		return 0;
	end = start + strcspn(start, ",");
	next = *end == ',' ? end + 1 : end;
	if (*end == ',' && next[strspn(next, " \t")] == '\0')
		return -1;
	trim(&start, &end);
	if (split_host(start, end, host, size, port, bracketed) == -1)
		return -1;
	*argument = next;
	return 1;
}

/* Are these hosts?  Put one blank behind each comma. */
static int
check_hosts(struct target *target, const char **why)
{
	const char *rest = target->argument, *start, *end;
	char host[256], *canonical, *to;
	uint16_t port;
	bool bracketed;
	int got;

	if ((canonical = malloc(2 * strlen(rest) + 1)) == NULL) {
		*why = "out of memory";
		return -1;
	}
	to = canonical;
	for (start = rest; (got = target_next_host(&rest, host, sizeof(host),
	    &port, &bracketed)) == 1; start = rest) {
		if (target->call == CALL_LMTP && port == PORT_SMTP) {
			*why = "speaks no LMTP to port 25";
			free(canonical);
			return -1;
		}
		end = rest;
		if (end > start && end[-1] == ',')
			end--;
		trim(&start, &end);
		if (to != canonical) {
			*to++ = ',';
			*to++ = ' ';
		}
		memcpy(to, start, end - start);
		to += end - start;
	}
	*to = '\0';
	free(target->argument);
	target->argument = canonical;
	if (got == -1) {
		*why = "not a list of host[:port]; write an IPv6 address with "
		    "a port as [::1]:25";
		return -1;
	}
	return 0;
}

/* Is the argument what this call wants? */
static int
check_argument(struct target *target, enum argument wanted, const char **why)
{
	const char *text = target->argument;

	switch (wanted) {
	case ARGUMENT_ANY:
		return 0;
	case ARGUMENT_NONE:
		*why = "takes no argument";
		return *text == '\0' ? 0 : -1;
	case ARGUMENT_NEEDED:
		*why = "needs an argument";
		return *text != '\0' ? 0 : -1;
	case ARGUMENT_PATH:
		*why = "needs a path that starts with / or ~/";
		return *text == '/' || strncmp(text, "~/", 2) == 0 ? 0 : -1;
	case ARGUMENT_LMTP:
		*why = "needs host:port or the path of a socket";
		if (*text == '\0' || *text == '/')
			return *text == '/' ? 0 : -1;
		return check_hosts(target, why);
	case ARGUMENT_HOSTS:
		return check_hosts(target, why);
	case ARGUMENT_REPLY:
		*why = "needs a code from 400 to 599, then a text";
		if (*text == '\0')
			return 0;
		return (*text == '4' || *text == '5') &&
		    isdigit((unsigned char)text[1]) &&
		    isdigit((unsigned char)text[2]) &&
		    (text[3] == '\0' || is_blank(text[3])) ? 0 : -1;
	}
	return -1;
}

/* Parse name(argument); open is its parenthesis. */
static int
parse_call(const char *text, const char *open, struct target *target,
    const char **why)
{
	const struct call *call = NULL;
	const char *start = open + 1, *end = text + strlen(text);
	size_t i;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if ((size_t)(open - text) == strlen(calls[i].name) &&
		    strncasecmp(text, calls[i].name, open - text) == 0)
			call = &calls[i];
	if (call == NULL) {
		*why = "no such call; there are local(), maildir(), mbox(), "
		    "pipe(), relay(), lmtp(), reject() and discard()";
		return -1;
	}
	if (end[-1] != ')') {
		*why = "text behind the closing parenthesis";
		return -1;
	}
	end--;
	trim(&start, &end);
	target->kind = TARGET_CALL;
	target->call = call->call;
	/* A command is raw text; what its quotes mean is the shell's. */
	if (call->call == CALL_PIPE)
		target->argument = strndup(start, end - start);
	else
		target->argument = copy_unquoted(start, end);
	*why = "out of memory";
	if (target->argument == NULL)
		return -1;
	if (check_argument(target, call->argument, why) == -1)
		return -1;
	if (asprintf(&target->text, "%s(%s)", call->name,
	    target->argument) == -1) {
		target->text = NULL;
		*why = "out of memory";
		return -1;
	}
	return 0;
}

/* Parse what is neither a call nor special to aliases(5). */
static int
parse_name(const char *text, struct target *target, const char **why)
{
	const char *at = strrchr(text, '@');

	if (at == NULL)
		target->kind = TARGET_WORD;
	else if (at[1] == '\0') {
		*why = "no domain behind the @";
		return -1;
	} else if (at == text)
		target->kind = TARGET_DOMAIN;
	else
		target->kind = TARGET_ADDRESS;
	if ((target->text = strdup(text)) == NULL) {
		*why = "out of memory";
		return -1;
	}
	return 0;
}

/* Where the argument of a call opens; NULL if this is none. */
static const char *
find_call(const char *text)
{
	const char *open = text;

	while (isalnum((unsigned char)*open) || *open == '-' || *open == '_')
		open++;
	return open > text && *open == '(' ? open : NULL;
}

int
target_parse(const char *text, struct target *target, const char **why)
{
	const char *open;
	int result;

	memset(target, 0, sizeof(*target));
	if (*text == '\0') {
		*why = "empty";
		return -1;
	}
	if (*text == '|') {
		*why = "write a program as pipe(command)";
		return -1;
	}
	if (*text == '/') {
		*why = "write a file as mbox(/path), a directory as "
		    "maildir(/path)";
		return -1;
	}
	if ((open = find_call(text)) != NULL)
		result = parse_call(text, open, target, why);
	else
		result = parse_name(text, target, why);
	if (result == -1)
		target_free(target);
	return result;
}

/* Keep a member whose argument stands behind a prefix. */
static int
keep_special(enum target_kind kind, const char *prefix, const char *rest,
    struct target *target, const char **why)
{
	const char *end;

	rest += strspn(rest, " \t");
	end = rest + strlen(rest);
	target->kind = kind;
	*why = "out of memory";
	if ((target->argument = copy_unquoted(rest, end)) == NULL)
		goto fail;
	if (*target->argument == '\0') {
		*why = "nothing behind it";
		goto fail;
	}
	if (kind == TARGET_INCLUDE && *target->argument != '/') {
		*why = "an included file needs a path that starts with /";
		goto fail;
	}
	if (asprintf(&target->text, "%s%s", prefix, target->argument) == -1) {
		target->text = NULL;
		goto fail;
	}
	return 0;
fail:
	target_free(target);
	return -1;
}

int
target_parse_member(const char *text, struct target *target,
    const char **why)
{
	static const struct {
		const char		*prefix;
		enum target_kind	 kind;
	} specials[] = {
		{ "|",		TARGET_PROGRAM },
		{ ":include:",	TARGET_INCLUDE },
		{ "\\",		TARGET_MAILBOX }
	};
	const char *end;
	char *bare = NULL;
	size_t i, length;
	int result = -1;

	memset(target, 0, sizeof(*target));
	end = text + strlen(text);
	trim(&text, &end);
	if ((bare = copy_unquoted(text, end)) == NULL) {
		*why = "out of memory";
		return -1;
	}
	for (i = 0; i < sizeof(specials) / sizeof(specials[0]); i++) {
		length = strlen(specials[i].prefix);
		if (strncasecmp(bare, specials[i].prefix, length) != 0)
			continue;
		result = keep_special(specials[i].kind, specials[i].prefix,
		    bare + length, target, why);
		goto out;
	}
	if (*bare == '/') {
		result = keep_special(TARGET_FILE, "", bare, target, why);
		goto out;
	}
	result = target_parse(bare, target, why);
out:
	free(bare);
	return result;
}

void
target_free(struct target *target)
{
	free(target->text);
	free(target->argument);
	target->text = target->argument = NULL;
}

/* FNV-1a of 32 bits. */
uint32_t
target_number(const char *text)
{
	uint32_t hash = 2166136261U;

	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char)*text) * 16777619U;
	return hash == 0 ? 1 : hash;
}
