#!/bin/sh
# The mail spool as Debian has it: 2775 root:mail, no file there at first.
. "$(dirname "$0")/suite.sh"
need_root
need swaks perl
suite_user pmtu_mbox
home=$SCRATCH/home/pmtu_mbox
mbox=/var/mail/pmtu_mbox
# No local-mailer: the default is what is looked at here.
suite_conf <<EOF
  local-domains = here.test
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
[route]
  spool@here.test  mbox($SCRATCH/box/file)
EOF
mkdir "$SCRATCH/box"
chown _maild "$SCRATCH/box"
suite_start
rm -f "$mbox"
is "the mail spool is as on Debian" "$(stat -c '%a %U:%G' /var/mail)" \
    "2775 root:mail"

messages() {
	[ "$(grep -c '^From ' "$mbox" 2>/dev/null)" = "$1" ]
}
ok "a message" send_to pmtu_mbox@here.test first
ok "is in the mailbox" wait_for 10 messages 1
is "which is the user's" "$(stat -c '%a %U:%G' "$mbox")" \
    "660 pmtu_mbox:mail"
ok "another" send_to pmtu_mbox@here.test second
ok "is behind it" wait_for 10 messages 2
no_lock() {
	[ "$(ls "$mbox"*)" = "$mbox" ]
}
ok "no lock is left" wait_for 10 no_lock

# ---- its worker
# Of this suite: an account of another namespace may have the same uid.
workers=$(pgrep -P "$(suite_pids deliver)" -u pmtu_mbox)
worker=$(for pid in $workers; do
	grep -q "^Gid:.$(getent group mail | cut -d: -f3)" "/proc/$pid/status" &&
	    echo "$pid"
done)
status=$(cat "/proc/$worker/status")
like "has no other groups" "$status" '^Groups:[[:space:]]*$'
like "no capability" "$status" '^CapPrm:.0+$'
like "no_new_privs" "$status" '^NoNewPrivs:.1$'
like "a filter" "$status" '^Seccomp:.2$'
for pid in $workers; do
	[ "$pid" = "$worker" ] ||
	    is "every other worker has the user's groups" \
	    "$(grep ^Groups: "/proc/$pid/status" | cut -f2 | tr -d ' ')" \
	    "$(id -G pmtu_mbox | tr -d ' ')"
done

# ---- a second writer, with each lock in turn
perl -MFcntl -e 'open(my $f, "+<", shift) or die; my $l = pack("s s l! l! l",
    F_WRLCK, 0, 0, 0, 0); fcntl($f, F_SETLK, $l) or die "lock: $!";
    print "held\n"; close(STDOUT); sleep 60' "$mbox" >"$SCRATCH/held" &
holder=$!
ok "another program locks it by fcntl" wait_for 5 grep -q held "$SCRATCH/held"
ok "a message" send_to pmtu_mbox@here.test third
sleep 2
ok "waits" messages 2
kill $holder
ok "until that lets go" wait_for 10 messages 3
echo $$ >"$mbox.lock"
ok "another program has the lock file" send_to pmtu_mbox@here.test fourth
sleep 2
ok "it waits" messages 3
rm -f "$mbox.lock"
ok "until that is gone" wait_for 10 messages 4
sh -c 'echo $$' >"$mbox.lock"
touch -d '6 minutes ago' "$mbox.lock"
ok "one that is stale" send_to pmtu_mbox@here.test fifth
ok "is broken" wait_for 10 messages 5

# ---- files that are not what they should be
odd() {
	ok "a message for $1" send_to pmtu_mbox@here.test "$1"
	ok "waits" wait_for_log 10 "deferred .*$2"
	postctl remove all >/dev/null
}
ln "$mbox" "$SCRATCH/link" 2>/dev/null || ln "$mbox" /var/mail/.pmtu_link
odd "a second link" 'status=4\.3\.5.*has more than one link'
rm -f "$SCRATCH/link" /var/mail/.pmtu_link
mv "$mbox" "$SCRATCH/was"
ln -s "$SCRATCH/was" "$mbox"
odd "a symbolic link" 'status=4\.3\.5.*symbolic'
rm -f "$mbox"
: >"$mbox"
chmod 0666 "$mbox"
odd "a file of root" 'status=4\.3\.5.*does not belong'
rm -f "$mbox"
mkdir "$mbox"
odd "a folder" 'status=4\.3\.[05]'
rmdir "$mbox"

# ---- mbox() elsewhere, and a .forward, which the user's worker reads
ok "mbox() of a table" send_to spool@here.test
ok "is the program user's" wait_for 10 grep -q ^Subject: "$SCRATCH/box/file"
is "and nobody else's" "$(stat -c '%a %U' "$SCRATCH/box/file")" "600 _maild"
printf '\\pmtu_mbox, |cat >>$HOME/ran\n' >"$home/.forward"
chown pmtu_mbox:pmtu_mbox "$home/.forward"
ok "a user with a .forward" send_to pmtu_mbox@here.test
ok "has it in the spool" wait_for 10 messages 1
ok "and the program ran" wait_for 10 test -s "$home/ran"
ok "the queue is empty" wait_for 10 queue_is_empty
done_testing
