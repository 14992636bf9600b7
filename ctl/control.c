/*
 * Questions to spoold over the control socket: one at a time, one answer each.
 */

#include <err.h>
#include <errno.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "ctl.h"

#define CONNECT_MILLISECONDS	5000

int
control_open(const struct place *place, struct control *control)
{
	int	error;

	control->id = 0;
	control->fd = connect_to(place->control, CONNECT_MILLISECONDS);
	if (control->fd != -1)
		return EX_OK;
	error = errno;
	warn("%s%s", place->control, error == ENOENT ||
	    error == ECONNREFUSED ? " (is postmaster(8) running?)" : "");
	return error == EACCES ? EX_NOPERM : EX_UNAVAILABLE;
}

void
control_close(struct control *control)
{
	if (control->fd != -1)
		close(control->fd);
	control->fd = -1;
}

/* Wait for the answer to a question that was written, or was not. */
static int
read_answer(struct control *control, int written, enum imsg_type type,
    struct frame *answer)
{
	const char	*why = NULL;

	if (written == -1) {
		warn("asking the queue");
		return EX_UNAVAILABLE;
	}
	if (link_read_blocking(control->fd, PROC_CTL, PROC_SPOOLD, answer, -1,
	    &why) == -1) {
		warnx("no answer from the queue: %s", why);
		return EX_UNAVAILABLE;
	}
	if (answer->type != type || answer->id != control->id) {
		warnx("the answer is to another question");
		return EX_PROTOCOL;
	}
	return EX_OK;
}

int
ask_ctl_list(struct control *control, const struct w_ctl_list_req *question,
    struct frame *answer)
{
	return read_answer(control, link_write_blocking(control->fd,
	    IMSG_CTL_LIST_REQ, ++control->id, question, NULL, 0, -1),
	    IMSG_CTL_LIST_ANS, answer);
}

int
ask_ctl_show(struct control *control, const struct w_ctl_show_req *question,
    struct frame *answer)
{
	return read_answer(control, link_write_blocking(control->fd,
	    IMSG_CTL_SHOW_REQ, ++control->id, question, NULL, 0, -1),
	    IMSG_CTL_SHOW_ANS, answer);
}

int
ask_ctl_explain(struct control *control,
    const struct w_ctl_explain_req *question, struct frame *answer)
{
	return read_answer(control, link_write_blocking(control->fd,
	    IMSG_CTL_EXPLAIN_REQ, ++control->id, question, NULL, 0, -1),
	    IMSG_CTL_EXPLAIN_ANS, answer);
}

int
ask_ctl_status(struct control *control,
    const struct w_ctl_status_req *question, struct frame *answer)
{
	return read_answer(control, link_write_blocking(control->fd,
	    IMSG_CTL_STATUS_REQ, ++control->id, question, NULL, 0, -1),
	    IMSG_CTL_STATUS_ANS, answer);
}

int
ask_ctl_read(struct control *control, const struct w_ctl_read_req *question,
    struct frame *answer)
{
	return read_answer(control, link_write_blocking(control->fd,
	    IMSG_CTL_READ_REQ, ++control->id, question, NULL, 0, -1),
	    IMSG_CTL_READ_ANS, answer);
}

/* What a verdict means to the caller. */
static const struct {
	const char	*text;
	int		 code;
} verdicts[] = {
	[CTL_OK] = { NULL, EX_OK },
	[CTL_NO_SUCH] = { "there is no such message", EX_NOINPUT },
	[CTL_DENIED] = { "you may not do this", EX_NOPERM },
	[CTL_TOO_SOON] = { "too soon after the last time", EX_TEMPFAIL },
	[CTL_ERROR] = { "it went wrong", EX_SOFTWARE },
};

/* One that is not known is an error. */
static size_t
verdict_of(uint64_t verdict)
{
	return verdict < CTL_OK || verdict > CTL_ERROR ? CTL_ERROR :
	    (size_t)verdict;
}

int
control_code(uint64_t verdict)
{
	return verdicts[verdict_of(verdict)].code;
}

int
ask_ctl_why(struct control *control, const struct w_ctl_why_req *question,
    struct frame *answer)
{
	return read_answer(control, link_write_blocking(control->fd,
	    IMSG_CTL_WHY_REQ, ++control->id, question, NULL, 0, -1),
	    IMSG_CTL_WHY_ANS, answer);
}

int
ask_ctl_stats(struct control *control, const struct w_ctl_stats_req *question,
    struct frame *answer)
{
	return read_answer(control, link_write_blocking(control->fd,
	    IMSG_CTL_STATS_REQ, ++control->id, question, NULL, 0, -1),
	    IMSG_CTL_STATS_ANS, answer);
}

int
ask_ctl_probe(struct control *control, const struct w_ctl_probe_req *question,
    struct frame *answer)
{
	return read_answer(control, link_write_blocking(control->fd,
	    IMSG_CTL_PROBE_REQ, ++control->id, question, NULL, 0, -1),
	    IMSG_CTL_PROBE_ANS, answer);
}

int
ask_ctl_action(struct control *control, const struct w_ctl_action_req *action,
    uint64_t *count)
{
	const struct w_ctl_action_ans	*answer;
	struct frame			 frame;
	char				 text[WIRE_TEXT];
	size_t				 verdict;
	int				 code;

	*count = 0;
	code = read_answer(control, link_write_blocking(control->fd,
	    IMSG_CTL_ACTION_REQ, ++control->id, action, NULL, 0, -1),
	    IMSG_CTL_ACTION_ANS, &frame);
	if (code != EX_OK)
		return code;
	answer = frame.payload;
	*count = answer->count;
	verdict = verdict_of(answer->verdict);
	(void)strlcpy(text, answer->text, sizeof(text));
	record_clean(text);
	if (verdict != CTL_OK)
		warnx("%s%s%s", verdicts[verdict].text,
		    text[0] != '\0' ? ": " : "", text);
	else if (text[0] != '\0')
		printf("%s\n", text);
	return verdicts[verdict].code;
}

void
control_print(const struct frame *frame)
{
	const char	*text = frame->tail;
	size_t		 length = frame->tail_length;

	if (length > 0 && text[length - 1] == '\0')
		length--;
	record_lines(stdout, text, length);
	if (length > 0 && text[length - 1] != '\n')
		putchar('\n');
}
