#!/bin/sh
# timeout: 600
# The configuration of the contract, as it is but for folder and port: 4,000
# messages over 40 connections, every one in the Maildir.
. "$(dirname "$0")/suite.sh"
need_root
need_unpacked postfix
suite_user pmtest1
mkdir "$SCRATCH/x"
sed "s,/tmp/x,$SCRATCH/x,; s,:2525,:$PORT," >"$CF" <<'EOF'
[core]
  hostname        = mx.bench.test
  spool-directory = /tmp/x/spool
  run-directory   = /tmp/x/run
  local-mailer    = maildir
  logger          = log
[logfile "log"]
  file = "/tmp/x/log"
[smtpd "bench"]
  listen-port = 127.0.0.1:2525
[route]
  @bench.test   local()
  @dead.test    relay(127.0.0.1:9)
EOF
chmod 0755 "$SCRATCH/x"
suite_start
box=$SCRATCH/home/pmtest1/Maildir

ok "4,000 messages over 40 connections are taken" \
    postfix_tool smtp-source -s 40 -m 4000 -l 4096 -f sender@example.org \
    -t pmtest1@bench.test "127.0.0.1:$PORT"
ok "every one is in the Maildir" wait_for_mail "$box" 4000 180
is "and no more" "$(mail_count "$box")" 4000
ok "the queue is empty" wait_for 10 queue_is_empty
ok "one to a dead hop is taken" postfix_tool smtp-source -m 1 \
    -f sender@bench.test -t x@dead.test "127.0.0.1:$PORT"
is "and waits" "$(queue_count)" 1
ok "deferred, saying why" wait_for 10 grep -q \
    'deferred .*Connection refused' "$SCRATCH/x/log"
like "mailq tells it, too" "$(mailq)" 'Connection refused'
done_testing
