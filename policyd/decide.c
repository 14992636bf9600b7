/*
 * The ends of a walk: what is answered when there is nothing left to follow.
 * Follows nothing and looks nothing up.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "policyd.h"

static const struct {
	enum route_kind	 kind;
	uint32_t	 code;
	const char	*status;
} faults[] = {
	[FAULT_NONE]	= { ROUTE_DEFER,	451, "4.3.0" },
	[FAULT_USER]	= { ROUTE_UNKNOWN,	550, "5.1.1" },
	[FAULT_DOMAIN]	= { ROUTE_UNKNOWN,	550, "5.1.2" },
	[FAULT_LOOKUP]	= { ROUTE_DEFER,	451, "4.3.0" },
	[FAULT_LOOP]	= { ROUTE_DEFER,	451, "4.3.5" },
	[FAULT_CONFIG]	= { ROUTE_DEFER,	451, "4.3.5" }
};

void
walk_trace(const struct walk *walk, const char *format, ...)
{
	char text[2 * WIRE_TARGET];
	va_list arguments;

	if (walk->trace == NULL)
		return;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	walk->trace(walk->trace_context, text);
}

/* The final recipient: where we are, with a domain. */
static void
print_here(const struct walk *walk, char *text, size_t size)
{
	struct address complete = walk->here;

	if (complete.domain[0] == '\0')
		strlcpy(complete.domain, walk->settings->mail_name,
		    sizeof(complete.domain));
	(void)address_print(&complete, text, size);
}

/* Begin a decision of this kind, with all that every kind has. */
static void
begin(struct walk *walk, struct decision *decision, enum route_kind kind)
{
	memset(decision, 0, sizeof(*decision));
	decision->kind = kind;
	print_here(walk, decision->address, sizeof(decision->address));
	strlcpy(decision->domain, walk->here.domain[0] != '\0' ?
	    walk->here.domain : walk->settings->mail_name,
	    sizeof(decision->domain));
	strlcpy(decision->where, walk->where, sizeof(decision->where));
}

void
decide_fault(struct walk *walk, struct decision *decision, enum fault fault,
    const char *format, ...)
{
	char reason[WIRE_TEXT];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	begin(walk, decision, faults[fault].kind);
	decision->fault = fault;
	decision->code = faults[fault].code;
	if ((size_t)snprintf(decision->text, sizeof(decision->text), "%s %s",
	    faults[fault].status, reason) >= sizeof(decision->text))
		decision->text[sizeof(decision->text) - 2] = '.';
	walk_trace(walk, "%s: %s", fault == FAULT_USER ||
	    fault == FAULT_DOMAIN ? "refused" : "not now", decision->text);
}

/* A call, |program or /file: by number if postmaster.cf itself has it. */
void
decide_delivery(struct walk *walk, struct decision *decision,
    const struct target *target, bool main)
{
	bool program = target->kind == TARGET_PROGRAM ||
	    target->call == CALL_PIPE;

	begin(walk, decision, main ? ROUTE_MAILER : ROUTE_TEXT);
	decision->worker = program ? WORKER_PROGRAM : WORKER_MAILBOX;
	decision->max_recipients = 1;
	strlcpy(decision->account, walk->settings->program_user,
	    sizeof(decision->account));
	strlcpy(decision->text, target->text, sizeof(decision->text));
	if (main)
		decision->mailer = target_number(target->text);
	else if (strlen(target->text) >= sizeof(decision->text))
		decide_fault(walk, decision, FAULT_CONFIG, "a target of more "
		    "than %d octets", WIRE_TEXT - 1);
	walk_trace(walk, "%s, as account %s", target->text,
	    walk->settings->program_user);
}

/* A [pipe], as its user or as the account that the walk has come to. */
void
decide_pipe(struct walk *walk, struct decision *decision,
    const struct conf_section *section, const struct who *who,
    const char *extension)
{
	const char *user = conf_string(section, "user", NULL);
	char name[WIRE_NAME + 8];

	begin(walk, decision, ROUTE_MAILER);
	(void)snprintf(name, sizeof(name), "[pipe] %s", section->name);
	decision->mailer = target_number(name);
	decision->worker = WORKER_PROGRAM;
	decision->max_recipients =
	    (uint32_t)conf_number(section, "max-rcpt-to", 1);
	strlcpy(decision->account, user != NULL ? user : who->name,
	    sizeof(decision->account));
	strlcpy(decision->extension, extension, sizeof(decision->extension));
	strlcpy(decision->text, name, sizeof(decision->text));
	walk_trace(walk, "[pipe \"%s\"], as account %s", section->name,
	    decision->account);
}

/*
 * Are the hosts of this hop the mail exchangers of each recipient's domain?
 * What [relay "*"] says of that is meant for sections that name no host.
 */
static bool
goes_by_exchange(const struct settings *settings, const char *hop)
{
	struct conf_section *own = settings_hop(settings, hop), *holder;

	if (own == NULL)
		return strcmp(hop, "relay()") == 0;
	holder = conf_holder(settings->conf, "relay", own, "mx");
	if (holder == NULL || strcasecmp(conf_string(holder, "mx", ""),
	    "recipient") != 0)
		return false;
	return holder == own || (conf_setting(own, "name") == NULL &&
	    conf_setting(own, "address") == NULL);
}

void
decide_relay(struct walk *walk, struct decision *decision, const char *hop)
{
	size_t i;

	begin(walk, decision, ROUTE_RELAY);
	strlcpy(decision->hop, hop, sizeof(decision->hop));
	if (goes_by_exchange(walk->settings, hop)) {
		for (i = 0; decision->domain[i] != '\0'; i++)
			decision->exchange[i] = (char)tolower(
			    (unsigned char)decision->domain[i]);
		walk_trace(walk, "next hop %s by %s, for <%s>",
		    decision->exchange, hop, decision->address);
	} else
		walk_trace(walk, "next hop %s, for <%s>", hop,
		    decision->address);
}

/* Does the text start with an enhanced status code of that class? */
static bool
has_status(const char *text, char class)
{
	size_t length;
	int part;

	if (*text++ != class)
		return false;
	for (part = 0; part < 2; part++) {
		if (*text++ != '.')
			return false;
		length = strspn(text, "0123456789");
		if (length < 1 || length > 3)
			return false;
		text += length;
	}
	return *text == ' ' || *text == '\0';
}

/* reject(code text); what is missing is 550 5.7.1. */
void
decide_reject(struct walk *walk, struct decision *decision,
    const char *argument)
{
	const char *text = argument;

	begin(walk, decision, ROUTE_REFUSE);
	decision->code = 550;
	if (*argument != '\0') {
		decision->code = (uint32_t)strtoul(argument, NULL, 10);
		text = argument + 3;
		text += strspn(text, " \t");
	}
	if (has_status(text, decision->code < 500 ? '4' : '5'))
		strlcpy(decision->text, text, sizeof(decision->text));
	else
		(void)snprintf(decision->text, sizeof(decision->text),
		    "%d.7.1 %s", (int)decision->code / 100,
		    *text != '\0' ? text : "Recipient refused");
	walk_trace(walk, "refused: %u %s", (unsigned int)decision->code,
	    decision->text);
}

void
decide_discard(struct walk *walk, struct decision *decision)
{
	begin(walk, decision, ROUTE_DISCARD);
	walk_trace(walk, "discarded");
}

/* An account, by the default local mailer. */
void
decide_local(struct walk *walk, struct decision *decision,
    const struct who *who, const char *extension)
{
	const struct settings *settings = walk->settings;
	const struct conf_section *section;

	if (settings->local_mailer == LOCAL_PIPE) {
		section = conf_section(settings->conf, "pipe",
		    settings->local_pipe);
		if (section == NULL) {
			decide_fault(walk, decision, FAULT_CONFIG,
			    "local-mailer %s is neither maildir, mbox nor a "
			    "[pipe]", settings->local_pipe);
			return;
		}
		if (conf_setting(section, "user") != NULL) {
			decide_pipe(walk, decision, section, who, extension);
			return;
		}
	}
	begin(walk, decision, ROUTE_LOCAL);
	decision->worker = settings->local_mailer == LOCAL_PIPE ?
	    WORKER_PROGRAM : WORKER_MAILBOX;
	decision->max_recipients = 1;
	strlcpy(decision->account, who->name, sizeof(decision->account));
	strlcpy(decision->extension, extension, sizeof(decision->extension));
	walk_trace(walk, "mailbox of account %s%s%s", who->name,
	    *extension != '\0' ? ", extension " : "", extension);
}

/* Straight into /var/mail, whatever the local mailer is. */
void
decide_spool(struct walk *walk, struct decision *decision,
    const struct who *who)
{
	begin(walk, decision, ROUTE_LOCAL);
	decision->worker = WORKER_MBOX;
	decision->max_recipients = 1;
	strlcpy(decision->account, who->name, sizeof(decision->account));
	walk_trace(walk, "mbox of account %s in the mail spool", who->name);
}
