#!/bin/bash
# Calls of each process fail for a while under load, by strace's inject: no
# message is lost, none is refused for good, and mail is taken again without
# anybody's help.  faults.t [SECONDS [SEED]] goes through all calls and errors
# in an order of its own until the time is up; else a few are tried.
# timeout: 240
. "$(dirname "$0")/../e2e/suite.sh"
need_root
need python3 strace
need_unpacked postfix
ERRORS="ENOSPC EIO EMFILE ENOMEM EINTR"
declare -A CALLS=(
    [smtpd]="epoll_wait sendto read sendmsg recvmsg write brk epoll_ctl mmap
	accept4 mremap"
    [policyd]="newfstatat recvmsg epoll_wait sendmsg epoll_ctl read lseek
	openat brk mmap"
    [spoold]="pwrite64 fdatasync recvmsg sendmsg openat unlink epoll_wait
	fsync write pread64 epoll_ctl statfs newfstatat fcntl ftruncate mmap
	brk sync_file_range lseek"
    [relay]="sendto recvfrom epoll_wait recvmsg pread64 sendmsg write
	newfstatat connect epoll_ctl setsockopt getsockopt socket brk mmap"
    [deliver]="fsync openat write link pread64 ppoll recvmsg unlink sendmsg
	poll newfstatat read socketpair clone mkdir chdir setgroups mmap brk
	lseek epoll_wait"
)
FEW="spoold:pwrite64:ENOSPC spoold:openat:EMFILE spoold:recvmsg:EINTR
    smtpd:accept4:EMFILE smtpd:brk:ENOMEM policyd:newfstatat:EIO
    policyd:openat:EMFILE relay:socket:EMFILE relay:pread64:EIO
    deliver:fsync:EIO deliver:openat:ENOSPC deliver:clone:ENOMEM
    deliver:link:EIO spoold:fdatasync:EIO"
limit=${1:-60}
seed=${2:-$((SRANDOM % 32768))}
diag "seed $seed"
RANDOM=$seed
suite_user pmtest1
suite_user pmtest2
boxes=$SCRATCH/home
sink=$(suite_port)
install -d -o nobody "$SCRATCH/sink"
postfix_sink -d "$SCRATCH/sink/m." "127.0.0.1:$sink" 100
suite_conf <<END
  local-mailer = maildir
  retry-min = 1s
  retry-max = 5s
[relay "*"]
  idle-time = 1s
  max-messages = 5
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
[route]
  @here.test  local()
  @sink.test  relay(127.0.0.1:$sink)
END
suite_start
begun=$(date +%s)
PAUSE=0.03 "$TOP/regress/crash/load.py" "$PORT" 4 1000000 $((limit + 60)) \
    "$SCRATCH/sent" pmtest1@here.test x@sink.test pmtest1@here.test \
    x@sink.test/70000 pmtest1@here.test/100000 &
load=$!

taken() {
	grep -c '^taken' "$SCRATCH/sent"
}

more_taken() {
	[ "$(taken)" -gt "$1" ]
}

# One call of one process fails now and then for a moment.
fail_at() {
	local process=${1%%:*} call=${1#*:} error=${1##*:} pids
	call=${call%:*}
	pids=$(for pid in $(suite_pids "$process"); do echo "-p $pid"; done)
	[ -n "$pids" ] || return 0
	strace -f -e signal=none -e "trace=$call" -o "$SCRATCH/faults" -e \
	    "inject=$call:error=$error:when=$((1 + RANDOM % 3))+$((2 +
	    RANDOM % 5))" $pids 2>/dev/null &
	# What is read at a change only is read now.
	echo "list$RANDOM: pmtest1" >>"$SCRATCH/aliases"
	sleep 0.7
	kill $! 2>/dev/null
	wait $! 2>/dev/null
	grep -c INJECTED "$SCRATCH/faults" >>"$SCRATCH/injected"
	wait_for 25 more_taken "$(taken)" ||
		echo "no mail is taken after $1" >>"$SCRATCH/stuck"
}

few=
if [ $# -eq 0 ]; then
	few=yes
	set -- $FEW
else
	set -- $(for process in "${!CALLS[@]}"; do
		for call in ${CALLS[$process]}; do
			for error in $ERRORS; do
				echo "$RANDOM $process:$call:$error"
			done
		done
	done | sort | cut -d' ' -f2)
fi
: >"$SCRATCH/stuck"
tried=0
for fault in "$@"; do
	[ $(($(date +%s) - begun)) -lt "$limit" ] || break
	fail_at "$fault"
	tried=$((tried + 1))
done
kill $load
wait $load 2>/dev/null

emptied() {
	postctl release all
	postctl retry all
	queue_is_empty
}
is "mail is taken again after each of them" "$(cat "$SCRATCH/stuck")" ""
ok "the queue empties" wait_for 90 emptied
"$TOP/regress/crash/judge.py" "$SCRATCH/sent" \
    "$boxes/pmtest1/Maildir" "$boxes/pmtest2/Maildir" "$SCRATCH/sink" \
    >"$SCRATCH/judged"
diag "$tried faults in $(($(date +%s) - begun)) s," \
    "$(awk "{ n += \$1 } END { print n }" "$SCRATCH/injected") calls failed;" \
    "$(cat "$SCRATCH/judged")"
diag "$(grep -Eo 'ended process=[a-z]+ .*(signal|status)=[1-9].*' \
    "$SCRATCH/log" | sed -E 's/ (instance|pid)=[0-9]*//g' | sort | uniq -c)"
is "nothing is lost" "$(sed -n '/^lost/p' "$SCRATCH/judged")" "lost 0"
is "nothing came twice but in the windows that are known" \
    "$(sed -n '/^defect/p' "$SCRATCH/judged")" ""
is "nothing was answered 5xx" "$(grep '^refused' "$SCRATCH/sent")" ""
is "nothing was bounced" "$(grep ' bounced ' "$SCRATCH/log" | head -n 5)" ""
[ -z "$few" ] || is "want of descriptors is no failure of the disk" \
    "$(grep 'failed at a directory' "$SCRATCH/log")" ""
done_testing
