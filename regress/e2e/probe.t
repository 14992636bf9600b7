#!/bin/bash
# What operators ask about next hops, and what they do about them: probe,
# explain and why against servers that take mail, refuse it, or are dead; retry
# and bounce of what waits for one.
# timeout: 120
. "$(dirname "$0")/suite.sh"
. "$(dirname "$0")/peers.sh"
need python3
need_unpacked postfix

takes=$(suite_port)
sink_start takes 127.0.0.1 "$takes"
refuses=$(suite_port)
sink_start refuses 127.0.0.1 "$refuses" -f RCPT
defers=$(suite_port)
sink_start defers 127.0.0.1 "$defers" -r RCPT
slow=$(suite_port)
sink_start slow 127.0.0.1 "$slow" -w 5
dead=$(suite_port)
suite_conf <<END
  local-mailer = maildir
  root-mail = root@takes.test
[relay "rated"]
  address	127.0.0.1:$takes
  rate		1/1h
[relay "single"]
  address	127.0.0.1:$slow
  max-connections	1
[route]
  @rated.test	rated
  @single.test	single
  @takes.test	relay([127.0.0.1]:$takes)
  @second.test	relay([127.0.0.1]:$dead, [127.0.0.1]:$takes)
  @refuses.test	relay([127.0.0.1]:$refuses)
  @defers.test	relay([127.0.0.1]:$defers)
  @dead.test	relay([127.0.0.1]:$dead)
END
suite_start

# ---- probe

probe() {
	code=0
	dialogue=$(postctl probe "$@" 2>&1) || code=$?
}
probe --from me@mx.test x@takes.test
is "a probe of a server that takes it" "$code" 0
like "says where it goes" "$dialogue" \
    "^next hop: relay\(\[127\.0\.0\.1\]:$takes\)$"
like "greets" "$dialogue" '^>>> EHLO mx\.test$'
like "shows what is answered" "$dialogue" '^<<< 250'
like "has the sender" "$dialogue" '^>>> MAIL FROM:<me@mx\.test>'
like "and the recipient" "$dialogue" '^>>> RCPT TO:<x@takes\.test>'
not_ok "and sends nothing" grep -Eq '^>>> DATA' <<<"$dialogue"
is "nothing arrived" "$(sink_count takes .)" 0
probe takes.test
is "a probe of a domain" "$code" 0
not_ok "names nobody" grep -Eq '^>>> RCPT' <<<"$dialogue"
probe x@second.test
is "where the first is dead the second is tried" "$code" 0
like "and told of" "$dialogue" "^=== connected to .*:$takes\$"
like "so is why not the first" "$dialogue" \
    "^=== connect to .*:$dead: Connection refused\$"
probe x@refuses.test
is "refused for good: exit code" "$code" 69
like "with the reply" "$dialogue" '^<<< 5[0-9][0-9]'
probe x@defers.test
is "refused for now: exit code" "$code" 75
probe x@dead.test
is "nobody there: exit code" "$code" 75
like "it is said" "$dialogue" '[Cc]onnection refused'
probe x@mx.test
is "no next hop: exit code" "$code" 69
probe -j x@takes.test
is "as JSON" "$(python3 -c 'import json, sys
print(json.load(sys.stdin)["good"])' <<<"$dialogue")" True

# ---- why a message waits that was not tried

why_of() {
	post a@mx.test "$1" 2>/dev/null || sendmail "$1" <<<"Subject: why"
	wait_for 10 has_one "$1"
	postctl show "$(id_of "$1")" | sed -n 's/^ *why: //p'
}
id_of() {
	postctl -j list -r "$1" | sed -n 's/.*"queue_id": "\([^"]*\).*/\1/p'
}
has_one() {
	postctl show "$(id_of "$1")" | grep -q '^ *why: '
}
sendmail one@rated.test two@single.test <<<"Subject: first"
wait_for 10 grep -q 'relayed .*one@rated' "$SCRATCH/log"
like "by a rate: which, and when the next goes" "$(why_of x@rated.test)" \
    '^the rate of \[relay "rated"\], 1 in 3600 s; the next may go in 3[56]'
like "by a limit of connections" "$(why_of x@single.test)" \
    '^its next hop has 1 under way, of 1 at a time; 1 wait$'
postctl pause >/dev/null
like "by a pause of all" "$(why_of x@takes.test)" 'postctl resume'
postctl resume >/dev/null
postctl hold -r x@rated.test >/dev/null
wait_for 5 has_one x@rated.test
like "by a hold" "$(postctl show "$(id_of x@rated.test)")" \
    '^ *why: held: see postctl release$'
postctl remove all >/dev/null

# ---- explain and why

like "explain names the hosts" "$(postctl explain x@second.test)" \
    "port $takes, tls: opportunistic"
post a@mx.test x@dead.test 2>/dev/null ||
    echo x | sendmail -f a@mx.test x@dead.test
tried() { grep -q ' deferred .*x@dead' "$SCRATCH/log"; }
ok "what a dead host gets waits" wait_for 15 tried
why=$(postctl why dead.test)
like "why tells the state of its lane" "$why" '^ *closed for [0-9]+ s: '
like "of its host" "$why" '^ *host 127\.0\.0\.1'
like "and what waits" "$why" '^ *reason: .*[Cc]onnection refused'
id=$(postctl -j list | sed 's/.*"queue_id": "\([^"]*\).*/\1/')
shown=$(postctl show "$id")
like "show tells the stage" "$shown" '^ *stage: connecting$'
like "the host" "$shown" "^ *host: 127\.0\.0\.1\[127\.0\.0\.1\]:$dead\$"
like "when and why then" "$shown" '^ *why: .*closed'
is "show -j has the attempt" "$(postctl -j show "$id" | python3 -c '
import json, sys
row = json.load(sys.stdin)["recipients"][0]
print(row["history"][0]["status"], row["state"])')" "4.4.1 deferred"

# ---- retry and bounce

sink_start late 127.0.0.1 "$dead"
ok "retry of one, though its hop is closed" postctl retry "$id"
arrived() { [ "$(sink_count late .)" -gt 0 ]; }
ok "really tries it" wait_for 10 arrived
echo x | sendmail -f root@takes.test y@defers.test
deferred() { grep -q ' deferred .*y@defers' "$SCRATCH/log"; }
ok "another is refused for now" wait_for 10 deferred
like "bounce gives it up" "$(postctl bounce -d defers.test)" '^1 message '
bounced() { sink_count takes 'X-Rcpt-Args: <root@takes.test>' |
    grep -qv '^0'; }
ok "its sender is told" wait_for 10 bounced
ok "and nothing waits any more" wait_for 10 queue_is_empty
done_testing
