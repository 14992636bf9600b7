#!/bin/sh
# What is looked at or changed is chosen by sender, recipient, domain, age,
# reason and state, and by nothing that the asker may not see.
. "$(dirname "$0")/suite.sh"
. "$(dirname "$0")/peers.sh"
need_root
need_unpacked postfix
dead=$(suite_port)
soft=$(suite_port)
sink_start soft 127.0.0.1 "$soft" -r RCPT
suite_conf <<EOF
  retry-min     = 1h
  local-mailer  = maildir
  local-domains = here.test
[route]
  @dead.test    relay(127.0.0.1:$dead)
  @soft.test    relay(127.0.0.1:$soft)
EOF
suite_start

from() {
	printf 'Subject: for %s\n\ntext\n' "$2" | sendmail -f "$1" $2
}
from a@here.test a1@dead.test
from a@here.test a2@soft.test
from b@there.test b1@dead.test
from '<>' n1@soft.test
printf 'Subject: own\n\ntext\n' | as_user nobody "$SENDMAIL" -C "$CF" \
    own@soft.test
from a@here.test "both@dead.test both@soft.test"
all_wait() {
	[ "$(postctl -j list deferred | grep -o '"delay_reason"' | wc -l)" \
	    -eq 7 ]
}
ok "six messages wait for seven" wait_for 15 all_wait
of() {
	postctl -j list "$@" | grep -o '"address": "[^"@]*' | cut -d'"' -f4 |
	    sort | tr '\n' ' '
}
id_of() {
	postctl -j list -r "$1" | sed 's/.*"queue_id": "\([^"]*\).*/\1/'
}
postctl age "$(id_of b1@dead.test)" 3h >/dev/null
wait_for 10 all_wait

# ---- looking
is "by sender" "$(of -s b@there.test)" "b1 "
is "by its domain" "$(of --from @here.test)" "a1 a2 both both "
is "by none" "$(of -s '<>')" "n1 "
is "by recipient" "$(of -r a2@soft.test)" "a2 "
is "by its domain" "$(of --to @dead.test)" "a1 b1 both "
is "by domain" "$(of -d soft.test)" "a2 both n1 own "
is "by age" "$(of --older 2h)" "b1 "
is "by a greater one" "$(of --older 4h)" ""
is "by reason" "$(of --reason '450 4.3')" "a2 both n1 own "
is "in whatever case" "$(of --reason 'connection REFUSED')" "a1 b1 both "
is "by several: all must fit" "$(of -s @here.test --reason 450)" "a2 both "
is "by state" "$(of held)" ""
is "what fits nothing is no error" "$(postctl -j list -s x@y; echo $?)" 0
postctl list --older soon 2>/dev/null
is "a duration that is none is" $? 64
own() {
	as_user nobody "$STAGE/usr/sbin/postctl" -C "$CF" "$@"
}
is "others find what is theirs" "$(own -j list -d soft.test | wc -l)" 1
is "and by no reason what is not" "$(own -j list --reason refused | wc -l)" 0
is "nor by an address" "$(own -j list -r a1@dead.test | wc -l)" 0

# ---- changing
like "hold by a filter" "$(postctl hold -d dead.test)" '^3 messages held'
is "holds what it chooses" "$(of held)" "a1 b1 both "
is "and nothing else" "$(of deferred)" "a2 both n1 own "
like "release by two" "$(postctl release -s @here.test -r a1@dead.test)" \
    '^1 message released'
is "releases that" "$(of held)" "b1 both "
own release --reason refused >/dev/null 2>&1
is "another's is not released" "$(of held)" "b1 both "
postctl release held >/dev/null
is "all that is held goes on" "$(of held)" ""
tries_of() {
	postctl -j list -r "$1" | sed 's/.*"attempts": \([0-9]*\).*/\1/'
}
before=$(tries_of n1@soft.test)
other=$(tries_of a2@soft.test)
like "retry by a filter" "$(postctl retry -s '<>')" '^1 message'
more() { [ "$(tries_of n1@soft.test)" -gt "$before" ]; }
ok "tries it" wait_for 10 more
is "and no other" "$(tries_of a2@soft.test)" "$other"
like "reroute by a filter" "$(postctl reroute --reason 450)" '^4 messages'
wait_for 10 all_wait
like "remove by a filter" "$(postctl remove -s '<>')" '^1 message'
is "removes that" "$(of)" "a1 a2 b1 both both own "
like "bounce by a filter" "$(postctl bounce --reason refused -s b@there.test)" \
    '^1 message'
ok "bounces it" wait_for_log 10 'bounced .*to=b1@dead\.test'
is "and no other" "$(grep -c ' bounced id=.*from=[^"]' "$SCRATCH/log")" 1
own bounce -d soft.test >/dev/null 2>&1
is "which none may but operators" $? 77
done_testing
