#!/bin/sh
# SIGHUP replaces smtpd, policyd and relay without dropping a session; a
# broken new file changes nothing.
. "$(dirname "$0")/suite.sh"
need_root
need swaks perl
suite_user pmtest1
write_conf() {
	suite_conf <<EOF
  local-mailer = maildir
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
[route]
  @here.test  local()
  $1
EOF
}
write_conf "old@here.test  pmtest1"
suite_start
box=$SCRATCH/home/pmtest1/Maildir
spoold=$(suite_pids spoold)

# A session that is begun before the reload and ended after it.
mkfifo "$SCRATCH/go"
perl -MIO::Socket::INET -e '
	my $peer = IO::Socket::INET->new("127.0.0.1:$ARGV[0]") or exit 1;
	sub ask { print $peer "$_[0]\r\n" if defined $_[0];
		while (<$peer>) { print; return if /^\d{3} / } exit 2 }
	$| = 1;
	ask(); ask("EHLO slow.test"); ask("MAIL FROM:<a\@example.org>");
	open(my $go, "<", $ARGV[1]); <$go>;
	ask("RCPT TO:<pmtest1\@here.test>"); ask("DATA");
	ask("Subject: slow\r\n\r\nslow\r\n."); ask("QUIT")' \
    "$PORT" "$SCRATCH/go" >"$SCRATCH/session" &
session=$!
ok "a session is in its middle" wait_for 10 grep -q '2.1.0' \
    "$SCRATCH/session"

not_ok "new@ is unknown" send_to new@here.test
write_conf "new@here.test  pmtest1"
ok "reload" suite_reload
ok "new@ is known now" wait_for 10 send_to new@here.test
is "spoold is the same" "$(suite_pids spoold)" "$spoold"
echo go >"$SCRATCH/go"
wait "$session"
is "the session ended in order" $? 0
like "its message was taken" "$(cat "$SCRATCH/session")" '^250 2.0.0'
ok "both messages arrive" wait_for_mail "$box" 2 10

write_conf "new@here.test  maildir("
kill -HUP "$MAIN"
ok "a broken file is complained of" wait_for 10 \
    grep -Eq 'postmaster.cf:[0-9]+' "$SCRATCH/log"
ok "and the old one stays" send_to new@here.test
ok "to the end" wait_for_mail "$box" 3 10

# An end under way is no time for a reload: one process is held up meanwhile.
write_conf "new@here.test  pmtest1"
starts=$(grep -c 'started process=' "$SCRATCH/log")
held=$(suite_pids smtpd | tail -n 1)
kill -STOP "$held"
kill -TERM "$MAIN"
ok "the end begins" wait_for_log 10 ' end .*signal 15'
kill -HUP "$MAIN"
kill -TERM "$MAIN"
sleep 1
is "nothing is started any more" \
    "$(grep -c 'started process=' "$SCRATCH/log")" "$starts"
kill -CONT "$held"
ok "and it ends" wait_for 20 suite_gone "$MAIN"
done_testing
