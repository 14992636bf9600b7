# Sourced by the tests that trouble the suite while it works: a destination of
# each kind, load for all of them, and what became of each message.
#
#	world_start		users, servers and the suite; stdin is put into
#				the configuration behind [core]
#	load_start SECONDS CONNECTIONS	in the background; $load is its pid
#	queue_empties		for wait_for; what was put off for long, because
#				it was there when something died, is tried now
#	judge			what became of it: the common tests
. "$(dirname "$0")/../e2e/suite.sh"
need_root
need python3
need_unpacked postfix

world_start() {
	suite_user pmtest1
	suite_user pmtest2
	boxes=$SCRATCH/home
	sink=$(suite_port)
	refuser=$(suite_port)
	install -d -o nobody "$SCRATCH/sink"
	install -d -o _maild "$SCRATCH/mbox"
	install -d -o pmtest1 "$SCRATCH/program"
	postfix_sink -d "$SCRATCH/sink/m." "127.0.0.1:$sink" 100
	postfix_sink -f RCPT "127.0.0.1:$refuser" 100
	# What it leaves is there whole or not at all.
	cat >"$SCRATCH/take" <<-END
	#!/bin/sh
	cat >$SCRATCH/program/.\$\$ && mv $SCRATCH/program/.\$\$ \\
	    $SCRATCH/program/\$(date +%s%N).\$\$
	END
	chmod 0755 "$SCRATCH/take"
	suite_conf <<-END
	  local-mailer = maildir
	  retry-min = 1s
	  retry-max = 5s
	$(cat)
	[pipe "take"]
	  exec = $SCRATCH/take
	[smtpd "mx"]
	  listen-port = 127.0.0.1:$PORT
	[route]
	  @here.test     local()
	  @mbox.test     mbox($SCRATCH/mbox/file)
	  @pipe.test     take
	  @sink.test     relay(127.0.0.1:$sink)
	  @refused.test  relay(127.0.0.1:$refuser)
	END
	suite_start
}

load_start() {
	PAUSE=${PAUSE:-0} "$TOP/regress/crash/load.py" "$PORT" "$2" 1000000 \
	    "$1" "$SCRATCH/sent" pmtest1@here.test x@sink.test x@mbox.test \
	    pmtest1@here.test pmtest1@pipe.test x@sink.test/70000 \
	    pmtest1@here.test/100000 x@refused.test pmtest1@pipe.test/90000 &
	load=$!
}

queue_empties() {
	# The lock of an mbox whose worker was killed is broken in 5 minutes.
	[ ! -e "$SCRATCH/mbox/file.lock" ] ||
		touch -d '6 minutes ago' "$SCRATCH/mbox/file.lock"
	postctl release all
	postctl retry all
	queue_is_empty
}

judge() {
	ok "the queue empties" wait_for "$1" queue_empties ||
	    diag "$(postctl list | head -n 5)" "$(postctl why here.test)" \
	    "$(postctl why sink.test)" "$(postctl status)" \
	    "$(ps -o pid,stat,time,args --ppid "$MAIN")"
	postctl list >"$SCRATCH/left"
	"$TOP/regress/crash/judge.py" "$SCRATCH/sent" \
	    "$boxes/pmtest1/Maildir" "$boxes/pmtest2/Maildir" \
	    "$SCRATCH/sink" "$SCRATCH/mbox/file" "$SCRATCH/program" \
	    "$SCRATCH/left" >"$SCRATCH/judged"
	diag "$(cat "$SCRATCH/judged")"
	some='[1-9][0-9]*'
	like "messages went all ways" "$(cat "$SCRATCH/judged")" "taken $some:\
 $some local, $some relayed, $some refused, $some mbox, $some piped"
	is "nothing is lost" "$(sed -n '/^lost/p' "$SCRATCH/judged")" "lost 0"
	is "nothing came twice but in the windows that are known" \
	    "$(sed -n '/^defect/p' "$SCRATCH/judged")" ""
	is "nothing was answered 5xx" "$(grep '^refused' "$SCRATCH/sent")" ""
	is "no child was killed by anything else" \
	    "$(grep -E 'violation|signal=(4|6|7|8|11|31) ' "$SCRATCH/log")" ""
}
