/*
 * The walk at an address: which line is for it, by the order of look-up.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "policyd.h"

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

enum find
walk_try_left(struct walk *walk, const char *left, struct decision *decision)
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
	if (settings_hop(walk->settings, target->text) != NULL ||
	    strchr(target->text, '.') != NULL)
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
	/* Without a user these would be the left sides @domain and @. */
	bool any = *v->full != '\0';
	const struct {
		enum step	 step;
		bool		 asked;
		const char	*user;
		const char	*domain;
	} order[] = {
		{ STEP_EXACT,	any && class != DOMAIN_FOREIGN, v->full,
		    domain },
		{ STEP_BASE,	v->two && class != DOMAIN_FOREIGN,
		    v->base,	domain },
		{ STEP_USER,	any && (class == DOMAIN_LOCAL ||
		    class == DOMAIN_LISTED),	v->full,	"" },
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
		found = walk_try_left(walk, left, decision);
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
	switch (walk_try_left(walk, "@", decision)) {
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

enum next
walk_at_address(struct walk *walk, struct decision *decision)
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
	if (walk_on_path(walk, walk->under, false)) {
		decide_fault(walk, decision, FAULT_LOOP, "<%s> leads back to "
		    "itself", walk->under);
		return NEXT_DONE;
	}
	if (walk_push(walk, walk->under, false, decision) == -1)
		return NEXT_DONE;
	class = walk_class(walk, walk->here.domain);
	walk_trace(walk, "address <%s>, domain %s", walk->under,
	    class_name(class));
	walk_split(walk, walk->user, &v);
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
