#!/bin/sh
# Every seed and every past finding, once through its harness.  Finds nothing
# new: make fuzz does.
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=0}"

harnesses=$(ls regress/fuzz/*.c | grep -v /replay.c)
tests=0
failures=0
echo "1..$(echo "$harnesses" | wc -l)"
for harness in $harnesses; do
	name=$(basename "$harness" .c)
	tests=$((tests + 1))
	if said=$(timeout 60 "$BUILD/regress/fuzz/$name" \
	    "regress/fuzz/seeds/$name" 2>&1); then
		echo "ok $tests - $name: $(echo "$said" | sed -n '$s/^# //p')"
	else
		echo "not ok $tests - $name"
		echo "$said" | tail -n 30 | sed 's/^/# /'
		failures=$((failures + 1))
	fi
done
exit $((failures > 0))
