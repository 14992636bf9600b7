#!/bin/bash
# The spool on a small disk that fills up: mail is put off, what is in the
# queue goes on, and when there is room again so does the rest, all by the
# same processes.
# timeout: 240
. "$(dirname "$0")/suite.sh"
need_root
need python3 swaks
spool=$SCRATCH/spool
mkdir -p "$spool"
truncate -s 118M "$SCRATCH/disk"
if mkfs.ext4 -q -m 0 -O ^has_journal "$SCRATCH/disk" 2>/dev/null &&
    mount -o loop "$SCRATCH/disk" "$spool" 2>/dev/null; then
	# It is not empty: there is a lost+found in it.
	chown _spoold "$spool"
	chmod 0700 "$spool"
	diag "ext4 on a loop device"
elif mount -t tmpfs -o size=110m,mode=0755 tmpfs "$spool" 2>/dev/null; then
	diag "tmpfs"
else
	skip_all "cannot mount a small disk"
fi
end_disk() {
	suite_stop
	umount "$spool" 2>/dev/null
	suite_end
}
trap end_disk EXIT
suite_user pmtu_full
suite_conf <<END
  local-mailer = maildir
  disk-reserve = 2M
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
[route]
  @here.test  local()
  @dead.test  relay(127.0.0.1:9)
END
suite_start
box=$SCRATCH/home/pmtu_full/Maildir
spoold=$(suite_pids spoold)

free_kib() {
	df -k --output=avail "$spool" | tail -n 1 | tr -d ' '
}

# Leave so many KiB of the disk.
leave() {
	rm -f "$spool/filler"
	fallocate -l "$(($(free_kib) - $1))K" "$spool/filler" 2>/dev/null
}

# The reply to MAIL.
mail_reply() {
	swaks --server 127.0.0.1 --port "$PORT" --from a@b.test \
	    --to pmtu_full@here.test --quit-after MAIL 2>&1 |
	    sed -n '/-> MAIL/{n;p;}' | sed 's/^<[-*~]* *//'
}

takes_mail() {
	mail_reply | grep -q '^250 '
}

takes_none() {
	mail_reply | grep -q '^452 4\.3\.1 '
}

# Send one of so many KiB; the reply to its end.
reply_to_large() {
	python3 - "$PORT" "$1" <<-'PYTHON'
	import smtplib, sys
	body = ('x' * 62 + '\r\n') * 16 * int(sys.argv[2])
	client = smtplib.SMTP('127.0.0.1', int(sys.argv[1]), timeout=60)
	try:
	    client.sendmail('a@b.test', 'pmtu_full@here.test',
	                    'Subject: large\r\n\r\n' + body)
	    print(250)
	except smtplib.SMTPResponseException as error:
	    print(error.smtp_code, error.smtp_error.decode())
	PYTHON
}

ok "there is room" takes_mail
is "a large message is taken" "$(reply_to_large 8000)" 250
ok "and delivered" wait_for_mail "$box" 1 20

# It fills up in the midst of a message.
leave 4000
like "one that does not fit is put off" "$(reply_to_large 8000)" '^452 4\.3\.1'
is "nothing of it is left" "$(find "$spool/body" -type f)" ""
ok "then mail is put off at MAIL" takes_none
like "the operator is told" "$(cat "$SCRATCH/log")" \
    'spool takes-mail=no reason='
rm "$spool/filler"
ok "there is room again: mail is taken" wait_for 30 takes_mail

# What is in the queue, on a disk without an octet left.
postctl pause >/dev/null
for i in $(seq 1 60); do
	echo "Subject: number $i"
done | python3 -c '
import smtplib, sys
client = smtplib.SMTP("127.0.0.1", int(sys.argv[1]), timeout=60)
for line in sys.stdin:
    client.sendmail("a@b.test", "pmtu_full@here.test", line + "\n" + "x" * 9000)
client.sendmail("a@b.test", "x@dead.test", "Subject: dead\n\ndead\n")
' "$PORT"
is "there is a queue" "$(queue_count)" 61
leave 0
is "the disk is full" "$(free_kib)" 0
ok "mail is put off" wait_for 10 takes_none
postctl resume >/dev/null
ok "the queue is delivered" wait_for_mail "$box" 61 30
ok "and what was done is recorded" wait_for 30 eval '[ "$(queue_count)" = 1 ]'
ok "an attempt that failed is, too" wait_for_log 10 'deferred .*x@dead.test'
ok "mail is put off still" takes_none
echo local | sendmail pmtu_full@here.test
is "a local program hears of success" $? 0
is "its message waits beside the spool" \
    "$(find "$spool.drop" -type f | wc -l)" 1
rm "$spool/filler"
ok "there is room again: mail is taken once more" wait_for 30 takes_mail
send_to pmtu_full@here.test last
ok "and delivered" wait_for 20 grep -rqs '^Subject: last' "$box/new"
ok "what waited beside the spool as well" wait_for 90 \
    grep -rqs '^local' "$box/new"
is "all by the same spoold" "$(suite_pids spoold)" "$spoold"
is "nothing came twice" "$(find "$box/new" -type f | sed 's,.*/,,' |
    cut -d. -f2 | sort | uniq -d)" ""
suite_kill spoold
ok "one that is started afresh finds all as it was" wait_for 20 \
    eval '[ "$(queue_count)" = 1 ]'
done_testing
