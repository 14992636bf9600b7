/*
 * sendmail -bv and -bt: what would become of an address.
 */

#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "ctl.h"

#define WAIT	300000		/* milliseconds for a reply */

/* Ask the submission socket about one recipient; returns an exit code. */
static int
verify_one(struct smtp *smtp, struct recipient *recipient)
{
	struct reply	reply;
	int		kind;

	if (recipient->code == 0) {
		smtp_send(smtp, "RCPT TO:<%s>", recipient->address);
		recipient->code = smtp_reply(smtp, &reply, WAIT);
		recipient->reply = strdup(reply.text);
	}
	kind = recipient->code / 100;
	printf("%s... %s: %d %s\n", recipient->address, kind == 2 ?
	    "deliverable" : kind == 5 ? "not deliverable" : "not known now",
	    recipient->code, recipient->reply != NULL ? recipient->reply :
	    "");
	return outcome_exit_code(recipient);
}

int
sendmail_verify(const struct place *place, const struct options *options,
    char **words)
{
	struct identity	 identity;
	struct envelope	 envelope;
	struct smtp	 smtp;
	struct reply	 reply;
	int		 code = EX_OK, one;

	memset(&envelope, 0, sizeof(envelope));
	for (; *words != NULL; words++)
		envelope_add(&envelope, *words, strlen(*words));
	if (envelope.count == 0) {
		warnx("no address to verify");
		return EX_USAGE;
	}
	identity_find(&identity);
	if (smtp_open(&smtp, place->submit, options->verbose) == -1) {
		warnx("nobody answers at %s", place->submit);
		envelope_free(&envelope);
		return EX_TEMPFAIL;
	}
	smtp_send(&smtp, "MAIL FROM:<%s>", identity.login);
	if (smtp_reply(&smtp, &reply, WAIT) / 100 != 2) {
		warnx("%d %s", reply.code, reply.text);
		code = EX_TEMPFAIL;
	}
	for (size_t i = 0; i < envelope.count && code != EX_TEMPFAIL; i++) {
		one = verify_one(&smtp, &envelope.recipients[i]);
		if (one != EX_OK)
			code = one;
	}
	smtp_close(&smtp);
	envelope_free(&envelope);
	return code;
}

/* Show the route of one address, step by step. */
static int
explain(struct control *control, const char *address)
{
	struct w_ctl_explain_req	ask;
	struct frame			frame;
	int				code;

	memset(&ask, 0, sizeof(ask));
	snprintf(ask.address, sizeof(ask.address), "%s", address);
	code = ask_ctl_explain(control, &ask, &frame);
	if (code == EX_OK)
		control_print(&frame);
	fflush(stdout);
	return code;
}

int
sendmail_test(const struct place *place, char **words)
{
	struct control	 control;
	char		*line = NULL;
	size_t		 size = 0;
	ssize_t		 length;
	int		 code;

	if ((code = control_open(place, &control)) != EX_OK)
		return code;
	for (; *words != NULL && code == EX_OK; words++)
		code = explain(&control, *words);
	while (code == EX_OK && (length = getline(&line, &size, stdin)) > 0) {
		if (line[length - 1] == '\n')
			line[length - 1] = '\0';
		if (line[0] != '\0')
			code = explain(&control, line);
	}
	free(line);
	control_close(&control);
	return code;
}
