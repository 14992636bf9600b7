#!/usr/bin/python3
"""A worker that sleeps in the kernel, on a frozen disk, where nothing ends it:
spoold is told, and its user has no other of the kind for a while."""
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from tap import *  # noqa: E402,F403

STUCK = '4'

if os.getuid() != 0:
    skip_all('needs root')
scratch = tempfile.mkdtemp(prefix='postmaster-deliver-')
os.chmod(scratch, 0o755)
disk = os.path.join(scratch, 'disk')
users = Users()


def run(*words):
    return subprocess.run(words, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0


def mount():
    """A small disk of its own, that can be frozen."""
    os.mkdir(disk)
    with open(disk + '.image', 'w') as image:
        image.truncate(16 << 20)
    if not (run('mkfs.ext4', '-q', disk + '.image') and
            run('mount', '-o', 'loop', disk + '.image', disk)):
        skip_all('cannot mount a disk')
    if not run('fsfreeze', '-f', disk):
        run('umount', disk)
        skip_all('cannot freeze a disk')
    run('fsfreeze', '-u', disk)


def mails(name):
    path = os.path.join(disk, name, 'Maildir', 'new')
    return len(os.listdir(path)) if os.path.isdir(path) else 0


def test(deliver, message):
    def give(worker, fresh):
        deliver.ask(worker, id=7, row=1, method=LOCAL, fresh=fresh,
                    body=message, address='pmtu_stuck@x',
                    original='pmtu_stuck@x')

    ok('it delivers', deliver.job(
        deliver.worker('pmtu_stuck', MAILBOX), id=6, row=1, method=LOCAL,
        body=message, address='pmtu_stuck@x').verdict == DONE and
       mails('pmtu_stuck') == 1)
    stuck = deliver.worker('pmtu_stuck', MAILBOX)
    run('fsfreeze', '-f', disk)
    give(stuck, 1)
    ok('on a frozen disk it does not answer', deliver.answer(stuck, 3) is None)
    deliver.say('kill', stuck)
    ok('when neither signal ends it spoold is told', deliver.expect(
        'stuck', stuck, 40) is not None)
    ok('its user has no other', deliver.worker('pmtu_stuck', MAILBOX)[2] ==
       STUCK)
    other = deliver.worker('pmtu_stuck', PROGRAM)
    ok('but of another kind', isinstance(other, str), other)
    deliver.say('close', other)
    other = deliver.worker('pmtu_other', MAILBOX)
    ok('others have theirs', isinstance(other, str), other)
    deliver.say('relink')
    ok('a new spoold waits for those that can end', wait(
        lambda: isinstance(deliver.worker('pmtu_other', MAILBOX), str)))
    ok('and hears of the one that cannot', deliver.worker(
        'pmtu_stuck', MAILBOX)[2] == STUCK)
    run('fsfreeze', '-u', disk)
    ok('when it has ended there is another', wait(
        lambda: isinstance(last(deliver), str)))
    give(last.worker, 0)
    ok('which delivers what it had in hand, once', deliver.answer(
        last.worker).verdict == DONE and mails('pmtu_stuck') == 2,
       mails('pmtu_stuck'))


def last(deliver):
    last.worker = deliver.worker('pmtu_stuck', MAILBOX)
    return last.worker


def wait(test, seconds=20):
    until = time.monotonic() + seconds
    while not test() and time.monotonic() < until:
        time.sleep(0.2)
    return bool(test())


mount()
try:
    for name in 'pmtu_stuck', 'pmtu_other':
        users.add(name, '-d', os.path.join(
            disk if name == 'pmtu_stuck' else scratch, name))
    message = os.path.join(scratch, 'message')
    with open(message, 'w') as file:
        file.write('From: a@example.org\r\n\r\nhello\r\n')
    conf = os.path.join(scratch, 'conf')
    with open(conf, 'w') as file:
        file.write('[core]\n  hostname = mx.deliver.test\n'
                   '  spool-directory = %s/spool\n  run-directory = %s/run\n'
                   '  local-mailer = maildir\n' % (scratch, scratch))
    deliver = Deliver(standin_program(scratch), conf)
    test(deliver, message)
    log = deliver.end()
    ok('the log says so', log.count('worker-stuck user=pmtu_stuck') == 1, log)
finally:
    run('fsfreeze', '-u', disk)
    users.remove()
    run('umount', disk)
    shutil.rmtree(scratch)
end()
