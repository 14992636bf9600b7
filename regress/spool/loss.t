#!/usr/bin/python3
"""What was answered 250 is neither lost, nor stuck, nor told of wrongly,
whatever the operator does to its siblings and whoever dies meanwhile."""
import os
import re
import shutil
import struct
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from spool import *  # noqa: E402,F403
from spool import run_tests  # noqa: E402


def by_filter(spool, action, recipient='', domain='', reason=''):
    """Messages it was done to, and the verdict."""
    answer = Control(spool).ask('CTL_ACTION_REQ', struct.pack(
        '=QQqIIq128s128s128s128s', 0, action, 0, 0, 0, 0, b'',
        recipient.encode(), domain.encode(), reason.encode()))
    return struct.unpack_from('=QI', answer)


def waiting(spool, id):
    """The addresses that wait; spoold is stopped for that."""
    spool.do('stop')
    found = [row[0] for row in spool.sql(
        'SELECT address FROM recipient WHERE state IN (0, 1, 2) AND'
        ' message = %d' % number(id))]
    spool.do('start')
    return found


def test_twin_that_failed():
    spool = Spool()
    control = Control(spool)
    control.action(PAUSE)
    one = spool.send('local-fail@x,local-fail@y')
    by_filter(spool, HOLD, 'local-fail@y')
    control.action(RESUME)
    spool.do('run', 1)
    ok('one of two for a mailbox fails while the other is held',
       len(spool.log('bounced', one)) == 1 and
       control.list()[1] == 1, spool.read('log'))
    control.action(RELEASE, number(one))
    spool.do('run', 1)
    ok('which is then tried, and not taken for delivered',
       len(spool.log('bounced', one)) == 2 and
       not spool.log('delivered', one), spool.read('log'))
    spool.end()


def test_twins_that_fail():
    spool = Spool()
    one = spool.send('local-fail@x,local-fail@y')
    spool.do('run', 4)
    ok('of two for a mailbox that refuses both fail',
       len(spool.log('bounced', one)) == 2 and
       not spool.log('delivered', one), spool.read('log'))
    spool.end()


def test_twin_that_is_removed():
    spool = Spool()
    one = spool.send('local-later@x,local-later@y')
    by_filter(spool, REMOVE, 'local-later@x')
    spool.do('run', 4)
    ok('one of two for a mailbox is removed: the other is tried',
       len(spool.log('deferred', one)) == 2 and
       waiting(spool, one) == ['local-later@y'], spool.read('log'))
    spool.end()


def test_twins():
    spool = Spool()
    one = spool.send('local-ok@x,local-ok@y')
    spool.do('run', 4)
    ok('two for a mailbox are delivered as one', len(spool.events(one)) == 1
       and len(spool.log('delivered', one)) == 2, spool.read('log'))
    spool.end()


def test_reroute_below():
    """A list's member is a list of which the rest is refused."""
    spool = Spool()
    one = spool.send('list-part-local-later@x')
    Control(spool).action(REROUTE, number(one))
    spool.do('run', 1)
    ok('routing anew keeps the members of a part at any depth',
       waiting(spool, one) == ['local-later'], spool.read('log'))
    spool.end()


def test_reroute_of_orphans():
    """A list is removed when the first of its members are there."""
    spool = Spool()
    one = spool.send('part-451_local-later@x')
    ok('the list waits to be expanded further', waiting(spool, one) ==
       ['part-451_local-later@x', 'local-later'])
    by_filter(spool, REMOVE, reason='go away')
    spool.do('run', 1)
    Control(spool).action(REROUTE, number(one))
    spool.do('run', 1)
    ok('routing anew keeps its members when it was removed',
       waiting(spool, one) == ['local-later'], spool.read('log'))
    spool.end()


def test_sibling_of_poison():
    spool = Spool()
    one = spool.send('dies@x,relay-ok@x')
    for i in range(2):
        spool.do('relink')
        spool.do('run', 1)
    ok('what kills policyd is put off, its sibling goes to its hop',
       len(spool.log('poison', one)) == 1 and
       len(spool.log('relayed', one)) == 1, spool.read('log'))
    spool.end()


def test_run_when_the_clock_was_ahead():
    """By ten days, when these were tried."""
    spool = Spool()
    sent = [spool.send('local-later@x'), spool.send('relay-dead@x')]
    spool.do('stop')
    spool.sql('UPDATE recipient SET tried = tried + 864000000000,'
              ' next = next + 864000000000')
    spool.do('start')
    Control(spool).action(RUN)
    spool.do('run', 1)
    ok('a run of the queue tries what was tried later than now',
       [len(spool.events(id)) for id in sent] == [2, 2], spool.events())
    spool.end()


def test_list_that_changes():
    spool = Spool()
    one = spool.send('edited-260@x')
    spool.do('relink')
    spool.do('run', 1)
    gone = set(range(259)) - {int(n) for n in re.findall(
        r'to=discard-(\d+)@here', '\n'.join(spool.log('delivered', one)))}
    ok('no member is passed over where a list is half expanded and the next'
       ' policyd has a shorter one', not gone and len(spool.events(one)) == 1,
       (gone, spool.events()))
    spool.end()


def test_rate_that_changes():
    spool = Spool('[relay "*"]', 'rate = 1/1h')
    spool.send('relay-ok@x')
    one = spool.send('relay-ok@x')
    before = len(spool.log('relayed', one))
    spool.do('configure', 'rate', '100/1s')
    spool.do('run', 2)
    ok('what waits for its turn goes by the new rate', before == 0 and
       len(spool.log('relayed', one)) == 1, (before, spool.read('log')))
    spool.end()


def test_unreadable():
    """A body of which the disk gives nothing for a while."""
    if shutil.which('strace') is None:
        return
    spool = Spool()
    one = spool.send('local-later@x', size=60000)
    spool.do('stop')
    spool.do('start')
    control = Control(spool)
    control.action(HOLD, number(one))
    tracer = subprocess.Popen(
        ['strace', '-e', 'signal=none', '-e', 'trace=pread64', '-o',
         os.path.join(spool.top, 'trace'), '-e', 'inject=pread64:error=ENOMEM',
         '-p', spool.do('pid')[1]], stderr=subprocess.PIPE, text=True)
    tracer.stderr.readline()
    control.action(RELEASE, number(one))
    spool.do('run', 1)
    tracer.terminate()
    tracer.wait()
    ok('what cannot be read just now is put off, not moved away',
       'INJECTED' in spool.read('trace') and not spool.log('damaged') and
       'its body cannot be read' in spool.read('log') and
       control.list()[1] == 1, (spool.read('trace'), spool.read('log')))
    control.action(RUN, number(one))
    spool.do('run', 1)
    ok('and tried in time', len(spool.events(one)) == 2, spool.events())
    spool.end()


def test_slices():
    """More than are looked at in a turn."""
    spool = Spool()
    for i in range(600):
        spool.send('local-later@x', wait=0)
    spool.do('run', 2)
    for name, action in (('hold', HOLD), ('release', RELEASE),
                         ('reroute', REROUTE), ('remove', REMOVE)):
        done = by_filter(spool, action, domain='x')
        ok('%s by a filter is done to all of a long queue' % name,
           done == (600, 1), done)
    ok('of which nothing is left', Control(spool).list()[1] == 0)
    spool.end()


run_tests(globals())
