#!/usr/bin/python3
"""Send mail through trouble, and write down what became of each message.

load.py PORT CONNECTIONS MESSAGES SECONDS FILE RECIPIENT[/SIZE] ...

$PAUSE is how long each connection waits behind a message.  The recipients
are taken in turn.  Each message bears a tag of its own and is
sent until it is answered 250, or SECONDS have passed.  Lines of FILE:

    taken TAG ID RECIPIENT SENT TAKEN   answered 250, the times of the final
                                        dot and of its answer
    unsure TAG                  its end had been sent, and the connection
                                broke or the answer was 4xx: sent again
    refused TAG REPLY           a 5xx, which no trouble of ours may bring
    ended MESSAGES              all were taken
"""
import os
import re
import socket
import sys
import threading
import time

port, connections, messages = map(int, sys.argv[1:4])
end = time.time() + float(sys.argv[4])
file = open(sys.argv[5], 'w')
recipients = sys.argv[6:]
pause = float(os.environ.get('PAUSE', '0'))
numbers = iter(range(messages))
lock = threading.Lock()
LINE = b'a line of the message, as long as they are, and no longer\r\n'


class Refused(Exception):
    pass


def note(*words):
    with lock:
        print(*words, file=file, flush=True)


class Session:
    def __init__(self):
        self.socket = socket.create_connection(('127.0.0.1', port), 30)
        self.file = self.socket.makefile('rb')
        self.expect(b'2')
        self.say(b'EHLO load.test', b'2')

    def expect(self, first):
        line = self.file.readline()
        while line[3:4] == b'-':
            line = self.file.readline()
        if line.startswith(b'5') and line.endswith(b'\r\n'):
            raise Refused(line.decode('latin-1').strip())
        if not line.startswith(first) or not line.endswith(b'\r\n'):
            raise OSError(line.decode('latin-1').strip() or 'closed')
        return line.decode('latin-1')

    def say(self, line, first):
        self.socket.sendall(line + b'\r\n')
        return self.expect(first)

    def send(self, tag, recipient, size):
        self.say(b'MAIL FROM:<pmtest2@here.test>', b'2')
        self.say(b'RCPT TO:<%s>' % recipient.encode(), b'2')
        self.say(b'DATA', b'3')
        self.socket.sendall(b'X-Tag: %s\r\nSubject: load\r\n\r\n' %
                            tag.encode() + LINE * (size // len(LINE)))
        sent = time.time()
        try:
            reply = self.say(b'.', b'2')
        except OSError:
            note('unsure', tag)
            raise
        note('taken', tag, re.findall(r'\b[0-9a-v]{13}\b', reply)[-1],
             recipient, '%.6f' % sent, '%.6f' % time.time())

    def close(self):
        self.file.close()
        self.socket.close()


def deliver(n, session):
    """Send one message; returns the session to go on with."""
    tag = 'tag-%d-%d' % (port, n)
    recipient, _, size = recipients[n % len(recipients)].partition('/')
    while time.time() < end:
        try:
            if session is None:
                session = Session()
            session.send(tag, recipient, int(size or 4000))
            return session
        except Refused as reply:
            note('refused', tag, reply)
            reply = None
        except OSError:
            pass
        if session is not None:
            session.close()
        session = None
        time.sleep(0.1)
    return session


def work():
    session = None
    while time.time() < end:
        with lock:
            n = next(numbers, None)
        if n is None:
            break
        session = deliver(n, session)
        time.sleep(pause)


threads = [threading.Thread(target=work) for _ in range(connections)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
file.close()
with open(sys.argv[5]) as lines:
    count = sum(line.startswith('taken ') for line in lines)
note = open(sys.argv[5], 'a')
if count == messages:
    print('ended', count, file=note)
note.close()
sys.exit(0 if count == messages else 1)
