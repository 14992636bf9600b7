#!/bin/sh
# What waits is tried again, its sender told, and at last gets it back.
# Messages are aged; nobody waits for days.
. "$(dirname "$0")/suite.sh"
. "$(dirname "$0")/peers.sh"
need_root
need_unpacked postfix
need perl

dead=$(suite_port)
soft=$(suite_port)
back=$(suite_port)
sink_start back 127.0.0.1 "$back"
sink_start soft 127.0.0.1 "$soft" -r RCPT
suite_conf <<EOF
  retry-min       = 10m
  retry-max       = 2h
  delay-notice    = 4h
  expire          = 5d
[smtpd "mx"]
  listen-port     = 127.0.0.1:$PORT
[route]
  @dead.test   relay(127.0.0.1:$dead)
  @soft.test   relay(127.0.0.1:$soft)
  @back.test   relay(127.0.0.1:$back)
EOF
suite_start
came_back() {
	[ "$(sink_count back 'X-Rcpt-Args: <me@back')" -ge "$1" ]
}
id_of() {
	outcome_of "$1" | sed 's/.* id=\([^ ]*\) .*/\1/'
}
next_of() {
	outcome_of "$1" | sed -n 's/.* next=\([0-9]*\)\..*/\1/p'
}
attempts_of() {
	grep -c "deferred id=.* to=$1 " "$SCRATCH/log"
}
tried() {
	[ "$(attempts_of "$1")" -ge "$2" ]
}

ok "mail for hosts that do not take it" post me@back.test \
    x@dead.test x@soft.test y@soft.test
becomes "nobody there: it waits" x@dead.test \
    'deferred .*status=4\.4\.1.*Connection refused'
becomes "refused for now: it waits" x@soft.test \
    'deferred .*status=4\.3\.0.*450 4\.3\.0'
first=$(next_of x@soft.test)
ok "for about retry-min ($first s)" [ "$first" -ge 300 -a "$first" -le 1200 ]
show=$(show_of x@soft.test)
like "postctl show has the reply, word for word" "$show" \
    '450 4\.3\.0 Error: command failed'
like "and how far it came" "$show" 'RCPT'
like "and where" "$show" "127\.0\.0\.1.*$soft"
like "and when it is tried next" "$show" '[Nn]ext'

# ---- tried again, at growing intervals

ok "runq of its domain" postctl run "$(id_of x@soft.test)"
ok "tries it" wait_for 10 tried x@soft.test 2
second=$(next_of x@soft.test)
ok "a longer pause follows ($second s)" [ "$second" -gt "$first" ]
ok "once more" postctl run "$(id_of x@soft.test)"
ok "it is tried" wait_for 10 tried x@soft.test 3
show=$(show_of x@soft.test)
like "each attempt is told" "$(echo "$show" | grep -c '450 4\.3\.0')" \
    '^[34]$'

# ---- the sender is told

ok "five hours later" postctl age "$(id_of x@soft.test)" 5h
ok "the sender has a notice" wait_for 15 came_back 1
notice=$(cat "$SINK/back.mail")
like "that it is late" "$notice" 'Action: delayed'
like "and why" "$notice" '450 4\.3\.0'
ok "six hours later" postctl age "$(id_of x@soft.test)" 6h
wait_for 10 tried x@soft.test 5
not_ok "he is told once" came_back 2

# ---- and at last it goes back

ok "five days later" postctl age "$(id_of x@soft.test)" 5d
ok "the sender has it back" wait_for 15 came_back 2
bounce=$(sed '1,/Action: delayed/d' "$SINK/back.mail")
like "failed" "$bounce" 'Action: failed'
like "with the last reply" "$bounce" '450 4\.3\.0'
like "in a sentence that says what was tried" "$bounce" \
    'gave up|given up|days|could not'
ok "and the queue no longer has it" wait_for_log 5 \
    'bounced .*to=x@soft\.test .*gave up'
like "its neighbour still waits" "$(mailq)" 'y@soft\.test'

# ---- what waited behind a dead hop ends as truly

post me@back.test z@dead.test
becomes "a second for the dead host: it waits with the first" z@dead.test \
    'deferred .*attempts=0 .*not tried.*Connection refused'
waited() {
	[ "$(attempts_of z@dead.test)" -ge "$1" ]
}
for n in 2 3 4 5; do
	postctl age "$(id_of z@dead.test)" 1s && wait_for 10 waited $n
done
ok "five days later" postctl age "$(id_of z@dead.test)" 5d
ok "the sender has it back" wait_for 15 came_back 3
like "which host could not be reached is said" \
    "$(cat "$SINK/back.mail" | tr -d '\r' | tr '\n' ' ')" \
    '127\.0\.0\.1 could +not be reached'
like "with the reason" "$(cat "$SINK/back.mail")" 'Connection refused'

# ---- it goes when it can

sink_start now 127.0.0.1 "$dead"
ok "the dead host is back" postctl run all
ok "and what waited for it goes" wait_for_log 10 \
    'relayed .*to=x@dead\.test'
is "once" "$(sink_count now 'X-Rcpt-Args: <x@dead.test>')" 1
done_testing
