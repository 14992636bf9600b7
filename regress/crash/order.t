#!/bin/bash
# From an strace of the whole suite under load: no 250 leaves before what its
# message needs is synced, and no delivery is told before the mailbox is.  Once
# as the disk is, and once with syncs of the log that take long, which spoold
# leaves to its syncers.
# timeout: 200
. "$(dirname "$0")/../e2e/suite.sh"
need_root
need python3 strace
suite_user pmtest1
suite_conf <<END
  local-mailer = maildir
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
[route]
  @here.test  local()
  @dead.test  relay(127.0.0.1:9)
END
suite_start
calls=pwrite64,write,writev,sendmsg,sendto,fsync,fdatasync,openat,open
calls=$calls,link,linkat,rename
# With the syncers and the nursery.
family() {
	echo "$MAIN" $(pgrep -P "$MAIN") $(pgrep -P "$(suite_pids spoold)") \
	    $(pgrep -P "$(suite_pids deliver)")
}

# Deliveries: the log has them when their outcome is on disk.
logged() {
	grep -c ' delivered ' "$SCRATCH/log"
}

# watch NAME STRACE-OPTION ...
watch() {
	local name="$1" before="$(logged)"
	shift
	trace "$(family)" -f -y -s 140000 -e trace=$calls "$@" \
	    -o "$SCRATCH/trace" || skip_all "no strace"
	"$TOP/regress/crash/load.py" "$PORT" 12 225 60 "$SCRATCH/sent" \
	    pmtest1@here.test x@dead.test pmtest1@here.test/200000 \
	    pmtest1@here.test pmtest1@here.test x@dead.test/70000 \
	    pmtest1@here.test x@dead.test pmtest1@here.test
	is "$name: all messages are taken" $? 0
	ok "$name: they arrive" \
	    wait_for_mail "$SCRATCH/home/pmtest1/Maildir" 150 30
	wait_for 10 eval '[ "$(logged)" -ge $((before + 150)) ]'
	untrace
	"$TOP/regress/crash/order.py" "$SCRATCH/trace" >"$SCRATCH/order"
	is "$name: no 250 and no delivery was told before its syncs returned" \
	    "$(sed -n '/^wrong/p' "$SCRATCH/order" | head)" ""
	is "$name: each 250 and each delivery was looked at" \
	    "$(sed -n '/^seen/p' "$SCRATCH/order")" \
	    "seen 175 small, 50 large, 150 delivered"
	"$TOP/regress/crash/order.py" "$SCRATCH/trace" deaf >"$SCRATCH/order"
	is "$name: had no sync returned, each of them would be wrong" \
	    "$(grep '^wrong' "$SCRATCH/order" | sort -u | wc -l)" \
	    $((225 + 2 * 150))
}

# Those that have synced the log.
at_work() {
	sed -n -E 's/^([0-9]+) +fdatasync\([0-9]+<[^>]*-wal>.*/\1/p' \
	    "$SCRATCH/trace" | sort -u
}

watch "as it is"
# What is there already is not seen: neither a worker nor mail.
postctl remove all >/dev/null
wait_for 10 queue_is_empty
suite_stop
rm -rf "$SCRATCH/home/pmtest1/Maildir"
suite_start
watch "slow" -e inject=fdatasync:delay_enter=5000
for pid in $(pgrep -P "$(suite_pids spoold)"); do
	like "a syncer has worked" "$(at_work)" "$pid"
done
done_testing
