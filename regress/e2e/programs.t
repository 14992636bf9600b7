#!/bin/sh
# A worker that executes a program has left root and nothing else: what is
# started from ~/.forward finds itself as after a login.  Its exit code says
# what becomes of the mail.
. "$(dirname "$0")/suite.sh"
need_root
need swaks
suite_user pmtu_prog
home=$SCRATCH/home/pmtu_prog
suite_conf <<EOF
  local-mailer  = maildir
  local-domains = here.test
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
EOF
suite_start

forward() {
	printf '%s\n' "$1" >"$home/.forward"
	chown pmtu_prog:pmtu_prog "$home/.forward"
}

cat >"$home/look" <<'EOF'
#!/bin/sh
exec >"$HOME/seen.new"
pwd
umask
id -un
id -Gn
grep -E '^(Sig(Blk|Ign)|NoNewPrivs|Seccomp|Cap(Prm|Eff|Amb|Bnd)|Groups):' \
    /proc/self/status
ls /proc/$$/fd | tr '\n' ' '; echo
test "$(ps -o sid= -p $$ | tr -d ' ')" = $$ && echo "session leader"
cat /proc/self/limits >"$HOME/limits"
env | cut -d= -f1 | sort | tr '\n' ' '; echo
echo >/tmp/pmtu_prog.$$ && rm /tmp/pmtu_prog.$$ && echo "writes elsewhere"
perl -MIO::Socket::INET -e 'print "listens\n" if IO::Socket::INET->new(
    Listen => 1, LocalAddr => "127.0.0.1:0")'
mv "$HOME/seen.new" "$HOME/seen"
EOF
chmod 0755 "$home/look"
forward "|$home/look"
ok "a message for a program" send_to pmtu_prog@here.test
ok "runs it" wait_for 10 test -s "$home/seen"
seen=$(cat "$home/seen")
is "in the home of the account" "$(echo "$seen" | sed -n 1p)" "$home"
is "with umask 077" "$(echo "$seen" | sed -n 2p)" 0077
is "as the user" "$(echo "$seen" | sed -n 3p)" pmtu_prog
is "with the user's groups" "$(echo "$seen" | sed -n 4p)" \
    "$(id -Gn pmtu_prog)"
like "no signal is blocked" "$seen" '^SigBlk:.0+$'
like "none is ignored" "$seen" '^SigIgn:.0+$'
like "no_new_privs is not set" "$seen" '^NoNewPrivs:.0$'
like "nor a filter" "$seen" '^Seccomp:.0$'
like "no capability is there" "$seen" '^CapEff:.0+$'
like "none in the permitted set" "$seen" '^CapPrm:.0+$'
is "the bounding set is as postmaster's" \
    "$(echo "$seen" | grep ^CapBnd)" "$(grep ^CapBnd "/proc/$MAIN/status")"
like "descriptors 0 to 2" "$seen" '^0 1 (10 )?2 $'
like "a session of its own" "$seen" '^session leader$'
is "an environment made from nothing" "$(echo "$seen" | grep '^DOMAIN')" \
    "DOMAIN EXTENSION HOME LOGNAME ORIGINAL_RECIPIENT PATH PWD RECIPIENT SENDER SHELL USER "
like "no Landlock" "$seen" '^writes elsewhere$'
like "sockets" "$seen" '^listens$'
not_ok "no limit is lower than postmaster's" awk '
    NR == FNR { had[$1 $2 $3] = $0; next }
    $0 != had[$1 $2 $3] && $2 != "open" { print; lower = 1 }
    END { exit !lower }' "/proc/$MAIN/limits" "$home/limits"

# ---- exit codes
for code in 65 67 68 69 76 77 100; do
	forward "|echo because-$code; exit $code"
	ok "a program that exits $code" send_to pmtu_prog@here.test
	ok "bounces, with what it said" wait_for_log 10 \
	    "bounced .*status=5\..*because-$code"
done
for code in 1 64 70 71 72 73 74 75 78 111 126 127; do
	forward "|echo because-$code; exit $code"
	ok "a program that exits $code" send_to pmtu_prog@here.test
	ok "defers, with what it said" wait_for_log 10 \
	    "deferred .*status=4\..*because-$code"
done
forward '|echo because-killed; kill -9 $$'
ok "a program that is killed" send_to pmtu_prog@here.test
ok "defers" wait_for_log 10 'deferred .*status=4\..*because-killed'
ok "the queue can be emptied" postctl remove all

# ---- a home that cannot be entered
mv "$home" "$SCRATCH/home/away"
ok "a message for a user whose home is gone" send_to pmtu_prog@here.test
ok "waits, and the reason is told" wait_for_log 10 \
    "deferred .*status=4\.3\.[05] .*$home"
mv "$SCRATCH/home/away" "$home"

# ---- the unit sets nothing that a program would inherit
unit=$STAGE/usr/lib/systemd/system/postmaster.service
for set in Type=notify Restart=always KillMode=mixed \
    ProtectKernelTunables=yes ProtectKernelModules=yes \
    ProtectControlGroups=yes ProtectClock=yes; do
	ok "the unit: $set" grep -qx "$set" "$unit"
done
not_ok "the unit: no more than that" grep -E '^(NoNewPrivileges|Restrict|ProtectHome|ProtectSystem|Private|MemoryDeny|SystemCall|Capability|Ambient|ReadOnly|Inaccessible|LimitFSIZE|LimitNPROC|UMask)' \
    "$unit"
done_testing
