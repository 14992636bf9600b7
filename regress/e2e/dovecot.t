#!/bin/sh
# Dovecot reads the Maildir we write.
. "$(dirname "$0")/suite.sh"
need_root
need swaks
imap=/usr/lib/dovecot/imap
[ -x $imap ] || skip_all "needs dovecot-imapd"
suite_user pmtest1
suite_conf <<EOF
  local-mailer = maildir
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
[route]
  @here.test  local()
EOF
suite_start
box=$SCRATCH/home/pmtest1/Maildir
ok "two messages" send_to pmtest1@here.test "for the reader"
ok "are taken" send_to pmtest1@here.test "another"
ok "and arrive" wait_for_mail "$box" 2 10

cat >"$SCRATCH/dovecot.conf" <<EOF
mail_location = maildir:~/Maildir
log_path = /dev/stderr
ssl = no
EOF
chmod 0644 "$SCRATCH/dovecot.conf"
read_mail() {
	printf '%s\r\n' '1 SELECT INBOX' \
	    '2 FETCH 1:2 (RFC822.SIZE BODY.PEEK[HEADER.FIELDS (SUBJECT)])' \
	    '3 FETCH 1 BODY[TEXT]' '4 LOGOUT' |
	    as_user pmtest1 env MAIL="maildir:$box" "$imap" \
	    -c "$SCRATCH/dovecot.conf" 2>&1
}
seen=$(read_mail)
like "Dovecot sees both" "$seen" '2 EXISTS'
like "with their subjects" "$seen" 'Subject: for the reader'
like "and their text" "$seen" 'This is a test mailing'
like "without complaint" "$seen" '^4 OK'
before=$(mail_count "$box")
ok "one more" send_to pmtest1@here.test "later"
ok "beside what Dovecot has moved to cur" wait_for_mail "$box" \
    $((before + 1)) 10
done_testing
