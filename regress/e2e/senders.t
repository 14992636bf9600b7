#!/bin/sh
# Programs that send mail in the world: Python's smtplib, git send-email,
# bsd-mailx.  (swaks and smtp-source send in the other tests.)
. "$(dirname "$0")/suite.sh"
need_root
suite_user pmtest1
echo "root: /dev/null" >"$SCRATCH/aliases"
suite_conf <<EOF
  local-mailer = maildir
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
[route]
  @here.test  local()
EOF
suite_start
box=$SCRATCH/home/pmtest1/Maildir
# What these programs are pointed at: ours, with this configuration.
printf '#!/bin/sh\nexec "%s" -C "%s" "$@"\n' "$SENDMAIL" "$CF" \
    >"$SCRATCH/sendmail"
chmod 0755 "$SCRATCH/sendmail"

if command -v python3 >/dev/null; then
	ok "smtplib" python3 -c "
import smtplib
from email.message import EmailMessage
m = EmailMessage()
m['From'] = 'Jürgen <a@example.org>'
m['To'] = 'pmtest1@here.test'
m['Subject'] = 'from smtplib'
m.set_content('.dot\n..dots\nlast')
with smtplib.SMTP('127.0.0.1', $PORT) as s:
    s.send_message(m)
    s.sendmail('', ['pmtest1@here.test'], 'Subject: from nobody\r\n\r\nx')
"
	ok "arrives" wait_for_mail "$box" 2 10
	like "with its dots" "$(cat "$box"/new/*)" '^\.dot'
fi

if [ -x "$(git --exec-path)/git-send-email" ]; then
	repository=$SCRATCH/repository
	git init -q "$repository"
	(cd "$repository" && echo x >x && git add x &&
	    git -c user.name=T -c user.email=t@example.org commit -q -m first &&
	    git format-patch -q --root) >/dev/null
	before=$(mail_count "$box")
	ok "git send-email" git -C "$repository" \
	    -c sendemail.smtpserver="$SCRATCH/sendmail" \
	    -c user.name=T -c user.email=t@example.org send-email \
	    --confirm=never --quiet --to pmtest1@here.test \
	    --from t@example.org "$repository"/0001-first.patch
	ok "arrives" wait_for_mail "$box" $((before + 1)) 10
fi

mailx=$TOP/build/packages/bsd-mailx/usr/bin/bsd-mailx
if [ -x "$mailx" ]; then
	echo "set sendmail=$SCRATCH/sendmail" >"$SCRATCH/mailrc"
	before=$(mail_count "$box")
	write_with_mailx() {
		echo "by mailx" | MAILRC="$SCRATCH/mailrc" "$mailx" \
		    -s "from mailx" pmtest1@here.test
	}
	ok "bsd-mailx" write_with_mailx
	ok "arrives" wait_for_mail "$box" $((before + 1)) 10
fi
done_testing
