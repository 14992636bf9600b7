#!/usr/bin/python3
"""Clients that cost time, memory or sessions and give nothing: octets one by
one, replies that nobody reads, ten thousand sessions left half open; others
are served meanwhile.  smtpd is the real one, in its jail."""
# timeout: 200
import os
import re
import resource
import socket
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'smtp'))
sys.dont_write_bytecode = True
from dialogue import BUILD, Connection, Failure, Standin  # noqa: E402

SANITIZED = BUILD.rstrip('/').endswith('san')
HALF_OPEN = 2000 if SANITIZED else 10000
number = 0
failed = 0


def ok(name, passed, why=''):
    global number, failed
    number += 1
    failed += not passed
    print('%sok %d - %s' % ('' if passed else 'not ', number, name))
    if not passed:
        print('# %s' % str(why).replace('\n', '\n# '))


def dialogue(client, *lines):
    """Say each when there was a reply to the one before; the last reply."""
    reply = reply_of(client)
    for line in lines:
        client.client.sendall(line)
        reply = reply_of(client)
    return reply


def reply_of(client):
    line = client.receive_line()
    while line[3:4] == '-':
        line = client.receive_line()
    return line


START = (b'EHLO client.test\r\n', b'MAIL FROM:<a@b.test>\r\n',
         b'RCPT TO:<c@d.test>\r\n', b'DATA\r\n')


def is_served(smtpd):
    """One who behaves."""
    client = Connection(smtpd.connect())
    reply = dialogue(client, *START, b'Subject: x\r\n\r\nx\r\n.\r\n')
    client.client.close()
    return reply.startswith('250')


def drip(client, octets):
    """Octets one by one, never silent; the reply that comes in between."""
    client.client.settimeout(0.2)
    for sent in range(100):
        try:
            client.client.send(octets[sent % len(octets):][:1])
            line = client.receive_line()
            return line, sent
        except socket.timeout:
            continue
    return 'none', sent


def memory(smtpd):
    with open('/proc/%d/status' % smtpd.pid) as status:
        return int(re.search(r'VmRSS:\s*(\d+)', status.read())[1])


def descriptors(smtpd):
    return len(os.listdir('/proc/%d/fd' % smtpd.pid))


def wait_for(test, seconds=30):
    end = time.monotonic() + seconds
    while not test() and time.monotonic() < end:
        time.sleep(0.1)
    return test()


def slow(smtpd):
    for name, lines, octets in (
            ('a command', (), b'N'),
            ('a message', START, b'x'),
            ('lines of a message', START, b'x\r\n')):
        client = Connection(smtpd.connect())
        dialogue(client, *lines)
        got, sent = drip(client, octets)
        ok('%s, octet by octet: its time ends' % name,
           got.startswith('421 4.4.2'), (got, sent))
        client.client.close()
    client = Connection(smtpd.connect())
    dialogue(client, *START)
    for _ in range(12):
        client.client.sendall(b'x' * 510 + b'\r\n')
        time.sleep(0.2)
    client.client.sendall(b'.\r\n')
    ok('a message that comes on may take longer than that',
       reply_of(client).startswith('250'))
    client.client.close()


def deaf(smtpd):
    before = memory(smtpd)
    client = smtpd.connect()
    client.settimeout(0.5)
    sent = 0
    try:
        while sent < 64 << 20:
            sent += client.send(b'HELP\r\n' * 10000)
    except OSError:
        pass
    ok('who reads no replies is not listened to', sent < 64 << 20, sent)
    ok('others are served meanwhile', is_served(smtpd))
    grown = memory(smtpd) - before
    ok('what waits for it is bounded', SANITIZED or grown < 2048, grown)
    few = descriptors(smtpd)
    ok('it is sent away',
       wait_for(lambda: descriptors(smtpd) < few), descriptors(smtpd))
    client.close()


def half_open(smtpd):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(HALF_OPEN, hard - 200)
    before, few = memory(smtpd), descriptors(smtpd)
    clients = []
    for n in range(count):
        clients.append(smtpd.connect())
        if n % 100 == 99:
            clients[-1].recv(512)       # no faster than they are taken
    for n, client in enumerate(clients):
        if n % 4:
            client.sendall((b'', b'EHL', b'EHLO a\r\nMAIL FROM:<a@',
                            b'EHLO a\r\nNOOP\r\nNOO')[n % 4])
    ok('%d sessions stay half open' % count,
       wait_for(lambda: descriptors(smtpd) >= few + count),
       descriptors(smtpd))
    ok('another is served', is_served(smtpd))
    each = (memory(smtpd) - before) * 1024 // count
    print('# %d octets of memory each' % each)
    ok('each takes 8 KiB at most', SANITIZED or each <= 8192, each)
    for client in clients:
        client.close()
    ok('nothing of them is left when they are gone',
       wait_for(lambda: descriptors(smtpd) <= few), descriptors(smtpd))
    ok('and others are served', is_served(smtpd))


def run(settings, test):
    with tempfile.TemporaryDirectory(prefix='smtp.') as directory:
        smtpd = Standin(directory, settings)
        try:
            test(smtpd)
        except (Failure, OSError) as why:
            ok('no failure', False, why)
        ok('smtpd lives, and ends when told to', smtpd.end() == 0)


run(['command-timeout = 2s', 'data-timeout = 2s'], slow)
if os.geteuid() == 0:           # to see what the process has open
    run(['command-timeout = 3s'], deaf)
    run(['max-sessions = 20000', 'max-sessions-per-network = 0'], half_open)
else:
    ok('who reads no replies, sessions left half open # SKIP needs root', True)
print('1..%d' % number)
sys.exit(failed != 0)
