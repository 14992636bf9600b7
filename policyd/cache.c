/*
 * Accounts, remembered: yes for a minute, no for ten seconds, all forgotten
 * when /etc/passwd changes.  "Not now" is never remembered.
 */
#include <sys/stat.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "policyd.h"

#define PASSWD		"/etc/passwd"
#define YES_FOR		(60 * SECOND)
#define NO_FOR		(10 * SECOND)
#define BUCKETS		1024
#define ENTRIES_MAX	20000

struct entry {
	struct entry	*next;
	int64_t		 until;
	enum account_result result;
	struct who	 who;
	char		 name[];
};

static struct {
	struct entry	*buckets[BUCKETS];
	size_t		 count;
	struct stat	 passwd;
	bool		 no_passwd;	/* then "no" is no answer */
	char		 failure[512];
	bool		 alone;		/* only this uid is known */
	uid_t		 uid;
} cache;

void
cache_only(uid_t uid)
{
	cache.alone = true;
	cache.uid = uid;
}

const char *
cache_failure(void)
{
	return cache.failure;
}

static void
clear(void)
{
	struct entry *entry;
	size_t i;

	for (i = 0; i < BUCKETS; i++)
		while ((entry = cache.buckets[i]) != NULL) {
			cache.buckets[i] = entry->next;
			free(entry);
		}
	cache.count = 0;
}

void
cache_tick(void)
{
	struct stat st;

	cache.no_passwd = stat(PASSWD, &st) == -1;
	if (cache.no_passwd)
		memset(&st, 0, sizeof(st));
	if (st.st_ino != cache.passwd.st_ino ||
	    st.st_size != cache.passwd.st_size ||
	    st.st_mtim.tv_sec != cache.passwd.st_mtim.tv_sec ||
	    st.st_mtim.tv_nsec != cache.passwd.st_mtim.tv_nsec)
		clear();
	cache.passwd = st;
}

static struct entry **
bucket_of(const char *name)
{
	return &cache.buckets[target_number(name) % BUCKETS];
}

static void
remember(const char *name, enum account_result result, const struct who *who)
{
	struct entry **bucket = bucket_of(name), *entry;
	size_t size = strlen(name) + 1;

	if (cache.count == ENTRIES_MAX)
		clear();
	if ((entry = malloc(sizeof(*entry) + size)) == NULL)
		return;
	memset(entry, 0, sizeof(*entry));
	memcpy(entry->name, name, size);
	entry->result = result;
	entry->until = clock_monotonic() +
	    (result == ACCOUNT_YES ? YES_FOR : NO_FOR);
	if (result == ACCOUNT_YES)
		entry->who = *who;
	entry->next = *bucket;
	*bucket = entry;
	cache.count++;
}

/* The entry that is still good; one that is not goes. */
static const struct entry *
recall(const char *name)
{
	struct entry **link, *entry;

	for (link = bucket_of(name); (entry = *link) != NULL;
	    link = &entry->next) {
		if (strcmp(entry->name, name) != 0)
			continue;
		if (entry->until > clock_monotonic())
			return entry;
		*link = entry->next;
		free(entry);
		cache.count--;
		return NULL;
	}
	return NULL;
}

/* Ask the system. */
static enum account_result
ask(const char *name, struct who *who)
{
	struct account account;
	enum account_result result;

	result = account_by_name(name, &account);
	if (result == ACCOUNT_NO && cache.no_passwd) {
		errno = ENOENT;
		result = ACCOUNT_FAILED;
	}
	if (result == ACCOUNT_FAILED) {
		(void)snprintf(cache.failure, sizeof(cache.failure),
		    "the account %s cannot be looked up: %s", name,
		    strerror(errno));
		return result;
	}
	if (result == ACCOUNT_NO)
		return result;
	memset(who, 0, sizeof(*who));
	strlcpy(who->name, account.name, sizeof(who->name));
	who->uid = account.uid;
	account_free(&account);
	return result;
}

enum account_result
cache_account(const char *name, struct who *who)
{
	const struct entry *entry = recall(name);
	enum account_result result;

	if (entry != NULL) {
		result = entry->result;
		if (result == ACCOUNT_YES)
			*who = entry->who;
	} else {
		result = ask(name, who);
		if (result != ACCOUNT_FAILED)
			remember(name, result, who);
	}
	if (result == ACCOUNT_YES && cache.alone && who->uid != cache.uid) {
		(void)snprintf(cache.failure, sizeof(cache.failure),
		    "started without root: no mail for %s", name);
		return ACCOUNT_FAILED;
	}
	return result;
}
