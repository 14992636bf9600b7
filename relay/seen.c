/*
 * What the last search for a hop has come by: hosts, their endpoints, or why
 * there was none.  As long as the DNS vouches for it, a conversation that
 * rests at one of them serves the hop without another search.
 */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "relay.h"

#define BELIEVED	(5 * MINUTE)	/* at most, whatever the DNS says */

void
seen_forget(struct seen *seen)
{
	while (seen->count > 0) {
		seen->count--;
		endpoint_release(seen->list[seen->count].endpoint);
		free(seen->list[seen->count].host);
		free(seen->list[seen->count].fault);
	}
	seen->until = 0;
}

static bool
is_there(const struct seen *seen, const struct host *host,
    const struct endpoint *endpoint)
{
	size_t i;

	for (i = 0; i < seen->count; i++)
		if (seen->list[i].endpoint == endpoint &&
		    (endpoint != NULL ||
		    strcmp(seen->list[i].host, host->name) == 0))
			return true;
	return false;
}

static char *
copy(const char *text)
{
	char *s = strdup(text);

	if (s == NULL)
		fatal("strdup");
	return s;
}

void
seen_add(struct seen *seen, const struct host *host,
    struct endpoint *endpoint, const struct reply *fault)
{
	if (seen->count == SEEN_MAX || is_there(seen, host, endpoint))
		return;
	seen->list[seen->count].host = copy(host->name);
	seen->list[seen->count].preference = host->preference;
	seen->list[seen->count].endpoint = endpoint;
	seen->list[seen->count++].fault = fault != NULL ? copy(fault->text) :
	    NULL;
	if (endpoint != NULL)
		endpoint_hold(endpoint);
}

void
seen_believe(struct seen *seen, int64_t lifetime)
{
	seen->until = clock_monotonic() + (lifetime < BELIEVED ? lifetime :
	    BELIEVED);
}

struct conversation *
seen_take(struct seen *seen)
{
	struct conversation *c;
	size_t i;

	if (seen->count == 0 || seen->until < clock_monotonic())
		return NULL;
	for (i = 0; i < seen->count; i++)
		if (seen->list[i].endpoint != NULL &&
		    endpoint_has_room(seen->list[i].endpoint, NULL) &&
		    (c = endpoint_take(seen->list[i].endpoint)) != NULL)
			return c;
	return NULL;
}

void
host_print(const char *name, unsigned int preference, FILE *out)
{
	fprintf(out, "host %s", name);
	if (preference != 0)
		fprintf(out, " preference %u", preference);
	fprintf(out, "\n");
}

void
seen_print(const struct seen *seen, FILE *out)
{
	const char *host = "";
	size_t i;

	for (i = 0; i < seen->count; i++) {
		if (strcmp(host, seen->list[i].host) != 0)
			host_print(seen->list[i].host,
			    seen->list[i].preference, out);
		host = seen->list[i].host;
		if (seen->list[i].endpoint != NULL)
			endpoint_print(seen->list[i].endpoint, out);
		else
			fprintf(out, "  not usable: %s\n",
			    seen->list[i].fault);
	}
}
