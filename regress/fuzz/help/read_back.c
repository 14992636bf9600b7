/*
 * The reader of DATA, apart: the names of smtpd.h are also those of relay.h.
 */
#include "read_back.h"
#include "smtpd/smtpd.h"

struct read_back
read_back(const char *text, size_t length, char *out)
{
	struct dotread dots = { .line_length = 998 };
	struct read_back result;

	result.taken = dotread_decode(&dots, text, length, out, &result.made);
	result.ended = dots.state == DOTREAD_END;
	result.bare = dots.bare;
	result.long_line = dots.long_line;
	return result;
}
