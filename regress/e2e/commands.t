#!/bin/sh
# The commands against the suite: mailq, runq, newaliases, rmail, postctl, and
# what sendmail does by its modes.
. "$(dirname "$0")/suite.sh"
need_root
need python3
suite_user pmctl1
suite_user pmctl2
dead=$(suite_port)
suite_conf <<EOF
  local-mailer = maildir
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
[route]
  @dead.test  relay(127.0.0.1:$dead)
EOF
printf 'root: pmctl1\nteam: pmctl1, pmctl2\n' >"$SCRATCH/aliases"
suite_start
box=$SCRATCH/home/pmctl1/Maildir

# ---- nothing yet
is "an empty queue" "$(mailq)" "Mail queue is empty"
is "as lines of JSON" "$(mailq -j)" ""
is "sendmail -bP counts" "$(sendmail -bP)" 0

# ---- sendmail
submit() {
	printf 'Subject: %s\n\ntext\n' "$1" >"$SCRATCH/message"
	shift
	"$@" <"$SCRATCH/message"
}
ok "cron's line" submit cron sendmail -FCronDaemon -i -B8BITMIME -oem root
ok "arrives" wait_for_mail "$box" 1 10
message=$(cat "$box"/new/* | tr -d '\r')
like "with a From of its own" "$message" '^From: CronDaemon <root@'
like "a Date" "$message" '^Date: '
like "a Message-ID" "$message" '^Message-ID: <.*@'
like "and who it was" "$message" 'userid 0'
rm -f "$box"/new/*
printf 'To: pmctl1\nBcc: pmctl2\nSubject: t\n\nx\n' >"$SCRATCH/t"
as_user pmctl2 "$SENDMAIL" -C "$CF" -t <"$SCRATCH/t"
is "-t by a user" $? 0
ok "arrives" wait_for_mail "$box" 1 10
ok "at the hidden recipient, too" \
    wait_for_mail "$SCRATCH/home/pmctl2/Maildir" 1 10
message=$(cat "$box"/new/* | tr -d '\r')
like "from that user" "$message" '^Return-Path: <pmctl2@'
like "To is completed" "$message" '^To: pmctl1@'
not_ok "without Bcc" grep -q ^Bcc "$box"/new/*
sendmail "pmnobody-$$" <"$SCRATCH/t" 2>"$SCRATCH/stderr"
is "an unknown user: exit code" $? 67
like "and why" "$(cat "$SCRATCH/stderr")" '550 5\.1\.1'
sendmail a@nowhere.test <"$SCRATCH/t" 2>/dev/null
is "no route to a domain: exit code" $? 67
like "-bv" "$(sendmail -bv pmctl1)" '^pmctl1\.\.\. deliverable'
not_ok "-bv of an unknown user" sendmail -bv "pmnobody-$$"
like "-bt shows the route" "$(sendmail -bt a@dead.test </dev/null)" \
    "127\.0\.0\.1:$dead"
printf 'EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<pmctl1>\r\nQUIT\r\n' \
    >"$SCRATCH/dialogue"
like "-bs" "$(sendmail -bs <"$SCRATCH/dialogue" | tail -n 1)" '^221'
rm -f "$box"/new/*
printf 'From joe Thu Jan 1 00:00 remote from uucphost\nSubject: u\n\nx\n' |
    rmail -C "$CF" pmctl1
ok "rmail: arrives" wait_for_mail "$box" 1 10
like "from the UUCP host" "$(cat "$box"/new/*)" '^Return-Path: <joe@uucphost>'

# ---- a queue
for number in 1 2 3; do
	submit "number $number" as_user pmctl2 "$SENDMAIL" -C "$CF" \
	    -f pmctl2@here.test "a$number@dead.test"
done
submit "of root" sendmail -f root@here.test b1@dead.test b2@dead.test
all_tried() {
	[ "$(mailq -j | grep -o '"delay_reason"' | wc -l)" = 5 ]
}
ok "four messages wait" wait_for 15 all_tried
list=$(mailq)
like "the head line" "$(echo "$list" | head -n 1)" \
    '^-+Queue ID-+ +--Size-- -+Arrival Time-+ -+Sender/Recipient-+$'
like "a message's line" "$list" \
    '^[0-9a-v]{13} +[0-9]+ [A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9]{2} [0-9:]{8} root@here\.test$'
like "its reason" "$list" '^ *\(.*[Cc]onnect.*\)$'
like "its recipients" "$list" '^ {40,}b2@dead\.test$'
like "the last line" "$(echo "$list" | tail -n 1)" \
    '^-- [0-9]+ Kbytes in 4 Requests\.$'
is "sendmail -bp is mailq" "$(sendmail -bp)" "$list"
is "each line of -j is an object" "$(mailq -j | python3 -c '
import json, sys
print(sorted(len(json.loads(line)["recipients"]) for line in sys.stdin))')" \
    "[1, 1, 1, 2]"
as_user pmctl1 "$STAGE/usr/bin/mailq" -C "$CF" >"$SCRATCH/list"
not_ok "another user sees no addresses" grep -q dead.test "$SCRATCH/list"
like "but the total" "$(cat "$SCRATCH/list")" 'in 4 Requests'
as_user pmctl2 "$STAGE/usr/bin/mailq" -C "$CF" >"$SCRATCH/list"
is "the sender sees its own" "$(grep -c '@dead\.test' "$SCRATCH/list")" 3
is "head ends mailq without a word" "$(mailq 2>&1 | head -n 1 | wc -l)" 1
is "a choice by recipient" "$(postctl list -r b1@dead.test -j | wc -l)" 1
is "by sender's domain" "$(postctl list -s @here.test -j | wc -l)" 4
is "by state" "$(postctl list -j held | wc -l)" 0

id_of() {
	postctl -j list "$@" | sed 's/.*"queue_id": "\([^"]*\).*/\1/'
}
id=$(id_of -s root@here.test)
like "show" "$(postctl show "$id")" 'b1@dead\.test'
like "hold" "$(postctl hold "$id")" '^1 message'
like "its mark" "$(mailq)" "^$id! "
is "a choice by state" "$(postctl list -j held | wc -l)" 1
not_ok "another user may not release it" as_user pmctl1 \
    "$STAGE/usr/sbin/postctl" -C "$CF" release "$id"
like "release" "$(postctl release "$id")" '^1 message'
mailq >"$SCRATCH/list"
not_ok "its mark has gone" grep -q "$id!" "$SCRATCH/list"

# With a dead hop one goes ahead, the others wait for what becomes of it.
tried() {
	[ "$(mailq -j | grep -o '"attempts": [0-9]*' | cut -d' ' -f2 |
	    awk '{ sum += $1 } END { print sum }')" -ge "$1" ]
}
ok "runq, by a user" as_user pmctl1 "$STAGE/usr/bin/runq" -C "$CF"
ok "their next hop is tried" wait_for 15 tried 2
as_user pmctl1 "$STAGE/usr/bin/runq" -C "$CF" 2>/dev/null
is "again at once: exit code" $? 75
ok "runq of a domain" runq dead.test
ok "sendmail -q of a message" sendmail -qI"$id"

like "export" "$(postctl export "$id")" '^Subject: of root'
mkdir "$SCRATCH/exported"
postctl export "$id" >/dev/full 2>"$SCRATCH/stderr"
is "export where it does not fit: exit code" $? 74
like "export all" "$(postctl export all "$SCRATCH/exported")" \
    '^4 messages exported'
is "a file each" "$(ls "$SCRATCH/exported" | wc -l)" 4
is "for their owner alone" "$(find "$SCRATCH/exported" -type f -perm /077 |
    wc -l)" 0
like "remove" "$(postctl remove "$id")" '^1 message'
is "it is gone" "$(queue_count)" 3
ok "import" postctl import "$SCRATCH/exported/$id"
is "it is back" "$(queue_count)" 4
is "with both recipients" "$(postctl -j list -s root@here.test |
    grep -o '@dead\.test' | wc -l)" 2
not_ok "a file that is none" postctl import "$CF"

like "status" "$(postctl status)" '^messages=4$'
is "status -j" "$(postctl -j status | python3 -c '
import json, sys
print(json.load(sys.stdin)["messages"])')" 4
like "explain" "$(postctl explain a@dead.test)" "127\.0\.0\.1:$dead"
like "explain an alias" "$(postctl explain team)" 'pmctl2'
ok "pause" postctl pause
like "paused" "$(postctl status)" '^paused=yes$'
ok "resume" postctl resume
ok "check" postctl check
ok "age" postctl age "$(id_of -r a1@dead.test)" 1h
not_ok "a user may not pause" as_user pmctl1 "$STAGE/usr/sbin/postctl" \
    -C "$CF" pause
head -c 200000 /dev/zero | tr '\0' x | fold | sendmail large@dead.test
like "backup" "$(postctl backup first)" '^5 messages copied'
copy=$SCRATCH/spool/backup/first
is "it is a sound database" "$(python3 -c "
import sqlite3
db = sqlite3.connect('file:$copy/spool.db?mode=ro', uri=True)
print(db.execute('pragma integrity_check').fetchone()[0],
    db.execute('select count(*) from message').fetchone()[0])")" "ok 5"
is "with the large body" "$(find "$copy/body" -type f -size +190k | wc -l)" 1
not_ok "once" postctl backup first
postctl show 0000000000001 2>/dev/null
is "no such message: exit code" $? 66
postctl frobnicate 2>/dev/null
is "no such verb: exit code" $? 64
like "remove all" "$(postctl remove all)" '^5 messages'
is "nothing waits" "$(mailq)" "Mail queue is empty"

# ---- newaliases
like "newaliases counts" "$(newaliases)" ': 2 aliases$'
printf 'a: b\nc: <d\na: e\n' >"$SCRATCH/aliases"
newaliases >/dev/null 2>"$SCRATCH/stderr"
is "errors: exit code" $? 65
like "with their place" "$(cat "$SCRATCH/stderr")" "^$SCRATCH/aliases:3:1: "

suite_stop
mailq >/dev/null 2>"$SCRATCH/stderr"
is "mailq while the suite is down: exit code" $? 69
like "and why" "$(cat "$SCRATCH/stderr")" 'is postmaster.* running'
printf '[core\nx = "' >"$SCRATCH/broken.cf"
"$SENDMAIL" -C "$SCRATCH/broken.cf" -bp >/dev/null 2>"$SCRATCH/stderr"
like "a broken configuration means the built-in place" \
    "$(cat "$SCRATCH/stderr")" '^sendmail: /run/postmaster/control'
done_testing
