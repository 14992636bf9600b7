#!/usr/bin/python3
"""What spoold keeps of attempts, what it reports, and an older schema."""
import email
import glob
import os
import re
import shutil
import sqlite3
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from spool import *  # noqa: E402,F403
from spool import run_tests  # noqa: E402

BOUNCE = 11
ATTEMPTS = ('SELECT row, number, stage, replied, host, tls, status, reply FROM'
            ' attempt ORDER BY message, row, number')


def rows(spool, text=ATTEMPTS):
    spool.do('stop')
    found = spool.sql(text)
    spool.do('start')
    return found


def same(what, got, wanted):
    ok(what, got == wanted, got)


def reports(spool):
    """The reports that were delivered: action, recipient, whole text."""
    found = []
    for name in sorted(glob.glob(os.path.join(spool.top, '*.1'))):
        with open(name) as file:
            text = file.read().partition('\n')[2]
        parts = list(email.message_from_string(text).walk())
        for part in parts:
            if part.get_content_type() == 'message/delivery-status':
                for block in part.get_payload()[1:]:
                    found.append((block['Action'], block['Final-Recipient']
                                  .partition(';')[2].strip(), text))
    return found


def test_attempts():
    spool = Spool()
    spool.send('relay-ok@x')
    same('nothing is kept of what went at once', rows(spool), [])
    one = spool.send('local-later@x')
    same('a worker that put it off', rows(spool), [
        (1, 1, 0, 0, '/home/later', '', '4.2.2', 'over quota')])
    same('with the line that sent it there, and why it is tried when',
         rows(spool, 'SELECT decided, why FROM recipient'),
         [('postmaster.cf:7', 'back-off after attempt 1')])
    spool.do('stop')
    for i in range(2, 21):
        spool.sql('INSERT INTO attempt SELECT message, row, %d, tried, stage,'
                  ' replied, host, tls, status, reply FROM attempt WHERE'
                  ' number = 1' % i)
    spool.sql('UPDATE recipient SET attempts = 20, tries = 20')
    spool.do('start')
    Control(spool).action(RUN, number(one))
    same('the last twenty are kept', rows(spool, 'SELECT count(*),'
         ' min(number), max(number) FROM attempt'), [(20, 2, 21)])
    Control(spool).action(REMOVE, number(one))
    same('and go with the message', rows(spool), [])
    two = spool.send('relay-ok@x,local-later@x,local-ok@x,relay-dead@x')
    same('of a message for several each is told', rows(spool), [
        (1, 1, 9, 1, 'mx.there[192.0.2.1]:25', 'TLSv1.3 verified', '2.0.0',
         '250 2.0.0 taken'),
        (2, 1, 0, 0, '/home/later', '', '4.2.2', 'over quota'),
        (3, 1, 0, 0, '/home/ok', '', '2.0.0', ''),
        (4, 1, 2, 0, 'mx.there[192.0.2.1]:25', 'TLSv1.3 verified', '4.4.1',
         'connection refused')])
    ok('as the log has it', 'tls="TLSv1.3 verified"' in
       spool.log('relayed', two)[0], spool.log('relayed', two))
    Control(spool).action(REMOVE, number(two))
    spool.send('relay-ok@x,relay-ok@y,local-ok@x')
    same('nothing is left of what has gone', (rows(spool), rows(
        spool, 'SELECT messages, deferred FROM spool')), ([], [(0, 0)]))
    three = spool.send('relay-dead@x')
    four = spool.send('relay-dead@x')
    same('waiting for a closed hop is no attempt', rows(
        spool, 'SELECT message, count(*) FROM attempt GROUP BY message'),
        [(number(three), 1)])
    for id in three, four:
        Control(spool).action(BOUNCE, number(id))
    same('and goes as well', rows(spool), [])
    spool.end()


def test_give_up():
    spool = Spool()
    one = spool.send('local-later@x', 'local-ok@me')
    answer = Control(spool).action(BOUNCE, number(one))
    spool.do('run', 1)
    ok('what is given up is bounced', answer == (1, 1) and
       len(spool.log('bounced', one)) == 1, (answer, spool.read('log')))
    ok('without another attempt', len(spool.events(one)) == 1,
       spool.events(one))
    found = reports(spool)
    ok('its sender is told', [f[:2] for f in found] ==
       [('failed', 'local-later@x')] and
       'decided not to try any' in found[0][2], found)
    two = spool.send('local-later@x', 'local-ok@me')
    Control(spool).action(HOLD, number(two))
    Control(spool).action(PAUSE)
    Control(spool).action(BOUNCE, number(two))
    spool.do('kill')
    spool.do('start')
    spool.do('run', 2)
    ok('also what was held, and after a crash',
       len(spool.log('bounced', two)) == 1 and len(spool.events(two)) == 1,
       spool.log('', two))
    three = spool.send('relay-hold@x', 'local-ok@me')
    Control(spool).action(BOUNCE, number(three))
    ok('what a next hop has waits for its answer',
       spool.log('bounced', three) == [])
    spool.do('break', 1)
    spool.do('run', 1)
    ok('and ends with it', len(spool.log('bounced', three)) == 1,
       spool.log('', three))
    four = spool.send('relay-hold@x', 'local-ok@me')
    Control(spool).action(BOUNCE, number(four))
    spool.do('let', 1)
    ok('which may be a good one', len(spool.log('relayed', four)) == 1 and
       spool.log('bounced', four) == [], spool.log('', four))
    spool.do('stop')
    ok('nothing is left', spool.sql(
        'SELECT messages, deferred, held, (SELECT count(*) FROM attempt)'
        ' FROM spool') == [(0,) * 4], spool.sql('SELECT * FROM spool'))
    spool.end()


def test_reports():
    spool = Spool()
    spool.send('relay-ok@x', 'local-ok@me')
    spool.send('!relay-dsn@x', 'local-ok@me')
    ok('no report of success unasked, or by a hop that reports itself',
       reports(spool) == [], reports(spool))
    spool.send('!relay-ok@x,!local-fail@x', 'local-ok@me')
    ok('relayed where none is to be had, nothing of a failure',
       [r[:2] for r in reports(spool)] == [('relayed', 'relay-ok@x')],
       reports(spool))
    spool.send('!hop-lmtp(/ok)@x', 'local-ok@me')
    ok('what LMTP took is delivered', [r[:2] for r in reports(spool)][1:] ==
       [('delivered', 'hop-lmtp(/ok)@x')], reports(spool))
    spool.send('!list-local-ok@x', '<>')
    spool.send('!list-local-zoe_relay-ok@x', 'local-ok@me')
    ok('a list is expanded once, and its members are not told',
       [r[:2] for r in reports(spool)][2:] ==
       [('expanded', 'list-local-zoe_relay-ok@x')], reports(spool))
    spool.send('!long-600@x', 'local-ok@me', wait=8)
    ok('a long one as well', [r[:2] for r in reports(spool)][3:] ==
       [('expanded', 'long-600@x')], [r[:2] for r in reports(spool)])
    spool.send('!list-relay-ok@x', 'local-ok@me')
    ok('an alias for one is followed', [r[:2] for r in reports(spool)][4:] ==
       [('relayed', 'relay-ok@here.test')], [r[:2] for r in reports(spool)])
    spool.send('relay-fail@x', 'local-ok@me')
    found = reports(spool)[-1]
    ok('a refusal is told with the server and its words', found[0] == 'failed'
       and '\nRemote-MTA: dns; mx.there\n' in found[2] and
       '\nDiagnostic-Code: smtp; 550 5.1.1 nobody\n' in found[2] and
       'mx.there refused the address: it says that there is no such' in
       found[2], found[2])
    spool.do('stop')
    ok('nothing is left', spool.sql('SELECT messages FROM spool') == [(0,)])
    spool.end()


def test_lists():
    spool = Spool()
    one = spool.send('empty@x')
    two = spool.send('local-nobody@x')
    ok('a list of nobody is put off', len(spool.log('deferred', one)) == 1 and
       'status=4.3.5' in spool.log('deferred', one)[0] and
       'no members' in spool.log('deferred', one)[0], spool.read('log'))
    ok('a .forward of nobody as well', len(spool.log('deferred', two)) == 1
       and 'status=4.3.5' in spool.log('deferred', two)[0],
       spool.read('log'))
    three = spool.send('!local-many@x', 'local-ok@me', wait=4)
    ok('a .forward of many comes in pieces', len(
        spool.log('delivered', three)) == 600 and
       len(spool.log('expanded', three)) == 1, spool.log('expanded', three))
    same('and is reported once', [r[:2] for r in reports(spool)],
         [('expanded', 'local-many@x')])
    same('nothing else is left', rows(spool, 'SELECT messages FROM spool'),
         [(2,)])
    spool.end()


# The schema as it was in version 1.
VERSION_1 = """
CREATE TABLE message (id INTEGER PRIMARY KEY, arrival INTEGER NOT NULL,
 size INTEGER NOT NULL, body_sum INTEGER NOT NULL, kind INTEGER NOT NULL,
 in_file INTEGER NOT NULL, body_type INTEGER NOT NULL, ret INTEGER NOT NULL,
 rows INTEGER NOT NULL, waiting INTEGER NOT NULL, owner INTEGER,
 uid INTEGER NOT NULL, standing INTEGER NOT NULL, port INTEGER NOT NULL,
 family INTEGER NOT NULL, client BLOB NOT NULL, tls INTEGER NOT NULL,
 esmtp INTEGER NOT NULL, listener TEXT NOT NULL, helo TEXT NOT NULL,
 login TEXT NOT NULL, sender TEXT NOT NULL, envid TEXT NOT NULL,
 sum INTEGER NOT NULL);
CREATE INDEX message_owner ON message (owner, id) WHERE owner IS NOT NULL;
CREATE TABLE body (id INTEGER PRIMARY KEY, octets BLOB NOT NULL);
CREATE TABLE recipient (message INTEGER NOT NULL, row INTEGER NOT NULL,
 state INTEGER NOT NULL, next INTEGER NOT NULL,
 attempts INTEGER NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0,
 epoch INTEGER NOT NULL DEFAULT 0, poison INTEGER NOT NULL DEFAULT 0,
 notify INTEGER NOT NULL, flags INTEGER NOT NULL, parent INTEGER NOT NULL,
 place INTEGER NOT NULL, address TEXT NOT NULL, target TEXT NOT NULL,
 original TEXT NOT NULL, account TEXT NOT NULL, sender TEXT,
 orcpt TEXT NOT NULL, sum INTEGER NOT NULL, lane TEXT, final TEXT,
 status TEXT, reason TEXT, tried INTEGER, PRIMARY KEY (message, row))
 WITHOUT ROWID;
CREATE INDEX recipient_due ON recipient (next, message, row) WHERE state = 1;
CREATE INDEX recipient_lane ON recipient (lane, next, message, row)
 WHERE state = 1;
CREATE INDEX recipient_marked ON recipient (message, row) WHERE state = 5;
CREATE TABLE damaged (message INTEGER NOT NULL, row INTEGER NOT NULL,
 what TEXT NOT NULL, found INTEGER NOT NULL, data TEXT);
CREATE INDEX damaged_message ON damaged (message);
CREATE TABLE spool (one INTEGER PRIMARY KEY CHECK (one = 1),
 high INTEGER NOT NULL, low INTEGER NOT NULL, messages INTEGER NOT NULL,
 octets INTEGER NOT NULL, deferred INTEGER NOT NULL, held INTEGER NOT NULL,
 epoch INTEGER NOT NULL, history TEXT NOT NULL);
PRAGMA user_version = 1;
"""


def make_older(path):
    """Put the rows of a stopped spool into the schema of version 1."""
    os.rename(path, path + '.new')
    for name in glob.glob(path + '-*'):
        os.unlink(name)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute('PRAGMA auto_vacuum = INCREMENTAL')
    db.execute('PRAGMA journal_mode = WAL')
    db.executescript(VERSION_1)
    db.execute('ATTACH ? AS new', (path + '.new',))
    for table in 'message', 'body', 'recipient', 'damaged', 'spool':
        columns = ','.join(row[1] for row in db.execute(
            'PRAGMA main.table_info(%s)' % table))
        db.execute('INSERT INTO main.%s SELECT %s FROM new.%s' %
                   (table, columns, table))
    db.close()
    os.unlink(path + '.new')


def test_older_schema():
    spool = Spool()
    path = os.path.join(spool.directory, 'spool.db')
    Control(spool).action(PAUSE)
    one = spool.send('local-ok@x')
    large = spool.send('local-ok@x', size=100000)
    for id in one, large:
        Control(spool).action(HOLD, number(id))
    Control(spool).action(RESUME)
    later = spool.send('local-later@x')
    spool.do('stop')
    spool.sql('UPDATE recipient SET state = 1, next = 0 WHERE state = 2')
    spool.sql('UPDATE spool SET deferred = deferred + held, held = 0')
    make_older(path)
    ok('a spool of version 1', spool.sql('PRAGMA user_version') == [(1,)] and
       spool.sql('SELECT count(*) FROM recipient WHERE message IN (%d, %d)' %
                 (number(one), number(later)))[0][0] == 2)
    waiting = spool.sql('SELECT count(*) FROM message')[0][0]
    spool.do('start')
    spool.do('run', 2)
    ok('its mail is delivered', len(spool.events(one)) == 1 and
       'delivered' in spool.events(one)[0] and
       len([e for e in spool.events(large) if 'delivered' in e]) == 1,
       spool.events())
    ok('or waits', Control(spool).list()[1] == 1, Control(spool).list())
    spool.do('stop')
    ok('it is of this version', spool.sql('PRAGMA user_version') > [(1,)] and
       spool.sql(ATTEMPTS) == [] and spool.sql('SELECT messages, deferred FROM'
       ' spool') == [(1, 1)], spool.sql('SELECT * FROM spool'))
    copy = sqlite3.connect(path + '.v1')
    ok('as it was it is kept', copy.execute('PRAGMA user_version').fetchall()
       == [(1,)] and copy.execute('SELECT count(*) FROM message').fetchone()[0]
       == waiting and copy.execute('PRAGMA integrity_check').fetchall() ==
       [('ok',)])
    copy.close()
    make_older(path)
    os.unlink(path + '.v1')
    open(path + '.damaged', 'w').close()
    spool.do('start')
    spool.do('run', 1)
    ok('a damaged one is repaired into this version',
       Control(spool).list()[1] == 1 and
       'damaged file is' in spool.read('log'), spool.read('log')[-2000:])
    Control(spool).action(RUN, number(later))
    ok('and its mail is tried', len(spool.events(later)) >= 2)
    spool.end()


run_tests(globals())
