/*
 * Submitting a message that waited, over the local submission socket: the
 * smallest SMTP client, one command at a time.  It runs as the user whose
 * message it is.
 */
#include <sys/socket.h>
#include <sys/time.h>

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "deliver.h"

#define REPLY_SECONDS	600

struct submission {
	const struct dropfile *drop;
	FILE	*message;
	long	 body;			/* where the message begins in it */
	FILE	*in;
	FILE	*out;
	char	 reply[1024];		/* its last line */
	char	**refusals;		/* by recipient: reply, or NULL */
	bool	 taken;			/* for one recipient at least */
};

/* ---- the conversation ---- */

/* Read a reply; returns its code, -1 if none came. */
static int
read_reply(struct submission *sub)
{
	do {
		if (fgets(sub->reply, sizeof(sub->reply), sub->in) == NULL)
			return -1;
		sub->reply[strcspn(sub->reply, "\r\n")] = '\0';
	} while (strlen(sub->reply) >= 4 && sub->reply[3] == '-');
	if (!isdigit((unsigned char)sub->reply[0]) ||
	    !isdigit((unsigned char)sub->reply[1]) ||
	    !isdigit((unsigned char)sub->reply[2]))
		return -1;
	return atoi(sub->reply);
}

static int __attribute__((format(printf, 2, 3)))
command(struct submission *sub, const char *format, ...)
{
	va_list	 arguments;

	va_start(arguments, format);
	vfprintf(sub->out, format, arguments);
	va_end(arguments);
	fputs("\r\n", sub->out);
	return fflush(sub->out) == EOF ? -1 : read_reply(sub);
}

static int
mail(struct submission *sub, const char *sender)
{
	const struct dropfile *drop = sub->drop;

	return command(sub, "MAIL FROM:<%s>%s%s%s%s%s", sender,
	    drop->eight_bit ? " BODY=8BITMIME" : "",
	    drop->ret[0] != '\0' ? " RET=" : "", drop->ret,
	    drop->envid[0] != '\0' ? " ENVID=" : "", drop->envid);
}

/* Send the message from where it begins, dots stuffed, last line ended. */
static int
copy_message(struct submission *sub)
{
	int	 c, before = '\n';

	if (fseek(sub->message, sub->body, SEEK_SET) == -1)
		return -1;
	while ((c = getc(sub->message)) != EOF) {
		if (c == '.' && before == '\n')
			putc('.', sub->out);
		putc(c, sub->out);
		before = c;
	}
	if (before != '\n')
		fputs("\r\n", sub->out);
	return ferror(sub->message) ? -1 : 0;
}

/* These recipients are refused, by this reply; or, without one, not yet. */
static void
note_refusals(struct submission *sub, size_t first, size_t end,
    const char *reply)
{
	for (; first < end; first++) {
		free(sub->refusals[first]);
		sub->refusals[first] = reply != NULL ? strdup(reply) : NULL;
	}
}

static bool
has_refusals(const struct submission *sub)
{
	size_t	 i;

	for (i = 0; i < sub->drop->count; i++)
		if (sub->refusals[i] != NULL)
			return true;
	return false;
}

/* ---- a group of recipients, as many as smtpd takes at once ---- */

/*
 * Name recipients from *end on; *end is set behind the last one that was
 * named, *accepted counts.  -1 if the message must wait.
 */
static int
name_recipients(struct submission *sub, size_t *end, size_t *accepted)
{
	const struct dropfile *drop = sub->drop;
	int	 code;

	for (*accepted = 0; *end < drop->count; (*end)++) {
		code = command(sub, "RCPT TO:<%s>%s%s",
		    drop->recipients[*end],
		    drop->notify[0] != '\0' ? " NOTIFY=" : "", drop->notify);
		if (code / 100 == 2)
			(*accepted)++;
		else if (code / 100 == 5)
			note_refusals(sub, *end, *end + 1, sub->reply);
		else if (code == 452 && *accepted > 0)
			break;
		else
			return -1;
	}
	return 0;
}

/* One transaction from *first on, which advances; -1 if it must wait. */
static int
submit_group(struct submission *sub, size_t *first)
{
	size_t	 end = *first, accepted;
	int	 code;

	code = mail(sub, sub->drop->sender);
	if (code / 100 == 5) {
		note_refusals(sub, *first, sub->drop->count, sub->reply);
		*first = sub->drop->count;
		return 0;
	}
	if (code / 100 != 2 || name_recipients(sub, &end, &accepted) == -1)
		return -1;
	if (accepted == 0) {
		*first = end;
		return command(sub, "RSET") / 100 == 2 ? 0 : -1;
	}
	if (command(sub, "DATA") != 354)
		return -1;
	code = copy_message(sub) == 0 ? command(sub, ".") : -1;
	if (code / 100 == 5)
		note_refusals(sub, *first, end, sub->reply);
	else if (code / 100 != 2)
		return -1;
	else
		sub->taken = true;
	*first = end;
	return 0;
}

/* ---- what was refused, and what must wait ---- */

/* The report: who will not get it and why, then the message itself. */
static int
send_report(struct submission *sub)
{
	char	 boundary[64];
	size_t	 i;

	/* A message cannot hold what is made after it. */
	snprintf(boundary, sizeof(boundary), "=_%ld_%lld", (long)getpid(),
	    (long long)time(NULL));
	fprintf(sub->out, "From: Mail Delivery System <MAILER-DAEMON>\r\n"
	    "To: <%s>\r\nSubject: Undelivered mail returned to sender\r\n"
	    "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: multipart/mixed; boundary=\"%s\"\r\n\r\n"
	    "--%s\r\n\r\n", sub->drop->sender, boundary, boundary);
	fprintf(sub->out, "Your message waited for the mail system to come "
	    "up.  When it did, it refused\r\nthese recipients:\r\n\r\n");
	for (i = 0; i < sub->drop->count; i++)
		if (sub->refusals[i] != NULL)
			fprintf(sub->out, "<%s>: %s\r\n",
			    sub->drop->recipients[i], sub->refusals[i]);
	fprintf(sub->out, "\r\n--%s\r\nContent-Type: message/rfc822\r\n\r\n",
	    boundary);
	if (copy_message(sub) == -1)
		return -1;
	return command(sub, "\r\n--%s--\r\n.", boundary);
}

/*
 * Tell the sender.  0 if that is done, 1 if it cannot be, -1 if it cannot be
 * now.
 */
static int
report_refusals(struct submission *sub)
{
	int	 code;

	if (sub->drop->sender[0] == '\0')
		return 1;
	if (command(sub, "RSET") / 100 != 2)
		return -1;
	code = command(sub, "MAIL FROM:<>%s",
	    sub->drop->eight_bit ? " BODY=8BITMIME" : "");
	if (code / 100 == 2)
		code = command(sub, "RCPT TO:<%s> NOTIFY=NEVER",
		    sub->drop->sender);
	if (code / 100 == 2 && (code = command(sub, "DATA")) == 354)
		code = send_report(sub);
	return code / 100 == 2 ? 0 : code / 100 == 5 ? 1 : -1;
}

/* Put the recipients from first on into a file of their own. */
static int
put_back(struct submission *sub, size_t first, const char *directory)
{
	struct dropfile	 rest = *sub->drop;
	FILE	*file;
	int	 c;

	rest.recipients += first;
	rest.count -= first;
	if ((file = dropfile_create(directory, &rest)) == NULL)
		return -1;
	if (fseek(sub->message, sub->body, SEEK_SET) == 0)
		while ((c = getc(sub->message)) != EOF)
			putc(c, file);
	if (ferror(sub->message)) {
		dropfile_abandon(file);
		return -1;
	}
	return dropfile_commit(file, directory);
}

static enum submit_result
submit(struct submission *sub, const char *directory)
{
	size_t	 first = 0;
	int	 result;

	if (read_reply(sub) / 100 != 2 ||
	    command(sub, "EHLO localhost") / 100 != 2)
		return SUBMIT_LATER;
	while (first < sub->drop->count) {
		if (submit_group(sub, &first) == 0)
			continue;
		note_refusals(sub, first, sub->drop->count, NULL);
		if (!sub->taken || put_back(sub, first, directory) == -1)
			return SUBMIT_LATER;
		break;
	}
	if (!has_refusals(sub))
		return SUBMIT_TAKEN;
	result = report_refusals(sub);
	if (result == -1 && !sub->taken)
		return SUBMIT_LATER;
	return result == 0 ? SUBMIT_TAKEN : SUBMIT_REFUSED;
}

enum submit_result
submit_message(int fd, FILE *message, const struct dropfile *drop,
    const char *directory)
{
	struct submission sub = { .drop = drop, .message = message };
	struct timeval	 patience = { .tv_sec = REPLY_SECONDS };
	enum submit_result result = SUBMIT_LATER;
	int		 copy;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	sub.body = ftell(message);
	copy = dup(fd);
	sub.in = fdopen(fd, "r");
	sub.out = copy != -1 ? fdopen(copy, "w") : NULL;
	sub.refusals = calloc(drop->count, sizeof(*sub.refusals));
	if (sub.in != NULL && sub.out != NULL && sub.refusals != NULL &&
	    sub.body != -1) {
		result = submit(&sub, directory);
		(void)command(&sub, "QUIT");
	}
	if (sub.refusals != NULL)
		note_refusals(&sub, 0, drop->count, NULL);
	free(sub.refusals);
	if (sub.in != NULL)
		fclose(sub.in);
	if (sub.out != NULL)
		fclose(sub.out);
	return result;
}
