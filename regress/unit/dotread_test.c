/* links: smtpd/dotread.c smtpd/hops.c */
/*
 * The end of a message, dots, bare octets, hops: the same however the
 * octets are cut into parts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "smtpd/smtpd.h"

#define ALL	((size_t)-1)	/* the whole input is taken */

struct sample {
	const char	*in;
	size_t		 length;	/* of it */
	const char	*out;		/* NULL: bare, whatever it comes to */
	size_t		 taken;
	bool		 ends;
};

#define IN(text)	text, sizeof(text) - 1

static const struct sample samples[] = {
	{ IN(".\r\n"), "", ALL, true },
	{ IN("a\r\n.\r\n"), "a\r\n", ALL, true },
	{ IN("a\r\n.\r\nQUIT\r\n"), "a\r\n", 6, true },
	{ IN("..\r\n.\r\n"), ".\r\n", ALL, true },
	{ IN("..a\r\n...\r\n.b\r\n.\r\n"), ".a\r\n..\r\nb\r\n", ALL, true },
	{ IN("a.\r\n.\r\n"), "a.\r\n", ALL, true },
	{ IN("\r\n\r\n.\r\n"), "\r\n\r\n", ALL, true },
	{ IN("a\r\n"), "a\r\n", ALL, false },
	{ IN("a\n.\n"), NULL, ALL, false },
	{ IN("a\n.\r\n"), NULL, ALL, false },
	{ IN("a\r\n.\n"), NULL, ALL, false },
	{ IN("a\r.\r\n"), NULL, ALL, false },
	{ IN("a\r\n.\r.\r\n"), NULL, ALL, false },
	{ IN("a\r\n\n.\r\n"), NULL, ALL, false },
	{ IN("a\r\r\n.\r\n"), NULL, ALL, true },
	{ IN("a\0\r\n.\r\n"), NULL, ALL, true },
	{ IN("a\r\n.\r\r\n.\r\n"), NULL, ALL, true },
};

/* Decode in parts of this size; returns how much was taken. */
static size_t
decode(struct dotread *dots, const struct sample *sample, size_t part,
    char *out)
{
	size_t taken = 0, made, total = 0, n;

	while (taken < sample->length && dots->state != DOTREAD_END) {
		n = sample->length - taken < part ? sample->length - taken :
		    part;
		taken += dotread_decode(dots, sample->in + taken, n,
		    out + total, &made);
		total += made;
	}
	out[total] = '\0';
	return taken;
}

static void
test_samples(void **state)
{
	const struct sample *sample;
	struct dotread dots;
	char out[64];
	size_t i, part, taken;

	(void)state;
	for (i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
		for (part = 1; part <= samples[i].length; part++) {
			sample = &samples[i];
			memset(&dots, 0, sizeof(dots));
			taken = decode(&dots, sample, part, out);
			assert_int_equal(taken, sample->taken == ALL ?
			    sample->length : sample->taken);
			assert_int_equal(dots.state == DOTREAD_END,
			    sample->ends);
			assert_int_equal(dots.bare, sample->out == NULL);
			if (sample->out != NULL)
				assert_string_equal(out, sample->out);
		}
}

static void
test_line_length(void **state)
{
	static const struct sample fits = { IN("12345\r\n.\r\n"), NULL, 0,
	    true };
	static const struct sample dot = { IN(".12345\r\n.\r\n"), NULL, 0,
	    true };
	static const struct sample long_one = { IN("123456\r\n.\r\n"), NULL,
	    0, true };
	struct dotread dots;
	char out[64];
	size_t part;

	(void)state;
	for (part = 1; part < 8; part++) {
		memset(&dots, 0, sizeof(dots));
		dots.line_length = 5;
		(void)decode(&dots, &fits, part, out);
		assert_false(dots.long_line);
		memset(&dots, 0, sizeof(dots));
		dots.line_length = 5;
		(void)decode(&dots, &dot, part, out);
		assert_false(dots.long_line);
		memset(&dots, 0, sizeof(dots));
		dots.line_length = 5;
		(void)decode(&dots, &long_one, part, out);
		assert_true(dots.long_line);
	}
}

static void
test_hops(void **state)
{
	static const char header[] = "Received: a\r\n\tb\r\nX-Received: c\r\n"
	    "RECEIVED:d\r\nReceive: e\r\n Received: f\r\nreceived : g\r\n"
	    "\r\nReceived: h\r\n";
	struct hops hops;
	size_t part, at, n;

	(void)state;
	for (part = 1; part < sizeof(header); part++) {
		memset(&hops, 0, sizeof(hops));
		for (at = 0; at < sizeof(header) - 1; at += n) {
			n = sizeof(header) - 1 - at;
			if (n > part)
				n = part;
			hops_count(&hops, header + at, n);
		}
		assert_int_equal(hops.count, 2);
		assert_true(hops.ended);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_line_length),
		cmocka_unit_test(test_hops),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
