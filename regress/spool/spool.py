"""TAP, a real spoold with a stand-in for its neighbours, and a client of its
control socket."""
import glob
import os
import re
import shutil
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
BUILD = os.path.join(TOP, os.environ.get('BUILD', 'build'))
os.environ.setdefault('ASAN_OPTIONS', 'detect_leaks=0')
standin = os.path.join(BUILD, 'regress', 'spool', 'standin')
count = failed = 0


def ok(what, good, told=None):
    global count, failed
    count += 1
    print('%s %d - %s' % ('ok' if good else 'not ok', count, what))
    if not good:
        failed += 1
        print('# got: %s' % str(told).replace('\n', '\n# '))
    sys.stdout.flush()


class Spool:
    """One spool, and the stand-in that plays with it."""
    def __init__(self, *settings):
        self.top = tempfile.mkdtemp(prefix='postmaster-spool-')
        self.directory = os.path.join(self.top, 'spool')
        os.mkdir(self.directory, 0o700)
        self.process = subprocess.Popen(
            [standin, os.path.join(BUILD, 'spoold', 'spoold'),
             self.directory, *settings], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        self.answer()

    def answer(self):
        lines = []
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise EOFError('the stand-in has ended: %r' % lines)
            lines.append(line.rstrip())
            if re.match('(ok|no)( |$)', line):
                return lines[-1].split()

    def do(self, *words):
        self.process.stdin.write(' '.join(str(w) for w in words) + '\n')
        self.process.stdin.flush()
        return self.answer()

    def send(self, recipients, sender='a@b.test', size=1000, wait=1):
        answer = self.do('send', sender, recipients, size)
        if wait:
            self.do('run', wait)
        return answer[1] if answer[0] == 'ok' else None

    def read(self, name):
        try:
            with open(os.path.join(self.top, name)) as file:
                return file.read()
        except FileNotFoundError:
            return ''

    def events(self, id=None):
        lines = self.read('events').splitlines()
        return [line for line in lines if id is None or id in line]

    def log(self, word, id=None):
        pattern = r'spoold\[\d+\]: %s .*%s' % (word, 'id=' + id if id else '')
        return re.findall(pattern + '.*', self.read('log'))

    def sql(self, text):
        """Of a spool that is stopped."""
        db = sqlite3.connect(os.path.join(self.directory, 'spool.db'))
        with db:
            rows = db.execute(text).fetchall()
        db.close()
        return rows

    def bodies(self):
        return glob.glob(os.path.join(self.directory, 'body', '*', '*'))

    def end(self):
        self.process.stdin.close()
        self.process.wait(30)
        shutil.rmtree(self.top)


class Control:
    """A client of the control socket."""
    names = re.findall(r'^\tIMSG_(\w+)', open(os.path.join(
        TOP, 'common', 'wire.h')).read(), re.M)

    def __init__(self, spool):
        self.spool = spool
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(os.path.join(spool.top, 'control'))
        self.id = 0

    def ask(self, name, payload):
        self.id += 1
        self.socket.sendall(struct.pack(
            '=IIII', self.names.index(name), len(payload), self.id, 0) +
            payload)
        self.spool.do('run', 1)
        header = self.socket.recv(16, socket.MSG_WAITALL)
        length = struct.unpack('=IIII', header)[1]
        return self.socket.recv(length, socket.MSG_WAITALL)

    def list(self):
        answer = self.ask('CTL_LIST_REQ', struct.pack(
            '=Q528s', 0, b''))
        return struct.unpack_from('=QQQI', answer)

    def action(self, action, id=0, amount=0):
        answer = self.ask('CTL_ACTION_REQ', struct.pack(
            '=QQq528s', id, action, amount, b''))
        return struct.unpack_from('=QI', answer)

    def show(self, id):
        return self.ask('CTL_SHOW_REQ', struct.pack(
            '=Q', number(id)))[16:].decode()

    def status(self):
        return self.ask('CTL_STATUS_REQ', struct.pack('=Q', 0))[8:].decode()

    def read(self, id):
        return self.ask('CTL_READ_REQ', struct.pack(
            '=QQ', id, 0))[16:].decode()


def number(id):
    value = 0
    for digit in id:
        value = value * 32 + '0123456789abcdefghijklmnopqrstuv'.index(digit)
    return value


RUN, HOLD, RELEASE, REMOVE, REROUTE, AGE, PAUSE, RESUME, CHECK = range(1, 10)


def run_tests(tests):
    """Those named on the command line, or all; ends the script."""
    wanted = sys.argv[1:]
    for name, test in list(tests.items()):
        if name.startswith('test_') and (not wanted or name[5:] in wanted):
            try:
                test()
            except (EOFError, BrokenPipeError, sqlite3.Error) as why:
                ok('%s goes through' % name, False, why)
    print('1..%d' % count)
    sys.exit(1 if failed else 0)
