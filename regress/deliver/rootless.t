#!/usr/bin/python3
"""deliver started without root serves the invoking user, and nobody else."""
import os
import pwd
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from tap import *  # noqa: E402,F403

scratch = tempfile.mkdtemp(prefix='postmaster-rootless-')
users = Users()
prefix = ()
try:
    if os.getuid() == 0:
        home = users.add('pmtu_joe')
        name = 'pmtu_joe'
        prefix = ('setpriv', '--reuid', name, '--regid', name,
                  '--clear-groups', '--inh-caps', '+setuid',
                  '--ambient-caps', '+setuid')
        program = scratch + '/deliver'
        shutil.copytree(os.path.join(BUILD, 'deliver'), program,
                        ignore=shutil.ignore_patterns('*.[od]'))
    else:
        record = pwd.getpwuid(os.getuid())
        home, name = record.pw_dir, record.pw_name
        program = os.path.join(BUILD, 'deliver')
    os.chmod(scratch, 0o755)
    mailbox = scratch + '/box'
    os.mkdir(mailbox)
    os.chmod(mailbox, 0o777)
    conf = scratch + '/conf'
    with open(conf, 'w') as file:
        file.write('[core]\n program-user = %s\n local-mailer = maildir\n'
                   % name)
    message = scratch + '/message'
    with open(message, 'w', newline='') as file:
        file.write('A: b\r\n\r\nx\r\n')
    standin = standin_program(scratch)
    deliver = Deliver(standin, conf, prefix=prefix,
                      program=program + '/deliver')
    worker = deliver.worker(name, MAILBOX)
    answer = deliver.job(worker, method=TEXT, address='me@x', body=message,
                         text='maildir(%s/M)' % mailbox)
    ok('the invoking user gets mail', answer.verdict == DONE and
       len(os.listdir(mailbox + '/M/new')) == 1, answer)
    for pid in open('/proc/%d/task/%d/children' % (deliver.pid,
                                                   deliver.pid)).read().split():
        with open('/proc/%s/status' % pid) as file:
            state = dict(line.split(':\t', 1)
                         for line in file.read().splitlines())
        equal('the nursery and its worker have no capability of ours',
              (state['Seccomp'], state['CapPrm'], state['CapAmb']),
              ('2', '0' * 16, '0' * 16))
    worker = deliver.worker(name, PROGRAM)
    answer = deliver.job(worker, method=TEXT, address='me@x', body=message,
                         text='|cat >%s/out' % mailbox)
    ok('and may run programs', answer.verdict == DONE and
       os.path.exists(mailbox + '/out'), answer)
    for other in ('root', 'daemon'):
        worker = deliver.worker(other, MAILBOX)
        answer = deliver.job(worker, method=LOCAL, address='x@x',
                             body=message)
        equal('nobody else: ' + other, answer.verdict, DEFERRED)
    deliver.end()
finally:
    users.remove()
    shutil.rmtree(scratch)
end()
