#!/bin/sh
# From SMTP into a Maildir, with the trace that RFC 5321 wants.
. "$(dirname "$0")/suite.sh"
need_root
need swaks
suite_user pmtest1
echo "root: /dev/null" >"$SCRATCH/aliases"
suite_conf <<EOF
  local-mailer = maildir
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
  trusted = none
[route]
  @here.test  local()
EOF
suite_start
box=$SCRATCH/home/pmtest1/Maildir

ok "a message is taken" send_to pmtest1@here.test "first"
ok "and is in the Maildir" wait_for_mail "$box" 1 10
file=$(find "$box/new" -type f | head -n 1)
is "the file belongs to the user" "$(stat -c %U "$file")" pmtest1
is "the folder is the user's alone" "$(stat -c %a "$box")" 700
like "Return-Path stands first" "$(head -n 1 "$file")" \
    '^Return-Path: <sender@example.org>'
like "Received names client, us, protocol" \
    "$(tr -d '\n' <"$file" | tr -s ' \t' '  ')" \
    'Received: from client.test \(.*127\.0\.0\.1\]?\) by mx.test .*with ESMTP'
id=$(basename "$file" | cut -d. -f2)
like "Received has the queue id, as the file name does" "$(cat "$file")" \
    "id $id"
like "the log closes the recipient" "$(cat "$SCRATCH/log")" \
    "delivered .*id=$id"
not_ok "an unknown user is refused" send_to nobody-here@here.test
not_ok "a stranger does not relay" send_to x@elsewhere.test
ok "postmaster has a route" send_to postmaster@here.test
ok "the folded case finds the user" send_to PMTEST1@HERE.test
ok "two recipients of one mailbox" send_to \
    pmtest1@here.test,pmtest1+list@here.test
ok "all arrive" wait_for_mail "$box" 3 10

# A body larger than what travels in a frame.
perl -e 'print "Subject: large\n\n"; print "x" x 70, "\n" for 1 .. 20000' \
    >"$SCRATCH/large"
before=$(mail_count "$box")
ok "a large message is taken" send_to pmtest1@here.test large \
    --data "@$SCRATCH/large"
ok "and arrives" wait_for_mail "$box" $((before + 1)) 15
large=$(find "$box/new" -type f -size +1000k | head -n 1)
is "whole" "$(grep -c '^x\{70\}' "$large")" 20000
ok "the queue is empty in the end" wait_for 10 queue_is_empty
done_testing
