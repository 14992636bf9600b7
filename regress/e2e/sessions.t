#!/bin/sh
# max-sessions is divided among the workers, but no client is turned away by
# one of them while another has room.
. "$(dirname "$0")/suite.sh"
need python3

suite_conf <<EOF
  smtpd-workers   = 2
[smtpd "mx"]
  listen-port     = 127.0.0.1:$PORT
  max-sessions    = 8
[route]
  @here.test      local()
EOF
suite_start
cat >"$SCRATCH/clients" <<'END'
import socket, sys, time

def connect():
    return socket.create_connection(("127.0.0.1", int(sys.argv[1])))

def code(client):
    return client.recv(1024)[:3].decode()

for turn in range(5):
    clients = [connect() for i in range(8)]
    print(*map(code, clients))
    late = connect()
    print("late", code(late))
    clients[turn].close()
    # The place is free when the worker has seen the end.
    for i in range(100):
        late = connect()
        if code(late) == "220":
            print("again")
            break
        time.sleep(0.1)
    for client in clients + [late]:
        client.close()
    time.sleep(1)
END
python3 "$SCRATCH/clients" "$PORT" >"$SCRATCH/codes"
is "as many as there is room for, whoever accepts them" \
    "$(grep -c '^220 220 220 220 220 220 220 220$' "$SCRATCH/codes")" 5
is "one more is told that there is none" \
    "$(grep -c '^late 421' "$SCRATCH/codes")" 5
is "until one has left" "$(grep -c '^again' "$SCRATCH/codes")" 5
done_testing
