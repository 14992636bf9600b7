/*
 * The body of a message as it comes behind DATA: dots unstuffed, its end
 * found.  Pure.
 *
 * Only CR LF ends a line and only CR LF . CR LF ends the message (RFC 5321
 * 2.3.8, 4.1.1.4).  A CR or LF by itself, or a NUL, is noted, and never
 * taken for either; whoever refuses the message for it stays in step.
 *
 *   START  "."  -> DOT      CR -> CR      else -> TEXT
 *   TEXT   CR   -> CR                     else -> TEXT
 *   CR     LF   -> START    CR -> CR      else -> TEXT (bare CR)
 *   DOT    CR   -> DOT_CR                 else -> TEXT (dot dropped)
 *   DOT_CR LF   -> END      CR -> CR      else -> TEXT (bare CR)
 */
#include <string.h>

#include "smtpd.h"

#define RUN	256	/* octets searched at a time */

/*
 * Copy what is neither CR, LF nor NUL; returns how much.  Two of them are
 * nowhere in most lines, and memchr(3) sees many octets at a time; how far
 * it looks ahead is bounded, or many LF without a CR would cost a lot.
 */
static size_t
copy_text(struct dotread *dots, const char *in, size_t length, char *out)
{
	static const char special[] = { '\r', '\n', '\0' };
	const char *found;
	size_t i;

	if (length > RUN)
		length = RUN;
	for (i = 0; i < sizeof(special); i++)
		if ((found = memchr(in, special[i], length)) != NULL)
			length = (size_t)(found - in);
	memcpy(out, in, length);
	dots->column += length;
	if (dots->line_length != 0 && dots->column > dots->line_length)
		dots->long_line = true;
	return length;
}

/* One octet that is not behind a CR; returns what it adds to out. */
static size_t
plain_octet(struct dotread *dots, char c, char *out)
{
	if (c == '\r') {
		dots->state = DOTREAD_CR;
		return 0;
	}
	if (c == '\n' || c == '\0')
		dots->bare = true;
	dots->state = DOTREAD_TEXT;
	dots->column++;
	*out = c;
	return 1;
}

/* One octet behind a CR that was held back. */
static size_t
behind_cr(struct dotread *dots, char c, char *out)
{
	if (c == '\n') {
		out[0] = '\r';
		out[1] = '\n';
		dots->state = DOTREAD_START;
		dots->column = 0;
		return 2;
	}
	dots->bare = true;
	out[0] = '\r';
	dots->column++;
	return 1 + plain_octet(dots, c, out + 1);
}

static size_t
one_octet(struct dotread *dots, char c, char *out)
{
	switch (dots->state) {
	case DOTREAD_START:
		if (c == '.') {
			dots->state = DOTREAD_DOT;
			return 0;
		}
		return plain_octet(dots, c, out);
	case DOTREAD_DOT:
		if (c == '\r') {
			dots->state = DOTREAD_DOT_CR;
			return 0;
		}
		return plain_octet(dots, c, out);
	case DOTREAD_DOT_CR:
		if (c == '\n') {
			dots->state = DOTREAD_END;
			return 0;
		}
		return behind_cr(dots, c, out);
	case DOTREAD_CR:
		return behind_cr(dots, c, out);
	default:
		return plain_octet(dots, c, out);
	}
}

size_t
dotread_decode(struct dotread *dots, const char *in, size_t in_length,
    char *out, size_t *out_length)
{
	size_t taken = 0, made = 0, run;

	while (taken < in_length && dots->state != DOTREAD_END) {
		if (dots->state == DOTREAD_TEXT) {
			run = copy_text(dots, in + taken, in_length - taken,
			    out + made);
			taken += run;
			made += run;
			if (taken == in_length)
				break;
		}
		made += one_octet(dots, in[taken++], out + made);
	}
	*out_length = made;
	return taken;
}
