#!/bin/sh
# What sendmail makes of the answers of a submission socket: transactions,
# exit codes, bounces, the drop directory and dead.letter.  The socket is a
# stand-in's, so that it can answer anything.
. "$(dirname "$0")/suite.sh"
need python3
suite_conf </dev/null
drop=$SCRATCH/spool.drop
got=$SCRATCH/got
server=
mkdir -m 1733 "$drop"
mkdir "$SCRATCH/run" "$got"

start_server() {
	python3 "$TOP/regress/e2e/submission.py" "$SCRATCH/run/submit" "$got" \
	    "$@" &
	server=$!
	wait_for 10 test -S "$SCRATCH/run/submit"
}

stop_server() {
	[ -z "$server" ] || { kill "$server"; wait "$server"; } 2>/dev/null
	server=
	rm -f "$SCRATCH/run/submit"
}
trap 'stop_server; suite_end' EXIT

# mail TEXT FLAGS ...: send it; $status is the exit code
mail() {
	local text="$1"
	shift
	rm -f "$got"/* "$drop"/*
	printf "$text" | sendmail "$@" >"$SCRATCH/stdout" 2>"$SCRATCH/stderr"
	status=$?
}

files() {
	find "$1" -type f | wc -l
}

start_server 3
mail 'Subject: a\n\n.\n' -i -f joe@x -F 'Joe Doe' a b@c
is "a message goes: exit code" $status 0
is "as one transaction, as given" "$(cat "$got"/*.eml | tr -d '\r')" \
"MAIL FROM:<joe@x> SIZE=40
RCPT TO:<a>
RCPT TO:<b@c>

Subject: a
From: Joe Doe <joe@x>

.."
mail 'x\n' a b c d e f g
is "recipients over the server's limit: exit code" $status 0
is "take more transactions" "$(files "$got")" 3
is "and each recipient has one" "$(cat "$got"/* | grep -c '^RCPT')" 7
mail 'x\n' -f '' -N success,failure -R full -V 'a=b c' a
like "DSN is asked for" "$(cat "$got"/*.eml)" \
    '^MAIL FROM:<> .*RET=full ENVID=a[+]3Db[+]20c'
like "for each recipient" "$(cat "$got"/*.eml)" \
    '^RCPT TO:<a> NOTIFY=success,failure'
mail 'caf\303\251\n' a
like "octets above 127 are announced" "$(cat "$got"/*.eml)" 'BODY=8BITMIME'
mail 'To: a@b\nBcc: secret\nSubject: x\n\ny\n' -t more
is "-t: recipients of both places" \
    "$(grep '^RCPT' "$got"/*.eml | sed 's/.*://' | tr '\n' ' ')" \
    "<more> <a@b> <secret> "
not_ok "and no Bcc" grep -qi bcc "$got"/*.eml

for answer in nobody:67 relaying:77 syntax:65; do
	mail 'x\n' "${answer%:*}"
	is "${answer%:*} refused: exit code" $status "${answer#*:}"
	like "and the reason is said" "$(cat "$SCRATCH/stderr")" \
	    "${answer%:*}: 55[03] 5"
done
for answer in noroute:69 order:65 text:65; do
	mail 'x\n' "${answer%:*}"
	is "${answer%:*} refused: exit code" $status "${answer#*:}"
done
mail 'x\n' -f unwanted@x a
is "the sender refused: exit code" $status 65
mail 'x\n' 'no address'
is "a word that is no address: exit code" $status 65
mail 'x\n' -oeq nobody
is "-oeq: exit code" $status 67
is "and silence" "$(cat "$SCRATCH/stderr" "$SCRATCH/stdout")" ""
mail 'Subject: lost\n\nx\n' -oem -f joe@x nobody
is "-oem: exit code" $status 0
like "a bounce goes to the sender" "$(cat "$got"/*.eml | tr -d '\r')" \
    '^RCPT TO:<joe@x>'
like "from nobody" "$(cat "$got"/*.eml)" '^MAIL FROM:<>'
like "with the reason" "$(cat "$got"/*.eml)" '^Status: 5\.1\.1'
like "and the message" "$(cat "$got"/*.eml)" '^Subject: lost'
like "as nothing that is answered" "$(cat "$got"/*.eml)" \
    '^Auto-Submitted: auto-replied'
mail 'caf\303\251\n' -oem -f joe@x nobody
like "a bounce has the octets of what it returns" "$(cat "$got"/*.eml)" \
    '^MAIL FROM:<> .*BODY=8BITMIME'
mail 'x\n' -oem -f later nobody
is "a bounce that is put off: exit code" $status 0
is "is kept" "$(grep -h '^[ST] ' "$drop"/* | tr -s '\n ' ' ')" "S T later "
mail 'x\n' -oem -f '' nobody
is "no sender to bounce to: exit code" $status 67
mail 'x\n' -f joe@x nobody good
is "one of two refused: exit code" $status 0
is "the other has it, the sender a bounce" "$(files "$got")" 2
mail 'x\n' -oeq -f joe@x nobody good
is "the same with -oeq: exit code" $status 0
is "the other has it, and nobody a bounce" "$(files "$got")" 1
mail 'x\n' -f joe@x nobody later
is "one refused and one put off: exit code" $status 0
is "it is kept for the one" "$(grep -h '^T' "$drop"/*)" "T later"
is "and goes back for the other" "$(files "$got")" 1
mail 'x\n' good busy fine
is "452 of one recipient is no limit" "$(cat "$got"/*.eml |
    grep -c '^[MR][AC]')" 3
is "and is no refusal" "$(grep -h '^T' "$drop"/*)" "T busy"
mail 'x\n' later good
is "one of two put off: exit code" $status 0
is "it is kept for that one" "$(grep -h '^T' "$drop"/*)" "T later"
mail 'x\n' -f full@x a b
is "no space at the server: exit code" $status 0
is "kept" "$(files "$drop")" 1
mail 'x\n' -f vanish@x a
is "the connection ends at the dot: exit code" $status 0
is "kept" "$(files "$drop")" 1
mail 'x\n' -f eager@x a
is "DATA is answered as if it had been sent: exit code" $status 0
is "kept" "$(files "$drop")" 1
mail 'x\n' -f huge@x a
is "too big: exit code" $status 69
mail ''
is "no recipients: exit code" $status 64
mail 'Subject: x\n\n' -t
is "none in the header: exit code" $status 64
mail '' -bv good nobody
is "-bv: exit code" $status 67
like "what it says" "$(cat "$SCRATCH/stdout")" \
    '^good\.\.\. deliverable: 250'
mail '' -bv nobody good
is "whatever comes behind: exit code" $status 67
mail 'EHLO x\r\n' -bs
is "-bs of one who takes no leave ends: exit code" $status 0
mail 'EHLO x\r\nMAIL FROM:<a>\r\nRCPT TO:<b>\r\nQUIT\r\n' -bs
is "-bs: exit code" $status 0
like "the dialogue is handed through" "$(tail -n 1 "$SCRATCH/stdout")" '^221'
mail 'x\n' -bd
is "-bd: exit code" $status 64
mail 'x\n' -v a
like "-v shows the dialogue" "$(cat "$SCRATCH/stdout")" '^250 2\.0\.0 taken'
NAME='Jane Doe'
export NAME
mail 'x\n' -f joe@x a
unset NAME
like "NAME is the name" "$(cat "$got"/*.eml)" '^From: Jane Doe <joe@x>'
mail 'x\n' -V 'a+b' a
like "an ENVID is xtext" "$(cat "$got"/*.eml)" ' ENVID=a[+]2Bb'
postctl pause -s joe@x 2>"$SCRATCH/stderr"
is "what postctl's verb does not take: exit code" $? 64

stop_server
start_server 0
mail 'x\n' a
is "nobody is let in: exit code" $status 0
is "kept" "$(files "$drop")" 1

stop_server
mail 'Subject: down\n\n.\nx\n' -FCronDaemon -i -B8BITMIME -oem root
is "nobody answers: exit code" $status 0
is "kept" "$(files "$drop")" 1
is "for its owner alone" "$(stat -c %a "$drop"/*)" 600
is "with the envelope, and dots as they were" \
    "$(grep -c -e '^T root' -e '^\.' "$drop"/*)" 2
mail 'x\n' -V 'a=b c' a
is "an ENVID is kept as xtext" "$(grep '^V' "$drop"/*)" 'V a+3Db+20c'
mail 'EHLO x\r\n' -bs
is "-bs while nobody answers: exit code" $status 75
mkdir "$SCRATCH/elsewhere"
mv "$drop" "$SCRATCH/elsewhere"
if [ "$(id -u)" = 0 ] && suite_user pmctl3; then
	letter=$SCRATCH/home/pmctl3/dead.letter
	printf 'Subject: dead\n\nFrom a\n' >"$SCRATCH/message"
	as_user pmctl3 "$SENDMAIL" -C "$CF" a <"$SCRATCH/message" \
	    2>"$SCRATCH/stderr"
	is "nor can it be kept: exit code" $? 75
	like "it is in dead.letter" "$(cat "$letter")" '^>From a$'
	is "for its owner alone" "$(stat -c '%a %U' "$letter")" "600 pmctl3"
	like "and that is said" "$(cat "$SCRATCH/stderr")" "$letter"
	as_user pmctl3 "$SENDMAIL" -C "$CF" -oeq a <"$SCRATCH/message"
	is "-oeq: exit code" $? 75
	is "and no dead.letter" "$(grep -c '^From ' "$letter")" 1
	: >"$SCRATCH/letter"
	chmod 666 "$SCRATCH/letter"
	chown pmctl3 "$SCRATCH/letter"
	ln -sf "$SCRATCH/letter" "$letter"
	as_user pmctl3 "$SENDMAIL" -C "$CF" a <"$SCRATCH/message" 2>/dev/null
	is "a link is no dead.letter" "$(cat "$SCRATCH/letter")" ""
	rm "$letter"
	chown root "$SCRATCH/letter"
	cp -p "$SCRATCH/letter" "$letter"
	as_user pmctl3 "$SENDMAIL" -C "$CF" a <"$SCRATCH/message" 2>/dev/null
	is "nor is another's file" "$(cat "$letter")" ""
fi
done_testing
