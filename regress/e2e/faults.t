#!/bin/bash
# What must be on disk before a 250, in which order, and what a disk that
# fails at it leads to; by strace on the jailed spoold.
# timeout: 240
. "$(dirname "$0")/suite.sh"
need_root
need python3 swaks strace
suite_conf <<END
  local-mailer = maildir
  retry-min = 1h
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
[route]
  @dead.test  relay(127.0.0.1:9)
END
suite_start
trace "$(suite_pids smtpd | tail -n 1)" -o /dev/null -e trace=none ||
	skip_all "strace cannot attach"
untrace

# Trace spoold and its syncers with some options, while a command runs.
traced() {
	local options="$1" spoold="$(suite_pids spoold)" syncers status
	shift
	syncers=$(pgrep -P "$spoold")
	# What goes through their sockets answers nobody.
	inner=$(for pid in $syncers; do ls -l "/proc/$pid/fd"; done |
	    sed -n 's/.*socket:\[\([0-9]*\)\]$/\1/p' | paste -s -d'|')
	trace "$spoold $syncers" -f -yy -o "$SCRATCH/trace" $options
	"$@" >"$SCRATCH/.traced" 2>&1
	status=$?
	sleep 0.5
	untrace
	return $status
}

# The calls of a trace in their order, one word each.
steps() {
	sed -nE -e 's/.*fdatasync\([0-9]+<[^>]*\/body\/..\/[^>]*>.*/file/p' \
	    -e 's/.*fsync\([0-9]+<[^>]*\/body\/..>.*/directory/p' \
	    -e 's/.*f(data)?sync\([0-9]+<[^>]*spool\.db-wal>.*/log/p' \
	    -e 's/.*unlink.*"body\/.*/unlink/p' \
	    -e "/[[>]($inner)[-\]]/d" \
	    -e 's/.*sendmsg\(.*/answer/p' "$SCRATCH/trace" | uniq | tr '\n' ' '
}

large() {
	swaks --server 127.0.0.1 --port "$PORT" --from a@b.test --to "$1" \
	    --h-Subject "$2" --body "$(head -c 100000 /dev/zero | tr '\0' x |
	    fold -w 70)" --timeout 60
}

ids() {
	postctl list -j | grep -o '"queue_id": "[^"]*"' | cut -d'"' -f4
}

postctl pause >/dev/null
ok "a large message is taken" traced "-e trace=fsync,fdatasync,sendmsg" \
    large x@dead.test order
# Its last pieces may be answered while a syncer has the log.
like "its file, then the folder, then the log are synced before the answer" \
    "$(steps)" '(answer )*file directory (answer )?log answer $'
ok "it is removed" traced "-e trace=fsync,fdatasync,unlink,unlinkat,sendmsg" \
    eval 'postctl remove "$(ids)"; sleep 2'
like "its file goes when its row is gone" "$(steps)" 'log .*unlink'
not_ok "before that it does not" grep -q '^[^l]*unlink' <(steps)
is "nothing is left of it" "$(find "$SCRATCH/spool/body" -type f)" ""

# A sync that fails, of the log and of a body.
fails_at() {
	local what="$1" before="$(suite_pids spoold)"
	shift
	traced "-e trace=fdatasync,fsync,sendmsg -e inject=$1:error=EIO" large \
	    x@dead.test "$what" >/dev/null
	not_ok "$what: that is no 250" grep -q '<-  250 2.0.0' "$SCRATCH/.traced"
	like "$what: but a 4xx" "$(cat "$SCRATCH/.traced")" '<\*\* 4[0-9]{2} 4\.'
	ok "$what: spoold ends" wait_for 10 suite_gone "$before"
	ok "$what: and is started afresh" wait_for 20 suite_ready
	like "$what: it says why" "$(cat "$SCRATCH/log")" \
	    "spoold\[$before\]: .*the disk failed"
	ok "$what: mail is taken again" wait_for 20 send_to x@dead.test again
	is "$what: what was refused is not in the queue, or whole" \
	    "$(for id in $(ids); do postctl show "$id" >/dev/null || echo "$id";
	    done)" ""
}
fails_at "a sync of the log" fdatasync
fails_at "a sync of a body's folder" fsync

# One statement that fails for want of memory or disk, alone or in a batch.
before=$(suite_pids spoold)
ok "a write that finds no room is a 4xx" traced \
    "-e trace=pwrite64 -e inject=pwrite64:error=ENOSPC:when=1..3" \
    eval '! send_to x@dead.test noroom'
is "and spoold lives" "$(suite_pids spoold)" "$before"
ok "it takes mail again by itself" wait_for 30 send_to x@dead.test room
done_testing
