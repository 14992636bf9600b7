/*
 * Delivery into Maildirs, up to a batch at once: all files are written, all
 * synced, all linked into new/, each folder synced once, and only then does
 * any of them have its verdict.
 *
 * A file is named after its queue id, which is never used twice, so a
 * message that is delivered again finds its twin.  Nothing is ever renamed
 * over an existing name.
 */
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "deliver.h"
#include "queueid.h"

void
maildir_name(const struct job *job, const char *hostname, pid_t pid,
    char *name, size_t size)
{
	char	 id[QUEUEID_LENGTH + 1], process[16] = "";
	size_t	 used;

	if (pid != 0)
		snprintf(process, sizeof(process), ".%ld", (long)pid);
	used = (size_t)snprintf(name, size, "%lld.%s.%u%s.",
	    (long long)(job->request.arrival / SECOND),
	    queueid_print(job->request.id, id), job->request.recipient,
	    process);
	/* Some octets would make folders and flags of a host's name. */
	for (; *hostname != '\0' && used + 5 < size; hostname++) {
		if (strchr("/:,", *hostname) == NULL) {
			name[used++] = *hostname;
			continue;
		}
		used += (size_t)snprintf(name + used, size - used, "\\%03o",
		    (unsigned char)*hostname);
	}
	name[used] = '\0';
}

void
maildir_add(struct maildir_batch *batch, const struct worker *worker,
    struct job *job, const char *folder)
{
	struct maildir_item *item = &batch->items[batch->count++];
	char	 name[sizeof(item->name)];
	size_t	 length;

	item->job = job;
	item->fd = -1;
	item->open = true;
	length = strlcpy(item->folder, folder, sizeof(item->folder));
	while (length > 1 && item->folder[length - 1] == '/')
		item->folder[--length] = '\0';
	maildir_name(job, worker->hostname, 0, item->name,
	    sizeof(item->name));
	maildir_name(job, worker->hostname, getpid(), name, sizeof(name));
	strlcpy(item->tmp, item->folder, sizeof(item->tmp));
	strlcat(item->tmp, "/tmp/", sizeof(item->tmp));
	strlcat(item->tmp, name, sizeof(item->tmp));
}

/* ---- folders ---- */

/*
 * Make the folder and its three parts where they are missing.  tmp/ is the
 * last: where it is, all else is, and is on disk.
 */
static int
make_folders(const char *folder)
{
	static const char *const parts[] = { "", "/new", "/cur" };
	char	 path[WIRE_PATH + 8];
	size_t	 i;

	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", folder, parts[i]);
		if (mkdir(path, 0700) == -1 && errno != EEXIST)
			return -1;
	}
	if (sync_directory(folder) == -1 || sync_parent(folder) == -1)
		return -1;
	snprintf(path, sizeof(path), "%s/tmp", folder);
	return mkdir(path, 0700) == -1 && errno != EEXIST ? -1 : 0;
}

/* ---- twins ---- */

/* Is the name in cur/, whatever flags it has got since? */
static int
twin_in_cur(const char *folder, const char *name)
{
	char		 path[WIRE_PATH + 8];
	struct dirent	*entry;
	size_t		 length = strlen(name);
	DIR		*directory;
	int		 found = 0;

	snprintf(path, sizeof(path), "%s/cur", folder);
	if ((directory = opendir(path)) == NULL)
		return errno == ENOENT ? 0 : -1;
	errno = 0;
	while (!found && (entry = readdir(directory)) != NULL)
		found = strncmp(entry->d_name, name, length) == 0 &&
		    strchr(":,", entry->d_name[length]) != NULL;
	if (!found && errno != 0)
		found = -1;
	closedir(directory);
	return found;
}

/* Has an earlier attempt delivered it?  1, 0 or -1 with errno. */
static int
find_twin(const struct maildir_item *item)
{
	char		 path[WIRE_PATH + 600];
	struct stat	 st;

	snprintf(path, sizeof(path), "%s/new/%s", item->folder, item->name);
	if (lstat(path, &st) == 0)
		return 1;
	if (errno != ENOENT)
		return -1;
	return twin_in_cur(item->folder, item->name);
}

/* Its name may not be on disk yet: who linked it may have died before. */
static int
sync_twin(const struct maildir_item *item)
{
	char	 path[WIRE_PATH + 8];

	snprintf(path, sizeof(path), "%s/new", item->folder);
	if (sync_directory(path) == -1)
		return -1;
	snprintf(path, sizeof(path), "%s/cur", item->folder);
	return sync_directory(path) == -1 && errno != ENOENT ? -1 : 0;
}

/* ---- the four steps ---- */

static void
item_failed(struct maildir_item *item)
{
	int	 saved = errno;

	if (item->fd != -1)
		close(item->fd);
	item->fd = -1;
	unlink(item->tmp);
	errno = saved;
	job_defer_errno(item->job, item->folder);
	item->open = false;
}

static void
item_done(struct maildir_item *item, bool twin)
{
	job_done(item->job, item->folder);
	item->job->answer.twin = twin;
	item->open = false;
}

/* Open the file in tmp/; the folders are made if they are not there. */
static int
open_tmp(struct maildir_item *item)
{
	const int	 flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
			    O_CLOEXEC;
	int		 try;

	for (try = 0; try < 2; try++) {
		item->fd = open(item->tmp, flags, 0600);
		if (item->fd != -1)
			return 0;
		if (errno == ENOENT) {
			if (make_folders(item->folder) == -1)
				return -1;
		/* Left by a dead process that had our pid. */
		} else if (errno != EEXIST || unlink(item->tmp) == -1)
			return -1;
	}
	item->fd = open(item->tmp, flags, 0600);
	return item->fd == -1 ? -1 : 0;
}

static void
item_write(struct maildir_item *item, struct body_stream *stream)
{
	char	 prefix[PREFIX_SIZE];
	int	 twin;

	twin = item->job->request.fresh ? 0 : find_twin(item);
	if (twin == 1 && sync_twin(item) == -1)
		twin = -1;
	if (twin == 1) {
		item_done(item, true);
		return;
	}
	job_prefix(item->job, false, prefix);
	body_open(stream, &item->job->body, prefix, false);
	if (twin == -1 || open_tmp(item) == -1 ||
	    body_write(stream, item->fd) == -1) {
		item_failed(item);
		return;
	}
	/*
	 * While the others are written; the syncs then find it done.  What
	 * fails here need not fail there again.
	 */
	if (sync_file_range(item->fd, 0, 0, SYNC_FILE_RANGE_WRITE) == -1 &&
	    errno != ENOSYS)
		item_failed(item);
}

static void
item_sync(struct maildir_item *item)
{
	int	 fd = item->fd;

	if (fsync(fd) == -1) {
		item_failed(item);
		return;
	}
	item->fd = -1;
	if (close(fd) == -1)
		item_failed(item);
}

static void
item_link(struct maildir_item *item)
{
	char	 path[WIRE_PATH + 600];

	snprintf(path, sizeof(path), "%s/new/%s", item->folder, item->name);
	if (link(item->tmp, path) == 0)
		return;
	if (errno == EEXIST)
		item->job->answer.twin = true;
	else
		item_failed(item);
}

/* Sync new/ of this item's folder, for all that went into it. */
static void
sync_new(struct maildir_batch *batch, size_t first)
{
	struct maildir_item *item;
	char	 path[WIRE_PATH + 8], folder[WIRE_PATH];
	size_t	 i;
	int	 result, error;

	strlcpy(folder, batch->items[first].folder, sizeof(folder));
	snprintf(path, sizeof(path), "%s/new", folder);
	result = sync_directory(path);
	error = errno;
	for (i = first; i < batch->count; i++) {
		item = &batch->items[i];
		if (!item->open || strcmp(item->folder, folder) != 0)
			continue;
		unlink(item->tmp);
		errno = error;
		if (result == -1)
			item_failed(item);
		else
			item_done(item, item->job->answer.twin != 0);
	}
}

/* spoold is gone: leave nothing. */
static void
forget_all(struct maildir_batch *batch)
{
	size_t	 i;

	for (i = 0; i < batch->count; i++)
		if (batch->items[i].open)
			unlink(batch->items[i].tmp);
	batch->count = 0;
}

int
maildir_commit(struct maildir_batch *batch, const struct worker *worker)
{
	struct body_stream *stream;
	size_t	 i;

	if (batch->count == 0)
		return 0;
	stream = body_stream_new();
	for (i = 0; i < batch->count; i++)
		item_write(&batch->items[i], stream);
	body_stream_free(stream);
	for (i = 0; i < batch->count; i++)
		if (batch->items[i].open)
			item_sync(&batch->items[i]);
	if (worker_abandoned(worker)) {
		forget_all(batch);
		return -1;
	}
	for (i = 0; i < batch->count; i++)
		if (batch->items[i].open)
			item_link(&batch->items[i]);
	for (i = 0; i < batch->count; i++)
		if (batch->items[i].open)
			sync_new(batch, i);
	batch->count = 0;
	return 0;
}
