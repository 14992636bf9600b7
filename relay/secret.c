/*
 * Logins for next hops, as the file of secrets has them.  They are read once,
 * before the jail, and stay as long as this process lives.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "log.h"
#include "relay.h"
#include "secretfile.h"

static struct {
	struct secret	*list;		/* sorted by key, then sender */
	size_t		 count;
	size_t		 size;
	const char	**senders;	/* of list, sorted; "" is not there */
	size_t		 sender_count;
	bool		 refused;
} secrets;

/* ---- order ---- */

static int
compare(const void *a, const void *b)
{
	const struct secret *one = a, *other = b;
	int order = strcasecmp(one->key, other->key);

	return order != 0 ? order : strcasecmp(one->sender, other->sender);
}

static int
compare_senders(const void *a, const void *b)
{
	const char *const *one = a, *const *other = b;

	return strcasecmp(*one, *other);
}

/* ---- reading ---- */

static char *
copy(const char *text)
{
	char *copied = strdup(text);

	if (copied == NULL)
		fatal("secrets");
	return copied;
}

static void
add(const struct secretfile_entry *entry, void *arg)
{
	struct secret *secret;

	(void)arg;
	if (secrets.count == secrets.size) {
		secrets.size = secrets.size > 0 ? secrets.size * 2 : 16;
		secrets.list = reallocarray(secrets.list, secrets.size,
		    sizeof(*secrets.list));
		if (secrets.list == NULL)
			fatal("secrets");
	}
	secret = &secrets.list[secrets.count++];
	secret->key = copy(entry->key);
	secret->sender = copy(entry->sender);
	secret->login = copy(entry->login);
	secret->password = copy(entry->password);
}

/* List the senders that have logins of their own, each once. */
static void
list_senders(void)
{
	size_t i, count = 0;

	secrets.senders = calloc(secrets.count + 1, sizeof(*secrets.senders));
	if (secrets.senders == NULL)
		fatal("secrets");
	for (i = 0; i < secrets.count; i++)
		if (*secrets.list[i].sender != '\0')
			secrets.senders[count++] = secrets.list[i].sender;
	if (count > 0)
		qsort(secrets.senders, count, sizeof(*secrets.senders),
		    compare_senders);
	for (i = 0; i < count; i++)
		if (secrets.sender_count == 0 ||
		    compare_senders(&secrets.senders[i],
		    &secrets.senders[secrets.sender_count - 1]) != 0)
			secrets.senders[secrets.sender_count++] =
			    secrets.senders[i];
}

int
secrets_read(const char *text, size_t length, FILE *complaints)
{
	int wrong;

	wrong = secretfile_read("secrets", text, length, add, NULL,
	    complaints);
	if (secrets.count > 0)
		qsort(secrets.list, secrets.count, sizeof(*secrets.list),
		    compare);
	list_senders();
	return wrong;
}

/*
 * Take what postmaster hands over.  It has complained of wrong lines; NULL
 * is a file that cannot be used.
 */
void
secrets_take(struct child *child, const char *text, size_t length)
{
	(void)child;
	if (text == NULL)
		secrets.refused = true;
	else
		(void)secrets_read(text, length, NULL);
}

const char *
secrets_fault(void)
{
	return secrets.refused ? "the file of secrets cannot be used, and "
	    "there may be a login for it" : NULL;
}

/* ---- finding ---- */

/* The pattern as it stands in the file, NULL if it does not. */
static const char *
find_sender(const char *pattern)
{
	const char **found;

	if (secrets.sender_count == 0)
		return NULL;
	found = bsearch(&pattern, secrets.senders, secrets.sender_count,
	    sizeof(*secrets.senders), compare_senders);
	return found != NULL ? *found : NULL;
}

const char *
secret_class(const char *sender)
{
	const char *at = strrchr(sender, '@'), *pattern;

	if (at == NULL)
		return "";
	if ((pattern = find_sender(sender)) == NULL)
		pattern = find_sender(at);
	return pattern != NULL ? pattern : "";
}

static const struct secret *
find(const char *key, const char *sender)
{
	struct secret wanted = {
		.key = (char *)(uintptr_t)key,
		.sender = (char *)(uintptr_t)sender
	};

	if (secrets.count == 0)
		return NULL;
	return bsearch(&wanted, secrets.list, secrets.count,
	    sizeof(*secrets.list), compare);
}

const struct secret *
secret_find(const char *key, const char *class)
{
	const struct secret *secret = find(key, class);
	const char *at = strrchr(class, '@');

	/* The class may be another hop's; its domain may have one here. */
	if (secret == NULL && at != NULL && at != class)
		secret = find(key, at);
	if (secret == NULL && *class != '\0')
		secret = find(key, "");
	return secret;
}
