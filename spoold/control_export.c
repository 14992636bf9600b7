/*
 * A message as one self-contained file: its envelope as header lines, an
 * empty line, and the body as it is stored.  Made in pieces, each from the
 * start, so that nothing is kept between two of them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "queueid.h"
#include "spoold.h"

/* The recipients that still wait, and what they asked for. */
static void
put_recipients(FILE *out, uint64_t id)
{
	enum sql	 sql = SQL_RECIPIENT_OF;
	int64_t		 state;
	int		 result;

	for (result = db_ask(sql, "iui", (int64_t)id, 0U, INT64_MAX);
	    result == 1; result = db_next(sql)) {
		state = db_integer(sql, 2);
		if (state > STORED_HELD)
			continue;
		fprintf(out, "Recipient: <%s>\n", db_text(sql, 12));
		if (db_text(sql, 13)[0] != '\0')
			fprintf(out, "Target: %s\n", db_text(sql, 13));
		fprintf(out, "Notify: %lld\n", (long long)db_integer(sql, 8));
		if (db_text(sql, 17)[0] != '\0')
			fprintf(out, "Orcpt: %s\n", db_text(sql, 17));
	}
	db_end(sql);
}

static char *
make_header(const struct message *message, size_t *length)
{
	char	 id[QUEUEID_LENGTH + 1], *text = NULL;
	FILE	*out;

	if ((out = open_memstream(&text, length)) == NULL)
		fatal("export");
	fprintf(out, "Postmaster-Export: 1\nId: %s\nArrival: %lld\n"
	    "Size: %llu\nSender: <%s>\nBody: %s\nRet: %d\n",
	    queueid_print(message->id, id), (long long)message->arrival,
	    (unsigned long long)message->size, message->sender,
	    message->body_type == BODY_8BITMIME ? "8BITMIME" : "7BIT",
	    (int)message->ret);
	if (message->envid[0] != '\0')
		fprintf(out, "Envid: %s\n", message->envid);
	put_recipients(out, message->id);
	fputs("\n", out);
	if (fclose(out) == EOF)
		fatal("export");
	return text;
}

/* Copy a piece of the body.  Returns its length, or -1. */
static ssize_t
read_body(struct message *message, uint64_t offset, char *piece, size_t size)
{
	const char	*body;
	ssize_t		 n;
	int		 fd;

	if (message->in_file) {
		if ((fd = message_open_body(message)) == -1)
			return -1;
		n = pread(fd, piece, size, (off_t)offset);
		close(fd);
		return n;
	}
	if ((body = message_body(message)) == NULL)
		return -1;
	if (size > message->size - offset)
		size = message->size - offset;
	memcpy(piece, body + offset, size);
	return (ssize_t)size;
}

void
export_read(struct client *client, const struct w_ctl_read_req *question)
{
	static char		 piece[WIRE_INLINE];
	struct w_ctl_read_ans	 answer = { .verdict = CTL_NO_SUCH };
	struct message		*message = store_load_message(question->id);
	char			*header = NULL;
	size_t			 length = 0;
	uint64_t		 offset = question->offset;
	ssize_t			 n = 0;

	if (message == NULL)
		goto out;
	if (!client_owns(client, message)) {
		answer.verdict = CTL_DENIED;
		goto out;
	}
	header = make_header(message, &length);
	answer.size = length + message->size;
	answer.verdict = CTL_OK;
	if (offset < length) {
		n = (ssize_t)(length - offset);
		if (n > (ssize_t)sizeof(piece))
			n = sizeof(piece);
		memcpy(piece, header + offset, (size_t)n);
	} else if (offset < answer.size)
		n = read_body(message, offset - length, piece,
		    sizeof(piece));
	if (n == -1) {
		answer.verdict = CTL_ERROR;
		n = 0;
	}
out:
	client_answer(client, IMSG_CTL_READ_ANS, &answer, piece, (size_t)n);
	message_free(message);
	free(header);
}
