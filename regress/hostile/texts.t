#!/usr/bin/python3
"""Configurations, tables and aliases with anything in them: each program
that checks its part says what is wrong, or nothing, and exits 0, 1 or 2."""
# timeout: 300
import os
import random
import subprocess
import tempfile

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
BUILD = os.path.join(TOP, os.environ.get('BUILD', 'build'))
ROUNDS = int(os.environ.get('ROUNDS', '60'))
SEED = int(os.environ.get('SEED', '1'))
os.environ.setdefault('ASAN_OPTIONS', 'detect_leaks=0')
PIECES = [b'[', b']', b'"', b'\\', b'=', b'#', b',', b'(', b')', b'\0', b'\n',
          b'\r', b'\xff', b'@', b'${', b'}', b'${USER}', b'pipe(', b'relay(',
          b'local()', b'maildir(', b'file ', b':include:', b'|', b'/', b' ',
          b'[smtpd "x"]\n', b'[route]\n', b'999999999999999999999', b'-1',
          b'[::1]:25', b'x' * 5000, b'()' * 500, b'((' * 500, b'%', b'+']

SAMPLE = b'''[core]
  hostname = mx.test
  local-domains = a.test, b.test
  local-mailer = maildir
  alias-file = SCRATCH/aliases
[pipe "p"]
  exec = /bin/cat "${RCPT_TO}" x
  user = nobody
[relay "r"]
  host = 127.0.0.1:25, [::1]:25
[smtpd "one"]
  listen-port = 127.0.0.1:2525, [::1]:2525
  trusted = 127.0.0.0/8, fe80::/10
  message-size = 10m
  command-timeout = 5m
[route]
  @a.test      local()
  joe@b.test   joe, x@c.test, p
  @c.test      relay(127.0.0.1:9, [::1]:25)
  d@c.test     reject("550 5.1.1 no, not here")
  e@c.test     pipe(/bin/sh -c "exit 1; (a)")
  file         SCRATCH/table
  @            r
'''
ALIASES = b'''root: joe, "|/bin/cat a", /var/tmp/x
list: :include:SCRATCH/include,
  a@b.test, "quoted name"@c.test
owner-list: joe
'''
TABLE = b'x@a.test  y@b.test\n@d.test  relay(127.0.0.1)\nz z, q@a.test\n'


def mutated(text, chance):
    text = bytearray(text)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        at = chance.randrange(len(text) + 1)
        kind = chance.randrange(4)
        if kind == 0:
            text[at:at] = chance.choice(PIECES)
        elif kind == 1:
            del text[at:at + chance.randrange(1, 30)]
        elif kind == 2 and at < len(text):
            text[at] = chance.randrange(256)
        else:
            start = chance.randrange(len(text) + 1)
            text[at:at] = text[start:start + chance.randrange(200)]
    return bytes(text)


def write(path, text):
    with open(path, 'wb') as file:
        file.write(text.replace(b'SCRATCH', scratch.encode()))


failed = 0
programs = ('smtpd', 'policyd', 'spoold', 'relay', 'deliver')
print('1..%d' % len(programs), flush=True)
with tempfile.TemporaryDirectory(prefix='postmaster-texts.') as scratch:
    for number, name in enumerate(programs, 1):
        chance = random.Random(SEED)
        wrong = None
        for turn in range(ROUNDS):
            conf = SAMPLE if turn % 3 == 2 else mutated(SAMPLE, chance)
            write(scratch + '/conf', conf)
            write(scratch + '/aliases', mutated(ALIASES, chance))
            write(scratch + '/table', mutated(TABLE, chance))
            write(scratch + '/include', mutated(b'a@b.test\n# c\nd', chance))
            with open(scratch + '/conf', 'rb') as conf:
                done = subprocess.run(
                    [os.path.join(BUILD, name, name), '-n'], stdin=conf,
                    capture_output=True, timeout=30)
            if done.returncode not in (0, 1, 2) or \
                    b'Sanitizer' in done.stderr or \
                    b'runtime error' in done.stderr:
                wrong = (turn, done.returncode, done.stderr)
                break
        failed += wrong is not None
        print('%s %d - %s checks anything (seed %d)' % (
            'not ok' if wrong else 'ok', number, name, SEED), flush=True)
        if wrong:
            print('# round %d, exit %d\n# %s' % (wrong[0], wrong[1],
                  wrong[2].decode(errors='replace')[-4000:].replace(
                      '\n', '\n# ')))
raise SystemExit(1 if failed else 0)
