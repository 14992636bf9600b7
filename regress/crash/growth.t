#!/bin/bash
# No descriptor and no memory stays behind when sessions have come and gone.
# growth.t [SESSIONS]
# timeout: 1800
. "$(dirname "$0")/../e2e/suite.sh"
need_root
need python3
need_unpacked postfix
if [ "$SUITE_FLAG" = -d ]; then
	skip_all "a sanitized build keeps what was freed"
fi
sessions=${1:-100000}
suite_user pmtest1
sink=$(suite_port)
postfix_sink "127.0.0.1:$sink" 100
suite_conf <<END
  local-mailer = maildir
[relay "*"]
  idle-time = 1s
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
[route]
  @here.test  local()
  @drop.test  discard()
  @sink.test  relay(127.0.0.1:$sink)
END
suite_start

run() {
	timeout 600 "$TOP/regress/crash/sessions.py" "$PORT" "$1" \
	    x@drop.test pmtest1@here.test x@sink.test x@drop.test
}

# A line for each process: its name, pid, descriptors and KiB of memory.
figures() {
	for name in postmaster smtpd policyd spoold relay deliver; do
		for pid in $(suite_pids $name); do
			echo "$name $pid $(ls "/proc/$pid/fd" | wc -l)" \
			    "$(awk '/^Anonymous:/ { print $2 }' \
			    "/proc/$pid/smaps_rollup")"
		done
	done
}

# Nothing is at work: no session, no worker, no connection out.
descriptors() {
	figures | awk '{ print $1, $2, $3 }'
}

still_as_before() {
	queue_is_empty && [ "$(descriptors)" = "$before" ]
}

# Who has more memory than before?
growth() {
	paste -d' ' "$SCRATCH/early" "$SCRATCH/late" |
	    awk '$8 - $4 > ($1 == "spoold" ? 1024 : 256)'
}

descriptors >"$SCRATCH/first"
before=$(descriptors)
is "sessions are served" "$(run 2000)" ""
# A worker lives on for a minute.
wait_for 90 still_as_before
figures >"$SCRATCH/early"
is "many more are" "$(run "$sessions")" ""
ok "no descriptor stays behind" wait_for 90 still_as_before
diag "$(descriptors | diff - "$SCRATCH/first")"
figures >"$SCRATCH/late"
is "the processes are the same" "$(cut -d' ' -f1,2 "$SCRATCH/early")" \
    "$(cut -d' ' -f1,2 "$SCRATCH/late")"
diag "$(paste -d' ' "$SCRATCH/early" "$SCRATCH/late" |
    awk '{ print $1, "was", $4, "KiB, is", $8 }')"
# A cache grows with the deepest queue that there was, once or twice; what
# stays behind of each session grows every time.
for again in 1 2 3; do
	[ -n "$(growth)" ] || break
	diag "grown: $(growth)"
	cp "$SCRATCH/late" "$SCRATCH/early"
	run "$sessions" >/dev/null
	wait_for 90 still_as_before
	figures >"$SCRATCH/late"
done
is "no memory does, again and again" "$(growth)" ""
is "nothing is left in the queue" "$(queue_count)" 0
done_testing
