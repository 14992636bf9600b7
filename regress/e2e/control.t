#!/bin/bash
# The control socket under clients that mean no good: random frames, too many
# connections, questions whose answers nobody reads.
# timeout: 240
. "$(dirname "$0")/suite.sh"
need_root
need python3 swaks
suite_conf <<END
  local-mailer = maildir
  retry-min = 1h
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
[route]
  @dead.test  relay(127.0.0.1:9)
END
suite_start
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
	send_to x$i@dead.test "number $i" --body "$(head -c 20000 /dev/zero |
	    tr '\0' x)"
done
spoold=$(suite_pids spoold)

resident() {
	awk '/^VmRSS/ { print $2 }' "/proc/$(suite_pids spoold)/status"
}

cat >"$SCRATCH/client.py" <<'END'
import os, random, re, socket, struct, sys, time
TOP, PATH = sys.argv[1:3]
NAMES = re.findall(r'^\tIMSG_(\w+)',
                   open(os.path.join(TOP, 'common', 'wire.h')).read(), re.M)
LIST = NAMES.index('CTL_LIST_REQ')
PAYLOAD = struct.pack('=Q528s', 0, b'')

def connect():
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(10)
    client.connect(PATH)
    return client

def question(id):
    return struct.pack('=IIII', LIST, len(PAYLOAD), id, 0) + PAYLOAD

def read_answer(client):
    header = client.recv(16, socket.MSG_WAITALL)
    if len(header) < 16:
        return None
    length = struct.unpack('=IIII', header)[1]
    return client.recv(length, socket.MSG_WAITALL)

def is_open(client):
    """Does it answer a question?"""
    try:
        client.sendall(question(1))
        return read_answer(client) is not None
    except OSError:
        return False

def become(uid):
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)

def fuzz(rounds, seed):
    """Frames that are almost right, and frames that are not."""
    random.seed(seed)
    become(60001)
    ended = 0
    for _ in range(rounds):
        client = connect()
        try:
            for _ in range(random.randrange(1, 6)):
                kind = random.choice((random.randrange(len(NAMES) + 3),
                                      random.randrange(LIST, len(NAMES)),
                                      random.getrandbits(32)))
                length = random.choice((0, 8, 16, 328, 536, 552, 648,
                                        random.randrange(2048),
                                        random.getrandbits(32)))
                payload = random.randbytes(min(length, 2048)) \
                    if random.random() < 0.5 else bytes(min(length, 2048))
                client.sendall(struct.pack(
                    '=IIII', kind, length, random.randrange(3),
                    random.choice((0, 0, 1, random.getrandbits(32)))) +
                    payload)
        except OSError:
            ended += 1
        client.close()
    print('done')

def descriptor():
    """One that no row allows."""
    client = connect()
    try:
        socket.send_fds(client, [question(1)[:8]], [0])
        client.sendall(question(1)[8:])
        print('answered' if read_answer(client) else 'closed')
    except OSError:
        print('closed')

def greedy():
    """Many questions, no answer read."""
    client = connect()
    try:
        for id in range(1, 200000):
            client.sendall(question(id))
        print('taken')
    except OSError:
        print('closed')

def crowd():
    """How many connections has a uid, how many have all, has root one?"""
    counts = []
    kept = []
    for uid in range(60001, 60012):
        ready, told = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            become(uid)
            mine = []
            for _ in range(10):
                try:
                    client = connect()
                    if is_open(client):
                        mine.append(client)
                except OSError:
                    pass
            os.write(told[1], struct.pack('i', len(mine)))
            os.close(ready[1])
            os.read(ready[0], 1)
            os._exit(0)
        os.close(ready[0])
        kept.append(ready[1])
        counts.append(struct.unpack('i', os.read(told[0], 4))[0])
    print(max(counts), sum(counts), 'root' if is_open(connect()) else 'none')

def silent(seconds):
    """Asks nothing, then half a question."""
    client = connect()
    begun = time.monotonic()
    client.settimeout(seconds)
    client.send(question(1)[:20])
    try:
        client.recv(1)
        print(int(time.monotonic() - begun))
    except socket.timeout:
        print('open')

what = sys.argv[3]
{'fuzz': lambda: fuzz(int(sys.argv[4]), int(sys.argv[5])), 'crowd': crowd,
 'descriptor': descriptor, 'greedy': greedy,
 'silent': lambda: silent(45)}[what]()
END
client() {
	python3 "$SCRATCH/client.py" "$TOP" "$SCRATCH/run/control" "$@"
}

is "a uid has 8 connections, all but root 62, root one more" \
    "$(client crowd)" "8 62 root"
ok "they are free again" wait_for 5 suite_ready

client silent >"$SCRATCH/silent" 2>&1 &
silent=$!
for seed in 1 2 3; do
	is "random frames, seed $seed" "$(client fuzz 400 $seed)" done
done
is "spoold lives" "$(suite_pids spoold)" "$spoold"
ok "and answers" suite_ready
is "the queue is as it was" "$(queue_count)" 12
is "a descriptor ends the connection" "$(client descriptor)" closed
before=$(resident)
is "who asks and does not read is closed" "$(client greedy)" closed
ok "without memory of it" test $(($(resident) - before)) -lt 8192
wait $silent
like "who says nothing whole is closed after half a minute" \
    "$(cat "$SCRATCH/silent")" '^(29|30|31|32)$'
is "spoold has lived through all of it" "$(suite_pids spoold)" "$spoold"
done_testing
