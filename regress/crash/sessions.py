#!/usr/bin/python3
"""Many short sessions, of all the kinds that there are: whole ones, and those
that end in the midst of what they say.

sessions.py PORT COUNT [RECIPIENT ...]
"""
import socket
import sys
import threading

port, count = int(sys.argv[1]), int(sys.argv[2])
recipients = sys.argv[3:]
numbers = iter(range(count))
lock = threading.Lock()
GREET = b'EHLO a.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<%s>\r\n'
TEXT = b'Subject: session\r\n\r\n' + b'a line\r\n' * 20


def reply(file):
    line = file.readline()
    while line[3:4] == b'-':
        line = file.readline()
    return line


def session(n):
    with socket.create_connection(('127.0.0.1', port), 30) as peer:
        file = peer.makefile('rb')
        reply(file)
        kind = n % 10
        to = recipients[n // 10 % len(recipients)].encode()
        if kind == 0:
            return
        if kind == 1:
            peer.sendall(b'EHLO a.test\r\nNONSENSE\r\nMAIL')
        elif kind == 2:
            peer.sendall(GREET % b'nobody@here.test' + b'RSET\r\n')
        else:
            peer.sendall(GREET % to)
        for _ in range({1: 2, 2: 4}.get(kind, 3)):
            reply(file)
        if kind < 4:
            return
        peer.sendall(b'DATA\r\n')
        reply(file)
        if kind == 4:
            peer.sendall(TEXT)
            return
        if kind == 5:
            peer.sendall(TEXT * 500)    # large, and left without its end
            return
        peer.sendall(TEXT + b'.\r\n')
        reply(file)
        if kind < 9:
            peer.sendall(b'QUIT\r\n')
            reply(file)


def work():
    while True:
        with lock:
            n = next(numbers, None)
        if n is None:
            return
        try:
            session(n)
        except OSError as why:
            print('session %d: %s' % (n, why))


threads = [threading.Thread(target=work) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
