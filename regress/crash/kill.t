#!/bin/bash
# Random processes of the suite, pairs and all of them are killed at random
# moments under load that goes to mailboxes, to a program, to a next hop and
# back to its sender as a bounce.  kill.t [SECONDS [SEED]]
# timeout: 240
. "$(dirname "$0")/world.sh"
SECONDS_OF_LOAD=${1:-5}
seed=${2:-$((SRANDOM % 32768))}
diag "seed $seed"
RANDOM=$seed
world_start </dev/null

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
load_start "$SECONDS_OF_LOAD" 20
while kill -0 $load 2>/dev/null; do
	kill_some
	sleep $((RANDOM % 2)).$((RANDOM % 10))
done
wait $load
cp -r "$SCRATCH/log" "$SCRATCH/log.load"
diag "$kills times in $(($(date +%s) - begun)) s"
judge $((60 + SECONDS_OF_LOAD))
done_testing
