/*
 * Which messages a command line of postctl means: ids, states, a filter.
 */

#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "ctl.h"
#include "queueid.h"

/* Copy a word; -1 if it does not fit.  None is "". */
int
choice_copy(char *to, size_t size, const char *word)
{
	to[0] = '\0';
	if (word == NULL)
		return 0;
	if (strlen(word) >= size) {
		warnx("%.40s...: that is too long", word);
		return -1;
	}
	memcpy(to, word, strlen(word) + 1);
	return 0;
}

/* Add the state a word names; -1 if it names none. */
int
choice_state(const char *word, uint32_t *states)
{
	static const struct {
		const char	*name;
		uint32_t	 state;
	} names[] = {
		{ "deferred", CTL_DEFERRED },
		{ "active", CTL_ACTIVE },
		{ "held", CTL_HELD },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i].name, word) == 0) {
			*states |= names[i].state;
			return 0;
		}
	return -1;
}

/* A duration as the configuration writes it: seconds, or with s m h d. */
int
choice_duration(const char *text, int64_t *amount)
{
	static const struct {
		char	unit;
		int64_t	length;
	} units[] = { { '\0', SECOND }, { 's', SECOND }, { 'm', MINUTE },
	    { 'h', HOUR }, { 'd', DAY } };
	char	*end;
	long	 value = strtol(text, &end, 10);

	if (end != text && value >= 1 && value <= 100000000)
		for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
			if (*end == units[i].unit &&
			    (*end == '\0' || end[1] == '\0')) {
				*amount = value * units[i].length;
				return 0;
			}
	warnx("%s is no duration: 90s, 15m, 4h, 5d", text);
	return -1;
}

int
choice_id(const char *word, uint64_t *id)
{
	if (queueid_parse(word, id) == 0 && *id != 0)
		return 0;
	warnx("%s is no queue id", word);
	return -1;
}

/* What the options choose; -1, said why, if that is nothing. */
int
choice_filter(const struct request *request, struct w_ctl_filter *filter)
{
	const char	*domain = request->domain;

	if (domain != NULL && *domain == '@')
		domain++;
	if (choice_copy(filter->sender, sizeof(filter->sender),
	    request->sender) == -1 ||
	    choice_copy(filter->recipient, sizeof(filter->recipient),
	    request->recipient) == -1 ||
	    choice_copy(filter->domain, sizeof(filter->domain),
	    domain) == -1 ||
	    choice_copy(filter->reason, sizeof(filter->reason),
	    request->reason) == -1)
		return -1;
	return request->older == NULL ? 0 :
	    choice_duration(request->older, &filter->older);
}
