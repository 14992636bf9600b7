#!/usr/bin/python3
"""What became of the messages that load.py sent.

judge.py SENT BOX BOUNCES SINK MBOX PROGRAM LEFT

BOX is the Maildir of here.test, BOUNCES that of the sender, SINK holds the
files of smtp-sink, MBOX is the file of mbox.test, PROGRAM holds the files of
pipe.test, LEFT names the messages that are in the queue.  Counts what is lost
and what came twice, by the windows in which that may happen: (a) the client
was not answered 250 and sent again, (b) the next hop or the program had taken
it and that was not on disk, (c) the same for an mbox.  All else that comes
twice is a defect.
"""
import collections
import glob
import os
import re
import sys


def read(path):
    with open(path, errors='replace') as file:
        return file.read()


def files(*parts):
    return [name for name in glob.glob(os.path.join(*parts))
            if os.path.isfile(name)]


def find(pattern, text):
    match = re.search(pattern, text, re.M)
    return match[1] if match else None


sent, box, bounces, sink, mbox, program, left = sys.argv[1:]
taken, unsure = {}, set()
for line in read(sent).splitlines():
    words = line.split()
    if words[0] == 'taken':
        taken[words[2]] = (words[1], words[3])
    elif words[0] == 'unsure':
        unsure.add(words[1])

# Where each came: (id, tag) of each arrival.
RECEIVED = r'by mx\.test \(Postmaster\) with E?SMTP id ([0-9a-v]{13})'
TAG = r'^X-Tag: (\S+)'
WINDOWS = {'sink.test': 'b', 'pipe.test': 'b', 'mbox.test': 'c'}
arrived = {where: [] for where in ('here.test', 'refused.test', *WINDOWS)}
named = collections.Counter()
for name in files(box, '[nc]*', '*'):
    arrived['here.test'].append((os.path.basename(name).split('.')[1],
                                 find(TAG, read(name))))
for where, folder in ('sink.test', sink), ('pipe.test', program):
    for name in files(folder, '*'):
        text = read(name)
        # A program whose worker was killed sees the message cut off.
        if find(TAG, text) or where != 'pipe.test':
            arrived[where].append((find(RECEIVED, text), find(TAG, text)))
for text in re.split('^From ', read(mbox) if os.path.exists(mbox) else '',
                     flags=re.M):
    if find(TAG, text):         # else cut off, or what precedes the first
        arrived['mbox.test'].append((find(RECEIVED, text), find(TAG, text)))
for name in files(bounces, '[nc]*', '*'):
    text = read(name)
    named[os.path.basename(name).split('.')[1]] += 1
    arrived['refused.test'].append(
        (find(r'^X-Postmaster-Queue-ID: (\S+)', text),
         find(TAG, text)))

there = {where: set(all_) for where, all_ in arrived.items()}
waiting = set(re.findall(r'\b[0-9a-v]{13}\b', read(left)))
missing = [(id, *what) for id, what in taken.items()
           if (id, what[0]) not in there[what[1].split('@')[1]]]
lost = [what for what in missing if what[0] not in waiting]
twice = collections.Counter()
defects = []
for where, all_ in arrived.items():
    for id, n in collections.Counter(id for id, tag in all_).items():
        if n > 1 and where in WINDOWS:
            twice[WINDOWS[where]] += n - 1
        elif n > 1:
            defects.append('%s came %d times to %s' % (id, n, where))
    ids = collections.defaultdict(set)
    for id, tag in all_:
        ids[tag].add(id)
    for tag, several in ids.items():
        if len(several) > 1 and tag in unsure:
            twice['a'] += len(several) - 1
        elif len(several) > 1:
            defects.append('%s came as %s' % (tag, sorted(several)))
    if None in ids:
        defects.append('%s: something without a tag' % where)
for id, n in named.items():
    if n > 1:
        defects.append('the bounce %s came %d times' % (id, n))

count = collections.Counter(to.split('@')[1] for tag, to in taken.values())
print('taken %d: %d local, %d relayed, %d refused, %d mbox, %d piped; '
      '%d ends unsure' % (
          len(taken), count['here.test'], count['sink.test'],
          count['refused.test'], count['mbox.test'], count['pipe.test'],
          len(unsure)))
print('lost %d' % len(lost))
if len(missing) > len(lost):
    print('still in the queue %d' % (len(missing) - len(lost)))
print('twice %d by the client (a), %d by the next hop or a program (b), '
      '%d in an mbox (c)' % (twice['a'], twice['b'], twice['c']))
for one in lost[:10]:
    print('defect: lost', *one)
for one in defects[:10]:
    print('defect:', one)
