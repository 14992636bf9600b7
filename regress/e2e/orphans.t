#!/bin/sh
# A body without a row is removed, but not while a damaged database that may
# know it stands in the spool.
. "$(dirname "$0")/suite.sh"
need_root
suite_user pmtest1
suite_conf <<EOF
  local-mailer = maildir
[smtpd "test"]
  listen-port = 127.0.0.1:$PORT
[route]
  @here.test  local()
EOF
suite_start

# The id of a message long gone, and the folder its body would be in.
printf 'Subject: x\n\nx\n' | sendmail pmtest1
wait_for_log 10 '^[^ ]* [^ ]* spoold[^ ]* delivered'
id=$(sed -n 's/.* delivered id=\([0-9a-v]*\) .*/\1/p' "$SCRATCH/log")
make_orphan() {
	folder=$(printf '%s\n' "$SCRATCH/spool/body"/* | head -n 1)
	echo orphan >"$folder/$id"
	chown _spoold: "$folder/$id"
}
orphan_gone() {
	[ ! -e "$folder/$id" ]
}

make_orphan
: >"$SCRATCH/spool/spool.db.bad-1"
ok "a check is made" postctl check
wait_for_log 10 'none is removed'
not_ok "an orphan stays while a damaged database is here" wait_for 5 orphan_gone
rm "$SCRATCH/spool/spool.db.bad-1"
ok "another check is made" postctl check
ok "it goes when that is gone" wait_for 20 orphan_gone

done_testing
