/*
 * Submissions from this machine: who sends, and a header that is completed
 * as it flows by.  One field is kept at a time; a field too long to keep is
 * passed as it is, unless it is one that must not be passed at all.
 */
#include <sys/socket.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "header.h"
#include "log.h"
#include "queueid.h"
#include "smtpd.h"

static const char *const removed[] = {
	"Return-Path", "Bcc", "Resent-Bcc", "Content-Length", NULL
};

static const char *const qualified[] = {
	"From", "To", "Cc", "Sender", "Reply-To", "Resent-From", "Resent-To",
	"Resent-Cc", "Resent-Sender", "Resent-Reply-To", NULL
};

int
local_peer(int fd, uid_t *uid)
{
	struct ucred ucred;
	socklen_t length = sizeof(ucred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &ucred, &length) == -1)
		return -1;
	*uid = ucred.uid;
	return 0;
}

static bool
is_among(const struct header_field *field, const char *const *names)
{
	for (; *names != NULL; names++)
		if (header_is(field, *names))
			return true;
	return false;
}

static void
emit_text(struct local_header *header, const char *text)
{
	header->emit(header->context, text, strlen(text));
}

/* The fields a message must have and this one has not. */
static void
emit_missing(struct local_header *header)
{
	char text[WIRE_ADDRESS + WIRE_DOMAIN + 64], date[40];
	char id[QUEUEID_LENGTH + 1];

	if (!header->date) {
		clock_date(header->arrival, date, sizeof(date));
		(void)snprintf(text, sizeof(text), "Date: %s\r\n", date);
		emit_text(header, text);
	}
	if (!header->from) {
		if (header->sender[0] != '\0')
			(void)snprintf(text, sizeof(text), "From: %s\r\n",
			    header->sender);
		else
			(void)snprintf(text, sizeof(text),
			    "From: MAILER-DAEMON@%s\r\n", header->mail_name);
		emit_text(header, text);
	}
	if (!header->message_id) {
		(void)snprintf(text, sizeof(text), "Message-ID: <%s@%s>\r\n",
		    queueid_print(header->id, id), header->mail_name);
		emit_text(header, text);
	}
}

/* Note what this field is; true if it must not be passed. */
static bool
recognize(struct local_header *header, const struct header_field *field)
{
	header->date |= header_is(field, "Date");
	header->from |= header_is(field, "From");
	header->message_id |= header_is(field, "Message-ID");
	return is_among(field, removed);
}

/* A field of addresses, with the bare ones completed. */
static void
emit_qualified(struct local_header *header, const struct header_field *field)
{
	size_t length, head = (size_t)(field->value - field->start);
	char *value;

	value = header_qualify(field->value, field->value_length,
	    header->mail_name, &length);
	if (value == NULL)
		fatal("header");
	header->emit(header->context, field->start, head);
	header->emit(header->context, value, length);
	header->emit(header->context, field->start + head +
	    field->value_length, field->length - head - field->value_length);
	free(value);
}

/* What is kept is a whole field, or the line that ends the header. */
static void
flush_field(struct local_header *header)
{
	const char *text = header->field.data;
	size_t length = header->field.length;
	struct header_field field;

	if (length == 0)
		return;
	if (header_next(&text, &length, &field) != 1) {
		header->ended = true;
		emit_missing(header);
		if (header->field.data[0] != '\r')
			emit_text(header, "\r\n");
		header->emit(header->context, header->field.data,
		    header->field.length);
	} else if (!recognize(header, &field)) {
		if (is_among(&field, qualified))
			emit_qualified(header, &field);
		else
			header->emit(header->context, header->field.data,
			    header->field.length);
	}
	buffer_free(&header->field);
}

/* The field grows too long: pass what there is of it, and what follows. */
static void
overflow(struct local_header *header)
{
	const char *text = header->field.data;
	size_t length = header->field.length;
	struct header_field field;

	if (header_next(&text, &length, &field) != 1) {
		flush_field(header);
		return;
	}
	header->passing = true;
	header->dropping = recognize(header, &field);
	header->at_start = header->field.data[header->field.length - 1] ==
	    '\n';
	if (!header->dropping)
		header->emit(header->context, header->field.data,
		    header->field.length);
	buffer_free(&header->field);
}

/* Take one line, or the part of it that is there. */
static size_t
take_line(struct local_header *header, const char *data, size_t length)
{
	const char *lf = memchr(data, '\n', length);
	size_t n = lf != NULL ? (size_t)(lf - data) + 1 : length;

	if (header->passing) {
		header->at_start = lf != NULL;
		if (!header->dropping)
			header->emit(header->context, data, n);
		return n;
	}
	buffer_append(&header->field, data, n);
	if (header->field.length == 2 && header->field.data[0] == '\r' &&
	    header->field.data[1] == '\n')
		flush_field(header);
	else if (header->field.length > FIELD_MAX)
		overflow(header);
	return n;
}

static bool
at_line_start(const struct local_header *header)
{
	if (header->passing)
		return header->at_start;
	return header->field.length > 0 &&
	    header->field.data[header->field.length - 1] == '\n';
}

void
local_feed(struct local_header *header, const char *data, size_t length)
{
	size_t n;

	while (length > 0 && !header->ended) {
		if (at_line_start(header) && *data != ' ' && *data != '\t') {
			header->passing = header->dropping = false;
			flush_field(header);
			continue;
		}
		n = take_line(header, data, length);
		data += n;
		length -= n;
	}
	if (length > 0)
		header->emit(header->context, data, length);
}

void
local_end(struct local_header *header)
{
	flush_field(header);
	if (!header->ended)
		emit_missing(header);
}

void
local_free(struct local_header *header)
{
	buffer_free(&header->field);
}
