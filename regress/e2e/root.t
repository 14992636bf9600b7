#!/bin/sh
# Root's mail without an alias goes to the account mail, by mbox; with one it
# follows it.  cron's exact line.
. "$(dirname "$0")/suite.sh"
need_root
suite_user pmtest1
mbox=/var/mail/mail
[ ! -e $mbox ] || mv $mbox "$SCRATCH/saved"
suite_conf <<EOF
  local-mailer = maildir
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
EOF
suite_start

send() {
	echo "a line" | sendmail "$@"
}

ok "sendmail root" send root
ok "is in /var/mail/mail" wait_for 10 grep -qs "^a line" $mbox
is "which belongs to mail" "$(stat -c %U:%G $mbox)" mail:mail
rm -f $mbox
echo "root: pmtest1" >"$SCRATCH/aliases"
ok "cron's line" send -FCronDaemon -i -B8BITMIME -oem root
ok "follows the alias" wait_for_mail "$SCRATCH/home/pmtest1/Maildir" 1 10
like "From is made up" "$(cat "$SCRATCH"/home/pmtest1/Maildir/new/*)" \
    '^From: "?CronDaemon"? <root@'
[ ! -e "$SCRATCH/saved" ] || mv "$SCRATCH/saved" $mbox
done_testing
