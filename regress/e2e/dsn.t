#!/bin/bash
# What senders are told: NOTIFY, RET, ORCPT and ENVID at failures and delays,
# from SMTP and from sendmail's flags; who is told nothing.
# timeout: 120
. "$(dirname "$0")/suite.sh"
need_root
need python3 swaks
need_unpacked postfix
suite_user pmtu_dsn
box=$SCRATCH/home/pmtu_dsn/Maildir
me=pmtu_dsn@here.test
dead=$(suite_port)
there=$(suite_port)
knows=$(suite_port)
cat >"$SCRATCH/aliases" <<'END'
fail: "|echo this program fails; exit 65"
one: pmtu_dsn
two: pmtu_dsn, far@there.test
club: pmtu_dsn, fail
owner-club: keeper@here.test
keeper: pmtu_dsn
circle: far@knows.test, pmtu_dsn
owner-circle: keeper@here.test
END
suite_conf <<END
  local-mailer = maildir
  bounce-expire = 1d
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
[route]
  @here.test local()
  @dead.test relay(127.0.0.1:$dead)
  @there.test relay(127.0.0.1:$there)
  @knows.test relay(127.0.0.1:$knows)
  gone@here.test discard()
END
suite_start
postfix_sink -N "127.0.0.1:$there" 100
# smtp-sink drops its rights: it writes where anybody may.
mkdir -m 1777 "$SCRATCH/sink"
postfix_sink -d "$SCRATCH/sink/%H%M%S." "127.0.0.1:$knows" 100

# One transaction: parameters of MAIL, of RCPT, the recipient.
transact() {
	python3 - "$PORT" "$@" <<-'END'
	import smtplib, sys
	port, mail, rcpt, to = sys.argv[1:]
	smtp = smtplib.SMTP("127.0.0.1", int(port))
	smtp.ehlo("client.test")
	assert smtp.docmd("MAIL FROM:<pmtu_dsn@here.test> " + mail)[0] == 250
	assert smtp.docmd("RCPT TO:<%s> %s" % (to, rcpt))[0] == 250
	assert smtp.data(b"Subject: original\r\n\r\nthe body\r\n")[0] == 250
	smtp.quit()
	END
}

# The newest message in the mailbox.
newest() {
	cat "$(find "$box/new" -type f -printf '%T@ %p\n' | sort -n |
	    tail -n 1 | cut -d' ' -f2)"
}

# A report as an independent parser reads it: the fields of the delivery
# status, a line each, then what kind of original follows.
parsed() {
	python3 - <<-'END' 3<<<"$1"
	import email, os
	from email import policy
	with os.fdopen(3, "rb") as file:
	    report = email.message_from_binary_file(file, policy=policy.default)
	parts = list(report.iter_parts())
	assert report.get_content_type() == "multipart/report"
	assert report.get_param("report-type") == "delivery-status"
	assert len(parts) == 3, len(parts)
	assert parts[0].get_content_type() == "text/plain"
	assert parts[1].get_content_type() == "message/delivery-status"
	for part in [report, *report.walk()]:
	    assert not part.defects, part.defects
	blocks = [block.items() for block in parts[1].get_payload()]
	blocks = [block for block in blocks if block]
	assert {"reporting-mta", "arrival-date"} <= \
	    {name.lower() for name, value in blocks[0]}
	for block in blocks[1:]:
	    assert {"final-recipient", "action", "status"} <= \
		{name.lower() for name, value in block}
	print("reports on", len(blocks) - 1)
	for block in blocks:
	    for name, value in block:
	        print("%s: %s" % (name, value))
	print(parts[2].get_content_type())
	END
}

expect_report() {
	local before="$(mail_count "$box")" name="$1"
	shift
	transact "$@"
	ok "$name: a report" wait_for_mail "$box" $((before + 1)) 10
	report=$(newest)
}

expect_none() {
	local before="$(mail_count "$box")" name="$1"
	shift
	transact "$@"
	wait_for 10 queue_is_empty
	is "$name: none" "$(mail_count "$box")" "$before"
}

# ---- failures

expect_report "nothing asked" "" "" fail@here.test
like "from the null sender" "$report" '^Return-Path: <>$'
like "a multipart/report" "$report" \
    '^Content-Type: multipart/report; report-type=delivery-status;$'
like "marked as automatic" "$report" '^Auto-Submitted: auto-replied$'
like "with the recipient" "$report" '^Final-Recipient: rfc822; fail@here\.test$'
like "the status" "$report" '^Status: 5\.6\.0$'
like "what the program said" "$report" 'this program fails'
like "the header" "$report" '^Subject: original$'
not_ok "not the body" grep -q '^the body' <<<"$report"
not_ok "no Original-Recipient" grep -q '^Original-Recipient' <<<"$report"
expect_report "NOTIFY=FAILURE, ORCPT, ENVID, RET=FULL" \
    "RET=FULL ENVID=a+2Bb" "NOTIFY=FAILURE ORCPT=rfc822;old+2Bname@there.test" \
    fail@here.test
like "with the envelope's name" "$report" '^Original-Envelope-Id: a\+b$'
like "with the recipient as it was" "$report" \
    '^Original-Recipient: rfc822; ?old\+name@there\.test$'
like "with the body" "$report" '^the body$'
expect_report "RET=HDRS" "RET=HDRS" "NOTIFY=DELAY,FAILURE" fail@here.test
not_ok "without the body" grep -q '^the body' <<<"$report"
expect_none "NOTIFY=NEVER" "" "NOTIFY=NEVER" fail@here.test
expect_none "NOTIFY=DELAY of a failure" "" "NOTIFY=DELAY" fail@here.test
expect_none "NOTIFY=SUCCESS of a failure" "" "NOTIFY=SUCCESS" fail@here.test

before=$(mail_count "$box")
printf 'Subject: by sendmail\n\nthe body\n' | sendmail -f "$me" \
    -N failure,delay -R full -V my-id fail
ok "sendmail -N -R -V: a report" wait_for_mail "$box" $((before + 1)) 10
like "with the envelope's name" "$(newest)" '^Original-Envelope-Id: my-id$'
like "and the body" "$(newest)" '^the body$'
before=$((before + 1))
echo x | sendmail -f "$me" -N never fail
wait_for 10 queue_is_empty
is "sendmail -N never: none" "$(mail_count "$box")" "$before"
echo x | sendmail -f '<>' fail
wait_for 10 queue_is_empty
is "a null sender: none" "$(mail_count "$box")" "$before"
ok "but a line in the log" wait_for_log 5 'double-bounce .*fail'

# ---- success

expect_success() {	# name, ORCPT, action, recipient, final recipient
	expect_report "$1" "ENVID=my-2 RET=FULL" \
	    "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;$2" "$4"
	[ "$4" != "$me" ] || report=$(cat $(grep -l "^Action: $3" \
	    "$box"/new/*) </dev/null)
	fields=$(parsed "$report")
	like "$1: as $3" "$fields" "^Action: $3$"
	like "$1: for the one it was sent to" "$fields" \
	    "^Final-Recipient: rfc822; ?$5$"
	like "$1: once" "$fields" '^reports on 1$'
	like "$1: good" "$fields" '^Status: 2\.'
	like "$1: with its envelope" "$fields" '^Original-Envelope-Id: my-2$'
	like "$1: and recipient" "$fields" \
	    "^Original-Recipient: rfc822;$2$"
	like "$1: and the sender's server" "$fields" \
	    '^Received-From-MTA: dns; client\.test$'
	like "$1: and its header only" "$fields" '^text/rfc822-headers$'
}

expect_none "a mailbox, success not asked for" "" "NOTIFY=FAILURE" \
    gone@here.test
expect_success "a hop without DSN" a@b.test relayed far@there.test \
    'far@there\.test'
not_ok "no Diagnostic-Code of success" grep -q '^Diagnostic-Code: x-' \
    <<<"$fields"
expect_success "nowhere" a@b.test delivered gone@here.test 'gone@here\.test'

# A mailbox: the message itself, and the report.
rm -f "$box"/new/*
transact "" NOTIFY=SUCCESS "$me"
ok "a mailbox: the message and a report" wait_for_mail "$box" 2 10
fields=$(parsed "$(grep -h "" $(grep -l '^Action: ' "$box"/new/*))")
like "as delivered" "$fields" '^Action: delivered$'
like "there" "$fields" '^Final-Recipient: rfc822; ?pmtu_dsn@here\.test$'
like "by this machine" "$fields" '^Reporting-MTA: dns; ?mx\.test$'

rm -f "$box"/new/*
swaks --server 127.0.0.1 --port "$PORT" --from "$me" --to "$me" \
    --helo client.test --hide-all
ok "none where it was not asked for" wait_for_mail "$box" 1 10
sleep 0.5
is "but the message" "$(mail_count "$box")" 1

# An alias for one is passed through, one for several is not.
rm -f "$box"/new/*
transact "" NOTIFY=SUCCESS one@here.test
ok "an alias for one: message and report" wait_for_mail "$box" 2 10
fields=$(parsed "$(grep -h "" $(grep -l '^Action: ' "$box"/new/*))")
like "delivered" "$fields" '^Action: delivered$'
rm -f "$box"/new/*
transact "" "NOTIFY=SUCCESS ORCPT=rfc822;two@here.test" two@here.test
ok "an alias for several: message and report" wait_for_mail "$box" 2 10
wait_for 10 queue_is_empty
sleep 0.3
is "no more" "$(mail_count "$box")" 2
fields=$(parsed "$(grep -h "" $(grep -l '^Action: ' "$box"/new/*))")
like "expanded" "$fields" '^Action: expanded$'
like "as a whole" "$fields" '^Final-Recipient: rfc822; ?two@here\.test$'
not_ok "its members are not told" grep -q there.test <<<"$fields"

# A list with an owner is where the message was sent to; its failures are the
# owner's, whatever the sender wanted.
rm -f "$box"/new/*
transact "ENVID=mine" "NOTIFY=SUCCESS ORCPT=rfc822;club@here.test" \
    club@here.test
ok "a list: message, report, and the owner's bounce" \
    wait_for_mail "$box" 3 10
wait_for 10 queue_is_empty
sleep 0.3
is "no more" "$(mail_count "$box")" 3
fields=$(parsed "$(grep -h "" $(grep -l '^Action: delivered' "$box"/new/*))")
like "delivered to the list" "$fields" \
    '^Final-Recipient: rfc822; ?club@here\.test$'
report=$(grep -h "" $(grep -l '^Action: failed' "$box"/new/*))
fields=$(parsed "$report")
like "the owner is told of the failure" "$report" '^To: owner-club@here\.test'
not_ok "not with the sender's envelope" grep -q Original- <<<"$fields"
rm -f "$box"/new/*
transact "" NOTIFY=NEVER club@here.test
ok "also if the sender wants no report" wait_for_mail "$box" 2 10
rm -f "$box"/new/*

# What the sender asked for goes on to a server that knows it; of a list with
# an owner it is the owner's to ask.
arguments() {
	cat "$SCRATCH"/sink/* 2>/dev/null | grep "^X-$1-Args: .*$2"
}
transact "RET=FULL ENVID=mine" "NOTIFY=SUCCESS ORCPT=rfc822;x@a.test" \
    far@knows.test
ok "to a server that knows DSN" wait_for 10 arguments Mail pmtu_dsn
like "with the sender's RET and ENVID" "$(arguments Mail pmtu_dsn)" \
    'RET=FULL ENVID=mine'
like "and NOTIFY and ORCPT" "$(arguments Rcpt far)" \
    'NOTIFY=SUCCESS ORCPT=rfc822;x@a\.test'
rm -f "$SCRATCH"/sink/*
transact "RET=FULL ENVID=mine" "NOTIFY=SUCCESS ORCPT=rfc822;x@a.test" \
    circle@here.test
ok "from the owner of a list" wait_for 10 arguments Mail owner-circle
arguments Mail owner-circle >"$SCRATCH/arguments"
not_ok "without them" grep -q 'RET=\|ENVID=' "$SCRATCH/arguments"
is "told of failures alone" "$(arguments Rcpt far |
    grep -o 'NOTIFY=.*' | tr -d '\r')" NOTIFY=FAILURE
ok "message and report are here" wait_for_mail "$box" 2 10
wait_for 10 queue_is_empty
rm -f "$box"/new/*

# ---- the text

report_of() {	# the text part of the report, its lines joined
	python3 -c 'import email, sys
from email import policy
report = email.message_from_file(sys.stdin, policy=policy.default)
print(" ".join(report.get_body(("plain",)).get_content().split()))'
}

echo x | sendmail -f "$me" fail
ok "a bare name fails" wait_for_mail "$box" 1 10
like "and has a domain in the report" "$(parsed "$(newest)")" \
    '^Final-Recipient: rfc822; ?fail@'
text=$(newest | report_of)
like "the reason is a sentence" "$text" \
    'The program that takes the mail for this address refused the message\.'
like "with what to do" "$text" 'The postmaster of this system can help\.'
like "and the details" "$text" 'In detail: .*this program fails'
like "and whom to ask, and with what" "$text" \
    'number [0-9a-v]{13}; whoever asks <postmaster@mx\.test>'
not_ok "no server of a local message" grep -q Received-From-MTA <<<"$(newest)"

sized() {	# octets: a message that fails, RET=FULL
	rm -f "$box"/new/*
	{ printf 'Subject: sized\n\n'; yes "line of the body" |
	    head -c "$1"; } | sendmail -f "$me" -R full fail@here.test
	wait_for_mail "$box" 1 10
	report=$(newest)
}
ok "40 KB" sized 40000
like "come back whole" "$(parsed "$report")" '^message/rfc822$'
like "all of them" "$(grep -c 'line of the body' <<<"$report")" '^2[0-9]{3}$'
ok "100 KB" sized 100000
like "come back as a header" "$(parsed "$report")" '^text/rfc822-headers$'
like "which is said" "$(report_of <<<"$report")" \
    'too large to be returned as a whole \([0-9]+ octets\); only its header'

# ---- delays

waiting() { [ "$(queue_count)" = "$1" ]; }
tried() { [ "$(grep -c ' deferred id=' "$SCRATCH/log")" -ge "$1" ]; }
closings() { grep -c ' closed hop=' "$SCRATCH/log"; }
closed_after() { [ "$(closings)" -gt "$1" ]; }
notices() { grep -c ' delay-notice ' "$SCRATCH/log"; }

message() {
	printf 'Subject: %s\nTo: %s@dead.test\n%s\n\ntext\n' "$1" "$1" "$2" |
	    sendmail -f "$3" -N "${4:-delay,failure}" "$1@dead.test"
}
message plain "X-Nothing: here" "$me"
message bulk "Precedence: bulk" "$me"
message list "Precedence: list" "$me"
message junk "precedence: Junk" "$me"
message auto "Auto-Submitted: auto-generated" "$me"
message no "Auto-Submitted: no" "$me"
message null "X-Nothing: here" "<>"
message failure "X-Nothing: here" "$me" failure
ok "all wait" wait_for 10 tried 8
before=$(mail_count "$box")
for id in $(postctl -j list | sed 's/.*"queue_id": "\([^"]*\)".*/\1/'); do
	postctl age "$id" 5h >/dev/null
done
closed=$(closings)
runq
ok "their hop is tried again" wait_for 15 closed_after "$closed"
ok "two are told of" wait_for_mail "$box" $((before + 2)) 10
sleep 0.5
is "no more" "$(mail_count "$box")" $((before + 2))
like "the plain one" "$(cat "$box"/new/*)" '^Subject: plain$'
like "that which is not automatic" "$(cat "$box"/new/*)" '^Subject: no$'
like "as delayed" "$(cat "$box"/new/*)" '^Action: delayed$'
like "and until when it is tried" "$(cat "$box"/new/*)" '^Will-Retry-Until: '
is "nothing is bounced by it" "$(queue_count)" 8
done_testing
