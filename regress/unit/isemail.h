/*
 * Reading the isemail collection of addresses, which is XML with one <test>
 * each; where it lies, ISEMAIL_TESTS says.
 */
#ifndef ISEMAIL_H
#define ISEMAIL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One character of XML text in UTF-8; U+2400+n is the control n. */
static const char *
isemail_decode(const char *p, char **out)
{
	static const struct { const char *name; char c; } entities[] = {
	    { "&lt;", '<' }, { "&gt;", '>' }, { "&amp;", '&' },
	    { "&quot;", '"' }, { "&apos;", '\'' } };
	unsigned char a = (unsigned char)p[0], b = (unsigned char)p[1];
	unsigned long number;
	char *end;
	size_t i;

	if (a == 0xe2 && (b == 0x90 || b == 0x91)) {
		*(*out)++ = (char)(((b & 1) << 6) |
		    ((unsigned char)p[2] & 0x3f));
		return p + 3;
	}
	if (strncmp(p, "&#", 2) == 0) {
		number = p[2] == 'x' ? strtoul(p + 3, &end, 16) :
		    strtoul(p + 2, &end, 10);
		*(*out)++ = (char)(number >= 0x2400 && number < 0x2480 ?
		    number - 0x2400 : number < 0x80 ? number : 0xff);
		return *end == ';' ? end + 1 : end;
	}
	for (i = 0; i < sizeof(entities) / sizeof(entities[0]); i++)
		if (strncmp(p, entities[i].name,
		    strlen(entities[i].name)) == 0) {
			*(*out)++ = entities[i].c;
			return p + strlen(entities[i].name);
		}
	*(*out)++ = *p;
	return p + 1;
}

/* The text of the next <tag>...</tag> in a test; its length, or 0. */
static size_t
isemail_element(const char *test, const char *tag, char *out, size_t size)
{
	char open[64], close[64], *start = out;
	const char *p, *end;

	(void)snprintf(open, sizeof(open), "<%s>", tag);
	(void)snprintf(close, sizeof(close), "</%s>", tag);
	*out = '\0';
	if ((p = strstr(test, open)) == NULL ||
	    (end = strstr(p, close)) == NULL)
		return 0;
	for (p += strlen(open); p < end && out < start + size - 1;)
		p = isemail_decode(p, &out);
	*out = '\0';
	return (size_t)(out - start);
}

/* The file whole, from malloc(3); NULL if it is not there. */
static char *
isemail_file(void)
{
	const char *path = getenv("ISEMAIL_TESTS");
	char *text = NULL;
	FILE *file;
	long size;

	if (path == NULL)
		path = "../shared/data/isemail/tests.xml";
	if ((file = fopen(path, "r")) == NULL)
		return NULL;
	if (fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) > 0 &&
	    (text = calloc(1, (size_t)size + 1)) != NULL) {
		rewind(file);
		if (fread(text, 1, (size_t)size, file) != (size_t)size) {
			free(text);
			text = NULL;
		}
	}
	(void)fclose(file);
	return text;
}

/* The name of the test that needs it, as TAP says that it is skipped. */
static const char *
isemail_name(void)
{
	char *text = isemail_file();

	free(text);
	return text != NULL ? "isemail" :
	    "isemail # SKIP no collection; ISEMAIL_TESTS may name it";
}

#endif
