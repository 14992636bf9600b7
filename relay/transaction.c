/*
 * A transaction: one message for recipients behind one next hop.  Owns the
 * copy of the envelope, the small body or the descriptor of the large one.
 * Each recipient's result is told as it is known; the answer ends it all.
 */
#include <sys/stat.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "relay.h"

static char *
copy(const char *text)
{
	char *s = strdup(text);

	if (s == NULL)
		fatal("strdup");
	return s;
}

/* A parameter's value, or nothing if it could not stand in a command. */
static char *
copy_parameter(const char *text)
{
	return copy(command_parameter_fits(text) ? text : "");
}

struct transaction *
transaction_new(struct link *link, uint64_t number)
{
	struct transaction *t;

	if ((t = calloc(1, sizeof(*t))) == NULL)
		fatal("calloc");
	t->link = link;
	t->number = number;
	t->fd = -1;
	return t;
}

void
transaction_free(struct transaction *t)
{
	size_t i;

	if (t == NULL)
		return;
	for (i = 0; i < t->count; i++) {
		free(t->recipients[i].address);
		free(t->recipients[i].orcpt);
	}
	free(t->recipients);
	free(t->sender);
	free(t->envid);
	free(t->octets);
	if (t->fd != -1)
		close(t->fd);
	free(t);
}

void
transaction_add(struct transaction *t, const struct w_relay_rcpt_ntf *ntf)
{
	struct recipient *r;

	t->recipients = reallocarray(t->recipients, t->count + 1, sizeof(*r));
	if (t->recipients == NULL)
		fatal("reallocarray");
	r = &t->recipients[t->count++];
	memset(r, 0, sizeof(*r));
	r->row = ntf->recipient;
	r->notify = ntf->notify & (NOTIFY_NEVER | NOTIFY_SUCCESS |
	    NOTIFY_FAILURE | NOTIFY_DELAY);
	r->address = copy(ntf->address);
	r->orcpt = copy_parameter(ntf->orcpt);
}

/* The descriptor must be what spoold says it is. */
static int
take_file(struct transaction *t, struct frame *frame)
{
	struct stat st;

	if (frame->fd == -1 || fstat(frame->fd, &st) == -1 ||
	    !S_ISREG(st.st_mode) || (uint64_t)st.st_size != t->size)
		return -1;
	t->fd = frame->fd;
	frame->fd = -1;
	return 0;
}

/*
 * The recipients are there: take the rest.  Returns -1 if it does not fit
 * together.
 */
int
transaction_complete(struct transaction *t,
    const struct w_relay_deliver_req *req, struct frame *frame)
{
	t->request = frame->id;
	t->id = req->id;
	t->size = req->size;
	t->body = req->body;
	t->ret = req->ret;
	t->sender = copy(req->sender);
	t->envid = copy_parameter(req->envid);
	if (t->count == 0 || t->count != req->recipients)
		return -1;
	if (req->body_in_file)
		return take_file(t, frame);
	if (frame->tail_length != t->size)
		return -1;
	if ((t->octets = malloc(t->size + 1)) == NULL)
		fatal("malloc");
	memcpy(t->octets, frame->tail, t->size);
	return 0;
}

/*
 * Begin anew with another server.
 */
void
transaction_again(struct transaction *t)
{
	size_t i;

	t->accepted = 0;
	for (i = 0; i < t->count; i++)
		t->recipients[i].accepted = false;
}

/*
 * Tell what became of a recipient; once.
 */
void
transaction_result(struct transaction *t, struct recipient *r,
    const struct reply *reply)
{
	struct w_relay_result_ntf ntf;

	if (r->told)
		return;
	r->told = true;
	if (t->link == NULL)
		return;
	memset(&ntf, 0, sizeof(ntf));
	ntf.transaction = t->number;
	ntf.recipient = r->row;
	ntf.verdict = reply_verdict(reply);
	ntf.stage = reply->stage;
	ntf.replied = reply->replied;
	ntf.dsn = t->dsn;
	ntf.brief = reply->brief;
	strlcpy(ntf.status, reply->status, sizeof(ntf.status));
	strlcpy(ntf.text, reply->text, sizeof(ntf.text));
	tell_relay_result(t->link, &ntf);
}

/*
 * The same result for all that have none yet; or for those only that the
 * server has accepted.
 */
void
transaction_rest(struct transaction *t, const struct reply *reply,
    bool only_accepted)
{
	size_t i;

	for (i = 0; i < t->count; i++)
		if (!only_accepted || t->recipients[i].accepted)
			transaction_result(t, &t->recipients[i], reply);
}

/*
 * Every recipient has its result: answer, and free it.  host was tried last,
 * and what was said there was protected so.
 */
void
transaction_done(struct transaction *t, int64_t closed_until,
    const char *host, const char *protection)
{
	struct w_relay_deliver_ans ans;

	memset(&ans, 0, sizeof(ans));
	ans.transaction = t->number;
	ans.closed_until = closed_until;
	ans.reached = t->reached;
	strlcpy(ans.host, host, sizeof(ans.host));
	strlcpy(ans.tls, protection, sizeof(ans.tls));
	if (t->link != NULL)
		answer_relay_deliver(t->link, t->request, &ans);
	transaction_free(t);
	relay_idle();
}

/*
 * Read of the body at an offset; 0 at its end, -1 with errno.
 */
ssize_t
transaction_read(const struct transaction *t, uint64_t offset, char *buffer,
    size_t size)
{
	ssize_t n;

	if (offset >= t->size)
		return 0;
	if (size > t->size - offset)
		size = t->size - offset;
	if (t->octets != NULL) {
		memcpy(buffer, t->octets + offset, size);
		return (ssize_t)size;
	}
	n = pread(t->fd, buffer, size, (off_t)offset);
	if (n == 0) {
		errno = EIO;
		return -1;
	}
	return n;
}
