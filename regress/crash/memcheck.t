#!/bin/bash
# Every process under valgrind's memcheck while one message of each kind goes
# through, in their jails.  What does not differ by the tool is taken as it is
# built.
# timeout: 240
. "$(dirname "$0")/../e2e/suite.sh"
need_root
need python3 valgrind swaks make
[ "$SUITE_FLAG" = -D ] || skip_all "a sanitized build watches itself"
need_unpacked postfix

# The programs with the wider jail.
tools=$SCRATCH/tools
for folder in common postmaster smtpd policyd spoold relay deliver ctl; do
	mkdir -p "$tools/$folder"
	cp -a "$BUILD/$folder"/*.o "$tools/$folder"
done
rm "$tools/common/jail.o"
make -C "$TOP" BUILD="$tools" TOOL=valgrind stage >"$SCRATCH/make" 2>&1 ||
    skip_all "cannot build for valgrind: $(tail -n 1 "$SCRATCH/make")"
chmod 0755 "$tools"

suite_user pmtest1
suite_user pmtest2
home=$SCRATCH/home
sink=$(suite_port)
refuser=$(suite_port)
lmtp=$(suite_port)
postfix_sink "127.0.0.1:$sink" 10
postfix_sink -L "127.0.0.1:$lmtp" 10
postfix_sink -f RCPT "127.0.0.1:$refuser" 10
echo pmtest1 >"$home/pmtest2/.forward"
chown pmtest2 "$home/pmtest2/.forward"
install -d -o _maild "$SCRATCH/mbox"
install -d -o pmtest2 "$SCRATCH/program"
printf 'MAILDIR=%s\nDEFAULT=%s/procmail\n' "$home/pmtest2" \
    "$SCRATCH/program" >"$home/pmtest2/.procmailrc"
chown pmtest2 "$home/pmtest2/.procmailrc"
suite_conf <<END
  local-mailer = maildir
[pipe "cat"]
  exec = /bin/dd "of=$SCRATCH/program/piped" status=none
[pipe "procmail"]
  exec = /usr/bin/procmail -t
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
[route]
  @here.test     local()
  @mbox.test     mbox($SCRATCH/mbox/file)
  @pipe.test     cat
  @procmail.test procmail
  @drop.test     discard()
  @lmtp.test     lmtp(127.0.0.1:$lmtp)
  @sink.test     relay(127.0.0.1:$sink)
  @dead.test     relay(127.0.0.1:9)
  @refused.test  relay(127.0.0.1:$refuser)
END
echo "list: pmtest1, pmtest2, x@sink.test" >"$SCRATCH/aliases"
# What they say goes over a socket: files would be another user's.
listener=$(suite_port)
valgrind-listener "$listener" >"$SCRATCH/watch" 2>&1 &
SINKS="$SINKS $!"
# memmove(3) of the fortified libc is taken for memcpy(3).
cat >"$SCRATCH/suppressed" <<END
{
   memmove
   Memcheck:Overlap
   fun:__memcpy_chk
}
END
chmod 0644 "$SCRATCH/suppressed"
valgrind --suppressions="$SCRATCH/suppressed" --trace-children=yes \
    --trace-children-skip='/bin/*,/usr/bin/*' --vgdb=no --log-socket="127.0.0.1:$listener" \
    --error-exitcode=99 --leak-check=no --track-fds=no \
    "$tools/stage/usr/sbin/postmaster" -D -f "$CF" \
    </dev/null >>"$SCRATCH/suite.stderr" 2>&1 &
MAIN=$!
wait_for 90 suite_ready || {
	tail "$SCRATCH/suite.stderr" "$SCRATCH"/log* | sed 's/^/# /'
	echo "Bail out! the suite does not come up under valgrind"
	exit 1
}

under() {
	for pid in $(pgrep -P "$MAIN"); do
		grep -q "==$pid== Memcheck" "$SCRATCH/watch" || return 1
	done
}
ok "each process is watched" under
for to in pmtest1@here.test pmtest2@here.test list@here.test x@drop.test \
    x@mbox.test pmtest2@pipe.test pmtest2@procmail.test x@lmtp.test \
    x@sink.test x@dead.test x@refused.test; do
	ok "$to is taken" send_to "$to" kind --timeout 60 \
	    --from pmtest1@here.test
done
head -c 100000 /dev/zero | tr '\0' x | fold -w 70 >"$SCRATCH/large"
ok "a large one is" send_to pmtest1@here.test large --timeout 60 \
    --from pmtest1@here.test --body "@$SCRATCH/large"
ok "one of a local program is" eval 'echo hi | sendmail pmtest1'
# The message, the list's, the large one, the local program's, a bounce.
ok "the Maildir has what is for it" wait_for_mail "$home/pmtest1/Maildir" 5 60
ok "the mbox has" wait_for 60 grep -qs '^Subject: kind' "$SCRATCH/mbox/file"
ok "the program has" wait_for 60 grep -qs '^Subject: kind' \
    "$SCRATCH/program/piped"
ok "procmail has" wait_for 60 grep -qs '^Subject: kind' \
    "$SCRATCH/program/procmail"
ok "all but the dead hop's is done" wait_for 60 eval '[ "$(queue_count)" = 1 ]'
ok "what waits is shown" postctl list
ok "and told why" postctl why dead.test
ok "a reload goes well" eval 'kill -HUP $MAIN; sleep 3; suite_ready'
suite_stop
errors='Invalid|Conditional|Use of|Syscall param|Source and|Mismatched'
errors="$errors|Process terminating|ERROR SUMMARY: [1-9]"
is "memcheck has nothing to say" "$(grep -E \
    "==[0-9]+== ($errors)" \
    "$SCRATCH/watch" | head -n 20)" ""
ok "of fifteen processes at least, to their end" [ "$(grep -c \
    'ERROR SUMMARY: 0' "$SCRATCH/watch")" -ge 15 ]
done_testing
