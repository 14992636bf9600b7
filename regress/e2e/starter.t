#!/bin/bash
# postmaster itself: what it checks, opens, starts, restarts, reloads, ends.
# timeout: 180
. "$(dirname "$0")/suite.sh"
need_root
need python3

POSTMASTER=$STAGE/usr/sbin/postmaster
OTHER=$(suite_port)

# The exit status of a command, whatever it prints.
answers() {
	python3 - "$1" <<-'END'
	import socket, sys
	client = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
	sys.exit(0 if client.recv(100).startswith(b"220 ") else 1)
	END
}

suite_ready() {
	answers "$PORT"
}

log_count() {
	grep -Ec -- "$1" "$SCRATCH/log"
}

# ---- -n

suite_conf <<END
  local-mailer = maildir
  root-mail = nobody
[smtpd "test"]
  listen-port = 127.0.0.1:$PORT
[route]
  @mx.test local()
  @ relay(127.0.0.1:9)
END
is "-n accepts what is right" "$(status_of "$POSTMASTER" -n -f "$CF")" 0
cp "$CF" "$SCRATCH/good"
is "-n: the sample of the design lacks things here" \
    "$(status_of "$POSTMASTER" -n -f "$TOP/regress/config/01.in")" 2
like "-n says what" "$(cat "$SCRATCH/.output")" \
    '01.in:41:10: .*postmaster.rt.*does not exist'
sed 's/local-mailer/locl-mailer/' "$SCRATCH/good" >"$SCRATCH/broken"
is "-n refuses what is wrong" \
    "$(status_of "$POSTMASTER" -n -f "$SCRATCH/broken")" 1
like "-n names the nearest setting" "$(cat "$SCRATCH/.output")" \
    "^$SCRATCH/broken:8:3: .*did you mean local-mailer"
sed 's/127.0.0.1:/192.0.2.1:/' "$SCRATCH/good" >"$SCRATCH/foreign"
is "-n lacks an address" \
    "$(status_of "$POSTMASTER" -n -f "$SCRATCH/foreign")" 2
is "-n does not read what is not there" \
    "$(status_of "$POSTMASTER" -n -f "$SCRATCH/nothing")" 2
is "a wrong option" "$(status_of "$POSTMASTER" -x)" 64
is "a broken file does not start" \
    "$(status_of "$POSTMASTER" -D -f "$SCRATCH/broken")" 1

# ---- the start

sed -i "s/^  listen-port.*/&\n  listen-port = 192.0.2.1:$PORT/" "$CF"
suite_start
ok "one address that is not ours takes no other with it" answers "$PORT"
like "and is logged" "$(grep 192.0.2.1 "$SCRATCH/log")" \
    'listener=test.*Cannot assign'
is "the submission socket is everybody's" \
    "$(stat -c %a:%U "$SCRATCH/run/submit")" 666:root
is "the spool is spoold's" "$(stat -c %a:%U "$SCRATCH/spool")" 700:_spoold
is "the drop directory takes files" \
    "$(stat -c %a:%U "$SCRATCH/spool.drop")" 1733:root
is "the jail's root is empty" \
    "$(stat -c %a:%U "$SCRATCH/run/empty"):$(ls "$SCRATCH/run/empty")" \
    555:root:
is "the log is for the operators" "$(stat -c %a:%G "$SCRATCH/log")" 640:adm
is "the pid-file" "$(cat "$SCRATCH/pid")" "$MAIN"
is "a second one does not start" \
    "$(status_of "$POSTMASTER" -D -f "$CF")" 1
like "and says why" "$(cat "$SCRATCH/.output")" 'another postmaster lives'

# ---- restarts

for name in smtpd policyd spoold relay deliver; do
	before=$(suite_pids $name | sort | tr '\n' ' ')
	suite_kill $name
	same() { [ "$(suite_pids $name | wc -w)" = "$(echo $before | wc -w)" ]; }
	ok "$name is started again" wait_for 10 same
	ok "and all works" wait_for 10 suite_ready
done
like "deaths are logged" "$(cat "$SCRATCH/log")" \
    'ended process=policyd .*signal=9'

# ---- reload

exec 7<>"/dev/tcp/127.0.0.1/$PORT"
read -r banner <&7
like "a session is open" "$banner" '^220 '
cp "$SCRATCH/broken" "$CF"
kill -HUP "$MAIN"
ok "a broken configuration changes nothing and is told" \
    wait_for_log 10 'the old configuration stays'
ok "the old one works" answers "$PORT"
sed "s,$SCRATCH/spool,$SCRATCH/other," "$SCRATCH/good" >"$CF"
kill -HUP "$MAIN"
ok "another spool-directory needs a restart" \
    wait_for_log 10 'spool-directory has changed'
sed "s/127.0.0.1:$PORT/127.0.0.1:$OTHER/" "$SCRATCH/good" >"$CF"
ok "a reload" suite_reload
ok "the new listener answers" wait_for 10 answers "$OTHER"
not_ok "the old one does not" answers "$PORT"
printf 'NOOP\r\n' >&7
read -r -t 10 reply <&7
like "the old session goes on" "$reply" '^250 '
printf 'QUIT\r\n' >&7
read -r -t 10 reply <&7
like "to its end" "$reply" '^221 '
exec 7<&-
ok "nobody says that it was thrown out" \
    test "$(log_count 'which lives')" = 0
cp "$SCRATCH/good" "$CF"
suite_reload
ok "and back again" wait_for 10 answers "$PORT"

# ---- logs

mv "$SCRATCH/log" "$SCRATCH/log.1"
kill -HUP "$MAIN"
ok "a log that was moved is opened anew" wait_for_log 10 'is in force'
old=$(stat -c %s "$SCRATCH/log.1")
answers "$PORT"
sleep 0.5
is "nobody writes to the old one" "$(stat -c %s "$SCRATCH/log.1")" "$old"
sed "s,$SCRATCH/log,$SCRATCH/log-%Y," "$SCRATCH/good" >"$CF"
suite_reload
ok "the name of a log may hold the date" test -s "$SCRATCH/log-$(date +%Y)"

# ---- the end

pids=$(pgrep -P "$MAIN")
suite_stop
not_ok "SIGTERM ends them all" ps -p "$(echo $pids)"
not_ok "the submission socket is gone" test -e "$SCRATCH/run/submit"
not_ok "the pid-file is gone" test -e "$SCRATCH/pid"

# ---- in the background

cp "$SCRATCH/good" "$CF"
is "without -D it returns when all is ready" \
    "$(status_of "$POSTMASTER" -f "$CF")" 0
ok "and answers" answers "$PORT"
MAIN=$(cat "$SCRATCH/pid")
suite_stop

# ---- the service manager

cat >"$SCRATCH/manager" <<'END'
import os, socket, sys
notify, submit, program, conf = sys.argv[1:]
held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
held.bind(submit)
os.chmod(submit, 0o666)
held.listen(16)
told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
told.bind(notify)
child = os.fork()
if child == 0:
    os.dup2(held.fileno(), 3)
    os.set_inheritable(3, True)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1",
                      NOTIFY_SOCKET=notify)
    os.execv(program, [program, "-D", "-f", conf])
told.settimeout(20)
print(told.recv(100).decode())
client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
client.connect(submit)
client.settimeout(10)
print(client.recv(100).decode().split()[0])
os.kill(child, 1)
print(told.recv(100).decode())
print(told.recv(100).decode())
os.kill(child, 15)
while True:
    said = told.recv(100).decode()
    print(said)
    if said == "STOPPING=1":
        break
os.waitpid(child, 0)
print("kept" if os.path.exists(submit) else "removed")
END
mkdir -p "$SCRATCH/run"
rm -f "$SCRATCH/run/submit"
is "a socket that was handed over is used and kept" \
    "$(python3 "$SCRATCH/manager" "$SCRATCH/notify" "$SCRATCH/run/submit" \
    "$POSTMASTER" "$CF" 2>/dev/null | tr '\n' ' ')" \
    "READY=1 220 RELOADING=1 READY=1 STOPPING=1 kept "

# ---- without root

rm -rf "$SCRATCH/spool" "$SCRATCH/spool.drop" "$SCRATCH/run"
suite_user pmstarter
HOME_DIR=$SCRATCH/home/pmstarter
sed "s,$SCRATCH/\(spool\|run\|pid\|log\),$HOME_DIR/\1," "$SCRATCH/good" \
    >"$CF"
chmod 0644 "$CF"
as_user pmstarter "$POSTMASTER" -f "$CF" >"$SCRATCH/stderr" 2>&1
ok "without root it comes up as well" wait_for 15 answers "$PORT"
MAIN=$(cat "$HOME_DIR/pid")
is "as the user who started it" \
    "$(ps -o user= -p "$(suite_pids spoold | head -n 1)")" pmstarter
suite_stop

done_testing
