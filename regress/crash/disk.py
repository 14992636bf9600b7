"""What a file system may hold after a cut of power.

A recording is strace's output of one process and its children (all octets in
hexadecimal).  From it the calls that change files are read, and what left by
sockets.  A sync that others' calls came in between covers what had been done
when it began, and that from when it has returned.  The Disk takes them one
after another; state() is one of the states it may be found in if the power
goes now:

- what was written to a file since its last sync is there or not, by pages of
  4 KiB or torn at sectors of 512 octets, each with any of its versions;
- of the names made and removed in a folder since that was synced, the first
  so many hold; no sync of a file makes its name durable.

This is weaker than what ext4, xfs and btrfs promise.
"""
import os
import re

CALLS = ('open,openat,pwrite64,pwritev,write,writev,sendmsg,sendto,fsync,'
         'fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,'
         'ftruncate,fallocate,mkdir,mkdirat,rmdir')
PAGE, SECTOR = 4096, 512
LINE = re.compile(r'^\d+ +(\w+)\((.*)\)\s+= (-?\d+)(?:<([^>]*)>)?')
CUT = re.compile(r'^(\d+) +(\w+\(.*) <unfinished \.\.\.>$')
REST = re.compile(r'^(\d+) +<\.\.\. \w+ resumed>(.*)$')
DESCRIPTOR = re.compile(r'^\d+<([^>]*)>(?:, )?')
STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


def octets(text):
    return bytes.fromhex(text.replace('\\x', ''))


def recorder(directory, program):
    """A program that runs another under strace; its output, in order of
    time, are the files of that directory.  While there is a file `slow',
    syncs take long."""
    path = os.path.join(directory, 'recorder')
    with open(path, 'w') as file:
        file.write('#!/bin/sh\n'
                   '[ ! -e "%s/slow" ] ||'
                   ' slow="-e inject=fdatasync:delay_enter=5000"\n'
                   'exec strace -D -f --seccomp-bpf -y -xx -s 99999999 $slow'
                   ' -o "%s/trace.$(date +%%s%%N)" -e signal=none'
                   ' -e trace=%s %s "$@"\n' % (directory, directory, CALLS, program))
    os.chmod(path, 0o755)
    return path


class Recording:
    """Events in their order: (what, path or paths, value ...), of a
    directory; a path is what follows the directory's name."""

    def __init__(self, lines, directory):
        self.top = directory
        self.events = []
        self.unknown = set()
        self.begun = {}             # pid: a call that has not returned
        for line in lines:
            if match := CUT.match(line):
                self.begun[match[1]] = match[2]
                self.take_begin(match[1], match[2])
                continue
            if match := REST.match(line):
                line = '%s %s' % (match[1], self.begun.pop(match[1], '') +
                                  match[2])
                self.pid = match[1]
            else:
                self.pid = None
            match = LINE.match(line)
            if match and not match[3].startswith('-'):
                self.take(match[1], match[2], int(match[3]),
                          octets(match[4] or ''))

    def inside(self, path):
        """Below the directory: the rest of the name; else None."""
        path = os.fsdecode(path)
        if not path.startswith('/'):
            return os.path.normpath(path)
        if path == self.top:
            return '.'
        if path.startswith(self.top + '/'):
            return os.path.normpath(path[len(self.top) + 1:])
        return None

    def take(self, call, arguments, result, opened):
        if call in ('open', 'openat'):
            self.take_open(arguments, opened)
        elif call in ('sendmsg', 'sendto', 'write', 'writev', 'pwrite64',
                      'pwritev'):
            self.take_write(call, arguments, result)
        elif call in ('fsync', 'fdatasync', 'ftruncate', 'fallocate'):
            self.take_descriptor(call, arguments)
        else:
            self.take_names(call, arguments)

    def take_begin(self, pid, text):
        """A sync begins, and returns later."""
        call, _, arguments = text.partition('(')
        if call in ('fsync', 'fdatasync'):
            path = self.inside(octets(DESCRIPTOR.match(arguments)[1]))
            if path is not None:
                self.events.append(('begin', path, pid))

    def take_open(self, arguments, opened):
        path = self.inside(opened)
        if path is not None and 'O_CREAT' in arguments:
            self.events.append(('create', path))
        if path is not None and 'O_TRUNC' in arguments:
            self.events.append(('size', path, 0))

    def take_write(self, call, arguments, result):
        where = DESCRIPTOR.match(arguments)
        name = octets(where[1]) if where else b''
        data = b''.join(octets(s) for s in STRING.findall(
            arguments[where.end() if where else 0:]))[:result]
        if name.startswith((b'socket:', b'UNIX')):
            self.events.append(('sent', name, data))
            return
        path = self.inside(name) if name.startswith(b'/') else None
        if path is None:
            return
        if call == 'pwrite64':
            offset = int(arguments.rsplit(', ', 1)[1])
            self.events.append(('write', path, offset, data))
        elif call == 'write':
            self.events.append(('append', path, data))
        else:
            self.unknown.add(call)

    def take_descriptor(self, call, arguments):
        where = DESCRIPTOR.match(arguments)
        path = self.inside(octets(where[1]))
        if path is None:
            return
        rest = arguments[where.end():].split(', ')
        if call == 'ftruncate':
            self.events.append(('size', path, int(rest[0])))
        elif call == 'fallocate':
            if rest[0] != '0':
                self.unknown.add(call)
            self.events.append(('extend', path, int(rest[1]) + int(rest[2])))
        else:
            self.events.append(('sync', path, self.pid))

    def take_names(self, call, arguments):
        # The folder that a descriptor names stands before the string.
        folders = re.findall(r'(?:AT_FDCWD|\d+)<([^>]*)>', arguments)
        names = [octets(s) for s in STRING.findall(arguments)]
        paths = []
        for i, name in enumerate(names):
            if not name.startswith(b'/') and i < len(folders):
                name = octets(folders[i]) + b'/' + name
            paths.append(self.inside(name))
        if None in paths:
            return
        what = call.replace('at2', '').replace('at', '')
        if what == 'rmdir' or what == 'link':
            self.unknown.add(call)
        self.events.append((what, *paths))


class File:
    def __init__(self):
        self.data = bytearray()     # as far as it was written, durable
        self.size = 0
        self.written = 0            # size as the process sees it
        self.pending = []           # ('write', offset, data) ('size', size)
        self.ever = 0               # changes that are pending no more
        self.begun = {}             # what syncs cover that have not returned

    def write(self, offset, data):
        self.pending.append(('write', offset, data))
        self.written = max(self.written, offset + len(data))

    def resize(self, size, only_up=False):
        if only_up and size <= self.written:
            return
        self.pending.append(('size', size))
        self.written = size

    def begin(self, pid):
        self.begun[pid] = self.ever + len(self.pending)

    def sync(self, pid=None):
        covered = self.begun.pop(pid, self.ever + len(self.pending))
        while self.ever < covered:
            self.size = put(self.data, self.size, self.pending.pop(0))
            self.ever += 1

    def state(self, choose, unit):
        """(data, size), of each unit the version that choose(count) says:
        so many of the changes since the sync are there."""
        data, size = bytearray(self.data), self.size
        if not self.pending:
            return data, size
        versions = {}
        length = choose(len(self.pending))
        for n, change in enumerate(self.pending):
            if change[0] == 'size':
                if n < length:
                    size = put(data, size, change)
                continue
            offset, octets_ = change[1:]
            at = 0
            while at < len(octets_):
                one = (offset + at) // unit
                end = min(len(octets_), (one + 1) * unit - offset)
                if one not in versions:
                    versions[one] = choose(len(self.pending))
                if n < versions[one]:
                    size = put(data, size, ('write', offset + at,
                                            octets_[at:end]))
                at = end
        return data, size


def put(data, size, change):
    """Apply one change; returns the new size."""
    if change[0] == 'size':
        del data[change[1]:]
        return change[1]
    offset, new = change[1:]
    if len(data) < offset:
        data.extend(bytes(offset - len(data)))
    data[offset:offset + len(new)] = new
    return max(size, offset + len(new))


def rename(names, changes):
    """Apply changes that are made together."""
    for name, what in changes:
        if what is None:
            names.pop(name, None)
        else:
            names[name] = what


class Folder:
    def __init__(self):
        self.names = {}             # durable
        self.now = {}               # as the process sees it
        self.pending = []           # (name, what it is now, or None)
        self.ever = 0
        self.begun = {}

    def set(self, *changes):
        """Changes of names that are made together."""
        for name, what in changes:
            if what is None:
                self.now.pop(name, None)
            else:
                self.now[name] = what
        self.pending.append(changes)

    def begin(self, pid):
        self.begun[pid] = self.ever + len(self.pending)

    def sync(self, pid=None):
        covered = self.begun.pop(pid, self.ever + len(self.pending))
        while self.ever < covered:
            rename(self.names, self.pending.pop(0))
            self.ever += 1

    def state(self, choose):
        names = dict(self.names)
        for changes in self.pending[:choose(len(self.pending))]:
            rename(names, changes)
        return names


class Disk:
    """deaf(path) says of which files and folders a sync does nothing."""

    def __init__(self, deaf=lambda path: False):
        self.top = Folder()
        self.deaf = deaf

    def find(self, path):
        at = self.top
        if path != '.':
            for name in path.split('/'):
                at = at.now[name]
        return at

    def parent(self, path):
        head, _, name = path.rpartition('/')
        return self.find(head or '.'), name

    def take(self, event):
        what, path = event[:2]
        if what == 'sent':
            return
        if what == 'begin':
            self.find(path).begin(event[2])
        elif what == 'sync':
            if not self.deaf(path):
                self.find(path).sync(event[2])
        elif what == 'write':
            self.find(path).write(*event[2:])
        elif what == 'append':
            file = self.find(path)
            file.write(file.written, event[2])
        elif what in ('size', 'extend'):
            self.find(path).resize(event[2], what == 'extend')
        else:
            self.take_name(what, path, *event[2:])

    def take_name(self, what, path, to=None):
        folder, name = self.parent(path)
        if what == 'create' and name not in folder.now:
            folder.set((name, File()))
        elif what == 'mkdir':
            folder.set((name, Folder()))
        elif what == 'unlink':
            folder.set((name, None))
        elif what == 'rename':
            other, new = self.parent(to)
            if other is not folder:
                raise ValueError('%s moves to another folder' % path)
            folder.set((name, None), (new, folder.now[name]))

    def state(self, path, choose, unit=PAGE):
        """Make one of the states, in a new directory."""
        self.write_out(self.top, path, choose, unit)

    def write_out(self, folder, path, choose, unit):
        os.mkdir(path, 0o700)
        for name, what in folder.state(choose).items():
            there = os.path.join(path, name)
            if isinstance(what, Folder):
                self.write_out(what, there, choose, unit)
                continue
            data, size = what.state(choose, unit)
            with open(os.open(there, os.O_WRONLY | os.O_CREAT, 0o600),
                      'wb') as file:
                file.write(data)
                file.truncate(size)


def choices(random):
    """Ways to lose what was not synced: a name, choose() and the unit."""
    keep = random.random()
    return {
        'all lost': (lambda n: 0, PAGE),
        'all kept': (lambda n: n, PAGE),
        'each or none': (lambda n: random.choice((0, n)), PAGE),
        'any version': (lambda n: random.randint(0, n), PAGE),
        'few lost': (lambda n: n if random.random() < keep else 0, PAGE),
        'torn': (lambda n: random.randint(0, n), SECTOR),
        'torn, few lost': (lambda n: n if random.random() < keep else 0,
                           SECTOR),
    }
