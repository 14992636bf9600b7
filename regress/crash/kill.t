#!/bin/bash
# Random processes of the suite, pairs and all of them are killed at random
# moments under load that goes to a Maildir, to a next hop and back to its
# sender as a bounce.  kill.t [SECONDS [SEED]]
# timeout: 240
. "$(dirname "$0")/../e2e/suite.sh"
need_root
need python3
need_unpacked postfix
SECONDS_OF_LOAD=${1:-5}
seed=${2:-$((SRANDOM % 32768))}
diag "seed $seed"
RANDOM=$seed
suite_user pmtest1
suite_user pmtest2
boxes=$SCRATCH/home
sink=$(suite_port)
refuser=$(suite_port)
install -d -o nobody "$SCRATCH/sink" "$SCRATCH/refused"
postfix_sink -d "$SCRATCH/sink/m." "127.0.0.1:$sink" 100
postfix_sink -f RCPT "127.0.0.1:$refuser" 100
suite_conf <<END
  local-mailer = maildir
  retry-min = 1s
  retry-max = 5s
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
[route]
  @here.test     local()
  @sink.test     relay(127.0.0.1:$sink)
  @refused.test  relay(127.0.0.1:$refuser)
END
suite_start

# One of deliver's workers; any other is a child of postmaster.
kill_one() {
	local pids
	if [ "$1" = worker ]; then
		pids=$(pgrep -P "$(suite_pids deliver | head -n 1)" 2>/dev/null)
	else
		pids=$(suite_pids "$1")
	fi
	pids=($pids)
	[ ${#pids[@]} -eq 0 ] || kill -9 "${pids[RANDOM % ${#pids[@]}]}" \
	    2>/dev/null
}

# Ended, even if nobody has taken note of it.
ended() {
	case $(ps -o stat= -p "$1") in
	""|Z*)	return 0 ;;
	esac
	return 1
}

kill_suite() {
	local old="$MAIN" pids="$(pgrep -P "$MAIN")"
	kill -9 "$old"
	wait "$old" 2>/dev/null
	[ $((RANDOM % 2)) = 0 ] || kill -9 $pids 2>/dev/null
	for pid in $pids; do
		wait_for 15 ended "$pid" || diag "$pid lives on"
	done
	suite_start
}

names=(smtpd policyd spoold relay deliver worker)
kill_some() {
	case $((RANDOM % 10)) in
	[0-4])	kill_one "${names[RANDOM % 6]}" ;;
	[5-7])	kill_one "${names[RANDOM % 6]}"
		kill_one "${names[RANDOM % 6]}" ;;
	8)	for name in "${names[@]}"; do
			kill_one "$name"
		done ;;
	9)	kill_suite ;;
	esac
	kills=$((kills + 1))
}

begun=$(date +%s)
kills=0
"$TOP/regress/crash/load.py" "$PORT" 20 1000000 "$SECONDS_OF_LOAD" \
    "$SCRATCH/sent" pmtest1@here.test x@sink.test pmtest1@here.test \
    x@sink.test/70000 pmtest1@here.test/100000 x@refused.test &
load=$!
while kill -0 $load 2>/dev/null; do
	kill_some
	sleep $((RANDOM % 2)).$((RANDOM % 10))
done
wait $load
cp -r "$SCRATCH/log" "$SCRATCH/log.load"

# What was put off because it was there when spoold died is tried now.
emptied() {
	postctl release all
	postctl retry all
	queue_is_empty
}
ok "the queue empties" wait_for $((60 + SECONDS_OF_LOAD)) emptied
"$TOP/regress/crash/judge.py" "$SCRATCH/sent" \
    "$boxes/pmtest1/Maildir" "$boxes/pmtest2/Maildir" "$SCRATCH/sink" \
    >"$SCRATCH/judged"
diag "$kills times in $(($(date +%s) - begun)) s;" \
    "$(cat "$SCRATCH/judged")"
some='[1-9][0-9]*'
like "messages went all three ways" "$(cat "$SCRATCH/judged")" \
    "taken $some: $some local, $some relayed, $some refused"
is "nothing is lost" "$(sed -n '/^lost/p' "$SCRATCH/judged")" "lost 0"
is "nothing came twice but in the windows that are known" \
    "$(sed -n '/^defect/p' "$SCRATCH/judged")" ""
is "nothing was answered 5xx" "$(grep '^refused' "$SCRATCH/sent")" ""
is "no child of theirs was killed by anything else" \
    "$(grep -E 'violation|signal=(4|6|7|8|11|31) ' "$SCRATCH/log")" ""
done_testing
