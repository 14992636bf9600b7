/*
 * The commands of a transaction, with the parameters of RFC 1870, 3461, 6152
 * and 6531 where the server offers them.  Pure.
 */
#include <inttypes.h>
#include <string.h>

#include "relay.h"

/* Octets of the character of UTF-8 that begins here, 0 if none does. */
static size_t
character(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t n, i;

	if (*p < 0x80)
		return 1;
	n = *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;
	if (*p < 0xc2 || *p > 0xf4)
		return 0;
	for (i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	/* Longer than need be, surrogates, beyond the last; C1 controls. */
	if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) ||
	    (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f) ||
	    (*p == 0xc2 && p[1] < 0xa0))
		return 0;
	return n;
}

/*
 * Does it take SMTPUTF8 to carry this address?
 */
bool
command_is_international(const char *address)
{
	for (; *address != '\0'; address++)
		if ((unsigned char)*address >= 0x80)
			return true;
	return false;
}

/*
 * Why an address cannot stand in a command, with SMTPUTF8 or without; NULL
 * if it can.
 */
const char *
command_address_fault(const char *address, bool international)
{
	bool quoted = false;
	size_t n;

	for (; *address != '\0'; address += n) {
		n = character(address);
		if (n == 0 || *address == '\x7f' ||
		    (n == 1 && *address < ' '))
			return "has an octet that SMTP cannot carry";
		if (n > 1 && !international)
			return "needs SMTPUTF8, which is not offered";
		if (!quoted && strchr("<> ", *address) != NULL)
			return "is malformed";
		if (*address == '"')
			quoted = !quoted;
		else if (quoted && *address == '\\' &&
		    address[1] >= ' ' && address[1] <= '~')
			n = 2;
	}
	return quoted ? "is malformed" : NULL;
}

/*
 * Can this value of a parameter stand in a command?
 */
bool
command_parameter_fits(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

static bool
is_international(const struct transaction *t)
{
	size_t i;

	for (i = 0; i < t->count; i++)
		if (command_is_international(t->recipients[i].address))
			return true;
	return command_is_international(t->sender);
}

void
command_mail(struct evbuffer *out, const struct transaction *t,
    const struct offer *offer)
{
	evbuffer_add_printf(out, "MAIL FROM:<%s>", t->sender);
	if (offer->size && t->size > 0)
		evbuffer_add_printf(out, " SIZE=%" PRIu64, t->size);
	if (offer->eightbit && t->body == BODY_8BITMIME)
		evbuffer_add_printf(out, " BODY=8BITMIME");
	if (offer->smtputf8 && is_international(t))
		evbuffer_add_printf(out, " SMTPUTF8");
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
