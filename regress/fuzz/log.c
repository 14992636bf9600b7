/* links: common/log.c common/log_sink.c common/queueid.c common/clock.c */
/*
 * The log: whatever a value holds, an event is one line of printable ASCII;
 * and every line comes through whole, in order, over a descriptor that takes
 * as little at a time as it likes.
 */
#include <sys/mman.h>
#include <sys/syscall.h>

#include <errno.h>
#include <unistd.h>

#include "fuzz.h"
#include "log.h"

#define EVENTS	32

static struct {
	int	 fd;
	char	*text;			/* that was written */
	size_t	 length;
	struct fuzz_input takes;	/* so much at a time */
} file = { .fd = -1 };

/* Of our descriptor only as much is taken as the input says. */
ssize_t
write(int fd, const void *text, size_t length)
{
	size_t n = length;

	if (fd == -1 || fd != file.fd)
		return syscall(SYS_write, fd, text, length);
	if (file.takes.left > 0) {
		n = fuzz_byte(&file.takes);
		if (n == 0) {
			errno = EAGAIN;
			return -1;
		}
		n = n < length ? n : length;
	}
	file.text = fuzz_need(realloc(file.text, file.length + n + 1));
	memcpy(file.text + file.length, text, n);
	file.length += n;
	file.text[file.length] = '\0';
	return (ssize_t)n;
}

/* Every event has a whole line, in order; what else there is was torn. */
static void
check(size_t events)
{
	char *line, *end, *next, wanted[32];
	size_t found = 0, i;

	for (i = 0; i < file.length; i++)
		require(file.text[i] == '\n' || (file.text[i] >= ' ' &&
		    file.text[i] <= '~'));
	require(file.length == 0 || file.text[file.length - 1] == '\n');
	for (line = file.text; found < events; line = next) {
		require(line != NULL && *line != '\0');
		end = strchr(line, '\n');
		require(end != NULL);
		next = end + 1;
		*end = '\0';
		(void)snprintf(wanted, sizeof(wanted), " end=%zu", found);
		if (strlen(line) > strlen(wanted) &&
		    strcmp(end - strlen(wanted), wanted) == 0 &&
		    strstr(line, " fuzz key=") != NULL)
			found++;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	size_t events = 0, takes = fuzz_byte(&in);
	char *value;

	file.takes.at = in.at;
	file.takes.left = takes < in.left ? takes : in.left;
	in.at += file.takes.left;
	in.left -= file.takes.left;
	file.fd = memfd_create("fuzz", MFD_CLOEXEC);
	require(file.fd != -1);
	log_start("fuzz", false);
	log_to(file.fd, LOG_TO_FILE, "fuzz", 0, "mx.test", false);
	while (in.left > 0 && events < EVENTS) {
		value = fuzz_line(&in);
		log_begin(LOG_INFO, "fuzz");
		log_string("key", value);
		log_number("end", (long long)events++);
		log_end();
		log_flush();
		free(value);
	}
	file.takes.left = 0;
	log_flush();
	require(!log_waiting());
	check(events);
	/* Taken and closed by the next one. */
	free(file.text);
	file.text = NULL;
	file.length = 0;
	return 0;
}
