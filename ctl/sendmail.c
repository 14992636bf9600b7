/*
 * sendmail: what local programs call to send mail.
 */

#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "ctl.h"

/*
 * Take the sender: -f, a From_ line for rmail, or who calls.  Any user may
 * name any sender; who it really was stands in the log and in Received.
 */
static int
take_sender(struct envelope *envelope, const struct options *options,
    const struct identity *identity, const struct message *message)
{
	struct header_list	 list;
	struct header_mailbox	 mailbox;
	const char		*sender = options->sender;
	char			 text[HEADER_ADDRESS];

	if (options->from_line && message->from_line != NULL &&
	    envelope_from_line(message->from_line, text, sizeof(text)) == 0)
		sender = text;
	if (sender == NULL)
		sender = identity->login;
	header_list_begin(&list, sender, strlen(sender));
	switch (header_list_next(&list, &mailbox)) {
	case 1:
		memcpy(envelope->sender, mailbox.address,
		    sizeof(envelope->sender));
		return 0;
	case 0:
		envelope->sender[0] = '\0';
		return 0;
	default:
		warnx("the sender \"%s\" is no address", sender);
		return -1;
	}
}

/* Encode as xtext, RFC 3461 section 4; "" if it grows too long. */
static void
print_xtext(const char *value, char *text, size_t size)
{
	size_t	used = 0;

	for (; *value != '\0'; value++) {
		if (used + 4 > size) {
			used = 0;
			break;
		}
		if (isgraph((unsigned char)*value) && *value != '+' &&
		    *value != '=')
			text[used++] = *value;
		else
			used += snprintf(text + used, 4, "+%02X",
			    (unsigned char)*value);
	}
	text[used] = '\0';
}

/* Make the header one that may leave. */
static void
prepare_header(struct message *message, const struct options *options,
    const struct envelope *envelope, const struct identity *identity)
{
	const char	*name = options->full_name;

	if (name == NULL)
		name = getenv("NAME");
	if (name == NULL)
		name = identity->gecos;
	header_clean(message);
	header_complete(message, name, envelope->sender[0] != '\0' ?
	    envelope->sender : identity->login);
}

int
sendmail_deliver(const struct place *place, const struct options *options,
    FILE *in, char **recipients)
{
	struct identity	identity;
	struct envelope	envelope;
	struct message	message;
	char		envid[101];	/* RFC 3461, 4.4 */
	int		code = EX_OK;

	memset(&envelope, 0, sizeof(envelope));
	memset(&message, 0, sizeof(message));
	if (*recipients == NULL && !options->from_header) {
		warnx("no recipients: name them, or use -t");
		return EX_USAGE;
	}
	identity_find(&identity);
	errno = 0;
	if (message_read(in, !options->dots_are_text, &message) == -1) {
		warn("cannot read the message");
		code = EX_IOERR;
		goto out;
	}
	if (take_sender(&envelope, options, &identity, &message) == -1) {
		code = EX_DATAERR;
		goto out;
	}
	for (; *recipients != NULL; recipients++)
		envelope_add(&envelope, *recipients, strlen(*recipients));
	if (options->from_header)
		envelope_from_header(&envelope, &message);
	if (envelope.count == 0) {
		warnx("the header names no recipients");
		code = EX_USAGE;
		goto out;
	}
	envelope.notify = options->notify;
	envelope.ret = options->ret;
	print_xtext(options->envid != NULL ? options->envid : "", envid,
	    sizeof(envid));
	envelope.envid = envid[0] != '\0' ? envid : NULL;
	envelope.eight_bit = message.eight_bit;
	prepare_header(&message, options, &envelope, &identity);
	if (message.failed) {
		warnx("out of memory");
		code = EX_OSERR;
		goto out;
	}
	submit(place, &message, &envelope, options->verbose);
	code = outcome_settle(place, options, &identity, &message, &envelope);
out:
	envelope_free(&envelope);
	message_free(&message);
	return code;
}

static int
refuse_daemon(void)
{
	warnx("no daemon starts here: use "
	    "\"systemctl start postmaster\" or postmaster(8)");
	return EX_USAGE;
}

int
sendmail_main(int argc, char **argv)
{
	struct options	options;
	struct place	place;

	argv += options_take(argc, argv, &options);
	place_find(options.configuration, &place);
	switch (options.mode) {
	case MODE_QUEUE_LIST:
		return mailq_list(&place, NULL, options.json ? LIST_JSON :
		    LIST_MAILQ);
	case MODE_QUEUE_COUNT:
		return mailq_count(&place);
	case MODE_QUEUE_RUN:
		return runq_run(&place, &options, argv);
	case MODE_ALIASES:
		return newaliases_check(&place);
	case MODE_SMTP:
		return sendmail_through(&place);
	case MODE_VERIFY:
		return sendmail_verify(&place, &options, argv);
	case MODE_TEST:
		return sendmail_test(&place, argv);
	case MODE_DAEMON:
		return refuse_daemon();
	case MODE_NOTHING:
		return EX_OK;
	default:
		return sendmail_deliver(&place, &options, stdin, argv);
	}
}
