/*
 * A message on its way into DATA: every line ends with CRLF and no CR or LF
 * stands elsewhere, a dot at the start of a line is doubled, and a line
 * longer than RFC 5321 4.5.3.1.6 allows is broken, in the header so that it
 * can be unfolded again.
 */
#include <string.h>

#include "relay.h"

#define LINE_MAX_OCTETS	998	/* without its CRLF */

void
body_start(struct body *body)
{
	memset(body, 0, sizeof(*body));
	body->in_header = true;
}

static void
end_line(struct body *body, struct evbuffer *out)
{
	if (body->column == 0)
		body->in_header = false;
	evbuffer_add(out, "\r\n", 2);
	body->column = 0;
}

/* Break a line that is full, before what follows. */
static void
break_line(struct body *body, struct evbuffer *out)
{
	body->broken++;
	if (body->in_header) {
		evbuffer_add(out, "\r\n ", 3);
		body->column = 1;
	} else {
		evbuffer_add(out, "\r\n", 2);
		body->column = 0;
	}
}

/* Octets of one line, none of them CR or LF. */
static void
add_octets(struct body *body, struct evbuffer *out, const char *p, size_t n)
{
	size_t piece;

	while (n > 0) {
		if (body->column == LINE_MAX_OCTETS)
			break_line(body, out);
		if (body->column == 0 && *p == '.')
			evbuffer_add(out, ".", 1);
		piece = LINE_MAX_OCTETS - body->column;
		if (piece > n)
			piece = n;
		evbuffer_add(out, p, piece);
		body->column += piece;
		p += piece;
		n -= piece;
	}
}

/* Where the next CR or LF is, or the end. */
static size_t
span_of_line(const char *p, size_t n)
{
	const char *lf = memchr(p, '\n', n);
	const char *cr;

	if (lf != NULL)
		n = (size_t)(lf - p);
	cr = memchr(p, '\r', n);
	return cr != NULL ? (size_t)(cr - p) : n;
}

/*
 * Add octets of the message, as they come.
 */
void
body_add(struct body *body, struct evbuffer *out, const char *p, size_t n)
{
	size_t span;

	while (n > 0) {
		if (body->cr) {
			/* A CR ends a line, with the LF behind it if any. */
			body->cr = false;
			end_line(body, out);
			if (*p == '\n') {
				p++;
				n--;
				continue;
			}
		}
		span = span_of_line(p, n);
		add_octets(body, out, p, span);
		p += span;
		n -= span;
		if (n == 0)
			break;
		if (*p == '\r')
			body->cr = true;
		else
			end_line(body, out);
		p++;
		n--;
	}
}

/*
 * That was all: end the last line and the message.
 */
void
body_end(struct body *body, struct evbuffer *out)
{
	if (body->cr || body->column > 0)
		end_line(body, out);
	body->cr = false;
	evbuffer_add(out, ".\r\n", 3);
}
