#!/usr/bin/python3
"""The drop directory: who submits what waited there, and what becomes of it."""
import os
import pwd
import re
import shutil
import socket
import struct
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from tap import *  # noqa: E402,F403

if os.getuid() != 0:
    skip_all('needs root')

scratch = tempfile.mkdtemp(prefix='postmaster-drop-')
os.chmod(scratch, 0o755)
drop = scratch + '/spool.drop'
users = Users()


class Submission(threading.Thread):
    """What stands behind run-directory/submit; takes notes."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        os.chmod(path, 0o666)
        self.socket.listen(5)
        self.messages = []
        self.start()

    def run(self):
        while True:
            client, _ = self.socket.accept()
            uid = struct.unpack('3i', client.getsockopt(
                socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
            try:
                self.serve(client.makefile('rwb', 0), uid)
            except OSError:
                pass
            client.close()

    def serve(self, stream, uid):
        def say(text):
            stream.write(text.encode() + b'\r\n')
        say('220 here')
        sender, recipients, taken = None, [], 0
        while True:
            line = stream.readline().decode().rstrip('\r\n')
            verb = line[:4].upper()
            if verb == 'EHLO':
                say('250-here')
                say('250 DSN')
            elif verb == 'MAIL':
                sender, recipients = line, []
                say('250 2.1.0 ok')
            elif verb == 'RCPT':
                if 'refused' in line:
                    say('550 5.1.1 no such user')
                elif 'later' in line:
                    say('451 4.3.0 not now')
                elif len(recipients) == 2:
                    say('452 4.5.3 too many')
                else:
                    recipients.append(line)
                    say('250 2.1.5 ok')
            elif verb == 'DATA':
                say('354 go on')
                text = b''
                while not text.endswith(b'\r\n.\r\n'):
                    text += stream.read(1)
                self.messages.append((uid, sender, recipients,
                                      text[:-3].decode()))
                say('250 2.0.0 ok')
            elif verb == 'RSET':
                say('250 2.0.0 ok')
            else:
                say('221 2.0.0 bye')
                return

    def taken(self, number, seconds=10):
        until = time.monotonic() + seconds
        while len(self.messages) < number and time.monotonic() < until:
            time.sleep(0.02)
        return self.messages


def put(name, text, owner):
    path = os.path.join(drop, name)
    with open(path, 'w', newline='') as file:
        file.write(text)
    os.chmod(path, 0o600)
    record = pwd.getpwnam(owner)
    os.chown(path, record.pw_uid, record.pw_gid)
    return path


def empty(seconds=10):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not [n for n in os.listdir(drop) if n[0] != '.']:
            return True
        time.sleep(0.05)
    return False


def envelope(*recipients, sender='joe@x'):
    return ('S %s\nB 8BITMIME\nN FAILURE\n' % sender +
            ''.join('T %s\n' % r for r in recipients) + '\n')


try:
    users.add('pmtu_joe')
    joe = pwd.getpwnam('pmtu_joe').pw_uid
    os.mkdir(scratch + '/run', 0o755)
    os.mkdir(drop)
    os.chmod(drop, 0o1733)
    conf = scratch + '/conf'
    with open(conf, 'w') as file:
        file.write('[core]\n spool-directory = %s/spool\n run-directory = '
                   '%s/run\n' % (scratch, scratch))
    message = 'Subject: x\r\n\r\n.dot\r\n..\r\nend\r\n'
    standin = standin_program(scratch)

    put('1', envelope('a@y') + message, 'pmtu_joe')
    deliver = Deliver(standin, conf)
    time.sleep(1)
    equal('nobody answers: the file stays', os.listdir(drop), ['1'])
    deliver.end()

    submission = Submission(scratch + '/run/submit')
    put('2', envelope('b@y', sender='') + message, 'root')
    deliver = Deliver(standin, conf)
    messages = sorted(submission.taken(2))
    equal('root\'s is submitted as root', messages[0][:3],
          (0, 'MAIL FROM:<> BODY=8BITMIME', ['RCPT TO:<b@y> NOTIFY=FAILURE']))
    equal('joe\'s as joe', messages[1][:3], (joe, 'MAIL FROM:<joe@x> '
          'BODY=8BITMIME', ['RCPT TO:<a@y> NOTIFY=FAILURE']))
    equal('the message, dots stuffed', messages[1][3],
          'Subject: x\r\n\r\n..dot\r\n...\r\nend\r\n')
    ok('the files are gone', empty(), os.listdir(drop))
    deliver.end()

    submission.messages.clear()
    put('1', envelope('later@y', 'b@y') + message, 'pmtu_joe')
    put('2', envelope('a@y', 'b@y', 'c@y', 'later@y') + message, 'pmtu_joe')
    put('3', envelope('refused@y', 'b@y') + message, 'pmtu_joe')
    put('4', envelope('refused@y', sender='') + message, 'pmtu_joe')
    put('5', 'T a@y\n\nno sender\n', 'pmtu_joe')
    put('6', envelope('a@y\x01') + message, 'pmtu_joe')
    put('7', envelope('linked@y') + message, 'pmtu_joe')
    os.link(drop + '/7', scratch + '/link')
    os.mkfifo(drop + '/8')
    os.symlink('/etc/passwd', drop + '/9')
    deliver = Deliver(standin, conf)
    submission.taken(3)
    time.sleep(1)
    names = os.listdir(drop)
    ok('one that must wait does', '1' in names, names)
    groups = [m[2] for m in submission.messages]
    ok('recipients go in the server\'s groups',
       ['RCPT TO:<a@y> NOTIFY=FAILURE', 'RCPT TO:<b@y> NOTIFY=FAILURE']
       in groups, groups)
    rest = [n for n in names if re.match(r'\d{9,}\.', n)]
    text = open(os.path.join(drop, rest[0]), newline='').read() if rest \
        else ''
    equal('what must wait of it is a file of its own', text,
          envelope('c@y', 'later@y').replace('B 8BITMIME\nN FAILURE\n',
                                             'N FAILURE\nB 8BITMIME\n') +
          message)
    equal('and the owner\'s', os.stat(os.path.join(drop, rest[0])).st_uid
          if rest else None, joe)
    ok('a refusal is reported to the sender', any(
        m[1].startswith('MAIL FROM:<>') and '<refused@y>: 550' in m[3] and
        '\r\nSubject: x\r\n\r\n..dot\r\n' in m[3]
        for m in submission.messages), submission.messages)
    equal('what cannot be is set aside',
          sorted(n for n in names if n[0] == '.'),
          ['.refused-4', '.refused-5', '.refused-6', '.refused-7'])
    ok('what is no file is left alone', {'8', '9'} <= set(names), names)
    log = deliver.end()
    ok('each has its line', 'drop file=3 uid=%d status=taken' % joe in log,
       log)
finally:
    users.remove()
    shutil.rmtree(scratch)
end()
