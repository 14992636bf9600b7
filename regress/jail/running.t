#!/bin/sh
# The processes of a running suite, seen from outside: who they are, what
# they have for /, their filters; and that a program started from a .forward
# is in no jail at all.
. "$(dirname "$0")/../e2e/suite.sh"
need_root
need python3

suite_conf <<EOF
  local-mailer = maildir
[smtpd "test"]
  listen-port = 127.0.0.1:$PORT
[route]
  @mx.test  local()
EOF
suite_user pmtest1
home=$(getent passwd pmtest1 | cut -d: -f6)
suite_start

# status PROCESS FIELD: of the first of that name
status() {
	awk -v field="$2:" '$1 == field { print $2 }' \
	    "/proc/$(suite_pids "$1" | head -n 1)/status"
}

root_of() {
	readlink "/proc/$(suite_pids "$1" | head -n 1)/root"
}

for name in smtpd policyd spoold relay; do
	is "$name is _$name" "$(status $name Uid)" "$(id -u _$name)"
	is "$name has a filter" "$(status $name Seccomp)" 2
	is "$name gains no privileges" "$(status $name NoNewPrivs)" 1
	is "$name has no capabilities" "$(status $name CapPrm)" \
	    0000000000000000
	is "$name has no supplementary groups" "$(status $name Groups)" ""
	is "$name is not dumpable" \
	    "$(stat -c %U "/proc/$(suite_pids $name | head -n 1)/mem")" root
done
for pid in $(pgrep -P "$(suite_pids spoold)"); do
	like "a syncer of spoold is jailed as well" \
	    "$(tr '\n' ' ' <"/proc/$pid/status" | tr '\t' ' ')" \
	    "Name: syncer .*Uid: $(id -u _spoold) .*NoNewPrivs: 1 Seccomp: 2 "
	is "it has the log, its link and nothing else" \
	    "$(readlink "/proc/$pid/fd/"* | sed 's/:.*//')" \
	    "$(printf 'socket\n%s' "$SCRATCH/spool/spool.db-wal")"
done
is "smtpd lives in an empty folder" "$(root_of smtpd)" "$SCRATCH/run/empty"
local=$(pgrep -P "$MAIN" -f 'relay -l ')
for pid in $(suite_pids relay | grep -v "^$local\$"); do
	is "relay lives in an empty folder" "$(readlink "/proc/$pid/root")" \
	    "$SCRATCH/run/empty"
done
is "relay -l keeps the root folder, for its sockets" \
    "$(readlink "/proc/$local/root")" /
is "that folder is empty" "$(ls -A "$SCRATCH/run/empty")" ""
is "nobody can write there" "$(stat -c %U:%a "$SCRATCH/run/empty")" root:555
is "spoold lives in the spool" "$(root_of spoold)" "$SCRATCH/spool"
is "the spool is spoold's alone" "$(stat -c %U:%a "$SCRATCH/spool")" \
    _spoold:700

is "deliver carries no filter" "$(status deliver Seccomp)" 0
is "deliver passes privileges on" "$(status deliver NoNewPrivs)" 0
# CAP_DAC_READ_SEARCH, CAP_KILL, CAP_SETGID, CAP_SETUID
is "deliver keeps four capabilities" "$(status deliver CapPrm)" \
    00000000000000e4
is "deliver's bounding set is whole" "$(status deliver CapBnd)" \
    "$(awk '$1 == "CapBnd:" { print $2 }' /proc/self/status)"

# A program from a .forward finds itself as free as a login of that user.
cat >"$home/report" <<EOF
#!/bin/sh
cat >/dev/null
{
	grep -E '^(Uid|Gid|Groups|Seccomp|NoNewPrivs|SigIgn|SigBlk)' /proc/self/status
	echo "fds: \$(ls /proc/self/fd | tr '\n' ' ')"
	echo "files: \$(ulimit -n)"
	echo "umask: \$(umask)"
	echo "cwd: \$(pwd)"
} >\$HOME/report.tmp
mv \$HOME/report.tmp \$HOME/report.out
EOF
chmod 755 "$home/report"
echo "|$home/report" >"$home/.forward"
chown pmtest1: "$home/report" "$home/.forward"
chmod 644 "$home/.forward"
printf 'Subject: x\n\nx\n' | sendmail pmtest1
wait_for 20 test -e "$home/report.out"
report=$(cat "$home/report.out")
like "a .forward program is the user" "$report" \
    "^Uid:[[:space:]]$(id -u pmtest1)[[:space:]]$(id -u pmtest1)"
like "it has no filter" "$report" '^Seccomp:[[:space:]]0$'
like "it may gain privileges" "$report" '^NoNewPrivs:[[:space:]]0$'
like "it blocks no signal" "$report" '^SigBlk:[[:space:]]0+$'
like "it ignores no signal" "$report" '^SigIgn:[[:space:]]0+$'
like "it has descriptors 0 to 2 (and ls's own)" "$report" '^fds: 0 1 2 3 $'
like "its umask is 077" "$report" '^umask: 0077$'
like "it starts at home" "$report" "^cwd: $home\$"

# The other way round, a worker that only writes a Maildir is jailed.
rm "$home/.forward"
printf 'Subject: x\n\nx\n' | sendmail pmtest1
ok "mail arrives in the Maildir" wait_for_mail "$home/Maildir" 1 20
# Of his workers, the one that ran the program is free and this one is not.
jailed=
for worker in $(pgrep -P "$(suite_pids deliver)" -u pmtest1); do
	if grep -Eq '^Seccomp:[[:space:]]2$' "/proc/$worker/status"; then
		jailed=$worker
	fi
done
ok "its worker has a filter" test -n "$jailed"
like "its worker gains no privileges" "$(cat "/proc/$jailed/status")" \
    '^NoNewPrivs:[[:space:]]1$'

# From the empty folder nothing of the system is to be seen.
not_ok "no socket of the system is reachable from smtpd's root" \
    test -e "/proc/$(suite_pids smtpd | head -n 1)/root/dev"

suite_stop
done_testing
