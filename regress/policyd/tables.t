#!/usr/bin/python3
"""policyd in its jail: files that change, files that are unsafe, accounts
that are made while it runs."""
import os
import shutil
import subprocess
import sys
import tempfile
import time

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
BUILD = os.path.join(TOP, os.environ.get('BUILD', 'build'))
POLICYD = os.path.join(BUILD, 'policyd/policyd')
ACCEPT, UNKNOWN, NOROUTE, DENIED, BAD, REFUSED, LOOKUP, CONFIG = '12345678'
LOCAL, MAILER, TEXT, RELAY, LIST = '12345'
ROOT = os.getuid() == 0
NOBODY = ['65534', '65534'] if ROOT else []

count = 0
failed = 0


def equal(what, got, wanted):
    global count, failed
    count += 1
    good = got == wanted
    print('%s %d - %s' % ('ok' if good else 'not ok', count, what))
    if not good:
        failed += 1
        print('# got %r, not %r' % (got, wanted))
    sys.stdout.flush()


class Policyd:
    def __init__(self, conf, prefix=()):
        self.log = open(os.path.join(scratch, 'log'), 'w+')
        self.process = subprocess.Popen(
            [*prefix, standin, POLICYD, conf, *NOBODY],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
            text=True)
        assert self.process.stdout.readline().startswith('ready')

    def ask(self, *words):
        self.process.stdin.write('\t'.join(words) + '\n')
        self.process.stdin.flush()
        return self.process.stdout.readline().rstrip('\n').split('\t')[1:]

    def rcpt(self, recipient, standing='s'):
        return self.ask('rcpt', standing, 'mx', recipient)[0]

    def route(self, *words):
        answer = self.ask('route', *words)
        return answer[0], answer[6], answer[8:]

    def explain(self, address):
        self.process.stdin.write('explain\t%s\n' % address)
        self.process.stdin.flush()
        lines = []
        while (line := self.process.stdout.readline()) not in ('end\n', ''):
            lines.append(line)
        return ''.join(lines)

    def logged(self, text):
        """Lines leave at the end of a turn, behind the answer."""
        end = time.time() + 5
        while time.time() < end:
            with open(self.log.name) as file:
                if text in file.read():
                    return True
            time.sleep(0.02)
        return False

    def end(self):
        self.process.stdin.close()
        return self.process.wait(10)


def put(name, text, mode=0o644):
    """A new file in place of the old one, as editors do it."""
    path = os.path.join(scratch, name)
    with open(path + '.new', 'w') as file:
        file.write(text)
    os.chmod(path + '.new', mode)
    os.rename(path + '.new', path)
    return path


# Leaks are looked for where no jail forbids it.
os.environ.setdefault('ASAN_OPTIONS', 'detect_leaks=0')
scratch = tempfile.mkdtemp(prefix='postmaster-policyd-')
os.chmod(scratch, 0o755)
standin = shutil.copy(os.path.join(BUILD, 'regress/policyd/standin'), scratch)
table = put('table', 'one@listed.test  relay(10.0.0.1)\n')
aliases = put('aliases', 'crew: a@away.test, b@away.test\n'
              'club: :include:%s/club\n' % scratch)
put('club', 'c@away.test, d@away.test\n')
conf = put('conf', '''[core]
hostname = mx.policy.test
local-domains = policy.test
alias-file = %s
[smtpd "mx"]
[route]
@           relay(127.0.0.1)
file "%s"
''' % (aliases, table))

policyd = Policyd(conf)
equal('a line of the table', policyd.rcpt('one@listed.test'), ACCEPT)
equal('a domain that is not served', policyd.rcpt('x@away.test'), DENIED)
equal('the same for a trusted client', policyd.rcpt('x@away.test', 't'),
      ACCEPT)
equal('no other user there', policyd.rcpt('two@listed.test'), UNKNOWN)
put('table', 'two@listed.test  relay(10.0.0.1)\n')
equal('a new file is read', policyd.rcpt('two@listed.test'), ACCEPT)
equal('the old one is forgotten', policyd.rcpt('one@listed.test'), UNKNOWN)
with open(table, 'a') as file:
    file.write('three@listed.test discard()\n')
with open(table, 'a') as file:
    file.write('@by-mx.test relay()\n')
equal('a domain by its mail exchangers', policyd.route('Me@By-MX.test')[1],
      'by-mx.test by relay()')
equal('explained with its next hop', policyd.explain('me@by-mx.test')
      .endswith('hop 4 [relay()] [by-mx.test] [me@by-mx.test]\n'), True)
equal('a host by its name', policyd.explain('two@listed.test').endswith(
    'hop 4 [relay(10.0.0.1)] [] [two@listed.test]\n'), True)
equal('a file written in place is read', policyd.rcpt('three@listed.test'),
      ACCEPT)

os.chmod(table, 0o664)
equal('one that a group may write is not used',
      policyd.rcpt('two@listed.test'), LOOKUP)
equal('and holds up everything that asks it',
      policyd.rcpt('crew@policy.test'), LOOKUP)
equal('and says so', policyd.logged('can be written by others'), True)
os.chmod(table, 0o644)
equal('repaired, it is used', policyd.rcpt('two@listed.test'), ACCEPT)
put('table', 'two@listed.test  relay(10.0.0.1)\nfour@listed.test nosuch(x)\n')
equal('a mistake spoils the table', policyd.rcpt('two@listed.test'), LOOKUP)
equal('with its place in the log', policyd.logged(table + ':2:'), True)
os.unlink(table)
equal('a missing table is no answer', policyd.rcpt('two@listed.test'), LOOKUP)
os.mkfifo(table)
equal('nor is a fifo', policyd.rcpt('two@listed.test'), LOOKUP)
os.unlink(table)
put('table', 'two@listed.test  relay(10.0.0.1)\n')
equal('there again', policyd.rcpt('two@listed.test'), ACCEPT)

equal('an alias', policyd.route('crew@policy.test'),
      (LIST, '', ['1:a@away.test', '1:b@away.test']))
equal('an included list', policyd.route('club@policy.test'),
      (LIST, '', ['1:c@away.test', '1:d@away.test']))
put('club', 'e@away.test\nf@away.test\n')
equal('included anew', policyd.route('club@policy.test')[2],
      ['1:e@away.test', '1:f@away.test'])
os.chmod(scratch + '/club', 0o666)
equal('an unsafe list defers', policyd.route('club@policy.test')[0], '10')
os.chmod(scratch + '/club', 0o644)
put('aliases', 'crew: |"/bin/cat", joe jane\nboat: "|/bin/cat -n, x"\n')
equal('a mistake spoils its alias', policyd.rcpt('crew@policy.test'), CONFIG)
equal('and no other', policyd.ask('route', 'boat@policy.test')[7],
      '|/bin/cat -n, x')
explained = policyd.explain('boat@policy.test')
equal('explained with its place', 'alias at %s:2' % aliases in explained, True)
equal('and what a stranger hears',
      'RCPT from a stranger: accepted' in explained, True)
if ROOT:
    put('aliases', 'crew: root\n', 0o600)
    equal('an unreadable alias file is no answer',
          policyd.rcpt('crew@policy.test'), LOOKUP)
os.unlink(aliases)
equal('a missing one is empty', policyd.rcpt('crew@policy.test'), UNKNOWN)
with tempfile.TemporaryDirectory(dir='/var/tmp') as elsewhere:
    os.chmod(elsewhere, 0o755)
    with open(elsewhere + '/list', 'w') as file:
        file.write('x@away.test\n')
    put('aliases', 'far: :include:%s/list\n' % elsewhere)
    equal('what the jail does not show defers',
          policyd.route('far@policy.test')[0], '10')
equal('an orderly end', policyd.end(), 0)

# Files that are links into another folder.
with tempfile.TemporaryDirectory(dir='/var/tmp') as elsewhere:
    os.chmod(elsewhere, 0o755)
    for path, text in ((table, 'two@listed.test relay(10.0.0.1)\n'),
                       (aliases, 'crew: a@away.test, b@away.test\n')):
        real = os.path.join(elsewhere, os.path.basename(path))
        with open(real, 'w') as file:
            file.write(text)
        os.unlink(path)
        os.symlink(real, path)
    policyd = Policyd(conf)
    equal('a table that is a link', policyd.rcpt('two@listed.test'), ACCEPT)
    equal('an alias file that is one', policyd.route('crew@policy.test'),
          (LIST, '', ['1:a@away.test', '1:b@away.test']))
    equal('an orderly end of it', policyd.end(), 0)
    put('table', '')
    put('aliases', '')

# An smtpd without the local socket claims to have it.
policyd = Policyd(conf)
equal('a claim its listeners cannot give ends the link',
      policyd.ask('rcpt', 'l', '', 'crew@policy.test'),
      ['the other side has closed'])
equal('and is logged',
      policyd.logged('a standing its listeners cannot give'), True)

# Accounts made while it runs, in an /etc of its own.
if ROOT and subprocess.run(['unshare', '-m', 'true']).returncode == 0:
    etc = scratch + '/etc'
    shutil.copytree('/etc', etc, symlinks=True, ignore=lambda d, names: [
        n for n in names if d == '/etc' and n not in
        ('passwd', 'group', 'nsswitch.conf', 'localtime', 'hosts',
         'ld.so.cache', 'ld.so.conf', 'host.conf', 'alternatives')])
    put('table', '')
    policyd = Policyd(conf, ['unshare', '-m', 'sh', '-c',
                             'mount --bind "$0" /etc && exec "$@"', etc])
    equal('no such account', policyd.rcpt('newcomer@policy.test'), UNKNOWN)
    with open(etc + '/passwd') as file:
        text = file.read()
    with open(etc + '/passwd.new', 'w') as file:
        file.write(text + 'newcomer:x:4711:4711::/home/n:/bin/sh\n')
    os.rename(etc + '/passwd.new', etc + '/passwd')
    equal('an account made meanwhile', policyd.rcpt('newcomer@policy.test'),
          ACCEPT)
    equal('with an extension', policyd.ask(
        'route', 'Newcomer+a@policy.test')[3:5], ['newcomer', 'a'])
    os.rename(etc + '/passwd', etc + '/passwd.gone')
    equal('no accounts at all', policyd.rcpt('newcomer@policy.test'), LOOKUP)
    policyd.end()
elif ROOT:
    print('# no mount namespaces here')

shutil.rmtree(scratch)
print('1..%d' % count)
sys.exit(1 if failed else 0)
