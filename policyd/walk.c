/*
 * The walk: from an address or name, line by line, to one end or to a list.
 *
 *	address -> line, name		at_address()
 *	name    -> line, alias, account	at_name()
 *	member  -> address, name, end	at_member()
 *
 * A walk goes on as long as there is one way; where there are several it ends
 * in ROUTE_LIST and its caller chooses.  Each address, and each name that a
 * line or alias was found for, goes on the path: an address that comes again
 * is a loop, a name that comes again means the account itself.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "policyd.h"

#define NOBODY	65534

enum next { NEXT_DONE, NEXT_ADDRESS, NEXT_NAME, NEXT_MEMBERS };

/* A user part with and without its extension. */
struct variants {
	char	full[ADDRESS_LOCAL_MAX + 1];
	char	base[ADDRESS_LOCAL_MAX + 1];
	char	extension[ADDRESS_LOCAL_MAX + 1];
	bool	two;			/* base differs from full */
};

static void
split(const struct walk *walk, const char *user, struct variants *v)
{
	strlcpy(v->full, user, sizeof(v->full));
	address_split(v->full, walk->settings->separators, v->base,
	    v->extension);
	v->two = strcmp(v->full, v->base) != 0;
}

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

/* ---- the path ---- */

static bool
on_path(const struct walk *walk, const char *text, bool name)
{
	size_t i;

	for (i = 0; i < walk->depth; i++)
		if (walk->path[i].name == name &&
		    strcasecmp(walk->path[i].text, text) == 0)
			return true;
	return false;
}

/* Put it on the path.  Returns 0, or -1 if the path is too long. */
static int
push(struct walk *walk, const char *text, bool name,
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

	split(walk, name, &v);
	return on_path(walk, v.full, true) || on_path(walk, v.base, true);
}

/* ---- left sides ---- */

/* Ask the listener's tables in order, then the unnamed one. */
static enum find
find_line(const struct walk *walk, const char *left, const struct line **line)
{
	const struct listener *listener = walk->listener;
	const struct world *world = walk->world;
	enum find found;
	size_t i;

	for (i = 0; listener != NULL && i < listener->table_count; i++) {
		found = world->line(world->context, listener->tables[i], left,
		    line);
		if (found != FIND_NONE)
			return found;
	}
	return world->line(world->context, "", left, line);
}

static enum find
find_domain(const struct walk *walk, const char *domain)
{
	const struct listener *listener = walk->listener;
	const struct world *world = walk->world;
	enum find found;
	size_t i;

	for (i = 0; listener != NULL && i < listener->table_count; i++) {
		found = world->domain(world->context, listener->tables[i],
		    domain);
		if (found != FIND_NONE)
			return found;
	}
	return world->domain(world->context, "", domain);
}

/* Go where the line of this left side leads, if there is one. */
static enum find
try_left(struct walk *walk, const char *left, struct decision *decision)
{
	const struct line *line;

	switch (find_line(walk, left, &line)) {
	case FIND_NONE:
		walk_trace(walk, "%s: no such left side", left);
		return FIND_NONE;
	case FIND_FAILED:
		decide_fault(walk, decision, FAULT_LOOKUP, "%s",
		    walk->world->failure(walk->world->context));
		return FIND_FAILED;
	case FIND_HIT:
		break;
	}
	members_of_line(walk, line);
	walk_trace(walk, "%s: %s", left, walk->where);
	if (line->count > 0)
		return FIND_HIT;
	decide_fault(walk, decision, FAULT_CONFIG, "the line %s has a mistake",
	    walk->where);
	return FIND_FAILED;
}

/* What a domain is by the first target of its own line. */
static enum domain_class
class_by_line(const struct walk *walk, const struct line *line)
{
	const struct target *target = line->targets;

	if (line->count == 0)
		return DOMAIN_LISTED;
	switch (target->call) {
	case CALL_LOCAL:
		return DOMAIN_LOCAL;
	case CALL_RELAY:
	case CALL_LMTP:
		return DOMAIN_RELAYED;
	default:
		break;
	}
	if (target->kind != TARGET_WORD ||
	    conf_section(walk->settings->conf, "pipe", target->text) != NULL)
		return DOMAIN_LISTED;
	if (conf_section(walk->settings->conf, "relay", target->text) !=
	    NULL || strchr(target->text, '.') != NULL)
		return DOMAIN_RELAYED;
	return DOMAIN_LISTED;
}

enum domain_class
walk_class(struct walk *walk, const char *domain)
{
	char left[ADDRESS_DOMAIN_MAX + 2];
	const struct line *line;

	if (settings_is_local(walk->settings, domain))
		return DOMAIN_LOCAL;
	(void)snprintf(left, sizeof(left), "@%s", domain);
	switch (find_line(walk, left, &line)) {
	case FIND_HIT:
		return class_by_line(walk, line);
	case FIND_FAILED:
		return DOMAIN_UNSURE;
	case FIND_NONE:
		break;
	}
	switch (find_domain(walk, domain)) {
	case FIND_HIT:
		return DOMAIN_LISTED;
	case FIND_FAILED:
		return DOMAIN_UNSURE;
	case FIND_NONE:
		break;
	}
	return DOMAIN_FOREIGN;
}

/* ---- an address ---- */

/* Try steps 1 to 4 and tell at which one a line was found. */
static enum find
try_steps(struct walk *walk, const struct variants *v,
    enum domain_class class, enum step *step, struct decision *decision)
{
	char left[WIRE_ADDRESS];
	const char *domain = walk->here.domain;
	const struct {
		enum step	 step;
		bool		 asked;
		const char	*user;
		const char	*domain;
	} order[] = {
		{ STEP_EXACT,	class != DOMAIN_FOREIGN, v->full, domain },
		{ STEP_BASE,	v->two && class != DOMAIN_FOREIGN,
		    v->base,	domain },
		{ STEP_USER,	class == DOMAIN_LOCAL ||
		    class == DOMAIN_LISTED,	v->full,	"" },
		{ STEP_USER,	v->two && (class == DOMAIN_LOCAL ||
		    class == DOMAIN_LISTED),	v->base,	"" },
		{ STEP_DOMAIN,	class != DOMAIN_FOREIGN, "",	domain }
	};
	enum find found;
	size_t i;

	for (i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (!order[i].asked)
			continue;
		(void)snprintf(left, sizeof(left), "%s@%s", order[i].user,
		    order[i].domain);
		found = try_left(walk, left, decision);
		if (found != FIND_NONE) {
			*step = order[i].step;
			return found;
		}
	}
	return FIND_NONE;
}

/* Steps 5 and 6: the name, postmaster, everything else. */
static enum next
at_rest(struct walk *walk, enum domain_class class, enum step *step,
    struct decision *decision)
{
	if (class == DOMAIN_LOCAL || (class == DOMAIN_LISTED &&
	    strcasecmp(walk->user, "postmaster") == 0)) {
		*step = STEP_NAME;
		strlcpy(walk->next_name, walk->user, sizeof(walk->next_name));
		return NEXT_NAME;
	}
	*step = STEP_DEFAULT;
	switch (try_left(walk, "@", decision)) {
	case FIND_HIT:
		return NEXT_MEMBERS;
	case FIND_FAILED:
		return NEXT_DONE;
	case FIND_NONE:
		break;
	}
	*step = STEP_NONE;
	if (class == DOMAIN_LISTED)
		decide_fault(walk, decision, FAULT_USER, "no such recipient");
	else
		decide_fault(walk, decision, FAULT_DOMAIN, "no route leads to "
		    "%s", walk->here.domain);
	return NEXT_DONE;
}

static const char *
class_name(enum domain_class class)
{
	static const char *const names[] = {
		[DOMAIN_FOREIGN] = "not served here",
		[DOMAIN_LOCAL] = "local",
		[DOMAIN_RELAYED] = "relayed",
		[DOMAIN_LISTED] = "listed",
		[DOMAIN_UNSURE] = "not known now"
	};

	return names[class];
}

static enum next
at_address(struct walk *walk, struct decision *decision)
{
	bool first = walk->depth == 0;
	enum domain_class class;
	enum step step = STEP_NONE;
	enum next next = NEXT_DONE;
	struct variants v;

	walk->here = walk->next_address;
	walk->from_member = false;
	strlcpy(walk->user, walk->here.local, sizeof(walk->user));
	(void)address_print(&walk->here, walk->under, sizeof(walk->under));
	if (on_path(walk, walk->under, false)) {
		decide_fault(walk, decision, FAULT_LOOP, "<%s> leads back to "
		    "itself", walk->under);
		return NEXT_DONE;
	}
	if (push(walk, walk->under, false, decision) == -1)
		return NEXT_DONE;
	class = walk_class(walk, walk->here.domain);
	walk_trace(walk, "address <%s>, domain %s", walk->under,
	    class_name(class));
	split(walk, walk->user, &v);
	if (class == DOMAIN_UNSURE)
		decide_fault(walk, decision, FAULT_LOOKUP, "%s",
		    walk->world->failure(walk->world->context));
	else switch (try_steps(walk, &v, class, &step, decision)) {
	case FIND_HIT:
		next = NEXT_MEMBERS;
		break;
	case FIND_FAILED:
		break;
	case FIND_NONE:
		next = at_rest(walk, class, &step, decision);
		break;
	}
	if (first) {
		walk->first_step = step;
		walk->first_class = class;
	}
	return next;
}

/* ---- an account ---- */

/* Is this an account for people? */
static bool
is_system(const struct walk *walk, const struct who *who)
{
	return who->uid == 0 || who->uid < walk->settings->min_uid ||
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

	if (walk->strange && !walk->passed_line && !is_role(v->base) &&
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
	if (push(walk, v->base, true, decision) == -1)
		return NEXT_DONE;
	walk_trace(walk, "%s means root", v->base);
	strlcpy(walk->next_name, "root", sizeof(walk->next_name));
	return NEXT_NAME;
}

/*
 * The account of a user part, by the default local mailer or by a [pipe].
 * again: the name was on the path, so that it must be an account.
 */
static enum next
at_account(struct walk *walk, const struct variants *v, bool again,
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
		found = try_left(walk, name, decision);
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
	if (found == FIND_HIT && push(walk, name, true, decision) == -1)
		found = FIND_FAILED;
	return found;
}

static enum next
at_name(struct walk *walk, struct decision *decision)
{
	struct variants v;
	enum find found;
	int round;

	strlcpy(walk->user, walk->next_name, sizeof(walk->user));
	if (walk->from_member)
		strlcpy(walk->under, walk->user, sizeof(walk->under));
	walk_trace(walk, "name %s", walk->user);
	split(walk, walk->user, &v);
	if (walk_has_name(walk, walk->user)) {
		walk_trace(walk, "%s again: the account itself", walk->user);
		return at_account(walk, &v, true, NULL, decision);
	}
	for (round = 0; round < 4; round++) {
		if (round % 2 == 1 && !v.two)
			continue;
		found = try_name(walk, round % 2 == 1 ? v.base : v.full,
		    round >= 2, decision);
		if (found != FIND_NONE)
			return found == FIND_HIT ? NEXT_MEMBERS : NEXT_DONE;
	}
	return at_account(walk, &v, false, NULL, decision);
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
		split(walk, walk->user, &v);
		return at_account(walk, &v, false, section, decision);
	}
	if (section != NULL) {
		decide_pipe(walk, decision, section, NULL, "");
		return NEXT_DONE;
	}
	if (conf_section(walk->settings->conf, "relay", word) != NULL) {
		decide_relay(walk, decision, word);
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

static enum next
at_member(struct walk *walk, const struct member *member,
    struct decision *decision)
{
	const struct target *target = member->target;
	struct variants v;

	walk->last = target;
	walk->passed_line = true;
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
		split(walk, target->argument, &v);
		return at_account(walk, &v, false, NULL, decision);
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
			next = at_address(walk, decision);
			continue;
		}
		if (next == NEXT_NAME) {
			next = at_name(walk, decision);
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
	mark->passed_line = walk->passed_line;
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
	walk->passed_line = mark->passed_line;
	walk->used_root_mail = mark->used_root_mail;
}
