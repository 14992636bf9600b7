#!/bin/bash
# postmaster has no descriptor left for a moment in a reload: spoold and
# deliver, which stay, go on with what they have, and are told when there is
# one.  A child whose end is missed once is not forgotten.  By strace on
# postmaster.
. "$(dirname "$0")/suite.sh"
need_root
need swaks strace
write_conf() {
	suite_conf <<END
  local-mailer = maildir
  disk-reserve = $1
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
[route]
  @drop.test  discard()
END
}

# A reload, traced; what is injected is of memfd_create(2) and fcntl(2).
reload_with() {
	local ready="$(grep -c ' reload ' "$SCRATCH/log")"
	trace "$MAIN" -o "$SCRATCH/trace" -e trace=memfd_create,fcntl "$@" ||
		return 1
	kill -HUP "$MAIN"
	wait_for 30 more_reloads "$ready"
	untrace
	more_reloads "$ready"
}

more_reloads() {
	[ "$(grep -c ' reload ' "$SCRATCH/log")" -gt "$1" ]
}

refuses() {
	! send_to x@drop.test
}

write_conf 1M
suite_start
started=$(grep -c 'started process=' "$SCRATCH/log")
reload_with || skip_all "strace cannot attach to postmaster"
stayers="$(suite_pids spoold) $(suite_pids deliver)"

# A memfd for each that is asked to check, for those that stay, and for each
# that is started.
started=$(($(grep -c 'started process=' "$SCRATCH/log") - started))
checks=$(($(grep -c '^memfd_create' "$SCRATCH/trace") - 2 - started))
write_conf 1000000G
reload_with -e "inject=memfd_create:error=EMFILE:when=$((checks +
    1))..$((checks + 2))"
is "calls fail" "$(grep -c INJECTED "$SCRATCH/trace")" 2
like "which the log says" "$(grep -c 'is told later.*open files' \
    "$SCRATCH/log")" '^2$'
ok "those who stay are told all the same" wait_for 20 refuses
is "and are the same" "$(suite_pids spoold) $(suite_pids deliver)" "$stayers"

# A log that cannot be handed on, and a configuration that cannot be checked.
write_conf 1M
reload_with -e inject=fcntl:error=EMFILE
like "calls fail again" "$(grep -c INJECTED "$SCRATCH/trace")" '[1-9]'
is "what nobody could check is not used" \
    "$(grep -c 'the old configuration stays' "$SCRATCH/log")" 1
kill -HUP "$MAIN"
ok "the next reload is in force" wait_for 20 send_to x@drop.test
is "and those who stay are the same" \
    "$(suite_pids spoold) $(suite_pids deliver)" "$stayers"

# wait4(2) is cut short: its neighbours would believe that who died lives.
policyd=$(suite_pids policyd | tail -n 1)
trace "$MAIN" -o "$SCRATCH/trace" -e trace=wait4 \
    -e inject=wait4:error=EINTR:when=1
kill -9 "$policyd"
ok "who died is started afresh" wait_for 20 suite_new_policyd "$policyd"
untrace
is "though a call was cut short" "$(grep -c INJECTED "$SCRATCH/trace")" 1
is "and nobody else ended" "$(suite_pids spoold) $(suite_pids deliver)" \
    "$stayers"
done_testing
