#!/bin/sh
# procmail as local mailer, in the form we ship and in the sample's.
. "$(dirname "$0")/suite.sh"
need_root
need swaks procmail
suite_user pmtest1
home=$SCRATCH/home/pmtest1
cat >"$home/.procmailrc" <<'EOF'
DEFAULT=$HOME/Maildir/
:0
* ^Subject: sorted
sorted/
EOF
chown pmtest1 "$home/.procmailrc"
with_exec() {
	suite_conf <<EOF
  local-mailer = procmail
[pipe "procmail"]
  exec = $*
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
[route]
  @here.test  local()
EOF
}
with_exec /usr/bin/procmail -t -a '${EXTENSION}'
suite_start
ok "a message" send_to pmtest1@here.test plain
ok "is delivered by procmail" wait_for_mail "$home/Maildir" 1 10
like "its log line says by what" "$(cat "$SCRATCH/log")" \
    'delivered .*procmail'
ok "another" send_to pmtest1@here.test sorted
ok "is sorted by the user's recipe" wait_for_mail "$home/sorted" 1 10
suite_stop

with_exec '"/usr/bin/procmail" "-f" "${MAIL_FROM}" "-d" "${RCPT_TO}"'
suite_start
ok "the sample's form" send_to pmtest1@here.test plain
ok "delivers as well" wait_for_mail "$home/Maildir" 2 10
printf 'EXITCODE=75\nHOST\n' >"$home/.procmailrc"
ok "a recipe that puts it off" send_to pmtest1@here.test plain
ok "defers" wait_for_log 10 'deferred .*pmtest1'
done_testing
