#!/bin/bash
# postmaster looks after itself: how it goes into the background, what it
# refuses to live in, what it tries again later, and what -n sees of it.
# timeout: 180
. "$(dirname "$0")/suite.sh"
need_root
need python3

POSTMASTER=$STAGE/usr/sbin/postmaster
SECOND=$(suite_port)

suite_conf <<END
  local-mailer = maildir
  root-mail = nobody
[smtpd "test"]
  listen-port = 127.0.0.1:$PORT
[route]
  @mx.test local()
  @ relay(127.0.0.1:9)
END
cp "$CF" "$SCRATCH/good"

# good with a sed script is the configuration now.
change() {
	sed "$1" "$SCRATCH/good" >"$CF"
}

answers() {
	python3 - "$1" <<-'END'
	import socket, sys
	client = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
	sys.exit(0 if client.recv(100).startswith(b"220 ") else 1)
	END
}

# ---- what it does not start with

change 's/listen-port = .*/listen-port = [::1/'
is "a listen-port written wrongly, in the background" \
    "$(status_of timeout 60 "$POSTMASTER" -f "$CF")" 1
like "is told" "$(cat "$SCRATCH/.output")" 'no listen-port'
change 's/^\[smtpd/  relay-user = pm-nobody-such\n&/'
is "an account that is missing" \
    "$(status_of timeout 60 "$POSTMASTER" -D -f "$CF")" 1
like "is told, too" "$(cat "$SCRATCH/.output")" 'no account pm-nobody-such'
change ''
mkdir -p "$SCRATCH/run/submit"
is "a socket that cannot be made" \
    "$(status_of timeout 60 "$POSTMASTER" -D -f "$CF")" 1
not_ok "leaves no pid-file" test -e "$SCRATCH/pid"
rmdir "$SCRATCH/run/submit"

rm -rf "$SCRATCH/spool"
mkdir -m 0755 "$SCRATCH/spool"
: >"$SCRATCH/spool/precious"
is "a folder of somebody else's is no spool" \
    "$(status_of timeout 60 "$POSTMASTER" -D -f "$CF")" 1
is "and stays his" "$(stat -c %a:%U "$SCRATCH/spool")" 755:root
chown _spoold: "$SCRATCH/spool"
is "nor is one that others may enter" \
    "$(status_of timeout 60 "$POSTMASTER" -D -f "$CF")" 1
like "which is told" "$(cat "$SCRATCH/.output")" 'not empty and belongs'
rm -rf "$SCRATCH/spool"
mkdir "$SCRATCH/elsewhere"
ln -s elsewhere "$SCRATCH/spool"
is "nor a symbolic link" "$(status_of timeout 60 "$POSTMASTER" -D -f "$CF")" 1
is "what it leads to is not touched" \
    "$(stat -c %U "$SCRATCH/elsewhere")" root
rm "$SCRATCH/spool"

# ---- in the background

: >"$SCRATCH/pid.new"
is "it starts under any umask, and after one that died while it started" \
    "$(umask 077; status_of timeout 60 "$POSTMASTER" -f "$CF")" 0
MAIN=$(cat "$SCRATCH/pid")
is "anybody may read the pid-file" "$(stat -c %a "$SCRATCH/pid")" 644
is "it keeps no terminal" "$(readlink "/proc/$MAIN/fd/2")" /dev/null
is "and is in a session of its own" \
    "$(ps -o sid= -p "$MAIN" | tr -d ' ')" "$MAIN"
smtpd=$(suite_pids smtpd | tail -n 1)
is "each process keeps none, either" "$(readlink "/proc/$smtpd/fd/2")" \
    /dev/null
is "and has its own session" "$(ps -o sid= -p "$smtpd" | tr -d ' ')" "$smtpd"
is "-n finds no fault with the ports of who runs already" \
    "$(status_of timeout 60 "$POSTMASTER" -n -f "$CF")" 0
kill -INT "$MAIN"
ok "SIGINT ends it" wait_for 20 suite_gone "$MAIN"
not_ok "with its pid-file" test -e "$SCRATCH/pid"

# ---- what -n sees

# Another has a port, until it is let go.
hold() {
	python3 -c '
import socket, sys, time
held = socket.create_server(("127.0.0.1", int(sys.argv[1])))
time.sleep(300)' "$1" &
	holder=$!
	SINKS="$SINKS $holder"
	wait_for 5 grep -q "$(printf ':%04X .* 0A ' "$1")" /proc/net/tcp
}
let_go() {
	kill "$holder"
	wait "$holder" 2>/dev/null
}

hold "$SECOND"
sees() {
	local status="$2" what="$3"
	change "$4"
	is "-n: $1" "$(status_of timeout 60 "$POSTMASTER" -n -f "$CF")" "$status"
	like "-n: $1, and what" "$(cat "$SCRATCH/.output")" "$what"
}
sees "a port that is taken" 2 "python3 \(pid $holder\) does" \
    "s/127.0.0.1:$PORT/127.0.0.1:$SECOND/"
sees "a fault that a program finds" 1 'no network' \
    's/^  listen-port/  trusted = 10.0.0.0\/33\n&/'
sees "a log in no folder" 2 '/dev/null/log cannot be made' \
    "s,file = .*,file = /dev/null/log,"
sees "a spool in none" 2 'spool-directory /dev/null/spool cannot' \
    's,spool-directory = .*,spool-directory = /dev/null/spool,'
sees "a logger that there is not" 1 'no \[logfile "lg"\]' \
    's/logger *= log/logger = lg/'
sees "a setting where a route stands" 0 'you mean the setting' \
    's/^  @mx.test/  hostname nobody\n&/'
: >"$SCRATCH/secret-aliases"
chmod 0600 "$SCRATCH/secret-aliases"
sees "a file that its reader may not read" 2 'secret-aliases' \
    's/alias-file .*/alias-file = '"${SCRATCH//\//\\/}"'\/secret-aliases/'

# ---- what is tried again

cat >>"$SCRATCH/good" <<END
[smtpd "second"]
  listen-port = 127.0.0.1:$SECOND
  logger = other
[logfile "other"]
  file = "$SCRATCH/other/log"
END
: >"$SCRATCH/other"
change ''
"$POSTMASTER" -D -v -f "$CF" </dev/null >>"$SCRATCH/suite.stderr" 2>&1 &
MAIN=$!
wait_for 15 suite_ready
ok "a port that is taken: who has it" wait_for_log 5 \
    " listen address=127.0.0.1:$SECOND .*python3 \(pid $holder\)"
descriptors() {
	ls "/proc/$MAIN/fd" | wc -l
}
before=$(descriptors)
mv "$SCRATCH/log" "$SCRATCH/log.1"
change 's/listen-port/listn-port/'
kill -HUP "$MAIN"
ok "a reload that fails opens the logs all the same" \
    wait_for 10 test -e "$SCRATCH/log"
answers "$PORT"
ok "for everybody" wait_for_log 5 ' smtpd\[[0-9]+\]: connect '
change ''

# Moved away, and made by another as logrotate may; a port let go; a folder
# that can be made.
mv "$SCRATCH/log" "$SCRATCH/log.2"
: >"$SCRATCH/log"
let_go
rm "$SCRATCH/other"
ok "the port is had as soon as it is let go" wait_for 25 answers "$SECOND"
ok "a log is followed without a signal" wait_for_log 12 \
    " listen address=127.0.0.1:$SECOND "
connected() {
	answers "$SECOND"
	grep -q ' connect ' "$SCRATCH/other/log"
}
ok "a log that could not be made is made, and is that of its listener" \
    wait_for 12 connected
not_ok "nobody else's" grep -v smtpd "$SCRATCH/other/log"
ok "-v: more is said" grep -q ' state session=' "$SCRATCH/other/log"
: >"$SCRATCH/log"
answers "$PORT"
answers "$PORT"
wait_for_log 5 ' connect '
not_ok "a log that is emptied has no hole" grep -qP '\x00' "$SCRATCH/log"
THIRD=$(suite_port)
hold "$THIRD"
change "s/127.0.0.1:$SECOND/127.0.0.1:$THIRD/"
suite_reload
let_go
ok "so is one that was taken at a reload" wait_for 25 answers "$THIRD"
suite_reload
kept() {
	[ "$(descriptors)" -le $((before + 2)) ]
}
ok "no descriptor is left behind" wait_for 10 kept

done_testing
