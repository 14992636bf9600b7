"""TAP, and a real deliver with a stand-in for its neighbours."""
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
BUILD = os.path.join(TOP, os.environ.get('BUILD', 'build'))
DONE, DEFERRED, FAILED, EXPANDED, NEEDS_PROGRAM, NEEDS_MBOX = '123456'
MAILBOX, MBOX, PROGRAM = 1, 2, 3
LOCAL, SPOOL, MAILER, TEXT, FORWARD = 1, 2, 3, 4, 5

count = 0
failed = 0


def ok(what, good, told=None):
    global count, failed
    count += 1
    print('%s %d - %s' % ('ok' if good else 'not ok', count, what))
    if not good:
        failed += 1
        print('# got: %r' % (told,))
    sys.stdout.flush()


def equal(what, got, wanted):
    ok(what, got == wanted, got)


def end():
    print('1..%d' % count)
    sys.exit(1 if failed else 0)


def skip_all(why):
    print('1..0 # SKIP ' + why)
    sys.exit(0)


def standin_program(directory):
    """What stands in for deliver's neighbours, where all can execute it."""
    return shutil.copy(os.path.join(BUILD, 'regress/deliver/standin'),
                       directory)


class Answer:
    def __init__(self, words):
        (self.row, self.verdict, self.status, self.twin, self.place,
         self.text) = words[:6]
        self.targets = words[6:]

    def __repr__(self):
        return repr(self.__dict__)


class Deliver:
    """deliver, running; talk to it as spoold does."""

    def __init__(self, standin, conf, hostname='mx.deliver.test',
                 prefix=(), environment=None, program=None):
        self.log = tempfile.TemporaryFile('w+')
        self.process = subprocess.Popen(
            [*prefix, standin, program or os.path.join(
                BUILD, 'deliver/deliver'), conf, hostname], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.log, env=environment)
        self.partial = b''
        self.seen = []
        self.answers = {}
        self.next = 0
        self.pid = int(self.expect('ready')[1])

    def say(self, *words):
        line = '\t'.join(str(word) for word in words) + '\n'
        self.process.stdin.write(line.encode())
        self.process.stdin.flush()

    def line(self, seconds=20):
        """The next line it says, or None."""
        until = time.monotonic() + seconds
        while b'\n' not in self.partial:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [],
                                              left)[0]:
                return None
            piece = os.read(self.process.stdout.fileno(), 65536)
            if not piece:
                return None
            self.partial += piece
        line, self.partial = self.partial.split(b'\n', 1)
        return line.decode(errors='replace').split('\t')

    def expect(self, word, number=None, seconds=20):
        """The first line of that kind, said already or to come."""
        def fits(line):
            return line[0] == word and number in (None, line[1])
        for line in self.seen:
            if fits(line):
                self.seen.remove(line)
                return line
        while True:
            line = self.line(seconds)
            if line is None:
                return None
            if fits(line):
                return line
            self.seen.append(line)

    def worker(self, name, kind):
        self.next += 1
        number = str(self.next)
        self.say('worker', number, kind, name)
        answer = self.expect('worker', number)
        return number if answer and answer[2] == '1' else answer

    def ask(self, worker, **keys):
        """Give a JOB without waiting for its answer."""
        keys.setdefault('sender', 'sender@example.org')
        keys.setdefault('arrival', 1700000000 * 1000000)
        self.say('job', worker, *('%s=%s' % pair for pair in keys.items()))

    def answer(self, worker, seconds=20):
        line = self.expect('answer', worker, seconds)
        return Answer(line[2:]) if line else None

    def job(self, worker, seconds=20, **keys):
        self.ask(worker, **keys)
        return self.answer(worker, seconds)

    def end(self):
        self.process.stdin.close()
        self.process.wait(20)
        self.log.seek(0)
        return self.log.read()


class Users:
    """Accounts that are there while a test runs."""

    def __init__(self):
        self.names = []

    def add(self, name, *options):
        subprocess.run(['userdel', '-r', '-f', name], stderr=subprocess.DEVNULL)
        subprocess.run(['useradd', '-m', *options, name], check=True,
                       stderr=subprocess.DEVNULL)
        self.names.append(name)
        return os.path.expanduser('~' + name)

    def remove(self):
        for name in self.names:
            for path in ('/var/mail/' + name, '/var/mail/' + name + '.lock'):
                if os.path.lexists(path):
                    os.unlink(path)
            subprocess.run(['userdel', '-r', '-f', name],
                           stderr=subprocess.DEVNULL)
            shutil.rmtree('/home/' + name, ignore_errors=True)
