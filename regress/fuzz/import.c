/* links: ctl/import.c ctl/envelope.c ctl/input.c ctl/message.c
 * common/header.c common/address.c common/log.c common/clock.c
 * common/queueid.c */
/*
 * Files of exported messages: what is submitted of one has a recipient, and
 * nothing in its envelope that would be a line or a word of its own.
 */
#include <sys/mman.h>

#include <err.h>
#include <err.h>
#include <stdarg.h>
#include <sysexits.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "fuzz.h"

void
warn(const char *format, ...)
{
	(void)format;
}

void
warnx(const char *format, ...)
{
	(void)format;
}

/* What identity.c makes of the account, played. */
void
identity_from(const char *name, const char *address, char *text, size_t size)
{
	(void)name;
	(void)snprintf(text, size, "From: %s\r\n", address);
}

int
outcome_exit_code(const struct recipient *recipient)
{
	return recipient->code == 0 ? EX_OK : EX_UNAVAILABLE;
}

/* No line's end anywhere; a parameter is one word. */
static void
check_text(const char *text, const char *forbidden)
{
	require(text == NULL || strpbrk(text, forbidden) == NULL);
}

static int
collect(void *argument, const char *text, size_t length)
{
	return fwrite(text, 1, length, argument) == length ? 0 : -1;
}

void
submit(const struct place *place, const struct message *message,
    struct envelope *envelope, bool verbose)
{
	const struct recipient *recipient;
	char *text = NULL;
	size_t length, i;
	FILE *out = fuzz_need(open_memstream(&text, &length));

	(void)place;
	require(!verbose && envelope->count > 0);
	check_text(envelope->sender, "\r\n");
	check_text(envelope->envid, "\r\n \t");
	for (i = 0; i < envelope->count; i++) {
		recipient = &envelope->recipients[i];
		check_text(recipient->address, "\r\n");
		check_text(recipient->orcpt, "\r\n \t");
	}
	require(message_copy(message, FORM_SMTP, collect, out) == 0);
	require(fclose(out) == 0);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct place place;
	char path[32], *words[2] = { path, NULL };
	int fd = memfd_create("fuzz", MFD_CLOEXEC), code;

	require(fd != -1 && write(fd, data, size) == (ssize_t)size);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	code = import_messages(&place, words);
	require(code == EX_OK || code == EX_DATAERR ||
	    code == EX_UNAVAILABLE);
	require(close(fd) == 0);
	return 0;
}
