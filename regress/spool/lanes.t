#!/usr/bin/python3
"""Next hops: what goes together, how much at a time, and when."""
import os
import re
import struct
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from spool import *  # noqa: E402,F403
from spool import run_tests  # noqa: E402


def rows(spool, text):
    """Of a copy of the spool, which is stopped for that."""
    spool.do('stop')
    found = spool.sql(text)
    spool.do('start')
    return found


def test_lanes():
    spool = Spool('[relay "*"]', 'max-rcpt-to = 3')
    one = spool.send('mx-a@one.test,mx-b@two.test,mx-c@one.test')
    ok('domains by their mail exchangers go apart',
       sorted(e.split(None, 3)[3] for e in spool.events(one)) ==
       ['one.test by relay()', 'one.test by relay()', 'two.test by relay()']
       and spool.do('transactions')[1:] == ['0', '2'],
       (spool.events(one), spool.do('transactions')))
    two = spool.send(','.join('relay-ok@%d.test' % i for i in range(7)))
    ok('all at one hop go together, up to the limit',
       len(spool.events(two)) == 7 and
       spool.do('transactions')[1:] == ['0', '5'], spool.do('transactions'))
    spool.send('hop-lmtp(/run/x)@y,hop-ok@y')
    ok('a Unix socket has a relay of its own',
       spool.do('transactions')[1:] == ['1', '6'], spool.do('transactions'))
    spool.send('mx-a@dead.test,mx-a@ok.test')
    lanes = rows(spool, 'SELECT lane, decided, why, attempts FROM recipient'
                 ' WHERE state = 1')
    ok('what is put off is stored with its lane and why', lanes ==
       [('dead.test by relay()', 'postmaster.cf:7',
         'the next hop is closed until then', 1)], lanes)
    three = spool.send('odd@y')
    if not spool.log('deferred', three):
        # Its answer came before its sync had ended: it is asked for again.
        spool.do('relink')
        spool.do('run', 1)
    ok('an answer that makes no sense puts off',
       len(spool.log('deferred', three)) == 1, spool.read('log'))
    spool.end()


def test_concurrency():
    spool = Spool('[relay "*"]', 'max-connections = 8')
    for i in range(60):
        spool.send('relay-hold@x', wait=0)
    spool.do('run', 1)
    ok('a hop gets five transactions at first', spool.do('held') ==
       ['ok', '5'], spool.do('held'))
    ok('one more for each that reached it', spool.do('let', 2) ==
       ['ok', '7'], spool.do('held'))
    ok('when it bears as many as its section allows, as many again behind'
       ' them', spool.do('let', 1) == ['ok', '16'], spool.do('held'))
    ok('but no more', spool.do('let', 5) == ['ok', '16'], spool.do('held'))
    spool.do('break', 1)
    ok('half as many when one did not', spool.do('break', 13) == ['ok', '2']
       and spool.do('break', 1) == ['ok', '1'], spool.do('held'))
    ok('but never none', spool.do('break', 1) == ['ok', '1'] and
       spool.do('let', 1) == ['ok', '2'], spool.do('held'))
    spool.do('let', 2)
    spool.do('configure', 'max-connections', 1)
    ok('a new configuration holds at once', spool.do('let', 2) ==
       ['ok', '2'] and spool.do('let', 2) == ['ok', '2'], spool.do('held'))
    spool.end()


def test_closed():
    spool = Spool()
    ids = [spool.send('relay-hold@x', wait=0) for i in range(40)]
    spool.do('run', 1)
    spool.do('close', 1, 3)
    tried = [i for i in ids if spool.events(i)]
    ok('all that waits for a hop waits with it', len(tried) == 1 and
       len(spool.log('deferred')) == 36 and spool.do('held') == ['ok', '4'],
       (tried, len(spool.log('deferred')), spool.do('held')))
    ok('and for those it is no attempt', sorted(re.findall(
        r'attempts=(\d+)', '\n'.join(spool.log('deferred')))) ==
       ['0'] * 35 + ['1'], spool.read('log'))
    late = spool.send('relay-hold@x')
    ok('what comes now joins them', spool.events(late) == [] and
       len(spool.log('deferred', late)) == 1)
    ok('that it is closed is told once', len(spool.log('closed')) == 1 and
       'waiting=35' in spool.log('closed')[0], spool.log('closed'))
    spool.do('let', 4)
    spool.do('run', 2)
    ok('an answer from before opens it', int(spool.do('held')[1]) >= 1,
       spool.do('held'))
    go_on(spool, 40)
    ok('and all that waited for that goes',
       len(spool.log('relayed')) == 40, len(spool.log('relayed')))
    spool.end()


def go_on(spool, wanted):
    """Let go what is held until so many are relayed."""
    for i in range(20):
        if len(spool.log('relayed')) >= wanted:
            break
        spool.do('let', 20)
        spool.do('run', 1)


def test_asleep():
    spool = Spool()
    control = Control(spool)
    ids = [spool.send('relay-hold@x', wait=0) for i in range(20)]
    spool.do('run', 1)
    spool.do('close', 5, 1000)
    told = control.show(ids[-1])
    ok('what waits for a closed hop says so, and until when',
       re.search('why: the next hop is closed for 99. s: ', told) and
       int(re.search('next: ([0-9]+)', told).group(1)) -
       int(re.search('arrival: ([0-9]+)', told).group(1)) < 1100, told)
    spool.do('stop')
    ok('its own time is that of its next look', spool.sql(
        'SELECT count(*), min(next) > max(arrival) + 2600000000, max(next) <'
        ' max(arrival) + 3700000000, min(why), max(why) FROM recipient JOIN'
        ' message ON id = message WHERE attempts = 0 AND flags & 16') ==
       [(15, 1, 1) + 2 * ('its next hop is closed',)],
       spool.sql('SELECT attempts, tries, next, flags, why FROM recipient'))
    spool.sql('UPDATE recipient SET next = 0 WHERE message = %d' %
              number(ids[-1]))
    spool.do('start')
    spool.do('run', 1)
    ok('one that is due is tried', spool.do('held') == ['ok', '1'],
       spool.do('held'))
    spool.do('let', 1)
    spool.do('run', 2)
    ok('and when it gets through so are those that wait',
       spool.do('held') == ['ok', '6'], spool.do('held'))
    go_on(spool, 15)
    spool.do('run', 2)
    ok('but not what has a time of its own', len(spool.log('relayed')) == 15
       and spool.do('held') == ['ok', '0'], (len(spool.log('relayed')),
                                            spool.do('held')))
    spool.end()


def put_to_sleep():
    """Twenty, of which fifteen wait for their hop to open."""
    spool = Spool()
    ids = [spool.send('relay-hold@x', wait=0) for i in range(20)]
    spool.do('run', 1)
    spool.do('close', 5, 1000)
    return spool, ids


def test_opened():
    spool, ids = put_to_sleep()
    control = Control(spool)
    control.action(PAUSE)
    control.action(RUN, number(ids[-1]))
    control.action(REMOVE, number(ids[-1]))
    control.action(RESUME)
    spool.do('run', 2)
    ok('who opens a hop wakes what waits for that, whatever becomes of the'
       ' mail it was for', spool.do('held') == ['ok', '1'], spool.do('held'))
    spool.end()


def test_restart_asleep():
    spool, ids = put_to_sleep()
    spool.do('stop')
    spool.do('start')
    spool.send('relay-hold@x')
    told = Control(spool).ask('CTL_WHY_REQ', struct.pack(
        '=Q320s', 0, b'hold')).decode()
    ok('what slept before a start has the time of its next look',
       re.search(r'next: [1-9]\d{8}', told), told)
    spool.do('let', 1)
    spool.do('run', 2)
    ok('and wakes as other mail gets through',
       spool.do('held') == ['ok', '6'], spool.do('held'))
    spool.end()




def test_probe():
    spool = Spool()
    for i in range(40):
        spool.send('relay-hold@x', wait=0)
    spool.do('run', 1)
    for i in range(5):
        spool.do('close', 1, 2)
    spool.do('run', 14)
    ok('a hop that opens is tried with one', spool.do('held') == ['ok', '1'],
       spool.do('held'))
    spool.do('close', 1, 1000)
    ok('and if that fails no other connects', spool.do('held') ==
       ['ok', '0'] and len([e for e in spool.events() if 'tried' in e]) == 6,
       spool.events())
    told = re.findall('deferred id=([0-9a-v]+).*attempts=0',
                      spool.read('log'))
    spool.do('stop')
    ok('all else waits on', spool.sql(
        'SELECT count(*), min(tries) > 0, min(flags), min(why), max(why)'
        ' FROM recipient WHERE attempts = 0') == [(34, 1, 17) + 2 * ('its next hop is closed',)],
       spool.sql('SELECT attempts, tries, next, flags, why FROM recipient'))
    ok('of which each is told once', len(set(told)) == len(told) == 35,
       told)
    spool.sql('UPDATE recipient SET tries = 4')
    spool.sql('UPDATE message SET arrival = arrival - 500000000000')
    spool.sql('UPDATE recipient SET next = 0')
    spool.do('start')
    spool.do('run', 1)
    spool.do('close', 5, 1000)
    gone = [line for line in spool.log('bounced') if 'to=relay-hold' in line]
    ok('mail for a dead hop expires', len(gone) == 40 and
       len([e for e in spool.events() if 'tried' in e]) <= 11,
       (len(gone), len(spool.events())))
    ok('and says so', sum('its next hop closed: ' in line
                          for line in gone) >= 29, gone)
    spool.end()


def test_rate():
    spool = Spool('[relay "ok"]', 'rate = 40/4s')
    spool.do('flood', 50, 'hop-ok@x')
    spool.do('flood', 100, 'relay-ok@x')
    spool.do('run', 1)
    early = len([e for e in spool.events() if e.endswith(' ok')])
    ok('a rate lets go at most so many', 4 <= early <= 40, early)
    ok('others are not bound by it', len(spool.events()) == 100 + early,
       len(spool.events()))
    spool.do('run', 5)
    ok('in time all go', len(spool.events()) == 150, len(spool.events()))
    spool.end()
    spool = Spool('[relay "*"]', 'rate = 1/1h')
    spool.do('flood', 20, 'hop-ok@x')
    control = Control(spool)
    for _ in range(30):
        if 'active=0' in control.status().split():
            break
    ok('one goes', len(spool.log('relayed')) == 1, spool.read('log'))
    spool.do('stop')
    ok('what has no turn soon is in the database until then', spool.sql(
        "SELECT count(*), min(next) > 3500000000 + max(0, (SELECT"
        " max(arrival) FROM message)), max(attempts), why FROM recipient"
        " WHERE state = 1") == [(19, 1, 0, 'the rate of [relay *]')],
       spool.sql('SELECT state, next, attempts, why FROM recipient'))
    spool.end()


def test_fairness():
    spool = Spool('window = 200')
    spool.do('flood', 1000, 'relay-hold@x')
    spool.do('flood', 100, 'mx-x@hold.test')
    spool.do('run', 1)
    held = spool.do('held')
    before = time.monotonic()
    spool.do('flood', 300, 'relay-ok@y')
    while len(spool.log('relayed')) < 300 and time.monotonic() - before < 30:
        spool.do('run', 1)
    ok('slow hops do not delay the others', held == ['ok', '10'] and
       len(spool.log('relayed')) == 300,
       (held, len(spool.log('relayed')), time.monotonic() - before))
    spool.do('let', 10)
    ok('and lose nothing of what waits', len(spool.log('relayed')) == 310)
    spool.do('stop')
    ok('which is all there', spool.sql('SELECT messages FROM spool') ==
       [(1090,)], spool.sql('SELECT * FROM spool'))
    spool.end()


def test_run():
    spool = Spool('window = 100', 'retry-min = 1h')
    control = Control(spool)
    spool.do('flood', 300, 'relay-mood@x')
    spool.do('flood', 300, 'relay-dead@x')
    spool.do('run', 3)
    ok('all is put off', len(spool.log('deferred')) == 600 and
       len(spool.events()) == 305, (len(spool.log('deferred')),
                                    len(spool.events())))
    spool.do('mood', 'ok')
    control.action(RUN)
    spool.do('run', 4)
    ok('a run tries all of a hop, whatever its share',
       len(spool.log('relayed')) == 300, len(spool.log('relayed')))
    ok('and one of a hop that is still dead',
       len(spool.events()) == 606, len(spool.events()))
    spool.do('stop')
    ok('of which nothing is lost', spool.sql(
        'SELECT messages, deferred, (SELECT min(next) - max(tried) >'
        ' 250000000 FROM recipient) FROM spool') == [(300, 300, 1)],
       spool.sql('SELECT * FROM spool'))
    spool.end()


run_tests(globals())
