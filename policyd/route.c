/*
 * spoold's question: how is this recipient done now.  One end is the answer;
 * a list becomes targets, each an address to be routed by itself or a member
 * to be asked for again under the list.  Pure: what it needs comes through
 * struct world.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "policyd.h"

/* Put one target at the end, unless it is to be left out. */
static void
add_target(struct route_targets *targets, enum target_place place,
    const char *text, uint32_t *skip)
{
	struct w_target head = { 0 };
	size_t length = strlen(text) + 1, needed;

	if (*skip > 0) {
		(*skip)--;
		return;
	}
	if (targets->count == WIRE_TARGETS) {
		targets->more = true;
		return;
	}
	needed = targets->length + sizeof(head) + length;
	if (needed > targets->room) {
		targets->room = 2 * needed;
		targets->octets = realloc(targets->octets, targets->room);
		if (targets->octets == NULL)
			fatal("an answer");
	}
	head.kind = place;
	head.length = (uint32_t)length;
	memcpy(targets->octets + targets->length, &head, sizeof(head));
	memcpy(targets->octets + targets->length + sizeof(head), text,
	    length);
	targets->length = needed;
	targets->count++;
}

/* Is this word a name, rather than a section or a host? */
static bool
word_is_name(const struct walk *walk, const struct member *member)
{
	const char *word = member->target->text;

	if (member->alias)
		return true;
	return strchr(word, '.') == NULL &&
	    conf_section(walk->settings->conf, "pipe", word) == NULL &&
	    conf_section(walk->settings->conf, "relay", word) == NULL;
}

/* What a member of the list becomes; text holds WIRE_ADDRESS octets. */
static enum target_place
place_of(const struct walk *walk, const struct member *member, char *text)
{
	const struct target *target = member->target;
	struct address address;

	if (target->kind == TARGET_DOMAIN) {
		memset(&address, 0, sizeof(address));
		strlcpy(address.local, walk->user, sizeof(address.local));
		strlcpy(address.domain, target->text + 1,
		    sizeof(address.domain));
	} else if (target->kind == TARGET_ADDRESS) {
		if (address_parse(target->text, &address) != ADDRESS_OK)
			return TARGET_MEMBER;
	} else if (target->kind == TARGET_WORD &&
	    word_is_name(walk, member) &&
	    !walk_has_name(walk, target->text) &&
	    strlen(target->text) <= ADDRESS_LOCAL_MAX) {
		memset(&address, 0, sizeof(address));
		strlcpy(address.local, target->text, sizeof(address.local));
	} else
		return TARGET_MEMBER;
	(void)address_print(&address, text, WIRE_ADDRESS);
	return TARGET_ROUTED;
}

/* Lay the walk's list out. */
static void
lay_out(struct walk *walk, uint32_t skip, struct decision *decision,
    struct route_targets *targets)
{
	const struct member *member;
	char text[WIRE_ADDRESS];
	size_t i;

	for (i = 0; i < walk->member_count; i++) {
		member = &walk->members[i];
		if (place_of(walk, member, text) == TARGET_ROUTED)
			add_target(targets, TARGET_ROUTED, text, &skip);
		else if (strlen(member->target->text) < WIRE_TARGET)
			add_target(targets, TARGET_MEMBER,
			    member->target->text, &skip);
		else {
			decide_fault(walk, decision, FAULT_CONFIG, "%s:%d: a "
			    "target of more than %d octets", member->file,
			    member->line, WIRE_TARGET - 1);
			targets->count = 0;
			targets->length = 0;
			return;
		}
	}
}

/* The walk has come to something else than the list it once was. */
static void
supersede(struct walk *walk, const struct question *question,
    struct decision *decision, struct route_targets *targets)
{
	uint32_t skip = question->skip;

	if (decision->kind == ROUTE_LIST)
		lay_out(walk, skip, decision, targets);
	else
		add_target(targets, TARGET_ROUTED, question->address, &skip);
	if (decision->kind != ROUTE_DEFER)
		decision->kind = ROUTE_SUPERSEDED;
}

/* Follow the member of that text on from the list, if it is still there. */
static void
resolve_member(struct walk *walk, const struct question *question,
    struct decision *decision, struct route_targets *targets)
{
	struct member *members;
	size_t count, i;

	if (decision->kind == ROUTE_DEFER || decision->kind == ROUTE_UNKNOWN)
		return;
	if (decision->kind != ROUTE_LIST) {
		if (walk->last == NULL ||
		    strcmp(walk->last->text, question->target) != 0)
			supersede(walk, question, decision, targets);
		return;
	}
	for (i = 0; i < walk->member_count; i++)
		if (strcmp(walk->members[i].target->text,
		    question->target) == 0)
			break;
	if (i == walk->member_count) {
		supersede(walk, question, decision, targets);
		return;
	}
	members = walk_take_members(walk, &count);
	walk_member(walk, &members[i], decision);
	free(members);
	if (decision->kind == ROUTE_LIST)
		lay_out(walk, question->skip, decision, targets);
}

void
route_resolve(const struct world *world, const struct settings *settings,
    const struct question *question, struct decision *decision,
    struct route_targets *targets)
{
	struct address address;
	struct walk walk;
	enum address_result parsed;

	memset(targets, 0, sizeof(*targets));
	walk_start(&walk, world, settings, question->client->listener);
	parsed = address_parse(question->address, &address);
	if (parsed != ADDRESS_OK && parsed != ADDRESS_BARE) {
		decide_fault(&walk, decision, FAULT_USER, "no address");
		return;
	}
	walk_address(&walk, &address, decision);
	if (*question->target != '\0')
		resolve_member(&walk, question, decision, targets);
	else if (decision->kind == ROUTE_LIST)
		lay_out(&walk, question->skip, decision, targets);
	if (*question->sender == '\0')
		decision->owner[0] = '\0';
	walk_end(&walk);
}
