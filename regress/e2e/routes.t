#!/bin/sh
# Routes that come and go: what is local when nothing is said, what was
# accepted once is not judged again, and a route that vanished defers.
. "$(dirname "$0")/suite.sh"
need_root
need swaks
need_unpacked postfix
suite_user pmtu_bob
suite_user pmtu_ann
sink=$(suite_port)
dead=$(suite_port)
joe=$SCRATCH/home/pmtu_bob
jane=$SCRATCH/home/pmtu_ann
mkdir -m 1777 "$SCRATCH/sink"
mailname=$(head -n 1 /etc/mailname 2>/dev/null || hostname)

echo "root: /dev/null" >"$SCRATCH/aliases"

# configure ROUTES: of two listeners, the second of which may be left out
configure() {
	suite_conf <<EOF
  local-mailer = maildir
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
  trusted     = none
$1
EOF
}
postfix_sink -d "$SCRATCH/sink/%H%M%S." "127.0.0.1:$sink" 100
configure "[route]
  @dead.test         relay(127.0.0.1:$dead)
  gone@list.test     relay(127.0.0.1:$dead)
  user@list.test     local(pmtu_ann)"
suite_start

in_sink() {
	grep -qs "^X-Rcpt-Args: <$1>" "$SCRATCH"/sink/*
}

# ---- what is local when nothing is said
for domain in mx.test MX.Test localhost "[127.0.0.1]" \
    "[IPv6:::1]" "[IPv6:0:0:0:0:0:0:0:1]"; do
	ok "$domain is local" send_to "pmtu_bob@$domain"
done
ok "all arrive" wait_for_mail "$joe/Maildir" 6 10
[ ! -e /etc/mailname ] ||
    ok "so is the mail name" send_to "pmtu_bob@$mailname"
not_ok "another host's literal is not" send_to "pmtu_bob@[192.0.2.1]"
not_ok "a domain with one user has no others" send_to other@list.test
ok "but postmaster" send_to postmaster@list.test

# ---- a user who ceased to be
chmod 0000 "$jane"
chown root "$jane"
ok "mail for a user whose home is closed" send_to user@list.test "for jane"
ok "waits" wait_for_log 10 'deferred .*user@list\.test'
ok "mail of a stranger for a domain that is relayed" send_to x@dead.test
ok "waits" wait_for_log 10 'deferred .*x@dead\.test'
ok "mail for an address of the table" send_to gone@list.test
ok "waits" wait_for_log 10 'deferred .*gone@list\.test'
is "three wait" "$(queue_count)" 3

# ---- the routes vanish
cat >"$SCRATCH/table" <<EOF
loop@list.test      loop2@list.test
loop2@list.test     loop@list.test
EOF
chmod 0644 "$SCRATCH/table"
configure "[route]
  file \"$SCRATCH/table\""
userdel -f pmtu_ann 2>/dev/null
suite_reload
not_ok "a stranger is refused now" send_to y@dead.test
not_ok "and told to come again where there is a loop" send_to loop@list.test
like "by 451" "$(grep reply= "$SCRATCH/log" | tail -n 1)" 'reply="451 4\.3\.5'
ok "runq" runq_again
# Has it been put off for its route so often?
put_off() {
	[ "$(grep -c "deferred .*to=$1 .*status=4\.3\.5" "$SCRATCH/log")" -ge $2 ]
}
for gone in user gone; do
	ok "what was accepted waits: $gone" wait_for 10 put_off $gone@list.test 1
done
ok "for a domain that is gone, too" wait_for 10 put_off x@dead.test 1
like "an error says so" "$(cat "$SCRATCH/log")" \
    'spoold.* route .*to=gone@list\.test reason="5\.1\.1'
not_ok "nobody was told by mail" grep -q ' bounce ' "$SCRATCH/log"

# ---- a section that is gone
configure "[route]
  gone@list.test      hub
  user@list.test      tool"
suite_reload
ok "runq" runq_again
ok "a [pipe] or [relay] that is missing" wait_for 10 put_off gone@list.test 2
like "is told with its line" "$(cat "$SCRATCH/log")" \
    'spoold.* route .*to=gone@list\.test .*where=.*postmaster\.cf:[0-9]+'

# ---- all is well again, though strangers may not use what leads on now
configure "[route]
  @                   relay(127.0.0.1:$sink)
  user@list.test      pmtu_bob"
suite_reload
not_ok "a stranger is still refused" send_to y@dead.test
ok "runq" runq_again
ok "permission is not judged again" wait_for 10 in_sink x@dead.test
ok "all goes where it should" wait_for 10 in_sink gone@list.test
ok "and nothing waits" wait_for 10 queue_is_empty

# ---- tables of a listener are for what comes in by it
suite_stop
configure "  routing-table = outer
[route]
  ours@table.test    pmtu_bob
[route \"outer\"]
  ours@table.test    discard()
  wait@table.test    relay(127.0.0.1:$dead)"
suite_start
rm -rf "$joe/Maildir"
ok "a message by the listener" send_to ours@table.test
ok "goes by its table" wait_for_log 10 'delivered .*to=ours@table\.test.*discard'
ok "one by a local program" sendmail -f x@table.test ours@table.test </dev/null
ok "by the unnamed one" wait_for_mail "$joe/Maildir" 1 10
echo "list: no-such-user-1" >"$SCRATCH/aliases"
ok "a bounce" send_to list@mx.test x --from ours@table.test
ok "by the unnamed one, too" wait_for_mail "$joe/Maildir" 2 10
ok "a message that waits" send_to wait@table.test
ok "does" wait_for_log 10 'deferred .*to=wait@table\.test'
suite_stop
cat >"$SCRATCH/rest" <<EOF
  local-mailer = maildir
[route]
  wait@table.test    pmtu_bob
EOF
suite_conf <"$SCRATCH/rest"
suite_start
ok "runq when the listener is gone" runq_again
ok "it goes by the unnamed one" wait_for_mail "$joe/Maildir" 3 10
done_testing
