/*
 * Strings of JSON, RFC 8259; octets that are no UTF-8 are shown as U+FFFD.
 */

#include <string.h>

#include "ctl.h"

/* How many octets the UTF-8 character at text has; 0 if it is none. */
static size_t
character_length(const unsigned char *text)
{
	static const struct {
		unsigned char	first, last;	/* range of the first octet */
		unsigned char	low, high;	/* and of the second */
		size_t		length;
	} forms[] = {
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	if (text[0] < 0x80)
		return 1;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (text[0] < forms[i].first || text[0] > forms[i].last)
			continue;
		if (text[1] < forms[i].low || text[1] > forms[i].high)
			return 0;
		for (size_t j = 2; j < forms[i].length; j++)
			if ((text[j] & 0xc0) != 0x80)
				return 0;
		return forms[i].length;
	}
	return 0;
}

void
json_string(FILE *out, const char *string)
{
	const unsigned char	*at = (const unsigned char *)string;
	size_t			 length;

	putc('"', out);
	for (; *at != '\0'; at += length) {
		if ((length = character_length(at)) == 0) {
			fputs("\\ufffd", out);
			length = 1;
		} else if (*at == '"' || *at == '\\')
			fprintf(out, "\\%c", *at);
		else if (*at < ' ' || *at == 127)
			fprintf(out, "\\u%04x", *at);
		else
			fwrite(at, 1, length, out);
	}
	putc('"', out);
}
