/*
 * The spool's schema and every statement that is run on it.  The columns are
 * explained in spool(5).
 */
#include "spoold.h"

#define GIVE_UP	"8"		/* the bit of it in recipient.flags */

#define MESSAGE_COLUMNS \
	"id, arrival, size, body_sum, kind, in_file, body_type, ret, rows," \
	" waiting, owner, uid, standing, port, family, client, tls, esmtp," \
	" listener, helo, login, sender, envid, sum"
#define RECIPIENT_COLUMNS \
	"message, row, state, next, attempts, tries, epoch, poison, notify," \
	" flags, parent, place, address, target, original, account, sender," \
	" orcpt, lane, sum, status, reason, tried, decided, why"

/* The schema, as the changes that led to it; a version is an index + 1. */
const char *const db_migrations[] = {
	"CREATE TABLE message ("
	" id INTEGER PRIMARY KEY, arrival INTEGER NOT NULL,"
	" size INTEGER NOT NULL, body_sum INTEGER NOT NULL,"
	" kind INTEGER NOT NULL, in_file INTEGER NOT NULL,"
	" body_type INTEGER NOT NULL, ret INTEGER NOT NULL,"
	" rows INTEGER NOT NULL, waiting INTEGER NOT NULL,"
	" owner INTEGER, uid INTEGER NOT NULL, standing INTEGER NOT NULL,"
	" port INTEGER NOT NULL, family INTEGER NOT NULL,"
	" client BLOB NOT NULL, tls INTEGER NOT NULL,"
	" esmtp INTEGER NOT NULL, listener TEXT NOT NULL,"
	" helo TEXT NOT NULL, login TEXT NOT NULL, sender TEXT NOT NULL,"
	" envid TEXT NOT NULL, sum INTEGER NOT NULL);"
	"CREATE INDEX message_owner ON message (owner, id)"
	" WHERE owner IS NOT NULL;"
	"CREATE TABLE body (id INTEGER PRIMARY KEY, octets BLOB NOT NULL);"
	"CREATE TABLE recipient ("
	" message INTEGER NOT NULL, row INTEGER NOT NULL,"
	" state INTEGER NOT NULL, next INTEGER NOT NULL,"
	" attempts INTEGER NOT NULL DEFAULT 0,"
	" tries INTEGER NOT NULL DEFAULT 0,"
	" epoch INTEGER NOT NULL DEFAULT 0,"
	" poison INTEGER NOT NULL DEFAULT 0, notify INTEGER NOT NULL,"
	" flags INTEGER NOT NULL, parent INTEGER NOT NULL,"
	" place INTEGER NOT NULL, address TEXT NOT NULL,"
	" target TEXT NOT NULL, original TEXT NOT NULL,"
	" account TEXT NOT NULL, sender TEXT, orcpt TEXT NOT NULL,"
	" sum INTEGER NOT NULL, lane TEXT, final TEXT, status TEXT,"
	" reason TEXT, tried INTEGER,"
	" PRIMARY KEY (message, row)) WITHOUT ROWID;"
	"CREATE INDEX recipient_due ON recipient (next, message, row)"
	" WHERE state = 1;"
	"CREATE INDEX recipient_lane ON recipient (lane, next, message, row)"
	" WHERE state = 1;"
	"CREATE INDEX recipient_marked ON recipient (message, row)"
	" WHERE state = 5;"
	"CREATE TABLE damaged ("
	" message INTEGER NOT NULL, row INTEGER NOT NULL,"
	" what TEXT NOT NULL, found INTEGER NOT NULL, data TEXT);"
	"CREATE INDEX damaged_message ON damaged (message);"
	"CREATE TABLE spool ("
	" one INTEGER PRIMARY KEY CHECK (one = 1), high INTEGER NOT NULL,"
	" low INTEGER NOT NULL, messages INTEGER NOT NULL,"
	" octets INTEGER NOT NULL, deferred INTEGER NOT NULL,"
	" held INTEGER NOT NULL, epoch INTEGER NOT NULL,"
	" history TEXT NOT NULL);"
	"INSERT INTO spool VALUES (1, 0, 0, 0, 0, 0, 0, 0, '');",
	"CREATE TABLE attempt ("
	" message INTEGER NOT NULL, row INTEGER NOT NULL,"
	" number INTEGER NOT NULL, tried INTEGER NOT NULL,"
	" stage INTEGER NOT NULL, replied INTEGER NOT NULL,"
	" host TEXT NOT NULL, tls TEXT NOT NULL, status TEXT NOT NULL,"
	" reply TEXT NOT NULL,"
	" PRIMARY KEY (message, row, number)) WITHOUT ROWID;"
	"ALTER TABLE recipient ADD COLUMN decided TEXT;"
	"ALTER TABLE recipient ADD COLUMN why TEXT;"
};

const int db_version = sizeof(db_migrations) / sizeof(db_migrations[0]);

const char *const db_statements[SQL_MAX] = {
[SQL_BEGIN] = "BEGIN IMMEDIATE",
[SQL_COMMIT] = "COMMIT",
[SQL_ROLLBACK] = "ROLLBACK",
[SQL_MESSAGE_ADD] = "INSERT INTO message (" MESSAGE_COLUMNS ") VALUES"
	" (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
	" ?, ?)",
[SQL_MESSAGE_GET] = "SELECT " MESSAGE_COLUMNS " FROM message WHERE id = ?",
[SQL_MESSAGE_COUNT] = "UPDATE message SET rows = rows + ?1,"
	" waiting = waiting + ?1 - ?2 WHERE id = ?3"
	" RETURNING rows, waiting",
[SQL_MESSAGE_AGE] = "UPDATE message SET arrival = arrival - ?"
	" WHERE id = ?",
[SQL_MESSAGE_REMOVE] = "DELETE FROM message WHERE id = ?",
[SQL_MESSAGE_PAGE] = "SELECT " MESSAGE_COLUMNS " FROM message"
	" WHERE id > ? ORDER BY id LIMIT ?",
[SQL_MESSAGE_OWNED] = "SELECT " MESSAGE_COLUMNS " FROM message"
	" WHERE owner = ? AND id > ? ORDER BY id LIMIT ?",
[SQL_MESSAGE_DAMAGED] = "INSERT INTO damaged SELECT id, 0, ?2, ?3,"
	" quote(arrival) || ',' || quote(size) || ',' || quote(sender)"
	" FROM message WHERE id = ?1",
[SQL_BODY_ADD] = "INSERT INTO body (id, octets) VALUES (?, ?)",
[SQL_BODY_GET] = "SELECT octets FROM body WHERE id = ?",
[SQL_BODY_REMOVE] = "DELETE FROM body WHERE id = ?",
[SQL_RECIPIENT_ADD] = "INSERT INTO recipient (message, row, state, next,"
	" notify, flags, parent, place, address, target, original, account,"
	" sender, orcpt, sum) VALUES"
	" (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
[SQL_RECIPIENT_OF] = "SELECT " RECIPIENT_COLUMNS " FROM recipient"
	" WHERE message = ? AND row > ? ORDER BY row LIMIT ?",
[SQL_RECIPIENT_TEXTS] = "SELECT row, parent, state, address, target,"
	" state = 4 AND reason IS '" SUPERSEDED "'"
	" FROM recipient WHERE message = ?",
[SQL_RECIPIENT_FINALS] = "SELECT row, final FROM recipient"
	" WHERE message = ? AND final IS NOT NULL",
[SQL_RECIPIENT_DEFER] = "UPDATE recipient SET"
	" state = CASE WHEN state IN (2, 5) THEN state ELSE ?3 END,"
	" next = CASE WHEN flags & " GIVE_UP " THEN next ELSE ?4 END,"
	" attempts = ?5, tries = ?6, epoch = ?7, poison = ?8,"
	" flags = ?9 | (flags & " GIVE_UP "), lane = ?10,"
	" status = ifnull(?11, status), reason = ifnull(?12, reason),"
	" tried = ifnull(nullif(?13, 0), tried),"
	" decided = ifnull(?14, decided), why = ?15"
	" WHERE message = ?1 AND row = ?2",
[SQL_RECIPIENT_END] = "UPDATE recipient SET state = ?3, final = ?4,"
	" status = ?5, reason = ?6, tried = ?7, attempts = ?8,"
	" decided = ifnull(?9, decided), why = NULL"
	" WHERE message = ?1 AND row = ?2",
[SQL_RECIPIENT_GIVE_UP] = "UPDATE recipient SET state = 1, next = ?3,"
	" lane = NULL, flags = flags | " GIVE_UP
	" WHERE message = ?1 AND row = ?2 AND state IN (0, 1, 2)",
[SQL_RECIPIENT_STATE] = "UPDATE recipient SET state = ?3, next = ?4"
	" WHERE message = ?1 AND row = ?2",
[SQL_RECIPIENT_REMOVE] = "DELETE FROM recipient WHERE message = ?",
[SQL_RECIPIENT_UNEXPAND] = "UPDATE recipient SET state = 1, next = ?2,"
	" final = NULL WHERE message = ?1 AND state = 4 AND parent = 0",
[SQL_RECIPIENT_ORPHAN] = "SELECT row FROM recipient WHERE message = ?1"
	" AND parent <> 0 AND state IN (0, 1, 2, 4)"
	" AND parent NOT IN (SELECT row FROM recipient WHERE message = ?1"
	" AND state IN (0, 1, 2, 4)) LIMIT 1",
[SQL_RECIPIENT_CHILDREN] = "DELETE FROM recipient WHERE message = ?1"
	" AND parent <> 0 AND state IN (0, 1, 2, 4)",
[SQL_RECIPIENT_REAGE] = "UPDATE recipient SET state = 1, next = ?2"
	" WHERE message = ?1 AND state IN (0, 1)",
[SQL_RECIPIENT_PUT_OFF] = "UPDATE recipient SET state = ?2, next = ?3"
	" WHERE message = ?1 AND state IN (0, 1)",
[SQL_RECIPIENT_TOTALS] = "SELECT ifnull(sum(state = 1), 0),"
	" ifnull(sum(state = 2), 0) FROM recipient",
[SQL_RECIPIENT_WAITING] = "UPDATE message SET waiting ="
	" (SELECT count(*) FROM recipient WHERE message = ?1"
	" AND state IN (0, 1, 2, 5)) WHERE id = ?1 RETURNING waiting",
[SQL_RECIPIENT_DAMAGED] = "INSERT INTO damaged SELECT message, row, ?3, ?4,"
	" quote(state) || ',' || quote(address) || ',' || quote(target)"
	" FROM recipient WHERE message = ?1 AND (row = ?2 OR ?2 = 0)",
[SQL_RECIPIENT_DROP] = "DELETE FROM recipient WHERE message = ? AND row = ?",
[SQL_ATTEMPT_ADD] = "INSERT OR REPLACE INTO attempt (message, row, number,"
	" tried, stage, replied, host, tls, status, reply)"
	" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
[SQL_ATTEMPT_TRIM] = "DELETE FROM attempt WHERE message = ?1 AND row = ?2"
	" AND number <= (SELECT number FROM attempt WHERE message = ?1"
	" AND row = ?2 ORDER BY number DESC LIMIT 1 OFFSET ?3)",
[SQL_ATTEMPT_OF] = "SELECT number, tried, stage, replied, host, tls, status,"
	" reply FROM attempt WHERE message = ? AND row = ? ORDER BY number",
[SQL_ATTEMPT_REMOVE] = "DELETE FROM attempt WHERE message = ?",
[SQL_DUE] = "SELECT " RECIPIENT_COLUMNS " FROM recipient"
	" WHERE state = 1 AND (next, message, row) > (?, ?, ?)"
	" AND next <= ? ORDER BY next, message, row LIMIT ?",
[SQL_DUE_LANE] = "SELECT " RECIPIENT_COLUMNS " FROM recipient"
	" WHERE state = 1 AND lane = ? AND (next, message, row) > (?, ?, ?)"
	" AND next <= ?"
	" ORDER BY next, message, row LIMIT ?",
[SQL_DUE_FIRST] = "SELECT min(next) FROM recipient"
	" WHERE state = 1 AND next > ?",
[SQL_NEW] = "SELECT " RECIPIENT_COLUMNS " FROM recipient"
	" WHERE (message, row) > (?, ?) AND message <= ?"
	" ORDER BY message, row LIMIT ?",
[SQL_LANE_WAITING] = "SELECT count(*), min(m.arrival), min(r.next) FROM"
	" (SELECT message, next FROM recipient WHERE lane = ? AND state = 1"
	" LIMIT ?) r JOIN message m ON m.id = r.message",
[SQL_MARKED] = "SELECT message, row FROM recipient WHERE state = 5"
	" ORDER BY message, row LIMIT ?",
[SQL_DAMAGED_GET] = "SELECT what FROM damaged WHERE message = ? LIMIT 1",
[SQL_DAMAGED_COUNT] = "SELECT count(*) FROM damaged",
[SQL_BACKUP] = "VACUUM INTO ?",
[SQL_SPOOL_GET] = "SELECT high, low, messages, octets, deferred, held,"
	" epoch, history FROM spool",
[SQL_SPOOL_SET] = "UPDATE spool SET high = ?, low = ?, messages = ?,"
	" octets = ?, deferred = ?, held = ?, epoch = ?",
[SQL_VACUUM] = "PRAGMA incremental_vacuum(256)",
[SQL_CHECK] = "PRAGMA quick_check(100)"
};
