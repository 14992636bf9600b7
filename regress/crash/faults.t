#!/bin/bash
# Calls of each process fail for a while under load, by strace's inject: no
# message is lost, none is refused for good, and mail is taken again without
# anybody's help.  faults.t [SECONDS [SEED [FAULT ...]]] goes through all calls
# and errors, or those that begin with a FAULT (spoold, spoold:fsync:EIO), in an
# order of its own until the time is up; else a few are tried.  A worker is one
# that is there already; deliver's calls are those of its nursery and of its
# new workers as well, up to the program that they execute.
# timeout: 240
. "$(dirname "$0")/world.sh"
need strace
# The calls that a process makes, and the errors that a call can return; where
# the descriptor is a pipe or a lock that cannot fail so, CALL=ERROR.
declare -A CALLS=(
    [postmaster]="wait4 clone sendmsg epoll_wait socketpair write fcntl
	setsockopt read=EINTR memfd_create newfstatat openat poll pipe2 lseek brk
	mmap"
    [smtpd]="epoll_wait sendto read=EINTR sendmsg recvmsg write brk epoll_ctl mmap
	accept4 mremap"
    [policyd]="newfstatat recvmsg epoll_wait sendmsg epoll_ctl read lseek
	openat brk mmap write"
    [spoold]="pwrite64 fdatasync recvmsg sendmsg openat unlink epoll_wait
	fsync write pread64 epoll_ctl statfs newfstatat ftruncate mmap
	brk sync_file_range lseek accept4"
    [relay]="sendto recvfrom epoll_wait recvmsg pread64 sendmsg write
	newfstatat connect epoll_ctl setsockopt getsockopt socket brk mmap"
    [deliver]="fsync openat write link pread64 ppoll recvmsg unlink sendmsg
	sync_file_range
	poll newfstatat read=EINTR socketpair clone mkdir chdir setgroups mmap brk
	lseek epoll_wait wait4 fcntl ftruncate pipe2 dup2"
    [worker]="fsync openat write link pread64 ppoll recvmsg unlink sendmsg
	sync_file_range
	poll newfstatat read lseek fcntl ftruncate clone pipe2 wait4"
)
declare -A CAN=(
    [accept4]="EMFILE ENOMEM EINTR" [brk]=ENOMEM [chdir]="EIO ENOMEM"
    [clone]=ENOMEM [connect]="EINTR ENOMEM" [dup2]="EMFILE EINTR"
    [epoll_ctl]="ENOMEM ENOSPC" [epoll_wait]=EINTR [fcntl]="EMFILE EINTR"
    [fdatasync]="ENOSPC EIO ENOMEM EINTR" [fsync]="ENOSPC EIO ENOMEM EINTR"
    [ftruncate]="ENOSPC EIO EINTR" [getsockopt]=ENOMEM
    [link]="ENOSPC EIO ENOMEM" [lseek]=EIO [memfd_create]="EMFILE ENOMEM"
    [mkdir]="ENOSPC EIO ENOMEM" [mmap]=ENOMEM [mremap]=ENOMEM
    [newfstatat]="EIO ENOMEM" [openat]="ENOSPC EIO EMFILE ENOMEM EINTR"
    [pipe2]="EMFILE ENOMEM" [poll]="EINTR ENOMEM" [ppoll]="EINTR ENOMEM"
    [pread64]="EIO ENOMEM EINTR" [pwrite64]="ENOSPC EIO ENOMEM EINTR"
    [read]="EIO ENOMEM EINTR" [recvfrom]="ENOMEM EINTR"
    [recvmsg]="ENOMEM EINTR" [sendmsg]="ENOMEM EINTR" [sendto]="ENOMEM EINTR"
    [setgroups]=ENOMEM [setsockopt]=ENOMEM [socket]="EMFILE ENOMEM"
    [socketpair]="EMFILE ENOMEM" [statfs]="EIO ENOMEM EINTR"
    [sync_file_range]="ENOSPC EIO ENOMEM" [unlink]="EIO ENOMEM" [wait4]=EINTR
    [write]="ENOSPC EIO ENOMEM EINTR"
)
FEW="spoold:pwrite64:ENOSPC spoold:openat:EMFILE spoold:recvmsg:EINTR
    smtpd:accept4:EMFILE smtpd:brk:ENOMEM policyd:newfstatat:EIO
    policyd:openat:EMFILE relay:socket:EMFILE relay:pread64:EIO
    worker:fsync:EIO worker:openat:ENOSPC deliver:clone:ENOMEM
    worker:link:EIO worker:unlink:EIO worker:write:EIO
    deliver:openat:EMFILE spoold:fdatasync:EIO postmaster:socketpair:EMFILE"
limit=${1:-60}
seed=${2:-${SEED:-$((SRANDOM % 32768))}}
diag "seed $seed"
RANDOM=$seed
world_start <<END
[relay "*"]
  idle-time = 1s
  max-messages = 5
END
begun=$(date +%s)
PAUSE=0.03 load_start $((limit + 60)) 4

taken() {
	grep -c '^taken' "$SCRATCH/sent"
}

more_taken() {
	[ "$(taken)" -gt "$1" ]
}

pids_of() {
	local deliver="$(suite_pids deliver | head -n 1)"
	case $1 in
	worker)	pgrep -P "$deliver" ;;
	deliver)
		echo "$deliver"
		pgrep -P "$deliver" -u root ;;
	*)	suite_pids "$1" ;;
	esac 2>/dev/null
}

# What is done seldom is done now.
hurry() {
	case $1 in
	postmaster)
		suite_kill relay
		[ $((RANDOM % 3)) -gt 0 ] || kill -HUP "$MAIN" ;;
	deliver)
		kill -9 $(pids_of worker | shuf -n 1) ;;
	spoold)
		postctl list >/dev/null ;;
	policyd)
		echo "list$RANDOM: pmtest1" >>"$SCRATCH/aliases" ;;
	esac 2>/dev/null
}

injected() {
	grep -q INJECTED "$SCRATCH/faults"
}

# One call of one process fails now and then for a moment.
fail_at() {
	local process=${1%%:*} call=${1#*:} error=${1##*:} pids follow= count how
	call=${call%:*}
	[ "$process" != deliver ] || follow="-f -b execve"
	pids=$(for pid in $(pids_of "$process"); do echo "-p $pid"; done)
	[ -n "$pids" ] || return 0
	: >"$SCRATCH/faults"
	# brk(2) itself returns no error, but where the break stays.
	how=error=$error
	[ "$call" != brk ] || how=retval=0
	strace $follow -e signal=none -e "trace=$call" -o "$SCRATCH/faults" \
	    -e "inject=$call:$how:when=$((1 + RANDOM % 3))+$((2 +
	    RANDOM % 5))" $pids 2>/dev/null &
	sleep 0.2
	hurry "$process"
	wait_for 2 injected
	sleep 0.4
	kill $! 2>/dev/null
	wait $! 2>/dev/null
	count=$(grep -c INJECTED "$SCRATCH/faults")
	echo "$count $1" >>"$SCRATCH/injected"
	wait_for 75 more_taken "$(taken)" ||
		echo "no mail is taken after $1" >>"$SCRATCH/stuck"
	ends "$1"
}

# Who ended by that, not killed by us.
ends() {
	grep -Eo 'ended process=.*' "$SCRATCH/log" | tail -n +$((seen + 1)) |
	    grep -v -e 'signal=9' -e 'status=0' |
	    sed -E "s/ (instance|pid)=[0-9]*//g; s/^ended /$1: /" |
	    sort | uniq -c >>"$SCRATCH/ends"
	seen=$(grep -c 'ended process=' "$SCRATCH/log")
}
seen=0

few=
if [ $# -eq 0 ]; then
	few=yes
	set -- $FEW
else
	shift $(($# < 2 ? $# : 2))
	wanted="^[0-9]+ ($(echo "${*:-.}" | tr ' ' '|'))"
	set -- $(for process in "${!CALLS[@]}"; do
		for call in ${CALLS[$process]}; do
			errors=${CAN[$call]-${call#*=}}
			for error in $errors; do
				echo "$RANDOM $process:${call%=*}:$error"
			done
		done
	done | grep -E "$wanted" | sort | cut -d' ' -f2)
fi
: >"$SCRATCH/stuck"
: >"$SCRATCH/ends"
tried=0
for fault in "$@"; do
	[ $(($(date +%s) - begun)) -lt "$limit" ] || break
	fail_at "$fault"
	tried=$((tried + 1))
done
kill $load
wait $load 2>/dev/null

is "mail is taken again after each of them" "$(cat "$SCRATCH/stuck")" "" ||
    diag "$(grep -E ' (started|ended|start|fatal|violation|spool|reload) ' \
    "$SCRATCH/log" | tail -n 60)"
diag "$tried of $# faults in $(($(date +%s) - begun)) s," \
    "$(awk "{ n += \$1 } END { print n }" "$SCRATCH/injected") calls failed"
diag "not called meanwhile: $(awk '$1 == 0 { print $2 }' \
    "$SCRATCH/injected" | tr '\n' ' ')"
diag "$(cat "$SCRATCH/ends")"
judge 90
is "nothing was bounced but what the next hop refused" \
    "$(grep ' bounced ' "$SCRATCH/log" | grep -v refused.test | head -n 5)" ""
# A sync that fails, however, ends spoold: what is on disk is not known then.
is "none ended for want of descriptors, or by a call cut short" \
    "$(grep -E ' ([a-z]+):[a-z0-9_]+:(EMFILE|EINTR): process=\1 ' \
    "$SCRATCH/ends" | grep -v 'spoold:f[a-z]*sync:')" ""
[ -z "$few" ] || is "want of descriptors is no failure of the disk" \
    "$(grep 'failed at a directory' "$SCRATCH/log")" ""
done_testing
