/*
 * Messages into the queue, from files as export makes them: the envelope as
 * header lines, an empty line, the message.
 */

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "ctl.h"

#define ENVELOPE_MAX	(64 * 1024 * 1024)

/* What the envelope says, and where it is kept while it is needed. */
struct import {
	struct envelope	 envelope;
	char		*text;
	size_t		 length;
	char		 envid[WIRE_ENVID];
	bool		 is_export;
};

/* Read the lines up to the empty one.  Returns 0, or -1. */
static int
read_envelope(FILE *in, struct import *import)
{
	char	*line = NULL, *bigger;
	size_t	 size = 0;
	ssize_t	 length;
	int	 result = -1;

	while ((length = getline(&line, &size, in)) > 0 &&
	    import->length + length < ENVELOPE_MAX) {
		if (line[0] == '\n') {
			result = 0;
			break;
		}
		bigger = realloc(import->text, import->length + length);
		if (bigger == NULL)
			break;
		import->text = bigger;
		memcpy(import->text + import->length, line, length);
		import->length += length;
	}
	free(line);
	return result;
}

/* The figure of a line. */
static unsigned long
figure(const struct header_field *field)
{
	char	text[24];

	header_unfold(field, text, sizeof(text));
	return strtoul(text, NULL, 10);
}

static void
take_sender(struct import *import, const struct header_field *field)
{
	struct header_list	list;
	struct header_mailbox	mailbox;

	header_list_begin(&list, field->value, field->value_length);
	if (header_list_next(&list, &mailbox) == 1)
		memcpy(import->envelope.sender, mailbox.address,
		    sizeof(import->envelope.sender));
}

static void
take_recipient(struct import *import, const struct header_field *field)
{
	envelope_add(&import->envelope, field->value, field->value_length);
}

/* The recipient that the lines are about, NULL before the first. */
static struct recipient *
last_recipient(struct import *import)
{
	struct envelope	*envelope = &import->envelope;

	return envelope->count > 0 ?
	    &envelope->recipients[envelope->count - 1] : NULL;
}

static void
take_notify(struct import *import, const struct header_field *field)
{
	static const char *const	words[] = {
		NULL, "NEVER", "SUCCESS", NULL, "FAILURE", NULL,
		"SUCCESS,FAILURE", NULL, "DELAY", NULL, "SUCCESS,DELAY", NULL,
		"FAILURE,DELAY", NULL, "SUCCESS,FAILURE,DELAY"
	};
	struct recipient		*recipient = last_recipient(import);
	unsigned long			 notify = figure(field);

	if (recipient != NULL && notify < sizeof(words) / sizeof(words[0]))
		recipient->notify = words[notify];
}

/* Can it be the value of a parameter: printable, and one word? */
static bool
is_word(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

static void
take_orcpt(struct import *import, const struct header_field *field)
{
	struct recipient	*recipient = last_recipient(import);
	char			 text[WIRE_ORCPT];

	if (recipient == NULL ||
	    header_unfold(field, text, sizeof(text)) >= sizeof(text) ||
	    !is_word(text))
		return;
	free(recipient->orcpt);
	recipient->orcpt = strdup(text);
}

static void
take_ret(struct import *import, const struct header_field *field)
{
	unsigned long	ret = figure(field);

	import->envelope.ret = ret == RET_FULL ? "FULL" :
	    ret == RET_HDRS ? "HDRS" : NULL;
}

static void
take_envid(struct import *import, const struct header_field *field)
{
	header_unfold(field, import->envid, sizeof(import->envid));
	import->envelope.envid = is_word(import->envid) ? import->envid :
	    NULL;
}

static void
take_version(struct import *import, const struct header_field *field)
{
	import->is_export = figure(field) == 1;
}

static const struct {
	const char	 *name;
	void		(*take)(struct import *, const struct header_field *);
} lines[] = {
	{ "Postmaster-Export", take_version },
	{ "Sender", take_sender },
	{ "Recipient", take_recipient },
	{ "Notify", take_notify },
	{ "Orcpt", take_orcpt },
	{ "Ret", take_ret },
	{ "Envid", take_envid },
};

/* Take what the lines say.  Returns NULL, or what is wrong with the file. */
static const char *
parse_envelope(struct import *import)
{
	struct header_field	 field;
	const char		*at = import->text;
	size_t			 left = import->length;
	int			 more;

	if (import->length == 0)
		return "this is no exported message";
	while ((more = header_next(&at, &left, &field)) == 1)
		for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
			if (header_is(&field, lines[i].name))
				lines[i].take(import, &field);
	if (more == -1 || !import->is_export)
		return "this is no exported message";
	return import->envelope.count == 0 ?
	    "the message has no recipient left" : NULL;
}

/* Say who did not get it; returns the exit code. */
static int
report(const char *path, const struct envelope *envelope)
{
	const struct recipient	*recipient;
	int			 code = EX_OK, one;

	for (size_t i = 0; i < envelope->count; i++) {
		recipient = &envelope->recipients[i];
		if ((one = outcome_exit_code(recipient)) == EX_OK)
			continue;
		code = one;
		warnx("%s: %s: %d %s", path,
		    recipient->address, recipient->code,
		    recipient->reply != NULL ? recipient->reply :
		    "nobody answers");
	}
	return code;
}

/* Submit the message of one file to all its recipients. */
static int
import_file(const struct place *place, const char *path)
{
	struct import	 import;
	struct message	 message;
	const char	*why = "this is no exported message";
	FILE		*in;
	int		 code = EX_DATAERR;

	memset(&import, 0, sizeof(import));
	memset(&message, 0, sizeof(message));
	if ((in = fopen(path, "re")) == NULL) {
		warn("%s", path);
		return EX_NOINPUT;
	}
	if (read_envelope(in, &import) == -1 ||
	    (why = parse_envelope(&import)) != NULL) {
		warnx("%s: %s", path, why);
		goto out;
	}
	if (message_read(in, false, &message) == -1) {
		warnx("%s: cannot be read", path);
		code = EX_IOERR;
		goto out;
	}
	import.envelope.eight_bit = message.eight_bit;
	submit(place, &message, &import.envelope, false);
	code = report(path, &import.envelope);
out:
	envelope_free(&import.envelope);
	message_free(&message);
	free(import.text);
	fclose(in);
	return code;
}

int
import_messages(const struct place *place, char **words)
{
	int	code, worst = EX_OK;

	for (; *words != NULL; words++)
		if ((code = import_file(place, *words)) != EX_OK)
			worst = code;
	return worst;
}
