/*
 * Where a message goes while nobody takes it: the drop directory, or the
 * sender's own dead.letter.
 */

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include "dropfile.h"

/* Write to a stream; the form message_copy() wants. */
static int
write_stream(void *argument, const char *text, size_t length)
{
	FILE	*file = argument;

	return fwrite(text, 1, length, file) == length ? 0 : -1;
}

/* Set a value of the envelope; one that does not fit is left out. */
static void
set_value(char *to, size_t size, const char *value)
{
	if (value != NULL && strlen(value) < size)
		memcpy(to, value, strlen(value) + 1);
}

/* Is this recipient to be tried again later? */
static bool
is_pending(const struct recipient *recipient)
{
	return recipient->code / 100 != 2 && recipient->code / 100 != 5;
}

int
drop_keep(const struct place *place, const struct message *message,
    const struct envelope *envelope)
{
	struct dropfile	 drop;
	FILE		*file = NULL;
	int		 result = -1;

	memset(&drop, 0, sizeof(drop));
	set_value(drop.sender, sizeof(drop.sender), envelope->sender);
	set_value(drop.notify, sizeof(drop.notify), envelope->notify);
	set_value(drop.ret, sizeof(drop.ret), envelope->ret);
	set_value(drop.envid, sizeof(drop.envid), envelope->envid);
	drop.eight_bit = envelope->eight_bit;
	drop.recipients = calloc(envelope->count, sizeof(char *));
	if (drop.recipients == NULL)
		return -1;
	for (size_t i = 0; i < envelope->count; i++)
		if (is_pending(&envelope->recipients[i]))
			drop.recipients[drop.count++] =
			    envelope->recipients[i].address;

	if ((file = dropfile_create(place->drop, &drop)) == NULL)
		goto out;
	if (message_copy(message, FORM_PLAIN, write_stream, file) == -1) {
		dropfile_abandon(file);
		goto out;
	}
	result = dropfile_commit(file, place->drop);
out:
	free(drop.recipients);
	return result;
}

/* Open ~/dead.letter to append to: a file of the caller's own. */
static FILE *
open_dead_letter(const struct identity *identity)
{
	struct stat	 st;
	char		 path[PATH_MAX + 16];
	FILE		*file;
	int		 fd;

	if (identity->home[0] == '\0')
		return NULL;
	snprintf(path, sizeof(path), "%s/dead.letter", identity->home);
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW |
	    O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd == -1)
		return NULL;
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    st.st_uid != geteuid() || (file = fdopen(fd, "a")) == NULL) {
		close(fd);
		return NULL;
	}
	return file;
}

int
drop_dead_letter(const struct identity *identity,
    const struct message *message)
{
	time_t	 now = time(NULL);
	FILE	*file;
	char	 date[32];
	int	 result = 0;

	if ((file = open_dead_letter(identity)) == NULL)
		return -1;
	fprintf(file, "From %s %s", identity->login, ctime_r(&now, date));
	if (message_copy(message, FORM_UNIX, write_stream, file) == -1 ||
	    putc('\n', file) == EOF || fflush(file) == EOF ||
	    fsync(fileno(file)) == -1)
		result = -1;
	if (fclose(file) == EOF)
		result = -1;
	return result;
}
