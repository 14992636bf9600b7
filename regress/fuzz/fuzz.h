/*
 * What the harnesses share.  A harness is one function over octets: it takes
 * an input apart, hands it to the code under test and insists on what must
 * hold.  make fuzz links it with libFuzzer, make unit with replay.c.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* What does not hold is a finding, in every build. */
#define require(condition) \
	((condition) ? (void)0 : fuzz_failed(#condition, __FILE__, __LINE__))

__attribute__((noreturn))
static inline void
fuzz_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}

static inline void *
fuzz_need(void *memory)
{
	require(memory != NULL);
	return memory;
}

/* An input while it is taken apart; what is not there is 0 or "". */
struct fuzz_input {
	const uint8_t	*at;
	size_t		 left;
};

static inline uint8_t
fuzz_byte(struct fuzz_input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->at++;
}

static inline uint32_t
fuzz_number(struct fuzz_input *in)
{
	uint32_t n = 0;
	int i;

	for (i = 0; i < 4; i++)
		n = n << 8 | fuzz_byte(in);
	return n;
}

/*
 * A line of the input, without its LF, as a string of its own memory: an
 * octet too many is seen.  It ends at a NUL within it, too.
 */
static inline char *
fuzz_line(struct fuzz_input *in)
{
	const uint8_t *lf = in->left == 0 ? NULL :
	    memchr(in->at, '\n', in->left);
	size_t length = lf != NULL ? (size_t)(lf - in->at) : in->left;
	char *text = fuzz_need(malloc(length + 1));

	if (length > 0)
		memcpy(text, in->at, length);
	text[length] = '\0';
	in->at += length + (lf != NULL);
	in->left -= length + (lf != NULL);
	return fuzz_need(realloc(text, strlen(text) + 1));
}

/* All that is left, as one string of its own memory. */
static inline char *
fuzz_rest(struct fuzz_input *in)
{
	char *text = fuzz_need(malloc(in->left + 1));

	if (in->left > 0)
		memcpy(text, in->at, in->left);
	text[in->left] = '\0';
	in->at += in->left;
	in->left = 0;
	return fuzz_need(realloc(text, strlen(text) + 1));
}

/* A string in an array of that size, cut to fit. */
static inline void
fuzz_fill(struct fuzz_input *in, char *to, size_t size)
{
	char *line = fuzz_line(in);

	snprintf(to, size, "%s", line);
	free(line);
}

/*
 * The lowest 64 descriptors that are open, a bit each: where none leaks they
 * stay the same.
 */
static inline uint64_t
fuzz_descriptors(void)
{
	uint64_t open = 0;
	int fd;

	for (fd = 0; fd < 64; fd++)
		if (fcntl(fd, F_GETFD) != -1)
			open |= UINT64_C(1) << fd;
	return open;
}

/* Is it printable ASCII, blanks included? */
static inline bool
fuzz_is_printable(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

/* Hand over the lines that are left, so many at most. */
static inline void
fuzz_lines(struct fuzz_input *in, size_t most, void (*take)(char *))
{
	char *line;

	for (; in->left > 0 && most > 0; most--) {
		line = fuzz_line(in);
		take(line);
		free(line);
	}
}

#endif
