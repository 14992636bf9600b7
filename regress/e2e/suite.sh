# Sourced by tests that need the suite running.  Plain sh; prints TAP.
#
# The suite is the one installed below $STAGE (`make stage`).  Everything
# happens in $SCRATCH, which the shell's exit removes together with what was
# started and the users that were made.
#
#	suite_conf <<EOF ...	write $SCRATCH/postmaster.cf; stdin is what
#				follows the [core] lines that point the suite
#				into $SCRATCH (hostname mx.test, log in
#				$SCRATCH/log, alias-file $SCRATCH/aliases)
#	suite_start [FILE]	start with it (or FILE), wait until it is ready;
#				fails the test script if it does not come up
#	suite_stop		end it cleanly
#	suite_reload		SIGHUP, and wait until the new workers are there
#	suite_pids NAME		its processes of that name (smtpd, spoold ...)
#	suite_kill NAME		kill -9 all of them
#	suite_port		print a free TCP port of 127.0.0.1
#	suite_user NAME [HOME]	make a user (root only)
#	as_user NAME COMMAND	run as that user
#	wait_for SECONDS COMMAND ...	until it succeeds
#	wait_for_mail DIR N SECONDS	until DIR/new and DIR/cur hold N or more
#	wait_for_log SECONDS PATTERN	until the log holds it (grep -E)
#	mail_count DIR		how many they hold
#	queue_count		messages in the queue, as mailq tells
#	queue_is_empty		for wait_for
#	runq_again		as a uid that has not asked for 10 s (root only)
#	send_to ADDRESS [SUBJECT [OPTION ...]]	one message by SMTP (swaks)
#	trace "PID ..." OPTION ...	strace(1) of these, in the background;
#				true when it is attached to all
#	untrace			let go of them
#	need_unpacked PACKAGE	skip_all unless etc/install-packages got it
#	postfix_tool NAME ...	a program of the unpacked postfix
#	postfix_sink ARGUMENT ...	its stand-in server, until the end; it
#				runs as nobody
#
#	ok NAME COMMAND ...	one test: does the command succeed
#	not_ok NAME COMMAND ...	one test: does it fail
#	is NAME GOT WANTED	one test: are they equal
#	like NAME TEXT PATTERN	one test: grep -E
#	status_of COMMAND ...	its status; what it says goes to
#				$SCRATCH/.output
#				(these return whether it passed)
#	diag TEXT		a remark
#	skip_all REASON		end: this machine cannot run it
#	need_root		skip_all unless root
#	need COMMAND ...	skip_all unless these are there
#	done_testing		the last line of a test
#
# $MAIN, $CF, $PORT are the pid, the configuration, and a free port chosen at
# the start.  sendmail, mailq, runq, postctl ... are first in PATH and are
# functions that add -C "$CF"; $SENDMAIL is the program's path.

TOP=${TOP:-$(cd "$(dirname "$0")/../.." && pwd)}
BUILD=${BUILD:-$TOP/build}
STAGE=${STAGE:-$BUILD/stage}
SCRATCH=$(mktemp -d /tmp/postmaster-test.XXXXXX)
chmod 0755 "$SCRATCH"
CF=$SCRATCH/postmaster.cf
MAIN=
TESTS=0
FAILURES=0
USERS=
SINKS=
REPORTS='(Address|Leak|UndefinedBehavior)Sanitizer|runtime error:'

# A sanitized build reports on stderr, which the processes keep with -d only.
SUITE_FLAG=-D
if grep -q __asan_init "$STAGE/usr/sbin/postmaster" 2>/dev/null; then
	SUITE_FLAG=-d
fi

# ---- TAP

diag() {
	printf '%s\n' "$*" | sed 's/^/# /'
}

tap_result() {
	TESTS=$((TESTS + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $TESTS - $2"
	else
		FAILURES=$((FAILURES + 1))
		echo "not ok $TESTS - $2"
	fi
	return "$1"
}

ok() {
	local name="$1" status=0
	shift
	"$@" >"$SCRATCH/.output" 2>&1 || status=$?
	if [ "$status" -ne 0 ]; then
		status=1
	fi
	tap_result "$status" "$name" && return
	diag "$* ->" "$(tail -n 20 "$SCRATCH/.output")"
	return 1
}

not_ok() {
	local name="$1" status=0
	shift
	"$@" >"$SCRATCH/.output" 2>&1 || status=$?
	if [ "$status" -ne 0 ]; then
		tap_result 0 "$name"
	else
		tap_result 1 "$name" || diag "$* succeeded:" "$(tail -n 20 \
		    "$SCRATCH/.output")"
	fi
}

is() {
	if [ "$2" = "$3" ]; then
		tap_result 0 "$1"
	else
		tap_result 1 "$1" || { diag "got: $2"; diag "wanted: $3"; }
		return 1
	fi
}

like() {
	if printf '%s\n' "$2" | grep -Eq -- "$3"; then
		tap_result 0 "$1"
	else
		tap_result 1 "$1" || { diag "got: $2"; diag "wanted: $3"; }
		return 1
	fi
}

status_of() {
	"$@" >"$SCRATCH/.output" 2>&1
	echo $?
}

skip_all() {
	echo "1..0 # SKIP $*"
	exit 0
}

need_root() {
	[ "$(id -u)" = 0 ] || skip_all "needs root"
}

need() {
	local command
	for command in "$@"; do
		command -v "$command" >/dev/null || skip_all "needs $command"
	done
}

done_testing() {
	suite_stop
	if grep -Eqs "$REPORTS" "$SCRATCH/suite.stderr"; then
		tap_result 1 "no sanitizer reports"
		diag "$(grep -Es -A 40 "$REPORTS" "$SCRATCH/suite.stderr" |
		    head -n 120)"
	fi
	echo "1..$TESTS"
	if [ "$FAILURES" -ne 0 ]; then
		diag "the log ends:"
		tail -n 40 "$SCRATCH"/log* 2>/dev/null | sed 's/^/# /'
	fi
	exit $((FAILURES != 0))
}

# ---- waiting

wait_for() {
	local rounds=$(($1 * 10))
	shift
	while ! "$@" >/dev/null 2>&1; do
		rounds=$((rounds - 1))
		[ $rounds -gt 0 ] || return 1
		sleep 0.1
	done
}

mail_count() {
	find "$1/new" "$1/cur" -type f 2>/dev/null | wc -l
}

mail_at_least() {
	[ "$(mail_count "$1")" -ge "$2" ]
}

wait_for_mail() {
	wait_for "$3" mail_at_least "$1" "$2"
}

wait_for_log() {
	wait_for "$1" grep -Eqs -- "$2" "$SCRATCH/log"
}

# ---- users

# Users are the machine's: one test at a time has them.  The lock is held by
# a process that ends with this shell, and inherited by nobody.
lock_users() {
	[ -z "$USERS" ] || return 0
	command -v flock >/dev/null || return 0
	flock -o -w 250 /tmp/postmaster-users.lock \
	    sh -c '>"$0"; exec tail --pid="$1" -f /dev/null' \
	    "$SCRATCH/.locked" $$ >/dev/null 2>&1 &
	wait_for 250 test -e "$SCRATCH/.locked"
}

suite_user() {
	lock_users
	local home="${2:-$SCRATCH/home/$1}"
	mkdir -p "$(dirname "$home")"
	chmod 0755 "$(dirname "$home")"
	userdel -f "$1" >/dev/null 2>&1
	useradd --home-dir "$home" --create-home --shell /bin/sh "$1" \
	    >/dev/null 2>&1 || return 1
	USERS="$USERS $1"
}

as_user() {
	local user="$1"
	shift
	setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups \
	    env HOME="$(getent passwd "$user" | cut -d: -f6)" \
	    LOGNAME="$user" USER="$user" "$@"
}

# ---- the suite

suite_port() {
	perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(Listen => 1,
	    LocalAddr => "127.0.0.1:0", ReuseAddr => 1)->sockport'
}

PORT=$(suite_port)

# The processes run as accounts of their own and must be able to reach the
# programs: where they cannot (a checkout below /root), use a copy.
if [ "$(id -u)" = 0 ]; then
	"$TOP/etc/make-accounts" >/dev/null
	if ! setpriv --reuid=nobody --clear-groups --regid=nogroup \
	    test -x "$STAGE/usr/sbin/sendmail"; then
		cp -a "$STAGE" "$SCRATCH/stage"
		STAGE=$SCRATCH/stage
	fi
fi
PATH=$STAGE/usr/sbin:$STAGE/usr/bin:$PATH
SENDMAIL=$STAGE/usr/sbin/sendmail

sendmail() { "$SENDMAIL" -C "$CF" "$@"; }
mailq() { "$STAGE/usr/bin/mailq" -C "$CF" "$@"; }
runq() { "$STAGE/usr/bin/runq" -C "$CF" "$@"; }
newaliases() { "$STAGE/usr/bin/newaliases" -C "$CF" "$@"; }
postctl() { "$STAGE/usr/sbin/postctl" -C "$CF" "$@"; }

suite_conf() {
	[ -e "$SCRATCH/aliases" ] || : >"$SCRATCH/aliases"
	{
		cat <<-EOF
		[core]
		  hostname        = mx.test
		  spool-directory = $SCRATCH/spool
		  run-directory   = $SCRATCH/run
		  pid-file        = $SCRATCH/pid
		  alias-file      = $SCRATCH/aliases
		  logger          = log
		EOF
		cat
		cat <<-EOF
		[logfile "log"]
		  file = "$SCRATCH/log"
		EOF
	} >"$CF"
}

suite_ready() {
	timeout 2 "$STAGE/usr/sbin/postctl" -C "$CF" status
}

suite_start() {
	local file="${1:-$CF}"
	CF=$file
	"$STAGE/usr/sbin/postmaster" "$SUITE_FLAG" -f "$CF" \
	    </dev/null >>"$SCRATCH/suite.stderr" 2>&1 &
	MAIN=$!
	if ! wait_for 15 suite_ready; then
		diag "the suite does not come up:"
		cat "$SCRATCH/suite.stderr" "$SCRATCH"/log* 2>/dev/null |
		    tail -n 40 | sed 's/^/# /'
		tap_result 1 "the suite comes up"
		echo "1..$TESTS"
		exit 1
	fi
}

# The processes below postmaster; workers of deliver are its grandchildren.
suite_pids() {
	[ -n "$MAIN" ] || return 1
	if [ "$1" = postmaster ]; then
		echo "$MAIN"
	else
		pgrep -P "$MAIN" -x "$1"
	fi
}

suite_kill() {
	local pid
	for pid in $(suite_pids "$1"); do
		kill -9 "$pid" 2>/dev/null
	done
}

suite_stop() {
	[ -n "$MAIN" ] || return 0
	kill -TERM "$MAIN" 2>/dev/null
	wait_for 30 suite_gone "$MAIN" || kill -KILL "$MAIN" 2>/dev/null
	wait "$MAIN" 2>/dev/null
	MAIN=
}

# It has ended, though nobody may have reaped it.
suite_gone() {
	! kill -0 "$1" 2>/dev/null ||
	    grep -q '^State:.*Z' "/proc/$1/status" 2>/dev/null
}

suite_new_policyd() {
	local newest="$(suite_pids policyd | tail -n 1)"
	[ -n "$newest" ] && [ "$newest" != "$1" ]
}

# In force means that everybody was told, which the log says last.
suite_reloads() {
	cat "$SCRATCH"/log* 2>/dev/null | grep -c ' reload .*is in force'
}

suite_reloaded() {
	suite_new_policyd "$1" && [ "$(suite_reloads)" -gt "$2" ]
}

suite_reload() {
	local old="$(suite_pids policyd | tail -n 1)" count="$(suite_reloads)"
	kill -HUP "$MAIN"
	wait_for 10 suite_reloaded "$old" "$count"
}

queue_count() {
	local last="$(mailq | tail -n 1)"
	case $last in
	*" empty"*) echo 0 ;;
	*) echo "$last" | sed 's/.* in \([0-9]*\) Request.*/\1/' ;;
	esac
}

queue_is_empty() {
	[ "$(queue_count)" = 0 ]
}

# Each uid may run the queue once in 10 s: be another one each time.
RUNNER=70000
runq_again() {
	RUNNER=$((RUNNER + 1))
	setpriv --reuid=$RUNNER --regid=$RUNNER --clear-groups \
	    "$STAGE/usr/bin/runq" -C "$CF"
}

send_to() {
	local to="$1" subject="${2:-test}"
	shift
	[ $# -gt 0 ] && shift
	swaks --server 127.0.0.1 --port "$PORT" --helo client.test \
	    --from sender@example.org --to "$to" --h-Subject "$subject" \
	    --hide-all "$@"
}

attached() {
	[ "$(grep -c attached "$SCRATCH/strace")" -ge "$1" ]
}

trace() {
	local pids="$1"
	shift
	: >"$SCRATCH/strace"
	strace -e signal=none "$@" $(printf ' -p %s' $pids) \
	    2>"$SCRATCH/strace" &
	TRACER=$!
	wait_for 20 attached "$(echo $pids | wc -w)"
}

untrace() {
	kill $TRACER 2>/dev/null
	wait $TRACER 2>/dev/null
}

need_unpacked() {
	[ -d "$TOP/build/packages/$1" ] || skip_all "needs $1 (unpacked)"
}

postfix_tool() {
	local tool="$1" root="$TOP/build/packages/postfix"
	shift
	LD_LIBRARY_PATH="$root/usr/lib/postfix" "$root/usr/sbin/$tool" "$@"
}

postfix_sink() {
	local root="$TOP/build/packages/postfix" user=
	[ "$(id -u)" != 0 ] || user="-u nobody"
	LD_LIBRARY_PATH="$root/usr/lib/postfix" "$root/usr/sbin/smtp-sink" \
	    $user "$@" >/dev/null 2>&1 &
	SINKS="$SINKS $!"
}

suite_end() {
	local user
	suite_stop
	[ -z "$SINKS" ] || kill $SINKS 2>/dev/null
	for user in $USERS; do
		userdel -f -r "$user" >/dev/null 2>&1
		rm -f "/var/mail/$user"
	done
	[ -n "$KEEP" ] || rm -rf "$SCRATCH"
}
trap suite_end EXIT
trap 'exit 1' INT TERM HUP
