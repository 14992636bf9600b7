#!/usr/bin/python3
"""Cut the power at every sync of the spool.

powercut.py [STATES [SEED]]     the whole: so many states (default: all)

spoold's writes are recorded while it takes, defers and finishes mail, on a
disk whose syncs are long, is killed and starts again, and they are short;
then it is started from states that the disk may be
in after a cut: before each sync, with what was not synced lost or kept in
any order (disk.py).  Each message whose commit had been answered must be in
the queue with its recipients and each octet of its body, or in a worker's
hands already; and spoold must take mail.  At last some syncs are taken for
nothing: then messages must be found lost, else this test sees nothing.
"""
import glob
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [here, os.path.join(here, '..', 'spool')]
import disk  # noqa: E402
import spool as spooling  # noqa: E402
from spool import BUILD, Control, number, ok  # noqa: E402

if os.access('/dev/shm', os.W_OK):
    tempfile.tempdir = '/dev/shm'
SPOOLD = os.path.join(BUILD, 'spoold', 'spoold')
LATER = 'local-later@x'
FLOOD = 100                 # size of the messages of a flood
TYPE = {name: i for i, name in enumerate(Control.names)}


class Spool(spooling.Spool):
    """One that starts from a directory that is there, or is recorded."""

    def __init__(self, top, program=SPOOLD):
        self.top = top
        self.directory = os.path.join(top, 'spool')
        if not os.path.exists(self.directory):
            os.mkdir(self.directory, 0o700)
        self.process = subprocess.Popen(
            [spooling.standin, program, self.directory,
             'retry-min = 1h', 'retry-max = 1h', 'disk-reserve = 1M'],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer()


class Reader(Control):
    """Asks without a wait: the stand-in serves while nothing is said."""

    def __init__(self, spool):
        super().__init__(spool)
        self.socket.settimeout(20)

    def exactly(self, size):
        data = b''
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise EOFError('the control socket was closed')
            data += piece
        return data

    def ask(self, name, payload):
        self.id += 1
        self.socket.sendall(struct.pack('=IIII', TYPE[name], len(payload),
                                        self.id, 0) + payload)
        length = struct.unpack('=IIII', self.exactly(16))[1]
        return self.exactly(length)

    def whole(self, id):
        """The export of a message, or None."""
        text = b''
        while True:
            answer = self.ask('CTL_READ_REQ', struct.pack('=QQ', id,
                                                          len(text)))
            verdict, size = struct.unpack_from('=QQ', answer)
            if verdict != 1 or (len(answer) == 16 and len(text) < size):
                return None
            text += answer[16:]
            if len(text) >= size:
                return text


def make_body(size):
    """As the stand-in makes it."""
    head = b'Subject: test\r\nX-Mark: kept\r\n\r\n'
    line = b'x' * 62 + b'\r\n'
    return (head + (line * (size // 64 + 1))[len(head):])[:size]


# ---- the recording

def record(top, rounds):
    """Messages that stay: {id: size}, those that pass: a set; and what was
    recorded."""
    slow = os.path.join(top, 'slow')
    open(slow, 'w').close()
    spool = Spool(top, disk.recorder(top, SPOOLD))
    kept, passing = {}, set()

    def send(size, to=LATER):
        answer = spool.do('send', 'a@b.test', to, size)
        if answer[0] != 'ok':
            ok('a message is taken', False, answer)
        elif to == LATER:
            kept[number(answer[1])] = size
        else:
            passing.add(number(answer[1]))

    for i in range(rounds):
        send(1000)
        spool.do('flood', 200, LATER)
        send(65536)
        send(65537)
        send(1000, 'local-ok@x')
        send(150000, 'local-ok@x')
        send(300000)
        # Idle: the log is carried over, and begins anew.
        spool.do('run', 4)
        send(70000, 'local-ok@x')
        send(40000)
        # The recorder misses the last call of what is killed: not that one.
        spool.do('flood', 1, LATER)
        spool.do('kill')
        os.rename(slow, slow + '.no')
        spool.do('start')
        send(100000)
        spool.do('flood', 10, LATER)
        os.rename(slow + '.no', slow)
    spool.do('stop')
    spool.process.stdin.close()
    spool.process.wait()
    time.sleep(0.2)
    lines = []
    for name in sorted(glob.glob(os.path.join(top, 'trace.*'))):
        with open(name) as file:
            lines += file.readlines()
        os.unlink(name)
    return kept, passing, disk.Recording(lines, spool.directory)


class Answers:
    """What left by sockets: which messages were taken, and handed out."""

    def __init__(self):
        self.streams = {}
        self.taken = set()
        self.handed = set()

    def take(self, name, data):
        data = self.streams.get(name, b'') + data
        while len(data) >= 16:
            kind, length = struct.unpack_from('=II', data)
            if len(data) < 16 + length:
                break
            self.frame(kind, data[16:16 + length])
            data = data[16 + length:]
        self.streams[name] = data

    def frame(self, kind, payload):
        if kind == TYPE['TXN_COMMIT_ANS']:
            id, verdict = struct.unpack_from('=QQ', payload)
            if verdict == 1:
                self.taken.add(id)
        elif kind == TYPE['JOB_DELIVER_REQ']:
            self.handed.add(struct.unpack_from('=Q', payload)[0])


# ---- a state

def delivered(spool):
    return {number(line.split()[1]) for line in spool.events()
            if line.startswith('delivered ')}


def trouble(top, taken, finished, passing, sizes):
    """Start spoold from a state; says what is wrong, or ''."""
    try:
        spool = Spool(top)
    except EOFError as why:
        return 'spoold does not start: %s' % why
    wrong = []
    try:
        reader = Reader(spool)
        for id in sorted(taken):
            text = reader.whole(id)
            if text is None:
                if id not in finished and id not in delivered(spool):
                    wrong.append('%x is lost' % id)
                continue
            head, body = text.split(b'\n\n', 1)
            if id in finished:
                continue
            if b'Recipient: <%s>' % LATER.encode() not in head and \
                    id not in passing:
                wrong.append('%x has no recipient' % id)
            if body != make_body(sizes.get(id, FLOOD)):
                wrong.append('the body of %x is another' % id)
        if spool.do('send', 'a@b.test', LATER, 1000)[0] != 'ok':
            wrong.append('it takes no mail')
        if 'damaged' in spool.read('log'):
            wrong.append('something is damaged')
        spool.process.stdin.close()
        spool.process.wait(30)
    except (EOFError, OSError, BrokenPipeError, socket.timeout) as why:
        spool.process.kill()
        wrong.append('spoold ended: %s: %s' % (why, spool.read('log')[-500:]))
    return '; '.join(wrong[:5])


def cuts(events):
    """Where the power may go: before each sync, and at the end."""
    return [n for n, event in enumerate(events) if event[0] == 'sync'] + \
        [len(events)]


def play(recording, sizes, passing, wanted, rng, deaf=lambda path: False):
    """Try states; returns how many, and those that are wrong."""
    places = cuts(recording.events)
    ways = list(disk.choices(rng))
    every = [(n, way) for n in places for way in ways]
    chosen = set(every) if wanted == 0 or wanted >= len(every) else \
        set(rng.sample(every, wanted))
    now, answers, tried, wrong = disk.Disk(deaf), Answers(), 0, []
    # The states that are looked at do not hang on how many there are.
    for n in range(len(recording.events) + 1):
        for way in ways:
            if (n, way) not in chosen:
                continue
            top = tempfile.mkdtemp(prefix='postmaster-cut-')
            choose, unit = disk.choices(rng)[way]
            now.state(os.path.join(top, 'spool'), choose, unit)
            why = trouble(top, answers.taken, answers.handed &
                          passing, passing, sizes)
            tried += 1
            if why:
                wrong.append('before event %d, %s: %s' % (n, way, why))
            shutil.rmtree(top)
        if n < len(recording.events):
            event = recording.events[n]
            now.take(event)
            if event[0] == 'sent':
                answers.take(event[1], event[2])
    return tried, wrong, answers


DEAF = {
    'the log': lambda path: path.endswith('-wal'),
    'large bodies': lambda path: path.startswith('body/') and
    path.count('/') == 2,
    'their folders': lambda path: path.startswith('body/') and
    path.count('/') == 1,
}


def main(states=150, seed=None, rounds=1):
    seed = seed or random.randrange(1 << 32)
    rng = random.Random(seed)
    print('# seed %d' % seed)
    top = tempfile.mkdtemp(prefix='postmaster-record-')
    kept, passing, recording = record(top, rounds)
    shutil.rmtree(top)
    ok('the recording holds no call that is not understood',
       not recording.unknown, recording.unknown)
    tried, wrong, answers = play(recording, kept, passing, states,
                                 rng)
    print('# %d events, %d syncs, %d messages taken, %d states' % (
        len(recording.events), len(cuts(recording.events)) - 1,
        len(answers.taken), tried))
    ok('each message that stays was seen to be taken',
       kept.keys() <= answers.taken and len(answers.taken) > len(kept),
       (len(kept), len(answers.taken)))
    ok('no state after a cut has lost a message', not wrong,
       '\n'.join(wrong[:20]))
    for name, deaf in DEAF.items():
        for few in 10, 100:     # they may be states that show nothing
            _, wrong, _ = play(recording, kept, passing, few, rng, deaf)
            if wrong:
                break
        ok('if syncs of %s did nothing, messages would be lost' % name,
           wrong)
    print('1..%d' % spooling.count)
    return spooling.failed != 0


if __name__ == '__main__':
    sys.exit(main(*[int(word) for word in sys.argv[1:]]))
