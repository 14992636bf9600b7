#!/bin/sh
# A list is expanded once: each member is a recipient with a life of its own,
# a done one is never tried again, a corrected configuration frees those that
# wait, and what is the same twice is delivered once.
. "$(dirname "$0")/suite.sh"
need_root
need swaks sqlite3
need_unpacked postfix
suite_user pmtu_joe
suite_user pmtu_jane
sink=$(suite_port)
dead=$(suite_port)
joe=$SCRATCH/home/pmtu_joe
jane=$SCRATCH/home/pmtu_jane
mkdir -m 1777 "$SCRATCH/sink" "$SCRATCH/box"
cat >"$SCRATCH/aliases" <<EOF
crew:	pmtu_joe, far@dead.test
mixed:	$SCRATCH/no-such-folder/file, pmtu_joe
one:	x@sink.test
two:	x@sink.test
nest:	pmtu_joe, inner
inner:	pmtu_joe@here.test, nest, pmtu_jane
fresh:	pmtu_joe, nobody-here-1
EOF
configure() {
	suite_conf <<EOF
  local-mailer = maildir
  local-domains = here.test
[relay "hub"]
  address = 127.0.0.1:$1
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
[route]
  @dead.test       hub
  @sink.test       relay(127.0.0.1:$sink)
  both@list.test   pmtu_joe, far@dead.test
  box1@list.test   maildir($SCRATCH/box/shared/)
  box2@list.test   maildir($SCRATCH/box/shared/)
EOF
}
configure "$dead"
postfix_sink -d "$SCRATCH/sink/%H%M%S." "127.0.0.1:$sink" 100
suite_start

# How often the recipient that was tried most was; what waits behind a hop
# that is known to be dead was not.
attempts() {
	mailq -j | grep -o '"attempts": [0-9]*' | cut -d' ' -f2 |
	    sort -n | tail -n 1
}
tried() {
	[ "$(attempts)" -ge "$1" ]
}
one_waits() {
	[ "$(mailq -j | grep -c '"state": "deferred"')" -eq 1 ]
}
# A run of the queue tries what waits, though its hop is closed.
run_tries() {
	local before

	wait_for 10 one_waits && before=$(attempts) && runq_again &&
	    wait_for 10 tried $((before + 1))
}
in_sink() {
	[ "$(cat "$SCRATCH"/sink/* 2>/dev/null | grep -c "$1")" -ge "$2" ]
}

# ---- the test of the rule: a Maildir and a dead hop
for list in crew@here.test both@list.test; do
	rm -rf "$joe/Maildir"
	ok "$list" send_to "$list"
	ok "the mailbox has it" wait_for_mail "$joe/Maildir" 1 10
	ok "runq" run_tries
	ok "runq again" run_tries
	ok "and again" run_tries
	is "the mailbox has it once" "$(mail_count "$joe/Maildir")" 1
	postctl remove all >/dev/null
done

# ---- the same for a .forward, which the worker expands
printf '\\pmtu_joe, far@dead.test, "|cat >>$HOME/ran"\n' >"$joe/.forward"
chown pmtu_joe "$joe/.forward"
rm -rf "$joe/Maildir"
ok "a .forward that keeps a copy" send_to pmtu_joe@here.test
ok "the mailbox has it" wait_for_mail "$joe/Maildir" 1 10
ok "the program has run" wait_for 10 test -s "$joe/ran"
ok "runq" run_tries
ok "runq again" run_tries
is "the mailbox has it once" "$(mail_count "$joe/Maildir")" 1
is "the program ran once" "$(grep -c ^Subject: "$joe/ran")" 1
rm -f "$joe/.forward"

# ---- what is stored
suite_stop
row=$(sqlite3 -separator ' ' "$SCRATCH/spool/spool.db" \
    "SELECT parent, original, address, target, state FROM recipient
     WHERE parent <> 0 AND state = 1")
is "a child has its parent, original recipient and address" "$row" \
    "1 pmtu_joe@here.test far@dead.test  1"
row=$(sqlite3 -separator ' ' "$SCRATCH/spool/spool.db" \
    "SELECT count(*) FROM recipient WHERE parent = 1 AND
     target = '|cat >>\$HOME/ran'")
is "and its target as printed" "$row" 1

# ---- a corrected [relay] frees what waits
configure "$sink"
suite_start
ok "runq with the hop corrected" runq_again
ok "the message goes there" wait_for 10 in_sink \
    '^X-Rcpt-Args: <far@dead.test>' 1
ok "and the queue is empty" wait_for 15 queue_is_empty
is "the mailbox has it once still" "$(mail_count "$joe/Maildir")" 1

# ---- a member that is no longer one
rm -rf "$joe/Maildir"
ok "a list with a file that cannot be" send_to mixed@here.test
ok "the mailbox has it" wait_for_mail "$joe/Maildir" 1 10
ok "the file waits" wait_for_log 10 'deferred .*no-such-folder'
sed -i "s,^mixed:.*,mixed: $SCRATCH/box/file\, pmtu_joe\, pmtu_jane," \
    "$SCRATCH/aliases"
ok "runq with the list corrected" runq_again
ok "the old member is superseded" wait_for_log 10 \
    'expanded .*no-such-folder.*superseded'
ok "the new file has it" wait_for 10 grep -q ^Subject: "$SCRATCH/box/file"
ok "the new user has it" wait_for_mail "$jane/Maildir" 1 10
ok "the queue is empty" wait_for 10 queue_is_empty
is "the old user has it once" "$(mail_count "$joe/Maildir")" 1

# ---- a list that has become a single target
rm -rf "$jane/Maildir"
sed -i "s,^mixed:.*,mixed: $SCRATCH/no-such-folder/file\, pmtu_joe," \
    "$SCRATCH/aliases"
ok "a list with a file that cannot be" send_to mixed@here.test
ok "the file waits" wait_for 10 tried 1
sed -i "s,^mixed:.*,mixed: pmtu_jane," "$SCRATCH/aliases"
ok "runq with one member left" runq_again
ok "who has it" wait_for_mail "$jane/Maildir" 1 10
ok "the queue is empty" wait_for 10 queue_is_empty
not_ok "nothing has bounced" grep -q ' bounced ' "$SCRATCH/log"

sed -i "s,^mixed:.*,mixed: $SCRATCH/no-such-folder/file\, pmtu_joe," \
    "$SCRATCH/aliases"
printf 'pmtu_jane: \\pmtu_jane, %s\n' "$SCRATCH/no-such-folder/jane" \
    >>"$SCRATCH/aliases"
rm -rf "$jane/Maildir"
ok "a user with an alias of her own" send_to pmtu_jane@here.test
ok "has it" wait_for_mail "$jane/Maildir" 1 10
ok "the file waits" wait_for 10 tried 1
sed -i '/^pmtu_jane:/d' "$SCRATCH/aliases"
ok "runq when the alias is gone" runq_again
ok "the queue is empty" wait_for 10 queue_is_empty
is "she has it once" "$(mail_count "$jane/Maildir")" 1
not_ok "nothing has bounced" grep -q ' bounced ' "$SCRATCH/log"

# ---- a list that is changed, and changed back
ok "a list with a file that cannot be" send_to mixed@here.test
ok "the file waits" wait_for 10 tried 1
sed -i "s,^mixed:.*,mixed: $SCRATCH/no-such-folder/other\, pmtu_joe," \
    "$SCRATCH/aliases"
ok "runq with another" runq_again
ok "waits as well" wait_for_log 10 'deferred .*no-such-folder/other'
mkdir -m 1777 "$SCRATCH/no-such-folder"
sed -i "s,^mixed:.*,mixed: $SCRATCH/no-such-folder/file\, pmtu_joe," \
    "$SCRATCH/aliases"
ok "runq with the first one again" runq_again
ok "which has it" wait_for 10 grep -q ^Subject: \
    "$SCRATCH/no-such-folder/file"
ok "the queue is empty" wait_for 10 queue_is_empty
is "the other file was never made" "$(ls "$SCRATCH/no-such-folder")" file

# ---- a list that is changed twice, for something it once had
sed -i "s,^mixed:.*,mixed: $SCRATCH/twice/a\\, $SCRATCH/twice/c," \
    "$SCRATCH/aliases"
ok "a list with two files that cannot be" send_to mixed@here.test
ok "which wait" wait_for_log 10 'deferred .*twice/c'
sed -i "s,^mixed:.*,mixed: $SCRATCH/twice/b," "$SCRATCH/aliases"
ok "runq with another in place of both" runq_again
ok "both are superseded" wait_for_log 10 'expanded .*twice/c.*superseded'
ok "and the other waits" wait_for_log 10 'deferred .*twice/b'
mkdir -m 1777 "$SCRATCH/twice"
sed -i "s,^mixed:.*,mixed: $SCRATCH/twice/c," "$SCRATCH/aliases"
ok "runq with one of the first" runq_again
ok "which has it" wait_for 10 grep -qs ^Subject: "$SCRATCH/twice/c"
ok "the queue is empty" wait_for 10 queue_is_empty
is "and no other" "$(ls "$SCRATCH/twice")" c

# ---- the same within one message
rm -rf "$joe/Maildir" "$jane/Maildir" "$SCRATCH"/sink/*
ok "two aliases of one address" send_to one@here.test,two@here.test same
ok "the queue is empty" wait_for 10 queue_is_empty
is "the next hop was asked for it once" \
    "$(cat "$SCRATCH"/sink/* | grep -c '^X-Rcpt-Args: <x@sink.test>')" 1
ok "a user by list, name and extension" \
    send_to crew@here.test,pmtu_joe@here.test,pmtu_joe+x@here.test
ok "the queue is empty" wait_for 10 queue_is_empty
is "has it once" "$(mail_count "$joe/Maildir")" 1
ok "two addresses of one maildir()" send_to box1@list.test,box2@list.test
ok "the queue is empty" wait_for 10 queue_is_empty
is "which has it once" "$(mail_count "$SCRATCH/box/shared")" 1
rm -rf "$joe/Maildir" "$jane/Maildir"
ok "lists that hold each other" send_to nest@here.test
ok "come to an end" wait_for 10 queue_is_empty
is "one has it once" "$(mail_count "$joe/Maildir")" 1
is "and so has the other" "$(mail_count "$jane/Maildir")" 1

# ---- a fresh member that is nobody
rm -rf "$joe/Maildir" "$jane/Maildir"
ok "a list with one who does not exist" send_to fresh@here.test "fresh" \
    --from pmtu_jane@here.test
ok "goes to the other" wait_for_mail "$joe/Maildir" 1 10
ok "and bounces for him" wait_for_log 10 'bounced .*nobody-here-1.*5\.1\.1'
ok "to the sender" wait_for_mail "$jane/Maildir" 1 10
ok "the queue is empty" wait_for 10 queue_is_empty
done_testing
