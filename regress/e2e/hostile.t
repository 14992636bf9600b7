#!/bin/sh
# Servers that answer late, in pieces, too long, out of order or not at all,
# that end the connection at each octet of the dialogue: whatever they do,
# each message arrives once, and the relay lives.
. "$(dirname "$0")/suite.sh"
. "$(dirname "$0")/peers.sh"
need_root
need python3 openssl
need_unpacked postfix
good=$(suite_port)
bad=$(suite_port)
python=$(dirname "$0")/hostile.py
peer_ca good
peer_certificate hostile good hostile.test
sink_start second 127.0.0.1 "$good"
python3 "$python" serve "$bad" "$SCRATCH/took" "$TLS/hostile.pem" \
    2>"$SCRATCH/hostile.stderr" &
hostile=$!
PEERS="$PEERS $hostile"
suite_conf <<EOF
  retry-min = 1h
  retry-max = 1h
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
[route]
  @client.test  discard()
$(python3 "$python" routes "$bad" "127.0.0.1:$good")
EOF
python3 "$python" names >"$SCRATCH/names"
wait_for 10 grep -q ready "$SCRATCH/took"
suite_start
relays=$(suite_pids relay)

# A message for each, its subject the name.
cat >"$SCRATCH/send.py" <<'EOF'
import smtplib, sys
client = smtplib.SMTP("127.0.0.1", int(sys.argv[1]), "client.test")
for line in open(sys.argv[2]):
    name = line.split()[0]
    client.sendmail("me@client.test", "x@%s.test" % name,
                    "Subject: %s\r\n\r\n.first\r\nlast\r\n" % name)
client.quit()
EOF
closing='(relayed|deferred|bounced) id=[^ ]* from=me@client\.test to=x@'
all_tried() {
	[ "$(grep -Eo "$closing[^ ]*" "$SCRATCH/log" | sed 's/.* to=//' |
	    sort -u | wc -l)" -ge "$(wc -l <"$SCRATCH/names")" ]
}
ok "there are servers" test -s "$SCRATCH/names"
ok "a message for each of $(wc -l <"$SCRATCH/names") servers" \
    python3 "$SCRATCH/send.py" "$PORT" "$SCRATCH/names"
ok "each is tried" wait_for 60 all_tried || for name in \
    $(cut -d' ' -f1 "$SCRATCH/names"); do
	grep -Eq "$closing$name\.test" "$SCRATCH/log" || diag "not: $name"
done
is "no relay died of it" "$(suite_pids relay)" "$relays"

# What became of each: here, second, deferred or bounced.
fate() {
	local line
	line=$(grep -E "$closing$1\.test" "$SCRATCH/log" | tail -n 1)
	case $line in
	*' bounced '*)	echo bounced ;;
	*' deferred '*)	echo deferred ;;
	*"relay=127.0.0.1[127.0.0.1]:$good"*) echo second ;;
	*' relayed '*)	echo here ;;
	*)		echo untried ;;
	esac
}
wrong=
while read -r name wanted; do
	got=$(fate "$name")
	case "|$wanted|" in
	*"|$got|"*) ;;
	*) wrong="$wrong $name:$got" ;;
	esac
done <"$SCRATCH/names"
is "and became of each message what should" "$wrong" ""
is "no client did what it must not" \
    "$(grep WRONG "$SCRATCH/took")" ""
not_ok "no control character came into the log" \
    grep -q "$(printf '[\001-\010\013-\037\177]')" "$SCRATCH/log"

# Now they are gone, and what waits goes to the second.
kill "$hostile"
wait_for 5 suite_gone "$hostile"
ok "without them the rest" postctl run all
ok "goes" wait_for 60 queue_is_empty
taken() {
	echo $(($(sink_count second "Subject: $1\$") +
	    $(grep -c "^$1 took $1\$" "$SCRATCH/took")))
}
twice=
lost=
while read -r name wanted; do
	[ "$wanted" != bounced ] || continue
	n=$(taken "$name")
	[ "$n" -le 1 ] || twice="$twice $name:$n"
	[ "$n" -ge 1 ] || lost="$lost $name"
done <"$SCRATCH/names"
is "nothing is lost" "$lost" ""
is "nothing came twice" "$twice" ""
like "the refusals went to the sender" "$(cat "$SCRATCH/log")" \
    'bounced .*to=x@554-dot\.test.*554 5\.7\.1 spam'
done_testing
