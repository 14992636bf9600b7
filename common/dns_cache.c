/*
 * Answers of the DNS that are kept: so many, and so many octets of them; the
 * one that came first goes first.  Knows no clock: the time is an argument.
 */
#include <sys/queue.h>
#include <sys/tree.h>

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "dns_cache.h"
#include "log.h"

#define COUNT_MAX	4096
#define OCTETS_MAX	(16 * 1024 * 1024)

/* What the macros of <sys/tree.h> expect. */
#define __unused	__attribute__((__unused__))

struct kept {
	RB_ENTRY(kept)	 node;
	TAILQ_ENTRY(kept) entry;
	struct dns_found *found;
	enum dns_type	 type;
	char		 name[DNS_NAME];
};

static int
compare(struct kept *a, struct kept *b)
{
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	return strcmp(a->name, b->name);
}

RB_HEAD(kept_tree, kept);
RB_GENERATE_STATIC(kept_tree, kept, node, compare)

static struct {
	struct kept_tree tree;
	TAILQ_HEAD(, kept) list;	/* the oldest first */
	size_t		 count;
	size_t		 octets;
} cache = {
	.tree = RB_INITIALIZER(&cache.tree),
	.list = TAILQ_HEAD_INITIALIZER(cache.list)
};

static struct kept *
find(const char *name, enum dns_type type)
{
	struct kept key;

	key.type = type;
	strlcpy(key.name, name, sizeof(key.name));
	return RB_FIND(kept_tree, &cache.tree, &key);
}

static size_t
octets(const struct kept *kept)
{
	return sizeof(*kept) + kept->found->size;
}

static void
drop(struct kept *kept)
{
	RB_REMOVE(kept_tree, &cache.tree, kept);
	TAILQ_REMOVE(&cache.list, kept, entry);
	cache.count--;
	cache.octets -= octets(kept);
	dns_found_free(kept->found);
	free(kept);
}

static int64_t
lifetime(const struct dns_found *found)
{
	int64_t told = found->ttl * SECOND;

	if (told < DNS_LIFETIME_LEAST)
		return DNS_LIFETIME_LEAST;
	return told < DNS_LIFETIME_MOST ? told : DNS_LIFETIME_MOST;
}

void
dns_cache_put(const char *name, enum dns_type type, struct dns_found *found,
    int64_t now)
{
	struct kept *kept;

	if (found->result == DNS_FAILED) {
		found->expires = now;
		return;
	}
	found->expires = now + lifetime(found);
	if ((kept = find(name, type)) != NULL)
		drop(kept);
	if ((kept = calloc(1, sizeof(*kept))) == NULL)
		fatal("calloc");
	kept->type = type;
	kept->found = dns_found_hold(found);
	strlcpy(kept->name, name, sizeof(kept->name));
	RB_INSERT(kept_tree, &cache.tree, kept);
	TAILQ_INSERT_TAIL(&cache.list, kept, entry);
	cache.count++;
	cache.octets += octets(kept);
	while (cache.count > COUNT_MAX || cache.octets > OCTETS_MAX)
		drop(TAILQ_FIRST(&cache.list));
}

struct dns_found *
dns_cache_get(const char *name, enum dns_type type, int64_t now)
{
	struct kept *kept = find(name, type);

	if (kept == NULL)
		return NULL;
	if (kept->found->expires > now)
		return kept->found;
	drop(kept);
	return NULL;
}

size_t
dns_cache_count(size_t *size)
{
	*size = cache.octets;
	return cache.count;
}
