#!/bin/bash
# What senders are told: NOTIFY, RET, ORCPT and ENVID at failures and delays,
# from SMTP and from sendmail's flags; who is told nothing.
# timeout: 120
. "$(dirname "$0")/suite.sh"
need_root
suite_user pmtu_dsn
box=$SCRATCH/home/pmtu_dsn/Maildir
me=pmtu_dsn@here.test
dead=$(suite_port)
cat >"$SCRATCH/aliases" <<'END'
fail: "|echo this program fails; exit 65"
END
suite_conf <<END
  local-mailer = maildir
  bounce-expire = 1d
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
[route]
  @here.test local()
  @dead.test relay(127.0.0.1:$dead)
END
suite_start

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

# ---- delays

waiting() { [ "$(queue_count)" = "$1" ]; }
tried() { [ "$(grep -c ' deferred id=' "$SCRATCH/log")" -ge "$1" ]; }
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
runq
ok "all are tried again" wait_for 15 tried 16
ok "two are told of" wait_for_mail "$box" $((before + 2)) 10
sleep 0.5
is "no more" "$(mail_count "$box")" $((before + 2))
like "the plain one" "$(cat "$box"/new/*)" '^Subject: plain$'
like "that which is not automatic" "$(cat "$box"/new/*)" '^Subject: no$'
like "as delayed" "$(cat "$box"/new/*)" '^Action: delayed$'
like "and until when it is tried" "$(cat "$box"/new/*)" '^Will-Retry-Until: '
is "nothing is bounced by it" "$(queue_count)" 8
done_testing
