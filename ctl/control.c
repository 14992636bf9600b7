/*
 * Questions to spoold over the control socket: one at a time, one answer each.
 */

#include <errno.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "ctl.h"

#define CONNECT_MILLISECONDS	5000

int
control_open(const struct place *place, struct control *control)
{
	control->id = 0;
	control->fd = connect_to(place->control, CONNECT_MILLISECONDS);
	if (control->fd != -1)
		return EX_OK;
	fprintf(stderr, "postctl: %s: %s%s\n", place->control,
	    strerror(errno), errno == ENOENT || errno == ECONNREFUSED ?
	    ": is postmaster(8) running?" : "");
	return errno == EACCES ? EX_NOPERM : EX_UNAVAILABLE;
}

void
control_close(struct control *control)
{
	if (control->fd != -1)
		close(control->fd);
	control->fd = -1;
}

int
control_ask(struct control *control, enum imsg_type type,
    const void *question, struct frame *answer)
{
	const char	*why = NULL;

	if (link_write_blocking(control->fd, type, ++control->id, question,
	    NULL, 0, -1) == -1) {
		fprintf(stderr, "postctl: asking the queue: %s\n",
		    strerror(errno));
		return EX_UNAVAILABLE;
	}
	if (link_read_blocking(control->fd, PROC_CTL, PROC_SPOOLD, answer, -1,
	    &why) == -1) {
		fprintf(stderr, "postctl: no answer from the queue: %s\n",
		    why);
		return EX_UNAVAILABLE;
	}
	if (answer->type != wire_row(type)->answer ||
	    answer->id != control->id) {
		fprintf(stderr, "postctl: the answer is to another question\n");
		return EX_PROTOCOL;
	}
	return EX_OK;
}

int
control_act(struct control *control, const struct w_ctl_action_req *action,
    uint64_t *count)
{
	static const struct {
		const char	*text;
		int		 code;
	} verdicts[] = {
		[CTL_OK] = { NULL, EX_OK },
		[CTL_NO_SUCH] = { "there is no such message", EX_NOINPUT },
		[CTL_DENIED] = { "you may not do this", EX_NOPERM },
		[CTL_TOO_SOON] = { "too soon after the last time",
		    EX_TEMPFAIL },
		[CTL_ERROR] = { "it went wrong", EX_SOFTWARE },
	};
	const struct w_ctl_action_ans	*answer;
	struct frame			 frame;
	size_t				 verdict;
	int				 code;

	*count = 0;
	code = control_ask(control, IMSG_CTL_ACTION_REQ, action, &frame);
	if (code != EX_OK)
		return code;
	answer = frame.payload;
	*count = answer->count;
	verdict = answer->verdict;
	if (verdict < CTL_OK || verdict > CTL_ERROR)
		verdict = CTL_ERROR;
	if (verdict != CTL_OK)
		fprintf(stderr, "postctl: %s%s%s\n", verdicts[verdict].text,
		    answer->text[0] != '\0' ? ": " : "", answer->text);
	else if (answer->text[0] != '\0')
		printf("%s\n", answer->text);
	return verdicts[verdict].code;
}

void
control_print(const struct frame *frame)
{
	const char	*text = frame->tail;
	size_t		 length = frame->tail_length;

	if (length > 0 && text[length - 1] == '\0')
		length--;
	fwrite(text, 1, length, stdout);
	if (length > 0 && text[length - 1] != '\n')
		putchar('\n');
}
