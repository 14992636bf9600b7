/*
 * The walk: from an address or name, line by line, to one end or to a list.
 *
 *	address -> line, name		walk_at_address()
 *	name    -> line, alias, account	walk_at_name()
 *	member  -> address, name, end	at_member()
 *
 * A walk goes on as long as there is one way; where there are several it ends
 * in ROUTE_LIST and its caller chooses.  Each address, and each name that a
 * line or alias was found for, goes on the path: an address that comes again
 * is a loop, a name that comes again means the account itself.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "policyd.h"

void
walk_start(struct walk *walk, const struct world *world,
    const struct settings *settings, const char *listener)
{
	memset(walk, 0, sizeof(*walk));
	walk->world = world;
	walk->settings = settings;
	walk->listener = settings_listener(settings, listener);
}

void
walk_end(struct walk *walk)
{
	free(walk->members);
	walk->members = NULL;
}

void
walk_split(const struct walk *walk, const char *user, struct variants *v)
{
	strlcpy(v->full, user, sizeof(v->full));
	address_split(v->full, walk->settings->separators, v->base,
	    v->extension);
	v->two = strcmp(v->full, v->base) != 0;
}

/* ---- the path ---- */

bool
walk_on_path(const struct walk *walk, const char *text, bool name)
{
	size_t i;

	for (i = 0; i < walk->depth; i++)
		if (walk->path[i].name == name &&
		    strcasecmp(walk->path[i].text, text) == 0)
			return true;
	return false;
}

int
walk_push(struct walk *walk, const char *text, bool name,
    struct decision *decision)
{
	if (walk->depth == WALK_STEPS) {
		decide_fault(walk, decision, FAULT_LOOP, "more than %d steps "
		    "from <%s>", WALK_STEPS, walk->path[0].text);
		return -1;
	}
	walk->path[walk->depth].name = name;
	strlcpy(walk->path[walk->depth].text, text,
	    sizeof(walk->path[0].text));
	walk->depth++;
	return 0;
}

bool
walk_has_name(const struct walk *walk, const char *name)
{
	struct variants v;

	walk_split(walk, name, &v);
	return walk_on_path(walk, v.full, true) ||
	    walk_on_path(walk, v.base, true);
}

/* ---- a member ---- */

static enum next
go_name(struct walk *walk, const char *name)
{
	strlcpy(walk->next_name, name, sizeof(walk->next_name));
	return NEXT_NAME;
}

/* A bare word: a [pipe], a [relay], a host, or a name. */
static enum next
at_word(struct walk *walk, const struct member *member,
    struct decision *decision)
{
	const char *word = member->target->text;
	const struct conf_section *section;
	char hop[WIRE_TARGET];
	struct variants v;

	if (member->alias)
		return go_name(walk, word);
	section = conf_section(walk->settings->conf, "pipe", word);
	if (section != NULL && conf_setting(section, "user") == NULL) {
		walk_split(walk, walk->user, &v);
		return walk_at_account(walk, &v, false, section, decision);
	}
	if (section != NULL) {
		decide_pipe(walk, decision, section, NULL, "");
		return NEXT_DONE;
	}
	if (settings_hop(walk->settings, word) != NULL) {
		decide_relay(walk, decision, word);
		return NEXT_DONE;
	}
	if (strcmp(word, "*") == 0) {
		decide_fault(walk, decision, FAULT_CONFIG, "[relay \"*\"] "
		    "holds defaults, it is no next hop");
		return NEXT_DONE;
	}
	if (strchr(word, '.') == NULL)
		return go_name(walk, word);
	(void)snprintf(hop, sizeof(hop), "relay(%s)", word);
	decide_relay(walk, decision, hop);
	return NEXT_DONE;
}

static enum next
at_call(struct walk *walk, const struct member *member,
    struct decision *decision)
{
	const struct target *target = member->target;

	switch (target->call) {
	case CALL_LOCAL:
		return go_name(walk, *target->argument != '\0' ?
		    target->argument : walk->user);
	case CALL_RELAY:
	case CALL_LMTP:
		decide_relay(walk, decision, target->text);
		break;
	case CALL_REJECT:
		decide_reject(walk, decision, target->argument);
		break;
	case CALL_DISCARD:
		decide_discard(walk, decision);
		break;
	case CALL_MAILDIR:
	case CALL_MBOX:
	case CALL_PIPE:
	case CALL_NONE:
		decide_delivery(walk, decision, target, member->main);
		break;
	}
	return NEXT_DONE;
}

/* An address, or the same user at another domain. */
static enum next
go_address(struct walk *walk, const struct target *target,
    struct decision *decision)
{
	struct address *to = &walk->next_address;

	if (target->kind == TARGET_DOMAIN) {
		memset(to, 0, sizeof(*to));
		strlcpy(to->local, walk->user, sizeof(to->local));
		strlcpy(to->domain, target->text + 1, sizeof(to->domain));
		return NEXT_ADDRESS;
	}
	if (address_parse(target->text, to) == ADDRESS_OK)
		return NEXT_ADDRESS;
	decide_fault(walk, decision, FAULT_CONFIG, "%s is no address",
	    target->text);
	return NEXT_DONE;
}

/* Is this target for whatever user the sender named? */
static bool
keeps_user(const struct walk *walk, const struct target *target)
{
	switch (target->kind) {
	case TARGET_DOMAIN:
		return true;
	case TARGET_CALL:
		return target->call == CALL_LOCAL && *target->argument == '\0';
	case TARGET_WORD:
		return conf_section(walk->settings->conf, "pipe",
		    target->text) != NULL;
	default:
		return false;
	}
}

static enum next
at_member(struct walk *walk, const struct member *member,
    struct decision *decision)
{
	const struct target *target = member->target;
	struct variants v;

	walk->last = target;
	if (!keeps_user(walk, target))
		walk->is_named = true;
	(void)snprintf(walk->where, sizeof(walk->where), "%s:%d",
	    member->file, member->line);
	if (member->included && target->kind != TARGET_ADDRESS &&
	    target->kind != TARGET_WORD) {
		decide_fault(walk, decision, FAULT_CONFIG, "%s: only addresses "
		    "may stand in an included file", walk->where);
		return NEXT_DONE;
	}
	switch (target->kind) {
	case TARGET_ADDRESS:
	case TARGET_DOMAIN:
		return go_address(walk, target, decision);
	case TARGET_WORD:
		return at_word(walk, member, decision);
	case TARGET_CALL:
		return at_call(walk, member, decision);
	case TARGET_MAILBOX:
		walk_split(walk, target->argument, &v);
		return walk_at_account(walk, &v, false, NULL, decision);
	case TARGET_PROGRAM:
	case TARGET_FILE:
		decide_delivery(walk, decision, target, false);
		break;
	case TARGET_INCLUDE:
		decide_fault(walk, decision, FAULT_CONFIG, ":include: stands "
		    "in a list, not in a table");
		break;
	}
	return NEXT_DONE;
}

/* ---- the whole ---- */

/* Who hears of failures of this alias's members, or "". */
static int
find_owner(struct walk *walk, char *owner, size_t size,
    struct decision *decision)
{
	const struct world *world = walk->world;
	char name[ADDRESS_LOCAL_MAX + 1];
	const struct alias *found;
	struct address address;

	*owner = '\0';
	if (walk->alias == NULL || (size_t)snprintf(name, sizeof(name),
	    "owner-%s", walk->alias->name) >= sizeof(name))
		return 0;
	switch (world->alias(world->context, name, &found)) {
	case FIND_FAILED:
		decide_fault(walk, decision, FAULT_LOOKUP, "%s",
		    world->failure(world->context));
		return -1;
	case FIND_NONE:
		return 0;
	case FIND_HIT:
		break;
	}
	memset(&address, 0, sizeof(address));
	strlcpy(address.local, name, sizeof(address.local));
	strlcpy(address.domain, walk_class(walk, walk->here.domain) ==
	    DOMAIN_LOCAL ? walk->here.domain : walk->settings->mail_name,
	    sizeof(address.domain));
	(void)address_print(&address, owner, size);
	return 0;
}

/* The walk ends in a list. */
static void
decide_list(struct walk *walk, struct decision *decision, const char *owner)
{
	memset(decision, 0, sizeof(*decision));
	decision->kind = ROUTE_LIST;
	strlcpy(decision->address, walk->under, sizeof(decision->address));
	strlcpy(decision->domain, walk->here.domain,
	    sizeof(decision->domain));
	strlcpy(decision->owner, owner, sizeof(decision->owner));
	strlcpy(decision->where, walk->where, sizeof(decision->where));
	walk_trace(walk, "a list of %zu", walk->member_count);
}

/*
 * Go on until there is no single way.  The one member of an alias is
 * followed, unless that ends at nobody: then it is a list of one, so that
 * who is told of it is the sender and not the administrator's line.
 */
static void
follow(struct walk *walk, enum next next, struct decision *decision)
{
	char owner[WIRE_ADDRESS];
	struct walk_mark mark;
	struct member alone, only;
	bool one_alias = false;

	while (next != NEXT_DONE) {
		if (next == NEXT_ADDRESS) {
			next = walk_at_address(walk, decision);
			continue;
		}
		if (next == NEXT_NAME) {
			next = walk_at_name(walk, decision);
			continue;
		}
		if (find_owner(walk, owner, sizeof(owner), decision) == -1)
			return;
		if (walk->member_count != 1 || *owner != '\0') {
			decide_list(walk, decision, owner);
			return;
		}
		if (walk->alias != NULL && !one_alias) {
			walk_mark(walk, &mark);
			only = walk->members[0];
			one_alias = true;
		}
		alone = walk->members[0];
		next = at_member(walk, &alone, decision);
	}
	if (one_alias && decision->kind == ROUTE_UNKNOWN) {
		walk_return(walk, &mark);
		walk->members[0] = only;
		walk->member_count = 1;
		decide_list(walk, decision, "");
	}
}

void
walk_address(struct walk *walk, const struct address *address,
    struct decision *decision)
{
	enum next next = NEXT_ADDRESS;

	walk->next_address = *address;
	if (address->domain[0] == '\0') {
		walk->here = *address;
		(void)address_print(address, walk->under,
		    sizeof(walk->under));
		walk->first_step = STEP_NAME;
		walk->first_class = DOMAIN_LOCAL;
		next = go_name(walk, address->local);
	}
	follow(walk, next, decision);
}

void
walk_member(struct walk *walk, const struct member *member,
    struct decision *decision)
{
	walk->from_member = true;
	follow(walk, at_member(walk, member, decision), decision);
}

struct member *
walk_take_members(struct walk *walk, size_t *count)
{
	struct member *members = walk->members;

	*count = walk->member_count;
	walk->members = NULL;
	walk->member_count = walk->member_room = 0;
	return members;
}

void
walk_mark(const struct walk *walk, struct walk_mark *mark)
{
	mark->here = walk->here;
	memcpy(mark->user, walk->user, sizeof(mark->user));
	memcpy(mark->under, walk->under, sizeof(mark->under));
	memcpy(mark->where, walk->where, sizeof(mark->where));
	mark->alias = walk->alias;
	mark->depth = walk->depth;
	mark->is_named = walk->is_named;
	mark->used_root_mail = walk->used_root_mail;
}

void
walk_return(struct walk *walk, const struct walk_mark *mark)
{
	walk->here = mark->here;
	memcpy(walk->user, mark->user, sizeof(walk->user));
	memcpy(walk->under, mark->under, sizeof(walk->under));
	memcpy(walk->where, mark->where, sizeof(walk->where));
	walk->alias = mark->alias;
	walk->depth = mark->depth;
	walk->is_named = mark->is_named;
	walk->used_root_mail = mark->used_root_mail;
}
