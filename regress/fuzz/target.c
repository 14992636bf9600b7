/* links: common/target.c */
/*
 * Targets: their canonical text means the same; hosts are taken in bounds.
 */
#include <ctype.h>

#include "fuzz.h"
#include "target.h"

typedef int	(*parse_fn)(const char *, struct target *, const char **);

static void
check_hosts(const char *argument)
{
	char host[64];
	const char *at = argument, *before;
	uint16_t port;
	bool bracketed;
	int more;

	do {
		before = at;
		more = target_next_host(&at, host, sizeof(host), &port,
		    &bracketed);
		require(more == 1 ? at > before : at == before);
		require(more != 1 || (host[0] != '\0' &&
		    strlen(host) < sizeof(host)));
		require(more != 1 || strpbrk(host, "\"()<>@/\\[] ,") == NULL);
		require(more != 1 || fuzz_is_printable(host));
	} while (more == 1);
}

static void
check(parse_fn parse, const char *text)
{
	struct target target, again;
	const char *why = NULL;

	if (parse(text, &target, &why) == -1) {
		require(why != NULL && *why != '\0');
		require(target.text == NULL && target.argument == NULL);
		return;
	}
	require(target.text != NULL && target.text[0] != '\0');
	require(target_number(target.text) != 0);
	require((target.kind == TARGET_CALL) == (target.call != CALL_NONE));
	if (target.call == CALL_RELAY || (target.call == CALL_LMTP &&
	    target.argument[0] != '/'))
		check_hosts(target.argument);
	/* A canonical text is one: of words, addresses and hosts. */
	if (target.kind == TARGET_ADDRESS || target.kind == TARGET_DOMAIN ||
	    target.kind == TARGET_WORD || target.call == CALL_RELAY ||
	    target.call == CALL_DISCARD) {
		require(target_parse(target.text, &again, &why) == 0);
		require(target.kind == again.kind &&
		    target.call == again.call &&
		    strcmp(target.text, again.text) == 0);
		target_free(&again);
	}
	target_free(&target);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	char *text = fuzz_rest(&in);

	check(target_parse, text);
	check(target_parse_member, text);
	check_hosts(text);
	free(text);
	return 0;
}
