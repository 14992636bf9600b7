/*
 * Transactions on the submission socket: all recipients in as few as the
 * server's limit allows.
 */

#include <stdlib.h>
#include <string.h>

#include "ctl.h"

#define GROUP		50	/* RCPT commands that leave together */
#define WAIT		600000	/* milliseconds for any reply */

/* Keep what was answered about a recipient. */
static void
set_reply(struct recipient *recipient, const struct reply *reply)
{
	free(recipient->reply);
	recipient->code = reply->code;
	recipient->reply = strdup(reply->text);
}

/* The recipients from first on without a reply get this one. */
static void
set_replies(struct envelope *envelope, size_t first, const struct reply *reply)
{
	for (size_t i = first; i < envelope->count; i++)
		if (envelope->recipients[i].code == 0)
			set_reply(&envelope->recipients[i], reply);
}

static void
send_mail(struct smtp *smtp, const struct message *message,
    const struct envelope *envelope)
{
	char	size[40] = "", body[20] = "", ret[20] = "", envid[128] = "";

	if (smtp->size)
		snprintf(size, sizeof(size), " SIZE=%llu",
		    (unsigned long long)message_size(message));
	if (smtp->eight_bit && envelope->eight_bit)
		snprintf(body, sizeof(body), " BODY=8BITMIME");
	if (smtp->dsn && envelope->ret != NULL)
		snprintf(ret, sizeof(ret), " RET=%s", envelope->ret);
	if (smtp->dsn && envelope->envid != NULL)
		snprintf(envid, sizeof(envid), " ENVID=%s", envelope->envid);
	smtp_send(smtp, "MAIL FROM:<%s>%s%s%s%s", envelope->sender, size,
	    body, ret, envid);
}

static void
send_rcpt(struct smtp *smtp, const struct envelope *envelope,
    const struct recipient *recipient)
{
	const char	*notify = recipient->notify != NULL ?
			    recipient->notify : envelope->notify;
	bool		 has_notify = smtp->dsn && notify != NULL;
	bool		 has_orcpt = smtp->dsn && recipient->orcpt != NULL;

	smtp_send(smtp, "RCPT TO:<%s>%s%s%s%s", recipient->address,
	    has_notify ? " NOTIFY=" : "", has_notify ? notify : "",
	    has_orcpt ? " ORCPT=" : "", has_orcpt ? recipient->orcpt : "");
}

/* Too many for one transaction: RFC 5321 4.5.3.1.10. */
static bool
is_limit(const struct reply *reply)
{
	return reply->code == 452 && strncmp(reply->text, "4.5.3", 5) == 0;
}

/*
 * Name recipients from first on, until the server has enough.  *next is the
 * first that was not judged.  Returns how many were taken, -1 when the
 * connection is lost.
 */
static int
name_recipients(struct smtp *smtp, struct envelope *envelope, size_t first,
    size_t *next)
{
	struct reply	reply;
	size_t		last, i;
	bool		full = false;
	int		taken = 0;

	*next = first;
	while (!full && *next < envelope->count) {
		last = *next + GROUP < envelope->count ? *next + GROUP :
		    envelope->count;
		for (i = *next; i < last; i++)
			if (envelope->recipients[i].code == 0)
				send_rcpt(smtp, envelope,
				    &envelope->recipients[i]);
		for (i = *next; i < last; i++) {
			if (envelope->recipients[i].code != 0) {
				*next += !full;
				continue;
			}
			if (smtp_reply(smtp, &reply, WAIT) == 0)
				return -1;
			if (full || (is_limit(&reply) && taken > 0)) {
				full = true;
				continue;
			}
			set_reply(&envelope->recipients[i], &reply);
			taken += reply.code / 100 == 2;
			*next = i + 1;
		}
	}
	return taken;
}

/* Forget what was answered to these: no final answer ever came. */
static void
forget(struct envelope *envelope, size_t first, size_t next)
{
	for (size_t i = first; i < next; i++)
		if (envelope->recipients[i].code / 100 == 2)
			envelope->recipients[i].code = 0;
}

/* Send the message to those taken; they get what is answered to it. */
static int
send_message(struct smtp *smtp, const struct message *message,
    struct envelope *envelope, size_t first, size_t next)
{
	struct reply	reply;

	smtp_send(smtp, "DATA");
	if (smtp_reply(smtp, &reply, WAIT) == 354) {
		if (message_copy(message, FORM_SMTP, smtp_write, smtp) == -1 &&
		    !smtp->lost) {
			/* Our own file failed us: nothing may be taken. */
			smtp->lost = true;
			return -1;
		}
		smtp_write(smtp, ".\r\n", 3);
		smtp_reply(smtp, &reply, WAIT);
	} else if (reply.code / 100 < 4)
		smtp->lost = true;
	/* What was not sent whole was not taken, whatever it says. */
	if (reply.code == 0 || (smtp->lost && reply.code / 100 < 4))
		return -1;
	for (size_t i = first; i < next; i++)
		if (envelope->recipients[i].code / 100 == 2)
			set_reply(&envelope->recipients[i], &reply);
	return 0;
}

/* One transaction; *first moves to the recipient the next begins with. */
static int
transact(struct smtp *smtp, const struct message *message,
    struct envelope *envelope, size_t *first)
{
	struct reply	reply;
	size_t		next = *first;
	int		taken;

	send_mail(smtp, message, envelope);
	if (smtp_reply(smtp, &reply, WAIT) == 0)
		return -1;
	if (reply.code / 100 != 2) {
		set_replies(envelope, *first, &reply);
		*first = envelope->count;
		return 0;
	}
	taken = name_recipients(smtp, envelope, *first, &next);
	if (taken > 0)
		taken = send_message(smtp, message, envelope, *first, next);
	else if (taken == 0) {
		smtp_send(smtp, "RSET");
		if (smtp_reply(smtp, &reply, WAIT) == 0)
			return -1;
	}
	if (taken == -1) {
		forget(envelope, *first, next);
		return -1;
	}
	*first = next;
	return 0;
}

void
submit(const struct place *place, const struct message *message,
    struct envelope *envelope, bool verbose)
{
	struct smtp	smtp;
	size_t		first = 0;

	while (first < envelope->count &&
	    envelope->recipients[first].code != 0)
		first++;
	if (first == envelope->count ||
	    smtp_open(&smtp, place->submit, verbose) == -1)
		return;
	while (first < envelope->count)
		if (transact(&smtp, message, envelope, &first) == -1)
			break;
	smtp_close(&smtp);
}
