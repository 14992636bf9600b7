#!/bin/bash
# From an strace of the whole suite under load: no 250 leaves before what its
# message needs is synced, and no delivery is told before the mailbox is.
# timeout: 120
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
strace -f -y -s 140000 -e trace=$calls -e signal=none -o "$SCRATCH/trace" \
    $(for pid in "$MAIN" $(pgrep -P "$MAIN"); do echo "-p $pid"; done) \
    2>"$SCRATCH/strace" &
tracer=$!
attached() {
	[ "$(grep -c attached "$SCRATCH/strace")" -gt \
	    "$(pgrep -P "$MAIN" | wc -l)" ]
}
wait_for 10 attached || { kill $tracer; skip_all "strace cannot attach"; }

"$TOP/regress/crash/load.py" "$PORT" 12 225 60 "$SCRATCH/sent" \
    pmtest1@here.test x@dead.test pmtest1@here.test/200000 \
    pmtest1@here.test pmtest1@here.test x@dead.test/70000 \
    pmtest1@here.test x@dead.test pmtest1@here.test
is "all messages are taken" $? 0
ok "they arrive" wait_for_mail "$SCRATCH/home/pmtest1/Maildir" 150 30
wait_for 10 eval '[ "$(queue_count)" = 75 ]'
kill $tracer
wait $tracer 2>/dev/null
"$TOP/regress/crash/order.py" "$SCRATCH/trace" >"$SCRATCH/order"
is "no 250 and no delivery was told before its syncs had returned" \
    "$(sed -n '/^wrong/p' "$SCRATCH/order" | head)" ""
is "each 250 and each delivery was looked at" \
    "$(sed -n '/^seen/p' "$SCRATCH/order")" \
    "seen 175 small, 50 large, 150 delivered"
"$TOP/regress/crash/order.py" "$SCRATCH/trace" deaf >"$SCRATCH/order"
is "had no sync returned, each of them would be wrong" \
    "$(grep '^wrong' "$SCRATCH/order" | sort -u | wc -l)" $((225 + 2 * 150))
done_testing
