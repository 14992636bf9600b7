/*
 * Whose port it is: for the administrator who is told that it is taken.
 */
#include <netinet/in.h>
#include <sys/stat.h>

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "postmaster.h"

#define LISTENING	0x0a	/* TCP_LISTEN, as /proc/net/tcp has it */

/* The inode of the socket that listens on that port, 0 if there is none. */
static unsigned long
find_inode(const char *table, unsigned int port)
{
	unsigned int local, state;
	unsigned long inode, found = 0;
	char line[512];
	FILE *in;

	if ((in = fopen(table, "re")) == NULL)
		return 0;
	while (found == 0 && fgets(line, sizeof(line), in) != NULL)
		if (sscanf(line, "%*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x "
		    "%*x:%*x %*x:%*x %*x %*u %*u %lu", &local, &state,
		    &inode) == 3 && local == port && state == LISTENING)
			found = inode;
	fclose(in);
	return found;
}

/* Does this process hold the socket? */
static bool
holds(const char *pid, unsigned long inode)
{
	char path[PATH_MAX], wanted[64], link[64];
	struct dirent *entry;
	ssize_t length;
	bool found = false;
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
	if ((directory = opendir(path)) == NULL)
		return false;
	snprintf(wanted, sizeof(wanted), "socket:[%lu]", inode);
	while (!found && (entry = readdir(directory)) != NULL) {
		length = readlinkat(dirfd(directory), entry->d_name, link,
		    sizeof(link) - 1);
		if (length == -1)
			continue;
		link[length] = '\0';
		found = strcmp(link, wanted) == 0;
	}
	closedir(directory);
	return found;
}

/* Print a process as "name (pid n)". */
static void
print_process(const char *pid, char *text, size_t size)
{
	char path[PATH_MAX], name[64] = "a process";
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%.16s/comm", pid);
	if ((in = fopen(path, "re")) != NULL) {
		if (fgets(name, sizeof(name), in) != NULL)
			name[strcspn(name, "\n")] = '\0';
		fclose(in);
	}
	snprintf(text, size, "%s (pid %.16s)", name, pid);
}

void
holder_name(const struct sockaddr *address, char *text, size_t size)
{
	const char *tables[] = { "/proc/net/tcp", "/proc/net/tcp6" };
	unsigned long inode = 0;
	struct dirent *entry;
	unsigned int port, i;
	DIR *processes;

	text[0] = '\0';
	port = ntohs(address->sa_family == AF_INET6 ?
	    ((const struct sockaddr_in6 *)address)->sin6_port :
	    ((const struct sockaddr_in *)address)->sin_port);
	for (i = 0; i < 2 && inode == 0; i++)
		inode = find_inode(tables[i ^
		    (address->sa_family == AF_INET6)], port);
	if (inode == 0 || (processes = opendir("/proc")) == NULL)
		return;
	while (text[0] == '\0' && (entry = readdir(processes)) != NULL)
		if (isdigit((unsigned char)entry->d_name[0]) &&
		    holds(entry->d_name, inode))
			print_process(entry->d_name, text, size);
	closedir(processes);
}
