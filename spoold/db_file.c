/*
 * The files beneath the database: SQLite's own, but what is written to the
 * write-ahead log is gathered.
 *
 * SQLite writes each page of a commit by two calls, a header of 24 octets
 * and the page, and a commit of twenty messages is some sixty pages, one
 * behind the other: the calls cost more than the octets.  Here they are put
 * together and leave at the latest before the log is synced, read, measured
 * or cut, so that nobody sees the difference but the kernel.  A write that
 * fails then fails the sync, and with it the commit.
 */
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "spoold.h"

#define GATHERED	(128 * 1024)	/* octets */
#define REAL(f)		((sqlite3_file *)((struct log_file *)(f) + 1))

/* SQLite's own file stands behind it in memory. */
struct log_file {
	sqlite3_file	 base;
	char		*data;		/* GATHERED octets */
	int		 length;	/* of them in use */
	sqlite3_int64	 start;		/* where they belong */
};

static sqlite3_vfs *own;

/* Write what was gathered; what cannot be written is not tried again. */
static int
flush(sqlite3_file *file)
{
	struct log_file	*log = (struct log_file *)file;
	int		 length = log->length;

	log->length = 0;
	if (length == 0)
		return SQLITE_OK;
	return REAL(file)->pMethods->xWrite(REAL(file), log->data, length,
	    log->start);
}

static int
log_write(sqlite3_file *file, const void *data, int length,
    sqlite3_int64 offset)
{
	struct log_file	*log = (struct log_file *)file;
	int		 code;

	if (log->length > 0 && (offset != log->start + log->length ||
	    length > GATHERED - log->length) &&
	    (code = flush(file)) != SQLITE_OK)
		return code;
	if (length > GATHERED)
		return REAL(file)->pMethods->xWrite(REAL(file), data, length,
		    offset);
	if (log->length == 0)
		log->start = offset;
	memcpy(log->data + log->length, data, (size_t)length);
	log->length += length;
	return SQLITE_OK;
}

static int
log_read(sqlite3_file *file, void *data, int length, sqlite3_int64 offset)
{
	int	 code = flush(file);

	return code != SQLITE_OK ? code :
	    REAL(file)->pMethods->xRead(REAL(file), data, length, offset);
}

static int
log_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	int	 code = flush(file);

	return code != SQLITE_OK ? code :
	    REAL(file)->pMethods->xTruncate(REAL(file), size);
}

static int
log_sync(sqlite3_file *file, int flags)
{
	int	 code = flush(file);

	return code != SQLITE_OK ? code :
	    REAL(file)->pMethods->xSync(REAL(file), flags);
}

static int
log_size(sqlite3_file *file, sqlite3_int64 *size)
{
	int	 code = flush(file);

	return code != SQLITE_OK ? code :
	    REAL(file)->pMethods->xFileSize(REAL(file), size);
}

static int
log_close(sqlite3_file *file)
{
	int	 written = flush(file);
	int	 closed = REAL(file)->pMethods->xClose(REAL(file));

	free(((struct log_file *)file)->data);
	return written != SQLITE_OK ? written : closed;
}

static int
log_lock(sqlite3_file *file, int level)
{
	return REAL(file)->pMethods->xLock(REAL(file), level);
}

static int
log_unlock(sqlite3_file *file, int level)
{
	return REAL(file)->pMethods->xUnlock(REAL(file), level);
}

static int
log_check_lock(sqlite3_file *file, int *result)
{
	return REAL(file)->pMethods->xCheckReservedLock(REAL(file), result);
}

static int
log_control(sqlite3_file *file, int what, void *arg)
{
	return REAL(file)->pMethods->xFileControl(REAL(file), what, arg);
}

static int
log_sector_size(sqlite3_file *file)
{
	return REAL(file)->pMethods->xSectorSize(REAL(file));
}

static int
log_characteristics(sqlite3_file *file)
{
	return REAL(file)->pMethods->xDeviceCharacteristics(REAL(file));
}

static const sqlite3_io_methods log_methods = {
	.iVersion = 1,
	.xClose = log_close,
	.xRead = log_read,
	.xWrite = log_write,
	.xTruncate = log_truncate,
	.xSync = log_sync,
	.xFileSize = log_size,
	.xLock = log_lock,
	.xUnlock = log_unlock,
	.xCheckReservedLock = log_check_lock,
	.xFileControl = log_control,
	.xSectorSize = log_sector_size,
	.xDeviceCharacteristics = log_characteristics
};

/* All but the log is SQLite's own. */
static int
open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
    int *out_flags)
{
	struct log_file	*log = (struct log_file *)file;
	int		 code;

	(void)vfs;
	if ((flags & SQLITE_OPEN_WAL) == 0)
		return own->xOpen(own, name, file, flags, out_flags);
	memset(log, 0, sizeof(*log));
	if ((log->data = malloc(GATHERED)) == NULL)
		return SQLITE_NOMEM;
	code = own->xOpen(own, name, REAL(file), flags, out_flags);
	if (code != SQLITE_OK) {
		free(log->data);
		return code;
	}
	file->pMethods = &log_methods;
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
	layer.szOsFile += (int)sizeof(struct log_file);
	layer.xOpen = open_file;
	if (sqlite3_vfs_register(&layer, 0) != SQLITE_OK)
		fatalx("db: its files cannot be gathered");
	return name;
}
