/*
 * Who sends to whom, from the command line and from the header, and what of
 * the header must not travel.
 */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ctl.h"
#include "log.h"

/* Add one address, once; wrong is what is known against it, or NULL. */
static void
add_recipient(struct envelope *envelope, const char *address,
    const char *wrong)
{
	struct recipient	*recipient, *bigger;

	/* \\joe is joe: whether to forward is decided where joe is known. */
	if (address[0] == '\\')
		address++;
	for (size_t i = 0; i < envelope->count; i++)
		if (strcasecmp(envelope->recipients[i].address, address) == 0)
			return;
	bigger = reallocarray(envelope->recipients, envelope->count + 1,
	    sizeof(*bigger));
	if (bigger == NULL)
		fatal("recipients");
	envelope->recipients = bigger;
	recipient = &bigger[envelope->count++];
	memset(recipient, 0, sizeof(*recipient));
	recipient->code = wrong != NULL ? 553 : 0;
	recipient->reply = wrong != NULL ? strdup(wrong) : NULL;
	if ((recipient->address = strdup(address)) == NULL)
		fatal("recipients");
}

void
envelope_add(struct envelope *envelope, const char *text, size_t length)
{
	struct header_list	 list;
	struct header_mailbox	 mailbox;
	int			 more;

	header_list_begin(&list, text, length);
	while ((more = header_list_next(&list, &mailbox)) != 0)
		if (more == -1 || mailbox.address[0] != '\0')
			add_recipient(envelope, mailbox.address, more == -1 ?
			    "5.1.3 This is no address" : NULL);
}

void
envelope_free(struct envelope *envelope)
{
	for (size_t i = 0; i < envelope->count; i++) {
		free(envelope->recipients[i].address);
		free(envelope->recipients[i].reply);
		free(envelope->recipients[i].orcpt);
	}
	free(envelope->recipients);
	envelope->recipients = NULL;
	envelope->count = 0;
}

int
envelope_from_line(const char *line, char *sender, size_t size)
{
	const char	*user, *host, *bang;
	size_t		 user_length, host_length;

	user = line + (line[0] == '>') + strlen("From ");
	user_length = strcspn(user, " \t");
	if (user_length == 0)
		return -1;
	host = strstr(user, "remote from ");
	if (host == NULL || memchr(user, '@', user_length) != NULL) {
		snprintf(sender, size, "%.*s", (int)user_length, user);
		return 0;
	}
	host += strlen("remote from ");
	host_length = strcspn(host, " \t");
	/* Of a path a!b!user, the last host is where the user is. */
	if ((bang = memrchr(user, '!', user_length)) != NULL) {
		host = user;
		while (memchr(host, '!', bang - host) != NULL)
			host = strchr(host, '!') + 1;
		host_length = bang - host;
		user_length -= bang + 1 - user;
		user = bang + 1;
	}
	snprintf(sender, size, "%.*s@%.*s", (int)user_length, user,
	    (int)host_length, host);
	return 0;
}

/* Fields of a header that stand once in a block of Resent- fields. */
static const char *const resent_fields[] = { "Resent-From", "Resent-Sender",
	"Resent-Date", "Resent-Message-ID", "Resent-To", "Resent-Cc",
	"Resent-Bcc" };

#define RESENT_FIELDS	(sizeof(resent_fields) / sizeof(resent_fields[0]))
#define RESENT_TO	4		/* the first that names recipients */

/* Which of them is this?  RESENT_FIELDS: none. */
static size_t
resent_field(const struct header_field *field)
{
	size_t	i;

	for (i = 0; i < RESENT_FIELDS; i++)
		if (header_is(field, resent_fields[i]))
			break;
	return i;
}

/*
 * Add what the newest block of Resent- fields names.  Blocks are put before
 * older ones; a block ends where a transport has signed, or one of its fields
 * stands again.  Returns whether there is one.
 */
static bool
add_resent(struct envelope *envelope, const struct message *message)
{
	struct header_field	 field;
	const char		*at = message->header;
	size_t			 length = message->header_length, which;
	bool			 seen[RESENT_FIELDS] = { false };
	bool			 found = false;

	while (header_next(&at, &length, &field) == 1) {
		which = resent_field(&field);
		if (which < RESENT_FIELDS) {
			if (seen[which])
				break;
			seen[which] = true;
			found = true;
			if (which >= RESENT_TO)
				envelope_add(envelope, field.value,
				    field.value_length);
		} else if (found && (header_is(&field, "Received") ||
		    header_is(&field, "Return-Path")))
			break;
	}
	return found;
}

void
envelope_from_header(struct envelope *envelope, const struct message *message)
{
	struct header_field	 field;
	const char		*at = message->header;
	size_t			 length = message->header_length;

	if (add_resent(envelope, message))
		return;
	while (header_next(&at, &length, &field) == 1)
		if (header_is(&field, "To") || header_is(&field, "Cc") ||
		    header_is(&field, "Bcc"))
			envelope_add(envelope, field.value,
			    field.value_length);
}

void
header_clean(struct message *message)
{
	static const char *const	unwanted[] = { "Bcc", "Resent-Bcc",
					    "Return-Path", "Content-Length" };
	struct header_field		 field;
	const char			*at = message->header;
	size_t				 length = message->header_length, i;
	char				*to = message->header;

	while (header_next(&at, &length, &field) == 1) {
		for (i = 0; i < sizeof(unwanted) / sizeof(unwanted[0]); i++)
			if (header_is(&field, unwanted[i]))
				break;
		if (i < sizeof(unwanted) / sizeof(unwanted[0]))
			continue;
		memmove(to, field.start, field.length);
		to += field.length;
	}
	*to = '\0';
	message->header_length = to - message->header;
}

void
header_complete(struct message *message, const char *name,
    const char *address)
{
	struct header_field	field;
	char			from[HEADER_ADDRESS + 1024];

	if (header_find(message->header, message->header_length, "From",
	    &field) == 0)
		return;
	identity_from(name, address, from, sizeof(from));
	message_header(message, from, strlen(from));
}
