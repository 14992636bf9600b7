#!/usr/bin/python3
"""Judge the order of calls in an strace of the suite.

order.py TRACE [deaf]     deaf: as if no sync had ever returned

A message is known by its queue id, which stands in its Received: line, in
the 250 and in the name of its file.  Prints a line `wrong ...` for each 250
and each delivery that came too early, and how many of them were seen.
"""
import re
import sys

LINE = re.compile(r'^(\d+) +(?:<\.\.\. )?(\w+)(.*)$')
ID = re.compile(r'[0-9a-v]{13}')
TAKEN = re.compile(r'"250 2\.0\.0 [^"]*?\b([0-9a-v]{13})\b')
DELIVERED = re.compile(r' delivered id=([0-9a-v]{13}) ')
WAL = 'spool.db-wal>'


class Order:
    def __init__(self, deaf):
        self.deaf = deaf
        self.open = {}          # pid: the call that has not returned
        self.began = {}         # pid: what a sync covers, when it began
        # How far each id has come, and the ids that wait for each sync.
        self.log = set()        # its octets are in the log, not synced
        self.durable = set()
        self.files = {}         # large: id -> what of it is synced
        self.folders = {}       # large: id -> where its name was made
        self.boxes = {}         # id -> 'synced' 'linked' 'done'
        self.linked = {}        # pid of a worker: ids it has not told of
        self.count = {'small': 0, 'large': 0, 'delivered': 0}

    def wrong(self, text):
        print('wrong:', text)

    def line(self, text):
        match = LINE.match(text)
        if not match:
            return
        pid, call, rest = match.groups()
        if text.split(None, 1)[1].startswith('<... '):
            self.leave(pid, call, self.open.pop(pid, ''), rest)
            return
        self.enter(pid, call, rest)
        if rest.endswith('<unfinished ...>'):
            self.open[pid] = rest
        else:
            self.leave(pid, call, rest, rest)

    def enter(self, pid, call, text):
        if call == 'pwrite64' and WAL in text[:200]:
            self.log.update(ID.findall(text))
        elif call == 'pwrite64' and '/body/' in text[:200]:
            id = re.search(r'/body/../(\w+)>', text)[1]
            self.files.setdefault(id, set()).discard('file')
        elif call in ('fsync', 'fdatasync'):
            self.began[pid] = self.covers(text)
        elif call in ('write', 'sendmsg', 'sendto', 'writev'):
            for id in TAKEN.findall(text):
                self.taken(id)
            self.told(pid, text)

    def covers(self, text):
        """What is durable when this sync returns."""
        if WAL in text:
            large = {id for id, synced in self.files.items()
                     if synced == {'file', 'name'}}
            return 'log', self.log | large
        match = re.search(r'/body/../(\w+)>', text)
        if match:
            return 'file', {match[1]}
        match = re.search(r'/body/(..)>', text)
        if match:
            return 'name', {id for id, folder in self.folders.items()
                            if folder == match[1]}
        match = re.search(r'/tmp/[^>]*?\.([0-9a-v]{13})\.', text)
        if match:
            return 'mail', {match[1]}
        if re.search(r'/new>', text):
            return 'box', {id for id, state in self.boxes.items()
                           if state == 'linked'}
        return 'other', set()

    def leave(self, pid, call, text, result):
        result = result.removesuffix(' (DELAYED)')
        if call in ('open', 'openat') and 'O_CREAT' in text:
            made = re.search(r'"body/(..)/(\w+)"', text)
            if made:
                self.folders[made[2]] = made[1]
        if call in ('link', 'linkat') and result.endswith('= 0'):
            id = re.search(r'/?new/[^"]*?\.([0-9a-v]{13})\.', text)
            if id and (self.deaf or self.boxes.get(id[1]) == 'synced'):
                self.boxes[id[1]] = 'linked'
                self.linked.setdefault(pid, set()).add(id[1])
        if call not in ('fsync', 'fdatasync') or self.deaf or \
                not result.endswith('= 0'):
            return
        kind, ids = self.began.pop(pid, ('other', set()))
        if kind == 'log':
            self.durable |= ids
            self.log -= ids
        if kind in ('file', 'name'):
            for id in ids:
                self.files.setdefault(id, set()).add(kind)
        state = {'mail': 'synced', 'box': 'done'}.get(kind)
        if state:
            for id in ids:
                self.boxes[id] = state

    def taken(self, id):
        self.count['large' if id in self.files else 'small'] += 1
        if id not in self.durable:
            self.wrong('250 for %s too early' % id)

    def told(self, pid, text):
        """spoold logs a delivery; before that the worker told of it."""
        for id in DELIVERED.findall(text):
            # A sanitized suite's lines are on stderr as well.
            self.count['delivered'] += not text.startswith('(2<')
            if self.boxes.get(id) != 'done':
                self.wrong('delivery of %s logged too early' % id)
        for id in self.linked.get(pid, set()):
            if self.boxes[id] != 'done':
                self.wrong('delivery of %s told too early' % id)
        self.linked.pop(pid, None)


def main(path, deaf=''):
    order = Order(deaf != '')
    with open(path, errors='replace') as trace:
        for text in trace:
            order.line(text.rstrip('\n'))
    print('seen ' + ', '.join('%d %s' % (n, what)
                              for what, n in order.count.items()))


main(*sys.argv[1:])
