/*
 * rmail: mail that UUCP brought.  Its sender stands in From_ lines before the
 * message: "From user date remote from host".
 */

#include "ctl.h"

int
rmail_main(int argc, char **argv)
{
	struct options	options;
	struct place	place;

	argv += options_take(argc, argv, &options);
	place_find(options.configuration, &place);
	options.dots_are_text = true;
	options.from_line = true;
	return sendmail_deliver(&place, &options, stdin, argv);
}
