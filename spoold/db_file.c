/*
 * The files beneath the database: SQLite's own, but what is written to the
 * database and to its write-ahead log is gathered.
 *
 * SQLite writes each page of a commit by two calls, a header of 24 octets
 * and the page, and a commit of twenty messages is some sixty pages, one
 * behind the other; a checkpoint writes page after page as well.  The calls
 * cost more than the octets.  Here they are put together and leave at the
 * latest before the file is synced, read, measured or cut, so that nobody
 * sees the difference but the kernel.  A write that fails then fails the
 * sync, and with it the commit or the checkpoint.
 *
 * The sync that ends a commit can be put off, for somebody else to make it:
 * what was gathered is written even so, and can fail.  Not that of the log's
 * new head: until it is on disk nothing may be written behind it, or the old
 * head would vouch for frames that are no more.
 */
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "spoold.h"

/* SQLite's own file takes less than 128 KiB at a time. */
#define ROOM		(120 * 1024)
#define REAL(file)	((sqlite3_file *)((struct gathered *)(file) + 1))

/* SQLite's own file stands behind it in memory. */
struct gathered {
	sqlite3_file	 base;
	char		*data;		/* ROOM octets */
	int		 length;	/* of them in use */
	sqlite3_int64	 start;		/* where they belong */
};

static sqlite3_vfs *own;

/* The write-ahead log. */
static struct {
	sqlite3_file	*file;
	bool		 begun_anew;	/* its header, since the last sync */
	bool		 put_off;	/* somebody else syncs it */
} wal;

/* Write what was gathered; what cannot be written is not tried again. */
static int
flush(sqlite3_file *file)
{
	struct gathered	*f = (struct gathered *)file;
	int		 length = f->length;

	f->length = 0;
	if (length == 0)
		return SQLITE_OK;
	return REAL(file)->pMethods->xWrite(REAL(file), f->data, length,
	    f->start);
}

static int
gather_write(sqlite3_file *file, const void *data, int length,
    sqlite3_int64 offset)
{
	struct gathered	*f = (struct gathered *)file;
	int		 code;

	if (file == wal.file && offset == 0)
		wal.begun_anew = true;
	if (f->length > 0 && (offset != f->start + f->length ||
	    length > ROOM - f->length) &&
	    (code = flush(file)) != SQLITE_OK)
		return code;
	if (length > ROOM)
		return REAL(file)->pMethods->xWrite(REAL(file), data, length,
		    offset);
	if (f->length == 0)
		f->start = offset;
	memcpy(f->data + f->length, data, (size_t)length);
	f->length += length;
	return SQLITE_OK;
}

static int
gather_read(sqlite3_file *file, void *data, int length, sqlite3_int64 offset)
{
	int	 code = flush(file);

	return code != SQLITE_OK ? code :
	    REAL(file)->pMethods->xRead(REAL(file), data, length, offset);
}

static int
gather_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	int	 code = flush(file);

	return code != SQLITE_OK ? code :
	    REAL(file)->pMethods->xTruncate(REAL(file), size);
}

static int
gather_sync(sqlite3_file *file, int flags)
{
	int64_t	 began;
	int	 code = flush(file);

	if (code != SQLITE_OK)
		return code;
	if (file != wal.file)
		return REAL(file)->pMethods->xSync(REAL(file), flags);
	if (wal.put_off && !wal.begun_anew)
		return SQLITE_OK;
	began = clock_monotonic();
	code = REAL(file)->pMethods->xSync(REAL(file), flags);
	syncer_took(clock_monotonic() - began);
	if (code == SQLITE_OK)
		wal.begun_anew = false;
	return code;
}

void
db_file_put_off(bool put_off)
{
	wal.put_off = put_off;
}

static int
gather_size(sqlite3_file *file, sqlite3_int64 *size)
{
	int	 code = flush(file);

	return code != SQLITE_OK ? code :
	    REAL(file)->pMethods->xFileSize(REAL(file), size);
}

static int
gather_close(sqlite3_file *file)
{
	int	 written = flush(file);
	int	 closed = REAL(file)->pMethods->xClose(REAL(file));

	if (file == wal.file)
		wal.file = NULL;
	free(((struct gathered *)file)->data);
	return written != SQLITE_OK ? written : closed;
}

static int
gather_lock(sqlite3_file *file, int level)
{
	return REAL(file)->pMethods->xLock(REAL(file), level);
}

static int
gather_unlock(sqlite3_file *file, int level)
{
	return REAL(file)->pMethods->xUnlock(REAL(file), level);
}

static int
gather_check_lock(sqlite3_file *file, int *result)
{
	return REAL(file)->pMethods->xCheckReservedLock(REAL(file), result);
}

static int
gather_control(sqlite3_file *file, int what, void *arg)
{
	return REAL(file)->pMethods->xFileControl(REAL(file), what, arg);
}

static int
gather_sector_size(sqlite3_file *file)
{
	return REAL(file)->pMethods->xSectorSize(REAL(file));
}

static int
gather_characteristics(sqlite3_file *file)
{
	return REAL(file)->pMethods->xDeviceCharacteristics(REAL(file));
}

static const sqlite3_io_methods methods = {
	.iVersion = 1,
	.xClose = gather_close,
	.xRead = gather_read,
	.xWrite = gather_write,
	.xTruncate = gather_truncate,
	.xSync = gather_sync,
	.xFileSize = gather_size,
	.xLock = gather_lock,
	.xUnlock = gather_unlock,
	.xCheckReservedLock = gather_check_lock,
	.xFileControl = gather_control,
	.xSectorSize = gather_sector_size,
	.xDeviceCharacteristics = gather_characteristics
};

/* The other files, of statements and sorts, are SQLite's own. */
static int
open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
    int *out_flags)
{
	struct gathered	*f = (struct gathered *)file;
	int		 code;

	(void)vfs;
	if ((flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_DB)) == 0)
		return own->xOpen(own, name, file, flags, out_flags);
	memset(f, 0, sizeof(*f));
	if ((f->data = malloc(ROOM)) == NULL)
		return SQLITE_NOMEM;
	code = own->xOpen(own, name, REAL(file), flags, out_flags);
	if (code != SQLITE_OK) {
		free(f->data);
		return code;
	}
	file->pMethods = &methods;
	if ((flags & SQLITE_OPEN_WAL) != 0)
		wal.file = file;
	return SQLITE_OK;
}

/* The name to open databases by. */
const char *
db_file_layer(void)
{
	static sqlite3_vfs	 layer;
	static const char	 name[] = "spool";

	if (own != NULL)
		return name;
	if ((own = sqlite3_vfs_find(NULL)) == NULL)
		fatalx("db: SQLite knows no files");
	layer = *own;
	layer.pNext = NULL;
	layer.zName = name;
	layer.szOsFile += (int)sizeof(struct gathered);
	layer.xOpen = open_file;
	if (sqlite3_vfs_register(&layer, 0) != SQLITE_OK)
		fatalx("db: its files cannot be gathered");
	return name;
}
