#!/bin/bash
# The unit tests, the dialogues and what strangers and neighbours may say, all
# under AddressSanitizer and UndefinedBehaviorSanitizer, in a build of its own.
# timeout: 1500
TOP=$(cd "$(dirname "$0")/../.." && pwd)
cd "$TOP" || exit 1
plain=${BUILD:-build}
if [ "$(nm "$plain/smtpd/smtpd" 2>/dev/null | grep -c __asan_init)" != 0 ]; then
	echo "1..0 # SKIP all of this build is sanitized"
	exit 0
fi
OTHERS="smtp/dialogues.t smtp/check.t policyd/check.t policyd/tables.t
    hostile/texts.t hostile/neighbours.t fuzz/seeds.t"
output=$(mktemp)
trap 'rm -f "$output"' EXIT

if ! make -j2 BUILD="$plain" SAN=address,undefined all unit \
    >"$output" 2>&1; then
	echo "1..1"
	echo "not ok 1 - a sanitized build"
	tail -n 20 "$output" | sed 's/^/# /'
	exit 1
fi
export BUILD=$plain/san SECONDS_EACH=${SECONDS_EACH:-3}
number=0
failed=0

# One program or script, as one test.
run() {
	number=$((number + 1))
	if timeout 300 "$2" >"$output" 2>&1; then
		echo "ok $number - $1"
	else
		failed=1
		echo "not ok $number - $1"
		tail -n 60 "$output" | tr -d '\000' | sed 's/^/# /'
	fi
}

for source in regress/unit/*_test.c; do
	run "$(basename "$source" .c)" "$BUILD/${source%.c}"
done
# A jail has no room for the search for leaks.
export ASAN_OPTIONS=detect_leaks=0
for script in $OTHERS; do
	run "$script" "regress/$script"
done
echo "1..$number"
exit $failed
