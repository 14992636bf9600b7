/*
 * The targets of a line or of an alias, laid out flat for the walk; included
 * lists are read here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "policyd.h"

#define INCLUDE_DEPTH	5
#define MEMBERS_MAX	100000	/* of one list */

static void
clear(struct walk *walk)
{
	walk->member_count = 0;
	walk->alias = NULL;
}

/* Room for one more member at the end. */
static struct member *
add(struct walk *walk, const struct target *target, const char *file,
    int line)
{
	struct member *member;

	if (walk->member_count == walk->member_room) {
		walk->member_room = walk->member_room > 0 ?
		    2 * walk->member_room : 8;
		walk->members = reallocarray(walk->members,
		    walk->member_room, sizeof(*walk->members));
		if (walk->members == NULL)
			fatal("a list");
	}
	member = &walk->members[walk->member_count++];
	memset(member, 0, sizeof(*member));
	member->target = target;
	member->file = file;
	member->line = line;
	return member;
}

void
members_of_line(struct walk *walk, const struct line *line)
{
	size_t i;

	clear(walk);
	if (line->left[0] != '@')
		walk->is_named = true;
	(void)snprintf(walk->where, sizeof(walk->where), "%s:%d",
	    line->place.file, line->place.line);
	for (i = 0; i < line->count; i++)
		add(walk, &line->targets[i], line->place.file,
		    line->place.line)->main = line->main;
}

/* The list in an included file, or NULL with the decision filled. */
static const struct alias_list *
read_include(struct walk *walk, const char *path, struct decision *decision)
{
	const struct alias_list *list = NULL;
	const struct world *world = walk->world;

	switch (world->include(world->context, path, &list)) {
	case FIND_HIT:
		return list;
	case FIND_NONE:
		decide_fault(walk, decision, FAULT_CONFIG, "the included file "
		    "%s does not exist", path);
		break;
	case FIND_FAILED:
		decide_fault(walk, decision, FAULT_LOOKUP, "%s",
		    world->failure(world->context));
		break;
	}
	return NULL;
}

/* Add a list's members, and in place of an include those of its file. */
static int
add_list(struct walk *walk, const struct alias_list *list, const char *file,
    int depth, struct decision *decision)
{
	const struct alias_member *from;
	const struct alias_list *included;
	struct member *member;
	size_t i;

	for (i = 0; i < list->count; i++) {
		from = &list->members[i];
		if (from->target.kind != TARGET_INCLUDE) {
			member = add(walk, &from->target, file, from->line);
			member->alias = true;
			member->included = depth > 0;
			continue;
		}
		if (depth == INCLUDE_DEPTH ||
		    walk->member_count > MEMBERS_MAX) {
			decide_fault(walk, decision, FAULT_CONFIG, "%s:%d: too "
			    "many includes or members", file, from->line);
			return -1;
		}
		included = read_include(walk, from->target.argument, decision);
		if (included == NULL || add_list(walk, included,
		    from->target.argument, depth + 1, decision) == -1)
			return -1;
	}
	return 0;
}

int
members_of_alias(struct walk *walk, const struct alias *alias,
    struct decision *decision)
{
	const char *file = walk->settings->alias_file;

	clear(walk);
	walk->is_named = true;
	(void)snprintf(walk->where, sizeof(walk->where), "%s:%d", file,
	    alias->line);
	if (alias->broken) {
		decide_fault(walk, decision, FAULT_CONFIG, "the alias %s at %s "
		    "has a mistake", alias->name, walk->where);
		return -1;
	}
	if (add_list(walk, &alias->list, file, 0, decision) == -1)
		return -1;
	if (walk->member_count == 0) {
		decide_fault(walk, decision, FAULT_CONFIG, "the alias %s at %s "
		    "has no members", alias->name, walk->where);
		return -1;
	}
	walk->alias = alias;
	return 0;
}
