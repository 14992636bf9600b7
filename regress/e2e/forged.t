#!/bin/bash
# policyd and spoold taken over: what they say in place of the truth gets no
# further than misdirecting mail and running commands as _maild.
# timeout: 240
. "$(dirname "$0")/suite.sh"
need_root
need python3 swaks
FORGE=$TOP/regress/e2e/forge
suite_user pmtu_victim
suite_user pmtu_other
touch="$SCRATCH/touch"
cat >"$touch" <<'END'
#!/bin/sh
# Says as whom it was run, in a folder that all may write.
: >"$(dirname "$0")/ran/$1-$(id -un)"
END
chmod 0755 "$touch"
mkdir -m 1777 "$SCRATCH/ran" "$SCRATCH/boxes"
suite_conf <<END
  local-mailer = maildir
[pipe "others"]
  exec = $touch others
  user = pmtu_other
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
[route]
  @here.test  pmtu_victim
END
suite_start
postctl pause >/dev/null
for name in asuser asmbox asroot asmaild boxes number others forward \
    member gone nobody; do
	send_to $name@here.test $name
done
is "the messages are there" "$(queue_count)" 11

# LOCAL-PART KIND WORKER ACCOUNT MAILER TEXT; kinds 1 local 2 mailer 3 text
# 4 relay 5 list 6 superseded; workers 1 mailbox 2 mbox 3 program.
"$FORGE" route "$(suite_pids policyd)" "$(suite_pids spoold)" 12 \
    >"$SCRATCH/forged" 2>&1 <<END &
asuser 3 3 pmtu_victim 0 |$touch asuser
asmbox 3 2 pmtu_victim 0 |$touch asmbox
asroot 3 3 root 0 |$touch asroot
asmaild 3 3 _maild 0 |$touch asmaild
boxes 3 1 pmtu_victim 0 maildir($SCRATCH/boxes/new/)
number 2 3 pmtu_victim 12345 |$touch number
others 2 3 pmtu_victim others |$touch text
forward 5 0 pmtu_victim 0 3 |$touch forward
member 5 0 pmtu_victim 0 2 |$touch member
gone 6 0 pmtu_victim 0 3 |$touch gone
nobody 1 1 ../../etc/passwd 0 |$touch nobody
END
forger=$!
wait_for 10 grep -q ready "$SCRATCH/forged"
postctl resume >/dev/null
wait $forger
diag "$(cat "$SCRATCH/forged")"
is "each question was answered with a lie" \
    "$(sort -u "$SCRATCH/forged" | grep -c answered)" 11
ok "all is up again" wait_for 20 suite_ready
is "a program of a table is run as _maild, and nothing else is" \
    "$(ls "$SCRATCH/ran")" asmaild-_maild
is "no mailbox is made" "$(ls -A "$SCRATCH/boxes")" ""
like "the user's worker says why" "$(cat "$SCRATCH/log")" \
    'deferred .*asuser@here.test.*are _maild.s only'
like "the user's folder is refused likewise" "$(cat "$SCRATCH/log")" \
    'deferred .*boxes@here.test.*are _maild.s only'
like "nothing is done as root" "$(cat "$SCRATCH/log")" \
    'deferred .*asroot@here.test.*nothing is delivered as root'
like "a number that is none is deferred" "$(cat "$SCRATCH/log")" \
    'deferred .*number@here.test.*no longer has this mailer'
like "another's [pipe] is refused" "$(cat "$SCRATCH/log")" \
    'deferred .*others@here.test.*is run by pmtu_other only'
is "all of it is within policyd's rights" \
    "$(grep -c violation "$SCRATCH/log")" 0

# Lies that are no answers at all end the link: kind 77, worker 77.
for lie in "kind 77 3 pmtu_victim 0 |$touch kind" \
    "worker 1 77 pmtu_victim 0 |$touch worker"; do
	postctl pause >/dev/null
	send_to "${lie%% *}@here.test" "${lie%% *}"
	rm "$SCRATCH/forged"
	echo "$lie" | "$FORGE" route "$(suite_pids policyd)" \
	    "$(suite_pids spoold)" 2 >"$SCRATCH/forged" 2>&1 &
	forger=$!
	wait_for 10 grep -q ready "$SCRATCH/forged"
	postctl resume >/dev/null
	wait $forger
	ok "all is up again after ${lie%% *} 77" wait_for 20 suite_ready
done
is "neither is within policyd's rights" \
    "$(grep -c 'violation peer=policyd.*that is none' "$SCRATCH/log")" 2

# The real policyd has come back and what was put off is delivered.
ok "the queue is run" runq
ok "and what was not misdirected arrives" wait_for 20 grep -rqs \
    '^Subject: asuser' "$SCRATCH/home/pmtu_victim/Maildir/new"

# Now spoold: it has a mailbox worker and one for programs of this user.
echo "|$touch forward" >"$SCRATCH/home/pmtu_victim/.forward"
chown pmtu_victim "$SCRATCH/home/pmtu_victim/.forward"
send_to own@here.test own
ok "a program of the user's own is run as the user" wait_for 10 test -e \
    "$SCRATCH/ran/forward-pmtu_victim"
rm -f "$SCRATCH"/ran/*
"$FORGE" jobs "$(suite_pids spoold)" "$(suite_pids deliver)" \
    >"$SCRATCH/forged" 2>&1 <<END
4 0 |$touch text
4 0 $SCRATCH/boxes/file
4 0 maildir($SCRATCH/boxes/new/)
3 12345 |$touch number
3 others |$touch others
5 0 |$touch notthere
5 0 $SCRATCH/boxes/notthere
2 0 x
99 0 |$touch method
END
diag "$(cat "$SCRATCH/forged")"
like "the workers of the user, of root and of _maild were given them" \
    "$(grep -c -- '->' "$SCRATCH/forged")" '^(36|45|54|63)$'
is "each was answered" "$(grep -c 'no answer' "$SCRATCH/forged")" 0
is "done was what a table may ask of _maild, and mail for one's own mbox" \
    "$(sed -n 's/^1 2.0.0 \([0-9]*\) .*/\1/p' "$SCRATCH/forged" |
    sort -u | tr '\n' ' ')" "2 4 "
is "no program was run but as _maild" \
    "$(ls "$SCRATCH/ran" | grep -v -- '-_maild$')" ""
is "no file was made but by _maild" \
    "$(find "$SCRATCH/boxes" -mindepth 1 ! -user _maild)" ""
ok "spoold is started again" wait_for 20 suite_ready
done_testing
