# Sourced by the rows of `make bench`.  Plain sh, on top of e2e/suite.sh.
#
# A row starts ours and Postfix side by side, measures one after the other
# several times, and prints lines of the table with row_print.  All of it is
# below $SCRATCH and ends with the row; so do the accounts, whose names begin
# with pmbench.
#
#	$PAIRS			how often each is measured ($BENCH_PAIRS, 5)
#	count N			N times $BENCH_SCALE (1), at least 1
#	say TEXT		a remark on standard error
#	accounts N [FILLERS]	users pmbench1 ... pmbenchN, and so many more
#				that get no mail
#	ours_begin <<EOF ...	start ours; stdin as for suite_conf; it listens
#				on $PORT, bench.test is local
#	postfix_begin [FILE]	start Postfix on $POSTFIX_PORT; FILE is added
#				to main.cf
#	    Both take bench.test to Maildirs, relay sink.test to port
#	    $SINK_PORT, and find nobody at the host of dead.test.
#	ours_empty, postfix_empty	nothing waits, nothing is at work
#	load PORT N SESSIONS TO [OPTION ...]	smtp-source, messages of $SIZE
#	sink_begin [-c] [OPTION ...]	smtp-sink on $SINK_PORT; -c counts
#	sink_taken		how many messages it has
#	sink_await N		until it has so many; prints when
#	maildirs_await N	until all users together have N; prints when
#	maildirs_empty
#	now			seconds since 1970
#	rate N FROM TO		messages a second
#	pairs MEASURE		call MEASURE ours and MEASURE postfix in turn,
#				which print a figure each
#	row_print NAME UNIT GOAL	the line of what pairs left
#	row_figure NAME TEXT GOAL	a line with a figure of ours alone
#	anon PID ...		the sum of Pss_Anon in KiB
#	ours_pids, postfix_pids	of all processes
#
# $WRAP stands before the commands that start either side.

BENCH=$(cd "$(dirname "$0")/.." && pwd)
TOP=$(cd "$BENCH/../.." && pwd)
. "$TOP/regress/e2e/suite.sh"

# A disk, and not what may be memory.
scratch=$(mktemp -d "${BENCH_DIR:-/var/tmp}/postmaster-bench.XXXXXX") ||
    exit 1
chmod 0755 "$scratch"
if [ "$STAGE" = "$SCRATCH/stage" ]; then
	mv "$STAGE" "$scratch/stage"
	STAGE=$scratch/stage
	PATH=$STAGE/usr/sbin:$STAGE/usr/bin:$PATH
	SENDMAIL=$STAGE/usr/sbin/sendmail
fi
rm -rf "$SCRATCH"
SCRATCH=$scratch
CF=$SCRATCH/postmaster.cf

PAIRS=${BENCH_PAIRS:-5}
SIZE=${BENCH_SIZE:-4096}
CLIENT=$BUILD/regress/bench/client
DEEPEN=$BUILD/regress/bench/deepen
POSTFIX=
POSTFIX_PORT=$(suite_port)
SINK_PORT=$(suite_port)
DEAD_PORT=$(suite_port)
FIRST_UID=70000
WRAP=
MAILDIRS=0

say() {
	printf '%s\n' "$*" >&2
}

give_up() {
	say "bench: $*"
	exit 1
}

now() {
	date +%s.%N
}

count() {
	perl -e 'my $n = int($ARGV[0] * $ARGV[1] + 0.5);
	    print $n < 1 ? 1 : $n' "$1" "${BENCH_SCALE:-1}"
}

rate() {
	perl -e 'printf("%.1f\n", $ARGV[0] / ($ARGV[2] - $ARGV[1]))' "$@"
}

# ---- accounts: passwd is edited under its lock and comes out as it was

passwd_edit() {
	EDIT="$1" EDITOR="sh -c 'sleep 1; eval \"\$EDIT\"' sh" \
	    timeout 60 vipw -q </dev/null >/dev/null 2>&1
}

group_edit() {
	EDIT="$1" EDITOR="sh -c 'sleep 1; eval \"\$EDIT\"' sh" \
	    timeout 60 vigr -q </dev/null >/dev/null 2>&1
}

accounts_remove() {
	! grep -q '^pmbench' /etc/passwd || passwd_edit 'sed -i /^pmbench/d "$1"'
	! grep -q '^pmbench' /etc/group || group_edit 'sed -i /^pmbench/d "$1"'
}

accounts_lines() {
	perl -e 'my ($uid, $users, $fillers, $home) = @ARGV;
	    printf("pmbenchpf:x:%d:%d::/nonexistent:/usr/sbin/nologin\n",
		$uid, $uid);
	    printf("pmbenchx%d:x:%d:%d::/nonexistent:/bin/sh\n", $_,
		$uid + 20000 + $_, $uid + 1) for 1 .. $fillers;
	    printf("pmbench%d:x:%d:%d::%s/pmbench%d:/bin/sh\n", $_,
		$uid + 1 + $_, $uid + 1, $home, $_) for 1 .. $users' \
	    "$FIRST_UID" "$@" "$SCRATCH/home"
}

accounts() {
	local users="$1" fillers="${2:-0}"
	accounts_remove
	accounts_lines "$users" "$fillers" >"$SCRATCH/passwd.add"
	printf '%s\n' "pmbenchpf:x:$FIRST_UID:" \
	    "pmbench:x:$((FIRST_UID + 1)):" \
	    "pmbenchdrop:x:$((FIRST_UID + 2)):" >"$SCRATCH/group.add"
	passwd_edit "cat $SCRATCH/passwd.add >>\"\$1\""
	group_edit "cat $SCRATCH/group.add >>\"\$1\""
	id pmbenchpf >/dev/null || give_up "cannot make accounts"
	mkdir -p "$SCRATCH/home"
	perl -e 'my ($uid, $users, $home) = @ARGV;
	    for (1 .. $users) {
		mkdir("$home/pmbench$_", 0755);
		chown($uid + 1 + $_, $uid + 1, "$home/pmbench$_");
	    }' "$FIRST_UID" "$users" "$SCRATCH/home"
	MAILDIRS=$users
}

# ---- both sides

ours_begin() {
	suite_conf <<-EOF
	  local-mailer    = ${MAILER:-maildir}
	  local-domains   = bench.test
	  retry-min       = 1h
	$(cat)
	[smtpd "bench"]
	  listen-port     = 127.0.0.1:$PORT
	  max-sessions    = 24000
	[route]
	  @sink.test      relay(127.0.0.1:$SINK_PORT)
	  @dead.test      relay(127.0.0.1:$DEAD_PORT)
	EOF
	ours_start
}

ours_start() {
	$WRAP "$STAGE/usr/sbin/postmaster" -D -f "$CF" </dev/null \
	    >>"$SCRATCH/suite.stderr" 2>&1 &
	WRAPPER=$!
	wait_for 60 suite_ready ||
	    give_up "ours does not come up: $(tail -n 5 "$SCRATCH/log")"
	MAIN=$(cat "$(dirname "$CF")/pid")
}

ours_stop() {
	[ -n "$MAIN" ] || return 0
	kill -TERM "$MAIN"
	wait_for 60 suite_gone "$MAIN" || kill -KILL "$MAIN"
	wait "$WRAPPER" 2>/dev/null
	MAIN=
}

ours_pids() {
	echo "$MAIN"
	pgrep -P "$(pgrep -d, -P "$MAIN"),$MAIN"
}

ours_empty() {
	postctl remove all >/dev/null 2>&1
	wait_for 120 queue_is_empty || give_up "our queue does not end"
}

postfix_main() {
	local root="$TOP/build/packages/postfix"
	cat <<-EOF
	compatibility_level = 3.6
	queue_directory = $SCRATCH/postfix/queue
	data_directory = $SCRATCH/postfix/data
	command_directory = $root/usr/sbin
	daemon_directory = $root/usr/lib/postfix/sbin
	mail_owner = pmbenchpf
	setgid_group = pmbenchdrop
	import_environment = MAIL_CONFIG LD_LIBRARY_PATH TZ
	maillog_file = $SCRATCH/postfix/log
	maillog_file_prefixes = $SCRATCH
	myhostname = mx.test
	mydestination = bench.test
	mynetworks = 127.0.0.0/8
	inet_interfaces = 127.0.0.1
	inet_protocols = ipv4
	alias_maps =
	alias_database =
	home_mailbox = Maildir/
	mailbox_command =
	mailbox_size_limit = 0
	message_size_limit = 0
	relay_domains = sink.test
	transport_maps = inline:{sink.test=smtp:[127.0.0.1]:$SINK_PORT,
	  dead.test=smtp:[127.0.0.1]:$DEAD_PORT}
	smtpd_client_connection_count_limit = 0
	default_process_limit = 200
	in_flow_delay = 0
	queue_minfree = 0
	EOF
}

postfix_master() {
	cat <<-EOF
	127.0.0.1:$POSTFIX_PORT inet n - n - - smtpd
	pickup unix n - n 60 1 pickup
	cleanup unix n - n - 0 cleanup
	qmgr unix n - n 300 1 qmgr
	rewrite unix - - n - - trivial-rewrite
	bounce unix - - n - 0 bounce
	defer unix - - n - 0 bounce
	trace unix - - n - 0 bounce
	verify unix - - n - 1 verify
	flush unix n - n 1000? 0 flush
	proxymap unix - - n - - proxymap
	smtp unix - - n - - smtp
	showq unix n - n - - showq
	error unix - - n - - error
	retry unix - - n - - error
	local unix - n n - - local
	anvil unix - - n - 1 anvil
	scache unix - - n - 1 scache
	postlog unix-dgram n - n - 1 postlogd
	EOF
}

postfix_folders() {
	local folder queue="$SCRATCH/postfix/queue"
	mkdir -p "$queue" "$SCRATCH/postfix/data" "$SCRATCH/postfix/etc"
	for folder in active bounce corrupt defer deferred flush hold \
	    incoming maildrop pid private public saved trace; do
		mkdir "$queue/$folder"
		chown "$FIRST_UID" "$queue/$folder"
		chmod 0700 "$queue/$folder"
	done
	chown root "$queue/pid"
	chmod 0755 "$queue/pid"
	chown "$FIRST_UID:$((FIRST_UID + 2))" "$queue/maildrop" \
	    "$queue/public"
	chmod 0730 "$queue/maildrop"
	chmod 0710 "$queue/public"
	chown "$FIRST_UID" "$SCRATCH/postfix/data"
}

postfix_listens() {
	perl -MIO::Socket::INET -e 'exit(!IO::Socket::INET->new(
	    PeerAddr => "127.0.0.1", PeerPort => $ARGV[0]))' "$POSTFIX_PORT"
}

postfix_begin() {
	[ -d "$SCRATCH/postfix" ] || postfix_folders
	{ postfix_main; cat "$@" </dev/null; } >"$SCRATCH/postfix/etc/main.cf"
	postfix_master >"$SCRATCH/postfix/etc/master.cf"
	LD_LIBRARY_PATH=$TOP/build/packages/postfix/usr/lib/postfix \
	    $WRAP "$TOP/build/packages/postfix/usr/lib/postfix/sbin/master" \
	    -c "$SCRATCH/postfix/etc" </dev/null \
	    >>"$SCRATCH/postfix/stdout" 2>&1 &
	POSTFIX_WRAPPER=$!
	wait_for 20 postfix_listens || give_up \
	    "Postfix does not come up: $(tail -n 5 "$SCRATCH/postfix/log")"
	POSTFIX=$(tr -d ' ' <"$SCRATCH/postfix/queue/pid/master.pid")
}

postfix_stop() {
	[ -n "$POSTFIX" ] || return 0
	kill -TERM "$POSTFIX"
	wait_for 20 suite_gone "$POSTFIX" || kill -KILL "$POSTFIX"
	wait "$POSTFIX_WRAPPER" 2>/dev/null
	POSTFIX=
}

postfix_pids() {
	echo "$POSTFIX"
	pgrep -P "$POSTFIX"
}

postfix_idle() {
	[ -z "$(find "$SCRATCH/postfix/queue/incoming" \
	    "$SCRATCH/postfix/queue/active" -type f | head -n 1)" ]
}

postfix_empty() {
	local queue="$SCRATCH/postfix/queue"
	wait_for 300 postfix_idle || give_up "Postfix's queue does not end"
	find "$queue/deferred" "$queue/defer" "$queue/bounce" -type f -delete
}

# ---- load

load() {
	local port="$1" n="$2" sessions="$3" to="$4"
	shift 4
	postfix_tool smtp-source -s "$sessions" -m "$n" -l "$SIZE" \
	    -f s@sender.test -t "$to" "$@" "inet:127.0.0.1:$port" ||
	    give_up "smtp-source failed"
}

sink_begin() {
	LD_LIBRARY_PATH=$TOP/build/packages/postfix/usr/lib/postfix \
	    "$TOP/build/packages/postfix/usr/sbin/smtp-sink" -u nobody \
	    -m 1000 "$@" "127.0.0.1:$SINK_PORT" 1000 \
	    >"$SCRATCH/sink.count" 2>/dev/null &
	SINKS="$SINKS $!"
	sleep 0.3
}

# Its counter is a line that is written over.
sink_taken() {
	tail -c 200 "$SCRATCH/sink.count" | tr '\r' '\n' |
	    sed -n 's/.*mesg=\([0-9]*\).*/\1/p' | tail -n 1 | grep . || echo 0
}

sink_await() {
	perl -MTime::HiRes=time,sleep -e 'my ($file, $wanted) = @ARGV;
	    my $end = time() + 600;
	    while (time() < $end) {
		open(my $in, "<", $file) or die "$file: $!\n";
		seek($in, -200, 2);
		local $/;
		my $text = <$in>;
		my @counts = $text =~ /mesg=(\d+)\s/g;
		if (@counts && $counts[-1] >= $wanted) {
			printf("%.6f\n", time());
			exit(0);
		}
		sleep(0.005);
	    }
	    exit(1)' "$SCRATCH/sink.count" "$1" ||
	    give_up "the sink did not get all"
}

# The time of the newest file once all are there.
maildirs_await() {
	perl -MTime::HiRes=time,sleep,stat -e 'my ($home, $users, $wanted) =
	    @ARGV;
	    my $end = time() + 600;
	    while (time() < $end) {
		my ($n, $last, @files) = (0, 0);
		for my $user (1 .. $users) {
			opendir(my $d, "$home/pmbench$user/Maildir/new") or
			    next;
			my @names = grep { !/^\./ } readdir($d);
			$n += @names;
		}
		if ($n < $wanted) {
			sleep(0.1);
			next;
		}
		for my $file (glob("$home/pmbench*/Maildir/new/*")) {
			my $when = (stat($file))[10];
			$last = $when if $when > $last;
		}
		printf("%.6f\n", $last);
		exit(0);
	    }
	    exit(1)' "$SCRATCH/home" "$MAILDIRS" "$1" ||
	    give_up "not all was delivered"
}

# They are put aside: where a file was just removed ext4 looks long for the
# place of a new one, and neither side is to pay for that.
maildirs_empty() {
	ASIDE=$((${ASIDE:-0} + 1))
	mkdir -p "$SCRATCH/aside/$ASIDE"
	perl -e 'my ($home, $users, $aside) = @ARGV;
	    rename("$home/pmbench$_/Maildir", "$aside/$_") for 1 .. $users' \
	    "$SCRATCH/home" "$MAILDIRS" "$SCRATCH/aside/$ASIDE"
	sync
}

# ---- figures

pairs() {
	local i=1
	: >"$SCRATCH/ours"
	: >"$SCRATCH/postfix.figures"
	while [ $i -le "$PAIRS" ]; do
		"$1" ours >>"$SCRATCH/ours"
		"$1" postfix >>"$SCRATCH/postfix.figures"
		say "  $i: $(tail -n 1 "$SCRATCH/ours") to" \
		    "$(tail -n 1 "$SCRATCH/postfix.figures")"
		i=$((i + 1))
	done
}

row_print() {
	perl "$BENCH/table" "$1" "$2" "$3" "$SCRATCH/ours" \
	    "$SCRATCH/postfix.figures"
}

row_figure() {
	printf '%-34s %-49s goal %s\n' "$@"
}

anon() {
	local pid
	for pid in "$@"; do
		cat "/proc/$pid/smaps_rollup" 2>/dev/null
	done | awk '/^Pss_Anon:/ { sum += $2 } END { print sum + 0 }'
}

bench_end() {
	ours_stop
	postfix_stop
	[ -z "$SINKS" ] || kill $SINKS 2>/dev/null
	SINKS=
	accounts_remove
	# The next row is not to meet what this one removes.
	[ -z "$BENCH_ASIDE" ] || mv "$SCRATCH/aside" \
	    "$BENCH_ASIDE/${0##*/}" 2>/dev/null
	suite_end
}
trap bench_end EXIT
