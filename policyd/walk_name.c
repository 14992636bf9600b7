/*
 * The walk at a name: a left side, an alias, at last an account.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "policyd.h"

#define NOBODY	65534

/* Is this an account for people? */
static bool
is_system(const struct walk *walk, const struct who *who)
{
	const struct settings *settings = walk->settings;

	if (settings->rootless && who->uid == settings->uid)
		return false;
	return who->uid == 0 || who->uid < settings->min_uid ||
	    who->uid == NOBODY;
}

static bool
is_role(const char *name)
{
	return strcasecmp(name, "postmaster") == 0 ||
	    strcasecmp(name, "mailer-daemon") == 0;
}

/* Look up the spellings in order; *extended tells that the base was it. */
static enum account_result
find_account(const struct walk *walk, const struct variants *v,
    struct who *who, bool *extended)
{
	const struct world *world = walk->world;
	char lower[ADDRESS_LOCAL_MAX + 1];
	const char *spelling;
	enum account_result result;
	size_t i;
	int round;

	for (round = 0; round < 4; round++) {
		*extended = round % 2 == 1;
		if (*extended && !v->two)
			continue;
		spelling = *extended ? v->base : v->full;
		if (round >= 2) {
			for (i = 0; spelling[i] != '\0'; i++)
				lower[i] = (char)tolower(
				    (unsigned char)spelling[i]);
			lower[i] = '\0';
			if (strcmp(lower, spelling) == 0)
				continue;
			spelling = lower;
		}
		result = world->account(world->context, spelling, who);
		if (result != ACCOUNT_NO)
			return result;
	}
	return ACCOUNT_NO;
}

/* Mail for root and its like goes where root-mail says. */
static enum next
at_system(struct walk *walk, const struct variants *v, const struct who *who,
    struct decision *decision)
{
	const struct world *world = walk->world;
	const char *goes_to = walk->settings->root_mail;
	struct who keeper;

	if (walk->strange && !walk->is_named && !is_role(v->base) &&
	    strcasecmp(v->base, "root") != 0) {
		decide_fault(walk, decision, FAULT_USER, "no such user");
		return NEXT_DONE;
	}
	walk_trace(walk, "%s is a system account: root-mail is %s", who->name,
	    goes_to);
	if (walk->used_root_mail) {
		decide_fault(walk, decision, FAULT_LOOP, "root-mail %s leads "
		    "back to %s", goes_to, who->name);
		return NEXT_DONE;
	}
	walk->used_root_mail = true;
	if (address_parse(goes_to, &walk->next_address) == ADDRESS_OK)
		return NEXT_ADDRESS;
	switch (world->account(world->context, goes_to, &keeper)) {
	case ACCOUNT_NO:
		decide_fault(walk, decision, FAULT_CONFIG, "root-mail %s is "
		    "no account", goes_to);
		return NEXT_DONE;
	case ACCOUNT_FAILED:
		decide_fault(walk, decision, FAULT_LOOKUP, "%s",
		    world->failure(world->context));
		return NEXT_DONE;
	case ACCOUNT_YES:
		break;
	}
	if (keeper.uid == 0)
		decide_fault(walk, decision, FAULT_CONFIG, "root-mail %s is "
		    "root itself", goes_to);
	else if (is_system(walk, &keeper))
		decide_spool(walk, decision, &keeper);
	else {
		strlcpy(walk->next_name, goes_to, sizeof(walk->next_name));
		return NEXT_NAME;
	}
	return NEXT_DONE;
}

/* postmaster and mailer-daemon mean root where nothing else is said. */
static enum next
at_nobody(struct walk *walk, const struct variants *v, bool again,
    struct decision *decision)
{
	if (again) {
		decide_fault(walk, decision, FAULT_LOOP, "%s leads back to "
		    "itself and is no account", v->base);
		return NEXT_DONE;
	}
	if (!is_role(v->base)) {
		decide_fault(walk, decision, FAULT_USER, "no such user");
		return NEXT_DONE;
	}
	if (walk_push(walk, v->base, true, decision) == -1)
		return NEXT_DONE;
	walk_trace(walk, "%s means root", v->base);
	strlcpy(walk->next_name, "root", sizeof(walk->next_name));
	return NEXT_NAME;
}

enum next
walk_at_account(struct walk *walk, const struct variants *v, bool again,
    const struct conf_section *pipe, struct decision *decision)
{
	const char *extension;
	struct who who;
	bool extended;

	switch (find_account(walk, v, &who, &extended)) {
	case ACCOUNT_FAILED:
		decide_fault(walk, decision, FAULT_LOOKUP, "%s",
		    walk->world->failure(walk->world->context));
		return NEXT_DONE;
	case ACCOUNT_NO:
		walk_trace(walk, "%s: no such account", v->full);
		return at_nobody(walk, v, again, decision);
	case ACCOUNT_YES:
		break;
	}
	if (is_system(walk, &who))
		return at_system(walk, v, &who, decision);
	extension = extended ? v->extension : "";
	if (pipe != NULL)
		decide_pipe(walk, decision, pipe, &who, extension);
	else
		decide_local(walk, decision, &who, extension);
	return NEXT_DONE;
}

/* ---- a name ---- */

/* Try the name as a left side, then in the alias file. */
static enum find
try_name(struct walk *walk, const char *name, bool as_alias,
    struct decision *decision)
{
	const struct world *world = walk->world;
	const struct alias *alias;
	enum find found;

	if (!as_alias)
		found = walk_try_left(walk, name, decision);
	else if ((found = world->alias(world->context, name, &alias)) ==
	    FIND_FAILED)
		decide_fault(walk, decision, FAULT_LOOKUP, "%s",
		    world->failure(world->context));
	else if (found == FIND_NONE)
		walk_trace(walk, "%s: no such alias", name);
	else {
		walk_trace(walk, "%s: alias at %s:%d", name,
		    walk->settings->alias_file, alias->line);
		if (members_of_alias(walk, alias, decision) == -1)
			found = FIND_FAILED;
	}
	if (found == FIND_HIT && walk_push(walk, name, true, decision) == -1)
		found = FIND_FAILED;
	return found;
}

enum next
walk_at_name(struct walk *walk, struct decision *decision)
{
	struct variants v;
	enum find found;
	int round;

	strlcpy(walk->user, walk->next_name, sizeof(walk->user));
	if (walk->from_member)
		strlcpy(walk->under, walk->user, sizeof(walk->under));
	walk_trace(walk, "name %s", walk->user);
	walk_split(walk, walk->user, &v);
	if (walk_has_name(walk, walk->user)) {
		walk_trace(walk, "%s again: the account itself", walk->user);
		return walk_at_account(walk, &v, true, NULL, decision);
	}
	for (round = 0; round < 4; round++) {
		if (round % 2 == 1 && !v.two)
			continue;
		found = try_name(walk, round % 2 == 1 ? v.base : v.full,
		    round >= 2, decision);
		if (found != FIND_NONE)
			return found == FIND_HIT ? NEXT_MEMBERS : NEXT_DONE;
	}
	return walk_at_account(walk, &v, false, NULL, decision);
}
