/*
 * A dialogue with a server written down for the operator.  Bounded, whatever
 * the server says.
 */
#include <stdarg.h>
#include <stdio.h>

#include "printable.h"
#include "relay.h"

#define LINE_MAX_OCTETS	1024

/*
 * Add a line: a mark, then the text with all but printable octets as ?.  No
 * file is no transcript.
 */
void
transcript(FILE *file, const char *mark, const char *format, ...)
{
	char text[LINE_MAX_OCTETS];
	va_list ap;
	long length;

	if (file == NULL || (length = ftell(file)) >= TRANSCRIPT_MAX)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	make_printable(text);
	fprintf(file, "%s %s\n", mark, text);
	if (ftell(file) >= TRANSCRIPT_MAX)
		fprintf(file, "=== what follows is left out\n");
}
