#!/bin/sh
# What a route allows is kept: connections at a time, messages of one, and
# messages in a time.  And a relay that is killed loses nothing.
. "$(dirname "$0")/suite.sh"
. "$(dirname "$0")/peers.sh"
need_root
need_unpacked postfix
need perl

for name in two one rate free many; do
	eval "$name=\$(suite_port)"
done
sink_start two 127.0.0.1 "$two" -w 1
sink_start one 127.0.0.1 "$one"
sink_start rate 127.0.0.1 "$rate"
sink_start free 127.0.0.1 "$free" -w 1
sink_start many 127.0.0.1 "$many"
suite_conf <<EOF
  retry-min         = 1s
[smtpd "mx"]
  listen-port       = 127.0.0.1:$PORT
[relay "two"]
  address           = 127.0.0.1:$two
  max-connections   = 2
[relay "one"]
  address           = 127.0.0.1:$one
  max-connections   = 1
  max-messages      = 3
  idle-time         = 2s
[relay "rate"]
  address           = 127.0.0.1:$rate
  rate              = 4/4s
[relay "free"]
  address           = 127.0.0.1:$free
[route]
  @two.test         two
  @one.test         one
  @rate.test        rate
  @free.test        free
  @many.test        relay(127.0.0.1:$many)
EOF
suite_start

# The most connections that were open at a time.
most() {
	awk '/: connect \(/ { n++ } /: disconnect/ { n-- }
	    n > most { most = n } END { print most + 0 }' "$SINK/$1.log"
}
has() {
	[ "$(sink_count "$1" 'X-Rcpt-Args')" -ge "$2" ]
}
numbered() {
	for n in 1 2 3 4 5 6 7 8 9; do
		echo "x$n@$1.test"
	done
}

ok "nine messages each" post me@client.test $(numbered two) \
    $(numbered one) $(numbered free) x1@rate.test x2@rate.test x3@rate.test \
    x4@rate.test x5@rate.test x6@rate.test
ok "by two connections" wait_for 20 has two 9
is "at a time" "$(most two)" 2
ok "without a limit" wait_for 20 has free 9
ok "by more ($(most free))" [ "$(most free)" -gt 2 ]
ok "three messages a connection" wait_for 10 has one 9
is "are three connections" "$(sink_connections one)" 3
is "one at a time" "$(most one)" 1
ok "six at a rate of four in four seconds" wait_for 15 has rate 6
like "take five seconds" "$(grep -o 'relayed .*@rate\.test .*' \
    "$SCRATCH/log" | sed 's/.* delay=\([0-9]*\)\..*/\1/' | sort -n |
    tail -n 1)" '^[4567]$'
gone() {
	[ "$(grep -c ': disconnect' "$SINK/one.log")" -ge 3 ]
}
ok "what is idle too long is closed" wait_for 5 gone

# ---- kill

ok "2,000 messages" postfix_tool smtp-source -s 10 -m 2000 -l 1000 -N \
    -f a@client.test -t many@many.test "127.0.0.1:$PORT"
suite_kill relay
wait_for 10 has many 100
suite_kill relay
wait_for 10 has many 500
suite_kill relay
all() {
	[ "$(grep 'X-Rcpt-Args: <.*many@many' "$SINK/many.mail" | sort -u |
	    wc -l)" -ge 2000 ]
}
ok "arrive, each of them, though relay is killed" wait_for 60 all
ok "and the queue is empty" wait_for 20 queue_is_empty
diag "$(grep -c 'X-Rcpt-Args: <.*many@many' "$SINK/many.mail") copies"
done_testing
