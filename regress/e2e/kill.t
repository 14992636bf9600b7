#!/bin/sh
# timeout: 600
# kill -9 of each process in turn under load: what was answered 250 arrives,
# and no queue id is in the Maildir twice.
. "$(dirname "$0")/suite.sh"
need_root
need python3
suite_user pmtest1
suite_conf <<EOF
  local-mailer = maildir
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
[route]
  @here.test  local()
EOF
suite_start
box=$SCRATCH/home/pmtest1/Maildir

# All tags that were taken, and have not arrived.
missing() {
	find "$box/new" -type f -exec grep -h '^X-Tag:' {} + |
	    sed 's/X-Tag: //' | tr -d '\r' | sort -u >"$SCRATCH/arrived"
	sort -u "$SCRATCH/taken" | comm -23 - "$SCRATCH/arrived"
}

nothing_missing() {
	[ -z "$(missing)" ]
}

# What was poison, for all that could be known, waits a minute.
arrives() {
	ok "$1: what was taken arrives" wait_for 90 nothing_missing ||
	    tell_missing
}

empties() {
	ok "$1: the queue is empty" wait_for 90 queue_is_empty || tell_missing
}

# Why what has not arrived waits.
tell_missing() {
	diag "$(missing | head -n 5)" "$(postctl status)" \
	    "$(postctl list | head -n 20)"
	for id in $(postctl list | grep -o '^[0-9a-z]\{13\}' | head -n 3); do
		diag "$(postctl show "$id" | head -n 40)" \
		    "$(grep "$id" "$SCRATCH/log" | tail -n 20)"
	done
	diag "$(grep -E ' (poison|started|ended|violation) ' "$SCRATCH/log" |
	    tail -n 40)"
}

kill_workers() {
	local deliver="$(suite_pids deliver)"
	for pid in $(pgrep -P "$deliver"); do
		kill -9 "$pid" 2>/dev/null
	done
}

under_load() {
	rm -rf "$box"/new/* "$SCRATCH/taken"
	"$TOP/regress/e2e/load" "$PORT" 20 10000 pmtest1@here.test 90 \
	    "$SCRATCH/taken" &
	load=$!
	rounds=0
	sleep 0.3
	while kill -0 "$load" 2>/dev/null && [ $rounds -lt 4 ]; do
		"$@"
		rounds=$((rounds + 1))
		sleep 0.5
	done
	wait "$load"
}

for name in smtpd policyd spoold relay deliver; do
	ok "the load goes on while $name is killed" under_load \
	    suite_kill "$name"
	like "$name was killed more than once" $rounds '^[2-9]'
	arrives "$name"
	is "$name: no id is there twice" "$(find "$box/new" -type f |
	    sed 's,.*/,,' | cut -d. -f2 | sort | uniq -d)" ""
	empties "$name"
done

ok "the load goes on while workers are killed" under_load kill_workers
arrives workers
is "workers: no id is there twice" "$(find "$box/new" -type f |
    sed 's,.*/,,' | cut -d. -f2 | sort | uniq -d)" ""

kill_suite() {
	local old="$MAIN" pids="$(pgrep -P "$MAIN")"
	kill -9 "$old"
	wait "$old" 2>/dev/null
	MAIN=
	for pid in $pids; do
		wait_for 15 suite_gone "$pid" || echo "$pid lives on"
	done
	suite_start
}
ok "postmaster is killed and started afresh" under_load kill_suite
# under_load ran in this shell: MAIN is the new one.
arrives postmaster
empties postmaster
done_testing
