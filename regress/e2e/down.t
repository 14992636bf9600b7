#!/bin/sh
# While the suite is down, sendmail keeps mail in the drop directory; it is
# delivered once when the suite is there again.
. "$(dirname "$0")/suite.sh"
need_root
suite_user pmtest1
suite_conf <<EOF
  local-mailer = maildir
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
EOF
echo "root: pmtest1" >"$SCRATCH/aliases"
suite_start
suite_stop
drop=$SCRATCH/spool.drop
box=$SCRATCH/home/pmtest1/Maildir

is "the drop directory takes from all and shows nothing" \
    "$(stat -c '%a %U' "$drop")" "1733 root"
printf 'Subject: by cron\n\nwhile down\n' >"$SCRATCH/message"
submit() {
	"$@" <"$SCRATCH/message"
}
ok "root's cron job" submit "$SENDMAIL" -C "$CF" -FCronDaemon -i -B8BITMIME \
    -oem root
ok "a user's program" submit as_user pmtest1 "$SENDMAIL" -C "$CF" pmtest1
is "two files wait" "$(find "$drop" -type f | wc -l)" 2
is "none readable by others" "$(find "$drop" -type f -perm /077 | wc -l)" 0
suite_start
ok "both arrive" wait_for_mail "$box" 2 75
sleep 2
is "once" "$(mail_count "$box")" 2
is "nothing is left" "$(find "$drop" -type f | wc -l)" 0
like "as the user who wrote it" "$(cat "$box"/new/*)" \
    '^Return-Path: <pmtest1@'
like "and as root" "$(cat "$box"/new/*)" '^Return-Path: <root@'
done_testing
