#!/bin/bash
# A user's disk is frozen while mail is delivered to it, and the worker sleeps
# where nothing ends it: his mail is put off with a reason, that of others goes
# on, and it comes once when the disk is there again.
# timeout: 180
. "$(dirname "$0")/suite.sh"
need_root
need mkfs.ext4 fsfreeze swaks
disk=$SCRATCH/disk
mkdir "$disk"
truncate -s 16M "$disk.image"
end_disk() {
	fsfreeze -u "$disk" 2>/dev/null
	suite_stop
	umount "$disk" 2>/dev/null
	suite_end
}
trap end_disk EXIT
mkfs.ext4 -q "$disk.image" 2>/dev/null &&
    mount -o loop "$disk.image" "$disk" 2>/dev/null &&
    fsfreeze -f "$disk" 2>/dev/null && fsfreeze -u "$disk" ||
	skip_all "cannot freeze a disk"
suite_user pmtu_stuck "$disk/pmtu_stuck"
suite_user pmtu_other
suite_conf <<END
  local-mailer = maildir
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
[route]
  @here.test  local()
END
suite_start
box=$disk/pmtu_stuck/Maildir
send_to pmtu_stuck@here.test first
ok "his mail is delivered" wait_for_mail "$box" 1 10

# For good, not for a page from the disk.
sleeps() {
	local i
	for i in 1 2 3 4 5 6 7 8; do
		ps -o stat= --ppid "$(suite_pids deliver | head -n 1)" |
		    grep -q '^D' || return 1
		sleep 0.1
	done
}

reason() {
	postctl show "$1" | sed -n 's/^ *reason: //p' | head -n 1
}

is_put_off() {
	[ -n "$(reason "$1")" ]
}

fsfreeze -f "$disk"
send_to pmtu_stuck@here.test second
second=$(postctl list | grep -Eo '^[0-9a-v]{13}' | head -n 1)
ok "on a frozen disk his worker sleeps" wait_for 10 sleeps
# Each spoold that is new wants what the one before had started ended.
suite_kill spoold
ok "it is given up" wait_for_log 40 'worker-stuck user=pmtu_stuck'
ok "his mail is put off" wait_for 20 is_put_off "$second"
is "with a reason" "$(reason "$second")" \
    "its user's process hangs and cannot be killed"
like "for an hour" "$(postctl show "$second" | grep ' next: ')" \
    'in (59|60) min'
send_to pmtu_other@here.test other
ok "others get theirs" wait_for_mail "$SCRATCH/home/pmtu_other/Maildir" 1 10
suite_reload
send_to pmtu_stuck@here.test third
ok "a reload changes none of it" wait_for 10 eval \
    '[ "$(grep -c "deferred .*to=pmtu_stuck@" "$SCRATCH/log")" -ge 2 ]'
is "it sleeps on" "$(sleeps && echo yes)" yes
fsfreeze -u "$disk"
ok "it ends when it can" wait_for_log 10 'worker-ended user=pmtu_stuck'
postctl retry all >/dev/null
ok "and what waited arrives" wait_for_mail "$box" 3 10
ok "nothing is left" wait_for 10 queue_is_empty
is "each came once" "$(grep -h '^Subject: ' "$box"/new/* | sort | uniq -c |
    awk '{ print $1, $3 }')" "1 first
1 second
1 third"
done_testing
