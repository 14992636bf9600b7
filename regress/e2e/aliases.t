#!/bin/sh
# aliases(5): lists, includes, programs, files, owners.
. "$(dirname "$0")/suite.sh"
need_root
need swaks
suite_user pmtest1
suite_user pmtest2
cat >"$SCRATCH/included" <<EOF
pmtest1
pmtest2
EOF
mkdir "$SCRATCH/out"
chown _maild "$SCRATCH/out"
cat >"$SCRATCH/aliases" <<EOF
one:	pmtest1
list:	:include:$SCRATCH/included
owner-list: pmtest1
prog:	"|cat >$SCRATCH/out/program; id -un >$SCRATCH/out/user"
file:	$SCRATCH/out/file
EOF
suite_conf <<EOF
  local-mailer  = maildir
  local-domains = here.test
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
EOF
suite_start
box1=$SCRATCH/home/pmtest1/Maildir
box2=$SCRATCH/home/pmtest2/Maildir

ok "an alias" send_to one@here.test
ok "leads to its user" wait_for_mail "$box1" 1 10
ok "a list by include" send_to list@here.test "to the list"
ok "reaches one member" wait_for_mail "$box1" 2 10
ok "and the other" wait_for_mail "$box2" 1 10
like "from the owner of the list" "$(cat "$box2"/new/*)" \
    '^Return-Path: <owner-list@'
ok "a program" send_to prog@here.test "to a program"
ok "gets the message" wait_for 10 grep -qs '^Subject: to a program' \
    "$SCRATCH/out/program"
ok "as the program user" wait_for 5 grep -qx _maild "$SCRATCH/out/user"
ok "a file" send_to file@here.test "to a file"
ok "gets the message too" wait_for 10 grep -qs '^Subject: to a file' \
    "$SCRATCH/out/file"
printf 'loop: pool\npool: loop\ntwo: pmtest2\n' >>"$SCRATCH/aliases"
ok "a new alias works at once" wait_for 5 send_to two@here.test
not_ok "a loop is not accepted" send_to loop@here.test
ok "newaliases checks the file" newaliases
echo "a line that is none" >>"$SCRATCH/aliases"
not_ok "and finds what is wrong" newaliases
ok "the queue is empty" wait_for 10 queue_is_empty
done_testing
