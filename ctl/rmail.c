/*
 * rmail: mail that UUCP brought.  Its sender stands in From_ lines before the
 * message: "From user date remote from host".
 */

#include <string.h>

#include "ctl.h"

int
rmail_sender(const char *line, char *sender, size_t size)
{
	const char	*user, *host, *bang;
	size_t		 user_length, host_length;

	user = line + (line[0] == '>') + strlen("From ");
	user_length = strcspn(user, " \t");
	if (user_length == 0)
		return -1;
	host = strstr(user, "remote from ");
	if (host == NULL || memchr(user, '@', user_length) != NULL) {
		snprintf(sender, size, "%.*s", (int)user_length, user);
		return 0;
	}
	host += strlen("remote from ");
	host_length = strcspn(host, " \t");
	/* Of a path a!b!user, the last host is where the user is. */
	if ((bang = memrchr(user, '!', user_length)) != NULL) {
		host = user;
		while (memchr(host, '!', bang - host) != NULL)
			host = strchr(host, '!') + 1;
		host_length = bang - host;
		user_length -= bang + 1 - user;
		user = bang + 1;
	}
	snprintf(sender, size, "%.*s@%.*s", (int)user_length, user,
	    (int)host_length, host);
	return 0;
}

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
