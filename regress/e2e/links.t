#!/bin/bash
# What a process that breaks the rules of a link can do to others: nothing
# but lose its links and end.  And no process can speak to postmaster.
# timeout: 180
. "$(dirname "$0")/suite.sh"
need_root
need python3 swaks
INJECT=$TOP/regress/e2e/inject
suite_user pmtu_link
suite_conf <<END
  local-mailer = maildir
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
[route]
  @here.test  local()
  @dead.test  relay(127.0.0.1:9)
END
suite_start
box=$SCRATCH/home/pmtu_link/Maildir
sent=0

# Mail goes through, after all that was done.
all_works() {
	sent=$((sent + 1))
	wait_for 20 send_to pmtu_link@here.test "number $sent" &&
	    wait_for 20 grep -rqs "^Subject: number $sent" "$box/new"
}

pids_of_others() {
	local name
	for name in smtpd policyd spoold relay deliver; do
		[ "$name" = "$1" ] || echo "$name" $(suite_pids "$name")
	done
}

# A frame of no type; one whose length no row allows; one sent the wrong way;
# an answer to no question; and one that says too little.
UNKNOWN=ff000000100000000100000000000000
HUGE=0b000000ffffff7f0100000000000000
number_of() {
	sed -n '/^enum imsg_type/,/^};/p' "$TOP/common/wire.h" |
	    grep -o 'IMSG_[A-Z_]*' | grep -n "^$1\$" | cut -d: -f1
}
frame() {
	# Type and length as little-endian words; the payload is zeros.
	python3 - "$1" "$2" "$3" <<-'PYTHON'
	import struct, sys
	kind, length, id = (int(word) for word in sys.argv[1:])
	print((struct.pack('<IIII', kind - 1, length, id, 0) +
	       bytes(length)).hex())
	PYTHON
}

ok "mail goes through" all_works
for name in smtpd policyd relay deliver; do
	is "$name cannot speak to postmaster" "$("$INJECT" start \
	    "$(suite_pids $name | tail -n 1)")" EPIPE
done
is "spoold cannot speak to postmaster" \
    "$("$INJECT" start "$(suite_pids spoold)")" EPIPE

# Break the rules with octets, as the first process of a name.
break_rules() {
	local pid="$(suite_pids "$1" | head -n 1)" before
	before=$(pids_of_others "$1")
	: >"$SCRATCH/log"
	is "$1 $3" "$("$INJECT" links "$pid" "$2" | grep -c '[1-9]')" 1
	ok "$1 $3: it ends" wait_for 15 suite_gone "$pid"
	sleep 2
	is "$1 $3: nobody else does" "$(pids_of_others "$1")" "$before"
	like "$1 $3: who noticed says so" "$(cat "$SCRATCH/log")" \
	    "violation peer=$1"
	ok "$1 $3: all works again" all_works
}

break_rules smtpd $UNKNOWN "says what nobody knows"
break_rules policyd $HUGE "says too much"
break_rules relay "$(frame "$(number_of IMSG_RELAY_RESULT_NTF)" 4 0)" \
    "says too little"
break_rules deliver "$(frame "$(number_of IMSG_USER_WORKER_ANS)" 16 77)" \
    "answers no question"

worker=$(pgrep -P "$(suite_pids deliver)" -u pmtu_link | head -n 1)
before=$(pids_of_others none)
is "a worker says what nobody knows" "$("$INJECT" links "$worker" $UNKNOWN)" 1
ok "it ends" wait_for 15 suite_gone "$worker"
sleep 6
is "and nobody else does" "$(pids_of_others none)" "$before"
ok "all works again" all_works
ok "the queue is empty" wait_for 30 queue_is_empty
done_testing
