#!/bin/sh
# Postfix's stand-in server with each of its faults, and under load.
. "$(dirname "$0")/suite.sh"
. "$(dirname "$0")/peers.sh"
need_root
need_unpacked postfix
need perl

# A server for each command and way to fail at it: -f 5xx, -r 4xx, -q close
# without a reply, -Q close with 421.
steps="CONNECT EHLO MAIL RCPT DATA . QUIT"
routes=
for step in $steps; do
	for how in f r q Q; do
		name=$(echo "$how-$step" | tr A-Z. a-zx | tr -d ' ')
		[ $how != Q ] || name=busy-${name#*-}
		port=$(suite_port)
		words=$step
		[ "$step" != EHLO ] || words="EHLO,HELO"
		sink_start "$name" 127.0.0.1 "$port" -$how "$words"
		routes="$routes
  @$name.test  relay(127.0.0.1:$port)"
	done
done
good=$(suite_port)
slow=$(suite_port)
sink_start good 127.0.0.1 "$good"
sink_start slow 127.0.0.1 "$slow" -w 2
for how in plain no-size no-pipelining no-8bit no-ehlo pix abort; do
	port=$(suite_port)
	case $how in
	no-pipelining) flag=-p ;;
	no-8bit) flag=-8 ;;
	no-ehlo) flag=-e ;;
	pix)	flag=-P ;;
	abort)	flag="-A 0" ;;
	*)	flag= ;;
	esac
	sink_start "$how" 127.0.0.1 "$port" $flag
	routes="$routes
  @$how.test  relay(127.0.0.1:$port)"
done
suite_conf <<EOF
  retry-min       = 1h
  retry-max       = 1h
[smtpd "mx"]
  listen-port     = 127.0.0.1:$PORT
[route]
  @client.test  discard()
  @good.test    relay(127.0.0.1:$good)
  @slow.test    relay(127.0.0.1:$slow)
  $routes
EOF
suite_start

all=$(sed -n '/^\[route\]/,/^\[logfile/s/^  @\([^ ]*\.test\)  relay.*/x@\1/p' \
    "$CF" | grep -v '@good\|@slow')
ok "a message to each server" post me@client.test $all
for name in connect ehlo; do
	for how in f r q busy; do
		becomes "$how at $name: it waits" "x@$how-$name.test" \
		    'deferred '
	done
done
for name in mail rcpt data x; do
	becomes "5xx at $name: refused" "x@f-$name.test" \
	    'bounced .*500 5\.3\.0'
	becomes "4xx at $name: it waits" "x@r-$name.test" \
	    'deferred .*450 4\.3\.0'
	becomes "cut at $name: it waits" "x@q-$name.test" 'deferred '
	becomes "421 at $name: it waits" "x@busy-$name.test" \
	    'deferred .*421'
done
for how in f r q busy; do
	becomes "$how at quit is nothing" "x@$how-quit.test" 'relayed '
done
becomes "plain" x@plain.test 'relayed '
becomes "without pipelining" x@no-pipelining.test 'relayed '
becomes "without 8BITMIME" x@no-8bit.test 'relayed '
becomes "without EHLO" x@no-ehlo.test 'relayed '
becomes "behind a firewall's greeting" x@pix.test 'relayed '
becomes "550 before the end of the data" x@abort.test \
    '(bounced .*550|deferred )'
twice=
for to in $all; do
	name=${to#x@}
	n=$(sink_count "${name%.test}" "X-Rcpt-Args: <$to>")
	[ "$n" -le 1 ] || twice="$twice $to"
done
is "none came twice" "$twice" ""
ok "pipelined where it is offered" grep -q 'RCPT' "$SINK/plain.log"

# ---- a slow server delays no other

source_to() {
	postfix_tool smtp-source -f a@client.test "$@" "127.0.0.1:$PORT"
}
post me@client.test x1@slow.test x2@slow.test x3@slow.test x4@slow.test \
    x5@slow.test
post me@client.test quick@good.test
becomes "beside a slow server mail goes" quick@good.test 'relayed ' 5
like "at once" "$(outcome_of quick@good.test)" ' delay=0\.'
not_ok "long before the slow one is done" has_outcome 'x5@slow\.test'

# ---- many

before=$(sink_connections good)
start=$(date +%s)
ok "4,000 messages from 20 clients" source_to -s 20 -m 4000 -l 2000 \
    -N -S 'many' -t many@good.test
delivered() {
	[ "$(grep -c 'X-Rcpt-Args: <.*many@good' "$SINK/good.mail")" -ge 4000 ]
}
ok "go through us" wait_for 120 delivered
diag "in $(($(date +%s) - start)) seconds"
sleep 0.3
ids=$(grep -c '^Message-Id: ' "$SINK/good.mail")
is "each arrives once" "$(grep 'X-Rcpt-Args: <.*many@good' \
    "$SINK/good.mail" | sort | uniq | wc -l) \
$(grep -c 'X-Rcpt-Args: <.*many@good' "$SINK/good.mail")" "4000 4000"
is "none of them is in the queue" "$(mailq | grep -c many@good)" 0
used=$(($(sink_connections good) - before))
diag "$used connections for 4,000 messages, $ids ids"
ok "over far fewer connections" [ "$used" -le 200 ]
ok "the slow ones went, too" wait_for_log 30 'relayed .*to=x5@slow\.test'
done_testing
