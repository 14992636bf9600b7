#!/usr/bin/python3
"""The real spoold between stand-ins for all its neighbours."""
import glob
import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from spool import *  # noqa: E402,F403
from spool import run_tests  # noqa: E402


def test_delivery():
    spool = Spool()
    one = spool.send('local-ok@x')
    ok('a message is delivered', spool.events(one) ==
       ['delivered %s 1 ok' % one], spool.events())
    ok('with a closing line', len(spool.log('delivered', one)) == 1)
    two = spool.send('local-ok@x,relay-ok@x,list-local-ok_local-zoe@x')
    events = sorted(e.split(None, 3)[3] + ' ' + e.split()[0]
                    for e in spool.events(two))
    ok('a list reaches each of its members once', events ==
       ['ok delivered', 'relay(ok) relayed', 'zoe delivered'], events)
    three = spool.send('local-forward@x')
    ok('a .forward is expanded by the worker', sorted(
        e.split(None, 3)[3] for e in spool.events(three)) ==
       ['forward', 'ok', '|program'], spool.events(three))
    large = spool.send('local-ok@x', size=300000)
    ok('a large message is delivered',
       'delivered %s 1 ok' % large in spool.events(), spool.events(large))
    ok('and its body is gone', spool.bodies() == [], spool.bodies())
    four = spool.send('mailer-a@x,mailer-b@x,mailer-c@x')
    ok('recipients share a run of a program', spool.events(four) ==
       ['together %s 3 ' % four, 'delivered %s 1 ok' % four] and
       len(spool.log('delivered', four)) == 3, spool.events(four))
    five = spool.send('long-251@x')
    ok('a long list that ends with itself reaches the others',
       len(spool.log('delivered', five)) == 250 and
       spool.log('bounced', five) == [], spool.log('bounced', five))
    spool.send('discard@x,list-local-ok@x')
    spool.do('stop')
    ok('nothing is left', spool.sql(
        'SELECT (SELECT count(*) FROM message), (SELECT count(*) FROM'
        ' recipient), (SELECT count(*) FROM body), messages, octets,'
        ' deferred, held FROM spool') == [(0,) * 7])
    spool.end()


def test_bounces():
    spool = Spool()
    one = spool.send('local-fail@x,relay-fail@x,refuse@x',
                     sender='local-ok@x')
    bounces = spool.log('bounce', None)
    ok('each failure is bounced', len(spool.log('bounced', one)) == 3 and
       len(bounces) == 3, spool.read('log'))
    texts = [spool.read(os.path.basename(p)) for p in
             glob.glob(os.path.join(spool.top, '*.1'))]
    report = ''.join(t for t in texts if 'for ever' in t)
    for line in ('sender=\n', 'To: local-ok@x\n',
                 'Content-Type: multipart/report;'
                 ' report-type=delivery-status;', 'X-Mark: kept\n',
                 'Final-Recipient: rfc822; local-fail@x\n',
                 'Action: failed\nStatus: 5.2.2\n',
                 'Auto-Submitted: auto-replied\n',
                 'Reporting-MTA: dns; here.test\n'):
        ok('the report holds %r' % line, line in report, report)
    ok('and not the body', 'xxxx' not in report)
    two = spool.send('local-fail@x', sender='<>')
    ok('a null sender gets none', len(spool.log('double-bounce', two)) == 1
       and len(spool.log('bounce', None)) == 3, spool.read('log'))
    spool.send('local-fail@x', sender='local-fail@x')
    ok('a bounce is not bounced', len(spool.log('double-bounce', None)) == 2)
    spool.end()


def test_bounce_to():
    spool = Spool('bounce-to = local-ok@watch')
    one = spool.send('local-fail@x', sender='<>', wait=2)
    bounces = spool.log('bounce', None)
    ok('what a null sender would get goes to bounce-to', len(bounces) == 1 and
       'about=' + one in bounces[0] and 'to=local-ok@watch' in bounces[0] and
       sum(line.startswith('delivered') for line in spool.events()) == 1,
       (spool.read('log'), spool.events()))
    spool.end()
    spool = Spool('bounce-to = local-fail@watch')
    spool.send('local-fail@x', sender='<>', wait=2)
    ok('and no further', len(spool.log('bounce', None)) == 1 and
       len(spool.log('double-bounce', None)) == 2, spool.read('log'))
    spool.end()


def test_deferral():
    spool = Spool()
    one = spool.send('local-later@x', sender='local-ok@x')
    two = spool.send('relay-dead@x')
    three = spool.send('relay-dead@x')
    ok('what fails for now waits', len(spool.log('deferred', one)) == 1)
    ok('a closed hop is not tried', len(spool.events(two)) == 1 and
       spool.events(three) == [] and
       len(spool.log('deferred', three)) == 1, spool.events())
    four = spool.send('relay-shut@x')
    ok('no hop is closed for longer than a day', re.search(
        r'next=86\d\d\d', spool.log('deferred', four)[0]),
       spool.log('deferred', four))
    Control(spool).action(REMOVE, number(four))
    spool.do('kill')
    spool.do('start')
    spool.do('run', 2)
    ok('a crash changes no time', len(spool.events(one)) == 1)
    spool.do('stop')
    spool.sql('UPDATE recipient SET next = 0')
    spool.do('start')
    spool.do('run', 2)
    ok('it is tried again when due', len(spool.events(one)) == 2 and
       len(spool.events(two)) + len(spool.events(three)) >= 2,
       spool.events())
    spool.do('stop')
    spool.sql('UPDATE message SET arrival = arrival - 18000000000')
    spool.sql('UPDATE recipient SET next = 0')
    spool.do('start')
    spool.do('run', 2)
    ok('a delay is told once', len(spool.log('delay-notice', None)) == 3 and
       len(spool.log('deferred', one)) == 3, spool.read('log'))
    spool.do('stop')
    spool.sql('UPDATE message SET arrival = arrival - 500000000000')
    spool.sql('UPDATE recipient SET next = 0')
    spool.do('start')
    spool.do('run', 2)
    ok('nothing expires before five tries',
       len(spool.log('bounced', one)) == 0)
    spool.do('stop')
    spool.sql('UPDATE recipient SET next = 0')
    spool.do('start')
    spool.do('run', 2)
    ok('then it does', len(spool.log('bounced', one)) == 1,
       spool.read('log'))
    spool.end()


def test_refusals():
    spool = Spool()
    for code, word, status in (550, 'bounced', '5.7.26'), (
            451, 'deferred', '4.7.26'):
        one = spool.send('refuse-%d@x' % code)
        lines = spool.log('(?:bounced|deferred)', one)
        ok('what a route says with %d is %s' % (code, word),
           len(lines) == 1 and word + ' id' in lines[0] and
           'status=' + status in lines[0], lines)
    spool.end()


def test_clock():
    """It was ahead by two hours when the spool was last used."""
    spool = Spool()
    one = spool.send('local-later@x')
    spool.do('stop')
    spool.sql("UPDATE spool SET high ="
              " (strftime('%s', 'now') + 7200) * 1000 << 20")
    spool.sql('UPDATE recipient SET next = 0, attempts = 9, tries = 9')
    spool.sql('UPDATE message SET arrival = arrival - 518400000000')
    spool.do('start')
    spool.do('run', 2)
    ok('nothing expires by a clock that went back',
       len(spool.log('deferred', one)) == 2 and
       spool.log('bounced', one) == [], spool.read('log'))
    spool.end()


def test_crash():
    spool = Spool()
    ids = [spool.send('local-hangs@x', wait=0) for i in range(50)]
    spool.do('run', 1)
    large = spool.send('local-hangs@x', size=100000)
    before = len(spool.events())
    spool.do('kill')
    spool.do('start')
    spool.do('run', 2)
    ok('what was in work when it died is tried again', before == 32 and
       len(spool.events()) == 64, spool.events())
    ok('a large body is still there', len(spool.bodies()) == 1)
    spool.do('stop')
    ok('every message is', spool.sql('SELECT count(*) FROM message') ==
       [(51,)])
    spool.sql("UPDATE message SET sender = 'other' WHERE id = (SELECT min(id)"
              " FROM message)")
    spool.do('start')
    spool.do('run', 2)
    ok('a damaged row is moved away', len(spool.log('damaged')) >= 1)
    spool.do('stop')
    ok('alone', spool.sql('SELECT (SELECT count(*) FROM message), (SELECT'
       ' count(DISTINCT message) FROM damaged), messages FROM spool') ==
       [(50, 1, 50)])
    ok('ids are not used twice', len(set(ids)) == 50)
    spool.end()


def test_repair():
    spool = Spool()
    for i in range(40):
        spool.send('local-later@x', wait=0, size=5000)
    spool.do('run', 1)
    spool.do('stop')
    path = os.path.join(spool.directory, 'spool.db')
    size = os.path.getsize(path)
    spool.sql('UPDATE spool SET high = 1 << 62')
    with open(path, 'r+b') as file:
        file.seek(4096 * 40)
        file.write(os.urandom(4096 * 4))
    open(path + '.damaged', 'w').close()
    spool.do('start')
    ok('a damaged database is set aside', len(glob.glob(path + '.bad-*')) >= 1)
    one = spool.send('local-ok@x')
    ok('and mail is taken again', len(spool.events(one)) == 1)
    spool.do('stop')
    kept = spool.sql('SELECT count(*) FROM message')[0][0]
    ok('what could be read is kept', 0 < kept <= 40 and size > 4096 * 44,
       kept)
    ok('no id that was given is given again', number(one) > 1 << 62, one)
    with open(path, 'r+b') as file:
        file.write(b'no database at all' * 1000)
    spool.do('start')
    ok('one that is none is replaced', spool.send('local-ok@x') is not None)
    spool.end()


def test_poison():
    spool = Spool()
    one = spool.send('local-dies@x')
    two = spool.send('local-ok@x')
    spool.do('run', 3)
    ok('what kills its worker twice is put off',
       len(spool.log('poison', one)) == 1 and
       len(spool.events(one)) == 2, spool.read('log'))
    ok('and stops nothing else', len(spool.events(two)) == 1)
    spool.do('relink')
    ok('a policyd that comes anew is asked',
       spool.send('local-ok@x') is not None)
    spool.end()


def test_blame():
    spool = Spool()
    one = spool.send('dies@x')
    for i in range(2):
        spool.do('relink')
        spool.do('run', 1)
    ok('what kills policyd twice is put off, for a minute at first',
       len(spool.events(one)) == 2 and len(spool.log('poison', one)) == 1
       and re.search('deferred .* next=(60|59)', spool.read('log')),
       spool.read('log'))
    for how in 'dies', 'lives':
        spool.do('relink')
        spool.do('silent', how)
        two = spool.send('local-ok@x', wait=0)
        asked = [spool.do('silent', how)[0] for i in range(5)]
        spool.do('relink')
        spool.do('run', 1)
        ok('what one that ' + how + ' has not read is not to blame',
           'no' not in asked and len(spool.events(two)) == 1 and
           not spool.log('poison', two), (asked, spool.read('log')))
    spool.end()


def test_slow_suspects():
    spool = Spool()
    for i in range(3):
        spool.send('relay-hold@x%d' % i)
    spool.do('relay-dies')
    spool.do('run', 1)
    ok('what was out when relay died goes alone', spool.do('held') ==
       ['ok', '1'], spool.do('held'))
    one = spool.send('relay-ok@x')
    spool.do('run', 6)
    ok('but is not waited for long', spool.do('held') == ['ok', '3'] and
       len(spool.events(one)) == 1, (spool.do('held'), spool.read('log')))
    for seconds in 4, 6:
        spool.do('relay-dies')
        spool.do('run', seconds)
    spool.do('relay-dies')
    spool.do('run', 3)
    ok('longer each time that relay dies', spool.do('held') == ['ok', '1'],
       spool.do('held'))
    spool.do('let', 1)
    spool.do('relay-dies')
    spool.do('run', 1)
    spool.do('relay-dies')
    spool.do('run', 1)
    ok('which finds who is to blame', len(spool.log('poison')) == 2,
       spool.read('log'))
    spool.end()


def test_careful():
    spool = Spool()
    one = spool.send('local-hangs@x')
    for i in range(4):
        spool.do('kill')
        spool.do('start')
        spool.do('run', 1)
    ok('what is there each time spoold dies is put off',
       len(spool.events(one)) == 4 and len(spool.log('poison', one)) == 1,
       spool.read('log'))
    answer = spool.do('bench', 50, 10, 2000, 'local-ok@x')
    ok('the rest goes on, one at a time', answer[1:3] == ['50', '50'], answer)
    spool.do('stop')
    ok('nothing is lost', spool.sql('SELECT messages, deferred FROM spool') ==
       [(1, 1)], spool.sql('SELECT * FROM spool'))
    spool.do('start')
    spool.do('stop')
    ok('a good end is forgotten', spool.read('log').count(': careful ') == 3,
       spool.read('log'))
    spool.end()


def test_control():
    spool = Spool()
    control = Control(spool)
    one = spool.send('local-later@x')
    large = spool.send('local-later@x', size=100000)
    ok('the queue is listed', control.list() == (0, 2, 101000, 2),
       control.list())
    ok('a message is exported', 'Recipient: <local-later@x>\n' in
       control.read(number(one)))
    ok('run tries all', control.action(RUN)[1] == 1 and
       len(spool.events(one)) == 2, spool.events())
    ok('but not twice in ten seconds', control.action(RUN)[1] == 4)
    ok('run of one does', control.action(RUN, number(one)) == (1, 1) and
       len(spool.events(one)) == 3)
    ok('hold', control.action(HOLD, number(one)) == (1, 1) and
       'held=1' in control.status(), control.status())
    ok('what is held is not run', control.action(RUN, number(one)) == (0, 2))
    ok('release', control.action(RELEASE, number(one)) == (1, 1) and
       len(spool.events(one)) == 4)
    ok('remove', control.action(REMOVE, number(large)) == (1, 1) and
       control.list() == (0, 1, 1000, 1) and spool.bodies() == [],
       (control.list(), spool.bodies()))
    ok('no such message', control.action(REMOVE, 5) == (0, 2))
    control.action(PAUSE)
    two = spool.send('local-ok@x')
    ok('pause', spool.events(two) == [] and 'paused=yes' in control.status())
    control.action(RESUME)
    ok('resume', len(spool.events(two)) == 1)
    lists = spool.send('list-local-later_local-ok@x')
    ok('reroute expands afresh', control.action(REROUTE, number(lists)) ==
       (1, 1) and len(spool.log('expanded', lists)) == 2 and
       len([e for e in spool.events(lists) if 'delivered' in e]) == 1,
       spool.read('log'))
    ok('age', control.action(AGE, number(one), 6 * 86400 * 1000000)[1] == 1
       and len(spool.log('bounced', one)) == 1, spool.read('log'))
    ok('check', control.action(CHECK)[1] == 1)
    ok('remove by filter', control.action(REMOVE)[1] == 1 and
       control.list()[1] == 0, control.list())
    spool.do('stop')
    ok('nothing is left', spool.sql(
        'SELECT (SELECT count(*) FROM message), (SELECT count(*) FROM'
        ' recipient), messages, octets, deferred, held FROM spool') ==
       [(0,) * 6], spool.sql('SELECT * FROM spool'))
    spool.end()


def test_reroute_of_a_part():
    """A list of which the rest is refused, once its first members are there."""
    spool = Spool()
    part = number(spool.send('part-local-later_local-ok@x'))
    spool.do('stop')
    waits = spool.sql('SELECT m.waiting, r.address FROM message m JOIN recipient'
                      ' r ON r.message = m.id WHERE r.state = 1')
    ok('a part of a list waits', waits == [(1, 'local-later')], waits)
    spool.do('start')
    control = Control(spool)
    ok('routed anew', control.action(REROUTE, part) == (1, 1))
    ok('it is tried again', len(spool.events()) == 3, spool.events())
    control.action(REMOVE, part)
    spool.do('stop')
    left = spool.sql('SELECT count(*) FROM message WHERE id = %d' % part)
    ok('and can end', left == [(0,)], spool.read('log'))
    spool.end()


def test_changes_in_work():
    spool = Spool()
    control = Control(spool)
    control.action(PAUSE)
    one, two = spool.send('local-ok@x'), spool.send('local-ok@x')
    control.action(REROUTE, number(one))
    control.action(AGE, number(two), 1000000)
    ok('what was never tried and is routed anew or aged is due',
       'deferred=2' in control.status(), control.status())
    control.action(RESUME)
    ok('and is delivered', len(spool.events(one)) == 1 and
       len(spool.events(two)) == 1, spool.events())
    three = spool.send('local-hangs@x')
    control.action(REMOVE, number(three))
    ok('what is removed while a worker has it stays until then',
       control.list()[:3] == (0, 1, 1000), control.list())
    for i in range(2):
        spool.do('hangup')
        spool.do('run', 2)
    ok('and goes when that has died of it', len(spool.log('poison', three))
       == 1 and control.list()[:3] == (0, 0, 0), control.list())
    spool.do('stop')
    ok('nothing is left', spool.sql(
        'SELECT (SELECT count(*) FROM message), (SELECT count(*) FROM'
        ' recipient), messages, octets, deferred, held FROM spool') ==
       [(0,) * 6], spool.sql('SELECT * FROM spool'))
    spool.end()


TOTALS = ('SELECT messages = (SELECT count(*) FROM message), octets ='
          ' (SELECT sum(size) FROM message), deferred = (SELECT count(*)'
          ' FROM recipient WHERE state = 1), held = (SELECT count(*) FROM'
          ' recipient WHERE state = 2) FROM spool')


def test_damage():
    spool = Spool()
    for i in range(5):
        spool.send('local-later@x,local-later@y', wait=0)
    spool.do('run', 1)
    Control(spool).action(HOLD, number(spool.send('local-later@x')))
    spool.do('stop')
    spool.sql("UPDATE recipient SET next = 0, address = 'other' WHERE row = 1"
              " AND message = (SELECT min(id) FROM message)")
    spool.sql("UPDATE body SET octets = 'other' WHERE id = (SELECT id FROM"
              " message ORDER BY id LIMIT 1 OFFSET 1)")
    # As long as it was, and other octets.
    spool.sql("UPDATE body SET octets = zeroblob(1000) WHERE id = (SELECT id"
              " FROM message ORDER BY id LIMIT 1 OFFSET 3)")
    spool.sql('UPDATE recipient SET next = 0, attempts = 9, tries = 9')
    spool.sql('UPDATE message SET arrival = 0 WHERE id = (SELECT id FROM'
              ' message ORDER BY id LIMIT 1 OFFSET 2)')
    spool.do('start')
    spool.do('run', 2)
    spool.do('stop')
    ok('rows and bodies are damaged', spool.sql('SELECT count(*) FROM damaged')
       == [(7,)], spool.sql('SELECT * FROM damaged'))
    ok('and the totals are still right', spool.sql(TOTALS) == [(1,) * 4],
       spool.sql('SELECT * FROM spool'))
    spool.end()


def test_reserve():
    spool = Spool('disk-reserve = 1000000G')
    spool.do('run', 1)
    ok('below the reserve smtpd is told so', spool.do('state') == ['no'])
    ok('and nothing is taken', spool.do(
        'send', 'a@b.test', 'local-ok@x', 1000)[2] == '2')
    spool.end()


def test_window():
    spool = Spool('window = 100')
    answer = spool.do('bench', 3000, 100, 2000, 'local-ok@x')
    ok('more than the window are all delivered',
       answer[1:3] == ['3000', '3000'], answer)
    spool.do('stop')
    ok('and none is left', spool.sql('SELECT messages, deferred FROM spool')
       == [(0, 0)], spool.sql('SELECT * FROM spool'))
    spool.end()


run_tests(globals())
