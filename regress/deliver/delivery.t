#!/usr/bin/python3
"""deliver as root, with workers for accounts made for the test."""
# timeout: 600
import fcntl
import os
import pwd
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from tap import *  # noqa: E402,F403

if os.getuid() != 0:
    skip_all('needs root')
if not os.path.exists('/usr/bin/procmail'):
    skip_all('needs procmail')

scratch = tempfile.mkdtemp(prefix='postmaster-deliver-')
os.chmod(scratch, 0o755)
users = Users()
LONG = random.randrange(100000, 1000000)   # a digit more: so long sleep programs


def write(path, text, owner=None, mode=0o600):
    if os.path.lexists(path):
        os.unlink(path)
    with open(path, 'w', newline='') as file:
        file.write(text)
    os.chmod(path, mode)
    if owner:
        record = pwd.getpwnam(owner)
        os.chown(path, record.pw_uid, record.pw_gid)
    return path


def read(path):
    with open(path, newline='', errors='replace') as file:
        return file.read()


def files(path):
    return sorted(os.listdir(path)) if os.path.isdir(path) else []


def wait_for(test, seconds=10):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if test():
            return True
        time.sleep(0.05)
    return bool(test())


MESSAGE = ('Return-Path: <old@example.org>\r\nFrom: a@example.org\r\n'
           'return-path : <folded@\r\n example.org>\r\nSubject: s\r\n\r\n'
           'first\r\nFrom the start\r\n>From quoted\r\nlast\r\n')

CONF = '''
[core]
  hostname = mx.deliver.test
  spool-directory = %(scratch)s/spool
  run-directory = %(scratch)s/run
  local-mailer = %(mailer)s
  program-user = pmtu_prog
[pipe "procmail"]
  exec = /usr/bin/procmail "-t" "-a" "${EXTENSION}"
[pipe "sample"]
  exec = "/usr/bin/procmail" "-f" "${MAIL_FROM}" "-d" "${RCPT_TO}"
[pipe "words"]
  exec = %(scratch)s/words "${MAIL_FROM}" "${RCPT_TO}" "x${EXTENSION}" "${USER}"
  from-line = no
[pipe "slow"]
  exec = /bin/sleep 100
  time-limit = 1
[pipe "stubborn"]
  exec = %(scratch)s/stubborn
  time-limit = 1
[pipe "owned"]
  exec = /bin/true
  user = pmtu_prog
[route]
  archive@mx.deliver.test   maildir(~/archive)
  file@mx.deliver.test      mbox(%(scratch)s/prog/mbox)
  cat@mx.deliver.test       pipe(/usr/bin/cat >%(scratch)s/prog/cat)
'''


def conf(mailer):
    return write(os.path.join(scratch, mailer + '.cf'),
                 CONF % {'scratch': scratch, 'mailer': mailer}, mode=0o644)


def status_of(pid):
    with open('/proc/%s/status' % pid) as file:
        return dict(line.split(':\t', 1) for line in
                    file.read().splitlines() if ':\t' in line)


def newest_child(pid):
    return max(int(child) for child in read(
        '/proc/%d/task/%d/children' % (pid, pid)).split())


def test_maildir(deliver, message):
    home = os.path.expanduser('~pmtu_joe')
    worker = deliver.worker('pmtu_joe', MAILBOX)
    answer = deliver.job(worker, method=LOCAL, address='joe@mx', body=message)
    equal('maildir: delivered', (answer.verdict, answer.status, answer.place),
          (DONE, '2.0.0', home + '/Maildir'))
    new = home + '/Maildir/new/'
    equal('maildir: the name', files(new),
          ['1700000000.0000000000001.1.mx.deliver.test'])
    equal('maildir: the message', read(new + files(new)[0]),
          'Return-Path: <sender@example.org>\nDelivered-To: joe@mx\n'
          'From: a@example.org\nSubject: s\n\nfirst\nFrom the start\n'
          '>From quoted\nlast\n')
    state = os.stat(new)
    equal('maildir: folders are the user\'s alone',
          (state.st_uid, stat.S_IMODE(state.st_mode)),
          (pwd.getpwnam('pmtu_joe').pw_uid, 0o700))
    equal('maildir: the file is too',
          stat.S_IMODE(os.stat(new + files(new)[0]).st_mode), 0o600)
    equal('maildir: nothing in tmp', files(home + '/Maildir/tmp'), [])

    answer = deliver.job(worker, method=LOCAL, address='joe@mx', body=message,
                         fresh=0)
    equal('maildir: a repeat finds its twin', (answer.verdict, answer.twin,
          len(files(new))), (DONE, '1', 1))
    answer = deliver.job(worker, method=LOCAL, address='joe@mx', body=message)
    equal('maildir: never over an existing name',
          (answer.verdict, answer.twin, len(files(new))), (DONE, '1', 1))
    name = files(new)[0]
    os.rename(new + name, home + '/Maildir/cur/' + name + ':2,S')
    answer = deliver.job(worker, method=LOCAL, address='joe@mx', body=message,
                         fresh=0)
    equal('maildir: the twin in cur', (answer.twin, files(new)), ('1', []))

    for row in range(100, 116):
        deliver.ask(worker, method=LOCAL, row=row, address='joe@mx',
                    file=message)
    rows = sorted(int(deliver.answer(worker).row) for _ in range(16))
    equal('maildir: sixteen at once', (rows, len(files(new))),
          (list(range(100, 116)), 16))
    equal('maildir: by descriptor it is the same message',
          len({read(new + file) for file in files(new)}), 1)

    os.chmod(home + '/Maildir', 0o500)
    os.rename(home + '/Maildir/tmp', home + '/gone')
    answer = deliver.job(worker, method=LOCAL, address='joe@mx', id=7,
                         body=message)
    equal('maildir: a folder that cannot be made defers',
          (answer.verdict, answer.status), (DEFERRED, '4.3.5'))
    os.chmod(home + '/Maildir', 0o700)
    os.rename(home + '/gone', home + '/Maildir/tmp')
    shutil.rmtree(home + '/Maildir/tmp')
    answer = deliver.job(worker, method=LOCAL, address='joe@mx', id=8,
                         body=message)
    equal('maildir: one folder that is missing is made',
          (answer.verdict, answer.text), (DONE, ''))

    pid = str(newest_child(deliver.pid))
    trace = scratch + '/twin.trace'
    tracer = subprocess.Popen(['strace', '-f', '-o', trace, '-y', '-e',
                               'trace=fsync', '-p', pid],
                              stderr=subprocess.DEVNULL)
    wait_for(lambda: 'TracerPid:\t0' not in read('/proc/%s/status' % pid))
    answer = deliver.job(worker, method=LOCAL, address='joe@mx', id=8,
                         body=message, fresh=0)
    tracer.terminate()
    tracer.wait()
    ok('maildir: the name of a twin is synced before it counts',
       answer.twin == '1' and 'Maildir/new>' in read(trace), read(trace))
    return worker


def test_jail(deliver, worker):
    deliver.say('worker', '99', MAILBOX, 'pmtu_ann')
    deliver.expect('worker', '99')
    uid = str(pwd.getpwnam('pmtu_ann').pw_uid)
    pids = subprocess.run(['pgrep', '-P', str(deliver.pid), '-u', uid],
                          capture_output=True, text=True)
    ok('jail: the worker is the user', wait_for(lambda: subprocess.run(
        ['pgrep', '-P', str(deliver.pid), '-u', uid],
        capture_output=True).returncode == 0), pids)
    pid = subprocess.run(['pgrep', '-P', str(deliver.pid), '-u', uid],
                         capture_output=True, text=True).stdout.strip()
    wait_for(lambda: status_of(pid)['Seccomp'] == '2')
    state = status_of(pid)
    equal('jail: all its ids are the user\'s', state['Uid'].split(),
          [uid] * 4)
    equal('jail: its groups are the user\'s', sorted(state['Groups'].split()),
          sorted(str(gid) for gid in os.getgrouplist('pmtu_ann', int(
              state['Gid'].split()[0]))))
    equal('jail: no capability', state['CapPrm'], '0' * 16)
    equal('jail: filter and no_new_privs',
          (state['Seccomp'], state['NoNewPrivs']), ('2', '1'))
    ok('jail: few descriptors', len(os.listdir('/proc/%s/fd' % pid)) <= 5,
       os.listdir('/proc/%s/fd' % pid))
    state = status_of(deliver.pid)
    equal('jail: the parent keeps four capabilities',
          int(state['CapPrm'], 16) & ~(1 << 2 | 1 << 5 | 1 << 6 | 1 << 7), 0)
    equal('jail: the parent has no filter',
          (state['Seccomp'], state['NoNewPrivs']), ('0', '0'))


def test_refusals(deliver, joe, message):
    worker = deliver.worker('root', PROGRAM)
    answer = deliver.job(worker, method=LOCAL, address='root@mx',
                         body=message)
    equal('refused: nothing is done as root',
          (answer.verdict, answer.status), (DEFERRED, '4.3.5'))
    worker = deliver.worker('pmtu_nobody_has_this', MAILBOX)
    answer = deliver.job(worker, method=LOCAL, address='x@mx', body=message)
    equal('refused: an account that is gone',
          (answer.verdict, answer.status), (DEFERRED, '4.3.5'))
    ok('refused: its worker ends, as another may find it',
       deliver.expect('ended', worker) is not None)
    answer = deliver.job(joe, method=SPOOL, address='joe@mx', body=message)
    equal('refused: the mail spool by another kind of worker',
          (answer.verdict, answer.status), (DEFERRED, '4.3.5'))
    answer = deliver.job(joe, method=MAILER, mailer=12345, address='joe@mx',
                         body=message)
    equal('refused: a number nobody knows',
          (answer.verdict, answer.status), (DEFERRED, '4.3.5'))
    target = scratch + '/forged'
    answer = deliver.job(joe, method=TEXT, text='|touch ' + target,
                         address='joe@mx', body=message)
    equal('refused: a command by text for a user',
          (answer.verdict, answer.status, os.path.exists(target)),
          (DEFERRED, '4.3.5', False))
    deliver.say('number', '[pipe] owned')
    number = deliver.expect('number')[1]
    answer = deliver.job(joe, method=MAILER, mailer=number, address='joe@mx',
                         body=message)
    equal('refused: another user\'s [pipe]',
          (answer.verdict, answer.status), (DEFERRED, '4.3.5'))
    looping = write(scratch + '/looping', 'Delivered-To: a@mx\r\n'
                    'delivered-to: JOE@mx\r\n\r\nx\r\n', mode=0o644)
    answer = deliver.job(joe, method=LOCAL, address='joe@mx', body=looping)
    equal('refused: a loop', (answer.verdict, answer.status),
          (FAILED, '5.4.6'))
    worker = deliver.worker('pmtu_ann', MAILBOX)
    deliver.ask(worker, method=LOCAL, address='x@mx', body=message, file='/etc/passwd')
    ok('refused: a JOB that is not as it says ends the worker',
       deliver.expect('closed', worker) is not None)
    worker = deliver.worker('pmtu_ann', MAILBOX)
    deliver.say('raw', worker)
    ok('refused: what is no frame ends the worker',
       deliver.expect('closed', worker) is not None)


def test_forward(deliver, message):
    home = os.path.expanduser('~pmtu_bob')
    forward = home + '/.forward'
    mailbox = deliver.worker('pmtu_bob', MAILBOX)
    program = deliver.worker('pmtu_bob', PROGRAM)
    line = '|"cat >out; env >environment; cat /proc/self/status >status; ' \
        'umask >mask; ls -l /proc/self/fd >fds; ps -o sid= -p $$ >sid; ' \
        'echo $$ >pid"'
    write(forward, '# comment\njane@example.org, \\pmtu_bob,\n' + line +
          '\n' + home + '/file\n', 'pmtu_bob', 0o644)
    answer = deliver.job(mailbox, method=LOCAL, address='bob+ext@mx',
                         body=message)
    command = line.replace('"', '')
    equal('forward: expanded', (answer.verdict, answer.targets), (EXPANDED, [
        '1:jane@example.org', '3:\\pmtu_bob', '3:' + command,
        '3:' + home + '/file']))
    equal('forward: nothing was delivered',
          os.path.exists(home + '/Maildir'), False)
    answer = deliver.job(mailbox, method=FORWARD, text=command,
                         address='bob@mx', body=message)
    equal('forward: a program needs a program worker', answer.verdict,
          NEEDS_PROGRAM)
    answer = deliver.job(program, method=FORWARD, text=command, row=3,
                         address='bob+ext@mx', original='alias@mx',
                         extension='ext', domain='mx', body=message)
    equal('forward: the program ran', (answer.verdict, answer.status),
          (DONE, '2.0.0'))
    ok('forward: From_ line, our header, LF', read(home + '/out').startswith(
        'From sender@example.org Tue Nov 14 22:13:20 2023\n'
        'Return-Path: <sender@example.org>\nDelivered-To: bob+ext@mx\n'
        'From: a@example.org\nSubject: s\n\nfirst\n'), read(home + '/out'))
    environment = dict(line.split('=', 1) for line in
                       read(home + '/environment').splitlines())
    for name in ('PWD', 'SHLVL', '_', 'OLDPWD'):
        environment.pop(name, None)
    equal('forward: its whole environment', environment, {
        'PATH': '/usr/local/bin:/usr/bin:/bin', 'USER': 'pmtu_bob',
        'LOGNAME': 'pmtu_bob', 'HOME': home,
        'SHELL': pwd.getpwnam('pmtu_bob').pw_shell,
        'SENDER': 'sender@example.org', 'RECIPIENT': 'bob+ext@mx',
        'ORIGINAL_RECIPIENT': 'alias@mx', 'EXTENSION': 'ext',
        'DOMAIN': 'mx'})
    state = dict(line.split(':\t', 1) for line in
                 read(home + '/status').splitlines() if ':\t' in line)
    equal('forward: the program is in no jail', (state['NoNewPrivs'],
          state['Seccomp'], state['SigBlk'], state['SigIgn']),
          ('0', '0', '0' * 16, '0' * 16))
    ok('forward: its bounding set is whole', state['CapBnd'] ==
       status_of('self')['CapBnd'], state['CapBnd'])
    equal('forward: umask', read(home + '/mask').strip(), '0077')
    equal('forward: a session of its own', read(home + '/sid').strip(),
          read(home + '/pid').strip())
    equal('forward: descriptors 0 to 2 only',
          len([line for line in read(home + '/fds').splitlines()
               if '->' in line]), 4)	# and the folder that ls reads
    answer = deliver.job(mailbox, method=FORWARD, text=home + '/file',
                         address='bob@mx', body=message)
    ok('forward: a file is an mbox', answer.verdict == DONE and
       '\n>From the start\n>>From quoted\nlast\n\n' in read(home + '/file'),
       answer)
    answer = deliver.job(mailbox, method=FORWARD, text='\\pmtu_bob',
                         address='bob@mx', body=message)
    equal('forward: \\user is the mailbox', (answer.verdict,
          len(files(home + '/Maildir/new'))), (DONE, 1))

    write(forward, 'jane@example.org\n', 'pmtu_bob')
    answer = deliver.job(program, method=FORWARD, text=command,
                         address='bob@mx', body=message)
    equal('forward: a line that is gone is not executed',
          (answer.verdict, answer.targets), (EXPANDED,
                                             ['1:jane@example.org']))
    write(forward, 'pmtu_bob\n', 'pmtu_bob')
    answer = deliver.job(mailbox, method=LOCAL, row=2, address='bob@mx',
                         body=message)
    equal('forward: oneself alone is the mailbox', answer.verdict, DONE)
    write(forward, '/dev/null\n', 'pmtu_bob')
    answer = deliver.job(mailbox, method=FORWARD, text='/dev/null',
                         address='bob@mx', body=message)
    equal('forward: /dev/null', answer.verdict, DONE)

    write(home + '/list', 'a@b, c@d\n:include:' + home + '/more\n',
          'pmtu_bob')
    write(home + '/more', 'e@f\n', 'pmtu_bob')
    write(forward, ':include:%s/list\n' % home, 'pmtu_bob')
    answer = deliver.job(mailbox, method=LOCAL, address='bob@mx',
                         body=message)
    equal('forward: includes', answer.targets, ['1:a@b', '1:c@d', '1:e@f'])
    write(home + '/more', ':include:%s/more\n' % home, 'pmtu_bob')
    answer = deliver.job(mailbox, method=LOCAL, address='bob@mx',
                         body=message)
    equal('forward: an include of itself defers',
          (answer.verdict, answer.status), (DEFERRED, '4.3.5'))

    def unsafe(what):
        got = deliver.job(mailbox, method=LOCAL, address='bob@mx',
                          body=message)
        equal('forward: ' + what, (got.verdict, got.status),
              (DEFERRED, '4.3.5'))
    write(forward, 'x@y\n', 'pmtu_bob', 0o646)
    unsafe('writable by everybody')
    write(forward, 'x@y\n', 'pmtu_ann', 0o644)
    unsafe('of another user')
    write(forward, 'x@y\n', 'pmtu_bob', 0o664)
    answer = deliver.job(mailbox, method=LOCAL, address='bob@mx',
                         body=message)
    equal('forward: writable by a group of one', answer.verdict, EXPANDED)
    os.chown(forward, -1, 100)
    unsafe('writable by another group')
    write(forward, 'x@y\n', 'pmtu_bob', 0o000)
    unsafe('unreadable')
    os.unlink(forward)
    os.mkfifo(forward)
    os.chown(forward, pwd.getpwnam('pmtu_bob').pw_uid, 0)
    unsafe('a fifo')
    os.unlink(forward)
    write(forward, ', '.join('u%d@x' % n for n in range(1001)), 'pmtu_bob')
    unsafe('more than 1000 addresses')
    write(forward, ', '.join('u%d@x' % n for n in range(1000)), 'pmtu_bob')
    pieces = [deliver.job(mailbox, method=LOCAL, address='bob@mx', skip=skip,
                          body=message) for skip in (0, 250, 500, 750, 1000)]
    equal('forward: 1000 addresses, in pieces', (
        {answer.verdict for answer in pieces},
        [len(answer.targets) for answer in pieces],
        len({target for answer in pieces for target in answer.targets})),
        ({EXPANDED}, [250] * 4 + [0], 1000))
    write(forward, 'x@y\n#' + 'x' * 65536, 'pmtu_bob')
    unsafe('more than 64 KiB')
    os.unlink(forward)
    os.rename(home, home + '.away')
    worker = deliver.worker('pmtu_bob', PROGRAM)
    answer = deliver.job(worker, method=LOCAL, address='bob@mx', body=message)
    equal('forward: no home defers', answer.verdict, DEFERRED)
    os.rename(home + '.away', home)


def test_programs(deliver, message):
    prog = os.path.expanduser('~pmtu_prog')
    worker = deliver.worker('pmtu_prog', PROGRAM)
    record = pwd.getpwnam('pmtu_prog')
    os.mkdir(scratch + '/prog')
    os.chown(scratch + '/prog', record.pw_uid, record.pw_gid)

    def number(text):
        deliver.say('number', text)
        return deliver.expect('number')[1]

    def run(command, **keys):
        return deliver.job(worker, method=TEXT, text='|' + command,
                           address='list@mx', body=message, **keys)
    for code, verdict, status in ((67, FAILED, '5.1.1'),
                                  (75, DEFERRED, '4.2.0'),
                                  (100, FAILED, '5.3.0'),
                                  (127, DEFERRED, '4.3.5'),
                                  (1, DEFERRED, '4.3.0')):
        answer = run('echo because; exit %d' % code)
        ok('program: exit %d' % code, (answer.verdict, answer.status) ==
           (verdict, status) and 'because' in answer.text, answer)
    answer = run('kill -9 $$')
    equal('program: killed', (answer.verdict, answer.text),
          (DEFERRED, 'killed by signal 9'))
    answer = run('/nonexistent/program')
    equal('program: not there', (answer.verdict, answer.status),
          (DEFERRED, '4.3.5'))
    answer = run('/bin/true')
    equal('program: it need not read', answer.verdict, DONE)
    answer = run('yes | head -c 200000; echo the end; exit 1')
    ok('program: the end of much output is kept',
       answer.text.endswith('the end') and len(answer.text) < 500, answer)
    answer = run('(setsid sleep %s1 & sleep %s2 & ) ; exit 0' % (LONG, LONG))
    equal('program: done at once', answer.verdict, DONE)
    equal('program: nothing of it runs on', subprocess.run(
        ['pgrep', '-f', 'sleep %s[12]' % LONG],
        capture_output=True).returncode, 1)
    started = time.monotonic()
    answer = deliver.job(worker, method=MAILER, mailer=number('[pipe] slow'),
                         address='list@mx', body=message)
    ok('program: its time limit', answer.verdict == DEFERRED and
       'time limit' in answer.text and time.monotonic() - started < 8,
       answer)

    write(scratch + '/stubborn', '#!/bin/sh\ntrap "" TERM\nsleep 2\n'
          'cat >%s/prog/stubborn\necho whole >>%s/prog/stubborn\n' %
          (scratch, scratch), mode=0o755)
    large = write(scratch + '/large', 'Subject: large\r\n\r\n' +
                  60000 * 'line\r\n')
    answer = deliver.job(worker, method=MAILER, file=large,
                         mailer=number('[pipe] stubborn'), address='list@mx')
    ok('program: told to end, it sees no end of the message',
       answer.verdict == DEFERRED and 'time limit' in answer.text and
       'whole' not in read(scratch + '/prog/stubborn'), answer)

    write(scratch + '/words', '#!/bin/sh\nfor w; do echo "[$w]"; done '
          '>%s/prog/words\ncat >>%s/prog/words\n' % (scratch, scratch),
          mode=0o755)
    words = number('[pipe] words')
    answer = deliver.job(worker, method=MAILER, mailer=words, sender='',
                         address='a@mx', more='b@mx', extension='e',
                         body=message)
    ok('[pipe]: its words', answer.verdict == DONE and
       read(scratch + '/prog/words').startswith(
        '[MAILER-DAEMON]\n[a@mx]\n[b@mx]\n[xe]\n[pmtu_prog]\n'
        'Return-Path: <>\n'), read(scratch + '/prog/words'))
    answer = deliver.job(worker, method=MAILER, mailer=words, sender='-x@y',
                         address='a@mx', body=message)
    equal('[pipe]: no value becomes an option',
          (answer.verdict, answer.status), (FAILED, '5.1.3'))
    cat = number('pipe(/usr/bin/cat >%s/prog/cat)' % scratch)
    answer = deliver.job(worker, method=MAILER, mailer=cat, address='a@mx',
                         body=message)
    ok('pipe(): by the shell', answer.verdict == DONE and
       'first\n' in read(scratch + '/prog/cat'), answer)
    answer = deliver.job(worker, method=MAILER, mailer=number(
        'maildir(~/archive)'), address='a@mx', body=message)
    equal('maildir(): delivered', (answer.verdict,
          len(files(prog + '/archive/new'))), (DONE, 1))
    answer = deliver.job(worker, method=MAILER, mailer=number(
        'mbox(%s/prog/mbox)' % scratch), address='a@mx', body=message)
    equal('mbox(): delivered', (answer.verdict,
          os.path.getsize(scratch + '/prog/mbox') > 0), (DONE, True))

    deliver.ask(worker, method=TEXT, address='list@mx', body=message,
                text='|trap "" TERM; echo x >%s/prog/on; sleep %s3'
                % (scratch, LONG))
    wait_for(lambda: os.path.exists(scratch + '/prog/on'))
    deliver.say('close', worker)
    ok('program: ends when spoold is gone', wait_for(lambda: subprocess.run(
        ['pgrep', '-f', 'sleep %s3' % LONG],
        capture_output=True).returncode == 1, 15))
    ended = deliver.expect('ended', worker)
    equal('program: its worker ends too', ended, ['ended', worker, '0'])

    os.unlink(scratch + '/prog/on')
    worker = deliver.worker('pmtu_prog', PROGRAM)
    deliver.ask(worker, method=TEXT, address='list@mx', body=message,
                text='|echo x >%s/prog/on; setsid sleep %s4 & sleep %s4'
                % (scratch, LONG, LONG))
    wait_for(lambda: os.path.exists(scratch + '/prog/on'))
    deliver.say('kill', worker)
    ok('kill: the worker ends', deliver.expect('ended', worker) is not None)
    ok('kill: and what it ran', wait_for(lambda: subprocess.run(
        ['pgrep', '-f', 'sleep %s4' % LONG],
        capture_output=True).returncode == 1))
    deliver.say('kill', '9999')
    ok('kill: what an earlier deliver forked cannot be', deliver.expect(
        'stuck', '9999') is not None)


def test_procmail(standin, message):
    deliver = Deliver(standin, conf('procmail'))
    worker = deliver.worker('pmtu_ann', PROGRAM)
    answer = deliver.job(worker, method=LOCAL, address='ann@mx',
                         extension='', body=message)
    equal('procmail: -t -a', answer.verdict, DONE)
    path = '/var/mail/pmtu_ann'
    ok('procmail: its mailbox, with our From_ line', os.path.exists(path) and
       read(path).startswith('From sender@example.org Tue Nov 14'),
       answer)
    if os.path.exists(path):
        state = os.stat(path)
        equal('procmail: 0660 user:mail', (stat.S_IMODE(state.st_mode),
              state.st_gid), (0o660, os.stat('/var/mail').st_gid))
        os.unlink(path)
    mailbox = deliver.worker('pmtu_ann', MAILBOX)
    answer = deliver.job(mailbox, method=LOCAL, address='ann@mx',
                         body=message)
    equal('procmail: wants a program worker', answer.verdict, NEEDS_PROGRAM)
    deliver.say('conf', conf('sample'))
    ok('reload: idle workers end', deliver.expect('ended', worker)
       is not None)
    worker = deliver.worker('pmtu_ann', PROGRAM)
    answer = deliver.job(worker, method=LOCAL, address='ann@mx',
                         body=message)
    ok('procmail: the sample\'s -f -d', answer.verdict == DONE and
       os.path.exists(path), answer)
    if os.path.exists(path):
        os.unlink(path)
    deliver.end()


def test_mbox(standin, message):
    deliver = Deliver(standin, conf('mbox'))
    path = '/var/mail/pmtu_joe'
    record = pwd.getpwnam('pmtu_joe')
    mailbox = deliver.worker('pmtu_joe', MAILBOX)
    answer = deliver.job(mailbox, method=LOCAL, address='joe@mx',
                         body=message)
    equal('mbox: wants an mbox worker', answer.verdict, NEEDS_MBOX)
    worker = deliver.worker('pmtu_joe', MBOX)

    def spool(**keys):
        return deliver.job(worker, method=SPOOL, address='joe@mx',
                           body=message, seconds=90, **keys)
    answer = spool()
    equal('mbox: delivered', (answer.verdict, answer.place), (DONE, path))
    state = os.stat(path)
    equal('mbox: created 0660 user:mail',
          (stat.S_IMODE(state.st_mode), state.st_uid, state.st_gid),
          (0o660, record.pw_uid, os.stat('/var/mail').st_gid))
    once = ('From sender@example.org Tue Nov 14 22:13:20 2023\n'
            'Return-Path: <sender@example.org>\nDelivered-To: joe@mx\n'
            'From: a@example.org\nSubject: s\n\nfirst\n>From the start\n'
            '>>From quoted\nlast\n\n')
    equal('mbox: the message', read(path), once)
    equal('mbox: no lock is left', os.path.exists(path + '.lock'), False)
    os.truncate(path, 0)
    answer = deliver.job(worker, method=LOCAL, address='joe@mx',
                         body=message)
    equal('mbox: for this worker it is the local mailer', answer.verdict,
          DONE)
    spool(sender='')
    equal('mbox: a second, from nobody', read(path), once + once.replace(
        'From sender@example.org', 'From MAILER-DAEMON').replace(
        '<sender@example.org>', '<>'))

    pid = subprocess.run(['pgrep', '-P', str(deliver.pid), '-u',
                          str(record.pw_uid), '-g', '0'],
                         capture_output=True, text=True).stdout.split()
    states = [status_of(p) for p in pid]
    ok('mbox: its group is mail and it has no other', any(
        s['Gid'].split() == [str(state.st_gid)] * 4 and
        s['Groups'].strip() == '' for s in states), states)

    def held(what, take, release):
        size = os.path.getsize(path)
        take()
        deliver.ask(worker, method=SPOOL, address='joe@mx', body=message)
        time.sleep(1.5)
        waited = os.path.getsize(path) == size
        release()
        got = deliver.answer(worker)
        equal('mbox: waits for ' + what, (waited, got.verdict), (True, DONE))
    file = open(path, 'r+')
    held('the fcntl lock', lambda: fcntl.lockf(file, fcntl.LOCK_EX),
         lambda: fcntl.lockf(file, fcntl.LOCK_UN))
    file.close()
    held('the dot lock', lambda: write(path + '.lock', '%d\n' % os.getpid()),
         lambda: os.unlink(path + '.lock'))
    write(path + '.lock', '4194000\n', mode=0o644)
    os.utime(path + '.lock', (time.time() - 400, time.time() - 400))
    equal('mbox: breaks a stale lock', (spool().verdict,
          os.path.exists(path + '.lock')), (DONE, False))
    write(path + '.lock', '%d\n' % os.getpid(), mode=0o644)
    os.utime(path + '.lock', (time.time() - 400, time.time() - 400))
    started = time.monotonic()
    answer = spool()
    equal('mbox: not one whose owner lives', (answer.verdict, answer.status,
          time.monotonic() - started >= 59), (DEFERRED, '4.2.0', True))
    os.unlink(path + '.lock')

    def odd(what):
        got = spool()
        equal('mbox: ' + what, (got.verdict, got.status),
              (DEFERRED, '4.3.5'))
        os.unlink(path)
    os.link(path, scratch + '/link')
    odd('a second link')
    os.symlink(scratch + '/link', path)
    odd('a symbolic link')
    write(path, '')
    odd('a file of root')
    os.mkfifo(path)
    os.chown(path, record.pw_uid, -1)
    odd('a fifo')

    old = status_of(deliver.pid)['Threads']
    # One that cannot end at once is in the way.
    his = ['pgrep', '-P', str(deliver.pid), '-u', str(record.pw_uid)]
    slow = int(subprocess.run(his + ['-o'], capture_output=True).stdout)
    os.kill(slow, signal.SIGSTOP)
    deliver.say('relink')
    deliver.say('worker', '50', MBOX, 'pmtu_joe')
    first = deliver.expect('worker', '50')
    os.kill(slow, signal.SIGCONT)
    wait_for(lambda: subprocess.run(
        his, capture_output=True).returncode == 1)
    deliver.say('worker', '51', MBOX, 'pmtu_joe')
    equal('relink: busy until the old workers are gone, then not',
          (first[2], deliver.expect('worker', '51')[2], old),
          ('3', '1', '1'))
    log = deliver.end()
    ok('nothing is logged of ordinary days', log == '', log)


def test_full_disk(deliver, message):
    home = os.path.expanduser('~pmtu_bob')
    small = home + '/small'
    record = pwd.getpwnam('pmtu_bob')
    os.mkdir(small)
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=64k,uid=%d,gid=%d'
                       % (record.pw_uid, record.pw_gid), 'tmpfs', small],
                      capture_output=True).returncode != 0:
        ok('full disk # SKIP cannot mount', True)
        return
    try:
        big = write(scratch + '/big', 'Subject: big\r\n\r\n' +
                    'x' * 70 + '\r\n' * 1 + ('y' * 70 + '\r\n') * 1500,
                    mode=0o644)
        write(home + '/.forward', small + '/mbox, ' + small + '/Maildir/\n',
              'pmtu_bob')
        worker = deliver.worker('pmtu_bob', MAILBOX)
        for name in ('mbox', 'Maildir/'):
            answer = deliver.job(worker, method=FORWARD, address='bob@mx',
                                 text=small + '/' + name, body=message)
            equal('full disk: a small one still fits ' + name,
                  answer.verdict, DONE)
        before = read(small + '/mbox')
        for name in ('mbox', 'Maildir/'):
            answer = deliver.job(worker, method=FORWARD, address='bob@mx',
                                 text=small + '/' + name, file=big, id=9)
            equal('full disk: the big one waits ' + name,
                  (answer.verdict, answer.status), (DEFERRED, '4.3.1'))
        equal('full disk: the mbox is as it was', read(small + '/mbox'),
              before)
        equal('full disk: nothing in tmp', files(small + '/Maildir/tmp'), [])
    finally:
        os.unlink(home + '/.forward')
        deliver.say('close', worker)
        deliver.expect('ended', worker)
        subprocess.run(['umount', small])


def test_file_limit(standin):
    """A limit of the size of files, which else is a signal."""
    large = write(scratch + '/limited', 'Subject: large\r\n\r\n' +
                  10000 * 'line\r\n')
    deliver = Deliver(standin, conf('maildir'),
                      prefix=('prlimit', '--fsize=30000:30000'))
    worker = deliver.worker('pmtu_ann', MAILBOX)
    answer = deliver.job(worker, method=LOCAL, address='ann@mx', id=9,
                         file=large)
    equal('limit of file size: deferred, nothing left', answer and
          (answer.verdict, answer.status,
           files(os.path.expanduser('~pmtu_ann/Maildir/tmp'))),
          (DEFERRED, '4.2.2', []))
    deliver.end()


def test_lookup(standin, message):
    """A directory that does not answer: 4.3.0, and only for its user."""
    source = write(scratch + '/nss.c', '''
#include <errno.h>
#include <nss.h>
#include <pwd.h>
enum nss_status _nss_pmfail_getpwnam_r(const char *n, struct passwd *p,
    char *b, size_t l, int *e);
enum nss_status _nss_pmfail_getpwnam_r(const char *n, struct passwd *p,
    char *b, size_t l, int *e)
{ (void)n; (void)p; (void)b; (void)l; *e = EAGAIN;
  return NSS_STATUS_TRYAGAIN; }
''')
    subprocess.run(['cc', '-shared', '-fPIC', '-o',
                    scratch + '/libnss_pmfail.so.2', source], check=True)
    write(scratch + '/nsswitch.conf', 'passwd: pmfail\ngroup: files\n',
          mode=0o644)
    deliver = Deliver(standin, conf('maildir'), prefix=(
        'unshare', '-m', 'sh', '-c', 'mount --bind %s/nsswitch.conf '
        '/etc/nsswitch.conf && exec "$@"' % scratch, 'sh'),
        environment=dict(os.environ, LD_LIBRARY_PATH=scratch))
    worker = deliver.worker('pmtu_joe', MAILBOX)
    answer = deliver.job(worker, method=LOCAL, address='joe@mx', body=message)
    equal('lookup: a failing directory defers',
          (answer.verdict, answer.status), (DEFERRED, '4.3.0'))
    deliver.end()



def test_nursery(standin, message):
    """What forks the workers may die, stop or be ended: others are found."""
    deliver = Deliver(standin, conf('maildir'))

    def children():
        return {int(pid) for pid in read('/proc/%d/task/%d/children' % (
            deliver.pid, deliver.pid)).split()}

    def nurseries():
        return [pid for pid in children()
                if status_of(pid)['Uid'].split()[0] == '0']

    def works(what, seconds=20):
        worker = deliver.worker('pmtu_joe', MAILBOX)
        answer = deliver.job(worker, seconds, method=LOCAL, address='joe@mx',
                             id=len(seen) + 1, body=message)
        seen.append(worker)
        equal('nursery: ' + what, answer and answer.verdict, DONE)
    seen = []
    works('it forks a worker')
    first = nurseries()
    equal('nursery: there is one', len(first), 1)
    state = status_of(first[0])
    equal('nursery: it may become users and do little else',
          (state['CapPrm'], state['Seccomp'], state['NoNewPrivs']),
          ('%016x' % (1 << 6 | 1 << 7), '2', '1'))
    equal('nursery: it has its socket and nothing else', sorted(set(
        os.readlink('/proc/%d/fd/%s' % (first[0], fd)).split(':')[0]
        for fd in os.listdir('/proc/%d/fd' % first[0]))),
        ['/dev/null', 'socket'])
    worker = max(children() - set(first))
    state = status_of(worker)
    with open('/proc/%d/limits' % worker) as file:
        limits = file.read()
    equal('nursery: its children may have none', [
        line.split()[2:4] for line in limits.splitlines()
        if line.startswith('Max processes')], [['0', '0']])
    equal('nursery: they block no signal', state['SigBlk'], '0' * 16)

    os.kill(first[0], signal.SIGTERM)
    works('it ends with the parent, not when told to')
    equal('nursery: so it is the same', nurseries(), first)
    before = children() - set(first)
    os.kill(first[0], signal.SIGKILL)
    works('killed, it is missed at most once')
    works('then there is another one')
    second = nurseries()
    ok('nursery: indeed', len(second) == 1 and second != first, second)
    ok('nursery: its children live on', before <= children(), before)
    os.kill(second[0], signal.SIGSTOP)
    works('stopped, it is waited for, but not for ever')
    works('and replaced')
    third = nurseries()
    ok('nursery: the stopped one is gone', len(third) == 1 and
       third != second, third)
    deliver.say('conf', conf('maildir'))
    works('a new configuration is a new nursery\'s')
    ok('nursery: the old one is gone', wait_for(lambda: len(nurseries()) == 1
       and nurseries() != third), nurseries())
    # No process has such a number: nobody is hit where this fails.
    nursery = str(nurseries()[0])
    tracer = subprocess.Popen(['strace', '-o', scratch + '/clone', '-e',
                               'inject=clone:retval=4194305', '-p', nursery],
                              stderr=subprocess.DEVNULL)
    wait_for(lambda: 'TracerPid:\t0' not in read('/proc/%s/status' % nursery))
    works('a pid that is no child of ours is not believed')
    tracer.terminate()
    tracer.wait()
    ok('nursery: who gave it is gone', wait_for(
        lambda: int(nursery) not in nurseries()))
    works('and has a successor')
    program = deliver.worker('pmtu_joe', PROGRAM)
    wait_for(lambda: len([pid for pid in children() if
             status_of(pid)['Seccomp'] == '0']) == 1)
    own = [pid for pid in children() if status_of(pid)['Seccomp'] == '0']
    with open('/proc/%d/limits' % own[0]) as file:
        ok('nursery: workers of programs are none of its children',
           'Max processes' in limits and [
               line.split()[2] for line in file
               if line.startswith('Max processes')] != ['0'], program)
    fourth = nurseries()
    log = deliver.end()
    # Whoever takes orphans here may leave them unreaped.
    ok('nursery: it ends with the parent', wait_for(
        lambda: not os.path.exists('/proc/%d/status' % fourth[0]) or
        status_of(fourth[0])['State'].startswith('Z')), fourth)
    equal('nursery: its loss is told', log.count('nursery-lost pid='), 3)


try:
    for name in ('pmtu_joe', 'pmtu_bob', 'pmtu_ann', 'pmtu_prog'):
        users.add(name, *(('-G', 'games') if name == 'pmtu_ann' else ()))
    message = write(scratch + '/message', MESSAGE, mode=0o644)
    os.environ['TZ'] = 'UTC'
    standin = standin_program(scratch)
    deliver = Deliver(standin, conf('maildir'))
    joe = test_maildir(deliver, message)
    test_jail(deliver, joe)
    test_refusals(deliver, joe, message)
    test_forward(deliver, message)
    test_programs(deliver, message)
    test_full_disk(deliver, message)
    deliver.end()
    test_procmail(standin, message)
    test_mbox(standin, message)
    test_file_limit(standin)
    test_lookup(standin, message)
    test_nursery(standin, message)
finally:
    users.remove()
    shutil.rmtree(scratch)
end()
