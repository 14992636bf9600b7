/* links: ctl/record.c ctl/json.c common/clock.c */
/*
 * What spoold tells postctl: for people no octet that a terminal takes for a
 * command, as JSON one line that is well-formed, whatever it was.
 */
#include "ctl/ctl.h"
#include "fuzz.h"

/* Behind the value at p, or NULL if it is none. */
static const char *
skip_string(const char *p)
{
	for (p++; *p != '"'; p++) {
		if (*p == '\0' || (unsigned char)*p < ' ')
			return NULL;
		if (*p == '\\' && *++p == '\0')
			return NULL;
	}
	return p + 1;
}

static const char *
skip_value(const char *p)
{
	char close = *p == '{' ? '}' : ']';

	if (*p == '"')
		return skip_string(p);
	if (*p != '{' && *p != '[')
		return *p >= '0' && *p <= '9' ? p + strspn(p, "0123456789") :
		    NULL;
	if (p[1] == close)
		return p + 2;
	do {
		p += p[0] == ',' ? 2 : 1;
		if (close == '}' && (*p != '"' ||
		    (p = skip_string(p)) == NULL || *p != ':' ||
		    *++p != ' ' || *++p == '\0'))
			return NULL;
		if ((p = skip_value(p)) == NULL)
			return NULL;
	} while (*p == ',' && p[1] == ' ');
	return *p == close ? p + 1 : NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = NULL, *at;
	const char *end;
	size_t length;
	FILE *out = fuzz_need(open_memstream(&text, &length));

	record_print(out, (const char *)data, size, 1000000);
	require(fclose(out) == 0);
	for (at = text; at < text + length; at++)
		require((unsigned char)*at >= ' ' ? *at != 127 : *at == '\n');
	free(text);

	out = fuzz_need(open_memstream(&text, &length));
	record_json(out, (const char *)data, size);
	require(fclose(out) == 0);
	require(strlen(text) == length && text[0] == '{');
	end = skip_value(text);
	require(end != NULL && strcmp(end, "\n") == 0);
	free(text);
	return 0;
}
