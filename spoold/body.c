/*
 * Large bodies: files body/xx/ID below the spool, xx being the last two
 * digits of the id's millisecond in hexadecimal.
 *
 * A file is written and synced, then its directory is, and only then is the
 * row committed that names it; removal is the reverse.  A file without a row
 * is an orphan, which body_scan_slice() removes when there is time.
 */
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "queueid.h"
#include "spoold.h"

#define DIRECTORIES	256
#define NAME_LENGTH	64
#define SET_ASIDE	"spool.db.bad-"		/* how their names begin */
#define FLUSH_PIECE	(1024 * 1024)	/* write-back begins by so much */

static struct {
	bool	 dirty[DIRECTORIES];	/* a name was made, not yet synced */
	bool	 scanning;
	int	 scan_next;		/* directory of the orphan scan */
	uint64_t scan_high;		/* ids above it are not judged */
} body;

/* Neighbouring ids of one millisecond share a directory. */
static unsigned int
directory_of(uint64_t id)
{
	return (unsigned int)(id >> 20) % DIRECTORIES;
}

static char *
name_of(uint64_t id, char *name)
{
	char	 text[QUEUEID_LENGTH + 1];

	(void)snprintf(name, NAME_LENGTH, "body/%02x/%s", directory_of(id),
	    queueid_print(id, text));
	return name;
}

/* Returns 0, -1 if the disk failed, or 1 if it could not be tried. */
static int
sync_directory(const char *name)
{
	int	 fd, result;

	fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1) {
		result = errno == EIO ? -1 : 1;
		log_errno(LOG_ERR, "body", "%s", name);
		return result;
	}
	result = fsync(fd);
	if (result == -1)
		log_errno(LOG_ERR, "body", "sync of %s", name);
	close(fd);
	return result;
}

/* All 256 of them, durable, when the spool is new. */
void
body_make_directories(void)
{
	char	 name[NAME_LENGTH];
	bool	 made = false;
	int	 i;

	if (mkdir("body", 0700) == -1 && errno != EEXIST)
		fatal("body");
	for (i = 0; i < DIRECTORIES; i++) {
		(void)snprintf(name, sizeof(name), "body/%02x", i);
		if (mkdir(name, 0700) == 0)
			made = true;
		else if (errno != EEXIST)
			fatal("%s", name);
	}
	if (made && (sync_directory("body") != 0 || sync_directory(".") != 0))
		fatalx("the directories of bodies cannot be synced");
}

/* Make the file of a new message.  Returns 0 or -1. */
int
body_create(struct body_file *file, uint64_t id)
{
	char	 name[NAME_LENGTH];

	file->fd = open(name_of(id, name), O_WRONLY | O_CREAT | O_EXCL |
	    O_CLOEXEC | O_NOFOLLOW, 0600);
	if (file->fd == -1) {
		log_errno(LOG_ERR, "body", "%s", name);
		return -1;
	}
	file->id = id;
	file->size = file->flushing = 0;
	body.dirty[directory_of(id)] = true;
	return 0;
}

/* Append a piece; write-back begins early, so that the sync is short. */
int
body_write(struct body_file *file, const void *octets, size_t length)
{
	const char	*at = octets;
	ssize_t		 n;

	while (length > 0) {
		n = pwrite(file->fd, at, length, (off_t)file->size);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		at += n;
		length -= (size_t)n;
		file->size += (uint64_t)n;
	}
	if (file->size - file->flushing >= FLUSH_PIECE) {
		(void)sync_file_range(file->fd, (off64_t)file->flushing,
		    (off64_t)(file->size - file->flushing),
		    SYNC_FILE_RANGE_WRITE);
		file->flushing = file->size;
	}
	return 0;
}

int
body_sync(struct body_file *file)
{
	return fdatasync(file->fd);
}

/*
 * Each directory in which a file was made since it was synced.  Returns 0,
 * -1 if the disk failed, or 1 if one could not be tried, for want of
 * descriptors or memory.
 */
int
body_sync_directories(void)
{
	char	 name[NAME_LENGTH];
	int	 i, result;

	for (i = 0; i < DIRECTORIES; i++) {
		if (!body.dirty[i])
			continue;
		(void)snprintf(name, sizeof(name), "body/%02x", i);
		if ((result = sync_directory(name)) != 0)
			return result;
		body.dirty[i] = false;
	}
	return 0;
}

void
body_close(struct body_file *file)
{
	if (file->fd != -1)
		close(file->fd);
	file->fd = -1;
}

void
body_remove(uint64_t id)
{
	char	 name[NAME_LENGTH];

	if (unlink(name_of(id, name)) == -1 && errno != ENOENT)
		log_errno(LOG_ERR, "body", "%s", name);
}

/* A descriptor of its own for whoever delivers it, or -1. */
int
body_open(uint64_t id)
{
	char	 name[NAME_LENGTH];
	int	 fd;

	fd = open(name_of(id, name), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1)
		log_errno(LOG_ERR, "body", "%s", name);
	return fd;
}

/* ---- orphans ---- */

/* Does anything in the database, or a client that is sending, own it? */
static bool
is_owned(uint64_t id)
{
	bool	 owned;

	if (id > body.scan_high || txn_has_file(id) || queue_find(id) != NULL)
		return true;
	owned = db_ask(SQL_MESSAGE_GET, "i", (int64_t)id) != 0;
	db_end(SQL_MESSAGE_GET);
	if (!owned) {
		owned = db_ask(SQL_DAMAGED_GET, "i", (int64_t)id) != 0;
		db_end(SQL_DAMAGED_GET);
	}
	return owned;
}

/* Does a database that was set aside stand here? */
static bool
was_repaired(void)
{
	struct dirent	*entry;
	DIR		*directory;
	bool		 found = false;

	if ((directory = opendir(".")) == NULL)
		return true;
	while (!found && (entry = readdir(directory)) != NULL)
		found = strncmp(entry->d_name, SET_ASIDE,
		    strlen(SET_ASIDE)) == 0;
	closedir(directory);
	return found;
}

/*
 * Begin with the first directory; newer files are not looked at.  While a
 * damaged database stands beside ours, a body without a row may be of a
 * message that only the damaged one knows: all are kept.
 */
void
body_scan_start(void)
{
	if (was_repaired()) {
		log_note(LOG_NOTICE, "orphan", "none is removed while "
		    SET_ASIDE "* is here");
		return;
	}
	body.scanning = true;
	body.scan_next = 0;
	body.scan_high = ledger_high();
}

/*
 * Look through one directory.  Returns whether there was one; *removed is
 * set if a file went.
 */
bool
body_scan_slice(bool *removed)
{
	struct dirent	*entry;
	uint64_t	 id;
	char		 name[NAME_LENGTH];
	DIR		*directory;

	if (!body.scanning)
		return false;
	(void)snprintf(name, sizeof(name), "body/%02x", body.scan_next);
	if (++body.scan_next == DIRECTORIES)
		body.scanning = false;
	if ((directory = opendir(name)) == NULL) {
		log_errno(LOG_ERR, "body", "%s", name);
		return true;
	}
	while ((entry = readdir(directory)) != NULL) {
		if (queueid_parse(entry->d_name, &id) == -1 || is_owned(id))
			continue;
		if (unlinkat(dirfd(directory), entry->d_name, 0) == -1) {
			log_errno(LOG_ERR, "orphan", "%s/%s", name,
			    entry->d_name);
			continue;
		}
		log_begin(LOG_NOTICE, "orphan");
		log_id("id", id);
		log_end();
		*removed = true;
	}
	closedir(directory);
	return true;
}
