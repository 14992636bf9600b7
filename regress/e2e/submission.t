#!/bin/sh
# What sendmail makes of its input and of who calls it, as it arrives.
. "$(dirname "$0")/suite.sh"
need_root
need swaks
need_unpacked postfix
suite_user pmtu_sub
suite_user pmtu_two
usermod -c 'Jo & Co,Room 1' pmtu_sub
sink=$(suite_port)
box=$SCRATCH/home/pmtu_sub/Maildir
two=$SCRATCH/home/pmtu_two/Maildir
mkdir -m 1777 "$SCRATCH/sink"
suite_conf <<EOF
  local-mailer  = maildir
  local-domains = here.test, mx.test
  mail-name     = here.test
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
[route]
  @sink.test  relay(127.0.0.1:$sink)
  @null.test  discard()
EOF
postfix_sink -d "$SCRATCH/sink/%H%M%S." "127.0.0.1:$sink" 100
suite_start

# mail TEXT FLAGS ...: by the user; $status is the exit code
mail() {
	local text="$1"
	shift
	rm -f "$box"/new/* "$two"/new/*
	printf "$text" >"$SCRATCH/input"
	as_user pmtu_sub "$SENDMAIL" -C "$CF" "$@" <"$SCRATCH/input" \
	    >"$SCRATCH/stdout" 2>"$SCRATCH/stderr"
	status=$?
}
# The message that has arrived, in $message.
arrived() {
	ok "$1" wait_for_mail "${2:-$box}" 1 10
	message=$(cat "${2:-$box}"/new/* | tr -d '\r')
}
body() {
	printf '%s\n' "$message" | sed '1,/^$/d'
}

# ---- the input
mail 'From joe Thu Jan 1\n>From moe Thu Jan 1\nno header, this\nlone\rCR\r\nN\000UL\nFrom here\n.\nlost\n' pmtu_sub
arrived "lines of all kinds"
is "are the body" "$(body)" "no header, this
lone
CR
NUL
From here"
like "behind a header of ours" "$message" '^Message-ID: '
mail 'Subject: x\n\na\n.\nb' -i pmtu_sub
arrived "with -i"
is "a dot is text, and the last line is ended" "$(body)" "a
.
b"
mail 'Subject: x\nReturn-Path: <z@z>\nBcc: a@b\n c@d\nResent-Bcc: e@f\nContent-Length: 3\nX-Kept: 1\n\nbody\n' pmtu_sub
arrived "fields that must not travel"
is "do not" "$(printf '%s\n' "$message" | grep -cE \
    '^(Bcc|Resent-Bcc|Content-Length|Return-Path: <z| c@d)')" 0
like "and others do" "$message" '^X-Kept: 1$'
printf 'EHLO x\r\nMAIL FROM:<pmtu_two>\r\nRCPT TO:<pmtu_sub>\r\nDATA\r\nBcc: a@b\r\nContent-Length: 7\r\nX-Kept: 2\r\n\r\nx\r\n.\r\nQUIT\r\n' \
    >"$SCRATCH/dialogue"
rm -f "$box"/new/*
ok "by -bs" sh -c '"$1" -C "$2" -bs <"$3"' - "$SENDMAIL" "$CF" \
    "$SCRATCH/dialogue"
arrived "it is the same"
is "those do not travel" "$(printf '%s\n' "$message" |
    grep -cE '^(Bcc|Content-Length)')" 0
like "a bare sender is completed" "$message" '^Return-Path: <pmtu_two@here\.test>'
rm -f "$box"/new/*
ok "by SMTP" send_to pmtu_sub@here.test x --add-header "Bcc: a@b" \
    --add-header "Content-Length: 3" --add-header "From: bare"
arrived "nothing is repaired"
is "all are there" "$(printf '%s\n' "$message" |
    grep -cE '^(Bcc: a@b|Content-Length: 3|From: bare)$')" 3

# ---- long lines
long() {
	perl -e 'print "Subject: long\nX-Long: ", "h" x 3000, "\n\n", "b" x
	    100000, "\nend\n"'
}
long >"$SCRATCH/long"
rm -f "$box"/new/*
ok "long lines of a program" sendmail pmtu_sub <"$SCRATCH/long"
arrived "are taken"
is "whole" "$(printf '%s\n' "$message" | awk '{ print length($0) }' |
    sort -n | tail -n 1)" 100000
rm -f "$box"/new/*
ok "by SMTP, too" send_to pmtu_sub@here.test x --data "@$SCRATCH/long"
arrived "they are taken"
is "whole" "$(printf '%s\n' "$message" | awk '{ print length($0) }' |
    sort -n | tail -n 1)" 100000
ok "to another server" sendmail x@sink.test <"$SCRATCH/long"
in_sink() {
	grep -qs '^end' "$SCRATCH"/sink/*
}
ok "they are sent" wait_for 10 in_sink
cat "$SCRATCH"/sink/* | tr -d '\r' >"$SCRATCH/sent"
is "broken" "$(awk 'length($0) > 998' "$SCRATCH/sent" | wc -l)" 0
is "the header by a blank" "$(sed -n '/^X-Long/,/^$/p' "$SCRATCH/sent" |
    grep -c '^ h')" 3
is "and nothing is lost" "$(grep -o b "$SCRATCH/sent" | wc -l | awk '{
    print ($1 >= 100000) }')" 1
like "the log says so" "$(grep relay "$SCRATCH/log")" 'lines?.*99[0-9]|broke'

# ---- who sends
mail 'Subject: x\n\n' pmtu_two
arrived "from a user" "$two"
like "the envelope" "$message" '^Return-Path: <pmtu_sub@here\.test>$'
like "From, with & expanded, up to the comma" "$message" \
    '^From: Jo Pmtu_sub Co <pmtu_sub@here\.test>$'
uid=$(id -u pmtu_sub)
like "the uid stands in Received" "$(printf '%s\n' "$message" | tr '\n' ' ')" \
    "userid $uid"
like "and in the log" "$(cat "$SCRATCH/log")" "uid=$uid"
mail 'Subject: x\n\n' -F 'Some, Body' pmtu_two
arrived "with -F" "$two"
like "that is the name" "$message" '^From: "Some, Body" <pmtu_sub@here'
as_user pmtu_sub env NAME="By Environment" "$SENDMAIL" -C "$CF" pmtu_two \
    </dev/null
is "NAME: exit code" $? 0
ok "arrives" wait_for_mail "$two" 2 10
like "that is the name" "$(cat "$two"/new/*)" '^From: By Environment <'
for sender in -fother@far.test -rother@far.test; do
	mail 'Subject: x\n\n' "$sender" pmtu_two
	arrived "$sender" "$two"
	like "is honoured" "$message" '^Return-Path: <other@far\.test>$'
	not_ok "without a warning" grep -qi X-Authentication "$two"/new/*
done
for sender in '' '<>'; do
	mail 'Subject: x\n\n' -f "$sender" pmtu_two
	arrived "-f '$sender'" "$two"
	like "is nobody" "$message" '^Return-Path: <>$'
done
mail 'Subject: x\n\n' -f bare pmtu_two
arrived "-f with a bare name" "$two"
like "gets the mail name" "$message" '^Return-Path: <bare@here\.test>$'
mail 'From: joe\nSender: joe\nReply-To: joe, ann@far.test\nTo: joe (x), "Q" <ann>\nCc: joe\nX-Other: joe\n\n' pmtu_two
arrived "bare addresses of the header" "$two"
is "are completed" "$(printf '%s\n' "$message" | grep -E \
    '^(From|Sender|Reply-To|To|Cc|X-Other):')" 'From: joe@here.test
Sender: joe@here.test
Reply-To: joe@here.test, ann@far.test
To: joe@here.test (x), "Q" <ann@here.test>
Cc: joe@here.test
X-Other: joe'

# ---- recipients
mail 'To: nobody-here-1\nResent-To: pmtu_two\nResent-From: x@y\nReceived: by z\nResent-To: nobody-here-2\nBcc: nobody-here-3\n\n' -t
is "-t with Resent- fields: exit code" $status 0
arrived "only the newest block counts" "$two"
mail 'Subject: half\n\n' pmtu_two nobody-here-1
is "one of two refused: exit code" $status 0
arrived "the other has it" "$two"
arrived "the sender has a bounce"
like "with the reason" "$message" '^Status: 5\.1\.1'
like "from nobody" "$message" '^Return-Path: <>$'
mail 'Subject: all\n\n' nobody-here-1 nobody-here-2
is "all refused: exit code" $status 67
like "with the reason" "$(cat "$SCRATCH/stderr")" 'nobody-here-2.*5\.1\.1'
mail 'Subject: all\n\n' -oem nobody-here-1
is "with -oem: exit code" $status 0
arrived "and a bounce"
before=$(grep -c ' queued ' "$SCRATCH/log")
mail 'Subject: many\n\n' $(seq -f 'r%.0f@null.test' 2500)
is "2,500 recipients: exit code" $status 0
all_delivered() {
	[ "$(grep -c ' delivered .*@null\.test' "$SCRATCH/log")" = 2500 ]
}
ok "each has it" wait_for 20 all_delivered
is "in groups of the server's limit" \
    "$(($(grep -c ' queued ' "$SCRATCH/log") - before))" 3
mail '' -q15m
like "-q15m is runq: exit code" "$status" '^(0|75)$'
like "it ran the queue" "$(cat "$SCRATCH/log")" " run uid=$uid"

# ---- a suite that is there and does not answer
drop=$SCRATCH/spool.drop
local_smtpd=$(for pid in $(suite_pids smtpd); do
	tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q ' 0 $' && echo "$pid"
done)
kill -STOP "$local_smtpd"
started=$(date +%s)
mail 'Subject: hangs\n\n' pmtu_two
is "nobody answers: exit code" $status 0
ok "after 5 seconds" [ $(($(date +%s) - started)) -le 8 ]
is "the message is kept" "$(find "$drop" -type f | wc -l)" 1
kill -CONT "$local_smtpd"
ok "and is delivered within a minute or so" wait_for_mail "$two" 1 70
sleep 1
is "once" "$(mail_count "$two")" 1
is "nothing is kept any more" "$(find "$drop" -type f | wc -l)" 0
done_testing
