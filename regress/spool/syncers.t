#!/usr/bin/python3
"""spoold and its syncers, on a disk whose syncs are long."""
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import spool as spooling  # noqa: E402
from spool import *  # noqa: E402,F403
from spool import run_tests  # noqa: E402


class Slow(spooling.Spool):
    """Its spoold's own syncs are long, those of the syncers are not: spoold
    makes use of them for a while."""
    def __init__(self, *settings):
        self.top = tempfile.mkdtemp(prefix='postmaster-spool-')
        self.directory = os.path.join(self.top, 'spool')
        os.mkdir(self.directory, 0o700)
        program = os.path.join(self.top, 'slowly')
        with open(program, 'w') as file:
            file.write('#!/bin/sh\nexec strace -D -qq -e signal=none'
                       ' -e trace=fdatasync -o "%s/trace"'
                       ' -e inject=fdatasync:delay_enter=50000 %s "$@"\n' %
                       (self.top, os.path.join(BUILD, 'spoold', 'spoold')))
        os.chmod(program, 0o755)
        self.process = subprocess.Popen(
            [standin, program, self.directory, *settings],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer()

    def pid(self):
        return int(self.do('pid')[1])

    def syncers(self):
        return children(self.pid())

    def syncs(self):
        """How many spoold has made itself."""
        return self.read('trace').count('fdatasync(')

    def delay(self, seconds):
        """Let each sync of the syncers take so long."""
        return self.trace('-e', 'inject=fdatasync:delay_enter=%d' %
                          (seconds * 1000000))

    def trace(self, *options):
        """Trace the syncers."""
        pids = [word for pid in self.syncers() for word in ('-p', str(pid))]
        tracer = subprocess.Popen(
            ['strace', '-e', 'signal=none', '-e', 'trace=fdatasync', '-o',
             os.path.join(self.top, 'theirs'), *options, *pids],
            stderr=subprocess.PIPE, text=True)
        for _ in range(len(pids) // 2):
            tracer.stderr.readline()
        return tracer


def children(pid):
    with open('/proc/%d/task/%d/children' % (pid, pid)) as file:
        return [int(word) for word in file.read().split()]


def is_there(pid):
    """And no zombie."""
    try:
        with open('/proc/%d/stat' % pid) as file:
            return file.read().rsplit(')', 1)[1].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def wait_for(holds):
    for _ in range(100):
        if holds():
            return True
        time.sleep(0.1)
    return False


def test_work():
    spool = Slow()
    tracer = spool.trace()
    before = spool.syncs()
    sent = [spool.send('local-ok@x', wait=0) for _ in range(3)]
    spool.do('run', 1)
    sent.append(spool.send('local-ok@x', size=100000))
    ok('what the syncers have synced is taken and delivered',
       None not in sent and all(
           'delivered %s 1 ok' % id in spool.events() for id in sent),
       spool.events())
    theirs = spool.read('theirs')
    ok('they have worked, each of them', theirs.count('-wal') == 0 and
       len({line.split()[0] for line in theirs.splitlines()
            if 'fdatasync' in line}) == len(spool.syncers()), theirs)
    ok('spoold has not, but for the large body',
       spool.syncs() - before == 1, spool.read('trace'))
    held = spool.send('local-later@x')
    ok('what an operator changes is on disk with the answer',
       Control(spool).action(REMOVE, number(held)) == (1, 1))
    syncers = spool.syncers()
    spool.do('stop')
    ok('they end when spoold does',
       wait_for(lambda: not any(map(is_there, syncers))))
    ok('nothing is left', spool.sql(
        'SELECT (SELECT count(*) FROM message), (SELECT count(*) FROM'
        ' recipient), messages, octets, deferred, held FROM spool') ==
       [(0,) * 6])
    tracer.wait()
    spool.end()


def test_end():
    spool = Slow()
    tracer = spool.delay(3)
    sent = spool.send('local-ok@x')
    ok('a result waits for its sync', not spool.log('delivered', sent) and
       'delivered %s 1 ok' % sent in spool.events(), spool.read('log'))
    spool.do('stop')
    ok('spoold ends when it has told what it stored',
       len(spool.log('delivered', sent)) == 1, spool.read('log'))
    tracer.wait()
    spool.end()


def test_order():
    """A window that is full when two come, and not when one is on disk."""
    spool = Slow('window=2')
    held = spool.send('relay-hold@x,relay-hold@y')
    due = spool.send('local-ok@x')
    tracer = spool.delay(3)
    ok('the window is full', spool.do('held') == ['ok', '1'] and
       not spool.events(due), spool.events())
    spool.do('let', 1)
    last = spool.send('local-ok@x', wait=0)
    ok('what was stored as due meanwhile is not tried before it is on disk',
       last is not None and not spool.events(last) and
       spool.log('relayed', held), (spool.events(), spool.read('log')))
    spool.do('run', 2)
    ok('but then', len(spool.events(due)) == 1 and
       len(spool.events(last)) == 1, (spool.events(), spool.read('log')))
    tracer.terminate()
    tracer.wait()
    spool.end()


def test_poison():
    """It kills policyd before it is on disk, time and again."""
    spool = Slow()
    pid, tracer = spool.pid(), spool.delay(3)
    one = spool.send('kills@x', wait=3)
    ok('what is not on disk yet is not put off', one is not None and
       is_there(pid) and len(spool.log('poison', one)) == 1 and
       len(spool.log('deferred', one)) == 1, spool.read('log'))
    tracer.terminate()
    tracer.wait()
    ok('and is there', spool.do('stop')[0] == 'ok' and spool.sql(
        'SELECT state, poison FROM recipient WHERE message = %d' %
        number(one or '0')) == [(1, 1)], spool.read('log'))
    spool.end()


def test_error():
    for error in 'EIO', 'ENOSPC':
        spool = Slow()
        good = spool.send('local-later@x')
        pid = spool.pid()
        tracer = spool.trace('-e', 'inject=fdatasync:error=' + error)
        answer = spool.do('send', 'a@b.test', 'local-ok@x', 1000)
        ok('%s at a sync: its message is not taken' % error,
           answer[0] == 'no', answer)
        ok('spoold ends', wait_for(lambda: not is_there(pid)))
        ok('and says why', 'failed at a sync of the log' in
           spool.read('log'), spool.read('log'))
        tracer.terminate()
        tracer.wait()
        spool.do('kill')
        spool.do('start')
        shutil.copy(os.path.join(spool.directory, 'spool.db'), spool.top)
        ok('what may never have reached the disk is written once more before'
           ' anything is behind it', sqlite3.connect(
               os.path.join(spool.top, 'spool.db')).execute(
               'SELECT count(*) FROM message').fetchone() == (2,))
        again = spool.send('local-ok@x')
        ok('the next one takes mail, and has what was taken before',
           'delivered %s 1 ok' % again in spool.events() and
           spool.do('stop')[0] == 'ok' and spool.sql(
               'SELECT count(*) FROM message WHERE id = %d' %
               number(good)) == [(1,)], spool.events())
        spool.end()


def test_death():
    spool = Slow()
    for when in 'idle', 'at work':
        pid, syncers = spool.pid(), spool.syncers()
        if when == 'at work':
            for one in syncers:
                os.kill(one, signal.SIGSTOP)
            spool.process.stdin.write('send a@b.test local-ok@x 1000\n')
            spool.process.stdin.flush()
            time.sleep(0.5)
        for one in syncers:
            os.kill(one, signal.SIGKILL)
        if when == 'at work':
            answer = spool.answer()
            ok('what it had is not taken', answer[0] == 'no', answer)
        ok('a syncer dies %s: spoold ends' % when,
           wait_for(lambda: not is_there(pid)))
        spool.do('kill')
        spool.do('start')
        ok('and begins anew', spool.send('local-ok@x') is not None)
    pid, syncers = spool.pid(), spool.syncers()
    os.kill(pid, signal.SIGKILL)
    ok('spoold dies: its syncers end',
       wait_for(lambda: not any(map(is_there, syncers))))
    spool.process.kill()
    spool.process.wait()
    shutil.rmtree(spool.top)


if os.geteuid() != 0:           # to trace those who have jailed themselves
    print('1..0 # SKIP needs root')
    sys.exit(0)
if shutil.which('strace') is None:
    print('1..0 # SKIP needs strace')
    sys.exit(0)
run_tests(globals())
