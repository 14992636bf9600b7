/*
 * Messages out of the queue, each into one file that holds its envelope, too.
 * spoold composes what stands in it.
 */

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "ctl.h"
#include "queueid.h"

/* Copy one message to a stream; returns an exit code. */
static int
export_stream(struct control *control, uint64_t id, FILE *out)
{
	static const int		 codes[] = {
		[CTL_OK] = EX_OK, [CTL_NO_SUCH] = EX_NOINPUT,
		[CTL_DENIED] = EX_NOPERM, [CTL_TOO_SOON] = EX_TEMPFAIL,
		[CTL_ERROR] = EX_SOFTWARE
	};
	struct w_ctl_read_req		 ask = { .id = id, .offset = 0 };
	const struct w_ctl_read_ans	*piece;
	struct frame			 frame;
	uint64_t			 size;
	int				 code;

	do {
		code = ask_ctl_read(control, &ask, &frame);
		if (code != EX_OK)
			return code;
		piece = frame.payload;
		if (piece->verdict != CTL_OK)
			return piece->verdict < CTL_OK ||
			    piece->verdict > CTL_ERROR ? EX_PROTOCOL :
			    codes[piece->verdict];
		if (fwrite(frame.tail, 1, frame.tail_length, out) !=
		    frame.tail_length)
			return EX_IOERR;
		ask.offset += frame.tail_length;
		size = piece->size;
	} while (ask.offset < size && frame.tail_length > 0);
	return ask.offset == size ? EX_OK : EX_PROTOCOL;
}

/* Export one message to a new file in a directory, whole or not at all. */
static int
export_file(struct control *control, uint64_t id, const char *directory)
{
	char	 path[PATH_MAX], name[QUEUEID_LENGTH + 1];
	FILE	*out;
	int	 fd, code;

	snprintf(path, sizeof(path), "%s/%s", directory,
	    queueid_print(id, name));
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1 || (out = fdopen(fd, "w")) == NULL) {
		warn("%s", path);
		if (fd != -1)
			close(fd);
		return EX_CANTCREAT;
	}
	code = export_stream(control, id, out);
	if (code == EX_OK && (fflush(out) == EOF || fsync(fd) == -1))
		code = EX_IOERR;
	fclose(out);
	if (code != EX_OK) {
		warnx("%s: not exported", name);
		unlink(path);
	}
	return code;
}

/* Take the ids in a page; returns how many, at most size. */
static size_t
page_ids(const struct frame *frame, uint64_t *ids, size_t size)
{
	const struct w_ctl_list_ans	*page = frame->payload;
	const struct w_ctl_message	*message;
	const char			*at = frame->tail;
	size_t				 left = frame->tail_length, need, n;

	for (n = 0; n < page->count && n < size; n++) {
		message = (const void *)at;
		if (left < sizeof(*message))
			break;
		need = sizeof(*message) + message->recipients *
		    sizeof(struct w_ctl_recipient);
		if (need > left)
			break;
		ids[n] = message->id;
		at += need;
		left -= need;
	}
	return n;
}

static int
export_all(struct control *control, const char *directory)
{
	struct w_ctl_list_req		 ask;
	const struct w_ctl_list_ans	*page;
	struct frame			 frame;
	uint64_t			 ids[1024], exported = 0;
	size_t				 count;
	int				 code, worst = EX_OK;

	memset(&ask, 0, sizeof(ask));
	do {
		code = ask_ctl_list(control, &ask, &frame);
		if (code != EX_OK)
			return code;
		page = frame.payload;
		count = page_ids(&frame, ids,
		    sizeof(ids) / sizeof(ids[0]));
		ask.after = count < page->count && count > 0 ?
		    ids[count - 1] : page->next;
		for (size_t i = 0; i < count; i++) {
			code = export_file(control, ids[i], directory);
			/* What was delivered meanwhile is not missed. */
			if (code == EX_OK)
				exported++;
			else if (code != EX_NOINPUT)
				worst = code;
		}
	} while (ask.after != 0);
	printf("%" PRIu64 " message%s exported\n", exported,
	    exported == 1 ? "" : "s");
	return worst;
}

int
export_messages(const struct place *place, char **words)
{
	struct control	control;
	uint64_t	id;
	int		code, worst = EX_OK;

	if ((code = control_open(place, &control)) != EX_OK)
		return code;
	if (strcmp(words[0], "all") == 0)
		worst = export_all(&control, words[1] != NULL ? words[1] :
		    ".");
	else if (words[1] == NULL && queueid_parse(words[0], &id) == 0) {
		worst = export_stream(&control, id, stdout);
		if (worst == EX_OK && fflush(stdout) == EOF)
			worst = EX_IOERR;
		if (worst != EX_OK)
			warnx("%s: not exported", words[0]);
	} else {
		for (; *words != NULL; words++) {
			if (queueid_parse(*words, &id) == -1) {
				warnx("%s is no queue id", *words);
				worst = EX_USAGE;
				continue;
			}
			code = export_file(&control, id, ".");
			if (code != EX_OK)
				worst = code;
		}
	}
	control_close(&control);
	return worst;
}
