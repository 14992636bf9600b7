#!/bin/sh
# Each process among neighbours and clients that say anything at all: it may
# close links, and log; it may not die.  SECONDS and SEED are settable.
# timeout: 600
TOP=$(cd "$(dirname "$0")/../.." && pwd)
BUILD=${BUILD:-$TOP/build}
SECONDS_EACH=${SECONDS_EACH:-5}
SEED=${SEED:-23}
SCRATCH=$(mktemp -d /tmp/postmaster-hostile.XXXXXX)
trap 'rm -rf "$SCRATCH"' EXIT
# A jail has no room for the search for leaks; sanitizers keep what was freed.
if grep -q __asan_init "$BUILD/spoold/spoold"; then
	export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=0}"
fi

# Nothing here needs root; the workers of deliver refuse it.
run=
if [ "$(id -u)" = 0 ]; then
	run="setpriv --reuid=nobody --regid=nogroup --clear-groups"
	cp -r "$BUILD/regress/hostile/standin" "$SCRATCH"
	for name in smtpd policyd spoold relay deliver; do
		cp "$BUILD/$name/$name" "$SCRATCH"
	done
	standin=$SCRATCH/standin
	chmod 0755 "$SCRATCH"
else
	for name in smtpd policyd spoold relay deliver; do
		ln -s "$BUILD/$name/$name" "$SCRATCH"
	done
	standin=$BUILD/regress/hostile/standin
fi

cat >"$SCRATCH/conf" <<EOF
[core]
  hostname        = here.test
  spool-directory = $SCRATCH/spool
  run-directory   = $SCRATCH/run
  alias-file      = $SCRATCH/aliases
  local-mailer    = maildir
  program-user    = nobody
[smtpd "test"]
  listen-port = 127.0.0.1:25
[pipe "cat"]
  exec = /bin/true "\${RCPT_TO}"
[route]
  @here.test       local()
  @dead.test       relay(127.0.0.1:1)
  list@here.test   a@b.test, user@here.test, nobody
  piped@here.test  cat
  other@here.test  pipe(/bin/true)
EOF
cat >"$SCRATCH/aliases" <<EOF
postmaster: nobody
list: a, b, "|true", /dev/null, c@dead.test
owner-list: nobody
a: a
EOF

echo 1..5
number=0 failed=0
for name in smtpd policyd spoold relay deliver; do
	number=$((number + 1))
	mkdir -m 0777 "$SCRATCH/$name.d"
	if $run "$standin" "$SCRATCH/$name" "$name" "$SCRATCH/conf" \
	    "$SCRATCH/$name.d" "$SEED" "$SECONDS_EACH" \
	    >"$SCRATCH/log" 2>"$SCRATCH/stderr"; then
		echo "ok $number - $name lives"
		tail -n 1 "$SCRATCH/stderr" | sed 's/^/# /'
	else
		failed=1
		echo "not ok $number - $name lives (SEED=$SEED)"
		{ tail -n 5 "$SCRATCH/log"; tail -n 60 "$SCRATCH/stderr"; } |
		    tr -d '\000' | sed 's/^/# /'
	fi
done
exit $failed
