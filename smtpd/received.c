/*
 * The trace field that we put before every message: RFC 5321 4.4.  Pure.
 */
#include <stdio.h>
#include <string.h>

#include "address.h"
#include "clock.h"
#include "queueid.h"
#include "smtpd.h"

/* The client's address as a literal of RFC 5321 4.1.3. */
static void
print_literal(const struct w_client *client, char *text, size_t size)
{
	struct netaddr address = { .family = client->family };
	char number[NETADDR_TEXT];

	memcpy(address.octets, client->address, sizeof(address.octets));
	(void)snprintf(text, size, "[%s%s]",
	    client->family == 6 ? "IPv6:" : "",
	    netaddr_print(&address, number, sizeof(number)));
}

/* A greeting that is no domain may stand in a comment only. */
static void
print_comment(const char *helo, char *text, size_t size)
{
	size_t i;

	for (i = 0; helo[i] != '\0' && i + 1 < size; i++)
		text[i] = strchr("()\\", helo[i]) != NULL ? '?' : helo[i];
	text[i] = '\0';
}

static int
print_from(const struct w_client *client, char *text, size_t size)
{
	char literal[NETADDR_TEXT + 8], comment[WIRE_DOMAIN];

	print_literal(client, literal, sizeof(literal));
	if (address_is_domain(client->helo) || address_is_literal(client->helo))
		return snprintf(text, size, "Received: from %s (%s)\r\n\tby ",
		    client->helo, literal);
	print_comment(client->helo, comment, sizeof(comment));
	return snprintf(text, size, "Received: from %s (%s)\r\n\tby ",
	    literal, comment);
}

size_t
received_print(const struct trace *trace, char *text, size_t size)
{
	const struct w_client *client = trace->client;
	char id[QUEUEID_LENGTH + 1], date[40];
	int n;

	(void)queueid_print(trace->id, id);
	clock_date(trace->arrival, date, sizeof(date));
	if (client->standing == STANDING_LOCAL)
		n = snprintf(text, size, "Received: by %s (Postmaster, from "
		    "userid %u)\r\n\tid %s", trace->host, client->uid, id);
	else {
		n = print_from(client, text, size);
		n += snprintf(text + n, size - (size_t)n,
		    "%s (Postmaster) with %s id %s", trace->host,
		    client->esmtp ? "ESMTP" : "SMTP", id);
	}
	if (trace->recipient != NULL)
		n += snprintf(text + n, size - (size_t)n, "\r\n\tfor <%s>",
		    trace->recipient);
	n += snprintf(text + n, size - (size_t)n, ";\r\n\t%s\r\n", date);
	return (size_t)n;
}
