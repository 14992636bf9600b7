#!/bin/bash
# The syncers of a suite under load whose syncs are slow: they are killed while
# they sync, one and all of them, once and again and again, and their syncs
# fail.  No 250 leaves before its sync, no message is lost, none refused for
# good, and mail is taken again without anybody's help.
# timeout: 400
. "$(dirname "$0")/world.sh"
need strace
world_start </dev/null
calls=pwrite64,write,writev,sendmsg,sendto,fsync,fdatasync,openat,open
calls=$calls,link,linkat,rename

syncers() {
	local spoold="$(suite_pids spoold | head -n 1)"
	[ -z "$spoold" ] || pgrep -P "$spoold" -x syncer
}

are_there() {
	[ "$(syncers | wc -l)" = 3 ]
}

# All of the suite, and what it starts: each sync of the log takes 20 ms more.
slowly() {
	wait_for 20 are_there
	traces=$((traces + 1))
	: >"$SCRATCH/trace.$traces"
	trace "$MAIN $(pgrep -P "$MAIN") $(syncers)" -f -y -s 140000 \
	    -e trace=$calls -o "$SCRATCH/trace.$traces" \
	    -e inject=fdatasync:delay_enter=20000 || skip_all "no strace"
}
traces=0

# Have those that are there synced the log?
at_work() {
	local pid pids="$(syncers)"
	[ "$(echo $pids | wc -w)" = 3 ] || return 1
	for pid in $pids; do
		grep -q "^$pid  *fdatasync(.*-wal>" "$SCRATCH/trace.$traces" ||
			return 1
	done
}

taken() {
	grep -c '^taken' "$SCRATCH/sent"
}

more_taken() {
	[ "$(taken)" -gt "$1" ]
}

is_new() {
	local pid="$(suite_pids spoold | head -n 1)"
	[ -n "$pid" ] && [ "$pid" != "$1" ]
}

# trouble NAME COMMAND ...: at the syncers while they work.  What dies time
# and again is started later each time, by 32 s at last.
trouble() {
	local name="$1" old
	shift
	wait_for 40 at_work || echo "no syncer works before $name"
	old=$(suite_pids spoold | head -n 1)
	"$@"
	wait_for 75 is_new "$old" || echo "spoold goes on after $name"
	[ "$1" != fail ] || { untrace; slowly; }
	wait_for 75 more_taken "$(taken)" || echo "no mail is taken after $name"
} >>"$SCRATCH/stuck"

kill_syncers() {
	kill -9 $(syncers | shuf -n "$1") 2>/dev/null
}

# Those of each new spoold as well.
kill_again() {
	local i
	for i in 1 2 3 4 5; do
		kill_syncers 3
		sleep 0.3
	done
} 2>/dev/null

# fail ERROR COUNT: each sync of so many of them, from now on
fail() {
	local spoold="$(suite_pids spoold)"
	kill -STOP "$spoold"
	untrace
	trace "$(syncers | shuf -n "$2")" -o "$SCRATCH/faults" \
	    -e trace=fdatasync \
	    -e "inject=fdatasync:error=$1:delay_enter=50000"
	kill -CONT "$spoold"
}

: >"$SCRATCH/stuck"
slowly
PAUSE=0.02 load_start 240 8
trouble "one was killed" kill_syncers 1
trouble "another was killed" kill_syncers 1
trouble "all were killed" kill_syncers 3
trouble "all were killed again and again" kill_again
wait_for 40 at_work
untrace
"$TOP/regress/crash/order.py" "$SCRATCH/trace.1" >"$SCRATCH/order"
is "no 250 left before its sync" "$(grep '^wrong: 250' "$SCRATCH/order" |
    head -n 5)" ""
like "those that left were looked at" "$(cat "$SCRATCH/order")" \
    'seen [1-9][0-9]* small, [1-9][0-9]* large'
slowly
trouble "a sync of one failed" fail EIO 1
trouble "syncs of all failed" fail EIO 3
trouble "syncs found no room" fail ENOSPC 3
untrace
kill $load
wait $load 2>/dev/null
is "each time spoold began anew, and mail was taken" \
    "$(cat "$SCRATCH/stuck")" ""
is "it said what its syncer was told" "$(grep -Eo \
    'sync of spool.db-wal: .*' "$SCRATCH/log" | sort | uniq -c | wc -l)" 2
judge 90
is "nothing was bounced but what the next hop refused" \
    "$(grep ' bounced ' "$SCRATCH/log" | grep -v refused.test | head -n 5)" ""
done_testing
