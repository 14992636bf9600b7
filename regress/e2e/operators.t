#!/bin/bash
# Who sees what of the queue, a reader that takes its time, where commands
# find the sockets, ports that are taken.
# timeout: 180
. "$(dirname "$0")/suite.sh"
need_root
need swaks python3
suite_user pmtu_ops
suite_user pmtu_other
dead=$(suite_port)
box=$SCRATCH/home/pmtu_ops/Maildir

# Somebody else's server on a port we want.
python3 -c '
import socket, sys, time
taken = socket.socket()
taken.bind(("127.0.0.1", 0))
taken.listen()
with open(sys.argv[1], "w") as out:
    print(taken.getsockname()[1], file=out)
time.sleep(150)' "$SCRATCH/port" &
HOLDER=$!
wait_for 5 test -s "$SCRATCH/port"
others=$(cat "$SCRATCH/port")
trap 'kill "$HOLDER" 2>/dev/null; suite_end' EXIT

suite_conf <<END
  local-mailer = maildir
  root-mail = pmtu_ops
[smtpd "mx"]
  listen-port = 127.0.0.1:$others
  listen-port = 127.0.0.1:$PORT
[route]
  @here.test local()
  @dead.test relay(127.0.0.1:$dead)
END
cp "$CF" "$SCRATCH/whole"
suite_start
like "a port that is taken is told with its owner" \
    "$(grep "listen .*:$others" "$SCRATCH/log")" "holder=.*python3.*$HOLDER"
ok "the other port is open" send_to pmtu_ops@here.test

# ---- who sees what

as_group() {
	setpriv --reuid=pmtu_ops --regid="$(id -g pmtu_ops)" --groups="$1" \
	    "$STAGE/usr/bin/mailq" -C "$CF"
}
tried() { grep -q ' deferred .*x@dead' "$SCRATCH/log"; }
echo x | sendmail x@dead.test
wait_for 10 tried
like "an operator, by a group besides, sees addresses" "$(as_group adm)" \
    'x@dead\.test'
like "and reasons" "$(as_group adm)" 'refused'
seen=$(as_group nogroup)
not_ok "who is none sees neither" grep -Eq 'dead|refused|root' <<<"$seen"
like "but the id and the total" "$seen" '^[0-9a-v]{13} .*'
is "one is a Request" "$(mailq | tail -n 1)" "-- 1 Kbytes in 1 Request."
sed -i 's/^\[core\]/&\n  operator-group = games/' "$CF"
kill -HUP "$MAIN"
ok "another operator-group needs a restart" \
    wait_for_log 5 'operator-group has changed'
suite_stop
suite_start
like "then it has the right" "$(as_group games)" 'x@dead\.test'
not_ok "and the old one no longer" grep -q dead <<<"$(as_group adm)"

# ---- who finds and does what

as_other() { as_user pmtu_other "$STAGE/usr/sbin/postctl" -C "$CF" "$@"; }
valid() { python3 -m json.tool --json-lines >/dev/null <<<"$1"; }
id=$(postctl -j list | sed 's/.*"queue_id": "\([^"]*\).*/\1/')
as_user pmtu_other "$STAGE/usr/sbin/sendmail" -C "$CF" own@dead.test <<<"x"
tried_own() { grep -q ' deferred .*own@dead' "$SCRATCH/log"; }
wait_for 10 tried_own
is "a filter finds root two" "$(postctl -j list -d dead.test | wc -l)" 2
is "another user his own" "$(as_other -j list -d dead.test | wc -l)" 1
is "whatever he asks for" "$(as_other -j list --reason refused | wc -l)" 1
is "or nothing" "$(as_other -j list -s @mx.test --to x@dead.test | wc -l)" 0
is "what is none of his is not shown" "$(status_of as_other show "$id")" 66
is "nor changed" "$(as_other hold -r x@dead.test)" "0 messages held"
for verb in "bounce $id" "why dead.test" "probe x@dead.test" "pause" \
    "age $id 1h"; do
	is "he may not $verb" "$(status_of as_other $verb)" 77
done
is "he counts his own" "$(as_other -j stats | sed -n \
    's/.*"domain": null, "total": \([0-9]*\).*/\1/p')" 1
is "root counts all" "$(postctl -j stats | sed -n \
    's/.*"domain": null, "total": \([0-9]*\).*/\1/p')" 2
shown=$(postctl show "$id")
like "show tells who sent it" "$shown" '^ *uid: 0$'
like "where it goes" "$shown" "^ *route: relay\\(127\\.0\\.0\\.1:$dead\\)\$"
like "by which line" "$shown" '^ *decided-by: .*postmaster\.cf:[0-9]+'
like "what was tried" "$shown" '^ {10,}attempt: 1$'
like "why it waits" "$shown" '^ *why: '
for what in "list" "show $id" "stats" "why dead.test" "status" \
    "explain x@dead.test"; do
	ok "$what is valid JSON" valid "$(postctl -j $what)"
done
like "why" "$(postctl why dead.test)" \
    "^ *lane: relay\\(127\\.0\\.0\\.1:$dead\\)\$"
is "explain names the next hop, once" "$(postctl explain x@dead.test |
    grep -c "next hop relay(127.0.0.1:$dead), for <x@dead.test>")" 1
ok "a reader that goes away is no error" bash -c \
    "set -o pipefail; '$STAGE/usr/sbin/postctl' -C '$CF' list | true"
postctl remove -s pmtu_other@mx.test >/dev/null

own_run() { as_user "$1" "$STAGE/usr/bin/runq" -C "$CF"; }
ok "runq is for all" own_run pmtu_ops
not_ok "once in ten seconds" own_run pmtu_ops
ok "each" own_run pmtu_other

# ---- a reader that takes its time

python3 - "$SCRATCH/run/submit" <<'END'
import smtplib, socket, sys
class Local(smtplib.SMTP):
    def _get_socket(self, host, port, timeout):
        local = socket.socket(socket.AF_UNIX)
        local.connect(sys.argv[1])
        return local
smtp = Local("localhost", 1)
for number in range(600):
    smtp.sendmail("a@here.test", "%0200d@dead.test" % number,
                  "Subject: x\r\n\r\n" + "x" * 76 + "\r\n")
smtp.quit()
END
mailq | { sleep 12; cat; } >"$SCRATCH/list" &
reader=$!
before=$(mail_count "$box")
python3 - "$PORT" <<'END'
import smtplib, sys
smtp = smtplib.SMTP("127.0.0.1", int(sys.argv[1]))
text = "Subject: x\r\n\r\n" + ("x" * 76 + "\r\n") * 700
for number in range(600):
    smtp.sendmail("a@there.test", "pmtu_ops@here.test", text)
smtp.quit()
END
ok "mail flows while a list is half read" \
    wait_for_mail "$box" $((before + 600)) 30
ok "what is logged ahead stays within its room" test \
    "$(stat -c %s "$SCRATCH/spool/spool.db-wal")" -le $((66 * 1024 * 1024))
wait "$reader"
is "and the list is whole" "$(grep -c '@dead\.test$' "$SCRATCH/list")" 601
like "to its last line" "$(tail -n 1 "$SCRATCH/list")" \
    '^-- [0-9]+ Kbytes in [0-9]+ Requests\.$'

# ---- where commands find the sockets

works() {
	"$STAGE/usr/sbin/postctl" -C "$1" status >/dev/null 2>&1
}
{ echo '[core'; echo '  nonsense'; cat "$SCRATCH/whole"; echo '"x [x'; } \
    >"$SCRATCH/broken"
ok "a configuration full of mistakes still says where" works "$SCRATCH/broken"
printf '[ core ] # x\nrun_directory\t"%s" # y\n' "$SCRATCH/run" \
    >"$SCRATCH/short"
ok "in any spelling" works "$SCRATCH/short"
printf '[route]\nrun-directory joe\n[smtpd "x"]\nrun-directory = /x\n' \
    >"$SCRATCH/other"
for file in "$SCRATCH/other" "$SCRATCH/nothing" "$SCRATCH" /dev/null; do
	like "${file##*/}: the built-in place" \
	    "$("$STAGE/usr/sbin/postctl" -C "$file" status 2>&1)" \
	    '/run/postmaster/control'
done
suite_stop

# ---- nothing but the local socket

: >"$SCRATCH/log"
suite_conf <<END
  local-mailer = maildir
END
suite_start
before=$(mail_count "$box")
sed -i 's/hostname .*/hostname = new.test/' "$CF"
suite_reload
echo x | sendmail pmtu_ops
ok "without [smtpd] local mail flows" \
    wait_for_mail "$box" $((before + 1)) 10
ok "after a reload spoold knows the new name of this host" \
    wait_for_log 5 ' new\.test spoold\[[0-9]*\]: delivered '
like "and the worker" "$(ls "$box/new")" '\.new\.test$'
not_ok "and no port is open" grep -q ' listen ' "$SCRATCH/log"
suite_stop

# ---- one account for all

suite_conf <<END
  user-id = nobody
  group-id = nogroup
END
like "-n warns of one account for all four" \
    "$("$STAGE/usr/sbin/postmaster" -n -f "$CF")" 'warning: .*(user-id|account)'
done_testing
