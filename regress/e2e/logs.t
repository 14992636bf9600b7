#!/bin/bash
# Logs: to where they go with -d and -D, syslog and its restart, disks that
# are full.
# timeout: 120
. "$(dirname "$0")/suite.sh"
need_root
SUITE_FLAG=-D
need swaks python3
suite_user pmtu_logs
box=$SCRATCH/home/pmtu_logs/Maildir

with_log() {
	suite_conf <<-END
	  local-mailer = maildir
	[smtpd "mx"]
	  listen-port = 127.0.0.1:$PORT
	  max-errors = 0
	[route]
	  @here.test local()
	END
	sed -i "s,file = .*,file = $1," "$CF"
}

# ---- -d and -D

with_log "$SCRATCH/log"
suite_start
send_to nobody-here@here.test
ok "-D: to the log" wait_for_log 5 'refused .*550 5\.1\.1'
not_ok "but not to stderr, once it runs" \
    grep -q refused "$SCRATCH/suite.stderr"
suite_stop
: >"$SCRATCH/log"
"$STAGE/usr/sbin/postmaster" -d -f "$CF" </dev/null 2>"$SCRATCH/debug" &
MAIN=$!
wait_for 15 suite_ready
send_to nobody-here@here.test "$(printf 'x%.0s' $(seq 900))"
ok "-d: to stderr" wait_for 5 grep -q 'refused .*550 5\.1\.1' "$SCRATCH/debug"
ok "and to the log" wait_for_log 5 'refused .*550 5\.1\.1'
like "a refusal names the client in its own line" \
    "$(grep 'reply="550' "$SCRATCH/log")" 'client=127\.0\.0\.1 '
{
	printf 'EHLO a\r\nMAIL FROM:<a@b.test>\r\n'
	sleep 0.5
	printf 'RCPT TO:<%01500d@here.test>\r\n' 7
	printf 'XX%02000d\r\nXX\033[1m\a\r\nQUIT\r\n' 7
	sleep 0.5
} >"/dev/tcp/127.0.0.1/$PORT"
ok "a long line is cut" wait_for_log 5 'refused .*XX0000'
is "to 2 KiB" "$(awk 'length > 2048' "$SCRATCH/log" | wc -l)" 0
not_ok "no control character comes through" \
    grep -q '[[:cntrl:]]' "$SCRATCH/log"
suite_stop

# ---- a log that takes nothing stops no mail

with_log /dev/full
suite_start
ok "with a full log disk mail is taken" send_to pmtu_logs@here.test
ok "and delivered" wait_for_mail "$box" 1 10
suite_stop
small=$SCRATCH/small
mkdir "$small"
if mount -t tmpfs -o size=64k,mode=0755 tmpfs "$small" 2>/dev/null; then
	with_log "$small/log"
	suite_start
	dd if=/dev/zero of="$small/ballast" bs=4k 2>/dev/null
	{
		printf 'HELO a\r\n'
		for i in $(seq 400); do
			printf 'MAIL TO:<%0500d>\r\nNOOP\r\nRSET\r\n' "$i"
		done
		printf 'QUIT\r\n'
		sleep 1
	} | python3 -c '
import socket, sys
client = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
client.sendall(sys.stdin.buffer.read())
while client.recv(65536):
    pass' "$PORT" 2>/dev/null
	ok "the disk fills up: mail goes on" send_to pmtu_logs@here.test
	ok "and arrives" wait_for_mail "$box" 2 10
	mount -o remount,size=4m "$small"
	send_to pmtu_logs@here.test
	more() { grep -q 'log-lines-lost count=' "$small/log"; }
	ok "what was lost is counted when there is room" wait_for 10 more
	# A line cut by the full disk, perhaps within its time, is ended by its
	# process, which writes it again whole.  Another process may have been
	# faster: then its line stands behind the cut one, be that a digit or
	# two of the year, and an empty one follows.
	is "no process goes on in the middle of a line" \
	    "$(grep -Ecv '^$|^[0-9]+(-|$)' "$small/log")" 0
	is "every process ends the line it could not finish" "$(perl -ne '
		my %seen;
		$seen{$_}++ for / mx\.test ([a-z]+\[\d+\]): /g;
		$bad++ if grep { $_ > 1 } values %seen;
		END { print $bad // 0 }' "$small/log")" 0
	suite_stop
	umount "$small"
fi

# ---- syslog

if [ -e /dev/log ]; then
	diag "this machine has a syslog: not tested"
	done_testing
fi

# A syslog that writes what it gets into a file.
cat >"$SCRATCH/syslogd" <<'END'
import os, socket, sys
if os.path.exists("/dev/log"):
    os.unlink("/dev/log")
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.bind("/dev/log")
os.chmod("/dev/log", 0o666)
with open(sys.argv[1], "ab", buffering=0) as out:
    while True:
        out.write(log.recv(65536) + b"\n")
END
syslog_start() {
	python3 "$SCRATCH/syslogd" "$SCRATCH/$1" &
	SYSLOGD=$!
	wait_for 5 test -S /dev/log
}
syslog_end() {
	[ -z "$SYSLOGD" ] || kill "$SYSLOGD" 2>/dev/null
	wait "$SYSLOGD" 2>/dev/null
	SYSLOGD=
	rm -f /dev/log
}
trap 'syslog_end; suite_end' EXIT

with_log "$SCRATCH/unused"
sed -i 's/logger .*/logger = syslog/' "$CF"
cat >>"$CF" <<'END'
[syslog]
  ident = mymail
  facility = local3
END
syslog_start first
suite_start
send_to nobody-here@here.test
ok "syslog gets it" wait_for 5 grep -q 'refused .*550 5\.1\.1' "$SCRATCH/first"
like "with ident, process, facility and priority" "$(cat "$SCRATCH/first")" \
    '^<158>[A-Z][a-z]{2} [ 0-9]{2} [0-9:]{8} mymail/smtpd\[[0-9]+\]: connect '
syslog_end
ok "without syslog mail is taken" send_to pmtu_logs@here.test
syslog_start second
tells() {
	send_to nobody-here@here.test
	grep -q 'refused .*550 5\.1\.1' "$SCRATCH/second"
}
ok "one that was started anew gets it, too" wait_for 12 tells
done_testing
