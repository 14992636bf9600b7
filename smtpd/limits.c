/*
 * How many sessions each client network has with this worker.  Owns the
 * counts; who is counted at all is the caller's decision.
 */
#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "smtpd.h"

#define BUCKETS	1024		/* a power of two */

struct network {
	LIST_ENTRY(network) entry;
	struct netaddr	address;	/* bits behind the prefix are 0 */
	int64_t		sessions;
};

static LIST_HEAD(, network) buckets[BUCKETS];

/* The network an address is in. */
static struct netaddr
network_of(const struct netaddr *address, uint8_t prefix)
{
	struct netaddr network = *address;
	size_t i, size = address->family == 4 ? 4 : 16;

	for (i = 0; i < sizeof(network.octets); i++) {
		if (i >= size || 8 * i >= prefix)
			network.octets[i] = 0;
		else if (8 * (i + 1) > prefix)
			network.octets[i] &= (uint8_t)(0xff00 >>
			    (prefix - 8 * i));
	}
	return network;
}

static struct network *
find(const struct netaddr *address, size_t *bucket)
{
	struct network *found;
	uint32_t hash = 2166136261U;	/* FNV-1a */
	size_t i;

	for (i = 0; i < sizeof(address->octets); i++)
		hash = (hash ^ address->octets[i]) * 16777619U;
	*bucket = hash & (BUCKETS - 1);
	LIST_FOREACH(found, &buckets[*bucket], entry)
		if (found->address.family == address->family &&
		    memcmp(found->address.octets, address->octets,
		    sizeof(address->octets)) == 0)
			break;
	return found;
}

int
limits_enter(const struct netaddr *address, uint8_t prefix, int64_t limit)
{
	struct netaddr masked = network_of(address, prefix);
	size_t bucket;
	struct network *network = find(&masked, &bucket);

	if (network == NULL) {
		if ((network = calloc(1, sizeof(*network))) == NULL)
			fatal("network");
		network->address = masked;
		LIST_INSERT_HEAD(&buckets[bucket], network, entry);
	}
	if (limit > 0 && network->sessions >= limit)
		return -1;
	network->sessions++;
	return 0;
}

void
limits_leave(const struct netaddr *address, uint8_t prefix)
{
	struct netaddr masked = network_of(address, prefix);
	size_t bucket;
	struct network *network = find(&masked, &bucket);

	if (network == NULL || --network->sessions > 0)
		return;
	LIST_REMOVE(network, entry);
	free(network);
}
