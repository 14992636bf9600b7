/*
 * The file of logins for relay.  Only root, or without root whoever we are,
 * may have written it, and nobody else may read it.  It is handed on as it
 * is, in memory that cannot be changed; what stands in it is told to nobody.
 */
#include <sys/mman.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "log.h"
#include "postmaster.h"
#include "secretfile.h"

#define SECRETS		"postmaster.secrets"
#define SEALS		(F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | \
			 F_SEAL_SEAL)

/* The file that the setting names, or the one beside the configuration. */
static int
find_path(const struct settings *settings, const struct options *options,
    char *path)
{
	struct conf_section *core = conf_section(settings->conf, "core", NULL);
	const char *named = conf_string(core, "secrets-file", NULL), *slash;
	int length;

	slash = strrchr(options->file, '/');
	if (named != NULL)
		length = snprintf(path, WIRE_PATH, "%s", named);
	else
		length = snprintf(path, WIRE_PATH, "%.*s%s", slash == NULL ?
		    0 : (int)(slash + 1 - options->file), options->file,
		    SECRETS);
	return length < WIRE_PATH ? 0 : -1;
}

/* Why this file must not be used, or NULL. */
static const char *
doubt(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "is not a regular file";
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return geteuid() == 0 ? "does not belong to root; chown it" :
		    "belongs neither to root nor to you";
	if (st->st_mode & (S_IRWXG | S_IRWXO))
		return "is open to others than its owner; chmod it to 0600";
	if (st->st_size > SECRETFILE_MAX)
		return "is larger than a megabyte";
	return NULL;
}

/*
 * Read the file, into one octet more than it may have.  Returns its length,
 * or -1 with *why and errno, which is 0 if the file itself is at fault.
 */
static ssize_t
read_file(const char *path, char *text, const char **why)
{
	ssize_t length = 0, n = -1;
	struct stat st;
	int fd, saved;

	*why = "cannot be read";
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK |
	    O_NOCTTY);
	if (fd == -1 && errno == ELOOP) {
		*why = "is a symbolic link; name the file itself";
		errno = 0;
	}
	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == -1)
		goto out;
	errno = 0;
	if ((*why = doubt(&st)) != NULL)
		goto out;
	*why = "cannot be read";
	while (length <= SECRETFILE_MAX && (n = read(fd, text + length,
	    SECRETFILE_MAX + 1 - (size_t)length)) > 0)
		length += n;
	if (n > 0) {
		*why = "is larger than a megabyte";
		errno = 0;
		n = -1;
	}
out:
	saved = errno;
	close(fd);
	errno = saved;
	return n == -1 ? -1 : length;
}

/* The text in a memfd that nobody can change; -1 with errno. */
static int
seal(const char *text, size_t length)
{
	ssize_t written;
	int fd, saved;

	fd = memfd_create(SECRETS, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd == -1)
		return -1;
	for (; length > 0; length -= (size_t)written) {
		if ((written = write(fd, text, length)) <= 0)
			goto fail;
		text += written;
	}
	if (fcntl(fd, F_ADD_SEALS, SEALS) == -1)
		goto fail;
	return fd;
fail:
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* ---- what nobody will look for ---- */

struct checker {
	struct conf	*conf;
	const char	*path;
};

/* Does this [relay] send to hosts that only recipients name? */
static bool
is_for_strangers(const struct conf_section *section)
{
	const char *mx = conf_string(section, "mx", "none");

	return strcasecmp(mx, "recipient") == 0;
}

/* Does the configuration itself name such a next hop? */
static bool
is_known(const struct conf *conf, const char *key)
{
	const struct conf_section *section;
	const struct conf_route *route;
	size_t i;

	if (conf_section(conf, "relay", key) != NULL)
		return true;
	for (section = conf_section(conf, "route", NULL); section != NULL;
	    section = conf_next(section))
		TAILQ_FOREACH(route, &section->routes, entry)
			for (i = 0; i < route->count; i++)
				if (strcasestr(route->targets[i].text,
				    key) != NULL)
					return true;
	return false;
}

/* Does it say that TLS is enough, whoever answers? */
static bool
is_unverified(const struct conf *conf, struct conf_section *section)
{
	const char *tls;

	tls = conf_string(conf_holder(conf, "relay", section, "tls"), "tls",
	    "verified");
	return strcasecmp(tls, "required") == 0 ||
	    strcasecmp(tls, "opportunistic") == 0;
}

/* The key is not told: it may be a password out of its place. */
static void
check_key(const struct secretfile_entry *entry, void *arg)
{
	const struct checker *checker = arg;
	struct conf_place place = { checker->path, entry->line, 1 };
	struct conf_section *section;

	section = conf_section(checker->conf, "relay", entry->key);
	if (section != NULL && is_for_strangers(section))
		conf_warning(checker->conf, &place, "the first word is a "
		    "[relay] with mx = recipient; nobody logs in to hosts "
		    "that anybody can name");
	else if (!is_known(checker->conf, entry->key))
		conf_warning(checker->conf, &place, "the first word is "
		    "neither the name of a [relay] nor of a host in "
		    "relay(...); if no table names it, nobody will log in "
		    "with this line");
	else if (is_unverified(checker->conf, section))
		conf_warning(checker->conf, &place, "this login goes to "
		    "whoever answers, since tls is required or opportunistic "
		    "there; verified asks for a certificate");
}

void
secrets_open(struct settings *settings, const struct options *options)
{
	struct conf *conf = settings->conf;
	struct conf_place place = settings_place(conf, "core",
	    "secrets-file");
	char path[WIRE_PATH], *text = malloc(SECRETFILE_MAX + 1);
	struct checker checker = { .conf = conf, .path = path };
	const char *why = "has too long a name";
	ssize_t length = -1;

	if (text == NULL)
		fatal("secrets");
	errno = 0;
	if (find_path(settings, options, path) == 0)
		length = read_file(path, text, &why);
	if (length == -1 && errno == ENOENT && conf_setting(conf_section(conf,
	    "core", NULL), "secrets-file") == NULL)
		goto out;
	if (length == -1) {
		settings->secrets_refused = true;
		conf_lacking(conf, &place, "the secrets-file %s %s%s%s", path,
		    why, errno != 0 ? ": " : "", errno != 0 ?
		    strerror(errno) : "");
		length = 0;
	}
	conf->wrong += secretfile_read(path, text, (size_t)length, check_key,
	    &checker, conf->errors);
	settings->secrets = seal(text, (size_t)length);
	if (settings->secrets == -1) {
		settings->unusable = true;
		conf_lacking(conf, &place, "the secrets cannot be kept: %s",
		    strerror(errno));
	}
	explicit_bzero(text, (size_t)length);
out:
	free(text);
}
