/* links: common/aliases.c common/target.c common/address.c common/log.c
 * common/queueid.c common/clock.c */
/*
 * Alias files and lists of members: what is taken makes sense and is found
 * again, what is not is complained of at its place.
 */
#include <strings.h>

#include "address.h"
#include "aliases.h"
#include "fuzz.h"

struct seen {
	int	lines;
	int	count;
};

static void
complain(void *arg, int line, int column, const char *what)
{
	struct seen *seen = arg;

	require(line >= 1 && line <= seen->lines && column >= 1);
	require(*what != '\0');
	seen->count++;
}

static void
check_list(const struct alias_list *list, int lines)
{
	const struct alias_member *member;
	struct target again;
	const char *why;
	size_t i;

	for (i = 0; i < list->count; i++) {
		member = &list->members[i];
		require(member->line >= 1 && member->line <= lines &&
		    member->column >= 1);
		require(member->target.text != NULL &&
		    member->target.text[0] != '\0');
		require(strchr(member->target.text, '\n') == NULL);
		if (member->target.kind != TARGET_ADDRESS)
			continue;
		/* It travels as text and is read anew. */
		require(target_parse_member(member->target.text, &again,
		    &why) == 0);
		require(again.kind == TARGET_ADDRESS &&
		    strcmp(again.text, member->target.text) == 0);
		target_free(&again);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct seen seen = { .lines = 1 };
	struct aliases *aliases;
	struct alias_list list;
	const struct alias *found;
	size_t i;
	int wrong;

	for (i = 0; i < size; i++)
		seen.lines += text[i] == '\n';
	aliases = aliases_parse(text, size, complain, &seen);
	require(aliases->wrong == seen.count);
	for (i = 0; i < aliases->count; i++) {
		require(aliases->entries[i].name[0] != '\0');
		require(strchr(aliases->entries[i].name, '@') == NULL);
		require(i == 0 || strcasecmp(aliases->entries[i - 1].name,
		    aliases->entries[i].name) < 0);
		found = aliases_find(aliases, aliases->entries[i].name);
		require(found == &aliases->entries[i]);
		require(found->broken || found->list.count > 0);
		check_list(&found->list, seen.lines);
	}
	require(aliases_find(aliases, "") == NULL);
	aliases_free(aliases);

	seen.count = 0;
	wrong = alias_list_parse(text, size, complain, &seen, &list);
	require(wrong == seen.count);
	check_list(&list, seen.lines);
	alias_list_free(&list);
	return 0;
}
