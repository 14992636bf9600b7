/*
 * The commands of a transaction, with the parameters of RFC 1870, 6152 and
 * 3461 where the server offers them.  Pure.
 */
#include <inttypes.h>
#include <string.h>

#include "relay.h"

/*
 * Why an address cannot stand in a command; NULL if it can.
 */
const char *
command_address_fault(const char *address)
{
	for (; *address != '\0'; address++)
		if (*address < ' ' || *address > '~')
			return "the address has an octet that SMTP "
			    "cannot carry";
	return NULL;
}

void
command_mail(struct evbuffer *out, const struct transaction *t,
    const struct offer *offer)
{
	evbuffer_add_printf(out, "MAIL FROM:<%s>", t->sender);
	if (offer->size)
		evbuffer_add_printf(out, " SIZE=%" PRIu64, t->size);
	if (offer->eightbit && t->body == BODY_8BITMIME)
		evbuffer_add_printf(out, " BODY=8BITMIME");
	if (offer->dsn && t->ret != RET_NONE)
		evbuffer_add_printf(out, " RET=%s",
		    t->ret == RET_FULL ? "FULL" : "HDRS");
	if (offer->dsn && t->envid[0] != '\0')
		evbuffer_add_printf(out, " ENVID=%s", t->envid);
	evbuffer_add(out, "\r\n", 2);
}

/* NOTIFY=, as RFC 3461 4.1 has it. */
static void
add_notify(struct evbuffer *out, uint32_t notify)
{
	static const struct {
		uint32_t	 bit;
		const char	*word;
	} words[] = {
		{ NOTIFY_SUCCESS, "SUCCESS" },
		{ NOTIFY_FAILURE, "FAILURE" },
		{ NOTIFY_DELAY, "DELAY" }
	};
	const char *separator = "=";
	size_t i;

	if ((notify & NOTIFY_NEVER) != 0) {
		evbuffer_add_printf(out, " NOTIFY=NEVER");
		return;
	}
	evbuffer_add_printf(out, " NOTIFY");
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if ((notify & words[i].bit) != 0) {
			evbuffer_add_printf(out, "%s%s", separator,
			    words[i].word);
			separator = ",";
		}
}

void
command_rcpt(struct evbuffer *out, const struct recipient *recipient,
    const struct offer *offer)
{
	evbuffer_add_printf(out, "RCPT TO:<%s>", recipient->address);
	if (offer->dsn && recipient->notify != 0)
		add_notify(out, recipient->notify);
	if (offer->dsn && recipient->orcpt[0] != '\0')
		evbuffer_add_printf(out, " ORCPT=%s", recipient->orcpt);
	evbuffer_add(out, "\r\n", 2);
}
