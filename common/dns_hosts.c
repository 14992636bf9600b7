/*
 * A copy of /etc/hosts: in the jail there is none.
 */
#include <sys/queue.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns_hosts.h"
#include "log.h"

/* A line's name, with its address. */
struct known {
	STAILQ_ENTRY(known) entry;
	struct netaddr	 address;
	char		 name[DNS_NAME];
};

static struct {
	STAILQ_HEAD(, known) list;
} hosts = {
	.list = STAILQ_HEAD_INITIALIZER(hosts.list)
};

/* Take in one line: an address, then names. */
static void
read_line(char *line)
{
	struct netaddr address;
	struct known *known;
	char *word;

	line[strcspn(line, "#\n")] = '\0';
	if ((word = strsep(&line, " \t")) == NULL ||
	    netaddr_parse(word, &address) == -1)
		return;
	while ((word = strsep(&line, " \t")) != NULL) {
		if ((known = calloc(1, sizeof(*known))) == NULL)
			fatal("calloc");
		known->address = address;
		if (dns_name(word, known->name) == -1)
			free(known);
		else
			STAILQ_INSERT_TAIL(&hosts.list, known, entry);
	}
}

void
dns_hosts_read(void)
{
	FILE *file;
	char *line = NULL;
	size_t size = 0;

	if ((file = fopen("/etc/hosts", "re")) == NULL)
		return;
	while (getline(&line, &size, file) != -1)
		read_line(line);
	free(line);
	fclose(file);
}

struct dns_found *
dns_hosts_find(const char *name)
{
	struct dns_found *found = dns_found_new();
	struct netaddr address;
	struct known *known;

	strlcpy(found->name, name, sizeof(found->name));
	if (netaddr_parse(name, &address) == 0)
		dns_found_add(found, &address);
	else
		STAILQ_FOREACH(known, &hosts.list, entry)
			if (strcmp(known->name, name) == 0)
				dns_found_add(found, &known->address);
	if (found->count > 0)
		return found;
	dns_found_free(found);
	return NULL;
}
