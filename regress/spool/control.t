#!/usr/bin/python3
"""postctl at the real spoold between stand-ins for all its neighbours: what it
shows, whom it obeys, what others are asked, and pages of a long queue."""
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from spool import *  # noqa: E402,F403
from spool import BUILD, Spool, ok, run_tests  # noqa: E402

STRANGER = 60001
AGES = ('5', '10', '20', '40', '80', '160', '320', '640', '1280', '1280+')


class Queue(Spool):
    """A spool that postctl asks."""
    def __init__(self, *settings):
        super().__init__(*settings)
        self.postctl = os.path.join(self.top, 'postctl')
        shutil.copy(os.path.join(BUILD, 'ctl', 'ctl'), self.postctl)
        os.symlink(self.postctl, os.path.join(self.top, 'runq'))
        os.chmod(self.top, 0o755)
        with open(os.path.join(self.top, 'cf'), 'w') as conf:
            conf.write('[core]\n  run-directory = %s\n' % self.top)

    def begin(self, *words, program='postctl', uid=None):
        os.chmod(os.path.join(self.top, 'control'), 0o666)
        return subprocess.Popen(
            [os.path.join(self.top, program), '-C',
             os.path.join(self.top, 'cf'), *words], user=uid, group=uid,
            extra_groups=None if uid is None else [],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *words, **more):
        """Exit code, and what it said."""
        process = self.begin(*words, **more)
        out, err = process.communicate(timeout=30)
        return process.returncode, out + err

    def json(self, *words, **more):
        """Its lines of JSON; each must be valid."""
        code, text = self.run('-j', *words, **more)
        checked = [subprocess.run(
            [sys.executable, '-m', 'json.tool'], input=line, text=True,
            capture_output=True).returncode for line in
            text.splitlines()[:3]]
        if code != 0 or any(checked):
            return [{'code': code, 'text': text}]
        return [json.loads(line) for line in text.splitlines()]

    def ids(self, *words, **more):
        return [m.get('queue_id') for m in self.json('list', *words, **more)]


def test_filters():
    spool = Queue()
    one = spool.send('local-later@x.test', sender='joe@here.test', wait=0)
    two = spool.send('local-later@y.test,defer@x.test',
                     sender='ann@there.test', wait=0)
    three = spool.send('mx@dead.test', sender='<>')
    spool.run('hold', one)
    for words, wanted in (
            ((), [one, two, three]), (('-s', 'JOE@here.test'), [one]),
            (('--from=@there.test',), [two]), (('-s', '<>'), [three]),
            (('-r', 'local-later@y.test'), [two]),
            (('--to', '@x.test'), [one, two]), (('-d', 'X.test'), [one, two]),
            (('-d', '@dead.test'), [three]), (('-d', 'test'), []),
            (('--reason', 'QUOTA'), [one, two]),
            (('--reason', 'refused'), [three]), (('--older', '1h'), []),
            (('held',), [one]), (('deferred',), [two, three]),
            (('held', '-d', 'y.test'), []),
            (('-d', 'x.test', '--reason', 'quota', '--from', '@here.test'),
             [one])):
        ok('list %s' % ' '.join(words), spool.ids(*words) == wanted,
           spool.ids(*words))
    rows = spool.json('list', '-d', 'y.test')[0]['recipients']
    ok('only those recipients are shown', [r['address'] for r in rows] ==
       ['local-later@y.test'] and rows[0]['state'] == 'deferred', rows)
    text = spool.run('list', '-r', '@y.test')[1]
    ok('people read when and why', re.search(
        r'\(over quota\)\n *local-later@y.test\n *next .* \(in \d+ \w+\),'
        r' 1 attempt\n', text), text)
    spool.run('age', '-s', '@here.test', '2h')
    ok('age by a filter, list by age', spool.ids('--older=90m') == [one],
       spool.ids('--older=90m'))
    ok('hold by domain takes its recipients only', spool.run(
        'hold', '-d', 'y.test')[1] == '1 message held\n' and
       spool.ids('held') == [one, two] and
       spool.ids('held', '-d', 'y.test') == [two] and
       spool.ids('deferred', '-r', '@x.test') == [two], spool.ids('held'))
    ok('remove by reason', spool.run('remove', '--reason', 'refused')[1] ==
       '1 message removed\n' and spool.ids() == [one, two])
    ok('release by state', spool.run('release', 'held')[1] ==
       '2 messages released\n', spool.ids('held'))
    for _ in range(20):             # what is in work is not routed anew
        if spool.ids('deferred') != [one, two]:
            spool.do('run', 1)
    ok('reroute by a filter', spool.run('reroute', '-r', '@y.test')[1] ==
       '1 message to be routed anew\n')
    ok('what is wrong is told', spool.run('list', '--older', 'x')[0] == 64 and
       spool.run('hold')[0] == 64 and spool.run('hold', 'x')[0] == 64 and
       spool.run('pause', '-d', 'x')[0] == 64 and
       spool.run('list', '-d')[0] == 64 and
       spool.run('list', '-d', 'x' * 200)[0] == 64 and
       spool.run('-h')[0] == 0)
    spool.end()


def test_show():
    spool = Queue()
    one = spool.send('mx@dead.test,local-later@x', sender='joe@here.test')
    two = spool.send('mx@dead.test')
    told = spool.json('show', one)[0]
    row = told.get('recipients', [{}])[0]
    ok('a message is told of', told.get('id') == one and
       told.get('sender') == '<joe@here.test>' and told.get('size') == 1000
       and told.get('uid') == 1000 and
       told.get('expires') == told.get('arrival') + 5 * 86400 and
       len(told['recipients']) == 2, told)
    ok('a recipient as well', row.get('address') == 'mx@dead.test' and
       row.get('state') == 'deferred' and
       row.get('route') == 'dead.test by relay()' and
       row.get('decided_by') == 'postmaster.cf:7' and
       row.get('next') > time.time() + 200 and
       'closed' in row.get('why') and
       row.get('notice_due') == told['arrival'] + 4 * 3600, row)
    attempt = row.get('history', [{}])[-1]
    ok('and the attempt', attempt.get('attempt') == 1 and
       attempt.get('host') == 'mx.there[192.0.2.1]:25' and
       attempt.get('status') == '4.4.1' and
       attempt.get('reason') == 'connection refused' and
       abs(attempt.get('time') - time.time()) < 60, attempt)
    ok('why it was not tried', 'history' not in
       spool.json('show', two)[0]['recipients'][0])
    events = len(spool.events(two))
    spool.run('retry', two)
    spool.do('run', 1)
    ok('a retry of one opens its closed hop', len(spool.events(two)) ==
       events + 1, spool.events())
    code, text = spool.run('show', one, two)
    ok('people see columns', code == 0 and
       '\n    recipient: 1\n      address: mx@dead.test\n' in text and
       re.search(r'\n         next: \w+, .* \(in \d+ min( \d+ s)?\)\n',
                 text), text)
    spool.run('hold', one)
    row = spool.json('show', one)[0]['recipients'][1]
    ok('what is held says so', row['state'] == 'held' and
       'next' not in row and 'release' in row['why'], row)
    hangs = spool.send('local-hangs@x')
    row = spool.json('show', hangs)[0]['recipients'][0]
    ok('what is in work too', row['state'] == 'active' and
       row['now'] == 'being delivered', row)
    ok('no such message', spool.run('show', '1234567890123')[0] == 66)
    ok('others may not see it', spool.run('show', one, uid=STRANGER)[0] == 66)
    spool.send('relay-hold@x')
    spool.do('close', 1, 5)
    waits = spool.send('relay-hold@x')
    whys = []
    while not whys or row['state'] != 'active':
        row = spool.json('show', waits)[0]['recipients'][0]
        whys.append(row.get('why', ''))
    ok('when its hop has opened it is not said to be closed',
       'closed for' in whys[0] and 'its next hop is closed' not in whys, whys)
    many = spool.send(','.join('defer@%d.test' % i for i in range(200)))
    ok('many recipients are all shown', len(
        spool.json('show', many)[0].get('recipients', [])) == 200,
       spool.run('show', many)[1][-200:])
    spool.end()


def test_bounce():
    spool = Queue()
    one = spool.send('mx@dead.test,local-later@x', sender='local-ok@here')
    two = spool.send('mx@dead.test', sender='local-ok@here')
    hangs = spool.send('local-hangs@x', sender='local-ok@here')
    ok('only operators may send mail back', spool.run(
        'bounce', one, uid=STRANGER)[0] == 77)
    ok('bounce by domain', spool.run('bounce', '-d', 'dead.test')[1] ==
       '2 messages sent back\n')
    spool.do('run', 1)
    ok('sends back what is there', spool.ids() == [one, hangs], spool.ids())
    ok('takes that domain alone', [r['address'] for r in spool.json(
        'list')[0]['recipients']] == ['local-later@x'])
    spool.do('run', 1)
    ok('each sender is told', len(spool.log('bounce')) == 2 and
       len(spool.log('bounced', two)) == 1, spool.read('log'))
    ok('bounce of what a worker has', spool.run('bounce', hangs)[1] ==
       '1 message sent back\n' and spool.ids() == [one, hangs])
    for i in range(2):
        spool.do('hangup')
        spool.do('run', 2)
    ok('ends it when that comes back', len(spool.log('bounced', hangs)) == 1,
       spool.read('log'))
    spool.run('hold', one)
    ok('what is held can be sent back', spool.run('bounce', one)[1] ==
       '1 message sent back\n')
    spool.do('run', 1)
    ok('at once', len(spool.log('bounced', one)) == 2 and spool.ids() == [],
       spool.read('log'))
    spool.do('stop')
    ok('nothing is left', spool.sql(
        'SELECT (SELECT count(*) FROM message), (SELECT count(*) FROM'
        ' recipient), messages, octets, deferred, held FROM spool') ==
       [(0,) * 6], spool.sql('SELECT * FROM spool'))
    spool.end()


def test_runq():
    spool = Queue()
    one = spool.send('mx@dead.test')
    two = spool.send('local-later@x')
    for word in ('dead.test', '@dead.test'):
        before = len(spool.events(one))
        code = spool.run(word, program='runq')[0]
        spool.do('run', 1)
        ok('runq %s opens its hop' % word, code == 0 and
           len(spool.events(one)) == before + 1, spool.events())
    ok('and tries nothing else', len(spool.events(two)) == 1)
    spool.run('local-later@x', program='runq')
    spool.do('run', 1)
    ok('runq of an address', len(spool.events(two)) == 2, spool.events())
    spool.run(two, program='runq')
    spool.do('run', 1)
    ok('runq of an id', len(spool.events(two)) == 3, spool.events())
    ok('who sent nothing runs nothing of a domain', spool.run(
        '-v', 'dead.test', program='runq', uid=STRANGER) ==
       (0, '0 to be tried\n'))
    spool.end()


def test_why():
    spool = Queue()
    spool.send('mx@dead.test')
    spool.send('mx@dead.test,local-later@dead.test')
    told = spool.json('why', 'dead.test')[0]
    lane = told.get('lanes', [{}])[0]
    text = '\n'.join(lane.get('text', []))
    ok('the next hop of a domain', told.get('domain') == 'dead.test' and
       told.get('route') == 'dead.test by relay()' and
       lane.get('lane') == 'dead.test by relay()' and
       lane.get('waiting') == 2 and len(told['lanes']) == 1, told)
    ok('with its state', re.search(r'closed for \d+ s: connection refused',
                                   text), text)
    ok("and relay's words", 'state of relay() for dead.test' in text, text)
    ok('what waits, by reason', told.get('messages') == 2 and
       told.get('recipients') == 3 and
       {r['reason']: r['recipients'] for r in told.get('reasons', [])} ==
       {'connection refused': 2, 'over quota': 1}, told)
    told = spool.json('why', '@mxnothing.test')[0]
    ok('a domain that nothing waits for', told.get('route') ==
       'mxnothing.test by relay()' and told['lanes'][0]['waiting'] == 0 and
       told['messages'] == 0 and 'reasons' not in told, told)
    told = spool.json('why', 'here.test')[0]
    ok('one of this host', 'no other host' in told.get('route', '') and
       'lanes' not in told, told)
    code, text = spool.run('why', 'dead.test')
    ok('people see it', code == 0 and
       '\n         lane: dead.test by relay()\n' in text and
       '\n               closed for ' in text, text)
    ok('not everybody', spool.run('why', 'x', uid=STRANGER)[0] == 77)
    ok('no domain', spool.run('why', 'a@b')[0] == 64)
    spool.end()


def test_explain():
    spool = Queue()
    code, text = spool.run('explain', 'mx@far.test', uid=STRANGER)
    ok('explain ends with hosts', code == 0 and
       text == 'the steps\nits hosts, as they would be tried:\n'
       'hosts of relay() for far.test\nfrom <> to <mx@far.test>\n'
       '550 5.1.1 nobody\n', text)
    ok('or here', spool.run('explain', 'joe@here.test') == (0, 'the steps\n'))
    ok('as JSON', spool.json('explain', '--from', 'a@b', 'relay-ok@x')[0].get(
        'text', [])[-2:] == ['from <a@b> to <relay-ok@x>', '250 well?'])
    code, text = spool.run('explain', 'relay-dies@x')
    ok('relay that dies is no end', code == 0 and
       text.endswith('relay does not answer\n'), text)
    spool.end()


def test_probe():
    spool = Queue()
    code, text = spool.run('probe', '--from', 'me@here', 'relay-ok@x')
    ok('probe shows the dialogue', code == 0 and 'probe of relay(ok)' in text
       and 'from <me@here> to <relay-ok@x>\n250 well?\n' in text, text)
    code, text = spool.run('probe', 'relay-no@x')
    ok('and fails with it', code == 69 and '550 5.1.1' in text, (code, text))
    code, text = spool.run('probe', 'mxa.test')
    ok('a domain up to QUIT', 'probe of relay() for mxa.test\nfrom <> to <>\n'
       in text, text)
    told = spool.json('probe', 'relay-ok@x')[0]
    ok('as JSON', told.get('good') is True, told)
    code, text = spool.run('probe', 'relay-dies@x')
    ok('relay that dies', code == 75 and 'relay does not answer' in text,
       (code, text))
    ok('no other host', spool.run('probe', 'joe@here.test')[0] == 69)
    ok('not everybody', spool.run('probe', 'relay-ok@x', uid=STRANGER)[0] ==
       77)
    first = spool.begin('probe', 'relay-hangs@x')
    time.sleep(0.5)
    code, text = spool.run('probe', 'relay-ok@x')
    ok('one at a time', code == 75 and 'under way' in text, (code, text))
    spool.do('run', 33)
    ok('it may take its time', first.poll() is None)
    first.kill()
    first.communicate()
    spool.do('run', 1)
    ok('who goes away is forgotten', spool.run('probe', 'relay-ok@x')[0] == 0)
    waits = spool.begin('probe', 'relay-hangs@x')
    time.sleep(0.5)
    spool.do('kill')
    out, err = waits.communicate(timeout=10)
    ok('spoold that dies is told', waits.returncode == 69, (out, err))
    spool.do('start')
    spool.end()


def test_stats():
    spool = Queue()
    spool.send('local-later@a.test', wait=0)
    spool.send('local-later@A.test,defer@b.test')
    old = spool.send('mx@dead.test')
    spool.run('age', old, '45m')
    spool.run('hold', old)
    lines = spool.json('stats')
    ok('totals first', lines[0].get('messages') == 3 and
       lines[1].get('domain', 0) is None and lines[1]['total'] == 4, lines)
    ok('then domains', [(d['domain'], d['total']) for d in lines[2:]] ==
       [('a.test', 2), ('b.test', 1), ('dead.test', 1)], lines)
    ok('by age', lines[1]['minutes'] == dict(
        {age: 0 for age in AGES}, **{'5': 3, '80': 1}) and
       lines[4]['minutes']['80'] == 1, lines)
    ok('so many', len(spool.json('stats', '-n', '1')) == 3 and
       len(spool.json('stats', '-n', 'all')) == 5)
    code, text = spool.run('stats', '-n', '1')
    ok('people see a table', re.search(
        r'minutes up to +all +5 +10 .* 1280\+\n +TOTAL +4 +3 .*\n'
        r' +a\.test +2 +2 .*\n +and 2 more\n', text), text)
    lines = spool.json('stats', uid=STRANGER)
    ok('others count their own', lines[1].get('total') == 0, lines)
    lines = spool.json('stats', uid=1000)
    ok('who sent it counts it', lines[1].get('total') == 4, lines)
    ok('no number', spool.run('stats', '-n', 'x')[0] == 64)
    spool.end()


def test_pages():
    spool = Queue()
    sent = 0
    for i in range(700):
        sent += spool.send('local-later@d%d.test,defer@e%d.test' %
                           (i % 650, i), wait=0) is not None
    spool.do('run', 2)
    ok('pages of a list are whole', sent == 700 and
       len(set(spool.ids())) == 700, (sent, len(spool.ids())))
    lines = spool.json('stats', '-n', 'all')
    ok('pages of a table are added up', lines[1].get('total') == 1400 and
       len(lines) == 2 + 650 + 700 and
       sum(d['total'] for d in lines[2:]) == 1400,
       (lines[1], len(lines)))
    told = spool.json('why', 'd3.test')[0]
    ok('why finds what is pages away', told.get('recipients') == 2, told)
    asked = Control(spool)
    answer = asked.ask('CTL_STATS_REQ', struct.pack('=Q', 0))
    verdict, following, count = struct.unpack_from('=QQQ', answer)
    ok('no page is larger than its bounds', verdict == 1 and following > 0
       and count <= 801 and len(answer) == 24 + count * 296,
       (verdict, following, count, len(answer)))
    spool.end()


def test_stuck():
    spool = Queue('retry-min=1s')
    behind = "its user's process hangs and cannot be killed"
    sent = []

    def status():
        return spool.run('status')[1]

    def refused():
        return len([e for e in spool.events() if e.startswith('stuck')])

    def reasons():
        """Of those that wait for an hour."""
        rows = [spool.json('show', id)[0]['recipients'][0] for id in sent]
        return [r.get('reason') if r['state'] == 'deferred' and
                3500 < r['next'] - time.time() < 3620 and
                r['why'] == "its user's process hangs" else r for r in rows]

    for i in range(2):
        sent.append(spool.send('local-hangs@x'))
    ok('two are with a worker that hangs', spool.do('stuck')[0] == 'ok' and
       'workers=1' in status().split(), status())
    spool.do('run', 1)
    ok('both are put off for an hour when nothing ends it, as what it may'
       ' have done', reasons() == ['its process hangs and cannot be killed;'
                                   ' it may have delivered this'] * 2,
       reasons())
    ok('its place is free', 'workers=0' in status().split(),
       status())
    sent.append(spool.send('local-hangs@x'))
    ok('what comes then is put off as long, by what deliver says',
       reasons()[2] == behind and refused() == 1, (reasons(), refused()))
    spool.run('retry', 'all')
    spool.do('run', 1)
    ok('so is what the operator tries', reasons() == [behind] * 3 and
       refused() == 2, (reasons(), refused()))
    ok('others get theirs', len(spool.events(spool.send('local-ok@x'))) == 1)
    spool.do('kill')
    spool.do('start')
    spool.run('retry', 'all')
    spool.do('run', 1)
    ok('a new spoold hears the same', reasons() == [behind] * 3 and
       refused() == 3, (reasons(), refused()))
    spool.do('ended')
    ok('when it has ended the next is delivered', len([
        e for e in spool.events(spool.send('local-hangs@x'))
        if e.startswith('delivered')]) == 1)
    for id in sent:
        spool.run('retry', id)
    spool.do('run', 1)
    ok('and so are those that wait', spool.ids() == [] and [
        len([e for e in spool.events(id) if e.startswith('delivered')])
        for id in sent] == [1] * 3, spool.events())
    spool.end()


def test_strangers():
    """The messages that are sent here are of uid 1000."""
    spool = Queue()
    one = spool.send('local-later@x')
    ok('nobody removes another\'s message', spool.run(
        'remove', one, uid=STRANGER)[0] == 66 and spool.ids() == [one],
       spool.ids())
    for words in ('age', one, '1h'), ('bounce', one), ('pause',), (
            'check',), ('backup', 'b'):
        code, text = spool.run(*words, uid=1000)
        ok('who sent it may not: ' + words[0], code == 77 and
           'only root' in text, (code, text))
    ok('nothing of that was done', spool.ids() == [one] and
       not spool.log('bounced', one) and not spool.log('aged', one) and
       'paused=no' in spool.run('status')[1], spool.read('log'))
    ok('but remove it', spool.run('remove', one, uid=1000)[0] == 0 and
       spool.ids() == [], spool.ids())
    spool.end()


def test_crowd():
    spool = Queue()
    path = os.path.join(spool.top, 'control')
    os.chmod(path, 0o666)

    def knock(uid, count):
        clients = [socket.socket(socket.AF_UNIX) for _ in range(count)]
        os.seteuid(uid)
        try:
            for client in clients:
                client.connect(path)
        finally:
            os.seteuid(0)
        spool.do('run', 1)
        return clients

    def is_open(client):
        try:
            return client.recv(1, socket.MSG_DONTWAIT) != b''
        except BlockingIOError:
            return True

    clients = knock(STRANGER, 9)
    ok('a user may ask in eight places at a time',
       list(map(is_open, clients)) == [True] * 8 + [False])
    for uid in range(STRANGER + 1, STRANGER + 8):
        clients += knock(uid, 8)
    ok('all together in 62', sum(map(is_open, clients)) == 62,
       sum(map(is_open, clients)))
    clients = knock(0, 3)
    ok('two more are for root', list(map(is_open, clients)) ==
       [True, True, False])
    spool.end()


def test_manners():
    spool = Queue()
    control = Control(spool)
    asked = b''.join(struct.pack('=IIIIQ', control.names.index(
        'CTL_STATUS_REQ'), 8, question, 0, 0) for question in (1, 2))
    control.socket.sendall(asked)
    control.socket.settimeout(5)
    spool.do('run', 1)
    try:
        while control.socket.recv(4096):
            pass
        closed = True
    except socket.timeout:
        closed = False
    ok('who asks again before the answer is read is thrown out', closed)
    ok('and nobody else', 'paused=no' in spool.run('status')[1])
    spool.end()


if os.geteuid() != 0:           # some of them ask as somebody else
    print('1..0 # SKIP needs root')
    sys.exit()
run_tests(globals())
