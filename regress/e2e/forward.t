#!/bin/sh
# ~/.forward: addresses, \user, |program, /file; unsafe ones are refused.
. "$(dirname "$0")/suite.sh"
need_root
need swaks
suite_user pmtest1
suite_user pmtest2
suite_conf <<EOF
  local-mailer = maildir
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
[route]
  @here.test  local()
  nowhere@here.test  discard()
EOF
suite_start
home1=$SCRATCH/home/pmtest1
box1=$home1/Maildir
box2=$SCRATCH/home/pmtest2/Maildir

forward() {
	printf '%s\n' "$@" >"$home1/.forward"
	chown pmtest1:pmtest1 "$home1/.forward"
	chmod 0644 "$home1/.forward"
}

forward '\pmtest1, pmtest2@here.test'
ok "a message to a user with a .forward" send_to pmtest1@here.test
ok "\\user keeps a copy" wait_for_mail "$box1" 1 10
ok "the address gets one" wait_for_mail "$box2" 1 10

forward 'pmtest1'
ok "a user who forwards to himself" send_to pmtest1@here.test
ok "gets it in his mailbox" wait_for_mail "$box1" 2 10

cat >"$home1/program" <<'EOF'
#!/bin/sh
{ id -un; pwd; env; grep NoNewPrivs /proc/self/status; cat; } >"$HOME/seen.new"
mv "$HOME/seen.new" "$HOME/seen"
EOF
chmod 0755 "$home1/program"
chown pmtest1 "$home1/program"
forward "\"|$home1/program\""
ok "a message for a program" send_to pmtest1@here.test "for the program"
ok "runs it" wait_for 10 test -s "$home1/seen"
seen=$(cat "$home1/seen" 2>/dev/null)
is "as the user" "$(printf '%s\n' "$seen" | head -n 1)" pmtest1
is "in his home" "$(printf '%s\n' "$seen" | sed -n 2p)" "$home1"
like "with SENDER" "$seen" '^SENDER=sender@example.org$'
like "with RECIPIENT" "$seen" '^RECIPIENT=pmtest1@here.test$'
like "in no jail" "$seen" 'NoNewPrivs:.*0'
like "and the message" "$seen" '^Subject: for the program'

forward "$home1/a-file"
ok "a message for a file" send_to pmtest1@here.test "for the file"
ok "is in the file" wait_for 10 grep -qs '^Subject: for the file' \
    "$home1/a-file"
is "which is the user's" "$(stat -c %U "$home1/a-file")" pmtest1

forward 'pmtest2@here.test'
chmod 0666 "$home1/.forward"
ok "a .forward anybody can write to" send_to pmtest1@here.test
ok "is refused, and the mail waits" wait_for_log 10 \
    'deferred .*to=.*pmtest1.*4\.3\.5'
chmod 0644 "$home1/.forward"
before=$(mail_count "$box2")
runq >/dev/null
ok "made safe, it is obeyed" wait_for_mail "$box2" $((before + 1)) 10
ok "the queue is empty" wait_for 10 queue_is_empty

forward "$(seq -f 'nowhere+%g@here.test' 700)" 'pmtest2@here.test'
before=$(mail_count "$box2")
ok "a message for a .forward of 701 lines" send_to pmtest1@here.test
ok "reaches the last" wait_for_mail "$box2" $((before + 1)) 20
ok "and all the others" wait_for 20 queue_is_empty
is "once" "$(grep -c ' delivered .*to=nowhere[+]' "$SCRATCH/log")" 700
is "and not the user" "$(mail_count "$box1")" 2
done_testing
