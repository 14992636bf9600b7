#!/bin/bash
# What is left after bad days: a backup put in place of the spool, messages
# exported and imported, a damaged database, one of a newer version.
# timeout: 180
. "$(dirname "$0")/suite.sh"
need_root
need python3
suite_user pmtu_res
box=$SCRATCH/home/pmtu_res/Maildir
to=pmtu_res@dead.test
spool=$SCRATCH/spool
dead=$(suite_port)

# The suite with the domain's mail going nowhere, or here.
with_route() {
	suite_conf <<-END
	  local-mailer = maildir
	[smtpd "mx"]
	  listen-port = 127.0.0.1:$PORT
	[route]
	  @dead.test $1
	END
}
nowhere="relay(127.0.0.1:$dead)"
tried() { [ "$(grep -c ' deferred id=' "$SCRATCH/log")" -ge "$1" ]; }
send() { sendmail -i -f "$1" -N never "$to"; }
sql() {
	python3 -c '
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
for row in db.execute(sys.argv[2]):
    print(*row)
db.commit()' "$spool/spool.db" "$1"
}

with_route "$nowhere"
suite_start
printf 'Subject: small\n\n.\n..\nFrom x\n' | send small@a.test
{ printf 'Subject: large\n\n'; head -c 300000 /dev/zero | tr '\0' y | fold; } |
    send large@a.test
printf 'Subject: null\n\nx\n' | send '<>'
ok "three wait" wait_for 10 tried 3
postctl hold "$(postctl -j list -s small@a.test |
    sed 's/.*"queue_id": "\([^"]*\)".*/\1/')" >/dev/null

# ---- a backup

like "backup" "$(postctl backup copy)" '^3 messages'
postctl remove all >/dev/null
suite_stop
mv "$spool/backup/copy" "$SCRATCH/copy"
rm -rf "$spool"
mkdir "$spool"
cp -a "$SCRATCH/copy/." "$spool/"
chown -R _spoold:_spoold "$spool"
with_route "local()"
: >"$SCRATCH/log"
suite_start
is "a backup put in its place has all" "$(queue_count)" 3
runq
ok "what is not held is delivered" wait_for_mail "$box" 2 15
is "the large one whole" "$(cat "$box"/new/* | grep -c '^y\{80\}$')" 3750
postctl release all >/dev/null
ok "what was held, too" wait_for_mail "$box" 3 15
is "as it was sent" "$(cat "$(grep -l '^Subject: small' "$box"/new/*)" |
    sed '1,/^$/d')" "$(printf '.\n..\nFrom x')"
is "from whom" "$(grep -h '^Return-Path' "$box"/new/* | sort | tr '\n' ' ')" \
    "Return-Path: <> Return-Path: <large@a.test> Return-Path: <small@a.test> "
suite_stop

# ---- from one machine to another

with_route "$nowhere"
: >"$SCRATCH/log"
suite_start
printf 'Subject: moved\n\n.dot\n8-bit: \303\266\n' | send moved@a.test
head -c 200000 /dev/zero | tr '\0' z | fold | send moved2@a.test
ok "two wait" wait_for 10 tried 2
mkdir "$SCRATCH/out"
like "export" "$(postctl export all "$SCRATCH/out")" '2'
suite_stop
rm -rf "$spool"
with_route "local()"
suite_start
ok "import, into an empty spool" postctl import "$SCRATCH"/out/*
runq
ok "both are delivered" wait_for_mail "$box" 5 15
ok "as they were" grep -q "$(printf '^8-bit: \303\266$')" -r "$box/new"
ok "dots and all" grep -q '^\.dot$' -r "$box/new"
is "whole" "$(cat "$box"/new/* | grep -c '^z\{80\}$')" 2500
ok "from whom" grep -q '^Return-Path: <moved@a\.test>$' -r "$box/new"
suite_stop

# ---- a newer version

sql "PRAGMA user_version = 1000"
"$STAGE/usr/sbin/postmaster" -D -f "$CF" </dev/null >"$SCRATCH/newer" 2>&1 &
MAIN=$!
ok "a spool of a newer version is not touched, and that is said" \
    wait_for_log 10 'version 1000, this program knows'
suite_stop
is "it is as it was" "$(sql 'PRAGMA user_version')" 1000
sql "PRAGMA user_version = $(python3 -c '
import sqlite3, sys
print(sqlite3.connect(sys.argv[1]).execute("PRAGMA user_version")
    .fetchone()[0])' "$SCRATCH/copy/spool.db")"

# ---- a damaged database

with_route "$nowhere"
: >"$SCRATCH/log"
suite_start
python3 - "$SCRATCH/run/submit" <<'END'
import smtplib, socket, sys
class Local(smtplib.SMTP):
    def _get_socket(self, host, port, timeout):
        local = socket.socket(socket.AF_UNIX)
        local.connect(sys.argv[1])
        return local
smtp = Local("localhost", 1)
for number in range(60):
    smtp.sendmail("n%d@a.test" % number, "pmtu_res@dead.test",
                  "Subject: x\r\n\r\n" + ("x" * 76 + "\r\n") * 100)
smtp.quit()
END
ok "sixty wait" wait_for 20 tried 60
suite_stop
# The log has been carried over, but would heal what we hurt.
rm -f "$spool/spool.db-wal"
python3 - "$spool/spool.db" <<'END'
import os, sys
with open(sys.argv[1], "r+b") as file:
    pages = os.fstat(file.fileno()).st_size // 4096
    for page in range(pages // 2, pages // 2 + 4):
        file.seek(page * 4096)
        file.write(b"\xff" * 4096)
END
with_route "local()"
before=$(mail_count "$box")
suite_start
postctl check >/dev/null 2>&1
told() { postctl status | grep -q '^history=.*spool\.db\.bad-'; }
ok "damage is found by a check, and status tells of it" wait_for 15 told
ok "so does the log" grep -q ' repair .*carried over' "$SCRATCH/log"
ok "the damaged one is kept" ls "$spool"/spool.db.bad-*
printf 'x\n' | sendmail -f new@a.test "$to"
runq
ok "mail is taken and delivered" wait_for 15 \
    grep -qs '^Return-Path: <new@a' -r "$box/new"
wait_for 15 queue_is_empty
diag "$(($(mail_count "$box") - before - 1)) of 60 were delivered"
ok "and most of what waited" \
    test "$(mail_count "$box")" -gt $((before + 1 + 30))
done_testing
