#!/bin/sh
# What policyd says of routes, tables and aliases with -n.
TOP=$(cd "$(dirname "$0")/../.." && pwd)
cd "$TOP" || exit 1
BUILD=${BUILD:-build}
SCRATCH=$(mktemp -d /tmp/postmaster-check.XXXXXX)
trap 'rm -rf "$SCRATCH"' EXIT
TESTS=0
FAILURES=0
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=0}"

# check NAME STATUS PATTERN: standard input is the configuration; one line of
# what is said is PATTERN (grep -E), "-" none but warnings of the machine.
check() {
	TESTS=$((TESTS + 1))
	sed "s,SCRATCH,$SCRATCH," >"$SCRATCH/conf"
	"$BUILD/policyd/policyd" -n <"$SCRATCH/conf" >"$SCRATCH/said" 2>&1
	got=$?
	if [ "$got" = "$2" ] && { [ "$3" = - ] ||
	    grep -qE -e "$3" "$SCRATCH/said"; }; then
		echo "ok $TESTS - $1"
	else
		echo "not ok $TESTS - $1"
		echo "# exit $got"
		sed 's/^/# /' "$SCRATCH/said"
		FAILURES=$((FAILURES + 1))
	fi
}

check "a sound configuration" 0 - <<END
@ relay(127.0.0.1)
root-list@a.test  x@b.test
@a.test  local()
END
check "a hop by mail exchangers" 0 - <<END
@a.test  local()
@  relay()
END
check "a domain alias that is open by them" 0 ':2:1: warning: sends strang' <<END
@ relay()
@a.test  @elsewhere.test
END
check "defaults that are no next hop" 1 '^postmaster.cf:3:1: @a.test: .*no next' <<END
[relay "*"]
[route]
@a.test  *
END
check "nothing leaves without @" 0 '^postmaster.cf:1:1: warning: no route' <<END
@a.test  local()
END
check "bounces do not leave without an @ of their own" 0 \
    '^postmaster.cf:1:1: warning: only tables' <<END
[smtpd "x"]
routing-table = out
[route "out"]
@ relay(10.0.0.1)
END
check "a domain alias that is open" 0 ':2:1: warning: sends strangers' <<END
@ relay(127.0.0.1)
@a.test  @elsewhere.test
END
check "one that is not" 0 - <<END
@ relay(127.0.0.1)
@a.test  @b.test
@b.test  local()
END
TESTS=$((TESTS + 1))
if grep -q "sends strangers" "$SCRATCH/said"; then
	echo "not ok $TESTS - is not called so"
	FAILURES=$((FAILURES + 1))
else
	echo "ok $TESTS - is not called so"
fi
check "a loop of domains" 1 ':2:1: @a.test: a loop: ' <<END
@ relay(127.0.0.1)
@a.test  @b.test
@b.test  @a.test
END
check "a name that leads to itself and is no account" 1 ':1:1: .* a loop' <<END
no-such-account-1  no-such-account-1, root
END
check "a word that is nobody" 2 ':1:1: there is no account, alias' <<END
x@a.test  no-such-account-1
END
check "a host" 0 ':1:1: warning: mail.b.test is a host, as relay' <<END
@a.test  mail.b.test
END
check "a setting's name on the left" 0 ':1:1: warning: hostname is a name' <<END
hostname root
END
check "a name that nothing leads to" 0 ':1:1: warning: .* neither an' <<END
no-such-account-1 root
END
check "a table that is missing" 2 ':1:6: the table .* does not exist' <<END
file "SCRATCH/missing"
END
check "a section that is missing" 1 ':2:17: there is no \[route "in"\]' <<END
[smtpd "x"]
routing-table = in
END
printf 'a@x.test  root\nb@x.test  nosuch(1)\n' >"$SCRATCH/table"
check "a mistake in a table" 2 "^$SCRATCH/table:2:11: nosuch" <<END
file "SCRATCH/table"
END
printf 'a@x.test  root\n@bad..domain  root\n' >"$SCRATCH/table"
check "a left side that is none" 2 "^$SCRATCH/table:2:1: " <<END
file "SCRATCH/table"
END
printf 'a@x.test  root\n' >"$SCRATCH/table"
check "a left side in two files" 2 "^$SCRATCH/table:1:1: .* second time" <<END
A@X.test root
file "SCRATCH/table"
END
printf 'file "/etc/x"\n' >"$SCRATCH/table"
check "an include within one" 2 "^$SCRATCH/table:1:1: .* no other" <<END
file "SCRATCH/table"
END
printf 'a@x.test  root\n' >"$SCRATCH/table"
chmod 0666 "$SCRATCH/table"
check "a table others may write" 2 "can be written by others" <<END
file "SCRATCH/table"
END
printf 'a: b\nb: a\nc: x y\nroot: a@b.test\nd: :include:/no/such\n' \
    >"$SCRATCH/aliases"
check "a mistake in the aliases" 2 "^$SCRATCH/aliases:3:4: two words" <<END
[core]
alias-file = SCRATCH/aliases
END
cp "$SCRATCH/conf" "$SCRATCH/again"
check "a loop in the aliases" 2 "^$SCRATCH/aliases:1:4: a: a loop" \
    <"$SCRATCH/again"
check "an include that is missing" 2 \
    "^$SCRATCH/aliases:5:4: /no/such does not exist" <"$SCRATCH/again"
check "root without a human" 0 'root has no human' <<END
@ relay(127.0.0.1)
END
check "root-mail that is nobody" 2 ':2:13: mail for root' <<END
[core]
root-mail = no-such-account-1
END
check "no alias file" 0 ':2:14: warning: .* does not exist' <<END
[core]
alias-file = SCRATCH/none
END
echo "1..$TESTS"
[ "$FAILURES" = 0 ]
