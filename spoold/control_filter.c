/*
 * Which messages and recipients a filter means, for lists and for actions
 * alike.  Rows are those that SQL_RECIPIENT_OF stands at.  Pure but for the
 * window, which says what is being delivered at the moment.
 */
#include <string.h>
#include <strings.h>

#include "spoold.h"

#define ROWS	SQL_RECIPIENT_OF

/* Does it ask for anything but states and ages, which everybody may see? */
bool
filter_is_private(const struct w_ctl_filter *filter)
{
	return filter->sender[0] != '\0' || filter->recipient[0] != '\0' ||
	    filter->domain[0] != '\0' || filter->reason[0] != '\0';
}

bool
filter_is_empty(const struct w_ctl_filter *filter)
{
	return filter->states == 0 && filter->older == 0 &&
	    !filter_is_private(filter);
}

/* An address equals the wanted one, or is in the wanted @domain. */
static bool
is_address(const char *wanted, const char *address)
{
	const char	*at;

	if (wanted[0] != '@')
		return strcasecmp(wanted, address) == 0;
	at = strrchr(address, '@');
	return at != NULL && strcasecmp(wanted, at) == 0;
}

/* Is the address in the domain? */
static bool
is_in_domain(const char *domain, const char *address)
{
	const char	*at = strrchr(address, '@');

	return at != NULL && strcasecmp(domain, at + 1) == 0;
}

/* Does a lane wait for the mail exchangers of the domain? */
static bool
is_lane_of(const char *lane, const char *domain)
{
	size_t	 length = strlen(domain);

	return strncasecmp(lane, domain, length) == 0 &&
	    strncmp(lane + length, " by ", 4) == 0;
}

/* What the message itself must be; <> is the null sender. */
bool
filter_wants_message(const struct w_ctl_filter *filter,
    const struct message *message, int64_t now)
{
	if (filter->older > 0 && now - message->arrival < filter->older)
		return false;
	if (filter->sender[0] == '\0')
		return true;
	if (strcmp(filter->sender, "<>") == 0)
		return message->sender[0] == '\0';
	return is_address(filter->sender, message->sender);
}

/*
 * The state, as the operator knows it, of the row that the statement stands
 * at; 0 if it no longer waits.
 */
uint32_t
filter_state_of_row(uint64_t id)
{
	int64_t	 stored = db_integer(ROWS, 2);

	if (stored == STORED_HELD)
		return CTL_HELD;
	if (stored != STORED_NEW && stored != STORED_DEFERRED)
		return 0;
	return queue_find_recipient(id, (uint32_t)db_integer(ROWS, 1)) !=
	    NULL ? CTL_ACTIVE : CTL_DEFERRED;
}

/* And what a row of it: address, what it is a target of, original; reason. */
bool
filter_wants_row(const struct w_ctl_filter *filter, uint32_t state)
{
	static const int	 columns[] = { 12, 13, 14 };
	bool			 recipient = filter->recipient[0] == '\0';
	bool			 domain = filter->domain[0] == '\0';
	const char		*address;
	size_t			 i;

	if (state == 0 ||
	    (filter->states != 0 && (filter->states & state) == 0))
		return false;
	for (i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		address = db_text(ROWS, columns[i]);
		recipient = recipient ||
		    is_address(filter->recipient, address);
		domain = domain || is_in_domain(filter->domain, address);
	}
	if (!domain && !db_is_null(ROWS, 18))
		domain = is_lane_of(db_text(ROWS, 18), filter->domain);
	return recipient && domain && (filter->reason[0] == '\0' ||
	    strcasestr(db_text(ROWS, 21), filter->reason) != NULL);
}
