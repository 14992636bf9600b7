/*
 * Account look-ups over getpwnam_r(3) and getpwuid_r(3), and past the former
 * where it would say what stands in passwd(5).  Nothing is cached here, and
 * nothing is decided from errno but by what the call returns.
 */
#include <sys/stat.h>

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "group.h"
#include "nsswitch.h"
#include "passwd.h"

#define PASSWD		"/etc/passwd"
#define NAME_LENGTH_MAX	255
#define STRINGS_MIN	1024
#define STRINGS_MAX	(1024 * 1024)

/* A look-up service is installed but cannot be used: "no" is no answer. */
static bool	no_is_unsure;

/* Could an account have this name at all? */
static bool
name_is_possible(const char *name)
{
	const unsigned char *p;

	if (*name == '\0' || strlen(name) > NAME_LENGTH_MAX)
		return false;
	for (p = (const unsigned char *)name; *p != '\0'; p++)
		if (*p == '/' || *p == ':' || *p < ' ' || *p == 0x7f)
			return false;
	return true;
}

/* Is the line of passwd(5) about this name, or this uid if that is NULL? */
static bool
line_is_of(const char *line, const char *name, uid_t uid)
{
	const char *field = strchr(line, ':');
	unsigned long number;
	char *end;

	if (field == NULL)
		return false;
	if (name != NULL)
		return strlen(name) == (size_t)(field - line) &&
		    strncmp(line, name, strlen(name)) == 0;
	if ((field = strchr(field + 1, ':')) == NULL)
		return false;
	number = strtoul(field + 1, &end, 10);
	return end != field + 1 && *end == ':' && number == uid;
}

/*
 * Whether a "no" is to be believed; 0 or an errno.  Where one service could
 * not look, for want of a descriptor, say, and the next one has no such name,
 * libc returns that one's "no".  So the file is held against it.
 */
static int
doubt(const char *name, uid_t uid)
{
	FILE *file;
	char *line = NULL;
	size_t size = 0;
	int error = 0;

	if ((file = fopen(PASSWD, "re")) == NULL)
		return errno;
	errno = 0;
	while (error == 0 && getline(&line, &size, file) != -1)
		if (line_is_of(line, name, uid))
			error = EAGAIN;
	if (error == 0 && !feof(file))
		error = errno != 0 ? errno : EIO;
	free(line);
	(void)fclose(file);
	return error;
}

/* Ask once with room for size octets; returns what the call returned. */
static int
ask(const char *name, uid_t uid, struct passwd *record, char *strings,
    size_t size, struct passwd **found)
{
	*found = NULL;
	/* A service that is not there leaves errno as it was. */
	errno = 0;
	if (name != NULL)
		return getpwnam_r(name, record, strings, size, found);
	return getpwuid_r(uid, record, strings, size, found);
}

static enum account_result
look_up(const char *name, uid_t uid, struct account *account)
{
	struct passwd record, *found;
	char *strings = NULL, *larger;
	size_t size = STRINGS_MIN;
	int error;

	for (;;) {
		if ((larger = realloc(strings, size)) == NULL) {
			error = ENOMEM;
			break;
		}
		strings = larger;
		error = ask(name, uid, &record, strings, size, &found);
		if (error != ERANGE || size >= STRINGS_MAX)
			break;
		size *= 2;
	}
	if (error == 0 && found == NULL)
		error = doubt(name, uid);
	if (error != 0 || found == NULL) {
		free(strings);
		if (error == 0 && !no_is_unsure)
			return ACCOUNT_NO;
		errno = error != 0 ? error : ELIBACC;
		return ACCOUNT_FAILED;
	}
	if (account == NULL) {
		free(strings);
		return ACCOUNT_YES;
	}
	account->name = record.pw_name;
	account->gecos = record.pw_gecos;
	account->home = record.pw_dir;
	account->shell = record.pw_shell;
	account->uid = record.pw_uid;
	account->gid = record.pw_gid;
	account->strings = strings;
	return ACCOUNT_YES;
}

/* Does what the file of accounts says stand before all else? */
static bool
file_is_first(void)
{
	static struct stat	 known;
	static bool		 first;

	switch (nsswitch_is_new(NSSWITCH, &known)) {
	case -1:
		return false;
	case 1:
		first = passwd_files_first(NSSWITCH);
	}
	return first;
}

int
account_in_file(const char *name, struct account *account)
{
	if (!name_is_possible(name) || !file_is_first())
		return 0;
	return passwd_find(PASSWD, name, account);
}

enum account_result
account_by_name(const char *name, struct account *account)
{
	if (!name_is_possible(name))
		return ACCOUNT_NO;
	switch (account_in_file(name, account)) {
	case 1:
		return ACCOUNT_YES;
	case -1:
		if (errno != ENOENT)
			return ACCOUNT_FAILED;
	}
	return look_up(name, 0, account);
}

enum account_result
account_by_uid(uid_t uid, struct account *account)
{
	return look_up(NULL, uid, account);
}

void
account_free(struct account *account)
{
	free(account->strings);
	memset(account, 0, sizeof(*account));
}

/* Is this service's module sound?  One that is not installed is. */
static bool
service_loads(const char *service)
{
	char file[64], missing[128];
	const char *reason;

	if ((size_t)snprintf(file, sizeof(file), "libnss_%s.so.2", service) >=
	    sizeof(file))
		return true;
	/* The handle is kept: the module stays loaded for the jail. */
	if (dlopen(file, RTLD_LAZY) != NULL)
		return true;
	(void)snprintf(missing, sizeof(missing),
	    "%s: cannot open shared object file: No such file", file);
	reason = dlerror();
	return reason == NULL ||
	    strncmp(reason, missing, strlen(missing)) == 0;
}

/* Do the services of the words "a b [reaction] c" load, but for this one? */
static bool
services_load(char *words, const char *except)
{
	char *word, *rest = NULL;

	for (word = strtok_r(words, " \t", &rest); word != NULL;
	    word = strtok_r(NULL, " \t", &rest)) {
		if (!isalpha((unsigned char)*word) ||
		    strcmp(word, "files") == 0 || strcmp(word, except) == 0)
			continue;
		if (!service_loads(word))
			return false;
	}
	return true;
}

/*
 * Do all services that nsswitch.conf(5) names for a database load?  One may
 * be excepted.
 */
static bool
every_service_loads(const char *database, const char *except)
{
	FILE *file;
	char *line = NULL, *words;
	size_t size = 0;
	bool sound = true;

	if ((file = fopen(NSSWITCH, "re")) == NULL)
		return true;
	while (sound && getline(&line, &size, file) != -1) {
		words = nsswitch_services(line, database);
		if (words != NULL)
			sound = services_load(words, except);
	}
	free(line);
	(void)fclose(file);
	return sound;
}

void
account_load_services(void)
{
	const char *except = groups_are_here() ? "systemd" : "";

	/* What was read of the configuration is the children's as well. */
	(void)file_is_first();
	(void)every_service_loads("passwd", except);
	(void)every_service_loads("group", except);
	(void)every_service_loads("initgroups", except);
}

int
account_prepare(const char **why)
{
	no_is_unsure = false;
	if (!every_service_loads("passwd", "")) {
		no_is_unsure = true;
		*why = "a service that nsswitch.conf names for accounts is "
		    "installed but does not load";
		return -1;
	}
	if (account_by_name("root", NULL) == ACCOUNT_FAILED ||
	    account_by_name("no-such-account-here", NULL) == ACCOUNT_FAILED) {
		no_is_unsure = true;
		*why = "the account database does not answer";
		return -1;
	}
	return 0;
}
