#!/bin/sh
# What a stranger may not do: the addresses that relay tests have tried for
# decades, each refused at RCPT, and local parts a relay would read on in.
. "$(dirname "$0")/suite.sh"
need_root
need python3
suite_user pmtu_joe
dead=$(suite_port)
trusting=$(suite_port)
suite_conf <<EOF
  local-mailer  = maildir
  local-domains = home.test, [127.0.0.1], localhost
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
  trusted     = none
[smtpd "inside"]
  listen-port = 127.0.0.1:$trusting
[route]
  @hub.test                  relay(127.0.0.1:$dead)
  joe%far.test@home.test     pmtu_joe
  wish@home.test             far@away.test
  all@home.test              far@away.test, nobody-here-1
  @                          relay(127.0.0.1:$dead)
EOF
suite_start
cat >"$SCRATCH/rcpt" <<'EOF'
"""Name each line of standard input as a recipient; print the replies."""
import socket
import sys

sender = sys.argv[2] if len(sys.argv) > 2 else 'a@away.test'
for line in sys.stdin:
    with socket.create_connection(('127.0.0.1', int(sys.argv[1]))) as s:
        file = s.makefile('rwb')

        def say(line):
            file.write(line.encode() + b'\r\n')
            file.flush()
            while (reply := file.readline())[3:4] == b'-':
                pass
            return reply.decode().rstrip()

        file.readline()
        say('EHLO client.test')
        say('MAIL FROM:<' + sender + '>')
        print(say('RCPT TO:' + line.rstrip('\n')), line, end='')
EOF
rcpt() {
	printf '%s\n' "$1" | python3 "$SCRATCH/rcpt" "${2:-$PORT}"
}

cat >"$SCRATCH/recipients" <<'EOF'
<victim@away.test>
<victim>
<"victim@away.test">
<"victim%away.test">
<victim%away.test>
<victim%away.test@home.test>
<victim%away.test@mx.home.test>
<victim%away.test@[127.0.0.1]>
<victim%away.test@localhost>
<"victim@away.test"@home.test>
<"victim@away.test"@mx.home.test>
<"victim@away.test"@[127.0.0.1]>
<"victim%away.test"@home.test>
<"victim%away.test"@[127.0.0.1]>
<victim@away.test@home.test>
<victim@away.test@[127.0.0.1]>
<@home.test:victim@away.test>
<@[127.0.0.1]:victim@away.test>
<away.test!victim>
<away.test!victim@home.test>
<away.test!victim@[127.0.0.1]>
<"away.test!victim"@home.test>
<home.test!victim%away.test@home.test>
<victim@[10.9.8.7]>
EOF
is "there are 24" "$(wc -l <"$SCRATCH/recipients")" 24
for from in a@away.test joe@home.test root@localhost ''; do
	python3 "$SCRATCH/rcpt" "$PORT" "$from" <"$SCRATCH/recipients" \
	    >"$SCRATCH/replies"
	is "from <$from> all are refused for good" \
	    "$(grep -c '^5[0-9][0-9] 5\.' "$SCRATCH/replies")" 24
done

like "relaying" "$(rcpt '<x@away.test>')" '^550 5\.7\.1'
like "a domain of ours" "$(rcpt '<x@hub.test>')" '^250 '
like "a source route: the last mailbox counts" \
    "$(rcpt '<@far.test,@a.test:pmtu_joe@home.test>')" '^250 '
for local in 'a%b' 'a!b' '"a@b"' '"a:b"' '"-a"' '-a' '|a' '/a'; do
	like "$local" "$(rcpt "<$local@hub.test>")" '^553 5\.1\.3'
done
like "one that a line names" "$(rcpt '<joe%far.test@home.test>')" '^250 '
like "not with another domain" "$(rcpt '<joe%far.test@hub.test>')" '^553 '
like "where a line leads is the administrator's wish" \
    "$(rcpt '<wish@home.test>')" '^250 '
like "unless one target is refused" "$(rcpt '<all@home.test>')" '^550 5\.1\.1'
like "a client that is trusted may relay" \
    "$(rcpt '<x@away.test>' "$trusting")" '^250 '
like "whatever the local part" "$(rcpt '<a%b@hub.test>' "$trusting")" '^250 '

# ---- what -n says of trust
check() {
	printf '[smtpd "x"]\n  listen-port = 127.0.0.1:1\n  trusted = %s\n' "$1" \
	    >"$SCRATCH/n.cf"
	"$STAGE/usr/sbin/postmaster" -n -f "$SCRATCH/n.cf" 2>&1
}
for wide in 0.0.0.0/0 64.0.0.0/7 ::/0 fc00::/6; do
	like "trusted = $wide" "$(check $wide)" 'n\.cf:3:13: .*widest'
	check $wide >/dev/null
	is "is an error" $? 1
done
for narrow in 10.0.0.0/8 fc00::/7 none; do
	not_ok "trusted = $narrow is none" \
	    sh -c "printf '%s' \"\$1\" | grep widest" - "$(check $narrow)"
done
done_testing
