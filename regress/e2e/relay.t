#!/bin/sh
# relay against Postfix's stand-in server: delivery, refusals, slow and dead
# hosts, LMTP, also by a Unix socket.
. "$(dirname "$0")/suite.sh"
need_root
need_unpacked postfix
sink=$(suite_port)
lmtp=$(suite_port)
deaf=$(suite_port)
slow=$(suite_port)
suite_conf <<EOF
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
[relay "second"]
  address = 127.0.0.1:9
  address = 127.0.0.1:$sink
[route]
  @sink.test     relay(127.0.0.1:$sink)
  @second.test   second
  @lmtp.test     lmtp(127.0.0.1:$lmtp)
  @unix.test     lmtp($SCRATCH/sink/socket)
  @nobody.test   lmtp($SCRATCH/nobody)
  @dead.test     relay(127.0.0.1:9)
  @slow.test     relay(127.0.0.1:$slow)
  @deaf.test     relay(127.0.0.1:$deaf)
  @unknown.test  relay(no-such-host.invalid)
EOF
# smtp-sink drops its rights: it writes where anybody may.
mkdir -m 1777 "$SCRATCH/sink"
postfix_sink -d "$SCRATCH/sink/%H%M%S." "127.0.0.1:$sink" 200
postfix_sink -L -d "$SCRATCH/sink/lmtp.%H%M%S." "127.0.0.1:$lmtp" 200
postfix_sink -L -d "$SCRATCH/sink/unix.%H%M%S." \
    "unix:$SCRATCH/sink/socket" 200
postfix_sink -w 4 -d "$SCRATCH/sink/slow.%H%M%S." "127.0.0.1:$slow" 200
postfix_sink -f RCPT "127.0.0.1:$deaf" 200
suite_start

source_to() {
	postfix_tool smtp-source -s 5 -f a@here.test "$@" "127.0.0.1:$PORT"
}
in_sink() {
	[ "$(cat "$SCRATCH"/sink/$1 2>/dev/null |
	    grep -c '^X-Rcpt-Args: <'"$2")" -ge "$3" ]
}

ok "200 messages for a next hop" source_to -m 200 -l 3000 -t x@sink.test
ok "are all there" wait_for 60 in_sink '[0-9]*' x@sink.test 200
like "the log names host, tls and reply" "$(cat "$SCRATCH/log")" \
    'transaction .*127\.0\.0\.1\[127\.0\.0\.1\]:.*tls=none.*250'
like "and closes the recipient" "$(cat "$SCRATCH/log")" \
    'relayed .*x@sink\.test'
ok "one whose first host is down" source_to -m 1 -t y@second.test
ok "takes the second" wait_for 10 in_sink '[0-9]*' y@second.test 1
ok "one by LMTP" source_to -m 1 -t z@lmtp.test
ok "is there" wait_for 10 in_sink 'lmtp*' z@lmtp.test 1
chmod 666 "$SCRATCH/sink/socket"
ok "one by a Unix socket" source_to -m 1 -t u@unix.test
ok "is there" wait_for 10 in_sink 'unix*' u@unix.test 1
is "by the relay that has no network" "$(pgrep -P "$MAIN" -f 'relay -l ')" \
    "$(sed -n 's/.* relay\[\([0-9]*\)\]: transaction .*sink.socket.*/\1/p' \
    "$SCRATCH/log")"
ok "one for a socket that is none" source_to -m 1 -t u@nobody.test
ok "waits, saying why" wait_for_log 10 \
    'deferred .*u@nobody\.test.*connect to .*/nobody: No such file'
ok "a large one" source_to -m 1 -l 1000000 -t large@sink.test
ok "is there" wait_for 20 in_sink '[0-9]*' large@sink.test 1
ok "one that is refused" source_to -m 1 -t no@deaf.test
ok "bounces with the reply" wait_for_log 10 \
    'bounced .*to=.?no@deaf\.test.*500 5\.3\.0'
ok "one for a name that is none" source_to -m 1 -t x@unknown.test
ok "waits, saying why" wait_for_log 20 \
    'deferred .*x@unknown\.test.*4\.4\.[34]'

# ---- what is remembered of a dead host

ok "one for a dead host" source_to -m 1 -t a@dead.test
ok "waits" wait_for_log 10 'deferred .*a@dead\.test.*Connection refused'
count() {
	grep -c 'unreachable relay=.*:9 ' "$SCRATCH/log"
}
before=$(count)
ok "five more" source_to -m 5 -t b@dead.test
ok "wait with it" wait_for 10 mailq
sleep 1
is "and are no reason to connect" "$(count)" "$before"
like "postctl why says until when, and why" "$(postctl why dead.test)" \
    'closed until .*connect to 127\.0\.0\.1.*Connection refused'

# ---- a reload lets the old relay finish

old=$(suite_pids relay)
old_is_gone() {
	for pid in $old; do
		! kill -0 "$pid" 2>/dev/null || return 1
	done
}
ok "one for a slow host" source_to -m 1 -t s@slow.test
sleep 1
ok "a reload" suite_reload
ok "the next goes by the new relay" source_to -m 1 -t n@sink.test
ok "and is there at once" wait_for 2 in_sink '[0-9]*' n@sink.test 1
not_ok "the slow one is not" grep -q 'relayed .*s@slow' "$SCRATCH/log"
ok "it is done by the old one" wait_for_log 10 'relayed .*s@slow\.test'
ok "which ends then" wait_for 10 old_is_gone
is "it arrives once" "$(cat "$SCRATCH"/sink/slow* |
    grep -c '^X-Rcpt-Args: <s@slow')" 1
done_testing
